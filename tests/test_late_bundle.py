"""A result that comes when its claim is gone: kept if it is news, removed if the ledger has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifeos.core.records import Finished
from lifeos.model import FailureClass, Stage
from lifeos.tick.bundle import Bundle, save
from loop_scene import begin_scene


@pytest.mark.parametrize("known", [True, False])
def test_what_the_ledger_does_not_have_is_never_thrown_away(tmp_path: Path, known: bool) -> None:
    """The claim was recorded with another outcome (interrupted, say) before this result came."""
    scene = begin_scene(tmp_path / "repo")
    scene.tick()
    record = next(r for r in scene.records() if isinstance(r, Finished) and r.stage is Stage.BUILD)
    assert record.facts is not None
    bundle = Bundle(record.run, record.stage, record.n, record.nonce, record.facts, {})
    if not known:
        other = record.facts.model_copy(update={"outcome": FailureClass.TIMEOUT})
        bundle = replace(bundle, facts=other)
    private = scene.folder / ".git/lifeos"
    path = save(private / "bundles", bundle)
    scene.write({"note.txt": "something new, so that the tick looks"})
    scene.tick()
    assert not path.exists()
    assert (private / "quarantine" / path.name).exists() is not known
