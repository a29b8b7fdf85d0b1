"""What the checks print while a landing is checked again is recorded without secrets too."""

from __future__ import annotations

from pathlib import Path

from loop_scene import begin_scene

SECRET = "hunter2-hunter2-hunter2"  # noqa: S105 - a canary that must not be found


def test_a_recheck_at_landing_is_redacted(tmp_path: Path) -> None:
    """Main moved, the checks run again and print a secret: it is nowhere on the ledger."""
    check = {
        "name": "shape",
        "run": "if test -f moved; then cat moved; exit 1; fi",
        "kind": "build",
        "reruns": 0,
    }
    scene = begin_scene(tmp_path / "repo", {"config.checks": [check]})
    scene.environ["MY_TOKEN"] = SECRET
    scene.tick()
    scene.commit(scene.answer())
    scene.commit({"moved": f"{SECRET}\n"})
    scene.tick()
    assert any("close" in line and "tool_error" in line for line in scene.said), scene.said
    log = scene.git("log", "-p", "--format=%B", "lifeos/ledger", "--", "runs", "queue")
    assert "tool_error" in scene.git("log", "--format=%s", "lifeos/ledger")
    assert SECRET not in log
    assert SECRET not in scene.git("log", "--format=%B", "lifeos/ledger")
