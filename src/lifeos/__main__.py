"""The entry point. A tick with nothing to do ends here, before anything heavy is imported."""

import sys


def main() -> int:
    """Run the command line; the exit code."""
    if sys.argv[1:] == ["tick"]:
        from lifeos.idle import idle_line

        line = idle_line()
        if line:
            print(line)  # noqa: T201  (the fast way out has no output layer)
            return 0
    from lifeos.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
