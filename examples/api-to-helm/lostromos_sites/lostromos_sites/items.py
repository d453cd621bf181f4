"""From what the API lists to resources. Nothing in it is trusted: an item that is no site says so, and stops no other.

Pure functions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import pydantic

from lostromos_core import ObjectRef, Resource, errors

if TYPE_CHECKING:
    from collections.abc import Sequence

API_VERSION: Final = "sites.example.com/v1"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""What can be a name in Kubernetes, and harms in no address. Source: RFC 1123."""


class _Site(pydantic.BaseModel):
    """What we know of a site; other fields are left out."""

    title: Annotated[str, pydantic.Field(strict=True, max_length=200)]
    size: Literal["small", "large"] = "small"


def is_name(key: str) -> bool:
    """Whether a key is the name of a site, and not what stands for an item without a name."""
    return _NAME.fullmatch(key) is not None


def read(listed: Sequence[Any]) -> dict[str, Resource]:
    """The resources of all items, by key."""
    found: dict[str, Resource] = {}
    for number, item in enumerate(listed):
        resource = _resource(item, number)
        if resource.key in found:
            resource = _unreadable(resource.key, "the API lists two sites of this name; remove one of them")
        found[resource.key] = resource
    return found


def _resource(item: Any, number: int) -> Resource:  # noqa: ANN401 - whatever the API lists
    """An item as a resource. Without a usable name, its place in the list is its key, which can be no name."""
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not is_name(name):
        shown = errors.shorten(repr(name), 80)
        return _unreadable(f"#{number}", f"item {number} has the name {shown}; names are a-z, 0-9 and '-', at most 63")
    try:
        site = _Site.model_validate(item)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return _unreadable(name, f"{first['loc'][0]}: {first['msg']}")
    # No uid: with one, garbage collection would take the site for a Kubernetes object.
    return Resource(name, _ref(name), "", {"metadata": {"name": name}, "spec": site.model_dump()})


def _unreadable(key: str, why: str) -> Resource:
    return Resource(key, _ref(key), "", {"metadata": {"name": key}}, unreadable=errors.shorten(why))


def _ref(name: str) -> ObjectRef:
    return ObjectRef(API_VERSION, "Site", "", name)
