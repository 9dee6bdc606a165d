"""Entry point of the time service: parse, wire, run."""

import sys


def main() -> None:
    """Say that there is nothing to run yet."""
    sys.exit("marque-time: not wired yet")


if __name__ == "__main__":
    main()
