"""Prepared environments: made once, from the base alone, kept whole, shared and never written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lifeos.checks import Ground, run_checks
from lifeos.core.policy.config import Check, Prepare
from lifeos.core.policy.envelope import Limits
from lifeos.model import FailureClass
from lifeos.prepare import Prepared, PrepareFailed, Workshop, forget, prepare
from lifeos.sandbox import choose
from lifeos.store.lock import Lock
from lifeos.store.repo import Repo
from lifeos.store.trees import edit

FILES = {"req.txt": "package 1\n", "src/app.py": "x = 1\n", "lock/a.lock": "a\n"}


@pytest.fixture
def opened(repo: Path) -> Iterator[Repo]:
    """The test repository, opened."""
    with Repo.open(repo) as found:
        yield found


def put(repo: Repo, files: Mapping[str, str]) -> str:
    """A tree with these files."""
    blobs = {
        path: ("100644", repo.objects.write_blob(text.encode())) for path, text in files.items()
    }
    return edit(repo.objects, None, blobs)


def step(run: str, **more: Any) -> Prepare:
    """A prepare command with both kinds of inputs."""
    values = {"name": "deps", "run": run, "inputs": ["req.txt", "lock/**"]}
    return Prepare.model_validate(values | more)


Make = Callable[..., Prepared]


@pytest.fixture
def make(opened: Repo, tmp_path: Path) -> Make:
    """Prepares commands over files, in one cache."""

    def run(
        *steps: Prepare, files: Mapping[str, str] = FILES, kind: str = "none", **more: Any
    ) -> Prepared:
        values: dict[str, Any] = {
            "sandbox": choose(kind),
            "cache": tmp_path / "cache",
            "limits": Limits(),
        }
        return prepare(opened, put(opened, files), steps, Workshop(**values | more))

    return run


def text(prepared: Prepared, path: str) -> str:
    """A file of the environment."""
    assert prepared.folder is not None
    return (prepared.folder / path).read_text()


def test_without_commands_there_is_nothing(make: Make) -> None:
    """No folder, no digest, no cache."""
    assert make() == Prepared(None, "")


def test_only_the_inputs_are_there_and_they_do_not_stay(make: Make) -> None:
    """Globs name them; the result holds what was made, not what every tree brings itself."""
    look = "found=$(find . -type f | sort); echo $found > made.txt"
    made = make(step(f"{look}; mkdir lock/cache; touch lock/cache/x"))
    assert text(made, "made.txt").split() == ["./lock/a.lock", "./req.txt"]
    assert made.folder is not None
    found = {str(path.relative_to(made.folder)) for path in made.folder.rglob("*")}
    assert found == {"made.txt", "lock", "lock/cache", "lock/cache/x"}


def test_it_is_made_once_per_digest(make: Make, tmp_path: Path) -> None:
    """The same again is reused without running; a file that is no input changes nothing."""
    count = step(f"echo run >> {tmp_path}/log; touch made")
    first = make(count)
    again = make(count, files=FILES | {"src/app.py": "x = 2\n", "new.txt": "x"})
    assert (first.reused, again.reused) == (False, True)
    assert first.folder == again.folder
    assert (tmp_path / "log").read_text() == "run\n"


def test_what_it_depends_on_changes_the_digest(make: Make) -> None:
    """Each alone: an input's content, a new input, a command, the network, the environment."""
    digests = [
        make(step("true")).digest,
        make(step("true"), files=FILES | {"req.txt": "package 2\n"}).digest,
        make(step("true"), files=FILES | {"lock/b.lock": "b"}).digest,
        make(step("true # again")).digest,
        make(step("true"), step("true", name="more")).digest,
        make(step("true", network=True)).digest,
        make(step("true"), environment={"TZ": "UTC"}).digest,
        make(step("true"), tools=()).digest,
    ]
    assert len(set(digests)) == len(digests)
    assert make(step("true", timeout=5)).digest == digests[0]


def test_the_steps_run_in_order_in_one_folder(make: Make) -> None:
    """A later step builds on what an earlier one made."""
    made = make(step("echo 1 > made"), step("echo 2 >> made", name="second"))
    assert text(made, "made") == "1\n2\n"


@pytest.mark.parametrize(
    ("run", "failure"),
    [
        ("echo no such package; exit 1", FailureClass.DEPENDENCY_ERROR),
        ("no-such-installer", FailureClass.DEPENDENCY_ERROR),
        ("sleep 60", FailureClass.ENVIRONMENT_ERROR),
    ],
)
def test_a_failed_step_keeps_nothing(
    make: Make, tmp_path: Path, run: str, failure: FailureClass
) -> None:
    """Its class says why; the next try starts afresh, and no half environment is ever used."""
    for _ in range(2):
        with pytest.raises(PrepareFailed) as caught:
            make(step(f"touch half; {run}", timeout=1))
        assert caught.value.failure_class is failure
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_the_failure_shows_what_the_command_said(make: Make) -> None:
    """And that it had no network, which is the usual reason."""
    with pytest.raises(PrepareFailed) as caught:
        make(step("echo cannot resolve host >&2; exit 7"))
    assert caught.value.excerpt == "cannot resolve host"
    assert "exit 7" in str(caught.value)
    assert "no network" in str(caught.value)


def test_a_stop_is_no_failure_of_the_environment(make: Make) -> None:
    """Before a step, and during one."""
    looks = iter([False, False])
    for stop in (lambda: True, lambda: next(looks, True)):
        with pytest.raises(PrepareFailed) as caught:
            make(step("sleep 60"), should_stop=stop)
        assert caught.value.failure_class is FailureClass.INTERRUPTED


def test_two_at_the_same_time_make_it_once(opened: Repo, tmp_path: Path) -> None:
    """The second waits and takes what the first made; both get it whole."""
    count = step(f"echo run >> {tmp_path}/log; sleep 0.3; touch made")
    base = put(opened, FILES)
    shop = Workshop(sandbox=choose("none"), cache=tmp_path / "cache", limits=Limits())
    start = threading.Barrier(3)
    found: list[Prepared] = []

    def work() -> None:
        with Repo.open(tmp_path / "repo") as own:
            start.wait()
            found.append(prepare(own, base, [count], shop))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(prepared.reused for prepared in found) == [False, True, True]
    assert (tmp_path / "log").read_text() == "run\n"


def test_old_environments_can_be_forgotten(make: Make, tmp_path: Path) -> None:
    """All but those named, and what a killed process left; not one that is being made."""
    old, kept, busy = (make(step(f"touch {name}")) for name in ("old", "kept", "busy"))
    cache = tmp_path / "cache"
    (cache / f"unfinished-{old.digest}-x1" / "tree").mkdir(parents=True)
    with Lock(cache / f"{busy.digest}.lock"):
        assert forget(cache, [kept.digest]) == (old.digest,)
    left = {path.name for path in cache.iterdir() if path.is_dir()}
    assert left == {kept.digest, busy.digest}
    assert forget(tmp_path / "none", []) == ()


def ground(repo: Repo, tmp_path: Path, files: Mapping[str, str], layer: Path | None) -> Ground:
    """Where a check runs over a prepared environment, in the sandbox."""
    tree = put(repo, files)
    return Ground(
        repo=repo,
        tree=tree,
        base=tree,
        sandbox=choose("bwrap"),
        scratch=tmp_path / "scratch",
        limits=Limits(),
        layer=layer,
    )


def passes(on: Ground, run: str) -> bool:
    """Whether a command passes as a check."""
    report = run_checks([Check(name="c", run=run, kind="lint", reruns=0)], on)
    return report.passed


@pytest.mark.sandbox
def test_the_tree_appears_on_top_of_it_at_one_path(
    make: Make, opened: Repo, tmp_path: Path
) -> None:
    """What was made at /work is at /work when the checks run; the tree's own files win."""
    made = make(
        step("pwd > env.path; mkdir bin; echo 'echo tool' > bin/tool; chmod 700 bin/tool"),
        kind="bwrap",
    )
    on = ground(opened, tmp_path, FILES | {"req.txt": "package 2\n"}, made.folder)
    assert passes(on, 'test "$(cat env.path)" = "$(pwd)" && test "$(pwd)" = /work')
    assert passes(on, 'test "$(sh bin/tool)" = tool')
    assert passes(on, "grep -q 'package 2' req.txt && test -e src/app.py")
    without = {path: value for path, value in FILES.items() if path != "req.txt"}
    assert passes(ground(opened, tmp_path, without, made.folder), "test ! -e req.txt")
    assert not passes(ground(opened, tmp_path, FILES, None), "test -e env.path")


@pytest.mark.sandbox
def test_what_runs_on_top_cannot_change_it(make: Make, opened: Repo, tmp_path: Path) -> None:
    """Overwriting, adding and deleting stay in the folder of that one check."""
    made = make(step("mkdir bin; echo good > bin/tool"), kind="bwrap")
    on = ground(opened, tmp_path, FILES, made.folder)
    passes(on, "echo bad > bin/tool; touch bin/more; rm -rf bin")
    assert text(made, "bin/tool") == "good\n"
    assert passes(on, "grep -q good bin/tool && test ! -e bin/more")


@pytest.mark.sandbox
def test_the_network_is_there_only_by_policy(make: Make) -> None:
    """Without it there is no interface but the loopback; with it, those of the machine."""
    see = "cut -s -d: -f1 /proc/net/dev | tr -d ' ' | sort | tr '\\n' ' ' > made"
    names = [
        line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().split("\n")[2:-1]
    ]
    assert text(make(step(see), kind="bwrap"), "made").split() == ["lo"]
    assert text(make(step(see, network=True), kind="bwrap"), "made").split() == sorted(names)
