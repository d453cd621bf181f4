"""Read YAML and JSON files that people write: the configuration, variables, resources.

Returns plain data, and the line of each field. The rules are those for templates: YAML 1.2, and an error with the line
where readers disagree (``yes``, ``0400``, ``12:30:45``) or a key is repeated. Anchors and aliases work, but no value
may contain itself, and the number of values is limited.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import yaml

from lostromos_core import errors
from lostromos_core.configuration import scalars

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

    from lostromos_core import interfaces

MOST: Final = 1_000_000
"""Maximum number of values in a document, with aliases expanded."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

Field: TypeAlias = tuple[str | int, ...]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Parsed:
    """Hold one document: its data, and the line (from 1) of each field; in a mapping, the line of the key."""

    data: Any
    lines: Mapping[Field, int]


class YamlError(ValueError):
    """Raised when a text is not YAML that we accept; ``line`` counts from 1, 0 if it is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line

    def at(self, path: pathlib.Path | str) -> str:
        """Return the message with its place: ``vars.yaml:7: ...``."""
        return f"{path}:{self.line}: {self}" if self.line else f"{path}: {self}"


def read(path: pathlib.Path) -> str:
    """Return the text of a file; raises YamlError."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise YamlError("there is no such file") from error
    except UnicodeDecodeError as error:
        raise YamlError(f"cannot be read: byte {error.start} is not UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise YamlError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def load(text: str) -> list[Any]:
    """Return the documents of a text as plain data, without empty ones; JSON is read as JSON. Raises YamlError."""
    if _is_json(text):
        try:
            return [_json(text)]
        except ValueError:
            pass  # parsed as YAML, it is refused with the line
    return [document.data for document in parse(text)]


def parse(text: str) -> list[Parsed]:
    """Return the documents of a text, without empty ones; raises YamlError."""
    if "\t" in text and _is_json(text):
        text = text.replace("\t", " ")  # JSON has tabs only between values, where YAML allows none
    try:
        parsed = [_parsed(node) for node in _nodes(text)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"not valid YAML: {error.problem}", mark.line + 1 if mark else 0) from error
    except yaml.YAMLError as error:
        raise YamlError(f"not valid YAML: {errors.shorten(str(error))}") from error
    except RecursionError as error:
        raise YamlError("nested too deeply") from error
    return [document for document in parsed if document.data is not None]


def dotted(field: Field) -> str:
    """Return a field as people write it: ``spec.ports[0].port``."""
    text = ""
    for step in field:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _is_json(text: str) -> bool:
    """Return whether a text is a list or a mapping in JSON."""
    if text.lstrip()[:1] not in {"{", "["}:
        return False
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _json(text: str) -> interfaces.Json:
    """Return the data of a JSON text; raises ValueError for what we do not accept."""
    data = json.loads(
        text,
        object_pairs_hook=_unique,
        parse_int=scalars.resolve,
        parse_float=scalars.resolve,
        parse_constant=_refuse,
    )
    if "\\u" in text:
        json.dumps(data, ensure_ascii=False).encode()  # fails for half of a surrogate pair
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _refuse("a key is repeated")
    return found


def _refuse(what: str) -> interfaces.Anything:
    raise ValueError(what)


def _nodes(text: str) -> Iterator[Any]:
    """Yield the documents as PyYAML's nodes."""
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            yield loader.get_node()
    except YamlError:
        raise
    except (ValueError, OverflowError) as error:
        raise YamlError("not valid YAML: an escape in quotes names no character", loader.line + 1) from error
    finally:
        loader.dispose()


def _parsed(node: interfaces.Anything) -> Parsed:
    lines: dict[Field, int] = {(): node.start_mark.line + 1}
    return Parsed(_value(node, (), lines, frozenset()), lines)


def _value(
    node: interfaces.Anything, field: Field, lines: dict[Field, int], inside: frozenset[int]
) -> interfaces.Anything:
    if id(node) in inside:
        raise _error(node, field, "contains itself through an alias")
    if len(lines) > MOST:
        raise _error(node, field[:1], f"has more than {MOST:,} values, with aliases expanded")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, field, lines, inside | {id(node)})
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            lines[*field, index] = item.start_mark.line + 1
            items.append(_value(item, (*field, index), lines, inside | {id(node)}))
        return items
    return _text(node, field) if node.style else _resolve(node, field, scalars.resolve)


def _mapping(
    node: interfaces.Anything, field: Field, lines: dict[Field, int], inside: frozenset[int]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _error(key_node, field, "a key must be a string, not a list or a mapping")
        key = _text(key_node, field) if key_node.style else _resolve(key_node, field, scalars.resolve_key)
        below = (*field, key)
        if key in found:
            raise _error(key_node, below, "the key is repeated")
        lines[below] = key_node.start_mark.line + 1
        found[key] = _value(value_node, below, lines, inside)
    return found


def _text(node: interfaces.Anything, field: Field) -> str:
    """Return a quoted text; two escapes that encode one character, as JSON writes it, become that character."""
    text: str = node.value
    if not _SURROGATE.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise _error(node, field, "a \\u escape is half of a pair, and no character without the other half") from error


def _resolve(node: interfaces.Anything, field: Field, resolve: interfaces.Anything) -> interfaces.Anything:
    try:
        return resolve(node.value)
    except scalars.AmbiguousScalarError as error:
        raise _error(node, field, str(error)) from error


def _error(node: interfaces.Anything, field: Field, message: str) -> YamlError:
    where = f"{dotted(field)}: " if field else ""
    return YamlError(f"{where}{message}", node.start_mark.line + 1)
