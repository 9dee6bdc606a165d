"""Testers that share a channel, frames lost on purpose, and alarms that ring while somebody waits."""

import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from rig.bus import Bus
from rig.journal import Journal
from rig.settings import EcuSettings, load
from rig.tester import Tester
from tests.rig.test_settings import GOOD
from uptane.link.can_frame import Address, CanFrame, can_id_of
from uptane.link.uds_client import Silent
from uptane.shell.can_port import CanSettings
from uptane.shell.can_wire import Arrival


class Echo:
    """A wire whose far end answers each single frame at once: with 7E 00, or with nothing when it is `mute`."""

    def __init__(self) -> None:
        self.heard_at_start = False
        self.malformed = 0
        self.mute = False
        self.put_frames: list[CanFrame] = []
        self.arrivals: list[Arrival] = []
        self.near, self.far = socket.socketpair()  # readable while something has come, as an interface is

    def fileno(self) -> int | None:
        return self.near.fileno()

    def put(self, frame: CanFrame, start_ns: int) -> bool:
        self.put_frames.append(frame)
        if not self.mute:
            answer = can_id_of(Address(frame.can_id & 0xFF, frame.can_id >> 8 & 0xFF))
            self.far.send(b"!")
            self.arrivals.append((CanFrame(answer, b"\x02\x7e\x00" + b"\xaa" * 5), start_ns, True))
        return True

    def take(self, now_ns: int) -> list[Arrival]:
        arrivals, self.arrivals = self.arrivals, []
        if arrivals:
            self.near.recv(len(arrivals))
        return arrivals

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
def ecu(tmp_path: Path) -> EcuSettings:
    (tmp_path / "rig.toml").write_text(GOOD)
    return load(tmp_path / "rig.toml").ecus[0]


@pytest.fixture
def wire() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


@pytest.fixture
def bus(wire: Echo) -> Bus:
    return Bus(CanSettings("virtual", "x", paced=False), Journal(), lambda: wire)


def test_what_one_tester_fetches_another_hears_at_once(ecu: EcuSettings, bus: Bus) -> None:
    """The frame for one may come in while another takes its turn: nobody waits for a deadline then."""
    testers = [Tester(bus, ecu, None, own) for own in (0xF1, 0xF2, 0xF3)]
    for tester in testers:
        began = time.monotonic()
        for _ in range(20):
            assert tester.ask(b"\x3e\x00") == b"\x7e\x00"
        assert time.monotonic() - began < 20 * tester.answer_ms / 2_000
    for tester in testers:
        tester.close()


def test_frames_are_lost_both_ways(ecu: EcuSettings, bus: Bus, wire: Echo) -> None:
    tester = Tester(bus, ecu, None)
    answered: Sequence[bool]
    with bus.lossy(0.5, Random(3)):
        answered = [tester.message(b"\x3e\x00", 1) is not None for _ in range(100)]
    assert 10 < sum(answered) < 45
    assert 30 < len(wire.put_frames) < 70
    assert bus.journal.dropped > 50
    assert tester.message(b"\x3e\x00", 50) == b"\x7e\x00", "and then no more"
    assert len([each for each in bus.journal.frames if each.sent]) == len(wire.put_frames), "what is lost is not traced"


class Rang(Exception):
    pass


def test_an_alarm_rings_whatever_is_waited_for(ecu: EcuSettings, bus: Bus, wire: Echo) -> None:
    tester = Tester(bus, ecu, None)
    wire.mute = True

    def ring() -> None:
        raise Rang

    bus.alarm(time.monotonic_ns() + 1_000_000, ring)
    with pytest.raises(Rang):
        tester.message(b"\x3e\x00", 60_000)
    tester.reset()
    with pytest.raises(Silent):
        tester.ask(b"\x3e\x00", 1)
    bus.alarm(1 << 62, ring)
    assert bus.no_alarm()
    assert not bus.no_alarm()
