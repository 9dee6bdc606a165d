"""Enrolment at the board's end: its private keys are made here, and what provisioning wrote is put in its place.

Run by root, it becomes the owner of the ECU's folder first, so that every file is the service's, and nothing that the
service could have put there makes root write elsewhere. What is there of an earlier attempt is used.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from uptane.errors import MarqueError, StorageFailure
from uptane.model.signed import PublicKey
from uptane.shell import keys
from uptane.shell.files import sync
from uptane.shell.pkcs11 import TokenSettings
from uptane.shell.settings import PROVISIONED_FILE, SettingsError, provisioned_folder, read
from uptane.shell.token import own_token_key, token_setting

FILE_LENGTH_MAX: Final = 80 * 1024 * 1024  # octets: the factory image is the largest; what an ECU reads at its start
FILES_MAX: Final = 1_000  # a full ECU has eleven, and one for each delegated role
_PUBLIC: Final = 0o644
_PRIVATE: Final = 0o600
_FOLDER: Final = 0o700


class EnrolmentRefused(MarqueError):
    """What was brought does not belong on this board; the text says why, and what to do."""


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Be the user whose folder this is, if we are root; else, who we are.

    Raises:
        StorageFailure: there is no such folder.
    """
    try:
        status = folder.stat()
    except OSError as error:
        raise StorageFailure(f"{folder}: {error.strerror}; install the package first, or make it") from error
    if os.geteuid() != 0 or status.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(_groups_of(status.st_uid, status.st_gid))
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def become_owner_of(file: Path) -> None:
    """Be for good, if we are root, the user whose folder a board's settings name; where there is none, who we are.

    What root did in that folder, the service could not read afterwards; and what the folder's own settings have run, a
    self-test or a hook, must not be root's: who takes the service over would have the board.
    """
    try:
        folder = provisioned_folder(file)
        status = folder.stat()
    except (SettingsError, OSError):
        return  # whoever reads the settings next says what is wrong with them
    if os.geteuid() != 0 or status.st_uid == 0:
        return
    os.setgroups(_groups_of(status.st_uid, status.st_gid))
    os.setresgid(status.st_gid, status.st_gid, status.st_gid)
    os.setresuid(status.st_uid, status.st_uid, status.st_uid)


def own_key(path: Path, token: TokenSettings | None) -> tuple[PublicKey, bool]:
    """The public half of this ECU's key, in its token if it has one, and whether it was made just now.

    Raises:
        StorageFailure: it can be neither read nor made.
        TokenRefused, SignerFailure: so it is with the token.
    """
    if token is not None:
        return own_token_key(token)
    if path.exists():
        return keys.load(path, None).public, False
    make_private(path.parent)
    return keys.create(path, None).public, True


def _groups_of(user: int, group: int) -> list[int]:
    """The groups of a user, who may reach a token by one of them (tss has the TPM); none of somebody without a name."""
    try:
        return os.getgrouplist(pwd.getpwuid(user).pw_name, group)
    except KeyError:
        return []


def brought(source: Path) -> dict[str, bytes]:
    """The files of a folder that provisioning wrote, by their paths in it.

    Raises:
        EnrolmentRefused: it is no such folder.
        StorageFailure: a file cannot be read.
    """
    if not (source / PROVISIONED_FILE).is_file():
        raise EnrolmentRefused(
            f"{source}: no {PROVISIONED_FILE} in it; name the ECU's own folder below provision --out"
        )
    files: dict[str, bytes] = {}
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if not path.is_file() or inside.parts[0] in {"state", "slots"}:
            continue
        if len(files) == FILES_MAX or path.stat().st_size > FILE_LENGTH_MAX:
            raise EnrolmentRefused(f"{path}: more than provisioning writes; name the ECU's own folder")
        try:
            files[inside.as_posix()] = path.read_bytes()
        except OSError as error:
            raise StorageFailure(f"{path}: {error.strerror}") from error
    return files


def judge(folder: Path, source: Path, files: Mapping[str, bytes], private: Mapping[str, Path]) -> None:
    """Refuse what is for another ECU, and a private key beside one that was made here.

    `private` names where this board keeps what `files` may bring of private keys.

    Raises:
        EnrolmentRefused: the text says which, and what to do.
        SettingsError: one of the two config.toml cannot be read.
    """
    known = folder / PROVISIONED_FILE
    if known.exists() and (before := _who(known)) != (now := _who(source / PROVISIONED_FILE)):
        raise EnrolmentRefused(
            f"this board is {' of '.join(before)}, and the folder is for {' of '.join(now)}; to make it another ECU, "
            f"delete what is in {folder} first"
        )
    for name, path in private.items():
        if name in files and path.exists() and path.read_bytes() != files[name]:
            raise EnrolmentRefused(
                f"{source / name} is another key than the one that was made on this board; give the Director this "
                f"board's public half (run enrol without --from) and provision again"
            )


def board_token(file: Path) -> TokenSettings | None:
    """The token that the board's own settings name, if any. Raises SettingsError."""
    return token_setting(read(file))


def judge_token(source: Path, files: Mapping[str, bytes], key: str, token: TokenSettings | None) -> None:
    """Refuse a private key for a board whose own is in a token. Raises EnrolmentRefused."""
    if token is not None and key in files:
        raise EnrolmentRefused(
            f"{source / key} is a private key, and this board's is in token {token.token}; give the Director its "
            "public half (run enrol without --from) and provision again"
        )


def put(folder: Path, files: Mapping[str, bytes], private: Mapping[str, Path]) -> None:
    """Put files in place, each whole, and config.toml last: the service starts when it is there.

    Raises:
        StorageFailure: the disk does not take them; run it again when it does.
    """
    last = {PROVISIONED_FILE: files[PROVISIONED_FILE]}
    for name, octets in ({key: value for key, value in files.items() if key != PROVISIONED_FILE} | last).items():
        secret = name in private
        path = private.get(name, folder / name)
        _put(folder, path, octets, _PRIVATE if secret else _PUBLIC)


def make_private(folder: Path) -> None:
    """Make a folder that is its owner's alone. Raises StorageFailure."""
    try:
        folder.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        folder.chmod(_FOLDER)
    except OSError as error:
        raise StorageFailure(f"{folder}: {error.strerror}") from error


def _who(config: Path) -> tuple[str, str]:
    top = read(config)
    return top.id("ecu"), top.id("vehicle")


def _put(folder: Path, path: Path, octets: bytes, mode: int) -> None:
    fresh = folder / ".enrolling"
    try:
        path.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with open(descriptor, "wb", closefd=True) as stream:  # noqa: PTH123  (opened with its mode above)
            stream.write(octets)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StorageFailure(f"{path}: {error.strerror}") from error


def board_paths(file: Path, folder: Path, wanted: Mapping[str, tuple[str, str]]) -> dict[str, Path]:
    """Where a board keeps its private keys: name in the provisioned folder -> path, as `file` says or as usual.

    `wanted` gives table and key of the setting for each name, such as {"keys/ecu.pem": ("paths", "key")}.

    Raises:
        SettingsError: the file cannot be read.
    """
    top = read(file)
    tables = {table: top.section(table) for table, _ in wanted.values()}
    found = {name: tables[table].path(key, str(folder / name)) for name, (table, key) in wanted.items()}
    if any(not path.is_absolute() for path in found.values()):
        raise SettingsError(f"{file}: paths of keys have to be absolute")
    return found
