"""What a question is about, apart from bookkeeping: by the right prefix, and remembered."""

from __future__ import annotations

import json
import os
import time
import zlib
from pathlib import Path

import pytest

from command_line import Project, asking, project
from lifeos.core.backlog.edit import normalise
from lifeos.core.backlog.entry import Backlog
from lifeos.core.backlog.parse import parse
from lifeos.core.facts import Facts
from lifeos.core.questions import subject_of
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.contents import contents_of
from lifeos.tick.context import Context, World
from lifeos.tick.reading import content_of
from loop_scene import BACKLOG, begin_scene

LETTERS = BACKLOG.replace("LO-", "AB-")


def lettered(folder: Path) -> Project:
    """As `asking`, in a repository whose ids begin with AB."""
    scene = begin_scene(folder, {"config.id_prefix": "AB"}, backlog=LETTERS)
    made = Project(folder, int(time.time()) - 600, scene.nonces)
    made.tick()
    return made


def context(scene: Project, repo: Repo) -> Context:
    """What a new tick would begin with."""
    ledger = Ledger.open(repo)
    assert ledger is not None
    return Context(repo, ledger, World(clock=scene.clock, environ=dict(os.environ)))


def cache_of(scene: Project) -> Path:
    return scene.folder / ".git/lifeos/cache/contents"


def test_ids_of_ones_own_are_no_content_wherever_it_is_computed(tmp_path: Path) -> None:
    """With `id_prefix: AB`: to ask, to answer, to land and to verify, AB-aaaaaa is bookkeeping."""
    scene = project(tmp_path, "lettered", lettered)
    item, run = scene.item(), scene.run()
    with Repo.open(scene.folder) as repo:
        plain = {run.id: content_of(repo, run.work, "AB")}
        assert plain[run.id] != content_of(repo, run.work, "LO")
    facts = Facts(main="", contents=plain)
    assert item.subject == subject_of(scene.snapshot(), facts, run, item.id, item.kind, "")
    scene.cli("approve", "AB-aaaaaa")
    scene.cli("tick")
    assert "- [x] **AB-aaaaaa** Say hello" in scene.at_main("BACKLOG.md")
    scene.cli("verify")


def test_what_was_computed_once_is_remembered_between_ticks(tmp_path: Path) -> None:
    """The whole backlog is read once for a work tree, not in each tick; verify reads it again."""
    scene = project(tmp_path, "asking", asking)
    run = scene.run()
    with Repo.open(scene.folder) as repo:
        right = content_of(repo, run.work, "LO")
        plant(scene, json.dumps({f"LO {run.work}": "only from the file"}).encode())
        assert contents_of(context(scene, repo), [run]) == {run.id: "only from the file"}
        plant(scene, json.dumps({f"XX {run.work}": "of another prefix"}).encode())
        assert contents_of(context(scene, repo), [run]) == {run.id: right}
        assert contents_of(context(scene, repo), [run]) == {run.id: right}
    plant(scene, json.dumps({f"LO {run.work}": "only from the file"}).encode())
    scene.cli("verify")


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"LO":1}', b"\xff", b"[1]", b""])
def test_a_foreign_memory_is_computed_anew(tmp_path: Path, body: bytes) -> None:
    """Data of another shape, a torn file, another key: never a result."""
    scene = project(tmp_path, "asking", asking)
    run = scene.run()
    whole = cache_of(scene).read_bytes()
    with Repo.open(scene.folder) as repo:
        right = {run.id: content_of(repo, run.work, "LO")}
        plant(scene, body)
        assert contents_of(context(scene, repo), [run]) == right
        assert cache_of(scene).read_bytes() == whole
        for torn in (whole[:-2], b"another key" + whole):
            cache_of(scene).write_bytes(torn)
            assert contents_of(context(scene, repo), [run]) == right


def test_a_backlog_that_the_tick_has_read_is_not_read_again() -> None:
    """What was parsed of these very bytes is what marks and ids are taken off by."""
    data = LETTERS.encode()
    parsed = parse(data, id_prefix="AB")
    assert normalise(data, id_prefix="AB", parsed=parsed) == normalise(data, id_prefix="AB")
    assert normalise(data, id_prefix="AB", parsed=Backlog()) == data


def plant(scene: Project, body: bytes) -> None:
    """Put another body, with a right checksum, under the key that is there."""
    key = cache_of(scene).read_bytes().partition(b"\n")[0]
    cache_of(scene).write_bytes(b"%s\n%d\n%s" % (key, zlib.crc32(body), body))
