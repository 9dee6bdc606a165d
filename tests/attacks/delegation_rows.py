"""Attacks on delegated roles: on their own files, on the search through them, and on the lists of their keys."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from tests.attacks.row import EXPIRED, FULL, TARGETS, Row, cut, in_image, instead, other_kind
from tests.builders import (
    CAMERA,
    CODEC,
    DEVELOPMENT,
    FIRST,
    HARDWARE,
    PRIMARY,
    RELEASE,
    STRANGER,
    SUPPLIER,
    Bench,
    ImageRepo,
    Pair,
    image,
    key,
)
from uptane.errors import Check
from uptane.model.ids import KeyId, RoleName
from uptane.model.limits import DELEGATION_DEPTH_MAX, TARGETS_LENGTH_MAX
from uptane.model.metadata import Delegate, Delegations, Key, Paths


def rows() -> Iterator[Row]:
    yield from role_rows()
    yield from search_rows()
    yield from key_rows()


# ------------------------------------------------------------------------------------ a delegated role's own file


def role_rows() -> Iterator[Row]:
    """`release` must agree to the camera's image, so both full ECUs read it."""

    def row(name: str, change: Callable[[ImageRepo], object], check: Check) -> Row:
        return Row(f"delegated Targets {name}", in_image(change), check)

    def changed(**changes: Any) -> Callable[[ImageRepo], object]:
        def change(repo: ImageRepo) -> None:
            repo.targets(RELEASE, **changes)
            repo.publish()

        return change

    def put(octets: bytes) -> Callable[[ImageRepo], object]:
        def change(repo: ImageRepo) -> None:
            repo.put(RELEASE, octets)
            repo.publish()

        return change

    yield row("missing", lambda repo: repo.offered.pop(f"{repo.versions[RELEASE]}.{RELEASE}"), Check.DELEGATION_INVALID)
    yield row("delegates with one key under two ids", doubled_key, Check.DELEGATION_KEYS)
    yield row("not listed in the Snapshot", not_listed, Check.TARGETS_NOT_LISTED)
    yield row("exchanged", exchanged, Check.TARGETS_HASH)
    yield row("truncated on the way", lambda repo: instead(repo, RELEASE, cut), Check.TARGETS_HASH)
    yield row("listed as another version", mislisted, Check.TARGETS_NAMED_VERSION)
    yield row("signed by a stranger", changed(signers=[STRANGER]), Check.TARGETS_SIGNATURES)
    yield row("signed by another delegate", changed(signers=[key(f"role {DEVELOPMENT}")]), Check.TARGETS_SIGNATURES)
    yield row("of another role", renamed, Check.SPEAKER)
    yield row("has expired", changed(**EXPIRED), Check.TARGETS_EXPIRED)
    yield row("is another kind", put(other_kind([key(f"role {RELEASE}")])), Check.KIND)
    yield row("of a newer level", changed(level=2), Check.LEVEL)
    yield row("listed as too long", too_long, Check.LENGTH)
    yield row("is no message", put(b"\x01" * 99), Check.ENCODING)
    yield row("has an entry twice", doubled, Check.TARGETS_ENTRY_ORDER)
    for name, version, check in (
        ("older", FIRST + 1, Check.TARGETS_VERSION),
        ("of the same version", FIRST + 2, Check.TARGETS_SAME_VERSION),
    ):
        yield Row(f"delegated Targets {name}", partial(after_update, version=version), check)


def exchanged(repo: ImageRepo) -> None:
    listed = dict(repo.listed)
    repo.targets(RELEASE, version=repo.versions[RELEASE])
    repo.targets(RELEASE, version=repo.versions[RELEASE], level=1, expires=repo.lasting)
    repo.listed = listed


def renamed(repo: ImageRepo) -> None:
    """A delegate's file under another delegate's name: both have the same key here, so only the speaker tells."""
    repo.role_keys[RELEASE] = repo.role_keys[DEVELOPMENT]
    repo.targets()
    repo.targets(RELEASE, speaker=Delegate(DEVELOPMENT))
    repo.publish()


def not_listed(repo: ImageRepo) -> None:
    repo.delegate(TARGETS, Paths(("camera/*",)), RoleName("ghost"), first=True)
    repo.targets()
    repo.publish()


def mislisted(repo: ImageRepo) -> None:
    repo.put(RELEASE, repo.targets(RELEASE, version=FIRST + 7), FIRST + 8)
    repo.publish()


def too_long(repo: ImageRepo) -> None:
    info = replace(repo.listed[RELEASE], length=TARGETS_LENGTH_MAX + 1)
    repo.snapshot(files=repo.listed | {RELEASE: info})
    repo.timestamp()


def doubled(repo: ImageRepo) -> None:
    repo.add(image("camera/app-x", 9, HARDWARE[CAMERA]), RELEASE)
    repo.targets(RELEASE, tamper=lambda payload: payload.replace(b"camera/app-x", b"camera/app-2"))
    repo.publish()


def doubled_key(repo: ImageRepo) -> None:
    repo.delegate(RELEASE, Paths(("camera/*",)), RoleName("below"))
    delegations = repo.delegations(RELEASE)
    assert delegations is not None
    again = Key(KeyId(b"the same"), delegations.keys[0].public)
    repo.targets("below")
    repo.targets(RELEASE, delegations=replace(delegations, keys=(*delegations.keys, again)))
    repo.publish()


def after_update(bench: Bench, *, version: int) -> None:
    """An ECU that knows a version of `release`, and no Snapshot that lists it, is offered an older or another one."""
    bench.pair.image.targets(RELEASE)
    bench.pair.image.publish()
    bench.verify()
    for file in ("timestamp", "snapshot"):
        bench.store.pop((bench.pair.image.repository, file))
    camera = image("camera/app-3", 3, HARDWARE[CAMERA])
    bench.pair.offer(CAMERA, camera, DEVELOPMENT, RELEASE)
    bench.pair.image.issue()
    bench.pair.image.targets(RELEASE, version=version)
    bench.pair.image.publish()
    bench.pair.director.issue()


# ------------------------------------------------------------------------------------------------------ the search


def search_rows() -> Iterator[Row]:
    def row(name: str, change: Callable[[Pair], object], check: Check, on: Any = FULL) -> Row:
        return Row(f"delegations: {name}", lambda bench: change(bench.pair), check, on)

    yield row("deeper than allowed", lambda pair: deeper(pair, DELEGATION_DEPTH_MAX + 1), Check.DELEGATION_DEPTH)
    yield row("more than allowed", wider, Check.DELEGATION_COUNT)
    yield row("round in circles", round_in_circles, Check.DELEGATION_CYCLE)
    yield row("to the top-level role", to_the_top, Check.DELEGATION_CYCLE)
    yield row("nobody knows the image", unknown, Check.DELEGATION_NOT_FOUND)
    yield row("not for this hardware", other_hardware, Check.DELEGATION_NOT_FOUND)
    yield row("not for this path", other_path, Check.DELEGATION_NOT_FOUND)
    yield row("hidden by a terminating one", terminated, Check.DELEGATION_TERMINATED)
    yield row("neither of two knows it", both_unknown, Check.DELEGATION_TERMINATED)
    yield row("one of two knows it", one_of_two, Check.DELEGATION_DISAGREE)
    yield row("two say different things", disagree, Check.DELEGATION_DISAGREE)
    yield row("one of three withheld", withheld, Check.DELEGATION_INVALID)


def deeper(pair: Pair, depth: int) -> None:
    """A chain of `depth` roles, the last of which has the image."""
    repo, by = pair.image, TARGETS
    for number in range(depth):
        name = RoleName(f"deep-{number}")
        repo.delegate(by, Paths(("camera/*",)), name, first=True)
        by = name
    pair.offer(CAMERA, image("camera/deep", 3, HARDWARE[CAMERA]), by)
    reissue(pair)


def wider(pair: Pair) -> None:
    """Eight roles, each with eight below it, the last of which has the image: 72 to read."""
    for outer in range(8):
        name = RoleName(f"wide-{outer}")
        pair.image.delegate(TARGETS, Paths(("camera/*",)), name)
        for inner in range(8):
            pair.image.delegate(name, Paths(("camera/*",)), RoleName(f"{name}-{inner}"))
    pair.image.delegated[TARGETS].sort(key=lambda each: not each.roles[0].name.startswith("wide"))
    pair.offer(CAMERA, image("camera/wide", 3, HARDWARE[CAMERA]), "wide-7-7")
    reissue(pair)


def round_in_circles(pair: Pair) -> None:
    a, b = RoleName("round-a"), RoleName("round-b")
    pair.image.delegate(TARGETS, Paths(("camera/*",)), a, first=True)
    pair.image.delegate(a, Paths(("camera/*",)), b)
    pair.image.delegate(b, Paths(("camera/*",)), a)
    reissue(pair)


def to_the_top(pair: Pair) -> None:
    pair.image.delegate(TARGETS, Paths(("camera/*",)), TARGETS, first=True)
    reissue(pair)


def unknown(pair: Pair) -> None:
    pair.director.assign(PRIMARY, image("primary/nobody-knows", 3, HARDWARE[PRIMARY]))
    pair.director.assign(CAMERA, image("lens/nobody-knows", 3, HARDWARE[CAMERA]))
    pair.director.issue()


def other_hardware(pair: Pair) -> None:
    """The supplier may sign for brakes only, and the image it signs is for the camera."""
    pair.offer(CAMERA, image("brakes/camera", 3, HARDWARE[CAMERA]), SUPPLIER)
    reissue(pair)


def other_path(pair: Pair) -> None:
    """`*` and `?` stay within a path part, and `?` stands for one character."""
    name = RoleName("near")
    pair.image.delegate(TARGETS, Paths(("lens*", "len?deep", "lens/*/*", "?lens/dee?", "lens/?deep")), name, first=True)
    pair.offer(CAMERA, image("lens/deep", 3, HARDWARE[CAMERA]), name)
    reissue(pair)


def terminated(pair: Pair) -> None:
    """A terminating delegation that does not know the image hides the roles behind it, and those below itself."""
    first, below = RoleName("first"), RoleName("below")
    pair.image.delegate(TARGETS, Paths(("camera/*",)), first, terminating=True, first=True)
    pair.image.delegate(first, Paths(("camera/*",)), below)
    pair.image.add(pair.director.entries[CAMERA].image, below)
    reissue(pair)


def both_unknown(pair: Pair) -> None:
    """Neither of two that must agree knows the image, and the delegation is terminating."""
    pair.director.assign(CAMERA, image("camera/later", 3, HARDWARE[CAMERA]))
    pair.director.issue()


def one_of_two(pair: Pair) -> None:
    pair.offer(CAMERA, image("camera/later", 3, HARDWARE[CAMERA]), DEVELOPMENT)
    reissue(pair)


def disagree(pair: Pair) -> None:
    good = pair.director.entries[CAMERA].image
    pair.image.add(CODEC.image(replace(good, length=good.length + 1)), RELEASE)
    reissue(pair)


def withheld(pair: Pair) -> None:
    """One of three, two of whom must agree, is withheld: without it, who is left would decide."""
    third = RoleName("third")
    pair.image.delegate(TARGETS, Paths(("camera/*",)), third, DEVELOPMENT, RELEASE, min_agree=2, first=True)
    reissue(pair)
    del pair.image.offered[f"{pair.image.versions[third]}.{third}"]


def reissue(pair: Pair) -> None:
    pair.image.issue()
    pair.director.issue()


def key_rows() -> Iterator[Row]:
    """Lists of keys in delegations, in the top-level Targets."""

    def row(name: str, edit: Callable[[Delegations], Delegations]) -> Row:
        def change(repo: ImageRepo) -> None:
            delegations = repo.delegations(TARGETS)
            assert delegations is not None
            repo.targets(delegations=edit(delegations))
            repo.publish()

        return Row(f"delegations {name}", in_image(change), Check.DELEGATION_KEYS)

    def with_role(delegations: Delegations, **changes: Any) -> Delegations:
        first = delegations.delegations[0]
        roles = (replace(first.roles[0], **changes), *first.roles[1:])
        return replace(delegations, delegations=(replace(first, roles=roles), *delegations.delegations[1:]))

    def with_second(delegations: Delegations, **changes: Any) -> Delegations:
        first, second, *others = delegations.delegations
        return replace(delegations, delegations=(first, replace(second, **changes), *others))

    def twice(delegations: Delegations) -> Delegations:
        role = delegations.delegations[1].roles[0]
        return with_second(delegations, roles=(role, role))

    def again(delegations: Delegations) -> Delegations:
        return replace(delegations, keys=(*delegations.keys, Key(KeyId(b"the same"), delegations.keys[0].public)))

    def doubled(delegations: Delegations) -> Delegations:
        return replace(delegations, keys=(*delegations.keys, Key(delegations.keys[0].key_id, STRANGER.public)))

    def ids(delegations: Delegations) -> tuple[KeyId, ...]:
        return delegations.delegations[0].roles[0].key_ids

    yield row("list a key under two ids", again)
    yield row("list an id twice", doubled)
    yield row("name a key of a role twice", lambda each: with_role(each, key_ids=ids(each) * 2))
    yield row("name a key they do not list", lambda each: with_role(each, key_ids=(KeyId(b"nobody's"),)))
    yield row("have a threshold above their keys", lambda each: with_role(each, threshold=2))
    yield row("name a role twice, to agree with itself", twice)
    yield row("ask more roles to agree than there are", lambda each: with_second(each, min_agree=3))
