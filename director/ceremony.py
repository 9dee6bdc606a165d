"""The Director's Root: its first version, its next, and whether a new one can be worked under.

Root keys stay offline: whoever holds them signs, the running Director only judges what it is handed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from director.errors import Declined, Reason
from director.issue import Signers
from uptane.errors import Malformed, Rejected
from uptane.model.ids import Role
from uptane.model.metadata import LEVEL, Fleet, Header, Key, RoleKeys, Root
from uptane.model.signed import Authority, Verified
from uptane.moments import UtcTime
from uptane.ports import Signer
from uptane.verify.root import check_root, role_authority
from uptane.verify.threshold import Verifier

ROOT_LIFETIME_S = 365 * 86_400  # a year: the Deployment Best Practices' figure for an offline Root
ONLINE = (Role.TARGETS, Role.SNAPSHOT, Role.TIMESTAMP)


class KeyRing(Protocol):
    """The online keys at hand."""

    def signers(self, authority: Authority) -> Sequence[Signer]:
        """Those that the authority names; in any order, each once."""
        ...


def first_root(keys: Mapping[Role, Sequence[Key]], thresholds: Mapping[Role, int], utc: UtcTime) -> Root:
    """Root version 1, to be signed by its root keys; a role without a threshold of its own has 1."""
    header = Header(LEVEL, Fleet(), 1, UtcTime(utc + ROOT_LIFETIME_S), utc)
    roles = tuple(
        RoleKeys(role, tuple(key.key_id for key in keys[role]), thresholds.get(role, 1))
        for role in Role
        if keys.get(role)
    )
    return Root(header, _all_keys(keys), roles)


def next_root(before: Root, role: Role, keys: Sequence[Key], *, threshold: int, utc: UtcTime) -> Root:
    """The Root that follows `before`, with other keys for one role; to be signed by both Roots' root keys."""
    listed = {each.role: each for each in before.roles}
    known = {key.key_id: key for key in before.keys}
    held = {each: [known[key_id] for key_id in listed[each].key_ids] for each in listed}
    held[role] = list(keys)
    thresholds = {each: listed[each].threshold for each in listed} | {role: threshold}
    following = first_root(held, thresholds, utc)
    return replace(following, header=replace(following.header, version=before.header.version + 1))


def accept_root(verifier: Verifier, trusted: Verified[Root], octets: bytes, ring: KeyRing) -> Verified[Root]:
    """The next Root, if the Director can work under it.

    Raises:
        Declined: it is not the trusted one's successor, or names online keys that are not at hand.
    """
    try:
        root = check_root(verifier, octets, trusted)
    except Rejected as refusal:
        raise Declined(Reason.REFUSED, str(refusal), refusal.check) from refusal
    except Malformed as refusal:
        raise Declined(Reason.INVALID, f"no Root: {refusal}") from refusal
    signers_under(root.value, ring)
    return root


def signers_under(root: Root, ring: KeyRing) -> Signers:
    """The online keys that `root` names.

    Raises:
        Declined: too few of a role are at hand.
    """
    chosen: dict[Role, Sequence[Signer]] = {}
    for role in ONLINE:
        authority = role_authority(root, role)
        assert authority is not None, "check_root has refused a Root without it"
        found = ring.signers(authority)
        if len(found) < authority.threshold:
            text = f"Root {root.header.version} wants {authority.threshold} keys of {role.value}, {len(found)} are here"
            raise Declined(Reason.UNREADY, f"{text}: make them first (marque-director rotate {role.value})")
        chosen[role] = found[: authority.threshold]
    return Signers(chosen[Role.TARGETS], chosen[Role.SNAPSHOT], chosen[Role.TIMESTAMP])


def _all_keys(keys: Mapping[Role, Sequence[Key]]) -> tuple[Key, ...]:
    """Every key once, in the order of the roles."""
    distinct = {key.key_id: key for role in Role for key in keys.get(role, ())}
    return tuple(distinct.values())
