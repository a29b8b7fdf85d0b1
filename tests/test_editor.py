"""The rules in an editor: the server that VS Code, Neovim and Helix ask about YAML knows them.

Real `lifeos init`, the real YAML language server; the schemas are found by the first line of each
file alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import Project, fresh, project
from language_server import Server, server

FILES = (
    "policies/loop.yaml",
    "policies/envelope.yaml",
    "policies/approvals.yaml",
    "policies/council.yaml",
    ".lifeos/config.yaml",
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository as `init` leaves it, in a folder with a space in its name."""
    return project(tmp_path_factory.mktemp("an editor"), "editor", fresh)


@pytest.fixture(scope="module")
def editor(here: Project) -> Iterator[Server]:
    """The server, with that repository open."""
    here.cli("schema", "--write")
    with server(here.folder) as found:
        yield found


def written(here: Project, name: str) -> tuple[Path, str]:
    """A file, and what is in it."""
    file = here.folder / name
    return file, file.read_text(encoding="utf-8")


def place(text: str, words: str) -> tuple[int, int]:
    """Line and column, from 0, at which these words begin."""
    before = text[: text.index(words)]
    return before.count("\n"), len(before.rpartition("\n")[2])


@pytest.mark.parametrize("name", FILES)
def test_what_init_writes_is_good(here: Project, editor: Server, name: str) -> None:
    """No complaint about a file that lifeos wrote itself; and its schema was found."""
    file, text = written(here, name)
    assert editor.problems(file, text) == []
    assert editor.problems(file, f"{text}\nnothing_of_the_kind: 1\n")


def test_a_misspelt_key_and_a_wrong_value_are_marked_where_they_stand(
    here: Project, editor: Server
) -> None:
    """By the schema, with its words; before anything is committed."""
    file, text = written(here, "policies/loop.yaml")
    wrong = text.replace("autonomy: ", "autonomie: ", 1)
    (found,) = editor.problems(file, wrong)
    assert "autonomie" in found["message"]
    assert found["range"]["start"]["line"] == place(wrong, "autonomie: ")[0]
    value = text.partition("\nautonomy: ")[2].partition("\n")[0].split()[0]
    wrong = text.replace(f"\nautonomy: {value}", "\nautonomy: sometimes", 1)
    (found,) = editor.problems(file, wrong)
    assert '"supervised"' in found["message"]
    assert found["range"]["start"]["line"] == place(wrong, "sometimes")[0]
    wrong = text.replace("tasks_per_tick: 10", "tasks_per_tick: ten", 1)
    (found,) = editor.problems(file, wrong)
    assert "integer" in found["message"]


def test_keys_and_values_are_offered_as_one_types(here: Project, editor: Server) -> None:
    """At the beginning of a line and behind a key."""
    file, text = written(here, "policies/loop.yaml")
    first = text.partition("\n")[0]
    typed = f"{first}\nauto"
    keys = labels(editor.at("completion", file, typed, (1, 4)))
    assert "autonomy" in keys
    typed = f"{first}\nautonomy: "
    values = labels(editor.at("completion", file, typed, (1, len("autonomy: "))))
    assert {"supervised", "exceptions", "full"} <= set(values)


def labels(found: Any) -> list[str]:
    """What is offered."""
    return [one["label"] for one in found["items"]]


def test_a_key_is_explained(here: Project, editor: Server) -> None:
    """With the description of the policy's reference."""
    file, text = written(here, "policies/loop.yaml")
    line, column = place(text, "tasks_per_tick:")
    found = editor.at("hover", file, text, (line, column + 2))
    assert found is not None
    schema = json.loads(here.cli("schema", "loop").out)
    assert schema["properties"]["tasks_per_tick"]["description"] in str(found["contents"])


def test_a_fresh_clone_has_to_be_given_them(here: Project, editor: Server, tmp_path: Path) -> None:
    """Without the schemas it says what it lacks; `schema --write`, and it has them next time."""
    here.git("clone", "--quiet", str(here.folder), str(tmp_path / "clone"))
    _, text = written(here, "policies/loop.yaml")
    there, wrong = tmp_path / "clone/policies/loop.yaml", f"{text}\nnothing_of_the_kind: 1\n"
    (found,) = editor.problems(there, wrong)
    assert "loop.json" in found["message"]
    here.cli("schema", "--write", at=tmp_path / "clone")
    with server(tmp_path / "clone") as anew:
        (found,) = anew.problems(there, wrong)
    assert "nothing_of_the_kind" in found["message"]
