"""Small promises: what is told when something is amiss, and what is not."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from lostromos_core import errors, interfaces
from lostromos_helm import making, renderer, settings
from lostromos_helm.helm import failures
from lostromos_helm.objects import contents
from lostromos_helm.release import steps
from tests.helm import test_steps

APP = Path(__file__).with_name("charts") / "app"
SECRET = "hunter2-s3cret"


def test_a_cache_that_cannot_be_written_is_told_and_another_one_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with structlog.testing.capture_logs() as logs:
        found = settings.writable(tmp_path / "file" / "cache")
    assert found.is_dir()
    assert "the cache for charts cannot be written" in logs[0]["event"]
    assert settings.writable(tmp_path / "cache") == tmp_path / "cache"


class Hidden:
    """A renderer of values that holds a secret."""

    produces = interfaces.Values

    def render(self, *_: Any) -> interfaces.Values:
        return interfaces.Values({"a": 1}, hidden=frozenset({SECRET}))


async def test_what_helm_prints_and_is_no_yaml_is_told_without_secrets(tmp_path: Path) -> None:
    program = tmp_path / "helm"
    (tmp_path / "printed").write_text(f"---\n# Source: app/templates/a.yaml\na: !!int {SECRET}\n")
    program.write_text(f"#!/bin/sh\ncase $1 in version) echo v3.17.0;; *) cat {tmp_path}/printed;; esac\n")
    program.chmod(0o755)
    made = renderer.HelmTemplateRenderer(
        str(APP), values=Hidden(), kinds=["ConfigMap"], binary=str(program), cache=str(tmp_path / "cache")
    )
    await made.start(interfaces.Runtime("app", None))
    ref = interfaces.ObjectRef("example.com/v1", "WebApp", "ns", "web")
    with pytest.raises(errors.RenderError, match="not valid YAML") as caught:
        await made.render(interfaces.Resource("ns/web", ref, "", {}), interfaces.Context())
    assert SECRET not in str(caught.value)
    assert caught.value.place == "app/templates/a.yaml"


def raising(error: Exception) -> Any:
    async def run(*_: Any, **__: Any) -> Any:
        raise error

    return run


@pytest.mark.parametrize("error", [errors.ProcessError("what Helm says"), failures.NameTakenError("taken")])
async def test_what_helm_says_counts_and_not_that_the_releases_cannot_be_read(error: Exception) -> None:
    refresh = raising(errors.ConnectionFailed("cannot read the releases"))
    parts: Any = dict.fromkeys(("care", "remove", "seal", "whose", "fitting"))
    known: Any = types.SimpleNamespace(refresh=refresh)
    run: Any = types.SimpleNamespace(upgrade=raising(error))
    kube: Any = None
    maker = making.Maker(kube, "app", settings.HelmOptions(), known=known, run=run, **parts)
    plan: Any = types.SimpleNamespace(place=("ns", "app-web"))
    with pytest.raises(type(error), match=str(error)):
        await maker._run(plan, steps.Step.UPGRADE, [test_steps.revision("deployed")], contents.Before({}, {}))
