"""Answers that no longer come by merges: what asked for them is closed, and asked anew."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from command_line import Project
from conftest import require
from lifeos.core.records import Resolved
from lifeos.core.table import INTRUDED
from lifeos.errors import Busy
from lifeos.model import CloseOutcome
from pull_copies import At, at_point
from pull_scene import WORK, OnForge

APPROVALS = "policies/approvals.yaml"
CONFIG = ".lifeos/config.yaml"


def public_key(path: Path) -> str:
    """A new key pair."""
    there = shutil.which("ssh-keygen") is not None
    require("ssh-keygen", there, "apt-get install openssh-client")
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(make, check=True)
    return path.with_suffix(".pub").read_text(encoding="utf-8").strip()


def other_trust(scene: OnForge, folder: Path, trust: str) -> None:
    """An approver changes how answers come: signed, or by commits and without a forge."""
    value = json.loads(scene.at_hub(APPROVALS)) | {"trust": trust}
    config = json.loads(scene.at_hub(CONFIG)) | {"main_writes": "direct"}
    if trust == "signature":
        for who in value["approvers"]:
            who["key"] = public_key(folder / who["name"])
    else:
        config["forge"] = {"kind": "none"}
    files: dict[str, str | None] = {APPROVALS: json.dumps(value), CONFIG: json.dumps(config)}
    scene.forge.push_to("main", files, "ann")
    scene.forge.rules.clear()
    scene.forge.git.guard([])


@pytest.mark.parametrize("trust", ["signature", "commit"])
@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_its_pull_requests_are_closed(tmp_path: Path, mode: str, trust: str) -> None:
    """With a word, where the forge is still known; the question is asked in the new way."""
    rules = '{"loop.on_governance_change": "finish"}'
    scene = at_point(tmp_path, mode, At.LANDING, rules)
    old, asked = scene.item(), scene.pull()
    other_trust(scene, tmp_path, trust)
    scene.tick()
    assert scene.forge.get(asked.number).state == "closed"
    assert not scene.forge.git.tip(asked.head_ref)
    assert scene.hub("for-each-ref", "refs/lifeos/pull") == ""
    said = [text for _, text, _ in scene.forge.get(asked.number).comments]
    assert any("no longer come by pull requests" in text for text in said) == (trust == "signature")
    item = scene.item()
    assert item.id != old.id
    assert item.pull is None
    assert (item.kind, item.stage, item.run) == (old.kind, old.stage, old.run)
    page = Project(scene.folder).cli("queue", "show", item.id).out
    assert f"lifeos approve {item.id}" in page
    assert "merge its pull request" not in page
    main = scene.forge.git.tip("main")
    scene.tick()
    assert (scene.item(), scene.forge.git.tip("main")) == (item, main)
    Project(scene.folder).cli("verify")


@pytest.mark.parametrize("given", ["the same", "", "ghx_nobody"])
def test_a_forge_that_is_down_is_asked_again(tmp_path: Path, given: str) -> None:
    """The question is asked anew; its pull request is closed by the next tick. If there is no
    token for it any more, or one that the forge does not know: by the end of its branch."""
    scene = at_point(tmp_path, "direct", At.LANDING, '{"loop.on_governance_change": "finish"}')
    asked = scene.pull()
    other_trust(scene, tmp_path, "signature")
    scene.forge.trouble("status", "PATCH", "/pulls/", times=9, status=502)
    with pytest.raises(Busy):
        scene.tick()
    assert scene.item().pull is None
    assert scene.forge.get(asked.number).state == "open"
    scene.forge.troubles.clear()
    if given != "the same":
        scene.environ = {"LIFEOS_TEST_TOKEN": given}
    scene.tick()
    assert scene.forge.get(asked.number).state == "closed"
    assert not scene.forge.git.tip(asked.head_ref)
    said = "closed without a word" in "\n".join(scene.said)
    assert said == (given != "the same")


@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_a_merge_that_came_with_it_answers_nothing(tmp_path: Path, mode: str) -> None:
    """Both are on main when lifeos looks: the answer is none any more; work on main is asked."""
    scene = at_point(tmp_path, mode, At.LANDING, '{"loop.on_governance_change": "finish"}')
    since = scene.tip()
    scene.merge()
    other_trust(scene, tmp_path, "signature")
    scene.tick()
    assert not [r for r in scene.records(since) if isinstance(r, Resolved)]
    rules = [item.rule for item in scene.snapshot().items.values()]
    if mode == "pr":
        assert rules == [INTRUDED]
        assert [end.outcome for end in scene.ended()] == [CloseOutcome.CANCELLED]
    else:
        assert rules == ["autonomy:supervised"]
        assert not scene.on_hub(WORK)
    Project(scene.folder).cli("verify")
