"""Committing as the person: their name, their signing, their index left as it is otherwise.

The only place where lifeos makes commits that are not its own; it does so because the person
asked for it in that very command.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from lifeos.errors import UsageError
from lifeos.store.git import GitError
from lifeos.store.repo import Repo

_NO_IDENTITY = 'git config user.name "YOUR NAME" && git config user.email YOU@EXAMPLE.ORG'


def identity(repo: Repo) -> tuple[str, str]:
    """The person's name and e-mail address, as git would use them for a commit.

    Raises ``UsageError`` when git does not know them.
    """
    name = _own("GIT_AUTHOR_NAME") or _config(repo, "user.name")
    email = _own("GIT_AUTHOR_EMAIL") or _config(repo, "user.email")
    if not name or not email:
        raise UsageError("git does not know who you are", _NO_IDENTITY)
    return name, email


def _own(variable: str) -> str:
    return os.environ.get(variable, "").strip()


def _config(repo: Repo, key: str) -> str:
    result = repo.person.call("config", "--get", key)
    return result.out.decode("utf-8", "replace").strip() if result.status == 0 else ""


def _env(repo: Repo) -> Mapping[str, str]:
    name, email = identity(repo)
    env = {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }
    for variable in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        if _own(variable):
            env[variable] = _own(variable)
    return env


def commit_files(repo: Repo, paths: tuple[str, ...], message: str) -> str | None:
    """Commit these files of the work tree on the branch that is checked out, and nothing else.

    What else the person has staged stays staged. None when nothing differs.
    """
    person = repo.person
    person.run("add", "--", *paths)
    if person.call("diff", "--cached", "--quiet", "--", *paths).status == 0:
        return None
    person.run("commit", "--quiet", "--only", "-m", message, "--", *paths, env=_env(repo))
    return repo.refs.head_id()


def commit_tree(repo: Repo, tree: str, *parents: str, message: str, sign: bool = False) -> str:
    """A commit of a tree as the person, on no branch yet. ``sign``: with their SSH key.

    Raises ``UsageError`` when signing fails, with git's own words.
    """
    options = ["-S"] if sign else []
    try:
        out = repo.person.run(
            "commit-tree",
            *options,
            *(part for parent in parents for part in ("-p", parent)),
            "-F",
            "-",
            tree,
            stdin=message.encode(),
            env=_env(repo),
        )
    except GitError as error:
        if options:
            raise UsageError(
                f"the commit could not be signed: {error.stderr}",
                "git config gpg.format ssh && git config user.signingkey ~/.ssh/id_ed25519.pub",
            ) from error
        raise
    return out.decode().strip()
