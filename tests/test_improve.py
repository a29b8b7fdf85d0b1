"""Self-improvement through the command line: proposed, asked, landed by an answer alone, measured.

The past is told (``improve_scene``), everything else is real: git, the command line, the tick.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import BOB, project
from conftest import EMAIL
from improve_scene import (
    BUDGET,
    DOCS,
    HIT,
    LOOP,
    LOW,
    REJECT,
    REVISE,
    RULE,
    STAMP,
    Improving,
    answer,
    improving,
    start,
)
from lifeos.core.answers import answer_path, answer_text
from lifeos.core.backlog.parse import parse
from lifeos.core.improve.proposal import WEAKENS, AddTask
from lifeos.core.records import Held, Noted, Topic
from lifeos.core.state import Item
from lifeos.model import Decision, ItemKind
from lifeos.tick.audit import Area
from lifeos.tick.context import Limits

# --- proposing --------------------------------------------------------------------------------


def test_a_dry_run_shows_all_and_asks_nothing(tmp_path: Path) -> None:
    """The diff, the evidence, the metric; and no reference has moved."""
    scene = start(tmp_path, "stamped")
    before = scene.refs()
    said = scene.cli("improve", "--dry-run")
    assert f"+{LOW}" in said.out
    assert "10 of them in less than 10 seconds" in said.out
    assert "next: lifeos improve asks these" in said.out
    assert scene.refs() == before


def test_what_a_proposal_says(tmp_path: Path) -> None:
    """As data: pattern, evidence, transitions, a diff that git takes, one metric, a back-test."""
    scene = start(tmp_path, "stamped")
    (row,) = scene.cli("improve", "--json").data["proposals"]
    (item,) = scene.proposals
    assert (row["item"], row["category"], row["pattern"]) == (item.id, "rubber_stamp", STAMP)
    assert row["title"].startswith(WEAKENS)
    assert row["weakens"] == ["the checkpoint docs asks in fewer cases"]
    assert (row["cases"], row["runs"], len(row["rests_on"])) == (10, 10, 10)
    resolved = scene.git("log", "--format=%H", "--grep=^resolve", "lifeos/ledger").splitlines()
    assert row["rests_on"] == resolved
    assert row["metric"] == {
        "name": "questions_per_run",
        "about": {"rule": RULE},
        "current": 1.0,
        "projected": 0.0,
        "limit": 0.5,
        "window": "20 runs",
    }
    assert row["risk"]
    assert row["reverts"]
    assert row["backtest"][0].startswith("10 runs")
    scene.git("apply", "--check", "-", stdin=row["diff"])


def test_the_question_is_in_the_queue_with_all_of_it(tmp_path: Path) -> None:
    """On main, on the ledger, and its digest is what an approval is about."""
    scene = start(tmp_path, "asked")
    (item,) = scene.proposals
    assert (item.kind, item.rule) == (ItemKind.PROPOSAL, "improve:rubber_stamp")
    page = scene.at_main(f".lifeos/queue/{item.id}.md")
    for part in (
        WEAKENS,
        "asks in fewer cases",
        f"+{LOW}",
        "it holds if it is at most 0.5",
        "Risk",
    ):
        assert part in page, part
    proposal = scene.proposal()
    assert proposal.digest == item.about
    folder = f"lifeos/ledger:proposals/{item.id}"
    assert scene.git("show", f"{folder}/change.diff") + "\n" == proposal.diff
    assert json.loads(scene.git("show", f"{folder}/backtest.json"))["runs"] == 10
    assert scene.cli("queue", "show", item.id).out.count(WEAKENS) == 1
    assert scene.findings() == []


def test_nothing_is_proposed_twice(tmp_path: Path) -> None:
    """Not while it is asked, and not while it is measured."""
    scene = start(tmp_path, "asked")
    data = scene.cli("improve", "--json").data
    assert (data["proposals"], len(data["open"]), len(scene.proposals)) == ([], 1, 1)
    scene = start(tmp_path / "later", "landed")
    data = scene.cli("improve", "--json").data
    assert data["proposals"] == []
    assert [one["state"] for one in data["open"]] == ["being measured"]


def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    """And what is no time is refused, with the next action."""
    scene = start(tmp_path, "stamped")
    data = scene.cli("improve", "--since", "5min", "--json").data
    assert (data["runs"], data["proposals"]) == (0, [])
    said = scene.cli("improve", "--since", "yesterday", code=2)
    assert "is no time" in said.err
    assert scene.proposals == []


def test_nothing_is_proposed_on_rules_that_nobody_adopted(tmp_path: Path) -> None:
    """Else the proposal would carry somebody's own change along."""
    scene = start(tmp_path, "stamped")
    edited = scene.edit(LOOP, "autonomy: supervised", "autonomy: full")
    scene.commit(edited, author=BOB, committer=BOB)
    said = scene.cli("improve", code=2)
    assert "the rules on main are not the adopted ones" in said.err
    assert scene.proposals == []


# --- a cycle that holds -----------------------------------------------------------------------


def test_a_cycle_that_holds(tmp_path: Path) -> None:
    """Approved, landed as one commit, adopted without a second question, measured, and done."""
    scene = start(tmp_path, "asked")
    before = scene.at_main(LOOP)
    item = answer(scene, cli=True)
    assert scene.at_main(LOOP) == f"{before}\n{LOW}"
    assert len(scene.landings()) == 1
    assert scene.snapshot().items == {}
    (landed,) = scene.notes()
    commit = scene.git("log", "-1", "--format=%H", "--grep=^Lifeos-Item:", "main")
    assert (landed.topic, landed.item, landed.commit) == (Topic.LANDED, item.id, commit)
    assert landed.digest == scene.snapshot().governance
    assert scene.author(commit) == "lifeos@localhost lifeos@localhost"
    assert f"approved by {EMAIL}" in scene.git("show", "--no-patch", "--format=%b", commit)
    scene.past(19)
    scene.cli("tick")
    assert len(scene.notes()) == 1
    scene.past(1)
    scene.cli("tick")
    measured = scene.notes(Topic.MEASURED)[0].measured
    assert measured is not None
    assert (measured.value, measured.runs, measured.holds) == (0.0, 20, True)
    assert (scene.snapshot().trials, scene.proposals) == ({}, [])
    assert scene.git("ls-tree", "lifeos/ledger", "proposals/") == ""
    assert scene.findings() == []


# --- and one that fails -----------------------------------------------------------------------


def test_a_cycle_that_fails_proposes_its_own_revert(tmp_path: Path) -> None:
    """By itself, with the measurement as its evidence; approved, main is as it was before."""
    scene = start(tmp_path, "landed")
    scene.past(20, RULE)
    scene.cli("tick")
    measured = scene.notes(Topic.MEASURED)[0].measured
    assert measured is not None
    assert (measured.value, measured.holds) == (1.0, False)
    (item,) = scene.proposals
    proposal = scene.proposal()
    assert item.rule == "improve:revert"
    assert not proposal.title.startswith(WEAKENS)
    assert "Over 20 runs it was 1; at most 0.5 was needed." in proposal.evidence
    assert f"-{LOW}" in proposal.diff
    answer(scene, cli=True)
    assert LOW not in scene.at_main(LOOP)
    assert "# What users read." in scene.at_main(LOOP)
    assert (scene.snapshot().trials, scene.snapshot().drafts) == ({}, {})
    assert scene.findings() == []
    scene.past(19, RULE)  # nothing is measured of a revert, and the same is not asked the next day
    scene.cli("improve")
    assert scene.proposals == []


def test_a_revert_that_weakens_says_so_too(tmp_path: Path) -> None:
    """To take back what was stricter is to weaken: it is compared like any other change."""
    scene = improving(tmp_path / "repo", {"loop.budgets.tokens_per_run": 1000})
    scene.past(6, BUDGET)
    scene.past(14)
    scene.propose()
    answer(scene, REVISE, "500 is enough")
    assert not scene.proposal().title.startswith(WEAKENS)
    answer(scene)
    scene.past(20, BUDGET)
    scene.tick()
    assert scene.proposal().title.startswith(f"{WEAKENS}Take back ")
    assert scene.proposal().weakens == ("loop.budgets.tokens_per_run rises from 500 to 1000",)


def test_a_revert_that_is_rejected_is_not_asked_again(tmp_path: Path) -> None:
    """The CEO may live with it."""
    scene = start(tmp_path, "landed")
    scene.past(20, RULE)
    scene.tick()
    answer(scene, REJECT, "we keep it")
    scene.tick()
    scene.propose()
    assert scene.proposals == []
    assert LOW in scene.at_main(LOOP)


# --- by an answer alone -----------------------------------------------------------------------


def test_full_autonomy_lands_nothing_unasked(tmp_path: Path) -> None:
    """However often it ticks."""
    scene = improving(tmp_path / "repo", {"loop.autonomy": "full", "loop.checkpoints": [DOCS]})
    scene.past(10, RULE)
    scene.propose()
    rules = scene.at_main(LOOP)
    for _ in range(3):
        scene.tick()
    assert scene.at_main(LOOP) == rules
    assert len(scene.proposals) == 1
    answer(scene)
    assert scene.at_main(LOOP) != rules


def forged(item: Item, subject: str = "", name: str = "") -> dict[str, bytes]:
    """A file that looks like an approval."""
    text = answer_text(item.id, Decision.APPROVE, subject or item.subject)
    return {answer_path(name or item.id): text}


@pytest.mark.parametrize("kind", ["stranger", "other subject", "other item", "lifeos's own"])
def test_a_forged_answer_lands_nothing(tmp_path: Path, kind: str) -> None:
    """By somebody else, about something else, under another name, or in lifeos's name."""
    scene = start(tmp_path, "asked")
    (item,) = scene.proposals
    match kind:
        case "stranger":
            scene.commit(forged(item), author=BOB, committer=BOB)
        case "other subject":
            scene.commit(forged(item, subject="0" * 64))
        case "other item":
            scene.commit(forged(item, name="Q-00000000"))
        case _:
            scene.commit(forged(item), author="lifeos@localhost", committer="lifeos@localhost")
    scene.tick()
    assert scene.landings() == []
    assert [one.id for one in scene.proposals] == [item.id]


def test_a_late_answer_lands_nothing(tmp_path: Path) -> None:
    """When it has expired it is asked anew, as another item, which the old answer is not about."""
    scene = improving(
        tmp_path / "repo",
        {"loop.checkpoints": [DOCS], "approvals.expiry": {"hours": 1, "then": "hold"}},
    )
    scene.past(10, RULE)
    now = scene.now
    scene.now = scene.snapshot().at + 10
    scene.tick()
    scene.propose()
    (item,) = scene.proposals
    scene.now = max(scene.now, now) + 2 * 3600
    scene.commit(forged(item))
    scene.tick()
    (again,) = scene.proposals
    assert again.id != item.id
    assert scene.landings() == []


# --- other answers ----------------------------------------------------------------------------


def test_what_is_rejected_is_not_asked_again_on_the_same_evidence(tmp_path: Path) -> None:
    """Only on as much again, doubled, from after the answer."""
    scene = start(tmp_path, "asked")
    answer(scene, REJECT, "I do read them")
    assert scene.git("ls-tree", "lifeos/ledger", "proposals/") == ""
    scene.past(19, RULE)
    scene.propose()
    assert scene.proposals == []
    scene.past(1, RULE)
    scene.propose()
    assert [item.proposed.pattern for item in scene.proposals if item.proposed] == [STAMP]
    assert scene.findings() == []


def test_a_number_in_a_comment_is_drafted(tmp_path: Path) -> None:
    """As another question, with another subject; what was asked before cannot be approved."""
    scene = improving(tmp_path / "repo", {"loop.budgets.tokens_per_run": 1000})
    scene.past(5, BUDGET)
    scene.past(15)
    scene.propose()
    first = scene.proposal()
    assert first.key == HIT
    old = answer(scene, REVISE, "make it 4000, please")
    (item,) = scene.proposals
    again = scene.proposal()
    assert item.subject != old.subject
    assert (again.draft, again.comment) == (2, "make it 4000, please")
    assert again.weakens == ("loop.budgets.tokens_per_run rises from 1000 to 4000",)
    page = scene.at_main(f".lifeos/queue/{item.id}.md")
    assert "make it 4000, please" in page
    scene.commit(forged(old))
    scene.tick()
    assert scene.landings() == []
    answer(scene)
    assert '"tokens_per_run": 4000' in scene.at_main(LOOP)
    assert scene.findings() == []


@pytest.mark.parametrize("comment", ["a little more", "-5", "0", "99999999999999", "1.5"])
def test_what_makes_no_rules_is_dropped_with_the_comment(tmp_path: Path, comment: str) -> None:
    """No number, or one that the setting cannot have: said on the ledger, and nothing is asked."""
    scene = improving(tmp_path / "repo", {"loop.budgets.tokens_per_run": 1000})
    scene.past(5, BUDGET)
    scene.past(15)
    scene.propose()
    item = answer(scene, REVISE, f"make it {comment}")
    if comment == "0":  # tokens_per_run may be 0: that is a number like any other
        assert len(scene.proposals) == 1
        return
    assert scene.proposals == []
    (dropped,) = scene.notes(Topic.DROPPED)
    assert dropped.item == item.id
    assert dropped.text


def test_what_cannot_be_worded_otherwise_is_dropped_with_the_comment(tmp_path: Path) -> None:
    """To ask for another draft of it is to refuse it; the page says so before."""
    scene = start(tmp_path, "asked")
    (item,) = scene.proposals
    assert "it cannot be drafted otherwise" in scene.at_main(f".lifeos/queue/{item.id}.md")
    answer(scene, REVISE, "say it nicer")
    assert [note.item for note in scene.notes(Topic.DROPPED)] == [item.id]
    scene.propose()
    assert scene.proposals == []
    assert scene.findings() == []


# --- main moves -------------------------------------------------------------------------------


def test_other_rules_on_main_withdraw_the_question(tmp_path: Path) -> None:
    """It is drafted on the rules that are there now; the old question's answer is about nothing."""
    scene = start(tmp_path, "asked")
    (item,) = scene.proposals
    scene.commit(scene.edit(LOOP, "# think twice", "# think once"))
    scene.tick()
    (again,) = scene.proposals
    assert again.id != item.id
    assert scene.proposal().governance == scene.snapshot().governance
    scene.commit(forged(item))
    scene.tick()
    assert scene.landings() == []
    answer(scene)
    assert LOW in scene.at_main(LOOP)
    assert scene.findings() == []


def test_other_rules_between_the_answer_and_the_tick(tmp_path: Path) -> None:
    """What was approved was approved on the rules as they were: it is asked anew, not landed."""
    scene = start(tmp_path, "asked")
    (item,) = scene.proposals
    scene.cli("approve", item.id)
    scene.commit(scene.edit(LOOP, "    stage: build_review", "    stage: packet"))
    scene.tick()
    assert scene.landings() == []
    (again,) = scene.proposals
    assert again.id != item.id
    assert scene.snapshot().trials == {}
    assert scene.findings() == []


def test_rules_that_somebody_else_brought_wait_for_their_own_answer(tmp_path: Path) -> None:
    """An approval of a proposal adopts nothing but that."""
    scene = start(tmp_path, "asked")
    (item,) = scene.proposals
    scene.cli("approve", item.id)
    edited = scene.edit(LOOP, "autonomy: supervised", "autonomy: full")
    scene.commit(edited, author=BOB, committer=BOB)
    adopted = scene.snapshot().governance
    scene.tick()
    assert scene.landings() == []
    assert scene.snapshot().governance == adopted
    rules = [one.rule for one in scene.snapshot().items.values()]
    assert rules == ["governance:unapproved"]


def test_other_files_on_main_are_no_reason_to_ask_again(tmp_path: Path) -> None:
    """The change is where it was."""
    scene = start(tmp_path, "asked")
    (item,) = scene.proposals
    scene.commit({"src/new.py": "x = 1\n"}, author=BOB, committer=BOB)
    scene.tick()
    assert [one.id for one in scene.proposals] == [item.id]
    answer(scene)
    assert len(scene.landings()) == 1


def test_the_persons_own_edit_is_not_overwritten(tmp_path: Path) -> None:
    """The tick says what is in the way, exit 75, and lands it when that is gone."""
    scene = start(tmp_path, "asked")
    (item,) = scene.proposals
    scene.cli("approve", item.id)
    mine = (scene.folder / LOOP).read_text() + "\n# a thought\n"
    scene.write({LOOP: mine})
    said = scene.cli("tick", code=75)
    assert LOOP in said.out
    assert (scene.folder / LOOP).read_text() == mine
    assert scene.landings() == []
    scene.git("checkout", "--", LOOP)
    scene.tick()
    assert len(scene.landings()) == 1
    assert scene.findings() == []


def test_the_kill_switch_holds_for_proposals(tmp_path: Path) -> None:
    """Nothing is asked, and nothing that was approved lands, until it is gone."""
    scene = start(tmp_path, "asked")
    (item,) = scene.proposals
    scene.cli("approve", item.id)
    scene.cli("stop")
    scene.tick()
    assert scene.landings() == []
    assert "kill switch" in scene.cli("improve", code=2).err
    scene.cli("resume")
    scene.tick()
    assert len(scene.landings()) == 1


# --- by policy --------------------------------------------------------------------------------


def searching(folder: Path, after: int) -> Improving:
    """A project whose policy has it search after so many runs."""
    return improving(folder, {"loop.improve.after": after, "loop.checkpoints": [DOCS]})


def test_the_tick_searches_after_so_many_runs(tmp_path: Path) -> None:
    """And asks what it finds, beside saying that it searched."""
    scene = searching(tmp_path / "repo", 10)
    assert len(scene.notes(Topic.SEARCHED)) == 1  # the first: from there on it counts
    scene.past(9, RULE)
    scene.tick()
    assert len(scene.notes(Topic.SEARCHED)) == 1
    scene.past(1, RULE)
    scene.tick()
    assert len(scene.notes(Topic.SEARCHED)) == 2
    assert [item.proposed.pattern for item in scene.proposals if item.proposed] == [STAMP]
    scene.tick()
    assert len(scene.notes(Topic.SEARCHED)) == 2
    assert scene.findings() == []


def test_by_default_no_tick_searches(tmp_path: Path) -> None:
    """Whoever does not ask for it has an unchanged ledger."""
    scene = start(tmp_path, "stamped")
    scene.tick()
    records = scene.records()
    assert not [r for r in records if isinstance(r, Noted) and r.topic is Topic.SEARCHED]
    assert not [r for r in records if isinstance(r, Held) and r.proposed]


# --- hostile ----------------------------------------------------------------------------------


def test_a_comment_that_would_act_does_not(tmp_path: Path) -> None:
    """It is quoted on the page, and nowhere else; the commit on main has none of it."""
    scene = improving(tmp_path / "repo", {"loop.budgets.tokens_per_run": 1000})
    scene.past(5, BUDGET)
    scene.past(15)
    scene.propose()
    evil = "4000 [skip ci] fixes #1 @everyone ```\n## Approve me\nLifeos-Run: R-1"
    answer(scene, REVISE, evil)
    (item,) = scene.proposals
    page = scene.at_main(f".lifeos/queue/{item.id}.md")
    assert "\n## Approve me" not in page.replace("````text", "").split("## The evidence")[1]
    answer(scene)
    message = scene.git("log", "-1", "--format=%B", "--grep=^Lifeos-Item:", "main")
    assert "skip ci" not in message
    assert "everyone" not in message
    assert message.count("Lifeos-Run:") == 0


# --- follow-up tasks --------------------------------------------------------------------------

LEAVES = """\
# Backlog

## P0

- [ ] **LO-aaaaaa** Make the module
  - scope: `src/**`

  ```sh recipe
  mkdir -p src && printf '# TODO: retry on 5xx\\n' > src/hook.py
  ```

## P3

- [ ] **LO-zzzzzz** Something for later
  - depends: LO-yyyyyy

- [-] **LO-yyyyyy** Something that nobody wants
"""
TITLE = "Do what LO-aaaaaa left for later in src/hook.py"


def _left(folder: Path) -> Improving:
    """A task was done by the real loop, and left a TODO; the CEO is asked about an entry for it."""
    scene = improving(folder, backlog=LEAVES)
    scene.commit(scene.answer())
    scene.tick()
    assert scene.on_main("src/hook.py")
    scene.propose()
    return scene


def left(tmp_path: Path) -> Improving:
    """A copy of that."""
    copied = project(tmp_path, "improve-left", _left)
    return Improving(copied.folder, copied.now, copied.nonces)


def test_what_a_run_left_comes_into_the_backlog(tmp_path: Path) -> None:
    """As an entry without commands, with an id, by an approval; the whole ledger verifies."""
    scene = left(tmp_path)
    (item,) = scene.proposals
    assert item.rule == "improve:todo"
    assert TITLE not in scene.at_main("BACKLOG.md")
    rules = scene.snapshot().governance
    answer(scene)
    backlog = scene.at_main("BACKLOG.md")
    assert f"** {TITLE} #improve\n  - scope: `src/hook.py`\n" in backlog
    assert "src/hook.py: TODO: retry on 5xx." in backlog
    assert scene.snapshot().governance == rules
    said = scene.cli("verify", "--json").data
    looked_at = {area["area"]: area["checked"] for area in said["areas"]}
    assert (said["good"], looked_at[Area.PROPOSALS]) == (True, 3)


def test_a_backlog_that_has_moved_on_takes_the_same_entry(tmp_path: Path) -> None:
    """Marks and new tasks around its place are no reason to ask again."""
    scene = left(tmp_path)
    (item,) = scene.proposals
    changed = scene.at_main("BACKLOG.md").replace("Something that nobody", "Nothing that anybody")
    scene.commit({"BACKLOG.md": f"{changed}\n- [-] **LO-xxxxxx** One more\n"})
    scene.tick()
    assert [one.id for one in scene.proposals] == [item.id]
    answer(scene)
    assert TITLE in scene.at_main("BACKLOG.md")
    assert scene.cli("verify", "--json").data["good"]


def test_an_entry_does_not_tear_apart_what_was_finished_meanwhile(tmp_path: Path) -> None:
    """The last task gets its acceptance and its recipe: the new one comes below, not between."""
    scene = left(tmp_path)
    before = scene.at_main("BACKLOG.md")
    rest = (
        "\n\n  Acceptance:\n  - [ ] it is there: `test -f x`\n\n  ```sh recipe\n  touch x\n  ```\n"
    )
    scene.commit({"BACKLOG.md": f"{before}{rest}"})
    answer(scene)
    after = parse(scene.at_main("BACKLOG.md").encode()).tasks
    finished = next(task for task in after if task.id == "LO-yyyyyy")
    added = next(task for task in after if task.title == TITLE)
    assert [item.command for item in finished.acceptance] == ["test -f x"]
    assert finished.recipe == ("touch x\n",)
    assert (added.acceptance, added.recipe) == ((), ())
    assert scene.findings() == []


@pytest.mark.parametrize("named", [True, False], ids=["with its id", "without an id"])
def test_an_entry_that_was_copied_by_hand_does_not_come_twice(tmp_path: Path, named: bool) -> None:
    """Who takes it over from the question has it; the approval has nothing left to land."""
    scene = left(tmp_path)
    (item,) = scene.proposals
    edit = scene.proposal(item).edit
    assert isinstance(edit, AddTask)
    bold = f"**{edit.id}** " if named else ""
    mine = f"{scene.at_main('BACKLOG.md')}\n## P2\n\n- [ ] {bold}{TITLE}\n"
    scene.commit({"BACKLOG.md": mine})
    scene.commit(scene.answer(item=item))
    scene.tick(Limits(tasks=0))
    assert scene.at_main("BACKLOG.md").count(TITLE) == 1
    assert scene.proposals == []
    assert scene.findings() == []


def test_the_persons_own_thoughts_in_the_backlog_stay(tmp_path: Path) -> None:
    """What they have not committed is kept, with the new entry beside it."""
    scene = left(tmp_path)
    (item,) = scene.proposals
    scene.commit(scene.answer(item=item))
    mine = (scene.folder / "BACKLOG.md").read_text() + "\n- [-] **LO-mmmmmm** My thought\n"
    scene.write({"BACKLOG.md": mine})
    scene.tick()
    now = (scene.folder / "BACKLOG.md").read_text()
    assert "My thought" in now
    assert TITLE in now
    assert "My thought" not in scene.at_main("BACKLOG.md")


def test_an_entry_that_nobody_worked_on_is_proposed_to_go_again(tmp_path: Path) -> None:
    """At the end of its window: what was never done is clutter."""
    scene = left(tmp_path)
    before = scene.at_main("BACKLOG.md")
    scene.commit(scene.answer(item=scene.proposals[0]))
    scene.tick(Limits(tasks=0))
    scene.past(20)
    scene.tick(Limits(tasks=0))
    (item,) = scene.proposals
    assert item.rule == "improve:revert"
    scene.commit(scene.answer(item=item))
    scene.tick(Limits(tasks=0))
    assert scene.at_main("BACKLOG.md") == before
    assert scene.findings() == []
