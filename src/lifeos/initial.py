"""The files that `lifeos init` writes: the templates, with the repository's own facts filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources

from lifeos.core.policy import Check, CheckKind

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


def template(path: str) -> str:
    """The text of the template for a repository path, as it is shipped."""
    place = resources.files("lifeos").joinpath("templates")
    return place.joinpath(*TEMPLATES[path].split("/")).read_text(encoding="utf-8")


def render_init(
    name: str, email: str, main_branch: str, checks: Sequence[Check]
) -> Mapping[str, bytes]:
    """Path and content of every file that `init` writes, for an approver and a main branch.

    Nothing is written, and nothing is checked beyond that the templates fit: `governance.load_set`
    says whether a strange name or address makes a set that cannot be used.
    """
    texts = {path: template(path) for path in TEMPLATES}
    person = f"approvers:\n  - name: {_quoted(name)}\n    email: {_quoted(email)}\n"
    _fill(texts, "policies/approvals.yaml", "approvers: []\n", person)
    _fill(texts, ".lifeos/config.yaml", "\nmain: main\n", f"\nmain: {_quoted(main_branch)}\n")
    if checks:
        entries = "checks:\n" + "".join(_check(check) for check in checks)
        _fill(texts, ".lifeos/config.yaml", "checks: []\n", entries)
    return {path: text.encode() for path, text in texts.items()}


def _fill(texts: dict[str, str], path: str, blank: str, filled: str) -> None:
    before, found, after = texts[path].partition(blank)
    if not found or blank in after:
        raise AssertionError(f"the template of {path} must have {blank.strip()!r} exactly once")
    texts[path] = before + filled + after


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


def detect_checks(
    paths: Sequence[str], texts: Mapping[str, str] | None = None
) -> tuple[Check, ...]:
    """The checks that a repository's file names suggest; a first proposal for a person to edit.

    ``texts`` are the contents of those of `DETECTION_READS` that are there: a `test` script or
    target is only proposed where it is seen, because a check that cannot run is always red.
    """
    names, seen = set(paths), texts or {}
    found = []
    if _has_pytest(names):
        found.append(_PYTEST)
    if "package.json" in names and _has_npm_test(seen.get("package.json", "")):
        found.append(_NPM)
    if "Cargo.toml" in names:
        found.append(_CARGO)
    if "go.mod" in names:
        found.append(_GO)
    makefile = seen.get("Makefile", "") if "Makefile" in names else ""
    # A Makefile's test target mostly runs one of the above again; alone it is all there is.
    if not found and any(line.split("#")[0].startswith("test:") for line in makefile.splitlines()):
        found.append(_MAKE)
    return tuple(found)


def _has_pytest(names: set[str]) -> bool:
    if names & {"pytest.ini", ".pytest.ini", "conftest.py"}:
        return True
    return any(
        (last.startswith("test_") and last.endswith(".py"))
        or last.endswith("_test.py")
        or last == "conftest.py"
        for last in (name.rsplit("/", 1)[-1] for name in names)
    )


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
