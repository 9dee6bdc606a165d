"""Reading a TOML file strictly: each key known, of its type, in its range; else an error with the place and the remedy.

A key that nobody asked for is refused, so that a misspelt one cannot be mistaken for a default. On a board two files
are read as one: what provisioning wrote of an ECU, and above it what the board itself says (`read_board`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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


PROVISIONED: Final = "provisioned"
PROVISIONED_FILE: Final = "config.toml"


@dataclass(frozen=True, slots=True)
class Above:
    """A file whose keys took the place of others, and which keys these are; a table stands for all that is in it."""

    file: Path
    keys: frozenset[str]

    def has(self, where: str) -> bool:
        """Whether a key comes from it, or a table with a key that does: what such a table lacks is missing there."""
        inside = (f"{where}.", f"{where}[")
        return any(
            where == key or where.startswith((f"{key}.", f"{key}[")) or key.startswith(inside) for key in self.keys
        )


class Section:
    """One table of the file. Each getter takes a key once; `done` refuses the keys nobody took."""

    def __init__(self, table: dict[str, object], path: str, file: Path, above: Above | None = None) -> None:
        self._table = dict(table)
        self._path = path
        self._file = file
        self._above = above

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
        text = self.text(key, default)
        return self._file_of(key).parent / text

    def section(self, key: str) -> Section:
        """A table; an empty one when the file has none."""
        value = self._table.pop(key, {})
        if not isinstance(value, dict):
            raise self.error(key, value, f"a table: [{self._where(key)}]")
        return Section(value, self._where(key), self._file, self._above)

    def sections(self, key: str) -> list[Section]:
        """The tables of a list, [[key]]; none when the file has none."""
        value = self._table.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, value, f"tables: [[{self._where(key)}]]")
        return [
            Section(item, f"{self._where(key)}[{number}]", self._file, self._above) for number, item in enumerate(value)
        ]

    def has(self, key: str) -> bool:
        """Whether the key is there and was not taken."""
        return key in self._table

    def refuse_provisioned(self, key: str) -> None:
        """Refuse a key that does not come from the board's own file, where there is one.

        What was provisioned is the service's, and root reads it too (`doctor`): it may not say what is loaded there.
        """
        above = self._above
        if above is not None and key in self._table and not above.has(self._where(key)):
            raise SettingsError(f"{self._file}: {self._where(key)} may not stand here; move it to {above.file}")

    def rest(self) -> dict[str, object]:
        """All keys that were not taken, for somebody else to judge."""
        rest, self._table = self._table, {}
        return rest

    def done(self) -> None:
        """Refuse what nobody took."""
        for key in self._table:
            raise SettingsError(
                f"{self._file_of(key)}: {self._where(key)}: unknown key; remove it, or correct its spelling"
            )

    def error(self, key: str, found: object, expected: str) -> SettingsError:
        """Why the value of `key` cannot be used."""
        return SettingsError(f"{self._file_of(key)}: {self._where(key)} is {_shown(found)}; expected {expected}")

    def _take(self, key: str, default: object, words: str) -> object:
        if key in self._table:
            return self._table.pop(key)
        if default is REQUIRED:
            there = self._above is not None and self._path and self._above.has(self._path)
            file = self._above.file if self._above is not None and there else self._file_of(key)
            raise SettingsError(f"{file}: {self._where(key)} is missing; add it: {words}")
        return default

    def _where(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def _file_of(self, key: str) -> Path:
        """The file the key stands in, or would."""
        return self._above.file if self._above is not None and self._above.has(self._where(key)) else self._file


def read(file: Path) -> Section:
    """The top table of a TOML file.

    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    return Section(_table(file), "", file)


def parsed(octets: bytes, file: Path) -> Section:
    """The top table of a TOML file that was read before. Raises SettingsError as `read`."""
    return Section(_parsed(octets, file), "", file)


def read_board(file: Path) -> Section:
    """The top table of a board's settings: of `file` alone, or of config.toml in the folder its `provisioned` names.

    In the second case each key of `file` stands above the same one there; tables are merged, lists replaced.

    Raises:
        SettingsError: a file cannot be read, or is no TOML; or nothing was provisioned yet.
    """
    own = _table(file)
    if PROVISIONED not in own:
        return Section(own, "", file)
    below = provisioned_folder(file) / PROVISIONED_FILE
    if not below.exists():
        raise SettingsError(f"{below} is not there: run `enrol --from FOLDER` with the folder that provisioning wrote")
    table, above = _table(below), {key: value for key, value in own.items() if key != PROVISIONED}
    return Section(_merged(table, above), "", below, Above(file, frozenset(_leaves(above))))


def provisioned_folder(file: Path) -> Path:
    """The folder with what provisioning writes of an ECU: as the board's file says, or the folder it is in itself.

    Raises:
        SettingsError: the file cannot be read, or names no folder.
    """
    return Section(_table(file), "", file).path(PROVISIONED, ".")


def _merged(below: dict[str, object], above: dict[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        found = merged.get(key)
        merged[key] = _merged(found, value) if isinstance(found, dict) and isinstance(value, dict) else value
    return merged


def _leaves(table: dict[str, object], path: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def _table(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            octets = opened.read(FILE_LENGTH_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    return _parsed(octets, file)


def _parsed(octets: bytes, file: Path) -> dict[str, object]:
    if len(octets) > FILE_LENGTH_MAX:
        raise SettingsError(f"{file}: longer than {FILE_LENGTH_MAX} octets; this is no configuration file")
    try:
        return tomllib.loads(octets.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{file}: is no TOML: {error}") from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
