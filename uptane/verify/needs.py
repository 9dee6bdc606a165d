"""What the verification workflows ask of their shell. Power may fail between any two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from uptane.model.ids import MetaName, Repository


@dataclass(frozen=True, slots=True)
class Fetch:
    """A file of a repository, at most `length_max` octets. Answer: its octets, or None when the repository has none.

    A link that fails is no answer: the shell throws LinkFailure into the workflow, which ends by it. A file that turns
    out longer is answered cut off behind `length_max` octets, by one octet or more, and is refused for its length.
    """

    repository: Repository
    name: MetaName
    length_max: int


@dataclass(frozen=True, slots=True)
class Keep:
    """Store `octets` durably as `file` of the repository, in place of an older one. Answer: None, once durable."""

    repository: Repository
    file: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete `file` of the repository, if it is there. Answer: None, once it is gone for good."""

    repository: Repository
    file: str


Need: TypeAlias = Fetch | Keep | Drop
