"""YAML files that people write: the configuration, variables, resources. Plain data, and the line of each field.

The same rules as in templates: YAML 1.2, and an error with the line where readers disagree (``yes``, ``0400``,
``12:30:45``) or where a key comes twice. Anchors and aliases work, but nothing may contain itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeAlias, final

import yaml

from lostromos_core import errors, scalars

if TYPE_CHECKING:
    from collections.abc import Mapping

Field: TypeAlias = tuple[str | int, ...]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Parsed:
    """One document: its data, and the line (from 1) of each field; a mapping's field is the line of its key."""

    data: Any
    lines: Mapping[Field, int]


class YamlError(ValueError):
    """A text is no YAML that we take; ``line`` counts from 1, 0 if it is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str) -> list[Parsed]:
    """The documents of a text, without empty ones; raises YamlError."""
    try:
        parsed = [_parsed(node) for node in yaml.compose_all(text, yaml.SafeLoader)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"not valid YAML: {error.problem}", mark.line + 1 if mark else 0) from error
    except yaml.YAMLError as error:
        raise YamlError(f"not valid YAML: {errors.shorten(str(error))}") from error
    except RecursionError as error:
        raise YamlError("nested too deeply") from error
    return [document for document in parsed if document.data is not None]


def dotted(field: Field) -> str:
    """``spec.ports[0].port``: a field as people write it."""
    text = ""
    for step in field:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _parsed(node: Any) -> Parsed:  # noqa: ANN401 - PyYAML is untyped
    lines: dict[Field, int] = {(): node.start_mark.line + 1}
    return Parsed(_value(node, (), lines, frozenset()), lines)


def _value(node: Any, field: Field, lines: dict[Field, int], inside: frozenset[int]) -> Any:  # noqa: ANN401 - as above
    if id(node) in inside:
        raise _error(node, field, "contains itself through an alias")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, field, lines, inside | {id(node)})
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            lines[*field, index] = item.start_mark.line + 1
            items.append(_value(item, (*field, index), lines, inside | {id(node)}))
        return items
    return node.value if node.style else _resolve(node, field, scalars.resolve)


def _mapping(node: Any, field: Field, lines: dict[Field, int], inside: frozenset[int]) -> dict[str, Any]:  # noqa: ANN401 - as above
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _error(key_node, field, "a key must be a string, and this is a list or a mapping")
        key = key_node.value if key_node.style else _resolve(key_node, field, scalars.resolve_key)
        below = (*field, key)
        if key in found:
            raise _error(key_node, below, "the key comes twice")
        lines[below] = key_node.start_mark.line + 1
        found[key] = _value(value_node, below, lines, inside)
    return found


def _resolve(node: Any, field: Field, resolve: Any) -> Any:  # noqa: ANN401 - as above
    try:
        return resolve(node.value)
    except scalars.AmbiguousScalarError as error:
        raise _error(node, field, str(error)) from error


def _error(node: Any, field: Field, message: str) -> YamlError:  # noqa: ANN401 - as above
    where = f"{dotted(field)}: " if field else ""
    return YamlError(f"{where}{message}", node.start_mark.line + 1)
