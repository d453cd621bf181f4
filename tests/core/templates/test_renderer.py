"""JinjaRenderer: a folder of templates becomes manifests, and every error names its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.templates import renderer
from tests import fakes

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def folder(path: Path, **files: str) -> renderer.JinjaRenderer:
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(text)
    made = renderer.JinjaRenderer(path)
    made.load()
    return made


def render(path: Path, text: str, resource: interfaces.Resource | None = None, **names: Any) -> list[Any]:
    made = folder(path, a=text)
    return [item.data for item in made.render(resource or fakes.resource("web"), interfaces.Context(names)).objects]


def test_files_are_units_in_the_order_of_their_names_and_partials_are_not(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.yaml").write_text(HEAD.replace("name: a", "name: c"))
    (tmp_path / "notes.txt").write_text("not a template")
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "b.yaml").write_text("what a volume made of a ConfigMap holds beside the files")
    made = folder(
        tmp_path, b=HEAD.replace("name: a", "name: b") + "---\n" + HEAD, a="# nothing\n", _p="not: a manifest\n"
    )
    found = made.render(fakes.resource("web"), interfaces.Context())
    assert [(unit.name, [m.ref.name for m in unit.manifests]) for unit in found.units] == [
        ("a.yaml", []),
        ("b.yaml", ["b", "a"]),
        ("sub/c.yaml", ["c"]),
    ]


def test_a_template_sees_what_the_author_wrote_and_nothing_else(tmp_path: Path) -> None:
    resource = fakes.resource("web", text="1")
    resource.data["status"] = {"phase": "x"}  # type: ignore[index]
    resource.metadata.update(  # type: ignore[attr-defined]
        resourceVersion="5", managedFields=[], finalizers=["f"], labels={"mine": "1", "applyset.kubernetes.io/id": "x"},
        annotations={"mine": "1", "lostromos.dev/controller": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    )  # fmt: skip
    (found,) = render(tmp_path, HEAD + "seen: {{ resource }}\nvars: {{ vars }}\n", resource, a=1)
    assert found["seen"] == {
        "apiVersion": "example.com/v1",
        "kind": "WebApp",
        "metadata": {
            "name": "web",
            "namespace": "ns",
            "uid": "uid-web",
            "labels": {"mine": "1"},
            "annotations": {"mine": "1"},
        },
        "spec": {"text": "1"},
    }
    assert found["vars"] == {"a": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "a: {{ resource.spec.txt }}\n", "a.yaml:4: there is no field 'txt' here (available: text); did you mean 'text'?"),
        (HEAD + "a: {{ reource.spec }}\n", "a.yaml:4: there is no variable 'reource'"),
        (HEAD + "a: {{ vars.x }}\n", "the mapping is empty"),
        (HEAD + "a: {{ resource.spec.text.x }}\n", "a.yaml:4: a string has no field 'x'"),
        (HEAD + "a: {{ [1][3] }}\n", "a.yaml:4: there is no item 3 in a list of 1"),
        (HEAD + "a:\n  b: x{{ resource.spec }}\n", "a.yaml:5: a.b: a mapping cannot be part of a string"),
        (HEAD + "a: {{ 1 / 0 }}\n", "a.yaml:4: ZeroDivisionError"),
        (HEAD + "a: {{ resource.spec.text.format }}\n", "is a function; call it"),
        (HEAD + "a: yes\n", "a.yaml:4: yes is a boolean to some"),
        (HEAD + "a: [\n", "a.yaml:"),
        ("a: 1\n{% include 'absent.yaml' %}\n", "a.yaml:2: there is no template 'absent.yaml'"),
        ("- 1\n", "a.yaml:1: a document must be a mapping"),
        ("{{ resource.spec }}\n", "a.yaml:1: a document must be a mapping"),
        ("apiVersion: v1\nkind: {{ resource.spec.text }}\nmetadata: {name: a}\n", "a.yaml:2: kind must be written in the template"),
        ("kind: ConfigMap\nmetadata: {name: a}\n", "apiVersion is missing"),
        ("apiVersion: v1\nkind: ConfigMap\n", "metadata must be a mapping"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: }\n", "metadata.name must be a string, but is missing"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ''}\n", "but is empty"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ 7 }}\n", "a.yaml:4: metadata.name must be a string, but is a number; put"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: 1}\n", "metadata.namespace must be a string"),
        ("apiVersion: v1\nkind: List\nitems: {{ [resource.spec] }}\n", "a.yaml:3: the objects of a list must be written"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations: {{ resource.spec.text }}\n", "a.yaml:5: metadata.annotations must be a mapping, not a string; | from_yaml"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    - a\n", "metadata.labels must be a mapping, not a list"),
        (HEAD + "---\n" + HEAD, "a.yaml:5: ConfigMap a occurs twice, here and at "),
    ],
)  # fmt: skip
def test_an_error_names_its_place(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError) as caught:
        render(tmp_path, text, fakes.resource("web", text="1"))
    assert says in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_an_error_in_a_partial_names_the_partial(tmp_path: Path) -> None:
    (tmp_path / "_p.yaml").write_text("{% macro m() %}\nok: 1\nbad: {{ resource.nope }}\n{% endmacro %}\n")
    with pytest.raises(errors.RenderError) as caught:
        render(tmp_path, "{% from '_p.yaml' import m with context %}\n" + HEAD + "a:\n  {{ m() }}\n")
    assert "_p.yaml:3" in caught.value.place


def test_a_field_is_found_back_in_the_template(tmp_path: Path) -> None:
    text = (
        HEAD
        + "spec:\n  ports:\n    {% for p in resource.spec.ports %}\n    - port: {{ p }}\n      name: x\n    {% endfor %}\n  {{ 'k' }}: {{ 'v' }}\n"
    )
    made = folder(tmp_path, a=text)
    (manifest,) = made.render(fakes.resource("web", ports=[1, 2]), interfaces.Context()).objects

    def where(*path: str | int) -> tuple[int, str]:
        place = manifest.locate(path)
        assert place is not None
        return place.line, place.expression

    assert where("spec", "ports", 1, "port") == (7, "p")
    assert where("spec", "ports", 1, "name") == (8, "")
    assert where("spec", "k") == (10, "'v'")
    assert where("spec", "absent") == (5, "")
    assert where("spec", "ports", 9) == (7, "")
    assert where() == (1, "")
    assert interfaces.Manifest({}).locate() is None


@pytest.mark.parametrize(
    ("expression", "value"),
    [("{'b': 1, 'a': [2]} | to_yaml", "b: 1\na:\n- 2\n"), ("'yes' | to_yaml", '"yes"\n'), ("{'a': 'é'} | to_json", '{"a": "é"}'), ("[1] | to_json(2)", "[\n  1\n]"),
     ("[1] | tojson", "[1]"), ("{'a': {'b': 1}} | to_toml", "[a]\nb = 1\n"), ("'é' | b64encode", "w6k="), ("'w6k=' | b64decode", "é"),
     ("'a' | sha256", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"), ("{'b': 1, 'a': 2} | sha256 == {'a': 2, 'b': 1} | sha256", True),
     ("{'a': 1} | items | list", [["a", 1]]), ("'a\nb' | indent(2)", "a\n  b"), ("'a\n\nb' | indent('-', true)", "-a\n\n-b"), ("'a' | center(3)", " a "),
     ("resource.spec.items", [1]), ("{'x': 1}.get('y', 2)", 2), ("{'x': 1}.keys()", ["x"]), ("range(3)", [0, 1, 2]), ("2 ** 10", 1024), ("'ab' * 2", "abab"), ("7 % 4", 3),
     ("'a' ~ 1", "a1"), ("'a' + 'b'", "ab"), ("[1] + [2]", [1, 2]), ("(1, 2)", [1, 2]), ("'%s' | replace('%', 'x')", "xs"), ("[3, 1] | sort", [1, 3]),
     ("[1, 2] | map('string') | join('-')", "1-2")],
)  # fmt: skip
def test_expressions_and_filters(expression: str, value: Any, tmp_path: Path) -> None:
    (found,) = render(tmp_path, HEAD + f"data:\n  v: {{{{ {expression} }}}}\n", fakes.resource("web", items=[1]))
    assert found["data"]["v"] == value


@pytest.mark.parametrize(
    "expression",
    ["'a' * 99999999", "9 ** 99999", "9 ** 9 ** 9", "99999999999999999999 * 9 ** 70", "'%9999999d' % 1", "'{:9999999}'.format(1)", "'a'.ljust(9999999)", "'a' | center(99999)",
     "'%s' | format(1)", "resource.__class__", "resource.spec.update({})", "[].append(1)", "''.__class__.__mro__", "lipsum()", "cycler(1)", "joiner()", "range(9999999)",
     "5 | b64encode", "'%' | b64decode", "[1] | to_toml", "{'a': none} | to_toml", "('a' * 3000000) + ('a' * 3000000)", "('a' * 3000000) ~ ('a' * 3000000)"],
)  # fmt: skip
def test_what_is_dangerous_or_means_nothing_is_an_error(expression: str, tmp_path: Path) -> None:
    with pytest.raises((errors.RenderError, errors.ConfigError)):
        render(tmp_path, HEAD + f"v: {{{{ {expression} }}}}\n")


def test_output_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError, match="100000"):
        render(
            tmp_path,
            HEAD + "v:\n{% for i in range(1000) %}\n{% for j in range(101) %}\n- {{ i }}\n{% endfor %}\n{% endfor %}\n",
        )
    with pytest.raises(errors.RenderError, match="4 MiB"):
        render(
            tmp_path,
            HEAD
            + "v: |\n{% for i in range(1000) %}\n{% for j in range(50) %}\n  "
            + "x" * 200
            + "\n{% endfor %}\n{% endfor %}\n",
        )
    with pytest.raises(errors.RenderError, match="more than 1000 documents"):
        render(tmp_path, "{% for i in range(1001) %}\n---\na: 1\n{% endfor %}\n")


def test_an_embedded_document_must_be_one_document(tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError, match="takes one document, but got 2"):
        render(tmp_path, HEAD + "v: {% yaml %}\n  a: 1\n  ---\n  b: 1\n{% endyaml %}\n")


def test_a_template_with_reserved_characters_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="U\\+FDD0"):
        folder(tmp_path, a=HEAD + "v: \ufdd0\n")


@pytest.mark.parametrize(
    ("expression", "text"),
    [("true ~ 'x'", "truex"), ("1.5 ~ true", "1.5true"), ("true | string", "true"), ("[true, 1, 'a'] | join('-')", "true-1-a"),
     ("'aXbX' | replace('X', true)", "atruebtrue"), ("'aaa' | replace('a', 'b', 2)", "bba"), ("[{'n': 1}] | join(',', 'n')", "1")],
)  # fmt: skip
def test_values_become_text_as_inside_a_string(expression: str, text: str, tmp_path: Path) -> None:
    assert render(tmp_path, HEAD + f'v: "{{{{ {expression} }}}}"\n')[0]["v"] == text


@pytest.mark.parametrize(
    ("expression", "says"),
    [("none ~ 'x'", "null cannot be part of a string"), ("none | string", "null cannot be part"), ("[none] | join", "null cannot be part"),
     ("[1] ~ ''", "a list cannot be part"), ("missing ~ ''", "there is no variable 'missing'"), ("', '.join(['a'])", r"use the filter \\| join"),
     ("'a' * 2000000 | replace('a', 'aaaa')", "too large"), ("('a' * 3000) | replace('', 'a' * 3000)", "too large"),
     ("range(3000) | join('a' * 3000)", "too large"), ("('a\n' * 3000) | indent(3000)", "too large")],
)  # fmt: skip
def test_what_has_no_text_or_too_much_is_refused(expression: str, says: str, tmp_path: Path) -> None:
    expression = expression.replace("\n", "\\n").replace("'a' * 2000000 |", "('a' * 2000000) |")
    with pytest.raises(errors.RenderError, match=says.replace("\\\\", "\\")):
        render(tmp_path, HEAD + f'v: "{{{{ {expression} }}}}"\n')


def test_own_filters_tests_and_functions_are_available(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD + "v: {{ 'a' | shout if 'A' is loud else answer }}\nw: {{ answer | more }}\n")
    made = renderer.JinjaRenderer(
        tmp_path, filters={"shout": str.upper}, tests={"loud": str.isupper}, functions={"answer": 42}
    )
    made.load(filters={"more": lambda value: value + 1, "shout": str.lower})
    (found,) = made.render(fakes.resource("web"), interfaces.Context()).objects
    assert (found.data["v"], found.data["w"]) == ("A", 43)


def test_a_renderer_loads_itself_when_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD)
    assert renderer.JinjaRenderer(tmp_path).render(fakes.resource("web"), interfaces.Context()).objects


@pytest.mark.parametrize("make", ["absent", "file", "empty", "binary"])
def test_a_folder_that_cannot_be_used_is_a_configuration_error(make: str, tmp_path: Path) -> None:
    path = tmp_path / "t"
    if make == "file":
        path.write_text("")
    elif make != "absent":
        path.mkdir()
    if make == "binary":
        (path / "a.yaml").write_bytes(b"\xff")
    with pytest.raises(errors.ConfigError, match="templates: "):
        renderer.JinjaRenderer(path).load()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("resource.spec.values | default({})", {}),
        ("1 if resource.spec.items is defined else 2", 2),
        ("1 if resource.spec.keys is undefined else 2", 1),
        ("resource.spec.items() | list", [["text", "x"]]),
        ("resource.spec.keys() | list", ["text"]),
        ("resource.spec.get('text', 'y')", "x"),
        ("resource.spec.get('none', 'y')", "y"),
    ],
)
def test_a_field_that_is_named_like_a_method_is_a_field(expression: str, expected: Any, tmp_path: Path) -> None:
    text = (
        f"{HEAD}a: {{{{ {expression} }}}}\n{{% for i in resource.spec.items | default([]) %}}\nb: 1\n{{% endfor %}}\n"
    )
    (found,) = render(tmp_path, text, fakes.resource("web", text="x"))
    assert found["a"] == expected
    assert "b" not in found


def test_a_field_that_is_named_like_a_method_is_missed_like_one(tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError, match=r"a.yaml:4: there is no field 'values' here \(available: text\)"):
        render(tmp_path, HEAD + "a: {{ resource.spec.values }}\n", fakes.resource("web", text="x"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('u: "{{ resource.spec.text }}-{{ resource.spec.none }}"\n', "a.yaml:4: u: null cannot be part of a string; use | default(..., true) (from resource.spec.none)"),
        ("u: |\n  {{ resource.spec.text }}\n  two\n  {{ [1] }}\n", "a.yaml:7: u: a list cannot be part"),
        ('t: "a\u2028b\u2028c"\nu: yes\n', "a.yaml:5: yes is a boolean"),
        ("t: {{ 'nan' | float }}\n", "a.yaml:4: nan has no meaning in JSON"),
        ("t: {{ '1e999' | float }}\n", "a.yaml:4: inf has no meaning in JSON"),
        ("t: 0x" + "f" * 5000 + "\n", "a.yaml:4: 0xffff"),
        ("t: " + "9" * 5000 + "\n", "a.yaml:4: 9999"),
        ("t: {{ resource.spec.half }}\n", "a.yaml:4: a value contains half of a character, U+D83D"),
    ],
)  # fmt: skip
def test_an_error_names_the_expression_that_is_to_blame(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError) as caught:
        render(tmp_path, HEAD + text, fakes.resource("web", text="1", none=None, half="\ud83d"))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{% for i in [1] %}" * 25 + "{% endfor %}" * 25, "too many statically nested blocks"),
        ("a: {{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "not a valid template"),
        ("a: {{ " + "1" * 5000 + " }}", "not a valid template"),
        ("a: {{ [1] | random }}", "random"),
    ],
)
def test_what_python_refuses_is_a_configuration_error(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD + text + "\n")
    with pytest.raises(errors.ConfigError, match=says) as caught:
        renderer.JinjaRenderer(tmp_path).load()
    assert "a.yaml" in str(caught.value)


def test_a_byte_order_mark_is_none_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "_p.yaml").write_text("b: 1\n", encoding="utf-8-sig")
    (found,) = render(tmp_path, HEAD + 'a:\n  {% include "_p.yaml" %}\n')
    assert found["a"] == {"b": 1}


def test_a_name_that_is_computed_is_not_told_for_it_may_be_a_secret(tmp_path: Path) -> None:
    for text in ("a: {{ vars[vars.pw] }}\n", "a: {{ resource.spec[vars.pw].x }}\n", 'a: "x{{ vars[vars.pw] }}"\n'):
        with pytest.raises(errors.RenderError, match="name that the template computes") as caught:
            render(tmp_path, HEAD + text, pw="hunter2")
        assert "hunter2" not in str(caught.value)
