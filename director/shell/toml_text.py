"""Writing TOML: tables of texts, numbers, flags and lists. What is read back is what was written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def toml_text(table: Mapping[str, Any], comment: str = "") -> str:
    """A table as TOML, below a comment; None stands for a key that is left out."""
    lines = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*lines, *([""] if lines else []), *_lines(table, "")]) + "\n"


def _lines(table: Mapping[str, Any], path: str) -> Iterator[str]:
    """Plain values first: in TOML, whatever follows a table's head belongs to it."""
    for key, value in table.items():
        if value is not None and not isinstance(value, Mapping) and not _is_tables(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        inner = f"{path}.{_key(key)}" if path else _key(key)
        if isinstance(value, Mapping):
            yield from ("", f"[{inner}]", *_lines(value, inner))
        elif _is_tables(value):
            for each in value:
                yield from ("", f"[[{inner}]]", *_lines(each, inner))


def _is_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(each, Mapping) for each in value)


def _key(key: str) -> str:
    plain = key.replace("_", "").replace("-", "")
    return key if plain.isascii() and plain.isalnum() else json.dumps(key, ensure_ascii=False)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Sequence():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            raise TypeError(f"{type(value).__name__} has no place in TOML")
