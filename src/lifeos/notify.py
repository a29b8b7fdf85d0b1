"""Sending a notice: to a command, or by Apprise. Both are processes with a deadline.

They run outside the sandbox, as the person, because the adopted rules say so. They get a cleared
environment, the notice on standard input and nothing foreign among their arguments; what they print
is kept short. A failure is a text for people; none is raised, and nothing here decides anything.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lifeos import apprise_send, process
from lifeos.core.clean import one_line
from lifeos.core.leaks import redact
from lifeos.core.notices import Note, Notice, Secrets
from lifeos.core.policy.notify import APPRISE, Notify
from lifeos.errors import UsageError

NOTE = "notices.json"
OUTPUT = 16 * 1024
"""Bytes that are kept of what a command prints, of each stream."""
_MOST_NOTE = 1024 * 1024
_GIVEN = ("PATH", "HOME", "LANG")
EXTRA = f"install it where lifeos runs: {sys.executable} -m pip install apprise"


def send(
    channel: str,
    notify: Notify,
    notice: Notice,
    *,
    environ: Mapping[str, str],
    secrets: Secrets,
    inside: Sequence[Path],
) -> str:
    """Send a notice by one of ``notify.channels``. Why it was not sent, or ''.

    ``inside`` are the folders of the repository: no program from there is run.
    """
    try:
        if channel.startswith(APPRISE):
            argv = [sys.executable, "-P", apprise_send.__file__]
            data = _for_apprise(channel.removeprefix(APPRISE), environ, notice)
        else:
            argv = program(notify, environ, inside)
            data = _for_command(notice)
        ended = process.run(
            argv,
            cwd=Path("/"),
            env=_environment(notify, environ),
            seconds=notify.timeout,
            output_limit=OUTPUT,
            stdin=data,
        )
    except UsageError as error:
        return _plain(f"{error.message}; {error.fix}", secrets)
    return _plain(_problem(channel, notify, ended), secrets)


def _plain(text: str, secrets: Secrets) -> str:
    return one_line(redact(text, secrets), 300)


def _environment(notify: Notify, environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in (*_GIVEN, *notify.environment) if name in environ}


def _for_command(notice: Notice) -> bytes:
    value = {"schema": "lifeos.notice/v1", "data": notice.model_dump(mode="json")}
    return json.dumps(value).encode() + b"\n"


def _for_apprise(variable: str, environ: Mapping[str, str], notice: Notice) -> bytes:
    value = {"url": address(variable, environ), "title": notice.title, "body": notice.text}
    return json.dumps(value).encode()


def _problem(channel: str, notify: Notify, ended: process.Ended) -> str:
    """What went wrong, by how the process ended; ''. The last line of a command says why."""
    if ended.timed_out:
        return f"it did not end within {notify.timeout} s"
    if ended.ok:
        return ""
    if channel.startswith(APPRISE):
        return _APPRISE_SAID.get(ended.status, f"Apprise ended with {ended.status}")
    last = ended.err.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return f"it ended with {ended.status}: {last}".removesuffix(": ")


_APPRISE_SAID = {
    apprise_send.UNDELIVERED: "Apprise could not deliver it; is the address right, and reachable?",
    apprise_send.NOT_UNDERSTOOD: "what the variable holds is no URL that Apprise knows",
    apprise_send.NOT_INSTALLED: f"Apprise is not installed; {EXTRA}",
}


def address(variable: str, environ: Mapping[str, str]) -> str:
    """The Apprise URL in a variable. Raises ``UsageError`` where there is none."""
    url = environ.get(variable, "").strip()
    if not url:
        raise UsageError(
            f"the variable {variable} is not set: it holds the Apprise URL",
            f"export {variable}=… where lifeos runs",
        )
    return url


def apprise_is_here() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("apprise") is not None


def program(notify: Notify, environ: Mapping[str, str], inside: Sequence[Path]) -> list[str]:
    """The command, with the path of its program.

    Raises ``UsageError`` where it is not there, or lies in the repository: that can be changed by a
    task, or by whoever may push, and would then run outside of the sandbox.
    """
    name, *arguments = notify.command
    # Relative folders on the PATH would lead into whatever folder this is.
    folders = [each for each in environ.get("PATH", "").split(":") if each.startswith("/")]
    found = shutil.which(name, path=":".join(folders))
    if found is None:
        raise UsageError(
            f"the program {name} is not there, or cannot be run",
            "install it, or correct `notify: command:` in .lifeos/config.yaml",
        )
    for word in (found, *arguments):
        if word.startswith("/") and _within(Path(word), inside):
            raise UsageError(
                f"{word} lies in this repository, where tasks change files: it is not run",
                "put it into a folder outside, and name that in .lifeos/config.yaml",
            )
    return [found, *arguments]


def _within(path: Path, folders: Sequence[Path]) -> bool:
    real = path.resolve()
    return any(each.is_relative_to(folder.resolve()) for each in (path, real) for folder in folders)


# --- what was told ------------------------------------------------------------------------------


def read_note(private: Path) -> Note | None:
    """What this clone knows of what was told; None where it knows nothing, or not how to read it.

    ``private`` is `.git/lifeos`.
    """
    try:
        with (private / NOTE).open("rb") as file:
            return Note.model_validate_json(file.read(_MOST_NOTE))
    except (OSError, ValueError):
        return None  # lost: what is still open is told once more


def write_note(private: Path, note: Note) -> None:
    """Keep it, whole or not at all."""
    fresh = private / f"{NOTE}.new"
    fresh.write_text(note.model_dump_json() + "\n", encoding="utf-8")
    fresh.replace(private / NOTE)
