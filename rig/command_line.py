"""The command line of marque-rig. A mistake is one line and an exit status.

0 all is well; 1 a case failed; 66 no case matches; 69 something is not reached; 74 storage; 78 rig file; 130 stopped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from rig import backend, probe, running
from rig.provision import provision as provision_ecu
from rig.session import Rig, utc
from rig.settings import RigSettings, load
from rig.trace import Kind
from uptane.errors import LinkFailure, MarqueError, StorageFailure
from uptane.model.signed import Scheme
from uptane.shell.settings import SettingsError

EX_UNAVAILABLE: Final = 69
EX_IOERR: Final = 74
EX_CONFIG: Final = 78
_STATUS: Final = ((SettingsError, EX_CONFIG), (StorageFailure, EX_IOERR), (LinkFailure, EX_UNAVAILABLE))
_LOOKS: Final = {probe.Verdict.GOOD: "green", probe.Verdict.NOTE: "yellow", probe.Verdict.BAD: "bold red"}
WIDTH: Final = 130  # columns, where there is no terminal to ask

app = typer.Typer(
    name="marque-rig",
    help="ECUs on a bench: probe them, put them through the acceptance suite, and read the report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
RigFile = Annotated[Path, typer.Argument(metavar="RIG.toml", help="the rig file; docs/rig.md", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="for programs: JSON on standard output, nothing else")]
OnlyEcus = Annotated[list[str] | None, typer.Option("--ecu", help="only this ECU; repeatable", show_default=False)]


@app.command()
def keys(
    file: RigFile, root: Annotated[Scheme, typer.Option(help="the scheme of the Root keys")] = Scheme.ED25519
) -> None:
    """Make the bench's own keys and Roots, those that are missing; existing ones are left as they are."""
    with explained():
        settings = load(file)
        made = backend.create(settings.backend, settings.vehicle, utc, root)
        typer.echo(f"{settings.backend}: {len(made.signers)} keys, Root {made.latest_root()}; for benches only")


@app.command()
def provision(
    file: RigFile,
    out: Annotated[Path, typer.Option(help="where the ECUs' folders go", show_default=False)],
    ecu: OnlyEcus = None,
) -> None:
    """Write what each ECU starts from: metadata, time, factory image, its key. Its public key stays with the bench."""
    with explained():
        settings = load(file)
        held = backend.load(settings.backend, settings.vehicle, utc)
        for each in _chosen(settings, ecu):
            each_settings = next(known for known in settings.ecus if known.ecu == each)
            typer.echo(provision_ecu(settings, each_settings, held, out))


@app.command()
def check(
    file: RigFile,
    ecu: OnlyEcus = None,
    *,
    power: Annotated[bool, typer.Option(help="also try the power switches")] = True,
    as_json: AsJson = False,
) -> None:
    """Probe every ECU: channel, answer, identity, state, report, trust, interlock, latency, console, power."""
    findings: list[probe.Finding] = []
    with explained():
        settings = load(file)
        rig = Rig(settings)
        try:
            for each in settings.ecus:
                if each.ecu in _chosen(settings, ecu):
                    for finding in probe.probe(rig, each, power=power):
                        findings.append(finding)
                        if not as_json:
                            _progress(f"{finding.ecu}: {finding.step}")
        finally:
            rig.close()
    if as_json:
        facts = [
            {"ecu": each.ecu, "step": each.step, "verdict": each.verdict.value, "text": each.text} for each in findings
        ]
        typer.echo(json.dumps(facts, indent=1))
    else:
        _progress("")
        _console().print(_table(findings))
    raise typer.Exit(EX_UNAVAILABLE if any(each.verdict is probe.Verdict.BAD for each in findings) else 0)


@app.command()
def run(
    file: RigFile,
    suite: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SUITE]...",
            help=f"{', '.join(running.SUITES)}, or files of your own; default: all of ours",
            show_default=False,
        ),
    ] = None,
    ecu: OnlyEcus = None,
    *,
    out: Annotated[Path | None, typer.Option(help="where the report goes; default: the rig file's")] = None,
    seed: Annotated[int | None, typer.Option(help="of all dice; default: the rig file's")] = None,
    trace: Annotated[list[Kind] | None, typer.Option(help="frames as files; repeatable; default: candump")] = None,
    only: Annotated[str, typer.Option("-k", help="only cases whose names match, as pytest's -k")] = "",
    as_json: AsJson = False,
) -> None:
    """Run cases against every ECU; write report.html, report.json, junit.xml, traces and console texts."""
    with explained():
        settings = load(file)
        wish = running.Wish(
            file=file,
            suites=tuple(suite or ()),
            ecus=tuple(_chosen(settings, ecu)),
            out=settings.out if out is None else out,
            seed=settings.seed if seed is None else seed,
            traces=tuple(trace or (Kind.CANDUMP,)),
            only=only,
            quiet=as_json,
        )
        running.paths(wish.suites)
        running.reach(Rig(settings), wish.ecus)
        status = running.run(wish, _console())
        if as_json and (wish.out / "report.json").exists():
            typer.echo((wish.out / "report.json").read_text(encoding="utf-8"), nl=False)
        raise typer.Exit(status)


# ---------------------------------------------------------------------------------------------------------- parts


@contextmanager
def explained() -> Iterator[None]:
    """Turn what is known to go wrong into one line and an exit status."""
    try:
        yield
    except MarqueError as error:
        typer.echo(f"marque-rig: {error}", err=True)
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), EX_CONFIG)
        raise typer.Exit(status) from error
    except OSError as error:
        typer.echo(f"marque-rig: {error}", err=True)
        raise typer.Exit(EX_IOERR) from error


def _chosen(settings: RigSettings, names: list[str] | None) -> list[str]:
    known = [str(ecu.ecu) for ecu in settings.ecus]
    for name in names or ():
        if name not in known:
            raise SettingsError(f"{settings.file}: no ECU {name}; there are {', '.join(known)}")
    return [name for name in known if not names or name in names]


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def _progress(text: str) -> None:
    """What is being done, on one line of a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _table(findings: list[probe.Finding]) -> Table:
    table = Table(show_edge=False, box=None, pad_edge=False)
    for title in ("ECU", "step", "", "found"):
        table.add_column(title)
    for finding in findings:
        look = _LOOKS[finding.verdict]
        table.add_row(finding.ecu, finding.step, f"[{look}]{finding.verdict.value}[/]", finding.text)
    return table
