"""CAN between processes: python-can's `udp_multicast` on the wire, at several times its rate.

Each frame is one datagram, a msgpack map as python-can writes it, so stock python-can programs take part. Ours are
made and read by their fixed shape (the tests hold it against python-can's own); whatever has another shape is read as
the map it is. The map's timestamp, which python-can overwrites on receipt, carries the
monotonic time at which the bus model started the frame: so all our ports on a host agree on one time line, however
late their processes wake. A time that is not within the last moments is not believed.

Every member of a group hears its own frames: an attached socket filter drops those of our own address in the kernel
(as a CAN controller never hears itself); where it cannot be attached, the port drops them.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from typing import NamedTuple

import msgpack

from uptane.errors import LinkFailure
from uptane.link.bus_model import CATCH_UP_NS
from uptane.link.can_frame import CAN_ID_MAX, DATA_LENGTHS, CanFrame
from uptane.shell.can_wire import ARRIVALS_MAX, Arrival, failure

RECEIVE_BUFFER = 1 << 20  # octets asked for; the kernel grants up to net.core.rmem_max
HOP_LIMIT = 0  # no frame leaves the host
PORT = 43_113  # python-can's default
BELIEVED_NS = 2 * CATCH_UP_NS  # how far in the past a frame may claim to have started

_DATAGRAM_MAX = 512  # a frame of 64 octets makes 220
_TIME = struct.Struct(">d")
_LOOPBACK = socket.inet_aton("127.0.0.1")
_ANY = bytes(4)  # the interface that the routes name
_SECOND_NS = 1_000_000_000


class _Shape(NamedTuple):
    """The datagram of a frame of one length and kind, cut at the time, the identifier and the data."""

    before_time: bytes
    before_id: bytes
    before_data: bytes
    after_data: bytes


def _shape(length: int, *, fd: bool, brs: bool) -> _Shape:
    """What python-can writes, 32-bit identifiers being those above 65535."""
    data = b"\xa5" * length
    probe = {
        "timestamp": -1.0,
        "arbitration_id": CAN_ID_MAX,
        "is_extended_id": True,
        "is_remote_frame": False,
        "is_error_frame": False,
        "channel": None,
        "dlc": length,
        "data": data,
        "is_fd": fd,
        "bitrate_switch": brs,
        "error_state_indicator": False,
    }
    packed: bytes = msgpack.packb(probe, use_bin_type=True)
    before_time, rest = packed.split(_TIME.pack(-1.0))
    before_id, rest = rest.split(CAN_ID_MAX.to_bytes(4, "big"))
    at = rest.index(b"data\xc4") + 6
    assert rest[at : at + length] == data
    return _Shape(before_time, before_id, rest[:at], rest[at + length :])


_KINDS = ((False, False), (True, False), (True, True))  # fd, brs
_SHAPES = {
    (length, fd, brs): _shape(length, fd=fd, brs=brs)
    for fd, brs in _KINDS
    for length in DATA_LENGTHS
    if fd or length <= 8
}
_FIRST = _SHAPES[8, False, False]
# Everything before the data: known octets, the time, known octets, the identifier, what tells the length.
_HEAD = struct.Struct(f">{len(_FIRST.before_time)}sd{len(_FIRST.before_id)}sI{len(_FIRST.before_data)}s")
_ID_AT = len(_FIRST.before_time) + _TIME.size + len(_FIRST.before_id)
_FIELDS: dict[str, type] = {
    "arbitration_id": int,
    "is_extended_id": bool,
    "is_remote_frame": bool,
    "is_error_frame": bool,
    "dlc": int,
    "data": bytes,
    "is_fd": bool,
    "bitrate_switch": bool,
}
_LENGTHS = {shape.before_data: length for (length, _, _), shape in _SHAPES.items()}
_KIND_OF = {_SHAPES[8, fd, brs].after_data: (fd, brs) for fd, brs in _KINDS}


def pack(frame: CanFrame, start_ns: int) -> bytes:
    """The datagram of a frame with a 29-bit identifier, as python-can's `pack_message` makes it."""
    shape = _SHAPES[len(frame.data), frame.fd, frame.brs]
    return b"".join(
        (
            shape.before_time,
            _TIME.pack(start_ns / _SECOND_NS),
            shape.before_id,
            frame.can_id.to_bytes(4, "big"),
            shape.before_data,
            frame.data,
            shape.after_data,
        )
    )


def unpack(datagram: bytes, now_ns: int) -> Arrival | None:
    """Read a datagram; None for a remote or error frame. Raises ValueError for what is no frame at all."""
    if len(datagram) < _HEAD.size:
        raise ValueError("too short for a frame")
    before_time, claimed, before_id, can_id, before_data = _HEAD.unpack_from(datagram)
    length = _LENGTHS.get(before_data, -1)
    kind = _KIND_OF.get(datagram[_HEAD.size + length :])
    if (
        length < 0
        or kind is None
        or (length > 8 and not kind[0])
        or before_time != _FIRST.before_time
        or before_id != _FIRST.before_id
        or can_id > CAN_ID_MAX
    ):
        return _unpack_other(datagram, now_ns)
    start_ns = now_ns
    if now_ns - BELIEVED_NS <= claimed * _SECOND_NS <= now_ns:  # also says no to what is no number
        start_ns = int(claimed * _SECOND_NS)
    data = datagram[_HEAD.size : _HEAD.size + length]
    return CanFrame(can_id, data, kind[0], kind[1]), start_ns, True


def _unpack_other(datagram: bytes, now_ns: int) -> Arrival | None:
    """Any other map with python-can's keys; what it holds is looked at before anything is made of it."""
    try:
        fields = msgpack.unpackb(datagram, raw=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise ValueError("no msgpack") from error
    if not isinstance(fields, dict) or any(type(fields.get(name)) is not kind for name, kind in _FIELDS.items()):
        raise ValueError("not the fields of a frame")
    if fields["is_remote_frame"] or fields["is_error_frame"]:
        return None
    frame = CanFrame(fields["arbitration_id"], fields["data"], fields["is_fd"], fields["bitrate_switch"])
    extended: bool = fields["is_extended_id"]
    length = len(frame.data)
    if not 0 <= frame.can_id <= (CAN_ID_MAX if extended else 0x7FF):
        raise ValueError("no identifier")
    if fields["dlc"] != length or (length > 8 and not frame.fd) or length not in DATA_LENGTHS or frame.brs > frame.fd:
        raise ValueError("no length of a frame")
    return frame, now_ns, extended


class UdpWire:
    """A multicast group (IPv4 address in 224.0.0.0/4) as a CAN bus.

    `own` is the address whose frames are our echo; None hears everything, as a monitor does.
    """

    heard_at_start = True

    def __init__(self, group: str, *, port: int, hop_limit: int, fd: bool, own: int | None) -> None:
        self._name = f"udp_multicast {group}:{port}"
        self._fd = fd
        self.malformed = 0
        self._receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            interface = _join(self._receiver, group, port)
            self._sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hop_limit)
            self._sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
            self._sender.connect((group, port))  # spares the kernel and Python the address of each datagram
            self._sender.setblocking(False)
        except (OSError, OverflowError) as error:
            self.close()
            raise failure(self._name, error) from error
        if own is not None:
            self._drop_echo(own)

    def fileno(self) -> int | None:
        """The receiving socket's file descriptor."""
        return self._receiver.fileno()

    def put(self, frame: CanFrame, start_ns: int) -> bool:
        """Send a frame; False when the socket's buffer is full."""
        if frame.fd and not self._fd:
            raise LinkFailure(f"CAN {self._name}: a CAN FD frame for a classic bus")
        try:
            self._sender.send(pack(frame, start_ns))
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                return False
            raise failure(self._name, error) from error
        return True

    def take(self, now_ns: int) -> list[Arrival]:
        """Frames that came in; datagrams that are none are counted and passed over."""
        arrivals: list[Arrival] = []
        receive = self._receiver.recv
        for _ in range(ARRIVALS_MAX):
            try:
                arrival = unpack(receive(_DATAGRAM_MAX), now_ns)
            except BlockingIOError:
                break
            except OSError as error:
                raise failure(self._name, error) from error
            except ValueError:
                self.malformed += 1
                continue
            if arrival is not None and (self._fd or not arrival[0].fd):
                arrivals.append(arrival)
        return arrivals

    def close(self) -> None:
        """Leave the group."""
        self._receiver.close()
        self._sender.close()

    def _drop_echo(self, own: int) -> None:
        """Have the kernel drop frames of normal fixed addressing whose source is `own` (classic BPF, Linux only)."""
        at = 8 + _ID_AT  # behind the UDP header
        program = (
            (0x30, 0, 0, at - 1),  # load the octet that says: a 32-bit integer follows
            (0x15, 0, 5, 0xCE),
            (0x30, 0, 0, at + 1),  # the identifier's second octet: physical or functional
            (0x15, 1, 0, 0xDA),
            (0x15, 0, 2, 0xDB),
            (0x30, 0, 0, at + 3),  # its last octet: the source
            (0x15, 1, 0, own),
            (0x06, 0, 0, 0xFFFF_FFFF),  # take it
            (0x06, 0, 0, 0),  # drop it
        )
        octets = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
        buffer = ctypes.create_string_buffer(octets, len(octets))
        attach = getattr(socket, "SO_ATTACH_FILTER", 26)
        with contextlib.suppress(OSError):  # the port drops what still comes
            packed = struct.pack("HP", len(program), ctypes.addressof(buffer))
            self._receiver.setsockopt(socket.SOL_SOCKET, attach, packed)


def _join(receiver: socket.socket, group: str, port: int) -> bytes:
    """Have a socket hear the group; return the interface it does so on.

    Without a route to the group (a host without network, a fresh network namespace) the loopback interface serves.
    """
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as python-can's, or neither could bind
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    receiver.setblocking(False)
    member = socket.inet_aton(group)
    receiver.bind((group, port))  # to the group: other groups on this port are other buses
    try:
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member + _ANY)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member + _LOOPBACK)
        return _LOOPBACK
    return _ANY
