"""PKCS#8 private keys under a passphrase: PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC (RFC 8018, RFC 5958).

The `cryptography` library reads this form with any number of rounds but writes it with 2,048, which a graphics card
tries a million times a second. So the 150 octets around the ciphertext are written here; everybody's tools read them.
"""

from __future__ import annotations

import os
from hashlib import pbkdf2_hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

ROUNDS = 600_000  # what OWASP asks of PBKDF2-HMAC-SHA-256 (2023): a quarter of a second on a server
SALT_LENGTH = 16
BLOCK_LENGTH = 16

_SEQUENCE, _OCTETS, _OBJECT, _INTEGER, _NULL = 0x30, 0x04, 0x06, 0x02, 0x05
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_PBKDF2 = bytes.fromhex("2a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("2a864886f70d0209")
_AES256_CBC = bytes.fromhex("60864801650304012a")


def encrypted(private: bytes, passphrase: bytes, rounds: int = ROUNDS) -> bytes:
    """The EncryptedPrivateKeyInfo (DER) of a PrivateKeyInfo (DER)."""
    salt, start = os.urandom(SALT_LENGTH), os.urandom(BLOCK_LENGTH)
    key = pbkdf2_hmac("sha256", passphrase, salt, rounds, dklen=32)
    padder = PKCS7(8 * BLOCK_LENGTH).padder()
    encryptor = Cipher(AES256(key), CBC(start)).encryptor()
    secret = encryptor.update(padder.update(private) + padder.finalize()) + encryptor.finalize()
    count = rounds.to_bytes(rounds.bit_length() // 8 + 1)
    hmac = _der(_SEQUENCE, _der(_OBJECT, _HMAC_SHA256), _der(_NULL))
    derivation = _der(_SEQUENCE, _der(_OCTETS, salt), _der(_INTEGER, count), hmac)
    scheme = _der(
        _SEQUENCE,
        _der(_SEQUENCE, _der(_OBJECT, _PBKDF2), derivation),
        _der(_SEQUENCE, _der(_OBJECT, _AES256_CBC), _der(_OCTETS, start)),
    )
    return _der(_SEQUENCE, _der(_SEQUENCE, _der(_OBJECT, _PBES2), scheme), _der(_OCTETS, secret))


def _der(tag: int, *parts: bytes) -> bytes:
    """One DER value of up to 65,535 octets."""
    content = b"".join(parts)
    length = len(content)
    if length < 128:
        head = bytes((tag, length))
    elif length < 256:
        head = bytes((tag, 0x81, length))
    else:
        head = bytes((tag, 0x82)) + length.to_bytes(2)
    return head + content
