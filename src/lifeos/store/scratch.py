"""Git as a person types it, for the scratch repository of the demo and for nothing else.

No protection is needed there: lifeos made the repository a moment ago, with a home of its own.
"""

from __future__ import annotations


def as_shown(args: tuple[str, ...]) -> tuple[str, ...]:
    """The command line as a person would type it."""
    return ("git", *args)


def as_run(args: tuple[str, ...], *, colour: bool) -> tuple[str, ...]:
    """The same, without a pager, and with colours only where somebody sees them."""
    when = "always" if colour else "never"
    return ("git", "-c", f"color.ui={when}", "-c", "core.pager=cat", *args)


def environment(person: dict[str, str], home: str) -> dict[str, str]:
    """The person's variables, without what would lead to their git, their home or their CI."""
    kept = {
        name: value
        for name, value in person.items()
        if not name.startswith(("GIT_", "XDG_")) and name not in ("CI", "GITHUB_ACTIONS")
    }
    return kept | {
        "HOME": home,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
    }
