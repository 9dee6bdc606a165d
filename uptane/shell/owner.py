"""Root becomes, for good, the user whose board this is, before anything that user wrote is obeyed.

Kept apart, as each command needs it and few need what enrolment loads.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from uptane.shell.settings import SettingsError, provisioned_folder

_ROOT = 0


def become_owner_of(file: Path) -> None:
    """Be for good, if we are root, the user whose folder a board's settings name; where there is none, who we are.

    What root did in that folder, the service could not read afterwards; and what the folder's own settings have run, a
    self-test or a hook, must not be root's: who takes the service over would have the board.

    Raises:
        SettingsError: settings or folder are root's, and others may write there.
    """
    become_owner_of_settings(file)
    if os.geteuid() != _ROOT:
        return
    try:
        folder = provisioned_folder(file)
        status = folder.stat()
    except (SettingsError, OSError):
        return  # as below
    _be(status)
    if os.geteuid() == _ROOT:
        _refuse_writable(folder, status)


def become_owner_of_settings(file: Path) -> None:
    """Be for good, if we are root, the user whose the settings file or its folder is: it may say what root would run.

    Raises:
        SettingsError: it is root's, and others may write it.
    """
    try:
        aim = file.resolve()
        for path in (file.parent, file, aim.parent, aim):
            _be(path.lstat() if path is file else path.stat())
        if os.geteuid() == _ROOT:
            _refuse_writable(aim, aim.stat())
    except (OSError, RuntimeError):  # the second: links that lead to each other
        return  # whoever reads the settings next says what is wrong with them


def _be(status: os.stat_result) -> None:
    """Be whose that is, for good; who is not root stays."""
    if os.geteuid() != _ROOT or status.st_uid == _ROOT:
        return
    os.setgroups(_groups_of(status.st_uid, status.st_gid))
    os.setresgid(status.st_gid, status.st_gid, status.st_gid)
    os.setresuid(status.st_uid, status.st_uid, status.st_uid)


def _refuse_writable(path: Path, status: os.stat_result) -> None:
    others = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid != _ROOT)
    if others:
        raise SettingsError(
            f"{path} is root's, and others may write there: they would say what root runs; "
            "chown it to the service's user, or chmod go-w"
        )


def _groups_of(user: int, group: int) -> list[int]:
    """The groups of a user, who may reach a token by one of them (tss has the TPM); none of somebody without a name."""
    try:
        return os.getgrouplist(pwd.getpwuid(user).pw_name, group)
    except KeyError:
        return []
