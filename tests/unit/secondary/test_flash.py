"""A workshop flashes one partial ECU: with authorised metadata it works, without it is refused at each step."""

from collections.abc import Callable

import pytest

from secondary.needs import EraseSlot, PowerCycle, SelfTest, Store, Verdict, WriteSlot
from tests.builders import BRAKE, DAY, STRANGER, Pair
from tests.unit.secondary.board import Board, Client, image_octets, workshop
from uptane.errors import Check, StorageFailure
from uptane.link.uds_objects import Object
from uptane.link.uds_tasks import Interlock
from uptane.link.uds_values import Did
from uptane.model.limits import ERASES_PER_TARGETS_MAX
from uptane.model.reports import EcuState, Outcome, Refusal
from uptane.moments import UtcTime


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.fixture
def board(pair: Pair) -> Board:
    board = Board(pair, BRAKE).power_up()
    workshop(pair)
    return board


@pytest.fixture
def tester(board: Board) -> Client:
    return Client(board)


def test_identity_is_read_by_anyone(tester: Client) -> None:
    assert tester.read(Did.VEHICLE) == b"vehicle-1"
    assert tester.read(Did.ECU) == b"brake-1"
    assert tester.read(Did.HARDWARE) == b"brake-hw"
    assert tester.read(Did.FILENAME) == b"brakes/app-1"
    assert len(tester.read(Did.NONCE)) == 16
    assert tester.ask("22fd09") == "7f2231"


def test_the_whole_flash_ends_with_the_new_image_running_and_a_signed_report(
    board: Board, tester: Client, pair: Pair
) -> None:
    octets = image_octets(pair, BRAKE)
    tester.flash(octets)
    assert board.runs() == octets
    assert board.boots == 2
    report = tester.report()
    assert (report.state, report.outcome) == (EcuState.RELEASED, Outcome.INSTALLED)
    assert report.bundle == pair.bundle()
    assert report.targets_version == pair.director.versions["targets"]
    assert (report.image.filename, report.released_counter) == ("brakes/app-2", 2)
    assert report.time == pair.now
    assert report.refusals == ()
    assert tester.read(Did.FILENAME) == b"brakes/app-2"


def test_the_status_names_the_entry_and_how_far_its_download_is(board: Board, tester: Client, pair: Pair) -> None:
    octets = image_octets(pair, BRAKE)
    assert tester.authorise() == ""
    tester.ask("1002")
    assert tester.status().entry_digest is None
    tester.ask("3101ff00")
    assert (tester.status().entry_digest, tester.status().next_offset) == (board.entry_digest(), 0)
    tester.ask(bytes.fromhex("34004400000000") + len(octets).to_bytes(4))
    tester.ask(b"\x36\x01" + octets[:200])
    assert tester.status().next_offset == 200


def test_the_same_flash_again_is_refused_because_the_image_runs(board: Board, tester: Client, pair: Pair) -> None:
    tester.flash(image_octets(pair, BRAKE))
    erases = len(board.effects(EraseSlot))
    tester.authorise()
    tester.ask("1002")
    assert tester.ask("3101ff00") == "7f3122"
    assert tester.refusal() is Check.INSTALL_STATE
    assert len(board.effects(EraseSlot)) == erases


# ---------------------------------------------------------------------------------------------- without authority

WITHOUT: list[tuple[str, str]] = [
    ("3101ff00", "7f3122"),
    ("340044000000000000012c", "7f3470"),
    ("3601aa", "7f3624"),
    ("37", "7f3724"),
    ("3101020200", "7f3122"),
    ("3101ff01", "7f3122"),
    ("31010202f3", "7f3124"),
    ("31010202fa", "7f3124"),
    ("31010202fb", "7f3124"),
    ("31010202f0", "7f3124"),
]


@pytest.mark.parametrize(("request_", "answer"), WITHOUT)
def test_without_verified_metadata_every_step_is_refused_and_nothing_is_touched(
    board: Board, tester: Client, request_: str, answer: str
) -> None:
    del board.records["director/targets"]
    board.power_up()
    tester.ask("1002")
    assert tester.ask(request_) == answer
    assert not board.effects(EraseSlot, WriteSlot)
    assert board.boots == 2


@pytest.mark.parametrize("request_", ["3101ff00", "340044000000000000012c", "3101020200"])
def test_provisioned_metadata_that_have_expired_authorise_nothing(
    board: Board, tester: Client, pair: Pair, request_: str
) -> None:
    board.pair.now = UtcTime(board.pair.now + 2 * DAY)
    tester.ask("1003")
    assert tester.set_time() == ""
    tester.ask("1002")
    assert tester.ask(request_) == {"31": "7f3172", "34": "7f3470"}[request_[:2]]
    assert tester.refusal() is Check.TARGETS_EXPIRED


def test_a_restart_without_anything_prepared_just_restarts(board: Board, tester: Client) -> None:
    tester.ask("1002")
    assert tester.ask("1101") == "5101"
    assert board.boots == 2
    assert tester.status().state is EcuState.IDLE
    assert tester.ask("1101") == "7f117f", "the session went with the restart"


@pytest.mark.parametrize("interlock", [Interlock.UNSAFE, Interlock.MOVING])
def test_nothing_dangerous_happens_while_the_vehicle_is_not_safe(
    board: Board, tester: Client, pair: Pair, interlock: Interlock
) -> None:
    assert tester.authorise() == ""
    code = {Interlock.UNSAFE: "22", Interlock.MOVING: "88"}[interlock]
    board.interlock = interlock
    assert tester.ask("1002") == f"7f10{code}"
    board.interlock = Interlock.SAFE
    tester.ask("1002")
    board.interlock = interlock
    for request in ("3101ff00", "1101", "340044000000000000012c", "3101020200", "280301", "8502"):
        assert tester.ask(request) == f"7f{request[:2]}{code}"
    assert not board.effects(EraseSlot, PowerCycle)
    assert tester.refusal() is Check.LINK_INTERLOCK


# ------------------------------------------------------------------------------------------------- refused metadata

BAD: list[tuple[Callable[[Pair], object], Check]] = [
    (lambda pair: pair.director.targets(signers=[STRANGER]), Check.TARGETS_SIGNATURES),
    (lambda pair: pair.director.targets(version=4), Check.TARGETS_VERSION),
    (lambda pair: pair.director.targets(expires=pair.now - 1), Check.TARGETS_EXPIRED),
]


@pytest.mark.parametrize(("change", "check"), BAD)
def test_targets_that_do_not_verify_change_nothing_and_are_reported_in_the_next_cycle(
    board: Board, tester: Client, change: Callable[[Pair], object], check: Check
) -> None:
    change(board.pair)
    before = board.records["director/targets"]
    assert tester.authorise() == "7f3172"
    assert tester.refusal() is check
    assert board.records["director/targets"] == before
    assert tester.status().targets_version == 5
    board.run(1_000)
    primary = Client(board, 0xF0)
    tester.ask("1001")
    primary.ask("1003")
    assert primary.report().refusals == (Refusal(check.code, 1),)


def test_a_delivered_object_is_checked_once(tester: Client, pair: Pair) -> None:
    assert tester.authorise() == ""
    assert tester.check(Object.DIRECTOR_TARGETS) == "7f3124"


def test_objects_of_full_verification_are_of_no_use_to_a_partial_ecu(tester: Client) -> None:
    tester.ask("1003")
    for item in set(Object) - {Object.DIRECTOR_ROOT, Object.DIRECTOR_TARGETS, Object.ATTESTATION, Object.ORDER}:
        assert tester.deliver(item, b"x") == "7f3431"
    for option in (0xF4, 0xFE):
        assert tester.check(option) == "7f3131"


# ----------------------------------------------------------------------------------------------------------- image


def prepared(board: Board, tester: Client, pair: Pair) -> None:
    """Downloaded and checked; not activated."""
    assert tester.authorise() == ""
    steps = tester.install(image_octets(pair, BRAKE))
    for _ in range(4):
        assert not next(steps).startswith("7f")
    assert tester.status().state is EcuState.PREPARED


def test_octets_that_are_not_the_signed_ones_are_refused_and_have_to_be_sent_anew(
    board: Board, tester: Client, pair: Pair
) -> None:
    octets = image_octets(pair, BRAKE)
    tester.authorise()
    tester.ask("1002")
    tester.ask("3101ff00")
    assert tester.transfer(0, octets[:-1] + b"!") == ""
    assert tester.check(0) == "7f3172"
    assert tester.refusal() is Check.INSTALL_HASH
    status = tester.status()
    assert (status.state, status.next_offset, status.entry_digest) == (EcuState.IDLE, 0, None)
    tester.flash(octets)
    assert board.runs() == octets


@pytest.mark.parametrize(("address", "size"), [(1, 699), (0, 699), (0, 701), (0xEFFF_FFFF, 1)])
def test_a_download_that_is_not_the_rest_of_the_image_is_out_of_range(
    board: Board, tester: Client, address: int, size: int
) -> None:
    tester.authorise()
    tester.ask("1002")
    tester.ask("3101ff00")
    assert tester.ask(bytes.fromhex("340044") + address.to_bytes(4) + size.to_bytes(4)) == "7f3431"
    assert not board.effects(WriteSlot)


def test_an_image_is_not_written_into_a_slot_that_was_not_erased_for_it(tester: Client, board: Board) -> None:
    tester.authorise()
    tester.ask("1002")
    assert tester.ask("34004400000000" + "000002bc") == "7f3424"
    assert not board.effects(WriteSlot)


def test_an_erase_that_storage_refuses_does_not_count(
    tester: Client, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for a moment keeps nobody from an update."""
    tester.authorise()
    tester.ask("1002")
    meet = board._meet
    with monkeypatch.context() as broken:
        full = StorageFailure("no space left on device")
        broken.setattr(board, "_meet", lambda need: full if isinstance(need, EraseSlot) else meet(need))
        for _ in range(ERASES_PER_TARGETS_MAX + 1):
            assert tester.ask("3101ff00") == "7f3172"
            assert tester.refusal() is None
    assert tester.ask("3101ff00") == "7101ff0000"


def test_an_incomplete_image_is_not_checked(tester: Client, board: Board, pair: Pair) -> None:
    tester.authorise()
    tester.ask("1002")
    tester.ask("3101ff00")
    tester.ask("34004400000000000002bc")
    tester.ask(b"\x36\x01" + image_octets(pair, BRAKE)[:200])
    tester.ask("1002")
    assert tester.check(0) == "7f3124"
    assert tester.status().next_offset == 200


def test_a_prepared_image_cannot_be_erased_or_written(board: Board, tester: Client, pair: Pair) -> None:
    prepared(board, tester, pair)
    erases = len(board.effects(EraseSlot))
    assert tester.ask("3101ff00") == "7f3122"
    assert tester.ask("34004400000000000002bc") == "7f3422"
    assert len(board.effects(EraseSlot)) == erases
    assert tester.check(0) == "7101020200", "checked again, as after a lost answer"


def test_activation_hashes_the_slot_again(board: Board, tester: Client, pair: Pair) -> None:
    prepared(board, tester, pair)
    board.slots[1].octets[5] ^= 1
    assert tester.ask("1101") == "7f1172"
    assert tester.refusal() is Check.INSTALL_HASH
    assert board.boots == 1
    assert board.runs() == Board.octets_of("brakes/app-1", 1)


def test_without_a_time_attested_since_power_up_nothing_is_activated(board: Board, tester: Client, pair: Pair) -> None:
    prepared(board, tester, pair)
    board.power_up()
    assert tester.status().state is EcuState.PREPARED
    tester.ask("1002")
    assert tester.ask("3101ff01") == "7f3122"
    assert tester.ask("1101") == "7f1122"
    assert tester.refusal() is Check.TIME_UNATTESTED
    assert tester.set_time() == ""
    assert tester.ask("3101ff01") == "7101ff0100"
    assert tester.ask("1101") == "5101"
    assert board.runs() == image_octets(pair, BRAKE)


def test_a_slot_is_erased_at_most_so_often_under_one_targets(board: Board, tester: Client, pair: Pair) -> None:
    tester.authorise()
    tester.ask("1002")
    for count in range(ERASES_PER_TARGETS_MAX):
        assert tester.ask("3101ff00") == "7101ff0000"
        assert tester.ask("3101ff00") == "7101ff0000", "erased and untouched: nothing to do"
        assert len(board.effects(EraseSlot)) == count + 1
        tester.ask("34004400000000000002bc")
        tester.ask("3601aa")
    assert tester.ask("3101ff00") == "7f3172"
    assert tester.refusal() is Check.INSTALL_ERASES
    board.power_up()
    tester.ask("1002")
    assert tester.ask("3101ff00") == "7f3172", "nor after a power cut"
    pair.director.targets()
    tester.authorise()
    tester.ask("1002")
    assert tester.ask("3101ff00") == "7101ff0000"


def test_newer_targets_with_another_bundle_give_a_prepared_image_up(board: Board, tester: Client, pair: Pair) -> None:
    prepared(board, tester, pair)
    pair.update(counter=3)
    assert tester.authorise() == ""
    assert tester.status().state is EcuState.IDLE
    tester.flash(image_octets(pair, BRAKE))
    assert board.runs() == Board.octets_of("brakes/app-3", 3)


def test_newer_targets_with_the_same_bundle_keep_what_is_prepared(board: Board, tester: Client, pair: Pair) -> None:
    prepared(board, tester, pair)
    pair.director.targets()
    assert tester.authorise() == ""
    assert tester.status().state is EcuState.PREPARED
    assert tester.report().targets_version == pair.director.versions["targets"]


# ------------------------------------------------------------------------------------------------------ self-test


def test_an_image_that_fails_its_self_test_is_given_up_and_not_tried_again(
    board: Board, tester: Client, pair: Pair
) -> None:
    board.verdict = Verdict.FAILED
    tester.flash(image_octets(pair, BRAKE))
    assert board.boots == 3
    assert board.runs() == Board.octets_of("brakes/app-1", 1)
    report = tester.report()
    assert (report.state, report.outcome) == (EcuState.IDLE, Outcome.SELF_TEST_FAILED)
    assert Refusal(Check.INSTALL_SELF_TEST.code, 1) in report.refusals
    tester.authorise()
    tester.ask("1002")
    assert tester.ask("3101ff00") == "7f3172"
    assert tester.refusal() is Check.INSTALL_RETRIED


def test_an_image_that_does_not_come_up_is_given_up_at_the_next_boot(board: Board, tester: Client, pair: Pair) -> None:
    board.verdict = Verdict.DEAD
    tester.flash(image_octets(pair, BRAKE))
    assert board.boots == 3
    assert board.runs() == Board.octets_of("brakes/app-1", 1)
    assert tester.report().outcome is Outcome.ROLLED_BACK


def test_the_self_test_is_asked_of_new_images_only(board: Board, tester: Client, pair: Pair) -> None:
    tester.flash(image_octets(pair, BRAKE))
    assert len(board.effects(SelfTest)) == 1
    board.power_up()
    assert len(board.effects(SelfTest)) == 1


def test_a_release_forgets_the_refusals(board: Board, tester: Client, pair: Pair) -> None:
    tester.ask("1101")
    assert "refusals" in board.records
    tester.flash(image_octets(pair, BRAKE))
    assert "refusals" not in board.records
    assert tester.report().refusals == ()


def test_every_change_is_durable_before_it_shows(board: Board, tester: Client, pair: Pair) -> None:
    """Whatever a report says has been stored: a power cut right after it changes nothing of it."""
    tester.flash(image_octets(pair, BRAKE))
    before = tester.report()
    board.power_up()
    after = tester.report()
    assert after.counter > before.counter
    assert (after.state, after.image, after.bundle) == (before.state, before.image, before.bundle)
    names = [effect.name for effect in board.effects(Store)]
    assert {"installation", "nonce", "report", "director/targets", "director/time"} <= set(names)
