"""Stored metadata, judged again under the newest Root and time: before download, prepare and activation.

Rotation was judged when the Root came (stored.py), so what is held is still signed; what may have changed is the time.
"""

from __future__ import annotations

from uptane.errors import Check, Rejected
from uptane.model.ids import EcuId
from uptane.model.signed import Verified
from uptane.moments import UtcTime
from uptane.verify.image import Assigned, assigned_to
from uptane.verify.roles import SNAPSHOT, TARGETS, TIMESTAMP, RoleT, Rules, check_expiry
from uptane.verify.root import check_root_expiry
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import Held, TargetsT, Trusted


def recheck(verifier: Verifier, held: Held, ecu: EcuId) -> Assigned:
    """Return what the stored Director Targets say to `ecu`, if all that is held still stands at the clock's time.

    Raises:
        Rejected: ROOT_EXPIRED; TIMESTAMP_, SNAPSHOT_ or TARGETS_MISSING (a rotation has taken it) or _EXPIRED.
        Malformed: this ECU's entry is not in canonical form.
    """
    utc = held.clock.time
    check_root_expiry(held.director.root, utc)
    targets = _fresh(held.director.targets, TARGETS, Check.TARGETS_MISSING, utc=utc)
    if held.image is not None:
        check_root_expiry(held.image.root, utc)
        _check_above(held.director, utc)
        _check_above(held.image, utc)
        _fresh(held.image.targets, TARGETS, Check.TARGETS_MISSING, utc=utc)
        for role in held.image.delegated.values():
            check_expiry(role, TARGETS, utc)
    return assigned_to(verifier.hasher, targets.value, ecu)


def _check_above(trusted: Trusted[TargetsT], utc: UtcTime) -> None:
    _fresh(trusted.timestamp, TIMESTAMP, Check.TIMESTAMP_MISSING, utc=utc)
    _fresh(trusted.snapshot, SNAPSHOT, Check.SNAPSHOT_MISSING, utc=utc)


def _fresh(file: Verified[RoleT] | None, rules: Rules, missing: Check, *, utc: UtcTime) -> Verified[RoleT]:
    if file is None:
        raise Rejected(missing)
    check_expiry(file, rules, utc)
    return file
