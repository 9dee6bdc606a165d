"""Entry point of the rig: marque-rig keys, provision, check, run."""

from __future__ import annotations

import sys


def main() -> None:
    """Refuse to run without assertions, then do what was asked."""
    if not __debug__:
        sys.exit("assertions are part of the design: do not run with -O")
    from rig.command_line import app  # noqa: PLC0415 (nothing is imported when it refuses)

    app()


if __name__ == "__main__":
    main()
