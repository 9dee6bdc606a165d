"""What a start makes of stored files, and what a rotation of keys takes away."""

from collections.abc import Callable

import pytest

from tests.builders import (
    BRAKE,
    CAMERA,
    DEVELOPMENT,
    PRIMARY,
    RELEASE,
    SUPPLIER,
    VEHICLE,
    VERIFIER,
    Bench,
    Pair,
    Repo,
    key,
    role_files,
)
from uptane.errors import Check, Rejected
from uptane.model.ids import Repository, Role, RoleName, VehicleId
from uptane.model.metadata import Paths
from uptane.verify.chain import walk_roots
from uptane.verify.stored import reload_director, reload_image

ALL = {"root", "timestamp", "snapshot", "targets"}


def updated(ecu: str = PRIMARY) -> Bench:
    bench = Bench(Pair(), PRIMARY if ecu == PRIMARY else BRAKE)
    bench.pair.update()
    bench.verify()
    return bench


def rotate(*roles: Role, away: bool = True) -> Callable[[Repo], None]:
    """New keys for `roles`; the old ones stay beside them unless `away`."""

    def change(repo: Repo) -> None:
        for role in roles:
            new = [key(f"new {role.value} {each}") for each in "ab"]
            repo.keys[role] = [*new, *([] if away else repo.keys[role])]
        repo.root()

    return change


def standing(bench: Bench, repository: Repository) -> set[str]:
    """What is left of a repository's files after its Root has been walked."""
    before = dict(bench.store)
    bench.run(walk_roots(VERIFIER, bench.held, repository, keep_links=False))
    files = {file for file in bench.files(repository) if file != "time"}
    # A power cut right after the new Root was stored comes to the same: a start judges by the same rules.
    again = Bench(bench.pair, bench.ecu)
    again.store = before | {(repository, "root"): bench.store[repository, "root"]}
    _ = again.held
    assert {file for file in again.files(repository) if file != "time"} == files
    return files


@pytest.mark.parametrize(
    ("roles", "gone"),
    [
        ((), set()),
        ((Role.TIMESTAMP,), {"timestamp", "snapshot"}),
        ((Role.SNAPSHOT,), {"timestamp", "snapshot"}),
        ((Role.TIMESTAMP, Role.SNAPSHOT), {"timestamp", "snapshot"}),
        ((Role.TARGETS,), {"targets"}),
        ((Role.TIMESTAMP, Role.TARGETS), {"timestamp", "snapshot", "targets"}),
        ((Role.ROOT,), set()),
        ((Role.TIME,), set()),
    ],
)
def test_a_directors_file_goes_with_the_keys_it_was_signed_by(roles: tuple[Role, ...], gone: set[str]) -> None:
    bench = updated()
    rotate(*roles)(bench.pair.director)
    assert standing(bench, Repository.DIRECTOR) == ALL - gone


def test_delegated_files_go_with_the_top_level_targets_they_were_reached_by() -> None:
    bench = updated()
    assert len(role_files(bench)) == 4
    rotate(Role.TARGETS)(bench.pair.image)
    assert standing(bench, Repository.IMAGE) == ALL - {"targets"}


def test_keys_that_are_only_added_take_nothing_away() -> None:
    bench = updated()
    rotate(Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS, away=False)(bench.pair.director)
    assert standing(bench, Repository.DIRECTOR) == ALL


def test_one_of_three_keys_of_which_two_must_sign_may_leave() -> None:
    bench = updated()
    bench.pair.image.targets(signers=bench.pair.image.keys[Role.TARGETS][:2])
    bench.pair.image.publish()
    bench.store[Repository.IMAGE, "targets"] = bench.pair.image.offered["7.targets"]
    bench.pair.image.keys[Role.TARGETS] = bench.pair.image.keys[Role.TARGETS][:2]
    bench.pair.image.root()
    files = standing(bench, Repository.IMAGE)
    assert {"timestamp", "snapshot", "targets"} <= files
    bench.pair.image.keys[Role.TARGETS] = [bench.pair.image.keys[Role.TARGETS][0], key("new")]
    bench.pair.image.root()
    assert "targets" not in standing(bench, Repository.IMAGE)


def test_a_key_that_leaves_and_comes_back_is_noticed_at_the_link() -> None:
    bench = updated()
    director = bench.pair.director
    old = director.keys[Role.TIMESTAMP]
    rotate(Role.TIMESTAMP)(director)
    director.keys[Role.TIMESTAMP] = old
    director.root()
    bench.run(walk_roots(VERIFIER, bench.held, Repository.DIRECTOR, keep_links=False))
    assert "timestamp" not in bench.files(Repository.DIRECTOR)
    assert "snapshot" not in bench.files(Repository.DIRECTOR)


def test_the_file_acted_on_goes_with_its_keys_as_well() -> None:
    bench = updated(BRAKE)
    del bench.pair.director.entries[BRAKE]
    bench.pair.director.issue()
    bench.verify()
    assert "previous" in bench.files(Repository.DIRECTOR)
    rotate(Role.TARGETS)(bench.pair.director)
    bench.pair.director.issue()
    bench.verify()
    assert set(bench.files(Repository.DIRECTOR)) == {"root", "targets", "time"}


def test_a_rotation_lets_lower_versions_in_again_and_no_others() -> None:
    """Fast-forward recovery: whoever stole the online keys made versions nobody can surpass."""
    bench = updated()
    director = bench.pair.director
    director.targets(version=2**32 - 1)
    director.snapshot(version=2**32 - 1)
    director.timestamp(version=2**32 - 1)
    bench.verify()
    director.versions |= {"targets": 10, "snapshot": 10, "timestamp": 10}
    director.issue()
    with pytest.raises(Rejected, match=Check.TIMESTAMP_VERSION.name):
        bench.verify()
    rotate(Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS)(director)
    director.issue()
    bench.verify()
    held = bench.held.director
    assert held.targets is not None
    assert held.targets.value.header.version == 12


def test_stolen_targets_keys_alone_are_recovered_from_too() -> None:
    """The Snapshot's keys stay, and the version it listed for the stolen Targets binds no more."""
    bench = updated()
    director = bench.pair.director
    director.targets(version=2**32 - 1)
    director.publish()
    bench.verify()
    director.versions["targets"] = 10
    rotate(Role.TARGETS)(director)
    director.issue()
    bench.verify()
    held = bench.held.director
    assert held.targets is not None
    assert held.targets.value.header.version == 11


def test_a_damaged_or_foreign_file_is_dropped_and_named() -> None:
    bench = updated()
    stored = bench.files(Repository.DIRECTOR)
    assert reload_director(VERIFIER, stored, VEHICLE).dropped == ()
    assert reload_director(VERIFIER, stored | {"targets": b"?"}, VEHICLE).dropped == ("targets",)
    assert reload_director(VERIFIER, stored | {"timestamp": b"?"}, VEHICLE).dropped == ("snapshot", "timestamp")
    other = reload_director(VERIFIER, stored, VehicleId("vehicle-2"))
    assert set(other.dropped) == ALL - {"root"}
    assert other.trusted.targets is None
    image = bench.files(Repository.IMAGE)
    assert reload_image(VERIFIER, image).dropped == ()
    swapped = image | {f"role/{DEVELOPMENT}": image[f"role/{RELEASE}"]}
    assert reload_image(VERIFIER, swapped).dropped == (f"role/{DEVELOPMENT}",)
    assert reload_image(VERIFIER, image | {"role/nobody": b"?"}).dropped == ("role/nobody",)


def test_delegated_files_below_others_are_found_again() -> None:
    bench = Bench(Pair(), CAMERA)
    repo = bench.pair.image
    repo.delegate(RoleName("targets"), Paths(("camera/*",)), SUPPLIER, first=True)
    repo.delegate(SUPPLIER, Paths(("camera/*",)), RoleName("below"))
    bench.pair.set_images(2)
    repo.add(bench.pair.director.entries[CAMERA].image, RoleName("below"))
    repo.issue()
    bench.pair.director.issue()
    bench.verify()
    assert role_files(bench) == {"role/brakes", "role/below"}
    reloaded = reload_image(VERIFIER, bench.files(Repository.IMAGE))
    assert reloaded.dropped == ()
    assert set(reloaded.trusted.delegated) == {SUPPLIER, "below"}


def test_without_a_root_there_is_nothing_to_start_from() -> None:
    with pytest.raises(Rejected, match=Check.ROOT_MISSING.name):
        reload_director(VERIFIER, {}, VEHICLE)
    with pytest.raises(Rejected, match=Check.ROOT_MISSING.name):
        reload_image(VERIFIER, {})
