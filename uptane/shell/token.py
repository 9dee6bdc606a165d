"""The ECU's key in a token: made there, used there; what is here is its public half, and the PIN for a moment.

Each signature is checked before it is used: a token that is failing, or was exchanged for another with its label, is
found here and not by the Director.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from uptane.crypto import key_id_of, valid
from uptane.errors import SignerFailure
from uptane.model.ids import KeyId
from uptane.model.signed import PublicKey, Scheme
from uptane.ports import Signer
from uptane.shell import keys
from uptane.shell.pkcs11 import Token, TokenGone, TokenRefused, TokenSettings
from uptane.shell.settings import Section

LABEL_LENGTH_MAX: Final = 32  # octets; CK_TOKEN_INFO has room for no longer one, and no key needs one
SCHEMES: Final = {"ed25519": Scheme.ED25519, "p256": Scheme.P256}
_TRIAL: Final = b"marque: are these two halves of one key?"
"""Nothing that is ever signed in earnest: all of that begins with MARQUE-1 (docs/wire.md, "Signatures")."""


def token_setting(top: Section) -> TokenSettings | None:
    """The table [token] of an ECU's settings; None when there is none, and the key is a file.

    Raises:
        SettingsError: it cannot be used; the text says which key, what was found and what to do.
    """
    if not top.has("token"):
        return None
    section = top.section("token")
    for name in ("module", "pin"):
        section.refuse_provisioned(name)
    module, pin = section.path("module"), section.path("pin")
    labels = [section.text(name) for name in ("token", "key")]
    for name, label in zip(("token", "key"), labels, strict=True):
        if len(label.encode()) > LABEL_LENGTH_MAX:
            raise section.error(name, label, f"at most {LABEL_LENGTH_MAX} octets")
    scheme = section.text("scheme") if section.has("scheme") else None
    if scheme is not None and scheme not in SCHEMES:
        raise section.error("scheme", scheme, " or ".join(f'"{name}"' for name in SCHEMES))
    section.done()
    return TokenSettings(module, labels[0], labels[1], pin, None if scheme is None else SCHEMES[scheme])


def own_signer(path: Path, token: TokenSettings | None) -> Signer:
    """What signs for this ECU: the key of the file at `path`, or if `token` is set the one there.

    Raises:
        StorageFailure: the file, or that of the PIN, cannot be read, or others can.
        TokenRefused, SignerFailure: the token cannot be used, for good or now.
    """
    return keys.load(path, None) if token is None else TokenSigner(token)


class TokenSigner:
    """Signs in a token. Raises as `own_signer` when made; `sign` raises SignerFailure."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        token, private, self.public = _opened(settings)
        self._held: tuple[Token, object] | None = (token, private)
        self._key_id = key_id_of(self.public)

    @property
    def key_id(self) -> KeyId:
        """The id under which metadata list this key."""
        return self._key_id

    def sign(self, message: bytes) -> bytes:
        """Sign `message`; a token that has lost the session, as after a moment unplugged, is opened once more."""
        signature = self._tried(message)
        if signature is None:
            self._open_again()
            signature = self._tried(message)
        if signature is None or not valid(self.public, message, signature):
            raise _faulty(self._settings)
        return signature

    def close(self) -> None:
        """Leave the token."""
        held, self._held = self._held, None
        if held is not None:
            held[0].close()

    def _tried(self, message: bytes) -> bytes | None:
        """None when the session is lost; the exception must not live on, for the session would with it."""
        if self._held is None:
            return None
        token, private = self._held
        try:
            return token.sign(private, self.public.scheme, message)
        except TokenGone:
            return None

    def _open_again(self) -> None:
        self.close()  # the module goes with the last of what it gave, and when loaded anew looks for tokens anew
        try:
            token, private, public = _opened(self._settings)
        except (TokenRefused, keys.KeyFailure) as error:
            raise SignerFailure(str(error)) from error  # this process has done well with it until now
        self._held = token, private
        if public != self.public:
            self.close()
            raise SignerFailure(
                f"token {self._settings.token} was exchanged: its key is another; put the ECU's own one back, or "
                "make it known by provision --exchange"
            )


def own_token_key(settings: TokenSettings) -> tuple[PublicKey, bool]:
    """The public half of the ECU's key in its token, and whether it was made just now. Raises as `own_signer`."""
    token = Token(settings, writing=True)
    try:
        made = token.private() is None
        if made:
            token.generate()
    finally:
        token.close()
    del token
    signer = TokenSigner(settings)
    signer.close()
    return signer.public, made


def held_token_key(settings: TokenSettings) -> PublicKey | None:
    """The public half of the ECU's key in its token; None if there is no key yet. Raises as `own_signer`."""
    token = Token(settings)
    try:
        there = token.private() is not None
    finally:
        token.close()
    del token
    if not there:
        return None
    signer = TokenSigner(settings)
    signer.close()
    return signer.public


def _opened(settings: TokenSettings) -> tuple[Token, object, PublicKey]:
    """The token, the handle of the private key and its public half, which were seen to belong together."""
    token = Token(settings)
    try:
        private = token.private()
        if private is None:
            raise TokenRefused(
                f"token {settings.token} has no private key labelled {settings.key}",
                "`enrol` makes one; a lost key means: provision this ECU with --exchange",
            )
        public = token.public_of(private)
        if not valid(public, _TRIAL, token.sign(private, public.scheme, _TRIAL)):
            raise _faulty(settings)
    except BaseException:
        token.close()
        raise
    return token, private, public


def _faulty(settings: TokenSettings) -> SignerFailure:
    return TokenGone(
        f"what the key {settings.key} of token {settings.token} signs is not signed by its public half",
        "the token is failing, or the two halves are of different keys: exchange it",
    )
