"""The pending file of a queue item: what a person reads to decide, on a phone, in a minute."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from lifeos.core.answers import answer_path
from lifeos.core.clean import code_span, for_markdown, inert, one_line
from lifeos.core.records import Held
from lifeos.core.spend import cost_of
from lifeos.core.table import ANSWERS, TAKES_BACK, effects
from lifeos.model import Decision, Usage

_LINES = 40  # of a long text; the rest is a command away
_ROWS = 20
_CELL = 160
_NOTHING = Usage()


@dataclass(frozen=True)
class ReviewLine:
    """What one reviewer said, in a sentence."""

    seat: str
    verdict: str
    summary: str = ""


@dataclass(frozen=True)
class CheckLine:
    """What one check showed."""

    name: str
    status: str
    message: str = ""


@dataclass(frozen=True)
class PendingFacts:
    """What the person needs beside the item itself. All texts are foreign; they are cleaned here.

    ``diffstat`` is git's table, ``base`` and ``ref`` what `git diff` is asked for. ``details`` are
    texts shown verbatim, each under a heading: commands to allow, the text of a changed task, the
    last error (which lists the breaches, if it was one).
    """

    task: str = ""
    title: str = ""
    diffstat: str = ""
    base: str = ""
    ref: str = ""
    reviews: tuple[ReviewLine, ...] = ()
    checks: tuple[CheckLine, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    attempts: int = 0
    usage: Usage = _NOTHING
    risk: str = ""
    files: int = 0
    lines: int = 0
    by_pull: bool = False  # answered by a pull request alone
    again: bool = False  # an approval allows one more attempt, not the work as it is
    of_before: bool = False  # what asks is no rule of the set that the run is under now


def pending_text(held: Held, facts: PendingFacts) -> bytes:
    """The Markdown file, with its YAML front matter."""
    about = f": {_prose(facts.title, 120)}" if facts.title else ""
    parts = [
        _front_matter(held, facts),
        f"# {held.item}{about}",
        _asked(held, of_before=facts.of_before),
        _at_a_glance(facts),
        _answers(held, again=facts.again),
        *(_section(_prose(title), for_markdown(_cut(text))) for title, text in facts.details),
        _change(facts),
        _reviews(facts.reviews),
        _checks(facts.checks),
        _cost(facts),
        _by_pull(held) if facts.by_pull else _how(held),
    ]
    return ("\n\n".join(part for part in parts if part) + "\n").encode()


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _front_matter(held: Held, facts: PendingFacts) -> str:
    values = {
        "item": held.item,
        "kind": held.item_kind.value,
        "state": "CEO_REVIEW",
        "task": one_line(facts.task) or None,
        "run": held.run,
        "stage": held.stage.value if held.stage else None,
        "subject": held.subject,
        "opened": _time(held.at),
        "expires": _time(held.expires_at) if held.expires_at is not None else None,
    }
    # As JSON: whatever is in there is text, and stays on its line.
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(["---", *lines, "---"])


def _asked(held: Held, *, of_before: bool) -> str:
    question = _prose(held.question, 300)
    since = ""
    if of_before:
        since = " It is of the rules before: what they had asked is asked anew under those of now."
    return f"**{question}**\n\nAsked by the rule {code_span(held.rule)}.{since}"


def _at_a_glance(facts: PendingFacts) -> str:
    """Risk, size, checks, verdict and cost in one line: the rest is below."""
    parts = [f"risk {facts.risk}"] if facts.risk else []
    if facts.files:
        noun = "file" if facts.files == 1 else "files"
        lines = "1 line" if facts.lines == 1 else f"{facts.lines} lines"
        parts.append(f"{facts.files} {noun}, {lines} changed")
    if facts.checks:
        good = sum(line.status == "passed" for line in facts.checks)
        parts.append(f"checks {good} of {len(facts.checks)} passed")
    verdicts = [line for line in facts.reviews if line.verdict != "finding"]
    parts += [f"review: {line.verdict}" for line in verdicts[:1]]
    if facts.usage.cost:
        parts.append(cost_of(facts.usage))
    return _prose("; ".join(parts), 300)


def _answers(held: Held, *, again: bool) -> str:
    what_each_does = effects(held.item_kind, held.stage, held.rule, again=again)
    lines = [f"- **{name}**: {what}" for name, what in what_each_does.items()]
    return "\n".join(lines)


def _change(facts: PendingFacts) -> str:
    parts = []
    if facts.diffstat.strip():
        parts.append(for_markdown(_cut(facts.diffstat)))
    if facts.base and facts.ref:
        command = f"git diff {one_line(facts.base)} {one_line(facts.ref)}"
        parts.append(f"See it all: {code_span(command, 300)}")
    return _section("The change", "\n\n".join(parts))


def _reviews(reviews: tuple[ReviewLine, ...]) -> str:
    return _section(
        "What reviewers said",
        _listed(
            f"{_prose(line.seat)}: **{_prose(line.verdict)}** {_prose(line.summary, 300)}".rstrip()
            for line in reviews
        ),
    )


def _checks(checks: tuple[CheckLine, ...]) -> str:
    return _section(
        "What checks showed",
        _listed(
            f"{code_span(line.name)}: **{_prose(line.status)}** {_prose(line.message)}".rstrip()
            for line in checks
        ),
    )


def _cost(facts: PendingFacts) -> str:
    usage = facts.usage
    if not facts.attempts:
        return ""
    noun = "attempt" if facts.attempts == 1 else "attempts"
    text = f"{facts.attempts} {noun}, {usage.seconds:.0f} s"
    if usage.tokens or usage.cost:
        text += f", {usage.tokens} tokens, {cost_of(usage)}"
    return _section("What it cost so far", text)


def _by_pull(held: Held) -> str:
    lines = ["- **approve**: merge its pull request"]
    if Decision.REVISE in ANSWERS[held.item_kind] and held.rule not in TAKES_BACK:
        lines.append("- **revise**: request changes there, and say what")
    lines.append("- **reject**: close it")
    lines.append("\n`lifeos queue` shows its address.")
    return _section("How to answer", "\n".join(lines))


def _how(held: Held) -> str:
    others = [name for name in ANSWERS[held.item_kind] if name is not Decision.APPROVE]
    commands = [f"lifeos approve {held.item}"]
    commands += [f"lifeos {name} {held.item} -m 'WHY'" for name in others]
    content = f'item: {held.item}\ndecision: approve\nsubject: "{held.subject}"'
    lines = [
        "```sh",
        *commands,
        "```",
        "",
        f"Or by hand: commit {code_span(answer_path(held.item))} to main, with this in it"
        f" (for {' and '.join(others)} with a line `comment: ...` too):",
        "",
        "```yaml",
        content,
        "```",
    ]
    return _section("How to answer", "\n".join(lines))


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _listed(lines: Iterable[str]) -> str:
    found = list(lines)
    shown = [f"- {line}" for line in found[:_ROWS]]
    if len(found) > _ROWS:
        shown.append(f"- and {len(found) - _ROWS} more")
    return "\n".join(shown)


def _cut(text: str) -> str:
    lines = text.rstrip().split("\n")
    if len(lines) <= _LINES:
        return "\n".join(lines)
    # The end says how it came out, in a diffstat and in most programs' output.
    left_out = len(lines) - _LINES
    return "\n".join([*lines[: _LINES - 5], f"... {left_out} lines left out ...", *lines[-5:]])


def _prose(text: str, limit: int = _CELL) -> str:
    """Foreign text in the middle of a sentence: one line in which Markdown means nothing."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>&#|~!$" else c for c in one_line(inert(text), limit))
