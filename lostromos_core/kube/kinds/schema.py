"""Determine which status fields a kind declares: server-side apply rejects others with a special error.

Read from the OpenAPI document of the kind's group and version, which every authenticated user may read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lostromos_core import errors
from lostromos_core.kube.kinds import fitting
from lostromos_core.kube.transport import paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.kube.transport import client

STATUS_FIELDS = ("conditions", "observedGeneration", "resources")
SNIPPET = """\
status:
  type: object
  properties:
    observedGeneration: {type: integer, format: int64}
    conditions:
      type: array
      x-kubernetes-list-type: map
      x-kubernetes-list-map-keys: [type]
      items:
        type: object
        required: [type, status]
        properties:
          type: {type: string}
          status: {type: string}
          reason: {type: string}
          message: {type: string}
          observedGeneration: {type: integer, format: int64}
          lastTransitionTime: {type: string, format: date-time}
    resources:
      type: array
      items:
        type: object
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          namespace: {type: string}
          name: {type: string}
          action: {type: string}
          message: {type: string}
"""
"""Schema to add to a CustomResourceDefinition below ``openAPIV3Schema.properties``."""


_CONDITION: Final = ("type", "status", "reason", "message", "observedGeneration", "lastTransitionTime")
_OPEN: Final = fitting.OPEN
_SAMPLES: Final[Mapping[str, Any]] = {
    "observedGeneration": 1,
    "conditions": [dict.fromkeys(_CONDITION[:4], "Ready")],
    "resources": [dict.fromkeys(("apiVersion", "kind", "namespace", "name", "action", "message"), "Thing")],
}
"""Sample values of our fields."""


def usable(declared: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return a status schema if we can write to it, since it is a mapping; else an empty one."""
    found = declared or {}
    return found if found.get(_OPEN) or found.get("type", "object") == "object" else {}


def missing(declared: Mapping[str, Any]) -> list[str]:
    """Return our fields that a status schema does not declare, such as ``conditions[].reason``."""
    if declared.get(_OPEN):
        return []
    properties = declared.get("properties") or {}
    found = [field for field in STATUS_FIELDS if field not in properties]
    items = (properties.get("conditions") or {}).get("items") or {}
    if "conditions" in properties and not items.get(_OPEN):
        found += [f"conditions[].{field}" for field in _CONDITION if field not in (items.get("properties") or {})]
    return found


def unfit(declared: Mapping[str, Any]) -> list[str]:
    """Return our fields whose names a status schema uses for other purposes."""
    properties = declared.get("properties") or {}
    found = [name for name in _SAMPLES if name in properties]
    if any(field.startswith("conditions[") for field in missing(declared)) and _is_list(properties["conditions"]):
        found.remove("conditions")  # reported by missing()
    return [name for name in found if fitting.fit(_SAMPLES[name], properties[name]) is fitting.UNFIT]


def _is_list(declared: Mapping[str, Any]) -> bool:
    return declared.get("type") == "array" and (declared.get("items") or {}).get("type", "object") == "object"


def required(declared: Mapping[str, Any]) -> list[str]:
    """Return the fields that a status schema requires and that are not ours."""
    return sorted(set(declared.get("required") or ()) - set(STATUS_FIELDS))


async def status_schema(kube: client.Transport, api_version: str, kind: str) -> Mapping[str, Any] | None:
    """Return the schema of a kind's ``status``, None if it declares none; raises ApiError."""
    schema = await schema_of(kube, api_version, kind)
    if schema.get(_OPEN):
        return {_OPEN: True}
    status: Mapping[str, Any] | None = (schema.get("properties") or {}).get("status")
    return status


async def schema_of(kube: client.Transport, api_version: str, kind: str) -> Mapping[str, Any]:
    """Return the OpenAPI schema of a kind; raises ApiError, also if it is not available yet."""
    path = paths.prefix(api_version).removeprefix("/")
    document = await kube.request("GET", f"/openapi/v3/{path}", action=f"read the schema of {kind}")
    group, _, version = api_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    for schema in (document.get("components", {}).get("schemas") or {}).values():
        if wanted in (schema.get("x-kubernetes-group-version-kind") or ()):
            found: Mapping[str, Any] = schema
            return found
    msg = f"there is no schema for {kind} in {api_version} yet"
    raise errors.ApiError(msg, status=404, reason="NotFound", retryable=True)
