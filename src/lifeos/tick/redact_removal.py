"""What of redacted content is still in this clone, and its removal."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from lifeos.store.ledger import BRANCH, SEEN
from lifeos.store.purge import purge
from lifeos.store.redactions import Redaction
from lifeos.store.remote import SEEN_LEDGER, Remote
from lifeos.store.repo import Repo

WORKS = "refs/lifeos/run/"
"""The references by which people look at works."""
_REPORT = "report.html"
_OWN_GIT = "git"


def ledger_refs(repo: Repo) -> tuple[str, ...]:
    """The references of this clone that stand for the ledger, here or somewhere else."""
    names = [BRANCH, SEEN, SEEN_LEDGER, *repo.refs.list("refs/remotes/")]
    here = [n for n in names if n.endswith("/lifeos/ledger") or n in (SEEN, SEEN_LEDGER)]
    return tuple(name for name in here if repo.refs.read(name) is not None)


def remove(repo: Repo, remote: Remote | None, about: Redaction) -> tuple[str, tuple[str, ...]]:
    """Remove what this clone has of it, once the ledger has it no longer.

    Why git still has it, or ''; and what else people have to see to.
    """
    left = _drop_works(repo, remote, about.blob)
    still_here = purge(repo, about.blob, ledger_refs(repo))
    return still_here, (*left, *_copies(repo, about))


def _drop_works(repo: Repo, remote: Remote | None, blob: str) -> tuple[str, ...]:
    """Remove the references by which people look at works that have it. What is still there."""
    refs = tuple(name for name, oid in repo.refs.list(WORKS).items() if _has(repo, oid, blob))
    problem = remote.forget(refs) if remote is not None else ""
    for ref in refs:
        repo.refs.compare_and_swap(ref, None, repo.refs.read(ref), "lifeos")
    return (problem,) if problem else ()


def _has(repo: Repo, work: str, blob: str) -> bool:
    """Whether the tree of a work has it. What it was built on is main's."""
    listing = repo.git.run("ls-tree", "-r", "--full-tree", "--end-of-options", work)
    return f" {blob}\t".encode() in listing


def show_ledger(repo: Repo, remote: Remote | None, tip: str) -> None:
    """Git's own note of where the remote's ledger is, if it has one: the old place names it all."""
    if remote is None:
        return
    ref = f"refs/remotes/{remote.name}/lifeos/ledger"
    now = repo.refs.read(ref)
    if now is not None and now != tip:
        repo.refs.compare_and_swap(ref, tip, now, "lifeos")


def _copies(repo: Repo, about: Redaction) -> Iterator[str]:
    """Files of lifeos's own that have it: the report, which is made anew, and bundles set aside."""
    report = repo.private_dir / _REPORT
    if report.exists():
        report.unlink()
        yield f"{report} was removed, since it may show it: lifeos report makes it anew"
    for path in _files(repo.private_dir):
        if path.stat().st_size == about.size and _digest(path) == about.digest:
            yield f"{path} is a copy: look at it, and remove it"


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        if Path(here) == folder:
            folders[:] = [name for name in folders if name != _OWN_GIT]
        for name in names:
            path = Path(here, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
