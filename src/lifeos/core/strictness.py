"""Whether settings and scripts of tests, linters, type checkers and CI became easier to pass.

TOML, INI and JSON are compared setting by setting. Scripts, CI files and configuration written as
code are compared line by line: by lines that are there now and were not, in the whole change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lifeos.core import globs
from lifeos.core.settingsfile import Flat, Value, flat


@dataclass(frozen=True)
class Relaxed:
    """One thing that became easier to pass: where, what, and the line it is in (0: none)."""

    path: str
    message: str
    line: int = 0
    excerpt: str = ""


SETTINGS = (
    "**/pyproject.toml", "**/setup.cfg", "**/tox.ini", "**/pytest.ini", "**/.pytest.ini",
    "**/mypy.ini", "**/.mypy.ini", "**/ruff.toml", "**/.ruff.toml", "**/.flake8", "**/.pylintrc",
    "**/pylintrc", "**/.coveragerc", "**/.bandit", "**/tsconfig*.json", "**/package.json",
    "**/.eslintrc", "**/.eslintrc.json", "**/jest.config.json", "**/biome.json", "**/.nycrc",
    "**/.nycrc.json", "**/pyrightconfig.json", "**/Cargo.toml", "**/clippy.toml", "**/deno.json",
    "**/.c8rc.json", "**/.oxlintrc.json",
)  # fmt: skip
"""Files of settings that are compared one setting at a time."""

SCRIPTS = (
    "**/Makefile", "**/makefile", "**/GNUmakefile", "**/*.mk", "**/justfile", "**/Justfile",
    "**/*.sh", "**/*.bash", "**/noxfile.py", "**/tox.ini", "**/package.json", "**/tasks.py",
    "**/Taskfile.y*ml", "**/.gitlab-ci.yml", "**/.github/**", "**/.circleci/**", "**/.travis.yml",
    "**/azure-pipelines*.yml", "**/bitbucket-pipelines.yml", "**/Jenkinsfile", "**/.ci/**",
    "**/ci/**", "**/.pre-commit-config.yaml", "**/.golangci.y*ml", "**/.rubocop.yml",
    "**/codecov.yml", "**/.codecov.yml", "**/*.gradle", "**/*.gradle.kts", "**/pom.xml",
    *(
        f"**/{tool}.config.*"
        for tool in ("jest", "vitest", "vite", "eslint", "karma", "playwright", "cypress", "mocha")
    ),
    "**/.mocharc*",
    "**/.eslintrc.*", "**/phpunit.xml*", "**/.github/workflows/*.y*ml", "**/Rakefile",
)  # fmt: skip
"""Files that are compared line by line."""

OTHER_SETTINGS = ("**/*.toml", "**/*.cfg", "**/*.ini", "**/*.json", "**/*.y*ml")
"""Files in which only limits with telling names are compared."""

_EVERYDAY = re.compile(
    r"(?:--)?(?:timeout|testTimeout|reruns|retries|branches|functions|lines|stat)"
)

_TOOLS = re.compile(
    r"ruff|mypy|pyright|basedpyright|pytest|coverage|flake8|pylint|pycodestyle|pydocstyle|bandit"
    r"|jest|vitest|eslint|nyc|c8|mocha|^(?:run|report|messages control|master|main|testenv)\b"
    r"|lints|clippy|compilerOptions|black|isort|mutmut|vulture|hypothesis|design|format|refactoring",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"(?:^|/)(?!pyproject\.toml|setup\.cfg|tox\.ini|package\.json|Cargo\.toml)[^/]+$"
)

_AT_LEAST = re.compile(
    r"(?:^|\.)(?:fail[_-]under|min(?:imum)?[_-]\w*(?:coverage|similarity)|mutation[_-]score|max_examples"
    r"|coverageThreshold\..*|thresholds?\..*|(?:branches|functions|lines|statements)"
    r"|docstring[_-]min\w*|min[_-]confidence)$",
    re.IGNORECASE,
)
_AT_MOST = re.compile(
    r"(?:^|\.)(?:max[_-]\w[\w-]*|line[_-]length|(?:\w+[_-])?time_?out(?:[_-]\w+)?|testTimeout"
    r"|cognitive-complexity-threshold|[\w-]+-threshold|reruns|retries|maxfail|flake)$",
    re.IGNORECASE,
)
_BETTER_ON = re.compile(
    r"(?:^|\.)(?:strict\w*|disallow_\w+|warn_(?!unused_configs)\w+|check_untyped_defs|no_implicit_\w+"
    r"|extra_checks|xfail_strict|branch|no[A-Z]\w+|alwaysStrict|exactOptionalPropertyTypes|use[A-Z]\w*"
    r"|report\w+|--?strict[\w-]*|check-coverage|skip_empty|enableTypeAwareLinting|show_missing)$"
)
_BETTER_OFF = re.compile(
    r"(?:^|\.)(?:ignore_errors|ignore_missing_imports|skipLibCheck|passWithNoTests|allow\w+|follow_untyped"
    r"|implicit_\w+|exit[_-]zero|skip_covered|suppress\w*|noEmitOnError|bail|continue[_-]on[_-]error"
    r"|ignore_outcome|skip_install|doctest_continue_on_failure|disable_noqa|unsafe-fixes)$"
)
_FEWER_BETTER = re.compile(
    r"(?:^|[.\[\]])(?:extend-)?(?:ignore|per-file-ignores(?:\..*)?|exclude|unfixable|skips|exclude_dirs"
    r"|per_file_ignores|extend_ignore|disable|disable_error_code|omit|exclude_lines|exclude_also"
    r"|partial_branches|norecursedirs|collect_ignore\w*|testPathIgnorePatterns|modulePathIgnorePatterns"
    r"|coveragePathIgnorePatterns|ignorePatterns|ignores|ignored-\w+|ignore-paths|ignore-patterns|extend-ignore"
    r"|extend-exclude|extend-per-file-ignores(?:\..*)?|good-names|allowed-confusables)$"
)
_MORE_BETTER = re.compile(
    r"(?:^|[.\[\]])(?:select|extend-select|extend_select|enable|enable_error_code|testpaths|python_files"
    r"|python_functions|python_classes|testMatch|source|source_pkgs|files|packages|include|required_plugins"
    r"|load-plugins|plugins|envlist|env_list|collectCoverageFrom)$"
)
_COMMANDS = re.compile(r"(?:^|\.)(?:addopts|scripts\..+|commands\w*|args|testRegex|script)$")

_DROPS = re.compile(
    r"(?:^|[\s'\"=\[,])(?P<drop>-k\b|--deselect\b|--ignore(?:-glob)?\b|-m\s{0,3}['\"]?not\b|--exit-zero\b"
    r"|--no-verify\b|--passWithNoTests\b|--testPathIgnorePatterns\b|-DskipTests\b|-x\s+test\b"
    r"|--no-cov\b|--skip\b|--exclude(?:=|\s)|-p\s{0,3}no:|--suppress-tests-failed-exit-code\b"
    r"|--suppress-no-test-exit-code\b|--reruns\b|--lf\b|--last-failed\b|--disable-warnings\b"
    r"|--no-strict\w*|--max-warnings(?:=|\s+)-1|-W\s{0,2}ignore|--co\b|--collect-only\b|-o\s+addopts)"
)
_LETS_PASS = re.compile(
    r"(?P<drop>\|\|\s{0,8}(?:true\b|:(?=\s|$|['\"])|exit\s+0\b|echo\b|/bin/true\b)|;\s{0,8}(?:true|exit\s+0)\s*['\"]?,?\s*$"
    r"|^\s*(?:-\s+)?exit\s+0\s*$|\bset\s+\+(?:e|o\s+(?:errexit|pipefail))\b"
    r"|continue[-_]on[-_]error['\"]?\s*:\s*(?:true|\$)|allow[-_]failure['\"]?\s*[:=]\s*true"
    r"|ignore_outcome\s*=\s*true|^\t[@+]*-[@+]*\w|^\.IGNORE\b|^\s*if:\s*(?:false|\$\{\{\s*false)"
    r"|ignoreFailures\s*=\s*true|<(?:skip|testFailureIgnore|maven\.test\.skip)\w*>\s*true"
    r"|success_codes|informational:\s*true|when:\s*never\b)",
    re.IGNORECASE,
)
_RULE_OFF = re.compile(
    r"['\"]?(?P<drop>[@\w/-]{3,80})['\"]?\s*:\s*\[?\s*(?:['\"](?:off|warn)['\"]|0\b)"
)
_IN_LINE = re.compile(
    r"(?P<key>\bfail[_-]under|--cov-fail-under|\bmin(?:imum)?[_-]coverage|\bmutation[_-]score"
    r"|\bmax[_-](?:complexity|warnings|args|branches|returns|statements|line[_-]length)|--maxfail"
    r"|\bline-length|--timeout|\btimeout-minutes|\btestTimeout|\btimeout|\breruns|\bretries"
    r"|\b(?:branches|functions|lines|statements))"
    r"['\"]?\s{0,4}[:= ]\s{0,4}['\"]?(?P<value>\d{1,9}(?:\.\d{1,6})?)"
)
_LINE_DOWN = re.compile(r"under|cover|score|branches$|functions$|^lines|statements$")
LONGEST = 1000
"""Characters of a line that are looked at."""


def relaxed(texts: Sequence[tuple[str, str, str | None]]) -> Iterator[Relaxed]:
    """Everything that became easier; ``texts`` are (path, old, new) of all changed files.

    A new script relaxes nothing that the base had; new settings can hide those that it had.
    """
    flats = [_Settings(*text) for text in texts if globs.any_match(SETTINGS, text[0])]
    lost = Counter(item for each in flats for item in each.lost())
    kept = Counter(item for each in flats for item in each.gained())
    for settings in flats:
        yield from settings.relaxed(lost, kept)
    scripts = [text for text in texts if text[1] and globs.any_match(SCRIPTS, text[0])]
    yield from _by_line(scripts)
    for path, old, new in texts:
        if globs.any_match(OTHER_SETTINGS, path) and not globs.any_match(SETTINGS + SCRIPTS, path):
            found = _numbers(path, old, new or "", new or "")
            yield from (each for each in found if not _EVERYDAY.match(each.excerpt))


class _Settings:
    """One file of settings before and after."""

    def __init__(self, path: str, old: str, new: str | None) -> None:
        self.path, self.old, self.new = path, old, new or ""
        self.was: Flat = flat(path, old)
        self.now: Flat = flat(path, self.new)
        self.whole = bool(_WHOLE.search(path))

    def _watched(self, side: Flat) -> Iterator[tuple[str, Value]]:
        for key, value in side.items():
            if self.whole or _TOOLS.search(key) or _COMMANDS.search(key):
                yield key, value

    def _items(self, side: Flat) -> Iterator[tuple[str, str]]:
        for key, value in self._watched(side):
            if isinstance(value, tuple):
                yield from ((_last(key), each) for each in value)
            else:
                yield _last(key), str(value)

    def lost(self) -> Iterator[tuple[str, str]]:
        """(name, value) that are no longer set here."""
        yield from (Counter(self._items(self.was)) - Counter(self._items(self.now))).elements()

    def gained(self) -> Iterator[tuple[str, str]]:
        """(name, value) that are set here now."""
        yield from (Counter(self._items(self.now)) - Counter(self._items(self.was))).elements()

    def relaxed(
        self, lost: Mapping[tuple[str, str], int], kept: Mapping[tuple[str, str], int]
    ) -> Iterator[Relaxed]:
        """``lost`` and ``kept`` tell what only moved to another file."""
        found = list(self._compared(lost, kept))
        # What cannot be read as settings, or stands where no tool is named, still has numbers.
        yield from found or _numbers(self.path, self.old, self.new, self.new)

    def _compared(
        self, lost: Mapping[tuple[str, str], int], kept: Mapping[tuple[str, str], int]
    ) -> Iterator[Relaxed]:
        was, now = dict(self._watched(self.was)), dict(self._watched(self.now))
        for key in dict.fromkeys([*was, *now]):
            before, after = was.get(key), now.get(key)
            # A new file that has settings of many tools relaxes nothing; one of a single tool can
            # hide what is set for it elsewhere.
            first = not self.old and not self.whole and not _COMMANDS.search(key)
            if before != after and not first:
                yield from self._one(key, before, after, lost, kept)

    def _one(
        self,
        key: str,
        before: Value | None,
        after: Value | None,
        lost: Mapping[tuple[str, str], int],
        kept: Mapping[tuple[str, str], int],
    ) -> Iterator[Relaxed]:
        name = _last(key)
        if isinstance(before, tuple) or isinstance(after, tuple):
            yield from self._lists(key, _listed(before), _listed(after), lost, kept)
        elif _COMMANDS.search(key):
            yield from self._command(key, str(before or ""), str(after or ""))
        elif (easier := _easier(key, before, after)) and not (
            kept.get((name, str(before))) or lost.get((name, str(after)))
        ):
            yield self._at(key, easier, str(name))

    def _lists(
        self,
        key: str,
        before: tuple[str, ...],
        after: tuple[str, ...],
        lost: Mapping[tuple[str, str], int],
        kept: Mapping[tuple[str, str], int],
    ) -> Iterator[Relaxed]:
        name = _last(key)
        if _COMMANDS.search(key):
            yield from self._command(key, " ".join(before), " ".join(after))
            return
        if _FEWER_BETTER.search(key):
            for each in after:
                if each not in before and not lost.get((name, each)):
                    yield self._at(key, f"{key} lets {each[:80]} pass now", each)
        if _MORE_BETTER.search(key) and before:
            gone = [each for each in before if each not in after and not kept.get((name, each))]
            if gone and (after or name not in ("testpaths", "include", "files", "source")):
                yield self._at(key, f"{key} no longer has {', '.join(gone)[:120]}", name)
        if name == "filterwarnings" and "error" in before and "error" not in after:
            yield self._at(key, f"{key} no longer makes an error of a warning", name)

    def _command(self, key: str, before: str, after: str) -> Iterator[Relaxed]:
        known = Counter(match["drop"].strip() for match in _drops(before))
        for match in _drops(after):
            drop = match["drop"].strip()
            known[drop] -= 1
            if known[drop] < 0:
                yield self._at(key, f"{key} leaves something out now: {drop}", drop)
        yield from _numbers(self.path, before, after, self.new)
        for option in re.findall(r"--strict[\w-]*|--cov(?:-fail-under|=| )\S*|-W\s?error", before):
            if option.split("=")[0] not in after:
                yield self._at(key, f"{key} no longer has {option[:80]}", _last(key))

    def _at(self, key: str, message: str, text: str) -> Relaxed:
        """At the first line that has ``text``, else the one of the key's name."""
        for wanted in (text, _last(key)):
            for number, line in enumerate(self.new.split("\n"), 1):
                if wanted and wanted in line:
                    return Relaxed(self.path, message, number, line.strip()[:200])
        return Relaxed(self.path, message)


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _listed(value: Value | None) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    return () if value is None else (str(value),)


def _easier(key: str, before: Value | None, after: Value | None) -> str:
    """What is easier to pass about one setting; empty if nothing is."""
    old, new = _number(before), _number(after)
    if _BETTER_ON.search(key) and before is True and after is not True:
        return f"{key} is no longer on"
    if _BETTER_OFF.search(key) and after is True and before is not True:
        return f"{key} is on now"
    if re.search(r"(?:rules|lints)\..*", key) and str(after) in ("off", "0", "allow"):
        return f"{key} is off now" if before not in ("off", 0, "allow") else ""
    if old is not None and _AT_LEAST.search(key) and (new is None or new < old):
        return f"{key} was relaxed from {old:g} to {'nothing' if new is None else f'{new:g}'}"
    if old is not None and new is not None and _AT_MOST.search(key) and new > old:
        return f"{key} was relaxed from {old:g} to {new:g}"
    return ""


def _number(value: Value | None) -> float | None:
    if isinstance(value, bool) or value is None or isinstance(value, tuple):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _drops(text: str) -> Iterator[re.Match[str]]:
    for pattern in (_DROPS, _LETS_PASS):
        yield from pattern.finditer(text[: 20 * LONGEST])


def _by_line(texts: Sequence[tuple[str, str, str | None]]) -> Iterator[Relaxed]:
    """Lines that let something pass and are new; a line that moved is not."""
    balance: Counter[str] = Counter()
    for _, old, new in texts:
        balance.subtract(mark for _, mark, _ in _marked(old))
        balance.update(mark for _, mark, _ in _marked(new or ""))
    for path, old, new in texts:
        known = Counter(line for _, _, line in _marked(old))
        for number, mark, line in _marked(new or ""):
            known[line] -= 1
            if known[line] < 0 and balance[mark] > 0:
                balance[mark] -= 1
                yield Relaxed(path, f"lets a failure pass: {mark[:80]}", number, line)
        if new is not None and not globs.any_match(SETTINGS, path):
            yield from _numbers(path, old, new, new)


def _marked(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        code = line[:LONGEST]
        if code.lstrip().startswith(("#", "//")):
            continue
        for pattern in (_DROPS, _LETS_PASS, _RULE_OFF):
            for match in pattern.finditer(code):
                yield number, " ".join(match["drop"].split()), line.strip()[:200]


def _numbers(path: str, old: str, new: str, whole: str) -> Iterator[Relaxed]:
    """Limits in running text, name by name in their order, where there are as many as before."""
    was: dict[str, list[float]] = {}
    now: dict[str, list[re.Match[str]]] = {}
    for match in _IN_LINE.finditer(old):
        was.setdefault(match["key"], []).append(float(match["value"]))
    for match in _IN_LINE.finditer(new):
        now.setdefault(match["key"], []).append(match)
    for key, matches in now.items():
        values = was.get(key, [])
        easier = -1 if _LINE_DOWN.search(key) else 1
        for before, match in zip(values, matches, strict=False):
            value = float(match["value"])
            if len(values) == len(matches) and (value - before) * easier > 0:
                line = whole[: whole.find(match.group())].count("\n") + 1
                text = f"{key} was relaxed from {before:g} to {value:g}"
                yield Relaxed(path, text, line, match.group())
