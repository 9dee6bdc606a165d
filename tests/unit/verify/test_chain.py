"""The Root chain and the time: what every verification begins with."""

import pytest

from tests.builders import (
    BRAKE,
    BUILT,
    CAMERA,
    DAY,
    NONCE,
    NOW,
    PRIMARY,
    STRANGER,
    TIME,
    VERIFIER,
    Bench,
    Pair,
    key,
)
from uptane.errors import Check, Rejected
from uptane.model.ids import Repository, Role
from uptane.model.limits import ROOTS_PER_CYCLE_MAX
from uptane.moments import UtcTime
from uptane.verify.chain import root_link, set_time, walk_roots
from uptane.verify.needs import Keep
from uptane.verify.trusted import Held

DIRECTOR = Repository.DIRECTOR


def walk(bench: Bench, *, keep_links: bool = False) -> Held:
    return bench.run(walk_roots(VERIFIER, bench.held, DIRECTOR, keep_links=keep_links))


def version(held: Held) -> int:
    return held.director.root.value.header.version


def test_the_walk_ends_where_there_is_no_next() -> None:
    bench = Bench(Pair(), PRIMARY)
    assert version(walk(bench)) == 1
    for _ in range(3):
        bench.pair.director.root()
    assert version(walk(bench)) == 4
    assert bench.store[DIRECTOR, "root"] == bench.pair.director.offered["4.root"]
    assert "4.root" not in bench.files(DIRECTOR)


def test_a_primary_keeps_every_link_to_hand_it_on_before_it_goes_on() -> None:
    bench = Bench(Pair(), PRIMARY)
    for _ in range(2):
        bench.pair.director.root()
    walk(bench, keep_links=True)
    kept = [each.file for each in bench.effects if isinstance(each, Keep)]
    assert kept == ["2.root", "root", "3.root", "root"]


def test_a_walk_ends_at_the_limit_and_goes_on_in_the_next_cycle() -> None:
    bench = Bench(Pair(), BRAKE)
    for _ in range(ROOTS_PER_CYCLE_MAX + 2):
        bench.pair.director.root()
    assert version(walk(bench)) == ROOTS_PER_CYCLE_MAX + 1
    assert version(walk(bench)) == ROOTS_PER_CYCLE_MAX + 3


def test_a_broken_link_stops_the_walk_and_the_links_before_stand() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.director.root()
    bench.pair.director.root(signers=[STRANGER])
    with pytest.raises(Rejected, match=Check.ROOT_SIGNATURES.name):
        walk(bench)
    assert version(bench.held) == 2


def test_a_partial_ecu_takes_no_root_of_the_image_repository() -> None:
    bench = Bench(Pair(), BRAKE)
    octets = bench.pair.image.root()
    with pytest.raises(Rejected, match=Check.ROOT_MISSING.name):
        bench.run(root_link(VERIFIER, bench.held, Repository.IMAGE, octets=octets))


def test_a_full_secondary_takes_links_of_both_chains_one_by_one() -> None:
    bench = Bench(Pair(), CAMERA)
    for repository in Repository:
        octets = bench.pair.repo(repository).root()
        bench.run(root_link(VERIFIER, bench.held, repository, octets=octets))
    held = bench.held
    assert version(held) == 2
    assert held.image is not None
    assert held.image.root.value.header.version == 2


def far_in_the_future(bench: Bench) -> UtcTime:
    """Whoever stole the time key has set the clock so that all has expired."""
    far = UtcTime(NOW + 1_000 * DAY)
    bench.run(set_time(VERIFIER, bench.held, attestation=bench.pair.attestation(time=far), nonce=NONCE))
    assert bench.held.clock.time == far
    return far


def test_a_stolen_time_key_is_recovered_from_even_if_it_comes_back() -> None:
    """Key away at one link and back at the next: seen at the link, not from end to end."""
    bench = Bench(Pair(), PRIMARY)
    far_in_the_future(bench)
    director = bench.pair.director
    director.keys[Role.TIME] = [key("new time")]
    director.root()
    director.keys[Role.TIME] = [TIME]
    director.root()
    held = walk(bench)
    assert held.clock.time == NOW - 3_600
    assert not held.clock.attested
    assert bench.held.clock.time == NOW - 3_600
    bench.pair.update()
    assert bench.full().held.clock.time == NOW


def test_a_root_that_leaves_the_time_keys_alone_leaves_the_time_alone() -> None:
    bench = Bench(Pair(), PRIMARY)
    far = far_in_the_future(bench)
    bench.pair.director.keys[Role.TIMESTAMP] = [STRANGER]
    bench.pair.director.root()
    assert walk(bench).clock.time == far


def test_the_image_repositorys_root_never_touches_the_clock() -> None:
    bench = Bench(Pair(), CAMERA)
    before = bench.held.clock
    octets = bench.pair.image.root(issued=NOW + DAY)
    held = bench.run(root_link(VERIFIER, bench.held, Repository.IMAGE, octets=octets))
    assert held.clock == before
    assert before.floor == BUILT


def test_the_time_is_set_durably() -> None:
    bench = Bench(Pair(), BRAKE)
    held = bench.run(set_time(VERIFIER, bench.held, attestation=bench.pair.attestation(), nonce=NONCE))
    assert held.clock.attested
    assert bench.held.clock.time == NOW
    assert not bench.held.clock.attested
