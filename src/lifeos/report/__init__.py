"""The report as a page for a browser. Jinja2 and the Markdown reader are loaded here alone."""
