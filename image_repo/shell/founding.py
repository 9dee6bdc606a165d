"""Founding a repository: keys, certificates and first metadata, in a folder that is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from image_repo.ceremony import Holders, first_root
from image_repo.publish import Occasion, first_targets
from image_repo.service import Bench, first_publication
from image_repo.shell.blobs import Blobs
from image_repo.shell.bundle import give_bundle
from image_repo.shell.database import Database
from image_repo.shell.folder import OFFLINE, ONLINE, Folder, KeyRing, Settings, make_private, settings_text
from image_repo.shell.outside import now, verifier
from uptane.codec.oer import Oer
from uptane.crypto import LocalSigner
from uptane.errors import StorageFailure
from uptane.model.ids import TOP_TARGETS, KeyId, Role
from uptane.model.metadata import Key
from uptane.model.signed import Scheme
from uptane.shell import tls
from uptane.verify.signing import sign


@dataclass(frozen=True, slots=True)
class Plan:
    """What to found. `holders`: how many keys a role gets and how many must sign; 1 of 1 if it is not named."""

    settings: Settings
    offline_passphrase: bytes
    online_passphrase: bytes
    holders: Mapping[Role, tuple[int, int]]
    scheme: Scheme = Scheme.ED25519
    operator: str = "operator"


@dataclass(frozen=True, slots=True)
class Founded:
    """What was founded: the key ids of each role."""

    keys: Mapping[Role, tuple[KeyId, ...]]


def found(path: Path, plan: Plan) -> Founded:
    """Make a repository at `path`, which is absent or empty.

    Raises:
        StorageFailure: there is something, or it cannot be written; nothing is left behind.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StorageFailure(f"{path} exists and is not empty")
    building = path.parent / f".{path.name}.{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        building.mkdir(mode=0o755)
        founded = _build(Folder(building), plan)
        building.rename(path)
    except OSError as error:
        raise StorageFailure(f"{path} cannot be made: {error.strerror}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return founded


def _build(folder: Folder, plan: Plan) -> Founded:
    folder.settings_file.write_text(settings_text(plan.settings))
    for each in (folder.offline, folder.online, folder.tls, folder.operator, folder.state):
        make_private(each)
    rings = {role: KeyRing(folder.offline, plan.offline_passphrase) for role in OFFLINE}
    rings |= {role: KeyRing(folder.online, plan.online_passphrase) for role in ONLINE}
    signers = {
        role: [rings[role].create(role.value, plan.scheme) for _ in range(plan.holders.get(role, (1, 1))[0])]
        for role in rings
    }
    root = _publish_first(folder, plan, signers, online=rings[Role.TIMESTAMP])
    authority = _certificates(folder, plan)
    for name in ("root", "1.root"):
        tls.write_public(folder.public / name, root)
    tls.write_public(folder.public / "ca.pem", authority.certificate)
    tls.write_public(folder.public / "address", f"{plan.settings.address}\n".encode())
    give_bundle(authority, folder.operator, plan.operator, root=root)
    return Founded({role: tuple(signer.key_id for signer in held) for role, held in signers.items()})


def _publish_first(folder: Folder, plan: Plan, signers: Mapping[Role, list[LocalSigner]], *, online: KeyRing) -> bytes:
    """Sign and store the first four files; return Root."""
    codec, occasion = Oer(), Occasion(now(), plan.settings.terms)
    holders = {
        role: Holders(tuple(Key(each.key_id, each.public) for each in held), plan.holders.get(role, (1, 1))[1])
        for role, held in signers.items()
    }
    root = sign(codec, first_root(holders, occasion), signers[Role.ROOT])
    targets = sign(codec, first_targets(TOP_TARGETS, codec, occasion), signers[Role.TARGETS])
    database = Database(database_file(folder))
    try:
        bench = Bench(verifier(), codec, online, database, Blobs(blob_folder(folder)))
        publication, _standing = first_publication(bench, root, targets, occasion)
        database.publish(publication, "init", occasion.utc)
    finally:
        database.close()
    return root


def _certificates(folder: Folder, plan: Plan) -> tls.Authority:
    authority = tls.Authority.create("Marque image repository")
    authority.save(folder.tls / "ca.pem", folder.tls / "ca.key", plan.offline_passphrase)
    server = authority.server(plan.settings.names)
    tls.save_credential(server, folder.tls / "server.pem", folder.tls / "server.key", plan.online_passphrase)
    return authority


def database_file(folder: Folder) -> Path:
    """The records."""
    return folder.state / "repository.db"


def blob_folder(folder: Folder) -> Path:
    """The images."""
    return folder.state / "images"
