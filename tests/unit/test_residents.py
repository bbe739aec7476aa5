"""The models that one worker holds: what fits stays, what was used longest ago goes first."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest

from farm.errors import MemoryFull
from farm.render.residents import Residents, Room
from farm.values import Model

GIB = 2**30
MODEL = Model("a", "previz", "1", 16, Fraction(24), "native")
WEIGHTS = {"a": 20 * GIB, "b": 30 * GIB, "c": 10 * GIB, "d": 40 * GIB, "huge": 90 * GIB, "unknown": None}


@dataclass
class Device:
    """80 GiB, and what stands on it."""

    held: dict[str, int] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)

    def room(self, model):
        return Room(80 * GIB - sum(self.held.values()), 80 * GIB)


@dataclass
class Weights:
    model: Model
    device: Device
    prompts: int | None = None

    def load(self):
        weight = WEIGHTS[self.model.name] or 50 * GIB
        fits = weight <= self.device.room(self.model).free_bytes
        self.device.held[self.model.name] = weight  # what was placed stays until it is closed
        if not fits:
            raise MemoryFull(f"{self.model.name} does not fit")
        self.device.loads.append(self.model.name)

    def expect(self, prompts):
        self.prompts = prompts

    def close(self):
        del self.device.held[self.model.name]


def residents(device, room=None, weighs=lambda model: WEIGHTS[model.name]):
    return Residents(
        prompts=3, room=room or device.room, make=lambda model: Weights(model, device), weighs=weighs
    )


def get(held, name):
    return held.get(replace(MODEL, name=name))


def test_what_fits_beside_what_is_held_stays_and_is_loaded_once():
    device = Device()
    held = residents(device)
    first = get(held, "a")
    get(held, "b")
    assert get(held, "a") is first and held.names == ("b", "a") and device.loads == ["a", "b"]
    assert first.prompts == 3


def test_the_one_used_longest_ago_goes_first_and_headroom_is_kept():
    device = Device()
    held = residents(device)
    for name in ("a", "b", "a", "c"):  # 20 + 30 of 80 GiB; 10 more would leave the activations 20
        get(held, name)
    assert held.names == ("b", "a", "c")
    get(held, "unknown")
    assert held.names == ("unknown",), "nobody knows what it weighs, so it has the device to itself"
    get(held, "c")
    get(held, "a")
    assert held.names == ("c", "a") and held.known("b") is None


def test_where_the_device_says_nothing_one_model_is_held():
    device = Device()
    held = residents(device, room=lambda model: None)
    get(held, "c")
    get(held, "a")
    assert held.names == ("a",) and list(device.held) == ["a"]


def test_an_estimate_that_was_too_low_costs_the_others_not_the_take():
    device = Device()
    held = residents(device, weighs=lambda model: 1)
    for name in ("a", "b", "d"):  # 20 and 30 of 80 GiB are taken when 40 more are wanted
        get(held, name)
    assert held.names == ("d",) and device.loads == ["a", "b", "d"]


def test_what_does_not_fit_alone_is_said_after_the_others_went():
    device = Device()
    held = residents(device)
    get(held, "a")
    with pytest.raises(MemoryFull, match="huge does not fit"):
        get(held, "huge")
    assert held.names == ()
    get(held, "a")
    assert held.names == ("a",)


def test_relief_keeps_the_one_that_asks_for_it():
    device = Device()
    held = residents(device)
    get(held, "a")
    get(held, "b")
    assert held.relieve(keep="b") and held.names == ("b",)
    assert not held.relieve(keep="b")
