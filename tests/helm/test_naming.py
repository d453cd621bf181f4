"""Names of releases: Helm takes every one, and no two resources get the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lostromos_core import interfaces
from lostromos_helm.release import naming

HELM = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""What Helm accepts. Source: https://github.com/helm/helm/blob/main/pkg/chart/common/util, validName"""
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 253)
ANY_NAME = NAME | st.text(min_size=1)
PREFIX = st.just("") | LABEL
NAMESPACE = st.sampled_from(["target", "elsewhere", "third"])


def name(prefix: str, namespace: str, resource: str, target: str = "target", uid: str = "") -> str:
    ref = interfaces.ObjectRef("example.com/v1", "WebApp", namespace, resource)
    return naming.release_name(prefix, interfaces.Resource(f"{namespace}/{resource}", ref, uid, {}), target)


@given(PREFIX, NAMESPACE, ANY_NAME)
def test_helm_takes_every_name(prefix: str, namespace: str, resource: str) -> None:
    found = name(prefix, namespace, resource)
    assert HELM.fullmatch(found)
    assert len(found) <= 53


@given(PREFIX, st.sets(st.tuples(NAMESPACE, ANY_NAME), min_size=2))
def test_no_two_resources_have_the_same_release(prefix: str, owners: set[tuple[str, str]]) -> None:
    names = [name(prefix, namespace, resource) for namespace, resource in owners]
    assert len(set(names)) == len(owners)


@given(PREFIX, NAMESPACE, NAME)
def test_nobody_can_take_a_name_that_another_got_with_a_hash(prefix: str, namespace: str, resource: str) -> None:
    taken = name(prefix, namespace, resource)
    squatter = taken.removeprefix(f"{prefix}-") if prefix else taken
    if (namespace, resource) != ("target", squatter):
        assert name(prefix, "target", squatter) != taken


@given(PREFIX, NAMESPACE, NAME)
def test_a_name_depends_on_nothing_but_the_resources_name(prefix: str, namespace: str, resource: str) -> None:
    assert name(prefix, namespace, resource, uid="one") == name(prefix, namespace, resource, uid="other")


@pytest.mark.parametrize(
    ("prefix", "namespace", "resource", "found"),
    [
        ("app", "target", "web", "app-web"),
        ("", "target", "web", "web"),
        ("app", "", "web", "app-web"),
        ("app", "target", "w" * 49, f"app-{'w' * 49}"),
        ("app", "elsewhere", "web", "app-web-d540fb67"),
        ("", "elsewhere", "web", "web-d540fb67"),
        ("app", "target", "w" * 50, f"app-{'w' * 40}-53642f95"),
        ("app", "target", "www.example.com", "app-www-example-com-b67987c9"),
        ("app", "target", "Web", "app-web-ea45d89f"),
        ("", "target", "...", "r-e72e7a94"),
        ("app", "target", "web-0123abcd", "app-web-0123abcd-ffe966dd"),
    ],
)
def test_names_are_plain_where_they_can_be(prefix: str, namespace: str, resource: str, found: str) -> None:
    assert name(prefix, namespace, resource) == found


def test_a_long_prefix_leaves_the_hash_whole() -> None:
    assert name("p" * 60, "target", "web") == f"{'p' * 44}-0f0adf87"
    assert name("p" * 43, "elsewhere", "web") == f"{'p' * 43}-d540fb67"
