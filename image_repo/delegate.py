"""Delegations: who else may sign which paths and hardware, in order of priority (section 5.2.3.2).

A delegation and the first Targets of its role are published together: a vehicle that meets a delegation whose role has
no file must give up its search, for every image that matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from image_repo.publish import Occasion, stamped
from uptane.errors import Malformed
from uptane.model.ids import FILENAME_LENGTH_MAX, RoleName, is_name, name
from uptane.model.metadata import Delegation, Delegations, ImageTargets, Key

RESERVED = frozenset({"root", "timestamp", "snapshot", "targets", "time", "offlineSnapshot", "offlineTargets"})
"""Names that a delegated role cannot have: its files would be taken for another's."""


def role_name(text: str) -> RoleName:
    """`text` as the name of a delegated role.

    Raises:
        Malformed: it is no name, holds a slash, or is one of the repository's own roles.
    """
    if not may_be_delegated(text):
        raise Malformed(f"{text!r} cannot name a delegated role")
    return RoleName(name(text))


def may_be_delegated(role: str) -> bool:
    """Whether a role of this name has files of its own that can be asked for."""
    return role not in RESERVED and "/" not in role


def pattern(text: str) -> str:
    """`text` as a pattern of paths: a name in which `*` and `?` may stand for characters other than `/`.

    Raises:
        Malformed: it is none.
    """
    if not is_name(text.replace("*", "x").replace("?", "x"), FILENAME_LENGTH_MAX):
        raise Malformed(f"{text[:80]!r} is no pattern (1 to 128 of A-Z a-z 0-9 . _ + : @ / - * ?, no leading /, no ..)")
    return text


def with_delegation(
    targets: ImageTargets, delegation: Delegation, keys: Sequence[Key], occasion: Occasion, *, first: bool = False
) -> ImageTargets:
    """The next Targets, with this delegation; `keys` are the public keys of its roles.

    It takes the place of a delegation to the same roles; a new one stands behind all others, or before them if `first`.
    """
    old = targets.delegations or Delegations((), ())
    named = roles_of(delegation)
    if any(roles_of(each) == named for each in old.delegations):
        delegations = tuple(delegation if roles_of(each) == named else each for each in old.delegations)
    else:
        delegations = (delegation, *old.delegations) if first else (*old.delegations, delegation)
    return _delegating(targets, delegations, (*old.keys, *keys), occasion)


def without_role(targets: ImageTargets, role: RoleName, occasion: Occasion) -> ImageTargets:
    """The next Targets, without any delegation to `role`. Its file stays in Snapshot (check_snapshot/6).

    Raises:
        Malformed: there is no delegation to `role`, or it is given together with other roles.
    """
    old = targets.delegations or Delegations((), ())
    if not any(role in roles_of(each) for each in old.delegations):
        raise Malformed(f"there is no delegation to {role}")
    if any(role in roles_of(each) and len(each.roles) > 1 for each in old.delegations):
        raise Malformed(f"{role} shares a delegation with other roles: delegate to the others anew first")
    kept = tuple(each for each in old.delegations if role not in roles_of(each))
    return _delegating(targets, kept, old.keys, occasion)


def roles_of(delegation: Delegation) -> tuple[RoleName, ...]:
    """The names of a delegation's roles, in order."""
    return tuple(role.name for role in delegation.roles)


def _delegating(
    targets: ImageTargets, delegations: tuple[Delegation, ...], keys: Iterable[Key], occasion: Occasion
) -> ImageTargets:
    """The next Targets with these delegations, and those of the keys that they name, once each."""
    named = {key_id for delegation in delegations for role in delegation.roles for key_id in role.key_ids}
    distinct = {key.key_id: key for key in keys if key.key_id in named}
    header = stamped(targets.header, targets.header.speaker, occasion, occasion.terms.targets_s)
    whole = Delegations(tuple(distinct.values()), delegations) if delegations else None
    return replace(targets, header=header, delegations=whole)
