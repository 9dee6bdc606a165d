"""Entry point of image_repo: parse, wire, run."""

import sys


def main() -> None:
    """Say that there is nothing to run yet."""
    sys.exit("image_repo: not wired yet")


if __name__ == "__main__":
    main()
