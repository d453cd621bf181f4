"""Whether a kind has been removed from the cluster, for sure: with it, all of its objects are gone.

Discovery alone proves nothing: a server that has just started behind a load balancer does not list custom kinds for a
moment, and a group whose server is down lists none. What is decided here lets finalizers come off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lostromos_core import errors
from lostromos_core.kube import paths, requests

if TYPE_CHECKING:
    from lostromos_core.kube import client

DEFINITIONS: Final = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
LONG_ENOUGH: Final = 60.0
"""Seconds that discovery has to miss a kind where we may not read the definitions themselves."""


async def is_removed(kube: client.Kube, group: str, kind: str) -> bool:
    """Return whether a kind is neither served nor defined; False while that is not sure. Raises ApiError."""
    if await kube.discovery.by_group_kind(group, kind) is not None:
        return False
    try:
        return not await _is_defined(kube, group, kind)
    except errors.ApiError as error:
        if error.status != 403:  # noqa: PLR2004 - HTTP
            raise
    return kube.discovery.missing_for(group, kind) >= LONG_ENOUGH


async def _is_defined(kube: client.Kube, group: str, kind: str) -> bool:
    """Return whether a CustomResourceDefinition makes a kind; raises ApiError."""
    path = paths.collection(*DEFINITIONS)
    async for metadata in requests.pages(kube, path, action="look for the definition of a kind"):
        name = metadata["name"]
        if not name.endswith(f".{group}"):
            continue
        try:
            found = await kube.request("GET", paths.item(*DEFINITIONS, "", name), action=f"read the definition {name}")
        except errors.ApiError as error:
            if error.status != requests.NOT_FOUND:
                raise
            continue
        if found["spec"]["group"] == group and found["spec"]["names"]["kind"] == kind:
            return True
    return False
