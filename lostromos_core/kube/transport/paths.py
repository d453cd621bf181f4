"""Build URL paths of the Kubernetes API so that no name can reach another object.

A client that does not quote names in paths turns the name ``../../kube-system/configmaps/x`` into another request.
Source of the rule: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#path-segment-names
"""

from __future__ import annotations

import functools
import urllib.parse

from lostromos_core import errors


@functools.lru_cache(maxsize=4096)
def segment(name: str) -> str:
    """Return a name as one quoted path segment; raises RefusedError for names that the API never allows."""
    if not name or name in {".", ".."} or "/" in name or "%" in name:
        shown = errors.shorten(name, 80)
        msg = f"{shown!r} cannot be a name in Kubernetes: it is empty, '.', '..', or contains '/' or '%'"
        raise errors.RefusedError(msg)
    return urllib.parse.quote(name, safe="")


def prefix(api_version: str) -> str:
    """Return ``/api/v1`` or ``/apis/GROUP/VERSION``."""
    group, _, version = api_version.rpartition("/")
    return f"/apis/{segment(group)}/{segment(version)}" if group else f"/api/{segment(version)}"


def collection(api_version: str, plural: str, namespace: str = "") -> str:
    """Return the path of all objects of a kind, in one namespace or (if empty) in all."""
    scope = f"/namespaces/{segment(namespace)}" if namespace else ""
    return f"{prefix(api_version)}{scope}/{segment(plural)}"


def item(api_version: str, plural: str, namespace: str, name: str, subresource: str = "") -> str:
    """Return the path of one object, or of a subresource such as ``status``."""
    path = f"{collection(api_version, plural, namespace)}/{segment(name)}"
    return f"{path}/{segment(subresource)}" if subresource else path
