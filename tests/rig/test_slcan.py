"""slcan as the rig reads it: noise is counted, a full line blocks nothing, and python-can at the other end agrees."""

import os
import random
import select
import socket
import tty
from collections.abc import Iterator
from pathlib import Path

import can
import pytest

from rig import bus, slcan
from rig.journal import Journal
from uptane.errors import LinkFailure
from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import DATA_LENGTHS, CanFrame
from uptane.shell.can_port import CanSettings
from uptane.shell.can_wire import Arrival, Option


def settings(channel: str, **options: Option) -> CanSettings:
    return CanSettings("slcan", channel, fd=True, options={"sleep_after_open": 0.0, **options})


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """Our end of a pseudo-terminal, and the name of the other."""
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    for number in (ours, theirs):
        os.close(number)


FRAMES = [
    CanFrame(0x1CDA21F1, b""),
    CanFrame(0x1FFFFFFF, bytes(range(8))),
    CanFrame(0, b"\xff"),
    *(CanFrame(0x1CDA21F1, bytes(length), fd=True, brs=bool(length % 8)) for length in DATA_LENGTHS),
]


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_what_is_written_is_read(frame: CanFrame) -> None:
    assert slcan.parsed(slcan.encoded(frame)[:-1]) == (frame, True)


@pytest.mark.parametrize(
    "text",
    [
        b"T",
        b"T1CDA21F1",
        b"T1CDA21F12AA",
        b"T1CDA21F11AABB",
        b"T1CDA21F1zAA",
        b"T1CDA21F19" + b"00" * 12,
        b"T3FFFFFFF0",
        b"tFFF0",
        b"t1231AA ",
        b"noise T1CDA21F10",
        b"T1CDA21F11\xc3\xa4",
        b"T1CDA21F1-1",
        b"T 1CDA2F10",
        b"\x00",
    ],
)
def test_what_is_no_frame(text: bytes) -> None:
    assert slcan.parsed(text) is None


def test_python_can_agrees(line: tuple[int, str]) -> None:
    """python-can at the other end reads what we write, and we read what it writes."""
    ours, theirs = line
    with can.Bus(theirs, "slcan", bitrate=500_000, sleep_after_open=0.0, ignore_config=True) as peer:
        octets = b""
        for frame in FRAMES:
            os.write(ours, slcan.encoded(frame))
            message = peer.recv(1.0)
            assert message is not None
            assert CanFrame(message.arbitration_id, bytes(message.data), message.is_fd, message.bitrate_switch) == frame
            peer.send(message)
            while not (found := [each for each in octets.split(b"\r")[:-1] if slcan.parsed(each)]):
                octets += os.read(ours, 1_000)
            assert [slcan.parsed(each) for each in found] == [(frame, True)]
            octets = b""


def test_noise_is_counted_and_passed_over(line: tuple[int, str]) -> None:
    ours, theirs = line
    wire = slcan.SlcanWire(settings(theirs))
    dice = random.Random(5)
    frames = []
    for number in range(50):
        frames.append(CanFrame(0x1CDAF121, number.to_bytes(8)))
        noise = bytes(octet for octet in dice.randbytes(30) if octet not in b"\r\a") + b"!\r"
        os.write(ours, noise + slcan.encoded(frames[-1]))
    os.write(ours, b"z\rZ\r\rV1013\r\a")  # what adapters answer
    heard: list[Arrival] = []
    while len(heard) < 50:
        heard += wire.take(0)
    assert [frame for frame, _, _ in heard] == frames
    assert wire.malformed == 50
    os.write(ours, b"x" * 3_000)
    while wire.malformed == 50:
        wire.take(0)
    os.write(ours, b"\r" + slcan.encoded(frames[0]))
    while not (heard := wire.take(0)):
        pass
    assert heard[0][0] == frames[0]
    wire.close()


def test_a_bus_survives_noise_and_a_pulled_plug() -> None:
    """The other end hangs up: what is sent is lost, and the channel is opened again when it is back."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"socket://127.0.0.1:{server.getsockname()[1]}"
        line = bus.Bus(settings(address), Journal())
        station = line.join(0xF1)
        peer, _ = server.accept()
        peer.sendall(b"\xff\xfe\x00garbage\r" * 3)
        while line.malformed < 3:
            station.take(0)
        peer.close()
        while line.up:
            station.take(0)
        assert station.put(CanFrame(1, b""), 0), "lost, as on a cable that was pulled"
        while len(line.journal.events) < 2:
            station.take(1 << 62)
        peer, _ = server.accept()
        assert [event.kind for event in line.journal.events] == ["channel", "channel"]
        assert line.malformed == 3, "what was counted before is kept"
        peer.sendall(slcan.encoded(FRAMES[1]))
        while not (heard := station.take(0)):
            pass
        assert heard[0][0] == FRAMES[1]
        line.close()
        peer.close()


def test_a_line_that_takes_no_more_blocks_nobody(line: tuple[int, str]) -> None:
    ours, theirs = line
    wire = slcan.SlcanWire(settings(theirs))
    frame = CanFrame(0x1CDA21F1, bytes(64), fd=True, brs=True)
    sent = 0
    while wire.put(frame, 0):
        sent += 1
        assert sent < 100_000
    assert wire.busy
    octets = b""
    while octets.count(b"\r") < sent + 4:
        wire.take(0)
        if select.select((ours,), (), (), 0)[0]:
            octets += os.read(ours, 65_536)
    lines = octets.split(b"\r")
    assert lines[:4] == [b"C", b"S6", b"Y2", b"O"]
    assert [slcan.parsed(each) for each in lines[4:-1]] == [(frame, True)] * sent, "no frame was cut in two"
    wire.close()


@pytest.mark.parametrize(("speed", "word"), [(BusSpeed(83_333), "83333"), (BusSpeed(500_000, 4_000_000), "4000000")])
def test_a_speed_no_adapter_knows(speed: BusSpeed, word: str) -> None:
    with pytest.raises(LinkFailure, match=word):
        slcan.opening("slcan x", speed, fd=True)


# ------------------------------------------------------------------------------------------- wrong devices, by name


def refusal(settings: CanSettings) -> str:
    with pytest.raises(LinkFailure) as caught:
        bus.Bus(settings, Journal())
    return str(caught.value)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    told = refusal(settings(str(tmp_path / "ttyACM7")))
    assert "ttyACM7" in told
    assert "is it plugged in?" in told


def test_a_file_that_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert str(tmp_path / "file") in refusal(settings(str(tmp_path / "file")))


def test_nobody_serves_that_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "is what serves this address running?" in refusal(settings(f"socket://127.0.0.1:{port}"))


def test_an_option_nobody_knows() -> None:
    assert "sleep_after_open and rtscts" in refusal(settings("/dev/null", colour="red"))


def test_an_interface_nobody_knows() -> None:
    told = refusal(CanSettings("carrier-pigeon", "x"))
    assert "python-can's list" in told


def test_socketcan_that_is_not_there() -> None:
    told = refusal(CanSettings("socketcan", "can77"))
    assert "can77" in told
    assert "ip -details link show type can" in told or "kernel has no CAN" in told


def test_no_permission() -> None:
    text = "CAN slcan /dev/ttyACM0: no permission ([Errno 13])"
    assert "dialout" in bus.advice(text, settings("/dev/ttyACM0"))
