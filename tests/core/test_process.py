"""Programs: their input and output, their time limit, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from lostromos_core import errors, process


async def run(code: str, *, stdin: bytes = b"", timeout: float = 20.0) -> process.Completed:  # noqa: ASYNC109
    return await process.run([sys.executable, "-c", code], stdin=stdin, environment=os.environ, timeout=timeout)


async def test_input_output_and_status() -> None:
    done = await run("import sys; print(sys.stdin.read()); print('no', file=sys.stderr); sys.exit(3)", stdin=b"hello")
    assert done == process.Completed(3, b"hello\n", b"no\n")


async def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(errors.ProcessError, match="cannot be started"):
        await process.run(["/no/such/program"], environment={}, timeout=1)


async def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(errors.ProcessError, match="took longer"):
        await run("import time; time.sleep(60)", timeout=0.2)


async def test_a_program_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "KILL_AFTER", 0.2)
    with pytest.raises(errors.ProcessError):
        await run("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", timeout=1.0)


async def test_a_program_ends_with_the_task_that_waits_for_it() -> None:
    task = asyncio.create_task(run("import time; time.sleep(60)"))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
