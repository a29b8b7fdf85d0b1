"""The settings as values: defaults that hold, limits that bite, one kind of pattern."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lifeos.core.policy import (
    FILES,
    Approvals,
    Approver,
    Budgets,
    Check,
    CheckKind,
    CheckpointRule,
    ClassifyRule,
    Config,
    Council,
    Envelope,
    Governance,
    Loop,
    Modes,
    Prepare,
    Routing,
    is_governance,
    validate_set,
)
from lifeos.core.policy.globs import covers, matches
from lifeos.model import Action, FailureClass, Frozen, Mode

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8h0Z1fP0tq8rQ5sY2n8nqk0mJ3vB6xw4eT1yUaLZcd"
Json = dict[str, object]


def load(model: type[Frozen], **data: object) -> Frozen:
    """As a file is loaded: from JSON, strictly."""
    return model.model_validate_json(json.dumps({"version": 1, **data}), strict=True)


def entry(model: type[Frozen], data: Mapping[str, object]) -> Frozen:
    """A part of a file, strictly."""
    return model.model_validate_json(json.dumps(data), strict=True)


@pytest.mark.parametrize("model", FILES.values())
def test_every_file_has_defaults_for_all_but_its_version(model: type[Frozen]) -> None:
    """`version: 1` alone is a whole file, and without it there is none."""
    value = load(model)
    assert model.model_validate_json(value.model_dump_json(), strict=True) == value
    with pytest.raises(ValidationError, match="version"):
        model.model_validate_json("{}", strict=True)


@pytest.mark.parametrize("model", FILES.values())
@pytest.mark.parametrize("version", [True, "1", 1.0, 0, 2])
def test_only_format_1_is_read(model: type[Frozen], version: object) -> None:
    """Not what merely looks like 1, and not a later format whose settings would be guessed."""
    with pytest.raises(ValidationError, match="version"):
        load(model, version=version)


def all_models(model: type[Frozen]) -> set[type[Frozen]]:
    """A model and those inside it, by their JSON Schema's names."""
    wanted = set(model.model_json_schema().get("$defs", {}))
    found = {model}
    pending = list(Frozen.__subclasses__())
    while pending:
        candidate = pending.pop()
        pending += candidate.__subclasses__()
        if candidate.__name__ in wanted and candidate.__module__.startswith("lifeos.core.policy"):
            found.add(candidate)
    return found


@pytest.mark.parametrize("model", FILES.values())
def test_every_setting_is_described_and_unknown_keys_are_refused(model: type[Frozen]) -> None:
    """In the file and in every group inside it; the descriptions are the reference for people."""
    models = all_models(model)
    assert len(models) > 1
    for each in models:
        assert each.model_config["extra"] == "forbid"
        assert each.model_config["frozen"]
        for name, setting in each.model_fields.items():
            assert setting.description, f"{each.__name__}.{name} has no description"


def test_the_routing_table_has_exactly_the_failure_classes() -> None:
    """A class that is added to the model must be added to the table, and the other way round."""
    assert list(Routing.model_fields) == [member.value for member in FailureClass]
    for member in FailureClass:
        assert Loop(version=1).routing.route(member) == getattr(Routing.defaults(), member)


@pytest.mark.parametrize("left_out", FailureClass)
def test_a_table_that_is_not_total_is_refused_by_name(left_out: FailureClass) -> None:
    """Whichever class is missing, it is named."""
    table = json.loads(Routing.defaults().model_dump_json())
    del table[left_out]
    with pytest.raises(ValidationError, match=f"no route for {left_out}"):
        load(Loop, routing=table)


def test_an_empty_table_is_refused_and_no_table_is_the_default() -> None:
    """Leaving `routing` out means the defaults; writing it and leaving classes out does not."""
    with pytest.raises(ValidationError, match="no route for test_failure, test_timeout"):
        load(Loop, routing={})
    assert Loop(version=1).routing == Routing.defaults()


@pytest.mark.parametrize(
    ("classes", "retries", "then"),
    [
        ("test_failure", 3, Action.WAIVE),
        ("test_timeout timeout no_change", 1, Action.ESCALATE),
        ("test_flake", 1, Action.WAIVE),
        ("lint_error formatting_error typo", 3, Action.TERMINATE),
        ("syntax_error", 1, Action.TERMINATE),
        ("validation_error conflict interrupted", 2, Action.ESCALATE),
        ("dependency_error environment_error tool_error", 2, Action.ESCALATE),
        ("review_rejection", 3, Action.ESCALATE),
        ("envelope_violation governance_violation unknown", 0, Action.ESCALATE),
        ("budget_exceeded quota base_red", 0, Action.PAUSE),
        ("config_error", 0, Action.TERMINATE),
    ],
)
def test_default_routes(classes: str, retries: int, then: Action) -> None:
    """The table that the documentation shows."""
    for name in classes.split():
        route = Routing.defaults().route(FailureClass(name))
        assert (route.retries, route.then) == (retries, then), name


@pytest.mark.parametrize("then", ["advance", "retry", "rework", "stop"])
def test_a_route_cannot_end_in_success_or_in_a_loop(then: str) -> None:
    """Used-up retries lead to a person, to the end, or to waiting; never on or round again."""
    table = json.loads(Routing.defaults().model_dump_json())
    table["unknown"]["then"] = then
    with pytest.raises(ValidationError, match="then"):
        load(Loop, routing=table)


WRONG_LOOP: list[tuple[Json, str]] = [
    ({"budgets": {"attempts_per_stage": 0}}, "attempts_per_stage"),
    ({"budgets": {"attempts_per_stage": "6"}}, "attempts_per_stage"),
    ({"budgets": {"attempts_per_stage": True}}, "attempts_per_stage"),
    ({"budgets": {"attempts_per_stage": 6.5}}, "attempts_per_stage"),
    ({"budgets": {"cost_per_day": -1}}, "cost_per_day"),
    ({"budgets": {"cost_per_day": float("inf")}}, "cost_per_day"),
    ({"budgets": {"cost_per_day": float("nan")}}, "cost_per_day"),
    ({"budgets": {"cost_per_day": 0.5}}, "no attempt with a paid model could start"),
    ({"budgets": {"open_runs": 0}}, "open_runs"),
    ({"lease": {"seconds": 1799}}, "a live attempt would count as interrupted"),
    ({"progress": {"same_tree": 1}}, "same_tree"),
    ({"progress": {"oscillation": "false"}}, "oscillation"),
    ({"progress": {"oscillation": 0}}, "oscillation"),
    ({"autonomy": "yolo"}, "autonomy"),
    ({"tasks_per_tick": 0}, "tasks_per_tick"),
    ({"waivers": {"classes": ["test_failure", "test_failure"]}}, "must be unique"),
    ({"bypass": {"classes": ["typo", "typo"]}}, "must be unique"),
    ({"waivers": {"classes": ["no_such"]}}, "classes"),
    ({"checkpoints": [{"name": "a", "stage": "close"}]}, "use `packet`"),
    ({"checkpoints": [{"name": "a", "stage": "plan"}] * 2}, "must be unique"),
    ({"checkpoints": [{"name": "A b", "stage": "plan"}]}, "name"),
    ({"checkpoints": [{"name": "a"}]}, "stage"),
    ({"checkpoints": [{"name": "a", "stage": "plan", "paths": ["/x"]}]}, "starts with '/'"),
    ({"surprise": 1}, "surprise"),
]


@pytest.mark.parametrize(("data", "said"), WRONG_LOOP)
def test_wrong_loop_settings_are_refused(data: Json, said: str) -> None:
    """Each by a message that names the setting or the reason."""
    with pytest.raises(ValidationError, match=said):
        load(Loop, **data)


def test_limits_that_are_met_exactly_are_allowed() -> None:
    """The refusals above begin where they should: not one step earlier."""
    load(Loop, lease={"seconds": 1800})
    load(Loop, budgets={"cost_per_day": 1.0})
    load(Loop, budgets={"cost_per_day": 0, "cost_per_run": 0, "cost_per_month": 0})
    load(Loop, progress={"same_tree": 2})


def test_no_progress_by_the_same_error_lets_the_retries_happen() -> None:
    """With the defaults, three retries of a red test end by their own rule, not by this one."""
    loop = Loop(version=1)
    assert loop.progress.same_error > loop.routing.test_failure.retries
    assert loop.budgets.attempts_per_stage > loop.routing.test_failure.retries


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"modes": {"M1": []}}, "M1"),
        ({"modes": {"M1": ["chair", "chair"]}}, "must be unique"),
        ({"modes": {"M1": ["cahir"]}}, "M1"),
        ({"modes": {"M3": ["chair"]}}, "M3"),
        ({"classify": [{"change_class": "docs"}]}, "needs `paths` or `tags`"),
        ({"classify": [{"paths": ["docs/**"]}]}, "must set at least one"),
        ({"classify": [{"paths": ["a"], "touches": ["other"]}]}, "touches"),
        ({"classify": [{"tags": ["#x"], "safety_critical": True}]}, "tags"),
        ({"large_lines": 0}, "large_lines"),
        ({"technical_for_code": "yes"}, "technical_for_code"),
    ],
)
def test_wrong_council_settings_are_refused(data: Json, said: str) -> None:
    """A rule that could never apply, or never matter, is an error too."""
    with pytest.raises(ValidationError, match=said):
        load(Council, **data)


def test_the_modes_have_one_five_and_nine_seats() -> None:
    """The defaults of the three councils."""
    assert [len(Modes().seats(mode)) for mode in Mode] == [1, 5, 9]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"write": ["../x"]}, "part"),
        ({"write": ["!x"]}, "cannot take back"),
        ({"protect": [""]}, "is empty"),
        ({"max_file_bytes": -1}, "max_file_bytes"),
        ({"limits": {"seconds": 0}}, "seconds"),
        ({"limits": {"memory_mb": 0}}, "memory_mb"),
        ({"environment": ["A-B"]}, "not the name of an environment variable"),
        ({"environment": ["LANG", "LANG"]}, "must be unique"),
        *(
            ({"environment": [name]}, "lifeos sets it itself")
            for name in ("PATH", "HOME", "LD_PRELOAD", "GIT_DIR", "BASH_ENV", "LIFEOS_X")
        ),
    ],
)
def test_wrong_envelope_settings_are_refused(data: Json, said: str) -> None:
    """Among them variables that would change which program runs in the sandbox."""
    with pytest.raises(ValidationError, match=said):
        load(Envelope, **data)


def person(**more: object) -> Json:
    return {"name": "Ada", "email": "ada@example.org", **more}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"approvers": [person(email="ada")]}, "not an e-mail address"),
        ({"approvers": [person(email="Ada <ada@example.org>")]}, "not an e-mail address"),
        ({"approvers": [person(name="")]}, "name"),
        ({"approvers": [person(name="A\nB")]}, "one line"),
        ({"approvers": [person(), person(email="ADA@Example.org")]}, "e-mails must be unique"),
        (
            {"approvers": [person(forge_id=7), person(email="b@example.org", forge_id=7)]},
            "forge_ids must be unique",
        ),
        ({"trust": "merge", "approvers": [person()]}, "needs a `forge_id`"),
        ({"approvers": [person(login="a b")]}, "login"),
        (
            {"approvers": [person(key=KEY), person(email="b@example.org", key=f"{KEY} other")]},
            "keys must be unique",
        ),
        ({"approvers": [person(github_id=7)]}, "github_id"),
        ({"approvers": [person(key="-----BEGIN OPENSSH PRIVATE KEY-----")]}, "public key"),
        ({"approvers": [person(key=f'command="x" {KEY}')]}, "public key"),
        ({"trust": "signature", "approvers": [person()]}, "needs a `key` for Ada"),
        ({"trust": "none"}, "trust"),
        ({"expiry": {"hours": 0}}, "hours"),
        ({"expiry": {"then": "approve"}}, "then"),
    ],
)
def test_wrong_approvals_are_refused(data: Json, said: str) -> None:
    """Nobody twice, nobody who could not be recognised, and no approval by waiting."""
    with pytest.raises(ValidationError, match=said):
        load(Approvals, **data)


def test_a_key_is_compared_without_its_comment() -> None:
    """The comment is free text."""
    one = Approver(name="Ada", email="a@example.org", key=f"{KEY} laptop")
    assert one.key_material == KEY
    assert Approver(name="Ada", email="a@example.org").key_material == ""


def check(**more: object) -> Json:
    return {"name": "tests", "run": "true", "kind": "test", **more}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        *(
            ({"main": name}, "main")
            for name in ("", "-x", "a b", "a..b", "a/", "/a", "a.lock", "a@{1}", "x/.y", "a//b")
        ),
        ({"main": "lifeos/ledger"}, "kept for lifeos"),
        ({"main": "lifeos"}, "kept for lifeos"),
        ({"remote": "-x"}, "remote"),
        ({"remote": "https://example.org/x"}, "remote"),
        ({"id_prefix": "lo"}, "id_prefix"),
        ({"agents": {"build": "magic"}}, "build"),
        ({"agents": {"review": "magic"}}, "review"),
        ({"checks": [check(), check()]}, "must be unique"),
        ({"checks": [check(run="")]}, "run"),
        ({"checks": [check(run="  ")]}, "run"),
        ({"checks": [check(name="a/b")]}, "name"),
        ({"checks": [check(kind="tests")]}, "kind"),
        ({"checks": [check(timeout=0)]}, "timeout"),
        ({"checks": [check(junit="../report.xml")]}, "part"),
        ({"checks": [check(junit="/report.xml")]}, "relative"),
        ({"checks": [check(pinned=["/x"])]}, "starts with '/'"),
        ({"checks": [check(reruns=-1)]}, "reruns"),
        ({"prepare": [{"name": "a", "run": "true"}] * 2}, "must be unique"),
    ],
)
def test_wrong_configuration_is_refused(data: Json, said: str) -> None:
    """Among it names that git or a shell would read as something else."""
    with pytest.raises(ValidationError, match=said):
        load(Config, **data)


def test_the_built_in_agent_needs_no_sandbox() -> None:
    """`sandbox: none` is possible in so many words; the one agent there is may run in it."""
    load(Config, sandbox="none", agents={"design": "recipe", "plan": "recipe", "build": "recipe"})


def test_a_red_check_counts_as_the_class_of_its_kind() -> None:
    """Every kind has its class, and only tests have a time-out class of their own."""
    classes = {
        CheckKind.TEST: FailureClass.TEST_FAILURE,
        CheckKind.LINT: FailureClass.LINT_ERROR,
        CheckKind.FORMAT: FailureClass.FORMATTING_ERROR,
        CheckKind.TYPO: FailureClass.TYPO,
        CheckKind.SYNTAX: FailureClass.SYNTAX_ERROR,
        CheckKind.BUILD: FailureClass.TOOL_ERROR,
    }
    for kind in CheckKind:
        one = Check(name="x", run="true", kind=kind)
        assert one.failure_class is classes[kind]
        test = kind is CheckKind.TEST
        assert one.timeout_class is (FailureClass.TEST_TIMEOUT if test else FailureClass.TIMEOUT)


def test_entries_of_lists_are_read_strictly_too() -> None:
    """Enum words and lists are taken; other types are not bent into shape."""
    rule = {"name": "a", "stage": "plan", "risk": "high", "paths": ["src/**"], "lines": 3}
    assert entry(CheckpointRule, rule) == CheckpointRule.model_validate(rule)
    entry(Prepare, {"name": "a", "run": "x", "network": True})
    for wrong in ({**rule, "lines": "3"}, {**rule, "paths": "src/**"}, {**rule, "risk": 2}):
        with pytest.raises(ValidationError):
            entry(CheckpointRule, wrong)
    with pytest.raises(ValidationError):
        entry(ClassifyRule, {"paths": ["a"], "safety_critical": "false"})
    with pytest.raises(ValidationError):
        entry(Budgets, {"tokens_per_run": 1e3})


def governance(trust: str, remote: str, *approvers: Json, **config: object) -> Governance:
    return Governance(
        loop=Loop(version=1),
        council=Council(version=1),
        envelope=Envelope(version=1),
        approvals=Approvals.model_validate({"version": 1, "trust": trust, "approvers": approvers}),
        config=Config.model_validate({"version": 1, "remote": remote, **config}),
        digest="",
    )


ON_GITHUB = {"forge": {"kind": "github"}}
BY_PR = {"main_writes": "pr"}


@pytest.mark.parametrize(
    ("trust", "remote", "config", "said"),
    [
        ("commit", "none", {}, []),
        ("commit", "origin", {}, []),
        ("signature", "none", {}, []),
        ("signature", "origin", ON_GITHUB, []),
        ("merge", "origin", ON_GITHUB, []),
        ("merge", "origin", {**ON_GITHUB, **BY_PR}, []),
        ("merge", "none", ON_GITHUB, ["trust `merge` needs a forge"]),
        ("merge", "origin", {}, ["trust `merge` needs a forge"]),
        ("signature", "origin", {**ON_GITHUB, **BY_PR}, ["only trust `merge` knows"]),
    ],
)
def test_how_answers_come_and_what_that_needs(
    trust: str, remote: str, config: dict[str, object], said: list[str]
) -> None:
    """A forge that nobody asks must not look as if it ruled."""
    found = validate_set(governance(trust, remote, person(key=KEY, forge_id=7), **config))
    assert [text in conflict.message for text, conflict in zip(said, found, strict=True)] == [
        True for _ in said
    ]


def test_a_set_without_approvers_is_refused() -> None:
    """Else the first question would hang for ever."""
    (conflict,) = validate_set(governance("commit", "none"))
    assert conflict.key == ("approvers",)
    assert "nobody is an approver" in conflict.message


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("policies/loop.yaml", True),
        ("policies/deep/notes.md", True),
        (".lifeos/config.yaml", True),
        (".lifeos/prompts/build.md", True),
        (".lifeos/queue/LO-1.md", False),
        (".lifeos/queue", True),
        (".lifeos/STOP", False),
        (".lifeos/STOPPED", True),
        (".lifeos", False),
        ("src/policies/loop.yaml", False),
        ("policies", False),
        ("BACKLOG.md", False),
    ],
)
def test_what_belongs_to_governance(path: str, inside: bool) -> None:
    """All of policies/ and .lifeos/ but the queue's files and STOP; a file `queue` is inside."""
    assert is_governance(path) is inside


@pytest.mark.parametrize(
    ("pattern", "narrower", "covered"),
    [
        ("docs/**", "docs/**", True),
        ("docs/**", "docs/guide/**", True),
        ("docs/**", "docs/*.md", True),
        ("docs/**", "docs", True),
        ("docs/**", "docs/", True),
        ("docs/**", "docs/a.md", True),
        ("docs", "docs/**", False),
        ("docs", "docs/a.md", False),
        ("docs/*", "docs/**", False),
        ("docs/?", "docs/*", False),
        ("docs/**", "**", False),
        ("docs/**", "*", False),
        ("*.md", "README.md", True),
        ("*.md", "a*.md", True),
        ("*.md", "docs/README.md", False),
        ("*.md", "*", False),
        ("**/*.md", "docs/**", False),
        ("**", "**", True),
        ("**", "src/**/x?.py", True),
        ("**/a/**", "**/b/**", False),
        ("docs/**/a.md", "docs/**", False),
        ("a/*/x", "a/**/x", False),
        ("*/**", "*", False),
        ("*/", "*/x", True),
        ("docs/", "docs/x", True),
    ],
)
def test_a_pattern_that_contains_another(pattern: str, narrower: str, covered: bool) -> None:
    """`docs/*` does not contain `docs/**`, however alike they look."""
    assert covers(pattern, narrower) is covered


PARTS = st.sampled_from(["a", "b", "ab", "*", "?", "**", "a*", "*b", "?b"])
PATTERNS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "abb", "x"]), min_size=1, max_size=4).map(
    "/".join
)


@given(PATTERNS, PATTERNS, PATHS)
def test_containment_is_sound(pattern: str, narrower: str, path: str) -> None:
    """If it says yes, no path can be found that only the narrower pattern stands for.

    Patterns without a wildcard are left out: there a file or a folder may be meant.
    """
    if ("*" in narrower or "?" in narrower) and covers(pattern, narrower):
        assert not matches(narrower, path) or matches(pattern, path)


def test_containment_is_not_slow_on_its_worst_case() -> None:
    """Ends at all: an exponential search would not."""
    assert not covers("**/a*b/" * 30 + "c", "a" * 40 + "/" + "a/" * 200 + "d")
