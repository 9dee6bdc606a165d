"""Entry point of secondary: parse, wire, run."""

import sys


def main() -> None:
    """Say that there is nothing to run yet."""
    sys.exit("secondary: not wired yet")


if __name__ == "__main__":
    main()
