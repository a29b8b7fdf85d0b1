"""Policy is honoured, not logged: changing one setting alone changes what the whole loop does.

Each entry of ``EFFECTS`` is played twice, from an empty repository to what came of it: with the
setting as by default, and with the setting changed. What is decided without any effect outside the
rules themselves is tested with the rules (``tests/core``). ``test_every_setting_is_tested`` knows
all settings there are: a new one that nobody tests turns it red.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from conftest import EMAIL
from lifeos.core.policy import FILES, Governance, Route
from lifeos.core.records import AttemptFacts, Claimed, Finished, Noted, Opened, Topic
from lifeos.governance import load_set
from lifeos.initial import render_init
from lifeos.model import FailureClass, Stage
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from loop_scene import Scene, Settings, begin_scene
from test_settings_agents import EFFECTS as AGENTS

TESTS = Path(__file__).parent
HELLO = "mkdir -p docs && echo hello > docs/guide.md"
GUIDE = "docs/guide.md"


# --- tasks ------------------------------------------------------------------------------------


def task(
    recipe: str = HELLO,
    scope: str = "docs/**",
    tags: str = "",
    name: str = "**LO-aaaaaa** Say hello in the guide",
) -> str:
    """One entry of a backlog."""
    return (
        f"- [ ] {name} {tags}\n  - scope: `{scope}`\n  - risk: low\n\n"
        f"  ```sh recipe\n  {recipe}\n  ```\n"
    )


TWO = task() + "\n" + task("echo x > x.txt", "x.txt", name="**LO-bbbbbb** Make another file")
CODE = task("mkdir -p src && echo 'x = 1' > src/x.py", "src/**")


# --- what came of it --------------------------------------------------------------------------


def finished(scene: Scene, stage: Stage) -> list[Finished]:
    """The attempts at a stage, oldest first."""
    records = scene.records()
    return [r for r in records if isinstance(r, Finished) and r.stage is stage]


def facts_of(scene: Scene, stage: Stage = Stage.BUILD) -> AttemptFacts:
    """What the first attempt at a stage came to."""
    facts = finished(scene, stage)[0].facts
    assert facts is not None
    return facts


def build(scene: Scene) -> str:
    """How the first build ended."""
    scene.tick()
    facts = facts_of(scene)
    kinds = sorted({breach.kind for breach in facts.breaches})
    return " ".join([facts.outcome.value, *kinds])


def asked(scene: Scene) -> str:
    """What is asked after a tick: the rules of the open items."""
    scene.tick()
    return _rules(scene)


def _rules(scene: Scene) -> str:
    return " ".join(sorted(item.rule for item in scene.snapshot().items.values()))


def opened(scene: Scene) -> int:
    """How many runs a tick opened."""
    scene.tick()
    return sum(isinstance(record, Opened) for record in scene.records())


def searched(scene: Scene) -> int:
    """How often the past was searched for patterns."""
    scene.tick()
    notes = [record for record in scene.records() if isinstance(record, Noted)]
    return sum(note.topic is Topic.SEARCHED for note in notes)


def built(scene: Scene) -> str:
    """The file that the task makes, as it was built."""
    scene.tick()
    return scene.git("show", f"{scene.run().work}:{GUIDE}")


def seats(scene: Scene) -> list[str]:
    """Who would have sat over the build, and in which mode."""
    scene.tick()
    review = json.loads(artifact(scene, Stage.BUILD_REVIEW, "review.json"))
    return [review["mode"], *review["seats_missing"]]


def artifact(scene: Scene, stage: Stage, name: str) -> str:
    """An artifact of the first attempt at a stage."""
    record = finished(scene, stage)[0]
    return scene.git("show", f"lifeos/ledger:runs/{record.run}/{record.n}/{name}")


def told(scene: Scene) -> str:
    """The second word of what is said of the first build."""
    scene.tick()
    return facts_of(scene).message.split()[1]


def log_size(scene: Scene) -> str:
    """Whether the log of the build was cut."""
    scene.tick()
    return "cut" if "output left out" in artifact(scene, Stage.BUILD, "log.txt") else "whole"


def checks(scene: Scene) -> list[str]:
    """The checks that the first build was judged by."""
    scene.tick()
    return [check.name for check in facts_of(scene).checks]


def after_other_text(scene: Scene) -> str:
    """What is asked after the task of a run that waits was edited."""
    scene.tick()
    old = scene.item().id
    scene.commit(scene.edit("BACKLOG.md", "Say hello", "Say good morning"))
    scene.tick()
    same = "the same question" if scene.item().id == old else "another question"
    return f"{same}, {scene.item().rule}, {len(finished(scene, Stage.BUILD))} builds"


def after_other_rules(scene: Scene) -> str:
    """What becomes of a run that waits when other rules are adopted."""
    scene.tick()
    scene.commit(scene.edit("policies/envelope.yaml", "disk_mb: 2048", "disk_mb: 2047"))
    scene.tick()
    snapshot = scene.snapshot()
    (run,) = snapshot.runs.values()
    under = "new" if run.governance == snapshot.governance else "old"
    return f"{_rules(scene)}, under the {under} rules"


def approved_while_main_moved(scene: Scene) -> str:
    """A run is approved after main has changed a file that the run does not touch."""
    scene.tick()
    scene.commit({"README.md": "# Another\n"})
    scene.commit(scene.answer())
    report = scene.tick()
    again = any("checks again" in line for line in scene.said)
    return f"{'landed' if report.ended else _rules(scene)}, {'checked' if again else 'trusted'}"


def left_alone(hours: float) -> Callable[[Scene], str]:
    """A question that nobody answers for so long."""

    def act(scene: Scene) -> str:
        scene.tick()
        old = scene.item().id
        scene.now += int(hours * 3600)
        report = scene.tick()
        if report.ended:
            return f"closed {report.ended[0][2].value}"
        return "still asked" if scene.item().id == old else "asked anew"

    return act


def lease(scene: Scene) -> int:
    """Seconds that the first claim stands."""
    scene.tick()
    claim = next(record for record in scene.records() if isinstance(record, Claimed))
    return claim.lease_until - claim.at


class _Cut(Exception):
    """Ends a tick where a killed process would have ended."""


def unheard_of(scene: Scene) -> str:
    """A worker on another machine is 100 seconds late: is its attempt closed?"""

    def cut(line: str) -> None:
        if line.startswith("open "):
            raise _Cut

    with pytest.raises(_Cut):
        scene.tick(watch=cut)
    run = scene.run()
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        ledger.append(
            Claimed(
                at=scene.now,
                run=run.id,
                stage=Stage.DESIGN,
                n=1,
                nonce="f" * 32,
                worker="4242 1 - another-machine",
                lease_until=scene.now + 1000,
                reserved=0,
                base=run.base,
            )
        )
    scene.now += 1100
    scene.tick()
    return "closed" if finished(scene, Stage.DESIGN) else "waited for"


def prefix(scene: Scene) -> str:
    """How the id begins that a task was given."""
    scene.tick()
    return scene.run().task.partition("-")[0]


def branch(scene: Scene) -> str:
    """The branch that the question was put on."""
    scene.git("branch", "trunk")
    scene.tick()
    listed = scene.git("branch", "--format=%(refname:short)", "--contains", ":/question waits")
    return listed.strip()


def sandboxed(scene: Scene) -> str:
    """What the packet says of the sandbox."""
    scene.tick()
    packet = artifact(scene, Stage.PACKET, "packet.md")
    (line,) = [line for line in packet.splitlines() if line.startswith("| sandbox")]
    return "none" if "none" in line else "bwrap"


def who_counts(scene: Scene) -> str:
    """Whether the person's answer counts."""
    scene.tick()
    scene.commit(scene.answer())
    report = scene.tick()
    return "landed" if report.ended else report.refusals[0].splitlines()[0].rpartition(": ")[2]


def network(scene: Scene) -> bool:
    """Whether a prepare command was in the network of this machine."""
    mine = Path("/proc/self/ns/net").readlink()
    return built(scene) == str(mine)


# --- the settings -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """One setting, a new value, how to look, and what is seen before and after."""

    setting: str
    value: object
    act: Callable[[Scene], object]
    default: object
    changed: object
    before: Settings | None = None
    backlog: str = task()
    environ: tuple[tuple[str, str], ...] = ()
    boxed: bool = False  # needs the sandbox

    def settings(self, *, changed: bool) -> dict[str, object]:
        """The settings to play with; ``name[].key`` is about the first entry of a list."""
        found: dict[str, Any] = dict(self.before or {})
        if self.boxed:
            found["config.sandbox"] = "bwrap"
        if changed and "[]." in self.setting:
            name, _, key = self.setting.partition("[].")
            first, *rest = found[name]
            found[name] = [{**first, key: self.value}, *rest]
        elif changed:
            found[self.setting] = self.value
        return found


def check(run: str, **more: object) -> Settings:
    """The rules with one check."""
    known = {"name": "works", "run": run, "kind": "test", "reruns": 0}
    return {"config.checks": [{**known, **more}]}


def prepared(run: str, **more: object) -> Settings:
    """The rules with one prepare command."""
    return {"config.prepare": [{"name": "tool", "run": run, **more}]}


RED = f"test ! -e {GUIDE}"
ALWAYS_FULL: Settings = {"loop.autonomy": "full"}
ONCE: Settings = {
    "loop.routing.timeout": {"retries": 0, "then": "escalate"},
    "loop.routing.tool_error": {"retries": 0, "then": "escalate"},
    "loop.routing.test_timeout": {"retries": 0, "then": "escalate"},
    "loop.routing.dependency_error": {"retries": 0, "then": "escalate"},
    "loop.routing.environment_error": {"retries": 0, "then": "escalate"},
}
SLOW = f"sleep 2; {HELLO}"
ON_BUILD = f"if test -e {GUIDE}; then %s; fi"
REPORT = (
    'R=""; if test -e docs/guide.md; then R="<failure/>"; fi; '
    'echo "<testsuite><testcase name=\\"a\\">$R</testcase></testsuite>" > r.xml'
)
CLASSIFIED: Settings = {"council.classify": [{"paths": ["docs/**"], "touches": ["runtime_core"]}]}
USES_TOOL = "mkdir -p docs && cat tool > docs/guide.md"
M1 = ["M1", "chair", "co_chair", "architect", "risk", "governance"]
M2 = ["architect", "alignment", "structural_operational", "technical", "testing"]
M2 = ["M2", *M2, "risk_adversarial", "simplicity", "determinism", "governance"]
TASK_CHANGED = "another question, task_changed, 1 builds"

EFFECTS: tuple[Effect, ...] = (
    # loop.yaml
    Effect("loop.budgets.seconds_per_attempt", 1, build, "ok", "timeout", ONCE, backlog=task(SLOW)),
    Effect(
        "loop.budgets.diff_lines",
        1,
        build,
        "ok",
        "budget_exceeded budget",
        backlog=task(f"{HELLO}; echo more >> {GUIDE}"),
    ),
    Effect(
        "loop.budgets.diff_files",
        1,
        build,
        "ok",
        "budget_exceeded budget",
        backlog=task(f"{HELLO}; echo x > docs/x.md"),
    ),
    Effect("loop.budgets.open_runs", 1, opened, 2, 1, backlog=TWO),
    Effect("loop.tasks_per_tick", 1, opened, 2, 1, ALWAYS_FULL, backlog=TWO),
    Effect("loop.improve.after", 5, searched, 0, 1),
    Effect("loop.lease.seconds", 7200, lease, 3600, 7200),
    Effect("loop.lease.grace", 10, unheard_of, "waited for", "closed"),
    Effect(
        "loop.on_task_change",
        "restart",
        after_other_text,
        TASK_CHANGED,
        "another question, autonomy:supervised, 2 builds",
    ),
    Effect(
        "loop.on_task_change",
        "finish",
        after_other_text,
        TASK_CHANGED,
        "the same question, autonomy:supervised, 1 builds",
    ),
    Effect(
        "loop.on_governance_change",
        "adopt",
        after_other_rules,
        "autonomy:supervised governance:open_runs, under the old rules",
        "autonomy:supervised, under the new rules",
    ),
    Effect(
        "loop.on_governance_change",
        "finish",
        after_other_rules,
        "autonomy:supervised governance:open_runs, under the old rules",
        "autonomy:supervised, under the old rules",
    ),
    Effect(
        "loop.reapprove",
        "always",
        approved_while_main_moved,
        "landed, checked",
        "reapprove:always, trusted",
        check("true"),
    ),
    Effect(
        "loop.recheck",
        "overlap",
        approved_while_main_moved,
        "landed, checked",
        "landed, trusted",
        check("true"),
    ),
    Effect("loop.autonomy", "full", asked, "autonomy:supervised", ""),
    # envelope.yaml
    Effect("envelope.write", ["src/**"], build, "ok", "envelope_violation outside"),
    Effect("envelope.protect", ["docs/**"], build, "ok", "envelope_violation protected"),
    Effect("envelope.new_files", ["src/**"], build, "ok", "envelope_violation new_file"),
    Effect("envelope.max_file_bytes", 3, build, "ok", "envelope_violation size"),
    Effect(
        "envelope.binaries",
        True,
        build,
        "envelope_violation binary",
        "ok",
        backlog=task(f"mkdir docs && printf 'a\\0b' > {GUIDE}"),
    ),
    Effect(
        "envelope.symlinks",
        True,
        build,
        "envelope_violation symlink",
        "ok",
        backlog=task(f"{HELLO}; ln -s guide.md docs/link.md"),
    ),
    Effect(
        "envelope.leftovers",
        [],
        build,
        "ok",
        "envelope_violation outside",
        backlog=task(f"{HELLO}; mkdir __pycache__; echo x > __pycache__/x.pyc"),
    ),
    Effect(
        "envelope.modes",
        True,
        build,
        "envelope_violation mode",
        "ok",
        backlog=task("chmod +x README.md", "README.md"),
    ),
    Effect(
        "envelope.secrets",
        False,
        build,
        "envelope_violation secret",
        "ok",
        # Put together inside, so that the text of the task is none.
        backlog=task(f"mkdir docs && printf 'key = AKIA%s' ZZZZQQQQWWWW2345 > {GUIDE}"),
    ),
    Effect(
        "envelope.fake_secrets",
        ["docs/**"],
        build,
        "envelope_violation secret",
        "ok",
        backlog=task(f"mkdir docs && printf 'key = AKIA%s' ZZZZQQQQWWWW2345 > {GUIDE}"),
    ),
    Effect("envelope.limits.seconds", 1, build, "ok", "timeout", ONCE, backlog=task(SLOW)),
    Effect(
        "envelope.limits.memory_mb",
        64,
        build,
        "ok",
        "tool_error",
        ONCE,
        backlog=task(f"{HELLO}; python3 -c 'bytearray(300 << 20)'"),
        boxed=True,
    ),
    Effect(
        "envelope.limits.processes",
        8,
        build,
        "ok",
        "tool_error",
        ONCE,
        backlog=task(f"{HELLO}; for n in $(seq 30); do sleep 1 & done; wait"),
        boxed=True,
    ),
    Effect(
        "envelope.limits.disk_mb",
        5,
        build,
        "ok",
        "tool_error",
        ONCE,
        backlog=task(f"{HELLO}; head -c 30000000 /dev/zero > zero; sleep 1; rm zero"),
        boxed=True,
    ),
    Effect(
        "envelope.limits.output_kb",
        1,
        log_size,
        "whole",
        "cut",
        backlog=task(f"{HELLO}; seq 2000"),
    ),
    Effect(
        "envelope.environment",
        ["COLOUR"],
        built,
        "none",
        "green",
        backlog=task(f'mkdir docs; echo "${{COLOUR:-none}}" > {GUIDE}'),
        environ=(("COLOUR", "green"),),
    ),
    # .lifeos/config.yaml
    Effect("config.id_prefix", "AB", prefix, "LO", "AB", backlog=task(name="Say hello")),
    Effect("config.main", "trunk", branch, "main", "trunk"),
    Effect("config.sandbox", "bwrap", sandboxed, "none", "bwrap"),
    Effect("config.checks[].name", "mine", checks, ["works"], ["mine"], check("true")),
    Effect("config.checks[].run", RED, build, "ok", "test_failure", check("true")),
    Effect("config.checks[].kind", "lint", build, "test_failure", "lint_error", check(RED)),
    Effect(
        "config.checks[].fast",
        False,
        checks,
        ["works"],  # it is red, and what is not fast is not run any more
        ["works", "second"],
        {
            "config.checks": [
                {"name": "works", "run": RED, "kind": "test", "reruns": 0},
                {"name": "second", "run": RED, "kind": "test", "fast": False, "reruns": 0},
            ]
        },
    ),
    Effect(
        "config.checks[].timeout",
        1,
        build,
        "ok",
        "test_timeout",
        {**check(ON_BUILD % "sleep 2"), **ONCE},
    ),
    Effect("config.checks[].junit", "r.xml", build, "ok", "test_failure", check(REPORT)),
    Effect(
        "config.checks[].pinned",
        ["docs/**"],
        build,
        "ok",
        "envelope_violation pinned",
        check("true"),
    ),
    Effect(
        "config.checks[].reruns",
        1,
        build,
        "test_failure",
        "test_flake",
        check(ON_BUILD % "mkdir ../../../flaked || exit 0; exit 1"),
    ),
    Effect(
        "config.prepare[].run",
        "echo two > tool",
        built,
        "one",
        "two",
        prepared("echo one > tool"),
        backlog=task(USES_TOOL),
    ),
    Effect(
        "config.prepare[].name",
        "other",
        told,
        "tool",
        "other",
        {**prepared("false"), **ONCE},
    ),
    Effect(
        "config.prepare[].inputs",
        ["docs/**"],
        build,
        "ok",
        "envelope_violation environment",
        prepared("true"),
    ),
    Effect(
        "config.prepare[].timeout",
        1,
        build,
        "ok",
        "environment_error",
        {**prepared("sleep 2"), **ONCE},
    ),
    Effect(
        "config.prepare[].network",
        True,
        network,
        False,
        True,
        prepared("readlink /proc/self/ns/net > tool"),
        backlog=task(USES_TOOL),
        boxed=True,
    ),
    # council.yaml
    Effect("council.modes.M0", ["chair"], seats, ["M0", "unified"], ["M0", "chair"]),
    Effect(
        "council.modes.M1",
        ["chair", "risk"],
        seats,
        [*M1, "technical"],
        ["M1", "chair", "risk", "technical"],
        backlog=CODE,
    ),
    Effect("council.modes.M2", ["risk"], seats, M2, ["M2", "risk"], CLASSIFIED),
    Effect("council.technical_for_code", False, seats, [*M1, "technical"], M1, backlog=CODE),
    Effect("council.classify", [], seats, ["M0", "unified"], [*M1, "technical"]),
    Effect(
        "council.large_lines",
        1,
        seats,
        ["M0", "unified"],
        M1,
        backlog=task(f"{HELLO}; echo x >> {GUIDE}"),
    ),
    Effect(
        "council.large_files",
        1,
        seats,
        ["M0", "unified"],
        M1,
        backlog=task(f"{HELLO}; echo x > docs/x.md"),
    ),
    # approvals.yaml
    Effect("approvals.expiry.hours", 1, left_alone(2), "still asked", "asked anew"),
    Effect("approvals.expiry.then", "reject", left_alone(200), "asked anew", "closed rejected"),
    Effect(
        "approvals.approvers[].email",
        "somebody@example.invalid",
        who_counts,
        "landed",
        f"{EMAIL} is not an approver",
        {"approvals.approvers": [{"name": "Ann", "email": EMAIL}]},
        backlog=task(),
    ),
)


# --- playing them -----------------------------------------------------------------------------

_PLAYED: dict[str, object] = {}
"""What was seen, by everything that could make a difference: many have the same default."""


def play(effect: Effect, folder: Path, *, changed: bool) -> object:
    """What is seen with the setting as by default, or changed."""
    settings = effect.settings(changed=changed)
    key = f"{json.dumps(settings, sort_keys=True)} {effect.backlog} {effect.act} {effect.environ}"
    if key not in _PLAYED:
        scene = begin_scene(folder / str(changed), settings, backlog=effect.backlog)
        scene.environ.update(effect.environ)
        _PLAYED[key] = effect.act(scene)
    return _PLAYED[key]


def _named(effect: Effect) -> Any:
    marks = [pytest.mark.sandbox] if effect.boxed or effect.value == "bwrap" else []
    return pytest.param(effect, id=f"{effect.setting}={effect.value}", marks=marks)


@pytest.mark.parametrize("effect", [_named(effect) for effect in EFFECTS])
def test_changing_only_this_changes_what_the_loop_does(effect: Effect, tmp_path: Path) -> None:
    """By default one thing is seen, and with this one setting changed another."""
    assert play(effect, tmp_path, changed=False) == effect.default
    assert play(effect, tmp_path, changed=True) == effect.changed
    assert effect.default != effect.changed


_WAITING: list[Scene] = []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (".lifeos/config.yaml", "build: recipe", "build: other", "must be 'recipe'"),
        ("policies/approvals.yaml", "trust: commit", "trust: merge", "needs a `forge_id`"),
        (".lifeos/config.yaml", "main_writes: direct", "main_writes: pr", "only trust `merge`"),
        (".lifeos/config.yaml", "checks: []", "lfs: true", "unknown key `lfs`"),
        (".lifeos/config.yaml", "checks: []", "submodules: true", "unknown key `submodules`"),
        ("policies/envelope.yaml", "modes: false", "submodules: true", "unknown key `submodules`"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    file: str,
    old: str,
    new: str,
    said: str,
) -> None:
    """It would look as if it ruled. Nothing is begun under it, and what to do is said."""
    if not _WAITING:
        there = tmp_path_factory.mktemp("waiting") / "repo"
        _WAITING.append(begin_scene(there, backlog=task()))
        _WAITING[0].tick()
    scene = _WAITING[0].copy(tmp_path / "repo")
    item = scene.item().id
    text = render_init("Ann", EMAIL, "main", ())[file].decode()
    assert text.count(old) == 1
    scene.commit({file: text.replace(old, new), "BACKLOG.md": TWO})
    report = scene.tick()
    assert any(said in str(problem) and problem.fix for problem in report.problems)
    assert report.opened == []
    assert scene.item().id == item


# --- all there are ----------------------------------------------------------------------------

JUDGE = "core/test_judge.py::test_changing_only_this_changes_what_is_decided"
ROUTES = {
    "retries": "core/test_judge.py::test_the_retries_of_each_class",
    "then": "core/test_judge.py::test_the_end_of_each_class",
    "backoff": "core/test_judge.py::test_the_backoff_of_each_class",
}
HERE = "test_settings.py::test_changing_only_this_changes_what_the_loop_does"
OF_AGENTS = "test_settings_agents.py::test_changing_only_this_changes_what_happens"
PROMPTS = "test_settings_agents.py::test_a_prompt_of_the_repository_is_what_the_model_gets"
CLASSES = "core/test_council.py::test_the_rules_of_the_council_file_are_what_classifies"

ELSEWHERE: Mapping[str, str] = {
    "loop.improve.worded": "test_improve_wording.py::test_by_default_no_agent_is_asked",
    **{
        f"{file}.version": "core/test_policy.py::test_only_format_1_is_read"
        for file in ("loop", "council", "envelope", "approvals", "config")
    },
    **{
        f"loop.{name}": JUDGE
        for name in (
            "budgets.attempts_per_stage",
            "budgets.attempts_per_class",
            "budgets.attempts_per_run",
            "budgets.tokens_per_run",
            "budgets.cost_per_run",
            "budgets.cost_per_day",
            "budgets.cost_per_month",
            "budgets.reserve_per_attempt",
            "budgets.seconds_per_run",
            "progress.same_tree",
            "progress.oscillation",
            "progress.same_error",
            "checkpoints[].name",
            "checkpoints[].stage",
            "checkpoints[].risk",
            "checkpoints[].paths",
            "checkpoints[].lines",
            "checkpoints[].files",
            "waivers.classes",
            "bypass.classes",
            "bypass.lines",
            "bypass.files",
        )
    },
    **{
        f"loop.routing.{failure}.{name}": test
        for failure in FailureClass
        for name, test in ROUTES.items()
    },
    **{
        f"council.classify[].{name}": CLASSES
        for name in ("change_class", "blast_radius", "reversibility", "uncertainty")
    },
    "council.classify[].paths": HERE,  # with council.modes.M2, and with council.classify
    "council.classify[].touches": HERE,
    "council.classify[].tags": "core/test_council.py::test_tags_raise_the_mode_and_never_lower_it",
    "council.classify[].safety_critical": (
        "core/test_council.py::test_one_grave_thing_calls_the_full_council"
    ),
    "approvals.trust": "approvals/test_must_not_resume.py::test_unsigned",
    "approvals.approvers[].key": "approvals/test_must_not_resume.py::test_unknown_key",
    "approvals.approvers[].name": "core/test_policy.py::test_wrong_approvals_are_refused",
    "config.remote": "remote/test_turns.py::test_from_one_clone_to_a_remote",
    "config.tick.where": "remote/test_turns.py::test_where_a_tick_may_run",
    **{
        f"config.forge.{name}": f"forge/test_doctor_forge.py::test_{test}"
        for name, test in (
            ("kind", "kind_decides_whether_a_forge_is_asked"),
            ("host", "host_decides_where_the_token_goes"),
            ("repository", "repository_is_named_or_taken_from_the_remote"),
            ("token_env", "token_env_names_the_variable_of_the_token"),
        )
    },
    "config.main_writes": "pulls/test_pulls.py::test_where_main_is_written_decides_who_moves_it",
    "approvals.approvers[].login": (
        "core/test_codeowners.py::test_a_login_names_an_approver_and_an_address_where_there_is_none"
    ),
    "approvals.approvers[].forge_id": (
        "pulls/test_arrivals.py::test_the_number_of_the_account_decides"
    ),
    "config.notify.command": "test_notify.py::test_a_command_is_told_what_waits_and_how_to_answer",
    "config.notify.environment": (
        "test_notify.py::test_a_command_is_told_what_waits_and_how_to_answer"
    ),
    "config.notify.timeout": "test_notify.py::test_a_command_that_hangs_is_ended_with_its_children",
    "config.notify.apprise": "test_apprise.py::test_a_question_arrives_once",
    "config.notify.on": "test_notify.py::test_on_decides_what_is_told",
    "config.notify.digest.hour": (
        "test_digest.py::test_its_hour_and_whether_it_is_sent_is_a_setting"
    ),
    **dict.fromkeys((effect.setting for effect in AGENTS), OF_AGENTS),
}
"""The settings that are tested elsewhere, or by another test here: the file and the test."""


def settings_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """The dotted names of all settings of a model; ``[]`` for the entries of a list."""
    for name, known in model.model_fields.items():
        inner = known.annotation
        entries = [arg for arg in get_args(inner) if isinstance(arg, type)]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings_of(inner, f"{prefix}.{name}")
        elif models := [entry for entry in entries if issubclass(entry, BaseModel)]:
            several = "" if type(None) in entries else "[]"
            yield from settings_of(models[0], f"{prefix}.{name}{several}")
        else:
            yield f"{prefix}.{name}"


def every_setting() -> set[str]:
    """All settings of all files."""
    found: set[str] = set()
    for path, model in FILES.items():
        found |= set(settings_of(model, path.rpartition("/")[2].removesuffix(".yaml")))
    return found


def test_every_setting_is_tested() -> None:
    """A setting that is neither played above nor named with its test turns this red."""
    here = {effect.setting for effect in EFFECTS} - {"council.classify"}  # a list; its keys count
    assert every_setting() == here | ELSEWHERE.keys()
    assert set(Governance.model_fields) == {
        *(path.rpartition("/")[2].removesuffix(".yaml") for path in FILES),
        "prompts",  # PROMPTS
        "digest",
    }
    assert len(Route.model_fields) == len(ROUTES)


@pytest.mark.parametrize("named", sorted({*ELSEWHERE.values(), PROMPTS}))
def test_the_tests_named_above_are_there(named: str) -> None:
    """And are not renamed away."""
    file, _, function = named.partition("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_settings_that_are_played_are_those_of_the_templates(tmp_path: Path) -> None:
    """What `init` writes is the default that the first of the two passages has."""
    written = load_set(render_init("Ann", EMAIL, "main", ())).governance
    assert written is not None
    scene = begin_scene(tmp_path / "repo")
    played = load_set({path: (scene.folder / path).read_bytes() for path in FILES}).governance
    assert played is not None
    assert played.loop == written.loop
    assert played.council == written.council
    assert played.envelope == written.envelope
