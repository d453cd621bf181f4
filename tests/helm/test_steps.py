"""What to do with a release: every decision there is, one line each."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_helm.release import steps, storage

US, THEM, NOBODY = "applyset-us", "applyset-them", ""
DIGEST = "d1"
NOW = 1_000_000.0
PATIENCE = 600.0
Step = steps.Step


def revision(status: str, *, owner: str = US, digest: str = DIGEST, ours: bool = True, age: float = 0) -> Any:
    """The second revision of a release; ``age``: seconds since it was written."""
    return storage.Revision(
        namespace="ns",
        name="app-web",
        number=2,
        status=status,
        controller="app",
        owner=owner,
        digest=digest,
        written=2 if ours else 1,
        key="ns/web",
        modified=NOW - age,
        version=1,
        secret="sh.helm.release.v1.app-web.v2",
    )


def decide(*history: storage.Revision, waited: float = 0, **options: bool) -> steps.Decision:
    given = {"adopt": False, "again": False, "abandoned": False, **options}
    return steps.decide(history, owner=US, digest=DIGEST, now=NOW, waited=waited, patience=PATIENCE, **given)


PENDING = ("pending-install", "pending-upgrade", "pending-rollback")
CASES: dict[str, tuple[storage.Revision, dict[str, bool], steps.Step]] = {
    "as it shall be": (revision("deployed"), {}, Step.NOTHING),
    "asked to do it again": (revision("deployed"), {"again": True}, Step.UPGRADE),
    "of another input": (revision("deployed", digest="d2"), {}, Step.UPGRADE),
    "rolled back by hand, which copies labels": (revision("deployed", ours=False), {}, Step.UPGRADE),
    "as it shall be, and adoption allowed": (revision("deployed"), {"adopt": True}, Step.NOTHING),
    "of another resource": (revision("deployed", owner=THEM), {}, Step.REFUSE),
    "of another resource, adopted": (revision("deployed", owner=THEM, digest="d2"), {"adopt": True}, Step.UPGRADE),
    "of another resource, of the same input, adopted": (
        revision("deployed", owner=THEM),
        {"adopt": True},
        Step.UPGRADE,
    ),
    "made by hand": (revision("deployed", owner=NOBODY), {}, Step.REFUSE),
    "made by hand, adopted": (revision("deployed", owner=NOBODY, ours=False, digest=""), {"adopt": True}, Step.UPGRADE),
    "failed, and nothing ever served": (revision("failed"), {}, Step.INSTALL_AGAIN),
    "failed, of another resource": (revision("failed", owner=THEM), {}, Step.REFUSE),
    "superseded by what is gone": (revision("superseded"), {}, Step.UPGRADE),
    "unknown": (revision("unknown"), {}, Step.UPGRADE),
    "uninstall broken off": (revision("uninstalling"), {}, Step.REPLACE),
    "uninstalled, with its history kept": (revision("uninstalled"), {}, Step.REPLACE),
    "uninstalled, of another resource": (revision("uninstalled", owner=THEM), {}, Step.REFUSE),
    "uninstalled by hand, adopted": (revision("uninstalled", owner=NOBODY, ours=False), {"adopt": True}, Step.REPLACE),
    **{f"{how}, broken off by us": (revision(how), {"abandoned": True}, Step.RECOVER) for how in PENDING},
    **{f"{how}, by another process of ours": (revision(how, age=1), {}, Step.WAIT) for how in PENDING},
    **{f"{how}, by another process, long ago": (revision(how, age=601), {}, Step.RECOVER) for how in PENDING},
    "pending, by hand, though whoever is named is gone": (
        revision("pending-upgrade", ours=False, age=1),
        {"abandoned": True},
        Step.WAIT,
    ),
    **{f"{how}, by hand, now": (revision(how, ours=False, age=1), {}, Step.WAIT) for how in PENDING},
    **{f"{how}, by hand, long ago": (revision(how, ours=False, age=601), {}, Step.RECOVER) for how in PENDING},
    "pending, of another resource": (revision("pending-upgrade", owner=THEM), {}, Step.REFUSE),
    "pending, of another resource, adopted": (revision("pending-upgrade", owner=THEM), {"adopt": True}, Step.WAIT),
    "pending for ever, adopted": (revision("pending-install", owner=NOBODY, age=9999), {"adopt": True}, Step.RECOVER),
    "pending just as long as we wait": (revision("pending-upgrade", ours=False, age=PATIENCE), {}, Step.RECOVER),
}


@pytest.mark.parametrize("case", CASES)
def test_every_state_has_a_step(case: str) -> None:
    newest, options, step = CASES[case]
    assert decide(newest, **options).step is step


def test_every_step_is_decided_somewhere() -> None:
    assert {step for _, _, step in CASES.values()} | {decide().step} == set(Step)


def test_what_is_not_there_is_installed_whatever_else_is_asked() -> None:
    assert [decide(adopt=one, again=two).step for one in (False, True) for two in (False, True)] == [Step.INSTALL] * 4


def test_only_the_newest_revision_counts() -> None:
    older = revision("failed", owner=THEM), revision("pending-install")
    assert decide(*older, revision("deployed")).step is Step.NOTHING


@pytest.mark.parametrize("ahead", [0.0, 86_400.0])
def test_nobody_is_waited_for_longer_whatever_their_clock_says(ahead: float) -> None:
    pending = revision("pending-upgrade", ours=False, age=-ahead)
    assert decide(pending).after == PATIENCE
    assert decide(pending, waited=PATIENCE - 1).after == 1
    assert decide(pending, waited=PATIENCE).step is Step.RECOVER


def test_a_wait_says_for_whom_and_how_long() -> None:
    found = decide(revision("pending-upgrade", ours=False, age=590))
    assert found.after == 10
    assert (
        found.why
        == "another operation is in progress on the release ns/app-web (pending-upgrade); it is taken over in 10 s"
    )


@pytest.mark.parametrize(
    ("owner", "whose"), [(THEM, "belongs to another resource"), (NOBODY, "was not made by Lostrómos")]
)
def test_a_refusal_says_whose_it_is_and_the_way_out(owner: str, whose: str) -> None:
    found = decide(revision("deployed", owner=owner))
    assert found.why.startswith(f"the release ns/app-web exists and {whose}; ")
    assert "prefix" in found.why
    assert "adopt: true" in found.why
    assert found.after is None
