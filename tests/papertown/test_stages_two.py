"""All stages of making the second town's models, at the smallest sizes, and the base model's flow matching."""

import numpy as np
import pytest
import torch

pytest.importorskip("resvg_py", reason="drawing Paper Town needs the extra `papertown`")

from diffusers import ZImagePipeline, ZImageTransformer2DModel

from bootstrap.errors import UserError
from bootstrap.papertown import data as first_data
from bootstrap.papertown import tagger_making
from bootstrap.papertown.tagger import PapertownTagger
from bootstrap.papertown.training import Hyperparameters
from bootstrap.papertown.two import attention, base, captions, data, judging, make, networks, vae

CAPTIONS = [
    ["woman", "full body", "from side", "blue t-shirt"],
    ["robot", "teal robot"],
    ["no humans", "red apple"],
]


def tiny_transformer() -> ZImageTransformer2DModel:
    torch.manual_seed(0)
    return ZImageTransformer2DModel(
        in_channels=8, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2,
        cap_feat_dim=networks.TEXT_WIDTH, axes_dims=[4, 6, 6], axes_lens=[512, 16, 16],
    )  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return networks.new_tokenizer([", ".join(tags) for tags in CAPTIONS] * 10 + ["blue t-shirt"] * 10)


def test_tokens_assembled_from_tags_equal_the_tokenizers(tokenizer):
    tokens = captions.CaptionTokens(tokenizer, CAPTIONS)
    for tags in [*CAPTIONS, [CAPTIONS[0][3], CAPTIONS[0][0]], []]:
        whole = tokenizer(captions.templated(tokenizer, ", ".join(tags))).input_ids
        ids, count = tokens(tags)
        assert ids[:count].tolist() == whole and len(ids) == captions.LENGTH
        assert set(ids[count:]) == {tokenizer.pad_token_id}
    with pytest.raises(ValueError, match="64 fit"):
        tokens(CAPTIONS[0] * 10)


def test_attention_in_plain_operations_has_the_same_values_and_gradients():
    plain, usual = tiny_transformer(), tiny_transformer()
    attention.use_plain_attention(plain)
    generator = torch.Generator().manual_seed(0)
    latents = [torch.randn(8, 1, 4, 6, generator=generator) for _ in range(2)]
    # Captions of one and two blocks of tokens: the shorter row is masked.
    states = [torch.randn(count, networks.TEXT_WIDTH, generator=generator) for count in (9, 40)]
    gradients = []
    for transformer in (plain, usual):
        predicted = torch.stack(transformer(latents, torch.tensor([0.2, 0.7]), states, return_dict=False)[0])
        predicted.pow(2).sum().backward()
        gradients.append((predicted, transformer.layers[0].attention.to_q.weight.grad))
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_steps_loss_is_the_velocitys_squared_error(tokenizer):
    """Rows of one and of two blocks of tokens, each alone, against the published rule."""
    transformer, encoder = tiny_transformer(), networks.new_text_encoder(tokenizer)
    latents = torch.randn(3, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    ids, counts = torch.randint(0, 99, (3, captions.LENGTH)), torch.tensor([12, 40, 33])
    batch = (torch.tensor([2, 0, 1]), ids, counts)
    loss = base.Loss(transformer, encoder, latents, torch.ones(3, 16, 16), [batch], 3)
    value, _ = loss(0, torch.Generator().manual_seed(5))

    generator = torch.Generator().manual_seed(5)
    levels = base.noise_levels(3, generator, torch.device("cpu"))
    noise = torch.randn(latents.shape, generator=generator)
    errors = []
    for row, number in enumerate(batch[0]):
        clean, s = latents[number], levels[row]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            read = encoder(
                input_ids=ids[row : row + 1, : counts[row]], output_hidden_states=True
            ).hidden_states[1]
            noisy = ((1 - s) * clean + s * noise[row]).unsqueeze(1)
            predicted = transformer([noisy], 1 - s[None], [read[0]], return_dict=False)[0][0].squeeze(1)
        errors.append((predicted.float() - (clean - noise[row])).pow(2).mean())
    assert value.item() == pytest.approx(torch.stack(errors).mean().item(), rel=2e-3)


def test_noise_levels_are_spread_over_the_batch():
    levels = base.noise_levels(64, torch.Generator().manual_seed(0), torch.device("cpu"))
    assert levels.min() > 0 and levels.max() < 1
    assert abs(levels.mean() - 0.5) < 0.03
    short, long = levels[:38], levels[38:]
    assert abs(short.mean() - long.mean()) < 0.2
    middle = ((levels > 0.25) & (levels < 0.75)).float().mean()
    assert 0.6 < middle < 0.75  # logit-normal: 73 %; uniform: 50 %


def test_a_batch_has_always_as_many_short_captions(tmp_path):
    tag_lists = data.tag_lists("train", 40)
    tokens = captions.CaptionTokens(base.made_tokenizer(tmp_path / "tokenizer"), tag_lists)
    batches = base.CaptionBatches(tag_lists, tokens, Hyperparameters(100, 10, 0.02, 1e-3))
    for step in range(3):
        numbers, ids, counts = batches[step]
        assert numbers.shape == (10,) and ids.shape == (10, captions.LENGTH)
        assert (counts <= base.BLOCK).tolist() == [True] * 6 + [False] * 4
        assert all(np.array_equal(a, b) for a, b in zip(batches[step], (numbers, ids, counts), strict=True))


def test_a_stage_that_lacks_its_input_names_the_missing_stage(tmp_path):
    first_data.render_split(tmp_path / "data", "train", 0)
    for stage, missing in {"vae": "data", "judge": "tagger"}.items():
        with pytest.raises(UserError, match=f"run the stage `{missing}` first"):
            make.run_stage(stage, tmp_path)


@pytest.mark.slow
def test_the_stages_follow_each_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(first_data, "SHARD", 4)
    monkeypatch.setattr(first_data, "cpu_count", lambda: 1)
    monkeypatch.setattr(tagger_making, "HELD_OUT", 4)
    monkeypatch.setattr(vae, "HELD_OUT", 4)
    for module, name in (
        (vae, "vae_hyperparameters"),
        (base, "base_hyperparameters"),
        (tagger_making, "tagger_hyperparameters"),
    ):
        monkeypatch.setattr(
            module,
            name,
            lambda device, samples: Hyperparameters(samples, batch=4, muon_lr=0.002, adam_lr=1e-4),
        )
    monkeypatch.setattr(networks, "new_transformer", tiny_transformer)
    monkeypatch.setattr(base, "SHEET", base.SHEET[:1])
    draw_prompts = base.draw_prompts
    for module in (base, judging):
        monkeypatch.setattr(module, "draw_prompts", lambda *a, **k: draw_prompts(*a, **(k | {"steps": 1})))
    for name in ("NOBODY", "SHORT", "SHOWN"):
        monkeypatch.setattr(judging, name, 1)

    for stage in make.STAGES:
        make.run_stage(stage, tmp_path, samples=4)

    printed = capsys.readouterr().out
    assert "base: 4 whole captions: macro accuracy" in printed and "from front" in printed
    assert (tmp_path / "base" / "sheet.png").is_file()
    pipeline = ZImagePipeline.from_pretrained(tmp_path / "base" / "model")
    assert (
        pipeline.vae.config.shift_factor == 0 and pipeline.tokenizer.chat_template == networks.CHAT_TEMPLATE
    )
    drawn = draw_prompts(pipeline, ["robot"], seed=1, steps=1)
    assert drawn.shape == (1, 3, 128, 128) and torch.equal(
        drawn, draw_prompts(pipeline, ["robot"], seed=1, steps=1)
    )
    assert PapertownTagger.load(tmp_path / "tagger" / "tagger.safetensors").world == "two"
