"""A back-test in words: for a pending file, a proposal and the terminal. Nothing in it is foreign.

Worst first, then what is saved and added, then what cannot be known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from lifeos.core.backtest.model import BackTest, Balance, Count, Departure, Difference, Severity
from lifeos.core.spend import dollars
from lifeos.core.when import day

NAMED = 4
"""Tasks that a line names; the rest are counted."""
FEW = 8
"""Departures that a pending file has a line for; the gravest are never left out."""

_SAID: Mapping[Departure, tuple[str, str]] = {
    Departure.LANDED_ALTHOUGH_REJECTED: (
        "task that you rejected would have landed by itself",
        "tasks that you rejected would have landed by themselves",
    ),
    Departure.LANDED_ALTHOUGH_REVISED: (
        "piece of work that you sent back would have landed as it was",
        "pieces of work that you sent back would have landed as they were",
    ),
    Departure.WENT_ON_ALTHOUGH_REJECTED: (
        "question that you answered with no would not have been asked",
        "questions that you answered with no would not have been asked",
    ),
    Departure.WENT_ON_ALTHOUGH_REVISED: (
        "question that you answered with revise would not have been asked",
        "questions that you answered with revise would not have been asked",
    ),
    Departure.ENDED_ALTHOUGH_LANDED: (
        "run that landed would have been ended on the way",
        "runs that landed would have been ended on the way",
    ),
    Departure.ANSWER_NOT_COUNTED: (
        "answer would not have counted",
        "answers would not have counted",
    ),
    Departure.ANSWER_TOO_LATE: (
        "answer would have come too late",
        "answers would have come too late",
    ),
    Departure.BREACH: ("change would have been a breach", "changes would have been breaches"),
    Departure.BUDGET_MET: (
        "time a budget would have been used up",
        "times a budget would have been used up",
    ),
    Departure.LIMIT_MET: (
        "attempt would have met its limit",
        "attempts would have met their limit",
    ),
    Departure.TERMINATED: ("run would have been ended", "runs would have been ended"),
    Departure.ASKED: ("question more", "questions more"),
    Departure.ESCALATED: (
        "failure would have been escalated",
        "failures would have been escalated",
    ),
    Departure.WAIVER_ASKED: (
        "failure would have come up to be waived",
        "failures would have come up to be waived",
    ),
    Departure.PAUSED: ("run would have paused", "runs would have paused"),
    Departure.RETRIED: (
        "failure would have been tried again by itself",
        "failures would have been tried again by themselves",
    ),
    Departure.REWORKED: (
        "rework would have begun elsewhere",
        "reworks would have begun elsewhere",
    ),
    Departure.TASK_CHANGE: (
        "edited task would have been handled otherwise",
        "edited tasks would have been handled otherwise",
    ),
    Departure.COUNCIL_SMALLER: (
        "review would have had a smaller council",
        "reviews would have had a smaller council",
    ),
    Departure.COUNCIL_LARGER: (
        "review would have had a larger council",
        "reviews would have had a larger council",
    ),
    Departure.WAITED_LONGER: ("pause would have been longer", "pauses would have been longer"),
    Departure.WAITED_LESS: ("pause would have been shorter", "pauses would have been shorter"),
    Departure.OTHER_RULE: (
        "question would have been asked by another rule",
        "questions would have been asked by another rule",
    ),
    Departure.ASKED_AND_REVERTED: (
        "question more about work that landed and was taken back",
        "questions more about work that landed and was taken back",
    ),
    Departure.BREACH_LET_THROUGH: (
        "breach that you accepted would have been none",
        "breaches that you accepted would have been none",
    ),
    Departure.BUDGET_NOT_MET: (
        "budget that you granted would not have been used up",
        "budgets that you granted would not have been used up",
    ),
    Departure.NOT_ASKED_UNANSWERED: (
        "question that nobody answered would not have been asked",
        "questions that nobody answered would not have been asked",
    ),
    Departure.NOT_ASKED: (
        "question that you answered with yes would not have been asked",
        "questions that you answered with yes would not have been asked",
    ),
}


def summary_lines(found: BackTest) -> tuple[str, ...]:
    """The back-test in a few lines for a pending file, worst first; plain text, nothing foreign."""
    grave = [one for one in found.counts if one.severity is Severity.GRAVE]
    counts = found.counts[: max(FEW, len(grave))]
    more = found.counts[len(counts) :]
    rest = sum(one.count for one in more)
    return (
        looked_at(found),
        *(count_line(found, one) for one in counts),
        *([f"{rest} more of {len(more)} other kinds"] if rest else []),
        *balance_lines(found.balance),
        *unknown_lines(found),
    )


def looked_at(found: BackTest) -> str:
    """What was looked at, and how much of it would have gone the same way."""
    if not found.runs:
        return "No run was looked at: the record says nothing about these rules."
    looked = (
        f"{_number(found.runs, 'run')} ({_number(found.attempts, 'attempt')},"
        f" {_number(found.questions, 'question')})"
    )
    days = f"from {day(found.since)} to {day(found.until)}" if found.since else ""
    until = days or f"up to {day(found.until)}"
    known = not unknown_lines(found)
    if found.same < found.runs or found.differences:
        same = f"{found.same} would have gone the same way"
    else:
        same = "all would have gone the same way" if known else "none would have gone another way"
    return f"{looked} {until}: {'' if known else 'in what is known, '}{same}."


def count_line(found: BackTest, one: Count) -> str:
    """One departure: how often, of which tasks, and what came of them."""
    tasks = named_tasks(one)
    return f"{one.count} {count_words(found, one)}{f': {tasks}' if tasks else ''}"


def count_words(found: BackTest, one: Count) -> str:
    """What would have been, without how often."""
    of = [each for each in found.differences if each.departure is one.departure]
    about = [*_guarded(one, of), *_fates(one, of), *_conditional(of)]
    return _SAID[one.departure][one.count != 1] + (f" ({'; '.join(about)})" if about else "")


def named_tasks(one: Count) -> str:
    """Some of the tasks."""
    more = f" and {len(one.tasks) - NAMED} more" if len(one.tasks) > NAMED else ""
    return f"{', '.join(one.tasks[:NAMED])}{more}"


def rule_words(found: BackTest, one: Count) -> str:
    """By which rules: as it was, and instead; the most frequent of them."""
    pairs = Counter(
        (each.old, each.new) for each in found.differences if each.departure is one.departure
    )
    shown = pairs.most_common(NAMED - 1)
    texts = [f"{old or 'nothing'} -> {new or 'nothing'}" for (old, new), _ in shown]
    return "; ".join([*texts, *(["..."] if len(pairs) > len(shown) else [])])


def _guarded(one: Count, of: Iterable[Difference]) -> Iterator[str]:
    guarded = sum(1 for each in of if each.guarded)
    if one.severity is Severity.GRAVE and guarded:
        which = "all" if guarded == one.count else str(guarded)
        yield f"{which} of them still to be asked before landing"


def _fates(one: Count, of: Iterable[Difference]) -> Iterator[str]:
    """What really came of them, where that is not in the departure's name."""
    if one.severity is Severity.GAIN or one.departure is Departure.ENDED_ALTHOUGH_LANDED:
        return
    fates = Counter(each.fate for each in of if each.fate is not None)
    if one.severity is not Severity.GRAVE and fates:
        yield "as it was: " + ", ".join(f"{count} {fate}" for fate, count in fates.items())


def _conditional(of: Iterable[Difference]) -> Iterator[str]:
    depends = sum(1 for each in of if each.conditional)
    if depends:
        yield f"{depends} if you say yes before"


def balance_lines(balance: Balance) -> tuple[str, ...]:
    """What is saved and what is added; an estimate is called one."""
    saved = [
        *_some(balance.questions_less, "question"),
        *([f"{hours(balance.waiting_less)} of waiting for you"] if balance.waiting_less else []),
        *_some(balance.attempts_less, "attempt"),
        *([_recorded(balance)] if balance.cost_less else []),
        *([f"{hours(-balance.pause_more)} of pauses"] if balance.pause_more < 0 else []),
    ]
    added = [
        *([_questions_more(balance)] if balance.questions_more else []),
        *([_attempts_more(balance)] if balance.attempts_more else []),
        *([f"{hours(balance.pause_more)} of pauses"] if balance.pause_more > 0 else []),
    ]
    lines = [("Saved", saved), ("Added", added)]
    return tuple(f"{name}: {', '.join(parts)}" for name, parts in lines if parts)


def _recorded(balance: Balance) -> str:
    about = "about " if balance.cost_estimated else ""
    return f"{about}{dollars(balance.cost_less)}"


def _questions_more(balance: Balance) -> str:
    text = _number(balance.questions_more, "question")
    if balance.waiting_more_estimate is None:
        return f"{text} (how long they would have waited is not known)"
    wait = hours(balance.waiting_more_estimate)
    return f"{text} (an estimate: {wait} of waiting, at the median of your answers)"


def _attempts_more(balance: Balance) -> str:
    text = _number(balance.attempts_more, "attempt")
    if balance.cost_more_estimate is None:
        return f"{text} (their cost is not known)"
    cost = dollars(balance.cost_more_estimate)
    return f"{text} (their cost is not known; an estimate: {cost}, at the mean of their stages)"


def unknown_lines(found: BackTest) -> tuple[str, ...]:
    """What cannot be known from the record: of runs, and of settings that differ."""
    settings: dict[str, list[str]] = {}
    for one in found.changed:
        if one.unknown:
            settings.setdefault(one.unknown, []).append(one.key)
    return (
        *(f"Not known: {one.what} ({_number(len(one.runs), 'run')})" for one in found.unknown),
        *(f"Not known: {what} ({', '.join(keys)})" for what, keys in settings.items()),
    )


def hours(seconds: int) -> str:
    """A length of time as people compare it: in minutes, hours, or days."""
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h" if seconds < 100 * 86_400 else f"{seconds / 86_400:,.0f} days"


def _some(count: int, noun: str) -> list[str]:
    return [_number(count, noun)] if count else []


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
