"""Enrolment at the board's end: its private keys are made here, and what provisioning wrote is put in its place.

Run by root, it reads what was brought and then becomes the owner of the ECU's folder for good: every file is the
service's, nothing that the service could have put there makes root write elsewhere, and no token's module is run by
root. What is there of an earlier attempt is used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from uptane.errors import MarqueError, StorageFailure
from uptane.model.signed import PublicKey
from uptane.shell import keys
from uptane.shell.files import sync
from uptane.shell.key_text import PUBLIC_KEY, key_setting
from uptane.shell.pkcs11 import TokenSettings
from uptane.shell.settings import PROVISIONED, PROVISIONED_FILE, Section, SettingsError, parsed, read
from uptane.shell.token import held_token_key, own_token_key, token_setting

FILE_LENGTH_MAX: Final = 80 * 1024 * 1024  # octets: the factory image is the largest; what an ECU reads at its start
FILES_MAX: Final = 1_000  # a full ECU has eleven, and one for each delegated role
_PUBLIC: Final = 0o644
_PRIVATE: Final = 0o600
_FOLDER: Final = 0o700
_OWN: Final = frozenset({"state", "slots"})
"""Folders of an ECU that ran where it was provisioned: no part of what it starts from."""


class EnrolmentRefused(MarqueError):
    """What was brought does not belong on this board; the text says why, and what to do."""


def home(folder: Path) -> Path:
    """The ECU's folder, if it is there. Raises StorageFailure."""
    try:
        folder.stat()
    except OSError as error:
        raise StorageFailure(f"{folder}: {error.strerror}; install the package first, or make it") from error
    return folder


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


def known_key(path: Path, token: TokenSettings | None) -> PublicKey | None:
    """The public half of this ECU's key, if it has one already. Raises as `own_key`."""
    if token is not None:
        return held_token_key(token)
    return keys.load(path, None).public if path.exists() else None


def brought(source: Path) -> dict[str, bytes]:
    """The files of a folder that provisioning wrote, by their paths in it; nothing that lies elsewhere is followed.

    Raises:
        EnrolmentRefused: it is no such folder.
        StorageFailure: a file cannot be read.
    """
    try:
        if not (source / PROVISIONED_FILE).is_file():
            raise EnrolmentRefused(
                f"{source}: no {PROVISIONED_FILE} in it; name the ECU's own folder below provision --out"
            )
        return dict(_walked(source))
    except OSError as error:
        raise StorageFailure(f"{error.filename or source}: {error.strerror}") from error


def _walked(source: Path) -> Iterator[tuple[str, bytes]]:
    """Each file's path in the folder, and what it holds."""
    count = 0
    for place, folders, names, descriptor in os.fwalk(source, onerror=_raise):
        inside = Path(place).relative_to(source)
        if not inside.parts:
            folders[:] = [name for name in folders if name not in _OWN]
        for name in sorted((*names, *folders)):
            path = source / inside / name
            if stat.S_ISLNK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                raise EnrolmentRefused(
                    f"{path} is a symbolic link; provisioning writes none: put the file itself there"
                )
            if name in folders:
                continue
            if count == FILES_MAX:
                raise EnrolmentRefused(f"{path}: more files than provisioning writes; name the ECU's own folder")
            count += 1
            yield (inside / name).as_posix(), _octets(path, name, descriptor)


def _raise(error: OSError) -> None:
    raise error


def _octets(path: Path, name: str, folder: int) -> bytes:
    """What a file holds, `name` in the open `folder`; a link that has just been put there is not followed."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with open(descriptor, "rb", closefd=True) as stream:  # noqa: PTH123  (opened in its folder above)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise EnrolmentRefused(f"{path} is no file; name the ECU's own folder")
            octets = stream.read(FILE_LENGTH_MAX + 1)
    except OSError as error:
        raise StorageFailure(f"{path}: {error.strerror}") from error
    if len(octets) > FILE_LENGTH_MAX:
        raise EnrolmentRefused(f"{path}: larger than what provisioning writes; name the ECU's own folder")
    return octets


def judge(folder: Path, source: Path, files: Mapping[str, bytes], private: Mapping[str, Path]) -> None:
    """Refuse what is for another ECU, and a private key beside one that was made here.

    `private` names where this board keeps what `files` may bring of private keys.

    Raises:
        EnrolmentRefused: the text says which, and what to do.
        SettingsError: one of the two config.toml cannot be read.
    """
    known = folder / PROVISIONED_FILE
    if known.exists() and (before := _who(read(known))) != (now := _who(_settings(source, files))):
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


def judge_key(source: Path, files: Mapping[str, bytes], key: str, own: PublicKey | None) -> None:
    """Refuse a folder for an ECU with another key than `own`, the board's; what was brought at `key` is its, too.

    Older provisioning did not say whose key it is; such a folder is taken.

    Raises:
        EnrolmentRefused: the text says which ECU it is for, and what to do.
        SettingsError, KeyFailure: its config.toml, or the key in it, cannot be read.
    """
    top = _settings(source, files)
    if not top.has(PUBLIC_KEY):
        return
    ecu, vehicle = _who(top)
    named = key_setting(top, PUBLIC_KEY)
    if key in files:
        if keys.read(source / key, files[key]).public != named:
            raise EnrolmentRefused(
                f"{source / key} is not the key that {PROVISIONED_FILE} beside it names; provision again"
            )
    elif own != named:
        whose = "another key than this board's" if own is not None else "a key that this board does not have"
        raise EnrolmentRefused(
            f"{source} is for {whose}: it is for {ecu} of {vehicle}. Take this board's own folder; if it is to be "
            f"{ecu}, run enrol without --from, and `marque-director provision` with --exchange {ecu} and the public "
            "key it says"
        )


def board_token(file: Path) -> TokenSettings | None:
    """The token that the board's own settings name, if any. Raises SettingsError."""
    top = read(file)
    if top.has("token") and not top.has(PROVISIONED) and file.name == PROVISIONED_FILE:
        raise SettingsError(
            f"{file}: [token] may not stand here, for what was provisioned may not say what is loaded; move it to the "
            "board's own settings, and name those with --config"
        )
    return token_setting(top)


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


def _settings(source: Path, files: Mapping[str, bytes]) -> Section:
    """What was brought of settings, as it was read: root may be somebody else by now, who cannot read it again."""
    return parsed(files[PROVISIONED_FILE], source / PROVISIONED_FILE)


def _who(top: Section) -> tuple[str, str]:
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
