"""A forge that answers well, and makes no sense about one pull request."""

from __future__ import annotations

from typing import Any

from live_forge import Forge
from live_http import Answers
from live_values import Asked
from loopback import Reply


class Strange(Answers):
    """About the pull request of this number it says what GitHub never says."""

    def __init__(self, forge: Forge, number: int, *, behind: bool = False) -> None:
        super().__init__(forge)
        self.number = number
        self.behind = behind  # nor does it know yet which brought what

    def reply(self, method: str, target: str, token: str, content: bytes) -> Reply | None:
        """As ever, but of who brought a commit."""
        if self.behind and "/commits/" in target:
            return 200, [], {}
        return super().reply(method, target, token, content)

    def _common(self, value: Any, pull: Asked) -> Any:
        told = super()._common(value, pull)
        return told | ({"state": "sleeping"} if pull.number == self.number else {})


class Endless(Answers):
    """Of this part of a pull request there is always more, as if somebody had filled it up."""

    def __init__(self, forge: Forge, number: int, part: str) -> None:
        super().__init__(forge)
        self.path = f"/{number}/{part}?"

    def reply(self, method: str, target: str, token: str, content: bytes) -> Reply | None:
        """Page after page without anything that counts."""
        if self.path in target:
            return 200, [], {"link": '<https://elsewhere.invalid/>; rel="next"'}
        return super().reply(method, target, token, content)
