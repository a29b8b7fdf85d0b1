"""What an agent may say of a proposal: words beside the computed ones, and a prompt as a draft.

The evidence, the change, the metric and the question stay what was computed. Only for a prompt
whose answers do not fit may it draft another text of that prompt, and only by adding to it: what
the prompt says now about data, marks and the form of the answer cannot go that way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import Field

from lifeos.core.clean import visible
from lifeos.core.prompts import LARGEST, placeholders
from lifeos.core.replies import Short, Unfit, Words, fitted
from lifeos.model import Frozen

MOST_ADDED = 30
"""Lines that a draft may add to a prompt; a model follows a longer one less well."""
_OF_THE_FRAME = re.compile(r"nonce|lifeos-(?:data|end)|<<<|>>>", re.IGNORECASE)


class WordingReply(Frozen):
    """What an agent says of one proposal."""

    title: Short = Field(description="What is proposed, in one line that anybody understands.")
    why: Words = Field(description="Why, in a few sentences: from the evidence and nothing else.")
    prompt: str = Field(
        "",
        max_length=LARGEST,
        description="Only where `prompt.md` is given: that text, complete, with what you add. "
        "Empty: the computed paragraph stays.",
    )


EXAMPLE: dict[str, object] = {
    "title": "Stop asking about wording in the guide when the risk is low",
    "why": "All ten questions of the last weeks were approved within seconds. Changes of medium "
    "risk would still be asked about.",
    "prompt": "",
}


def read(text: str, prompt: str, nonce: str) -> WordingReply:
    """The answer in an agent's last message. Raises Unfit with all that is to be mended.

    ``prompt`` is the text that it may add to, "" where it may draft none.
    """
    reply = fitted(text, WordingReply)
    wrong = [f"- `{name}`: has the nonce in it" for name, said in _texts(reply) if nonce in said]
    if reply.prompt.strip():
        wrong += unfit_draft(prompt, reply.prompt)
    if wrong:
        raise Unfit("\n".join(["the answer cannot be used:", *wrong]))
    return reply


def _texts(reply: WordingReply) -> tuple[tuple[str, str], ...]:
    return (("title", reply.title), ("why", reply.why), ("prompt", reply.prompt))


def unfit_draft(before: str, after: str) -> list[str]:
    """What is wrong with a prompt's draft, in lines; empty if it may be proposed."""
    if not before.strip():
        return ["- `prompt`: nothing may be drafted here, leave it out"]
    return list(_wrong(before, after))


def _wrong(before: str, after: str) -> Iterator[str]:
    added = added_lines(before, after)
    if added is None:
        yield (
            "- `prompt`: a line of the text is gone, changed or moved; keep every line as it is, "
            "and only add lines"
        )
        return
    if len(after.encode("utf-8", "replace")) > LARGEST:
        yield f"- `prompt`: is longer than {LARGEST} bytes"
    if not any(line.strip() for line in added):
        yield '- `prompt`: adds nothing; write "" for no draft'
    if len(added) > MOST_ADDED:
        yield f"- `prompt`: adds {len(added)} lines, at most {MOST_ADDED} are read"
    if any(visible(line) != line for line in added):
        yield "- `prompt`: has characters that cannot be seen"
    if any(_OF_THE_FRAME.search(line) for line in added):
        yield "- `prompt`: says something about the marks of data, which the frame alone does"
    if placeholders("\n".join(added)):
        yield "- `prompt`: has a placeholder, and nothing fills it in"


def added_lines(before: str, after: str) -> list[str] | None:
    """The lines that are new; None where one of the old lines is not there any more, in order."""
    old, added = before.rstrip().split("\n"), []
    for line in after.rstrip().split("\n"):
        if old and line == old[0]:
            old.pop(0)
        else:
            added.append(line)
    return None if old else added
