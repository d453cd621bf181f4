"""Controllers of one kind that share its resources by a label: what one of them says stays when another one lets go."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests import operators
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

FAILS = operators.CONFIG_MAP.replace("resource.spec.text", "resource.spec.nothing.text")


def made(folder: Path, kind: crds.CustomKind, template: str) -> operators.Project:
    project = operators.Project(folder)
    controllers = []
    for app, text in (("one", operators.CONFIG_MAP), ("two", template)):
        (folder / app).mkdir()
        (folder / app / "a.yaml").write_text(text)
        controller = operators.controller(kind, name=app, watch={"labels": f"app={app}"})
        controllers.append({**controller, "render": {"jinja": {"templates": app}}})
    project.write({"controllers": controllers})
    return project


@pytest.mark.parametrize("template", [FAILS, operators.CONFIG_MAP], ids=["fails", "works"])
@pytest.mark.parametrize("how", ["relabelled", "created again"])
def test_what_another_controller_has_said_stays(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
    template: str,
    how: str,
) -> None:
    reason = "RenderFailed" if template == FAILS else "Applied"

    def shows(name: str, reason: str) -> bool:
        return operators.condition(api.get(crd.path(namespace, name))).get("reason") == reason

    def move(name: str) -> None:
        """Let the first controller make a resource ready, and give it to the second one."""
        path, other = crd.path(namespace, name), {"app": "two"}
        api.create(crd.path(namespace), crd.manifest(name, spec={"text": "1"}, labels={"app": "one"}))
        waiting.wait_until(lambda: shows(name, "Applied"))
        if how == "relabelled":
            api.patch(path, {"metadata": {"labels": other}, "spec": {"text": "2"}})
        else:
            api.delete(path)
            waiting.wait_until(lambda: not api.exists(path))
            api.create(crd.path(namespace), crd.manifest(name, spec={"text": "2"}, labels=other))
        # What the first one made goes by garbage collection, which looks for new kinds every half a minute.
        waiting.wait_until(lambda: shows(name, reason), timeout=120)

    names = ["web-0", "web-1", "web-2"]
    with operators.Operator(made(tmp_path, crd, template), control_plane.kubeconfig) as operator:
        for name in names:
            move(name)
        time.sleep(2)
        assert [name for name in names if not shows(name, reason)] == []
        assert "a bug" not in operator.log
