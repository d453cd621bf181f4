"""The objects in what Helm renders: YAML as Helm itself reads it, which is not as YAML 1.2 has it.

Helm reads YAML 1.1 with the exceptions of Go's library: ``yes`` is a boolean and ``0644`` an octal number, but
``12:30:45`` is a text. Whether both read the same is tested against the real Helm.
Source: https://pkg.go.dev/sigs.k8s.io/yaml/goyaml.v2, resolve.go
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final, final

import yaml

from lostromos_core import errors, interfaces

if TYPE_CHECKING:
    from collections.abc import Mapping

_SOURCE: Final = re.compile(r"^# Source: (\S+)$", re.MULTILINE)
_SEPARATOR: Final = re.compile(r"^---\s*$", re.MULTILINE)
_INTEGER: Final = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TRUE: Final = frozenset({"true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE: Final = frozenset({"false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"})
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One object of a manifest: its data, the chart's file that made it, and a digest of its text."""

    ref: interfaces.ObjectRef
    data: Mapping[str, Any]
    file: str
    digest: bytes


def parse(text: str, namespace: str) -> list[Item]:
    """The objects of a manifest. Those without a namespace get the release's; cluster-scoped ones too, for now.

    Raises RenderError that names the chart's file.
    """
    found = []
    for part in _SEPARATOR.split(text):
        if not part.strip():
            continue
        source = _SOURCE.search(part)
        file = source.group(1) if source else ""
        try:
            data = yaml.load(part, Loader=_Loader)  # noqa: S506 - a safe loader with Go's scalars
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise errors.RenderError(f"not valid YAML: {errors.shorten(str(error), 200)}", place=file) from error
        if data is None:
            continue
        found += [_item(one, namespace, file, part) for one in _flat(data, file)]
    return found


def _flat(data: Any, file: str) -> list[Any]:  # noqa: ANN401 - whatever the chart made
    """A document, or the items of a List."""
    if isinstance(data, dict) and str(data.get("kind", "")).endswith("List") and isinstance(data.get("items"), list):
        return [one for item in data["items"] for one in _flat(item, file)]
    return [data]


def _item(data: Any, namespace: str, file: str, text: str) -> Item:  # noqa: ANN401 - whatever the chart made
    metadata = data.get("metadata") if isinstance(data, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if (
        metadata is None
        or not isinstance(name, str)
        or not all(isinstance(data.get(key), str) for key in ("apiVersion", "kind"))
    ):
        raise errors.RenderError("a document is no object with apiVersion, kind and metadata.name", place=file)
    ref = interfaces.ObjectRef(data["apiVersion"], data["kind"], str(metadata.get("namespace") or namespace), name)
    return Item(ref, data, file, hashlib.blake2b(text.strip().encode(), digest_size=12).digest())


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, if it is there."""


class _Loader(_Base):  # type: ignore[misc]
    """Builds plain data with the scalars of Go's library."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {  # noqa: RUF012 - as PyYAML has it
        "<": [("tag:yaml.org,2002:merge", re.compile(r"^<<$"))]
    }

    def construct_scalar_like_go(self, node: yaml.ScalarNode) -> Any:  # noqa: ANN401 - a scalar
        """A scalar: as text if it is quoted, and otherwise by what it looks like."""
        text = str(node.value)
        return text if node.style in {"'", '"', "|", ">"} else resolve(text)


_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.construct_scalar_like_go)


def resolve(text: str) -> Any:  # noqa: ANN401 - a scalar
    """What a plain scalar is to Go's library."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INTEGER.fullmatch(text):
        plain = text.replace("_", "")
        digits = plain.lstrip("+-")
        base = 8 if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit() else 0
        return int(plain, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
