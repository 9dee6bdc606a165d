"""A CAN bus simulated bit by bit: every node a state machine that drives and samples the wire, by ISO 11898-1:2015.

Classic frames with 29-bit identifiers. Slow, and independent of the simulator's bus: it knows nothing of frames'
durations, of error frames as such or of who wins; all of that comes out of the wire being dominant when anybody is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from heapq import heappop, heappush

from uptane.link.can_frame import CanFrame

CRC15 = 0x4599


class State(Enum):
    OUT = auto()  # no power
    JOINING = auto()  # waits for 11 recessive bits
    IDLE = auto()
    FRAME = auto()  # sends or receives
    FLAG = auto()  # error or overload flag
    AFTER_FLAG = auto()  # waits for the wire to become recessive
    DELIMITER = auto()
    BETWEEN = auto()  # the three bits between frames
    SUSPENDED = auto()
    OFF = auto()


def numbers(value: int, count: int) -> list[int]:
    return [value >> place & 1 for place in reversed(range(count))]


def crc15(bits: list[int]) -> list[int]:
    remainder = int("".join(map(str, bits)), 2) << 15
    divisor = 1 << 15 | CRC15
    for place in reversed(range(15, remainder.bit_length() + 1)):
        if remainder >> place & 1:
            remainder ^= divisor << place - 15
    return numbers(remainder, 15)


def sent_bits(frame: CanFrame) -> list[int]:
    """From the start of the frame to the last bit of its end."""
    real = [0, *numbers(frame.can_id >> 18, 11), 1, 1, *numbers(frame.can_id & 0x3FFFF, 18), 0, 0, 0]
    real += numbers(len(frame.data), 4)
    for octet in frame.data:
        real += numbers(octet, 8)
    real += crc15(real)
    bits: list[int] = []
    for bit in real:
        bits.append(bit)
        if len(bits) >= 5 and len(set(bits[-5:])) == 1:
            bits.append(1 - bit)
    return bits + [1] * 10


class Parser:
    """What a node makes of a frame, bit by bit; also of its own."""

    def __init__(self) -> None:
        self.raw: list[int] = []  # with stuff bits
        self.real: list[int] = []
        self.tail = -1  # the bit after the CRC: 0 delimiter, 1 acknowledge slot, 2 its delimiter, 3 to 9 the end
        self.crc_good = False

    def length(self) -> int | None:
        if len(self.real) < 39:
            return None
        return min(8, int("".join(map(str, self.real[35:39])), 2))

    def take(self, bit: int) -> str:
        """The next bit: "", or "stuff", "form", "crc", "good" (received), "over" (the last bit)."""
        if self.tail >= 0:
            return self._end(bit)
        length = self.length()
        complete = length is not None and len(self.real) == 39 + 8 * length + 15
        stuffing = len(self.raw) >= 5 and len(set(self.raw[-5:])) == 1
        if stuffing:
            if bit == self.raw[-1]:
                return "stuff"
            self.raw.append(bit)
        elif not complete:
            self.raw.append(bit)
            self.real.append(bit)
        if complete and not stuffing:
            self.tail = 0
            self.crc_good = crc15(self.real[:-15]) == self.real[-15:]
            return self._end(bit)
        return ""

    def _end(self, bit: int) -> str:
        at = self.tail
        self.tail += 1
        if at == 1:
            return ""
        if at == 2 and bit and not self.crc_good:
            return "crc"
        if at == 9:
            return "over" if bit else "late"
        if not bit:
            return "form"
        return "good" if at == 8 else ""

    @property
    def due(self) -> int:
        """What a receiver drives in the next bit."""
        length = self.length()
        complete = length is not None and len(self.real) == 39 + 8 * length + 15
        return 0 if complete and self.tail == 1 and self.crc_good else 1

    def frame(self) -> CanFrame:
        value = int("".join(map(str, self.real)), 2)
        count = len(self.real)
        base = value >> count - 12 & 0x7FF
        extension = value >> count - 32 & 0x3FFFF
        octets = self.real[39:-15]
        data = bytes(int("".join(map(str, octets[at : at + 8])), 2) for at in range(0, len(octets), 8))
        return CanFrame(base << 18 | extension, data)


@dataclass(eq=False)
class Job:
    ready: int
    frames: list[CanFrame]
    separation: int
    sent: Callable[[], None] | None


class Node:
    def __init__(self, name: str, bus: BitBus) -> None:
        self.name = name
        self.bus = bus
        self.state = State.IDLE
        self.queue: list[Job] = []
        self.tec = self.rec = 0
        self.heard: list[tuple[int, CanFrame]] = []
        self.passed: list[tuple[int, CanFrame]] = []  # sent: the bit at which the next may start
        self.count = 0
        self.parser = Parser()
        self.sending: list[int] | None = None
        self.place = 0
        self.job: Job | None = None
        self.was_sender = False
        self.active_flag = True
        self.flag_seen: list[int] = []
        self.flag_is_error = True
        self.drives = 1
        self.sequences = 0
        self.lives = 0

    # ------------------------------------------------------------------------------------------------- outside

    def send(self, frames: list[CanFrame], separation_bits: int = 0, sent: Callable[[], None] | None = None) -> None:
        self.queue.append(Job(self.bus.now, list(frames), separation_bits, sent))

    def power(self, *, on: bool) -> None:
        if on and self.state is not State.OUT:
            return
        self.lives += 1
        self.queue.clear()
        self.tec = self.rec = 0
        self.state = State.JOINING if on else State.OUT
        self.count = 0
        self.sending = None

    def _while_alive(self, act: Callable[[], None]) -> Callable[[], None]:
        life = self.lives
        return lambda: act() if self.lives == life else None

    @property
    def passive(self) -> bool:
        return self.tec > 127 or self.rec > 127

    @property
    def asleep(self) -> bool:
        return self.state in {State.IDLE, State.OUT} and not self.queue

    # ------------------------------------------------------------------------------------------------ each bit

    def drive(self) -> int:
        """What it puts on the wire in this bit."""
        self.drives = self._drive()
        return self.drives

    def _drive(self) -> int:
        if self.state is State.IDLE:
            ready = [job for job in self.queue if job.ready <= self.bus.now]
            if ready:
                self.job = min(ready, key=lambda job: job.frames[0].can_id)
                self._begin(sent_bits(self.job.frames[0]))
                return 0
            return 1
        if self.state is State.FRAME:
            return self.sending[self.place] if self.sending is not None else self.parser.due
        if self.state is State.FLAG:
            return 0 if self.active_flag else 1
        return 1

    def _begin(self, bits: list[int] | None) -> None:
        self.state = State.FRAME
        self.parser = Parser()
        self.sending = bits
        self.place = 0
        self.was_sender = bits is not None

    def sample(self, bit: int) -> None:
        """What it sees in this bit."""
        match self.state:
            case State.OUT:
                pass
            case State.JOINING:
                self.count = self.count + 1 if bit else 0
                if self.count == 11:
                    self.state = State.IDLE
            case State.IDLE:
                if not bit:
                    self._begin(None)
                    self.parser.take(bit)
            case State.FRAME:
                self._frame(bit)
            case State.FLAG:
                self._flag(bit)
            case State.AFTER_FLAG:
                self._after_flag(bit)
            case State.DELIMITER:
                self._delimiter(bit)
            case State.BETWEEN | State.SUSPENDED:
                self._between(bit)
            case State.OFF:
                self._off(bit)

    def _frame(self, bit: int) -> None:
        if self.sending is not None and bit != self.drives:
            if not self._beyond_arbitration():
                assert self.drives
                self.sending = None  # arbitration is lost: it receives
                self.was_sender = False
            elif not (self.parser.tail == 1 and not bit):
                self._error()
                return
        if self.sending is not None and self.parser.tail == 1 and bit:
            self._error(alone=True)
            return
        if self.sending is None and self.parser.tail == 1 and bit and not self.drives:
            self._error()  # its own acknowledgement is not on the wire
            return
        said = self.parser.take(bit)
        self.place += 1
        if self.sending is not None:
            if said == "over":
                self._sent()
        elif said in {"stuff", "form", "crc"}:
            self._error()
        elif said == "good":
            self.rec = 119 if self.rec > 127 else max(0, self.rec - 1)
            self.heard.append((self.bus.now + 5, self.parser.frame()))  # the last bit and three more, and this one
        elif said == "over":
            self._rest()
        elif said == "late":
            self._raise(error=False)

    def _beyond_arbitration(self) -> bool:
        return len(self.parser.real) >= 33  # start, 11, SRR, IDE, 18, RTR

    def _sent(self) -> None:
        self.tec = max(0, self.tec - 1)
        job = self.job
        assert job is not None
        free = self.bus.now + 4  # this bit, and three
        self.passed.append((free, job.frames.pop(0)))
        job.ready = free + job.separation
        if not job.frames:
            self.queue.remove(job)
            if job.sent is not None:
                self.bus.at(free, self._while_alive(job.sent))
        self._rest()

    def _rest(self) -> None:
        self.state, self.count, self.sending = State.BETWEEN, 0, None

    def _error(self, *, alone: bool = False) -> None:
        passive = self.passive  # the error that makes a node passive is still told actively
        if self.sending is not None:
            if not (alone and passive):
                self.tec += 8
            self.bus.errors.append((self.name, self.bus.now))
        else:
            self.rec = min(255, self.rec + 1)
        if self.tec > 255:
            self.state, self.count, self.sequences, self.sending = State.OFF, 0, 0, None
            self.bus.offs.append(self.name)
            return
        self._raise(error=True, passive=passive)

    def _raise(self, *, error: bool, passive: bool = False) -> None:
        self.state, self.count, self.flag_seen, self.sending = State.FLAG, 0, [], None
        self.flag_is_error = error
        self.active_flag = not passive  # overload flags are dominant

    def _flag(self, bit: int) -> None:
        self.flag_seen.append(bit)
        six = self.flag_seen[-6:]
        if len(six) == 6 and len(set(six)) == 1:
            self.state, self.count = State.AFTER_FLAG, 0

    def _after_flag(self, bit: int) -> None:
        self.count += 1
        if bit:
            self.state, self.count = State.DELIMITER, 1
        elif self.count == 1 and self.flag_is_error and not self.was_sender:
            self.rec = min(255, self.rec + 8)

    def _delimiter(self, bit: int) -> None:
        if not bit:
            self.was_sender = False  # this is another's frame
            self._error() if self.count < 7 else self._raise(error=False)
            return
        self.count += 1
        if self.count == 8:
            self._rest()

    def _between(self, bit: int) -> None:
        if not bit:
            if self.state is State.BETWEEN and self.count < 2:
                self._raise(error=False)
            else:
                self._begin(None)
                self.parser.take(bit)
            return
        self.count += 1
        if self.state is State.BETWEEN and self.count == 3 and self.was_sender and self.passive:
            self.state, self.count = State.SUSPENDED, 0
        elif self.count == (3 if self.state is State.BETWEEN else 8):
            self.state = State.IDLE
            self.was_sender = False

    def _off(self, bit: int) -> None:
        self.count = self.count + 1 if bit else 0
        if self.count == 11:
            self.count = 0
            self.sequences += 1
            if self.sequences == 128:
                self.tec = self.rec = 0
                self.state = State.IDLE


class BitBus:
    """Nodes on one wire. `flips` has, by bit, who sees the opposite of what is there: a name, or "" for all."""

    def __init__(self, names: list[str]) -> None:
        self.now = 0
        self.nodes = {name: Node(name, self) for name in names}
        self.flips: dict[int, str] = {}
        self.errors: list[tuple[str, int]] = []  # of senders, with the bit of the error
        self.offs: list[str] = []
        self._script: list[tuple[int, int, Callable[[], None]]] = []
        self._asked = 0

    def at(self, bit: int, act: Callable[[], None]) -> None:
        self._asked += 1
        heappush(self._script, (bit, self._asked, act))

    def run(self, until: int) -> None:
        while self.now < until:
            if all(node.asleep for node in self.nodes.values()):
                self.now = min([until, *(bit for bit, _, _ in self._script)])  # nothing would happen before
            while self._script and self._script[0][0] == self.now:
                heappop(self._script)[2]()
            if self.now == until:
                break
            wire = min(tuple(map(Node.drive, self.nodes.values())))
            whose = self.flips.get(self.now)
            for node in self.nodes.values():
                node.sample(1 - wire if whose in {"", node.name} else wire)
            self.now += 1
