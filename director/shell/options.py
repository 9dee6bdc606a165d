"""Options that several commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from director.shell.folder import Folder
from director.shell.reporting import reporting
from uptane.errors import StorageFailure

if TYPE_CHECKING:
    from director.shell.client import Client

HERE = Path()

FolderOption = Annotated[
    Path, typer.Option("--folder", "-C", help="The Director's folder, or the folder of an operator's certificate.")
]
Server = Annotated[str | None, typer.Option(help="HOST:PORT of the Director; else where the one of this folder runs.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Secret = Annotated[Path | None, typer.Option(help="File whose first line is the passphrase; else it is asked for.")]
OfflineSecret = Annotated[
    Path | None, typer.Option(help="The same for the offline Root keys; else as --passphrase-file.")
]
Port = Annotated[int | None, typer.Option(help="Port, if not as configured; 0: any free one.", min=0, max=65535)]
PortFile = Annotated[Path | None, typer.Option(help="Write the port there.")]


@contextmanager
def connected(folder: Path, server: str | None, operator: str | None = None, *, as_json: bool) -> Iterator[Client]:
    """A connection as an operator; refusals within end the command."""
    from director.shell.client import Client  # noqa: PLC0415  (help without gRPC comes at once)

    with reporting(as_json=as_json):
        identity = _identity(folder, operator)
        with Client(identity, server or _running(folder, identity)) as client:
            yield client


def _identity(folder: Path, operator: str | None) -> Path:
    """The folder with an operator's certificate: named, or the only one of a Director's folder."""
    if (folder / "operator.pem").exists():
        return folder
    operators = Folder(folder).operators
    if operator is not None:
        return operators / operator
    found = sorted(path.parent for path in operators.glob("*/operator.pem"))
    if not found:
        raise StorageFailure(f"{folder} holds no operator's certificate: is it a Director's folder?")
    return next((path for path in found if path.name == "operator"), found[0])


def _running(folder: Path, identity: Path) -> str:
    """Where the Director listens, as far as the folder knows."""
    for file in (Folder(folder).run / "address", identity / "address"):
        if file.exists():
            return file.read_text().strip()
    settings_file = Folder(folder).settings_file
    if settings_file.exists():
        settings = Folder(folder).settings()
        if settings.address or settings.port:
            return settings.address or f"{settings.host}:{settings.port}"
    raise StorageFailure(f"nobody says where the Director of {folder} listens: name it with --server")
