"""Kinds of custom resources for tests: their definition, and how to make the API server serve them."""

import dataclasses
import re
from typing import Any, Final

from tests.controlplane import api, errors, waiting

DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

AGGREGATED_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_PLACE: Final = re.compile(r'"name":"([^"]+)","namespace":"([^"]+)"')

NOT_YET: Final = (404, 429)
"""What a collection answers before it is served: unknown, then "storage is (re)initializing"."""

ANYTHING: Final[api.Json] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
"""A schema that keeps whatever an author writes."""

STRING: Final[api.Json] = {"type": "string"}

STATUS: Final[api.Json] = {
    "type": "object",
    "properties": {
        "observedGeneration": {"type": "integer", "format": "int64"},
        "conditions": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type", "status"],
                "properties": {
                    **dict.fromkeys(("type", "status", "reason", "message"), STRING),
                    "lastTransitionTime": {"type": "string", "format": "date-time"},
                    "observedGeneration": {"type": "integer", "format": "int64"},
                },
            },
        },
        "resources": {"type": "array", "items": ANYTHING},
        "inventory": ANYTHING,
    },
}
"""A schema with all status fields that the operator writes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CustomKind:
    """A kind of custom resources, and the paths of its objects."""

    group: str
    kind: str = "WebApp"
    version: str = "v1"
    namespaced: bool = True

    @property
    def plural(self) -> str:
        return f"{self.kind.lower()}s"

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"

    @property
    def definition_name(self) -> str:
        return f"{self.plural}.{self.group}"

    def path(self, namespace: str | None = None, name: str | None = None, *, subresource: str | None = None) -> str:
        """The path of an object or, without a name, of the collection; without a namespace, of all namespaces."""
        place = f"/namespaces/{namespace}" if namespace else ""
        parts = [f"/apis/{self.api_version}{place}/{self.plural}", name, subresource]
        return "/".join(part for part in parts if part)

    def manifest(self, name: str, *, spec: Any = None, **metadata: Any) -> api.Json:
        """An object of this kind."""
        head = {"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": name, **metadata}}
        return head | {"spec": {} if spec is None else spec}


def definition(
    kind: CustomKind,
    *,
    spec: api.Json = ANYTHING,
    status: api.Json | None = STATUS,
    status_subresource: bool = True,
) -> api.Json:
    """The CustomResourceDefinition. `spec` and `status` are schemas; None leaves the status undeclared."""
    properties = {"spec": spec} | ({"status": status} if status else {})
    version = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "subresources": {"status": {}} if status_subresource else {},
    }
    names = {"kind": kind.kind, "listKind": f"{kind.kind}List", "plural": kind.plural, "singular": kind.kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.definition_name},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": names,
            "versions": [version],
        },
    }


def create(admin: api.Api, body: api.Json, *, timeout: float = 30.0) -> None:
    """Create a CustomResourceDefinition and wait until its objects can be listed and discovery tells of it."""
    admin.create(DEFINITIONS, body)
    name = body["metadata"]["name"]
    waiting.wait_until(lambda: _served(admin, body), timeout=timeout, message=f"{name} served")


def delete(admin: api.Api, name: str) -> None:
    """Delete a CustomResourceDefinition and with it all its objects, without waiting."""
    admin.delete(f"{DEFINITIONS}/{name}")


def delete_all(admin: api.Api, kind: CustomKind) -> None:
    """Delete a kind and its objects, also those whose finalizers nobody would remove any more.

    The API server deletes definitions five at a time and waits a minute for each that has such objects: left to
    itself, the sixth would wait for minutes.
    """
    for path in _with_finalizers(admin, kind):
        try:
            admin.send_text("PATCH", path, '{"metadata":{"finalizers":null}}', headers=api.PATCH_TYPES["merge"])
        except errors.ApiError as error:
            if error.status != 404:
                raise
    delete(admin, kind.definition_name)


def _with_finalizers(admin: api.Api, kind: CustomKind) -> list[str]:
    """The paths of all objects with finalizers; of all objects, if they are nested too deeply to be decoded."""
    try:
        listed = [item["metadata"] for item in admin.list(kind.path(), accept=METADATA_LIST) or ()]  # null: none
    except RecursionError:
        text = admin.send_text("GET", kind.path(), headers={"Accept": METADATA_LIST})
        return [kind.path(namespace, name) for name, namespace in _PLACE.findall(text)]
    return [kind.path(one.get("namespace"), one["name"]) for one in listed if one.get("finalizers")]


def wait_gone(admin: api.Api, kind: CustomKind, *, timeout: float = 120.0) -> None:
    """Wait until a definition that was deleted is gone, and its kind is no longer served.

    The API server lets it go in steps of several seconds, and may be busy.
    """
    definition_path = f"{DEFINITIONS}/{kind.definition_name}"
    waiting.wait_until(lambda: not admin.exists(definition_path), timeout=timeout, message=f"{definition_path} gone")
    waiting.wait_until(lambda: not admin.exists(kind.path()), timeout=timeout, message=f"{kind.path()} gone")


def _served(admin: api.Api, body: api.Json) -> bool:
    spec = body["spec"]
    try:
        for version in spec["versions"]:
            admin.list(f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}")
    except errors.ApiError as error:
        if error.status not in NOT_YET:
            raise
        return False
    return _discovered(admin, group=spec["group"], plural=spec["names"]["plural"])


def _discovered(admin: api.Api, *, group: str, plural: str) -> bool:
    groups = admin.get("/apis", accept=AGGREGATED_DISCOVERY)["items"]
    versions = [version for item in groups if item["metadata"]["name"] == group for version in item["versions"]]
    return any(resource["resource"] == plural for version in versions for resource in version.get("resources", []))
