"""One repository in service: its standing, and the one way to change it.

A publication is judged, made durable in one transaction, and only then becomes the standing; one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from image_repo.publish import Occasion, Publication, Terms
from image_repo.service import Bench, OnlineKeys, judge, next_renewal, renew
from image_repo.shell.blobs import Blobs
from image_repo.shell.database import Database
from image_repo.shell.outside import now, verifier
from image_repo.standing import Standing, standing_of
from uptane.codec.oer import Oer

RENEWAL = "renewal"


class Keeper:
    """Keeps one repository. Safe for threads; one process at a time."""

    def __init__(self, database: Database, blobs: Blobs, keys: OnlineKeys, terms: Terms) -> None:
        """Read what stands and verify it.

        Raises:
            Rejected, Malformed: what is stored does not hold.
        """
        self.database = database
        self.blobs = blobs
        self._bench = Bench(verifier(), Oer(), keys, database, blobs)
        self._terms = terms
        self._lock = Lock()
        newest = {role: octets for role, (_version, octets) in database.newest().items()}
        self._standing = standing_of(self._bench.verifier, newest)

    @property
    def standing(self) -> Standing:
        """The newest files."""
        return self._standing

    def submit(self, submitted: Mapping[str, bytes], who: str) -> Publication:
        """Publish what is submitted, by role, for `who`; it is durable and visible when this returns.

        Raises:
            Rejected, Malformed, Conflict, ClockBehind: it is refused; nothing changed.
            StorageFailure: it cannot be stored; nothing changed.
        """
        with self._lock:
            publication, standing = judge(self._bench, self._standing, submitted, self._occasion())
            self.database.publish(publication, who, now())
            self._standing = standing
            return publication

    def renew(self) -> Publication | None:
        """Sign Timestamp, and Snapshot if need be, anew if it is time to; None if it is not.

        Raises:
            Rejected, ClockBehind: it cannot be signed.
            StorageFailure: it cannot be stored; nothing changed.
        """
        with self._lock:
            judged = renew(self._bench, self._standing, self._occasion())
            if judged is None:
                return None
            publication, standing = judged
            self.database.publish(publication, RENEWAL, now())
            self._standing = standing
            return publication

    def renewal_in_s(self) -> int:
        """Seconds until there is something to renew; 0 or less if there is."""
        return next_renewal(self._standing) - now()

    def _occasion(self) -> Occasion:
        return Occasion(now(), self._terms)
