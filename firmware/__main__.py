"""The emulated board: look at builds, make a board's memory, run it, switch its power.

Exit codes: 0 all is well, 1 it is not, 2 the command line cannot be used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from firmware.tools import builds, flash_file
from firmware.tools.board import Board
from firmware.tools.bridge import FarEnd, OnBus, OnTerminal
from firmware.tools.runner import Runner, switch_power
from secondary.shell.config import load
from uptane.errors import MarqueError
from uptane.shell.can_port import open_can_port

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="The C firmware on an emulated board. `make firmware` builds what is needed; begin with `make` and `run`.",
)
Folder = Annotated[Path, typer.Argument(help="the board's folder: facts, flash, interlock", show_default=False)]
Stub = Annotated[Path, typer.Option("--stub", help="the boot stub, an ELF")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="config.toml of the ECU that this board is, as for marque-secondary", show_default=False
    ),
]


@app.command()
def info(
    images: Annotated[
        list[Path] | None, typer.Argument(help="other images than those that `make firmware` builds")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="for programs: one JSON object")] = False,
) -> None:
    """Tell version, length and SHA-256 of builds; of none, see that a board can be run."""
    with _explained():
        if not images:
            builds.require()
        told = [(path, builds.built(path)) for path in images or builds.RELEASES]
    if as_json:
        rows = [
            {"file": str(path), "version": image.version, "length": len(image.octets), "sha256": image.sha256}
            for path, image in told
        ]
        print(json.dumps({"slot_size": flash_file.layout()["SLOT_SIZE"], "images": rows}))
        return
    for path, image in told:
        print(f"{image.version:23} {len(image.octets):6} octets  {image.sha256}  {path}")


@app.command("make")
def make_board(
    board: Folder, config: Annotated[Path, typer.Option("--config", help="config.toml of the ECU", show_default=False)]
) -> None:
    """Make a board's memory as it leaves the factory; what an older one held is gone."""
    with _explained():
        image = flash_file.make(board, load(config))
        print(f"{board}: {image.version} in slot 0, {len(image.octets)} octets")


@app.command()
def run(board: Folder, *, config: Config = None, stub: Stub = builds.STUB) -> None:
    """Run it until SIGTERM: with --config on that ECU's bus (a new board is made if there is none), else on terminals.

    Terminals are BOARD/can, which speaks slcan, and BOARD/console. `power` switches its power.
    """
    with _explained():
        if config is not None:
            settings = load(config)
            if not (board / flash_file.FACTS_FILE).exists():
                flash_file.make(board, settings)
            flash_file.link_interlock(board, settings.interlock)  # the folder may have been moved
            far: FarEnd = OnBus(lambda: open_can_port(settings.can, settings.address))
            place = f"{settings.can.interface} {settings.can.channel}, address 0x{settings.address:02X}"
            who, console = str(settings.ecu), None
        elif not board.is_dir():
            raise flash_file.BoardError(f"{board}: no such folder; `python -m firmware make {board}` makes a board")
        else:
            far, console = OnTerminal(board / "can"), OnTerminal(board / "console")
            who, place = str(board), f"{board / 'can'} ({far.device}), console {board / 'console'} ({console.device})"
        runner = Runner(board, Board(board, stub), far, say=_say, ready=lambda: _say(f"{who} is ready on {place}"))
        if console is not None:
            runner.offer_console(console)
        runner.run()


@app.command()
def power(board: Folder, state: Annotated[str, typer.Argument(help="on, off or cycle", show_default=False)]) -> None:
    """Switch the power of a board that runs."""
    if state not in {"on", "off", "cycle"}:
        raise typer.BadParameter(f"{state!r}: expected on, off or cycle", param_hint="STATE")
    with _explained():
        if state != "on":
            switch_power(board, on=False)
        if state != "off":
            switch_power(board, on=True)


def _say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def _explained() -> Iterator[None]:
    """What is known to go wrong becomes one line for people."""
    try:
        yield
    except MarqueError as error:
        print(f"firmware: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def main() -> None:
    """Run the command line."""
    if not __debug__:
        sys.exit("asserts are part of the design: do not run with -O")
    app(prog_name="python -m firmware")


if __name__ == "__main__":
    main()
