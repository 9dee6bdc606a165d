"""Private keys in files: PKCS#8 PEM, mode 0600, under a passphrase if one is given.

A hybrid key is two PEM blocks in one file, Ed25519 first. A file that others may read, or that somebody else owns, is
refused before its content is looked at. Passphrases come from a file or from a prompt, never from the command line,
where every user of the machine could read them.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from base64 import b64encode
from getpass import getpass
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from uptane.crypto import LocalSigner, Private, generate, signer_of
from uptane.errors import StorageFailure
from uptane.model.signed import Scheme
from uptane.shell.files import sync
from uptane.shell.pkcs8 import ROUNDS, encrypted

MODE = 0o600
FILE_LENGTH_MAX = 16_384  # octets; a hybrid key under a passphrase takes 700
PASSPHRASE_LENGTH_MAX = 1_024

_BLOCK = re.compile(
    rb"-----BEGIN (ENCRYPTED )?PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\r\n]+-----END \1?PRIVATE KEY-----\r?\n?", re.ASCII
)


class KeyFailure(StorageFailure):
    """A key or passphrase file cannot be used."""


class Exposed(KeyFailure):
    """Others may read the file, or it belongs to somebody else."""


class WrongPassphrase(KeyFailure):
    """The passphrase does not open the key; or there is one where none is needed, or none where one is."""


class NoKey(KeyFailure):
    """What the file holds is no private key of a scheme we know, or is damaged."""


def create(path: Path, passphrase: bytes | None, scheme: Scheme = Scheme.ED25519) -> LocalSigner:
    """Make a key and keep it at `path`, which must not exist yet; raise StorageFailure if it cannot be kept."""
    signer = generate(scheme)
    save(path, signer, passphrase)
    return signer


def save(path: Path, signer: LocalSigner, passphrase: bytes | None, *, rounds: int = ROUNDS) -> None:
    """Keep a signer's private half at `path`, durably; raise StorageFailure if it exists or cannot be written."""
    text = b"".join(_pem(key, passphrase, rounds) for key in signer.private)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    except FileExistsError:
        raise KeyFailure(f"{path}: exists already; a key is never overwritten") from None
    except OSError as error:
        raise KeyFailure(f"{path}: {error.strerror}") from error
    try:
        with open(descriptor, "wb", closefd=True) as stream:  # noqa: PTH123  (opened with its mode above)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        sync(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise KeyFailure(f"{path}: {error.strerror}") from error


def load(path: Path, passphrase: bytes | None) -> LocalSigner:
    """The signer whose key is at `path`; raise Exposed, WrongPassphrase, NoKey, or KeyFailure if it is not there."""
    return read(path, _guarded(path, FILE_LENGTH_MAX), passphrase)


def read(path: Path, text: bytes, passphrase: bytes | None = None) -> LocalSigner:
    """The signer whose key is `text`, which was read from `path` before; raise WrongPassphrase or NoKey."""
    blocks = list(_BLOCK.finditer(text))
    if not blocks or b"".join(block.group() for block in blocks) != text:
        raise NoKey(f"{path}: not a PKCS#8 private key in PEM form, or damaged")
    keys = tuple(_private(path, block, passphrase) for block in blocks)
    try:
        return signer_of(keys)
    except ValueError as error:
        raise NoKey(f"{path}: {error}") from None


def passphrase(file: Path | None, *, prompt: str = "Passphrase", confirm: bool = False) -> bytes:
    """The passphrase: the first line of `file`, or asked at the terminal (twice to `confirm` a new one).

    Raise KeyFailure if there is none to be had: an empty one, a file others may read, no terminal.
    """
    if file is not None:
        line = _guarded(file, PASSPHRASE_LENGTH_MAX).split(b"\n", 1)[0].removesuffix(b"\r")
        if not line:
            raise KeyFailure(f"{file}: the first line, which should be the passphrase or PIN, is empty")
        return line
    if not sys.stdin.isatty():
        raise KeyFailure("no terminal to ask for a passphrase: name a file that holds it")
    answer = getpass(f"{prompt}: ")
    if confirm and getpass(f"{prompt}, again: ") != answer:
        raise KeyFailure("the two passphrases differ")
    if not answer:
        raise KeyFailure("the passphrase is empty")
    return answer.encode()


def _pem(key: Private, passphrase: bytes | None, rounds: int) -> bytes:
    """One PEM block."""
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    label = b"PRIVATE KEY"
    if passphrase is not None:
        assert passphrase
        der, label = encrypted(der, passphrase, rounds), b"ENCRYPTED PRIVATE KEY"
    text = b64encode(der)
    lines = b"\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return b"-----BEGIN " + label + b"-----\n" + lines + b"\n-----END " + label + b"-----\n"


def _private(path: Path, block: re.Match[bytes], passphrase: bytes | None) -> object:
    """The key of one PEM block."""
    under_passphrase = block.group(1) is not None
    if under_passphrase and passphrase is None:
        raise WrongPassphrase(f"{path}: the key needs a passphrase")
    if not under_passphrase and passphrase is not None:
        raise WrongPassphrase(f"{path}: the key is not protected by a passphrase, though one was given")
    try:
        return load_pem_private_key(block.group(), passphrase)
    except (ValueError, UnsupportedAlgorithm):
        if under_passphrase:
            raise WrongPassphrase(f"{path}: the passphrase is wrong, or the file is damaged") from None
        raise NoKey(f"{path}: damaged, or a key of a kind not known here") from None


def _guarded(path: Path, length_max: int) -> bytes:
    """A file that only its owner, who is us or root, may read. Pipes carry passphrases too: `<(pass show ...)`."""
    try:
        with path.open("rb") as stream:
            _judge(path, stream)
            octets = stream.read(length_max + 1)
    except OSError as error:
        raise KeyFailure(f"{path}: {error.strerror}") from error
    if len(octets) > length_max:
        raise NoKey(f"{path}: longer than {length_max} octets")
    return octets


def _judge(path: Path, stream: BinaryIO) -> None:
    """Raise Exposed if others have a say in an open file; the file is open already, so it cannot be exchanged."""
    status = os.fstat(stream.fileno())
    if not stat.S_ISREG(status.st_mode):
        return
    if status.st_mode & 0o077:
        raise Exposed(f"{path}: mode {stat.S_IMODE(status.st_mode):04o} lets others at it; it must be 0600 (chmod 600)")
    if status.st_uid not in {os.geteuid(), 0}:
        raise Exposed(
            f"{path}: belongs to user {status.st_uid}, not to the user who runs this ({os.geteuid()}); chown it"
        )
