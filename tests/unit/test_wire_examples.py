"""docs/wire.md read as a stranger reads it: its worked examples are genuine, its tables say what the code does.

The examples in the document were put together without the codec (docs/examples.py); here the codec, the signature
check and another implementation of OER are asked about the very octets that are printed.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from docs import examples
from docs.generate import ON_THE_WIRE
from tests.unit.codec.oracles import asn1tools_codec
from uptane.codec.oer import Oer
from uptane.crypto import Ed25519Signer, Sha2, key_id_of, valid
from uptane.errors import Check, Malformed, Rejected
from uptane.link.uds_objects import STATUS_LENGTH
from uptane.model.ids import EcuId, Filename, HardwareId, VehicleId
from uptane.model.metadata import Assignment, DirectorTargets, ForVehicle, Header, Image
from uptane.model.reports import EcuState, Phase, TimeAttestation
from uptane.model.signed import PublicKey, Scheme
from uptane.moments import UtcTime
from uptane.ports import Payload
from uptane.verify.image import bundle_of
from uptane.verify.signing import sign
from uptane.verify.states import NEXT, PHASES, Event
from uptane.verify.threshold import Verifier, accept_from, opened

WIRE = (Path(__file__).resolve().parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
OER = Oer()
VERIFIER = Verifier(OER, valid, Sha2())


def between(marker: str) -> str:
    return WIRE.partition(f"<!-- {marker} -->\n")[2].partition(f"<!-- /{marker} -->")[0]


def printed(example: examples.Example) -> tuple[bytes, PublicKey]:
    """The octets and the key of an example, as the document prints them; offsets are held to account."""
    head, _, rest = between("examples").partition(example.title)[2].partition("```\n")
    octets = bytearray()
    for line in rest.partition("```")[0].splitlines():
        offset, row = line[:4], line[6:53]
        assert int(offset, 16) == len(octets), line
        octets += bytes.fromhex(row)
    found = re.search(r"[0-9a-f]{64}", head)
    assert found is not None
    return bytes(octets), PublicKey(Scheme.ED25519, bytes.fromhex(found.group()))


def attestation() -> Payload:
    return TimeAttestation(1, UtcTime(examples.NOW), examples.NONCE)


def targets() -> Payload:
    image = OER.image(
        Image(
            Filename(examples.FILENAME.decode()),
            len(examples.IMAGE),
            sha256(examples.IMAGE).digest(),
            None,
            (HardwareId(examples.HARDWARE.decode()),),
            examples.RELEASE_COUNTER,
            b"",
        )
    )
    speaker = ForVehicle(VehicleId(examples.VEHICLE.decode()))
    header = Header(1, speaker, examples.VERSION, UtcTime(examples.EXPIRES), UtcTime(examples.NOW))
    coordinator = Ed25519Signer.from_seed(examples.COORDINATOR_SEED).public
    return DirectorTargets(header, coordinator, False, OER.assignments([Assignment(EcuId("brake"), image)]))


CASES = [
    pytest.param(examples.attestation(), attestation(), examples.TIME_SEED, id="attestation"),
    pytest.param(examples.targets(), targets(), examples.TARGETS_SEED, id="targets"),
]


@pytest.mark.parametrize(("example", "value", "seed"), CASES)
def test_a_worked_example_is_what_the_codec_makes(example: examples.Example, value: Payload, seed: bytes) -> None:
    octets, public = printed(example)
    signer = Ed25519Signer.from_seed(seed)
    assert octets == example.octets == sign(OER, value, [signer])
    assert public == signer.public
    assert OER.open(octets, 1_000).signatures[0].key_id == key_id_of(public)


@pytest.mark.parametrize(("example", "value", "seed"), CASES)
def test_a_worked_example_verifies_and_nothing_else_does(
    example: examples.Example, value: Payload, seed: bytes
) -> None:
    octets, public = printed(example)
    kind = type(value)
    assert (
        accept_from(VERIFIER, opened(VERIFIER, octets, 1_000), public, kind, check=Check.TARGETS_SIGNATURES).value
        == value
    )
    for place in range(len(octets)):
        if place in range(2, 10):
            continue  # the key's id is a hint
        changed = octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]
        with pytest.raises((Malformed, Rejected)):
            accept_from(VERIFIER, opened(VERIFIER, changed, 1_000), public, kind, check=Check.TARGETS_SIGNATURES)


@pytest.mark.parametrize(("example", "value", "seed"), CASES)
def test_another_implementation_reads_a_worked_example(example: examples.Example, value: Payload, seed: bytes) -> None:
    codec = asn1tools_codec()
    envelope = codec.decode("Envelope", printed(example)[0])
    kind, payload = codec.decode("Payload", envelope["payload"])
    if isinstance(value, DirectorTargets):
        assert (kind, payload["header"]["speaker"]) == ("targets", ("vehicle", examples.VEHICLE))
        assert sha256(payload["entries"]).digest() == bundle_of(Sha2(), value)
        entry = codec.decode("Assignment", payload["entries"][1:])
        assert codec.decode("Image", entry["image"])["filename"] == examples.FILENAME
    else:
        assert (kind, payload) == ("timeAttestation", {"level": 1, "time": examples.NOW, "nonce": examples.NONCE})


def rows(marker: str) -> Iterator[list[str]]:
    for line in between(marker).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not set(line) <= set("|- "):
            yield cells


def test_the_table_of_states_says_what_the_code_does() -> None:
    head, *body = rows("states")
    states = [EcuState(name) for name in head[1:]]
    assert states == list(EcuState)
    events = {text: event for event, text in ON_THE_WIRE.items()}
    assert len(events) == len(Event)
    told = {
        (state, events[row[0]]): EcuState(cell)
        for row in body
        for state, cell in zip(states, row[1:], strict=True)
        if cell
    }
    assert told == NEXT
    assert {event for _, event in NEXT} == set(Event)


def test_the_table_of_orders_says_what_the_code_does() -> None:
    _, *body = rows("phases")
    named = {phase.value: phase for phase in Phase}
    told = {
        None if before == "none" else named[before.strip("`")]: {named[each] for each in re.findall(r"\w+", after)}
        for before, after in body
    }
    assert told == {before: set(after) for before, after in PHASES.items()}


def test_the_status_has_the_layout_that_is_printed() -> None:
    table = WIRE.partition("Status, ")[2].partition("**A workshop tester**")[0]
    fields = [
        (int(offset), int(length)) for offset, length in re.findall(r"^\| (\d+) \| (\d+) \|", table, re.MULTILINE)
    ]
    ends = [offset + length for offset, length in fields]
    assert [offset for offset, _ in fields] == [0, *ends[:-1]]
    assert ends[-1] == STATUS_LENGTH == int(table.split()[0])


def test_every_anchor_of_a_check_is_a_section() -> None:
    section = WIRE.partition("## 13 Check codes")[2]
    named = set(re.findall(r"`(wire/\w+)`", section))
    assert named == {check.anchor for check in Check if check.anchor.startswith("wire/")}
