"""Objects in RAM and counts of refusals: bounded, whoever fills them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondary import refusals
from secondary.objects import FULL, OCTETS_MAX, PARTIAL, Objects
from secondary.refusals import KINDS_MAX, NO_REFUSALS, Refusals, counted, is_worth_storing, reported
from secondary.watch import GRACE_MS, Watch
from tests.builders import CODEC, RELEASE, Pair
from uptane.errors import Attack, Check, Rejected, StorageFailure
from uptane.link.uds_objects import LENGTH_MAX, Object, Place
from uptane.model.ids import MetaName, Repository
from uptane.model.reports import Refusal
from uptane.moments import Instant

SIGNED = [check for check in Check if check.attack is not Attack.MISUSE]
MISUSE = [check for check in Check if check.attack is Attack.MISUSE]


def hand_in(objects: Objects, place: Place, octets: bytes) -> None:
    objects.begin(place, len(octets))
    for start in range(0, len(octets), 7):
        objects.add(octets[start : start + 7])
    objects.end()


def test_an_object_is_whole_when_it_has_ended_and_is_taken_once() -> None:
    objects = Objects(PARTIAL)
    objects.begin(Place(Object.ORDER), 3)
    objects.add(b"ab")
    assert objects.is_coming
    assert not objects.holds(Object.ORDER)
    objects.add(b"c")
    objects.end()
    assert objects.take(Object.ORDER) == b"abc"
    assert objects.take(Object.ORDER) is None


def test_beginning_again_forgets_what_was_there() -> None:
    objects = Objects(PARTIAL)
    hand_in(objects, Place(Object.ORDER), b"abc")
    objects.begin(Place(Object.ORDER), 3)
    assert not objects.holds(Object.ORDER)


def test_all_objects_together_are_limited() -> None:
    objects = Objects(FULL)
    largest = LENGTH_MAX[Object.DELEGATED]
    assert largest <= OCTETS_MAX < 2 * largest
    hand_in_at_once(objects, Place(Object.DELEGATED, 0), largest)
    with pytest.raises(Rejected) as caught:
        objects.begin(Place(Object.DELEGATED, 1), largest)
    assert caught.value.check is Check.LINK_RANGE
    objects.begin(Place(Object.DELEGATED, 1), OCTETS_MAX - largest)


def hand_in_at_once(objects: Objects, place: Place, size: int) -> None:
    objects.begin(place, size)
    objects.add(bytes(size))
    objects.end()


def test_delegated_targets_are_found_by_the_role_they_claim() -> None:
    pair, objects = Pair(), Objects(FULL)
    octets = pair.image.targets(RELEASE)
    hand_in(objects, Place(Object.DELEGATED, 3), octets)
    hand_in(objects, Place(Object.DELEGATED, 4), b"nothing at all")
    hand_in(objects, Place(Object.DELEGATED, 5), pair.director.targets())
    version = pair.image.versions[RELEASE]
    assert objects.find(Repository.IMAGE, MetaName(RELEASE, version), CODEC) == octets
    assert objects.find(Repository.IMAGE, MetaName("other", 1), CODEC) is None
    assert objects.find(Repository.DIRECTOR, MetaName(RELEASE, version), CODEC) is None
    hand_in(objects, Place(Object.DELEGATED, 3), b"replaced")
    assert objects.find(Repository.IMAGE, MetaName(RELEASE, version), CODEC) is None


# ------------------------------------------------------------------------------------------------------- refusals


def test_refusals_are_counted_and_reported_in_the_order_of_their_codes() -> None:
    counts = NO_REFUSALS
    for check in (Check.TIME_NONCE, Check.ENCODING, Check.TIME_NONCE):
        counts = counted(counts, check)
    assert reported(counts) == (Refusal(Check.ENCODING.code, 1), Refusal(Check.TIME_NONCE.code, 2))


def test_misuse_of_the_link_gives_way_to_what_was_signed_and_never_the_other_way() -> None:
    counts = NO_REFUSALS
    for check in (*MISUSE[:3], *SIGNED[:5]):
        counts = counted(counts, check)
    full = counted(counts, MISUSE[4])
    assert full == counts, "misuse displaces nothing"
    counts = counted(counted(counts, MISUSE[0]), SIGNED[6])
    assert SIGNED[6] in counts
    assert MISUSE[0] in counts, "the one that came twice stays"
    for check in SIGNED[7:20]:
        counts = counted(counts, check)
    assert set(SIGNED[:5]) <= set(counts), "the first ones are kept: nobody floods them away"


@given(st.lists(st.sampled_from(list(Check)), max_size=200))
def test_refusals_stay_bounded_and_survive_storing(checks: list[Check]) -> None:
    counts: Refusals = NO_REFUSALS
    writes = 0
    for check in checks:
        before, counts = counts, counted(counts, check)
        writes += is_worth_storing(before, counts, check)
    assert len(counts) <= KINDS_MAX
    assert refusals.load(refusals.dump(counts)) == counts
    assert sum(counts.values()) <= len(checks)


@pytest.mark.parametrize("octets", [b"", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "refusals": [[1]]}', b"\xff"])
def test_a_damaged_record_of_refusals_is_a_storage_failure(octets: bytes) -> None:
    with pytest.raises(StorageFailure):
        refusals.load(octets)


def test_codes_of_checks_nobody_knows_are_left_out() -> None:
    octets = b'{"format": 1, "refusals": [[65535, 3], [257, 0], [258, 4]]}'
    assert refusals.load(octets) == {Check.LENGTH: 4}


# --------------------------------------------------------------------------------------------------------- watch


def test_a_delivery_is_slow_once_and_only_after_a_while() -> None:
    watch = Watch(100, Instant(0))
    assert not watch.is_slow(Instant(GRACE_MS - 1))
    watch.octets = 100 * GRACE_MS // 1_000
    assert not watch.is_slow(Instant(GRACE_MS))
    assert watch.is_slow(Instant(GRACE_MS + 1))
    assert not watch.is_slow(Instant(GRACE_MS + 2))
    assert not Watch(0, Instant(0)).is_slow(Instant(10**9))
