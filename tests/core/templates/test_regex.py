"""Regular expressions find what Python's do, in time that grows with the text only."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lostromos_core import errors
from lostromos_core.templates.data import budget
from lostromos_core.templates.filters import regex
from tests.core.templates import rendering

ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\b", "^", "$", r"\n", "(?i:A)", " ", "-", "[a-c0-9]"]
)


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    counts = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?"])
    whole = inner.filter(lambda one: not re.search(re.sub(r"\^|\$|\\b", "", one) or "z?", ""))
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(whole, counts).map(lambda two: f"(?:{two[0]}){two[1]}"),
        inner.map(lambda one: f"({one})"),
    )


@settings(max_examples=1000, deadline=None)
@given(st.recursive(ATOMS, _grow, max_leaves=6), st.text("abAB1 \n-", max_size=7))
def test_what_is_found_is_what_python_finds(pattern: str, text: str) -> None:
    expected = [match.span() for match in re.finditer(pattern, text)]
    assert [match.spans[0] for match in regex.Pattern(pattern, 0).find_all(text)] == expected


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(a+)+$", "a" * 5_000 + "b"), ("(a|a)*b", "a" * 20_000), ("(.*)*x", "a" * 20_000), ("(.*)(.*)(.*)(.*)(.*)[^a]", "a" * 5_000), ("(a?){100}a{100}", "a" * 1_000), ("(x+x+)+y", "x" * 3_000)],
)  # fmt: skip
def test_a_pattern_that_data_could_make_explode_takes_steps_that_grow_with_the_text(pattern: str, text: str) -> None:
    compiled = regex.compiled(pattern, ignore_case=False, many_lines=False)
    with budget.rendering() as used:
        said = rendering.refusal(lambda: compiled.find(text))
    assert said is None or "steps" in said or "make more than" in said
    assert used._steps <= budget.MAX_STEPS + 1_000


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("(", "not a valid regular expression"), (r"(a)\1", "not supported in regular expressions here"), ("(?=a)", "not supported"), ("(?<!a)b", "not supported"), ("a{1000000}", "repeats too much"), ("(a{40}){100}", "repeats too much"),
     ("a" * 501, "at most 500"), ("a++", "not supported|not a valid"), ("(" * 240 + ")" * 240, "^$|not a valid")],
)  # fmt: skip
def test_what_is_not_supported_says_so(pattern: str, says: str) -> None:
    said = rendering.refusal(lambda: regex.compiled(pattern, ignore_case=False, many_lines=False).find("aab"))
    assert re.search(says, said or "")
    assert len(pattern) == 1 or pattern not in (said or "")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'a.b-c' | regex_replace('[^a-z]', '_')", "a_b_c"),
        (r"'key=value' | regex_replace('^(\\w+)=(\\w+)$', '\\2=\\1')", "value=key"),
        (r"'key=value' | regex_replace('(?P<k>\\w+)=', '\\g<k>:')", "key:value"),
        ("'aaa' | regex_replace('a', 'b', count=2)", "bba"),
        ("'Abc' | regex_replace('a', 'x', ignorecase=true)", "xbc"),
        (r"'a\nb' | regex_replace('^', '> ', multiline=true)", "> a\n> b"),
        ("'abc' | regex_replace('x*', '-')", "-a-b-c-"),
        ("8080 | regex_replace('0', '1')", "8181"),
        (r"'v1.2.3' | regex_search('[0-9]+[.][0-9]+')", "1.2"),
        (r"'v1.2.3' | regex_search('v([0-9]+)[.]([0-9]+)', '\\1', '\\2')", ["1", "2"]),
        ("'abc' | regex_search('x')", None),
        ("'a1b22' | regex_findall('[0-9]+')", ["1", "22"]),
        ("'a=1,b=2' | regex_findall('([a-z])=([0-9])')", [["a", "1"], ["b", "2"]]),
        ("'abc' is match('ab')", True),
        ("'abc' is match('b')", False),
        ("'abc' is search('b')", True),
        ("['web-1', 'db'] | select('match', 'web') | list", ["web-1"]),
    ],
)
def test_filters_and_tests(expression: str, value: object) -> None:
    assert rendering.one(f"data: {{v: {{{{ {expression} }}}}}}\n") == {"data": {"v": value}}


@pytest.mark.parametrize(
    "expression",
    ["s | regex_replace('a', s)", "s | regex_replace('', s)", "s | regex_replace('(a+)+b', '')", "range(50000) | map('regex_replace', '0', '1') | list", "s | regex_replace(s[:400] ~ '[', '')", "s | regex_findall('') | length"],
)  # fmt: skip
def test_nothing_escapes_the_budget(expression: str) -> None:
    with budget.rendering() as used, pytest.raises(errors.RenderError):
        rendering.one(f"v: {{{{ {expression} }}}}\n", {"s": "a" * 300_000})
    assert used._made < 2 * budget.MAX_MADE
