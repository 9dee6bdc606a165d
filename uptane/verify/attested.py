"""Time (Uptane 2.1.0, section 5.4.2.2; docs/wire.md, "Time"): all of an attestation, or nothing of it.

An attestation counts when the Director Root's `time` role signed it, it answers this ECU's nonce, and it is not earlier
than what was attested before under these keys. The time service, nonces and when to ask are others' matter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from uptane.errors import Check, Rejected, StorageFailure
from uptane.model.ids import Role
from uptane.model.limits import ATTESTATION_LENGTH_MAX
from uptane.model.metadata import Root
from uptane.model.reports import TimeAttestation
from uptane.model.signed import PublicKey, Scheme, Verified
from uptane.moments import UtcTime
from uptane.verify.root import role_authority
from uptane.verify.threshold import Verifier, accept, opened

FORMAT = 1
_TIME_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Clock:
    """The latest time this ECU can prove.

    `previous` is the time before it, for reports. `attested` says whether an attestation was accepted since power-up:
    without one, metadata may be verified and stored, but nothing is activated. `floor` is the build or provisioning
    time, below which it never is. `keys` are the time keys of the Root under which `time` was attested.
    """

    time: UtcTime
    previous: UtcTime
    attested: bool
    floor: UtcTime
    keys: frozenset[PublicKey] = frozenset()


def check_attestation(verifier: Verifier, octets: bytes, root: Verified[Root], *, clock: Clock, nonce: bytes) -> Clock:
    """Return the clock set by an attestation of the time service for `nonce`; the caller keeps it durably.

    Raises:
        Rejected: TIME_ROLE, TIME_SIGNATURES, TIME_NONCE or TIME_BACKWARDS; KIND, LEVEL, LENGTH. The clock stands.
        Malformed: it is no attestation.
    """
    authority = role_authority(root.value, Role.TIME)
    if authority is None:
        raise Rejected(Check.TIME_ROLE)
    envelope = opened(verifier, octets, ATTESTATION_LENGTH_MAX)
    attestation = accept(verifier, envelope, authority, TimeAttestation, check=Check.TIME_SIGNATURES).value
    if attestation.nonce != nonce:
        raise Rejected(Check.TIME_NONCE)
    if attestation.time < clock.time:
        raise Rejected(Check.TIME_BACKWARDS, f"{attestation.time}, {clock.time} was attested before")
    keys = frozenset(authority.keys.values())
    return replace(clock, time=attestation.time, previous=clock.time, attested=True, keys=keys)


def under(clock: Clock, root: Verified[Root]) -> Clock:
    """The clock under a newer Root: set back to the floor when the Root has removed a time key, raised to its `issued`.

    To be asked at each link of a Root chain: a key that leaves and comes back would go unseen from end to end.
    """
    authority = role_authority(root.value, Role.TIME)
    keys = frozenset() if authority is None else frozenset(authority.keys.values())
    floor = max(clock.floor, root.value.header.issued)
    if not clock.keys <= keys:
        return Clock(floor, clock.time, attested=False, floor=clock.floor, keys=keys)
    return clock if clock.time >= floor else replace(clock, time=floor)


def dump(clock: Clock) -> bytes:
    """The clock as a durable record; whether it was attested since power-up is not part of it."""
    keys = sorted([key.scheme.value, key.octets.hex()] for key in clock.keys)
    return json.dumps({"format": FORMAT, "time": clock.time, "previous": clock.previous, "keys": keys}).encode()


def load(octets: bytes | None, root: Verified[Root], floor: UtcTime) -> Clock:
    """The clock at power-up from its record (None: there is none yet) under the newest Director Root.

    Raises StorageFailure for a record that is damaged or of an unknown format.
    """
    if octets is None:
        return under(Clock(floor, floor, attested=False, floor=floor), root)
    try:
        record = json.loads(octets)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise StorageFailure("the clock's record has an unknown format")
        time, previous = _time(record["time"]), _time(record["previous"])
        keys = frozenset(PublicKey(Scheme(scheme), bytes.fromhex(key)) for scheme, key in record["keys"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise StorageFailure(f"the clock's record is damaged: {error!r}") from error
    return under(Clock(time, previous, attested=False, floor=floor, keys=keys), root)


def _time(value: object) -> UtcTime:
    if type(value) is not int or not 0 <= value <= _TIME_MAX:
        raise ValueError(f"{value!r} is no time")
    return UtcTime(value)
