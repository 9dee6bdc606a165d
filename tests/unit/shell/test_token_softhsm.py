"""Keys in a real token (SoftHSM): made there once, used there, never to be had; whatever is wrong says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deploy.soft_token import WRONG_PIN, SoftTokens, why_not
from uptane.crypto import key_id_of, valid
from uptane.errors import SignerFailure
from uptane.model.signed import Scheme
from uptane.shell import keys
from uptane.shell.pkcs11 import Token, TokenGone, TokenRefused
from uptane.shell.token import TokenSigner, own_token_key

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
MESSAGE = b"MARQUE-1\0" + bytes(64)
CKA_VALUE = 0x11


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftTokens]:
    """All tokens of this file: the module looks for them once, as long as somebody holds it."""
    with pytest.MonkeyPatch.context() as patch:
        tokens = SoftTokens(tmp_path_factory.mktemp("softhsm"), patch)
        for label in ("ecu", "ed25519", "p256", "empty", "two keys", "twin", "twin", "open"):
            tokens.make(label)
        yield tokens


@pytest.mark.parametrize("scheme", [Scheme.ED25519, Scheme.P256])
def test_a_key_is_made_once_and_signs(tokens: SoftTokens, scheme: Scheme) -> None:
    settings = tokens.settings(scheme.value, scheme=scheme)
    public, made = own_token_key(settings)
    assert made
    assert public.scheme is scheme
    assert own_token_key(settings) == (public, False)
    signer = TokenSigner(settings)
    assert (signer.public, signer.key_id) == (public, key_id_of(public))
    for number in range(20):  # of P-256, half of what a token makes has the higher s, which nobody takes
        message = MESSAGE + bytes([number])
        signature = signer.sign(message)
        assert valid(public, message, signature)
        assert not valid(public, MESSAGE, signature)
    signer.close()


def test_without_a_word_about_it_the_key_is_ed25519_where_the_token_can(tokens: SoftTokens) -> None:
    assert own_token_key(tokens.settings("ecu"))[0].scheme is Scheme.ED25519


def test_the_private_half_cannot_be_had(tokens: SoftTokens) -> None:
    own_token_key(tokens.settings("ecu"))
    token = Token(tokens.settings("ecu"))
    private = token.private()
    assert private is not None
    assert token._session.getAttributeValue(private, (CKA_VALUE,)) == [None]
    token.close()


def test_a_token_without_our_key(tokens: SoftTokens) -> None:
    with pytest.raises(TokenRefused, match=r"no private key labelled ecu; `enrol` makes one"):
        TokenSigner(tokens.settings("empty"))


def test_two_keys_with_one_label(tokens: SoftTokens) -> None:
    settings = tokens.settings("two keys")
    for _ in range(2):
        token = Token(settings, writing=True)
        token.generate()
        token.close()
    for used in (TokenSigner, own_token_key):
        with pytest.raises(TokenRefused, match=r"has 2 private keys labelled ecu; delete the wrong one .*pkcs11-tool"):
            used(settings)


def test_a_key_that_can_be_read_out(tokens: SoftTokens) -> None:
    settings = tokens.settings("open", scheme=Scheme.P256)
    token = Token(settings, writing=True)
    generate = token._session.generateKeyPair

    def leaky(public: list[tuple[int, object]], private: list[tuple[int, object]], how: object) -> object:
        return generate(public, [(kind, 1) if kind == 0x162 else (kind, value) for kind, value in private], how)

    token._session.generateKeyPair = leaky  # type: ignore[assignment,method-assign]  # as another program made it
    token.generate()
    token.close()
    with pytest.raises(TokenRefused, match="can be read out of it; name another"):
        TokenSigner(settings)


def test_no_such_token_and_two_of_one_label(tokens: SoftTokens) -> None:
    with pytest.raises(TokenGone, match=r"no token labelled other; there is: .*is it plugged in"):
        TokenSigner(tokens.settings("other"))
    with pytest.raises(TokenRefused, match="2 tokens are labelled twin; remove the others"):
        TokenSigner(tokens.settings("twin"))


def test_no_such_module_and_one_that_is_none(tokens: SoftTokens, tmp_path: Path) -> None:
    with pytest.raises(TokenRefused, match=r"module /none\.so is not there; install it"):
        TokenSigner(replace(tokens.settings("ecu"), module=Path("/none.so")))
    (tmp_path / "text.so").write_text("text")
    with pytest.raises(TokenRefused, match=r"text\.so cannot be loaded"):
        TokenSigner(replace(tokens.settings("ecu"), module=tmp_path / "text.so"))


def test_no_library(tokens: SoftTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PyKCS11", None)
    with pytest.raises(TokenRefused, match="apt-get install python3-pykcs11"):
        TokenSigner(tokens.settings("ecu"))


def test_a_wrong_pin_an_empty_one_and_one_that_others_may_read(tokens: SoftTokens) -> None:
    own_token_key(tokens.settings("ecu"))
    wrong = replace(tokens.settings("ecu"), pin=tokens.pin_file("wrong", WRONG_PIN))
    with pytest.raises(TokenRefused, match="wrong does not hold the PIN of token ecu; correct it before starting"):
        TokenSigner(wrong)
    for mode in (0o640, 0o604):
        exposed = replace(wrong, pin=tokens.pin_file("exposed", "4321", mode))
        with pytest.raises(keys.Exposed, match="chmod 600"):
            TokenSigner(exposed)
    with pytest.raises(keys.KeyFailure, match="is empty"):
        TokenSigner(replace(wrong, pin=tokens.pin_file("empty", "")))
    with pytest.raises(keys.KeyFailure, match="No such file"):
        TokenSigner(replace(wrong, pin=tokens.folder / "none"))
    TokenSigner(tokens.settings("ecu")).close()


def test_a_session_that_was_lost_is_opened_again(tokens: SoftTokens) -> None:
    own_token_key(tokens.settings("ecu"))
    signer = TokenSigner(tokens.settings("ecu"))
    assert signer._held is not None
    signer._held[0]._session.closeSession()  # as a driver that was started anew
    assert valid(signer.public, MESSAGE, signer.sign(MESSAGE))
    signer.close()


def test_a_token_that_goes_and_comes_back(tokens: SoftTokens) -> None:
    own_token_key(tokens.settings("ecu"))
    signer = TokenSigner(tokens.settings("ecu"))
    tokens.unplug()
    try:
        with pytest.raises(SignerFailure, match=r"does not start|no token labelled ecu"):
            signer.sign(MESSAGE)
    finally:
        tokens.plug_in()
    assert valid(signer.public, MESSAGE, signer.sign(MESSAGE))
    signer.close()
