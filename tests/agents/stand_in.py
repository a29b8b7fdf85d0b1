# ruff: noqa: S310, S602, T201 - it is an agent: it calls, runs what it is told, and prints
"""A small coding agent, for tests: it asks the model over the OpenAI protocol and does as it says.

    python stand_in.py [--json] [--answer FILE] [--turns N]

The prompt is the file at ``$LIFEOS_PROMPT``, or standard input where there is one. Tools: ``write``
(``filePath``, ``content``) and ``bash`` (``command``). It does whatever the model tells it; what is
tested is what holds it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "description": name, "parameters": {"type": "object"}},
    }
    for name in ("write", "bash")
]


def ask(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """One turn of the model."""
    body = {"model": os.environ["LIFEOS_MODEL"], "messages": messages, "tools": _TOOLS}
    request = urllib.request.Request(
        os.environ["LIFEOS_MODEL_URL"] + "/chat/completions",
        json.dumps(body).encode(),
        {
            "content-type": "application/json",
            "authorization": f"Bearer {os.environ['LIFEOS_MODEL_KEY']}",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    message: dict[str, Any] = answer["choices"][0]["message"]
    return message


def obey(name: str, arguments: dict[str, Any]) -> str:
    """Do what the model wants."""
    if name == "write":
        path = Path(arguments["filePath"])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(arguments["content"])
        except OSError as error:
            return f"cannot write: {error}"
        return "written"
    done = subprocess.run(
        arguments["command"], shell=True, capture_output=True, text=True, check=False
    )
    return f"status {done.returncode}\n{done.stdout}{done.stderr}"


def main() -> int:
    """Ask and obey until the model only talks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--answer")
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    prompt = sys.stdin.read() or Path(os.environ["LIFEOS_PROMPT"]).read_text()
    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    for _ in range(options.turns):
        try:
            message = ask(messages)
        except urllib.error.HTTPError as error:
            print(f"API error {error.code}: {error.read().decode(errors='replace')}")
            return 0  # as real agents do
        messages.append(message)
        calls = message.get("tool_calls") or []
        if not calls:
            break
        for call in calls:
            function = call["function"]
            result = obey(function["name"], json.loads(function["arguments"]))
            print(f"{function['name']}: {result}", flush=True)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    said = messages[-1].get("content") or ""
    if options.answer:
        Path("~", options.answer).expanduser().write_text(said)
    elif options.json:
        print(json.dumps({"type": "result", "result": {"text": said}, "total_cost_usd": 0.25}))
    else:
        print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
