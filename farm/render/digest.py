"""The content of a tensor in a few numbers, worked out where the tensor is.

Invariant: integers only, so that the answer is exact and the same on every device. It tells tensors apart that differ
by accident; against somebody who looks for a collision it is no protection.
"""

import torch
from torch import Tensor

_CHUNK = 1 << 22  # words at a time: 32 MiB for each of a few temporary tensors
_WORD_BYTES = 8
_MASK = (1 << 64) - 1

# Odd 64-bit constants: one for the position, two for mixing; a lane each. The first lane's are those of splitmix64,
# the second's those of xxHash64.
_LANES = (
    (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB),
    (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9),
)


def digest(tensor: Tensor) -> str:
    """The tensor's dtype, its shape, and 32 hexadecimal digits of its bytes and where they stand.

    Every 64-bit word is mixed with its position by steps that can be undone, and the results are added up: a change
    within one word always shows, and words that change places do but for a chance of about 2^-128.
    """
    data = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    if data.storage_offset() % _WORD_BYTES:
        data = data.clone()  # words are read where words may start
    whole = data.numel() // _WORD_BYTES * _WORD_BYTES
    words = data[:whole].view(torch.int64)
    totals = torch.zeros(len(_LANES), dtype=torch.int64, device=tensor.device)
    for start in range(0, words.numel(), _CHUNK):
        _add(totals, words[start : start + _CHUNK], start)
    if whole < data.numel():
        last = torch.zeros(_WORD_BYTES, dtype=torch.uint8, device=tensor.device)
        last[: data.numel() - whole] = data[whole:]
        _add(totals, last.view(torch.int64), words.numel())
    # One transfer from the device, of sixteen bytes. The length tells padding from zeros.
    lanes = "".join(f"{(total + data.numel()) & _MASK:016x}" for total in totals.tolist())
    return f"{tensor.dtype}{tuple(tensor.shape)}/{lanes}"


def _add(totals: Tensor, words: Tensor, start: int) -> None:
    positions = torch.arange(start + 1, start + 1 + words.numel(), dtype=torch.int64, device=words.device)
    for lane, (place, first, second) in enumerate(_LANES):
        mixed = positions.mul(_signed(place)).add_(words)
        _fold(mixed, 30).mul_(_signed(first))
        _fold(mixed, 27).mul_(_signed(second))
        totals[lane] += _fold(mixed, 31).sum()


def _fold(words: Tensor, bits: int) -> Tensor:
    """words ^ (words >>> bits), in place; torch shifts signs in, which must not count."""
    return words.bitwise_xor_(words.bitwise_right_shift(bits).bitwise_and_((1 << (64 - bits)) - 1))


def _signed(word: int) -> int:
    """The same 64 bits as torch's int64 wants them said."""
    return word - (1 << 64) if word >> 63 else word
