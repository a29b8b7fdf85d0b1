"""Which workflows on main a branch of the queue would start: each is a way to the secrets of CI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lifeos.cli.health import Line, ok, warn
from lifeos.cli.health_branches import QUEUE

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


def _files(repo: Repo, rules: Governance) -> Iterator[tuple[str, bytes]]:
    """The workflow files of main's commit, by path."""
    from lifeos.store.trees import lookup, read_tree
    from lifeos.tick.reading import main_at, read_file

    commit = repo.refs.read(f"refs/heads/{rules.config.main}")
    if commit is None:
        return
    tree = main_at(repo, commit).tree
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
