"""Provide a thin asynchronous client for the Kubernetes API: one session, timeouts everywhere, actionable errors.

The official client is not used: measured per request, it takes five to ten times the CPU (typed models, a new header
set, proxies looked up in the environment each time), and its dynamic client does not quote names.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import os
import re
import time
import urllib.parse
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack, final

import aiohttp
import orjson
import yarl

from lostromos_core import deprecations, errors
from lostromos_core.kube.auth import credentials
from lostromos_core.kube.transport import api_errors, encoding, limiter, media_types, unreadable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from lostromos_core import interfaces

JSON, METADATA_ONLY, METADATA_LIST = media_types.JSON, media_types.METADATA_ONLY, media_types.METADATA_LIST
APPLY, MERGE = media_types.APPLY, media_types.MERGE
"""Names that plug-ins for version 0.1 may use; see ``media_types``."""

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OVERLOAD = frozenset({429, 503, 504})
"""Status codes that lower the number of concurrent requests. Retries: ``errors.ApiError.RETRYABLE``."""
_TIMEOUT = aiohttp.ClientTimeout(total=40, sock_connect=5)
LAST_WORDS = 0.05
"""Seconds that closed connections have to shut down."""
_CONTEXT = re.compile(r" ssl:<[^>]*>| ssl:\w+")


class RequestOptions(TypedDict, total=False):
    """List the options of a request: see ``Client.request_bytes``."""

    query: Mapping[str, str] | None
    body: interfaces.Json
    content_type: str
    accept: str
    urgent: bool


class Transport(Protocol):
    """Send requests to the API server of a cluster; implemented by Client and Cluster."""

    dry_run: bool

    async def request(
        self, method: str, path: str, *, action: str, **options: Unpack[RequestOptions]
    ) -> interfaces.Json:
        """See ``Client.request``."""

    async def request_bytes(self, method: str, path: str, *, action: str, **options: Unpack[RequestOptions]) -> bytes:
        """See ``Client.request_bytes``."""

    def stream(
        self, path: str, *, action: str, query: Mapping[str, str], idle: float, accept: str = media_types.JSON
    ) -> AsyncIterator[bytes]:
        """See ``Client.stream``."""


@final
class Client:
    """Hold the connection to one cluster, shared by the whole process. ``async with`` opens and closes it.

    With ``dry_run``, every write is sent with ``dryRun=All``: the server validates it, but persists nothing.
    A DELETE with a body also sets it in the body, since the server then ignores the query. Source: measured on 1.37.
    """

    def __init__(self, kubeconfig: str | os.PathLike[str] = "", *, context: str = "", dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self.kubeconfig = os.fspath(kubeconfig)
        self.context = context
        self.limiter = limiter.Limiter(time.monotonic)
        self._credentials = credentials.Credentials(self.kubeconfig, context=context)
        self._session: aiohttp.ClientSession | None = None
        self._refreshing = asyncio.Lock()

    async def __aenter__(self) -> Client:
        """Connect; raises ConfigError."""
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.close()

    @property
    def connected(self) -> bool:
        """Return whether the client is connected to the cluster."""
        return self._session is not None

    async def connect(self) -> None:
        """Read the credentials and open the session, unless it is open; raises ConfigError."""
        async with self._refreshing:
            if self._session is None:
                await self._credentials.refresh()
                self._session = _open_session()

    async def close(self) -> None:
        """Close all connections."""
        self._credentials.stop()
        if self._session:
            await self._session.close()
            self._session = None
            # TLS connections shut down after close() has returned. Source: aiohttp's docs, "Graceful shutdown".
            await asyncio.sleep(LAST_WORDS)

    async def request(
        self, method: str, path: str, *, action: str, **options: Unpack[RequestOptions]
    ) -> interfaces.Json:
        """Send one request and return the decoded response, without managed fields that cannot be decoded.

        ``action`` begins the error message ("apply Service team-a/shop"). Raises ApiError.
        """
        answer = await self.request_bytes(method, path, action=action, **options)
        try:
            return unreadable.loads(answer)
        except orjson.JSONDecodeError as error:
            msg = f"{action}: the API server's answer cannot be read: {error}"
            raise errors.ApiError(msg, status=200, reason=unreadable.REASON) from error

    async def request_bytes(
        self,
        method: str,
        path: str,
        *,
        action: str,
        query: Mapping[str, str] | None = None,
        body: interfaces.Json = None,
        content_type: str = media_types.JSON,
        accept: str = media_types.JSON,
        urgent: bool = False,
    ) -> bytes:
        """Send one request like ``request``, but return the raw response. ``urgent`` bypasses the limiter."""
        session = await self._open()
        if self.dry_run and method in _WRITES:
            query, body = _without_effect(method, query, body)
        url = self._url(path, query)
        data = None if body is None else encoding.encode(body, action)
        if data is not None and content_type == media_types.APPLY:
            data = encoding.safe_in_yaml(data)
        headers = {"Accept": accept, "Content-Type": content_type} if data is not None else {"Accept": accept}
        async with contextlib.nullcontext() if urgent else self.limiter:
            headers["Authorization"] = used = await self._credentials.current()
            status, answered, content = await self._send(session, method, url, headers, data, action)
            if status == http.HTTPStatus.UNAUTHORIZED and await self._renew(action, used):
                headers["Authorization"] = self._credentials.authorization
                status, answered, content = await self._send(session, method, url, headers, data, action)
            if status < http.HTTPStatus.BAD_REQUEST:
                self.limiter.succeeded()
                return content
            failure = api_errors.error(status, answered, content, action)
            if status in _OVERLOAD:
                self.limiter.overloaded(failure.retry_after)  # before the next request gets the slot
        raise failure

    async def stream(
        self, path: str, *, action: str, query: Mapping[str, str], idle: float, accept: str = media_types.JSON
    ) -> AsyncIterator[bytes]:
        """Yield the chunks of a watch as they arrive; the first one is empty: the server has accepted the request.

        Raises ApiError, or ConnectionFailed after ``idle`` seconds of silence.
        """
        session = await self._open()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=idle)
        used = await self._credentials.current()
        headers = {"Accept": accept, "Authorization": used}
        try:
            async with session.get(
                self._url(path, query), headers=headers, timeout=timeout, **self._transport()
            ) as response:
                if response.status >= http.HTTPStatus.BAD_REQUEST:
                    if response.status == http.HTTPStatus.UNAUTHORIZED:
                        await self._renew(action, used)
                    raise api_errors.error(response.status, response.headers, await response.read(), action)
                yield b""
                async for chunk in response.content.iter_any():
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _connection_failed(action, error) from error

    async def _send(  # noqa: PLR0917 - the parts of an HTTP request
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: yarl.URL,
        headers: dict[str, str],
        data: bytes | None,
        action: str,
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            async with session.request(method, url, headers=headers, data=data, **self._transport()) as response:
                return response.status, response.headers, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, TimeoutError):
                self.limiter.overloaded()
            raise _connection_failed(action, error) from error

    async def _open(self) -> aiohttp.ClientSession:
        while self._session is None:
            await self.connect()
        return self._session

    def _transport(self) -> dict[str, Any]:
        own = self._credentials
        return {"ssl": own.ssl, "server_hostname": own.server_name, "proxy": own.proxy}

    def _url(self, path: str, query: Mapping[str, str] | None) -> yarl.URL:
        text = f"{self._credentials.url}{path}"
        return yarl.URL(f"{text}?{urllib.parse.urlencode(query)}" if query else text, encoded=True)

    async def _renew(self, action: str, used: str) -> bool:
        """Renew credentials that were rejected; return whether they have changed. Raises CredentialsError."""
        try:
            return await self._credentials.renew(used)
        except errors.CredentialsError as error:
            raise errors.CredentialsError(f"{action}: {error}") from error


def __getattr__(name: str) -> type[Client]:
    """Return the class by the name that it had in version 0.1."""
    if name == "Kube":
        deprecations.warn("Kube", "called Client, and is found in lostromos_core.kube")
        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _without_effect(
    method: str,
    query: Mapping[str, str] | None,
    body: interfaces.Json,
) -> tuple[Mapping[str, str], Any]:
    """Return the query and body of a write, turned into a dry run."""
    if method == "DELETE" and body is not None:
        body = {**body, "dryRun": ["All"]}
    return {**(query or {}), "dryRun": "All"}, body


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
        timeout=_TIMEOUT,
        trust_env=False,
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "lostromos"},
        skip_auto_headers=("Content-Type",),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _connection_failed(action: str, error: BaseException) -> errors.ConnectionFailed:
    cause = (
        "no answer in time" if isinstance(error, TimeoutError) else errors.shorten(str(error) or type(error).__name__)
    )
    cause = _CONTEXT.sub("", cause)
    return errors.ConnectionFailed(f"{action}: the API server cannot be reached: {cause}")
