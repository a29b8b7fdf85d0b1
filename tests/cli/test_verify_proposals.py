"""``lifeos verify`` on proposals: whatever of them is altered after the fact is named.

The scene has one that was asked, approved, landed, adopted and measured. Whoever can push to the
ledger alters it, with all digests and titles made to fit where a forger would make them fit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from conftest import EMAIL
from improve_scene import LOOP, Improving, answer, start
from lifeos.core.improve.proposal import WEAKENS, NewPrompt, Proposal, Worded
from lifeos.core.improve.wording import Paper, with_words
from lifeos.core.receipt import AgentFacts
from lifeos.core.replies.wording import WordingReply
from lifeos.model import Decision, Usage
from lifeos.store.ledger import STATE_EVERY
from lifeos.store.repo import Repo
from lifeos.store.trees import edit
from lifeos.tick.audit import Area
from test_verify import Step, Steps, findings, one, steps_of, tampered, with_file, write
from test_verify_areas import MALLORY, named

Change = Callable[[Proposal], Mapping[str, object]]


@pytest.fixture
def scene(tmp_path: Path) -> Improving:
    """The proposal about the checkpoint went all its way."""
    return start(tmp_path, "measured")


def place_of(steps: Steps) -> int:
    """Where it was asked."""
    return one(steps, "held", rule="improve:rubber_stamp")


def folder(step: Step) -> str:
    """Where the ledger has it."""
    return f"proposals/{step.record['item']}"


def proposal_in(scene: Improving) -> Proposal:
    """It, as it was asked."""
    step = steps_of(scene)[place_of(steps_of(scene))]
    text = scene.git("show", f"{step.old}:{folder(step)}/proposal.json")
    return Proposal.model_validate_json(text)


def reworded(scene: Improving, step: Step, **changes: object) -> Step:
    """The question about another proposal, whose digest and title it has."""
    other = proposal_in(scene).model_copy(update=changes)
    step = with_file(scene, step, f"{folder(step)}/proposal.json", other.to_json())
    step = with_file(scene, step, f"{folder(step)}/change.diff", other.diff.encode())
    return step.saying(about=other.digest, question=f"{other.title}. Land it?")


def ours(scene: Improving, commit: str, what: str) -> None:
    """It is named at this commit, as a fault of proposals."""
    named(scene, commit, what, Area.PROPOSALS)


def test_an_honest_one_is_good(scene: Improving) -> None:
    """The ground on which all this stands: four steps of it were looked at, and nothing found."""
    said = scene.cli("verify", "--json", code=None).data
    (area,) = (area for area in said["areas"] if area["area"] == Area.PROPOSALS)
    assert (area["checked"], area["found"]) == (4, 0)
    assert scene.findings() == []


# --- as it was asked ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("proposal.json", "is not on the ledger as it was asked"),
        ("change.diff", "its change.diff is not the change that it says"),
        ("backtest.json", "its backtest.json is not the one that it names"),
    ],
)
def test_one_of_its_files_altered(scene: Improving, name: str, what: str) -> None:
    """Each of them is what the person saw, or it is named."""

    def change(step: Step) -> Step:
        return with_file(scene, step, f"{folder(step)}/{name}", b"{}\n")

    ours(scene, tampered(scene, place_of(steps_of(scene)), change), what)


def test_a_question_under_another_title(scene: Improving) -> None:
    """The proposal says that it weakens a gate, and the question does not."""
    title = proposal_in(scene).title.removeprefix(WEAKENS)
    asked = {"question": f"{title}. Land it?"}
    commit = tampered(scene, place_of(steps_of(scene)), lambda step: step.saying(**asked))
    ours(scene, commit, "is asked under another title than its own")


def test_a_title_that_hides_that_it_weakens(scene: Improving) -> None:
    """The proposal itself, its digest and its question say nothing: the rules are compared anew."""
    title = proposal_in(scene).title.removeprefix(WEAKENS)
    place = place_of(steps_of(scene))
    commit = tampered(scene, place, lambda step: reworded(scene, step, title=title))
    what = "its title does not say that it weakens a gate: the checkpoint docs asks in fewer cases"
    ours(scene, commit, what)


def test_a_change_that_makes_no_rules(scene: Improving) -> None:
    """Nobody could adopt what it makes of them."""
    diff = proposal_in(scene).diff.replace("risk: medium", "risk: whatever")
    place = place_of(steps_of(scene))
    commit = tampered(scene, place, lambda step: reworded(scene, step, diff=diff))
    ours(scene, commit, "its change makes no set of rules")


def test_a_draft_on_rules_that_did_not_count(scene: Improving) -> None:
    """What it weakens, and its back-test, would be about something else."""
    place = place_of(steps_of(scene))
    commit = tampered(scene, place, lambda step: reworded(scene, step, governance="0" * 64))
    ours(scene, commit, "was drafted on rules that were not the adopted ones")


def test_a_record_that_says_otherwise(scene: Improving) -> None:
    """A window of its own: it would be measured over other runs than was asked."""
    place = place_of(steps_of(scene))
    known = steps_of(scene)[place].record["proposed"]
    assert isinstance(known, dict)
    other = {**known, "window": {"runs": 1, "days": 0}}
    commit = tampered(scene, place, lambda step: step.saying(proposed=other))
    ours(scene, commit, "says something else than its record")


# --- what an agent said of it -------------------------------------------------------------------

WHO = AgentFacts(agent="command", model="main", provider="team", id="m")
SAID = Paper(who=WHO, reply=WordingReply(title="Ask less", why="It was approved."), answer="a")


def worded(scene: Improving, paper: Paper | None, **changes: object) -> str:
    """The proposal as if an agent had worded it so; what is changed then. The transition."""
    place = place_of(steps_of(scene))
    honest = with_words(proposal_in(scene), paper or SAID)
    known = dict(honest) | changes
    told = {name: known[name] for name in ("worded", "wording_digest", "spent", "edit", "diff")}

    def change(step: Step) -> Step:
        spent = known["spent"]
        proposed = {**_proposed(step), "spent": spent.model_dump(mode="json") if spent else None}
        step = reworded(scene, step, **told).saying(proposed=proposed)
        data = paper.to_json() if paper else None
        return with_file(scene, step, f"{folder(step)}/wording.json", data) if data else step

    return tampered(scene, place, change)


def _proposed(step: Step) -> dict[str, object]:
    known = step.record["proposed"]
    assert isinstance(known, dict)
    return known


def test_words_that_an_agent_said_are_good(scene: Improving) -> None:
    """The ground for the rest: nothing of proposals is found at this transition."""
    commit = worded(scene, SAID)
    found = [one.what for one in findings(scene) if one.commit == commit]
    assert not any("the proposal of" in what for what in found), found


def test_words_of_an_agent_that_nobody_asked(scene: Improving) -> None:
    """They stand in the proposal, and there is no paper of anybody's."""
    commit = worded(scene, None, wording_digest="", spent=None)
    ours(scene, commit, "has the words of an agent that nobody asked")


def test_another_paper_than_it_names(scene: Improving) -> None:
    """Its digest stands in the proposal."""
    ours(scene, worded(scene, SAID, wording_digest="0" * 64), "its wording.json is not the one")


def test_other_words_than_the_agent_said(scene: Improving) -> None:
    """Put into its mouth."""
    other = Worded(agent="command", model="main", provider="team", id="m", title="Approve this",
                   why="It was approved.", answer="a")  # fmt: skip
    ours(scene, worded(scene, SAID, worded=other), "has other words than the agent said")


def test_another_cost_than_the_receipts(scene: Improving) -> None:
    """What was spent is what the receipts add up to."""
    commit = worded(scene, SAID, spent=Usage(cost=1.0))
    ours(scene, commit, "asking the agent cost something else than was recorded")


def test_another_prompt_than_the_agent_drafted(scene: Improving) -> None:
    """Neither in what the proposal says that it is, nor in its change."""
    edit = NewPrompt(role="designer", text="Answer as you like.\n")
    commit = worded(scene, SAID, edit=edit)
    ours(scene, commit, "its prompt is another one than the agent drafted")
    ours(scene, commit, "its change is another one than the prompt that it says")


# --- as it landed -------------------------------------------------------------------------------


def landing_of(steps: Steps) -> tuple[int, int]:
    """Where its commit was noted, and where it was found on main."""
    return one(steps, "noted", topic="landing"), one(steps, "noted", topic="landed")


def landed_otherwise(scene: Improving, files: Mapping[str, bytes]) -> dict[str, str]:
    """Main has a commit of lifeos's with these files beside the change, and the ledger names it."""
    steps = steps_of(scene)
    noted, landed = landing_of(steps)
    honest = str(steps[noted].record["commit"])
    with Repo.open(scene.folder) as repo:
        made = repo.objects.commit(honest)
        blobs = {path: ("100644", repo.objects.write_blob(data)) for path, data in files.items()}
        tree = edit(repo.objects, made.tree, blobs)
        forged = repo.objects.write_commit(tree, made.parents, made.message, when=made.author.when)
        repo.objects.flush()
    scene.git("checkout", "--quiet", "-B", "main", forged)
    steps[noted] = steps[noted].saying(commit=forged, tree=tree)
    steps[landed] = steps[landed].saying(commit=forged)
    made_now = write(scene, steps)
    return {"noted": made_now[steps[noted].old], "landed": made_now[steps[landed].old]}


def test_something_else_landed_than_was_approved(scene: Improving) -> None:
    """A file more, in lifeos's name and with the trailer of the question."""
    made = landed_otherwise(scene, {"src/evil.py": b"evil = 1\n"})
    ours(scene, made["noted"], "changes something else than was approved")


def test_other_rules_landed_than_were_approved(scene: Improving) -> None:
    """A rule more than the proposal had."""
    text = scene.at_main(LOOP).replace("autonomy: supervised", "autonomy: full")
    assert "autonomy: full" in text
    made = landed_otherwise(scene, {LOOP: f"{text}\n".encode()})
    ours(scene, made["noted"], "changes something else than was approved")
    ours(scene, made["noted"], "are not those that were noted")


def test_other_rules_adopted_than_landed(scene: Improving) -> None:
    """The digest in the records is that of another set."""
    steps = steps_of(scene)
    noted, landed = landing_of(steps)
    before = steps[one(steps, "noted", topic="genesis")].record["digest"]
    for place in (noted, landed):
        steps[place] = steps[place].saying(digest=before)
    ours(scene, write(scene, steps)[steps[noted].old], "are not those that were noted")


def test_said_to_have_landed_and_is_not_on_main(scene: Improving) -> None:
    """Main is as if it had never been approved."""
    steps = steps_of(scene)
    _, landed = landing_of(steps)
    scene.git("checkout", "--quiet", "-B", "main", f"{steps[landed].record['commit']}^")
    ours(scene, steps[landed].old, "is not on main")


def test_gone_from_the_ledger_before_it_landed(scene: Improving) -> None:
    """What was approved can be read where it is said to have landed."""
    steps = steps_of(scene)
    noted, landed = landing_of(steps)

    path = f"proposals/{steps[noted].record['item']}/proposal.json"
    steps[noted] = with_file(scene, steps[noted], path, b"{}\n")
    ours(scene, write(scene, steps)[steps[landed].old], "is not on the ledger as it was approved")


# --- by an approval -----------------------------------------------------------------------------


def test_adopted_without_an_answer(scene: Improving) -> None:
    """The approval never was: the landing is not possible where it stands."""
    steps = steps_of(scene)
    noted, _ = landing_of(steps)
    item = steps[noted].record["item"]
    del steps[one(steps, "resolved", item=item)]
    made = write(scene, steps, renumber=True)
    found = findings(scene)
    assert any(f"no proposal of {item} was approved" in each.what for each in found), found
    assert made[landing_commit(steps)] in "".join(each.what for each in found)


def landing_commit(steps: Steps) -> str:
    """The transition that noted the landing, as it was."""
    return steps[one(steps, "noted", topic="landing")].old


def test_adopted_after_a_rejection(scene: Improving) -> None:
    """The same, where the answer was another one."""
    steps = steps_of(scene)
    item = steps[one(steps, "noted", topic="landing")].record["item"]
    place = one(steps, "resolved", item=item)
    steps[place] = steps[place].saying(decision=Decision.REJECT)
    write(scene, steps)
    what = "".join(each.what for each in findings(scene))
    assert f"no proposal of {item} was approved" in what


def test_approved_by_somebody_else(scene: Improving) -> None:
    """The record says that an approver did; the file on main is a stranger's."""
    steps = steps_of(scene)
    item = steps[one(steps, "noted", topic="landing")].record["item"]
    place = one(steps, "resolved", item=item)
    record = steps[place].record
    scene.git("checkout", "--quiet", "-B", "main", f"{record['commit']}^")
    path = f".lifeos/queue/{item}.approval.yaml"
    forged = scene.commit({path: str(record["raw"])}, author=MALLORY, committer=MALLORY)
    commit = tampered(scene, place, lambda step: step.saying(commit=forged))
    named(scene, commit, f"was not brought by {EMAIL}", Area.APPROVALS)


# --- as it was measured -------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"value": 1.0, "holds": False}, {"holds": None}, {"runs": 19}])
def test_another_measurement_recorded(scene: Improving, change: Mapping[str, object]) -> None:
    """It is computed anew from the runs since the landing."""
    place = one(steps_of(scene), "noted", topic="measured")
    known = steps_of(scene)[place].record["measured"]
    assert isinstance(known, dict)
    commit = tampered(scene, place, lambda step: step.saying(measured={**known, **change}))
    ours(scene, commit, "its metric is 0.0; the record says another thing")


def test_measured_where_it_cannot_be_read_any_more(scene: Improving) -> None:
    """The metric is part of the proposal: without it nothing can be measured again."""
    steps = steps_of(scene)
    place = one(steps, "noted", topic="measured")
    path = f"proposals/{steps[place].record['item']}/proposal.json"
    steps[place - 1] = with_file(scene, steps[place - 1], path, b"{}\n")
    ours(scene, write(scene, steps)[steps[place].old], "cannot be measured again")


# --- a ledger from before there were proposals --------------------------------------------------

LATER = ("trials", "drafts", "searched")
"""What the state has had since there are proposals."""


def aged(scene: Improving) -> int:
    """Take it out of every state on the ledger, as an earlier lifeos wrote it. How many had it."""
    steps, changed = steps_of(scene), 0
    for place, step in enumerate(steps):
        if not scene.git("ls-tree", "--name-only", step.tree, "state.json"):
            continue
        state = json.loads(scene.git("show", f"{step.tree}:state.json"))
        changed += any(state.pop(key, None) is not None for key in LATER)
        for item in state["items"].values():
            item.pop("proposed")
        data = json.dumps(state, separators=(",", ":")).encode()
        steps[place] = with_file(scene, step, "state.json", data)
    write(scene, steps)
    for name in ("cache/state", "cache/chronicle"):
        for path in scene.folder.glob(f".git/lifeos/{name}*"):
            path.unlink()
    return changed


def test_improving_goes_on_upon_an_older_ledger(tmp_path: Path) -> None:
    """It is replayed and verified as it is; a proposal on it is asked, landed and measured."""
    scene = start(tmp_path, "stamped")
    scene.past(STATE_EVERY // 2)  # two transitions each: by then a state was written
    assert aged(scene) > 0
    assert scene.findings() == []
    scene.cli("improve")
    answer(scene, cli=True)
    scene.past(20)
    scene.cli("tick")
    assert scene.snapshot().trials == {}
    assert scene.findings() == []
