"""The way from vehicles to servers: calls that take their time, are lost, doubled, cut short, or altered on the way.

A caller makes one call after the other, as primary/shell/servers.py does, and gets an answer to each: what came, or
Unreachable. What that shell bounds while it comes is bounded here, so that a core meets nothing it never could.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, TypeAlias

from primary.needs import (
    BLOCK_LENGTH,
    Attest,
    FetchBlock,
    FetchMetadata,
    Poll,
    Polled,
    Reason,
    Unreachable,
)
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from sim.verbs import Verb
from uptane.errors import MarqueError
from uptane.model.limits import (
    ATTESTATION_LENGTH_MAX,
    DIRECTOR_TARGETS_LENGTH_MAX,
    ROOT_LENGTH_MAX,
    ROOTS_PER_CYCLE_MAX,
    SNAPSHOT_LENGTH_MAX,
    TIMESTAMP_LENGTH_MAX,
)

Need: TypeAlias = Poll | Attest | FetchMetadata | FetchBlock
Tamper: TypeAlias = Callable[[str, Need, object], object]
Say: TypeAlias = Callable[[str, Verb, str], None]  # node, verb, detail

# What primary/shell/servers.py grants a call, and takes of an answer.
LIMIT_S: Final[dict[type[Any], int]] = {Poll: 60, Attest: 20, FetchMetadata: 1_800, FetchBlock: 300}
FILES_LENGTH_MAX: Final = (
    ROOTS_PER_CYCLE_MAX * ROOT_LENGTH_MAX + TIMESTAMP_LENGTH_MAX + SNAPSHOT_LENGTH_MAX + DIRECTOR_TARGETS_LENGTH_MAX
)
FILES_MAX: Final = ROOTS_PER_CYCLE_MAX + 3
REFUSALS_MAX: Final = 16
SERVER: Final[dict[type[Any], str]] = {
    Poll: "Director",
    Attest: "time service",
    FetchMetadata: "Image repository",
    FetchBlock: "Image repository",
}
EVERYBODY: Final = "everybody"


@dataclass(frozen=True, slots=True)
class Partition:
    """From `start_ns` until `end_ns` nothing passes between `caller` and `server`; None is everybody."""

    start_ns: int
    end_ns: int
    caller: str | None = None
    server: str | None = None

    def stands(self, now_ns: int, caller: str, server: str) -> bool:
        """Whether it keeps these two apart now."""
        between = self.caller in {None, caller} and self.server in {None, server}
        return between and self.start_ns <= now_ns < self.end_ns


@dataclass(frozen=True, slots=True)
class NetworkFaults:
    """How likely what happens to a call, and how long it takes: `delay_ms` each way, evenly spread.

    `late`: an answer that takes up to `late_ms` longer, so that those of several callers change places. `rate` is in
    octets a second; None: octets take no time.
    """

    delay_ms: tuple[int, int] = (10, 50)
    loss: float = 0.0
    duplicated: float = 0.0
    truncated: float = 0.0
    late: float = 0.0
    late_ms: int = 10_000
    rate: int | None = None


CALM: Final = NetworkFaults()


def _silent(_node: str, _verb: Verb, _detail: str) -> None:
    """Say nothing."""


@dataclass(slots=True)
class _Call:
    """A call: who asks which server for what, how it is run there, and who waits until when."""

    caller: str
    server: str
    need: Need
    run: Callable[[], object]
    answered: Callable[[object], None]
    deadline_ns: int = 0


class Network:
    """See the module. `faults` may be replaced at any time, and be others for some callers; so may `tamper`.

    `calls` and `octets` count what was asked and what was answered.
    """

    def __init__(self, clock: Clock, dice: Random, faults: NetworkFaults = CALM, say: Say = _silent) -> None:
        self.faults = faults
        self.faults_of: dict[str, NetworkFaults] = {}
        self.tamper: Tamper | None = None
        self.calls = self.octets = 0
        self._clock, self._dice, self._say = clock, dice, say
        self._partitions: list[Partition] = []
        self._queues: dict[str, deque[_Call]] = {}

    def call(
        self, caller: str, server: str, run: Callable[[], object], answered: Callable[[object], None], *, need: Need
    ) -> None:
        """Have `run` called at `server` and its answer brought to `caller`, after all that it asked before.

        What `run` raises as a MarqueError is brought as Unreachable, which says why.
        """
        self.calls += 1
        queue = self._queues.setdefault(caller, deque())
        queue.append(_Call(caller, server, need, run, answered))
        if len(queue) == 1:
            self._begin(queue[0])

    def cut(self, caller: str) -> None:
        """`caller` has lost its power: nothing is brought to it any more; what is under way is still done."""
        self._queues.pop(caller, None)

    def part(self, partition: Partition) -> None:
        """Keep two apart from now until the partition ends."""
        self._partitions.append(partition)
        node = partition.caller or EVERYBODY
        text = f"{node} from {partition.server or EVERYBODY}"
        self._say(node, Verb.PARTITION, text)

        def heal() -> None:
            self._partitions.remove(partition)
            self._say(node, Verb.HEAL, text)

        self._clock.at(max(partition.end_ns, self._clock.now_ns), heal)

    # ---------------------------------------------------------------------------------------------------- the way

    def _begin(self, call: _Call) -> None:
        verb, detail = _asked(call.need)
        self._say(call.caller, verb, f"{call.server} {detail}".rstrip())
        call.deadline_ns = self._clock.now_ns + LIMIT_S[type(call.need)] * NS_PER_S
        self._send(call, 0, lambda: self._arrive(call))

    def _arrive(self, call: _Call) -> None:
        """At the server; a request that comes twice is answered twice, and one of the answers gets lost."""
        answer = _run(call)
        if self._happens(self._of(call).duplicated):
            second = self._dice.random() < 0.5

            def again() -> None:
                late = _run(call)
                if second:
                    self._leave(call, late)

            self._send(call, 0, again)
            if second:
                return
        self._leave(call, answer)

    def _leave(self, call: _Call, answer: object) -> None:
        """The answer sets out."""
        if not isinstance(answer, MarqueError):
            if self.tamper is not None:
                answer = self.tamper(call.server, call.need, answer)
            if self._happens(self._of(call).truncated):
                answer = truncated(answer, self._dice)
        self._send(call, length_of(answer), lambda: self._end(call, answer))

    def _end(self, call: _Call, answer: object) -> None:
        """The caller has its answer, unless it had one before or has lost its power; its next call begins."""
        queue = self._queues.get(call.caller)
        if queue is None or not queue or queue[0] is not call:
            return
        queue.popleft()
        found = answer if isinstance(answer, MarqueError) else bounded(call.need, answer)
        if isinstance(found, MarqueError):
            self._say(call.caller, Verb.UNREACHABLE, f"{call.server} {found}")
        else:
            self.octets += length_of(found)
            self._say(call.caller, Verb.ANSWER, f"{call.server} {length_of(found)} octets")
        if queue:
            self._begin(queue[0])
        call.answered(found)

    def _send(self, call: _Call, octets: int, act: Callable[[], None]) -> None:
        """Have `act` happen at the other end, if it comes to that; the caller waits no longer than its limit."""
        passes_ns = self._passes_ns(call, octets)
        if passes_ns is None or passes_ns > call.deadline_ns:
            failure = Unreachable(_named(call), Reason.DOWN, "no answer in time")
            self._clock.at(max(call.deadline_ns, self._clock.now_ns), lambda: self._end(call, failure))
        if passes_ns is not None:
            self._clock.at(passes_ns, act)

    def _of(self, call: _Call) -> NetworkFaults:
        return self.faults_of.get(call.caller, self.faults)

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self._dice.random() < chance

    def _delay_ns(self, faults: NetworkFaults) -> int:
        delay_ms = self._dice.randint(*faults.delay_ms)
        if self._happens(faults.late):
            delay_ms += self._dice.randint(0, faults.late_ms)
        return delay_ms * NS_PER_MS

    def _passes_ns(self, call: _Call, octets: int) -> int | None:
        """When something that sets out now is at the other end; None if it never is.

        What meets a partition is lost, or waits for its end: TCP tries again, at longer and longer intervals.
        """
        faults, now_ns = self._of(call), self._clock.now_ns
        if self._happens(faults.loss):
            return None
        ends = [each.end_ns for each in self._partitions if each.stands(now_ns, call.caller, call.server)]
        leaves_ns = max(ends, default=now_ns)
        if ends:
            if self._dice.random() < 0.5:
                return None
            leaves_ns += self._dice.randint(0, leaves_ns - now_ns)
        on_wire_ns = 0 if faults.rate is None else octets * NS_PER_S // faults.rate
        return leaves_ns + self._delay_ns(faults) + on_wire_ns


def _run(call: _Call) -> object:
    """What the server says; a failure there is what gRPC makes of it."""
    try:
        return call.run()
    except Unreachable as failure:
        return failure
    except MarqueError as failure:
        return Unreachable(_named(call), Reason.REFUSED, type(failure).__name__)


def _named(call: _Call) -> str:
    return SERVER[type(call.need)]


def _asked(need: Need) -> tuple[Verb, str]:
    match need:
        case Poll(manifest=manifest):
            return Verb.POLL, f"manifest {len(manifest)} octets" if manifest else ""
        case Attest(nonces=nonces):
            return Verb.ATTEST, f"{len(nonces)} nonces"
        case FetchMetadata(name=name):
            return Verb.FETCH, name
        case FetchBlock(sha256=sha256, offset=offset):
            return Verb.FETCH, f"{sha256.hex()[:8]} at {offset}"


def bounded(need: Need, answer: object) -> object:
    """What the Primary's shell lets through of an answer, whoever made it."""
    match need, answer:
        case Poll(), Polled(files=files, refused=refused):
            if sum(map(len, files.values())) > FILES_LENGTH_MAX or len(files) > FILES_MAX:
                return Unreachable(SERVER[Poll], Reason.REFUSED, "it sends more than any vehicle takes")
            return answer if len(refused) <= REFUSALS_MAX else replace(answer, refused=refused[:REFUSALS_MAX])
        case Attest(), tuple():
            if any(len(octets) > ATTESTATION_LENGTH_MAX for octets in answer):
                return Unreachable(SERVER[Attest], Reason.REFUSED, "an attestation is too long")
            return answer
        case FetchMetadata(length_max=length_max), bytes():
            return answer[: length_max + 1]
        case FetchBlock(), bytes():
            return answer[:BLOCK_LENGTH]
        case FetchMetadata() | FetchBlock(), None:
            return None
        case _:
            raise AssertionError((need, answer))


def truncated(answer: object, dice: Random) -> object:
    """An answer of which octets are missing at the end: one file, one attestation, a part of a block."""
    match answer:
        case bytes():
            return _cut_short(answer, dice)
        case Polled(files=files) if files:
            name = dice.choice(list(files))
            return replace(answer, files=files | {name: _cut_short(files[name], dice)})
        case tuple() if answer:
            at = dice.randrange(len(answer))
            return (*answer[:at], _cut_short(answer[at], dice), *answer[at + 1 :])
        case _:
            return answer


def _cut_short(octets: bytes, dice: Random) -> bytes:
    return octets[: dice.randrange(len(octets))] if octets else octets


def length_of(answer: object) -> int:
    """Octets of what matters in an answer."""
    match answer:
        case bytes():
            return len(answer)
        case Polled(files=files):
            return sum(map(len, files.values()))
        case tuple():
            return sum(map(len, answer))
        case _:
            return 0
