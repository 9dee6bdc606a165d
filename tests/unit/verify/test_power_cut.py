"""Power fails before every effect, one run per effect; the next run continues and comes to the same end."""

from collections.abc import Callable

import pytest

from tests.builders import BRAKE, CAMERA, HARDWARE, PRIMARY, TIME, Bench, Pair, PowerLost, image, key
from uptane.model.ids import EcuId, Repository, Role
from uptane.verify.full import Full

Change = Callable[[Pair], object]


def plain(pair: Pair) -> None:
    """An ordinary update."""
    pair.update(3)


def rotated(pair: Pair) -> None:
    """All keys but the time's, with two links of each Root chain, then an update with versions that begin anew."""
    for repo in (pair.director, pair.image):
        for turn in ("one", "two"):
            for role in (Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS):
                repo.keys[role] = [key(f"{turn} {role.value} {each}") for each in "ab"]
            repo.root()
        repo.versions |= {name: 1 for name in repo.versions if name != "root"}
    pair.update(3)


def timestamp_rotated(pair: Pair) -> None:
    pair.director.keys[Role.TIMESTAMP] = [key("anew")]
    pair.director.root()
    pair.director.keys[Role.SNAPSHOT] = [key("anew too")]
    pair.director.root()
    pair.director.versions |= {"timestamp": 1, "snapshot": 1}
    pair.update(3)


def time_rotated(pair: Pair) -> None:
    """The time key goes at one link, and comes back at the next."""
    pair.director.keys[Role.TIME] = [key("other time")]
    pair.director.root()
    pair.director.keys[Role.TIME] = [TIME]
    pair.director.root()
    pair.update(3)


def unassigned(pair: Pair) -> None:
    """No entry for any of the ECUs under test, and another for the body."""
    for ecu in (BRAKE, CAMERA, PRIMARY):
        del pair.director.entries[ecu]
    pair.director.issue()


def other_roles(pair: Pair) -> None:
    """An image that needs no delegated role any more: those that were read go."""
    pair.offer(CAMERA, image("lens/app", 3, HARDWARE[CAMERA]), "targets")
    pair.image.issue()
    pair.director.issue()


def run(bench: Bench) -> object:
    outcome = bench.verify()
    return outcome.matches if isinstance(outcome, Full) else outcome.assigned


def begun(ecu: EcuId, change: Change) -> Bench:
    """An ECU that has verified one update and is offered the next."""
    bench = Bench(Pair(), ecu)
    bench.pair.update(2)
    bench.verify()
    change(bench.pair)
    return bench


def files(bench: Bench) -> dict[tuple[Repository, str], bytes]:
    """All but the time, whose record also holds the one before, which a second attestation moves."""
    return {place: octets for place, octets in bench.store.items() if place[1] != "time"}


@pytest.mark.parametrize("change", [plain, rotated, timestamp_rotated, time_rotated, unassigned, other_roles])
@pytest.mark.parametrize("ecu", [PRIMARY, CAMERA, BRAKE])
def test_a_cut_before_every_effect_comes_to_the_same_end(ecu: EcuId, change: Change) -> None:
    whole = begun(ecu, change)
    wanted = run(whole)
    clock = whole.held.clock.time
    cuts = 0
    while True:
        bench = begun(ecu, change)
        bench.fuse = cuts
        try:
            run(bench)
        except PowerLost:
            cuts += 1
        else:
            break
        bench.fuse = None
        assert run(bench) == wanted, f"cut before effect {cuts - 1}"
        assert files(bench) == files(whole), f"cut before effect {cuts - 1}"
        assert bench.held.clock.time == clock
    assert cuts >= 1


@pytest.mark.parametrize("ecu", [PRIMARY, CAMERA])
def test_two_cuts_in_a_row_come_to_the_same_end(ecu: EcuId) -> None:
    whole = begun(ecu, rotated)
    wanted = run(whole)
    effects = len(whole.effects)
    for first in range(0, effects, 7):
        for second in range(0, effects, 9):
            bench = begun(ecu, rotated)
            for fuse in (first, second):
                bench.fuse = fuse
                try:
                    run(bench)
                except PowerLost:
                    continue
            bench.fuse = None
            assert run(bench) == wanted
            assert files(bench) == files(whole)


def test_the_directors_targets_are_stored_only_when_every_image_has_been_matched() -> None:
    """Whatever a cut leaves: stored Targets are ones whose images both repositories vouch for."""
    whole = begun(PRIMARY, plain)
    run(whole)
    new = whole.pair.director.offered[f"{whole.pair.director.versions['targets']}.targets"]
    for fuse in range(len(whole.effects)):
        bench = begun(PRIMARY, plain)
        bench.fuse = fuse
        with pytest.raises(PowerLost):
            run(bench)
        assert bench.store[Repository.DIRECTOR, "targets"] != new
