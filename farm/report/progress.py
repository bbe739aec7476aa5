"""The terminal while a run goes on: a live block where there is a terminal, plain lines elsewhere.

Invariant: an observer; it reads the tally and writes to one console, and a run without it is the same run.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from farm.dispatch.events import (
    Cancel,
    Event,
    GiveUp,
    Instruction,
    Notice,
    Standing,
    StopWorker,
    TakeFaulted,
    TakeSettled,
    WorkerLost,
    WorkerReady,
)
from farm.report.tally import Tally
from farm.report.words import duration
from farm.values import Outcome, Status

_PLAIN_EVERY_S = 10.0
_LIVE_EVERY_S = 0.25


class Progress:
    """Shows how a run stands. `console.is_terminal` chooses between the live block and plain lines."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._console = console
        self._tally = tally
        self._live: Live | None = None
        self._shown_s: float | None = None
        self._refused: str | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Shows the display while the body runs."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            self._live = live
            yield
        self._live = None

    def on_event(self, event: Event, outcome: Outcome | None, at_s: float) -> None:
        match event:
            case WorkerLost(worker, kind, message, preempted):
                why = "its node was taken away" if preempted else f"{kind}: {message}"
                self._note(f"worker {worker} is gone ({why}); what it held is tried elsewhere")
            case WorkerReady(worker, resident=models, load_s=load_s, accelerator=accelerator):
                self._tell(f"worker {worker} is ready: {_loaded(', '.join(models), load_s)} on {accelerator}")
            case TakeSettled(lease, load_s=load_s) if load_s and outcome is not None:
                self._tell(f"worker {lease.worker} changed its model: {_loaded(outcome.model, load_s)}")
            case TakeFaulted(lease, blame, kind, message):
                self._note(
                    f"worker {lease.worker}: attempt {lease.attempt} failed ({blame}, {kind}: {message})"
                )

    def on_instruction(self, instruction: Instruction, at_s: float) -> None:
        match instruction:
            case GiveUp(attempts=attempts, story=story):
                self._note(f"a take was given up after {attempts} attempts: {story}")
            case Notice(message):
                self._note(message)
            case StopWorker(worker, trouble=trouble) if trouble:
                self._note(f"worker {worker} hangs and is replaced ({trouble})")
            case Cancel(lease, trouble):
                self._note(f"worker {lease.worker}: attempt {lease.attempt} is cancelled ({trouble})")

    def on_outcome(self, outcome: Outcome) -> None:
        # One row a shot, but one still: its shots come one after the other.
        if outcome.status is Status.FAILED and outcome.attempt == 0 and outcome.still_id != self._refused:
            self._refused = outcome.still_id
            self._note(f"still {outcome.still_id} refused: {outcome.reason}")

    def on_turn(self, standing: Standing, at_s: float) -> None:
        every_s = _LIVE_EVERY_S if self._live else _PLAIN_EVERY_S
        if self._shown_s is not None and at_s - self._shown_s < every_s:
            return
        self._shown_s = at_s
        if self._live is not None:
            self._live.update(self._block(standing), refresh=True)
        elif self._tally.takes_now:
            self._tell(" | ".join(self._facts(standing)))

    def _tell(self, text: str) -> None:
        """What is no trouble: where there is a live block, that has it already."""
        if self._live is None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _note(self, text: str) -> None:
        self._console.print(Text(text, style="yellow"), highlight=False, soft_wrap=True)

    def _block(self, standing: Standing) -> Group:
        known = standing.takes_settled + standing.takes_waiting + standing.in_flight
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_row(
            ProgressBar(total=max(known, 1), completed=standing.takes_settled),
            Text(f"{standing.takes_settled}/{known} takes", style="bold"),
        )
        return Group(bar, Text(" · ".join(self._facts(standing)[1:]), style="dim"))

    def _facts(self, standing: Standing) -> list[str]:
        tally = self._tally
        facts = [
            f"{standing.takes_settled} takes",
            f"{standing.shots_accepted}/{standing.shots} shots circled",
            f"{standing.workers_ready} workers" + _plus(standing.workers_starting, "starting"),
        ]
        if (rate := tally.takes_per_s) is not None:
            facts.append(f"{rate * 60:.0f} takes/min" if rate < 10 else f"{rate:.0f} takes/s")
        if (eta_s := tally.eta_s) is not None:
            facts.append(f"about {duration(eta_s)} left")
        facts.append(f"${standing.spent_usd:.2f}" if tally.priced else "no prices given")
        if tally.failures:
            facts.append(
                "failed: " + ", ".join(f"{n} {blame}" for blame, n in sorted(tally.failures.items()))
            )
        return facts


def _loaded(models: str, load_s: float) -> str:
    return f"{models} loaded in {load_s:.1f} s"


def _plus(count: int, what: str) -> str:
    return f" (+{count} {what})" if count else ""
