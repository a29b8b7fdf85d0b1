"""Markdown of a packet as HTML that can do nothing: no raw HTML, link, picture or id of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_DOWN = 3
"""How many levels its headings go down: the run that it is the packet of has one of its own."""
_OFF = ("image", "link", "autolink", "html_inline", "html_block", "reference")


def reader() -> MarkdownIt:
    """What reads packets; one can read many."""
    from markdown_it import MarkdownIt

    options = {"html": False, "linkify": False, "typographer": False, "maxNesting": 20}
    return MarkdownIt("commonmark", options).enable("table").disable(list(_OFF))


def as_html(found: MarkdownIt, text: str) -> str:
    """The text as HTML; whatever is in it is text, a table, a list, a heading or code."""
    tokens = list(_fitted(found.parse(text)))
    rendered: str = found.renderer.render(tokens, found.options, {})
    return rendered


def _fitted(tokens: Sequence[Token]) -> Iterator[Token]:
    """Headings below those of the page; tables that scroll; no head where all of it is empty."""
    from markdown_it.token import Token

    skipping = False
    for i, token in enumerate(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + _DOWN)}"
        if token.type == "thead_open" and _is_empty(tokens[i:]):
            skipping = True
        if token.type in ("fence", "code_block"):
            token.type = "code_block"  # without a language's class, and with attributes of its own
            token.attrSet(
                "tabindex", "0"
            )  # a line that is too long is scrolled by the keyboard too
        if token.type == "table_open":
            box = Token("html_block", "", 0)
            box.content = '<div class="scroll" role="group" aria-label="table" tabindex="0">\n'
            yield box
        if not skipping:
            yield token
        if token.type == "thead_close":
            skipping = False
        if token.type == "table_close":
            box = Token("html_block", "", 0)
            box.content = "</div>\n"
            yield box


def _is_empty(tokens: Sequence[Token]) -> bool:
    """Whether the head that begins here has no writing in it."""
    for token in tokens:
        if token.type == "thead_close":
            return True
        if token.type == "inline" and token.content.strip():
            return False
    return True
