"""Root ceremonies: the first Root, rotation of a role's keys, and gathering signatures until both thresholds hold.

A new Root needs a threshold of the Root keys before it and a threshold of its own; holders of keys may sign one after
another, on machines that are not connected (uptane/verify/signing.py countersigns).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from image_repo.publish import Occasion, stamped
from uptane.errors import Malformed
from uptane.model.ids import KeyId, Role
from uptane.model.metadata import Header, ImageRepository, Key, RoleKeys, Root
from uptane.model.signed import Envelope, PublicKey
from uptane.ports import Codec, SignatureCheck

ROLES = (Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS)
"""The roles of the Image repository, in the order of the wire."""


@dataclass(frozen=True, slots=True)
class Holders:
    """The keys of one role, and how many of them must sign."""

    keys: tuple[Key, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a Root has come: signatures that count and are needed, by the keys before it and by its own."""

    before: tuple[int, int]
    own: tuple[int, int]
    missing: tuple[KeyId, ...]

    @property
    def complete(self) -> bool:
        """Whether both thresholds hold."""
        return self.before[0] >= self.before[1] and self.own[0] >= self.own[1]


def first_root(holders: Mapping[Role, Holders], occasion: Occasion) -> Root:
    """Root version 1 of an Image repository."""
    return _with(stamped(None, ImageRepository(), occasion, occasion.terms.root_s), holders)


def rotated(root: Root, role: Role, holders: Holders, occasion: Occasion) -> Root:
    """The next Root, in which `role` has these keys and no others; a key that is left out is revoked.

    Raises:
        Malformed: a threshold that the keys cannot meet.
    """
    held = {each.role: holders_of(root, each.role) for each in root.roles}
    held[role] = holders
    return _with(stamped(root.header, ImageRepository(), occasion, occasion.terms.root_s), held)


def holders_of(root: Root, role: Role) -> Holders:
    """The keys of a role in a Root; none, threshold 1, if the Root does not name the role."""
    by_id = {key.key_id: key for key in root.keys}
    for each in root.roles:
        if each.role is role:
            return Holders(tuple(by_id[key_id] for key_id in each.key_ids), each.threshold)
    return Holders((), 1)


def progress(codec: Codec, valid: SignatureCheck, envelope: Envelope, *, before: Root, new: Root) -> Progress:
    """Which of the needed signatures a new Root has. For people: the repository judges it again, as vehicles do."""
    message = codec.message(envelope.payload)
    old, own = holders_of(before, Role.ROOT), holders_of(new, Role.ROOT)
    distinct = {key.public: key.key_id for key in (*old.keys, *own.keys)}

    def has_signed(public: PublicKey) -> bool:
        return any(valid(public, message, signature.octets) for signature in envelope.signatures)

    signed = {public for public in distinct if has_signed(public)}
    return Progress(
        before=(sum(key.public in signed for key in old.keys), old.threshold),
        own=(sum(key.public in signed for key in own.keys), own.threshold),
        missing=tuple(key_id for public, key_id in distinct.items() if public not in signed),
    )


def _with(header: Header, holders: Mapping[Role, Holders]) -> Root:
    for role, each in holders.items():
        if not 1 <= each.threshold <= len(each.keys):
            raise Malformed(f"{role.value}: {each.threshold} of {len(each.keys)} keys cannot be asked for")
    keys = {key.key_id: key for role in Role if role in holders for key in holders[role].keys}
    roles = tuple(
        RoleKeys(role, tuple(key.key_id for key in holders[role].keys), holders[role].threshold)
        for role in Role
        if role in holders
    )
    return Root(header, tuple(keys.values()), roles)
