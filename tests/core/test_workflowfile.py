"""Which branches and pull requests start a workflow, by the rules of GitHub's workflow syntax."""

from __future__ import annotations

import pytest

from lifeos.core.workflowfile import started_by_pull_request, started_by_push

QUEUE = "lifeos/queue/Q-1"
PATHS = (".lifeos/queue/Q-1.md", ".lifeos/queue/Q-1.approval.yaml")


def push(**rule: object) -> object:
    """`on:` with filters of push."""
    return {"push": {name.replace("_", "-"): value for name, value in rule.items()}}


@pytest.mark.parametrize(
    ("on", "starts"),
    [
        ("push", True),
        (["pull_request", "push"], True),
        ({"push": None}, True),
        ("workflow_dispatch", False),
        ({"schedule": [{"cron": "0 * * * *"}]}, False),
        (None, False),
        (7, False),
        (push(branches=["main"]), False),
        (push(branches="main"), False),
        (push(branches=["*"]), False),  # it stays inside a folder
        (push(branches=["**"]), True),
        (push(branches=["lifeos/*"]), False),
        (push(branches=["lifeos/**"]), True),
        (push(branches=["**/Q-1"]), True),
        (push(branches=["lifeos/queue/Q-[0-9]"]), True),
        (push(branches=["lifeos/queue/Q-[0-9]+"]), True),
        (push(branches=["li?feos/queue/Q-1"]), True),
        (push(branches=["**", "!lifeos/**"]), False),
        (push(branches=["!lifeos/**", "**"]), True),  # the last one that matches decides
        (push(branches=["lifeos.queue.Q-1"]), False),
        (push(branches=[]), False),
        (push(branches_ignore=["lifeos/**"]), False),
        (push(branches_ignore=["main"]), True),
        (push(tags=["v*"]), False),  # then only tags start it
        (push(tags_ignore=["v*"]), False),
        (push(tags=["v*"], branches=["**"]), True),
        (push(paths=["src/**"]), False),
        (push(paths=["**.md"]), True),
        (push(paths=[".lifeos/**", "!**.md"]), True),  # one file of two is left
        (push(paths_ignore=[".lifeos/**"]), False),
        (push(paths_ignore=["**.md"]), True),
        (push(branches=["main"], paths=["**"]), False),
        (push(branches=["*" * 9 + "x"]), True),  # what is not read is taken to match
        (push(branches=["[9-0]"]), True),
    ],
)
def test_a_push_to_a_branch_of_the_queue(on: object, starts: bool) -> None:
    """A filter that is not there lets everything through; what cannot be read too."""
    assert started_by_push(on, QUEUE, PATHS) is starts


@pytest.mark.parametrize(
    ("on", "by"),
    [
        ("pull_request", ("pull_request",)),
        (["pull_request_target", "pull_request"], ("pull_request", "pull_request_target")),
        ({"pull_request": {"types": ["opened"]}}, ("pull_request",)),
        ({"pull_request": {"branches": ["release/**"]}}, ()),
        ({"pull_request_target": {"branches": ["main"]}}, ("pull_request_target",)),
        ({"pull_request": {"paths": ["src/**"]}}, ()),
        ("push", ()),
    ],
)
def test_a_pull_request_into_main(on: object, by: tuple[str, ...]) -> None:
    """The filter is of the base, which is main, and of the files that are changed."""
    assert started_by_pull_request(on, "main", PATHS) == by
