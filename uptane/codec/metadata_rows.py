"""Root, Timestamp and Snapshot between the values of the model and the rows of the schema (oer_types.Row).

Each pair of functions is one type, and unpacks or builds a row in the schema's order. Rules that the notation cannot
say stand here and in targets_rows.py, and hold in both directions: what would not be read is not written.
"""

from __future__ import annotations

from typing import assert_never

from uptane.codec.alphabet import read_name, write_name
from uptane.codec.oer_lists import Kind, OerListing, octets_as
from uptane.codec.oer_types import Row, decode, encode, shortest
from uptane.codec.schema import SNAPSHOT_FILE
from uptane.codec.schema_table import TYPES
from uptane.model.ids import ID_LENGTH_MAX, KeyId, Role, RoleName, VehicleId
from uptane.model.metadata import (
    Delegate,
    FileInfo,
    Fleet,
    ForVehicle,
    Header,
    ImageRepository,
    Key,
    RoleKeys,
    Root,
    Snapshot,
    SnapshotFile,
    Speaker,
    Timestamp,
)
from uptane.model.signed import PublicKey, Scheme
from uptane.moments import UtcTime

ROLES = tuple(Role)
SCHEMES = tuple(Scheme)


# Header and keys


def header_of(row: Row) -> Header:
    """The header of a role payload."""
    level, speaker, version, expires, issued = row
    return Header(level, _speaker_of(*speaker), version, UtcTime(expires), UtcTime(issued))


def header_row(header: Header) -> Row:
    """The row of a header."""
    return (header.level, _speaker_row(header.speaker), header.version, header.expires, header.issued)


def _speaker_of(tag: int, octets: bytes | None) -> Speaker:
    if octets is None:
        return Fleet() if tag == 0 else ImageRepository()
    name = read_name(octets)
    return ForVehicle(VehicleId(name)) if tag == 2 else Delegate(RoleName(name))


def _speaker_row(speaker: Speaker) -> Row:
    match speaker:
        case Fleet():
            return (0, None)
        case ImageRepository():
            return (1, None)
        case ForVehicle(vehicle=vehicle):
            return (2, write_name(vehicle))
        case Delegate(role=role):
            return (3, write_name(role))
        case _:
            assert_never(speaker)


def public_of(row: Row) -> PublicKey:
    """A public key."""
    tag, octets = row
    return PublicKey(SCHEMES[tag], octets)


def public_row(key: PublicKey) -> Row:
    """The row of a public key."""
    return (SCHEMES.index(key.scheme), key.octets)


def key_of(row: Row) -> Key:
    """A key and its id."""
    key_id, public = row
    return Key(KeyId(key_id), public_of(public))


def key_row(key: Key) -> Row:
    """The row of a key and its id."""
    return (key.key_id, public_row(key.public))


# Root, Timestamp, Snapshot


def root_of(row: Row) -> Root:
    """Root metadata."""
    header, keys, roles, _additions = row
    return Root(
        header_of(header),
        tuple(key_of(key) for key in keys),
        tuple(RoleKeys(ROLES[role], key_ids, threshold) for role, key_ids, threshold in roles),
    )


def root_row(root: Root) -> Row:
    """The row of Root metadata."""
    keys = tuple(key_row(key) for key in root.keys)
    roles = tuple((ROLES.index(role.role), role.key_ids, role.threshold) for role in root.roles)
    return (header_row(root.header), keys, roles, ())


def timestamp_of(row: Row) -> Timestamp:
    """Timestamp metadata."""
    header, snapshot, _additions = row
    return Timestamp(header_of(header), FileInfo(*snapshot))


def timestamp_row(timestamp: Timestamp) -> Row:
    """The row of Timestamp metadata."""
    return (header_row(timestamp.header), _info_row(timestamp.snapshot), ())


def _info_row(info: FileInfo) -> Row:
    return (info.version, info.length, info.sha256)


def snapshot_of(row: Row) -> Snapshot:
    """Snapshot metadata; its list of files is opened, not read."""
    header, files, _additions = row
    return Snapshot(header_of(header), OerListing(files, FILES))


def snapshot_row(snapshot: Snapshot) -> Row:
    """The row of Snapshot metadata."""
    return (header_row(snapshot.header), octets_as(FILES, snapshot.files), ())


def _file_of(octets: bytes) -> SnapshotFile:
    name, info, _additions = decode(SNAPSHOT_FILE, octets)
    return SnapshotFile(RoleName(read_name(name)), FileInfo(*info))


def file_octets(file: SnapshotFile) -> bytes:
    """The encoding of one file of a Snapshot."""
    return encode(SNAPSHOT_FILE, (write_name(file.name), _info_row(file.info), ()))


FILES: Kind[SnapshotFile] = Kind(_file_of, shortest(TYPES["SnapshotFile"]), ID_LENGTH_MAX)
