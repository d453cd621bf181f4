"""What can be read of JSON that no decoder takes."""

from __future__ import annotations

import json
from typing import Any

import hypothesis
import orjson
import pytest
from hypothesis import strategies

from lostromos_core.kube.transport import unreadable

DEPTHS = (210, 300, 1_100, 9_900)


def lists(depth: int) -> str:
    return "[" * depth + "]" * depth


def maps(depth: int, key: str = "a") -> str:
    return f'{{"{key}":' * depth + "{}" + "}" * depth


def mixed(depth: int) -> str:
    return '{"]}":[' * (depth // 2) + "]}" * (depth // 2)


SHAPES = {"lists": lists, "maps": maps, "mixed": mixed}


def managed(fields: str, manager: str = "kubectl") -> str:
    return (
        f'{{"manager":"{manager}","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{fields}}}'
    )


def thing(spec: str, fields: str, more: str = "") -> bytes:
    """An object as the API server writes it, with its keys in order; ours is the second manager."""
    ours = managed('{"f:spec":{}}', "lostromos/app")
    return (
        '{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"annotations":{"x":"[[[{{{"},"finalizers":["a/b"],'
        f'"generation":3,"labels":{{"app":"a\\"}}{{"}},"managedFields":[{managed(fields)},{ours}],"name":"web",'
        f'"namespace":"ns","resourceVersion":"7","uid":"u"}},"spec":{spec}{more}}}'
    ).encode()


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("shape", SHAPES)
def test_managed_fields_that_are_too_deep_are_left_out_and_nothing_else_is(shape: str, depth: int) -> None:
    deep, plain = (thing('{"text":"1"}', fields) for fields in (SHAPES[shape](depth), "{}"))
    found, exact = unreadable.lenient(deep) if depth > 1_000 else (orjson.loads(deep), True)
    assert exact
    wanted = orjson.loads(plain)
    del wanted["metadata"]["managedFields"][0]["fieldsV1"]
    assert unreadable.sift(found) == wanted
    if depth > 1_000:
        assert unreadable.loads(deep) == wanted
        pages = unreadable.loads(b'{"items":[' + deep + b"," + plain + b"]}")
        assert pages["items"][0] == wanted
        assert "fieldsV1" in pages["items"][1]["metadata"]["managedFields"][0]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("shape", SHAPES)
def test_of_an_object_whose_spec_is_too_deep_the_rest_is_known(shape: str, depth: int) -> None:
    deep = SHAPES[shape](depth)
    text = thing(deep, deep, ',"status":{"observedGeneration":2}')
    found, exact = unreadable.lenient(text) if depth > 1_000 else (orjson.loads(text), True)
    assert exact
    assert unreadable.sift(found) is None
    outline = unreadable.outline(found)
    assert set(outline) == {"apiVersion", "kind", "metadata", "status"}
    metadata = outline["metadata"]
    assert metadata["labels"] == {"app": 'a"}{'}
    assert [entry["manager"] for entry in metadata["managedFields"]] == ["kubectl", "lostromos/app"]
    assert metadata["managedFields"][1]["fieldsV1"] == {"f:spec": {}}
    assert {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion", "generation", "finalizers")} == {
        "name": "web", "namespace": "ns", "uid": "u", "resourceVersion": "7", "generation": 3, "finalizers": ["a/b"],
    }  # fmt: skip
    orjson.dumps(outline)
    if depth > 1_000:
        with pytest.raises(orjson.JSONDecodeError):
            unreadable.loads(text)


def test_a_status_that_is_too_deep_is_left_out_alone() -> None:
    found, _ = unreadable.lenient(thing("{}", "{}", f',"status":{maps(2_000)}'))
    assert set(unreadable.outline(found)) == {"apiVersion", "kind", "metadata"}


@pytest.mark.parametrize(
    "text",
    [
        thing("{}", "{}").replace(b'"text"', b'"\\ud800"').replace(b"web", b"w\xffb"),
        thing('{"n":NaN}', "{}"),
        thing('{"n":' + "1" * 400 + "}", "{}"),
        thing('{"t":"a\x00b"}', "{}"),
    ],
)
def test_what_is_not_quite_json_is_read_as_well_as_it_can_be(text: bytes) -> None:
    found, exact = unreadable.lenient(text)
    assert found["metadata"]["uid"] == "u"
    assert not exact or orjson.loads(text) == found


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b'{"metadata":{"name":"a"}', b'{"metadata":{"name":"a', b'{"a":1} x', b"{}}", b"[", b"{x}"]
)
def test_what_is_no_whole_json_value_is_none(text: bytes) -> None:
    assert unreadable.lenient(text) == (None, False)
    with pytest.raises(orjson.JSONDecodeError):
        unreadable.loads(text)


def test_the_items_of_a_page_are_told_apart() -> None:
    second = b'{"metadata":{"name":"x"},"spec":' + lists(5_000).encode() + b"}"
    text = b'{"kind":"ThingList","items":[{"a":1},' + second + b',[],{"b":[2]}],"metadata":{"resourceVersion":"7"}}'
    header, items = unreadable.page(text)
    assert header == {"kind": "ThingList", "items": [], "metadata": {"resourceVersion": "7"}}
    assert items == [b'{"a":1}', second, b"[]", b'{"b":[2]}']


@pytest.mark.parametrize(
    "text", [b"", b"null", b'{"kind":"List"}', b'{"items":{"a":{}}}', b'{"items":[{"a":{}}', b'{"items":[]']
)
def test_a_page_that_was_cut_is_no_empty_page(text: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        unreadable.page(text)


VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(-9, 9) | strategies.text(max_size=4),
    lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(strategies.text(max_size=4), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


@hypothesis.given(
    strategies.dictionaries(strategies.text(max_size=4), VALUES, min_size=1, max_size=5), strategies.booleans()
)
def test_what_is_not_too_deep_is_read_as_it_is(value: dict[str, Any], spaces: bool) -> None:
    text = json.dumps(value, indent=2 if spaces else None).encode()
    assert unreadable.loads(text) == value
    found, exact = unreadable.lenient(text)
    assert (found, exact) == (value, True)
