"""Without rules the proxy changes nothing and writes everything down; rules say what is struck."""

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import actions, edits, proxy, rig


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[rig.Rig]:
    with rig.running(tmp_path) as running:
        yield running


def test_requests_pass_unchanged_on_one_connection(at_work: rig.Rig) -> None:
    echo = at_work.ask_json("/a%20b?x=%2F", method="PATCH", body="new")
    assert echo == {"method": "PATCH", "url": "/a%20b?x=%2F", "body": "new"}
    port = at_work.client.sock.getsockname()
    assert at_work.ask(method="POST", body="x" * 3_000_000) == 200
    assert at_work.client.sock.getsockname() == port
    assert at_work.server.bodies == ["new", "x" * 3_000_000]


def test_the_log_has_the_request_and_its_outcome(at_work: rig.Rig) -> None:
    at_work.ask("/a%20b?x=%2F", method="PATCH", body="new")
    at_work.ask("/b")
    rig.wait_until(lambda: at_work.chaos.requests[-1].ended is not None)
    first, second = at_work.chaos.requests
    assert (first.number, first.method, first.path, first.query) == (1, "PATCH", "/a%20b", "x=%2F")
    assert (first.status, first.body, first.user_agent, first.rule) == (200, b"new", "test", None)
    assert first.sent == len('{"method": "PATCH", "url": "/a%20b?x=%2F", "body": "new"}')
    assert first.ended is not None
    assert first.time <= first.ended <= second.time


def test_chunked_announced_and_missing_bodies_pass(at_work: rig.Rig) -> None:
    assert at_work.ask_json(method="PUT", body=iter([b"ab", b"c"]))["body"] == "abc"
    assert at_work.ask(method="HEAD") == 200
    assert at_work.ask_json(method="POST", body="late", Expect="100-continue")["body"] == "late"
    assert [record.body for record in at_work.chaos.requests] == [b"abc", b"", b"late"]


def test_the_log_counts_writes_and_starts_anew(at_work: rig.Rig) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        at_work.ask(method=method)
    assert [record.method for record in at_work.chaos.writes()] == ["POST", "PUT", "PATCH", "DELETE"]
    at_work.chaos.reset_log()
    assert at_work.chaos.requests == []
    at_work.ask()
    assert [record.number for record in at_work.chaos.requests] == [1]


def test_a_watch_is_passed_on_event_by_event_and_ends_with_its_client(at_work: rig.Rig) -> None:
    response = at_work.watch(events=1, more="&open")
    assert response.readline() == b'{"event":0}\n'
    assert (at_work.chaos.requests[0].sent, at_work.chaos.requests[0].ended) == (12, None)
    response.close()
    at_work.client.close()
    rig.wait_until(lambda: at_work.server.open_watches == 0)
    rig.wait_until(lambda: at_work.chaos.requests[0].ended is not None)


def test_a_client_learns_that_the_server_has_closed_an_idle_connection(at_work: rig.Rig) -> None:
    assert at_work.ask("/leaves") == 200
    assert at_work.client.sock.recv(1) == b""


def test_a_client_learns_that_the_server_has_died_in_a_watch(at_work: rig.Rig) -> None:
    response = at_work.watch(more="&dies")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()
    assert at_work.chaos.requests[0].sent == 48


def test_an_unreachable_server_is_a_reset(at_work: rig.Rig, tmp_path: Path) -> None:
    gone = proxy.ChaosProxy("https://127.0.0.1:1", token="", ca_file=at_work.chaos.ca_file, folder=tmp_path)
    # A synchronous client may be told of a reset as of an end that came too early.
    with gone, rig.connected(gone) as client, pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
        client.connect()


@pytest.mark.parametrize(
    ("path", "rule", "message"),
    [("/upgrade", actions.Action(), "another protocol"), ("/api", edits.Drop(), "Drop needs a plain chunked response")],
)
def test_what_cannot_be_done_is_an_error_at_exit(
    at_work: rig.Rig, tmp_path: Path, path: str, rule: actions.Action, message: str
) -> None:
    def request() -> None:
        with rig.proxied(at_work.server, folder=tmp_path) as chaos, rig.connected(chaos) as client:
            chaos.add(rule)
            client.request("GET", path)
            with contextlib.suppress(ConnectionResetError):
                client.getresponse()

    with pytest.raises(ExceptionGroup) as raised:
        request()
    assert raised.group_contains(ValueError, match=message)


def test_the_kubeconfig_leads_to_the_proxy(at_work: rig.Rig) -> None:
    chaos, kubeconfig = at_work.chaos, json.loads(at_work.chaos.kubeconfig.read_text())
    assert kubeconfig["clusters"][0]["cluster"] == {"server": chaos.url, "certificate-authority": str(chaos.ca_file)}
    assert kubeconfig["users"][0]["user"] == {"token": rig.SECRET}


@pytest.mark.parametrize(
    ("narrowed", "struck"),
    [
        ({}, [1, 1, 1, 1]),
        ({"method": "POST|PUT"}, [0, 1, 0, 1]),
        ({"path": "^/b"}, [0, 0, 1, 1]),
        ({"query": "x=(1|2)$"}, [0, 1, 0, 0]),
        ({"predicate": lambda record: record.body == b"four"}, [0, 0, 0, 1]),
        ({"skip": 1, "times": 2}, [0, 1, 1, 0]),
        ({"chance": 0.0}, [0, 0, 0, 0]),
    ],
)
def test_a_rule_strikes_what_it_matches(at_work: rig.Rig, narrowed: dict[str, Any], struck: list[int]) -> None:
    rule = at_work.chaos.add(actions.Answer(418), name="teapot", **narrowed)
    answers = [
        at_work.ask("/a"),
        at_work.ask("/a?x=1", method="POST"),
        at_work.ask("/b"),
        at_work.ask("/b", method="PUT", body="four"),
    ]
    assert answers == [418 if one else 200 for one in struck]
    assert rule.applied == sum(struck)
    assert [record.rule for record in at_work.chaos.requests] == ["teapot" if one else None for one in struck]


def test_rules_apply_in_order_and_can_be_removed(at_work: rig.Rig) -> None:
    with at_work.chaos.add(actions.Answer(503), times=1):
        second = at_work.chaos.add(actions.Answer(500))
        assert [at_work.ask(), at_work.ask()] == [503, 500]
    at_work.chaos.remove(second)
    assert at_work.ask() == 200


def test_the_seed_decides_what_chance_decides(at_work: rig.Rig, tmp_path: Path) -> None:
    def run(seed: int) -> list[int]:
        with rig.proxied(at_work.server, folder=tmp_path, seed=seed) as chaos, rig.connected(chaos) as client:
            chaos.add(actions.Answer(500), chance=0.5)
            mine = rig.Rig(server=at_work.server, chaos=chaos, client=client)
            return [mine.ask() for _ in range(12)]

    first = run(1)
    assert set(first) == {200, 500}
    assert run(1) == first != run(2)


def test_frozen_nothing_passes_and_thawed_everything(at_work: rig.Rig) -> None:
    response = at_work.watch(events=60)
    assert response.readline()
    at_work.chaos.freeze()
    sent = at_work.chaos.requests[0].sent
    with rig.connected(at_work.chaos, timeout=rig.PAUSE) as other, pytest.raises(TimeoutError):
        other.request("GET", "/api")
    assert at_work.chaos.requests[0].sent == sent
    at_work.chaos.thaw()
    assert len(response.readlines()) == 59
    assert at_work.ask() == 200
