"""Several attempts at once, in one tick."""

from __future__ import annotations

import threading
from pathlib import Path

from lifeos.core.records import Finished
from lifeos.model import FailureClass
from lifeos.tick.context import Limits
from loop_scene import BACKLOG, begin_scene, changed

FIRST = """\
until [ -e {there}/other-builds ]; do sleep 0.05; done
  if [ ! -e {there}/failed ]; then touch {there}/failed; exit 1; fi
  until [ -e {there}/go ]; do sleep 0.05; done
  mkdir -p docs && echo hello > docs/guide.md"""
OTHER = """\
touch {there}/other-builds
  until [ -e {there}/recorded-while-it-ends ]; do sleep 0.05; done
  mkdir -p lib && echo hello > lib/guide.md"""


def test_the_next_attempt_of_a_run_is_not_taken_for_lost(tmp_path: Path) -> None:
    """What an attempt left is recorded, and the next one begun, before its thread has ended.

    So when that thread ends, an attempt of the same run goes on.
    """
    recipe = "mkdir -p docs && echo hello > docs/guide.md"
    other = BACKLOG.partition("## P0\n\n")[2].replace("LO-aaaaaa", "LO-bbbbbb")
    other = other.replace("docs/guide.md", "lib/guide.md").replace("docs/**", "lib/**")
    other = changed(other, "mkdir -p docs && echo hello > lib/guide.md", OTHER)
    backlog = changed(BACKLOG, recipe, FIRST) + "\n" + other
    scene = begin_scene(tmp_path / "repo", backlog=backlog.replace("{there}", str(tmp_path)))
    launched = threading.Event()

    def trace(point: str) -> None:
        ended = tmp_path / "recorded-while-it-ends"  # what the other build waits for
        first = (tmp_path / "failed").exists() and not ended.exists()
        if first and point == "bundle:after:complete":
            ended.touch()
            assert launched.wait(60)

    def watch(line: str) -> None:
        if line.startswith("build 6 of"):
            launched.set()
        if line.startswith("CEO_REVIEW") or "interrupted" in line:
            (tmp_path / "go").touch()

    scene.tick(Limits(jobs=3), trace, watch)
    records = scene.records()
    finished = [record.facts for record in records if isinstance(record, Finished)]
    outcomes = [facts.outcome for facts in finished if facts is not None]
    assert FailureClass.INTERRUPTED not in outcomes, "\n".join(scene.said)
    assert len(scene.snapshot().items) == 2, "\n".join(scene.said)
