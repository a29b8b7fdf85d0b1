"""How lifeos's own changes may reach main: asked of the forge by ``lifeos init --github``.

The person's own token is sent only where it is for: to github.com, or to the host in `GH_HOST`, as
GitHub's own command line has it. The address of a git remote alone is no reason: whoever made the
repository chose it. Without a token nothing is asked, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lifeos.core.policy.config import MainWrites
from lifeos.core.policy.forge import Forge, ForgeKind
from lifeos.errors import LifeosError

_BINDING = ("pull_request", "update")
"""Rules under which nobody but by a pull request, or nobody at all, changes a branch."""


@dataclass(frozen=True)
class Choice:
    """What was chosen for ``main_writes``, and why, in a line."""

    writes: MainWrites
    why: str


def main_writes(
    host: str, name: str, branch: str, environ: Mapping[str, str], *, by_merge: bool
) -> Choice:
    """``pr`` where main takes nothing but pull requests, as far as the forge says it.

    ``by_merge``: merges are answers, which ``pr`` needs.
    """
    direct = MainWrites.DIRECT
    again = "lifeos init --github --main-writes pr, if main takes nothing but pull requests"
    if not host or not name:
        return Choice(direct, f"the forge is not known here. Otherwise: {again}")
    settings = Forge(kind=ForgeKind.GITHUB, host=host)
    if not environ.get(settings.token_env, "").strip():
        return Choice(
            direct, f"{settings.token_env} is not set, so {host} was not asked. Otherwise: {again}"
        )
    if host not in {"github.com", environ.get("GH_HOST", "")}:
        return Choice(direct, f"{host} is not in GH_HOST, so it gets no token. Otherwise: {again}")
    try:
        rules, hidden = _rules(settings, name, branch, environ)
    except LifeosError as error:
        return Choice(direct, f"{host} did not say it ({error.message}). Otherwise: {again}")
    if not rules:
        lacking = f"; not shown to this token: {', '.join(hidden)}. Otherwise: {again}"
        more = lacking if hidden else ""
        return Choice(direct, f"no rule on {host} wants pull requests for {branch}{more}")
    by = ", ".join(rules)
    if by_merge:
        return Choice(MainWrites.PR, f"{branch} takes changes only by pull requests ({by})")
    return Choice(
        direct,
        f"{branch} takes changes only by pull requests ({by}), which needs merges as answers: "
        "give --login and --forge-id; else let lifeos's account bypass that rule",
    )


def _rules(
    settings: Forge, name: str, branch: str, environ: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """What binds there, by its source, and what could not be seen."""
    from lifeos.forge import connect

    there = connect(settings, name, environ)
    try:
        found = there.branch(branch)
    finally:
        there.close()
    sources = [rule.source for rule in found.rules if rule.name in _BINDING]
    return list(dict.fromkeys(sources)), [hidden.what for hidden in found.hidden]
