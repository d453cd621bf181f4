"""The cache of charts: what is kept is what the digest was made of, and no more than its size allows."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors
from lostromos_helm.charts import chart_cache, chart_files, references, store

if TYPE_CHECKING:
    from collections.abc import Callable

APP = Path(__file__).with_name("charts") / "app"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path, clock: Clock) -> None:
    kept = store.Store(tmp_path, most=250, clock=clock)
    for name in ("one", "two"):
        kept.keep(name, {"file": b"x" * 100})
        kept.note(f"n-{name}", name, name)
        clock.now += store.IN_USE + 1
    assert kept.find("one")
    clock.now += store.IN_USE + 1
    kept.keep("three", {"file": b"x" * 100})
    assert (kept.find("one") is None, kept.find("two") is None) == (False, True)
    assert (kept.noted("n-one"), kept.noted("n-two")) == ("one", "")


def test_what_was_used_a_moment_ago_stays_and_then_there_is_no_room(tmp_path: Path, clock: Clock) -> None:
    kept = store.Store(tmp_path, most=250, clock=clock)
    for name in ("one", "two"):
        kept.keep(name, {"file": b"x" * 100})
    with pytest.raises(errors.ProcessError, match="is full: 250 bytes of charts were used within the last hour"):
        kept.keep("three", {"file": b"x" * 100})
    assert kept.find("one")
    assert kept.find("two")


def test_what_a_crash_left_goes(tmp_path: Path, clock: Clock) -> None:
    kept = store.Store(tmp_path, clock=clock)
    left = kept.scratch(".pull-")
    (left / "file").write_bytes(b"x")
    os.utime(left, (clock.now, clock.now))
    kept.keep("one", {"file": b"x"})
    assert left.exists(), "it may be another process's, at work"
    clock.now += store.IN_USE + 1
    kept.keep("two", {"file": b"x"})
    assert not left.exists()


def known(folder: Path, changed: Callable[[], None] = lambda: None) -> chart_cache.Charts:
    unused: Any = None
    return chart_cache.Charts(unused, folder, chart_cache.Access(), changed)


async def test_a_chart_that_changes_while_it_is_read_has_the_digest_of_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "app"
    shutil.copytree(APP, folder)
    real = store.copy

    def late(files: Any, target: Path) -> None:
        (folder / "values.yaml").write_text("text: new\n")
        real(files, target)

    before = (folder / "values.yaml").read_text()
    monkeypatch.setattr(store, "copy", late)
    chart = await known(tmp_path / "cache").get(references.Reference(path=folder))
    monkeypatch.undo()
    assert (chart.path / "values.yaml").read_text() == before
    newer = await known(tmp_path / "cache").get(references.Reference(path=folder))
    assert newer.digest != chart.digest
    assert (newer.path / "values.yaml").read_text() == "text: new\n"


async def test_names_that_somebody_makes_up_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart_cache, "KEPT", 3)
    found = known(tmp_path / "cache")
    for number in range(10):
        with pytest.raises(errors.ConfigError, match="does not exist"):
            await found.get(references.Reference(path=tmp_path / str(number)))
        folder = tmp_path / f"app{number}"
        shutil.copytree(APP, folder)
        await asyncio.gather(*(found.get(references.Reference(path=folder)) for _ in range(3)))
    assert len(found._locks) == 0
    assert len(found._known) == 3


def test_a_folder_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_files, "LARGEST", 1000)
    for number in range(3):
        (tmp_path / str(number)).write_bytes(b"x" * 400)
    with pytest.raises(errors.ConfigError, match="is larger than 1,000 bytes"):
        chart_files.read_all(tmp_path)
