"""``lifeos verify``: one record, one note or one page hides nothing, and a clone may be behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conftest import EMAIL
from lifeos.core.records import Noted, Topic
from lifeos.core.state import PullRequest
from lifeos.model import CloseOutcome, Decision
from lifeos.store.endings import closed_path
from lifeos.store.ledger import Ledger
from lifeos.store.objects import LIFEOS
from lifeos.store.repo import Repo
from lifeos.store.trees import edit
from lifeos.tick.audit import Area
from loop_scene import TASK, Scene
from test_verify import (
    Step,
    findings,
    in_lifeos_name,
    one,
    steps_of,
    tampered,
    with_file,
    write,
)
from test_verify_areas import MALLORY, named, told
from told import asked, landed, lifeos


@pytest.fixture
def scene(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run landed."""
    return landed(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


@pytest.fixture
def waiting(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run waits before its landing."""
    return asked(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


# --- every landing that was noted ---------------------------------------------------------------


def test_a_landing_noted_beside_the_true_one(scene: Scene) -> None:
    """The ledger vouches for each commit that it notes, not only for the one that ended the run."""
    evil = in_lifeos_name(scene, {"src/evil.py": "x = 1\n"})
    steps = steps_of(scene)
    place = one(steps, "noted", topic="landing")
    forged = steps[place].saying(
        commit=evil,
        onto=scene.git("rev-parse", f"{evil}^"),
        tree=scene.git("rev-parse", f"{evil}^{{tree}}"),
    )
    steps.insert(place, replace(forged, old="forged"))
    made = write(scene, steps, renumber=True)
    named(scene, made["forged"], "is not the landing that was noted", Area.LANDINGS)


def test_a_landing_noted_that_main_never_had(scene: Scene) -> None:
    """Nor is a commit of main the work of one because a commit beside main has it as a parent."""
    evil = in_lifeos_name(scene, {"src/evil.py": "x = 1\n"}, anchor=False)
    tree = scene.git("rev-parse", f"{evil}^{{tree}}")
    aside = scene.git("commit-tree", "-p", f"{evil}^", "-p", evil, "-m", "aside", tree)
    steps = steps_of(scene)
    place = one(steps, "noted", topic="landing")
    forged = steps[place].saying(commit=aside, onto=scene.git("rev-parse", f"{evil}^"), tree=tree)
    steps.insert(place, replace(forged, old="forged"))
    write(scene, steps, renumber=True)
    named(scene, evil, "it changes src/evil.py, and no run landed it", Area.MAIN)


# --- notes of pull requests ---------------------------------------------------------------------


def noted_pull(scene: Scene, head: str, commits: int = 1) -> str:
    """A note that this is the head of the open item's pull request. The transition."""
    item = scene.item().id
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        pull = PullRequest(head=head, commits=commits)
        commit = ledger.append(Noted(at=scene.now, topic=Topic.PULL, item=item, pull=pull))
        ledger.save()
    return commit


def test_a_commit_hidden_by_the_note_of_a_pull_request(waiting: Scene) -> None:
    """There are none where answers are commits: neither is such a note believed by `why`."""
    evil = in_lifeos_name(waiting, {"src/evil.py": "x = 1\n"}, anchor=False)
    commit = noted_pull(waiting, evil)
    named(waiting, commit, "answers come by trust commit", Area.LANDINGS)
    named(waiting, evil, "it changes src/evil.py, and no run landed it", Area.MAIN)
    said = lifeos(waiting.folder, "why", "src/evil.py").out
    assert "a commit in lifeos's name that the ledger knows nothing of" in said


def test_a_strangers_commits_hidden_by_the_note_of_a_pull_request(waiting: Scene) -> None:
    """They are still told as what did not come through lifeos."""
    evil = waiting.commit({"src/evil.py": "x = 1\n"}, author=MALLORY, committer=MALLORY)
    commit = noted_pull(waiting, evil, commits=50)
    named(waiting, commit, "answers come by trust commit", Area.LANDINGS)
    assert evil in [one["commit"] for one in told(waiting, 1)["outside"]]


# --- pages of questions -------------------------------------------------------------------------


def test_a_page_that_asks_something_else(waiting: Scene) -> None:
    """The newest transition rewritten, its page alone: that is before main ever showed it."""
    place, path = one(steps_of(waiting), "held"), f"queue/{waiting.item().id}.md"
    page = waiting.git("show", f"lifeos/ledger:{path}").replace("docs/guide.md", "nothing at all")
    commit = tampered(
        waiting, place, lambda step: with_file(waiting, step, path, page.encode() + b"\n")
    )
    named(waiting, commit, f"{path} is not what was asked", Area.APPROVALS)


def test_a_question_without_a_page(waiting: Scene) -> None:
    """Then nobody was told what they answer."""
    place, path = one(steps_of(waiting), "held"), f"queue/{waiting.item().id}.md"

    def without(step: Step) -> Step:
        with Repo.open(waiting.folder) as repo:
            tree = edit(repo.objects, step.tree, {path: None})
            repo.objects.flush()
        return replace(step, tree=tree)

    named(waiting, tampered(waiting, place, without), f"{path} is not there", Area.APPROVALS)


# --- what was taken back ------------------------------------------------------------------------


def noted_revert(scene: Scene, run: str, commit: str, who: str, ended: dict[str, str]) -> str:
    """A note that this commit took a run's landing back; the end of its task says more."""
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        end = ledger.ended(TASK)
        assert end is not None
        told = end.model_copy(update={"reverted": commit, **ended}).model_dump_json().encode()
        note = Noted(
            at=scene.now,
            topic=Topic.REVERTED,
            run=run or end.run,
            task=TASK,
            commit=commit,
            onto=end.landed,
            who=who,
        )
        transition = ledger.append(note, artifacts={closed_path(TASK): told})
        ledger.save()
    return transition


def taken_back(scene: Scene) -> str:
    """A commit of a person's that takes the only landing back as `lifeos revert` would."""
    return scene.commit({"docs/guide.md": None})


def test_what_was_taken_back(scene: Scene) -> None:
    """As `lifeos revert` notes it."""
    noted_revert(scene, "", taken_back(scene), EMAIL, {})
    assert findings(scene) == ()


def test_a_landing_noted_as_what_took_it_back(scene: Scene) -> None:
    """The work is on main still: nothing took it back."""
    landing = str(steps_of(scene)[one(steps_of(scene), "closed")].record["landed"])
    commit = noted_revert(scene, "", landing, EMAIL, {})
    named(scene, commit, "does not take back what", Area.LANDINGS)


def test_a_commit_that_does_more_than_take_back(scene: Scene) -> None:
    """What else is in it comes under no other name."""
    evil = scene.commit({"docs/guide.md": None, "src/evil.py": "x = 1\n"})
    named(scene, noted_revert(scene, "", evil, EMAIL, {}), "does not take back", Area.LANDINGS)


def test_a_run_taken_back_that_landed_nothing(scene: Scene) -> None:
    """Its name is one that the ledger does not know."""
    commit = noted_revert(scene, "R-zzzzzzzz", taken_back(scene), EMAIL, {})
    named(scene, commit, "is nothing that R-zzzzzzzz landed", Area.LANDINGS)


def test_a_landing_taken_back_by_a_stranger(scene: Scene) -> None:
    """Only an approver takes back what an approval let land."""
    commit = noted_revert(scene, "", taken_back(scene), MALLORY, {})
    named(scene, commit, "was not an approver", Area.LANDINGS)


@pytest.mark.parametrize("ended", [{"run": "R-zzzzzzzz"}, {"outcome": CloseOutcome.REJECTED}])
def test_an_end_rewritten_by_a_revert(scene: Scene, ended: dict[str, str]) -> None:
    """It says what took the work back, and nothing else otherwise than before."""
    commit = noted_revert(scene, "", taken_back(scene), EMAIL, ended)
    named(scene, commit, "does not say what took it back, and that alone", Area.EVIDENCE)


# --- what is taken away -------------------------------------------------------------------------


def taken_away(scene: Scene, path: str, anchor: str) -> str:
    """A commit in lifeos's name, at this transition, that removes a file. The commit."""
    scene.write({path: None})
    scene.git("add", "--all", "--", path)
    said = f"--message=lifeos: a thing\n\nLifeos-Ledger: {anchor}"
    return scene.commit({}, said, author=LIFEOS.email, committer=LIFEOS.email)


@pytest.mark.parametrize("before", [0, 1])
def test_an_answer_taken_away_before_it_was_read(waiting: Scene, before: int) -> None:
    """Whoever does that in lifeos's name loses a rejection, and the question goes on waiting.

    Nor does it help them to name a transition at which nobody had asked yet.
    """
    answer = dict(waiting.answer(Decision.REJECT, "no"))
    waiting.commit(answer)
    (path,) = answer
    commit = taken_away(waiting, path, waiting.git("rev-parse", f"lifeos/ledger~{before}"))
    named(waiting, commit, f"it takes away {path}, whose question was not over", Area.MAIN)


def test_a_question_taken_away_that_waits(waiting: Scene) -> None:
    """Its page is what a person finds on main."""
    path = f".lifeos/queue/{waiting.item().id}.md"
    commit = taken_away(waiting, path, waiting.tip())
    named(waiting, commit, f"it takes away {path}, whose question was not over", Area.MAIN)


# --- a clone that only fetches ------------------------------------------------------------------


def test_a_clone_that_only_fetches(scene: Scene, tmp_path: Path) -> None:
    """Its own main stays behind: what landed is looked for on the newer one."""
    clone = Scene(tmp_path / "clone")
    scene.git("clone", "--quiet", str(scene.folder), str(clone.folder))
    clone.git("branch", "--quiet", "lifeos/ledger", "origin/lifeos/ledger")
    clone.git("reset", "--quiet", "--hard", "main~2")
    said = lifeos(clone.folder, "verify")
    assert said.code == 0, said.out
    assert findings(clone) == ()


def test_a_clone_whose_main_went_on(scene: Scene, tmp_path: Path) -> None:
    """Nor is origin's main looked at where it is the older one."""
    clone = Scene(tmp_path / "clone", scene.now)
    scene.git("clone", "--quiet", str(scene.folder), str(clone.folder))
    clone.git("branch", "--quiet", "lifeos/ledger", "origin/lifeos/ledger")
    clone.git("update-ref", "refs/remotes/origin/main", "main~2")
    assert findings(clone) == ()
