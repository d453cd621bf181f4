"""What the log says of reconciles: news, and only news; with ``debug``, every one."""

from __future__ import annotations

import structlog

from lostromos_core import interfaces
from lostromos_core.engine import change_log
from tests import fakes

READY = interfaces.Report(ready=True, reason="Applied", message="1 object up to date")


def waits(message: str, reason: str = "Waiting") -> interfaces.Report:
    return interfaces.Report(ready=False, reason=reason, message=message, retrying=True)


def said(
    *reports: interfaces.Report | None, key: str = "ns/web", told: change_log.ChangeLog | None = None
) -> list[str]:
    told = told or change_log.ChangeLog()
    with structlog.testing.capture_logs() as lines:
        for report in reports:
            told.record("app", key, report)
    assert all((line["controller"], line["resource"]) == ("app", key) for line in lines)
    return [f"{line['log_level']} {line['event']}" for line in lines]


def test_what_is_tried_again_and_again_is_told_once() -> None:
    assert said(waits("a"), waits("a"), waits("b"), waits("b"), waits("a")) == ["info a", "info b", "info a"]
    assert said(waits("a"), waits("a", "ApiError")) == ["info a", "warning a"]


def test_a_recovery_is_told_and_being_ready_all_the_time_is_not() -> None:
    assert said(READY, READY) == []
    assert said(waits("a"), READY, READY, waits("a")) == ["info a", "info ready", "info a"]


def test_nothing_is_remembered_of_what_is_ready_or_gone() -> None:
    told = change_log.ChangeLog()
    assert said(waits("a"), None, waits("a"), told=told) == ["info a", "info a"]
    said(waits("a"), READY, key="ns/b", told=told)
    said(None, told=told)
    assert told._said == {}


def test_every_reconcile_is_a_line_for_debug() -> None:
    ref = fakes.config_map("a", {}).ref
    done = [interfaces.Action.CREATED, interfaces.Action.UNCHANGED, interfaces.Action.UNCHANGED]
    objects = tuple(interfaces.ObjectResult(ref, action) for action in done)
    with structlog.testing.capture_logs() as lines:
        change_log.record_all(
            "app", "ns/web", interfaces.Report(ready=True, reason="Applied", message="", objects=objects), 0.12345
        )
        change_log.record_all("app", "ns/web", None, 0.1)
    head = {"event": "reconciled", "log_level": "debug", "controller": "app", "resource": "ns/web"}
    assert lines == [
        {**head, "reason": "Applied", "seconds": 0.1235, "created": 1, "unchanged": 2},
        {**head, "reason": "Gone", "seconds": 0.1},
    ]
