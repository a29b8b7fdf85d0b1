"""Writes the reference pages that follow from the code. Run: python docs/build.py

``pages()`` gives them by file name; a test holds the committed files to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from pydantic import BaseModel
from typer.main import get_command

from lifeos.cli import COMMANDS
from lifeos.core.diagram import page
from lifeos.core.improve.thresholds import LOOKED_AT, THRESHOLDS
from lifeos.core.policy import FILES, Route
from lifeos.errors import Exit

sys.path.insert(0, str(Path(__file__).parent))  # also where a test loads this by its path
from shapes import outputs_page, records_page

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/build.py from the code; edit there. -->"
EXITS = {
    Exit.OK: "done, idle, or waiting for a person",
    Exit.FAILED: "a run ended blocked, or a verification failed",
    Exit.USAGE: "usage, configuration, backlog or policy error",
    Exit.INTERNAL: "internal error; a log is left, and named",
    Exit.NOT_AUTHORISED: "not authorised",
    Exit.WAITING: "`status --exit-code` only: a person is waited for",
    Exit.BUSY: "busy, unreachable, or your own files are in the way: try again",
    Exit.INTERRUPTED: "interrupted",
}


def pages() -> dict[str, str]:
    """Every generated page, by its name in docs/reference/."""
    return {
        "cli.md": cli_page(),
        "patterns.md": patterns_page(),
        "outputs.md": f"{NOTE}\n\n{outputs_page()}",
        "policy.md": policy_page(),
        "records.md": f"{NOTE}\n\n{records_page()}",
        "state-machine.md": page(),
    }


def cli_page() -> str:
    """Every command with its options, and the exit codes."""
    parts = [NOTE, "# The command line", _common(), "## Exit codes", _exits()]
    for name, summary in COMMANDS.items():
        parts += list(_command(name, summary))
    return "\n\n".join(parts) + "\n"


def _common() -> str:
    return (
        "`lifeos [-C DIR] COMMAND …`. `-C` runs as if started in DIR. Data goes to standard output,"
        " messages and progress to standard error. With `--json` a command prints"
        ' `{"schema": "lifeos.NAME/v1", "data": …}`; `lifeos schema NAME` describes it.'
        " Colours are off with `NO_COLOR`. Every error ends with the next action."
    )


def _exits() -> str:
    rows = [f"| {int(code)} | {text} |" for code, text in EXITS.items()]
    return "\n".join(["| exit | meaning |", "| --- | --- |", *rows])


def _command(name: str, summary: str) -> Iterator[str]:
    module = import_module(f"lifeos.cli.{name}_command")
    app = typer.Typer(rich_markup_mode=None)
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name)
    else:
        app.command(name=name)(module.command)
        app.command(name="unused", hidden=True)(lambda: None)
    group: Any = get_command(app)
    command = group.commands[name]
    yield f"## lifeos {name}"
    yield summary
    yield from _described(f"lifeos {name}", command)


def _described(path: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - click's own objects
    children = getattr(command, "commands", {})
    arguments = [p for p in command.params if getattr(p, "param_type_name", "") == "argument"]
    shown = " ".join(_metavar(argument) for argument in arguments)
    if not children:
        yield f"```text\n{f'{path} [OPTIONS] {shown}'.strip()}\n```"
    rows = [_row(p) for p in command.params if getattr(p, "param_type_name", "") == "option"]
    rows = [row for row in rows if row]
    if rows:
        yield "\n".join(["| option | meaning |", "| --- | --- |", *rows])
    for name, child in children.items():
        yield f"### {path} {name}"
        if child.help:
            yield child.help.strip()
        yield from _described(f"{path} {name}", child)


def _metavar(argument: Any) -> str:  # noqa: ANN401 - click's own objects
    name = str(argument.metavar or argument.name).upper()
    return name if argument.required else f"[{name}]"


def _row(option: Any) -> str:  # noqa: ANN401 - click's own objects
    if option.hidden or option.name == "help":
        return ""
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    text = " ".join((option.help or "").split()).replace("|", "\\|")
    return f"| {names} | {text} |"


def patterns_page() -> str:
    """From where on `lifeos improve` takes something for a pattern."""
    rows = [
        f"| `{category.value}` | {one.runs} | {one.cases} | {one.share:.0%} | {one.says} |"
        for category, one in THRESHOLDS.items()
    ]
    told = (
        f"Looked at are the {LOOKED_AT} runs that were closed last. A pattern needs so many,"
        " so many cases among them, and so large a share; what is counted, the last column says."
    )
    head = [
        "| pattern | runs | cases | share | what is counted |",
        "| --- | --- | --- | --- | --- |",
    ]
    return (
        "\n\n".join([NOTE, "# The patterns that are looked for", told, "\n".join(head + rows)])
        + "\n"
    )


def policy_page() -> str:
    """Every setting of every file, with its default."""
    parts = [NOTE, "# The rules, setting by setting", _about_rules()]
    for path, model in FILES.items():
        parts.append(f"## {path}")
        if model.__doc__:
            parts.append(model.__doc__.split("\n\n", maxsplit=1)[0].strip())
        parts.append(_settings(model, ""))
    return "\n\n".join(parts) + "\n"


def _about_rules() -> str:
    return (
        "Five files, read from commits on main and adopted as one set. Unknown keys are refused;"
        " every error has file, line and column. `lifeos validate` checks them, `lifeos schema"
        " NAME` prints their JSON Schema, `lifeos init` writes them with the defaults explained."
    )


def _settings(model: type[BaseModel], prefix: str) -> str:
    rows = [f"| `{n}` | {default} | {text} |" for n, default, text in _fields(model, None, prefix)]
    return "\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows])


def _fields(
    model: type[BaseModel], values: BaseModel | None, prefix: str
) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of each setting; ``values`` are the group's own defaults."""
    for name, field in model.model_fields.items():
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        required = field.is_required() and values is None
        value = getattr(values, name) if values else None
        if values is None and not required:
            value = field.get_default(call_default_factory=True)
        inner = field.annotation
        if isinstance(value, Route):
            then = f"`retries: {value.retries}, then: {value.then}`"
            wait = f", `backoff: {value.backoff}`" if value.backoff else ""
            yield f"{prefix}{name}", then + wait, text
        elif isinstance(value, BaseModel):
            yield f"{prefix}{name}", "", text
            yield from _fields(type(value), value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "(needed)" if required else _shown(value), text
            for argument in get_args(inner):
                if isinstance(argument, type) and issubclass(argument, BaseModel):
                    yield from _fields(argument, None, f"{prefix}{name}{_inside(inner)}.")


def _inside(annotation: Any) -> str:  # noqa: ANN401 - a type, as typing has it
    """How the entries of a setting are written: of a list, of names, or of a group left out."""
    origin = get_origin(annotation)
    if origin is tuple:
        return "[]"
    return ".NAME" if origin is Mapping else ""


def _shown(value: object) -> str:
    """A default, short enough for a cell."""
    if isinstance(value, tuple):
        text = ", ".join(str(getattr(item, "value", item)) for item in value)
        long = len(text) > 60 or any(isinstance(item, BaseModel) for item in value)
        return "see the template" if long else f"`[{text}]`"
    if value is None:
        return "`null`"
    if value == "":
        return '`""`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{getattr(value, 'value', value)}`"


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
        typer.echo(f"wrote {name}")


if __name__ == "__main__":
    main()
