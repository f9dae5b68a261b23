"""``modelwright`` and ``python -m modelwright``: the command line."""

from __future__ import annotations

import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C while it is still being loaded ends it without a stack trace."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # else whoever started us does not want to hear it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from modelwright.cli import main as run

    signal.signal(signal.SIGINT, handler)
    run()


if __name__ == "__main__":
    main()
