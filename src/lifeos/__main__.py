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
    import gc
    import signal

    # Start-up makes many objects and no garbage: looking for it ten times costs a tenth of a look.
    gc.set_threshold(20_000, 20, 20)

    from lifeos.cli import run

    # A machine that goes down, and CI that has run out of time, ask by SIGTERM: end as by Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
