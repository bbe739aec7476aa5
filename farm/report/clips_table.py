"""The table of `farm score`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def show(console: Console, clips: Sequence[Mapping[str, Any]], written: Sequence[Path]) -> None:
    """Clips in rank order, as `Judged.as_json` tells them; `written` are their cuts."""
    table = Table(box=box.SIMPLE)
    for column in ("clip", "score", "verdict", "best window", "why not"):
        table.add_column(column, justify="right" if column == "score" else "left")
    for clip in clips:
        span = clip["span"]
        table.add_row(
            Text(clip["clip"]),
            f"{clip['score']:.2f}",
            "accepted" if clip["accepted"] else "rejected",
            f"{span['start_s']:.2f} to {span['stop_s']:.2f} s",
            Text("; ".join(clip["reasons"])),
        )
    console.print(table)
    for path in written:
        console.print(Text(f"cut: {path}"), soft_wrap=True, highlight=False)
