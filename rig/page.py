"""The report as one HTML page that needs nothing else: a table, and per case its picture, its events and its files."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

from rig.picture import rate_over_time
from rig.results import GOOD, Result, Run, Verdict

CSS: Final = Path(__file__).with_name("page.css")
CONSOLE_MAX: Final = 20_000  # characters shown in the page; the file beside it has all


def page(run: Run) -> str:
    """The page."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(run.rig)}: {_summary(run)}</title>",
            f"<style>{CSS.read_text(encoding='utf-8')}</style></head><body>",
            f"<h1>{escape(run.rig)}</h1>",
            f"<p>{_summary(run)}. Seed {run.seed}, begun {escape(run.began)}, {run.seconds:.1f} s.</p>",
            *_table(run),
            "<h2>Cases</h2>",
            *(_case(number, result) for number, result in enumerate(run.results)),
            "</body></html>",
            "",
        ]
    )


def _summary(run: Run) -> str:
    counts = [f"{run.count(verdict)} {verdict.value}" for verdict in Verdict if run.count(verdict)]
    return ", ".join(counts) or "no cases"


def _table(run: Run) -> Iterator[str]:
    yield "<table><thead><tr><th>case</th><th>ECU</th><th>verdict</th>"
    yield '<th class="number">s</th><th class="number">octets</th><th class="number">kB/s</th></tr></thead><tbody>'
    for number, result in enumerate(run.results):
        verdict = result.verdict.value
        rate = f"{result.rate / 1e3:.1f}" if result.rate else ""
        yield (
            f'<tr><td><a href="#case-{number}">{escape(result.title)}</a></td><td>{escape(result.ecu)}</td>'
            f'<td class="{verdict}">{verdict}</td><td class="number">{result.seconds:.2f}</td>'
            f'<td class="number">{result.octets or ""}</td><td class="number">{rate}</td></tr>'
        )
    yield "</tbody></table>"


def _case(number: int, result: Result) -> str:
    verdict = result.verdict.value
    opened = "" if result.verdict in GOOD else " open"
    files = ", ".join(f'<a href="{escape(path)}">{escape(kind)}</a>' for kind, path in result.files.items())
    parts = [
        f'<details id="case-{number}"{opened}><summary><span class="{verdict}">{verdict}</span>',
        f" {escape(result.title)} ({escape(result.ecu)})</summary>",
        f"<p>{escape(result.text)}</p>",
    ]
    if result.message:
        parts.append(f"<pre>{escape(result.message)}</pre>")
    parts.append(rate_over_time(result))
    lost = f", {result.dropped} lost on purpose" if result.dropped else ""
    noise = f"; {result.noise} things that were no frames" if result.noise else ""
    parts.append(f"<p>{result.frames} frames{lost}{noise}. {files}</p>")
    if result.events:
        lines = "\n".join(f"{at_s:9.3f}  {kind:8} {text}" for at_s, kind, text in result.events)
        parts.append(f"<details><summary>events</summary><pre>{escape(lines)}</pre></details>")
    if result.console:
        parts.append(f"<details><summary>console</summary><pre>{escape(result.console[-CONSOLE_MAX:])}</pre></details>")
    if result.detail:
        parts.append(f"<details><summary>traceback</summary><pre>{escape(result.detail)}</pre></details>")
    return "".join([*parts, "</details>"])
