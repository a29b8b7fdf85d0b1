"""Governance from bytes: what is right is read, and what is wrong is named, with place and fix."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lifeos
from lifeos import strict_yaml
from lifeos.core.policy import FILES, Approvals, Check, CheckKind, Config, Loop, Route
from lifeos.errors import Problem
from lifeos.governance import SCHEMAS, governance_digest, load_set, parse, schema
from lifeos.initial import TEMPLATES, detect_checks, render_init, template
from lifeos.model import Frozen

LOOP = "policies/loop.yaml"
COUNCIL = "policies/council.yaml"
ENVELOPE = "policies/envelope.yaml"
APPROVALS = "policies/approvals.yaml"
CONFIG = ".lifeos/config.yaml"
MODELS: Mapping[str, type[Frozen]] = FILES


def fresh() -> dict[str, bytes]:
    """The files of a new repository, without checks."""
    return dict(render_init("Test Person", "person@example.invalid", "main", ()))


def changed(file: str, old: str, new: str) -> dict[str, bytes]:
    """A new repository's files with one place changed."""
    files = fresh()
    text = files[file].decode()
    assert old in text
    files[file] = text.replace(old, new, 1).encode()
    return files


def problems(file: str, old: str, new: str) -> tuple[Problem, ...]:
    loaded = load_set(changed(file, old, new))
    assert (loaded.governance is None) is bool(loaded.problems)
    return loaded.problems


def line_of(file: str, text: str) -> int:
    """Where a text stands in a template, counted from 1."""
    return fresh()[file].decode().split(text, 1)[0].count("\n") + 1


# Templates.


def test_a_new_repository_is_valid_and_has_the_defaults() -> None:
    """What `init` writes is what the models say, but for the person who approves."""
    loaded = load_set(fresh())
    assert loaded.problems == ()
    governance = loaded.governance
    assert governance is not None
    assert (governance.loop, governance.council, governance.envelope, governance.config) == (
        FILES[LOOP](version=1),
        FILES[COUNCIL](version=1),
        FILES[ENVELOPE](version=1),
        FILES[CONFIG](version=1),
    )
    (person,) = governance.approvals.approvers
    assert (person.name, person.email) == ("Test Person", "person@example.invalid")
    assert governance.approvals.model_copy(update={"approvers": ()}) == Approvals(version=1)


def groups(model: type[Frozen], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Every setting of a file: the groups around it, and its name. Lists count as groups."""
    found = []
    for name, setting in model.model_fields.items():
        found.append((path, name))
        kinds = [setting.annotation, *getattr(setting.annotation, "__args__", ())]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, Frozen):
                named = get_origin(setting.annotation) is Mapping
                found += groups(kind, (*path, name, "NAME") if named else (*path, name))
    return found


def comment_above(lines: Sequence[str], index: int) -> list[str]:
    """The comment lines directly above a line."""
    first = index
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return [line.strip() for line in lines[first:index]]


def comment_for(text: str, path: tuple[str, ...], name: str) -> list[str]:
    """The comment of a setting: above its line, or in the comment above the group it is in."""
    document = strict_yaml.read(text.encode(), "template")
    lines = text.split("\n")
    here = document.keys.get((*path, name))
    if here:
        found = comment_above(lines, here[0] - 1)
        if found:
            return found
    around = path
    while around and not (
        around in document.keys and comment_above(lines, document.keys[around][0] - 1)
    ):
        around = around[:-1]  # a group inside an entry of a list stands only in the example
    while around:
        above = comment_above(lines, document.keys[around][0] - 1)
        explained = [line for line in above if line.lstrip("#- ").startswith(f"{name}:")]
        if explained:
            return explained
        around = around[:-1]
    return []


@pytest.mark.parametrize("file", FILES)
def test_every_setting_is_in_its_template_with_a_comment(file: str) -> None:
    """No setting that a person would have to find in the source."""
    text = template(file)
    for path, name in groups(MODELS[file]):
        if (path, name) == ((), "version"):
            continue
        comment = comment_for(text, path, name)
        assert comment, f"{file}: {'.'.join((*path, name))} has no comment"
        assert all(len(line) > 5 for line in comment if line != "#")


@pytest.mark.parametrize("file", FILES)
def test_a_template_spells_out_every_default_in_the_models_order(file: str) -> None:
    """Each key stands there, not only its default; so a person can see all there is."""
    document = strict_yaml.read(template(file).encode(), file)
    assert document.problems == ()
    for path, name in groups(MODELS[file]):
        inside: object = document.value
        for part in path:
            inside = inside.get(part) if isinstance(inside, dict) else None
        if isinstance(inside, dict):
            assert name in inside, f"{file}: {'.'.join((*path, name))} is not spelled out"
    assert isinstance(document.value, dict)
    assert list(document.value) == list(MODELS[file].model_fields)


def test_templates_fit_a_screen() -> None:
    """No line is longer than 100 characters."""
    for path in TEMPLATES:
        assert max(map(len, template(path).split("\n"))) <= 100, path


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp")))


@given(NAMES.filter(bool))
def test_any_name_survives_the_rendering(name: str) -> None:
    """Quotes, colons, emoji, comment signs: what git says the person is called is what is read."""
    text = render_init(name, "person@example.invalid", "main", ())[APPROVALS]
    value, wrong = parse(text, APPROVALS, Approvals)
    assert wrong == ()
    assert value is not None
    assert value.approvers[0].name == name


def test_a_name_with_hidden_characters_is_named_not_written_blindly() -> None:
    """The rendering is honest: it neither drops the character nor breaks the file."""
    files = render_init("A\u202eB", "person@example.invalid", "main", ())
    (problem,) = load_set(files).problems
    assert "invisible or control character" in problem.message


def test_checks_are_rendered_as_they_are() -> None:
    """What was detected is what is read back, with a branch of another name."""
    names = ["tests/test_a.py", "package.json", "Cargo.toml", "go.mod"]
    checks = detect_checks(
        names, {"package.json": '{"scripts": {"test": "jest"}}'}, pytest=True
    ).checks
    odd = Check(name="null", run='echo "a: #b" \\ \n true', kind=CheckKind.LINT, fast=False)
    files = render_init("A", "a@example.org", "trunk/x", (*checks, odd))
    governance = load_set(files).governance
    assert governance is not None
    assert governance.config == Config(version=1, main="trunk/x", checks=(*checks, odd))


@pytest.mark.parametrize(
    ("paths", "texts", "expected"),
    [
        (["README.md"], {}, []),
        (["tests/test_a.py"], {}, ["tests"]),
        (["src/a_test.py"], {}, ["tests"]),
        (["conftest.py"], {}, ["tests"]),
        (["pytest.ini"], {}, ["tests"]),
        (["src/a.py", "latest.py"], {}, []),
        (["package.json"], {}, []),
        (["package.json"], {"package.json": "{"}, []),
        (["package.json"], {"package.json": "[]"}, []),
        (["package.json"], {"package.json": '{"scripts": []}'}, []),
        (["package.json"], {"package.json": '{"scripts": {"test": "jest"}}'}, ["npm-test"]),
        (
            ["package.json"],
            {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\""}}'},
            [],
        ),
        (["web/package.json"], {"package.json": '{"scripts": {"test": "jest"}}'}, []),
        (["Cargo.toml"], {}, ["cargo-test"]),
        (["go.mod"], {}, ["go-test"]),
        (["Makefile"], {"Makefile": "all:\n\ttrue\ntest: all\n\ttrue\n"}, ["make-test"]),
        (["Makefile"], {"Makefile": "all:\n\ttrue\n# test: all\n"}, []),
        (["Makefile", "go.mod"], {"Makefile": "test:\n\tgo test ./...\n"}, ["go-test"]),
    ],
)
def test_checks_are_proposed_only_where_they_can_run(
    paths: list[str], texts: dict[str, str], expected: list[str]
) -> None:
    """A check that is red from the start would hold every task."""
    assert [check.name for check in detect_checks(paths, texts, pytest=True).checks] == expected


PYTEST = "python3 -m pytest -q --junitxml=.lifeos-junit.xml"
UNITTEST = "import unittest\n"


@pytest.mark.parametrize(
    ("files", "run"),
    [
        ({"test_a.py": UNITTEST}, "python3 -m unittest discover"),
        ({"test_a.py": "from unittest import mock, TestCase\n"}, "python3 -m unittest discover"),
        ({"tests/test_a.py": UNITTEST}, "python3 -m unittest discover -s tests"),
        ({"my tests/test_a.py": UNITTEST}, "python3 -m unittest discover -s 'my tests'"),
        (
            {"tests/test_a.py": UNITTEST, "tests/__init__.py": ""},
            "python3 -m unittest discover",
        ),
        (
            {"a/test_a.py": UNITTEST, "a/__init__.py": "", "test_b.py": UNITTEST},
            "python3 -m unittest discover",
        ),
        ({"a/test_a.py": UNITTEST, "test_b.py": UNITTEST}, ""),
        ({"test_a.py": "import pytest\nimport unittest\n"}, ""),
        ({"test_a.py": UNITTEST, "test_b.py": "def test(): assert True\n"}, ""),
        ({"a_test.py": UNITTEST}, ""),
        ({"conftest.py": ""}, ""),
        ({"pytest.ini": "", "Makefile": "test:\n\tpytest\n"}, ""),
    ],
)
def test_without_pytest_what_can_run_is_proposed(files: dict[str, str], run: str) -> None:
    """Unittest, where its discovery finds every test; else pytest, written down as a comment."""
    found = detect_checks(list(files), files, pytest=False)
    assert [check.run for check in found.checks] == ([run] if run else [])
    assert [check.run for check in found.disabled] == ([] if run else [PYTEST])


@pytest.mark.parametrize("others", [{}, {"go.mod": ""}])
def test_a_check_that_cannot_run_is_a_comment_to_be_uncommented(others: dict[str, str]) -> None:
    """The set is good as it is written, and again when the signs are taken off as it says."""
    found = detect_checks(["conftest.py", *others], others, pytest=False)
    files = render_init("A", "a@example.org", "main", found.checks, found.disabled)
    as_written = load_set(files).governance
    assert as_written is not None
    assert as_written.config.checks == found.checks
    text = files[".lifeos/config.yaml"].decode()
    head, sign, rest = text.partition('#   - name: "tests"')
    assert sign
    lines = (sign + rest).split("\n")
    entry = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    plain = [line.removeprefix("# ") for line in lines[:entry]] + lines[entry:]
    enabled = head.replace("\nchecks: []\n", "\nchecks:\n") + "\n".join(plain)
    again = load_set({**files, ".lifeos/config.yaml": enabled.encode()}).governance
    assert again is not None
    assert again.config.checks == (*found.checks, *found.disabled)


def test_the_proposed_test_check_pins_what_can_turn_a_failure_green() -> None:
    """Each check that is judged by files an agent could edit names them."""
    (check,) = detect_checks(["conftest.py"], pytest=True).checks
    assert check.kind is CheckKind.TEST
    assert {"**/conftest.py", "pytest.ini", "tox.ini", "setup.cfg"} <= set(check.pinned)
    assert check.junit is not None
    assert check.junit in check.run


# The set.


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_an_error_that_names_init(file: str) -> None:
    """Rules that nobody wrote down are not assumed."""
    files = fresh()
    del files[file]
    loaded = load_set(files)
    assert loaded.governance is None
    (problem,) = loaded.problems
    assert (str(problem.place), problem.message) == (file, "is missing")
    assert "lifeos init" in problem.fix


def test_all_files_are_checked_at_once() -> None:
    """A person mends them in one go."""
    files = fresh() | {LOOP: b"version: 1\nx: 1\n", CONFIG: b"version: 1\ny: 1\n"}
    assert [str(problem.place) for problem in load_set(files).problems] == [
        f"{LOOP}:2:1",
        f"{CONFIG}:2:1",
    ]


def test_what_does_not_fit_between_files_has_a_place() -> None:
    """The line of the setting that must change."""
    (problem,) = problems(CONFIG, "main_writes: direct", "main_writes: pr")
    line = line_of(CONFIG, "main_writes: direct")
    assert str(problem.place) == f"{CONFIG}:{line}:14"
    assert "which only trust `merge` knows" in problem.message


def test_the_repositorys_own_prompts_are_part_of_the_set() -> None:
    """By their names, word for word, and in the digest."""
    text = "Build as we do: Grüße, ${{ x }} and { braces }.\r\n"
    files = fresh() | {".lifeos/prompts/builder.md": text.encode()}
    loaded = load_set(files)
    assert loaded.problems == ()
    assert loaded.governance is not None
    assert loaded.governance.prompts == {"builder": text}
    assert loaded.governance.digest == governance_digest(files) != governance_digest(fresh())


@pytest.mark.parametrize(
    ("name", "text", "place", "message", "fix"),
    [
        (
            "bilder.md",
            b"x",
            "",
            "is the prompt of no role",
            "rename it to .lifeos/prompts/builder.md",
        ),
        ("seat_risks.md", b"x", "", "no role", "rename it to .lifeos/prompts/seat_risk.md"),
        ("builder.txt", b"x", "", "no role", "rename it to .lifeos/prompts/builder.md"),
        ("Builder.md", b"x", "", "no role", "rename it to .lifeos/prompts/builder.md"),
        ("old/builder.md", b"x", "", "no role", "rename it to .lifeos/prompts/builder.md"),
        ("README.md", b"x", "", "no role", "seat_governance"),
        ("builder", b"x", "", "no role", "rename it to .lifeos/prompts/builder.md"),
        (".md", b"x", "", "no role", "delete it, or call it"),
        ("builder.md", b"x" * 32_769, "", "has 32769 bytes; a prompt may have 32768", "shorten"),
        ("builder.md", b"a\nb\n\xff", ":3", "is not UTF-8", "save it as UTF-8"),
        ("builder.md", b" \n", "", "is empty", "delete it"),
        ("builder.md", b"a\nuse {{task}}", ":2", "unknown placeholder {{task}}", "write the words"),
        ("builder.md", "a\nb\u200bc".encode(), ":2", "cannot see", "delete that character"),
        ("builder.md", "\ufeffa".encode(), ":1", "cannot see", "delete that character"),
        ("builder.md", b"a\n\nb\x1b[8mc", ":3", "cannot see", "delete that character"),
    ],
)
def test_a_prompt_that_would_not_be_used_as_it_looks_is_refused(
    name: str, text: bytes, place: str, message: str, fix: str
) -> None:
    """Nobody reads it, half of it is read, or people do not see what a model sees."""
    path = f".lifeos/prompts/{name}"
    loaded = load_set(fresh() | {path: text})
    assert loaded.governance is None
    (problem,) = loaded.problems
    assert str(problem.place) == f"{path}{place}"
    assert message in problem.message
    assert fix in problem.fix


def test_a_prompt_of_exactly_the_allowed_size_is_taken() -> None:
    """The limit refuses one byte more, and not that."""
    assert load_set(fresh() | {".lifeos/prompts/planner.md": b"x" * 32_768}).problems == ()


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("policies/loops.yaml", "rename it to policies/loop.yaml"),
        ("policies/loop.yml", "rename it to policies/loop.yaml"),
        (".lifeos/config.yml", "rename it to .lifeos/config.yaml"),
        ("policies/unrelated-thing.yaml", "delete it, or move it elsewhere"),
    ],
)
def test_a_policy_that_nobody_reads_is_refused(path: str, fix: str) -> None:
    """A misspelt name would otherwise be a rule that does not apply."""
    (problem,) = load_set(fresh() | {path: b"version: 1\n"}).problems
    assert (str(problem.place), problem.fix) == (path, fix)
    assert load_set(fresh() | {"policies/README.md": b"x", "src/loop.yaml": b"x"}).problems == ()


def test_the_queue_is_no_part_of_the_set() -> None:
    """Neither read nor in the digest; everything else below the two folders is in it."""
    files = fresh()
    digest = governance_digest(files)
    loaded = load_set(files)
    assert loaded.governance is not None
    assert loaded.governance.digest == digest
    free = {
        ".lifeos/queue/LO-1.md": b"x",
        ".lifeos/queue/LO-1.approval.yaml": b"[",
        ".lifeos/STOP": b"",
        "BACKLOG.md": b"other",
    }
    assert governance_digest(files | free) == digest
    assert load_set(files | free).governance == loaded.governance
    for path in ("policies/notes.md", ".lifeos/prompts/a.md", ".lifeos/other"):
        assert governance_digest(files | {path: b""}) != digest


def test_the_digest_is_that_of_paths_and_contents() -> None:
    """Any byte, any name; never the order. The value is fixed: ledgers hold it."""
    one, two = {"policies/a": b"1", "policies/b": b"2"}, {"policies/b": b"2", "policies/a": b"1"}
    assert governance_digest(one) == governance_digest(two)
    swapped = {"policies/a": b"2", "policies/b": b"1"}
    assert governance_digest(one) != governance_digest(swapped)
    assert governance_digest(one) != governance_digest({"policies/a": b"1"})
    assert governance_digest({"policies/\udcff": b""}) != governance_digest({"policies/x": b""})
    assert governance_digest({"policies/a": b"1"}) == (
        "6e3271153440c789b94fe31061bcda8443a92274649ec422bcb301cafb986d4a"
    )


# One file.


@pytest.mark.parametrize(
    ("file", "old", "new", "at", "said", "fix"),
    [
        (
            LOOP,
            "attempts_per_stage",
            "attemps_per_stage",
            ("attempts_per_stage", 3),
            "unknown key `attemps_per_stage`",
            "did you mean `attempts_per_stage`?",
        ),
        (
            LOOP,
            "attempts_per_stage: 6",
            'attempts_per_stage: "6"',
            ("attempts_per_stage", 23),
            '`budgets.attempts_per_stage` must be a whole number, not the text "6"',
            "write digits only, without quotes",
        ),
        (
            LOOP,
            "oscillation: true",
            'oscillation: "false"',
            ("oscillation: true", 16),
            '`progress.oscillation` must be true or false, not the text "false"',
            "write true or false, without quotes",
        ),
        (
            LOOP,
            "oscillation: true",
            "oscillation: yes",
            ("oscillation: true", 16),
            '`progress.oscillation` must be true or false, not the text "yes"',
            "write true or false, without quotes",
        ),
        (
            LOOP,
            "oscillation: true",
            "oscillation: 1",
            ("oscillation: true", 16),
            "`progress.oscillation` must be true or false, not 1",
            "write true or false, without quotes",
        ),
        (
            LOOP,
            "autonomy: supervised",
            "autonomy: superviced",
            ("autonomy: supervised", 11),
            "`autonomy` must be 'supervised', 'exceptions' or 'full', not the text \"superviced\"",
            "did you mean `supervised`?",
        ),
        (
            LOOP,
            "test_failure: {retries: 3, backoff: 0, then: waive}",
            "test_failure: {retries: 3, backoff: 0, then: stop}",
            ("test_failure: {", 48),
            "`routing.test_failure.then` must be 'escalate', 'terminate', 'waive' or 'pause', "
            'not the text "stop"',
            "known here: escalate, terminate, waive, pause",
        ),
        (
            LOOP,
            "same_tree: 2",
            "same_tree: 1",
            ("same_tree", 14),
            "`progress.same_tree` must be 2 or more, not 1",
            "write 2, or a larger number",
        ),
        (
            LOOP,
            "checkpoints: []",
            "checkpoints: x",
            ("checkpoints: []", 14),
            '`checkpoints` must be a list, not the text "x"',
            "write `[a, b]`, or one `- a` a line",
        ),
        (
            LOOP,
            "checkpoints: []",
            "checkpoints: [{name: a, stage: plan, line: 3}]",
            ("checkpoints: []", 38),
            "unknown key `line`",
            "did you mean `lines`?",
        ),
        (
            LOOP,
            "cost_per_day: 50.0",
            "cost_per_day: 1e999",
            ("cost_per_day", 17),
            "`budgets.cost_per_day` must be a finite number, not inf",
            "write digits",
        ),
        (
            LOOP,
            "seconds: 3600",
            "seconds: 36",
            ("seconds: 3600", 12),
            "lease.seconds (36) is less than budgets.seconds_per_attempt (1800): "
            "a live attempt would count as interrupted",
            "make the lease longer than the longest attempt, or the attempts shorter",
        ),
        (
            APPROVALS,
            "trust: commit",
            "trust: merge",
            ("trust: commit", 8),
            "trust `merge` needs a `forge_id` for Test Person",
            "add `forge_id:` with the number of their account to each of them (on GitHub "
            "the `id` at api.github.com/users/LOGIN)",
        ),
        (
            APPROVALS,
            'email: "person@example.invalid"',
            "email: 2024-01-01",
            ("hours", 0),
            "`approvers[0].email`: '2024-01-01' is not an e-mail address such as ada@example.org",
            "write the address that their commits have: git config user.email",
        ),
        (
            ENVELOPE,
            "[LANG, LC_ALL, TZ]",
            "[LANG, LD_PRELOAD]",
            ("environment: [", 14),
            "`environment`: LD_PRELOAD cannot be handed through: lifeos sets it itself",
            "take LD_PRELOAD out of `environment`",
        ),
        (
            LOOP,
            "checkpoints: []",
            "checkpoints: [3]",
            ("checkpoints: []", 15),
            "`checkpoints[0]` must be a group of settings, not 3",
            "write `key: value` lines below it",
        ),
        (
            COUNCIL,
            "M0: [unified]",
            "M0: [unifed]",
            ("M0: [unified]", 8),
            "`modes.M0[0]` must be",
            "did you mean `unified`?",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_place_and_fix(
    file: str, old: str, new: str, at: tuple[str, int], said: str, fix: str
) -> None:
    """File, line, column, what is wrong, what to do."""
    found = problems(file, old, new)
    problem = found[0]
    assert problem.message.startswith(said)
    assert problem.fix == fix
    if at[1]:
        assert (problem.place.file, problem.place.column) == (file, at[1])
        assert problem.place.line == line_of(file, at[0])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1000000001", "must be 1000000000 or less, not 1000000001"),
        ("true", "must be a whole number, not true"),
        ("false", "must be a whole number, not false"),
        ("~", "must be a whole number, not empty"),
        ("[1]", "must be a whole number, not a list"),
        ("{a: 1}", "must be a whole number, not a group of settings"),
        ("6.0", "must be a whole number, not 6.0"),
        ("6.5", "must be a whole number, not 6.5"),
    ],
)
def test_a_wrong_number_is_shown_as_it_stands_there(value: str, said: str) -> None:
    """In words that people use for it."""
    (problem,) = problems(LOOP, "attempts_per_stage: 6", f"attempts_per_stage: {value}")
    assert problem.message == f"`budgets.attempts_per_stage` {said}"


def test_a_key_in_the_place_of_a_variable_s_name_is_not_said_again() -> None:
    """Somebody who writes the key itself into the file must not find it in a log as well."""
    new = 'providers: {p: {url: "https://example.org/v1", key_env: sk-canary-1}}'
    (problem,) = problems(CONFIG, "providers: {}", new)
    assert "canary" not in str(problem)
    assert problem.message.startswith("`providers.p.key_env` must be the name of an environment")
    assert problem.fix.startswith("write `key_env: NAME`")


@pytest.mark.parametrize(
    ("wrong", "fix"),
    [("familly: a", "did you mean `family`?"), ("price: {in: 1, output: 1}", "did you mean")],
)
def test_a_wrong_key_below_a_name_of_the_person_s_own_has_its_fix(wrong: str, fix: str) -> None:
    """The keys that a model may have are known, whatever the model is called."""
    new = f"models: {{mine: {{provider: p, id: m, {wrong}}}}}"
    found = [each for each in problems(CONFIG, "\nmodels: {}", f"\n{new}") if "key" in each.message]
    assert [each.message.split()[0] for each in found] == ["unknown"]
    assert found[0].fix.startswith((fix, "known here: input, output, cached"))


def test_a_word_of_the_wrong_form_is_named_with_the_form() -> None:
    """And a tab, which nobody sees, with its cure."""
    (problem,) = problems(CONFIG, "id_prefix: LO", "id_prefix: lo")
    assert problem.message.startswith('`id_prefix` is the text "lo", which does not have the form')
    (problem,) = problems(CONFIG, "  design: recipe", "\tdesign: recipe")
    assert problem.fix == "indent with spaces, not tabs"


def test_a_class_left_out_of_the_routing_is_named() -> None:
    """At the table's place; and a misspelt one is named beside it."""
    (problem,) = problems(LOOP, "  unknown: {", "  unknwon: {")
    assert problem.message == "`routing`: no route for unknown; unknwon is no failure class"
    assert problem.place.line == line_of(LOOP, "routing:") + 2


def test_a_file_without_routing_has_the_default_table() -> None:
    """`version: 1` alone is enough for each of the files."""
    value, wrong = parse(b"version: 1\n", LOOP, Loop)
    assert (value, wrong) == (Loop(version=1), ())


def test_a_missing_version_is_named() -> None:
    """It decides how all the rest is read."""
    (problem,) = problems(LOOP, "version: 1", "")
    assert (problem.message, problem.fix) == ("`version` is missing", "add `version: ...`")


def test_what_is_left_out_of_an_entry_is_named() -> None:
    """Entries of lists have no default for what makes them."""
    (problem,) = problems(LOOP, "checkpoints: []", "checkpoints: [{name: a}]")
    assert problem.message == "`checkpoints.0.stage` is missing"


# YAML.

YAML_PROBLEMS: list[tuple[bytes, str, str]] = [
    (b"", "is empty", "x:1:1"),
    (b"# only a comment\n", "is empty", "x:1:1"),
    (b"- 1\n", "is not a group of settings", "x:1:1"),
    (b"just text", "is not a group of settings", "x:1:1"),
    (b"version: 1\nversion: 1\n", "the key `version` is here twice", "x:2:1"),
    (b"a: {b: 1, b: 2}\n", "the key `b` is here twice", "x:1:11"),
    (b'a: 1\n"a": 2\n', "the key `a` is here twice", "x:2:1"),
    (b"a: &x 1\n", "anchors (`&name`) are not read", "x:1:4"),
    (b"a: *x\n", "aliases (`*name`) are not read", "x:1:4"),
    (b"*x : 1\n", "aliases (`*name`) are not read", "x:1:1"),
    (b"<<: {a: 1}\n", "merge keys (`<<`) are not read", "x:1:1"),
    (b"a: !!python/object/apply:os.system [x]\n", "tags (`tag:yaml.org,2002:python", "x:1:4"),
    (b"a: !!bool yes\n", "tags (`tag:yaml.org,2002:bool`) are not read", "x:1:4"),
    (b"a: !x 1\n", "tags (`!x`) are not read", "x:1:4"),
    (b"a: !!str\n", "tags (", "x:1:4"),
    (b"%YAML 1.1\n---\na: yes\n", "has a % directive", "x:2:1"),
    (b"%YAML 1.21", "is not valid YAML", "x:1:1"),
    (b"%TAG ! tag:x,2000:\n---\na: 1\n", "has a % directive", "x:2:1"),
    (b"a: 1\n---\nb: 1\n", "has more than one document", "x:2:1"),
    (b"a: 1\n...\nb: 1\n", "has more than one document", "x:3:1"),
    (b"\xef\xbb\xbfa: 1\n", "starts with a byte order mark", "x:1:1"),
    ("a: 1\n".encode("utf-16"), "is UTF-16 or UTF-32 text", "x:1:1"),
    ("a: 1\n".encode("utf-32"), "is UTF-16 or UTF-32 text", "x:1:1"),
    ("a: 1\n".encode("utf-16-le"), "control character U+0000", "x:1:2"),
    ("a: 1\n".encode("utf-16-be"), "control character U+0000", "x:1:1"),
    (b"a: 1\nb: \xff\n", "is not UTF-8 text", "x:2:4"),
    (b"a: \xed\xa0\x80\n", "is not UTF-8 text", "x:1:4"),
    (b"a: 1\nb: x\x00y\n", "control character U+0000", "x:2:5"),
    ("a: x\u202ey\n".encode(), "control character U+202E", "x:1:5"),
    ("# \u2066hidden\n".encode(), "control character U+2066", "x:1:3"),
    ("a: x\u200by\n".encode(), "control character U+200B", "x:1:5"),
    (b'a: "x\\u202ey"\n', "has an invisible or control character", "x:1:4"),
    (b'a: "\\0"\n', "has an invisible or control character", "x:1:4"),
    (b'a: "\\ud800"\n', "has an invisible or control character", "x:1:4"),
    (b'a: "\\UFFFFFFFF"\n', "is not valid YAML", "x:1:1"),
    (b"a: 1\n\tb: 1\n", "is not valid YAML", "x:2:1"),
    (b"a: [1\nb: 2\n", "is not valid YAML", "x:2:2"),
    (b"a: 'x\n", "is not valid YAML", "x:2:1"),
    (b"a: b: c\n", "is not valid YAML", "x:1:5"),
    (b"<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> b\n", "has a merge conflict marker", "x:1:1"),
    (b"a: 1\n>>>>>>> b\n", "has a merge conflict marker", "x:2:1"),
    (b"1: a\n", "a key must be text", "x:1:1"),
    (b"null: a\n", "a key must be text", "x:1:1"),
    (b"[a]: b\n", "a key must be text", "x:1:1"),
    (b"{a: b}: c\n", "a key must be text", "x:1:1"),
    (b"a: 1234567890123456789012\n", "is a number of more than 18 digits", "x:1:4"),
    (b"a: " + b"[" * 30 + b"]" * 30, "is nested more than 20 deep", "x:1:24"),
    (b"a:\n" + b"- 1\n" * 10_001, "has more than 10000 entries", "x:9999:3"),
    (b"#" * (strict_yaml.MAX_BYTES + 1), f"at most {strict_yaml.MAX_BYTES} are read", "x"),
]


@pytest.mark.parametrize(("data", "said", "place"), YAML_PROBLEMS)
def test_text_that_could_be_read_in_two_ways_is_refused(data: bytes, said: str, place: str) -> None:
    """By name, at its place, whatever the settings are."""
    value, found = parse(data, "x", Loop)
    assert value is None
    assert said in found[0].message
    assert str(found[0].place) == place


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("2024-01-01", "2024-01-01"),
        ("12:30:45", "12:30:45"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("=", "="),
        ("010", 10),
        ("0o10", 8),
        ("0xff", 255),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ('"true"', "true"),
        ("'1'", "1"),
        ("! x", None),
    ],
)
def test_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    """NO is a country, dates are text, and quotes make text."""
    document = strict_yaml.read(f"a: {text}\n".encode(), "x")
    if text.startswith("!"):
        assert document.problems
        return
    assert document.problems == ()
    assert isinstance(document.value, dict)
    found = document.value["a"]
    assert found == value
    assert type(found) is type(value)


def test_ordinary_ways_to_write_are_read() -> None:
    """A start mark, carriage returns, no final newline, block text."""
    for data in (b"---\na: 1\nb: x", b"a: 1\r\nb: x\r\n", b"a: 1\rb: x", b"{a: 1, b: x}"):
        document = strict_yaml.read(data, "x")
        assert document.problems == ()
        assert document.value == {"a": 1, "b": "x"}
    block = strict_yaml.read(b"a: |\n  one\n  two\n", "x")
    assert block.value == {"a": "one\ntwo\n"}


def test_not_more_problems_than_a_person_reads() -> None:
    """A hostile file does not fill the screen, nor do its words."""
    _, found = parse(b"a: 1\n" * 1000, "x", Loop)
    assert len(found) == strict_yaml.MAX_PROBLEMS
    _, found = parse(b"".join(b"k%d: 1\n" % number for number in range(1000)), "x", Loop)
    assert len(found) == strict_yaml.MAX_PROBLEMS
    for data in (b"a: !" + b"x" * 100_000 + b" 1", b"k" * 900 + b": 1\n", b"a: " + b"x" * 9999):
        _, found = parse(data, "x", Loop)
        assert all(len(str(problem)) < 400 for problem in found)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    """Whatever is in the file, the answer is a value or a problem, never an exception."""
    value, found = parse(data, "x", Loop)
    assert (value is None) is bool(found)


YAML_SIGNS = [
    "a",
    ": ",
    "- ",
    "&a ",
    "!!x ",
    "\\U",
    "%YAML 1.2",
    "? ",
    "<<",
    "  ",
    "---\n",
    "...\n",
]
YAML_WORDS = ["version: 1\n", "routing:\n", "budgets:\n  ", "lease: ", "\u00e9", "\U0001f600"]
YAML_BITS = st.sampled_from([*YAML_SIGNS, *YAML_WORDS, *"[]{},|>*!#'\"\\%1~@:\n\t\u0085\u2028"])


@given(st.lists(YAML_BITS, max_size=30).map("".join))
def test_no_text_of_yaml_signs_breaks_the_reader(text: str) -> None:
    """The same, closer to the parser's corners."""
    value, found = parse(text.encode(), "x", Loop)
    assert (value is None) is bool(found)
    assert all(problem.place.line >= 1 for problem in found)


M = strict_yaml.MAX_BYTES
HOSTILE: dict[str, bytes] = {
    "laughs": b"a: &a [x,x]\n" + b"".join(b"b%d: &b%d [*a,*a]\n" % (n, n) for n in range(9000)),
    "brackets": b"[" * M,
    "braces": b"{a: " * (M // 4),
    "dashes": b"- " * (M // 2),
    "questions": b"? " * (M // 2),
    "growing indent": b"".join(b" " * n + b"a:\n" for n in range(700)),
    "one word": b"a: " + b"x" * (M - 3),
    "many words": b"a: " + b"x " * (M // 2 - 2),
    "one long line": b"#" * M,
    "line feeds": b"\n" * M,
    "quoted lines": b'a: "x\n' + b"  x\n" * (M // 4 - 4) + b'"',
    "plain lines": b"a: x\n" + b"  x\n" * (M // 4 - 4),
    "folded lines": b"a: >\n" + b"  x\n\n" * (M // 5 - 2),
    "keys": b"".join(b"k%d: 1\n" % number for number in range(25_000))[:M],
    "unknown keys": b"version: 1\n" + b"".join(b"k%d: 1\n" % number for number in range(4_900)),
    "one long key": b"x" * (M - 4) + b": 1",
    "exclamation marks": b"a: " + b"!" * (M - 3),
    "colons": b":" * M,
    "digits": b"a: " + b"9" * (M - 3),
    "number of stars": b"a: " + b"*" * (M - 3),
    "patterns": b"version: 1\nwrite: [" + b"'**/*a*b*/**/x', " * (M // 20) + b"'/x']",
}

PROBE = """
import re, sys
from pathlib import Path
from lifeos.core.policy import FILES
from lifeos.governance import load_set
data = Path(sys.argv[1]).read_bytes()
print(len(load_set(dict.fromkeys(FILES, data)).problems))
# Not ru_maxrss: that begins with what the process was a fork of.
status = Path("/proc/self/status").read_text()
print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_a_named_error_in_bounds(name: str, tmp_path: Path) -> None:
    """Five of them at once, in a process of its own: it says no, and stays below 256 MB.

    The time-out catches what would never end; it is no measurement.
    """
    place = tmp_path / "hostile.yaml"
    place.write_bytes(HOSTILE[name])
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(place)],
        env={"PYTHONPATH": str(Path(lifeos.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, memory = done.stdout.split()
    assert int(found) >= len(FILES)
    assert int(memory) < 256


# Schemas.


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_describes_every_setting(name: str) -> None:
    """With its title, id, descriptions and defaults; and it refuses unknown keys as lifeos does."""
    found = schema(name)
    json.dumps(found)
    assert found["$id"] == f"lifeos/{name}/v1"
    assert found["title"].endswith(f"/{name}.yaml")
    assert found["required"] == ["version"]
    for group in (found, *(g for g in found["$defs"].values() if "properties" in g)):
        assert group["additionalProperties"] is False
        for key, setting in group["properties"].items():
            meant = found["$defs"].get(setting.get("$ref", "").rsplit("/", 1)[-1], {})
            assert setting.get("description") or meant.get("description"), key
            assert "default" in setting or key in group["required"], key


def test_a_schema_asks_for_every_failure_class() -> None:
    """An editor shows what lifeos would refuse."""
    routing = schema("loop")["$defs"]["Routing"]
    assert set(routing["required"]) == set(routing["properties"])
    assert schema("loop")["$defs"]["Route"]["properties"]["then"]["enum"] == [
        "escalate",
        "terminate",
        "waive",
        "pause",
    ]
    assert set(Route.model_fields) == {"retries", "backoff", "then"}


def test_there_is_a_schema_for_each_file_and_no_other() -> None:
    """The list is the files'."""
    assert {f"{name}.yaml" for name in SCHEMAS} == {file.rsplit("/", 1)[-1] for file in FILES}
    with pytest.raises(KeyError):
        schema("queue")
