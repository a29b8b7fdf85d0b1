"""The prompts that come with lifeos, one Markdown file a role."""

from __future__ import annotations

from functools import cache
from importlib import resources

from lifeos.core.prompts import NAMES


@cache
def prompt(name: str) -> str:
    """The shipped text of a role (one of ``core.prompts.NAMES``). Raises KeyError for another."""
    if name not in NAMES:
        raise KeyError(name)
    folder = resources.files("lifeos").joinpath("templates", "prompts")
    return folder.joinpath(f"{name}.md").read_text(encoding="utf-8")
