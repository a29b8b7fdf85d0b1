"""What ``lifeos init --github`` adds: workflow, lock, code owners, and what is left to do.

No one is asked: what is known comes from the repository and the installed lifeos. What only a
person may do, or only the forge's pages offer, is said, with the place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.core.codeowners import PLACES, place_of, with_block
from lifeos.core.policy import Config, Governance, Loop
from lifeos.core.policy.forge import Forge, repository_of
from lifeos.core.workflows import (
    LOCK,
    WORKFLOW,
    Standing,
    needs_lock,
    render_workflow,
    standing,
    wishes_of,
)
from lifeos.errors import UsageError
from lifeos.initial import Hosted

if TYPE_CHECKING:
    from lifeos.store.repo import Repo

REMOTE = "origin"
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True)
class Plan:
    """``files`` are to be written, ``kept`` stay as they are. ``by_hand`` is left to a person."""

    files: Mapping[str, bytes]
    updated: tuple[str, ...]
    kept: tuple[str, ...]
    by_hand: tuple[str, ...]


NOTHING = Plan({}, (), (), ())
"""Without ``--github``."""


def hosted(repo: Repo, login: str, forge_id: int) -> Hosted:
    """What is known of the repository's place, and of how its first approver will answer."""
    found = repository_of(repo.config.get(f"remote.{REMOTE}.url", ""))
    host, name = found or ("", "")
    host = host.removeprefix("ssh.")
    return Hosted(
        remote=REMOTE,
        host=host if _fits(host) else "",
        repository=name,
        lease_seconds=wishes_of(Config(version=1), Loop(version=1)).lease_seconds,
        login=login,
        forge_id=forge_id,
        key="" if forge_id else _signing_key(repo),
    )


def plan(repo: Repo, root: Path, files: Mapping[str, bytes], digest: str) -> Plan:
    """What is to be written beside ``files``, which will be there. ``digest``: lifeos's own.

    Raises ``UsageError`` where the rules cannot be used, or the digest is none.
    """
    from lifeos.cli.init_lock import lock_of
    from lifeos.cli.init_steps import steps

    rules = _rules(root, files)
    wishes = wishes_of(rules.config, rules.loop)
    packages = _template("requirements.lock")
    packages += _template("apprise.lock") if wishes.apprise else ""
    lock, pinned = lock_of(packages, _text(root / LOCK), _digest(digest))
    wanted = {WORKFLOW: workflow_of(rules.config, rules.loop), LOCK: lock}
    write: dict[str, bytes] = {}
    updated, kept = [], []
    edited = False
    if not needs_lock(_text(root / WORKFLOW)):
        del wanted[LOCK]
    for path, text in wanted.items():
        found = standing(_text(root / path), text)
        if found in {Standing.CURRENT, Standing.EDITED}:
            kept.append(path)
            edited |= path == WORKFLOW and found is Standing.EDITED
            continue
        write[path] = text.encode()
        if found is Standing.OLDER:
            updated.append(path)
    _owners(root, rules, write, updated, kept)
    pinned |= LOCK not in wanted
    left = steps(rules, wishes, repo.config, pinned=pinned, edited=edited)
    return Plan(write, tuple(updated), tuple(kept), tuple(left))


def workflow_of(config: Config, loop: Loop) -> str:
    """The workflow that would be written for these rules."""
    template, opencode, digest = (_template(f"{x}.yml") for x in ("lifeos", "opencode", "digest"))
    return render_workflow(template, opencode, digest, wishes_of(config, loop))


def _owners(
    root: Path, rules: Governance, write: dict[str, bytes], updated: list[str], kept: list[str]
) -> None:
    place = place_of([path for path in PLACES if (root / path).is_file()])
    there = _text(root / place)
    text = with_block(there or "", rules.approvals.approvers, place)
    if text == (there or ""):
        kept += [place] if there else []
        return
    write[place] = text.encode()
    updated += [] if there is None else [place]


def _rules(root: Path, files: Mapping[str, bytes]) -> Governance:
    """The rules as they will be: what is there, and what is written where nothing is."""
    from lifeos.core.policy import is_governance
    from lifeos.governance import load_set

    at = {path: text for path, text in files.items() if is_governance(path)}
    for path in list(at):
        if (root / path).is_file():
            at[path] = (root / path).read_bytes()
    loaded = load_set(at)
    if loaded.governance is None:
        raise UsageError(
            "the rules cannot be used, and the workflow is made from them",
            "mend them (lifeos validate), then lifeos init --github",
            problems=loaded.problems,
        )
    return loaded.governance


def _digest(given: str) -> str:
    """The hexadecimal digest in what was given; "" where nothing was."""
    found = _SHA256.fullmatch(given.strip().lower())
    if given and found is None:
        raise UsageError(
            f"{given[:80]!r} is no SHA-256 digest",
            "give the 64 digits that `pip hash` prints for the wheel of lifeos",
        )
    return found[1] if found else ""


def _fits(host: str) -> bool:
    from pydantic import ValidationError

    try:
        return bool(host) and bool(Forge(host=host))
    except ValidationError:
        return False


def _signing_key(repo: Repo) -> str:
    """The public SSH key that git signs with, as one line; "" where it is not set or not found."""
    if _setting(repo, "gpg.format") != "ssh":
        return ""
    value = _setting(repo, "user.signingkey").removeprefix("key::")
    if value.startswith(("ssh-", "ecdsa-", "sk-")):
        return value
    path = Path(value).expanduser()
    for each in (path, path.with_name(f"{path.name}.pub")):
        if value and each.suffix == ".pub" and each.is_file():
            return each.read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _setting(repo: Repo, key: str) -> str:
    result = repo.person.call("config", "--get", key)
    return result.out.decode("utf-8", "replace").strip() if result.status == 0 else ""


def _template(name: str) -> str:
    place = resources.files("lifeos").joinpath("templates").joinpath("workflows")
    return place.joinpath(name).read_text(encoding="utf-8")


def _text(path: Path) -> str | None:
    """A file's text; None where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
