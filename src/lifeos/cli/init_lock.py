"""The lock that the workflow installs lifeos by: every package at one version, by its digest."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution

from lifeos import __version__
from lifeos.core.workflows import marked

_HEAD = """\
# .github/lifeos.lock: what .github/workflows/lifeos.yml installs, and nothing else, each package by
# its SHA-256. Written by `lifeos init --github`, which brings it up to date as long as nobody else
# edits it. lifeos's own line:
"""
_BLANK = (
    "# lifeos=={version} --hash=sha256:   (missing: lifeos init --github --lifeos-hash SHA256)\n"
)


def lock_of(template: str, there: str | None, digest: str) -> tuple[str, bool]:
    """The lock, and whether lifeos's own digest is in it.

    The digest is the one given; else the one that pip noted when it installed this lifeos from a
    file; else the one that the lock at hand has for this version.
    """
    digest = digest or _noted() or _locked(there or "")
    own = f"lifeos=={__version__} --hash=sha256:{digest}\n"
    line = own if digest else _BLANK.format(version=__version__)
    return marked(f"{_HEAD}{line}\n{template}"), bool(digest)


def _noted() -> str:
    """What pip noted of the wheel that this lifeos was installed from; "" if of an index."""
    try:
        noted = distribution("lifeos").read_text("direct_url.json")
        archive = json.loads(noted or "{}").get("archive_info", {})
        digest = archive.get("hashes", {}).get("sha256", "")
    except (PackageNotFoundError, ValueError, AttributeError):
        return ""
    return digest if re.fullmatch(r"[0-9a-f]{64}", str(digest)) else ""


def _locked(there: str) -> str:
    version = re.escape(__version__)
    found = re.search(rf"(?m)^lifeos=={version} --hash=sha256:([0-9a-f]{{64}})$", there)
    return found[1] if found else ""
