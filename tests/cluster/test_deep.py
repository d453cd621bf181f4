"""Objects nested so deeply that no decoder reads them cost themselves only, wherever the depth is, and are reported.

Maps are worse than lists: the managed fields mirror them, so not even the metadata of such an object can be decoded.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests import operators
from tests.chaos import actions, proxy
from tests.cluster.test_life import text_of
from tests.controlplane import api as apis
from tests.controlplane import crds, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import cluster

NEIGHBOURS: Final = 20
MAPS, LISTS, MIXED = ('{"a":', "}"), ("[", "]"), ('{"b":[', "]}")
SHAPES: Final = {"maps": MAPS, "lists": LISTS, "mixed": MIXED}
CASES: Final = {
    "early": (
        ("maps", 300, "post"), ("maps", 1_100, "apply"), ("maps", 9_900, "post"),
        ("lists", 300, "apply"), ("lists", 9_900, "post"), ("mixed", 1_100, "post"),
    ),
    "late": (
        ("maps", 300, "apply"), ("maps", 1_100, "post"), ("maps", 5_000, "apply"),
        ("lists", 1_100, "apply"), ("lists", 9_900, "post"), ("mixed", 5_000, "apply"),
    ),
}  # fmt: skip
"""Shape, depth, and how it is sent. What is 300 levels deep can be decoded, and not be encoded."""


def nested(depth: int, shape: tuple[str, str] = MAPS) -> str:
    """JSON of a depth, as text: Python's own encoder would not write it."""
    opening, closing = shape
    times = depth // len(closing)
    return f"{opening * times}1{closing * times}"


def send(api: apis.Api, path: str, body: Any, deep: str, *, apply: bool = False) -> None:
    """Create or apply an object whose text ``"DEEP"`` stands for something that is nested; no answer is decoded."""
    text = json.dumps(body).replace('"DEEP"', deep)
    if apply:
        name = body["metadata"]["name"]
        path = f"{path}/{name}?fieldManager=foreign&force=true"
        api.send_text("PATCH", path, text, headers=apis.PATCH_TYPES["apply"])
    else:
        api.send_text("POST", path, text)


def set_status(api: apis.Api, path: str, deep: str) -> None:
    merge(api, f"{path}/status", f'{{"status":{{"inventory":{deep}}}}}')


def merge(api: apis.Api, path: str, patch: str) -> None:
    """Send a merge patch; the answer is not decoded."""
    api.send_text("PATCH", path, patch, headers=apis.PATCH_TYPES["merge"])


def ready(api: apis.Api, path: str) -> dict[str, Any]:
    """The condition Ready of a resource, found in its text."""
    found = re.search(r'\{[^{}]*"type":"Ready"\}', api.send_text("GET", path, ""))
    return json.loads(found.group()) if found else {}


def create_deep(api: apis.Api, crd: crds.CustomKind, namespace: str, prefix: str) -> list[str]:
    """Create resources of all shapes and depths, in both ways, with the depth in spec or status; their names."""
    names = []
    for shape, depth, way in CASES[prefix]:
        name = f"{prefix}-{shape}-{depth}-{way}"
        body = crd.manifest(name, spec={"text": "1", "deep": "DEEP"})
        send(api, crd.path(namespace), body, nested(depth, SHAPES[shape]), apply=way == "apply")
        names.append(name)
    for depth in (300, 1_100):
        name = f"{prefix}-status-{depth}"
        api.create(crd.path(namespace), crd.manifest(name, spec={"text": "1"}))
        set_status(api, crd.path(namespace, name), nested(depth))
        names.append(name)
    return names


def create_odd(api: apis.Api, crd: crds.CustomKind, namespace: str, prefix: str) -> list[str]:
    """Create resources that look bad and are not; their names."""
    text = nested(20_000)
    odd = {
        "annotation": {"annotations": {"example.com/json": text}},
        "labels": {"labels": {f"example.com/key-{number}": "x" * 63 for number in range(500)}},
    }
    for name, metadata in odd.items():
        api.create(crd.path(namespace), crd.manifest(f"{prefix}-{name}", spec={"text": "1"}, **metadata))
    api.create(crd.path(namespace), crd.manifest(f"{prefix}-text", spec={"text": "1", "json": text}))
    return [f"{prefix}-{name}" for name in (*odd, "text")]


def create_neighbours(api: apis.Api, crd: crds.CustomKind, namespace: str, prefix: str) -> list[str]:
    names = [f"{prefix}-{number}" for number in range(NEIGHBOURS)]
    for name in names:
        api.create(crd.path(namespace), crd.manifest(name, spec={"text": "fine"}))
    return names


def config_maps(api: apis.Api, namespace: str) -> set[str]:
    return {item["metadata"]["name"] for item in api.list(f"/api/v1/namespaces/{namespace}/configmaps")}


def wait_for_config_maps(api: apis.Api, namespace: str, names: list[str], *, seconds: float) -> None:
    waiting.wait_until(
        lambda: set(names) <= config_maps(api, namespace),
        timeout=seconds,
        message=f"{set(names) - config_maps(api, namespace)}",
    )


def wait_for_reason(api: apis.Api, crd: crds.CustomKind, namespace: str, name: str, reason: str) -> None:
    path = crd.path(namespace, name)
    waiting.wait_until(lambda: ready(api, path).get("reason") == reason, timeout=40, message=f"{name} {reason}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pages", [False, True], ids=["one stream", "pages"])
def test_resources_nested_too_deeply_stop_no_neighbour_and_are_reported_and_deleted(
    pages: bool,
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd, apply={"server-side": {"finalizer": "always"}})
    deep = create_deep(api, crd, namespace, "early")
    fine = [*create_odd(api, crd, namespace, "early"), *create_neighbours(api, crd, namespace, "early")]
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        if pages:
            chaos.add(actions.Answer(422), query="sendInitialEvents")
        with operators.Operator(made, chaos.kubeconfig) as operator:
            operator.says("all resources are known")
            wait_for_config_maps(api, namespace, fine, seconds=10)
            late = create_deep(api, crd, namespace, "late")
            odd = create_odd(api, crd, namespace, "late")
            began = time.monotonic()
            neighbours = create_neighbours(api, crd, namespace, "late")
            took = time.monotonic() - began
            wait_for_config_maps(api, namespace, [*odd, *neighbours], seconds=2 + took)
            for name in (*deep, *late):
                wait_for_reason(api, crd, namespace, name, "Unreadable")
            edited = crd.path(namespace, "late-maps-5000-apply")
            merge(api, edited, '{"spec":{"text":"2"}}')
            waiting.wait_until(lambda: ready(api, edited)["observedGeneration"] == 2, timeout=40, message="edited")
            mended = crd.path(namespace, "late-maps-1100-post")
            merge(api, mended, '{"spec":{"deep":null}}')
            wait_for_reason(api, crd, namespace, "late-maps-1100-post", "Applied")
            gone = [name for name in (*deep, *late) if name not in config_maps(api, namespace)]
            for name in gone:
                api.send_text("DELETE", crd.path(namespace, name), "")
            waiting.wait_until(
                lambda: set(gone).isdisjoint(names_of(api, crd, namespace)), timeout=60, message="they are gone"
            )
            assert "a bug" not in operator.log
            assert operator.running
        watches = [record for record in chaos.requests if crd.plural in record.path and "watch=true" in record.query]
        assert len(watches) <= 3, "no stream was torn down"


def names_of(api: apis.Api, crd: crds.CustomKind, namespace: str) -> set[str]:
    """The names of all resources, found in their text."""
    text = api.send_text("GET", crd.path(namespace), headers={"Accept": crds.METADATA_LIST})
    return set(re.findall(r'"name":"([^"]+)"', text))


CHILD: Final = """\
apiVersion: {api_version}
kind: Thing
metadata: {{name: "{{{{ resource.metadata.name }}}}"}}
spec:
  text: {{{{ resource.spec.text }}}}
"""


@pytest.mark.parametrize("applier", ["server-side", "kubectl"])
def test_objects_that_others_nest_too_deeply_are_still_ours_and_stop_no_neighbour(
    applier: str,
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    make_crd: MakeCrd,
    namespace: str,
) -> None:
    """A foreign manager nests fields into an object of ours, and copies our marks onto a deep one of its own."""
    things = make_crd("Thing")
    templates = {"thing.yaml": CHILD.format(api_version=things.api_version), "config.yaml": operators.CONFIG_MAP}
    made = operators.project(tmp_path, crd, templates=templates, apply={applier: {}})
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
    for round_ in ("first", "second"):
        with operators.Operator(made, control_plane.kubeconfig) as operator:
            waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))), timeout=30)
            if round_ == "first":
                ours = api.get(things.path(namespace, "web"))["metadata"]
                nest(api, things, namespace, "web", nested(2_000))
                copied = {key: ours[key] for key in ("labels", "annotations")}
                foreign = things.manifest("foreign", spec={"deep": "DEEP"}, **copied)
                send(api, things.path(namespace), foreign, nested(9_900))
            names = create_neighbours(api, crd, namespace, round_)
            wait_for_config_maps(api, namespace, names, seconds=15)
            api.patch(crd.path(namespace, "web"), {"spec": {"text": round_}})
            waiting.wait_until(lambda text=round_: spec_text(api, things, namespace, "web") == text, timeout=30)  # type: ignore[misc]
            waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))), timeout=30)
            change = '{"spec":{"text":"changed by hand"}}'
            merge(api, things.path(namespace, "web"), change)
            waiting.wait_until(lambda text=round_: spec_text(api, things, namespace, "web") == text, timeout=30)  # type: ignore[misc]
            assert "a bug" not in operator.log
            if round_ == "second":
                api.delete(crd.path(namespace, "web"))
                waiting.wait_until(lambda: "web" not in names_of(api, things, namespace), timeout=30)
                assert "foreign" in names_of(api, things, namespace)


def nest(api: apis.Api, kind: crds.CustomKind, namespace: str, name: str, deep: str) -> None:
    """Put something deep into an object, as another field manager."""
    send(api, kind.path(namespace), kind.manifest(name, spec={"deep": "DEEP"}), deep, apply=True)


def spec_text(api: apis.Api, kind: crds.CustomKind, namespace: str, name: str) -> str:
    """The field ``spec.text`` of an object, found in its text."""
    found = re.search(r'"text":"([^"]*)"', api.send_text("GET", kind.path(namespace, name), ""))
    return found.group(1) if found else ""


LOOKUP: Final = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: "{{{{ resource.metadata.name }}}}"}}
data:
  text: {{{{ lookup("{api_version}", "Thing", resource.spec.of).spec.text }}}}
"""


def test_a_looked_up_object_that_is_nested_too_deeply_is_named_and_used_again_when_it_is_not(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    make_crd: MakeCrd,
    namespace: str,
) -> None:
    things = make_crd("Thing")
    made = operators.project(tmp_path, crd, templates={"config.yaml": LOOKUP.format(api_version=things.api_version)})
    early = things.manifest("early", spec={"text": "early", "deep": "DEEP"})
    send(api, things.path(namespace), early, nested(1_100))
    for name in ("late", "plain"):
        api.create(things.path(namespace), things.manifest(name, spec={"text": name}))
    for name in ("early", "late", "plain"):
        api.create(crd.path(namespace), crd.manifest(name, spec={"of": name}))
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        wait_for_message(api, crd, namespace, "early", f"lookup of Thing {namespace}/early: it cannot be decoded")
        for name in ("late", "plain"):
            waiting.wait_until(lambda name=name: text_of(api, namespace, name) == name)  # type: ignore[misc]
        nest(api, things, namespace, "late", nested(5_000))
        wait_for_message(api, crd, namespace, "late", f"lookup of Thing {namespace}/late: it cannot be decoded")
        for name in ("early", "late"):
            change = f'{{"spec":{{"deep":null,"text":"{name} again"}}}}'
            merge(api, things.path(namespace, name), change)
            waiting.wait_until(lambda name=name: text_of(api, namespace, name) == f"{name} again")  # type: ignore[misc]
        api.patch(things.path(namespace, "plain"), {"spec": {"text": "new"}})
        waiting.wait_until(lambda: text_of(api, namespace, "plain") == "new")
        assert "a bug" not in operator.log


def wait_for_message(api: apis.Api, crd: crds.CustomKind, namespace: str, name: str, text: str) -> None:
    path = crd.path(namespace, name)
    waiting.wait_until(lambda: text in ready(api, path).get("message", ""), timeout=30, message=f"{name}: {text}")


def test_a_resource_nested_too_deeply_that_leaves_the_selection_or_is_cleaned_up_is_released(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(
        tmp_path, crd, watch={"labels": "tier=web"}, apply={"server-side": {"finalizer": "always"}}
    )
    names = ("leaves", "stays", "deleted")
    for name in names:
        api.create(crd.path(namespace), crd.manifest(name, spec={"text": "1"}, labels={"tier": "web"}))
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        for name in names:
            wait_for_reason(api, crd, namespace, name, "Applied")
            nest(api, crd, namespace, name, nested(3_000))
            wait_for_reason(api, crd, namespace, name, "Unreadable")
        merge(api, crd.path(namespace, "leaves"), '{"metadata":{"labels":null}}')
        waiting.wait_until(lambda: "leaves" not in config_maps(api, namespace), timeout=30)
        waiting.wait_until(
            lambda: "lostromos.dev/cleanup" not in api.send_text("GET", crd.path(namespace, "leaves"), "")
        )
        api.send_text("DELETE", crd.path(namespace, "deleted"))
        waiting.wait_until(lambda: "deleted" not in names_of(api, crd, namespace), timeout=30, message="deleted")
        assert "deleted" not in config_maps(api, namespace)
        assert "a bug" not in operator.log
    common = ("cleanup", f"--kubeconfig={control_plane.kubeconfig}", f"--kind=WebApp.{crd.group}", "-n", namespace)
    done = operators.lostromos(*common, "--yes", "--delete-objects")
    assert done.returncode == 0, done.stderr
    assert "stays" not in config_maps(api, namespace)
    assert "lostromos.dev/cleanup" not in api.send_text("GET", crd.path(namespace, "stays"), "")
