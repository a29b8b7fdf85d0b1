"""Answers to open items: found on main, traced to who brought them, and judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lifeos import strict_yaml
from lifeos.core.answers import FILE_LIMIT, AnswerFile, Refusal, item_of, read_answer, stray_answer
from lifeos.core.approvals import Evidence, Signature, Unsigned, judge_answer, wrong_bringer
from lifeos.core.facts import Answer, Facts
from lifeos.core.policy import Approvals
from lifeos.core.policy.forge import ForgeKind
from lifeos.core.questions import subject_of
from lifeos.core.state import Item
from lifeos.model import Decision, Trust
from lifeos.store.history import Introduced, introducing, read_commits
from lifeos.store.signature import verify
from lifeos.store.trees import FILE
from lifeos.tick.context import Context
from lifeos.tick.reading import QUEUE, Main, queue_files

_REGULAR = ("100644", "100755")
_FOLDER = "040000"


def read_answers(
    ctx: Context, main: Main, contents: Mapping[str, str]
) -> tuple[tuple[Answer, ...], tuple[Refusal, ...]]:
    """The answers on main that count, and why each other one does not."""
    answers: list[Answer] = []
    refusals: list[Refusal] = []
    files = queue_files(ctx.repo, main.tree)
    named = Counter((item_of(name) or "").lower() for name in files)
    for name, (mode, oid) in files.items():
        stray, item = stray_answer(name, folder=mode == _FOLDER), item_of(name)
        if stray is not None:
            refusals.append(stray)
        if stray is not None or item is None:
            continue
        asked = _open_item(ctx, item)
        if asked is None and ctx.writes_by_pull_request:
            continue  # what was answered stays there until the next pull request takes it away
        if asked is not None and _came_by_merge(ctx, asked):
            continue  # the forge's record of its pull request says what it means
        judged = _judged(ctx, main, name, asked, mode, oid, contents)
        if named[item.lower()] > 1:
            judged = _only_rejects(judged)
        if isinstance(judged, Refusal):
            refusals.append(judged)
        else:
            answers.append(judged)
    return tuple(answers), tuple(refusals)


def _only_rejects(judged: Answer | Refusal) -> Answer | Refusal:
    """Of an item that several files answer (in other letters' case): only a rejection counts."""
    if isinstance(judged, Refusal) or judged.decision is Decision.REJECT:
        return judged
    return Refusal(
        judged.item,
        "another file answers the same question, under a name that differs in case",
        f"leave one of them in {QUEUE}, and remove the other",
    )


def _came_by_merge(ctx: Context, item: Item) -> bool:
    """Whether this item's own queue PR was merged, as far as the forge says."""
    seen = ctx.pulls.get(item.id)
    merged = seen is not None and seen.pull is not None and seen.pull.merged
    return ctx.rules.approvals.trust is Trust.MERGE and (merged or item.id in ctx.unheard)


def _open_item(ctx: Context, named: str) -> Item | None:
    """The open item that a file seems to answer; a name in another case is refused later."""
    items = ctx.ledger.snapshot.items.values()
    return next((item for item in items if item.id.lower() == named.lower()), None)


def _judged(
    ctx: Context,
    main: Main,
    name: str,
    item: Item | None,
    mode: str,
    oid: str,
    contents: Mapping[str, str],
) -> Answer | Refusal:
    present = ctx.rules.approvals
    then = ctx.governance(item.governance).approvals if item else present
    evidence = _evidence(ctx, main, f"{QUEUE}/{name}", mode, (then, present))
    answer = _said(ctx, name, item_of(name) or name, mode, oid)
    if isinstance(answer, Refusal):
        return answer
    return judge_answer(
        item,
        answer,
        evidence,
        subject_now=present_subject(ctx, item, contents) if item else "",
        then=then,
        now=present,
        at=ctx.now(),
    )


def _said(ctx: Context, name: str, item: str, mode: str, oid: str) -> AnswerFile | Refusal:
    if mode not in _REGULAR:
        fix = f"remove it, and answer again: lifeos approve {item} (or revise, reject)"
        return Refusal(item, "it is a link, a submodule or a folder, not a regular file", fix)
    ((_, size),) = ctx.repo.objects.kinds_sizes([oid])
    if size > FILE_LIMIT:
        fix = f"write it with: lifeos approve {item} (or revise, reject)"
        return Refusal(item, f"the file has {size} bytes; at most {FILE_LIMIT} are read", fix)
    data = ctx.repo.objects.read(oid)[1]
    document = strict_yaml.read(data, f"{QUEUE}/{name}")
    if document.problems:
        first = document.problems[0]
        return Refusal(item, f"{first.place}: {first.message}", first.fix)
    return read_answer(item, document.value, data)


def present_subject(ctx: Context, item: Item, contents: Mapping[str, str]) -> str:
    """The subject of an item as it is now."""
    run = ctx.ledger.snapshot.runs.get(item.run or "")
    if run is None:
        # What an item without a run is about is named by it and cannot change under it.
        return item.subject if item.run is None else ""
    facts = Facts(main="", contents=contents)
    return subject_of(ctx.ledger.snapshot, facts, run, item.id, item.kind, item.about)


def wrong_maker(ctx: Context, commit: str, path: str) -> tuple[str, str] | None:
    """Why whoever made a commit with an answer is no approver of today, and what to do, or None.

    Whatever it answers: no commit comes from elsewhere on a name alone.
    """
    present = ctx.rules.approvals
    (brought,) = read_commits(ctx.repo, (commit,))
    return wrong_bringer(_made(ctx, brought, path, FILE, (present, present)), present, present)


def _evidence(
    ctx: Context, main: Main, path: str, mode: str, approvals: tuple[Approvals, Approvals]
) -> Evidence:
    return _made(ctx, introducing(ctx.repo, main.commit, path), path, mode, approvals)


def _made(
    ctx: Context,
    brought: Introduced | None,
    path: str,
    mode: str,
    approvals: tuple[Approvals, Approvals],
) -> Evidence:
    environ = ctx.world.environ
    return Evidence(
        path=path,
        mode=mode,
        on_main=brought is not None,
        commit=brought.commit if brought else "",
        author=brought.author.email if brought else "",
        committer=brought.committer.email if brought else "",
        by_lifeos=brought is not None and brought.by_lifeos,
        signature=_signature(ctx, brought.commit, approvals) if brought else Unsigned(),
        forge=ctx.rules.config.forge.kind is not ForgeKind.NONE,
        ci=bool(environ.get("CI") or environ.get("GITHUB_ACTIONS")),
    )


def _signature(ctx: Context, commit: str, approvals: tuple[Approvals, Approvals]) -> Signature:
    """Whose key signed the commit: of the approvers then and now."""
    if ctx.rules.approvals.trust is not Trust.SIGNATURE:
        return Unsigned()
    people = [who for rules in approvals for who in rules.approvers]
    signers = dict.fromkeys((who.email, who.key) for who in people if who.key)
    return verify(ctx.repo, commit, [(email, key) for email, key in signers if key])
