"""Each rule that chooses how many review: changing only that input changes the mode."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.council import AurType, Header, measure, raised, seats, select_mode
from lifeos.core.policy import (
    BlastRadius,
    ChangeClass,
    ClassifyRule,
    Council,
    Modes,
    Reversibility,
    Seat,
    Touch,
    Uncertainty,
)
from lifeos.model import Change, Mode, Risk

COUNCIL = Council(version=1)
TRIVIAL = Header(change_class=ChangeClass.DOCS, uncertainty=Uncertainty.LOW)
USUAL = Header()


def change(path: str, *, lines: int = 1, old: str = "") -> Change:
    return Change(
        status="R" if old else "M",
        path=path,
        old_path=old,
        old_mode="100644",
        new_mode="100644",
        old_id="1" * 40,
        new_id="2" * 40,
        added=lines,
    )


def of(
    *paths: str,
    tags: tuple[str, ...] = (),
    risk: Risk = Risk.LOW,
    council: Council = COUNCIL,
) -> Header:
    """The measured header of a change of one line in each path."""
    return measure([change(path) for path in paths], tags, risk, (), council)


def planned(*scope: str, council: Council = COUNCIL) -> Header:
    """The header before there is a change."""
    return measure([], (), Risk.LOW, scope, council, aur_type=AurType.PLAN)


def mode(header: Header, *, has_scope: bool = True) -> Mode:
    return select_mode(header, has_scope=has_scope)[0]


def rules(*found: ClassifyRule, **more: int) -> Council:
    return Council.model_validate({"version": 1, "classify": found, **more})


DOCS = COUNCIL.classify[0]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"touches": (Touch.GOVERNANCE,)}, "touches governance"),
        ({"touches": (Touch.TIER_ACTIVATION,)}, "touches tier_activation"),
        ({"touches": (Touch.RUNTIME_CORE,)}, "touches runtime_core"),
        ({"safety_critical": True}, "safety critical"),
    ],
)
def test_one_grave_thing_calls_the_full_council(what: dict[str, object], said: str) -> None:
    """Even where everything else is trivial, and whether or not there is a scope."""
    header = TRIVIAL.model_copy(update=what)
    assert mode(TRIVIAL) is Mode.M0
    for has_scope in (True, False):
        chosen, reason = select_mode(header, has_scope=has_scope)
        assert chosen is Mode.M2
        assert said in reason


def test_system_wide_and_hard_to_reverse_calls_the_full_council() -> None:
    """Both together; each alone does not."""
    wide = USUAL.model_copy(update={"blast_radius": BlastRadius.SYSTEM})
    hard = USUAL.model_copy(update={"reversibility": Reversibility.HARD})
    both = wide.model_copy(update={"reversibility": Reversibility.HARD})
    assert [mode(header) for header in (wide, hard, both)] == [Mode.M1, Mode.M1, Mode.M2]


def test_uncertain_and_not_local_calls_the_full_council() -> None:
    """Both together; each alone does not."""
    unsure = USUAL.model_copy(update={"uncertainty": Uncertainty.HIGH})
    wider = USUAL.model_copy(update={"blast_radius": BlastRadius.MODULE})
    both = wider.model_copy(update={"uncertainty": Uncertainty.HIGH})
    assert [mode(header) for header in (unsure, wider, both)] == [Mode.M1, Mode.M1, Mode.M2]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"change_class": ChangeClass.CONFIG}, "changes config"),
        ({"change_class": ChangeClass.CODE}, "changes code"),
        ({"blast_radius": BlastRadius.MODULE}, "blast radius is module"),
        ({"reversibility": Reversibility.MODERATE}, "reversibility is moderate"),
        ({"uncertainty": Uncertainty.MEDIUM}, "uncertainty is medium"),
        ({"uncertainty": Uncertainty.HIGH}, "uncertainty is high"),
    ],
)
def test_one_reviewer_only_for_what_is_trivial_in_every_way(
    what: dict[str, object], said: str
) -> None:
    """Each of the four conditions, alone, brings the usual council back."""
    chosen, reason = select_mode(TRIVIAL.model_copy(update=what), has_scope=True)
    assert chosen is Mode.M1
    assert said in reason


def test_a_plan_may_have_one_reviewer_too() -> None:
    """Docs or plan."""
    assert mode(TRIVIAL.model_copy(update={"change_class": ChangeClass.PLAN})) is Mode.M0


def test_a_task_without_scope_gets_the_usual_council() -> None:
    """Nobody said what it would touch."""
    assert select_mode(TRIVIAL, has_scope=False) == (Mode.M1, "the task has no scope")


HEADERS = [
    Header(
        change_class=kind,
        touches=touches,
        blast_radius=blast,
        reversibility=back,
        safety_critical=safety,
        uncertainty=unsure,
    )
    for kind, touches, blast, back, safety, unsure in product(
        ChangeClass,
        ((), (Touch.GOVERNANCE,)),
        BlastRadius,
        Reversibility,
        (False, True),
        Uncertainty,
    )
]


def test_a_graver_header_never_has_fewer_reviewers() -> None:
    """Over all headers: raising one by another never lowers the mode below either."""
    for first in HEADERS[::7]:
        for second in HEADERS[::5]:
            both = mode(raised(first, second))
            assert both >= max(mode(first), mode(second))


@given(st.sampled_from(HEADERS), st.sampled_from(HEADERS))
def test_a_claim_can_only_raise(header: Header, claim: Header) -> None:
    """An agent that calls its change harmless changes nothing."""
    both = raised(header, claim)
    assert both == raised(raised(both, header), claim)
    assert set(header.touches) <= set(both.touches)
    assert both.safety_critical >= header.safety_critical
    for name in ("change_class", "blast_radius", "reversibility", "uncertainty"):
        assert getattr(both, name).rank >= getattr(header, name).rank
    assert raised(header, TRIVIAL) == header


# What is measured.


def test_paths_decide_the_class() -> None:
    """Documents alone have one reviewer; one other path beside them, and it is code."""
    assert mode(of("docs/a.md", "README.md")) is Mode.M0
    assert of("docs/a.md", "src/a.py").change_class is ChangeClass.CODE
    assert mode(of("docs/a.md", "src/a.py")) is Mode.M1
    assert of("src/README.md").change_class is ChangeClass.CODE


def test_the_rules_of_the_council_file_are_what_classifies() -> None:
    """Without the rule for documents they are ordinary; with one for code it is trivial."""
    assert mode(of("docs/a.md", council=rules())) is Mode.M1
    lenient = DOCS.model_copy(update={"paths": ("src/**",)})
    assert mode(of("src/a.py", council=rules(lenient))) is Mode.M0


def test_the_order_of_rules_and_paths_means_nothing() -> None:
    """The gravest word counts, wherever it stands."""
    grave = ClassifyRule(paths=("docs/law/**",), safety_critical=True)
    for council in (rules(DOCS, grave), rules(grave, DOCS)):
        for paths in (("docs/law/a.md", "docs/b.md"), ("docs/b.md", "docs/law/a.md")):
            assert mode(of(*paths, council=council)) is Mode.M2
        assert mode(of("docs/b.md", council=council)) is Mode.M0


@pytest.mark.parametrize(
    "path", ["policies/loop.yaml", ".lifeos/prompts/a.md", "Policies/README.md", ".LIFEOS/x"]
)
def test_governance_is_known_without_a_rule(path: str) -> None:
    """No rule can make it harmless, and no other spelling either."""
    lenient = DOCS.model_copy(update={"paths": ("**",), "safety_critical": False})
    header = of(path, council=rules(lenient))
    assert header.touches == (Touch.GOVERNANCE,)
    assert mode(header) is Mode.M2


@pytest.mark.parametrize("path", ["AGENTS.md", "docs/AGENTS.md", ".github/workflows/ci.yml"])
def test_what_steers_agents_is_no_document(path: str) -> None:
    """By the default rules: `AGENTS.md` also fits `*.md`, and the graver word counts."""
    assert mode(of(path)) is Mode.M2


def test_the_old_name_of_a_file_counts() -> None:
    """Moving a file into docs/ does not make it a document."""
    moved = [change("docs/a.md", old="src/a.py")]
    assert measure(moved, (), Risk.LOW, (), COUNCIL).change_class is ChangeClass.CODE
    out = [change("docs/loop.yaml", old="policies/loop.yaml")]
    assert measure(out, (), Risk.LOW, (), COUNCIL).touches == (Touch.GOVERNANCE,)


def test_large_lines_decides_what_is_not_local() -> None:
    """One line more than the setting, in one file; and the setting can be changed."""
    exact = measure([change("docs/a.md", lines=200)], (), Risk.LOW, (), COUNCIL)
    more = measure([change("docs/a.md", lines=201)], (), Risk.LOW, (), COUNCIL)
    assert (mode(exact), mode(more)) == (Mode.M0, Mode.M1)
    strict = rules(DOCS, large_lines=199)
    assert mode(measure([change("docs/a.md", lines=200)], (), Risk.LOW, (), strict)) is Mode.M1


def test_large_files_decides_what_is_not_local() -> None:
    """One file more than the setting; and the setting can be changed."""
    paths = [f"docs/{number}.md" for number in range(11)]
    assert (mode(of(*paths[:10])), mode(of(*paths))) == (Mode.M0, Mode.M1)
    assert mode(of(*paths[:2], council=rules(DOCS, large_files=1))) is Mode.M1


def test_binary_content_has_no_lines() -> None:
    """It counts as a file, and does not break the sum."""
    binary = change("docs/a.png").model_copy(update={"added": None, "removed": None})
    assert mode(measure([binary], (), Risk.LOW, (), COUNCIL)) is Mode.M0


def test_risk_raises_the_mode() -> None:
    """Medium rules one reviewer out, high calls all of them."""
    modes = [mode(of("docs/a.md", risk=risk)) for risk in Risk]
    assert modes == [Mode.M0, Mode.M1, Mode.M2]


def test_tags_raise_the_mode_and_never_lower_it() -> None:
    """A tag that a task may carry cannot make code harmless, whatever the rule says."""
    grave = ClassifyRule(tags=("payments",), safety_critical=True)
    kind = ClassifyRule(
        tags=("trivial",),
        change_class=ChangeClass.DOCS,
        blast_radius=BlastRadius.LOCAL,
        uncertainty=Uncertainty.LOW,
        safety_critical=False,
    )
    council = rules(DOCS, grave, kind)
    assert mode(of("docs/a.md", council=council)) is Mode.M0
    assert mode(of("docs/a.md", tags=("payments",), council=council)) is Mode.M2
    assert mode(of("src/a.py", tags=("trivial",), council=council)) is Mode.M1
    both = of("docs/a.md", tags=("trivial", "payments"), council=council)
    assert mode(both) is Mode.M2


def test_what_is_under_review_is_in_the_header() -> None:
    """Reviewers are told; it is the caller's word, not the measure's."""
    assert planned("docs/**").aur_type is AurType.PLAN
    assert of("docs/a.md").aur_type is AurType.BUILD


# Before there is a change.


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (("docs/**",), Mode.M0),
        (("docs/guide/*.md", "README.md"), Mode.M0),
        (("src/**",), Mode.M1),
        (("docs/**", "src/**"), Mode.M1),
        (("**/*.md",), Mode.M2),  # has **/AGENTS.md inside
        (("**",), Mode.M1),  # says no more than no scope
        (("policies/loop.yaml",), Mode.M2),
        ((".lifeos/",), Mode.M2),
        (("docs/**", ".github/workflows/ci.yml"), Mode.M2),
    ],
)
def test_the_scope_stands_in_for_the_change(scope: tuple[str, ...], expected: Mode) -> None:
    """Harmless only where the whole scope is; grave where something grave lies inside it."""
    assert mode(planned(*scope)) is expected


def test_a_rule_inside_the_scope_raises_it() -> None:
    """`src/**` has `src/core/**` inside it; `lib/**` has not."""
    council = rules(ClassifyRule(paths=("src/core/**",), touches=(Touch.RUNTIME_CORE,)))
    assert mode(planned("src/**", council=council)) is Mode.M2
    assert mode(planned("lib/**", council=council)) is Mode.M1


def test_a_change_overrules_its_scope() -> None:
    """What was really changed decides, once there is something."""
    changes = [change("docs/a.md")]
    assert mode(measure(changes, (), Risk.LOW, ("src/**",), COUNCIL)) is Mode.M0


def test_no_scope_and_no_change_is_the_usual_council() -> None:
    """The header of ordinary code, and the rule for tasks without scope."""
    assert planned() == USUAL.model_copy(update={"aur_type": AurType.PLAN})


# Who sits.


def test_the_seats_are_those_of_the_settings() -> None:
    """In their order, for each mode."""
    council = COUNCIL.model_copy(update={"modes": Modes(M0=(Seat.RISK, Seat.CHAIR))})
    assert seats(Mode.M0, TRIVIAL, council) == (Seat.RISK, Seat.CHAIR)
    assert seats(Mode.M2, USUAL, council) == Modes().M2


def test_the_technical_seat_joins_for_code() -> None:
    """In M1 only, for code only, once only, and only if the council says so."""
    code, docs = USUAL, TRIVIAL
    assert seats(Mode.M1, code, COUNCIL) == (*Modes().M1, Seat.TECHNICAL)
    assert seats(Mode.M1, docs, COUNCIL) == Modes().M1
    assert seats(Mode.M0, code, COUNCIL) == Modes().M0
    off = COUNCIL.model_copy(update={"technical_for_code": False})
    assert seats(Mode.M1, code, off) == Modes().M1
    there = COUNCIL.model_copy(update={"modes": Modes(M1=(Seat.TECHNICAL, Seat.CHAIR))})
    assert seats(Mode.M1, code, there) == (Seat.TECHNICAL, Seat.CHAIR)
