"""The project itself: a lock that holds, scripts any shell runs, a workflow with few rights."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from conftest import require

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-run.lock")
SCRIPTS = ("script/env", "script/test", "script/demo", ".ci/run")

#: Put together here, so that this file does not name them either.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("deb", "debian", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("rubygems", "org"),
    )
)

BASHISMS = re.compile(
    r"""\[\[ | ^\s*(function|source|declare|local|typeset)\s | <\( | >\( | <<< | &> | \|& | \$'
      | \w\+?=\( | \$\{!\w | \$\{\w+(//?|:[0-9]|\^|,) | \becho\s+-[en] | \bpipefail\b | \s==\s
      | (?<!\$)\(\( | BASH_""",
    re.VERBOSE | re.MULTILINE,
)


def faults(text: str) -> list[str]:
    """What is wrong with a lock: entries without version and hash, and places to get them from."""
    found = []
    for line in _logical_lines(text):
        entry, *hashes = re.split(r"\s+--hash=", line)
        if not re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.+!]+( ; .+)?", entry):
            found.append(f"not a pinned name: {line[:80]}")
        elif not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in hashes):
            found.append(f"without a SHA-256: {entry}")
    if re.search(r"https?:|file:|--index|--extra-index|--find-links|--trusted-host", text):
        found.append("names a place to get packages from")
    return found


def _logical_lines(text: str) -> list[str]:
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    return [
        line.strip() for line in joined.splitlines() if line.strip() and line.lstrip()[0] != "#"
    ]


def _pins(lock: str) -> dict[str, str]:
    """Version by canonical name."""
    pins: dict[str, str] = {}
    for line in _logical_lines((ROOT / lock).read_text(encoding="utf-8")):
        name, _, rest = line.partition("==")
        pins[canonicalize_name(name)] = rest.split()[0]
    return pins


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _group(name: str) -> list[str]:
    """The requirements of a dependency group, those of the groups it includes first."""
    found: list[str] = []
    for entry in _pyproject()["dependency-groups"][name]:
        found += _group(entry["include-group"]) if isinstance(entry, dict) else [entry]
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_hashed_and_names_no_host(lock: str) -> None:
    """What is installed is what was tested, wherever pip is configured to get it from."""
    assert faults((ROOT / lock).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "bad",
    [
        "rich==15.0.0",
        "rich==15.0.0 \\\n    --hash=md5:00",
        f"rich>=15 \\\n    --hash=sha256:{'0' * 64}",
        f"rich @ https://example.invalid/rich.whl --hash=sha256:{'0' * 64}",
        f"--index-url https://example.invalid/\nrich==15.0.0 --hash=sha256:{'0' * 64}",
        "-e .",
    ],
)
def test_a_loose_lock_is_seen(bad: str) -> None:
    """Each way in which a lock can stop being one."""
    assert faults(bad)


@pytest.mark.parametrize(
    ("lock", "groups"), [("requirements.lock", ("dev",)), ("requirements-run.lock", ("build",))]
)
def test_lock_satisfies_pyproject(lock: str, groups: tuple[str, ...]) -> None:
    """A dependency that was added or raised without locking it again is named."""
    pins = _pins(lock)
    project = _pyproject()["project"]
    wanted = [*project["dependencies"], *(r for g in groups for r in _group(g))]
    if "dev" in groups:  # what is optional is tested too
        wanted += [r for extra in project["optional-dependencies"].values() for r in extra]
    unmet = [
        text
        for text in wanted
        if (need := Requirement(text)).specifier.contains(
            pins.get(canonicalize_name(need.name), "0.dev0"), prereleases=True
        )
        is False
    ]
    assert wanted
    assert unmet == []


def test_the_small_lock_is_part_of_the_large_one() -> None:
    """script/env takes an environment for tests as good enough to run lifeos."""
    assert _pins("requirements-run.lock").items() < _pins("requirements.lock").items()


def test_the_build_backend_is_locked() -> None:
    """The project is built without isolation, so its backend comes from the lock."""
    assert _pyproject()["build-system"]["requires"] == _group("build")


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_is_executable_plain_sh(script: str) -> None:
    """Any POSIX shell runs it: macOS, Alpine, Debian's dash."""
    path = ROOT / script
    text = path.read_text(encoding="utf-8")
    assert os.access(path, os.X_OK)
    assert text.startswith("#!/bin/sh\n")
    assert BASHISMS.findall(re.sub(r"(?m)(^|\s)#.*$", "", text)) == []
    shells = ["sh", *(["dash"] if shutil.which("dash") else [])]
    for shell in shells:
        done = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "bad",
    [
        "[[ -f x ]]",
        "function f {",
        "diff <(a) <(b)",
        "source x",
        "  local x=1",
        "a=(1 2)",
        "echo -e x",
        "set -o pipefail",
        '[ "$a" == b ]',
        "x &> y",
        "${x//a/b}",
        "${x:0:1}",
        "((i++))",
    ],
)
def test_bashisms_are_seen(bad: str) -> None:
    """`sh -n` accepts most of them where sh is bash."""
    assert BASHISMS.search(bad)


@pytest.mark.parametrize("good", ["$((1 + 2))", "${x:-0}", "x=$(f)", "${x%%/*}", "a >x 2>&1"])
def test_plain_sh_is_allowed(good: str) -> None:
    """The search must not forbid what every shell knows."""
    assert not BASHISMS.search(good)


def test_no_file_names_a_registry() -> None:
    """Where packages come from is the business of whoever installs them."""
    require("a git checkout of lifeos", (ROOT / ".git").exists(), "git clone, not an archive")
    listed = subprocess.run(
        # The owner of the checkout may be another user (a container); nothing is executed from it.
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = [Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0") if name]
    assert Path("pyproject.toml") in names
    found = {
        str(name): host
        for name in names
        if (ROOT / name).is_file()
        for host in REGISTRIES
        if host.encode() in (ROOT / name).read_bytes()
    }
    assert found == {}


def test_workflows_have_few_rights_and_fixed_actions() -> None:
    """A tag can be moved to other code; a commit cannot. The token stays out of the checkout."""
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
    assert workflows
    for path in workflows:
        flow = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        assert flow["permissions"] == {}
        for job in flow["jobs"].values():
            assert job["permissions"]
            for step in job["steps"]:
                action = step.get("uses", "")
                own = action == "./"  # the action of the very commit that the workflow is of
                fixed = re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
                assert not action or own or fixed, action
                if action.startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False


def _bootstrap(root: Path, path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run script/env of the project copy ``root`` with ``path`` as the only folder of programs."""
    return subprocess.run(
        ["/bin/sh", root / "script" / "env", "run"],
        cwd="/",
        env={"PATH": str(path), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _program(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what script/env reads, in a folder whose name needs quoting."""
    root = tmp_path / "a 'project' $HOME"
    (root / "script").mkdir(parents=True)
    for name in ("script/env", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of the programs that every system has, and neither git nor Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cat", "dirname", "mkdir", "mv", "rm", "tail"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return folder


def test_bootstrap_names_all_that_is_missing(checkout: Path, programs: Path) -> None:
    """At once, not one after the other, with the command for each system; and makes nothing."""
    done = _bootstrap(checkout, programs)
    assert done.returncode == 1
    assert "needs git 2.38 or newer" in done.stderr
    assert "needs Python 3.11 or newer" in done.stderr
    for command in ("apt-get install git", "brew install git", "dnf install git"):
        assert command in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("version", ["2.37.9", "1.99.0", "nonsense"])
def test_bootstrap_refuses_an_old_git(checkout: Path, programs: Path, version: str) -> None:
    """2.38 is where merge-tree learned to write a tree. Only this system's command is shown."""
    _program(programs, "git", f"echo git version {version}")
    _program(programs, "dnf", "exit 1")
    done = _bootstrap(checkout, programs)
    assert done.returncode == 1
    assert "needs git 2.38 or newer" in done.stderr
    assert "sudo dnf install git\n" in done.stderr
    assert "brew" not in done.stderr


@pytest.mark.parametrize("version", ["2.38.0", "2.100.1 (Apple Git-154)", "3.0.0-rc1"])
def test_bootstrap_accepts_a_new_git(checkout: Path, programs: Path, version: str) -> None:
    """Whatever is printed after the number."""
    _program(programs, "git", f"echo 'git version {version}'")
    assert "needs git" not in _bootstrap(checkout, programs).stderr


def test_bootstrap_names_a_missing_venv_module(checkout: Path, programs: Path) -> None:
    """Debian ships Python without it, and its own message comes half-way through."""
    _program(programs, "git", "echo git version 2.39.5")
    _program(
        programs,
        "python3",
        'case "$2" in *ensurepip*) exit 1 ;; *print*) echo 3.12 ;; esac',
    )
    _program(programs, "apt-get", "exit 1")
    done = _bootstrap(checkout, programs)
    assert done.returncode == 1
    assert "sudo apt-get install python3.12-venv" in done.stderr


def _fake_tools(programs: Path) -> None:
    """The real git, and a Python whose environments hold a pip that installs nothing.

    That pip fails at the step that the file ``.venv/broken`` names.
    """
    real = shutil.which("git")
    assert real
    (programs / "git").symlink_to(real)
    (programs / "chmod").symlink_to(shutil.which("chmod") or "")
    _program(
        programs,
        "python3",
        """[ "$2" = venv ] || exit 0
mkdir -p "$4/bin"
cat >"$4/bin/python" <<'END'
#!/bin/sh
shift 3
echo "$@"
read -r broken 2>/dev/null <"${0%/bin/python}/broken" || exit 0
case "$*" in *"$broken"*) exit 1 ;; esac
END
chmod +x "$4/bin/python"
""",
    )


def test_bootstrap_works_once_until_something_changes(checkout: Path, programs: Path) -> None:
    """One line of progress, then silence; again once the lock, the project or the place differ."""
    _fake_tools(programs)
    first, second = _bootstrap(checkout, programs), _bootstrap(checkout, programs)
    assert (first.returncode, first.stdout, first.stderr.count("\n")) == (0, "", 1)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")

    for name in ("requirements-run.lock", "pyproject.toml"):
        with (checkout / name).open("a", encoding="utf-8") as file:
            file.write("\n# changed\n")
        assert "preparing" in _bootstrap(checkout, programs).stderr
        assert _bootstrap(checkout, programs).stderr == ""

    moved = checkout.rename(checkout.with_name("moved"))
    assert "preparing" in _bootstrap(moved, programs).stderr


def test_bootstrap_installs_only_what_is_hashed(checkout: Path, programs: Path) -> None:
    """From wheels and by hash; the project itself without looking for anything."""
    _fake_tools(programs)
    _bootstrap(checkout, programs)
    locked, itself = (checkout / ".venv" / "bootstrap.log").read_text(encoding="utf-8").splitlines()
    assert "--require-hashes" in locked
    assert "--only-binary :all:" in locked
    assert "--no-build-isolation --no-deps --no-index" in itself


@pytest.mark.parametrize("step", ["--require-hashes", "--no-deps"])
def test_a_failed_bootstrap_is_not_taken_for_a_finished_one(
    checkout: Path, programs: Path, step: str
) -> None:
    """It says what pip said and what to do, and the next call tries again."""
    _fake_tools(programs)  # its `venv --clear` clears nothing
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "broken").write_text(f"{step}\n", encoding="utf-8")
    for _ in range(2):
        done = _bootstrap(checkout, programs)
        assert done.returncode == 1
        assert step in done.stderr
        assert "run the same command again" in done.stderr
    (checkout / ".venv" / "broken").unlink()
    assert _bootstrap(checkout, programs).returncode == 0


def test_bootstrap_never_empties_the_target_of_a_link(
    checkout: Path, programs: Path, tmp_path: Path
) -> None:
    """``.venv`` may be a link to an environment that belongs to something else."""
    _fake_tools(programs)
    other = tmp_path / "other"
    other.mkdir()
    (other / "ready-run").write_text("kept", encoding="utf-8")
    (checkout / ".venv").symlink_to(other)
    assert _bootstrap(checkout, programs).returncode == 0
    assert [path.name for path in other.iterdir()] == ["ready-run"]


def test_no_group_is_repeated_possessively() -> None:
    """Python up to 3.11.4 matches `(...)*+` wrongly, and a rule that is not found is not held."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"\)[*+?]\+", path.read_text(encoding="utf-8"))
    ]
    assert found == []
