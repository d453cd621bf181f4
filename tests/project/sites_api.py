"""What the tests of the example ``api-to-helm`` need: its API in a process or in this one, and its plug-in."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import requests
from aiohttp import web

from tests.controlplane import waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "api-to-helm"
PLUGIN: Final = EXAMPLE / "lostromos_sites"


def load_server() -> Any:
    spec = importlib.util.spec_from_file_location("sites_server", EXAMPLE / "server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def install(folder: Path) -> str:
    """What pip would write about the plug-in; returns PYTHONPATH."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    made = folder / "installed" / f"{name}-{project['version']}.dist-info"
    made.mkdir(parents=True)
    made.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = [f"{key} = {value}" for key, value in project["entry-points"]["lostromos"].items()]
    made.joinpath("entry_points.txt").write_text("\n".join(["[lostromos]", *points, ""]))
    return os.pathsep.join([str(made.parent), str(PLUGIN)])


class Api:
    """An API in this process, which can be stopped and started again at the same address."""

    def __init__(self, application: web.Application) -> None:
        application.middlewares.append(self._remember)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        self.answers: list[tuple[str, str, int]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def start(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._site.stop()

    @web.middleware
    async def _remember(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse
        try:
            response = await handler(request)
        except web.HTTPException as error:
            self.answers.append((request.method, request.path, error.status))
            raise
        self.answers.append((request.method, request.path, response.status))
        return response


class Watching:
    """A watcher that looks when the test lets it, and what it says."""

    def __init__(self, sites: ModuleType, url: str, **options: Any) -> None:
        self.watcher = sites.SitesWatcher(url, sleep=self._sleep, **options)
        self.rung: list[str] = []
        self.troubles: list[str] = []
        self.synced_times = 0
        self.pauses: list[float] = []
        self._asleep, self._awake = asyncio.Semaphore(0), asyncio.Semaphore(0)

    def enqueue(self, key: str) -> None:
        self.rung.append(key)

    def synced(self) -> None:
        self.synced_times += 1

    def trouble(self, message: str) -> None:
        self.troubles.append(message)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._asleep.release()
        await self._awake.acquire()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Watching]:
        """Watch; it has looked once when this begins."""
        task = asyncio.create_task(self.watcher.watch(self))
        try:
            await self._looked()
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def look(self) -> list[str]:
        """Let it look once more; what it rings for."""
        self.rung.clear()
        self._awake.release()
        await self._looked()
        return sorted(self.rung)

    async def _looked(self) -> None:
        async with asyncio.timeout(20):
            await self._asleep.acquire()


class Server:
    """The example's server as a process; ends with the ``with`` block."""

    def __init__(self, folder: Path) -> None:
        self._said = folder / "server.log"
        self._command = [sys.executable, str(EXAMPLE / "server.py"), "--port", "0"]

    def __enter__(self) -> Self:
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(self._command, stdout=said, stderr=said)
        try:
            self.url = waiting.wait_until(lambda: self.said[:1], message="the server's address")[0]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def said(self) -> list[str]:
        """The whole lines that it has printed."""
        text = self._said.read_text()
        return text[: text.rfind("\n") + 1].splitlines()

    def put(self, name: str, **item: Any) -> None:
        requests.put(f"{self.url}/sites/{name}", json=item, timeout=60).raise_for_status()

    def delete(self, name: str) -> None:
        requests.delete(f"{self.url}/sites/{name}", timeout=60).raise_for_status()

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self.url}/sites/{name}/status", timeout=60).json()
        return found

    def is_ready(self, name: str, revision: int) -> bool:
        """Whether the API was told that a revision of the release is ready."""
        said = self.status(name)
        return bool(said.get("ready")) and (said.get("release") or {}).get("revision") == revision
