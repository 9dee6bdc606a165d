"""The power fails before every single effect of an update: old or new boots, never neither, and the update goes on."""

from collections.abc import Callable

import pytest

from secondary.needs import Progress, WriteSlot
from tests.builders import BRAKE, CAMERA, Pair, PowerLost
from tests.unit.secondary.board import Board, Client, image_octets, workshop
from tests.unit.secondary.coordinator import Coordinator
from uptane.model.reports import EcuState

FACTORY = {ecu: Board.octets_of(name, 1) for ecu, name in ((BRAKE, "brakes/app-1"), (CAMERA, "camera/app-1"))}


def flashed(board: Board, tester: Client) -> None:
    tester.flash(image_octets(board.pair, BRAKE))


def count_effects(walk: Callable[[Board, Client], None]) -> int:
    """How many effects the whole walk has."""
    board, tester = new_board()
    board.fuse = 1_000
    walk(board, tester)
    return 1_000 - board.fuse


def new_board() -> tuple[Board, Client]:
    pair = Pair()
    board = Board(pair, BRAKE).power_up()
    workshop(pair)
    return board, Client(board)


EFFECTS = {"workshop": 21, "partial": 24, "full": 31}  # of each walk


def test_the_walks_have_as_many_effects_as_the_cuts_cover() -> None:
    assert count_effects(flashed) == EFFECTS["workshop"]
    for word, ecu in (("partial", BRAKE), ("full", CAMERA)):
        board, primary = coordinated(ecu)
        board.fuse = 1_000
        primary.update()
        assert 1_000 - board.fuse == EFFECTS[word]


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("fuse", range(EFFECTS["workshop"]))
def test_cut_at_any_effect_and_try_again(fuse: int, torn: bool) -> None:
    board, tester = new_board()
    new = image_octets(board.pair, BRAKE)
    board.fuse, board.torn = fuse, torn
    with pytest.raises(PowerLost):
        flashed(board, tester)
    board.fuse = None
    board.power_up()
    assert board.runs() in {FACTORY[BRAKE], new}
    if tester.status().state is not EcuState.RELEASED:
        version = board.pair.director.versions["targets"]
        if (board.pair.bundle(), version) in board.state.installation.rolled_back:
            board.pair.director.targets()  # the Director sees the report and issues anew
        flashed(board, tester)
    assert board.runs() == new
    assert tester.report().state is EcuState.RELEASED


@pytest.mark.parametrize("first", range(0, 40, 3))
@pytest.mark.parametrize("second", [0, 1, 2, 4, 7])
def test_cut_twice(first: int, second: int) -> None:
    """The second cut comes while booting, or soon after."""
    board, tester = new_board()
    new = image_octets(board.pair, BRAKE)
    for fuse in (first, second):
        board.fuse = fuse
        try:
            board.power_up()
            flashed(board, tester)
        except (PowerLost, AssertionError):
            continue
    board.fuse = None
    board.power_up()
    assert board.runs() in {FACTORY[BRAKE], new}


def test_a_download_goes_on_where_the_slot_is_known_to_be_written() -> None:
    board, tester = new_board()
    octets = image_octets(board.pair, BRAKE)
    tester.authorise()
    tester.ask("1002")
    tester.ask("3101ff00")
    tester.ask(bytes.fromhex("34004400000000") + len(octets).to_bytes(4))
    for count in (1, 2, 3):
        tester.ask(bytes((0x36, count)) + octets[(count - 1) * 150 : count * 150])
    assert tester.status().next_offset == 450
    board.power_up()
    assert tester.status().next_offset == 300, "what was synced"
    assert tester.status().entry_digest == board.entry_digest()
    before = len(board.effects(WriteSlot))
    tester.flash(octets)
    assert board.runs() == octets
    assert [effect.offset for effect in board.effects(WriteSlot)][before] == 300


def test_a_download_of_another_entry_is_not_gone_on_with() -> None:
    board, tester = new_board()
    board.slots[1].erase(b"t" * 32)
    board.slots[1].mark = Progress(b"t" * 32, 300)
    board.power_up()
    tester.authorise()
    tester.ask("1002")
    assert tester.status().entry_digest == b"t" * 32
    assert tester.ask("340044" + "0000012c" + "00000190") == "7f3424"
    tester.flash(image_octets(board.pair, BRAKE))


# ---------------------------------------------------------------------------------------- with a coordinator, full


def coordinated(ecu: str) -> tuple[Board, Coordinator]:
    pair = Pair()
    board = Board(pair, Board.known(ecu)).power_up()
    pair.update()
    return board, Coordinator(board)


@pytest.mark.parametrize(
    ("ecu", "fuse"),
    [(BRAKE, fuse) for fuse in range(EFFECTS["partial"])] + [(CAMERA, fuse) for fuse in range(EFFECTS["full"])],
)
def test_cut_at_any_effect_of_a_coordinated_update(ecu: str, fuse: int) -> None:
    board, primary = coordinated(ecu)
    pair, new = board.pair, image_octets(board.pair, board.ecu)
    board.fuse, board.torn = fuse, True
    with pytest.raises(PowerLost):
        primary.update()
    board.fuse = None
    state = board.power_up().state.installation.state
    assert board.runs() in {FACTORY[board.ecu], new}
    if state is EcuState.COMMITTED:
        assert board.runs() == new, "once committed, only forward"
    if (pair.bundle(), pair.director.versions["targets"]) in board.state.installation.rolled_back:
        pair.director.issue()
    primary.update()
    assert board.runs() == new
    assert primary.report().state is EcuState.RELEASED
