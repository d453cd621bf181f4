"""What is told of a refusal: the reason always, the value never; and whether it can pass by itself."""

from __future__ import annotations

import json

import pytest

from lostromos_core.kube.transport import api_errors


@pytest.mark.parametrize(
    ("message", "told"),
    [
        # The rules of custom kinds (CEL) leave the value out: all of it is the reason.
        ("Invalid value: size may be at most twice the base", "Invalid value: size may be at most twice the base"),
        ("Invalid value: size: at most 3", "Invalid value: size: at most 3"),
        ("Invalid value: immutable", "Invalid value: immutable"),
        ("Invalid value: 3 replicas at most: no more", "Invalid value: 3 replicas at most: no more"),
        ("Invalid value: 'size' is wrong: see spec.base", "Invalid value: 'size' is wrong: see spec.base"),
        ('Invalid value: "size" may be at most "x: y"', 'Invalid value: "size" may be at most "x: y"'),
        ("Invalid value: Größe: höchstens 3", "Invalid value: Größe: höchstens 3"),
        ("Invalid value: true colours only: red, blue", "Invalid value: true colours only: red, blue"),
        # Older API servers tell the type in the place of the value.
        ('Invalid value: "object": the rule said so', "Invalid value: the rule said so"),
        # Values, in all ways in which they are written.
        ('Invalid value: "hunter2": no', "Invalid value: no"),
        ('Invalid value: "hunter \\" 2: x": no', "Invalid value: no"),
        ('Invalid value: {"a b": "x: hunter2"}: field is immutable', "Invalid value: field is immutable"),
        ('Invalid value: ["hunter2"]: no', "Invalid value: no"),
        ('Invalid value: map[string]interface {}{"a":"hunter2 b"}: no', "Invalid value: no"),
        ("Invalid value: &LabelSelector{A: hunter2}: no", "Invalid value: no"),
        ('Invalid value: core.X{A:"b: hunter2"}: no', "Invalid value: no"),
        ("Invalid value: (*string)(0xc000): no", "Invalid value: no"),
        ("Invalid value: 1e+21: no", "Invalid value: no"),
        ("Invalid value: false: no", "Invalid value: no"),
        ("Invalid value: null: no", "Invalid value: no"),
        ("Invalid value: 5Gi: too small", "Invalid value: too small"),
        # Several in one message.
        ('[a: Invalid value: must be set, b: Invalid value: "hunter2": bad]', "[a: Invalid value: must be set, b: Invalid value: bad]"),
    ],
)  # fmt: skip
def test_reasons_are_told_and_values_are_not(message: str, told: str) -> None:
    assert api_errors.without_values(message) == told


POLICY = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not on Fridays"
WEBHOOK = 'admission webhook "w.example.com" denied the request: not on Fridays'


@pytest.mark.parametrize(
    ("status", "message", "retryable"),
    [
        (422, f'configmaps "a" is forbidden: {POLICY}', True),
        (403, f'configmaps "a" is forbidden: {POLICY}', True),
        (400, WEBHOOK, True),
        (413, f'pods "a" is forbidden: {POLICY}', True),
        (422, WEBHOOK, True),
        (422, 'Service "a" is invalid: spec.type: Required value', False),
        (400, "the body is no JSON", False),
        (405, "the server does not allow this method", False),
    ],
)
def test_what_a_policy_or_a_webhook_denies_may_pass_whatever_the_http_status_is(
    status: int, message: str, retryable: bool
) -> None:
    body = json.dumps({"kind": "Status", "status": "Failure", "message": message, "reason": "Some", "code": status})
    assert api_errors.error(status, {}, body.encode(), "apply a").retryable is retryable
