"""Classify the files of a template folder: those that make objects, those that can be included, and all others."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors

if TYPE_CHECKING:
    import pathlib

_JINJA: Final = r"(?:j2|jinja2|jinja|tpl)"
_TEMPLATE: Final = re.compile(rf".*\.(?:yaml|yml|json)(?:\.{_JINJA})?")
_BARE: Final = re.compile(rf"[^.]+\.{_JINJA}")
_PART: Final = re.compile(rf".+\.{_JINJA}")
_OBJECT: Final = re.compile(r"(?m)^[ \t]*(?:-[ \t]+)?[\"']?kind[\"']?[ \t]*:")
_DOCUMENTATION: Final = re.compile(r".*\.(?:md|rst)|LICENSE.*|README.*", re.IGNORECASE)
ENDINGS: Final = ".yaml, .yml or .json, optionally followed by .j2, .jinja2, .jinja or .tpl, or in one of these alone"
"""Endings of template names, for messages."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """Hold the text of each file that may be included, by its path in the folder, and the paths of all other files."""

    sources: dict[str, str]
    others: tuple[str, ...]


def is_template(name: str) -> bool:
    """Decide whether the ending of a name is that of a file that makes objects, unless the name begins with ``_``."""
    return _TEMPLATE.fullmatch(_last(name)) is not None


def is_bare(name: str, source: str) -> bool:
    """Decide whether a file makes objects unless another one includes it: ``service.j2``, with a kind."""
    return _BARE.fullmatch(_last(name)) is not None and _OBJECT.search(source) is not None


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def read(folder: pathlib.Path) -> Files:
    """Return the files of a folder and its subfolders, sorted; raises ConfigError if the folder cannot be read."""
    if not folder.is_dir():
        what = "is a file, and must be a folder" if folder.exists() else "does not exist"
        way_out = "create it, or correct the path (relative to the configuration file)"
        msg = f"templates: the folder {folder} {what}; {way_out}"
        raise errors.ConfigError(msg)
    sources: dict[str, str] = {}
    others: list[str] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        # Skip hidden files: a ConfigMap volume contains every file twice, once in ..data.
        if any(part.startswith(".") for part in name.split("/")) or not path.is_file():
            continue
        if is_template(name) or _PART.fullmatch(_last(name)):
            sources[name] = _text(path)
        elif not _DOCUMENTATION.fullmatch(_last(name)):
            others.append(name)
    return Files(sources, tuple(others))


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"templates: cannot read {path}: {error}"
        raise errors.ConfigError(msg) from error


def absent(name: str, files: Files) -> str:
    """Return the message for a template that does not exist."""
    same = [one for one in files.others if one == name or _last(one) == _last(name)]
    if same:
        why = f"the file {same[0]} is not a template, since the name of a template ends in {ENDINGS}"
        return f"there is no template {name!r}: {why}"
    there = sorted(files.sources)
    shown = ", ".join(there[:_SHOWN]) + (", ..." if len(there) > _SHOWN else "")
    return f"there is no template {name!r} (available: {shown}){errors.nearest(name, there)}"


_SHOWN: Final = 30
