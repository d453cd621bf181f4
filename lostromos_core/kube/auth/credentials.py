"""Load the address and credentials of the cluster, from a kubeconfig or the Pod's service account.

The official client reads the files and runs ``exec`` plug-ins; it is imported lazily, since it takes half a
second of CPU and 15 MiB. This module decides when to reload: before a token expires, and when one is rejected.
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
    from collections.abc import Callable, Iterator, Sequence

    from lostromos_core import interfaces

_IN_CLUSTER = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_log = structlog.get_logger("lostromos.kube")

READ_AGAIN: Final = 60.0
"""Seconds after which a token file is read again: the kubelet replaces it long before the token expires."""
AHEAD: Final = 60.0
"""Seconds before its expiry that a token is renewed; for a short-lived one, a fifth of its lifetime."""
PAUSE: Final = 5.0
"""Seconds between two renewals: an ``exec`` plug-in is a process, and hundreds of requests may ask at once."""
LONGEST: Final = 60.0
"""Seconds that an ``exec`` plug-in may take."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@final
class Credentials:
    """Hold the address, TLS and authorization for one cluster. ``refresh`` loads them; ``renew`` keeps them valid.

    ``kubeconfig`` is a path (or several, joined as in $KUBECONFIG); without it, $KUBECONFIG, ~/.kube/config and the
    Pod's service account are tried in this order. Raises ConfigError that lists what was tried.
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
        """Return the API server's address without a trailing slash."""
        return str(self._configuration.host).rstrip("/")

    @property
    def ssl(self) -> ssl.SSLContext | bool:
        """Return the TLS settings for aiohttp."""
        return self._ssl

    @property
    def server_name(self) -> str | None:
        """Return the name expected in the server's certificate, if it differs from the address."""
        name: str | None = self._configuration.tls_server_name
        return name

    @property
    def proxy(self) -> str | None:
        """Return the HTTP proxy from the kubeconfig."""
        proxy: str | None = self._configuration.proxy
        return proxy

    @property
    def authorization(self) -> str:
        """Return the value of the Authorization header, empty if a client certificate is used."""
        return str(self._configuration.api_key.get("BearerToken", ""))

    async def refresh(self) -> None:
        """Reload the configuration: token files and exec plug-ins may have a new token. Raises ConfigError."""
        with tempfile.TemporaryDirectory(prefix="lostromos-") as private:
            self._configuration, lasts = await self._load(private)
            trust = tls.fingerprint(self._configuration)
            if trust != self._trust:  # connections are pooled per context: a new one would reopen them all
                self._ssl = tls.ssl_context(self._configuration, _source(self._find()))
                self._trust = trust
        self._due = self._clock() + lasts

    async def current(self) -> str:
        """Return the Authorization header; shortly before it expires, fetch a new one in the background.

        A token file is read at once, since that is cheap.
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
            self._due = self._clock() + PAUSE  # the old ones may still be valid; if not, the server rejects them
            _log.warning("the credentials could not be renewed ahead of time", reason=str(error))

    def stop(self) -> None:
        """Stop fetching credentials."""
        if self._renewing_ahead is not None:
            self._renewing_ahead.cancel()

    async def settled(self) -> None:
        """Wait for a fetch in progress."""
        if self._renewing_ahead is not None:
            await asyncio.wait({self._renewing_ahead})

    async def renew(self, used: str) -> bool:
        """Renew credentials that were rejected or expire; return whether they now differ from ``used``.

        Renews once for all requests with the same credentials; if these did not change, only after a pause.
        Raises CredentialsError.
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
        """Return the official client's configuration, and the seconds until it must be reloaded."""
        from kubernetes.aio import client, config  # noqa: PLC0415 - expensive; see above

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
        if "exec" in loader._user and not (configuration.api_key.get("BearerToken") or configuration.cert_file):  # noqa: SLF001 - no public API
            msg = f"{_source(path)} cannot be used: its exec plug-in failed: {_plugin_failure(heard)}"
            raise errors.ConfigError(msg)
        return configuration, self._lasts(loader)

    def _lasts(self, loader: interfaces.Anything) -> float:
        """Return the seconds until the next reload; infinity if the credentials do not expire."""
        self._is_plugin = "tokenFile" not in loader._user  # noqa: SLF001 - no public API
        expiry = getattr(loader, "exec_plugin_expiry", None)
        if isinstance(expiry, dt.datetime):
            left = max(0.0, (expiry.astimezone(dt.UTC) - self._now()).total_seconds())
            return max(PAUSE, left - min(AHEAD, left / 5))
        return READ_AGAIN if "tokenFile" in loader._user else float("inf")  # noqa: SLF001 - no public API

    def _find(self) -> str:
        """Return the kubeconfig files to read, empty for the Pod's service account."""
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
            "no cluster found: no --kubeconfig, $KUBECONFIG or ~/.kube/config, and this is not a Pod with a "
            "service account; name a kubeconfig with --kubeconfig"
        )
        raise errors.ConfigError(msg)


def _source(path: str) -> str:
    return f"kubeconfig {path}" if path else "the Pod's service account"


@contextlib.contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collect the logs of the official client: it reports only there why an exec plug-in failed."""
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
    """Return why an exec plug-in failed, without its output, which may be a secret."""
    said = errors.shorten(heard[-1].partition(". ")[0], 200) if heard else "it gave no token"
    return said.removeprefix("exec: ")


def _forget_temporary_files() -> None:
    """Clear the official client's cache of key files: ours are deleted as soon as TLS is set up."""
    from kubernetes.aio.config import kube_config  # noqa: PLC0415 - expensive; see above

    with contextlib.suppress(AttributeError):
        kube_config._temp_files.clear()  # noqa: SLF001 - no public API
