"""Oer: the codec of Marque's own encoding, canonical OER, behind ports.Codec and ports.Lists.

One value has one encoding and one only. Reading is strict, bounded and linear, and raises Malformed, or Disordered
for a list, and nothing else. No signature is judged here: `open` looks at nothing of the payload, and whoever calls
`parse` has met the threshold before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha512
from typing import assert_never

from uptane.codec import metadata_rows as metadata
from uptane.codec import report_rows as reports
from uptane.codec import targets_rows as targets
from uptane.codec.alphabet import write_name
from uptane.codec.oer_lists import listed
from uptane.codec.oer_types import Row, decode, encode
from uptane.codec.schema import ENVELOPE, PAYLOAD
from uptane.errors import Malformed
from uptane.model.ids import FILENAME_LENGTH_MAX, KeyId
from uptane.model.metadata import (
    Assignment,
    DirectorTargets,
    Image,
    ImageTargets,
    Listing,
    Root,
    Snapshot,
    SnapshotFile,
    Timestamp,
)
from uptane.model.reports import EcuReport, TimeAttestation, VehicleManifest, VehicleOrder
from uptane.model.signed import Envelope, Signature
from uptane.ports import Payload

DOMAIN = b"MARQUE-1\0"  # no signature of ours is one of another protocol, nor of another version of this one

# In the order of the schema's CHOICE: the tag is the place.
_PARSERS = (
    metadata.root_of,
    metadata.timestamp_of,
    metadata.snapshot_of,
    targets.targets_of,
    reports.report_of,
    reports.manifest_of,
    reports.attestation_of,
    reports.order_of,
)


class Oer:
    """Canonical OER (docs/wire.md, "Encoding"). Stateless."""

    def open(self, octets: bytes, length_max: int) -> Envelope:
        """Split an envelope of at most `length_max` octets; nothing of the payload is read."""
        if len(octets) > length_max:
            raise Malformed(f"{len(octets)} octets, at most {length_max} expected")
        signatures, payload = decode(ENVELOPE, octets)
        return Envelope(bytes(payload), tuple(Signature(KeyId(key_id), value) for key_id, value in signatures), octets)

    def seal(self, payload: bytes, signatures: Sequence[Signature]) -> Envelope:
        """Put a payload and its signatures (1 to 16) into an envelope."""
        rows = tuple((signature.key_id, signature.octets) for signature in signatures)
        return Envelope(payload, tuple(signatures), encode(ENVELOPE, (rows, payload)))

    def message(self, payload: bytes) -> bytes:
        """What signatures of `payload` are made over: 73 octets, whatever the payload's length."""
        return DOMAIN + sha512(payload).digest()

    def parse(self, payload: bytes) -> Payload:
        """Read a payload of any kind; the caller has verified its signatures."""
        tag, row = decode(PAYLOAD, payload)
        return _PARSERS[tag](row)

    def encode(self, value: Payload) -> bytes:
        """The one encoding of `value`, to be signed; raise Malformed if the schema does not allow the value."""
        return encode(PAYLOAD, _chosen(value))

    def images(self, images: Sequence[Image]) -> Listing[Image]:
        """The images as a listing, in ascending order of filename; their `octets` are what is listed."""
        named = (
            (write_name(image.filename, FILENAME_LENGTH_MAX), targets.listed_image_octets(image)) for image in images
        )
        return listed(named, targets.IMAGES)

    def image(self, image: Image) -> Image:
        """The same image with `octets` filled in with its encoding."""
        return replace(image, octets=targets.image_octets(image))

    def assignments(self, assignments: Sequence[Assignment]) -> Listing[Assignment]:
        """The assignments as a listing, in ascending order of ECU."""
        named = ((write_name(entry.ecu), targets.assignment_octets(entry)) for entry in assignments)
        return listed(named, targets.ASSIGNMENTS)

    def files(self, files: Sequence[SnapshotFile]) -> Listing[SnapshotFile]:
        """The files as a listing, in ascending order of name."""
        return listed(((write_name(file.name), metadata.file_octets(file)) for file in files), metadata.FILES)


def _chosen(value: Payload) -> Row:
    """The value as the schema's CHOICE: its tag and its row."""
    match value:
        case Root():
            return (0, metadata.root_row(value))
        case Timestamp():
            return (1, metadata.timestamp_row(value))
        case Snapshot():
            return (2, metadata.snapshot_row(value))
        case DirectorTargets() | ImageTargets():
            return (3, targets.targets_row(value))
        case EcuReport():
            return (4, reports.report_row(value))
        case VehicleManifest():
            return (5, reports.manifest_row(value))
        case TimeAttestation():
            return (6, reports.attestation_row(value))
        case VehicleOrder():
            return (7, reports.order_row(value))
        case _:
            assert_never(value)
