"""Every figure of the project, beside its peer: `python -m bench [NAME ...] [--json]`.

Names are modules of this package that have `rows()`, listed in MODULES; without names, all run. The rows go into
build/bench.json and a table. A figure whose aim is not met is shown as such and is no error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import board, board_arm64, codec, firmware, idle, isotp, metadata, poll, sizes, socketcan
from bench.figures import BUILD, Row, unmet

MODULES: dict[str, Callable[[], list[Row]]] = {
    "codec": codec.rows,
    "metadata": metadata.rows,
    "sizes": sizes.rows,
    "isotp": isotp.rows,
    "socketcan": socketcan.rows,
    "poll": poll.rows,
    "board": board.rows,
    "board_arm64": board_arm64.rows,
    "idle": idle.rows,
    "firmware": firmware.rows,
}
OUTPUT = BUILD / "bench.json"
WIDTH = 150  # columns, where there is no terminal to ask
COLUMNS = ("what", "unit", "ours", "peer", "", "ratio", "aim", "met")


def main() -> int:
    """Run what was asked for. A module that fails ends the run; what was measured before is written all the same."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Every figure of the project, beside its peer."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(MODULES)} (all)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON instead of a table")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in MODULES]
    if unknown:
        parser.error(f"no such figures: {', '.join(unknown)}; there are {', '.join(MODULES)}")
    rows: list[Row] = []
    try:
        for more in measured(options.names or list(MODULES)):
            rows += more
    finally:
        show(rows, as_json=options.json)
    return 0


def measured(names: Sequence[str]) -> Iterator[list[Row]]:
    """The rows of one module after the other; tells on standard error how far it is."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            progress.update(task, description=f"measuring {name}")
            yield MODULES[name]()
            progress.advance(task)


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    """Write build/bench.json, and print the rows for people or for a program."""
    text = json.dumps(rows, indent=1)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(text + "\n", encoding="utf-8")
    if as_json:
        print(text)
        return
    if not rows:
        return
    missed = unmet(rows)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(table(rows))
    console.print(f"{sum(row['met'] is True for row in rows)} aims met, {len(missed)} not.", *missed, sep="\n  ")


def table(rows: Sequence[Row]) -> Table:
    """The rows for people."""
    result = Table(*COLUMNS, title="Marque's figures", title_justify="left")
    for column in result.columns[2:7]:
        column.justify = "right"
    for row in rows:
        cells = [_shown(row[key]) for key in ("name", "unit", "ours", "peer", "peer_name", "ratio", "aim")]
        result.add_row(*cells, {True: "[green]yes", False: "[red]no", None: ""}[row["met"]])  # type: ignore[index]
    return result


def _shown(value: object) -> str:
    """A cell: nothing for None, thousands apart, no digits that say nothing."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
