"""How a command ends: what is known to go wrong is one line for people and an exit status (sysexits.h where one fits).

Apart from process.py, as commands that are over at once shall not load what speaks to servers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from uptane.errors import LinkFailure, MarqueError, SignerFailure, StorageFailure
from uptane.shell.settings import SettingsError
from uptane.shell.systemd import complain

if TYPE_CHECKING:
    from primary.cycle import Finished

EX_UNAVAILABLE: Final = 69
EX_IOERR: Final = 74
EX_CONFIG: Final = 78
_STATUS: Final = (
    (SettingsError, EX_CONFIG),
    (StorageFailure, EX_IOERR),
    (LinkFailure, EX_UNAVAILABLE),
    (SignerFailure, EX_UNAVAILABLE),
)
_DOCTOR_TELLS: Final = (StorageFailure, LinkFailure, SignerFailure)


@dataclass(slots=True)
class Outcome:
    """The exit status of what was done, and how the last cycle ended."""

    status: int = 0
    finished: Finished | None = None


@contextmanager
def explained() -> Iterator[Outcome]:
    """Turn what is known to go wrong into one line for people and an exit status."""
    outcome = Outcome()
    try:
        yield outcome
    except MarqueError as error:
        outcome.status = next((status for kind, status in _STATUS if isinstance(error, kind)), EX_CONFIG)
        more = "; `marque-primary doctor` tells more" if isinstance(error, _DOCTOR_TELLS) else ""
        complain(sys.stderr, f"marque-primary: {error}{more}")
