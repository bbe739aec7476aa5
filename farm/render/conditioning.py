"""Reuse of what does not change between takes: text embeddings, image embeddings, the still in the VAE's latent space.

Invariant: pixels are those of the bare pipeline, bit for bit. Modules are wrapped, not the pipeline's methods, and
keyed by the content of all their arguments. `vae.encode` gives a distribution and sampling comes after it, so that
random numbers are drawn exactly as without. A memory stands above all hooks: offloading exchanges a module's `forward`
as often as it likes, and what is remembered brings no weights to the GPU.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from farm.render.digest import digest

CACHE_BYTES = (
    512 << 20
)  # on the module's device; HunyuanVideo's Llama keeps all its hidden states, about 250 MB a prompt

# From here on a tensor that is not in the CPU's memory is digested where it is. Wan's video condition has 388 MB, the
# largest input of a text encoder some kilobytes. The digest covers every bit, so that it is right also for families
# whose VAE sees more than the still: SVD's noise, FramePack's sections, a last image.
_LARGE_BYTES = 1 << 20


class Conditioning:
    """A least-recently-used cache around the encoders of one pipeline; `hits` and `misses` count by component."""

    def __init__(self, max_bytes: int = CACHE_BYTES, *, text_bytes: int = CACHE_BYTES) -> None:
        self.hits: dict[str, int] = {}
        self.misses: dict[str, int] = {}
        self._texts = _Kept(text_bytes)
        self._pictures = _Kept(max_bytes)
        self._undo: list[Callable[[], None]] = []

    def attach(self, components: Mapping[str, Any]) -> None:
        """Wraps the text encoders, the image encoder and the VAE of a pipeline."""
        for name, module in components.items():
            if module is None:
                continue
            if name.startswith(("text_encoder", "image_encoder")):
                self._wrap_call(module, name)
            elif name == "vae":
                self._wrap_encode(module, name)

    def detach(self) -> None:
        """The modules as they were; what was kept is let go."""
        for undo in self._undo:
            undo()
        self._undo.clear()
        self._texts.clear()
        self._pictures.clear()

    @property
    def held_bytes(self) -> int:
        return self._texts.held_bytes + self._pictures.held_bytes

    def _wrap_call(self, module: Any, name: str) -> None:
        """The class is exchanged, not `forward`: accelerate and diffusers put their hooks there and take out again
        whatever they find. The name stays, by which transformers looks up what a class can give."""
        bare = type(module)

        def call(this: Any, *args: Any, **named: Any) -> Any:
            return self._recall(name, args, named, lambda: bare.__call__(this, *args, **named))

        kept = {"__call__": call, "__module__": bare.__module__, "__qualname__": bare.__qualname__}
        module.__class__ = type(bare.__name__, (bare,), kept)
        self._undo.append(lambda: setattr(module, "__class__", bare))

    def _wrap_encode(self, module: Any, name: str) -> None:
        bare = module.encode

        def encode(*args: Any, **named: Any) -> Any:
            tiled = bool(getattr(module, "use_tiling", False))  # tiles change bits
            return self._recall(f"{name}/{tiled}", args, named, lambda: bare(*args, **named))

        module.encode = encode
        self._undo.append(lambda: delattr(module, "encode"))

    def _recall(
        self, what: str, args: tuple[Any, ...], named: Mapping[str, Any], ask: Callable[[], Any]
    ) -> Any:
        key, name = _key(what, args, named), what.partition("/")[0]
        if key is None:
            return ask()
        kept = self._texts if name.startswith("text_encoder") else self._pictures
        if (found := kept.find(key)) is not None:
            self.hits[name] = self.hits.get(name, 0) + 1
            return found
        self.misses[name] = self.misses.get(name, 0) + 1
        result = ask()
        if getattr(result, "past_key_values", None) is not None:
            result.past_key_values = None  # a language model's scratch, larger than what is asked of it
        kept.keep(key, result)
        return result


class _Kept:
    """Answers by key, at most so many bytes of them; the one used longest ago goes first."""

    def __init__(self, max_bytes: int) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._held: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def find(self, key: str) -> Any:
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def keep(self, key: str, result: Any) -> None:
        size = sum({id(one): one.numel() * one.element_size() for one in _tensors(result)}.values())
        if size > self._max_bytes:
            return
        self._held[key] = (result, size)
        self.held_bytes += size
        while self.held_bytes > self._max_bytes:
            _, (_, freed) = self._held.popitem(last=False)
            self.held_bytes -= freed

    def clear(self) -> None:
        self._held.clear()
        self.held_bytes = 0


def _key(name: str, args: tuple[Any, ...], named: Mapping[str, Any]) -> str | None:
    """The content of a call; None where an argument has no content that can be compared."""
    content = hashlib.blake2b(name.encode(), digest_size=16)
    try:
        _feed(content, (args, dict(named)))
    except TypeError:
        return None
    return content.hexdigest()


def _feed(content: Any, value: object) -> None:
    if isinstance(value, torch.Tensor):
        content.update(f"{value.dtype}{tuple(value.shape)}{value.device}".encode())
        if value.device.type != "cpu" and value.numel() * value.element_size() >= _LARGE_BYTES:
            content.update(digest(value).encode())
            return
        flat = value.detach().cpu().contiguous().reshape(-1)
        content.update(np.ascontiguousarray(flat.view(torch.uint8).numpy()).data)
    elif isinstance(value, Mapping):
        content.update(b"{")
        for key in sorted(value):
            content.update(f"{key}:".encode())
            _feed(content, value[key])
    elif isinstance(value, tuple | list):
        content.update(f"[{len(value)}".encode())
        for item in value:
            _feed(content, item)
    elif value is None or isinstance(value, str | int | float | bool | torch.dtype | torch.device):
        content.update(f"{type(value).__name__}{value!r};".encode())
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
