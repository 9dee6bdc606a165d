"""What a run leaves behind: pictures, a page, traces that stock readers read, and what is done with too much."""

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import can
import pytest

from rig import page, picture, trace
from rig.journal import FRAMES_MAX, Journal
from rig.recorder import file_name
from rig.results import Result, Run, Verdict
from uptane.link.can_frame import CanFrame


def journal() -> Journal:
    made = Journal()
    made.note("stage", "transfer")
    for number in range(40):
        made.frame(CanFrame(0x1CDA21F1, bytes((number,) * 8)), sent=True)
        made.frame(CanFrame(0x1CDAF121, bytes(64), fd=True, brs=True), sent=False)
        made.octets(512)
    made.frame(CanFrame(0x123, b"ab"), sent=False, extended=False)
    made.note("stage", "check")
    return made


@pytest.mark.parametrize("kind", list(trace.Kind))
def test_stock_readers_read_the_traces(tmp_path: Path, kind: trace.Kind) -> None:
    made = journal()
    written = trace.write(made, tmp_path / "case.with.dots", [kind])
    assert [path.name for path in written] == ["case.with.dots" + trace.SUFFIX[kind]]
    with can.LogReader(written[0]) as reader:
        read = [
            (message.arbitration_id, bytes(message.data), message.is_extended_id, message.is_fd, message.bitrate_switch)
            for message in reader
        ]
    assert read == [
        (each.frame.can_id, each.frame.data, each.extended, each.frame.fd, each.frame.brs) for each in made.frames
    ]


def test_no_frames_are_no_file(tmp_path: Path) -> None:
    assert trace.write(Journal(), tmp_path / "case", list(trace.Kind)) == []


def test_a_case_without_end_is_bounded() -> None:
    made = Journal()
    frame = CanFrame(1, b"")
    made.frames = [None] * (FRAMES_MAX - 1)  # type: ignore[list-item]
    for _ in range(3):
        made.frame(frame, sent=True)
    assert (len(made.frames), made.unrecorded) == (FRAMES_MAX, 2)


# ---------------------------------------------------------------------------------------------------------- pictures


def test_the_rate_over_time() -> None:
    moved = [((second + 0.5) / 10, 100) for second in range(100)]
    points = picture.binned(moved, 10.0)
    assert len(points) == 50
    assert all(rate == pytest.approx(1_000) for _, rate in points)
    assert sum(rate * 10.0 / len(points) for _, rate in points) == pytest.approx(10_000), "nothing is lost on the way"
    assert picture.binned([], 10.0) == []
    assert picture.binned([(0.0, 7)], 1.0) == [(0.5, 7.0)]


@pytest.mark.parametrize(("value", "top"), [(0.0, 0.001), (0.9, 1), (1.0, 1), (1.1, 2), (17.5, 20), (4_999, 5_000)])
def test_a_scale_for_people(value: float, top: float) -> None:
    assert picture.nice(value) == pytest.approx(top)


def result(**changes: object) -> Result:
    made = Result("test_x.py::test_update[brake]", "test_update[brake]", "brake", "What <it> does.", seconds=2.0)
    made.take(journal())
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_the_picture_is_well_formed() -> None:
    drawn = picture.rate_over_time(result(events=[(0.1, "power", 'off & "on" <now>'), (0.2, "unknown", "left out")]))
    root = ET.fromstring(drawn)
    assert [each.text for each in root.iter("title")] == ['0.100 s: power: off & "on" <now>']
    assert any(each.get("class") == "rate" for each in root.iter("path"))
    assert picture.rate_over_time(result(moved=[], events=[])) == ""


def test_the_rate_is_that_of_images() -> None:
    made = result(
        moved=[(0.5, 50), (1.5, 1_000), (2.0, 1_000)],
        events=[(0.0, "stage", "metadata"), (1.0, "stage", "transfer"), (2.5, "stage", "check")],
        seconds=3.0,
    )
    assert made.rate == pytest.approx(2_000)
    assert result(moved=[], events=[]).rate == 0


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "path"}:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    run = Run("rig.toml", 7, "today", 3.0)
    run.results = [
        result(files={"candump": "cases/a.log"}, console="boot <ok>"),
        result(verdict=Verdict.FAILED, message="1 < 2", detail="Traceback", noise=3, dropped=2),
        result(verdict=Verdict.SKIPPED, moved=[], events=[]),
    ]
    parsed = _Page()
    parsed.feed(page.page(run))
    assert parsed.open == []
    assert parsed.links == ["#case-0", "#case-1", "#case-2", "cases/a.log"]
    text = "".join(parsed.text)
    for words in ("1 passed, 1 failed, 1 skipped", "boot <ok>", "1 < 2", "What <it> does.", "2 lost on purpose"):
        assert words in text
    assert not run.good
    assert run.facts()["failed"] == 1


def test_a_file_name_for_every_case() -> None:
    assert (
        file_name("a/test_attacks.py::test_attack[brake-root cut/short]")
        == "test_attacks.py_test_attack_brake-root_cut_short"
    )
    assert file_name("test_update.py::test_update[brake]") == "test_update.py_test_update_brake"
    assert len(file_name("x" * 500)) == 100
