"""Started as a program of its own: sends one notice by Apprise, and says how by its exit status.

    python -P apprise_send.py

Reads ``{"url": ..., "title": ..., "body": ...}`` from standard input. A process of its own can be
ended at its deadline, and what Apprise logs (the address may be in it, which is a secret) is thrown
away with its output. Only Apprise and the standard library are imported: there need not be a
lifeos on the path.
"""

from __future__ import annotations

import json
import sys

SENT, UNDELIVERED, NOT_UNDERSTOOD, NOT_INSTALLED = 0, 1, 4, 5


def main() -> int:
    """Send it; how that went."""
    asked = json.load(sys.stdin)
    try:
        import apprise
    except ImportError:
        return NOT_INSTALLED
    there = apprise.Apprise()
    if not there.add(asked["url"]) or not len(there):
        return NOT_UNDERSTOOD
    sent = there.notify(
        title=asked["title"], body=asked["body"], body_format=apprise.NotifyFormat.TEXT
    )
    return SENT if sent else UNDELIVERED


if __name__ == "__main__":
    sys.exit(main())
