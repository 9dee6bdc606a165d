"""What anyone on the bus can do without a key: nothing that stops an ECU, wears it out, or takes its image away."""

from __future__ import annotations

from secondary.needs import Answered, Effect, Event, SelfTest, Store
from tests.builders import BRAKE, Pair
from tests.unit.secondary.board import ADDRESS, PRIMARY_CLIENT, STRANGER, Board, Client, image_octets
from uptane.link import isotp_values as isotp
from uptane.link.can_frame import Address, CanFrame, can_id_of
from uptane.link.uds_objects import Object
from uptane.model.reports import EcuState, Outcome, Phase
from uptane.moments import Instant

RESET = CanFrame(can_id_of(Address(ADDRESS, STRANGER)), bytes.fromhex("0211010000000000"))
FLOOD = 3_000  # frames: a second of a classic bus, and three times what a call stack holds


def test_a_flood_of_refused_requests_while_the_disk_is_busy_is_one_job() -> None:
    board = Board(Pair(), BRAKE).power_up()
    open_stores: list[Store] = []

    def feed(event: Event) -> None:
        assert board.machine is not None
        effects = board.machine.handle(event, Instant(board.now))
        open_stores.extend(effect for effect in effects if isinstance(effect, Store))

    for _ in range(FLOOD):
        feed(isotp.FramesHeard([RESET]))
    stores = 0
    while open_stores:
        open_stores.pop()
        stores += 1
        feed(Answered(None))
    assert stores <= 4, "a power of two, and a reserve of report counters"
    (refusal,) = Client(board).report().refusals
    assert refusal.count == FLOOD


class SlowTest(Board):
    """A board whose self-test takes as long as one likes."""

    slow = False

    def _carry_out(self, effect: Effect) -> Event | None:
        return None if self.slow and isinstance(effect, SelfTest) else super()._carry_out(effect)


def _committed(pair: Pair) -> SlowTest:
    board = SlowTest(pair, BRAKE)
    board.power_up()
    primary = Client(board, PRIMARY_CLIENT)
    assert primary.authorise() == ""
    list(primary.install(image_octets(pair, BRAKE), restart=False))
    assert primary.put(Object.ORDER, pair.order(Phase.ACTIVATE)) == ""
    primary.ask("1101")
    board.run(100)
    primary.ask("1003")
    assert primary.put(Object.ORDER, pair.order(Phase.COMMIT)) == ""
    primary.ask("1001")
    return board


def test_restarting_an_ecu_that_tests_itself_does_not_make_it_give_its_image_up() -> None:
    pair = Pair()
    pair.update(2)
    board = _committed(pair)
    board.slow = True
    stranger = Client(board, STRANGER)
    stranger.ask("1002")
    assert stranger.ask("1101") == "5101"
    for _ in range(5):
        stranger.ask("1002")
        assert stranger.ask("1101") == "7f1122"
        board.run(5)
    assert (board.state.installation.state, board.state.installation.outcome) == (
        EcuState.COMMITTED,
        Outcome.INSTALLED,
    )


def test_a_lost_nonce_counter_brings_no_nonce_back() -> None:
    board = Board(Pair(), BRAKE).power_up()
    drawn = {board.state.nonce}
    for _ in range(3):
        board.power_up()
        assert board.state.nonce not in drawn
        drawn.add(board.state.nonce)
    del board.records["nonce"]
    board.damaged = ("nonce",)
    board.power_up()
    assert board.state.nonce not in drawn
