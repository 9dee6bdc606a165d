"""The command `figures`: what the simulated bus says of frames and transfers, beside published figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.table import Table

from sim.shell.options import Json, print_json
from sim.shell.terminal import console

if TYPE_CHECKING:
    from sim.bus_figures import BusFigure

app = typer.Typer()


@app.command()
def figures(*, as_json: Json = False) -> None:
    """Compare the simulated bus with published figures. Exit codes: 0 all are as near as they should be, 1 not."""
    from sim.bus_figures import figures as measured  # noqa: PLC0415  (help comes at once)

    rows = measured()
    if as_json:
        print_json({"figures": [_row(row) for row in rows]})
    else:
        table = Table(title="The simulated bus, and published figures", title_justify="left")
        for heading in ("what", "simulated", "published", "comparable", "off", "aim"):
            table.add_column(heading, justify="left" if heading == "what" else "right")
        for row in rows:
            table.add_row(
                row.name,
                f"{row.simulated:,.2f} {row.unit}",
                f"{row.published:,}",
                f"{row.comparable:,.2f}",
                f"{100 * row.off:+.2f} %",
                f"{100 * row.within:.0f} %",
            )
        console().print(table)
    raise typer.Exit(0 if all(row.met for row in rows) else 1)


def _row(row: BusFigure) -> dict[str, object]:
    figures = {"simulated": round(row.simulated, 3), "published": row.published, "comparable": round(row.comparable, 3)}
    return {"name": row.name, "unit": row.unit, **figures, "off": round(row.off, 5), "within": row.within}
