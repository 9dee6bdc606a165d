"""One run as a page: a single file that needs no network, no server and, but for zooming and searching, no script.

Everything that came from the trace is escaped, and the page's own policy lets no script run but the one it was made
with. `style` and `script` are the page's own, and are given by who reads files.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from html import escape
from typing import Final

from sim.axis import Axis, clock, spoken
from sim.lanes import STATES, Bus, Ecu, Mark, Place
from sim.trace_reader import Line, Recorded
from sim.verbs import BY_WORD, Kind, Verb
from sim.view import Happened, Refusal, View

LINES_MAX: Final = 50_000  # of the trace that the page carries: some 5 MB, which any browser searches at once
ROWS_MAX: Final = 2_000  # of a table
BUCKETS: Final = 800  # of a bus's traffic: more than a screen is wide
NEAR: Final = 1 / 2_000  # of the axis: marks closer to each other than this are one mark
THIN: Final = 1 / 20_000  # of the axis: nobody can see a stretch that is shorter

SIGNS: Final = {
    Verb.VIOLATION: "‼",
    Verb.REFUSED: "▲",
    Verb.CUT: "✕",
    Verb.CRASH: "✕",
    Verb.FAULT: "!",
    Verb.TROUBLE: "~",
    Verb.UNREACHABLE: "~",
    Verb.FULL: "■",
    Verb.DAMAGED: "■",
    Verb.CALM: "C",
    Verb.TEST: "t",
    Verb.PUBLISHED: "P",
    Verb.ASSIGNED: "A",
    Verb.ADMITTED: "M",
    Verb.ISSUED: "I",
}
_QUIET: Final = (Kind.STORAGE, Kind.BUS, Kind.NETWORK)  # what is left out first when a trace is too long for a page


def page(view: View, recorded: Recorded, *, style: str, script: str) -> str:
    """The whole file."""
    allowed = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'; base-uri 'none'"
    parts = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Marque: seed {view.asked.seed}</title>\n<style>\n{style}</style>\n</head>\n<body>",
        *_head(view),
        *_timeline(view),
        *_tables(view),
        *_events(view),
        f'<script type="application/json" id="data">{_data(view, recorded)}</script>',
        f"<script>{script}</script>\n</body>\n</html>\n",
    )
    return "\n".join(parts)


def _head(view: View) -> Iterator[str]:
    broken = len(view.violations)
    verdict = (
        f'<strong class="bad">{broken} broken</strong>' if broken else '<strong class="good">every rule held</strong>'
    )
    yield f"<header>\n<h1>Seed {view.asked.seed} {verdict}</h1>"
    yield '<button type="button" id="theme">dark or light</button>'
    facts = {
        "events told": f"{view.events:,}",
        "virtual time": spoken(view.axis.end_ns),
        "faults": f"{len(view.faults):,}",
        "power cuts": f"{sum(ecu.cuts for ecu in view.ecus):,}",
        "refused": f"{sum(each.count for each in view.refusals):,}",
    }
    yield "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in facts.items()) + "</dl>"
    yield f"<p>Again: <code>{escape(view.asked.run)}</code> <span>digest <code>{view.digest}</code></span></p>"
    for each in view.violations[:ROWS_MAX]:
        yield f'<p class="bad">{_link(each.event, escape(each.text))}<br>{escape(each.means)}</p>'
    yield "</header>\n<main>"


# ------------------------------------------------------------------------------------------------------ timeline


def _timeline(view: View) -> Iterator[str]:
    yield '<section aria-labelledby="lanes-title">\n<h2 id="lanes-title">What happened</h2>'
    yield '<p class="tools needs-script"><button type="button" data-zoom="2">zoom in</button>'
    yield '<button type="button" data-zoom="0.5">zoom out</button>'
    yield '<button type="button" data-zoom="0">all of it</button>'
    for word in ("violation", "refused", "cut", "fault"):
        yield f'<button type="button" data-next="{word}">next {word}</button>'
    yield "</p>"
    yield '<div class="scroller" tabindex="0" role="region" aria-label="Lanes over virtual time"><div class="lanes">'
    yield '<div class="row ruler"><div class="name">virtual time</div><div class="lane" id="ruler" aria-hidden="true">'
    yield "".join(f'<i style="left:{_per(view.axis.at(tick))}">{clock(tick)}</i>' for tick in view.axis.ticks(10))
    yield "</div></div>"
    for place in view.places:
        yield _row(place, f"{place.node}: {len(place.marks):,} marks", _marks(view.axis, place.marks))
    for ecu in view.ecus:
        said = f"{ecu.node}: booted {ecu.boots} times, power cut {ecu.cuts} times, at the end {ecu.state} {ecu.image}"
        yield _row(ecu, said, "".join(_stretches(view.axis, ecu)) + _marks(view.axis, ecu.marks))
    for bus in view.buses:
        said = f"{bus.node}: {sum(bus.frames.values()):,} frames, {bus.errors:,} error frames"
        yield _row(bus, said, _traffic(view.axis, bus) + _marks(view.axis, bus.marks))
    yield from _over(view)
    yield "</div></div>"
    if view.untold:
        yield f"<p>{view.untold:,} more nodes have no lane here.</p>"
    yield _legend()
    yield "</section>"


def _row(place: Place, said: str, inner: str) -> str:
    name = escape(place.node)
    kind = type(place).__name__.lower()
    return (
        f'<div class="row {kind}"><div class="name" title="{name}">{name}</div>'
        f'<div class="lane" role="img" aria-label="{escape(said)}">{inner}</div></div>'
    )


def _over(view: View) -> Iterator[str]:
    """What lies over all lanes: squeezed time, the moment faults stop, the event that is looked at."""
    yield '<div class="over" aria-hidden="true">'
    for gap in view.axis.gaps[:ROWS_MAX]:
        left, right = view.axis.at(gap.start_ns), view.axis.at(gap.end_ns)
        place = f"left:{_per(left)};width:{_per(right - left)}"
        yield f'<i class="gap" style="{place}" title="nothing happens for {gap.text}"><span>{gap.text}</span></i>'
    if view.calm_ns is not None:
        yield f'<i class="calm" style="left:{_per(view.axis.at(view.calm_ns))}"><span>faults stop</span></i>'
    yield '<i id="cursor" hidden></i></div>'


def _stretches(axis: Axis, ecu: Ecu) -> Iterator[str]:
    for each in ecu.stretches:
        left, right = axis.at(each.start_ns), axis.at(each.end_ns)
        if right - left < THIN:
            continue
        image = f" · {escape(each.image)}" if each.image else ""
        lasted = f"{clock(each.start_ns)} to {clock(each.end_ns)}"
        yield (
            f'<i class="s s-{each.state}" style="left:{_per(left)};width:{_per(right - left)}"'
            f' title="{each.state}{image}, {lasted}">{each.state}{image}</i>'
        )


def _marks(axis: Axis, marks: Sequence[Mark]) -> str:
    """A sign each; signs of one verb that would hide each other are one."""
    kept: dict[str, list[tuple[float, Mark, int]]] = {}
    for mark in marks:
        at, row = axis.at(mark.at_ns), kept.setdefault(mark.verb, [])
        if row and at - row[-1][0] < NEAR:
            row[-1] = (row[-1][0], row[-1][1], row[-1][2] + 1)
        else:
            row.append((at, mark, 1))
    return "".join(_sign(verb, *each) for verb, row in kept.items() for each in row)


def _sign(verb: str, at: float, mark: Mark, count: int) -> str:
    known = BY_WORD.get(verb)
    sign = "·" if known is None else SIGNS.get(known, "·")
    often = f"{count} times " if count > 1 else ""
    title = f"{often}{escape(verb)} {escape(mark.text)}, {clock(mark.at_ns)}"
    name = "other" if known is None else known.value
    return f'<b class="m m-{name}" style="left:{_per(at)}" data-e="{mark.event}" title="{title}">{sign}</b>'


def _traffic(axis: Axis, bus: Bus) -> str:
    counts = [0] * BUCKETS
    for at_ns, frames in bus.bursts:
        counts[min(BUCKETS - 1, int(axis.at(at_ns) * BUCKETS))] += frames
    most = max(counts, default=0)
    bars = "".join(f"M{at} 100V{100 - max(4, count * 100 // most)}h1V100z" for at, count in enumerate(counts) if count)
    return f'<svg viewBox="0 0 {BUCKETS} 100" preserveAspectRatio="none" aria-hidden="true"><path d="{bars}"/></svg>'


def _legend() -> str:
    states = "".join(f'<li><i class="s s-{state}">{state}</i></li>' for state in STATES)
    signs = "".join(
        f'<li><b class="m-{verb.value}">{sign}</b> {verb.value}: {escape(verb.text)}</li>'
        for verb, sign in SIGNS.items()
    )
    return (
        f'<details><summary>What the colours and signs mean</summary><ul class="legend">{states}{signs}</ul></details>'
    )


def _per(part: float) -> str:
    return f"{part * 100:.4f}".rstrip("0").rstrip(".") + "%"


# -------------------------------------------------------------------------------------------------------- tables


def _tables(view: View) -> Iterator[str]:
    yield _table(
        "Refused, and why",
        ("by", "check", "stops", "times", "events", "because", "the latest"),
        map(_refused, view.refusals),
    )
    yield _table("Faults", ("event", "when", "number", "what"), map(_happened, view.faults))
    yield _table("What people and attackers did", ("event", "when", "number", "what"), map(_happened, view.acts))
    ecus = ("ECU", "at the end", "image", "boots", "cuts", "records stored", "erases", "octets written")
    yield _table("ECUs", ecus, map(_ecu, view.ecus))
    yield _table("Buses", ("bus", "frames", "error frames", "by whom"), map(_bus, view.buses))


def _refused(each: Refusal) -> tuple[str, ...]:
    first, last = _link(each.first), _link(each.last)
    events = first if each.first == each.last else f"{first} to {last}"
    told = (escape(each.stops), f"{each.count:,}", events, escape(each.why), escape(each.text))
    return (escape(each.node), escape(each.check), *told)


def _happened(each: Happened) -> tuple[str, ...]:
    number = "" if each.number is None else str(each.number)
    return (_link(each.event), clock(each.at_ns), number, escape(f"{each.node}: {each.text}"))


def _ecu(ecu: Ecu) -> tuple[str, ...]:
    figures = (ecu.boots, ecu.cuts, ecu.stores, ecu.erases, ecu.written)
    return (escape(ecu.node), ecu.state, escape(ecu.image), *(f"{figure:,}" for figure in figures))


def _bus(bus: Bus) -> tuple[str, ...]:
    by = ", ".join(f"{escape(node)} {count:,}" for node, count in sorted(bus.frames.items()))
    return (escape(bus.node), f"{sum(bus.frames.values()):,}", f"{bus.errors:,}", by)


def _link(event: int, text: str = "") -> str:
    return f'<a href="#e{event}">{text or event}</a>'


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; nothing where there are no rows."""
    cells = list(rows)
    if not cells:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells[:ROWS_MAX])
    more = f"<p>and {len(cells) - ROWS_MAX:,} more</p>" if len(cells) > ROWS_MAX else ""
    return (
        f'<section><div class="wide"><table><caption>{title}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{more}</section>"
    )


# -------------------------------------------------------------------------------------------------------- events


def _events(view: View) -> Iterator[str]:
    yield '<section aria-labelledby="events-title">\n<h2 id="events-title">Every event</h2>'
    yield "<noscript><p>This list needs the script of this page; the trace holds all events as text.</p></noscript>"
    yield '<form class="tools needs-script" id="filter">'
    yield '<label>node <select name="node"><option value="">all</option></select></label>'
    yield '<label>about <select name="kind"><option value="">all</option>'
    yield "".join(f"<option>{kind.value}</option>" for kind in Kind) + "</select></label>"
    yield '<label>with the words <input name="words" type="search"></label>'
    yield '<button type="button" id="earlier">earlier</button><button type="button" id="later">later</button></form>'
    yield '<p id="told" aria-live="polite"></p><div class="wide"><table id="events"><thead><tr>'
    yield "".join(f'<th scope="col">{name}</th>' for name in ("event", "seconds", "node", "verb", "detail"))
    yield "</tr></thead><tbody></tbody></table></div></section>\n</main>"
    yield f"<footer>Made by marque-sim from the trace of seed {view.asked.seed}.</footer>"


def _data(view: View, recorded: Recorded) -> str:
    """What the script works with; times in microseconds, which a script's numbers hold exactly for 285 years."""
    kept = _kept(recorded.lines)
    nodes = {node: place for place, node in enumerate(dict.fromkeys(line.node for line in kept))}
    verbs = {verb: place for place, verb in enumerate(dict.fromkeys(line.verb for line in kept))}
    told = {
        "nodes": list(nodes),
        "verbs": [
            [verb, *((known.kind.value, known.text) if (known := BY_WORD.get(verb)) else ("", ""))] for verb in verbs
        ],
        "lines": [[line.event, line.at_ns // 1_000, nodes[line.node], verbs[line.verb], line.detail] for line in kept],
        "knots": [[at_ns // 1_000, place] for at_ns, place in view.axis.knots],
        "missing": len(recorded.lines) - len(kept),
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def _kept(lines: Sequence[Line]) -> Sequence[Line]:
    """As many lines as a page can carry: what matters most first, and of that the latest."""
    if len(lines) <= LINES_MAX:
        return lines
    loud = [line for line in lines if (verb := BY_WORD.get(line.verb)) is None or verb.kind not in _QUIET]
    return loud[-LINES_MAX:]
