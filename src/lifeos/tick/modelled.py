"""An attempt by an agent with a model: the route, the meter, the open door, and what is kept of it.

What the attempt may spend is what its claim set aside, so that the budgets of the day and the month
hold whatever the agent does. What the model is asked goes through ``lifeos.proxy`` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lifeos.agents import Agent, Modelled, Reply, Request
from lifeos.agents.program import Program, version_of
from lifeos.core import leaks
from lifeos.core.canonical import sha256
from lifeos.core.checkreport import CheckResult
from lifeos.core.council import AurType
from lifeos.core.hearing import Hearing
from lifeos.core.policy import Governance
from lifeos.core.policy.council import ChangeClass, Seat
from lifeos.core.receipt import RECEIPTS, AgentFacts, RanFact
from lifeos.core.review import Proven, Review
from lifeos.core.spend import cost_of, dollars
from lifeos.core.table import MAKER
from lifeos.errors import UsageError
from lifeos.model import FailureClass, Stage, Usage
from lifeos.proxy import Allowance, Meter, Route, opened
from lifeos.proxy.meter import REFUSALS
from lifeos.store.trees import lookup
from lifeos.tick import calls
from lifeos.tick.attempt import Job, Site, base_tree, council

INSTRUCTIONS = "AGENTS.md"
INSTRUCTIONS_LIMIT = 64 * 1024
"""Bytes of the repository's own instructions that are handed on."""

MOST_RAN = 200
"""Commands of an agent that are listed."""


def route_of(governance: Governance, environ: Mapping[str, str], name: str) -> Route:
    """The way to a model, by its name in the configuration. Raises ``UsageError`` by name."""
    config = governance.config
    model = config.models.get(name)
    provider = config.providers.get(model.provider) if model else None
    if model is None or provider is None:
        raise UsageError(
            f"the model {name!r} is not configured",
            "write it under `models:` (and its provider under `providers:`) in .lifeos/config.yaml",
        )
    key = environ.get(provider.key_env, "") if provider.key_env else ""
    if provider.key_env and not key:
        raise UsageError(
            f"the variable {provider.key_env} is not set: it holds the key of {model.provider}",
            f"export {provider.key_env}=… where lifeos runs, then: lifeos doctor",
        )
    return Route(name=name, provider_name=model.provider, provider=provider, model=model, key=key)


def allowance_of(job: Job) -> Allowance:
    """What this attempt may use: each grant of more budget adds as much again."""
    limits, budgets = job.governance.envelope.agent, job.governance.loop.budgets
    times = 1 + job.run.grants
    left = max(budgets.tokens_per_run * times - job.run.usage.tokens, 0)
    scaled = limits.model_copy(update={"requests": limits.requests * times})
    return Allowance(
        limits=scaled, tokens=min(limits.tokens * times, left), cost=job.claim.reserved
    )


def meter_of(site: Site, job: Job) -> Meter:
    """The meter of this attempt; what it counts is on disk too, should this process be killed."""
    values = site.secret_values(job.governance)
    path = calls.place(site.folder, job.run.id, job.claim)
    journal = calls.journal(path, lambda line: leaks.redact(line, values))
    meter = Meter(allowance_of(job), journal)
    job.purse.opened(job.claim.nonce, meter)
    return meter


def docs_only(job: Job) -> bool:
    """Whether the task may change documents only, by the rules of council.yaml."""
    header, _, _ = council(job, (), AurType.PLAN)
    return bool(job.run.scope) and header.change_class is ChangeClass.DOCS


def role_of(job: Job, stage: Stage) -> str:
    """The name of the model that a stage is given."""
    roles = job.governance.config.roles
    match stage:
        case Stage.DESIGN:
            return roles.design
        case Stage.PLAN:
            return roles.plan
        case Stage.BUILD:
            return roles.docs if docs_only(job) else roles.build
        case _:
            return roles.review


def family_of_maker(job: Job) -> str | None:
    """The model family of who made the subject of a review; None where no model did."""
    config, stage = job.governance.config, MAKER[job.claim.stage]
    kind = config.agents.adapter(stage)
    if kind is None or not kind.modelled:
        return None
    model = config.models.get(role_of(job, stage))
    return model.family if model else ""


def hearing_of(
    job: Job,
    floor: Review,
    checks: Sequence[CheckResult] = (),
    acceptance: Sequence[Proven] = (),
) -> Hearing:
    """What the council of this job sits about. ``floor`` is the review by rule of the same."""
    return Hearing(
        floor=floor,
        council=job.governance.council,
        has_scope=bool(job.run.scope),
        builder=family_of_maker(job),
        checks=checks,
        acceptance=acceptance,
        waived=tuple(Seat(name) for name in job.run.excused),
    )


def data_nonce(job: Job, about: str) -> str:
    """What marks foreign text in a prompt. Nobody who wrote that text could know it.

    Not the claim's own nonce: that one fences the record, and no agent may see it.
    """
    return sha256(f"{job.claim.nonce}\n{about}")[:32]


def instructions_of(site: Site, tree: str) -> str:
    """The repository's own AGENTS.md at a tree; context for the agent, not orders to lifeos."""
    objects = site.repo.objects
    entry = lookup(objects, tree, INSTRUCTIONS)
    if entry is None or not entry.mode.startswith("100"):
        return ""
    data = objects.read(entry.oid)[1][:INSTRUCTIONS_LIMIT]
    return data.decode("utf-8", "replace")


def progress_of(site: Site, job: Job, meter: Meter) -> Callable[[str], None]:
    """Lines of what the agent does now, with what this attempt and this day have cost so far."""
    limit = job.governance.loop.budgets.cost_per_day

    def say(line: str) -> None:
        usage, day = meter.usage, job.purse.today(site.clock())
        spent = f"{usage.tokens:,} tokens, {cost_of(usage)}"
        about = "about " if day.estimated else ""
        today = f"today {about}{dollars(day.cost)} of {dollars(limit)}"
        site.progress(f"    {line}  ({spent}; {today})")

    return say


def run_modelled(
    site: Site, job: Job, agent: Agent, request: Request, folder: Path
) -> tuple[Reply, dict[str, bytes]]:
    """Let an agent with a model do a stage. Its reply, and what is kept of the attempt."""
    route = route_of(job.governance, site.environ, role_of(job, job.claim.stage))
    meter = meter_of(site, job)
    tree = base_tree(site, job)
    say = progress_of(site, job, meter)
    with opened(route, meter, stage=job.claim.stage.value, clock=site.clock, told=say) as door:
        modelled = Modelled(
            door=door,
            route=route,
            nonce=data_nonce(job, job.claim.stage),
            instructions=instructions_of(site, tree),
            prompts=job.governance.prompts,
            docs=job.claim.stage is Stage.BUILD and docs_only(job),
            progress=say,
        )
        reply = agent.run(replace(request, modelled=modelled), folder)
    return settled(reply, meter), {**reply.files, **kept(agent, route, meter, reply)}


def settled(reply: Reply, meter: Meter) -> Reply:
    """The reply with what the meter counted, which is what holds, and how the provider refused."""
    if meter.stop in REFUSALS and reply.failure is not None:
        reply = replace(
            reply,
            failure=FailureClass.QUOTA,
            wake_after=meter.wake_after or reply.wake_after,
        )
    return replace(reply, usage=meter.usage)


def who_worked(program: Agent | Program, route: Route, reply: Reply | None = None) -> AgentFacts:
    """Which program worked on which model, and what it says of that."""
    reported, ran = (reply.reported, reply.ran) if reply else (Usage(), ())
    return AgentFacts(
        agent=program.name,
        version=version_of(program),
        model=route.name,
        provider=route.provider_name,
        id=route.model.id,
        family=route.model.family,
        said_cost=reported.cost,
        said_tokens=reported.tokens,
        said_requests=reported.requests,
        ran=tuple(
            RanFact(
                command=each.command, status=each.status, seconds=each.seconds, denied=each.denied
            )
            for each in ran[:MOST_RAN]
        ),
    )


def kept(agent: Agent, route: Route, meter: Meter, reply: Reply) -> dict[str, bytes]:
    """The artifacts of every attempt with a model: who worked, each call's receipt, the talk."""
    who = who_worked(agent, route, reply)
    return {"agent.json": who.model_dump_json(indent=1).encode(), **talk(meter)}


def talk(meter: Meter) -> dict[str, bytes]:
    """The receipts of all calls, and the capped transcript if one is kept."""
    transcript = meter.transcript()
    return {
        "receipts.json": RECEIPTS.dump_json(meter.receipts, indent=1),
        **({"transcript.jsonl": transcript} if transcript else {}),
    }
