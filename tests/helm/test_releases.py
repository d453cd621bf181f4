"""Resources become releases, on a real API server, with the real Helm 3 and Helm 4."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World

SLOW = 30.0


def wait(condition: object) -> None:
    waiting.wait_until(condition, timeout=SLOW)  # type: ignore[arg-type]


def test_a_release_is_made_upgraded_and_uninstalled(world: World) -> None:
    with world.operator() as operator:
        world.create("web", text="one", extra=["a", "b"])
        wait(lambda: world.is_ready("web"))
        assert [item["name"] for item in world.by_hand("list", "--output=json")] == ["app-web"]
        assert world.by_hand("status", "app-web", "--output=json")["info"]["status"] == "deployed"
        about = world.release("web")
        assert (about["revision"], about["chart"], about["version"], about["appVersion"]) == (1, "app", "1.0.0", "7")
        assert (about["action"], about["notes"]) == ("installed", "text is one")
        actions = {item["name"]: item["action"] for item in world.resource("web")["status"]["resources"]}
        assert actions == {"app-web": "created", "app-web-a": "created", "app-web-b": "created"}
        world.update("web", text="one", extra=["a"])
        wait(lambda: world.release("web").get("revision") == 2)
        actions = {item["name"]: item["action"] for item in world.resource("web")["status"]["resources"]}
        assert actions == {"app-web": "created", "app-web-a": "created", "app-web-b": "pruned"}
        history = world.by_hand("history", "app-web", "--output=json")
        assert [one["status"] for one in history] == ["superseded", "deployed"]
        assert history[1]["description"].endswith("web, generation 2")
        # The chart is not needed any more.
        (world.chart / "Chart.yaml").unlink()
        world.api.delete(world.path("web"))
        wait(lambda: not world.api.exists(world.path("web")))
        assert world.by_hand("list", "--output=json") == []
        assert world.data("app-web") is None
    assert "a bug" not in operator.log


def test_what_people_do_with_helm_is_noticed_and_corrected(world: World) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        world.update("web", text="two")
        wait(lambda: world.release("web").get("revision") == 2)
        world.by_hand("rollback", "app-web", "1")
        wait(lambda: (world.data("app-web"), world.release("web").get("revision")) == ({"text": "two"}, 4))
        world.by_hand("upgrade", "app-web", str(world.chart), "--set-string=text=three")
        wait(lambda: (world.data("app-web"), world.release("web").get("revision")) == ({"text": "two"}, 6))
        world.by_hand("uninstall", "app-web")
        wait(lambda: (world.data("app-web"), world.release("web").get("revision")) == ({"text": "two"}, 1))


def test_nothing_to_do_costs_no_process_and_no_write(world: World) -> None:
    with world.operator() as operator:
        for name in ("one", "two", "three"):
            world.create(name, text=name)
        wait(lambda: all(world.is_ready(name) for name in ("one", "two", "three")))
        calls = world.calls()
        assert len(calls) == 3
        time.sleep(3)
    before = [world.resource(name)["metadata"]["resourceVersion"] for name in ("one", "two", "three")]
    with operator:
        operator.says("all resources are known", times=2)
        time.sleep(3)
        assert world.calls() == calls
        assert [world.resource(name)["metadata"]["resourceVersion"] for name in ("one", "two", "three")] == before
        # And it still looks after them.
        world.api.delete(world.map_path("app-two"))
        wait(lambda: world.data("app-two") == {"text": "two"})
        assert world.calls() == calls


def test_drift_is_repaired_without_a_new_revision(world: World) -> None:
    with world.operator():
        world.create("web", text="one", extra=["a"])
        wait(lambda: world.is_ready("web"))
        world.api.patch(world.map_path("app-web"), {"data": {"text": "theirs", "mine": "kept"}})
        wait(lambda: world.data("app-web") == {"text": "one", "mine": "kept"})
        world.api.delete(world.map_path("app-web-a"))
        wait(lambda: world.data("app-web-a") == {"text": "one"})
        wait(lambda: world.is_ready("web"))
        world.update("web", text="two", extra=[])
        wait(lambda: world.data("app-web") == {"text": "two", "mine": "kept"})
        wait(lambda: world.data("app-web-a") is None)
        wait(lambda: world.revisions("app-web") == [(1, "superseded"), (2, "deployed")])


def test_a_field_that_is_only_taken_away_is_put_back(world: World) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        for _ in range(2):
            world.api.patch(world.map_path("app-web"), {"data": {"text": None}})
            wait(lambda: world.data("app-web") == {"text": "one"})
        assert world.revisions("app-web") == [(1, "deployed")]


CLUSTER_ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .Release.Namespace }}-{{ .Release.Name }}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [get]}
"""


def test_drift_of_a_cluster_scoped_object_is_repaired_also_after_a_restart(world: World) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{world.namespace}-app-web"
    operator = world.operator()
    (world.chart / "templates" / "role.yaml").write_text(CLUSTER_ROLE)
    for number in range(2):
        with operator:
            if not number:
                world.create("web", text="one")
            wait(lambda: world.is_ready("web"))
            operator.says("all resources are known", times=number + 1)
            world.api.patch(path, {"rules": []})
            wait(lambda: world.api.get(path)["rules"] != [])
            world.api.delete(path)
            wait(lambda: world.api.exists(path) and world.is_ready("web"))


def test_drift_is_told_and_left_or_ignored(world: World) -> None:
    with world.operator(drift="warn"):
        world.create("web", text="one", extra=["a"])
        wait(lambda: world.is_ready("web"))
        world.api.patch(world.map_path("app-web"), {"data": {"text": "theirs"}})
        wait(lambda: "app-web" in world.message("web"))
        assert world.is_ready("web")
        drifted = [item for item in world.resource("web")["status"]["resources"] if item["action"] == "drifted"]
        assert [(item["name"], item["message"]) for item in drifted] == [("app-web", "changed: data.text")]
        events = f"/apis/events.k8s.io/v1/namespaces/{world.namespace}/events"
        wait(lambda: any(one["reason"] == "Drifted" and "data.text" in one["note"] for one in world.api.list(events)))
        world.api.patch(world.map_path("app-web"), {"data": {"text": "one"}})
        wait(lambda: "app-web" not in world.message("web"))
        assert world.calls("upgrade") == []
    with world.operator(drift="repair", ignore={"ConfigMap": ["/data/text"]}):
        world.api.patch(world.map_path("app-web"), {"data": {"text": "ignored"}})
        world.api.delete(world.map_path("app-web-a"))
        wait(lambda: world.data("app-web-a") is not None)
        assert world.data("app-web") == {"text": "ignored"}


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "example.com/web:1"}]}
"""


@pytest.mark.parametrize("mode", ["repair", "warn"])
def test_ignored_fields_stay_as_they_are_when_others_are_changed(world: World, mode: str) -> None:
    path = f"/apis/apps/v1/namespaces/{world.namespace}/deployments/app-web"

    def spec() -> tuple[int, str]:
        found = world.api.get(path)["spec"]
        return found["replicas"], found["template"]["spec"]["containers"][0]["image"]

    def says() -> str:
        return " ".join(item.get("message", "") for item in world.resource("web")["status"]["resources"])

    operator = world.operator(drift=mode, ignore={"Deployment": ["/spec/replicas", "/spec/absent"]})
    (world.chart / "templates" / "deployment.yaml").write_text(DEPLOYMENT)
    with operator:
        world.create("web", text="one")
        wait(lambda: world.revisions("app-web") == [(1, "deployed")])
        wait(lambda: world.release("web").get("revision") == 1)
        for replicas in (3, 5):
            containers = [{"name": "c", "image": f"example.com/web:theirs-{replicas}"}]
            body = {"spec": {"replicas": replicas, "template": {"spec": {"containers": containers}}}}
            world.api.patch(path, body)
            if mode == "repair":
                wait(lambda replicas=replicas: spec() == (replicas, "example.com/web:1"))
            else:
                wait(lambda: "spec.template.spec.containers[0].image" in says())
                assert "replicas" not in says()
                assert spec() == (replicas, f"example.com/web:theirs-{replicas}")


def test_a_changed_chart_upgrades_and_an_unreadable_one_does_not(world: World) -> None:
    with world.operator() as operator:
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        about = world.chart / "Chart.yaml"
        text = about.read_text()
        about.write_text("{")
        operator.says("the last one is used")
        about.write_text(text.replace("1.0.0", "1.1.0"))
        wait(lambda: world.release("web").get("version") == "1.1.0")
        assert world.release("web")["revision"] == 2


def test_a_release_that_gets_another_name_moves(world: World) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
    with world.operator(prefix="new"):
        wait(lambda: world.data("new-web") == {"text": "one"})
        wait(lambda: world.data("app-web") is None)
        wait(lambda: [one["name"] for one in world.by_hand("list", "--output=json")] == ["new-web"])


def test_a_release_that_is_not_ours_is_refused_until_it_is_adopted(world: World) -> None:
    world.project()
    world.by_hand("install", "app-web", str(world.chart), "--set-string=text=theirs")
    with world.operator():
        world.create("web", text="ours")
        wait(lambda: "was not made by Lostr" in world.message("web"))
        assert world.data("app-web") == {"text": "theirs"}
        world.api.delete(world.path("web"))
        wait(lambda: not world.api.exists(world.path("web")))
        assert world.data("app-web") == {"text": "theirs"}
        world.create("web", text="ours")
    with world.operator(adopt=True):
        wait(lambda: world.data("app-web") == {"text": "ours"})
        wait(lambda: world.is_ready("web"))
        assert world.revisions("app-web") == [(1, "superseded"), (2, "deployed")]


def test_a_release_that_is_orphaned_stays_and_is_nobodys(world: World) -> None:
    with world.operator(onDelete="orphan"):
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        world.api.delete(world.path("web"))
        wait(lambda: not world.api.exists(world.path("web")))
        assert world.data("app-web") == {"text": "one"}
        assert world.by_hand("status", "app-web", "--output=json")["info"]["status"] == "deployed"


def test_what_fails_names_the_place_and_leaves_what_serves(world: World) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        world.update("web", text="broken")
        wait(lambda: "app/templates/config.yaml:8" in world.message("web"))
        assert "a value that nobody has" in world.message("web")
        world.update("web", text="two", bad=99999)
        wait(lambda: "spec.ports[0].port" in world.message("web"))
        failed = [item for item in world.resource("web")["status"]["resources"] if item["action"] == "failed"]
        assert [item["name"] for item in failed] == ["app-web-bad"]
        assert "app/templates/more.yaml" in failed[0]["message"]
        assert "revision 1 is still in use" in world.message("web")
        world.update("web", text="two", bad=None, count="many")
        wait(lambda: "values.count: must be of type integer (from resource.spec.count)" in world.message("web"))
        world.update("web", count=None, extra=["a"])
        wait(lambda: world.is_ready("web"))
        assert world.data("app-web") == {"text": "two"}


def test_after_a_failure_that_was_taken_back_the_release_is_looked_after_again(world: World) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        before = world.release("web")
        world.update("web", count="many")
        wait(lambda: "must be of type integer" in world.message("web"))
        assert {key: world.release("web").get(key) for key in before if key != "action"} == {
            key: value for key, value in before.items() if key != "action"
        }
        world.update("web", count=None)
        wait(lambda: world.is_ready("web"))
        assert [item["name"] for item in world.resource("web")["status"]["resources"]] == ["app-web"]
        world.api.delete(world.map_path("app-web"))
        wait(lambda: world.data("app-web") == {"text": "one"})


def test_objects_that_the_status_has_no_room_for_are_repaired_after_a_restart(world: World) -> None:
    operator = world.operator()
    many = [f"x{number}" for number in range(510)]
    with operator:
        world.create("web", text="one", extra=many)
        waiting.wait_until(lambda: world.is_ready("web"), timeout=120)
    listed = {item["name"] for item in world.resource("web")["status"]["resources"]}
    left_out = next(name for name in many if f"app-web-{name}" not in listed)
    with operator:
        operator.says("all resources are known", times=2)
        world.api.delete(world.map_path(f"app-web-{left_out}"))
        wait(lambda: world.data(f"app-web-{left_out}") is not None)


def test_what_a_failed_revision_left_behind_is_removed(world: World) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        world.update("web", extra=["left"], bad=99999)
        wait(lambda: "spec.ports" in world.message("web"))
        world.update("web", extra=["a"], bad=None)
        wait(lambda: world.is_ready("web"))
        assert (world.data("app-web-left"), world.data("app-web-a")) == (None, {"text": "one"})


@pytest.mark.parametrize("how", ["pending-install", "pending-upgrade"])
def test_a_release_that_was_left_pending_is_recovered(world: World, how: str) -> None:
    """As a killed Helm leaves it: the Secret says pending, and what it made so far is there."""
    with world.operator() as operator:
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        if how == "pending-upgrade":
            world.update("web", text="two")
            wait(lambda: world.release("web").get("revision") == 2)
    (number, _) = world.revisions("app-web")[-1]
    secret = f"/api/v1/namespaces/{world.namespace}/secrets/sh.helm.release.v1.app-web.v{number}"
    world.api.patch(secret, {"metadata": {"labels": {"status": how}}})
    with operator:
        wait(lambda: world.revisions("app-web")[-1] == (number + 1, "deployed"))
        wait(lambda: world.release("web").get("revision") == number + 1)
        assert world.is_ready("web")


ELSEWHERE = "0123456789abcdef.1.1"
"""A process of another machine, of which nothing is known."""


def test_another_process_that_is_at_work_on_a_release_is_waited_for(world: World) -> None:
    """As another replica leaves it: the revision is ours, and whether its Helm still runs cannot be known."""
    options = {"timeout": 20}
    with world.operator(**options) as operator:
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
    secret = f"/api/v1/namespaces/{world.namespace}/secrets/sh.helm.release.v1.app-web.v1"
    ahead = str(int(time.time()) + 86_400)
    labels = {"status": "pending-upgrade", "lostromos.dev/holder": ELSEWHERE, "modifiedAt": ahead}
    world.api.patch(secret, {"metadata": {"labels": labels}})
    with operator:
        wait(lambda: "another operation is in progress on" in world.message("web"))
        assert world.revisions("app-web") == [(1, "pending-upgrade")]
        waiting.wait_until(lambda: world.revisions("app-web")[-1] == (2, "deployed"), timeout=60)


def test_what_is_taken_out_of_a_resource_is_the_charts_default_again(world: World) -> None:
    with world.operator():
        world.create("web", text="one", extra=["a"])
        wait(lambda: world.is_ready("web"))
        world.api.patch(world.path("web"), {"spec": None})
        world.api.patch(world.path("web"), {"spec": {}})
        wait(lambda: world.data("app-web") == {"text": "nothing"})
        wait(lambda: world.data("app-web-a") is None)
        assert world.by_hand("get", "values", "app-web", "--output=json") in (None, {})


def test_values_of_a_release_that_is_adopted_are_not_kept(world: World) -> None:
    world.project()
    world.by_hand("install", "app-web", str(world.chart), "--set-string=text=theirs")
    with world.operator(adopt=True):
        world.create("web")
        wait(lambda: world.data("app-web") == {"text": "nothing"})


def test_helm_dies_with_the_operator(world: World) -> None:
    slow = world.folder / "slow"
    operator = world.operator()
    (world.folder / "helm").write_text(
        f'#!/bin/sh\ncase $1 in install) echo $$ > {slow}; exec sleep 60;; esac\nexec {world.helm} "$@"\n'
    )
    with operator:
        world.create("web", text="one")
        wait(slow.exists)
        pid = int(slow.read_text())
        os.kill(operator.pid, signal.SIGKILL)
        wait(lambda: subprocess.run(["kill", "-0", str(pid)], check=False, capture_output=True).returncode != 0)
