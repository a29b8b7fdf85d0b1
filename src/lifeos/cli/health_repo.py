"""The repository: its layout, the rules in it, the person, the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lifeos.cli.health import Line, fail, ok, warn
from lifeos.cli.moments import span
from lifeos.errors import LifeosError

if TYPE_CHECKING:
    from lifeos.core.policy import Governance
    from lifeos.store.ledger import Ledger
    from lifeos.store.repo import Repo

_INIT = "lifeos init --commit"


def layout(repo: Repo) -> Iterator[Line]:
    """Whether the repository is one that lifeos can work in."""
    where = repo.work_tree or repo.common_dir
    try:
        repo.require_complete()
    except LifeosError as error:
        yield fail("repository", error.message, error.fix)
    else:
        kind = "bare, good for looking" if repo.work_tree is None else f"complete, {repo.hash_name}"
        yield ok("repository", f"{where}: {kind}")
    if repo.refs.read("refs/heads/lifeos"):
        fix = "git branch -m lifeos something-else"
        yield fail("branches", "a branch named lifeos is in the way of lifeos/ledger", fix)


def rules_of(repo: Repo) -> tuple[Governance | None, list[Line]]:
    """The rules as main has them (None: there are none to use), and what is to be said of them."""
    from lifeos.tick.begin import set_at

    head = repo.refs.head_id()
    if head is None:
        return None, [fail("rules", "there is no commit here yet", "make one, then lifeos init")]
    loaded = set_at(repo, head)
    branch = loaded.governance.config.main if loaded.governance else ""
    commit = repo.refs.read(f"refs/heads/{branch}") if branch else None
    if branch and commit is None:
        fix = f"git branch {branch}, or set `main:` in .lifeos/config.yaml"
        return loaded.governance, [fail("main", f"the branch {branch} does not exist", fix)]
    if commit is not None and commit != head:
        loaded = set_at(repo, commit)
    if loaded.governance is None:
        many = len(loaded.problems)
        missing = all(problem.message == "is missing" for problem in loaded.problems)
        said = "lifeos is not set up here" if missing else f"{many} errors in the committed files"
        return None, [fail("rules", said, _INIT if missing else "lifeos validate --commit HEAD")]
    return loaded.governance, _about_rules(repo, loaded.governance)


def _about_rules(repo: Repo, rules: Governance) -> list[Line]:
    lines = []
    edited = _uncommitted(repo)
    if edited:
        said = f"not committed, so not in force: {', '.join(edited)}"
        lines.append(warn("rules", said, f"git commit {' '.join(edited)}"))
    else:
        lines.append(ok("rules", f"on {rules.config.main}, {rules.digest[:12]}"))
    if rules.config.checks:
        names = ", ".join(check.name for check in rules.config.checks)
        lines.append(ok("checks", names))
    else:
        fix = "add `checks:` to .lifeos/config.yaml (lifeos schema config)"
        lines.append(warn("checks", "none: nothing but the review judges the work", fix))
    remote = rules.config.remote
    if remote != "none" and f"remote.{remote}.url" not in repo.config:
        fix = f"git remote add {remote} URL, or write `remote: none` in .lifeos/config.yaml"
        lines.append(fail("remote", f"the rules name {remote}, which git does not know", fix))
    return lines


def remote(repo: Repo, rules: Governance, *, offline: bool) -> Iterator[Line]:
    """Whether the remote that holds the truth answers, and would take a push."""
    from lifeos.core.policy import NO_REMOTE
    from lifeos.store.remote import Remote

    config = rules.config
    if config.remote == NO_REMOTE or offline or f"remote.{config.remote}.url" not in repo.config:
        return
    try:
        Remote.open(repo, config.remote, config.main).probe()
    except LifeosError as error:
        yield fail("remote", error.message, error.fix)
        return
    said = "main can be read, and this account may push (hooks and branch rules show at a push)"
    yield ok("remote", f"{config.remote}: {said}")


def _uncommitted(repo: Repo) -> list[str]:
    """Governance files and backlog whose text in the work tree is not what is checked out."""
    if repo.work_tree is None:
        return []
    paths = ("policies", ".lifeos", "BACKLOG.md")
    args = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", *paths)
    out = repo.person.run(*args).decode("utf-8", "replace")
    names = [entry[3:] for entry in out.split("\0") if entry]
    return [name for name in names if not name.startswith((".lifeos/queue/", ".lifeos/STOP"))]


def person(repo: Repo, rules: Governance | None) -> Iterator[Line]:
    """Who commits here, and whether they may answer."""
    from lifeos.core.approvals import is_approver
    from lifeos.store.person import identity

    try:
        name, email = identity(repo)
    except LifeosError as error:
        yield fail("identity", error.message, error.fix)
        return
    if rules is None or is_approver(rules.approvals, email):
        may = "" if rules is None else ", an approver"
        yield ok("identity", f"{name} <{email}>{may}")
        return
    people = ", ".join(who.email for who in rules.approvals.approvers) or "nobody"
    fix = f"if you are one of {people}: git config user.email ADDRESS"
    yield warn("identity", f"{name} <{email}> is not an approver: you cannot answer", fix)


def ledger(repo: Repo, rules: Governance | None, now: int) -> Iterator[Line]:
    """Whether the ledger is there, whole at its end, and not ahead of the clock."""
    from lifeos.cli.adopted import ledger_here
    from lifeos.cli.work_screen import plural
    from lifeos.store.ledger import require_seen

    try:
        found = ledger_here(repo, rules)
        if found is None:
            yield ok("ledger", _not_begun(rules))
            return
        require_seen(repo, found)
    except LifeosError as error:
        yield fail("ledger", error.message, error.fix or "lifeos verify names the commit")
        return
    state = found.snapshot
    yield ok(
        "ledger",
        f"{plural(state.seq, 'transition')}, {plural(len(state.runs), 'open run')},"
        f" {plural(len(state.items), 'question')}",
    )
    yield _clock(found, now)
    if rules is not None and rules.digest != state.governance:
        said = (
            f"main has other rules ({rules.digest[:12]}) than the adopted {state.governance[:12]}"
        )
        yield warn("adopted", said, "lifeos tick adopts them, or asks an approver")
    stopped = repo.work_tree is not None and (repo.work_tree / ".lifeos" / "STOP").exists()
    if state.stop or stopped:
        yield warn("stop", "the kill switch is set: nothing is begun", "lifeos resume")


def _not_begun(rules: Governance | None) -> str:
    from lifeos.core.policy import NO_REMOTE

    remote = rules.config.remote if rules is not None else NO_REMOTE
    if remote == NO_REMOTE:
        return "not begun; the first lifeos tick begins it"
    return f"none seen here yet: git fetch {remote} brings it, if a tick has begun it there"


def _clock(found: Ledger, now: int) -> Line:
    from lifeos.tick.context import CLOCK_SLACK

    behind = found.snapshot.at - now
    if behind > CLOCK_SLACK:
        said = f"this machine is {span(behind)} behind the last transition"
        return fail("clock", said, "set the clock: until then nothing can be decided")
    return ok("clock", f"the last transition was {span(-behind)} ago")
