"""The API of sites: what it lists, if that is new, and the status of each site."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final, final

import aiohttp

from lostromos_core import LostromosError, errors

LONGEST: Final = 16 * 1024 * 1024
"""Bytes of an answer that we read."""
_OK, _NOT_MODIFIED, _NOT_FOUND = 200, 304, 404


@final
class SitesError(LostromosError):
    """The API does not answer, or not as it should. Trying again can help."""

    retryable = True


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    etag: str
    body: bytes


@final
class Client:
    """Talks to one API; ``timeout`` is in seconds. All methods raise SitesError.

    Each request has a connection of its own: nobody tells a watcher which report is the last one, after which a shared
    one could be closed.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._etag = ""

    async def news(self) -> list[Any] | None:
        """What the API lists; None if that is what it listed the last time."""
        answer = await self._send("GET", "/sites", headers={"If-None-Match": self._etag} if self._etag else {})
        if answer.status == _NOT_MODIFIED:
            return None
        listed = self._parse(answer, "/sites", list)
        self._etag = answer.etag
        return list(listed)

    async def status(self, name: str) -> dict[str, Any] | None:
        """What the API knows as a site's status; None if there is no such site. The name must be one."""
        path = f"/sites/{name}/status"
        answer = await self._send("GET", path)
        return None if answer.status == _NOT_FOUND else dict(self._parse(answer, path, dict))

    async def write_status(self, name: str, status: dict[str, Any]) -> None:
        """Tell how it goes; a site that is gone needs no telling. The name must be one."""
        path = f"/sites/{name}/status"
        answer = await self._send("PUT", path, json=status)
        if answer.status != _NOT_FOUND and answer.status >= 300:  # noqa: PLR2004 - what is no success
            raise self._error("PUT", path, f"it answers {answer.status}")

    def _parse(self, answer: _Answer, path: str, kind: type[Any]) -> Any:  # noqa: ANN401 - of that kind
        if answer.status != _OK:
            raise self._error("GET", path, f"it answers {answer.status}")
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise self._error("GET", path, "the answer is no JSON") from error
        if not isinstance(found, kind):
            raise self._error("GET", path, f"the answer is no {kind.__name__}")
        return found

    async def _send(self, method: str, path: str, **options: Any) -> _Answer:  # noqa: ANN401 - aiohttp's
        """One request; redirects are not followed, since they may lead anywhere."""
        limit = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.request(method, self._url + path, allow_redirects=False, **options) as response,
            ):
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > LONGEST:
                        raise self._error(method, path, f"the answer is longer than {LONGEST} bytes")
                return _Answer(response.status, response.headers.get("ETag", ""), bytes(body))
        except TimeoutError as error:
            raise self._error(method, path, f"no answer within {self._timeout:g} seconds") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._error(method, path, str(error) or type(error).__name__) from error

    def _error(self, method: str, path: str, why: str) -> SitesError:
        return SitesError(f"{method} {self._url}{path}: {errors.shorten(why, 300)}")
