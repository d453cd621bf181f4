"""Charts in folders: whatever the folder is called and whatever lies in it, Helm makes the same of our copy."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from lostromos_helm.charts import chart_cache, references
from tests.helm import test_charts

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "values.yaml": "a: b\n",
    ".helmignore": "ignored/\n.secret\n",
    ".env": "A=1",
    ".hidden/deep/file": "deep",
    "files/.dot": "dot",
    "ignored/file": "not there",
    ".secret": "not there",
    "templates/.swap.yaml": "{{ fail `an editor's file` }}",
    "templates/a.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
        "{{- range $path, $content := .Files }}\n  {{ $path | quote }}: {{ $content | toString | quote }}\n{{- end }}\n"
    ),
}


def write(folder: Path) -> None:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def template(helm: Path, chart: Path) -> str:
    return subprocess.run([helm, "template", "x", chart], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("named", [".", "../app", "./", "inner/..", "../a link", "../with a space", "../.hidden"])
async def test_helm_makes_the_same_of_our_copy(helm: Path, tmp_path: Path, named: str) -> None:
    base = tmp_path / "app"
    write(base)
    (base / "inner").mkdir()
    (tmp_path / "a link").symlink_to(base)
    for name in ("with a space", ".hidden"):
        write(tmp_path / name)
    reference = references.parse(named, base)
    async with test_charts.cache(helm, tmp_path / "work") as found:
        chart = await found.get(reference)
    ours = template(helm, chart.path)
    assert ours == template(helm, base / named)
    assert '".env"' in ours
    assert '".hidden/deep/file"' in ours
    assert "not there" not in ours


async def test_the_cache_may_lie_in_the_charts_own_folder(helm: Path, tmp_path: Path) -> None:
    write(tmp_path)
    async with test_charts.cache(helm, tmp_path / "work") as found:
        first = await found.get(references.parse(".", tmp_path))
    async with test_charts.cache(helm, tmp_path / "work") as found:
        again = await found.get(references.parse(".", tmp_path))
        assert first == again
        assert not found._is_new(tmp_path, found._signature(tmp_path), again, references.parse(".", tmp_path))
    assert (again.path / "Chart.yaml").exists()
    assert not (again.path / "work").exists()


async def test_what_version_control_keeps_and_doubles_of_a_mounted_config_map_are_left_out(
    helm: Path, tmp_path: Path
) -> None:
    write(tmp_path / "app")
    async with test_charts.cache(helm, tmp_path / "work") as found:
        before = (await found.get(references.parse("app", tmp_path))).digest
        for name in (".git", ".hg", ".svn", "..data", "..2026_11_25"):
            (tmp_path / "app" / name).mkdir()
            (tmp_path / "app" / name / "file").write_text("x")
        assert found._take(tmp_path / "app").digest == before
        assert isinstance(found, chart_cache.Charts)
