"""Single frames of ISO-TP as octets: each valid one is read as it was made, each invalid one is ignored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uptane.link.can_frame import DATA_LENGTHS
from uptane.link.isotp_frame import (
    ConsecutiveFrame,
    FirstFrame,
    FlowControl,
    FlowStatus,
    SingleFrame,
    first_frame,
    flow_control,
    octet_of_separation_us,
    padded,
    read_frame,
    separation_us_of,
    single_frame,
    single_length_max,
)
from uptane.link.isotp_values import IsoTpSettings

PADDINGS = [None, 0x00, 0xAA, 0xCC]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("length", range(1, 63))
def test_every_single_frame_is_read_as_it_was_made(length: int, padding: int | None) -> None:
    octets = bytes(range(length))
    data = padded(single_frame(octets), padding)
    assert len(data) in DATA_LENGTHS
    assert read_frame(data) == SingleFrame(octets)


@pytest.mark.parametrize("frame_length", DATA_LENGTHS[8:])
@pytest.mark.parametrize("length", [63, 64, 100, 4095, 4096, 70_000])
def test_every_first_frame_is_read_as_it_was_made(length: int, frame_length: int) -> None:
    message = bytes(octet & 0xFF for octet in range(length))
    data = first_frame(message, frame_length)
    assert len(data) == frame_length
    overhead = 2 if length <= 4095 else 6
    assert read_frame(data) == FirstFrame(length, message[: frame_length - overhead], frame_length)


@pytest.mark.parametrize("status", FlowStatus)
@pytest.mark.parametrize("separation_us", [0, 100, 900, 1_000, 127_000])
def test_every_flow_control_is_read_as_it_was_made(status: FlowStatus, separation_us: int) -> None:
    for padding in PADDINGS:
        data = padded(flow_control(status, 17, separation_us), padding)
        assert read_frame(data) == FlowControl(status, 17, separation_us)


def test_separations_are_read_as_they_are_written_and_reserved_ones_as_the_longest() -> None:
    written = {octet_of_separation_us(us): us for us in (*range(0, 1_000, 100), *range(1_000, 127_001, 1_000))}
    for octet in range(256):
        assert separation_us_of(octet) == written.get(octet, 127_000)


IGNORED = {
    "nothing": "",
    "single of length 0": "0011223344556677",
    "single longer than its frame": "0711223344",
    "single of 8 in a classic frame": "0811223344556677",
    "single padded, but not to 8": "021122AA",
    "single without its length": "00",
    "long single without escape": "0811223344556677" + "88" * 4,
    "long single of length 0": "00" * 12,
    "long single that fits 8 octets": "0007" + "11" * 10,
    "long single longer than its frame": "000B" + "11" * 10,
    "long single in too long a frame": "000A" + "11" * 14,
    "long single of 255": "00FF" + "11" * 62,
    "frame of a length that does not exist": "0009" + "11" * 9,
    "first of less than 8 octets": "10141122334455",
    "first of 1 octet": "10",
    "first that fits a single (classic)": "1007112233445566",
    "first that fits a single (64)": "103E" + "11" * 62,
    "first of length 0 without escape": "1000",
    "first, escaped though it need not be": "100000000FFF1122",
    "first, escaped, of length 0": "1000000000001122",
    "flow control of 1 octet": "30",
    "flow control of 2 octets": "3000",
    "kind 4": "4011223344556677",
    "kind 15": "F011223344556677",
}


@pytest.mark.parametrize("data", IGNORED.values(), ids=IGNORED)
def test_what_the_standard_ignores_is_none(data: str) -> None:
    assert read_frame(bytes.fromhex(data)) is None


ACCEPTED = {
    "single, longest classic": "0711223344556677",
    "single, unpadded": "021122",
    "single, padded": "021122AAAAAAAAAA",
    "long single, shortest": "0008" + "11" * 8 + "0000",
    "long single, longest": "003E" + "11" * 62,
    "first, shortest classic": "1008112233445566",
    "first, shortest of 64": "103F" + "11" * 62,
    "first, shortest escaped": "1000000010001122",
    "consecutive, alone": "21",
    "flow control with a status that does not exist": "3F0000",
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_just_right_is_read(data: str) -> None:
    assert read_frame(bytes.fromhex(data)) is not None


@given(st.binary(max_size=70))
def test_any_octets_are_read_or_ignored_and_never_allocate_what_they_claim(data: bytes) -> None:
    match read_frame(data):
        case SingleFrame(octets=octets):
            assert 1 <= len(octets) <= single_length_max(64)
            assert octets in data
        case FirstFrame(length=length, octets=octets):
            assert length > len(octets)
            assert octets in data
        case ConsecutiveFrame() as frame:
            assert frame.number == data[0] & 0x0F
        case FlowControl(separation_us=separation_us):
            assert 0 <= separation_us <= 127_000
        case None:
            pass


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"data_length": 12}, "data_length"),
        ({"data_length": 9, "fd": True}, "data_length"),
        ({"data_length": 7, "fd": True}, "data_length"),
        ({"brs": True}, "brs"),
        ({"block_size": -1}, "block_size"),
        ({"block_size": 256}, "block_size"),
        ({"separation_us": 50}, "separation_us"),
        ({"separation_us": 1_500}, "separation_us"),
        ({"separation_us": 128_000}, "separation_us"),
        ({"padding": 256}, "padding"),
        ({"message_length_max": 0}, "message_length_max"),
        ({"message_length_max": 1 << 32}, "message_length_max"),
        ({"wait_frames_max": 256}, "wait_frames_max"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, int], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        IsoTpSettings(**wrong)  # type: ignore[arg-type]
