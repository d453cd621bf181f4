"""Charts by name: what can be written, and what a resource may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from lostromos_core import errors
from lostromos_helm.charts import references

BASE = Path("config")
DIGEST = f"sha256:{'0' * 63}a"


@pytest.mark.parametrize("text", ["app", "./charts/app", "app-1.0.0.tgz", "charts/a b", "oci:/x"])
def test_paths_are_relative_to_the_configuration(text: str) -> None:
    found = references.parse(text, BASE)
    assert (found.path, found.oci, str(found)) == (BASE / text, False, str(BASE / text))


def test_absolute_paths_stay_so(tmp_path: Path) -> None:
    assert references.parse(str(tmp_path), BASE).path == tmp_path


@pytest.mark.parametrize(
    ("text", "repository", "name", "version", "digest"),
    [
        ("oci://registry.example/team/app:1.2.3", "oci://registry.example/team", "app", "1.2.3", ""),
        ("oci://registry.example:5000/app:1.2.3", "oci://registry.example:5000", "app", "1.2.3", ""),
        ("https://charts.example/app:1.2.3", "https://charts.example", "app", "1.2.3", ""),
        ("http://localhost:8080/a/b/app:v1.2.3-rc.1", "http://localhost:8080/a/b", "app", "v1.2.3-rc.1", ""),
        ("oci://registry.example/app:1.2.3+build.5", "oci://registry.example", "app", "1.2.3+build.5", ""),
        ("oci://registry.example/app:1.2.3_build.5", "oci://registry.example", "app", "1.2.3_build.5", ""),
        (f"oci://registry.example/app:1.2.3@{DIGEST}", "oci://registry.example", "app", "1.2.3", DIGEST),
    ],
)
def test_charts_elsewhere_have_a_version(text: str, repository: str, name: str, version: str, digest: str) -> None:
    found = references.parse(text, BASE)
    assert found == references.Reference(repository=repository, name=name, version=version, digest=digest)
    assert found.oci is text.startswith("oci")
    assert str(found) == text.partition("@")[0]


@pytest.mark.parametrize(
    "text",
    [
        "oci://registry.example/app", "oci://app:1.2.3", "ftp://x.example/app:1.2.3", "oci://r.example/app:1.2.3@sha256:abc",
        f"oci://r.example/app@{DIGEST}", f"oci://r.example/app:1.2.3@{DIGEST}0", f"oci://r.example/app:1.2.3@{DIGEST.upper()}", "https://user@r.example/app:1.2.3",
        "oci://r.example/app:1.2.3 ", "oci://r.example/app:1.2.3\n", "https://r.example/a b/app:1.2.3", "://", "https://r.example/:1.2.3",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_that_says_what_can(text: str) -> None:
    with pytest.raises(errors.ConfigError, match=r"is not a valid reference; write a folder, a \.tgz file, oci://"):
        references.parse(text, BASE)


@pytest.mark.parametrize("version", ["1", "1.2", "latest", "^1.2.3", ">=1.2.3", "1.2.x", "1.2.3-", "1.2.3+", "1.2.3.4"])
def test_only_exact_versions_are_taken(version: str) -> None:
    with pytest.raises(
        errors.ConfigError, match=r"the chart app needs an exact version, such as 1\.2\.3, but"
    ) as caught:
        references.parse(f"https://r.example/app:{version}", BASE)
    assert repr(version) in str(caught.value)


@pytest.mark.parametrize("name", ["--help", "-a", "", ".", "a/b", "a b", "a\nb", "\u00e4"])
def test_a_name_is_nothing_that_helm_could_take_for_an_option(name: str) -> None:
    with pytest.raises(errors.ConfigError, match="no chart can be named"):
        references.remote("https://r.example", name, "1.2.3")
    with pytest.raises(errors.RefusedError, match=r"is not a valid reference|is not allowed"):
        references.chosen(f"https://r.example/{name}:1.2.3", ["https://r.example/*"], BASE)


@pytest.mark.parametrize(
    "where", ["https://joe:hunter2@r.example", "ftp://hunter2.example", "hunter2", "file:///hunter2"]
)
def test_a_repository_with_a_password_or_another_scheme_is_refused_and_not_repeated(where: str) -> None:
    with pytest.raises(errors.ConfigError, match="the repository of the chart app must be") as caught:
        references.remote(where, "app", "1.2.3")
    assert "hunter2" not in str(caught.value)


def test_a_password_is_not_repeated_either_where_a_chart_is_one_text() -> None:
    with pytest.raises(errors.ConfigError, match="is not a valid reference") as caught:
        references.parse("https://joe:hunter2@r.example/app:1.2.3", BASE)
    assert "hunter2" not in str(caught.value)


def test_a_repository_may_end_in_a_slash() -> None:
    assert references.remote("https://r.example/", "app", "1.2.3").repository == "https://r.example"


OCI, HTTPS = "oci://r.example/team", "https://charts.example"
ALLOWED: dict[str, tuple[str, str, bool]] = {  # pattern, text, whether
    "the very one": ("charts/app", "charts/app", True),
    "another one": ("charts/app", "charts/other", False),
    "one of a folder": ("charts/*", "charts/app", True),
    "deeper than the star": ("charts/*", "charts/app/sub", False),
    "a star in the middle": ("charts/*/stable", "charts/app/stable", True),
    "part of a name": ("charts/app-*", "charts/app-one", True),
    "upper case": ("charts/app", "charts/App", False),
    "an exact version": (f"{OCI}/app:1.2.3", f"{OCI}/app:1.2.3", True),
    "another version": (f"{OCI}/app:1.2.3", f"{OCI}/app:1.2.4", False),
    "a series": (f"{OCI}/app:1.*", f"{OCI}/app:1.9.0", True),
    "another series": (f"{OCI}/app:1.*", f"{OCI}/app:2.0.0", False),
    "any version": (f"{OCI}/app", f"{OCI}/app:7.0.0", True),
    "any chart of a team": (f"{OCI}/*", f"{OCI}/app:7.0.0", True),
    "of another team": (f"{OCI}/*", "oci://r.example/other/app:1.0.0", False),
    "of another registry": (f"{OCI}/*", "oci://evil.example/team/app:1.0.0", False),
    "deeper in a registry": (f"{OCI}/*", f"{OCI}/sub/app:1.0.0", False),
    "another scheme": (f"{HTTPS}/*", "http://charts.example/app:1.0.0", False),
    "with a port": ("oci://r.example:5000/*", "oci://r.example:5000/app:1.0.0", True),
    "a port that is not there": ("oci://r.example/*", "oci://r.example:5000/app:1.0.0", False),
    "as it is written": ("./charts/*", "./charts/app", True),
    "a digest appended": (f"{OCI}/app:1.2.3", f"{OCI}/app:1.2.3@{DIGEST}", True),
    "a digest appended to another": (f"{OCI}/app:1.2.3", f"{OCI}/other:1.2.3@{DIGEST}", False),
    "a registry for a folder's stars": ("*/*/*/*", "oci://evil.example/app:1.0.0", False),
    "a folder for a registry's stars": ("oci://*/*", "oci:/x/y", False),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_a_resource_may_name_what_a_pattern_allows(case: str) -> None:
    pattern, text, allowed = ALLOWED[case]
    if allowed:
        assert references.chosen(text, ["never/this", pattern], BASE) == references.parse(text, BASE)
    else:
        with pytest.raises(errors.RefusedError, match="is not allowed"):
            references.chosen(text, ["never/this", pattern], BASE)


@pytest.mark.parametrize(
    "text",
    ["..", "charts/..", "charts/../../x", "../charts/app", "charts\\..\\x", "..\\x", "/etc", "/", "//x", "", ".", "charts/.", "charts/", "./app", "charts//app",
     "https://r.example/../app:1.0.0", "oci://r.example/./app:1.0.0", "charts/web@2/../../../etc/x", "charts/a@/../..", "@/.."],
)  # fmt: skip
def test_no_pattern_lets_a_path_lead_elsewhere(text: str) -> None:
    patterns = ["*", "*/*", "*/*/*", "*/*/*/*", "/*", "//*", "https://*/*/*", "oci://*/*/*"]
    with pytest.raises(errors.RefusedError, match="is not allowed"):
        references.chosen(text, patterns, BASE)


@pytest.mark.parametrize(
    "text", ["..", "charts/..", "charts/../../x", "..\\x", "/etc", "", "https://r.example/../app:1.0.0"]
)
def test_not_even_a_pattern_that_says_so_lets_a_path_lead_out(text: str) -> None:
    with pytest.raises(errors.RefusedError, match="is not allowed"):
        references.chosen(text, [text], BASE)


def test_a_refusal_names_what_is_allowed() -> None:
    with pytest.raises(errors.RefusedError, match=r"the chart 'x' is not allowed \(allowed: charts/\*, oci://r/app\)"):
        references.chosen("x", ["charts/*", "oci://r/app"], BASE)
    with pytest.raises(errors.RefusedError, match="the controller allows none: see its option `allow`"):
        references.chosen("x", [], BASE)


def test_a_long_text_is_cut() -> None:
    with pytest.raises(errors.RefusedError) as caught:
        references.chosen("x\n" * 5000, ["y"], BASE)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [f"{OCI}/app:latest", f"{OCI}/app:1.0.0@sha256:1", "https://user:1@evil.example/app:1.0.0"]
)
def test_what_is_allowed_and_cannot_be_read_is_refused(text: str) -> None:
    """It is the resource that is wrong here, and not the configuration."""
    with pytest.raises(errors.RefusedError):
        references.chosen(text, [f"{OCI}/*", "https://*"], BASE)
