"""Where the cluster is and who we are there: kubeconfig or the service account of the Pod.

The official client reads the files and runs ``exec`` plug-ins; it is imported when needed, since it takes half a
second of CPU and 15 MiB. When to ask it again is decided here: before a token runs out, and when one is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
import pathlib
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final, final

import structlog

from lostromos_core import errors
from lostromos_core.kube.auth import exec_plugins, kubeconfigs, tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

_IN_CLUSTER = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_log = structlog.get_logger("lostromos.kube")

READ_AGAIN: Final = 60.0
"""Seconds after which a token file is read again: the kubelet replaces it long before the token runs out."""
AHEAD: Final = 60.0
"""Seconds before it runs out that a token is renewed; for one that lives shortly, a fifth of its life."""
PAUSE: Final = 5.0
"""Seconds between two tries to renew credentials: an ``exec`` plug-in is a process, and hundreds may ask at once."""
LONGEST: Final = 60.0
"""Seconds that an ``exec`` plug-in may take."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@final
class Credentials:
    """Address, TLS and authorization for one cluster. ``refresh`` reads or asks for them; then ``renew`` keeps them.

    ``kubeconfig`` is a path (or several, joined as in $KUBECONFIG); without it, $KUBECONFIG, ~/.kube/config and the
    Pod's service account are tried in this order. Raises ConfigError that says what was looked for.
    """

    def __init__(
        self,
        kubeconfig: str = "",
        *,
        context: str = "",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = _now,
    ) -> None:
        self._kubeconfig = kubeconfig or os.environ.get("KUBECONFIG", "")
        self._context = context or None
        self._configuration: Any = None
        self._ssl: ssl.SSLContext | bool = True
        self._trust: Sequence[object] = ()
        self._clock = clock
        self._now = now
        self._due = float("inf")
        self._paused_until = float("-inf")
        self._failure = ""
        self._renewing = asyncio.Lock()
        self._renewing_ahead: asyncio.Task[None] | None = None
        self._is_plugin = False

    @property
    def url(self) -> str:
        """The API server's address, without a slash at its end."""
        return str(self._configuration.host).rstrip("/")

    @property
    def ssl(self) -> ssl.SSLContext | bool:
        """The TLS settings, for aiohttp."""
        return self._ssl

    @property
    def server_name(self) -> str | None:
        """The name that the server's certificate must have, if not the address's."""
        name: str | None = self._configuration.tls_server_name
        return name

    @property
    def proxy(self) -> str | None:
        """The HTTP proxy that the kubeconfig names."""
        proxy: str | None = self._configuration.proxy
        return proxy

    @property
    def authorization(self) -> str:
        """The value of the Authorization header, empty if a client certificate does it."""
        return str(self._configuration.api_key.get("BearerToken", ""))

    async def refresh(self) -> None:
        """Read the configuration again: token files and exec plug-ins may have a new token. Raises ConfigError."""
        with tempfile.TemporaryDirectory(prefix="lostromos-") as private:
            self._configuration, lasts = await self._load(private)
            trust = tls.fingerprint(self._configuration)
            if trust != self._trust:  # connections are kept for one context: a new one would open all of them again
                self._ssl = tls.ssl_context(self._configuration, _source(self._find()))
                self._trust = trust
        self._due = self._clock() + lasts

    async def current(self) -> str:
        """Return the Authorization header; when it is about to run out, another one is fetched meanwhile.

        A token file is read at once, for that costs nothing.
        """
        if self._clock() >= self._due:
            self._due = self._clock() + LONGEST
            self._renewing_ahead = asyncio.create_task(self._renew_ahead(), name="renew the credentials")
            if not self._is_plugin:
                await self._renewing_ahead
        return self.authorization

    async def _renew_ahead(self) -> None:
        try:
            await self.renew(self.authorization)
        except errors.CredentialsError as error:
            self._due = self._clock() + PAUSE  # what we have may still be valid; if not, the server will say so
            _log.warning("the credentials could not be renewed ahead of time", reason=str(error))

    def stop(self) -> None:
        """Fetch nothing any more."""
        if self._renewing_ahead is not None:
            self._renewing_ahead.cancel()

    async def settled(self) -> None:
        """Wait for what is being fetched."""
        if self._renewing_ahead is not None:
            await asyncio.wait({self._renewing_ahead})

    async def renew(self, used: str) -> bool:
        """Renew credentials that were refused or run out; return whether they are others than those that were used.

        Once for all requests that used the same ones, and after a pause when that did not help. Raises
        CredentialsError.
        """
        async with self._renewing:
            if self.authorization != used:
                return True
            if self._clock() < self._paused_until:
                if self._failure:
                    raise errors.CredentialsError(self._failure)
                return False
            self._failure = ""
            try:
                await self.refresh()
            except errors.ConfigError as error:
                self._failure = str(error)
                raise errors.CredentialsError(self._failure) from error
            finally:
                if self.authorization == used:
                    self._paused_until = self._clock() + PAUSE
            return self.authorization != used

    async def _load(self, private: str) -> tuple[Any, float]:
        """Return the official client's configuration, and how many seconds it can be used without a new look."""
        from kubernetes.aio import client, config  # noqa: PLC0415 - heavy; see above

        configuration = client.Configuration()
        path = self._find()
        if path:
            kubeconfigs.check([pathlib.Path(part) for part in path.split(os.pathsep)], self._context or "")
        try:
            if not path:
                config.load_incluster_config(client_configuration=configuration)
                return configuration, READ_AGAIN
            _forget_temporary_files()
            with _overheard() as heard:
                async with asyncio.timeout(LONGEST):
                    loader = await config.load_kube_config(
                        path,
                        self._context,
                        client_configuration=configuration,
                        persist_config=False,
                        temp_file_path=private,
                    )
        except TimeoutError as error:
            exec_plugins.end_plugins()
            msg = f"{_source(path)} cannot be used: its exec plug-in has not answered for {LONGEST:.0f} seconds"
            raise errors.ConfigError(msg) from error
        except asyncio.CancelledError:
            exec_plugins.end_plugins()
            raise
        except Exception as error:
            msg = f"{_source(path)} cannot be used: {tls.reason(error)}"
            raise errors.ConfigError(msg) from error
        if "exec" in loader._user and not (configuration.api_key.get("BearerToken") or configuration.cert_file):  # noqa: SLF001 - no public way
            msg = f"{_source(path)} cannot be used: its exec plug-in failed: {_plugin_failure(heard)}"
            raise errors.ConfigError(msg)
        return configuration, self._lasts(loader)

    def _lasts(self, loader: Any) -> float:  # noqa: ANN401 - the official client is untyped
        """Return in how many seconds to look again; for ever if the credentials say nothing of an end."""
        self._is_plugin = "tokenFile" not in loader._user  # noqa: SLF001 - no public way
        expiry = getattr(loader, "exec_plugin_expiry", None)
        if isinstance(expiry, dt.datetime):
            left = max(0.0, (expiry.astimezone(dt.UTC) - self._now()).total_seconds())
            return max(PAUSE, left - min(AHEAD, left / 5))
        return READ_AGAIN if "tokenFile" in loader._user else float("inf")  # noqa: SLF001 - no public way

    def _find(self) -> str:
        """The kubeconfig files to read, empty for the Pod's service account."""
        if self._kubeconfig:
            paths = [pathlib.Path(part).expanduser() for part in self._kubeconfig.split(os.pathsep) if part]
            if not any(path.is_file() for path in paths):
                msg = f"kubeconfig {self._kubeconfig} does not exist; name another one with --kubeconfig or $KUBECONFIG"
                raise errors.ConfigError(msg)
            return os.pathsep.join(str(path) for path in paths)
        default = pathlib.Path("~/.kube/config").expanduser()
        if default.is_file():
            return str(default)
        if _IN_CLUSTER.is_file():
            return ""
        msg = (
            "no cluster: there is no --kubeconfig, no $KUBECONFIG, no ~/.kube/config, and this is no Pod with a "
            "service account; name a kubeconfig with --kubeconfig"
        )
        raise errors.ConfigError(msg)


def _source(path: str) -> str:
    return f"kubeconfig {path}" if path else "the Pod's service account"


@contextlib.contextmanager
def _overheard() -> Any:  # noqa: ANN401 - a generator of a list
    """Collect what the official client logs: it says there why an exec plug-in failed, and nowhere else."""
    heard: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    logger, handler = logging.getLogger("kubernetes.aio.config.kube_config"), Handler(logging.ERROR)
    logger.addHandler(handler)
    propagated, logger.propagate = logger.propagate, False
    try:
        yield heard
    finally:
        logger.propagate = propagated
        logger.removeHandler(handler)


def _plugin_failure(heard: list[str]) -> str:
    """Return why an exec plug-in failed, without what it printed, which may be a secret."""
    said = errors.shorten(heard[-1].partition(". ")[0], 200) if heard else "it brought no token"
    return said.removeprefix("exec: ")


def _forget_temporary_files() -> None:
    """The official client remembers the files that it wrote keys to; ours are gone as soon as TLS is set up."""
    from kubernetes.aio.config import kube_config  # noqa: PLC0415 - heavy; see above

    with contextlib.suppress(AttributeError):
        kube_config._temp_files.clear()  # noqa: SLF001 - there is no public way
