"""SVG as text, from values: every text and attribute is escaped here and nowhere else.

A picture has no size of its own: it is as wide as its place, so across it all is in percent, and
down in pixels. Nothing is stretched, and writing stays as large as the writing around it.
"""

from __future__ import annotations

from html import escape

from lifeos.core.clean import visible


def number(value: float) -> str:
    """A number for an attribute: short, and the same everywhere."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def percent(value: float) -> str:
    """A place across the picture, from 0 to 100."""
    return f"{number(value)}%"


def element(name: str, *children: str, **attributes: str | float) -> str:
    """One element; its children are SVG already. ``class_`` is class, ``stroke_width`` as in SVG.

    Attributes that are '' are left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value != ""
    )
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def _value(value: str | float) -> str:
    return escape(visible(value), quote=True) if isinstance(value, str) else number(value)


def words(text: str) -> str:
    """Text between tags."""
    return escape(visible(text), quote=False)


def named(text: str) -> str:
    """The name of a part: what a pointer that rests on it, or a reader, is told."""
    return element("title", words(text))


def picture(
    ident: str, height: float, title: str, told: str, *children: str, class_: str = ""
) -> str:
    """A whole picture. ``told`` says in words what it shows, for those who do not see it."""
    return element(
        "svg",
        element("title", words(title), id=f"{ident}-t"),
        element("desc", words(told), id=f"{ident}-d"),
        *children,
        class_=class_,
        width="100%",
        height=height,
        role="img",
        aria_labelledby=f"{ident}-t {ident}-d",
    )
