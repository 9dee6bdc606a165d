"""The search for an image through delegations: order, hardware, termination, agreement, bounds."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.builders import BODY, BRAKE, CAMERA, CODEC, HARDWARE, NOW, PRIMARY, VERIFIER, Bench, Pair, image
from uptane.errors import Check, Rejected
from uptane.model.ids import HardwareId, RoleName
from uptane.model.limits import DELEGATION_DEPTH_MAX, DELEGATIONS_VISITED_MAX
from uptane.model.metadata import Bins, Image, Paths
from uptane.verify.delegations import Found, Resolver, Wanted
from uptane.verify.needs import Fetch

TOP = RoleName("targets")
CAMERAS = Paths(("camera/*",))
X, Y, Z = RoleName("x"), RoleName("y"), RoleName("z")
GOOD = image("camera/it", 3, HARDWARE[CAMERA])
OTHER = CODEC.image(replace(GOOD, length=1))
THIRD = CODEC.image(replace(GOOD, length=2))


@pytest.fixture
def pair() -> Pair:
    pair = Pair()
    pair.image.delegated[TOP] = []
    return pair


def search(pair: Pair, wanted: Image = GOOD, hardware: HardwareId = HARDWARE[CAMERA]) -> tuple[Found, list[Fetch]]:
    """Issue all, and find an image as a full ECU does that has the top-level roles."""
    pair.image.issue()
    bench = Bench(pair, PRIMARY)
    trusted = bench.held.image
    assert trusted is not None
    found = bench.run(Resolver(VERIFIER, trusted, NOW).find(Wanted(wanted.filename, hardware)))
    return found, bench.effects


def refused(pair: Pair, check: Check) -> None:
    with pytest.raises(Rejected) as refusal:
        search(pair)
    assert refusal.value.check is check, refusal.value


def test_the_top_level_role_needs_no_delegation(pair: Pair) -> None:
    pair.image.add(GOOD, TOP)
    pair.image.delegate(TOP, CAMERAS, X)
    assert search(pair) == (Found(GOOD, ()), [])


def test_an_earlier_delegation_decides(pair: Pair) -> None:
    pair.image.delegate(TOP, CAMERAS, X)
    pair.image.delegate(TOP, CAMERAS, Y)
    pair.image.add(GOOD, X)
    pair.image.add(OTHER, Y)
    assert search(pair)[0] == Found(GOOD, (X,))


def test_a_role_that_does_not_know_the_image_leaves_it_to_the_next_and_is_named(pair: Pair) -> None:
    pair.image.delegate(TOP, CAMERAS, X)
    pair.image.delegate(TOP, CAMERAS, Y)
    pair.image.add(GOOD, Y)
    assert search(pair)[0] == Found(GOOD, (X, Y))


def test_what_a_role_delegates_comes_before_the_next_role(pair: Pair) -> None:
    pair.image.delegate(TOP, CAMERAS, X)
    pair.image.delegate(TOP, CAMERAS, Y)
    pair.image.delegate(X, CAMERAS, Z)
    pair.image.add(GOOD, Z)
    pair.image.add(OTHER, Y)
    assert search(pair)[0] == Found(GOOD, (X, Z))


def test_delegations_for_other_names_or_hardware_are_not_even_fetched(pair: Pair) -> None:
    pair.image.delegate(TOP, Paths(("brakes/*", "camera/?")), X)
    pair.image.delegate(TOP, CAMERAS, Y, hardware=(HARDWARE[BRAKE], HARDWARE[BODY]))
    pair.image.delegate(TOP, Paths(("nothing", "camera/i?")), Z, hardware=(HARDWARE[BRAKE], HARDWARE[CAMERA]))
    pair.image.add(OTHER, X, Y)
    pair.image.add(GOOD, Z)
    found, fetched = search(pair)
    assert found == Found(GOOD, (Z,))
    assert [str(each.name) for each in fetched] == ["5.z"]


def test_a_terminating_delegation_that_knows_the_image_is_like_any_other(pair: Pair) -> None:
    pair.image.delegate(TOP, CAMERAS, X, terminating=True)
    pair.image.add(GOOD, X)
    assert search(pair)[0] == Found(GOOD, (X,))


def test_a_terminating_delegation_for_another_name_ends_nothing(pair: Pair) -> None:
    pair.image.delegate(TOP, Paths(("brakes/*",)), X, terminating=True)
    pair.image.delegate(TOP, CAMERAS, Y)
    pair.image.add(GOOD, Y)
    assert search(pair)[0] == Found(GOOD, (Y,))


@pytest.mark.parametrize("below", [False, True])
def test_nothing_behind_or_below_a_terminating_delegation_counts(pair: Pair, below: bool) -> None:
    pair.image.delegate(TOP, CAMERAS, X, terminating=True)
    pair.image.delegate(X if below else TOP, CAMERAS, Y)
    pair.image.add(GOOD, Y)
    refused(pair, Check.DELEGATION_TERMINATED)


def test_a_termination_further_down_ends_the_whole_search(pair: Pair) -> None:
    pair.image.delegate(TOP, CAMERAS, X)
    pair.image.delegate(X, CAMERAS, Y, terminating=True)
    pair.image.delegate(TOP, CAMERAS, Z)
    pair.image.add(GOOD, Z)
    refused(pair, Check.DELEGATION_TERMINATED)


# ------------------------------------------------------------------------------------------------- several roles


@pytest.mark.parametrize(
    ("said", "min_agree", "wanted"),
    [
        ([GOOD, GOOD, GOOD], 3, GOOD),
        ([GOOD, OTHER, GOOD], 2, GOOD),
        ([OTHER, GOOD, GOOD], 2, GOOD),
        ([None, GOOD, GOOD], 2, GOOD),
        ([GOOD, OTHER, None], 1, GOOD),  # a conflict: the earliest role decides
        ([None, OTHER, GOOD], 1, OTHER),
        ([GOOD, OTHER, THIRD], 2, None),
        ([GOOD, None, None], 2, None),
        ([GOOD, GOOD, OTHER], 3, None),
    ],
)
def test_enough_roles_must_say_alike(
    pair: Pair, said: Sequence[Image | None], min_agree: int, wanted: Image | None
) -> None:
    pair.image.delegate(TOP, CAMERAS, X, Y, Z, min_agree=min_agree)
    for role, value in zip((X, Y, Z), said, strict=True):
        if value is not None:
            pair.image.add(value, role)
    if wanted is None:
        refused(pair, Check.DELEGATION_DISAGREE)
    else:
        assert search(pair)[0] == Found(wanted, (X, Y, Z))


def test_a_conflict_between_two_groups_is_decided_by_the_earliest_role(pair: Pair) -> None:
    roles = [RoleName(f"r{number}") for number in range(5)]
    pair.image.delegate(TOP, CAMERAS, *roles, min_agree=2)
    for role, value in zip(roles, (THIRD, OTHER, GOOD, GOOD, OTHER), strict=True):
        pair.image.add(value, role)
    assert search(pair)[0].image == OTHER


def test_disagreement_leaves_it_to_the_next_delegation(pair: Pair) -> None:
    pair.image.delegate(TOP, CAMERAS, X, Y, min_agree=2)
    pair.image.delegate(TOP, CAMERAS, Z)
    pair.image.add(OTHER, X)
    pair.image.add(GOOD, Z)
    assert search(pair)[0] == Found(GOOD, (X, Y, Z))


def test_disagreement_in_a_terminating_delegation_ends_the_search(pair: Pair) -> None:
    pair.image.delegate(TOP, CAMERAS, X, Y, min_agree=2, terminating=True)
    pair.image.delegate(TOP, CAMERAS, Z)
    pair.image.add(OTHER, X)
    pair.image.add(GOOD, Z)
    refused(pair, Check.DELEGATION_DISAGREE)


def test_roles_that_must_agree_may_delegate_further(pair: Pair) -> None:
    pair.image.delegate(TOP, CAMERAS, X, Y, min_agree=2)
    pair.image.delegate(X, CAMERAS, Z)
    pair.image.add(GOOD, Y, Z)
    assert search(pair)[0] == Found(GOOD, (X, Z, Y))


def test_a_termination_below_one_of_them_silences_only_that_one(pair: Pair) -> None:
    last = RoleName("last")
    pair.image.delegate(TOP, CAMERAS, X, Y, min_agree=1)
    pair.image.delegate(X, CAMERAS, last, terminating=True)
    pair.image.add(GOOD, Y)
    assert search(pair)[0] == Found(GOOD, (X, last, Y))


@pytest.mark.parametrize("missing", [X, Y, Z])
def test_a_missing_role_aborts_even_if_the_others_agree(pair: Pair, missing: RoleName) -> None:
    pair.image.delegate(TOP, CAMERAS, X, Y, Z, min_agree=2)
    pair.image.add(GOOD, X, Y, Z)
    pair.image.issue()
    del pair.image.offered[f"{pair.image.versions[missing]}.{missing}"]
    trusted = Bench(pair, PRIMARY).held.image
    assert trusted is not None
    with pytest.raises(Rejected, match=Check.DELEGATION_INVALID.name):
        Bench(pair, PRIMARY).run(Resolver(VERIFIER, trusted, NOW).find(Wanted(GOOD.filename, HARDWARE[CAMERA])))


# ---------------------------------------------------------------------------------------------------------- bounds


def test_delegations_may_nest_to_the_limit(pair: Pair) -> None:
    by = TOP
    for number in range(DELEGATION_DEPTH_MAX):
        name = RoleName(f"deep-{number}")
        pair.image.delegate(by, CAMERAS, name)
        by = name
    pair.image.add(GOOD, by)
    assert len(search(pair)[0].roles) == DELEGATION_DEPTH_MAX


@pytest.mark.parametrize("more", [0, 1])
def test_as_many_roles_as_the_limit_may_be_visited(pair: Pair, more: int) -> None:
    """X and `more` roles beside it, then all that X delegates to."""
    count = DELEGATIONS_VISITED_MAX - 1 + more
    first, rest = [RoleName(f"a-{n}") for n in range(32)], [RoleName(f"b-{n}") for n in range(count - 32)]
    pair.image.delegate(TOP, CAMERAS, X)
    for name in first:
        pair.image.delegate(X, CAMERAS, name)
    for name in rest:
        pair.image.delegate(TOP, CAMERAS, name)
    pair.image.add(GOOD, rest[-1])
    if more:
        refused(pair, Check.DELEGATION_COUNT)
    else:
        assert len(search(pair)[0].roles) == DELEGATIONS_VISITED_MAX


def test_a_role_may_be_reached_on_two_ways_and_is_fetched_once(pair: Pair) -> None:
    pair.image.delegate(TOP, CAMERAS, X)
    pair.image.delegate(X, CAMERAS, Z)
    pair.image.delegate(TOP, CAMERAS, Y)
    pair.image.delegate(Y, CAMERAS, Z)
    pair.image.delegate(TOP, Bins(1), RoleName("bin"))
    pair.image.add(GOOD, RoleName("bin-0"), RoleName("bin-1"))
    found, fetched = search(pair)
    assert found.roles[:3] == (X, Z, Y)
    assert [str(each.name) for each in fetched].count("5.z") == 1


def test_a_role_is_judged_by_the_keys_of_each_delegation_that_leads_to_it(pair: Pair) -> None:
    """The second delegation to Z names other keys: what held under the first does not hold there."""
    pair.image.delegate(TOP, CAMERAS, X)
    pair.image.delegate(X, CAMERAS, Z)
    pair.image.delegate(TOP, CAMERAS, Z)
    pair.image.delegate(TOP, CAMERAS, Y)
    listed = pair.image.delegated[TOP]
    stolen = replace(listed[1].roles[0], key_ids=listed[2].roles[0].key_ids)
    delegations = pair.image.delegations(TOP)
    assert delegations is not None
    second = replace(delegations.delegations[1], roles=(stolen,))
    changed = replace(delegations, delegations=(delegations.delegations[0], second, delegations.delegations[2]))
    pair.image.issue()
    pair.image.targets(delegations=changed)
    pair.image.publish()
    trusted = Bench(pair, PRIMARY).held.image
    assert trusted is not None
    with pytest.raises(Rejected, match=Check.TARGETS_SIGNATURES.name):
        Bench(pair, PRIMARY).run(Resolver(VERIFIER, trusted, NOW).find(Wanted(GOOD.filename, HARDWARE[CAMERA])))
