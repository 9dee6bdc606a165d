"""Entry point of primary: parse, wire, run."""

import sys


def main() -> None:
    """Say that there is nothing to run yet."""
    sys.exit("primary: not wired yet")


if __name__ == "__main__":
    main()
