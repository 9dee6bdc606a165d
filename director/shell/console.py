"""What operators see: tables for people, facts for JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from uptane.errors import BY_CODE
from uptane.rpc.gen import director_pb2 as pb

# ------------------------------------------------------------------------------------------------------- status


def image_facts(image: pb.InstalledImage) -> dict[str, Any]:
    """An image for JSON."""
    return {
        "filename": image.filename,
        "length": image.length,
        "sha256": image.sha256.hex(),
        "release_counter": image.release_counter,
    }


def status_facts(status: pb.VehicleStatus) -> dict[str, Any]:
    """A vehicle's status for JSON."""
    return {
        "vehicle": status.vehicle,
        "revoked": status.revoked,
        "polled": status.polled or None,
        "targets_version": status.targets_version,
        "bundle": status.bundle.hex(),
        "manifests": status.manifests,
        "refused": [{"check": each.check, "detail": each.detail} for each in status.refused],
        "notes": list(status.notes),
        "ecus": [_ecu_facts(ecu) for ecu in status.ecus],
    }


def _ecu_facts(ecu: pb.EcuStatus) -> dict[str, Any]:
    images = {
        name: image_facts(getattr(ecu, name)) if ecu.HasField(name) else None
        for name in ("wanted", "assigned", "reported", "before")
    }
    return {
        "ecu": ecu.ecu,
        "hardware": ecu.hardware,
        "primary": ecu.primary,
        "verification": ecu.verification,
        **images,
        "state": ecu.state or None,
        "outcome": ecu.outcome or None,
        "proven": ecu.proven,
        "report_counter": ecu.report_counter,
        "reported_time": ecu.reported_time or None,
        "silent_since": ecu.silent_since or None,
        "held_back": ecu.held_back or None,
        "refused": [{"check": each.check, "detail": each.detail} for each in ecu.refused],
    }


ROOT_WARNING_S = 60 * 86_400  # two months: a ceremony with several holders of keys needs weeks


def show_director(described: pb.DescribeReply) -> None:
    """What the Director is, in one line, and what troubles it in another."""
    heard = f"heard {_when(described.image_heard)}" if described.image_heard else "not heard yet"
    console = Console()
    console.print(
        f"Director at {described.director_address}: {described.vehicles} vehicles; Image repository at "
        f"{described.image_address}, Snapshot {described.image_snapshot}, {heard}",
        markup=False,
    )
    left_s = described.root_expires - described.time
    if left_s < ROOT_WARNING_S:
        text = f"Root {described.root_version} expires {_when(described.root_expires)}: rotate a key, which renews it"
        console.print(text, style="bold red", markup=False)
    if described.image_trouble:
        console.print(f"Image repository: {described.image_trouble}", style="yellow", markup=False)


def show_status(vehicles: Sequence[pb.VehicleStatus]) -> None:
    """A table per vehicle."""
    console = Console()
    for vehicle in vehicles:
        polled = f"polled {_when(vehicle.polled)}" if vehicle.polled else "never polled"
        title = (
            f"{vehicle.vehicle}{' (REVOKED)' if vehicle.revoked else ''}, {polled}, Targets {vehicle.targets_version}"
        )
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in ("ECU", "hardware", "verifies", "should run", "says it runs", "state", "proven", "remarks"):
            table.add_column(column, overflow="fold")
        for ecu in vehicle.ecus:
            table.add_row(*_row(ecu))
        console.print(table)
        for each in vehicle.refused:
            console.print(f"  refused: {_check(each.check)}: {each.detail}", markup=False)
        for note in vehicle.notes:
            console.print(f"  note: {note}", markup=False)


def _row(ecu: pb.EcuStatus) -> list[str]:
    remarks = [f"ordered {ecu.wanted.filename}: {ecu.held_back}"] if ecu.held_back and ecu.HasField("wanted") else []
    if ecu.held_back and not remarks:
        remarks.append(ecu.held_back)
    if ecu.silent_since:
        remarks.append(f"silent since {_when(ecu.silent_since)}")
    remarks += [f"refused {_check(each.check)} {each.detail}" for each in ecu.refused]
    return [
        f"{ecu.ecu} (Primary)" if ecu.primary else ecu.ecu,
        ecu.hardware,
        ecu.verification,
        ecu.assigned.filename if ecu.HasField("assigned") else "-",
        ecu.reported.filename if ecu.HasField("reported") else "no report yet",
        f"{ecu.state}{f' ({ecu.outcome})' if ecu.outcome not in ('', 'none') else ''}" or "-",
        "[green]yes[/green]" if ecu.proven else "[yellow]no[/yellow]",
        escape("\n".join(remarks)),
    ]


# ------------------------------------------------------------------------------------------------------- others


def show_assigned(assigned: Sequence[pb.Assigned]) -> None:
    """What became of an order."""
    table = Table()
    for column in ("vehicle", "ECU", "image", "what happens"):
        table.add_column(column, overflow="fold")
    for each in assigned:
        table.add_row(each.vehicle, each.ecu, each.image or "(withdrawn)", escape(each.note))
    Console().print(table)


def show_audit(entries: Sequence[pb.AuditEntry]) -> None:
    """The log."""
    table = Table()
    for column in ("no.", "when", "who", "did", "to what", "how"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        cells = (str(entry.number), _when(entry.time), entry.actor, entry.act, entry.subject, entry.detail)
        table.add_row(*map(escape, cells))
    Console().print(table)


def audit_facts(entry: pb.AuditEntry) -> dict[str, Any]:
    """An entry of the log for JSON."""
    return {
        "number": entry.number,
        "time": entry.time,
        "actor": entry.actor,
        "act": entry.act,
        "subject": entry.subject,
        "detail": entry.detail,
        "digest": entry.digest.hex(),
    }


def _check(code: int) -> str:
    check = BY_CODE.get(code)
    return f"0x{code:04X}" if check is None else f"{check.name} ({check.attack.value})"


def _when(utc: int) -> str:
    try:
        return dt.datetime.fromtimestamp(utc, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{utc} s"
