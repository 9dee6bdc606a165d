"""marque-sim: the shipping cores in a simulated world, driven by a seed.

Exit codes: 0 every rule held, 1 one was broken (or two traces differ), 2 the command line, or a file it names, cannot
be used.
"""

from __future__ import annotations

import sys

import typer

from sim.shell import attacks_command, figuring, fleet_command, reading, running, shrinking, soaking
from sim.shell.shipping import Shipping

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="The whole system in one process, from one seed, with every fault. Begin with `run --seed 1`.",
)
for commands in (running, soaking, shrinking, reading, fleet_command, figuring, attacks_command):
    app.add_typer(commands.app)


def main() -> None:
    """Run the command line."""
    if not __debug__:
        sys.exit("asserts are part of the design: do not run with -O")
    app(prog_name="marque-sim", obj=Shipping())


if __name__ == "__main__":
    main()
