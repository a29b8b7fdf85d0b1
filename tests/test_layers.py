"""The layers: imports point down only, the core is pure, one module talks to each outside thing.

The rules are plain functions over parsed source. Each is first proven on small bad samples, then
asked about every module of lifeos.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
DOCS_BUILDER = SOURCE.parent / "docs" / "build.py"

#: Layer of each module; "x.*" is the package x and all below it. Every module must be covered.
LAYERS = {
    "lifeos": 0,
    "lifeos.errors": 0,
    "lifeos.model": 0,
    "lifeos.core.*": 1,
    "lifeos.store.*": 2,
    "lifeos.process": 2,
    "lifeos.sandbox": 2,
    "lifeos.bubblewrap": 2,
    "lifeos.seccomp": 2,
    "lifeos.watch": 2,
    "lifeos.agents.*": 2,
    "lifeos.proxy.*": 2,
    "lifeos.forge.*": 2,
    "lifeos.checks": 2,
    "lifeos.prepare": 2,
    "lifeos.governance": 2,
    "lifeos.idle": 2,
    "lifeos.confinement": 2,
    "lifeos.initial": 2,
    "lifeos.notify": 2,
    "lifeos.apprise_send": 2,
    "lifeos.strict_yaml": 2,
    "lifeos.yaml_edit": 2,
    "lifeos.tick.*": 3,
    "lifeos.cli.*": 4,
    "lifeos.report.*": 4,
    "lifeos.__main__": 4,
}

#: What the core may not import: each is a clock, a file, an environment, a process, or chance.
IMPURE = frozenset(
    {"asyncio", "git", "glob", "http", "httpx", "importlib", "io", "multiprocessing", "os"}
    | {"pathlib", "platform", "random", "secrets", "shutil", "signal", "socket", "subprocess"}
    | {"sys", "tempfile", "threading", "time", "urllib.request", "uuid"}
)

#: Names of those modules that are values all the same.
PURE_NAMES = {"pathlib": {"PurePath", "PurePosixPath"}, "io": {"StringIO", "BytesIO"}}

#: Calls that read the clock (as the last name of an attribute), or the world (as a plain name).
CLOCK_CALLS = frozenset({"now", "utcnow", "today"})
WORLD_CALLS = frozenset({"open", "print", "input", "__import__", "eval", "exec"})

#: Who may start programs; everyone else goes through lifeos.process. `inside` runs in the sandbox,
#: where there is no lifeos.
STARTS_PROGRAMS = frozenset({"lifeos.process", "lifeos.store.git", "lifeos.agents.inside"})
OS_STARTERS = ("system", "popen", "posix_spawn", "spawn", "exec", "fork")


class Module:
    """One source file: its dotted name, its tree, and what it imports."""

    def __init__(self, name: str, source: str, *, package: bool = False) -> None:
        self.name = name
        self.tree = ast.parse(source, filename=name)
        self.package = name if package else name.rpartition(".")[0]

    def imported(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each import as (module, names taken from it); wherever it stands, and by name too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, ()) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield self._source(node), tuple(alias.name for alias in node.names)
            elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"}:
                yield from ((self._absolute(name), ()) for name in _strings(node.args[:1]))

    def _absolute(self, name: str) -> str:
        bare = name.lstrip(".")
        return self._above(len(name) - len(bare), bare)

    def _source(self, node: ast.ImportFrom) -> str:
        return self._above(node.level, node.module or "")

    def _above(self, level: int, name: str) -> str:
        if level == 0:
            return name
        parts = self.package.split(".")
        return ".".join([*parts[: len(parts) - level + 1], *([name] if name else [])])

    def uses(self, known: frozenset[str]) -> set[str]:
        """The modules among ``known`` that it imports; a name taken from a package may be one."""
        found: set[str] = set()
        for module, names in self.imported():
            below = {f"{module}.{name}" for name in names} & known
            # `from lifeos.core import machine` is about machine, not about the package around it.
            found |= below
            if module in known and (not names or len(below) < len(names)):
                found.add(module)
        return found - {self.name}


def _called(node: ast.Call) -> str:
    """The last name of what is called: ``now`` of ``datetime.now()``."""
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _strings(nodes: Iterable[ast.AST]) -> list[str]:
    """The texts among these nodes that stand there as such."""
    constants = (node.value for node in nodes if isinstance(node, ast.Constant))
    return [value for value in constants if isinstance(value, str)]


def layer_of(name: str) -> int | None:
    """The layer of a module; None if the table does not cover it. The most exact line wins."""
    if name in LAYERS:
        return LAYERS[name]
    parent = name
    while parent:
        if f"{parent}.*" in LAYERS:
            return LAYERS[f"{parent}.*"]
        parent = parent.rpartition(".")[0]
    return None


def upward(module: Module, known: frozenset[str]) -> list[str]:
    """Imports that point up. A module without a layer is a fault of its own."""
    own = layer_of(module.name)
    if own is None:
        return [f"{module.name} has no layer: add it to LAYERS in tests/test_layers.py"]
    faults = []
    for target in sorted(module.uses(known)):
        other = layer_of(target)
        if other is None or other > own:
            faults.append(f"{module.name} (layer {own}) imports {target} (layer {other})")
    return faults


def impure(module: Module) -> list[str]:
    """What a core module does that is not a value: imports and calls that reach outside."""
    faults = []
    for source, names in module.imported():
        taken = {f"{source}.{name}" for name in names}
        if names and set(names) <= PURE_NAMES.get(source, set()):
            continue
        if any(_within(name, IMPURE) for name in {source, *taken}):
            faults.append(f"{module.name} imports {source}")
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        called = _called(node)
        if isinstance(node.func, ast.Attribute) and called in CLOCK_CALLS:
            faults.append(f"{module.name}:{node.lineno} reads the clock: {called}()")
        if isinstance(node.func, ast.Name) and called in WORLD_CALLS:
            faults.append(f"{module.name}:{node.lineno} calls {called}()")
    return faults


def _within(name: str, roots: frozenset[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def knows_git(module: Module) -> list[str]:
    """Where a module outside lifeos.store imports the git library or names git as a program."""
    if _within(module.name, frozenset({"lifeos.store"})):
        return []
    faults = [
        f"{module.name} imports {source}"
        for source, _ in module.imported()
        if _within(source, frozenset({"git", "gitdb"}))
    ]
    for node in ast.walk(module.tree):
        words: list[ast.expr] = []
        if isinstance(node, ast.List | ast.Tuple):
            words = node.elts[:1]
        # Looking for the program is not starting it.
        elif isinstance(node, ast.Call) and _called(node) != "which":
            words = node.args[:1]
        if any(word == "git" or word.startswith("git ") for word in _strings(words)):
            faults.append(f"{module.name}:{words[0].lineno} starts git")
    return faults


def starts_programs(module: Module) -> list[str]:
    """Where a module that may not do so starts a program."""
    if module.name in STARTS_PROGRAMS:
        return []
    roots = frozenset({"subprocess", "_posixsubprocess", "multiprocessing", "pty"})
    faults = [
        f"{module.name} imports {source}"
        for source, names in module.imported()
        if _within(source, roots) or (source == "os" and any(map(_is_starter, names)))
    ]
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and ((node.value.id == "os" and _is_starter(node.attr)) or "_subprocess_" in node.attr)
        ):
            faults.append(f"{module.name}:{node.lineno} uses {node.value.id}.{node.attr}")
    return faults


def _is_starter(name: str) -> bool:
    return name.startswith(OS_STARTERS)


def registered(cli: Module) -> set[str]:
    """The modules that ``COMMANDS`` of lifeos.cli names: in full, or by the command's name."""
    found: set[str] = set()
    for node in cli.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if not any(isinstance(target, ast.Name) and target.id == "COMMANDS" for target in targets):
            continue
        for text in _strings(ast.walk(node)):
            found |= {text, f"{cli.name}.{text.replace('-', '_')}_command"}
    return found


def uncalled(modules: Mapping[str, Module]) -> list[str]:
    """Modules that nothing imports. Packages count through what is in them."""
    known = frozenset(modules)
    called = {"lifeos.__main__"}
    for module in modules.values():
        called |= module.uses(known)
    if "lifeos.cli" in modules:
        called |= registered(modules["lifeos.cli"])
    packages = {module.package for module in modules.values()}
    return sorted(known - called - packages)


def _load() -> dict[str, Module]:
    modules = {}
    for path in sorted((SOURCE / "lifeos").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        modules[name] = Module(name, path.read_text(encoding="utf-8"), package=package)
    return modules


MODULES = _load()
KNOWN = frozenset(MODULES)


def test_the_modules_are_found() -> None:
    """An empty list would satisfy every rule below."""
    assert {"lifeos", "lifeos.errors", "lifeos.model", "lifeos.core"} <= KNOWN


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_imports_point_down(name: str) -> None:
    """Each module has a layer, and knows only its own and those below."""
    found = upward(MODULES[name], KNOWN)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", sorted(n for n in KNOWN if layer_of(n) in {0, 1}))
def test_values_and_core_are_pure(name: str) -> None:
    """Layers 0 and 1 read no clock, file, environment, process or chance."""
    found = impure(MODULES[name])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_only_the_store_knows_git(name: str) -> None:
    """One package talks to git: what git must never be asked is decided in one place."""
    found = knows_git(MODULES[name])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_one_module_starts_programs(name: str) -> None:
    """Deadlines, process groups and cleared environments are decided in one place."""
    found = starts_programs(MODULES[name])
    assert not found, "\n".join(found)


def test_every_module_has_a_caller() -> None:
    """A control that nothing calls is a defect, however well it is tested.

    The program that writes the reference pages is a caller like any other.
    """
    pages = Module("docs", DOCS_BUILDER.read_text(encoding="utf-8"), package=True)
    found = uncalled({**MODULES, "docs": pages})
    assert not found, f"nothing imports: {', '.join(found)}"


SOME = frozenset({"lifeos.model", "lifeos.core", "lifeos.core.machine", "lifeos.store", "lifeos.x"})


@pytest.mark.parametrize(
    "source",
    [
        "import lifeos.store",
        "from lifeos import store",
        "from lifeos.store import Ledger",
        "from ..store import Ledger",
        "from .. import store",
        "def f():\n    from lifeos import store",
        "if TYPE_CHECKING:\n    import lifeos.store",
        "import importlib\nimportlib.import_module('lifeos.store')",
        "from importlib import import_module\nimport_module('..store', __package__)",
        "from lifeos import x",
    ],
)
def test_an_upward_import_is_seen(source: str) -> None:
    """In any spelling, at any depth, and to a module that has no layer."""
    assert len(upward(Module("lifeos.core.decide", source), SOME)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from lifeos.model import Stage",
        "from lifeos.core import machine",
        "from . import machine",
        "from .machine import apply",
        "import json",
    ],
)
def test_a_downward_import_is_allowed(source: str) -> None:
    """Down, sideways, and to other libraries."""
    assert upward(Module("lifeos.core.decide", source), SOME) == []


def test_relative_imports_of_a_package_start_at_itself() -> None:
    """In ``core/__init__.py`` one dot is core, not what is around it."""
    package = Module("lifeos.core", "from .machine import apply", package=True)
    assert package.uses(SOME) == {"lifeos.core.machine"}


def test_a_module_without_a_layer_is_refused() -> None:
    """So that nobody forgets the table; a longer name does not slip in under a shorter one."""
    for name in ("lifeos.newcomer", "lifeos.processes", "lifeos.corelike", "lifeos.checks.junit"):
        assert "no layer" in upward(Module(name, ""), SOME)[0]


@pytest.mark.parametrize(
    "source",
    [
        *(f"import {name}" for name in sorted(IMPURE)),
        "import os.path",
        "from os import environ",
        "from urllib import request",
        "from pathlib import Path",
        "from pathlib import PurePosixPath, Path",
        "from io import open as o",
        "def f():\n    import time",
        "from datetime import datetime\nx = datetime.now()",
        "import datetime\nx = datetime.datetime.utcnow()",
        "from datetime import date\nx = date.today()",
        "open('x')",
        "print('x')",
        "input()",
        "__import__('os')",
    ],
)
def test_impurity_is_seen(source: str) -> None:
    """Each way out of the core, one at a time."""
    assert impure(Module("lifeos.core.decide", source))


@pytest.mark.parametrize(
    "source",
    [
        "import json, hashlib, re",
        "from datetime import datetime, timedelta\nx = datetime(2025, 1, 1) + timedelta(1)",
        "from pathlib import PurePosixPath",
        "from io import StringIO",
        "from urllib.parse import quote",
        "import timeit_like",
        "queue.open()",
        "now(snapshot)",
    ],
)
def test_values_are_allowed(source: str) -> None:
    """The rule is about the world, not about names that look like it."""
    assert impure(Module("lifeos.core.decide", source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import git",
        "from git import Repo",
        "def f():\n    from git.objects import Commit",
        "run(['git', 'status'])",
        "command = ('git', 'status')",
        "run('git', 'status')",
        "run('git status')",
    ],
)
def test_knowledge_of_git_is_seen(source: str) -> None:
    """Outside the store only; looking for the program is not starting it."""
    assert knows_git(Module("lifeos.tick.land", source))
    assert knows_git(Module("lifeos.store.ledger", source)) == []
    assert knows_git(Module("lifeos.storehouse", source))
    assert knows_git(Module("lifeos.cli.doctor", "shutil.which('git')")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess",
        "from subprocess import run",
        "import pty",
        "import os\nos.system('x')",
        "import os\nos.posix_spawn('x', [], {})",
        "import os\nos.execv('x', [])",
        "from os import fork",
        "import asyncio\nasyncio.create_subprocess_exec('x')",
    ],
)
def test_starting_a_program_is_seen(source: str) -> None:
    """Only two modules may; the rest of the store is not one of them."""
    assert starts_programs(Module("lifeos.sandbox", source))
    assert starts_programs(Module("lifeos.store.ledger", source))
    assert starts_programs(Module("lifeos.process", source)) == []
    assert starts_programs(Module("lifeos.store.git", source)) == []
    assert starts_programs(Module("lifeos.sandbox", "import os\nos.environ")) == []


def _modules(**sources: str) -> dict[str, Module]:
    named = {name.replace("_", "."): source for name, source in sources.items()}
    return {n: Module(n, s, package=n in {"lifeos", "lifeos.cli"}) for n, s in named.items()}


def test_a_module_without_a_caller_is_seen() -> None:
    """Itself does not count, and neither do tests."""
    modules = _modules(lifeos="", lifeos_a="import lifeos.b", lifeos_b="import lifeos.b")
    assert uncalled(modules) == ["lifeos.a"]


def test_a_module_loaded_by_name_is_called() -> None:
    """Through ``COMMANDS`` of lifeos.cli, or by import_module with a constant; no other string."""
    modules = _modules(
        lifeos="NOTE = 'lifeos.cli.forgotten'",
        lifeos_cli="COMMANDS: tuple[str, ...] = ('show',)\nOTHER = ('forgotten',)",
        lifeos_cli_forgotten="",
        lifeos_loaded="",
    )
    name = "lifeos.cli.show_command"
    modules[name] = Module(name, "import_module('lifeos.loaded')")
    assert uncalled(modules) == ["lifeos.cli.forgotten"]
