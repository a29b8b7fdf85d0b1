"""The review by rule: each rule turns a verdict, and the review says what it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from lifeos.core import artifacts
from lifeos.core.backlog.entry import Acceptance, Mark, Task
from lifeos.core.checkreport import CheckResult, CheckStatus
from lifeos.core.council import UNCLASSIFIED
from lifeos.core.policy import CheckKind, Seat
from lifeos.core.policy.config import Agents
from lifeos.core.review import Review, Severity
from lifeos.core.reviewpage import to_markdown
from lifeos.core.rulereview import IMPOSSIBLE, review_build, review_design, review_plan
from lifeos.governance import load_set
from lifeos.initial import render_init
from lifeos.model import Change, FailureClass, Frozen, Mode, Verdict

COMMAND = "pytest -q tests/test_webhook.py"
TASK = Task(
    order=0,
    id="LO-7k2m4q",
    title="Retry the webhook",
    mark=Mark.OPEN,
    digest="d" * 64,
    line=1,
    span=(0, 1),
    mark_offset=3,
    title_offset=6,
    id_span=None,
    title_line="- [ ] Retry the webhook",
    scope=("src/**",),
    acceptance=(
        Acceptance("three_attempts, with *backoff* (a|b)", COMMAND),
        Acceptance("logged once"),
    ),
    recipe=("echo x > src/a.py",),
)
ONLY_TITLE = replace(TASK, acceptance=(), recipe=(), scope=())
DESIGN = artifacts.design(TASK)
PLAN = artifacts.plan(TASK, DESIGN)
SEATS = (Seat.CHAIR, Seat.RISK)


class Ran(Frozen):
    """What came of an acceptance command."""

    text: str = "three attempts"
    command: str = COMMAND
    passed: bool = True
    message: str = ""


def changed(path: str = "src/a.py", *, old: str = "", status: str = "M") -> Change:
    return Change.model_validate(
        {
            "status": status,
            "path": path,
            "old_path": old,
            "old_mode": "100644",
            "new_mode": "100644",
            "old_id": "old",
            "new_id": "new",
            "added": 1,
        }
    )


def check(status: CheckStatus, failure: FailureClass | None = None) -> CheckResult:
    return CheckResult(
        name="tests",
        kind=CheckKind.TEST,
        command="pytest -q",
        status=status,
        failure_class=failure,
        message="exit 1",
    )


GREEN = check(CheckStatus.PASSED)
RED = check(CheckStatus.FAILED, FailureClass.TEST_FAILURE)
LINT = check(CheckStatus.FAILED, FailureClass.LINT_ERROR)


def built(
    *changes: Change,
    new: bytes = b"one\n",
    old: bytes = b"",
    checks: tuple[CheckResult, ...] = (GREEN,),
    ran: tuple[Ran, ...] = (Ran(),),
    task: Task = TASK,
    plan: str = PLAN,
    proves_nothing: tuple[str, ...] = (),
    waived: tuple[FailureClass, ...] = (),
    accepted: bool = False,
    mode: Mode = Mode.M1,
) -> Review:
    return review_build(
        task,
        plan,
        changes or (changed(),),
        UNCLASSIFIED,
        mode,
        mode_reason="it changes code",
        seats=SEATS,
        checks=checks,
        acceptance=ran,
        proves_nothing=proves_nothing,
        waived=waived,
        accepted=accepted,
        contents={"new": new, "old": old},
    )


def kinds(review: Review) -> set[str]:
    return {finding.kind for finding in review.findings}


def test_a_good_design_plan_and_build_are_accepted() -> None:
    """What the built-in agent writes passes, also with names full of markup."""
    for review in (
        review_design(TASK, DESIGN, UNCLASSIFIED, Mode.M0),
        review_plan(TASK, PLAN, UNCLASSIFIED, Mode.M0),
        built(),
    ):
        assert (review.verdict, review.findings, review.causes) == (Verdict.ACCEPT, (), ())


def test_a_design_must_name_every_acceptance_item() -> None:
    """One that is left out is named in the finding, and is mended by the designer."""
    review = review_design(TASK, "# Design\n\nlogged once", UNCLASSIFIED, Mode.M1)
    assert review.verdict is Verdict.REVISE
    assert [finding.severity for finding in review.findings] == [Severity.P1]
    assert "three_attempts" in review.findings[0].message
    assert review.causes == (FailureClass.REVIEW_REJECTION,)


@pytest.mark.parametrize("text", ["", " \n", "# ---\n"])
def test_an_empty_design_is_revised(text: str) -> None:
    """Also where the task has no acceptance items that it could leave out."""
    task = replace(TASK, acceptance=())
    assert review_design(task, text, UNCLASSIFIED, Mode.M1).verdict is Verdict.REVISE


def test_a_task_that_says_nothing_is_rejected() -> None:
    """No attempt can mend it; and any one thing that is said is enough."""
    assert review_design(ONLY_TITLE, DESIGN, UNCLASSIFIED, Mode.M1).verdict is Verdict.REJECT
    for said in ({"description": "do it"}, {"dod": "done"}, {"recipe": ("true",)}):
        task = replace(ONLY_TITLE, **said)
        assert review_design(task, DESIGN, UNCLASSIFIED, Mode.M1).verdict is Verdict.ACCEPT


def test_a_title_is_enough_for_a_builder_that_can_think() -> None:
    """A task on one line is a task; only a recipe has to be spelled out."""
    design = review_design(ONLY_TITLE, DESIGN, UNCLASSIFIED, Mode.M1, by_recipe=False)
    assert design.verdict is Verdict.ACCEPT
    agents = {"build": "opencode"}
    rules = load_set(render_init("A", "a@example.org", "main", ())).governance
    assert rules is not None
    config = rules.config.model_copy(update={"agents": Agents.model_validate(agents)})
    plan = artifacts.plan(ONLY_TITLE, DESIGN, rules.model_copy(update={"config": config}))
    review = review_plan(ONLY_TITLE, plan, UNCLASSIFIED, Mode.M1, by_recipe=False)
    assert review.verdict is Verdict.ACCEPT
    empty = review_plan(ONLY_TITLE, "# Plan\n", UNCLASSIFIED, Mode.M1, by_recipe=False)
    assert empty.verdict is Verdict.REVISE


def test_a_plan_needs_steps() -> None:
    """Without a recipe there never will be any: rejected, with what to add to the task."""
    review = review_plan(TASK, "# Plan\n\n- a bullet\n", UNCLASSIFIED, Mode.M1)
    assert (review.verdict, kinds(review)) == (Verdict.REVISE, {"no_steps"})
    bare = replace(TASK, recipe=())
    review = review_plan(bare, artifacts.plan(bare, DESIGN), UNCLASSIFIED, Mode.M1)
    assert (review.verdict, kinds(review)) == (Verdict.REJECT, {IMPOSSIBLE})
    assert "add a recipe block" in review.findings[0].message


def test_a_step_inside_a_quoted_text_is_none() -> None:
    """What the task's author wrote in a fence is not the plan's."""
    review = review_plan(TASK, "```\n1. not a step\n```\n", UNCLASSIFIED, Mode.M1)
    assert kinds(review) == {"no_steps"}


def test_a_plan_must_name_every_acceptance_command() -> None:
    """Else what is to be proven would be forgotten."""
    text = PLAN.replace(COMMAND, "true")
    review = review_plan(TASK, text, UNCLASSIFIED, Mode.M1)
    assert (review.verdict, kinds(review)) == (Verdict.REVISE, {"not_named"})


def test_a_plan_without_expected_paths_is_told_so() -> None:
    """It is said, and does not block."""
    review = review_plan(TASK, f"1. do it, then {COMMAND}\n", UNCLASSIFIED, Mode.M1)
    assert (review.verdict, kinds(review)) == (Verdict.ACCEPT, {"no_paths"})


@pytest.mark.parametrize(
    ("result", "cause"), [(RED, FailureClass.TEST_FAILURE), (LINT, FailureClass.LINT_ERROR)]
)
def test_a_red_check_is_revised_with_its_class(result: CheckResult, cause: FailureClass) -> None:
    """The class is what decides whether a new plan is needed."""
    review = built(checks=(GREEN, result))
    assert (review.verdict, review.causes) == (Verdict.REVISE, (cause,))
    assert review.findings[0].severity is Severity.P0


def test_a_waived_failure_is_said_and_does_not_block() -> None:
    """Only the class that was waived; and acceptance commands that were not run because of it."""
    review = built(checks=(RED,), ran=(), waived=(FailureClass.TEST_FAILURE,))
    assert review.verdict is Verdict.ACCEPT
    assert {"check_waived", "acceptance_not_run"} <= kinds(review)
    assert built(checks=(RED, LINT), waived=(FailureClass.TEST_FAILURE,)).causes == (
        FailureClass.LINT_ERROR,
    )


def test_an_acceptance_command_must_have_passed() -> None:
    """Failing or not run at all: neither is accepted (a result that is missing is no result)."""
    failing = built(ran=(Ran(passed=False, message="exit 1"),))
    assert (failing.verdict, failing.causes) == (Verdict.REVISE, (FailureClass.TEST_FAILURE,))
    missing = built(ran=())
    assert (missing.verdict, kinds(missing)) == (Verdict.REVISE, {"acceptance_not_run"})
    other = built(ran=(Ran(command="true"),))
    assert kinds(other) == {"acceptance_not_run"}


def test_a_command_that_passed_before_proves_nothing() -> None:
    """It is reported; where none is left that proves anything, that too."""
    review = built(proves_nothing=(COMMAND,))
    assert review.verdict is Verdict.ACCEPT
    assert kinds(review) == {"proves_nothing", "unproven"}
    two = replace(TASK, acceptance=(*TASK.acceptance, Acceptance("more", "make more")))
    results = (Ran(), Ran(command="make more"))
    assert kinds(built(task=two, ran=results, proves_nothing=(COMMAND,))) == {"proves_nothing"}


@pytest.mark.parametrize(
    "change", [changed("docs/a.md"), changed("src/a.py", old="docs/a.md", status="R")]
)
def test_a_change_out_of_scope_blocks_unless_a_person_took_it(change: Change) -> None:
    """Old names count. What a person accepted as it is is not undone by a rule."""
    assert "out_of_scope" in kinds(built(change))
    assert built(change).verdict is Verdict.REVISE
    assert built(change, accepted=True).verdict is Verdict.ACCEPT
    assert "out_of_scope" not in kinds(built(change, task=replace(TASK, scope=())))


def test_no_change_is_not_a_build() -> None:
    """An empty diff is never accepted."""
    review = review_build(
        TASK, PLAN, (), UNCLASSIFIED, Mode.M1, acceptance=(Ran(),), checks=(GREEN,), contents={}
    )
    assert (review.verdict, review.causes) == (Verdict.REVISE, (FailureClass.NO_CHANGE,))


def test_the_plan_is_held_against_what_really_changed() -> None:
    """In both directions; it is said, and does not block."""
    review = built(changed("src/b.py"))
    assert review.verdict is Verdict.ACCEPT
    assert {(f.kind, f.path) for f in review.findings} == {
        ("unexpected_path", "src/b.py"),
        ("unchanged_path", "src/a.py"),
    }


@pytest.mark.parametrize(
    "name", ["a.py.orig", "a.rej", ".a.py.swp", "a.py~", ".#a.py", "#a.py#", ".DS_Store", "a.BAK"]
)
def test_leftovers_of_tools_are_to_be_removed(name: str) -> None:
    """A new one blocks; one that the base already had, or that goes, does not."""
    review = built(changed(), changed(f"src/{name}", status="A"))
    assert (review.verdict, review.causes) == (Verdict.REVISE, (FailureClass.REVIEW_REJECTION,))
    assert "leftover" in kinds(review)
    for status in "MD":
        assert built(changed(), changed(f"src/{name}", status=status)).verdict is Verdict.ACCEPT


MARKERS = b"<<<<<<< ours\n1\n=======\n2\n>>>>>>> theirs\n"


def test_conflict_markers_block() -> None:
    """Where the change brings them; a heading underlined with = is no marker."""
    review = built(new=b"x\n" + MARKERS, old=b"x\n")
    assert (review.verdict, review.findings[0].kind) == (Verdict.REVISE, "conflict_marker")
    assert (review.findings[0].path, review.findings[0].line) == ("src/a.py", 2)
    assert built(new=b"y\n" + MARKERS, old=MARKERS).verdict is Verdict.ACCEPT
    assert built(new=b"Heading\n=======\n").findings == ()


def test_unfinished_work_is_listed_with_its_lines() -> None:
    """Only what was added counts, and only whole words; a flood is cut."""
    old = b"a\n# TODO old\n"
    review = built(new=b"# TODO old\nb\n# FIXME new\nMASTODON TODOS\n", old=old)
    assert review.verdict is Verdict.ACCEPT
    assert [(f.kind, f.line) for f in review.findings] == [("unfinished", 3)]
    again = built(new=b"# TODO old\na\n# TODO old\n", old=old)
    assert [f.line for f in again.findings] == [3]
    assert len(built(new=b"".join(b"TODO %d\n" % n for n in range(99))).findings) == 10


def test_binary_content_is_not_read_as_lines() -> None:
    """A picture may contain anything."""
    assert built(new=b"\0" + MARKERS + b"TODO\n").findings == ()


@pytest.mark.parametrize("mode", Mode)
def test_it_says_that_no_model_sat(mode: Mode) -> None:
    """No theatre: the seats are named as empty, and only M0 goes on without a person."""
    review = built(mode=mode)
    assert (review.by, review.seats_missing) == ("rule", ("chair", "risk"))
    assert review.forced is (mode is not Mode.M0)
    text = to_markdown(review)
    for said in ("no model sat", "chair, risk", f"mode {mode} (it changes code)"):
        assert said in text
    assert ("a person decides before" in text) is review.forced


def test_the_review_for_people_has_every_finding_as_text() -> None:
    """Verdict first; a hostile name or message stays in its cell."""
    hostile = changed("docs/a|`b`<img>\n.py")  # out of scope
    unmet = Ran(passed=False, message="<b>@all</b>|x\n## No")
    review = built(hostile, checks=(RED,), ran=(unmet,))
    assert any("<img>" in finding.path for finding in review.findings)
    assert any("@all" in finding.message for finding in review.findings)
    text = to_markdown(review)
    assert text.startswith("# Review of the build: revise\n")
    assert text.endswith("\n")
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    rows = [token for token in tokens if token.type == "tr_open"]
    cells = [token for token in tokens if token.type == "td_open"]
    assert len(rows) == 1 + len(review.findings)
    assert len(cells) == 4 * len(review.findings)
    children = [child for token in tokens for child in token.children or ()]
    assert not any("html" in each.type for each in (*tokens, *children))
    assert sum(token.type == "heading_open" for token in tokens) == 4


def test_findings_are_in_one_order() -> None:
    """Gravest first, then by place: the same facts give the same text."""
    severities = [f.severity for f in built(changed("src/b.py"), checks=(RED,)).findings]
    assert severities == sorted(severities)
    both = (changed("src/b.py"), changed("src/c.py"))
    assert built(*both) == built(*reversed(both))
