"""The log of records: whole or not there, at every power cut; laid out as described; damaged; worn evenly; worn out."""

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.firmware.ecu_pair import STATE, Bench, Cut

ROOT, TARGETS, PREVIOUS, TIME, INSTALLATION, REPORT, NONCE, REFUSALS, SLOT_0, SLOT_1 = RECORDS = range(10)
NAMELESS, HEAD, DELETION, PREFIX = 10, 0x3F, 0x40, 8
GEOMETRIES = [(1024, 1), (1024, 4), (2048, 8), (512, 16), (4096, 32)]


@pytest.fixture(params=GEOMETRIES, ids=lambda each: f"{each[0]}/{each[1]}")
def bench(built: ctypes.CDLL, request: pytest.FixtureRequest) -> Bench:
    page, unit = request.param
    return Bench(built, page, unit)


# ---------------------------------------------------------------------------------------------- reading it in Python


@dataclass(frozen=True)
class Frame:
    """A record as it lies in the log."""

    at: int
    name: int
    octets: bytes
    size: int
    is_whole: bool


def rounded(length: int, unit: int) -> int:
    return -(-length // unit) * unit


def frame_at(flash: bytes, at: int, unit: int) -> Frame | None:
    """The record at `at`, as store.h describes it; None when its prefix is none."""
    prefix = flash[at : at + PREFIX]
    length = int.from_bytes(prefix[2:4])
    if prefix[1:2] != b"\1" or crc32(at.to_bytes(4) + prefix[:4]) != int.from_bytes(prefix[4:]):
        return None
    octets = flash[at + PREFIX : at + PREFIX + length]
    end = at + PREFIX + length
    whole = crc32(prefix[:4] + octets) == int.from_bytes(flash[end : end + 4])
    return Frame(at, prefix[0], octets, rounded(PREFIX + length + 4, unit) + unit, whole)


def frames(flash: bytes, half: int, unit: int) -> Iterator[Frame]:
    """The records of a half, heads among them, up to the first prefix that is none."""
    at, end = half * len(flash) // 2, (half + 1) * len(flash) // 2
    while at + PREFIX < end and (frame := frame_at(flash, at, unit)) is not None:
        yield frame
        at += frame.size


def newest_half(flash: bytes, unit: int) -> int:
    def sequence(half: int) -> int:
        heads = [each for each in frames(flash, half, unit) if each.name == HEAD and each.is_whole]
        return int.from_bytes(heads[0].octets) if heads else 0

    return int(sequence(1) > sequence(0))


# ------------------------------------------------------------------------------------------------------ the log itself


def test_a_new_area_holds_nothing_and_takes_records(bench: Bench) -> None:
    assert bench.open()
    assert bench.all() == {}
    assert bench.put(NONCE, b"\0\0\0\1")
    assert bench.put(ROOT, b"r" * 700)
    assert bench.all() == {NONCE: b"\0\0\0\1", ROOT: b"r" * 700}


def test_an_area_that_holds_what_is_none_of_ours_is_a_new_one(bench: Bench) -> None:
    bench.load(STATE, Random(3).randbytes(bench.sizes[STATE]))
    assert bench.open()
    assert not bench.damaged
    assert bench.all() == {}
    assert bench.put(NONCE, b"\0\0\0\1")
    assert bench.open()
    assert bench.all() == {NONCE: b"\0\0\0\1"}
    assert not bench.damaged
    assert not bench.abuses


def test_what_was_stored_is_found_again(bench: Bench) -> None:
    bench.open()
    for record in RECORDS:
        assert bench.put_in_parts(record, bytes([record]) * (7 * record), 5)
    assert bench.delete(TIME)
    assert bench.delete(TIME)
    held = bench.all()
    assert bench.open()
    assert bench.all() == held == {record: bytes([record]) * (7 * record) for record in RECORDS if record != TIME}
    assert not bench.damaged
    assert not bench.abuses


def test_the_log_lies_as_it_is_described(bench: Bench) -> None:
    bench.open()
    bench.put(ROOT, b"root" * 20)
    bench.put(NONCE, b"\0\0\0\7")
    bench.delete(ROOT)
    flash = bench.flash(STATE)
    found = [(each.name, each.octets) for each in frames(flash, 0, bench.unit) if each.is_whole]
    head = (HEAD, b"\0\0\0\1")
    assert found == [head, head, (ROOT, b"root" * 20), (NONCE, b"\0\0\0\7"), (ROOT | DELETION, b"")]
    for frame in frames(flash, 0, bench.unit):
        assert flash[frame.at + frame.size - bench.unit : frame.at + frame.size] == bytes(bench.unit)  # its mark


def test_a_record_is_read_in_parts_only_as_far_as_it_goes(built: ctypes.CDLL) -> None:
    bench = Bench(built)
    bench.open()
    bench.put(TIME, b"abcdef")
    octets = ctypes.create_string_buffer(6)
    store = ctypes.c_void_p(built.bench_store(bench.port))
    assert built.fw_store_get(store, TIME, 2, octets, 4) & 1
    assert octets.raw == b"cdef\0\0"
    assert not built.fw_store_get(store, TIME, 3, octets, 4) & 1
    assert not built.fw_store_get(store, ROOT, 0, octets, 0) & 1


def test_a_record_given_up_in_its_middle_never_was(bench: Bench) -> None:
    bench.open()
    bench.put(ROOT, b"old")
    for added in (0, 1, 20, 31, 32, 33, 90):
        assert bench.give_up(ROOT, b"n" * 100, added)
        assert bench.all()[ROOT] == b"old"
        assert bench.put(TIME, bytes([added]))
        assert bench.open()
        assert bench.all() == {ROOT: b"old", TIME: bytes([added])}
        assert not bench.damaged
    assert not bench.abuses


def test_what_is_longer_than_a_half_is_refused_and_the_older_stands(bench: Bench) -> None:
    bench.open()
    bench.put(ROOT, b"old")
    assert not bench.put(ROOT, bytes(bench.sizes[STATE] // 2))
    assert bench.all() == {ROOT: b"old"}
    assert bench.put(ROOT, b"new")


def model_walk(bench: Bench, dice: Random, model: dict[int, bytes], steps: int) -> None:
    """Store and delete at random, never more than fits."""
    for _ in range(steps):
        record = dice.choice(RECORDS)
        if dice.random() < 0.1:
            assert bench.delete(record)
            model.pop(record, None)
        else:
            octets = dice.randbytes(dice.choice((0, 4, 4, 37, 60, 300)))
            assert bench.put(record, octets)
            model[record] = octets


@given(seed=st.integers(0, 2**32), geometry=st.sampled_from(GEOMETRIES))
@settings(deadline=None, max_examples=40)
def test_the_newest_is_held_whatever_was_stored(built: ctypes.CDLL, seed: int, geometry: tuple[int, int]) -> None:
    bench, dice, model = Bench(built, *geometry), Random(seed), dict[int, bytes]()
    for _ in range(6):
        assert bench.open()
        assert bench.all() == model
        model_walk(bench, dice, model, 40)
        assert bench.all() == model
    flash = bench.flash(STATE)
    newest = {each.name: each.octets for each in frames(flash, newest_half(flash, bench.unit), bench.unit)}
    assert model.items() <= newest.items()
    assert not bench.abuses


# ---------------------------------------------------------------------------------------------------------- power cuts

Step = tuple[int, bytes | None]
"""A record, and what is stored as it; None: it is deleted."""


def do(bench: Bench, step: Step) -> bool:
    record, octets = step
    return bench.delete(record) if octets is None else bench.put(record, octets)


def applied(model: dict[int, bytes], step: Step) -> dict[int, bytes]:
    record, octets = step
    rest = {each: held for each, held in model.items() if each != record}
    return rest if octets is None else {**rest, record: octets}


STEPS: list[Step] = [
    (ROOT, b"R" * 500),
    (INSTALLATION, b"I" * 260),
    (NONCE, b"\0\0\0\1"),
    (TARGETS, b"T" * 300),
    (NONCE, b"\0\0\0\2"),
    (TARGETS, None),
    (INSTALLATION, b"J" * 270),
    (REFUSALS, b""),
    (ROOT, b"S" * 520),
]


def cut_somewhere(bench: Bench, model: dict[int, bytes], cut: int) -> tuple[dict[int, bytes], Step | None]:
    """Store STEPS until the power fails: what had been stored, and what was under way, if any was."""
    bench.cut_after(cut)
    for step in STEPS:
        try:
            assert do(bench, step)
        except Cut:
            return model, step
        model = applied(model, step)
    bench.cut_after(None)
    return model, None


def nearly_full(bench: Bench) -> dict[int, bytes]:
    """Fill the half until little more than two of STEPS fit: the change of halves comes in their midst."""
    bench.open()
    bench.put(TIME, b"time")
    while bench.end + 1200 < bench.sizes[STATE] // 2:
        bench.put(REPORT, b"\0\0\0\1")
    return bench.all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("prepare", [lambda bench: bench.open() and {}, nearly_full], ids=["new", "nearly full"])
def test_a_cut_at_any_operation_leaves_the_older_or_the_newer(
    bench: Bench, prepare: Callable[[Bench], dict[int, bytes]], seed: int
) -> None:
    before = prepare(bench)
    flash = bench.flash(STATE)
    for cut in count():
        bench.load(STATE, flash)
        bench.seed(100 * seed + cut)
        assert bench.open()
        held, under_way = cut_somewhere(bench, before, cut)
        if under_way is None:
            break
        assert bench.open(), cut
        assert bench.all() in (held, applied(held, under_way)), (cut, under_way)
        assert not bench.damaged, f"cut {cut}: a cut is no damage"
        assert do(bench, under_way)
        held = applied(held, under_way)
        assert bench.put(SLOT_0, b"next")
        assert bench.open()
        assert bench.all() == {**held, SLOT_0: b"next"}
        assert not bench.damaged, f"cut {cut}: nor is it later"
    assert cut > 20
    assert not bench.abuses


@pytest.mark.parametrize("seed", range(20))
def test_cuts_upon_cuts(bench: Bench, seed: int) -> None:
    """Power that fails again and again, also while the area is made ready or opened."""
    dice, held = Random(seed), dict[int, bytes]()
    bench.seed(seed)
    under_way: Step | None = None
    for _ in range(60):
        bench.cut_after(None)
        if dice.random() < 0.5:
            bench.cut_after(dice.randrange(30))
        try:
            assert bench.open()
            found = bench.all()
            assert found in (held, held if under_way is None else applied(held, under_way))
            held, under_way = found, None
            for _ in range(dice.randrange(8)):
                under_way = dice.choice(STEPS)
                assert do(bench, under_way)
                held = applied(held, under_way)
        except Cut:
            continue
        under_way = None
        assert not bench.damaged
    assert not bench.abuses


def test_a_cut_while_a_new_area_is_made_ready_leaves_one_that_can_be(bench: Bench) -> None:
    for cut in count():
        bench.load(STATE, b"\xff" * bench.sizes[STATE])
        bench.seed(cut)
        bench.cut_after(cut)
        try:
            assert bench.open()
        except Cut:
            assert bench.open()
            assert not bench.damaged
            assert bench.put(ROOT, b"root")
            assert bench.open()
            assert bench.all() == {ROOT: b"root"}
            continue
        break
    assert cut > 3
    assert not bench.abuses


# ------------------------------------------------------------------------------------------------------ damaged copies


def two_of_each(bench: Bench) -> None:
    bench.open()
    for number in (1, 2):
        for record in RECORDS:
            bench.put(record, bytes([number]) * 40)


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("where", ["body", "last octet", "CRC"])
def test_when_the_newest_has_rotted_the_one_before_counts_and_it_is_said(bench: Bench, record: int, where: str) -> None:
    two_of_each(bench)
    bench.damage(STATE, bench.offset(record) + {"body": 3, "last octet": 39, "CRC": 41}[where])
    assert bench.open()
    assert bench.damaged == {record}
    assert bench.all() == {each: bytes([1 if each == record else 2]) * 40 for each in RECORDS}
    assert bench.put(record, b"anew")
    assert bench.open()
    assert not bench.damaged
    assert bench.all()[record] == b"anew"


def test_an_older_copy_that_has_rotted_matters_to_nobody(bench: Bench) -> None:
    bench.open()
    bench.put(NONCE, b"one!")
    bench.damage(STATE, bench.offset(NONCE))
    bench.put(NONCE, b"two!")
    assert bench.open()
    assert not bench.damaged
    assert bench.all() == {NONCE: b"two!"}


@pytest.mark.parametrize(("record", "lost"), [(ROOT, set()), (REPORT, {REPORT}), (SLOT_0, {REPORT, NONCE})])
def test_a_prefix_that_has_rotted_costs_its_record_only(bench: Bench, record: int, lost: set[int]) -> None:
    two_of_each(bench)
    bench.damage(STATE, bench.offset(record) - PREFIX)
    assert bench.open()
    assert bench.damaged == {NAMELESS} | lost, (
        "nobody knows whose it was: a count that no newer one follows may be too low"
    )
    assert bench.all() == {each: bytes([1 if each == record else 2]) * 40 for each in RECORDS}
    assert bench.put(TIME, b"goes on")
    assert bench.put(record, b"anew")
    assert bench.open()
    assert bench.all()[TIME] == b"goes on"
    assert bench.all()[record] == b"anew"


def after_a_change_of_halves(bench: Bench) -> dict[int, bytes]:
    """Each record once, in the second half; what it was copied from lies in the first."""
    bench.open()
    for record in RECORDS:
        bench.put(record, bytes([record]) * 40)
    while bench.offset(ROOT) < bench.sizes[STATE] // 2:
        bench.put(NONCE, b"nnnn")
    return bench.all()


@pytest.mark.parametrize("record", [ROOT, INSTALLATION, REPORT])
@pytest.mark.parametrize("where", [0, -PREFIX, -PREFIX + 3, 41], ids=["body", "name", "length", "CRC"])
def test_the_only_copy_of_a_half_is_found_in_the_half_before(bench: Bench, record: int, where: int) -> None:
    held = after_a_change_of_halves(bench)
    bench.damage(STATE, bench.offset(record) + where)
    assert bench.open()
    assert record in bench.damaged
    assert bench.all() == held
    if where >= 0:
        assert bench.offset(record) >= bench.sizes[STATE] // 2, "it is copied while it is there"
        assert bench.open()
        assert bench.all() == held
        assert not bench.damaged


def test_both_copies_lost_is_a_record_lost_and_said(bench: Bench) -> None:
    held = after_a_change_of_halves(bench)
    first = [each for each in frames(bench.flash(STATE), 0, bench.unit) if each.name == INSTALLATION][-1]
    bench.damage(STATE, first.at + PREFIX)
    bench.damage(STATE, bench.offset(INSTALLATION))
    assert bench.open()
    assert INSTALLATION in bench.damaged
    assert bench.all() == {each: octets for each, octets in held.items() if each != INSTALLATION}


def test_one_head_that_has_rotted_costs_nothing(bench: Bench) -> None:
    held = after_a_change_of_halves(bench)
    head = next(frames(bench.flash(STATE), 1, bench.unit))
    bench.damage(STATE, head.at + PREFIX)
    assert bench.open()
    assert bench.all() == held
    assert not bench.damaged


def test_an_area_whose_heads_are_all_lost_is_no_new_one(bench: Bench) -> None:
    """As it left the factory is what an ECU whose memory has failed must not think it is."""
    after_a_change_of_halves(bench)
    for half in (0, 1):
        for head in list(frames(bench.flash(STATE), half, bench.unit))[:2]:
            bench.damage(STATE, head.at)
    assert not bench.open()


def test_what_has_rotted_meanwhile_is_not_made_whole_by_copying_it(bench: Bench) -> None:
    bench.open()
    bench.put(TIME, b"time" * 10)
    bench.damage(STATE, bench.offset(TIME))
    while bench.end < bench.sizes[STATE] // 2:
        bench.put(NONCE, b"nnnn")
    bench.put(NONCE, b"last")
    assert bench.open()
    assert TIME in bench.damaged
    assert bench.all() == {NONCE: b"last"}


def test_changing_halves_hides_no_damage(bench: Bench) -> None:
    """The copy of an older record is whole: nothing would tell its owner that a counter has to jump."""
    bench.open()
    while bench.end < bench.sizes[STATE] * 3 // 8 + 100:
        bench.put(REPORT, b"oldr")
    bench.put(NONCE, b"old!")
    bench.put(NONCE, b"new!")
    bench.damage(STATE, bench.offset(NONCE))
    assert bench.open()
    assert bench.damaged == {NONCE}
    bench.tidy()
    assert bench.damaged == {NONCE}
    assert bench.open()
    assert bench.damaged == {NONCE}, "nor does the next power-up hear less"
    while bench.end < bench.sizes[STATE] // 2:
        bench.put(REPORT, b"more")
        assert bench.damaged == {NONCE}
    assert bench.put(NONCE, b"then")
    assert bench.open()
    assert not bench.damaged


def test_names_of_newer_software_are_passed_over(bench: Bench) -> None:
    bench.open()
    bench.put(0x2A, b"what we do not know")
    bench.put(0x1F, b"nor this")
    bench.put(TIME, b"time")
    assert bench.open()
    assert bench.all() == {TIME: b"time"}
    assert not bench.damaged


@given(data=st.data(), geometry=st.sampled_from(GEOMETRIES))
@settings(deadline=None, max_examples=60)
def test_whatever_rots_nothing_is_read_that_was_never_stored(
    built: ctypes.CDLL, data: st.DataObject, geometry: tuple[int, int]
) -> None:
    bench, stored = Bench(built, *geometry), {record: {b""} for record in RECORDS}
    bench.open()
    for number in range(data.draw(st.integers(1, 120))):
        record = number % 10
        octets = bytes([number]) * data.draw(st.sampled_from((4, 40, 130)))
        assert bench.put(record, octets)
        stored[record].add(octets)
    for _ in range(data.draw(st.integers(1, 6))):
        bench.damage(STATE, data.draw(st.integers(0, bench.sizes[STATE] - 1)), 1 << data.draw(st.integers(0, 7)))
    if bench.open():
        assert all(octets in stored[record] for record, octets in bench.all().items())
        assert bench.put(TIME, b"goes on")
        assert bench.open()
        assert bench.all()[TIME] == b"goes on"


# ---------------------------------------------------------------------------------------------------------------- wear


def test_pages_wear_evenly(bench: Bench) -> None:
    bench.open()
    bench.put(ROOT, b"r" * 600)
    for number in range(8_000):
        assert bench.put(NONCE, number.to_bytes(4))
    erases = bench.erases(STATE)
    assert max(erases) - min(erases) <= 1
    per_half = bench.sizes[STATE] // 2 // (rounded(16, bench.unit) + bench.unit)
    assert max(erases) <= 8_000 / (per_half / 2), "half the room is in use, and not more is lost"


def test_tidying_changes_halves_only_when_little_is_left(bench: Bench) -> None:
    bench.open()
    bench.tidy()
    assert sum(bench.erases(STATE)) == bench.sizes[STATE] // 2 // bench.page
    while bench.end < bench.sizes[STATE] * 3 // 8 + 100:
        bench.put(NONCE, b"nnnn")
    bench.tidy()
    assert bench.end >= bench.sizes[STATE] // 2
    assert bench.get(NONCE) == b"nnnn"
    assert bench.open()
    assert bench.all() == {NONCE: b"nnnn"}


def test_tidying_gains_nothing_where_most_is_in_use(bench: Bench) -> None:
    bench.open()
    bench.put(ROOT, bytes(bench.sizes[STATE] // 4))
    bench.put(TARGETS, bytes(bench.sizes[STATE] // 16))
    bench.put(TIME, bytes(bench.sizes[STATE] // 10))
    before = bench.erases(STATE)
    for _ in range(3):
        assert bench.open()
        bench.tidy()
    assert bench.erases(STATE) == before


def test_pages_that_are_worn_out_end_what_can_be_stored_and_nothing_else(bench: Bench) -> None:
    bench.endure(6)
    bench.open()
    held: dict[int, bytes] = {}
    for number in count():
        record = number % 10
        if not bench.put(record, number.to_bytes(8) * 9):
            break
        held[record] = number.to_bytes(8) * 9
        assert number < 100_000
    assert bench.all() == held
    for _ in range(3):
        assert bench.open()
        assert bench.all() == held
        assert not bench.put(ROOT, b"x" * 80)


def test_a_half_that_refuses_writes_is_left_for_the_other(bench: Bench) -> None:
    bench.open()
    bench.put(TIME, b"old")
    bench.fail(STATE, erases=False, writes=True)
    assert not bench.put(TIME, b"new")
    assert bench.all() == {TIME: b"old"}
    bench.fail(STATE, erases=False, writes=False)
    assert bench.put(TIME, b"new")
    assert bench.offset(TIME) >= bench.sizes[STATE] // 2
    assert bench.open()
    assert bench.all() == {TIME: b"new"}
    assert not bench.abuses


def test_a_unit_torn_unnoticed_is_passed_by(built: ctypes.CDLL) -> None:
    """It reads blank, and cannot be written: an ECU that could not store anything any more would be lost."""
    bench = Bench(built, 1024, 8)
    bench.open()
    bench.put(TIME, b"time")
    built.bench_spoil(bench.port, STATE, bench.end)
    assert bench.open()
    assert bench.put(TIME, b"new!")
    assert bench.open()
    assert bench.all() == {TIME: b"new!"}
