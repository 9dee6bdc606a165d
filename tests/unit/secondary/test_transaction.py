"""An ECU's part in the vehicle transaction, as its Primary sees it: orders, votes, commit, roll back, release."""

from collections.abc import Callable

import pytest

from secondary.needs import Verdict
from tests.builders import BRAKE, DAY, STRANGER, Pair, key
from tests.unit.secondary.board import Board, Client, image_octets, workshop
from tests.unit.secondary.coordinator import Coordinator
from uptane.errors import Check
from uptane.link.uds_objects import Object
from uptane.link.uds_tasks import Interlock
from uptane.model.ids import Bundle, VehicleId
from uptane.model.reports import EcuState, Outcome, Phase, Refusal

OLD = Board.octets_of("brakes/app-1", 1)


@pytest.fixture
def board() -> Board:
    pair = Pair()
    board = Board(pair, BRAKE).power_up()
    pair.update()
    return board


@pytest.fixture
def primary(board: Board) -> Coordinator:
    return Coordinator(board)


def prepare(primary: Coordinator) -> None:
    primary.verify()
    answers = list(primary.install(image_octets(primary.board.pair, BRAKE), restart=False))
    assert not [answer for answer in answers if answer.startswith("7f")], answers
    assert primary.status().state is EcuState.PREPARED


def activate(primary: Coordinator) -> None:
    prepare(primary)
    primary.order(Phase.ACTIVATE)
    primary.restart()


def test_the_way_from_prepared_to_released(board: Board, primary: Coordinator) -> None:
    new = image_octets(board.pair, BRAKE)
    prepare(primary)
    assert board.runs() == OLD
    primary.order(Phase.ACTIVATE)
    assert primary.status().last_phase is Phase.ACTIVATE
    assert primary.status().state is EcuState.PREPARED, "held until the restart"
    primary.restart()
    assert board.runs() == new
    assert primary.report().state is EcuState.VOTED
    assert primary.report().released_counter == 1, "only release raises it"
    primary.order(Phase.COMMIT)
    assert (primary.report().state, primary.report().outcome) == (EcuState.COMMITTED, Outcome.INSTALLED)
    primary.order(Phase.RELEASE)
    report = primary.report()
    assert (report.state, report.released_counter) == (EcuState.RELEASED, 2)


def test_a_release_by_order_forgets_the_refusals(board: Board, primary: Coordinator) -> None:
    primary.ask("1101")
    activate(primary)
    primary.order(Phase.COMMIT)
    assert primary.report().refusals != ()
    primary.order(Phase.RELEASE)
    assert primary.report().refusals == ()
    assert "refusals" not in board.records


def test_without_the_order_a_restart_does_not_activate(board: Board, primary: Coordinator) -> None:
    prepare(primary)
    primary.restart()
    assert primary.status().state is EcuState.PREPARED
    assert board.runs() == OLD


def test_an_order_given_twice_is_acknowledged_twice(board: Board, primary: Coordinator) -> None:
    prepare(primary)
    for phase in (Phase.ACTIVATE, Phase.ACTIVATE):
        primary.order(phase)
    primary.restart()
    for phase in (Phase.COMMIT, Phase.COMMIT, Phase.RELEASE, Phase.RELEASE):
        primary.order(phase)
    assert primary.status().state is EcuState.RELEASED


@pytest.mark.parametrize("after", [Phase.ACTIVATE, Phase.COMMIT])
def test_roll_back_ends_in_the_old_image_after_a_restart(board: Board, primary: Coordinator, after: Phase) -> None:
    activate(primary)
    if after is Phase.COMMIT:
        primary.order(Phase.COMMIT)
    primary.order(Phase.ROLL_BACK)
    assert primary.report().outcome is Outcome.ROLLED_BACK
    primary.restart()
    assert board.runs() == OLD
    report = primary.report()
    assert (report.state, report.outcome, report.image.filename) == (EcuState.IDLE, Outcome.ROLLED_BACK, "brakes/app-1")


def test_roll_back_before_activation_needs_no_restart(board: Board, primary: Coordinator) -> None:
    prepare(primary)
    primary.order(Phase.ROLL_BACK)
    assert primary.status().state is EcuState.IDLE
    assert board.boots == 1


def test_after_roll_back_the_ecu_restarts_by_itself_when_it_is_left_alone_and_safe(
    board: Board, primary: Coordinator
) -> None:
    activate(primary)
    board.interlock = Interlock.MOVING
    primary.order(Phase.ROLL_BACK)
    boots = board.boots
    board.run(10_000)
    assert board.boots == boots, "not while the vehicle moves"
    board.interlock = Interlock.SAFE
    board.run(10_000)
    assert board.boots == boots + 1
    assert board.runs() == OLD


def test_an_image_that_fails_on_trial_is_left_when_the_vehicle_is_safe_and_not_before(
    board: Board, primary: Coordinator
) -> None:
    prepare(primary)
    primary.order(Phase.ACTIVATE)
    board.verdict = Verdict.FAILED
    primary.ask("1002")
    board.interlock_after_boot = Interlock.MOVING
    assert primary.ask("1101") == "5101"
    boots = board.boots
    board.run(10_000)
    assert board.boots == boots
    assert primary.report().outcome is Outcome.SELF_TEST_FAILED
    board.interlock = Interlock.SAFE
    board.run(10_000)
    assert board.boots == boots + 1
    assert board.runs() == OLD


def test_resets_after_the_vote_boot_the_new_image(board: Board, primary: Coordinator) -> None:
    activate(primary)
    for _ in range(5):
        board.power_up()
        assert board.runs() == image_octets(board.pair, BRAKE)
        assert primary.status().state is EcuState.VOTED


def test_a_voted_image_that_does_not_come_up_three_times_falls_back_and_says_so(
    board: Board, primary: Coordinator
) -> None:
    activate(primary)
    board.verdict = Verdict.DEAD
    boots = board.boots
    board.power_up()
    assert board.boots == boots + 4, "three attempts, then the old image"
    assert board.runs() == OLD
    report = primary.report()
    assert (report.state, report.outcome) == (EcuState.IDLE, Outcome.UNBOOTABLE)
    assert Refusal(Check.INSTALL_UNBOOTABLE.code, 1) in report.refusals


def test_a_voted_image_that_fails_a_later_self_test_runs_on(board: Board, primary: Coordinator) -> None:
    activate(primary)
    board.verdict = Verdict.FAILED
    board.power_up()
    assert primary.status().state is EcuState.VOTED
    primary.order(Phase.COMMIT)
    assert primary.status().state is EcuState.COMMITTED


def test_newer_targets_wait_until_the_transaction_has_ended(board: Board, primary: Coordinator) -> None:
    pair = board.pair
    activate(primary)
    order = pair.order(Phase.COMMIT)
    release = pair.order(Phase.RELEASE)
    pair.update(counter=3)
    primary.verify()
    assert primary.status().state is EcuState.VOTED
    primary.order(Phase.COMMIT, order)
    primary.order(Phase.RELEASE, release)
    assert primary.status().state is EcuState.RELEASED
    primary.update()
    assert board.runs() == Board.octets_of("brakes/app-3", 3)


BAD_ORDERS: list[tuple[Callable[[Pair], bytes], Check]] = [
    (lambda pair: pair.order(Phase.ACTIVATE, signers=[STRANGER]), Check.ORDER_SIGNATURE),
    (lambda pair: pair.order(Phase.ACTIVATE, vehicle=VehicleId("vehicle-2")), Check.ORDER_VEHICLE),
    (lambda pair: pair.order(Phase.ACTIVATE, bundle=Bundle(bytes(32))), Check.ORDER_BUNDLE),
    (lambda pair: pair.order(Phase.ACTIVATE, targets_version=5), Check.ORDER_TARGETS_VERSION),
    (lambda pair: pair.order(Phase.COMMIT), Check.ORDER_PHASE),
    (lambda pair: pair.order(Phase.RELEASE), Check.ORDER_PHASE),
    (lambda pair: pair.attestation(signers=[key("coordinator")]), Check.KIND),
    (lambda pair: pair.order(Phase.ACTIVATE)[:-1], Check.ENCODING),
    (lambda pair: pair.order(Phase.ACTIVATE) + b"\0", Check.ENCODING),
]


@pytest.mark.parametrize(("make", "check"), BAD_ORDERS)
def test_an_order_that_is_none_moves_nothing(
    board: Board, primary: Coordinator, make: Callable[[Pair], bytes], check: Check
) -> None:
    prepare(primary)
    before = board.records["installation"]
    primary.ask("1003")
    assert primary.put(Object.ORDER, make(board.pair)) == "7f3172"
    assert primary.refusal() is check
    assert board.records["installation"] == before


def test_workshop_targets_take_no_orders(board: Board) -> None:
    workshop(board.pair, counter=3)
    client = Client(board)
    assert client.authorise() == ""
    list(client.install(image_octets(board.pair, BRAKE), restart=False))
    client.ask("1003")
    assert client.put(Object.ORDER, board.pair.order(Phase.ACTIVATE)) == "7f3172"
    assert client.refusal() is Check.ORDER_COORDINATOR


def test_expired_metadata_hinder_activation(board: Board, primary: Coordinator) -> None:
    prepare(primary)
    board.run(2 * DAY * 1_000)
    primary.ask("1003")
    assert primary.ask("3101ff01") == "7f3172"
    assert primary.refusal() is Check.TARGETS_EXPIRED


def test_a_boot_never_looks_at_expiry(board: Board, primary: Coordinator) -> None:
    activate(primary)
    board.now += 1_000 * DAY * 1_000
    board.power_up()
    assert board.runs() == image_octets(board.pair, BRAKE)
    assert primary.status().state is EcuState.VOTED
