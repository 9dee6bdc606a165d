"""What this ECU refused since the last released update: by check, how often; at most eight checks.

Anyone on the bus can have things refused. So the misuse of the link gives way to refusals of signed things when there
is no room, and what an attacker repeats is written to the disk at powers of two only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from uptane.errors import BY_CODE, Attack, Check, StorageFailure
from uptane.model.reports import Refusal

KINDS_MAX: Final = 8  # as many as a report carries
COUNT_MAX: Final = 2**32 - 1
FORMAT: Final = 1

Refusals = Mapping[Check, int]
NO_REFUSALS: Final[Refusals] = MappingProxyType({})


def counted(refusals: Refusals, check: Check, times: int = 1) -> Refusals:
    """The refusals with `times` (1 or more) more of `check`."""
    counts = dict(refusals)
    if check not in counts and len(counts) >= KINDS_MAX:
        lesser = [each for each in counts if each.attack is Attack.MISUSE]
        if not lesser or check.attack is Attack.MISUSE:
            return refusals
        del counts[min(lesser, key=lambda each: counts[each])]
    counts[check] = min(counts.get(check, 0) + times, COUNT_MAX)
    return counts


def is_worth_storing(before: Refusals, after: Refusals, check: Check) -> bool:
    """Whether the count of `check` has reached or passed one that is written to the disk: 1, 2, 4, 8, ..."""
    return before.get(check, 0).bit_length() != after.get(check, 0).bit_length()


def reported(refusals: Refusals) -> tuple[Refusal, ...]:
    """The refusals as a report carries them, ascending by code."""
    return tuple(Refusal(check.code, refusals[check]) for check in sorted(refusals, key=lambda each: each.code))


def dump(refusals: Refusals) -> bytes:
    """The durable record."""
    counts = [[check.code, count] for check, count in refusals.items()]
    return json.dumps({"format": FORMAT, "refusals": counts}).encode()


def load(octets: bytes | None) -> Refusals:
    """The refusals from their record; codes of checks this software does not know are left out.

    Raises StorageFailure for a record that is damaged or of an unknown format.
    """
    if octets is None:
        return NO_REFUSALS
    try:
        record = json.loads(octets)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise StorageFailure("the record of refusals has an unknown format")
        pairs = [(int(code), int(count)) for code, count in record["refusals"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageFailure(f"the record of refusals is damaged: {error}") from error
    known = [(BY_CODE[code], count) for code, count in pairs if code in BY_CODE and 1 <= count <= COUNT_MAX]
    return dict(known[:KINDS_MAX])
