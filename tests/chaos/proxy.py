"""The chaos proxy: what tests hold in their hands while it runs in a thread of its own."""

import asyncio
import socket
import urllib.parse
from pathlib import Path
from types import TracebackType
from typing import Self, final

from tests.chaos import (
    actions,
    background,
    certificates,
    connection,
    kubeconfigs,
    moments,
    records,
    relay,
    rules,
)


@final
class ChaosProxy:
    """Stands between operators and the API server, passes everything on faithfully, and breaks what rules say.

    Its `url` (known in the context only), `token`, `ca_file` and `kubeconfig` stand in for the API server's own.

    Guarantees: the methods work from any thread, callbacks included, and have their effect before they return. What
    callbacks and predicates raised is raised at exit, in an ExceptionGroup.

    Assumptions: clients speak HTTP/1.1 and send one request at a time on a connection.

    Caveats: upgraded connections (exec, attach, port-forward) do not pass; a request goes on only when it has come in
    whole; trailers and interim responses are dropped.
    """

    def __init__(self, server: str, *, token: str, ca_file: Path, folder: Path, seed: int = 0) -> None:
        """Take the API server's URL, a bearer token and the server's authority.

        The folder is for the proxy's certificate, key and kubeconfig; the seed decides what chance decides.
        """
        files = certificates.write(folder)
        self.token = token
        self.ca_file = files.certificate
        self.kubeconfig = folder / "chaos.kubeconfig"
        self.url: str
        self._trace = records.Trace()
        self._book = rules.Book(seed=seed)
        self._flowing = asyncio.Event()
        self._flowing.set()
        address = urllib.parse.urlsplit(server)
        route = connection.Route(
            host=address.hostname or "",
            port=address.port or 443,
            server_tls=certificates.trusting(ca_file),
            client_tls=certificates.presenting(files),
            book=self._book,
            trace=self._trace,
            flowing=self._flowing,
        )
        self._relay = relay.Relay(route)
        self._background = background.Background(name="chaos-proxy")

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0), backlog=relay.BACKLOG)
        self.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        kubeconfigs.write(self.kubeconfig, url=self.url, token=self.token, ca_file=self.ca_file)
        self._background.start(lambda: self._relay.run(listener))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._background.stop()
        # A failed test says more than what followed from it.
        if self._relay.errors and error is None:
            raise ExceptionGroup("the chaos proxy failed", self._relay.errors)

    @property
    def requests(self) -> list[records.Record]:
        """All requests since the last reset of the log, in the order of their arrival, those under way included."""
        return self._trace.records()

    def writes(self) -> list[records.Record]:
        """The requests that would change something, but for Leases: an operator renews its own while it runs."""
        return [
            record
            for record in self._trace.records()
            if record.method in records.WRITING and "/leases" not in record.path
        ]

    def reset_log(self) -> None:
        """Forget all requests so far; the next one is number 1."""
        self._background.call(self._trace.reset)

    def add(
        self,
        *does: actions.Action,
        name: str = "",
        method: str = ".*",
        path: str = "",
        query: str = "",
        predicate: rules.Predicate | None = None,
        skip: int = 0,
        times: int | None = None,
        chance: float = 1.0,
    ) -> rules.Standing:
        """Put a rule in force, after all others: `rules.Rule` says what the arguments mean.

        The first rule that strikes a request is the only one applied to it. Leaving the result's context removes the
        rule; a rule without a name is called by its actions.
        """
        rule = rules.Rule(
            name=name or ", ".join(map(repr, does)),
            actions=does,
            method=method,
            path=path,
            query=query,
            predicate=predicate,
            skip=skip,
            times=times,
            chance=chance,
        )
        return self._book.add(rule)

    def remove(self, standing: rules.Standing) -> None:
        """Put a rule out of force; what it has begun goes on."""
        self._book.remove(standing)

    def close_connections(self, ending: moments.Ending = moments.Ending.RESET) -> None:
        """Reset all open connections, of clients and to the API server, or close them in order (EOF)."""
        self._background.call(lambda: self._relay.close_all(ending))

    def freeze(self) -> None:
        """Let nothing pass and no connection begin, as if the API server were stopped by SIGSTOP."""
        self._background.call(self._flowing.clear)

    def thaw(self) -> None:
        """Let everything pass again, what has gathered meanwhile first."""
        self._background.call(self._flowing.set)
