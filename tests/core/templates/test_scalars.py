"""Scalars of the template's own text have one meaning, or are an error that says what to write."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lostromos_core import errors
from lostromos_core.configuration import scalars
from lostromos_core.templates.filters import filters
from tests.core.templates import rendering


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-1", -1), ("+1", 1), ("0", 0), ("0x1F", 31), ("0o17", 15), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("true", True), ("False", False),
     ("null", None), ("~", None), ("", None), ("abc", "abc"), ("1.2.3", "1.2.3"), ("v1", "v1"), ("10m", "10m"), ("1Gi", "1Gi"), ("-", "-"), ("nope", "nope"), ("0x", "0x")],
)  # fmt: skip
def test_plain_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    found = scalars.resolve(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "advice"),
    [("yes", 'write "yes" in quotes, or true'), ("Off", "or false"), ("0400", "or 256"), ("0o", ""), ("12:30:45", "base-60"), ("2024-01-31", "timestamp"),
     ("2024-01-31T10:00:00Z", "timestamp"), ("1_000", "in quotes"), ("0b11", "in quotes"), (".inf", "JSON"), (".NaN", "JSON"), ("1e999", "too large"),
     ("<<", "old YAML"), ("=", "old YAML"), ("n", "or false"), ("089", "in quotes")],
)  # fmt: skip
def test_ambiguous_scalars_are_errors_that_say_what_to_write(text: str, advice: str) -> None:
    if text == "0o":
        assert scalars.resolve(text) == "0o"
        return
    with pytest.raises(scalars.AmbiguousScalarError, match=advice):
        scalars.resolve(text)
    with pytest.raises(errors.RenderError) as caught:
        rendering.one(f"a: 1\nb: {text}\n")
    assert caught.value.place == "<template>:2"
    assert rendering.one(f'b: "{text}"\n') == {"b": text}


def test_keys_are_strings() -> None:
    assert rendering.one("8080: a\ntrue: b\ny: c\n'1.5': d\n") == {"8080": "a", "true": "b", "y": "c", "1.5": "d"}
    for key in ("yes", "1.5", "~", "0400", "[a]", "{a: 1}"):
        with pytest.raises(errors.RenderError):
            rendering.one(f"{key}: 1\n" if key[0] not in "[{" else f"? {key}\n: 1\n")


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "a: !!int '1'\n",
        "a: !foo 1\n",
        "a: 1\na: 2\n",
        "a: [\n",
        "a: 1\n b: 2\n",
        "a:\t1\n\tb: 2\n",
        "a: \x01\n",
    ],
)
def test_other_yaml_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(errors.RenderError):
        rendering.one(text)


def test_documents_without_content_are_left_out() -> None:
    assert [d.data for d in rendering.documents("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n", {})] == [
        {"a": 1},
        {"b": 2},
    ]


def test_a_str_tag_makes_a_string() -> None:
    assert rendering.one("a: !!str 12\n") == {"a": "12"}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(0xFDD0, 0xFDD8))))))
def test_what_to_yaml_writes_every_reader_reads_alike(text: str) -> None:
    written = (
        filters.to_yaml({"k": text, text: 1})
        if text.isprintable() and text not in {"", "k"}
        else filters.to_yaml({"k": text})
    )
    assert yaml.safe_load(written)["k"] == text
    plain = written.split("\n", maxsplit=1)[0].removeprefix("k: ")
    if not plain.startswith(('"', "'", "|")):
        assert scalars.resolve(plain) == text
