"""Decode the lines and pages of a watch, and pass objects and keys to an event handler.

Track the known objects, so that a new list reveals those deleted in between, and the version to continue from.
An object that cannot be decoded is reported as broken, and others as usual; managed fields that cannot be decoded
are left out.
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

    from lostromos_core import interfaces

_log = structlog.get_logger("lostromos.kube")
_TYPES: Final = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")


class EventHandler(Protocol):
    """Handle the events of a watch."""

    def changed(self, item: dict[str, Any]) -> None:
        """Handle an object that exists, in its newest version."""

    def gone(self, namespace: str, name: str) -> None:
        """Handle an object that is gone, or no longer selected."""

    def broken(self, item: dict[str, Any], reason: str) -> None:
        """Handle an object that exists, but cannot be decoded as a whole.

        ``item`` is the decodable part: its metadata (empty if not even its name can be decoded), and its status.
        """

    def synced(self) -> None:
        """Handle the end of a list: all existing objects were reported. Called again after each new list."""

    def trouble(self, error: errors.ApiError | None) -> None:
        """Handle an error that interrupts the watch; None once the watch continues."""


@final
class Reflector:
    """Track the objects of one collection as they arrive. ``action`` begins error messages.

    ``progress`` grows with each complete list, and with each version that is newer than all before: repeated events
    do not count. ``plain_bookmark`` is true if a bookmark arrived before the list was complete.
    ``known`` are the namespaces and names of objects that an earlier reflector saw: those missing from the
    first list are gone.
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
        """Return whether all objects are known, so that a watch can continue from ``version``."""
        return bool(self.version) and self._seen is None

    def begin(self) -> None:
        """Start a new list, which reports all objects again."""
        self._seen = set()
        self.plain_bookmark = False

    def end(self, version: str) -> None:
        """Complete a list: objects that were known before but not reported are gone."""
        for key in self._known - (self._seen or set()):
            self._known.discard(key)
            self._handler.gone(*key)
        self._seen = None
        self.version = version or self.version
        self._newest = _number(self.version)
        self.progress += 1
        self._handler.synced()

    def page(self, answer: bytes) -> Mapping[str, Any]:
        """Process a page of a list and return its metadata. Raises ConnectionFailed if it is not such a page."""
        try:
            page = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return self._take_unreadable_page(answer)
        items = page.get("items", False) if isinstance(page, dict) else False
        if not isinstance(items, list | None):
            raise self._strange("no list")  # an empty list would mean that everything is gone
        header = _header(page)
        for item in items or ():
            self._metadata(item)
            self._give(header | item)
        found = page.get("metadata")
        return found if isinstance(found, dict) else {}

    def line(self, line: bytes) -> None:
        """Process a line of a stream; raises ApiError for an ERROR event, ConnectionFailed if it is not an event."""
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            event, exact = unreadable.lenient(line)
            if event is None:
                raise self._strange("a line that is not JSON") from error
            self._take(event, _Flaw(_reason(error), exact=exact))
        else:
            self._take(event)

    def _take(self, event: interfaces.Anything, flaw: _Flaw | None = None) -> None:
        """Process an event; ``flaw`` describes why it could not be decoded as a whole."""
        kind = event.get("type") if isinstance(event, dict) else None
        if kind not in _TYPES:
            raise self._strange("a line that is not an event")
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
        """Continue from this version; one that is newer than all before counts as progress."""
        if self._seen is None:
            number = _number(version)
            if number > self._newest or (not number and version not in {"", self.version}):
                self._newest = number
                self.progress += 1
        self.version = version or self.version

    def _metadata(self, item: interfaces.Anything, *, named: bool = True) -> Mapping[str, Any]:
        """Return the metadata of an object; raises ConnectionFailed if it is not an object."""
        metadata = item.get("metadata") if isinstance(item, dict) else None
        if isinstance(metadata, dict) and (not named or (isinstance(metadata.get("name"), str) and metadata["name"])):
            return metadata
        raise self._strange("an object without metadata")

    def _error(self, status: Mapping[str, Any]) -> errors.ApiError:
        message = errors.shorten(str(status.get("message") or "the watch was ended"))
        code = status.get("code")
        return errors.ApiError(f"{self._action}: {message}", status=code if isinstance(code, int) and code else 500)

    def _strange(self, what: str) -> errors.ConnectionFailed:
        """Return the error for a response that was replaced or truncated on the way, treated as no connection."""
        return errors.ConnectionFailed(f"{self._action}: the API server's response contains {what}")

    def _take_unreadable_page(self, answer: bytes) -> Mapping[str, Any]:
        """Process the items of a page one by one, since at least one cannot be decoded."""
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
        """Process one item of a page that could not be decoded as a whole."""
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
        except Exception as error:  # noqa: BLE001 - one object must not stop others
            deep = isinstance(error, RecursionError | TypeError) and unreadable.is_deep(item)  # orjson raises TypeError
            self._give_flawed(item, _Flaw(_reason(error)) if deep else self._bug(item, error))

    def _give_flawed(self, item: dict[str, Any], flaw: _Flaw) -> None:
        """Report an object that could not be decoded or stored: as usual, if only managed fields are at fault."""
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
        """Log an unexpected error caused by one object, and return its flaw."""
        _log.error(
            "a bug: an object cannot be processed",
            watch=self._action,
            object="/".join(_key(item["metadata"])),
            exc_info=error,
        )
        return _Flaw(f"it cannot be processed: {type(error).__name__}", exact=False)

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
    """Describe why an object could not be decoded; ``exact`` if only parts that are too deep are missing."""

    reason: str
    exact: bool = True


def _header(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that all items of a list share, and do not always contain themselves."""
    return {"apiVersion": page.get("apiVersion", ""), "kind": str(page.get("kind", "")).removesuffix("List")}


def _name(item: interfaces.Anything) -> str:
    """Return the name of an object; empty if it has none."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _number(version: interfaces.Anything) -> int:
    """Return a version as a number, since versions can be compared; 0 if it is not a number."""
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
