"""The timers of ISO 14229-2 and 15765-2, measured on the bus: P2, P2*, S3 and N_Cr.

What an adapter and a host add is the rig file's `tolerance_ms`.
"""

from __future__ import annotations

import time
from typing import Final

from rig.tester import Tester
from rig.under_test import UnderTest
from uptane.link.uds_values import P2_MS, P2_STAR_MS, S3_MS, Nrc, Session

READS: Final = 20
POLL_MS: Final = 100
N_CR_MS: Final = 1_000
_MS: Final = 1_000_000


def test_the_first_answer_comes_within_p2(ecu: UnderTest) -> None:
    """Every answer, or "pending", begins within P2."""
    slowest = 0.0
    for _ in range(READS):
        ecu.tester.ask(b"\x22\xfd\x00")
        slowest = max(slowest, latency_ms(ecu.tester))
    ecu.journal.note("note", f"slowest of {READS}: {slowest:.1f} ms")
    assert slowest <= P2_MS + ecu.settings.tolerance_ms


def latency_ms(tester: Tester) -> float:
    """From our last frame to the ECU's first."""
    station = tester.line.station
    assert station.heard_ns is not None
    return (station.heard_ns - station.sent_ns) / _MS


def test_what_it_promises(ecu: UnderTest) -> None:
    """The answer to a session names P2 and P2*, and they are those of the protocol."""
    answer = ecu.tester.ask(b"\x10\x03")
    assert answer == bytes((0x50, 0x03)) + P2_MS.to_bytes(2) + (P2_STAR_MS // 10).to_bytes(2)


def test_pending_comes_within_p2_star(ecu: UnderTest) -> None:
    """While an erase and a hash take their time, "pending" comes within P2 and again within P2*."""
    update = ecu.update()
    update.metadata()
    ecu.tester.session(Session.PROGRAMMING)
    gaps = []
    assert ecu.tester.nrc(b"\x31\x01\xff\x00") is None
    gaps += ecu.tester.pending
    update.image()
    assert ecu.tester.nrc(b"\x31\x01\x02\x02\x00") is None
    gaps += ecu.tester.pending
    ecu.journal.note("note", f"pending after {gaps} ms")
    assert all(gap <= P2_STAR_MS + ecu.settings.tolerance_ms for gap in gaps)


def test_s3(ecu: UnderTest) -> None:
    """A session without a request ends after S3, not before and not much later; until then nobody else gets in."""
    with ecu.second_tester() as other:
        assert ecu.tester.ask(b"\x10\x03")[0] == 0x50
        ecu.tester.reset()  # so that nothing keeps the session any more
        asked, began = ecu.tester.line.station.sent_ns / 1e9, time.monotonic()  # the session opened between the two
        assert other.nrc(b"\x31\x01\xff\x01") == Nrc.BUSY
        held_ms = 0.0
        while other.nrc(b"\x31\x01\xff\x01") == Nrc.BUSY:
            held_ms = (time.monotonic() - began) * 1_000
            assert held_ms <= S3_MS + 2 * ecu.settings.tolerance_ms, "still held"
            other.idle(POLL_MS)
        ended_ms = (time.monotonic() - asked) * 1_000
    ecu.journal.note("note", f"the session was held for {held_ms:.0f} ms at least and {ended_ms:.0f} ms at most")
    assert ended_ms >= S3_MS - ecu.settings.tolerance_ms


def test_s3_is_kept(ecu: UnderTest) -> None:
    """Tester present without an answer keeps the session beyond S3."""
    with ecu.second_tester() as other:
        assert ecu.tester.ask(b"\x10\x03")[0] == 0x50
        ecu.tester.idle(S3_MS + 1_000)
        assert other.nrc(b"\x31\x01\xff\x01") == Nrc.BUSY


def test_a_message_that_breaks_off_is_forgotten(ecu: UnderTest) -> None:
    """A message whose rest never comes is forgotten after N_Cr: the ECU answers the next one as ever."""
    length = 100
    ecu.tester.frames(bytes((0x10, length)) + b"\x36\x01" + bytes(58 if ecu.bus.settings.fd else 4))
    ecu.tester.idle(N_CR_MS + ecu.settings.tolerance_ms)
    ecu.tester.reset()
    assert ecu.tester.ask(b"\x3e\x00") == b"\x7e\x00"
