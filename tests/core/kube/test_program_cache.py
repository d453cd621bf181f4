"""The folder in which helm and kubectl keep what they know of the cluster: another one when its kinds change."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any

from lostromos_core.kube.kinds import discovery, program_cache

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest


class Server:
    """Serves one kind, in the versions that it has at the moment."""

    dry_run = False

    def __init__(self) -> None:
        self.versions = ["v1", "v1beta1"]
        self.asked = 0

    async def request(self, _method: str, path: str, **_: Any) -> Mapping[str, Any]:
        self.asked += 1
        resource = {
            "resource": "budgets",
            "responseKind": {"kind": "Budget"},
            "scope": "Namespaced",
            "verbs": ["list", "delete"],
        }
        versions = [{"version": version, "resources": [resource]} for version in self.versions]
        items = [{"metadata": {"name": "example.com"}, "versions": versions}] if path == "/apis" else []
        return {"kind": "APIGroupDiscoveryList", "items": items}


def made(server: Server, home: pathlib.Path, now: list[float]) -> program_cache.ProgramCache:
    return program_cache.ProgramCache(discovery.Discovery(server, lambda: now[0]), home)  # type: ignore[arg-type]


async def test_a_change_of_kinds_means_another_folder_and_old_ones_are_removed(tmp_path: pathlib.Path) -> None:
    server, now = Server(), [0.0]
    cache = made(server, tmp_path / "kube", now)
    first = (await cache.variables(seconds=10))["KUBECACHEDIR"]
    (pathlib.Path(first) / "discovery").mkdir()
    assert (await cache.variables(seconds=10))["KUBECACHEDIR"] == first
    assert server.asked == 2, "both lists, once"
    server.versions = ["v1"]
    assert (await cache.variables(seconds=10))["KUBECACHEDIR"] == first, "not old enough to ask again"
    now[0] += 1
    second = (await cache.variables(seconds=0))["KUBECACHEDIR"]
    assert second != first
    assert pathlib.Path(first).is_dir(), "another process may use it"
    os.utime(second, (1, 1))
    for number in range(program_cache.KEPT):
        now[0] += 1
        server.versions = [f"v{number + 2}"]
        newest = (await cache.variables(seconds=0))["KUBECACHEDIR"]
    assert not pathlib.Path(second).exists()
    assert len(list((tmp_path / "kube").iterdir())) == program_cache.KEPT
    server.versions, now[0] = ["v1", "v1beta1"], now[0] + 1
    assert (await cache.variables(seconds=0))["KUBECACHEDIR"] == first, "the same kinds, the same folder"
    assert newest != first


async def test_a_folder_that_cannot_be_made_is_named_all_the_same(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    found = await made(Server(), tmp_path / "file" / "kube", [0.0]).variables(seconds=0)
    assert found["KUBECACHEDIR"].startswith(str(tmp_path / "file" / "kube"))


def test_kubectl_gets_a_folder_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path))
    assert program_cache.own_folder() == tmp_path / "lostromos"
    monkeypatch.delenv("KUBECACHEDIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert program_cache.own_folder() == tmp_path / ".kube" / "cache" / "lostromos"
