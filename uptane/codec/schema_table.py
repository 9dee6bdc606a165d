"""The schema as a table. Generated from uptane.asn1 by `python -m uptane.codec.generate`: do not edit."""

from __future__ import annotations

from uptane.codec.notation import (
    Alternative,
    Boolean,
    Choice,
    Enumerated,
    Field,
    Integer,
    Null,
    Octets,
    Reference,
    Sequence,
    SequenceOf,
    Type,
)

SCHEMA_SHA256 = "5f058919572cdfbfb77eb971381c34420328c5e07515b2c0e8199f306fbe6d3f"

# fmt: off
TYPES: dict[str, Type] = {
    "VehicleId": Octets(low=1, high=64),
    "EcuId": Octets(low=1, high=64),
    "HardwareId": Octets(low=1, high=64),
    "Filename": Octets(low=1, high=128),
    "RoleName": Octets(low=1, high=64),
    "Pattern": Octets(low=1, high=128),
    "Url": Octets(low=1, high=1024),
    "KeyId": Octets(low=8, high=8),
    "Sha256": Octets(low=32, high=32),
    "Sha512": Octets(low=64, high=64),
    "Nonce": Octets(low=16, high=16),
    "Bundle": Octets(low=32, high=32),
    "Level": Integer(low=1, high=255),
    "Version": Integer(low=1, high=4294967295),
    "Held": Integer(low=0, high=4294967295),
    "Counter": Integer(low=0, high=4294967295),
    "Length": Integer(low=0, high=4294967295),
    "UtcSeconds": Integer(low=0, high=18446744073709551615),
    "Threshold": Integer(low=1, high=16),
    "CheckCode": Integer(low=1, high=65535),
    "Envelope": Sequence(
        fields=(
            Field(
                name="signatures",
                type=SequenceOf(low=1, high=16, element=Reference(name="Signature")),
                optional=False,
            ),
            Field(name="payload", type=Octets(low=1, high=67108864), optional=False),
        ),
        extensible=False,
    ),
    "Signature": Sequence(
        fields=(
            Field(name="keyId", type=Reference(name="KeyId"), optional=False),
            Field(name="octets", type=Octets(low=64, high=3373), optional=False),
        ),
        extensible=False,
    ),
    "Payload": Choice(
        alternatives=(
            Alternative(name="root", type=Reference(name="Root")),
            Alternative(name="timestamp", type=Reference(name="Timestamp")),
            Alternative(name="snapshot", type=Reference(name="Snapshot")),
            Alternative(name="targets", type=Reference(name="Targets")),
            Alternative(name="ecuReport", type=Reference(name="EcuReport")),
            Alternative(name="vehicleManifest", type=Reference(name="VehicleManifest")),
            Alternative(name="timeAttestation", type=Reference(name="TimeAttestation")),
            Alternative(name="vehicleOrder", type=Reference(name="VehicleOrder")),
        ),
    ),
    "Header": Sequence(
        fields=(
            Field(name="level", type=Reference(name="Level"), optional=False),
            Field(name="speaker", type=Reference(name="Speaker"), optional=False),
            Field(name="version", type=Reference(name="Version"), optional=False),
            Field(name="expires", type=Reference(name="UtcSeconds"), optional=False),
            Field(name="issued", type=Reference(name="UtcSeconds"), optional=False),
        ),
        extensible=False,
    ),
    "Speaker": Choice(
        alternatives=(
            Alternative(name="fleet", type=Null()),
            Alternative(name="image", type=Null()),
            Alternative(name="vehicle", type=Reference(name="VehicleId")),
            Alternative(name="delegate", type=Reference(name="RoleName")),
        ),
    ),
    "PublicKey": Choice(
        alternatives=(
            Alternative(name="ed25519", type=Octets(low=32, high=32)),
            Alternative(name="p256", type=Octets(low=33, high=33)),
            Alternative(name="mldsa44", type=Octets(low=1312, high=1312)),
            Alternative(name="mldsa65", type=Octets(low=1952, high=1952)),
            Alternative(name="ed25519Mldsa44", type=Octets(low=1344, high=1344)),
            Alternative(name="ed25519Mldsa65", type=Octets(low=1984, high=1984)),
        ),
    ),
    "Key": Sequence(
        fields=(
            Field(name="keyId", type=Reference(name="KeyId"), optional=False),
            Field(name="publicKey", type=Reference(name="PublicKey"), optional=False),
        ),
        extensible=False,
    ),
    "KeyIds": SequenceOf(low=1, high=16, element=Reference(name="KeyId")),
    "Root": Sequence(
        fields=(
            Field(name="header", type=Reference(name="Header"), optional=False),
            Field(name="keys", type=SequenceOf(low=1, high=64, element=Reference(name="Key")), optional=False),
            Field(name="roles", type=SequenceOf(low=4, high=7, element=Reference(name="RoleKeys")), optional=False),
        ),
        extensible=True,
    ),
    "RoleKeys": Sequence(
        fields=(
            Field(name="role", type=Reference(name="Role"), optional=False),
            Field(name="keyIds", type=Reference(name="KeyIds"), optional=False),
            Field(name="threshold", type=Reference(name="Threshold"), optional=False),
        ),
        extensible=False,
    ),
    "Role": Enumerated(
        names=("root", "timestamp", "snapshot", "targets", "time", "offlineSnapshot", "offlineTargets"),
        extensible=False,
    ),
    "Timestamp": Sequence(
        fields=(
            Field(name="header", type=Reference(name="Header"), optional=False),
            Field(name="snapshot", type=Reference(name="FileInfo"), optional=False),
        ),
        extensible=True,
    ),
    "FileInfo": Sequence(
        fields=(
            Field(name="version", type=Reference(name="Version"), optional=False),
            Field(name="length", type=Reference(name="Length"), optional=False),
            Field(name="sha256", type=Reference(name="Sha256"), optional=False),
        ),
        extensible=False,
    ),
    "Snapshot": Sequence(
        fields=(
            Field(name="header", type=Reference(name="Header"), optional=False),
            Field(name="files", type=Octets(low=0, high=16777216), optional=False),
        ),
        extensible=True,
    ),
    "SnapshotFile": Sequence(
        fields=(
            Field(name="name", type=Reference(name="RoleName"), optional=False),
            Field(name="info", type=Reference(name="FileInfo"), optional=False),
        ),
        extensible=True,
    ),
    "Targets": Sequence(
        fields=(
            Field(name="header", type=Reference(name="Header"), optional=False),
            Field(name="coordinator", type=Reference(name="PublicKey"), optional=True),
            Field(name="refreshImageRoot", type=Boolean(), optional=False),
            Field(name="entries", type=Octets(low=0, high=67108864), optional=False),
            Field(name="delegations", type=Octets(low=1, high=65535), optional=True),
        ),
        extensible=True,
    ),
    "Image": Sequence(
        fields=(
            Field(name="filename", type=Reference(name="Filename"), optional=False),
            Field(name="length", type=Reference(name="Length"), optional=False),
            Field(name="sha256", type=Reference(name="Sha256"), optional=False),
            Field(name="sha512", type=Reference(name="Sha512"), optional=True),
            Field(name="hardware", type=Reference(name="HardwareId"), optional=False),
            Field(
                name="alternatives",
                type=SequenceOf(low=1, high=15, element=Reference(name="HardwareId")),
                optional=True,
            ),
            Field(name="releaseCounter", type=Reference(name="Counter"), optional=False),
        ),
        extensible=True,
    ),
    "Assignment": Sequence(
        fields=(
            Field(name="ecu", type=Reference(name="EcuId"), optional=False),
            Field(name="image", type=Octets(low=1, high=2048), optional=False),
            Field(name="url", type=Reference(name="Url"), optional=True),
            Field(name="encrypted", type=Reference(name="Encrypted"), optional=True),
            Field(name="delta", type=Reference(name="Delta"), optional=True),
        ),
        extensible=True,
    ),
    "Encrypted": Sequence(
        fields=(
            Field(name="length", type=Reference(name="Length"), optional=False),
            Field(name="sha256", type=Reference(name="Sha256"), optional=False),
            Field(name="method", type=Reference(name="Cipher"), optional=False),
            Field(name="wrappedKey", type=Octets(low=1, high=2048), optional=False),
        ),
        extensible=True,
    ),
    "Cipher": Enumerated(names=("aes256gcm",), extensible=True),
    "Delta": Sequence(
        fields=(
            Field(name="algorithm", type=Reference(name="DeltaAlgorithm"), optional=False),
            Field(name="fromSha256", type=Reference(name="Sha256"), optional=False),
            Field(name="length", type=Reference(name="Length"), optional=False),
            Field(name="sha256", type=Reference(name="Sha256"), optional=False),
        ),
        extensible=True,
    ),
    "DeltaAlgorithm": Enumerated(names=("detools",), extensible=True),
    "Delegations": Sequence(
        fields=(
            Field(name="keys", type=SequenceOf(low=1, high=64, element=Reference(name="Key")), optional=False),
            Field(
                name="delegations",
                type=SequenceOf(low=1, high=64, element=Reference(name="Delegation")),
                optional=False,
            ),
        ),
        extensible=False,
    ),
    "Delegation": Sequence(
        fields=(
            Field(
                name="hardware",
                type=SequenceOf(low=0, high=16, element=Reference(name="HardwareId")),
                optional=False,
            ),
            Field(name="terminating", type=Boolean(), optional=False),
            Field(name="match", type=Reference(name="Match"), optional=False),
            Field(
                name="roles",
                type=SequenceOf(low=1, high=8, element=Reference(name="DelegatedRole")),
                optional=False,
            ),
            Field(name="minAgree", type=Integer(low=1, high=8), optional=False),
        ),
        extensible=True,
    ),
    "Match": Choice(
        alternatives=(
            Alternative(name="paths", type=SequenceOf(low=1, high=32, element=Reference(name="Pattern"))),
            Alternative(name="bins", type=Integer(low=1, high=14)),
        ),
    ),
    "DelegatedRole": Sequence(
        fields=(
            Field(name="name", type=Reference(name="RoleName"), optional=False),
            Field(name="keyIds", type=Reference(name="KeyIds"), optional=False),
            Field(name="threshold", type=Reference(name="Threshold"), optional=False),
        ),
        extensible=False,
    ),
    "EcuReport": Sequence(
        fields=(
            Field(name="level", type=Reference(name="Level"), optional=False),
            Field(name="vehicle", type=Reference(name="VehicleId"), optional=False),
            Field(name="ecu", type=Reference(name="EcuId"), optional=False),
            Field(name="hardware", type=Reference(name="HardwareId"), optional=False),
            Field(name="counter", type=Reference(name="Counter"), optional=False),
            Field(name="state", type=Reference(name="EcuState"), optional=False),
            Field(name="outcome", type=Reference(name="Outcome"), optional=False),
            Field(name="bundle", type=Reference(name="Bundle"), optional=True),
            Field(name="targetsVersion", type=Reference(name="Held"), optional=False),
            Field(name="rootVersion", type=Reference(name="Held"), optional=False),
            Field(name="releasedCounter", type=Reference(name="Counter"), optional=False),
            Field(name="image", type=Reference(name="InstalledImage"), optional=False),
            Field(name="time", type=Reference(name="UtcSeconds"), optional=False),
            Field(name="previousTime", type=Reference(name="UtcSeconds"), optional=False),
            Field(
                name="refusals",
                type=SequenceOf(low=0, high=8, element=Reference(name="Refusal")),
                optional=False,
            ),
        ),
        extensible=True,
    ),
    "EcuState": Enumerated(names=("idle", "prepared", "trial", "voted", "committed", "released"), extensible=False),
    "Outcome": Enumerated(names=("none", "installed", "rolledBack", "selfTestFailed", "unbootable"), extensible=True),
    "InstalledImage": Sequence(
        fields=(
            Field(name="filename", type=Reference(name="Filename"), optional=False),
            Field(name="length", type=Reference(name="Length"), optional=False),
            Field(name="sha256", type=Reference(name="Sha256"), optional=False),
            Field(name="releaseCounter", type=Reference(name="Counter"), optional=False),
        ),
        extensible=False,
    ),
    "Refusal": Sequence(
        fields=(
            Field(name="check", type=Reference(name="CheckCode"), optional=False),
            Field(name="count", type=Reference(name="Counter"), optional=False),
        ),
        extensible=False,
    ),
    "VehicleManifest": Sequence(
        fields=(
            Field(name="level", type=Reference(name="Level"), optional=False),
            Field(name="vehicle", type=Reference(name="VehicleId"), optional=False),
            Field(name="primary", type=Reference(name="EcuId"), optional=False),
            Field(name="counter", type=Reference(name="Counter"), optional=False),
            Field(
                name="entries",
                type=SequenceOf(low=1, high=128, element=Reference(name="ManifestEntry")),
                optional=False,
            ),
        ),
        extensible=True,
    ),
    "ManifestEntry": Sequence(
        fields=(
            Field(name="ecu", type=Reference(name="EcuId"), optional=False),
            Field(name="report", type=Octets(low=1, high=8192), optional=True),
            Field(name="silentSince", type=Reference(name="UtcSeconds"), optional=True),
        ),
        extensible=False,
    ),
    "TimeAttestation": Sequence(
        fields=(
            Field(name="level", type=Reference(name="Level"), optional=False),
            Field(name="time", type=Reference(name="UtcSeconds"), optional=False),
            Field(name="nonce", type=Reference(name="Nonce"), optional=False),
        ),
        extensible=True,
    ),
    "VehicleOrder": Sequence(
        fields=(
            Field(name="level", type=Reference(name="Level"), optional=False),
            Field(name="vehicle", type=Reference(name="VehicleId"), optional=False),
            Field(name="bundle", type=Reference(name="Bundle"), optional=False),
            Field(name="targetsVersion", type=Reference(name="Version"), optional=False),
            Field(name="phase", type=Reference(name="Phase"), optional=False),
        ),
        extensible=True,
    ),
    "Phase": Enumerated(names=("activate", "commit", "rollBack", "release"), extensible=False),
}
