"""Entry point of a Secondary: parse, wire, run.

marque-secondary run --config FILE                be this ECU, until SIGTERM
marque-secondary status --config FILE [--json]    what is durable of it
marque-secondary enrol [--config FILE] [--from FOLDER]   make its key; put in place what was provisioned
marque-secondary doctor [--config FILE] [--json]  what is wrong, and what to do
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Refuse to run without assertions, then do what was asked."""
    if not __debug__:
        sys.exit("assertions are part of the design: do not run with -O")
    match sys.argv[1:]:
        case ["run", "--config", file]:
            # The one command that stays: typer would take 8 to 16 MB of a board's memory for as long as it runs.
            from secondary.shell.process import run_ecu  # noqa: PLC0415

            sys.exit(run_ecu(Path(file)))
        case _:
            from secondary.shell.command_line import app  # noqa: PLC0415

            app(prog_name="marque-secondary")


if __name__ == "__main__":
    main()
