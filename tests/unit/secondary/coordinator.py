"""What a Primary does to one Secondary, as far as the Secondary can see it: delivery, orders, resets."""

from tests.unit.secondary.board import PRIMARY_CLIENT, Board, Client, image_octets
from uptane.link.uds_objects import CheckOption, Object
from uptane.model.reports import EcuState, Phase

_FULL_ONLY = (
    (Object.DIRECTOR_TIMESTAMP, "director", "timestamp"),
    (Object.DIRECTOR_SNAPSHOT, "director", "snapshot"),
    (Object.IMAGE_TIMESTAMP, "image", "timestamp"),
    (Object.IMAGE_SNAPSHOT, "image", "snapshot"),
    (Object.IMAGE_TARGETS, "image", "targets"),
)


class Coordinator(Client):
    """A Primary in front of one Secondary; every answer has to be positive."""

    def __init__(self, board: Board) -> None:
        super().__init__(board, PRIMARY_CLIENT)

    def update(self) -> None:
        """From wherever the ECU stands to released."""
        self.verify()
        if self.status().state in {EcuState.IDLE, EcuState.RELEASED}:
            answers = list(self.install(image_octets(self.board.pair, self.board.ecu), restart=False))
            assert not [answer for answer in answers if answer.startswith("7f")], answers
        if self.status().state is EcuState.PREPARED:
            self.order(Phase.ACTIVATE)
            self.restart()
        if self.status().state is EcuState.VOTED:
            self.order(Phase.COMMIT)
        if self.status().state is EcuState.COMMITTED:
            self.order(Phase.RELEASE)

    def verify(self) -> None:
        """Time and metadata, as this ECU verifies them."""
        assert self.ask("1003") == "5003003201f4"
        assert self.set_time() == ""
        assert self.deliver_metadata() == ""
        option = CheckOption.EVERYTHING if self.board.facts.full else CheckOption.DIRECTOR_TARGETS
        assert self.check(option) == "7101020200"

    def deliver_metadata(self) -> str:
        """Every file; the first answer that is not positive, or ""."""
        pair = self.board.pair
        offered = {"director": pair.director, "image": pair.image}
        refused = self.deliver(Object.DIRECTOR_TARGETS, self._newest("director", "targets"))
        if self.board.facts.full:
            for item, repo, role in _FULL_ONLY:
                octets = offered[repo].offered["timestamp"] if role == "timestamp" else self._newest(repo, role)
                refused = refused or self.deliver(item, octets)
            for number, role in enumerate(each for each in pair.image.images if each != "targets"):
                refused = refused or self.deliver(Object.DELEGATED, self._newest("image", role), number)
        return refused

    def order(self, phase: Phase, octets: bytes | None = None) -> None:
        """Give an order and have it obeyed."""
        self.ask("1003")
        assert self.put(Object.ORDER, octets or self.board.pair.order(phase)) == ""

    def restart(self) -> None:
        assert self.ask("1002") == "5002003201f4"
        assert self.ask("1101") == "5101"

    def _newest(self, repo: str, role: str) -> bytes:
        pair = self.board.pair
        source = pair.director if repo == "director" else pair.image
        return source.offered[f"{source.versions[role]}.{role}"]
