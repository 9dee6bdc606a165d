"""A session with a PKCS#11 token, by PyKCS11: the part of it we use, typed, and its errors told apart.

PyKCS11 is loaded when a token is asked for and not before: a board without one need not have it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol, cast

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from uptane.crypto import P256_ORDER
from uptane.errors import SignerFailure
from uptane.model.signed import PublicKey, Scheme
from uptane.shell import keys
from uptane.shell.settings import SettingsError

# The names and numbers of PKCS #11 3.0, so that they are known without the library.
_CKO_PUBLIC_KEY, _CKO_PRIVATE_KEY = 2, 3
_CKK_EC, _CKK_EC_EDWARDS = 3, 0x40
_CKA_CLASS, _CKA_TOKEN, _CKA_PRIVATE, _CKA_LABEL = 0, 1, 2, 3
_CKA_KEY_TYPE, _CKA_ID, _CKA_SENSITIVE, _CKA_SIGN, _CKA_VERIFY = 0x100, 0x102, 0x103, 0x108, 0x10A
_CKA_EXTRACTABLE, _CKA_EC_PARAMS, _CKA_EC_POINT = 0x162, 0x180, 0x181
_CKM_EC_KEY_PAIR_GEN, _CKM_ECDSA, _CKM_EC_EDWARDS_KEY_PAIR_GEN, _CKM_EDDSA = 0x1040, 0x1041, 0x1055, 0x1057
_CKF_RW_SESSION, _CKF_FINAL_TRY, _CKF_LOCKED = 2, 0x20000, 0x40000
_CKR_PIN: Final = frozenset((0xA0, 0xA1, 0xA2))  # incorrect, invalid, of a wrong length
_CKR_PIN_EXPIRED, _CKR_PIN_LOCKED, _CKR_ALREADY_LOGGED_IN, _CKR_NO_PIN_YET = 0xA3, 0xA4, 0x100, 0x102
_TRUE, _FALSE = 1, 0

_P256_OID: Final = bytes.fromhex("06082a8648ce3d030107")
_ED25519_NAME: Final = b"\x13\x0cedwards25519"
"""The curve by its name, which PKCS #11 3.0 has; the OID came later, and older tokens do not take it."""
_OCTET_STRING: Final = 4
_ID_LENGTH: Final = 16
TOKENS_SHOWN: Final = 8


class TokenRefused(SettingsError):
    """A token cannot be used until somebody does something about it; no restart mends that, or tries the PIN again."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}; {remedy}")


class TokenGone(SignerFailure):
    """A token does not answer, or is not there; it may come back."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}; {remedy}")


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Which key: the `module` that speaks to the token, the labels of token and key, and the file with the PIN.

    `scheme` is what `enrol` makes; None for Ed25519 where the token can, else P-256.
    """

    module: Path
    token: str
    key: str
    pin: Path
    scheme: Scheme | None = None


class _TokenInfo(Protocol):
    label: str
    flags: int


class _Session(Protocol):
    def login(self, pin: str) -> None: ...
    def closeSession(self) -> None: ...
    def findObjects(self, template: Sequence[tuple[int, object]]) -> list[object]: ...
    def getAttributeValue(self, obj_id: object, attr: Sequence[int]) -> list[Any]: ...
    def sign(self, key: object, data: bytes, mecha: object) -> Sequence[int]: ...
    def generateKeyPair(
        self, public: Sequence[tuple[int, object]], private: Sequence[tuple[int, object]], mecha: object
    ) -> tuple[object, object]: ...


class _LowLevel(Protocol):
    def Unload(self) -> object: ...


class _Library(Protocol):
    lib: _LowLevel

    def load(self, path: str) -> None: ...
    def getSlotList(self, tokenPresent: bool) -> list[int]: ...  # noqa: N803, FBT001
    def getTokenInfo(self, slot: int) -> _TokenInfo: ...
    def getMechanismList(self, slot: int) -> list[str]: ...
    def openSession(self, slot: int, flags: int) -> _Session: ...


class _PyKcs11(Protocol):
    PyKCS11Error: type[Exception]

    def PyKCS11Lib(self) -> _Library: ...
    def Mechanism(self, mechanism: int, param: None = None) -> object: ...


def _py_kcs11() -> _PyKcs11:
    try:
        import PyKCS11  # noqa: PLC0415  (a board without a token need not have it)
    except ImportError as error:
        raise TokenRefused(
            f"[token] is set, and PyKCS11 cannot be loaded ({error})",
            "apt-get install python3-pykcs11 (without the packages: pip install 'marque[token]')",
        ) from error
    return cast("_PyKcs11", PyKCS11)


class Token:
    """A token one is logged in to. Methods raise TokenRefused, or TokenGone when it does not answer."""

    def __init__(self, settings: TokenSettings, *, writing: bool = False) -> None:
        self._settings = settings
        self._api = _py_kcs11()
        self._library = self._loaded()
        try:
            self._slot, flags = self._found()
            self._session = self._logged_in(flags, writing=writing)
        except BaseException:
            self._unload()
            raise

    def close(self) -> None:
        """Leave the session and the module, which looks for tokens when it is loaded, and not again."""
        try:
            self._session.closeSession()
        except self._api.PyKCS11Error:
            pass  # it is gone already
        finally:
            self._unload()

    def _unload(self) -> None:
        """At once: left to the garbage collection it would happen later, and end what was opened meanwhile."""
        unload = getattr(self._library, "unload", None) or self._library.lib.Unload  # PyKCS11 before 1.5.17 has no own
        unload()

    def private(self) -> object | None:
        """The handle of the private key, if there is one."""
        settings = self._settings
        wanted = ((_CKA_CLASS, _CKO_PRIVATE_KEY), (_CKA_LABEL, settings.key))
        try:
            found = self._session.findObjects(wanted)
        except self._api.PyKCS11Error as error:
            raise self._gone(error) from error
        if len(found) > 1:
            raise TokenRefused(
                f"token {settings.token} has {len(found)} private keys labelled {settings.key}",
                "delete the wrong one (pkcs11-tool --login --list-objects shows them), or name another in [token] key",
            )
        return found[0] if found else None

    def public_of(self, private: object) -> PublicKey:
        """The public half of a private key, which has to be one that nobody can read out of the token."""
        settings = self._settings
        about = f"the key {settings.key} of token {settings.token}"
        another = (
            "name another in [token] key, and `enrol` makes one; a key in use is exchanged by provision --exchange"
        )
        try:
            kind, key_id, sensitive, extractable = self._session.getAttributeValue(
                private, (_CKA_KEY_TYPE, _CKA_ID, _CKA_SENSITIVE, _CKA_EXTRACTABLE)
            )
            found = self._session.findObjects(((_CKA_CLASS, _CKO_PUBLIC_KEY), (_CKA_ID, bytes(key_id))))
            points = [bytes(self._session.getAttributeValue(each, (_CKA_EC_POINT,))[0] or b"") for each in found]
        except self._api.PyKCS11Error as error:
            raise self._gone(error) from error
        if extractable or not sensitive:
            raise TokenRefused(f"{about} can be read out of it", another)
        if len(points) != 1:
            raise TokenRefused(f"{about} has {len(points) or 'no'} public halves with its id", another)
        public = _public(kind, points[0])
        if public is None:
            raise TokenRefused(f"{about} is neither Ed25519 nor P-256", another)
        return public

    def generate(self) -> None:
        """Make a key pair, whose private half never leaves."""
        scheme = self._settings.scheme or self._best()
        edwards = scheme is Scheme.ED25519
        label, key_id = (_CKA_LABEL, self._settings.key), (_CKA_ID, os.urandom(_ID_LENGTH))
        kind = (_CKA_KEY_TYPE, _CKK_EC_EDWARDS if edwards else _CKK_EC)
        curve = (_CKA_EC_PARAMS, _ED25519_NAME if edwards else _P256_OID)
        public = [(_CKA_CLASS, _CKO_PUBLIC_KEY), kind, (_CKA_TOKEN, _TRUE), (_CKA_VERIFY, _TRUE), curve, label, key_id]
        private = [
            *((_CKA_CLASS, _CKO_PRIVATE_KEY), kind, (_CKA_TOKEN, _TRUE), (_CKA_PRIVATE, _TRUE), (_CKA_SIGN, _TRUE)),
            *((_CKA_SENSITIVE, _TRUE), (_CKA_EXTRACTABLE, _FALSE), label, key_id),
        ]
        how = self._api.Mechanism(_CKM_EC_EDWARDS_KEY_PAIR_GEN if edwards else _CKM_EC_KEY_PAIR_GEN)
        try:
            self._session.generateKeyPair(public, private, how)
        except self._api.PyKCS11Error as error:
            raise TokenRefused(
                f"token {self._settings.token} makes no {scheme.value} key: {error}",
                'set [token] scheme to one it can ("ed25519", "p256"); is there room in it, may it be written?',
            ) from error

    def sign(self, private: object, scheme: Scheme, message: bytes) -> bytes:
        """A signature in our encoding of the scheme."""
        try:
            if scheme is Scheme.ED25519:
                return bytes(self._session.sign(private, message, self._api.Mechanism(_CKM_EDDSA)))
            made = bytes(self._session.sign(private, sha256(message).digest(), self._api.Mechanism(_CKM_ECDSA)))
        except self._api.PyKCS11Error as error:
            raise self._gone(error) from error
        s = int.from_bytes(made[32:])
        return made[:32] + min(s, P256_ORDER - s).to_bytes(32) if len(made) == 64 and s <= P256_ORDER else b""

    # ------------------------------------------------------------------------------------------------- opening

    def _loaded(self) -> _Library:
        module = self._settings.module
        remedy = "install it (a TPM's: apt-get install libtpm2-pkcs11-1), or correct [token] module"
        if not module.exists():
            raise TokenRefused(f"the token's module {module} is not there", remedy)
        library = self._api.PyKCS11Lib()
        try:
            library.load(str(module))
        except self._api.PyKCS11Error as error:
            if _code(error) < 0:
                raise TokenRefused(f"the token's module {module} cannot be loaded: {error}", remedy) from error
            raise TokenGone(
                f"the token's module {module} does not start: {error}",
                "is its own configuration and store there, and readable by this user?",
            ) from error
        return library

    def _found(self) -> tuple[int, int]:
        """Slot and flags of the token with our label."""
        settings, tokens = self._settings, []
        try:
            for slot in self._library.getSlotList(tokenPresent=True):
                info = self._library.getTokenInfo(slot)
                tokens.append((info.label.rstrip(" \0"), slot, info.flags))
        except self._api.PyKCS11Error as error:
            raise self._gone(error) from error
        ours = [(slot, flags) for label, slot, flags in tokens if label == settings.token]
        if len(ours) > 1:
            raise TokenRefused(
                f"{len(ours)} tokens are labelled {settings.token}", "remove the others, or label ours anew"
            )
        if not ours:
            there = ", ".join(label or "(no label)" for label, _, _ in tokens[:TOKENS_SHOWN]) or "none"
            raise TokenGone(
                f"there is no token labelled {settings.token}; there is: {there}",
                "is it plugged in, and may this user reach it and its store? else correct [token] token",
            )
        return ours[0]

    def _logged_in(self, flags: int, *, writing: bool) -> _Session:
        settings = self._settings
        if flags & _CKF_LOCKED:
            raise self._locked()
        if flags & _CKF_FINAL_TRY:
            raise TokenRefused(
                f"one try at the PIN of token {settings.token} is left, and is not spent here",
                f"correct {settings.pin}, then log in once by hand: pkcs11-tool --module {settings.module} --login -O",
            )
        pin = keys.passphrase(settings.pin).decode(errors="replace")
        try:
            session = self._library.openSession(self._slot, _CKF_RW_SESSION if writing else 0)
        except self._api.PyKCS11Error as error:
            raise self._gone(error) from error
        try:
            session.login(pin)
        except self._api.PyKCS11Error as error:
            if _code(error) != _CKR_ALREADY_LOGGED_IN:
                raise self._refused(error) from error
        return session

    def _refused(self, error: Exception) -> TokenRefused | TokenGone:
        settings, code = self._settings, _code(error)
        if code in _CKR_PIN:
            return TokenRefused(
                f"{settings.pin} does not hold the PIN of token {settings.token}",
                "correct it before starting again: a token locks itself after a few wrong tries",
            )
        if code == _CKR_PIN_LOCKED:
            return self._locked()
        if code in {_CKR_PIN_EXPIRED, _CKR_NO_PIN_YET}:
            return TokenRefused(f"token {settings.token} wants a new PIN", "set one: pkcs11-tool --init-pin")
        return self._gone(error)

    def _locked(self) -> TokenRefused:
        return TokenRefused(
            f"the PIN of token {self._settings.token} is locked after too many wrong tries",
            "unlock it as its security officer: pkcs11-tool --login --login-type so --init-pin",
        )

    def _gone(self, error: Exception) -> TokenGone:
        return TokenGone(
            f"token {self._settings.token} does not answer: {error}", "is it plugged in, and may this user reach it?"
        )

    def _best(self) -> Scheme:
        try:
            can = self._library.getMechanismList(self._slot)
        except self._api.PyKCS11Error as error:
            raise self._gone(error) from error
        edwards = {"CKM_EC_EDWARDS_KEY_PAIR_GEN", "CKM_EDDSA"} <= set(can)
        return Scheme.ED25519 if edwards else Scheme.P256


def _code(error: Exception) -> int:
    return int(getattr(error, "value", -1))


def _public(kind: int, point: bytes) -> PublicKey | None:
    """A public key of ours from CKA_EC_POINT, which is a DER octet string, or with some tokens what should be in it."""
    if len(point) in {34, 67} and point[:2] == bytes((_OCTET_STRING, len(point) - 2)):
        point = point[2:]
    if kind == _CKK_EC_EDWARDS and len(point) == 32:
        return PublicKey(Scheme.ED25519, point)
    if kind != _CKK_EC:
        return None
    try:
        key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError:
        return None
    return PublicKey(Scheme.P256, key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))
