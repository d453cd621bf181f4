"""Log lines of a process: one form for all, whoever writes them."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, sys, warnings
import structlog
from lostromos_core.cli import logs
logs.configure(style=sys.argv[1], level=sys.argv[2])
ours, theirs = structlog.get_logger(), logging.getLogger("house-rules")
def fail():
    password = "s3cret"
    raise ValueError(len(password))
for log in (ours, theirs):
    log.debug("looked closely")
    log.warning("half a pair \\ud800")
    try:
        fail()
    except ValueError:
        log.exception("failed")
ours.info("all is well", number=2**80, thing=object())
theirs.info("%s\\nis well", "all", extra={"colour": "green"})
warnings.warn("be careful")
logging.getLogger("kubernetes.client.rest").debug("response body: s3cret")
"""


def lines(style: str, level: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, style, level], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == ""
    assert "s3cret" not in done.stderr
    return done.stderr.splitlines()


def test_every_line_is_json_whoever_writes_it() -> None:
    found = [json.loads(line) for line in lines("json", "info")]
    assert all({"event", "level", "timestamp"} <= set(line) for line in found)
    told = [(line.get("logger", ""), line["level"], line["event"].partition("\n")[0]) for line in found]
    assert told[:6] == [
        ("", "warning", "half a pair \ud800"),
        ("", "error", "failed"),
        ("house-rules", "warning", "half a pair \ud800"),
        ("house-rules", "error", "failed"),
        ("", "info", "all is well"),
        ("house-rules", "info", "all"),
    ]
    assert told[6][:2] == ("py.warnings", "warning")
    assert found[5]["colour"] == "green"
    assert found[3]["exception"][0]["exc_type"] == "ValueError"


def test_the_level_is_the_same_for_all() -> None:
    assert {json.loads(line)["level"] for line in lines("json", "error")} == {"error"}
    debug = [json.loads(line) for line in lines("json", "debug")]
    assert [line.get("logger", "") for line in debug if line["level"] == "debug"] == ["", "house-rules"]


def test_text_is_for_people() -> None:
    text = "\n".join(lines("text", "info"))
    assert text.count("[error] failed") == 2
    assert text.count("ValueError: 6") == 2
    assert "[house-rules] colour=green" in text
