"""YAML files that people write: one meaning, or an error with its line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lostromos_core import yamlfile
from lostromos_core.templates import filters

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdefgh", min_size=2), inner, max_size=4),
)  # fmt: skip


@given(JSON.filter(lambda value: value is not None))
def test_what_we_write_we_read(value: Any) -> None:
    (found,) = yamlfile.parse(filters.to_yaml(value))
    assert found.data == value


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: yes\n", 2, "b: yes is a boolean to some readers"),
        ("a:\n  - 12:30:45\n", 2, "a[0]: 12:30:45 is a number of base 60"),
        ("d: 2026-11-23\n", 1, "d: 2026-11-23 is a timestamp"),
        ("a: 1\na: 2\n", 2, "a: the key comes twice"),
        ("x: 1\na: &a\n  b: *a\n", 2, "contains itself"),
        ("[1]: 2\n", 1, "a key must be a string"),
        ("a: [\n", 2, "not valid YAML"),
        ("a: \0\n", 0, "not valid YAML"),
        ("[" * 5000, 0, "nested too deeply"),
    ],
)
def test_what_readers_disagree_about_is_an_error_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(yamlfile.YamlError) as caught:
        yamlfile.parse(text)
    assert says in str(caught.value)
    assert caught.value.line == line


def test_documents_aliases_and_lines() -> None:
    first, second = yamlfile.parse("a: &x {b: 1}\nc: *x\n---\n---\n# nothing\n---\n- 'yes'\n- 1: 2\n")
    assert (first.data, second.data) == ({"a": {"b": 1}, "c": {"b": 1}}, ["yes", {"1": 2}])
    assert (second.lines[()], second.lines[1, "1"]) == (7, 8)
