"""What hypothesis draws: rows of any type of the schema, straight from the table, and values of every payload."""

from typing import Any, assert_never

from hypothesis import strategies as st

from uptane.codec.notation import (
    Boolean,
    Choice,
    Enumerated,
    Integer,
    Null,
    Octets,
    Reference,
    Sequence,
    SequenceOf,
    Type,
)
from uptane.codec.oer import Oer
from uptane.codec.schema_table import TYPES
from uptane.model.ids import EcuId, Filename, HardwareId, KeyId, Role, RoleName, VehicleId, is_name
from uptane.model.metadata import (
    Assignment,
    Bins,
    Cipher,
    Delegate,
    DelegatedRole,
    Delegation,
    Delegations,
    Delta,
    DeltaAlgorithm,
    DirectorTargets,
    Encrypted,
    FileInfo,
    Fleet,
    ForVehicle,
    Header,
    Image,
    ImageRepository,
    ImageTargets,
    Key,
    Paths,
    RoleKeys,
    Root,
    Snapshot,
    SnapshotFile,
    Timestamp,
)
from uptane.model.reports import (
    EcuReport,
    EcuState,
    InstalledImage,
    ManifestEntry,
    Outcome,
    Phase,
    Refusal,
    TimeAttestation,
    VehicleManifest,
    VehicleOrder,
)
from uptane.model.signed import PublicKey, Scheme

DRAWN_LENGTH_MAX = 300  # octets of a string that may be longer; beyond two octets of length nothing new happens
ALPHABET = "ABCXYZabcxyz0189._+:@/-"


# Rows: whatever the notation allows, with the ends of every range often


def rows(kind: Type, *, additions: bool = False) -> st.SearchStrategy[Any]:
    """Values of any type of the table, as rows; with extension additions when asked for."""
    match kind:
        case Boolean():
            return st.booleans()
        case Null():
            return st.none()
        case Integer(low=low, high=high):
            return st.sampled_from((low, high)) | st.integers(low, high)
        case Octets(low=low, high=high):
            return _octets(low, high)
        case Enumerated(names=names, extensible=extensible):
            return st.integers(0, 127 if extensible and additions else len(names) - 1)
        case SequenceOf(low=low, high=high, element=element):
            longest = max(low, min(high, 4))
            return st.lists(rows(element, additions=additions), min_size=low, max_size=longest).map(tuple)
        case Sequence(fields=fields, extensible=extensible):
            parts = [rows(field.type, additions=additions) for field in fields]
            drawn = [st.none() | part if field.optional else part for field, part in zip(fields, parts, strict=True)]
            if extensible:
                drawn.append(st.just(()) | _additions() if additions else st.just(()))
            return st.tuples(*drawn)
        case Choice(alternatives=alternatives):
            return st.one_of(
                *(
                    st.tuples(st.just(tag), rows(alternative.type, additions=additions))
                    for tag, alternative in enumerate(alternatives)
                )
            )
        case Reference(name=name):
            return rows(TYPES[name], additions=additions)
        case _:
            assert_never(kind)


def _octets(low: int, high: int) -> st.SearchStrategy[bytes]:
    longest = max(low, min(high, DRAWN_LENGTH_MAX))
    ends = st.sampled_from(sorted({low, longest, *(end for end in (127, 128, 255, 256) if low <= end <= longest)}))
    return st.binary(min_size=low, max_size=longest) | ends.map(lambda length: b"\x7f" * length)


def _additions() -> st.SearchStrategy[tuple[bytes | None, ...]]:
    one = st.none() | st.binary(min_size=1, max_size=130)
    return st.lists(one, min_size=1, max_size=16).filter(any).map(tuple)


# Values: what the model can say and the codec will write


def names(length_max: int = 64) -> st.SearchStrategy[str]:
    """Names of 1 to `length_max` characters, the longest often."""
    drawn = st.text(ALPHABET, min_size=1, max_size=min(length_max, 24)).filter(is_name)
    return drawn | st.just("n" * length_max)


u32 = st.sampled_from((0, 1, 2**32 - 1)) | st.integers(0, 2**32 - 1)
positive = st.sampled_from((1, 2**32 - 1)) | st.integers(1, 2**32 - 1)
seconds: st.SearchStrategy[Any] = st.sampled_from((0, 2**64 - 1)) | st.integers(0, 2**64 - 1)
levels = st.integers(1, 255)
sha256s = st.binary(min_size=32, max_size=32)
vehicles = names().map(VehicleId)
ecus = names().map(EcuId)
hardware_ids = names().map(HardwareId)
roles = names().map(RoleName)
filenames = names(128).map(Filename)
key_ids = st.binary(min_size=8, max_size=8).map(KeyId)
key_id_lists = st.lists(key_ids, min_size=1, max_size=3).map(tuple)
thresholds = st.integers(1, 16)

KEY_LENGTHS = {
    Scheme.ED25519: 32,
    Scheme.P256: 33,
    Scheme.ML_DSA_44: 1312,
    Scheme.ML_DSA_65: 1952,
    Scheme.ED25519_ML_DSA_44: 1344,
    Scheme.ED25519_ML_DSA_65: 1984,
}
public_keys = st.sampled_from(Scheme).flatmap(
    lambda scheme: st.binary(min_size=8, max_size=8).map(
        lambda octets: PublicKey(scheme, octets.ljust(KEY_LENGTHS[scheme], b"\x01"))
    )
)
keys = st.builds(Key, key_ids, public_keys)
key_lists = st.lists(keys, min_size=1, max_size=3).map(tuple)

speakers_of_images = st.just(ImageRepository()) | st.builds(Delegate, roles)
speakers = st.just(Fleet()) | st.builds(ForVehicle, vehicles) | speakers_of_images


def headers(speaker: st.SearchStrategy[Any] = speakers) -> st.SearchStrategy[Header]:
    return st.builds(Header, levels, speaker, positive, seconds, seconds)


file_infos = st.builds(FileInfo, positive, u32, sha256s)
roots = st.builds(
    Root,
    headers(),
    key_lists,
    st.lists(st.builds(RoleKeys, st.sampled_from(Role), key_id_lists, thresholds), min_size=4, max_size=7).map(tuple),
)
timestamps = st.builds(Timestamp, headers(), file_infos)
snapshot_files = st.builds(SnapshotFile, roles, file_infos)
snapshots = st.builds(
    Snapshot,
    headers(),
    st.lists(snapshot_files, max_size=5, unique_by=lambda file: file.name).map(Oer().files),
)


@st.composite
def images(draw: st.DrawFn) -> Image:
    first, *others = draw(st.lists(hardware_ids, min_size=1, max_size=4, unique=True))
    image = Image(
        filename=draw(filenames),
        length=draw(u32),
        sha256=draw(sha256s),
        sha512=draw(st.none() | st.binary(min_size=64, max_size=64)),
        hardware=(first, *sorted(others)),
        release_counter=draw(u32),
        octets=b"",
    )
    return Oer().image(image)


urls = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40) | st.just("u" * 1024)
encrypteds = st.builds(Encrypted, u32, sha256s, st.sampled_from(Cipher), st.binary(min_size=1, max_size=200))
deltas = st.builds(Delta, st.sampled_from(DeltaAlgorithm), sha256s, u32, sha256s)
assignments = st.builds(Assignment, ecus, images(), st.none() | urls, st.none() | encrypteds, st.none() | deltas)
patterns = st.text(ALPHABET + "*?", min_size=1, max_size=20).filter(
    lambda text: is_name(text.replace("*", "x").replace("?", "x"))
)
delegations_values = st.builds(
    Delegation,
    st.lists(hardware_ids, max_size=3).map(tuple),
    st.booleans(),
    st.builds(Bins, st.integers(1, 14)) | st.builds(Paths, st.lists(patterns, min_size=1, max_size=3).map(tuple)),
    st.lists(st.builds(DelegatedRole, roles, key_id_lists, thresholds), min_size=1, max_size=3).map(tuple),
    st.integers(1, 8),
)
delegations = st.none() | st.builds(
    Delegations, key_lists, st.lists(delegations_values, min_size=1, max_size=3).map(tuple)
)
director_targets = st.builds(
    DirectorTargets,
    headers(st.builds(ForVehicle, vehicles)),
    st.none() | public_keys,
    st.booleans(),
    st.lists(assignments, max_size=4, unique_by=lambda entry: entry.ecu).map(Oer().assignments),
    delegations,
)
image_targets = st.builds(
    ImageTargets,
    headers(speakers_of_images | st.just(Fleet())),
    st.lists(images(), max_size=4, unique_by=lambda image: image.filename).map(Oer().images),
    delegations,
)
reports = st.builds(
    EcuReport,
    level=levels,
    vehicle=vehicles,
    ecu=ecus,
    hardware=hardware_ids,
    counter=u32,
    state=st.sampled_from(EcuState),
    outcome=st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.OTHER]),
    bundle=st.none() | sha256s,
    targets_version=u32,
    root_version=u32,
    released_counter=u32,
    image=st.builds(InstalledImage, filenames, u32, sha256s, u32),
    time=seconds,
    previous_time=seconds,
    refusals=st.lists(st.builds(Refusal, st.integers(1, 65535), u32), max_size=8).map(tuple),
)
manifest_entries = st.builds(ManifestEntry, ecus, st.none() | st.binary(min_size=1, max_size=300), st.none() | seconds)
manifests = st.builds(
    VehicleManifest, levels, vehicles, ecus, u32, st.lists(manifest_entries, min_size=1, max_size=4).map(tuple)
)
attestations = st.builds(TimeAttestation, levels, seconds, st.binary(min_size=16, max_size=16))
orders = st.builds(VehicleOrder, levels, vehicles, sha256s, positive, st.sampled_from(Phase))

PAYLOADS: dict[str, st.SearchStrategy[Any]] = {
    "root": roots,
    "timestamp": timestamps,
    "snapshot": snapshots,
    "directorTargets": director_targets,
    "imageTargets": image_targets,
    "ecuReport": reports,
    "vehicleManifest": manifests,
    "timeAttestation": attestations,
    "vehicleOrder": orders,
}
payloads = st.one_of(*PAYLOADS.values())
