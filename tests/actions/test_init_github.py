"""`lifeos init --github`: what it writes, keeps, brings up to date, and says is left to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import Project
from conftest import Git
from lifeos.core.codeowners import drift, place_of, with_block
from lifeos.core.policy import Approver

ADA = Approver(name="Ada", email="ada@example.org", login="ada")
BOB = Approver(name="Bob", email="bob@example.org")
DIGEST = "0f" * 32
OWN = ("--login", "ada", "--forge-id", "42", "--lifeos-hash", DIGEST)
WORKFLOW, LOCK, OWNERS = ".github/workflows/lifeos.yml", ".github/lifeos.lock", ".github/CODEOWNERS"
WRITTEN = (WORKFLOW, LOCK, OWNERS)


@pytest.fixture
def person(repo: Path) -> Project:
    """A repository whose remote is on GitHub."""
    Git(repo)("remote", "add", "origin", "git@github.com:ada/shop.git")
    Git(repo)("config", "user.name", "Ada")
    Git(repo)("config", "user.email", "ada@example.org")
    return Project(repo)


def init(person: Project, *args: str) -> Any:
    """What it says, as data."""
    return person.cli("init", "--github", *args, "--json").data


def read(person: Project, path: str) -> str:
    return (person.folder / path).read_text(encoding="utf-8")


def test_it_sets_up_what_is_there(person: Project) -> None:
    """Remote, forge, repository, lease and trust, and the rules hold together as they are."""
    said = init(person, *OWN, "--commit")
    assert set(WRITTEN) <= set(said["written"])
    config = read(person, ".lifeos/config.yaml")
    for line in ('remote: "origin"', "  where: ci", "  kind: github", '  repository: "ada/shop"'):
        assert f"\n{line}\n" in config, line
    assert "\ntrust: merge\n" in read(person, "policies/approvals.yaml")
    assert "    forge_id: 42\n" in read(person, "policies/approvals.yaml")
    assert "\n/policies/ @ada\n" in f"\n{read(person, OWNERS)}"
    assert f"lifeos==0.1.0 --hash=sha256:{DIGEST}\n" in read(person, LOCK)
    person.cli("validate")
    assert person.git("status", "--porcelain") == ""
    # A claim outlives the jobs that it passes through.
    minutes = re.findall(r"timeout-minutes: (\d+)", read(person, WORKFLOW))
    lease = re.search(r"\n  seconds: (\d+)\n", read(person, "policies/loop.yaml"))
    assert lease is not None
    assert int(lease[1]) >= 60 * sum(int(one) for one in minutes[1:4])


def test_again_it_changes_nothing(person: Project) -> None:
    """And takes lifeos's digest from the lock that is there."""
    init(person, *OWN, "--commit")
    said = init(person)
    assert said["written"] == said["updated"] == []
    assert set(WRITTEN) <= set(said["kept"])
    assert not any("digest" in step for step in said["by_hand"])
    assert person.git("status", "--porcelain") == ""


def test_a_dry_run_writes_nothing(person: Project) -> None:
    """It says what would be written, and the same steps."""
    said = init(person, *OWN, "--dry-run")
    assert set(WRITTEN) <= set(said["written"])
    assert person.git("status", "--porcelain") == ""
    assert said["by_hand"] == init(person, *OWN)["by_hand"]


def test_what_nobody_edited_is_brought_up_to_date(person: Project) -> None:
    """A provider with a key: the environment and the secret come into the workflow."""
    init(person, *OWN, "--commit")
    config = read(person, ".lifeos/config.yaml")
    keyed = 'providers: {one: {url: "https://models.example.org/v1", key_env: MODEL_KEY}}'
    person.commit({".lifeos/config.yaml": config.replace("\nproviders: {}\n", f"\n{keyed}\n")})
    said = init(person, "--commit")
    assert said["updated"] == [WORKFLOW]
    assert "MODEL_KEY: ${{ secrets.MODEL_KEY }}" in read(person, WORKFLOW)
    assert any("environment lifeos-models" in step for step in said["by_hand"])
    assert person.git("show", "--format=", "--name-only") == WORKFLOW


def test_what_somebody_edited_stays(person: Project) -> None:
    """It is named, with what to do to have it written anew."""
    init(person, *OWN, "--commit")
    mine = read(person, WORKFLOW).replace("23 */2 * * *", "5 5 * * *")
    person.commit({WORKFLOW: mine})
    config = read(person, ".lifeos/config.yaml")
    person.commit({".lifeos/config.yaml": config.replace("GITHUB_TOKEN", "APP_TOKEN")})
    said = init(person)
    assert said["updated"] == []
    assert read(person, WORKFLOW) == mine
    assert any("it was edited" in step for step in said["by_hand"])


def test_an_edited_lock_stays_and_is_not_trusted(person: Project) -> None:
    """Nothing that stands in it is taken over."""
    init(person, *OWN, "--commit")
    mine = read(person, LOCK).replace("h11==", "evil==")
    person.commit({LOCK: mine})
    assert LOCK in init(person)["kept"]
    assert read(person, LOCK) == mine


def test_a_workflow_of_ones_own_that_needs_no_lock_gets_none(person: Project) -> None:
    """One by the action, say; and doctor misses no lock."""
    init(person, *OWN, "--commit")
    person.git("rm", "--quiet", LOCK)
    person.commit({WORKFLOW: "name: mine\non: {push: {branches: [main]}}\njobs: {}\n"})
    said = init(person)
    assert LOCK not in (*said["written"], *said["kept"])
    assert not (person.folder / LOCK).exists()
    assert not any("digest" in step for step in said["by_hand"])
    lines = person.cli("doctor", "--offline", "--json", code=None).data["lines"]
    assert [
        each["said"] for each in lines if each["name"] == "workflow" and LOCK in each["said"]
    ] == []


def test_files_of_ones_own_stay_and_the_rest_is_said(person: Project) -> None:
    """Rules from before: every setting that must change is named with its file."""
    person.cli("init", "--commit")
    said = init(person, "--commit")
    steps = "\n".join(said["by_hand"])
    assert "\nremote: none\n" in read(person, ".lifeos/config.yaml")
    for wanted in (
        ".lifeos/config.yaml: set `remote: origin`, `forge: {kind: github}`",
        "policies/loop.yaml: set `lease: {seconds: 7200}`",
        "policies/approvals.yaml: `trust: commit` counts for nothing",
        ".github/lifeos.lock: lifeos's own digest is missing",
        "Settings > Actions > General",
        "Settings > Rules > Rulesets",
    ):
        assert wanted in steps, wanted


def test_without_a_remote_it_says_which_command_is_missing(repo: Path) -> None:
    person = Project(repo)
    assert any("git remote add origin URL" in step for step in init(person)["by_hand"])


def test_an_address_that_names_no_repository_is_said(repo: Path) -> None:
    Git(repo)("remote", "add", "origin", "/srv/git/shop")
    steps = init(Project(repo))["by_hand"]
    assert any("set `forge: {repository: OWNER/NAME}`" in step for step in steps)
    assert not any("git remote add" in step for step in steps)


def test_broken_rules_are_named_and_nothing_is_written(person: Project) -> None:
    """The workflow is made from the rules, so they come first."""
    person.cli("init", "--commit")
    person.commit({".lifeos/config.yaml": "version: 2\n"})
    said = person.cli("init", "--github", code=2)
    assert "lifeos validate" in said.err
    assert not (person.folder / WORKFLOW).exists()


@pytest.mark.parametrize("given", ["0f0f", "z" * 64, "sha512:" + "0" * 64])
def test_a_digest_that_is_none_is_refused(person: Project, given: str) -> None:
    """Else pip would refuse it, later and elsewhere."""
    assert "no SHA-256" in person.cli("init", "--github", "--lifeos-hash", given, code=2).err


def test_without_lifeos_own_digest_pip_installs_nothing(person: Project, tmp_path: Path) -> None:
    """The lock is refused, or has no lifeos in it: never one that nobody looked at."""
    init(person)
    lock = read(person, LOCK)
    assert not re.search(r"(?m)^lifeos", lock)
    (tmp_path / "lock").write_text(lock + "lifeos==0.1.0\n")
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--require-hashes"]
    done = subprocess.run(
        [*pip, "--target", str(tmp_path / "t"), "-r", str(tmp_path / "lock")],
        capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode != 0


def test_signed_commits_are_trusted_where_git_signs(person: Project, tmp_path: Path) -> None:
    """The SSH key that git signs with becomes the approver's."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada"
    (tmp_path / "ada.pub").write_text(f"{key}\n")
    person.git("config", "gpg.format", "ssh")
    person.git("config", "user.signingkey", str(tmp_path / "ada.pub"))
    init(person)
    assert "\ntrust: signature\n" in read(person, "policies/approvals.yaml")
    assert f'    key: "{key}"\n' in read(person, "policies/approvals.yaml")


# --- code owners ------------------------------------------------------------------------------


def test_the_block_is_the_last_word_and_all_else_stays() -> None:
    """Of the lines that fit a path, the last decides."""
    mine = "* @team\r\n/docs/ @writers\r\n"
    text = with_block(mine, (ADA, BOB), "CODEOWNERS")
    assert text.startswith("* @team\n/docs/ @writers\n\n# >>> lifeos")
    assert "/policies/ @ada bob@example.org\n" in text
    assert "/CODEOWNERS @ada bob@example.org\n" in text
    assert with_block(text, (ADA, BOB), "CODEOWNERS") == text
    moved = with_block(f"{text}/later/ @x\n", (ADA,), "CODEOWNERS")
    assert moved.endswith("# <<< lifeos\n")
    assert "/later/ @x\n" in moved
    assert moved.count("# >>> lifeos") == 1


def test_the_file_that_counts_is_written() -> None:
    """A new one in .github would put the one that is there out of force."""
    assert place_of(("CODEOWNERS", "docs/CODEOWNERS")) == "CODEOWNERS"
    assert place_of(()) == ".github/CODEOWNERS"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text, ""),
        (lambda _text: "* @team\n", ""),
        (lambda text: text.replace("@ada", "@eve"), "does not name the approvers"),
        (lambda text: text.replace("/policies/", "/else/"), "does not name the approvers"),
        (lambda text: f"{text}/policies/ @eve\n", "the last line that fits decides"),
        (lambda text: f"{text}\n# a remark\n", ""),
        (lambda text: text + text, "has 2 blocks"),
        (lambda text: text.replace("# <<< lifeos\n", ""), "has no end"),
    ],
)
def test_drift_is_seen(change: Any, why: str) -> None:
    """Whatever makes the block say other people than the rules do."""
    place = ".github/CODEOWNERS"
    found = drift(change(with_block("", (ADA, BOB), place)), (ADA, BOB), place)
    assert (why in found) if why else found == ""


def test_validate_names_other_code_owners_and_init_mends_it(person: Project) -> None:
    """In the files at hand, and in a commit."""
    init(person, *OWN, "--commit")
    person.commit({OWNERS: read(person, OWNERS).replace("@ada", "@eve")})
    for source in ((), ("--commit", "HEAD")):
        data = person.cli("validate", *source, "--json").data
        (warning,) = [each for each in data["warnings"] if each["file"] == OWNERS]
        assert warning["fix"] == "lifeos init --github --commit"
    assert init(person, "--commit")["updated"] == [OWNERS]
    assert "@eve" not in read(person, OWNERS)


def test_code_owners_that_are_nobody_are_named(person: Project) -> None:
    """An approver without a login, at an address that stands for no one: by validate and doctor."""
    init(person, "--commit")
    said = "names person@example.invalid, which no account has"
    data = person.cli("validate", "--json").data
    assert [said in each["message"] for each in data["warnings"] if each["file"] == OWNERS] == [
        True
    ]
    lines = person.cli("doctor", "--offline", "--json", code=None).data["lines"]
    assert [said in each["said"] for each in lines if each["name"] == "codeowners"] == [True]


def test_doctor_says_how_the_workflow_stands(person: Project) -> None:
    """On main: as these rules want it, for other rules, or edited; and its lock."""
    init(person, "--commit")

    def lines(name: str) -> list[str]:
        data = person.cli("doctor", "--offline", "--json", code=None).data
        return [each["said"] for each in data["lines"] if each["name"] == name]

    assert "is as these rules want it" in lines("workflow")[0]
    assert "does not name lifeos by its digest" in lines("workflow")[1]
    config = read(person, ".lifeos/config.yaml")
    person.commit({".lifeos/config.yaml": config.replace("GITHUB_TOKEN", "APP_TOKEN")})
    assert "was written for other rules" in lines("workflow")[0]
    person.commit({WORKFLOW: read(person, WORKFLOW) + "# mine\n"})
    assert "was edited" in lines("workflow")[0]
    person.commit({OWNERS: read(person, OWNERS).replace("person@", "eve@")})
    assert "does not name the approvers" in lines("codeowners")[0]
