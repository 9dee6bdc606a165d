"""Names, patterns and URLs between octets and text: held to their alphabets in both directions (docs/wire.md, "Names").

The schema has bounded the octets; what stands in them is judged here. Latin-1 gives every octet a character, so that
octets outside ASCII reach the alphabet's check instead of failing before it.
"""

from __future__ import annotations

import re

from uptane.errors import Malformed
from uptane.model.ids import FILENAME_LENGTH_MAX, ID_LENGTH_MAX, is_name, name

URL_LENGTH_MAX = 1_024
_URL = re.compile(r"[!-~]{1,1024}", re.ASCII)
_WILD = str.maketrans("*?", "xx")


def read_name(octets: bytes, length_max: int = ID_LENGTH_MAX) -> str:
    """The name that stands in `octets`; raise Malformed if it is none."""
    return name(octets.decode("latin-1"), length_max)


def write_name(text: str, length_max: int = ID_LENGTH_MAX) -> bytes:
    """The octets of a name; raise Malformed if it is none."""
    return name(text, length_max).encode("ascii")


def read_pattern(octets: bytes) -> str:
    """A pattern: a name in which `*` and `?` may stand as well."""
    return _pattern(octets.decode("latin-1"))


def write_pattern(text: str) -> bytes:
    """The octets of a pattern; raise Malformed if it is none."""
    return _pattern(text).encode("ascii")


def _pattern(text: str) -> str:
    if not is_name(text.translate(_WILD), FILENAME_LENGTH_MAX):
        raise Malformed(f"{text[:80]!r} is no pattern")
    return text


def read_url(octets: bytes) -> str:
    """A URL: 1 to 1,024 visible ASCII characters, no more is judged here."""
    return _url(octets.decode("latin-1"))


def write_url(text: str) -> bytes:
    """The octets of a URL; raise Malformed if it has other characters."""
    return _url(text).encode("ascii")


def _url(text: str) -> str:
    if _URL.fullmatch(text) is None:
        raise Malformed(f"{text[:80]!r} is no URL")
    return text
