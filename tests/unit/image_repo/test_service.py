"""The repository's judgement: good submissions become publications, bad ones fall to the check meant for them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from image_repo.ceremony import Holders, rotated
from image_repo.publish import ClockBehind, Conflict, Occasion, Terms, renewed, with_images
from image_repo.service import FILES_MAX, next_renewal, renew
from image_repo.standing import standing_of
from tests.unit.image_repo.desk import CODEC, HARDWARE, UTC, Desk, key, public, signed
from uptane.errors import Check, Malformed, Rejected
from uptane.model.ids import HardwareId, Role, RoleName
from uptane.model.metadata import Bins, DelegatedRole, Delegation, Image, ImageTargets, Paths, Root
from uptane.model.signed import Verified
from uptane.moments import UtcTime


@pytest.fixture
def desk() -> Desk:
    return Desk()


def names(publication: Any) -> list[str]:
    return [file.name for file in publication.files]


# ------------------------------------------------------------------------------------------------ what is good


def test_an_image_is_published(desk: Desk) -> None:
    image = desk.image("brake/1.bin")
    publication = desk.at(60).submit(desk.with_images(image))
    assert names(publication) == ["2.targets", "2.snapshot", "timestamp"]
    assert [(vouched.role, vouched.image) for vouched in publication.images] == [("targets", image)]
    assert desk.standing.targets.value.entries.find("brake/1.bin") == image
    assert desk.standing.snapshot.value.files.find("targets").info.version == 2  # type: ignore[union-attr]


def test_what_is_published_is_what_stands_after_a_restart(desk: Desk) -> None:
    desk.submit(desk.with_images(desk.image("a.bin")))
    desk.submit(desk.delegating("acme"))
    desk.submit(desk.with_images(desk.image("acme/a.bin", b"2"), role="acme"))
    standing = desk.standing
    files: dict[str, Verified[Any]] = {"root": standing.root, "timestamp": standing.timestamp}
    files |= {"snapshot": standing.snapshot, "targets": standing.targets}
    files |= {str(role): file for role, file in standing.delegated.items()}
    assert standing_of(desk.verifier, {role: file.octets for role, file in files.items()}) == standing


def test_a_delegate_publishes_its_own(desk: Desk) -> None:
    assert names(desk.submit(desk.delegating("acme"))) == ["1.acme", "2.targets", "2.snapshot", "timestamp"]
    publication = desk.submit(desk.with_images(desk.image("acme/1.bin"), role="acme"))
    assert names(publication) == ["2.acme", "3.snapshot", "timestamp"]
    assert publication.images[0].role == "acme"


def test_delegate_and_image_in_one_publication(desk: Desk) -> None:
    submitted = desk.delegating("acme")
    submitted |= desk.with_images(desk.image("acme/1.bin"), role="acme")
    assert len(desk.submit(submitted).images) == 1


def test_removing_a_delegation_leaves_its_file_in_the_snapshot(desk: Desk) -> None:
    desk.submit(desk.delegating("acme"))
    bare = replace(renewed(desk.newest(), desk.occasion), delegations=None)
    desk.submit({"targets": signed(bare, "targets")})
    assert desk.standing.delegated == {}
    assert desk.standing.snapshot.value.files.find("acme") is not None


def test_a_delegation_that_comes_back_counts_versions_on(desk: Desk) -> None:
    desk.submit(desk.delegating("acme"))
    bare = replace(renewed(desk.newest(), desk.occasion), delegations=None)
    desk.submit({"targets": signed(bare, "targets")})
    again = desk.delegating("acme")
    with pytest.raises(Conflict, match="acme is at version 1"):
        desk.submit(again)
    first = desk.newest("acme")
    again["acme"] = signed(replace(first, header=replace(first.header, version=2)), "acme")
    assert "2.acme" in names(desk.submit(again))


def test_several_roles_must_agree_and_the_first_may_wait(desk: Desk) -> None:
    desk.submit(desk.delegating("acme", "qa", min_agree=2))
    image = desk.image("acme/1.bin")
    for role in ("acme", "qa"):
        assert desk.submit(desk.with_images(image, role=role)).images[0].role == role
    other = desk.image("acme/1.bin", b"other", counter=2)
    desk.submit(desk.with_images(other, role="qa"))
    desk.submit(desk.with_images(other, role="acme"))


def test_hash_bins(desk: Desk) -> None:
    roles = (DelegatedRole(RoleName("bin"), (key("bin").key_id,), 1),)
    match = Delegation((), terminating=False, match=Bins(1), roles=roles, min_agree=1)
    submitted = desk.delegating("bin", paths=("x",))
    del submitted["bin"]
    targets = desk.newest()
    delegations = CODEC.parse(CODEC.open(submitted["targets"], 10_000).payload).delegations  # type: ignore[union-attr]
    assert delegations is not None
    targets = replace(renewed(targets, desk.occasion), delegations=replace(delegations, delegations=(match,)))
    submitted = {"targets": signed(targets, "targets")}
    submitted |= {name: signed(desk.newest(name), "bin") for name in ("bin-0", "bin-1")}
    desk.submit(submitted)
    image = desk.image("some/name.bin")
    own = f"bin-{sha256(b'some/name.bin').digest()[0] >> 7}"
    other = "bin-1" if own == "bin-0" else "bin-0"
    with pytest.raises(Rejected) as refused:
        desk.submit(desk.with_images(image, role=other, signer="bin"))
    assert refused.value.check is Check.PUBLISH_UNREACHED
    desk.submit(desk.with_images(image, role=own, signer="bin"))


def test_root_rotates_timestamp_key(desk: Desk) -> None:
    root = rotated(desk.standing.root.value, Role.TIMESTAMP, Holders((public("new"),), 1), desk.occasion)
    desk.memory.online.append(key("new"))
    publication = desk.submit({"root": signed(root, "root")})
    assert names(publication) == ["2.root", "2.snapshot", "timestamp"]


def test_root_rotates_its_own_key(desk: Desk) -> None:
    root = rotated(desk.standing.root.value, Role.ROOT, Holders((public("new"),), 1), desk.occasion)
    assert names(desk.submit({"root": signed(root, "root", "new")}))[0] == "2.root"


def test_root_rotates_targets_key_together_with_targets(desk: Desk) -> None:
    root = rotated(desk.standing.root.value, Role.TARGETS, Holders((public("new"),), 1), desk.occasion)
    again = signed(renewed(desk.newest(), desk.occasion), "new")
    assert names(desk.submit({"targets": again, "root": signed(root, "root")}))[:2] == ["2.root", "2.targets"]


# ------------------------------------------------------------------------------------------------- what is bad


def _image(change: Callable[[Desk], Image]) -> Callable[[Desk], Mapping[str, bytes]]:
    return lambda desk: desk.with_images(change(desk))


def _targets(desk: Desk) -> ImageTargets:
    return with_images(desk.newest(), [desk.image("a.bin")], CODEC, desk.occasion)


def _header(desk: Desk, **change: Any) -> Mapping[str, bytes]:
    targets = _targets(desk)
    return {"targets": signed(replace(targets, header=replace(targets.header, **change)), "targets")}


def _odd_length(desk: Desk) -> Image:
    return CODEC.image(replace(desk.image("a.bin"), length=6))


def _odd_sha512(desk: Desk) -> Image:
    return CODEC.image(replace(desk.image("a.bin"), sha512=bytes(64)))


def _rotated(desk: Desk, role: Role) -> Root:
    return rotated(desk.standing.root.value, role, Holders((public("new"),), 1), desk.occasion)


BAD: dict[str, tuple[Callable[[Desk], Mapping[str, bytes]], Check]] = {
    "nothing": (lambda desk: {}, Check.PUBLISH_EMPTY),
    "a snapshot": (lambda desk: {"snapshot": b"x"}, Check.PUBLISH_EMPTY),
    "a timestamp": (lambda desk: {"timestamp": b"x", **_header(desk)}, Check.PUBLISH_EMPTY),
    "too many": (lambda desk: {f"r{n}": b"x" for n in range(FILES_MAX + 1)}, Check.PUBLISH_EMPTY),
    "signed by another key": (lambda desk: desk.with_images(signer="acme"), Check.TARGETS_SIGNATURES),
    "signed by an online key": (lambda desk: desk.with_images(signer="snapshot"), Check.TARGETS_SIGNATURES),
    "another kind": (lambda desk: {"targets": signed(desk.standing.root.value, "targets")}, Check.KIND),
    "another speaker": (lambda desk: {"targets": signed(desk.newest("acme"), "targets")}, Check.SPEAKER),
    "a newer level": (lambda desk: _header(desk, level=2), Check.LEVEL),
    "expired": (lambda desk: _header(desk, expires=UTC), Check.TARGETS_EXPIRED),
    "from the future": (lambda desk: _header(desk, issued=UtcTime(UTC + 301)), Check.PUBLISH_ISSUED),
    "not uploaded": (_image(lambda desk: desk.image("a.bin", held=False)), Check.PUBLISH_OCTETS),
    "another length": (_image(_odd_length), Check.PUBLISH_OCTETS),
    "another SHA-512": (_image(_odd_sha512), Check.PUBLISH_OCTETS),
    "a doubled slash": (_image(lambda desk: desk.image("a//b")), Check.PUBLISH_FILENAME),
    "a dot for a folder": (_image(lambda desk: desk.image("./b")), Check.PUBLISH_FILENAME),
    "a folder": (_image(lambda desk: desk.image("b/")), Check.PUBLISH_FILENAME),
    "a role nobody delegates to": (lambda desk: desk.with_images(role="acme"), Check.PUBLISH_UNREACHED),
    "a delegation without a file": (
        lambda desk: {"targets": desk.delegating("acme")["targets"]},
        Check.DELEGATION_INVALID,
    ),
    "a delegation's file by another key": (
        lambda desk: {**desk.delegating("acme"), **desk.with_images(role="acme", signer="qa")},
        Check.TARGETS_SIGNATURES,
    ),
    "a delegated role whose file has no name": (lambda desk: desk.delegating("acme/qa"), Check.DELEGATION_INVALID),
    "a delegated role with an online role's name": (
        lambda desk: desk.delegating("offlineSnapshot"),
        Check.DELEGATION_INVALID,
    ),
    "one role twice in a delegation": (
        lambda desk: desk.delegating("acme", "acme", min_agree=2),
        Check.DELEGATION_KEYS,
    ),
    "a root by its new key alone": (
        lambda desk: {"root": signed(_rotated(desk, Role.ROOT), "new")},
        Check.ROOT_SIGNATURES,
    ),
    "a root by its old key alone": (
        lambda desk: {"root": signed(_rotated(desk, Role.ROOT), "root")},
        Check.ROOT_OWN_SIGNATURES,
    ),
    "a root that changes the Targets key alone": (
        lambda desk: {"root": signed(_rotated(desk, Role.TARGETS), "root")},
        Check.TARGETS_SIGNATURES,
    ),
    "a root whose online key is not here": (
        lambda desk: {"root": signed(_rotated(desk, Role.SNAPSHOT), "root")},
        Check.PUBLISH_KEYS,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_submissions_are_refused_by_the_check_meant_for_them(desk: Desk, name: str) -> None:
    make, check = BAD[name]
    before = desk.standing
    with pytest.raises(Rejected) as refused:
        desk.submit(make(desk))
    assert refused.value.check is check, refused.value
    assert desk.standing is before


def test_rubbish_is_malformed(desk: Desk) -> None:
    for octets in (b"x", b"", signed(desk.newest(), "targets") + b"\0"):
        with pytest.raises(Malformed):
            desk.submit({"targets": octets})


def test_a_name_out_of_the_alphabet_cannot_even_be_signed(desk: Desk) -> None:
    for filename in ("../etc/passwd", "/etc/passwd", "a\\b", "", "x" * 129, "a\0b", "ä"):
        with pytest.raises(Malformed):
            desk.image(filename)


@pytest.mark.parametrize("versions", [0, 2])
def test_another_version_than_the_next_is_a_conflict(desk: Desk, versions: int) -> None:
    version = desk.standing.targets.value.header.version + versions
    with pytest.raises(Conflict, match="targets is at version 1 by now"):
        desk.submit(_header(desk, version=version))


def test_two_publishers_from_one_start(desk: Desk) -> None:
    first, second = desk.with_images(desk.image("a.bin")), desk.with_images(desk.image("b.bin", b"2"))
    desk.submit(first)
    with pytest.raises(Conflict):
        desk.submit(second)
    desk.submit(desk.with_images(desk.image("b.bin", b"2")))
    assert len(desk.newest().entries) == 2


def test_two_roots_from_one_start(desk: Desk) -> None:
    other = signed(_rotated(desk, Role.TIMESTAMP), "root")
    desk.memory.online.append(key("new"))
    desk.submit({"root": other})
    with pytest.raises(Conflict, match="root is at version 2"):
        desk.submit({"root": other})


# ------------------------------------------------------------------------------------- who may sign what for what


def test_a_role_keeps_to_its_paths(desk: Desk) -> None:
    desk.submit(desk.delegating("acme"))
    for filename in ("other/a.bin", "acme/deep/a.bin", "acme"):
        with pytest.raises(Rejected) as refused:
            desk.submit(desk.with_images(desk.image(filename), role="acme"))
        assert refused.value.check is Check.PUBLISH_UNREACHED


def test_a_role_keeps_to_its_hardware(desk: Desk) -> None:
    desk.submit(desk.delegating("acme", hardware=(HardwareId("hw-2"),)))
    image = desk.image("acme/a.bin")
    both = CODEC.image(replace(image, hardware=(HardwareId("hw-2"), HARDWARE)))
    for wrong in (image, both):
        with pytest.raises(Rejected) as refused:
            desk.submit(desk.with_images(wrong, role="acme"))
        assert refused.value.check is Check.PUBLISH_UNREACHED
    desk.submit(desk.with_images(CODEC.image(replace(image, hardware=(HardwareId("hw-2"),))), role="acme"))


def test_a_role_behind_another_that_has_the_name_is_told(desk: Desk) -> None:
    desk.submit(desk.with_images(desk.image("acme/a.bin")))
    desk.submit(desk.delegating("acme"))
    with pytest.raises(Rejected, match=r"another acme/a\.bin") as refused:
        desk.submit(desk.with_images(desk.image("acme/a.bin", b"2", counter=2), role="acme"))
    assert refused.value.check is Check.PUBLISH_UNREACHED


def test_a_terminating_delegation_shuts_out_later_ones(desk: Desk) -> None:
    desk.submit(desk.delegating("acme", terminating=True))
    desk.submit(desk.delegating("late", paths=("acme/*",)))
    with pytest.raises(Rejected) as refused:
        desk.submit(desk.with_images(desk.image("acme/a.bin"), role="late"))
    assert refused.value.check is Check.PUBLISH_UNREACHED


def test_others_disagreement_is_no_way_in(desk: Desk) -> None:
    desk.submit(desk.delegating("acme", "qa", min_agree=2))
    desk.submit(desk.delegating("stranger", paths=("stranger/*",)))
    desk.submit(desk.with_images(desk.image("acme/a.bin"), role="acme"))
    with pytest.raises(Rejected) as refused:
        desk.submit(desk.with_images(desk.image("acme/a.bin", b"2", counter=2), role="stranger"))
    assert refused.value.check is Check.PUBLISH_UNREACHED


def test_a_cycle_is_refused(desk: Desk) -> None:
    desk.submit(desk.delegating("acme"))
    back = Delegation((), False, Paths(("*",)), (DelegatedRole(RoleName("acme"), (key("acme").key_id,), 1),), 1)
    acme = renewed(desk.newest("acme"), desk.occasion)
    delegations = desk.newest().delegations
    assert delegations is not None
    looped = replace(acme, delegations=replace(delegations, delegations=(back,)))
    with pytest.raises(Rejected) as refused:
        desk.submit({"acme": signed(looped, "acme")})
    assert refused.value.check is Check.DELEGATION_CYCLE


def test_taking_a_suppliers_key_away_needs_a_file_by_the_new_one(desk: Desk) -> None:
    desk.submit(desk.delegating("acme"))
    delegations = desk.newest().delegations
    assert delegations is not None
    role = DelegatedRole(RoleName("acme"), (key("new").key_id,), 1)
    changed = replace(
        delegations, keys=(public("new"),), delegations=(replace(delegations.delegations[0], roles=(role,)),)
    )
    targets = signed(replace(renewed(desk.newest(), desk.occasion), delegations=changed), "targets")
    with pytest.raises(Rejected, match="gets other keys") as refused:
        desk.submit({"targets": targets})
    assert refused.value.check is Check.TARGETS_SIGNATURES
    desk.submit({"targets": targets, "acme": signed(renewed(desk.newest("acme"), desk.occasion), "new")})


# ------------------------------------------------------------------------------------------------------ counters


@pytest.mark.parametrize(
    ("image", "advice"),
    [
        (("a.bin", b"other", 5), "give --counter 6"),
        (("a.bin", b"other", 4), "give --counter 5"),
        (("a.bin", b"image", 4), "give --counter 5"),
        (("b.bin", b"other", 4), "give --counter 5"),
    ],
    ids=["same counter, other content", "lower, other content", "lower, same content", "lower for the hardware"],
)
def test_counters_do_not_go_back(desk: Desk, image: tuple[str, bytes, int], advice: str) -> None:
    filename, content, counter = image
    desk.submit(desk.with_images(desk.image("a.bin", counter=5)))
    before = desk.standing
    with pytest.raises(Rejected, match=advice) as refused:
        desk.submit(desk.with_images(desk.image(filename, content, counter=counter)))
    assert refused.value.check is Check.PUBLISH_COUNTER
    assert desk.standing is before


@pytest.mark.parametrize("image", [("a.bin", b"o", 6), ("a.bin", b"image", 5), ("b", b"o", 5)])
def test_counters_that_follow_are_taken(desk: Desk, image: tuple[str, bytes, int]) -> None:
    filename, content, counter = image
    desk.submit(desk.with_images(desk.image("a.bin", counter=5)))
    desk.submit(desk.with_images(desk.image(filename, content, counter=counter)))


def test_a_name_keeps_its_counter_whatever_the_hardware(desk: Desk) -> None:
    desk.submit(desk.with_images(desk.image("a.bin", counter=5)))
    other = replace(desk.image("a.bin", counter=4), hardware=(HardwareId("hw-9"),))
    with pytest.raises(Rejected, match="give --counter 5") as refused:
        desk.submit(desk.with_images(CODEC.image(other)))
    assert refused.value.check is Check.PUBLISH_COUNTER


def test_taking_an_image_back_does_not_free_its_counter(desk: Desk) -> None:
    desk.submit(desk.with_images(desk.image("a.bin", counter=5)))
    empty = replace(renewed(desk.newest(), desk.occasion), entries=CODEC.images(()))
    desk.submit({"targets": signed(empty, "targets")})
    with pytest.raises(Rejected) as refused:
        desk.submit(desk.with_images(desk.image("a.bin", b"old", counter=4)))
    assert refused.value.check is Check.PUBLISH_COUNTER


def test_one_suppliers_counter_is_not_anothers_floor(desk: Desk) -> None:
    desk.submit(desk.delegating("acme"))
    desk.submit(desk.with_images(desk.image("acme/a.bin", counter=2**32 - 1), role="acme"))
    desk.submit(desk.with_images(desk.image("b.bin", b"2", counter=1)))


# ------------------------------------------------------------------------------------------------------- renewal


def test_nothing_is_renewed_before_half_of_its_time(desk: Desk) -> None:
    due = next_renewal(desk.standing) - UTC
    assert due == Terms().timestamp_s // 2
    assert renew(desk.bench, desk.standing, Occasion(UtcTime(UTC + due - 1), Terms())) is None


def test_timestamp_alone_then_snapshot_too(desk: Desk) -> None:
    desk.at(Terms().timestamp_s // 2)
    renewed_once = renew(desk.bench, desk.standing, desk.occasion)
    assert renewed_once is not None
    assert names(renewed_once[0]) == ["timestamp"]
    assert renewed_once[1].timestamp.value.header.version == 2
    assert renewed_once[1].snapshot is not None
    desk.at(Terms().snapshot_s // 2)
    renewed_both = renew(desk.bench, renewed_once[1], desk.occasion)
    assert renewed_both is not None
    assert names(renewed_both[0]) == ["2.snapshot", "timestamp"]
    assert renewed_both[1].targets is desk.standing.targets


def test_after_a_long_sleep_an_expired_repository_is_renewed(desk: Desk) -> None:
    desk.at(Terms().snapshot_s * 3)
    judged = renew(desk.bench, desk.standing, desk.occasion)
    assert judged is not None
    assert judged[1].timestamp.value.header.expires > desk.occasion.utc


def test_a_clock_that_went_back_signs_nothing(desk: Desk) -> None:
    desk.submit(desk.with_images(desk.image("a.bin")))
    submitted = desk.with_images(desk.image("b.bin"))
    desk.at(-3_600)
    with pytest.raises(ClockBehind):
        desk.submit(submitted)


def test_what_a_clock_that_was_ahead_signed_is_given_up_with_its_key(desk: Desk) -> None:
    desk.at(90 * 86_400)
    ahead = renew(desk.bench, desk.standing, desk.occasion)
    assert ahead is not None
    desk.standing = ahead[1]
    desk.at(-90 * 86_400)
    for submitted in (
        desk.with_images(desk.image("a.bin")),
        {
            "root": signed(
                rotated(desk.standing.root.value, Role.SNAPSHOT, Holders((public("new"),), 1), desk.occasion), "root"
            )
        },
    ):
        with pytest.raises(ClockBehind):
            desk.submit(submitted)
    both = Holders((public("timestamp"), public("new")), 1)
    with pytest.raises(ClockBehind):  # who still has the old key would still be believed
        desk.submit({"root": signed(rotated(desk.standing.root.value, Role.TIMESTAMP, both, desk.occasion), "root")})
    desk.memory.online.append(key("new"))
    desk.submit({"root": signed(_rotated(desk, Role.TIMESTAMP), "root")})
    for file in (desk.standing.timestamp.value, desk.standing.snapshot.value):
        assert (file.header.version, file.header.issued) == (3, UTC)
    desk.submit(desk.with_images(desk.image("a.bin")))


def test_a_repository_whose_clock_was_ahead_says_so_when_it_looks_at_what_is_due(desk: Desk) -> None:
    desk.at(90 * 86_400)
    ahead = renew(desk.bench, desk.standing, desk.occasion)
    assert ahead is not None
    desk.at(-90 * 86_400)
    with pytest.raises(ClockBehind, match="rotate timestamp"):
        renew(desk.bench, ahead[1], desk.occasion)


def test_renewal_without_the_key_is_refused(desk: Desk) -> None:
    desk.memory.online.clear()
    desk.at(Terms().timestamp_s)
    with pytest.raises(Rejected) as refused:
        renew(desk.bench, desk.standing, desk.occasion)
    assert refused.value.check is Check.PUBLISH_KEYS
