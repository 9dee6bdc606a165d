"""The bus as one node sees it: frames never overlap, the budget holds, a late process loses no time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uptane.link.bus_model import CATCH_UP_NS, BusModel


def test_a_frame_waits_for_those_before_it() -> None:
    model = BusModel()
    assert model.start_of(1_000, 1_000) == 1_000
    model.sent(1_000, 250)
    assert model.start_of(1_000, 1_000) == 1_250
    model.heard(1_100, 200)  # said to have begun while ours was on the bus: it cannot, so it followed
    assert model.start_of(1_000, 1_300) == 1_450
    model.heard(5_000, 200)
    assert model.start_of(1_000, 5_000) == 5_200


def test_a_frame_that_was_ready_starts_when_the_bus_was_free_though_its_process_wakes_late() -> None:
    model = BusModel()
    model.sent(1_000_000, 250_000)
    assert model.start_of(0, 3_000_000) == 1_250_000
    assert model.start_of(2_000_000, 3_000_000) == 2_000_000
    assert model.start_of(0, 1_250_000 + CATCH_UP_NS + 1) == 1_250_001  # no controller remembers for longer


@pytest.mark.parametrize(("percent", "gap"), [(100, 0), (50, 250), (30, 583), (10, 2_250)])
def test_the_budget_spreads_our_frames(percent: int, gap: int) -> None:
    model = BusModel(percent)
    model.sent(10_000, 250)
    assert model.start_of(0, 10_000) == 10_250 + gap
    model.budget_percent = 100
    assert model.start_of(0, 10_000) == 10_250


@pytest.mark.parametrize("percent", [0, 101, -1])
def test_an_impossible_budget_is_refused(percent: int) -> None:
    with pytest.raises(ValueError, match="bus budget"):
        BusModel(percent)


events = st.lists(st.tuples(st.booleans(), st.integers(0, 800_000), st.integers(1, 300_000)), max_size=60)


@given(events=events, percent=st.integers(1, 100))
def test_our_frames_never_overlap_any_that_is_known_and_keep_the_budget(
    events: list[tuple[bool, int, int]], percent: int
) -> None:
    """Each event: ours or not, how much later, how long."""
    model = BusModel(percent)
    now, end, budget = 10 * CATCH_UP_NS, 0, 0
    for ours, later, duration in events:
        now += later
        if not ours:
            model.heard(now, duration)
            end = max(end, now) + duration
            continue
        start = model.start_of(now, now)
        assert start >= max(end, now, budget)
        model.sent(start, duration)
        end, budget = start + duration, start + duration * 100 // percent
