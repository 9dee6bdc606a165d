"""The way to the servers: every call is answered once and in time, by what a server said or by Unreachable."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from primary.needs import (
    Attest,
    FetchBlock,
    FetchMetadata,
    Poll,
    Polled,
    Reason,
    RefusedByDirector,
    Unreachable,
    Versions,
)
from primary.shell import servers as real
from sim import network
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from sim.network import CALM, LIMIT_S, Network, NetworkFaults, Partition, bounded, truncated
from sim.verbs import Verb
from uptane.errors import Check, MarqueError, Rejected, StorageFailure
from uptane.model.limits import ATTESTATION_LENGTH_MAX

BLOCK = FetchBlock(bytes(32), 0)
METADATA = FetchMetadata("1.root", 100)
POLL = Poll(b"", b"", Versions(0, 0, 0, 0))
ATTEST = Attest((b"nonce",))
NEEDS = (BLOCK, METADATA, POLL, ATTEST)


def polled(**files: bytes) -> Polled:
    return Polled(manifest_wanted=False, admitted_digest=b"", poll_again_s=0, refused=(), files=files)


ANSWERS: dict[Any, object] = {BLOCK: b"block", METADATA: b"root", POLL: polled(timestamp=b"t"), ATTEST: (b"time",)}


@dataclass
class Way:
    """A network, and what happened on it."""

    seed: int = 1
    faults: NetworkFaults = CALM
    clock: Clock = field(default_factory=Clock)
    runs: list[Any] = field(default_factory=list)
    answers: list[tuple[int, Any, object]] = field(default_factory=list)
    said: list[tuple[str, Verb, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = Network(
            self.clock,
            Random(self.seed),
            self.faults,
            lambda node, verb, detail: self.said.append((node, verb, detail)),
        )

    def ask(self, name: Any, need: Any = BLOCK, run: Callable[[], object] | None = None, caller: str = "v1") -> None:
        def at_server() -> object:
            self.runs.append(name)
            return ANSWERS[need] if run is None else run()

        def answered(answer: object) -> None:
            self.answers.append((self.clock.now_ns, name, answer))

        self.network.call(caller, "server", at_server, answered, need=need)

    def settle(self) -> None:
        while self.clock.step():
            pass

    def one(self, need: Any = BLOCK, run: Callable[[], object] | None = None) -> object:
        """The answer to one call."""
        self.ask("one", need, run)
        self.settle()
        ((_, _, answer),) = self.answers
        return answer


def failing(failure: MarqueError) -> Callable[[], object]:
    def run() -> object:
        raise failure

    return run


# ------------------------------------------------------------------------------------------------------------ calm


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: type(need).__name__)
def test_an_answer_comes_after_a_way_there_and_a_way_back(need: Any) -> None:
    way = Way(faults=NetworkFaults(delay_ms=(10, 10)))
    assert way.one(need) == ANSWERS[need]
    assert way.answers[0][0] == 20 * NS_PER_MS
    assert [verb for _, verb, _ in way.said][1:] == [Verb.ANSWER]


def test_octets_take_their_time() -> None:
    way = Way(faults=NetworkFaults(delay_ms=(0, 0), rate=1_000))
    way.one(BLOCK, lambda: bytes(2_500))
    assert way.answers[0][0] == 2_500 * NS_PER_MS


def test_a_caller_makes_one_call_after_the_other_and_callers_do_not_wait_for_each_other() -> None:
    way = Way(faults=NetworkFaults(delay_ms=(1, 100)))
    for number in range(20):
        way.ask(number, NEEDS[number % 4])
        way.ask(100 + number, caller="v2")
    way.settle()
    assert [name for _, name, _ in way.answers if name < 100] == list(range(20))
    assert way.runs != sorted(way.runs)
    assert [name for _, name, _ in way.answers] != sorted(name for _, name, _ in way.answers)


def test_an_answer_may_make_the_next_call() -> None:
    way = Way()
    way.network.call("v1", "server", lambda: b"1", lambda _: way.ask("next"), need=BLOCK)
    way.settle()
    assert [name for _, name, _ in way.answers] == ["next"]


def test_what_the_server_fails_of_is_unreachable_and_says_why() -> None:
    down = Unreachable("director", Reason.DOWN)
    assert Way().one(POLL, failing(down)) is down
    answer = Way().one(POLL, failing(StorageFailure("full")))
    assert isinstance(answer, Unreachable)
    assert (answer.reason, str(answer)) == (
        Reason.REFUSED,
        "Director reached, but it refused the request: StorageFailure",
    )
    with pytest.raises(ZeroDivisionError):
        Way().one(POLL, lambda: 1 // 0)


# ---------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: type(need).__name__)
def test_a_lost_call_ends_at_the_limit_of_the_shell(need: Any) -> None:
    way = Way(faults=NetworkFaults(loss=1.0))
    answer = way.one(need)
    assert isinstance(answer, Unreachable)
    assert answer.reason is Reason.DOWN
    assert way.answers[0][0] == LIMIT_S[type(need)] * NS_PER_S
    assert way.runs == []


def test_an_answer_may_be_lost_as_well() -> None:
    runs = {
        len(way.runs)
        for seed in range(30)
        if isinstance((way := Way(seed, NetworkFaults(loss=0.5))).one(), Unreachable)
    }
    assert runs == {0, 1}


def test_a_call_that_comes_twice_is_run_twice_and_answered_once() -> None:
    answers = set()
    for seed in range(30):
        way = Way(seed, NetworkFaults(duplicated=1.0, delay_ms=(10, 10)))
        numbers = iter(range(10))
        answers.add(way.one(BLOCK, lambda numbers=numbers: bytes((next(numbers),))))  # type: ignore[misc]
        assert len(way.runs) == 2
    assert answers == {b"\0", b"\1"}


def test_a_second_run_may_come_after_the_next_call() -> None:
    orders = set()
    for seed in range(30):
        way = Way(seed, NetworkFaults(duplicated=0.5, late=0.5, late_ms=1_000))
        way.ask("a")
        way.ask("b")
        way.settle()
        orders.add("".join(way.runs))
    assert {"ab", "aab", "abb", "aabb"} <= orders
    assert any("ba" in order for order in orders)


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: type(need).__name__)
def test_octets_may_be_missing_at_the_end(need: Any) -> None:
    whole = {BLOCK: bytes(200), METADATA: bytes(90), POLL: polled(a=bytes(90), b=bytes(90)), ATTEST: (bytes(90),) * 2}
    lengths = set()
    for seed in range(30):
        way = Way(seed, NetworkFaults(truncated=1.0))
        short = network.length_of(way.one(need, lambda: whole[need]))
        assert short < network.length_of(whole[need])
        lengths.add(short)
    assert len(lengths) > 10


@pytest.mark.parametrize("answer", [None, b"", polled(), (), polled(a=b"")])
def test_what_has_no_octets_is_not_truncated(answer: object) -> None:
    assert truncated(answer, Random(1)) == answer


def test_other_faults_for_one_caller() -> None:
    way = Way()
    way.network.faults_of["v2"] = NetworkFaults(loss=1.0)
    way.ask(1)
    way.ask(2, caller="v2")
    way.settle()
    assert [isinstance(answer, Unreachable) for _, _, answer in way.answers] == [False, True]


# ------------------------------------------------------------------------------------------------------ partitions


def test_nothing_passes_a_partition_until_it_heals() -> None:
    passed, lost, times = set(), 0, set()
    for seed in range(40):
        way = Way(seed)
        way.network.part(Partition(0, 5 * NS_PER_S, "v1", "server"))
        way.ask(1)
        way.ask(2, caller="v2")
        way.settle()
        assert way.answers[0][1] == 2
        (at_ns, _, answer) = way.answers[1]
        assert at_ns > 5 * NS_PER_S
        passed.add(answer == b"block")
        lost += not way.runs.count(1)
        times.add(at_ns // NS_PER_S)
    assert passed == {True, False}
    assert lost
    assert times > {5, 6, 7, 8, 9}, "it is tried again at longer and longer intervals"


def test_an_answer_that_meets_a_partition_waits_or_is_lost() -> None:
    kinds = set()
    for seed in range(40):
        way = Way(seed, NetworkFaults(delay_ms=(10, 10)))
        way.ask(1)
        while not way.runs:
            way.clock.step()
        way.network.part(Partition(way.clock.now_ns, way.clock.now_ns + NS_PER_S))
        # the answer set out just before; what the next call asks for does not
        way.ask(2)
        way.settle()
        kinds.add(isinstance(way.answers[1][2], Unreachable))
    assert kinds == {True, False}


def test_a_partition_is_told_when_it_begins_and_when_it_ends_and_is_forgotten() -> None:
    way = Way()
    way.network.part(Partition(0, NS_PER_S, None, "server"))
    way.settle()
    assert way.said == [
        ("everybody", Verb.PARTITION, "everybody from server"),
        ("everybody", Verb.HEAL, "everybody from server"),
    ]
    assert way.network._partitions == []


@pytest.mark.parametrize(
    ("partition", "apart"),
    [
        (Partition(0, 10), True),
        (Partition(0, 10, "v1"), True),
        (Partition(0, 10, None, "server"), True),
        (Partition(0, 10, "v2"), False),
        (Partition(0, 10, "v1", "other"), False),
        (Partition(0, 5), False),
        (Partition(6, 10), False),
        (Partition(5, 6, "v1", "server"), True),
    ],
)
def test_a_partition_stands_between_those_it_names(partition: Partition, apart: bool) -> None:
    assert partition.stands(5, "v1", "server") is apart


# ------------------------------------------------------------------------------------------------------- power cut


def test_a_caller_that_lost_its_power_hears_nothing_of_what_it_asked() -> None:
    way = Way()
    for name in ("under way", "waiting"):
        way.ask(name)
    way.network.cut("v1")
    way.ask("after")
    way.settle()
    assert [name for _, name, _ in way.answers] == ["after"]
    assert sorted(way.runs) == ["after", "under way"], "what had set out is done; what waited is not"
    way.network.cut("nobody")


# ------------------------------------------------------------------------------------- attackers, and what is bounded


def test_somebody_on_the_way_may_answer_otherwise() -> None:
    way = Way()
    way.network.tamper = lambda server, need, answer: (server, need, answer) == ("server", BLOCK, b"block") and b"other"
    assert way.one() == b"other"


def test_failures_are_not_tampered_with() -> None:
    way = Way()
    way.network.tamper = lambda *_: pytest.fail("it sees no failure")
    assert isinstance(way.one(BLOCK, failing(Unreachable("x", Reason.DOWN))), Unreachable)


def test_limits_are_those_of_the_shell() -> None:
    assert {
        Poll: real.POLL_S,
        Attest: real.ATTEST_S,
        FetchMetadata: real.METADATA_S,
        FetchBlock: real.IMAGE_S,
    } == LIMIT_S
    assert (network.FILES_LENGTH_MAX, network.FILES_MAX) == (real.FILES_LENGTH_MAX, real.FILES_MAX)
    assert network.REFUSALS_MAX == real.REFUSALS_MAX
    assert set(network.SERVER) == set(LIMIT_S)


def test_what_is_too_much_does_not_reach_the_core() -> None:
    assert bounded(METADATA, bytes(1_000)) == bytes(101)
    assert bounded(METADATA, bytes(100)) == bytes(100)
    assert bounded(BLOCK, bytes(100_000)) == bytes(65_536)
    assert bounded(BLOCK, None) is bounded(METADATA, None) is None
    refusal = RefusedByDirector(1, "")
    many = Polled(False, b"", 0, (refusal,) * 17, {})
    assert bounded(POLL, many) == Polled(False, b"", 0, (refusal,) * 16, {})
    for files in ({"a": bytes(network.FILES_LENGTH_MAX + 1)}, {str(n): b"" for n in range(network.FILES_MAX + 1)}):
        assert isinstance(bounded(POLL, polled(**files)), Unreachable)
    assert isinstance(bounded(ATTEST, (b"", bytes(ATTESTATION_LENGTH_MAX + 1))), Unreachable)
    for need in NEEDS:
        assert bounded(need, ANSWERS[need]) == ANSWERS[need]
        with pytest.raises(AssertionError):
            bounded(need, 1)


def test_what_an_attacker_sends_is_bounded_too() -> None:
    way = Way()
    way.network.tamper = lambda *_: bytes(10_000_000)
    assert way.one(METADATA) == bytes(101)


# ------------------------------------------------------------------------------------------------------- always so

FAULTS = st.builds(
    NetworkFaults,
    delay_ms=st.sampled_from([(0, 0), (1, 50), (0, 30_000)]),
    loss=st.sampled_from([0.0, 0.2]),
    duplicated=st.sampled_from([0.0, 0.5]),
    truncated=st.sampled_from([0.0, 0.5]),
    late=st.sampled_from([0.0, 0.5]),
    rate=st.sampled_from([None, 1]),
)


def whole(faults: NetworkFaults, seed: int) -> tuple[Way, dict[Any, tuple[int, Any]]]:
    """Three callers ask for many things; where one loses its power now and then."""
    way, dice = Way(seed, faults), Random(seed)
    asked: dict[Any, tuple[int, Any]] = {}
    for number in range(60):
        caller = dice.choice(("v1", "v2", "v3"))
        match dice.randrange(12):
            case 0 if caller == "v3":
                way.network.cut(caller)
            case 1:
                now_ns = way.clock.now_ns
                way.network.part(Partition(now_ns, now_ns + dice.randrange(100 * NS_PER_S), caller))
            case _:
                asked[caller, number] = way.clock.now_ns, (need := dice.choice(NEEDS))
                way.ask((caller, number), need, caller=caller)
        for _ in range(dice.randrange(6)):
            way.clock.step()
    way.settle()
    return way, asked


@given(faults=FAULTS, seed=st.integers(0, 1_000))
@settings(max_examples=100)
def test_every_call_is_answered_once_in_turn_and_in_time(faults: NetworkFaults, seed: int) -> None:
    way, asked = whole(faults, seed)
    names = [name for _, name, _ in way.answers]
    assert len(set(names)) == len(names), "once"
    for caller in ("v1", "v2"):
        assert [name for name in names if name[0] == caller] == [name for name in asked if name[0] == caller]
    latest = dict.fromkeys(("v1", "v2", "v3"), 0)
    for at_ns, name, answer in way.answers:
        asked_ns, need = asked[name]
        assert at_ns - max(latest[name[0]], asked_ns) <= LIMIT_S[type(need)] * NS_PER_S
        latest[name[0]] = at_ns
        assert isinstance(answer, Unreachable) or faults.truncated or answer in ANSWERS.values()
        if not faults.truncated and not isinstance(answer, Unreachable):
            assert name in way.runs, "nobody invents an answer"
    assert all(way.runs.count(name) <= 2 for name in asked)
    again, _ = whole(faults, seed)
    assert [(at_ns, name, str(answer)) for at_ns, name, answer in again.answers] == [
        (at_ns, name, str(answer)) for at_ns, name, answer in way.answers
    ]
    assert again.said == way.said


def test_a_refusal_is_no_answer_of_a_server() -> None:
    """What a server raises and no vehicle may see by type comes as a refused call."""
    answer = Way().one(POLL, failing(Rejected(Check.LENGTH)))
    assert isinstance(answer, Unreachable)
