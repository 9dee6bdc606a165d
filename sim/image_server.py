"""The running Image repository: the shipping judgement, records in memory, a door for readers and one for operators.

Snapshot and Timestamp are renewed lazily: when somebody reads after they were due, so that a year in which nobody asks
costs no events. What is read is what a server that renews in time would serve; only version numbers run more slowly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

from image_repo.publish import ClockBehind, Occasion, Publication, Terms
from image_repo.service import Bench, judge, renew
from image_repo.standing import Standing, standing_of
from primary.needs import BLOCK_LENGTH, Reason, Unreachable
from sim.image_records import Records
from sim.keys import Ring
from sim.server import Server, Site
from sim.signatures import CODEC, VERIFIER
from sim.verbs import Verb
from uptane.errors import Rejected
from uptane.model.ids import ID_LENGTH_MAX

TERMS: Final = Terms()

_NAME: Final = re.compile(r"(?:([1-9][0-9]{0,9})\.)?([A-Za-z0-9._+:@-]+)", re.ASCII)


def _nothing(_files: Mapping[str, bytes], _images: Mapping[bytes, bytes]) -> None:
    """Nobody listens."""


class ImageServer(Server):
    """See the module. `online` holds the keys of Snapshot and Timestamp."""

    def __init__(self, records: Records, online: Ring, site: Site, *, terms: Terms = TERMS) -> None:
        super().__init__("image", site)
        self.records: Final = records
        self.online: Final = online
        self.terms: Final = terms
        self.block_length = BLOCK_LENGTH
        self.on_publish: Callable[[Mapping[str, bytes], Mapping[bytes, bytes]], None] = _nothing
        self.trouble = ""
        self._bench: Final = Bench(VERIFIER, CODEC, online, records, records)
        self._standing = standing_of(VERIFIER, records.newest())

    def reload(self) -> None:
        """Read what stands, and verify it."""
        self.trouble = ""
        self._standing = standing_of(VERIFIER, self.records.newest())

    @property
    def standing(self) -> Standing:
        """The newest files, verified."""
        return self._standing

    # ------------------------------------------------------------------------------------------------------ readers

    def metadata(self, name: str, length_max: int) -> bytes | None:
        """A metadata file, cut off one octet behind its limit; None if there is none of that name.

        Raises:
            Unreachable: the repository is down.
        """
        with self.door():
            self._renew()
            found = _NAME.fullmatch(name[: ID_LENGTH_MAX + 12])
            if found is None or (found[1] is None) != (found[2] == "timestamp"):
                return None
            octets = self.records.file(found[2], None if found[1] is None else int(found[1]))
            return None if octets is None else octets[: length_max + 1]

    def block(self, digest: bytes, offset: int) -> bytes | None:
        """The next octets of a published image from `offset` on; b"" at its end; None if there is no such image.

        Raises:
            Unreachable: the repository is down, or there is no such place in the image.
        """
        with self.door():
            length = self.records.lengths.get(digest)
            if length is None:
                return None
            if offset > length:
                raise Unreachable(self.name, Reason.REFUSED, f"the image has {length} octets")
            return self.records.blobs[digest][offset : offset + self.block_length]

    # ---------------------------------------------------------------------------------------------------- operators

    def upload(self, octets: bytes) -> bytes:
        """Take an image; durable when its SHA-256 is returned, and seen by nobody until it is published.

        Raises:
            Unreachable: the repository is down.
        """
        with self.door():
            digest = sha256(octets).digest()
            if digest not in self.records.blobs:
                self.moment("before blob")
                self.records.blobs[digest] = octets
                self.moment("after blob")
            return digest

    def submit(self, submitted: Mapping[str, bytes]) -> Publication:
        """Publish what is submitted, by role.

        Raises:
            Rejected, Malformed, Conflict, ClockBehind: it is refused; nothing changed.
            Unreachable: the repository is down.
        """
        with self.door():
            publication, standing = judge(self._bench, self._standing, submitted, self.occasion())
            self._publish(publication, standing, Verb.PUBLISHED)
            return publication

    def occasion(self) -> Occasion:
        """Now, by the server's clock."""
        return Occasion(self.utc, self.terms)

    # ------------------------------------------------------------------------------------------------------ details

    def _renew(self) -> None:
        try:
            judged = renew(self._bench, self._standing, self.occasion())
        except (Rejected, ClockBehind) as failure:
            if not self.trouble:
                self.trouble = str(failure)
                self.say(Verb.TROUBLE, f"cannot renew: {failure}")
            return
        self.trouble = ""
        if judged is not None:
            self._publish(*judged, Verb.RENEWED)

    def _publish(self, publication: Publication, standing: Standing, verb: Verb) -> None:
        """Durable as a whole, and only then what stands."""
        self.moment("before commit")
        self.records.commit(publication)
        files = {file.name: file.octets for file in publication.files}
        images = {each.image.sha256: self.records.blobs[each.image.sha256] for each in publication.images}
        self.say(verb, " ".join([*files, *(each.image.filename for each in publication.images)]))
        self.on_publish(files, images)
        self.moment("after commit")
        self._standing = standing
