"""Enrolment of a Secondary at its board: its private key is made here; what provisioning wrote is put in place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from secondary.shell.config import load
from uptane.shell import enrolment
from uptane.shell.key_text import as_text
from uptane.shell.owner import become_owner_of, become_owner_of_settings
from uptane.shell.settings import provisioned_folder

ECU_KEY: Final = "keys/ecu.pem"
PRIVATE: Final = {ECU_KEY: ("paths", "key")}


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What there is now: the key's public half, and where everything was put, if it was."""

    public_key: str
    made: bool
    folder: Path | None

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        folder = None if self.folder is None else str(self.folder)
        return {"public_key": self.public_key, "made": self.made, "folder": folder}


def enrol(file: Path, source: Path | None) -> Enrolled:
    """Make the key if there is none; put the files of `source` in place if it is named.

    Raises:
        EnrolmentRefused: they are not for this board.
        SettingsError, StorageFailure, SignerFailure: as their names say.
    """
    become_owner_of_settings(file)
    folder = enrolment.home(provisioned_folder(file))
    files = None if source is None else enrolment.brought(source)  # by root: a stick's folder may be nobody else's
    become_owner_of(file)
    private = enrolment.board_paths(file, folder, PRIVATE)
    token = enrolment.board_token(file)
    if source is not None and files is not None:
        enrolment.judge(folder, source, files, private)
        enrolment.judge_token(source, files, ECU_KEY, token)
        enrolment.judge_key(source, files, ECU_KEY, enrolment.known_key(private[ECU_KEY], token))
        enrolment.put(folder, files, private)
        load(file)  # what was put there can be used, or the text says why not
    public, made = enrolment.own_key(private[ECU_KEY], token)
    return Enrolled(as_text(public), made, None if source is None else folder)
