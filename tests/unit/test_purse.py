"""What a run costs, and when a budget says stop."""

import pytest

from farm.dispatch.purse import Purse
from farm.prices import cost_usd, price_per_hour


def test_workers_are_paid_from_loading_to_leaving():
    purse = Purse(None, None, 2.0, gpus_per_worker=2)
    purse.tick(100.0)
    purse.hire("w1", 3.60, load_s=40.0)  # 2 GPUs at $3.60/h: 0.2 cents a second
    purse.tick(160.0)
    assert purse.spent_usd == pytest.approx(2.0 + 100 * 0.002)
    purse.dismiss("w1")
    purse.tick(999.0)
    assert purse.spent_usd == pytest.approx(2.2)
    purse.dismiss("w1")
    assert purse.spent_usd == pytest.approx(2.2)


def test_a_worker_without_a_price_costs_nothing_we_know_of():
    purse = Purse(1.0, None, 0.0, 0)
    purse.tick(0.0)
    purse.hire("w1", None, 0.0)
    purse.tick(1e6)
    assert purse.spent_usd == 0 and purse.verdict(2, [0]) is None


def test_the_reserve_is_what_finishing_all_that_is_out_takes():
    purse = Purse(1.0, None, 0.0, 0)
    purse.tick(0.0)
    purse.hire("w1", 3600.0 * 0.01, 0.0)  # a cent a second
    purse.learn(0, 20.0)
    purse.tick(39.0)
    assert purse.verdict(2, [0]) is None  # 39 + 3 * 20 = 99 cents
    purse.tick(41.0)
    assert "$0.41 spent" in (purse.verdict(2, [0]) or "")


def test_hours_run_from_the_first_event():
    purse = Purse(None, 1.0, 0.0, 0)
    purse.tick(5000.0)
    purse.learn(0, 600.0)
    assert purse.verdict(0, [0]) is None
    purse.tick(5000.0 + 3001)
    assert "could pass 1 h" in (purse.verdict(0, [0]) or "")


PRICES = {"H100": 2.5, "H100 PCIe": 2.0, "CPU": 0.1}


@pytest.mark.parametrize(
    ("accelerator", "price"),
    [
        ("NVIDIA H100 80GB HBM3", 2.5),
        ("NVIDIA H100 PCIe", 2.0),
        ("NVIDIA H200", None),
        ("CPU", 0.1),
        ("", None),
    ],
)
def test_the_longest_name_whose_words_all_match_gives_the_price(accelerator, price):
    assert price_per_hour(PRICES, accelerator) == price


def test_cost():
    assert cost_usd(PRICES, "NVIDIA H100 80GB HBM3", 2, 1800) == pytest.approx(2.5)
    assert cost_usd(PRICES, "CPU", 0, 3600) == pytest.approx(0.1)
    assert cost_usd(PRICES, "TPU", 1, 3600) is None
