"""Entry point of the time service: parse, wire, run."""

import sys


def main() -> None:
    """Say that there is nothing to run yet."""
    if not __debug__:
        sys.exit("assertions are part of the design: do not run with -O")
    sys.exit("marque-time: not wired yet")


if __name__ == "__main__":
    main()
