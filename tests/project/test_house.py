"""How the code is laid out: small packages, files and functions, and no import circles."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = ("lostromos_core", "lostromos_kubectl", "lostromos_helm")
FILES = [
    path.relative_to(ROOT)
    for name in DISTRIBUTIONS
    for path in sorted((ROOT / name).rglob("*.py"))
    if "build" not in path.relative_to(ROOT).parts
]
PACKAGES = sorted({path.parent for path in FILES})
Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def imports() -> dict[str, set[str]]:
    """Which modules of ours each module imports, also for types only."""
    names = {module(path) for path in FILES}
    found: dict[str, set[str]] = {}
    for path in FILES:
        nodes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) and node.module]
        wanted = {
            full if (full := f"{node.module}.{alias.name}") in names else str(node.module)
            for node in nodes
            for alias in node.names
        }
        found[module(path)] = (wanted & names) - {module(path)}
    return found


def reachable(start: str) -> Iterator[str]:
    """All modules that a module imports, through others too."""
    seen: set[str] = set()
    todo = [*imports()[start]]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            yield name
            todo.extend(imports()[name])


@pytest.mark.parametrize("package", PACKAGES, ids=str)
def test_a_package_has_few_files(package: Path) -> None:
    assert len([path for path in FILES if path.parent == package]) <= 12


@pytest.mark.parametrize("package", PACKAGES, ids=str)
def test_a_package_says_what_is_in_it(package: Path) -> None:
    """Its docstring names each of its modules and packages, or each of its commands."""
    text = ast.get_docstring(tree(package / "__init__.py")) or ""
    parts = {path.stem for path in FILES if path.parent == package} | {
        one.name for one in PACKAGES if one.parent == package
    }
    assert text
    assert {part for part in parts - {"__init__"} if f"``{part}``" not in text} == set()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_fits_into_a_head(path: Path) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = {
        node.name: size
        for node in ast.walk(tree(path))
        if isinstance(node, Function) and (size := (node.end_lineno or 0) - node.lineno + 1) > 40
    }
    assert long == {}


def test_no_module_imports_itself_through_others() -> None:
    assert [name for name in imports() if name in reachable(name)] == []


def test_exemptions_from_the_linter_are_few_and_have_reasons() -> None:
    lines = [line for path in FILES for line in (ROOT / path).read_text().splitlines() if "# noqa" in line]
    assert len(lines) < 100
    assert [line for line in lines if not re.search(r"# noqa: [A-Z0-9, ]+ - \S", line)] == []
