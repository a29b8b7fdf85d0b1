"""How the documentation becomes a site: Sphinx on the Markdown that stands in the repository.

The pages are the ones that GitHub shows; nothing is written for the site alone but its index.
script/docs runs it, and treats every warning (a dead link, a page in no list) as an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from lifeos import __version__

ROOT = Path(__file__).resolve().parents[2]
MERMAID = ROOT / "docs" / "site" / "node" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"

project = "lifeos"
author = "the lifeos authors"
version = release = __version__
language = "en"
project_copyright = "the lifeos authors, Apache-2.0"

extensions = ["myst_parser", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/reference/*.md", "examples/*/*.md"]
# The backlog is data. Folders that are none of the project's are not even walked through.
exclude_patterns = ["BACKLOG.md", ".venv", "**/node_modules", "build", "dist", "tests", ".git"]
nitpicky = True

myst_enable_extensions = ["html_admonition"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
# Four backticks around three, and fences with words of lifeos's own, are plain text to Pygments.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "lifeos"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"


class Mermaid(Directive):  # type: ignore[misc]  # docutils has no types
    """A diagram: drawn where scripts run, and its text where they do not."""

    has_content: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        """The text, as the script looks for it."""
        text = nodes.Text("\n".join(self.content)).astext()
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return [nodes.raw("", f'<pre class="mermaid">{escaped}</pre>', format="html")]


def setup(app: Sphinx) -> dict[str, Any]:  # Any: Sphinx's own type of what a setup tells
    """Diagrams are drawn by a script beside the pages: the site asks no other host."""
    app.add_directive("mermaid", Mermaid)
    if MERMAID.exists():
        app.config.html_static_path.append(str(MERMAID))
        app.add_js_file("mermaid.min.js")
        app.add_js_file("diagrams.js")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
