"""What is written is read back; whatever is changed, cut off or made up is refused, with the line and what to do."""

import io
import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.asked import SEED_MAX, Asked
from sim.attempt import attempt
from sim.difference import difference
from sim.trace import FORMAT, Trace
from sim.trace_reader import LINE_OCTETS_MAX, BadTrace, lines_of, read, read_header
from tests.sim.fake_simulation import FakeSimulation

REDUCED = Asked(13, "cuts", (3, 8))


def written(asked: Asked = REDUCED) -> list[bytes]:
    out = io.StringIO()
    attempt(FakeSimulation(), asked, Trace(asked.seed, out))
    return out.getvalue().encode().splitlines(keepends=True)


def sealed(body: list[bytes]) -> list[bytes]:
    """A trace with these events and a right last line."""
    digest = sha256(b"".join(body)).hexdigest()
    return [b"marque-sim trace 1 seed 1\n", *body, f"end digest {digest} events {len(body)}\n".encode()]


@pytest.mark.parametrize("asked", [Asked(0), Asked(SEED_MAX), Asked(1, "cuts"), Asked(1, without=(0, 2)), REDUCED])
def test_it_reads_what_was_written(asked: Asked) -> None:
    lines = written(asked)
    found = read(lines)
    assert found.asked == asked
    assert [str(line) for line in found.lines] == [line.decode().rstrip("\n") for line in lines[1:-1]]
    assert found.digest in lines[-1].decode()
    assert found.end_ns >= 400 * 86_400 * 10**9


def test_a_run_without_events_is_a_trace() -> None:
    assert read(sealed([])).lines == ()


HEADERS = {
    b"": "the file is empty",
    b"marque-sim trace 1 seed 1": "cut off",
    b"MZ\x90\x00\n": "not text in UTF-8",
    b"hello\n": "begins no trace",
    b"marque-sim trace 1 seed -1\n": "begins no trace",
    b"marque-sim trace 1 seed 1 \n": "begins no trace",
    b"marque-sim trace 2 seed 7\n": "format 2, and this version reads format 1; make it anew",
    f"marque-sim trace {FORMAT} seed {SEED_MAX + 1}\n".encode(): "is out of range: 0 to 9223372036854775807",
    b"marque-sim trace 1 seed 1\x1b[31m\n": "control characters",
    b"x" * LINE_OCTETS_MAX + b"\n": "longer than",
}


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header[:30].decode(errors="replace"))
def test_a_bad_first_line(header: bytes) -> None:
    for judge in (read_header, lambda raw: read([raw]), lambda raw: list(lines_of([raw]))):
        with pytest.raises(BadTrace, match=re.escape(HEADERS[header])):
            judge(header)


FIRST = b"000001 0.000000000 v1.brake cut\n"
BODIES = {
    "an event twice": ([FIRST, FIRST], "line 3: event 1 where 2 should be"),
    "not from the beginning": ([b"000002 0.000000000 v1.brake cut\n"], "line 2: event 2 where 1 should be"),
    "backwards in time": ([b"000001 5.000000000 a cut\n", b"000002 4.999999999 a cut\n"], "line 3: happens before"),
    "no number": ([b"one 0.000000000 v1.brake cut\n"], "is no event"),
    "a short fraction": ([b"000001 0.5 v1.brake cut\n"], "is no event"),
    "no verb": ([b"000001 0.000000000 v1.brake\n"], "is no event"),
    "a space at the end": ([b"000001 0.000000000 v1.brake cut \n"], "is no event"),
    "a node that is not ASCII": (["000001 0.000000000 v1.bräke cut\n".encode()], "is no event"),
    "a blank line": ([b"\n"], "is no event"),
    "a bell": ([b"000001 0.000000000 v1.brake note \x07\n"], "control characters"),
    "an absurd line": ([b"000001 0.000000000 v1.brake note " + b"x" * LINE_OCTETS_MAX + b"\n"], "line 2: longer than"),
    "asked for nonsense": ([b"000001 0.000000000 run asked without=9,3\n"], "is nothing a run can be asked for"),
    "asked for an absurd fault": ([b"000001 0.000000000 run asked without=99999999\n"], "is nothing a run can be"),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_event_even_under_a_right_digest(case: str) -> None:
    body, text = BODIES[case]
    with pytest.raises(BadTrace, match=re.escape(text)):
        read(sealed(body))


def test_the_sample_of_these_is_good() -> None:
    assert len(read(sealed([FIRST])).lines) == 1


def test_a_trace_that_was_cut_off() -> None:
    lines = written()
    with pytest.raises(
        BadTrace, match=r"cut off after event 12: .*marque-sim run --seed 13 --manner cuts --without 3,8"
    ):
        read(lines[:13])
    with pytest.raises(BadTrace, match="line 14: the file ends in the middle of this line"):
        read([*lines[:13], lines[13][:-4]])


def test_a_changed_line_is_found_by_the_digest() -> None:
    lines = written()
    lines[10] = lines[10].rstrip(b"\n") + b"x\n"
    with pytest.raises(BadTrace, match="somebody changed the trace"):
        read(lines)


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (b"end\n", "is no event"),
        (b"end digest x events 1\n", "is no last line"),
        (b"end digest " + b"0" * 64 + b" events 2\n", "tells of 2 events, and there are 1"),
        (b"end digest " + b"0" * 64 + b" events 1\n", "somebody changed"),
    ],
)
def test_a_bad_last_line(last: bytes, text: str) -> None:
    with pytest.raises(BadTrace, match=text):
        read([*sealed([FIRST])[:-1], last])


def test_something_after_the_end() -> None:
    with pytest.raises(BadTrace, match="line 4: something follows"):
        read([*sealed([FIRST]), FIRST])


LINES = written(Asked(5))


@given(st.integers(0, len(LINES) - 1), st.data())
def test_any_change_of_one_octet_is_refused_or_is_another_seed(place: int, data: st.DataObject) -> None:
    line = LINES[place]
    at = data.draw(st.integers(0, len(line) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda each: each != line[at]))
    changed = [*LINES[:place], line[:at] + bytes((octet,)) + line[at + 1 :], *LINES[place + 1 :]]
    octets = b"".join(changed).splitlines(keepends=True) if octet not in {11, 12, 13, 28, 29, 30} else changed
    try:
        assert read(octets).asked != Asked(5)
        assert place == 0
    except BadTrace:
        pass


@given(st.lists(st.binary(max_size=60)))
def test_noise_is_refused_and_nothing_else_happens(octets: list[bytes]) -> None:
    with pytest.raises(BadTrace):
        read(octets)


# ---------------------------------------------------------------------------------------------------- difference


def test_no_difference() -> None:
    assert difference(LINES, list(LINES)) is None
    assert difference([], []) is None


def test_the_first_line_that_differs_with_what_stands_around_it() -> None:
    a = [b"%d\n" % number for number in range(20)]
    b = [*a[:10], b"ten\n", *a[11:]]
    found = difference(a, b, 2)
    assert found is not None
    assert found.number == 11
    assert list(found.lines) == [
        (" ", "8"),
        (" ", "9"),
        *[("-", str(n)) for n in (10, 11, 12)],
        ("+", "ten"),
        ("+", "11"),
        ("+", "12"),
    ]


def test_one_ends_before_the_other() -> None:
    found = difference([b"a\n"], [b"a\n", b"b\n"], 0)
    assert found is not None
    assert (found.number, list(found.lines)) == (2, [("-", "(nothing more)"), ("+", "b")])


@given(st.lists(st.sampled_from([b"a\n", b"b\n"])), st.lists(st.sampled_from([b"a\n", b"b\n"])), st.integers(0, 3))
def test_it_is_the_first_one(a: list[bytes], b: list[bytes], context: int) -> None:
    found = difference(a, b, context)
    if found is None:
        assert a == b
        return
    place = found.number - 1
    assert a[:place] == b[:place]
    assert a[place : place + 1] != b[place : place + 1]
    assert len(found.before) == min(context, place)


def test_what_would_steer_a_terminal_is_shown_instead() -> None:
    found = difference([b"\x1b[31m\xff\n"], [], 0)
    assert found is not None
    assert found.after_a == ("\\x1b[31m\\xff",)
