"""Entry point of a Primary: parse, wire, run.

marque-primary run --config FILE [--progress FILE]             be this Primary, until SIGTERM
marque-primary once --config FILE [--progress FILE] [--json]   one update, if there is one
marque-primary status --config FILE [--json]                   what is durable of it
marque-primary enrol [--config FILE] [--from FOLDER]            make its keys; put in place what was provisioned
marque-primary doctor [--config FILE] [--json]                 what is wrong, and what to do
marque-primary clock [--config FILE]                           raise a clock that lost its time
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
            _reside(file, None)
        case ["run", "--config", file, "--progress", progress]:
            _reside(file, progress)
        case ["clock", "--config", file]:  # a board waits for it at each start, and typer takes as long as all the rest
            from primary.shell.seen import clock_raised  # noqa: PLC0415

            sys.exit(clock_raised(Path(file)))
        case _:
            from primary.shell.command_line import app  # noqa: PLC0415

            app(prog_name="marque-primary")


def _reside(file: str, progress: str | None) -> None:
    """The one command that stays: typer would take 8 to 16 MB of a board's memory for as long as it runs."""
    from primary.shell import memory  # noqa: PLC0415

    memory.load_less()
    memory.share_arenas()
    from primary.shell.process import run_resident  # noqa: PLC0415

    sys.exit(run_resident(Path(file), None if progress is None else Path(progress)))


if __name__ == "__main__":
    main()
