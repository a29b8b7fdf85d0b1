"""The files that `lifeos init` writes: the templates, with the repository's own facts filled in."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath

from lifeos.core.policy import Check, CheckKind
from lifeos.model import Trust

TEMPLATES: Mapping[str, str] = {
    "BACKLOG.md": "BACKLOG.md",
    "policies/loop.yaml": "policies/loop.yaml",
    "policies/council.yaml": "policies/council.yaml",
    "policies/envelope.yaml": "policies/envelope.yaml",
    "policies/approvals.yaml": "policies/approvals.yaml",
    # Not in a folder of its real name: packaging tools like to leave hidden folders out.
    ".lifeos/config.yaml": "config.yaml",
}
"""Path in the repository, and the template's path in `lifeos/templates`."""

DETECTION_READS = ("Makefile", "package.json")
"""The files whose content `detect_checks` wants to see; their names alone say too little."""

_IMPORT = re.compile(r"^\s*(?:import|from)\s+(unittest|pytest|_pytest)\b", re.MULTILINE)


@dataclass(frozen=True)
class Proposal:
    """Checks for a repository: those that can run, and those that cannot here as it is."""

    checks: tuple[Check, ...] = ()
    disabled: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Hosted:
    """Where the repository is on GitHub, and how the first approver is known there.

    ``host`` and ``repository`` are empty where they are not known. With ``forge_id`` merges are
    answers; else with ``key`` signed commits are; else it is left to be chosen.
    """

    remote: str
    host: str
    repository: str
    lease_seconds: int
    login: str = ""
    forge_id: int = 0
    key: str = ""
    by_pull_request: bool = False

    @property
    def trust(self) -> Trust:
        """How the first approver's answers are known."""
        if self.forge_id:
            return Trust.MERGE
        return Trust.SIGNATURE if self.key else Trust.COMMIT

    def person(self) -> str:
        """The lines about them below name and address."""
        login = f"    login: {_quoted(self.login)}\n" if self.login else ""
        number = f"    forge_id: {self.forge_id}\n" if self.forge_id else ""
        return f"{login}{number}" + (f"    key: {_quoted(self.key)}\n" if self.key else "")


def template(path: str) -> str:
    """The text of the template for a repository path, as it is shipped."""
    place = resources.files("lifeos").joinpath("templates")
    return place.joinpath(*TEMPLATES[path].split("/")).read_text(encoding="utf-8")


def render_init(
    name: str,
    email: str,
    main_branch: str,
    checks: Sequence[Check],
    disabled: Sequence[Check] = (),
    hosted: Hosted | None = None,
) -> Mapping[str, bytes]:
    """Path and content of every file that `init` writes, for an approver and a main branch.

    ``disabled`` are written as comments, behind what it takes to make them count. ``hosted``: the
    loop runs on a forge.
    Nothing is written, and nothing is checked beyond that the templates fit: `governance.load_set`
    says whether a strange name or address makes a set that cannot be used.
    """
    texts = {path: template(path) for path in TEMPLATES}
    person = f"approvers:\n  - name: {_quoted(name)}\n    email: {_quoted(email)}\n"
    if hosted is not None:
        person += hosted.person()
        _fill_hosted(texts, hosted)
    _fill(texts, "policies/approvals.yaml", "approvers: []\n", person)
    _fill(texts, ".lifeos/config.yaml", "\nmain: main\n", f"\nmain: {_quoted(main_branch)}\n")
    if checks or disabled:
        entries = "".join(_check(check) for check in checks)
        head = "checks:\n" if checks else "checks: []\n"
        if disabled:
            off = "".join(_check(check) for check in disabled).replace("\n", "\n# ")
            entries += _DISABLED + "# " + off.removesuffix("# ")
        _fill(texts, ".lifeos/config.yaml", "checks: []\n", head + entries)
    return {path: text.encode() for path, text in texts.items()}


def _fill(texts: dict[str, str], path: str, blank: str, filled: str) -> None:
    before, found, after = texts[path].partition(blank)
    if not found or blank in after:
        raise AssertionError(f"the template of {path} must have {blank.strip()!r} exactly once")
    texts[path] = before + filled + after


def _fill_hosted(texts: dict[str, str], hosted: Hosted) -> None:
    config = ".lifeos/config.yaml"
    _fill(texts, config, "\nremote: none\n", f"\nremote: {_quoted(hosted.remote)}\n")
    if hosted.by_pull_request:
        _fill(texts, config, "\nmain_writes: direct\n", "\nmain_writes: pr\n")
    _fill(texts, config, "\n  where: any\n", "\n  where: ci\n")
    _fill(texts, config, "\n  kind: none\n", "\n  kind: github\n")
    if hosted.host:
        _fill(texts, config, "\n  host: github.com\n", f"\n  host: {_quoted(hosted.host)}\n")
    repository = f"\n  repository: {_quoted(hosted.repository)}\n"
    _fill(texts, config, '\n  repository: ""\n', repository)
    trust = f"\ntrust: {hosted.trust}\n"
    _fill(texts, "policies/approvals.yaml", "\ntrust: commit\n", trust)
    lease = f"\n  seconds: {hosted.lease_seconds}\n"
    _fill(texts, "policies/loop.yaml", "\n  seconds: 3600\n", lease)


def _quoted(text: str) -> str:
    """``text`` as a double-quoted YAML scalar.

    Not JSON's own escapes for what lies beyond U+FFFF: YAML would read the two halves as two.
    """
    return "".join(
        char if char.isprintable() or char == " " else f"\\U{ord(char):08x}"
        for char in json.dumps(text, ensure_ascii=False)
    )


def _check(check: Check) -> str:
    """One entry of `checks`, with every setting spelled out."""
    pinned = ", ".join(_quoted(pattern) for pattern in check.pinned)
    junit = _quoted(check.junit) if check.junit else "null"
    return (
        f"  - name: {_quoted(check.name)}\n"
        f"    run: {_quoted(check.run)}\n"
        f"    kind: {check.kind}\n"
        f"    fast: {'true' if check.fast else 'false'}\n"
        f"    timeout: {check.timeout}\n"
        f"    junit: {junit}\n"
        f"    pinned: [{pinned}]\n"
        f"    reruns: {check.reruns}\n"
    )


def detection_reads(paths: Sequence[str]) -> list[str]:
    """Those of a repository's files whose content `detect_checks` wants to see."""
    return [path for path in paths if path in DETECTION_READS or _is_test(path)]


def detect_checks(
    paths: Sequence[str], texts: Mapping[str, str] | None = None, *, pytest: bool
) -> Proposal:
    """The checks that a repository's files suggest; a first proposal for a person to edit.

    ``texts`` are the contents of those of `detection_reads` that are there: a `test` script or
    target is only proposed where it is seen, because a check that cannot run is always red.
    ``pytest``: whether the Python that checks run with can import it.
    """
    names, seen = set(paths), texts or {}
    found: list[Check] = []
    disabled: list[Check] = []
    if _has_pytest(names):
        own = _PYTEST if pytest else _unittest(names, seen)
        found += [own] if own else []
        disabled += [] if own else [_PYTEST]
    if "package.json" in names and _has_npm_test(seen.get("package.json", "")):
        found.append(_NPM)
    if "Cargo.toml" in names:
        found.append(_CARGO)
    if "go.mod" in names:
        found.append(_GO)
    makefile = seen.get("Makefile", "") if "Makefile" in names else ""
    # A Makefile's test target mostly runs one of the above again; alone it is all there is.
    targets = any(line.split("#")[0].startswith("test:") for line in makefile.splitlines())
    if targets and not (found or disabled):
        found.append(_MAKE)
    return Proposal(tuple(found), tuple(disabled))


def _has_pytest(names: set[str]) -> bool:
    if names & {"pytest.ini", ".pytest.ini"}:
        return True
    return any(_is_test(name) or name.rsplit("/", 1)[-1] == "conftest.py" for name in names)


def _is_test(name: str) -> bool:
    """Whether pytest would take it for a file of tests."""
    last = name.rsplit("/", 1)[-1]
    return last.endswith("_test.py") or (last.startswith("test_") and last.endswith(".py"))


def _unittest(names: set[str], texts: Mapping[str, str]) -> Check | None:
    """The tests by unittest, if every one is written for it and its discovery finds them all."""
    tests = [name for name in names if _is_test(name)]
    plain = all(set(_IMPORT.findall(texts.get(name, ""))) == {"unittest"} for name in tests)
    found = all(name.rsplit("/", 1)[-1].startswith("test") for name in tests)
    folders = {PurePosixPath(name).parent for name in tests}
    if not (tests and plain and found):
        return None
    start = ""
    if not all(_is_package(folder, names) for folder in folders):
        if len(folders) > 1:
            return None
        start = f" -s {shlex.quote(str(folders.pop()))}"
    return _UNITTEST.model_copy(update={"run": f"{_UNITTEST.run}{start}"})


def _is_package(folder: PurePosixPath, names: set[str]) -> bool:
    """Whether discovery from the top gets into this folder."""
    inside = [one for one in (folder, *folder.parents) if one != PurePosixPath()]
    return all(f"{one}/__init__.py" in names for one in inside)


def _has_npm_test(package: str) -> bool:
    """Whether package.json has a test script that is not the one `npm init` puts there."""
    try:
        scripts = json.loads(package).get("scripts", {})
        script = scripts.get("test", "")
    except (ValueError, AttributeError, RecursionError):
        return False
    return isinstance(script, str) and bool(script) and "no test specified" not in script


# pyproject.toml is not pinned though it may configure pytest: it also holds the version and the
# dependencies, and pinning it would make every change of those a breach. Add it where that fits.
_PYTEST = Check(
    name="tests",
    run="python3 -m pytest -q --junitxml=.lifeos-junit.xml",
    kind=CheckKind.TEST,
    junit=".lifeos-junit.xml",
    pinned=("**/conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg"),
)
_UNITTEST = Check(
    name="tests",
    run="python3 -m unittest discover",
    kind=CheckKind.TEST,
)
_DISABLED = """\
# This one cannot run as things are: the Python that lifeos runs checks with has no pytest. Install
# it there, or write a check that uses an environment of yours (see `prepare` below). To enable it,
# take the `# ` off its lines, and the `[]` off `checks: []` if that stands above.
"""
_NPM = Check(
    name="npm-test",
    run="npm test",
    kind=CheckKind.TEST,
    pinned=(
        "package.json",
        ".npmrc",
        "jest.config.*",
        "vitest.config.*",
        ".mocharc.*",
        "babel.config.*",
    ),
)
_CARGO = Check(
    name="cargo-test",
    run="cargo test --offline",
    kind=CheckKind.TEST,
    pinned=("build.rs", ".cargo/**", "rust-toolchain*"),
)
_GO = Check(name="go-test", run="go test ./...", kind=CheckKind.TEST)
_MAKE = Check(name="make-test", run="make test", kind=CheckKind.TEST, pinned=("Makefile",))
