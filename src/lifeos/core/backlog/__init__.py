"""The backlog: BACKLOG.md as tasks, edits that change single bytes, and what is next."""
