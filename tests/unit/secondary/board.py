"""A board for a Secondary, and testers on its bus: fakes with behaviour, on a clock that the test turns.

The board keeps what is durable (records, two slots of NOR-like flash with their marks), runs the machine, and can lose
its power before any effect it is asked to carry out. Testers speak UDS over our own ISO-TP, frame by frame.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256, sha512
from typing import Any

from secondary.ecu import Secondary
from secondary.needs import (
    Answered,
    Breathe,
    Delete,
    Effect,
    EraseSlot,
    Event,
    Found,
    HashSlot,
    Note,
    PowerCycle,
    PowerUp,
    Progress,
    Running,
    SelfTest,
    SelfTested,
    Store,
    SyncSlot,
    Tick,
    Verdict,
    WriteSlot,
)
from secondary.state import Facts
from tests.builders import BUILT, CODEC, ECUS, FULL_ECUS, HARDWARE, VEHICLE, VERIFIER, Pair, PowerLost, key
from uptane.errors import Check, StorageFailure
from uptane.link import isotp_values as isotp
from uptane.link.isotp import IsoTp
from uptane.link.uds_objects import Object, Place, Status, parse_refusal, parse_status
from uptane.link.uds_tasks import Interlock, Traffic
from uptane.link.uds_values import Did
from uptane.model.ids import EcuId
from uptane.model.reports import EcuReport
from uptane.moments import Instant
from uptane.verify.image import Content
from uptane.verify.threshold import accept_from, opened
from uptane.verify.trusted import Ecu

ADDRESS = 0x21
PRIMARY_CLIENT, WORKSHOP, STRANGER = 0xF0, 0xF1, 0xF2
SLOT_SIZE = 20_000
SYNC_EVERY = 300  # octets; the slots sync by themselves now and then
SECRET = b"s" * 32


@dataclass
class Flash:
    """One slot: what it holds, its mark, and how much was written behind the mark."""

    octets: bytearray = field(default_factory=lambda: bytearray(b"\0" * SLOT_SIZE))
    mark: Progress | None = None
    written: int = 0

    def erase(self, tag: bytes) -> None:
        self.octets[:] = b"\xff" * SLOT_SIZE
        self.mark = Progress(tag, 0)
        self.written = 0

    def write(self, offset: int, octets: bytes) -> None:
        assert self.mark is not None, "written without being erased"
        assert offset == self.written, "written out of order"
        self.octets[offset : offset + len(octets)] = octets
        self.written += len(octets)
        if self.written - self.mark.next_offset >= SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        assert self.mark is not None
        self.mark = replace(self.mark, next_offset=self.written)

    def lose_power(self) -> None:
        """What was not synced is anything at all."""
        end = 0 if self.mark is None else self.mark.next_offset
        if self.mark is not None:
            self.octets[end : self.written] = b"?" * (self.written - end)
        self.written = end


class Board:
    """A board with one Secondary. `fuse` is how many more effects are carried out before the power fails."""

    def __init__(self, pair: Pair, ecu: EcuId, **facts: Any) -> None:
        self.pair, self.ecu, self.signer = pair, ecu, key(f"ecu {ecu}")
        self.now = 10_000
        self.interlock = Interlock.SAFE
        self.interlock_after_boot: Interlock | None = None
        self.verdict = Verdict.PASSED
        self.fuse: int | None = None
        self.torn = False  # the power fails in the middle of an effect, not before it
        self.full_disk = False
        self.records: dict[str, bytes] = {}
        self.slots = (Flash(), Flash())
        self.log: list[Effect] = []
        self.boots = 0
        self.traffic = Traffic(messages=True, faults=True)
        self.testers: list[Client] = []
        self.machine: Secondary | None = None
        self.damaged: tuple[str, ...] = ()
        self._events: deque[Event] = deque()
        factory = pair.factory[ecu]
        image = next(each for each in pair.director.entries.values() if each.ecu == ecu).image
        self.slots[0].octets[: image.length] = self.octets_of(factory.filename, factory.release_counter)
        own = Ecu(VEHICLE, ecu, HARDWARE[ecu], "*/*", SLOT_SIZE)
        self.facts = Facts(
            own, ADDRESS, ecu in FULL_ECUS, False, VERIFIER, self.signer, SECRET, BUILT, factory, **facts
        )
        self._provision()

    @staticmethod
    def octets_of(filename: str, counter: int) -> bytes:
        """The octets of an image of tests/builders.py."""
        return f"{filename} {counter}".encode() * 50

    @staticmethod
    def known(ecu: str) -> EcuId:
        """An ECU of the vehicle."""
        return next(each for each in ECUS if each == ecu)

    def _provision(self) -> None:
        repos = [self.pair.director, *([self.pair.image] if self.facts.full else [])]
        for repo in repos:
            names = {"root": f"{repo.versions['root']}.root", "targets": f"{repo.versions['targets']}.targets"}
            if self.facts.full:
                names |= {"timestamp": "timestamp", "snapshot": f"{repo.versions['snapshot']}.snapshot"}
            for file, name in names.items():
                self.records[f"{repo.repository.value}/{file}"] = repo.offered[name]

    # --------------------------------------------------------------------------------------------------- running

    def power_up(self) -> "Board":
        """Boot with what is durable; a power cut forgot the rest."""
        self._events.clear()
        for flash in self.slots:
            flash.lose_power()
        for tester in self.testers:
            tester.reset()
        self._boot()
        self.settle()
        return self

    def _boot(self) -> None:
        self.boots += 1
        marks = (self.slots[0].mark, self.slots[1].mark)
        found = Found(dict(self.records), marks, self.damaged)
        self.machine = Secondary(self.facts, found, lambda: self.interlock, Instant(self.now))
        self._events.append(PowerUp())

    def settle(self) -> None:
        """Handle everything there is to handle now."""
        while True:
            while self._events:
                self._handle(self._events.popleft())
            if not any(tester.pump() for tester in self.testers):
                return

    def hear(self, frames: Sequence[Any]) -> None:
        self._events.append(isotp.FramesHeard(frames))

    def _handle(self, event: Event) -> None:
        machine = self.machine
        assert machine is not None
        for effect in machine.handle(event, Instant(self.now)):
            if self.fuse is not None and not isinstance(effect, isotp.SendFrames | Note | Running | Traffic | Breathe):
                if self.fuse == 0:
                    if self.torn:
                        self._tear(effect)
                    raise PowerLost
                self.fuse -= 1
            self.log.append(effect)
            answer = self._carry_out(effect)
            if self.machine is not machine:
                return
            if answer is not None:
                self._events.append(answer)

    def _tear(self, effect: Effect) -> None:
        """Half of an effect. Records are written whole or not at all (uptane/shell/files.py)."""
        match effect:
            case EraseSlot(slot=slot):
                self.slots[slot].mark = None
                self.slots[slot].octets[: SLOT_SIZE // 2] = b"\xff" * (SLOT_SIZE // 2)
            case WriteSlot(slot=slot, offset=offset, octets=octets):
                self.slots[slot].octets[offset : offset + len(octets) // 2] = octets[: len(octets) // 2]
            case _:
                pass

    def _carry_out(self, effect: Effect) -> Event | None:
        match effect:
            case isotp.SendFrames(frames=frames, ticket=ticket):
                for tester in self.testers:
                    tester.hear(frames)
                return isotp.FramesSent(ticket) if ticket else None
            case PowerCycle():
                self._events.clear()
                self.interlock, self.interlock_after_boot = self.interlock_after_boot or self.interlock, None
                self._boot()
                return None
            case SelfTest(slot=slot, length=length, sha256=digest):
                assert sha256(self.slots[slot].octets[:length]).digest() == digest, "boots something that is not whole"
                return SelfTested(self.verdict)
            case Traffic():
                self.traffic = effect
                return None
            case Note() | Running():
                return None
            case _:
                return Answered(self._meet(effect))

    def _meet(self, need: Any) -> Content | StorageFailure | None:
        if self.full_disk and isinstance(need, Store | EraseSlot | WriteSlot):
            return StorageFailure("no space left on device")
        match need:
            case Store(name=name, octets=octets):
                self.records[name] = octets
            case Delete(name=name):
                self.records.pop(name, None)
            case EraseSlot(slot=slot, tag=tag):
                assert slot != self.running, "erases the running slot"
                self.slots[slot].erase(tag)
            case WriteSlot(slot=slot, offset=offset, octets=octets):
                assert slot != self.running, "writes the running slot"
                self.slots[slot].write(offset, octets)
            case SyncSlot(slot=slot):
                self.slots[slot].sync()
            case HashSlot(slot=slot, length=length):
                octets = bytes(self.slots[slot].octets[:length])
                return Content(len(octets), sha256(octets).digest(), sha512(octets).digest())
            case Breathe():
                pass
            case _:
                raise AssertionError(need)
        return None

    def run(self, ms: int) -> None:
        """Let the time pass, waking everybody who wants to be woken."""
        end = self.now + ms
        while True:
            assert self.machine is not None
            deadlines = [self.machine.deadline(), *(tester.isotp.deadline() for tester in self.testers)]
            due = [deadline for deadline in deadlines if deadline is not None and deadline <= end]
            if not due:
                break
            self.now = max(self.now, min(due))
            for tester in self.testers:
                tester.tick()
            self._events.append(Tick())
            self.settle()
        self.now = end

    # --------------------------------------------------------------------------------------------------- looking

    @property
    def state(self) -> Any:
        """The machine's state; a test may look inside."""
        assert self.machine is not None
        return self.machine._state

    @property
    def running(self) -> int:
        slot: int = self.state.installation.running
        return slot

    def runs(self) -> bytes:
        """What the running slot holds: always one whole image."""
        image = self.state.installation.image
        octets = bytes(self.slots[self.running].octets[: image.length])
        assert sha256(octets).digest() == image.sha256, "runs something that is not whole"
        return octets

    def effects(self, *kinds: type[Any]) -> list[Any]:
        """The effects of these kinds carried out so far."""
        return [effect for effect in self.log if isinstance(effect, kinds)]

    def entry_digest(self) -> bytes:
        """The digest of this ECU's entry as the Director assigns it now."""
        listing = CODEC.assignments([self.pair.director.entries[self.ecu]])
        octets = listing.find_octets(self.ecu)
        assert octets is not None
        return sha256(octets).digest()

    def report(self, octets: bytes) -> EcuReport:
        """A report, verified under the ECU's key."""
        envelope = opened(VERIFIER, octets, 8_192)
        verified = accept_from(VERIFIER, envelope, self.signer.public, EcuReport, check=Check.REPORT_SIGNATURE)
        return verified.value


class Client:
    """A client on the board's bus."""

    def __init__(self, board: Board, address: int = WORKSHOP) -> None:
        self.board, self.address = board, address
        self.isotp = IsoTp(address, isotp.IsoTpSettings())
        self.replies: deque[bytes] = deque()
        self._heard: deque[Sequence[Any]] = deque()
        board.testers.append(self)

    def reset(self) -> None:
        self.isotp = IsoTp(self.address, isotp.IsoTpSettings())
        self.replies.clear()
        self._heard.clear()

    def hear(self, frames: Sequence[Any]) -> None:
        self._heard.append(frames)

    def pump(self) -> bool:
        """Handle what was heard; True if there was something."""
        if not self._heard:
            return False
        self._carry(self.isotp.handle(isotp.FramesHeard(self._heard.popleft()), Instant(self.board.now)))
        return True

    def tick(self) -> None:
        self._carry(self.isotp.handle(isotp.Tick(), Instant(self.board.now)))

    def _carry(self, effects: Iterable[isotp.Effect]) -> None:
        for effect in effects:
            match effect:
                case isotp.SendFrames(frames=frames, ticket=ticket):
                    self.board.hear(frames)
                    if ticket:
                        self._carry(self.isotp.handle(isotp.FramesSent(ticket), Instant(self.board.now)))
                case isotp.MessageReceived(octets=octets):
                    self.replies.append(octets)
                case isotp.LinkError() | isotp.MessageSent():
                    pass

    def send(self, octets: bytes, *, functional: bool = False) -> None:
        peer = 0x33 if functional else ADDRESS
        self._carry(self.isotp.handle(isotp.Send(peer, octets, functional), Instant(self.board.now)))
        self.board.settle()

    def ask(self, request: str | bytes) -> str:
        """The answer in hex, "pending" passed over; "" when there is none."""
        self.replies.clear()
        self.send(bytes.fromhex(request) if isinstance(request, str) else request)
        said = [reply.hex() for reply in self.replies if reply[:1] + reply[2:] != b"\x7f\x78"]
        assert len(said) <= 1, said
        return said[0] if said else ""

    # ----------------------------------------------------------------------------------------------- conversations

    def deliver(self, item: Object, octets: bytes, number: int = 0) -> str:
        """Deliver an object; the first answer that is not positive, or ""."""
        return self.transfer(Place(item, number).address, octets)

    def transfer(self, address: int, octets: bytes, block: int = 200) -> str:
        begun = self.ask(bytes.fromhex("340044") + address.to_bytes(4) + len(octets).to_bytes(4))
        if begun[:4] != "7420":
            return begun
        for count, start in enumerate(range(0, len(octets), block), 1):
            answer = self.ask(bytes((0x36, count & 0xFF)) + octets[start : start + block])
            if answer != f"76{count & 0xFF:02x}":
                return answer
        ended = self.ask("37")
        return "" if ended == "77" else ended

    def check(self, option: int) -> str:
        return self.ask(f"31010202{option:02x}")

    def put(self, item: Object, octets: bytes, option: int | None = None) -> str:
        """Deliver and check; "" when both went well."""
        refused = self.deliver(item, octets)
        answer = self.check(item if option is None else option)
        return refused or ("" if answer == "7101020200" else answer)

    def read(self, did: int) -> bytes:
        answer = bytes.fromhex(self.ask(b"\x22" + did.to_bytes(2)))
        assert answer[:3] == b"\x62" + did.to_bytes(2), answer.hex()
        return answer[3:]

    def status(self) -> Status:
        return parse_status(self.read(Did.STATUS))

    def report(self) -> EcuReport:
        return self.board.report(self.read(Did.REPORT))

    def refusal(self) -> Check | None:
        code = parse_refusal(self.read(Did.REFUSAL))
        return next((check for check in Check if check.code == code), None)

    # --------------------------------------------------------------------------------------------- as a workshop does

    def set_time(self) -> str:
        return self.put(Object.ATTESTATION, self.board.pair.attestation(nonce=self.read(Did.NONCE)))

    def authorise(self) -> str:
        """Time and Director Targets to an ECU that verifies partially."""
        director = self.board.pair.director
        refused = "" if self.ask("1003") == "5003003201f4" else "no session"
        targets = director.offered[f"{director.versions['targets']}.targets"]
        return refused or self.set_time() or self.put(Object.DIRECTOR_TARGETS, targets)

    def install(self, octets: bytes, *, restart: bool = True) -> Iterator[str]:
        """Erase if need be, transfer from where the download stands, check, dependencies, restart: each answer."""
        yield self.ask("1002")
        if self.status().entry_digest != self.board.entry_digest():
            yield self.ask("3101ff00")
        start = self.status().next_offset
        if start < len(octets):
            yield self.transfer(start, octets[start:])
        yield self.check(0)
        yield self.ask("3101ff01")
        if restart:
            yield self.ask("1101")

    def flash(self, octets: bytes) -> None:
        """The whole way; every answer is positive."""
        assert self.authorise() == ""
        answers = list(self.install(octets))
        assert not [answer for answer in answers if answer.startswith("7f")], answers


def workshop(pair: Pair, counter: int = 2) -> None:
    """From now on the Director assigns new images to every ECU, in Targets without a coordinator."""
    pair.director.coordinator = None
    pair.update(counter)


def image_octets(pair: Pair, ecu: EcuId) -> bytes:
    """The octets of the image assigned to an ECU."""
    image = pair.director.entries[ecu].image
    octets = Board.octets_of(image.filename, image.release_counter)
    assert sha256(octets).digest() == image.sha256
    return octets
