"""What is the same for every vehicle: the Root chain, the rules between images, the Image repository's word."""

from __future__ import annotations

from dataclasses import dataclass

from director.catalogue import Catalogue
from director.issue import Fleetwide
from director.resolve import Rule
from uptane.model.metadata import Root
from uptane.model.signed import Verified
from uptane.moments import UtcTime


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet as the Director's memory holds it; all of it is in the database, too.

    `roots` are the Root envelopes from version 1 on, `root` is the newest. `poll_s` is how often a vehicle with
    nothing to do should poll, in seconds.
    """

    roots: tuple[bytes, ...]
    root: Verified[Root]
    rules: tuple[Rule, ...]
    catalogue: Catalogue
    poll_s: int

    def wide(self, utc: UtcTime) -> Fleetwide:
        """What issuing needs to know of it."""
        return Fleetwide(self.root.value.header.version, self.catalogue.root_version, utc)
