"""Seals: they prove what Helm made for us, and nothing else; their key is made once."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube.transport import client
from lostromos_helm.release import seals, storage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster

HOOK = {"name": "h", "kind": "Job", "path": "app/h.yaml", "manifest": "kind: Job", "events": ["pre-delete"], "weight": 1, "last_run": {"phase": "Succeeded"}}  # fmt: skip
RELEASE: dict[str, Any] = {
    "name": "app-web",
    "manifest": "kind: ConfigMap",
    "hooks": [HOOK],
    "info": {"status": "deployed"},
}


def revision(**changed: Any) -> storage.Revision:
    given = {
        "namespace": "ns", "name": "app-web", "number": 2, "status": "deployed", "controller": "app", "owner": "o", "digest": "d",
        "written": 2, "key": "ns/web", "modified": 0.0, "version": 1, "secret": "s", **changed,
    }  # fmt: skip
    return storage.Revision(**given)


@pytest.fixture
def seal(tmp_path: Path) -> seals.Seals:
    unused: Any = None
    return seals.Seals(unused, tmp_path)


async def test_a_seal_proves_what_it_was_made_for(seal: seals.Seals) -> None:
    made = await seal.of(revision(), seals.digest_of(RELEASE))
    assert storage.is_label(made)
    sealed = {"seal": made}
    assert await seal.proves(revision(**sealed), RELEASE)
    later = {**RELEASE, "info": {"status": "superseded"}, "hooks": [{**HOOK, "last_run": {"phase": "Failed"}}]}
    assert await seal.proves(revision(**sealed, status="superseded"), later)


@pytest.mark.parametrize(
    "changed", [{"namespace": "x"}, {"name": "x"}, {"number": 3}, {"owner": "x"}, {"digest": "x"}, {"seal": ""}, {"seal": "0" * 40}]
)  # fmt: skip
async def test_a_seal_is_of_one_revision_of_one_owner(seal: seals.Seals, changed: dict[str, Any]) -> None:
    made = {"seal": await seal.of(revision(), seals.digest_of(RELEASE))}
    assert not await seal.proves(revision(**{**made, **changed}), RELEASE)


@pytest.mark.parametrize(
    "changed",
    [
        {"manifest": "kind: Secret"},
        {"hooks": []},
        {"hooks": [HOOK, HOOK]},
        {"hooks": [{**HOOK, "manifest": "kind: Pod"}]},
        {"hooks": [{**HOOK, "events": ["post-delete"]}]},
        {"hooks": [{**HOOK, "delete_policies": ["hook-succeeded"]}]},
    ],
)
async def test_a_seal_is_of_the_manifest_and_the_hooks(seal: seals.Seals, changed: dict[str, Any]) -> None:
    made = {"seal": await seal.of(revision(), seals.digest_of(RELEASE))}
    assert not await seal.proves(revision(**made), {**RELEASE, **changed})


@pytest.mark.parametrize("hooks", [None, "x", [1, None], {"a": 1}, [{"path": 1}, {"path": "x", "name": None}]])
def test_whatever_stands_there_has_a_digest(hooks: Any) -> None:
    assert seals.digest_of({"manifest": 7, "hooks": hooks})


async def test_another_key_proves_nothing(tmp_path: Path) -> None:
    unused: Any = None
    one, other = seals.Seals(unused, tmp_path / "one"), seals.Seals(unused, tmp_path / "other")
    made = await one.of(revision(), seals.digest_of(RELEASE))
    assert not await other.proves(revision(seal=made), RELEASE)
    again = seals.Seals(unused, tmp_path / "one")
    assert await again.proves(revision(seal=made), RELEASE), "the key outlives the process"


async def test_the_key_lies_in_the_operators_namespace_and_is_made_once(
    control_plane: cluster.ControlPlane, api: apis.Api, namespace: str, tmp_path: Path
) -> None:
    async with clusters.Cluster(client.Client(str(control_plane.kubeconfig))) as kube:
        several = [seals.Seals(kube, tmp_path, namespace) for _ in range(5)]
        made = await asyncio.gather(*(one.of(revision(), "digest") for one in several))
    assert len(set(made)) == 1
    assert made[0]
    secret = api.get(f"/api/v1/namespaces/{namespace}/secrets/{seals.NAME}")
    assert len(base64.b64decode(secret["data"]["key"])) == 32
    assert list(tmp_path.iterdir()) == []


async def test_without_a_namespace_to_write_into_there_are_no_seals_and_no_error(
    control_plane: cluster.ControlPlane, tmp_path: Path
) -> None:
    async with clusters.Cluster(client.Client(str(control_plane.kubeconfig))) as kube:
        none = seals.Seals(kube, tmp_path, "no-such-namespace")
        assert await none.of(revision(), "digest") == ""
        assert not await none.proves(revision(seal="0" * 40), RELEASE)


async def test_a_cluster_that_cannot_be_reached_is_no_proof_of_anything(tmp_path: Path) -> None:
    class Down:
        dry_run = False

        async def request(self, *_: Any, **__: Any) -> Any:
            raise errors.ConnectionFailed("no")

    down: Any = Down()
    with pytest.raises(errors.ConnectionFailed):
        await seals.Seals(down, tmp_path, "ns").proves(revision(seal="0" * 40), RELEASE)
