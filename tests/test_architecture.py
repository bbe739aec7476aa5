"""The walls of the house: who may import whom, how big a room may grow, who may read time, who may know Ray."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "farm").rglob("*.py"))
STATIONS = ("render", "score", "trim", "store")
MAX_LINES = 300
MAX_FUNCTION_LINES = 60  # "about 50": a match statement over all events needs a few more


def name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {
                f"{node.module}.{alias.name}"
                for alias in node.names
                if (node.module or "").startswith("farm")
            }
    return found


def uses(path: Path, module: str, *, top_level_only: bool = False) -> bool:
    return any(
        found == module or found.startswith(module + ".")
        for found in imports(path, top_level_only=top_level_only)
    )  # fmt: skip


@pytest.mark.parametrize("station", STATIONS)
def test_stations_do_not_know_each_other(station):
    for path in (ROOT / "farm" / station).glob("*.py"):
        others = [other for other in STATIONS if other != station and uses(path, f"farm.{other}")]
        assert not others, f"{name(path)} imports {others}"


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        (
            "ray",
            {
                "farm.dispatch.ray_drains",
                "farm.dispatch.ray_gone",
                "farm.dispatch.ray_pool",
                "farm.dispatch.ray_worker",
            },
        ),
        ("torch", {"farm.render", "farm.score.learned"}),
        (
            "diffusers",
            {
                "farm.render.diffusers_backend",
                "farm.render.fingerprint",
                "farm.render.generic",
                "farm.render.hosting",
                "farm.render.loading",
            },
        ),
        ("transformers", {"farm.render.diffusers_backend", "farm.render.fingerprint"}),
        ("time", {"farm.clock"}),
        ("datetime", {"farm.clock", "farm.store.rows"}),  # rows.py parses times, it reads none
        (
            "pydantic",
            {
                "farm.documents",
                "farm.spec",
                "farm.catalog.motions",
                "farm.score.learned_card",
                "farm.store.rows",
            },
        ),
    ],
)
def test_some_modules_are_known_in_few_places(module, allowed):
    users = {name(path) for path in FILES if uses(path, module)}
    strangers = {
        user for user in users if not any(user == room or user.startswith(room + ".") for room in allowed)
    }
    assert not strangers


def test_the_ledger_and_its_helpers_are_pure():
    for room in (
        "ledger", "board", "queue", "crew", "foreman", "pace", "watchdog", "purse", "takes", "retry", "scaling",
        "placement", "events", "worth", "passes", "books", "setbacks", "blame", "nodes", "outage",
    ):  # fmt: skip
        path = ROOT / "farm" / "dispatch" / f"{room}.py"
        for impure in (
            "ray",
            "torch",
            "fsspec",
            "logging",
            "random",
            "os",
            "time",
            "farm.clock",
            "farm.store",
        ):
            assert not uses(path, impure), f"{room} imports {impure}"


def test_imports_run_one_way():
    modules = {name(path): path for path in FILES}
    edges = {
        module: {
            found for found in imports(path, top_level_only=True) if found in modules and found != module
        }
        for module, path in modules.items()
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"a circle of imports: {' -> '.join((*above, module))}"
        if module not in done:
            for below in sorted(edges[module]):
                visit(below, (*above, module))
            done.add(module)

    for module in modules:
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=name)
def test_rooms_stay_small_and_say_what_they_are_for(path):
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_LINES
    tree = ast.parse(source)
    assert ast.get_docstring(tree), "a module says what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


def test_no_exception_is_caught_without_a_name():
    for path in FILES:
        assert not re.search(r"except\s*:|except\s+(Base)?Exception\b", path.read_text()), name(path)


def test_help_and_plan_load_neither_ray_nor_torch():
    program = (
        "import sys, farm.cli, farm.spec, farm.plan.planning, farm.plan.estimate\n"
        "print([m for m in ('ray', 'torch', 'diffusers', 'transformers', 'cv2') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_help_loads_next_to_nothing():
    program = "import sys, farm.cli as c; c._parser(); print([m for m in ('pydantic', 'pyarrow') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
