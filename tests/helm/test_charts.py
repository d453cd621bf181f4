"""Charts from where they really come from: a repository over HTTP and an OCI registry; fetched once, checked, chosen."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.server
import re
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors
from lostromos_helm.charts import chart_cache, references
from lostromos_helm.helm import binary
from tests.controlplane import binaries, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helm.conftest import World

APP = Path(__file__).with_name("charts") / "app"


def package(helm: Path, folder: Path, version: str) -> Path:
    """The chart as an archive, in some version."""
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [helm, "package", APP, f"--version={version}", f"--destination={folder}"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / f"app-{version}.tgz"


@pytest.fixture
def repository(helm: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of a repository that has the chart in two versions."""
    folder = tmp_path / "repository"
    for version in ("1.0.0", "1.1.0"):
        package(helm, folder, version)
    subprocess.run([helm, "repo", "index", folder], check=True, capture_output=True)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def registry(helm: Path, tmp_path: Path) -> Iterator[str]:
    """The reference of an OCI registry's folder that has the chart in one version."""
    archive = package(helm, tmp_path / "packages", "1.0.0")
    with subprocess.Popen([binaries.registry(), "-port=0"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = re.search(r"serving on port (\d+)", process.stderr.readline())
        assert port is not None
        drain = threading.Thread(target=process.stderr.read)
        drain.start()
        where = f"oci://localhost:{port[1]}/charts"
        subprocess.run([helm, "push", archive, where, "--plain-http"], check=True, capture_output=True)
        yield where
        process.terminate()
        drain.join()


@contextlib.asynccontextmanager
async def cache(helm: Path, folder: Path, **access: Any) -> Any:
    """Charts, as an applier has them."""
    runner = binary.Helm(None, binary=str(helm), home=folder / "home", processes=2, timeout=30)
    await runner.start()
    yield chart_cache.Charts(runner, folder / "charts", chart_cache.Access(**access), lambda: None)


async def test_a_chart_of_a_repository_is_fetched_once(helm: Path, repository: str, tmp_path: Path) -> None:
    reference = references.parse(f"{repository}/app:1.1.0", tmp_path)
    async with cache(helm, tmp_path) as found:
        both = await asyncio.gather(found.get(reference), found.get(reference))
    assert both[0] == both[1]
    assert (both[0].name, both[0].version, both[0].app_version) == ("app", "1.1.0", "7")
    shutil.rmtree(tmp_path / "repository")
    async with cache(helm, tmp_path) as found:
        assert await found.get(reference) == both[0], "another process has it from the cache"


@pytest.mark.parametrize("note", ["", "{", "[]", '{"digest": ', "{}"])
async def test_a_damaged_cache_is_filled_again(helm: Path, repository: str, tmp_path: Path, note: str) -> None:
    reference = references.parse(f"{repository}/app:1.1.0", tmp_path)
    async with cache(helm, tmp_path) as found:
        chart = await found.get(reference)
    (noted,) = (tmp_path / "charts" / "references").iterdir()
    noted.write_text(note)
    async with cache(helm, tmp_path) as found:
        assert await found.get(reference) == chart
        shutil.rmtree(tmp_path / "charts")
        assert await found.get(reference) == chart
        assert chart.path.exists()
        chart.path.unlink()
        assert await found.get(reference) == chart
        assert chart.path.exists()


async def test_a_folder_is_taken_again_when_somebody_cleaned_the_cache(helm: Path, tmp_path: Path) -> None:
    async with cache(helm, tmp_path) as found:
        chart = await found.get(references.Reference(path=APP))
        shutil.rmtree(tmp_path / "charts")
        assert await found.get(references.Reference(path=APP)) == chart
        assert (chart.path / "Chart.yaml").exists()


async def test_a_helm_that_brings_nothing_is_an_error_that_says_so(tmp_path: Path, repository: str) -> None:
    program = tmp_path / "nothing"
    program.write_text("#!/bin/sh\necho v4.0.0\n")
    program.chmod(0o755)
    async with cache(program, tmp_path) as found:
        with pytest.raises(errors.ProcessError, match=r"fetch the chart .*: helm fetched 0 archives"):
            await found.get(references.parse(f"{repository}/app:1.1.0", tmp_path))


async def test_a_chart_of_a_registry_is_fetched_and_its_digest_checked(
    helm: Path, registry: str, tmp_path: Path
) -> None:
    async with cache(helm, tmp_path, plain_http=True) as found:
        chart = await found.get(references.parse(f"{registry}/app:1.0.0", tmp_path))
    archive = tmp_path / "packages" / "app-1.0.0.tgz"
    assert chart.digest == hashlib.sha256(archive.read_bytes()).hexdigest()
    pinned = references.parse(f"{registry}/app:1.0.0@sha256:{chart.digest}", tmp_path)
    async with cache(helm, tmp_path / "other", plain_http=True) as found:
        assert (await found.get(pinned)).digest == chart.digest
        wrong = references.parse(f"{registry}/app:1.0.0@sha256:{'0' * 64}", tmp_path)
        with pytest.raises(errors.ConfigError, match=f"has the digest sha256:{chart.digest}"):
            await found.get(wrong)
        with pytest.raises(errors.ProcessError, match=r"fetch the chart .*/app:9\.9\.9"):
            await found.get(references.parse(f"{registry}/app:9.9.9", tmp_path))


async def test_an_archive_and_a_folder_are_described_alike(helm: Path, tmp_path: Path) -> None:
    archive = package(helm, tmp_path / "packages", "1.0.0")
    async with cache(helm, tmp_path) as found:
        one, other = [await found.get(references.Reference(path=path)) for path in (archive, APP)]
    assert (one.name, one.version, one.app_version) == (other.name, other.version, other.app_version)
    assert one.path != archive, "it is a copy, that nobody changes"
    assert (other.path / "Chart.yaml").read_text() == (APP / "Chart.yaml").read_text()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: None, "does not exist"),
        (lambda path: path.mkdir(), "has no Chart.yaml"),
        (lambda path: path.write_bytes(b"no archive"), "is not a readable archive"),
        (lambda path: tarfile.open(path, "w:gz").close(), "so it is not a chart"),
    ],
)
async def test_what_is_no_chart_is_an_error_that_says_so(helm: Path, tmp_path: Path, make: Any, says: str) -> None:
    path = tmp_path / "chart"
    make(path)
    async with cache(helm, tmp_path) as found:
        with pytest.raises(errors.ConfigError, match=says):
            await found.get(references.Reference(path=path))


async def test_a_chart_is_read_as_helm_reads_it(tmp_path: Path, helm: Path) -> None:
    folder = tmp_path / "app"
    shutil.copytree(APP, folder)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\nappVersion: 2024-01-01\n")
    (folder / "values.yaml").write_text("number: .inf")
    (folder / "values.schema.json").write_text("{")
    async with cache(helm, tmp_path) as known:
        chart = await known.get(references.Reference(path=folder))
    assert chart.app_version == "2024-01-01", "and the values are left to Helm"


def test_an_operator_warns_of_values_without_quotes(world: World) -> None:
    operator = world.operator()
    more = world.chart / "templates" / "more.yaml"
    more.write_text("{{ if .Values.more }}\n" + more.read_text() + "\n# {{ .Values.more }}\n{{ end }}\n")
    (world.chart / "templates" / "tpl.yaml").write_text("{{ if .Values.more }}{{ tpl .Values.more . }}{{ end }}\n")
    with operator:
        world.create("web", text="one")
        operator.says("the chart writes values without quotes")
        operator.says("templates/more.yaml:")
        operator.says("the chart renders values as templates")
        operator.says("templates/tpl.yaml:1")


def test_resources_choose_among_the_charts_that_are_allowed(world: World, repository: str) -> None:
    mine = {"annotations": {"lostromos.dev/chart": f"{repository}/app:1.1.0"}}
    with world.operator(allow=[f"{repository}/app:1.*"]):
        world.create("web", text="one")
        world.api.create(world.crd.path(world.namespace), world.crd.manifest("mine", spec={"text": "two"}, **mine))
        waiting.wait_until(lambda: world.is_ready("web") and world.is_ready("mine"), timeout=30)
        assert (world.release("web")["version"], world.release("mine")["version"]) == ("1.0.0", "1.1.0")
        chosen = {"metadata": {"annotations": {"lostromos.dev/chart": f"{repository}/app:2.0.0"}}}
        world.api.patch(world.path("mine"), chosen)
        waiting.wait_until(lambda: "is not allowed" in world.message("mine"))
        assert world.data("app-mine") == {"text": "two"}
