"""Metadata, attestations and orders as they come over the link: in RAM, believed by nobody until they are verified.

What verification fetches is found here, or in what is stored already. An object that is announced costs nothing: memory
grows with the octets that come. An ECU that verifies partially holds one object at a time, as its twin on a
microcontroller has room for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from uptane.errors import Check, Malformed, Rejected
from uptane.link.uds_objects import LENGTH_MAX, Object, Place
from uptane.model.ids import MetaName, Repository, Role
from uptane.model.limits import SNAPSHOT_LENGTH_MAX, TARGETS_LENGTH_MAX
from uptane.model.metadata import Delegate, ImageTargets
from uptane.ports import Codec

PARTIAL: Final = frozenset({Object.DIRECTOR_ROOT, Object.DIRECTOR_TARGETS, Object.ATTESTATION, Object.ORDER})
FULL: Final = frozenset(Object)
OCTETS_MAX: Final = TARGETS_LENGTH_MAX + SNAPSHOT_LENGTH_MAX  # all objects together: the largest of each repository

_FILES: Final[Mapping[tuple[Repository, str], Object]] = {
    (Repository.DIRECTOR, Role.ROOT.value): Object.DIRECTOR_ROOT,
    (Repository.DIRECTOR, Role.TIMESTAMP.value): Object.DIRECTOR_TIMESTAMP,
    (Repository.DIRECTOR, Role.SNAPSHOT.value): Object.DIRECTOR_SNAPSHOT,
    (Repository.DIRECTOR, Role.TARGETS.value): Object.DIRECTOR_TARGETS,
    (Repository.IMAGE, Role.ROOT.value): Object.IMAGE_ROOT,
    (Repository.IMAGE, Role.TIMESTAMP.value): Object.IMAGE_TIMESTAMP,
    (Repository.IMAGE, Role.SNAPSHOT.value): Object.IMAGE_SNAPSHOT,
    (Repository.IMAGE, Role.TARGETS.value): Object.IMAGE_TARGETS,
}


class Objects:
    """The objects delivered so far; `allowed` are those this ECU has a use for."""

    def __init__(self, allowed: frozenset[Object]) -> None:
        self._allowed = allowed
        self._whole: dict[Place, bytes] = {}
        self._roles: dict[Place, str | None] = {}  # what delegated Targets claim to be, once looked at
        self._coming: Place | None = None
        self._octets = bytearray()

    def begin(self, place: Place, size: int) -> None:
        """Take an object of `size` octets, in place of the one that was there.

        Raises:
            Rejected: LINK_RANGE when this ECU has no use for it, or too much is held already.
        """
        assert size <= LENGTH_MAX[place.object]
        if self._allowed == PARTIAL:
            self.clear()
        self.discard(place)
        self.abandon()
        held = sum(map(len, self._whole.values()))
        if place.object not in self._allowed:
            raise Rejected(Check.LINK_RANGE, f"object {place.object.name} is of no use to this ECU")
        if held + size > OCTETS_MAX:
            raise Rejected(Check.LINK_RANGE, f"{size} octets, {held} are held already, {OCTETS_MAX} is the limit")
        self._coming = place
        self._octets = bytearray()

    @property
    def is_coming(self) -> bool:
        """Whether an object has been begun and is not whole yet."""
        return self._coming is not None

    def abandon(self) -> None:
        """Forget what has come of an object that was begun."""
        self._coming = None
        self._octets = bytearray()

    def add(self, octets: bytes) -> None:
        """The next octets; the server has counted them."""
        assert self._coming is not None
        self._octets += octets

    def end(self) -> None:
        """The object is whole."""
        assert self._coming is not None
        self._whole[self._coming] = bytes(self._octets)
        self.abandon()

    def take(self, item: Object) -> bytes | None:
        """An object, which is then no longer held; None if it was not delivered."""
        return self._whole.pop(Place(item), None)

    def holds(self, item: Object) -> bool:
        """Whether an object was delivered."""
        return Place(item) in self._whole

    def discard(self, place: Place) -> None:
        """Forget one object."""
        self._whole.pop(place, None)
        self._roles.pop(place, None)

    def clear(self) -> None:
        """Forget everything."""
        self._whole.clear()
        self._roles.clear()
        self.abandon()

    def find(self, repository: Repository, name: MetaName, codec: Codec) -> bytes | None:
        """What was delivered as this file, unverified; None if nothing was.

        Which role a delegated Targets is, its speaker claims: a wrong claim is found by whoever verifies it.
        """
        item = _FILES.get((repository, name.role))
        if item is not None:
            return self._whole.get(Place(item))
        if repository is Repository.DIRECTOR:
            return None
        for place, octets in self._whole.items():
            if place.object is Object.DELEGATED and self._role_at(place, codec) == name.role:
                return octets
        return None

    def _role_at(self, place: Place, codec: Codec) -> str | None:
        if place not in self._roles:
            self._roles[place] = _claimed_role(self._whole[place], codec)
        return self._roles[place]


def _claimed_role(octets: bytes, codec: Codec) -> str | None:
    try:
        claimed = codec.parse(codec.open(octets, TARGETS_LENGTH_MAX).payload)
    except Malformed:
        return None
    if not isinstance(claimed, ImageTargets) or not isinstance(claimed.header.speaker, Delegate):
        return None
    return claimed.header.speaker.role
