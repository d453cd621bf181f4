"""An aggregated API server for tests: it serves a group out of the custom resources of another one, and can go down."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import orjson
from aiohttp import web

from tests.chaos import certificates
from tests.controlplane import crds as crds_
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
PASSED = ("accept", "content-type")


class Aggregated:
    """The kind of a definition, served in the group ``agg.`` and the definition's own; ``kind`` is the served one."""

    def __init__(self, api: apis.Api, plane: cluster.ControlPlane, folder: Path, stored: crds_.CustomKind) -> None:
        self._api, self._plane = api, plane
        self._stored = stored.group
        self.kind = crds_.CustomKind(group=f"agg.{stored.group}", kind=stored.kind, namespaced=stored.namespaced)
        self._files = certificates.write(folder)
        self._port = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._began = threading.Event()

    @property
    def service(self) -> str:
        """The path of the APIService."""
        return f"{SERVICES}/{self.kind.version}.{self.kind.group}"

    def __enter__(self) -> Self:
        self.up()
        name = f"agg-{self._stored.partition('.')[0]}"
        body: dict[str, Any] = {
            "metadata": {"name": name},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        self._api.create("/api/v1/namespaces/default/services", body)
        spec = {
            "group": self.kind.group, "version": self.kind.version, "groupPriorityMinimum": 1000, "versionPriority": 10,
            "insecureSkipTLSVerify": True, "service": {"name": name, "namespace": "default", "port": self._port},
        }  # fmt: skip
        self._api.create(SERVICES, {"metadata": {"name": f"{self.kind.version}.{self.kind.group}"}, "spec": spec})
        self.wait(available=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread:
            self.down()
        if self._api.exists(self.service):
            self._api.delete(self.service)

    def up(self) -> None:
        """Serve, at the port of before."""
        self._began.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._began.wait(30)

    def down(self) -> None:
        """Answer no more."""
        assert self._loop is not None
        assert self._task is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)
        self._thread = None

    def wait(self, *, available: bool) -> None:
        """Wait until the API server has noticed, and its discovery tells of it."""
        waiting.wait_until(lambda: self._is_available() is available, timeout=90, interval=0.2, message=self.service)
        waiting.wait_until(lambda: self._is_listed() is available, timeout=90, interval=0.2, message="discovery")

    def _is_available(self) -> bool:
        conditions = self._api.get(self.service).get("status", {}).get("conditions", [])
        return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)

    def _is_listed(self) -> bool:
        groups = self._api.get("/apis", accept=crds_.AGGREGATED_DISCOVERY)["items"]
        versions = [
            one for group in groups if group["metadata"]["name"] == self.kind.group for one in group["versions"]
        ]
        return any(one.get("freshness") != "Stale" and one.get("resources") for one in versions)

    async def _serve(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self._files.certificate, self._files.key)
        self._context = certificates.trusting(self._plane.ca_file)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=tls)
            await site.start()
            self._port = self._port or runner.addresses[0][1]
            self._began.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await runner.cleanup()
            await asyncio.sleep(0.5)  # closed TLS connections say goodbye

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on, with the one group in the place of the other, and the answer back."""
        if request.path.startswith("/openapi"):
            return web.Response(status=404)
        served, stored = self.kind.group.encode(), self._stored.encode()
        headers = {name: value for name, value in request.headers.items() if name.lower() in PASSED}
        headers["Authorization"] = f"Bearer {self._plane.token}"
        url = f"{self._plane.url}{str(request.rel_url).replace(self.kind.group, self._stored)}"
        body = (await request.read()).replace(served, stored)
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, ssl=self._context
        ) as answer:
            kind = answer.headers.get("Content-Type", "application/json")
            if request.path == "/apis":
                data = self._groups(await answer.read()).replace(stored, served)
                return web.Response(body=data, headers={"Content-Type": kind})
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": kind})
            await response.prepare(request)
            rest = b""
            async for chunk in answer.content.iter_any():
                lines, newline, rest = (rest + chunk).rpartition(b"\n")
                await response.write((lines + newline).replace(stored, served))
            await response.write(rest.replace(stored, served))
            return response

    def _groups(self, document: bytes) -> bytes:
        """Return what is told of groups, without those that are not served here."""
        found = orjson.loads(document)
        if "items" in found:
            found["items"] = [one for one in found["items"] if one["metadata"]["name"] == self._stored]
        else:
            found["groups"] = [one for one in found["groups"] if one["name"] == self._stored]
        return orjson.dumps(found)
