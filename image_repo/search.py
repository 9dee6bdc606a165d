"""May this role sign this path and this hardware? Asked by the very search a vehicle makes (verify/delegations.py).

An image that the search would not end at is refused: vehicles would never get it, or would get another one. There is
one exception: where several roles must agree, the first to publish waits for the others.
"""

from __future__ import annotations

from image_repo.standing import Standing
from uptane.errors import Check, Rejected
from uptane.model.ids import RoleName
from uptane.model.metadata import Image
from uptane.moments import UtcTime
from uptane.verify.delegations import Found, Resolver, Wanted
from uptane.verify.threshold import Verifier


class Search:
    """Searches one standing, as a vehicle would that holds all of it."""

    def __init__(self, verifier: Verifier, standing: Standing, utc: UtcTime) -> None:
        self._verifier = verifier
        self._standing = standing
        self._utc = utc
        self._resolver = self._fresh()

    def check(self, role: RoleName, image: Image) -> None:
        """Refuse an image of `role` that a vehicle would not find, for one of its hardware ids.

        Raises:
            Rejected: PUBLISH_UNREACHED, or why the search cannot be made at all (an expired role on the way, a cycle).
        """
        for hardware in image.hardware:
            wanted = Wanted(image.filename, hardware)
            try:
                found = _found(self._resolver, wanted)
            except Rejected as refusal:
                if refusal.check is Check.DELEGATION_DISAGREE and self._takes_part(role, wanted):
                    continue
                if refusal.check in _NOBODY:
                    detail = f"{role} may not sign {image.filename} for {hardware}"
                    raise Rejected(Check.PUBLISH_UNREACHED, detail) from refusal
                raise
            if found.image.octets != image.octets:
                detail = f"vehicles find another {image.filename} for {hardware} before they come to {role}"
                raise Rejected(Check.PUBLISH_UNREACHED, detail)

    def _takes_part(self, role: RoleName, wanted: Wanted) -> bool:
        """Whether the search for `wanted`, which ends in disagreement, asks `role`."""
        resolver = self._fresh()
        try:
            _found(resolver, wanted)
        except Rejected:
            return role in resolver.files
        return False

    def _fresh(self) -> Resolver:
        return Resolver(self._verifier, self._standing.trusted, self._utc)


_NOBODY = frozenset({Check.DELEGATION_NOT_FOUND, Check.DELEGATION_TERMINATED, Check.DELEGATION_DISAGREE})


def _found(resolver: Resolver, wanted: Wanted) -> Found:
    """Run the search; every file is at hand, and one that is not is not there."""
    search = resolver.find(wanted)
    try:
        next(search)
        while True:
            search.send(None)
    except StopIteration as done:
        found: Found = done.value
        return found
