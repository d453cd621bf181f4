"""No data can take the operator's time and memory: what a rendering may use has an end, which is a named error."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors
from lostromos_core.templates.data import budget
from lostromos_core.templates.slots import slots
from tests import operators
from tests.core.templates import bombs, rendering

if TYPE_CHECKING:
    from collections.abc import Mapping

QUICK = 5.0
"""Seconds within which any rendering must end, on a machine that does other things as well."""
LAG = 1.0
"""Seconds of its own CPU that the event loop may be taken at once: 50 ms on an ordinary machine; others, and the
measurement of coverage, make it several times as long."""
LAG_OF_ALL = 2.0
"""As much of the whole process: what a thread does that keeps the interpreter's lock is in it."""
MEMORY = 300
"""MiB that the process may have had at most."""
BESIDE = 20


@pytest.fixture(scope="module")
def exploded() -> Mapping[str, Any]:
    """What became of each bomb, beside healthy resources, in a process of their own."""
    command = [sys.executable, "-m", "tests.core.templates.bombs", str(BESIDE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=1_200, env=operators.uncovered())
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", bombs.BOMBS)
def test_a_bomb_is_done_or_refused_and_takes_neither_the_loop_nor_the_memory(
    name: str, exploded: Mapping[str, Any]
) -> None:
    bomb, found = bombs.BOMBS[name], exploded[name]
    if bomb.says:
        assert re.search(bomb.says, found["message"])
        assert re.search(r"\.yaml(:\d+)?: ", found["message"])
        assert not found["ready"]
    else:
        assert found["ready"], found["message"]
    assert found["own"] < LAG
    assert found["all"] < LAG_OF_ALL
    assert found["memory"] < MEMORY


@pytest.mark.parametrize("name", bombs.BOMBS)
def test_a_bomb_does_not_stop_the_healthy(name: str, exploded: Mapping[str, Any]) -> None:
    found = exploded[name]
    assert found["healthy"] == [True] * BESIDE
    assert sorted(found["took"])[BESIDE // 2] < 4 * LAG


def test_what_is_refused_says_what_to_change(exploded: Mapping[str, Any]) -> None:
    for name, bomb in bombs.BOMBS.items():
        if bomb.says:
            assert re.search(
                "limit |loop over|write |do not|fewer|end the|takes a whole number", exploded[name]["message"]
            ), name


LARGE: dict[str, tuple[str, Any]] = {  # honest ones
    "2,000 items": ("v:\n{% for a in x %}\n  - name: {{ a.name }}\n    value: '{{ a.value }}!'\n{% endfor %}\n", [{"name": f"n{i}", "value": i} for i in range(2_000)]),
    "500 objects": ("{% for i in x %}\n---\n" + "".join(f"k{n}: v\n" for n in range(48)) + "name: {{ i }}\n{% endfor %}\n", list(range(500))),
    "a list that 2,000 items are added to": ("{% set s = namespace(l=[]) %}{% for i in x %}{% set s.l = s.l + [i] %}{% endfor %}\nv: {{ s.l }}\n", list(range(2_000))),
    "a mapping that 2,000 items are added to": ("{% set s = namespace(d={}) %}{% for i in x %}{% set s.d = dict(s.d, **{i: 1}) %}{% endfor %}\nv: {{ s.d }}\n", [f"k{i}" for i in range(2_000)]),
    "a text that 2,000 lines are added to": ("{% set s = namespace(t='') %}{% for i in x %}{% set s.t = s.t ~ 'a line of a text\n' %}{% endfor %}\nv: {{ s.t }}\n", list(range(2_000))),
    "500 items looked for in 500": ("{% for i in x %}{% set m = x | selectattr('n', 'equalto', i.n) | first %}\n- {{ m.n }}\n{% endfor %}\n", [{"n": i} for i in range(500)]),
    "2,000 items in a list of 2,000": ("v:\n{% for i in x if i in x %}\n- {{ i }}\n{% endfor %}\n", list(range(2_000))),
    "the length of a list in a loop over it": ("v:\n{% for i in x %}\n- {{ x | length }}\n{% endfor %}\n", list(range(3_000))),
    "2,000 documents in strings": ("v:\n{% for i in x %}\n  '{{ i }}': {% yaml %}\n    a: {{ i }}\n    b: [1, 2]\n  {% endyaml %}\n{% endfor %}\n", list(range(2_000))),
    "2,000 calls of a macro": ("{% macro m(i) %}\nname: {{ i }}\nvalue: {{ i }}\n{% endmacro %}v:\n{% for i in x %}\n  - {{ m(i) }}\n{% endfor %}\n", list(range(2_000))),
    "a text of 1.4 MB": ("v: '# {{ x | upper | replace('A', 'b') | trim }}'\nw: {{ x | b64encode | length }}\nx: {{ x | sha256 }}\ny: {{ x.split('\n') | length }}\n", "a line\n" * 200_000),
    "30,000 sorted": ("v: {{ x | sort | unique | map('string') | join(',') }}\n", list(range(30_000))),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_and_honest_is_rendered(name: str) -> None:
    template, x = LARGE[name]
    assert rendering.documents(template, {"x": x})


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


def test_what_is_written_has_a_limit_as_a_whole() -> None:
    for template, x in (
        ("{% for n in range(2000) %}\n'{{ n }}': '# {{ x }}'\n{% endfor %}\n", "x" * 200_000),
        ("{% for n in range(2000) %}\n'{{ n }}': {{ x }}\n{% endfor %}\n", ["x" * 200_000]),
    ):
        with pytest.raises(errors.RenderError, match="exceed 32 MiB in total"):
            rendering.one(template, {"x": x})


def test_large_texts_are_not_kept_and_small_ones_within_a_limit() -> None:
    within = rendering.environment()
    template = "{% for i in x %}\n- {{ i }}\n{% endfor %}\n"
    kept = within.programs._kept
    for count in (*range(4_000, 4_030), 60_000):
        rendering.one(template, {"x": list(range(count))}, within=within)
        assert len(kept) < 31
        rendering.one(template, {"x": list(range(count))}, within=within)  # what comes again is worth its place
    assert 0 < kept.size <= slots.CACHE_SIZE
    assert max(sys.getsizeof(shape) for shape in kept.young) <= slots.CACHE_SIZE // 8


def test_the_weight_of_data_is_that_of_its_texts_and_of_its_parts() -> None:
    assert budget.weigh("abc") == budget.ITEM + 3
    assert budget.weigh({"ab": ["c", 1]}) == budget.ITEM * 5 + 3


def test_all_files_of_a_rendering_share_one_budget() -> None:
    within = rendering.environment()
    template, names = "{% for i in x %}{% for j in x %}{% endfor %}{% endfor %}\na: 1\n", {"x": list(range(700))}

    def render_ten() -> None:
        for _ in range(10):
            rendering.one(template, names, within=within)

    with budget.rendering() as used, pytest.raises(errors.RenderError, match=bombs.STEPS):
        render_ten()
    assert used._steps > budget.MAX_STEPS
    rendering.one(template, names, within=within)
