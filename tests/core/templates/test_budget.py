"""No data can take the operator's time and memory: what a rendering may use has an end, which is a named error."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lostromos_core import errors
from lostromos_core.templates import budget, slots
from tests.core.templates import rendering

QUICK = 5.0
"""Seconds within which any rendering must end, on a machine that does other things as well."""

MEMORY = "more than 32 MiB in all"
TOO_LARGE = r"too large|more than 32 MiB|up to|at most"

BOMBS: dict[str, tuple[str, Any, str]] = {  # name: (template, x, message)
    "a long text many times": ("{% for n in range(2000) %}\n'{{ n }}': '# {{ x }}'\n{% endfor %}\n", "x" * 200_000, MEMORY),
    "a long value many times": ("{% for n in range(2000) %}\n'{{ n }}': {{ x }}\n{% endfor %}\n", ["x" * 200_000], MEMORY),
    "JSON many times": ("{% for n in range(2000) %}\n'{{ n }}': {{ x | to_json }}\n{% endfor %}\n", ["x" * 200_000], MEMORY),
    "JSON for nothing": ("{% for n in range(2000) %}{% set y = x | to_json %}{% endfor %}\na: 1\n", ["x" * 200_000], MEMORY),
    "a list that doubles": (
        "{% set s = namespace(l=x) %}{% for n in range(40) %}{% set s.l = s.l + s.l %}{% endfor %}\na: 1\n", [1], TOO_LARGE,
    ),
    "loops in loops": (
        "{% for a in x %}{% for b in x %}{% for c in x %}{% endfor %}{% endfor %}{% endfor %}\na: 1\n",
        [1] * 10_000,
        "gone round more than 500,000 times",
    ),
    "round": ("a: {{ 1.5 | round(x, 'ceil') }}\n", 3_000_000, TOO_LARGE),
    "batch": ("a: {{ [1] | batch(x, 'x') | list }}\n", 10**8, TOO_LARGE),
    "slice": ("a: {{ [1] | slice(x) | list }}\n", 10**7, TOO_LARGE),
    "indent": ("a: {{ 'a' | indent(x, true) }}\n", 2 * 10**9, TOO_LARGE),
    "indent of many lines": ("a: {{ ('a\n' * 3000) | indent(x) }}\n", 90_000, TOO_LARGE),
    "center": ("a: {{ 'a' | center(x) }}\n", 2 * 10**9, TOO_LARGE),
    "digits": ("a: {{ x | int }}\n", "9" * 5_000, TOO_LARGE),
    "bits": ("a: {{ x | int }}\n", "9" * 25, "64 bits"),
    "more than a number": ("a: {{ x | float }}\n", "1e999", "inf has no meaning"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_an_error_and_soon(name: str) -> None:
    template, x, message = BOMBS[name]
    begin = time.process_time()
    with pytest.raises(errors.RenderError, match=message):
        rendering.one(template, {"x": x})
    assert time.process_time() - begin < QUICK


@pytest.mark.parametrize(
    "template",
    [
        '{% for i in x %}\n"{{ i }}": 1\n{% endfor %}\n',
        "{% macro m(i) %}{{ i }}{% endmacro %}v: [{% for i in x %}{{ m(i) }}, {% endfor %}]\n",
        "{% macro m(i) %}\n{{ i }}\n{% endmacro %}v: [{% for i in x %}{{ m(i) }}, {% endfor %}]\n",
        "{% macro m(i) %}\n{{ i }}\n{% endmacro %}v: { {% for i in x %}k{{ i }}: {{ m(i) }}, {% endfor %} }\n",
    ],
    ids=["keys", "fragments on a line", "fragments of a line of their own", "fragments after keys"],
)
def test_what_is_large_takes_time_by_its_size_and_not_by_its_square(template: str) -> None:
    def measure(count: int) -> float:
        begin = time.process_time()
        rendering.one(template, {"x": list(range(count))})
        return time.process_time() - begin

    measure(100)
    assert measure(20_000) < QUICK


def test_what_fits_is_rendered() -> None:
    text = "x" * 100_000
    found = rendering.one("{% for n in range(100) %}\n'{{ n }}': '# {{ x }}'\n{% endfor %}\n", {"x": text})
    assert set(found.values()) == {f"# {text}"}


def test_large_texts_are_not_kept_and_small_ones_within_a_limit() -> None:
    within = rendering.environment()
    template = "{% for i in x %}\n- {{ i }}\n{% endfor %}\n"
    for count in range(10_000, 10_060):
        rendering.one(template, {"x": list(range(count))}, within=within)
    rendering.one(template, {"x": list(range(60_000))}, within=within)
    kept = within.programs._parsed
    assert sum(map(len, kept)) == within.programs._length <= slots.CACHE_TEXT
    assert max(map(len, kept)) <= slots.KEPT_TEXT
    assert kept


def test_the_weight_of_data_is_that_of_its_texts_and_of_its_parts() -> None:
    assert budget.weigh("abc") == budget.ITEM + 3
    assert budget.weigh({"ab": ["c", 1]}) == budget.ITEM * 5 + 3
