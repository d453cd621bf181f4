"""Find risky uses of values in the text of a chart, which the author of the values could exploit."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final, final

from lostromos_helm.charts import chart_files

if TYPE_CHECKING:
    import pathlib

_FILE: Final = re.compile(r"(?:.*/)?templates/.*\.(?:yaml|yml|tpl|txt)")
_ACTION: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
_VALUE: Final = re.compile(r"(?<![\w.)])\$?\.Values\b")
_CONTROL: Final = re.compile(r"/\*|(?:if|else|range|with|end|define|template|block|break|continue)\b|\$\w+\s*:?=")
_SAFE: Final = re.compile(
    r"\b(?:quote|squote|toYaml|toYamlPretty|toJson|toRawJson|toPrettyJson|toToml|int|int64|float64|len|include|"
    r"b64enc|b32enc|sha1sum|sha256sum|sha512sum|adler32sum|htpasswd|empty|not|eq|ne|lt|le|gt|ge|hasKey|has|fail)\b"
)
"""Functions whose result is not structure, or is the responsibility of another place."""
_TPL: Final = re.compile(r"(?<![\w.$])tpl\s+(?![\"`]|\(?\s*\$?\.Files\b)|\|\s*tpl\b")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """List places (file:line) where a value can add structure (``unquoted``) or be a template (``rendered``)."""

    unquoted: tuple[str, ...] = ()
    rendered: tuple[str, ...] = ()


def look(path: pathlib.Path) -> Places:
    """Find the places where a chart writes values without quotes or renders them as templates; raises ConfigError."""
    unquoted, rendered = [], []
    for name, text in sorted(chart_files.texts(path, lambda name: _FILE.fullmatch(name) is not None)):
        for number, line in enumerate(text.splitlines(), 1):
            if "{{" not in line:
                continue
            if not name.endswith(".txt") and _is_unquoted(line):
                unquoted.append(f"{name}:{number}")
            if any(_TPL.search(action) for action in _ACTION.findall(line)):
                rendered.append(f"{name}:{number}")
    return Places(tuple(unquoted), tuple(rendered))


def _is_unquoted(line: str) -> bool:
    """Return whether a line writes a value where a line break in the value would end the field."""
    for found in _ACTION.finditer(line):
        action = found[1]
        if not _VALUE.search(action) or _CONTROL.match(action) or _SAFE.search(action) or _TPL.search(action):
            continue
        before = line[: found.start()]
        if not before.count('"') % 2 and not before.count("'") % 2:
            return True
    return False
