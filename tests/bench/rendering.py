"""What rendering costs, beside rendering text and parsing it as YAML; needs no cluster.

20 templates with loops and conditions, of which each resource makes 20 objects. The floor is plain Jinja2 to text and
PyYAML's loader in C, one after the other in the same process. Compared is CPU, the middle of several passes.
"""

import dataclasses
import gc
import pathlib
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import jinja2
import rich.box
import rich.table
import yaml

import lostromos_core
from lostromos_core import interfaces
from lostromos_core.cli import memory
from lostromos_core.templates.data import memo

TEMPLATES: Final = pathlib.Path(__file__).parent / "templates"
VARS: Final = {"part": "shop", "registry": "registry.example.com", "domain": "apps.example.com", "token": "t0ken"}
RESOURCES: Final = 200
PASSES: Final = 3
Lengths = tuple[tuple[int, int], tuple[int, int]]
"""From and to: of labels, ports and hosts; of environment variables."""
MIXES: Final[Mapping[str, Lengths]] = {
    "all of one shape": ((2, 2), (2, 2)),
    "lists of 1 to 3 and 1 to 6 items": ((1, 3), (1, 6)),
    "lists of 1 to 12 items": ((1, 12), (1, 12)),
    "lists of 1 to 50 items": ((1, 50), (1, 50)),
}
NEW: Final = "lists of 1 to 12 items, each shape new"
ANY_MIX: Final = 1.5
"""Times as fast as plain text, at least, with any mix of lengths."""
ALL_NEW: Final = 0.8


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """One mix: milliseconds of CPU a resource, of the plain rendering and of ours, and the least ratio wanted."""

    name: str
    plain: float
    ours: float
    target: float

    @property
    def ratio(self) -> float:
        """How many times as fast as plain text."""
        return self.plain / self.ours

    @property
    def missed(self) -> bool:
        """Whether it is slower than wanted."""
        return self.ratio < self.target


def resources(lengths: Lengths) -> Sequence[interfaces.Resource]:
    """Resources whose lists have random lengths in these limits; the same ones each time."""
    chosen = random.Random(7)
    few, many = lengths
    varied = few[0] != few[1]

    def make(number: int) -> dict[str, Any]:
        def some(limits: tuple[int, int]) -> range:
            return range(chosen.randint(*limits))

        spec = {
            "replicas": chosen.randint(1, 5) if varied else 2, "port": chosen.randint(1024, 9000), "host": f"h{number}.example.com",
            "image": f"app:{number}", "cpu": f"{chosen.randint(1, 9)}00m", "memory": chosen.randint(64, 512),
            "debug": varied and chosen.random() < 0.3, "labels": {f"l{i}": f"v{number}" for i in some(few)},
            "env": {f"E{i}": f"x{number}" for i in some(many)}, "hosts": [f"a{i}-{number}" for i in some(few)],
            "ports": [{"name": f"p{i}", "port": 80 + i} for i in some(few)],
        }  # fmt: skip
        metadata = {"name": f"app{number}", "namespace": f"ns{number % 50}", "uid": str(number)}
        return {"apiVersion": "example.com/v1", "kind": "App", "metadata": metadata, "spec": spec}

    return [_resource(make(number)) for number in range(RESOURCES)]


def _resource(data: dict[str, Any]) -> interfaces.Resource:
    namespace, name = data["metadata"]["namespace"], data["metadata"]["name"]
    ref = interfaces.ObjectRef(data["apiVersion"], data["kind"], namespace, name)
    return interfaces.Resource(f"{namespace}/{name}", ref, data["metadata"]["uid"], data)


def measure() -> Sequence[Measured]:
    """All mixes, both ways with the garbage collector as ``lostromos run`` sets it."""
    memory.freeze()
    found = [_measure(name, resources(lengths), ANY_MIX) for name, lengths in MIXES.items()]
    found.append(_measure(NEW, resources(MIXES["lists of 1 to 12 items"]), ALL_NEW, keep=False))
    return found


def _measure(name: str, items: Sequence[interfaces.Resource], target: float, *, keep: bool = True) -> Measured:
    plain, ours = _plain(), _ours(keep=keep)
    for item in items:  # both are warm
        assert ours(item) == plain(item)
    passes = [(_cpu(plain, items), _cpu(ours, items)) for _ in range(PASSES)]
    plain_ms, ours_ms = map(statistics.median, zip(*passes, strict=True))
    return Measured(name, plain_ms, ours_ms, target)


def _plain() -> Callable[[interfaces.Resource], list[Any]]:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    templates = [environment.get_template(path.name) for path in sorted(TEMPLATES.glob("*.yaml"))]

    def render(item: interfaces.Resource) -> list[Any]:
        texts = (template.render(resource=item.data, vars=VARS) for template in templates)
        return [found for text in texts for found in yaml.load_all(text, yaml.CSafeLoader) if found is not None]

    return render


def _ours(*, keep: bool) -> Callable[[interfaces.Resource], list[Any]]:
    renderer = lostromos_core.JinjaRenderer(TEMPLATES)
    renderer.load()
    if not keep:
        renderer._library._environment.programs._kept = memo.Memo(0)
    context = interfaces.Context(vars=VARS)

    def render(item: interfaces.Resource) -> list[Any]:
        return [manifest.data for manifest in renderer.render(item, context).objects]

    return render


def _cpu(render: Callable[[interfaces.Resource], object], items: Sequence[interfaces.Resource]) -> float:
    """Milliseconds of CPU a resource."""
    gc.collect()
    begin = time.process_time()
    for item in items:
        render(item)
    return (time.process_time() - begin) / len(items) * 1000


def table(found: Sequence[Measured]) -> rich.table.Table:
    """What the person who waits gets to read."""
    made = rich.table.Table(title="Rendering 20 objects, ms of CPU a resource", box=rich.box.SIMPLE_HEAD)
    made.add_column("Resources")
    for name in ("Plain text", "Lostrómos", "Times as fast", "Target"):
        made.add_column(name, justify="right")
    for one in found:
        mark = "[bold red]missed[/]" if one.missed else ""
        made.add_row(
            one.name, f"{one.plain:.2f}", f"{one.ours:.2f}", f"{one.ratio:.2f}", f">= {one.target:g} {mark}".strip()
        )
    return made
