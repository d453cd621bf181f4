"""Find mistakes in a template before it is rendered: unknown names, and tags that are not closed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import jinja2
from jinja2 import nodes

from lostromos_core import errors
from lostromos_core.templates.sandbox import advice

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCKS: Final = frozenset(
    {"if", "for", "macro", "call", "filter", "block", "with", "autoescape", "yaml", "json", "raw"}
)
_TESTING: Final = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}
"""Filters that take the name of a test, with the index of that argument."""
_OPENS: Final = re.compile(r"\{[{%#]")
_RAW_TAG: Final = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_CLOSES: Final = {"{{": "}}", "{%": "%}", "{#": "#}"}
_FOREIGN: Final = re.compile(r"unexpected |Missing end of|expected token|Encountered unknown tag")
_RAW: Final = "; if the braces are meant for another program, put {% raw %} and {% endraw %} around them"
_NO_QUOTES: Final = "the filter quote does nothing: a value needs no quotes here"


def names(tree: nodes.Template, environment: jinja2.Environment) -> Iterator[tuple[int, str]]:
    """Yield the line and the message for each unknown filter or test in a template."""
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        message = _wrong(node, environment)
        if message:
            yield node.lineno, message


def notes(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """Yield the line and a note for each construct that has no effect, or that fails when it is reached."""
    for node in tree.find_all((nodes.Filter, nodes.Call)):
        quotes = isinstance(node, nodes.Filter) and node.name == "quote"
        note = _NO_QUOTES if quotes else _lookup(node)
        if note:
            yield node.lineno, note


def _lookup(node: nodes.Node) -> str:
    """Return what to write instead if a call is a lookup plug-in of Ansible; empty otherwise."""
    if not isinstance(node, nodes.Call):
        return ""
    first = node.args[0] if node.args else None
    is_lookup = isinstance(node.node, nodes.Name) and node.node.name in {"lookup", "query", "q"}
    return advice.of_lookup(first.value) if is_lookup and isinstance(first, nodes.Const) else ""


def _wrong(node: nodes.Node, environment: jinja2.Environment) -> str:
    if isinstance(node, nodes.Test):
        return "" if node.name in environment.tests else advice.of_test(node.name, environment.tests)
    assert isinstance(node, nodes.Filter)  # noqa: S101 - for the type checker
    if node.name not in environment.filters:
        return advice.of_filter(node.name, environment.filters)
    given = [one.value if isinstance(one, nodes.Const) else None for one in node.args]
    if node.name == "map" and given and isinstance(given[0], str) and given[0] not in environment.filters:
        return advice.of_filter(given[0], environment.filters)
    index = _TESTING.get(node.name, len(given))
    test = given[index] if index < len(given) else None
    return "" if not isinstance(test, str) or test in environment.tests else advice.of_test(test, environment.tests)


def syntax(error: jinja2.TemplateSyntaxError, source: str) -> tuple[int, str]:
    """Return the line and the message of a syntax error: where an unclosed tag was opened, and what to do."""
    message = error.message or ""
    opened = _unclosed_tag(source)
    if opened is None and ("end of template" in message or "needs to be closed" in message):
        opened = _unclosed_block(source)
    if opened is not None:
        line, what = opened
        hint = _RAW if what.startswith("{") else ""
        return line, f"{what} is opened here and not closed: {message}{hint}"
    hint = _RAW if _FOREIGN.match(message) and "tag 'end" not in message else ""
    return error.lineno, message + hint


def _unclosed_tag(source: str) -> tuple[int, str] | None:
    """Return the line and the text of the first ``{{``, ``{%`` or ``{#`` that is not closed, or None."""
    position = 0
    while opening := _OPENS.search(source, position):
        end = source.find(_CLOSES[opening[0]], opening.end())
        if end < 0:
            return source.count("\n", 0, opening.start()) + 1, opening[0]
        raw = _RAW_TAG.match(source, opening.start())
        position = source.find("endraw", end) if raw else end + 2
        if position < 0:
            return None
    return None


def _unclosed_block(source: str) -> tuple[int, str] | None:
    """Return the line and the name of the innermost tag that is still open at the end, or None.

    Stops where a different tag is closed. Tags are found by a regular expression, as far as it can read them.
    """
    stack: list[tuple[int, str]] = []
    for line, name, rest in _tags(source):
        if name in _BLOCKS or (name == "set" and "=" not in rest):
            stack.append((line, name))
        elif name.startswith("end"):
            if not stack or stack[-1][1] != name[3:]:
                break
            stack.pop()
    if not stack:
        return None
    return stack[-1][0], f"the tag {stack[-1][1]}"


def _tags(source: str) -> Iterator[tuple[int, str, str]]:
    for match in re.finditer(r"\{%[-+]?\s*(\w+)(.*?)%\}", source, re.DOTALL):
        yield source.count("\n", 0, match.start()) + 1, match[1], match[2]


def hyphen(word: str, line: str) -> str:
    """Return a hint if a missing name is part of a name with a hyphen; empty otherwise."""
    for found in _HYPHENS.finditer(line):
        before, _, name = found[0].rpartition(".")
        if word in name.split("-"):
            return f'; a name with a hyphen goes into brackets: {before or "x"}["{name}"]'
    return ""


_HYPHENS: Final = re.compile(r"[\w.]+(?:-\w+)+")


def refuse(found: Iterator[tuple[int, str]], file: str) -> None:
    """Raise ConfigError for the first mistake, if any, with the number of the others."""
    wrong = list(found)
    if wrong:
        line, message = wrong[0]
        more = f" (and {len(wrong) - 1} more in this file)" if len(wrong) > 1 else ""
        msg = f"{file}:{line}: not a valid template: {message}{more}"
        raise errors.ConfigError(msg)
