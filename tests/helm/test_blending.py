"""What differs between two renderings is taken from what is there, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lostromos_helm.templating import blending

PEM = "-----BEGIN KEY-----\n{}\n{}\n-----END KEY-----\n"
CASES: dict[str, tuple[str, str, str, str | None]] = {
    "all of it": ("aB3dE6", "xY1zW2", "oldold", "oldold"),
    "all of it, of another length": ("aB3dE6", "xY1zW2", "older-and-longer", "older-and-longer"),
    "between fixed texts": ("pg://u:aaaa@host/db", "pg://u:bbbb@host/db", "pg://u:0000@host/db", "pg://u:0000@host/db"),
    "what follows has changed": (
        "pg://u:aaaa@new/db", "pg://u:bbbb@new/db", "pg://u:0000@old/db", "pg://u:0000@new/db",
    ),
    "what precedes has changed": ("pg://v:aaaa@h", "pg://v:bbbb@h", "pg://u:0000@h", None),
    "a line of several": ("size: 2\npassword: aaa\n", "size: 2\npassword: bbb\n", "size: 1\npassword: 000\n",
                          "size: 2\npassword: 000\n"),
    "two lines of several": ("a: x1\nb: 1\nc: x2", "a: y1\nb: 1\nc: y2", "a: o1\nb: 0\nc: o2", "a: o1\nb: 1\nc: o2"),
    "a line that moved": ("new: 1\nkey: aaa", "new: 1\nkey: bbb", "key: 000\nmore: 2", "new: 1\nkey: 000"),
    "a line that is new": ("a: 1\nkey: aaa", "a: 1\nkey: bbb", "a: 1", None),
    "blocks": (PEM.format("aaa1", "aaa2"), PEM.format("bbb1", "bbb2"), PEM.format("o1", "o2"), PEM.format("o1", "o2")),
    "a block after a change": (
        "host: new\n" + PEM.format("a1", "a2"), "host: new\n" + PEM.format("b1", "b2"),
        "host: old\n" + PEM.format("o1", "o2"), "host: new\n" + PEM.format("o1", "o2"),
    ),
    "a block whose padding is another": (
        PEM.format("aaa1", "aa=="), PEM.format("bbb1", "bb=="), PEM.format("ooo1", "ooo="), PEM.format("ooo1", "ooo="),
    ),
    "base64 whose padding is another": ("ca: aaaa==", "ca: bbbb==", "ca: 00000=", "ca: 00000="),
    "several lines where one was": ("a\nb", "a\nc", "plain", None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_differs_comes_from_what_is_there(case: str) -> None:
    one, other, there, expected = CASES[case]
    assert blending.blend(one, other, there) == expected


LINES = st.lists(st.text(st.characters(exclude_characters="\n"), max_size=8), max_size=6).map("\n".join)


@given(LINES, LINES, LINES)
def test_any_texts_have_an_answer(one: str, other: str, there: str) -> None:
    found = blending.blend(one, other, there)
    assert found is None or isinstance(found, str)


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=6), st.data())
def test_a_rendering_of_the_same_template_is_taken_as_it_is(words: list[str], data: st.DataObject) -> None:
    secret = st.text("XYZ", min_size=6, max_size=6)
    first = data.draw(secret)
    second = data.draw(secret.filter(lambda text: text != first))
    old = data.draw(secret)
    one, other, there = ("\n".join([*words, f"password: {text}", "end"]) for text in (first, second, old))
    assert blending.blend(one, other, there) == there


def test_a_long_text_is_left_as_it_is() -> None:
    text = "line\n" * (blending.LONGEST + 1)
    assert blending.blend(text + "a", text + "b", text + "c") is None
