"""What may come over the bus, and what a tester says: frames, messages, whole exchanges, as hypothesis draws them."""

import ctypes
from typing import Any

from hypothesis import strategies as st

from tests.firmware.link_pair import OWN, Entry, Pair, Script
from uptane.link.isotp_frame import first_frame, padded, single_frame, single_length_max
from uptane.link.uds_tasks import Interlock
from uptane.link.uds_values import Nrc

PRIMARY, TESTER, THIRD = PEERS = (0xF0, 0xF1, 0x05)
READINGS = {
    0xF190: b"VIN",
    0xF18C: b"e" * 64,
    0xF195: b"f" * 128,
    0xFD00: bytes(range(90)),
    0xFD02: b"n" * 16,
    0xFD03: b"\x0d\x01",
}
REPORT = bytes(range(256)) * 2 + b"report" * 8  # 560 octets: on a classic bus more frames than a block of 64
OPEN = {"default": "1001", "programming": "1002", "extended": "1003"}


def words(text: str) -> list[bytes]:
    """Messages in hex, as octets."""
    return [bytes.fromhex(word) for word in text.split()]


def download(address: int, size: int) -> bytes:
    return b"\x34\x00\x44" + address.to_bytes(4) + size.to_bytes(4)


def flow_of(status: int, block_size: int, separation: int) -> bytes:
    return bytes([0x30 | status, block_size, separation])


def physical(peer: int, target: int = OWN) -> int:
    return 0x18DA0000 | target << 8 | peer


def frames_of(message: bytes, length: int = 8) -> list[bytes]:
    """The frames of `length` octets in which a sender sends `message`."""
    if len(message) <= single_length_max(length):
        return [padded(single_frame(message), 0xCC)]
    frames = [first_frame(message, length)]
    step, start = length - 1, length - (2 if len(message) <= 0xFFF else 6)
    for number, at in enumerate(range(start, len(message), step), 1):
        frames.append(padded(bytes([0x20 | number % 16]) + message[at : at + step], 0xCC))
    return frames


class Bus(Pair):
    """A pair, and testers who ask it."""

    def __init__(self, built: ctypes.CDLL, **script: Any) -> None:
        fd = script.pop("fd", False)
        super().__init__(built, fd=fd, script=Script(readings=READINGS, **script))

    def ask(self, message: str | bytes, peer: int = PRIMARY, *, group: bool = False, length: int = 8) -> list[Entry]:
        """Send a message, and flow control for the answer; what came of it."""
        octets = bytes.fromhex(message) if isinstance(message, str) else message
        seen: list[Entry] = []
        for frame in frames_of(octets, length):
            seen += self.hear(0x1CDB3300 | peer if group else physical(peer), frame)
        while not self.is_quiet(peer):
            seen += self.hear(physical(peer), flow_of(0, 0, 0))
        return seen

    def is_quiet(self, peer: int) -> bool:
        """Whether nothing is on its way to the peer."""
        sender = self.twin._isotp._senders.get(peer)
        return sender is None or sender.deadline() is None

    def said(self, message: str | bytes, peer: int = PRIMARY, *, group: bool = False, length: int = 8) -> str:
        """The messages of the answer, in hex."""
        return said(self.ask(message, peer, group=group, length=length), peer)


def said(entries: list[Entry], peer: int = PRIMARY) -> str:
    """The messages to `peer` in what was done, in hex."""
    messages: list[str] = []
    left, message = 0, b""
    for entry in entries:
        if entry[0] != "frame" or entry[1] >> 8 & 0xFF != peer:
            continue
        data: bytes = entry[3]
        match data[0] >> 4:
            case 0:
                start = 1 if data[0] else 2
                messages.append(data[start : start + data[start - 1]].hex())
            case 1:
                left, message = (data[0] & 0x0F) << 8 | data[1], data[2:]
            case 2:
                message += data[1:]
                if len(message) >= left:
                    messages.append(message[:left].hex())
    return " ".join(messages)


DIDS = st.sampled_from([*READINGS, 0xFD01, 0xF199]).map(lambda did: b"\x22" + did.to_bytes(2))
ADDRESSES = st.one_of(
    st.sampled_from([0, 1, 0xEFFF_FFFF, 0xF0000000, 0xF3000000, 0xFA000000, 0xF9000000, 0xFC000000, 0xF3000001]),
    st.sampled_from([0xF1000000, 0xF8000000, 0xF83F0000, 0xF8400000, 0xF3010000, 0xFB000000, 0xFF000000]),
)
SIZES = st.sampled_from([0, 1, 5, 511, 512, 513, 1_000, 1 << 13, (1 << 13) + 1, 1 << 16, (1 << 16) + 1, 1 << 26])
DOWNLOADS = st.builds(download, ADDRESSES, SIZES)
FIXED = st.sampled_from(
    words(
        "1001 1002 1003 1081 1082 1083 1004 10 3e00 3e80 3e01 1101 1181 1102 280001 280103 288301 280004 280401 8501"
        " 8502 8582 8503 31010203 31810203 3101ff00 3181ff00 3101ff01 3181ff01 3101020200 31010202f0 31010202f3"
        " 31810202fa 31010202fb 31010202fe 31810202fe 31010202f4 3101020201 310102 31010205 3102ff00 3101ff0000"
        " 37 3700 22f1 22f190fd00 2701 00 7f 36 3601 34004400000000"
    )
)
TASKS = st.sampled_from(
    words(
        "3101ff00 3181ff00 3101ff01 3101020200 31010202f3 31010202fe 3181020200 1101 1181 31010203 37 36 1001 1002"
        " 1003 280301 8502 280001"
    )
)
REQUESTS = st.one_of(FIXED, DIDS, DOWNLOADS, FIXED, DOWNLOADS, st.binary(min_size=1, max_size=40))
FRAME_LENGTHS = st.sampled_from([8, 8, 64, 12, 20])
PEER = st.sampled_from([PRIMARY, PRIMARY, PRIMARY, TESTER, THIRD])
FLOW_STATUS = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 15])
SEPARATIONS = st.sampled_from([0, 0, 0, 1, 5, 0x7F, 0x80, 0xF1, 0xF9, 0xFA])
FLOWS = st.tuples(FLOW_STATUS, st.sampled_from([0, 1, 2, 8, 65, 255]), SEPARATIONS)
LONG_DIDS = st.sampled_from([0xF18C, 0xF195, 0xFD00, 0xFD01, 0xFD01]).map(lambda did: b"\x22" + did.to_bytes(2))
FD_LENGTHS = st.sampled_from([12, 16, 20, 24, 32, 48, 64])
EVENTS = st.one_of(
    st.tuples(st.just("ask"), PEER, REQUESTS, FRAME_LENGTHS),
    st.tuples(st.just("ask"), st.just(PRIMARY), TASKS, st.just(8)),
    st.tuples(st.just("ask"), st.just(PRIMARY), TASKS, st.just(8)),
    st.tuples(st.just("group"), PEER, REQUESTS),
    st.tuples(st.just("read"), PEER, LONG_DIDS, st.lists(FLOWS, max_size=20)),
    st.tuples(st.just("load"), PEER, ADDRESSES, st.integers(1, 700)),
    st.tuples(st.just("block"), PEER, st.sampled_from([0, 0, 0, 0, -1, 1]), st.sampled_from([0, 0, 0, 1, 512, 513])),
    st.tuples(st.just("begin"), PEER, st.one_of(REQUESTS, st.binary(min_size=8, max_size=600)), FRAME_LENGTHS),
    st.tuples(st.just("next"), PEER, st.integers(1, 70)),
    st.tuples(st.just("skip"), PEER),
    st.tuples(st.just("flow"), PEER, FLOWS),
    st.tuples(st.just("frame"), PEER, st.binary(max_size=8)),
    st.tuples(st.just("frame"), PEER, FD_LENGTHS.flatmap(lambda size: st.binary(min_size=size, max_size=size))),
    st.tuples(st.just("stray"), st.integers(0, 0x1FFF_FFFF), st.binary(max_size=8)),
    st.tuples(st.just("rest"), st.sampled_from([0, 1, 20, 128, 999, 1_000, 2_500, 4_999, 5_000])),
    st.tuples(st.just("safe"), st.sampled_from([*Interlock, Interlock.SAFE, Interlock.SAFE, Interlock.SAFE])),
    st.tuples(st.just("nrc"), st.sampled_from([None, None, Nrc.CONDITIONS, Nrc.PROGRAMMING, Nrc.DOWNLOAD, Nrc.RANGE])),
    st.tuples(st.just("slow"), st.sampled_from([(0, 0), (0, 0), (3, 10), (30, 300)])),
)
PRIMARY_ASKS = {name: ("ask", PRIMARY, bytes.fromhex(octets), 8) for name, octets in OPEN.items()}
SESSIONS = st.sampled_from(
    [[], [PRIMARY_ASKS["extended"]], [PRIMARY_ASKS["programming"]], [PRIMARY_ASKS["programming"]]]
)


class Player:
    """Plays events to a bus, and keeps what every peer has still to send."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._coming: dict[int, list[bytes]] = {}

    def play(self, event: tuple[Any, ...]) -> None:
        match event:
            case "ask", peer, octets, length:
                self._hear(peer, frames_of(octets, length))
            case "read", peer, octets, flows:
                self._hear(peer, frames_of(octets))
                self._hear(peer, [flow_of(*flow) for flow in flows])
            case "flow", peer, flow:
                self._hear(peer, [flow_of(*flow)])
            case "begin", peer, octets, length:
                self._coming[peer] = frames_of(octets, length)
            case "next", peer, count:
                coming = self._coming.get(peer, [])
                self._hear(peer, coming[:count])
                del coming[:count]
            case "skip", peer:
                del self._coming.get(peer, [])[:1]
            case "block", peer, late, size:
                self._block(peer, late, size)
            case "load", peer, address, size:
                self._load(peer, address, size)
            case _:
                self._play_world(event)

    def _play_world(self, event: tuple[Any, ...]) -> None:
        bus = self._bus
        match event:
            case "group", peer, octets:
                bus.hear(0x18DB3300 | peer, frames_of(octets)[0])
            case "frame", peer, data:
                bus.hear(physical(peer), data)
            case "stray", can_id, data:
                bus.hear(can_id, data)
            case "rest", ms:
                bus.rest(ms)
            case "safe", interlock:
                bus.script.interlock = interlock
            case "nrc", nrc:
                bus.script.nrc = nrc
            case "slow", (breaths, ms):
                bus.script.breaths, bus.script.breath_ms = breaths, ms
            case _:
                raise AssertionError(event)

    def _hear(self, peer: int, frames: list[bytes]) -> None:
        for frame in frames:
            self._bus.hear(physical(peer), frame)

    def _block(self, peer: int, late: int, size: int) -> None:
        """The next block of the transfer under way, `late` counters off; of what is left with `size` 0."""
        transfer = self._bus.twin.server._transfer
        counter = (late + (1 if transfer is None else transfer.next_counter)) & 0xFF
        left = 1 if transfer is None else min(transfer.left, 512)
        self._hear(peer, frames_of(bytes([0x36, counter]) + bytes(size or left), 64 if size % 2 else 8))

    def _load(self, peer: int, address: int, size: int) -> None:
        """A whole transfer, as far as it is taken."""
        self._hear(peer, frames_of(download(address, size)))
        for _ in range(0, size, 512):
            self._block(peer, 0, 0)
        self._hear(peer, frames_of(b"\x37"))


EDITS = st.sampled_from(["as it is"] * 6 + ["lost", "twice", "shorter", "longer", "other number", "other kind"])


def edited(frame: bytes, edit: str) -> list[bytes]:
    match edit:
        case "lost":
            return []
        case "twice":
            return [frame, frame]
        case "shorter":
            return [frame[:-1]]
        case "longer":
            return [frame.ljust(12 if len(frame) < 12 else 64, b"\x55")]
        case "other number":
            return [bytes([frame[0] ^ 0x04]) + frame[1:]]
        case "other kind":
            return [bytes([frame[0] ^ 0x10]) + frame[1:]]
        case _:
            return [frame]
