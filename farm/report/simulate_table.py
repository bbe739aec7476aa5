"""What `farm simulate` shows, and the line of it in `farm plan`."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from farm.plan.estimate import Forecast, Interval
from farm.report.words import duration

_BLOCKS = " ▁▂▃▄▅▆▇█"


def show(console: Console, found: Forecast) -> None:
    nights = "night" if found.nights == 1 else "nights"
    of = f", one worker for {found.scale:.1f}" if found.scale > 1 else ""
    console.print(
        Text(f"{found.name}: {found.nights} simulated {nights} from seed {found.seed}{of}", style="bold")
    )
    lines = [
        f"ends after      {_time(found.wall_s)}" + _ended(found),
        f"costs           {_usd(found.cost_usd)}",
        f"takes rendered  {_count(found.takes)}; done twice {_count(found.done_twice)}, "
        f"given up {_count(found.given_up)}",
        f"accepted shots  {_count(found.accepted)} of {found.shots:,}",
        f"of paid time    {found.load_share:.1%} is loading, {found.lost_share:.1%} is lost to faults",
        f"workers         {timeline(found.workers)} {found.workers_max:,} at most",
        "of the whole job; middle of the nights, from the tenth to the ninetieth percentile",
        *(f"rests on: {line}" for line in found.rests_on),
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True, highlight=False)


def in_short(found: Forecast) -> str:
    """One line for a plan."""
    cost = "" if found.cost_usd is None else f", {_usd(found.cost_usd)}"
    return f"forecast of the whole job: {_time(found.wall_s)}{cost}; {found.nights} simulated nights, see farm simulate"


def timeline(values: Sequence[float]) -> str:
    """A row of blocks, the tallest for the most; whoever is there at all is seen."""
    most = max(values, default=0.0)
    if not most:
        return ""
    last = len(_BLOCKS) - 1
    return "".join(_BLOCKS[0 if value <= 0 else max(1, round(value / most * last))] for value in values)


def _time(pair: Interval) -> str:
    low, middle, high = (duration(value) for value in pair)
    return middle if low == high else f"{middle} ({low} to {high})"


def _usd(found: Interval | None) -> str:
    if found is None:
        return "unknown: no price"
    low, middle, high = (f"${value:,.2f}" for value in found)
    return middle if low == high else f"{middle} ({low} to {high})"


def _count(found: Interval) -> str:
    low, middle, high = (f"{value:,.0f}" for value in found)
    return middle if low == high else f"{middle} ({low} to {high})"


def _ended(found: Forecast) -> str:
    others = {reason: nights for reason, nights in found.ended.items() if reason != "done"}
    return "".join(
        f"; {nights} of {found.nights} nights end as {reason}" for reason, nights in others.items()
    )
