"""A Secondary that verifies fully: all of both repositories, or nothing; and what it does when the disk fails."""

from collections.abc import Callable

import pytest

from secondary.needs import EraseSlot, PowerCycle, Running
from tests.builders import CAMERA, RELEASE, STRANGER, Pair, PowerLost
from tests.unit.secondary.board import PRIMARY_CLIENT, Board, Client, image_octets
from tests.unit.secondary.coordinator import Coordinator
from uptane.errors import Check
from uptane.link.uds_objects import LENGTH_MAX, CheckOption, Object
from uptane.model.ids import RoleName
from uptane.model.reports import EcuState, Phase


@pytest.fixture
def board() -> Board:
    return Board(Pair(), CAMERA).power_up()


@pytest.fixture
def primary(board: Board) -> Coordinator:
    return Coordinator(board)


def test_a_full_ecu_installs_what_both_repositories_vouch_for(board: Board, primary: Coordinator) -> None:
    board.pair.update()
    primary.update()
    assert board.runs() == image_octets(board.pair, CAMERA)
    assert primary.status().image_root == 1
    assert {"image/role/dev", "image/role/release"} <= set(board.records)


def test_a_full_ecu_has_no_way_around_full_verification(board: Board, primary: Coordinator) -> None:
    primary.ask("1003")
    primary.deliver(Object.DIRECTOR_TARGETS, board.pair.director.targets())
    assert primary.check(CheckOption.DIRECTOR_TARGETS) == "7f3131"


def test_what_was_not_delivered_anew_is_taken_from_the_store(board: Board, primary: Coordinator) -> None:
    """A Primary hands over what is new: after a re-issue of the Director's files, only those."""
    board.pair.director.issue()
    primary.ask("1003")
    assert primary.set_time() == ""
    director = board.pair.director
    for item, role in ((Object.DIRECTOR_SNAPSHOT, "snapshot"), (Object.DIRECTOR_TARGETS, "targets")):
        primary.deliver(item, director.offered[f"{director.versions[role]}.{role}"])
    primary.deliver(Object.DIRECTOR_TIMESTAMP, director.offered["timestamp"])
    assert primary.check(CheckOption.EVERYTHING) == "7101020200"
    assert primary.status().targets_version == director.versions["targets"]


def test_root_links_delivered_with_everything_else_are_walked_first(board: Board, primary: Coordinator) -> None:
    board.pair.update()
    director, image = board.pair.director.root(), board.pair.image.root()
    primary.ask("1003")
    assert primary.set_time() == ""
    primary.deliver(Object.DIRECTOR_ROOT, director)
    primary.deliver(Object.IMAGE_ROOT, image)
    primary.deliver_metadata()
    assert primary.check(CheckOption.EVERYTHING) == "7101020200"
    status = primary.status()
    assert (status.director_root, status.image_root) == (2, 2)


@pytest.mark.parametrize("lost", ["gone", "an older copy"])
def test_a_stored_file_that_vouched_is_lost(board: Board, primary: Coordinator, lost: str) -> None:
    """Nothing is installed on a word that is no longer held; all is handed on again, and then it is."""
    older = board.records.copy()
    board.pair.update()
    primary.ask("1003")
    assert primary.set_time() == ""
    primary.deliver_metadata()
    assert primary.check(CheckOption.EVERYTHING) == "7101020200"
    before = primary.status().targets_version
    name = "image/role/release"
    board.records.pop(name)
    if lost == "an older copy":
        board.records["image/targets"] = older["image/targets"]
    board.power_up()
    assert primary.status().targets_version == 0
    primary.ask("1002")
    assert primary.ask("3101ff00")[:4] == "7f31"
    assert primary.refusal() is Check.DELEGATION_INVALID
    primary.ask("1003")
    assert primary.set_time() == ""
    primary.deliver_metadata()
    assert primary.check(CheckOption.EVERYTHING) == "7101020200"
    assert primary.status().targets_version == before
    primary.update()
    assert board.runs() == image_octets(board.pair, CAMERA)


def forged_delegate(pair: Pair) -> None:
    pair.image.targets(RELEASE, signers=[STRANGER])
    pair.image.publish()


BAD: list[tuple[Callable[[Pair], object], Check]] = [
    (lambda pair: pair.director.timestamp(signers=[STRANGER]), Check.TIMESTAMP_SIGNATURES),
    (lambda pair: pair.director.timestamp(version=4), Check.TIMESTAMP_VERSION),
    (lambda pair: pair.director.snapshot(), Check.SNAPSHOT_HASH),
    (lambda pair: pair.director.targets(), Check.TARGETS_HASH),
    (lambda pair: pair.image.timestamp(expires=pair.now - 1), Check.TIMESTAMP_EXPIRED),
    (lambda pair: pair.image.targets(RELEASE), Check.TARGETS_HASH),
    (forged_delegate, Check.TARGETS_SIGNATURES),
]


@pytest.mark.parametrize(("change", "check"), BAD)
def test_one_bad_file_and_nothing_is_stored(
    board: Board, primary: Coordinator, change: Callable[[Pair], object], check: Check
) -> None:
    board.pair.update()
    change(board.pair)
    primary.ask("1003")
    assert primary.set_time() == ""
    before = dict(board.records)
    assert primary.deliver_metadata() == ""
    assert primary.check(CheckOption.EVERYTHING) == "7f3172"
    assert primary.refusal() is check
    changed = {name for name in board.records if board.records[name] != before.get(name)}
    assert changed <= {"refusals", "report"}
    assert primary.check(CheckOption.EVERYTHING) == "7101020200", "nothing delivered, nothing new"
    assert primary.status().targets_version == 5


def test_a_delegate_under_another_role_s_name_is_not_found(board: Board, primary: Coordinator) -> None:
    board.pair.update()
    primary.ask("1003")
    assert primary.set_time() == ""
    primary.deliver_metadata()
    image = board.pair.image
    number = [each for each in image.images if each != "targets"].index(RELEASE)
    primary.deliver(Object.DELEGATED, image.offered[f"{image.versions[RoleName('dev')]}.dev"], number)
    assert primary.check(CheckOption.EVERYTHING) == "7f3172"
    assert primary.refusal() in {Check.DELEGATION_INVALID, Check.TARGETS_HASH}


def test_octets_that_are_no_metadata_at_all(board: Board, primary: Coordinator) -> None:
    primary.ask("1003")
    primary.deliver(Object.DIRECTOR_TIMESTAMP, b"no envelope")
    assert primary.check(CheckOption.EVERYTHING) == "7f3172"
    assert primary.refusal() is Check.ENCODING


def test_announcing_much_costs_nothing_and_holding_too_much_is_refused(board: Board, primary: Coordinator) -> None:
    primary.ask("1003")
    for number in range(3):
        address = (0xF800_0000 + number * 0x10000).to_bytes(4)
        size = LENGTH_MAX[Object.DELEGATED].to_bytes(4)
        assert primary.ask(bytes.fromhex("340044") + address + size) == "74200fff"
        primary.ask("3601aa")
    assert board.state.objects._octets == bytearray(b"\xaa")


# ------------------------------------------------------------------------------------------------------ full disk


def test_a_full_disk_refuses_and_loses_nothing_and_the_update_goes_on_when_there_is_room(
    board: Board, primary: Coordinator
) -> None:
    board.pair.update()
    board.full_disk = True
    primary.ask("1101")
    assert primary.refusal() is Check.LINK_SESSION
    before = dict(board.records)
    primary.ask("1003")
    primary.deliver(Object.ATTESTATION, board.pair.attestation(nonce=primary.read(0xFD02)))
    assert primary.check(CheckOption.ATTESTATION) == "7f3172"
    assert primary.refusal() is None, "the disk's fault, no check's"
    assert primary.deliver_metadata() == ""
    assert primary.check(CheckOption.EVERYTHING) == "7f3172"
    assert board.records == before
    board.full_disk = False
    primary.update()
    assert board.runs() == image_octets(board.pair, CAMERA)


def test_a_disk_that_is_full_when_the_slot_is_written_ends_the_transfer(board: Board, primary: Coordinator) -> None:
    board.pair.update()
    primary.verify()
    octets = image_octets(board.pair, CAMERA)
    primary.ask("1002")
    assert primary.ask("3101ff00") == "7101ff0000"
    primary.ask(bytes.fromhex("34004400000000") + len(octets).to_bytes(4))
    board.full_disk = True
    assert primary.ask(b"\x36\x01" + octets[:100]) == "7f3672"
    assert primary.ask(b"\x36\x01" + octets[:100]) == "7f3624"
    board.full_disk = False
    primary.update()
    assert len(board.effects(EraseSlot)) == 1


def test_a_boot_that_cannot_be_recorded_is_tried_again(board: Board, primary: Coordinator) -> None:
    board.pair.update()
    primary.verify()
    list(primary.install(image_octets(board.pair, CAMERA), restart=False))
    primary.ask("1003")
    primary.order(Phase.ACTIVATE)
    board.full_disk = True
    cycles = len(board.effects(PowerCycle))
    primary.ask("1002")
    assert primary.ask("1101") == "7f1172", "not even begun: the record cannot be written"
    assert len(board.effects(PowerCycle)) == cycles
    assert primary.status().state is EcuState.PREPARED


def test_a_boot_decision_that_cannot_be_stored_is_tried_again_and_nothing_runs_meanwhile(
    board: Board, primary: Coordinator
) -> None:
    board.pair.update()
    primary.verify()
    list(primary.install(image_octets(board.pair, CAMERA), restart=False))
    primary.order(Phase.ACTIVATE)
    board.fuse = 2  # hashed and stored; then the power fails
    primary.ask("1002")
    with pytest.raises(PowerLost):
        primary.ask("1101")
    board.full_disk, board.fuse = True, 7
    with pytest.raises(PowerLost):
        board.power_up()
    assert len(board.effects(Running)) == 1, "the one at the beginning"
    board.full_disk, board.fuse = False, None
    board.power_up()
    assert board.runs() == image_octets(board.pair, CAMERA)


def test_strangers_may_not_have_what_was_delivered_verified_as_theirs(board: Board, primary: Coordinator) -> None:
    board.pair.update()
    primary.ask("1003")
    primary.deliver_metadata()
    stranger = Client(board, 0xF2)
    assert stranger.check(CheckOption.EVERYTHING) == "7f3121"


def test_a_nonce_that_a_full_disk_refused_is_drawn_when_there_is_room_and_a_cycle_begins(board: Board) -> None:
    """Without one nobody could give this ECU the time, and nothing that changes it would be asked of it any more."""
    board.full_disk = True
    board.power_up()
    primary = Client(board, PRIMARY_CLIENT)
    assert primary.ask("22fd02") == "7f2231"
    primary.ask("1003")
    assert primary.ask("22fd02") == "7f2231"
    primary.ask("1001")
    board.full_disk = False
    primary.ask("1003")
    assert primary.ask("22fd02").startswith("62fd02")
    assert primary.set_time() == ""
