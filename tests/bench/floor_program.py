"""The floor: an operator's writes and watches and nothing else, in a process of its own, so that its CPU is its own.

Started with the path of a plan. Says "ready" when its watches are open; waits for a line; sends all writes; says how
many seconds that took. Then it follows changes, for the floor of the latency: a new motto of a resource goes to its
ConfigMap. Ends when its standard input does.
"""

import asyncio
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import aiohttp
import orjson
import yarl

IN_FLIGHT = 16
HEADERS = {
    "Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "Accept-Encoding": "identity",
    "Content-Type": "application/apply-patch+yaml",
    "User-Agent": "floor",
}


@final
class Floor:
    """The writes of a plan: `owners` is a list of the writes for each resource, in order."""

    def __init__(self, plan: Any, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._session = session
        self._mottos: dict[str, str] = {}
        self._follows = False

    async def run(self) -> None:
        """Watch, write, follow."""
        opened = asyncio.Semaphore(0)
        watches = [asyncio.create_task(self._watch(path, opened)) for path in self._plan["watches"]]
        for _ in watches:
            await opened.acquire()
        print("ready", flush=True)
        await _line()
        begin = time.perf_counter()
        pending = iter(self._plan["owners"])
        await asyncio.gather(*(self._write_next(pending) for _ in range(IN_FLIGHT)))
        print(time.perf_counter() - begin, flush=True)
        self._follows = True
        await _line()
        for task in watches:
            task.cancel()

    async def _write_next(self, pending: Iterator[Any]) -> None:
        for requests in pending:
            for target, body in requests:
                await self._send(target, body)

    async def _send(self, target: str, body: Any) -> None:
        url = yarl.URL(self._plan["url"] + target, encoded=True)
        async with self._session.patch(url, data=orjson.dumps(body)) as response:
            answer = await response.read()
            if response.status >= 300:
                raise RuntimeError(f"{target}: {response.status} {answer.decode()}")
            orjson.loads(answer)

    async def _watch(self, target: str, opened: asyncio.Semaphore) -> None:
        url = yarl.URL(self._plan["url"] + target, encoded=True)
        headers = {"Accept": "application/json"}
        async with self._session.get(url, headers=headers, timeout=aiohttp.ClientTimeout()) as response:
            opened.release()
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    await self._take(orjson.loads(line))

    async def _take(self, event: Any) -> None:
        """One event: remember the motto of a resource; if it is new, write it to the ConfigMap."""
        item = event["object"]
        motto = (item.get("spec") or {}).get("motto")
        name = item["metadata"]["name"]
        if motto is None or self._mottos.get(name) == motto:
            return
        self._mottos[name] = motto
        if self._follows:
            target, body = self._plan["config_maps"][name]
            body["data"]["MOTTO"] = motto
            await self._send(target, body)


async def _line() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def main() -> None:
    plan = orjson.loads(await asyncio.to_thread(Path(sys.argv[1]).read_bytes))
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=plan["ca_file"]))
    headers = HEADERS | {"Authorization": f"Bearer {plan['token']}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=False) as session:
        await Floor(plan, session).run()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
