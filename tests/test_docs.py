"""The documents hold together: every link in them leads to a file that is there, and to a heading that is in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {"build", ".git"}
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts))

# [text](target) and [text]: target; code is looked away from.
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`(?!\])", re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    return CODE.sub("", text)


def links(text: str) -> Iterator[str]:
    for match in LINK.finditer(prose(text)):
        target = match.group(1) or match.group(2)
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(text: str) -> set[str]:
    """The anchors of headings, as they are made where the documents are shown."""
    found: set[str] = set()
    for heading in re.findall(
        r"^#+ +(.+?) *#*$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    ):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (unique := name if not number else f"{name}-{number}") in found:
            number += 1
        found.add(unique)
    return found


def broken(document: Path, text: str) -> Iterator[str]:
    for link in links(text):
        target, _, anchor = link.partition("#")
        path = (document.parent / unquote(target)).resolve() if target else document
        if not path.exists():
            yield f"{link}: there is no such file"
        elif not path.is_relative_to(ROOT):
            yield f"{link}: leads out of the tree"
        elif anchor and anchor not in anchors(text if path == document else path.read_text(encoding="utf-8")):
            yield f"{link}: there is no such heading"


SECTION = re.compile(r"docs/wire\.md, \"([^\"]+)\"")  # how sources name a place in it
SOURCES = ("uptane", "director", "image_repo", "primary", "secondary")


def places_named() -> Iterator[tuple[str, str]]:
    for path in sorted(each for folder in SOURCES for each in (ROOT / folder).rglob("*")):
        if path.suffix in {".py", ".proto", ".asn1"} and "gen" not in path.parts:
            for name in SECTION.findall(path.read_text(encoding="utf-8")):
                yield path.relative_to(ROOT).as_posix(), name


def test_what_sources_name_in_the_wire_document_is_there() -> None:
    text = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
    heads = [line.lower() for line in text.splitlines() if line.startswith("#")]
    named = list(places_named())
    missing = [
        each for each in named if f"**{each[1]}" not in text and not any(each[1].lower() in head for head in heads)
    ]
    assert named
    assert not missing


def test_there_are_documents() -> None:
    assert {"README.md", "docs/wire.md"} <= {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document: Path) -> None:
    assert not list(broken(document, document.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a](nowhere.md)", "there is no such file"),
        ("[`a`](nowhere.py)", "there is no such file"),
        ("# Here\n[a](#there)", "there is no such heading"),
        ("[a](docs/wire.md#99-nothing)", "there is no such heading"),
        ("[a]: nowhere.md", "there is no such file"),
        ("[a](../..)", "leads out of the tree"),
    ],
)
def test_a_link_that_leads_nowhere_is_noticed(text: str, problem: str) -> None:
    assert problem in "".join(broken(ROOT / "README.md", text))


@pytest.mark.parametrize(
    "text",
    [
        "# Here, and `there`\n[a](#here-and-there)",
        "[a](docs/wire.md#1-encoding)",
        "[`a`](uptane)",
        "`[a](nowhere)`",
        "```\n[a](nowhere)\n```",
        "[a](https://uptane.org/nowhere)",
    ],
)
def test_a_link_that_leads_somewhere_is_not(text: str) -> None:
    assert not list(broken(ROOT / "README.md", text))
