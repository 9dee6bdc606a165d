"""A public key as a line of text, in settings and key files: scheme and base64 (`ed25519 11qYAYKx...cHURo=`)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from typing import Final

from uptane.model.signed import PublicKey, Scheme
from uptane.shell.settings import Section

PUBLIC_KEY: Final = "public_key"
"""The setting that says whose settings these are: the ECU's own key, as provisioning knew it."""
TEXT_LENGTH_MAX: Final = 4_096  # characters; the longest, Ed25519 with ML-DSA-65, takes 2,700


def as_text(public: PublicKey) -> str:
    """The line."""
    return f"{public.scheme.value} {b64encode(public.octets).decode()}"


def from_text(text: str) -> PublicKey:
    """The key of a line; without a scheme it is Ed25519. Raises ValueError if it is none."""
    scheme, _, octets = text.strip().rpartition(" ")
    try:
        key = PublicKey(Scheme(scheme or Scheme.ED25519.value), b64decode(octets, validate=True))
    except (ValueError, Error) as error:
        raise ValueError(f"{text[:40]!r} is no public key (scheme and base64)") from error
    if key.scheme is Scheme.ED25519 and len(key.octets) != 32:
        raise ValueError(f"an Ed25519 key has 32 octets, not {len(key.octets)}")
    return key


def key_setting(section: Section, name: str) -> PublicKey:
    """The key that the setting `name` of `section` holds.

    Raises:
        SettingsError: it is missing, or no key.
    """
    text = section.text(name)
    if len(text) > TEXT_LENGTH_MAX:
        raise section.error(name, text, f"at most {TEXT_LENGTH_MAX} characters")
    try:
        return from_text(text)
    except ValueError as error:
        raise section.error(name, text, str(error)) from error


def check_own_key(top: Section) -> None:
    """Take the setting `public_key` of an ECU's settings, if it is there; enrolment compares it with the board's key.

    Raises:
        SettingsError: it is no key.
    """
    if top.has(PUBLIC_KEY):
        key_setting(top, PUBLIC_KEY)
