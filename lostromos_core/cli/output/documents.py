"""Write objects as YAML for people: multi-line texts as block scalars, if every reader gets the same text back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from lostromos_core.configuration import scalars
from lostromos_core.templates.data import values

if TYPE_CHECKING:
    from lostromos_core import interfaces


class _Dumper(yaml.CSafeDumper):
    """Quote strings wherever a reader could take them for something else."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Return True: equal values are written out in full, since aliases are hard to read."""
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = "\n" not in text and scalars.is_plain_string(text)
    style = None if is_plain else "|" if _is_block(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(item: interfaces.Json) -> str:
    """Return one document, in block style, with keys in their order."""
    text: str = yaml.dump(
        values.plain(item), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31 - 1, indent=2
    )
    return text.removesuffix("...\n")


def _is_block(text: str) -> bool:
    """Return whether a block scalar represents exactly this text, and contains nothing that is easily overlooked."""
    *lines, last = text.split("\n")
    if not lines or not lines[0] or lines[0].startswith(" ") or not (last or lines[-1]):
        return False
    return all(line == line.rstrip() and line.isprintable() for line in (*lines, last))
