"""The first paragraph of a task: its title, its tags, and the fields of the inline form."""

from __future__ import annotations

from dataclasses import dataclass

from lifeos.core.backlog.fields import KEYS, Fields
from lifeos.core.backlog.inline import inline_parts, key_value, trailing_tags


@dataclass(frozen=True)
class Title:
    """``rest`` is what else the paragraph says, as prose."""

    text: str
    tags: tuple[str, ...]
    rest: str


def read_title(text: str, more: str, fields: Fields, line: int) -> Title:
    """Read ``**Title** — DoD: … — Owner: …`` or a plain title; ``more`` are the lines below.

    Parts between dashes that do not begin with a known key belong to the part before them, so that
    a title may contain dashes. A paragraph with such fields is read as one line, as it is rendered.
    """
    if "—" not in text + more and "--" not in text + more:
        untagged, tags = trailing_tags(text)
        return Title(_unbold(untagged), tags, more)
    whole = " ".join([text, *(part.strip() for part in more.split("\n"))]) if more else text
    untagged, tags = trailing_tags(whole)
    parts = inline_parts(untagged)
    pairs = [None, *(key_value(part.text) for part in parts[1:])]
    keyed = [number for number, pair in enumerate(pairs) if pair and pair[0] in KEYS]
    for pair in pairs:
        if pair and pair[0] not in KEYS:
            fields.take(pair[0], [pair[1]], line)  # warns if the key is misspelt
    if not keyed:
        untagged, tags = trailing_tags(text)
        return Title(_unbold(untagged), tags, more)
    ends = [*(parts[number].dash for number in keyed[1:]), len(untagged)]
    for number, end in zip(keyed, ends, strict=True):
        pair = key_value(untagged[parts[number].start : end])
        if pair:
            fields.take(pair[0], [pair[1]], line)
    return Title(_unbold(untagged[: parts[keyed[0]].dash].rstrip()), tags, "")


def _unbold(text: str) -> str:
    """The title without the bold marks around its beginning."""
    inner, marks, rest = text[2:].partition("**")
    bold = text.startswith("**") and marks and inner.strip()
    return (inner + rest).strip() if bold else text.strip(" \t:")
