"""Attacks on the four roles of either repository (reference order: Root, Timestamp, Snapshot, Targets)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from tests.attacks.row import (
    BOTH,
    EXPIRED,
    FULL,
    PARTIAL,
    TARGETS,
    Row,
    cut,
    forget,
    in_director,
    in_image,
    info_of,
    instead,
    other_kind,
    trailed,
    twice_role,
    with_role,
    without_role,
)
from tests.builders import (
    BODY,
    BRAKE,
    CODEC,
    FIRST,
    HARDWARE,
    NOW,
    PRIMARY,
    STRANGER,
    Bench,
    DirectorRepo,
    ImageRepo,
    Repo,
    image,
    key,
    named,
    sealed,
)
from uptane.errors import Check
from uptane.model.ids import EcuId, KeyId, Repository, Role, RoleName, VehicleId
from uptane.model.limits import (
    DIRECTOR_TARGETS_LENGTH_MAX,
    ROOT_LENGTH_MAX,
    SNAPSHOT_LENGTH_MAX,
    TARGETS_LENGTH_MAX,
    TIMESTAMP_LENGTH_MAX,
)
from uptane.model.metadata import (
    DelegatedRole,
    Delegation,
    Delegations,
    Fleet,
    ForVehicle,
    Header,
    ImageRepository,
    ImageTargets,
    Key,
    Paths,
    RoleKeys,
    Root,
    Timestamp,
)
from uptane.moments import UtcTime

OTHER_VEHICLE = ForVehicle(VehicleId("vehicle-2"))


def rows() -> Iterator[Row]:
    """All rows of both repositories; each name says which."""
    for word, within, on, repository in (
        ("Director", in_director, BOTH, Repository.DIRECTOR),
        ("Image repository", in_image, FULL, Repository.IMAGE),
    ):
        for each in root_rows(within, on):
            yield replace(each, name=f"{word}: {each.name}")
        for each in (*timestamp_rows(within), *snapshot_rows(within, repository), *targets_rows(within, repository)):
            yield replace(each, name=f"{word}: {each.name}")
    yield from director_targets_rows()


# ------------------------------------------------------------------------------------------------------------ Root


def root_rows(within: Callable[[Callable[[Any], object]], Any], on: tuple[EcuId, ...]) -> Iterator[Row]:
    def row(name: str, change: Callable[[Any], object], check: Check, **more: Any) -> Row:
        return Row(name, within(change), check, on, **more)

    yield row("Root signed by new keys only", new_keys_only, Check.ROOT_SIGNATURES)
    yield row("Root signed by one of two keys", lambda repo: repo.root(signers=first_of(repo)), Check.ROOT_SIGNATURES)
    yield row("Root signed twice by one key", lambda repo: repo.root(signers=first_of(repo) * 2), Check.ROOT_SIGNATURES)
    yield row("Root signed by strangers", lambda repo: repo.root(signers=[STRANGER]), Check.ROOT_SIGNATURES)
    yield row("Root signed by old keys only", old_keys_only, Check.ROOT_OWN_SIGNATURES)
    yield row(
        "Root repeated as its successor", lambda repo: offer_root(repo, repo.offered["1.root"]), Check.ROOT_VERSION
    )
    yield row("Root skips a version", lambda repo: offer_root(repo, repo.root(version=3)), Check.ROOT_VERSION)
    yield row(
        "Root has expired", lambda repo: repo.root(**EXPIRED), Check.ROOT_EXPIRED, moves=frozenset({"root", "2.root"})
    )
    for name, edit in root_edits():
        yield row(f"Root {name}", partial(Repo.root, edit=edit), Check.ROOT_KEYS)
    yield row("Root of the other repository", lambda repo: repo.root(speaker=other_speaker(repo)), Check.SPEAKER)
    yield row("Root is another kind", lambda repo: offer_root(repo, other_kind(repo.keys[Role.ROOT])), Check.KIND)
    yield row("Root of a newer level", lambda repo: repo.root(level=2), Check.LEVEL)
    yield row("Root too long", lambda repo: offer_root(repo, bytes(ROOT_LENGTH_MAX + 1)), Check.LENGTH)
    yield row("Root truncated", lambda repo: offer_root(repo, cut(repo.root())), Check.ENCODING)
    yield row("Root with an octet behind it", lambda repo: offer_root(repo, trailed(repo.root())), Check.ENCODING)
    director = Repository.DIRECTOR if within is in_director else Repository.IMAGE
    yield Row("no Root to start from", lambda bench: forget(bench, director, "root"), Check.ROOT_MISSING, on)


def other_speaker(repo: Repo) -> Fleet | ImageRepository:
    return Fleet() if repo.repository is Repository.IMAGE else ImageRepository()


def first_of(repo: Repo) -> list[Any]:
    return repo.keys[Role.ROOT][:1]


def new_keys_only(repo: Repo) -> None:
    repo.keys[Role.ROOT] = [key("new root a"), key("new root b")]
    repo.root(signers=repo.keys[Role.ROOT])


def old_keys_only(repo: Repo) -> None:
    old = repo.keys[Role.ROOT]
    repo.keys[Role.ROOT] = [key("new root a"), key("new root b")]
    repo.root(signers=old)


def offer_root(repo: Repo, octets: bytes) -> None:
    repo.offered["2.root"] = octets
    repo.offered.pop("3.root", None)


def root_edits() -> Iterator[tuple[str, Callable[[Root], Root]]]:
    def timestamp_of(root: Root) -> RoleKeys:
        return next(each for each in root.roles if each.role is Role.TIMESTAMP)

    def again(root: Root) -> Root:
        other = Key(KeyId(b"the same"), root.keys[0].public)
        return replace(root, keys=(*root.keys, other))

    def doubled_id(root: Root) -> Root:
        return replace(root, keys=(*root.keys, Key(root.keys[0].key_id, STRANGER.public)))

    def named_twice(root: Root) -> Root:
        return with_role(root, Role.TIMESTAMP, key_ids=timestamp_of(root).key_ids * 2)

    def unknown(root: Root) -> Root:
        return with_role(root, Role.TIMESTAMP, key_ids=(*timestamp_of(root).key_ids, KeyId(b"nobody's")))

    yield "lists a key under two ids", again
    yield "lists an id twice", doubled_id
    yield "names a key of a role twice", named_twice
    yield "names a key it does not list", unknown
    yield "has a threshold above its keys", lambda root: with_role(root, Role.TIMESTAMP, threshold=2)
    # Five roles in a Director's Root, four in the other's: a time role takes the place, so that the schema is kept.
    yield "lacks a role", lambda root: twice_role(without_role(root, Role.SNAPSHOT), Role.TARGETS)
    yield "names a role twice", lambda root: twice_role(root, Role.SNAPSHOT)


# ------------------------------------------------------------------------------------------------------- Timestamp


def timestamp_rows(within: Callable[[Callable[[Any], object]], Any]) -> Iterator[Row]:
    def row(name: str, change: Callable[[Any], object], check: Check) -> Row:
        return Row(f"Timestamp {name}", within(change), check)

    def older_snapshot(timestamp: Timestamp) -> Timestamp:
        return replace(timestamp, snapshot=replace(timestamp.snapshot, version=FIRST - 1))

    yield row("signed by a stranger", lambda repo: repo.timestamp(signers=[STRANGER]), Check.TIMESTAMP_SIGNATURES)
    yield row(
        "signed by another role",
        lambda repo: repo.timestamp(signers=repo.keys[Role.SNAPSHOT]),
        Check.TIMESTAMP_SIGNATURES,
    )
    yield row("older", lambda repo: repo.timestamp(version=FIRST - 1), Check.TIMESTAMP_VERSION)
    yield row("of the same version", lambda repo: repo.timestamp(version=FIRST), Check.TIMESTAMP_SAME_VERSION)
    yield row("has expired", lambda repo: repo.timestamp(**EXPIRED), Check.TIMESTAMP_EXPIRED)
    yield row(
        "names an older Snapshot", lambda repo: repo.timestamp(edit=older_snapshot), Check.TIMESTAMP_SNAPSHOT_VERSION
    )
    yield row("missing", lambda repo: repo.offered.pop("timestamp"), Check.TIMESTAMP_MISSING)
    yield row("of another vehicle", lambda repo: repo.timestamp(speaker=OTHER_VEHICLE), Check.SPEAKER)
    yield row(
        "is another kind",
        lambda repo: repo.offered.update(timestamp=other_kind(repo.keys[Role.TIMESTAMP])),
        Check.KIND,
    )
    yield row("of a newer level", lambda repo: repo.timestamp(level=2), Check.LEVEL)
    yield row("too long", lambda repo: repo.offered.update(timestamp=bytes(TIMESTAMP_LENGTH_MAX + 1)), Check.LENGTH)
    yield row("truncated", lambda repo: instead(repo, "timestamp", cut), Check.ENCODING)
    yield row("with an octet behind it", lambda repo: instead(repo, "timestamp", trailed), Check.ENCODING)


# -------------------------------------------------------------------------------------------------------- Snapshot


def snapshot_rows(within: Callable[[Callable[[Any], object]], Any], repository: Repository) -> Iterator[Row]:
    def row(name: str, change: Callable[[Any], object], check: Check) -> Row:
        return Row(f"Snapshot {name}", within(change), check)

    def changed(**changes: Any) -> Callable[[Any], object]:
        def change(repo: Repo) -> None:
            repo.snapshot(**changes)
            repo.timestamp()

        return change

    def offered(make: Callable[[Repo], bytes]) -> Callable[[Any], object]:
        """Put other octets in the Snapshot's place, and name them."""

        def change(repo: Repo) -> None:
            octets = make(repo)
            version = repo.versions["snapshot"]
            repo.offered[f"{version}.snapshot"] = octets
            repo.timestamp(edit=lambda value: replace(value, snapshot=info_of(octets, version)))

        return change

    def older(bench: Bench) -> None:
        forget(bench, repository, "timestamp")
        changed(version=FIRST - 1)(bench.pair.repo(repository))

    yield row("exchanged", lambda repo: instead(repo, "snapshot", lambda _: repo.snapshot()), Check.SNAPSHOT_HASH)
    yield row("truncated on the way", lambda repo: instead(repo, "snapshot", cut), Check.SNAPSHOT_HASH)
    yield row("extended on the way", lambda repo: instead(repo, "snapshot", trailed), Check.SNAPSHOT_HASH)
    yield row("named as another version", misnamed, Check.SNAPSHOT_NAMED_VERSION)
    yield row("signed by a stranger", changed(signers=[STRANGER]), Check.SNAPSHOT_SIGNATURES)
    yield Row(
        "Snapshot older, by an ECU without a Timestamp",
        older,
        Check.SNAPSHOT_VERSION,
    )
    yield row("of the same version", changed(version=FIRST), Check.SNAPSHOT_SAME_VERSION)
    yield row("lists an older Targets", lists_older, Check.SNAPSHOT_TARGETS_VERSION)
    yield row("has lost a Targets", lambda repo: changed(files=without_last(repo))(repo), Check.SNAPSHOT_TARGETS_LOST)
    yield row("has expired", changed(**EXPIRED), Check.SNAPSHOT_EXPIRED)
    yield row("missing", lambda repo: repo.offered.pop(f"{repo.versions['snapshot']}.snapshot"), Check.SNAPSHOT_MISSING)
    yield row("of another vehicle", changed(speaker=OTHER_VEHICLE), Check.SPEAKER)
    yield row("is another kind", offered(lambda repo: other_kind(repo.keys[Role.SNAPSHOT])), Check.KIND)
    yield row("of a newer level", changed(level=2), Check.LEVEL)
    yield row("named as too long", lambda repo: repo.timestamp(edit=endless), Check.LENGTH)
    yield row("is no message", offered(lambda _: b"\x01" * 99), Check.ENCODING)
    yield row("lists a Targets twice", offered(twice_listed), Check.ENCODING)


def misnamed(repo: Repo) -> None:
    octets = repo.snapshot(version=FIRST + 4)
    repo.offered[f"{FIRST + 5}.snapshot"] = octets
    repo.timestamp(edit=lambda value: replace(value, snapshot=info_of(octets, FIRST + 5)))


def lists_older(repo: Repo) -> None:
    info = replace(repo.listed[TARGETS], version=FIRST - 1)
    repo.snapshot(files=repo.listed | {TARGETS: info})
    repo.timestamp()


def without_last(repo: Repo) -> dict[RoleName, Any]:
    names = sorted(repo.listed)
    return {name: repo.listed[name] for name in names[:-1]} if len(names) > 1 else {}


def endless(timestamp: Timestamp) -> Timestamp:
    return replace(timestamp, snapshot=replace(timestamp.snapshot, length=SNAPSHOT_LENGTH_MAX + 1))


def twice_listed(repo: Repo) -> bytes:
    info = repo.listed[TARGETS]
    pair = {RoleName("targetr"): info, TARGETS: info}
    listing = repo.listed | pair
    return repo.snapshot(files=listing, tamper=lambda payload: payload.replace(b"\x07targetr", b"\x07targets"))


# --------------------------------------------------------------------------------------------------------- Targets


def targets_rows(within: Callable[[Callable[[Any], object]], Any], repository: Repository) -> Iterator[Row]:
    on = FULL
    signed_on = BOTH if repository is Repository.DIRECTOR else FULL

    def row(name: str, change: Callable[[Any], object], check: Check, on: tuple[EcuId, ...] = on) -> Row:
        return Row(f"Targets {name}", within(change), check, on)

    def changed(**changes: Any) -> Callable[[Any], object]:
        def change(repo: Any) -> None:
            repo.targets(**changes)
            repo.publish()

        return change

    def offered(make: Callable[[Any], bytes]) -> Callable[[Any], object]:
        def change(repo: Any) -> None:
            octets = make(repo)
            repo.put(TARGETS, octets)
            repo.publish()

        return change

    def never_listed(bench: Bench) -> None:
        # The ECU must not remember a Snapshot that did list it: losing one is refused before.
        forget(bench, repository, "timestamp", "snapshot")
        not_listed(bench.pair.repo(repository))

    def lost_above(bench: Bench) -> None:
        forget(bench, repository, "timestamp", "snapshot")
        changed(version=FIRST - 1)(bench.pair.repo(repository))

    yield Row("Targets not listed", never_listed, Check.TARGETS_NOT_LISTED)
    yield row("exchanged", exchanged, Check.TARGETS_HASH)
    yield row("truncated on the way", lambda repo: instead(repo, "targets", cut), Check.TARGETS_HASH)
    yield row("listed as another version", mislisted, Check.TARGETS_NAMED_VERSION)
    yield row("signed by a stranger", changed(signers=[STRANGER]), Check.TARGETS_SIGNATURES, signed_on)
    yield Row("Targets older", lost_above, Check.TARGETS_VERSION, signed_on)
    yield row("of the same version", changed(version=FIRST), Check.TARGETS_SAME_VERSION, signed_on)
    yield row("has expired", changed(**EXPIRED), Check.TARGETS_EXPIRED, signed_on)
    yield row("missing", lambda repo: repo.offered.pop(f"{repo.versions['targets']}.targets"), Check.TARGETS_MISSING)
    yield row("is another kind", offered(lambda repo: other_kind(repo.keys[Role.TARGETS])), Check.KIND, signed_on)
    yield row("of a newer level", changed(level=2), Check.LEVEL, signed_on)
    yield row("listed as too long", too_long, Check.LENGTH)
    yield row("is no message", offered(lambda _: b"\x01" * 99), Check.ENCODING, signed_on)
    yield row("has an entry twice", offered(twice_entered), Check.TARGETS_ENTRY_ORDER, signed_on)


def not_listed(repo: Repo) -> None:
    others = {name: info for name, info in repo.listed.items() if name != TARGETS}
    repo.snapshot(files=others)
    repo.timestamp()


def exchanged(repo: Any) -> None:
    version = repo.versions["targets"]
    good = dict(repo.listed)
    repo.targets(version=version, expires=NOW + 999)
    repo.listed = good


def mislisted(repo: Any) -> None:
    octets = repo.targets(version=FIRST + 4)
    repo.put(TARGETS, octets, FIRST + 5)
    repo.publish()


def too_long(repo: Repo) -> None:
    limit = DIRECTOR_TARGETS_LENGTH_MAX if repo.repository is Repository.DIRECTOR else TARGETS_LENGTH_MAX
    info = replace(repo.listed[TARGETS], length=limit + 1)
    repo.snapshot(files=repo.listed | {TARGETS: info})
    repo.timestamp()


def twice_entered(repo: DirectorRepo | ImageRepo) -> bytes:
    """Two entries of one name: the encoder refuses to, so the octets are changed before they are signed."""
    if isinstance(repo, DirectorRepo):
        repo.assign(EcuId("brake-0"), repo.entries[BRAKE].image)
        octets = repo.targets(tamper=lambda payload: payload.replace(b"brake-0", b"brake-1"))
        del repo.entries[EcuId("brake-0")]
        return octets
    repo.add(image("primary/app-x", 9, HARDWARE[PRIMARY]), TARGETS)
    return repo.targets(tamper=lambda payload: payload.replace(b"primary/app-x", b"primary/app-2"))


def director_targets_rows() -> Iterator[Row]:
    """What only the Director's Targets can do wrong (check_targets/6 to 8, and the inventory)."""

    def row(name: str, change: Callable[[Any], object], check: Check, on: tuple[EcuId, ...] = BOTH) -> Row:
        return Row(f"Director: Targets {name}", in_director(change), check, on)

    def changed(**changes: Any) -> Callable[[Any], object]:
        return lambda repo: repo.issue(**changes)

    def assigned(ecu: EcuId, hardware: str) -> Callable[[Any], object]:
        def change(repo: Any) -> None:
            repo.assign(ecu, image("body/other", 3, hardware))
            repo.issue()

        return change

    yield row("of another vehicle", changed(speaker=OTHER_VEHICLE), Check.SPEAKER)
    yield row("of the Image repository", foreign_targets, Check.SPEAKER)
    yield row(
        "delegates", changed(delegations=Delegations((named(STRANGER),), some_delegation())), Check.TARGETS_DELEGATES
    )
    yield row("names an unknown ECU", assigned(EcuId("radio-1"), "radio-hw"), Check.TARGETS_ECU_UNKNOWN, (PRIMARY,))
    yield row("has other hardware for an ECU", assigned(BODY, "brake-hw"), Check.TARGETS_HARDWARE, (PRIMARY,))
    yield row("alone too long", endless_targets, Check.LENGTH, PARTIAL)


def foreign_targets(repo: Any) -> None:
    """A Targets of the other repository, signed with the Director's key: another kind of list, another speaker."""
    header = Header(1, ImageRepository(), FIRST + 2, UtcTime(NOW + 999), NOW)
    octets = sealed(CODEC.encode(ImageTargets(header, CODEC.images([]))), repo.keys[Role.TARGETS])
    repo.versions["targets"] = FIRST + 2
    repo.put(TARGETS, octets)
    repo.publish()


def some_delegation() -> tuple[Any, ...]:
    role = DelegatedRole(RoleName("x"), (STRANGER.key_id,), 1)
    return (Delegation((), False, Paths(("*",)), (role,), 1),)


def endless_targets(repo: Any) -> None:
    repo.offered[f"{repo.versions['targets']}.targets"] = bytes(DIRECTOR_TARGETS_LENGTH_MAX + 1)
