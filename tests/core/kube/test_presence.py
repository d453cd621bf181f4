"""Holding a Lease, with a room of Leases in memory and virtual time; the real ones are in tests/cluster."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, identity
from lostromos_core import process as processes
from lostromos_core.kube.ownership import holders, lease, presence
from tests import fakes

if TYPE_CHECKING:
    from collections.abc import Callable

OWN = identity.Identity("ns", "own")
OTHER = "elsewhere-1_42_7"


class Room:
    """One Lease, and a clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.lease: lease.Lease | None = None
        self.now, self.version = 0.0, 0
        self.error: errors.ApiError | None = None
        self.each_second: Callable[[], None] = lambda: None

    def put(self, holder: str) -> None:
        self.version += 1
        self.lease = lease.Lease(holder, f"at {self.version}", {"uid": "u", "resourceVersion": str(self.version)})

    async def read(self, _kube: Any, _of: identity.Identity) -> lease.Lease | None:
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return self.lease

    async def write(self, _kube: Any, _of: identity.Identity, holder: str, before: lease.Lease | None) -> lease.Lease:
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        if before != self.lease:
            raise errors.ApiError("conflict", status=409)
        self.put(holder)
        assert self.lease is not None
        return self.lease

    async def give_back(self, _kube: Any, _of: identity.Identity, held: lease.Lease) -> None:
        await asyncio.sleep(0)
        if held == self.lease:
            self.lease = None

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.each_second()
        await asyncio.sleep(0)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    made = Room()
    for name in ("read", "write", "give_back"):
        monkeypatch.setattr(lease, name, getattr(made, name))
    return made


def own(room: Room, lost: list[str] | None = None) -> presence.Presence:
    told: list[str] = [] if lost is None else lost
    nowhere: Any = None
    return presence.Presence(nowhere, OWN, lost=told.append, clock=lambda: room.now, sleep=room.sleep)


async def test_a_free_lease_is_taken_and_given_back(room: Room) -> None:
    made = own(room)
    await made.hold(wait=True)
    assert room.lease is not None
    assert room.lease.holder.startswith(holders.me().removesuffix("0"))
    await made.give_back()
    assert room.lease is None


async def test_two_of_one_process_take_turns(room: Room) -> None:
    first, second = own(room), own(room)
    await first.hold(wait=True)
    waiting = asyncio.create_task(second.hold(wait=True))
    begun = room.now
    await fakes.until(lambda: room.now > begun + 60)
    assert not waiting.done()
    await first.give_back()
    await waiting
    await second.give_back()


async def test_one_that_runs_is_waited_for_until_it_gives_back(room: Room) -> None:
    room.put(OTHER)
    made = own(room)
    room.each_second = lambda: room.put(OTHER) if room.now < 60 else setattr(room, "lease", None)
    await made.hold(wait=True)
    assert room.now >= 60
    await made.give_back()


async def test_one_that_renews_no_longer_is_followed_after_the_lease_is_over(room: Room) -> None:
    room.put(OTHER)
    made = own(room)
    await made.hold(wait=True)
    assert lease.SECONDS < room.now < lease.SECONDS + 3
    await made.give_back()


async def test_who_does_not_wait_is_refused_when_the_other_is_seen_to_run(room: Room) -> None:
    room.put(OTHER)
    room.each_second = lambda: room.put(OTHER)
    with pytest.raises(errors.RefusedError, match="another operator with identity ns/own is running"):
        await own(room).hold(wait=False)
    room.each_second = lambda: None
    made = own(room)
    await made.hold(wait=False)  # that one had died
    await made.give_back()


@pytest.mark.parametrize("status", [0, 500, 503])
async def test_an_api_server_that_does_not_answer_is_waited_for_unless_told_otherwise(room: Room, status: int) -> None:
    room.error = errors.ApiError("away", status=status)
    await own(room).hold(wait=False)
    made = own(room)
    room.each_second = lambda: setattr(room, "error", room.error if room.now < 30 else None)
    await made.hold(wait=True)
    assert room.now >= 30
    await made.give_back()


async def test_without_rights_it_goes_on_and_takes_the_lease_when_it_may(room: Room) -> None:
    room.error = errors.ApiError("forbidden", status=403)
    made = own(room)
    await made.hold(wait=True)
    assert room.lease is None
    room.error = None
    await fakes.until(lambda: room.lease is not None)
    await made.give_back()


async def test_a_lease_that_vanished_is_made_again_and_one_that_was_taken_is_lost(room: Room) -> None:
    lost: list[str] = []
    made = own(room, lost)
    await made.hold(wait=True)
    room.lease = None
    await fakes.until(lambda: room.lease is not None)
    assert not lost
    room.put(OTHER)
    await fakes.until(lambda: bool(lost))
    assert OTHER in lost[0]
    await made.give_back()
    assert room.lease is not None
    assert room.lease.holder == OTHER


async def test_a_renewal_that_fails_for_a_moment_loses_nothing(room: Room) -> None:
    lost: list[str] = []
    made = own(room, lost)
    await made.hold(wait=True)
    room.error = errors.ApiError("away", status=503)
    begun = room.now
    await fakes.until(lambda: room.now > begun + 60)
    room.error = None
    version = room.version
    await fakes.until(lambda: room.version > version + 1)
    assert not lost
    await made.give_back()


@pytest.mark.parametrize(
    ("renewals", "liveness"),
    [
        ([""], presence.Liveness.GONE),
        (["1"], presence.Liveness.UNKNOWN),
        (["1", "1"], presence.Liveness.UNKNOWN),
        (["1", "2"], presence.Liveness.RUNS),
        (["1", "2", "2"], presence.Liveness.RUNS),
        (["1", "2", "2", "2", "2", "2"], presence.Liveness.GONE),
        (["1", "1", "1", "1", "1"], presence.Liveness.GONE),
        (["1", "2", ""], presence.Liveness.GONE),
    ],
)
async def test_whether_another_runs_is_seen_by_its_renewals(
    room: Room, renewals: list[str], liveness: presence.Liveness
) -> None:
    others = presence.OtherOperators(None, clock=lambda: room.now)  # type: ignore[arg-type]
    found = None
    for renewed in renewals:
        room.lease = lease.Lease(OTHER, renewed, {}) if renewed else None
        found = await others.liveness("ns/other")
        room.now += 5.0
    assert found is liveness


async def test_a_lease_that_may_not_be_read_says_nothing(room: Room) -> None:
    room.error = errors.ApiError("forbidden", status=403)
    others = presence.OtherOperators(None, clock=lambda: room.now)  # type: ignore[arg-type]
    assert await others.liveness("ns/other") is presence.Liveness.HIDDEN
    assert await others.liveness("no identity") is presence.Liveness.GONE


def test_a_process_of_this_machine_that_has_ended_holds_nothing() -> None:
    assert holders.is_over(holders.me()), "no presence of this process has this number"
    assert holders.is_over("")
    assert not holders.is_over(OTHER)
    machine = holders.me().rpartition("_")[0].rpartition("_")[0]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = processes.start_time(process.pid)
        assert not holders.is_over(f"{machine}_{process.pid}_{started}")
        assert holders.is_over(f"{machine}_{process.pid}_1"), "another process has its number now"
        process.communicate(b"\n")
        assert holders.is_over(f"{machine}_{process.pid}_{started}")
    assert os.getpid() != process.pid


@pytest.mark.parametrize(
    ("pod", "name"),
    [
        ("page-operator-7d9c5b8fd4-x2abc", "page-operator"),
        ("lostromos-0", "lostromos"),
        ("lostromos", "lostromos"),
        ("a-b-c", "a-b-c"),
    ],
)
def test_the_identity_of_a_pod_is_that_of_its_workload(
    pod: str, name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "namespace").write_text("ops\n")
    monkeypatch.setattr(identity, "_POD", tmp_path / "namespace")
    assert identity.choose("", "x", {"HOSTNAME": pod}) == identity.Identity("ops", name)
    assert identity.choose("", "x", {"HOSTNAME": "node-1", "POD_NAME": pod}) == identity.Identity("ops", name)
    assert str(identity.choose("a/b", "x", {"HOSTNAME": pod})) == "a/b"


def test_outside_of_a_cluster_the_identity_is_that_of_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(identity, "_POD", tmp_path / "absent")
    one, other = (identity.choose("", str(tmp_path / name)) for name in ("a.yaml", "b.yaml"))
    assert one == identity.choose("", str(tmp_path / "a.yaml"))
    assert one != other
    assert dataclasses.astuple(one)[0] == "default"


@pytest.mark.parametrize("wrong", ["name", "a/b/c", "A/b", "a/", "/b", "a/b_c"])
def test_an_identity_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(errors.ConfigError, match="is not an identity; write NAMESPACE/NAME"):
        identity.choose(wrong, "x")
