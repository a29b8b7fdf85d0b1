"""``tick.where`` holds for the parts of a tick that decide, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Project
from lifeos.core.records import Claimed
from loop_scene import begin_scene


@pytest.mark.parametrize(
    ("where", "ci", "goes"),
    [("ci", "true", True), ("local", "true", False), ("ci", "", False), ("local", "", True)],
)
def test_claims_are_made_where_the_rules_let_ticks_run(
    tmp_path: Path, where: str, ci: str, goes: bool
) -> None:
    """With ``local`` no CI machine claims, and with ``ci`` no other one does; both say so."""
    made = begin_scene(tmp_path / "repo", {"config.tick": {"where": where}})
    project = Project(made.folder, made.now, made.nonces)
    args = ("ci", "claim", "--out", str(tmp_path / "claims"))
    said = project.cli(*args, code=0 if goes else 2, CI=ci)
    assert ("tick.where" in said.err) is not goes
    assert any(isinstance(record, Claimed) for record in project.records()) is goes
