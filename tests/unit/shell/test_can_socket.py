"""Frames as the kernel has them, its filters, and what an interface that is not there is called. No kernel is asked."""

from __future__ import annotations

import struct

import pytest

from uptane.errors import LinkFailure
from uptane.link.can_frame import CAN_ID_MAX, Address, CanFrame, address_of, can_id_of
from uptane.shell import can_socket
from uptane.shell.can_port import CanSettings, open_can_port
from uptane.shell.can_socket import EFF_FLAG, ERR_FLAG, RTR_FLAG, SocketWire, filters, packed

OWN = 0x21


class Kernel:
    """A raw socket without a kernel: what `sent` takes and `heard` gives."""

    def __init__(self, *heard: bytes) -> None:
        self.heard = list(heard)
        self.sent: list[bytes] = []
        self.failure: OSError | None = None

    def send(self, octets: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(octets)

    def recv(self, length: int) -> bytes:
        if not self.heard:
            raise self.failure or BlockingIOError
        return self.heard.pop(0)[:length]


def wire(kernel: Kernel) -> SocketWire:
    made = SocketWire.__new__(SocketWire)
    made._name, made._socket, made.malformed = "socketcan can0", kernel, 0  # type: ignore[assignment]
    made._came_ns = {}
    return made


def passes(can_id: int, own: int) -> bool:
    """As net/can/af_can.c compares."""
    found = filters(own)
    return any(
        can_id & mask == wanted & mask for wanted, mask in (struct.unpack_from("=II", found, at) for at in (0, 8))
    )


def test_the_kernel_lets_through_what_is_for_this_ecu_and_nothing_else() -> None:
    for source in (0x00, 0xF0, 0xF1, 0xFF):
        for priority in range(8):
            physical = can_id_of(Address(OWN, source)) & 0x03FF_FFFF | priority << 26
            functional = can_id_of(Address(0x33, source, functional=True)) & 0x03FF_FFFF | priority << 26
            assert address_of(physical) == Address(OWN, source)
            assert passes(EFF_FLAG | physical, OWN)
            assert passes(EFF_FLAG | functional, OWN)
            assert not passes(EFF_FLAG | physical, OWN + 1)
            assert not passes(EFF_FLAG | RTR_FLAG | physical, OWN)
    assert not any(passes(can_id, OWN) for can_id in range(0x800)), "no 11-bit frame wakes us"
    assert not passes(EFF_FLAG | can_id_of(Address(0x34, 1, functional=True)), OWN)


@pytest.mark.parametrize(
    "frame",
    [
        CanFrame(CAN_ID_MAX, b""),
        CanFrame(1, b"12345678"),
        CanFrame(2, bytes(64), fd=True, brs=True),
        CanFrame(3, bytes(12), fd=True),
    ],
    ids=lambda frame: f"{len(frame.data)} octets{' fd' if frame.fd else ''}",
)
def test_a_frame_comes_back_as_it_was_packed(frame: CanFrame) -> None:
    octets = packed(frame)
    assert len(octets) == (72 if frame.fd else 16)
    [(heard, came, extended)] = wire(Kernel(octets)).take(7)
    assert (heard, came, extended) == (frame, 7, True)


def test_what_is_no_data_frame_is_passed_over() -> None:
    remote = struct.pack("=IB3x8x", EFF_FLAG | RTR_FLAG | 5, 0)
    too_long = struct.pack("=IB3x8x", EFF_FLAG | 5, 9)
    odd_fd = struct.pack("=IB3x64x", EFF_FLAG | 5, 13)
    standard = struct.pack("=IB3x8x", 0x123, 2)
    here = wire(Kernel(remote, too_long, odd_fd, standard))
    [(heard, _, extended)] = here.take(0)
    assert (heard, extended) == (CanFrame(0x123, bytes(2)), False)
    assert here.malformed == 2


def test_bus_off_is_a_failure_with_what_to_do_and_error_passive_a_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    passive = struct.pack("=IB3x8s", ERR_FLAG | 0x04, 8, b"\x00\x20")
    restarted = struct.pack("=IB3x8s", ERR_FLAG | 0x100, 8, b"")
    lost = struct.pack("=IB3x8s", ERR_FLAG | 0x04, 8, b"\x00\x01")
    assert wire(Kernel(passive, restarted, lost)).take(0) == []
    assert [record.message.partition(": ")[2][:13] for record in caplog.records] == [
        "error-passive",
        "the controlle",
        "the controlle",
    ]
    off = struct.pack("=IB3x8s", ERR_FLAG | 0x40, 8, b"")
    with pytest.raises(LinkFailure, match=r"bus-off.*wiring, termination, bit rate.*restart-ms"):
        wire(Kernel(off)).take(0)


def test_frames_that_are_lost_all_the_time_do_not_fill_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    lost = struct.pack("=IB3x8s", ERR_FLAG | 0x04, 8, b"\x00\x01")
    here = wire(Kernel(*[lost] * 300))
    assert here.take(0) == here.take(1) == []
    assert [record.getMessage() for record in caplog.records] == [
        "CAN socketcan can0: the controller lost frames: it was not read in time"
    ]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (19, "no such interface .*is its driver loaded"),
        (100, "the interface is down .*ip link set can0 up type can"),
        (97, "this kernel has no CAN .*modprobe can-raw"),
    ],
)
def test_an_interface_that_cannot_be_used_is_said_with_what_to_do(number: int, words: str) -> None:
    kernel = Kernel()
    kernel.failure = OSError(number, "it says")
    with pytest.raises(LinkFailure, match=words):
        wire(kernel).take(0)
    with pytest.raises(LinkFailure, match=words):
        wire(kernel).put(CanFrame(1, b""), 0)


def test_a_full_queue_is_tried_again() -> None:
    kernel = Kernel()
    kernel.failure = OSError(105, "No buffer space available")
    assert not wire(kernel).put(CanFrame(1, b""), 0)


def test_a_kernel_without_can_or_an_interface_that_is_not_there_is_refused_when_it_is_opened() -> None:
    with pytest.raises(LinkFailure, match=r"modprobe can-raw|is its driver loaded"):
        open_can_port(CanSettings("socketcan", "nocan99"), OWN)


def test_error_frames_of_single_damaged_frames_are_not_asked_for() -> None:
    """CAN_ERR_PROT, _BUSERROR and _ACK come by the thousand from a bus that is disturbed."""
    assert can_socket._ASKED & (0x08 | 0x20 | 0x80) == 0
