"""The house style as a test: what ruff, mypy and the import contracts cannot see (CONTRIBUTING.md, "House style").

A rule is a function from a source to its violations; RULES lists them with a sample that breaks each, so that a rule
which has gone blind fails too. An exception is one line in EXCEPTIONS, with its reason; one that is no longer needed
fails as well, so the list can only shrink.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMPONENTS = ("director", "image_repo", "primary", "secondary")
PACKAGES = ("uptane", *COMPONENTS, "firmware", "sim", "rig", "bench", "demo", "deploy")
ENTRY_POINTS = ("director", "director.time_main", "image_repo", "primary", "secondary", "sim", "rig", "firmware")

BODY_LINES_MAX = 40  # without the docstring: p90 of good code is 30 to 45
FILE_LINES_MAX = 400
POSITIONAL_MAX = 4  # without self; more are keyword-only, or a value
TEST_BODY_LINES_MAX = 60
TEST_FILE_LINES_MAX = 800  # tables of cases are long and plain
FILE_OCTETS_MAX = 250_000  # the largest lock file has 160,000; keys, images and corpora are made, not kept

# "rule path[::function]" -> reason. A ratchet: lines leave, and a new one needs a very good reason.
EXCEPTIONS: dict[str, str] = {}

SKIPPED = {"build", ".git", "__pycache__", ".venv", ".idea", ".vscode", ".claude", "gen"}
NAMES_THAT_SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc", "stuff"}
MAKER_OF_VERIFIED = "uptane/verify/threshold.py"
MAY_CATCH_ALL = "uptane/shell/loop.py"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """A file of the tree: its path below the root, its text, and its syntax if it is Python."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def is_test(self) -> bool:
        return self.path.startswith("tests/")

    @property
    def stem(self) -> str:
        return Path(self.path).stem


def files() -> Iterator[Path]:
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.name in SKIPPED or path.is_symlink():
                continue
            if path.is_dir():
                folders.append(path)
            else:
                yield path


def sources() -> Iterator[Source]:
    for path in files():
        try:
            yield Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue  # an image; test_files_are_small looks at it


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function, bool]]:
    """Every function with its qualified name, and whether it is a method."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield prefix + node.name, node, isinstance(tree, ast.ClassDef)
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def body_lines(function: Function) -> int:
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        body = body[1:]
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the dotted name of what is called; `Verified[Root](...)` is a call of Verified."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.value if isinstance(node.func, ast.Subscript) else node.func
            yield ast.unparse(called), node


def long_bodies(source: Source) -> Iterator[str]:
    limit = TEST_BODY_LINES_MAX if source.is_test else BODY_LINES_MAX
    for name, function, _ in functions(source.tree):
        if (lines := body_lines(function)) > limit:
            yield f"{source.path}::{name}|{lines} lines of body, {limit} are allowed"


def long_files(source: Source) -> Iterator[str]:
    limit = TEST_FILE_LINES_MAX if source.is_test else FILE_LINES_MAX
    if (lines := len(source.text.splitlines())) > limit:
        yield f"{source.path}|{lines} lines, {limit} are allowed"


def many_positional(source: Source) -> Iterator[str]:
    if source.is_test:
        return  # fixtures arrive by position
    for name, function, is_method in functions(source.tree):
        static = any(ast.unparse(decorator) == "staticmethod" for decorator in function.decorator_list)
        taken = len(function.args.posonlyargs) + len(function.args.args) - (is_method and not static)
        if taken > POSITIONAL_MAX:
            yield f"{source.path}::{name}|{taken} positional parameters, {POSITIONAL_MAX} are allowed"


def makers_of_verified(source: Source) -> Iterator[str]:
    if source.path == MAKER_OF_VERIFIED or source.is_test:
        return
    for name, node in calls(source.tree):
        if name.split(".")[-1] == "Verified":
            yield f"{source.path}|line {node.lineno}: only {MAKER_OF_VERIFIED} makes a Verified"


def catching_all(source: Source) -> Iterator[str]:
    """Catching everything hides bugs; cleaning up and raising again does not."""
    if source.path == MAY_CATCH_ALL or source.is_test:
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {"BaseException" if each is None else ast.unparse(each) for each in caught}
        last = node.body[-1]
        raises_again = isinstance(last, ast.Raise) and last.exc is None
        if names & {"Exception", "BaseException"} and not raises_again:
            yield f"{source.path}|line {node.lineno}: catches everything; only {MAY_CATCH_ALL} may"


def dynamic_imports(source: Source) -> Iterator[str]:
    """The import contracts see what is written as an import, and nothing else."""
    if source.is_test:
        return
    for name, node in calls(source.tree):
        if name in {"__import__", "import_module", "importlib.import_module", "exec", "eval"}:
            yield f"{source.path}|line {node.lineno}: {name} hides what is imported"


def sleeping_tests(source: Source) -> Iterator[str]:
    if not source.is_test:
        return
    for name, node in calls(source.tree):
        if name.split(".")[-1] == "sleep":
            yield f"{source.path}|line {node.lineno}: a test waits for an event, or runs on virtual time"


def empty_names(source: Source) -> Iterator[str]:
    if source.stem.lower() in NAMES_THAT_SAY_NOTHING:
        yield f"{source.path}|a file is named after the step it is"


def bare_todos(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"\b([T]ODO(?!\(#\d+\))|[F]IXME|[X]XX)\b", line):
            yield f"{source.path}|line {number}: a to-do names its issue: (#123)"


def foreign_paths(source: Source) -> Iterator[str]:
    """Places that exist on one machine only."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"(?<![\w./}])/([w]ork|[r]oot|[h]ome/\w+|[o]pt/pypi)\b", line):
            yield f"{source.path}|line {number}: names a folder of somebody's machine"


def private_keys(source: Source) -> Iterator[str]:
    if re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{20}", source.text):
        yield f"{source.path}|a private key in the tree"


Rule = Callable[[Source], Iterator[str]]

_LONG = "def f() -> None:\n" + "    pass\n" * (BODY_LINES_MAX + 1)
PYTHON_RULES: dict[Rule, Source] = {
    long_bodies: Source("uptane/x.py", _LONG),
    long_files: Source("uptane/x.py", "x = 1\n" * (FILE_LINES_MAX + 1)),
    many_positional: Source("uptane/x.py", "class A:\n    def f(self, a, b, c, d, e): ...\n"),
    makers_of_verified: Source("primary/x.py", "v = signed.Verified[Root](1, b'', b'')\n"),
    catching_all: Source("primary/x.py", "try: pass\nexcept (OSError, Exception): pass\n"),
    dynamic_imports: Source("primary/x.py", "importlib.import_module('director')\n"),
    sleeping_tests: Source("tests/x.py", "time.sleep(1)\n"),
    empty_names: Source("primary/utils.py", ""),
}
TEXT_RULES: dict[Rule, Source] = {
    bare_todos: Source("docs/x.md", "todo: later\n".upper()),
    foreign_paths: Source("docs/x.md", "see /WORK/x\n".lower()),
    private_keys: Source("x.pem", "-----BEGIN EC PRIVATE KEY-----\n" + "MHcCAQEEIIrY" * 4),
}


def violations(rule: Rule) -> Iterator[str]:
    for source in sources():
        if rule in TEXT_RULES or source.path.endswith(".py"):
            yield from rule(source)


@pytest.mark.parametrize("rule", [*PYTHON_RULES, *TEXT_RULES], ids=lambda rule: rule.__name__)
def test_rule(rule: Rule) -> None:
    found = {}
    for violation in violations(rule):
        place, _, text = violation.partition("|")
        found[f"{rule.__name__} {place}"] = text
    excused = {place for place in EXCEPTIONS if place.split()[0] == rule.__name__}
    new = [f"{place}: {text}" for place, text in found.items() if place not in excused]
    assert not new, "\n" + "\n".join(new)
    assert excused <= found.keys(), f"no longer needed in EXCEPTIONS: {sorted(excused - found.keys())}"


@pytest.mark.parametrize("rule", [*PYTHON_RULES, *TEXT_RULES], ids=lambda rule: rule.__name__)
def test_rule_sees_its_sample(rule: Rule) -> None:
    assert list(rule((PYTHON_RULES | TEXT_RULES)[rule]))


def test_exceptions_have_a_rule_and_a_reason() -> None:
    rules = {rule.__name__ for rule in PYTHON_RULES | TEXT_RULES}
    assert all(place.split()[0] in rules and len(reason) > 10 for place, reason in EXCEPTIONS.items())


def test_a_body_is_counted_without_its_docstring() -> None:
    function = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n\n    return a\n').body[0]
    assert isinstance(function, ast.FunctionDef)
    assert body_lines(function) == 3


def test_every_package_takes_part_in_the_contracts_and_the_type_check() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    present = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert present == set(PACKAGES)
    assert present == set(settings["importlinter"]["root_packages"])
    assert present == set(settings["mypy"]["files"]) - {"docs", "tests"}
    assert present >= set(settings["hatch"]["build"]["targets"]["wheel"]["packages"])


def test_every_folder_of_code_is_a_package() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts and "gen" not in path.parts:
                assert (path.parent / "__init__.py").exists(), f"{path.parent} has code and no __init__.py"


def test_files_are_small() -> None:
    large = [f"{path.relative_to(ROOT)}" for path in files() if path.stat().st_size > FILE_OCTETS_MAX]
    assert not large, f"over {FILE_OCTETS_MAX} octets: {large}"


@pytest.mark.parametrize("module", ENTRY_POINTS)
def test_entry_points_refuse_to_run_without_assertions(module: str) -> None:
    """Assertions are part of the design: `python -O` would take them away."""
    command = [sys.executable, "-O", "-m", module, "--help"]
    ran = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode != 0
    assert "-O" in ran.stderr


# --------------------------------------------------------------------------------------------------- lock files

LOCKS = ("dev", "director", "image-repo", "primary", "secondary", "sim", "rig")


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert "://" not in text
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines)
    assert len(re.findall(r"==\S+ \\\n    --hash=", text)) == len(pins(lock)) > 0


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_agree_with_each_other(lock: str) -> None:
    assert pins(lock).items() <= pins("dev").items()


def test_what_a_board_installs_is_small() -> None:
    servers = {"sqlalchemy", "alembic", "obstore", "starlette", "uvicorn", "jinja2", "grpcio-health-checking"}
    assert not pins("primary").keys() & servers
    assert not pins("secondary").keys() & (servers | {"grpcio", "protobuf", "structlog"})
