"""How fast an image gets into the emulated board, beside how fast lines of slcan do that are none of its business.

A tester made for this: it sends a block and waits for the answer, as UDS wants it, and does nothing else meanwhile.
"""

from __future__ import annotations

import select
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from bench.firmware_script import BLOCK, ECU, TARGETS_AT, TESTER, TIME_SIGNER, bench_facts, frames
from bench.sizes import NOW, OER, SIGNER, VEHICLE, header
from firmware.tools import facts, flash_file
from firmware.tools.board import Board
from firmware.tools.flash_file import BoardImage
from firmware.tools.slcan import Lines, line_of
from uptane.link.can_frame import Address, CanFrame, can_id_of
from uptane.model.ids import EcuId, Filename, HardwareId
from uptane.model.metadata import Assignment, DirectorTargets, ForVehicle, Image
from uptane.model.reports import InstalledImage, TimeAttestation
from uptane.verify.signing import sign

ANSWER_S: Final = 20.0  # verifying and erasing take a second at most, pending answers included
LINK_FRAMES: Final = 6_000
ATTESTATION_AT: Final = 0xFA00_0000
PENDING: Final = 0x78


class BoardFailure(Exception):
    """The board did not do what it was asked for."""


class Rates(NamedTuple):
    """Octets a second: of an image's blocks, and what the link's frames could carry."""

    image: float
    link: float


class Tester:
    """One conversation over the board's own line."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lines = Lines()
        self._heard: list[CanFrame] = []
        self._id = can_id_of(Address(ECU, TESTER))

    def ask(self, request: bytes) -> bytes:
        """The answer to a request, whatever was pending before. Raises BoardFailure when it is a no, or none."""
        first, *rest = list(frames(request))
        self._send([first])
        while rest:
            control = self._next()
            if control[0] >> 4 != 3:
                raise BoardFailure(f"{control.hex()} is no flow control")
            count = control[1] or len(rest)
            self._send(rest[:count])
            del rest[:count]
        while True:
            answer = self._message()
            if answer[:1] != b"\x7f":
                return answer
            if answer[2] != PENDING:
                raise BoardFailure(f"the board refuses {request[:6].hex()} with {answer[2]:02X}")

    def deliver(self, address: int, octets: bytes) -> None:
        """34, 36 ..., 37."""
        self.ask(bytes((0x34, 0, 0x44)) + address.to_bytes(4) + len(octets).to_bytes(4))
        for number, at in enumerate(range(0, len(octets), BLOCK), 1):
            self.ask(bytes((0x36, number & 0xFF)) + octets[at : at + BLOCK])
        self.ask(b"\x37")

    def _message(self) -> bytes:
        data = self._next()
        if data[0] >> 4 == 0:
            return data[1 : 1 + data[0]]
        length = (data[0] & 0xF) << 8 | data[1]
        octets = data[2:]
        self._send([bytes((0x30, 0, 0)).ljust(8, b"\xaa")])
        while len(octets) < length:
            octets += self._next()[1:]
        return octets[:length]

    def _send(self, datas: list[bytes]) -> None:
        self._board.send(b"".join(line_of(CanFrame(self._id, data)) for data in datas))

    def _next(self) -> bytes:
        end = time.monotonic() + ANSWER_S
        while not self._heard:
            self.wait(end)
            self._heard += self._lines.take(self._board.heard())
        return self._heard.pop(0).data

    def wait(self, end: float) -> None:
        """Until the board has said something."""
        can = self._board.can
        if can is None or (left := end - time.monotonic()) <= 0 or (why := self._board.ended()):
            raise BoardFailure("the board does not answer" if can is None or left <= 0 else str(why))
        select.select([can], [can] if self._board.waits else [], [], left)
        self._board.send(b"")


@contextmanager
def running(stub: Path, factory: BoardImage) -> Iterator[Board]:
    """A board of its own that runs `factory`."""
    numbers = flash_file.layout()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installed = InstalledImage(Filename("bench/1.bin"), len(factory.octets), bytes.fromhex(factory.sha256), 1)
        facts.write(folder / flash_file.FACTS_FILE, facts.encode(replace(bench_facts(), factory=installed)))
        flash = factory.octets.ljust(numbers["FLASH_SIZE"], flash_file.ERASED)
        (folder / numbers.flash_file).write_bytes(flash)
        (folder / numbers.interlock_file).write_text("safe\n")
        board = Board(folder, stub)
        board.power_on()
        try:
            _wait_until_up(board)
            yield board
        finally:
            board.power_off()


def _wait_until_up(board: Board) -> None:
    said, end = b"", time.monotonic() + ANSWER_S
    while b" runs" not in said:
        if time.monotonic() > end or (why := board.ended()):
            raise BoardFailure(f"the board does not come up: {why if board.ended() else said[-200:]!r}")
        assert board.console is not None
        select.select([board.console], [], [], 0.1)
        said += board.said()


def rates(stub: Path, factory: BoardImage, update: BoardImage) -> Rates:
    """Flash `update` into a board that runs `factory`."""
    with running(stub, factory) as board:
        tester = Tester(board)
        link = _link_rate(board, tester)
        tester.ask(b"\x10\x03")
        nonce = tester.ask(b"\x22\xfd\x02")[3:]
        tester.deliver(ATTESTATION_AT, sign(OER, TimeAttestation(1, NOW, nonce), [TIME_SIGNER]))
        tester.ask(bytes((0x31, 1, 2, 2, 0xFA)))
        tester.deliver(TARGETS_AT, _assigning(update))
        tester.ask(bytes((0x31, 1, 2, 2, 0xF3)))
        tester.ask(b"\x10\x02")
        tester.ask(bytes((0x31, 1, 0xFF, 0)))
        begin = time.monotonic()
        tester.deliver(0, update.octets)
        image = len(update.octets) / (time.monotonic() - begin)
        tester.ask(bytes((0x31, 1, 2, 2, 0)))
    return Rates(image, link)


def _assigning(update: BoardImage) -> bytes:
    digest = bytes.fromhex(update.sha256)
    told = bench_facts()
    picture = Image(Filename("bench/2.bin"), len(update.octets), digest, None, (HardwareId(told.hardware),), 2, b"")
    entries = OER.assignments([Assignment(EcuId(told.ecu), OER.image(picture))])
    return sign(OER, DirectorTargets(header(ForVehicle(VEHICLE)), None, False, entries), [SIGNER])


def _link_rate(board: Board, tester: Tester) -> float:
    """Consecutive frames for somebody else, as fast as the board takes them."""
    line = line_of(CanFrame(can_id_of(Address(ECU + 1, TESTER)), bytes(8)))
    begin = time.monotonic()
    for _ in range(LINK_FRAMES // 100):
        board.send(line * 100)
        while board.waits:
            tester.wait(time.monotonic() + ANSWER_S)
    tester.ask(b"\x3e\x00")  # behind all of them
    return 7 * LINK_FRAMES / (time.monotonic() - begin)
