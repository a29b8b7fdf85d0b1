"""A commit on main as the person, from any branch: by plumbing, with the checkout brought along."""

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
    from lifeos.store.repo import Repo

TRIES = 5

Plan = Callable[[Main], Sequence[Mapping[str, Edit]]]
"""From main as it is, the changes of its tree: one commit for each of them, in this order."""


@dataclass(frozen=True)
class OnMain:
    """Where and how to commit. ``sign``: with the person's SSH key."""

    repo: Repo
    ref: str
    sign: bool = False

    @classmethod
    def under(cls, repo: Repo, rules: Governance) -> OnMain:
        """On the main branch of these rules, signed if they ask for it."""
        return cls(
            repo, f"refs/heads/{rules.config.main}", rules.approvals.trust is Trust.SIGNATURE
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
        from lifeos.store.checkout import InTheWay, move_branch

        for _ in range(TRIES):
            old = self.repo.refs.read(self.ref)
            if old is None:
                break
            new = self._build(old, plan, message)
            if check is not None:
                check(new)
            reason = message.split("\n", 1)[0]
            try:
                moved = move_branch(
                    self.repo, self.ref, new.commit, old, f"lifeos: {reason}", splices or {}
                )
            except InTheWay as error:
                fix = error.fix.replace("lifeos tick", "this command")
                raise Busy(error.message, fix) from None
            if moved.moved:
                return new.commit
        raise Busy("main keeps moving: nothing was committed", "run this command again")

    def _build(self, old: str, plan: Plan, message: str) -> Main:
        from lifeos.store.person import commit_tree

        main = main_at(self.repo, old)
        for changes in plan(main):
            tree = edit(self.repo.objects, main.tree, changes)
            self.repo.objects.flush()
            commit = commit_tree(self.repo, tree, main.commit, message, sign=self.sign)
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


def not_pushed(rules: Governance) -> str:
    """What to do where the truth is on a remote; '' where it is here."""
    from lifeos.core.policy import NO_REMOTE

    config = rules.config
    if config.remote == NO_REMOTE:
        return ""
    return f"NOT pushed, so it does not count yet: git push {config.remote} {config.main}"
