"""Bundles as hostile input: each way to be wrong is refused by name, and nothing else suffers.

The attempt is real, and so is the report about it; a test changes one thing in them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ci_scene import Handed, claimed, collected
from command_line import Project
from lifeos.core.canonical import sha256
from lifeos.core.records import Finished
from lifeos.model import FailureClass, ItemKind
from lifeos.tick.bundle import MAX_BLOBS, MAX_FILE, MAX_FILES
from loop_scene import begin_scene

FAST = {"name": "fast", "run": "! grep -q broken README.md", "kind": "test", "fast": True}
SLOW = {"name": "slow", "run": "! grep -rq broken docs", "kind": "lint", "fast": False}
GUIDE = "docs/guide.md"
_MADE: dict[str, Handed] = {}


def handed(tmp_path: Path, stage: str = "build") -> Handed:
    """A copy of an honest attempt at a stage, carried out and checked, not collected yet."""
    if stage not in _MADE:
        place = tmp_path.parent / f"template-handed-{stage}-{os.getpid()}"
        settings = {"config.checks": [FAST, SLOW]}
        scene = begin_scene(place / "repo", settings, {"docs/old.md": "old\n"})
        project = Project(scene.folder, scene.now, scene.nonces)
        _MADE[stage] = Handed.made(project, place, stage)
    return _MADE[stage].copy(tmp_path)


def test_an_honest_bundle_counts(tmp_path: Path) -> None:
    """The ground on which everything below stands: unchanged, it is recorded."""
    record = handed(tmp_path).taken()
    assert record.facts is not None
    assert (str(record.facts.outcome), record.action) == ("ok", "advance")


# --- the folder -----------------------------------------------------------------------------


def _linked_index(h: Handed) -> None:
    (h.bundle / "bundle.json").rename(h.bundle.parent / "elsewhere.json")
    (h.bundle / "bundle.json").symlink_to(h.bundle.parent / "elsewhere.json")


def _linked_work(h: Handed) -> None:
    (h.bundle / "work").rename(h.bundle.parent / "elsewhere")
    (h.bundle / "work").symlink_to(h.bundle.parent / "elsewhere")


def _linked_blob(h: Handed) -> None:
    (blob,) = (h.bundle / "work").iterdir()
    target = h.bundle.parent / "elsewhere"
    blob.rename(target)
    blob.symlink_to(target)


def _pipe(h: Handed) -> None:
    (blob,) = (h.bundle / "work").iterdir()
    blob.unlink()
    os.mkfifo(blob)


def _artifact_outside(h: Handed) -> None:
    h.edit(lambda value: value["files"].update({"../../config": sha256(b"")}))


def _artifact_absolute(h: Handed) -> None:
    h.edit(lambda value: value["files"].update({"/etc/passwd": sha256(b"")}))


def _unnamed(h: Handed) -> None:
    (h.bundle / "more.txt").write_bytes(b"")


def _wrong_digest(h: Handed) -> None:
    (blob,) = (h.bundle / "work").iterdir()
    blob.write_bytes(b"hello!\n")


def _too_many_artifacts(h: Handed) -> None:
    files = {f"f{number}": sha256(b"") for number in range(MAX_FILES + 1)}
    h.set(files=files)


def _too_many_files(h: Handed) -> None:
    gone = [{"path": f"f{n}", "mode": "000000", "digest": None} for n in range(MAX_BLOBS + 1)]
    h.set(work=gone)


def _too_large(h: Handed) -> None:
    h.artifact("log.txt", b"x" * (MAX_FILE + 1))


def _no_index(h: Handed) -> None:
    (h.bundle / "bundle.json").write_text("{", encoding="utf-8")


def _newer(h: Handed) -> None:
    h.set(format=2)


def _twice(h: Handed) -> None:
    h.edit(lambda value: value.update(work=[*value["work"], *value["work"]]))


FOLDERS: dict[str, tuple[Callable[[Handed], None], str]] = {
    "linked index": (_linked_index, "index cannot be read"),
    "linked folder": (_linked_work, "its work cannot be read"),
    "linked file": (_linked_blob, "not a plain file"),
    "pipe": (_pipe, "not a plain file"),
    "artifact with ..": (_artifact_outside, "is not a name for an artifact"),
    "artifact with an absolute name": (_artifact_absolute, "is not a name for an artifact"),
    "file that is not named": (_unnamed, "not named by its index"),
    "wrong digest": (_wrong_digest, "is not what the index names"),
    "too many artifacts": (_too_many_artifacts, f"{MAX_FILES} are allowed"),
    "too many changed files": (_too_many_files, f"{MAX_BLOBS} are allowed"),
    "too large": (_too_large, "too large"),
    "no index": (_no_index, "index cannot be read"),
    "newer format": (_newer, "format is not 1"),
    "a path twice": (_twice, "one path twice"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, case: str) -> None:
    """Links, pipes, names, counts, sizes and digests: none of it gets as far as the ledger."""
    h = handed(tmp_path)
    tamper, why = FOLDERS[case]
    tamper(h)
    h.refused(why)


# --- the claim ------------------------------------------------------------------------------


CLAIMS: dict[str, tuple[dict[str, object], str]] = {
    "wrong nonce": ({"nonce": "f" * 32}, "late, or of another claim"),
    "other run": ({"run": "R-zzzzzz"}, "late, or of another claim"),
    "other stage": ({"stage": "build_review"}, "its claim is not of build_review"),
    "other number": ({"n": 99}, "its claim is not of build 99"),
    "other ledger": ({"ledger": "0" * 40}, "not made from this ledger"),
    "option for a ledger": ({"ledger": "--output=/tmp/x"}, "index cannot be read"),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_a_bundle_of_another_claim_is_refused(tmp_path: Path, case: str) -> None:
    """Run, stage, number and nonce must be those of the open claim, on this very ledger."""
    h = handed(tmp_path)
    fields, why = CLAIMS[case]
    h.set(**fields)
    h.refused(why)


def test_a_ledger_of_before_the_claim_is_refused(tmp_path: Path) -> None:
    """The tip that the attempt was made from has to have the claim open."""
    h = handed(tmp_path)
    h.set(ledger=h.project.git("rev-parse", f"{h.claim.ledger}~1"))
    h.refused("not made from this ledger")


def test_after_its_lease_a_bundle_is_late(tmp_path: Path) -> None:
    """The claim was closed as interrupted and made anew: the old result is fenced off."""
    h = handed(tmp_path)
    h.project.now += 4000
    (again,) = claimed(h.project)
    assert again.nonce != h.claim.nonce
    outcomes = [r.facts.outcome for r in h.project.records() if isinstance(r, Finished) and r.facts]
    assert outcomes[-1] is FailureClass.INTERRUPTED
    h.refused("late, or of another claim")


def test_a_bundle_that_is_handed_in_again_is_neither_counted_nor_refused(tmp_path: Path) -> None:
    """The same call can be made again after a collect that died half-way."""
    h = handed(tmp_path)
    h.taken()
    assert collected(h.project, h.bundle, h.report) == (0, [])


# --- the tree -------------------------------------------------------------------------------


def _file(path: str) -> Callable[[Handed], None]:
    return lambda h: h.work([(path, "100644", b"x\n")])


def _nothing_made(h: Handed) -> None:
    shutil.rmtree(h.bundle / "work")
    h.set(work=[])
    h.facts(tree="")


TREES: dict[str, tuple[Callable[[Handed], None], str]] = {
    "tree id that does not fit": (lambda h: h.facts(tree="1" * 40), "its facts name"),
    "other content": (_file(GUIDE), "its facts name"),
    "path with ..": (_file("../../.git/config"), "its changes make no tree"),
    "absolute path": (_file("/etc/passwd"), "its changes make no tree"),
    "path in .git": (_file(".git/hooks/pre-commit"), "its changes make no tree"),
    "path in .GIT": (_file("a/.GIT/config"), "its changes make no tree"),
    "path below a file": (_file("README.md/x"), "its changes make no tree"),
    "work without a tree": (
        lambda h: h.facts(tree="", outcome="timeout"),
        "its facts name no tree",
    ),
    "ok without a tree": (
        _nothing_made,
        "nothing to show for it",
    ),
}


@pytest.mark.parametrize("case", TREES)
def test_a_tree_that_the_changes_do_not_give_is_refused(tmp_path: Path, case: str) -> None:
    """The tree is built here from the base and the changes; what the facts name must be that."""
    h = handed(tmp_path)
    tamper, why = TREES[case]
    tamper(h)
    h.refused(why)


def test_a_file_outside_the_scope_is_a_breach_whatever_the_facts_say(tmp_path: Path) -> None:
    """The envelope is judged again, on the tree: the CEO is asked."""
    h = handed(tmp_path)
    h.change({GUIDE: b"hello\n", "src/backdoor.py": b"x = 1\n"})
    assert h.index["facts"]["outcome"] == "ok"
    record = h.taken()
    assert record.facts is not None
    assert record.facts.outcome is FailureClass.ENVELOPE_VIOLATION
    assert [breach.path for breach in record.facts.breaches] == ["src/backdoor.py"]
    assert h.project.item().kind is ItemKind.BREACH


def test_governance_in_the_changes_is_a_breach(tmp_path: Path) -> None:
    """The rules stay what they are, and the attempt at them is recorded."""
    h = handed(tmp_path)
    h.change({GUIDE: b"hello\n", "policies/loop.yaml": b"version: 1\n"})
    record = h.taken()
    assert record.facts is not None
    assert record.facts.outcome is FailureClass.GOVERNANCE_VIOLATION


def test_a_link_among_the_changes_is_a_breach(tmp_path: Path) -> None:
    """A symbolic link travels as what it is, and is judged as what it is."""
    h = handed(tmp_path)
    h.change({GUIDE: b"/etc/passwd"}, mode="120000")
    record = h.taken()
    assert record.facts is not None
    assert record.facts.outcome is FailureClass.ENVELOPE_VIOLATION
    assert record.facts.breaches[0].kind == "symlink"


def test_a_secret_in_the_changes_is_never_recorded(tmp_path: Path) -> None:
    """No tree, no patch with the secret, and a breach: also where the attempt says it is well."""
    h = handed(tmp_path)
    secret = "AKIA" + "QWERTYUIOPASDFGH"
    h.change({GUIDE: f"hello\naws_access_key_id = {secret}\n".encode()})
    record = h.taken()
    assert record.facts is not None
    assert record.facts.breaches[0].kind == "secret"
    assert record.facts.tree == ""
    git = h.project.git
    assert not git("log", "--all", "--format=%h", f"-S{secret}", "--", ".")


# --- the checks -----------------------------------------------------------------------------


def test_facts_that_say_ok_do_not_count_against_red_checks(tmp_path: Path) -> None:
    """What counts is what the check job found on the very tree."""
    h = handed(tmp_path)
    h.change({GUIDE: b"hello\nbroken\n"})
    assert h.index["facts"]["outcome"] == "ok"
    record = h.taken()
    assert record.facts is not None
    assert record.facts.outcome is FailureClass.LINT_ERROR
    assert [(c.name, c.status) for c in record.facts.checks] == [
        ("fast", "passed"),
        ("slow", "failed"),
    ]


def test_facts_that_say_red_do_not_count_against_green_checks(tmp_path: Path) -> None:
    """Nor can an attempt choose the class that a person may waive."""
    h = handed(tmp_path)
    h.facts(outcome="lint_error", message="it is only lint")
    record = h.taken()
    assert record.facts is not None
    assert str(record.facts.outcome) == "ok"


def _other_bundle(h: Handed) -> None:
    h.edit_report(lambda report: report.update(bundle="0" * 64))


def _without(h: Handed) -> None:
    shutil.rmtree(h.report)
    h.report.mkdir()
    (h.report / "unrelated.txt").write_bytes(b"")


def _lacking(h: Handed) -> None:
    h.edit_report(lambda report: report["evidence"]["report"]["results"].pop())


def _empty(h: Handed) -> None:
    h.edit_report(lambda report: report.update(evidence={}))


def _other_command(h: Handed) -> None:
    h.edit_report(lambda report: report["evidence"]["report"]["results"][0].update(command="true"))


def _classless(h: Handed) -> None:
    h.edit_report(lambda report: report["evidence"]["report"]["results"][1].update(status="failed"))


def _no_acceptance(h: Handed) -> None:
    h.edit_report(lambda report: report["evidence"].update(acceptance=[]))


def _set(**fields: object) -> Callable[[Handed], None]:
    return lambda h: h.edit_report(lambda report: report.update(fields))


REPORTS: dict[str, tuple[Callable[[Handed], None], str]] = {
    "of another bundle": (_other_bundle, "no report of lifeos ci check"),
    "missing": (_without, "no report of lifeos ci check"),
    "of another tree": (_set(tree="1" * 40), "is about the tree"),
    "by other rules": (_set(governance="0" * 64), "on other terms"),
    "of another base": (_set(base="1" * 40), "on other terms"),
    "for another task": (_set(task="0" * 64), "on other terms"),
    "without a check": (_lacking, "lacks a check"),
    "empty": (_empty, "lacks a check"),
    "with another command": (_other_command, "has 'fast' in the place"),
    "red without a class": (_classless, "contradicts itself"),
    "without the acceptance": (_no_acceptance, "not about the task's acceptance"),
}


@pytest.mark.parametrize("case", REPORTS)
def test_a_report_that_is_not_about_this_is_refused(tmp_path: Path, case: str) -> None:
    """Without a whole report of its own, on the same terms, a build does not count."""
    h = handed(tmp_path)
    tamper, why = REPORTS[case]
    tamper(h)
    h.refused(why)


def test_of_two_reports_about_one_bundle_none_counts(tmp_path: Path) -> None:
    """Somebody made the second one; which of them is true cannot be told here."""
    h = handed(tmp_path)
    shutil.copytree(h.report, h.report.parent / "second")
    before = h.project.refs()
    recorded, reasons = collected(h.project, h.report.parent)
    assert recorded == 0
    assert any("2 check reports" in why for why in reasons)
    assert h.project.refs() == before


# --- the facts ------------------------------------------------------------------------------


USAGES: dict[str, dict[str, float]] = {
    "cost": {"cost": 1e9},
    "tokens": {"tokens": 10**12},
    "time": {"seconds": 1e9},
}


@pytest.mark.parametrize("case", USAGES)
def test_use_far_beyond_the_claim_is_refused(tmp_path: Path, case: str) -> None:
    """Else one bundle could use up the budget of the month."""
    h = handed(tmp_path)
    h.facts(usage=USAGES[case])
    h.refused("it says it")


def test_a_failure_may_be_reported_and_costs_only_its_own_run(tmp_path: Path) -> None:
    """An attempt that failed before there was a tree needs no report."""
    h = handed(tmp_path)
    shutil.rmtree(h.bundle / "work")
    h.set(work=[])
    h.facts(tree="", outcome="timeout", message="too slow", stopped=True, wake_at=2**40)
    record = h.taken()
    assert record.facts is not None
    assert record.facts.outcome is FailureClass.TIMEOUT
    assert not record.facts.stopped
    assert record.facts.wake_at is not None
    assert record.facts.wake_at < h.project.now + 90_000


def test_a_breach_that_only_the_attempt_saw_brings_the_ceo(tmp_path: Path) -> None:
    """A refused command leaves no trace in the tree: it is asked about, and nothing is waved on."""
    h = handed(tmp_path)
    breach = {"kind": "command", "path": "", "line": 0, "message": "ran curl"}
    h.facts(outcome="envelope_violation", message="ran curl", breaches=[breach])
    record = h.taken()
    assert record.facts is not None
    assert [b.message for b in record.facts.breaches] == ["ran curl"]
    assert record.facts.paths == (GUIDE,)
    assert h.project.item().kind is ItemKind.BREACH


def test_breaches_without_a_breach_are_refused(tmp_path: Path) -> None:
    """They would keep the check away, and say ok."""
    h = handed(tmp_path)
    h.facts(breaches=[{"kind": "command", "path": "", "line": 0, "message": "ran curl"}])
    h.refused("it names 1 breaches, and says ok")


def test_a_failure_that_the_table_does_not_know_is_refused(tmp_path: Path) -> None:
    """A design cannot fail its tests: the state machine says so, not the bundle."""
    h = handed(tmp_path, "design")
    h.facts(outcome="test_failure")
    h.refused("may not follow")


def test_a_forged_verdict_is_refused(tmp_path: Path) -> None:
    """The review by rule is made again here; a revise is not turned into an accept, or back."""
    h = handed(tmp_path, "build_review")
    assert h.index["facts"]["outcome"] == "accept"
    h.facts(outcome="reject")
    h.refused("the review says accept")


def test_a_design_without_its_text_is_refused(tmp_path: Path) -> None:
    """What is approved later is this text, so it is there, and the one that the facts name."""
    h = handed(tmp_path, "design")
    h.artifact("design.md", b"another one\n")
    h.refused("design.md is missing or another one")


def test_an_attempt_cannot_put_the_evidence_of_others_in(tmp_path: Path) -> None:
    """Reserved names do not count: what is recorded under them was made here."""
    h = handed(tmp_path)
    for name in ("checks.json", "review.json", "packet.json", "patch.diff"):
        h.artifact(name, b"forged")
    record = h.taken()
    assert record.evidence["checks.json"] != sha256(b"forged")
    assert not {"review.json", "packet.json", "patch.diff"} & set(record.evidence)


# --- together -------------------------------------------------------------------------------


def test_of_two_results_for_one_claim_none_counts_and_the_ceo_is_asked(tmp_path: Path) -> None:
    """Both pass every test: only one can be true, so the claim is over and a person decides."""
    h = handed(tmp_path)
    second = h.bundle.parent / "second"
    shutil.copytree(h.bundle, second)
    other = Handed(h.project, h.side, second, h.bundle.parent / "second-report", h.claim)
    shutil.copytree(h.report, other.report)
    other.facts(message="the other one")
    recorded, reasons = collected(h.project, h.bundle.parent)
    assert recorded == 1
    assert sum("none counts" in why for why in reasons) == 2
    assert h.project.item().kind is ItemKind.ESCALATION
    last = [r for r in h.project.records() if isinstance(r, Finished)][-1]
    assert last.facts is not None
    assert last.facts.outcome is FailureClass.UNKNOWN
    assert last.facts.tree == ""


def test_one_bad_bundle_does_not_keep_a_good_one_from_counting(tmp_path: Path) -> None:
    """The good one is recorded, the bad one is named, and the exit code tells."""
    h = handed(tmp_path)
    bad = h.bundle.parent / "bad"
    shutil.copytree(h.bundle, bad)
    Handed(h.project, h.side, bad, h.report, h.claim).edit_report(lambda _data: None)
    (bad / "more.txt").write_bytes(b"")
    recorded, reasons = collected(h.project, h.bundle.parent)
    assert recorded == 1
    assert len(reasons) == 1
