"""YAML files that people write: one meaning, or an error with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lostromos_core.configuration import yamlfile
from lostromos_core.templates.filters import filters

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
        ("a:\n  - 12:30:45\n", 2, "a[0]: 12:30:45 is a base-60 number"),
        ("d: 2026-11-23\n", 1, "d: 2026-11-23 is a timestamp"),
        ("a: 1\na: 2\n", 2, "a: the key is repeated"),
        ("x: 1\na: &a\n  b: *a\n", 2, "contains itself"),
        ("[1]: 2\n", 1, "a key must be a string"),
        ("a: [\n", 2, "not valid YAML"),
        ("a: \0\n", 0, "not valid YAML"),
        ("[" * 5000, 0, "nested too deeply"),
        ('a: 1\nb: "\\U00110000"\n', 2, "an escape in quotes names no character"),
        ('b: "\\UFFFFFFFF"\n', 1, "an escape in quotes names no character"),
        ('a: 1\nb: "\\ud83d"\n', 2, "b: a \\u escape is half of a pair"),
        ('{"a":\n "\\ude00"}', 2, "a: a \\u escape is half of a pair"),
        ('{"\\ud83d": 1}', 1, "a \\u escape is half of a pair"),
        ('{"a": 1,\n"a": 2}', 2, "a: the key is repeated"),
        ('{\t"a": 1,\n"a": 2}', 2, "a: the key is repeated"),
        ('{"a": ' + "9" * 5000 + "}", 1, "a: 9999999999... has more than 64 bits"),
        ("a: " + "9" * 5000, 1, "a: 9999999999... has more than 64 bits"),
        ('{"a": 1e999}', 1, "a: 1e999 is too large"),
    ],
)
def test_what_readers_disagree_about_is_an_error_with_its_line(text: str, line: int, says: str) -> None:
    for read in (yamlfile.parse, yamlfile.load):
        with pytest.raises(yamlfile.YamlError) as caught:
            read(text)
        assert says in str(caught.value)
        assert caught.value.line == line


def test_json_is_read_as_such_with_tabs_and_pairs_of_escapes() -> None:
    text = '{\n\t"a":\t"\\ud83d\\ude00\\t",\n\t"b": [1, 1.5, -0, 1E3, null, "/\\/"], "c": "\x7f"\n}'
    expected = {"a": "\N{GRINNING FACE}\t", "b": [1, 1.5, 0, 1000.0, None, "//"], "c": "\x7f"}
    assert yamlfile.load(text) == [expected] == [json.loads(text)]
    (parsed,) = yamlfile.parse(text.replace("\x7f", "d"))
    assert (parsed.data, parsed.lines["b",]) == (expected | {"c": "d"}, 3)
    assert yamlfile.load('{a: "\\ud83d\\ude00"}\n---\n[1]') == [{"a": "\N{GRINNING FACE}"}, [1]]


@given(JSON.filter(lambda value: isinstance(value, dict | list)), st.sampled_from([None, "\t"]), st.booleans())
def test_json_means_the_same_as_json_and_as_yaml(value: Any, indent: str | None, escaped: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escaped)
    assert yamlfile.load(text) == [value]
    assert yamlfile.parse(text)[0].data == value


def test_aliases_may_not_make_a_document_larger_than_memory_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "MOST", 1000)
    ten = [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]\n" for number in range(1, 9)]
    with pytest.raises(yamlfile.YamlError, match="a2: has more than 1,000 values") as caught:
        yamlfile.parse("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(ten))
    assert caught.value.line == 1
    assert len(yamlfile.parse("a: &a [p, q]\n" + "".join(f"b{number}: *a\n" for number in range(300)))[0].data) == 301


def test_documents_aliases_and_lines() -> None:
    first, second = yamlfile.parse("a: &x {b: 1}\nc: *x\n---\n---\n# nothing\n---\n- 'yes'\n- 1: 2\n")
    assert (first.data, second.data) == ({"a": {"b": 1}, "c": {"b": 1}}, ["yes", {"1": 2}])
    assert (second.lines[()], second.lines[1, "1"]) == (7, 8)
