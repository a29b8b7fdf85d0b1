"""The workflow that `lifeos init --github` writes: its template, filled in, and marked. Pure.

The mark at its end is the digest of all above it: so what nobody edited can be brought up to date,
and what somebody did edit is left alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum

from lifeos.core.policy import AgentKind, Config, Loop
from lifeos.core.policy.notify import Notify, Occasion

WORKFLOW = ".github/workflows/lifeos.yml"
LOCK = ".github/lifeos.lock"
MODELS = "lifeos-models"
"""The environment that holds the models' keys, for the attempts alone."""
TRUSTED = "lifeos-trusted"
"""The environment that holds what the trusted jobs need beside the workflow's own token."""
OWN_TOKEN = "GITHUB_TOKEN"  # noqa: S105  (the name of a variable)
SPARE_MINUTES = 15
"""For each job: a machine that has to be found, the clone, the installation."""
MOST_MINUTES = 360
"""What GitHub gives a job."""
CHECK_MINUTES = 45
"""What the checks of one tree are given, all together."""

DIGEST_MINUTE = 11
"""Of the digest's hour: at the full hour many workflows begin, and the clock of GitHub is late."""

_MARK = "# lifeos init --github: sha256 "
_MARKED = re.compile(rf"(?s)(.*\n){re.escape(_MARK)}([0-9a-f]{{64}})\n?")
_SECRET = re.compile(r"(?!GITHUB_)[A-Za-z_][A-Za-z0-9_]*", re.IGNORECASE)


class Standing(StrEnum):
    """What a file at hand is, beside what would be written."""

    MISSING = "missing"
    CURRENT = "current"
    OLDER = "older"  # written by lifeos, for other settings or by another version
    EDITED = "edited"


@dataclass(frozen=True)
class Wishes:
    """What the workflow depends on, by the configuration.

    ``keys`` are the variables with the models' keys; ``token`` the one with the forge's token.
    ``digest_hour`` (UTC) is None where nobody wants the daily digest.
    """

    main: str
    keys: tuple[str, ...]
    token: str
    attempt_minutes: int
    check_minutes: int
    opencode: bool = False  # whether an agent is OpenCode, which then has to be installed
    told: tuple[str, ...] = ()  # variables that notices need
    digest_hour: int | None = None
    apprise: bool = False  # whether notices go by Apprise, which then has to be installed

    @property
    def lease_seconds(self) -> int:
        """How long a claim must stand, for its result to come in time."""
        return 60 * (self.attempt_minutes + self.check_minutes + SPARE_MINUTES)

    @property
    def environments(self) -> dict[str, tuple[str, ...]]:
        """The environments that the jobs take secrets from, and which."""
        token = () if self.token == OWN_TOKEN else (self.token,)
        found = {MODELS: self.keys, TRUSTED: (*token, *self.told)}
        return {name: secrets for name, secrets in found.items() if secrets}

    @property
    def impossible(self) -> tuple[str, ...]:
        """Variables that cannot be the name of a secret there."""
        wanted = (name for names in self.environments.values() for name in names)
        return tuple(name for name in wanted if not _SECRET.fullmatch(name))


def wishes_of(config: Config, loop: Loop) -> Wishes:
    """What a configuration needs."""
    keys = {provider.key_env for provider in config.providers.values() if provider.key_env}
    attempt = min(-(-loop.budgets.seconds_per_attempt // 60) + SPARE_MINUTES, MOST_MINUTES)
    return Wishes(
        main=config.main,
        keys=tuple(sorted(keys)),
        token=config.forge.token_env,
        attempt_minutes=attempt,
        check_minutes=CHECK_MINUTES + SPARE_MINUTES,
        opencode=AgentKind.OPENCODE in config.agents.kinds,
        told=tuple(dict.fromkeys((*config.notify.environment, *config.notify.apprise))),
        digest_hour=_digest_hour(config.notify),
        apprise=bool(config.notify.apprise),
    )


def _digest_hour(notify: Notify) -> int | None:
    wanted = notify.channels and Occasion.DIGEST in notify.on
    return notify.digest.hour if wanted else None


def render_workflow(template: str, opencode: str, digest: str, wishes: Wishes) -> str:
    """The workflow, with its mark.

    ``opencode`` is the step that installs OpenCode, ``digest`` the job that sends the daily digest.
    """
    trusted = wishes.environments.get(TRUSTED, ())
    filled = {
        "[__MAIN_PATTERN__]": f"[{_yaml(_pattern(wishes.main))}]",
        "__MAIN_REF__": f"refs/heads/{wishes.main}",
        "__MAIN_JSON__": json.dumps(wishes.main),
        "__ATTEMPT_MINUTES__": str(wishes.attempt_minutes),
        "__CHECK_MINUTES__": str(wishes.check_minutes),
        "    # trusted\n": _environment(TRUSTED, trusted),
        "          # trusted secrets\n": _secrets(trusted),
        "    # models\n": _environment(MODELS, wishes.keys),
        "      # opencode\n": opencode if wishes.opencode else "",
        "          # keys\n": _secrets(wishes.keys),
        **_digest_parts(digest, wishes),
    }
    for blank, text in filled.items():
        if blank not in template:
            raise AssertionError(f"the template of the workflow must have {blank.strip()!r}")
        template = template.replace(blank, text)
    return marked(template + "\n")


def _digest_parts(job: str, wishes: Wishes) -> dict[str, str]:
    """The clock, the group and the job of the digest. The clock alone sees to "once a day".

    It has a group of its own: in that of the rounds a push could take its place while it waits.
    """
    if wishes.digest_hour is None:
        return {
            "    # the digest\n": "",
            "__GROUP__": "lifeos",
            "__NO_DIGEST__": "",
            "  # digest\n": "",
        }
    cron = f"{DIGEST_MINUTE} {wishes.digest_hour} * * *"
    told = {
        "__DIGEST_CRON__": cron,
        "    # told\n": _environment(TRUSTED, wishes.told),
        "          # told secrets\n": _secrets(wishes.told),
    }
    for blank, text in told.items():
        job = job.replace(blank, text)
    return {
        "    # the digest\n": f'    - cron: "{cron}" # the daily digest, and nothing else\n',
        "__GROUP__": f"${{{{ github.event.schedule == '{cron}' && 'lifeos-digest' || 'lifeos' }}}}",
        "__NO_DIGEST__": f" && github.event.schedule != '{cron}'",
        "  # digest\n": f"\n{job}",
    }


def standing(there: str | None, wanted: str) -> Standing:
    """What a file is beside the one that would be written; its line ends are not looked at."""
    if there is None:
        return Standing.MISSING
    there = there.replace("\r\n", "\n")
    if there == wanted:
        return Standing.CURRENT
    found = _MARKED.fullmatch(there)
    ours = found is not None and _digest(found[1]) == found[2]
    return Standing.OLDER if ours else Standing.EDITED


def needs_lock(there: str | None) -> bool:
    """Whether the workflow at hand, or the one that is yet to be written, installs by the lock.

    One that somebody made their own may go without: by the action, say.
    """
    return there is None or LOCK in there


def marked(text: str) -> str:
    """A text of lines with the mark below it."""
    return f"{text}{_MARK}{_digest(text)}\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _environment(name: str, secrets: tuple[str, ...]) -> str:
    """Where a job's secrets come from, if it needs any."""
    return f"    environment: {name} # bound to main\n" if secrets else ""


def _secrets(names: tuple[str, ...]) -> str:
    return "".join(f"          {name}: ${{{{ secrets.{name} }}}}\n" for name in names)


def _pattern(branch: str) -> str:
    """The branch as a filter pattern that means it alone."""
    return branch.replace("+", "\\+")


def _yaml(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", text)
    word = text.lower() in {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
    return text if plain and not word else json.dumps(text)
