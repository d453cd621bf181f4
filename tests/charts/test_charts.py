"""The comparison of charts: what it finds, and one chart that comes out the same in all ways."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from click import testing

from tests.charts import __main__ as command
from tests.charts import compare, snapshot, ways

if TYPE_CHECKING:
    from pathlib import Path

KEY = ("apps", "Deployment", "ns", "web")
SECRET = ("", "Secret", "ns", "web")


def item(body: Any, *, hook: bool = False) -> snapshot.Item:
    return snapshot.Item("/path", body, "1", hook)


def found(writes: int = 0, left: Any = None, said: str = "", **objects: Any) -> ways.Found:
    keys = {"web": KEY, "secret": SECRET}
    hooks = objects.pop("hooks", ())
    made = {keys[name]: item(body, hook=name in hooks) for name, body in objects.items()}
    return ways.Found(made, writes, {key: item({}) for key in left or ()}, said)


ONE = {"spec": {"replicas": 1, "items": [{"a": 1}, {"b": 2}]}, "data": {"password": "x"}}
TWO = {"spec": {"replicas": 2, "items": [{"a": 1}, {"b": 3}]}, "data": {"password": "y"}}
CASES: dict[str, tuple[str, ways.Found, ways.Found, list[str]]] = {
    "the same": ("helm", found(web=ONE), found(web=ONE), []),
    "missing": ("helm", found(web=ONE), found(), ["missing: Deployment.apps ns/web"]),
    "extra": ("helm", found(), found(web=ONE), ["extra: Deployment.apps ns/web"]),
    "fields": (
        "helm", found(web=ONE), found(web=TWO),
        [
            "differs: Deployment.apps ns/web spec.items.1.b: by hand 2, ours 3",
            "differs: Deployment.apps ns/web spec.replicas: by hand 1, ours 2",
        ],
    ),
    "values of Secrets": ("helm", found(secret=ONE), found(secret={**ONE, "more": "z"}), ["differs: Secret ns/web more"]),
    "hooks of a release": (
        "helm", found(web=ONE, hooks=("web",)), found(), ["missing: Deployment.apps ns/web"],
    ),
    "hooks that are not rendered": ("helm-template", found(web=ONE, hooks=("web",)), found(), []),
    "writes": ("helm", found(), found(writes=3), ["writes when idle: 3, by hand 0"]),
    "writes that nobody can avoid": ("helm", found(writes=3), found(writes=3), []),
    "left": ("helm", found(), found(left=[KEY]), ["left, and not by hand: Deployment.apps ns/web"]),
    "not left": ("helm", found(left=[KEY]), found(), ["not left, and by hand: Deployment.apps ns/web"]),
    "failed": ("helm", found(), found(said="no"), ["failed: no"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_differs_is_told(case: str) -> None:
    how, hand, ours, expected = CASES[case]
    always: set[tuple[snapshot.Key, compare.Path]] = {(KEY, ("data", "password"))}
    assert list(command.tell(how, hand, ours, always)) == expected


def test_what_differs_between_two_installs_by_hand_does_not_count() -> None:
    always = compare.changing(found(web=ONE).objects, found(web=TWO).objects)
    assert list(compare.differences(found(web=ONE).objects, found(web=TWO).objects, always)) == []


def test_a_chart_comes_out_the_same_in_all_ways(tmp_path: Path) -> None:
    shutil.copytree(command.SAMPLES / "delivery", tmp_path / "delivery")
    done = testing.CliRunner().invoke(command.main, [str(tmp_path), "--idle=2"])
    assert done.output.count("as by hand\n") == 2, done.output
    assert "CustomResourceDefinition.apiextensions.k8s.io applications.delivery.example.com" in done.output
    assert done.exit_code == 0
