"""Lists of keys, in a Root and in delegations: nobody counts twice, and every threshold can be met.

A key or id twice is refused here, when the list is read; threshold.py would count such a key once all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from uptane.errors import Check, Rejected
from uptane.model.ids import KeyId
from uptane.model.metadata import Delegations, Key


def check_keys(keys: Sequence[Key], check: Check) -> None:
    """Refuse, as `check`, a list that has an id or a public key twice."""
    if _doubled(key.key_id for key in keys) or _doubled(key.public for key in keys):
        raise Rejected(check, "a key or its id stands twice in the list")


def check_key_ids(keys: Sequence[Key], key_ids: Sequence[KeyId], threshold: int, *, check: Check) -> None:
    """Refuse, as `check`, a role with an id twice, an id without a key, or a threshold below 1 or above its keys."""
    if _doubled(key_ids) or not {key.key_id for key in keys} >= set(key_ids):
        raise Rejected(check, "a key id of a role is unknown or stands twice")
    if not 1 <= threshold <= len(key_ids):
        raise Rejected(check, f"threshold {threshold} of {len(key_ids)} keys")


def check_delegation_keys(delegations: Delegations | None) -> None:
    """Refuse delegations with a key or role twice, or that need more keys or roles than there are: DELEGATION_KEYS."""
    if delegations is None:
        return
    check = Check.DELEGATION_KEYS
    check_keys(delegations.keys, check)
    for delegation in delegations.delegations:
        for role in delegation.roles:
            check_key_ids(delegations.keys, role.key_ids, role.threshold, check=check)
        if _doubled(role.name for role in delegation.roles):
            raise Rejected(check, "a role stands twice in one delegation, and would agree with itself")
        if not 1 <= delegation.min_agree <= len(delegation.roles):
            raise Rejected(check, f"{delegation.min_agree} of {len(delegation.roles)} roles are to agree")


def _doubled(items: Iterable[object]) -> bool:
    return any(count > 1 for count in Counter(items).values())
