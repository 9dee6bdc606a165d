"""The next files as values: versions, validity, delegations in order of priority, Roots and their signatures."""

import pytest

from image_repo.ceremony import Holders, holders_of, progress, rotated
from image_repo.delegate import pattern, role_name, roles_of, with_delegation, without_role
from image_repo.publish import (
    ClockBehind,
    File,
    Occasion,
    Terms,
    next_snapshot,
    next_timestamp,
    renewal_at,
    stamped,
    with_images,
    without_images,
)
from tests.unit.image_repo.desk import CODEC, UTC, Desk, key, public, signed
from uptane.errors import Malformed
from uptane.model.ids import HardwareId, Role, RoleName
from uptane.model.metadata import DelegatedRole, Delegation, FileInfo, ImageRepository, ImageTargets, Paths
from uptane.moments import UtcTime
from uptane.verify.signing import countersign


@pytest.fixture
def desk() -> Desk:
    return Desk()


def delegation(*names: str, path: str = "acme/*", min_agree: int = 1) -> Delegation:
    roles = tuple(DelegatedRole(RoleName(name), (key(name).key_id,), 1) for name in names)
    return Delegation((HardwareId("hw-1"),), terminating=False, match=Paths((path,)), roles=roles, min_agree=min_agree)


def order(targets: ImageTargets) -> list[tuple[str, ...]]:
    return [] if targets.delegations is None else [roles_of(each) for each in targets.delegations.delegations]


def test_names_are_consistent() -> None:
    assert [File(role, 12, b"").name for role in ("root", "targets", "acme")] == ["12.root", "12.targets", "12.acme"]
    assert File("timestamp", 12, b"").name == "timestamp"


def test_every_change_is_the_next_version_and_valid_anew(desk: Desk) -> None:
    desk.at(100)
    targets = with_images(desk.newest(), [desk.image("a.bin")], CODEC, desk.occasion)
    assert (targets.header.version, targets.header.issued) == (2, UTC + 100)
    assert targets.header.expires == UTC + 100 + Terms().targets_s
    assert without_images(targets, ["a.bin"], CODEC, desk.occasion).header.version == 3
    assert renewal_at(targets.header) == UTC + 100 + Terms().targets_s // 2


def test_images_stand_in_order_and_replace_their_namesakes(desk: Desk) -> None:
    targets = desk.newest()
    for filename, content in (("b", b"1"), ("a", b"2"), ("b", b"3")):
        targets = with_images(targets, [desk.image(filename, content)], CODEC, desk.occasion)
    assert [image.filename for image in targets.entries] == ["a", "b"]
    assert targets.entries.find("b") == desk.image("b", b"3")


def test_a_snapshot_loses_nothing(desk: Desk) -> None:
    first = next_snapshot(None, {RoleName("b"): FileInfo(1, 2, bytes(32))}, CODEC, desk.occasion)
    second = next_snapshot(first, {RoleName("a"): FileInfo(4, 2, bytes(32))}, CODEC, desk.occasion)
    assert [(file.name, file.info.version) for file in second.files] == [("a", 4), ("b", 1)]
    assert second.header.version == 2
    stamp = next_timestamp(None, FileInfo(2, 9, bytes(32)), desk.occasion)
    assert stamp.snapshot.version == 2


def test_no_file_is_stamped_before_the_one_it_follows(desk: Desk) -> None:
    header = desk.newest().header
    assert stamped(header, ImageRepository(), Occasion(UTC, Terms()), 10).version == 2
    with pytest.raises(ClockBehind):
        stamped(header, ImageRepository(), Occasion(UtcTime(UTC - 1), Terms()), 10)
    afresh = Occasion(UtcTime(UTC - 1), Terms(), afresh=True)
    assert stamped(header, ImageRepository(), afresh, 10).version == 2


# ---------------------------------------------------------------------------------------------------- delegations


def test_delegations_keep_their_order_and_are_changed_in_place(desk: Desk) -> None:
    targets = desk.newest()
    for name in ("a", "b"):
        targets = with_delegation(targets, delegation(name), [public(name)], desk.occasion)
    targets = with_delegation(targets, delegation("c"), [public("c")], desk.occasion, first=True)
    assert order(targets) == [("c",), ("a",), ("b",)]
    targets = with_delegation(targets, delegation("a", path="new/*"), [public("a")], desk.occasion)
    assert order(targets) == [("c",), ("a",), ("b",)]
    assert targets.delegations is not None
    assert targets.delegations.delegations[1].match == Paths(("new/*",))
    assert {each.key_id for each in targets.delegations.keys} == {key(name).key_id for name in "abc"}


def test_keys_nobody_needs_any_more_go(desk: Desk) -> None:
    targets = with_delegation(desk.newest(), delegation("a"), [public("a")], desk.occasion)
    targets = with_delegation(targets, delegation("b"), [public("b")], desk.occasion)
    targets = without_role(targets, RoleName("a"), desk.occasion)
    assert targets.delegations is not None
    assert [each.key_id for each in targets.delegations.keys] == [key("b").key_id]
    assert without_role(targets, RoleName("b"), desk.occasion).delegations is None


def test_a_role_that_is_not_there_or_not_alone_is_not_removed(desk: Desk) -> None:
    with pytest.raises(Malformed, match="no delegation to a"):
        without_role(desk.newest(), RoleName("a"), desk.occasion)
    both = with_delegation(desk.newest(), delegation("a", "b"), [public("a"), public("b")], desk.occasion)
    with pytest.raises(Malformed, match="shares a delegation"):
        without_role(both, RoleName("a"), desk.occasion)


@pytest.mark.parametrize("text", ["root", "timestamp", "snapshot", "targets", "time", "a/b", "", "..", "x" * 65, "ü"])
def test_names_that_no_delegated_role_can_have(text: str) -> None:
    with pytest.raises(Malformed):
        role_name(text)


@pytest.mark.parametrize("text", ["", "/a", "../*", "a b", "x" * 129, "[a-z]"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(Malformed):
        pattern(text)
    assert pattern("acme/*/v?.bin") == "acme/*/v?.bin"


# ---------------------------------------------------------------------------------------------------------- Roots


def test_rotation_replaces_one_roles_keys_and_nothing_else(desk: Desk) -> None:
    root = desk.standing.root.value
    new = rotated(root, Role.TARGETS, Holders((public("x"), public("y")), 2), desk.occasion)
    assert new.header.version == 2
    assert holders_of(new, Role.TARGETS) == Holders((public("x"), public("y")), 2)
    assert holders_of(new, Role.ROOT) == holders_of(root, Role.ROOT)
    assert public("targets") not in new.keys
    assert holders_of(new, Role.TIME) == Holders((), 1)


@pytest.mark.parametrize("threshold", [0, 3])
def test_a_threshold_nobody_can_meet_is_refused(desk: Desk, threshold: int) -> None:
    with pytest.raises(Malformed, match="cannot be asked for"):
        rotated(desk.standing.root.value, Role.ROOT, Holders((public("x"), public("y")), threshold), desk.occasion)


def test_signatures_are_gathered_until_both_thresholds_hold(desk: Desk) -> None:
    before = desk.standing.root.value
    new = rotated(before, Role.ROOT, Holders((public("x"), public("y")), 2), desk.occasion)
    octets = signed(new, "x")
    wanted = [((0, 1), (1, 2), {"root", "y"}), ((1, 1), (1, 2), {"y"}), ((1, 1), (2, 2), set())]
    for name, (old, own, missing) in zip(("root", "y", "y"), wanted, strict=True):
        state = progress(CODEC, desk.verifier.valid, CODEC.open(octets, 10_000), before=before, new=new)
        assert (state.before, state.own) == (old, own)
        assert set(state.missing) == {key(each).key_id for each in missing}
        assert state.complete == (not missing)
        octets = countersign(CODEC, octets, [key(name)], length_max=10_000)
    desk.submit({"root": octets})
    assert desk.standing.root.value == new
