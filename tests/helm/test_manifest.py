"""Manifests are read as Helm reads them: what the real Helm makes of tricky YAML, and what we make of it."""

from __future__ import annotations

import json
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lostromos_core import errors
from lostromos_helm.helm import goyaml
from lostromos_helm.objects import manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ABOUT = "apiVersion: v2\nname: app\nversion: 1.0.0\n"
ASK = '{{- range $path, $text := .Files.Glob "texts/*" }}\n{{ base $path }}: {{ $text | toString | fromYaml | toJson | quote }}\n{{- end }}\n'
WORDS = [
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "Y",
    "N",
    "Yes",
    "YES",
    "yEs",
    "True",
    "TRUE",
    "true",
    "tRue",
    "Off",
    "NO",
    "~",
    "null",
    "Null",
    "NULL",
    "nULL",
    "text",
    "v1",
    "1Gi",
    "10m",
    "1d",
    "True.",
    "1,000",
    "1.2.3",
]
INTEGERS = [
    "0",
    "00",
    "1",
    "+1",
    "-1",
    "-0",
    "+0",
    "0644",
    "0777",
    "-0777",
    "+0777",
    "0o644",
    "0O644",
    "-0o17",
    "+0o17",
    "0o8",
    "0o",
    "08",
    "019",
    "0_7",
    "0_8",
    "0o_7",
    "1_000",
    "1__0",
    "1_",
    "_1",
    "-_1",
    "+_1",
    "0x1F",
    "0X1F",
    "0x1f",
    "-0x1F",
    "+0x1F",
    "0x_1F",
    "0x",
    "0xG",
    "0b11",
    "0B11",
    "-0b11",
    "+0b11",
    "0b_1",
    "0b",
    "0b2",
    "0b1010_0111",
    "12:30:45",
    "1:20",
    "190:20:30",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "+18446744073709551615",
    "99999999999999999999999999",
    "0xFFFFFFFFFFFFFFFF",
    "0xFFFFFFFFFFFFFFFFF",
    "01777777777777777777777",
    "01777777777777777777777777",
    "123456789012345678",
]
FLOATS = [
    "1.",
    ".5",
    "-.5",
    "+.5",
    "+.5e3",
    "1e3",
    "1E3",
    "1e+3",
    "1e-3",
    "1.e3",
    "1.5e3",
    "0.0",
    "-0.0",
    "0e0",
    "00.5",
    "01.5",
    "08.5",
    "1e",
    "1e+",
    ".",
    "+",
    ".e3",
    "1e400",
    "-1e400",
    "1e-400",
    "1e21",
    "1e39",
    "-1e-50",
    "1e-46",
    "1_0.5",
    "1_000.5",
    "1e1_0",
    "685_230.15",
    "685.230_15e+03",
    "6.8523015e+5",
    "1__2.5",
    "._5",
    "5._",
    "0x1p4",
    "0x1.8",
    "1e3e3",
    "0.1",
    "1.10",
    "1234567890123456.5",
    "3.4028235e38",
    "99999.95",
    "999999.5",
    "1234567.0",
    "0.00001",
    "0.1234567891",
    ".inf",
    ".Inf",
    ".INF",
    "-.inf",
    "+.inf",
    ".nan",
    ".NaN",
    ".NAN",
    "inf",
    "nan",
    "Inf",
    "NaN",
    ".iNF",
]
OTHERS = ["2001-01-01", "2001-12-14t21:59:43.10-05:00", "2001-02-30", "<<", "=", "<<x"]
QUOTED = ["'0644'", '"yes"', "''", '""', "'~'", '"\\x41\\u00e9\\t"', "'it''s'", '"<<"', ""]
STRUCTURE = [
    "a: &x {b: 1}\nc: {<<: *x, d: 2}", "a: &x {b: 1}\nc: {b: 2, <<: *x}", "a: &x {b: 1}\nc: {<<: [*x, {e: 2, b: 3}], b: 2}", "c: {<<: [{e: 2, b: 3}, {b: 4}]}",
    "<<: {a: 1}\nb: 2", 'a: {"<<": {b: 1}}', "a: {<<: 1}", "a: {<<: [1]}", "a: &x 1\nb: *x", "&a a: 1\nb: *a", "a: [&x b, *x]", "a: *x", "a: &x [*x]",
    "a: 1\na: 2", "a: {x: 1, x: 2, y: 3}", "? a", "? [a]\n: b", "? {a: 1}\n: b", "{a: 1, b}", "[a]: 1",
    "a: |\n  x\n  ---\n  y\n", "a: >\n  x\n  y\n\n  z\n", "a: |+\n  b\n\n", "a: |-\n  b\n", "a: |2\n   b", "a: |\n  0644\n", "a: >-\n  yes\n", 'a: "x\n  y"', "a: b\n  c",
    "a: 1\r\nb: |\r\n  x\r\n  y\r\nc: no\r\n", "a: b #c\nd: e#f", "# only\n", "", "---\na: 1", "a: 1\n...\n", "%YAML 1.1\n---\na: yes",
    "a: !!str 1", "a: !!str yes", "a: !!int '1'", "a: !!int 0x10", "a: !!int x", "a: !!float 1", "a: !!float 1.5", "a: !!float 'yes'", "a: !!bool 'yes'", "a: !!bool 1",
    "a: !!null ''", "a: !!null x", "a: !foo b", "a: !!binary aGk=", "a: !!timestamp 2001-01-01", "a: !!set {b, c}", "a: !!omap [b: 1]", "a: !!merge <<",
    "a:\n- b\n- c", "a:\n  - b\n -c", "a: {b: 1,}", "a: [1,]", "a: {b:1}", 'a: {"b":1}', "a: [b: c]", "a: b: c", "a: [", "a: @b", "a: `b", "a: %b", "a: -b", "a: ?b", "a: :b",
    "\ta: 1", "a:\n\tb: 1", "a: b\n\tc", "a:\tb", "a: b\x85c", "a: b\u2028c", "\ufeffa: 1", "a: \x7f", "a: \u00e4\U0001f600", 'a: "\\ud83d\\ude00"', 'a: "\\e\\_\\N"', 'a: "\\q"',
]  # fmt: skip
"""Left out, since no chart can have them or it does not matter: ``! 12``, ``%YAML 1.2``, ``"\\/"`` and keys such as .inf."""


def read_by_helm(helm: Path, folder: Path, texts: Sequence[str]) -> list[Any]:
    """What Helm's own library makes of each text, None for an error. JSON has all numbers as floats there."""
    for name, content in {
        "Chart.yaml": ABOUT,
        "templates/x.yaml": ASK,
        **{f"texts/{number:05}": text for number, text in enumerate(texts)},
    }.items():
        path = folder / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    command = [str(helm), "template", "web", str(folder / "app")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    answers = yaml.load(done.stdout, Loader=yaml.BaseLoader)
    found = [json.loads(answers[f"{number:05}"]) for number in range(len(texts))]
    return [None if "Error" in answer else answer for answer in found]


def read_by_us(text: str) -> Any:
    try:
        return goyaml.read(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def as_json(value: Any) -> Any:
    """With all numbers as text of floats: True, 1 and 1.0 are equal to Python."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value if isinstance(value, bool | str | None) else f"number {float(value):.15g}".replace(" -0", " 0")


def differences(helm: Path, folder: Path, texts: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """What Helm and we read differently."""
    pairs = zip(texts, read_by_helm(helm, folder, texts), strict=True)
    return {text: (theirs, ours) for text, theirs in pairs if as_json(theirs) != as_json(ours := read_by_us(text))}


def test_scalars_are_read_as_helm_reads_them(helm: Path, tmp_path: Path) -> None:
    scalars = [*WORDS, *INTEGERS, *FLOATS, *OTHERS, *QUOTED]
    assert differences(helm, tmp_path, [f"k: {one}\n" for one in scalars]) == {}
    assert differences(helm, tmp_path / "flow", [f"k: [{one}, 1]\n" for one in scalars if one]) == {}


def test_keys_are_read_as_helm_reads_them(helm: Path, tmp_path: Path) -> None:
    """``y: 1`` is the key "true" to Helm, and ``0644: 1`` the key "420"."""
    odd = {".inf", "-.inf", "+.inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"}
    keys = [one for one in [*WORDS, *INTEGERS, *FLOATS, *OTHERS, *QUOTED] if one and one not in odd]
    texts = [f"{one}: v\n" for one in keys]
    found = differences(helm, tmp_path, texts)
    larger_than_int64 = [text for text, (theirs, _) in found.items() if theirs is None]
    assert set(found) == set(larger_than_int64)
    assert all(int(key) >= 1 << 63 for text in larger_than_int64 for key in goyaml.read(text))


def test_structure_is_read_as_helm_reads_it(helm: Path, tmp_path: Path) -> None:
    assert differences(helm, tmp_path, STRUCTURE) == {}


def test_random_scalars_are_read_as_helm_reads_them(helm: Path, tmp_path: Path) -> None:
    dice = random.Random(7)
    scalars = ["".join(dice.choices("0011234567890+-._eExXobBaAfF:~nNyY", k=dice.randint(1, 7))) for _ in range(3000)]
    plain = [f"k: {one}\n" for one in scalars if not one.endswith(":") and one != "-"]
    assert differences(helm, tmp_path, plain) == {}


def test_integers_are_exact_where_an_api_server_keeps_them_so() -> None:
    """Helm's own template functions make floats of them; what it sends does not."""
    assert goyaml.resolve("9223372036854775807") == (1 << 63) - 1
    assert type(goyaml.resolve("9007199254740993")) is int
    assert type(goyaml.resolve("18446744073709551616")) is float


def rendered(helm: Path, folder: Path, files: dict[str, str | bytes]) -> str:
    """The manifest that Helm makes of a chart of these templates."""
    for name, content in {"Chart.yaml": ABOUT, **files}.items():
        path = folder / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    command = [str(helm), "template", "web", str(folder / "app"), "--namespace=ns"]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()


def config_map(name: str, data: str = "{}", **metadata: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {json.dumps({'name': name, **metadata})}\ndata: {data}\n"


def refs(text: str) -> list[str]:
    return [str(item.ref) for item in manifest.parse(text, "ns")]


def test_each_document_of_each_file_is_an_object_with_its_file(helm: Path, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "templates/a.yaml": f"# first\n---\n\n{config_map('one')}--- # with a comment\n{config_map('two')}---\n---\n# nothing\n",
        "templates/with space.yaml": config_map("three"),
        "templates/none.yaml": "# only a comment\n---\n\n",
        "templates/windows.yaml": config_map("four", "{a: no}").replace("\n", "\r\n") + "---\r\n" + config_map("five").replace("\n", "\r\n"),
        "templates/NOTES.txt": "Source: nowhere",
        "charts/sub/Chart.yaml": ABOUT.replace("app", "sub"),
        "charts/sub/templates/b.yaml": config_map("six", namespace="other"),
    }  # fmt: skip
    found = {item.ref.name: item for item in manifest.parse(rendered(helm, tmp_path, files), "ns")}
    assert {name: item.file for name, item in found.items()} == {
        "one": "app/templates/a.yaml",
        "two": "app/templates/a.yaml",
        "three": "app/templates/with space.yaml",
        "four": "app/templates/windows.yaml",
        "five": "app/templates/windows.yaml",
        "six": "app/charts/sub/templates/b.yaml",
    }
    assert found["four"].data["data"] == {"a": False}
    assert {name: item.ref.namespace for name, item in found.items() if name in {"one", "six"}} == {"one": "ns", "six": "other"}  # fmt: skip


def test_what_looks_like_a_separator_or_a_source_within_a_text_is_none(helm: Path, tmp_path: Path) -> None:
    block = "\n  a: |\n    ---\n    # Source: evil.yaml\n    kind: Secret\n    ---\n  b: |-\n    x: yes\n"
    text = rendered(helm, tmp_path, {"templates/a.yaml": config_map("one", block)})
    (item,) = manifest.parse(text, "ns")
    assert (item.file, item.ref.kind) == ("app/templates/a.yaml", "ConfigMap")
    assert item.data["data"] == {"a": "---\n# Source: evil.yaml\nkind: Secret\n---\n", "b": "x: yes"}


def test_anchors_and_merge_keys_reach_every_place(helm: Path, tmp_path: Path) -> None:
    data = "\n  base: &b {x: on, y: '2'}\n  more: {<<: *b, z: 0x10}\n"
    (item,) = manifest.parse(rendered(helm, tmp_path, {"templates/a.yaml": config_map("one", data)}), "ns")
    assert item.data["data"] == {"base": {"x": True, "true": "2"}, "more": {"x": True, "true": "2", "z": 16}}


def test_lists_are_the_objects_in_them() -> None:
    one, two = ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in ("one", "two"))
    inner = {"apiVersion": "v1", "kind": "List", "items": [two]}
    assert refs(json.dumps({"apiVersion": "v1", "kind": "List", "items": [one, inner]})) == ["ConfigMap ns/one", "ConfigMap ns/two"]  # fmt: skip
    bare = {"metadata": {"name": "three"}}
    found = manifest.parse(json.dumps({"apiVersion": "v1", "kind": "ConfigMapList", "items": [one, bare]}), "ns")
    assert [str(item.ref) for item in found] == ["ConfigMap ns/one", "ConfigMap ns/three"]
    assert found[1].data == {"apiVersion": "v1", "kind": "ConfigMap", **bare}


@pytest.mark.parametrize("items", ["[]", "null", ""])
def test_a_list_of_nothing_is_nothing(items: str) -> None:
    """As a loop without a round leaves it."""
    assert refs(f"apiVersion: v1\nkind: List\nitems: {items}\n") == []


@pytest.mark.parametrize("text", ["", "---\n", "# a comment\n", "---\n# a comment\n---\n\n---\n", "null\n", "---\n~\n"])
def test_documents_without_content_are_none(text: str) -> None:
    assert manifest.parse(text, "ns") == []


@pytest.mark.parametrize(
    "text",
    ["a: 1", "[]", "text", "kind: A\nmetadata: {name: a}", "apiVersion: v1\nmetadata: {name: a}", "apiVersion: v1\nkind: A", "apiVersion: v1\nkind: A\nmetadata: {}",
     "apiVersion: v1\nkind: A\nmetadata: {name: 1}", "apiVersion: v1\nkind: A\nmetadata: text", "apiVersion: 1\nkind: A\nmetadata: {name: a}", "kind: List\nitems: [1]"],
)  # fmt: skip
def test_what_is_no_object_is_an_error_with_its_file(text: str) -> None:
    with pytest.raises(
        errors.RenderError, match=r"is not an object with apiVersion, kind and metadata\.name"
    ) as caught:
        manifest.parse(
            f"---\n# Source: app/templates/a.yaml\n{config_map('one')}---\n# Source: app/templates/b.yaml\n{text}\n",
            "ns",
        )
    assert caught.value.place == "app/templates/b.yaml"


@pytest.mark.parametrize(
    "text", ["a: [", "a: *x", "a: &x [*x]", "a: .inf", "a: .nan", "~: 1", "a: b: c", "a: !!int x", "{" * 5000, "\ta: 1"]
)
def test_what_is_no_yaml_is_an_error_with_its_file(text: str) -> None:
    with pytest.raises(errors.RenderError, match="not valid YAML: ") as caught:
        manifest.parse(f"---\n# Source: app/templates/b.yaml\n{text}\n", "ns")
    assert caught.value.place == "app/templates/b.yaml"
    assert len(caught.value.message) < 250


def test_digests_tell_whether_an_object_is_as_it_was() -> None:
    text = "---\n# Source: a.yaml\n" + config_map("one", "{a: b}")
    digests = [manifest.parse(one, "ns")[0].digest for one in (text, f"\n{text}\n\n", text.replace("b}", "c}"), text)]
    assert digests[0] == digests[1] == digests[3] != digests[2]
