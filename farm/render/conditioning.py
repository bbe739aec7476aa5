"""Reuse of what does not change between takes: text embeddings, image embeddings, the still in the VAE's latent space.

Invariant: pixels are those of the bare pipeline, bit for bit. Modules are wrapped, not the pipeline's methods, and
keyed by the content of all their arguments. `vae.encode` gives a distribution and sampling comes after it, so that
random numbers are drawn exactly as without.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

CACHE_BYTES = (
    512 << 20
)  # on the module's device; HunyuanVideo's Llama keeps all its hidden states, about 250 MB a prompt


class Conditioning:
    """A least-recently-used cache around the encoders of one pipeline; `hits` and `misses` count by component."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self.hits: dict[str, int] = {}
        self.misses: dict[str, int] = {}
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._held: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._wrapped: list[tuple[Any, str]] = []

    def attach(self, components: Mapping[str, Any]) -> None:
        """Wraps the text encoders, the image encoder and the VAE of a pipeline."""
        for name, module in components.items():
            if module is None:
                continue
            if name.startswith(("text_encoder", "image_encoder")):
                self._wrap(module, "forward", name)
            elif name == "vae":
                self._wrap(module, "encode", name)

    def detach(self) -> None:
        """The modules as they were; what was kept is let go."""
        for module, method in self._wrapped:
            delattr(module, method)
        self._wrapped.clear()
        self._held.clear()
        self._held_bytes = 0

    def _wrap(self, module: Any, method: str, name: str) -> None:
        bare: Callable[..., Any] = getattr(module, method)

        def remembered(*args: Any, **named: Any) -> Any:
            key = _key(name, args, named)
            if key is None:
                return bare(*args, **named)
            if key in self._held:
                self.hits[name] = self.hits.get(name, 0) + 1
                self._held.move_to_end(key)
                return self._held[key][0]
            self.misses[name] = self.misses.get(name, 0) + 1
            result = bare(*args, **named)
            if getattr(result, "past_key_values", None) is not None:
                result.past_key_values = None  # a language model's scratch, larger than what is asked of it
            self._keep(key, result)
            return result

        setattr(module, method, remembered)
        self._wrapped.append((module, method))

    def _keep(self, key: str, result: Any) -> None:
        size = sum({id(one): one.numel() * one.element_size() for one in _tensors(result)}.values())
        if size > self._max_bytes:
            return
        self._held[key] = (result, size)
        self._held_bytes += size
        while self._held_bytes > self._max_bytes:
            _, (_, freed) = self._held.popitem(last=False)
            self._held_bytes -= freed


def _key(name: str, args: tuple[Any, ...], named: Mapping[str, Any]) -> str | None:
    """The content of a call; None where an argument has no content that can be compared."""
    digest = hashlib.blake2b(name.encode(), digest_size=16)
    try:
        _feed(digest, (args, dict(named)))
    except TypeError:
        return None
    return digest.hexdigest()


def _feed(digest: Any, value: object) -> None:
    if isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}{value.device}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(np.ascontiguousarray(flat.view(torch.uint8).numpy()).data)
    elif isinstance(value, Mapping):
        digest.update(b"{")
        for key in sorted(value):
            digest.update(f"{key}:".encode())
            _feed(digest, value[key])
    elif isinstance(value, tuple | list):
        digest.update(f"[{len(value)}".encode())
        for item in value:
            _feed(digest, item)
    elif value is None or isinstance(value, str | int | float | bool | torch.dtype | torch.device):
        digest.update(f"{type(value).__name__}{value!r};".encode())
    else:
        raise TypeError(f"no content of {type(value).__name__} can be compared")


def _tensors(value: Any) -> list[torch.Tensor]:
    """All tensors in an encoder's answer: outputs are mappings, a VAE's distribution is a plain object."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for item in value.values() for tensor in _tensors(item)]
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in _tensors(item)]
    return _tensors(vars(value)) if hasattr(value, "__dict__") else []
