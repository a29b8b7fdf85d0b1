"""Answers that must not resume a run, each built with real commits and shown to the real loop.

A run waits at CEO_REVIEW before it lands. Then something is put into the repository that looks
like an approval, or is one that no longer counts. The next tick must leave the run where it is,
land nothing, and say why. The same right answer at the end of the file shows that the scene
would have gone on.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from command_line import Project
from conftest import EMAIL, require
from lifeos.core.answers import answer_path, answer_text
from lifeos.core.records import Closed, Finished, Held, Noted, Opened, Resolved
from lifeos.core.state import Item, RunStatus
from lifeos.errors import LedgerBroken
from lifeos.model import CloseOutcome, Decision, ItemKind, Stage, Trust
from lifeos.store.objects import LIFEOS
from lifeos.tick.report import Report
from loop_scene import Scene, begin_scene, changed

ANN, BOB, MALLORY = EMAIL, "bob@example.invalid", "mallory@example.invalid"
BOT = "41898282+helper[bot]@users.noreply.example.invalid"
WORK = "docs/guide.md"
PEOPLE = ("ann", "bob", "mallory", "new", "ca")

Sign = tuple[str, ...]
"""What to put before git's command so that its commit is signed; with ``-S`` behind it."""


# --- the scene --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A key pair for everybody here."""
    require("ssh-keygen", shutil.which("ssh-keygen") is not None, "apt-get install openssh-client")
    folder = tmp_path_factory.mktemp("keys")
    for name in PEOPLE:
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"{folder / name}"]
        subprocess.run(make, check=True, capture_output=True, timeout=30)
    return {name: folder / name for name in PEOPLE}


def public(key: Path) -> str:
    """The public key's line."""
    return key.with_suffix(".pub").read_text(encoding="utf-8").strip()


def signing(key: Path) -> Sign:
    """Options of git with which a commit is signed by this key."""
    return ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}")


def approvers(trust: Trust, **people: str) -> str:
    """policies/approvals.yaml with these people, by address and key."""
    lines = ["version: 1", f"trust: {trust}", "approvers:"]
    for name, line in people.items():
        email, key = line.split(" ", 1)
        lines += [f"  - name: {name}", f"    email: {email}", f"    key: {key}"]
    return "\n".join([*lines, "expiry:", "  hours: 168", "  then: hold", ""])


_TEMPLATES: dict[Trust, Scene] = {}


class Case(Scene):
    """A run before its landing, under one kind of trust, and how its people commit."""

    trust: Trust
    keys: dict[str, Path]

    def by(
        self,
        who: str,
        files: Mapping[str, str | bytes | None] | Mapping[str, bytes] | Mapping[str, str],
        *options: str,
        **names: str,
    ) -> str:
        """Commit as a person would: in their own name, signed where the trust wants it."""
        email = {"ann": ANN, "bob": BOB, "mallory": MALLORY}[who]
        sign = self.trust is Trust.SIGNATURE
        return self.commit(
            dict(files),
            *(("-S",) if sign else ()),
            *options,
            author=names.get("author", email),
            committer=names.get("committer", email),
            before=signing(self.keys[names.get("key", who)]) if sign else (),
        )

    def rules(self, **people: str) -> dict[str, str]:
        """The approvers file with these people instead."""
        return {"policies/approvals.yaml": approvers(self.trust, **people)}

    @property
    def ann(self) -> str:
        """Ann's line among the approvers."""
        return f"{ANN} {public(self.keys['ann'])}"

    @property
    def bob(self) -> str:
        """Bob's line among the approvers."""
        return f"{BOB} {public(self.keys['bob'])}"


def _at_review(folder: Path, trust: Trust, keys: dict[str, Path]) -> Case:
    files = {
        "policies/approvals.yaml": approvers(
            trust, ann=f"{ANN} {public(keys['ann'])}", bob=f"{BOB} {public(keys['bob'])}"
        )
    }
    scene = begin_scene(folder, files=files)
    scene.__class__ = Case
    assert isinstance(scene, Case)
    scene.trust, scene.keys = trust, keys
    if trust is Trust.SIGNATURE:
        # The task brings commands: they count as an approver's if she signed the commit.
        scene.as_somebody(ANN, ANN, *signing(keys["ann"]))(
            "commit", "--quiet", "--amend", "--no-edit", "-S"
        )
    scene.tick()
    return scene


@pytest.fixture
def case(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    keys: dict[str, Path],
) -> Case:
    """A run that waits before its landing; a test may ask for trust ``signature``."""
    trust = getattr(request, "param", Trust.COMMIT)
    if trust not in _TEMPLATES:
        _TEMPLATES[trust] = _at_review(tmp_path_factory.mktemp(trust) / "repo", trust, keys)
    return _copied(_TEMPLATES[trust], tmp_path / "repo", trust, keys)


def _copied(template: Scene, to: Path, trust: Trust, keys: dict[str, Path]) -> Case:
    scene = template.copy(to)
    scene.__class__ = Case
    assert isinstance(scene, Case)
    scene.trust, scene.keys = trust, keys
    assert scene.item().kind is ItemKind.STAGE_REVIEW
    assert scene.run().stage is Stage.CLOSE
    return scene


both = pytest.mark.parametrize("case", [Trust.COMMIT, Trust.SIGNATURE], indirect=True)
signed = pytest.mark.parametrize("case", [Trust.SIGNATURE], indirect=True)


def stays(case: Case, reason: str) -> Report:
    """A tick leaves the run where it is, lands nothing, and says why ("": nothing is there)."""
    item, run, tip = case.item(), case.run(), case.tip()
    report = case.tick()
    assert [type(record) for record in case.records(tip) if isinstance(record, _ONWARD)] == []
    after = case.snapshot()
    assert after.items[item.id] == item
    assert after.runs[run.id] == run
    assert after.runs[run.id].status is RunStatus.HELD
    assert not case.on_main(WORK)
    assert report.ended == []
    said = report.standing(tuple(after.items))
    if reason:
        assert any(reason in refusal for refusal in report.refusals), report.refusals
        assert f"refused: {_refused(report, reason)}" in said
        assert "fix: " in _refused(report, reason)
    else:
        assert report.refusals == ()
    assert item.id in said
    return report


def said_in_queue(case: Case, reason: str) -> None:
    """Whoever asks what waits hears why an answer that is not on main does not count.

    The tick itself does not look at what is not on main.
    """
    said = Project(case.folder).cli("queue").out
    assert f"the answer to {case.item().id} does not count: {reason}" in said
    assert "fix: " in said


_ONWARD = (Resolved, Closed, Finished, Opened)


def _refused(report: Report, reason: str) -> str:
    return next(refusal for refusal in report.refusals if reason in refusal)


def resumes(case: Case, report: Report | None = None) -> None:
    """The run has landed, once."""
    report = report or case.tick()
    assert [outcome for _, _, outcome in report.ended] == [CloseOutcome.PASS]
    assert case.at_main(WORK) == "hello"
    assert not case.snapshot().items


# --- the right answer -------------------------------------------------------------------------


@both
def test_the_right_answer_resumes_exactly_once(case: Case) -> None:
    """Else nothing below would prove anything. A second approval finds nothing to approve."""
    answer = case.answer()
    case.by("ann", answer)
    resumes(case)
    records = case.records()
    assert sum(isinstance(record, Resolved) for record in records) == 1
    assert sum(isinstance(record, Closed) for record in records) == 1
    (path,) = answer
    assert not case.on_main(path)
    case.by("ann", answer)  # the same again
    tip = case.tip()
    report = case.tick()
    assert case.records(tip) == []
    assert "no such question is open" in report.refusals[0]
    assert not case.on_main(path)


@both
def test_double_approval_resumes_once(case: Case) -> None:
    """Two approvers, one after the other, before the tick: one answer is taken, it lands once."""
    case.by("ann", case.answer())
    case.by("bob", case.answer(comment="I think so too"))
    resumes(case)
    (taken,) = [record for record in case.records() if isinstance(record, Resolved)]
    assert taken.who == BOB
    assert case.git("rev-list", "--count", "--merges", "main") == "1"


# --- who brought it ---------------------------------------------------------------------------


def test_spoofed_author(case: Case) -> None:
    """Mallory commits in Ann's name."""
    case.by("mallory", case.answer(), author=ANN)
    stays(case, f"its author {ANN} is not its committer {MALLORY}")


def test_spoofed_committer(case: Case) -> None:
    """Mallory's work, as if Ann had applied it."""
    case.by("mallory", case.answer(), committer=ANN)
    stays(case, f"its author {MALLORY} is not its committer {ANN}")


@signed
def test_spoofed_author_and_committer_of_a_signed_answer(case: Case) -> None:
    """Both names are Ann's; the key is Mallory's."""
    case.by("ann", case.answer(), key="mallory")
    stays(case, "signed with a key that no approver has")


@both
def test_not_an_approver(case: Case) -> None:
    """Mallory in her own name, with her own key."""
    case.by("mallory", case.answer())
    key = "signed with a key that no approver has"
    stays(case, key if case.trust is Trust.SIGNATURE else f"{MALLORY} is not an approver")


@both
@pytest.mark.parametrize("role", ["author", "committer"])
def test_lifeos_identity(case: Case, role: str) -> None:
    """lifeos never answers its own questions, whoever signs for it."""
    case.by("ann", case.answer(), **{role: LIFEOS.email})
    stays(case, "names lifeos itself")


@both
def test_bot_author(case: Case) -> None:
    """A bot wrote it, and Ann's key is on it."""
    case.by("ann", case.answer(), author=BOT)
    stays(case, "it was committed by a bot")


@pytest.mark.parametrize("variable", ["CI", "GITHUB_ACTIONS"])
def test_trust_commit_in_ci(case: Case, variable: str) -> None:
    """Anybody can write an author's name: on a shared machine the name is not enough."""
    case.by("ann", case.answer())
    case.environ[variable] = "true"
    stays(case, "this is a CI machine")


@signed
def test_unsigned(case: Case) -> None:
    """In Ann's name, without her key."""
    case.commit(case.answer(), "--no-gpg-sign", author=ANN, committer=ANN)
    stays(case, "is not signed")


@signed
def test_unknown_key(case: Case) -> None:
    """A key that nobody knows."""
    case.by("ann", case.answer(), key="new")
    stays(case, "signed with a key that no approver has")


@signed
def test_expired_key(case: Case, tmp_path: Path) -> None:
    """A plain key never expires; a certificate does, and none is taken, in date or not."""
    key = tmp_path / "ann"
    for suffix in ("", ".pub"):
        shutil.copy(f"{case.keys['ann']}{suffix}", f"{key}{suffix}")
    make = ["ssh-keygen", "-q", "-s", f"{case.keys['ca']}", "-I", "ann", "-n", ANN]
    subprocess.run(
        [*make, "-V", "20200101:20200102", f"{key}.pub"], check=True, capture_output=True
    )
    case.keys = {**case.keys, "ann": tmp_path / "ann-cert.pub"}
    case.by("ann", case.answer())
    stays(case, "signed with a certificate")


@signed
def test_revoked_key(case: Case) -> None:
    """Ann took her key back before she, or whoever stole it, answered with it."""
    new = f"{ANN} {public(case.keys['new'])}"
    case.by("ann", case.rules(ann=new, bob=case.bob))
    case.by("ann", case.answer(item=_review(case)))
    _review_stays(case, "was taken back since")


@signed
def test_key_newer_than_the_question(case: Case) -> None:
    """A key that was not an approver's when the question was asked cannot answer it."""
    new = f"{ANN} {public(case.keys['new'])}"
    case.by("ann", case.rules(ann=new, bob=case.bob))
    case.by("ann", case.answer(item=_review(case)), key="new")
    _review_stays(case, "is newer than the question")


@signed
def test_right_key_other_principal(case: Case) -> None:
    """Bob is an approver and his key is good, but the commit says that it is Ann's."""
    case.by("ann", case.answer(), key="bob")
    stays(case, f"it is signed by {BOB}, but its author is {ANN}")


@signed
def test_wrong_signature_namespace(case: Case) -> None:
    """Ann signed these very bytes with her key, but for something else than git."""
    case.commit(case.answer(), author=ANN, committer=ANN)
    commit = case.git("cat-file", "commit", "HEAD") + "\n"
    make = ["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", str(case.keys["ann"])]
    armor = subprocess.run(make, input=commit.encode(), check=True, capture_output=True).stdout
    head, message = commit.split("\n\n", 1)
    inside = armor.decode().strip().replace("\n", "\n ")
    made = f"{head}\ngpgsig {inside}\n\n{message}"
    forged = case.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=made)
    case.git("update-ref", "refs/heads/main", forged)
    stays(case, "for the namespace 'file'")


@both
def test_signers_edited_in_the_same_commit(case: Case) -> None:
    """Mallory lists herself in the very commit that answers."""
    mallory = f"{MALLORY} {public(case.keys['mallory'])}"
    rules = case.rules(ann=case.ann, bob=case.bob, mallory=mallory)
    case.by("mallory", {**case.answer(), **rules})
    _unadopted(case)


@both
def test_approver_who_listed_himself_a_commit_earlier(case: Case) -> None:
    """The rules that say who may answer are not those that somebody just pushed."""
    mallory = f"{MALLORY} {public(case.keys['mallory'])}"
    case.by("mallory", case.rules(ann=case.ann, bob=case.bob, mallory=mallory))
    case.by("mallory", case.answer())
    _unadopted(case)


@both
def test_approver_whom_an_approver_listed_after_the_question(case: Case) -> None:
    """Ann may list Mallory; what was asked before is still not Mallory's to answer."""
    mallory = f"{MALLORY} {public(case.keys['mallory'])}"
    case.by("ann", case.rules(ann=case.ann, bob=case.bob, mallory=mallory))
    case.by("mallory", case.answer())
    reason = f"{MALLORY} was not an approver when the question was asked"
    _review_stays(case, reason)


@both
def test_signers_rolled_back(case: Case) -> None:
    """Bob was taken off. He brings the old list back, with the commit that Ann once signed."""
    old = case.git("rev-parse", "main")
    case.by("ann", case.rules(ann=case.ann))
    case.tick()
    sign = signing(case.keys["bob"]) if case.trust is Trust.SIGNATURE else ()
    bob = case.as_somebody(BOB, BOB, *sign)
    # "ours" the other way round: the tree is the old one, and so is the parent that has it.
    tree = case.git("rev-parse", f"{old}^{{tree}}")
    options = ("-S",) if sign else ()
    made = bob("commit-tree", *options, "-p", old, "-p", "main", "-m", "Merge", tree)
    case.git("reset", "--quiet", "--hard", made)
    case.by("bob", case.answer(item=_review(case)))
    _review_stays(case, f"{BOB} was taken off the approvers")


def _review(case: Case) -> Item:
    return next(i for i in case.snapshot().items.values() if i.kind is ItemKind.STAGE_REVIEW)


def _unadopted(case: Case) -> None:
    """Whoever listed herself is asked about first, and her answer counts for nothing."""
    adopted, item = case.snapshot().governance, case.item()
    key = "signed with a key that no approver has"
    report = case.tick()
    reason = key if case.trust is Trust.SIGNATURE else f"{MALLORY} is not an approver"
    assert any(item.id in refusal and reason in refusal for refusal in report.refusals)
    after = case.snapshot()
    assert after.governance == adopted
    assert {one.kind for one in after.items.values()} == {
        ItemKind.STAGE_REVIEW,
        ItemKind.GOVERNANCE,
    }
    _nothing_landed(case)


def _review_stays(case: Case, reason: str) -> None:
    """The rules changed too, so that there is another question; this one is not answered."""
    item = _review(case)
    report = case.tick()
    assert any(item.id in refusal and reason in refusal for refusal in report.refusals), (
        report.refusals
    )
    assert case.snapshot().items[item.id] == item
    _nothing_landed(case)


def _nothing_landed(case: Case) -> None:
    assert not case.on_main(WORK)
    assert case.run().status is RunStatus.HELD
    assert not [r for r in case.records() if isinstance(r, Resolved | Closed)]
    assert case.git("rev-list", "--count", "--merges", "main", "--author=lifeos") == "0"


# --- git as a liar ----------------------------------------------------------------------------


@signed
def test_local_gpg_program(case: Case, tmp_path: Path) -> None:
    """A program from the repository's configuration that finds every signature good."""
    canary, program = tmp_path / "canary", tmp_path / "program"
    good = f'Good "git" signature for {ANN} with ED25519 key SHA256:x'
    # It reads what git gives it: git takes a program that ends before that for a failure.
    reads = 'case "$2" in verify) cat > /dev/null ;; esac'
    program.write_text(f"#!/bin/sh\ntouch {canary}\n{reads}\necho '{good}'\n", encoding="utf-8")
    program.chmod(0o755)
    case.by("ann", case.answer(), key="mallory")
    for key in ("gpg.ssh.program", "gpg.program", "gpg.ssh.defaultKeyCommand"):
        case.git("config", key, str(program))
    allowed = tmp_path / "allowed"
    allowed.write_text(f"{ANN} {public(case.keys['mallory'])}\n")
    case.git("config", "gpg.ssh.allowedSignersFile", str(allowed))
    case.git("config", "gpg.format", "ssh")
    case.git("verify-commit", "HEAD")  # git is fooled
    assert canary.exists()
    canary.unlink()
    stays(case, "signed with a key that no approver has")
    assert not canary.exists()


@both
def test_replace_refs(case: Case) -> None:
    """A reference in refs/replace shows Ann's commit in place of Mallory's."""
    good = case.by("ann", case.answer())
    case.git("reset", "--quiet", "--hard", "HEAD~")
    if case.trust is Trust.SIGNATURE:
        case.commit(case.answer(), "--no-gpg-sign", author=ANN, committer=ANN)
    else:
        case.by("mallory", case.answer())
    bad = case.git("rev-parse", "HEAD")
    case.git("replace", bad, good)
    assert case.git("log", "-1", "--format=%ae") == ANN  # git is fooled
    unsigned = case.trust is Trust.SIGNATURE
    stays(case, "is not signed" if unsigned else f"{MALLORY} is not an approver")


@both
def test_grafts(case: Case) -> None:
    """Mallory's commit is cut out of history: Ann's next one seems to have brought her file."""
    case.by("mallory", case.answer())
    case.by("ann", {"README.md": "# Another\n"})
    (case.folder / ".git" / "info" / "grafts").write_text(case.git("rev-parse", "HEAD") + "\n")
    (path,) = case.answer()
    shown = case.git("log", "--format=%ae", "--", path)
    assert shown == ANN  # git is fooled
    key = "signed with a key that no approver has"
    stays(case, key if case.trust is Trust.SIGNATURE else f"{MALLORY} is not an approver")


@both
def test_unsigned_change_under_a_signed_merge(case: Case) -> None:
    """Ann merges a branch; what somebody else put in there is not her word."""
    case.git("switch", "--quiet", "--create", "side")
    case.commit(case.answer(), author=MALLORY, committer=MALLORY)
    case.git("switch", "--quiet", "main")
    sign = signing(case.keys["ann"]) if case.trust is Trust.SIGNATURE else ()
    merge = ("merge", "--quiet", "--no-ff", "--message=Merge", "side")
    case.as_somebody(ANN, ANN, *sign)(*merge, *(("-S",) if sign else ()))
    unsigned = case.trust is Trust.SIGNATURE
    stays(case, "is not signed" if unsigned else f"{MALLORY} is not an approver")


# --- what it says -----------------------------------------------------------------------------


@both
def test_payload_edited_after_approval(case: Case) -> None:
    """Ann asked for changes; Mallory made an approval of it."""
    case.by("ann", case.answer(Decision.REVISE, "not yet"))
    (path,) = case.answer()
    text = (case.folder / path).read_text(encoding="utf-8")
    case.by("mallory", {path: changed(text, "decision: revise", "decision: approve")})
    key = "signed with a key that no approver has"
    stays(case, key if case.trust is Trust.SIGNATURE else f"{MALLORY} is not an approver")


@both
def test_replay_for_a_later_item(case: Case) -> None:
    """Ann approved one state of the work, and then wanted changes: that approval is used up."""
    first, old = case.item(), case.answer()
    case.by("ann", case.answer(Decision.REVISE, "say it louder"))
    case.tick()
    later = case.item()
    assert later.id != first.id
    (data,) = old.values()
    for text, reason in (
        (data, f"it is the answer to another item, {first.id}"),
        (data.replace(first.id.encode(), later.id.encode()), "its subject is not this question's"),
    ):
        case.by("ann", {answer_path(later.id): text})
        _still(case, later.id, reason)
    case.by("ann", {answer_path(later.id): None, **old})
    _still(case, later.id, "no such question is open")


def _still(case: Case, item: str, reason: str) -> None:
    tip = case.tip()
    report = case.tick()
    assert any(reason in refusal for refusal in report.refusals), report.refusals
    assert not [r for r in case.records(tip) if isinstance(r, _ONWARD)]
    assert case.item().id == item
    assert not case.on_main(WORK)


def test_from_another_repository(case: Case, tmp_path: Path) -> None:
    """The same task, rules and work, approved by the same person, elsewhere."""
    other = begin_scene(
        tmp_path / "other",
        files={"policies/approvals.yaml": approvers(Trust.COMMIT, ann=case.ann, bob=case.bob)},
    )
    other.nonces = 77
    other.tick()
    (data,) = other.answer().values()
    theirs, ours = other.item(), case.item()
    assert theirs.id != ours.id
    case.by("ann", {answer_path(theirs.id): data})
    stays(case, "no such question is open")
    case.by("ann", {answer_path(ours.id): data.replace(theirs.id.encode(), ours.id.encode())})
    stays(case, "its subject is not this question's")


@both
def test_from_another_branch(case: Case) -> None:
    """The right answer by the right person, on a branch that is not main."""
    case.git("switch", "--quiet", "--create", "side")
    case.by("ann", case.answer())
    stays(case, "")
    said_in_queue(case, "it is on the branch side, and not on main")
    case.git("switch", "--quiet", "main")
    stays(case, "")
    said_in_queue(case, "it is on the branch side, and not on main")


def test_stale_after_the_task_changed(case: Case) -> None:
    """Ann approved; then the task said something else. What is asked now is another question."""
    case.by("ann", case.answer())
    case.by("bob", case.edit("BACKLOG.md", "Say hello in the guide", "Say goodbye in the guide"))
    _asked_anew(case, "task_changed")


def test_stale_after_the_plan_changed(case: Case) -> None:
    """Bob had the work planned again after Ann had looked at it."""
    old, answer = case.item(), case.answer()
    case.by("bob", case.answer(Decision.REVISE, "plan it again"))
    case.tick()
    assert case.run().stage_attempts[Stage.BUILD] == 2
    case.by("ann", answer)
    _still(case, case.item().id, f"{old.id} does not count: no such question is open")


def test_stale_after_the_work_changed(case: Case) -> None:
    """Ann's answer to the question as it is now, about the work before Bob had it redone."""
    before = case.item().subject
    case.by("bob", case.answer(Decision.REVISE, "say it louder"))
    case.tick()
    later = case.item()
    assert later.subject != before
    (data,) = case.answer().values()
    text = changed(data.decode(), later.subject, before)
    case.by("ann", {answer_path(later.id): text})
    _still(case, later.id, "its subject is not this question's")


@pytest.mark.parametrize("then", ["adopt", "escalate"])
def test_stale_after_the_policy_changed(case: Case, then: str) -> None:
    """Ann approved under rules that no longer hold; under the new ones she is asked anew."""
    rule = "on_governance_change: "
    case.by("ann", case.edit("policies/loop.yaml", f"{rule}escalate", f"{rule}{then}"))
    case.tick()
    if then == "adopt":  # this run is still under the old set, which escalates
        items = case.snapshot().items.values()
        rules = next(item for item in items if item.kind is ItemKind.GOVERNANCE)
        case.by("ann", case.answer(item=rules))
        case.tick()
    case.by("ann", case.answer(item=_review(case)))
    case.by("bob", case.edit("policies/loop.yaml", "diff_files: 20", "diff_files: 21"))
    asked = _review(case)
    report = case.tick()
    assert report.ended == []
    assert not case.on_main(WORK)
    if then == "adopt":
        assert _review(case).id != asked.id
        assert case.run().status is RunStatus.HELD
    else:
        # Her answer is taken; the run still waits for the word on the rules, and then asks again.
        (item,) = case.snapshot().items.values()
        assert item.kind is ItemKind.GOVERNANCE
        case.by("ann", case.answer(item=item))
        case.tick()
        assert _review(case).id != asked.id
        assert not case.on_main(WORK)


def _asked_anew(case: Case, rule: str) -> None:
    old, tip = case.item().id, case.tip()
    report = case.tick()
    assert not [r for r in case.records(tip) if isinstance(r, _ONWARD)]
    (held,) = [r for r in case.records(tip) if isinstance(r, Held)]
    assert held.rule == rule
    assert case.item().id == held.item != old
    assert any(old in refusal for refusal in report.refusals), report.refusals
    assert not case.on_main(WORK)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("decision: reject\ndecision: approve", "decision"),
        ('decision: "false"', "'false'"),
        ('decision: "yes"', "'yes'"),
        ("decision: yes", "yes"),
        ("decision: true", "decision is not text"),
        ("decision: [approve]", "decision is not text"),
        ("decision: Approve", "'Approve'"),
        ("decision: approve\napproved: true", "'approved'"),
        ("decision: &a approve\ncomment: *a", "anchor"),
    ],
    ids=["duplicate keys", "false", "yes as text", "yes", "true", "list", "case", "key", "alias"],
)
def test_words_that_are_not_an_approval(case: Case, text: str, reason: str) -> None:
    """Whatever a looser reader might take for one."""
    (path,), (data,) = case.answer().keys(), case.answer().values()
    case.by("ann", {path: changed(data.decode(), "decision: approve", text)})
    stays(case, reason)


def test_an_unmatched_rule_is_not_read_as_allow(tmp_path: Path) -> None:
    """Rules that say when to ask, none of which fits this work: what is not named is not let
    through. It waits, by the rule that holds for all the rest."""
    rules = [
        {"name": "elsewhere", "stage": "packet", "paths": ["never/**"]},
        {"name": "large", "stage": "packet", "lines": 1000},
    ]
    scene = begin_scene(tmp_path / "repo", {"loop.checkpoints": rules})
    scene.tick()
    item = scene.item()
    assert (item.kind, item.rule) == (ItemKind.STAGE_REVIEW, "autonomy:supervised")
    assert not scene.on_main(WORK)
    scene.commit(scene.answer(), author=MALLORY, committer=MALLORY)
    (refusal,) = scene.tick().refusals
    assert f"{MALLORY} is not an approver" in refusal
    assert scene.item() == item


def test_dot_dot_in_the_id(case: Case) -> None:
    """The item that it names leads out of the queue."""
    (path,), (data,) = case.answer().keys(), case.answer().values()
    item = case.item().id
    text = changed(data.decode(), f"item: {item}", f"item: ../queue/{item}")
    case.by("ann", {path: text})
    stays(case, "is not the id of a queue item")
    case.by("ann", {path: None, f".lifeos/queue/../{item}.approval.yaml": data})
    stays(case, "")
    said_in_queue(case, f"it lies at .lifeos/{item}.approval.yaml, and answers lie in")


# --- where it is ------------------------------------------------------------------------------


@both
def test_path_in_other_case(case: Case) -> None:
    """On some file systems that is the same file; here, and in git, it is not."""
    (path,), (data,) = case.answer().keys(), case.answer().values()
    case.by("ann", {path.replace("Q-", "q-"): data})
    stays(case, "differs in case")
    case.by("ann", {path.replace("Q-", "q-"): None, path.replace(".approval", ".APPROVAL"): data})
    stays(case, "differs in case")


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item[:-1] + "\u0430",
        lambda item: item.replace("Q-", "Q\u2010"),
        lambda item: item + "\u200b",
        lambda item: item + " ",
        lambda item: f"../{item}".replace("/", "\u2215"),
    ],
    ids=["letter", "hyphen", "invisible", "blank", "slash"],
)
def test_look_alike_id(case: Case, change: Callable[[str], str]) -> None:
    """A name that a person reads as the item's. It is not overlooked either."""
    (data,) = case.answer().values()
    name = change(case.item().id)
    case.by("ann", {f".lifeos/queue/{name}.approval.yaml": data})
    stays(case, "is not the id of a queue item")


def test_another_ending(case: Case) -> None:
    """`.yml`, or a folder below: nobody would know why it does not count."""
    (data,) = case.answer().values()
    item = case.item().id
    case.by("ann", {f".lifeos/queue/{item}.approval.yml": data})
    stays(case, ".approval.yaml")
    case.by("ann", {f".lifeos/queue/more/{item}.approval.yaml": data})
    stays(case, "it is in a folder of its own")


def test_symlink(case: Case) -> None:
    """The answer points to a file that anybody may change."""
    (path,), (data,) = case.answer().keys(), case.answer().values()
    case.write({"notes.txt": data})
    (case.folder / path).symlink_to("../../notes.txt")
    case.by("ann", {"notes.txt": data}, "--quiet")
    case.git("add", path)
    case.by("ann", {})
    assert case.git("ls-tree", "main", path).startswith("120000")
    stays(case, "it is a link, a submodule or a folder")


def test_submodule_at_the_path(case: Case) -> None:
    """Its content is in another repository."""
    (path,) = case.answer()
    commit = case.git("rev-parse", "HEAD")
    case.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    case.by("ann", {})
    assert case.git("ls-tree", "main", path).startswith("160000")
    stays(case, "it is a link, a submodule or a folder")


@pytest.mark.parametrize("staged", [False, True])
def test_uncommitted_file(case: Case, staged: bool) -> None:
    """In the work tree, or in the index too: nobody has put their name to it."""
    case.write(case.answer())
    if staged:
        case.git("add", "--all")
    stays(case, "")
    (path,) = case.answer()
    assert (case.folder / path).exists()
    said_in_queue(case, "its file is not committed")


def test_unmerged_branch(case: Case) -> None:
    """Main has moved on, and the branch with the answer has not come to it."""
    case.git("switch", "--quiet", "--create", "side")
    case.by("ann", case.answer())
    case.git("switch", "--quiet", "main")
    case.by("bob", {"README.md": "# Another\n"})
    stays(case, "")
    said_in_queue(case, "it is on the branch side, and not on main")


# --- more than one word -----------------------------------------------------------------------


@both
def test_approve_then_revoke(case: Case) -> None:
    """Ann takes her answer away before the tick. Nobody else can bring it back for her."""
    answer = case.answer()
    case.by("ann", answer)
    removed = case.by("ann", dict.fromkeys(answer))
    stays(case, "")
    said_in_queue(case, f"{ANN} took it away again, with commit {removed[:12]}")
    sign = signing(case.keys["mallory"]) if case.trust is Trust.SIGNATURE else ()
    options = ("-S",) if sign else ()
    case.as_somebody(MALLORY, MALLORY, *sign)("revert", "--no-edit", *options, "HEAD")
    key = "signed with a key that no approver has"
    stays(case, key if sign else f"{MALLORY} is not an approver")


@both
def test_revoked_approval_brought_back_by_a_merge(case: Case) -> None:
    """The branch with Ann's answer is merged again, over her own removal of it."""
    base = case.git("rev-parse", "main")
    answer = case.answer()
    case.by("ann", answer)
    approved = case.git("rev-parse", "main")
    case.by("ann", dict.fromkeys(answer))
    sign = signing(case.keys["mallory"]) if case.trust is Trust.SIGNATURE else ()
    mallory = case.as_somebody(MALLORY, MALLORY, *sign)
    tree = case.git("rev-parse", f"{approved}^{{tree}}")
    options = ("-S",) if sign else ()
    made = mallory("commit-tree", *options, "-p", "main", "-p", approved, "-m", "Merge", tree)
    case.git("reset", "--quiet", "--hard", made)
    assert case.git("merge-base", base, made) == base
    key = "signed with a key that no approver has"
    stays(case, key if sign else f"{MALLORY} is not an approver")


def _rejected(case: Case) -> None:
    report = case.tick()
    assert [outcome for _, _, outcome in report.ended] == [CloseOutcome.REJECTED]
    assert not case.on_main(WORK)


def test_approve_and_reject_both_there_one_over_the_other(case: Case) -> None:
    """What main says last is a rejection."""
    case.by("ann", case.answer())
    case.by("bob", case.answer(Decision.REJECT, "no"))
    _rejected(case)


def test_approve_and_reject_both_there_beside_each_other(case: Case) -> None:
    """Two files for one question, as another file system would not allow. Reject wins."""
    (path,) = case.answer()
    other = path.replace("Q-", "q-")
    (approval,) = case.answer().values()
    (rejection,) = case.answer(Decision.REJECT, "no").values()
    case.by("ann", {path: approval, other: rejection})
    stays(case, "another file answers the same question")
    case.by("ann", {path: rejection, other: approval})
    _rejected(case)


@both
@pytest.mark.parametrize("came", ["edited", "gone"])
def test_a_rejection_stands_whatever_becomes_of_the_task(case: Case, came: str) -> None:
    """Ann says no; then somebody edits a word of the task, or removes it. It is still a no."""
    case.by("ann", case.answer(Decision.REJECT, "no"))
    edit = case.edit("BACKLOG.md", "Say hello in the guide", "Say hello in the guide!")
    since = case.tip()
    case.by("mallory", edit if came == "edited" else {"BACKLOG.md": "# Backlog\n\n## P0\n"})
    _rejected(case)
    assert not any(isinstance(record, Noted) for record in case.records(since))
    (taken,) = [record for record in case.records(since) if isinstance(record, Resolved)]
    assert (taken.who, taken.comment) == (ANN, "no")


# --- the tree ---------------------------------------------------------------------------------


def test_subject_swapped_between_check_and_act(case: Case) -> None:
    """While the landing is under way, the reference that shows the work is moved to other work."""
    run = case.run()
    evil = case.git("commit-tree", "-m", "evil", "main^{tree}")

    def swap(line: str) -> None:
        if line.startswith("land "):
            case.git("update-ref", f"refs/lifeos/run/{run.id}", evil)

    case.by("ann", case.answer())
    report = case.tick(watch=swap)
    resumes(case, report)
    (landed,) = [r for r in case.records() if isinstance(r, Closed)]
    assert case.git("rev-parse", f"{landed.landed}^2^{{tree}}") == run.work


@pytest.mark.parametrize("moment", ["before the answer", "after the answer", "taken", "landing"])
def test_landed_tree_is_not_the_approved_tree(case: Case, moment: str) -> None:
    """Main changes a path of the run after it was asked about: what would land is not what was
    shown, whenever it happens. It is asked again."""
    other = {WORK: "good evening\n", "docs/more.md": "more\n"}
    # A change that merges cleanly: the run made the file, so make it the same and add a line.
    other[WORK] = "hello\n"
    answer = case.answer()

    def change(line: str) -> None:
        said = "approve by" if moment == "taken" else "land "
        if moment in ("taken", "landing") and said in line and not case.on_main(WORK):
            case.by("bob", other)

    if moment == "before the answer":
        case.by("bob", other)
    case.by("ann", answer)
    if moment == "after the answer":
        case.by("bob", other)
    first = case.item().id
    report = case.tick(watch=change)
    assert report.ended == []
    item = case.item()
    assert item.id != first
    assert item.rule == "reapprove:overlap"
    assert not [r for r in case.records() if isinstance(r, Closed)]
    case.by("ann", case.answer())
    assert [outcome for _, _, outcome in case.tick().ended] == [CloseOutcome.PASS]


# --- lifeos's own records ---------------------------------------------------------------------


@pytest.mark.parametrize("forget", [False, True], ids=["this clone", "a clone that saw nothing"])
def test_ledger_rewound_to_drop_a_rejection(case: Case, forget: bool) -> None:
    """Then an approval is put where the rejection was. Main names a tip that the ledger lacks."""
    before, answer = case.tip(), case.answer()
    case.by("ann", case.answer(Decision.REJECT, "no"))
    _rejected(case)
    case.git("update-ref", "refs/heads/lifeos/ledger", before)
    if forget:
        case.git("update-ref", "-d", "refs/lifeos/seen")
        shutil.rmtree(case.folder / ".git" / "lifeos")
    case.by("ann", answer)
    with pytest.raises(LedgerBroken):
        case.tick()
    assert case.tip() == before
    assert not case.on_main(WORK)


@both
def test_gate_weakened_in_the_pending_file(case: Case) -> None:
    """The file for people is a picture of the question, and not the question."""
    item = case.item()
    path = f".lifeos/queue/{item.id}.md"
    text = case.at_main(path) + "\n"
    weaker = text.replace('state: "CEO_REVIEW"', 'state: "APPROVED"').replace(
        'kind: "stage_review"', 'kind: "commands"'
    )
    assert weaker != text
    case.by("mallory", {path: weaker})
    stays(case, "")
    assert case.at_main(path) + "\n" == text
    # The person is shown another subject, and approves that.
    case.by("mallory", {path: text.replace(item.subject, "0" * 64)})
    wrong = answer_text(item.id, Decision.APPROVE, "0" * 64)
    case.by("ann", {answer_path(item.id): wrong})
    stays(case, "its subject is not this question's")


@both
def test_pending_file_deleted(case: Case) -> None:
    """The question is still there, and so is its file after the tick."""
    path = f".lifeos/queue/{case.item().id}.md"
    case.by("mallory", {path: None})
    assert not case.on_main(path)
    stays(case, "")
    assert case.on_main(path)


@both
@pytest.mark.parametrize("in_time", [False, True], ids=["answered late", "seen late"])
def test_expired(case: Case, in_time: bool) -> None:
    """After its time the question is asked anew; the late answer says nothing about the new one."""
    item = case.item()
    assert item.expires_at is not None
    if in_time:  # its date says so; anybody can write a date
        case.by("ann", case.answer())
    case.now = item.expires_at + 1
    if not in_time:
        case.by("ann", case.answer())
    tip = case.tip()
    report = case.tick()
    assert any("the question has expired" in refusal for refusal in report.refusals)
    assert not [r for r in case.records(tip) if isinstance(r, _ONWARD)]
    assert case.item().id != item.id
    assert not case.on_main(WORK)
    case.by("ann", case.answer())
    resumes(case)
