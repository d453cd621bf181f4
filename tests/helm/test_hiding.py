"""Secret texts in messages: found however they are quoted, and in a time that nobody can drive up."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lostromos_core import errors, process
from lostromos_helm.helm import failures, hiding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECRET = st.text(st.characters(codec="utf-8"), min_size=8).filter(lambda text: len(" ".join(text.split())) >= 8)


def go_quoted(text: str) -> str:
    """As Go's ``%q`` writes a text within quotes, mostly."""
    plain = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}  # fmt: skip
    return "".join(
        plain.get(one)
        or (one if one.isprintable() else f"\\u{ord(one):04x}" if ord(one) < 1 << 16 else f"\\U{ord(one):08x}")
        for one in text
    )


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "as JSON": lambda text: json.dumps(text)[1:-1],
    "as JSON of JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "as Go quotes it": go_quoted,
    "as bytes": lambda text: "".join(f"\\x{one:02x}" for one in text.encode()),
    "with other white space": lambda text: "  \n".join(text.split()),
    "in base64": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "in base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=40)
@given(secret=SECRET)
def test_a_text_is_hidden_in_whatever_way_it_is_written(way: str, secret: str) -> None:
    shown = hiding.Hidden([secret]).hide(f"it is <{WAYS[way](secret)}>, is it")
    assert re.fullmatch(r"it is <(?:[\s=]|\\+[a-z0-9]+)*(?:\*\*\*)+(?:[\s=]|\\+[a-z0-9]+)*>, is it", shown)


@pytest.mark.parametrize("secret", ["hunter2-secret-0", "hunter2-secret-01", "hunter2-secret-012"])
def test_a_text_is_hidden_at_the_beginning_of_a_longer_text_in_base64(secret: str) -> None:
    longer = base64.b64encode(f"{secret}: and more".encode()).decode()
    assert base64.b64encode(secret.encode())[:-4].decode() not in hiding.Hidden([secret]).hide(f"found {longer}")


@settings(max_examples=40)
@given(st.text(), st.lists(SECRET, max_size=3))
def test_what_is_not_hidden_stays_as_it_is(text: str, secrets: list[str]) -> None:
    hidden = hiding.Hidden([f"§{one}§" for one in secrets])
    assert hidden.hide(text) == text


@pytest.mark.parametrize("known", ["hunter2-secret", "it is hunter2-secret!", "hunter2-secret\n"])
def test_what_the_author_wrote_is_not_hidden_from_him(known: str) -> None:
    assert hiding.Hidden(["hunter2-secret"], {"spec": [{"a": known}]}).hide("a hunter2-secret") == "a hunter2-secret"
    assert hiding.Hidden(["hunter2-secret"], {"spec": {known: 1}}).hide("a hunter2-secret") == "a ***"


def test_a_long_message_is_cut_and_shows_no_beginning_of_a_secret() -> None:
    secret = "".join(f"{number:05d}-secret " for number in range(4000))
    at = hiding.LONGEST_MESSAGE - 500
    for said in ("x" * at + secret, secret[100:] + secret):
        shown = hiding.Hidden([secret]).hide(said)
        assert "00001-secret" not in shown
        assert len(shown) <= hiding.LONGEST_MESSAGE + 3


def lines(count: int, text: str = "line {:06d} of a certificate/+=") -> str:
    return "\n".join(text.format(number) for number in range(count))


BOMBS: dict[str, tuple[Sequence[str], object, str]] = {  # hidden, written, message
    "nothing to hide it in": ([lines(4000)], {}, ""),
    "a bundle of certificates": ([lines(4000)], {}, "a message"),
    "a bundle that is repeated": ([lines(4000)], {}, lines(4000)),
    "many lines": ([lines(4097)], {}, lines(4097)),
    "a text of a megabyte": (["x" * (1 << 20)], {}, "x" * (1 << 20)),
    "many variables": ([f"s3cr3t-value/{number:030d}" for number in range(6000)], {}, lines(500)),
    "blanks before it": ([" " * 12 + "x" * 8], {}, "a" + " " * 1_000_000 + "b"),
    "blanks in it": ([" ".join("abcdefghij" * 20)], {}, " ".join("abcdefghij" * 10_000)),
    "the same beginning": ([lines(4000, "AAAAAAAAAAAAAAAAAAAA{:06d}")], {}, "A" * 20_000),
    "the same beginning, in base64": ([lines(4000, "AAAAAAAAAAAA{:06d}")], {}, "QUFB" * 5_000),
    "almost found": (["A" * 100_000 + "B"], {}, "A" * 20_000),
    "many that the author wrote": ([lines(4000)], {"spec": [lines(4000), "line 0" * 200_000]}, lines(600)),
    "an author who wrote much": (["A" * 50 + "B" * 50], {"spec": ["A" * 1_500_000]}, "A" * 50 + "B" * 50),
    "an author who wrote many texts": (["variable-number"], {"spec": [f"t{one}" for one in range(100_000)]}, "variable-number"),
    "an author who wrote nothing often": (["variable-number"], {"spec": [""] * 400_000}, "variable-number"),
    "escapes": (["a\\b" * 1000], {}, "\\" * 100_000),
    "bytes": (["\xff" * 1000], {}, "\\xff" * 50_000),
}  # fmt: skip


@pytest.mark.parametrize("case", BOMBS)
def test_hiding_takes_no_time_whoever_chooses_secrets_and_messages(case: str) -> None:
    texts, written, said = BOMBS[case]
    began = time.process_time()
    hidden = hiding.Hidden(texts, written)
    shown = hidden.hide(said)
    first = time.process_time() - began
    began = time.process_time()
    assert hidden.hide(said) == shown
    assert first < 2
    assert time.process_time() - began < 0.3
    assert len(shown) <= hiding.LONGEST_MESSAGE + 3


def test_too_much_to_hide_withholds_the_message_and_keeps_the_kind_of_error() -> None:
    hidden = hiding.Hidden([lines(5000)])
    assert hidden.hide("line 000001 of a certificate") == hiding.WITHHELD
    taken = process.Completed(1, b"", b"Error: INSTALLATION FAILED: cannot re-use a name that is still in use\n")
    found = failures.explain(taken, "install", hidden)
    assert isinstance(found, failures.NameTakenError)
    assert str(found) == f"install: {hiding.WITHHELD}"
    forbidden = process.Completed(1, b"", b"Error: INSTALLATION FAILED: configmaps is forbidden: line 000001\n")
    denied = failures.explain(forbidden, "install", hidden)
    assert isinstance(denied, errors.ApiError)
    assert (str(denied), denied.message, denied.status) == (str(found), str(found), 403)
