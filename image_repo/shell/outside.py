"""What the cores are given of the outside: clock, encoding, cryptography; and what both ends of a call agree upon."""

from __future__ import annotations

import time

from uptane.codec.oer import Oer
from uptane.crypto import Sha2, valid
from uptane.moments import UtcTime
from uptane.shell import tls
from uptane.verify.threshold import Verifier

CHECK_KEY = "marque-check"  # trailing metadata of a refused call: the wire code of the check, decimal
PIECE_LENGTH_MAX = tls.MESSAGE_LENGTH_MAX - 1_024  # octets one message carries, besides its own fields


def verifier() -> Verifier:
    """The checks over the one encoding, with the signature schemes this machine can verify."""
    return Verifier(Oer(), valid, Sha2())


def now() -> UtcTime:
    """The machine's clock."""
    return UtcTime(int(time.time()))
