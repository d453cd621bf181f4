"""Suggest replacements for names known from other tools, in messages about missing names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALONE: Final = "write the expression alone, {{ x }}: a value keeps its type and its place"
_FILTERS: Final = {
    **dict.fromkeys(("toYaml", "toJson", "nindent", "yaml", "load_yaml", "yaml_safe", "squote"), _ALONE),
    "b64enc": "write | b64encode", "b64dec": "write | b64decode", "sha256sum": "write | sha256",
    "sha1sum": "write | sha1", "trunc": 'write x[:63], or | truncate(63, true, "")',
    "format": "write the text with {{ ... }} in it, or use ~", "random": "renderings must be repeatable",
    "password_hash": "renderings must be repeatable; keep it in a Secret, and look that up",
    "to_datetime": "there is no clock in templates", "mandatory": "a missing field is already an error",
    "required": "a missing field is already an error",
    "from_yaml_all": "write | from_yaml, for one document",
}  # fmt: skip
_LOOKUPS: Final = {
    "template": '{% include "_name.yaml" %} at the place, or {% set x %}{% include ... %}{% endset %}',
    "file": '{% include "_name.yaml" %} at the place, with {% raw %} in that file if it has braces of its own',
    "env": "a variable: vars.NAME, with varsFrom: environment in the configuration",
    "vars": "the variable itself, or vars[name]",
    "password": "a Secret that something else makes, and lookup of it",
    "k8s": "lookup(apiVersion, kind, name, namespace=...), for one object",
    "pipe": "a variable: vars.NAME", "url": "a variable: vars.NAME", "dict": "x | dict2items",
    "first_found": '{% include ["a.yaml", "b.yaml"] %}', "fileglob": "one {% include %} for each file",
}  # fmt: skip
_VARIABLES: Final = {
    "query": "write lookup(apiVersion, kind, name), for one object",
    "q": "write lookup(apiVersion, kind, name), for one object",
    "Values": "write resource.spec, or vars for what the operator chooses",
    "Release": "write resource.metadata.name and resource.metadata.namespace",
    "Chart": "write vars for what the operator chooses",
    "ansible_operator_meta": "write resource.metadata",
    "meta": "write resource.metadata",
    "item": "write {% for item in ... %}",
}
_SEEN: Final = ("resource", "vars", "lookup", "range", "dict", "namespace", "omit")
TAKES: Final = "lookup takes strings: lookup(apiVersion, kind, name, namespace=...)"


def of_filter(name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown filter."""
    return f"No filter named {name!r}{_remedy(_FILTERS.get(name.rpartition('.')[2]), name, known)}"


def of_test(name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown test."""
    return f"No test named {name!r}{_remedy(None, name, known)}"


def _remedy(written: str | None, name: str, known: Iterable[str]) -> str:
    if written:
        return f"; {written}"
    return errors.nearest(name, sorted(known)) or "; a plug-in can add it"


def of_lookup(first: object) -> str:
    """Return what to write instead of a lookup plug-in of Ansible; empty if ``first`` does not name one."""
    name = first.rpartition(".")[2] if isinstance(first, str) else ""
    return f"lookup({name!r}, ...) is Ansible's; write {_LOOKUPS[name]}" if name in _LOOKUPS else ""


def of_variable(name: str) -> str:
    """Return the message for an unknown variable."""
    remedy = f"; {_VARIABLES[name]}" if name in _VARIABLES else errors.nearest(name, _SEEN)
    return f"there is no variable {name!r}; templates see resource, vars, and what they set themselves{remedy}"
