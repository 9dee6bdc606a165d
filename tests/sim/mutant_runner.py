"""Runs a command of the simulator against the cores with one deliberate defect in them, and says what found it.

    python -m tests.sim.mutant_runner [--jobs 2] [--only NAME ...] [--unkilled] [--hunt scenarios 1..50 cuts:1..50]

The packages are copied below build/mutants/, one copy per job, and one file of the copy is changed: what runs is
whole, and nobody else sees the defect. With `--hunt` the cheapest killer is searched on these grounds, one after the
other, and written into the `kills` column of the tables.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final, TypeVar
from zlib import crc32

from tests.sim.mutation import Mutation
from tests.sim.mutations import MUTATIONS

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

ROOT: Final = Path(__file__).resolve().parent.parent.parent
BUILD: Final = ROOT / "build" / "mutants"
PACKAGES: Final = ("uptane", "director", "image_repo", "primary", "secondary", "sim")
TABLES: Final = sorted(Path(__file__).parent.glob("mutations_*.py"))
COPIED: Final = (".py", ".css", ".js", ".txt")  # what the packages are made of, as far as they run here
HUNTER: Final = "tests.sim.mutant_hunter"
SCENARIOS: Final = "tests.sim.scenarios"
LIMIT_S: Final = 60  # for one run; a killer takes 2 to 4 seconds
HUNT_S_MAX: Final = 1_800  # for one defect on one ground


# -------------------------------------------------------------------------------------------------- a changed copy


class Overlay:
    """A copy of the packages in a folder of its own; kept from run to run, so that its bytecode is, too."""

    def __init__(self, name: str) -> None:
        self.folder = BUILD / name
        self._sound: dict[Path, bytes] = {}
        for package in PACKAGES:
            self._copy(package)

    def _copy(self, package: str) -> None:
        """Bring one package up to date; what has gone from the tree goes here as well."""
        wanted = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if path.suffix in COPIED}
        for old in (self.folder / package).rglob("*"):
            if old.is_file() and old.relative_to(self.folder) not in wanted:
                old.unlink()
        for path in sorted(wanted):
            self._sound[path] = (ROOT / path).read_bytes()
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_bytes() != self._sound[path]:
                self._write(path, self._sound[path])

    def _write(self, path: Path, octets: bytes) -> None:
        target = self.folder / path
        target.write_bytes(octets)
        # Bytecode is found by the second and the size of its source: two defects must not be taken for each other.
        stamp = crc32(octets) & 0x7FFF_FFFF
        os.utime(target, (stamp, stamp))

    @contextmanager
    def mutated(self, mutation: Mutation | None) -> Iterator[None]:
        """While in here, the copy has this defect; None for none."""
        if mutation is None:
            yield
            return
        path = Path(mutation.path)
        sound = self._sound[path]
        self._write(path, mutated_text(mutation, sound.decode()).encode())
        try:
            yield
        finally:
            self._write(path, sound)

    def run(self, arguments: Sequence[str], limit_s: float = LIMIT_S) -> Ran:
        """Run `python <arguments>` in the copy."""
        environment = {
            **os.environ,
            "PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}",  # the copy has no tests
            "PYTHONPYCACHEPREFIX": str(self.folder / "pycache"),
            "PYTHONHASHSEED": "0",
        }
        began = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, *arguments],
                check=False,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=limit_s,
            )
        except subprocess.TimeoutExpired:
            return Ran(None, f"not over after {limit_s:.0f} s", time.monotonic() - began)
        return Ran(done.returncode, done.stdout + done.stderr, time.monotonic() - began)


def mutated_text(mutation: Mutation, text: str) -> str:
    """`text` with the defect in it. Raises ValueError when what is to be replaced is not there, or there twice."""
    if text.count(mutation.before) != 1:
        raise ValueError(f"{mutation.name}: found {text.count(mutation.before)} times in {mutation.path}")
    return text.replace(mutation.before, mutation.after)


# ------------------------------------------------------------------------------------------------------ one verdict


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its code, None when it took too long; what it printed; how long it took."""

    code: int | None
    said: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether it found nothing wrong."""
        return self.code == 0

    @property
    def found(self) -> str:
        """What it found: the rule, the cell of the attack matrix, or the core's own assertion; empty for nothing.

        A command that did not understand its arguments, or took too long, has found nothing.
        """
        if self.code != 1:
            return ""
        for pattern in _FOUND:
            if match := pattern.search(self.said):
                return " ".join(match.group(1).split())[:100]
        return ""


# As the simulator says that a rule was broken, and the attack matrix that a cell came out otherwise. A defect that is
# no Python that runs has found nothing.
_FOUND: Final = (
    re.compile(r"^broken (?!BUG_(?:Name|UnboundLocal|Import)Error)([A-Z].*)$", re.MULTILINE),
    re.compile(r"^changed: (.*)$", re.MULTILINE),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutation under one command."""

    mutation: Mutation
    command: str
    ran: Ran

    @property
    def killed(self) -> bool:
        return bool(self.ran.found)

    def __str__(self) -> str:
        if self.killed:
            word = f"killed by {self.ran.found}"
        elif self.ran.code is None:
            word = self.ran.said
        else:
            word = "SURVIVED" if self.ran.passed else f"BROKEN, code {self.ran.code}: {self.ran.said[-200:]}"
        return f"{self.mutation.name:36} {self.command or '-':40} {self.ran.seconds:5.1f} s  {word}"


def command_of(kills: str) -> list[str]:
    """What Python is to run: a scenario of ours by its file, everything else by the simulator's command line."""
    first, _, rest = kills.partition(" ")
    return ["-m", SCENARIOS, rest] if first == "scenario" else ["-m", "sim", *shlex.split(kills)]


def judge(overlay: Overlay, mutation: Mutation, command: str, limit_s: float = LIMIT_S) -> Verdict:
    """Run a command on the cores with the defect."""
    with overlay.mutated(mutation):
        return Verdict(mutation, command, overlay.run(command_of(command), limit_s))


def sound(overlay: Overlay, command: str, limit_s: float = LIMIT_S) -> Ran:
    """Run a command on the cores as they are: a killer that finds something here is no killer."""
    return overlay.run(command_of(command), limit_s)


# ------------------------------------------------------------------------------------------------------------- hunt


@dataclass(frozen=True, slots=True)
class Catch:
    """A command that finds a defect: what it found, and how many seconds that took."""

    command: str
    found: str
    seconds: float


def hunt(overlay: Overlay, mutation: Mutation, grounds: Sequence[str], catches: int) -> Catch | None:
    """The cheapest of the first `catches` commands that find this defect, on the first grounds where one does."""
    with overlay.mutated(mutation):
        for each in grounds:
            found = list(_caught(overlay, each, catches))
            if found:
                return min(found, key=lambda catch: catch.seconds)
    return None


def _caught(overlay: Overlay, grounds: str, catches: int) -> Iterator[Catch]:
    """Hunt in one process: seeds, or the scenarios."""
    said = overlay.run(["-m", HUNTER, str(catches), *grounds.split()], HUNT_S_MAX).said
    if not said.rstrip().endswith("hunted"):
        raise RuntimeError(f"the hunt broke off: {said[-1_000:]}")
    for line in said.splitlines():
        if match := _CAUGHT.fullmatch(line):
            yield Catch(match[1], match[3], float(match[2]))


_CAUGHT: Final = re.compile(r"caught: (.*) \| (\d+\.\d) \| (.*)")


def record(mutation: Mutation, command: str) -> None:
    """Write `command` into the table as what kills this mutation."""
    for table in TABLES:
        text = table.read_text(encoding="utf-8")
        if f'name="{mutation.name}",' in text:
            table.write_text(recorded(text, mutation.name, command), encoding="utf-8")


def recorded(text: str, name: str, command: str) -> str:
    """The text of a table with `command` in the `kills` column of the mutation `name`."""
    pattern = re.compile(rf'(        name="{re.escape(name)}",.*?\n        kills=)"[^"\n]*"', re.DOTALL)
    changed, count = pattern.subn(lambda match: f'{match[1]}"{command}"', text, count=1)
    assert count == 1, f"{name} has no kills column"
    return changed


# ------------------------------------------------------------------------------------------------------ command line


def in_copies(
    jobs: int, work: Callable[[Overlay, ItemT], ResultT], items: Iterable[ItemT], copies: str = "copy"
) -> Iterator[ResultT]:
    """Do `work` for each item, so many at a time, each in a copy of its own; what came of it, in their order."""
    free: SimpleQueue[Overlay] = SimpleQueue()
    for number in range(jobs):
        free.put(Overlay(f"{copies}-{number}"))

    def one(item: ItemT) -> ResultT:
        copy = free.get()
        try:
            return work(copy, item)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, items)


def _judge_all(jobs: int, mutations: Sequence[Mutation], limit_s: float) -> int:
    survived = 0
    recorded_ones = [each for each in mutations if each.kills]
    for verdict in in_copies(jobs, lambda copy, each: judge(copy, each, each.kills, limit_s), recorded_ones):
        print(verdict, flush=True)
        survived += not verdict.killed
    unknown = [each.name for each in mutations if not each.kills]
    print(f"{len(recorded_ones) - survived} killed, {survived} survived, {len(unknown)} without a killer: {unknown}")
    return 1 if survived or unknown else 0


def _hunt_all(jobs: int, mutations: Sequence[Mutation], grounds: Sequence[str], catches: int) -> int:
    alarms = [catch for each in grounds for catch in _caught(Overlay("copy-0"), each, catches=1)]
    if alarms:
        print(f"{alarms[0].command} finds something in the cores as they are: {alarms[0].found}")
        return 1
    survived = 0
    for mutation, catch in in_copies(jobs, lambda copy, each: (each, hunt(copy, each, grounds, catches)), mutations):
        if catch is None:
            print(f"{mutation.name:36} SURVIVED", flush=True)
            survived += 1
            continue
        print(f"{mutation.name:36} {catch.command:40} {catch.seconds:5.1f} s  {catch.found[:120]}", flush=True)
        record(mutation, catch.command)
    print(f"{len(mutations) - survived} have a killer, {survived} survived")
    return 1 if survived else 0


def _grounds(text: str) -> str:
    """`scenarios`, `attacks`, `A..B` or `cuts:A..B` as the hunter is told it."""
    if text in {"scenarios", "attacks", "attacks-with-keys"}:
        return text
    manner, _, span = text.rpartition(":")
    first, _, last = span.partition("..")
    return f"{manner or 'everything'} {int(first)} {int(last or first)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutant_runner", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these mutations; a prefix will do")
    parser.add_argument("--unkilled", action="store_true", help="those without a killer on record")
    parser.add_argument(
        "--hunt",
        nargs="+",
        type=_grounds,
        metavar="WHERE",
        help="search killers: scenarios, attacks, attacks-with-keys, A..B (seeds), cuts:A..B (of power cuts only)",
    )
    parser.add_argument("--catches", type=int, default=1, help="of so many the quickest is taken")
    parser.add_argument("--seconds", type=float, default=LIMIT_S, help="limit of one run")
    asked = parser.parse_args()
    chosen = [
        each
        for each in MUTATIONS
        if (not asked.only or each.name.startswith(tuple(asked.only))) and not (asked.unkilled and each.kills)
    ]
    if asked.hunt:
        return _hunt_all(asked.jobs, chosen, asked.hunt, asked.catches)
    return _judge_all(asked.jobs, chosen, asked.seconds)


if __name__ == "__main__":
    sys.exit(main())
