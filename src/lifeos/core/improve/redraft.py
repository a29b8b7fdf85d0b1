"""A draft as a person wants it otherwise: what can be said in a comment, and what cannot.

A number goes in place of a number, and words in place of lifeos's own: a paragraph of a prompt, or
more about a task. What only takes an entry away, or takes a change back, has nothing in it that
could be worded otherwise: asking for that drops it, with the comment on the record.
"""

from __future__ import annotations

import re

from lifeos.core.clean import visible
from lifeos.core.improve.look import Look
from lifeos.core.improve.proposal import (
    AddTask,
    AddToPrompt,
    Category,
    DropEntry,
    Edit,
    NewPrompt,
    Pattern,
    SetValue,
    TakeBack,
)
from lifeos.core.improve.spending import hit_metric

LONGEST = 1000
"""Characters of a comment that go into a prompt or a task."""
_NUMBER = re.compile(r"(?<![\w.,-])\d{1,12}(?:\.\d{1,4})?(?!\w|[.,]\d)")


class Refused(ValueError):
    """The comment asks for what a draft of this kind cannot be."""


def redrafted(pattern: Pattern, comment: str, look: Look) -> Pattern:
    """The pattern with the change that the comment asks for. Raises ``Refused``, which says why."""
    words = " ".join(visible(comment).split())[:LONGEST]
    match pattern.edit:
        case SetValue() as edit if pattern.category is Category.HIT_BUDGET:
            return _with_number(pattern, edit, words, look)
        case AddToPrompt() as told:
            return _with(pattern, told.model_copy(update={"paragraph": words}))
        case AddTask() as task:
            more = f"{task.description}\n\nThe CEO says: {words}"
            return _with(pattern, task.model_copy(update={"description": more}))
        case SetValue() | DropEntry() | NewPrompt() | TakeBack():
            raise Refused("nothing in it can be said otherwise")


def _with(pattern: Pattern, edit: Edit) -> Pattern:
    return pattern.model_copy(update={"edit": edit})


def _with_number(pattern: Pattern, edit: SetValue, words: str, look: Look) -> Pattern:
    found = _NUMBER.search(words)
    if found is None:
        raise Refused("the comment has no number to put there")
    whole = isinstance(edit.value, int)
    number = float(found[0])
    if whole and number != int(number):
        raise Refused(f"{found[0]} is not a whole number")
    value = int(number) if whole else number
    name = str(edit.key[-1])
    now = getattr(look.rules.loop.budgets, name)
    runs = look.runs(pattern.key)
    return pattern.model_copy(
        update={
            "edit": edit.model_copy(update={"value": value}),
            "title": f"Set {name} to {value:g}, as you asked; it is {now:g}",
            "metric": hit_metric(name, runs, value),
        }
    )
