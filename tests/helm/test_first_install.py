"""What never was installed is installed when it is tried again: hooks of the install run, whatever made it fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests import operators
from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World

CHART = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data:
  install: "{{ .Release.IsInstall }}"
  revision: "{{ .Release.Revision }}"
{{- range $event := list "pre-install" "post-install" "pre-upgrade" "post-upgrade" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: "{{ $.Release.Name }}-{{ $event }}"
  annotations: {helm.sh/hook: {{ $event }}, helm.sh/hook-delete-policy: before-hook-creation}
{{- end }}
{{- if .Values.hangs }}
---
apiVersion: batch/v1
kind: Job
metadata: {name: "{{ $.Release.Name }}-hangs", annotations: {helm.sh/hook: {{ .Values.hangs }}}}
spec:
  activeDeadlineSeconds: 1
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: example.com/none}]}}
{{- end }}
{{- if .Values.refused }}
---
apiVersion: v1
kind: {{ .Values.refused }}
metadata: {name: "{{ $.Release.Name }}-refused"}
spec: {ports: [{port: 70000}]}
{{- end }}
{{- if .Values.extra }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ $.Release.Name }}-extra"}
{{- end }}
"""
RAN = {"pre-install", "post-install", "pre-upgrade", "post-upgrade"}


def project(world: World, **options: object) -> operators.Project:
    made = world.project(**options)
    for path in (world.chart / "templates").iterdir():
        path.unlink()
    (world.chart / "templates" / "all.yaml").write_text(CHART)
    return made


def events(world: World, release: str) -> set[str]:
    return {event for event in RAN if world.data(f"{release}-{event}") is not None}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "hook-before": ({"hangs": "pre-install"}, {}),
    "hook-after": ({"hangs": "post-install"}, {}),
    "hook-of-both": ({"hangs": "pre-install,post-upgrade"}, {}),
    "object-refused": ({"refused": "Service"}, {}),
    "object-refused-with-more": ({"refused": "Service", "extra": True}, {"extra": False}),
    "several-times": ({"refused": "Service", "hangs": "pre-install"}, {"hangs": ""}),
}


def test_what_failed_at_its_first_install_is_installed_again(world: World) -> None:
    with operators.Operator(project(world), world.plane.kubeconfig):
        for name, (bad, _) in CASES.items():
            world.create(name, **bad)
        for name in CASES:
            waiting.wait_until(lambda name=name: operators.condition(world.resource(name)) != {}, timeout=60)  # type: ignore[misc]
            waiting.wait_until(lambda name=name: "failed" in [one[1] for one in world.revisions(f"app-{name}")])  # type: ignore[misc]
        for name, (bad, then) in CASES.items():
            world.update(name, **{**dict.fromkeys(bad, ""), **then})
        for name in CASES:
            waiting.wait_until(lambda name=name: world.is_ready(name), timeout=60)  # type: ignore[misc]
            release = f"app-{name}"
            assert events(world, release) == {"pre-install", "post-install"}, name
            assert world.data(release) == {"install": "true", "revision": "1"}, name
            assert world.release(name)["action"] == "installed", name
            assert world.data(f"{release}-extra") is None, "what only the failed one made is gone"
            number = world.release(name)["revision"]
            assert (number > 1, world.revisions(release)[-1]) == (True, (number, "deployed"))
        world.update("hook-before", extra=True)
        waiting.wait_until(lambda: world.data("app-hook-before-extra") is not None and world.is_ready("hook-before"))
        assert events(world, "app-hook-before") == RAN, "what was installed is upgraded from then on"
        assert world.data("app-hook-before")["install"] == "false"
        assert not [call for call in world.calls("upgrade") if "app-hook-before" not in call]


def test_a_first_install_that_fails_again_and_again_leaves_no_more_revisions_than_wanted(world: World) -> None:
    with operators.Operator(project(world, history=2), world.plane.kubeconfig):
        world.create("web", refused="Service")
        for number in range(4):
            waiting.wait_until(lambda number=number: len(world.calls("install")) > number, timeout=60)  # type: ignore[misc]
            world.update("web", extra=number % 2 == 0, number=number)
        waiting.wait_until(lambda: world.revisions("app-web")[-1][0] >= 4, timeout=60)
        waiting.wait_until(lambda: len(world.revisions("app-web")) <= 2, timeout=60)
        world.update("web", refused="", extra=False)
        waiting.wait_until(lambda: world.is_ready("web"), timeout=60)
        assert events(world, "app-web") == {"pre-install", "post-install"}
        world.api.delete(world.path("web"))
        waiting.wait_until(lambda: not world.api.exists(world.path("web")))
        assert world.revisions("app-web") == []


def test_an_install_that_was_killed_is_installed_again(world: World) -> None:
    with operators.Operator(project(world), world.plane.kubeconfig) as operator:
        world.create("web", hangs="pre-install")
        waiting.wait_until(lambda: world.revisions("app-web") == [(1, "pending-install")])
        operator.stop(9)
        world.update("web", hangs="")
        operator.start()
        waiting.wait_until(lambda: world.is_ready("web"), timeout=60)
        assert events(world, "app-web") == {"pre-install", "post-install"}
        assert world.data("app-web") == {"install": "true", "revision": "1"}
