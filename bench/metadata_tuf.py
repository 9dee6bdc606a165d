"""python-tuf's side of bench.metadata: `python -m bench.metadata_tuf FILE PATH` does as metadata_ours.py."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer._crypto_signer import CryptoSigner
from tuf.api._payload import Root, TargetFile, Targets
from tuf.api.metadata import Metadata
from tuf.api.serialization.json import JSONSerializer

from bench.measured import measured, tell
from uptane.model.metadata import Image

SIGNER = CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ROOT = Root()
ROOT.add_key(SIGNER.public_key, Targets.type)


def written(images: Sequence[Image]) -> bytes:
    """A signed Targets of these images as JSON, as compact as python-tuf writes it; the rest of each in `custom`."""
    targets = {
        str(image.filename): TargetFile(
            image.length,
            {"sha256": image.sha256.hex()},
            image.filename,
            {"custom": {"hardwareIds": list(image.hardware), "releaseCounter": image.release_counter}},
        )
        for image in images
    }
    metadata = Metadata(Targets(targets=targets))
    metadata.sign(SIGNER)
    return metadata.to_bytes(JSONSerializer(compact=True))


def find(octets: bytes, path: str) -> None:
    """Parse, check the signature under the trusted Root's key, look up: as python-tuf's updater does."""
    metadata = Metadata[Targets].from_bytes(octets)
    ROOT.verify_delegate(Targets.type, metadata.signed_bytes, metadata.signatures)
    image = metadata.signed.targets[path]
    assert image.unrecognized_fields["custom"]["hardwareIds"][0].startswith("hardware")


if __name__ == "__main__":
    tell(measured(Path(sys.argv[1]), lambda octets: find(octets, sys.argv[2])))
