"""Interfaces by python-can: virtual buses, a serial adapter with a noisy line, and those that are not there."""

import errno
import os
import pty
import select
import tty
from collections.abc import Iterator
from dataclasses import dataclass

import can
import pytest

from tests.unit.shell.can_groups import WAIT_S, wait_until
from uptane.errors import LinkFailure
from uptane.link.can_frame import Address, CanFrame, can_id_of
from uptane.link.isotp_values import SendFrames
from uptane.shell.can_port import CanPort, CanSettings, open_can_port
from uptane.shell.can_wire import failure

PRIMARY, BRAKE = 0xF0, 0x01
REQUEST = CanFrame(can_id_of(Address(BRAKE, PRIMARY)), bytes.fromhex("023E00AAAAAAAAAA"))
ANSWER = CanFrame(can_id_of(Address(PRIMARY, BRAKE)), bytes.fromhex("027E00AAAAAAAAAA"))


def all_heard(port: CanPort, count: int) -> list[CanFrame]:
    heard: list[CanFrame] = []

    def done() -> bool:
        heard.extend(port.exchange().frames)
        return len(heard) >= count

    wait_until(done, port)
    return heard


@pytest.mark.parametrize("fd", [False, True], ids=["classic", "fd"])
def test_frames_cross_a_virtual_bus(fd: bool, request: pytest.FixtureRequest) -> None:
    settings = CanSettings("virtual", request.node.nodeid, fd=fd)
    one, other = open_can_port(settings, PRIMARY), open_can_port(settings, BRAKE)
    assert one.fileno() is None
    frame = REQUEST._replace(data=bytes(range(64)), fd=True, brs=True) if fd else REQUEST
    one.send(SendFrames([frame], 3, 0))
    assert list(one.exchange().tickets) == [3]
    assert all_heard(other, 1) == [frame]
    assert other.heard == one.sent
    one.close()
    other.close()


@dataclass(frozen=True)
class Adapter:
    """The far end of a serial line with an slcan adapter on it."""

    line: int
    port: CanPort

    def says(self, octets: bytes) -> None:
        os.write(self.line, octets)

    def told(self, text: bytes) -> bytes:
        """What the port told the adapter, up to `text`."""
        octets = b""
        while text not in octets:
            assert select.select([self.line], [], [], WAIT_S)[0], octets
            octets += os.read(self.line, 4096)
        return octets


@pytest.fixture
def adapter() -> Iterator[Adapter]:
    line, far = pty.openpty()
    tty.setraw(far)
    settings = CanSettings("slcan", os.ttyname(far), options={"sleep_after_open": 0.0})
    port = open_can_port(settings, PRIMARY)
    yield Adapter(line, port)
    port.close()
    os.close(line)
    os.close(far)


def test_an_adapter_is_opened_at_the_bit_rate_and_carries_frames(adapter: Adapter) -> None:
    assert b"S6\r" in adapter.told(b"O\r")
    adapter.port.send(SendFrames([REQUEST], 1, 0))
    assert list(adapter.port.exchange().tickets) == [1]
    assert b"T1CDA01F08023E00AAAAAAAAAA\r" in adapter.told(b"AA\r")
    adapter.says(b"Z\rT1CDAF0018027E00AAAAAAAAAA\r")
    assert all_heard(adapter.port, 1) == [ANSWER]


NOISE = {
    "no hexadecimal": b"T1CDAF0018027E00XXAAAAAAAA\r",
    "identifier cut short": b"T1CDA\r",
    "data cut short": b"T1CDAF0018027E\r",
    "half an octet": b"T1CDAF0018027E00AAAAAAAAA\r",
    "nine octets": b"T1CDAF0019027E00AAAAAAAAAABB\r",
    "identifier of 30 bits": b"TFCDAF0018027E00AAAAAAAAAA\r",
    "identifier with a sign": b"T-CDAF0018027E00AAAAAAAAAA\r",
    "no text at all": b"\xff\xfe\x80\r",
    "length no digit": b"T1CDAF001Z027E00AAAAAAAAAA\r",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_noise_on_the_line_is_counted_and_the_next_frame_is_heard(adapter: Adapter, noise: bytes) -> None:
    adapter.says(noise)
    wait_until(lambda: adapter.port.exchange().frames == [] and adapter.port.malformed == 1, adapter.port)
    adapter.says(b"T1CDAF0018027E00AAAAAAAAAA\r")
    assert all_heard(adapter.port, 1) == [ANSWER]


def test_an_adapter_that_is_unplugged_is_a_link_failure() -> None:
    line, far = pty.openpty()
    tty.setraw(far)
    port = open_can_port(CanSettings("slcan", os.ttyname(far), options={"sleep_after_open": 0.0}), PRIMARY)
    os.close(far)
    os.close(line)
    with pytest.raises(LinkFailure, match="slcan"):  # noqa: PT012
        for _ in range(3):
            port.send(SendFrames([REQUEST], 0, 0))
            port.exchange()
    port.close()


@pytest.mark.parametrize(
    ("interface", "channel", "options", "words"),
    [
        ("socketcan", "nosuchcan0", {}, "no such interface|this kernel has no CAN"),
        ("slcan", "/dev/no-such-line", {}, "no such device"),
        ("slcan", "", {}, "serial port"),
        ("no-such-interface", "0", {}, "no-such-interface"),
        ("virtual", "x", {"receive_own_messages": True, "channel": "y"}, "virtual x"),
    ],
)
def test_what_is_not_there_is_said_in_words(
    interface: str, channel: str, options: dict[str, str | bool], words: str
) -> None:
    with pytest.raises(LinkFailure, match=words):
        open_can_port(CanSettings(interface, channel, options=options), PRIMARY)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENETDOWN, "the interface is down"),
        (errno.ENODEV, "no such interface"),
        (errno.EACCES, "no permission"),
        (errno.EPERM, "no permission"),
        (errno.EAFNOSUPPORT, "this kernel has no CAN"),
    ],
)
def test_the_usual_failures_have_words_however_deep_they_lie(number: int, words: str) -> None:
    plain = OSError(number, "as the system says it")
    wrapped = can.CanOperationError("wrapped", number)
    buried = can.CanInitializationError("buried")
    buried.__cause__ = plain
    for error in (plain, wrapped, buried):
        assert words in str(failure("can0", error))
    assert str(failure("can0", ValueError("odd"))) == "CAN can0: odd"
