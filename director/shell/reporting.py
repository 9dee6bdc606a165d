"""How a command ends: a sentence or JSON on standard output, or one line about the refusal and exit code 1."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from director.errors import Declined, Refused
from uptane.errors import MarqueError, Rejected

REFUSED = 1
"""Exit code of a command that was refused; a wrong command line is 2."""


@contextmanager
def reporting(*, as_json: bool) -> Iterator[None]:
    """Whatever is refused within is said in one line, and ends the command with code 1."""
    try:
        yield
    except MarqueError as error:
        check = error.check if isinstance(error, Refused | Declined | Rejected) else None
        if as_json:
            print_json({"refused": str(error), "check": None if check is None else check.name})
        else:
            sys.stderr.write(f"marque: {error}{f' [{check.name}]' if check and check.name not in str(error) else ''}\n")
        raise typer.Exit(REFUSED) from error


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def say(text: str, *, as_json: bool, **facts: object) -> None:
    """The outcome of a command: a sentence, or its facts as JSON."""
    if as_json:
        print_json(facts)
    else:
        sys.stdout.write(f"{text}\n")
