"""Letting an agent word a proposal, where the policy has it: an attempt that decides nothing.

It is asked as a seat of a council is: the same program, model, sandbox, door and limits, on main's
tree, read-only. Whatever goes wrong, the proposal is asked as it was computed. The question's own
record has what it cost; until that is written, the receipts are on disk, and one that was killed is
counted with the next about the same pattern.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lifeos.agents import program_of
from lifeos.agents.asking import ask
from lifeos.agents.program import Call, Program
from lifeos.agents.shipped import prompt as shipped_prompt
from lifeos.core import leaks
from lifeos.core.canonical import sha256
from lifeos.core.improve.proposal import AddToPrompt, Pattern, Proposal
from lifeos.core.improve.wording import (
    ROLE,
    STAGE,
    Paper,
    drafted_by,
    has_room,
    may_draft,
    parts_of,
    with_words,
)
from lifeos.core.policy.words import AgentKind
from lifeos.core.prompts import Bounds, NonceInside, render
from lifeos.core.receipt import Receipt
from lifeos.core.replies import schema_text
from lifeos.core.replies.wording import EXAMPLE, WordingReply, added_lines, read
from lifeos.core.state import Due
from lifeos.errors import LifeosError
from lifeos.proxy import Allowance, Door, Meter, Route, opened
from lifeos.sandbox import choose, scrubbed_env
from lifeos.store.materialize import materialize
from lifeos.tick import calls
from lifeos.tick.attempt import Site
from lifeos.tick.context import Context
from lifeos.tick.drafting import Drafted, NoDraft, draft
from lifeos.tick.modelled import route_of, who_worked
from lifeos.tick.reading import Main


def site_of(ctx: Context) -> Site:
    """Where it is asked outside of a tick. Raises ``LifeosError`` where the sandbox fails."""
    sandbox = choose(ctx.rules.config.sandbox.value)
    problem = sandbox.available()
    if problem is not None:
        raise LifeosError(problem.message, problem.fix)
    world = ctx.world
    return Site(
        repo=ctx.repo,
        folder=ctx.repo.ensure_private(),
        sandbox=sandbox,
        environ=world.environ,
        timer=world.timer,
        clock=world.clock,
        should_stop=ctx.stopped_here,
        progress=world.progress,
        trace=world.trace,
    )


@dataclass
class Wordsmith:
    """Has proposals worded, one after the other, within the budgets of the day and the month.

    ``site`` is asked for when it is needed: without an agent no sandbox is.
    """

    ctx: Context
    site: Callable[[], Site]
    _unrecorded: float = 0.0

    def worded(
        self, main: Main, pattern: Pattern, drafted: Drafted, due: Due, of: str = ""
    ) -> Drafted:
        """The proposal with an agent's words; as it was computed where the policy wants none.

        What a person worded already stays theirs.
        """
        if not self.ctx.rules.loop.improve.worded or due.comment:
            return drafted
        try:
            paper = self._asked(main, pattern, drafted.proposal)
        except (LifeosError, NonceInside) as error:
            self._say(pattern, f"not worded: {error}")
            return drafted
        self._unrecorded += paper.spent.cost
        if paper.reply is None:
            self._say(pattern, f"not worded: {paper.message}")
        else:
            try:
                drafted = draft(self.ctx, main, drafted_by(pattern, paper.reply), due, of)
            except NoDraft as error:
                paper = paper.model_copy(update={"reply": None, "message": str(error)})
                self._say(pattern, f"the agent's draft makes no rules: {error}")
        proposal = with_words(drafted.proposal, paper)
        return replace(drafted, proposal=proposal, wording=paper.to_json())

    def _say(self, pattern: Pattern, what: str) -> None:
        self.ctx.world.progress(f"{pattern.key}: {' '.join(what.split())}")

    def _asked(self, main: Main, pattern: Pattern, proposal: Proposal) -> Paper:
        """Ask, with corrections. Raises ``LifeosError`` where nobody can be asked."""
        ctx, rules = self.ctx, self.ctx.rules
        if not has_room(ctx.ledger.snapshot, rules.loop.budgets, ctx.now(), self._unrecorded):
            raise LifeosError("the budget of the day or the month has no room for it")
        site = self.site()
        program = program_of(AgentKind(rules.config.agents.review), rules.config)
        problem = program.problem()
        if problem is not None:
            raise LifeosError(problem.message, problem.fix)
        route = route_of(rules, site.environ, rules.config.roles.review)
        values = site.secret_values(rules)
        path = calls.of_wording(site.folder, pattern.key)
        before = calls.so_far(path)  # of one that was killed
        meter = self._meter(calls.journal(path, lambda line: leaks.redact(line, values)))
        self._say(pattern, f"{program.name} words the proposal on {route.name}")
        paper = self._answer(site, main, pattern, proposal, program, route, meter)
        paper = paper.model_copy(update={"receipts": (*before, *meter.receipts)})
        return _clean(paper, lambda text: leaks.redact(text, values))

    def _meter(self, journal: Callable[[Receipt], None]) -> Meter:
        rules = self.ctx.rules
        budgets = rules.loop.budgets
        limits = rules.envelope.agent
        tokens = min(limits.tokens, budgets.tokens_per_run)
        return Meter(Allowance(limits, tokens, budgets.reserve_per_attempt), journal)

    def _answer(
        self,
        site: Site,
        main: Main,
        pattern: Pattern,
        proposal: Proposal,
        program: Program,
        route: Route,
        meter: Meter,
    ) -> Paper:
        nonce = sha256(f"{self.ctx.world.nonce()}\n{pattern.key}")[:32]
        prompt = _prompt_now(self.ctx, pattern)
        told = self._prompt(proposal, prompt, nonce, meter)
        with (
            _tree(site, main) as folder,
            opened(route, meter, stage=STAGE, clock=site.clock, told=site.progress) as door,
        ):
            call = self._call(site, folder, told, door, route, pattern)
            asked = ask(program, call, lambda text: read(text, prompt, nonce), nonce=nonce)
        return Paper(
            who=who_worked(program, route),
            reply=asked.value,
            added=tuple(added_lines(prompt, asked.value.prompt) or ()) if asked.value else (),
            answer=sha256(asked.last.text) if asked.value else "",
            rounds=len(asked.said),
            problems=asked.problems,
            failure=asked.failure,
            message=" ".join(asked.message.split()),
        )

    def _prompt(self, proposal: Proposal, prompt: str, nonce: str, meter: Meter) -> str:
        rules, limits = self.ctx.rules, meter.allowance.limits
        bounds = Bounds(
            writable=False,
            seconds=_seconds(self.ctx),
            tokens=meter.allowance.tokens,
            requests=limits.requests,
            commands=limits.commands,
            command_seconds=limits.command_seconds,
        )
        schema = schema_text(WordingReply, EXAMPLE)
        parts = parts_of(proposal, prompt)
        shipped = shipped_prompt(ROLE)
        return render(ROLE, rules.prompts, shipped, parts, nonce, schema, bounds=bounds)

    def _call(
        self, site: Site, folder: Path, told: str, door: Door, route: Route, pattern: Pattern
    ) -> Call:
        envelope = self.ctx.rules.envelope
        return Call(
            prompt=told,
            title=f"lifeos improve {pattern.category}"[:80],
            folder=folder,
            writable=False,
            limits=envelope.limits.model_copy(update={"seconds": _seconds(self.ctx)}),
            agent_limits=door.meter.allowance.limits,
            environment=scrubbed_env(envelope.environment, site.environ),
            sandbox=site.sandbox,
            door=door,
            model=route.model,
            wire=route.provider.wire,
            should_stop=site.should_stop,
            progress=site.progress,
            trace=site.trace,
        )


def _clean(paper: Paper, redact: Callable[[str], str]) -> Paper:
    """The paper without secrets: it is recorded for ever."""
    try:
        return Paper.model_validate_json(redact(paper.to_json().decode("utf-8", "replace")))
    except ValueError:
        told = {"message": "what it said may not be kept", "problems": (), "reply": None}
        return paper.model_copy(update=told)


def _seconds(ctx: Context) -> int:
    return min(ctx.rules.envelope.limits.seconds, ctx.rules.loop.budgets.seconds_per_attempt)


def _prompt_now(ctx: Context, pattern: Pattern) -> str:
    """The prompt that the agent may add to; "" where the change is none."""
    if not (may_draft(pattern) and isinstance(pattern.edit, AddToPrompt)):
        return ""
    role = pattern.edit.role
    return ctx.rules.prompts.get(role) or shipped_prompt(role)


@contextmanager
def _tree(site: Site, main: Main) -> Iterator[Path]:
    """Main's files in a folder of lifeos's own, for the time of the block."""
    folder = site.folder / "work" / STAGE
    shutil.rmtree(folder, ignore_errors=True)
    try:
        materialize(site.repo, main.tree, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
