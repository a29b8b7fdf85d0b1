"""A tick packs what it and others left loose, when there is much of it."""

from __future__ import annotations

import hashlib
import subprocess
from itertools import count
from pathlib import Path

from command_line import fresh
from conftest import Git
from lifeos.store.maintenance import MOST_PACKS


def loose(git: Git) -> tuple[int, int]:
    """How many objects are loose, and how many packed."""
    said = dict(line.split(": ") for line in git("count-objects", "-v").splitlines())
    return int(said["count"]), int(said["in-pack"])


def crowd(folder: Path, number: int) -> None:
    """So many loose objects in the one folder that git looks into: ids that begin with 17."""
    texts = []
    for n in count():
        data = str(n).encode()
        oid = hashlib.sha1(b"blob %d\0%s" % (len(data), data), usedforsecurity=False).hexdigest()
        if oid.startswith("17"):
            texts.append(data)
        if len(texts) == number:
            break
    for n, data in enumerate(texts):
        (folder / f"blob{n}").write_bytes(data)
    names = [f"blob{n}" for n in range(number)]
    subprocess.run(
        ["git", "hash-object", "-w", *names], cwd=folder, check=True, capture_output=True
    )
    for name in names:
        (folder / name).unlink()


def test_a_tick_packs_when_there_is_much_and_only_then(tmp_path: Path) -> None:
    """By git's own rule; what no reference names stays, and nothing is lost."""
    project = fresh(tmp_path / "repo")
    project.cli("tick", "--max-tasks", "0")
    assert loose(project.git)[1] == 0
    crowd(project.folder, 28)
    project.cli("tick")
    free, packed = loose(project.git)
    assert packed > 20
    assert free >= 28  # the blobs of nobody
    assert (project.folder / ".git/lifeos/left-loose").read_text() == "28\n"  # not tried again
    project.cli("verify")
    project.git("fsck", "--strict")
    project.cli("approve", project.item().id)
    project.cli("tick")
    assert project.at_main("docs/guide.md") == "hello"


def test_many_packs_are_joined(tmp_path: Path) -> None:
    """Each pack is one more place to look into; nothing is lost when they become one."""
    project = fresh(tmp_path / "repo")
    project.cli("tick", "--max-tasks", "0")
    for number in range(MOST_PACKS + 1):
        project.commit({"number.txt": f"{number}\n"})
        project.git("repack", "-d", "-q")
    packs = project.folder / ".git/objects/pack"
    assert len(list(packs.glob("*.pack"))) > MOST_PACKS
    crowd(project.folder, 28)
    project.cli("tick")
    assert len(list(packs.glob("*.pack"))) == 1
    project.git("fsck", "--strict")
    project.cli("verify")
