"""Identify an operator: a name that one deployment keeps across restarts, and no other deployment has.

Controllers of two deployments may have the same name, when one configuration is rolled out for each tenant, or a canary
runs beside the rest. So the annotations of a resource name the deployment as well as the controller. An identity is
``NAMESPACE/NAME``, which is also the Lease that the operator holds while it runs.
"""

from __future__ import annotations

import dataclasses
import getpass
import hashlib
import os
import pathlib
import platform
import re
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

_POD: Final = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NAMESPACE: Final = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAME: Final = r"(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
_FORM: Final = re.compile(rf"({_NAMESPACE})/({_NAME})")
_OF_DEPLOYMENT: Final = re.compile(r"(?P<name>.+)-[a-z0-9]{6,10}-[a-z0-9]{5}")
_OF_STATEFUL_SET: Final = re.compile(r"(?P<name>.+)-[0-9]+")
DEFAULT_NAMESPACE: Final = "default"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Identify an operator by the namespace and the name of its Lease. ``source`` says where it comes from."""

    namespace: str
    name: str
    source: str = dataclasses.field(default="", compare=False)

    def __str__(self) -> str:
        """Return ``lostromos-system/lostromos``, as written on resources."""
        return f"{self.namespace}/{self.name}"


def check(text: str) -> str:
    """Return an identity as written in a configuration; raises ValueError if it is not valid."""
    if text and not _FORM.fullmatch(text):
        msg = f"{text!r} is not an identity; write NAMESPACE/NAME, such as lostromos-system/lostromos"
        raise ValueError(msg)
    return text


def parse(text: str, source: str = "") -> Identity | None:
    """Return the identity in a text, None if the text does not have its form."""
    found = _FORM.fullmatch(text)
    return Identity(found[1], found[2], source) if found else None


def choose(configured: str, place: str, environ: Mapping[str, str] = os.environ) -> Identity:
    """Return the configured identity, or the default: of the Pod's Deployment, else of the machine and ``place``.

    ``place`` is what the operator is started from, such as the path of its configuration. Raises ConfigError.
    """
    if configured:
        found = parse(configured, "configured")
        if found is None:
            raise errors.ConfigError(f"identity: {configured!r} is not an identity; write NAMESPACE/NAME")
        return found
    return _of_pod(environ) or _of_place(place)


def _of_pod(environ: Mapping[str, str]) -> Identity | None:
    """Return the workload that this Pod belongs to: the Pod's name without the generated suffix."""
    if not _POD.is_file():
        return None
    namespace = environ.get("POD_NAMESPACE") or _POD.read_text(encoding="utf-8").strip()
    pod = environ.get("POD_NAME") or environ.get("HOSTNAME", "")
    found = _OF_DEPLOYMENT.fullmatch(pod) or _OF_STATEFUL_SET.fullmatch(pod)
    return parse(f"{namespace}/{found['name'] if found else pod}", f"the Pod {pod}")


def _of_place(place: str) -> Identity:
    """Return the identity outside of a cluster: of the user, the machine, and the place."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        user = str(os.getuid())
    text = f"{user}@{platform.node()}:{pathlib.Path(place).absolute()}"
    digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    return Identity(DEFAULT_NAMESPACE, f"lostromos-{digest}", text)
