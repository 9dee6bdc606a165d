"""One update end to end, before your eyes: `make demo`.

Two repositories, a time service, a Primary and three Secondaries as processes of their own; real signatures, real gRPC,
real CAN frames. Exit codes: 0 every ECU is proven to run what was assigned, 1 not all are, 2 the command line is wrong.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from rich.markup import escape

from demo.attacks import ATTACKS, Attack
from demo.board import emulated
from demo.display import bus_table, closing_table, console, refused_table, time_table
from demo.images import chosen
from demo.processes import ENDING, DemoFailure
from demo.story import Story

FOLDER = Path("build") / "demo"


def arguments() -> argparse.Namespace:
    """The command line."""
    names = "\n".join(f"  {name:<20} {attack.text}" for name, attack in ATTACKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description=__doc__,
        epilog=f"attacks:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", default="", help='install your own: "brake=FILE body=FILE"')
    parser.add_argument("--attack", default="", help="replay an attack before the update; `list` lists them")
    parser.add_argument(
        "--brake",
        choices=("linux", "qemu"),
        default="linux",
        help="what the brake controller is: a process, or the C firmware on an emulated board",
    )
    parser.add_argument("--fast", action="store_true", help="do not pace the buses as real ones would be")
    return parser.parse_args()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Whoever ends the demo, its processes have to end first."""
    del frame
    raise KeyboardInterrupt(signal.Signals(number).name)


def _played(story: Story, attack: Attack | None) -> dict[str, Any] | None:
    """Play it, and leave nothing running; the report, or None when it did not come to its end."""
    for number in ENDING:
        signal.signal(number, _interrupt)
    try:
        return story.run(attack)
    except DemoFailure as failure:
        console.print(f"[red]The demo cannot go on:[/] {escape(str(failure))}\nLogs: {FOLDER / 'logs'}")
    except KeyboardInterrupt:
        console.print("stopped")
    finally:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)  # nobody interrupts this: it takes a few seconds
        story.stop()
    return None


def main() -> int:
    """Run the demo."""
    told = arguments()
    if told.attack == "list":
        for name, attack in ATTACKS.items():
            refused = f"{attack.by.name} refuses by {attack.check.name}"
            console.print(f"  [bold]{name:<18}[/] {attack.text:<38} {refused}")
        return 0
    if told.attack and told.attack not in ATTACKS:
        console.print(f"[red]There is no attack {escape(repr(told.attack))}.[/] There are: {', '.join(ATTACKS)}")
        return 2
    try:
        images = chosen(told.images)
        board = emulated() if told.brake == "qemu" else None
    except DemoFailure as failure:
        console.print(f"[red]{escape(str(failure))}[/]")
        return 2
    report = _played(Story(FOLDER, images, paced=not told.fast, board=board), ATTACKS.get(told.attack))
    if report is None:
        return 1
    (FOLDER / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    for table in (closing_table(report), bus_table(report), time_table(report)):
        console.print(table)
    if report["refused"]:
        console.print(refused_table(report["refused"]))
    proven = all(ecu["proven"] for ecu in report["ecus"])
    console.print(f"{'[green]Proven' if proven else '[red]Not proven'}[/]; the same facts: {FOLDER / 'report.json'}")
    return 0 if proven else 1


if __name__ == "__main__":
    sys.exit(main())
