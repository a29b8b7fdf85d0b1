"""Whether people can be told: the command, Apprise, and what went wrong the last time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lifeos.cli.adopted import adopted
from lifeos.cli.health import Line, fail, ok, warn
from lifeos.errors import UsageError

if TYPE_CHECKING:
    from lifeos.core.policy import Governance
    from lifeos.store.repo import Repo


def notices(repo: Repo, rules: Governance, environ: Mapping[str, str]) -> Iterator[Line]:
    """Everything about `notify:`; nothing where the rules name nobody. Nothing is sent."""
    from lifeos.notify import program, read_note

    notify = rules.config.notify
    if not notify.channels:
        return
    if not adopted(repo, rules):
        said = "main's rules are not known to be adopted: nobody is told by them"
        yield warn("notices", said, "lifeos tick adopts them, or asks an approver; then again")
    if notify.command:
        inside = [path for path in (repo.work_tree, repo.common_dir) if path is not None]
        try:
            found = program(notify, environ, inside)[0]
            yield ok("notices", f"command: {found}; to try it: lifeos digest --send")
        except UsageError as error:
            yield fail("notices", f"command: {error.message}", error.fix)
    unset = [name for name in notify.environment if name not in environ]
    if unset:
        said = f"not set here: {', '.join(unset)} (`notify: environment:`)"
        yield warn("notices", said, "export them where lifeos runs, or take them out")
    if notify.apprise:
        yield from _apprise(notify.apprise, environ)
    note = read_note(repo.private_dir)
    for told in note.channels.values() if note else ():
        if told.problem:
            yield warn("notices", f"the last one failed: {told.problem}", "lifeos digest --send")


def _apprise(variables: tuple[str, ...], environ: Mapping[str, str]) -> Iterator[Line]:
    from lifeos.notify import EXTRA, address, apprise_is_here

    if not apprise_is_here():
        yield fail("notices", "Apprise is not installed, and `notify: apprise:` needs it", EXTRA)
        return
    for variable in variables:
        try:
            address(variable, environ)
            yield ok("notices", f"apprise: {variable} is set; to try it: lifeos digest --send")
        except UsageError as error:
            yield fail("notices", error.message, error.fix)
