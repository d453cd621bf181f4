"""Templates that look harmless, and data that makes bombs of them; run as a program, it says how each one went.

Each is reconciled in an event loop with a heart that beats, beside healthy resources, if so many are asked for.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import pathlib
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from lostromos_core import JinjaRenderer, interfaces
from lostromos_core.engine import reconcile
from tests import fakes
from tests.bench import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HEAD: Final = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ resource.metadata.name }}"}\n'
STEPS: Final = "take more than 10,000,000 steps"
AT_ONCE: Final = "too much at once"
MADE: Final = "make more than 96 MiB"
WRITTEN: Final = "exceed 32 MiB in total"
LARGE: Final = "would be too large"
TEXT: Final = "the rendered text is larger than"
METHOD: Final = "is not available in templates"
DEEP: Final = "nested deeper than 150 levels"
ENDLESS: Final = "call each other without an end"
DONE: Final = ""


@dataclasses.dataclass(frozen=True)
class Bomb:
    """``template`` sees ``make()`` as ``x``. ``says`` is in the message; empty if it is rendered after all."""

    template: str
    make: Callable[[], Any]
    says: str
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)


def nested(levels: int, *, mapping: bool) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = {"a": found} if mapping else [found]
    return found


LOOP = "{% for a in x.a %}"
END = "{% endfor %}\nz: 1\n"
BOMBS: dict[str, Bomb] = {
    "a pattern that explodes": Bomb("z: {{ x.t | regex_replace('(a+)+$', '') | length }}\n", lambda: {"t": "a" * 300_000 + "b"}, f"{STEPS}|{MADE}"),
    "a pattern of alternatives": Bomb("z: {{ x.t is search('(a|a|a)*b') }}\n", lambda: {"t": "a" * 1_000_000}, f"{STEPS}|{MADE}"),
    "a pattern that matches nothing": Bomb("z: {{ x.t | regex_findall('') | length }}\n", lambda: {"t": "a" * 1_000_000}, f"{STEPS}|{MADE}"),
    "a pattern that data brings": Bomb(LOOP + "{% if x.t is match(x.p) %}{% endif %}" + END, lambda: {"a": [1] * 2_000, "t": "a" * 60, "p": "((a?){15}){15}$b"}, STEPS),
    "patterns that data brings": Bomb(LOOP + "{% if '' is match(a) %}{% endif %}" + END, lambda: {"a": [f"(?:a{{7}}{i}){{70}}" for i in range(2_000)]}, STEPS),
    "a large class in a pattern": Bomb("z: {{ x.t | regex_replace(x.p, '') | length }}\n", lambda: {"t": "z" * 400_000, "p": "[" + "".join(chr(0x4E00 + 2 * i) for i in range(490)) + "]"}, STEPS),
    "a replacement that grows": Bomb("z: {{ x.t | regex_replace('a', x.t) | length }}\n", lambda: {"t": "a" * 40_000}, f"{LARGE}|{MADE}|{STEPS}"),
    "YAML of many items": Bomb("z: {{ x.t | from_yaml | length }}\n", lambda: {"t": "- a\n" * 350_000}, f"{STEPS}|{MADE}"),
    "YAML of brackets": Bomb("z: {{ x.t | from_yaml }}\n", lambda: {"t": "[" * 100_000}, "from_yaml: the text is not YAML"),
    "YAML of aliases": Bomb("z: {{ x.t | from_yaml }}\n", lambda: {"t": "a: &a [x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(9))}, "from_yaml: the text is not YAML"),
    "YAML of one long text": Bomb("z: {{ x.t | from_yaml | length }}\n", lambda: {"t": "a b " * 900_000}, AT_ONCE),
    "YAML read in a loop": Bomb(LOOP + "{% set y = x.t | from_yaml %}" + END, lambda: {"a": [1] * 2_000, "t": "- a\n" * 1_000}, STEPS),
    "YAML of long lines in a loop": Bomb(LOOP + "{% set y = x.t | from_yaml %}" + END, lambda: {"a": [1] * 2_000, "t": "a" * 1_000_000}, f"{STEPS}|{MADE}"),
    "JSON read in a loop": Bomb(LOOP + "{% set y = x.t | from_json %}" + END, lambda: {"a": [1] * 2_000, "t": "[" + "[]," * 30_000 + "1]"}, f"{STEPS}|{MADE}"),
    "JSON of mappings": Bomb("z: {{ x.t | from_json | length }}\n", lambda: {"t": "[" + '{"a":1},' * 100_000 + "1]"}, AT_ONCE),
    "JSON of brackets": Bomb("z: {{ x.t | from_json }}\n", lambda: {"t": "[" * 100_000}, "from_json: the text is not JSON"),
    "combine in a loop": Bomb("{% set s = namespace(d={}) %}" + LOOP + "{% set s.d = s.d | combine({a: 1}) %}" + END, lambda: {"a": [f"k{i}" for i in range(12_000)]}, MADE),
    "deep mappings combined": Bomb(LOOP + "{% set m = x.d | combine(x.d, recursive=true) %}" + END, lambda: {"a": [1] * 5_000, "d": {f"k{i}": {"a": {"b": i}} for i in range(20_000)}}, f"{MADE}|{STEPS}"),
    "zip in a loop": Bomb(LOOP + "{% set m = x.a | zip(x.a, x.a) %}" + END, lambda: {"a": list(range(20_000))}, f"{MADE}|{STEPS}"),
    "items of a mapping in a loop": Bomb(LOOP + "{% set m = x.d | dict2items %}" + END, lambda: {"a": [1] * 5_000, "d": {f"k{i}": i for i in range(20_000)}}, f"{MADE}|{STEPS}"),
    "a fragment that is hashed in a loop": Bomb("{% set f %}\n{% for a in x.a %}\nv: {{ a }}\n{% endfor %}\n{% endset %}\n" + LOOP + "{% set h = f | sha256 %}" + END, lambda: {"a": ["x" * 100] * 5_000}, f"{MADE}|{STEPS}|{AT_ONCE}"),
    "lines far to the right": Bomb("z: |\n  a\n" + " " * 2_000 + "{{ x.t }}\n", lambda: {"t": "a\n" * 100_000}, LARGE),
    "lines to the right in a loop": Bomb("{% for a in x.a %}\nz{{ loop.index }}: |\n  a\n" + " " * 900 + "{{ x.t }}\n{% endfor %}\n", lambda: {"a": [1] * 1_000, "t": "a\n" * 4_000}, f"{MADE}|{WRITTEN}"),
    "a mapping that is put in many places": Bomb("{% for a in x.a %}\nz{{ loop.index }}:\n  a: 1\n  {{ x.d }}\n{% endfor %}\n", lambda: {"a": [1] * 2_000, "d": {f"k{i}": i for i in range(2_000)}}, f"{MADE}|{WRITTEN}|{STEPS}"),
    "many expressions alone on their lines": Bomb("z:\n{% for a in x.a %}\n  {{ a }}\n{% endfor %}\n  a: 1\n", lambda: {"a": [{f"k{i}": 1} for i in range(20_000)]}, DONE),
    "expressions alone, and nothing else": Bomb("z:\n{% for a in x.a %}\n  {{ a }}\n{% endfor %}\n", lambda: {"a": ["x"] * 30_000}, DONE),
    "expressions alone in a staircase": Bomb("z:\n{% for a in x.a %}\n  {{ a }}\n\n    {{ a }}\n{% endfor %}\n", lambda: {"a": ["x"] * 15_000}, DONE),
    "lines of spaces and expressions": Bomb("z:\n  a: 1\n  {{ {} }}\n  b: '{% for a in x.a %} {% endfor %}{{ 1 }}'\n", lambda: {"a": [1] * 90_000}, DONE),
    "in a list in a loop": Bomb(LOOP + "{% if a in x.b %}\n- {{ a }}\n{% endif %}" + END, lambda: {"a": [f"a{i}" for i in range(20_000)], "b": [f"b{i}" for i in range(20_000)]}, STEPS),
    "not in a list in a loop": Bomb(LOOP + "{% if a not in x.b %}{% endif %}" + END, lambda: {"a": list(range(70_000)), "b": list(range(-70_000, 0))}, STEPS),
    "in a text in a loop": Bomb(LOOP + "{% if a in x.b %}{% endif %}" + END, lambda: {"a": ["ab"] * 70_000, "b": "a" * 1_000_000}, STEPS),
    "the test in": Bomb(LOOP + "{% if a is in x.b %}{% endif %}" + END, lambda: {"a": list(range(70_000)), "b": list(range(-70_000, 0))}, STEPS),
    "in with a list": Bomb(LOOP + "{% if x.c in x.b %}{% endif %}" + END, lambda: {"a": [1] * 10_000, "b": [[0] * 1_000 + [1]] * 50, "c": [0] * 1_001}, STEPS),
    "selectattr in a loop": Bomb(LOOP + "{% set m = x.b | selectattr('p', 'equalto', a) | list %}" + END, lambda: {"a": list(range(2_000)), "b": [{"p": -1 - i} for i in range(2_000)]}, STEPS),
    "selectattr of a long path": Bomb("z: {{ x.b | map(attribute=x.p) | list | length }}\n", lambda: {"b": [{"a": 1}] * 50_000, "p": "a" + ".a" * 100_000}, STEPS),
    "select with in": Bomb("z: {{ x.a | select('in', x.b) | list | length }}\n", lambda: {"a": list(range(60_000)), "b": list(range(-60_000, 0))}, STEPS),
    "map in a loop": Bomb(LOOP + "{% set m = x.a | map('string') | list %}" + END, lambda: {"a": list(range(20_000))}, STEPS),
    "sum of lists": Bomb("z: {{ (x.a | sum(start=[])) | length }}\n", lambda: {"a": [[1]] * 60_000}, MADE),
    "a list that grows in a loop": Bomb("{% set s = namespace(l=[]) %}" + LOOP + "{% set s.l = s.l + [a] %}" + END, lambda: {"a": [1] * 60_000}, MADE),
    "a list that doubles": Bomb("{% set s = namespace(l=[1]) %}" + LOOP + "{% set s.l = s.l + s.l %}" + END, lambda: {"a": [1] * 40}, "too large|96 MiB"),
    "a text that grows in a loop": Bomb("{% set s = namespace(t='') %}" + LOOP + "{% set s.t = s.t ~ 'abcdefgh' %}" + END, lambda: {"a": [1] * 60_000}, MADE),
    "a text that grows by +": Bomb("{% set s = namespace(t='') %}" + LOOP + "{% set s.t = s.t + 'abcdefgh' %}" + END, lambda: {"a": [1] * 60_000}, MADE),
    "copies of a text that are kept": Bomb("{% set s = namespace(l=[]) %}" + LOOP + "{% set s.l = [s.l, x.t ~ a] %}" + END, lambda: {"a": [1] * 2_000, "t": "x" * 1_000_000}, MADE),
    "a mapping that grows in a loop": Bomb("{% set s = namespace(d={}) %}" + LOOP + "{% set s.d = dict(s.d, **{a: 1}) %}" + END, lambda: {"a": [f"k{i}" for i in range(12_000)]}, MADE),
    "large mappings merged": Bomb(LOOP + "{% set m = dict(x.d, **x.d) %}" + END, lambda: {"a": [1] * 5_000, "d": {f"k{i}": i for i in range(50_000)}}, MADE),
    "parts of a list in a loop": Bomb(LOOP + "{% set m = x.a[1:] %}" + END, lambda: {"a": [1] * 70_000}, MADE),
    "sort in a loop": Bomb(LOOP + "{% set m = x.a | sort %}" + END, lambda: {"a": [f"{i * 7919 % 100_003}" for i in range(20_000)]}, STEPS),
    "sort of lists": Bomb("z: {{ x.a | sort | length }}\n", lambda: {"a": [[0] * 2_000 + [i] for i in range(300)] * 10}, STEPS),
    "sort of too many": Bomb("z: {{ x.a | sort | length }}\n", lambda: {"a": list(range(300_000, 0, -1))}, f"{STEPS}|{AT_ONCE}"),
    "unique in a loop": Bomb(LOOP + "{% set m = x.a | unique | list %}" + END, lambda: {"a": list(range(20_000))}, STEPS),
    "groupby in a loop": Bomb(LOOP + "{% set m = x.a | groupby('n') %}" + END, lambda: {"a": [{"n": i} for i in range(5_000)]}, STEPS),
    "batch in a loop": Bomb(LOOP + "{% set m = x.a | batch(2) | list %}" + END, lambda: {"a": [1] * 20_000}, f"{STEPS}|{MADE}"),
    "comparing large values": Bomb(LOOP + "{% if x.b == x.c %}{% endif %}" + END, lambda: {"a": [1] * 5_000, "b": [[i] for i in range(20_000)], "c": [[i] for i in range(20_000)]}, STEPS),
    "loop.changed of large values": Bomb(LOOP + "{% if loop.changed(x.b) %}{% endif %}" + END, lambda: {"a": [1] * 5_000, "b": [[i] for i in range(20_000)]}, STEPS),
    "a matrix": Bomb("z: {{ [[0] * x.n] * x.n }}\n", lambda: {"n": 20_000}, STEPS),
    "a nested list that doubles": Bomb("{% set s = namespace(l=[]) %}" + LOOP + "{% set s.l = [s.l, s.l] %}{% endfor %}\nz: {{ s.l }}\n", lambda: {"a": [1] * 40}, f"{STEPS}|{MADE}"),
    "a nested list that doubles, as JSON": Bomb("{% set s = namespace(l=[]) %}" + LOOP + "{% set s.l = [s.l, s.l] %}{% endfor %}\nz: {{ s.l | to_json }}\n", lambda: {"a": [1] * 40}, f"{STEPS}|{MADE}"),
    "a nested list that doubles, as text": Bomb("{% set s = namespace(l=[]) %}" + LOOP + "{% set s.l = [s.l, s.l] %}{% endfor %}\nz: {{ s.l | upper }}\n", lambda: {"a": [1] * 40}, STEPS),
    "a nested list that doubles, compared": Bomb("{% set s = namespace(l=[]) %}{% set t = namespace(l=[]) %}" + LOOP + "{% set s.l = [s.l, s.l] %}{% set t.l = [t.l, t.l] %}{% endfor %}\nz: {{ s.l == t.l }}\n", lambda: {"a": [1] * 40}, STEPS),
    "a nested tuple that doubles, looked up": Bomb("{% set s = namespace(l=()) %}" + LOOP + "{% set s.l = (s.l, s.l) %}{% endfor %}\nz: {{ s.l in {} }}\n", lambda: {"a": [1] * 40}, STEPS),
    "a nested tuple that doubles, as a key": Bomb("{% set s = namespace(l=()) %}" + LOOP + "{% set s.l = (s.l, s.l) %}{% endfor %}\nz: {{ x[s.l] | default(1) }}\n", lambda: {"a": [1] * 40}, STEPS),
    "many lines in a loop": Bomb("v:\n" + LOOP + "\n" + "".join(f"  - name: static-line-{i}\n" for i in range(60)) + "{% endfor %}\n", lambda: {"a": [1] * 100_000}, f"{STEPS}|{TEXT}"),
    "a set block in each place": Bomb("{% set env %}\n{% for e in x.a %}\n- {name: {{ e }}}\n{% endfor %}\n{% endset %}\nc:\n" + LOOP + "\n  - env:\n      {{ env }}\n{% endfor %}\n", lambda: {"a": ["e"] * 3_000}, f"{STEPS}|{TEXT}|{MADE}"),
    "set blocks that double": Bomb("{% set s = namespace(l='') %}{% set s.l %}\na: 1\nb: 2\n{% endset %}" + LOOP + "{% set s.l %}\n{{ s.l }}\n{{ s.l }}\n{% endset %}{% endfor %}\nz:\n  {{ s.l }}\n", lambda: {"a": [1] * 40}, f"{STEPS}|{TEXT}|{MADE}"),
    "macros that call themselves twice": Bomb("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}z: 1 {{ m(x.n) }}\n", lambda: {"n": 60}, STEPS),
    "a macro without an end": Bomb("{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}z: {{ m(1) }}\n", lambda: 1, ENDLESS),
    "an include of itself": Bomb("z: 1\n{% include '_self.yaml' %}\n", lambda: 1, ENDLESS, {"_self.yaml": "{% include '_self.yaml' %}\n"}),
    "includes in a loop": Bomb(LOOP + "{% include '_part.yaml' %}{% endfor %}\nz: 1\n", lambda: {"a": [1] * 70_000}, STEPS, {"_part.yaml": "{# nothing #}"}),
    "imports in a loop": Bomb(LOOP + "{% import '_part.yaml' as p %}{% endfor %}\nz: 1\n", lambda: {"a": [1] * 70_000}, STEPS, {"_part.yaml": "{% macro m() %}{% endmacro %}"}),
    "call blocks in a loop": Bomb("{% macro m() %}\na: {{ caller() }}\n{% endmacro %}v:\n" + LOOP + "\n  - {% call m() %}{{ a }}{% endcall %}\n{% endfor %}\n", lambda: {"a": list(range(90_000))}, f"{STEPS}|{TEXT}|100000"),
    "a recursive loop": Bomb("{% for a in x.a recursive %}{{ loop(x.a) if loop.depth < 30 else '' }}{% endfor %}\nz: 1\n", lambda: {"a": [1, 2]}, f"{STEPS}|{ENDLESS}|{TEXT}|{MADE}"),
    "blank lines in a macro": Bomb("{% macro m() %}\n" + LOOP + "\n{% if a.b %}\n- {{ a }}\n{% endif %}\n\n{% endfor %}\n- last\n{% endmacro %}\nv:\n  {{ m() }}\n", lambda: {"a": [{"b": False}] * 60_000}, DONE),
    "yaml blocks in a loop": Bomb("v:\n" + LOOP + "\n  '{{ a }}': {% yaml %}\n    a: {{ a }}\n    b: [1, 2]\n  {% endyaml %}\n{% endfor %}\n", lambda: {"a": list(map(str, range(30_000)))}, STEPS),
    "YAML in a loop": Bomb(LOOP + "{% set y = x.a | to_yaml %}" + END, lambda: {"a": [f"v{i}" for i in range(3_000)]}, STEPS),
    "YAML of digits and underscores": Bomb("z: '{{ x | to_yaml }}'\n", lambda: ["1" + "_" * 300_000 + "x"], DONE),
    "TOML in a loop": Bomb(LOOP + "{% set y = x | to_toml %}" + END, lambda: {"a": [f"v{i}" for i in range(3_000)]}, STEPS),
    "JSON in a loop": Bomb(LOOP + "{% set y = x.b | to_json %}" + END, lambda: {"a": [1] * 2_000, "b": ["x" * 200_000]}, WRITTEN),
    "base64 in a loop": Bomb(LOOP + "{% set y = x.b | b64encode %}" + END, lambda: {"a": [1] * 2_000, "b": "x" * 1_000_000}, f"{STEPS}|{MADE}"),
    "digests in a loop": Bomb(LOOP + "{% set y = x.b | sha256 %}" + END, lambda: {"a": [1] * 20_000, "b": "x" * 1_000_000}, STEPS),
    "join in a loop": Bomb(LOOP + "{% set y = x.a | join(',') %}" + END, lambda: {"a": ["v"] * 20_000}, f"{STEPS}|{MADE}"),
    "replace in a loop": Bomb(LOOP + "{% set y = x.b | replace('a', 'b') %}" + END, lambda: {"a": [1] * 20_000, "b": "a" * 100_000}, f"{STEPS}|{MADE}"),
    "indent in a loop": Bomb(LOOP + "{% set y = x.b | indent(9) %}" + END, lambda: {"a": [1] * 20_000, "b": "a\n" * 50_000}, f"{STEPS}|{MADE}"),
    "urlize": Bomb("z: {{ x | urlize }}\n", lambda: "x" + "(" * 700_000 + ")" * 700_000, AT_ONCE),
    "wordwrap": Bomb("z: {{ x | wordwrap(72) }}\n", lambda: "a-" * 700_000, AT_ONCE),
    "striptags": Bomb("z: {{ x | striptags }}\n", lambda: "<>" * 700_000, AT_ONCE),
    "title in a loop": Bomb(LOOP + "{% set y = x.b | title %}" + END, lambda: {"a": [1] * 2_000, "b": "ab " * 50_000}, f"{STEPS}|{MADE}"),
    "pprint": Bomb("z: {{ x | pprint }}\n", lambda: [{"a": [i]} for i in range(60_000)], STEPS),
    "split in a loop": Bomb(LOOP + "{% set y = x.b.split(',') %}" + END, lambda: {"a": [1] * 2_000, "b": "ab," * 50_000}, MADE),
    "methods of texts in a loop": Bomb(LOOP + "{% set y = x.b.upper() %}" + END, lambda: {"a": [1] * 20_000, "b": "ab," * 300_000}, STEPS),
    "index and count of lists in a loop": Bomb(LOOP + "{% set y = x.a.count(a) %}" + END, lambda: {"a": [1] * 50_000}, STEPS),
    "bytes times n": Bomb("z: {{ ('a'.encode() * x.n) | length }}\n", lambda: {"n": 1 << 30}, LARGE),
    "padding of bytes": Bomb("z: {{ 'a'.encode().ljust(x.n) | length }}\n", lambda: {"n": 1 << 30}, METHOD),
    "formatting of bytes": Bomb("z: {{ ('%1000000000d'.encode() % 1) | length }}\n", lambda: 1, METHOD),
    "bytes of a number": Bomb("z: {{ (1).to_bytes(x.n, 'big') | length }}\n", lambda: {"n": 1 << 30}, METHOD),
    "a number of bytes": Bomb("z: {{ (1).from_bytes(x.encode(), 'big') // 3 }}\n", lambda: "x" * 1_000_000, METHOD),
    "a number that doubles": Bomb("{% set s = namespace(n=1) %}" + LOOP + "{% set s.n = s.n + s.n %}" + END, lambda: {"a": [1] * 70_000}, LARGE),
    "a power": Bomb("z: {{ x.n ** x.n }}\n", lambda: {"n": 1 << 30}, LARGE),
    "a text times n": Bomb("z: {{ ('a' * x.n) | length }}\n", lambda: {"n": 1 << 30}, LARGE),
    "center": Bomb("z: {{ 'a' | center(x.n) }}\n", lambda: {"n": 1 << 30}, "takes a whole number up to"),
    "loops in loops": Bomb(LOOP + "{% for b in x.a %}{% for c in x.a %}{% endfor %}{% endfor %}" + END, lambda: {"a": [1] * 10_000}, STEPS),
    "a field that is missed among many": Bomb("z: {{ x.nothing }}\n", lambda: {f"field-{i}": i for i in range(60_000)}, "there is no field 'nothing'"),
    "deep maps": Bomb("z: {{ x }}\n", lambda: nested(1_500, mapping=True), DEEP),
    "deep lists": Bomb("z: {{ x }}\n", lambda: nested(5_000, mapping=False), DEEP),
    "deep lists, as JSON": Bomb("z: {{ x | to_json }}\n", lambda: nested(5_000, mapping=False), DEEP),
    "deep maps, as YAML": Bomb("z: '{{ x | to_yaml }}'\n", lambda: nested(1_500, mapping=True), DEEP),
    "deep maps, compared": Bomb("{% set y = dict(x) %}z: {{ [x] == [y] }}\n", lambda: nested(1_500, mapping=True), DEEP),
    "deep lists, in": Bomb("z: {{ x in [[x]] }}\n", lambda: nested(1_500, mapping=False), DEEP),
    "deep lists, unique": Bomb("z: {{ [x, [x]] | sort | length }}\n", lambda: nested(1_500, mapping=False), DEEP),
    "deep lists, as text": Bomb("z: {{ x | upper }}\n", lambda: nested(1_500, mapping=False), DEEP),
    "deep maps in annotations": Bomb("z: {{ resource.metadata }}\n", lambda: nested(1_500, mapping=True), DEEP),
}  # fmt: skip

HEALTHY: Final = Bomb("data:\n" + "".join(f"  key-{number}: {{{{ x }}}}\n" for number in range(40)), lambda: "x", DONE)


def load(folder: pathlib.Path, bomb: Bomb) -> JinjaRenderer:
    folder.mkdir()
    (folder / "a.yaml").write_text("{% set x = resource.spec.x %}" + HEAD + bomb.template)
    for name, text in bomb.files.items():
        (folder / name).write_text(text)
    made = JinjaRenderer(folder)
    made.load()
    return made


@dataclasses.dataclass
class Beats:
    """How long the loop was taken at once: CPU of its thread, and of the whole process, in seconds."""

    own: float = 0.0
    all: float = 0.0

    async def beat(self) -> None:
        while True:
            own, everything = time.thread_time(), time.process_time()
            await asyncio.sleep(0.001)
            self.own = max(self.own, time.thread_time() - own)
            self.all = max(self.all, time.process_time() - everything)


async def reconciled(renderer: JinjaRenderer, item: interfaces.Resource) -> tuple[interfaces.Report, float]:
    """The report on a resource, and the seconds that it took."""
    watcher = fakes.FakeWatcher()
    watcher.put(item)
    parts = reconcile.ControllerContext(
        "app", watcher, renderer, fakes.FakeApplier(), fakes.WORKS, lambda _resource, _rendered: ()
    )
    begin = time.perf_counter()
    result = await reconcile.reconcile(parts, item.key)
    assert result.report is not None
    return result.report, time.perf_counter() - begin


async def explode(renderer: JinjaRenderer, bomb: Bomb, healthy: JinjaRenderer, beside: int) -> dict[str, Any]:
    """Reconcile a bomb, beside so many healthy resources."""
    item = fakes.resource("bomb", x=bomb.make())
    if "resource.metadata" in bomb.template:
        item.metadata["annotations"] = {"deep": item.data["spec"]["x"]}  # type: ignore[index]
    beats, begin = Beats(), time.process_time()
    heart = asyncio.create_task(beats.beat())
    await asyncio.sleep(0.003)
    task = asyncio.create_task(reconciled(renderer, item))
    others = []
    for number in range(beside):
        await asyncio.sleep(0.001)
        others.append(await reconciled(healthy, fakes.resource(f"healthy-{number}", x="x")))
    report, _ = await task
    await asyncio.sleep(0.003)
    heart.cancel()
    return {
        "ready": report.ready, "message": report.message, "own": beats.own, "all": beats.all,
        "cpu": time.process_time() - begin, "healthy": [one.ready for one, _ in others], "took": [took for _, took in others],
    }  # fmt: skip


def main(names: Sequence[str], beside: int) -> dict[str, dict[str, Any]]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        healthy = load(pathlib.Path(folder) / "healthy", HEALTHY)
        asyncio.run(reconciled(healthy, fakes.resource("first", x="x")))
        for number, name in enumerate(names):
            renderer = load(pathlib.Path(folder) / str(number), BOMBS[name])
            found[name] = asyncio.run(explode(renderer, BOMBS[name], healthy, beside))
            found[name]["memory"] = processes.peak_mib(os.getpid())
    return found


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    print(json.dumps(main(sys.argv[2:] or list(BOMBS), int(sys.argv[1]))))
