"""Several operators of one configuration: each keeps to what is its own, and two of one identity take turns."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.cluster.test_life import read, text_of
from tests.controlplane import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

OPERATOR = "lostromos.dev/operator"
APPLY = {"server-side": {"finalizer": "always"}}


def made(
    folder: Path, kind: crds.CustomKind, name: str, watch: dict[str, Any] | None = None, **settings: Any
) -> operators.Project:
    place = folder / name
    place.mkdir(exist_ok=True)
    return operators.project(place, kind, apply=APPLY, watch=watch, **settings)


def uids(api: apis.Api, namespaces: list[str]) -> dict[str, str]:
    return {
        f"{namespace}/{item['metadata']['name']}": item["metadata"]["uid"]
        for namespace in namespaces
        for item in api.list(f"/api/v1/namespaces/{namespace}/configmaps")
        if item["metadata"]["name"].startswith("web")
    }


def create(api: apis.Api, crd: crds.CustomKind, namespace: str, name: str, **metadata: Any) -> None:
    api.create(crd.path(namespace), crd.manifest(name, spec={"text": "one"}, **metadata))


def all_ready(api: apis.Api, crd: crds.CustomKind, namespace: str) -> bool:
    return all(operators.is_ready(item) for item in api.list(crd.path(namespace)))


@pytest.fixture
def other(api: apis.Api, namespace: str) -> Iterator[str]:
    """A second namespace."""
    name = f"{namespace}-b"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.mark.parametrize("by", ["namespaces", "labels"])
def test_operators_of_one_controller_name_with_other_selections_take_nothing_from_each_other(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind,
    namespace: str, other: str, by: str,
) -> None:  # fmt: skip
    """Whichever of them runs, starts, ends, is killed, or comes back with another template."""
    spaces = [namespace, other]
    selections = [{"namespaces": [one]} if by == "namespaces" else {"labels": f"track={one}"} for one in spaces]
    first, second = (made(tmp_path, crd, name, watch) for name, watch in zip("ab", selections, strict=True))
    for space in spaces:
        for number in range(3):
            create(api, crd, space, f"web{number}", labels={"track": space})
    kubeconfig = control_plane.kubeconfig
    with operators.Operator(first, kubeconfig) as one:
        waiting.wait_until(lambda: all_ready(api, crd, namespace))
        with operators.Operator(second, kubeconfig) as two:
            waiting.wait_until(lambda: all_ready(api, crd, other))
            before = uids(api, spaces)
            assert len(before) == 6
            one.stop(signal.SIGKILL)
            one.start()
            one.says("all resources are known", times=2)
            two.stop()
            two.start()
            two.says("all resources are known", times=2)
            time.sleep(2)
            assert uids(api, spaces) == before
        one.stop()
    for project, space in ((second, other), (first, namespace)):
        project.template("config.yaml", operators.CONFIG_MAP.replace("text:", "more: new\n  text:"))
        with operators.Operator(project, kubeconfig):
            waiting.wait_until(lambda: (read(api, space, "web0") or {})["data"].get("more") == "new")  # noqa: B023 - called here
            time.sleep(1)
            assert uids(api, spaces) == before
    claims = {item["metadata"]["annotations"][OPERATOR] for space in spaces for item in api.list(crd.path(space))}
    assert len(claims) == 2


def test_what_left_the_selection_of_one_operator_is_released_by_that_one_only(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str, other: str
) -> None:
    create(api, crd, namespace, "web-a")
    create(api, crd, other, "web-b")
    first = made(tmp_path, crd, "a", {"namespaces": [namespace]})
    second = made(tmp_path, crd, "b", {"namespaces": [other]})
    kubeconfig = control_plane.kubeconfig
    with operators.Operator(first, kubeconfig), operators.Operator(second, kubeconfig):
        waiting.wait_until(lambda: all_ready(api, crd, namespace) and all_ready(api, crd, other))
    before = uids(api, [other])
    first = made(tmp_path, crd, "a", {"namespaces": ["default"]})
    with operators.Operator(first, kubeconfig):
        waiting.wait_until(lambda: read(api, namespace, "web-a") is None)
        time.sleep(1)
    assert uids(api, [other]) == before


def test_an_overlapping_operator_is_refused_and_named_and_takes_over_when_the_other_has_ended(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    create(api, crd, namespace, "web")
    first = made(tmp_path, crd, "a", identity=f"{namespace}/first")
    second = made(tmp_path, crd, "b", {"namespaces": [namespace]}, identity=f"{namespace}/second")
    second.template("config.yaml", operators.CONFIG_MAP.replace("text:", "more: second\n  text:"))
    kubeconfig, path = control_plane.kubeconfig, crd.path(namespace, "web")
    with operators.Operator(first, kubeconfig) as one:
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        before = uids(api, [namespace])
        with operators.Operator(second, kubeconfig) as two:
            two.says(f"belongs to the operator {namespace}/first", timeout=30)
            two.says("which is running; make the two operators' selections differ, or stop that one", timeout=60)
            api.patch(path, {"spec": {"text": "two"}})
            waiting.wait_until(lambda: text_of(api, namespace, "web") == "two")
            time.sleep(2)
            assert "more" not in (read(api, namespace, "web") or {})["data"]
            assert uids(api, [namespace]) == before
            one.stop()
            waiting.wait_until(lambda: (read(api, namespace, "web") or {})["data"].get("more") == "second", timeout=90)
            assert uids(api, [namespace]) == before
            assert api.get(path)["metadata"]["annotations"][OPERATOR] == f"{namespace}/second"
            one.start()
            one.says(f"belongs to the operator {namespace}/second", timeout=30)
    assert uids(api, [namespace]) == before


def test_two_versions_of_one_operator_take_turns(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    create(api, crd, namespace, "web")
    identity = f"{namespace}/lostromos"
    old, new = (made(tmp_path, crd, name, identity=identity) for name in ("old", "new"))
    new.template(
        "data.yaml", operators.CONFIG_MAP.replace("resource.metadata.name }}", "resource.metadata.name }}-new")
    )
    with operators.Operator(old, control_plane.kubeconfig) as first:
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
        with operators.Operator(new, control_plane.kubeconfig) as second:
            second.says("waiting for another operator with this identity to stop")
            assert f"identity={identity}" in second.log
            api.patch(crd.path(namespace, "web"), {"spec": {"text": "two"}})
            waiting.wait_until(lambda: text_of(api, namespace, "web") == "two")
            assert read(api, namespace, "web-new") is None
            first.stop()
            waiting.wait_until(lambda: read(api, namespace, "web-new") is not None)
            uid = (read(api, namespace, "web-new") or {})["metadata"]["uid"]
            first.start()
            time.sleep(3)
            assert (read(api, namespace, "web-new") or {})["metadata"]["uid"] == uid
            done = operators.lostromos(
                "run", "--once", f"--config={old.config}", f"--kubeconfig={control_plane.kubeconfig}"
            )
            assert done.returncode == 1
            assert f"another operator with identity {identity} is running" in done.stderr
    assert not api.exists(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/lostromos")


def test_an_operator_that_was_killed_is_followed_at_once(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    create(api, crd, namespace, "web")
    project = made(tmp_path, crd, "a")
    with operators.Operator(project, control_plane.kubeconfig) as operator:
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
        operator.stop(signal.SIGKILL)
        api.patch(crd.path(namespace, "web"), {"spec": {"text": "two"}})
        operator.start()
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "two")
        assert "waiting for another operator" not in operator.log


def test_once_finds_out_whether_another_operator_runs_and_takes_over_from_one_that_was_killed(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    create(api, crd, namespace, "web")
    create(api, crd, namespace, "web2")
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    with operators.Operator(made(tmp_path, crd, "a", identity=f"{namespace}/a"), control_plane.kubeconfig):
        waiting.wait_until(lambda: all_ready(api, crd, namespace))
    holder = {"holderIdentity": "another-machine_1_1", "renewTime": "2026-01-01T00:00:00.000000Z"}
    api.create(lease, {"metadata": {"name": "a"}, "spec": holder})  # as one that was killed elsewhere leaves it
    second = made(tmp_path, crd, "b", identity=f"{namespace}/b")
    done = operators.lostromos(
        "run", "--once", "--workers=1", f"--config={second.config}", f"--kubeconfig={control_plane.kubeconfig}"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    claims = {item["metadata"]["annotations"][OPERATOR] for item in api.list(crd.path(namespace))}
    assert claims == {f"{namespace}/b"}


def test_what_another_operator_left_is_cleaned_up_when_it_has_ended(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    create(api, crd, namespace, "web")
    first, second = (made(tmp_path, crd, name) for name in ("a", "b"))
    with operators.Operator(first, control_plane.kubeconfig):
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
    api.delete(crd.path(namespace, "web"))
    with operators.Operator(second, control_plane.kubeconfig):
        waiting.wait_until(lambda: not api.exists(crd.path(namespace, "web")))
        assert read(api, namespace, "web") is None


def test_cleanup_leaves_alone_what_an_operator_that_runs_looks_after(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str, other: str
) -> None:
    create(api, crd, namespace, "web")
    create(api, crd, other, "web")
    first = made(tmp_path, crd, "a", {"namespaces": [namespace]}, identity=f"{namespace}/a")
    second = made(tmp_path, crd, "b", {"namespaces": [other]}, identity=f"{other}/b")
    with (
        operators.Operator(first, control_plane.kubeconfig),
        operators.Operator(second, control_plane.kubeconfig) as two,
    ):
        waiting.wait_until(lambda: all_ready(api, crd, namespace) and all_ready(api, crd, other))
        two.stop()
        before = uids(api, [namespace, other])
        common = ("cleanup", f"--kubeconfig={control_plane.kubeconfig}", f"--kind=WebApp.{crd.group}", "--yes")
        done = operators.lostromos(*common, "--claimant=app", "--delete-objects")
        assert done.returncode == 1
        assert f"the operator {namespace}/a is running; stop it first" in done.stderr
        assert f"{other}/b" in done.stdout
        waiting.wait_until(lambda: read(api, other, "web") is None)
        assert uids(api, [namespace]).items() <= before.items()
        assert operators.is_ready(api.get(crd.path(namespace, "web")))
    done = operators.lostromos(*common, f"--operator={namespace}/a")
    assert (done.returncode, "Released 1 of 1 resource." in done.stdout) == (0, True)


def test_a_claim_that_names_no_operator_is_taken_over_and_never_released(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str, other: str
) -> None:
    """As version 0.1 wrote it: it may be the claim of anybody."""
    create(api, crd, namespace, "web")
    create(api, crd, other, "web")
    with operators.Operator(made(tmp_path, crd, "a"), control_plane.kubeconfig):
        waiting.wait_until(lambda: all_ready(api, crd, namespace) and all_ready(api, crd, other))
    before = uids(api, [namespace, other])
    for space in (namespace, other):
        api.patch(crd.path(space, "web"), {"metadata": {"annotations": {OPERATOR: None}}})
    second = made(tmp_path, crd, "b", {"namespaces": [namespace]}, identity=f"{namespace}/second")
    with operators.Operator(second, control_plane.kubeconfig) as operator:
        operator.says("but do not name their operator")
        path = crd.path(namespace, "web")
        waiting.wait_until(lambda: api.get(path)["metadata"]["annotations"].get(OPERATOR) == f"{namespace}/second")
        time.sleep(1)
    assert uids(api, [namespace, other]) == before


def test_an_operator_without_the_right_to_hold_a_lease_works_and_says_so(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    create(api, crd, namespace, "web")
    project = made(tmp_path, crd, "a", identity="no-such-namespace/lostromos")
    with operators.Operator(project, control_plane.kubeconfig) as operator:
        operator.says("no Lease can be held")
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))


def test_a_dry_run_holds_no_lease_and_waits_for_nobody(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    create(api, crd, namespace, "web")
    project = made(tmp_path, crd, "a", identity=f"{namespace}/lostromos")
    with operators.Operator(project, control_plane.kubeconfig):
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
        done = operators.lostromos(
            "run", "--once", "--dry-run", f"--config={project.config}", f"--kubeconfig={control_plane.kubeconfig}"
        )
        assert done.returncode == 0, done.stderr
