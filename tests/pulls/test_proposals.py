"""Proposals where an approver's merge is the answer: as an approval, or as the change itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from improve_scene import DOCS, LOOP, RULE, not_of_told, tell
from lifeos.core.records import Topic
from lifeos.core.state import Item
from lifeos.core.table import INTRUDED
from lifeos.store.repo import Repo
from lifeos.tick.begin import opened
from lifeos.tick.context import World
from lifeos.tick.verify import verify_ledger
from pull_scene import OnForge, on_forge

RISK = '"risk": "medium"'
SETTINGS = {"loop.improve.after": 10, "loop.checkpoints": [DOCS]}


@pytest.fixture(params=["direct", "pr"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnForge]:
    """A proposal is asked: ten questions by the checkpoint were approved within a second each."""
    settings = {**SETTINGS, "config.main_writes": request.param}
    with on_forge(tmp_path, settings, backlog="# Backlog\n") as made:
        if request.param == "pr":
            made.forge.protect("main")
        made.tick()
        told(made, 10, RULE)
        made.tick()
        yield made


def told(scene: OnForge, count: int, rule: str = "") -> None:
    """So many runs more, on the forge's ledger."""
    world = World(clock=scene.clock, nonce=scene.nonce, environ=scene.environ)
    with Repo.open(scene.folder) as repo:
        ctx = opened(repo, world)
        tell(ctx.ledger, ctx.main(), count, rule)
        ctx.ledger.flush()
        scene.now = max(scene.now, ctx.ledger.snapshot.at)


def by_pr(scene: OnForge) -> bool:
    """Whether main only takes pull requests."""
    (item,) = scene.snapshot().items.values()
    assert item.pull is not None
    return item.pull.landing


def proposal(scene: OnForge) -> Item:
    """The only open question, which is about a proposal."""
    item = scene.item()
    assert item.proposed is not None
    return item


def found(scene: OnForge) -> list[str]:
    """What a verification finds, of all that is not only told."""
    scene.git("fetch", "--quiet", "origin")
    with Repo.open(scene.folder) as repo:
        ctx = opened(repo, World(clock=scene.clock, environ=scene.environ))
        verified = verify_ledger(repo, ctx.ledger.tip, ctx.main())
    return not_of_told(each.what for each in verified.findings)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_merge_lands_it(scene: OnForge, method: str) -> None:
    """Main has the change, the rules are adopted by reference to the answer, nothing is asked."""
    item, carries = proposal(scene), by_pr(scene)
    title = scene.pull().title
    assert title.startswith("WEAKENS A GATE: ")
    assert (RISK in scene.hub("show", f"lifeos/queue/{item.id}:{LOOP}")) is carries
    scene.merge(method=method)
    scene.tick()
    assert RISK in scene.at_hub(LOOP)
    (landed,) = scene.notes(Topic.LANDED)
    assert landed.digest == scene.snapshot().governance
    assert scene.notes(Topic.GOVERNANCE) == []
    assert scene.snapshot().items == {}
    assert scene.snapshot().trials[item.id].landed == landed.commit
    assert found(scene) == []


def test_a_close_drops_it(scene: OnForge) -> None:
    """An approver's word; main is as it was."""
    scene.forge.close(scene.pull().number, by="ann")
    scene.tick()
    assert scene.snapshot().items == {}
    assert RISK not in scene.at_hub(LOOP)
    assert scene.notes(Topic.LANDED) == []


def test_changes_requested_drop_what_cannot_be_drafted_otherwise(scene: OnForge) -> None:
    """With the comment on the record."""
    scene.forge.review(scene.pull().number, by="bob", state="CHANGES_REQUESTED", body="nicer")
    scene.tick()
    assert scene.snapshot().items == {}
    assert len(scene.notes(Topic.DROPPED)) == 1


def test_a_strangers_merge_adopts_nothing(scene: OnForge) -> None:
    """What reached main is asked about; an approval that only a stranger gave means nothing."""
    adopted, carries = scene.snapshot().governance, by_pr(scene)
    scene.merge(by="adm")
    scene.tick()
    assert scene.snapshot().governance == adopted
    assert scene.notes(Topic.LANDED) == []
    assert (RISK in scene.at_hub(LOOP)) is carries
    rules = {item.rule for item in scene.snapshot().items.values()}
    assert (INTRUDED in rules) is carries


def test_rules_that_change_under_it_close_it(scene: OnForge) -> None:
    """It is asked anew, by another pull request; the old one cannot be merged any more."""
    old = proposal(scene)
    assert old.pull is not None
    text = scene.at_hub(LOOP).replace('"tasks_per_tick": 10', '"tasks_per_tick": 9')
    scene.forge.push_to("main", {LOOP: text}, by="ann")
    scene.tick()
    new = proposal(scene)
    assert new.id != old.id
    assert scene.forge.get(old.pull.number).state == "closed"
    scene.merge()
    scene.tick()
    assert RISK in scene.at_hub(LOOP)
    assert '"tasks_per_tick": 9' in scene.at_hub(LOOP)
    assert found(scene) == []


LEAVES = """\
# Backlog

## P0

- [ ] **LO-aaaaaa** Make the module
  - scope: `src/**`

  ```sh recipe
  mkdir -p src && printf '# TODO: retry on 5xx\\n' > src/hook.py
  ```

## P3

- [-] **LO-yyyyyy** Something that nobody wants
"""


def test_a_task_whose_place_has_changed_is_asked_anew(tmp_path: Path) -> None:
    """It would still fit, beside the other one that came; but the forge cannot merge that."""
    settings = {"loop.improve.after": 1, "config.main_writes": "pr"}
    with on_forge(tmp_path, settings, backlog=LEAVES) as made:
        made.forge.pusher = made.forge.who("ann")
        made.forge.protect("main")
        made.to_landing()
        made.merge()
        made.tick()
        made.tick()
        old = proposal(made)
        other = made.at_hub("BACKLOG.md") + "\n\n- [-] **LO-xxxxxx** One more\n"
        made.forge.push_to("main", {"BACKLOG.md": other}, by="ann")
        made.tick()
        assert proposal(made).id != old.id
        made.merge()
        made.tick()
        backlog = made.at_hub("BACKLOG.md")
        assert "Do what LO-aaaaaa left for later" in backlog
        assert "LO-xxxxxx" in backlog
        assert found(made) == []
