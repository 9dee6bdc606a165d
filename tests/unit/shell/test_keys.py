"""Key files: what is kept is loaded; what is exposed, damaged or locked is refused, each with its own error."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from uptane.crypto import Ed25519Signer, generate, valid
from uptane.model.signed import Scheme
from uptane.shell import keys
from uptane.shell.keys import Exposed, KeyFailure, NoKey, WrongPassphrase
from uptane.shell.pkcs8 import ROUNDS

PASSPHRASE = b"correct horse"
ROUNDS_OF_TESTS = 1_000


def openssl(*arguments: str | Path) -> str:
    """What the OpenSSL command prints; the test is skipped where there is none."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True, timeout=60).stdout


def kept(path: Path, scheme: Scheme = Scheme.ED25519, passphrase: bytes | None = None) -> Path:
    keys.save(path, generate(scheme), passphrase, rounds=ROUNDS_OF_TESTS)
    return path


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE], ids=["bare", "under a passphrase"])
@pytest.mark.parametrize("scheme", Scheme)
def test_what_is_kept_is_loaded(scheme: Scheme, passphrase: bytes | None, tmp_path: Path) -> None:
    signer = generate(scheme)
    keys.save(tmp_path / "key.pem", signer, passphrase, rounds=ROUNDS_OF_TESTS)
    again = keys.load(tmp_path / "key.pem", passphrase)
    assert again.public == signer.public
    assert again.key_id == signer.key_id
    assert valid(signer.public, b"message", again.sign(b"message"))


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    before = os.umask(0)
    try:
        signer = keys.create(path, None)
    finally:
        os.umask(before)
    assert signer.public.scheme is Scheme.ED25519
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    octets = path.read_bytes()
    with pytest.raises(KeyFailure, match="exists already"):
        keys.create(path, None)
    assert path.read_bytes() == octets


def test_a_passphrase_costs_an_attacker_600_000_rounds(tmp_path: Path) -> None:
    keys.create(tmp_path / "key.pem", PASSPHRASE)
    listing = openssl("asn1parse", "-in", tmp_path / "key.pem")
    assert f"{ROUNDS:06X}" in listing
    assert all(word in listing for word in ("PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc"))


@pytest.mark.parametrize("scheme", [Scheme.ED25519, Scheme.P256])
def test_everybody_s_tool_reads_it(scheme: Scheme, tmp_path: Path) -> None:
    path = kept(tmp_path / "key.pem", scheme, PASSPHRASE)
    printed = openssl("pkey", "-in", path, "-passin", f"pass:{PASSPHRASE.decode()}", "-noout", "-text_pub")
    octets = "".join(line.strip().replace(":", "") for line in printed.splitlines() if line.startswith("    "))
    public = keys.load(path, PASSPHRASE).public.octets
    assert public[-32:].hex() in octets


def test_a_key_made_by_everybody_s_tool_is_read(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", path)
    path.chmod(0o600)
    assert isinstance(keys.load(path, None), Ed25519Signer)


# Refused


@pytest.mark.parametrize(("kept_under", "given"), [(PASSPHRASE, b"wrong"), (PASSPHRASE, None), (None, PASSPHRASE)])
@pytest.mark.parametrize("scheme", [Scheme.ED25519, Scheme.ED25519_ML_DSA_44])
def test_the_wrong_passphrase(scheme: Scheme, kept_under: bytes | None, given: bytes | None, tmp_path: Path) -> None:
    path = kept(tmp_path / "key.pem", scheme, kept_under)
    with pytest.raises(WrongPassphrase, match=r"key\.pem"):
        keys.load(path, given)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o610, 0o777])
def test_a_key_that_others_may_use(mode: int, tmp_path: Path) -> None:
    path = kept(tmp_path / "key.pem")
    path.chmod(mode)
    with pytest.raises(Exposed, match=f"{mode:04o}.*chmod 600"):
        keys.load(path, None)
    path.chmod(0o400)
    keys.load(path, None)


def test_a_key_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kept(tmp_path / "key.pem")
    other = path.stat().st_uid + 1000
    monkeypatch.setattr(os, "geteuid", lambda: other)
    if path.stat().st_uid == 0:
        keys.load(path, None)  # root's keys are as safe as the machine
        monkeypatch.setattr(keys.os, "fstat", lambda _: os.stat_result((0o100600, 0, 0, 1, other + 1, 0, 0, 0, 0, 0)))  # type: ignore[attr-defined]
    with pytest.raises(Exposed, match="belongs to user"):
        keys.load(path, None)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_truncated_or_damaged_file(passphrase: bytes | None, tmp_path: Path) -> None:
    octets = kept(tmp_path / "whole.pem", passphrase=passphrase).read_bytes()
    path = tmp_path / "key.pem"
    path.touch(mode=0o600)
    damaged = [octets[:length] for length in range(0, len(octets) - 1, 7)]
    damaged += [octets[:70] + b"!" + octets[71:], octets + b"more", b"comment\n" + octets, octets[1:], b"\xff" * 200]
    for wrong in damaged:
        path.write_bytes(wrong)
        with pytest.raises(NoKey):
            keys.load(path, passphrase)
    body = octets.index(b"\n") + 10
    for at in range(body, body + 40):
        path.write_bytes(octets[:at] + (b"A" if octets[at : at + 1] != b"A" else b"B") + octets[at + 1 :])
        try:
            keys.load(path, passphrase)
        except (NoKey, WrongPassphrase):
            continue


@pytest.mark.parametrize(
    "make",
    [X25519PrivateKey.generate, Ed448PrivateKey.generate, lambda: generate_private_key(SECP384R1())],
    ids=["X25519", "Ed448", "P-384"],
)
def test_a_key_of_another_kind(make: Callable[[], Any], tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.touch(mode=0o600)
    path.write_bytes(make().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(NoKey):
        keys.load(path, None)


def test_two_keys_that_are_no_hybrid(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.touch(mode=0o600)
    path.write_bytes(kept(tmp_path / "a").read_bytes() + kept(tmp_path / "b").read_bytes())
    with pytest.raises(NoKey, match="no key of ours"):
        keys.load(path, None)


def test_what_is_not_there_or_no_file_or_endless(tmp_path: Path) -> None:
    with pytest.raises(KeyFailure, match="No such file"):
        keys.load(tmp_path / "missing.pem", None)
    with pytest.raises(KeyFailure, match="directory"):
        keys.load(tmp_path, None)
    with pytest.raises(KeyFailure, match="No such file"):
        keys.create(tmp_path / "missing" / "key.pem", None)
    (tmp_path / "long.pem").touch(mode=0o600)
    (tmp_path / "long.pem").write_bytes(bytes(keys.FILE_LENGTH_MAX + 1))
    with pytest.raises(NoKey, match="longer"):
        keys.load(tmp_path / "long.pem", None)


def test_a_link_is_not_followed_when_a_key_is_made(tmp_path: Path) -> None:
    (tmp_path / "link.pem").symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(KeyFailure):
        keys.create(tmp_path / "link.pem", None)
    assert not (tmp_path / "elsewhere.pem").exists()


def test_a_full_disk_leaves_no_half_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(KeyFailure, match="No space left"):
            keys.create(tmp_path / "key.pem", None)
    assert not list(tmp_path.iterdir())
    keys.create(tmp_path / "key.pem", None)


# Passphrases


@pytest.mark.parametrize("content", [b"secret", b"secret\n", b"secret\r\n", b"secret\nsecond line\n"])
def test_a_passphrase_is_the_first_line_of_its_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    path.write_bytes(content)
    assert keys.passphrase(path) == b"secret"


def test_a_passphrase_file_that_is_empty_exposed_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    with pytest.raises(KeyFailure, match="empty"):
        keys.passphrase(path)
    path.write_bytes(b"secret\n")
    path.chmod(0o644)
    with pytest.raises(Exposed):
        keys.passphrase(path)
    with pytest.raises(KeyFailure, match="No such file"):
        keys.passphrase(tmp_path / "missing")


def test_a_passphrase_may_come_through_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"secret\n")
    os.close(writing)
    try:
        assert keys.passphrase(Path(f"/proc/self/fd/{reading}")) == b"secret"
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    ("answers", "result"), [(["secret", "secret"], b"secret"), (["secret", "Secret"], "differ"), (["", ""], "empty")]
)
def test_a_new_passphrase_is_asked_for_twice(
    answers: list[str], result: bytes | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    left = iter(answers)
    monkeypatch.setattr(keys, "getpass", lambda _prompt: next(left))
    if isinstance(result, bytes):
        assert keys.passphrase(None, confirm=True) == result
        return
    with pytest.raises(KeyFailure, match=result):
        keys.passphrase(None, confirm=True)


def test_a_known_passphrase_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "secret"

    monkeypatch.setattr(keys, "getpass", answer)
    assert keys.passphrase(None, prompt="Passphrase of the key") == b"secret"
    assert asked == ["Passphrase of the key: "]


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(present=False))
    with pytest.raises(KeyFailure, match="no terminal"):
        keys.passphrase(None)


class Terminal:
    """Standard input that is, or is not, a terminal."""

    def __init__(self, *, present: bool = True) -> None:
        self.present = present

    def isatty(self) -> bool:
        return self.present
