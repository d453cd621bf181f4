"""Build manifests from documents: require Kubernetes objects whose kind and control keys do not come from data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from lostromos_core import errors, interfaces
from lostromos_core.templates.data import values
from lostromos_core.templates.slots import program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lostromos_core.templates.slots import slots, written


def of(document: slots.Document, file: str, words: written.Words) -> Iterator[interfaces.Manifest]:
    """Yield the manifests of a document: one, or one per object of a list; raises RenderError with the place."""
    items = _items(document, file)
    if items is None:
        yield _manifest(document, file, words)
        return
    for node, data in items:
        yield from of(dataclasses.replace(document, data=data, node=node), file, words)


def _items(document: slots.Document, file: str) -> Iterable[tuple[program.Node, Any]] | None:
    """Return the objects of a list, each with its node; None if the document is not a list."""
    data, node = document.data, program.unfixed(document.node)
    if not isinstance(data, dict) or not isinstance(node, program.Fields) or not isinstance(data.get("kind"), str):
        return None
    found = data.get("items")
    if data["kind"] != "List" and not (
        data["kind"].endswith("List") and isinstance(found, list) and found and all(map(_has_kind, found))
    ):
        return None
    items = node.child("items")
    inner = program.unfixed(items) if items is not None else None
    if not found:
        return ()
    if not isinstance(inner, program.Items) or any(isinstance(one, program.Spread) for one in inner.nodes):
        raise _no_object(document, ("items",), "the objects of a list must be written in the template", file)
    return zip(inner.nodes, found, strict=True)


def _has_kind(value: object) -> bool:
    return isinstance(value, dict) and "kind" in value


def _manifest(document: slots.Document, file: str, words: written.Words) -> interfaces.Manifest:
    """Return a document as a manifest; raises RenderError if it is not a Kubernetes object."""
    data, node = document.data, program.unfixed(document.node)
    if not isinstance(node, program.Fields):
        raise _no_object(
            document,
            (),
            f"a document must be a mapping written in the template, not {_what(data, node)}",
            file,
        )
    _check_kind(document, node, file, words)
    metadata = data.get("metadata")
    if not isinstance(metadata, Mapping):
        raise _no_object(document, ("metadata",), "metadata must be a mapping with a name", file)
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        hint = "; put the expression in quotes" if isinstance(name, int | float) else ""
        msg = f"metadata.name must be a string, but is {_found(name)}{hint}"
        raise _no_object(document, ("metadata", "name"), msg, file)
    if not isinstance(metadata.get("namespace", ""), str):
        raise _no_object(document, ("metadata", "namespace"), "metadata.namespace must be a string", file)
    for marks in ("labels", "annotations"):
        pairs = metadata.get(marks)
        if pairs is not None and not isinstance(pairs, Mapping):
            hint = "; | from_yaml makes one from text" if isinstance(pairs, str) else ""
            msg = f"metadata.{marks} must be a mapping, not {values.kind_of(pairs)}{hint}"
            raise _no_object(document, ("metadata", marks), msg, file)
        if isinstance(pairs, Mapping) and any(key.startswith(interfaces.CONTROL_PREFIXES) for key in pairs):
            _refuse_control(document, marks, file)
    return interfaces.Manifest(data, document)


def _check_kind(document: slots.Document, node: program.Fields, file: str, words: written.Words) -> None:
    """Raise RenderError unless apiVersion and kind are written in the template, or chosen among words in it."""
    data = document.data
    for key in ("apiVersion", "kind"):
        value = node.child(key)
        if key not in data:
            raise _no_object(document, (), f"{key} is missing; an object has apiVersion, kind and metadata.name", file)
        if value is None or not words.covers(value, document.slots, document.places):
            raise _no_object(document, (key,), f"{key} {_NOT_WRITTEN}", file)
        if not isinstance(data[key], str) or not data[key]:
            raise _no_object(document, (key,), f"{key} must be a string, but is {_found(data[key])}", file)


def _refuse_control(document: slots.Document, marks: str, file: str) -> None:
    """Raise RenderError for control keys that come from a value: only the template's author may set them."""
    node: program.Node | None = document.node
    for name in ("metadata", marks):
        node = program.unfixed(node) if node is not None else None
        node = node.child(name) if isinstance(node, program.Fields) else None
    fields = program.unfixed(node) if node is not None else None
    written = (
        {key.value for key, _ in fields.pairs if isinstance(key, program.Constant)}
        if isinstance(fields, program.Fields)
        else set()
    )
    for key in document.data["metadata"][marks]:
        if key.startswith(interfaces.CONTROL_PREFIXES) and key not in written:
            prefix = next(one for one in interfaces.CONTROL_PREFIXES if key.startswith(one))
            msg = (
                f"metadata.{marks}: a value adds a key that begins with {prefix}, and such keys tell the "
                "operator what to do; write the key in the template, with an expression as its value, or leave it out "
                "of the data"
            )
            raise _no_object(document, ("metadata", marks), msg, file)


_NOT_WRITTEN: Final = (
    'must be written in the template, not made by an expression; one that chooses among written words is fine: {{ "A" '
    'if ... else "B" }}'
)


def _found(value: object) -> str:
    return "empty" if value == "" else "missing" if value is None else values.kind_of(value)


def _what(data: object, node: program.Node) -> str:
    return "an expression" if isinstance(node, program.Typed) else values.kind_of(data)


def _no_object(document: slots.Document, path: interfaces.Path, message: str, file: str) -> errors.RenderError:
    return errors.RenderError(message, place=str(document.locate(path) or file))


def refuse_twins(units: tuple[interfaces.Unit, ...]) -> None:
    """Raise RenderError if two manifests describe the same object: they would overwrite each other forever."""
    seen: dict[tuple[str, ...], interfaces.Manifest] = {}
    for manifest in (manifest for unit in units for manifest in unit.manifests):
        ref = manifest.ref
        if ref.key in seen:
            first = seen[ref.key].locate()
            msg = f"{ref} occurs twice, here and at {first}"
            raise errors.RenderError(msg, place=str(manifest.locate() or ""))
        seen[ref.key] = manifest
