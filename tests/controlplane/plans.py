"""Everything about a control plane that is decided before it starts: ports, keys, users and command lines."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.controlplane import binaries, certificates, commands, ports, users


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where things will be, and the command line of each server."""

    url: str
    etcd_url: str
    manager_url: str
    ca_file: Path
    tokens: Mapping[str, str]
    etcd: Sequence[str]
    api: Sequence[str]
    manager: Sequence[str] | None

    def access(self, user: str) -> users.Access:
        """What a client needs to be this user."""
        return users.Access(url=self.url, user=user, token=self.tokens[user], ca_file=self.ca_file)


def kubeconfig(folder: Path, *, user: str) -> Path:
    """Where the kubeconfig of a user is."""
    return folder / f"{user}.kubeconfig"


def write(folder: Path, *, programs: binaries.Programs, api_flags: Sequence[str]) -> Plan:
    """Choose ports, make keys and tokens, write the files that the servers and their clients read."""
    etcd_port, api_port, manager_port = ports.free_port(), ports.free_port(), ports.free_port()
    etcd_url = f"http://127.0.0.1:{etcd_port}"
    files = certificates.write(folder)
    token_file = folder / "tokens.csv"
    manager = programs.kube_controller_manager
    flags = [f"--token-auth-file={token_file}", *([] if manager else [commands.NO_SERVICE_ACCOUNTS]), *api_flags]
    plan = Plan(
        url=f"https://127.0.0.1:{api_port}",
        etcd_url=etcd_url,
        manager_url=f"https://127.0.0.1:{manager_port}",
        ca_file=files.authority,
        tokens=users.new_tokens(),
        etcd=commands.etcd(programs.etcd, data=folder / "etcd", url=etcd_url),
        api=commands.kube_apiserver(
            programs.kube_apiserver, etcd_url=etcd_url, port=api_port, files=files, flags=flags
        ),
        manager=commands.kube_controller_manager(
            manager, kubeconfig=kubeconfig(folder, user="admin"), port=manager_port, files=files
        )
        if manager
        else None,
    )
    users.write_token_file(token_file, tokens=plan.tokens)
    for user in plan.tokens:
        users.write_kubeconfig(kubeconfig(folder, user=user), access=plan.access(user))
    return plan
