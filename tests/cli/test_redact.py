"""``lifeos redact``: content goes out of the whole ledger, and the rest is still proved."""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from command_line import BOB, TASK, Project, asking, project
from conftest import EMAIL
from lifeos.core.canonical import sha256
from lifeos.model import Decision
from loop_scene import BACKLOG, begin_scene
from redact_scene import (
    NOTE,
    accept,
    blob_at,
    cut_short,
    is_gone,
    landed,
    paths_at,
    redact,
    rejected,
    run_of,
    verified,
)
from test_verify import LEDGER, one, steps_of


def later(*values: object) -> list[ParameterSet]:
    """Variants for the long campaigns only."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.long)
        for value in values
    ]


@pytest.fixture
def scene(tmp_path: Path) -> Project:
    """A repository in which a run landed."""
    return project(tmp_path, "redact-landed", landed)


# --- it goes, and the rest is proved --------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["plan.md", *later("checks.json", "review.json", "packet.md", "design.md")]
)
def test_what_an_attempt_left(scene: Project, name: str) -> None:
    """The content is nowhere any more; each transition is there, and verify says what is not."""
    run = run_of(scene)
    steps = steps_of(scene)
    n = next(
        int(str(step.record["n"]))
        for step in steps
        if step.record["kind"] == "finished" and name in str(step.record.get("evidence"))
    )
    blob = blob_at(scene, f"runs/{run}/{n}/{name}")
    content = scene.git("cat-file", "blob", blob)
    data = redact(scene, f"{run}:{n}", name)
    assert data["gone"][0]["still_here"] == ""
    assert (data["gone"][0]["blob"], data["gone"][0]["who"]) == (blob, EMAIL)
    is_gone(scene, blob)
    now = steps_of(scene)
    assert [step.message for step in now[:-1]] == [step.message for step in steps]
    found = verified(scene)
    assert found["transitions"] == len(steps) + 1
    (note,) = found["notes"]
    assert note.startswith(f"redacted by {EMAIL} on ")
    assert f"runs/{run}/{n}/{name}" in note
    assert NOTE in note
    assert {a["area"]: a["checked"] for a in found["areas"]}["redactions"] == 1
    shown = scene.cli("show", run, str(n), name).out
    assert NOTE in shown
    assert content not in shown
    assert scene.git("log", "-1", "--format=%an %ae", data["gone"][0]["order"]).endswith(EMAIL)


@pytest.mark.parametrize("name", ["packet.json", *later("packet.md")])
def test_a_packet(scene: Project, name: str) -> None:
    """Evidence may go, too, where it must: it is said, and nothing else is doubted for it."""
    blob = blob_at(scene, next(p for p in paths_at(scene) if p.endswith(f"/{name}")))
    redact(scene, blob)
    is_gone(scene, blob)
    verified(scene)


def test_a_question_and_the_text_of_a_task(scene: Project) -> None:
    """What people wrote can be too much as well; a question is on main also, so there it stays."""
    run = run_of(scene)
    task = blob_at(scene, f"runs/{run}/task.md")
    redact(scene, task)
    is_gone(scene, task)
    verified(scene)
    item = steps_of(scene)[one(steps_of(scene), "held")].record["item"]
    question = blob_at(scene, f"queue/{item}.md")
    assert "refs/heads/main has it too" in redact(scene, question, code=2)


def test_a_file_of_refused_work(tmp_path: Path) -> None:
    """It never reached main: the kept work has a placeholder, and all else of it is proved."""
    scene = project(tmp_path, "redact-rejected", rejected)
    run = run_of(scene)
    blob = blob_at(scene, f"runs/{run}/5/tree/docs/guide.md")
    assert f"refs/lifeos/run/{run}" in scene.refs()
    data = redact(scene, blob)
    assert data["gone"][0]["paths"] == [f"runs/{run}/5/tree/docs/guide.md"]
    assert f"refs/lifeos/run/{run}" not in scene.refs()
    is_gone(scene, blob)
    verified(scene)
    assert "+This was redacted" in scene.cli("show", run, "5", "patch.diff").out


@pytest.mark.long
def test_the_backlog_of_refused_work(tmp_path: Path) -> None:
    """Then what its question was about cannot be computed any more: it is said, and no finding."""
    begun = begin_scene(tmp_path / "repo", backlog=BACKLOG.replace("> docs", ">> BACKLOG.md #"))
    scene = Project(begun.folder, begun.now, begun.nonces)
    scene.tick()
    scene.commit(dict(scene.answer(Decision.REJECT, "no")))
    scene.tick()
    blob = blob_at(scene, f"runs/{run_of(scene)}/5/tree/BACKLOG.md")
    redact(scene, blob)
    is_gone(scene, blob)
    unchecked = verified(scene)["unchecked"]
    assert "questions about work whose backlog was redacted" in str(unchecked)


@pytest.mark.long
def test_an_earlier_attempt_of_what_landed(tmp_path: Path) -> None:
    """What was mended before it landed is gone; each line that landed still has its origin."""
    text = 'echo "try $LIFEOS_ATTEMPT" > docs/guide.md && echo hello >> docs/guide.md'
    backlog = BACKLOG.replace("echo hello > docs/guide.md", text)
    begun = begin_scene(tmp_path / "repo", backlog=backlog)
    scene = Project(begun.folder, begun.now, begun.nonces)
    scene.tick()
    scene.commit(dict(scene.answer(Decision.REVISE, "again")))
    scene.tick()
    scene.commit(dict(scene.answer()))
    scene.tick()
    blob = blob_at(scene, f"runs/{run_of(scene)}/5/tree/docs/guide.md")
    redact(scene, blob)
    is_gone(scene, blob)
    verified(scene)
    told = scene.cli("why", "docs/guide.md", "--json").out
    assert "cannot be told" not in told


@pytest.mark.long
def test_the_loop_goes_on(tmp_path: Path) -> None:
    """A task that ended before is tried again from what its run left, though all has new ids."""
    scene = project(tmp_path, "redact-rejected", rejected)
    run = run_of(scene)
    redact(scene, f"{run}:2", "review.json")
    scene.cli("retry", TASK, "--from", "build")
    scene.cli("tick")
    second = run_of(scene)
    assert second != run
    assert "design.md" in scene.cli("show", second, "--artifact", "nope", code=2).err
    scene.cli("approve", TASK)
    scene.cli("tick")
    assert scene.at_main("docs/guide.md") == "hello"
    verified(scene)
    scene.cli("revert", TASK)
    verified(scene)


def test_twice(scene: Project) -> None:
    """What was written anew is written anew again, before or after the first; both are proved."""
    run = run_of(scene)
    named = ((3, "plan.md"), (1, "design.md"), (5, "checks.json"))
    blobs = [blob_at(scene, f"runs/{run}/{n}/{name}") for n, name in named]
    for n, name in named:
        redact(scene, f"{run}:{n}", name)
    for blob in blobs:
        is_gone(scene, blob)
    assert "was redacted already" in redact(scene, f"{run}:3", "plan.md", code=2)
    found = verified(scene)
    assert len(found["notes"]) == 3


def test_the_same_again(tmp_path: Path) -> None:
    """What was redacted is made once more, by another run: then it is redacted once more."""
    scene = project(tmp_path, "redact-rejected", rejected)
    blob = blob_at(scene, f"runs/{run_of(scene)}/5/tree/docs/guide.md")
    redact(scene, blob)
    assert "was redacted already" in redact(scene, blob, code=2)
    scene.cli("retry", TASK)
    scene.cli("tick")
    verified(scene)
    scene.cli("reject", TASK, "-m", "no")
    scene.cli("tick")
    redact(scene, blob)
    is_gone(scene, blob)
    assert len(verified(scene)["notes"]) == 2


@pytest.mark.long
def test_the_same_content_twice(tmp_path: Path) -> None:
    """Content goes wherever the ledger has it."""
    begun = begin_scene(tmp_path / "repo")
    scene = Project(begun.folder, begun.now, begun.nonces)
    scene.tick()
    scene.commit(dict(scene.answer(Decision.REVISE, "once more")))
    scene.tick()
    scene.commit(dict(scene.answer(Decision.REJECT, "no")))
    scene.tick()
    run = run_of(scene)
    blob = blob_at(scene, f"runs/{run}/5/tree/docs/guide.md")
    paths = redact(scene, blob)["gone"][0]["paths"]
    assert len(paths) > 1
    is_gone(scene, blob)
    verified(scene)


def test_a_dry_run_changes_nothing(scene: Project) -> None:
    """It says what would go."""
    run, refs = run_of(scene), scene.refs()
    said = scene.cli("redact", f"{run}:3", "plan.md", "--dry-run").out
    assert f"runs/{run}/3/plan.md" in said
    assert "nothing has changed yet" in said
    assert scene.refs() == refs


# --- what people see afterwards -------------------------------------------------------------------


def test_show_says_what_is_redacted(scene: Project) -> None:
    """The attempt names it; the file itself says who and why."""
    run = run_of(scene)
    redact(scene, f"{run}:3", "plan.md")
    assert "redacted since, as each of them says: plan.md" in scene.cli("show", run, "3").out
    assert scene.cli("show", f"{run}:3", "--json").data["redacted"] == ["plan.md"]
    assert scene.cli("show", f"{run}:1", "--json").data["redacted"] == []
    said = scene.cli("show", run, "3", "plan.md").out
    assert "This was redacted" in said
    assert f"why: {NOTE}" in said


LOOKING = (
    "status|report|metrics --all|why docs/guide.md|backtest --policies policies|improve --dry-run",
    "status|board|next|queue|log|report --md|doctor --offline|export questions.bundle|verify",
)


@pytest.mark.parametrize(("commands", "here"), [(LOOKING[0], False), *later((LOOKING[1], True))])
def test_everything_works_afterwards(
    scene: Project, tmp_path: Path, commands: str, here: bool
) -> None:
    """Also by the ids that were written down before: on main, in a cache, by a person."""
    run, old = run_of(scene), scene.tip()
    scene.cli("report")  # what it remembers is of the ledger as it was
    (report,) = (scene.folder / ".git/lifeos").glob("report.html")
    anchor = scene.git("log", "-1", "--format=%(trailers:key=Lifeos-Ledger,valueonly)", "main")
    redact(scene, f"{run}:3", "plan.md")
    assert not report.exists()
    scene.git("gc", "--quiet", "--prune=now")
    assert scene.git("cat-file", "--batch-check", stdin=old) == f"{old} missing"
    at = scene.folder if here else tmp_path / "clone"
    if not here:
        scene.git("clone", "--quiet", "--no-local", str(scene.folder), str(at))
        scene.git("-C", str(at), "branch", "--quiet", "lifeos/ledger", "origin/lifeos/ledger")
    for command in commands.split("|"):
        said = scene.cli(*command.split(), at=at, code=None)
        assert said.code == 0 or command == "doctor --offline", said.err + said.out
    (_, *then) = scene.git("rev-list", LEDGER).split()
    assert scene.cli("show", old, "--json", at=at).data["commit"] == then[0]
    ledger = scene.cli("status", "--at", anchor.strip(), "--json", at=at).data["ledger"]
    assert ledger in then[1:]
    named = scene.cli("status", "--at", "main~1", "--json", at=at).data["ledger"]
    assert named == ledger
    asked = scene.git("log", "-1", "--format=%H", "--grep=question waits", "main")
    told = scene.cli("why", "BACKLOG.md:5", "--at", asked, "--json", at=at)
    assert '"via": "bookkeeping"' in told.out


@pytest.mark.long
def test_a_plan_that_was_redacted_is_no_plan(tmp_path: Path) -> None:
    """Nothing is built by a placeholder: the task can only be tried again from before it."""
    scene = project(tmp_path, "redact-rejected", rejected)
    run = run_of(scene)
    redact(scene, f"{run}:3", "plan.md")
    scene.cli("retry", TASK, "--from", "build", code=2)
    scene.cli("retry", TASK, "--from", "plan")
    scene.cli("tick")
    assert "plan" in [step.record.get("stage") for step in steps_of(scene)[-20:]]
    verified(scene)


# --- cut short ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "moved"),
    [
        ("ref:after:refs/heads/lifeos/ledger", True),
        *later(
            ("ref:before:refs/heads/lifeos/ledger", False), ("ref:after:refs/lifeos/seen", True)
        ),
    ],
)
def test_it_dies_on_the_way(scene: Project, event: str, moved: bool) -> None:
    """A tick works at once; the same command, or ``--accept``, finishes it; nothing is twice."""
    run = run_of(scene)
    blob = blob_at(scene, f"runs/{run}/3/plan.md")
    before = scene.tip()
    cut_short(scene, event, f"{run}:3", "plan.md")
    assert (scene.tip() != before) is moved
    scene.cli("tick")
    found = verified(scene)
    assert scene.git("cat-file", "-t", blob) == "blob"
    if moved:
        assert "this clone still has it: lifeos redact --accept" in found["notes"][0]
        assert "lifeos redact --accept" in redact(scene, f"{run}:3", "plan.md", code=2)
        assert accept(scene)["gone"][0]["still_here"] == ""
    else:
        redact(scene, f"{run}:3", "plan.md")
    is_gone(scene, blob)
    assert "still has it" not in verified(scene)["notes"][0]
    orders = scene.git("log", "--format=%H", "--grep=Lifeos-Redacts: ", "main").split()
    assert len(orders) == 1


def test_while_a_tick_is_at_work(scene: Project) -> None:
    """It waits its turn, and says so."""
    from lifeos.store.lock import Lock

    with Lock(scene.folder / ".git/lifeos/tick.lock", timeout=0):
        refs = scene.refs()
        redact(scene, f"{run_of(scene)}:3", "plan.md", code=75)
        assert scene.refs() == refs


# --- what git has besides -------------------------------------------------------------------------


def test_what_the_person_has_of_it(scene: Project) -> None:
    """An index, or a commit that is checked out, is theirs: then nothing is done."""
    run = run_of(scene)
    blob = blob_at(scene, f"runs/{run}/3/plan.md")
    refs = scene.refs()
    scene.git("update-index", "--add", "--cacheinfo", f"100644,{blob},plan.md")
    assert "the index of a work tree" in redact(scene, blob, code=2)
    scene.git("read-tree", "HEAD")
    assert scene.refs() == refs
    scene.git("branch", "mine", "lifeos/ledger")
    assert "refs/heads/mine" in redact(scene, blob, code=2)
    scene.git("branch", "-D", "--quiet", "mine")
    redact(scene, blob)
    is_gone(scene, blob)


def test_former_places_that_keep_it(scene: Project) -> None:
    """What git keeps for the person is not thrown away; it is said, and can be finished."""
    run = run_of(scene)
    blob = blob_at(scene, f"runs/{run}/3/plan.md")
    scene.git("checkout", "--quiet", "--detach", "lifeos/ledger~1")
    scene.git("checkout", "--quiet", "main")
    said = redact(scene, blob)["gone"][0]["still_here"]
    assert "git reflog" in said
    verified(scene)
    scene.git("reflog", "expire", "--expire=all", "--expire-unreachable=all", "HEAD")
    assert accept(scene)["gone"][0]["still_here"] == ""
    is_gone(scene, blob)


@pytest.mark.long
def test_a_bundle_that_was_set_aside(scene: Project) -> None:
    """A copy among lifeos's own files is named."""
    run = run_of(scene)
    blob = blob_at(scene, f"runs/{run}/3/plan.md")
    place = scene.folder / ".git/lifeos/quarantine/R-1.3"
    place.mkdir(parents=True)
    content = scene.git("cat-file", "blob", blob) + "\n"
    (place / "plan.md").write_text(content)
    left = redact(scene, blob)["left"]
    assert any("quarantine/R-1.3/plan.md is a copy" in line for line in left), left


# --- what is refused ------------------------------------------------------------------------------


def test_what_cannot_be_taken_out(scene: Project) -> None:
    """Without these nothing could be replayed, or it is not the ledger's alone."""
    tip = scene.tip()
    rules = next(p for p in paths_at(scene) if p.startswith("governance/"))
    ending = next(p for p in paths_at(scene) if p.startswith("closed/"))
    for path in (rules, ending):
        why = redact(scene, blob_at(scene, path, LEDGER), code=2)
        assert "what the ledger works with" in why or "has it too" in why
    run = run_of(scene)
    work = blob_at(scene, f"runs/{run}/5/tree/docs/guide.md")
    assert "refs/heads/main has it too" in redact(scene, work, code=2)
    assert "has no file 'nope'" in redact(scene, f"{run}:3", "nope", code=2)
    own = scene.git("hash-object", "-w", "--stdin", stdin="not in the ledger\n")
    assert "the ledger has no file" in redact(scene, own, code=2)
    folder = scene.git("rev-parse", f"{LEDGER}^{{tree}}")
    assert "there is no file with the id" in redact(scene, folder, code=2)
    assert scene.tip() == tip


def test_an_open_run(tmp_path: Path) -> None:
    """It works with what it has made."""
    scene = project(tmp_path, "asking", asking)
    run = scene.run().id
    assert "which is open" in redact(scene, f"{run}:3", "plan.md", code=2)


def test_who_may_not(scene: Project) -> None:
    """An order is an approver's."""
    run, refs = run_of(scene), scene.refs()
    said = scene.cli("redact", f"{run}:3", "plan.md", "--note", NOTE, code=4, email=BOB)
    assert "not an approver" in said.err
    assert scene.refs() == refs


@pytest.mark.parametrize(
    "args",
    [(), ("R-00000000:1", "plan.md"), ("--accept", "x"), ("--accept",), (TASK,)],
    ids=range(5),
)
def test_what_people_mistype(scene: Project, args: tuple[str, ...]) -> None:
    """Exit 2, with the next action."""
    assert "fix:" in scene.cli("redact", *args, code=2).err


def test_without_a_reason(scene: Project) -> None:
    """Whoever looks for it later is told why."""
    assert "say why" in scene.cli("redact", f"{run_of(scene)}:3", "plan.md", code=2).err


def test_the_content_of_the_digest_is_what_was_there(scene: Project) -> None:
    """Whoever still has the content can prove with it what it was."""
    run = run_of(scene)
    blob = blob_at(scene, f"runs/{run}/3/plan.md")
    content = scene.git("cat-file", "blob", blob) + "\n"
    data = redact(scene, f"{run}:3", "plan.md")
    assert data["gone"][0]["digest"] in (sha256(content), sha256(content.rstrip("\n")))
