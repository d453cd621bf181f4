"""Places of a chart where a value can become structure, or is rendered as a template."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from lostromos_core import errors
from lostromos_helm.charts import chart_files, lint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("  text: {{ .Values.text }}", True),
        ("- {{ .Values.text }}", True),
        ("  text: {{- .Values.a.b -}}", True),
        ("  text: {{ $.Values.text }}", True),
        ("  text: {{ .Values.text | trunc 63 }}", True),
        ('  text: {{ .Values.text | default "x" }}', True),
        ('  text: {{ default "x" .Values.text | trim }}', True),
        ('  text: {{ printf "%s-x" .Values.text }}', True),
        ("  text: {{ .Values.text | toString }}", True),
        ("  url: https://{{ .Values.host }}/", True),
        ("{{ .Values.more }}", True),
        ("  text: {{ .Values.text | quote }}", False),
        ('  text: "{{ .Values.text }}"', False),
        ("  text: '{{ .Values.text }}'", False),
        ('  url: "https://{{ .Values.host }}/"', False),
        ("  text: {{ toYaml .Values.text }}", False),
        ("  {{- toYaml .Values.text | nindent 4 }}", False),
        ("  size: {{ .Values.size | int64 }}", False),
        ("  text: {{ .Release.Name }}", False),
        ('  text: {{ include "app.name" .Values }}', False),
        ("  {{- if .Values.text }}", False),
        ("  {{- range .Values.extra }}", False),
        ("  {{- $x := .Values.text }}", False),
        ("  {{/* .Values.text */}}", False),
        ("  # {{ .Values.text }}", True),
    ],
)
def test_values_without_quotes_are_seen(tmp_path: Path, line: str, *, found: bool) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.yaml").write_text(f"data:\n{line}\n")
    assert lint.look(tmp_path).unquoted == (("templates/a.yaml:2",) if found else ())


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("  text: {{ tpl .Values.text . }}", True),
        ("  text: {{ tpl .Values.text $ | quote }}", True),
        ("  text: {{- tpl (toYaml .Values.text) . | nindent 2 }}", True),
        ("{{- tpl (.value | toYaml) .context }}", True),
        ("  text: {{ .Values.text | tpl . }}", True),
        ("{{ $x := tpl $value $ }}", True),
        ('  text: {{ tpl "{{ .Release.Name }}" . }}', False),
        ('  text: {{ tpl (.Files.Get "a.txt") . }}', False),
        ("  text: {{ .Values.tpl | quote }}", False),
        ("  text: {{ .Values.text | quote }} # tpl", False),
    ],
)
def test_values_that_are_rendered_as_templates_are_seen(tmp_path: Path, line: str, *, found: bool) -> None:
    (tmp_path / "templates").mkdir()
    for name in ("a.yaml", "_helpers.tpl", "NOTES.txt"):
        (tmp_path / "templates" / name).write_text(f"data:\n{line}\n")
    names = ("NOTES.txt", "_helpers.tpl", "a.yaml")
    assert lint.look(tmp_path).rendered == (tuple(f"templates/{name}:2" for name in names) if found else ())


def test_subcharts_are_looked_at_in_folders_and_in_archives(tmp_path: Path) -> None:
    for name in ("common", "packed"):
        folder = tmp_path / "app" / "charts" / name / "templates"
        folder.mkdir(parents=True)
        (folder / "_tpl.tpl").write_text("{{ tpl .value .context }}\n")
    packed = tmp_path / "app" / "charts" / "packed"
    with tarfile.open(tmp_path / "app" / "charts" / "packed-1.0.0.tgz", "w:gz") as archive:
        archive.add(packed, "packed")
    (packed / "templates" / "_tpl.tpl").unlink()
    places = ("charts/common/templates/_tpl.tpl:1", "charts/packed-1.0.0.tgz/templates/_tpl.tpl:1")
    assert lint.look(tmp_path / "app").rendered == places
    with tarfile.open(tmp_path / "app.tgz", "w:gz") as archive:
        archive.add(tmp_path / "app", "app")
    assert lint.look(tmp_path / "app.tgz").rendered == places


def test_an_archive_that_grows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_files, "LARGEST", 100_000)
    (tmp_path / "large").write_bytes(b"\0" * 200_000)
    with tarfile.open(tmp_path / "app.tgz", "w:gz") as archive:
        archive.add(tmp_path / "large", "app/large")
    with pytest.raises(errors.ConfigError, match="larger than 100,000 bytes when unpacked"):
        lint.look(tmp_path / "app.tgz")
