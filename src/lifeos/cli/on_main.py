"""A commit on main as the person, from any branch: by plumbing, with the checkout brought along.

Where a remote holds the truth, the commit is made on its main and pushed, and the person's own
main comes along if it can. Where it cannot be reached, the commit is made on the person's main,
and they are told to push it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeos.errors import Busy, NotAuthorised
from lifeos.model import Trust
from lifeos.store.trees import Edit, edit
from lifeos.tick.reading import Main, main_at

if TYPE_CHECKING:
    from lifeos.core.policy import Approvals, Governance
    from lifeos.store.remote import Remote
    from lifeos.store.repo import Repo
    from lifeos.store.steps import Splice

TRIES = 5
PUSHES = 30

Plan = Callable[[Main], Sequence[Mapping[str, Edit]]]
"""From main as it is, the changes of its tree: one commit for each of them, in this order."""
Build = Callable[[str], Main]
"""From the commit that main is at, the one that it is to be at."""


@dataclass(frozen=True)
class OnMain:
    """Where and how to commit. ``sign``: with the person's SSH key. ``remote``: who has main."""

    repo: Repo
    ref: str
    sign: bool = False
    remote: str = ""

    @classmethod
    def under(cls, repo: Repo, rules: Governance) -> OnMain:
        """On the main branch of these rules, signed if they ask for it."""
        from lifeos.core.policy import NO_REMOTE

        config = rules.config
        return cls(
            repo,
            f"refs/heads/{config.main}",
            rules.approvals.trust is Trust.SIGNATURE,
            "" if config.remote == NO_REMOTE else config.remote,
        )

    def commit(
        self,
        plan: Plan,
        message: str,
        *,
        splices: Mapping[str, Callable[[bytes], bytes]] | None = None,
        check: Callable[[Main], None] | None = None,
    ) -> str:
        """Make the commits and move main. The last one's id.

        ``check`` sees the new main before it is so, and may raise. Raises ``Busy`` when something
        of the person's is in the way, or main keeps moving; nothing has moved then.
        """
        reason = message.split("\n", 1)[0]
        return self.move(lambda old: self._build(old, plan, message), reason, splices or {}, check)

    def move(
        self,
        build: Build,
        reason: str,
        splices: Mapping[str, Splice],
        check: Callable[[Main], None] | None = None,
    ) -> str:
        """Move main to what ``build`` makes of it as it is. Raises as ``commit`` does."""
        from lifeos.store.checkout import InTheWay, move_branch

        if self.remote:
            pushed = self._pushed(build, splices, check)
            if pushed:
                return pushed
        for _ in range(TRIES):
            old = self.repo.refs.read(self.ref)
            if old is None:
                break
            new = build(old)
            if check is not None:
                check(new)
            try:
                moved = move_branch(
                    self.repo, self.ref, new.commit, old, f"lifeos: {reason}", splices
                )
            except InTheWay as error:
                fix = error.fix.replace("lifeos tick", "this command")
                raise Busy(error.message, fix) from None
            if moved.moved:
                return new.commit
        raise Busy("main keeps moving: nothing was committed", "run this command again")

    def _pushed(
        self,
        build: Build,
        splices: Mapping[str, Splice],
        check: Callable[[Main], None] | None,
    ) -> str:
        """The same on the remote's main; '' where it cannot be reached."""
        from lifeos.cli.frame import progress
        from lifeos.store.remote import Update
        from lifeos.tick.context import World, bring_main

        remote = self._remote(World().pause)
        if remote is None:
            return ""
        for number in range(PUSHES):
            old = remote.main
            if old is None:
                return ""
            new = build(old)
            if check is not None:
                check(new)
            if remote.push(Update(self.ref, new.commit, old)):
                behind = bring_main(self.repo, remote, splices, old)
                if behind:
                    progress(behind)
                return new.commit
            remote.pause(number)
            remote.refresh()
        raise Busy("main keeps moving: nothing was committed", "run this command again")

    def _remote(self, pause: Callable[[int], None]) -> Remote | None:
        from lifeos.store.remote import Remote as RemoteClass

        branch = self.ref.removeprefix("refs/heads/")
        remote = RemoteClass.open(self.repo, self.remote, branch, pause)
        if remote.is_bundle:
            return None
        try:
            remote.refresh()
        except Busy:
            return None
        return remote

    def _build(self, old: str, plan: Plan, message: str) -> Main:
        from lifeos.store.person import commit_tree

        main = main_at(self.repo, old)
        for changes in plan(main):
            tree = edit(self.repo.objects, main.tree, changes)
            self.repo.objects.flush()
            commit = commit_tree(self.repo, tree, main.commit, message=message, sign=self.sign)
            main = Main(commit=commit, tree=tree)
        return main


def require_approver(repo: Repo, *approvals: Approvals) -> tuple[str, str]:
    """The person's name and e-mail address, if every one of these sets names them.

    Raises ``NotAuthorised`` that says who they are to git, and how to be somebody else.
    """
    from lifeos.core.approvals import is_approver
    from lifeos.store.person import identity

    name, email = identity(repo)
    for number, rules in enumerate(approvals):
        if not is_approver(rules, email):
            when = "" if number == 0 else ", or was not when this was asked"
            people = ", ".join(who.email for who in rules.approvers) or "nobody"
            raise NotAuthorised(
                f"you are {name} <{email}> to git, who is not an approver{when}",
                f"approvers are: {people} (policies/approvals.yaml);"
                " if one of them is you: git config user.email ADDRESS",
            )
    return name, email


def not_pushed(repo: Repo, rules: Governance, commit: str | None) -> str:
    """What to do for a commit that a remote does not have yet; '' where nothing is to be done."""
    from lifeos.core.policy import NO_REMOTE
    from lifeos.store.remote import contains, is_bundle_here, known_main

    config = rules.config
    if config.remote == NO_REMOTE or commit is None:
        return ""
    there = known_main(repo, config.remote, config.main)
    if there is not None and contains(repo, there, commit):
        return ""
    if is_bundle_here(repo, config.remote):
        return "NOT where it counts yet: lifeos export --answers FILE, and take that there"
    return f"NOT pushed, so it does not count yet: git push {config.remote} {config.main}"


def push_own(repo: Repo, rules: Governance, commit: str) -> str:
    """Push the person's own main, which is at ``commit``, if the remote's has nothing else.

    What is left to do, or ''.
    """
    from lifeos.store.remote import Update, contains

    where = OnMain.under(repo, rules)
    remote = where._remote(_no_pause) if where.remote else None
    if remote is not None and remote.main and contains(repo, commit, remote.main):
        remote.push(Update(where.ref, commit, remote.main))
    left = not_pushed(repo, rules, commit)
    if left and remote is not None:
        name = f"{remote.name} {rules.config.main}"
        return left.replace(": git push", f": git pull --rebase {name} && git push")
    return left


def _no_pause(_tries: int) -> None:
    """Nobody is waited for: what was lost is said."""
