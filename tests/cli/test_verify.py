"""``lifeos verify``: whatever is altered after the fact is named, with the commit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from conftest import EMAIL
from lifeos.core.records import PREFIX, Noted, Topic
from lifeos.core.state import Snapshot
from lifeos.governance import governance_digest
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.store.trees import edit
from lifeos.tick.reading import governance_files
from lifeos.tick.verify import Finding, main_of, verify_ledger
from loop_scene import Scene
from told import landed, lifeos

LEDGER = "refs/heads/lifeos/ledger"


@dataclass(frozen=True)
class Step:
    """One transition before it is written again. ``at`` is the commit's time."""

    old: str
    tree: str
    message: str
    at: int

    @property
    def record(self) -> dict[str, object]:
        """Its record, as JSON has it."""
        line = next(line for line in self.message.split("\n") if line.startswith(PREFIX))
        value = json.loads(line.removeprefix(PREFIX))
        assert isinstance(value, dict)
        return value

    def saying(self, **changes: object) -> Step:
        """The same with some values of the record replaced."""
        old = next(line for line in self.message.split("\n") if line.startswith(PREFIX))
        value = json.dumps({**self.record, **changes}, sort_keys=True, separators=(",", ":"))
        return replace(self, message=self.message.replace(old, PREFIX + value))


Steps = list[Step]


@pytest.fixture
def scene(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run landed."""
    return landed(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


def steps_of(scene: Scene) -> Steps:
    """The transitions, oldest first."""
    with Repo.open(scene.folder) as repo:
        oids = scene.git("rev-list", "--reverse", LEDGER).split()
        commits = [repo.objects.commit(oid) for oid in oids]
        return [Step(c.oid, c.tree, c.message, c.committer.when) for c in commits]


def write(scene: Scene, steps: Steps, *, renumber: bool = False) -> dict[str, str]:
    """Put these transitions in place of the ledger, as whoever can push could. New ids by old."""
    made: dict[str, str] = {}
    parents: tuple[str, ...] = ()
    with Repo.open(scene.folder) as repo:
        for number, step in enumerate(steps, 1):
            message = step.message
            if renumber:
                head, _, _ = message.rpartition("Lifeos-Seq: ")
                message = f"{head}Lifeos-Seq: {number}\n"
            made[step.old] = repo.objects.write_commit(step.tree, parents, message, when=step.at)
            parents = (made[step.old],)
        repo.objects.flush()
    scene.git("update-ref", LEDGER, parents[0])
    scene.git("update-ref", "-d", "refs/lifeos/seen")
    return made


def findings(scene: Scene) -> tuple[Finding, ...]:
    """What verify finds."""
    with Repo.open(scene.folder) as repo:
        tip = repo.refs.read(LEDGER)
        assert tip is not None
        return verify_ledger(repo, tip, main_of(repo, tip)).findings


def named(scene: Scene, commit: str, what: str) -> None:
    """Something is found at exactly this commit, and says this."""
    found = findings(scene)
    assert any(one.commit == commit and what in one.what for one in found), found


def one(steps: Steps, kind: str, **values: object) -> int:
    """The place of the first transition of a kind with these values."""
    for place, step in enumerate(steps):
        record = step.record
        if record["kind"] == kind and all(record.get(key) == v for key, v in values.items()):
            return place
    raise AssertionError(f"no {kind} {values}")


def tampered(scene: Scene, place: int, change: Callable[[Step], Step]) -> str:
    """One transition changed; the ones after it stay on top. The new commit."""
    steps = steps_of(scene)
    steps[place] = change(steps[place])
    made = write(scene, steps)
    return made[steps[place].old]


def with_file(scene: Scene, step: Step, path: str, data: bytes) -> Step:
    """A transition whose tree has other content at a path."""
    with Repo.open(scene.folder) as repo:
        blob = repo.objects.write_blob(data)
        tree = edit(repo.objects, step.tree, {path: ("100644", blob)})
        repo.objects.flush()
    return replace(step, tree=tree)


# --- what is as it claims -----------------------------------------------------------------------


def test_an_honest_ledger_is_good(scene: Scene) -> None:
    """Nothing is found where nothing was altered, and everything was really looked at."""
    said = lifeos(scene.folder, "verify", "--json")
    data = said.data("verify")
    assert said.code == 0, data
    assert data["good"]
    assert data["findings"] == []
    assert data["transitions"] == len(steps_of(scene))
    assert data["decisions"] == 7
    assert data["answers"] == data["landings"] == 1
    assert data["artifacts"] > 7


def test_a_bare_clone_is_enough(scene: Scene, tmp_path: Path) -> None:
    """What lifeos claims can be checked by anybody who has the commits, without a work tree."""
    bare = tmp_path / "bare.git"
    scene.git("clone", "--quiet", "--bare", str(scene.folder), str(bare))
    said = lifeos(bare, "verify")
    assert said.code == 0, said.out
    assert re.search(r"^landings +1 +0 +landings, merged again$", said.out, re.MULTILINE)
    assert "good" in said.out


def test_a_clone_without_the_branch_says_how_to_get_it(scene: Scene, tmp_path: Path) -> None:
    """An ordinary clone has the ledger as a remote branch: the error has the command."""
    clone = tmp_path / "clone"
    scene.git("clone", "--quiet", str(scene.folder), str(clone))
    said = lifeos(clone, "verify")
    assert said.code == 2
    assert "git branch lifeos/ledger origin/lifeos/ledger" in said.err


def test_a_finding_is_exit_1_with_the_commit(scene: Scene) -> None:
    """People and CI see a finding without reading JSON."""
    place = one(steps_of(scene), "finished", stage="build")
    commit = tampered(scene, place, lambda step: step.saying(rule="council:M2"))
    said = lifeos(scene.folder, "verify")
    assert said.code == 1
    assert commit in said.out
    assert "next:" in said.out


# --- records ------------------------------------------------------------------------------------


def test_a_decision_that_the_rules_would_not_have_taken(scene: Scene) -> None:
    """The decision is taken again on the recorded facts, and compared."""
    place = one(steps_of(scene), "finished", stage="build")
    commit = tampered(scene, place, lambda step: step.saying(rule="retries_left"))
    named(scene, commit, "advance by retries_left was recorded; the rules say advance by success")


def test_facts_that_allow_no_such_decision(scene: Scene) -> None:
    """A verdict turned round does not lead where it led."""
    place = one(steps_of(scene), "finished", stage="design_review")
    commit = tampered(scene, place, lambda step: step.saying(facts={"outcome": "revise"}))
    named(scene, commit, "advance may not follow revise")


def test_a_transition_dropped(scene: Scene) -> None:
    """The next one is not the number that it says."""
    steps = steps_of(scene)
    place = one(steps, "held")
    gone = steps.pop(place)
    made = write(scene, steps)
    assert gone.old not in made
    named(scene, made[steps[place].old], "not possible where it stands")


def test_a_transition_dropped_that_nothing_depends_on(scene: Scene) -> None:
    """Also where the rest is still possible: the count tells."""
    steps = steps_of(scene)
    first, second = one(steps, "held"), one(steps, "resolved")
    assert second == first + 1
    del steps[first : second + 1]
    made = write(scene, steps)
    named(scene, made[steps[first].old], "something was dropped, put in or reordered")


def test_two_transitions_reordered(scene: Scene) -> None:
    """An answer before its question is not possible."""
    steps = steps_of(scene)
    place = one(steps, "held")
    steps[place], steps[place + 1] = steps[place + 1], steps[place]
    made = write(scene, steps, renumber=True)
    named(scene, made[steps[place].old], "not possible where it stands")


def test_a_rewound_ledger_that_this_clone_has_seen(scene: Scene) -> None:
    """The clone remembers the tip that it saw last."""
    seen = scene.git("rev-parse", "refs/lifeos/seen")
    scene.git("update-ref", LEDGER, f"{LEDGER}~2")
    named(scene, seen, "this clone has seen")


def test_a_rewound_ledger_that_main_names(scene: Scene) -> None:
    """A clone that never saw it has main, whose commits name the tips that they followed from."""
    scene.git("update-ref", "-d", "refs/lifeos/seen")
    scene.git("update-ref", LEDGER, f"{LEDGER}~4")
    named(scene, scene.git("rev-parse", "main"), "which the ledger lacks")


def test_a_copied_claim(scene: Scene) -> None:
    """Two claims with one nonce could both have won."""
    steps = steps_of(scene)
    first = one(steps, "claimed", stage="design")
    second = one(steps, "claimed", stage="plan")
    nonce = steps[first].record["nonce"]
    for place in (second, second + 1):
        steps[place] = steps[place].saying(nonce=nonce)
    made = write(scene, steps)
    named(scene, made[steps[second].old], "a copied claim")


def test_a_transition_by_somebody_else(scene: Scene) -> None:
    """Only lifeos writes the ledger."""
    tree = scene.git("rev-parse", f"{LEDGER}^{{tree}}")
    message = scene.git("log", "-1", "--format=%B", LEDGER)
    commit = scene.git("commit-tree", "-p", f"{LEDGER}~1", "-m", message, tree)
    scene.git("update-ref", LEDGER, commit)
    named(scene, commit, "not made by lifeos")


def test_a_torn_record(scene: Scene) -> None:
    """What cannot be read is a finding with its commit, not a crash."""
    place = one(steps_of(scene), "held")
    commit = tampered(
        scene, place, lambda step: replace(step, message=step.message.replace(PREFIX, "x: "))
    )
    named(scene, commit, "has 0 records")
    assert lifeos(scene.folder, "verify").code == 1


# --- trees --------------------------------------------------------------------------------------


def test_an_altered_artifact(scene: Scene) -> None:
    """An artifact must have the digest that its record names."""
    steps = steps_of(scene)
    place = one(steps, "finished", stage="plan")
    path = f"runs/{steps[place].record['run']}/{steps[place].record['n']}/plan.md"
    commit = tampered(scene, place, lambda step: with_file(scene, step, path, b"another plan"))
    named(scene, commit, "plan.md is not what the record names")


def test_an_artifact_altered_later(scene: Scene) -> None:
    """A later transition may not change what an earlier one left."""
    steps = steps_of(scene)
    place = one(steps, "claimed", stage="build")
    path = f"runs/{steps[place].record['run']}/3/plan.md"
    commit = tampered(scene, place, lambda step: with_file(scene, step, path, b"another plan"))
    named(scene, commit, f"it changes {path}, which a claimed does not")


def test_another_work_tree(scene: Scene) -> None:
    """The kept work is the one that was judged."""
    steps = steps_of(scene)
    place = one(steps, "finished", stage="build")
    path = f"runs/{steps[place].record['run']}/5/tree/docs/guide.md"
    commit = tampered(scene, place, lambda step: with_file(scene, step, path, b"evil"))
    named(scene, commit, "tree is not the work tree that the record names")


def test_another_task_text(scene: Scene) -> None:
    """What was asked is what the digest stands for."""
    steps = steps_of(scene)
    place = one(steps, "opened")
    path = f"runs/{steps[place].record['run']}/task.md"
    text = b"- [ ] **LO-aaaaaa** Something else\n"
    commit = tampered(scene, place, lambda step: with_file(scene, step, path, text))
    named(scene, commit, "is not the task that the record names")


@pytest.mark.parametrize(
    ("name", "what"),
    [("packet.json", "is not what the record names"), ("packet.md", "does not say what")],
)
def test_an_altered_packet(scene: Scene, name: str, what: str) -> None:
    """Both forms of the evidence are checked, for programs and for people."""
    place = one(steps_of(scene), "closed")
    path = scene.git("ls-tree", "-r", "--name-only", LEDGER).split("\n")
    packet = next(one for one in path if one.endswith(name))
    commit = tampered(scene, place, lambda step: with_file(scene, step, packet, b"all is well"))
    named(scene, commit, what)


def test_an_altered_end(scene: Scene) -> None:
    """What decides whether a task may be tried again follows from its run."""
    place = one(steps_of(scene), "closed")
    path = next(
        one
        for one in scene.git("ls-tree", "-r", "--name-only", LEDGER).split("\n")
        if one.startswith("closed/")
    )
    commit = tampered(scene, place, lambda step: with_file(scene, step, path, b"{}"))
    named(scene, commit, "does not say how")


def test_an_altered_state(scene: Scene) -> None:
    """A stored snapshot must follow from the records."""
    place = one(steps_of(scene), "held")
    state = Snapshot(stop=True).model_dump_json().encode()
    commit = tampered(scene, place, lambda step: with_file(scene, step, "state.json", state))
    named(scene, commit, "state.json does not follow")


def test_an_unreadable_state(scene: Scene) -> None:
    """Garbage in its place is a finding, not a crash."""
    place = one(steps_of(scene), "held")
    commit = tampered(scene, place, lambda step: with_file(scene, step, "state.json", b"\xff{"))
    named(scene, commit, "state.json does not follow")


def test_an_unreadable_state_at_the_end(scene: Scene) -> None:
    """Also where every other command would begin with it."""
    place = len(steps_of(scene)) - 1
    commit = tampered(scene, place, lambda step: with_file(scene, step, "state.json", b"{"))
    (scene.folder / ".git/lifeos/cache/state").unlink()
    said = lifeos(scene.folder, "verify")
    assert said.code == 1
    assert commit in said.out
    assert lifeos(scene.folder, "log").code == 1


def test_a_missing_object(scene: Scene) -> None:
    """What a damaged disk took away is a finding with its commit, and the rest is still checked."""
    steps = steps_of(scene)
    step = steps[one(steps, "finished", stage="plan")]
    blob = scene.git("rev-parse", f"{step.old}:runs/{step.record['run']}/3/plan.md")
    (scene.folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    named(scene, step.old, f"{blob} is missing")
    said = lifeos(scene.folder, "verify")
    assert said.code == 1
    assert re.search(r"^landings +1 +0 ", said.out, re.MULTILINE)


def test_a_missing_transition(scene: Scene) -> None:
    """A hole in the history is exit 1 too, not a failure of lifeos."""
    commit = steps_of(scene)[3].old
    (scene.folder / ".git/objects" / commit[:2] / commit[2:]).unlink()
    (scene.folder / ".git/lifeos/cache/state").unlink()
    said = lifeos(scene.folder, "verify")
    assert said.code == 1
    assert commit in said.out


# --- answers ------------------------------------------------------------------------------------


def resolved(scene: Scene, **changes: object) -> str:
    """The answer's record with other values; the new commit."""
    place = one(steps_of(scene), "resolved")
    return tampered(scene, place, lambda step: step.saying(**changes))


def test_an_answer_without_a_file_on_main(scene: Scene) -> None:
    """A record alone approves nothing."""
    first = scene.git("rev-list", "--max-parents=0", "main")
    named(scene, resolved(scene, commit=first), "does not have what was recorded")


def test_an_answer_that_is_nowhere(scene: Scene) -> None:
    """Nor does the name of a commit that nobody has."""
    named(scene, resolved(scene, commit="1" * 40), "is not here")


def test_an_answer_that_is_not_on_main(scene: Scene) -> None:
    """The same file on another branch does not count."""
    steps = steps_of(scene)
    record = steps[one(steps, "resolved")].record
    item = record["item"]
    path = f".lifeos/queue/{item}.approval.yaml"
    scene.git("checkout", "--quiet", "-b", "aside", "HEAD~2")
    (scene.folder / path).unlink(missing_ok=True)
    scene.git("commit", "--quiet", "--allow-empty", "--all", "--message=Away")
    commit = scene.commit({path: str(record["raw"])})
    named(scene, resolved(scene, commit=commit), "is not on main")


def test_an_answer_that_somebody_else_brought(scene: Scene) -> None:
    """A later commit that merely has the file did not bring it."""
    later = scene.commit({"notes.md": "later\n"})
    assert scene.git("rev-parse", "main") == later
    steps = steps_of(scene)
    record = steps[one(steps, "resolved")].record
    brought = str(record["commit"])
    scene.git("checkout", "--quiet", "-B", "main", brought)
    after = scene.commit({"notes.md": "after\n"})
    named(scene, resolved(scene, commit=after), "has the answer, but did not bring it")


def test_an_answer_in_a_strangers_name(scene: Scene) -> None:
    """Only an approver of then answers."""
    commit = resolved(scene, who="mallory@example.invalid")
    named(scene, commit, "mallory@example.invalid was not an approver")


def test_another_decision_than_the_file_says(scene: Scene) -> None:
    """The person's own words decide, not what was made of them."""
    named(scene, resolved(scene, decision="reject"), "its file says approve, the record reject")


def test_an_answer_by_time_that_approves(scene: Scene) -> None:
    """Expiry never approves."""
    named(scene, resolved(scene, who="expiry"), "by expiry, which the rules did not decide")


def test_an_answer_by_another_trust(scene: Scene) -> None:
    """Trust cannot be lowered, or moved to where nobody can check, by the record."""
    named(scene, resolved(scene, trust="merge"), "it came by trust merge; the rules want commit")


def test_a_forged_subject(scene: Scene) -> None:
    """A question must be about what it says: else an approval of it means nothing."""
    place = one(steps_of(scene), "held")
    commit = tampered(scene, place, lambda step: step.saying(subject="0" * 64))
    named(scene, commit, "is not what it asks about")


def test_a_landing_that_nobody_approved(scene: Scene) -> None:
    """Where the rules want a person, the claim of the landing needs the answer before it."""
    steps = steps_of(scene)
    first = one(steps, "held")
    del steps[first : first + 2]
    made = write(scene, steps, renumber=True)
    named(scene, made[steps[first].old], "lands without the approval")


# --- main ---------------------------------------------------------------------------------------


def test_a_landing_that_was_not_noted(scene: Scene) -> None:
    """A run cannot pass without the commit that was noted before main moved."""
    steps = steps_of(scene)
    place = one(steps, "noted", topic="landing")
    steps.pop(place)
    made = write(scene, steps, renumber=True)
    named(scene, made[steps[place].old], "has landed nothing")


def in_lifeos_name(
    scene: Scene, files: Mapping[str, str], *, anchor: bool = True, merge: str = ""
) -> str:
    """Put a commit on main that says it is lifeos's."""
    with Repo.open(scene.folder) as repo:
        main = scene.git("rev-parse", "main")
        changes = {
            path: ("100644", repo.objects.write_blob(text.encode())) for path, text in files.items()
        }
        tree = edit(repo.objects, repo.objects.commit(main).tree, changes)
        trailer = f"\n\nLifeos-Ledger: {scene.tip()}\n" if anchor else "\n"
        parents = (main, merge) if merge else (main,)
        message = f"lifeos: a thing{trailer}"
        commit = repo.objects.write_commit(tree, parents, message, when=scene.now)
        repo.objects.flush()
    scene.git("update-ref", "refs/heads/main", commit)
    return commit


def test_a_change_of_code_in_lifeos_name(scene: Scene) -> None:
    """lifeos's commits on main are bookkeeping, or a landing that the ledger notes."""
    commit = in_lifeos_name(scene, {"README.md": "# Taken over\n"})
    named(scene, commit, "it changes README.md, and no run landed it")


def test_a_landing_in_lifeos_name(scene: Scene) -> None:
    """A merge in lifeos's name that no run landed."""
    other = scene.commit({"evil.py": "x = 1\n"})
    scene.git("update-ref", "refs/heads/main", f"{other}~1")
    commit = in_lifeos_name(scene, {"evil.py": "x = 1\n"}, merge=other)
    named(scene, commit, "a landing in lifeos's name that the ledger does not note")


def test_a_commit_in_lifeos_name_that_names_no_tip(scene: Scene) -> None:
    """Every commit of lifeos on main is tied to the ledger."""
    commit = in_lifeos_name(scene, {".lifeos/queue/Q-00000000.md": "x"}, anchor=False)
    named(scene, commit, "names no tip")


def test_an_answer_in_lifeos_name(scene: Scene) -> None:
    """lifeos never answers its own questions."""
    path = ".lifeos/queue/Q-00000000.approval.yaml"
    named(scene, in_lifeos_name(scene, {path: "x"}), f"puts in {path}, which the ledger lacks")


def test_a_text_of_the_backlog_in_lifeos_name(scene: Scene) -> None:
    """Marks and ids are lifeos's; what a task says is not."""
    text = scene.at_main("BACKLOG.md").replace("Say hello", "Say goodbye")
    commit = in_lifeos_name(scene, {"BACKLOG.md": text + "\n"})
    named(scene, commit, "it changes BACKLOG.md")


def test_more_was_landed_than_built(scene: Scene) -> None:
    """The landing is merged again: what is in it and in neither side was smuggled in."""
    steps = steps_of(scene)
    noted, closed = one(steps, "noted", topic="landing"), one(steps, "closed")
    landing = str(steps[closed].record["landed"])
    with Repo.open(scene.folder) as repo:
        old = repo.objects.commit(landing)
        blob = repo.objects.write_blob(b"evil\n")
        tree = edit(repo.objects, old.tree, {"evil.py": ("100644", blob)})
        new = repo.objects.write_commit(tree, old.parents, old.message, when=old.committer.when)
        repo.objects.flush()
    steps[noted] = steps[noted].saying(commit=new, tree=tree)
    steps[closed] = steps[closed].saying(landed=new)
    made = write(scene, steps)
    scene.git("update-ref", "refs/heads/main", new)
    named(scene, made[steps[noted].old], "changes more than was built: evil.py")


def test_a_landing_that_main_lost(scene: Scene) -> None:
    """What passed is on main, or somebody took it away by rewriting main."""
    place = one(steps_of(scene), "closed")
    commit = steps_of(scene)[place].old
    scene.git("update-ref", "refs/heads/main", "main~1")
    named(scene, commit, "is not on main")


# --- rules --------------------------------------------------------------------------------------


def adopted(scene: Scene, author: str) -> str:
    """A change of the rules by somebody, adopted on sight as if by an approver: the transition."""
    change = scene.edit("policies/loop.yaml", "tasks_per_tick: 10", "tasks_per_tick: 9")
    commit = scene.commit(change, author=author, committer=author)
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.at(repo, scene.tip())
        files = governance_files(repo, repo.objects.commit(commit).tree)
        digest = governance_digest(files)
        made = ledger.append(
            Noted(at=scene.now, topic=Topic.GOVERNANCE, digest=digest, commit=commit),
            artifacts={f"governance/{digest}/{path}": data for path, data in files.items()},
        )
        ledger.save()
    return made


def test_rules_changed_by_an_approver(scene: Scene) -> None:
    """The same change is good in the right hands."""
    adopted(scene, EMAIL)
    assert findings(scene) == ()


def test_rules_changed_by_a_stranger(scene: Scene) -> None:
    """Nobody lists himself first, and then approves."""
    commit = adopted(scene, "mallory@example.invalid")
    named(scene, commit, "were changed by mallory@example.invalid")


def test_other_rules_than_the_commit_has(scene: Scene) -> None:
    """The adopted set is the one on main."""
    steps = steps_of(scene)
    first = scene.git("rev-list", "--max-parents=0", "main")
    adopted(scene, EMAIL)
    commit = tampered(scene, len(steps), lambda step: step.saying(commit=first))
    named(scene, commit, "are not those of")
