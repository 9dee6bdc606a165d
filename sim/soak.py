"""A soak: a range of seeds, which of them are still to be run, and what they came to.

Pure: who runs a seed, and how long that took, is told. Some seeds are run twice, to prove that a seed means the same
wherever it runs. What a soak has done can be kept in a file and taken up again (`Soak.checkpoint`, `resumed`).
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final

from sim.asked import SEED_MAX, STANDARD, Asked, BadInput
from sim.attempt import Failure, Result
from sim.clock import NS_PER_S

SEEDS_MAX: Final = 100_000_000  # years of a core; more than that is a typing error
CHECKPOINT_FORMAT: Final = 1
CHECKPOINT_OCTETS_MAX: Final = 50_000_000  # ten times what every (effect, state) and failure we allow would take
FAILURES_MAX: Final = 1_000  # more failing seeds than anybody looks at
NOT_REPEATABLE: Final = "NOT_REPEATABLE"
"""The rule that a seed has broken which did not do the same when it was run again."""

_RANGE = re.compile(r"(\d{1,40})(?:(\.\.)(\d{1,40})?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Seeds:
    """`first` to `last`, both included; `last` is None when there is no end but that of time."""

    first: int
    last: int | None

    def __str__(self) -> str:
        return f"{self.first}..{'' if self.last is None else self.last}"

    @property
    def end(self) -> int:
        """One past the last seed that can be asked for."""
        return min(SEED_MAX, self.first + SEEDS_MAX - 1 if self.last is None else self.last) + 1


def seeds(text: str) -> Seeds:
    """`7`, `0..999`, or `1000..` as a range.

    Raises:
        BadInput: it is none, runs backwards, or is absurd.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{text!r} is no range of seeds; write A..B, such as 0..999, or A.. with --minutes, or fresh")
    first = int(found[1])
    last = int(found[3]) if found[3] else None if found[2] else first
    if max(first, last or 0) > SEED_MAX:
        raise BadInput(f"{text!r} is out of range: seeds are 0 to {SEED_MAX} (2**63 - 1)")
    if last is not None and last < first:
        raise BadInput(f"{text!r} runs backwards; write {last}..{first}")
    if last is not None and last - first >= SEEDS_MAX:
        raise BadInput(f"{text!r} are {last - first + 1:,} seeds; at most {SEEDS_MAX:,} at once, or A.. with --minutes")
    return Seeds(first, last)


@dataclass(frozen=True, slots=True)
class Totals:
    """What all seeds came to. `cpu_s` is that of the processes that ran them."""

    seeds: int = 0
    failed: int = 0
    again: int = 0
    events: int = 0
    updates: int = 0
    cuts: int = 0
    virtual_ns: int = 0
    cpu_s: float = 0.0

    def plus(self, result: Result, cpu_s: float) -> Totals:
        """With one more seed."""
        return replace(
            self,
            seeds=self.seeds + 1,
            events=self.events + result.events,
            updates=self.updates + result.updates,
            cuts=self.cuts + result.cuts,
            virtual_ns=self.virtual_ns + result.virtual_ns,
            cpu_s=self.cpu_s + cpu_s,
        )

    @property
    def virtual_days(self) -> float:
        """Virtual time, in days."""
        return self.virtual_ns / NS_PER_S / 86_400

    def per_core_second(self, count: int) -> float:
        """How many of something in a second of one core."""
        return count / self.cpu_s if self.cpu_s else 0.0


@dataclass(frozen=True, slots=True)
class Task:
    """One seed to run; `again`: a second time, and its digest must be this one."""

    asked: Asked
    again: str = ""


@dataclass
class Soak:
    """See the module. Every `again_every`-th seed is run twice; 0: none is."""

    seeds: Seeds
    manner: str = STANDARD
    again_every: int = 0
    totals: Totals = Totals()
    distinct_cuts: set[str] = field(default_factory=set)
    failed: dict[int, tuple[Failure, ...]] = field(default_factory=dict)
    _next: int = -1
    _waiting: deque[Task] = field(default_factory=deque)
    _running: dict[int, Task] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._next = max(self._next, self.seeds.first)

    @property
    def over(self) -> bool:
        """Whether every seed was run, or is being run."""
        return not self._waiting and self._next >= self.seeds.end

    def task(self) -> Task | None:
        """What is to be run next; None when there is nothing, until some result has been taken."""
        if self._waiting:
            task = self._waiting.popleft()
        elif self._next < self.seeds.end:
            task = Task(Asked(self._next, self.manner))
            self._next += 1
        else:
            return None
        self._running[task.asked.seed] = task
        return task

    def take(self, task: Task, result: Result, cpu_s: float) -> None:
        """A seed has been run."""
        seed = task.asked.seed
        del self._running[seed]
        if task.again:
            self._take_again(task, result, cpu_s)
            return
        self.totals = self.totals.plus(result, cpu_s)
        self.distinct_cuts.update(result.distinct_cuts)
        if result.failures:
            self._fail(seed, result.failures)
        elif self.again_every and (seed - self.seeds.first) % self.again_every == 0:
            self._waiting.append(Task(task.asked, result.digest))

    def lose(self, task: Task, failure: Failure) -> None:
        """A seed did not come to an end: whoever ran it died, or took too long."""
        seed = task.asked.seed
        del self._running[seed]
        self.totals = replace(self.totals, seeds=self.totals.seeds + (not task.again))
        self._fail(seed, (failure,))

    def _take_again(self, task: Task, result: Result, cpu_s: float) -> None:
        self.totals = replace(self.totals, again=self.totals.again + 1, cpu_s=self.totals.cpu_s + cpu_s)
        if result.digest != task.again:
            text = f"digest {result.digest[:16]} where it was {task.again[:16]} before"
            self._fail(task.asked.seed, (Failure(NOT_REPEATABLE, "run", text),))

    def _fail(self, seed: int, failures: tuple[Failure, ...]) -> None:
        assert seed not in self.failed, "a seed that failed is not run again"
        self.totals = replace(self.totals, failed=self.totals.failed + 1)
        self.failed[seed] = failures

    # ------------------------------------------------------------------------------------------------- checkpoints

    def checkpoint(self) -> str:
        """All that is needed to go on another day. What is being run just now will be run again."""
        undone = [*self._running.values(), *self._waiting]
        body = {
            "format": CHECKPOINT_FORMAT,
            "seeds": str(self.seeds),
            "manner": self.manner,
            "again_every": self.again_every,
            "next": self._next,
            "undone": [[task.asked.seed, task.again] for task in undone],
            "totals": {name: getattr(self.totals, name) for name in Totals.__slots__},
            "distinct_cuts": sorted(self.distinct_cuts),
            "failed": {
                str(seed): [[each.rule, each.node, each.text] for each in failures]
                for seed, failures in sorted(self.failed.items())
            },
        }
        return json.dumps({"digest": _digest(body), **body}, indent=1) + "\n"


def resumed(text: str, soak: Soak) -> Soak:
    """`soak`, as far as the checkpoint in `text` had come with it.

    Raises:
        BadInput: it is no checkpoint of this format, is broken, or is one of another soak.
    """
    advice = "remove the file to begin anew"
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput(f"broken checkpoint: no JSON; {advice}") from None
    if not isinstance(body, dict) or "format" not in body:
        raise BadInput(f"this is no checkpoint of a soak; name another file, or {advice}")
    if body["format"] != CHECKPOINT_FORMAT:
        raise BadInput(
            f"a checkpoint of format {body['format']!r}, and this version writes {CHECKPOINT_FORMAT}; {advice}"
        )
    if body.pop("digest", None) != _digest(body):
        raise BadInput(f"broken checkpoint: its digest is not that of its content; {advice}")
    if (body["seeds"], body["manner"], body["again_every"]) != (str(soak.seeds), soak.manner, soak.again_every):
        text = f"--seeds {body['seeds']} --manner {body['manner']} --again {body['again_every']}"
        raise BadInput(f"a checkpoint of another soak: {text}; ask for the same, or {advice}")
    return _restored(body, soak)


def _restored(body: dict[str, Any], soak: Soak) -> Soak:
    """The digest was right, so we wrote this, and it has the shape that `checkpoint` gave it."""
    undone = deque(Task(Asked(seed, soak.manner), again) for seed, again in body["undone"])
    failed = {int(seed): tuple(Failure(*each) for each in found) for seed, found in body["failed"].items()}
    return Soak(
        soak.seeds,
        soak.manner,
        soak.again_every,
        totals=Totals(**body["totals"]),
        distinct_cuts=set(body["distinct_cuts"]),
        failed=failed,
        _next=body["next"],
        _waiting=undone,
    )


def _digest(body: dict[str, Any]) -> str:
    kept = {name: value for name, value in body.items() if name != "digest"}
    return sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
