"""Founding a Director: keys, certificates, Root and database, in a folder that is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from director.audit import Act, Entry
from director.ceremony import ONLINE, first_root
from director.events import Log, PutCertificate, PutRoot, operator_uri
from director.shell.clock import utc_now
from director.shell.database import Database
from director.shell.folder import Folder, KeyRing, Settings, make_private, settings_text
from uptane.codec.oer import Oer
from uptane.crypto import Sha2, key_id_of, valid
from uptane.errors import Malformed, Rejected, StorageFailure
from uptane.model.ids import KeyId, Role
from uptane.model.limits import ROOT_LENGTH_MAX
from uptane.model.metadata import ImageRepository, Key
from uptane.model.signed import PublicKey
from uptane.shell import tls
from uptane.verify.root import first_root as check_first_root
from uptane.verify.signing import sign
from uptane.verify.threshold import Verifier

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to found. `root_keys`: how many Root keys there are, and how many must sign."""

    settings: Settings
    offline_passphrase: bytes
    online_passphrase: bytes
    time_keys: tuple[PublicKey, ...]
    image_bundle: Path
    root_keys: tuple[int, int] = (1, 1)
    operator: str = OPERATOR


@dataclass(frozen=True, slots=True)
class Founded:
    """What was founded: the key ids of each role."""

    keys: Mapping[Role, tuple[KeyId, ...]]


def found(path: Path, plan: Plan) -> Founded:
    """Make a Director's folder at `path`, which is absent or empty.

    Raises:
        StorageFailure: there is something, the Image repository's bundle cannot be used, or the folder cannot be
            written; nothing is left behind.
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


def image_bundle(path: Path) -> tuple[bytes, bytes, str]:
    """The Image repository's Root, authority and address, from its folder or its public bundle.

    Raises:
        StorageFailure: a file of it is missing, or the Root is none.
    """
    folder = path / "public" if (path / "public").is_dir() else path
    root, authority = tls.read_public(folder / "root"), tls.read_public(folder / "ca.pem")
    try:
        check_first_root(Verifier(Oer(), valid, Sha2()), root, ImageRepository())
    except (Malformed, Rejected) as refusal:
        raise StorageFailure(f"{folder / 'root'} is no Root of an Image repository: {refusal}") from refusal
    assert len(root) <= ROOT_LENGTH_MAX
    address = folder / "address"
    return root, authority, tls.read_public(address).decode().strip() if address.exists() else ""


def _build(folder: Folder, plan: Plan) -> Founded:
    folder.settings_file.write_text(settings_text(plan.settings))
    for each in (folder.offline, folder.online, folder.tls, folder.operators, folder.state, folder.run):
        make_private(each)
    offline, online = KeyRing(folder.offline, plan.offline_passphrase), KeyRing(folder.online, plan.online_passphrase)
    signers = {Role.ROOT: [offline.create(Role.ROOT.value) for _ in range(plan.root_keys[0])]}
    signers |= {role: [online.create(role.value)] for role in ONLINE}
    keys = {role: [Key(each.key_id, each.public) for each in held] for role, held in signers.items()}
    keys[Role.TIME] = [Key(key_id_of(public), public) for public in plan.time_keys]
    utc = utc_now()
    root = first_root(keys, {Role.ROOT: plan.root_keys[1]}, utc)
    octets = sign(Oer(), root, signers[Role.ROOT])
    authority = _certificates(folder, plan, octets)
    serial = give_identity(authority.client(operator_uri(plan.operator)), authority, folder, plan.operator)
    uri = operator_uri(plan.operator)
    database = Database(folder.database, Oer(), Sha2())
    try:
        with database.writing() as records:
            records.carry_out([PutRoot(1, octets), PutCertificate(serial, uri, utc)])
            records.carry_out([Log(Entry(utc, uri.removeprefix("marque:"), Act.INIT, "1.root", ""))])
            records.keep_image_file("root", tls.read_public(folder.image / "root"))
    finally:
        database.close()
    return Founded({role: tuple(key.key_id for key in held) for role, held in keys.items()})


def _certificates(folder: Folder, plan: Plan, root: bytes) -> tls.Authority:
    """The fleet's authority and the server's certificate; what vehicles and operators trust."""
    authority = tls.Authority.create("Marque fleet")
    authority.save(folder.tls / "ca.pem", folder.tls / "ca.key", plan.online_passphrase)
    server = authority.server((*plan.settings.names, *_host_of(plan.settings.address)))
    tls.save_credential(server, folder.tls / "server.pem", folder.tls / "server.key", plan.online_passphrase)
    tls.write_public(folder.public / "ca.pem", authority.certificate)
    tls.write_public(folder.public / "root", root)
    image_root, image_authority, _address = image_bundle(plan.image_bundle)
    tls.write_public(folder.image / "root", image_root)
    tls.write_public(folder.image / "ca.pem", image_authority)
    return authority


def give_identity(credential: tls.Credential, authority: tls.Authority, folder: Folder, name: str) -> str:
    """Write what an operator called `name` needs to act; return the serial number of the certificate.

    The key is for this operator alone (mode 0600) and not encrypted: it opens the door, it signs nothing.
    """
    target = folder.operators / name
    make_private(target)
    tls.save_credential(credential, target / "operator.pem", target / "operator.key")
    tls.write_public(target / "ca.pem", authority.certificate)
    return credential.serial


def _host_of(address: str) -> tuple[str, ...]:
    host = address.rpartition(":")[0]
    return (host,) if host else ()


def certify_server(
    folder: Folder, passphrase: bytes, request: Path, *, target: Path, names: Sequence[str] = ()
) -> None:
    """Sign a server's certificate by the fleet's authority.

    Raises:
        StorageFailure: a file cannot be read or written, or a wrong passphrase.
        RequestRefused: the request is none.
    """
    authority = tls.Authority.load(folder.tls / "ca.pem", folder.tls / "ca.key", passphrase)
    tls.write_public(target, authority.certify_server(tls.read_public(request), names))


def certify_time(folder: Folder, passphrase: bytes, keys: Sequence[Path], settings: Settings) -> list[str]:
    """Certify the time services whose folders are at hand, beside their public keys; say what was written.

    Raises:
        StorageFailure, RequestRefused: as `certify_server`.
    """
    written = []
    for key in keys:
        request, target = key.with_name("request.pem"), key.with_name("certificate.pem")
        if request.exists() and not target.exists():
            names = _host_of(settings.time_address)
            certify_server(folder, passphrase, request, target=target, names=names)
            written.append(f"{target}: written, the time service's certificate")
    return written


def renew_own(folder: Folder, passphrase: bytes, settings: Settings, names: Sequence[str] = ()) -> Path:
    """Sign the Director's own server certificate anew, for the key it has; a running server takes it when it restarts.

    Raises:
        StorageFailure: a file cannot be read or written, or a wrong passphrase.
    """
    certificate = folder.tls / "server.pem"
    authority = tls.Authority.load(folder.tls / "ca.pem", folder.tls / "ca.key", passphrase)
    own = tls.load_credential(certificate, folder.tls / "server.key", passphrase)
    known = (*settings.names, *_host_of(settings.address), *names)
    fresh = folder.tls / f"server.{os.getpid()}"
    tls.write_public(fresh, authority.certify_server(tls.request_for(own.key), known))
    fresh.replace(certificate)
    return certificate
