"""The remote that holds the truth: its main and its ledger, read and moved over the network.

Nothing here trusts the repository's configuration: the address is resolved once from it and then
pinned, and git runs in lifeos's own directory, with credentials from the global configuration only.
A reference of the remote moves by one push that names the value it must have (a lease). What came
of a push is read from git's porcelain lines; where they do not say it, the remote is asked again,
and nothing is ever repeated blindly.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from lifeos.errors import Busy, NotAuthorised, UsageError
from lifeos.store.encoding import OID
from lifeos.store.git import Git, GitError, GitTimeout, Result
from lifeos.store.lock import Lock
from lifeos.store.refs import check_name
from lifeos.store.repo import Repo, silence_configured_hooks

LEDGER = "refs/heads/lifeos/ledger"
SEEN_MAIN = "refs/lifeos/remote/main"
SEEN_LEDGER = "refs/lifeos/remote/ledger"
TRIES = 12
"""How often a push that did not arrive, or met a lock, is tried before the tick gives up."""
_HOOKS_SINCE = (2, 50)
# Slower than this for so long is a connection that is gone (bytes a second, seconds).
_SLOW = {"GIT_HTTP_LOW_SPEED_LIMIT": "100", "GIT_HTTP_LOW_SPEED_TIME": "60"}

# What git, and the forges, print; LC_ALL=C. A reason that is not known counts as a refusal: a
# forge has its own words for each of its rules.
_MOVED_MEANWHILE = re.compile(
    r"stale info|fetch first|non-fast-forward|already exists|incorrect old value"
    r"|remote ref updated since checkout|needs force"
)
_ATOMIC = re.compile(r"atomic (?:push|transaction) fail", re.IGNORECASE)
_LOOK = re.compile(
    r"cannot lock ref|failed to update ref|failed to lock|unable to create|unpacker error"
    r"|migrate objects|internal server error|remote failed to report status|expecting report",
    re.IGNORECASE,
)
_NO_RIGHT = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|prompts disabled"
    r"|returned error: 40[13]|HTTP 40[13]|Permission denied|Permission to \S+ denied"
    r"|Write access to repository not granted|[Nn]ot authorized|[Aa]ccess denied|denied to"
)
_NO_COMMIT = re.compile(r"Not a valid (?:commit|object) name")
_NOT_THERE = re.compile(r"couldn't find remote ref", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP = re.compile(r"[^/]*:")


def no_pause(_tries: int) -> None:
    """Wait not at all."""


@dataclass(frozen=True)
class Update:
    """A reference of the remote that is to go from ``old`` to ``new`` (None: it is not there)."""

    ref: str
    new: str
    old: str | None


class _Said(StrEnum):
    MOVED = "moved"
    LOST = "lost"
    LOOK = "look"  # what came of it is not known, or a lock was met: ask the remote


@dataclass
class Remote:
    """One remote, at the address it had when this process began. Not safe between threads.

    ``main`` and ``ledger`` are its tips when they were last looked at; main never older than the
    ledger. ``reached`` is whether they were. ``shown`` are references for people that go along
    with the next push.
    """

    repo: Repo
    name: str
    url: str
    branch: str
    pause: Callable[[int], None] = no_pause
    main: str | None = None
    ledger: str | None = None
    reached: bool = False
    shown: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(
        cls, repo: Repo, name: str, main: str, pause: Callable[[int], None] = no_pause
    ) -> Remote:
        """The remote of this name. ``main`` is the name of the main branch.

        Raises ``UsageError`` if git does not know it, or the clone is shallow or partial.
        """
        if repo.shallow:
            raise UsageError(
                "this is a shallow clone: part of the history is missing",
                f"git fetch --unshallow {name} (in a workflow: fetch-depth: 0)",
            )
        repo.require_complete()
        return cls(repo, name, _address(repo, name), f"refs/heads/{main}", pause)

    @cached_property
    def _git(self) -> Git:
        git = Git(self.repo.ensure_private() / "git", trace=self.repo.trace)
        if self.repo.git_version >= _HOOKS_SINCE:
            silence_configured_hooks(git)
        return git

    @property
    def is_bundle(self) -> bool:
        """Whether it is a file that somebody brought: it can be read, and nothing else."""
        return is_bundle(self.url)

    # --- reading ----------------------------------------------------------------------------

    def refresh(self) -> None:
        """Fetch the ledger, and then main; remember both. Main is then never the older one.

        With an older main a task that landed meanwhile would look open. An older ledger does no
        harm: whoever records on it loses the race.
        Raises ``Busy`` if the remote cannot be reached, ``NotAuthorised`` if it may not be read.
        """
        self.ledger = self.fetch(LEDGER)
        self.main = self.fetch(self.branch)
        self.reached = True
        self._remember(SEEN_LEDGER, self.ledger)
        self._remember(SEEN_MAIN, self.main)

    def fetch(self, ref: str) -> str | None:
        """Get a reference of the remote with all it needs. Its commit, or None: it is not there."""
        check_name(ref)
        # No reference is written by git: what it leaves locked when it is killed stays locked.
        with Lock(self.repo.ensure_private() / "fetch.lock"):
            head = self.repo.private_dir / "git" / "FETCH_HEAD"
            head.unlink(missing_ok=True)
            options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance")
            result = self._call("fetch", *options, "--end-of-options", self.url, ref)
            if result.status == 0:
                return head.read_text(encoding="utf-8").split("\t", 1)[0]
        if _NOT_THERE.search(result.err):
            return None
        raise self._unreachable(result.err)

    def tips(self, *refs: str) -> dict[str, str]:
        """Where these references of the remote are now; those that are not there are left out."""
        result = self._call("ls-remote", "--refs", "--end-of-options", self.url, *refs)
        if result.status != 0:
            raise self._unreachable(result.err)
        found = {}
        for line in result.out.decode("utf-8", "replace").splitlines():
            oid, _, ref = line.partition("\t")
            if ref in refs and OID.fullmatch(oid):
                found[ref] = oid
        return found

    def under(self, prefix: str) -> dict[str, str]:
        """All references of the remote that begin so ("refs/heads/lifeos/queue/")."""
        result = self._call("ls-remote", "--refs", "--end-of-options", self.url, f"{prefix}*")
        if result.status != 0:
            raise self._unreachable(result.err)
        lines = result.out.decode("utf-8", "replace").splitlines()
        found = {ref: oid for oid, _, ref in (line.partition("\t") for line in lines)}
        return {
            ref: oid for ref, oid in found.items() if ref.startswith(prefix) and OID.fullmatch(oid)
        }

    # --- moving -----------------------------------------------------------------------------

    def push(self, *updates: Update) -> bool:
        """Move these references, all or none. True: moved. False: lost the race.

        Raises ``NotAuthorised`` with the remote's words if it refuses, ``Busy`` if it cannot be
        reached, or what came of it cannot be found out.
        """
        if self.is_bundle:
            raise NotAuthorised(
                f"{self.name} is a file, which takes nothing: a tick runs where it was written",
                "answer here, and take the answers there: lifeos export --answers FILE",
            )
        self.repo.objects.flush()
        uncertain = False  # whether an earlier try may have arrived
        for number in range(TRIES):
            said = self._push_once(updates)
            if said is _Said.MOVED or (said is _Said.LOST and not uncertain):
                if said is _Said.MOVED:
                    self._moved(updates)
                return said is _Said.MOVED
            uncertain = uncertain or said is _Said.LOOK
            tips = self.tips(*(update.ref for update in updates))
            if any(tips.get(update.ref) != update.old for update in updates):
                arrived = all(self._has(update, tips.get(update.ref)) for update in updates)
                if arrived:
                    self._moved(updates)
                return arrived
            self.pause(min(number, 5))  # of 0.64 s at most: the lock of another push is soon gone
        raise Busy(
            f"{self.name} does not move {', '.join(update.ref for update in updates)}:"
            " a lock stays there, or it fails each time",
            f"git push --dry-run {self.name} says more; on a server of your own, remove a stale"
            " .lock file of that reference; then try again",
        )

    def forget(self, refs: Sequence[str]) -> str:
        """Remove references that were for people. Why some are still there, in a line; or ''.

        Nothing depends on them, so it is no error: who wants them gone asks again.
        """
        try:
            there = self.tips(*refs) if refs else {}
            if not there:
                return ""
            leases = [f"--force-with-lease={ref}:{oid}" for ref, oid in there.items()]
            gone = (f":{ref}" for ref in there)
            result = self._call(*_PUSH, *leases, "--end-of-options", self.url, *gone)
            left = self.tips(*there) if result.status != 0 else {}
        except (Busy, NotAuthorised) as error:
            return f"{self.name} did not remove {_named(refs)}: {error.message}"
        except GitTimeout:
            return f"{self.name} did not remove {_named(refs)}: no answer in time"
        if not left:
            return ""
        return f"{self.name} did not remove {_named(left)}: {_refusal(result)}"

    def probe(self) -> None:
        """Ask whether main could be pushed, by pushing what it has, and not for real.

        Raises ``Busy`` or ``NotAuthorised``. Hooks, and a forge's rules for a branch, are not
        asked by git then: those show at a real push only.
        """
        self.refresh()
        if self.main is not None:
            args = ("--dry-run", "--end-of-options", self.url, f"{self.main}:{self.branch}")
            result = self._call(*_PUSH, *args)
            if result.status != 0:
                raise self._unreachable(result.err)

    def _push_once(self, updates: Sequence[Update]) -> _Said:
        leases = [f"--force-with-lease={u.ref}:{u.old or ''}" for u in updates]
        wanted = [f"{u.new}:{u.ref}" for u in updates]
        wanted += [f"+{oid}:{ref}" for ref, oid in self.shown.items()]
        atomic = ["--atomic"] if len(wanted) > 1 else []
        args = (*_PUSH, *atomic, *leases, "--end-of-options", self.url, *wanted)
        try:
            result = self._call(*args)
        except GitTimeout:
            return _Said.LOOK
        return self._read(result, {update.ref for update in updates})

    def _read(self, result: Result, refs: set[str]) -> _Said:
        """What the lines say: ``FLAG\\tFROM:TO\\tWHAT (WHY)`` for each reference."""
        lines = [line.split("\t") for line in result.out.decode("utf-8", "replace").splitlines()]
        flags = {parts[1].rpartition(":")[2]: (parts[0].strip(), parts[2]) for parts in lines
                 if len(parts) == 3}  # fmt: skip
        if not flags and _NO_RIGHT.search(result.err):
            raise self._not_authorised(result.err)
        bad = [why for flag, why in flags.values() if flag == "!" and not _ATOMIC.search(why)]
        if any(flags.get(ref, ("", ""))[0] == "=" for ref in refs):
            return _Said.LOST  # the very same commit, by somebody else
        if any(_MOVED_MEANWHILE.search(why) for why in bad):
            return _Said.LOST
        refused = [why for why in bad if not _LOOK.search(why)]
        if refused:
            raise self._not_authorised(f"{refused[0]}\n{result.err}")
        return _Said.MOVED if result.status == 0 and refs <= set(flags) else _Said.LOOK

    def _has(self, update: Update, tip: str | None) -> bool:
        """Whether the remote's reference has what was pushed, perhaps with more on top."""
        if tip is None or tip == update.new:
            return tip is not None
        fetched = self.fetch(update.ref)
        return fetched is not None and contains(self.repo, fetched, update.new)

    def _moved(self, updates: Sequence[Update]) -> None:
        self.shown.clear()
        for update in updates:
            if update.ref == self.branch:
                self.main = update.new
                self._remember(SEEN_MAIN, update.new)
                self._show_main(update.new)
            elif update.ref == LEDGER:
                self.ledger = update.new
                self._remember(SEEN_LEDGER, update.new)

    def _remember(self, ref: str, oid: str | None) -> None:
        now = self.repo.refs.read(ref)
        if now != oid:  # lost to another lifeos of this clone: it saw something newer
            self.repo.refs.compare_and_swap(ref, oid, now, "lifeos")

    def _show_main(self, oid: str) -> None:
        """Git's own note of where the remote's main is, as ``git push`` would keep it."""
        ref = f"refs/remotes/{self.name}/{self.branch.removeprefix('refs/heads/')}"
        now = self.repo.refs.read(ref)
        if now is not None and contains(self.repo, oid, now):
            self.repo.refs.compare_and_swap(ref, oid, now, "lifeos")

    def _call(self, *args: str) -> Result:
        try:
            return self._git.call(*args, env=_SLOW)
        except GitTimeout:
            if args[0] == "push":
                raise
            raise self._unreachable("no answer in time") from None

    def _unreachable(self, said: str) -> Busy | NotAuthorised:
        if _NO_RIGHT.search(said):
            return self._not_authorised(said)
        return Busy(
            f"{self.name} ({_shown(self.url)}) cannot be reached: {_last(said)}",
            f"git ls-remote {self.name} shows what git sees; then run this again",
        )

    def _not_authorised(self, said: str) -> NotAuthorised:
        return NotAuthorised(
            f"{self.name} ({_shown(self.url)}) refuses: {said.strip()}",
            "use an account that may push there (credentials from the global git configuration"
            " only), or let the rules of that branch allow it",
        )


_PUSH = (
    "push",
    "--porcelain",
    "--no-verify",
    "--no-signed",
    "--no-follow-tags",
    "--recurse-submodules=no",
    "--no-force-if-includes",
)


def _address(repo: Repo, name: str) -> str:
    """The address of a remote as an absolute one: lifeos's git does not run where the person does.

    Raises ``UsageError`` if git does not know the remote, or it could not be used safely.
    """
    result = repo.person.call("remote", "get-url", "--push", "--end-of-options", name)
    url = result.out.decode("utf-8", "surrogateescape").removesuffix("\n")
    if result.status != 0 or not url:
        raise UsageError(
            f"the rules name the remote {name}, which git does not know here",
            f"git remote add {name} URL, or write `remote: none` in .lifeos/config.yaml",
        )
    if url.startswith("-") or "::" in url.split("/", 1)[0] or any(ord(c) < 32 for c in url):
        raise UsageError(
            f"the address of {name} cannot be used: {_shown(url)}",
            f"git remote set-url {name} URL, with https, ssh or a path",
        )
    if _SCHEME.match(url) or _SCP.match(url):
        return url
    return str(Path(repo.work_tree or repo.common_dir, url).resolve())


def is_bundle(address: str) -> bool:
    """Whether this address is that of a bundle, and not of a repository."""
    local = not (_SCHEME.match(address) or _SCP.match(address))
    return local and Path(address).is_file()


def is_bundle_here(repo: Repo, name: str) -> bool:
    """Whether the remote of this name is one. Raises ``UsageError`` if git does not know it."""
    return is_bundle(_address(repo, name))


def contains(repo: Repo, tip: str, commit: str) -> bool:
    """Whether a commit is part of the history of ``tip``; False where one of them is not here."""
    if tip == commit:
        return True
    args = ("merge-base", "--is-ancestor", "--end-of-options", commit, tip)
    result = repo.git.call(*args)
    if result.status in (0, 1):
        return result.status == 0
    if _NO_COMMIT.search(result.err):
        return False
    raise GitError(args, result.status, result.err)


def has_commit(repo: Repo, commit: str) -> bool:
    """Whether a commit is here."""
    try:
        return bool(repo.objects.commit(commit).tree)
    except (KeyError, ValueError):
        return False


def known(repo: Repo, seen: Sequence[str]) -> str | None:
    """The newest of these references that are here: what this clone last heard of the remote."""
    found: str | None = None
    for ref in seen:
        oid = repo.refs.read(ref)
        if oid is not None and (found is None or contains(repo, oid, found)):
            found = oid
    return found


def known_main(repo: Repo, name: str, main: str) -> str | None:
    """The commit that the remote's main was at when this clone last heard of it.

    Before lifeos's first fetch that is what ``git clone`` brought.
    """
    return known(repo, (SEEN_MAIN, f"refs/remotes/{name}/{main}"))


def known_ledger(repo: Repo, name: str) -> str | None:
    """The same for the ledger."""
    return known(repo, (LEDGER, SEEN_LEDGER, f"refs/remotes/{name}/lifeos/ledger"))


_LONGEST = 8.0
"""Seconds between two tries to be first, at most."""


def jittered(chance: Callable[[], float], sleep: Callable[[float], None] = time.sleep) -> (
    Callable[[int], None]
):  # fmt: skip
    """A pause that grows with the number of tries, up to ``_LONGEST``, by chance (0 to 1).

    Each lost race costs the machine as much as a won one. So whoever keeps losing leaves the others
    to it: half a second was too short for fifty at once, of which half then got no turn at all.
    """

    def pause(tries: int) -> None:
        sleep(chance() * min(_LONGEST, 0.02 * 2 ** min(tries, 10)))

    return pause


def _named(refs: Collection[str]) -> str:
    """The first of these references, and how many more there are."""
    first, more = next(iter(refs)), len(refs) - 1
    return f"{first} and {more} more" if more else first


def _refusal(result: Result) -> str:
    """What the remote said of the first reference that it did not change; else git's last word."""
    lines = result.out.decode("utf-8", "replace").splitlines()
    refused = (line.rpartition("\t")[2] for line in lines if line.startswith("!"))
    return next(refused, "") or _last(result.err)


def _shown(url: str) -> str:
    """An address without what opens it."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    named = next((line for line in lines if line.startswith(("fatal:", "error:"))), "")
    return named or (lines[-1] if lines else "no text")
