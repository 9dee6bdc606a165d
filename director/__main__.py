"""Entry point of director: parse, wire, run."""

import sys


def main() -> None:
    """Say that there is nothing to run yet."""
    sys.exit("director: not wired yet")


if __name__ == "__main__":
    main()
