"""What a watch brings, taken apart: lines and pages in, objects and keys out to a Sink.

Keeps which objects are known, so that a new beginning finds what is gone in between, and the version to go on from.
An object that cannot be read is given as broken, and its neighbours as usual; of managed fields, what cannot be read
is left out.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import orjson
import structlog

from lostromos_core import errors
from lostromos_core.kube.transport import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_log = structlog.get_logger("lostromos.kube")
_TYPES: Final = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")


class EventHandler(Protocol):
    """Who is told what the watch finds."""

    def changed(self, item: dict[str, Any]) -> None:
        """This object exists, and this is its newest version."""

    def gone(self, namespace: str, name: str) -> None:
        """This object is gone, or no longer selected."""

    def broken(self, item: dict[str, Any], reason: str) -> None:
        """This object exists, but cannot be read as a whole.

        ``item`` is what can be read: its metadata (empty if not even its name can), and its status.
        """

    def synced(self) -> None:
        """All objects that existed have been given; called again after each new beginning."""

    def trouble(self, error: errors.ApiError | None) -> None:
        """The watch cannot go on now, because of this; None when it goes on again."""


@final
class Reflector:
    """One collection's objects as they come. ``action`` begins the messages of errors.

    ``progress`` grows with each complete beginning, and with each version that is newer than all before: what comes
    again does not count. ``plain_bookmark`` says that a bookmark came before the beginning was complete.
    ``known`` are the namespaces and names of objects that an earlier feed has given: those that do not come again
    with the first beginning are gone.
    """

    def __init__(self, handler: EventHandler, action: str, known: Iterable[tuple[str, str]] = ()) -> None:
        self.version = ""
        self.progress = 0
        self.plain_bookmark = False
        self._newest = 0
        self._handler = handler
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
        self.plain_bookmark = False

    def end(self, version: str) -> None:
        """A beginning is complete: what was known before and was not given since is gone."""
        for key in self._known - (self._seen or set()):
            self._known.discard(key)
            self._handler.gone(*key)
        self._seen = None
        self.version = version or self.version
        self._newest = _number(self.version)
        self.progress += 1
        self._handler.synced()

    def page(self, answer: bytes) -> Mapping[str, Any]:
        """Take a page of a list; the page's own metadata. Raises ConnectionFailed for what is no such page."""
        try:
            page = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return self._take_unreadable_page(answer)
        items = page.get("items", False) if isinstance(page, dict) else False
        if not isinstance(items, list | None):
            raise self._strange("no list")  # an empty one would mean that everything is gone
        header = _header(page)
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
            event, exact = unreadable.lenient(line)
            if event is None:
                raise self._strange("a line that is not JSON") from error
            self._take(event, _Flaw(_reason(error), exact=exact))
        else:
            self._take(event)

    def _take(self, event: Any, flaw: _Flaw | None = None) -> None:  # noqa: ANN401 - what the server sent
        """Take an event; ``flaw`` says what kept its decoder from reading it as a whole."""
        kind = event.get("type") if isinstance(event, dict) else None
        if kind not in _TYPES:
            raise self._strange("a line that is no event")
        item = event.get("object")
        if kind == "ERROR":
            raise self._error(item if isinstance(item, dict) else {})
        if flaw and not _name(item):
            self._handler.broken({"metadata": {}}, flaw.reason)
            return
        metadata = self._metadata(item, named=kind != "BOOKMARK")
        self._advance(metadata.get("resourceVersion") or "")
        if kind == "BOOKMARK":
            if (metadata.get("annotations") or {}).get("k8s.io/initial-events-end") == "true":
                self.end(self.version)
            elif self._seen is not None:
                self.plain_bookmark = True
        elif kind == "DELETED":
            self._forget(metadata)
        elif flaw:
            self._give_flawed(item, flaw)
        else:
            self._give(item)

    def _advance(self, version: str) -> None:
        """Go on from this version; one that is newer than all before is progress."""
        if self._seen is None:
            number = _number(version)
            if number > self._newest or (not number and version not in {"", self.version}):
                self._newest = number
                self.progress += 1
        self.version = version or self.version

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

    def _take_unreadable_page(self, answer: bytes) -> Mapping[str, Any]:
        """Take a page of which at least one item cannot be decoded: each item on its own."""
        try:
            page, texts = unreadable.page(answer)
        except orjson.JSONDecodeError as error:
            raise self._strange("no list") from error
        header = _header(page)
        for text in texts:
            self._take_item(text, header)
        found = page.get("metadata")
        return found if isinstance(found, dict) else {}

    def _take_item(self, text: bytes, header: dict[str, Any]) -> None:
        """Take one item of a page that could not be decoded as a whole."""
        try:
            item = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            item, exact = unreadable.lenient(text)
            if not _name(item):
                self._handler.broken({"metadata": {}}, _reason(error))
            else:
                self._give_flawed(header | item, _Flaw(_reason(error), exact=exact))
        else:
            self._metadata(item)
            self._give(header | item)

    def _give(self, item: dict[str, Any]) -> None:
        self._remember(item["metadata"])
        try:
            self._handler.changed(item)
        except Exception as error:  # noqa: BLE001 - whatever one object does to the sink, its neighbours go on
            deep = isinstance(error, RecursionError | TypeError) and unreadable.is_deep(item)  # TypeError is orjson's
            self._give_flawed(item, _Flaw(_reason(error)) if deep else self._bug(item, error))

    def _give_flawed(self, item: dict[str, Any], flaw: _Flaw) -> None:
        """Give an object that could not be decoded, or not be kept: as usual, if only managed fields are to blame."""
        self._remember(item["metadata"])
        sifted = unreadable.sift(item) if flaw.exact else None
        try:
            if sifted is None:
                self._handler.broken({"metadata": {}, **unreadable.outline(item)}, flaw.reason)
            else:
                self._handler.changed(sifted)
        except Exception as error:  # noqa: BLE001 - as above
            self._bug(item, error)

    def _bug(self, item: Mapping[str, Any], error: Exception) -> _Flaw:
        """Log what must not happen, and happened with one object."""
        _log.error(
            "a bug: an object cannot be taken",
            watch=self._action,
            object="/".join(_key(item["metadata"])),
            exc_info=error,
        )
        return _Flaw(f"it cannot be taken: {type(error).__name__}", exact=False)

    def _remember(self, metadata: Mapping[str, Any]) -> None:
        self._known.add(_key(metadata))
        if self._seen is not None:
            self._seen.add(_key(metadata))

    def _forget(self, metadata: Mapping[str, Any]) -> None:
        self._known.discard(_key(metadata))
        if self._seen is not None:
            self._seen.discard(_key(metadata))
        self._handler.gone(*_key(metadata))


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Flaw:
    """Why an object could not be decoded; ``exact`` if all but what is too deep was decoded nevertheless."""

    reason: str
    exact: bool = True


def _header(page: Mapping[str, Any]) -> dict[str, Any]:
    """What the items of a list have in common, and do not always say themselves."""
    return {"apiVersion": page.get("apiVersion", ""), "kind": str(page.get("kind", "")).removesuffix("List")}


def _name(item: Any) -> str:  # noqa: ANN401 - what the server sent
    """The name of an object; empty if it has none."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _number(version: Any) -> int:  # noqa: ANN401 - what the server sent
    """A version as a number, since versions can be compared; 0 if it is no number."""
    try:
        return int(version)
    except (TypeError, ValueError):
        return 0


def _key(metadata: Mapping[str, Any]) -> tuple[str, str]:
    return metadata.get("namespace") or "", metadata.get("name") or ""


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError | TypeError) or "depth limit" in str(error):
        return "it cannot be decoded: it is nested too deeply"
    return f"it cannot be decoded: {errors.shorten(str(error).partition(': line')[0], 120)}"
