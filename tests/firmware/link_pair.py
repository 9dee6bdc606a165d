"""The firmware's link beside its Python twins: what one is given the other is given, and both do the same.

`Chip` is the C of firmware/core with link_bench.c behind it, `Twin` is IsoTp and UdsServer with the firmware's limits
of memory and time put upon them, which are where the two differ by design:

- one message longer than 16 octets comes at a time, of the holder of the session if there is one; of 514 at most;
- what goes to a peer is queued in 144 octets, and a second report is not queued: 7F 22 21;
- "pending" is said at once before a check, an erase and a restart, to whoever wants an answer;
- a frame has left when the port has taken it: flow control in the middle of a block is not awaited.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, assert_never

from uptane.link import uds_tasks as uds
from uptane.link.can_frame import Address, CanFrame, address_of, can_id_of
from uptane.link.isotp import IsoTp
from uptane.link.isotp_frame import FirstFrame, FlowControl, read_frame
from uptane.link.isotp_receive import Receiver
from uptane.link.isotp_values import (
    Effect,
    FramesHeard,
    FramesSent,
    IsoTpSettings,
    LinkError,
    MessageReceived,
    MessageSent,
    Send,
    SendFrames,
    Tick,
)
from uptane.link.uds_server import UdsServer
from uptane.link.uds_values import Nrc, Request, is_quiet
from uptane.moments import Instant, after, earliest

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
PARTS = ("isotp", "isotp_receive", "isotp_send", "uds", "uds_request", "uds_tasks")

OWN = 0x21
REQUEST_MAX, BLOCK_MAX, QUEUE_MAX, PEERS_MAX = 16, 514, 144, 3
LOG_MAX = 1 << 20
NEVER = 2**64 - 1

Entry = tuple[Any, ...]
"""What an ECU did: ("frame", identifier, fd, octets), ("task", ...), ("opened", ...), ... in the order done."""

_TASKS = (
    uds.BeginObject,
    uds.BeginImage,
    uds.WriteBlock,
    uds.EndTransfer,
    uds.Erase,
    uds.Verify,
    uds.Dependencies,
    uds.PrepareRestart,
)


@dataclass
class Script:
    """What the ECU behind the link does."""

    interlock: uds.Interlock = uds.Interlock.SAFE
    nrc: Nrc | None = None
    breaths: int = 0
    breath_ms: int = 0
    readings: dict[int, bytes] = field(default_factory=dict)
    report: bytes = b""


def library(folder: Path) -> ctypes.CDLL:
    """The link with its bench, built in `folder`; undefined behaviour ends the process."""
    compiler = shutil.which("gcc")
    assert compiler is not None, "no gcc: firmware/tools/toolchain.sh installs it"
    made = folder / "libmarque_link.so"
    sources = [str(FIRMWARE / "core" / f"{part}.c") for part in PARTS] + [str(Path(__file__).with_name("link_bench.c"))]
    flags = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover"]
    include = [f"-I{FIRMWARE / each}" for each in ("include", "core")]
    subprocess.run([compiler, *flags, *include, "-shared", "-fPIC", *sources, "-o", str(made)], check=True)
    loaded = ctypes.CDLL(str(made))
    loaded.bench_create.restype = ctypes.c_void_p
    for name in ("bench_heard", "bench_tick", "bench_deadline"):
        getattr(loaded, name).restype = ctypes.c_uint64
    return loaded


# ----------------------------------------------------------------------------------------------------------- the C core


class Chip:
    """One boot of the C link."""

    def __init__(self, built: ctypes.CDLL, *, fd: bool, script: Script) -> None:
        self._built = built
        self._bench = ctypes.c_void_p(built.bench_create(OWN, fd))
        self._log = ctypes.create_string_buffer(LOG_MAX)
        self._script = script
        for at, (did, octets) in enumerate(script.readings.items()):
            built.bench_reading(self._bench, at, did, octets, len(octets))
        if script.report:
            self.report(script.report)

    def close(self) -> None:
        self._built.bench_destroy(self._bench)

    def report(self, octets: bytes) -> None:
        self._built.bench_report(self._bench, octets, len(octets))

    def room(self, frames: int) -> None:
        self._built.bench_room(self._bench, frames)

    def heard(self, can_id: int, data: bytes, now: int) -> int:
        self._obey()
        return int(self._built.bench_heard(self._bench, can_id, data, len(data), ctypes.c_uint64(now)))

    def tick(self, now: int) -> int:
        self._obey()
        return int(self._built.bench_tick(self._bench, ctypes.c_uint64(now)))

    def deadline(self) -> int | None:
        deadline = int(self._built.bench_deadline(self._bench))
        return None if deadline == NEVER else deadline

    def log(self) -> list[Entry]:
        length = int(self._built.bench_log(self._bench, self._log))
        raw, at, entries = ctypes.string_at(self._log, length), 0, list[Entry]()
        while at < length:
            end = at + 3 + int.from_bytes(raw[at + 1 : at + 3])
            entries.append(_entry(raw[at], raw[at + 3 : end]))
            at = end
        return entries

    def _obey(self) -> None:
        script = self._script
        interlock = list(uds.Interlock).index(script.interlock)
        self._built.bench_script(self._bench, interlock, script.nrc or 0, script.breaths, script.breath_ms)


def _entry(kind: int, octets: bytes) -> Entry:
    match kind:
        case 0:
            return "frame", int.from_bytes(octets[:4]), bool(octets[4]), octets[5:]
        case 1:
            numbers = octets[1], int.from_bytes(octets[2:6]), int.from_bytes(octets[6:10])
            return "task", _TASKS[octets[0]].__name__, *numbers, octets[10:]
        case 2:
            return "opened", octets[0], octets[1]
        case 3:
            return "misused", int.from_bytes(octets)
        case 4:
            return "traffic", bool(octets[0]), bool(octets[1])
        case 5:
            return ("restart",)
        case _:
            raise AssertionError(f"entry of kind {kind}")


# ------------------------------------------------------------------------------------------------------------ the twin


class _Server(UdsServer):
    """Says "pending" when the firmware does."""

    def _do(self, task: uds.Task, request: Request, peer: int, now: Instant) -> None:
        super()._do(task, request, peer, now)
        if isinstance(task, uds.Verify | uds.Erase | uds.PrepareRestart) and not is_quiet(request):
            super()._say_pending(now)

    def _say_pending(self, now: Instant) -> None:
        assert self._waiting is not None
        if now >= self._waiting.deadline:
            super()._say_pending(now)


@dataclass
class _Run:
    """Frames on their way through a port that paces them."""

    frames: deque[CanFrame]
    ticket: int
    gap_ms: int
    at: Instant


class Twin:
    """One boot of the Python link, with a port that takes every frame at once, or at its separation."""

    def __init__(self, *, fd: bool, script: Script) -> None:
        self.now = Instant(0)
        self._settings = IsoTpSettings(64, fd=True, brs=True) if fd else IsoTpSettings()
        self._isotp = IsoTp(OWN, self._settings)
        self._script = script
        self.server = _Server(lambda: script.interlock, self._read)
        self._entries: list[Entry] = []
        self._runs: dict[int, _Run] = {}  # by peer
        self._queued: dict[int, int] = {}  # octets, by peer

    def heard(self, can_id: int, data: bytes, now: int) -> int:
        self.now = Instant(now)
        address, frame = address_of(can_id), read_frame(data)
        if address is not None and not address.functional and address.target == OWN:
            if isinstance(frame, FlowControl) and address.source in self._runs:
                return self.now
            if isinstance(frame, FirstFrame):
                self._grant(address.source, frame.length)
        self._carry(self._isotp.handle(FramesHeard([CanFrame(can_id, data)]), self.now))
        return self.now

    def tick(self, now: int) -> int:
        self.now = Instant(now)
        self._pace()
        self._carry(self._isotp.handle(Tick(), self.now))
        self._serve(self.server.handle(uds.Tick(), self.now))
        return self.now

    def deadline(self) -> int | None:
        halves = [receiver.deadline() for receiver in self._isotp._receivers.values()]
        halves += [sender.deadline() for peer, sender in self._isotp._senders.items() if peer not in self._runs]
        return earliest(*halves, *(run.at for run in self._runs.values()), self.server.deadline())

    def log(self) -> list[Entry]:
        entries, self._entries = self._entries, []
        return entries

    # --------------------------------------------------------------------------------------------- limits of memory

    def _grant(self, peer: int, length: int) -> None:
        """Let the peer send as much as the firmware has room for."""
        receivers = self._isotp._receivers
        if peer not in receivers:
            receivers[peer] = Receiver(peer, self._settings, can_id=can_id_of(Address(peer, OWN)))
        long = [
            other
            for address, other in receivers.items()
            if address != peer and other.deadline() is not None and other._length > REQUEST_MAX
        ]
        holder = self.server._holder
        may = holder == peer or (holder is None and not long)
        receivers[peer]._settings = replace(self._settings, message_length_max=BLOCK_MAX if may else REQUEST_MAX)
        if may and REQUEST_MAX < length <= BLOCK_MAX:
            for other in long:
                other._stop()

    def _send(self, peer: int, octets: bytes) -> None:
        is_report = octets.startswith(bytes.fromhex("62fd01"))
        idle = peer not in self._isotp._senders or self._isotp._senders[peer]._state.name == "IDLE"
        if is_report and not idle:
            is_report, octets = False, bytes([0x7F, 0x22, Nrc.BUSY])
        used = (0 if idle else self._queued[peer]) + 1 + (3 if is_report else len(octets))
        if used <= QUEUE_MAX:
            self._queued[peer] = used
            self._carry(self._isotp.handle(Send(peer, octets), self.now))

    # -------------------------------------------------------------------------------------------------------- effects

    def _carry(self, effects: Sequence[Effect], *, goes_on: bool = False) -> None:
        for effect in effects:
            match effect:
                case SendFrames(frames=frames, ticket=0):
                    self._log_frames(frames)
                case SendFrames():
                    self._begin(effect, goes_on=goes_on)
                case MessageReceived(peer=peer, octets=octets, functional=functional):
                    self._serve(self.server.handle(uds.Asked(peer, octets, functional), self.now))
                case MessageSent() | LinkError():
                    pass
                case _:
                    assert_never(effect)

    def _begin(self, send: SendFrames, *, goes_on: bool) -> None:
        """`goes_on`: right behind another run of the same block."""
        gap_ms = -(-send.separation_us // 1_000) + 1 if send.separation_us else 0
        at = after(self.now, gap_ms if goes_on and send.frames[0].data[0] >> 4 == 2 else 0)
        address = address_of(send.frames[0].can_id)
        assert address is not None
        self._runs[address.target] = _Run(deque(send.frames), send.ticket, gap_ms, at)
        self._pace()

    def _pace(self) -> None:
        for peer, run in list(self._runs.items()):
            while run.frames and run.at <= self.now:
                self._log_frames([run.frames.popleft()])
                run.at = after(self.now, run.gap_ms)
            if not run.frames and self._runs.get(peer) is run:
                del self._runs[peer]
                self._carry(self._isotp.handle(FramesSent(run.ticket), self.now), goes_on=True)

    def _log_frames(self, frames: Iterable[CanFrame]) -> None:
        for frame in frames:
            assert frame.brs == frame.fd
            self._entries.append(("frame", frame.can_id, frame.fd, frame.data))

    def _serve(self, effects: Iterable[uds.Effect]) -> None:
        for effect in effects:
            match effect:
                case uds.Reply(peer=peer, octets=octets):
                    self._send(peer, bytes.fromhex("74200202") if octets.startswith(b"\x74") else octets)
                case uds.Do(task=task):
                    self._entries.append(_task(task))
                    self._work()
                    self._serve(self.server.handle(uds.Answer(self._script.nrc), self.now))
                case uds.Opened(session=session, peer=peer):
                    self._entries.append(("opened", int(session), peer))
                case uds.Misused(check=check):
                    self._entries.append(("misused", check.code))
                case uds.Traffic(messages=messages, faults=faults):
                    self._entries.append(("traffic", messages, faults))
                case uds.Restart():
                    self._entries.append(("restart",))
                case _:
                    assert_never(effect)

    def _work(self) -> None:
        """Let the time of a task pass: the server is awake meanwhile and the port goes on; nothing is heard."""
        for _ in range(self._script.breaths):
            self.now = after(self.now, self._script.breath_ms)
            for peer in self._runs:
                self._isotp._senders[peer]._deadline = after(self.now, 10_000)  # the port is late, not jammed
            self._serve(self.server.handle(uds.Tick(), self.now))
            self._pace()

    def _read(self, did: int) -> bytes | None:
        return self._script.report or None if did == 0xFD01 else self._script.readings.get(did)


def _task(task: uds.Task) -> Entry:
    name = type(task).__name__
    match task:
        case uds.BeginObject(place=place, size=size):
            return "task", name, int(place.object), place.address, size, b""
        case uds.BeginImage(offset=offset, size=size):
            return "task", name, offset >> 24, offset, size, b""
        case uds.WriteBlock(octets=octets):
            return "task", name, 0, 0, 0, octets
        case uds.Verify(option=option):
            return "task", name, int(option), 0, 0, b""
        case _:
            return "task", name, 0, 0, 0, b""


# ------------------------------------------------------------------------------------------------------------- the pair


class Pair:
    """Chip and twin under one clock."""

    def __init__(self, built: ctypes.CDLL, *, fd: bool = False, script: Script | None = None) -> None:
        self.script = script or Script()
        self.now = 1_000
        self.entries: list[Entry] = []
        self._built, self._fd = built, fd
        self._boot()

    def hear(self, can_id: int, data: bytes) -> list[Entry]:
        """Give both a frame; what they did."""
        return self._compare(self.chip.heard(can_id, data, self.now), self.twin.heard(can_id, data, self.now))

    def tick(self) -> list[Entry]:
        return self._compare(self.chip.tick(self.now), self.twin.tick(self.now))

    def rest(self, ms: int) -> list[Entry]:
        """Let the time pass, waking both whenever one of them wants to be woken."""
        end, seen = self.now + ms, list[Entry]()
        while (deadline := self.twin.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            seen += self.tick()
        self.now = max(self.now, end)
        return seen + self.tick()

    def close(self) -> None:
        self.chip.close()

    def _boot(self) -> None:
        self.chip = Chip(self._built, fd=self._fd, script=self.script)
        self.twin = Twin(fd=self._fd, script=self.script)

    def _compare(self, chip_now: int, twin_now: int) -> list[Entry]:
        ours, theirs = self.chip.log(), self.twin.log()
        assert _in_order(ours) == _in_order(theirs)
        assert chip_now == twin_now
        self.now = chip_now
        self.entries += ours
        if ("restart",) in ours:
            self.chip.close()
            self._boot()
        assert self.chip.deadline() == self.twin.deadline()
        return ours


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Frames to different peers at the same moment go in any order."""
    ordered: list[Entry] = []
    for is_frame, run in groupby(entries, lambda entry: entry[0] == "frame"):
        some = list(run)
        ordered += sorted(some, key=lambda entry: entry[1]) if is_frame else some
    return ordered
