"""A redaction that is no redaction: ``lifeos verify`` names what was done on its occasion."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from command_line import BOB, TASK, Project, project
from conftest import EMAIL
from lifeos.core.records import Noted, Topic
from lifeos.errors import LedgerBroken
from lifeos.store.exchange import Exchange
from lifeos.store.ledger import Ledger, require_contains
from lifeos.store.redactions import (
    ABOUT,
    FOLDER_NAME,
    FORMER,
    chain_of,
    folder_of,
    placeholder_id,
    redactions_of,
)
from lifeos.store.repo import Repo
from lifeos.store.trees import edit, lookup
from lifeos.tick.audit import Area
from redact_scene import (
    blob_at,
    named,
    paths_at,
    redact,
    redacted,
    rejected,
    rewritten,
    run_of,
)
from test_verify import LEDGER, Step, findings, one, steps_of, write


@pytest.fixture
def scene(tmp_path: Path) -> Project:
    """A repository in which a run landed, and its plan was redacted."""
    return project(tmp_path, "redact-done", redacted)


def test_more_than_the_content_was_changed(scene: Project) -> None:
    """Somebody who can push uses the occasion: what was before does not come out any more."""
    run = run_of(scene)
    steps = steps_of(scene)
    place = one(steps, "finished", stage="design")
    rewritten(scene, steps, place, {f"runs/{run}/1/design.md": b"another design\n"})
    named(scene, "does not come out of what it is now", Area.REDACTIONS)
    assert "does not stand" in scene.cli("redact", "--accept", code=1).err


def test_a_record_was_changed(scene: Project) -> None:
    """Nor with the content of a record."""
    steps = steps_of(scene)
    place = one(steps, "finished", stage="build_review")
    steps[place] = steps[place].saying(rule="retries_left")
    write(scene, steps)
    named(scene, "does not come out of what it is now", Area.REDACTIONS)


def test_a_placeholder_that_nobody_ordered(scene: Project) -> None:
    """Content that is another one is altered, whatever it says of itself."""
    run = run_of(scene)
    with Repo.open(scene.folder) as repo:
        (known,) = redactions_of(repo, scene.tip())
        text = known.about.placeholder()
    steps = steps_of(scene)
    place = one(steps, "finished", stage="design")
    rewritten(scene, steps, place, {f"runs/{run}/1/design.md": text})
    named(scene, "design.md is not what the record names", Area.EVIDENCE)


def with_about(scene: Project, steps: list[Step], **values: str) -> None:
    """The redaction says something else of itself, in its files and in its record."""
    place = one(steps, "noted", topic="redacted")
    with Repo.open(scene.folder) as repo:
        path = next(p for p in paths_at(scene) if p.startswith(FOLDER_NAME) and "about" in p)
        leaf = lookup(repo.objects, steps[place].tree, path)
        assert leaf is not None
        value = json.loads(repo.objects.read(leaf.oid)[1]) | values
        blob = repo.objects.write_blob(json.dumps(value, separators=(",", ":")).encode())
        tree = edit(repo.objects, steps[place].tree, {path: ("100644", blob)})
        repo.objects.flush()
    steps[place] = replace(steps[place].saying(commit=value["order"]), tree=tree)
    write(scene, steps)


def test_another_digest(scene: Project) -> None:
    """What it was cannot be told otherwise afterwards, though git's ids come out all the same."""
    with Repo.open(scene.folder) as repo:
        (known,) = redactions_of(repo, scene.tip())
        old, about = known.about, known.about.model_copy(update={"digest": "0" * 64})
        put = {placeholder_id(repo, old): repo.objects.write_blob(about.placeholder())}
        chain = chain_of(repo, scene.tip())[about.first - 1 : -1]
        tip = Exchange(repo, put, store=True).chain(chain)[-1]
        repo.objects.flush()
        scene.git("update-ref", LEDGER, tip)
        record = Noted(
            at=about.at,
            topic=Topic.REDACTED,
            digest=about.digest,
            commit=about.order,
            onto=about.tip,
            tree=about.blob,
            who=about.who,
            text=about.note,
        )
        files = {
            ABOUT: about.model_dump_json().encode(),
            FORMER: "\n".join(known.former).encode(),
        }
        folder = folder_of(about.order)
        artifacts = {f"{folder}/{name}": data for name, data in files.items()}
        Ledger.at(repo, tip).append(record, artifacts=artifacts)
    found = [one.what for one in findings(scene)]
    assert len(found) == 3, found
    assert "is about something else" in str(found)
    assert "plan.md is not what the record names" in str(found)
    assert "the ledger lacks it: a rewind" in str(found)


@pytest.mark.parametrize(
    ("who", "message", "what"),
    [
        (BOB, "", "is not an approver's"),
        (EMAIL, "Lifeos-Redacts: 0\n", "is about something else"),
    ],
)
def test_an_order_that_is_none(scene: Project, who: str, message: str, what: str) -> None:
    """By somebody who may not; or for something else."""
    said = message or scene.git("log", "-1", "--format=%B", "--grep=Lifeos-Redacts: ", "main")
    order = scene.commit({}, f"--message={said}", author=who, committer=who)
    with_about(scene, steps_of(scene), order=order)
    named(scene, what, Area.REDACTIONS)


def test_an_order_that_is_not_on_main(scene: Project) -> None:
    """It was taken off main again, or never was there."""
    scene.git("update-ref", "refs/heads/main", "main~1")
    named(scene, "is not on main", Area.REDACTIONS)


def test_a_rewind_that_claims_to_be_a_redaction(scene: Project) -> None:
    """A list of former ids alone opens no door: a clone that has seen more still refuses."""
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        seen = redactions_of(repo, ledger.tip)[0].about.tip
        require_contains(repo, ledger, seen, "this clone has seen")
    steps = steps_of(scene)
    place, last = one(steps, "resolved"), one(steps, "noted", topic="redacted")
    kept = [*steps[:place], steps[last]]
    write(scene, kept, renumber=True)
    for name in ("state", "redactions"):
        (scene.folder / ".git/lifeos/cache" / name).unlink(missing_ok=True)
    with Repo.open(scene.folder) as repo:
        tip = repo.refs.read(LEDGER)
        assert tip is not None
        with pytest.raises(LedgerBroken, match="rewound or replaced"):
            require_contains(repo, Ledger.at(repo, tip), seen, "this clone has seen")


def test_a_packet_altered_after_a_redaction(scene: Project) -> None:
    """What was not redacted is checked as before."""
    steps = steps_of(scene)
    path = next(p for p in paths_at(scene) if p.endswith("/packet.json"))
    rewritten(scene, steps, one(steps, "closed"), {path: b"{}\n"})
    named(scene, "is not what the record names", Area.PACKETS)


def test_a_placeholder_put_in_later(tmp_path: Path) -> None:
    """A real placeholder proves nothing of what came after the redaction."""
    scene = project(tmp_path, "redact-rejected", rejected)
    run = run_of(scene)
    redact(scene, blob_at(scene, f"runs/{run}/task.md"))
    scene.cli("retry", TASK)
    scene.cli("tick")
    with Repo.open(scene.folder) as repo:
        (known,) = redactions_of(repo, scene.tip())
    steps = steps_of(scene)
    place = max(n for n, step in enumerate(steps) if step.record["kind"] == "opened")
    path = f"runs/{run_of(scene)}/task.md"
    rewritten(scene, steps, place, {path: known.about.placeholder()})
    named(scene, f"{path} is not the task that the record names", Area.EVIDENCE)


def test_files_that_no_redaction_put_there(scene: Project) -> None:
    """What says that something was redacted comes with the transition that says so."""
    steps = steps_of(scene)
    place = one(steps, "noted", topic="redacted")
    steps[place] = steps[place].saying(text="Another reason")
    write(scene, steps)
    named(scene, "it does not say what its files say was redacted", Area.REDACTIONS)


def test_a_list_of_former_ids_that_grew(scene: Project) -> None:
    """What was proved once is remembered of that list alone: a longer one hides no rewind."""
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        (known,) = redactions_of(repo, ledger.tip)
        require_contains(repo, ledger, known.about.tip, "is there")  # and remember it
        record = Noted(at=ledger.snapshot.at, topic=Topic.RETRY, task="LO-x")
        dropped = ledger.append(record)
        former = "\n".join((*known.former, dropped)).encode()
        ledger = Ledger.at(repo, scene.git("rev-parse", f"{dropped}~1"))
        path = f"{folder_of(known.about.order)}/{FORMER}"
        scene.git("update-ref", LEDGER, ledger.tip)
        rewound = Ledger.at(repo, ledger.append(record, artifacts={path: former}))
        require_contains(repo, rewound, ledger.tip, "is there")
        with pytest.raises(LedgerBroken, match="rewound or replaced"):
            require_contains(repo, rewound, dropped, "this clone has seen")
