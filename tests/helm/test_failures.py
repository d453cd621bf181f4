"""What Helm says when it fails: the real Helm 3 and 4, offline, and texts that need a cluster, as they were said."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces, process
from lostromos_helm.helm import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

ABOUT = "apiVersion: v2\nname: app\nversion: 1.0.0\n"
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n"
SUB = {"charts/sub/Chart.yaml": ABOUT.replace("app", "sub")}
HELPER = '{{- define "app.x" -}}\n\n{{ %s }}\n{{- end -}}\n'
SCHEMA = json.dumps({"type": "object", "properties": {"port": {"type": "integer"}, "name": {"pattern": "^a$"}}})


def failing(helm: Path, folder: Path, files: Mapping[str, str], values: Any) -> process.Completed:
    """How the real Helm fails at a chart, with nothing but these files and values."""
    for name, text in {"Chart.yaml": ABOUT, **files}.items():
        path = folder / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [str(helm), "template", "web", str(folder / "app"), "--namespace=ns", "--values=-"]
    done = subprocess.run(command, input=json.dumps(values).encode(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    return process.Completed(done.returncode, done.stdout, done.stderr)


def line(expression: str) -> str:
    """A template whose line 5 has the expression."""
    return f"{HEAD}  v: {{{{ {expression} }}}}\n"


A = "templates/a.yaml"
TEMPLATES: dict[str, tuple[dict[str, str], Any, str, str]] = {  # files, values, place, what is said
    "a field of nothing": ({A: line(".Values.a.b.c")}, {}, f"app/{A}:5", "<.Values.a.b.c>: nil pointer"),
    "a wrong type": ({A: line(".Values.a | upper")}, {"a": {"b": 1}}, f"app/{A}:5", "<upper>: wrong type"),
    "a function's error": ({A: line("index .Values.a 3")}, {"a": [1]}, f"app/{A}:5", "index out of range: 3"),
    "no such template": ({A: line('include "nope" .')}, {}, f"app/{A}:5", 'no template "nope"'),
    "required": ({A: line('required "give me a word" .Values.a')}, {}, f"app/{A}:5", "make it: give me a word"),
    "fail": ({A: line('fail "no way"')}, {}, f"app/{A}:5", "make it: no way"),
    "fail in words like Helm's": ({A: line('fail "at <x>: y"')}, {}, f"app/{A}:5", "make it: at <x>: y"),
    "fail in words like a place": ({A: line('fail "template: b.yaml:9:9: z"')}, {}, f"app/{A}:5", "template: b.yaml:9:9: z"),
    "fail in two lines": ({A: line('fail "one\\nError: two"')}, {}, f"app/{A}:5", "make it: one Error: two"),
    "in a helper": (
        {A: line('include "app.x" .'), "templates/_h.tpl": HELPER % ".Values.a.b.c"}, {}, "app/templates/_h.tpl:3", "<.Values.a.b.c>: nil pointer",
    ),
    "required in a helper": ({A: line('include "app.x" .'), "templates/_h.tpl": HELPER % 'required "deep" .Values.z'}, {}, f"app/{A}:5", "make it: deep"),
    "in a subchart": (
        {**SUB, "charts/sub/templates/b.yaml": line(".Values.a.b.c")}, {}, "app/charts/sub/templates/b.yaml:5", "nil pointer",
    ),
    "in a text for tpl": ({A: line("tpl .Values.t .")}, {"t": "{{ .Values.q.r.s }}"}, f"app/{A}:5", "<.Values.q.r.s>: nil pointer"),
    "in the syntax of a text for tpl": ({A: line("tpl .Values.t .")}, {"t": "{{ if }}"}, f"app/{A}:5", "missing value for if"),
    "a syntax error": ({A: line("if")}, {}, f"app/{A}:5", "make it: missing value for if"),
    "an unknown function": ({A: line("nofunc 1")}, {}, f"app/{A}:5", 'function "nofunc" not defined'),
    "bad YAML": ({A: HEAD + "  v: [a\n"}, {}, f"app/{A}", "line 5: did not find expected ',' or ']'"),
    "YAML broken by a value": ({A: line(".Values.t")}, {"t": "a: b: c"}, f"app/{A}", "mapping values are not allowed"),
    "a file with a space": ({"templates/a b.yaml": line(".Values.a.b.c")}, {}, "app/templates/a b.yaml:5", "nil pointer"),
    "a file with parentheses": ({"templates/a(b).yaml": line('fail "no"')}, {}, "app/templates/a(b).yaml:5", "make it: no"),
    "itself": ({A: '{{ template "me" . }}', "templates/_h.tpl": '{{ define "me" }}{{ include "me" . }}{{ end }}'}, {}, "app/templates/_h.tpl:1", "nested reference"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEMPLATES)
def test_an_error_in_a_chart_names_file_and_line(case: str, helm: Path, tmp_path: Path) -> None:
    files, values, place, said = TEMPLATES[case]
    found = failures.explain(failing(helm, tmp_path, files, values), "make it", {})
    assert isinstance(found, errors.RenderError)
    assert found.place == place
    assert said in found.message
    assert found.message.startswith("make it: ")
    assert "--debug" not in found.message
    assert not found.retryable


OTHERS: dict[str, tuple[dict[str, str], Any, type[errors.LostromosError], str]] = {
    "a dependency that is not there": (
        {"Chart.yaml": f"{ABOUT}dependencies:\n- {{name: redis, version: 1.0.0, repository: 'https://example.com'}}\n"}, {},
        errors.RefusedError, "missing in charts/ directory: redis; run `helm dependency build` on the chart",
    ),
    "values against the schema": ({"values.schema.json": SCHEMA, A: HEAD}, {"port": "x"}, errors.RenderError, "values.port: must be of type integer"),
    "values against a subchart's schema": (
        {**SUB, "charts/sub/values.schema.json": SCHEMA, A: HEAD}, {"sub": {"port": "x"}}, errors.RenderError, "values.sub.port: must be of type integer",
    ),
    "another Kubernetes": ({"Chart.yaml": f'{ABOUT}kubeVersion: ">=99"\n'}, {}, errors.RefusedError, "chart requires kubeVersion: >=99"),
    "no chart": ({"Chart.yaml": "{"}, {}, errors.RefusedError, "cannot load Chart.yaml"),
    "defaults that are no YAML": ({"values.yaml": "{"}, {}, errors.RefusedError, "cannot load values.yaml"),
    "a chart without a name": ({"Chart.yaml": "apiVersion: v2\n"}, {}, errors.RefusedError, "chart.metadata.name is required"),
    "values that Helm cannot read": ({A: HEAD}, {"k" * 2000: 1}, errors.RenderError, "failed to parse -"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_what_nobody_can_mend_by_trying_again_is_not_retried(case: str, helm: Path, tmp_path: Path) -> None:
    files, values, kind, said = OTHERS[case]
    given = interfaces.Values(values)
    found = failures.explain(failing(helm, tmp_path, files, values), "make it", {}, given, "app")
    assert type(found) is kind
    assert said in str(found)
    assert not found.retryable


SECRETS = (
    "topsecret",
    "top\nsecret\nin-many-lines",
    'top"quoted"secret',
    "top'quoted'secret",
    "top\\secret\n",
    "töp-sëcret",
)
LEAKS: dict[str, dict[str, str]] = {
    "fail": {A: line("fail .Values.a")},
    "a function": {A: line('mustToDate "2006" .Values.a')},
    "a loop": {A: HEAD + "{{ range .Values.a.b }}{{ end }}"},
    "a schema": {A: HEAD, "values.schema.json": json.dumps({"properties": {"a": {"pattern": "^z$"}}})},
    "a name": {A: line("include .Values.a .")},
    "a text for tpl": {A: line('tpl (printf "{{ %s" .Values.a) .')},
    "a part of it": {A: line('fail (printf "it is %s!" (trim .Values.a))')},
    "one line of it": {A: line('fail (last (splitList "\\n" (trim .Values.a)))')},
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("case", LEAKS)
def test_what_is_hidden_is_never_repeated(case: str, secret: str, helm: Path, tmp_path: Path) -> None:
    done = failing(helm, tmp_path, LEAKS[case], {"a": secret})
    found = str(failures.explain(done, "make it", failures.secrets_of([secret], {"spec": {"other": "text"}})))
    assert not any(part in found for part in ("secret", "cret", "many-lines"))
    mine = str(failures.explain(done, "make it", failures.secrets_of([secret], {"spec": {"other": [f"my {secret}"]}})))
    assert mine == str(failures.explain(done, "make it", {}))


def test_only_what_the_author_did_not_write_is_hidden() -> None:
    written = {"spec": {"image": "registry.example/app", "list": [{"word": "shared"}]}, "count": 3}
    texts = ["example", "shared", "password", "abc", "", "registry"]
    found = failures.secrets_of(texts, written)
    assert failures.hide(" ".join(texts), found) == "example shared *** abc  registry"


def test_the_longest_is_hidden_first() -> None:
    secrets = failures.secrets_of(["pass", "password", "password-long"], {})
    assert failures.hide("a password-long, a password, a pass", secrets) == "a ***, a ***, a ***"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_secrets_are_hidden_in_base64_too(encode: Callable[[bytes], bytes]) -> None:
    secrets = failures.secrets_of(["p\u00e4ssword?>~", "four"], {})
    for secret in ("p\u00e4ssword?>~", "four"):
        assert failures.hide(f"it is {encode(secret.encode()).decode()}", secrets) in {
            "it is ***",
            "it is ***=",
            "it is ***==",
        }


def test_lines_that_are_too_short_to_be_secret_are_not_hidden_alone() -> None:
    secrets = failures.secrets_of(["user: me\nkey: abcdefgh\n}\n"], {})
    assert failures.hide("} key: abcdefgh", secrets) == "} ***"


INSTALL, UPGRADE = "INSTALLATION FAILED: ", "UPGRADE FAILED: "
RECORDED: dict[str, tuple[str, type[errors.LostromosError], int | None, bool, str]] = {  # text, class, status, retried, message
    "a foreign object": (
        f'{INSTALL}Unable to continue with install: ConfigMap "web" in namespace "ns" exists and cannot be imported into the current release: invalid ownership',
        errors.RefusedError, None, False,
        "make it: ConfigMap ns/web exists and does not belong to the release; the controller's option `adopt` would take it over",
    ),
    "a foreign cluster-scoped object": (
        f'{UPGRADE}Unable to continue with update: ClusterRole "web" in namespace "" exists and cannot be imported into the current release: invalid',
        errors.RefusedError, None, False, "make it: ClusterRole web exists and does not belong",
    ),
    "a release that is too large": (
        f'{INSTALL}create: failed to create: Secret "sh.helm.release.v1.web.v1" is invalid: data: Too long: may not be more than 1048576 bytes',
        errors.RefusedError, None, False, "make it: the release is too large",
    ),
    "a release that is much too large": (
        f"{INSTALL}create: failed to create: Request entity too large: limit is 3145728", errors.RefusedError, None, False, "make it: the release is too large",
    ),
    "too large for etcd": (f"{UPGRADE}create: failed to create: etcdserver: request is too large", errors.RefusedError, None, False, "the release is too large"),
    "an object that is too large": (f'{INSTALL}ConfigMap "web" is invalid: []: Too long: may not be more than 1048576 bytes', errors.ApiError, 422, False, "Too long"),
    "no rights": (
        f'{INSTALL}configmaps is forbidden: User "system:serviceaccount:ns:app" cannot create resource "configmaps" in API group "" in the namespace "ns"',
        errors.ApiError, 403, True, "configmaps is forbidden: User",
    ),
    "no rights for the release": (
        'query: failed to query with labels: secrets is forbidden: User "x" cannot list resource "secrets"', errors.ApiError, 403, True, "secrets is forbidden",
    ),
    "an unknown kind": (
        f'{INSTALL}unable to build kubernetes objects from release manifest: resource mapping not found for name: "x": no matches for kind "Widget" in version "example.com/v1"\nensure CRDs are installed first',
        errors.ApiError, 404, True, 'no matches for kind "Widget"',
    ),
    "an unknown field": (
        f'{INSTALL}unable to build kubernetes objects from release manifest: error validating "": error validating data: unknown field "spec.x"',
        errors.ApiError, 422, False, 'unknown field "spec.x"',
    ),
    "a bad value": (f'{UPGRADE}cannot patch "web" with kind Service: Service "web" is invalid: spec.ports[0].port: Invalid value: 99999', errors.ApiError, 422, False, "99999"),
    "a webhook's denial": (f'{INSTALL}admission webhook "policy.example" denied the request: no', errors.ApiError, 403, True, "denied the request: no"),
    "a policy's denial": (f"{INSTALL}configmaps \"x\" is invalid: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", errors.ApiError, 403, True, "denied request: no"),
    "a webhook that is down": (
        f'{INSTALL}Internal error occurred: failed calling webhook "policy.example": Post "https://p.ns.svc:443/": dial tcp 10.0.0.1:443: connect: connection refused',
        errors.ApiError, 500, True, "failed calling webhook",
    ),
    "a conflict": (
        f'{UPGRADE}conflict occurred while applying object ns/web /v1, Kind=ConfigMap: Apply failed with 1 conflict: conflict with "kubectl" using v1: .data.text',
        errors.ApiError, 409, True, 'conflict with "kubectl"',
    ),
    "no cluster": (
        f'{INSTALL}Kubernetes cluster unreachable: Get "https://127.0.0.1:1/version": dial tcp 127.0.0.1:1: connect: connection refused',
        errors.ConnectionFailed, 0, True, "connection refused",
    ),
    "a cluster that hangs": (f'{INSTALL}Get "https://10.0.0.1/api": net/http: TLS handshake timeout', errors.ConnectionFailed, 0, True, "TLS handshake timeout"),
    "a wait that ended": (f"{UPGRADE}context deadline exceeded", errors.ProcessError, None, True, "context deadline exceeded"),
    "an older wait that ended": (f"{INSTALL}timed out waiting for the condition", errors.ProcessError, None, True, "timed out waiting"),
    "another operation": (
        f"{UPGRADE}another operation (install/upgrade/rollback) is in progress", errors.ProcessError, None, True, "another operation (install/upgrade/rollback) is in progress",
    ),
    "a name in use, says Helm 3": (f"{INSTALL}cannot re-use a name that is still in use", failures.NameTakenError, None, True, "a release already has this name"),
    "a name in use, says Helm 4": (f"{INSTALL}cannot reuse a name that is still in use", failures.NameTakenError, None, True, "a release already has this name"),
    "what we never saw": ("UNINSTALL FAILED: the moon is full", errors.ProcessError, None, True, "make it: the moon is full"),
}  # fmt: skip


def completed(text: str, status: int = 1) -> process.Completed:
    return process.Completed(status, b"", text.encode())


@pytest.mark.parametrize("case", RECORDED)
def test_what_a_cluster_says_is_recognised(case: str) -> None:
    text, kind, status, retried, message = RECORDED[case]
    found = failures.explain(completed(f"WARNING: a warning\nError: {text}\n"), "make it", {})
    assert type(found) is kind
    assert getattr(found, "status", None) == status
    assert found.retryable is retried
    assert message in str(found)
    assert "WARNING" not in str(found)
    assert "FAILED" not in str(found)


def test_the_log_of_a_hook_is_not_taken_for_helms_own_error() -> None:
    text = "Error: connection refused, says the hook\nError: INSTALLATION FAILED: failed pre-install: job failed\n"
    found = failures.explain(completed(text), "make it", {})
    assert str(found) == "make it: failed pre-install: job failed"


def test_helm_that_was_killed_is_tried_again() -> None:
    found = failures.explain(completed("", -9), "make it", {})
    assert isinstance(found, failures.KilledError)
    assert (str(found), found.retryable) == ("make it: helm was killed by signal 9", True)


def test_helm_that_says_nothing_is_told_so() -> None:
    found = failures.explain(completed("a warning\n", 2), "make it", {})
    assert isinstance(found, errors.ProcessError)
    assert str(found) == "make it: helm exited with status 2 and printed nothing"


def test_a_long_story_is_cut_to_one_line() -> None:
    found = failures.explain(completed("Error: " + "a long\nstory\x1b[31m " * 1000), "make it", {})
    assert len(str(found)) < 600
    assert str(found).isprintable()
