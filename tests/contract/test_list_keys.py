"""The defaults of the keys of list items that built-in kinds have, compared with the API server's own schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lostromos_core.kube.kinds import list_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.controlplane import api as apis


def with_keys(value: Any) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """The keys of all lists below a schema that have any, and the properties of their items."""
    if isinstance(value, dict):
        if keys := value.get("x-kubernetes-list-map-keys"):
            yield keys, value["items"]
        for below in value.values():
            yield from with_keys(below)
    elif isinstance(value, list):
        for below in value:
            yield from with_keys(below)


def test_built_in_kinds_have_the_defaults_that_we_know_of(api: apis.Api) -> None:
    found: set[tuple[str, Any]] = set()
    groups = []
    for name in api.get("/openapi/v3")["paths"]:
        group = name.split("/")[1] if name.startswith("apis/") and name.count("/") == 2 else ""
        if name != "api/v1" and (not group or ("." in group and not group.endswith(".k8s.io"))):
            continue  # the kinds of other tests come and go
        document = api.get(f"/openapi/v3/{name}")
        schemas = document["components"]["schemas"]
        groups.append(group)
        for keys, items in with_keys(schemas):
            item = items
            for part in items.get("allOf") or ([items] if "$ref" in items else []):
                item = schemas[part["$ref"].rpartition("/")[2]]
            for key in keys:
                default = item.get("properties", {}).get(key, {}).get("default")
                if default not in (None, "", 0):
                    found.add((key, default))
    assert {"", "apps", "batch", "networking.k8s.io"} <= set(groups) <= list_keys.BUILT_IN_GROUPS
    assert found == set(list_keys.BUILT_IN.keys.items())
