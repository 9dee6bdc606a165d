"""The latest time this Primary knows to have passed, provisioned at or attested since; and a system clock raised to it.

A board without a battery boots years ago, and its TLS takes every server for not valid yet. Only TLS looks at that
clock; what is signed is judged by attested time (docs/wire.md, "Time").
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

from primary.shell.config import Config, load
from primary.shell.outcome import explained
from primary.shell.provision import floor
from primary.state import metadata_name
from uptane.codec.oer import Oer
from uptane.crypto import Sha2, valid
from uptane.errors import Malformed, MarqueError, Rejected, StorageFailure
from uptane.model.ids import Repository
from uptane.model.metadata import Fleet
from uptane.moments import UtcTime
from uptane.shell.files import Store
from uptane.verify import attested
from uptane.verify.root import first_root
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import ROOT_FILE, TIME_FILE

PEM_LENGTH_MAX: Final = 65_536  # octets: ours are 1,000


class ClockFailure(MarqueError):
    """The system clock cannot be set; the text says why."""


def seen(config: Config) -> UtcTime:
    """The latest time known to have passed; that of provisioning where no more is on record.

    Raises:
        ProvisionError: not even that is there.
    """
    least = floor(config)
    if not config.state.is_dir():
        return least
    store = Store(config.state)
    try:
        octets = store.read(metadata_name(Repository.DIRECTOR, ROOT_FILE))
        if octets is None:
            return least
        root = first_root(Verifier(Oer(), valid, Sha2()), octets, Fleet())
        return attested.load(store.read(metadata_name(Repository.DIRECTOR, TIME_FILE)), root, least).time
    except (StorageFailure, Rejected, Malformed):
        return least


def raise_clock(file: Path) -> UtcTime | None:
    """Set the system clock to what was seen, if it is behind it; None if it is not.

    Raises:
        ClockFailure: this process may not set it, or the vehicle's certificate would have expired.
        MarqueError: the settings, or what provisioning left, cannot be read.
    """
    config = load(file)
    least = seen(config)
    if time.time() >= least:
        return None
    _refuse_beyond(config.certificate, least)
    try:
        time.clock_settime(time.CLOCK_REALTIME, float(least))
    except OSError as error:
        raise ClockFailure(
            f"the system clock is behind {least} (UTC seconds) and cannot be set: {error.strerror}; "
            "run it as root, or by marque-primary-clock.service"
        ) from error
    return least


def _refuse_beyond(certificate: Path, least: UtcTime) -> None:
    """Refuse a time at which the vehicle's certificate, if there is one, has expired: no server would talk to us then.

    A clock is never set back here; one that a false time has put far ahead would stay there.
    """
    from cryptography import x509  # noqa: PLC0415  (long to load; a clock that is not behind needs none of it)

    try:
        with certificate.open("rb") as file:
            last = x509.load_pem_x509_certificate(file.read(PEM_LENGTH_MAX)).not_valid_after_utc
    except (OSError, ValueError):
        return  # the doctor tells; without a certificate no clock is of use
    if least > last.timestamp():
        raise ClockFailure(
            f"the latest time on record is {least} (UTC seconds), and {certificate} expired on {last:%Y-%m-%d}: the "
            "system clock stays. Set it by hand, and renew the certificate (`marque-director provision --request FILE`)"
        )


def clock_raised(file: Path) -> int:
    """The command: do it, say what was done, and return the exit status."""
    with explained() as outcome:
        raised = raise_clock(file)
        said = "the system clock is not behind" if raised is None else f"the system clock is raised to {raised}"
        sys.stdout.write(f"{said}\n")
    return outcome.status
