"""What a chart's text shows: whether Helm may wait for it, what it asks, and what it makes anew each time."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from lostromos_helm.charts import traits

if TYPE_CHECKING:
    from pathlib import Path


def chart(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / "chart" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "chart"


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("{{ randAlphaNum 10 }}", True),
        ("{{- $x := randAlpha 10 -}}", True),
        ("{{ .Values.password | default (randNumeric 8) | quote }}", True),
        ("{{ uuidv4 }}", True),
        ("{{ now | date `2006` }}", True),
        ('{{ $ca := genCA "ca" 365 }}', True),
        ('{{ genSignedCertWithKey "a" nil nil 1 $ca $key }}', True),
        ('{{ htpasswd "a" "b" }}', True),
        ("{{ include `x` . |\n    bcrypt }}", True),
        ("{{ .Values.now }}", False),
        ("{{ $now }}", False),
        ("{{ .Values.randAlphaNum }}", False),
        ("use randAlphaNum for it", False),
        ('{{ derivePassword 1 "long" "a" "b" "c" }}', False),
        ("{{ .Values.a | sha256sum }}", False),
    ],
)
def test_functions_whose_result_is_another_one_each_time(tmp_path: Path, line: str, changes: bool) -> None:
    found = traits.of(chart(tmp_path, **{"templates/a.yaml": f"a: b\n{line}\n"}))
    assert (bool(found.changing), found.changes(b"{}")) == (changes, changes)
    last = 2 + ("\n    " in line)
    assert found.changing == ((f"templates/a.yaml:{last}",) if changes else ())


def test_values_that_are_rendered_may_call_them(tmp_path: Path) -> None:
    found = traits.of(chart(tmp_path, **{"templates/_helpers.tpl": "{{ tpl .Values.a . }}"}))
    assert (found.changes(b'{"a": "b"}'), found.changes(b'{"a": "{{ uuidv4 }}"}')) == (False, True)


@pytest.mark.parametrize(
    ("file", "text", "field"),
    [
        ("templates/job.yaml", "annotations: {helm.sh/hook: pre-install}", "hooks"),
        ("templates/tests/job.yaml", '"helm.sh/hook": test', "hooks"),
        ("charts/sub/templates/job.yaml", "helm.sh/hook: pre-install", "hooks"),
        ("templates/job.yaml", "spec: {ttlSecondsAfterFinished: 10}", "expires"),
        ("crds/a.yaml", "kind: CustomResourceDefinition", "definitions"),
        ("charts/sub/crds/a.yaml", "kind: CustomResourceDefinition", "definitions"),
        ("templates/_helpers.tpl", '{{ .Capabilities.APIVersions.Has "example.com/v1" }}', "asks"),
        ("templates/_helpers.tpl", '{{ lookup "v1" "Secret" "a" "b" }}', "looks"),
    ],
)
def test_what_decides_how_helm_is_called(tmp_path: Path, file: str, text: str, field: str) -> None:
    found = traits.of(chart(tmp_path, **{file: text, "values.yaml": "helm.sh/hook: APIVersions lookup"}))
    on = [name for name in ("hooks", "expires", "definitions", "asks", "looks") if getattr(found, name)]
    assert on == [field]
    assert found.groups == (frozenset({"example.com"}) if field == "asks" else frozenset())


@pytest.mark.parametrize("file", ["templates/crds/a.yaml", "docs/crds.md", "values.yaml", "README.md"])
def test_what_is_no_definition(tmp_path: Path, file: str) -> None:
    assert not traits.of(chart(tmp_path, **{file: "kind: CustomResourceDefinition", "Chart.yaml": ""})).definitions


def test_subcharts_that_are_packed_count(tmp_path: Path) -> None:
    made = chart(tmp_path, **{"Chart.yaml": ""})
    (made / "charts").mkdir()
    with tarfile.open(made / "charts" / "sub-1.0.0.tgz", "w:gz") as archive:
        for name in ("sub/crds/a.yaml", "sub/templates/b.yaml"):
            member = tarfile.TarInfo(name)
            content = b"{{ uuidv4 }}"
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    found = traits.of(made)
    assert found.definitions
    assert found.changing == ("charts/sub-1.0.0.tgz/templates/b.yaml:1",)
