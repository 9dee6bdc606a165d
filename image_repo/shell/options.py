"""Options that commands share, and what they come to: a connection and keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from image_repo.delegate import role_name
from image_repo.publish import Terms
from image_repo.shell.client import Client, address_of
from image_repo.shell.folder import Folder, KeyRing
from image_repo.shell.publishing import Desk, Signers
from image_repo.shell.tables import reporting
from uptane.crypto import LocalSigner
from uptane.errors import StorageFailure
from uptane.model.ids import TOP_TARGETS
from uptane.model.signed import Authority, Scheme
from uptane.shell import keys

HERE = Path()

Repo = Annotated[Path, typer.Option("--repo", "-C", help="The repository's folder, or an operator's bundle.")]
Server = Annotated[str | None, typer.Option(help="HOST:PORT of the operators' port, if not as the folder says.")]
Secret = Annotated[Path | None, typer.Option(help="Its first line is the passphrase; else it is asked for.")]
OnlineSecret = Annotated[Path | None, typer.Option(help="The same for the server's keys, if it is another.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AsRole = Annotated[str, typer.Option("--role", help="Speak as this delegated role.")]
KeyFile = Annotated[Path | None, typer.Option("--key", help="The role's private key; else the offline folder's.")]
SchemeName = Annotated[Scheme, typer.Option(help="What kind of key to make.")]


class Passphrase:
    """Asked for once, and only if it is needed."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    @cached_property
    def octets(self) -> bytes:
        """The passphrase; raises StorageFailure if there is none to be had."""
        return keys.passphrase(self._file)


def load_key(path: Path, passphrase: Passphrase) -> LocalSigner:
    """A private key; the passphrase is asked for if the file is encrypted.

    Raises:
        StorageFailure: it cannot be used.
    """
    try:
        encrypted = b"ENCRYPTED" in path.read_bytes()
    except OSError as error:
        raise StorageFailure(f"{path}: {error.strerror}") from error
    return keys.load(path, passphrase.octets if encrypted else None)


@contextmanager
def connected(repo: Path, server: str | None, *, as_json: bool) -> Iterator[Client]:
    """A connection as the folder's operator; refusals are reported."""
    with reporting(as_json=as_json):
        bundle, address = address_of(repo, server)
        with Client(bundle, address) as client:
            yield client


@contextmanager
def at_desk(
    repo: Path, server: str | None, passphrase: Passphrase, *, role: str, key: Path | None, as_json: bool
) -> Iterator[Desk]:
    """A connection, and the keys of the role one speaks for; refusals are reported."""
    with connected(repo, server, as_json=as_json) as client:
        name = TOP_TARGETS if role == TOP_TARGETS else role_name(role)
        folder = Folder(repo)
        terms = folder.settings().terms if folder.settings_file.exists() else Terms()
        yield Desk(client, _signers(folder, passphrase, role, key), name, terms, folder.pending)


def _signers(folder: Folder, passphrase: Passphrase, role: str, key: Path | None) -> Signers:
    """The one key given, or the folder's: of the repository's own roles, or of delegated ones."""

    def signers(authority: Authority) -> Sequence[LocalSigner]:
        if key is not None:
            return [load_key(key, passphrase)]
        ring = folder.offline if role == TOP_TARGETS else folder.delegated
        return KeyRing(ring, passphrase.octets).signers(authority)

    return signers
