"""A forge that answers well, and makes no sense about one pull request."""

from __future__ import annotations

from typing import Any

from live_forge import Forge
from live_http import Answers
from live_values import Asked


class Strange(Answers):
    """About the pull request of this number it says what GitHub never says."""

    def __init__(self, forge: Forge, number: int) -> None:
        super().__init__(forge)
        self.number = number

    def _common(self, value: Any, pull: Asked) -> Any:
        told = super()._common(value, pull)
        return told | ({"state": "sleeping"} if pull.number == self.number else {})
