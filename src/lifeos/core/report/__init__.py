"""The report as values: what it says (``data``, ``tell``), how it is drawn (``svg``, ``charts``).

What becomes of it, a page or Markdown, is for ``lifeos.report`` and ``lifeos.core.report.page``.
"""
