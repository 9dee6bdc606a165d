"""Patterns and bins."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import HASHER
from uptane.model.ids import RoleName
from uptane.verify.patterns import bin_name, bin_names, is_accepted, is_bin, matches


@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/*", "a/b", True),
        ("a/*", "a/", True),
        ("a/*", "a/b/c", False),
        ("a/*", "ab", False),
        ("*", "a", True),
        ("*", "a/b", False),
        ("**", "a/b", False),
        ("**", "ab", True),
        ("*/*", "a/b", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a?c", "ac", False),
        ("a?", "a", False),
        ("*.bin", "fw.bin", True),
        ("*.bin", "fw.bin2", False),
        ("*a*b", "xaxbxab", True),
        ("*a*b", "xaxbxa", False),
        ("[a]", "a", False),
        ("a.c", "abc", False),
        ("", "a", False),
    ],
)
def test_names_match_within_their_path_parts(pattern: str, name: str, wanted: bool) -> None:
    assert matches(pattern, name) is wanted


def as_expression(pattern: str) -> str:
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(each, re.escape(each)) for each in pattern)


@given(st.text("ab*?/", max_size=8), st.text("ab/", max_size=8))
def test_patterns_match_as_the_expression_they_stand_for(pattern: str, name: str) -> None:
    assert matches(pattern, name) is (re.fullmatch(as_expression(pattern), name) is not None)


@pytest.mark.timeout(5)
def test_no_pattern_takes_long() -> None:
    assert not matches("*a" * 63 + "b", "a" * 127)


def test_two_stars_are_any_name_for_an_ecu_and_one_part_elsewhere() -> None:
    assert is_accepted("**", "a/b/c")
    assert is_accepted("a/*", "a/b")
    assert not is_accepted("*", "a/b")


@pytest.mark.parametrize(("bits", "last"), [(1, "b-1"), (4, "b-f"), (5, "b-1f"), (14, "b-3fff")])
def test_bins_are_numbered_in_as_many_digits_as_the_highest_needs(bits: int, last: str) -> None:
    names = bin_names(RoleName("b"), bits)
    assert len(names) == 2**bits
    assert names == sorted(names)
    assert names[-1] == last
    assert len({len(name) for name in names}) == 1


def test_a_name_is_in_the_bin_of_its_hash() -> None:
    # SHA-256 of "a" begins with CA97: binary 1100 1010 1001 0111
    wanted = {1: "b-1", 2: "b-3", 4: "b-c", 5: "b-19", 8: "b-ca", 14: "b-32a5"}
    assert {bits: bin_name(HASHER, RoleName("b"), bits, filename="a") for bits in wanted} == wanted


@pytest.mark.parametrize("bits", [1, 3, 4, 5, 8, 14])
def test_a_bin_is_known_by_its_name_without_listing_all(bits: int) -> None:
    prefix = RoleName("acme/bins")
    names = bin_names(prefix, bits)
    assert all(is_bin(name, prefix, bits) for name in names)
    strangers = [prefix, f"{prefix}-", f"{prefix}-g", f"other-{names[0][-1]}", names[0] + "0", names[-1].upper() + "F"]
    strangers += [f"{prefix}-{2**bits:x}", f"{prefix}--1", f"{prefix}-+1", f"{prefix}- 1", f"{prefix}-\u0661"]
    assert not any(is_bin(name, prefix, bits) for name in strangers if name not in names)
