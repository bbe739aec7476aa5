"""How figures are said to people."""


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 3 min 10 s, 7 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def between(pair: tuple[float, float] | None, form: str = "{:,.0f}") -> str:
    """An interval: "32 to 64", one figure where both ends are the same, "unknown" where nothing was measured."""
    if pair is None:
        return "unknown"
    low, high = (form.format(value) for value in pair)
    return low if low == high else f"{low} to {high}"
