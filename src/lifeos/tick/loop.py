"""The tick: open, reconcile, decide, perform, record, and again; then publish.

Level-triggered: it looks at what is so and not at what happened, so a lost event costs nothing,
and a tick that died anywhere is finished by the next one.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from threading import Event

from lifeos.core.answers import Refusal
from lifeos.core.backlog.entry import Mark
from lifeos.core.decide import decide, next_wake
from lifeos.core.facts import (
    Attempt,
    End,
    Facts,
    Interrupt,
    LandProposal,
    OpenRun,
    Step,
    Write,
)
from lifeos.core.policy import NO_REMOTE
from lifeos.core.pulls import OpenAgain
from lifeos.core.records import Resolved
from lifeos.errors import Busy, IllegalTransition, LifeosError
from lifeos.idle import remove_note, write_note
from lifeos.model import FailureClass, Stage, Trust
from lifeos.prepare import PrepareFailed
from lifeos.sandbox import Sandbox, choose
from lifeos.store.checkout import InTheWay, recover
from lifeos.store.git import GitTimeout
from lifeos.store.history import ledger_anchors
from lifeos.store.ledger import LedgerMoved, require_contains, require_seen
from lifeos.store.lock import TICK, Lock
from lifeos.store.maintenance import pack_if_many
from lifeos.tick import calls, perform
from lifeos.tick.attempt import Job, Result, Site, carry_out, failed, redacted
from lifeos.tick.bundle import Bundle, complete, remove, save
from lifeos.tick.context import Context, Limits
from lifeos.tick.gather import Gathered, Gatherer
from lifeos.tick.land import land, merge_with_main, require_clear
from lifeos.tick.publish import publish
from lifeos.tick.report import Report, resting
from lifeos.tick.tidy import tidy

REFETCH = 10.0
"""Seconds after which the remote is looked at again, when an attempt has ended."""
RELOOK = 60.0
"""The same where a forge is asked about each open question, too: it counts the requests."""
LOOKS = 5
"""How often the forge is asked again, while main keeps moving."""
LOST = 200
"""Lost races in a row, for a quarter of an hour by now, after which the others have the work."""
STEPS = 10_000
"""More steps than any tick can need; reaching it is a defect, and better than running for ever."""


class Tick:
    """One invocation of the loop."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.report = Report()
        # By future, and not by run: what an attempt left may be recorded, and the next attempt of
        # its run be under way, before its thread has ended.
        self.running: dict[Future[None], str] = {}
        self.gatherer = Gatherer(ctx, here=self.running.values(), site=self._site)
        # Runs, and items of proposals, whose landing something of the person's blocks.
        self.waiting: set[str] = set()
        self.looked_at = ""  # the commit of main that was last gathered from
        self.taken: set[str] = set()  # items whose answer this tick took
        self.interrupted = Event()  # by Ctrl-C or SIGTERM: attempts end at once
        self.refused: dict[str, Refusal] = {}  # by item: why its answer did not count
        self.again: tuple[OpenAgain, ...] = ()  # queue PRs that somebody closed in vain
        self._sandbox: Sandbox | None = None
        self._remote = ctx.rules.config.remote
        self._taken_in: list[Path] = []  # bundles whose record is not pushed yet
        self._safe = (0, 0, 0)  # opened, ended, begun: how many of them are pushed
        self._lost = 0  # races lost in a row
        self._fetched = ctx.world.timer()
        ctx.ledger.when_kept = self._kept

    @property
    def bundles(self) -> Path:
        """Where attempts leave their results."""
        return self.ctx.repo.ensure_private() / "bundles"

    def run(self) -> Report:
        """Go on until nothing can without a person, a time, or a limit.

        Where all is recorded, and the forge cannot be made to show it, the report says so.
        Raises ``Busy`` when another tick runs in this clone.
        """
        private = self.ctx.repo.ensure_private()
        lock = Lock(private / TICK)
        try:
            lock.acquire(timeout=0)
        except Busy as busy:
            raise Busy(f"another tick is at work: {busy.message}", busy.fix) from None
        try:
            self._look()
            self._require_sound()
            recover(self.ctx.repo)
            self.ctx.bring_along()  # with the kill switch, if main has it or has it no longer
            tidy(private)
            calls.forget_ended(private, self.ctx.ledger.snapshot)
            with ThreadPoolExecutor(max_workers=max(1, self.ctx.limits.jobs)) as pool:
                try:
                    self._loop(pool)
                except KeyboardInterrupt:
                    self.interrupted.set()  # else the pool would wait for its attempts to end
                    raise
            self._finish()
        finally:
            lock.release()
        return self.report

    def _look(self) -> None:
        """Ask the forge, then fetch: a merge that it reports is then in the main that is read.

        And again while main moves meanwhile: what the forge said may then be older than that main.
        """
        remote = self.ctx.remote
        for _ in range(LOOKS):
            before = remote.main if remote else None
            if self.ctx.rules.approvals.trust is Trust.MERGE:
                from lifeos.tick.pulls_asked import look  # with all that HTTP takes

                look(self.ctx)
                self.ctx.forget_arrivals()
            self.ctx.ledger.catch_up()
            if remote is None or not self.ctx.pulls or remote.main == before:
                break
        self._fetched = self.ctx.world.timer()

    def _finish(self) -> None:
        """Make main show what the ledger says, and this clone what is so."""
        ctx = self.ctx
        if not self.report.elsewhere:
            self._publish()
        ctx.ledger.save()
        calls.forget_ended(ctx.repo.ensure_private(), ctx.ledger.snapshot)
        if ctx.remote is not None:
            ctx.bring_along()
            self.report.left_behind = ctx.left_behind
            left = ctx.remote.forget(ctx.landed)
            if left:
                ctx.world.progress(left)
        if self.report.steps:
            self._pack()
        self._leave_note()
        by_merge = ctx.rules.approvals.trust is Trust.MERGE
        if (by_merge or ctx.ledger.snapshot.by_pulls) and not self.report.elsewhere:
            try:
                self._show_pulls()  # last: all else is done where the forge refuses
            except LifeosError as error:
                self.report.unfinished = error
            ctx.ledger.save()

    def _pack(self) -> None:
        """Keep the repository small. What fails here costs room, and nothing else."""
        try:
            problem = pack_if_many(self.ctx.repo)
        except (GitTimeout, OSError) as error:
            problem = str(error)
        if problem:
            self.ctx.world.progress(f"the repository was not packed: {problem}")

    def _show_pulls(self) -> None:
        """Make the forge show what the ledger says. Who loses a race looks again."""
        from lifeos.tick.pulls import publish_pulls, withdraw_pulls

        if self.ctx.rules.approvals.trust is not Trust.MERGE:
            withdraw_pulls(self.ctx)
            return
        for number in range(LOST):
            try:
                publish_pulls(self.ctx, self.again)
            except LedgerMoved:
                self.ctx.ledger.catch_up()
                self.ctx.world.pause(number)
            else:
                return
        raise Busy("others keep recording: the pull requests wait", "run lifeos tick again")

    def _leave_note(self) -> None:
        """Tell the next tick that there is nothing to do while nothing changes."""
        ctx, report = self.ctx, self.report
        git = str(ctx.repo.common_dir)
        ctx.world.trace("note:before")
        unfinished = report.in_the_way or report.broken or ctx.ledger.snapshot.stop
        # What is new on a remote cannot be seen from here.
        if unfinished or ctx.remote is not None or report.elsewhere or ctx.limits != Limits():
            remove_note(git)
            return
        if report.published is None:
            known = report.main
        else:
            known = ctx.repo.objects.commit(report.published).parents[0]
        if known != self.looked_at:  # somebody moved main since: the next tick has to look
            remove_note(git)
            return
        write_note(
            git,
            main_ref=ctx.main_ref,
            main=report.main,
            ledger=ctx.ledger.tip,
            wake=report.wake,
            said=report.standing(tuple(ctx.ledger.snapshot.items)),
        )
        ctx.world.trace("note:after")

    def _require_sound(self) -> None:
        """Refuse a ledger that lacks what this clone, or main, has seen of it."""
        require_seen(self.ctx.repo, self.ctx.ledger)
        for anchor in ledger_anchors(self.ctx.repo, self.ctx.main(), 1):
            require_contains(self.ctx.repo, self.ctx.ledger, anchor, "a commit on main names")

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        while self.report.steps < STEPS:
            try:
                self._collect()
                gathered = self.gatherer.gather()
                self._hear(gathered)
                busy = not self._moved_away() and self._act(pool, gathered)
                if not busy:
                    self.ctx.ledger.flush()
            except LedgerMoved:
                self._decide_anew()
                continue
            if not busy:
                if not self.running:
                    self.report.wake = next_wake(
                        self.ctx.ledger.snapshot, gathered.facts, self.ctx.now()
                    )
                    return
                self._wait()

    def _moved_away(self) -> bool:
        """Whether rules adopted in this tick put the truth elsewhere: then it ends."""
        config = self.ctx.rules.config
        if config.remote == self._remote:
            return False
        there = "in this clone" if config.remote == NO_REMOTE else f"on {config.remote}"
        push = f"git push {config.remote} {config.main} lifeos/ledger, then "
        push = "" if config.remote == NO_REMOTE else push
        self.report.elsewhere = f"the truth is {there} from now on; next: {push}lifeos tick"
        return True

    def _kept(self) -> None:
        """What was recorded is safe: bundles can go, and the report may say it."""
        while self._taken_in:
            remove(self._taken_in.pop(), self.ctx.world.trace)
        self._safe = (len(self.report.opened), len(self.report.ended), self.gatherer.opened)
        self._lost = 0

    def _decide_anew(self) -> None:
        """Another clone recorded first: take that in. What was not pushed has not happened."""
        self._lost += 1
        if self._lost > LOST:
            raise Busy("others keep recording: this tick gets no turn", "run lifeos tick again")
        if self.ctx.remote is None:
            self.ctx.ledger.catch_up()
            return
        self.ctx.world.pause(self._lost)
        self.ctx.ledger.catch_up()
        self._fetched = self.ctx.world.timer()
        self._taken_in.clear()
        opened, ended, self.gatherer.opened = self._safe
        del self.report.opened[opened:], self.report.ended[ended:]

    def _hear(self, gathered: Gathered) -> None:
        self.report.broken = bool(gathered.problems)
        self.report.problems = (*gathered.problems, *gathered.tasks.backlog.problems)
        # An answer that this tick took lies there until its file is removed: no news.
        self.report.refusals = tuple(
            str(self._first_refusal(refusal))
            for refusal in gathered.refusals
            if refusal.item not in self.taken
        )
        self.again = gathered.again
        self._tell_once(gathered.facts)
        self.report.resting = resting(self.ctx.ledger.snapshot, gathered.facts)
        self.report.main = self.looked_at = gathered.facts.main

    def _tell_once(self, facts: Facts) -> None:
        """What spoils a question is over when it is asked anew: it is said when it is seen."""
        spoiled = [(found.item, found.reason) for found in facts.anew]
        spoiled += [(found.item, found.reason) for found in facts.intruded]
        for item, reason in spoiled:
            told = f"the pull request of {item} answers nothing: {reason}"
            if told not in self.report.spoiled:
                self.report.spoiled.append(told)

    def _first_refusal(self, refusal: Refusal) -> Refusal:
        """Why an answer does not count; once its question is gone, why it did not before that."""
        if refusal.item in self.ctx.ledger.snapshot.items:
            self.refused[refusal.item] = refusal
        return self.refused.get(refusal.item, refusal)

    def _act(self, pool: ThreadPoolExecutor, gathered: Gathered) -> bool:
        """Perform what can be done now. Whether there was anything."""
        steps = decide(self.ctx.ledger.snapshot, gathered.facts, self.ctx.now())
        for step in steps:
            if isinstance(step, Attempt) and not self._free(step):
                continue
            self.report.steps += 1
            if not self._perform(pool, gathered, step):
                continue
            return True
        return False

    def _free(self, step: Attempt) -> bool:
        return len(self.running) < max(1, self.ctx.limits.jobs) and step.run not in self.waiting

    def _perform(self, pool: ThreadPoolExecutor, gathered: Gathered, step: Step) -> bool:
        match step:
            case OpenRun():
                return self._open(gathered, step)
            case Attempt(stage=Stage.CLOSE):
                return self._land(step)
            case Attempt():
                self._launch(pool, step)
            case LandProposal():
                return self._land_proposal(step)
            case Interrupt():
                perform.interrupt(self.ctx, step)
            case End():
                run = self.ctx.ledger.snapshot.runs[step.run]
                perform.end(self.ctx, step)
                self.report.ended.append((run.task, run.id, step.outcome))
            case Write():
                if isinstance(step.record, Resolved):
                    self.taken.add(step.record.item)
                perform.write(self.ctx, gathered, step)
        return True

    def _open(self, gathered: Gathered, step: OpenRun) -> bool:
        """Open a run. False: main still shows how the last one ended, and cannot be changed now.

        That mark has to go first: it would end the new run as soon as it is open.
        """
        task = gathered.tasks.find(step.task.id)
        if task is not None and task.mark is not Mark.OPEN:
            if self.ctx.writes_by_pull_request:
                self._say_to_mark(step.task.id)
                return False
            try:
                if publish(self.ctx) is not None:
                    return True
            except InTheWay as error:
                self._blocked_by(error)
                return False
        perform.open_run(self.ctx, gathered, step)
        self.gatherer.opened += 1
        self.report.opened.append(step.task.id)
        return True

    def _say_to_mark(self, task: str) -> None:
        branch = self.ctx.rules.config.main
        told = f"{task} can begin when its box is open: bring `- [ ]` to {branch} by a pull request"
        if told not in self.report.in_the_way:
            self.report.in_the_way.append(told)

    def _blocked_by(self, error: InTheWay) -> None:
        if str(error) not in self.report.in_the_way:
            self.report.in_the_way.append(str(error))

    # --- attempts ---------------------------------------------------------------------------

    def _site(self) -> Site:
        ctx = self.ctx
        if self._sandbox is None:
            self._sandbox = choose(ctx.rules.config.sandbox.value)
            problem = self._sandbox.available()
            if problem is not None:
                raise LifeosError(problem.message, problem.fix)
        return Site(
            repo=ctx.repo,
            folder=ctx.repo.ensure_private(),
            sandbox=self._sandbox,
            environ=ctx.world.environ,
            timer=ctx.world.timer,
            clock=ctx.world.clock,
            should_stop=lambda: self.interrupted.is_set() or ctx.stopped_here(),
            progress=ctx.world.progress,
            trace=ctx.world.trace,
        )

    def _launch(self, pool: ThreadPoolExecutor, step: Attempt) -> None:
        site = self._site()  # before the claim: without a sandbox nothing is claimed
        claim = perform.claim(self.ctx, step)
        self.ctx.ledger.flush()  # nothing is launched that others do not know of
        run = self.ctx.ledger.snapshot.runs[step.run]
        job = perform.job_of(self.ctx, run, claim)
        self.ctx.world.progress(f"{claim.stage} {claim.n} of {run.id}: {run.title}")
        if self.ctx.limits.jobs > 1:  # else nobody could tell whose line it is
            say = site.progress
            site = replace(site, progress=lambda line: say(f"{run.task}:{line}"))
        future = pool.submit(self._carry, site, job)
        self.running[future] = run.id
        if self.ctx.limits.jobs <= 1:
            self._wait()

    def _carry(self, site: Site, job: Job) -> None:
        """One attempt from start to end, in a thread of its own; its result is a bundle."""
        bundle = _bundle(job, carry_out(site, job))
        if self.interrupted.is_set() and isinstance(bundle.facts.outcome, FailureClass):
            return  # it says nothing about the work; the next tick finds the claim without a result
        site.repo.objects.flush()
        save(self.bundles, bundle, site.trace)
        calls.forget(calls.place(site.folder, job.run.id, job.claim))

    def _wait(self) -> None:
        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        for future in done:
            del self.running[future]
            future.result()  # an error here is a defect or a full disk: the tick fails
        ledger, timer = self.ctx.ledger, self.ctx.world.timer
        patience = REFETCH if self.ctx.rules.approvals.trust is not Trust.MERGE else RELOOK
        if ledger.tip == ledger.kept and timer() - self._fetched > patience:
            try:
                self._look()  # somebody may have answered, or stopped it, meanwhile
            except Busy as error:  # what is under way here is worth more than the news
                self.ctx.forget_pulls()  # they may be newer than the main that was last fetched
                self._fetched = timer()
                self.ctx.world.progress(f"not looked: {error.message}")

    def _collect(self) -> None:
        """Record every complete bundle: of this tick, or left behind by one that died."""
        for path, bundle in complete(self.bundles):
            if path in self._taken_in:
                continue
            if isinstance(bundle, str):
                self._set_aside(path, bundle)
                continue
            try:
                perform.collect(self.ctx, bundle)
            except IllegalTransition as refusal:
                if not perform.recorded(self.ctx, bundle):
                    self._set_aside(path, str(refusal))
                    continue
                remove(path, self.ctx.world.trace)
                continue
            self._taken_in.append(path)
            if self.ctx.ledger.remote is None:
                self._kept()

    def _set_aside(self, path: Path, why: str) -> None:
        """Nothing is thrown away: what cannot be recorded goes to the quarantine."""
        place = self.ctx.repo.ensure_private() / "quarantine"
        place.mkdir(exist_ok=True)
        target = place / path.name
        number = 1
        while target.exists():
            target = place / f"{path.name}.{number}"
            number += 1
        path.rename(target)
        self.ctx.world.progress(f"set aside {path.name}: {why} (kept in {target})")

    # --- landing ----------------------------------------------------------------------------

    def _land(self, step: Attempt) -> bool:
        """Land a run. False: the person's own files are in the way, and nothing was claimed."""
        ctx = self.ctx
        run = ctx.ledger.snapshot.runs[step.run]
        site = self._site()
        try:
            if not run.merged:
                require_clear(ctx, merge_with_main(ctx, run))
        except InTheWay as error:
            self.waiting.add(run.id)
            self.report.in_the_way.append(str(error))
            return False
        claim = perform.claim(ctx, step)
        job = perform.job_of(ctx, ctx.ledger.snapshot.runs[step.run], claim)
        ctx.world.progress(f"land {run.id}: {run.title}")
        try:
            result = land(ctx, site, job)
        except PrepareFailed as error:
            result = failed(error.failure_class, error.message, error.excerpt.encode())
        if result is not None:
            save(self.bundles, _bundle(job, redacted(site, job, result)), ctx.world.trace)
        return True

    def _land_proposal(self, step: LandProposal) -> bool:
        """Put an approved proposal on main. False: the person's own files are in the way."""
        from lifeos.tick.change import land_proposal  # few ticks land one

        if step.item in self.waiting:
            return False
        try:
            land_proposal(self.ctx, step.item)
        except InTheWay as error:
            self.waiting.add(step.item)
            self.report.in_the_way.append(str(error))
            return False
        return True

    def _publish(self) -> None:
        try:
            self.report.published = publish(self.ctx)
        except InTheWay as error:
            self._blocked_by(error)
        self.report.main = self.report.published or self.ctx.main()


def _bundle(job: Job, result: Result) -> Bundle:
    return Bundle(
        run=job.run.id,
        stage=job.claim.stage,
        n=job.claim.n,
        nonce=job.claim.nonce,
        facts=result.facts,
        artifacts=result.artifacts,
    )
