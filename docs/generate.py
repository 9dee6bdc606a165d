"""Write docs/checks.md from uptane/errors.py; a test proves that it is fresh."""

from __future__ import annotations

from pathlib import Path

from uptane.errors import Check

HEAD = """# Check codes

Every check of Marque, once: its code on the wire, where it is demanded (an anchor of the Uptane Standard 2.1.0, or
a section of [wire.md](wire.md)), the attack it stops, and what it refuses. Written from `uptane/errors.py` by
`make generate`.

| code | check | anchor | stops | refuses what |
|---|---|---|---|---|
"""


def checks() -> str:
    """The table, in order of codes."""
    ordered = sorted(Check, key=lambda check: check.code)
    rows = (
        f"| `{check.code:04X}` | `{check.name}` | {check.anchor} | {check.attack.value} | {check.value.text} |"
        for check in ordered
    )
    return HEAD + "\n".join(rows) + "\n"


def main() -> None:
    """Write the file beside this one."""
    Path(__file__).with_name("checks.md").write_text(checks())


if __name__ == "__main__":
    main()
