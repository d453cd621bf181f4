"""Whatever happens in whatever order: when it is over, the cluster is as the templates say, and nothing else was touched.

Random changes of resources, templates and objects, and restarts (also kill -9), on the real API server. The oracle
after each quiet moment: the objects by label are those rendered, with all their fields; every resource is ready, or
says why not; another moment costs no write; a bystander's objects are as they were, byte for byte.
"""

from __future__ import annotations

import secrets
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from tests import machines, operators
from tests.controlplane import errors, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

TEMPLATE = """\
{% for part in resource.spec.parts %}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ resource.metadata.name }}-{{ part }}
  labels: {version: "VERSION"}
data:
  text: {{ resource.spec.text }}
  EXTRA: "1"
{% endfor %}
"""
SECRET = """\
{% if resource.spec.secret %}
apiVersion: v1
kind: Secret
metadata: {name: "{{ resource.metadata.name }}"}
stringData: {text: "{{ resource.spec.text }}"}
{% endif %}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {{ resource.metadata.name }}
  annotations: {lostromos.dev/adopt: "true"}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: dns, port: 53}
  - {name: dns-udp, port: 53, protocol: UDP}
"""
PORTS = (("dns", 53, "TCP"), ("dns-udp", 53, "UDP"), ("http", 80, "TCP"))
NAMES = st.sampled_from(["x", "y", "z"])
PARTS = st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3)
SPECS = st.fixed_dictionaries({"parts": PARTS, "text": st.sampled_from(["1", "2", "no\n"]), "secret": st.booleans()})
QUIET = 60.0
"""Seconds within which everything must be as it shall be."""


class Machine(stateful.RuleBasedStateMachine):
    """What may happen. ``world`` is set by the test."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()
        self.wanted: dict[str, dict[str, Any]] = {}
        self.template = (1, "extra")

    @stateful.rule(name=NAMES, spec=SPECS)
    def write_resource(self, name: str, spec: dict[str, Any]) -> None:
        self.wanted[name] = spec
        self.world.write(name, spec)

    @stateful.rule(name=NAMES)
    def delete_resource(self, name: str) -> None:
        self.wanted.pop(name, None)
        self.world.delete(name)

    @stateful.rule(version=st.integers(1, 3), extra=st.sampled_from(["extra", "more"]))
    def change_template(self, version: int, extra: str) -> None:
        self.template = (version, extra)
        self.world.set_template(version, extra)

    @stateful.rule(
        name=NAMES,
        part=st.sampled_from(["a", "b", "c"]),
        how=st.sampled_from(["change", "take", "delete", "unlabel", "add"]),
    )
    def touch(self, name: str, part: str, how: str) -> None:
        self.world.touch(f"{name}-{part}", how)

    @stateful.rule(name=NAMES, port=st.integers(0, 2), how=st.sampled_from(["rekey", "remove", "add", "foreign"]))
    def touch_service(self, name: str, port: int, how: str) -> None:
        self.world.touch_service(name, port, how)

    @stateful.rule(how=st.sampled_from([signal.SIGTERM, signal.SIGKILL]))
    def restart(self, how: signal.Signals) -> None:
        self.world.restart(how)

    @stateful.rule()
    def come_to_rest(self) -> None:
        self.world.check(self.wanted, self.template)

    def teardown(self) -> None:
        try:
            self.world.check(self.wanted, self.template)
        finally:
            self.world.end()


class World:
    """A namespace, a kind, an operator and a bystander."""

    def __init__(
        self, folder: Path, plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
    ) -> None:
        self.folder, self.plane, self.api, self.crd, self.namespace = folder, plane, api, crd, namespace
        self.core = f"/api/v1/namespaces/{namespace}"
        api.create(
            f"{self.core}/configmaps", {"metadata": {"name": "bystander", "labels": {"a": "b"}}, "data": {"k": "v"}}
        )
        self.bystander = api.get(f"{self.core}/configmaps/bystander")

    def begin(self) -> None:
        place = self.folder / secrets.token_hex(4)
        place.mkdir()
        options = {"finalizer": "always", "prune": {"share": 1, "controllerShare": 1}}
        self.made = operators.project(
            place, self.crd, templates={"b.yaml": SECRET, "c.yaml": SERVICE}, apply={"server-side": options}
        )
        self.set_template(1, "extra", restart=False)
        self.operator = operators.Operator(self.made, self.plane.kubeconfig, covered=False)
        self.operator.start()

    def end(self) -> None:
        for item in self.api.list(self.crd.path(self.namespace)):
            self.delete(item["metadata"]["name"])
        waiting.wait_until(lambda: not self.api.list(self.crd.path(self.namespace)), timeout=QUIET)
        self.operator.stop()
        assert "a bug" not in self.operator.log

    def set_template(self, version: int, extra: str, *, restart: bool = True) -> None:
        self.made.template("a.yaml", TEMPLATE.replace("VERSION", f"v{version}").replace("EXTRA", extra))
        if restart:
            self.restart(signal.SIGTERM)

    def restart(self, how: signal.Signals) -> None:
        self.operator.stop(how)
        self.operator.start()

    def write(self, name: str, spec: dict[str, Any]) -> None:
        def attempt() -> bool:
            try:
                self.api.apply(self.crd.path(self.namespace, name), self.crd.manifest(name, spec=spec), force=True)
            except errors.ApiError as error:
                if error.status != 409:
                    raise
                return False
            return not self.api.get(self.crd.path(self.namespace, name))["metadata"].get("deletionTimestamp")

        waiting.wait_until(attempt, timeout=QUIET, interval=0.2)

    def delete(self, name: str) -> None:
        self._try(lambda: self.api.delete(self.crd.path(self.namespace, name)))

    def touch(self, name: str, how: str) -> None:
        path = f"{self.core}/configmaps/{name}"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": "theirs"}}
        if not self.api.exists(path):
            return
        changes: dict[str, Any] = {
            "change": lambda: self.api.patch(path, {"data": {"text": "theirs"}}),
            "take": lambda: self.api.apply(path, body, manager="kubectl", force=True, fieldValidation="Ignore"),
            "delete": lambda: self.api.delete(path),
            "unlabel": lambda: self.api.patch(path, {"metadata": {"labels": None}}),
            "add": lambda: self.api.patch(
                path, {"metadata": {"annotations": {"theirs": "1"}}, "data": {"theirs": "1"}}
            ),
        }
        self._try(changes[how])

    def touch_service(self, name: str, port: int, how: str) -> None:
        """Change the key of a port, remove or add one, or put a Service of somebody else's in the place of ours."""
        path = f"{self.core}/services/{name}"
        if not self.api.exists(path):
            return

        def edit() -> None:
            live = self.api.get(path)
            ports = live["spec"]["ports"]
            if how == "add":
                ports.append({"name": "theirs", "port": 9000 + port})
            elif how == "remove":
                ports.pop(port % len(ports))
            else:
                ports[port % len(ports)]["port"] += 1000
            live["metadata"].pop("managedFields")
            self.api.replace(path, live, fieldManager="kubectl-edit")

        def foreign() -> None:
            self.api.delete(path)
            ports = [{"name": "http", "port": 80, "targetPort": 8080}]
            body = {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": ports}}
            self.api.create(f"{self.core}/services", body, fieldManager="kubectl-create")

        self._try(foreign if how == "foreign" else edit)

    def _try(self, change: Any) -> None:
        try:
            change()
        except errors.ApiError as error:
            if error.status not in {404, 409, 422}:
                raise

    def objects(self) -> dict[tuple[str, str], Any]:
        found: dict[tuple[str, str], Any] = {}
        for plural in ("configmaps", "secrets"):
            for item in self.api.list(f"{self.core}/{plural}", labelSelector="applyset.kubernetes.io/part-of"):
                data = {key: value for key, value in item.get("data", {}).items() if key != "theirs"}
                found[plural, item["metadata"]["name"]] = data, item["metadata"]["labels"].get("version", "")
        for item in self.api.list(f"{self.core}/services", labelSelector="applyset.kubernetes.io/part-of"):
            ports = [(port["name"], port["port"], port["protocol"]) for port in item["spec"]["ports"]]
            found["services", item["metadata"]["name"]] = tuple(sorted(p for p in ports if p[0] != "theirs")), ""
        return found

    def check(self, wanted: dict[str, dict[str, Any]], template: tuple[int, str]) -> None:
        expected = rendered(wanted, template)

        def at_rest() -> bool:
            items = {item["metadata"]["name"]: item for item in self.api.list(self.crd.path(self.namespace))}
            return (
                items.keys() == wanted.keys()
                and all(map(operators.is_ready, items.values()))
                and self.objects() == expected
            )

        try:
            waiting.wait_until(at_rest, timeout=QUIET, interval=0.2)
        except TimeoutError as error:
            found = self.objects()
            error.add_note(f"expected {expected}, found {found}")
            for item in self.api.list(self.crd.path(self.namespace)):
                error.add_note(f"{item['metadata']['name']}: {operators.condition(item)}")
            error.add_note(self.operator.log[-3000:])
            raise
        waiting.wait_until_still(self.versions, seconds=1, message="at rest, nothing is written")
        assert self.api.get(f"{self.core}/configmaps/bystander") == self.bystander

    def versions(self) -> dict[str, str]:
        collections = [self.crd.path(self.namespace), f"{self.core}/configmaps", f"{self.core}/secrets"]
        collections.append(f"{self.core}/services")
        items = [item["metadata"] for path in collections for item in self.api.list(path)]
        return {item["uid"]: item["resourceVersion"] for item in items if item["name"] != waiting.ROOT_CA}


def rendered(wanted: dict[str, dict[str, Any]], template: tuple[int, str]) -> dict[tuple[str, str], Any]:
    """What the templates make of all resources: the oracle's own rendering."""
    version, extra = template
    encoded = {"1": "MQ==", "2": "Mg==", "no\n": "bm8K"}
    found: dict[tuple[str, str], Any] = {}
    for name, spec in wanted.items():
        for part in spec["parts"]:
            found["configmaps", f"{name}-{part}"] = {"text": spec["text"], extra: "1"}, f"v{version}"
        found["services", name] = PORTS, ""
        if spec["secret"]:
            found["secrets", name] = {"text": encoded[spec["text"]]}, ""
    return found


@pytest.mark.timeout(machines.limit(900))
def test_the_cluster_becomes_what_the_templates_say_whatever_happens(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    class Here(Machine):
        world = World(tmp_path, control_plane, api, crd, namespace)

    stateful.run_state_machine_as_test(Here, settings=machines.settings(programs=8, steps=14))
