"""Where two traces part: the first line that differs, with what stands around it.

Two runs of the same seed say the same, byte for byte; the first line that differs is where something other than the
seed had a say. What comes after it differs for that reason alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

CONTEXT: Final = 5
CONTEXT_MAX: Final = 1_000  # lines a person would read before and after
ENDED: Final = "(nothing more)"


@dataclass(frozen=True, slots=True)
class Difference:
    """Line `number` (from 1) of one is not that of the other; each `after` begins with it, and is empty past an end."""

    number: int
    before: tuple[str, ...]
    after_a: tuple[str, ...]
    after_b: tuple[str, ...]

    @property
    def lines(self) -> Iterator[tuple[str, str]]:
        """For people: a sign (` ` both, `-` only the first, `+` only the second) and the line."""
        yield from ((" ", line) for line in self.before)
        yield from (("-", line) for line in self.after_a or (ENDED,))
        yield from (("+", line) for line in self.after_b or (ENDED,))


def difference(a: Iterable[bytes], b: Iterable[bytes], context: int = CONTEXT) -> Difference | None:
    """The first difference of two sequences of lines, `context` lines before and after; None when there is none."""
    assert 0 <= context <= CONTEXT_MAX
    before: deque[str] = deque(maxlen=context)
    lines_a, lines_b = iter(a), iter(b)
    number = 0
    while True:
        number += 1
        one, other = next(lines_a, None), next(lines_b, None)
        if one != other:
            after_a, after_b = _after(one, lines_a, context), _after(other, lines_b, context)
            return Difference(number, tuple(before), after_a, after_b)
        if one is None:
            return None
        before.append(_text(one))


def _after(first: bytes | None, rest: Iterator[bytes], context: int) -> tuple[str, ...]:
    return () if first is None else (_text(first), *(_text(line) for line in islice(rest, context)))


def _text(line: bytes) -> str:
    """For people: what is no text is shown as such, and nothing steers their terminal."""
    text = line.rstrip(b"\n").decode(errors="backslashreplace")
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
