"""Which watchers could select the same resource."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core import errors
from lostromos_core.engine.controller import Controller
from lostromos_core.engine.operator import Operator
from lostromos_core.kube import watcher
from tests import fakes


def watch(**selection: Any) -> watcher.KubernetesWatcher:
    return watcher.KubernetesWatcher(**({"group": "example.com", "version": "v1", "kind": "WebApp"} | selection))


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ({}, {}, True),
        ({}, {"version": "v2"}, True),
        ({}, {"kind": "Other"}, False),
        ({"namespaces": ["a", "b"]}, {"namespaces": ["b"]}, True),
        ({"namespaces": ["a"]}, {"namespaces": ["b"]}, False),
        ({"namespaces": ["a"]}, {}, True),
        ({"labels": "tier=web"}, {"labels": "tier=db"}, False),
        ({"labels": "tier=web,a=b"}, {"labels": "tier==web"}, True),
        ({"labels": "tier!=web"}, {"labels": "tier=web"}, True),
        ({"annotation": "by=one"}, {"annotation": "by=two"}, False),
        ({"annotation": "by"}, {"annotation": "by=two"}, True),
    ],
)
def test_selections_overlap_unless_they_differ_for_certain(
    one: dict[str, Any], other: dict[str, Any], overlap: bool
) -> None:
    assert watch(**one).overlaps(watch(**other)) is overlap
    assert watch(**other).overlaps(watch(**one)) is overlap


def test_controllers_that_could_fight_are_refused() -> None:
    def controller(name: str, **selection: Any) -> Controller:
        return Controller(name, watch=watch(**selection), render=fakes.FakeRenderer(), apply=fakes.FakeApplier())

    with pytest.raises(errors.ConfigError, match="'one' and 'two' can select the same resource"):
        Operator([controller("one"), controller("two")])
    Operator([controller("one", labels="a=1"), controller("two", labels="a=2")])
    assert not watch().overlaps(fakes.FakeWatcher())
