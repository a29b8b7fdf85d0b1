"""Trust by signature, from the approval to the proof: signed, landed, verified; and forgeries."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from command_line import TASK, Project, project
from conftest import EMAIL, NAME, require
from lifeos.core.answers import answer_path
from lifeos.core.records import Resolved
from lifeos.governance import load_set
from lifeos.model import Trust
from lifeos.store.ledger import Ledger
from lifeos.store.redactions import redactions_of
from lifeos.store.repo import Repo
from lifeos.tick.redact import not_ordered
from loop_scene import begin_scene

LEDGER = "refs/heads/lifeos/ledger"


def key(folder: Path) -> Path:
    """A new private key; its public half lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "key"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a key", "-f", str(path)]
    subprocess.run(make, check=True, capture_output=True, timeout=30)
    return path


def signer(scene: Project, path: Path) -> None:
    """From now on commits that are signed are signed with this key."""
    scene.git("config", "gpg.format", "ssh")
    scene.git("config", "user.signingkey", str(path))


def landed(folder: Path) -> Project:
    """Everything by the command line: signed commits bring the rules, the task and the answer."""
    own = key(folder.parent / f"{folder.name}-keys")
    line = own.with_suffix(".pub").read_text(encoding="utf-8").strip()
    person = {"name": NAME, "email": EMAIL, "key": line}
    begun = begin_scene(folder, {"approvals.trust": "signature", "approvals.approvers": [person]})
    scene = Project(folder, int(time.time()) - 600, begun.nonces)
    signer(scene, own)
    scene.git("commit", "--quiet", "--amend", "--no-edit", "-S")
    scene.cli("tick")
    scene.cli("approve", TASK)
    scene.cli("tick")
    assert scene.at_main("docs/guide.md") == "hello"
    return scene


@pytest.fixture
def scene(tmp_path: Path) -> Project:
    """A repository in which one run landed on a signed approval."""
    require("ssh-keygen", shutil.which("ssh-keygen") is not None, "apt-get install openssh-client")
    return project(tmp_path, "signed", landed)


def answer(scene: Project) -> Resolved:
    (found,) = [record for record in scene.records() if isinstance(record, Resolved)]
    return found


def brought_again(scene: Project, *options: str) -> str:
    """Main goes back to before the answer, and the same file is committed there anew."""
    given = answer(scene)
    scene.git("checkout", "--quiet", "-B", "main", f"{given.commit}^")
    scene.now += 1000  # by its time and its tree alone it would be the same commit
    return scene.commit({answer_path(given.item): given.raw}, *options)


def recorded(scene: Project, **changes: str) -> str:
    """The ledger written anew with another record of the answer. The new commit of it."""
    parents: tuple[str, ...] = ()
    changed = ""
    with Repo.open(scene.folder) as repo:
        for oid in scene.git("rev-list", "--reverse", LEDGER).split():
            old = repo.objects.commit(oid)
            lines = old.message.split("\n")
            for number, text in enumerate(lines):
                if '"kind":"resolved"' in text:
                    head, brace, rest = text.partition("{")
                    value = {**json.loads(brace + rest), **changes}
                    said = json.dumps(value, sort_keys=True, separators=(",", ":"))
                    lines[number] = head + said
            message = "\n".join(lines)
            made = repo.objects.write_commit(old.tree, parents, message, when=old.committer.when)
            changed = made if message != old.message else changed
            parents = (made,)
        repo.objects.flush()
    scene.git("update-ref", LEDGER, parents[0])
    scene.git("update-ref", "-d", "refs/lifeos/seen")
    return changed


def named(scene: Project, commit: str, what: str) -> None:
    """Verify fails, and says this of this commit."""
    found = scene.cli("verify", "--json", code=1).data["findings"]
    assert {"commit": commit, "what": what, "area": "approvals"} in found, found


def test_a_signed_approval_lands_and_is_verified(scene: Project) -> None:
    """The record says how it came, git knows the signature, and verify finds nothing."""
    given = answer(scene)
    assert (given.who, given.trust) == (EMAIL, Trust.SIGNATURE)
    assert "-----BEGIN SSH SIGNATURE-----" in scene.git("cat-file", "commit", given.commit)
    verified = scene.cli("verify", "--json").data
    assert (verified["findings"], verified["answers"], verified["landings"]) == ([], 1, 1)


def test_the_same_answer_without_a_signature_is_named(scene: Project) -> None:
    """The right person's name, the right file, on main: and nobody signed it."""
    forged = brought_again(scene)
    what = f"the answer to {answer(scene).item}: {forged[:12]} is not signed by {EMAIL}"
    named(scene, recorded(scene, commit=forged), what)


def test_the_same_answer_signed_by_another_key_is_named(scene: Project, tmp_path: Path) -> None:
    """A good signature, by a key that is no approver's."""
    signer(scene, key(tmp_path / "mallory"))
    forged = brought_again(scene, "-S")
    what = f"the answer to {answer(scene).item}: {forged[:12]} is not signed by {EMAIL}"
    named(scene, recorded(scene, commit=forged), what)


def test_a_record_that_wants_less_than_the_rules_is_named(scene: Project) -> None:
    """The record cannot say that a name in a commit was enough."""
    what = f"the answer to {answer(scene).item}: it came by trust commit; the rules want signature"
    named(scene, recorded(scene, trust="commit"), what)


def test_an_order_to_redact(scene: Project) -> None:
    """It is signed as an answer is; the same words without an approver's key are no order."""
    run = scene.cli("show", TASK, "--json").data["run"]
    scene.cli("redact", f"{run}:3", "plan.md", "--note", "A customer")
    assert scene.git("cat-file", "commit", "main").count("gpgsig") == 1
    assert scene.cli("verify", "--json").data["good"]
    scene.git("commit", "--quiet", "--amend", "--no-edit", "--no-gpg-sign", "--allow-empty")
    order = scene.git("rev-parse", "main")
    with Repo.open(scene.folder) as repo:
        (known,) = redactions_of(repo, scene.tip())
        about = known.about.model_copy(update={"order": order})
        ledger = Ledger.open(repo)
        assert ledger is not None
        rules = load_set(ledger.governance(ledger.snapshot.governance)).governance
        assert rules is not None
        (why,) = not_ordered(repo, about, order, rules.approvals)
    assert why.endswith("is not an approver's")
