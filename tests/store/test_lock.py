"""The lock, and telling a dead process from a living one."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lifeos.errors import Busy
from lifeos.store.lock import Lock, Owner, owner_is_dead, proc_identity

HOLD = """
import sys, time
from pathlib import Path
from lifeos.store.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """A process that holds a lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_held_lock_makes_others_busy_and_names_the_holder(tmp_path: Path) -> None:
    holder = hold(tmp_path / "lock")
    try:
        with pytest.raises(Busy, match=f"process {holder.pid}"):
            Lock(tmp_path / "lock").acquire(timeout=0)
        with pytest.raises(Busy):
            Lock(tmp_path / "lock").acquire(timeout=0.1)
    finally:
        end(holder)


def test_a_killed_holder_frees_the_lock_for_who_waits(tmp_path: Path) -> None:
    holder = hold(tmp_path / "lock")
    threading.Timer(0.2, holder.kill).start()
    with Lock(tmp_path / "lock", timeout=30):
        assert Lock(tmp_path / "lock").holder() == proc_identity()
    end(holder)


def test_a_waiter_that_gave_up_does_not_take_the_lock_later(tmp_path: Path) -> None:
    """Its thread still stands in the kernel's queue; when its turn comes, it must let go."""
    first = Lock(tmp_path / "lock")
    first.acquire()
    with pytest.raises(Busy):
        Lock(tmp_path / "lock").acquire(timeout=0.05)
    first.release()
    for _ in range(20):
        with Lock(tmp_path / "lock", timeout=5):
            time.sleep(0.001)


def test_release_lets_the_same_object_lock_again(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    with lock, pytest.raises(RuntimeError):
        lock.acquire()
    with lock:
        pass


def test_this_process_is_alive() -> None:
    assert owner_is_dead(proc_identity()) is False


def test_an_ended_process_is_dead_even_before_it_is_collected() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = proc_identity(process.pid)
    assert owner_is_dead(owner) is False
    process.kill()
    deadline = time.monotonic() + 10
    while not owner_is_dead(owner) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert owner_is_dead(owner) is True
    process.communicate()
    assert owner_is_dead(owner) is True


def test_the_same_number_with_another_start_is_another_process() -> None:
    mine = proc_identity()
    if not mine.started:
        pytest.skip("needs /proc to know when a process started")
    assert owner_is_dead(dataclasses.replace(mine, started="1")) is True


def test_a_process_of_another_boot_is_dead_and_of_another_host_unknown() -> None:
    mine = proc_identity()
    assert owner_is_dead(dataclasses.replace(mine, boot="another")) is True
    assert owner_is_dead(dataclasses.replace(mine, host="another")) is None


@pytest.mark.parametrize("text", ["", "12", "x 1 b h", "12 3"])
def test_a_torn_owner_is_nobody(text: str) -> None:
    assert Owner.parse(text) is None


def test_an_owner_reads_back_as_written() -> None:
    for owner in (proc_identity(), Owner("a host", "", 7, "")):
        assert Owner.parse(owner.line()) == owner
