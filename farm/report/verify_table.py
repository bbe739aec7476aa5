"""What `farm verify` says, and how far it is while it reads."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_SHOWN = 50


@contextmanager
def watching() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr where somebody looks at it: `watch(rows looked at, clips that are there)`."""
    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("verifying")
        yield lambda done, of: progress.update(bar, completed=done, total=max(done, of))


def show(console: Console, found: Mapping[str, Any], *, repaired: bool) -> None:
    """Counts, and the first problems by name, as `Findings.as_json` tells them."""
    problems = found["problems"]
    counts = ", ".join(f"{found[name]:,} {name}" for name in ("takes", "parts", "pending", "objects"))
    console.print(Text(f"{counts}; {found['sampled']:,} clips sampled for decoding"), soft_wrap=True)
    if not problems:
        console.print(Text("no problem found", style="green"))
        return
    words = Counter(one["word"] for one in problems)
    mended = Counter(one["word"] for one in problems if one["done"])
    table = Table(box=box.SIMPLE)
    table.add_column("problem")
    for column in ("found", *(("repaired", "left") if repaired else ())):
        table.add_column(column, justify="right")
    for word, count in sorted(words.items()):
        figures = (count, mended[word], count - mended[word])
        table.add_row(word, *(f"{figure:,}" for figure in figures[: 3 if repaired else 1]))
    console.print(table)
    for one in problems[:_SHOWN]:
        console.print(Text(_line(one)), soft_wrap=True, highlight=False)
    if len(problems) > _SHOWN:
        console.print(Text(f"and {len(problems) - _SHOWN:,} more: --json names all"))


def _line(one: Mapping[str, Any]) -> str:
    take = f", take {one['take_id'][:8]}" if one["take_id"] else ""
    done = f" [{one['done']}]" if one["done"] else ""
    return " ".join(f"{one['word']} {one['key']}{take}: {one['detail']}{done}".split())
