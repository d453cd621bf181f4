"""The users of a control plane: their groups, bearer tokens and kubeconfigs."""

import dataclasses
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

GROUPS: Final[Mapping[str, Sequence[str]]] = {"admin": ("system:masters",), "developer": (), "operator": ()}
"""Every user and its groups. kube-apiserver reads them at start only.

`admin` may do everything; `developer` and `operator` may do nothing until a test binds roles to them. To be anybody
else impersonate (`api.Api.as_user`, `kubectl --as`), which the administrator may.
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a client needs to talk to the API server as one user."""

    url: str
    user: str
    token: str = dataclasses.field(repr=False)
    ca_file: Path


def new_tokens() -> Mapping[str, str]:
    """A bearer token for each user."""
    return {user: secrets.token_urlsafe(24) for user in GROUPS}


def write_token_file(path: Path, *, tokens: Mapping[str, str]) -> None:
    """Write what kube-apiserver's `--token-auth-file` wants: token, user, uid and groups a line."""
    lines = [f'{token},{user},{user},"{",".join(GROUPS[user])}"\n' for user, token in tokens.items()]
    path.write_text("".join(lines))


def write_kubeconfig(path: Path, *, access: Access) -> None:
    """Write a kubeconfig with one cluster, one user and one context. It is JSON, which every reader of YAML reads."""
    cluster = {"server": access.url, "certificate-authority": str(access.ca_file)}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "controlplane",
        "clusters": [{"name": "controlplane", "cluster": cluster}],
        "users": [{"name": access.user, "user": {"token": access.token}}],
        "contexts": [{"name": "controlplane", "context": {"cluster": "controlplane", "user": access.user}}],
    }
    path.write_text(json.dumps(kubeconfig, indent=2) + "\n")
