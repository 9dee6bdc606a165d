"""Conversations with twins, of small steps that a fuzzer of tests may put together in any order.

Each step is a word and two numbers; what they mean depends on the word. Whatever comes of it, the twins agree.
"""

from collections.abc import Callable
from typing import Any, Final

from secondary.needs import Verdict
from tests.builders import BRAKE, DAY, STRANGER, Pair, image, key
from tests.firmware.twin import TwinBoard
from tests.unit.secondary.board import ADDRESS, PRIMARY_CLIENT, WORKSHOP, Board, Client
from tests.unit.secondary.board import STRANGER as STRANGE_CLIENT
from uptane.link.can_frame import Address, CanFrame, can_id_of
from uptane.link.uds_objects import Object
from uptane.link.uds_tasks import Interlock
from uptane.link.uds_values import Did
from uptane.model.ids import Bundle, Role
from uptane.model.reports import Phase
from uptane.moments import UtcTime

Step = tuple[str, int, int]

REQUEST_MAX: Final = 16  # FW_REQUEST_MAX: longer ones are blocks
CLIENTS: Final = (PRIMARY_CLIENT, WORKSHOP, STRANGE_CLIENT)
_PHASES: Final = tuple(Phase)
_OBJECTS: Final = (*Object, *Object)
_SESSIONS: Final = ("1001", "1002", "1003", "1083", "1004", "10")
_ODD: Final = (
    "",
    "00",
    "3e00",
    "3e80",
    "22fd00",
    "22f195",
    "22abcd",
    "2800",
    "280301",
    "280001",
    "8502",
    "8501",
    "1181",
)
_DIDS: Final = (Did.STATUS, Did.REPORT, Did.NONCE, Did.REFUSAL, Did.FILENAME)


class Polite(Client):
    """A client that sends no long message while another one holds the session: the C core has no room for it."""

    def send(self, octets: bytes, *, functional: bool = False) -> None:
        assert self.board.machine is not None
        if len(octets) <= REQUEST_MAX or self.board.machine._server._holder in {None, self.address}:
            super().send(octets, functional=functional)


class Talk:
    """One ECU as twins, three clients, and a Director who goes on issuing."""

    def __init__(self, board: TwinBoard) -> None:
        self.board, self.pair = board.power_up(), board.pair
        self.clients = [Polite(board, address) for address in CLIENTS]
        self.counter = 1
        self.steps: dict[str, Callable[[int, int], object]] = {
            "session": self.session,
            "time": self.time,
            "targets": self.targets,
            "root": self.root,
            "order": self.order,
            "erase": lambda who, _: self.ask(who, "3101ff00"),
            "image": self.image,
            "check": lambda who, what: self.ask(
                who, f"31010202{(0, 0, 0xF3, 0xFA, 0xFB, 0xF0, 0xFE, 7)[what % 8]:02x}"
            ),
            "depend": lambda who, _: self.ask(who, "3101ff01"),
            "ready": lambda who, _: self.ask(who, "31010203"),
            "restart": lambda who, _: self.ask(who, "1101"),
            "update": self.update,
            "odd": lambda who, what: self.ask(who, _ODD[what % len(_ODD)]),
            "read": lambda who, what: self.ask(who, f"22{_DIDS[what % len(_DIDS)]:04x}"),
            "group": lambda who, what: self.client(who).send(bytes.fromhex(_ODD[what % 12] or "3e00"), functional=True),
            "object": self.object,
            "frame": self.frame,
            "wait": lambda ms, more: board.run(ms * (1, 10, 100)[more % 3]),
            "cut": lambda _, __: board.power_up(),
            "interlock": self.interlock,
            "verdict": self.verdict,
            "assign": self.assign,
            "rotate": self.rotate,
            "later": self.later,
        }

    def play(self, steps: list[Step]) -> None:
        """Do all of it."""
        for word, first, second in steps:
            self.steps[word](first, second)

    # ---------------------------------------------------------------------------------------------------- clients

    def client(self, who: int) -> Client:
        return self.clients[who % len(self.clients)]

    def ask(self, who: int, request: str) -> str:
        return self.client(who).ask(request) if request else ""

    def session(self, who: int, what: int) -> None:
        self.ask(who, _SESSIONS[what % len(_SESSIONS)])

    def time(self, who: int, what: int) -> None:
        nonce = self.client(who).read(Did.NONCE)
        changes: tuple[dict[str, Any], ...] = (
            {},
            {},
            {},
            {"nonce": b"o" * 16},
            {"time": UtcTime(self.pair.now - 9)},
            {"signers": [STRANGER]},
        )
        self.client(who).put(Object.ATTESTATION, self.pair.attestation(**{"nonce": nonce, **changes[what % 6]}))

    def targets(self, who: int, what: int) -> None:
        director = self.pair.director
        octets = director.offered[f"{director.versions['targets']}.targets"]
        spoiled = (octets, octets, octets, octets[:-1], octets + b"\0", director.offered["5.targets"], b"\x80\x00")
        self.client(who).put(Object.DIRECTOR_TARGETS, spoiled[what % len(spoiled)])

    def root(self, who: int, what: int) -> None:
        director = self.pair.director
        version = max(1, min(director.versions["root"], self.client(who).status().director_root + what % 3))
        self.client(who).put(Object.DIRECTOR_ROOT, director.offered[f"{version}.root"])

    def order(self, who: int, what: int) -> None:
        phase = _PHASES[what % len(_PHASES)]
        changes: tuple[dict[str, Any], ...] = (
            {},
            {},
            {},
            {"bundle": Bundle(bytes(32))},
            {"targets_version": 1},
            {"signers": [STRANGER]},
        )
        self.client(who).put(Object.ORDER, self.pair.order(phase, **changes[what // 4 % 6]))

    def image(self, who: int, what: int) -> None:
        """The rest of the image, or some of it, or something else."""
        client = self.client(who)
        entry = self.pair.director.entries.get(BRAKE)
        octets = b"?" if entry is None else Board.octets_of(entry.image.filename, entry.image.release_counter)
        start = client.status().next_offset
        if what % 5 == 0:
            octets = bytes(len(octets))
        if what % 5 != 1:
            client.transfer(start, octets[start:], block=(512, 200, 33)[what % 3])
            return
        client.ask(bytes.fromhex("340044") + start.to_bytes(4) + len(octets[start:]).to_bytes(4))
        for count in range(1, 2 + what % 3):
            client.ask(bytes((0x36, count)) + octets[start : start + 64])
            start += 64

    def update(self, who: int, what: int) -> None:
        """The way to prepared, as far as it goes."""
        self.session(who, 2)
        self.time(who, 0)
        self.targets(who, 0)
        self.session(who, 1)
        self.ask(who, "3101ff00")
        self.image(who, 2)
        self.ask(who, "3101020200")
        if what % 2:
            self.ask(who, "1003")
            self.order(who, 0)
            self.ask(who, "1002")
            self.ask(who, "1101")

    def object(self, who: int, what: int) -> None:
        """An object announced, and some of it sent; or two at once."""
        item = _OBJECTS[what % len(_OBJECTS)]
        self.ask(who, f"340044{item:02x}000000{what % 300:08x}")
        self.client(who).ask(bytes((0x36, 1)) + bytes(what % 40))
        if what % 3 == 0:
            self.ask(who, "37")

    def frame(self, who: int, what: int) -> None:
        """Any frame at all."""
        data = (what * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8)[: 1 + what % 8]
        if data[0] >> 4 == 1:
            return  # a message that never ends would take the one long buffer that the C core has
        self.board.hear([CanFrame(can_id_of(Address(ADDRESS, CLIENTS[who % 3])), data)])
        self.board.settle()

    # ----------------------------------------------------------------------------------------------- surroundings

    def interlock(self, what: int, _: int) -> None:
        self.board.interlock = (Interlock.SAFE, Interlock.SAFE, Interlock.UNSAFE, Interlock.MOVING)[what % 4]

    def verdict(self, what: int, _: int) -> None:
        self.board.verdict = (Verdict.PASSED, Verdict.PASSED, Verdict.FAILED, Verdict.DEAD)[what % 4]

    # --------------------------------------------------------------------------------------------------- Director

    def assign(self, what: int, more: int) -> None:
        """New Targets: a new image, the same, a lower counter, none for this ECU, a coordinator or none, expired."""
        director = self.pair.director
        match what % 8:
            case 0 | 1:
                self.counter += 1
                self.pair.set_images(self.counter)
            case 2:
                director.entries.pop(BRAKE, None)
            case 3:
                director.coordinator = None if director.coordinator else key("coordinator")
            case 4:
                director.assign(BRAKE, image("brakes/odd", more % 4, ("brake-hw", "body-hw")[more % 2]))
            case 5:
                director.targets(expires=UtcTime(self.pair.now - 1))
                return
            case _:
                pass
        if BRAKE not in director.entries and what % 8 != 2:
            self.pair.set_images(self.counter)
        director.issue()

    def rotate(self, what: int, _: int) -> None:
        """The next Root: other keys for Targets, the time or itself; or none but a version."""
        director = self.pair.director
        role = (Role.TARGETS, Role.TIME, Role.ROOT, Role.SNAPSHOT)[what % 4]
        if what % 8 < 4:
            director.keys[role] = [key(f"{role.value} {what} {place}") for place in range(len(director.keys[role]))]
        director.root()

    def later(self, what: int, _: int) -> None:
        """Time goes on for the time service."""
        self.pair.now = UtcTime(self.pair.now + (1, 60, 3_600, DAY)[what % 4])


def talk() -> Talk:
    """Twins of an ECU that has left its factory, and an update that waits for it."""
    pair = Pair()
    board = TwinBoard(pair, BRAKE)
    talk = Talk(board)
    pair.update(2)
    talk.counter = 2
    return talk
