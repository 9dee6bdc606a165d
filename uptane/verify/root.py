"""check_root (Uptane 2.1.0, section 5.4.4.3): one link of a Root chain, and whom a Root lets speak.

Walking the chain, and what a rotation takes away, are the workflows' and stored.py's.
"""

from __future__ import annotations

from uptane.errors import Check, Rejected
from uptane.model.ids import Role
from uptane.model.limits import ROOT_LENGTH_MAX
from uptane.model.metadata import Root, Speaker
from uptane.model.signed import Authority, Verified
from uptane.moments import UtcTime
from uptane.verify.keys import check_key_ids, check_keys
from uptane.verify.threshold import Verifier, accept, opened

ROLES_REQUIRED = frozenset({Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS})


def check_root(verifier: Verifier, octets: bytes, trusted: Verified[Root]) -> Verified[Root]:
    """Return the successor of `trusted`: signed by enough keys of both, and its version the next (check_root/2).

    Expiry is not judged: of a chain, only the newest has to be fresh.

    Raises:
        Rejected: ROOT_SIGNATURES, ROOT_OWN_SIGNATURES, ROOT_VERSION, ROOT_KEYS; SPEAKER, KIND, LEVEL, LENGTH.
        Malformed: it is no Root.
    """
    envelope = opened(verifier, octets, ROOT_LENGTH_MAX)
    old = _own_authority(trusted.value)
    new = accept(verifier, envelope, old, Root, check=Check.ROOT_SIGNATURES)
    check_speaker(new.value.header.speaker, trusted.value.header.speaker)
    check_root_keys(new.value)
    new = accept(verifier, envelope, _own_authority(new.value), Root, check=Check.ROOT_OWN_SIGNATURES)
    version, wanted = new.value.header.version, trusted.value.header.version + 1
    if version != wanted:
        raise Rejected(Check.ROOT_VERSION, f"version {version}, {wanted} is the next")
    return new


def first_root(verifier: Verifier, octets: bytes, speaker: Speaker) -> Verified[Root]:
    """Return the Root that is trusted for where it lies (as provisioned, or as stored once verified).

    Its own keys must have signed it, so that a damaged one is noticed.

    Raises:
        Rejected: ROOT_OWN_SIGNATURES, ROOT_KEYS; SPEAKER, KIND, LEVEL, LENGTH.
        Malformed: it is no Root.
    """
    envelope = opened(verifier, octets, ROOT_LENGTH_MAX)
    claimed = verifier.codec.parse(envelope.payload)
    if not isinstance(claimed, Root):
        raise Rejected(Check.KIND, f"{type(claimed).__name__} where Root was asked for")
    check_root_keys(claimed)
    root = accept(verifier, envelope, _own_authority(claimed), Root, check=Check.ROOT_OWN_SIGNATURES)
    check_speaker(root.value.header.speaker, speaker)
    return root


def check_root_expiry(root: Verified[Root], utc: UtcTime) -> None:
    """Refuse the newest Root when it has expired at `utc` (check_root/3): ROOT_EXPIRED."""
    if utc >= root.value.header.expires:
        raise Rejected(Check.ROOT_EXPIRED, f"expired at {root.value.header.expires}, it is {utc}")


def role_authority(root: Root, role: Role) -> Authority | None:
    """Who may speak for `role` under `root`, whose keys have been checked; None when it names no such role."""
    keys = {key.key_id: key.public for key in root.keys}
    for named in root.roles:
        if named.role is role:
            return Authority({key_id: keys[key_id] for key_id in named.key_ids}, named.threshold)
    return None


def check_root_keys(root: Root) -> None:
    """Refuse a Root in which a key or role is missing, doubled, or a threshold cannot be met: ROOT_KEYS."""
    roles = [named.role for named in root.roles]
    if len(set(roles)) != len(roles) or not ROLES_REQUIRED.issubset(roles):
        raise Rejected(Check.ROOT_KEYS, "a role is missing or named twice")
    check_keys(root.keys, Check.ROOT_KEYS)
    for named in root.roles:
        check_key_ids(root.keys, named.key_ids, named.threshold, check=Check.ROOT_KEYS)


def check_speaker(speaker: Speaker, wanted: Speaker) -> None:
    """Refuse a file that speaks for somebody else than who was asked: SPEAKER."""
    if speaker != wanted:
        raise Rejected(Check.SPEAKER, f"{speaker} where {wanted} was asked for")


def _own_authority(root: Root) -> Authority:
    authority = role_authority(root, Role.ROOT)
    assert authority is not None, "check_root_keys has refused a Root without a root role"
    return authority
