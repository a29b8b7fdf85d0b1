"""The stories: how many of which kind, in which weeks, about what."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from past.plan import ADA, BOB, HOUR, SEED, SOMEBODY, Dice, Plan, Story
from past.scripts import Told, passage

ERAS = (0, 3, 6)
"""The weeks in which other rules begin to hold: at first supervised, then by exceptions."""

_KINDS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("plain", (16, 11, 13)),
    ("lint", (11, 9, 9)),
    ("docs", (8, 6, 6)),
    ("pay_ok", (4, 3, 2)),
    ("pay_revise", (2, 1, 1)),
    ("pay_reject", (2, 1, 1)),
    ("budget_ok", (4, 3, 4)),
    ("budget_no", (1, 1, 0)),
    ("breach_ok", (2, 1, 1)),
    ("breach_no", (2, 0, 1)),
    ("waived", (2, 2, 1)),
    ("not_waived", (2, 1, 1)),
    ("flake_waived", (1, 1, 1)),
    ("lint_dead", (1, 1, 1)),
    ("review_reject", (1, 1, 1)),
    ("schema_dead", (1, 0, 1)),
    ("stuck", (1, 1, 0)),
    ("land_reject", (4, 0, 0)),
    ("land_revise", (4, 0, 0)),
    ("expired", (2, 1, 0)),
    ("cancelled", (2, 2, 1)),
    ("forced", (1, 2, 1)),
    ("high", (1, 2, 1)),
    ("safety", (1, 0, 1)),
    ("interrupted", (2, 1, 1)),
    ("quota", (1, 1, 1)),
    ("timeout", (1, 1, 1)),
    ("edited", (0, 1, 0)),
    ("foreign_ok", (1, 0, 0)),
    ("foreign_no", (0, 0, 1)),
    ("repair", (0, 2, 2)),
)
_SLOW = {"expired"}
_OPEN = (
    "open_land",
    "open_forced",
    "open_pay",
    "open_waiver",
    "open_budget",
    "open_breach",
    "open_ready",
)
"""How the runs stand that have not ended, but for the last two: held by questions, or ready."""
LAST = ("open_quota", "open_cut")
"""What the last afternoon leaves: one paused, one cut off."""

_NOUNS = (
    "total", "label", "limit", "index", "batch", "draft", "title", "order", "price", "stamp",
    "queue", "entry", "group", "notice", "header", "footer", "record", "weight", "count", "range",
    "share", "route", "token", "folder", "filter", "column", "voucher", "basket", "parcel", "shelf",
)  # fmt: skip
_VERBS = ("trim", "round", "split", "merge", "sort", "clean", "count", "read", "write", "pack")


_MISHAPS = (
    ("design_revise", 0.05),
    ("plan_revise", 0.09),
    ("build_revise", 0.14),
    ("test", 0.10),
    ("flake", 0.09),
    ("schema", 0.10),
)
_UNEVENTFUL = {"plain", "lint", "pay_ok", "high", "interrupted", "forced"}
_RETRIED = {"not_waived", "lint_dead", "review_reject"}


def _marks(dice: Dice, kind: str, label: str) -> frozenset[str]:
    """Small mishaps of a run in which there is room for them."""
    if kind not in _UNEVENTFUL:
        return frozenset()
    return frozenset(name for name, share in _MISHAPS if dice.at(label, name) < share)


_USUAL_AREAS = (
    "cart", "stock", "mail", "cart", "stock", "mail", "export", "search", "login", "report",
)  # fmt: skip
_OPEN_AREAS = {  # no two of them may touch the same files
    "open_land": "cart",
    "open_forced": "search",
    "open_waiver": "stock",
    "open_budget": "login",
    "open_breach": "mail",
    "open_ready": "report",
    "open_quota": "export",
    "open_cut": "admin",
}


def _area(dice: Dice, kind: str, label: str) -> str:
    if kind in _OPEN_AREAS:
        return _OPEN_AREAS[kind]
    if kind in ("docs",):
        return "guide"
    if kind.startswith(("pay", "open_pay")):
        return "pay"
    if kind in ("lint", "lint_dead"):
        return "export"
    return dice.pick(_USUAL_AREAS, label, "area")


_ALWAYS_ASKED = {
    "high", "cancelled", "expired", "carried", "edited", "open_land", "open_ready",
}  # fmt: skip
"""Before these land a person decides, by any rules: their risk is high."""


def _risk(dice: Dice, kind: str, label: str) -> str:
    if kind in (
        "high",
        "cancelled",
        "expired",
        "open_land",
        "carried",
        "edited",
        "open_ready",
    ):  # a landing of it is always asked
        return "high"
    return "medium" if dice.at(label, "risk") < 0.25 else "low"


def _task_id(seed: str, number: int) -> str:
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    value = int(hashlib.sha256(f"{seed} task {number}".encode()).hexdigest(), 16)
    return "LO-" + "".join(letters[(value >> (5 * place)) % 32] for place in range(6))


def _tell(
    dice: Dice, number: int, kind: str, era: int, marks: frozenset[str] | None = None
) -> tuple[Told, str]:
    label = f"story {number}"
    area = _area(dice, kind, label)
    verb, noun = (number // len(_NOUNS) + number) % len(_VERBS), number % len(_NOUNS)
    name = f"{_VERBS[verb]}_{_NOUNS[noun]}"  # no two of 300 alike
    told = Told(
        kind=kind,
        marks=_marks(dice, kind, label) if marks is None else marks,
        area=area,
        name=name,
        supervised=era == 0,
        risk=_risk(dice, kind, label),
    )
    return told, label


def _work(dice: Dice, told: Told, label: str) -> str:
    if told.area == "guide":
        return "doc"
    chance = dice.at(label, "work")
    if chance < 0.12:
        return "todo"
    if chance < 0.20:
        return "rename"
    return "change" if chance < 0.45 else "add"


_TITLE = {
    "add": "Let the {area} {verb} the {noun}",
    "todo": "Begin to {verb} the {noun} in {area}",
    "rename": "Rename a function of {area} to {name}",
    "change": "Raise a limit of {area} for the {noun}",
    "doc": "Explain in the guide how to {verb} the {noun}",
}


def _story(dice: Dice, number: int, kind: str, era: int, week: int, earlier: list[Story]) -> Story:
    told, label = _tell(dice, number, kind, era)
    broken = _broken(dice, earlier, label) if kind == "repair" else None
    if broken:
        told = replace(told, area=broken.area)
    passages = [passage(dice, label, told)]
    if kind in _RETRIED and dice.at(label, "retried") < 0.8:
        after = dice.whole(2 * HOUR, 9 * HOUR, label, "retried after")
        passages[0] = replace(passages[0], retried_after=after)
        again = replace(told, kind="plain", marks=frozenset())
        passages.append(passage(dice, f"{label} again", again))
    reverted = kind == "plain" and told.area != "pay" and dice.at(label, "reverted") < 0.15
    back = dice.whole(3 * HOUR, 30 * HOUR, label, "reverted after")
    work = _work(dice, told, label)
    tags = [told.area, *([kind] if kind in ("safety", "repair") else [])]
    verb, _, noun = told.name.partition("_")
    title = _TITLE[work].format(name=told.name, area=told.area, verb=verb, noun=noun)
    if broken:
        title = f"Fix what {broken.task} broke in {told.area}"
    return Story(
        number=number,
        task=_task_id(dice.seed, number),
        title=title,
        area=told.area,
        name=told.name,
        work="add" if reverted else work,
        kind=kind,
        week=week,
        tags=tuple(tags),
        risk=told.risk,
        by=SOMEBODY if kind.startswith("foreign") else ADA if week % 2 == 0 else BOB,
        passages=tuple(passages),
        marks=tuple(sorted(told.marks)),
        reverted_after=back if reverted else None,
        repairs=broken.task if broken else "",
    )


def _broken(dice: Dice, earlier: list[Story], label: str) -> Story:
    """The story whose landing a repair mends."""
    kept = [s for s in earlier if s.kind in ("plain", "lint") and s.work == "add"]
    kept = [s for s in kept if s.reverted_after is None]
    return kept[dice.whole(0, len(kept) - 1, label, "broken")]


def _kinds(dice: Dice, era: int) -> list[str]:
    kinds = [kind for kind, counts in _KINDS for _ in range(counts[era])]
    # What waits for days comes first, so that nothing else is open when the rules change.
    drawn = [(k not in _SLOW, dice.at("order", era, n), k) for n, k in enumerate(kinds)]
    return [kind for _, _, kind in sorted(drawn)]


def make_plan(seed: str = SEED) -> Plan:
    """The plan of this seed. The same seed gives the same plan on every machine."""
    dice = Dice(seed)
    stories: list[Story] = []
    for era in range(len(ERAS)):
        kinds = _kinds(dice, era) + (["carried"] if era == 0 else [])
        for place, kind in enumerate(kinds):
            week = ERAS[era] + place * 3 // len(kinds)
            stories.append(_story(dice, len(stories) + 1, kind, era, week, stories))
    last = ERAS[-1] + 3
    for kind in (*_OPEN, *LAST):
        week = last + (kind in LAST)
        stories.append(_story(dice, len(stories) + 1, kind, len(ERAS) - 1, week, stories))
    return Plan(seed=seed, stories=tuple(stories))
