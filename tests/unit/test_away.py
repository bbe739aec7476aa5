"""Encoders that leave: pixels are those of encoders that stay, their weights are really gone, and come back."""

import dataclasses
import gc
import weakref

import numpy as np
import pytest
import torch
from tiny_parts import umt5
from tiny_takes import render, resident, still, task, tiny_model

from farm.errors import InputError
from farm.render.away import Away
from farm.render.families import backend

# One family for each kind of text encoder: UMT5, T5, Gemma 3, Gemma 2, Qwen 2.5 VL beside T5, Llama beside CLIP.
LEAVING = [
    "wan2.2-ti2v-5b",
    "cogvideox-i2v",
    "ltx-2",
    "sana-video-i2v",
    "hunyuanvideo1.5-i2v",
    "framepack-i2v",
]
TAKES = [(0, "push in", 1), (0, "wind", 1), (1, "push in", 2), (0, "a third one", 1), (0, "wind", 2)]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def rendered(one, number, prompt, seed):
    return one.render(still(number), task(one._model, seed, prompt), lambda done, total: None)


def loads_of(one):
    """Counts how often each stand-in goes to the checkpoint."""
    counted = []
    for name, away in one._away.items():
        bare = away._load
        away._load = lambda name=name, bare=bare: counted.append(name) or bare()
    return counted


@pytest.mark.parametrize("family", LEAVING)
def test_dropped_encoders_change_no_pixel_and_come_back_for_a_new_prompt(family, tiny):
    home, one = resident(family, tiny), resident(family, tiny, encoders="drop")
    one.expect(2)
    loads = loads_of(one)
    encoders = [weakref.ref(away.encoder) for away in one._away.values()]
    assert encoders and set(one._away) == {n for n in home._pipe.components if "text_enc" in n}
    weight = sum(p.numel() * p.element_size() for ref in encoders for p in ref().parameters())
    held = []
    for number, prompt, seed in TAKES:
        assert np.array_equal(rendered(one, number, prompt, seed), rendered(home, number, prompt, seed))
        gc.collect()
        held.append(one.held_bytes() - one.conditioning.held_bytes)
        if len(held) == 1:
            assert all(ref() is not None for ref in encoders), "a second prompt was announced"
        elif len(held) <= 3:
            assert not any(ref() for ref in encoders) and not loads
    assert held[1:] == [held[1]] * 4 and held[0] - held[1] >= weight
    assert sorted(loads) == sorted(away for away in one._away if away in loads), (
        "once each, for the third prompt"
    )
    assert "text_encoder" in loads
    assert not list(one._away["text_encoder"].children())
    home.close()
    one.close()


@pytest.mark.parametrize("family", ["wan2.1-i2v", "hunyuanvideo1.5-i2v"])
def test_encoders_in_the_cpus_memory_change_no_pixel_and_stay_loaded(family, tiny):
    home, one = resident(family, tiny), resident(family, tiny, encoders="cpu")
    loads = loads_of(one)
    for number, prompt, seed in TAKES:
        assert np.array_equal(rendered(one, number, prompt, seed), rendered(home, number, prompt, seed))
    assert not loads and all(away.encoder is not None for away in one._away.values())
    assert one.conditioning.hits["text_encoder"] >= 2


def test_without_a_word_how_many_prompts_there_will_be_every_new_one_is_loaded_for(tiny):
    one = resident("wan2.2-ti2v-5b", tiny, encoders="drop")
    loads = loads_of(one)
    for _, prompt, seed in TAKES:
        rendered(one, 0, prompt, seed)
    assert loads == ["text_encoder", "text_encoder"]


def test_a_family_that_gains_nothing_by_it_is_refused(tiny):
    with pytest.raises(
        InputError, match="tiny: encoders=drop: HunyuanVideoImageToVideoPipeline's text encoder"
    ):
        resident("hunyuanvideo-i2v", tiny, encoders="drop")
    with pytest.raises(InputError, match="encoders=cpu: StableVideoDiffusionPipeline has no text encoder"):
        resident("svd", tiny, encoders="cpu")


@pytest.mark.parametrize("error", [None, torch.OutOfMemoryError("CUDA out of memory.")])
def test_a_visit_leaves_the_weights_where_they_were(error):
    """torch's meta device stands for the GPU: another device, where the encoder really is while it runs."""
    encoder, seen = umt5(), []
    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in encoder.state_dict().items()}
    away = Away(encoder, lambda: encoder, "meta")
    assert (
        away.device == torch.device("meta") and away.dtype is torch.float32 and away.config is encoder.config
    )

    def look(module, args, output):
        seen.extend({tensor.device.type for tensor in module.parameters()})
        if error:
            raise error

    encoder.register_forward_hook(look)
    tokens = torch.zeros(1, 8, dtype=torch.int64, device="meta")
    with torch.inference_mode():
        if error:
            with pytest.raises(torch.OutOfMemoryError):
                away(tokens)
        else:
            assert away(tokens).last_hidden_state.shape == (1, 8, 32)
    assert seen == ["meta"]
    for name, tensor in encoder.state_dict().items():
        assert tensor.data_ptr() == before[name][0] and torch.equal(tensor, before[name][1]), name


def test_where_stills_have_prompts_of_their_own_encoders_that_were_dropped_stay(tiny):
    family = "wan2.1-i2v"
    model = dataclasses.replace(tiny_model(family, tiny), hosting=(("encoders", "drop"),))
    one, plain = backend(model), resident(family, tiny)
    one.load()
    one.expect(1)
    render(one, seed=1)
    (gone,) = [away.encoder for away in one._away.values()]
    assert gone is None
    for prompt in ("a harbour. it pans", "a forest. it pans"):
        words = task(model, 1, prompt)
        own = dataclasses.replace(words, still=dataclasses.replace(words.still, prompt=prompt.split(".")[0]))
        frames = one.render(still(), own, lambda done, total: None)
        assert np.array_equal(frames, plain.render(still(), own, lambda done, total: None))
        assert all(away.encoder is not None for away in one._away.values()), (
            "else each still would read it again"
        )
