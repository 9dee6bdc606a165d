"""The deepest that the stack of the firmware can be, and by which calls: `python -m firmware.tools.stack [ELF]`.

Read off the machine code of the linked image: what each function pushes and reserves, and whom it calls. This is a
bound and no sample, since the core has no recursion and calls through no pointer, but for the hash that it lends to
Monocypher (VIA_POINTER). An interrupt may come at the deepest moment, and is added.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from firmware.tools.sizes import CROSS, ELF

# Who calls through pointers, and whom: the hash that core/crypto_monocypher.c lends to Monocypher.
VIA_POINTER: Final = re.compile(r"^crypto_(check|sign)_|^fw_(ed25519|sign)")
LENT: Final = re.compile(r"^(context_(start|add|end)|sha512_of)\b")
# The processor pushes 32 and aligns by 4; the handlers of port/qemu reserve nothing beside what they push.
INTERRUPT: Final = 64
WORD: Final = 4

_FUNCTION = re.compile(r"^[0-9a-f]+ <(\S+)>:$")
_PUSH = re.compile(r"\t(?:push|stmdb\s+sp!,|stmdb\.w\s+sp!,)\s*\{([^}]*)\}")
_RESERVE = re.compile(r"\tsub(?:\.w|w)?\s+sp,\s*(?:sp,\s*)?#(\d+)")
_PRE = re.compile(r"\tstrd?(?:\.w)?\s.*\[sp, #-(\d+)\]!")
_CALL = re.compile(r"\tb(?:l|\.w|\.n|)\s+[0-9a-f]+ <([^>+]+)>$")
_POINTER = re.compile(r"\tb(?:lx|x)\s+(?!lr)")


@dataclass
class Function:
    """One function: octets of stack of its own, and whom it calls."""

    own: int = 0
    calls: set[str] = field(default_factory=set)
    via_pointer: bool = False


def _registers(text: str) -> int:
    count = 0
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        numbers = {"sl": 10, "fp": 11, "ip": 12, "lr": 14}
        begin = numbers.get(first) or int(first.strip("r"))
        count += (
            1 if not last else numbers.get(last, 0) - begin + 1 if last in numbers else int(last.strip("r")) - begin + 1
        )
    return count


def functions(elf: Path) -> dict[str, Function]:
    """All functions of an image."""
    command = [CROSS + "objdump", "--disassemble", "--no-show-raw-insn", str(elf)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, Function] = {}
    now = Function()
    for line in text.splitlines():
        if begun := _FUNCTION.match(line):
            now = found.setdefault(begun[1], Function())
        elif pushed := _PUSH.search(line):
            now.own += WORD * _registers(pushed[1])
        elif reserved := _RESERVE.search(line) or _PRE.search(line):
            now.own += int(reserved[1])
        elif called := _CALL.search(line):
            now.calls.add(called[1])
        elif _POINTER.search(line):
            now.via_pointer = True
    return found


def deepest(found: dict[str, Function], name: str) -> tuple[int, tuple[str, ...]]:
    """The deepest stack from `name` on, and the calls to it. Raises ValueError if a function may call itself."""
    known: dict[str, tuple[int, tuple[str, ...]]] = {}

    def of(name: str, above: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
        if name in above:
            raise ValueError(f"recursion: {' > '.join((*above, name))}")
        if name not in known:
            function = found.get(name, Function())
            calls = {call for call in function.calls if call != name}
            if function.via_pointer and VIA_POINTER.match(name):
                calls |= {lent for lent in found if LENT.match(lent)}
            deep, path = max((of(call, (*above, name)) for call in calls), default=(0, ()))
            known[name] = (function.own + deep, (name, *path))
        return known[name]

    return of(name, ())


def main(words: list[str]) -> None:
    """Print the deepest path, function by function."""
    found = functions(Path(words[0]) if words else ELF)
    deep, path = deepest(found, "main")
    for name in path:
        print(f"{found[name].own:7,}  {name}")
    print(f"{INTERRUPT:7,}  an interrupt\n{deep + INTERRUPT:7,}  octets of stack at most")


if __name__ == "__main__":
    main(sys.argv[1:])
