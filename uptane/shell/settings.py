"""Reading a TOML file strictly: each key known, of its type, in its range; else an error with the place and the remedy.

A key that nobody asked for is refused, so that a misspelt one cannot be mistaken for a default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from uptane.errors import Malformed, MarqueError
from uptane.model.ids import ID_LENGTH_MAX, name

EnumT = TypeVar("EnumT", bound=Enum)

FILE_LENGTH_MAX = 1 << 20  # octets; the largest configuration we know has 4,000


class SettingsError(MarqueError):
    """A configuration file cannot be used; the text says which key, what was found, and what is expected."""


class _Required(Enum):
    REQUIRED = "required"


REQUIRED: Final = _Required.REQUIRED
"""As a default: the key has to be there."""


class Section:
    """One table of the file. Each getter takes a key once; `done` refuses the keys nobody took."""

    def __init__(self, table: dict[str, object], path: str, file: Path) -> None:
        self._table = dict(table)
        self._path = path
        self._file = file

    @property
    def file(self) -> Path:
        """The file; relative paths in it are relative to its folder."""
        return self._file

    def text(self, key: str, default: str | _Required = REQUIRED) -> str:
        """A non-empty string."""
        value = self._take(key, default, "a string")
        if not isinstance(value, str) or not value:
            raise self.error(key, value, "a string that is not empty")
        return value

    def id(self, key: str, default: str | _Required = REQUIRED) -> str:
        """A name: an id of a vehicle, ECU or hardware."""
        value = self.text(key, default)
        try:
            return name(value, ID_LENGTH_MAX)
        except Malformed as error:
            raise self.error(key, value, str(error)) from error

    def integer(self, key: str, allowed: range, default: int | _Required = REQUIRED) -> int:
        """An integer of `allowed`, a range without steps."""
        words = f"an integer from {allowed.start} to {allowed.stop - 1}"
        value = self._take(key, default, words)
        if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
            raise self.error(key, value, words)
        return value

    def flag(self, key: str, *, default: bool | _Required = REQUIRED) -> bool:
        """True or false."""
        value = self._take(key, default, "true or false")
        if not isinstance(value, bool):
            raise self.error(key, value, "true or false")
        return value

    def choice(self, key: str, kind: type[EnumT], default: EnumT | _Required = REQUIRED) -> EnumT:
        """One of an enumeration, by its value."""
        words = "one of " + ", ".join(f'"{member.value}"' for member in kind)
        value = self._take(key, default if default is REQUIRED else default.value, words)
        for member in kind:
            if member.value == value and isinstance(value, str):
                return member
        raise self.error(key, value, words)

    def texts(self, key: str, default: Sequence[str] | _Required = REQUIRED) -> tuple[str, ...]:
        """A list of non-empty strings."""
        words = "a list of strings that are not empty"
        value = self._take(key, default if default is REQUIRED else list(default), words)
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.error(key, value, words)
        return tuple(value)

    def octets(self, key: str, length: int) -> bytes:
        """`length` octets, in hexadecimal."""
        value = self.text(key)
        try:
            octets = bytes.fromhex(value)
        except ValueError:
            octets = b""
        if len(octets) != length or len(value) != 2 * length:
            raise self.error(key, value, f"{2 * length} hexadecimal digits")
        return octets

    def path(self, key: str, default: str | _Required = REQUIRED) -> Path:
        """A path, relative to the file's folder unless absolute."""
        return self._file.parent / self.text(key, default)

    def section(self, key: str) -> Section:
        """A table; an empty one when the file has none."""
        value = self._table.pop(key, {})
        if not isinstance(value, dict):
            raise self.error(key, value, f"a table: [{self._where(key)}]")
        return Section(value, self._where(key), self._file)

    def sections(self, key: str) -> list[Section]:
        """The tables of a list, [[key]]; none when the file has none."""
        value = self._table.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, value, f"tables: [[{self._where(key)}]]")
        return [Section(item, f"{self._where(key)}[{number}]", self._file) for number, item in enumerate(value)]

    def has(self, key: str) -> bool:
        """Whether the key is there and was not taken."""
        return key in self._table

    def rest(self) -> dict[str, object]:
        """All keys that were not taken, for somebody else to judge."""
        rest, self._table = self._table, {}
        return rest

    def done(self) -> None:
        """Refuse what nobody took."""
        for key in self._table:
            raise SettingsError(f"{self._file}: {self._where(key)}: unknown key; remove it, or correct its spelling")

    def error(self, key: str, found: object, expected: str) -> SettingsError:
        """Why the value of `key` cannot be used."""
        return SettingsError(f"{self._file}: {self._where(key)} is {_shown(found)}; expected {expected}")

    def _take(self, key: str, default: object, words: str) -> object:
        if key in self._table:
            return self._table.pop(key)
        if default is REQUIRED:
            raise SettingsError(f"{self._file}: {self._where(key)} is missing; add it: {words}")
        return default

    def _where(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def read(file: Path) -> Section:
    """The top table of a TOML file.

    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    try:
        with file.open("rb") as opened:
            octets = opened.read(FILE_LENGTH_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    if len(octets) > FILE_LENGTH_MAX:
        raise SettingsError(f"{file}: longer than {FILE_LENGTH_MAX} octets; this is no configuration file")
    try:
        return Section(tomllib.loads(octets.decode()), "", file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{file}: is no TOML: {error}") from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
