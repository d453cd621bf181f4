"""Values that do not fit a chart's schema: what the real Helm 3 and 4 say of them, in our words and without the value."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces, process
from lostromos_helm.charts import chart_cache
from lostromos_helm.helm import failures, misfits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECRET = "s3cr3t"
PROPERTIES = {
    "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}, "c": {"pattern": "^z'"}, "d": {"maxLength": 2}}
}
DEEP = {"properties": {"l": {"items": {"properties": {"n": {"type": ["integer", "null"]}}}}}}
CLOSED = {"properties": {"image": {}}, "patternProperties": {"^x-": {}}, "additionalProperties": False}
SEE = "; see the chart's values.schema.json"
DOTS = {"properties": {"a.b/c~d": {"properties": {"e'f": {"type": "integer"}}}}}
SAID: dict[str, tuple[Any, Any, str, str]] = {  # what Helm 3.17 and later ones lead to
    "type": (PROPERTIES, {"a": SECRET}, "values.a: must be of type integer; see", ""),
    "one of types": (DEEP, {"l": [{"n": 1}, {"n": SECRET}]}, "values.l.1.n: must be of type integer or null; see", "values.l.1.n: must be of type null or integer; see"),
    "enum": (PROPERTIES, {"b": SECRET}, "values.b: must be one of x, y; see", ""),
    "pattern": (PROPERTIES, {"c": SECRET}, "values.c: breaks the rule pattern: ^z'; see", ""),
    "length": (PROPERTIES, {"d": SECRET}, "values.d: string length must be less than or equal to 2; see", "values.d: breaks the rule maxLength: 2; see"),
    "const": ({"properties": {"a": {"const": 1}}}, {"a": SECRET}, "values.a: must be 1; see", ""),
    "required": ({"required": ["c", "b", "a"]}, {"a": SECRET}, "values.(the whole): needs b, c", ""),
    "required below": ({"properties": {"a": {"required": ["b"]}}}, {"a": {"c": SECRET}}, "values.a: needs b; see", ""),
    "unknown key": (CLOSED, {"imag": SECRET, "x-1": 1}, "values.(the whole): has unknown keys: imag; see", ""),
    "alternatives": ({"properties": {"a": {"anyOf": [{"type": "integer"}, {"maxLength": 1}]}}}, {"a": SECRET}, "values.a: breaks the rule anyOf", ""),
    "not": ({"properties": {"a": {"not": {"type": "string"}}}}, {"a": SECRET}, "values.a: breaks the rule not", ""),
    "unique": ({"properties": {"a": {"uniqueItems": True}}}, {"a": [SECRET, SECRET]}, "values.a: breaks the rule uniqueItems", ""),
    "a number": ({"properties": {"a": {"maximum": 10}}}, {"a": 53637233}, "values.a: must be less than or equal to 10; see", "values.a: breaks the rule maximum: 10; see"),
    "names of keys": ({"properties": {"a": {"propertyNames": {"maxLength": 2}}}}, {"a": {SECRET: 1}}, "values.a: breaks the rule propertyNames", "values.(the whole): breaks the rule propertyNames"),
    "a condition": ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": SECRET}, "values.(the whole): ", ""),
    "several": (PROPERTIES, {"b": SECRET, "a": SECRET, "c": SECRET}, "values.a: must be of type integer, and 2 more; see", ""),
    "keys with other characters": (DOTS, {"a.b/c~d": {"e'f": SECRET}}, "values.a.b/c~d.e'f: must be of type integer; see", ""),
    "draft 7, items by place": (
        {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"items": [{"type": "integer"}]}}}, {"a": [SECRET]}, "values.a.0: must be of type", "",
    ),
}  # fmt: skip


class Fields:
    """Knows where each value comes from: the field of the resource's spec."""

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:
        return interfaces.Place("", 0, ".".join(map(str, ("resource.spec", *path))))


class Template:
    """Knows where each value comes from: one line of a template."""

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:  # noqa: ARG002
        return interfaces.Place("values.yaml", 3, "vars.x")


def ask(
    helm: Path, folder: Path, schema: Any, tree: Mapping[str, Any], *, sub: Any = None, defaults: str = ""
) -> process.Completed:
    """What the real Helm says of values for a chart with a schema, and perhaps a subchart with another one."""
    for path, its in (
        (folder / "app", schema),
        *([(folder / "app" / "charts" / "sub", sub)] if sub is not None else []),
    ):
        path.mkdir(parents=True)
        (path / "Chart.yaml").write_text(f"apiVersion: v2\nname: {path.name}\nversion: 1.0.0\n")
        (path / "values.schema.json").write_text(json.dumps(its))
        (path / "values.yaml").write_text(defaults if path.name == "sub" else "")
    command = [str(helm), "template", "web", str(folder / "app"), "--values=-"]
    done = subprocess.run(command, input=json.dumps(tree).encode(), capture_output=True, check=False, timeout=60)
    return process.Completed(done.returncode, done.stdout, done.stderr)


def problem(
    helm: Path, folder: Path, schema: Any, tree: Mapping[str, Any], source: Any = None, **more: Any
) -> errors.RenderError | None:
    """The error that comes of it."""
    done = ask(helm, folder, schema, tree, **more)
    if not done.status:
        return None
    assert failures.is_misfit(done)
    found = failures.explain(done, "make it", {}, interfaces.Values(tree, source=source), "app")
    assert isinstance(found, errors.RenderError)
    return found


@pytest.mark.parametrize("case", SAID)
def test_what_does_not_fit_is_named_and_its_value_is_not(case: str, helm: Path, tmp_path: Path) -> None:
    schema, tree, *said = SAID[case]
    found = problem(helm, tmp_path, schema, tree)
    assert found is not None
    assert any(one and found.message.startswith(one) for one in said), found.message
    assert SECRET not in found.message
    assert "53637233" not in found.message
    assert found.message.endswith(SEE)


def test_the_field_that_fed_a_value_is_named(helm: Path, tmp_path: Path) -> None:
    found = problem(helm, tmp_path / "one", PROPERTIES, {"a": "x"}, Fields())
    assert found is not None
    assert found.message.startswith("values.a: must be of type integer (from resource.spec.a); ")
    assert found.place == ""
    found = problem(helm, tmp_path / "two", PROPERTIES, {"a": "x"}, Template())
    assert found is not None
    assert "(from vars.x)" in found.message
    assert found.place == "values.yaml:3"


def test_a_key_that_resembles_an_unknown_one_is_named(helm: Path, tmp_path: Path) -> None:
    schema = {"properties": {"l": {"items": CLOSED}}}
    done = ask(helm, tmp_path, schema, {"l": [{"imag": 1}]})
    chart = chart_cache.Chart(tmp_path / "app", "", "app", "", "")
    found = failures.explain(done, "make it", {}, interfaces.Values({"l": [{"imag": 1}]}), "app", chart.keys)
    assert "values.l.0: has unknown keys: imag; did you mean 'image'?" in str(found)
    paths: list[list[str | int]] = [[], ["l", 3], ["l"], ["x", "y"], [0]]
    assert [list(chart.keys(path)) for path in paths] == [["l"], ["image"], [], [], []]


def test_the_field_of_a_subchart_is_named(helm: Path, tmp_path: Path) -> None:
    found = problem(helm, tmp_path, {}, {"sub": {"l": [{"n": SECRET}]}}, Fields(), sub=DEEP)
    assert found is not None
    assert found.message.startswith("values.sub.l.0.n: must be of type ")
    assert "(from resource.spec.sub.l.0.n); " in found.message


TAKEN: dict[str, tuple[Any, Any]] = {
    "what the subchart's defaults bring": ({"required": ["sub"], "properties": {"sub": {"required": ["port"]}}}, {}),
    "a pattern in Go's words": ({"properties": {"a": {"pattern": "^[[:alnum:]]+$"}}}, {"a": "abc"}),
    "a multiple of a fraction": ({"properties": {"a": {"multipleOf": 0.1}}}, {"a": 0.3}),
    "an empty schema": ({}, {"a": 1}),
    "no mapping": (True, {"a": 1}),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_helm_takes_is_taken(case: str, helm: Path, tmp_path: Path) -> None:
    schema, tree = TAKEN[case]
    assert problem(helm, tmp_path, schema, tree, sub={}, defaults="port: 1\n") is None


def test_the_same_values_lead_to_the_same_message(helm: Path, tmp_path: Path) -> None:
    schema = {"required": ["x", "y", "z"], **CLOSED, "properties": {key: {"type": "integer"} for key in "abcdef"}}
    done = [ask(helm, tmp_path / str(one), schema, dict.fromkeys("abcdefgh", SECRET)) for one in range(5)]
    said = {str(failures.explain(one, "make it", {})) for one in done}
    assert len(said) == 1
    assert "values.(the whole): needs x, y, z" in said.pop()


BOMBS = {
    "quotes": "- at '/a': '" + "\\'" * 100_000 + "' does not match pattern 'x'",
    "no end of a quote": "- at '/a': '" + "\\" * 100_000,
    "a long pointer": "- at '" + "/a" * 100_000 + "': got string, want integer",
    "dots": "- " + "a." * 100_000 + "b: Invalid type. Expected: integer, given: string",
    "many lines": "- at '/a': got string, want integer\n" * 10_000,
    "many names": "- at '': additional properties " + "'a', " * 50_000 + "'b' not allowed",
    "the words again and again": "- at '/a': " + "is not valid x: " * 20_000,
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_long_message_takes_no_time(case: str) -> None:
    text = f"Error: values don't meet the specifications of the schema(s) in the following chart(s):\napp:\n{BOMBS[case]}\n"
    began = time.process_time()
    found = failures.explain(
        process.Completed(1, b"", text.encode()), "make it", {"secret": "***"}, interfaces.Values({}), "app"
    )
    assert time.process_time() - began < 0.5
    assert len(str(found)) < 1000


def test_other_errors_are_none_of_a_schema() -> None:
    assert misfits.explain("nil pointer evaluating interface {}.b", None, "app") is None
