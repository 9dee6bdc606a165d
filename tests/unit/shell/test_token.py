"""Settings of a token, and what SoftHSM cannot show: PINs that lock, a TPM without Ed25519, tokens that fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from uptane.crypto import valid
from uptane.errors import SignerFailure
from uptane.model.signed import Scheme
from uptane.shell.pkcs11 import TokenRefused, TokenSettings
from uptane.shell.settings import SettingsError, read, read_board
from uptane.shell.token import TokenSigner, own_token_key, token_setting

MESSAGE = b"MARQUE-1\0" + bytes(64)
TABLE = """
[token]
module = "/usr/lib/token.so"
token = "ecu token"
key = "ecu"
pin = "/etc/marque/pin"
"""


# ----------------------------------------------------------------------------------------------------------- settings


def setting(tmp_path: Path, text: str) -> TokenSettings | None:
    file = tmp_path / "primary.toml"
    file.write_text(text)
    return token_setting(read(file))


def test_no_table_no_token(tmp_path: Path) -> None:
    assert setting(tmp_path, "vehicle = 'V'") is None


def test_a_whole_table_with_and_without_a_scheme(tmp_path: Path) -> None:
    found = setting(tmp_path, TABLE)
    assert found == TokenSettings(Path("/usr/lib/token.so"), "ecu token", "ecu", Path("/etc/marque/pin"))
    assert found is not None
    chosen = setting(tmp_path, TABLE + 'scheme = "p256"')
    assert chosen is not None
    assert (found.scheme, chosen.scheme) == (None, Scheme.P256)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TABLE.replace('pin = "/etc/marque/pin"', ""), "token.pin is missing"),
        (TABLE.replace('module = "/usr/lib/token.so"', ""), "token.module is missing"),
        (TABLE.replace('"ecu token"', f'"{"x" * 33}"'), "expected at most 32 octets"),
        (TABLE + 'scheme = "rsa"', 'expected "ed25519" or "p256"'),
        (TABLE + 'user_pin = "1234"', "token.user_pin: unknown key"),
        ("token = 1", "expected a table: \\[token\\]"),
    ],
)
def test_a_table_with_something_wrong(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        setting(tmp_path, text)


def test_a_board_takes_no_module_from_what_was_provisioned(tmp_path: Path) -> None:
    """It belongs to the service's user; a doctor that root runs would load it."""
    board, below = tmp_path / "primary.toml", tmp_path / "ecu"
    below.mkdir()
    board.write_text(f'provisioned = "{below}"\n' + TABLE)
    (below / "config.toml").write_text("vehicle = 'V'\n")
    assert token_setting(read_board(board)) is not None
    for name in ("module", "pin"):
        line = next(line for line in TABLE.splitlines() if line.startswith(name))
        board.write_text(f'provisioned = "{below}"\n' + TABLE.replace(line, ""))
        (below / "config.toml").write_text(f"[token]\n{line}\n")
        with pytest.raises(SettingsError, match=rf"config.toml: token.{name} may not stand here; move it to .*primary"):
            token_setting(read_board(board))


# ------------------------------------------------------------------------------------------------------ another token


class FakeError(Exception):
    """As PyKCS11Error: CKR in `value`."""

    def __init__(self, value: int) -> None:
        super().__init__(f"CKR {value:#x}")
        self.value = value


class FakeToken:
    """A token as a TPM has it, P-256 only, whose keys are here; it counts the tries at its PIN."""

    def __init__(self, scalar: int = 7) -> None:
        self.flags = 0
        self.tries = 0
        self.login: int | None = None
        self.keys: dict[bytes, EllipticCurvePrivateKey] = {}
        self.sign_fails: list[int] = []
        self.spoilt = False
        self.next = scalar


def fake_module(token: FakeToken) -> object:
    def login(pin: str) -> None:
        token.tries += 1
        if token.login is not None:
            raise FakeError(token.login)

    def find(template: Sequence[tuple[int, object]]) -> list[object]:
        return list(token.keys)

    def attributes(handle: bytes, kinds: Sequence[int]) -> list[object]:
        numbers = token.keys[handle].public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        known = {0x100: 3, 0x102: handle, 0x103: True, 0x162: False, 0x181: numbers}  # the point without its envelope
        return [known[kind] for kind in kinds]

    def generate(public: object, private: object, how: int) -> tuple[object, object]:
        if how != 0x1040:
            raise FakeError(0x70)
        token.keys[b"id"] = derive_private_key(token.next, SECP256R1())
        return b"id", b"id"

    def sign(handle: bytes, data: bytes, how: int) -> bytes:
        if token.sign_fails:
            raise FakeError(token.sign_fails.pop(0))
        assert how == 0x1041
        assert len(data) == 32
        made = token.keys[handle].sign(bytes(32) if token.spoilt else data, ECDSA(Prehashed(SHA256())))
        return b"".join(number.to_bytes(32) for number in decode_dss_signature(made))

    def slots(*, tokenPresent: bool) -> list[int]:  # noqa: N803  (PyKCS11's)
        return [1]

    session = SimpleNamespace(
        login=login,
        findObjects=find,
        getAttributeValue=attributes,
        generateKeyPair=generate,
        sign=sign,
        closeSession=lambda: None,
    )
    library = SimpleNamespace(
        load=lambda path: None,
        lib=SimpleNamespace(Unload=lambda: None),
        getSlotList=slots,
        getTokenInfo=lambda slot: SimpleNamespace(label="ecu token".ljust(32), flags=token.flags),
        getMechanismList=lambda slot: ["CKM_EC_KEY_PAIR_GEN", "CKM_ECDSA"],
        openSession=lambda slot, flags: session,
    )
    return SimpleNamespace(PyKCS11Error=FakeError, PyKCS11Lib=lambda: library, Mechanism=lambda number: number)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> FakeToken:
    made = FakeToken()
    monkeypatch.setitem(sys.modules, "PyKCS11", fake_module(made))
    return made


@pytest.fixture
def settings(tmp_path: Path) -> TokenSettings:
    (tmp_path / "pin").write_text("4321\n")
    (tmp_path / "pin").chmod(0o600)
    (tmp_path / "token.so").touch()
    return TokenSettings(tmp_path / "token.so", "ecu token", "ecu", tmp_path / "pin")


def test_a_token_without_ed25519_makes_a_p256_key(token: FakeToken, settings: TokenSettings) -> None:
    public, made = own_token_key(settings)
    assert (public.scheme, made) == (Scheme.P256, True)
    signer = TokenSigner(settings)
    for number in range(20):
        message = MESSAGE + sha256(bytes([number])).digest()
        assert valid(public, message, signer.sign(message))


def test_a_token_that_cannot_make_what_the_settings_say(token: FakeToken, settings: TokenSettings) -> None:
    wanted = TokenSettings(settings.module, settings.token, settings.key, settings.pin, Scheme.ED25519)
    with pytest.raises(TokenRefused, match=r"makes no ed25519 key: CKR 0x70; set \[token\] scheme"):
        own_token_key(wanted)
    assert not token.keys


def locked(token: FakeToken) -> None:
    token.flags = 0x40000


def one_left(token: FakeToken) -> None:
    token.flags = 0x20000


def answers(code: int) -> Callable[[FakeToken], None]:
    def judge(token: FakeToken) -> None:
        token.login = code

    return judge


@pytest.mark.parametrize(
    ("judge", "told"),
    [
        (locked, "is locked after too many wrong tries; unlock it as its security officer"),
        (one_left, "one try at the PIN of token ecu token is left, and is not spent here; correct"),
        (answers(0xA4), "is locked after too many wrong tries"),
        (answers(0xA0), "does not hold the PIN of token ecu token"),
        (answers(0xA3), "wants a new PIN"),
        (answers(0x102), "wants a new PIN"),
    ],
)
def test_a_pin_that_is_not_taken_is_never_tried_twice(
    token: FakeToken, settings: TokenSettings, judge: Callable[[FakeToken], None], told: str
) -> None:
    own_token_key(settings)
    token.tries = 0
    judge(token)
    with pytest.raises(TokenRefused, match=told):
        TokenSigner(settings)
    assert token.tries == (0 if token.flags else 1)


def test_a_session_lost_once_is_opened_again_and_lost_twice_it_is_said(
    token: FakeToken, settings: TokenSettings
) -> None:
    own_token_key(settings)
    signer = TokenSigner(settings)
    token.sign_fails = [0xB3]
    assert valid(signer.public, MESSAGE, signer.sign(MESSAGE))
    token.sign_fails = [0x30, 0x30]
    with pytest.raises(SignerFailure, match="token ecu token does not answer: CKR 0x30"):
        signer.sign(MESSAGE)


def test_a_token_exchanged_for_another_with_its_label(token: FakeToken, settings: TokenSettings) -> None:
    own_token_key(settings)
    signer = TokenSigner(settings)
    token.keys[b"id"] = derive_private_key(8, SECP256R1())
    token.sign_fails = [0xE0]
    with pytest.raises(SignerFailure, match="was exchanged: its key is another"):
        signer.sign(MESSAGE)


def test_a_token_that_signs_wrongly(token: FakeToken, settings: TokenSettings) -> None:
    own_token_key(settings)
    signer = TokenSigner(settings)
    token.spoilt = True
    with pytest.raises(SignerFailure, match="is not signed by its public half"):
        signer.sign(MESSAGE)
    with pytest.raises(SignerFailure, match="is not signed by its public half"):
        TokenSigner(settings)
