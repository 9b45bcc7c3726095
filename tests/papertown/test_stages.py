"""All stages of making the models, one after the other, at the smallest sizes."""

import pytest
import torch

pytest.importorskip("resvg_py", reason="drawing Paper Town needs the extra `papertown`")

from diffusers import StableDiffusionPipeline

from bootstrap.errors import UserError
from bootstrap.papertown import base, data, judging, make, tagger_making, vae
from bootstrap.papertown.training import Hyperparameters


def test_a_stage_that_lacks_its_input_names_the_missing_stage(tmp_path):
    with pytest.raises(UserError, match="run the stage `data` first"):
        make.run_stage("vae", tmp_path)
    with pytest.raises(UserError, match="run the stage `tagger` first"):
        make.run_stage("judge", tmp_path)


class Narrow:
    """A model class that builds its models with `widths` channels, whatever the caller passes."""

    def __init__(self, model_class, widths):
        self.model_class, self.widths = model_class, widths
        self.from_pretrained = model_class.from_pretrained

    def __call__(self, **settings):
        return self.model_class(**settings | {"block_out_channels": self.widths})


@pytest.mark.slow
def test_the_stages_follow_each_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "SHARD", 4)
    monkeypatch.setattr(data, "cpu_count", lambda: 1)
    monkeypatch.setattr(
        data, "held_out", lambda count, accents=False: data.to_pixels(torch.zeros(4, 3, 128, 128))
    )
    monkeypatch.setattr(tagger_making, "HELD_OUT", 4)
    for module, name in (
        (vae, "vae_hyperparameters"),
        (base, "base_hyperparameters"),
        (tagger_making, "tagger_hyperparameters"),
    ):
        monkeypatch.setattr(
            module,
            name,
            lambda device, samples, stage="": Hyperparameters(samples, batch=4, muon_lr=0.02, adam_lr=1e-3),
        )
    for module, name, widths in ((vae, "AutoencoderKL", (8,) * 4), (base, "UNet2DConditionModel", (16,) * 3)):
        monkeypatch.setattr(module, name, Narrow(getattr(module, name), widths))
    monkeypatch.setattr(base, "SHEET", base.SHEET[:1])
    draw_prompts = base.draw_prompts
    for module in (base, judging):
        monkeypatch.setattr(module, "draw_prompts", lambda *a, **k: draw_prompts(*a, **(k | {"steps": 1})))
    for name, count in {"NOBODY": 1, "SHORT": 1, "SHOWN": 1}.items():
        monkeypatch.setattr(judging, name, count)

    for stage in make.STAGES:
        make.run_stage(stage, tmp_path, samples=4)

    assert "base: 4 whole captions: macro accuracy" in capsys.readouterr().out
    for stage in ("base", "ink"):
        assert (tmp_path / stage / "sheet.png").is_file()
        pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / stage / "model", safety_checker=None)
        assert pipeline.unet.dtype == torch.float32 and pipeline.vae_scale_factor == 8
    assert (tmp_path / "tagger" / "tagger.safetensors").is_file()

    # In a folder with nothing but the pictures, the stage `base` continues from the model made above.
    start, elsewhere = tmp_path / "base" / "model", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "data").rename(elsewhere / "data")
    make.run_stage("base", elsewhere, samples=4, start=start)
    continued = elsewhere / "base" / "model"
    pipelines = [
        StableDiffusionPipeline.from_pretrained(folder, safety_checker=None) for folder in (start, continued)
    ]
    before, after = (pipeline.unet.conv_in.weight for pipeline in pipelines)
    assert (before - after).abs().max() < 0.1 and not torch.equal(before, after)
    assert torch.equal(*(pipeline.vae.encoder.conv_in.weight for pipeline in pipelines))
