"""Time: all or nothing; never back under the same keys; back to the floor when a key is taken away."""

import json
from dataclasses import replace

import pytest

from tests.builders import BRAKE, BUILT, DAY, NONCE, NOW, STRANGER, TIME, VERIFIER, Bench, Pair, key
from uptane.errors import Check, Rejected, StorageFailure
from uptane.model.ids import Role
from uptane.model.metadata import Fleet, Root
from uptane.model.signed import PublicKey, Verified
from uptane.moments import UtcTime
from uptane.verify.attested import Clock, check_attestation, dump, load, under
from uptane.verify.root import first_root

ISSUED = UtcTime(NOW - 3_600)


def root_of(pair: Pair) -> Verified[Root]:
    return first_root(VERIFIER, pair.director.root(), Fleet())


def at(clock: Clock, pair: Pair, root: Verified[Root], **changes: object) -> Clock:
    return check_attestation(VERIFIER, pair.attestation(**changes), root, clock=clock, nonce=NONCE)


def test_a_new_ecu_stands_at_the_newest_of_build_time_and_root() -> None:
    root = root_of(Pair())
    assert load(None, root, BUILT) == Clock(ISSUED, BUILT, attested=False, floor=BUILT)
    assert load(None, root, NOW).time == NOW


def test_an_attestation_sets_the_time_and_remembers_the_one_before() -> None:
    pair = Pair()
    root = root_of(pair)
    clock = at(load(None, root, BUILT), pair, root)
    assert (clock.time, clock.previous, clock.attested) == (NOW, ISSUED, True)
    assert clock.keys == {TIME.public}
    later = at(clock, pair, root, time=NOW + 1)
    assert (later.time, later.previous) == (NOW + 1, NOW)


def test_the_same_second_again_is_not_backwards() -> None:
    pair = Pair()
    root = root_of(pair)
    clock = at(load(None, root, BUILT), pair, root)
    assert at(clock, pair, root).time == NOW


def test_it_survives_a_restart_but_has_to_be_attested_anew() -> None:
    pair = Pair()
    root = root_of(pair)
    clock = at(load(None, root, BUILT), pair, root)
    assert load(dump(clock), root, BUILT) == replace(clock, attested=False)


@pytest.mark.parametrize("kept", [False, True])
def test_a_time_key_taken_away_sets_the_clock_back_to_the_floor(kept: bool) -> None:
    pair = Pair()
    pair.director.keys[Role.TIME] = [TIME, key("other time")]
    root = root_of(pair)
    far = at(load(None, root, BUILT), pair, root, time=NOW + 1_000 * DAY)
    pair.director.keys[Role.TIME] = [TIME] if kept else [STRANGER]
    after = root_of(pair)
    reset = under(far, after)
    assert (reset.time, reset.attested) == (ISSUED, False)
    assert load(dump(far), after, BUILT).time == ISSUED  # also when power failed before it was stored
    assert at(reset, pair, after, signers=pair.director.keys[Role.TIME]).time == NOW


def test_a_root_without_a_time_role_takes_all_keys_away() -> None:
    pair = Pair()
    root = root_of(pair)
    clock = at(load(None, root, BUILT), pair, root)
    del pair.director.keys[Role.TIME]
    after = root_of(pair)
    assert under(clock, after).time == ISSUED
    with pytest.raises(Rejected, match=Check.TIME_ROLE.name):
        at(clock, pair, after)


def test_a_time_key_added_changes_nothing() -> None:
    pair = Pair()
    root = root_of(pair)
    clock = at(load(None, root, BUILT), pair, root)
    pair.director.keys[Role.TIME] = [TIME, STRANGER]
    assert under(clock, root_of(pair)) == clock


def test_a_newer_root_raises_the_floor() -> None:
    pair = Pair()
    root = root_of(pair)
    clock = load(None, root, BUILT)
    newer = first_root(VERIFIER, pair.director.root(issued=NOW + DAY), Fleet())
    assert under(clock, newer).time == NOW + DAY


def test_refusals_leave_the_clock_as_it_is() -> None:
    bench = Bench(Pair(), BRAKE)
    bench.verify()
    before = dict(bench.store)
    for bad in (bench.pair.attestation(signers=[STRANGER]), bench.pair.attestation(nonce=bytes(16))):
        with pytest.raises(Rejected):
            bench.partial(attestation=bad)
    assert bench.store == before


def test_a_time_role_with_a_threshold_needs_that_many() -> None:
    pair = Pair()
    both = [TIME, key("other time")]
    pair.director.keys[Role.TIME] = list(both)
    pair.director.thresholds[Role.TIME] = 2
    root = root_of(pair)
    with pytest.raises(Rejected, match=Check.TIME_SIGNATURES.name):
        at(load(None, root, BUILT), pair, root)
    assert at(load(None, root, BUILT), pair, root, signers=both).time == NOW


GOOD = {"format": 1, "time": NOW, "previous": NOW, "keys": []}


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        json.dumps(GOOD | {"format": 2}).encode(),
        json.dumps(GOOD | {"time": -1}).encode(),
        json.dumps(GOOD | {"time": 2**64}).encode(),
        json.dumps(GOOD | {"time": "soon"}).encode(),
        json.dumps(GOOD | {"keys": [["rot13", "00"]]}).encode(),
        json.dumps(GOOD | {"keys": [1]}).encode(),
        json.dumps({"format": 1}).encode(),
    ],
)
def test_a_damaged_record_is_refused(octets: bytes) -> None:
    with pytest.raises(StorageFailure):
        load(octets, root_of(Pair()), BUILT)


def test_a_good_record_is_read() -> None:
    keys = [[TIME.public.scheme.value, TIME.public.octets.hex()]]
    clock = load(json.dumps(GOOD | {"keys": keys}).encode(), root_of(Pair()), BUILT)
    assert clock.keys == {PublicKey(TIME.public.scheme, TIME.public.octets)}
    assert clock.time == NOW
