"""A deliberate defect of a shipping core, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """In `path`, `before` becomes `after`; `breaks` says in words what is no longer so, `kills` what finds it."""

    name: str
    path: str
    before: str
    after: str
    breaks: str
    kills: str
