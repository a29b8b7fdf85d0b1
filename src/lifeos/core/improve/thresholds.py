"""From where on something counts as a pattern, with what is counted in words."""

from __future__ import annotations

from collections.abc import Mapping

from lifeos.core.improve.proposal import Category
from lifeos.model import Frozen

LOOKED_AT = 200
"""Closed runs that are looked at, the newest: what was long ago says little of what is."""
SECONDS = 10
"""An approval in less time than this was hardly read."""
AREA_HAS = 0.75
"""A failure is of one area of the repository if it has this share of the cases."""
MOST_OPEN = 5
"""Proposals that wait for the CEO at the same time; the rest is found again at the next search."""


class Threshold(Frozen):
    """What has to be met. ``runs``: closed runs looked at; ``cases`` of it, and their ``share``.

    What a run, a case and the share are of is said in ``says``.
    """

    runs: int
    cases: int
    share: float
    says: str


THRESHOLDS: Mapping[Category, Threshold] = {
    Category.RECURRING_FAILURE: Threshold(
        runs=20,
        cases=5,
        share=0.25,
        says="runs that met one failure class at one stage, of those that were at that stage; of "
        "one area (the top folder) if that alone meets this and has three quarters of them",
    ),
    Category.IDLE_RULE: Threshold(
        runs=50,
        cases=0,
        share=1.0,
        says="runs under a set that has the very same checkpoint, which never asked in any of them",
    ),
    Category.GREEN_CHECK: Threshold(
        runs=50,
        cases=100,
        share=1.0,
        says="results of a check with `fast: true` in runs that had it, all of them passed",
    ),
    Category.RUBBER_STAMP: Threshold(
        runs=10,
        cases=10,
        share=0.8,
        says="answers by people to questions by one rule: all of them approvals, this share of "
        "them in less than ten seconds",
    ),
    Category.IDLE_SEAT: Threshold(
        runs=20,
        cases=20,
        share=1.0,
        says="reviews in one mode in which a seat gave a verdict: always accept without a finding; "
        "or, if at least five verdicts were others, the council accepted each time all the same",
    ),
    Category.HIT_BUDGET: Threshold(
        runs=20,
        cases=5,
        share=0.25,
        says="runs that asked because one budget was used up, four fifths of the answers approvals",
    ),
    Category.UNFIT_ANSWERS: Threshold(
        runs=10,
        cases=5,
        share=0.2,
        says="answers of one role that did not fit their schema, of at least 20 that it was asked "
        "for",
    ),
    Category.TODO: Threshold(
        runs=1,
        cases=1,
        share=0.0,
        says="lines of code with TODO, FIXME or XXX that a run landed and that are still on main",
    ),
    Category.FLAKE: Threshold(
        runs=2,
        cases=2,
        share=0.0,
        says="runs in which a check was red and then green on the same tree",
    ),
    Category.DOC_DRIFT: Threshold(
        runs=1,
        cases=1,
        share=0.0,
        says="names that a landing removed from the code, that nothing defines any more, and that "
        "a document still has as code",
    ),
    Category.REVERT: Threshold(
        runs=0,
        cases=1,
        share=0.0,
        says="a proposal that landed and whose metric did not hold",
    ),
}

OTHER_VERDICTS = 5
"""Verdicts against, of a seat that the council never followed."""
GRANTED = 0.8
"""Share of the answers to a budget's questions that are approvals."""
ANSWERS = 20
"""Answers that a role was asked for, at least."""
