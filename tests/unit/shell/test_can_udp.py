"""CAN by multicast: python-can's datagrams octet for octet, whatever comes, between ports, peers and processes."""

import select
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import can
import isotp
import msgpack
import pytest
from can.interfaces.udp_multicast import UdpMulticastBus
from can.interfaces.udp_multicast.utils import pack_message, unpack_message
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.shell.can_groups import WAIT_S, settings_of_own_group, wait_until
from uptane.errors import LinkFailure
from uptane.link.can_frame import CAN_ID_MAX, DATA_LENGTHS, Address, CanFrame, can_id_of
from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import (
    Effect,
    FramesHeard,
    FramesSent,
    IsoTpSettings,
    MessageReceived,
    Send,
    SendFrames,
)
from uptane.moments import Instant
from uptane.shell.can_port import CanPort, CanSettings, open_can_port
from uptane.shell.can_udp import BELIEVED_NS, pack, unpack

NOW_NS = 5_000_000_000_000
PRIMARY, BRAKE = 0xF0, 0x01

frames = st.one_of(
    st.builds(CanFrame, st.integers(0, CAN_ID_MAX), st.binary(max_size=8), st.just(False), st.just(False)),
    st.builds(
        CanFrame,
        st.integers(0, CAN_ID_MAX),
        st.sampled_from(DATA_LENGTHS).flatmap(lambda length: st.binary(min_size=length, max_size=length)),
        st.just(True),
        st.booleans(),
    ),
)


def message_of(frame: CanFrame, *, extended: bool = True, timestamp: float = 0.0) -> can.Message:
    return can.Message(
        arbitration_id=frame.can_id,
        is_extended_id=extended,
        data=frame.data,
        is_fd=frame.fd,
        bitrate_switch=frame.brs,
        timestamp=timestamp,
    )


# ------------------------------------------------------------------------------------------------------ datagrams


@given(frames)
def test_our_datagrams_are_python_cans(frame: CanFrame) -> None:
    ours = pack(frame, NOW_NS)
    if frame.can_id > 0xFFFF:  # below, ours has the same value in more octets
        assert ours == pack_message(message_of(frame, timestamp=NOW_NS / 1e9))
    read = unpack_message(ours, check=True)
    assert (read.arbitration_id, bytes(read.data), read.is_fd, read.bitrate_switch) == tuple(frame)
    assert read.is_extended_id


@given(frame=frames, extended=st.booleans())
def test_python_cans_datagrams_are_ours(frame: CanFrame, extended: bool) -> None:
    if not extended:
        frame = frame._replace(can_id=frame.can_id & 0x7FF)
    assert unpack(pack_message(message_of(frame, extended=extended)), NOW_NS) == (frame, NOW_NS, extended)


@pytest.mark.parametrize(
    ("claimed_ns", "believed"),
    [
        (NOW_NS, True),
        (NOW_NS - 1_000_000, True),
        (NOW_NS - BELIEVED_NS, True),
        (NOW_NS - BELIEVED_NS - 1_000, False),
        (NOW_NS + 1_000, False),
        (0, False),
    ],
)
def test_the_start_of_a_frame_is_believed_only_within_the_last_moments(claimed_ns: int, believed: bool) -> None:
    arrival = unpack(pack(CanFrame(0x1CDA01F0, b"\x01\x02"), claimed_ns), NOW_NS)
    assert arrival is not None
    assert abs(arrival[1] - (claimed_ns if believed else NOW_NS)) <= 1_000


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), -1.0, 1e300])
def test_a_start_that_is_no_time_is_not_believed(number: float) -> None:
    datagram = pack_message(message_of(CanFrame(0x1CDA01F0, b""), timestamp=number))
    assert unpack(datagram, NOW_NS) == (CanFrame(0x1CDA01F0, b""), NOW_NS, True)


@pytest.mark.parametrize("kind", [{"is_remote_frame": True}, {"is_error_frame": True}])
def test_remote_and_error_frames_are_passed_over(kind: dict[str, bool]) -> None:
    assert unpack(pack_message(can.Message(arbitration_id=1, **kind)), NOW_NS) is None


VALID: dict[str, object] = cast("dict[str, object]", msgpack.unpackb(pack(CanFrame(0x1CDAF001, b"\x01\x02"), 0)))
WRONG: dict[str, dict[str, object]] = {
    "identifier of 30 bits": {"arbitration_id": CAN_ID_MAX + 1},
    "negative identifier": {"arbitration_id": -1},
    "identifier of 12 bits": {"arbitration_id": 0x800, "is_extended_id": False},
    "identifier no number": {"arbitration_id": "1"},
    "identifier a boolean": {"arbitration_id": True},
    "length that is not the data's": {"dlc": 3},
    "nine octets": {"dlc": 9, "data": bytes(9)},
    "nine octets of CAN FD": {"dlc": 9, "data": bytes(9), "is_fd": True},
    "sixty-five octets": {"dlc": 65, "data": bytes(65), "is_fd": True},
    "twelve octets, classic": {"dlc": 12, "data": bytes(12)},
    "data a length to allocate": {"dlc": 10**9, "data": 10**9},
    "data a list": {"data": [1, 2]},
    "rate switch in a classic frame": {"bitrate_switch": True},
    "flag no boolean": {"is_fd": 1},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_what_cannot_be_a_frame_is_refused(changes: dict[str, object]) -> None:
    assert unpack(msgpack.packb(VALID), NOW_NS) is not None
    with pytest.raises(ValueError, match=r"no |not the fields"):
        unpack(msgpack.packb(VALID | changes), NOW_NS)


@pytest.mark.parametrize("missing", sorted(VALID.keys() - {"timestamp", "channel", "error_state_indicator"}))
def test_a_datagram_without_one_of_the_fields_is_refused(missing: str) -> None:
    with pytest.raises(ValueError, match="not the fields"):
        unpack(msgpack.packb({name: value for name, value in VALID.items() if name != missing}), NOW_NS)


@given(data=st.binary(max_size=300) | st.tuples(frames, st.integers(0, 250), st.integers(1, 255)))
def test_any_datagram_is_a_frame_or_a_value_error(data: bytes | tuple[CanFrame, int, int]) -> None:
    if not isinstance(data, bytes):
        frame, at, flip = data
        octets = bytearray(pack(frame, NOW_NS))
        octets[at % len(octets)] ^= flip
        data = bytes(octets)
    try:
        arrival = unpack(data, NOW_NS)
    except ValueError:
        return
    if arrival is not None:
        frame, start_ns, extended = arrival
        assert 0 <= frame.can_id <= (CAN_ID_MAX if extended else 0x7FF)
        assert len(frame.data) in DATA_LENGTHS
        assert frame.fd or (len(frame.data) <= 8 and not frame.brs)
        assert NOW_NS - BELIEVED_NS <= start_ns <= NOW_NS


# ---------------------------------------------------------------------------------------------------- on a group


class Ecu:
    """A port and a transport layer, driven by hand."""

    def __init__(self, settings: CanSettings, own: int, how: IsoTpSettings) -> None:
        self.port: CanPort = open_can_port(settings, own)
        self.machine = IsoTp(own, how)
        self.received: list[bytes] = []

    def send(self, peer: int, octets: bytes) -> None:
        self._carry_out(list(self.machine.handle(Send(peer, octets), Instant(0))))

    def turn(self) -> None:
        tickets, heard = self.port.exchange()
        for ticket in tickets:
            self._carry_out(list(self.machine.handle(FramesSent(ticket), Instant(0))))
        self._carry_out(list(self.machine.handle(FramesHeard(heard), Instant(0))))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, SendFrames):
                self.port.send(effect)
            elif isinstance(effect, MessageReceived):
                self.received.append(effect.octets)


HOW = {False: IsoTpSettings(), True: IsoTpSettings(data_length=64, fd=True, brs=True)}


@pytest.mark.parametrize("fd", [False, True], ids=["classic", "fd"])
@pytest.mark.parametrize("paced", [False, True], ids=["unpaced", "paced"])
def test_two_ports_on_a_group_carry_messages_both_ways(fd: bool, paced: bool) -> None:
    settings = settings_of_own_group(fd=fd, paced=paced)
    one, other = Ecu(settings, PRIMARY, HOW[fd]), Ecu(settings, BRAKE, HOW[fd])
    there, back = bytes(range(256)) * 2, bytes(reversed(range(200)))
    one.send(BRAKE, there)
    other.send(PRIMARY, back)

    def done() -> bool:
        one.turn()
        other.turn()
        return other.received == [there] and one.received == [back]

    wait_until(done, one.port, other.port)
    assert one.port.heard.frames == other.port.sent.frames
    assert one.port.heard.bus_ns == other.port.sent.bus_ns
    assert one.port.sent == other.port.heard
    assert one.port.malformed == one.port.overheard.frames == 0
    one.port.close()
    other.port.close()


def test_stock_can_isotp_over_stock_python_can_talks_to_us() -> None:
    settings = settings_of_own_group()
    ours = Ecu(settings, BRAKE, IsoTpSettings())
    port = int(settings.options["port"])
    with UdpMulticastBus(settings.channel, port=port, hop_limit=0, fd=False) as bus:
        address = isotp.Address(
            isotp.AddressingMode.NormalFixed_29bits,
            target_address=BRAKE,
            source_address=0xF1,
            physical_id=0x1CDA0000,
            functional_id=0x1CDB0000,
        )
        stack = isotp.CanStack(bus, address=address, params={"blocksize": 16})
        request, answer = bytes(range(250)), bytes(range(100)) * 3
        stack.send(request)

        def heard() -> bool:
            stack.process(rx_timeout=0.001)
            ours.turn()
            return ours.received == [request]

        wait_until(heard, ours.port)
        ours.send(0xF1, answer)
        answers: list[bytes] = []

        def answered() -> bool:
            stack.process(rx_timeout=0.001)
            ours.turn()
            if (message := stack.recv()) is not None:
                answers.append(bytes(message))
            return bool(answers)

        wait_until(answered, ours.port)
    assert answers == [answer]
    ours.port.close()


def test_noise_on_a_group_is_counted_and_passed_over() -> None:
    settings = settings_of_own_group()
    speaker, listener = open_can_port(settings, BRAKE), open_can_port(settings, PRIMARY)
    frame = CanFrame(can_id_of(Address(PRIMARY, BRAKE)), b"\x01\x3e")
    sender = speaker._wire._sender  # type: ignore[attr-defined]
    sender.send(b"\x00" * 60)
    sender.send(msgpack.packb(VALID | {"dlc": 9}))
    sender.send(pack(frame._replace(data=bytes(12), fd=True), 0))  # a classic port is deaf to CAN FD
    speaker.send(SendFrames([frame], 0, 0))
    speaker.exchange()
    heard: list[CanFrame] = []

    def done() -> bool:
        heard.extend(listener.exchange().frames)
        return bool(heard)

    wait_until(done, listener)
    assert heard == [frame]
    assert listener.malformed == 2
    speaker.close()
    listener.close()


def test_a_port_never_hears_its_own_address_and_the_kernel_sees_to_it() -> None:
    settings = settings_of_own_group()
    port, witness = open_can_port(settings, BRAKE), open_can_port(settings, PRIMARY)
    port.send(SendFrames([CanFrame(can_id_of(Address(PRIMARY, BRAKE)), b"\x01\x3e")] * 3, 0, 0))
    port.exchange()
    wait_until(lambda: witness.exchange().frames != [], witness)
    descriptor = port.fileno()
    assert descriptor is not None
    readable, _, _ = select.select([descriptor], [], [], 0)
    assert port.exchange().frames == []
    assert port.overheard.frames == 0
    if sys.platform == "linux":
        assert readable == []
    port.close()
    witness.close()


CHILD = """
    import select, sys
    from uptane.link.can_frame import Address, CanFrame, can_id_of
    from uptane.link.isotp_values import SendFrames
    from uptane.shell.can_port import CanSettings, open_can_port

    port = open_can_port(CanSettings("udp_multicast", sys.argv[1], paced=False, options={"port": int(sys.argv[2])}), 1)
    print("ready", flush=True)
    while True:
        select.select([port.fileno()], [], [], 30 if port.wake_ns() is None else 0)
        for frame in port.exchange().frames:
            if frame.data == b"end":
                sys.exit(0)
            back = CanFrame(can_id_of(Address(frame.can_id & 0xFF, 1)), frame.data[::-1])
            port.send(SendFrames([back], 0, 0))
"""


@contextmanager
def _killed(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave nothing running, whatever failed."""
    try:
        yield
    finally:
        child.kill()


@pytest.mark.process
def test_two_processes_hear_each_other() -> None:
    settings = settings_of_own_group()
    arguments = [sys.executable, "-c", textwrap.dedent(CHILD), settings.channel, str(settings.options["port"])]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child, _killed(child):
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        port = open_can_port(settings, PRIMARY)
        to_child = can_id_of(Address(BRAKE, PRIMARY))
        texts = [b"%03d" % at for at in range(200)]
        port.send(SendFrames([CanFrame(to_child, text) for text in texts], 0, 0))
        heard: list[bytes] = []

        def done() -> bool:
            heard.extend(frame.data[::-1] for frame in port.exchange().frames)
            return len(heard) == len(texts)

        wait_until(done, port)
        assert heard == texts
        port.send(SendFrames([CanFrame(to_child, b"end")], 0, 0))
        port.exchange()
        assert child.wait(WAIT_S) == 0
        port.close()


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("channel", ["10.0.0.1", "239.1.2.300", "no such host.invalid", ""])
def test_a_channel_that_is_no_group_is_refused(channel: str) -> None:
    with pytest.raises(LinkFailure, match="udp_multicast"):
        open_can_port(CanSettings("udp_multicast", channel), PRIMARY)


@pytest.mark.parametrize("options", [{"port": "x"}, {"port": 70_000}, {"hop_limit": "far"}, {"colour": 1}])
def test_options_that_are_none_are_refused(options: dict[str, int | str]) -> None:
    with pytest.raises(LinkFailure, match="udp_multicast"):
        open_can_port(CanSettings("udp_multicast", "239.1.2.3", options=options), PRIMARY)


def test_a_classic_port_sends_no_fd_frames() -> None:
    port = open_can_port(settings_of_own_group(), PRIMARY)
    port.send(SendFrames([CanFrame(can_id_of(Address(BRAKE, PRIMARY)), bytes(12), fd=True)], 0, 0))
    with pytest.raises(LinkFailure, match="CAN FD"):
        port.exchange()
    port.close()
