"""The house style of the C: sizes, what may be included, what may never be called, and that each file names its twin.

As tests/test_tidy.py: a rule is a function from a source to its violations, and RULES has a sample that breaks each.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"

BODY_LINES_MAX = 40
FILE_LINES_MAX = 400
LINE_LENGTH_MAX = 120
CORE = ("core/", "include/")
# A core has no heap, no console, no clock: what it needs of the outside stands in fw_port.h.
BANNED = re.compile(
    r"\b(malloc|calloc|realloc|free|alloca|printf|sprintf|strcpy|strcat|strlen|time|rand|abort|exit)\s*\(|\b(goto)\b"
)
INCLUDES = {"stdbool.h", "stddef.h", "stdint.h", "string.h"}

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LITERAL = re.compile(r'"(?:\\.|[^"\\])*"')
_INCLUDE = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """A file of C: its path below firmware/, and its text."""

    path: str
    text: str

    @property
    def code(self) -> str:
        """The text without comments and literals; lines stay where they are."""
        return _LITERAL.sub('""', _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), self.text))

    @property
    def is_core(self) -> bool:
        return self.path.startswith(CORE)


def sources() -> list[Source]:
    paths = (path for path in sorted(FIRMWARE.rglob("*")) if path.suffix in {".c", ".h"})
    return [Source(path.relative_to(FIRMWARE).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def long_bodies(source: Source) -> Iterator[str]:
    """A body begins with a brace in the first column and ends with one."""
    begun = 0
    for number, line in enumerate(source.code.splitlines(), 1):
        if line == "{":
            begun = number
        elif line.startswith("}") and begun:
            if (lines := number - begun - 1) > BODY_LINES_MAX:
                yield f"{source.path}:{begun} {lines} lines of body, {BODY_LINES_MAX} are allowed"
            begun = 0


def long_files(source: Source) -> Iterator[str]:
    if (lines := len(source.text.splitlines())) > FILE_LINES_MAX:
        yield f"{source.path} {lines} lines, {FILE_LINES_MAX} are allowed"


def long_lines(source: Source) -> Iterator[str]:
    if source.path.endswith("fw_codes.h"):
        return  # generated
    for number, line in enumerate(source.text.splitlines(), 1):
        if len(line) > LINE_LENGTH_MAX or "\t" in line or line != line.rstrip():
            yield f"{source.path}:{number} {len(line)} characters, or tabs, or spaces at the end"


def banned_words(source: Source) -> Iterator[str]:
    if source.is_core:
        for found in BANNED.finditer(source.code):
            yield f"{source.path} {found[1] or found[2]}"


def foreign_includes(source: Source) -> Iterator[str]:
    if source.is_core:
        for name in _INCLUDE.findall(source.code):
            if name not in INCLUDES and "crypto" not in source.path:
                yield f"{source.path} includes <{name}>"


def unnamed_twins(source: Source) -> Iterator[str]:
    opening = source.text.lstrip()
    if not opening.startswith("/*"):
        yield f"{source.path} does not open with what it holds true"
    elif source.path.startswith("core/") and source.path.endswith(".c") and ".py" not in opening.split("*/", 1)[0]:
        yield f"{source.path} does not name its twin in Python"


RULES: dict[str, tuple[Callable[[Source], Iterator[str]], Source]] = {
    "long bodies": (long_bodies, Source("core/x.c", "void f(void)\n{\n" + "    ;\n" * 41 + "}\n")),
    "long files": (long_files, Source("core/x.c", "\n" * 401)),
    "long lines": (long_lines, Source("core/x.c", "x" * 121)),
    "banned words": (banned_words, Source("core/x.c", "void f(void)\n{\n    malloc(1);\n}\n")),
    "foreign includes": (foreign_includes, Source("core/x.c", "#include <stdio.h>\n")),
    "unnamed twins": (unnamed_twins, Source("core/x.c", "/* Frames. */\n")),
}


@pytest.mark.parametrize("name", RULES)
def test_the_firmware_keeps_the_house_style(name: str) -> None:
    rule, sample = RULES[name]
    assert list(rule(sample)), "the rule has gone blind"
    violations = [violation for source in sources() for violation in rule(source)]
    assert not violations, "\n".join(violations)


def test_there_are_sources() -> None:
    assert len(sources()) > 10


def test_words_in_comments_and_literals_are_no_calls() -> None:
    assert not list(banned_words(Source("core/x.c", '/* free (of charge) */ const char *a = "malloc(";\n')))
