"""Whether anything can have changed since the last tick that found nothing to do.

A tick that ends with nothing to do leaves a note: the tips it saw, and when it must look again.
While all of that still holds, the next tick has nothing to do either, and says so without
importing anything: start-up is nearly all of its cost. Any doubt means "go and look".
"""

import os
import time

NOTE = "lifeos/idle"
TELLING = "telling"
"""The file in `.git/lifeos` that is there while something may not have been told yet."""
_WATCHED = (
    "lifeos/bundles",
    "lifeos/checkout-intent",
    "lifeos/checkout-stage",
    f"lifeos/{TELLING}",
)
LEDGER = "refs/heads/lifeos/ledger"


def idle_line(start: str = ".", now: float | None = None) -> str:
    """What to say when there is certainly nothing to do; '' when somebody has to look."""
    try:
        top, git = _find(os.path.realpath(start))
        with open(f"{git}/{NOTE}", encoding="utf-8") as file:  # noqa: PTH123 - importing pathlib costs as much as the rest
            version, main_ref, main, ledger, wake, said = file.read().split("\n", 5)
    except (OSError, ValueError):
        return ""
    moment = time.time() if now is None else now
    if version != _version() or (wake and moment >= int(wake)):
        return ""
    if _read_ref(git, main_ref) != main or _read_ref(git, LEDGER) != ledger:
        return ""
    if os.path.lexists(f"{top}/.lifeos/STOP"):
        return ""
    for path in _WATCHED:
        full = f"{git}/{path}"
        if os.path.isdir(full) and os.listdir(full):  # noqa: PTH112, PTH208
            return ""
        if os.path.isfile(full):  # noqa: PTH113
            return ""
    return said.strip()


def write_note(
    git: str, *, main_ref: str, main: str, ledger: str, wake: int | None, said: str
) -> None:
    """Leave the note of a tick that found nothing more to do. ``wake`` in seconds UTC."""
    lines = (_version(), main_ref, main, ledger, str(wake) if wake else "", said)
    fresh = f"{git}/{NOTE}.new"
    with open(fresh, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("\n".join(lines))
    os.replace(fresh, f"{git}/{NOTE}")  # noqa: PTH105


def wake_by(git: str, at: int) -> None:
    """Let the note, if there is one, hold no longer than until ``at`` (seconds UTC)."""
    try:
        with open(f"{git}/{NOTE}", encoding="utf-8") as file:  # noqa: PTH123
            version, main_ref, main, ledger, wake, said = file.read().split("\n", 5)
    except (OSError, ValueError):
        return  # there is none, or none that anybody could go by
    if version == _version() and not (wake and int(wake) <= at):
        write_note(git, main_ref=main_ref, main=main, ledger=ledger, wake=at, said=said)


def remove_note(git: str) -> None:
    """Make the next tick look for itself."""
    try:
        os.unlink(f"{git}/{NOTE}")  # noqa: PTH108
    except FileNotFoundError:
        return


def _version() -> str:
    from lifeos import __version__

    return __version__


def _find(folder: str) -> tuple[str, str]:
    """The work tree and its git directory; only the plain case, all others go the long way."""
    while True:
        git = f"{folder}/.git"
        if os.path.isdir(git):  # noqa: PTH112
            return folder, git
        above = os.path.dirname(folder)  # noqa: PTH120
        if above == folder:
            raise FileNotFoundError(git)
        folder = above


def _read_ref(git: str, name: str) -> str:
    """The id a reference holds, from its own file or from packed-refs; '' when neither has it."""
    try:
        with open(f"{git}/{name}", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().strip()
    except FileNotFoundError:
        pass  # it may be packed
    with open(f"{git}/packed-refs", encoding="utf-8") as packed:  # noqa: PTH123
        for line in packed:
            if line.endswith(f" {name}\n"):
                return line.split(" ", 1)[0]
    return ""
