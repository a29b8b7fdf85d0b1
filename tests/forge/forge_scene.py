"""A forge with pull requests, ready for a test: a bare repository, people, and an address.

    with live_forge(tmp_path) as forge:
        forge.host                    # 127.0.0.1:PORT, for `forge: host:`; forge.name: OWNER/NAME
        forge.bare                    # push and fetch here
        forge.who("ann").token        # ann, bob: write; adm: admin; eve: read; bots, too
        forge.merge(1, by="ann")      # what people do there; see `live_forge.Forge`

What `lifeos doctor` asks is answered from ``forge.reading`` (`fake_github`), as its tests set it.
It asks nothing of the network, and nothing of lifeos. Without GitHub's description, whose examples
its answers are made from, the test is skipped; in CI it fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import EMAIL, NAME
from github_judge import required
from live_forge import Forge
from live_git import Bare
from live_http import Answers
from loopback import Stage, before_the_judge, listening

#: The number of the account that acts for workflows, on GitHub.com.
WORKFLOW = 41_898_282


def forge_in(folder: Path, seed: Path | None = None) -> Forge:
    """A forge with a bare repository in ``folder``: a copy of ``seed``, or one commit on main."""
    bare = folder / "forge.git"
    if seed is not None:
        Bare(folder).git("clone", "--quiet", "--bare", "--no-local", str(seed), str(bare))
    else:
        Bare(folder).git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        git = Bare(bare, 1_735_689_600)
        tree = git.git("mktree", stdin=_readme(git))
        new = git.commit(tree, [], "Begin\n", (NAME, EMAIL), (NAME, EMAIL))
        git.git("update-ref", "refs/heads/main", new)
    forge = Forge(bare)
    for number, (login, may) in enumerate(
        {"ann": "write", "bob": "write", "adm": "admin", "eve": "read", "out": "none"}.items(), 101
    ):
        forge.account(login, number, may=may)
    forge.account("github-actions[bot]", WORKFLOW, "Bot")
    forge.account("lifeos-app[bot]", 501, "Bot")
    return forge


def _readme(git: Bare) -> str:
    blob = git.git("hash-object", "-w", "--stdin", stdin="# A project\n")
    return f"100644 blob {blob}\tREADME.md\n"


@contextmanager
def live_forge(folder: Path, seed: Path | None = None) -> Iterator[Forge]:
    """A forge that answers, until the test ends. Nothing judges what is asked and answered."""
    required()
    forge = forge_in(folder, seed)
    stage = Stage()
    stage.backend = Answers(forge)
    with listening(stage) as port:
        forge.host = f"127.0.0.1:{port}"
        yield forge


def judged_forge(folder: Path) -> Forge:
    """A forge behind the judge, which refuses what GitHub would not take, or not answer.

    There is one judge, so there is one such forge at a time.
    """
    forge = forge_in(folder)
    forge.host = f"127.0.0.1:{before_the_judge(Answers(forge))}"
    return forge
