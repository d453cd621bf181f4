"""A kubeconfig that cannot be used is refused with its name, what is wrong, and what there is instead."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lostromos_core import errors
from lostromos_core.kube.auth import credentials

if TYPE_CHECKING:
    from pathlib import Path

NO_PEM = base64.b64encode(b"no certificate").decode()


def config(user: Any = None, current: Any = "one", name: Any = "c", **of_cluster: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": name, "cluster": {"server": "https://127.0.0.1:1", **of_cluster}}],
        "users": [{"name": "u", "user": user or {"token": "hunter2"}}],
        "contexts": [
            {"name": "one", "context": {"cluster": name, "user": "u"}},
            {"name": "two", "context": {"cluster": "gone", "user": "u"}},
            {"name": "three", "context": {"cluster": name, "user": "gone"}},
        ],
        "current-context": current,
    }


CASES: list[tuple[Any, str, str]] = [
    ([1, 2], "", "k.yaml cannot be used: it must be a mapping with clusters, users and contexts"),
    ("hello", "", "k.yaml cannot be used: it must be a mapping with clusters, users and contexts"),
    (b"", "", "k.yaml cannot be used: it must be a mapping with clusters, users and contexts"),
    (b"a: 1\nb: [\n", "", "k.yaml:3 cannot be used: not valid YAML"),
    (b"\xff\xfe\x00", "", "k.yaml cannot be used: it is not valid YAML, or not UTF-8"),
    ({**config(), "clusters": 5}, "", "k.yaml cannot be used: `clusters` must be a list of entries with `name` and `cluster`"),
    ({**config(), "users": [5]}, "", "k.yaml cannot be used: `users` must be a list of entries with `name` and `user`"),
    ({**config(), "contexts": [{"name": "a", "context": "b"}]}, "", "`contexts` must be a list of entries with"),
    (config(), "nope", "k.yaml cannot be used: there is no context 'nope' (available: one, three, two)"),
    (config(), "on", "k.yaml cannot be used: there is no context 'on' (available: one, three, two); did you mean 'one'?"),
    (config(current="other"), "", "k.yaml cannot be used: there is no context 'other' (available: one, three, two)"),
    (config(current=""), "", "k.yaml cannot be used: no `current-context` is set; choose one with --context (available: one, three, two)"),
    ({"clusters": []}, "", "k.yaml cannot be used: no `current-context` is set; choose one with --context (no context is defined)"),
    (config(), "two", "k.yaml cannot be used: the context 'two' names the cluster 'gone', which does not exist"),
    (config(), "three", "k.yaml cannot be used: the context 'three' names the user 'gone', which does not exist"),
    (config(server=5), "", "k.yaml cannot be used: the cluster 'c' needs a `server` that begins with https://"),
    (config(server="127.0.0.1:1"), "", "k.yaml cannot be used: the cluster 'c' needs a `server` that begins with https://"),
    (config(**{"certificate-authority-data": NO_PEM}), "", "k.yaml cannot be used: the certificate authority (certificate-authority, or certificate-authority-data): it is not a PEM certificate"),
    (config(**{"certificate-authority-data": "%%%"}), "", "certificate-authority-data): it is not a PEM certificate"),
    (config({"client-certificate-data": NO_PEM, "client-key-data": NO_PEM}), "", "k.yaml cannot be used: the client certificate, or its key"),
    (config({"tokenFile": "/absent/token"}), "", "k.yaml cannot be used: /absent/token: no such file or directory"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "context", "says"), CASES)
async def test_a_kubeconfig_that_cannot_be_used_is_explained(
    content: Any, context: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "k.yaml"
    path.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
    with pytest.raises(errors.ConfigError, match=re.escape(says)) as caught:
        await credentials.Credentials(str(path), context=context).refresh()
    assert str(caught.value).startswith(f"kubeconfig {path}")
    assert "hunter2" not in str(caught.value)


async def test_several_kubeconfigs_are_one(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(yaml.safe_dump(config(server="https://127.0.0.1:1")))
    second.write_text(yaml.safe_dump(config(name="gone", server="https://127.0.0.1:2")))
    paths = f"{first}:{tmp_path / 'absent.yaml'}:{second}"
    for context, url in (("", "https://127.0.0.1:1"), ("two", "https://127.0.0.1:2")):
        made = credentials.Credentials(paths, context=context)
        await made.refresh()
        assert (made.url, made.authorization) == (url, "Bearer hunter2")
