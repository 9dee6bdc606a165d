"""Partial verification: the Director's Targets alone."""

import pytest

from tests.builders import (
    BRAKE,
    DAY,
    FIRST,
    HARDWARE,
    NONCE,
    NOW,
    PRIMARY,
    STRANGER,
    VERIFIER,
    Bench,
    Pair,
    image,
    sealed,
)
from uptane.errors import Check, Rejected
from uptane.model.ids import Repository, Role
from uptane.moments import UtcTime
from uptane.verify.chain import set_time
from uptane.verify.recheck import recheck

DIRECTOR = Repository.DIRECTOR


def test_an_update_is_verified_and_kept() -> None:
    bench = Bench(Pair(), BRAKE)
    bench.pair.update()
    outcome = bench.partial()
    assert outcome.changed
    assert outcome.assignment == bench.pair.director.entries[BRAKE]
    assert outcome.assigned.image == bench.pair.director.entries[BRAKE].image
    assert outcome.assigned.bundle == bench.pair.bundle()
    assert outcome.assigned.targets_version == FIRST + 1
    assert bench.store[DIRECTOR, "targets"] == bench.pair.director.offered[f"{FIRST + 1}.targets"]
    assert recheck(VERIFIER, bench.held, BRAKE) == outcome.assigned


def test_the_same_targets_again_change_nothing() -> None:
    bench = Bench(Pair(), BRAKE)
    bench.pair.update()
    bench.partial()
    outcome = bench.partial()
    assert not outcome.changed
    assert bench.effects == []
    assert outcome.assignment is not None


def test_the_same_targets_with_other_signatures_are_no_news() -> None:
    """Signatures that count for nothing may be added by anybody: were it stored, he could wear out the disk."""
    bench = Bench(Pair(), BRAKE)
    bench.pair.update()
    bench.partial()
    director = bench.pair.director
    file = f"{director.versions['targets']}.targets"
    payload = VERIFIER.codec.open(director.offered[file], len(director.offered[file])).payload
    director.offered[file] = sealed(payload, [STRANGER, *director.keys[Role.TARGETS]])
    kept = bench.store[DIRECTOR, "targets"]
    assert director.offered[file] != kept
    assert not bench.partial().changed
    assert bench.effects == []
    assert bench.store[DIRECTOR, "targets"] == kept


def test_no_entry_is_a_normal_answer_that_raises_the_floor_and_keeps_the_previous_file() -> None:
    bench = Bench(Pair(), BRAKE)
    bench.pair.update()
    bench.partial()
    acted_on = bench.store[DIRECTOR, "targets"]
    entry = bench.pair.director.entries.pop(BRAKE)
    bench.pair.director.issue()
    outcome = bench.partial()
    assert outcome.assignment is None
    assert outcome.assigned.image is None
    assert bench.store[DIRECTOR, "previous"] == acted_on
    bench.pair.director.entries[BRAKE] = entry
    bench.pair.director.targets(version=FIRST + 1)
    with pytest.raises(Rejected, match=Check.TARGETS_VERSION.name):
        bench.partial()
    bench.pair.director.targets(version=FIRST + 3)
    assert bench.partial().assignment == entry
    assert "previous" not in bench.files(DIRECTOR)


def test_the_counter_of_the_previous_file_binds_across_targets_without_an_entry() -> None:
    bench = Bench(Pair(), BRAKE)
    bench.released = {}
    bench.pair.update(counter=5)
    bench.partial()
    del bench.pair.director.entries[BRAKE]
    bench.pair.director.issue()
    bench.partial()
    bench.pair.director.assign(BRAKE, image("brakes/old", 4, HARDWARE[BRAKE]))
    bench.pair.director.issue()
    with pytest.raises(Rejected, match=Check.IMAGE_COUNTER.name):
        bench.partial()


def test_an_update_that_is_given_up_may_go_back_to_what_runs() -> None:
    """Nothing is installed by it, so a lower counter than the previous file's is no rollback."""
    bench = Bench(Pair(), BRAKE)
    bench.pair.update(counter=3)
    bench.partial()
    bench.pair.update(counter=1)
    assert bench.partial().assigned.image == bench.pair.director.entries[BRAKE].image
    bench.pair.director.assign(BRAKE, image("brakes/other", 0, HARDWARE[BRAKE]))
    bench.pair.director.issue()
    with pytest.raises(Rejected, match=Check.IMAGE_COUNTER.name):
        bench.partial()


def test_another_ecus_entry_is_none_of_its_business() -> None:
    bench = Bench(Pair(), BRAKE)
    bench.pair.director.assign(PRIMARY, image("primary/any", 0, "any-hardware"))
    bench.pair.director.issue()
    assert bench.partial().changed


def test_what_is_stored_is_checked_again_at_the_time_it_is_used() -> None:
    bench = Bench(Pair(), BRAKE)
    bench.pair.update()
    bench.partial()
    bench.pair.now = UtcTime(NOW + DAY - 1)
    bench.partial()
    recheck(VERIFIER, bench.held, BRAKE)
    bench.pair.now = UtcTime(NOW + DAY)
    bench.run(set_time(VERIFIER, bench.held, attestation=bench.pair.attestation(), nonce=NONCE))
    with pytest.raises(Rejected, match=Check.TARGETS_EXPIRED.name):
        recheck(VERIFIER, bench.held, BRAKE)
