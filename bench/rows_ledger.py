"""What the ledger costs: a transition, opening, rebuilding, growing, and many writers at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from clock import calls, once
from lifeos.core.records import Noted
from lifeos.core.state import Snapshot
from lifeos.store.entries import LOG_FORMAT, read_entries, replay
from lifeos.store.ledger import BRANCH, Ledger
from lifeos.store.repo import Repo
from lifeos.tick.begin import begin
from lifeos.tick.context import World
from longledger import BEGIN, Story, length_near
from page import Row, ms, times
from peers import Peers, dbos_step
from scene import Scene, git, new_repository


def rows(scene: Scene, peers: Peers) -> list[Row]:
    """Every row about the ledger."""
    return [_append(scene, peers), _hydrate(scene), _rebuild(scene), _crowd(scene), _growth(scene)]


# --- one transition ---------------------------------------------------------------------------


def _append(scene: Scene, peers: Peers) -> Row:
    plain = full = step = float("inf")
    for _ in range(3):
        without, with_files = _appends(scene)
        plain, full = min(plain, without), min(full, with_files)
        if peers.dbos:
            step = min(step, dbos_step(peers, scene.folder, scene.size.appends))
    commit = _git_commit(scene, scene.size.appends // 4)
    note = (
        f"a transition without files {ms(plain)}, one with its files (a design, a packet: their"
        f" blobs and every folder above them) {ms(full)}, in the mean; all synced to disk."
        f" `git commit` as it comes, which syncs nothing that names the commit: {ms(commit)}"
        f" ({times(plain / commit)})."
    )
    what = "one transition in a running tick, on disk"
    must = "at most half of a DBOS step on SQLite"
    if not peers.dbos:
        return Row(what, must, f"{ms(plain)}; DBOS is not installed", None, note)
    return Row(
        what, must, times(plain / step), plain / step <= 0.5, f"{note} A step of DBOS: {ms(step)}."
    )


def _appends(scene: Scene) -> tuple[float, float]:
    """Milliseconds of a transition without files, and of one with them, in the mean."""
    path = scene.folder / "appends"
    shutil.rmtree(path, ignore_errors=True)
    plain: list[float] = []
    full: list[float] = []
    with new_repository(path) as repo:
        ledger = begin(repo, World(clock=lambda: BEGIN))
        story = Story(ledger, repo.refs.read("refs/heads/main") or "")
        number = 0
        while len(plain) + len(full) < scene.size.appends:
            for one in story.passage(number):
                begun = time.perf_counter()
                story.last = ledger.append(
                    one.record, artifacts=one.files, drop=one.drop, prose=one.prose
                )
                spent = (time.perf_counter() - begun) * 1000
                (full if one.files or one.drop else plain).append(spent)
                story.snapshot = ledger.snapshot
            number += 1
    return sum(plain) / len(plain), sum(full) / len(full)


def _git_commit(scene: Scene, count: int) -> float:
    path = scene.folder / "commits"
    shutil.rmtree(path, ignore_errors=True)
    with new_repository(path):
        command = ("git", "commit", "-q", "--allow-empty", "-m", "one transition")
        return calls({"": lambda: subprocess.run(command, cwd=path, check=True)}, max(5, count))[""]


# --- opening and rebuilding -------------------------------------------------------------------


def _hydrate(scene: Scene) -> Row:
    short, long = scene.size.short, scene.size.long
    cold = calls({str(n): _opening(scene.ledger(n), cached=False) for n in (short, long)}, 9)
    for count in (short, long):
        with Repo.open(scene.ledger(count)) as repo:
            _opened(repo).save()
    warm = calls({str(n): _opening(scene.ledger(n), cached=True) for n in (short, long)}, 9)
    ratio = cold[str(long)] / cold[str(short)]
    again = warm[str(long)] / warm[str(short)]
    return Row(
        f"hydrate at {long:,} transitions",
        f"1.2x of the same at {short:,}",
        f"{times(ratio)} from `state.json`, {times(again)} from the cache",
        max(ratio, again) <= 1.2,
        f"from `state.json` and the records since {ms(cold[str(long)])}, from the cache"
        f" {ms(warm[str(long)])}, the start of git's reading process in both. Both lengths stand"
        " the same number of transitions after their last `state.json`, so they are"
        f" {length_near(short):,} and {length_near(long):,} in truth.",
    )


def _opening(path: Path, *, cached: bool) -> Callable[[], object]:
    def run() -> None:
        if not cached:
            (path / ".git" / "lifeos" / "cache" / "state").unlink(missing_ok=True)
        with Repo.open(path) as repo:
            _opened(repo)

    return run


def _opened(repo: Repo) -> Ledger:
    ledger = Ledger.open(repo)
    assert ledger is not None
    return ledger


def _rebuild(scene: Scene) -> Row:
    path = scene.ledger(scene.size.long)

    def rebuild() -> None:
        with Repo.open(path) as repo:
            tip = repo.refs.read(BRANCH)
            assert tip is not None
            replay(Snapshot(), read_entries(repo, tip))

    wanted = {
        "git": _logger(path, "--end-of-options", BRANCH),
        "same": _logger(path, "--reverse", LOG_FORMAT, "--end-of-options", BRANCH),
        "lifeos": rebuild,
    }
    found = calls(wanted, 3)
    ratio = found["lifeos"] / found["git"]
    return Row(
        f"rebuild of the state from all {scene.size.long:,}",
        "1.5x of `git log`",
        times(ratio),
        ratio <= 1.5,
        f"every record is read, checked and applied in {ms(found['lifeos'])}; `git log`"
        f" {ms(found['git'])}, the same `git log` that the rebuild reads {ms(found['same'])}.",
    )


def _logger(path: Path, *options: str) -> Callable[[], object]:
    command = ("git", "log", *options)
    return lambda: subprocess.run(command, cwd=path, check=True, stdout=subprocess.DEVNULL)


# --- many writers -----------------------------------------------------------------------------


def _crowd(scene: Scene) -> Row:
    path = scene.folder / "crowd"
    shutil.rmtree(path, ignore_errors=True)
    writers, each = scene.size.writers, scene.size.each
    with new_repository(path) as repo:
        begin(repo, World(clock=lambda: BEGIN))
    here = Path(__file__).resolve()
    command = (sys.executable, str(here), str(path), str(each))
    started = [
        subprocess.Popen(
            (*command, str(writer)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for writer in range(writers)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    begun = time.perf_counter()
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    outs = [process.communicate()[0] for process in started]
    seconds = time.perf_counter() - begun
    assert all(process.returncode == 0 for process in started)
    tries = sum(int(out.split()[0]) for out in outs)
    last = [float(out.split()[1]) for out in outs]
    with Repo.open(path) as repo:
        entries = list(_opened(repo).entries())
    kept = Counter(entry.record.text for entry in entries if isinstance(entry.record, Noted))
    wanted = [f"writer {w} record {n}" for w in range(writers) for n in range(each)]
    lost = sum(1 for text in wanted if kept[text] != 1)
    total = len(wanted)
    return Row(
        f"{writers} processes appending to one ledger",
        "every record kept, 1.0 tries each",
        f"{total - lost} of {total} kept, {tries / total:.2f} tries each, {total / seconds:.0f}/s",
        lost == 0 and tries == total,
        f"each writer took its turn {each} times: it read and applied what the {writers - 1} others"
        " had recorded since, which is most of it, and recorded. The first was done after"
        f" {min(last):.2f} s, the last after {max(last):.2f} s.",
    )


def write_in_crowd(path: Path, each: int, writer: str) -> None:
    """One of many writers: waits for the word, then records; prints tries and seconds."""
    tries = 0
    with Repo.open(path) as repo:
        ledger = _opened(repo)
        print("ready", flush=True)
        sys.stdin.readline()
        begun = time.perf_counter()
        for number in range(each):
            text = f"writer {writer} record {number}"
            with ledger.turn():
                tries += 1
                at = ledger.snapshot.at
                ledger.append(Noted(at=at, topic="reverted", task="LO-x", text=text))
    print(tries, time.perf_counter() - begun)


# --- growth -----------------------------------------------------------------------------------


def _growth(scene: Scene) -> Row:
    source = scene.ledger(scene.size.long)
    copy = scene.folder / "packed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, symlinks=True)
    spent = once(lambda: git(copy, "repack", "-adfq"))
    named = git(copy, "rev-list", "--objects", "--no-object-names", BRANCH).split()
    sizes = subprocess.run(
        ("git", "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize:disk)"),
        cwd=copy,
        input="\n".join(named),
        capture_output=True,
        text=True,
        check=True,
    )
    paths = _paths(copy)
    count = int(git(copy, "rev-list", "--count", BRANCH))
    total: Counter[str] = Counter()
    for line in sizes.stdout.splitlines():
        oid, kind, size = line.split()
        total[paths.get(oid, "files") if kind == "blob" else kind] += int(size)
    own = (total["commit"] + total["state.json"]) / count
    shutil.rmtree(copy)
    each = {name: size / count for name, size in total.items()}
    return Row(
        "growth",
        "under 300 bytes a transition after packing, artifacts aside",
        f"{own:.0f} bytes",
        own < 300,
        f"commits {each['commit']:.0f} bytes and `state.json` {each['state.json']:.0f} a"
        f" transition. What runs leave comes to that: folders {each['tree']:.0f} bytes,"
        f" `closed/` {each['closed']:.0f}, packets, designs and plans {each['files']:.0f}, with"
        f" about twenty transitions a task. `git repack -ad` took {ms(spent)}"
        " (with `-f`: fast-import made this ledger's pack without deltas; from loose objects, as"
        " lifeos writes them, it comes to the same).",
    )


def _paths(folder: Path) -> dict[str, str]:
    """What each blob of the ledger is: ``state.json``, ``closed``, or left out."""
    out = git(folder, "rev-list", "--objects", BRANCH)
    found = {}
    for line in out.splitlines():
        oid, _, path = line.partition(" ")
        if path == "state.json" or path.startswith("closed/"):
            found[oid] = path.partition("/")[0]
    return found


if __name__ == "__main__":
    write_in_crowd(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
