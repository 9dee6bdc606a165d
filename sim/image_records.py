"""What the Image repository keeps durably, with the rules of its database: every file and image that ever was.

A publication is there as a whole or not at all. Files are never changed or removed; the newest of a role is the one
with the highest version. Blobs are durable by themselves, before anything names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha512

from image_repo.accept import Release
from image_repo.publish import Conflict, Publication
from uptane.model.ids import Filename, HardwareId, RoleName


class Records:
    """The database and the blobs."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, int], bytes] = {}
        self.versions: dict[str, int] = {}
        self.lengths: dict[bytes, int] = {}
        self.blobs: dict[bytes, bytes] = {}
        self._releases: dict[Filename, Release] = {}
        self._counters: dict[RoleName, dict[HardwareId, int]] = {}

    # ------------------------------------------------------------------------------------------------------ reading

    def newest(self) -> dict[str, bytes]:
        """The newest file of every role."""
        return {role: self.files[role, version] for role, version in self.versions.items()}

    def file(self, role: str, version: int | None) -> bytes | None:
        """One metadata file; the newest of the role if `version` is None."""
        return self.files.get((role, self.versions.get(role, 0) if version is None else version))

    def releases(self, filenames: Sequence[Filename]) -> Mapping[Filename, Release]:
        """The latest image ever published under each of these names, where there was one."""
        return {filename: self._releases[filename] for filename in filenames if filename in self._releases}

    def counters(self, role: RoleName) -> Mapping[HardwareId, int]:
        """The highest release counter `role` ever gave each hardware."""
        return self._counters.get(role, {})

    def length(self, sha256: bytes) -> int | None:
        """Octets of the blob with this hash; None if it is not there."""
        return len(self.blobs[sha256]) if sha256 in self.blobs else None

    def sha512(self, sha256: bytes) -> bytes:
        """SHA-512 over a blob."""
        return sha512(self.blobs[sha256]).digest()

    # ------------------------------------------------------------------------------------------------------ writing

    def commit(self, publication: Publication) -> None:
        """Make a publication visible, whole.

        Raises:
            Conflict: another publication came first.
        """
        if any((file.role, file.version) in self.files for file in publication.files):
            raise Conflict("another publication came first: read the newest metadata, sign again")
        for file in publication.files:
            self.files[file.role, file.version] = file.octets
            self.versions[file.role] = max(file.version, self.versions.get(file.role, 0))
        for vouched in publication.images:
            image = vouched.image
            self.lengths[image.sha256] = image.length
            self._releases[image.filename] = Release(image.sha256, image.release_counter)
            floors = self._counters.setdefault(vouched.role, {})
            for hardware in image.hardware:
                floors[hardware] = max(floors.get(hardware, 0), image.release_counter)
