"""Names of version 0.1 go on working, and say what they are called now."""

import importlib

import pytest

import lostromos_core
from lostromos_core import interfaces, kube
from lostromos_core.engine import supervision
from lostromos_core.kube.lookup import lookups
from lostromos_core.kube.transport import client


def test_the_client_is_found_under_its_old_name() -> None:
    with pytest.deprecated_call(match=r"Kube is now called Client, and is found in lostromos_core\.kube"):
        assert client.Kube is kube.Client
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = client.Nothing


@pytest.mark.parametrize("name", ["answers", "client", "discovery", "events", "marks", "schema", "watch"])
def test_public_modules_are_found_under_their_old_names(name: str) -> None:
    with pytest.deprecated_call(match=f"lostromos_core.kube.{name} is now lostromos_core.kube"):
        assert getattr(kube, name).__name__.startswith("lostromos_core.kube.")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = kube.nothing


def test_the_policy_of_lookups_is_found_under_its_old_name() -> None:
    with pytest.deprecated_call(match=r"now lostromos_core\.kube\.LookupPolicy"):
        old = importlib.import_module("lostromos_core.kube.lookups")
    assert old.Policy is lookups.Policy is kube.LookupPolicy


def test_a_watcher_of_version_0_1_rings() -> None:
    seen: list[str] = []
    runtime = interfaces.Runtime("app", None, seen.append)
    sink = supervision.StateSink("app", seen.append, supervision.WatchState())
    with pytest.deprecated_call(match="Doorbell is now called EventSink"):
        assert lostromos_core.Doorbell is lostromos_core.EventSink
    with pytest.deprecated_call(match=r"Runtime\.ring is now called enqueue"):
        runtime.ring("a")
    with pytest.deprecated_call(match=r"EventSink\.ring is now called enqueue"):
        sink.ring("b")
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = lostromos_core.Nothing
    assert seen == ["a", "b"]
