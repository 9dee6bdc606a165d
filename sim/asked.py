"""What a run is asked for: its seed, how plans are drawn, which faults are left out. Ask the same again, see the same.

A trace tells it: the seed in its first line, the rest, where there is any, as its first event (`run asked ...`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from uptane.errors import MarqueError

SEED_MAX: Final = 2**63 - 1  # a seed is a number that every language and database can hold
EVENT_MAX: Final = 10**9  # a run of one seed has some 100,000
NUMBER_MAX: Final = 10**6  # of a fault; a plan has some dozens
WITHOUT_MAX: Final = 10_000  # faults left out
STANDARD: Final = "everything"  # the manner that need not be named
RUNNER: Final = "run"  # the node of the line that tells it

_DETAIL = re.compile(r"(?:manner=([a-z][a-z-]{0,39}))?(?: ?without=(\d{1,7}(?:,\d{1,7})*))?", re.ASCII)


class BadInput(MarqueError):
    """The command line asks for something that cannot be; the text says what can."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One run: `seed` 0 to SEED_MAX, the name of a manner of drawing plans, numbers of faults and acts to leave out."""

    seed: int
    manner: str = STANDARD
    without: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        assert 0 <= self.seed <= SEED_MAX
        assert list(self.without) == sorted(set(self.without))

    @property
    def detail(self) -> str:
        """What a trace tells besides the seed; empty when there is nothing to tell."""
        parts = [f"manner={self.manner}"] if self.manner != STANDARD else []
        return " ".join([*parts, f"without={listed(self.without)}"] if self.without else parts)

    @property
    def options(self) -> str:
        """The same as options of a command line, each with a space before it."""
        manner = f" --manner {self.manner}" if self.manner != STANDARD else ""
        return manner + (f" --without {listed(self.without)}" if self.without else "")

    @property
    def run(self) -> str:
        """The command that runs it again."""
        return f"marque-sim run --seed {self.seed}{self.options}"

    @property
    def replay(self) -> str:
        """The command that shows how it ends."""
        return f"marque-sim replay {self.seed}{self.options}"

    @property
    def shrink(self) -> str:
        """The command that looks for fewer faults that do it."""
        return f"marque-sim shrink {self.seed}{self.options}"


def from_detail(seed: int, detail: str) -> Asked | None:
    """What a trace of `seed` told in `detail`; None when it is not what `Asked.detail` writes."""
    found = _DETAIL.fullmatch(detail)
    if found is None:
        return None
    asked = Asked(
        seed, found[1] or STANDARD, tuple(sorted({int(each) for each in (found[2] or "").split(",") if each}))
    )
    return asked if asked.detail == detail else None


def numbers(text: str) -> tuple[int, ...]:
    """`3,7,12` as numbers of faults, ascending.

    Raises:
        BadInput: it is no such list.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isascii() and part.isdecimal() and len(part) <= 7 and int(part) <= NUMBER_MAX for part in parts):
        raise BadInput(f"{text!r} is no list of numbers of faults, such as 3,7,12; each is 0 to {NUMBER_MAX:,}")
    if len(parts) > WITHOUT_MAX:
        raise BadInput(f"{len(parts):,} faults to leave out; at most {WITHOUT_MAX:,}, and no plan has as many")
    return tuple(sorted({int(part) for part in parts}))


def listed(values: Iterable[int]) -> str:
    """Numbers as `3,7,12`."""
    return ",".join(map(str, values))
