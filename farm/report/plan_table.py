"""The table of `farm plan`."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from farm.plan.estimate import Estimate, ModelEstimate
from farm.report.simulate_table import in_short
from farm.report.words import between, duration


def show(console: Console, found: Estimate) -> None:
    table = Table(
        box=box.SIMPLE, title=f"{found.name}: {found.output}", title_justify="left", title_style="bold"
    )
    for column in ("model", "shots", "takes", "a take", "render time", "cost"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for model in found.models:
        table.add_row(
            Text(model.name),
            f"{model.shots:,}",
            between(model.takes),
            _take(model),
            "unknown" if model.render_s is None else " to ".join(duration(s) for s in model.render_s),
            between(model.cost_usd, "${:,.2f}"),
        )
    console.print(table)
    lines = [
        f"{found.stills:,} stills x {found.motions:,} motions x {len(found.models)} models = {found.shots:,} shots, "
        f"{between(found.takes)} takes",
        f"workers: up to {found.workers_max}",
    ]
    if found.wall_s is not None:
        lines.append("wall time with all of them: " + " to ".join(duration(s) for s in found.wall_s))
    if found.forecast is not None:
        lines.append(in_short(found.forecast))
    lines += [f"{model.name}: rests on {model.rests_on}" for model in found.models]
    if found.budget_usd is not None:
        lines.append(f"budget: ${found.budget_usd:,.2f}" + _against(found.cost_usd, found.budget_usd))
    if found.budget_hours is not None:
        hours = None if found.wall_s is None else (found.wall_s[0] / 3600, found.wall_s[1] / 3600)
        lines.append(f"budget: {found.budget_hours:g} hours" + _against(hours, found.budget_hours))
    for line in lines:
        console.print(Text(line), soft_wrap=True, highlight=False)


def _take(model: ModelEstimate) -> str:
    rendered_fps = model.rendered_fps or model.fps
    made = (
        f", brought from {rendered_fps:g} to {model.fps:g} fps"
        if model.rendered_fps
        else f" at {model.fps:g} fps"
    )
    return f"{model.frames} frames, {model.frames / rendered_fps:.2f} s{made}, {model.size}"


def _against(pair: tuple[float, float] | None, limit: float) -> str:
    if pair is None:
        return ": whether it is enough is unknown; the run stops cleanly before it is passed"
    if pair[1] <= limit:
        return ": enough"
    return (
        ": enough for the first takes, perhaps not for more"
        if pair[0] <= limit
        else ": not enough; the run will stop"
    )
