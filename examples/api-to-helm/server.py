"""A small API of sites, for the example to watch: in memory, on this machine only, and without passwords.

GET /sites lists them (with an ETag), PUT and DELETE /sites/NAME change one, GET and PUT /sites/NAME/status are for how
it goes.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import socket
from typing import Any

from aiohttp import web


@dataclasses.dataclass
class Sites:
    """All sites, and the status of each, by name."""

    items: dict[str, Any] = dataclasses.field(default_factory=dict)
    statuses: dict[str, Any] = dataclasses.field(default_factory=dict)

    def application(self) -> web.Application:
        """The API, to be served."""
        made = web.Application()
        made.router.add_get("/sites", self.list)
        made.router.add_put("/sites/{name}", self.put)
        made.router.add_delete("/sites/{name}", self.delete)
        made.router.add_get("/sites/{name}/status", self.status)
        made.router.add_put("/sites/{name}/status", self.put_status)
        return made

    async def list(self, request: web.Request) -> web.Response:
        """All sites, or 304 if the client has them already."""
        body = json.dumps(list(self.items.values())).encode()
        etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, content_type="application/json", headers={"ETag": etag})

    async def put(self, request: web.Request) -> web.Response:
        """Create or replace a site."""
        name = request.match_info["name"]
        self.items[name] = {**await _mapping(request), "name": name}
        return web.json_response(self.items[name])

    async def delete(self, request: web.Request) -> web.Response:
        """Forget a site and its status."""
        name = self._name(request)
        del self.items[name]
        self.statuses.pop(name, None)
        return web.json_response({})

    async def status(self, request: web.Request) -> web.Response:
        """What was said last of a site; empty if nothing was."""
        return web.json_response(self.statuses.get(self._name(request), {}))

    async def put_status(self, request: web.Request) -> web.Response:
        """Keep what is said of a site, and print it."""
        name = self._name(request)
        said = self.statuses[name] = await _mapping(request)
        print(f"{name}: {'ready' if said.get('ready') else 'not ready'}: {said.get('message')}", flush=True)  # noqa: T201
        return web.json_response(said)

    def _name(self, request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in self.items:
            raise web.HTTPNotFound(text=f"there is no site {name!r}\n")
        return name


async def _mapping(request: web.Request) -> dict[str, Any]:
    """The body of a request; anything in it that is a mapping will do."""
    try:
        found = json.loads(await request.text())
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(text="a mapping is expected\n")
    return found


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8099, help="0: one that is free; it is printed")
    with socket.create_server(("127.0.0.1", parser.parse_args().port)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)  # noqa: T201
        web.run_app(Sites().application(), sock=listening, print=None, shutdown_timeout=1.0)


if __name__ == "__main__":
    main()
