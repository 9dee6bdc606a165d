"""The time service: the shipping machine, a mark that is durable, and a key that can be given up for another."""

from __future__ import annotations

from typing import Final, assert_never

from director.time_service import Asked, Attested, ClockWrong, Mark, TimeService, Unanswerable
from primary.needs import Reason, Unreachable
from sim.keys import Ring
from sim.server import Server, Site
from sim.signatures import CODEC
from sim.verbs import Verb
from uptane.crypto import Ed25519Signer
from uptane.model.signed import PublicKey
from uptane.moments import UtcTime


class TimeNode(Server):
    """See the module. Founded when it is made: nothing before that is ever attested."""

    def __init__(self, site: Site) -> None:
        super().__init__("time", site)
        self.ring: Final = Ring("time")
        self._floor = self.utc
        self._mark = UtcTime(0)
        self._next: Ed25519Signer | None = None
        self.signer = self.ring.create("key")[0]
        self._machine = self._started()

    def reload(self) -> None:
        """A new machine, from what is durable."""
        self._machine = self._started()

    def _started(self) -> TimeService:
        return TimeService(CODEC, self.signer, floor=self._floor, mark=self._mark)

    @property
    def was_ahead(self) -> bool:
        """Whether it said, or noted as said, a time that has not come yet: it says nothing until that has."""
        return self._machine.wrong(self.true_utc) is not None

    def attest(self, nonces: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Say what time it is, once for each nonce.

        Raises:
            Unreachable: the service is down, would have to say an earlier time than before, or is asked wrongly.
        """
        with self.door():
            for effect in self._machine.handle(Asked(nonces, self.utc), self.site.clock.instant):
                match effect:
                    case Mark(utc=utc):
                        self.moment("before mark")
                        self._mark = utc
                        self.moment("after mark")
                    case Attested(envelopes=envelopes):
                        return envelopes
                    case Unanswerable(text=text):
                        raise Unreachable(self.name, Reason.REFUSED, text)
                    case ClockWrong(text=text):
                        self.say(Verb.TROUBLE, text)
                        raise Unreachable(self.name, Reason.DOWN, text)
                    case _:
                        assert_never(effect)
            raise AssertionError("a request is answered")

    # --------------------------------------------------------------------------------------------------- operators

    def prepare(self) -> PublicKey:
        """Found a service with another key beside this one; its public half is for the Director's Root."""
        self._next = self.ring.create("key")[0]
        return self._next.public

    def switch(self) -> None:
        """The service with the other key takes over: it was founded now, and knows nothing of what was said before."""
        assert self._next is not None, "prepared before"
        self.signer, self._next = self._next, None
        self._floor, self._mark = self.utc, UtcTime(0)
        self._machine = self._started()
        self.say(Verb.ROTATED, "time")
