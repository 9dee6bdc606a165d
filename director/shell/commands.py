"""What operators do with a running Director: vehicles, orders, rules, status, the log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from director.errors import Declined, Reason
from director.shell.options import HERE, FolderOption, Json, Server, connected
from director.shell.reporting import print_json, say

app = typer.Typer()

Vehicles = Annotated[list[str] | None, typer.Option("--vehicle", "-v", help="Vehicle id; repeat it.")]
Whose = Annotated[str | None, typer.Option("--as", help="Whose certificate to act with, if the folder holds several.")]


@app.command()
def enrol(
    files: Annotated[list[Path], typer.Argument(metavar="VEHICLE.toml...", exists=True, dir_okay=False)],
    *,
    folder: FolderOption = HERE,
    server: Server = None,
    whose: Whose = None,
    as_json: Json = False,
) -> None:
    """Enter vehicles and their ECUs into the inventory. The same again changes nothing."""
    from rich.progress import track  # noqa: PLC0415  (help without gRPC comes at once)

    from director.shell.messages import ecu_message  # noqa: PLC0415
    from director.shell.vehicle_file import describe  # noqa: PLC0415

    with connected(folder, server, whose, as_json=as_json) as client:
        described = [describe(file) for file in files]
        shown = track(described, "enrolling", disable=as_json or len(described) < 2)
        added = [
            each.vehicle for each in shown if client.enrol(each.vehicle, list(map(ecu_message, each.ecus)), each.text)
        ]
        known = [each.vehicle for each in described if each.vehicle not in added]
        text = f"enrolled: {', '.join(added) or 'none'}" + (f"; known before: {', '.join(known)}" if known else "")
        say(text, as_json=as_json, enrolled=added, known=known)


@app.command()
def provision(
    vehicle: Annotated[str, typer.Argument(metavar="VEHICLE", help="Its id, or the file it was enrolled from.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder to write to; what is there of an earlier attempt is used.")],
    director_address: Annotated[str, typer.Option(help="HOST:PORT, if the vehicle is to find it elsewhere.")] = "",
    time_address: Annotated[str, typer.Option(help="The same for the time service.")] = "",
    image_address: Annotated[str, typer.Option(help="The same for the Image repository.")] = "",
    exchange: Annotated[list[str] | None, typer.Option(help="ECU that was exchanged: it gets a new key.")] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Revoke earlier certificates; brings a revoked vehicle back.")
    ] = False,
    request: Annotated[
        Path | None, typer.Option(help="Request for a certificate that the Primary made: its key stays on its board.")
    ] = None,
    public_key: Annotated[
        list[str] | None,
        typer.Option(metavar="ECU=KEY", help="Key that an ECU made on its board, with --exchange if it had another."),
    ] = None,
    folder: FolderOption = HERE,
    server: Server = None,
    whose: Whose = None,
    as_json: Json = False,
) -> None:
    """Write the folder each ECU starts from: settings, first metadata, its private key, the vehicle's certificate."""
    from director.shell.provisioning import Wish, provision_into  # noqa: PLC0415  (as in enrol)
    from director.shell.vehicle_directory import Addresses  # noqa: PLC0415
    from uptane.shell.key_text import from_text  # noqa: PLC0415

    try:
        brought = {ecu: from_text(text) for ecu, text in (_pair(each) for each in public_key or ())}
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    addresses = Addresses(director_address, time_address, image_address)
    with connected(folder, server, whose, as_json=as_json) as client:
        wish = Wish(vehicle, tuple(exchange or ()), renew, addresses, request, brought)
        written = provision_into(out, client, wish)
        line = f"{written.vehicle}: {len(written.ecus)} ECUs below {out}; its TLS key: {written.tls_key} (SHA-256)"
        say(line, as_json=as_json, **written.facts(out))


@app.command()
def assign(
    selections: Annotated[
        list[str] | None, typer.Argument(metavar="ECU=IMAGE...", help="Images by filename; ECU= withdraws.")
    ] = None,
    *,
    vehicle: Vehicles = None,
    every: Annotated[bool, typer.Option("--all", help="Every vehicle that has such an ECU.")] = False,
    hardware: Annotated[
        list[str] | None, typer.Option(metavar="HARDWARE=IMAGE", help="For every ECU of this hardware; repeat it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    folder: FolderOption = HERE,
    server: Server = None,
    whose: Whose = None,
    as_json: Json = False,
) -> None:
    """Order images. All of it is one order: what belongs together is installed together, or not at all."""
    chosen = [("ecu", text) for text in selections or ()] + [("hardware", text) for text in hardware or ()]
    if not chosen:
        raise typer.BadParameter("name at least one ECU=IMAGE or --hardware HARDWARE=IMAGE")
    if bool(vehicle) == every:
        raise typer.BadParameter("name vehicles with --vehicle, or all of them with --all: exactly one of the two")
    pairs = [(kind, *_pair(text)) for kind, text in chosen]

    from director.shell.console import show_assigned  # noqa: PLC0415  (as in enrol)
    from uptane.rpc.gen import director_pb2 as pb  # noqa: PLC0415

    request = pb.AssignRequest(vehicles=vehicle or (), all_vehicles=every, dry_run=dry_run)
    request.selections.extend(
        pb.Selection(ecu=name if kind == "ecu" else "", hardware=name if kind == "hardware" else "", image=image)
        for kind, name, image in pairs
    )
    with connected(folder, server, whose, as_json=as_json) as client:
        assigned = client.assign(request)
        if as_json:
            rows = [{"vehicle": a.vehicle, "ecu": a.ecu, "image": a.image, "note": a.note} for a in assigned]
            print_json({"assigned": rows, "dry_run": dry_run})
        else:
            show_assigned(assigned)


@app.command()
def constrain(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="Filename.")],
    kind: Annotated[str, typer.Argument(metavar="requires|conflicts")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Filename of an image for another ECU.")],
    *,
    counter: Annotated[int, typer.Option(help="How low the other's release counter may be.", min=0)] = 0,
    remove: Annotated[bool, typer.Option("--remove", help="Take the rule back.")] = False,
    folder: FolderOption = HERE,
    server: Server = None,
    whose: Whose = None,
    as_json: Json = False,
) -> None:
    """Say that an image needs another one in the vehicle, or must not meet it there."""
    if kind not in ("requires", "conflicts"):
        raise typer.BadParameter(f"{kind!r}: an image requires or conflicts with another")
    from uptane.rpc.gen import director_pb2 as pb  # noqa: PLC0415  (as in enrol)

    request = pb.ConstrainRequest(kind=kind, image=image, other=other, release_counter_min=counter, remove=remove)
    with connected(folder, server, whose, as_json=as_json) as client:
        rules = list(client.constrain(request))
        say("\n".join(rules) or "no rules", as_json=as_json, rules=rules)


@app.command()
def status(
    vehicles: Annotated[list[str] | None, typer.Argument(metavar="VEHICLE...", help="Else all.")] = None,
    *,
    folder: FolderOption = HERE,
    server: Server = None,
    whose: Whose = None,
    as_json: Json = False,
) -> None:
    """Per ECU: what it should run, what it says it runs, and whether that is proven."""
    from director.shell.console import show_director, show_status, status_facts  # noqa: PLC0415  (as in enrol)

    with connected(folder, server, whose, as_json=as_json) as client:
        described = client.describe()
        told = client.status(vehicles or ()) if described.vehicles else []
        if as_json:
            director = {
                "vehicles_total": described.vehicles,
                "root_version": described.root_version,
                "root_expires": described.root_expires,
                "image_trouble": described.image_trouble or None,
            }
            print_json(director | {"vehicles": [status_facts(each) for each in told]})
        else:
            show_director(described)
            show_status(told)


@app.command()
def revoke(
    vehicle: Annotated[str | None, typer.Argument(metavar="VEHICLE")] = None,
    *,
    operator: Annotated[str | None, typer.Option(help="An operator instead of a vehicle.")] = None,
    folder: FolderOption = HERE,
    server: Server = None,
    whose: Whose = None,
    as_json: Json = False,
) -> None:
    """Refuse every certificate that was issued to a vehicle, or to an operator, so far."""
    if (vehicle is None) == (operator is None):
        raise typer.BadParameter("name a vehicle, or an operator with --operator: exactly one of the two")
    from uptane.rpc.gen import director_pb2 as pb  # noqa: PLC0415  (as in enrol)

    with connected(folder, server, whose, as_json=as_json) as client:
        changed = client.revoke(pb.RevokeRequest(vehicle=vehicle or "", operator=operator or ""))
        text = f"{vehicle or operator}: {'revoked' if changed else 'was revoked before'}"
        say(text, as_json=as_json, revoked=vehicle or operator, changed=changed)


@app.command()
def audit(
    *,
    after: Annotated[int, typer.Option(help="Only entries behind this number.", min=0)] = 0,
    folder: FolderOption = HERE,
    server: Server = None,
    whose: Whose = None,
    as_json: Json = False,
) -> None:
    """The log of everything that was done, admitted and refused. Nothing in it can be changed unseen."""
    from director.shell.audit_check import check_chain  # noqa: PLC0415  (as in enrol)
    from director.shell.console import audit_facts, show_audit  # noqa: PLC0415

    with connected(folder, server, whose, as_json=as_json) as client:
        entries = list(client.audit(after))
        broken = check_chain(entries) if after == 0 else None
        if as_json:
            print_json({"entries": [audit_facts(entry) for entry in entries], "broken_at": broken})
        else:
            show_audit(entries)
        if broken is not None:
            raise Declined(Reason.REFUSED, f"entry {broken} does not follow from the one before: the log was altered")


def _pair(text: str) -> tuple[str, str]:
    name, equals, image = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=IMAGE")
    return name, image
