"""One slot of a Secondary's flash: erased by pages, written in order, worn by both; beside it the mark of the shell.

What secondary/shell/slots.py promises, on cells instead of files: the mark is lowered before the first page is erased
and raised only after the octets are there. What lies behind the mark after a power cut is anything, and the port
erases it before the download goes on. Nobody believes the mark: what a slot holds is hashed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256, sha512
from random import Random
from typing import Final, NoReturn, TypeAlias

from secondary.needs import TAG_LENGTH, EraseSlot, HashSlot, Progress, SyncSlot, WriteSlot
from sim.disk import Disk
from uptane.errors import StorageFailure
from uptane.verify.image import Content

PAGE: Final = 4_096  # octets erased at once
UNIT: Final = 32  # octets programmed at once: one word with its ECC on automotive flash
SYNC_OCTETS: Final = 128 * 1024  # written before the board syncs by itself: as secondary/shell/board.py
ERASED: Final = 0xFF
_STUCK: Final = 0x7F  # what a worn cell makes of its octet: one bit is 0 whatever is done

SlotNeed: TypeAlias = EraseSlot | WriteSlot | SyncSlot | HashSlot


@dataclass(frozen=True, slots=True)
class FlashFaults:
    """How flash wears. `endurance`: erases that every page stands (None: it never wears out).

    `silent`: a worn page is erased without complaint, but bits of it no longer take; if not, erasing it fails.
    """

    endurance: int | None = None
    silent: bool = False


class Flash:
    """A slot of `size` octets; nothing is there before it is erased, or installed into by a factory.

    `bad_erases`: so many of the next erases fail. `disk` is where the mark lies. `erases`, `writes` and
    `octets_written` count what the cells went through.
    """

    def __init__(
        self,
        dice: Random,
        size: int,
        *,
        disk: Disk | None = None,
        faults: FlashFaults | None = None,
        page: int = PAGE,
    ) -> None:
        assert size > 0
        self.size = size
        self.faults = faults or FlashFaults()
        self.erases = self.writes = self.octets_written = 0
        self.disk = disk or Disk()
        self.bad_erases = 0
        self._dice = dice
        self._page = page
        self._octets = bytearray()  # what was programmed; behind it, up to `_length`, all is erased
        self._length = 0  # 0 before the first erase
        self._mark: Progress | None = None
        self._earlier: Progress | None = None  # the mark before the board synced by itself
        self._written = 0  # end of what was written since the power came
        self._unsynced = 0
        self._rewritten: dict[int, int] = {}  # erases of single pages, on top of `erases`
        self._weak = dice.randrange(-(-size // page))  # the page that wears out first
        self._version = 0
        self._content: tuple[int, int, Content] | None = None
        self._digest: tuple[int, bytes] | None = None

    # --------------------------------------------------------------------------------------- what shells promise

    def progress(self) -> Progress | None:
        """How far the latest download into the slot got; None when it has to be erased first."""
        self.disk.touch()
        return self._mark

    def erase(self, tag: bytes) -> None:
        """Erase the slot for the entry `tag` (32 octets).

        Raises:
            StorageFailure: a page is worn, or there is no room for the mark. The slot has to be erased again.
        """
        assert len(tag) == TAG_LENGTH
        self.disk.touch()
        self._lower()
        self.erases += 1
        self._length = self.size
        if self.bad_erases or (self._worn and not self.faults.silent):
            self.bad_erases = max(self.bad_erases - 1, 0)
            self._half_erase(self._weak)
            self._fail()
        self._octets.clear()
        self._version += 1
        self._written = self._unsynced = 0
        self._room()
        self._mark = Progress(tag, 0)

    def write(self, offset: int, octets: bytes) -> None:
        """Program octets of an erased slot, in order; durable only after `sync`.

        The octets go where the last ended or, after a restart, where the mark stands.

        Raises:
            StorageFailure: what is behind the mark cannot be erased any more.
        """
        assert self._mark is not None, "written without being erased"
        assert offset in {self._written, self._mark.next_offset}, "written out of order"
        assert offset + len(octets) <= self.size, "written beyond the slot"
        self.disk.touch()
        if offset < len(self._octets):
            self._erase_behind()
        self._program(offset, octets)
        self.writes += 1
        self.octets_written += len(octets)
        self._written = offset + len(octets)
        self._unsynced += len(octets)
        if self._unsynced >= SYNC_OCTETS:
            self._earlier = self._mark
            with suppress(StorageFailure):
                self._raise_mark()

    def sync(self) -> None:
        """Make what was written durable, and the mark say so. Raises StorageFailure: the mark stays where it is."""
        self.disk.touch()
        self._raise_mark()
        self._earlier = None

    def content(self, length: int) -> Content:
        """Hash the first `length` octets of the slot as it is now; fewer when it is shorter."""
        self.disk.touch()
        self._earlier = None  # whatever the board does by itself is done before what it was asked later
        known = self._content
        if known is None or known[:2] != (self._version, length):
            octets = self.read(0, length)
            content = Content(len(octets), sha256(octets).digest(), sha512(octets).digest())
            known = self._content = self._version, length, content
        return known[2]

    def meet(self, need: SlotNeed) -> Content | None:
        """Carry out a need; its answer. Raises StorageFailure."""
        match need:
            case EraseSlot(tag=tag):
                self.erase(tag)
            case WriteSlot(offset=offset, octets=octets):
                self.write(offset, octets)
            case SyncSlot():
                self.sync()
            case HashSlot(length=length):
                return self.content(length)
        return None

    def install(self, image: bytes) -> None:
        """Put a whole image into the slot, as a factory does."""
        assert len(image) <= self.size
        self._lower()
        self._octets[:] = image
        self._length = self.size
        self._written = self._unsynced = 0
        self._version += 1

    # -------------------------------------------------------------------------------------------- what goes wrong

    def cut(self, during: SlotNeed | None = None) -> None:
        """The power fails, in the middle of `during` or between two effects."""
        match during:
            case EraseSlot(tag=tag):
                self._cut_erase(tag)
            case WriteSlot(offset=offset, octets=octets) if not self.disk.failing:
                self._cut_write(offset, octets)
            case SyncSlot() if self._dice.random() < 0.5:
                with suppress(StorageFailure):
                    self.sync()
            case _:
                pass
        if self._earlier is not None and self._dice.random() < 0.5:
            self._mark = self._earlier
        self._earlier = None
        if self._mark is not None and len(self._octets) > self._mark.next_offset:
            self._tear(self._dice.randint(self._mark.next_offset, len(self._octets)))
        self._written = 0 if self._mark is None else self._mark.next_offset
        self._unsynced = 0

    def flip(self, offset: int, mask: int) -> None:
        """Turn bits of one octet over, as worn cells do, or somebody with a soldering iron."""
        assert 0 < mask <= ERASED
        self._octets.extend(bytes((ERASED,)) * (offset + 1 - len(self._octets)))
        self._octets[offset] ^= mask
        self._version += 1

    def _cut_erase(self, tag: bytes) -> None:
        """Before it began; some pages are erased, and one in part; all are, without a mark; it is done."""
        step = self._dice.randrange(4)
        with suppress(StorageFailure):
            if step > 0:
                self.erase(tag) if step > 1 else self._interrupt()
        if step == 2:
            self._lower()

    def _interrupt(self) -> None:
        self.disk.touch()
        self._lower()
        self.erases += 1
        self._length = self.size
        page = self._dice.randint(-1, len(self._octets) // self._page)
        if page >= 0:
            self._half_erase(page)

    def _half_erase(self, page: int) -> None:
        """The pages before `page` are erased; of that one, some bits are."""
        start = min(page * self._page, len(self._octets))
        end = min(start + self._page, len(self._octets))
        self._octets[:end] = bytes((ERASED,)) * start + self._blurred(self._octets[start:end])
        self._version += 1

    def _cut_write(self, offset: int, octets: bytes) -> None:
        """The units before one are programmed; of that one, some bits are."""
        units = self._dice.randint(0, len(octets) // UNIT)
        self.write(offset, octets[: (units + 1) * UNIT])
        self._blur_from(offset + units * UNIT)

    def _tear(self, end: int) -> None:
        """Of what is behind the mark, only what lies before `end` was programmed; the last unit in part."""
        del self._octets[end:]
        mark = 0 if self._mark is None else self._mark.next_offset
        self._blur_from(max(end - UNIT, mark))

    def _blur_from(self, start: int) -> None:
        self._octets[start:] = self._blurred(self._octets[start:])
        self._version += 1

    def _blurred(self, octets: bytearray) -> bytes:
        """Cells half way between erased and programmed: some of the bits that should be 0 are 1."""
        noise = self._dice.randbytes(len(octets))
        return bytes(each | other for each, other in zip(octets, noise, strict=True))

    # ------------------------------------------------------------------------------------------------- the inside

    def read(self, offset: int, length: int) -> bytes:
        """What the cells hold, for who looks from outside; fewer octets at the end."""
        end = min(offset + length, self._length)
        octets = bytes(memoryview(self._octets)[offset:end])
        return octets + bytes((ERASED,)) * (end - offset - len(octets))

    def digest(self) -> str:
        """A name for all that is durable here, in hex."""
        if self._digest is None or self._digest[0] != self._version:
            self._digest = self._version, sha256(self._octets).digest()
        mark = self._mark
        where = b"" if mark is None else mark.tag + mark.next_offset.to_bytes(4)
        return sha256(self._digest[1] + bytes((self._length != 0,)) + where).hexdigest()

    @property
    def _worn(self) -> bool:
        endurance = self.faults.endurance
        return endurance is not None and self.erases + self._rewritten.get(self._weak, 0) > endurance

    def _lower(self) -> None:
        self._mark = self._earlier = None

    def _room(self) -> None:
        """A mark is a small file."""
        if not self.disk.free:
            raise StorageFailure("no space left on device")

    def _raise_mark(self) -> None:
        self._unsynced = 0
        if self._mark is not None and self._mark.next_offset != self._written:
            self._room()
            self._mark = Progress(self._mark.tag, self._written)

    def _erase_behind(self) -> None:
        """What is behind the mark is from before a restart: the port erases those pages, and keeps what is before."""
        assert self._mark is not None
        start = self._mark.next_offset
        for page in range(start // self._page, -(-len(self._octets) // self._page)):
            self._rewritten[page] = self._rewritten.get(page, 0) + 1
        if self._worn and not self.faults.silent:
            self._fail()
        del self._octets[start:]

    def _fail(self) -> NoReturn:
        raise StorageFailure(f"page {self._weak} is worn: it is not erased")

    def _program(self, offset: int, octets: bytes) -> None:
        assert offset >= len(self._octets), "only erased cells are programmed"
        self._octets.extend(bytes((ERASED,)) * (offset - len(self._octets)))
        self._octets += octets
        weak = self._weak * self._page
        if self._worn and offset <= weak < offset + len(octets):
            self._octets[weak] &= _STUCK
        self._version += 1
