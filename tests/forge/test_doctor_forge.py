"""``lifeos doctor`` asks the forge what is really enforced, and says each thing with its fix.

Each question and each answer goes through the judge, which knows GitHub's own description.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import warm
from conftest import EMAIL, Git
from fake_github import NAME, TOKEN, FakeGitHub, Ruleset, State
from github_judge import required
from loopback import BASE, Stage, before_the_judge, listening

APP = {"actor_id": 7, "actor_type": "Integration", "bypass_mode": "always"}
ADMIN = {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "pull_request"}
APPROVALS = "policies/approvals.yaml"
KEEP = ("non_fast_forward", "deletion")
ALL = ("main", "lifeos/ledger", "lifeos/queue/*")
CI = "name: ci\non:\n  push:\n    branches: [main]\njobs: {}\n"


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeGitHub, Path]:
    """A forge to put behind the judge, and room for a repository."""
    required()
    return FakeGitHub(), tmp_path_factory.mktemp("room") / "repo"


@contextmanager
def served(fake: FakeGitHub) -> Iterator[int]:
    """The port of a forge that nobody judges."""
    stage = Stage()
    stage.backend = fake
    with listening(stage) as port:
        yield port


@dataclass
class Said:
    """How one command line ended."""

    code: int
    out: str
    err: str


def lifeos(folder: Path, *args: str, **environ: str) -> Said:
    """Run the real command line as a process of its own."""
    done = warm.run(args, folder, os.environ | environ)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert done.returncode != 3, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


@dataclass
class Place:
    """A repository whose rules name the forge."""

    folder: Path
    git: Git
    fake: FakeGitHub
    port: int

    def commit(self, path: str, text: str) -> None:
        """A file on main."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=Change")

    def set(self, old: str, new: str, path: str = ".lifeos/config.yaml") -> None:
        """A setting of the rules on main."""
        text = (self.folder / path).read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.commit(path, text.replace(old, new))

    def doctor(self, *args: str, **environ: str) -> tuple[Said, dict[str, list[Any]]]:
        """How doctor ended, and its lines by name. The token shows nowhere."""
        environ = {"GITHUB_TOKEN": TOKEN} | environ
        said = lifeos(self.folder, "doctor", "--json", *args, **environ)
        assert TOKEN not in said.out + said.err
        lines: dict[str, list[Any]] = {}
        for line in json.loads(said.out)["data"]["lines"]:
            assert line["level"] == "ok" or line["fix"], line
            lines.setdefault(line["name"], []).append(line)
        return said, lines


@pytest.fixture
def place(repo: Path, git: Git, forge: tuple[FakeGitHub, Path]) -> Place:
    """lifeos set up, on a forge where everything is as it should be."""
    fake, made = forge
    port = before_the_judge(fake)
    fake.state = State(
        installation=True,
        rulesets=[
            Ruleset(1, ALL, KEEP),
            Ruleset(2, ("main",), ("pull_request",), (APP, ADMIN), "always", 2),
            Ruleset(3, ALL[1:], ("update",), (APP,), "always"),
        ],
        environments={"models": ("main",)},
    )
    fake.asked, fake.tokens = [], set()
    found = Place(repo, git, fake, port)
    if made.exists():  # made once: each test gets a copy
        shutil.rmtree(repo)
        shutil.copytree(made, repo, symlinks=True)
    else:
        set_up(found)
        shutil.copytree(repo, made, symlinks=True)
    return found


def set_up(found: Place) -> None:
    """lifeos, with rules that name the forge, and a workflow."""
    found.git("config", "user.name", "Test Person")
    found.git("config", "user.email", EMAIL)
    assert lifeos(found.folder, "init").code == 0
    found.set("sandbox: bwrap", "sandbox: none")
    found.set("  kind: none\n", "  kind: github\n")
    found.set("host: github.com", f'host: "127.0.0.1:{found.port}"')
    found.set('repository: ""', f"repository: {NAME}")
    found.set("trust: commit", "trust: signature", APPROVALS)
    who = f'email: "{EMAIL}"\n'
    found.set(who, f"{who}    key: ssh-ed25519 {'A' * 43}=\n", APPROVALS)
    found.commit(".github/workflows/ci.yml", CI)


def levels(lines: dict[str, list[Any]]) -> dict[str, set[str]]:
    """The levels of the forge's lines, by name."""
    names = ("forge", "token", "rights", "main", "ledger", "queue", "actions", "secrets")
    return {name: {line["level"] for line in lines.get(name, [])} for name in (*names, "workflows")}


def text(lines: dict[str, list[Any]], name: str) -> str:
    """All that is said under a name, with the fixes."""
    return "\n".join(f"{line['level']}: {line['said']} -> {line['fix']}" for line in lines[name])


def test_a_forge_where_all_is_as_it_should_be(place: Place) -> None:
    """Every line is ok, and says what is enforced, by what, and who may bypass it."""
    said, lines = place.doctor()
    assert said.code == 0
    found = levels(lines)
    assert set(map(tuple, found.values())) == {("ok",)}, lines
    assert "a pull request (2 approving reviews)" in text(lines, "main")
    assert "app 7, everyone with admin (by pull request) (ruleset 2)" in text(lines, "main")
    assert "cannot be rewritten or deleted (ruleset 1); nobody may bypass" in text(lines, "ledger")
    assert "pushes to lifeos/queue/* are restricted; may bypass: app 7" in text(lines, "queue")
    assert "models (main)" in text(lines, "secrets")
    assert "no forge does" in text(lines, "own checks")
    assert place.fake.tokens == {f"Bearer {TOKEN}"}
    assert f"{BASE}/repos/{NAME}/rules/branches/lifeos%2Fledger?" in "\n".join(place.fake.asked)


def test_a_repository_without_any_rule(place: Place) -> None:
    """What can be rewritten and by whom is named for each branch, with the setting that ends it."""
    place.fake.state.rulesets = []
    place.fake.state.people = tuple(f"p{n}" for n in range(9))
    place.fake.state.teams = ("core",)
    place.fake.state.environments = {}
    said, lines = place.doctor()
    assert said.code == 0
    for name in ("main", "ledger"):
        assert "can be rewritten and deleted" in text(lines, name)
        assert "Block force pushes and Restrict deletions" in text(lines, name)
    assert "lifeos/queue/* can be rewritten by whoever can push" in text(lines, "queue")
    assert "p5 and 3 more, teams core" in text(lines, "ledger")
    assert "Restrict updates" in text(lines, "ledger")
    assert "lifeos verify notices, and cannot prevent" in text(lines, "ledger")
    assert "no rule wants a pull request" in text(lines, "main")
    assert "warn: no environment" in text(lines, "secrets")


def test_a_free_private_repository(place: Place) -> None:
    """The plan is named as what forbids rules; lifeos's own check is all there is."""
    place.fake.state.free_private = True
    place.fake.state.private = True
    said, lines = place.doctor()
    assert said.code == 0
    for name in ("main", "ledger", "queue"):
        assert "the plan allows no rulesets here: what lifeos checks is all" in text(lines, name)
        assert "make the repository public" in text(lines, name)


def test_trust_that_a_forge_refuses(place: Place) -> None:
    """No answer would ever count, so it must be mended."""
    place.set("trust: signature", "trust: commit", APPROVALS)
    said, lines = place.doctor("--offline")
    assert said.code == 1
    assert "fail: commit: no answer counts" in text(lines, "trust")
    place.set("kind: github", "kind: none")
    said, lines = place.doctor("--offline")
    assert said.code == 0


def test_who_can_push_is_read_over_three_pages(place: Place) -> None:
    """GitHub gives a hundred at a time; who may only read is not named."""
    place.fake.state.rulesets = []
    place.fake.state.people = ("reader1", *(f"p{n}" for n in range(250)))
    _, lines = place.doctor()
    assert "p5 and 244 more" in text(lines, "main")
    assert sum("/collaborators?" in each for each in place.fake.asked) == 3


def test_older_branch_protection_counts_too(place: Place) -> None:
    """What only a branch protection enforces is seen, with whom it does not bind."""
    place.fake.state.rulesets = []
    place.fake.state.protection["main"] = {
        "enforce_admins": {"url": "https://x.invalid", "enabled": False},
        "allow_force_pushes": {"enabled": False},
        "allow_deletions": {"enabled": False},
        "required_pull_request_reviews": {
            "url": "https://x.invalid",
            "dismiss_stale_reviews": True,
            "require_code_owner_reviews": False,
            "required_approving_review_count": 1,
        },
    }
    _, lines = place.doctor()
    said = text(lines, "main")
    assert "cannot be rewritten or deleted (branch protection); may bypass: admins" in said
    assert "wants a pull request (1 approving review)" in said


def test_rules_that_would_stop_lifeos(place: Place) -> None:
    """A ledger that lifeos's token may not write must be mended; so must one that wants a PR."""
    place.fake.state.rulesets = [
        Ruleset(1, ALL, (*KEEP, "update"), (ADMIN,), "never"),
        Ruleset(2, ("**",), ("pull_request",), (), "pull_requests_only"),
        Ruleset(3, ALL, ("pull_request",), (), "never"),
    ]
    said, lines = place.doctor()
    assert said.code == 1
    assert "fail: pushes to lifeos/ledger are restricted, and this token" in text(lines, "ledger")
    assert "bypass list of ruleset 1" in text(lines, "ledger")
    assert "fail: lifeos/queue/* wants a pull request" in text(lines, "queue")
    assert "what lifeos pushes to main would be refused" in text(lines, "main")


def test_the_token_of_an_approver(place: Place) -> None:
    """A merge by the author of a pull request cannot count: so it must not be an approver's."""
    state = place.fake.state
    state.installation, state.email = False, EMAIL
    state.permissions = ("pull", "push", "maintain", "admin")
    state.scopes = "repo, admin:org"
    said, lines = place.doctor()
    assert said.code == 0
    assert "the approver Test Person's own (octocat, id 1)" in text(lines, "token")
    assert "could take away what protects it" in text(lines, "rights")
    assert "every repository of its person, and admin:org" in text(lines, "rights")
    state.email = None
    state.permissions = ("pull",)
    _, lines = place.doctor()
    assert "it is a person's (octocat" in text(lines, "token")
    assert "may not push" in text(lines, "rights")


def by_merge(place: Place, forge_id: int) -> None:
    """Answers are merged pull requests, and the approver's account has this number."""
    place.set("trust: signature", "trust: merge", APPROVALS)
    key = f"    key: ssh-ed25519 {'A' * 43}=\n"
    place.set(key, f"    forge_id: {forge_id}\n", APPROVALS)
    place.set("remote: none", "remote: origin")
    hub = place.folder.with_name("hub.git")
    place.git("init", "--quiet", "--bare", "--initial-branch=main", str(hub))
    place.git("remote", "add", "origin", str(hub))
    place.git("push", "--quiet", "--set-upstream", "origin", "main")
    said = lifeos(place.folder, "tick", "--max-tasks", "0", GITHUB_TOKEN=TOKEN)
    assert said.code == 0, said.err  # it adopts the rules: only then is the forge asked


def test_who_may_merge_is_said(place: Place) -> None:
    """Whoever may write can press the button; with trust ``merge`` it is said whose word it is."""
    place.fake.state.people = ("octocat", "p1", "p2")
    _, lines = place.doctor()
    assert "octocat, p1, p2 can merge pull requests into it" in text(lines, "main")
    assert "only those of approvers count" not in text(lines, "main")
    by_merge(place, forge_id=1)
    _, lines = place.doctor()
    assert "can merge pull requests into it; only those of approvers count: Test Person" in text(
        lines, "main"
    )


@pytest.mark.parametrize(("writes", "refused"), [("direct", True), ("pr", False)])
def test_a_main_that_only_takes_pull_requests(place: Place, writes: str, refused: bool) -> None:
    """It refuses what lifeos pushes there, unless the rules have it land by pull requests."""
    place.fake.state.rulesets = [
        Ruleset(1, ALL, KEEP),
        Ruleset(2, ("main",), ("pull_request",), (ADMIN,), "never", 1),
        Ruleset(3, ALL[1:], ("update",), (APP,), "always"),
    ]
    if writes != "direct":
        place.set("main_writes: direct", f"main_writes: {writes}")
    by_merge(place, forge_id=1)
    _, lines = place.doctor()
    said = text(lines, "main")
    assert ("what lifeos pushes to main would be refused" in said) is refused
    assert ("`main_writes: pr`" in said) is refused


def test_the_token_of_the_only_approver_lets_nobody_answer(place: Place) -> None:
    """They would be the author of every queue PR: told by the number of the account."""
    by_merge(place, forge_id=1)
    place.fake.state.installation = False
    said, lines = place.doctor()
    assert said.code != 0
    assert "fail: " in text(lines, "token")
    assert "nobody could answer anything" in text(lines, "token")


@pytest.mark.parametrize(
    ("may", "level", "told"),
    [
        (True, "ok", "which the questions of lifeos are"),
        (False, "warn", "with GITHUB_TOKEN nothing could be asked"),
    ],
)
def test_workflows_must_be_able_to_open_queue_prs(
    place: Place, may: bool, level: str, told: str
) -> None:
    """With trust ``merge`` the setting that is off by default is needed, or an app."""
    by_merge(place, forge_id=1)
    place.fake.state.may_open = may
    _, lines = place.doctor()
    (line,) = [line for line in lines["actions"] if told in line["said"]]
    assert line["level"] == level


def test_what_the_token_may_not_see_is_said(place: Place) -> None:
    """Not seen is not "nobody may": it is said with the right that is missing."""
    place.fake.state.admin_sees = False
    said, lines = place.doctor()
    assert said.code == 0
    assert "warn: branch protection not seen" in text(lines, "main")
    assert "some whom only an admin may see (ruleset 2)" in text(lines, "main")
    assert "give the token administration=read" in text(lines, "actions")


def test_settings_of_ci(place: Place) -> None:
    """Tokens that write by default, workflows that approve, secrets that any branch reads."""
    state = place.fake.state
    state.writes, state.may_open = "write", True
    state.environments = {"models": ("main",), "deploy": None, "old": "protected"}
    state.environments["wide"] = ("main", "**")
    _, lines = place.doctor()
    assert "may write unless the workflow says otherwise" in text(lines, "actions")
    assert "open pull requests, and approve them" in text(lines, "actions")
    assert "the secrets of deploy, wide can be read from a branch that was just pushed" in text(
        lines, "secrets"
    )
    state.actions = False
    _, lines = place.doctor()
    assert "switched off" in text(lines, "actions")
    assert "secrets" not in lines


def test_workflows_that_a_branch_of_the_queue_would_start(place: Place) -> None:
    """They are read from the commit on main, not from the work tree."""
    place.commit(".github/workflows/any.yaml", "on: [push, pull_request]\njobs: {}\n")
    place.commit(".github/workflows/bad.yml", "on: {push: &x {}, pull_request: *x}\n")
    (place.folder / ".github/workflows/ci.yml").write_text("on: push\n")
    _, lines = place.doctor()
    said = text(lines, "workflows")
    assert len(lines["workflows"]) == 2
    assert "any.yaml is started by a push to lifeos/queue/* and a pull request into main" in said
    assert "bad.yml" in said
    assert "is not known" in said


def test_an_archived_repository_and_another_default_branch(place: Place) -> None:
    """Nothing can be pushed to the one; schedules run from the other."""
    place.fake.state.default_branch = "trunk"
    _, lines = place.doctor()
    assert "warn" in levels(lines)["forge"]
    assert "Default branch" in text(lines, "forge")
    place.fake.state.archived = True
    said, lines = place.doctor()
    assert said.code == 1
    assert "archived" in text(lines, "forge")


def test_a_token_that_is_not_known_and_a_repository_that_is_not_there(place: Place) -> None:
    """Both must be mended, and nothing more is asked."""
    unknown = {"GITHUB_TOKEN": "an-older-one"}
    said, lines = place.doctor(**unknown)
    assert said.code == 1
    assert "does not know the token" in text(lines, "forge")
    assert len(place.fake.asked) == 1
    place.set(f"repository: {NAME}", "repository: octo-org/other")
    said, lines = place.doctor()
    assert said.code == 1
    assert f"has no /repos/{NAME.split('/', maxsplit=1)[0]}/other" in text(lines, "forge")


# --- the settings ---------------------------------------------------------------------------------


def test_kind_decides_whether_a_forge_is_asked(place: Place) -> None:
    """`none`, and --offline, ask nothing; workflows are looked at offline too."""
    said, lines = place.doctor("--offline")
    assert said.code == 0
    assert "not asked" in text(lines, "forge")
    assert "workflows" in lines
    place.set("kind: github", "kind: none")
    _, lines = place.doctor()
    assert "forge" not in lines
    assert place.fake.asked == []


def test_host_decides_where_the_token_goes(place: Place) -> None:
    """Another host is asked, and only that; one that is not there is no failure of lifeos."""
    other = FakeGitHub()
    other.state.default_branch = "other"
    with served(other) as port:
        place.set(f"127.0.0.1:{place.port}", f"127.0.0.1:{port}")
        _, lines = place.doctor()
    assert "its default branch is other" in text(lines, "forge")
    assert place.fake.asked == []
    said, lines = place.doctor()
    assert said.code == 0
    assert "cannot be reached" in text(lines, "forge")


def test_repository_is_named_or_taken_from_the_remote(place: Place) -> None:
    """Empty: from the git remote, which must be at the forge's host."""
    place.set(f"repository: {NAME}", 'repository: ""')
    _, lines = place.doctor()
    assert "git has no remote origin" in text(lines, "forge")
    place.git("remote", "add", "origin", f"http://127.0.0.1:{place.port}/{NAME}.git")
    _, lines = place.doctor()
    assert f"{NAME}: public" in text(lines, "forge")
    place.git("remote", "set-url", "origin", f"git@example.invalid:{NAME}.git")
    said, lines = place.doctor()
    assert said.code == 1
    assert "is at example.invalid" in text(lines, "forge")
    place.git("remote", "set-url", "origin", str(place.folder))
    _, lines = place.doctor()
    assert "names no OWNER/NAME" in text(lines, "forge")


def test_token_env_names_the_variable_of_the_token(place: Place) -> None:
    """Without it nothing is asked, and the variable is named."""
    place.set("token_env: GITHUB_TOKEN", "token_env: OTHER_VARIABLE")
    said, lines = place.doctor()
    assert said.code == 0
    assert "OTHER_VARIABLE is not set" in text(lines, "token")
    assert place.fake.asked == []
    _, lines = place.doctor(OTHER_VARIABLE=TOKEN)
    assert NAME in text(lines, "forge")


def test_the_token_is_not_sent_where_rules_say_that_nobody_adopted(place: Place) -> None:
    """Whoever can push to main could otherwise name a host of their own, and be sent the token."""
    task = "# Backlog\n\n- [ ] Say hello\n  - scope: `docs/**`\n"
    place.commit("BACKLOG.md", task)
    # The ledger adopts what is there now; what the tick writes on main names the ledger.
    lifeos(place.folder, "tick")
    assert "Lifeos-Ledger" in place.git("log", "-1", "--format=%B", "main")
    thief = FakeGitHub()
    with served(thief) as port:
        place.set(f"127.0.0.1:{place.port}", f"127.0.0.1:{port}")
        _, lines = place.doctor()
        assert "not known to be adopted" in text(lines, "forge")
        # A clone without the ledger knows even less; that there is one, main says.
        place.git("update-ref", "-d", "refs/heads/lifeos/ledger")
        for ref in place.git("for-each-ref", "--format=%(refname)", "refs/lifeos").split():
            place.git("update-ref", "-d", ref)
        _, lines = place.doctor()
        assert "not known to be adopted" in text(lines, "forge")
    assert thief.asked == []


def hosted(place: Place) -> None:
    """The rules as `lifeos init --github` writes them: the forge's remote holds the truth."""
    place.git("remote", "add", "origin", f"http://127.0.0.1:{place.port}/{NAME}.git")
    place.set("\nremote: none\n", "\nremote: origin\n")


def test_rules_that_nobody_adopted_yet_are_asked_about_at_the_remotes_own_host(
    place: Place,
) -> None:
    """Before the first round: the token goes where this clone's remote is, and nowhere else."""
    hosted(place)
    _, lines = place.doctor()
    assert NAME in text(lines, "forge")
    assert "git fetch origin brings it" in text(lines, "ledger")
    # Another variable may hold what is meant for somebody else.
    place.set("token_env: GITHUB_TOKEN", "token_env: OTHER_VARIABLE")
    place.fake.asked.clear()
    _, lines = place.doctor(OTHER_VARIABLE=TOKEN)
    assert "not known to be adopted" in text(lines, "forge")
    place.set("token_env: OTHER_VARIABLE", "token_env: GITHUB_TOKEN")
    place.git("remote", "set-url", "origin", f"git@example.invalid:{NAME}.git")
    _, lines = place.doctor()
    assert "not known to be adopted" in text(lines, "forge")
    assert place.fake.asked == []


def test_a_token_that_only_looks_is_no_author_of_questions(place: Place) -> None:
    """With `tick: where: ci` the workflow's own opens them; nothing else differs."""
    hosted(place)
    place.set("trust: signature", "trust: merge", APPROVALS)
    who = f'email: "{EMAIL}"\n'
    place.set(who, f"{who}    forge_id: 1\n", APPROVALS)
    place.fake.state.installation = False
    _, lines = place.doctor()
    assert "nobody could answer anything" in text(lines, "token")
    place.set("  where: any\n", "  where: ci\n")
    _, lines = place.doctor()
    assert levels(lines)["token"] == {"ok"}
    assert "octocat's, and only looks" in text(lines, "token")
    _, lines = place.doctor(CI="true")
    assert "nobody could answer anything" in text(lines, "token")


def test_a_clone_goes_by_the_ledger_that_its_remote_had(place: Place, tmp_path: Path) -> None:
    """Where only CI ticks, a clone has no ledger of its own; `git fetch` brings the remote's."""
    hub = tmp_path / "hub.git"
    place.git("clone", "--quiet", "--bare", str(place.folder), str(hub))
    place.git("remote", "add", "origin", str(hub))
    place.set("\nremote: none\n", "\nremote: origin\n")
    place.git("push", "--quiet", "--set-upstream", "origin", "main")
    assert lifeos(place.folder, "tick").code == 0
    place.git("fetch", "--quiet", "origin")
    for ref in ("refs/heads/lifeos", "refs/lifeos"):
        for each in place.git("for-each-ref", "--format=%(refname)", ref).split():
            place.git("update-ref", "-d", each)
    _, lines = place.doctor()
    assert NAME in text(lines, "forge")
    assert "ok: 1 transition, 0 open runs" in text(lines, "ledger")
    place.set('host: "127.0.0.1', 'host: "localhost')
    place.fake.asked.clear()
    _, lines = place.doctor()
    assert "not known to be adopted" in text(lines, "forge")
    assert "other rules" in text(lines, "adopted")
    assert place.fake.asked == []
