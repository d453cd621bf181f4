"""A small synchronous client of the API server, for what tests set up and for what they check.

It shares no code with the product's own client, so that an error in one shows in the other.
"""

import json
import urllib.parse
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

import urllib3

from tests.controlplane import errors, metrics, users

Json: TypeAlias = dict[str, Any]
"""A JSON object."""

Items: TypeAlias = list[Json]

JSON: Final = {"Content-Type": "application/json"}

PATCH_TYPES: Final = {
    "merge": {"Content-Type": "application/merge-patch+json"},
    "json": {"Content-Type": "application/json-patch+json"},
    "strategic": {"Content-Type": "application/strategic-merge-patch+json"},
    "apply": {"Content-Type": "application/apply-patch+yaml"},
}

WITHIN: Final = 30.0
"""Seconds that an answer may take, if nothing else is said."""


class Api:
    """The API server as one user sees it. Every path is absolute, such as `/api/v1/namespaces/default`.

    All methods raise errors.ApiError for a status other than 2xx, and errors.UnreachableError where no answer comes.
    Keyword arguments `query` become the query string. May be shared by threads.
    """

    def __init__(
        self, access: users.Access, *, headers: Mapping[str, str] | None = None, within: float = WITHIN
    ) -> None:
        """`headers` go with every request; an answer may take `within` seconds."""
        self._access = access
        self._within = within
        # A list: a header may be there more than once, as Impersonate-Group is.
        self._headers = urllib3.HTTPHeaderDict(headers or {})
        self._headers["Authorization"] = f"Bearer {access.token}"
        self._pool = urllib3.PoolManager(ca_certs=str(access.ca_file), retries=False, timeout=within, maxsize=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._pool.clear()

    def as_user(self, name: str, *, groups: tuple[str, ...] = ()) -> "Api":
        """The same server as another user sees it. Needs a user who may impersonate, as the administrator may."""
        headers = urllib3.HTTPHeaderDict({"Impersonate-User": name})
        for group in groups:
            headers.add("Impersonate-Group", group)
        return Api(self._access, headers=headers, within=self._within)

    def get(self, path: str, *, accept: str = "application/json", **query: str) -> Json:
        """The object at this path."""
        return self._json("GET", path, query=query, headers={"Accept": accept})

    def exists(self, path: str) -> bool:
        """Whether there is an object at this path."""
        try:
            self.get(path)
        except errors.ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def list(self, path: str, *, accept: str = "application/json", **query: str) -> Items:
        """The items of a collection."""
        items: Items = self.get(path, accept=accept, **query)["items"]
        return items

    def create(self, path: str, body: Json, **query: str) -> Json:
        """POST the object to its collection."""
        return self._json("POST", path, body=body, query=query)

    def replace(self, path: str, body: Json, **query: str) -> Json:
        """PUT the object. With `metadata.resourceVersion` it fails (409) if the object has changed since."""
        return self._json("PUT", path, body=body, query=query)

    def patch(
        self, path: str, body: Any, *, patch_type: Literal["merge", "json", "strategic"] = "merge", **query: str
    ) -> Json:
        """PATCH the object."""
        return self._json("PATCH", path, body=body, query=query, headers=PATCH_TYPES[patch_type])

    def apply(self, path: str, body: Json, *, manager: str = "tests", force: bool = False, **query: str) -> Json:
        """Server-side apply: create the object or take over fields of it, in the name of a field manager."""
        query |= {"fieldManager": manager, "force": str(force).lower()}
        return self._json("PATCH", path, body=body, query=query, headers=PATCH_TYPES["apply"])

    def delete(self, path: str, options: Json | None = None, **query: str) -> Json:
        """DELETE the object, or all of a collection. `options` are DeleteOptions, such as preconditions."""
        return self._json("DELETE", path, body=options, query=query)

    def watch(self, path: str, *, version: str = "", seconds: int = 5, **query: str) -> Iterator[Json]:
        """The events of a collection since a resourceVersion, until the server ends the watch after `seconds`."""
        query |= {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(seconds)}
        response = self._send("GET", _target(path, query), stream=True)
        try:
            for line in response:
                yield json.loads(line)
        except urllib3.exceptions.HTTPError as error:
            raise errors.UnreachableError(f"watch of {path}: {error}") from error
        finally:
            response.close()

    def send_text(self, method: str, path: str, text: str = "", *, headers: Mapping[str, str] = JSON) -> str:
        """Send JSON that is written already, and return the answer's text: for what no decoder takes."""
        return self._send(method, path, text=text, headers=headers).data.decode()

    def metrics(self) -> metrics.Metrics:
        """The API server's counters, such as requests by verb and resource."""
        return metrics.parse(self._send("GET", "/metrics").data.decode())

    def _json(self, method: str, path: str, *, query: Mapping[str, str], **request: Any) -> Json:
        answer: Json = self._send(method, _target(path, query), **request).json()
        return answer

    def _send(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,
        text: str | None = None,
        headers: Mapping[str, str] = JSON,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        if body is not None:
            text = json.dumps(body)
        try:
            response = self._pool.request(
                method,
                self._access.url + target,
                body=text or None,
                headers=self._headers | headers,
                preload_content=not stream,
            )
        except urllib3.exceptions.HTTPError as error:
            raise errors.UnreachableError(f"{method} {target}: {error}") from error
        if not 200 <= response.status < 300:
            raise errors.ApiError(f"{method} {target}", status=response.status, body=_decoded(response.data))
        return response


def _target(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}" if query else path


def _decoded(data: bytes) -> Any:
    """JSON where it is JSON: some refusals are plain text."""
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
