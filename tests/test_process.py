"""Processes: their limits, their end, and what they leave behind. Everything here is real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from lifeos.errors import UsageError
from lifeos.process import Ended, run

ENV = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
KB = 1024


def sh(script: str, **changes: Any) -> Ended:
    """A shell script with roomy limits, unless the test says otherwise."""
    settings: dict[str, Any] = {
        "cwd": None,
        "env": ENV,
        "seconds": 20.0,
        "output_limit": 64 * KB,
    }
    return run(["sh", "-c", script], **(settings | changes))


def gone(pid: int) -> bool:
    """Whether a process is dead within a few seconds (dead and unreaped by init counts)."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_status_output_and_error_are_kept_apart() -> None:
    ended = sh("echo out; echo err >&2; exit 3")
    assert (ended.status, ended.out, ended.err) == (3, b"out\n", b"err\n")
    assert not any((ended.ok, ended.timed_out, ended.stopped, ended.truncated))
    assert ended.signal is None


def test_a_signal_is_named() -> None:
    ended = sh("kill -KILL $$")
    assert (ended.status, ended.signal) == (-9, signal.SIGKILL)


def test_the_environment_is_exactly_the_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of the calling process does not get in."""
    monkeypatch.setenv("CANARY_TOKEN", "canary-123")
    names = {line.split(b"=")[0] for line in sh("env").out.splitlines()}
    assert b"CANARY_TOKEN" not in names
    assert b"HOME" in names


def test_stdin_is_closed_when_nothing_is_given() -> None:
    """A program that asks gets an end, instead of waiting for ever."""
    assert sh("cat; echo done").out == b"done\n"


def test_large_input_and_output_at_once_do_not_lock_up() -> None:
    data = b"x" * (1 << 20)
    ended = run(
        ["tee", "/dev/stderr"], cwd=None, env=ENV, stdin=data, seconds=20, output_limit=2 << 20
    )
    assert (ended.out, ended.err) == (data, data)


def test_input_that_nobody_reads_is_no_error() -> None:
    assert sh("exec true", stdin=b"x" * (1 << 20)).ok


def test_a_flood_keeps_head_and_tail() -> None:
    ended = sh("echo FIRST; head -c 30000000 /dev/zero; echo LAST", output_limit=4 * KB)
    assert ended.truncated
    assert ended.out.startswith(b"FIRST\n")
    assert ended.out.endswith(b"LAST\n")
    kept = 30_000_011 - 4 * KB
    assert b"[... %d bytes left out ...]" % kept in ended.out
    assert len(ended.out) < 5 * KB


def test_output_of_exactly_the_limit_is_whole() -> None:
    ended = sh("printf %s aaaabbbb", output_limit=8)
    assert (ended.out, ended.truncated) == (b"aaaabbbb", False)


def test_output_is_seen_while_it_comes() -> None:
    """The reader pulls the stop switch after the first line; had it waited, this would time out."""
    seen: list[bytes] = []
    ended = sh("echo one; sleep 60", on_output=seen.append, should_stop=lambda: bool(seen))
    assert seen == [b"one\n"]
    assert ended.stopped
    assert not ended.timed_out


def test_the_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    ended = sh(f"sleep 60 & echo $! > {tmp_path}/pid; sleep 60", seconds=0.5)
    assert ended.timed_out
    assert gone(int((tmp_path / "pid").read_text()))


def test_who_ignores_term_is_killed() -> None:
    ended = sh("trap '' TERM; echo ready; while :; do sleep 0.1; done", seconds=0.5)
    assert ended.timed_out
    assert ended.signal == signal.SIGKILL


def test_last_words_after_term_are_kept() -> None:
    ended = sh("trap 'echo bye; exit 7' TERM; echo on; while :; do sleep 0.1; done", seconds=0.5)
    assert (ended.status, ended.out) == (7, b"on\nbye\n")


def test_a_child_that_holds_the_pipe_does_not_hang_us(tmp_path: Path) -> None:
    """The main process ends at once; its child keeps the pipe open and is ended."""
    ended = sh(f"sleep 300 & echo $! > {tmp_path}/pid; echo done")
    assert (ended.status, ended.out) == (0, b"done\n")
    assert not ended.timed_out
    assert gone(int((tmp_path / "pid").read_text()))


def test_nothing_is_left_to_reap() -> None:
    """Its own child only: other tests of this process may have theirs."""
    started: list[int] = []
    sh("sleep 60", seconds=0.1, on_start=started.append)
    assert started
    with pytest.raises(ChildProcessError):
        os.waitpid(started[0], os.WNOHANG)


def test_no_descriptor_is_leaked() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        sh("cat", stdin=b"x")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_descriptors_are_not_inherited() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        assert f"/{writer}\n".encode() not in sh("ls -d /proc/self/fd/*").out
    finally:
        os.close(reader)
        os.close(writer)


def test_it_runs_in_a_session_of_its_own() -> None:
    """Else a Ctrl-C, or a signal to our group, would meet us both."""
    assert int(sh("ps -o sid= -p $$").out) != os.getsid(0)


def test_a_program_that_is_missing_says_so() -> None:
    with pytest.raises(UsageError, match="cannot start no-such-program") as caught:
        run(["no-such-program"], cwd=None, env=ENV, seconds=1, output_limit=10)
    assert "installed" in caught.value.fix


def test_a_folder_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot start sh"):
        sh("true", cwd=tmp_path / "none")


def test_trace_frames_the_process() -> None:
    points: list[str] = []
    sh("true", trace=points.append)
    assert points == ["process:before:sh", "process:after:sh"]


def test_time_comes_from_the_clock_given() -> None:
    """A clock that jumps an hour at each look: the deadline is over although no time went by."""
    ticks = iter(range(0, 10**9, 3600))
    ended = sh("sleep 60", seconds=1800, clock=lambda: float(next(ticks)))
    assert ended.timed_out
    assert ended.seconds % 3600 == 0


def test_an_error_in_a_callback_ends_the_process() -> None:
    class Broken(Exception):
        pass

    pids: list[int] = []

    def fail(_chunk: bytes) -> None:
        raise Broken

    with pytest.raises(Broken):
        sh("echo x; sleep 60", on_output=fail, on_start=pids.append)
    assert gone(pids[0])


def test_ctrl_c_ends_the_group(tmp_path: Path) -> None:
    """A real SIGINT to a real caller: the grandchild is gone, and the caller sees the interrupt."""
    caller = textwrap.dedent(f"""
        from lifeos.process import run
        try:
            run(["sh", "-c", "sleep 300 & echo $! > {tmp_path}/pid; wait"], cwd=None,
                env={ENV!r}, seconds=60, output_limit=10)
        except KeyboardInterrupt:
            print("interrupted")
    """)
    with subprocess.Popen([sys.executable, "-c", caller], stdout=subprocess.PIPE) as process:
        pid = tmp_path / "pid"
        while not (pid.exists() and pid.read_text().strip()):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert out == b"interrupted\n"
    assert gone(int(pid.read_text()))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_while_it_is_started_ends_it(name: str) -> None:
    """It comes as soon as there is a process, and before anybody else could know of it."""
    caller = textwrap.dedent(f"""
        import signal, sys
        from lifeos.process import run

        def at_start(frame, event, process):
            if event == "return" and frame.f_code.co_name == "_start":
                sys.setprofile(None)
                print(process.pid, flush=True)
                signal.raise_signal(signal.{name})

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        sys.setprofile(at_start)
        try:
            run(["sleep", "300"], cwd=None, env={ENV!r}, seconds=60, output_limit=10)
        except KeyboardInterrupt:
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            print("interrupted")
    """)
    done = subprocess.run(
        [sys.executable, "-c", caller], capture_output=True, text=True, timeout=60, check=True
    )
    pid, said = done.stdout.splitlines()
    assert said == "interrupted"
    assert gone(int(pid))
