"""The firmware's installation does what uptane/verify/installation.py does: every state, every event, random walks."""

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import COORDINATOR
from tests.firmware.ecu_pair import PAIRS_AT, Bench, Input, apply, decode, encode, inputs, link_boot
from tests.unit.verify.test_installation import ALL, ASSIGNED, CONTENT, FACTORY, NEW, OLD, OTHER, order
from uptane.errors import Check, Rejected
from uptane.model.ids import Bundle, Filename
from uptane.model.metadata import Image
from uptane.model.reports import EcuState, Phase
from uptane.model.signed import PublicKey
from uptane.verify import installation as twin
from uptane.verify.image import Assigned, Content, installed_image
from uptane.verify.installation import Installation
from uptane.verify.states import NEXT, Event

HASHED = replace(NEW, sha512=b"\x05" * 64)
IMAGES = (None, OLD, NEW, OTHER, HASHED, replace(NEW, release_counter=3))
BUNDLES = (ASSIGNED.bundle, Bundle(b"c" * 32))
RECORD = 4  # FW_RECORD_INSTALLATION
TRIED = tuple((Bundle(bytes([each]) * 32), each) for each in range(8))
MORE = {
    "erased three times": replace(FACTORY, erases=3, erases_under=7),
    "erased four times": replace(FACTORY, erases=4, erases_under=7),
    "erased four times under others": replace(FACTORY, erases=4, erases_under=5),
    "at the end of its counts": replace(FACTORY, released_counter=2**32 - 1),
    "trial, many rolled back": replace(ALL["trial"], rolled_back=TRIED),
    "trial, this rolled back before": replace(ALL["trial"], rolled_back=((ASSIGNED.bundle, 7), *TRIED[1:])),
    "voted, not coming up, many rolled back": replace(ALL["voted, not coming up"], rolled_back=TRIED),
    "ninth on trial": replace(ALL["trial"], rolled_back=(*TRIED[1:], (ASSIGNED.bundle, 6))),
}
Attempt = tuple[str, Input, Callable[[Installation], Installation]]


def contents(image: Image | None) -> Iterator[Content]:
    """What a slot may be measured as when `image` is assigned."""
    good = CONTENT if image is None else Content(image.length, image.sha256, image.sha512)
    yield good
    yield replace(good, length=good.length + 1)
    yield replace(good, sha256=b"\x01" * 32)
    yield replace(good, sha512=None)
    yield replace(good, sha512=b"\x06" * 64)


def said(what: str, assigned: Assigned) -> Iterator[Attempt]:
    """What happens by what Targets say."""
    given = inputs(assigned)
    match what:
        case "wanted":
            yield what, given, lambda now: _unchanged(now, lambda: twin.check_wanted(now, assigned))
        case "erase":
            yield what, given, lambda now: twin.erase(now, assigned)
        case "follow":
            yield what, given, lambda now: twin.follow(now, assigned)
        case "prepare":
            for content in contents(assigned.image):
                yield what, inputs(assigned, content), _preparing(assigned, content)
        case _:
            for content, attested in product(contents(assigned.image), (True, False)):
                yield what, inputs(assigned, content, attested=attested), _starting(assigned, content, attested)


def _unchanged(now: Installation, ask: Callable[[], object]) -> Installation:
    ask()
    return now


def _preparing(assigned: Assigned, content: Content) -> Callable[[Installation], Installation]:
    return lambda now: twin.prepare(now, assigned, content)


def _starting(assigned: Assigned, content: Content, attested: bool) -> Callable[[Installation], Installation]:
    return lambda now: twin.start(now, assigned, content, attested=attested)


def _obeying(phase: Phase) -> Callable[[Installation], Installation]:
    return lambda now: twin.obey(now, order(phase, now))


def unsaid() -> Iterator[Attempt]:
    """What happens whatever the Targets say."""
    yield "write", inputs(), twin.write
    yield "boot", inputs(), lambda now: twin.boot(now)[1]
    yield "confirm", inputs(), twin.confirm
    yield "spare", inputs(erases=3, erases_under=9), lambda now: replace(now, erases=3, erases_under=9)
    yield "vote", inputs(passed=True), lambda now: twin.vote(now, passed=True)
    yield "vote", inputs(passed=False), lambda now: twin.vote(now, passed=False)
    for number, phase in enumerate(Phase):
        yield "obey", inputs(phase=number), _obeying(phase)


def assignments(versions: tuple[int, ...] = (6, 7)) -> Iterator[Assigned]:
    keys: tuple[PublicKey | None, ...] = (None, COORDINATOR.public)
    for bundle, version, key, image in product(BUNDLES, versions, keys, IMAGES):
        yield Assigned(bundle, version, key, image)


def attempts() -> list[Attempt]:
    every = list(unsaid())
    for assigned in assignments():
        for what in ("wanted", "erase", "follow", "prepare", "start"):
            every += said(what, assigned)
    return every


def agree(built: ctypes.CDLL, now: Installation, attempt: Attempt) -> Installation:
    """Have both do it, and return what came of it."""
    what, given, do = attempt
    check: Check | None = None
    after = now
    try:
        after = do(now)
    except Rejected as refused:
        check = refused.check
    assert apply(built, what, now, given) == (check, after), what
    return after


@pytest.mark.parametrize("name", ALL | MORE)
def test_whatever_happens_in_any_state_comes_to_the_same(built: ctypes.CDLL, name: str) -> None:
    now = (ALL | MORE)[name]
    for attempt in attempts():
        if attempt[0] != "obey" or now.bundle is not None:  # orders for no bundle are refused before
            agree(built, now, attempt)


def test_the_states_reached_are_all_there_are() -> None:
    assert {now.state for now in ALL.values()} == set(EcuState)


def test_the_tables_are_the_same(built: ctypes.CDLL) -> None:
    for (number, state), (at, event) in product(enumerate(EcuState), enumerate(Event)):
        expected = NEXT.get((state, event))
        wanted = 0xFF if expected is None else list(EcuState).index(expected)
        assert built.fw_next_state(number, at) & 0xFF == wanted, (state, event)


STEPS = st.one_of(
    st.sampled_from(list(unsaid())),
    st.builds(
        lambda what, assigned, pick: (every := list(said(what, assigned)))[pick % len(every)],
        st.sampled_from(("erase", "follow", "prepare", "start")),
        st.sampled_from(list(assignments(versions=tuple(range(1, 13))))),
        st.sampled_from((0, 0, 0, 1, 2, 3)),
    ),
)
WAY = ("prepare", "obey", "start", "boot", "vote", "obey", "obey")


@given(st.lists(STEPS, max_size=40))
@settings(deadline=None, max_examples=150)
def test_walks_come_to_the_same(built: ctypes.CDLL, steps: list[Attempt]) -> None:
    now = FACTORY
    for attempt in steps:
        if attempt[0] != "obey" or now.bundle is not None:
            now = agree(built, now, attempt)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_walks_that_go_through_transactions_come_to_the_same(built: ctypes.CDLL, data: st.DataObject) -> None:
    """At each step what leads on, or now and then something else."""
    now = FACTORY
    for version in range(1, 12):
        image = data.draw(st.sampled_from((OLD, NEW, OTHER, HASHED)))
        key = data.draw(st.sampled_from((None, COORDINATOR.public)))
        assigned = Assigned(data.draw(st.sampled_from(BUNDLES)), version, key, image)
        content = Content(image.length, image.sha256, image.sha512)
        onward: list[Attempt] = [
            ("prepare", inputs(assigned, content), _preparing(assigned, content)),
            ("obey", inputs(phase=0), _obeying(Phase.ACTIVATE)),
            ("start", inputs(assigned, content, attested=True), _starting(assigned, content, True)),
            ("boot", inputs(), lambda now: twin.boot(now)[1]),
            ("vote", inputs(passed=True), lambda now: twin.vote(now, passed=True)),
            ("obey", inputs(phase=1), _obeying(Phase.COMMIT)),
            ("obey", inputs(phase=3), _obeying(Phase.RELEASE)),
        ]
        for attempt in onward:
            step = data.draw(st.one_of(st.just(attempt), st.just(attempt), st.just(attempt), STEPS))
            if step[0] != "obey" or now.bundle is not None:
                now = agree(built, now, step)


# ------------------------------------------------------------------------------------------------------- the record


@pytest.fixture
def bench(built: ctypes.CDLL) -> Bench:
    made = Bench(built)
    made.open()
    return made


def again(bench: Bench, octets: bytes) -> bytes | None:
    """What is stored again of a record that was stored; None if it is none."""
    bench.put(RECORD, octets)
    return bench.get(RECORD) if bench.c.bench_record(bench.port) else None


@pytest.mark.parametrize("name", ALL)
def test_a_record_is_written_as_it_is_described(bench: Bench, name: str) -> None:
    octets = encode(ALL[name])
    assert again(bench, octets) == octets
    assert decode(octets) == ALL[name]


def test_a_record_with_everything_at_its_longest_fits(bench: Bench) -> None:
    image = replace(installed_image(NEW), filename=Filename("f" * 128))
    pairs = tuple((Bundle(bytes([each]) * 32), each) for each in range(8))
    now = replace(ALL["trial"], images=(image, image), rolled_back=pairs)
    assert again(bench, encode(now)) == encode(now)


@pytest.mark.parametrize("name", ALL)
def test_what_newer_software_adds_is_passed_over(bench: Bench, name: str) -> None:
    octets = encode(ALL[name])
    assert again(bench, octets + b"more") == octets


@pytest.mark.parametrize("name", ["factory", "trial", "rolled back"])
def test_a_record_that_is_cut_off_or_of_another_format_is_none(bench: Bench, name: str) -> None:
    octets = encode(ALL[name])
    for length in (0, 1, 9, 10, 100, len(octets) - 1):
        assert again(bench, octets[:length]) is None
    assert again(bench, b"\x02" + octets[1:]) is None


IMAGES_AT = PAIRS_AT - 2 * 172


@pytest.mark.parametrize(
    ("at", "value"),
    [(1, 6), (2, 5), (3, 2), (4, 2), (5, 4), (6, 0), (7, 0), (8, 0), (9, 9), (IMAGES_AT, 0), (IMAGES_AT + 172, 129)],
    ids=[
        "state",
        "outcome",
        "home",
        "running",
        "phase",
        "no bundle",
        "no image",
        "no other image",
        "rolled back",
        "no name",
        "too long a name",
    ],
)
def test_a_record_of_what_cannot_be_is_none(bench: Bench, at: int, value: int) -> None:
    octets = encode(replace(ALL["trial"], images=(ALL["trial"].images[0], ALL["trial"].images[0])))
    assert again(bench, octets) == octets
    assert again(bench, octets[:at] + bytes([value]) + octets[at + 1 :]) is None


def test_the_same_is_told_from_another(built: ctypes.CDLL) -> None:
    records = [encode(each) for each in ALL.values()]
    for a, b in product(records, records):
        assert built.bench_same(a, len(a), b, len(b)) == (a == b)


def test_a_boot_stub_needs_neither_link_nor_cryptography(tmp_path: Path) -> None:
    link_boot(tmp_path)
