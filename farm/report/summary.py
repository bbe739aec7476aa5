"""What a run came to, from its manifest alone: the closing table, summary.json, and `farm status`.

Invariant: every figure is counted from the store, so that it is the same on any machine and after any restart.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from farm.report.words import duration

# What a summary reads of the takes manifest.
COLUMNS = ("model", "status", "blame", "kind", "attempt", "score", "render_s", "finish_s", "cost_usd", "clip_bytes",
           "reason")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model beside the others of its job. What all its takes came to is put on its kept ones: None without any."""

    takes: int
    kept: int
    rejected: int
    failed: int
    accept_ratio: float | None  # of the takes that were judged
    score: float | None  # mean of the takes that were judged
    render_s: float | None  # mean of the takes that were rendered
    cost_usd: float | None  # None: no price is known for what rendered them
    s_per_accepted: float | None  # time rendered
    usd_per_accepted: float | None
    circled: int  # selects that are a take of this model


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts over the whole run, all its sessions. `pairs`: stills × motions, None where the plan is not known."""

    name: str
    pairs: int | None
    selected: int
    none_usable: int
    takes: int
    kept: int
    rejected: int
    failed: int
    shots_refused: int
    render_s: float
    finish_s: float
    clip_bytes: int
    cost_usd: float | None
    models: dict[str, ModelSummary] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)  # "blame: kind" -> failed takes
    reasons: dict[str, int] = field(default_factory=dict)  # worst reason, without its time -> rejected takes

    @property
    def is_clean(self) -> bool:
        """Every shot that was reached has its take, and no take failed.

        A refused still that was mended since keeps its old row; one that was not has a shot without a take.
        """
        return not (self.none_usable or self.failed > self.shots_refused)


def summarize(
    name: str, takes: pa.Table, selects: Mapping[tuple[str, str | None], int], pairs: int | None
) -> Summary:
    """The summary of all rows of the takes manifest (with COLUMNS); `selects`: how many have a verdict and model."""
    failed = takes.filter(pc.equal(takes["status"], "failed"))
    rejected = takes.filter(pc.equal(takes["status"], "rejected"))
    models = {
        str(model): _model(
            takes.filter(pc.equal(takes["model"], model)),
            circled=sum(count for (_, winner), count in selects.items() if winner == model),
        )
        for model in _values(takes["model"])
    }
    counts = _counts(takes["status"])
    verdicts: Counter[str] = Counter()
    for (verdict, _), count in selects.items():
        verdicts[verdict] += count
    return Summary(
        name=name,
        pairs=pairs,
        selected=verdicts["selected"] + verdicts["override"],
        none_usable=verdicts["none_usable"],
        takes=len(takes),
        kept=counts.get("kept", 0),
        rejected=counts.get("rejected", 0),
        failed=counts.get("failed", 0),
        shots_refused=_true(pc.equal(failed["attempt"], 0)),
        render_s=_sum(takes["render_s"]),
        finish_s=_sum(takes["finish_s"]),
        clip_bytes=int(_sum(takes["clip_bytes"])),
        cost_usd=_cost(takes),
        models=models,
        failures=_counts(pc.binary_join_element_wise(failed["blame"], failed["kind"], ": ")),
        reasons=_counts(pc.replace_substring_regex(rejected["reason"], r"( from | at |;).*$", "")),
    )


def plain(summary: Summary) -> dict[str, object]:
    return asdict(summary)


def show(console: Console, summary: Summary, *, where: str, winners: str | None) -> None:
    """The closing table, the models against each other where there are several, and where the winners are."""
    figures = ("takes", "kept", "rejected", "failed", "accept", "score", "render s", "cost")
    table = _table(f"{summary.name}: {where}", figures)
    for name, model in sorted(summary.models.items()):
        table.add_row(
            Text(name),
            *(str(count) for count in (model.takes, model.kept, model.rejected, model.failed)),
            _or_dash(model.accept_ratio, "{:.0%}"),
            _or_dash(model.score, "{:.2f}"),
            _or_dash(model.render_s, "{:.1f}"),
            _or_dash(model.cost_usd, "${:.2f}"),
        )
    console.print(table)
    if len(summary.models) > 1:
        console.print(_against(summary.models))
    shots = f"{summary.selected} circled, {summary.none_usable} with no usable take"
    reached = summary.selected + summary.none_usable
    if summary.pairs is not None and reached < summary.pairs:
        shots += f", {summary.pairs - reached} not reached"
    lines = [f"shots: {shots}"]
    if summary.shots_refused:
        lines.append(f"{summary.shots_refused} of them have a still that was refused")
    for title, counts in (("failed takes", summary.failures), ("takes rejected because", summary.reasons)):
        if counts:
            lines.append(
                f"{title}: " + ", ".join(f"{what} ({count})" for what, count in list(counts.items())[:6])
            )
    if summary.takes:
        lines.append(
            f"render time {duration(summary.render_s)}, finishing beside it {duration(summary.finish_s)}"
        )
    if winners:
        lines.append(f"winners: {winners}")
    for line in lines:
        console.print(Text(line), soft_wrap=True, highlight=False)


def _against(models: Mapping[str, ModelSummary]) -> Table:
    """Who wins most first: what an accepted clip of each model takes, for whoever chooses among them."""
    each = "per\naccepted clip"
    figures = ("shots\nwon", "takes", "accept", "score", f"render s {each}", f"cost {each}")
    table = _table("model against model", figures)
    for name, model in sorted(models.items(), key=lambda one: (-one[1].circled, one[0])):
        table.add_row(
            Text(name),
            str(model.circled),
            str(model.takes),
            _or_dash(model.accept_ratio, "{:.0%}"),
            _or_dash(model.score, "{:.2f}"),
            _or_dash(model.s_per_accepted, "{:.1f}"),
            _or_dash(model.usd_per_accepted, "${:.3f}"),
        )
    return table


def _table(title: str, figures: Sequence[str]) -> Table:
    """A row for each model; its name may be broken into lines where the terminal is narrow, a figure may not."""
    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="bold", padding=(0, 1, 0, 0))
    table.add_column("model", overflow="fold")
    for figure in figures:
        table.add_column(figure, justify="right", no_wrap=True)
    return table


def _model(takes: pa.Table, circled: int) -> ModelSummary:
    counts = _counts(takes["status"])
    kept, rejected = counts.get("kept", 0), counts.get("rejected", 0)
    cost_usd = _cost(takes)
    return ModelSummary(
        takes=len(takes),
        kept=kept,
        rejected=rejected,
        failed=counts.get("failed", 0),
        accept_ratio=kept / (kept + rejected) if kept + rejected else None,
        score=pc.mean(takes["score"]).as_py(),
        render_s=pc.mean(takes["render_s"]).as_py(),
        cost_usd=cost_usd,
        s_per_accepted=_sum(takes["render_s"]) / kept if kept else None,
        usd_per_accepted=cost_usd / kept if kept and cost_usd is not None else None,
        circled=circled,
    )


def _cost(takes: pa.Table) -> float | None:
    """None where a take was rendered on something that nobody gave a price for."""
    unknown = pc.and_(pc.is_valid(takes["render_s"]), pc.is_null(takes["cost_usd"]))
    return None if _true(unknown) else _sum(takes["cost_usd"])


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    """How often each value stands there, the most frequent first; nulls are left out."""
    counted = [(row["values"], row["counts"]) for row in pc.value_counts(values).to_pylist()]
    told = sorted(
        ((str(value), count) for value, count in counted if value is not None), key=lambda row: (-row[1], row)
    )
    return dict(told)


def _values(column: pa.ChunkedArray) -> list[object]:
    return list(pc.unique(column).to_pylist())


def _sum(column: pa.ChunkedArray) -> float:
    return float(pc.sum(column).as_py() or 0.0)


def _true(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
