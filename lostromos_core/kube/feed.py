"""What a watch brings, taken apart: lines and pages in, objects and keys out to a Sink.

Keeps which objects are known, so that a new beginning finds what is gone in between, and the version to go on from.
An object that no decoder reads is given as broken, and its neighbours as usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, final

import orjson

from lostromos_core import errors
from lostromos_core.kube import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GONE: Final = 410
"""The version that we wanted to go on from is too old."""
_TYPES: Final = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")


class Sink(Protocol):
    """Who is told what the watch finds."""

    def changed(self, item: dict[str, Any]) -> None:
        """This object exists, and this is its newest version."""

    def gone(self, namespace: str, name: str) -> None:
        """This object is gone, or no longer selected."""

    def broken(self, metadata: Mapping[str, Any], reason: str) -> None:
        """This object exists, but nobody can read it; its metadata may be empty."""

    def synced(self) -> None:
        """All objects that existed have been given; called again after each new beginning."""

    def trouble(self, error: errors.ApiError | None) -> None:
        """The watch cannot go on now, because of this; None when it goes on again."""


@final
class Feed:
    """One collection's objects as they come. ``action`` begins the messages of errors.

    ``known`` are the namespaces and names of objects that an earlier feed has given: those that do not come again
    with the first beginning are gone.
    """

    def __init__(self, sink: Sink, action: str, known: Iterable[tuple[str, str]] = ()) -> None:
        self.version = ""
        self._sink = sink
        self._action = action
        self._known = set(known)
        self._seen: set[tuple[str, str]] | None = None

    @property
    def complete(self) -> bool:
        """Whether all objects are known, so that one may go on from ``version``."""
        return bool(self.version) and self._seen is None

    def begin(self) -> None:
        """All objects will be given once more."""
        self._seen = set()

    def end(self, version: str) -> None:
        """A beginning is complete: what was known before and was not given since is gone."""
        for key in self._known - (self._seen or set()):
            self._known.discard(key)
            self._sink.gone(*key)
        self._seen = None
        self.version = version or self.version
        self._sink.synced()

    def page(self, answer: bytes) -> Mapping[str, Any]:
        """Take a page of a list; the page's own metadata. Raises ConnectionFailed for what is no such page."""
        try:
            page = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            header = unreadable.metadata(answer, ())
            if not header:
                raise self._strange("no list") from error
            for text in unreadable.slices(answer, ("items", "*")):
                self._take_item(text)
            return header
        items = page.get("items", False) if isinstance(page, dict) else False
        if not isinstance(items, list | None):
            raise self._strange("no list")  # an empty one would mean that everything is gone
        header = {"apiVersion": page.get("apiVersion", ""), "kind": str(page.get("kind", "")).removesuffix("List")}
        for item in items or ():
            self._metadata(item)
            self._give(header | item)
        found = page.get("metadata")
        return found if isinstance(found, dict) else {}

    def line(self, line: bytes) -> None:
        """Take an event of a stream; raises ApiError for an ERROR event, ConnectionFailed for what is no event."""
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            self._take_unreadable(line, error)
            return
        kind = event.get("type") if isinstance(event, dict) else None
        if kind not in _TYPES:
            raise self._strange("a line that is no event")
        item = event.get("object")
        if kind == "ERROR":
            raise self._error(item if isinstance(item, dict) else {})
        metadata = self._metadata(item, named=kind != "BOOKMARK")
        self.version = metadata.get("resourceVersion") or self.version
        if kind == "BOOKMARK":
            if (metadata.get("annotations") or {}).get("k8s.io/initial-events-end") == "true":
                self.end(self.version)
        elif kind == "DELETED":
            self._forget(metadata)
        else:
            self._give(item)

    def _metadata(self, item: Any, *, named: bool = True) -> Mapping[str, Any]:  # noqa: ANN401 - what the server sent
        """The metadata of an object; raises ConnectionFailed for what is no object."""
        metadata = item.get("metadata") if isinstance(item, dict) else None
        if isinstance(metadata, dict) and (not named or (isinstance(metadata.get("name"), str) and metadata["name"])):
            return metadata
        raise self._strange("an object without metadata")

    def _error(self, status: Mapping[str, Any]) -> errors.ApiError:
        message = errors.shorten(str(status.get("message") or "the watch was ended"))
        code = status.get("code")
        return errors.ApiError(f"{self._action}: {message}", status=code if isinstance(code, int) and code else 500)

    def _strange(self, what: str) -> errors.ConnectionFailed:
        """Something between the server and us answers in its place, or cuts: as good as no connection."""
        return errors.ConnectionFailed(f"{self._action}: the API server's answer holds {what}")

    def _take_unreadable(self, line: bytes, error: Exception) -> None:
        """An event that no decoder reads: an object nested too deeply, or a line that is not JSON."""
        metadata = unreadable.metadata(line, ("object",))
        if not metadata:
            raise self._strange("a line that is not JSON") from error
        self.version = metadata.get("resourceVersion") or self.version
        if b'"type":"DELETED"' in line[:40]:
            self._forget(metadata)
        else:
            self._remember(metadata)
            self._sink.broken(metadata, _reason(error))

    def _take_item(self, text: bytes) -> None:
        """One item of a page that could not be decoded as a whole."""
        try:
            item = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            metadata = unreadable.metadata(text, ())
            self._remember(metadata)
            self._sink.broken(metadata, _reason(error))
        else:
            self._metadata(item)
            self._give(item)

    def _give(self, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        self._remember(metadata)
        try:
            self._sink.changed(item)
        except (RecursionError, TypeError) as error:  # the latter is orjson's word for it
            if not unreadable.is_deep(item):
                raise
            self._sink.broken(metadata, _reason(error))

    def _remember(self, metadata: Mapping[str, Any]) -> None:
        if not metadata.get("name"):
            return  # of a broken object, not even the name can be read
        self._known.add(_key(metadata))
        if self._seen is not None:
            self._seen.add(_key(metadata))

    def _forget(self, metadata: Mapping[str, Any]) -> None:
        self._known.discard(_key(metadata))
        if self._seen is not None:
            self._seen.discard(_key(metadata))
        self._sink.gone(*_key(metadata))


def _key(metadata: Mapping[str, Any]) -> tuple[str, str]:
    return metadata.get("namespace") or "", metadata.get("name") or ""


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError | TypeError):
        return "it cannot be decoded: it is nested too deeply"
    return f"it cannot be decoded: {errors.shorten(str(error).partition(': line')[0], 120)}"
