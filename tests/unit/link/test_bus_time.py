"""How long frames take: against a frame written out bit by bit, and against published figures."""

import random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uptane.link.bus_time import BusSpeed, classic_bits, fd_bits, frame_ns
from uptane.link.can_frame import CAN_ID_MAX, DATA_LENGTHS, CanFrame

STUFFED_CRC = 0b1100_0101_1001_1001  # x^15 + x^14 + x^10 + x^8 + x^7 + x^4 + x^3 + 1


def bits_of(value: int, count: int) -> list[int]:
    return [value >> place & 1 for place in reversed(range(count))]


def head_bits(can_id: int, *, extended: bool) -> list[int]:
    """Start of frame and identifier, with SRR and IDE where there are 29 bits."""
    if extended:
        return [0, *bits_of(can_id >> 18, 11), 1, 1, *bits_of(can_id & 0x3_FFFF, 18)]
    return [0, *bits_of(can_id, 11)]


def stuff(bits: list[int], *, to_the_end: bool) -> list[int | None]:
    """The bits with a None for each stuff bit; after the very last bit only when `to_the_end`."""
    sent: list[int | None] = []
    run: list[int] = []  # equal bits up to here, a stuff bit being the first of the next run
    for at, bit in enumerate(bits):
        sent.append(bit)
        run = [*run, bit] if run and run[-1] == bit else [bit]
        if len(run) == 5 and (to_the_end or at < len(bits) - 1):
            sent.append(None)
            run = [1 - bit]
    return sent


def oracle_classic(can_id: int, data: bytes, *, extended: bool) -> int:
    bits = [*head_bits(can_id, extended=extended), 0, 0, 0, *bits_of(len(data), 4)]  # RTR, then r1 or IDE, r0
    for octet in data:
        bits += bits_of(octet, 8)
    remainder = int("".join(map(str, bits)), 2) << 15
    for place in reversed(range(15, remainder.bit_length() + 1)):  # polynomial division on one large number
        if remainder >> place & 1:
            remainder ^= STUFFED_CRC << place - 15
    bits += bits_of(remainder, 15)
    return len(stuff(bits, to_the_end=True)) + 1 + 2 + 7 + 3


def oracle_fd(can_id: int, data: bytes, *, brs: bool, extended: bool) -> tuple[int, int]:
    """Bits at the nominal rate and at the data rate, a bit that switches counting as the rate before it."""
    control = [0, 1, 0, brs] if extended else [0, 0, 1, 0, brs]  # RRS (IDE) FDF res BRS
    arbitration = [*head_bits(can_id, extended=extended), *map(int, control)]
    bits = [*arbitration, 0, *bits_of(DATA_LENGTHS.index(len(data)), 4)]
    for octet in data:
        bits += bits_of(octet, 8)
    sent = stuff(bits, to_the_end=False)
    # The nominal part ends with BRS itself: a stuff bit right after it is sent at the data rate already.
    real, cut = 0, 0
    while real < len(arbitration):
        real += sent[cut] is not None
        cut += 1
    fixed = 0
    for at in range(4 + (17 if len(data) <= 16 else 21)):
        fixed += at % 4 == 0  # a fixed stuff bit before the first and after every fourth bit of stuff count and CRC
        fixed += 1
    nominal, fast = cut + 2 + 7 + 3, len(sent) - cut + fixed + 1
    return (nominal, fast) if brs else (nominal + fast, 0)


ids = st.one_of(
    st.tuples(st.integers(0, CAN_ID_MAX), st.just(True)),
    st.tuples(st.integers(0, 0x7FF), st.just(False)),
)
octets = st.one_of(st.integers(0, 255), st.sampled_from([0x00, 0xFF, 0x0F, 0xF0, 0x1F, 0x07, 0xC1, 0x83]))


@given(identifier=ids, data=st.lists(octets, max_size=8).map(bytes))
def test_classic_frames_are_as_long_as_written_out(identifier: tuple[int, bool], data: bytes) -> None:
    can_id, extended = identifier
    assert classic_bits(can_id, data, extended=extended) == oracle_classic(can_id, data, extended=extended)


@given(identifier=ids, length=st.sampled_from(DATA_LENGTHS), brs=st.booleans(), more=st.data())
def test_fd_frames_are_as_long_as_written_out(
    identifier: tuple[int, bool], length: int, brs: bool, more: st.DataObject
) -> None:
    can_id, extended = identifier
    data = bytes(more.draw(st.lists(octets, min_size=length, max_size=length)))
    assert fd_bits(can_id, data, brs=brs, extended=extended) == oracle_fd(can_id, data, brs=brs, extended=extended)


# Figures known of classic CAN at 500 kbit/s, 8 octets: bits without any stuffing and with the most there can be.


def test_frames_of_eight_octets_have_the_known_bounds() -> None:
    dice = random.Random(1)
    for extended, least, most in ((False, 111, 135), (True, 131, 160)):
        id_max = CAN_ID_MAX if extended else 0x7FF
        lengths = [classic_bits(dice.randint(0, id_max), dice.randbytes(8), extended=extended) for _ in range(20_000)]
        assert least <= min(lengths)
        assert max(lengths) <= most
    # Alternating bits need no stuffing but where the control bits are equal; the CRC decides the rest.
    assert min(classic_bits(can_id, b"\x55" * 8, extended=False) for can_id in range(0x2A0, 0x560)) <= 113


# The identifiers of diagnosis, as published figures have them, and the first octet of a consecutive frame.
DIAGNOSTIC = {False: 0x7E8, True: 0x18DA10F1}


def consecutive(dice: random.Random, length: int) -> bytes:
    return bytes([0x20 | dice.randrange(16)]) + dice.randbytes(length - 1)


@pytest.mark.parametrize(
    ("extended", "bits", "kb_per_s"), [(False, 116.4, 30.06), (True, 134.5, 26.03)], ids=["11", "29"]
)
def test_consecutive_frames_of_random_data_have_the_published_mean(
    extended: bool, bits: float, kb_per_s: float
) -> None:
    dice = random.Random(2)
    lengths = [classic_bits(DIAGNOSTIC[extended], consecutive(dice, 8), extended=extended) for _ in range(20_000)]
    assert mean(lengths) == pytest.approx(bits, abs=0.1)
    assert 7 * 500 / mean(lengths) == pytest.approx(kb_per_s, abs=0.02)


@pytest.mark.parametrize(("fill", "bits"), [(0xFF, 125), (0x00, 126)])
def test_constant_data_has_the_published_length(fill: int, bits: int) -> None:
    assert classic_bits(DIAGNOSTIC[False], bytes([fill]) * 8, extended=False) == bits


# kB/s of payload in consecutive frames of 63 octets without dynamic stuffing, as published; there the rate switches at
# the edges of the BRS bit and the CRC delimiter, and not, as it does, at their sample points (a nominal bit less, a
# data bit more). Frames with 29-bit identifiers were published with 35 bits before the switch; they have 36.
FD_PUBLISHED = [
    (False, 500_000, 2_000_000, 188.3),
    (False, 500_000, 5_000_000, 371.0),
    (False, 1_000_000, 5_000_000, 450.6),
    (False, 1_000_000, 8_000_000, 638.8),
    (True, 500_000, 2_000_000, 170.0),
    (True, 500_000, 5_000_000, 306.1),
]


@pytest.mark.parametrize(("extended", "nominal", "data", "kb_per_s"), FD_PUBLISHED)
def test_fd_frames_without_dynamic_stuffing_have_the_published_rate(
    extended: bool, nominal: int, data: int, kb_per_s: float
) -> None:
    speed = BusSpeed(nominal, data)
    octets_64 = b"\x55" * 64
    # Count the dynamic stuff bits of the head away: the figure is for none at all.
    can_id = 0x1555_5555 if extended else 0x555
    real = fd_bits(can_id, octets_64, brs=True, extended=extended)
    ideal = (36 + 12, 5 + 512 + 32 + 1) if extended else (17 + 12, 5 + 512 + 32 + 1)
    assert sum(real) - sum(ideal) in range(4)
    published_ns = (ideal[0] + 1 - extended) * 1_000_000_000 // nominal + (ideal[1] - 1) * 1_000_000_000 // data
    assert 63e6 / published_ns == pytest.approx(kb_per_s, abs=0.06)
    ours_ns = frame_ns(CanFrame(can_id, octets_64, fd=True, brs=True), speed, extended=extended)
    assert 63e6 / ours_ns == pytest.approx(kb_per_s, rel=0.015)


@pytest.mark.parametrize(
    ("extended", "nominal", "data", "kb_per_s"),
    [
        (False, 500_000, 2_000_000, 181.6),
        (False, 500_000, 5_000_000, 355.6),
        (False, 1_000_000, 8_000_000, 613.4),
        (True, 500_000, 2_000_000, 165.4),
        (True, 500_000, 5_000_000, 298.3),
    ],
)
def test_random_fd_frames_have_the_published_mean(extended: bool, nominal: int, data: int, kb_per_s: float) -> None:
    dice = random.Random(3)
    speed, can_id = BusSpeed(nominal, data), DIAGNOSTIC[extended]
    ours_ns = mean(
        frame_ns(CanFrame(can_id, consecutive(dice, 64), fd=True, brs=True), speed, extended=extended)
        for _ in range(4_000)
    )
    published_ns = ours_ns + (1 - extended) * 1e9 / nominal - 1e9 / data  # as told above
    tolerance = 0.01 if extended else 0.003  # two stuff bits in an identifier that was not published
    assert 63e6 / published_ns == pytest.approx(kb_per_s, rel=tolerance)


def test_times_are_bits_by_bit_rates() -> None:
    classic = CanFrame(0x1CDA01F0, b"\x21" + bytes(7))
    assert frame_ns(classic, BusSpeed(500_000)) == 2_000 * classic_bits(classic.can_id, classic.data)
    assert frame_ns(classic, BusSpeed(125_000)) == 8_000 * classic_bits(classic.can_id, classic.data)
    fd = CanFrame(0x1CDA01F0, bytes(64), fd=True, brs=True)
    nominal, fast = fd_bits(fd.can_id, fd.data, brs=True)
    assert frame_ns(fd, BusSpeed(500_000, 2_000_000)) == 2_000 * nominal + 500 * fast
    slow = fd._replace(brs=False)
    assert frame_ns(slow, BusSpeed(500_000, 2_000_000)) == 2_000 * sum(fd_bits(fd.can_id, fd.data, brs=False))


@pytest.mark.parametrize(
    "rates", [(9_999, 2_000_000), (1_000_001, 2_000_000), (500_000, 499_999), (500_000, 8_000_001)]
)
def test_impossible_bit_rates_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="bit rate"):
        BusSpeed(*rates)
