"""Whether proposals are what was asked, landed as they were approved, and were measured truly."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.canonical import sha256
from lifeos.core.chronicle import Chronicler
from lifeos.core.improve.measure import measured
from lifeos.core.improve.proposal import WEAKENS, NewPrompt, Proposal
from lifeos.core.improve.trial import Proposed
from lifeos.core.improve.wording import Paper, drafted_text, words_of
from lifeos.core.records import Held, Noted, Topic
from lifeos.core.state import Change, Trial
from lifeos.core.unified import DoesNotApply
from lifeos.governance import governance_digest
from lifeos.store.entries import Entry
from lifeos.store.history import is_ancestor
from lifeos.store.trees import lookup, walk
from lifeos.tick.audit import Area, Audit
from lifeos.tick.change import changed_tree, merged_onto
from lifeos.tick.drafting import prompt_diff, rules_after
from lifeos.tick.improving import fact_of
from lifeos.tick.proposals import place_of
from lifeos.tick.reading import governance_files, read_file


def check_proposal(audit: Audit, entry: Entry) -> None:
    """What a transition says of a proposal, before it is applied."""
    record = entry.record
    if isinstance(record, Held) and record.proposed is not None:
        _say(audit, entry, record.item, _asked(audit, entry, record, record.proposed))
    elif isinstance(record, Noted) and record.item:
        trial = audit.snapshot.trials.get(record.item)
        match record.topic:
            case Topic.LANDING if trial is not None:
                audit.noted.add(record.commit)
                _say(audit, entry, record.item, _noted(audit, entry, record, trial))
            case Topic.LANDED if trial is not None:
                _say(audit, entry, record.item, _landed(audit, record, trial))
                if record.digest and audit.governance(entry.tree, record.digest) is None:
                    audit.skip("sets of rules that this lifeos cannot read")
            case Topic.MEASURED if trial is not None:
                _say(audit, entry, record.item, _measured(audit, record, trial))
            case _:
                pass


def follow(audit: Audit, entry: Entry) -> None:
    """Remember what happens from the first proposal that landed on: its metric is of later runs."""
    record = entry.record
    begins = isinstance(record, Noted) and record.topic is Topic.LANDED
    if audit.since is None and begins:
        audit.since = Chronicler()
    if audit.since is not None:
        audit.since.add(entry.commit, record)


def _say(audit: Audit, entry: Entry, item: str, faults: Iterator[str]) -> None:
    audit.count(Area.PROPOSALS)
    for what in faults:
        audit.find(entry.commit, f"the proposal of {item}: {what}")


def _asked(audit: Audit, entry: Entry, record: Held, proposed: Proposed) -> Iterator[str]:
    """The question is about the proposal that lies beside it, and hides nothing of it."""
    proposal = _read(audit, entry.tree, record.item, record.about)
    if proposal is None:
        yield "is not on the ledger as it was asked"
        return
    folder = place_of(record.item)
    diff = read_file(audit.repo, entry.tree, f"{folder}/change.diff")
    if diff != proposal.diff.encode():
        yield "its change.diff is not the change that it says"
    tried = read_file(audit.repo, entry.tree, f"{folder}/backtest.json")
    if (sha256(tried) if tried else "") != proposal.backtest_digest:
        yield "its backtest.json is not the one that it names"
    yield from _wording(audit, entry, proposal, folder)
    fact = fact_of(proposal)
    if (fact.rule, fact.proposed) != (record.rule, proposed):
        yield "says something else than its record"
    if fact.question != record.question:
        yield "is asked under another title than its own"
    if proposal.governance != audit.snapshot.governance:
        yield "was drafted on rules that were not the adopted ones"
    elif proposal.governs:
        yield from _hidden(audit, entry, proposal)


def _wording(audit: Audit, entry: Entry, proposal: Proposal, folder: str) -> Iterator[str]:
    """What an agent said of it is what it says, and cost what was recorded."""
    paper = read_file(audit.repo, entry.tree, f"{folder}/wording.json")
    if (sha256(paper) if paper else "") != proposal.wording_digest:
        yield "its wording.json is not the one that it names"
        return
    if paper is None:
        if proposal.worded is not None or proposal.spent is not None:
            yield "has the words of an agent that nobody asked"
        return
    try:
        said = Paper.model_validate_json(paper)
    except ValueError:
        audit.skip("what agents said of proposals to another lifeos")
        return
    if words_of(said, proposal) != proposal.worded:
        yield "has other words than the agent said"
    if said.spent != proposal.spent:
        yield "asking the agent cost something else than was recorded"
    drafted = proposal.edit
    if isinstance(drafted, NewPrompt) and (
        said.reply is None or drafted.text != drafted_text(said.reply)
    ):
        yield "its prompt is another one than the agent drafted"


def _hidden(audit: Audit, entry: Entry, proposal: Proposal) -> Iterator[str]:
    """Whether it weakens a gate, compared anew, and its title says so."""
    rules = audit.governance(entry.tree, proposal.governance)
    folder = lookup(audit.repo.objects, entry.tree, f"governance/{proposal.governance}")
    if rules is None or folder is None:
        audit.skip("proposals on rules that this lifeos cannot read")
        return
    leaves = list(walk(audit.repo.objects, folder.oid))
    contents = audit.repo.objects.read_many(leaf.oid for leaf in leaves)
    files = {leaf.path: item[2] for leaf, item in zip(leaves, contents, strict=True)}
    if isinstance(proposal.edit, NewPrompt) and prompt_diff(files, proposal.edit) != proposal.diff:
        yield "its change is another one than the prompt that it says"
    weakens = rules_after(rules, files, proposal.diff)
    if weakens is None:
        yield "its change makes no set of rules"
    elif bool(weakens) != proposal.title.startswith(WEAKENS):
        yield f"its title does not say that it weakens a gate: {'; '.join(weakens)}"


def _noted(audit: Audit, entry: Entry, record: Noted, trial: Trial) -> Iterator[str]:
    """The noted commit, if main has it, is what was approved. One that lost the race is nowhere."""
    proposal = _read(audit, audit.tree, trial.item, trial.about)
    if audit.main is None or proposal is None or not _on_main(audit, record.commit):
        return
    change = Change(commit=record.commit, onto=record.onto, tree=record.tree, digest=record.digest)
    short = change.commit[:12]
    if not _as_approved(audit, entry, change, proposal, merged=trial.merged == change.commit):
        yield f"{short} changes something else than was approved"
    made = audit.repo.objects.commit(change.commit)
    digest = governance_digest(governance_files(audit.repo, made.tree)) if proposal.governs else ""
    if digest != change.digest:
        yield f"the rules at {short} are not those that were noted"


def _landed(audit: Audit, record: Noted, trial: Trial) -> Iterator[str]:
    """Main has the noted commit, and the rules on the ledger are those that it brought."""
    short = record.commit[:12]
    if audit.main is not None and not _on_main(audit, record.commit):
        yield f"its commit {short} is not on main"
    if _read(audit, audit.tree, trial.item, trial.about) is None:
        yield "is not on the ledger as it was approved"


def _on_main(audit: Audit, commit: str) -> bool:
    try:
        audit.repo.objects.commit(commit)
    except (KeyError, ValueError):
        return False
    return is_ancestor(audit.repo, commit, audit.main or "")


def _as_approved(
    audit: Audit, entry: Entry, change: Change, proposal: Proposal, *, merged: bool
) -> bool:
    """Made again: main before it, with the approved change, is main after it."""
    prefix = audit.prefix(entry.tree)
    if merged:
        return merged_onto(audit.repo, change.commit, proposal, prefix) == change.onto
    made = audit.repo.objects.commit(change.commit)
    if made.parents != (change.onto,) or made.tree != change.tree:
        return False
    before = audit.repo.objects.commit(change.onto).tree
    try:
        return changed_tree(audit.repo, before, proposal, prefix) == made.tree
    except DoesNotApply:
        return False


def _measured(audit: Audit, record: Noted, trial: Trial) -> Iterator[str]:
    """The metric, computed anew from the runs since it landed."""
    proposal = _read(audit, audit.tree, trial.item, trial.about)
    if proposal is None or audit.since is None:
        yield "cannot be measured again: it is not on the ledger"
        return
    past = audit.since.chronicle()
    again = measured(proposal.metric, past, trial.landed_at, past.at)
    if again != record.measured:
        yield f"its metric is {again.value}; the record says another thing"


def _read(audit: Audit, tree: str, item: str, about: str) -> Proposal | None:
    data = read_file(audit.repo, tree, f"{place_of(item)}/proposal.json")
    if data is None or sha256(data) != about:
        return None
    try:
        return Proposal.model_validate_json(data)
    except ValueError:
        return None
