"""``lifeos verify``, area by area: what got past the loop is named, with the commit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from conftest import EMAIL, EPOCH
from lifeos.core.canonical import sha256, short_id
from lifeos.core.judge import judge
from lifeos.core.records import AttemptFacts, Claimed, Finished, Noted, Opened, Topic
from lifeos.core.state import Success
from lifeos.governance import governance_digest, load_set
from lifeos.initial import render_init
from lifeos.model import Mode, Stage, Usage, Verdict
from lifeos.store.entries import commit_message
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.store.trees import edit
from lifeos.tick.audit import Area
from loop_scene import Scene, begin_scene, governance_with
from test_verify import (
    LEDGER,
    findings,
    in_lifeos_name,
    one,
    resolved,
    steps_of,
    tampered,
    with_file,
    write,
)
from told import asked, landed, lifeos

MALLORY = "mallory@example.invalid"


@pytest.fixture
def scene(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run landed."""
    return landed(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


def named(scene: Scene, commit: str, what: str, area: Area) -> None:
    """Something is found at exactly this commit, says this, and is told under this area."""
    found = findings(scene)
    assert any((f.commit, f.area) == (commit, area) and what in f.what for f in found), found


def told(scene: Scene, code: int = 0) -> Any:
    """What `lifeos verify --json` says."""
    said = lifeos(scene.folder, "verify", "--json")
    assert said.code == code, said.out + said.err
    return said.data("verify")


# --- one table ----------------------------------------------------------------------------------


def test_every_area_was_really_looked_at(scene: Scene) -> None:
    """None of them is a word without a check behind it; the table is for people, too.

    Proposals and redactions are looked at where there are any: test_improve.py, test_redact.py.
    """
    areas = {one["area"]: one for one in told(scene)["areas"]}
    assert list(areas) == [area.value for area in Area]
    idle = [name for name, one in areas.items() if not one["checked"]]
    assert idle == [Area.PROPOSALS, Area.REDACTIONS]
    assert not any(one["found"] for one in areas.values())
    out = lifeos(scene.folder, "verify").out
    for area in Area:
        assert re.search(rf"^{area} +\d+ +0 +\w", out, re.MULTILINE), area
    assert "cannot be checked" in out
    assert "who used an approver's name, key or account" in out


def test_a_finding_counts_in_its_area(scene: Scene) -> None:
    """What is wrong with approvals is not wrong with budgets."""
    resolved(scene, who=MALLORY)
    areas = {one["area"]: one["found"] for one in told(scene, 1)["areas"]}
    assert areas["approvals"] > 0
    assert areas["stage order"] == areas["protected paths"] == areas["budgets"] == 0


# --- stage order --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"stage": "build"}, "is at design 1"),
        ({"n": 2}, "is at design 1"),
    ],
)
def test_a_stage_out_of_order(scene: Scene, change: dict[str, object], what: str) -> None:
    """No attempt begins anywhere but where its run stands."""
    place = one(steps_of(scene), "claimed", stage="design")
    commit = tampered(scene, place, lambda step: step.saying(**change))
    named(scene, commit, what, Area.STAGES)


def test_a_stage_left_out(scene: Scene) -> None:
    """A result that leads past the review leads nowhere."""
    place = one(steps_of(scene), "finished", stage="build")
    commit = tampered(scene, place, lambda step: step.saying(to="packet"))
    named(scene, commit, "cannot lead to packet", Area.STAGES)


# --- packets ------------------------------------------------------------------------------------


def test_a_packet_altered(scene: Scene) -> None:
    """The evidence of the run is what its end recorded."""
    place = one(steps_of(scene), "closed")
    path = packet_of(scene)
    commit = tampered(scene, place, lambda step: with_file(scene, step, path, b'{"x": 1}'))
    named(scene, commit, "is not what the record names", Area.PACKETS)


def test_a_packet_altered_later(scene: Scene) -> None:
    """Nor may any later transition change it."""
    steps = steps_of(scene)
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.at(repo, scene.tip())
        blob = repo.objects.write_blob(b'{"x": 1}')
        tree = edit(repo.objects, ledger.tree, {packet_of(scene): ("100644", blob)})
        last = steps[-1]
        note = Noted(at=last.at + 1, topic=Topic.RETRY, task="LO-x")
        message = commit_message(note, 0, "")
        repo.objects.flush()
    steps.append(replace(last, old="later", tree=tree, message=message, at=last.at + 1))
    made = write(scene, steps, renumber=True)
    named(scene, made["later"], f"it changes {packet_of(scene)}", Area.PACKETS)


def packet_of(scene: Scene) -> str:
    """The path of the packet of the run that landed."""
    paths = scene.git("ls-tree", "-r", "--name-only", LEDGER).split("\n")
    return next(path for path in paths if path.endswith("packet.json"))


# --- approvals ----------------------------------------------------------------------------------


def test_an_approval_forged(scene: Scene) -> None:
    """A file on main with the right words, by somebody who is no approver."""
    steps = steps_of(scene)
    record = steps[one(steps, "resolved")].record
    path = f".lifeos/queue/{record['item']}.approval.yaml"
    scene.git("checkout", "--quiet", "-B", "main", f"{record['commit']}^")
    forged = scene.commit({path: str(record["raw"])}, author=MALLORY, committer=MALLORY)
    named(scene, resolved(scene, commit=forged), f"was not brought by {EMAIL}", Area.APPROVALS)


# --- rules --------------------------------------------------------------------------------------


def change_rules(scene: Scene, who: str) -> str:
    """Somebody changes a limit on main. The commit."""
    change = scene.edit("policies/loop.yaml", "tasks_per_tick: 10", "tasks_per_tick: 9")
    return scene.commit(change, author=who, committer=who)


def test_a_change_of_rules_that_nobody_adopted(scene: Scene) -> None:
    """By somebody who may not, and no question was ever asked about it."""
    commit = change_rules(scene, MALLORY)
    scene.commit({"notes.md": "something else\n"})
    named(scene, commit, f"nobody adopted that, and {MALLORY} is no approver", Area.RULES)
    assert lifeos(scene.folder, "verify").code == 1


def test_a_change_of_rules_that_is_still_to_be_adopted(scene: Scene) -> None:
    """By an approver: that is no fault, only said."""
    change_rules(scene, EMAIL)
    assert any("the next tick adopts them" in note for note in told(scene)["notes"])
    assert "note: the rules on main" in lifeos(scene.folder, "verify").out


def test_a_change_of_rules_that_is_asked_about(scene: Scene) -> None:
    """The loop did what it has to do: nothing is found, and the question is named."""
    change_rules(scene, MALLORY)
    scene.tick()
    assert any(f"{scene.item().id} asks about them" in note for note in told(scene)["notes"])


def test_a_change_of_rules_that_lifeos_did_not_see(scene: Scene) -> None:
    """Whoever writes the ledger too cannot let it go on as if the rules had not changed."""
    place = one(steps_of(scene), "resolved")
    before = scene.git("rev-parse", "main")
    scene.git("checkout", "--quiet", "-B", "main", f"{steps_of(scene)[place].record['main']}")
    commit = change_rules(scene, MALLORY)
    scene.git("checkout", "--quiet", "-B", "main", before)
    tampered(scene, place, lambda step: step.saying(main=commit))
    named(scene, commit, "it changed the rules, nobody adopted that", Area.RULES)


# --- protected paths ----------------------------------------------------------------------------


@dataclass
class Forger:
    """Somebody who writes the ledger by hand, every record possible where it stands."""

    ledger: Ledger
    run: str

    def attempt(self, outcome: object, tree: str = "", **facts: object) -> None:
        """Claim the next attempt and say that it came to this."""
        state, at = self.ledger.snapshot.runs[self.run], self.ledger.snapshot.at
        n, stage = state.attempts + 1, state.stage
        nonce = sha256(f"forged {n}")[:32]
        self.ledger.append(
            Claimed(
                at=at,
                run=self.run,
                stage=stage,
                n=n,
                nonce=nonce,
                worker="",
                lease_until=at + 60,
                base=state.base,
            )
        )
        said = AttemptFacts.model_validate({"outcome": outcome, "tree": tree, **facts})
        rules = load_set(self.ledger.governance(state.governance)).governance
        assert rules is not None
        found = judge(self.ledger.snapshot.runs[self.run], stage, said, rules, at)
        record = Finished(
            at=at,
            run=self.run,
            stage=stage,
            n=n,
            nonce=nonce,
            facts=said,
            action=found.action,
            rule=found.rule,
            to=found.to,
            ask=found.ask,
            wake=found.wake,
        )
        folder = f"runs/{self.run}/{n}/tree"
        self.ledger.append(record, trees={folder: tree} if tree else None)


def forged_build(scene: Scene, files: Mapping[str, bytes]) -> None:
    """The ledger is cut back to before the build, and says that an attempt built these files."""
    steps = steps_of(scene)
    scene.git("checkout", "--quiet", "-B", "main", "main~1")  # before the question was shown there
    write(scene, steps[: one(steps, "claimed", stage="build")])
    with Repo.open(scene.folder) as repo:
        (repo.private_dir / "cache/state").unlink()
        ledger = Ledger.open(repo)
        assert ledger is not None
        (run,) = ledger.snapshot.runs.values()
        blobs = {path: ("100644", repo.objects.write_blob(data)) for path, data in files.items()}
        tree = edit(repo.objects, repo.objects.commit(run.base).tree, blobs)
        forger = Forger(ledger, run.id)
        forger.attempt(Success.OK, tree, paths=tuple(files), lines=1)
        forger.attempt(Verdict.ACCEPT, mode=Mode.M0)
        ledger.save()


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("policies/loop.yaml", "policies/loop.yaml: is governance"),
        (".github/workflows/x.yml", ".github/workflows/x.yml: is protected"),
        ("src/x.py", "src/x.py: is outside the task's scope"),
        ("docs/guide.md", ""),
    ],
)
def test_a_landing_that_touches_what_it_may_not(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, path: str, what: str
) -> None:
    """A record of a good build deceives the approver, and the work lands: all is in order but that.

    The last one may be touched: what is found is the path, not that the record was made by hand.
    """
    scene = asked(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")
    forged_build(scene, {path: b"# evil: 1\n"})
    scene.tick()
    scene.commit(dict(scene.answer()))
    scene.tick()
    assert scene.at_main(path) == "# evil: 1"
    noted = steps_of(scene)[one(steps_of(scene), "noted", topic="landing")].old
    if what:
        named(scene, noted, what, Area.PROTECTED)
    assert {one.area for one in findings(scene)} <= {Area.PROTECTED, Area.RULES}
    assert bool(findings(scene)) is bool(what)


def test_a_protected_path_that_a_person_accepted(tmp_path: Path) -> None:
    """They were asked about this very work, and said yes."""
    scene = begin_scene(tmp_path / "repo", {"envelope.protect": ["docs/**"]})
    for _ in range(2):
        scene.tick()
        scene.commit(dict(scene.answer()))
    scene.tick()
    assert scene.at_main("docs/guide.md") == "hello"
    areas = {one["area"]: one for one in told(scene)["areas"]}
    assert (areas["protected paths"]["checked"], areas["protected paths"]["found"]) == (1, 0)


# --- budgets ------------------------------------------------------------------------------------


def test_a_run_that_went_on_without_budget(scene: Scene) -> None:
    """The decision after the attempt is wrong, and so is what was begun after it."""
    steps = steps_of(scene)
    place = one(steps, "finished", stage="design")
    facts = steps[place].record["facts"]
    assert isinstance(facts, dict)
    dear = facts | {"usage": {"cost": 11.0, "seconds": 1.0}}
    steps[place] = steps[place].saying(facts=dear)
    made = write(scene, steps)
    named(scene, made[steps[place].old], "the rules say pause", Area.DECISIONS)
    named(scene, made[steps[place + 1].old], "although cost_per_run was used up", Area.BUDGETS)


def test_a_claim_that_sets_other_sums_aside(scene: Scene) -> None:
    """What is set aside follows from the rules."""
    place = one(steps_of(scene), "claimed", stage="build")
    commit = tampered(scene, place, lambda step: step.saying(reserved=2.0))
    named(scene, commit, "set $2.00 aside, and the rules want $0.00", Area.BUDGETS)


PAID = {
    "config.agents": dict.fromkeys(("design", "plan", "build", "review"), "command"),
    "config.command": {"run": "agent"},
    "config.providers": {"p": {"url": "https://models.example.invalid", "key_env": "KEY"}},
    "config.models": {"main": {"provider": "p", "id": "m", "price": {"input": 1, "output": 1}}},
    "loop.budgets.reserve_per_attempt": 1.0,
    "loop.budgets.open_runs": 2,
}


def paid_ledger(scene: Scene, settings: Mapping[str, object]) -> Ledger:
    """A ledger whose rules have agents that cost money; no run is open yet."""
    files = {
        **render_init("Test Person", EMAIL, "main", ()),
        **{k: v.encode() for k, v in governance_with({**PAID, **settings}).items()},
    }
    digest = governance_digest(files)
    assert load_set(files).governance is not None
    main = scene.commit(dict(files))
    with Repo.open(scene.folder) as repo:
        return Ledger.begin(repo, files=files, digest=digest, main=main, nonce="", at=EPOCH)


def opened(ledger: Ledger, task: str) -> str:
    """Open a run for a task. The transition."""
    snapshot = ledger.snapshot
    return ledger.append(
        Opened(
            at=snapshot.at,
            run=short_id("R", snapshot.root, task, 1),
            task=task,
            title=task,
            task_digest=sha256(task),
            ordinal=1,
            base="0" * 40,
            governance=snapshot.governance,
        )
    )


def claimed(ledger: Ledger, task: str, at: int = EPOCH) -> str:
    """Claim the next attempt of its run, with a dollar set aside. The transition."""
    run = ledger.snapshot.runs[short_id("R", ledger.snapshot.root, task, 1)]
    n = run.attempts + 1
    return ledger.append(
        Claimed(
            at=at,
            run=run.id,
            stage=run.stage,
            n=n,
            nonce=sha256(f"{task} {n}")[:32],
            worker="",
            lease_until=at + 60,
            reserved=1.0,
            base="0" * 40,
        )
    )


def finished(ledger: Ledger, task: str, cost: float) -> None:
    """Its design is done, and cost this much."""
    run = ledger.snapshot.runs[short_id("R", ledger.snapshot.root, task, 1)]
    assert run.claim is not None
    ledger.append(
        Finished(
            at=ledger.snapshot.at,
            run=run.id,
            stage=Stage.DESIGN,
            n=run.claim.n,
            nonce=run.claim.nonce,
            facts=AttemptFacts(outcome=Success.OK, usage=Usage(cost=cost)),
            action="advance",
            rule="success",
            to=Stage.DESIGN_REVIEW,
        )
    )


@pytest.fixture
def empty(tmp_path: Path) -> Scene:
    """A repository before its first tick."""
    return begin_scene(tmp_path / "repo")


@pytest.mark.parametrize("name", ["cost_per_day", "cost_per_month"])
def test_what_others_set_aside_counts(empty: Scene, name: str) -> None:
    """Two attempts side by side may together cost more than is left of the day, or month."""
    ledger = paid_ledger(empty, {f"loop.budgets.{name}": 1.5})
    opened(ledger, "LO-aaaaaa")
    opened(ledger, "LO-bbbbbb")
    claimed(ledger, "LO-aaaaaa")
    commit = claimed(ledger, "LO-bbbbbb")
    named(empty, commit, f"does not fit into {name}", Area.BUDGETS)


def test_what_was_spent_counts_until_the_day_is_over(empty: Scene) -> None:
    """On the next day there is room again."""
    ledger = paid_ledger(empty, {"loop.budgets.cost_per_day": 1.5})
    opened(ledger, "LO-aaaaaa")
    claimed(ledger, "LO-aaaaaa")
    finished(ledger, "LO-aaaaaa", 1.0)
    opened(ledger, "LO-bbbbbb")
    late = claimed(ledger, "LO-bbbbbb")
    next_day = claimed(ledger, "LO-aaaaaa", EPOCH + 86_400)
    found = {one.commit for one in findings(empty) if one.area is Area.BUDGETS}
    assert late in found
    assert next_day in found, "what the other one has set aside is still open"
    named(empty, late, "does not fit into cost_per_day", Area.BUDGETS)


def test_more_runs_than_may_be_open(empty: Scene) -> None:
    """The most that the adopted rules allow."""
    ledger = paid_ledger(empty, {})
    opened(ledger, "LO-aaaaaa")
    opened(ledger, "LO-bbbbbb")
    commit = opened(ledger, "LO-cccccc")
    named(empty, commit, "was opened beside 2 others", Area.BUDGETS)


# --- commits on main ----------------------------------------------------------------------------


def test_commits_that_did_not_come_through_lifeos_are_told(scene: Scene) -> None:
    """People may write on main: that is no finding, but who wants to know is told which."""
    first = scene.commit({"notes.md": "by hand\n"}, "--message=A note")
    data = told(scene)
    assert [(one["commit"], one["email"]) for one in data["outside"]] == [(first, EMAIL)]
    assert data["findings"] == []
    out = lifeos(scene.folder, "verify").out
    assert "1 commit on main did not come through lifeos" in out
    assert first[:12] in out


@pytest.mark.parametrize("who", ["author", "committer"])
def test_a_commit_that_half_pretends(scene: Scene, who: str) -> None:
    """One of the two names is enough to look as if lifeos had a part in it."""
    names = {"author": EMAIL, "committer": EMAIL, who: "lifeos@localhost"}
    files = {"src/evil.py": "x = 1\n"}
    commit = scene.commit(files, author=names["author"], committer=names["committer"])
    named(scene, commit, "the ledger knows nothing of it", Area.MAIN)


def test_a_commit_smuggled_past_the_loop(scene: Scene) -> None:
    """In lifeos's name, with the name of a real transition."""
    commit = in_lifeos_name(scene, {"src/evil.py": "x = 1\n"})
    named(scene, commit, "it changes src/evil.py, and no run landed it", Area.MAIN)
