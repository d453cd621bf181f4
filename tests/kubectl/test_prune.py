"""How much is pruned without consent: of one resource, of a controller, and before all have been looked at."""

from __future__ import annotations

import pytest

from lostromos_core import firstlook, interfaces
from lostromos_kubectl.pruning import census, prune
from tests.core.kube.test_tracked import child


def owner(name: str, *, generation: int = 1, seen: int | None = 1, consent: int = 0) -> interfaces.Resource:
    metadata = {"name": name, "annotations": {"lostromos.dev/allow-prune": str(consent)}}
    data = {"metadata": metadata, "status": {"observedGeneration": seen}}
    ref = interfaces.ObjectRef("example.com/v1", "Web", "ns", name)
    return interfaces.Resource(f"ns/{name}", ref, f"uid-{name}", data, generation)


class World:
    """A controller with resources of four objects each."""

    def __init__(self, count: int, *, synced: bool = True) -> None:
        self.now = 0.0
        self.rung: list[str] = []
        self.look = firstlook.FirstLook()
        self.budget = prune.Budget(prune.Limits(), self.rung.append, clock=lambda: self.now)
        self.everything = 4 * count
        for number in range(count):
            self.look.found(f"ns/{number}")
        if synced:
            self.look.synced()

    def doom(self, number: int, to_prune: int = 1, **options: int) -> prune.Denial | None:
        """Reconcile a resource of which so many objects are doomed: asked, pruned, settled."""
        found = owner(str(number), **options)
        denial = self.budget.denial(found, to_prune, 4, everything=self.everything, look=self.look)
        if denial is None:
            self.budget.settled(found.key, to_prune)
            self.everything -= to_prune
        self.look.reconciled(found.key, settled=denial is None)
        return denial

    def well(self, *numbers: int, settled: bool = True) -> None:
        """Reconcile resources of which nothing is doomed."""
        for number in numbers:
            self.budget.settled(f"ns/{number}")
            self.look.reconciled(f"ns/{number}", settled=settled)


def test_nothing_is_pruned_before_all_have_been_looked_at_however_long_that_takes() -> None:
    world = World(1000)
    for number in range(50):
        world.now += 3600
        assert world.doom(number) == prune.Denial(prune.STAY)
    assert world.rung == []
    world.well(*range(50, 1000))
    assert sorted(world.rung) == sorted(f"ns/{number}" for number in range(50))
    assert all(world.doom(number) is None for number in range(50))


def test_a_mistake_that_takes_one_of_each_is_seen_whole_before_the_first_deletion() -> None:
    world = World(100)
    found = [world.doom(number) for number in range(100)]
    assert all(found)
    again = [world.doom(int(key.partition("/")[2])) for key in world.rung]
    assert len(again) == 40  # the others were told already how many there are
    assert all(one and one.why.startswith("a template or a variable makes 100 of 400 objects") for one in again)


def test_nothing_is_pruned_while_the_watcher_has_not_found_all() -> None:
    world = World(2, synced=False)
    assert world.doom(0) == prune.Denial(prune.STAY)
    world.well(1)
    assert world.rung == []
    world.look.synced()
    assert world.rung == ["ns/0"]


def test_the_only_one_waits_for_nobody() -> None:
    assert World(1).doom(0) is None


def test_who_fails_or_is_paused_stops_nobody_and_what_is_pruned_meanwhile_adds_up() -> None:
    world = World(100)
    world.well(*range(60, 100), settled=False)
    for number in range(60):
        world.doom(number) if number < 38 else world.well(number)
    assert len(world.rung) == 38
    assert [world.doom(number) for number in range(38)] == [None] * 38
    later = [world.doom(number) for number in range(60, 70)]  # they are ready again, one after the other
    assert later[:2] == [None, None]
    assert later[2] is not None
    assert "makes 41 of 400 objects" in later[2].why
    assert later[2].after == prune.ADDED_UP
    world.now += prune.ADDED_UP
    assert world.doom(62) is None


def test_prunes_do_not_add_up_any_more_when_all_have_been_ready() -> None:
    world = World(100)
    world.well(*range(100))
    assert [world.doom(number) for number in range(100)] == [None] * 100


@pytest.mark.parametrize("options", [{"generation": 2}, {"consent": 2}])
def test_what_an_author_asked_for_counts_for_the_resource_only(options: dict[str, int]) -> None:
    world = World(100)
    assert [world.doom(number, 2, **options) for number in range(90)] == [None] * 90
    assert world.doom(99) == prune.Denial(prune.STAY)


def test_consent_takes_a_resource_off_the_sum() -> None:
    world = World(20)
    assert all(world.doom(number) for number in range(20))
    denial = world.doom(0)
    assert denial is not None
    assert "makes 20 of 80" in denial.why
    assert [world.doom(number, consent=1) for number in range(10)] == [None] * 10
    assert world.doom(19) is None


def test_a_census_counts_the_objects_of_those_who_are_ours() -> None:
    found, one = census.Census(), child("x", "set")
    found.notice("ns/a", None, one)
    found.add("ns/a", 1)
    found.add("ns/b", 3)
    found.notice("ns/a", None, child("y", "set"))
    found.notice("ns/a", one, one)
    found.notice("ns/other", None, one)
    assert found.total == 5
    assert "ns/other" not in found
    found.notice("ns/b", one, None)
    found.forget("ns/a")
    found.forget("ns/a")
    assert found.total == 2
