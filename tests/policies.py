"""Policies of Kubernetes itself (ValidatingAdmissionPolicy) for tests: what they deny, from when they work."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

from tests.controlplane import errors, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.controlplane import api as apis

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


@contextlib.contextmanager
def denied(
    api: apis.Api,
    namespace: str,
    *,
    operations: Sequence[str],
    resources: Sequence[str],
    allowed: str = "false",
    message: str = "not on Fridays",
    reason: str = "Invalid",
    group: str = "",
    probe: Callable[[], object],
) -> Iterator[None]:
    """Deny operations in a namespace unless a CEL expression allows them; ``probe`` has to be denied once it works."""
    name = f"test-{secrets.token_hex(4)}"
    rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": [*operations], "resources": [*resources]}
    place = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": place},
        "validations": [{"expression": allowed, "message": message, "reason": reason}],
    }
    api.create(POLICIES, {"metadata": {"name": name}, "spec": spec})
    api.create(BINDINGS, {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}})
    try:
        waiting.wait_until(lambda: _is_denied(probe), message="the policy works", interval=0.1)
        yield
    finally:
        api.delete(f"{BINDINGS}/{name}")
        api.delete(f"{POLICIES}/{name}")
        waiting.wait_until(lambda: not _is_denied(probe), message="the policy is lifted", interval=0.1)


def _is_denied(probe: Callable[[], object]) -> bool:
    try:
        probe()
    except errors.ApiError as error:
        return "denied" in str(error.body)
    return False
