"""Which workflows on main a branch of the queue would start: each is a way to the secrets of CI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lifeos.cli.health import Line, ok, warn
from lifeos.cli.health_branches import QUEUE
from lifeos.core.codeowners import MENDING

if TYPE_CHECKING:
    from lifeos.core.policy import Governance
    from lifeos.store.repo import Repo

_FOLDER = ".github/workflows"
_CHANGED = (
    f".lifeos/queue/{QUEUE.rpartition('/')[2]}.md",
    f".lifeos/queue/{QUEUE.rpartition('/')[2]}.approval.yaml",
)
"""What a branch of the queue changes."""


def workflows(repo: Repo, rules: Governance) -> Iterator[Line]:
    """One line for each workflow that would start, or that cannot be read; from main's commit."""
    from lifeos.strict_yaml import read

    found = 0
    quiet = True
    for path, data in _files(repo, rules):
        found += 1
        document = read(data, path)
        if document.problems or not isinstance(document.value, dict):
            why = str(document.problems[0].message) if document.problems else "is no mapping"
            said = f"{path} {why}: what starts it is not known"
            yield warn("workflows", said, "write it without that, or look at its `on:` yourself")
            quiet = False
        elif started := _started(document.value.get("on"), rules.config.main):
            said = f"{path} is started by {' and '.join(started)}"
            said += ": whoever can push a branch runs what they changed in it, with its secrets"
            fix = "in `on:`, use push with `branches: [main]`, schedule and workflow_dispatch only"
            yield warn("workflows", said, fix)
            quiet = False
    if found and quiet:
        yield ok("workflows", f"none of the {found} on main is started by a branch of the queue")
    elif not found:
        yield ok("workflows", "none on main")


def generated(repo: Repo, rules: Governance) -> Iterator[Line]:
    """What `lifeos init --github` writes, beside what these rules would have written; on main."""
    from lifeos.cli.init_github import workflow_of
    from lifeos.core.workflows import LOCK, WORKFLOW, Standing, needs_lock, standing
    from lifeos.tick.reading import read_file

    tree = _tree(repo, rules)
    if tree is None:
        return
    there = read_file(repo, tree, WORKFLOW)
    text = there.decode("utf-8", "replace") if there is not None else None
    wanted = workflow_of(rules.config, rules.loop)
    match standing(text, wanted):
        case Standing.MISSING:
            yield ok("workflow", "lifeos's own is not on main; lifeos init --github writes one")
            return
        case Standing.CURRENT:
            yield ok("workflow", f"{WORKFLOW} is as these rules want it")
        case Standing.OLDER:
            said = f"{WORKFLOW} was written for other rules, or by another version"
            yield warn("workflow", said, MENDING)
        case Standing.EDITED:
            said = f"{WORKFLOW} was edited: lifeos does not know what it does, and leaves it alone"
            yield warn("workflow", said, f"look at it; or remove it, then {MENDING}")
    lock = read_file(repo, tree, LOCK)
    if needs_lock(text) and (lock is None or b"\nlifeos" not in lock):
        said = f"{LOCK} does not name lifeos by its digest: the workflow installs nothing"
        yield warn("workflow", said, f"{MENDING} --lifeos-hash SHA256")
    yield from _owners(repo, tree, rules)


def _owners(repo: Repo, tree: str, rules: Governance) -> Iterator[Line]:
    """Whether CODEOWNERS on main names the approvers of these rules, and somebody."""
    from lifeos.core.codeowners import NAMING, PLACES, drift, place_of, unknown
    from lifeos.tick.reading import read_file

    found = {place: data for place in PLACES if (data := read_file(repo, tree, place)) is not None}
    place = place_of(found)
    text = found[place].decode("utf-8", "replace") if place in found else None
    if wrong := drift(text, rules.approvals.approvers, place):
        yield warn("codeowners", f"{place}: {wrong}", MENDING)
    if wrong := unknown(text, rules.approvals.approvers):
        yield warn("codeowners", f"{place}: {wrong}", NAMING)


def _tree(repo: Repo, rules: Governance) -> str | None:
    from lifeos.tick.reading import main_at

    commit = repo.refs.read(f"refs/heads/{rules.config.main}")
    return main_at(repo, commit).tree if commit else None


def _files(repo: Repo, rules: Governance) -> Iterator[tuple[str, bytes]]:
    """The workflow files of main's commit, by path."""
    from lifeos.store.trees import lookup, read_tree
    from lifeos.tick.reading import read_file

    tree = _tree(repo, rules)
    if tree is None:
        return
    folder = lookup(repo.objects, tree, _FOLDER)
    if folder is None or folder.mode != "040000":
        return
    for entry in read_tree(repo.objects, folder.oid):
        if entry.name.endswith((".yml", ".yaml")):
            data = read_file(repo, tree, f"{_FOLDER}/{entry.name}")
            if data is not None:
                yield f"{_FOLDER}/{entry.name}", data


def _started(on: object, main: str) -> list[str]:
    """By what a branch of the queue would start it, in words."""
    from lifeos.core.workflowfile import started_by_pull_request, started_by_push

    found = ["a push to lifeos/queue/*"] if started_by_push(on, QUEUE, _CHANGED) else []
    by = started_by_pull_request(on, main, _CHANGED)
    return [*found, *(f"a pull request into {main} ({event})" for event in by)]
