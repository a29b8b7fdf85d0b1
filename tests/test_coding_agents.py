"""A real task on a real code base by the real OpenCode, from the backlog to the landing.

The model is scripted and on loopback; everything else is as it is for a person: the command line,
the sandbox, the package's own tests, a council of several seats, and the person's approval.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lifeos.core.receipt import RECEIPTS, Receipt
from real_package import Clone, make_clone
from scripted_model import ScriptedModel, Step, Turn, steps, text, tool
from scripted_team import Team, on_path

pytestmark = pytest.mark.sandbox

TASK = """\
# Backlog

- [ ] **LO-peekall** Let a round robin queue tell how many keys it has #api
  - scope: `queuelib/rrqueue.py`, `queuelib/tests/test_rrqueue.py`
  - risk: low

  People count the keys by looking into `queue.queues`, which is not theirs.

  Acceptance:
  - [ ] it counts: `python3 -c "from queuelib import RoundRobinQueue as Q; Q(list).key_count()"`
  - [ ] a test holds it: `grep -q key_count queuelib/tests/test_rrqueue.py`
"""
METHOD = '''\
    def key_count(self) -> int:
        """Return how many keys have something in the queue."""
        return len(self.queues)

    def close('''
TEST = """

def test_key_count():
    queue = RoundRobinQueue(lambda key: FifoMemoryQueue())
    assert queue.key_count() == {expected}
"""
SEATS = {f"seat_{name}" for name in ("chair", "co_chair", "architect", "risk", "governance")}
KEY = "sk-canary-b7c1f00dfeedface4242"


def builder(turn: Turn) -> Step:
    """First with a wrong test; told that it fails, it mends the test."""
    again = "test_key_count" in turn.user
    wrong, right = "assert queue.key_count() == 1", "assert queue.key_count() == 0"
    mend = tool("edit", filePath="/work/" + TESTS, oldString=wrong, newString=right)
    code = tool("edit", filePath="/work/" + CODE, oldString="    def close(", newString=METHOD)
    write = "cat >> {0} <<'EOF'\n{1}EOF\npython3 -m pytest -q {0} -k key_count; true"
    test = tool("bash", command=write.format(TESTS, TEST.format(expected=1)), description="A test")
    look = tool("read", filePath="/work/" + CODE)
    work = (mend,) if again else (look, code, test)
    return steps(*work, text("Added key_count and its test."))(turn)


CODE, TESTS = "queuelib/rrqueue.py", "queuelib/tests/test_rrqueue.py"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """The example's repository."""
    return make_clone(tmp_path)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ScriptedModel, Team]]:
    """The scripted team behind an address, and OpenCode and the key where lifeos finds them."""
    programs = on_path(tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TEAM_KEY", KEY)
    team = Team(builder, paths=(CODE, TESTS))
    with ScriptedModel(team) as server:
        yield server, team
    assert server.faults == []


def configure(clone: Clone, url: str) -> None:
    """Three lines of configuration, a council of several seats, and the task."""
    yaml = YAML()
    config = clone.folder / ".lifeos/config.yaml"
    rules = yaml.load(config)
    rules["agents"] = dict.fromkeys(("design", "plan", "build", "review"), "opencode")
    rules["providers"] = {"team": {"url": url, "key_env": "TEAM_KEY"}}
    price = {"input": 3.0, "output": 15.0}
    rules["models"] = {"main": {"provider": "team", "id": "scripted", "price": price}}
    with config.open("w") as file:
        yaml.dump(rules, file)
    (clone.folder / "BACKLOG.md").write_text(TASK)
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message=A task for a coding agent")


@pytest.mark.heavy
def test_opencode_takes_a_task_of_a_real_package_to_its_landing(
    clone: Clone, model: tuple[ScriptedModel, Team]
) -> None:
    """All stages, a failed check mended by its feedback, several seats, receipts, one approval."""
    server, team = model
    configure(clone, server.url)
    first = clone.tick()
    assert clone.builds() == ["test_failure -> retry", "ok -> advance"], clone.lifeos("log")
    assert first["waiting"]
    assert set(team.asked) >= SEATS
    clone.lifeos("approve", "LO-peekall")
    second = clone.tick()
    assert [end["outcome"] for end in second["ended"]] == ["pass"]  # type: ignore[index] # JSON
    assert "def key_count" in clone.on_main(CODE)
    assert "key_count() == 0" in clone.on_main(TESTS)
    clone.lifeos("verify")
    _every_call_has_a_receipt(clone, server)
    assert KEY not in clone.git("log", "--all", "--patch", "--no-ext-diff")
    assert {a.headers.get("authorization") for a in server.requests} == {f"Bearer {KEY}"}


def _every_call_has_a_receipt(clone: Clone, server: ScriptedModel) -> None:
    """What the provider was asked, what the receipts say and what the budgets count is the same."""
    log = clone.git("log", "--format=%H", "lifeos/ledger").split()
    receipts: dict[str, Receipt] = {}
    for commit in log:
        for name in clone.git("ls-tree", "-r", "--name-only", commit, "runs/").splitlines():
            if name.endswith("/receipts.json") and name not in receipts:
                data = clone.git("show", f"{commit}:{name}")
                receipts |= {f"{name}/{n}": r for n, r in enumerate(RECEIPTS.validate_json(data))}
    assert len(receipts) == len(server.requests)
    digests = {receipt.request for receipt in receipts.values()}
    assert {hashlib.sha256(asked.raw).hexdigest() for asked in server.requests} == digests
    spent = json.loads(clone.lifeos("status", "--json"))["data"]["spend"]["today"]
    assert spent == pytest.approx(sum(receipt.cost for receipt in receipts.values()))
    assert spent > 0
