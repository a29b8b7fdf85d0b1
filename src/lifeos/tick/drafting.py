"""A proposal drafted: the change made on the files of main, tried as rules, and compared with them.

What is drafted is a value. Nothing of it is on main, and nothing of it counts, before it is
approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lifeos.agents.shipped import prompt as shipped_prompt
from lifeos.core.backlog.edit import Draft as NewTask
from lifeos.core.backlog.edit import add_task, adds
from lifeos.core.backlog.entry import Mark
from lifeos.core.backlog.ids import derive_id
from lifeos.core.backlog.parse import parse
from lifeos.core.backtest import summary_lines
from lifeos.core.canonical import sha256, short_id
from lifeos.core.clean import one_line
from lifeos.core.improve.gates import weaker
from lifeos.core.improve.prompting import with_paragraph
from lifeos.core.improve.proposal import (
    WEAKENS,
    AddTask,
    AddToPrompt,
    Category,
    DropEntry,
    Edit,
    NewPrompt,
    Pattern,
    Proposal,
    SetValue,
    TakeBack,
)
from lifeos.core.improve.trial import Measure
from lifeos.core.policy import Governance, is_governance
from lifeos.core.policy.governance import PROMPTS
from lifeos.core.prompts import NAMES
from lifeos.core.state import Due
from lifeos.core.unified import DoesNotApply, applied, patches, reversed_patches, unified
from lifeos.errors import UsageError
from lifeos.governance import load_set
from lifeos.tick.context import Context
from lifeos.tick.reading import BACKLOG, Main, governance_files, read_file
from lifeos.tick.tried import LATELY, tried
from lifeos.yaml_edit import CannotEdit, with_value, without_item

_TITLE = 160
_REVERTS = (
    "Its commit on main can be reverted like any other. If the metric does not hold at the end of "
    "its window, lifeos proposes the reverse of this diff by itself."
)
FIRST = Due(item="")
_NO_RULES = ("It changes no rules: nothing would have been decided otherwise.",)
_MOST_KEPT = 200
"""Differences of a back-test that are kept, the worst first; `lifeos backtest` tells all."""


class NoDraft(Exception):
    """The change cannot be made on main as it is; the message says why."""


@dataclass(frozen=True)
class Files:
    """The texts that a proposal can change, as main has them."""

    texts: Mapping[str, str]
    backlog: bytes
    prefix: str

    @classmethod
    def of(cls, ctx: Context, main: Main) -> Files:
        """Those of a commit of main."""
        backlog = read_file(ctx.repo, main.tree, BACKLOG)
        files = governance_files(ctx.repo, main.tree)
        if backlog is not None:
            files[BACKLOG] = backlog
        texts = {path: text_of(data) for path, data in files.items()}
        return cls(texts, backlog or b"", ctx.rules.config.id_prefix)

    @property
    def rules(self) -> dict[str, bytes]:
        """Those that are rules."""
        return {path: bytes_of(text) for path, text in self.texts.items() if is_governance(path)}


def text_of(data: bytes) -> str:
    """A file as text that can be made the very same bytes again."""
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The bytes of such a text."""
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Drafted:
    """A proposal, and the whole of its back-test (JSON; empty where no rules change).

    ``wording`` is what an agent said of it (JSON; empty where none was asked).
    """

    proposal: Proposal
    backtest: bytes = b""
    wording: bytes = b""


def draft(ctx: Context, main: Main, pattern: Pattern, due: Due = FIRST, of: str = "") -> Drafted:
    """The proposal that a pattern calls for, on main as it is. Raises ``NoDraft``."""
    files = Files.of(ctx, main)
    edit = _named(ctx, files, pattern)
    after = {**files.texts, **_edited(files, edit)}
    texts = {path: text for path, text in after.items() if text is not None}
    diff = unified(files.texts, texts)
    if not diff:
        raise NoDraft("main is as it would be after the change")
    try:
        diff.encode()
    except UnicodeEncodeError:
        raise NoDraft(f"{BACKLOG} is not UTF-8 text where it would be changed") from None
    paths = tuple(patch.path for patch in patches(diff))
    governs = any(is_governance(path) for path in paths)
    rules = _rules(texts) if governs else None
    weakens = _compared(ctx.rules, rules) if rules else ()
    lines, backtest = _tried(ctx, rules) if rules else (_NO_RULES, b"")
    title = f"{WEAKENS if weakens else ''}{one_line(pattern.title, _TITLE)}"
    metric = pattern.metric
    if metric.measure is Measure.TASKS_DONE and isinstance(edit, AddTask):
        metric = metric.model_copy(update={"about": {"tasks": edit.id}})
    root = ctx.ledger.snapshot.root
    proposal = Proposal(
        id=short_id("P", root, pattern.key, due.draft, main.commit, sha256(diff)),
        key=pattern.key,
        category=pattern.category,
        title=title,
        evidence=pattern.evidence,
        cases=pattern.cases,
        runs=pattern.runs,
        rests_on=pattern.rests_on,
        edit=edit,
        diff=diff,
        paths=paths,
        governs=governs,
        weakens=weakens,
        backtest=lines,
        backtest_digest=sha256(backtest) if backtest else "",
        metric=metric,
        risk=pattern.risk,
        reverts="Propose it again." if pattern.category is Category.REVERT else _REVERTS,
        main=main.commit,
        governance=ctx.ledger.snapshot.governance,
        draft=due.draft,
        comment=due.comment,
        of=of,
    )
    return Drafted(proposal, backtest)


def _named(ctx: Context, files: Files, pattern: Pattern) -> Edit:
    """The change; a new task with the id that follows from the ledger and the pattern."""
    if not isinstance(pattern.edit, AddTask):
        return pattern.edit
    taken = {task.id for task in parse(files.backlog, BACKLOG, files.prefix).tasks}
    title, root = pattern.edit.title, ctx.ledger.snapshot.root
    ids = (derive_id(files.prefix, root, pattern.key, title, number) for number in range(1000))
    free = next(name for name in ids if name not in taken and ctx.ledger.ended(name) is None)
    return pattern.edit.model_copy(update={"id": free})


def _edited(files: Files, edit: Edit) -> dict[str, str | None]:
    """The files as the edit leaves them."""
    try:
        match edit:
            case SetValue():
                data = files.rules.get(edit.path, b"")
                return {edit.path: text_of(with_value(data, edit.path, edit.key, edit.value))}
            case DropEntry():
                data = files.rules.get(edit.path, b"")
                return {edit.path: text_of(without_item(data, edit.path, edit.key, edit.index))}
            case AddToPrompt():
                path = f"{PROMPTS}{edit.role}.md"
                text = files.texts.get(path) or shipped_prompt(edit.role)
                return {path: with_paragraph(text, edit.paragraph)}
            case NewPrompt():
                return {f"{PROMPTS}{edit.role}.md": edit.text}
            case AddTask():
                return {BACKLOG: text_of(with_task(files.backlog, edit, files.prefix))}
            case TakeBack():
                back = reversed_patches(patches(edit.diff))
                return applied(back, files.texts, loosely=True)
    except (CannotEdit, DoesNotApply, UsageError) as error:
        raise NoDraft(str(error).split("\n", 1)[0]) from error


def with_task(data: bytes, edit: AddTask, prefix: str) -> bytes:
    """The backlog with the task in it; as it is, if the task is there already.

    Raises ``UsageError`` where the text would be read as more than a title and a description.
    """
    return data if has_task(data, edit, prefix) else add_task(data, _new(edit), id_prefix=prefix)


def has_task(data: bytes, edit: AddTask, prefix: str) -> bool:
    """Whether the backlog has the task: its id, or its title where there is still work to do."""
    over = (Mark.DONE, Mark.CANCELLED)
    tasks = parse(data, BACKLOG, prefix).tasks
    return any(
        task.id == edit.id or (task.title == edit.title and task.mark not in over) for task in tasks
    )


def adds_task(before: bytes, after: bytes, edit: AddTask, prefix: str) -> bool:
    """Whether this is the backlog with the task added, every other one as it was."""
    return adds(before, after, _new(edit), id_prefix=prefix)


def _new(edit: AddTask) -> NewTask:
    return NewTask(
        title=edit.title,
        priority=edit.priority,
        id=edit.id,
        tags=edit.tags,
        scope=edit.scope,
        description=edit.description,
    )


def _rules(texts: Mapping[str, str]) -> Governance:
    """The rules after the change. What nobody could adopt is not proposed: raises ``NoDraft``."""
    loaded = load_set({path: bytes_of(t) for path, t in texts.items() if is_governance(path)})
    if loaded.governance is None:
        raise NoDraft(f"the rules would be broken: {loaded.problems[0]}")
    return loaded.governance


def _tried(ctx: Context, rules: Governance) -> tuple[tuple[str, ...], bytes]:
    """What the last few thousand transitions would have been under these rules."""
    found = tried(ctx.ledger, rules, last=LATELY)
    kept = found.model_copy(update={"differences": found.differences[:_MOST_KEPT]})
    return summary_lines(found), kept.model_dump_json(indent=1, exclude_defaults=True).encode()


def _compared(old: Governance, new: Governance) -> tuple[str, ...]:
    return weaker(old, new, {name: shipped_prompt(name) for name in NAMES})


def prompt_diff(files: Mapping[str, bytes], edit: NewPrompt) -> str:
    """The change of a set's files that writes this prompt."""
    texts = {path: text_of(data) for path, data in files.items()}
    return unified(texts, {**texts, f"{PROMPTS}{edit.role}.md": edit.text})


def rules_after(rules: Governance, files: Mapping[str, bytes], diff: str) -> tuple[str, ...] | None:
    """What a diff of these files of rules weakens; None where it makes no set of rules."""
    ours = [patch for patch in patches(diff) if is_governance(patch.path)]
    try:
        changed = applied(ours, {path: text_of(data) for path, data in files.items()})
    except DoesNotApply:
        return None
    after = {**{path: text_of(data) for path, data in files.items()}, **changed}
    loaded = load_set({path: bytes_of(text) for path, text in after.items() if text is not None})
    return _compared(rules, loaded.governance) if loaded.governance else None
