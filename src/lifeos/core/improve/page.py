"""What the pending file of a proposal tells the CEO, beside the question and its answers."""

from __future__ import annotations

from lifeos.core.clean import one_line
from lifeos.core.improve.proposal import Proposal, Worded
from lifeos.core.improve.trial import Measure
from lifeos.core.spend import cost_of


def number(measure: Measure, value: float) -> str:
    """A metric's value with its unit: its name says what it is of."""
    match measure:
        case Measure.REVIEW_COST:
            return f"${value:.4g}"
        case Measure.REVIEW_TOKENS:
            return f"{value:.0f} tokens"
        case Measure.REVIEW_SECONDS:
            return f"{value:.3g} s"
        case Measure.QUESTIONS:
            return f"{value:.3g}"
        case _:
            return f"{value * 100:.3g} %"


def metric_text(proposal: Proposal) -> str:
    """The declared metric in sentences: what, from where to where, how long, and what is enough."""
    metric = proposal.metric
    about = "".join(f", {key} {value}" for key, value in metric.about.items())
    name = metric.measure.value.replace("_", " ")
    side = "at least" if metric.measure.more_is_better else "at most"
    return "\n".join(
        [
            f"{name}{about}",
            f"now: {number(metric.measure, metric.current)}",
            f"projected: {number(metric.measure, metric.projected)}",
            f"it holds if it is {side} {number(metric.measure, metric.limit)}",
            f"measured over: {metric.window}, begun after it landed",
        ]
    )


def words(worded: Worded) -> str:
    """What an agent said, and who it was; all of it is foreign text."""
    who = " ".join(filter(None, (worded.agent, worded.version)))
    which = f"{worded.model} ({worded.provider} {worded.id})"
    said = "\n".join(one_line(line, 1500) for line in worded.why.split("\n"))
    title = one_line(worded.title, 300)
    return f"{title}\n\n{said}\n\nSaid by {one_line(who, 100)} on {one_line(which, 200)}."


def details(proposal: Proposal, item: str) -> list[tuple[str, str]]:
    """The parts of the page as (heading, text); the texts are shown verbatim."""
    parts = []
    if proposal.weakens:
        parts.append(("What is asked, checked or limited less", _list(proposal.weakens)))
    if proposal.comment:
        parts.append(("What you asked for", proposal.comment))
    if proposal.worded is not None:
        parts.append(("In an agent's words, which prove nothing", words(proposal.worded)))
    drafted = proposal.worded is not None and proposal.worded.drafted
    if proposal.worded is not None and drafted:
        added = "\n".join(one_line(line, 500) for line in proposal.worded.added)
        parts.append(("What that agent adds to the prompt, and nothing else", added))
    parts += [
        ("The evidence, as computed", "\n".join((*proposal.evidence, *_rests(proposal)))),
        ("The change, drafted by that agent" if drafted else "The change", proposal.diff),
        ("All of the change", f"git show lifeos/ledger:proposals/{item}/change.diff"),
        ("By what it is judged", metric_text(proposal)),
    ]
    if proposal.backtest:
        parts.append(("What it would have made of the past", "\n".join(proposal.backtest)))
    parts += [("Risk", proposal.risk), ("What takes it back", proposal.reverts)]
    if proposal.spent is not None:
        spent = f"{proposal.spent.tokens} tokens, {cost_of(proposal.spent)}"
        parts.append(("What it cost to ask an agent about it", spent))
    return parts


def _rests(proposal: Proposal) -> list[str]:
    shown = ", ".join(commit[:12] for commit in proposal.rests_on[:5])
    more = len(proposal.rests_on) - 5
    return [f"Transitions it rests on: {shown}{f' and {more} more' if more > 0 else ''}"]


def _list(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {line}" for line in lines)
