"""The digest of a tensor where it is: told apart by a bit, a place, a shape, a dtype; the same on every call."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.render import digest as module
from farm.render.digest import digest


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Tensors of these tests are small; chunks have to be smaller for there to be several."""
    monkeypatch.setattr(module, "_CHUNK", 5)


@given(st.binary(min_size=1, max_size=200), st.data())
@settings(max_examples=150, deadline=None)
def test_one_bit_changes_it_wherever_it_stands(content, data):
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    one, other = (torch.frombuffer(bytearray(b), dtype=torch.uint8) for b in (content, changed))
    assert digest(one) == digest(one.clone())
    assert digest(one) != digest(other)


@given(st.permutations(range(12)))
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_values_changes_it(order):
    values = torch.arange(12, dtype=torch.float32)
    assert (digest(values[list(order)]) == digest(values)) == (list(order) == list(range(12)))


def test_shape_and_dtype_and_trailing_zeros_change_it():
    values = torch.zeros(6, dtype=torch.int32)
    others = [
        values.reshape(2, 3),
        values.reshape(3, 2),
        values.view(torch.float32),
        values.view(torch.int16),
        torch.zeros(7, dtype=torch.int32),
        torch.zeros(0),
    ]
    assert len({digest(one) for one in (values, *others)}) == 7


def test_it_is_of_the_values_and_not_of_how_they_lie_in_memory():
    whole = torch.arange(60, dtype=torch.float32).reshape(6, 10)
    assert digest(whole[:, 1:4]) == digest(whole[:, 1:4].clone())
    assert digest(whole.T) == digest(whole.T.contiguous())
    assert digest(whole[1, 1:]) == digest(whole[1, 1:].clone())  # starts where no 64-bit word may


def test_chunks_do_not_show(monkeypatch):
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    small = digest(values)
    monkeypatch.setattr(module, "_CHUNK", 1 << 22)
    assert digest(values) == small


def test_bits_of_words_are_mixed_well():
    """Of the 128 bits, about half change with one bit of the input: none of them is idle, none follows another."""
    values = torch.randn(64, generator=torch.Generator().manual_seed(0))
    before = int(digest(values).rpartition("/")[2], 16)
    changed = []
    for bit in range(0, 64 * 32, 7):
        words = values.view(torch.int32).clone()
        words[bit // 32] ^= torch.tensor(1 << bit % 32).to(torch.int32)
        changed.append((int(digest(words.view(torch.float32)).rpartition("/")[2], 16) ^ before).bit_count())
    assert 60 < sum(changed) / len(changed) < 68 and min(changed) > 30


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.bool, torch.int64, torch.float8_e4m3fn]
)
def test_every_dtype_has_content(dtype):
    one = torch.tensor([0.0, 1.0, 1.0]).to(dtype)
    other = torch.tensor([0.0, 1.0, 0.0]).to(dtype)
    assert digest(one) != digest(other)
