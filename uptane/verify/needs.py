"""What the verification workflows ask of their shell. Power may fail between any two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from uptane.model.ids import MetaName, Repository
from uptane.verify.trusted import Held


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


@dataclass(frozen=True, slots=True)
class Stands:
    """A link of a Root chain is durable, and what does not hold under it is gone. Answer: None, at once.

    From here on `held` is what is held, whatever is refused or fails after it; its clock only if `clock_reset`. A Root
    that was kept and then forgotten would be put back by the next link, one version lower.
    """

    held: Held
    clock_reset: bool


Need: TypeAlias = Fetch | Keep | Drop | Stands
