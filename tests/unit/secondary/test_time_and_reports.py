"""Nonces, attestations, Root links, reports and refusals of one Secondary."""

from collections.abc import Callable

import pytest

from secondary.needs import Store
from secondary.state import COUNTERS_RESERVED
from tests.builders import BRAKE, DAY, STRANGER, Pair, key
from tests.unit.secondary.board import SECRET, WORKSHOP, Board, Client
from uptane.errors import Check
from uptane.link.uds_objects import Object
from uptane.link.uds_values import Did
from uptane.model.ids import Role
from uptane.model.reports import Refusal
from uptane.moments import UtcTime
from uptane.verify import record


@pytest.fixture
def board() -> Board:
    return Board(Pair(), BRAKE).power_up()


@pytest.fixture
def client(board: Board) -> Client:
    client = Client(board)
    client.ask("1003")
    return client


# -------------------------------------------------------------------------------------------------------- time


def test_a_nonce_changes_on_acceptance_and_at_power_up_and_never_by_being_read(board: Board, client: Client) -> None:
    first = client.read(Did.NONCE)
    assert client.read(Did.NONCE) == first
    assert client.set_time() == ""
    second = client.read(Did.NONCE)
    board.power_up()
    third = client.read(Did.NONCE)
    assert len({first, second, third, SECRET[:16]}) == 4


def test_a_nonce_is_durable_before_it_can_be_read(board: Board, client: Client) -> None:
    seen = {client.read(Did.NONCE)}
    for _ in range(5):
        board.power_up()
        client.ask("1003")
        assert client.read(Did.NONCE) not in seen
        seen.add(client.read(Did.NONCE))


def test_time_is_attested_until_the_power_goes(board: Board, client: Client) -> None:
    assert not client.status().time_attested
    assert client.set_time() == ""
    assert client.status().time_attested
    assert client.report().time == board.pair.now
    board.power_up()
    assert not client.status().time_attested
    assert client.report().time == board.pair.now, "but not forgotten"


BAD: list[tuple[Callable[[Pair, bytes], bytes], Check]] = [
    (lambda pair, nonce: pair.attestation(nonce=nonce, signers=[STRANGER]), Check.TIME_SIGNATURES),
    (lambda pair, nonce: pair.attestation(nonce=b"x" * 16), Check.TIME_NONCE),
    (lambda pair, nonce: pair.attestation(nonce=nonce, time=pair.now - 365 * DAY), Check.TIME_BACKWARDS),
    (lambda pair, nonce: pair.attestation(nonce=nonce)[1:], Check.ENCODING),
]


@pytest.mark.parametrize(("make", "check"), BAD)
def test_a_false_time_changes_nothing_not_even_the_nonce(
    board: Board, client: Client, make: Callable[[Pair, bytes], bytes], check: Check
) -> None:
    nonce = client.read(Did.NONCE)
    assert client.put(Object.ATTESTATION, make(board.pair, nonce)) == "7f3172"
    assert client.refusal() is check
    assert client.read(Did.NONCE) == nonce
    assert not client.status().time_attested
    assert client.set_time() == ""


def test_an_attestation_replayed_is_refused(board: Board, client: Client) -> None:
    octets = board.pair.attestation(nonce=client.read(Did.NONCE))
    assert client.put(Object.ATTESTATION, octets) == ""
    assert client.put(Object.ATTESTATION, octets) == "7f3172"
    assert client.refusal() is Check.TIME_NONCE


def test_the_time_goes_on_between_attestations(board: Board, client: Client) -> None:
    client.set_time()
    board.run(2 * DAY * 1_000)
    client.ask("1003")
    targets = board.pair.director.targets()
    assert client.put(Object.DIRECTOR_TARGETS, targets) == "7f3172"
    assert client.refusal() is Check.TARGETS_EXPIRED


def test_an_attestation_is_not_earlier_for_our_own_clock_running_fast(board: Board, client: Client) -> None:
    client.set_time()
    board.run(10_000)
    client.ask("1003")
    board.pair.now = UtcTime(board.pair.now + 9)
    assert client.set_time() == ""


def test_the_time_counts_from_the_attestation_on(board: Board, client: Client) -> None:
    board.run(3_000_000)
    client.ask("1003")
    assert client.set_time() == ""
    targets = board.pair.director.targets(expires=board.pair.now + 1_000)
    assert client.put(Object.DIRECTOR_TARGETS, targets) == ""


def test_verifying_moves_no_clock(board: Board, client: Client) -> None:
    assert client.set_time() == ""
    board.run(10_000)
    client.ask("1003")
    assert client.put(Object.DIRECTOR_TARGETS, board.pair.director.targets()) == ""
    assert client.report().time == board.pair.now, "what is reported was attested, not counted by ourselves"
    assert client.set_time() == "", "the same second, attested again"


def test_metadata_that_expire_by_our_own_clock_authorise_no_erase(board: Board, client: Client) -> None:
    client.set_time()
    board.run(2 * DAY * 1_000)
    client.ask("1002")
    assert client.ask("3101ff00") == "7f3172"
    assert client.refusal() is Check.TARGETS_EXPIRED


# -------------------------------------------------------------------------------------------------------- Root


def test_root_links_are_taken_one_by_one(board: Board, client: Client) -> None:
    director = board.pair.director
    roots = [director.root(), director.root()]
    assert client.put(Object.DIRECTOR_ROOT, roots[1]) == "7f3172"
    assert client.refusal() is Check.ROOT_VERSION
    for count, root in enumerate(roots, 2):
        assert client.put(Object.DIRECTOR_ROOT, root) == ""
        assert client.status().director_root == count
        assert client.report().root_version == count
    board.power_up()
    assert client.status().director_root == 3


def test_a_root_that_takes_the_time_key_away_resets_the_clock(board: Board, client: Client) -> None:
    client.set_time()
    director = board.pair.director
    director.keys[Role.TIME] = [key("another time")]
    assert client.put(Object.DIRECTOR_ROOT, director.root()) == ""
    assert not client.status().time_attested
    assert client.report().time < board.pair.now


def test_a_root_that_takes_the_targets_key_away_drops_the_targets_for_good(board: Board, client: Client) -> None:
    director = board.pair.director
    director.keys[Role.TARGETS] = [key("another targets")]
    assert client.put(Object.DIRECTOR_ROOT, director.root()) == ""
    assert client.status().targets_version == 0
    assert "director/targets" not in board.records


def test_a_power_cut_between_a_root_and_what_it_drops_is_made_good_at_the_next_start(
    board: Board, client: Client
) -> None:
    director = board.pair.director
    director.keys[Role.TARGETS] = [key("another targets")]
    board.records["director/root"] = director.root()
    board.power_up()
    assert client.status().targets_version == 0
    assert "director/targets" not in board.records


# ------------------------------------------------------------------------------------------------------- reports


def test_reports_are_not_signed_for_being_read(board: Board, client: Client) -> None:
    assert {client.read(Did.REPORT) for _ in range(5)} == {client.read(Did.REPORT)}


def test_a_cycle_of_the_primary_gets_a_new_report_at_most_once_a_second(board: Board, client: Client) -> None:
    client.ask("1001")
    primary = Client(board, 0xF0)
    seen = []
    for ms in (0, 999, 1, 1_000):
        board.run(ms)
        primary.ask("1003")
        seen.append(primary.report().counter)
    assert seen == [1, 1, 2, 3]
    primary.ask("1001")
    board.run(5_000)
    client.ask("1003")
    assert client.report().counter == 3, "a tester begins no cycle"


def test_counters_rise_across_power_cuts_and_are_reserved_before_they_are_used(board: Board, client: Client) -> None:
    primary, counters = Client(board, 0xF0), [client.report().counter]
    client.ask("1001")
    for _ in range(COUNTERS_RESERVED + 3):
        board.run(1_000)
        primary.ask("1003")
        counters.append(primary.report().counter)
        assert counters[-1] <= int.from_bytes(board.records["report"])
    assert counters == sorted(set(counters))
    assert len([effect for effect in board.effects(Store) if effect.name == "report"]) == 2
    board.power_up()
    assert primary.report().counter > counters[-1]


def test_a_lost_counter_starts_above_every_one_used(board: Board, client: Client) -> None:
    client.set_time()
    before = client.report().counter
    del board.records["report"]
    board.damaged = ("report",)
    board.power_up()
    report = client.report()
    assert report.counter > before
    assert report.counter > report.time
    assert report.refusals == (Refusal(Check.STATE_DAMAGED.code, 1),)


@pytest.mark.parametrize("name", ["report", "nonce"])
def test_a_count_that_is_gone_as_a_whole_is_as_lost_as_a_damaged_one(board: Board, client: Client, name: str) -> None:
    """Of an ECU that has installed something: it has counted before. Nobody says that a copy was damaged."""
    client.set_time()
    before, nonce = client.report(), client.read(Did.NONCE)
    board.records["installation"] = record.dump(board.state.installation)
    del board.records[name]
    board.power_up()
    assert client.report().counter > before.counter
    assert client.read(Did.NONCE) != nonce
    assert int.from_bytes(board.records[name]) > before.time


@pytest.mark.parametrize("again", [1, 2, 3])
def test_an_older_copy_of_a_count_starts_above_the_newest_one(board: Board, client: Client, again: int) -> None:
    """Also when no time was attested since the last damage: the time alone is not above then."""
    client.set_time()
    board.power_up()
    seen, counters = [client.read(Did.NONCE)], [client.report().counter]
    for _ in range(again):
        for name in ("nonce", "report"):
            stored = [effect.octets for effect in board.effects(Store) if effect.name == name]
            board.records[name] = stored[-2]
        board.damaged = ("nonce", "report")
        board.power_up()
        seen.append(client.read(Did.NONCE))
        counters.append(client.report().counter)
    assert len(set(seen)) == 1 + again
    assert counters == sorted(set(counters))


# ------------------------------------------------------------------------------------------------------ refusals


def test_refusals_that_cannot_be_read_stop_no_boot(board: Board, client: Client) -> None:
    board.records["refusals"] = b"{}"
    board.power_up()
    assert client.report().refusals == (Refusal(Check.STATE_DAMAGED.code, 1),)


def test_refusals_are_counted_by_check_and_written_at_powers_of_two(board: Board, client: Client) -> None:
    client.ask("1001")
    board.log.clear()
    for _ in range(9):
        client.ask("1101")
    stores = [effect for effect in board.effects(Store) if effect.name == "refusals"]
    assert len(stores) == 4
    board.run(1_000)
    Client(board, 0xF0).ask("1003")
    assert client.report().refusals == (Refusal(Check.LINK_SESSION.code, 9),)
    board.power_up()
    assert client.report().refusals == (Refusal(Check.LINK_SESSION.code, 8),)


def test_a_delivery_that_crawls_is_counted_as_slow_retrieval() -> None:
    board = Board(Pair(), BRAKE, slow_floor=100).power_up()
    client = Client(board)
    client.ask("1003")
    client.ask("340044f300000000000400")
    for count in range(1, 5):
        board.run(3_000)
        client.ask(bytes((0x36, count, 0xAA)))
    board.run(5_000)
    Client(board, 0xF0).ask("1003")
    assert client.report().refusals == (Refusal(Check.SLOW_RETRIEVAL.code, 1),)


def test_a_delivery_that_stops_is_slow_too() -> None:
    board = Board(Pair(), BRAKE, slow_floor=100).power_up()
    client = Client(board)
    client.ask("1003")
    client.ask("340044f300000000000400")
    board.run(6_000)
    Client(board, 0xF0).ask("1003")
    assert client.report().refusals == (Refusal(Check.SLOW_RETRIEVAL.code, 1),)


def test_a_delivery_at_pace_is_not_slow() -> None:
    board = Board(Pair(), BRAKE, slow_floor=100).power_up()
    client = Client(board)
    assert client.authorise() == ""
    board.run(1_000)
    Client(board, 0xF0).ask("1003")
    assert client.report().refusals == (Refusal(Check.LINK_BUSY.code, 1),), "the Primary had to wait; nothing was slow"


def test_a_refusal_is_reported_at_once_and_then_at_powers_of_two(board: Board, client: Client) -> None:
    signed = [client.report().counter]
    for _ in range(9):
        client.ask("1101")
        signed.append(client.report().counter)
    first = signed[0]
    assert [counter - first for counter in signed] == [0, 1, 2, 2, 3, 3, 3, 3, 4, 4]


# ----------------------------------------------------------------------------------------------------- the bus


def test_two_testers_at_once(board: Board, client: Client) -> None:
    other = Client(board, WORKSHOP + 1)
    client.ask("340044f300000000000400")
    assert other.ask("1003") == "7f1021"
    assert other.ask("340044fa00000000000010") == "7f3421"
    assert other.read(Did.VEHICLE) == b"vehicle-1"
    assert client.ask("3601aa") == "7601"
    board.run(5_000)
    assert other.ask("1003") == "5003003201f4"
    assert client.ask("3602bb") == "7f3621"


def test_the_group_is_asked_and_each_answers_for_itself(board: Board) -> None:
    client = Client(board)
    client.send(b"\x10\x03", functional=True)
    assert [reply.hex() for reply in client.replies] == ["5003003201f4"]
    client.replies.clear()
    client.send(b"\x11\x01", functional=True)
    assert not client.replies
    assert board.boots == 1


def test_what_was_delivered_is_forgotten_with_the_session(board: Board, client: Client) -> None:
    client.deliver(Object.DIRECTOR_TARGETS, board.pair.director.targets())
    board.run(5_000)
    client.ask("1003")
    assert client.check(Object.DIRECTOR_TARGETS) == "7f3124"


@pytest.mark.parametrize("octets", ["27", "2701", "10", "1009", "3101", "31011234", "34", "36", "00", "ff" * 20])
def test_malformed_requests_are_refused_and_change_nothing(board: Board, client: Client, octets: str) -> None:
    before = dict(board.records)
    answer = client.ask(octets)
    assert answer.startswith(f"7f{octets[:2]}")
    assert len(answer) == 6
    assert board.records == before


def test_silence_is_undone_when_the_session_ends(board: Board, client: Client) -> None:
    client.ask("280301")
    client.ask("8502")
    assert (board.traffic.messages, board.traffic.faults) == (False, False)
    board.run(5_000)
    assert (board.traffic.messages, board.traffic.faults) == (True, True)
