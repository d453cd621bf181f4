"""The command lines of the servers: what each is told to do and why."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.controlplane import certificates

NO_SERVICE_ACCOUNTS: Final = "--disable-admission-plugins=ServiceAccount"
"""Pods wait for a ServiceAccount that only the controller manager makes, so without it nobody may ask for one."""


def etcd(program: Path, *, data: Path, url: str) -> list[str]:
    """One member that never waits for the disk: a crash of the machine may lose its data."""
    return [
        str(program),
        f"--data-dir={data}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        # No other member ever comes; the kernel may choose.
        "--listen-peer-urls=http://127.0.0.1:0",
        "--unsafe-no-fsync=true",
        # As kubeadm sets it: kube-apiserver's watch cache learns of progress on quiet resources.
        "--watch-progress-notify-interval=5s",
        "--log-level=warn",
    ]


def kube_apiserver(
    program: Path, *, etcd_url: str, port: int, files: certificates.Certificates, flags: Sequence[str]
) -> list[str]:
    """An API server on loopback with RBAC and the defaults of its release; `flags` come last."""
    return [
        str(program),
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        # Else it looks for a network interface to announce, which a sandbox lacks; nobody needs to be told.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--tls-cert-file={files.server}",
        f"--tls-private-key-file={files.server_key}",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={files.service_account_key}",
        f"--service-account-signing-key-file={files.service_account_key}",
        *flags,
    ]


def kube_controller_manager(
    program: Path, *, kubeconfig: Path, port: int, files: certificates.Certificates
) -> list[str]:
    """All default controllers: garbage collection, namespaces' end, Pods for Deployments and the like."""
    return [
        str(program),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={files.server}",
        f"--tls-private-key-file={files.server_key}",
        "--leader-elect=false",
        # Its default of 20 a second would make everything wait that needs its controllers.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        f"--service-account-private-key-file={files.service_account_key}",
        f"--root-ca-file={files.authority}",
    ]
