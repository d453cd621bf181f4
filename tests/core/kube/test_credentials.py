"""Credentials that run out, change, and cannot be renewed for a while."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import pathlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lostromos_core import errors
from lostromos_core.kube.auth import credentials
from tests.controlplane import certificates

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
API = "client.authentication.k8s.io/v1"
LOCAL: dict[str, Any] = {"server": "http://127.0.0.1:1"}


class Plugin:
    """An ``exec`` plug-in: it counts its runs, and answers what stands in a file, or fails if there is none."""

    def __init__(self, folder: Path) -> None:
        self._answer, self._runs, self.command = folder / "answer", folder / "runs", folder / "plugin"
        self.command.write_text(
            f"#!/bin/sh\necho run >> {self._runs}\ncat {self._answer} || {{ echo 'password=hunter2' >&2; exit 3; }}\n"
        )
        self.command.chmod(0o700)

    @property
    def runs(self) -> int:
        return len(self._runs.read_text().splitlines()) if self._runs.exists() else 0

    def answers(self, token: str, *, lasts: float | None = None) -> None:
        status: dict[str, Any] = {"token": token}
        if lasts is not None:
            status["expirationTimestamp"] = (NOW + dt.timedelta(seconds=lasts)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._answer.write_text(json.dumps({"apiVersion": API, "kind": "ExecCredential", "status": status}))

    def fails(self) -> None:
        self._answer.unlink()


def kubeconfig(folder: Path, user: dict[str, Any], server: dict[str, Any] = LOCAL) -> str:
    path = folder / "kubeconfig"
    content = {
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "one",
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def made(
    folder: Path, user: dict[str, Any], clock: list[float], server: dict[str, Any] = LOCAL
) -> credentials.Credentials:
    return credentials.Credentials(kubeconfig(folder, user, server), clock=lambda: clock[0], now=lambda: NOW)


def execs(plugin: Plugin) -> dict[str, Any]:
    return {"exec": {"apiVersion": API, "command": str(plugin.command), "interactiveMode": "Never"}}


async def test_a_token_file_is_read_again_each_minute(tmp_path: Path) -> None:
    token, clock = tmp_path / "token", [0.0]
    token.write_text("one")
    own = made(tmp_path, {"tokenFile": str(token)}, clock)
    await own.refresh()
    token.write_text("two")
    clock[0] = 59.0
    assert await own.current() == "Bearer one"
    clock[0] = 60.0
    assert await own.current() == "Bearer two"


async def test_connections_are_kept_until_the_trust_changes(tmp_path: Path) -> None:
    authority = certificates.write(tmp_path).authority
    server = {"server": "https://127.0.0.1:1", "certificate-authority": str(authority)}
    own = made(tmp_path, {"token": "one"}, [0.0], server)
    await own.refresh()
    before = own.ssl
    kubeconfig(tmp_path, {"token": "two"}, server)
    await own.refresh()
    assert (own.authorization, own.ssl) == ("Bearer two", before)
    certificates.write(tmp_path)
    await own.refresh()
    assert own.ssl is not before


async def test_a_token_is_renewed_before_it_runs_out(tmp_path: Path, plugin: Plugin) -> None:
    clock = [0.0]
    plugin.answers("one", lasts=600)
    own = made(tmp_path, execs(plugin), clock)
    await own.refresh()
    plugin.answers("two", lasts=1200)
    clock[0] = 539.0
    assert (await own.current(), plugin.runs) == ("Bearer one", 1)
    clock[0] = 540.0
    assert await own.current() == "Bearer one", "nobody waits for a plug-in while the token is valid"
    await own.settled()
    assert (await own.current(), plugin.runs) == ("Bearer two", 2)


async def test_a_token_that_cannot_be_renewed_ahead_of_time_is_used_on(tmp_path: Path, plugin: Plugin) -> None:
    clock = [0.0]
    plugin.answers("one", lasts=600)
    own = made(tmp_path, execs(plugin), clock)
    await own.refresh()
    plugin.fails()
    clock[0] = 550.0
    assert await own.current() == "Bearer one"
    await own.settled()
    assert (await own.current(), plugin.runs) == ("Bearer one", 2)
    plugin.answers("two", lasts=1200)
    clock[0] = 556.0
    await own.current()
    await own.settled()
    assert await own.current() == "Bearer two"


async def test_a_plug_in_that_fails_has_an_error_of_its_own_and_is_not_run_by_each_request(
    tmp_path: Path, plugin: Plugin
) -> None:
    clock = [0.0]
    plugin.answers("one")
    own = made(tmp_path, execs(plugin), clock)
    await own.refresh()
    plugin.fails()
    found = await asyncio.gather(*(own.renew("Bearer one") for _ in range(50)), return_exceptions=True)
    assert all(isinstance(error, errors.CredentialsError) for error in found)
    assert all(error.retryable for error in found if isinstance(error, errors.CredentialsError))
    assert "its exec plug-in failed: process returned 3" in str(found[0])
    assert "hunter2" not in str(found)
    assert plugin.runs == 2
    plugin.answers("two")
    clock[0] = 5.0
    assert await own.renew("Bearer one")
    assert own.authorization == "Bearer two"


async def test_a_token_that_was_renewed_for_another_request_is_not_renewed_again(
    tmp_path: Path, plugin: Plugin
) -> None:
    plugin.answers("one")
    own = made(tmp_path, execs(plugin), [0.0])
    await own.refresh()
    plugin.answers("two")
    assert await asyncio.gather(*(own.renew("Bearer one") for _ in range(50))) == [True] * 50
    assert plugin.runs == 2


async def test_what_is_refused_and_cannot_change_is_looked_at_now_and_then(tmp_path: Path) -> None:
    own = made(tmp_path, {"token": "fixed"}, clock := [0.0])
    await own.refresh()
    assert not await own.renew("Bearer fixed")
    kubeconfig(tmp_path, {"token": "other"})
    assert not await own.renew("Bearer fixed"), "a moment ago it was the same"
    clock[0] = 5.0
    assert await own.renew("Bearer fixed")


async def test_a_plug_in_that_fails_at_the_start_is_named(tmp_path: Path, plugin: Plugin) -> None:
    with pytest.raises(errors.ConfigError, match="its exec plug-in failed: process returned 3"):
        await made(tmp_path, execs(plugin), [0.0]).refresh()


@pytest.mark.parametrize("way", ["time", "cancellation"])
async def test_a_plug_in_that_hangs_is_ended(
    way: str, tmp_path: Path, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    plugin.command.write_text(f"#!/bin/sh\necho $$ > {started}.new && mv {started}.new {started}\nexec sleep 600\n")
    monkeypatch.setattr(credentials, "LONGEST", 2.0 if way == "time" else 60.0)
    refreshing = asyncio.create_task(made(tmp_path, execs(plugin), [0.0]).refresh())
    async with asyncio.timeout(30):
        while not started.exists():
            await asyncio.sleep(0.01)
    if way == "cancellation":
        refreshing.cancel()
    with pytest.raises(asyncio.CancelledError if way == "cancellation" else errors.ConfigError):
        await refreshing
    process = f"/proc/{started.read_text().strip()}"
    async with asyncio.timeout(30):
        while pathlib.Path(process).exists() or any("waitpid-" in thread.name for thread in threading.enumerate()):
            await asyncio.sleep(0.01)  # the event loop is told of its end by a thread, and then closes the pipes
    for _ in range(3):
        await asyncio.sleep(0)
