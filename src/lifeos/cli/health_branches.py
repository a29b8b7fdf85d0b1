"""What the forge really enforces on main, on the ledger and on the branches of the queue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lifeos.cli.health import Line, fail, ok, warn
from lifeos.core.policy.config import MainWrites
from lifeos.model import Trust

if TYPE_CHECKING:
    from lifeos.core.policy import Governance
    from lifeos.forge import Branch, Forge, Writers

LEDGER = "lifeos/ledger"
QUEUE = "lifeos/queue/Q-00000000"
"""A name as a branch of the queue has it: rules are asked for a name, there or not."""

_RULESETS = "Settings > Rules > Rulesets"
_MANY = 6
_TICKS = {"non_fast_forward": "Block force pushes", "deletion": "Restrict deletions"}
_CAN = {"non_fast_forward": "rewritten", "deletion": "deleted"}
_PLAIN = {
    "pull_request": "a pull request",
    "required_status_checks": "status checks",
    "required_signatures": "signed commits",
    "required_linear_history": "a linear history",
    "required_deployments": "deployments",
    "merge_queue": "the merge queue",
    "workflows": "required workflows",
    "code_scanning": "code scanning",
}
_IN_THE_WAY = ("pull_request", "required_status_checks", "required_deployments", "merge_queue")
"""Rules that refuse the push of a commit which went through no pull request."""


def branches(rules: Governance, there: Forge) -> Iterator[Line]:
    """One or more lines for each of the three."""
    writers = there.writers()
    main = there.branch(rules.config.main)
    yield from _main(rules, main, writers)
    yield from _kept(there.branch(LEDGER), "ledger", LEDGER, writers)
    yield from _kept(there.branch(QUEUE), "queue", "lifeos/queue/*", writers)


def _main(rules: Governance, main: Branch, writers: Writers) -> Iterator[Line]:
    yield from _hidden(main, "main")
    if main.hidden and not main.rules:
        return
    yield _history(main, "main", main.name)
    needs = [_PLAIN[rule] for rule in _PLAIN if main.has(rule)]
    if not main.has("update"):
        yield ok("main", f"{_who(writers)} can merge pull requests into it{_counts(rules)}")
    if not needs and not main.has("update"):
        yield ok("main", f"{_who(writers)} can push to it; no rule wants a pull request or checks")
        return
    many = max((rule.reviews for rule in main.has("pull_request")), default=0)
    said = f"wants {', '.join(needs)}" if needs else "nobody may push but who may bypass"
    said += f" ({many} approving review{'s' if many > 1 else ''})" if many else ""
    yield ok("main", f"{said}; {_bypass(main, [*_IN_THE_WAY, 'update'])}")
    stops = [rule for rule in (*_IN_THE_WAY, "update") if main.has(rule)]
    if stops and _bound(main, stops) and rules.config.main_writes is MainWrites.DIRECT:
        said = "this token's account is bound by that: what lifeos pushes to main would be refused"
        other = "`main_writes: pr` with `trust: merge` lands by pull requests alone (docs/pulls.md)"
        yield warn("main", said, f"{_RULESETS}: add lifeos's app to the bypass list; or {other}")


def _counts(rules: Governance) -> str:
    """Whose merges mean anything to lifeos, of all those who can merge."""
    if rules.approvals.trust is not Trust.MERGE:
        return ""
    people = ", ".join(who.name for who in rules.approvals.approvers[:_MANY])
    more = len(rules.approvals.approvers) - _MANY
    return f"; only those of approvers count: {people}{f' and {more} more' if more > 0 else ''}"


def _kept(branch: Branch, name: str, shown: str, writers: Writers) -> Iterator[Line]:
    """A branch that nobody but lifeos should write."""
    yield from _hidden(branch, name)
    if branch.hidden and not branch.rules:
        return
    yield _history(branch, name, shown)
    closed = branch.has("update")
    if not closed:
        said = f"{_who(writers)}, and each workflow with `contents: write`, can push to {shown}"
        fix = f"{_RULESETS}: target {shown}, Restrict updates, bypass: lifeos's app alone"
        yield warn(name, said, fix)
    elif _bound(branch, ["update"]):
        said = f"pushes to {shown} are restricted, and this token's account is bound by that"
        fix = f"{_RULESETS}: add lifeos's app to the bypass list of {closed[0].source}"
        yield fail(name, said, fix)
    else:
        yield ok(name, f"pushes to {shown} are restricted; {_bypass(branch, ['update'])}")
    stops = [rule for rule in _IN_THE_WAY if branch.has(rule)]
    if stops and _bound(branch, stops):
        wanted = ", ".join(_PLAIN[rule] for rule in stops)
        said = f"{shown} wants {wanted}: what lifeos pushes there would be refused"
        yield fail(name, said, f"{_RULESETS}: leave {shown} out of that rule's target branches")


def _hidden(branch: Branch, name: str) -> Iterator[Line]:
    for hidden in branch.hidden:
        if hidden.setting:
            said = (
                f"{hidden.setting} allows no {hidden.what} here: what lifeos checks is all there is"
            )
            yield warn(name, f"{said} ({hidden.why})", hidden.fix)
        else:
            yield warn(name, f"{hidden.what} not seen: {hidden.why}", hidden.fix)


def _history(branch: Branch, name: str, shown: str) -> Line:
    """Whether what was pushed can be taken away again."""
    ticks = dict(_TICKS)
    if name == "queue":  # its branches are taken away when they are done with
        del ticks["deletion"]
    missing = [ticks[rule] for rule in ticks if not branch.has(rule)]
    if missing:
        can = " and ".join(_CAN[rule] for rule in ticks if not branch.has(rule))
        more = "; lifeos verify notices, and cannot prevent it" if name == "ledger" else ""
        fix = f"{_RULESETS}: target {shown}, {' and '.join(missing)}"
        return warn(name, f"{shown} can be {can} by whoever can push{more}", fix)
    by = ", ".join(dict.fromkeys(rule.source for rule in branch.has("non_fast_forward")))
    cannot = " or ".join(_CAN[rule] for rule in ticks)
    return ok(name, f"{shown} cannot be {cannot} ({by}); {_bypass(branch, list(ticks))}")


def _bypass(branch: Branch, rules: list[str]) -> str:
    """Whom these rules do not bind, by what enforces them."""
    sources = {rule.source for name in rules for rule in branch.has(name)}
    named: list[str] = []
    for each in branch.bypasses:
        if each.source in sources and each.who is None:
            named.append(f"some whom only an admin may see ({each.source})")
        elif each.source in sources and each.who:
            named.append(f"{', '.join(each.who)} ({each.source})")
    return f"may bypass: {'; '.join(named)}" if named else "nobody may bypass it"


def _bound(branch: Branch, rules: list[str]) -> bool:
    """Whether the token's account is certainly bound by one of these; unknown is no."""
    sources = {rule.source for name in rules for rule in branch.has(name)}
    return any(each.source in sources and each.token in _BOUND for each in branch.bypasses)


_BOUND = ("never", "pull_requests_only")


def _who(writers: Writers) -> str:
    """Who may push, in few words."""
    if writers.people is None:
        return "everyone with write access (who they are, the token may not see)"
    people = ", ".join(writers.people[:_MANY])
    more = len(writers.people) - _MANY
    text = f"{people} and {more} more" if more > 0 else people or "nobody"
    return f"{text}, teams {', '.join(writers.teams)}" if writers.teams else text
