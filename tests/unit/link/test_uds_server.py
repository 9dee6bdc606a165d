"""The UDS server: who may ask for what, when and in which order; every refusal has its code and moves nothing."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uptane.errors import Check
from uptane.link.uds_objects import CheckOption, Object, Place
from uptane.link.uds_server import INTERLOCK_CHECK_MS, PENDING_AFTER_MS, PENDING_AGAIN_MS, UdsServer
from uptane.link.uds_tasks import (
    Answer,
    Asked,
    BeginImage,
    BeginObject,
    Dependencies,
    Do,
    Effect,
    EndTransfer,
    Erase,
    Event,
    Interlock,
    Misused,
    Opened,
    PrepareRestart,
    Reply,
    Restart,
    Task,
    Tick,
    Traffic,
    Verify,
    WriteBlock,
)
from uptane.link.uds_values import S3_MS, Nrc, Session
from uptane.moments import Instant

PRIMARY, TESTER = 0xF0, 0xF1
IMAGE_34 = "34004400000000000003e8"  # 1000 octets at offset 0
TARGETS_34 = "340044f3000000000003e8"
ERASE, PRECONDITIONS, DEPENDENCIES = "3101ff00", "31010203", "3101ff01"


class Bench:
    """A server, a clock that we turn, and the interlock in our hands."""

    def __init__(self) -> None:
        self.interlock = Interlock.SAFE
        self.server = UdsServer(lambda: self.interlock, {0xF190: b"VIN"}.get)
        self.now = 1_000
        self.effects: list[Effect] = []

    def put(self, event: Event) -> list[Effect]:
        self.effects = list(self.server.handle(event, Instant(self.now)))
        return self.effects

    def ask(self, octets: str | bytes, peer: int = PRIMARY, functional: bool = False) -> str:
        """The answer in hex; "" when there is none yet."""
        raw = bytes.fromhex(octets) if isinstance(octets, str) else octets
        self.put(Asked(peer, raw, functional))
        return self.said(peer)

    def said(self, peer: int = PRIMARY) -> str:
        assert all(effect.peer == peer for effect in self.effects if isinstance(effect, Reply))
        return " ".join(effect.octets.hex() for effect in self.effects if isinstance(effect, Reply))

    def task(self) -> Task | None:
        return next((effect.task for effect in self.effects if isinstance(effect, Do)), None)

    def answer(self, nrc: Nrc | None = None, peer: int = PRIMARY) -> str:
        self.put(Answer(nrc))
        return self.said(peer)

    def run(self, ms: int) -> list[Effect]:
        """Let the time pass, waking the server when it wants to be woken."""
        end, seen = self.now + ms, list[Effect]()
        while (deadline := self.server.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            seen += self.put(Tick())
        self.now = end
        self.effects = seen
        return seen

    def set(self, word: Interlock) -> "Bench":
        self.interlock = word
        return self

    def programming(self) -> "Bench":
        assert self.ask("1002") == "5002003201f4"
        return self

    def begun(self, request: str = IMAGE_34) -> "Bench":
        self.programming().ask(request)
        assert self.answer() == "74200fff"
        return self


def misused(effects: list[Effect]) -> list[Check]:
    return [effect.check for effect in effects if isinstance(effect, Misused)]


# ------------------------------------------------------------------------------------------------------- sessions


def test_sessions_open_and_end() -> None:
    bench = Bench()
    assert bench.ask("1003") == "5003003201f4"
    assert Opened(Session.EXTENDED, PRIMARY) in bench.effects
    assert bench.ask("1001") == "5001003201f4"
    assert bench.server.deadline() is None


def test_reads_and_presence_need_no_session() -> None:
    bench = Bench()
    assert bench.ask("22f190") == "62f190" + b"VIN".hex()
    assert bench.ask("22ffff") == "7f2231"
    assert bench.ask("3e00") == "7e00"
    assert bench.ask("3e80") == ""


@pytest.mark.parametrize(
    "request_", ["1101", "280301", "8502", ERASE, DEPENDENCIES, IMAGE_34, TARGETS_34, "31010202f3"]
)
def test_the_default_session_allows_nothing_that_changes_anything(request_: str) -> None:
    bench = Bench()
    service = request_[:2]
    assert bench.ask(request_) == f"7f{service}7f"
    assert misused(bench.effects) == [Check.LINK_SESSION]
    assert bench.task() is None


@pytest.mark.parametrize("request_", ["1101", ERASE, IMAGE_34, "3101020200"])
def test_the_extended_session_does_not_allow_programming(request_: str) -> None:
    bench = Bench()
    bench.ask("1003")
    assert bench.ask(request_) == f"7f{request_[:2]}7f"
    assert bench.task() is None


def test_a_session_without_requests_ends_after_s3_and_undoes_everything() -> None:
    bench = Bench().begun()
    bench.ask("280301")
    bench.ask("8502")
    bench.run(S3_MS - 1)
    bench.ask("3e80")
    bench.run(S3_MS - 1)
    assert bench.ask("22f190").startswith("62")
    seen = bench.run(S3_MS)
    assert Opened(Session.DEFAULT, PRIMARY) in seen
    assert Traffic(messages=True, faults=True) in seen
    assert bench.ask("3601aa") == "7f3624"
    assert bench.ask(ERASE) == "7f317f"


def test_two_testers_at_once_one_holds_the_session_and_the_other_may_read() -> None:
    bench = Bench().begun()
    for request, service in (
        ("1003", "10"),
        ("1001", "10"),
        (IMAGE_34, "34"),
        ("3601aa", "36"),
        ("37", "37"),
        (ERASE, "31"),
    ):
        assert bench.ask(request, TESTER) == f"7f{service}21"
        assert misused(bench.effects) == [Check.LINK_BUSY]
    assert bench.ask("22f190", TESTER).startswith("62")
    bench.run(S3_MS - 1)
    assert bench.ask("3e00", TESTER) == "7e00", "a stranger's presence is answered"
    bench.run(1)
    assert bench.ask("1003", TESTER) == "5003003201f4", "but keeps nobody's session"
    assert bench.ask("1003", PRIMARY) == "7f1021"


def test_a_group_may_be_asked_for_sessions_only_and_unknown_things_are_not_answered_to_it() -> None:
    bench = Bench()
    assert bench.ask("1003", functional=True) == "5003003201f4"
    assert bench.ask("1083", functional=True) == ""
    assert bench.ask("8502", functional=True) == "c502"
    for silent in ("1101", ERASE, TARGETS_34, "27ff", "1009", "22ffff"):
        assert bench.ask(silent, functional=True) == ""
        assert bench.task() is None


# ------------------------------------------------------------------------------------------------------ interlock


@pytest.mark.parametrize(("word", "nrc"), [(Interlock.UNSAFE, "22"), (Interlock.MOVING, "88")])
def test_nothing_dangerous_happens_while_the_interlock_does_not_say_safe(word: Interlock, nrc: str) -> None:
    bench = Bench()
    bench.interlock = word
    assert bench.ask("1002") == f"7f10{nrc}"
    assert bench.ask(PRECONDITIONS) == f"7f31{nrc}"
    bench.interlock = Interlock.SAFE
    assert bench.ask(PRECONDITIONS) == "7101020300"
    bench.programming()
    bench.interlock = word
    for request in ("280301", "8502", ERASE, IMAGE_34, "1101", "3101020200"):
        assert bench.ask(request) == f"7f{request[:2]}{nrc}"
        assert misused(bench.effects) == [Check.LINK_INTERLOCK]
        assert bench.task() is None


def test_metadata_is_taken_without_the_interlock() -> None:
    bench = Bench()
    bench.interlock = Interlock.MOVING
    bench.ask("1003")
    bench.ask(TARGETS_34)
    assert bench.task() == BeginObject(Place(Object.DIRECTOR_TARGETS), 1000)


SILENCING: list[Callable[[Bench], object]] = [
    lambda bench: bench.ask("1001"),
    lambda bench: bench.run(S3_MS),
    lambda bench: (bench.set(Interlock.MOVING), bench.run(INTERLOCK_CHECK_MS)),
    lambda bench: (bench.set(Interlock.UNSAFE), bench.ask(ERASE)),
    lambda bench: (bench.ask(ERASE), bench.answer(Nrc.PROGRAMMING)),
    lambda bench: (bench.ask("1101"), bench.answer()),
]


@pytest.mark.parametrize("end", SILENCING)
def test_a_silenced_vehicle_speaks_again_whatever_ends_the_session(end: Callable[[Bench], object]) -> None:
    bench = Bench().programming()
    assert bench.ask("280301") == "6803"
    assert bench.effects[0] == Traffic(messages=False, faults=True)
    assert bench.ask("8502") == "c502"
    assert bench.effects[0] == Traffic(messages=False, faults=False)
    end(bench)
    assert Traffic(messages=True, faults=True) in bench.effects


def test_speaking_again_is_never_refused() -> None:
    bench = Bench().programming()
    bench.ask("280301")
    bench.interlock = Interlock.UNSAFE
    assert bench.ask("280001") == "6800"
    assert bench.effects[0] == Traffic(messages=True, faults=True)


# ------------------------------------------------------------------------------------------------------ transfers


def test_a_transfer_from_begin_to_end_wraps_its_counter() -> None:
    bench = Bench().programming()
    bench.ask("340044000000000000012c")  # 300 octets
    assert bench.task() == BeginImage(0, 300)
    bench.answer()
    for count in range(300):
        counter = (count + 1) % 256
        assert bench.ask(bytes([0x36, counter, 0xEE])) == ""
        assert bench.task() == WriteBlock(b"\xee")
        assert bench.answer() == f"76{counter:02x}"
    bench.ask("37")
    assert bench.task() == EndTransfer()
    assert bench.answer() == "77"
    assert bench.ask("3601aa") == "7f3624"


def test_a_repeated_block_is_acknowledged_again_and_written_once() -> None:
    bench = Bench().begun()
    bench.ask("3601aabb")
    assert bench.answer() == "7601"
    assert bench.ask("3601aabb") == "7601"
    assert bench.task() is None
    bench.ask("3602cc")
    assert bench.task() == WriteBlock(b"\xcc")


def test_a_repeated_end_is_acknowledged_again() -> None:
    bench = Bench().begun("3400440000000000000001")
    bench.ask("3601aa")
    bench.answer()
    bench.ask("37")
    assert bench.answer() == "77"
    assert bench.ask("37") == "77"
    assert bench.task() is None
    bench.ask("1002")
    assert bench.ask("37") == "7f3724"


@pytest.mark.parametrize(("request_", "nrc"), [("3602aa", "73"), ("3600aa", "73"), ("36ffaa", "73")])
def test_a_wrong_block_counter_is_refused_and_the_transfer_goes_on(request_: str, nrc: str) -> None:
    bench = Bench().begun()
    assert bench.ask(request_) == f"7f36{nrc}"
    assert misused(bench.effects) == [Check.LINK_SEQUENCE]
    bench.ask("3601aa")
    assert bench.task() == WriteBlock(b"\xaa")


def test_more_octets_than_announced_are_refused() -> None:
    bench = Bench().begun("3400440000000000000002")
    assert bench.ask("3601aabbcc") == "7f3631"
    bench.ask("3601aabb")
    bench.answer()
    assert bench.ask("3602cc") == "7f3631"


def test_a_transfer_cannot_end_early_nor_be_checked_before_its_end() -> None:
    bench = Bench().begun()
    assert bench.ask("37") == "7f3724"
    assert bench.ask("3101020200") == "7f3124"
    assert bench.task() is None


@pytest.mark.parametrize("request_", ["3601aa", "37"])
def test_a_tester_that_skips_the_beginning_is_refused(request_: str) -> None:
    bench = Bench().programming()
    assert bench.ask(request_) == f"7f{request_[:2]}24"
    assert misused(bench.effects) == [Check.LINK_SEQUENCE]


@pytest.mark.parametrize("other", ["1002", "1003", ERASE])
def test_a_transfer_ends_with_a_new_session_or_an_erase(other: str) -> None:
    bench = Bench().begun()
    bench.ask(other)
    if bench.task() is not None:
        bench.answer()
    assert bench.ask("3601aa") == "7f3624"


def test_a_transfer_is_begun_anew_at_any_offset() -> None:
    bench = Bench().begun()
    bench.ask("3601aa")
    bench.answer()
    bench.ask("34004400000001000003e7")
    assert bench.task() == BeginImage(1, 999)
    bench.answer()
    bench.ask("3601bb")
    assert bench.task() == WriteBlock(b"\xbb")


@pytest.mark.parametrize("address", ["f0000001", "f9000000", "fc000000", "ffffffff", "f1010000", "f8400000"])
def test_an_address_where_nothing_lies_is_out_of_range(address: str) -> None:
    bench = Bench().programming()
    assert bench.ask(f"340044{address}00000001") == "7f3431"
    assert misused(bench.effects) == [Check.LINK_RANGE]


@pytest.mark.parametrize(("item", "limit"), [(0xF0, 65_536), (0xF3, 262_144), (0xFA, 8_192), (0xFB, 8_192)])
def test_an_object_longer_than_its_limit_is_out_of_range(item: int, limit: int) -> None:
    bench = Bench().programming()
    assert bench.ask(f"340044{item:02x}000000{limit + 1:08x}") == "7f3431"
    bench.ask(f"340044{item:02x}000000{limit:08x}")
    assert isinstance(bench.task(), BeginObject)


def test_a_block_that_could_not_be_written_ends_the_transfer() -> None:
    bench = Bench().begun()
    bench.ask("3601aa")
    assert bench.answer(Nrc.PROGRAMMING) == "7f3672"
    assert bench.ask("3601aa") == "7f3624"


# -------------------------------------------------------------------------------------------------- tasks, pending


@pytest.mark.parametrize(
    ("request_", "task"),
    [
        (ERASE, Erase()),
        (DEPENDENCIES, Dependencies()),
        ("31010202f3", Verify(CheckOption.DIRECTOR_TARGETS)),
        ("3101020200", Verify(CheckOption.IMAGE)),
        ("1101", PrepareRestart()),
    ],
)
def test_the_ecu_is_asked_and_its_answer_given(request_: str, task: Task) -> None:
    for nrc in (None, Nrc.CONDITIONS):
        bench = Bench().programming()
        assert bench.ask(request_) == ""
        assert bench.task() == task
        expected = f"7f{request_[:2]}22" if nrc else {"31": f"71{request_[2:8]}00", "11": "5101"}[request_[:2]]
        assert bench.answer(nrc) == expected
        assert (Restart() in bench.effects) == (request_ == "1101" and nrc is None)
        if Restart() in bench.effects:
            assert bench.effects[-1] == Restart(), "the answer goes out first"


def test_an_unknown_check_is_out_of_range() -> None:
    assert Bench().programming().ask("3101020201") == "7f3131"


def test_pending_is_said_within_p2_and_again_within_p2_star_until_the_answer() -> None:
    bench = Bench().programming()
    bench.ask(ERASE)
    assert bench.run(PENDING_AFTER_MS - 1) == []
    assert [type(effect) for effect in bench.run(1)] == [Reply]
    assert bench.said() == "7f3178"
    bench.run(4 * PENDING_AGAIN_MS)
    assert bench.said() == " ".join(["7f3178"] * 4)
    assert bench.answer() == "7101ff0000"
    assert bench.run(S3_MS - 1) == [], "S3 starts with the answer"
    assert Opened(Session.DEFAULT, PRIMARY) in bench.run(1)


def test_full_verification_says_pending_at_once() -> None:
    bench = Bench().programming()
    assert bench.ask("31010202fe") == "7f3178"
    assert bench.effects[-1] == Do(Verify(CheckOption.EVERYTHING))


def test_while_a_task_is_under_way_the_same_request_is_pending_and_any_other_is_busy() -> None:
    bench = Bench().programming()
    bench.ask(ERASE)
    assert bench.ask(ERASE) == "7f3178"
    assert bench.ask("1001") == "7f1021"
    assert bench.ask("1101") == "7f1121"
    assert bench.ask("22f190").startswith("62")
    assert bench.task() is None


def test_a_quiet_request_is_answered_only_after_pending_or_when_refused() -> None:
    for late, nrc, expected in ((False, None, ""), (True, None, "7101ff0000"), (False, Nrc.CONDITIONS, "7f3122")):
        bench = Bench().programming()
        bench.ask("3181ff00")
        if late:
            bench.run(PENDING_AFTER_MS)
        assert bench.answer(nrc) == expected


@given(st.lists(st.tuples(st.sampled_from([PRIMARY, TESTER]), st.binary(max_size=8), st.booleans()), max_size=30))
def test_any_octets_from_anyone_get_at_most_one_answer_and_never_an_exception(
    requests: list[tuple[int, bytes, bool]],
) -> None:
    bench = Bench()
    for peer, octets, functional in requests:
        said = bench.ask(octets, peer, functional)
        assert " " not in said
        if bench.task() is not None:
            bench.answer(None, peer)
