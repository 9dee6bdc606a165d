"""The Director's own word of the Image repository: heard in full, kept when refused, never guessed."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import pytest

from director.catalogue import Catalogue, refresh, reloaded
from tests.builders import BRAKE, HARDWARE, NOW, SUPPLIER, VERIFIER, ImageRepo, Pair, key
from uptane.errors import Check, Rejected
from uptane.model.ids import Filename, HardwareId, Role, RoleName
from uptane.model.metadata import Image
from uptane.moments import UtcTime
from uptane.verify.delegations import Wanted
from uptane.verify.needs import Drop, Fetch, Keep

BRAKE_HW = HARDWARE[BRAKE]


class Ear:
    """Carries out the workflow: answers from the repository, keeps what is to be kept."""

    def __init__(self, repo: ImageRepo) -> None:
        self.repo = repo
        self.kept = {"root": repo.offered["1.root"]}
        self.asked: list[str] = []
        self.catalogue = reloaded(VERIFIER, self.kept)[0]

    def hear(self, wanted: Iterable[Wanted] = (), utc: int = NOW) -> Catalogue:
        self.asked = []
        self.catalogue = self._run(refresh(VERIFIER, self.catalogue, wanted, utc=UtcTime(utc)))
        return self.catalogue

    def _run(self, workflow: Generator[Any, Any, Catalogue]) -> Catalogue:
        answer: bytes | None = None
        while True:
            try:
                need = workflow.send(answer)
            except StopIteration as ended:
                result: Catalogue = ended.value
                return result
            answer = self._answer(need)

    def _answer(self, need: Any) -> bytes | None:
        match need:
            case Fetch(name=name):
                self.asked.append(str(name))
                return self.repo.offered.get(str(name))
            case Keep(file=file, octets=octets):
                self.kept[file] = octets
            case Drop(file=file):
                del self.kept[file]
        return None


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.fixture
def ear(pair: Pair) -> Ear:
    return Ear(pair.image)


def supplied(pair: Pair) -> Image:
    return next(iter(pair.image.images[SUPPLIER].values()))


def wanted(image: Image, hardware: HardwareId = BRAKE_HW) -> Wanted:
    return Wanted(image.filename, hardware)


def test_nothing_is_known_before_it_was_heard(ear: Ear) -> None:
    assert not ear.catalogue.known
    assert ear.catalogue.files() == {}
    assert ear.catalogue.snapshot_version == 0


def test_images_are_found_as_a_vehicle_finds_them(pair: Pair, ear: Ear) -> None:
    image = supplied(pair)
    heard = ear.hear([wanted(image), wanted(image, HardwareId("other-hw")), Wanted(Filename("no/such"), BRAKE_HW)])
    assert heard.known
    found = heard.find(image.filename, BRAKE_HW)
    assert found is not None
    assert found.octets == pair.image.images[SUPPLIER][image.filename].octets
    assert heard.find(image.filename, HardwareId("other-hw")) is None
    assert heard.find(Filename("no/such"), BRAKE_HW) is None
    assert set(heard.files()) == {"root", "timestamp", "snapshot", "targets"}


def test_it_begins_again_from_what_was_kept(pair: Pair, ear: Ear) -> None:
    image = supplied(pair)
    ear.hear([wanted(image)])
    again, gone = reloaded(VERIFIER, ear.kept)
    assert gone == ()
    assert not again.known
    assert again.snapshot_version == ear.catalogue.snapshot_version
    ear.catalogue = again
    assert ear.hear([wanted(image)]).find(image.filename, BRAKE_HW) is not None
    assert ear.asked == ["2.root", "timestamp"]


def test_a_refusal_leaves_what_was_trusted(pair: Pair, ear: Ear) -> None:
    image = supplied(pair)
    before, kept = ear.hear([wanted(image)]), dict(ear.kept)
    pair.image.timestamp(version=1)
    with pytest.raises(Rejected) as refused:
        ear.hear([wanted(image)])
    assert refused.value.check is Check.TIMESTAMP_VERSION
    assert ear.catalogue is before
    assert ear.kept == kept


def test_an_expired_repository_is_refused(ear: Ear) -> None:
    with pytest.raises(Rejected) as refused:
        ear.hear(utc=NOW + 400 * 86_400)
    assert refused.value.check is Check.ROOT_EXPIRED


def test_a_rotation_is_followed(pair: Pair, ear: Ear) -> None:
    image = supplied(pair)
    ear.hear([wanted(image)])
    pair.image.keys[Role.TIMESTAMP] = [key("another timestamp")]
    pair.image.root()
    pair.image.publish()
    heard = ear.hear([wanted(image)])
    assert heard.root_version == 2
    assert heard.find(image.filename, BRAKE_HW) is not None
    assert ear.kept["root"] == pair.image.offered["2.root"]


def test_what_a_rotation_takes_away_is_gone_for_good(pair: Pair, ear: Ear) -> None:
    """Even if the repository then has nothing newer to offer."""
    ear.hear()
    pair.image.keys[Role.TIMESTAMP] = [key("another timestamp")]
    pair.image.root()
    del pair.image.offered["timestamp"]
    with pytest.raises(Rejected) as refused:
        ear.hear()
    assert refused.value.check is Check.TIMESTAMP_MISSING
    assert set(ear.kept) == {"root", "targets"}


def test_an_image_taken_back_is_gone(pair: Pair, ear: Ear) -> None:
    image = supplied(pair)
    ear.hear([wanted(image)])
    del pair.image.images[SUPPLIER][image.filename]
    pair.image.issue()
    assert ear.hear([wanted(image)]).find(image.filename, BRAKE_HW) is None


def test_a_broken_way_to_an_image_says_nothing_about_it(pair: Pair, ear: Ear) -> None:
    """A delegated file that is missing for a while must not change what a fleet is to run."""
    image = supplied(pair)
    ear.hear([wanted(image)])
    pair.image.issue()
    del pair.image.offered[f"{pair.image.versions[SUPPLIER]}.{SUPPLIER}"]
    found = ear.hear([wanted(image)]).find(image.filename, BRAKE_HW)
    assert found is not None
    assert found.octets == image.octets


def test_a_delegate_with_foreign_keys_is_not_believed(pair: Pair, ear: Ear) -> None:
    image = supplied(pair)
    pair.image.targets(RoleName(SUPPLIER), signers=[key("thief")])
    pair.image.publish()
    assert ear.hear([wanted(image)]).find(image.filename, BRAKE_HW) is None
