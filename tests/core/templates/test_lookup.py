"""What templates look up: values when they are there, waiting when they are not, circles named."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.kube.lookup import lookups
from lostromos_core.templates import renderer
from tests import fakes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "ns"},
    "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}], "items": {"a": 1}},
    "status": {"loadBalancer": {}},
}
FIND = 'lookup("v1", "Service", "web")'
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata:\n"


def render(folder: Path, files: Mapping[str, str], *objects: Mapping[str, Any], **options: Any) -> interfaces.Manifests:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    resource = fakes.resource("web")
    find = lookups.among(objects, resource, lookups.Policy(**options))
    return renderer.JinjaRenderer(folder).render(resource, interfaces.Context(lookup=find))


def value(folder: Path, expression: str, *objects: Mapping[str, Any], **options: Any) -> Any:
    (unit,) = render(folder, {"a": HEAD + f"  v: {{{{ {expression} }}}}\n"}, *objects, **options).units
    return unit.waiting or unit.manifests[0].data["data"]["v"]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (f"{FIND}.spec.clusterIP", "10.0.0.1"),
        (f"{FIND}.spec.ports[0].port", 80),
        (f'{FIND}["spec"]["ports"]', [{"port": 80}]),
        (f"{FIND}.spec.items", {"a": 1}),
        (f"{FIND}.spec.ports | map(attribute='port') | list", [80]),
        (f"{FIND}.status.loadBalancer.ingress[0].ip", "Service ns/web has no status.loadBalancer.ingress yet"),
        (f"{FIND}.spec.ports[1].port", "Service ns/web has no spec.ports[1] yet"),
        (f"{FIND}.status.x ~ 'y'", "Service ns/web has no status.x yet"),
        (f"1 if {FIND}.status.x else 2", "Service ns/web has no status.x yet"),
        (f"{FIND}.status.x.y.z | default('none')", "none"),
        (f"{FIND}.status.x is defined", False),
        ('lookup("v1", "Service", "other").spec.clusterIP', "Service ns/other is not there yet"),
        ('lookup("v1", "Service", "other") is defined', False),
        ('lookup("v1", "Service", "web", namespace="elsewhere").spec', "Service elsewhere/web is not there yet"),
        (f'lookup("v1", "Service", {FIND}.status.name).spec', "Service ns/web has no status.name yet"),
    ],
)
def test_what_is_there_is_a_value_and_what_is_not_is_waited_for(expression: str, found: Any, tmp_path: Path) -> None:
    assert value(tmp_path, expression, SERVICE) == found


def test_loops_and_conditions_wait_as_well(tmp_path: Path) -> None:
    text = f"{HEAD}{{% for one in {FIND}.status.loadBalancer.ingress %}}\n  {{{{ one.ip }}}}: x\n{{% endfor %}}\n"
    (unit,) = render(tmp_path, {"a": text}, SERVICE).units
    assert unit.waiting == "Service ns/web has no status.loadBalancer.ingress yet"


def test_macros_that_are_imported_can_look_up(tmp_path: Path) -> None:
    macro = f"{{% macro ip() %}}\n{{{{ {FIND}.spec.clusterIP }}}}\n{{% endmacro %}}\n"
    text = f'{{% from "_m.yaml" import ip %}}\n{HEAD}  v: {{{{ ip() }}}}\n'
    (unit,) = render(tmp_path, {"_m": macro, "a": text}, SERVICE).units
    assert unit.manifests[0].data["data"] == {"v": "10.0.0.1"}


def test_what_was_looked_up_is_recorded_and_other_units_go_on(tmp_path: Path) -> None:
    files = {"a": f"{HEAD}  v: {{{{ {FIND}.status.x }}}}\n", "b": f"{HEAD}  v: 1\n"}
    found = render(tmp_path, files, SERVICE)
    assert found.reads == {interfaces.ObjectRef("v1", "Service", "ns", "web")}
    assert [unit.waiting for unit in found.units] == ["Service ns/web has no status.x yet", ""]


SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "ns"}, "data": {"k": "dg=="}}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"podCIDR": "10.0.0.0/8"}}
FAR = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "far"}, "data": {"k": "v"}}


def test_only_what_is_allowed_can_be_seen(tmp_path: Path) -> None:
    secret, node = 'lookup("v1", "Secret", "s").data.k', 'lookup("v1", "Node", "n").spec.podCIDR'
    far = 'lookup("v1", "ConfigMap", "c", "far").data.k'
    with pytest.raises(errors.RenderError, match=r"secrets: true"):
        value(tmp_path, secret, SECRET)
    assert value(tmp_path, secret, SECRET, secrets=True) == "dg=="
    assert value(tmp_path, node, NODE) == "Node ns/n is not there yet"
    assert value(tmp_path, node, NODE, cluster_scoped=True) == "10.0.0.0/8"
    assert value(tmp_path, far, FAR) == "ConfigMap far/c is not there yet"
    assert value(tmp_path, far, FAR, namespaces=("far",)) == "v"
    assert value(tmp_path, far, FAR, namespaces=("*",)) == "v"


@pytest.mark.parametrize("arguments", ["1, 'a', 'b'", "'v1', none, 'b'", "'v1', 'A', ['b']"])
def test_lookup_takes_strings(arguments: str, tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError, match="lookup takes strings"):
        value(tmp_path, f"lookup({arguments})")


def needs(name: str, made: str) -> str:
    return HEAD.replace("NAME", made) + f'  v: {{{{ lookup("v1", "ConfigMap", "{name}").data.v }}}}\n'


def test_units_that_wait_for_each_other_are_named(tmp_path: Path) -> None:
    found = render(tmp_path, {"a": needs("b", "a"), "b": needs("c", "b"), "c": needs("a", "c"), "d": needs("b", "d")})
    assert [unit.stuck for unit in found.units] == [True, True, True, False]
    assert found.units[0].waiting == (
        "a circle, so nothing can begin: a.yaml needs ConfigMap ns/b of b.yaml, b.yaml needs ConfigMap ns/c of c.yaml, "
        "c.yaml needs ConfigMap ns/a of a.yaml"
    )


def test_a_unit_that_needs_what_it_makes_is_named(tmp_path: Path) -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n"
    (unit,) = render(tmp_path, {"a": service + HEAD + f"  v: {{{{ {FIND}.spec.clusterIP }}}}\n"}).units
    assert unit.stuck
    assert "which it makes itself: move that into a file of its own" in unit.waiting


def test_an_object_that_exists_makes_no_circle(tmp_path: Path) -> None:
    there = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": "ns"}, "data": {}}
    found = render(tmp_path, {"a": needs("b", "a"), "b": needs("a", "b")}, there)
    assert [unit.stuck for unit in found.units] == [False, False]


def test_fields_for_the_status_are_rendered(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD)
    (tmp_path / "status.yaml").write_text(f"address: {{{{ {FIND}.spec.clusterIP }}}}\n")
    made = renderer.JinjaRenderer(tmp_path, status="status.yaml")
    resource = fakes.resource("web")
    context = interfaces.Context(lookup=lookups.among([SERVICE], resource, lookups.Policy()))
    found = made.render(resource, context)
    assert (found.status, len(found.units)) == ({"address": "10.0.0.1"}, 1)
    nothing = dataclasses.replace(context, lookup=lookups.among([], resource, lookups.Policy()))
    assert made.render(resource, nothing).status is None
    (tmp_path / "status.yaml").write_text("conditions: []\n")
    with pytest.raises(errors.RenderError, match=r"status.yaml:1: the status field 'conditions'"):
        renderer.JinjaRenderer(tmp_path, status="status.yaml").render(resource, context)
    with pytest.raises(errors.ConfigError, match="which `status` names"):
        renderer.JinjaRenderer(tmp_path, status="absent.yaml").load()
