"""The command `fleet`: thousands of vehicles and one Director in virtual time, and what that costs in real time."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer
from rich.console import Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sim.axis import spoken
from sim.shell.options import BROKEN, Json, SeedOption, judging, print_json
from sim.shell.terminal import console

if TYPE_CHECKING:
    from sim.fleet_load import Load
    from sim.fleet_outcome import Figure, Outcome
    from sim.fleet_settings import Settings

app = typer.Typer()

LOG_S: Final = 60.0  # between two lines where there is no terminal
_KB: Final = 1_024


@app.command()
def fleet(
    *,
    vehicles: Annotated[int, typer.Option(help="How many vehicles.", min=1)] = 10_000,
    full: Annotated[float, typer.Option(help="Run the whole Primary core in PERCENT of them.", min=0, max=100)] = 1.0,
    seed: SeedOption = 1,
    bad: Annotated[float, typer.Option(help="The new image does not work on PERCENT of them.", min=0, max=100)] = 0.0,
    outage: Annotated[int, typer.Option(metavar="MINUTES", help="All servers are down for so long.", min=0)] = 10,
    asleep: Annotated[float, typer.Option(help="PERCENT of them sleep through the campaign.", min=0, max=100)] = 5.0,
    days: Annotated[int, typer.Option(help="For so many days.", min=0)] = 3,
    revoked: Annotated[float, typer.Option(help="PERCENT of them lose their access.", min=0, max=100)] = 0.1,
    poll: Annotated[int, typer.Option(metavar="SECONDS", help="How often an idle vehicle polls.", min=30)] = 300,
    canary: Annotated[int, typer.Option(help="Vehicles in the first wave of the campaign.", min=1)] = 200,
    growth: Annotated[int, typer.Option(help="Each wave is so many times the one before.", min=1)] = 3,
    jitter: Annotated[bool, typer.Option(help="Polls and retries are spread; without, see a herd.")] = True,
    capacity: Annotated[int, typer.Option(help="Polls a second the Director takes; 0: any number.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Simulate a fleet: a campaign in waves, an outage, sleepers. Exit codes: 1 a rule was broken or an aim missed."""
    from sim.campaign import Policy  # noqa: PLC0415  (the cores are loaded when they are needed: help comes at once)
    from sim.fleet_servers import Terms  # noqa: PLC0415
    from sim.fleet_settings import Settings  # noqa: PLC0415

    settings = Settings(
        vehicles=vehicles,
        seed=seed,
        full=full,
        bad=bad,
        asleep=asleep,
        revoked=revoked,
        asleep_days=days,
        outage_min=outage,
        poll_s=poll,
        terms=Terms(jitter, capacity),
        policy=Policy(canary=canary, growth=growth),
    )
    with judging(as_json=as_json):
        outcome, measured = _run(settings)
    if as_json:
        print_json({"ok": outcome.good, **outcome.document(), "digest": outcome.digest, "measured": measured})
    else:
        console().print(_shown(outcome, measured))
    if not outcome.good:
        raise typer.Exit(BROKEN)


def _run(settings: Settings) -> tuple[Outcome, dict[str, Any]]:
    """Run it; the outcome, and what it took here."""
    from sim.fleet import Fleet  # noqa: PLC0415  (see above)
    from sim.fleet_load import Load  # noqa: PLC0415

    settings.check()
    load = Load(time.process_time_ns)
    began, before_kb = time.process_time(), _resident_kb()
    with _Told() as told:
        fleet = Fleet(settings, load, told.progress)
        made_kb = _resident_kb()
        outcome = fleet.run()
    return outcome, {
        "cpu_s": round(time.process_time() - began, 1),
        "octets_per_vehicle_at_first": (made_kb - before_kb) * _KB // settings.vehicles,
        "octets_per_vehicle_at_last": (_resident_kb() - before_kb) * _KB // settings.vehicles,
        "work": _work(load),
    }


def _resident_kb() -> int:
    """The most memory this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _work(load: Load) -> dict[str, dict[str, float]]:
    return {
        work.value: {"count": spent.count, "cpu_us_each": round(spent.mean_us, 1)}
        for work, spent in load.spent.items()
        if spent.count
    }


class _Told:
    """Tells on standard error how far it is: a bar on a terminal, now and then a line in a log."""

    def __init__(self) -> None:
        self._out = console(to_stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.percentage:>3.0f} %"))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=self._out, disable=not self._out.is_terminal)
        self._task = self._bar.add_task("", total=1)
        self._scene = ""
        self._logged = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progress(self, scene: str, done: int, total: int) -> None:
        """A scene is so far."""
        self._bar.update(self._task, description=scene, completed=done, total=max(total, 1))
        now = time.monotonic()
        if not self._out.is_terminal and (scene != self._scene or now - self._logged >= LOG_S):
            self._logged = now
            self._out.print(f"{scene}: {100 * done // max(total, 1)} %")
        self._scene = scene


# ------------------------------------------------------------------------------------------------------------ shown


def _shown(outcome: Outcome, measured: dict[str, Any]) -> RenderableType:
    """For people."""
    parts: list[RenderableType] = [_waves(outcome), _figures(outcome.figures), _costs(outcome, measured)]
    parts += [f"[bold red]{sentence}[/]" for sentence in outcome.violations[:20]]
    parts.append(f"outcome {outcome.digest[:16]}, in {measured['cpu_s']} s of processor time")
    return Group(*parts)


def _waves(outcome: Outcome) -> Table:
    told = outcome.campaign
    ended = "" if told["seconds"] is None else f" after {spoken(told['seconds'] * 10**9)}"
    table = Table(title=f"The campaign is {told['phase']}{ended}", title_justify="left")
    for name in ("wave", "vehicles", "proven", "failed", "ordered after", "quorum after"):
        table.add_column(name, justify="right")
    for number, wave in enumerate(told["waves"], 1):
        quorum = "-" if wave["quorum_s"] is None else f"{wave['quorum_s']} s"
        cells = (number, wave["size"], wave["confirmed"], wave["failed"], f"{wave['ordered_s']} s", quorum)
        table.add_row(*map(str, cells))
    return table


def _figures(figures: Iterable[Figure]) -> Table:
    table = Table(title="Figures", title_justify="left")
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("aim")
    for figure in figures:
        aim = "" if figure.aim is None else f"at most {figure.aim:g}: {'met' if figure.met else '[bold red]missed[/]'}"
        table.add_row(figure.name, f"{figure.value:,}", figure.unit, aim)
    return table


def _costs(outcome: Outcome, measured: dict[str, Any]) -> Table:
    """What answering took the Director: core, signatures and records in memory; no network, no database."""
    table = Table(title="The Director's work", title_justify="left")
    table.add_column("what")
    table.add_column("times", justify="right")
    table.add_column("processor time each", justify="right")
    for name, spent in measured["work"].items():
        table.add_row(name, f"{spent['count']:,}", f"{spent['cpu_us_each']:,.0f} us")
    for name, count in outcome.load.items():
        table.add_row(name.replace("_", " "), f"{count:,}", "")
    table.add_row("memory for each vehicle and its record", f"{measured['octets_per_vehicle_at_last']:,} octets", "")
    return table
