"""check_root, check_timestamp, check_snapshot, check_targets: what passes. What does not is in tests/attacks."""

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import (
    BRAKE,
    CODEC,
    DAY,
    FIRST,
    HARDWARE,
    NOW,
    PRIMARY,
    STRANGER,
    VERIFIER,
    Bench,
    Pair,
    image,
    key,
)
from uptane.errors import Check, Rejected
from uptane.model.ids import Repository, Role, RoleName
from uptane.model.metadata import DirectorTargets, FileInfo, Fleet, ImageRepository, Root
from uptane.model.signed import Verified
from uptane.moments import UtcTime
from uptane.verify.roles import check_snapshot, check_targets, check_timestamp, fetch_limit, is_listed
from uptane.verify.root import check_root, check_root_expiry, first_root, role_authority


def trusted_root(pair: Pair) -> Verified[Root]:
    return first_root(VERIFIER, pair.director.offered["1.root"], Fleet())


def test_a_root_may_change_all_its_keys_when_old_and_new_sign() -> None:
    pair = Pair()
    pair.director.keys[Role.ROOT] = [key("new a"), key("new b")]
    pair.director.thresholds[Role.ROOT] = 1
    new = check_root(VERIFIER, pair.director.root(), trusted_root(pair))
    authority = role_authority(new.value, Role.ROOT)
    assert authority is not None
    assert authority.threshold == 1
    assert set(authority.keys.values()) == {key("new a").public, key("new b").public}


def test_strangers_may_sign_a_root_as_well() -> None:
    pair = Pair()
    signers = [STRANGER, *pair.director.keys[Role.ROOT][1:]]
    assert check_root(VERIFIER, pair.director.root(signers=signers), trusted_root(pair)).value.header.version == 2


def test_an_expired_root_may_lead_to_a_newer_one() -> None:
    pair = Pair()
    first = trusted_root(pair)
    second = check_root(VERIFIER, pair.director.root(expires=1), first)
    third = check_root(VERIFIER, pair.director.root(), second)
    assert third.value.header.version == 3
    check_root_expiry(third, NOW)


def test_a_root_expires_at_its_second_and_not_before() -> None:
    root = trusted_root(Pair())
    expires = root.value.header.expires
    check_root_expiry(root, UtcTime(expires - 1))
    for late in (expires, UtcTime(expires + 1)):
        with pytest.raises(Rejected, match=Check.ROOT_EXPIRED.name):
            check_root_expiry(root, late)


def test_a_first_root_has_to_be_signed_by_itself_and_of_its_repository() -> None:
    pair = Pair()
    octets = pair.director.offered["1.root"]
    with pytest.raises(Rejected, match=Check.SPEAKER.name):
        first_root(VERIFIER, octets, ImageRepository())
    with pytest.raises(Rejected, match=Check.ROOT_OWN_SIGNATURES.name):
        first_root(VERIFIER, pair.director.root(signers=[STRANGER]), Fleet())
    with pytest.raises(Rejected, match=Check.ROOT_KEYS.name):
        first_root(VERIFIER, pair.director.root(edit=lambda root: replace(root, keys=root.keys[:-1])), Fleet())
    with pytest.raises(Rejected, match=Check.KIND.name):
        first_root(VERIFIER, pair.director.offered["timestamp"], Fleet())


def test_a_role_the_root_does_not_name_has_no_authority() -> None:
    pair = Pair()
    image_root = first_root(VERIFIER, pair.image.offered["1.root"], ImageRepository())
    assert role_authority(image_root.value, Role.TIME) is None
    assert role_authority(trusted_root(pair).value, Role.TIME) is not None


def test_the_same_file_again_is_no_news_whatever_its_signatures() -> None:
    bench = Bench(Pair(), PRIMARY)
    director = bench.pair.director
    trusted = bench.held.director
    twice = [*director.keys[Role.TIMESTAMP], STRANGER]
    again = director.timestamp(version=FIRST, signers=twice)
    assert again != bench.store[Repository.DIRECTOR, "timestamp"]
    assert check_timestamp(VERIFIER, again, trusted, utc=NOW).value == trusted.timestamp.value  # type: ignore[union-attr]
    targets = director.targets(version=FIRST, signers=[*director.keys[Role.TARGETS], STRANGER])
    check_targets(VERIFIER, targets, trusted, DirectorTargets, listed=None, utc=NOW)


def test_files_expire_at_their_second_and_not_before() -> None:
    bench = Bench(Pair(), PRIMARY)
    octets, trusted = bench.pair.director.timestamp(expires=NOW + DAY), bench.held.director
    check_timestamp(VERIFIER, octets, trusted, utc=UtcTime(NOW + DAY - 1))
    with pytest.raises(Rejected, match=Check.TIMESTAMP_EXPIRED.name):
        check_timestamp(VERIFIER, octets, trusted, utc=UtcTime(NOW + DAY))


def snapshot_after(bench: Bench, **changes: Any) -> None:
    repo = bench.pair.image
    octets = repo.snapshot(**changes)
    trusted = bench.held.image
    assert trusted is not None
    timestamp = check_timestamp(VERIFIER, repo.timestamp(), trusted, utc=NOW)
    check_snapshot(VERIFIER, octets, trusted, timestamp=timestamp, utc=NOW)


@pytest.mark.parametrize("name", ["a-new-role", "dev", "zzz"])
def test_a_snapshot_may_list_more_and_newer_files_than_before(name: str) -> None:
    bench = Bench(Pair(), PRIMARY)
    listed = bench.pair.image.listed
    info = replace(next(iter(listed.values())), version=FIRST + 9)
    snapshot_after(bench, files=listed | {RoleName(name): info})


@pytest.mark.parametrize("name", ["bin-0", "dev", "targets"])
def test_a_snapshot_may_neither_lose_a_file_nor_list_an_older_one(name: str) -> None:
    bench = Bench(Pair(), PRIMARY)
    listed = bench.pair.image.listed
    fewer = {each: info for each, info in listed.items() if each != name}
    with pytest.raises(Rejected, match=Check.SNAPSHOT_TARGETS_LOST.name):
        snapshot_after(bench, files=fewer)
    older = replace(listed[RoleName(name)], version=FIRST - 1)
    with pytest.raises(Rejected, match=Check.SNAPSHOT_TARGETS_VERSION.name):
        snapshot_after(bench, files=listed | {RoleName(name): older})


def test_only_the_version_of_lost_targets_is_free_again() -> None:
    """After a rotation of the Targets keys: the top-level file may go back, delegated ones may not."""
    bench = Bench(Pair(), PRIMARY)
    del bench.store[Repository.IMAGE, "targets"]
    listed = bench.pair.image.listed
    older = {name: replace(info, version=FIRST - 1) for name, info in listed.items() if name in {"targets", "dev"}}
    snapshot_after(bench, files=listed | {RoleName("targets"): older[RoleName("targets")]})
    with pytest.raises(Rejected, match=Check.SNAPSHOT_TARGETS_VERSION.name):
        snapshot_after(bench, files=listed | older)


def test_a_file_is_the_listed_one_by_version_length_and_hash() -> None:
    bench = Bench(Pair(), PRIMARY)
    targets = bench.held.director.targets
    assert targets is not None
    info = bench.pair.director.listed[RoleName("targets")]
    assert is_listed(VERIFIER, targets, info)
    for wrong in (
        replace(info, version=FIRST + 1),
        replace(info, length=info.length + 1),
        replace(info, sha256=bytes(32)),
    ):
        assert not is_listed(VERIFIER, targets, wrong)


def test_a_file_may_be_named_as_long_as_its_limit_and_no_longer() -> None:
    info = FileInfo(1, 100, bytes(32))
    assert fetch_limit(info, 100) == 100
    with pytest.raises(Rejected, match=Check.LENGTH.name):
        fetch_limit(info, 99)


def test_an_image_may_fit_several_kinds_of_hardware() -> None:
    bench = Bench(Pair(), PRIMARY)
    alone = image("brakes/both", 2, HARDWARE[PRIMARY])
    both = CODEC.image(replace(alone, hardware=(HARDWARE[PRIMARY], HARDWARE[BRAKE])))
    bench.pair.offer(BRAKE, both, "brakes")
    bench.pair.image.issue()
    bench.pair.director.issue()
    assert bench.full().matches[BRAKE].assignment.image == both
