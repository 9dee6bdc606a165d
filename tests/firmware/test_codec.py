"""The firmware reads what the Python codec reads and refuses what it refuses: vectors, mutants, slices of any size."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.tools import schema
from sim.firmware_chip import Start
from tests.builders import BODY, BRAKE, HARDWARE, PRIMARY, VEHICLE, Pair, image
from tests.firmware.metadata_pair import OER, Core, facts_octets, mutants, read_by_python
from tests.unit.codec import strategies as draw
from tests.unit.codec.oracles import as_tree, asn1tools_codec
from uptane.codec.notation import Choice, Octets, Reference, Sequence, SequenceOf, Type
from uptane.codec.oer_primitives import write_length
from uptane.codec.oer_types import codings
from uptane.codec.oer_types import encode as encode_row
from uptane.codec.schema_table import TYPES
from uptane.errors import Check
from uptane.model.ids import Bundle, EcuId, Filename, HardwareId, KeyId, Role, RoleName
from uptane.model.metadata import (
    Assignment,
    Cipher,
    Delta,
    DeltaAlgorithm,
    DirectorTargets,
    Encrypted,
    Fleet,
    ForVehicle,
    Header,
    Image,
    Key,
    RoleKeys,
    Root,
)
from uptane.model.reports import (
    EcuReport,
    EcuState,
    InstalledImage,
    ManifestEntry,
    Outcome,
    Phase,
    Refusal,
    VehicleManifest,
)
from uptane.model.signed import PublicKey, Scheme, Signature
from uptane.moments import UtcTime
from uptane.verify.trusted import Ecu

CODINGS = codings()
OWN = Ecu(VEHICLE, BRAKE, HARDWARE[BRAKE], "*/*", 100_000)
SIGNATURES = [Signature(KeyId(b"12345678"), bytes(range(64))), Signature(KeyId(b"abcdefgh"), b"\xff" * 70)]


@pytest.fixture(scope="module")
def core(host_library: Path) -> Core:
    """An ECU whose names are OWN's."""
    made = Core(host_library, facts_octets(Pair(), OWN))
    assert made.power_up() is Start.UP
    return made


def envelope(payload: bytes) -> bytes:
    return OER.seal(payload, SIGNATURES).octets


def agree(core: Core, octets: bytes) -> bytes:
    """Both read the same of an envelope; what that is."""
    read = core.read(octets)
    assert read == read_by_python(octets, OWN), octets.hex()
    return read


# Values


@pytest.mark.parametrize("kind", draw.PAYLOADS)
@settings(max_examples=60)
@given(data=st.data())
def test_the_same_is_read_of_every_payload(core: Core, kind: str, data: st.DataObject) -> None:
    agree(core, envelope(OER.encode(data.draw(draw.PAYLOADS[kind]))))


@settings(max_examples=60)
@given(data=st.data())
def test_rows_that_only_the_notation_allows_are_judged_alike(core: Core, data: st.DataObject) -> None:
    row = data.draw(draw.rows(TYPES["Payload"], additions=True))
    agree(core, envelope(encode_row(CODINGS["Payload"], row)))


@settings(max_examples=60)
@given(entries=st.lists(draw.assignments, max_size=4, unique_by=lambda entry: entry.ecu), own=draw.images())
def test_the_own_entry_is_found_among_others_and_read(core: Core, entries: list[Assignment], own: Image) -> None:
    entry = Assignment(BRAKE, own, None, None, None)
    agree(core, envelope(OER.encode(targets(*(each for each in entries if each.ecu != BRAKE), entry))))


def targets(*entries: Assignment, **changes: Any) -> DirectorTargets:
    """Targets for this vehicle."""
    header = Header(1, ForVehicle(VEHICLE), 1, UtcTime(2), UtcTime(1))
    return DirectorTargets(header, None, False, OER.assignments(entries), **changes)


def test_what_is_compared_is_not_empty(core: Core) -> None:
    entry = Assignment(BRAKE, image("brakes/app", 7, OWN.hardware), None, None, None)
    read = agree(core, envelope(OER.encode(targets(entry))))
    assert b"brakes/app" in read
    assert sha256(b"brakes/app 7" * 50).digest() in read
    other = agree(core, envelope(OER.encode(targets(replace(entry, ecu=EcuId("brake-10"))))))
    assert b"brakes/app" not in other


# Mutants


def samples() -> dict[str, bytes]:
    """One payload of each kind, with something in every field."""
    pair = Pair()
    pair.update()
    delta = Delta(next(iter(DeltaAlgorithm)), bytes(32), 1, bytes(32))
    encrypted = Encrypted(9, bytes(32), next(iter(Cipher)), b"wrapped")
    others = (HardwareId("a-hw"), HardwareId("b-hw"))
    plain = image("brakes/app-9", 9, OWN.hardware, sha512=bytes(range(64)))
    fullest = OER.image(replace(plain, hardware=(OWN.hardware, *others), octets=b""))
    pair.director.assign(BRAKE, fullest, url="http://x/y", encrypted=encrypted, delta=delta)
    envelopes = {
        "root": pair.director.root(),
        "timestamp": pair.director.timestamp(),
        "snapshot": pair.image.snapshot(),
        "director targets": pair.director.targets(delegations=pair.image.delegations(RoleName("targets"))),
        "image targets": pair.image.targets(),
        "attestation": pair.attestation(),
        "order": pair.order(Phase.COMMIT),
    }
    payloads = {name: OER.open(octets, 1 << 20).payload for name, octets in envelopes.items()}
    running = InstalledImage(Filename("f"), 1, bytes(32), 1)
    report = EcuReport(
        level=1,
        vehicle=VEHICLE,
        ecu=BRAKE,
        hardware=OWN.hardware,
        counter=1,
        state=EcuState.VOTED,
        outcome=Outcome.INSTALLED,
        bundle=Bundle(bytes(32)),
        targets_version=1,
        root_version=1,
        released_counter=1,
        image=running,
        time=UtcTime(2),
        previous_time=UtcTime(1),
        refusals=(Refusal(0x0101, 3),),
    )
    entries = (ManifestEntry(BRAKE, b"report", None), ManifestEntry(BODY, None, UtcTime(5)))
    manifest = VehicleManifest(1, VEHICLE, PRIMARY, 1, entries)
    return payloads | {"report": OER.encode(report), "manifest": OER.encode(manifest)}


SAMPLES = samples()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_mutant_of_a_payload_is_judged_alike(core: Core, name: str) -> None:
    read = agree(core, envelope(SAMPLES[name]))
    judged = {agree(core, envelope(mutant)) for mutant in mutants(SAMPLES[name]) if mutant}
    assert read not in judged
    assert len(judged) > len(SAMPLES[name])


def test_every_mutant_of_an_envelope_is_judged_alike(core: Core) -> None:
    octets = envelope(SAMPLES["attestation"])
    judged = [agree(core, mutant) for mutant in mutants(octets) if mutant]
    refused = sum(each == Check.ENCODING.code.to_bytes(8) for each in judged)
    assert 0 < refused < len(judged)
    agree(core, octets + b"\0")


@settings(max_examples=40)
@given(data=st.data())
def test_mutants_of_drawn_payloads_are_judged_alike(core: Core, data: st.DataObject) -> None:
    payload = OER.encode(data.draw(draw.payloads))[:600]
    at = data.draw(st.integers(0, 6))
    for mutant in mutants(payload[at:], step=7):
        agree(core, envelope(payload[:at] + mutant or b"x"))


@settings(max_examples=60)
@given(octets=st.binary(min_size=1, max_size=120))
def test_noise_is_judged_alike(core: Core, octets: bytes) -> None:
    agree(core, octets)
    for tag in range(0x7F, 0x89):
        agree(core, envelope(bytes((tag,)) + octets))


# Lists


def entry_of(ecu: bytes, *, preamble: int = 0, rest: bytes = b"\x01x") -> bytes:
    """An entry that begins as an assignment does; what stands behind its name is nobody's but its reader's."""
    out = bytearray((preamble,))
    write_length(len(ecu), out)
    return bytes(out) + ecu + rest


def listed(*entries: bytes) -> bytes:
    out = bytearray()
    for each in entries:
        write_length(len(each), out)
        out += each
    return bytes(out)


def targets_around(entries: bytes, *, vehicle: bool = True, behind: bytes = b"") -> bytes:
    """A Targets payload with any octets as its list."""
    row = ((1, (2, VEHICLE.encode()) if vehicle else (1, None), 1, 2, 1), None, False, b"", None, ())
    payload = encode_row(CODINGS["Payload"], (3, row))
    out = bytearray(payload[:-1])
    write_length(len(entries), out)
    return bytes(out) + entries + behind


LISTS = {
    "empty": b"",
    "one": listed(entry_of(b"a")),
    "ascending": listed(entry_of(b"a"), entry_of(b"aa"), entry_of(b"b")),
    "twice": listed(entry_of(b"a"), entry_of(b"a")),
    "a prefix behind": listed(entry_of(b"aa"), entry_of(b"a")),
    "descending": listed(entry_of(b"b"), entry_of(b"a")),
    "ours out of order": listed(entry_of(b"c"), entry_of(BRAKE.encode())),
    "ours twice": listed(entry_of(BRAKE.encode()), entry_of(BRAKE.encode())),
    "ours, then less": listed(entry_of(BRAKE.encode()), entry_of(b"b")),
    "ours with an unknown preamble": listed(entry_of(BRAKE.encode(), preamble=0x08)),
    "another's with an unknown preamble": listed(entry_of(b"a", preamble=0x08)),
    "ours not read to its end": listed(entry_of(BRAKE.encode(), rest=b"\x01x" * 9)),
    "no octet": b"\x00",
    "an octet": b"\x01\x00",
    "no name": listed(entry_of(b"")),
    "nothing behind the name": listed(entry_of(b"a", rest=b"")),
    "too little behind the name": listed(entry_of(b"a", rest=b"x")),
    "a name of 64": listed(entry_of(b"n" * 64)),
    "a name of 65": listed(entry_of(b"n" * 65)),
    "a name of 128": listed(entry_of(b"n" * 128)),
    "a name's length in long form": listed(b"\x00\x81\x01a\x01x"),
    "a name's length in two octets": listed(b"\x00\x82\x00\x01a\x01x"),
    "an entry of 8,192": listed(entry_of(b"a", rest=bytes(8_189))),
    "an entry of 8,193": listed(entry_of(b"a", rest=bytes(8_190))),
    "behind the list": listed(entry_of(b"a"))[:-1],
    "disordered, then malformed": listed(entry_of(b"b"), entry_of(b"a")) + b"\x00",
    "malformed, then disordered": listed(entry_of(b"b")) + b"\x00" + listed(entry_of(b"a")),
    "disordered, behind the list": listed(entry_of(b"b"), entry_of(b"a"))[:-1],
}


@pytest.mark.parametrize("vehicle", [True, False])
@pytest.mark.parametrize("octets", LISTS.values(), ids=LISTS)
def test_lists_are_walked_alike(core: Core, octets: bytes, vehicle: bool) -> None:
    rest = octets if vehicle else octets.replace(b"\x01x", bytes(43))
    for behind in (b"", b"\0"):
        agree(core, envelope(targets_around(rest, vehicle=vehicle, behind=behind)))


@pytest.mark.parametrize("length", [1, 63, 64, 127, 128, 129])
def test_filenames_are_walked_alike(core: Core, length: int) -> None:
    for rest in (41, 42, 43):
        entry = entry_of(b"n" * length, rest=bytes(rest))
        agree(core, envelope(targets_around(listed(entry), vehicle=False)))


def test_an_order_that_is_wrong_is_told_from_octets_that_are(core: Core) -> None:
    judged = {name: agree(core, envelope(targets_around(octets)))[-8:] for name, octets in LISTS.items()}
    disordered = Check.TARGETS_ENTRY_ORDER.code.to_bytes(8)
    assert {name for name, verdict in judged.items() if verdict == disordered} == {
        *("twice", "a prefix behind", "descending", "ours out of order", "ours twice", "ours, then less"),
        "disordered, then malformed",
    }


# Roots and their limits


def keys(count: int, scheme: Scheme = Scheme.ED25519) -> tuple[Key, ...]:
    length = draw.KEY_LENGTHS[scheme]
    return tuple(Key(KeyId(bytes(7) + bytes((n,))), PublicKey(scheme, bytes((n,)) * length)) for n in range(count))


def root_of(listed: tuple[Key, ...], *roles: RoleKeys) -> bytes:
    header = Header(1, Fleet(), 1, UtcTime(2), UtcTime(1))
    named = roles or tuple(RoleKeys(role, (listed[0].key_id,), 1) for role in tuple(Role)[:4])
    return OER.encode(Root(header, listed, named))


FOUR = tuple(Role)[:4]
ROOTS = {
    "as many keys as there is room for": root_of(keys(16)),
    "one key more": root_of(keys(17)),
    "keys of a scheme that this build does not know": root_of(keys(5, Scheme.ED25519_ML_DSA_65)),
    "a key twice": root_of((*keys(2), Key(KeyId(b"othernam"), keys(1)[0].public))),
    "a long key twice": root_of((*(LONG := keys(2, Scheme.ML_DSA_44)), Key(KeyId(b"x" * 8), LONG[0].public))),
    "keys that differ in their last octet": root_of(
        tuple(Key(KeyId(bytes((n,)) * 8), PublicKey(Scheme.ML_DSA_44, bytes(1311) + bytes((n,)))) for n in range(2))
    ),
    "the same octets under two schemes": root_of(
        (
            Key(KeyId(b"12345678"), PublicKey(Scheme.ED25519, bytes(32))),
            Key(KeyId(b"abcdefgh"), PublicKey(Scheme.P256, bytes(33))),
        )
    ),
    "an id twice": root_of((*keys(2), Key(keys(1)[0].key_id, keys(3)[2].public))),
    "a role twice": root_of(keys(2), *(RoleKeys(role, (keys(1)[0].key_id,), 1) for role in (*FOUR, Role.ROOT))),
    "a role missing": root_of(
        keys(2), *(RoleKeys(role, (keys(1)[0].key_id,), 1) for role in (*FOUR[:3], Role.TIME, Role.OFFLINE_TARGETS))
    ),
    "an unknown id": root_of(keys(2), *(RoleKeys(role, (keys(3)[2].key_id,), 1) for role in FOUR)),
    "an id twice in a role": root_of(keys(2), *(RoleKeys(role, (keys(1)[0].key_id,) * 2, 1) for role in FOUR)),
    "a threshold above its keys": root_of(keys(2), *(RoleKeys(role, (keys(1)[0].key_id,), 2) for role in FOUR)),
    "a threshold of all": root_of(keys(2), *(RoleKeys(role, tuple(k.key_id for k in keys(2)), 2) for role in FOUR)),
    "all seven roles": root_of(keys(3), *(RoleKeys(role, (keys(3)[2].key_id,), 1) for role in Role)),
}


@pytest.mark.parametrize("payload", ROOTS.values(), ids=ROOTS)
def test_roots_are_judged_alike(core: Core, payload: bytes) -> None:
    agree(core, envelope(payload))


def test_more_keys_than_there_is_room_for_are_known_as_such(core: Core) -> None:
    assert agree(core, envelope(ROOTS["one key more"]))[-8:] == (1).to_bytes(8)
    assert agree(core, envelope(ROOTS["as many keys as there is room for"]))[-8:] != (1).to_bytes(8)


# The schema


def depth(kind: Type, place: str = "") -> int:
    """How deep the reader's stack becomes within a type."""
    match kind:
        case Reference(name=name):
            return depth(TYPES[name], name)
        case Sequence(fields=fields):
            return 1 + max(depth(field.type, f"{place}.{field.name}") for field in fields)
        case SequenceOf(element=element):
            return 1 + depth(element)
        case Choice(alternatives=alternatives):
            return max(depth(each.type) for each in alternatives)
        case Octets() if place in schema.CONTENTS:
            return 1 + depth(Reference(schema.CONTENTS[place]))
        case Octets() if place in schema.LISTS:
            return 2 + depth(Reference(schema.LISTS[place]))
        case _:
            return 0


def test_the_stack_is_as_deep_as_the_schema(core: Core) -> None:
    octets = envelope(SAMPLES["director targets"])
    deepest = core.tools.bench_depth(core.ecu, octets, len(octets))
    header = (Path(schema.CORE) / "oer.h").read_text(encoding="ascii")
    assert f"#define FW_OER_DEPTH {deepest}u" in header
    assert depth(Reference("Envelope")) == deepest


@settings(max_examples=80)
@given(data=st.data(), tag=st.integers(0, 7))
def test_what_asn1tools_writes_is_read(core: Core, data: st.DataObject, tag: int) -> None:
    """An encoder that shares nothing with ours: its octets are no fault of ours."""
    row = (tag, data.draw(draw.rows(TYPES[TYPES["Payload"].alternatives[tag].type.name])))  # type: ignore[union-attr]
    octets = asn1tools_codec().encode("Payload", as_tree(TYPES["Payload"], row), check_constraints=True)
    agree(core, envelope(octets))
