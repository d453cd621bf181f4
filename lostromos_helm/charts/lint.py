"""What a chart does with its values that whoever chooses them could make use of, as far as its text shows it."""

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
"""Functions whose result is no structure, or that another place is to blame for."""
_TPL: Final = re.compile(r"(?<![\w.$])tpl\s+(?![\"`]|\(?\s*\$?\.Files\b)|\|\s*tpl\b")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """Places in a chart (file:line). ``unquoted``: a value can become structure. ``rendered``: it can be a template."""

    unquoted: tuple[str, ...] = ()
    rendered: tuple[str, ...] = ()


def look(path: pathlib.Path) -> Places:
    """Find where a chart writes values without quotes, or renders them as templates; raises ConfigError."""
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
    """Whether a line writes a value where a line break in it would end the field."""
    for found in _ACTION.finditer(line):
        action = found[1]
        if not _VALUE.search(action) or _CONTROL.match(action) or _SAFE.search(action) or _TPL.search(action):
            continue
        before = line[: found.start()]
        if not before.count('"') % 2 and not before.count("'") % 2:
            return True
    return False
