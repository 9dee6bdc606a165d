"""Payloads and envelopes: what is written is what is read; what has no place in a kind is neither written nor read."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha512
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.codec import strategies as draw
from uptane.codec import metadata_rows, report_rows, targets_rows
from uptane.codec.notation import Choice, Enumerated
from uptane.codec.oer import Oer
from uptane.codec.oer_types import Row, codings, decode, encode
from uptane.codec.schema_table import TYPES
from uptane.errors import Malformed
from uptane.model.ids import EcuId, Filename, HardwareId, KeyId, RoleName, VehicleId
from uptane.model.metadata import (
    Assignment,
    Bins,
    Delegate,
    DelegatedRole,
    Delegation,
    Delegations,
    DirectorTargets,
    Encrypted,
    Fleet,
    ForVehicle,
    Header,
    Image,
    ImageRepository,
    ImageTargets,
    Paths,
)
from uptane.model.reports import EcuReport, Outcome, Phase, VehicleOrder
from uptane.model.signed import PublicKey, Scheme, Signature
from uptane.moments import UtcTime

OER = Oer()
CODINGS = codings()
KEY = PublicKey(Scheme.ED25519, bytes(32))
IMAGE = OER.image(Image(Filename("brake/1.bin"), 4, bytes(32), None, (HardwareId("brake-a"),), 1, b""))
FOR_VEHICLE = Header(1, ForVehicle(VehicleId("vin")), 1, UtcTime(2), UtcTime(1))
FOR_IMAGES = replace(FOR_VEHICLE, speaker=ImageRepository())


@pytest.mark.parametrize("kind", draw.PAYLOADS)
@settings(max_examples=60)
@given(data=st.data())
def test_what_is_written_is_what_is_read(kind: str, data: st.DataObject) -> None:
    value = data.draw(draw.PAYLOADS[kind])
    octets = OER.encode(value)
    assert OER.parse(octets) == value
    assert OER.encode(OER.parse(octets)) == octets


@settings(max_examples=60)
@given(
    payload=st.binary(min_size=1, max_size=300),
    signatures=st.lists(
        st.builds(Signature, draw.key_ids, st.binary(min_size=64, max_size=70)), min_size=1, max_size=16
    ),
)
def test_what_is_sealed_is_opened(payload: bytes, signatures: list[Signature]) -> None:
    sealed = OER.seal(payload, signatures)
    assert OER.open(sealed.octets, len(sealed.octets)) == sealed
    assert sealed.payload == payload
    assert sealed.signatures == tuple(signatures)


def test_signatures_are_made_over_the_domain_and_the_hash() -> None:
    assert OER.message(b"payload") == b"MARQUE-1\0" + sha512(b"payload").digest()
    assert len(OER.message(bytes(100))) == 73


def test_a_worked_example() -> None:
    order = VehicleOrder(1, VehicleId("VIN1"), bytes(range(32)), 7, Phase.COMMIT)  # type: ignore[arg-type]
    written = "87 00 01 04 56494E31" + bytes(range(32)).hex() + "00000007 01"
    assert OER.encode(order) == bytes.fromhex(written)


def test_the_image_s_octets_are_those_of_the_list() -> None:
    listing = OER.images([IMAGE])
    assert listing.octets == bytes((len(IMAGE.octets),)) + IMAGE.octets
    (read,) = listing
    assert read == IMAGE
    assert read.octets == IMAGE.octets


# The enumerations of the model are those of the schema, in its order


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("Role", metadata_rows.ROLES),
        ("PublicKey", metadata_rows.SCHEMES),
        ("Cipher", targets_rows.CIPHERS),
        ("DeltaAlgorithm", targets_rows.ALGORITHMS),
        ("EcuState", report_rows.STATES),
        ("Outcome", report_rows.OUTCOMES),
        ("Phase", report_rows.PHASES),
    ],
)
def test_enumerations_follow_the_schema(name: str, ours: tuple[Any, ...]) -> None:
    kind = TYPES[name]
    names = (
        kind.names if isinstance(kind, Enumerated) else tuple(part.name for part in kind.alternatives)  # type: ignore[union-attr]
    )
    assert tuple(member.value for member in ours) == names


@pytest.mark.parametrize(("kind", "tag"), [*zip(draw.PAYLOADS, (0, 1, 2, 3, 3, 4, 5, 6, 7), strict=True)])
@settings(max_examples=3)
@given(data=st.data())
def test_the_payload_s_tags_follow_the_schema(kind: str, tag: int, data: st.DataObject) -> None:
    payload = TYPES["Payload"]
    assert isinstance(payload, Choice)
    assert payload.alternatives[tag].name.lower() in kind.lower()
    assert OER.encode(data.draw(draw.PAYLOADS[kind]))[0] == 0x80 + tag


# Names, patterns and URLs: judged in both directions

BAD_NAMES = ("", "/a", "a..b", "..", "a b", "a\\b", "a\0", "a\n", "ä", "a*", "a?", "%41", "~a", "a#", "n" * 65)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_not_written(name: str) -> None:
    changes: list[Callable[[], object]] = [
        lambda: OER.encode(VehicleOrder(1, VehicleId(name), bytes(32), 7, Phase.COMMIT)),  # type: ignore[arg-type]
        lambda: OER.image(replace(IMAGE, hardware=(HardwareId(name),))),
        lambda: OER.image(replace(IMAGE, hardware=(HardwareId("z"), HardwareId(name)))),
        lambda: OER.image(replace(IMAGE, filename=Filename(name + "n" * 64 if len(name) > 64 else name))),
        lambda: OER.assignments([Assignment(EcuId(name), IMAGE)]),
        lambda: OER.encode(ImageTargets(replace(FOR_IMAGES, speaker=Delegate(RoleName(name))), OER.images([]))),
        lambda: OER.encode(_delegating(hardware=(HardwareId(name),))),
        lambda: OER.encode(_delegating(role=name)),
    ]
    for change in changes:
        with pytest.raises(Malformed):
            change()


@pytest.mark.parametrize("name", [name.encode("latin-1") for name in BAD_NAMES] + [b"\xff", b"\xc3\xa4"])
def test_a_bad_name_is_not_read(name: bytes) -> None:
    if not name or len(name) > 64:
        return  # the schema's limits: test_limits.py
    order = encode(CODINGS["Payload"], (7, (1, name, bytes(32), 1, 0, ())))
    targets = encode(CODINGS["Payload"], (3, ((1, (3, name), 1, 1, 1), None, False, b"", None, ())))
    for payload in (order, targets):
        with pytest.raises(Malformed, match="no name"):
            OER.parse(payload)
    for row in (
        (name, 1, bytes(32), None, b"h", None, 0, ()),
        (b"f", 1, bytes(32), None, name, None, 0, ()),
        (b"f", 1, bytes(32), None, b"0", (name,), 0, ()),
    ):
        with pytest.raises(Malformed, match="no name"):
            targets_rows.image_of(encode(CODINGS["Image"], row))


@pytest.mark.parametrize("pattern", ["/a*", "a/../*", "a b*", "[ab]", "*\0", "ü*"])
def test_a_bad_pattern_is_neither_written_nor_read(pattern: str) -> None:
    with pytest.raises(Malformed, match="no pattern"):
        OER.encode(_delegating(paths=(pattern,)))
    row = ((), False, (0, (pattern.encode("latin-1"),)), ((b"r", (b"12345678",), 1),), 1, ())
    below = encode(CODINGS["Delegations"], (((b"12345678", (0, bytes(32))),), (row,)))
    with pytest.raises(Malformed, match="no pattern"):
        OER.parse(encode(CODINGS["Payload"], (3, ((1, (1, None), 1, 1, 1), None, False, b"", below, ()))))


@pytest.mark.parametrize("url", ["", "a b", "a\n", "ü", "\x7f", "u" * 1025])
def test_a_bad_url_is_neither_written_nor_read(url: str) -> None:
    with pytest.raises(Malformed, match="no URL"):
        OER.assignments([Assignment(EcuId("e"), IMAGE, url)])
    if 0 < len(url) <= 1024:
        octets = encode(CODINGS["Assignment"], (b"e", IMAGE.octets, url.encode("latin-1"), None, None, ()))
        with pytest.raises(Malformed, match="no URL"):
            targets_rows.assignment_of(octets)


# Images


@pytest.mark.parametrize(
    "hardware", [("a", "a"), ("b", "a", "b"), ("x", "b", "a"), ("x", "a", "a"), ("a", "b", "c", "a")]
)
def test_alternative_hardware_ascends_and_repeats_nothing(hardware: tuple[str, ...]) -> None:
    with pytest.raises(Malformed, match="alternative hardware"):
        OER.image(replace(IMAGE, hardware=tuple(HardwareId(name) for name in hardware)))
    first, *others = (name.encode() for name in hardware)
    octets = encode(CODINGS["Image"], (b"f", 1, bytes(32), None, first, tuple(others), 0, ()))
    with pytest.raises(Malformed, match="alternative hardware"):
        targets_rows.image_of(octets)


def test_the_first_hardware_may_come_after_its_alternatives() -> None:
    image = OER.image(replace(IMAGE, hardware=(HardwareId("z"), HardwareId("a"), HardwareId("b"))))
    assert targets_rows.image_of(image.octets) == image


@pytest.mark.parametrize("count", [0, 17])
def test_an_image_is_for_1_to_16_kinds_of_hardware(count: int) -> None:
    with pytest.raises(Malformed):
        OER.image(replace(IMAGE, hardware=tuple(HardwareId(f"h{place:02}") for place in range(count))))


def test_an_image_whose_octets_say_otherwise_is_not_listed() -> None:
    stale = replace(IMAGE, release_counter=2)  # its octets still say 1
    with pytest.raises(Malformed, match="other than its fields"):
        OER.images([stale])
    with pytest.raises(Malformed, match="other than its fields"):
        OER.assignments([Assignment(EcuId("e"), stale)])
    assert [image.release_counter for image in OER.images([replace(stale, octets=b"")])] == [2]


def test_an_image_of_a_newer_supplier_keeps_its_octets_through_the_director() -> None:
    row: Row = decode(CODINGS["Image"], IMAGE.octets)
    newer = encode(CODINGS["Image"], (*row[:-1], (None, b"new")))
    image = targets_rows.image_of(newer)
    assert replace(image, octets=b"") == replace(IMAGE, octets=b"")
    (assignment,) = OER.assignments([Assignment(EcuId("e"), image)])
    assert assignment.image.octets == newer


# What has no place in a kind


def test_an_image_repository_s_targets_names_no_coordinator_and_orders_nothing() -> None:
    header = (1, (1, None), 1, 1, 1)
    OER.parse(encode(CODINGS["Payload"], (3, (header, None, False, b"", None, ()))))
    for coordinator, refresh in (((0, bytes(32)), False), (None, True)):
        with pytest.raises(Malformed, match="no vehicle's"):
            OER.parse(encode(CODINGS["Payload"], (3, (header, coordinator, refresh, b"", None, ()))))


def test_the_speaker_says_whose_targets_they_are() -> None:
    director = DirectorTargets(FOR_VEHICLE, KEY, True, OER.assignments([Assignment(EcuId("e"), IMAGE)]))
    image = ImageTargets(FOR_IMAGES, OER.images([IMAGE]))
    assert isinstance(OER.parse(OER.encode(director)), DirectorTargets)
    assert isinstance(OER.parse(OER.encode(image)), ImageTargets)
    for speaker in (Fleet(), ImageRepository(), Delegate(RoleName("r"))):
        with pytest.raises(Malformed, match="no vehicle"):
            OER.encode(replace(director, header=replace(FOR_VEHICLE, speaker=speaker)))
    with pytest.raises(Malformed, match="speaks for a vehicle"):
        OER.encode(replace(image, header=FOR_VEHICLE))


def test_a_list_of_another_kind_is_not_written() -> None:
    images, assignments = OER.images([IMAGE]), OER.assignments([Assignment(EcuId("e"), IMAGE)])
    with pytest.raises(Malformed, match="another kind"):
        OER.encode(DirectorTargets(FOR_VEHICLE, None, False, images))  # type: ignore[arg-type]
    with pytest.raises(Malformed, match="another kind"):
        OER.encode(ImageTargets(FOR_IMAGES, assignments))  # type: ignore[arg-type]


def test_a_list_that_this_codec_did_not_make_is_judged_before_it_is_written() -> None:
    with pytest.raises(Malformed):
        OER.encode(DirectorTargets(FOR_VEHICLE, None, False, Foreign(b"\x01\x00")))  # type: ignore[arg-type]
    images = OER.images([IMAGE])
    foreign = ImageTargets(FOR_IMAGES, Foreign(images.octets))  # type: ignore[arg-type]
    assert OER.encode(foreign) == OER.encode(ImageTargets(FOR_IMAGES, images))


class Foreign:
    """A listing that this codec did not make: it is judged before it is written."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets


def test_unknown_methods_are_read_and_not_written() -> None:
    row = (b"e", IMAGE.octets, None, (1, bytes(32), 9, b"k", ()), (9, bytes(32), 1, bytes(32), ()), ())
    assignment = targets_rows.assignment_of(encode(CODINGS["Assignment"], row))
    assert assignment.encrypted == Encrypted(1, bytes(32), None, b"k")
    assert assignment.delta is not None
    assert assignment.delta.algorithm is None
    for unknown in (replace(assignment, delta=None), replace(assignment, encrypted=None)):
        with pytest.raises(Malformed, match="unknown"):
            OER.assignments([unknown])


@settings(max_examples=3)
@given(report=draw.reports)
def test_an_unknown_outcome_is_read_and_not_written(report: EcuReport) -> None:
    octets = OER.encode(report)
    row = list(decode(CODINGS["Payload"], octets)[1])
    row[6] = 100
    read = OER.parse(encode(CODINGS["Payload"], (4, tuple(row))))
    assert read == replace(report, outcome=Outcome.OTHER)
    with pytest.raises(Malformed, match="outcome"):
        OER.encode(read)


def test_importing_the_codec_loads_no_oracle() -> None:
    program = "import sys, uptane.codec.oer; sys.exit('asn1tools' in sys.modules or 'pyparsing' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def _delegating(
    *,
    hardware: tuple[HardwareId, ...] = (),
    role: str = "supplier",
    paths: tuple[str, ...] | None = None,
) -> ImageTargets:
    match = Bins(4) if paths is None else Paths(paths)
    delegated = DelegatedRole(RoleName(role), (KeyId(b"12345678"),), 1)
    delegation = Delegation(hardware, False, match, (delegated,), 1)
    key = metadata_rows.key_of((b"12345678", (0, bytes(32))))
    return ImageTargets(FOR_IMAGES, OER.images([]), Delegations((key,), (delegation,)))
