"""Shrinking finds what is needed, all of it and nothing else."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.shrink import shrink


def needs(*wanted: int) -> Callable[[tuple[int, ...]], bool]:
    return lambda kept: set(wanted) <= set(kept)


@pytest.mark.parametrize("wanted", [(), (1,), (60,), (7, 8), (1, 60), (3, 20, 41), tuple(range(1, 61))])
def test_it_finds_exactly_what_is_needed(wanted: tuple[int, ...]) -> None:
    found = shrink(range(1, 61), needs(*wanted))
    assert found.kept == wanted
    assert found.minimal


@given(
    st.sets(st.integers(1, 200), max_size=40).flatmap(
        lambda all_: st.tuples(st.just(all_), st.sets(st.sampled_from(sorted(all_) or [1])))
    )
)
def test_any_needed_set_is_found_in_few_tries(case: tuple[set[int], set[int]]) -> None:
    everything, wanted = case
    wanted &= everything
    tried: list[tuple[int, ...]] = []

    def breaks(kept: tuple[int, ...]) -> bool:
        tried.append(kept)
        return wanted <= set(kept)

    found = shrink(sorted(everything), breaks)
    assert set(found.kept) == wanted
    assert len(tried) == len(set(tried)) == found.tries <= 2 + len(everything) ** 2
    assert all(list(kept) == sorted(kept) for kept in tried)


def test_either_of_two_faults_is_enough_and_one_stays() -> None:
    found = shrink(range(10), lambda kept: 3 in kept or 8 in kept)
    assert found.kept in {(3,), (8,)}


def test_what_does_not_shrink_evenly_still_ends_where_no_single_one_can_go() -> None:
    """Breaks with an even number of faults only, and with 5 among them: not monotonic, as real runs are not."""
    found = shrink(range(12), lambda kept: len(kept) % 2 == 0 and 5 in kept)
    assert found.minimal
    assert 5 in found.kept
    assert len(found.kept) == 2


def test_tries_are_limited_and_what_was_found_by_then_is_kept() -> None:
    found = shrink(range(60), needs(3, 41), tries_max=6)
    assert found.tries == 6
    assert not found.minimal
    assert {3, 41} <= set(found.kept)
