"""What operators see: tables and progress on a terminal, or one JSON document on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from image_repo.shell.client import Refused
from image_repo.shell.outside import now
from image_repo.shell.publishing import Done, Wish
from uptane.errors import Check, MarqueError, Rejected
from uptane.rpc.gen import image_repo_pb2 as pb

EXIT_REFUSED = 1
SOON_S = 30 * 86_400  # a file of people's keys that expires sooner is shown in red: a ceremony takes days
ONLINE = frozenset({"timestamp", "snapshot"})

_OUT = Console(highlight=False)
_ERR = Console(stderr=True, highlight=False)


@contextmanager
def reporting(*, as_json: bool) -> Iterator[None]:
    """Whatever is refused within is said plainly, and ends the command with exit code 1."""
    try:
        yield
    except MarqueError as refusal:
        check = _check_of(refusal)
        if as_json:
            said = {"ok": False, "error": str(refusal), "check": check.name if check else None}
            sys.stdout.write(json.dumps(said) + "\n")
        else:
            _ERR.print("[red]refused[/red]", soft_wrap=True, end=" ")
            _ERR.print(str(refusal), markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_REFUSED) from refusal


def say(text: str, *, as_json: bool, **facts: object) -> None:
    """One result: the facts as JSON, or the text."""
    if as_json:
        sys.stdout.write(json.dumps({"ok": True, **facts}) + "\n")
    else:
        _OUT.print(text, markup=False, soft_wrap=True)


def show_done(done: Done, *, as_json: bool) -> None:
    """What was published, or who else has to sign."""
    names = list(done.published.names) if done.published else []
    images = [
        {
            "filename": image.filename,
            "length": image.length,
            "sha256": image.sha256.hex(),
            "hardware": list(image.hardware),
            "counter": image.release_counter,
        }
        for image in done.images
    ]
    if as_json:
        pending = [str(path) for path in done.pending]
        facts: dict[str, object] = {"published": names, "images": images, "pending": pending, "notes": list(done.notes)}
        say("", as_json=True, **facts)
        return
    if images:
        table = Table("image", "octets", "sha256", "hardware", "counter", title="Images")
        for image in done.images:
            row = (image.filename, f"{image.length:,}", f"{image.sha256.hex()[:16]}…")
            table.add_row(*row, ", ".join(image.hardware), str(image.release_counter))
        _OUT.print(table)
    for note in done.notes:
        _OUT.print(note, markup=False, soft_wrap=True)
    if names:
        _OUT.print(f"[green]published[/green] {', '.join(names)}", soft_wrap=True)
    for path in done.pending:
        _OUT.print(f"[yellow]waits for signatures[/yellow] {path}", soft_wrap=True)
    if done.pending:
        files = " ".join(map(str, done.pending))
        _OUT.print(f"elsewhere: marque-repo sign FILE --key KEY; then: marque-repo submit {files}", soft_wrap=True)


def show_status(status: pb.StatusReply, *, as_json: bool) -> None:
    """What is published, until when, and what lies about unpublished."""
    if as_json:
        roles = [
            {
                "role": role.role,
                "version": role.version,
                "expires": role.expires,
                "octets": role.length,
                "images": role.images,
                "threshold": role.threshold,
                "keys": role.keys,
            }
            for role in status.roles
        ]
        unpublished = [{"sha256": blob.sha256.hex(), "octets": blob.held} for blob in status.unpublished]
        unfinished = [{"sha256": blob.sha256.hex(), "octets": blob.held} for blob in status.unfinished]
        facts: dict[str, Any] = {"roles": roles, "images": status.images, "image_octets": status.image_octets}
        totals = {"unpublished_total": status.unpublished_total, "unfinished_total": status.unfinished_total}
        say("", as_json=True, **facts, unpublished=unpublished, unfinished=unfinished, **totals)
        return
    table = Table("role", "version", "valid until", "keys", "images", "octets", title="Metadata")
    for role in status.roles:
        keys = f"{role.threshold} of {role.keys}"
        table.add_row(role.role, str(role.version), _until(role), keys, str(role.images or ""), f"{role.length:,}")
    _OUT.print(table)
    _OUT.print(f"{status.images} images published, {status.image_octets:,} octets")
    _show_blobs("uploaded, not published", list(status.unpublished), status.unpublished_total)
    _show_blobs("unfinished uploads", list(status.unfinished), status.unfinished_total)


@contextmanager
def uploading(*, as_json: bool) -> Iterator[Any]:
    """Progress bars, one per file; what it yields is told of each octet that is there."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_ERR, disable=as_json or not _ERR.is_terminal) as progress:
        tasks: dict[Path, Any] = {}

        def told(wish: Wish, length: int, there: int) -> None:
            if wish.path not in tasks:
                tasks[wish.path] = progress.add_task(wish.filename, total=length)
            progress.update(tasks[wish.path], completed=there)

        yield told


def _until(role: pb.RoleStatus) -> str:
    """When a file expires; in red if somebody has to do something about it."""
    text = datetime.fromtimestamp(role.expires, UTC).strftime("%Y-%m-%d %H:%M")
    left = role.expires - now()
    urgent = left < 0 or (left < SOON_S and role.role not in ONLINE)
    return f"[red]{text}[/red]" if urgent else text


def _show_blobs(title: str, blobs: list[pb.Blob], total: int) -> None:
    if not total:
        return
    _OUT.print(f"[yellow]{total} {title}[/yellow], {len(blobs)} shown")
    for blob in blobs:
        _OUT.print(f"  {blob.sha256.hex()}  {blob.held:,} octets")


def _check_of(refusal: MarqueError) -> Check | None:
    if isinstance(refusal, Rejected | Refused):
        return refusal.check
    return None
