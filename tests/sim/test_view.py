"""What people see of a run is what its trace says, and nothing in a trace can do anything to who looks at it."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import lanes, page
from sim.asked import Asked
from sim.attempt import attempt
from sim.axis import GAP_NS, Axis, clock, spoken
from sim.clock import NS_PER_S
from sim.lanes import Bus, Ecu
from sim.shell.files import write_page
from sim.trace import Trace
from sim.trace_reader import Recorded, read
from sim.verbs import BY_WORD, ECU_STATES, Kind, Verb
from sim.view import LANES_MAX, View, view
from tests.sim.fake_simulation import FakeSimulation

ROOT = Path(__file__).resolve().parent.parent.parent


def told(*lines: tuple[float, str, str, str]) -> Recorded:
    out = io.StringIO()
    trace = Trace(1, out)
    for at_s, node, verb, detail in lines:
        trace.say(int(at_s * NS_PER_S), node, verb, detail)
    trace.end()
    return read(line.encode() for line in out.getvalue().splitlines(keepends=True))


def faked(seed: int = 13) -> Recorded:
    out = io.StringIO()
    attempt(FakeSimulation(), Asked(seed), Trace(seed, out))
    return read(line.encode() for line in out.getvalue().splitlines(keepends=True))


# --------------------------------------------------------------------------------------------------------- verbs


def test_the_table_of_verbs_has_each_once_under_its_kind() -> None:
    text = (ROOT / "sim" / "verbs.py").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| (\w+) +\| ([a-z -]+) \|$", text, re.MULTILINE))
    table.pop("kind")
    assert table.keys() == {kind.value for kind in Kind}
    for kind in Kind:
        assert sorted(table[kind.value].split()) == sorted(verb.value for verb in Verb if verb.kind is kind)


def test_verbs_are_words_with_a_sentence() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", verb) and verb.text.endswith((".", "!")) for verb in Verb)
    assert len(BY_WORD) == len(Verb)


# ---------------------------------------------------------------------------------------------------------- axis


@given(st.lists(st.integers(0, 10**17), min_size=1).map(sorted))
def test_time_never_runs_backwards_on_the_axis(times: list[int]) -> None:
    axis = Axis(times)
    places = [axis.at(each) for each in times]
    assert places == sorted(places)
    assert 0.0 <= places[0] <= places[-1] <= 1.0
    assert axis.at(times[-1]) == 1.0 or times[-1] == 0
    assert all(left < right for left, right in zip(sorted(set(places)), sorted(set(places))[1:], strict=False))
    ticks = axis.ticks(10)
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= 20


def test_a_long_sleep_is_squeezed_and_named_and_what_is_short_is_not() -> None:
    year = 400 * 86_400 * NS_PER_S
    axis = Axis([0, NS_PER_S, 10 * NS_PER_S, 10 * NS_PER_S + year, 12 * NS_PER_S + year])
    assert [gap.text for gap in axis.gaps] == ["400 d"]
    assert axis.at(10 * NS_PER_S + year) - axis.at(10 * NS_PER_S) < 0.8
    even = Axis(range(0, 100 * NS_PER_S, NS_PER_S))
    assert even.gaps == []
    assert even.at(33 * NS_PER_S) == pytest.approx(33 / 99)


def test_ticks_are_round_and_leave_out_what_is_squeezed() -> None:
    even = Axis([*range(0, 100 * NS_PER_S, NS_PER_S // 3), 100 * NS_PER_S])
    assert [each // NS_PER_S for each in even.ticks(10)] == list(range(0, 101, 10))
    asleep = Axis([*range(0, 10 * NS_PER_S, NS_PER_S // 3), 86_400 * NS_PER_S])
    assert [each // NS_PER_S for each in asleep.ticks(20)] == [0, 2, 4, 6, 8]


def test_knots_are_the_axis() -> None:
    axis = Axis([0, NS_PER_S, 90 * NS_PER_S, 91 * NS_PER_S])
    assert all(axis.at(at_ns) == place for at_ns, place in axis.knots)
    assert GAP_NS < 89 * NS_PER_S


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (0, "0 s"),
        (1_500_000_000, "1.5 s"),
        (61 * NS_PER_S, "1:01"),
        (3_661 * NS_PER_S, "01:01:01"),
        (90_061 * NS_PER_S, "1 d 01:01:01"),
    ],
)
def test_moments_for_people(at_ns: int, text: str) -> None:
    assert clock(at_ns) == text


@pytest.mark.parametrize(
    ("length_ns", "text"),
    [
        (1_000, "0.001 ms"),
        (12_000_000, "12 ms"),
        (1_500_000_000, "1.5 s"),
        (59_999_000_000, "60 s"),
        (3_600 * NS_PER_S, "1 h"),
        (90_061 * NS_PER_S, "1 d 1 h"),
    ],
)
def test_lengths_for_people(length_ns: int, text: str) -> None:
    assert spoken(length_ns) == text


# --------------------------------------------------------------------------------------------------------- lanes


def ecu(seen: View, node: str) -> Ecu:
    return next(each for each in seen.ecus if each.node == node)


def test_an_ecu_is_off_boots_and_stands_where_its_record_says() -> None:
    seen = view(
        told(
            (1, "v1.brake", "power-up", ""),
            (2, "v1.brake", "running", "slot 0 app-1"),
            (3, "v1.brake", "state", "prepared aabb"),
            (4, "v1.brake", "restart", ""),
            (5, "v1.brake", "running", "slot 1 app-2"),
            (6, "v1.brake", "cut", "in Store"),
            (8, "v1.brake", "note", "nothing"),
        )
    )
    found = [
        (each.start_ns // NS_PER_S, each.end_ns // NS_PER_S, each.state, each.image)
        for each in ecu(seen, "v1.brake").stretches
    ]
    assert found == [
        (0, 1, "off", ""),
        (1, 2, "booting", ""),
        (2, 3, "running", "app-1"),
        (3, 4, "prepared", "app-1"),
        (4, 5, "booting", "app-1"),
        (5, 6, "prepared", "app-2"),
        (6, 8, "off", "app-2"),
    ]
    assert (ecu(seen, "v1.brake").boots, ecu(seen, "v1.brake").cuts) == (2, 1)


def test_a_primary_runs_when_it_begins_and_a_secondary_when_it_says_so() -> None:
    seen = view(
        told(
            *(
                (at, f"v1.{each}", verb, "")
                for at, verb in ((0, "power-up"), (1, "note"))
                for each in ("primary", "brake")
            )
        )
    )
    assert (ecu(seen, "v1.primary").state, ecu(seen, "v1.brake").state) == ("running", "booting")


def test_one_that_does_not_come_up_is_dead() -> None:
    seen = view(told((0, "v1.brake", "power-up", ""), (1, "v1.brake", "trouble", "does not boot: no state")))
    assert ecu(seen, "v1.brake").state == "dead"


def test_storage_and_traffic_are_counted() -> None:
    seen = view(
        told(
            (0, "v1.brake", "write", "slot 1 at 0 200 octets"),
            (0, "v1.brake", "write", "slot 1 at 200 12 octets"),
            (0, "v1.brake", "erase", "slot 1"),
            (0, "v1.bus.fast", "frames", "34 from v1.primary"),
            (1, "v1.bus.fast", "frames", "6 from v1.primary"),
            (1, "v1.bus.fast", "error", "2 from v1.brake"),
        )
    )
    assert (ecu(seen, "v1.brake").written, ecu(seen, "v1.brake").erases) == (212, 1)
    (bus,) = seen.buses
    assert (bus.frames, bus.errors, bus.bursts) == ({"v1.primary": 40}, 2, [(0, 34), (NS_PER_S, 6)])


def test_lanes_stand_in_a_fixed_order_and_are_not_endless() -> None:
    nodes = [
        "v10.primary",
        "v2.bus.fast",
        "v2.zero",
        "v2.primary",
        "checkers",
        "image",
        "director",
        "operator",
        "v2.brake",
        "faults",
    ]
    seen = view(told(*((0, node, "note", "") for node in nodes)))
    assert [each.node for each in seen.places] == ["operator", "director", "image", "faults", "checkers"]
    assert [each.node for each in seen.ecus] == ["v2.primary", "v2.brake", "v2.zero", "v10.primary"]
    many = view(told(*((0, f"v{number}.primary", "note", "") for number in range(LANES_MAX + 3))))
    assert (len(many.ecus), many.untold) == (LANES_MAX, 3)


def test_refusals_are_gathered_by_node_and_check() -> None:
    said = "TIMESTAMP_EXPIRED (0x0307, check_timestamp/4): has expired; stops freeze"
    seen = view(
        told(
            (0, "v1.primary", "note", f"verify: {said}"),
            (1, "v1.brake", "refused", "ORDER_PHASE one"),
            (2, "v1.brake", "refused", "ORDER_PHASE two"),
            (3, "v1.brake", "note", "NOT_A_CHECK without a code"),
        )
    )
    assert [(each.node, each.check, each.stops, each.count, each.first, each.last) for each in seen.refusals] == [
        ("v1.primary", "TIMESTAMP_EXPIRED", "freeze", 1, 1, 1),
        ("v1.brake", "ORDER_PHASE", "replay", 2, 2, 3),
    ]
    assert seen.refusals[1].text == "ORDER_PHASE two"
    assert [mark.verb for mark in ecu(seen, "v1.primary").marks] == ["refused"]


def test_a_broken_rule_is_said_in_its_own_sentence() -> None:
    (broken,) = view(faked()).violations
    assert broken.text == "BOOTABLE v1.brake slot 1 holds half an image"
    assert broken.means.startswith("the slot that runs")


def test_faults_and_acts_have_their_numbers_and_calm_its_time() -> None:
    seen = view(faked(1))
    assert [each.number for each in seen.faults] == list(range(2, 10))
    assert [each.number for each in seen.acts] == [1]
    assert seen.calm_ns == pytest.approx(15.8 * NS_PER_S)
    assert not seen.violations


# ---------------------------------------------------------------------------------------------------------- page


class Tags(HTMLParser):
    """The tags of a page, and what stands in its script elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def paged(recorded: Recorded, tmp_path: Path) -> str:
    write_page(tmp_path / "page.html", recorded)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page_is_whole_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = paged(faked(), tmp_path)
    tags = Tags(text)
    assert not tags.open
    assert not [
        tag
        for tag, given in tags.tags
        if given.keys() & {"src", "action", "srcset"} or tag in {"link", "iframe", "img"}
    ]
    assert all((given["href"] or "").startswith("#e") for tag, given in tags.tags if tag == "a")
    assert "://" not in text
    assert "default-src 'none'" in text
    assert not [name for _, given in tags.tags for name in given if name.startswith("on")]
    data = json.loads(tags.scripts[0])
    assert len(data["lines"]) == len(faked().lines)
    assert data["missing"] == 0


def test_a_page_says_the_same_without_its_script_and_to_who_does_not_see(tmp_path: Path) -> None:
    text = paged(faked(), tmp_path)
    tags = Tags(text).tags
    labels = [given["aria-label"] for tag, given in tags if given.get("role") == "img"]
    assert (
        "v1.brake: booted 8 times, power cut 8 times, at the end released app-1".replace("booted 8", "booted 9")
        in labels
    )
    assert "<caption>Refused, and why</caption>" in text
    assert "INSTALL_COUNTER" in text
    assert "#7 7.000 s cut v1.brake" in text
    assert ("html", {"lang": "en"}) in tags


EVIL = "\"'></script><script>alert(1)</script><img src=x onerror=alert(2)>&<!--"


def test_nothing_in_a_trace_becomes_part_of_the_page(tmp_path: Path) -> None:
    node = 'x"onclick=alert(3)><b>'
    recorded = told(
        *((0, where, verb, EVIL) for where in (node, f"v1.{node}", f"v1.bus.{node}") for verb in (*Verb, "<i>")),
        (0, "v1.bus.b", "frames", f"3 from {node}"),
        (0, f"v1.{node}", "running", f"slot 0 {EVIL.replace(' ', '')}"),
        (1, "checkers", "violation", EVIL),
    )
    tags = Tags(paged(recorded, tmp_path))
    assert not tags.open
    assert sum(tag == "script" for tag, _ in tags.tags) == 2
    assert not [tag for tag, given in tags.tags if tag == "img" or any(name.startswith("on") for name in given)]
    assert EVIL in [line[4] for line in json.loads(tags.scripts[0])["lines"]]


def test_the_script_is_the_one_that_the_policy_allows(tmp_path: Path) -> None:
    text = paged(faked(), tmp_path)
    script = (ROOT / "sim" / "shell" / "page.js").read_text(encoding="utf-8")
    allowed = re.search(r"script-src 'sha256-([^']+)'", text)
    assert allowed
    assert f"<script>{script}</script>" in text
    other = page.page(view(faked()), faked(), style="", script=script + " ")
    assert allowed[1] not in other


def test_a_long_trace_is_made_shorter_for_a_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(page, "LINES_MAX", 30)
    data = json.loads(Tags(paged(faked(), tmp_path)).scripts[0])
    assert len(data["lines"]) == 30
    assert data["missing"] == len(faked().lines) - 30
    assert "storage" not in {verb[1] for verb in data["verbs"]}


def test_the_page_and_the_terminal_know_every_state() -> None:
    style = (ROOT / "sim" / "shell" / "page.css").read_text(encoding="utf-8")
    from sim.shell import terminal

    for state in lanes.STATES:
        assert f".s-{state} " in style
        assert state in terminal._LOOKS
    assert set(ECU_STATES) < set(lanes.STATES)
    assert isinstance(view(faked()).buses[0], Bus)
