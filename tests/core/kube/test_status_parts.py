"""The parts of a status that we may write: what a schema takes, what is ours, and what stands in for what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core import interfaces
from lostromos_core.kube.kinds import fitting, placeholders, schema
from lostromos_core.kube.managed_fields import outdated, owned_fields

TEXT = {"type": "string"}
ITEM = {"type": "object", "properties": {"name": TEXT, "id": TEXT}}


@pytest.mark.parametrize(
    ("value", "declared", "kept"),
    [
        ("x", TEXT, "x"),
        ("x", {}, "x"),
        (1, TEXT, fitting.UNFIT),
        ("1", {"type": "integer"}, fitting.UNFIT),
        (True, {"type": "integer"}, fitting.UNFIT),
        (1, {"type": "number"}, 1),
        (1, {"x-kubernetes-int-or-string": True}, 1),
        ([1], {"type": "object"}, fitting.UNFIT),
        ({"a": 1}, {"type": "array"}, fitting.UNFIT),
        ([{"name": "a"}], {"type": "array", "items": TEXT}, fitting.UNFIT),
        ([{"name": "a"}], {"type": "array", "items": {**ITEM, "required": ["id"]}}, fitting.UNFIT),
        ([{"name": "a", "x": 1}, {"x": 2}], {"type": "array", "items": ITEM}, [{"name": "a"}]),
        ([{"name": "a"}] * 3, {"type": "array", "items": ITEM, "maxItems": 2}, [{"name": "a"}] * 2),
        ([], {"type": "array", "minItems": 1}, fitting.UNFIT),
        ([], {"type": "array"}, []),
        ("Ready", {"enum": ["True", "False"]}, fitting.UNFIT),
        ("x" * 9, {"type": "string", "maxLength": 4}, "xxx…"),
        ("x" * 9, {"type": "string", "maxLength": 4, "pattern": "x"}, fitting.UNFIT),
        ({"a": 1}, {"type": "object", "x-kubernetes-preserve-unknown-fields": True}, {"a": 1}),
        ({"a": 1}, {"type": "object", "properties": {"a": TEXT}}, fitting.UNFIT),
    ],
)
def test_as_much_is_kept_of_a_value_as_the_schema_takes(value: Any, declared: dict[str, Any], kept: Any) -> None:
    assert fitting.fit(value, declared) == kept


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        ({"resources": {"type": "object"}}, ["resources"]),
        ({"resources": {"type": "array", "items": TEXT}}, ["resources"]),
        ({"conditions": {"type": "object"}, "observedGeneration": TEXT}, ["observedGeneration", "conditions"]),
        ({"resources": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_names_of_ours_that_mean_something_else_are_told(declared: dict[str, Any], names: list[str]) -> None:
    assert schema.unfit({"type": "object", "properties": declared}) == names


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (TEXT, ""),
        ({"type": "array"}, []),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "number"}, 0),
        ({"type": "boolean"}, False),
        ({"x-kubernetes-int-or-string": True}, 0),
        ({"type": "string", "enum": ["Running", "Unknown"]}, "Unknown"),
        ({"type": "string", "minLength": 3}, "Unknown"),
        ({"type": "string", "default": "x"}, "x"),
        ({"type": "string", "format": "date-time"}, "1970-01-01T00:00:00Z"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "unknown"),
        ({"type": "string", "pattern": "^[0-9]*$", "minLength": 1}, "0"),
        ({"type": "object", "required": ["a"], "properties": {"a": {"type": "boolean"}, "b": TEXT}}, {"a": False}),
    ],
)
def test_the_smallest_value_says_nothing(declared: dict[str, Any], value: Any) -> None:
    found = placeholders.smallest(declared)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "declared",
    [
        {"type": "string", "enum": ["Running", "Failed"]},
        {"type": "string", "format": "uuid"},
        {"type": "string", "pattern": "^v"},
        {"type": "string", "pattern": "("},
        {"type": "array", "minItems": 1},
        {"type": "integer", "exclusiveMinimum": True, "minimum": 0},
        {"type": "object", "required": ["a"], "properties": {"a": {"enum": ["Running"]}}},
    ],
)
def test_no_value_is_made_up_that_says_something(declared: dict[str, Any]) -> None:
    with pytest.raises(placeholders.NothingFits):
        placeholders.smallest(declared)


@pytest.mark.parametrize(
    ("fields", "value", "owned"),
    [
        ({"f:a": {}}, {"a": {"x": 1}, "b": 2}, {"a": {"x": 1}}),
        ({"f:a": {".": {}, "f:x": {}}}, {"a": {"x": 1, "y": 2}}, {"a": {"x": 1}}),
        ({'k:{"name":"n"}': {".": {}, "f:v": {}}}, [{"name": "n", "v": 1, "w": 2}, {"name": "m"}], [{"name": "n", "v": 1}]),
        ({"v:1": {}}, [1, 2], [1]),
        ({"i:1": {}}, ["a", "b"], ["b"]),
        ({"f:gone": {}}, {"a": 1}, {}),
    ],
)  # fmt: skip
def test_what_a_manager_owns_is_selected_with_its_values(fields: dict[str, Any], value: Any, owned: Any) -> None:
    assert owned_fields.select(fields, value) == owned


def entry(manager: str, version: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "apiVersion": f"a.b/{version}", "fieldsV1": fields, **more}


def test_entries_of_a_version_that_is_gone_become_entries_of_another_one() -> None:
    before = [
        entry("kubectl", "v1alpha1", {"f:spec": {"f:a": {}}}),
        entry("kubectl", "v1", {"f:spec": {"f:b": {}}}),
        entry("kubectl", "v1", {"f:status": {}}, subresource="status"),
        entry("ours", "v1alpha1", {"f:spec": {}}, operation="Apply"),
        entry("other", "v1beta1", {"f:spec": {}}),
    ]
    assert outdated.rewrite(before, {"a.b/v1alpha1"}, "a.b/v1") == [
        entry("kubectl", "v1", {"f:spec": {"f:a": {}, "f:b": {}}}),
        entry("kubectl", "v1", {"f:status": {}}, subresource="status"),
        entry("ours", "v1", {"f:spec": {}}, operation="Apply"),
        entry("other", "v1beta1", {"f:spec": {}}),
    ]


@pytest.mark.parametrize("status", ["Ready", ["a"], None, 7, True])
def test_a_status_that_is_no_mapping_says_nothing(status: Any) -> None:
    ref = interfaces.ObjectRef("example.com/v1", "Thing", "ns", "a")
    assert interfaces.Resource("ns/a", ref, "u", {"status": status}).status == {}
