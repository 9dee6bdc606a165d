"""How long frames with an error keep the bus: each case reckoned by hand, after ISO 11898-1."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.can_bits import Durations, write
from sim.can_errors import Scene, broken_off, collided, seen_wrong_by_all, seen_wrong_by_one, unacknowledged
from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import CanFrame

BIT = 2_000
DELIMITER = 8 + 3
FRAME = CanFrame(0x15555555, b"\x55" * 8)  # no stuff bits but in the control field, and what the CRC brings
WRITTEN = write(FRAME)
SCENE = Scene(WRITTEN, Durations(BusSpeed(500_000)))
END = len(WRITTEN.bits)  # the first bit between frames
SLOT = WRITTEN.acknowledge
assert END == SLOT + 9


def bits(ns: int) -> int:
    assert ns % BIT == 0
    return ns // BIT


def test_without_acknowledgement_a_flag_comes_after_the_slot() -> None:
    for active in (True, False):
        verdict = unacknowledged(replace(SCENE, sender_active=active))
        assert bits(verdict.lasts_ns) == SLOT + 1 + 6 + DELIMITER
        assert not verdict.sent
        assert not verdict.heard


def test_an_error_in_the_end_of_frame_is_seen_by_all_at_once() -> None:
    """A form error: all flags begin together."""
    for bit in (SLOT + 1, SLOT + 2, END - 2):
        verdict = seen_wrong_by_all(SCENE, bit)
        assert bits(verdict.lasts_ns) == bit + 1 + 6 + DELIMITER
        assert not verdict.heard


def test_an_error_in_data_is_echoed() -> None:
    """Alternating bits: the wrong one makes three equal, and receivers need as many more until six are equal."""
    bit = WRITTEN.open + 20
    assert WRITTEN.bits[bit - 1 : bit + 2] in {(0, 1, 0), (1, 0, 1)}
    sent = WRITTEN.bits[bit]
    # The sender's flag begins after the bit. If that became dominant after a dominant one, two are so already.
    equal = 2 if sent == 1 else 0
    verdict = seen_wrong_by_all(SCENE, bit)
    assert bits(verdict.lasts_ns) == bit + 1 + (6 - equal) + 6 + DELIMITER
    other = bit + 1
    equal = 2 if WRITTEN.bits[other] == 1 else 0
    assert bits(seen_wrong_by_all(SCENE, other).lasts_ns) == other + 1 + (6 - equal) + 6 + DELIMITER


def test_nobody_echoes_where_all_receivers_are_passive() -> None:
    bit = WRITTEN.open + 20
    verdict = seen_wrong_by_all(replace(SCENE, receivers_active=False), bit)
    assert bits(verdict.lasts_ns) == bit + 1 + 6 + DELIMITER


def test_the_last_bit_but_one_wrong_for_one_is_a_second_copy_for_the_others() -> None:
    for active in (True, False):
        # The victim's flag begins in the last bit; those of sender (if active) and others after it.
        verdict = seen_wrong_by_one(replace(SCENE, sender_active=active), END - 2)
        assert verdict is not None
        assert bits(verdict.lasts_ns) == END + 6 + DELIMITER
        assert (verdict.sent, verdict.heard, verdict.missed, verdict.first) == (False, True, True, True)


def test_the_last_bit_wrong_for_all_is_a_second_copy_for_all() -> None:
    verdict = seen_wrong_by_all(SCENE, END - 1)
    assert bits(verdict.lasts_ns) == END + 6 + DELIMITER
    assert (verdict.sent, verdict.heard) == (False, True)
    assert seen_wrong_by_one(SCENE, END - 1) is None  # a receiver does not care


def test_a_wrong_crc_at_one_receiver_is_told_after_the_acknowledge_delimiter() -> None:
    """Found by its stuffing or, if that holds, by its CRC; then everybody else sees a flag in the end of frame."""
    bit = next(
        bit
        for bit in range(WRITTEN.open + 4, SLOT - 20)
        if (verdict := seen_wrong_by_one(SCENE, bit)) is not None
        and bits(verdict.lasts_ns) == SLOT + 2 + 1 + 6 + DELIMITER
    )
    verdict = seen_wrong_by_one(SCENE, bit)
    assert verdict is not None
    # Flag of the victim from SLOT + 2, the first bit of the end of frame, in which the others see a form error.
    assert (verdict.sent, verdict.heard, verdict.missed, verdict.first) == (False, False, True, True)
    alone = seen_wrong_by_one(replace(SCENE, receivers=False), bit)
    assert alone is not None  # it was the only one to acknowledge, and did not
    assert bits(alone.lasts_ns) == SLOT + 2 + 6 + DELIMITER
    passive = seen_wrong_by_one(replace(SCENE, victim_active=False), bit)
    assert passive is not None
    assert (bits(passive.lasts_ns), passive.sent, passive.missed) == (END + 3, True, True)


def test_a_sender_that_vanishes_leaves_a_stuff_error_or_nothing() -> None:
    bit = WRITTEN.open + 20
    verdict = broken_off(SCENE, bit)
    equal = 1 if WRITTEN.bits[bit - 1] == 1 else 0
    assert bits(verdict.lasts_ns) == bit + (6 - equal) + 6 + DELIMITER
    assert not verdict.heard
    assert broken_off(SCENE, SLOT).heard
    assert bits(broken_off(SCENE, SLOT).lasts_ns) == END + 3
    assert bits(broken_off(replace(SCENE, receivers=False), bit).lasts_ns) == bit + DELIMITER


def test_a_collision_ends_at_the_first_recessive_bit_after_the_loser_s_flag() -> None:
    bit = next(bit for bit in range(WRITTEN.open, SLOT) if WRITTEN.bits[bit : bit + 2] == (0, 1))
    verdict = collided(SCENE, bit, loser_active=True)
    assert verdict is not None
    # The loser's flag begins at bit + 1, where the winner is recessive; receivers need six dominant bits.
    equal = next(count for count in range(6) if WRITTEN.bits[bit - count] == 1)
    assert bits(verdict.lasts_ns) == bit + 1 + (6 - equal) + 6 + DELIMITER
    assert collided(SCENE, bit, loser_active=False) is None


@pytest.mark.parametrize("brs", [False, True])
def test_an_error_in_fd_data_goes_on_at_the_nominal_rate(brs: bool) -> None:
    frame = CanFrame(0x15555555, b"\x55" * 64, fd=True, brs=brs)
    written, durations = write(frame), Durations(BusSpeed(500_000, 2_000_000))
    bit = written.open + 100
    assert written.bits[bit - 1 : bit + 2] in {(0, 1, 0), (1, 0, 1)}
    equal = 2 if written.bits[bit] == 1 else 0
    verdict = seen_wrong_by_all(Scene(written, durations), bit)
    fast = 500 if brs else BIT
    head = written.fast[0] if brs else 0
    assert verdict.lasts_ns == head * BIT + (bit + 1 - head + 6 - equal) * fast + (6 + DELIMITER) * BIT
