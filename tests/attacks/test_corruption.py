"""Whoever carries files may change octets of them: an ECU refuses, or comes to the very same result, no other."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import BRAKE, CAMERA, PRIMARY, Bench, Pair
from uptane.errors import Malformed, Rejected
from uptane.model.ids import EcuId, Repository
from uptane.verify.full import Full
from uptane.verify.needs import Fetch


class Line(Bench):
    """An ECU whose fetched file number `index` is changed on the way."""

    index = 0
    seen = 0

    def change(self, octets: bytes) -> bytes:
        return octets

    def _answer(self, need: object) -> bytes | None:
        octets = super()._answer(need)
        if not isinstance(need, Fetch) or octets is None:
            return octets
        self.seen += 1
        return self.change(octets) if self.seen - 1 == self.index else octets


def offered(ecu: EcuId) -> Line:
    """Two Root links and an update of both repositories."""
    bench = Line(Pair(), ecu)
    for repo in (bench.pair.director, bench.pair.image):
        repo.root()
    bench.pair.update()
    return bench


def result(bench: Bench) -> object:
    outcome = bench.verify()
    if isinstance(outcome, Full):
        return outcome.bundle, outcome.matches
    return outcome.assigned


WANTED = {ecu: result(offered(ecu)) for ecu in (PRIMARY, CAMERA)}


@settings(max_examples=150)
@given(st.data())
def test_a_changed_file_changes_no_result(data: st.DataObject) -> None:
    ecu = data.draw(st.sampled_from([PRIMARY, CAMERA]))
    bench = offered(ecu)
    bench.index = data.draw(st.integers(0, 12))

    def change(octets: bytes) -> bytes:
        at = data.draw(st.integers(0, len(octets) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "drop"]))
        match kind:
            case "flip":
                return octets[:at] + bytes((octets[at] ^ 1 << data.draw(st.integers(0, 7)),)) + octets[at + 1 :]
            case "cut":
                return octets[:at]
            case "insert":
                return octets[:at] + bytes((data.draw(st.integers(0, 255)),)) + octets[at:]
            case _:
                return octets[:at] + octets[at + 1 :]

    bench.change = change  # type: ignore[method-assign]
    before = {place: octets for place, octets in bench.store.items() if place[1] == "targets"}
    try:
        got = result(bench)
    except (Rejected, Malformed):
        assert {place: bench.store[place] for place in before} == before
        return
    assert got == WANTED[ecu]


@settings(max_examples=100)
@given(st.data())
def test_a_changed_delivery_changes_no_result(data: st.DataObject) -> None:
    bench = Bench(Pair(), BRAKE)
    bench.pair.update()
    director = bench.pair.director
    name = f"{director.versions['targets']}.targets"
    good = director.offered[name]
    at, bit = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 7))
    director.offered[name] = good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :]
    before = bench.store[Repository.DIRECTOR, "targets"]
    try:
        bench.verify()
    except (Rejected, Malformed):
        assert bench.store[Repository.DIRECTOR, "targets"] == before
        return
    raise AssertionError("one signature, and every octet of the file is under it or is it")
