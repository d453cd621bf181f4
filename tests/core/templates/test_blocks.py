"""The quick reader of block style: what it reads is exactly what the YAML parser reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lostromos_core.templates.data import budget, memo, tokens
from lostromos_core.templates.slots import blocks, program, slots, splices

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECES = [
    "a: 1", "b: x", "- c", "- d: 1", "e:", "-", "- - f", "- g:", "- - h: {i: 1}", "j: [1, 2]", "k: |", "l: >-", "- |", "m: 'x'", 'n: "y"', "# c", "", " ", "o: # c", "p: null",
    "q: ~", "'r': 1", "s s: 1", "text", "more: text: x", "---", "...", "%YAML 1.1", "t: !!str 1", "u: &a 1", "v: *a", "? w", ": x", "y: yes", "z: 0400", "{a: 1}", "[a]", "- [b, {c: d}]",
    "a: ", "aa: \t1", "\tbb: 1", "cc: {d: 1", "}", 'dd: "open', 'close"', "ee: 'it''s'", "ff:gg", "hh: - x", "- - - - x", "- a:\tb", "ii: |2", "jj: >+", "kk: | # c", "ll:  x  # c", "a: b\x85c",
    "HOLE: 1", "a: HOLE", "- HOLE", 'b: "x HOLE y"', "c: HOLE HOLE", "d: [HOLE, {e: HOLE}]", "# HOLE", "HOLE", "f: HOLE # HOLE", "- HOLE: HOLE", "!!str g: 1", "-h: 1", "--- x", "--- # x", "i: !", "k:  ",
]  # fmt: skip
LINES = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(PIECES)), min_size=1, max_size=8)
LOOPS = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), max_size=3)
"""Lines that come again, and how often, as a loop writes them: from the begin of the text on, one after the other."""


def looped(text: str, loops: Sequence[tuple[int, int]]) -> str:
    """The text with some of its lines several times; lines of a loop come from the same place."""
    lines, made = text.split("\n"), list[str]()
    for size, times in loops:
        made += lines[:size] * times
        lines = lines[size:]
    return "\n".join(made + lines)


def shape(lines: Sequence[tuple[int, str]], *, ends: bool) -> str:
    made = [
        tokens.line_mark(number) + " " * indent + text.replace("HOLE", tokens.expression_mark(number) + tokens.HOLE)
        for number, (indent, text) in enumerate(lines)
    ]
    return "\n".join(made) + ("\n" if ends else "")


def parsed(text: str) -> tuple[program.Node, ...] | None:
    try:
        return slots._compile(text).nodes
    except program.Misplaced:
        return None


@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(LINES, st.booleans(), st.booleans(), LOOPS)
def test_what_is_read_line_by_line_is_what_the_yaml_parser_reads(
    lines: Sequence[tuple[int, str]], ends: bool, spliced: bool, loops: Sequence[tuple[int, int]]
) -> None:
    text = looped(shape(lines, ends=ends), loops)
    text = splices.write(text) if spliced else text
    if slots._split(text) != (text,):
        return  # its documents are read one by one
    found = READER.read(text, budget.Budget())
    if found is not None:
        expected = parsed(text)
        if expected is None:  # a key is repeated, which is found out when it is filled
            with pytest.raises(program.Misplaced, match=r"twice|repeated|must be"):
                found[0].fill(VALUES)
        else:
            assert (absolute(found[0]),) == expected


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(LINES, st.booleans())
def test_documents_that_are_read_one_by_one_are_what_the_yaml_parser_reads(
    lines: Sequence[tuple[int, str]], ends: bool
) -> None:
    text = shape(lines, ends=ends)
    parts = slots._split(text)
    whole = parsed(text)
    made = [parsed(part) for part in parts]
    if whole is None:
        assert None in made
    elif None not in made:
        assert [data(node) for nodes in made for node in nodes or ()] == [data(node) for node in whole]
    else:
        pytest.fail("the parts are not valid, and the whole is")


ITEMS = [
    ["- {{}}"], ["- a: {{}}"], ["- a: {{}}", "  b: 'x {{}}'"], ["- - {{}}", "  - b"], ["-", "  a: {{}}"], ["- a:", "  - {{}}"], ["- a: |", "    {{}}"], ["- a: |", "    x", ""], ["- a: >-", "    {{}}", "", "  b: 1"],
    ["- a: 1", "  # {{}}", "  b: [1, {{}}]"], ["k {{}}: {{}}"], ["k: {{}}"], ["k:"], ["- |", "  {{}}"], ["-"], ["k {{}}: |", "  # {{}}"], ["k {{}}: |", "  # a"], ["k {{}}: |", "  # b"], ["k {{}}: |"], ["- a: {{}}", "", "  b:", "    c: {{}}", "    d: {{}}"],
]  # fmt: skip


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(ITEMS), st.integers(1, 4), st.sampled_from([0, 2])), min_size=1, max_size=4),
    st.booleans(),
)
def test_what_loops_write_is_what_the_yaml_parser_reads(
    loops: Sequence[tuple[Sequence[str], int, int]], ends: bool
) -> None:
    """Items and keys that come again, with others behind them that may belong to the last one, at two depths."""
    made = [f"{tokens.line_mark(99)}top:"]
    for number, (lines, times, indent) in enumerate(loops):
        hole = tokens.expression_mark(number) + tokens.HOLE
        made += [tokens.line_mark(number) + " " * indent + line.replace("{{}}", hole) for line in lines] * times
    text = "\n".join(made) + ("\n" if ends else "")
    found, expected = blocks.Reader().read(text, budget.Budget()), parsed(text)
    if found is not None and expected is not None:
        assert (absolute(found[0]),) == expected
    elif found is not None:
        with pytest.raises(program.Misplaced, match=r"twice|repeated|must be"):
            found[0].fill(VALUES)


@pytest.mark.parametrize("item", ITEMS[:4])
def test_items_that_come_again_need_no_yaml_parser(item: Sequence[str]) -> None:
    lines = ["a:", *[line.replace("{{}}", tokens.HOLE) for line in item] * 50, "b: 1"]
    text = "\n".join(tokens.line_mark(0) + line for line in lines)
    found = blocks.Reader().read(text, budget.Budget())
    assert found is not None
    assert (absolute(found[0]),) == parsed(text)
    assert found[1] == sum(":" in line or "-" in line for line in lines)


READER = blocks.Reader()
VALUES = budget.Slots()
VALUES.extend(f"value {number}" for number in range(100))


def absolute(node: Any) -> Any:
    """The node with texts whose slots are numbered from 0, as the YAML parser makes them."""
    if isinstance(node, program.Text):
        return program.Text(
            tuple(part + node.base if isinstance(part, int) else part for part in node.parts),
            node.places,
            columns=node.columns,
        )
    if isinstance(node, program.Items):
        return program.Items(tuple(map(absolute, node.nodes)), node.place)
    if isinstance(node, program.Fields):
        return program.Fields(tuple((absolute(key), absolute(one)) for key, one in node.pairs), node.place)
    return node


def data(node: program.Node) -> Any:
    """The node without the numbers of its slots, which are those of its part."""
    if isinstance(node, program.Typed | program.Spread):
        return node.place
    if isinstance(node, program.Text):
        return [part for part in node.parts if isinstance(part, str)]
    if isinstance(node, program.Constant | program.Fixed):
        return node.place, node.fill(VALUES)
    if isinstance(node, program.Items):
        return [data(one) for one in node.nodes]
    return [(data(key), data(one)) for key, one in node.pairs]


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb:\n  c: {{}}\n  d:\n  - e\n  - f: {{}}\n    g: 'x {{}}'\nh:\n- 1\n-\n  i: [1, {{}}]\n",
        "# a comment {{}}\na: |\n  one {{}}\n\n    two\n  # three\n# four\nb: >-\n  x\n  y\n",
        "a:\n\n  # x\n  - - b: 1\n      c: 2\n    - d\n  - {}\n",
    ],
)
def test_what_templates_consist_of_needs_no_yaml_parser(text: str) -> None:
    lines = text.replace("{{}}", "HOLE").split("\n")
    made = shape([(0, line) for line in lines], ends=False)
    found = blocks.Reader().read(made, budget.Budget())
    assert found is not None
    assert (absolute(found[0]),) == parsed(made)


def test_deep_nesting_is_left_to_the_parser() -> None:
    deep = "\n".join(tokens.line_mark(level) + " " * level + "a:" for level in range(program.MAX_DEPTH + 1))
    assert blocks.Reader().read(deep, budget.Budget()) is None
    assert blocks.Reader().read("a: 1", budget.Budget()) is None  # nobody knows where this line comes from


def test_what_was_used_lately_is_kept_within_a_number_of_bytes() -> None:
    kept: memo.Memo[int] = memo.Memo(1000)
    kept.put("large", 0, 200)
    assert kept.get("large") is None
    for number in range(100):
        kept.put(str(number), number, 50)
        assert kept.get("0") == 0
        assert kept.size <= 1000
    assert kept.get("99") == 99
    assert kept.get("50") is None
    assert len(kept) <= 20
    kept.put("99", 1, 50)
    assert kept.get("99") == 1
