"""A trace read back: strictly, within limits, and with its digest proven.

A trace may come from elsewhere: every line is judged before anything is made of it, and a complaint names the line and
says what to do. Where the lines come from is the caller's: they arrive as octets, each with its line feed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import Final

from sim.asked import RUNNER, SEED_MAX, Asked, from_detail
from sim.clock import NS_PER_S
from sim.trace import FORMAT
from sim.verbs import Verb
from uptane.errors import MarqueError

LINE_OCTETS_MAX: Final = 4_096  # the longest of ours, an assignment for a whole vehicle, has some 400
EVENTS_MAX: Final = 5_000_000  # some 1 GB in memory; a run of one seed has some 100,000
WORDS_MAX: Final = 10_000  # nodes and verbs; the largest vehicle has 100 ECUs

_HEADER = re.compile(r"marque-sim trace (\d{1,9}) seed (\d{1,19})", re.ASCII)
_LINE = re.compile(r"(\d{6,9}) (0|[1-9]\d{0,11})\.(\d{9}) ([!-~]{1,200}) ([!-~]{1,40})(?: (\S.*))?", re.ASCII)
_END = re.compile(r"end digest ([0-9a-f]{64}) events (\d{1,9})", re.ASCII)
_SHOWN_MAX = 60  # characters of a bad line in a message


class BadTrace(MarqueError):
    """What was given is no trace that this version can read; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event: its number from 1, when it happened, and who says what."""

    event: int
    at_ns: int
    node: str
    verb: str
    detail: str

    @property
    def seconds(self) -> str:
        """When, as the trace writes it."""
        return f"{self.at_ns // NS_PER_S}.{self.at_ns % NS_PER_S:09}"

    def __str__(self) -> str:
        return f"{self.event:06} {self.seconds} {self.node} {self.verb} {self.detail}".rstrip()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A whole trace, and what run it is of. `digest` is that of the last line, and is right."""

    asked: Asked
    lines: tuple[Line, ...]
    digest: str

    @property
    def end_ns(self) -> int:
        """When the last thing happened."""
        return self.lines[-1].at_ns if self.lines else 0


def read(octets: Iterable[bytes]) -> Recorded:
    """The trace in these lines.

    Raises:
        BadTrace: it is of another format, damaged, cut off, or larger than any of ours.
    """
    lines = iter(octets)
    asked = read_header(next(lines, b""))
    digest, end = sha256(), ""
    events: list[Line] = []
    words: dict[str, str] = {}  # nodes and verbs are few, and kept once
    for number, raw in enumerate(lines, 2):
        text = _text(raw, number)
        if text.startswith("end "):
            end = text
            break
        if len(events) >= EVENTS_MAX:
            raise BadTrace(f"line {number}: more than {EVENTS_MAX:,} events; this is not one run of one seed")
        events.append(_line(text, number, events[-1] if events else None, words))
        if len(words) > WORDS_MAX:
            raise BadTrace(f"line {number}: more than {WORDS_MAX:,} nodes and verbs; no simulation of ours has as many")
        digest.update(raw)
    if events and (events[0].node, events[0].verb) == (RUNNER, Verb.ASKED):
        asked = _asked(asked.seed, events[0])
    _check_end(end, digest.hexdigest(), len(events), asked)
    if next(lines, None) is not None:
        raise BadTrace(
            f"line {len(events) + 3}: something follows the last line of the trace; make it anew: {asked.run}"
        )
    return Recorded(asked, tuple(events), digest.hexdigest())


def read_header(raw: bytes) -> Asked:
    """What the first line of a trace says.

    Raises:
        BadTrace: it is no first line of a trace, or one of another format.
    """
    if not raw:
        raise BadTrace("the file is empty; a trace is made by: marque-sim run --seed N --trace FILE")
    text = _text(raw, 1)
    found = _HEADER.fullmatch(text)
    if found is None:
        raise BadTrace(f"line 1: {_shown(text)} begins no trace; one is made by: marque-sim run --seed N --trace FILE")
    form, seed = int(found[1]), int(found[2])
    if seed > SEED_MAX:
        raise BadTrace(f"line 1: seed {seed} is out of range: 0 to {SEED_MAX}")
    asked = Asked(seed)
    if form != FORMAT:
        raise BadTrace(
            f"line 1: a trace of format {form}, and this version reads format {FORMAT}; make it anew with this "
            f"version ({asked.run} --trace FILE), or read it with the version that wrote it"
        )
    return asked


def lines_of(octets: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a trace whose first line is one, without judging the others: for what compares line by line.

    Raises:
        BadTrace: the first line is none of a trace of this format, or some line is absurdly long.
    """
    lines = iter(octets)
    first = next(lines, b"")
    read_header(first)
    for number, raw in enumerate(chain([first], lines), 1):
        _bounded(raw, number)
        yield raw


def _asked(seed: int, line: Line) -> Asked:
    asked = from_detail(seed, line.detail)
    if asked is None:
        raise BadTrace(f"line 2: {_shown(line.detail)} is nothing a run can be asked for; the trace is damaged")
    return asked


def _bounded(raw: bytes, number: int) -> None:
    if len(raw) > LINE_OCTETS_MAX:
        raise BadTrace(f"line {number}: longer than {LINE_OCTETS_MAX:,} octets; no line of a trace is")


def _text(raw: bytes, number: int) -> str:
    _bounded(raw, number)
    if not raw.endswith(b"\n"):
        raise BadTrace(f"line {number}: the file ends in the middle of this line: it was cut off")
    try:
        text = raw[:-1].decode()
    except UnicodeDecodeError:
        raise BadTrace(f"line {number}: not text in UTF-8; this is no trace, or a damaged one") from None
    if not text.isprintable():  # what a terminal would obey rather than show
        raise BadTrace(f"line {number}: has control characters; this is no trace, or a damaged one")
    return text


def _line(text: str, number: int, before: Line | None, words: dict[str, str]) -> Line:
    found = _LINE.fullmatch(text)
    if found is None:
        raise BadTrace(f"line {number}: {_shown(text)} is no event; the trace is damaged")
    event = int(found[1])
    at_ns = int(found[2]) * NS_PER_S + int(found[3])
    expected = 1 if before is None else before.event + 1
    if event != expected:
        raise BadTrace(f"line {number}: event {event} where {expected} should be; lines are missing or doubled")
    if before is not None and at_ns < before.at_ns:
        raise BadTrace(f"line {number}: happens before the event above it; the trace is damaged")
    node, verb = (words.setdefault(word, word) for word in (found[4], found[5]))
    return Line(event, at_ns, node, verb, found[6] or "")


def _check_end(text: str, digest: str, events: int, asked: Asked) -> None:
    found = _END.fullmatch(text)
    if not text:
        wrong = f"cut off after event {events:,}: the last line is missing"
    elif found is None:
        wrong = f"{_shown(text)} is no last line of a trace"
    elif int(found[2]) != events:
        wrong = f"the last line tells of {int(found[2]):,} events, and there are {events:,}"
    elif found[1] != digest:
        wrong = "the digest in the last line is not that of the lines before it: somebody changed the trace"
    else:
        return
    raise BadTrace(f"{wrong}; make it anew: {asked.run} --trace FILE")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…")
