"""Build a resource's status: conditions by the kstatus rules, the observed generation, and each object.

All functions are pure: a report and the current status in, the desired status out.
Source: https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal

from lostromos_core import errors, interfaces

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN = frozenset({"observedGeneration", "conditions", "resources"})
"""Our fields; all others belong to the template author."""
MAX_OBJECTS = 500
"""Maximum number of entries in ``resources``; failed objects come first if there are more."""


def desired(
    report: interfaces.Report, current: Mapping[str, Any], *, generation: int, now: dt.datetime
) -> dict[str, Any]:
    """Return the desired status for a report; unchanged entries keep their time and their last action.

    Fields that are not ours are taken from the report. If it has none, the caller must keep those that were written
    earlier: others may own fields there, too.
    """
    return {
        **(report.status or {}),
        "observedGeneration": generation,
        "conditions": _conditions(report, current, generation, now),
        "resources": _objects(report, current, generation),
    }


def news(report: interfaces.Report, current: Mapping[str, Any]) -> tuple[Literal["Normal", "Warning"], str, str] | None:
    """Return type, reason and message of an Event, if a change is worth reporting; else None.

    Success on the first try is expected, and not worth an Event.
    """
    conditions = _by_type(current)
    before = conditions.get("Ready") or {}
    pruned = [result for result in report.objects if result.action is interfaces.Action.PRUNED]
    if not report.ready:
        if (before.get("reason"), before.get("message")) == (report.reason, errors.shorten(report.message)):
            return None
        return "Normal" if report.is_progress else "Warning", report.reason, report.message
    drifted = _newly_drifted(report, current)
    if drifted:
        more = f" and {len(drifted) - 1} more" if len(drifted) > 1 else ""
        return "Warning", "Drifted", f"{drifted[0].ref}: {drifted[0].message}{more}"
    if pruned:
        more = f" and {len(pruned) - 1} more" if len(pruned) > 1 else ""
        return "Normal", "Pruned", f"{pruned[0].ref}{more}"
    if before.get("status") == "False":
        return "Normal", report.reason, report.message
    return None


def _newly_drifted(report: interfaces.Report, current: Mapping[str, Any]) -> list[interfaces.ObjectResult]:
    """Return the objects that have drifted since the last report, and are left as they are."""
    known = {(_key(item), str(item.get("message") or "")) for item in _listed(current, "resources")}
    return [
        result
        for result in report.objects
        if result.action is interfaces.Action.DRIFTED and (_key(_object(result, {})), result.message) not in known
    ]


def differs(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Return whether a desired status contains anything that the current one does not."""
    conditions = _by_type(current)
    for condition in wanted.get("conditions") or []:
        there = conditions.get(str(condition.get("type")), {})
        if any(there.get(key) != value for key, value in condition.items()):
            return True
    return any(current.get(key) != value for key, value in wanted.items() if key != "conditions")


def _conditions(
    report: interfaces.Report, current: Mapping[str, Any], generation: int, now: dt.datetime
) -> list[dict[str, Any]]:
    """Return our conditions. A new one is an entry in ``states``, and a column in docs/reference/status.md."""
    before = _by_type(current)
    states = {
        "Ready": None if report.paused else report.ready,
        "Reconciling": not report.paused and not report.ready and report.retrying,
        "Stalled": not report.paused and not report.ready and not report.retrying,
    }
    return [_condition(name, state, report, before.get(name) or {}, generation, now) for name, state in states.items()]


def _condition(  # noqa: PLR0917 - the parts of a condition
    name: str,
    state: bool | None,  # noqa: FBT001 - the condition's value
    report: interfaces.Report,
    before: Mapping[str, Any],
    generation: int,
    now: dt.datetime,
) -> dict[str, Any]:
    status = "Unknown" if state is None else "True" if state else "False"
    says = name == "Ready" or state
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": name,
        "status": status,
        "reason": report.reason if says else f"Not{name}",
        "message": errors.shorten(report.message) if says else "",
        "observedGeneration": generation,
        "lastTransitionTime": since or now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _objects(report: interfaces.Report, current: Mapping[str, Any], generation: int) -> list[dict[str, Any]]:
    before = {_key(item): item for item in _listed(current, "resources")}
    failed_first = sorted(report.objects, key=lambda result: result.action is not interfaces.Action.FAILED)
    shown = report.objects if len(report.objects) <= MAX_OBJECTS else failed_first[:MAX_OBJECTS]
    entries = [_object(result, before) for result in shown]
    return entries + _pruned_before(before, entries, same=current.get("observedGeneration") == generation)


def _pruned_before(
    before: Mapping[tuple[str, ...], Mapping[str, Any]], entries: list[dict[str, Any]], *, same: bool
) -> list[dict[str, Any]]:
    """Return the entries of objects pruned earlier: they stay until the resource changes, to save a second write."""
    now = {_key(entry) for entry in entries}
    news = any(entry["action"] == "pruned" for entry in entries)
    kept = [dict(item) for key, item in before.items() if item.get("action") == "pruned" and key not in now]
    return kept if same and not news else []


def _object(result: interfaces.ObjectResult, before: Mapping[tuple[str, ...], Mapping[str, Any]]) -> dict[str, Any]:
    ref = result.ref
    entry = {"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
    if not ref.namespace:
        del entry["namespace"]
    known = before.get(_key(entry), {})
    if result.action is interfaces.Action.UNCHANGED:
        last = str(known.get("action", ""))
        entry["action"] = last if last in {"created", "updated"} else "updated"
    else:
        entry["action"] = result.action.value
    if result.message:
        entry["message"] = errors.shorten(f"{result.place}: {result.message}" if result.place else result.message)
    return entry


def _by_type(current: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(item.get("type")): item for item in _listed(current, "conditions")}


def _listed(current: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """Return the mappings of a list in a status, which may contain anything."""
    found = current.get(field)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _key(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(field) or "") for field in ("apiVersion", "kind", "namespace", "name"))
