"""The forge that the repository is on: the `forge:` part of `.lifeos/config.yaml`."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from lifeos.model import Frozen

_SSH = re.compile(r"(?:[A-Za-z0-9._-]+@)?(?P<host>[A-Za-z0-9.-]+):(?!//)/?(?P<path>.+)")
_URL = re.compile(
    r"(?:https?|ssh|git)://(?:[^@/]*@)?(?P<host>\[[0-9a-fA-F:]+\]|[^/:]+)(?P<port>:\d+)?/(?P<path>.+)"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100}")

ELSEWHERE = "LIFEOS_FORGE"
"""The variable by which whoever runs lifeos names the forge in place of the adopted rules."""
MENDING = f"then {ELSEWHERE}=HOST/OWNER/NAME lifeos tick, once: it adopts the mended rules"
"""What to do where the adopted rules name a forge that is not there."""


class ForgeKind(StrEnum):
    """What the forge is: none is asked, or GitHub (also Enterprise)."""

    NONE = "none"
    GITHUB = "github"


class Forge(Frozen):
    """Where the repository is on a forge. The token itself is never in a file."""

    kind: ForgeKind = Field(ForgeKind.NONE, description="`none`, or `github` (also Enterprise).")
    host: Annotated[
        str,
        StringConstraints(
            pattern=r"^([a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?$"
        ),
    ] = Field("github.com", description="Its host; the token is sent there, and nowhere else.")
    repository: Annotated[
        str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100})?$")
    ] = Field("", description="OWNER/NAME there; empty: as in the address of the git remote.")
    token_env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")] = Field(
        "GITHUB_TOKEN", description="The environment variable that holds the token."
    )

    @property
    def secret(self) -> str:
        """The variable whose value must appear in no sandbox and no work; "" without a forge."""
        return "" if self.kind is ForgeKind.NONE else self.token_env


def name_on(forge: Forge, url: str) -> str:
    """OWNER/NAME of the repository on this forge, by the rules or a git remote's address; or ''.

    ssh.HOST is the same host, for those who may only use the port of https.
    """
    if forge.repository:
        return forge.repository
    host, name = repository_of(url) or ("", "")
    return name if host in {forge.host, f"ssh.{forge.host}"} else ""


def repository_of(url: str) -> tuple[str, str] | None:
    """Host and OWNER/NAME of a git remote's address; None where it has no such form.

    https://HOST/OWNER/NAME.git, ssh://git@HOST/OWNER/NAME and git@HOST:OWNER/NAME are read. The
    host is without a port where ssh is spoken, since that is not the port of its web address.
    """
    found = _URL.fullmatch(url) or _SSH.fullmatch(url)
    if found is None:
        return None
    name = found["path"].strip("/").removesuffix(".git")
    if not _NAME.fullmatch(name) or name.endswith(("/.", "/..")):
        return None
    web = url.startswith(("https://", "http://"))
    port = (found["port"] or "") if web else ""
    return found["host"].lower() + port, name
