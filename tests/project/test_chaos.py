"""Each action of the chaos proxy breaks what it says, and nothing else."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import actions, breaks, edits, moments, records, rig

EVENT = b'c\r\n{"event":0}\n\r\n'
"""The first event of a watch, as a chunk."""

BEFORE_AND_AFTER = pytest.mark.parametrize("at", [actions.BEFORE, actions.AFTER])


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[rig.Rig]:
    with rig.running(tmp_path) as running:
        yield running


def test_answer_gives_a_status_and_headers(at_work: rig.Rig) -> None:
    at_work.chaos.add(actions.Answer(429, headers={"Retry-After": "7"}, message="slow"), times=1)
    at_work.client.request("POST", "/api", body="lost")
    answer = at_work.client.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    status = json.load(answer)
    assert (status["kind"], status["reason"], status["message"]) == ("Status", "TooManyRequests", "slow")
    assert at_work.server.bodies == []
    assert at_work.ask() == 200


def test_answer_gives_any_body(at_work: rig.Rig) -> None:
    at_work.chaos.add(actions.Answer(502, headers={"Content-Type": "text/html"}, body="<h1>no</h1>"))
    at_work.client.request("GET", "/api")
    answer = at_work.client.getresponse()
    assert (answer.status, answer.headers["Content-Type"], answer.read()) == (502, "text/html", b"<h1>no</h1>")


def test_answer_after_forwarding_replaces_that_of_the_server(at_work: rig.Rig) -> None:
    at_work.chaos.add(actions.Answer(504, at=actions.AFTER), method="POST")
    assert at_work.ask(method="POST", body="done") == 504
    assert at_work.server.bodies == ["done"]
    assert at_work.ask() == 200


def test_a_watch_can_begin_with_an_error_event(at_work: rig.Rig) -> None:
    at_work.chaos.add(actions.watch_error(410), query="watch=true")
    event = json.load(at_work.watch())
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


@BEFORE_AND_AFTER
def test_delay_waits_before_or_after_forwarding(at_work: rig.Rig, at: moments.Moment) -> None:
    at_work.chaos.add(actions.Delay(0.5, up_to=0.6, at=at))
    at_work.client.request("POST", "/api", body="late")
    time.sleep(0.25)
    assert at_work.server.bodies == ([] if at is actions.BEFORE else ["late"])
    assert at_work.client.getresponse().status == 200
    assert time.monotonic() - at_work.chaos.requests[0].time >= 0.5


def test_a_delayed_write_outlives_its_client(at_work: rig.Rig) -> None:
    at_work.chaos.add(actions.Delay(rig.PAUSE))
    at_work.client.request("POST", "/api", body="zombie")
    rig.wait_until(lambda: len(at_work.chaos.requests) == 1)
    at_work.client.close()
    rig.wait_until(lambda: at_work.server.bodies == ["zombie"])


@BEFORE_AND_AFTER
@pytest.mark.parametrize(
    ("action", "end"),
    [(breaks.Reset, "reset"), (breaks.Eof, "end"), (breaks.Finish, "end"), (breaks.BlackHole, "silence")],
)
def test_a_connection_breaks_without_an_answer(
    at_work: rig.Rig, action: type[breaks.Break], end: str, at: moments.Moment
) -> None:
    at_work.chaos.add(action(at), method="POST")
    assert at_work.receive("POST /api", body="written") == (b"", end)
    assert at_work.server.bodies == ([] if at is actions.BEFORE else ["written"])
    assert at_work.chaos.requests[0].status is None


@pytest.mark.parametrize("more", ["", "&open"])
@pytest.mark.parametrize(("after", "cut"), [(0, b""), (12, EVENT), (18, EVENT + b'c\r\n{"even')])
@pytest.mark.parametrize(
    ("action", "end"), [(breaks.Reset, "reset"), (breaks.Eof, "end"), (breaks.BlackHole, "silence")]
)
def test_a_watch_breaks_after_so_many_bytes(
    at_work: rig.Rig, action: type[breaks.Break], end: str, after: int, cut: bytes, more: str
) -> None:
    at_work.chaos.add(action(after))
    received, ended = at_work.receive(f"GET /pods?watch=true&events=4{more}")
    # A reset drops what the client has not read in time.
    assert received == cut or (end == "reset" and cut.startswith(received))
    assert ended == end
    assert (at_work.chaos.requests[0].status, at_work.chaos.requests[0].sent) == (200, after)
    rig.wait_until(lambda: at_work.server.open_watches == 0)


@pytest.mark.parametrize(("after", "cut"), [(0, b""), (12, EVENT), (18, EVENT + b'6\r\n{"even\r\n')])
def test_a_watch_finishes_after_so_many_bytes(at_work: rig.Rig, after: int, cut: bytes) -> None:
    at_work.chaos.add(breaks.Finish(after))
    assert at_work.receive("GET /pods?watch=true&events=4&open") == (cut + b"0\r\n\r\n", "end")


def test_a_break_beyond_the_end_lets_the_body_pass(at_work: rig.Rig) -> None:
    at_work.chaos.add(breaks.Reset(1000))
    assert at_work.events() == [0, 1, 2, 3]


@pytest.mark.parametrize("ending", [moments.Ending.RESET, moments.Ending.EOF])
def test_all_connections_can_be_closed_at_once(at_work: rig.Rig, ending: moments.Ending) -> None:
    at_work.chaos.add(breaks.BlackHole(12), times=1)
    with rig.connected(at_work.chaos) as other:
        other.request("GET", "/pods?watch=true&events=1&open")
        responses = [other.getresponse(), at_work.watch(events=1, more="&open")]
        for response in responses:
            assert response.readline()
        at_work.chaos.close_connections(ending)
        for response in responses:
            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                response.read()
    rig.wait_until(lambda: at_work.server.open_watches == 0)
    at_work.client.close()
    assert at_work.ask() == 200


def test_throttle_limits_the_rate(at_work: rig.Rig) -> None:
    at_work.chaos.add(actions.Throttle(100))
    began = time.monotonic()
    assert at_work.events() == [0, 1, 2, 3]
    assert time.monotonic() - began >= 0.4


def test_duplicate_sends_lines_twice(at_work: rig.Rig) -> None:
    at_work.chaos.add(edits.Duplicate(matching=":[02]"))
    assert at_work.events() == [0, 0, 1, 2, 2, 3]


def test_drop_loses_a_share_of_the_lines(at_work: rig.Rig) -> None:
    at_work.chaos.add(edits.Drop(share=0.5))
    left = at_work.events(events=40)
    assert left == sorted(left)
    assert 5 < len(left) < 35


def test_reorder_changes_the_order_and_loses_nothing(at_work: rig.Rig) -> None:
    at_work.chaos.add(edits.Reorder(window=4, matching="[^5]}$"))
    came = at_work.events(events=9)
    assert sorted(came) == list(range(9))
    assert came != sorted(came)


def test_reorder_does_not_hold_the_last_lines_for_ever(at_work: rig.Rig) -> None:
    at_work.chaos.add(edits.Reorder(window=4))
    response = at_work.watch(events=2, more="&open")
    assert sorted([response.readline(), response.readline()]) == [b'{"event":0}\n', b'{"event":1}\n']
    response.close()


@BEFORE_AND_AFTER
def test_call_has_the_request_in_its_hands(at_work: rig.Rig, at: moments.Moment) -> None:
    seen: list[tuple[str, bytes, list[str]]] = []

    def callback(record: records.Record) -> None:
        seen.append((threading.current_thread().name, record.body, list(at_work.server.bodies)))
        at_work.chaos.close_connections()

    at_work.chaos.add(actions.Call(callback, at=at), method="POST")
    assert at_work.receive("POST /api", body="x") == (b"", "reset")
    assert seen == [("chaos-proxy", b"x", [] if at is actions.BEFORE else ["x"])]


def test_actions_of_one_rule_act_in_order(at_work: rig.Rig) -> None:
    calls: list[int] = []
    first, last = actions.Call(lambda _: calls.append(1)), actions.Call(lambda _: calls.append(2))
    at_work.chaos.add(first, actions.Answer(500), last)
    assert at_work.ask() == 500
    assert calls == [1]


def test_what_a_callback_raises_is_raised_at_exit(at_work: rig.Rig, tmp_path: Path) -> None:
    def callback(_: object) -> None:
        raise LookupError("mine")

    def ask() -> None:
        with rig.proxied(at_work.server, folder=tmp_path) as chaos, rig.connected(chaos) as client:
            chaos.add(actions.Call(callback))
            with pytest.raises(ConnectionResetError):
                rig.Rig(server=at_work.server, chaos=chaos, client=client).ask()

    with pytest.raises(ExceptionGroup) as raised:
        ask()
    assert raised.group_contains(LookupError, match="mine")
