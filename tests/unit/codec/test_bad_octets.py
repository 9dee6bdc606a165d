"""Octets that are no message: each is refused with Malformed, and nothing else ever leaves the codec."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.codec import strategies as draw
from uptane.codec.oer import Oer
from uptane.codec.oer_types import Coding, codings, decode, encode
from uptane.codec.schema_table import TYPES
from uptane.codec.targets_rows import image_octets
from uptane.errors import Malformed
from uptane.model.ids import EcuId, KeyId, VehicleId
from uptane.model.metadata import Assignment, DirectorTargets, Image, ImageTargets, Snapshot
from uptane.model.reports import ManifestEntry, VehicleManifest
from uptane.model.signed import Signature

CODINGS = codings()
OER = Oer()
MEGABYTE = 1 << 20


def refused(coding: Coding, octets: bytes) -> bool:
    """Whether `octets` are refused; what is taken must be the one encoding of what was read."""
    try:
        row = decode(coding, octets)
    except Malformed:
        return True
    assert encode(coding, row) == octets
    return False


def read_whole(payload: bytes) -> None:
    """Parse, and read every entry of every list; raise Malformed or nothing."""
    value = OER.parse(payload)
    if isinstance(value, Snapshot | ImageTargets | DirectorTargets):
        for entry in value.files if isinstance(value, Snapshot) else value.entries:
            image = entry.image if isinstance(entry, Assignment) else entry
            if isinstance(image, Image):
                assert image.octets == image_octets(image) or image.octets[0] & 0x80  # an addition we do not know
    assert OER.parse(OER.encode(value)) == value


def mutants(octets: bytes) -> Iterator[bytes]:
    """Every bit flipped, every octet removed, doubled or made extreme, everything cut off at every place."""
    for at, octet in enumerate(octets):
        yield octets[:at]
        yield octets[:at] + octets[at + 1 :]
        yield octets[: at + 1] + octets[at:]
        for other in {octet ^ (1 << bit) for bit in range(8)} | {0, 1, 127, 128, 129, 255} - {octet}:
            yield octets[:at] + bytes((other,)) + octets[at + 1 :]


@pytest.mark.parametrize("name", TYPES)
@settings(max_examples=8)
@given(data=st.data())
def test_a_truncated_or_longer_value_is_refused(name: str, data: st.DataObject) -> None:
    coding = CODINGS[name]
    octets = encode(coding, data.draw(draw.rows(TYPES[name], additions=True)))
    assert all(refused(coding, octets[:length]) for length in range(len(octets)))
    assert all(refused(coding, octets + more) for more in (b"\0", b"\xff", octets))


@pytest.mark.parametrize("name", ["Envelope", "Payload", "Image", "Assignment", "SnapshotFile", "Delegations"])
@settings(max_examples=5)
@given(data=st.data())
def test_every_mutant_is_refused_or_is_itself_the_one_encoding_of_something(name: str, data: st.DataObject) -> None:
    octets = encode(CODINGS[name], data.draw(draw.rows(TYPES[name], additions=True)))[:1500]
    assert all(refused(CODINGS[name], octets[:at]) for at in range(len(octets) - 1))
    for mutant in mutants(octets):
        refused(CODINGS[name], mutant)


@pytest.mark.parametrize("kind", draw.PAYLOADS)
@settings(max_examples=3)
@given(data=st.data())
def test_every_mutant_of_a_payload_is_refused_or_read_whole(kind: str, data: st.DataObject) -> None:
    payload = OER.encode(data.draw(draw.PAYLOADS[kind]))[:1500]
    for mutant in mutants(payload):
        try:
            read_whole(mutant)
        except Malformed:
            continue


@settings(max_examples=400)
@given(octets=st.binary(max_size=200))
def test_noise_raises_nothing_but_malformed(octets: bytes) -> None:
    for payload in (octets, *(bytes((tag,)) + octets for tag in range(0x7F, 0x8A))):
        try:
            read_whole(payload)
        except Malformed:
            continue
    try:
        OER.open(octets, MEGABYTE)
    except Malformed:
        return


# One value, one encoding: each way to say the same otherwise

OTHERWISE = {
    "a length in long form that fits the short": ("Filename", "01 6e", "81 01 6e"),
    "a length with a leading zero": ("Filename", "8180" + "6e" * 128, "820080" + "6e" * 128),
    "a length of four octets": ("Url", "820100" + "6e" * 256, "8400000100" + "6e" * 256),
    "a length of five octets": ("Url", "820100" + "6e" * 256, "850000000100" + "6e" * 256),
    "an indefinite length": ("Url", "820100" + "6e" * 256, "80" + "6e" * 256 + "0000"),
    "a quantity with a leading zero": ("KeyIds", "0101" + "00" * 8, "020001" + "00" * 8),
    "a quantity of no octets": ("KeyIds", "0101" + "00" * 8, "00" + "00" * 8),
    "a quantity behind a long length": ("KeyIds", "0101" + "00" * 8, "810101" + "00" * 8),
    "BOOLEAN 01": (
        "Delegation",
        "00 0100 FF 81 03 0101 0161 0101 0000000000000000 01 01",
        "00 0100 01 81 03 0101 0161 0101 0000000000000000 01 01",
    ),
    "an enumeration in long form": ("Role", "01", "8101"),
    "a tag in long form": ("Match", "81 03", "BF01 03"),
    "a universal tag": ("Match", "81 03", "01 03"),
    "an unused preamble bit": ("ManifestEntry", "00 0161", "20 0161"),
    "an extension bit without additions": (
        "SnapshotFile",
        "00 0161 00000001 00000000" + "00" * 32,
        "80 0161 00000001 00000000" + "00" * 32,
    ),
}
ADDITIONS = {
    "an empty bitmap": "80 {} 01 00",
    "a bitmap of zeros": "80 {} 02 07 00",
    "unused bits set": "80 {} 02 07 C0 01 AA",
    "eight unused bits": "80 {} 03 08 80 00 01 AA",
    "an empty addition": "80 {} 02 07 80 00",
    "a missing addition": "80 {} 02 06 C0 01 AA",
    "an addition more": "80 {} 02 07 80 01 AA 01 BB",
    "17 bits": "80 {} 04 07 80 00 00 01 AA",
    "an addition cut short": "80 {} 02 07 80 02 AA",
    "an addition longer than 4,096 octets": "80 {} 02 07 80 82 10 01" + "AA" * 4097,
    "an addition's length in long form": "80 {} 02 07 80 81 01 AA",
}
FILE = "0161 00000001 00000000" + "00" * 32


@pytest.mark.parametrize(("name", "right", "wrong"), OTHERWISE.values(), ids=OTHERWISE)
def test_another_encoding_of_the_same_value_is_refused(name: str, right: str, wrong: str) -> None:
    assert not refused(CODINGS[name], bytes.fromhex(right))
    with pytest.raises(Malformed):
        decode(CODINGS[name], bytes.fromhex(wrong))


@pytest.mark.parametrize("octets", ADDITIONS.values(), ids=ADDITIONS)
def test_additions_are_bounded_and_canonical(octets: str) -> None:
    for good in (
        "80 {} 02 07 80 01 AA",
        "80 {} 02 06 80 01 AA",
        "80 {} 02 06 40 01 AA",
        "80 {} 03 00 8001 01 AA 01 BB",
    ):
        assert not refused(CODINGS["SnapshotFile"], bytes.fromhex(good.format(FILE)))
    with pytest.raises(Malformed):
        decode(CODINGS["SnapshotFile"], bytes.fromhex(octets.format(FILE)))


def test_additions_out_of_bounds_are_not_written() -> None:
    file = (b"a", (1, 0, bytes(32)))
    for additions in ((None,), (b"",), (b"x" * 4097,), (None,) * 16 + (b"x",)):
        with pytest.raises(Malformed, match="additions"):
            encode(CODINGS["SnapshotFile"], (*file, additions))


# Claims that are larger than the message


@pytest.mark.parametrize("claim", ["84FFFFFFFF", "83FFFFFF", "82FFFF", "FF" * 9, "84040000 00"])
def test_a_length_beyond_the_end_costs_nothing(claim: str) -> None:
    octets = bytes.fromhex("0101" + "00" * 8 + "40" + "00" * 64 + claim) + b"x"
    with pytest.raises(Malformed):
        OER.open(octets, MEGABYTE)


def test_a_list_cannot_be_longer_than_its_octets() -> None:
    with pytest.raises(Malformed, match="0 left"):
        OER.parse(bytes.fromhex("8000 01 80 00000001" + "00" * 16 + "0140"))


def test_envelopes_within_envelopes_are_opened_one_at_a_time() -> None:
    payload = OER.encode(_manifest(b"r"))
    below = b"r"
    for _ in range(60):
        below = OER.seal(payload, [Signature(KeyId(b"12345678"), bytes(64))]).octets
        payload = OER.encode(_manifest(below))
    assert OER.parse(payload) == _manifest(below)


def _manifest(report: bytes) -> VehicleManifest:
    entry = ManifestEntry(EcuId("e"), report, None)
    return VehicleManifest(1, VehicleId("v"), EcuId("e"), 1, (entry,))
