"""Tests that a change weakens: each way is seen with its line, and honest work on tests is not."""

from __future__ import annotations

import pytest

from lifeos.core.envelope import Breach, BreachKind, failure_class
from lifeos.core.guardrails import changed_test_files, is_test_file, weakened
from lifeos.model import Change, FailureClass

NULL = "0" * 40
BASE = """import pytest

def check(value):
    assert value

def test_one():
    assert 1 + 1 == 2
    assert 2 + 2 == 4

class TestMore:
    def test_two(self):
        with pytest.raises(ValueError):
            int("x")
"""


def modified(old: str, new: str | None, path: str = "tests/test_a.py") -> tuple[Breach, ...]:
    """What is said about one file that went from ``old`` to ``new`` (None: deleted)."""
    change = Change(
        status="M" if new is not None else "D",
        path=path,
        old_mode="100644",
        new_mode="100644" if new is not None else "000000",
        old_id="o" * 40,
        new_id="n" * 40 if new is not None else NULL,
    )
    contents = {"o" * 40: old.encode()} | ({"n" * 40: new.encode()} if new is not None else {})
    return weakened([change], contents)


def replaced(old: str, new: str) -> tuple[Breach, ...]:
    """What is said about BASE with one piece replaced."""
    assert old in BASE
    return modified(BASE, BASE.replace(old, new))


IMPORT = "import pytest\n"
WEAKENED = {
    "skip marker": ("def test_one", "@pytest.mark.skip\ndef test_one", "skipped", 6),
    "skipif": ("def test_one", "@pytest.mark.skipif(True, reason='x')\ndef test_one", "skipped", 6),
    "xfail": ("def test_one", "@pytest.mark.xfail(strict=False)\ndef test_one", "skipped", 6),
    "class marker": ("class TestMore", "@pytest.mark.skip\nclass TestMore", "skipped", 10),
    "unittest": ("def test_one", "@unittest.expectedFailure\ndef test_one", "skipped", 6),
    "module marker": (IMPORT, IMPORT + "pytestmark = pytest.mark.skip\n", "tests are", 2),
    "module skip": (IMPORT, IMPORT + "pytest.skip(allow_module_level=True)\n", "tests are", 2),
    "body": ("    assert 1 + 1", "    pytest.skip('later')\n    assert 1 + 1", "skipped", 7),
    "one case": (
        "def test_one():",
        "@pytest.mark.parametrize('a', [param(1, marks=pytest.mark.skip)])\ndef test_one(a):",
        "skipped",
        6,
    ),
    "one case, called": (
        "def test_one():",
        "@pytest.mark.parametrize('a', [pytest.param(1, marks=pytest.mark.xfail())])\n"
        "def test_one(a):",
        "skipped",
        6,
    ),
    "early return": ("    assert 1 + 1", "    return\n    assert 1 + 1", "skipped", 7),
    "not collected": (IMPORT, IMPORT + "collect_ignore = ['x']\n", "tests are", 2),
    "renamed away": ("def test_one", "def no_test_one", "test_one is gone", 0),
    "one assertion less": ("    assert 2 + 2 == 4\n", "", "lost 1 of 2", 6),
    "always true": ("assert 2 + 2 == 4", "assert True", "lost 1 of 2", 6),
    "true by or": ("assert 2 + 2 == 4", "assert 2 + 2 == 5 or True", "lost 1 of 2", 6),
    "true by tuple": ("assert 2 + 2 == 4", "assert (2 + 2 == 5, 'no')", "lost 1 of 2", 6),
    "no expectation": ("pytest.raises(ValueError)", "suppress(ValueError)", "no longer", 11),
}  # fmt: skip


@pytest.mark.parametrize("name", WEAKENED)
def test_a_weakened_test_is_seen(name: str) -> None:
    """The message says what, the line says where; it is a guardrail, and so a breach."""
    old, new, message, line = WEAKENED[name]
    (found,) = replaced(old, new)
    assert message in found.message
    assert (found.kind, found.path, found.line) == (BreachKind.GUARDRAIL, "tests/test_a.py", line)
    assert failure_class([found]) is FailureClass.ENVELOPE_VIOLATION


HONEST = {
    "more assertions": ("assert 2 + 2 == 4", "assert 2 + 2 == 4\n    assert 3"),
    "another value": ("== 4", "== 5"),
    "through a checker": ("assert 2 + 2 == 4", "check(2 + 2 == 4)"),
    "unittest style": ("assert 2 + 2 == 4", "self.assertEqual(2 + 2, 4)"),
    "table": (
        "def test_one():\n    assert 1 + 1 == 2\n    assert 2 + 2 == 4\n",
        "@pytest.mark.parametrize('a', [1, 2])\ndef test_one(a):\n    assert a + a == 2 * a\n",
    ),
    "a new test that is skipped": (
        "def test_one",
        "@pytest.mark.skipif(WINDOWS, reason='x')\ndef test_new():\n    assert 1\n\ndef test_one",
    ),
    "moved within the file": ("class TestMore", "class TestOther"),
    "a comment about skip": (IMPORT, IMPORT + "# never pytest.skip here\n"),
    "a plain case": (
        "def test_one():",
        "@pytest.mark.parametrize('a', [pytest.param(1, id='x')])\ndef test_one(a):",
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_work_on_tests_is_not_reported(name: str) -> None:
    """What does not take anything away from the base's tests."""
    assert replaced(*HONEST[name]) == ()


def test_deleting_a_file_of_tests_names_each() -> None:
    """The base's tests are gone with it."""
    assert [b.message for b in modified(BASE, None)] == [
        "the test TestMore::test_two is gone",
        "the test test_one is gone",
    ]


def test_a_file_that_no_longer_parses_has_lost_its_tests() -> None:
    """A broken file promises nothing."""
    assert len(modified(BASE, "def test_one(:\n")) == 2


def _entry(status: str, path: str, old: str, new: str, old_path: str = "") -> Change:
    return Change.model_validate(
        {
            "status": status,
            "path": path,
            "old_path": old_path,
            "old_mode": "000000" if status == "A" else "100644",
            "new_mode": "000000" if status == "D" else "100644",
            "old_id": old,
            "new_id": new,
        }
    )


def test_a_test_that_moved_to_another_file_is_not_gone() -> None:
    """But one that only shares its name with a test that was there all along is."""
    one = b"def test_one():\n    assert f() == 1\n"
    contents = {"a": one, "b": b"x = 1\n" + one, "c": one + b"\ndef test_n(): assert 1\n"}
    gone = _entry("D", "tests/test_a.py", "a", NULL)
    assert weakened([gone, _entry("A", "tests/test_b.py", NULL, "b")], contents) == ()
    twin = _entry("M", "tests/test_b.py", "b", "c")
    assert len(weakened([gone, twin], contents)) == 1


def test_a_test_file_that_is_no_longer_collected_is_gone() -> None:
    """Renamed out of the tests."""
    change = _entry("R", "attic/old.py", "a", "a", old_path="tests/test_a.py")
    found = weakened([change], {"a": BASE.encode()})
    assert {breach.path for breach in found} == {"tests/test_a.py"}
    assert len(found) == 2


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("pyproject.toml", "fail_under = 90\n", "fail_under = 80\n"),
        ("tox.ini", "addopts = --cov-fail-under=90\n", "addopts = --cov-fail-under=9\n"),
        ("setup.cfg", "max-complexity = 10\n", "max-complexity = 50\n"),
        ("package.json", '"lint": "eslint --max-warnings 0"', '"lint": "eslint --max-warnings 9"'),
    ],
)
def test_a_limit_is_relaxed_in_one_direction_only(path: str, old: str, new: str) -> None:
    """Easier is seen, stricter and equal are not."""
    assert "was relaxed" in modified(old, new, path)[0].message
    assert modified(new, old, path) == ()
    assert modified(old, old + "# more\n", path) == ()


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("src/a.test.ts", "it('adds', () => {})\n", "it.skip('adds', () => {})\n"),
        ("src/a.test.ts", "it('adds', () => {})\n", "it.only('adds', () => {})\n"),
        ("src/a.test.js", "it('adds', () => {})\n", "const x = 1\n"),
        ("pkg/a_test.go", "func TestA(t *T) {\n}\n", "func TestA(t *T) {\n\tt.Skip()\n}\n"),
        ("pkg/a_test.go", "func TestA(t *testing.T) {}\n", "package a\n"),
        ("tests/a.rs", "#[test]\nfn test_a() {}\n", "#[test]\n#[ignore]\nfn test_a() {}\n"),
        ("src/ATest.java", "void testA() {}\n", "@Disabled\nvoid testA() {}\n"),
        ("spec/a_spec.rb", "it 'adds' do\nend\n", "xit 'adds' do\nend\n"),
    ],
)  # fmt: skip
def test_other_languages_are_read_by_line(path: str, old: str, new: str) -> None:
    """Skips and lost tests in the usual frameworks; the same file unchanged says nothing."""
    assert modified(old, new, path)
    assert modified(old, old + "\n", path) == ()


def test_code_outside_tests_may_skip_what_it_wants() -> None:
    """`skip` in the product is no guardrail."""
    assert modified("def f(): pass\n", "def f():\n    return skip()\n", "src/a.py") == ()


def test_excerpts_carry_no_secret() -> None:
    """A skipped test's line is shown redacted."""
    token = "ghp_" + "aB3" * 12
    (found,) = replaced("def test_one", f"@pytest.mark.skip('{token}')\ndef test_one")
    assert token not in found.excerpt
    assert "[redacted" in found.excerpt


@pytest.mark.parametrize(
    ("path", "is_test"),
    [("tests/helpers.py", True), ("test_x.py", True), ("src/x_test.go", True),
     ("conftest.py", True), ("src/a.spec.ts", True), ("src/contest.py", False),
     ("docs/testing.md", False)],
)  # fmt: skip
def test_which_files_hold_tests(path: str, is_test: bool) -> None:
    """By the layouts of the common tools."""
    assert is_test_file(path) is is_test


def test_the_base_tests_are_needed_where_the_base_had_something() -> None:
    """New tests take nothing away; a new conftest.py can."""
    changes = [
        _entry("A", "tests/test_new.py", NULL, "a"),
        _entry("M", "tests/test_old.py", "a", "b"),
        _entry("A", "tests/conftest.py", NULL, "a"),
        _entry("R", "tests/test_y.py", "a", "b", old_path="tests/test_x.py"),
        _entry("M", "src/a.py", "a", "b"),
    ]
    assert changed_test_files(changes) == (
        "tests/conftest.py",
        "tests/test_old.py",
        "tests/test_x.py",
    )
