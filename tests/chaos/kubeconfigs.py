"""The kubeconfig that leads an operator through the proxy."""

import json
from pathlib import Path


def write(path: Path, *, url: str, token: str, ca_file: Path) -> None:
    """Write a kubeconfig with one context. It is JSON, which every reader of YAML reads."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "chaos",
        "clusters": [{"name": "chaos", "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": "chaos", "user": {"token": token}}],
        "contexts": [{"name": "chaos", "context": {"cluster": "chaos", "user": "chaos"}}],
    }
    path.write_text(json.dumps(kubeconfig, indent=2) + "\n")
