"""What the proxy's own tests stand on: a small HTTPS server for an API server, the proxy before it, and a client."""

import asyncio
import contextlib
import dataclasses
import functools
import gc
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, final

from aiohttp import web

from tests.chaos import background, certificates, proxy

PAUSE: Final = 0.3
"""Seconds after which what has not come is not expected any more."""

SECRET: Final = "secret"


@final
class Server:
    """Echoes requests, and gives a watch as many lines as its query asks for, one each 5 ms."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        """Of the requests that have arrived."""
        self.open_watches = 0
        self.url = ""

    async def run(self, files: certificates.Files, *, started: threading.Event) -> None:
        """Serve until cancelled."""
        app = web.Application(client_max_size=2**23)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.presenting(files))
            await site.start()
            self.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
            started.set()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await self._watch(request)
        body = await request.text()
        self.bodies.append(body)
        if request.path == "/leaves" and request.transport:
            asyncio.get_running_loop().call_later(0.1, request.transport.close)
        status = 101 if request.path == "/upgrade" else 200
        return web.json_response({"method": request.method, "url": str(request.rel_url), "body": body}, status=status)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.open_watches += 1
        try:
            await self._send_events(request, response)
        finally:
            self.open_watches -= 1
        return response

    async def _send_events(self, request: web.Request, response: web.StreamResponse) -> None:
        for number in range(int(request.query["events"])):
            await response.write(b'{"event":%d}\n' % number)
            await asyncio.sleep(0.005)
        if "dies" in request.query and request.transport:
            request.transport.abort()
        if "open" in request.query:
            await asyncio.Event().wait()


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """The three, and what tests do with them."""

    server: Server
    chaos: proxy.ChaosProxy
    client: http.client.HTTPSConnection

    def ask(self, path: str = "/api", *, method: str = "GET", body: str = "") -> int:
        """Send a request through the proxy; the status of the response."""
        self.client.request(method, path, body=body, headers={"User-Agent": "test"})
        response = self.client.getresponse()
        response.read()
        return response.status

    def ask_json(self, path: str = "/api", *, method: str = "GET", body: Any = None, **headers: str) -> Any:
        """Send a request through the proxy; the response's JSON body."""
        self.client.request(method, path, body=body, headers=headers)
        return json.load(self.client.getresponse())

    def watch(self, *, events: int = 4, more: str = "") -> http.client.HTTPResponse:
        """Begin a watch through the proxy."""
        self.client.request("GET", f"/pods?watch=true&events={events}{more}")
        return self.client.getresponse()

    def events(self, *, events: int = 4) -> list[int]:
        """Watch through the proxy until the end; the numbers of the events that came."""
        return [json.loads(line)["event"] for line in self.watch(events=events)]

    def receive(self, request: str, *, body: str = "") -> tuple[bytes, str]:
        """Send a request on a connection of its own; the response's body as it is on the wire, and what came then."""
        return asyncio.run(_receive(self.chaos, request=request, body=body))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Rig]:
    """All three, connected. In the end nothing may be left of them."""
    before = set(threading.enumerate())
    with _serving(folder) as server, proxied(server, folder=folder) as chaos, connected(chaos) as client:
        yield Rig(server=server, chaos=chaos, client=client)
    # Collected now, what was not closed warns now, and warnings are errors.
    gc.collect()
    if left := set(threading.enumerate()) - before:
        raise AssertionError(f"threads are left: {left}")


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[Server]:
    server, started, thread = Server(), threading.Event(), background.Background(name="server")
    (folder / "server").mkdir()
    files = certificates.write(folder / "server")
    thread.start(functools.partial(server.run, files, started=started))
    started.wait(background.PATIENCE)
    try:
        yield server
    finally:
        thread.stop()


def proxied(server: Server, *, folder: Path, seed: int = 7) -> proxy.ChaosProxy:
    """A proxy before the server."""
    ca_file = folder / "server" / certificates.CERTIFICATE
    return proxy.ChaosProxy(server.url, token=SECRET, ca_file=ca_file, folder=folder, seed=seed)


def connected(chaos: proxy.ChaosProxy, *, timeout: float = 5.0) -> contextlib.closing[http.client.HTTPSConnection]:
    """A client that connects when it is used, and waits so many seconds for an answer."""
    context = ssl.create_default_context(cafile=chaos.ca_file)
    address = chaos.url.removeprefix("https://")
    return contextlib.closing(http.client.HTTPSConnection(address, timeout=timeout, context=context))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until it is so, which must be soon."""
    deadline = time.monotonic() + 5
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not become so")
        time.sleep(0.005)


async def _receive(chaos: proxy.ChaosProxy, *, request: str, body: str) -> tuple[bytes, str]:
    # Not by http.client: some versions of Python's ssl take a reset for an end.
    context = ssl.create_default_context(cafile=chaos.ca_file)
    host, port = chaos.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.write(f"{request} HTTP/1.1\r\nhost: chaos\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
    received, end = b"", "end"
    try:
        while True:
            async with asyncio.timeout(PAUSE):
                piece = await reader.read(4096)
            if not piece:
                break
            received += piece
    except ConnectionResetError:
        end = "reset"
    except TimeoutError:
        end = "silence"
    writer.close()
    with contextlib.suppress(ConnectionResetError):
        await writer.wait_closed()
    return received.partition(b"\r\n\r\n")[2], end
