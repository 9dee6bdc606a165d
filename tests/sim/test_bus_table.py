"""How long the simulated bus takes, against frames written out bit by bit elsewhere, and against published figures."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.bus_figures import BusFigure, figures, saturated
from sim.can_bits import Durations, first_error, write
from tests.unit.link.test_bus_time import oracle_classic, oracle_fd
from uptane.link.bus_time import BusSpeed, frame_ns
from uptane.link.can_frame import CAN_ID_MAX, DATA_LENGTHS, CanFrame

SPEEDS = [
    BusSpeed(500_000, 2_000_000),
    BusSpeed(500_000, 5_000_000),
    BusSpeed(1_000_000, 8_000_000),
    BusSpeed(125_000, 500_000),
]
DATA: dict[str, Callable[[Random, int], bytes]] = {
    "random": lambda dice, length: dice.randbytes(length),
    "zero": lambda _, length: bytes(length),
    "ones": lambda _, length: b"\xff" * length,
    "alternating": lambda _, length: b"\x55" * length,
    "longest runs": lambda _, length: (b"\x1f\x07\xc1\xf0\x7c" * 13)[:length],
}


def bits_ns(frame: CanFrame, speed: BusSpeed, *, extended: bool) -> int:
    """From the encoders of the tests, which write each bit down."""
    if not frame.fd:
        return oracle_classic(frame.can_id, frame.data, extended=extended) * 1_000_000_000 // speed.nominal
    nominal, fast = oracle_fd(frame.can_id, frame.data, brs=frame.brs, extended=extended)
    return nominal * 1_000_000_000 // speed.nominal + fast * 1_000_000_000 // speed.data


@pytest.mark.parametrize("speed", SPEEDS, ids=lambda speed: f"{speed.nominal}-{speed.data}")
@pytest.mark.parametrize("kind", ["classic", "fd", "fd with brs"])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("extended", [False, True])
def test_a_full_bus_takes_as_long_as_its_bits(speed: BusSpeed, kind: str, data: str, extended: bool) -> None:
    dice, fd = Random(1), kind != "classic"
    frames = [
        CanFrame(
            dice.randint(0, CAN_ID_MAX if extended else 0x7FF), DATA[data](dice, length), fd, kind == "fd with brs"
        )
        for length in (DATA_LENGTHS if fd else range(9))
        for _ in range(4)
    ]
    assert saturated(frames, speed, extended=extended) == sum(
        bits_ns(frame, speed, extended=extended) for frame in frames
    )


@pytest.fixture(scope="module")
def table() -> list[BusFigure]:
    return figures()


def test_figures_are_within_one_percent_of_what_is_published(table: list[BusFigure]) -> None:
    frames = [figure for figure in table if "turn" not in figure.name]
    assert len(frames) == 14
    assert [figure for figure in frames if figure.off > 0.01] == []
    transfers = [figure for figure in table if "turn" in figure.name]
    assert len(transfers) == 7
    assert [figure for figure in transfers if figure.off > 0.02] == []
    assert all(figure.met for figure in table)


def test_a_figure_two_percent_off_is_not_met(table: list[BusFigure]) -> None:
    figure = table[0]
    assert not BusFigure(figure.name, figure.unit, figure.simulated * 1.02, figure.published, figure.comparable).met


def test_figures_are_the_same_every_time(table: list[BusFigure]) -> None:
    assert figures() == table


def frames() -> st.SearchStrategy[CanFrame]:
    def with_data(kind: tuple[bool, bool]) -> st.SearchStrategy[CanFrame]:
        fd, brs = kind
        data = st.sampled_from(DATA_LENGTHS if fd else DATA_LENGTHS[:9]).flatmap(
            lambda length: st.one_of(st.binary(min_size=length, max_size=length), st.just(bytes(length)))
        )
        return st.builds(CanFrame, st.integers(0, 0x7FF), data, st.just(fd), st.just(brs))

    return st.sampled_from([(False, False), (True, False), (True, True)]).flatmap(with_data)


@given(frame=frames(), extended=st.booleans(), shift=st.integers(0, 18))
def test_a_frame_written_out_lasts_as_long_and_is_read_without_error(
    frame: CanFrame, extended: bool, shift: int
) -> None:
    frame = frame._replace(can_id=frame.can_id << shift) if extended else frame
    speed = BusSpeed(500_000, 2_000_000)
    written = write(frame, extended=extended)
    assert written.until(len(written.bits) + 3, Durations(speed)) == frame_ns(frame, speed, extended=extended)
    assert first_error(written, written.seen()) is None


@settings(max_examples=30)
@given(frame=frames(), extended=st.booleans(), at=st.floats(0, 1, exclude_max=True))
def test_any_wrong_bit_of_a_frame_is_noticed(frame: CanFrame, extended: bool, at: float) -> None:
    """But for the acknowledge slot, which anybody may drive, and the last bit, which a receiver does not care for."""
    written = write(frame, extended=extended)
    bit = written.open + int(at * (len(written.bits) - written.open))
    seen = written.seen()
    seen[bit] ^= 1
    harmless = bit in {written.acknowledge, len(written.bits) - 1}
    noticed = first_error(written, seen)
    assert (noticed is None) == harmless
    assert noticed is None or noticed >= bit
