"""Names against patterns (Uptane 2.1.0, section 5.2.3.2), and hash bins (TAP 15).

Patterns come from those who may delegate little: matching takes at most the product of both lengths, whatever they say.
"""

from __future__ import annotations

from uptane.model.ids import RoleName
from uptane.ports import Hasher

ANY = "**"
"""As an ECU's filename rule: any name at all. In a delegation it stands for one path part like `*`."""


_HEX = frozenset("0123456789abcdef")


def matches(pattern: str, name: str) -> bool:
    """Whether `name` matches: `*` stands for any characters but `/`, `?` for one of them, all else for itself."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(_part_matches, patterns, parts))


def is_accepted(rule: str, name: str) -> bool:
    """Whether an ECU whose filename rule is `rule` takes an image of that name."""
    return rule == ANY or matches(rule, name)


def bin_name(hasher: Hasher, prefix: RoleName, bits: int, *, filename: str) -> RoleName:
    """The role that holds `filename` in 2**`bits` bins (1 to 14): `<prefix>-<hex>` by the first bits of its SHA-256."""
    assert 1 <= bits <= 14
    number = int.from_bytes(hasher.sha256(filename.encode())[:2], "big") >> (16 - bits)
    return _numbered(prefix, bits, number)


def bin_names(prefix: RoleName, bits: int) -> list[RoleName]:
    """All roles of 2**`bits` bins (1 to 14), ascending; the number has as many hex digits as the highest needs."""
    assert 1 <= bits <= 14
    return [_numbered(prefix, bits, number) for number in range(2**bits)]


def is_bin(name: str, prefix: RoleName, bits: int) -> bool:
    """Whether `name` is one of the 2**`bits` bins (1 to 14) of `prefix`; costs the same however many there are."""
    digits = len(f"{2**bits - 1:x}")
    head, dash, number = name.rpartition("-")
    if (head, dash) != (prefix, "-") or len(number) != digits or not set(number) <= _HEX:
        return False
    return int(number, 16) < 1 << bits


def _numbered(prefix: RoleName, bits: int, number: int) -> RoleName:
    digits = len(f"{2**bits - 1:x}")
    return RoleName(f"{prefix}-{number:0{digits}x}")


def _part_matches(pattern: str, part: str) -> bool:
    """One path part: on a mismatch, let the latest `*` take one character more; earlier ones never need to."""
    at = position = 0
    star, taken = -1, 0
    while position < len(part):
        if at < len(pattern) and pattern[at] == "*":
            star, taken = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in {"?", part[position]}:
            at, position = at + 1, position + 1
        elif star >= 0:
            taken += 1
            at, position = star + 1, taken
        else:
            return False
    return all(rest == "*" for rest in pattern[at:])
