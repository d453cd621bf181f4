"""A control plane with a lifetime: started, disturbed in the ways that tests need, and stopped without a trace."""

import secrets
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import urllib3

from tests.controlplane import binaries, compaction, guard, plans, users
from tests.controlplane import server as servers

GRACE: Final = 10.0
"""Seconds that a server has between SIGTERM and SIGKILL."""


class ControlPlane:
    """etcd and kube-apiserver on free loopback ports, and kube-controller-manager if asked for.

    Use it as a context manager, or call `start` and `stop`, once each; all else is for the time between.

    Guarantees: after `stop`, or after the end of this process by whatever cause, no process and no file is left.
    Caveats: no kubelet runs, so Pods stay Pending. Without the controller manager nothing is garbage-collected, a
    deleted namespace stays Terminating, and a Deployment makes no Pods.
    """

    def __init__(
        self, *, controller_manager: bool = False, api_flags: Sequence[str] = (), folder: Path | None = None
    ) -> None:
        """Choose what will run.

        `api_flags` are added to kube-apiserver's. `folder` (default: a new one among the temporary files) must not
        exist; it is made by `start` and removed by `stop`.
        """
        self.folder = folder or Path(tempfile.gettempdir(), f"lostromos-{secrets.token_hex(6)}")
        self._with_manager = controller_manager
        self._api_flags = api_flags

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Of the API server."""
        return self._plan.url

    @property
    def etcd_url(self) -> str:
        return self._plan.etcd_url

    @property
    def ca_file(self) -> Path:
        return self._plan.ca_file

    @property
    def token(self) -> str:
        """The administrator's."""
        return self.access().token

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.kubeconfig_of("admin")

    @property
    def api_log(self) -> Path:
        return self._api.log

    @property
    def etcd_log(self) -> Path:
        return self._etcd.log

    @property
    def api_pid(self) -> int:
        """Changes with `start_api`. Raises errors.NotRunningError after `kill_api`."""
        return self._api.pid

    @property
    def etcd_pid(self) -> int:
        return self._etcd.pid

    @property
    def controller_manager_pid(self) -> int | None:
        """None if no controller manager was asked for."""
        return self._manager.pid if self._manager else None

    @property
    def pids(self) -> set[int]:
        """Of everything that runs, the guard included."""
        return {self._guard.pid, *(server.pid for server in self._servers if server.runs)}

    def access(self, user: str = "admin") -> users.Access:
        """What a client needs to be a user in `users.GROUPS`."""
        return self._plan.access(user)

    def kubeconfig_of(self, user: str) -> Path:
        """The kubeconfig of a user in `users.GROUPS`."""
        return plans.kubeconfig(self.folder, user=user)

    def start(self) -> None:
        """Start everything and wait until it is ready, building the programs first where there are none.

        Raises errors.StartError, with the end of its log, if a server does not become ready, and errors.BuildError.
        """
        programs = binaries.provide(controller_manager=self._with_manager)
        self.folder.mkdir(mode=0o700, parents=True)
        self._guard = guard.Guard(self.folder)
        self._servers: list[servers.Server] = []
        try:
            self._plan = plans.write(self.folder, programs=programs, api_flags=self._api_flags)
            self._start_servers()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything within bounded time, and remove all files."""
        # The last started first: without etcd the graceful stop of kube-apiserver hangs.
        for server in reversed(self._servers):
            server.stop(grace=GRACE)
        self._guard.close()

    def start_api(self) -> None:
        """Start kube-apiserver on the same port, data and keys as before, and wait until it is ready."""
        self._api.start()
        self._api.wait_until(lambda: self._answers(f"{self.url}/readyz"))
        # The namespace comes after readiness, and whoever creates something in it comes at once.
        self._api.wait_until(lambda: self._answers(f"{self.url}/api/v1/namespaces/default"))

    def kill_api(self) -> None:
        """End kube-apiserver with SIGKILL."""
        self._api.kill()

    def pause_api(self) -> None:
        """Freeze kube-apiserver: connections stay open, nothing answers."""
        self._api.send(signal.SIGSTOP)

    def resume_api(self) -> None:
        """Let a frozen kube-apiserver continue."""
        self._api.send(signal.SIGCONT)

    def compact_etcd(self) -> int:
        """Make etcd forget every version but the present one; returns its revision.

        Watches of older versions and later pages of older lists then answer 410, except where kube-apiserver's watch
        cache still knows them: it forgets when it starts again (`kill_api`, `start_api`), and there is none with the
        flag --watch-cache=false.
        """
        return compaction.compact(self.etcd_url)

    def _start_servers(self) -> None:
        self._etcd, self._api = self._server(self._plan.etcd), self._server(self._plan.api)
        self._manager = self._server(self._plan.manager) if self._plan.manager else None
        self._etcd.start()
        self._etcd.wait_until(lambda: self._answers(f"{self.etcd_url}/health"))
        self.start_api()
        if self._manager:
            self._manager.start()
            self._manager.wait_until(lambda: self._answers(f"{self._plan.manager_url}/healthz"))

    def _server(self, command: Sequence[str]) -> servers.Server:
        log = self.folder / f"{Path(command[0]).name}.log"
        self._servers.append(servers.Server(command, log=log, guard=self._guard))
        return self._servers[-1]

    def _answers(self, url: str) -> bool:
        headers = {"Authorization": f"Bearer {self.token}"}
        with urllib3.PoolManager(ca_certs=str(self.ca_file), retries=False, timeout=2.0, headers=headers) as pool:
            try:
                return pool.request("GET", url).status == 200
            except urllib3.exceptions.HTTPError:
                return False
