"""The prompt language in the engine: weights, schedules and compositions draw what they say."""

import dataclasses

import numpy as np
import pytest
import torch
from making import shot
from PIL import Image

from bootstrap.drawing import engine
from bootstrap.models import small_cpu
from bootstrap.models.conditioning import Conditioning
from bootstrap.models.family import BaseModel
from bootstrap.prompting import encode
from bootstrap.shots import Start


def drawn(base: BaseModel, prompt: str, **changes: object) -> np.ndarray:
    """One picture of 64 by 64 pixels in 4 steps, int16."""
    values = {"loras": (), "width": 64, "height": 64, "steps": 4, **changes}
    [[drawing]] = engine.draw_batches(base, [shot(7, prompt, **values)], {}, 1)
    return np.asarray(drawing.picture, dtype=np.int16)


def apart(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.abs(first - second).max())


@pytest.mark.parametrize(
    ("prompt", "same"),
    [
        ("woman, red apple", "(woman, red apple:1.0)"),
        ("woman, (red apple)", "woman, (red apple:1.1)"),
        ("[woman:robot:1.0]", "woman"),
        ("woman AND robot :0", "woman"),
        ("woman AND woman", "woman :2"),
        (r"saber \(fate\)", r"(saber \(fate\):1)"),
    ],
)
def test_what_means_the_same_draws_the_same(papertown: BaseModel, prompt: str, same: str) -> None:
    assert apart(drawn(papertown, prompt), drawn(papertown, same)) <= 2


@pytest.mark.parametrize(
    ("prompt", "different"),
    [
        ("woman, red apple", "woman, (red apple:1.8)"),
        ("woman, red apple", "woman, [[[[red apple]]]]"),
        ("[woman:robot:0.5]", "woman"),
        ("[woman:robot:0.5]", "robot"),
        ("[woman|robot]", "woman"),
        ("woman AND robot", "woman"),
        ("woman BREAK robot", "woman robot"),
        ("woman AND robot :-0.5", "woman AND robot"),
    ],
)
def test_what_means_something_else_draws_something_else(
    papertown: BaseModel, prompt: str, different: str
) -> None:
    assert apart(drawn(papertown, prompt), drawn(papertown, different)) > 3


def test_shots_with_all_of_it_draw_the_same_alone_and_together(papertown: BaseModel) -> None:
    prompts = ["woman AND robot :0.7", "[woman:robot:2], smile", "(beach:1.4)", "woman BREAK robot"]
    shots = [
        shot(seed, prompt, loras=(), width=64, height=64, steps=4, negative_prompt="[blue:red:0.5]")
        for seed, prompt in enumerate(prompts)
    ]
    together = {
        drawing.shot.id: drawing.picture
        for batch in engine.draw_batches(papertown, shots, {}, 8)
        for drawing in batch
    }
    assert len(together) == 4
    for each in shots:
        [[alone]] = engine.draw_batches(papertown, [each], {}, 1)
        assert apart(_pixels(alone.picture), _pixels(together[each.id])) <= 2


LONG = ", ".join(["woman, red apple, window"] * 20)  # two chunks


def test_a_negative_prompt_is_not_filled_up_to_the_prompt_beside_it(
    papertown: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    predict = small_cpu.predict

    def counted(
        base: BaseModel, latents: torch.Tensor, timestep: torch.Tensor, conditioning: Conditioning
    ) -> torch.Tensor:
        shapes.append(tuple(conditioning.states.shape[:2]))
        return predict(base, latents, timestep, conditioning)

    monkeypatch.setattr(small_cpu, "predict", counted)
    drawn(papertown, LONG, negative_prompt="blue", steps=1)
    drawn(papertown, "woman", negative_prompt="blue", steps=1)
    drawn(papertown, f"{LONG} AND robot", steps=1)
    drawn(papertown, f"[woman:{LONG}:0.5]", negative_prompt="blue", steps=2)
    one_and_two = [(1, 77), (1, 154)]
    assert shapes == [*one_and_two, (2, 77), (1, 77), (2, 154), *one_and_two, *one_and_two]


def test_in_the_second_pass_of_hires_a_share_of_the_steps_counts_from_one(papertown: BaseModel) -> None:
    def twice(prompt: str) -> np.ndarray:
        first = shot(7, prompt, loras=(), width=64, height=64, steps=4)
        [[drawing]] = engine.draw_batches(
            papertown, [dataclasses.replace(first, width=96, height=96, start=Start(0.7, shot=first))], {}, 1
        )
        return _pixels(drawing.picture)

    changed = twice("[woman:robot:1.5]")
    assert apart(changed, twice("woman")) > 3
    assert apart(twice("[woman:robot:2.0]"), twice("woman")) == 0
    assert apart(changed, twice("[woman:robot:6]")) == 0  # two steps after the first pass


def _pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.int16)


def test_a_composition_is_guided_at_cfg_scale_1_too(papertown: BaseModel) -> None:
    composed = drawn(papertown, "woman AND robot", cfg_scale=1.0)
    assert apart(composed, drawn(papertown, "woman", cfg_scale=1.0)) > 3


def test_a_lora_that_was_not_looked_up_is_refused(papertown: BaseModel) -> None:
    with pytest.raises(RuntimeError, match="not looked up"):
        drawn(papertown, "woman <lora:anna:0.8>")


def test_emphasis_keeps_the_mean_of_a_chunk_and_does_not_change_others(papertown: BaseModel) -> None:
    with torch.no_grad():
        plain = encode.encode_prompts(papertown, ["woman, red apple", "robot"]).states
        strong = encode.encode_prompts(papertown, ["woman, (red apple:1.5)", "robot"]).states
        captions = encode.encode(papertown, ["woman, red apple", "robot"]).states
    assert torch.equal(plain, captions)
    assert torch.equal(plain[1], strong[1])
    assert not torch.allclose(plain[0], strong[0], atol=1e-3)
    assert torch.allclose(plain[0].mean(), strong[0].mean(), rtol=1e-3)


def test_a_caption_has_no_prompt_syntax(papertown: BaseModel) -> None:
    with torch.no_grad():
        caption = encode.encode(papertown, ["woman (red:1.5)"]).states
        prompt = encode.encode_prompts(papertown, ["woman (red:1.5)"]).states
        escaped = encode.encode_prompts(papertown, [r"woman \(red:1.5\)"]).states
    assert not torch.allclose(caption, prompt, atol=1e-3)
    assert torch.equal(caption, escaped)
