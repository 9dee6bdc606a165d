"""The power fails at every operation of the flash in a whole update of the C core, tearing it.

The old or the new image boots, never neither; what an ECU has promised it keeps; and the update goes on to its end.
"""

from collections.abc import Iterator

import pytest

from sim.firmware_chip import Area, Chip, Kind, Library
from tests.builders import BRAKE, HARDWARE, SUPPLIER, Pair, image
from tests.firmware.core_board import CoreBoard
from tests.firmware.twin import LIBRARY
from tests.unit.secondary.board import Client, image_octets, workshop
from tests.unit.secondary.coordinator import Coordinator
from uptane.model.reports import EcuState

OLD = CoreBoard.octets_of("brakes/app-1", 1)


@pytest.fixture(autouse=True, scope="module")
def library() -> None:
    assert LIBRARY.exists(), f"{LIBRARY} is not built: make firmware"
    CoreBoard.library = Library(str(LIBRARY))


class Coordinated:
    """An update under a coordinator: verified, written, activated, committed, released."""

    def __init__(self, seed: int) -> None:
        pair = Pair()
        self.board = CoreBoard(pair, BRAKE, seed=seed)
        self.board.power_up()
        pair.update()
        self.new = image_octets(pair, BRAKE)
        self.client = Coordinator(self.board)

    def walk(self) -> None:
        """Do all of it, from wherever the ECU stands."""
        if self.board.installation.state is not EcuState.RELEASED:
            self.client.update()

    def after(self) -> None:
        """What the Director does when it hears that this was rolled back: issue anew."""
        pair, installation = self.board.pair, self.board.installation
        if (pair.bundle(), pair.director.versions["targets"]) in installation.rolled_back:
            pair.director.issue()


class InWorkshop(Coordinated):
    """An update by a workshop: no coordinator, confirmed by the ECU itself."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        workshop(self.board.pair)
        self.new = image_octets(self.board.pair, BRAKE)
        self.tester = Client(self.board)

    def walk(self) -> None:
        if self.board.installation.state is not EcuState.RELEASED:
            self.tester.flash(self.new)


class Long(InWorkshop):
    """An image of several pages, whose download goes on where it was when the power failed."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        pair = self.board.pair
        pair.offer(BRAKE, image(f"brakes/{'long' * 25}", 3, HARDWARE[BRAKE]), SUPPLIER)
        pair.director.issue()
        self.new = image_octets(pair, BRAKE)


WALKS = {"coordinated": Coordinated, "workshop": InWorkshop, "long": Long}


def operations_of(walk: type[Coordinated]) -> int:
    """How many operations of the flash a whole update has."""
    one = walk(0)
    before = one.board.chip.operations
    one.walk()
    assert one.board.runs() == one.new
    return one.board.chip.operations - before


def check_boots(one: Coordinated) -> None:
    """The power is back: something whole runs, and no promise was broken."""
    promised = one.board.installation.state
    one.board.power_up()
    assert one.board.runs() in {OLD, one.new}
    if promised is EcuState.COMMITTED:
        assert one.board.runs() == one.new, "once committed, only forward"
    assert one.board.chip.abuses == 0


def check_converges(one: Coordinated) -> None:
    one.after()
    one.walk()
    assert one.board.runs() == one.new
    assert one.board.installation.state is EcuState.RELEASED
    assert one.board.chip.abuses == 0


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("part", range(4))
def test_cut_at_any_operation_of_an_update(name: str, part: int) -> None:
    walk = WALKS[name]
    count = operations_of(walk)
    assert count > 50, "a whole update is more than that"
    for operation in range(part, count, 4):
        one = walk(operation)
        assert not one.board.lasts(one.walk, operation), operation
        check_boots(one)
        check_converges(one)


@pytest.mark.parametrize("second", [0, 1, 2, 5, 9])
def test_cut_again_while_it_boots_or_soon_after(second: int) -> None:
    count = operations_of(Coordinated)
    for operation in range(second, count, 7):
        one = Coordinated(1_000 * second + operation)
        assert not one.board.lasts(one.walk, operation)
        if one.board.lasts(one.board.power_up, second):
            one.after()
            one.board.lasts(one.walk, second)
        check_boots(one)
        check_converges(one)


def half_switches(chip: Chip) -> Iterator[int]:
    """Where in the log the other half of the state area was erased."""
    return (place for place, entry in enumerate(chip.take_log()) if (entry.kind, entry.a) == (Kind.ERASE, Area.STATE))


def test_cut_at_any_operation_while_records_move_to_the_other_half() -> None:
    """Reports are asked for until a half is full; each operation of that event is cut."""
    one = Coordinated(0)
    one.walk()
    client = one.client
    for _ in range(400):
        before = one.board.chip.operations
        flash = {area: one.board.chip.read(area) for area in Area}
        held = one.board.chip.records()
        one.board.power_up()
        if one.board.chip.operations - before > 40:
            break
    else:
        pytest.fail("no half was ever full")
    count = one.board.chip.operations - before
    assert client.status().state is EcuState.RELEASED
    for operation in range(count):
        for area, octets in flash.items():
            one.board.chip.load(area, octets)
        assert not one.board.lasts(one.board.power_up, operation)
        found = one.board.chip.records()
        assert found.keys() == held.keys(), operation
        assert {number for number in held if found[number] != held[number]} <= {5, 6}, "counters alone have moved"
        one.board.power_up()
        assert one.board.runs() == one.new
