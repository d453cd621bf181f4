"""Resources that break decoders do not stop their neighbours, and somebody is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.controlplane import errors, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

NORMAL = 50
DEEP = 9000
NESTED = 300
"""Levels that decoders read, and encoders do not write."""


def poison() -> dict[str, Any]:
    """Specs by name; ``deep`` is written as text, since Python's own encoder would not do it."""
    return {
        "large": {"text": "x" * 1_000_000},
        "nul": {"text": "a\0b"},
        "separators": {"text": "a\u2028b\u2029c\x85d"},
        "keys": {"text": "1", **{f"key-{number}": number for number in range(10_000)}},
        "small-number": {"text": "1", "n": 0.1},
    }


def create_all(api: apis.Api, crd: crds.CustomKind, namespace: str, prefix: str) -> list[str]:
    """Create all poison resources; the names of those that the API server accepts."""
    names = []
    for name, spec in poison().items():
        api.create(crd.path(namespace), crd.manifest(f"{prefix}-{name}", spec=spec))
        names.append(f"{prefix}-{name}")
    send_raw(api, crd, namespace, f"{prefix}-deep", '{"text":"1","deep":' + "[" * DEEP + "]" * DEEP + "}")
    send_raw(api, crd, namespace, f"{prefix}-nested", '{"text":"1","deep":' + "[" * NESTED + "]" * NESTED + "}")
    send_raw(api, crd, namespace, f"{prefix}-digits", '{"text":"1","n":0.' + "1" * 400 + "}")
    return [*names, f"{prefix}-deep", f"{prefix}-nested", f"{prefix}-digits"]


def send_raw(api: apis.Api, crd: crds.CustomKind, namespace: str, name: str, spec: str) -> None:
    """Create a resource from text; the answer is not decoded."""
    body = json.dumps(crd.manifest(name, spec="SPEC")).replace('"SPEC"', spec)
    api.send_text("POST", crd.path(namespace), body)


def test_a_number_of_400_digits_is_refused_by_the_api_server_itself(
    api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    with pytest.raises(errors.ApiError):
        send_raw(api, crd, namespace, "whole", '{"n":' + "1" * 400 + "}")


def test_poison_before_the_start_and_later_does_not_stop_its_neighbours(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    names = create_all(api, crd, namespace, "early")
    for number in range(NORMAL):
        api.create(crd.path(namespace), crd.manifest(f"normal-{number}", spec={"text": "fine"}))
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        waiting.wait_until(lambda: count_children(api, namespace, "normal-") == NORMAL)
        names += create_all(api, crd, namespace, "late")
        for number in range(NORMAL):
            api.create(crd.path(namespace), crd.manifest(f"after-{number}", spec={"text": "fine"}))
        waiting.wait_until(lambda: count_children(api, namespace, "after-") == NORMAL)
        for name in names:
            waiting.wait_until(lambda name=name: verdict(api, crd, namespace, name), message=name)  # type: ignore[misc]
        for prefix in ("early", "late"):
            operator.says(f"resource={namespace}/{prefix}-deep")
            assert verdict(api, crd, namespace, f"{prefix}-deep") == "Unreadable"
            assert verdict(api, crd, namespace, f"{prefix}-nested") == "Unreadable"
            waiting.wait_until(lambda prefix=prefix: events_about(api, namespace, f"{prefix}-deep") == ["Unreadable"])  # type: ignore[misc]
            for readable in ("nul", "separators", "keys", "digits", "small-number"):
                assert verdict(api, crd, namespace, f"{prefix}-{readable}") == "Applied"
        assert operator.running
        api.delete(crd.path(namespace, "early-deep"))
        api.create(crd.path(namespace), crd.manifest("last", spec={"text": "fine"}))
        waiting.wait_until(lambda: count_children(api, namespace, "last") == 1)


def count_children(api: apis.Api, namespace: str, prefix: str) -> int:
    items = api.list(f"/api/v1/namespaces/{namespace}/configmaps")
    return sum(item["metadata"]["name"].startswith(prefix) for item in items)


def verdict(api: apis.Api, crd: crds.CustomKind, namespace: str, name: str) -> str:
    """The reason of the Ready condition; the status is asked for alone, since the spec may be unreadable."""
    text = api.send_text("GET", crd.path(namespace, name), "")
    at = text.rfind('"status":{"conditions"')
    status = json.JSONDecoder().raw_decode(text, at + len('"status":'))[0] if at >= 0 else {}
    return str(operators.condition({"status": status}).get("reason", ""))


def events_about(api: apis.Api, namespace: str, name: str) -> list[str]:
    items = api.list(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
    return [item["reason"] for item in items if item["regarding"]["name"] == name]
