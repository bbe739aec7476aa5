"""How a run stands, for those who ask: read from its store alone, whoever runs it.

Invariant: who looks on changes nothing.
"""

import json

from rich.text import Text

from farm.errors import InputError
from farm.record import begun_with, read_summary
from farm.report.console import Terminal
from farm.report.summary import plain, show
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.lease import last_owner


def show_status(url: str, *, as_json: bool) -> None:
    """How a run stands, from its store alone. Raises InputError where there is no run."""
    blobs = Blobs.open(url)
    job = begun_with(blobs)
    if job is None:
        raise InputError(f"{blobs.url}: no run here (there is no {layout.JOB}); give the output of a job")
    summary = read_summary(blobs, str(job["name"]), None)
    ended = json.loads(blobs.get(layout.SUMMARY))["ended"] if blobs.exists(layout.SUMMARY) else "not yet"
    owner = last_owner(blobs)
    driver = owner if owner and not owner.released else None
    if as_json:
        told = {"ended": ended, "driver": driver and driver.as_json()}
        print(json.dumps(plain(summary) | told, indent=2, ensure_ascii=False))
        return
    console = Terminal()
    winners = f"{blobs.url}/{layout.SELECTS}" if blobs.exists(layout.SELECTS) else None
    show(console, summary, where=blobs.url, winners=winners)
    if driver:
        console.print(Text(f"driver: {driver.told}"), soft_wrap=True)
    console.print(Text(f"ended: {ended}"))
