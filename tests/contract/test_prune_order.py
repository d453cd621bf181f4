"""Pruning goes by waves, as deletion does: what somebody holds is waited for, and what comes before it waits as well."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

from lostromos_core import interfaces
from tests import fakes, policies
from tests.contract import test_looking_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.contract import test_appliers

Action = interfaces.Action
HOLD = "example.com/hold"
PLURALS = {"ConfigMap": "configmaps", "Secret": "secrets", "ServiceAccount": "serviceaccounts"}


@dataclasses.dataclass(frozen=True)
class Row:
    """Objects by name: kind and wave; who is held; and what a first look at it says of each."""

    objects: Mapping[str, tuple[str, int]]
    held: Sequence[str]
    first: Mapping[str, Action]


GONE, WAITS = Action.PRUNED, Action.WAITING
ROWS = {
    "client": Row({"a": ("ConfigMap", 0), "b": ("ConfigMap", 1)}, ["b"], {"a": WAITS, "b": WAITS}),
    "first": Row({"a": ("Secret", 0), "b": ("ConfigMap", 1)}, ["a"], {"a": WAITS, "b": GONE}),
    "middle": Row(
        {"a": ("ConfigMap", -1), "b": ("Secret", 0), "c": ("ConfigMap", 5)}, ["b"], {"a": WAITS, "b": WAITS, "c": GONE}
    ),
    "same": Row({"a": ("ConfigMap", 3), "b": ("ServiceAccount", 3)}, ["a"], {"a": WAITS, "b": GONE}),
    "both": Row({"a": ("ServiceAccount", 0), "b": ("Secret", 2)}, ["a", "b"], {"a": WAITS, "b": WAITS}),
    "free": Row({"a": ("ConfigMap", 0), "b": ("Secret", 1)}, [], {"a": GONE, "b": GONE}),
}


def made(row: str, name: str, kind: str, wave: int) -> interfaces.Manifest:
    metadata = {"name": f"{row}-{name}", "annotations": {"lostromos.dev/wave": str(wave)}}
    return interfaces.Manifest({"apiVersion": "v1", "kind": kind, "metadata": metadata})


class Place:
    """The objects of one row."""

    def __init__(self, target: test_appliers.ClusterTarget, name: str) -> None:
        self.target, self.name, self.row = target, name, ROWS[name]
        self.owner = target.owner(name)

    @property
    def items(self) -> list[interfaces.Manifest]:
        return [made(self.name, name, *what) for name, what in self.row.objects.items()]

    def path(self, name: str) -> str:
        return self.target.path(f"{self.name}-{name}", PLURALS[self.row.objects[name][0]])

    def hold(self, *, free: bool = False) -> None:
        for name in self.row.held:
            self.target.api.patch(self.path(name), {"metadata": {"finalizers": None if free else [HOLD]}})

    def there(self) -> set[str]:
        return {name for name in self.row.objects if self.target.api.exists(self.path(name))}

    async def apply(self, applier: interfaces.Applier, *items: interfaces.Manifest) -> dict[str, Action]:
        found = await applier.apply(self.target.fresh(self.owner), fakes.manifests(kept(self.name), *items))
        return {result.ref.name.removeprefix(f"{self.name}-"): result.action for result in found.objects}


def kept(name: str) -> interfaces.Manifest:
    return fakes.config_map(f"{name}-kept", {})


async def test_what_is_held_is_waited_for_wave_by_wave(target: test_appliers.ClusterTarget) -> None:
    places = [Place(target, name) for name in ROWS]
    options: dict[str, Any] = {"prune_share": 1}

    async def first(applier: interfaces.Applier, place: Place) -> None:
        await place.apply(applier, *place.items)
        place.hold()
        found = await place.apply(applier)
        assert {name: found[name] for name in place.row.objects} == place.row.first, place.name
        assert place.there() == {name for name, action in place.row.first.items() if action is WAITS}
        again = await place.apply(applier)
        waiting = {name for name, action in again.items() if action is WAITS}
        assert waiting == place.there(), "it is waited for, however often it is looked at"

    async def last(applier: interfaces.Applier, place: Place) -> None:
        place.hold(free=True)
        async with asyncio.timeout(30):
            while place.there():
                await place.apply(applier)
                await asyncio.sleep(0.1)
        assert target.api.exists(target.path(f"{place.name}-kept"))
        async with asyncio.timeout(30):
            while (await place.apply(applier)).keys() != {"kept"}:
                await asyncio.sleep(0.1)

    async with target.applier(**options) as applier:
        await asyncio.gather(*(first(applier, place) for place in places))
    async with target.applier(**options) as applier:  # another process goes on with it
        await asyncio.gather(*(last(applier, place) for place in places))


async def test_it_is_rung_and_told_when_something_that_was_held_is_gone(target: test_appliers.ClusterTarget) -> None:
    place, sink = Place(target, "client"), test_looking_after.Sink()
    async with target.applier(enqueue=sink, prune_share=1) as applier:
        await place.apply(applier, *place.items)
        place.hold()
        await place.apply(applier)
        place.hold(free=True)
        found: dict[str, Action] = {}
        while Action.PRUNED not in found.values():
            await sink.rings()
            found = await place.apply(applier)
        assert found == {"kept": Action.UNCHANGED, "b": Action.PRUNED, "a": Action.PRUNED}
        assert await place.apply(applier) == {"kept": Action.UNCHANGED}


async def test_consent_that_was_given_holds_until_the_last_wave_is_gone(target: test_appliers.ClusterTarget) -> None:
    """The share of what is left grows with each wave: it is asked about once, for all of them."""
    owner = target.owner("web")
    waves = [fakes.config_map(f"w{n}", {}, annotations={"lostromos.dev/wave": str(n)}) for n in range(5)]
    others = [fakes.config_map(f"k{n}", {}) for n in range(5)]
    hold: dict[str, Any] = {"metadata": {"finalizers": [HOLD]}}
    async with target.applier() as applier:
        await applier.apply(owner, fakes.manifests(*waves, *others))
        for item in waves:
            target.api.patch(target.path(item.ref.name), hold)
        for number in reversed(range(5)):
            found = await applier.apply(target.fresh(owner), fakes.manifests(*others))
            assert not any("allow-prune" in result.message for result in found.objects)
            assert "deletionTimestamp" in target.api.get(target.path(f"w{number}"))["metadata"]
            target.api.patch(target.path(f"w{number}"), {"metadata": {"finalizers": None}})
            await asyncio.sleep(0.5)
        await applier.apply(target.fresh(owner), fakes.manifests(*others))
    assert [target.data(f"w{number}") for number in range(5)] == [None] * 5


async def test_what_a_policy_forbids_is_worth_another_try_soon(target: test_appliers.ClusterTarget) -> None:
    """Whatever it forbids, and whatever the HTTP status: it may be lifted at any time, and no one tells us."""
    owner, api = target.owner("web"), target.api
    path = f"/api/v1/namespaces/{target.namespace}"
    names = ["deleted", "changed", "made"]
    api.create(f"{path}/configmaps", {"metadata": {"name": "policy-probe"}})
    before = [
        fakes.config_map("policy-deleted", {}),
        fakes.config_map("policy-changed", {"v": "1"}),
        interfaces.Manifest({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "policy-secret"}}),
        interfaces.Manifest({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "policy-account"}}),
    ]
    after = [fakes.config_map("policy-changed", {"v": "2"}), fakes.config_map("policy-made", {})]
    async with target.applier(prune_share=1) as applier:
        await applier.apply(owner, fakes.manifests(*before))
        with policies.denied(
            api,
            target.namespace,
            operations=["CREATE", "UPDATE", "DELETE"],
            resources=["configmaps", "secrets", "serviceaccounts"],
            allowed="!(request.operation == 'DELETE' ? oldObject : object).metadata.name.startsWith('policy-')",
            probe=lambda: api.delete(f"{path}/configmaps/policy-probe", dryRun="All"),
        ):
            found = await applier.apply(target.fresh(owner), fakes.manifests(*after))
            assert {result.ref.name for result in found.failed} == {"policy-changed", "policy-made"}
            pruned = await applier.apply(target.fresh(owner), fakes.manifests(before[1]))
            assert {result.ref.name for result in pruned.failed} == {
                "policy-deleted",
                "policy-secret",
                "policy-account",
            }
            api.delete(target.crd.path(target.namespace, "web"))
            gone = await applier.delete(owner.key, target.fresh(owner))
            results = [*found.failed, *pruned.failed, *gone.failed]
            assert len(gone.failed) == len(before)
            assert all(result.retryable and "not on Fridays" in result.message for result in results)
        async with asyncio.timeout(30):
            while (await applier.delete(owner.key, target.fresh(owner))).objects:
                await asyncio.sleep(0.2)
    assert not [name for name in names if target.data(f"policy-{name}") is not None]


async def test_a_foreground_deletion_waits_where_that_is_allowed(target: test_appliers.ClusterTarget) -> None:
    owner, api = target.owner("web"), target.api

    def blocks(name: str, plural: str = "configmaps") -> list[bool]:
        references = api.get(target.path(name, plural))["metadata"]["ownerReferences"]
        return [one.get("blockOwnerDeletion", False) for one in references]

    secret = interfaces.Manifest({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
    deployment = test_looking_after.deployment("d", replicas=0)
    async with target.applier(finalizer="auto") as applier:
        await applier.apply(owner, fakes.manifests(fakes.config_map("a", {}), secret, deployment))
        assert (blocks("a"), blocks("s", "secrets")) == ([True], [True])
        probe = {"apiVersion": "v1", "kind": "p", "name": "p", "uid": "p", "blockOwnerDeletion": True}
        body = {"metadata": {"name": "probe", "ownerReferences": [probe]}}
        maps = f"/api/v1/namespaces/{target.namespace}/configmaps"
        with policies.denied(  # as the admission plug-in OwnerReferencesPermissionEnforcement does it
            api,
            target.namespace,
            operations=["CREATE", "UPDATE"],
            resources=["configmaps"],
            allowed="!has(object.metadata.ownerReferences) || !object.metadata.ownerReferences.exists(r, "
            "has(r.blockOwnerDeletion) && r.blockOwnerDeletion)",
            message="cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on",
            reason="Forbidden",
            probe=lambda: api.create(maps, body, dryRun="All"),
        ):
            items = [fakes.config_map("a", {"v": "2"}), fakes.config_map("b", {}), secret, deployment]
            found = await applier.apply(target.fresh(owner), fakes.manifests(*items))
            assert not found.failed, [result.message for result in found.failed]
            assert (blocks("a"), blocks("b")) == ([False], [False])
            assert await test_looking_after.settled(applier, target.fresh(owner), *items)
    async with target.applier(finalizer="auto") as applier:
        assert await test_looking_after.settled(applier, target.fresh(owner), *items), "nor is it written at a start"
    async with target.applier() as applier:  # with a finalizer, the objects go in order, and the owner waits for them
        items = [fakes.config_map("a", {"v": "3"}), fakes.config_map("c", {}), secret, deployment]
        await applier.apply(target.fresh(owner), fakes.manifests(*items))
        assert (blocks("a"), blocks("c")) == ([False], [False])
