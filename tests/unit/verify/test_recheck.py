"""Stored metadata checked again: under the newest Root and time."""

import pytest

from tests.builders import BRAKE, CAMERA, DAY, NONCE, NOW, PRIMARY, VERIFIER, Bench, Pair, key
from uptane.errors import Check, Rejected
from uptane.model.ids import EcuId, Repository, Role
from uptane.verify.chain import set_time, walk_roots
from uptane.verify.recheck import recheck


def verified(ecu: EcuId, **lasting: int) -> Bench:
    """An ECU that has verified an update whose files last a day, but those named."""
    bench = Bench(Pair(), ecu)
    pair = bench.pair
    pair.set_images(2)
    for repo in (pair.director, pair.image):
        repo.lasting = DAY
        repo.issue()

    def expires(name: str) -> int:
        return NOW + lasting.get(name, DAY)

    pair.image.targets("release", expires=expires("release"))
    pair.image.targets(expires=expires("image_targets"))
    pair.image.snapshot(expires=expires("image_snapshot"))
    pair.image.timestamp(expires=expires("image_timestamp"))
    pair.director.targets(expires=expires("targets"))
    pair.director.snapshot(expires=expires("snapshot"))
    pair.director.timestamp(expires=expires("timestamp"))
    pair.director.root(expires=expires("root"))
    pair.image.root(expires=expires("image_root"))
    bench.verify()
    return bench


def at(bench: Bench, time: int) -> None:
    octets = bench.pair.attestation(time=time)
    bench.run(set_time(VERIFIER, bench.held, attestation=octets, nonce=NONCE))


@pytest.mark.parametrize("ecu", [PRIMARY, CAMERA, BRAKE])
def test_what_is_fresh_says_what_is_assigned(ecu: EcuId) -> None:
    bench = verified(ecu)
    at(bench, NOW + DAY - 1)
    assigned = recheck(VERIFIER, bench.held, ecu)
    assert assigned.image == bench.pair.director.entries[ecu].image
    assert assigned.bundle == bench.pair.bundle()


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("root", Check.ROOT_EXPIRED),
        ("timestamp", Check.TIMESTAMP_EXPIRED),
        ("snapshot", Check.SNAPSHOT_EXPIRED),
        ("targets", Check.TARGETS_EXPIRED),
        ("image_root", Check.ROOT_EXPIRED),
        ("image_timestamp", Check.TIMESTAMP_EXPIRED),
        ("image_snapshot", Check.SNAPSHOT_EXPIRED),
        ("image_targets", Check.TARGETS_EXPIRED),
        ("release", Check.TARGETS_EXPIRED),
    ],
)
def test_each_file_that_has_expired_meanwhile_is_refused(name: str, check: Check) -> None:
    bench = verified(CAMERA, **{name: 60})
    recheck(VERIFIER, bench.held, CAMERA)
    at(bench, NOW + 60)
    with pytest.raises(Rejected) as refusal:
        recheck(VERIFIER, bench.held, CAMERA)
    assert refusal.value.check is check


@pytest.mark.parametrize(
    ("role", "check"),
    [(Role.TIMESTAMP, Check.TIMESTAMP_MISSING), (Role.TARGETS, Check.TARGETS_MISSING)],
)
@pytest.mark.parametrize("repository", list(Repository))
def test_what_a_rotation_took_away_is_missed(repository: Repository, role: Role, check: Check) -> None:
    bench = verified(CAMERA)
    repo = bench.pair.repo(repository)
    repo.keys[role] = [key("anew a"), key("anew b")]
    repo.root()
    bench.run(walk_roots(VERIFIER, bench.held, repository, keep_links=False))
    with pytest.raises(Rejected) as refusal:
        recheck(VERIFIER, bench.held, CAMERA)
    assert refusal.value.check is check


def test_a_partial_ecu_needs_no_timestamp_and_no_other_repository() -> None:
    bench = verified(BRAKE)
    assert bench.held.director.timestamp is None
    assert bench.held.image is None
    recheck(VERIFIER, bench.held, BRAKE)
