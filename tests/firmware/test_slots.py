"""The slots of the firmware: any pieces come to the same image, downloads go on after cuts, and worn pages are said."""

import ctypes
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.firmware.ecu_pair import SLOT_0, SLOT_1, Bench, Cut

TAG, OTHER_TAG = b"t" * 32, b"u" * 32
IMAGE = Random(7).randbytes(11_003)
GEOMETRIES = [(512, 1), (1024, 4), (2048, 8), (512, 16), (4096, 32), (8192, 32)]
BLOCK_MAX = 512
STEP = 4096


def made(built: ctypes.CDLL, geometry: tuple[int, int]) -> Bench:
    page, unit = geometry
    bench = Bench(built, page, unit, slot=24_576, state=max(16_384, 2 * page))
    bench.load(SLOT_1, Random(1).randbytes(24_576))  # an older image
    assert bench.slots()
    return bench


@pytest.fixture(params=GEOMETRIES, ids=lambda each: f"{each[0]}/{each[1]}")
def bench(built: ctypes.CDLL, request: pytest.FixtureRequest) -> Bench:
    return made(built, request.param)


def download(bench: Bench, block: int = BLOCK_MAX) -> None:
    """Go on with the download of IMAGE to its end."""
    progress = bench.progress()
    assert progress is not None
    for at in range(progress[0], len(IMAGE), block):
        assert bench.write(IMAGE[at : at + block])
    assert bench.sync()


def recorded(bench: Bench) -> int | None:
    """How far a boot would find that the download goes."""
    octets = bench.get(9)
    return None if octets is None else int.from_bytes(octets[4:8], "little")


def test_a_slot_has_no_download_at_first(bench: Bench) -> None:
    assert bench.progress() is None


def test_an_image_is_erased_for_written_and_known_to_be_whole(bench: Bench) -> None:
    assert bench.erase(TAG)
    assert bench.progress() == (0, TAG)
    assert bench.flash(SLOT_1) == b"\xff" * bench.sizes[SLOT_1]
    download(bench)
    assert bench.flash(SLOT_1).startswith(IMAGE)
    assert bench.progress() == (len(IMAGE), TAG)
    assert bench.slots()
    assert bench.progress() == (len(IMAGE), TAG)
    assert bench.flash(SLOT_0) == b"\xff" * bench.sizes[SLOT_0]
    assert not bench.abuses


@given(geometry=st.sampled_from(GEOMETRIES), blocks=st.lists(st.integers(1, BLOCK_MAX), min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
def test_any_pieces_come_to_the_same_image(built: ctypes.CDLL, geometry: tuple[int, int], blocks: list[int]) -> None:
    bench, at = made(built, geometry), 0
    bench.erase(TAG)
    for number in count():
        if at >= len(IMAGE):
            break
        block = IMAGE[at : at + blocks[number % len(blocks)]]
        assert bench.write(block)
        at += len(block)
        assert bench.progress() == (at, TAG)
    assert bench.sync()
    assert bench.sync()
    assert bench.flash(SLOT_1).startswith(IMAGE)
    assert not bench.abuses


def test_how_far_it_goes_is_recorded_now_and_then_and_never_says_too_much(bench: Bench) -> None:
    bench.erase(TAG)
    step, at = max(STEP, bench.page), 0
    for number in count():
        if at >= len(IMAGE):
            break
        block = IMAGE[at : at + 1 + number * 37 % BLOCK_MAX]
        bench.write(block)
        at += len(block)
        assert recorded(bench) == at // step * step
        assert bench.flash(SLOT_1)[: recorded(bench)] == IMAGE[: recorded(bench)]
    bench.sync()
    assert recorded(bench) == len(IMAGE)


@pytest.mark.parametrize("seed", range(2))
def test_after_a_cut_at_any_operation_the_download_goes_on_to_the_same_image(bench: Bench, seed: int) -> None:
    state, slot = bench.flash(2), bench.flash(SLOT_1)
    for cut in range(seed, 10_000, 7):  # every seventh: the next seed begins at the next one
        bench.load(2, state)
        bench.load(SLOT_1, slot)
        bench.seed(1000 * seed + cut)
        assert bench.slots()
        bench.cut_after(cut)
        try:
            assert bench.erase(TAG)
            download(bench)
        except Cut:
            went_on(bench)
            continue
        break
    assert cut > 10_000 // bench.page
    assert not bench.abuses


def went_on(bench: Bench) -> None:
    assert bench.slots()
    progress = bench.progress()
    if progress is None:
        assert bench.erase(TAG)
    else:
        assert progress[1] == TAG
        assert bench.flash(SLOT_1)[: progress[0]] == IMAGE[: progress[0]], "the record says too much"
    download(bench)
    assert bench.flash(SLOT_1).startswith(IMAGE)


@pytest.mark.parametrize("seed", range(12))
def test_cuts_upon_cuts_end_in_the_image(bench: Bench, seed: int) -> None:
    dice = Random(seed)
    bench.seed(seed)
    for cuts in count():
        assert cuts < 2_000
        bench.cut_after(dice.randrange(60 * 512 // min(512, bench.page) + 400))
        try:
            assert bench.slots()
            if bench.progress() is None:
                assert bench.erase(TAG)
            download(bench, dice.randrange(1, BLOCK_MAX))
        except Cut:
            continue
        break
    bench.cut_after(None)
    assert bench.flash(SLOT_1).startswith(IMAGE)
    assert bench.slots()
    assert bench.progress() == (len(IMAGE), TAG)
    assert not bench.abuses


@pytest.mark.parametrize("seed", range(3))
def test_after_a_cut_the_power_may_fail_at_any_operation_again(bench: Bench, seed: int) -> None:
    """A page that was half erased may read blank, and cannot be written."""
    assert bench.erase(TAG)
    bench.cut_after(3 + 9 * seed)
    with pytest.raises(Cut):
        download(bench)
    state, slot = bench.flash(2), bench.flash(SLOT_1)
    for cut in range(12):
        bench.load(2, state)
        bench.load(SLOT_1, slot)
        bench.seed(100 * seed + cut)
        assert bench.slots()
        bench.cut_after(cut)
        try:
            download(bench)
        except Cut:
            went_on(bench)
    assert not bench.abuses


def test_a_resumed_download_erases_no_more_than_what_may_be_torn(bench: Bench) -> None:
    bench.erase(TAG)
    bench.write(IMAGE[:BLOCK_MAX])
    before = bench.erases(SLOT_1)
    assert bench.slots()
    assert bench.progress() == (0, TAG)
    download(bench)
    assert sum(bench.erases(SLOT_1)) - sum(before) <= (max(STEP, bench.page) + BLOCK_MAX) // bench.page + 1
    assert not bench.abuses


def test_erasing_for_another_entry_forgets_the_one_before(bench: Bench) -> None:
    bench.erase(TAG)
    bench.write(IMAGE[:100])
    assert bench.erase(OTHER_TAG)
    assert bench.progress() == (0, OTHER_TAG)
    download(bench)
    assert bench.flash(SLOT_1).startswith(IMAGE)
    assert bench.slots()
    assert bench.progress() == (len(IMAGE), OTHER_TAG)


def test_a_page_that_is_not_erased_leaves_no_download(bench: Bench) -> None:
    bench.erase(TAG)
    download(bench)
    bench.fail(SLOT_1, erases=True, writes=False)
    assert not bench.erase(OTHER_TAG)
    assert bench.progress() is None
    bench.fail(SLOT_1, erases=False, writes=False)
    assert bench.slots()
    assert bench.progress() is None, "it is not known what the slot holds"
    assert bench.erase(OTHER_TAG)


@pytest.mark.parametrize("done", [0, 1, 700, 5_000])
def test_a_write_that_is_refused_leaves_a_download_that_goes_on(bench: Bench, done: int) -> None:
    bench.erase(TAG)
    for at in range(0, done, 100):
        assert bench.write(IMAGE[at : at + min(100, done - at)])
    bench.fail(SLOT_1, erases=False, writes=True)
    block = IMAGE[done : done + BLOCK_MAX]
    assert not bench.write(block)
    progress = bench.progress()
    assert progress is not None
    assert progress[0] <= done + BLOCK_MAX
    assert progress[0] % bench.page == 0
    bench.fail(SLOT_1, erases=False, writes=False)
    download(bench)
    assert bench.flash(SLOT_1).startswith(IMAGE)
    assert not bench.abuses


def test_an_end_that_is_refused_is_no_end(bench: Bench) -> None:
    bench.erase(TAG)
    for at in range(0, len(IMAGE), BLOCK_MAX):
        bench.write(IMAGE[at : at + BLOCK_MAX])
    bench.fail(SLOT_1, erases=False, writes=True)
    assert not bench.sync()
    progress = bench.progress()
    assert progress is not None
    assert progress[0] < len(IMAGE)
    bench.fail(SLOT_1, erases=False, writes=False)
    download(bench)
    assert bench.flash(SLOT_1).startswith(IMAGE)
    assert bench.slots()
    assert bench.progress() == (len(IMAGE), TAG)


def test_a_record_beyond_the_slot_or_of_another_format_says_nothing(bench: Bench) -> None:
    for octets in (
        b"\1\0\0\0" + (24_577).to_bytes(4, "little") + TAG,
        b"\2\0\0\0" + (24_576).to_bytes(4, "little") + TAG,
        b"\1\0\0\0" + (24_576).to_bytes(4, "little") + TAG[1:],
    ):
        bench.put(9, octets)
        assert bench.slots()
        assert bench.progress() is None
    bench.put(9, b"\1\0\0\0" + (24_576).to_bytes(4, "little") + TAG + b"added by newer software")
    assert bench.slots()
    assert bench.progress() == (24_576, TAG)


def test_the_other_slot_is_the_one_that_is_not_home(built: ctypes.CDLL) -> None:
    bench = made(built, (1024, 8))
    assert bench.slots(home=1)
    assert bench.erase(TAG)
    download(bench)
    assert bench.flash(SLOT_0).startswith(IMAGE)
    assert bench.slots(home=0)
    assert bench.progress() is None
