"""Check the syntax of what selects objects: label selectors, names of labels and annotations, namespaces.

Checked when the configuration is read, since the API server reports errors only later, and in less detail.
Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re

_SUBDOMAIN = r"(?=[^/]{1,253}/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/"
_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?:{_SUBDOMAIN})?{_NAME}"
_VALUES = rf"\(\s*(?:{_NAME})?(?:\s*,\s*(?:{_NAME})?)*\s*\)"
_REQUIREMENT = re.compile(
    rf"!\s*{_KEY}|{_KEY}(?:\s*(?:==?|!=)\s*(?:{_NAME})?|\s+(?:in|notin)\s*{_VALUES}|\s*[<>]\s*-?[0-9]+)?"
)
_COMMA = re.compile(r",(?![^()]*\))")
_IS_KEY = re.compile(_KEY)
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def check_labels(selector: str) -> str:
    """Return a label selector, stripped; raises ValueError that names the invalid part and the valid forms."""
    for part in _COMMA.split(selector) if selector.strip() else ():
        if not _REQUIREMENT.fullmatch(part.strip()):
            forms = "key=value, key!=value, key in (a, b), key notin (a, b), key, or !key"
            msg = f"{part.strip()!r} is not a valid part of a label selector; write, separated by commas: {forms}"
            raise ValueError(msg)
    return selector.strip()


def check_annotation(selection: str) -> str:
    """Return ``key`` or ``key=value`` unchanged; raises ValueError if it is invalid."""
    key = selection.partition("=")[0]
    if selection and not _IS_KEY.fullmatch(key):
        msg = f"{key!r} is not a valid annotation name; write key, or key=value"
        raise ValueError(msg)
    return selection


def check_namespaces(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of namespaces unchanged; raises ValueError for an invalid or duplicate one."""
    for index, name in enumerate(names):
        if not _NAMESPACE.fullmatch(name):
            msg = (
                f"{name!r} is not a valid namespace name: use lower-case letters, digits and '-', at most 63 characters"
            )
            raise ValueError(msg)
        if name in names[:index]:
            msg = f"{name!r} is given twice; remove one"
            raise ValueError(msg)
    return names
