"""A person's clone of a real package's repository, used as a person uses it: by commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import warm
from conftest import Git, require

EXAMPLE = Path(__file__).parents[1] / "examples" / "real-package"
NO_SOURCE = 75

#: How pip reaches its packages on this machine, read before the tests' environment is sealed.
PIP = {
    name: value
    for name, value in os.environ.items()
    if name.startswith(("PIP_", "SSL_CERT", "REQUESTS_CA")) or name.lower().endswith("_proxy")
}
_CONFIGURED = [Path.home() / place for place in (".config/pip/pip.conf", ".pip/pip.conf")]
for _file in _CONFIGURED:
    if _file.is_file():
        PIP.setdefault("PIP_CONFIG_FILE", str(_file))


@dataclass(frozen=True)
class Clone:
    """A person's clone, used as a person uses it: by commands."""

    folder: Path
    git: Git

    def lifeos(self, *args: str, code: int = 0) -> str:
        """Run a command of lifeos; what it said on standard output."""
        done = warm.run(args, self.folder, os.environ, seconds=300)
        assert done.returncode == code, (
            f"{args}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def tick(self) -> dict[str, list[str]]:
        """One tick; what its JSON says."""
        data = json.loads(self.lifeos("tick", "--quiet", "--json"))["data"]
        assert isinstance(data, dict)
        return data

    def pending(self, task: str) -> str:
        """The text of the question about a task; empty when there is none."""
        texts = [path.read_text() for path in (self.folder / ".lifeos/queue").glob("*.md")]
        return "".join(text for text in texts if f'\ntask: "{task}"\n' in text)

    def story(self, task: str) -> list[str]:
        """What the ledger says of a task's attempts: `build 5: test_failure -> retry` and so on."""
        log = self.git("log", "--reverse", "--format=%s", "lifeos/ledger").splitlines()
        run = next(line.split()[1] for line in log if re.match(rf"open \S+ for {task}: ", line))
        pattern = re.compile(rf"(\w+ \d+) of {run}: (.*)")
        return [": ".join(found.groups()) for line in log if (found := pattern.fullmatch(line))]

    def builds(self, task: str = "LO-peekall") -> list[str]:
        """What came of each build of a task."""
        return [line.partition(": ")[2] for line in self.story(task) if line.startswith("build ")]

    def packet(self, task: str) -> dict[str, object]:
        """The final packet of a task's run, as JSON."""
        names = self.git("ls-tree", "-r", "--name-only", "lifeos/ledger", "packets/").splitlines()
        for name in names:
            if name.endswith("packet.json"):
                data = json.loads(self.git("show", f"lifeos/ledger:{name}"))["predicate"]
                assert isinstance(data, dict)
                if data["task"] == task:
                    return data
        raise AssertionError(f"no packet of {task}")

    def changed_by(self, commit: str) -> list[str]:
        """The files that a commit changed."""
        names = self.git("diff-tree", "-r", "-z", "--name-only", "--no-commit-id", commit)
        return names.split("\0")[:-1]

    def on_main(self, path: str) -> str:
        """A file as main has it."""
        return self.git("show", f"main:{path}")


def make_clone(tmp_path: Path) -> Clone:
    """The example's repository, made by its own script; skips the test without a network."""
    folder = tmp_path / "queuelib"
    done = subprocess.run(
        ["sh", str(EXAMPLE / "make-repository"), str(folder)],
        env=os.environ | PIP | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode == NO_SOURCE:
        require(f"the source of the package ({done.stderr.strip()})", False, "connect to a network")
    assert done.returncode == 0, done.stderr
    return Clone(folder, Git(folder))
