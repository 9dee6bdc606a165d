"""The same metadata in the shapes of others: the reference implementation's DER (reference.asn1), and TUF's JSON.

Each has one Ed25519 signature and SHA-256, and says of an image what ours says: filename, length, hash, hardware,
release counter, ECU. Neither names the vehicle, so both are a little shorter than what would say the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import asn1tools

from uptane.model.metadata import Assignment, Image

SIGNATURE = {"keyid": bytes(32), "method": "ed25519", "value": bytes(64)}
EXPIRES = 1_900_000_000


@cache
def _codec() -> Any:  # noqa: ANN401  (asn1tools has no types)
    return asn1tools.compile_files(str(Path(__file__).with_name("reference.asn1")), "der")


def _metadata(kind: str, body: dict[str, Any]) -> bytes:
    signed = {"type": kind, "expires": EXPIRES, "version": 1, "body": (kind, body)}
    octets: bytes = _codec().encode("Metadata", {"signed": signed, "numberOfSignatures": 1, "signatures": [SIGNATURE]})
    return octets


def _hashes(digest: bytes) -> dict[str, Any]:
    return {"numberOfHashes": 1, "hashes": [{"function": "sha256", "digest": digest}]}


def _target(image: Image, **custom: object) -> dict[str, Any]:
    target = {"filename": image.filename, "length": image.length, **_hashes(image.sha256)}
    held = {"releaseCounter": image.release_counter, "hardwareIdentifier": image.hardware[0], **custom}
    return {"target": target, "custom": held}


def targets(entries: Sequence[Assignment | Image]) -> bytes:
    """A Targets of either repository."""
    listed = [
        _target(entry.image, ecuIdentifier=entry.ecu) if isinstance(entry, Assignment) else _target(entry)
        for entry in entries
    ]
    return _metadata("targets", {"numberOfTargets": len(listed), "targets": listed})


def root() -> bytes:
    """A Root with one key for each of the four roles."""
    keys = [{"id": bytes(32), "type": "ed25519", "value": bytes(32)}] * 4
    roles = [
        {"role": role, "numberOfKeyids": 1, "keyids": [bytes(32)], "threshold": 1}
        for role in ("root", "targets", "snapshot", "timestamp")
    ]
    return _metadata("root", {"numberOfKeys": 4, "keys": keys, "numberOfRoles": 4, "roles": roles})


def timestamp() -> bytes:
    """A Timestamp that names the Snapshot."""
    return _metadata("timestamp", {"filename": "snapshot.der", "version": 1, "length": 100, **_hashes(bytes(32))})


def snapshot() -> bytes:
    """A Snapshot that lists one Targets."""
    file = {"filename": "targets.der", "version": 1}
    return _metadata("snapshot", {"numberOfSnapshotMetadataFiles": 1, "snapshotMetadataFiles": [file]})


def attestation() -> bytes:
    """The time, for one token."""
    signed = {"numberOfTokens": 1, "tokens": [0x7FFFFFFF], "timestamp": EXPIRES}
    octets: bytes = _codec().encode(
        "CurrentTime", {"signed": signed, "numberOfSignatures": 1, "signatures": [SIGNATURE]}
    )
    return octets


def json_targets(entries: Sequence[Assignment]) -> bytes:
    """A Director's Targets as TUF's JSON, as compact as JSON is; each filename is prefixed by its ECU to be unique."""
    listed = {
        f"{entry.ecu}/{entry.image.filename}": {
            "length": entry.image.length,
            "hashes": {"sha256": entry.image.sha256.hex()},
            "custom": {
                "ecuIdentifier": entry.ecu,
                "hardwareIdentifier": entry.image.hardware[0],
                "releaseCounter": entry.image.release_counter,
            },
        }
        for entry in entries
    }
    signed = {
        "_type": "targets",
        "spec_version": "1.0.31",
        "version": 1,
        "expires": "2030-03-17T17:46:40Z",
        "targets": listed,
    }
    signatures = [{"keyid": bytes(32).hex(), "sig": bytes(64).hex()}]
    return json.dumps({"signed": signed, "signatures": signatures}, separators=(",", ":")).encode()
