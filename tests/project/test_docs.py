"""The documentation says what the code does: names are complete, links resolve, and snippets are executed."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

import lostromos_core
import lostromos_helm.settings as helm_settings
import lostromos_kubectl.settings as kubectl_settings
from lostromos_core import errors, hookspecs, interfaces, plugins
from lostromos_core.cli import app
from lostromos_core.engine import bootstrap
from lostromos_core.templates import renderer
from tests import operators
from tests.core.templates import rendering

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    import pydantic

    from tests.controlplane import cluster

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/*/README.md")])
TUTORIAL = DOCS / "tutorial" / "first-operator.md"
WRITE_TEMPLATES = DOCS / "how-to" / "write-templates.md"
TEMPLATE_PAGES = [WRITE_TEMPLATES, *(DOCS / "how-to" / f"from-{tool}.md" for tool in ("ansible", "helm", "kustomize"))]
FOLDER_PLUGIN = DOCS / "how-to" / "folder-plugin" / "lostromos_folder.py"
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("lostromos_"))
COMMANDS = sorted(app.commands.commands)


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``mark`` is the comment on the line before it, ``title`` the name of the file that it shows."""

    line: int
    mark: str
    language: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    pattern = r'(?:^<!-- ([^>\n]+) -->\n)?^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$'
    text = page.read_text()
    return [
        Block(text.count("\n", 0, found.start()) + 1, *(part or "" for part in found.groups()))
        for found in re.finditer(pattern, text, re.MULTILINE | re.DOTALL)
    ]


def marked(page: Path, mark: str) -> Block:
    return next(block for block in blocks(page) if block.mark == mark)


def snippets(mark: str) -> list[Any]:
    """The snippets of the pages about templates, each with the block after it, which says what becomes of it."""
    return [
        pytest.param(block, after, id=f"{page.stem}, line {block.line}")
        for page in TEMPLATE_PAGES
        for block, after in itertools.pairwise(blocks(page))
        if block.mark == mark
    ]


def names() -> dict[str, Any]:
    return {
        "resource": yaml.safe_load(marked(WRITE_TEMPLATES, "resource").text),
        "vars": yaml.safe_load(marked(WRITE_TEMPLATES, "vars").text),
    }


def documents(text: str) -> list[Any]:
    environment = rendering.environment(_parts=marked(WRITE_TEMPLATES, "file: _parts.yaml").text)
    return [document.data for document in rendering.documents(text, names(), within=environment)]


def manifests(text: str, folder: Path) -> interfaces.Manifests:
    (folder / "a.yaml").write_text(text)
    data = names()["resource"]
    ref = interfaces.ObjectRef(data["apiVersion"], data["kind"], "team-a", "shop")
    return renderer.JinjaRenderer(folder).render(
        interfaces.Resource("team-a/shop", ref, "uid", data), interfaces.Context(names()["vars"])
    )


@pytest.mark.parametrize(("snippet", "result"), snippets("render"))
def test_a_snippet_renders_to_what_is_shown(snippet: Block, result: Block) -> None:
    assert result.mark == "result"
    assert documents(snippet.text) == list(yaml.safe_load_all(result.text))


@pytest.mark.parametrize(("snippet", "message"), snippets("refused"))
def test_a_snippet_is_refused_with_the_message_that_is_shown(snippet: Block, message: Block) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Jinja2's errors become ours in the renderer
        documents(snippet.text)
    assert message.text.strip() in str(caught.value)


@pytest.mark.parametrize(("snippet", "message"), snippets("refused object"))
def test_an_object_is_refused_with_the_message_that_is_shown(snippet: Block, message: Block, tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError, match=re.escape(message.text.strip())):
        manifests(snippet.text, tmp_path)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_with_its_parameters_and_its_contract(hook: str) -> None:
    text = (DOCS / "reference" / "hooks.md").read_text()
    parameters = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"\n## `{hook}({parameters})`\n" in text
    assert "Example:" in text.partition(f"## `{hook}(")[2].partition("\n## ")[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_documented_with_all_its_options(command: str) -> None:
    text = (DOCS / "reference" / "cli.md").read_text()
    section = text.partition(f"\n## `lostromos {command}`\n")[2].partition("\n## ")[0]
    assert section
    for option in app.commands.commands[command].params:
        assert isinstance(option, click.Option)
        assert all(f"`{name}" in section for name in option.opts), option.opts
        assert option.envvar is None or f"`{option.envvar}`" in section, option.envvar


def test_every_key_of_the_configuration_is_documented() -> None:
    text = (DOCS / "reference" / "configuration.md").read_text()
    known = set(keys(bootstrap.json_schema(plugins.load())))
    told = [name.split(".") for name in re.findall(r"^\| `([\w.-]+)` \|", text, re.MULTILINE)]
    assert sorted(known - {name[-1] for name in told}) == []
    assert [name for name in told if not set(name[:-1]) <= known] == []
    assert {"lookup.namespaces", "lookup.secrets", "prune.share", "chart.digest"} <= {".".join(name) for name in told}


def section(title: str) -> str:
    """The part of the reference of the configuration below a heading."""
    text = (DOCS / "reference" / "configuration.md").read_text()
    return text.partition(f"\n## `{title}`\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "options"),
    [
        ("apply: server-side", kubectl_settings.ServerSideOptions),
        ("apply: helm", helm_settings.HelmOptions),
        ("apply: kubectl", kubectl_settings.KubectlOptions),
    ],
)
def test_the_defaults_of_options_are_those_of_the_code(title: str, options: type[pydantic.BaseModel]) -> None:
    tables = section("apply: server-side") + section(title)
    rows = {line.split(" | ")[0].strip("| `"): line for line in tables.splitlines() if line.startswith("| `")}
    for name, field in options.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, bool | int | float):
            shown = json.dumps(default).removesuffix(".0")
            assert re.search(rf"\| `?{re.escape(shown)}`? \|", rows[field.alias or name]), (name, rows)


@pytest.mark.parametrize(
    ("name", "keywords"),
    [("lostromos_kubectl.ServerSideApplier", kubectl_settings.Keywords)],
)
def test_the_keywords_of_an_applier_are_documented(name: str, keywords: type) -> None:
    text = (DOCS / "reference" / "python-api.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    assert [one for one in keywords.__annotations__ if f"`{one}`" not in row] == []


def keys(schema: Any) -> Iterator[str]:
    """The names of all properties below a part of a JSON Schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield from schema["properties"]
        for below in schema.values():
            yield from keys(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from keys(below)


@pytest.mark.parametrize("name", lostromos_core.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert f"\n| `{name}` | " in (DOCS / "reference" / "python-api.md").read_text()


LAYERS = [
    contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    if contract["type"] == "layers"
]


@pytest.mark.parametrize("contract", LAYERS, ids=lambda contract: contract["containers"][0])
def test_the_layers_are_the_ones_that_the_linter_enforces(contract: dict[str, Any]) -> None:
    shown = marked(DOCS / "explanation" / "architecture.md", f"layers {contract['containers'][0]}").text.splitlines()
    assert [line.partition("  ")[0] for line in shown] == contract["layers"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_are_whole(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        rows = [len(re.split(r"(?<!\\)\|", row)) for row in table.splitlines()]
        assert re.fullmatch(r"\|(-+\|)+", table.splitlines()[1] if len(rows) > 1 else ""), f"no head: {table}"
        assert set(rows) == {rows[0]}, table
        assert "\\|" not in table, "a site shows the stroke in code with the backslash"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = [found for found in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?:|#", found)]
    broken = [target for target in targets if not (page.parent / target.partition("#")[0]).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_includes_are_there(page: Path) -> None:
    text = page.read_text()
    lines = re.findall(r'^--8<-- "([^"]+)"$', text, re.MULTILINE)
    sections = re.findall(r"^--8<--\n(.+)\n--8<--$", text, re.MULTILINE)  # which ruff does not take for Python
    for path, _, section in (found.partition(":") for found in [*lines, *sections]):
        assert (ROOT / path).exists(), path
        assert not section or f"--8<-- [start:{section}]" in (ROOT / path).read_text(), section
    assert "--8 <" not in text


def test_messages_in_the_help_with_trouble_are_those_of_the_code() -> None:
    folders = ("lostromos_core", "lostromos_kubectl", "lostromos_helm")
    code = "\n".join(path.read_text() for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    joined = re.sub(r'["\']\s*\n\s*f?["\']', "", code)
    shown = re.findall(r"^### `+ ?(.+?) ?`+$", (DOCS / "how-to" / "troubleshoot.md").read_text(), re.MULTILINE)
    missing = [part for message in shown for part in message.split("…") if part.strip(" :,;") not in joined]
    assert len(shown) > 20
    assert missing == []


def test_messages_about_templates_in_the_help_with_trouble_have_been_seen_by_a_test() -> None:
    """Two words in a row of a message, at least, are in a test or in a page that is rendered; three if it has so many."""
    section = re.search(
        r"^## A template fails.*?(?=^## )", (DOCS / "how-to" / "troubleshoot.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert section
    tests = [path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
    seen = "\n".join([*tests, *(page.read_text() for page in TEMPLATE_PAGES)]).replace("\\", "")
    shown = re.findall(r"^### `+ ?(.+?) ?`+$", section[0], re.MULTILINE)
    assert len(shown) > 20

    def is_seen(message: str) -> bool:
        for part in (part.strip(" :,;(") for part in message.split("…")):
            words = part.split()
            runs = [words[start : start + 3] for start in range(max(len(words) - 2, 1))] if words else []
            if any(len(run) > 1 and " ".join(run).strip(" ;:,") in seen for run in runs):
                return True
        return False

    assert [message for message in shown if not is_seen(message)] == []


def test_the_picture_of_the_demo_is_its_own_and_counts_right() -> None:
    picture = (DOCS / "images" / "demo.svg").read_text().replace("&#160;", " ")
    assert "@font-face" not in picture
    assert len((ROOT / "examples" / "access-control" / "webapp.yaml").read_text().splitlines()) == 9
    for text in (picture, (ROOT / "README.md").read_text(), (DOCS / "index.md").read_text().lower()):
        assert "nine lines" in text


def test_every_target_of_make_is_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert [target for target in targets if f"| `make {target}` |" not in text] == ["help"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_a_page_imports_what_is_there(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python" and "--8<--" not in block.text:
            imports = [line for line in block.text.splitlines() if line.startswith(("from ", "import "))]
            compile(block.text, f"{page.name}:{block.line}", "exec")
            exec("\n".join(imports), {})


def play(page: Path, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Write the files that a page shows and run its commands, in order; what was not as shown."""
    wrong = []
    for block in blocks(page):
        if block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text)
        elif block.language == "console":
            for step in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, shown = step.partition("\n")
                wrong += differences(command, shown, folder, environment)
    return wrong


def differences(command: str, shown: str, folder: Path, environment: Mapping[str, str]) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=dict(environment), capture_output=True, text=True, check=False
    )
    printed = {" ".join(line.split()) for line in done.stdout.splitlines()}
    missing = [line for line in shown.splitlines() if line != "..." and " ".join(line.split()) not in printed]
    return [f"$ {command}\n{done.stdout}{done.stderr}(status {done.returncode}, not there: {missing})"] * (
        bool(missing) or done.returncode != 0
    )


def environment(**more: str) -> dict[str, str]:
    """An environment in which ``lostromos`` and ``kubectl`` are those of this checkout."""
    beside = Path(sys.executable).parent
    return {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200", **more}


def test_the_readme_works_as_it_is_written(own_control_plane: cluster.ControlPlane, tmp_path: Path) -> None:
    assert play(ROOT / "README.md", tmp_path, environment(KUBECONFIG=str(own_control_plane.kubeconfig))) == []
    assert (tmp_path / "crd.yaml").exists()


def test_the_tutorial_works_as_it_is_written(own_control_plane: cluster.ControlPlane, tmp_path: Path) -> None:
    assert play(TUTORIAL, tmp_path, environment(KUBECONFIG=str(own_control_plane.kubeconfig))) == []


def test_the_rights_to_run_it_in_a_cluster_are_enough(own_control_plane: cluster.ControlPlane, tmp_path: Path) -> None:
    admin = environment(KUBECONFIG=str(own_control_plane.kubeconfig))
    for block in blocks(TUTORIAL):
        if block.title:
            (tmp_path / block.title).parent.mkdir(exist_ok=True)
            (tmp_path / block.title).write_text(block.text)
    run("kubectl apply -f crd.yaml && kubectl wait --for=condition=Established crd --all", tmp_path, admin)
    run("kubectl apply -f page.yaml", tmp_path, admin)
    assert play(DOCS / "how-to" / "run-in-a-cluster.md", tmp_path, admin) == []
    token = run("kubectl create token page-operator --namespace=lostromos", tmp_path, admin)
    kubeconfig = json.loads(own_control_plane.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": token.strip()}
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    table = run("lostromos run --once --kubeconfig=kubeconfig", tmp_path, environment())
    assert "3 objects up to date" in table


def run(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=dict(environment), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder_plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lostromos_folder", FOLDER_PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


async def test_the_plug_in_makes_files_of_files(folder_plugin: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.json").write_text('{"text": "hello"}')
    (tmp_path / "in" / "bad.json").write_text("{}")
    registry = plugins.load([("folder", folder_plugin)])
    watcher = folder_plugin.FolderWatcher(tmp_path / "in", interval=0.1)
    applier = folder_plugin.FilesApplier(tmp_path / "out")
    controller = lostromos_core.Controller("files", watch=watcher, render=folder_plugin.LabelRenderer(), apply=applier)
    summary = await lostromos_core.Operator([controller], vars={"domain": "x"}, registry=registry).once()
    assert not summary.ready
    made = json.loads((tmp_path / "out" / "good" / "ConfigMap-good.json").read_text())
    assert made["data"] == {"text": "hello", "domain": "x"}
    assert "RenderFailed: bad.json: the field 'text' is missing" in (tmp_path / "in" / "bad.status").read_text()
    assert registry.names("applier") == ["files", "helm", "kubectl", "server-side"]


async def test_a_folder_that_is_not_there_is_told_and_nothing_is_taken_for_gone(
    folder_plugin: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "out" / "hello").mkdir(parents=True)
    watcher = folder_plugin.FolderWatcher(tmp_path / "in", interval=0.1)
    applier = folder_plugin.FilesApplier(tmp_path / "out")
    controller = lostromos_core.Controller("files", watch=watcher, render=folder_plugin.LabelRenderer(), apply=applier)
    registry = plugins.load([("folder", folder_plugin)])
    summary = await lostromos_core.Operator([controller], registry=registry).once()
    assert summary.troubles == {"files": f"there is no folder {tmp_path / 'in'}; create it"}
    assert (tmp_path / "out" / "hello").exists()


def test_the_plug_in_runs_as_its_page_says(tmp_path: Path) -> None:
    found = operators.with_plugin(FOLDER_PLUGIN, tmp_path / "site")
    assert play(DOCS / "how-to" / "write-a-plugin.md", tmp_path, environment(PYTHONPATH=found, KUBECONFIG="")) == []
    assert (tmp_path / "out" / "hello").exists()


def test_commands_that_are_only_shown_exist() -> None:
    for page in PAGES:
        for block in blocks(page):
            for line in block.text.splitlines() if block.language == "sh" else ():
                if line.startswith("lostromos "):
                    words = shlex.split(line, comments=True)
                    assert words[1] in {*COMMANDS, "--version", "--help"}, line
