"""All stages of the making, one after the other, at the smallest sizes."""

import pytest
import torch

pytest.importorskip("resvg_py", reason="drawing Paper Town needs the extra `papertown`")

from diffusers import StableDiffusionPipeline

from bootstrap.errors import UserError
from bootstrap.papertown import base, data, judging, make, tagger_making, vae
from bootstrap.papertown.training import Plan


def test_a_stage_without_what_it_needs_says_which_one_is_missing(tmp_path):
    with pytest.raises(UserError, match="run the stage `data` first"):
        make.make("vae", tmp_path)
    with pytest.raises(UserError, match="run the stage `tagger` first"):
        make.make("judge", tmp_path)


class Narrow:
    """A model's class, whose models are built narrower than they are asked for."""

    def __init__(self, model, widths):
        self.model, self.widths = model, widths
        self.from_pretrained = model.from_pretrained

    def __call__(self, **settings):
        return self.model(**settings | {"block_out_channels": self.widths})


@pytest.mark.slow
def test_the_stages_follow_each_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "SHARD", 4)
    monkeypatch.setattr(data, "cpu_count", lambda: 1)
    monkeypatch.setattr(
        data, "held_out", lambda count, accents=False: data.to_pixels(torch.zeros(4, 3, 128, 128))
    )
    monkeypatch.setattr(tagger_making, "HELD_OUT", 4)
    for module in (vae, base, tagger_making):
        monkeypatch.setattr(
            module,
            "plan",
            lambda device, samples, stage="": Plan(samples, batch=4, muon_lr=0.02, adam_lr=1e-3),
        )
    for module, name, widths in ((vae, "AutoencoderKL", (8,) * 4), (base, "UNet2DConditionModel", (16,) * 3)):
        monkeypatch.setattr(module, name, Narrow(getattr(module, name), widths))
    monkeypatch.setattr(base, "SHEET", base.SHEET[:1])
    whole_draw = base.draw
    for module in (base, judging):
        monkeypatch.setattr(module, "draw", lambda *a, **k: whole_draw(*a, **(k | {"steps": 1})))
    for name, count in {"NOBODY": 1, "SHORT": 1, "SHOWN": 1}.items():
        monkeypatch.setattr(judging, name, count)

    for stage in make.STAGES:
        make.make(stage, tmp_path, samples=4)

    assert "base: 4 whole captions: macro accuracy" in capsys.readouterr().out
    for stage in ("base", "ink"):
        assert (tmp_path / stage / "sheet.png").is_file()
        pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / stage / "model", safety_checker=None)
        assert pipeline.unet.dtype == torch.float32 and pipeline.vae_scale_factor == 8
    assert (tmp_path / "tagger" / "tagger.safetensors").is_file()

    # Elsewhere, with the pictures alone, the base model goes on from what was made here.
    made, elsewhere = tmp_path / "base" / "model", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "data").rename(elsewhere / "data")
    make.make("base", elsewhere, samples=4, start=made)
    further = elsewhere / "base" / "model"
    parts = [StableDiffusionPipeline.from_pretrained(one, safety_checker=None) for one in (made, further)]
    before, after = (one.unet.conv_in.weight for one in parts)
    assert (before - after).abs().max() < 0.1 and not torch.equal(before, after)
    assert torch.equal(*(one.vae.encoder.conv_in.weight for one in parts))
