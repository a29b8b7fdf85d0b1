# ruff: noqa: E501 - a table with one pair a line
"""What judges a change must not become easier by it: pairs of before and after, for every way, and
pairs that only look like it.
"""

from __future__ import annotations

import textwrap

import pytest

from lifeos.core.envelope import Breach, BreachKind
from lifeos.core.guardrails import weakened
from lifeos.core.settingsfile import LARGEST, flat
from lifeos.model import Change

NULL = "0" * 40


def told(*files: tuple[str, str | None, str | None]) -> list[Breach]:
    """The breaches of a change of some files, each (path, before, after); None: it is not there."""
    changes, contents = [], {}
    for number, (path, old, new) in enumerate(files):
        ids = [f"{number}{side}" * 20 for side in "on"]
        for oid, text in zip(ids, (old, new), strict=True):
            if text is not None:
                contents[oid] = textwrap.dedent(text).encode()
        changes.append(
            Change(
                status="A" if old is None else "D" if new is None else "M",
                path=path,
                old_mode="000000" if old is None else "100644",
                new_mode="000000" if new is None else "100644",
                old_id=NULL if old is None else ids[0],
                new_id=NULL if new is None else ids[1],
            )
        )
    return list(weakened(changes, contents))


TEST = "def test_a():\n    {}\n"


def body(old: str, new: str) -> tuple[str, str, str]:
    """One test of a file, before and after."""
    files = [
        f"import pytest\n\ndef test_a(x):\n{textwrap.indent(each, '    ')}" for each in (old, new)
    ]
    return ("tests/test_a.py", *files)  # type: ignore[return-value]  # two texts


WEAKER: dict[str, tuple[tuple[str, str, str], str]] = {
    "compared with itself": (body("assert f(x) == 1\n", "assert f(x) == f(x)\n"), "no longer"),
    "a constant compared": (body("assert f(x) == 1\n", "f(x)\nassert 1 == 1\n"), "no longer"),
    "not false": (body("assert f(x) == 1\n", "f(x)\nassert not False\n"), "no longer"),
    "a length is never negative": (body("assert f(x) == 1\n", "assert len(f(x)) >= 0\n"), "no longer"),
    "a list with something in it": (body("assert f(x) == 1\n", "assert [f(x) == 1]\n"), "no longer"),
    "true of unittest": (body("self.assertEqual(f(x), 1)\n", "self.assertTrue(True)\n"), "no longer"),
    "the same twice": (body("self.assertEqual(f(x), 1)\n", "self.assertEqual(x, x)\n"), "no longer"),
    "all is excepted": (
        body("assert f(x) == 1\n", "try:\n    assert f(x) == 1\nexcept Exception:\n    pass\n"),
        "no longer",
    ),
    "bare except": (
        body("assert f(x) == 1\n", "try:\n    assert f(x) == 1\nexcept:\n    print('?')\n"),
        "no longer",
    ),
    "suppressed": (
        body("assert f(x) == 1\n", "with contextlib.suppress(AssertionError):\n    assert f(x) == 1\n"),
        "no longer",
    ),
    "never run": (body("assert f(x) == 1\n", "if False:\n    assert f(x) == 1\n"), "no longer"),
    "else of always": (
        body("assert f(x) == 1\n", "if True:\n    pass\nelse:\n    assert f(x) == 1\n"),
        "no longer",
    ),
    "after a return": (body("g(x)\nassert f(x) == 1\n", "g(x)\nreturn\nassert f(x) == 1\n"), "skipped"),
    "a return on a condition": (
        body("assert f(x) == 1\n", "if x:\n    return\nassert f(x) == 1\n"),
        "skipped",
    ),
    "raise SkipTest": (body("assert f(x) == 1\n", "raise SkipTest\nassert f(x) == 1\n"), "skipped"),
    "raise unittest.SkipTest": (
        body("assert f(x) == 1\n", "raise unittest.SkipTest('x')\nassert f(x) == 1\n"),
        "skipped",
    ),
    "any exception will do": (
        body("with pytest.raises(KeyError):\n    f(x)\n", "with pytest.raises(Exception):\n    f(x)\n"),
        "any exception",
    ),
    "a wider tolerance": (
        body("assert f(x) == pytest.approx(1, abs=0.1)\n", "assert f(x) == pytest.approx(1, abs=5)\n"),
        "relaxed from 0.1 to 5",
    ),
    "fewer cases": (
        (
            "tests/test_a.py",
            "@pytest.mark.parametrize('a', [1, 2, 3])\ndef test_a(a):\n    assert a\n",
            "@pytest.mark.parametrize('a', [1, 3])\ndef test_a(a):\n    assert a\n",
        ),
        "lost 1 of 3 cases",
    ),
    "fewer cases in a table of the file": (
        (
            "tests/test_a.py",
            "T = {'a': 1, 'b': 2}\n@parametrize('a', sorted(T))\ndef test_a(a):\n    assert a\n",
            "T = {'a': 1}\n@parametrize('a', sorted(T))\ndef test_a(a):\n    assert a\n",
        ),
        "lost 1 of 2 cases",
    ),
    "no cases": (
        (
            "tests/test_a.py",
            "@pytest.mark.parametrize('a', [1, 2])\ndef test_a(a):\n    assert a\n",
            "@pytest.mark.parametrize('a', [])\ndef test_a(a):\n    assert a\n",
        ),
        "lost 2 of 2 cases",
    ),
    "a longer time limit": (
        (
            "tests/test_a.py",
            "@pytest.mark.timeout(5)\ndef test_a():\n    assert f()\n",
            "@pytest.mark.timeout(500)\ndef test_a():\n    assert f()\n",
        ),
        "timeout of the test test_a was relaxed from 5 to 500",
    ),
    "fewer examples": (
        (
            "tests/test_a.py",
            "@settings(max_examples=200)\ndef test_a():\n    assert f()\n",
            "@settings(max_examples=1)\ndef test_a():\n    assert f()\n",
        ),
        "max_examples",
    ),
    "a fixture that skips": (
        (
            "tests/test_a.py",
            "@fixture\ndef x():\n    return 1\ndef test_a(x):\n    assert x\n",
            "@fixture\ndef x():\n    pytest.skip('no')\n    return 1\ndef test_a(x):\n    assert x\n",
        ),
        "tests are skipped",
    ),
    "setUp that skips": (
        (
            "tests/test_a.py",
            "class T:\n    def test_a(self):\n        assert f()\n",
            "class T:\n    def setUp(self):\n        self.skipTest('x')\n"
            "    def test_a(self):\n        assert f()\n",
        ),
        "tests are skipped",
    ),
    "a class that is no test": (
        (
            "tests/test_a.py",
            "class T:\n    def test_a(self):\n        assert f()\n",
            "class T:\n    __test__ = False\n    def test_a(self):\n        assert f()\n",
        ),
        "tests are skipped",
    ),
    "a test that is taken back": (
        (
            "tests/test_a.py",
            "def test_a():\n    assert f()\n",
            "def test_a():\n    assert f()\ndel test_a\n",
        ),
        "test_a is gone",
    ),
    "a hook that drops tests": (
        (
            "tests/conftest.py",
            "import pytest\n",
            "import pytest\ndef pytest_collection_modifyitems(items):\n    items.clear()\n",
        ),
        "tests are skipped",
    ),
    "a hook that is changed": (
        (
            "conftest.py",
            "def pytest_runtest_makereport(item):\n    return None\n",
            "def pytest_runtest_makereport(item):\n    item.outcome = 'passed'\n",
        ),
        "tests are skipped",
    ),
    "noqa": (("src/a.py", "import os\n", "import os  # noqa: F401\n"), "switched off: # noqa: F401"),
    "noqa for all": (
        ("src/a.py", "import os  # noqa: F401\n", "import os  # noqa\n"),
        "switched off: # noqa",
    ),
    "type ignore": (("src/a.py", "x: int = 1\n", "x: int = ''  # type: ignore\n"), "type: ignore"),
    "pylint": (("src/a.py", "x = 1\n", "# pylint: disable=all\nx = 1\n"), "pylint"),
    "no cover": (("src/a.py", "x = 1\n", "x = 1  # pragma: no cover\n"), "no cover"),
    "eslint": (("src/a.ts", "let a\n", "// eslint-disable-next-line no-var\nlet a\n"), "eslint"),
    "ts-ignore": (("src/a.ts", "let a\n", "// @ts-ignore\nlet a\n"), "@ts-ignore"),
    "nolint": (("a.go", "x := 1\n", "x := 1 //nolint:errcheck\n"), "nolint"),
    "allow": (("a.rs", "fn a() {}\n", "#[allow(dead_code)]\nfn a() {}\n"), "allow("),
    "suppress": (("A.java", "class A {}\n", '@SuppressWarnings("x")\nclass A {}\n'), "Suppress"),
    "rubocop": (("a.rb", "x = 1\n", "x = 1 # rubocop:disable Lint\n"), "rubocop"),
    "coverage": (
        (
            "pyproject.toml",
            "[tool.coverage.report]\nfail_under = 90\n",
            "[tool.coverage.report]\nfail_under = 50\n",
        ),
        "relaxed from 90 to 50",
    ),
    "coverage gone": (
        ("pyproject.toml", "[tool.coverage.report]\nfail_under = 90\n", "[tool.coverage.report]\n"),
        "relaxed from 90 to nothing",
    ),
    "omitted": (
        (".coveragerc", "[run]\nomit = a.py\n", "[run]\nomit = a.py, src/core.py\n"),
        "lets src/core.py pass",
    ),
    "line length": (
        ("pyproject.toml", "[tool.ruff]\nline-length = 100\n", "[tool.ruff]\nline-length = 300\n"),
        "relaxed from 100 to 300",
    ),
    "complexity": (
        ("ruff.toml", "[lint.mccabe]\nmax-complexity = 8\n", "[lint.mccabe]\nmax-complexity = 80\n"),
        "relaxed from 8 to 80",
    ),
    "a rule ignored": (
        ("ruff.toml", '[lint]\nignore = ["E1"]\n', '[lint]\nignore = ["E1", "S"]\n'),
        "lets S pass now",
    ),
    "a rule not selected": (
        ("ruff.toml", '[lint]\nselect = ["E", "S"]\n', '[lint]\nselect = ["E"]\n'),
        "no longer has S",
    ),
    "a file's rules ignored": (
        (
            "pyproject.toml",
            '[tool.ruff.lint]\nselect = ["E"]\n',
            '[tool.ruff.lint]\nselect = ["E"]\n[tool.ruff.lint.per-file-ignores]\n"src/*" = ["E"]\n',
        ),
        "lets E pass now",
    ),
    "flake8": (("setup.cfg", "[flake8]\nignore = E1\n", "[flake8]\nignore = E1,F4\n"), "F4 pass"),
    "mypy": (
        ("pyproject.toml", "[tool.mypy]\nstrict = true\n", "[tool.mypy]\nstrict = false\n"),
        "strict is no longer on",
    ),
    "mypy, gone": (
        ("mypy.ini", "[mypy]\nstrict = True\nx = 1\n", "[mypy]\nx = 1\n"),
        "strict is no longer on",
    ),
    "mypy, one module": (
        (
            "pyproject.toml",
            "[tool.mypy]\nstrict = true\n",
            '[tool.mypy]\nstrict = true\n[[tool.mypy.overrides]]\nmodule = "a"\nignore_errors = true\n',
        ),
        "ignore_errors is on",
    ),
    "typescript": (
        (
            "tsconfig.json",
            '{"compilerOptions": {"strict": true, /* x */}}',
            '{"compilerOptions": {"strict": false}}',
        ),
        "strict is no longer on",
    ),
    "eslint rule": (
        (".eslintrc.json", '{"rules": {"eqeqeq": "error"}}', '{"rules": {"eqeqeq": "off"}}'),
        "eqeqeq is off",
    ),
    "eslint rule in code": (
        ("eslint.config.js", "rules: { }\n", 'rules: { "no-var": "off" }\n'),
        "no-var",
    ),
    "jest": (
        (
            "package.json",
            '{"jest": {"coverageThreshold": {"global": {"lines": 90}}}}',
            '{"jest": {"coverageThreshold": {"global": {"lines": 10}}}}',
        ),
        "relaxed from 90 to 10",
    ),
    "deselect": (
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\naddopts = "-q"\n',
            '[tool.pytest.ini_options]\naddopts = "-q --deselect tests/test_a.py"\n',
        ),
        "--deselect",
    ),
    "keyword": (
        ("pytest.ini", "[pytest]\naddopts = -q\n", "[pytest]\naddopts = -q -k 'not slow'\n"),
        "-k",
    ),
    "new pytest.ini": (("pytest.ini", None, "[pytest]\naddopts = --ignore=tests/a\n"), "--ignore"),  # type: ignore[dict-item]  # None: new
    "new settings of one tool": (
        ("ruff.toml", None, '[lint]\nignore = ["E"]\n'),  # type: ignore[dict-item]  # None: new
        "lets E pass",
    ),
    "test paths": (
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\ntestpaths = ["tests", "more"]\n',
            '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
        ),
        "no longer has more",
    ),
    "warnings": (
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n',
            '[tool.pytest.ini_options]\nfilterwarnings = ["default"]\n',
        ),
        "error of a warning",
    ),
    "or true": (("Makefile", "test:\n\tpytest\n", "test:\n\tpytest || true\n"), "|| true"),
    "make ignores": (("Makefile", "test:\n\tpytest\n", "test:\n\t-pytest\n"), "-p"),
    "exit 0": (("run.sh", "pytest\n", "pytest\nexit 0\n"), "exit 0"),
    "set +e": (("run.sh", "pytest\n", "set +e\npytest\n"), "set +e"),
    "continue": (
        (".gitlab-ci.yml", "test:\n  script: x\n", "test:\n  allow_failure: true\n  script: x\n"),
        "allow_failure",
    ),
    "continue on GitHub": (
        (".github/workflows/a.yml", "- run: x\n", "- run: x\n  continue-on-error: true\n"),
        "continue-on-error",
    ),
    "npm script": (
        (
            "package.json",
            '{"scripts": {"test": "jest"}}',
            '{"scripts": {"test": "jest --passWithNoTests || true"}}',
        ),
        "leaves something out",
    ),
    "lint only tells": (
        (".ci/run", "ruff check\n", "ruff check --exit-zero\n"),
        "--exit-zero",
    ),
    "a CI time limit": (
        (".circleci/a.yml", "timeout-minutes: 5\n", "timeout-minutes: 50\n"),
        "relaxed from 5 to 50",
    ),
    "a type check of a script": (
        (
            "package.json",
            '{"scripts": {"types": "mypy --strict src"}}',
            '{"scripts": {"types": "mypy src"}}',
        ),
        "no longer has --strict",
    ),
    "todo": (("a.test.ts", "it('a', () => {})\n", "it.todo('a')\n"), "skipped"),
    "only one": (("a.test.ts", "describe('a', f)\n", "describe.only('a', f)\n"), "skipped"),
    "xit": (("a.test.js", "it('a', f)\n", "xit('a', f)\n"), "skipped"),
    "expectations of a script": (
        (
            "a.test.ts",
            "it('a', () => {\n  expect(f()).toBe(1)\n})\n",
            "it('a', () => {\n  f()\n})\n",
        ),
        "no longer asserts",
    ),
    "an expectation of nothing": (
        (
            "a.test.ts",
            "it('a', () => {\n  expect(f()).toBe(1)\n})\n",
            "it('a', () => {\n  expect(true).toBe(true)\n})\n",
        ),
        "no longer asserts",
    ),
    "go": (
        ("a_test.go", "func TestA(t *T) {\n\tt.Fatal()\n}\n", "func TestA(t *T) {\n\tt.SkipNow()\n}\n"),
        "skipped",
    ),
    "go in short": (
        ("a_test.go", "func TestA(t *T) {\n}\n", "func TestA(t *T) {\n if testing.Short() { return }\n}\n"),
        "skipped",
    ),
    "rust, any name": (
        ("tests/a.rs", "#[test]\nfn adds() {\n  assert_eq!(f(), 1);\n}\n", "fn adds() {\n}\n"),
        "adds is gone",
    ),
    "rust ignores": (
        ("tests/a.rs", "#[test]\nfn adds() {}\n", "#[test]\n#[ignore]\nfn adds() {}\n"),
        "skipped",
    ),
    "junit, any name": (
        ("src/ATest.java", "@Test\nvoid adds() { assertEquals(1, f()); }\n", "void adds() { }\n"),
        "adds is gone",
    ),
    "junit 4": (
        ("src/ATest.java", "@Test\nvoid adds() { }\n", "@Ignore\n@Test\nvoid adds() { }\n"),
        "skipped",
    ),
    "minitest": (
        ("test/a_test.rb", "def test_a\n  assert_equal 1, f\nend\n", "def test_b\n  g\nend\n"),
        "test_a is gone",
    ),
    "rspec": (("spec/a_spec.rb", "it 'a' do\nend\n", "pending 'a' do\nend\n"), "gone"),
}  # fmt: skip


@pytest.mark.parametrize("name", WEAKER)
def test_what_judges_may_not_become_easier(name: str) -> None:
    """Each way is named, as a guardrail, in its file."""
    case, message = WEAKER[name]
    found = told(case)
    assert any(message in breach.message for breach in found), found
    assert {breach.kind for breach in found} == {BreachKind.GUARDRAIL}
    assert {breach.path for breach in found} == {case[0]}


ONE = "def test_a():\n    x = f()\n    assert x == 1\n"
TWO = "def test_b():\n    y = g()\n    assert y == 2\n"
HONEST: dict[str, list[tuple[str, str | None, str | None]]] = {
    "renamed": [("tests/test_a.py", ONE, ONE.replace("test_a", "test_it_is_one"))],
    "moved": [("tests/test_a.py", ONE + TWO, ONE), ("tests/test_b.py", None, TWO)],
    "moved and renamed": [
        ("tests/test_a.py", ONE + TWO, ONE),
        ("tests/test_b.py", None, TWO.replace("test_b", "test_two")),
    ],
    "into a class": [
        ("tests/test_a.py", ONE, "class TestOne:\n" + textwrap.indent(ONE, "    ")),
    ],
    "tests added": [("tests/test_a.py", ONE, ONE + TWO)],
    "a new file with a skip": [
        ("tests/test_new.py", None, "@pytest.mark.skip\ndef test_n():\n    pass\n")
    ],
    "cases added": [
        (
            "tests/test_a.py",
            "@parametrize('a', [1, 2])\ndef test_a(a):\n    assert a\n",
            "@parametrize('a', [1, 2, 3])\ndef test_a(a):\n    assert a\n",
        )
    ],
    "cases into a loop": [
        (
            "tests/test_a.py",
            "@parametrize('a', [1, 2])\ndef test_a(a):\n    assert a\n",
            "def test_a():\n    for a in [1, 2]:\n        assert a\n",
        )
    ],
    "a table that is computed": [
        (
            "tests/test_a.py",
            "@parametrize('a', [1, 2])\ndef test_a(a):\n    assert a\n",
            "@parametrize('a', every())\ndef test_a(a):\n    assert a\n",
        )
    ],
    "a narrow except": [
        body(
            "try:\n    f(x)\n    assert False\nexcept KeyError:\n    pass\n",
            "try:\n    f(x)\n    pytest.fail()\nexcept KeyError as e:\n    assert str(e)\n",
        )
    ],
    "an except that raises again": [
        body(
            "assert f(x) == 1\n",
            "try:\n    assert f(x) == 1\nexcept Exception:\n    print(x)\n    raise\n",
        )
    ],
    "a return at the end": [body("assert f(x) == 1\n", "assert f(x) == 1\nreturn None\n")],
    "a return of a function inside": [
        body("assert f(x) == 1\n", "def h():\n    return 1\n\nassert f(x) == h()\n")
    ],
    "asserted elsewhere": [body("assert f(x) == 1\n", "check_one(f(x))\n")],
    "a shorter time limit": [
        (
            "tests/test_a.py",
            "@pytest.mark.timeout(50)\ndef test_a():\n    assert f()\n",
            "@pytest.mark.timeout(5)\ndef test_a():\n    assert f()\n",
        )
    ],
    "a conftest without tricks": [
        ("tests/conftest.py", None, "import pytest\n@pytest.fixture\ndef x():\n    return 1\n")
    ],
    "a text that speaks of noqa": [("src/a.py", "x = 1\n", "x = 'see # noqa'\n")],
    "noqa moves": [
        ("src/a.py", "import os  # noqa: F401\nx = 1\n", "x = 1\n"),
        ("src/b.py", "y = 1\n", "import os  # noqa: F401\ny = 1\n"),
    ],
    "a line with noqa changes": [
        ("src/a.py", "import os  # noqa: F401\n", "import os.path  # noqa: F401\n")
    ],
    "noqa goes": [("src/a.py", "import os  # noqa\n", "import os\nos.sep\n")],
    "a product's own timeout": [("src/settings.yaml", "timeout: 5\n", "timeout: 50\n")],
    "a stricter limit": [
        (
            "pyproject.toml",
            "[tool.coverage.report]\nfail_under = 50\n[tool.ruff]\nline-length = 120\n",
            "[tool.coverage.report]\nfail_under = 90\n[tool.ruff]\nline-length = 100\n",
        )
    ],
    "a dependency more": [
        (
            "pyproject.toml",
            '[project]\ndependencies = ["a"]\n[tool.mypy]\nstrict = true\n',
            '[project]\ndependencies = ["a", "b"]\n[tool.mypy]\nstrict = true\n',
        )
    ],
    "what a wheel includes": [
        (
            "pyproject.toml",
            '[tool.hatch.build]\nexclude = ["a"]\ninclude = ["b"]\n',
            '[tool.hatch.build]\nexclude = ["a", "c"]\n',
        )
    ],
    "a project's first settings": [
        ("pyproject.toml", None, '[tool.ruff]\nline-length = 120\nlint.ignore = ["E1"]\n')
    ],
    "settings move": [
        ("setup.cfg", "[mypy]\nstrict = true\n", "[mypy]\n"),
        ("pyproject.toml", "[tool.x]\na = 1\n", "[tool.x]\na = 1\n[tool.mypy]\nstrict = true\n"),
    ],
    "settings in another order": [
        (
            "ruff.toml",
            'line-length = 9\n[lint]\nselect = ["A", "B"]\n',
            '[lint]\nselect = ["B", "A"]\n[x]\ny = 1\n',
        )
    ],
    "a rule more": [
        ("ruff.toml", '[lint]\nselect = ["E"]\n', '[lint]\nselect = ["E", "F"]\n')
    ],
    "a script line": [("Makefile", "test:\n\tpytest\n", "test:\n\tpytest -q\nlint:\n\truff check\n")],
    "a script's line moves": [
        ("run.sh", "rm a || true\npytest\n", "pytest\nrm a || true\n"),
    ],
    "a comment in a script": [("run.sh", "pytest\n", "# not: pytest || true\npytest\n")],
    "a new script": [("clean.sh", None, "rm -r build || true\n")],
    "a package script": [
        (
            "package.json",
            '{"scripts": {"test": "jest"}}',
            '{"scripts": {"test": "jest", "build": "tsc -p ."}, "version": "2"}',
        )
    ],
    "a helper between tests": [
        (
            "a.test.ts",
            "it('a', () => { expect(f()).toBe(1) })\nit('b', () => { expect(g()).toBe(1) })\n",
            "it('a', () => { expect(f()).toBe(1) })\nfunction h() { return 2 }\n"
            "it('b', () => { expect(g()).toBe(h()) })\n",
        )
    ],
    "a comment in a test of a script": [
        ("a.test.ts", "it('a', f)\n", "// it.skip would be wrong\nit('a', f)\n")
    ],
    "a test of a script, renamed": [
        (
            "a.test.ts",
            "it('a', () => {\n  expect(f()).toBe(1)\n})\n",
            "it('gives one', () => {\n  expect(f()).toBe(1)\n})\n",
        )
    ],
    "an environment's time": [("docs/timeouts.md", "timeout: 5\n", "timeout: 50 || true\n")],
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_honest_work_is_not_told(name: str) -> None:
    """Moves, new names, more tests, stricter rules, and words that only speak of it."""
    assert told(*HONEST[name]) == []


def test_a_move_does_not_hide_a_weakening() -> None:
    """What moved to another file, or to another name, is compared where it is now."""
    weak = "def test_b():\n    y = g()\n    assert True\n"
    moved = told(("tests/test_a.py", ONE + TWO, ONE), ("tests/test_b.py", None, weak))
    assert [(b.path, b.message) for b in moved] == [
        ("tests/test_b.py", "the test test_b no longer asserts anything")
    ]
    skipped = ONE.replace("def test_a", "@pytest.mark.skip\ndef test_x")
    (found,) = told(("tests/test_a.py", ONE, skipped))
    assert "test_x is skipped" in found.message
    assert found.line == 1


def test_a_test_is_replaced_by_one_other_only() -> None:
    """Two tests that did the same cannot both have become the one new one."""
    twin = ONE + ONE.replace("test_a", "test_aa")
    assert len(told(("tests/test_a.py", twin, ONE.replace("test_a", "test_new")))) == 1


@pytest.mark.parametrize(
    ("path", "piece"),
    [
        ("tests/test_a.py", "("), ("tests/test_a.py", "x.a"), ("tests/test_a.py", "not "),
        ("a.test.ts", "it('"), ("a.test.ts", "it.skip("), ("a.test.ts", "expect(true)"),
        ("src/a.ts", "eslint-disable "), ("src/a.py", "# noqa: E1,"), ("src/a.py", "# noqa: A1 "),
        ("pyproject.toml", "[a."), ("pyproject.toml", "a=[["), ("tsconfig.json", "/*"),
        ("tsconfig.json", '"'), ("tsconfig.json", "["), ("tsconfig.json", ", "), ("tsconfig.json", "//\n"),
        ("setup.cfg", "[mypy]\n"), ("setup.cfg", "a\n b\n"), ("Makefile", "|| "), ("Makefile", "\t-"),
        ("run.sh", "exit "), ("run.sh", "; "), ("run.sh", "--k"), ("a.yml", "timeout: 1\n"),
        ("a_test.go", "func Test"), ("tests/a.rs", "#[test]\n"), ("eslint.config.js", "'a': ["),
    ],
)  # fmt: skip
def test_hostile_files_end(path: str, piece: str) -> None:
    """Half a megabyte of a piece that begins something and never ends it is read to its end."""
    text = piece * (500_000 // len(piece))
    told((path, "x = 1\n", text))
    told((path, text, "x = 1\n"))


@pytest.mark.parametrize("piece", ['"\\', "/* ", '"a', "// x\n"])
def test_settings_that_never_end_are_read_once(piece: str) -> None:
    """A file as large as the envelope lets in, of what opens and never closes: it is no settings.

    Read again from each beginning it would take an hour, and the tests a time-out.
    """
    assert flat("tsconfig.json", piece * (LARGEST // len(piece))) == {}
