"""Removing one object from this clone for good, once nothing that counts names it.

The one place where lifeos takes an object away. Only this one: what else nothing reaches stays,
since an attempt under way, or the person, may still want it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifeos.store.repo import Repo

_PATIENCE = 3600.0
_LISTING = ("rev-list", "--objects", "--no-object-names")


def purge(repo: Repo, blob: str, refs: Sequence[str]) -> str:
    """Take a blob out of the object store. Why it is still there, in a line; or ''.

    ``refs`` are the references whose former places are forgotten first: git keeps what they name.
    """
    _forget_places(repo, refs)
    kept = _kept_by(repo, blob)
    if kept:
        return kept
    if not _unlink(repo, blob) and is_there(repo, blob):
        # Out of the packs, with everything else that nothing reaches: as loose objects.
        done = repo.person.call("repack", "-A", "-d", "-l", "-q", timeout=_PATIENCE)
        if done.status != 0:
            return f"git repack: {done.err.strip()[:200]}"
        _unlink(repo, blob)
    repo.objects.close()  # its reading process may have the old packs open
    if is_there(repo, blob):
        return "it is in a pack that is kept (.keep), or in a store that this one borrows from"
    return ""


def is_there(repo: Repo, blob: str) -> bool:
    """Whether this clone has an object, or borrows it."""
    return repo.git.call("cat-file", "-e", blob).status == 0


def reaches(repo: Repo, tips: Sequence[str], blob: str) -> bool:
    """Whether history from these on has the blob."""
    request = "".join(f"{tip}\n" for tip in tips).encode()
    return _has(repo.person.run(*_LISTING, "--stdin", stdin=request), blob)


def holders(repo: Repo, refs: Mapping[str, str], blob: str) -> tuple[str, ...]:
    """Those of these references (by name, with what each is at) from which the blob is reached."""
    if not refs or not reaches(repo, list(refs.values()), blob):
        return ()
    return tuple(name for name, oid in refs.items() if reaches(repo, [oid], blob))


def is_staged(repo: Repo, blob: str) -> bool:
    """Whether the index of a work tree has it."""
    return _has(repo.person.run(*_LISTING, "--indexed-objects"), blob)


def _kept_by(repo: Repo, blob: str) -> str:
    """What git itself would keep it for; or ''."""
    everything = ("--all", "--reflog", "--indexed-objects")
    if not _has(repo.person.run(*_LISTING, *everything), blob):
        return ""
    find = f"git log --all --reflog --find-object={blob[:12]} shows where"
    then = "take it out there, then lifeos redact --accept"
    names = holders(repo, repo.refs.list("refs/"), blob)
    if names:
        return f"it is part of {', '.join(names[:5])}: {find}; {then}"
    if is_staged(repo, blob):
        return f"it is in the index of a work tree (git status): {then}"
    return f"the former place of a reference has it (git reflog, git stash): {find}; {then}"


def _has(listing: bytes, blob: str) -> bool:
    return f"\n{blob}\n".encode() in b"\n" + listing


def _forget_places(repo: Repo, refs: Sequence[str]) -> None:
    for ref in refs:
        if (repo.common_dir / "logs" / ref).exists():
            options = ("--expire=all", "--expire-unreachable=all")
            repo.person.run("reflog", "expire", *options, ref)


def _unlink(repo: Repo, blob: str) -> bool:
    path = repo.objects.folder / blob[:2] / blob[2:]
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return not is_there(repo, blob)
