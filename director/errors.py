"""Why the Director declines what an operator asks: a reason a program can tell apart, and a sentence for people.

`Declined` is the Director's own no; `Refused` is how it looks at the operator's end.
"""

from __future__ import annotations

from enum import Enum

from uptane.errors import Check, MarqueError


class Reason(Enum):
    """What kind of no it is; the value is the word shown to people."""

    INVALID = "invalid"  # the request itself makes no sense
    UNKNOWN = "unknown"  # it names a vehicle, ECU, image or rule that is not there
    EXISTS = "exists"  # something else is there under that name
    REFUSED = "refused"  # understood, and a rule forbids it
    UNREADY = "not ready"  # something it needs is not there yet; the same request may succeed later


class Declined(MarqueError):
    """An operator's request that changes nothing; `check` names the rule of the vehicles it would break, if one."""

    def __init__(self, reason: Reason, text: str, check: Check | None = None) -> None:
        """Decline for `reason`; `text` says what was found and what to do instead."""
        self.reason = reason
        self.text = text
        self.check = check
        super().__init__(reason, text, check)

    def __str__(self) -> str:
        """The sentence, and the check's name if there is one."""
        return self.text if self.check is None else f"{self.text} [{self.check.name}]"


class Refused(MarqueError):
    """The Director says no; `check` is the rule of the vehicles that would be broken, if it is one."""

    def __init__(self, text: str, check: Check | None = None) -> None:
        self.check = check
        super().__init__(text)


class ClockWrong(MarqueError):
    """The system clock says a time that has certainly passed: nothing is judged or signed by it."""
