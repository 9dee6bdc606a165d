"""One update end to end, before your eyes: `make demo`.

Two repositories, a time service, a Primary and three Secondaries as processes of their own; real signatures, real gRPC,
real CAN frames. Exit codes: 0 every ECU is proven to run what was assigned, 1 not all are, 2 the command line is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from demo.attacks import ATTACKS
from demo.display import bus_table, closing_table, console, refused_table, time_table
from demo.images import chosen
from demo.processes import DemoFailure
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
    parser.add_argument("--fast", action="store_true", help="do not pace the buses as real ones would be")
    return parser.parse_args()


def main() -> int:
    """Run the demo."""
    told = arguments()
    if told.attack == "list":
        for name, attack in ATTACKS.items():
            console.print(f"  [bold]{name:<20}[/] {attack.text}")
        return 0
    if told.attack and told.attack not in ATTACKS:
        console.print(f"[red]There is no attack {told.attack!r}.[/] There are: {', '.join(ATTACKS)}")
        return 2
    try:
        images = chosen(told.images)
    except DemoFailure as failure:
        console.print(f"[red]{failure}[/]")
        return 2
    story = Story(FOLDER, images, paced=not told.fast)
    try:
        report = story.run(ATTACKS.get(told.attack))
    except DemoFailure as failure:
        console.print(f"[red]The demo cannot go on:[/] {failure}\nLogs: {FOLDER / 'logs'}", markup=True)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 1
    finally:
        story.stop()
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
