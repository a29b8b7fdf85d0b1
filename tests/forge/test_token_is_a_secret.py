"""The token of the forge is a secret like the key of a model, whatever its variable is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifeos.core.records import Finished
from loop_scene import begin_scene

HALVES = ("Nq7-plain", "-looking-Zr4x")
BACKLOG = f"""\
# Backlog

- [ ] **LO-aaaaaa** Say hello in the guide
  - scope: `docs/**`

  ```sh recipe
  mkdir docs && printf '%s%s' {HALVES[0]} {HALVES[1]} > docs/guide.md
  ```
"""


@pytest.mark.parametrize(("kind", "ended"), [("github", ["secret"]), ("none", [])])
def test_work_with_the_token_in_it_is_not_recorded(
    tmp_path: Path, kind: str, ended: list[str]
) -> None:
    """Its name does not tell that it is secret, the configuration does; its value stays out."""
    settings = {"config.forge.kind": kind, "config.forge.token_env": "DOOR"}
    scene = begin_scene(tmp_path / "repo", settings, backlog=BACKLOG)
    scene.environ["DOOR"] = "".join(HALVES)
    scene.tick()
    facts = [r.facts for r in scene.records() if isinstance(r, Finished) and r.stage == "build"]
    assert facts
    assert facts[0] is not None
    assert [breach.kind for breach in facts[0].breaches] == ended
