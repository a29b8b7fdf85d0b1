"""What a forge does in its bare repository: merge, squash, rebase, as GitHub makes the commits."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FORGE = ("GitHub", "noreply@github.com")
Signature = tuple[str, str]


class NotMergeable(Exception):
    """The two sides conflict, or there is nothing to merge."""


@dataclass
class Bare:
    """A bare repository. ``now``: seconds since the epoch, of the next commit."""

    path: Path
    now: int = 0

    def git(self, *args: str, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
        """Run git; gives its output without the last newline."""
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            env=os.environ | dict(env or {}),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            raise AssertionError(f"git {' '.join(args)}: {done.returncode}\n{done.stderr}")
        return done.stdout.removesuffix("\n")

    def tip(self, branch: str) -> str:
        """The commit of a branch; "" where there is none."""
        form = "--format=%(objectname)"
        return self.git("for-each-ref", form, f"refs/heads/{branch}")

    def move(self, ref: str, new: str, old: str) -> bool:
        """Compare and swap. False where somebody was quicker."""
        done = subprocess.run(
            ["git", "update-ref", ref, new, old],
            cwd=self.path,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode == 0

    def commits(self, base: str, head: str) -> list[str]:
        """Those of head that base lacks, oldest first."""
        return self.git("rev-list", "--reverse", "--topo-order", f"{base}..{head}").split()

    def contains(self, tip: str, commit: str) -> bool:
        """Whether a commit is in the history of another."""
        done = subprocess.run(
            ["git", "merge-base", "--is-ancestor", commit, tip],
            cwd=self.path,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode == 0

    def merge_tree(self, ours: str, theirs: str) -> str:
        """The tree of a merge."""
        done = subprocess.run(
            ["git", "merge-tree", "--write-tree", ours, theirs],
            cwd=self.path,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            raise NotMergeable
        return done.stdout.split()[0]

    def commit(
        self, tree: str, parents: list[str], message: str, author: Signature, committer: Signature
    ) -> str:
        """A commit with these people, at ``now``."""
        date = f"{self.now} +0000"
        env = {
            "GIT_AUTHOR_NAME": author[0],
            "GIT_AUTHOR_EMAIL": author[1],
            "GIT_COMMITTER_NAME": committer[0],
            "GIT_COMMITTER_EMAIL": committer[1],
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
        }
        args = [part for parent in parents for part in ("-p", parent)]
        return self.git("commit-tree", tree, *args, stdin=message, env=env)

    def merged(self, base: str, head: str, message: str, author: Signature) -> str:
        """A merge commit, as the button makes it."""
        tree = self.merge_tree(base, head)
        return self.commit(tree, [base, head], message, author, FORGE)

    def squashed(self, base: str, head: str, message: str, author: Signature) -> str:
        """One commit with everything."""
        tree = self.merge_tree(base, head)
        return self.commit(tree, [base], message, author, FORGE)

    def rebased(self, base: str, head: str, committer: Signature) -> str:
        """Each commit again, by its author; whoever merges is the committer of all."""
        tip = base
        for commit in self.commits(base, head):
            parents = self.git("show", "-s", "--format=%P", commit).split()
            if len(parents) != 1:
                raise NotMergeable
            ours = self.git("rev-parse", f"{tip}^{{tree}}")
            beside = self.commit(ours, parents, "beside", FORGE, FORGE)
            tree = self.merge_tree(beside, commit)
            message = self.git("show", "-s", "--format=%B", commit)
            name, email = self.git("show", "-s", "--format=%an%n%ae", commit).split("\n")
            tip = self.commit(tree, [tip], message, (name, email), committer)
        return tip

    def change(self, branch: str, files: Mapping[str, str | None], who: Signature) -> str:
        """A commit on a branch, made from main's tip where it is new; None deletes a file."""
        old = self.tip(branch)
        base = old or self.tip("main")
        index = {"GIT_INDEX_FILE": str(self.path / f"index-{self.now}")}
        self.git("read-tree", base, env=index)
        blobs = {
            text: self.git("hash-object", "-w", "--stdin", stdin=text)
            for text in set(files.values())
            if text is not None
        }
        lines = [
            f"0 {'0' * 40}\t{path}\n" if text is None else f"100644 {blobs[text]}\t{path}\n"
            for path, text in files.items()
        ]
        self.git("update-index", "--index-info", stdin="".join(lines), env=index)
        tree = self.git("write-tree", env=index)
        new = self.commit(tree, [base], f"Change {', '.join(files)[:200]}\n", who, who)
        assert self.move(f"refs/heads/{branch}", new, old or "0" * 40)
        return new

    def guard(self, refs: list[str]) -> None:
        """Refuse pushes to these, in GitHub's words."""
        hook = self.path / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(
            f'#!/bin/sh\nfor ref in {" ".join(refs)}; do if [ "$1" = "$ref" ]; then\n'
            '  echo "error: GH006: Protected branch update failed for $ref." >&2\n'
            '  echo "error: Changes must be made through a pull request." >&2\n'
            "  exit 1\nfi; done\n",
            encoding="utf-8",
        )
        hook.chmod(0o755)
