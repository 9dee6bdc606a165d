"""Full verification from end to end: what is fetched, what is kept, where it stops."""

from dataclasses import replace

import pytest

from tests.builders import (
    BODY,
    BRAKE,
    CAMERA,
    DAY,
    DEVELOPMENT,
    ECUS,
    FIRST,
    HARDWARE,
    NOW,
    PRIMARY,
    RELEASE,
    STRANGER,
    SUPPLIER,
    VERIFIER,
    Bench,
    Pair,
    image,
    key,
    role_files,
)
from uptane.errors import Check, Rejected
from uptane.model.ids import Repository, Role
from uptane.moments import UtcTime
from uptane.verify.full import full
from uptane.verify.needs import Drop, Fetch, Keep
from uptane.verify.recheck import recheck

DIRECTOR, IMAGE = Repository.DIRECTOR, Repository.IMAGE


def fetched(bench: Bench, repository: Repository) -> list[str]:
    return [str(each.name) for each in bench.effects if isinstance(each, Fetch) and each.repository is repository]


def kept(bench: Bench) -> list[tuple[str, str]]:
    return [
        (each.repository.value, each.file)
        for each in bench.effects
        if isinstance(each, Keep | Drop) and each.file != "time"
    ]


def test_an_update_is_matched_for_every_ecu_and_kept_with_the_directors_targets_last() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.update()
    outcome = bench.full()
    assert {ecu: match.roles for ecu, match in outcome.matches.items()} == {
        BODY: (bench.pair.bin_of(bench.pair.director.entries[BODY].image),),
        BRAKE: (SUPPLIER,),
        CAMERA: (DEVELOPMENT, RELEASE),
        PRIMARY: (),
    }
    assert outcome.changed
    assert not outcome.nothing_new
    assert outcome.bundle == bench.pair.bundle()
    assert kept(bench)[-1] == ("director", "targets")
    assert outcome.held.clock.attested
    assert replace(bench.held, clock=outcome.held.clock).director.targets == outcome.held.director.targets
    assert len(role_files(bench)) == 4


def test_every_image_is_matched_even_those_that_run() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.offer(BRAKE, image("brakes/new", 2, HARDWARE[BRAKE]), SUPPLIER)
    bench.pair.image.issue()
    bench.pair.director.issue()
    assert set(bench.full().matches) == set(ECUS)


def test_a_full_secondary_matches_its_own_image_and_reads_no_other_role() -> None:
    bench = Bench(Pair(), CAMERA)
    bench.pair.update()
    assert set(bench.full().matches) == {CAMERA}
    assert role_files(bench) == {"role/dev", "role/release"}


def test_without_news_one_timestamp_is_fetched_and_nothing_kept() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.update()
    bench.full()
    bench.install()
    outcome = bench.full()
    assert fetched(bench, DIRECTOR) == ["2.root", "timestamp"]
    assert fetched(bench, IMAGE) == []
    assert kept(bench) == []
    assert not outcome.changed
    assert outcome.nothing_new


def test_a_new_timestamp_of_the_same_snapshot_is_kept_as_the_new_floor() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.director.timestamp()
    bench.full()
    assert kept(bench) == [("director", "timestamp")]
    bench.pair.director.timestamp(version=FIRST)
    with pytest.raises(Rejected, match=Check.TIMESTAMP_VERSION.name):
        bench.full()


def test_news_that_runs_already_are_kept_without_asking_the_image_repository() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.director.issue()
    outcome = bench.full()
    assert outcome.changed
    assert outcome.nothing_new
    assert fetched(bench, IMAGE) == []
    assert kept(bench)[-1] == ("director", "targets")


def test_an_order_to_refresh_the_image_root_walks_it_once() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.image.root()
    bench.pair.director.issue(refresh=True)
    held = bench.full().held
    assert held.image is not None
    assert held.image.root.value.header.version == 2
    assert fetched(bench, IMAGE) == ["2.root", "3.root"]
    bench.full()
    assert fetched(bench, IMAGE) == []


def test_an_image_root_that_has_expired_is_refused_when_its_refresh_is_ordered() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.image.root(expires=NOW)
    bench.pair.director.issue(refresh=True)
    with pytest.raises(Rejected, match=Check.ROOT_EXPIRED.name):
        bench.full()


def test_an_unfinished_update_is_matched_again_from_what_is_held() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.update()
    first = bench.full()
    again = bench.full()
    assert again.matches == first.matches
    assert not again.changed
    assert fetched(bench, IMAGE) == []


def test_an_ecu_that_no_longer_runs_what_was_held_needs_it_matched_first() -> None:
    """All ran, so nothing was matched; then a workshop put something else on one ECU."""
    bench = Bench(Pair(), PRIMARY)
    assert bench.full().nothing_new
    del bench.installed[BRAKE]
    assert bench.full().matches[BRAKE].roles == (SUPPLIER,)
    assert f"{FIRST}.{SUPPLIER}" in fetched(bench, IMAGE)
    assert bench.full().matches[BRAKE].roles == (SUPPLIER,)
    assert fetched(bench, IMAGE) == []


@pytest.mark.parametrize("expired", ["timestamp", "targets", RELEASE])
def test_an_unfinished_update_asks_the_image_repository_when_what_is_held_has_expired(expired: str) -> None:
    """The Director says nothing new; what the Image repository said must still be fresh to be relied on."""
    bench = Bench(Pair(), PRIMARY)
    pair = bench.pair
    pair.director.lasting = 30 * DAY
    pair.update()
    if expired != "timestamp":
        pair.image.targets(expired, expires=NOW + 60)
    pair.image.snapshot()
    pair.image.timestamp(expires=NOW + (60 if expired == "timestamp" else DAY))
    first = bench.full()
    pair.now = UtcTime(NOW + 59)
    bench.full()
    assert fetched(bench, IMAGE) == []
    pair.now = UtcTime(NOW + 60)
    with pytest.raises(Rejected, match="EXPIRED"):
        bench.full()
    assert fetched(bench, IMAGE) != []
    pair.image.issue()
    assert bench.full().matches == first.matches


@pytest.mark.parametrize("file", ["snapshot", "targets"])
def test_a_frozen_director_is_noticed_though_nothing_changed(file: str) -> None:
    """Whoever holds back news can still send a fresh Timestamp; what it names has to be fresh as well."""
    bench = Bench(Pair(), PRIMARY)
    director = bench.pair.director
    lasting = {"targets": DAY, "snapshot": DAY, file: 60}
    director.targets(expires=NOW + lasting["targets"])
    director.snapshot(expires=NOW + lasting["snapshot"])
    director.timestamp()
    bench.full()
    bench.pair.now = UtcTime(NOW + 60)
    with pytest.raises(Rejected, match=f"{file.upper()}_EXPIRED"):
        bench.full()


@pytest.mark.parametrize("file", ["timestamp", "snapshot", "targets"])
def test_a_frozen_image_repository_is_noticed_though_nothing_changed(file: str) -> None:
    bench = Bench(Pair(), PRIMARY)
    pair = bench.pair
    pair.set_images(2)
    pair.image.issue()
    lasting = {"targets": DAY, "snapshot": DAY, "timestamp": DAY, file: 60}
    pair.image.targets(expires=NOW + lasting["targets"])
    pair.image.snapshot(expires=NOW + lasting["snapshot"])
    pair.image.timestamp(expires=NOW + lasting["timestamp"])
    pair.director.issue()
    bench.full()
    pair.now = UtcTime(NOW + 60)
    pair.director.issue()
    with pytest.raises(Rejected, match=f"{file.upper()}_EXPIRED"):
        bench.full()


def test_the_snapshot_alone_is_not_enough_to_stop_early() -> None:
    """Power failed after the new Snapshot was kept and before the Targets were."""
    bench = Bench(Pair(), PRIMARY)
    bench.pair.update()
    old = bench.store[DIRECTOR, "targets"]
    bench.full()
    bench.store[DIRECTOR, "targets"] = old
    outcome = bench.full()
    assert fetched(bench, DIRECTOR) == ["2.root", "timestamp", f"{FIRST + 1}.targets"]
    assert outcome.changed
    assert not outcome.nothing_new


def test_without_a_time_metadata_are_verified_at_the_last_one_and_nothing_is_attested() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.update()
    outcome = bench.run(full(VERIFIER, bench.held, bench.vehicle))
    assert outcome.matches
    assert not outcome.held.clock.attested
    assert "time" not in bench.files(DIRECTOR)


def test_signatures_may_be_added_to_a_file_without_a_new_version() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.update()
    bench.full()
    director = bench.pair.director
    director.targets(version=FIRST + 1, signers=[*director.keys[Role.TARGETS], STRANGER])
    director.publish()
    outcome = bench.full()
    assert not outcome.changed
    assert kept(bench) == [("director", "timestamp"), ("director", "snapshot"), ("director", "targets")]


def test_an_update_that_is_given_up_may_go_back_to_what_runs() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.update(counter=3)
    bench.full()
    bench.pair.update(counter=1)
    outcome = bench.full()
    assert outcome.changed
    assert outcome.nothing_new
    bench.pair.update(counter=2)
    assert bench.full().matches


def test_an_update_may_be_given_up_for_one_ecu_while_another_goes_on() -> None:
    bench = Bench(Pair(), PRIMARY)
    factory = bench.pair.director.entries[BRAKE].image
    bench.pair.update(counter=3)
    bench.full()
    bench.pair.offer(BRAKE, factory, SUPPLIER)
    bench.pair.director.issue()
    assert bench.full().matches[BRAKE].assignment.image == factory


def test_both_repositories_may_rotate_all_their_keys_at_once() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.update()
    bench.full()
    for repo in (bench.pair.director, bench.pair.image):
        for role in repo.keys:
            repo.keys[role] = [key(f"{repo.repository} new {role.value} {each}") for each in "ab"]
        repo.root()
    new_time = bench.pair.director.keys[Role.TIME]
    bench.pair.update(counter=3)
    outcome = bench.full(attestation=bench.pair.attestation(signers=new_time))
    assert set(outcome.matches) == set(ECUS)
    assert ("director", "targets") in kept(bench)


def test_an_ecu_without_an_entry_keeps_the_file_it_acted_on_until_it_has_one_again() -> None:
    bench = Bench(Pair(), CAMERA)
    entry = bench.pair.director.entries.pop(CAMERA)
    bench.pair.director.issue()
    before = bench.store[DIRECTOR, "targets"]
    outcome = bench.full()
    assert outcome.nothing_new
    assert bench.store[DIRECTOR, "previous"] == before
    assert recheck(VERIFIER, bench.held, CAMERA).image is None
    bench.pair.director.issue()
    bench.full()
    assert bench.store[DIRECTOR, "previous"] == before
    bench.pair.director.entries[CAMERA] = entry
    bench.pair.director.issue()
    bench.full()
    assert "previous" not in bench.files(DIRECTOR)


def test_roles_that_are_no_longer_read_are_dropped() -> None:
    bench = Bench(Pair(), CAMERA)
    bench.pair.update()
    bench.full()
    bench.pair.offer(CAMERA, image("lens/app", 3, HARDWARE[CAMERA]), "targets")
    bench.pair.image.issue()
    bench.pair.director.issue()
    bench.full()
    assert role_files(bench) == set()


def test_unchanged_delegated_files_are_not_fetched_again() -> None:
    bench = Bench(Pair(), CAMERA)
    bench.pair.update()
    bench.full()
    bench.pair.offer(CAMERA, image("camera/app-3", 3, HARDWARE[CAMERA]), DEVELOPMENT)
    bench.pair.image.add(bench.pair.director.entries[CAMERA].image, RELEASE)
    bench.pair.image.targets(DEVELOPMENT)
    bench.pair.image.targets(RELEASE)
    bench.pair.image.publish()
    bench.pair.director.issue()
    bench.full()
    assert ("image", "targets") not in kept(bench)
    names = fetched(bench, IMAGE)
    assert [each for each in names if each.endswith("targets")] == []
    assert len([each for each in names if each.endswith(("dev", "release"))]) == 2


def test_roles_that_have_not_changed_are_not_kept_again() -> None:
    bench = Bench(Pair(), PRIMARY)
    bench.pair.update()
    bench.full()
    bench.pair.offer(BRAKE, image("brakes/app-3", 3, HARDWARE[BRAKE]), SUPPLIER)
    bench.pair.image.targets(SUPPLIER)
    bench.pair.image.publish()
    bench.pair.director.issue()
    bench.full()
    assert [file for where, file in kept(bench) if where == "image"] == ["timestamp", "snapshot", "role/brakes"]


def test_a_role_with_new_keys_may_begin_its_versions_anew_once_the_snapshots_floor_is_gone() -> None:
    """A delegate's stolen key: the delegator names a new one, and Timestamp and Snapshot keys are rotated."""
    bench = Bench(Pair(), CAMERA)
    bench.pair.update()
    image_repo = bench.pair.image
    image_repo.targets(RELEASE, version=2**32 - 1)
    image_repo.publish()
    bench.full()
    image_repo.versions[RELEASE] = 20
    image_repo.role_keys[RELEASE] = [key("release anew")]
    for role in (Role.TIMESTAMP, Role.SNAPSHOT):
        image_repo.keys[role] = [key(f"anew {role.value}")]
    image_repo.root()
    bench.pair.update(counter=3)
    assert bench.full().matches[CAMERA].roles == (DEVELOPMENT, RELEASE)
