"""``helm-template`` obeys what Helm obeys: what is kept, hooks, what the cluster serves, ``crds/``, other namespaces."""

from __future__ import annotations

import base64
import contextlib
import textwrap
from typing import TYPE_CHECKING, Any

import yaml

from tests import operators
from tests.chaos import actions, proxy
from tests.controlplane import crds, errors, waiting
from tests.helm import test_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.helm.conftest import World

KINDS = {
    "configmaps": "apiVersion: v1\nkind: ConfigMap",
    "secrets": "apiVersion: v1\nkind: Secret",
    "serviceaccounts": "apiVersion: v1\nkind: ServiceAccount",
    "persistentvolumeclaims": (
        "apiVersion: v1\nkind: PersistentVolumeClaim\n"
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}"
    ),
    "services": "apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80}]}",
}


def documents(*texts: str) -> str:
    return "\n---\n".join(textwrap.dedent(text).strip() for text in texts) + "\n"


def exists(world: World, plural: str, name: str) -> bool:
    return world.api.exists(f"/api/v1/namespaces/{world.namespace}/{plural}/{name}")


def test_what_the_chart_keeps_stays_when_it_is_no_longer_wanted(world: World) -> None:
    policies = ("keep", "Keep", '" keep "')
    kept = [
        f"{head}\nmetadata:\n  name: {{{{ .Release.Name }}}}-{number}\n"
        f"  annotations: {{helm.sh/resource-policy: {policies[number % 3]}}}"
        for number, head in enumerate(KINDS.values())
    ]
    plain = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}", annotations: {a: b}}'
    text = "{{- if not .Values.nothing }}\n" + documents(plain, *kept) + "{{- end }}\n"
    with operators.Operator(test_template.project(world, text), world.plane.kubeconfig):
        for name in ("one", "two"):
            world.create(name)
        waiting.wait_until(lambda: world.data("app-one") is not None and world.data("app-two") is not None)
        waiting.wait_until(lambda: all(exists(world, plural, f"app-two-{n}") for n, plural in enumerate(KINDS)))
        waiting.wait_until(lambda: all(exists(world, plural, f"app-one-{n}") for n, plural in enumerate(KINDS)))
        world.api.delete(world.path("one"))
        world.update("two", nothing=True)
        waiting.wait_until(lambda: not world.api.exists(world.path("one")))
        waiting.wait_until(lambda: world.data("app-one") is None and world.data("app-two") is None)
        for owner in ("one", "two"):
            for number, plural in enumerate(KINDS):
                found = world.api.get(f"/api/v1/namespaces/{world.namespace}/{plural}/app-{owner}-{number}")
                assert "deletionTimestamp" not in found["metadata"]
                assert not found["metadata"].get("ownerReferences"), "garbage collection would take it"


EVENTS = {
    "pre-install": True,
    "post-install": True,
    "pre-upgrade": True,
    "post-upgrade": True,
    "pre-delete, post-install": True,
    "pre-delete": False,
    "post-delete": False,
    "pre-rollback": False,
    "post-rollback": False,
    "pre-delete,post-rollback": False,
    "test": False,
}


def test_only_hooks_whose_event_comes_become_objects(world: World) -> None:
    hooks = [
        f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: "{{{{ .Release.Name }}}}-{number}", '
        f'annotations: {{helm.sh/hook: "{event}"}}}}'
        for number, event in enumerate(EVENTS)
    ]
    text = documents('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}"}', *hooks)
    with operators.Operator(test_template.project(world, text, hooks=True), world.plane.kubeconfig):
        world.create("one")
        waiting.wait_until(lambda: world.is_ready("one"))
        assert {event: world.data(f"app-one-{number}") is not None for number, event in enumerate(EVENTS)} == EVENTS


def test_the_chart_is_told_what_the_cluster_serves(world: World) -> None:
    served = f"{world.crd.group}/{world.crd.version}"
    asked = [
        served, f"{served}/{world.crd.kind}", f"{served}/Nothing", "apps/v1", "apps/v1/Deployment", "v1/Pod",
        "v1/Nothing", "nothing.example.com/v1",
    ]  # fmt: skip
    lines = "\n".join(
        f'  a{number}: "{{{{ .Capabilities.APIVersions.Has "{name}" }}}}"' for number, name in enumerate(asked)
    )
    text = (
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}"}\ndata:\n'
        f"  version: {{{{ .Capabilities.KubeVersion.Version }}}}\n{lines}\n"
    )
    made = test_template.project(world, text)
    world.by_hand("install", "by-hand", str(world.chart))
    with operators.Operator(made, world.plane.kubeconfig):
        world.create("one")
        waiting.wait_until(lambda: world.is_ready("one"))
        assert world.data("app-one") == world.data("by-hand")
        assert [world.data("app-one")[f"a{number}"] for number in range(len(asked))] == [
            "true", "true", "false", "true", "true", "true", "false", "false",
        ]  # fmt: skip


@contextlib.contextmanager
def definitions(world: World, *names: str) -> Iterator[Mapping[str, crds.CustomKind]]:
    """Kinds that nobody has made yet; they are removed at the end."""
    kinds = {name: crds.CustomKind(group=f"{name.lower()}.{world.crd.group}", kind=name) for name in names}
    try:
        yield kinds
    finally:
        for kind in kinds.values():
            with contextlib.suppress(errors.ApiError):
                world.api.delete(f"{crds.DEFINITIONS}/{kind.definition_name}")


def definition(kind: crds.CustomKind, **metadata: Any) -> str:
    made = crds.definition(kind)
    made["metadata"] |= metadata
    return yaml.safe_dump(made)


def test_definitions_of_the_chart_and_of_its_subcharts_are_created_and_stay(world: World) -> None:
    with definitions(world, "First", "Second", "Third", "Fourth") as kinds:
        things = [
            f'apiVersion: {kind.api_version}\nkind: {kind.kind}\nmetadata: {{name: "{{{{ .Release.Name }}}}"}}\nspec: {{}}'
            for kind in list(kinds.values())[:3]
        ]
        asks = f'{{{{ .Capabilities.APIVersions.Has "{kinds["First"].api_version}" }}}}'
        text = documents(
            f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: "{{{{ .Release.Name }}}}"}}\ndata: {{first: "{asks}"}}',
            *things,
        )
        made = test_template.project(world, text)
        files = {
            "crds/both.yaml": f"{definition(kinds['First'])}---\n{definition(kinds['Second'])}",
            "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
            "charts/sub/crds/deep/third.yaml": definition(kinds["Third"]),
            "charts/extra/Chart.yaml": "apiVersion: v2\nname: extra\nversion: 1.0.0\n",
            "charts/extra/crds/fourth.yaml": definition(kinds["Fourth"]),
            "Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n"
            "  - {name: sub, version: 1.0.0}\n  - {name: extra, version: 1.0.0, condition: extra.enabled}\n",
            "values.yaml": "extra: {enabled: false}\n",
        }
        for name, content in files.items():
            path = world.chart / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        plane = world.plane
        with (
            proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=world.folder) as chaos,
            chaos.add(actions.Delay(2.0), method="POST", path="customresourcedefinitions"),
            operators.Operator(made, chaos.kubeconfig),
        ):
            names = ["one", "two", "three", "four", "five"]  # of which one makes the definitions, and the others wait
            for name in names:
                world.create(name)
            world.create("more", extra={"enabled": True})
            waiting.wait_until(lambda: all(map(world.is_ready, names)), timeout=60)
            waiting.wait_until(lambda: "these definitions only with non-default values" in world.message("more"))
            found = [world.data(f"app-{name}") for name in names]
            assert found == [{"first": "true"}] * 5, "all are rendered again when the cluster has the kind"
            for name in names:
                world.api.delete(world.path(name))
            waiting.wait_until(lambda: not any(world.api.exists(world.path(name)) for name in names))
        there = {name: world.api.exists(f"{crds.DEFINITIONS}/{kind.definition_name}") for name, kind in kinds.items()}
        assert there == {"First": True, "Second": True, "Third": True, "Fourth": False}


def test_definitions_that_are_there_are_left_as_they_are(world: World) -> None:
    with definitions(world, "Known") as kinds:
        kind = kinds["Known"]
        crds.create(world.api, crds.definition(kind))
        before = world.api.get(f"{crds.DEFINITIONS}/{kind.definition_name}")["metadata"]["resourceVersion"]
        thing = (
            f'apiVersion: {kind.api_version}\nkind: Known\nmetadata: {{name: "{{{{ .Release.Name }}}}"}}\nspec: {{}}\n'
        )
        made = test_template.project(world, thing)
        (world.chart / "crds").mkdir()
        (world.chart / "crds" / "known.yaml").write_text(definition(kind, annotations={"newer": "yes"}))
        with operators.Operator(made, world.plane.kubeconfig):
            world.create("one")
            waiting.wait_until(lambda: world.is_ready("one"))
        after = world.api.get(f"{crds.DEFINITIONS}/{kind.definition_name}")
        assert (after["metadata"]["resourceVersion"], after["metadata"].get("annotations")) == (before, None)


def test_objects_elsewhere_that_the_defaults_make_are_made(world: World) -> None:
    rbac = "apiVersion: rbac.authorization.k8s.io/v1"
    name = "{{ .Release.Namespace }}-{{ .Release.Name }}"
    text = documents(
        f'{rbac}\nkind: Role\nmetadata: {{name: "{name}", namespace: kube-system}}\nrules: []',
        f'{rbac}\nkind: ClusterRole\nmetadata: {{name: "{name}", namespace: "{{{{ .Release.Namespace }}}}"}}\nrules: []',
        f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: "{name}", namespace: default}}',
        f'apiVersion: v1\nkind: Service\nmetadata: {{name: "{name}", namespace: kube-system}}\n'
        "spec: {clusterIP: None, ports: [{port: 80}]}",
        f'apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: "{name}", namespace: kube-public}}',
    )
    release = f"{world.namespace}-app-one"
    paths = [
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles/{release}",
        f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{release}",
        f"/api/v1/namespaces/default/configmaps/{release}",
        f"/api/v1/namespaces/kube-system/services/{release}",
        f"/api/v1/namespaces/kube-public/serviceaccounts/{release}",
    ]
    with operators.Operator(test_template.project(world, text), world.plane.kubeconfig):
        world.create("one")
        waiting.wait_until(lambda: world.is_ready("one"))
        assert all(map(world.api.exists, paths))
        world.api.delete(world.path("one"))
        waiting.wait_until(lambda: not any(map(world.api.exists, paths)))


RANDOM = """\
{{- $ca := genCA "ca" 30 }}
{{- $cert := genSignedCert "web" nil nil 30 $ca }}
{{- $known := lookup "v1" "Secret" .Release.Namespace .Release.Name }}
apiVersion: v1
kind: Secret
metadata: {name: "{{ .Release.Name }}"}
data:
  password: {{ randAlphaNum 20 | b64enc }}
  config.ini: {{ printf "size = %v\\npassword = %s\\nend = yes\\n" .Values.size (randAlphaNum 12) | b64enc }}
  bytes: {{ randBytes 24 }}
  tls.key: {{ $cert.Key | b64enc }}
  ca.crt: {{ $ca.Cert | b64enc }}
  htpasswd: {{ htpasswd "admin" (printf "password-%v" .Values.size) | b64enc }}
stringData:
  token: {{ uuidv4 }}
  url: "redis://default:{{ randAlphaNum 16 }}@host-{{ .Values.size }}:6379"
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: "{{ .Release.Name }}"
  annotations: {rolled: "{{ uuidv4 }}", at: "{{ now | unixEpoch }}", day: '{{ now | date "2006-01-02" }}'}
data:
  ca: {{ $ca.Cert | quote }}
  size: "{{ .Values.size }}"
---
apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Name }}"}
spec: {clusterIP: None, ports: [{port: {{ randInt 2000 60000 }}, protocol: TCP}]}
"""
OF_RANDOM = (("secrets", "data"), ("configmaps", "data"), ("services", "spec"))


def test_values_that_are_made_anew_each_time_are_kept(world: World) -> None:
    made = test_template.project(world, RANDOM)

    def state() -> dict[str, Any]:
        found = {}
        for plural, field in OF_RANDOM:
            one = world.api.get(f"/api/v1/namespaces/{world.namespace}/{plural}/app-one")
            found[plural] = (one[field], one["metadata"]["annotations"], one["metadata"]["resourceVersion"])
        return found

    with operators.Operator(made, world.plane.kubeconfig) as operator:
        world.create("one", size=1)
        waiting.wait_until(lambda: world.is_ready("one"))
        first = state()
        operator.stop()
        operator.start()
        operator.says("all resources are known", times=2)
        world.create("two", size=1)
        waiting.wait_until(lambda: world.is_ready("two"))
        waiting.wait_until(lambda: len(world.calls("template app-one ")) >= 4)  # twice a start
        world.api.patch(world.map_path("app-one"), {"data": {"size": "theirs"}})
        waiting.wait_until(lambda: world.data("app-one")["size"] == "1", message="it was repaired, so it was rendered")
        again = state()
        assert again["secrets"] == first["secrets"]
        assert again["services"] == first["services"]
        assert again["configmaps"][0] == first["configmaps"][0]
        world.update("one", size=2)
        waiting.wait_until(lambda: world.data("app-one")["size"] == "2" and world.is_ready("one"))
        after = state()
    before, now = (dict(one["secrets"][0]) for one in (first, after))
    lasting = {"password", "bytes", "tls.key", "ca.crt", "token"}
    assert {key for key in now if now[key] == before[key]} == lasting
    texts = {key: _decoded(now[key]) for key in ("config.ini", "url")}
    assert texts["config.ini"] == _decoded(before["config.ini"]).replace("size = 1", "size = 2")
    assert texts["url"] == _decoded(before["url"]).replace("host-1", "host-2")
    assert after["services"][0]["ports"] != first["services"][0]["ports"], "what is no Secret is made as at an upgrade"


def _decoded(text: str) -> str:

    return base64.b64decode(text).decode()


def test_a_group_whose_server_does_not_answer_is_not_taken_for_missing(world: World) -> None:
    group = f"meters.{world.crd.group}"
    text = (
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}"}\ndata:\n'
        f'  served: "{{{{ .Capabilities.APIVersions.Has "{group}/v1" }}}}"\n'
    )
    services = "/apis/apiregistration.k8s.io/v1/apiservices"
    about = {"name": "nothing", "namespace": world.namespace, "port": 443}
    spec = {
        "group": group, "version": "v1", "service": about, "groupPriorityMinimum": 100, "versionPriority": 100,
        "insecureSkipTLSVerify": True,
    }  # fmt: skip
    world.api.create(services, {"metadata": {"name": f"v1.{group}"}, "spec": spec})
    try:
        with operators.Operator(test_template.project(world, text), world.plane.kubeconfig):
            world.create("one")
            waiting.wait_until(lambda: "which the cluster has but does not serve now" in world.message("one"))
            assert world.data("app-one") is None
            world.api.delete(f"{services}/v1.{group}")
            waiting.wait_until(lambda: world.data("app-one") == {"served": "false"}, timeout=60)
    finally:
        with contextlib.suppress(errors.ApiError):
            world.api.delete(f"{services}/v1.{group}")
