"""Values: they reach the real Helm exactly, and their digests and shapes tell them apart."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lostromos_core import errors
from lostromos_helm.release import helm_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
VALUES = st.dictionaries(st.sampled_from("abcd"), JSON)


def seen_by_helm(helm: Path, folder: Path, defaults: Mapping[str, Any], given_: bytes) -> Any:
    """``.Values`` as a chart with these defaults sees them."""
    chart = folder / "app"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text(json.dumps(defaults))
    (chart / "templates" / "x.yaml").write_text("seen: {{ .Values | toJson | b64enc }}\n")
    command = [str(helm), "template", "web", str(chart), "--values=-"]
    done = subprocess.run(command, input=given_, capture_output=True, check=True, timeout=60)
    return json.loads(base64.b64decode(done.stdout.partition(b"seen: ")[2]))


SPECIAL = [0, 1, 8, 9, 10, 13, 27, 32, 34, 39, 92, 126, *range(127, 161), 0xAD, 0x2028, 0x2029, 0xD7FF, 0xE000, 0xFDD0, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF, 0x1F600, 0x10FFFF]  # fmt: skip
TEXTS = ["", "---\n...", "a: b", "- a", "#x", "{{ .Values }}", "0644", "yes", "null", "~", "1e3", "&x", "*x", "!!int 3", "%x", "@", "`", "<<", "k" * 900]  # fmt: skip


def test_every_text_reaches_helm_exactly_as_value_and_as_key(helm: Path, tmp_path: Path) -> None:
    texts = [
        *TEXTS,
        *(f"{before}{chr(code)}{after}" for code in SPECIAL for before, after in (("x", "y"), ("", ""), (" ", " "))),
    ]
    wanted = {"list": texts, "keys": {text: index for index, text in enumerate(texts)}, "<<": {"a": 1}}
    assert seen_by_helm(helm, tmp_path, {}, helm_values.encode(wanted)) == wanted


def test_numbers_and_structure_reach_helm_exactly(helm: Path, tmp_path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(90):
        deep = {"a": deep}
    wanted = {
        "n": [0, -1, 1.5, 1e300, 1e-300, 123456789, 2**53, 1e21, 0.1],
        "b": [True, False, None, [], {}, [[]]],
        "deep": deep,
    }
    assert seen_by_helm(helm, tmp_path, {}, helm_values.encode(wanted)) == wanted


@given(VALUES)
def test_the_order_of_keys_makes_no_difference(tree: dict[str, Any]) -> None:
    assert helm_values.encode(tree) == helm_values.encode(dict(reversed(list(tree.items()))))
    assert json.loads(helm_values.encode(tree)) == tree


@given(st.lists(st.binary()), st.lists(st.binary()))
def test_digests_tell_parts_apart_and_are_labels(one: list[bytes], other: list[bytes]) -> None:
    assert (helm_values.digest(*one) == helm_values.digest(*other)) is (one == other)
    assert len(helm_values.digest(*one)) == 40


def test_a_digest_stays_the_same_from_version_to_version() -> None:
    """If it changed, every release of every user would get a new revision."""
    found = helm_values.digest(b"chart", helm_values.encode({"b": [1, None, True], "a": "ä"}))
    assert found == "711115e95b2dcb8426ab8efe2878618d81d8eb74"


@pytest.mark.parametrize("wrong", [{"a": 1 << 70}, {1: "a"}, {"a": object()}, {"a": "\ud800"}])
def test_what_json_cannot_say_is_an_error(wrong: Any) -> None:
    with pytest.raises(errors.RenderError, match="the values cannot be written as JSON"):
        helm_values.encode(wrong)


def test_a_shape_is_keys_and_types() -> None:
    tree = {"a": "secret", "b": [1, {"c": 1.5}], "d": None, "e": True}
    assert helm_values.shape(tree) == {"a": "str", "b": ["int", {"c": "float"}], "d": "NoneType", "e": "bool"}


def test_a_list_of_any_length_has_one_shape() -> None:
    assert helm_values.shape([{"a": 1}, {"a": 2}, {"b": 1}, "x", "y"]) == [{"a": "int"}, {"b": "int"}, "str"]


@given(VALUES)
def test_a_shape_is_the_same_for_other_texts(tree: dict[str, Any]) -> None:
    assert helm_values.shape(tree) == helm_values.shape(json.loads(helm_values.encode(tree)))
    assert (
        helm_values.shape({**tree, "z": "one"})
        == helm_values.shape({**tree, "z": "two"})
        != helm_values.shape({**tree, "z": 1})
    )
