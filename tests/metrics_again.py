"""The numbers once more, by somebody else: from what git prints and json reads, without lifeos.

Nothing here is imported from lifeos, and nothing is shared with it but the page that defines the
numbers (docs/reference/metrics.md). It is written to be read beside that page, not to be fast.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LINE = re.compile(r"^lifeos-record: (\{.*\})$", re.MULTILINE)
REVIEWS = ("design_review", "plan_review", "build_review")
OF_BUILT_WORK = ("build", "build_review", "packet", "close")
REPAIR = re.compile(
    r"(?i)\b(fix|fixes|fixed|bug|bugfix|hotfix|repair|repairs|revert|reverts|regression|regressions)\b"
)
Records = list[dict[str, Any]]


@dataclass
class Number:
    """One number as it was computed here. ``runs`` are those that the numerator counts."""

    numerator: float
    denominator: int
    median: float | None = None
    runs: set[str] = field(default_factory=set)
    parts: dict[str, tuple[float, int]] = field(default_factory=dict)
    links: set[tuple[str, str, str]] = field(default_factory=set)

    @property
    def value(self) -> float | None:
        return self.numerator / self.denominator if self.denominator else None


def records_of(folder: Path, tip: str = "refs/heads/lifeos/ledger") -> Records:
    """The records of a ledger, oldest first; facts that did not fit are read from their file."""

    def git(*args: str) -> str:
        command = ["git", "-C", str(folder), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    found = []
    for block in git("log", "--reverse", "--format=%x00%H%n%B", tip).split("\0")[1:]:
        commit, _, message = block.partition("\n")
        record = json.loads(LINE.findall(message)[-1])
        if record.get("facts_digest"):
            path = f"{commit}:runs/{record['run']}/{record['n']}/facts.json"
            record["facts"] = json.loads(git("show", path))
        found.append(record)
    return found


class Story:
    """What happened, by run and by question."""

    def __init__(self, records: Records) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.questions: dict[str, dict[str, Any]] = {}
        for record in records:
            self._tell(record)

    def _tell(self, record: dict[str, Any]) -> None:
        kind, run = record["kind"], self.runs.get(record.get("run") or "")
        if kind == "opened":
            self.runs[record["run"]] = {
                **record,
                "attempts": [],
                "closed": None,
                "reverted": None,
            }
        elif kind == "finished" and run is not None:
            run["attempts"].append(record)
        elif kind == "closed" and run is not None:
            run["closed"] = record
        elif kind == "held":
            self.questions[record["item"]] = {**record, "answer": None}
        elif kind == "resolved":
            self.questions[record["item"]]["answer"] = record
        elif kind == "noted" and record["topic"] == "reverted" and run is not None:
            run["reverted"] = record.get("commit", "")

    def closed(self, since: int, until: int) -> list[dict[str, Any]]:
        return [
            run
            for run in self.runs.values()
            if run["closed"] and since <= run["closed"]["at"] < until
        ]

    def asked(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        return [one for one in self.questions.values() if one.get("run") == run["run"]]


def by_person(question: dict[str, Any]) -> bool:
    return question["answer"] is not None and question["answer"]["who"] != "expiry"


def passed(run: dict[str, Any]) -> bool:
    return bool(run["closed"]) and run["closed"]["outcome"] == "pass"


def numbers(records: Records, since: int, until: int) -> dict[str, Number]:
    """Every number of [since, until)."""
    story = Story(records)
    runs = story.closed(since, until)
    return {
        "without_ceo": _without_ceo(story, runs),
        "escalations": _escalations(story, runs),
        "time_to_close": _time_to_close(runs),
        "review_rejections": _rejections(runs),
        "flakes": _flakes(runs),
        "waivers": _waivers(story, runs),
        "cost_per_landed": _per_landed(runs, "cost"),
        "tokens_per_landed": _per_landed(runs, "tokens"),
        "attempts_per_task": _attempts(runs),
        "bypasses": _bypasses(runs),
        "budget_overruns": _overruns(story, runs),
        **_answers(story, since, until),
        "false_greens": _false_greens(story, runs),
    }


# --- of runs ------------------------------------------------------------------------------------


def _share(runs: list[dict[str, Any]], counts: Callable[[dict[str, Any]], object]) -> Number:
    counted = {run["run"] for run in runs if counts(run)}
    return Number(len(counted), len(runs), runs=counted)


def _split(
    number: Number, runs: list[dict[str, Any]], of: Callable[[dict[str, Any]], Iterable[str]]
) -> Number:
    """By what each run has of it, each counted once a run, of all runs."""
    for name in {name for run in runs for name in of(run)}:
        number.parts[name] = (sum(name in of(run) for run in runs), len(runs))
    return number


def _without_ceo(story: Story, runs: list[dict[str, Any]]) -> Number:
    def alone(run: dict[str, Any]) -> bool:
        return passed(run) and not any(by_person(one) for one in story.asked(run))

    return _share(runs, alone)


def _escalations(story: Story, runs: list[dict[str, Any]]) -> Number:
    def kinds(run: dict[str, Any]) -> set[str]:
        return {one["item_kind"] for one in story.asked(run)} - {"stage_review"}

    return _split(_share(runs, kinds), runs, kinds)


def _time_to_close(runs: list[dict[str, Any]]) -> Number:
    took = {run["run"]: run["closed"]["at"] - run["at"] for run in runs}
    middle = statistics.median(took.values()) if took else None
    number = Number(sum(took.values()), len(took), middle, set(took))
    for end in {run["closed"]["outcome"] for run in runs}:
        of = [took[run["run"]] for run in runs if run["closed"]["outcome"] == end]
        number.parts[end] = (sum(of), len(of))
    return number


def _per_landed(runs: list[dict[str, Any]], what: str) -> Number:
    spent = {
        run["run"]: sum(one["facts"].get("usage", {}).get(what, 0) for one in run["attempts"])
        for run in runs
    }
    tasks = {run["task"] for run in runs if passed(run)}
    return Number(sum(spent.values()), len(tasks), runs={name for name in spent if spent[name]})


def _attempts(runs: list[dict[str, Any]]) -> Number:
    tasks = len({run["task"] for run in runs})
    every = [one for run in runs for one in run["attempts"]]
    number = Number(len(every), tasks, runs={one["run"] for one in every})
    for stage in {one["stage"] for one in every}:
        number.parts[stage] = (sum(one["stage"] == stage for one in every), tasks)
    return number


def _overruns(story: Story, runs: list[dict[str, Any]]) -> Number:
    def budgets(run: dict[str, Any]) -> set[str]:
        rules = [one["rule"] for one in run["attempts"]]
        rules += [one["rule"] for one in story.asked(run) if one["item_kind"] == "budget"]
        found = {rule[len("budget:") :] for rule in rules if rule.startswith("budget:")}
        if any(one["facts"]["outcome"] == "budget_exceeded" for one in run["attempts"]):
            found.add("budget_exceeded")
        return found

    return _split(_share(runs, budgets), runs, budgets)


# --- of attempts --------------------------------------------------------------------------------


def _rejections(runs: list[dict[str, Any]]) -> Number:
    verdicts = [
        one
        for run in runs
        for one in run["attempts"]
        if one["stage"] in REVIEWS and one["facts"]["outcome"] in ("accept", "revise", "reject")
    ]
    against = [one for one in verdicts if one["facts"]["outcome"] != "accept"]
    number = Number(len(against), len(verdicts), runs={one["run"] for one in against})
    for stage in {one["stage"] for one in verdicts}:
        of = [one for one in verdicts if one["stage"] == stage]
        number.parts[stage] = (sum(one in against for one in of), len(of))
    return number


def _flakes(runs: list[dict[str, Any]]) -> Number:
    def flaky(one: dict[str, Any]) -> set[str]:
        checks = one["facts"].get("checks", [])
        return {check["name"] for check in checks if check.get("failure") == "test_flake"}

    every = [one for run in runs for one in run["attempts"]]
    flaked = [one for one in every if flaky(one) or one["facts"]["outcome"] == "test_flake"]
    checked = [one for one in every if one["facts"].get("checks") or one in flaked]
    number = Number(len(flaked), len(checked), runs={one["run"] for one in flaked})
    for name in {check["name"] for one in every for check in one["facts"].get("checks", [])}:
        ran = [
            one
            for one in every
            if name in {check["name"] for check in one["facts"].get("checks", [])}
        ]
        number.parts[name] = (sum(name in flaky(one) for one in ran), len(ran))
    return number


def _bypasses(runs: list[dict[str, Any]]) -> Number:
    reworks = [
        one
        for run in runs
        for one in run["attempts"]
        if one["action"] == "rework" and one["stage"] in OF_BUILT_WORK
    ]
    straight = [one for one in reworks if one["rule"] == "bypass"]
    return Number(len(straight), len(reworks), runs={one["run"] for one in straight})


# --- of questions -------------------------------------------------------------------------------


def _waivers(story: Story, runs: list[dict[str, Any]]) -> Number:
    granted = [
        one
        for run in runs
        for one in story.asked(run)
        if one["item_kind"] == "waiver"
        and by_person(one)
        and one["answer"]["decision"] == "approve"
    ]
    number = Number(len(granted), len(runs), runs={one["run"] for one in granted})
    for one in granted:
        name = one["rule"].split(":")[-1]
        before, _ = number.parts.get(name, (0, 0))
        number.parts[name] = (before + 1, len(runs))
    return number


def _answers(story: Story, since: int, until: int) -> dict[str, Number]:
    answered = [
        one
        for one in story.questions.values()
        if by_person(one) and since <= one["answer"]["at"] < until
    ]
    waits = [one["answer"]["at"] - one["at"] for one in answered]
    runs = {one["run"] for one in answered if one.get("run")}
    latency = Number(sum(waits), len(waits), statistics.median(waits) if waits else None, runs)
    for kind in {one["item_kind"] for one in answered}:
        of = [one["answer"]["at"] - one["at"] for one in answered if one["item_kind"] == kind]
        latency.parts[kind] = (sum(of), len(of))
    fast = [one for one in answered if one["answer"]["at"] - one["at"] < 10]
    hasty = Number(len(fast), len(answered), runs={one["run"] for one in fast if one.get("run")})
    return {"approval_latency": latency, "hasty_approvals": hasty}


def _false_greens(story: Story, runs: list[dict[str, Any]]) -> Number:
    landed = [run for run in runs if passed(run)]
    links = set()
    for run in landed:
        if run["reverted"] is not None:
            links.add((run["run"], "reverted", run["reverted"]))
        for later in story.runs.values():
            after = later["at"] >= run["closed"]["at"] and later["run"] != run["run"]
            if after and passed(later) and _mends(later, run):
                links.add((run["run"], "repaired", later["run"]))
    number = Number(len({run for run, _, _ in links}), len(landed), links=links)
    number.runs = {run for run, _, _ in links}
    for how in ("reverted", "repaired") if landed else ():
        number.parts[how] = (len({run for run, way, _ in links if way == how}), len(landed))
    return number


def _mends(later: dict[str, Any], run: dict[str, Any]) -> bool:
    if later["task"] == run["task"]:
        return True
    title, tags = later["title"], later.get("tags", [])
    says = REPAIR.search(title) or any(REPAIR.fullmatch(tag) for tag in tags)
    named = any(
        re.search(rf"(?<![A-Za-z0-9-]){re.escape(name)}(?![A-Za-z0-9-])", title)
        for name in (run["task"], run["run"])
    )
    return bool(says and named)
