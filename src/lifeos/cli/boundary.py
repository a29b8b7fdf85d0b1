"""The one place where errors become exit codes: expected ones a line, unexpected ones a log."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path
from typing import TextIO

from lifeos.errors import Exit, LifeosError, is_of_the_machine


def guarded(arguments: list[str], errors: TextIO) -> int:
    """Run the command; say what went wrong on ``errors``. The exit code."""
    from lifeos.cli.app import build

    try:
        return build(arguments)
    except LifeosError as error:
        errors.write(f"lifeos: {_harmless(error)}\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        errors.write("lifeos: interrupted; nothing is lost, run the command again\n")
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output stopped reading; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return int(Exit.OK)
    except Exception as error:  # noqa: BLE001  (the boundary: everything ends here)
        if isinstance(error, OSError) and is_of_the_machine(error):
            errors.write(
                f"lifeos: the machine refuses: {_harmless(error)}\n"
                f"  nothing recorded is lost\n"
                f"  fix: make room (or see to that disk), then run the command again\n"
            )
            return int(Exit.BUSY)
        path = _leave_log(arguments)
        errors.write(
            f"lifeos: internal error: {type(error).__name__}: {_harmless(error)}\n"
            f"  this is a defect of lifeos; nothing recorded is lost\n"
            f"  fix: report it with the log {path}\n"
        )
        return int(Exit.INTERNAL)


def _harmless(error: Exception) -> str:
    """What the error says; it may quote a title or a path, which must not drive the terminal."""
    from lifeos.core.clean import for_terminal

    return for_terminal(str(error))


def _leave_log(arguments: list[str]) -> Path:
    """Write the traceback where the person can find it. The file's path."""
    private = _private(_started_in(arguments))
    folder = private / "logs" if private else Path(tempfile.mkdtemp(prefix="lifeos-"))
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="error-", suffix=".log", dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"lifeos {arguments}\n\n{traceback.format_exc()}")
    return Path(name)


def _started_in(arguments: list[str]) -> Path:
    """The folder of ``-C DIR``, or this one; what is wrong with the arguments is not our business.

    Only what stands before the command counts: behind it, ``-C`` is a word of that command.
    """
    from lifeos.cli import COMMANDS

    rest, folder = iter(arguments), Path()
    for argument in rest:
        if argument in COMMANDS:
            break
        if argument.startswith("-C"):
            folder = Path(argument[2:] or next(rest, ""))
    return folder


def _private(start: Path) -> Path | None:
    """The folder that lifeos has in the repository here; None where there is none yet."""
    from lifeos.store.discover import discover, find_common_dir

    try:
        private = find_common_dir(discover(start)[0]) / "lifeos"
    except (LifeosError, OSError):
        return None
    return private if private.is_dir() else None
