"""The cluster itself changes: versions come and go, an aggregated API goes down, policies are made and lifted, in any order.

Jobs that remove themselves come and go meanwhile. When all is as it was again, everything is as the templates say;
nothing was left behind, and nothing else was touched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from tests import aggregated, machines, operators, policies
from tests.contract import test_versions
from tests.controlplane import errors, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds
    from tests.controlplane import kubelet as kubelets

OLD: Final = "v1alpha1"
MAPS: Final = """\
{% for part in resource.spec.parts %}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ resource.metadata.name }}-{{ part }}
  annotations: {lostromos.dev/wave: "{{ loop.index0 }}"}
data: {text: "{{ resource.spec.text }}"}
{% endfor %}
"""
OTHER: Final = """\
{% if resource.spec.FLAG %}
apiVersion: API
kind: KIND
metadata: {name: "{{ resource.metadata.name }}"}
spec: {text: "{{ resource.spec.text }}"}
{% endif %}
"""
JOBS: Final = """\
{% if resource.spec.job %}
apiVersion: batch/v1
kind: Job
metadata: {name: "{{ resource.metadata.name }}"}
spec:
  ttlSecondsAfterFinished: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: example.com/none}]
{% endif %}
"""
NAMES: Final = st.sampled_from(["x", "y"])
PARTS: Final = st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3)
SPECS: Final = st.fixed_dictionaries(
    {
        "parts": PARTS,
        "text": st.sampled_from(["1", "2"]),
        **{what: st.booleans() for what in ("gadget", "gizmo", "job")},
    }
)
QUIET: Final = 60.0
"""Seconds within which everything must be as it should be, after the cluster is as it was."""
PASSING: Final = frozenset({403, 404, 409, 422, 429, 503})
"""What may be answered to a change while the cluster changes."""


class Machine(stateful.RuleBasedStateMachine):
    """What may happen. ``world`` is set by the test."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()
        self.wanted: dict[str, dict[str, Any]] = {}

    @stateful.rule(name=NAMES, spec=SPECS, old=st.booleans())
    def write_resource(self, name: str, spec: dict[str, Any], *, old: bool) -> None:
        self.wanted[name] = spec
        self.world.write(name, spec, old=old)

    @stateful.rule(name=NAMES)
    def delete_resource(self, name: str) -> None:
        self.wanted.pop(name, None)
        self.world.kubelet.runs.pop(name, None)
        self.world.attempt(lambda: self.world.api.delete(self.world.crd.path(self.world.namespace, name)))

    @stateful.rule(name=NAMES, how=st.sampled_from(["map", "gadget", "held"]))
    def touch(self, name: str, how: str) -> None:
        self.world.touch(name, how)

    @stateful.rule(whose=st.sampled_from(["resource", "gadget"]))
    def toggle_version(self, whose: str) -> None:
        self.world.toggle_version(whose)

    @stateful.rule()
    def toggle_server(self) -> None:
        self.world.toggle_server()

    @stateful.rule(operation=st.sampled_from(["CREATE", "UPDATE", "DELETE"]))
    def toggle_policy(self, operation: str) -> None:
        self.world.toggle_policy(operation)

    @stateful.rule(how=st.sampled_from([signal.SIGTERM, signal.SIGKILL]))
    def restart(self, how: signal.Signals) -> None:
        self.world.restart(how)

    @stateful.rule()
    def come_to_rest(self) -> None:
        self.world.check(self.wanted)

    def teardown(self) -> None:
        try:
            self.world.check(self.wanted)
        finally:
            self.world.end()


class World:
    """A namespace, three kinds, an operator, and what makes the cluster change."""

    def __init__(
        self,
        folder: Path,
        plane: cluster.ControlPlane,
        api: apis.Api,
        kinds: dict[str, crds.CustomKind],
        server: aggregated.Aggregated,
        namespace: str,
        kubelet: kubelets.Kubelet,
    ) -> None:
        self.folder, self.plane, self.api, self.namespace = folder, plane, api, namespace
        self.kubelet = kubelet
        self.kinds, self.crd, self.server = kinds, kinds["resource"], server
        self.core = f"/api/v1/namespaces/{namespace}"
        for name in ("bystander", "policy-probe"):
            api.create(f"{self.core}/configmaps", {"metadata": {"name": name}, "data": {"k": "v"}})
        self.bystander = api.get(f"{self.core}/configmaps/bystander")
        self.old = dict.fromkeys(("resource", "gadget"), False)
        self.policies: dict[str, contextlib.ExitStack] = {}
        self.serves = True

    def begin(self) -> None:
        place = self.folder / secrets.token_hex(4)
        place.mkdir()
        gadget, gizmo = self.kinds["gadget"], self.server.kind
        templates = {
            "a.yaml": MAPS,
            "b.yaml": OTHER.replace("FLAG", "gadget").replace("API", gadget.api_version).replace("KIND", gadget.kind),
            "c.yaml": OTHER.replace("FLAG", "gizmo").replace("API", gizmo.api_version).replace("KIND", gizmo.kind),
            "d.yaml": JOBS,
        }
        options = {"finalizer": "always", "prune": {"share": 1, "controllerShare": 1}}
        made = operators.project(place, self.crd, templates=templates, apply={"server-side": options})
        self.operator = operators.Operator(made, self.plane.kubeconfig, covered=False)
        self.operator.start()

    def end(self) -> None:
        self.calm_down()
        for item in self.listed(self.crd.path(self.namespace)):
            self.attempt(lambda item=item: self.api.delete(self.crd.path(self.namespace, item["metadata"]["name"])))
        waiting.wait_until(self.all_gone, timeout=QUIET, interval=0.5)
        self.operator.stop()
        assert "a bug" not in self.operator.log

    def all_gone(self) -> bool:
        self.poke()
        return not self.listed(self.crd.path(self.namespace)) and not self.objects() and not self.jobs()

    def restart(self, how: signal.Signals) -> None:
        self.operator.stop(how)
        self.operator.start()

    def attempt(self, change: Any) -> bool:
        """Try a change; return whether it was made."""
        try:
            change()
        except errors.ApiError as error:
            if error.status not in PASSING:
                raise
            return False
        return True

    def listed(self, path: str, **query: str) -> list[dict[str, Any]]:
        """List a collection; while its definition changes, it is not served for a moment."""
        found: list[dict[str, Any]] = []

        def answers() -> bool:
            def ask() -> None:
                found[:] = self.api.list(path, **query)

            return self.attempt(ask)

        waiting.wait_until(answers, interval=0.1, message=path)
        return found

    def exists(self, path: str) -> bool:
        collection, _, name = path.rpartition("/")
        return any(item["metadata"]["name"] == name for item in self.listed(collection))

    def write(self, name: str, spec: dict[str, Any], *, old: bool) -> None:
        kind = dataclasses.replace(self.crd, version=OLD) if old and self.old["resource"] else self.crd

        def is_written() -> bool:
            body = kind.manifest(name, spec=spec)
            if not self.attempt(lambda: self.api.apply(kind.path(self.namespace, name), body, force=True)):
                return False
            return self.exists(self.crd.path(self.namespace, name)) and not self.is_leaving(name)

        if not self.exists(self.crd.path(self.namespace, name)) or not self.is_leaving(name):
            waiting.wait_until(is_written, timeout=QUIET, interval=0.2)
            return
        self.calm_down()  # it has to go before it can come again
        waiting.wait_until(is_written, timeout=QUIET, interval=0.5)

    def is_leaving(self, name: str) -> bool:
        found = self.listed(self.crd.path(self.namespace))
        return any("deletionTimestamp" in one["metadata"] for one in found if one["metadata"]["name"] == name)

    def touch(self, name: str, how: str) -> None:
        gadget = dataclasses.replace(self.kinds["gadget"], version=OLD if self.old["gadget"] else "v1")
        map_ = f"{self.core}/configmaps/{name}-a"
        hold = {"metadata": {"finalizers": ["example.com/hold"]}}
        changes = {
            "map": lambda: self.api.patch(map_, {"data": {"text": "theirs"}}),
            "gadget": lambda: self.api.patch(gadget.path(self.namespace, name), {"spec": {"theirs": 1}}),
            "held": lambda: self.api.patch(map_, hold),
        }
        self.attempt(changes[how])

    def toggle_version(self, whose: str) -> None:
        if self.old[whose]:
            test_versions.remove_version(self.api, self.kinds[whose], OLD)
        else:
            test_versions.add_version(self.api, self.kinds[whose], OLD)
        self.old[whose] = not self.old[whose]

    def toggle_server(self) -> None:
        if self.serves:
            self.server.down()
        else:
            self.server.up()
        self.serves = not self.serves

    def toggle_policy(self, operation: str) -> None:
        if stack := self.policies.pop(operation, None):
            stack.close()
            return
        probe = f"{self.core}/configmaps/policy-probe"
        body: dict[str, Any] = {"metadata": {"name": "policy-another"}}
        probes = {
            "CREATE": lambda: self.api.create(f"{self.core}/configmaps", body, dryRun="All"),
            "UPDATE": lambda: self.api.patch(probe, {"data": {"k": secrets.token_hex(2)}}, dryRun="All"),
            "DELETE": lambda: self.api.delete(probe, dryRun="All"),
        }
        self.policies[operation] = contextlib.ExitStack()
        self.policies[operation].enter_context(
            policies.denied(
                self.api, self.namespace, operations=[operation], resources=["configmaps"], probe=probes[operation]
            )
        )

    def calm_down(self) -> None:
        """Let the cluster be as it was: no policy, every API up, nothing held."""
        for operation in list(self.policies):
            self.toggle_policy(operation)
        if not self.serves:
            self.toggle_server()
        self.server.wait(available=True)
        for item in self.listed(f"{self.core}/configmaps"):
            if item["metadata"].get("finalizers"):
                path = f"{self.core}/configmaps/{item['metadata']['name']}"
                self.attempt(lambda path=path: self.api.patch(path, {"metadata": {"finalizers": None}}))
        self.poke()

    def poke(self) -> None:
        """What failed comes again by itself, in pauses of minutes: a test does not wait for these."""
        for item in self.listed(self.crd.path(self.namespace)):
            note = {"metadata": {"annotations": {"lostromos.dev/reconcile": secrets.token_hex(4)}}}
            path = self.crd.path(self.namespace, item["metadata"]["name"])
            self.attempt(lambda path=path, note=note: self.api.patch(path, note))

    def objects(self) -> dict[tuple[str, str], str]:
        found = {}
        collections = {
            "map": f"{self.core}/configmaps",
            "gadget": self.kinds["gadget"].path(self.namespace),
            "gizmo": self.kinds["gizmo"].path(self.namespace),
        }
        for what, path in collections.items():
            for item in self.listed(path, labelSelector="applyset.kubernetes.io/part-of"):
                fields = item.get("data") or item.get("spec") or {}
                found[what, item["metadata"]["name"]] = fields.get("text", "")
        return found

    def check(self, wanted: dict[str, dict[str, Any]]) -> None:
        self.calm_down()
        expected = rendered(wanted)
        poked = time.monotonic()

        def at_rest() -> bool:
            nonlocal poked
            items = {item["metadata"]["name"]: item for item in self.listed(self.crd.path(self.namespace))}
            done = items.keys() == wanted.keys() and all(map(operators.is_ready, items.values()))
            jobs = {name for name, spec in wanted.items() if spec["job"]}
            if done and self.objects() == expected and jobs <= self.kubelet.runs.keys() and not self.jobs():
                return True
            if time.monotonic() - poked > 5:
                poked = time.monotonic()
                self.poke()
            return False

        try:
            waiting.wait_until(at_rest, timeout=QUIET, interval=0.3)
        except TimeoutError as error:
            error.add_note(f"expected {expected}, found {self.objects()}")
            for item in self.listed(self.crd.path(self.namespace)):
                error.add_note(f"{item['metadata']['name']}: {operators.condition(item)}")
            error.add_note(self.operator.log[-4000:])
            raise
        # A watch that broke may bring the last poke only now: what is told is that it comes to rest, not how soon.
        waiting.wait_until_still(
            lambda: (self.versions(), self.jobs_run()),
            seconds=2.5,
            timeout=QUIET,
            message="at rest, nothing is written, and no Job is run again",
        )
        assert self.objects() == expected
        assert self.api.get(f"{self.core}/configmaps/bystander") == self.bystander

    def jobs(self) -> list[dict[str, Any]]:
        return self.listed(f"/apis/batch/v1/namespaces/{self.namespace}/jobs")

    def jobs_run(self) -> dict[str, int]:
        return {name: len(uids) for name, uids in self.kubelet.runs.items()}

    def versions(self) -> dict[str, str]:
        own = [self.kinds[name].path(self.namespace) for name in ("gadget", "gizmo")]
        collections = [self.crd.path(self.namespace), f"{self.core}/configmaps", *own]
        items = [item["metadata"] for path in collections for item in self.listed(path)]
        return {item["uid"]: item["resourceVersion"] for item in items if item["name"] != waiting.ROOT_CA}


def rendered(wanted: dict[str, dict[str, Any]]) -> dict[tuple[str, str], str]:
    """What the templates make of all resources: the oracle's own rendering."""
    found: dict[tuple[str, str], str] = {}
    for name, spec in wanted.items():
        found |= {("map", f"{name}-{part}"): spec["text"] for part in spec["parts"]}
        found |= {(what, name): spec["text"] for what in ("gadget", "gizmo") if spec[what]}
    return found


@pytest.mark.timeout(machines.limit(1500))
def test_the_cluster_may_change_in_whatever_way(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    make_crd: MakeCrd,
    namespace: str,
    kubelet: kubelets.Kubelet,
) -> None:
    kinds = {"resource": make_crd(), "gadget": make_crd("Gadget"), "gizmo": make_crd("Gizmo")}
    with aggregated.Aggregated(api, control_plane, tmp_path, kinds["gizmo"]) as server:

        class Here(Machine):
            world = World(tmp_path, control_plane, api, kinds, server, namespace, kubelet)

        stateful.run_state_machine_as_test(Here, settings=machines.settings(programs=3, steps=10))
