"""Everything ``decide`` needs to know, gathered from commits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifeos.core.answers import Refusal
from lifeos.core.backlog.entry import Task
from lifeos.core.facts import Facts, Improving, TaskFact
from lifeos.core.policy import Agents, Governance
from lifeos.core.pulls import News, OpenAgain
from lifeos.core.state import Run, RunStatus
from lifeos.errors import Problem
from lifeos.governance import Loaded, governance_digest, load_set
from lifeos.model import Stage
from lifeos.store.history import brought_by, removing
from lifeos.store.lock import Owner, owner_is_dead, proc_identity
from lifeos.store.merge import merge
from lifeos.store.remote import contains
from lifeos.store.trees import lookup
from lifeos.tick.answers import read_answers
from lifeos.tick.authority import by_approver
from lifeos.tick.contents import contents_of
from lifeos.tick.context import Context
from lifeos.tick.improve_due import improving_due
from lifeos.tick.landed import landed_on
from lifeos.tick.reading import (
    QUEUE,
    RULES,
    STOP,
    Main,
    changed_by_people,
    governance_files,
    governance_key,
    main_at,
    no_queue,
)
from lifeos.tick.tasks import Tasks, candidates, open_tasks, read_tasks
from lifeos.tick.unfit import unfit
from lifeos.tick.work import work_commit

if TYPE_CHECKING:
    from lifeos.tick.attempt import Site
    from lifeos.tick.drafting import Drafted
    from lifeos.tick.improving import Improver
    from lifeos.tick.wording import Wordsmith


@dataclass(frozen=True)
class Gathered:
    """The facts, and what was read on the way that people should hear of."""

    facts: Facts
    tasks: Tasks
    problems: tuple[Problem, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    again: tuple[OpenAgain, ...] = ()
    proposals: Mapping[str, Drafted] = field(default_factory=dict)  # by digest


@dataclass(frozen=True)
class _OnMain:
    """Main's set: its digest ('' when broken), whether approvers brought it, what is wrong.

    ``rules`` is the set itself, unless it is broken or the adopted one.
    """

    digest: str
    by_approver: bool
    rules: Governance | None
    problems: tuple[Problem, ...]


@dataclass
class Gatherer:
    """Gathers facts again and again in one tick; what cannot have changed is remembered."""

    ctx: Context
    here: Collection[str] = ()  # runs whose attempts this process carries, as it is now
    elsewhere: bool = False  # attempts are carried out on other machines, by other processes
    site: Callable[[], Site] | None = None  # where an agent can be asked; None: by others only
    opened: int = 0
    _governance: dict[tuple[str, ...], _OnMain] = field(default_factory=dict)
    _moved: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    _merging: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    _before: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _unfit: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    _improver: Improver | None = None
    _unready: tuple[frozenset[Stage], tuple[Problem, ...]] | None = None
    _grave: dict[tuple[str, str], Problem] = field(default_factory=dict)  # by rules and task

    def gather(self) -> Gathered:
        """The facts of this moment."""
        ctx = self.ctx
        main = main_at(ctx.repo, ctx.main())
        snapshot = ctx.ledger.snapshot
        tasks = read_tasks(ctx, main)
        found = self._governance_of(main)
        digest, problems = found.digest, found.problems
        stop = self._stopped(main)
        may_open = self._may_open()
        ready = may_open > 0 and not stop and bool(digest)
        sets = {**self._sets(), **({found.rules.digest: found.rules} if found.rules else {})}
        contents = contents_of(ctx, snapshot.runs.values())
        answers, refusals = read_answers(ctx, main, contents)
        news = self._news(main, contents)
        ready_tasks = self._candidates(tasks) if ready else ()
        going_on = _may_go_on(snapshot.runs)
        lacking = self._lacking(main) if ready_tasks or going_on else ()
        improving, proposals = self._improving(main, digest, stop=stop)
        unready, wanting = self._wanting() if ready_tasks or going_on else (frozenset(), ())
        facts = Facts(
            main=main.commit,
            stop=stop,
            governance=digest,
            governance_by_approver=found.by_approver
            and not ctx.deaf,  # they may be what came by it
            sets=sets,
            tasks=open_tasks(ctx, tasks),
            unfit=bool(lacking),
            candidates=ready_tasks,
            answers=(*answers, *news.answers),
            anew=news.anew,
            intruded=news.intruded,
            landed=self._landed(main),
            lost=self._lost(),
            contents=contents,
            overlapping=self._overlapping(main),
            moved=self._moved_runs(main),
            conflicting=self._conflicting(main),
            unverified=self._unverified(),
            paid=paid_stages(ctx.rules.config.agents),
            unready=unready,
            may_open=may_open,
            only_task=ctx.limits.task,
            improving=improving,
        )
        problems = (
            *problems,
            *lacking,
            *wanting,
            *self._unreviewable(),
            *no_queue(ctx.repo, main.tree),
        )
        refusals = (*refusals, *news.refusals)
        return Gathered(
            facts=facts,
            tasks=tasks,
            problems=problems,
            refusals=refusals,
            again=news.again,
            proposals=proposals,
        )

    def _smith(self) -> Wordsmith | None:
        if self.site is None or not self.ctx.rules.loop.improve.worded:
            return None
        from lifeos.tick.wording import Wordsmith  # with all that asking a model takes

        return Wordsmith(self.ctx, self.site)

    def _improving(
        self, main: Main, digest: str, *, stop: bool
    ) -> tuple[Improving, Mapping[str, Drafted]]:
        """What is so about proposals: nothing is read, or loaded, where there is none."""
        if not improving_due(self.ctx):
            return Improving(), {}
        if self._improver is None:
            from lifeos.tick.improving import Improver

            self._improver = Improver(self.ctx, self._smith())
        facts, found = self._improver.facts(main, digest, stop=stop)
        return facts, {drafted.proposal.digest: drafted for drafted in found.drafts}

    def _news(self, main: Main, contents: Mapping[str, str]) -> News:
        """What came by pull requests: nothing is read of them unless some were looked at."""
        if not (self.ctx.pulls or self.ctx.unheard or self.ctx.late):
            return News()
        from lifeos.tick.pulls_seen import read_pulls  # with all that HTTP takes

        return read_pulls(self.ctx, main, contents)

    def _lacking(self, main: Main) -> tuple[Problem, ...]:
        if main.tree not in self._unfit:
            self._unfit[main.tree] = unfit(self.ctx.repo, main.tree)
        return self._unfit[main.tree]

    def _wanting(self) -> tuple[frozenset[Stage], tuple[Problem, ...]]:
        """The stages whose agent cannot be started here, and why not."""
        if self.elsewhere or not any(kind.modelled for kind in self.ctx.rules.config.agents.kinds):
            return frozenset(), ()
        if self._unready is None:
            from lifeos.tick.ready import unready  # with all that agents with a model take

            self._unready = unready(self.ctx.rules, self.ctx.world.environ)
        return self._unready

    def _may_open(self) -> int:
        asked = self.ctx.limits.tasks
        limit = self.ctx.rules.loop.tasks_per_tick if asked is None else asked
        return limit - self.opened

    def _candidates(self, tasks: Tasks) -> tuple[TaskFact, ...]:
        """The task to open next."""
        rules = self.ctx.rules

        def fits(task: Task) -> bool:
            if not rules.config.agents.review.modelled:
                return True
            from lifeos.tick.ready import unreviewable

            problem = unreviewable(rules, task)
            if problem is not None:
                self._grave[rules.digest, task.id] = problem
            return problem is None

        return candidates(self.ctx, tasks, self.ctx.limits.task, fits)

    def _unreviewable(self) -> tuple[Problem, ...]:
        """Why tasks were passed over in this tick, by the rules that hold now."""
        now = self.ctx.rules.digest
        return tuple(problem for (rules, _), problem in self._grave.items() if rules == now)

    def _sets(self) -> Mapping[str, Governance]:
        snapshot = self.ctx.ledger.snapshot
        digests = {run.governance for run in snapshot.runs.values()}
        digests |= {item.governance for item in snapshot.items.values()}
        digests.add(snapshot.governance)
        return {digest: self.ctx.governance(digest) for digest in digests}

    def _governance_of(self, main: Main) -> _OnMain:
        adopted = self.ctx.ledger.snapshot.governance
        key = (adopted, *governance_key(self.ctx.repo, main.tree))
        if key not in self._governance:
            files = governance_files(self.ctx.repo, main.tree)
            digest = governance_digest(files)
            loaded = Loaded(None) if digest == adopted else load_set(files)
            self._governance[key] = _OnMain(
                digest="" if loaded.problems else digest,
                by_approver=digest != adopted and self._approved_rules(main),
                rules=loaded.governance,
                problems=loaded.problems,
            )
        return self._governance[key]

    def _approved_rules(self, main: Main) -> bool:
        """Whether approvers brought every change of the rules since the adopted set.

        Every commit counts, not only the last one at each file: a later edit by an approver does
        not make an earlier one by somebody else theirs.
        """
        since = self.ctx.ledger.snapshot.adopted_on
        brought = brought_by(self.ctx.repo, main.commit, RULES, since, without=(QUEUE, STOP))
        approvals = self.ctx.rules.approvals
        return bool(brought) and all(
            by_approver(self.ctx.repo, commit, approvals, self.ctx.who_brought)
            for commit in brought or ()
        )

    def _stopped(self, main: Main) -> bool:
        """STOP on main or in the work tree; once on main, only an approver takes it away."""
        if self.ctx.stopped_here() or lookup(self.ctx.repo.objects, main.tree, STOP):
            return True
        if not self.ctx.ledger.snapshot.stop:
            return False
        if self.ctx.deaf:
            return True  # whoever took it away may have done so by the merge that was not heard
        removed = removing(self.ctx.repo, main.commit, STOP)
        return removed is not None and not by_approver(
            self.ctx.repo, removed, self.ctx.rules.approvals, self.ctx.who_brought
        )

    def _landed(self, main: Main) -> dict[str, str]:
        """Runs whose recorded landing is part of main."""
        found = {}
        for run in self.ctx.ledger.snapshot.runs.values():
            landing = run.landing
            if landing is None or run.status is not RunStatus.CLAIMED or run.id in self.here:
                continue
            # One that another clone noted, and that did not reach main, is not even here.
            if contains(self.ctx.repo, main.commit, landing.commit):
                found[run.id] = landing.commit
        return found

    def _lost(self) -> frozenset[str]:
        """Runs whose worker is provably dead on this host and boot, and left no bundle."""
        lost = set()
        # A claim of this very process that it does not carry: an earlier tick in it broke off.
        mine = proc_identity()
        for run in self.ctx.ledger.snapshot.runs.values():
            if run.claim is None or run.id in self.here:
                continue
            owner = Owner.parse(run.claim.worker)
            if owner is not None and (owner == mine or owner_is_dead(owner)):
                lost.add(run.id)
        return frozenset(lost)

    def _changes(self, old: str, new: str) -> frozenset[str]:
        """Paths that main changed between two commits, lifeos's own bookkeeping left out."""
        if (old, new) not in self._moved:
            self._moved[old, new] = changed_by_people(self.ctx.repo, old, new)
        return self._moved[old, new]

    def _approved(self) -> list[Run]:
        runs = self.ctx.ledger.snapshot.runs.values()
        return [run for run in runs if run.stage is Stage.CLOSE and run.approved_on]

    def _overlapping(self, main: Main) -> frozenset[str]:
        return frozenset(
            run.id
            for run in self._approved()
            if self._changes(run.approved_on, main.commit) & set(run.paths)
        )

    def _conflicting(self, main: Main) -> frozenset[str]:
        """Where main only takes pull requests: runs about to land whose work does not merge."""
        if not self.ctx.writes_by_pull_request:
            return frozenset()
        runs = self.ctx.ledger.snapshot.runs.values()
        landing = [run for run in runs if run.stage is Stage.CLOSE and run.work and not run.merged]
        return frozenset(run.id for run in landing if not self._merges(main, run))

    def _merges(self, main: Main, run: Run) -> bool:
        key = (main.commit, run.base, run.work)
        if key not in self._merging:
            work = work_commit(self.ctx, run)
            self._merging[key] = merge(self.ctx.repo, main.commit, work).tree is not None
        return self._merging[key]

    def _unverified(self) -> dict[str, str]:
        """What main was before a forge landed the work of a run that may end without a pass."""
        found = {}
        for run in self.ctx.ledger.snapshot.runs.values():
            if not run.merged or run.claim is not None:
                continue
            key = (run.merged, run.base, run.work)
            if key not in self._before:
                self._before[key] = landed_on(self.ctx, run, run.merged) or ""
            found[run.id] = self._before[key]
        return found

    def _moved_runs(self, main: Main) -> frozenset[str]:
        return frozenset(
            run.id for run in self._approved() if self._changes(run.approved_on, main.commit)
        )


def _may_go_on(runs: Mapping[str, Run]) -> bool:
    return any(run.status in (RunStatus.READY, RunStatus.PAUSED) for run in runs.values())


def paid_stages(agents: Agents) -> frozenset[Stage]:
    """The stages whose adapter can cost money: a claim of them reserves some of the budgets."""
    kinds = {stage: agents.adapter(stage) for stage in Stage}
    return frozenset(stage for stage, kind in kinds.items() if kind and kind.modelled)
