"""Testers that do what they should not: requests out of order, too long, to nobody, by two at once; and noise.

Each is refused as docs/wire.md says, or ignored as ISO 15765-2 says, and afterwards the ECU is what it was.
"""

from __future__ import annotations

from typing import Final

import pytest

from rig.under_test import UnderTest
from uptane.link.uds_values import Nrc, Session

# What is asked for in which session (None: whichever is open at first), and the code it is refused with.
REQUESTS: Final = (
    ("an unknown service", None, "2e f1 90 00", Nrc.SERVICE),
    ("security access", None, "27 01", Nrc.SERVICE),
    ("an unknown session", None, "10 04", Nrc.SUBFUNCTION),
    ("a session with a tail", None, "10 03 00", Nrc.LENGTH),
    ("a session without a kind", None, "10", Nrc.LENGTH),
    ("another kind of reset", None, "11 03", Nrc.SUBFUNCTION),
    ("an unknown identifier", None, "22 12 34", Nrc.RANGE),
    ("two identifiers", None, "22 fd 00 f1 90", Nrc.LENGTH),
    ("an unknown routine", None, "31 01 12 34", Nrc.RANGE),
    ("stopping a routine", None, "31 02 ff 00", Nrc.SUBFUNCTION),
    ("a check without an option", None, "31 01 02 02", Nrc.LENGTH),
    ("an erase in the default session", None, "31 01 ff 00", Nrc.SERVICE_SESSION),
    ("a reset in the default session", None, "11 01", Nrc.SERVICE_SESSION),
    ("a download in the default session", None, "34 00 44 f3 00 00 00 00 00 00 10", Nrc.SERVICE_SESSION),
    ("a block in the default session", None, "36 01 00", Nrc.SEQUENCE),
    ("an exit in the default session", None, "37", Nrc.SEQUENCE),
    ("silencing in the default session", None, "28 03 01", Nrc.SERVICE_SESSION),
    ("an erase in the extended session", Session.EXTENDED, "31 01 ff 00", Nrc.SERVICE_SESSION),
    ("a reset in the extended session", Session.EXTENDED, "11 01", Nrc.SERVICE_SESSION),
    ("an image in the extended session", Session.EXTENDED, "34 00 44 00 00 00 00 00 00 00 10", Nrc.SERVICE_SESSION),
    ("a compressed download", Session.EXTENDED, "34 10 44 f3 00 00 00 00 00 00 10", Nrc.RANGE),
    ("a short address", Session.EXTENDED, "34 00 22 00 00 00 10", Nrc.LENGTH),
    ("a download of nothing", Session.EXTENDED, "34 00 44 f3 00 00 00 00 00 00 00", Nrc.RANGE),
    ("a Root beyond its limit", Session.EXTENDED, "34 00 44 f0 00 00 00 00 01 00 01", Nrc.RANGE),
    ("Targets beyond their limit", Session.EXTENDED, "34 00 44 f3 00 00 00 00 04 00 01", Nrc.RANGE),
    ("an object not at its beginning", Session.EXTENDED, "34 00 44 f3 00 00 04 00 00 00 10", Nrc.RANGE),
    ("an object nobody knows", Session.EXTENDED, "34 00 44 fc 00 00 00 00 00 00 10", Nrc.RANGE),
    ("a block without a download", Session.EXTENDED, "36 01 00", Nrc.SEQUENCE),
    ("an exit without a download", Session.EXTENDED, "37", Nrc.SEQUENCE),
    ("a check of nothing", Session.EXTENDED, "31 01 02 02 f3", None),
    ("an unknown check", Session.EXTENDED, "31 01 02 02 77", Nrc.RANGE),
    ("silencing an unknown network", Session.EXTENDED, "28 03 07", Nrc.RANGE),
)
NOISE_FRAMES: Final = 200
BLOCK_MAX: Final = 4_093


@pytest.mark.parametrize(
    ("session", "octets", "nrc"),
    [pytest.param(*row[1:], id=row[0].replace(" ", "-")) for row in REQUESTS],
)
def test_request(ecu: UnderTest, session: Session | None, octets: str, nrc: Nrc | None) -> None:
    """A request that is not for now is refused with the code that says so, and nothing has changed."""
    before = ecu.standing()
    if session is not None:
        ecu.tester.session(session)
    found = ecu.tester.nrc(bytes.fromhex(octets))
    assert found is not None
    assert nrc is None or found == nrc
    assert ecu.standing() == before


def test_blocks_out_of_order(ecu: UnderTest) -> None:
    """A wrong block counter is refused and ends nothing; the last block again is acknowledged and written once."""
    ask = ecu.tester.ask
    ecu.tester.session(Session.EXTENDED)
    assert ask(bytes.fromhex("34 00 44 f3 00 00 00 00 00 00 08"))[0] == 0x74
    assert ask(b"\x36\x02abcd") == b"\x7f\x36\x73"
    assert ask(b"\x36\x01abcd") == b"\x76\x01"
    assert ask(b"\x36\x01abcd") == b"\x76\x01"
    assert ask(b"\x37") == b"\x7f\x37\x24"
    assert ask(b"\x36\x02efgh") == b"\x76\x02", "an exit that came too early ends nothing"
    assert ask(b"\x37") == b"\x77"


def test_more_than_was_announced(ecu: UnderTest) -> None:
    """Octets beyond the announced size are refused."""
    ecu.tester.session(Session.EXTENDED)
    assert ecu.tester.ask(bytes.fromhex("34 00 44 f3 00 00 00 00 00 00 08"))[0] == 0x74
    assert ecu.tester.nrc(b"\x36\x01" + bytes(9)) in {Nrc.RANGE, Nrc.SEQUENCE}


def test_a_second_tester_waits(ecu: UnderTest) -> None:
    """Who holds a session keeps it; another may read, and nothing else."""
    with ecu.second_tester() as other:
        ecu.tester.session(Session.EXTENDED)
        assert other.nrc(b"\x10\x03") == Nrc.BUSY
        assert other.nrc(b"\x31\x01\xff\x00") == Nrc.BUSY
        assert other.nrc(b"\x22\xfd\x00") is None
        assert other.nrc(b"\x3e\x00") is None
        ecu.tester.leave()
        assert other.nrc(b"\x10\x03") is None
        other.leave()


def test_to_everybody(ecu: UnderTest) -> None:
    """Functional requests are obeyed where they may be, and refusals of what is unknown are not sent."""
    ecu.tester.message(b"\x3e\x00")
    ecu.tester.frames(b"\x02\x3e\x00", functional=True)
    assert ecu.tester.message(None) == b"\x7e\x00"
    for request in (b"\x02\x3e\x80", b"\x02\x27\x01", b"\x04\x31\x01\xff\x00", b"\x03\x22\x12\x34"):
        ecu.tester.frames(request, functional=True)
        assert ecu.tester.message(None) is None, request.hex(" ")


def test_a_message_beyond_every_length(ecu: UnderTest) -> None:
    """A first frame that announces more than anybody takes is answered with overflow, and the ECU works on."""
    before = len(ecu.journal.frames)
    ecu.tester.frames(b"\x10\x00\x7f\xff\xff\xff" + bytes(58 if ecu.bus.settings.fd else 2), idle_ms=200)
    answers = [each.frame.data[:1] for each in ecu.journal.frames[before:] if not each.sent]
    assert b"\x32" in answers
    assert ecu.tester.ask(b"\x3e\x00") == b"\x7e\x00"


def test_noise(ecu: UnderTest) -> None:
    """Frames of every kind and content: whatever they are, the ECU answers afterwards, and trusts what it trusted."""
    before = ecu.standing()
    longest = 64 if ecu.bus.settings.fd else 8
    for _ in range(NOISE_FRAMES):
        octets = ecu.dice.randbytes(ecu.dice.randrange(longest + 1))
        head = bytes((ecu.dice.randrange(0x40),))
        ecu.tester.frames((head + octets)[:longest], functional=ecu.dice.random() < 0.1)
    ecu.tester.idle(1_000 + ecu.settings.tolerance_ms)
    ecu.tester.reset()
    ecu.tester.awake()
    ecu.tester.leave()
    assert ecu.standing() == before


def test_silence_is_undone(ecu: UnderTest) -> None:
    """Normal messages and fault memory that a tester switched off come back with the default session."""
    ecu.tester.session(Session.EXTENDED)
    assert ecu.tester.nrc(b"\x28\x03\x01") is None
    assert ecu.tester.nrc(b"\x85\x02") is None
    ecu.tester.leave()
    assert ecu.tester.nrc(b"\x28\x00\x01") == Nrc.SERVICE_SESSION
