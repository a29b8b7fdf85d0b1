"""Checks as they really run: real trees, a real sandbox, a real pytest, and code that cheats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lifeos.checks import Ground, run_acceptance, run_checks
from lifeos.core.checkreport import CheckReport, CheckResult, CheckStatus
from lifeos.core.policy.config import Check
from lifeos.core.policy.envelope import Limits
from lifeos.model import FailureClass
from lifeos.sandbox import NoSandbox, choose
from lifeos.store.repo import Repo
from lifeos.store.trees import edit

PYTEST = "python -m pytest -q -p no:cacheprovider --junitxml=report.xml tests"

CODE = "def double(x):\n    return x * 2\n"
TEST = (
    "from code_under_test import double\n\n"
    "def test_double():\n    assert double(2) == 4\n\n"
    "def test_zero():\n    assert double(0) == 0\n"
)
PROJECT = {
    "code_under_test.py": CODE,
    "tests/test_double.py": TEST,
    "tests/conftest.py": "import sys\nsys.path.insert(0, '.')\n",
    "pytest.ini": "[pytest]\n",
}
UNIT = {"name": "unit", "run": PYTEST, "kind": "test", "junit": "report.xml", "reruns": 0}
PINNED = ("**/conftest.py", "pytest.ini")

Make = Callable[..., Ground]


@pytest.fixture
def opened(repo: Path) -> Iterator[Repo]:
    """The test repository, opened."""
    with Repo.open(repo) as found:
        yield found


def put(repo: Repo, files: Mapping[str, str | tuple[str, str]]) -> str:
    """A tree with these files; a value may be (mode, content)."""
    changes = {}
    for path, value in files.items():
        mode, text = value if isinstance(value, tuple) else ("100644", value)
        changes[path] = (mode, repo.objects.write_blob(text.encode()))
    return edit(repo.objects, None, changes)


@pytest.fixture
def ground(opened: Repo, tmp_path: Path) -> Make:
    """Grounds over two sets of files: the tree, and the base (the same unless given)."""

    def make(
        files: Mapping[str, Any],
        base: Mapping[str, Any] | None = None,
        kind: str = "none",
        **more: Any,
    ) -> Ground:
        tree = put(opened, files)
        values: dict[str, Any] = {
            "repo": opened,
            "tree": tree,
            "base": put(opened, base) if base is not None else tree,
            "sandbox": choose(kind),
            "scratch": tmp_path / "scratch",
            "limits": Limits(),
        }
        return Ground(**values | more)

    return make


def check(**values: Any) -> Check:
    """A check; a lint by default, run once."""
    return Check.model_validate(
        {"name": "one", "kind": "lint", "run": "true", "reruns": 0} | values
    )


def only(report: CheckReport) -> CheckResult:
    """The single result."""
    (result,) = report.results
    return result


def unit(on: Ground, base_test_files: tuple[str, ...] = (), **values: Any) -> CheckReport:
    """The project's unit tests by pytest, in the sandbox."""
    return run_checks([check(**UNIT | values)], on, base_test_files=base_test_files)


@pytest.mark.sandbox
def test_a_real_project_passes_and_names_its_tests(ground: Make) -> None:
    """pytest in the sandbox, by `python -m pytest`; its report names what ran."""
    report = unit(ground(PROJECT, kind="bwrap"))
    assert report.passed, only(report).excerpt
    assert only(report).tests == ("tests.test_double::test_double", "tests.test_double::test_zero")
    assert report.error_digest == ""


@pytest.mark.sandbox
def test_a_failure_names_its_test_and_has_a_stable_digest(ground: Make) -> None:
    """The same failure twice is the same error; it is told with the end of the output."""
    wrong = PROJECT | {"code_under_test.py": CODE.replace("* 2", "* 3")}
    first, again = (unit(ground(wrong, kind="bwrap")) for _ in range(2))
    assert first.failure_class is FailureClass.TEST_FAILURE
    assert only(first).failed_tests == ("tests.test_double::test_double",)
    assert "assert 6 == 4" in only(first).excerpt
    assert first.error_digest == again.error_digest


@pytest.mark.sandbox
def test_code_that_cannot_be_imported_is_a_test_failure(ground: Make) -> None:
    """pytest ends with 2 then, as if somebody had interrupted it."""
    report = unit(ground(PROJECT | {"code_under_test.py": "def double(:\n"}, kind="bwrap"))
    assert only(report).exit_code == 2
    assert report.failure_class is FailureClass.TEST_FAILURE


@pytest.mark.sandbox
def test_no_tests_are_not_a_pass(ground: Make) -> None:
    """pytest's 5."""
    empty = {path: text for path, text in PROJECT.items() if "test_double" not in path}
    assert only(unit(ground(empty, kind="bwrap"))).status is CheckStatus.NO_TESTS


CHEAT = PROJECT["tests/conftest.py"] + (
    "def pytest_collection_modifyitems(items):\n"
    "    for item in items:\n        item.obj = lambda: None\n"
)


@pytest.mark.sandbox
def test_pinned_files_are_those_of_the_base(ground: Make) -> None:
    """A conftest.py that turns every test green works only where it is not pinned."""
    wrong = PROJECT | {"code_under_test.py": CODE.replace("* 2", "* 3")}
    cheating = ground(wrong | {"tests/conftest.py": CHEAT}, base=PROJECT, kind="bwrap")
    assert unit(cheating).passed
    assert unit(cheating, pinned=PINNED).failure_class is FailureClass.TEST_FAILURE
    other_case = wrong | {"sub/tests/ConfTest.py": CHEAT, "conftest.py": CHEAT}
    result = unit(ground(other_case, base=PROJECT, kind="bwrap"), pinned=PINNED)
    assert result.failure_class is FailureClass.TEST_FAILURE


@pytest.mark.sandbox
def test_a_weakened_test_is_found_by_the_tests_of_the_base(ground: Make) -> None:
    """Green with its own tests, red with the base's: a finding for a person, not a failure."""
    wrong = {"code_under_test.py": CODE.replace("* 2", "* 3")}
    weak = {"tests/test_double.py": TEST.replace("== 4", "== 6")}
    cheating = ground(PROJECT | wrong | weak, base=PROJECT, kind="bwrap")
    report = unit(cheating, base_test_files=("tests/test_double.py",))
    assert report.passed
    assert "tests.test_double::test_double" in report.findings[0].excerpt
    more = {"tests/test_double.py": TEST + "\ndef test_more():\n    assert double(1) == 2\n"}
    honest = unit(
        ground(PROJECT | more, base=PROJECT, kind="bwrap"),
        base_test_files=("tests/test_double.py",),
    )
    assert len(honest.base_tests) == 1
    assert honest.findings == ()


@pytest.mark.sandbox
def test_every_test_of_the_base_must_have_run(ground: Make) -> None:
    """A deleted test is named, although all that is left is green."""
    base = unit(ground(PROJECT, kind="bwrap"))
    less = ground(
        PROJECT | {"tests/test_double.py": TEST[: TEST.index("\ndef test_zero")]}, kind="bwrap"
    )
    report = run_checks([check(**UNIT)], less, expected={"unit": only(base).tests})
    assert only(report).status is CheckStatus.MISSING
    assert only(report).missing_tests == ("tests.test_double::test_zero",)


@pytest.mark.sandbox
def test_a_process_that_stays_behind_is_gone(ground: Make) -> None:
    """A daemon of one check is not there when the next one runs: nobody else lives in its world."""
    daemon = check(name="a", run="setsid sh -c 'sleep 300' >/dev/null 2>&1 & sleep 0.2")
    # No shell pattern may find itself: the bracket keeps the command line from matching.
    looks = check(name="b", run="! cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep 'sleep 30[0]'")
    report = run_checks([daemon, looks], ground({"a": "x"}, kind="bwrap"))
    assert report.passed, report


@pytest.mark.parametrize(
    ("run", "status", "failure"),
    [
        ("true", CheckStatus.PASSED, None),
        ("exit 3", CheckStatus.FAILED, FailureClass.LINT_ERROR),
        ("no-such-command-here", CheckStatus.UNAVAILABLE, FailureClass.DEPENDENCY_ERROR),
        ("./data.txt", CheckStatus.UNAVAILABLE, FailureClass.DEPENDENCY_ERROR),
        ("kill -SEGV $$", CheckStatus.FAILED, FailureClass.LINT_ERROR),
    ],
)
def test_the_shell_decides(
    ground: Make, run: str, status: CheckStatus, failure: FailureClass | None
) -> None:
    """0 passes, 126 and 127 mean that the command is missing, all else is red."""
    result = only(run_checks([check(run=run)], ground({"data.txt": "x"})))
    assert (result.status, result.failure_class) == (status, failure)


def test_a_check_that_takes_too_long_is_ended(ground: Make) -> None:
    """By its own timeout, not by the sandbox's; what it said until then is there."""
    slow = check(run="echo begun; sleep 60", timeout=1)
    result = only(run_checks([slow], ground({"a": "x"})))
    assert (result.status, result.exit_code) == (CheckStatus.TIMEOUT, None)
    assert result.failure_class is FailureClass.TIMEOUT
    assert result.excerpt == "begun"


def test_a_stop_ends_the_checks(ground: Make) -> None:
    """During a check, and before the next: nothing after it is run, and it is no pass."""
    looks = iter([False] * 2)
    on = ground({"a": "x"}, should_stop=lambda: next(looks, True))
    report = run_checks([check(run="sleep 60"), check(name="two")], on)
    assert [result.status for result in report.results] == [CheckStatus.STOPPED]
    assert report.failure_class is FailureClass.INTERRUPTED


def test_each_check_has_a_fresh_folder_and_leaves_none(ground: Make, tmp_path: Path) -> None:
    """What one check writes, deletes or changes, the next does not see."""
    spoil = check(name="a", run="rm kept; echo x > planted; echo y > changed; mkdir -m 0 closed")
    see = check(name="b", run="test -e kept && test ! -e planted && grep -q original changed")
    report = run_checks([spoil, see], ground({"kept": "x", "changed": "original"}))
    assert report.passed, report
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_flake_is_told_from_a_failure(ground: Make, tmp_path: Path) -> None:
    """Red, then green on the same tree; with no reruns it is plain red; always red stays red."""
    flag = tmp_path / "flag"
    flaky = f"test -e {flag} || {{ touch {flag}; exit 1; }}"
    report = run_checks([check(run=flaky, kind="test", reruns=2)], ground({"a": "x"}))
    assert (only(report).status, only(report).reruns) == (CheckStatus.FLAKY, 1)
    assert report.failure_class is FailureClass.TEST_FLAKE
    flag.unlink()
    once = run_checks([check(run=flaky, kind="test", reruns=0)], ground({"a": "x"}))
    assert once.failure_class is FailureClass.TEST_FAILURE
    always = only(run_checks([check(run="exit 1", kind="test", reruns=2)], ground({"a": "x"})))
    assert (always.status, always.reruns) == (CheckStatus.FAILED, 2)


def test_only_fast_checks_when_asked(ground: Make) -> None:
    """The slow ones run before the checkpoint."""
    both = [check(name="quick"), check(name="slow", fast=False)]
    names = [
        [r.name for r in run_checks(both, ground({"a": "x"}), fast_only=f).results]
        for f in (True, False)
    ]
    assert names == [["quick"], ["quick", "slow"]]


GREEN = '<testsuite><testcase name="a"/></testsuite>'


@pytest.mark.parametrize(
    ("files", "run"),
    [
        ({"out/r.xml": GREEN}, "true"),  # committed, by the change
        ({"x.xml": GREEN}, "mkdir out; ln -s ../x.xml out/r.xml"),
        ({"real/r.xml": GREEN}, "ln -s real out"),
        ({"a": "x"}, "mkdir out; mkfifo out/r.xml"),
        ({"a": "x"}, "mkdir -p out/r.xml"),
        ({"a": "x"}, "mkdir out; head -c 33000000 /dev/zero > out/r.xml"),
        ({"out": ("120000", "/etc"), "a": "x"}, "true"),
    ],
)
def test_a_report_that_the_run_did_not_write_is_none(
    ground: Make, files: dict[str, Any], run: str
) -> None:
    """Committed, linked, a pipe, a folder, a flood: exit 0 without a real report is no pass."""
    result = only(run_checks([check(run=run, kind="test", junit="out/r.xml")], ground(files)))
    assert result.status is CheckStatus.BROKEN


def test_a_written_report_is_read(ground: Make) -> None:
    """The counterpart of the above: the same place, written by the run."""
    run = f"mkdir -p out; echo '{GREEN}' > out/r.xml"
    result = only(run_checks([check(run=run, kind="test", junit="out/r.xml")], ground({"a": "x"})))
    assert (result.status, result.tests) == (CheckStatus.PASSED, ("a",))


@pytest.mark.parametrize(
    ("new", "base", "run"),
    [
        ({"a": "x"}, {"cfg/x.toml": "base"}, "grep -q base cfg/x.toml"),  # deleted by the change
        ({"cfg": "file"}, {"cfg/x.toml": "base"}, "grep -q base cfg/x.toml"),
        ({"cfg": ("120000", "/etc")}, {"cfg/x.toml": "base"}, "test ! -L cfg && cat cfg/x.toml"),
        ({"cfg/x.toml/y": "new"}, {"cfg/x.toml": "base"}, "grep -q base cfg/x.toml"),
        ({"cfg/x.toml": ("120000", "/etc/passwd")}, {"cfg/x.toml": "base"}, "test ! -L cfg/x.toml"),
        ({"cfg/x.toml": "new", "a": "x"}, {"a": "x"}, "test ! -e cfg/x.toml"),
        ({"Cfg/X.toml": "new", "a": "x"}, {"a": "x"}, "test ! -e Cfg/X.toml"),
        ({"cfg/x.toml": ("100755", "base")}, {"cfg/x.toml": "base"}, "test ! -x cfg/x.toml"),
    ],
)
def test_pinning_holds_against_every_disguise(
    ground: Make, new: dict[str, Any], base: dict[str, Any], run: str
) -> None:
    """Deleted, replaced by a file, link or folder, added, in other case, with another mode."""
    one = check(run=run, pinned=["cfg/x.toml"])
    assert run_checks([one], ground(new, base=base)).passed
    assert not run_checks([check(run=run)], ground(new, base=base)).passed


def test_output_is_cleaned_and_cut(ground: Make) -> None:
    """Terminal escapes are gone; only the end of a flood is kept."""
    run = "printf '\\033[31mred\\033[0m\\n'; seq 100000; printf LAST; exit 1"
    result = only(run_checks([check(run=run)], ground({"a": "x"})))
    assert result.excerpt.endswith("LAST")
    assert len(result.excerpt) <= 4096
    assert "\x1b" not in result.excerpt


def test_a_sandbox_that_cannot_start_is_a_tool_error(ground: Make) -> None:
    """Not an exception in the middle of a tick, and never a pass."""

    class Unusable(NoSandbox):
        def run(self, command: Any, **more: Any) -> Any:
            return super().run(("/no/such/shell", *command), **more)

    report = run_checks([check()], ground({"a": "x"}, sandbox=Unusable()))
    assert report.failure_class is FailureClass.TOOL_ERROR


def test_the_environment_is_what_was_handed_through(ground: Make) -> None:
    """A variable of lifeos's own is not there; one that the policy names is."""
    run = 'test "$TZ" = Asia/Tokyo && test -z "$GIT_CONFIG_GLOBAL"'
    assert run_checks([check(run=run)], ground({"a": "x"}, environment={"TZ": "Asia/Tokyo"})).passed


def test_acceptance_commands_pass_by_exit_code_only(ground: Make) -> None:
    """Each with its own text; pinned files are the base's here too; an empty command is no pass."""
    on = ground({"a": "new", "cfg": "weak"}, base={"a": "old", "cfg": "strict"})
    asked = [
        ("it is new", "grep -q new a"),
        ("it is strict", "grep -q strict cfg"),
        ("it fails", "exit 1"),
        ("it has no tests", "pytest() { return 5; }; pytest"),
        ("nothing", ""),
    ]
    found = run_acceptance(asked, on, pinned=("cfg",), seconds=10)
    assert [(result.text, result.passed) for result in found] == [
        ("it is new", True),
        ("it is strict", True),
        ("it fails", False),
        ("it has no tests", False),
        ("nothing", False),
    ]
