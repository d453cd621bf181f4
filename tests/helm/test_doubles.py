"""One object from two places of a chart: a message that names both, or what Helm itself makes of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from lostromos_core import errors, process
from lostromos_helm.helm import failures
from lostromos_helm.objects import manifest
from lostromos_helm.templating import rendering
from tests import operators
from tests.controlplane import waiting
from tests.helm import test_template

if TYPE_CHECKING:
    from tests.helm.conftest import World

HEAD = "---\n# Source: app/templates/{}.yaml\n"
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
DOUBLES = {
    "two files": HEAD.format("a") + MAP + HEAD.format("b") + MAP,
    "one file": HEAD.format("a") + MAP + HEAD.format("a") + MAP,
    "with its namespace, and without": HEAD.format("a")
    + MAP
    + HEAD.format("b")
    + MAP.replace("x}", "x, namespace: ns}"),
    "in two versions": HEAD.format("a")
    + "apiVersion: example.com/v1\nkind: A\nmetadata: {name: x}\n"
    + HEAD.format("b")
    + "apiVersion: example.com/v2\nkind: A\nmetadata: {name: x}\n",
    "in a list": HEAD.format("a")
    + MAP
    + HEAD.format("b")
    + "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: "
    "ConfigMap, metadata: {name: x}}\n",
}


@pytest.mark.parametrize("case", DOUBLES)
def test_both_places_are_named(case: str) -> None:
    items = manifest.parse(DOUBLES[case], "ns")
    with pytest.raises(errors.RenderError, match=r"x occurs twice, here and in app/templates/a.yaml") as caught:
        rendering._refuse_doubles(items)
    assert caught.value.place == items[1].file


def test_the_same_name_of_another_kind_or_namespace_is_no_double() -> None:
    text = MAP + "---\n" + MAP.replace("ConfigMap", "Secret") + "---\n" + MAP.replace("x}", "x, namespace: other}")
    rendering._refuse_doubles(manifest.parse(text, "ns"))


def test_the_resource_says_it(world: World) -> None:
    made = test_template.project(world, test_template.CAREFUL)
    (world.chart / "templates" / "more.yaml").write_text(test_template.CAREFUL)
    with operators.Operator(made, world.plane.kubeconfig):
        world.create("web", text="one")
        waiting.wait_until(lambda: "occurs twice" in world.message("web"))
        assert world.message("web").startswith("app/templates/more.yaml: ConfigMap")
        assert "here and in app/templates/config.yaml" in world.message("web")


def test_a_release_has_what_comes_last(world: World) -> None:
    """Helm 3 refuses it at an install, and writes them in order later; Helm 4 writes both at once, in any order."""
    made = world.project()
    (world.chart / "templates" / "z-more.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {text: last}\n"
    )
    names = [f"web-{number}" for number in range(8)]
    with operators.Operator(made, world.plane.kubeconfig) as operator:
        for name in names:
            world.create(name, text="one")
        for name in names:
            waiting.wait_until(functools.partial(world.is_ready, name), timeout=120, message=name)
            assert world.data(f"app-{name}") == {"text": "last"}
        assert "the chart makes an object twice" in operator.log
        assert "app/templates/z-more.yaml" in operator.log
        assert "already exists" not in operator.log or "look for it in two of its files" in operator.log


def test_helm_names_the_object_and_not_the_reason() -> None:
    said = b'Error: INSTALLATION FAILED: 1 error occurred:\n\t* configmaps "x" already exists\n\n'
    error = failures.explain(process.Completed(1, b"", said), "install the release ns/app-web", {})
    assert isinstance(error, errors.ApiError)
    assert error.retryable
    assert 'configmaps "x" already exists; unless' in str(error)
