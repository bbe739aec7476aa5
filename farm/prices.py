"""What an hour of an accelerator costs.

Invariant: a price that nobody gave is unknown (None), never zero.
"""

from collections.abc import Mapping


def price_per_hour(prices: Mapping[str, float], accelerator: str) -> float | None:
    """$ per hour of one `accelerator`, whose name may be longer than the price list's.

    The list says "H100", the driver "NVIDIA H100 80GB HBM3": a key matches when all its words stand in the name;
    the longest matching key wins ("H100 PCIe" before "H100").
    """
    words = set(accelerator.lower().split())
    fitting = [key for key in prices if set(key.lower().split()) <= words]
    return prices[max(fitting, key=lambda key: (len(key), key))] if fitting else None


def cost_usd(
    prices: Mapping[str, float], accelerator: str, accelerators: float, seconds: float
) -> float | None:
    """What `seconds` of a worker cost; a worker without accelerators is priced as one CPU slot."""
    hourly = price_per_hour(prices, accelerator)
    return None if hourly is None else hourly * (accelerators or 1.0) * seconds / 3600
