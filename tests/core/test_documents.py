"""YAML for people: block scalars where they are exact."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lostromos_core.cli.output import documents
from lostromos_core.configuration import yamlfile

LINES = st.text(st.sampled_from("ab :#-|>'\"\t\n\r\\{}%&*!~0\x85\u2028\ufeffé😀"), max_size=12) | st.text(
    st.characters(codec="utf-8", exclude_characters="".join(map(chr, range(0xFDD0, 0xFDD8)))), max_size=8
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\nb\n", "|\n  a\n  b\n"),
        ("a\n\n  b: 1", "|-\n  a\n\n    b: 1\n"),
        ("a\nb\n\n", '"a\\nb\\n\\n"\n'),
        (" a\nb\n", '" a\\nb\\n"\n'),
        ("a \nb", '"a \\nb"\n'),
        ("a\tb\nc", '"a\\tb\\nc"\n'),
        ("a\r\nb", '"a\\r\\nb"\n'),
        ("\n", '"\\n"\n'),
        ("one line", "one line\n"),
        ("---\nkind: Evil\n", "|\n  ---\n  kind: Evil\n"),
    ],
)
def test_texts_of_several_lines_are_written_so_if_that_is_exact(text: str, written: str) -> None:
    assert documents.to_yaml({"k": text}) == f"k: {written}"
    assert documents.to_yaml({"k": {"l": [text]}, "m": 1}).endswith("\nm: 1\n")


@given(
    st.recursive(
        LINES | st.none() | st.booleans() | st.integers(-(2**63), 2**63),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(LINES, below, max_size=3),
    )
)
def test_every_reader_gets_back_what_was_written(data: Any) -> None:
    text = documents.to_yaml({"data": data})
    assert yaml.load(text, yaml.CSafeLoader) == {"data": data}
    assert yaml.load(text, yaml.SafeLoader) == {"data": data}
    (document,) = yamlfile.parse(text)
    assert document.data == {"data": data}
