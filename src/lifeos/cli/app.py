"""Building the command line: only the command that is asked for is imported."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from lifeos import __version__
from lifeos.cli import COMMANDS
from lifeos.cli.frame import Frame
from lifeos.errors import Exit, UsageError


def _version(value: bool) -> None:
    if value:
        typer.echo(f"lifeos {__version__}")
        raise typer.Exit


def _global(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Option("-C", help="Run as if started in this directory.", metavar="DIR")
    ] = Path(),
    version: Annotated[  # noqa: ARG001  (acts in its callback)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Turn a repository into an exception-based autonomous build system."""
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory")
    context.obj = Frame(start=directory)


def build(arguments: list[str]) -> int:
    """Parse and run; the exit code."""
    from typer.main import get_command

    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_global)
    for name in _wanted(arguments):
        module = import_module(f"lifeos.cli.{name}_command")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, help=COMMANDS[name])
        else:
            app.command(name=name, help=COMMANDS[name])(module.command)
    command = get_command(app)
    try:
        result = command.main(args=arguments, prog_name="lifeos", standalone_mode=False)
    except Exception as error:
        code = _click_error(error)
        if code is None:
            raise
        return code
    if result == Exit.INTERRUPTED:
        raise KeyboardInterrupt  # what typer made of it; the boundary says what is so
    return int(result) if isinstance(result, int) else int(Exit.OK)


def _click_error(error: Exception) -> int | None:
    """The exit code of click's own errors (wrong arguments), shown its way; else None."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if type(error).__name__ == "Abort":
        raise KeyboardInterrupt from error
    if code is None or isinstance(getattr(error, "fix", None), str):
        return None
    if show is not None:
        said = getattr(error, "message", None)
        if isinstance(said, str):  # pydantic's own words for "this is not one of them"
            error.message = said.removeprefix("Value error, ")  # type: ignore[attr-defined]  # click's
        show()
    return int(code)


def _wanted(arguments: list[str]) -> list[str]:
    """The command asked for, or all of them for help, completion and mistakes."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "-C":
            next(rest, None)
        elif argument in COMMANDS:
            return [argument]
        elif not argument.startswith("-"):
            break
    return list(COMMANDS)
