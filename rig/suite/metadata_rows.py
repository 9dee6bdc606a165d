"""Attacks by metadata: a good Root, Targets or attestation with one thing broken, signed as well as can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from rig.backend import CODEC, Assigned, signed
from rig.settings import Verification
from rig.tester import Tester
from rig.under_test import UnderTest
from rig.update import roots
from uptane.errors import Check
from uptane.link import uds_client
from uptane.link.uds_objects import Object
from uptane.link.uds_values import Session
from uptane.model.ids import Bundle, EcuId, HardwareId, KeyId, Repository, Role, RoleName, VehicleId
from uptane.model.metadata import (
    Assignment,
    Cipher,
    DelegatedRole,
    Delegation,
    Delegations,
    DirectorTargets,
    Encrypted,
    ForVehicle,
    Image,
    ImageRepository,
    ImageTargets,
    Key,
    Paths,
    RoleKeys,
    Root,
)
from uptane.model.reports import Phase, TimeAttestation, VehicleOrder
from uptane.moments import UtcTime
from uptane.ports import Signer

BOTH: Final = frozenset(Verification)
PARTIAL: Final = frozenset({Verification.PARTIAL})
FULL: Final = frozenset({Verification.FULL})
NEWER_LEVEL: Final = 2
OTHER_VEHICLE: Final = VehicleId("ANOTHER-VEHICLE")


@dataclass(frozen=True)
class Row:
    """One attack: `play` tries it, `check` has to refuse it. Nothing trusted moves, unless `moves` says so.

    `nrc` is the answer of a step whose refusal is not explained by the check in the same breath.
    """

    name: str
    check: Check
    play: Callable[[UnderTest], object]
    on: frozenset[Verification] = BOTH
    moves: bool = False
    nrc: int | None = None


def rows() -> Iterator[Row]:
    """All attacks by metadata."""
    yield from root_rows()
    yield from targets_rows()
    yield from image_rows()
    yield from time_rows()


def other_kind(signers: Sequence[Signer]) -> bytes:
    """A message of another kind, well signed."""
    order = VehicleOrder(1, OTHER_VEHICLE, Bundle(bytes(32)), 1, Phase.COMMIT)
    return signed(order, signers)


def cut(octets: bytes) -> bytes:
    """The last octet is missing."""
    return octets[:-1]


def trailed(octets: bytes) -> bytes:
    """An octet too many."""
    return octets + b"\0"


# ------------------------------------------------------------------------------------------------------------ Root


def root_rows() -> Iterator[Row]:
    """The next Director Root, broken."""

    def row(name: str, check: Check, make: Callable[[UnderTest, int], bytes]) -> Row:
        def play(ecu: UnderTest) -> None:
            ecu.tester.session(Session.EXTENDED)
            roots(ecu.tester, ecu.backend)
            ecu.tester.hand(Object.DIRECTOR_ROOT, make(ecu, ecu.tester.status().director_root + 1))

        return Row(f"root {name}", check, play)

    def by(signers: Callable[[UnderTest], Sequence[Signer]]) -> Callable[[UnderTest, int], bytes]:
        return lambda ecu, version: signed(_root(ecu, version), signers(ecu))

    yield row("signed by strangers", Check.ROOT_SIGNATURES, by(lambda ecu: [ecu.backend.stranger]))
    yield row("signed by one of two keys", Check.ROOT_SIGNATURES, by(lambda ecu: _own(ecu)[:1]))
    yield row("signed twice by one key", Check.ROOT_SIGNATURES, by(lambda ecu: _own(ecu)[:1] * 2))
    yield row("signed by new keys only", Check.ROOT_SIGNATURES, _new_keys(old=False))
    yield row("signed by old keys only", Check.ROOT_OWN_SIGNATURES, _new_keys(old=True))
    yield row("repeated as its successor", Check.ROOT_VERSION, lambda ecu, version: _issued(ecu, version - 1))
    yield row("that skips a version", Check.ROOT_VERSION, lambda ecu, version: _issued(ecu, version + 1))
    for name, edit in _root_edits():
        yield row(name, Check.ROOT_KEYS, partial(_issued, edit=edit))
    yield row("of the Image repository", Check.SPEAKER, lambda ecu, version: _issued(ecu, version, _image_speaker))
    yield row("of a newer level", Check.LEVEL, lambda ecu, version: _issued(ecu, version, _newer_level))
    yield row("that is an order", Check.KIND, lambda ecu, _: other_kind(_own(ecu)))
    yield row("cut short", Check.ENCODING, lambda ecu, version: cut(_issued(ecu, version)))
    yield row("with an octet behind it", Check.ENCODING, lambda ecu, version: trailed(_issued(ecu, version)))
    yield Row("root has expired", Check.ROOT_EXPIRED, expired_root, moves=True)


def _own(ecu: UnderTest) -> list[Signer]:
    return list(ecu.backend.of(Repository.DIRECTOR, Role.ROOT))


def _root(ecu: UnderTest, version: int) -> Root:
    return ecu.backend.root_value(Repository.DIRECTOR, version)


def _issued(ecu: UnderTest, version: int, edit: Callable[[Root], Root] = lambda root: root) -> bytes:
    return signed(edit(_root(ecu, version)), _own(ecu))


def _image_speaker(root: Root) -> Root:
    return replace(root, header=replace(root.header, speaker=ImageRepository()))


def _newer_level(root: Root) -> Root:
    return replace(root, header=replace(root.header, level=NEWER_LEVEL))


def _new_keys(*, old: bool) -> Callable[[UnderTest, int], bytes]:
    """Root's keys are rotated, and only one side signs."""

    def make(ecu: UnderTest, version: int) -> bytes:
        stranger, root = ecu.backend.stranger, _root(ecu, version)
        role = RoleKeys(Role.ROOT, (stranger.key_id,), 1)
        rest = tuple(each for each in root.roles if each.role is not Role.ROOT)
        ids = {key_id for each in rest for key_id in each.key_ids}
        listed = tuple(key for key in root.keys if key.key_id in ids)
        rotated = replace(root, keys=(*listed, Key(stranger.key_id, stranger.public)), roles=(role, *rest))
        return signed(rotated, _own(ecu) if old else [stranger])

    return make


def _root_edits() -> Iterator[tuple[str, Callable[[Root], Root]]]:
    def changed(role: Role, change: Callable[[RoleKeys], RoleKeys]) -> Callable[[Root], Root]:
        return lambda root: replace(
            root, roles=tuple(change(each) if each.role is role else each for each in root.roles)
        )

    def again(root: Root) -> Root:
        return replace(root, keys=(*root.keys, Key(KeyId(b"the same"), root.keys[0].public)))

    def role_twice(root: Root) -> Root:
        extra = next(each for each in root.roles if each.role is Role.SNAPSHOT)
        return replace(root, roles=(*root.roles, extra))

    yield "that lists a key under two ids", again
    yield "that names a role twice", role_twice
    yield (
        "that names a key it does not list",
        changed(Role.TIMESTAMP, lambda each: replace(each, key_ids=(*each.key_ids, KeyId(b"nobody's")))),
    )
    yield "whose threshold is above its keys", changed(Role.TIMESTAMP, lambda each: replace(each, threshold=2))


def expired_root(ecu: UnderTest) -> None:
    """A Root that has expired is taken, as links may, but nothing is done under it; the next one mends that."""
    past = UtcTime(ecu.backend.utc() - 1)
    ecu.backend.new_root(edit=lambda root: replace(root, header=replace(root.header, expires=past)))
    try:
        ecu.ready()
        what = ecu.image()
        version = ecu.tester.status().targets_version + 1
        ecu.hand_targets(ecu.backend.targets([what.entry], version), what, version)
    finally:
        ecu.backend.new_root()
        roots(ecu.tester, ecu.backend)


# --------------------------------------------------------------------------------------------------------- Targets

Forge = Callable[[UnderTest, Assigned, int], bytes]


def targets_row(name: str, check: Check, make: Forge, on: frozenset[Verification] = BOTH) -> Row:
    """Director Targets for a new image, made by `make`; `version` is the next one."""

    def play(ecu: UnderTest) -> None:
        ecu.ready()
        what = ecu.image()
        version = ecu.tester.status().targets_version + 1
        ecu.hand_targets(make(ecu, what, version), what, version)

    return Row(f"targets {name}", check, play, on)


def edited(edit: Callable[[DirectorTargets], DirectorTargets]) -> Forge:
    """Good Targets, edited before they are signed."""
    return lambda ecu, what, version: ecu.backend.targets([what.entry], version, edit=edit)


def targets_rows() -> Iterator[Row]:
    """What may be wrong with the Targets themselves."""
    row = targets_row

    def expired(targets: DirectorTargets) -> DirectorTargets:
        return replace(targets, header=replace(targets.header, expires=UtcTime(targets.header.issued)))

    def other_vehicle(targets: DirectorTargets) -> DirectorTargets:
        return replace(targets, header=replace(targets.header, speaker=ForVehicle(OTHER_VEHICLE)))

    def newer(targets: DirectorTargets) -> DirectorTargets:
        return replace(targets, header=replace(targets.header, level=NEWER_LEVEL))

    def good(ecu: UnderTest, what: Assigned, version: int) -> bytes:
        return ecu.backend.targets([what.entry], version)

    def by_stranger(ecu: UnderTest, what: Assigned, version: int) -> bytes:
        return ecu.backend.targets([what.entry], version, signers=[ecu.backend.stranger])

    def by_another_role(ecu: UnderTest, what: Assigned, version: int) -> bytes:
        signers = ecu.backend.of(Repository.DIRECTOR, Role.SNAPSHOT)
        return ecu.backend.targets([what.entry], version, signers=signers)

    def other_list(ecu: UnderTest, what: Assigned, version: int) -> bytes:
        header = replace(ecu.backend.root_value(Repository.IMAGE, version).header, speaker=ImageRepository())
        value = ImageTargets(header, CODEC.images([what.image]))
        return signed(value, ecu.backend.of(Repository.DIRECTOR, Role.TARGETS))

    yield row("signed by a stranger", Check.TARGETS_SIGNATURES, by_stranger)
    yield row("signed by another role", Check.TARGETS_SIGNATURES, by_another_role)
    yield row("have expired", Check.TARGETS_EXPIRED, edited(expired))
    yield row("of another vehicle", Check.SPEAKER, edited(other_vehicle))
    yield row("of the Image repository", Check.SPEAKER, other_list)
    yield row("of a newer level", Check.LEVEL, edited(newer))
    yield row("that delegate", Check.TARGETS_DELEGATES, delegating)
    yield row("that are an order", Check.KIND, lambda ecu, _what, _version: other_kind(_targets_keys(ecu)))
    yield row("with an entry twice", Check.TARGETS_ENTRY_ORDER, twice)
    yield row("cut short", Check.ENCODING, lambda *given: cut(good(*given)), PARTIAL)
    yield row("with an octet behind them", Check.ENCODING, lambda *given: trailed(good(*given)), PARTIAL)
    yield row("that are noise", Check.ENCODING, lambda ecu, _what, _version: ecu.dice.randbytes(99), PARTIAL)
    yield Row("targets older than those held", Check.TARGETS_VERSION, older_targets, PARTIAL, moves=True)
    yield Row("targets changed under one version", Check.TARGETS_SAME_VERSION, same_version, PARTIAL, moves=True)


def _targets_keys(ecu: UnderTest) -> list[Signer]:
    return list(ecu.backend.of(Repository.DIRECTOR, Role.TARGETS))


def delegating(ecu: UnderTest, what: Assigned, version: int) -> bytes:
    """The Director may not delegate."""
    stranger = ecu.backend.stranger
    role = DelegatedRole(RoleName("x"), (stranger.key_id,), 1)
    delegation = Delegation((), False, Paths(("*",)), (role,), 1)
    delegations = Delegations((Key(stranger.key_id, stranger.public),), (delegation,))
    return ecu.backend.targets([what.entry], version, edit=lambda each: replace(each, delegations=delegations))


def twice(ecu: UnderTest, what: Assigned, version: int) -> bytes:
    """Two entries of one name: no encoder makes them, so the octets are changed before they are signed."""
    name = ecu.settings.ecu
    other = EcuId(name[:-1] + ("x" if name[-1] != "x" else "y"))
    entries = sorted([what.entry, Assignment(other, what.image)], key=lambda entry: entry.ecu)
    return ecu.backend.targets(entries, version, tamper=lambda octets: octets.replace(other.encode(), name.encode()))


def older_targets(ecu: UnderTest) -> None:
    """Targets that were good, replayed when newer ones are held."""
    assign(ecu, ecu.image())
    what = ecu.image()
    assign(ecu, what)
    version = ecu.tester.status().targets_version - 1
    ecu.hand_targets(ecu.backend.targets([what.entry], version), what, version)


def same_version(ecu: UnderTest) -> None:
    """Two Targets of one version: a Director that says different things."""
    ecu.ready()
    version = ecu.tester.status().targets_version + 1
    for _ in range(2):
        what = ecu.image()
        ecu.hand_targets(ecu.backend.targets([what.entry], version), what, version)


# ---------------------------------------------------------------------------------------------- what they list


def image_rows() -> Iterator[Row]:
    """What is wrong with the image that good Targets assign."""

    def row(name: str, check: Check, edit: Callable[[UnderTest, Image], Image]) -> Row:
        def play(ecu: UnderTest) -> None:
            assign(ecu, ecu.image(edit=lambda image: edit(ecu, image)))

        return Row(f"image {name}", check, play)

    def encrypted(ecu: UnderTest) -> None:
        what = ecu.image()
        entry = replace(what.entry, encrypted=Encrypted(10, bytes(32), Cipher.AES256_GCM, b"wrapped"))
        ecu.ready()
        version = ecu.tester.status().targets_version + 1
        ecu.hand_targets(ecu.backend.targets([entry], version), what, version)

    yield row(
        "for other hardware",
        Check.INSTALL_HARDWARE,
        lambda _ecu, image: replace(image, hardware=(HardwareId("another-hardware"),)),
    )
    yield row(
        "larger than the slot",
        Check.INSTALL_SPACE,
        lambda ecu, image: replace(image, length=ecu.settings.slot_size + 1),
    )
    yield Row("image encrypted in an unknown way", Check.INSTALL_ENCRYPTED, encrypted)
    yield Row("image older than the one before", Check.IMAGE_COUNTER, downgrade)


def assign(ecu: UnderTest, what: Assigned) -> None:
    """Have the next Targets verified, which assign `what`."""
    ecu.ready()
    version = ecu.tester.status().targets_version + 1
    ecu.hand_targets(ecu.backend.targets([what.entry], version), what, version)


def downgrade(ecu: UnderTest) -> None:
    """A genuine image with a lower release counter than what is released."""
    older = max(0, ecu.tester.report().released_counter - 1)
    assign(ecu, ecu.image(edit=lambda image: replace(image, release_counter=older)))


# ------------------------------------------------------------------------------------------------------------ time


def time_rows() -> Iterator[Row]:
    """Attestations."""

    def row(name: str, check: Check, make: Callable[[UnderTest, bytes], bytes]) -> Row:
        def play(ecu: UnderTest) -> None:
            ecu.ready()
            ecu.tester.hand(Object.ATTESTATION, make(ecu, nonce_of(ecu.tester)))

        return Row(f"time {name}", check, play)

    def at(ecu: UnderTest, nonce: bytes, edit: Callable[[TimeAttestation], TimeAttestation]) -> bytes:
        return ecu.backend.attestation(nonce, edit=edit)

    def earlier(value: TimeAttestation) -> TimeAttestation:
        return replace(value, time=UtcTime(value.time - 3_600))

    def newer(value: TimeAttestation) -> TimeAttestation:
        return replace(value, level=NEWER_LEVEL)

    yield row(
        "signed by a stranger",
        Check.TIME_SIGNATURES,
        lambda ecu, nonce: ecu.backend.attestation(nonce, signers=[ecu.backend.stranger]),
    )
    yield row(
        "signed by another role",
        Check.TIME_SIGNATURES,
        lambda ecu, nonce: ecu.backend.attestation(nonce, signers=_targets_keys(ecu)),
    )
    yield row("for another nonce", Check.TIME_NONCE, lambda ecu, _: ecu.backend.attestation(ecu.dice.randbytes(16)))
    yield row("earlier than before", Check.TIME_BACKWARDS, lambda ecu, nonce: at(ecu, nonce, earlier))
    yield row("of a newer level", Check.LEVEL, lambda ecu, nonce: at(ecu, nonce, newer))
    yield row("that is an order", Check.KIND, lambda ecu, _: other_kind(ecu.backend.of(Repository.DIRECTOR, Role.TIME)))
    yield row("cut short", Check.ENCODING, lambda ecu, nonce: cut(ecu.backend.attestation(nonce)))
    yield Row("time replayed", Check.TIME_NONCE, replayed_time)


def nonce_of(tester: Tester) -> bytes:
    """The nonce that the ECU wants the time for."""
    return tester.run(uds_client.read_nonce(tester.ecu.ecu))


def replayed_time(ecu: UnderTest) -> None:
    """A genuine attestation a second time."""
    ecu.tester.session(Session.EXTENDED)
    roots(ecu.tester, ecu.backend)
    octets = ecu.backend.attestation(nonce_of(ecu.tester))
    for _ in range(2):
        ecu.tester.hand(Object.ATTESTATION, octets)
