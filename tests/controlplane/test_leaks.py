"""What a test leaves behind is noticed and named."""

import subprocess
import threading

from tests.controlplane import leaks


def echo(cat: "subprocess.Popen[bytes]") -> None:
    """Have it answer: a program that has only just started has no command line yet."""
    assert cat.stdin
    assert cat.stdout
    cat.stdin.write(b"line\n")
    cat.stdin.flush()
    cat.stdout.readline()


def test_a_running_child_is_noticed_until_it_is_waited_for() -> None:
    before = leaks.Snapshot.take()
    with subprocess.Popen(["cat", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        echo(child)
        left, left_if_known = before.new(known=()), before.new(known={child.pid})
    assert left == [f"process {child.pid}: cat -"]
    assert left_if_known == []
    assert before.new(known=()) == []


def test_a_zombie_is_a_child_too() -> None:
    before = leaks.Snapshot.take()
    with subprocess.Popen(["true"], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.read()
        left = before.new(known=())
    assert [line.partition(":")[0] for line in left] == [f"process {child.pid}"]


def test_a_thread_is_noticed_unless_it_is_a_daemon() -> None:
    before = leaks.Snapshot.take()
    done = threading.Event()
    threads = [threading.Thread(target=done.wait, name=name, daemon=name == "daemon") for name in ("plain", "daemon")]
    for thread in threads:
        thread.start()
    [left] = before.new(known=())
    done.set()
    for thread in threads:
        thread.join()
    assert "plain" in left
    assert before.new(known=()) == []
