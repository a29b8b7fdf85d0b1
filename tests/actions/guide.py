"""The captures in docs/github.md, to be compared with what comes out.

A block is named by a comment above it: ``<!-- shown: NAME -->``. Identifiers differ each time.
"""

from __future__ import annotations

import re
from pathlib import Path

_TEXT = (Path(__file__).parents[2] / "docs" / "github.md").read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"^<!-- shown: (\w+) -->\n(?:<!-- [^\n]* -->\n)?(`{3,})\w+\n(.*?)^\2$", re.MULTILINE | re.DOTALL
)
BLOCKS = {name: text for name, _, text in _BLOCK.findall(_TEXT)}


def masked(text: str) -> str:
    """The same with every identifier as one word, without what differs by nature."""
    text = re.sub(r"\b(R|Q|LO)-[0-9a-z]{6,8}\b", r"\1-0", text)
    return re.sub(r"\b[0-9a-f]{12,64}\b", "0", text)


def shown(name: str, log: str) -> bool:
    """Whether a log of the workflow has what the block of this name shows."""
    plain = re.sub(r"(?m)^\[lifeos/[^\]]*\] +\S+  Summary - ", "", log).replace("::error::", "")
    return masked(BLOCKS[name]) in masked(plain)


def jobs() -> list[str]:
    """The jobs of the round that the page shows, without the run that they are about."""
    found = re.findall(r"^✓ (.+?)(?: R-\w+)?  ", BLOCKS["round"], re.MULTILINE)
    return sorted(found)


def question(title: str, body: str) -> str:
    """A pull request as its page shows it, as far as the guide goes; what it cost is left out."""
    plain = re.sub(r"\*\*|`", "", f"{title}\n\n{body}").replace("::error::", "")
    plain = re.sub(r"; (\\<)?\\?\$[0-9.]+(?=\n)", "", plain)
    return masked(plain)[: len(masked(BLOCKS["question"]))]
