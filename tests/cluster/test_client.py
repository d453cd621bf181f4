"""The API client against a real server: who we are, what we may, and what is said when that does not work."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest
import yaml

from lostromos_core import errors
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.transport import client, paths

if TYPE_CHECKING:
    from tests.controlplane import cluster

VERSION = "/version"


def kubeconfig(plane: cluster.ControlPlane, folder: Path, user: dict[str, Any], **of_cluster: Any) -> str:
    """A kubeconfig for the control plane with another user, or another way to reach the cluster."""
    found = yaml.safe_load(plane.kubeconfig.read_text())
    found["users"][0]["user"] = user
    found["clusters"][0]["cluster"].update(of_cluster)
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(found))
    return str(path)


async def ask(kube: client.Client, path: str = "/api/v1/namespaces") -> Any:
    return await kube.request("GET", path, action="ask")


async def test_a_token_file_that_changes_is_read_again_when_the_old_token_is_refused(
    control_plane: cluster.ControlPlane, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(control_plane.token)
    async with client.Client(kubeconfig(control_plane, tmp_path, {"tokenFile": str(token)})) as kube:
        assert await ask(kube)
        kube._credentials._configuration.api_key["BearerToken"] = "Bearer expired"
        assert await ask(kube)
        kube._credentials._configuration.api_key["BearerToken"] = "Bearer expired"
        token.write_text("wrong")
        with pytest.raises(errors.ApiError) as caught:
            await ask(kube)
        assert caught.value.status == 401
        token.write_text(control_plane.token)
        stream = kube.stream("/api/v1/namespaces", action="watch", query={"watch": "true"}, idle=5)
        with pytest.raises(errors.ApiError):
            await anext(stream)
        stream = kube.stream("/api/v1/namespaces", action="watch", query={"watch": "true"}, idle=5)
        assert await anext(stream) == b"", "it is accepted"
        assert b"ADDED" in await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]


async def test_an_exec_plug_in_is_asked_for_the_token(control_plane: cluster.ControlPlane, tmp_path: Path) -> None:
    script = tmp_path / "login"
    head = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'
    answer = head + control_plane.token + '"}}'
    script.write_text(f"#!/bin/sh\necho '{answer}'\n")
    script.chmod(stat.S_IRWXU)
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    }
    async with client.Client(kubeconfig(control_plane, tmp_path, user)) as kube:
        assert await ask(kube)


async def test_no_file_with_keys_stays_behind(
    control_plane: cluster.ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "temporary"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    authority = base64.b64encode(control_plane.ca_file.read_bytes()).decode()
    path = kubeconfig(
        control_plane, tmp_path, {"token": control_plane.token}, **{"certificate-authority-data": authority}
    )
    async with client.Client(path) as kube:
        assert await ask(kube)
        await kube._credentials.refresh()
        assert list(private.iterdir()) == []


@pytest.mark.parametrize("break_", ["wrong authority", "no authority file", "insecure", "wrong server name"])
async def test_certificates_are_checked(break_: str, control_plane: cluster.ControlPlane, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Path(certifi.where()).read_bytes())
    ways: dict[str, dict[str, Any]] = {
        "wrong authority": {"certificate-authority": str(other), "certificate-authority-data": None},
        "no authority file": {"certificate-authority": str(tmp_path / "absent"), "certificate-authority-data": None},
        "insecure": {"insecure-skip-tls-verify": True},
        "wrong server name": {"tls-server-name": "elsewhere.example.com"},
    }
    path = kubeconfig(control_plane, tmp_path, {"token": control_plane.token}, **ways[break_])
    text = yaml.safe_load(Path(path).read_text())
    if text["clusters"][0]["cluster"].get("certificate-authority-data", 1) is None:
        del text["clusters"][0]["cluster"]["certificate-authority-data"]
        Path(path).write_text(yaml.safe_dump(text))
    kube = client.Client(path)
    if break_ == "insecure":
        async with kube:
            assert await ask(kube)
    elif break_ == "no authority file":
        with pytest.raises(errors.ConfigError, match="cannot be used"):
            await kube.connect()
    else:
        async with kube:
            with pytest.raises(errors.ConnectionFailed, match="cannot be reached"):
                await ask(kube)


async def test_a_connection_opens_itself_and_can_be_closed_twice(control_plane: cluster.ControlPlane) -> None:
    kube = client.Client(str(control_plane.kubeconfig))
    assert await ask(kube)
    await kube.close()
    await kube.close()


async def test_what_is_no_json_is_refused(control_plane: cluster.ControlPlane) -> None:
    async with client.Client(str(control_plane.kubeconfig)) as kube:
        with pytest.raises(errors.ApiError, match="cannot be read"):
            await ask(kube, "/healthz")
        with pytest.raises(errors.RefusedError, match="as JSON"):
            await kube.request("POST", "/api/v1/namespaces", action="create", body={"a": 2**70})


async def test_kinds_are_discovered_and_asked_for_again(
    control_plane: cluster.ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with clusters.Cluster(client.Client(str(control_plane.kubeconfig))) as kube:
        found = await kube.discovery.kind("apps/v1", "Deployment")
        assert (found.plural, found.namespaced, "status" in found.subresources) == ("deployments", True, True)
        assert "watch" in found.verbs
        assert (await kube.discovery.kind("v1", "Namespace")).namespaced is False
        with pytest.raises(discovery.NoSuchKindError, match="check the spelling"):
            await kube.discovery.kind("v1", "Nope")
        with pytest.raises(discovery.NoSuchKindError, match="CustomResourceDefinition"):
            await kube.discovery.kind("example.com/v1", "Nope")
        assert (await kube.discovery.by_group_kind("apps", "Deployment")) == found
        assert await kube.discovery.by_group_kind("apps", "Nope") is None
        monkeypatch.setattr(discovery, "NEGATIVE_SECONDS", -1.0)
        assert await kube.discovery.by_group_kind("apps", "Nope") is None
        kube.discovery.forget("apps/v1", "Deployment")
        assert await kube.discovery.kind("apps/v1", "Deployment") == found
        assert paths.collection("v1", "namespaces") == "/api/v1/namespaces"
