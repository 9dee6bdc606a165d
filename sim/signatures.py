"""Signature checks that remember: the same key, message and signature are computed once, and never assumed.

A simulated vehicle checks the same stored metadata at every boot, and boots hundreds of times in a run.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from uptane import crypto
from uptane.codec.oer import Oer
from uptane.crypto import Sha2
from uptane.model.signed import PublicKey
from uptane.verify.threshold import Verifier

REMEMBERED_MAX: Final = 200_000  # some 60 MB: as many as an hour of simulated updates makes


@lru_cache(maxsize=REMEMBERED_MAX)
def valid(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """What uptane.crypto.valid said of these three."""
    return crypto.valid(key, message, signature)


CODEC: Final = Oer()
HASHER: Final = Sha2()
VERIFIER: Final = Verifier(CODEC, valid, HASHER)
