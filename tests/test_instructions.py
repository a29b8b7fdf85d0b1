"""The repository's AGENTS.md reaches every role of the loop, as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifeos.core.policy.council import Modes, Seat
from lifeos.core.prompts import of_seat
from lifeos.model import Mode
from scripted_model import ScriptedModel, Step, Turn, steps
from scripted_team import Team, part, role_of
from test_agents_in_the_loop import ALL, DONE, HELLO, team_scene

pytestmark = pytest.mark.sandbox

SENTENCE = "Say hello in lower case, as the rest of this project does."


def test_every_role_is_given_the_repositorys_notes_as_data(tmp_path: Path) -> None:
    """Designer, planner, builder and each seat of the council, between marks."""
    seats = tuple(dict.fromkeys((*Modes().seats(Mode.M1), *Modes().seats(Mode.M2))))
    settings = {"council.modes.M1": list(seats), "council.technical_for_code": False}
    team, turns = Team(steps(HELLO, DONE)), []

    def heard(turn: Turn) -> Step:
        turns.append(turn)
        return team(turn)

    with ScriptedModel(heard) as model:
        scene = team_scene(tmp_path, model, settings, ALL)
        scene.commit({"AGENTS.md": f"# Notes\n\n{SENTENCE}\n"})
        scene.tick()
    assert model.faults == []
    given = {role: {part(t, "AGENTS.md") for t in turns if role_of(t) == role} for role in ROLES}
    assert all(texts == {f"# Notes\n\n{SENTENCE}"} for texts in given.values()), given


ROLES = (
    "designer",
    "planner",
    "builder",
    *(of_seat(seat) for seat in Seat if seat is not Seat.UNIFIED),
)
