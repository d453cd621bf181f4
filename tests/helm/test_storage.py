"""Releases as Helm keeps them: read as they are written, and refused where they are damaged."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lostromos_core import errors
from lostromos_helm.release import storage

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
RELEASE = st.dictionaries(TEXT, JSON)


@given(RELEASE)
def test_what_is_written_is_read(release: dict[str, Any]) -> None:
    assert storage.decode(storage.encode(release)) == release


@given(RELEASE)
def test_what_helm_writes_is_read(release: dict[str, Any]) -> None:
    """Helm compresses, and before its version 3 it did not."""
    plain = json.dumps(release).encode()
    for inner in (gzip.compress(plain), plain):
        assert storage.decode(base64.b64encode(base64.b64encode(inner)).decode()) == release


def twice(inner: bytes) -> str:
    return base64.b64encode(base64.b64encode(inner)).decode()


WHOLE = gzip.compress(b'{"name": "app-web", "info": {"status": "deployed"}}', mtime=0)


@pytest.mark.parametrize(
    "text",
    [
        "", "!", "AAA", "ä", twice(b""), twice(b"{"), twice(b"\x1f\x8b"), twice(WHOLE[:12]), twice(WHOLE[:-4]),
        twice(WHOLE[:14] + b"\xff\xff\xff" + WHOLE[17:]), twice(WHOLE + b"more"), twice(b"\xff\xfe"), twice(b"[]"), twice(b"null"),
        base64.b64encode(WHOLE).decode(),
    ],
)  # fmt: skip
def test_what_is_damaged_is_refused(text: str) -> None:
    with pytest.raises(errors.RefusedError, match="cannot be read"):
        storage.decode(text)


@given(st.binary(max_size=60), st.integers(0, len(WHOLE)))
def test_no_damage_is_any_other_error(noise: bytes, where: int) -> None:
    with contextlib.suppress(errors.RefusedError):
        assert isinstance(storage.decode(twice(WHOLE[:where] + noise)), dict)


METADATA = {
    "name": "sh.helm.release.v1.app-web.v3",
    "namespace": "ns",
    "resourceVersion": "77",
    "labels": {
        "owner": "helm",
        "name": "app-web",
        "version": "3",
        "status": "deployed",
        "createdAt": "1700000000",
        "modifiedAt": "1700000001",
        storage.CONTROLLER: "app",
        storage.OWNER: "applyset-x",
        storage.INPUT: "d1",
        storage.REVISION: "3",
        storage.NAMESPACE: "ns",
        storage.NAME: "web",
    },
}


def read(**labels: str | None) -> storage.Revision | None:
    """What METADATA tell with other labels; None takes one away."""
    changed = {key: value for key, value in {**METADATA["labels"], **labels}.items() if value is not None}  # type: ignore[dict-item]
    return storage.read(
        {**METADATA, "labels": changed, "name": f"sh.helm.release.v1.app-web.v{changed.get('version')}"}
    )


def test_the_labels_say_all_that_is_needed() -> None:
    assert read() == storage.Revision(
        namespace="ns",
        name="app-web",
        number=3,
        status="deployed",
        controller="app",
        owner="applyset-x",
        digest="d1",
        written=3,
        key="ns/web",
        modified=1700000001.0,
        version=77,
        secret="sh.helm.release.v1.app-web.v3",
    )


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({}, "whatever"),
        ({}, "sh.helm.release.v1.app-web.v4"),
        ({}, "sh.helm.release.v1.other.v3"),
        ({"version": "03"}, "sh.helm.release.v1.app-web.v3"),
        ({"version": None}, "sh.helm.release.v1.app-web.v3"),
    ],
)
def test_a_secret_that_is_not_named_as_helm_names_it_is_no_release(labels: dict[str, str | None], name: str) -> None:
    changed = {key: value for key, value in {**METADATA["labels"], **labels}.items() if value is not None}  # type: ignore[dict-item]
    metadata = {**METADATA, "labels": changed, "name": name}
    assert storage.read(metadata) is None
    assert storage.is_releases(metadata), "and Helm takes it for one"


BOMBS = {
    "a text": b'{"a":"' + b"a" * 400_000_000 + b'"}',
    "lists": b'{"a":[' + b"[]," * 4_000_000 + b"0]}",
    "mappings": b'{"a":[' + b"{}," * 4_000_000 + b"0]}",
    "short texts": b'{"a":[' + b'"ab",' * 3_000_000 + b"0]}",
    "numbers": b'{"a":[' + b"1e9," * 4_000_000 + b"0]}",
    "a mapping": b"{" + b'"a":1,' * 2_500_000 + b'"b":0}',
}


@pytest.mark.parametrize("case", BOMBS)
def test_what_grows_when_it_is_unpacked_is_refused_before_it_does(case: str) -> None:
    text = twice(gzip.compress(BOMBS[case]))
    tracemalloc.start()
    with pytest.raises(errors.RefusedError, match="cannot be read"):
        storage.decode(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * storage.LARGEST


def test_other_secrets_are_no_releases() -> None:
    assert read(owner="argo") is None
    assert read(owner=None) is None
    assert read(name=None) is None
    assert storage.read({"name": "x", "labels": None}) is None
    assert storage.read({"name": "x"}) is None


@pytest.mark.parametrize(
    ("labels", "ours"),
    [
        ({}, True),
        ({"version": "4"}, False),
        ({storage.REVISION: None}, False),
        ({storage.REVISION: "x"}, False),
        ({storage.REVISION: None, "version": None}, False),
        ({storage.REVISION: "", "version": "x"}, False),
    ],
)
def test_a_revision_is_ours_only_if_it_was_written_as_this_one(labels: dict[str, str | None], *, ours: bool) -> None:
    found = read(**labels)
    assert found is not None
    assert found.ours is ours


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        ({}, "ns/web"),
        ({storage.NAMESPACE: None}, "web"),
        ({storage.NAME: None}, ""),
        ({storage.NAME: None, storage.NAMESPACE: None}, ""),
    ],
)
def test_whose_it_is_is_known_if_that_could_be_a_label(labels: dict[str, str | None], key: str) -> None:
    found = read(**labels)
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback"])
def test_what_is_pending_is_no_end(status: str) -> None:
    found = read(status=status)
    assert found is not None
    assert found.pending


@pytest.mark.parametrize("status", ["deployed", "failed", "superseded", "uninstalling", "uninstalled", "unknown"])
def test_what_is_not_pending_has_ended(status: str) -> None:
    found = read(status=status)
    assert found is not None
    assert not found.pending


def test_a_release_that_was_never_changed_counts_from_its_beginning() -> None:
    found, nothing = read(modifiedAt=None), read(modifiedAt=None, createdAt=None)
    assert found is not None
    assert nothing is not None
    assert (found.modified, nothing.modified) == (1700000000.0, 0.0)


@pytest.mark.parametrize(
    ("text", "can"),
    [("web", True), ("a.b_c-D", True), ("x" * 63, True), ("x" * 64, False), ("", False), ("-a", False), ("a-", False), ("a/b", False), ("a\n", False)],
)  # fmt: skip
def test_labels_are_what_kubernetes_takes(text: str, *, can: bool) -> None:
    assert storage.is_label(text) is can
