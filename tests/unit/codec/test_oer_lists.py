"""Ascending lists: order and lengths are judged when a list is opened, an entry when it is read."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.codec import strategies as draw
from uptane.codec.metadata_rows import FILES
from uptane.codec.oer import Oer
from uptane.codec.oer_lists import OerListing
from uptane.codec.oer_primitives import Span
from uptane.codec.targets_rows import ASSIGNMENTS, IMAGES
from uptane.errors import Disordered, Malformed
from uptane.model.ids import EcuId, Filename, HardwareId, RoleName
from uptane.model.limits import ENTRY_LENGTH_MAX
from uptane.model.metadata import Assignment, FileInfo, Image, SnapshotFile

OER = Oer()
NAMES = ["a", "a/b", "aa", "b", "n" * 128]  # ascending as octets are
IMAGES_BY_NAME = {
    name: OER.image(Image(Filename(name), 1, bytes(32), None, (HardwareId("h"),), 1, b"")) for name in NAMES
}


def prefixed(octets: bytes) -> bytes:
    length = len(octets)
    return (
        bytes((length,))
        if length < 128
        else b"\x81" + bytes((length,))
        if length < 256
        else b"\x82" + length.to_bytes(2)
    ) + octets


def listing_of(*names: str) -> bytes:
    return b"".join(prefixed(IMAGES_BY_NAME[name].octets) for name in names)


def test_entries_are_put_in_order_and_found() -> None:
    listing = OER.images([IMAGES_BY_NAME[name] for name in reversed(NAMES)])
    assert [image.filename for image in listing] == NAMES
    assert len(listing) == len(NAMES)
    assert [listing.find(name) for name in NAMES] == [IMAGES_BY_NAME[name] for name in NAMES]
    for missing in ("", "A", "a/", "a/c", "z", "n" * 127, "n" * 129, "ä"):
        assert listing.find(missing) is None


def test_an_empty_list_is_a_list() -> None:
    for listing in (OER.images([]), OER.assignments([]), OER.files([])):
        assert listing.octets == b""
        assert len(listing) == 0
        assert not list(listing)
        assert listing.find("a") is None


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a"), ("a", "aa", "a/b"), ("n" * 128, "b"), ("a", "b", "b")])
def test_disorder_and_doubles_are_refused_when_the_list_is_opened(names: tuple[str, ...]) -> None:
    with pytest.raises(Disordered):
        OerListing(listing_of(*names), IMAGES)


def test_a_name_twice_is_not_listed() -> None:
    image = IMAGES_BY_NAME["a"]
    file = SnapshotFile(RoleName("targets"), FileInfo(1, 1, bytes(32)))
    with pytest.raises(Disordered):
        OER.images([image, OER.image(replace(image, length=2))])
    with pytest.raises(Disordered):
        OER.assignments([Assignment(EcuId("e"), image), Assignment(EcuId("e"), image)])
    with pytest.raises(Disordered):
        OER.files([file, replace(file, info=FileInfo(2, 1, bytes(32)))])


GOOD = listing_of("a", "b")


@pytest.mark.parametrize(
    "octets",
    [
        *(
            pytest.param(GOOD[:length], id=f"cut at {length}")
            for length in range(1, len(GOOD))
            if length != len(GOOD) // 2
        ),
        pytest.param(b"\x81" + GOOD, id="length in long form"),
        pytest.param(b"\x00" + GOOD, id="an empty entry"),
        pytest.param(b"\x01\x00" + GOOD, id="an entry of a preamble alone"),
        pytest.param(GOOD[:2] + b"\x00" + GOOD[3:], id="an empty name"),
        pytest.param(GOOD[:2] + b"\x7f" + GOOD[3:], id="a name longer than the entry"),
        pytest.param(GOOD[:2] + b"\x81\x01" + GOOD[3:], id="a name's length in long form"),
        pytest.param(GOOD + b"\x00", id="an octet behind the end"),
        pytest.param(GOOD + b"\x84\xff\xff\xff\xff" + bytes(99), id="an entry of 4 GiB"),
        pytest.param(prefixed(b"\x00\x81\x81" + b"n" * 129 + bytes(50)), id="a name of 129 octets"),
    ],
)
def test_bad_lengths_are_refused_when_the_list_is_opened(octets: bytes) -> None:
    OerListing(GOOD, IMAGES)
    with pytest.raises(Malformed) as refusal:
        OerListing(octets, IMAGES)
    assert not isinstance(refusal.value, Disordered)


def test_a_name_of_another_kind_is_shorter() -> None:
    body = b"\x00\x41" + b"n" * 65 + bytes(44)
    OerListing(prefixed(body), IMAGES)
    with pytest.raises(Malformed):
        OerListing(prefixed(body), FILES)
    with pytest.raises(Malformed):
        OerListing(prefixed(body), ASSIGNMENTS)


def test_entries_are_bounded_by_one() -> None:
    def entry(length: int) -> bytes:
        return prefixed(b"\x00\x01n" + bytes(length - 3))

    shortest = IMAGES.length_min
    assert shortest == len(IMAGES_BY_NAME["a"].octets)
    for good in (shortest, ENTRY_LENGTH_MAX):
        assert len(OerListing(entry(good), IMAGES)) == 1
    for bad in (shortest - 1, ENTRY_LENGTH_MAX + 1):
        with pytest.raises(Malformed):
            OerListing(entry(bad), IMAGES)


def test_the_largest_assignment_fits() -> None:
    octets = 1 + 65 + (3 + 2048) + (3 + 1024) + (1 + 4 + 32 + 1 + 3 + 2048) + (1 + 1 + 32 + 4 + 32)
    assert octets < ENTRY_LENGTH_MAX - 1000  # room for additions


def test_an_entry_is_judged_when_it_is_read_and_not_before() -> None:
    image = bytearray(IMAGES_BY_NAME["b"].octets)
    image[0] |= 0x10  # an unused bit of the preamble
    listing = OerListing(listing_of("a") + prefixed(bytes(image)), IMAGES)
    assert len(listing) == 2
    assert listing.find("a") == IMAGES_BY_NAME["a"]
    with pytest.raises(Malformed):
        listing.find("b")
    with pytest.raises(Malformed):
        list(listing)


def test_a_spoiled_image_in_an_assignment_is_refused_when_the_entry_is_read() -> None:
    octets = OER.assignments([Assignment(EcuId("e"), IMAGES_BY_NAME["a"])]).octets
    spoiled = octets.replace(b"\x01h", b"\x01 ")
    listing = OerListing(spoiled, ASSIGNMENTS)
    with pytest.raises(Malformed, match="no name"):
        listing.find("e")


def test_listings_are_equal_by_kind_and_octets() -> None:
    assert OER.images([IMAGES_BY_NAME["a"]]) == OerListing(listing_of("a"), IMAGES)
    assert hash(OER.images([IMAGES_BY_NAME["a"]])) == hash(OerListing(listing_of("a"), IMAGES))
    assert OER.images([IMAGES_BY_NAME["a"]]) != OerListing(listing_of("b"), IMAGES)
    others: list[object] = [OER.files([]), b""]
    assert OER.images([]) not in others
    assert "1 entries" in repr(OER.images([IMAGES_BY_NAME["a"]]))


# The walk, step by step


def plainly(octets: bytes, name_length_max: int, entry_length_min: int) -> list[bytes]:
    """The names of a list, read in the plainest way; raise as the walk should."""
    names: list[bytes] = []
    problems: list[type[Malformed]] = []
    rest = octets
    while rest:
        entry, rest = _cut(rest)
        if not entry_length_min <= len(entry) <= ENTRY_LENGTH_MAX:
            raise Malformed
        name, behind = _cut(entry[1:])
        # What must stand beside a name: the shortest entry has a name of one octet.
        if not 0 < len(name) <= name_length_max or len(behind) < entry_length_min - 3:
            raise Malformed
        if names and name <= names[-1]:
            problems.append(Disordered)
            break
        names.append(name)
    if problems:
        raise problems[0]
    return names


def _cut(octets: bytes) -> tuple[bytes, bytes]:
    """The part that a canonical length at the front measures, and what follows."""
    if not octets:
        raise Malformed
    length, at = octets[0], 1
    if length > 127:
        at += length - 128
        length = int.from_bytes(octets[1:at])
        if at == 1 or at > len(octets) or at > 5 or length < 128 or octets[1] == 0:
            raise Malformed
    if at + length > len(octets):
        raise Malformed
    return octets[at : at + length], octets[at + length :]


def outcome(action: Callable[[], object]) -> object:
    try:
        return action()
    except Malformed as refusal:
        return type(refusal)


def names_of(listing: OerListing[Image]) -> list[bytes]:
    return [listing._name(place) for place in listing._places]


SOME_NAMES = st.sampled_from([b"a", b"b", b"c", b"n" * 127, b"n" * 128, b"o"])


@settings(max_examples=300)
@given(
    names=st.lists(SOME_NAMES, max_size=5) | st.lists(SOME_NAMES, max_size=5, unique=True).map(sorted),
    padding=st.sampled_from([42, 42, 42, 41, 80, 130, 300]),
    tampered=st.lists(st.tuples(st.integers(0, 400), st.sampled_from([0, 1, 2, 127, 128, 129, 130, 255])), max_size=2),
    cut=st.integers(0, 3),
    before=st.binary(max_size=3),
    behind=st.binary(max_size=60),
)
def test_the_walk_agrees_with_the_plainest_one(
    names: list[bytes],
    padding: int,
    tampered: list[tuple[int, int]],
    *,
    cut: int,
    before: bytes,
    behind: bytes,
) -> None:
    entries = (
        b"\x00" + (b"" if len(name) < 128 else b"\x81") + bytes((len(name),)) + name + bytes(padding) for name in names
    )
    octets = bytearray(b"".join(prefixed(entry) for entry in entries))
    for at, value in tampered:
        if at < len(octets):
            octets[at] = value
    octets = octets[: len(octets) - cut]
    within = Span(before + octets + behind, len(before), len(before) + len(octets))
    expected = outcome(lambda: plainly(bytes(octets), IMAGES.name_length_max, IMAGES.length_min))
    assert outcome(lambda: names_of(OerListing(within, IMAGES))) == expected
    assert outcome(lambda: names_of(OerListing(bytes(octets), IMAGES))) == expected


@settings(max_examples=50)
@given(images=st.lists(draw.images(), max_size=30, unique_by=lambda image: image.filename), other=draw.filenames)
def test_finding_agrees_with_reading_all(images: list[Image], other: Filename) -> None:
    listing = OerListing(OER.images(images).octets, IMAGES)
    assert list(listing) == sorted(images, key=lambda image: image.filename.encode())
    for image in images:
        assert listing.find(image.filename) == image
    assert listing.find(other) == next((image for image in images if image.filename == other), None)
