"""Two clones that land one approved proposal at once: one of them does, and main has it once."""

from __future__ import annotations

import os
import time
from pathlib import Path

from clones import Hub, begin_hub, end, start
from command_line import Project
from improve_scene import DOCS, LOOP, RULE, not_of_told, tell
from lifeos.core.records import Noted, Topic
from lifeos.store.repo import Repo
from lifeos.tick.begin import opened
from lifeos.tick.context import World

BOTH_THERE = """\
[ "$1" = refs/heads/main ] || exit 0
touch "$GIT_DIR/there-$$"
n=0
while [ $n -lt 600 ] && [ "$(ls "$GIT_DIR" | grep -c ^there-)" -lt 2 ]; do
    n=$((n + 1))
    sleep 0.1
done
exit 0
"""
"""A hook of the remote: whoever pushes main first waits until both want to."""


def asked(folder: Path) -> tuple[Hub, Project]:
    """A proposal is asked on the remote; nothing else is open."""
    hub, scene = begin_hub(folder, {"loop.checkpoints": [DOCS]}, "# Backlog\n")
    scene.cli("tick")
    with Repo.open(scene.folder) as repo:
        ctx = opened(repo, World(environ=dict(os.environ)))
        tell(ctx.ledger, ctx.main(), 10, RULE)
        ctx.ledger.flush()
    scene.cli("improve")
    return hub, scene


def wait_until(hub: Hub) -> None:
    """Until somebody has noted a commit and wants to push main."""
    until = time.monotonic() + 120
    while not any(hub.folder.glob("there-*")):
        assert time.monotonic() < until, "nobody came"
        time.sleep(0.02)


def test_one_of_two_lands_it(tmp_path: Path) -> None:
    """Both note a commit and push; one push wins, its rules are adopted once, and both end well."""
    hub, scene = asked(tmp_path)
    other = hub.clone("other")
    item = scene.item()
    scene.cli("approve", item.id)
    scene.git("push", "--quiet", "origin", "main")
    hub.hook("update", BOTH_THERE)
    first = start(scene, "tick", "-q")
    wait_until(hub)
    time.sleep(1.1)  # in one second both would make the very same commit
    ended = [end(process) for process in (first, start(other, "tick", "-q"))]
    assert [code for code, _ in ended] == [0, 0], ended
    hub.no_hook("update")
    scene.cli("tick")
    notes = [r for r in scene.records() if isinstance(r, Noted)]
    noted = [each.commit for each in notes if each.topic is Topic.LANDING]
    (landed,) = (each.commit for each in notes if each.topic is Topic.LANDED)
    assert len(noted) == 2
    assert landed in noted
    listed = hub.git("log", "--format=%H", f"--grep=^Lifeos-Item: {item.id}", "main")
    assert listed.splitlines() == [landed]
    assert hub.git("show", f"main:{LOOP}").count('"risk": "medium"') == 1
    assert scene.snapshot().trials[item.id].landed == landed
    data = scene.cli("verify", "--json", code=None).data
    assert not_of_told(each["what"] for each in data["findings"]) == []
