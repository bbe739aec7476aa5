"""What `farm replay` says of a take."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLES = {"identical": "green", "close": "yellow", "different": "red"}


def show(console: Console, found: Mapping[str, Any]) -> None:
    """The verdict, and what changed between then and now, as `Replay.as_json` tells it."""
    line = Text.assemble(
        f"take {found['take_id']} by {found['model']}: ",
        (found["verdict"], f"bold {_STYLES[found['verdict']]}"),
        f" ({_told(found)})",
    )
    console.print(line, soft_wrap=True, highlight=False)
    if not found["intact"]:
        console.print(
            Text("the stored clip is not the one that its row names: its SHA-256 is another"), soft_wrap=True
        )
    if not found["changed"]:
        console.print("nothing changed that the fingerprint names")
        return
    table = Table(box=box.SIMPLE)
    for column in ("changed", "then", "now"):
        table.add_column(column)
    for name, change in found["changed"].items():
        table.add_row(Text(name), *(Text(change[when] or "not said") for when in ("then", "now")))
    console.print(table)


def _told(found: Mapping[str, Any]) -> str:
    frames = f"{found['frames']} frames"
    if found["verdict"] == "identical":
        return f"{frames}, the same file" if found["same_bytes"] else f"{frames}, in another file"
    if found["psnr_db"] is None:
        return f"{frames} now, another number or size then"
    return f"{frames}, {found['psnr_db']:.1f} dB PSNR"
