"""Our side of bench.metadata: `python -m bench.metadata_ours FILE PATH` verifies a Targets and finds an image."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measured import measured, tell
from uptane.codec.oer import Oer
from uptane.crypto import Ed25519Signer, Sha2, valid
from uptane.errors import Check
from uptane.model.limits import TARGETS_LENGTH_MAX
from uptane.model.metadata import Header, Image, ImageRepository, ImageTargets
from uptane.model.signed import Authority
from uptane.moments import UtcTime
from uptane.verify.signing import sign
from uptane.verify.threshold import Verifier, accept, opened

SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
HEADER = Header(1, ImageRepository(), 1, UtcTime(1_900_000_000), UtcTime(1_800_000_000))


def written(images: Sequence[Image]) -> bytes:
    """A signed Targets of these images."""
    codec = Oer()
    return sign(codec, ImageTargets(HEADER, codec.images(images)), [SIGNER])


def find(octets: bytes, path: str) -> None:
    """Open, check the signature under the trusted key, parse, find: as a Primary does."""
    verifier = Verifier(Oer(), valid, Sha2())
    authority = Authority({SIGNER.key_id: SIGNER.public}, 1)
    envelope = opened(verifier, octets, TARGETS_LENGTH_MAX)
    targets = accept(verifier, envelope, authority, ImageTargets, check=Check.TARGETS_SIGNATURES).value
    image = targets.entries.find(path)
    assert image is not None
    assert image.hardware[0].startswith("hardware")


if __name__ == "__main__":
    tell(measured(Path(sys.argv[1]), lambda octets: find(octets, sys.argv[2])))
