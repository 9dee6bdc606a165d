"""ISO-TP against stock can-isotp (TransportLayerLogic), in one process: each way, classic and CAN FD."""

from collections import deque

import isotp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uptane.link.can_frame import CanFrame
from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import (
    Effect,
    Fault,
    FramesHeard,
    FramesSent,
    IsoTpSettings,
    LinkError,
    MessageReceived,
    Send,
    SendFrames,
)
from uptane.moments import Instant

pytestmark = pytest.mark.peer

OURS, THEIRS = 0x01, 0xF1
STEPS_MAX = 20_000


class Pair:
    """Our machine and can-isotp's, each frame of one handed to the other."""

    def __init__(self, own: IsoTpSettings, **theirs: object) -> None:
        self.machine = IsoTp(OURS, own)
        self.received: list[bytes] = []
        self.faults: list[Fault] = []
        self.errors: list[Exception] = []
        self.to_peer: deque[isotp.CanMessage] = deque()
        address = isotp.Address(
            isotp.AddressingMode.NormalFixed_29bits,
            target_address=OURS,
            source_address=THEIRS,
            physical_id=0x1CDA0000,
            functional_id=0x1CDB0000,
        )
        params: dict[str, object] = {"blocksize": 8, "wftmax": 4, **theirs}
        if own.fd:
            params |= {"can_fd": True, "tx_data_length": own.data_length, "bitrate_switch": own.brs}
        self.peer = isotp.TransportLayerLogic(
            rxfn=lambda _timeout: self.to_peer.popleft() if self.to_peer else None,
            txfn=self._from_peer,
            address=address,
            error_handler=self.errors.append,
            params=params,
        )

    def handle(self, event: FramesHeard | FramesSent | Send) -> None:
        self._carry_out(list(self.machine.handle(event, Instant(0))))

    def until_quiet(self) -> None:
        for _ in range(STEPS_MAX):
            stats = self.peer.process()
            if not stats.sent and not stats.received and not self.to_peer:
                return
        raise AssertionError("never quiet")

    def _from_peer(self, message: isotp.CanMessage) -> None:
        frame = CanFrame(message.arbitration_id, bytes(message.data), message.is_fd, message.bitrate_switch)
        self.handle(FramesHeard([frame]))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendFrames(frames=frames, ticket=ticket):
                    for can_id, data, fd, brs in frames:
                        self.to_peer.append(
                            isotp.CanMessage(
                                arbitration_id=can_id, data=data, extended_id=True, is_fd=fd, bitrate_switch=brs
                            )
                        )
                    if ticket:
                        self.handle(FramesSent(ticket))
                case MessageReceived(octets=octets):
                    self.received.append(octets)
                case LinkError(fault=fault):
                    self.faults.append(fault)


SETTINGS = {
    "classic": IsoTpSettings(message_length_max=6_000),
    "classic, unpadded, short blocks": IsoTpSettings(padding=None, block_size=3, message_length_max=6_000),
    "fd of 64": IsoTpSettings(data_length=64, fd=True, brs=True, message_length_max=6_000),
    "fd of 24": IsoTpSettings(data_length=24, fd=True, message_length_max=6_000),
}
either = pytest.mark.parametrize("own", SETTINGS.values(), ids=SETTINGS)


@either
@given(length=st.integers(1, 300) | st.integers(4_000, 6_000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_we_send_can_isotp_receives(own: IsoTpSettings, length: int) -> None:
    pair = Pair(own, max_frame_size=6_000)
    message = bytes(at * 7 & 0xFF for at in range(length))
    pair.handle(Send(THEIRS, message))
    pair.until_quiet()
    assert bytes(pair.peer.recv() or b"") == message
    assert (pair.errors, pair.faults) == ([], [])


@either
@given(length=st.integers(1, 300) | st.integers(4_000, 6_000), padding=st.sampled_from([None, 0x55]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_can_isotp_sends_we_receive(own: IsoTpSettings, length: int, padding: int | None) -> None:
    pair = Pair(own, tx_padding=padding)
    message = bytes(at * 7 & 0xFF for at in range(length))
    pair.peer.send(message)
    pair.until_quiet()
    assert pair.received == [message]
    assert (pair.errors, pair.faults) == ([], [])
    assert pair.machine.ignored == 0


def test_too_long_a_message_is_refused_in_both_languages() -> None:
    pair = Pair(IsoTpSettings(), max_frame_size=100)
    pair.handle(Send(THEIRS, bytes(101)))
    pair.until_quiet()
    assert pair.faults == [Fault.PEER_OVERFLOW]
    pair.peer.send(bytes(4_096))
    pair.until_quiet()
    assert [type(error) for error in pair.errors] == [isotp.FrameTooLongError, isotp.OverflowError]


def test_a_functional_message_of_can_isotp_is_heard() -> None:
    machine = IsoTp(OURS, IsoTpSettings())
    address = isotp.Address(
        isotp.AddressingMode.NormalFixed_29bits,
        target_address=0x33,
        source_address=THEIRS,
        functional_id=0x1CDB0000,
    )
    frames: list[CanFrame] = []
    peer = isotp.TransportLayerLogic(
        rxfn=lambda _timeout: None,
        txfn=lambda message: frames.append(CanFrame(message.arbitration_id, bytes(message.data))),
        address=address,
    )
    peer.send(b"\x3e\x80", target_address_type=isotp.TargetAddressType.Functional)
    peer.process()
    assert machine.handle(FramesHeard(frames), Instant(0)) == [MessageReceived(THEIRS, b"\x3e\x80", functional=True)]
