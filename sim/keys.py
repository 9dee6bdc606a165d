"""Keys of the simulation: each is made of its name, so that every run signs the same octets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256

from uptane.crypto import Ed25519Signer
from uptane.model.metadata import Key
from uptane.model.signed import Authority


@cache
def key(name: str) -> Ed25519Signer:
    """The key of that name, such as `director root 1`."""
    return Ed25519Signer.from_seed(sha256(name.encode()).digest())


def listed(signers: Iterable[Ed25519Signer]) -> list[Key]:
    """Keys as metadata list them."""
    return [Key(signer.key_id, signer.public) for signer in signers]


class Ring:
    """The keys one machine or one person has: durable, and never given away."""

    def __init__(self, owner: str) -> None:
        """An empty ring; keys made for it are called `<owner> <role> <number>`."""
        self._owner = owner
        self._held: dict[str, list[Ed25519Signer]] = {}

    def create(self, role: str, count: int = 1) -> list[Ed25519Signer]:
        """`count` new keys for a role, beside those that are there."""
        held = self._held.setdefault(role, [])
        made = [key(f"{self._owner} {role} {len(held) + number}") for number in range(1, count + 1)]
        held += made
        return made

    def signers(self, authority: Authority) -> Sequence[Ed25519Signer]:
        """Those that the authority names, the oldest first."""
        named = set(authority.keys.values())
        return [each for held in self._held.values() for each in held if each.public in named]

    def all(self) -> dict[str, tuple[Ed25519Signer, ...]]:
        """Every key, by role: what somebody gets who breaks in here."""
        return {role: tuple(held) for role, held in self._held.items()}
