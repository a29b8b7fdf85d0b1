"""The command line: one file a command. It parses, calls, and shows; it decides nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper

COMMANDS: dict[str, str] = {
    "init": "Write the default governance and a first backlog.",
    "demo": "Show a whole run in a scratch repository, in a minute.",
    "tick": "Carry the backlog on until a person is needed.",
    "ci": "The parts of a tick, for CI: claim, attempt, check, collect.",
    "status": "What runs, what waits, and on whom.",
    "board": "Every task in its column, from the backlog to done.",
    "next": "Which task is next, and why each other one is not.",
    "backlog": "List, add and format tasks.",
    "queue": "What waits for the CEO.",
    "approve": "Answer a queue item: approve.",
    "revise": "Answer a queue item: do it again, with a comment.",
    "reject": "Answer a queue item: no, with a reason.",
    "cancel": "End a task's run; its work is kept.",
    "retry": "Let a task that ended be tried again.",
    "revert": "Take a landed run back.",
    "stop": "Set the kill switch.",
    "resume": "Take the kill switch away.",
    "improve": "Look back, and propose what would do better.",
    "digest": "The daily sum: what waits, landed, blocked, was spent.",
    "metrics": "Whether it needs the CEO less, and at what price.",
    "log": "The story of the project, one line a transition.",
    "show": "One run, task, item or attempt in detail.",
    "report": "All of it on one page, for a browser, a phone or a job summary.",
    "backtest": "Say what would have differed under other rules.",
    "why": "Where a line comes from: run, plan, reviews, approval, rules.",
    "verify": "Replay the ledger and check what it claims.",
    "export": "Carry the questions, or your answers, in a file: no network needed.",
    "import": "Take over answers from such a file.",
    "redact": "Take content out of the ledger that should never have been there.",
    "validate": "Check the files: governance and backlog.",
    "doctor": "Check the surroundings: git, sandbox, identity, models.",
    "schema": "The JSON Schema of a policy file or of an output.",
}


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. Never raises for an expected error."""
    from lifeos.cli.boundary import guarded

    if isinstance(sys.stdout, TextIOWrapper):
        # A character that the terminal's encoding lacks must not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    return guarded(list(arguments), sys.stderr)
