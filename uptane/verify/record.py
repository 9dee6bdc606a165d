"""An Installation as octets: JSON with a format number, outside the slots, so that older and newer software read it.

Software that is on trial must leave records that the released one understands: a new format may only be written after
release, and stays readable here.
"""

from __future__ import annotations

import json
from typing import Any, Final

from uptane.errors import StorageFailure
from uptane.model.ids import FILENAME_LENGTH_MAX, Bundle, Filename, is_name
from uptane.model.reports import EcuState, InstalledImage, Outcome, Phase
from uptane.model.signed import PublicKey, Scheme
from uptane.verify.installation import ROLLED_BACK_MAX, Installation

FORMAT: Final = 1
_COUNTER_MAX = 2**32 - 1
_SHA256_LENGTH = 32


def dump(installation: Installation) -> bytes:
    """The record as octets."""
    key = installation.coordinator
    record = {
        "format": FORMAT,
        "state": installation.state.value,
        "outcome": installation.outcome.value,
        "home": installation.home,
        "running": installation.running,
        "images": [None if image is None else _image_fields(image) for image in installation.images],
        "bundle": None if installation.bundle is None else installation.bundle.hex(),
        "targetsVersion": installation.targets_version,
        "coordinator": None if key is None else [key.scheme.value, key.octets.hex()],
        "lastPhase": None if installation.last_phase is None else installation.last_phase.value,
        "releasedCounter": installation.released_counter,
        "boots": installation.boots,
        "erases": installation.erases,
        "erasesUnder": installation.erases_under,
        "rolledBack": [[bundle.hex(), version] for bundle, version in installation.rolled_back],
    }
    return json.dumps(record).encode()


def load(octets: bytes) -> Installation:
    """The record from its octets.

    Raises StorageFailure when it is damaged or of an unknown format; the caller's older copy may still be good.
    """
    try:
        record = json.loads(octets)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise StorageFailure("the installation's record has an unknown format")
        return _installation(record)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StorageFailure(f"the installation's record is damaged: {error!r}") from error


def _installation(record: dict[str, Any]) -> Installation:
    first, second = record["images"]
    key = record["coordinator"]
    bundle, phase = record["bundle"], record["lastPhase"]
    installation = Installation(
        images=(_image(first), _image(second)),
        state=EcuState(record["state"]),
        outcome=Outcome(record["outcome"]),
        home=_number(record["home"], 1),
        running=_number(record["running"], 1),
        bundle=None if bundle is None else _bundle(bundle),
        targets_version=_number(record["targetsVersion"]),
        coordinator=None if key is None else PublicKey(Scheme(key[0]), bytes.fromhex(key[1])),
        last_phase=None if phase is None else Phase(phase),
        released_counter=_number(record["releasedCounter"]),
        boots=_number(record["boots"]),
        erases=_number(record["erases"]),
        erases_under=_number(record["erasesUnder"]),
        rolled_back=tuple((_bundle(each), _number(version)) for each, version in record["rolledBack"]),
    )
    _check_whole(installation)
    return installation


def _check_whole(installation: Installation) -> None:
    """What every record written by installation.py fulfils; ValueError when this one does not."""
    idle = installation.state in {EcuState.IDLE, EcuState.RELEASED}
    if installation.images[installation.home] is None or installation.images[installation.running] is None:
        raise ValueError("a slot that boots holds nothing known")
    if not idle and (installation.bundle is None or installation.images[installation.other] is None):
        raise ValueError("a transaction without a bundle or an image")
    if len(installation.rolled_back) > ROLLED_BACK_MAX:
        raise ValueError("too many bundles rolled back")


def _image_fields(image: InstalledImage) -> dict[str, Any]:
    return {
        "filename": image.filename,
        "length": image.length,
        "sha256": image.sha256.hex(),
        "releaseCounter": image.release_counter,
    }


def _image(fields: dict[str, Any] | None) -> InstalledImage | None:
    if fields is None:
        return None
    filename, sha256 = fields["filename"], bytes.fromhex(fields["sha256"])
    if not is_name(filename, FILENAME_LENGTH_MAX) or len(sha256) != _SHA256_LENGTH:
        raise ValueError("an image without a proper name and hash")
    return InstalledImage(Filename(filename), _number(fields["length"]), sha256, _number(fields["releaseCounter"]))


def _bundle(text: str) -> Bundle:
    octets = bytes.fromhex(text)
    if len(octets) != _SHA256_LENGTH:
        raise ValueError("a bundle is 32 octets")
    return Bundle(octets)


def _number(value: object, highest: int = _COUNTER_MAX) -> int:
    if type(value) is not int or not 0 <= value <= highest:
        raise ValueError(f"{value!r} is no number from 0 to {highest}")
    return value
