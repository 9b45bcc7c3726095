"""Training of the flow-matching families, with random weights: the published rules, exact resume, recordings."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline, ZImagePipeline
from PIL import Image

from bootstrap.models import loading, specs
from bootstrap.models.family import BaseModel
from bootstrap.progress import Progress
from bootstrap.project.settings import TrainingSection
from bootstrap.training import trainer
from bootstrap.training.identity import Example
from bootstrap.training.trainer import EpochResult
from tests.families import tiny_transformers

CAPTION, OTHER = "woman, blue blazer, red apple", "woman, " * 12
WRITERS: dict[str, Callable[[Path], Path]] = {
    "z-image": tiny_transformers.z_image,
    "flux2": tiny_transformers.flux2_klein,
}


@pytest.fixture(scope="module", params=WRITERS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return loading.hold(specs.find(str(WRITERS[request.param](tmp_path_factory.mktemp(request.param)))))


def settings(**changes: object) -> TrainingSection:
    values = {
        "repeats": 1, "epochs": 1, "network_dim": 2, "network_alpha": 2, "unet_lr": 1e-3, "text_encoder_lr": 0.0,
        "seed": 3,
    }  # fmt: skip
    return TrainingSection.model_validate({**values, **changes})


def examples(folder: Path, *captions: str) -> list[Example]:
    found = []
    for number, caption in enumerate(captions):
        path = folder / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 255, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((64, 48), Image.Resampling.BICUBIC).save(path)
        found.append(Example(str(path), str(number), caption, 1, (64, 48)))
    return found


def run(
    base: BaseModel, shown: list[Example], chosen: TrainingSection, state: Path, stop_at: int = 10**9
) -> list[EpochResult]:
    class StoppedError(Exception):
        pass

    results: list[EpochResult] = []

    def watch(progress: Progress) -> None:
        if progress.done == stop_at:
            raise StoppedError

    with suppress(StoppedError):
        trainer.train(base, shown, chosen, state, state.parent / "latents", results.append, watch)
    return results


def reference_direction(base: BaseModel, noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return noise - latents as diffusers' transformer predicts it, called as in its pipeline."""
    if base.family.name == "z-image":
        pipeline = ZImagePipeline.from_pretrained(base.spec.source)
        states, _ = pipeline.encode_prompt(CAPTION, do_classifier_free_guidance=False)
        return -pipeline.transformer([noisy[0][:, None]], 1 - sigma, states, return_dict=False)[0][0][
            None, :, 0
        ]
    pipeline = Flux2KleinPipeline.from_pretrained(base.spec.source)
    states, text_ids = pipeline.encode_prompt(CAPTION)
    out = pipeline.transformer(
        hidden_states=pipeline._pack_latents(noisy), timestep=sigma, guidance=None, encoder_hidden_states=states,
        txt_ids=text_ids, img_ids=pipeline._prepare_latent_ids(noisy), return_dict=False,
    )[0]  # fmt: skip
    return out.transpose(1, 2).reshape(noisy.shape)


def shift(sigma: torch.Tensor, by: float) -> torch.Tensor:
    return by * sigma / (1 + (by - 1) * sigma)


# musubi-tuner's rules; tokens: 8 x 6 latents of Z-Image in patches of 2 x 2, 16 x 12 of FLUX.2 after packing.
RULES: dict[str, Callable[[torch.Generator, int], torch.Tensor]] = {
    "uniform": lambda generator, tokens: torch.rand(1, generator=generator),
    "sigmoid": lambda generator, tokens: torch.sigmoid(1.5 * torch.randn(1, generator=generator)),
    "shift": lambda generator, tokens: shift(torch.sigmoid(1.5 * torch.randn(1, generator=generator)), 2.5),
    "logit_normal": lambda generator, tokens: torch.sigmoid(0.3 + 0.7 * torch.randn(1, generator=generator)),
    "flux2_shift": lambda generator, tokens: shift(
        torch.sigmoid(1.5 * torch.randn(1, generator=generator)),
        float(np.exp(0.5 + (tokens - 256) * (1.15 - 0.5) / (4096 - 256))),
    ),
}
WEIGHTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "none": lambda sigma: torch.ones(()),
    "sigma_sqrt": lambda sigma: sigma**-2,
    "cosmap": lambda sigma: 2 / (np.pi * (1 - 2 * sigma + 2 * sigma**2)),
}


@pytest.mark.parametrize(
    ("sampling", "weighting"),
    [*((name, "none") for name in RULES), ("uniform", "sigma_sqrt"), ("uniform", "cosmap")],
)
def test_the_loss_of_a_step_is_that_of_the_published_rule(
    base: BaseModel, tmp_path: Path, sampling: str, weighting: str
) -> None:
    chosen = settings(
        timestep_sampling=sampling, weighting_scheme=weighting, sigmoid_scale=1.5, discrete_flow_shift=2.5,
        logit_mean=0.3, logit_std=0.7,
    )  # fmt: skip
    shown = examples(tmp_path, CAPTION)
    [result] = run(base, shown, chosen, tmp_path / "state.safetensors")

    picture = torch.from_numpy(np.asarray(Image.open(shown[0].path), np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        mean, deviation = base.family.encode_pixels(base, picture / 127.5 - 1)
        generator = torch.Generator().manual_seed(3 * 1_000_003)
        latents = mean + deviation * torch.randn(mean.shape[1:], generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        patch = 2 if base.family.name == "z-image" else 1
        sigma = RULES[sampling](generator, latents.shape[-2] * latents.shape[-1] // patch**2)
        direction = reference_direction(base, (1 - sigma) * latents + sigma * noise, sigma)
        expected = WEIGHTS[weighting](sigma) * (direction - (noise - latents)).square().mean()
    assert result.loss == pytest.approx(float(expected), rel=1e-5)


def test_a_killed_training_ends_bit_for_bit_as_an_undisturbed_one(base: BaseModel, tmp_path: Path) -> None:
    chosen = settings(repeats=2, epochs=2, shuffle_caption=True, timestep_sampling="sigmoid")
    shown = examples(tmp_path, CAPTION, OTHER)
    whole = run(base, shown, chosen, tmp_path / "whole.safetensors")
    run(base, shown, chosen, tmp_path / "state.safetensors", stop_at=3)
    resumed = run(base, shown, chosen, tmp_path / "state.safetensors")
    assert resumed[-1].epoch == whole[-1].epoch == 2
    for name, module in whole[-1].modules.items():
        assert torch.equal(torch.as_tensor(resumed[-1].modules[name].up), torch.as_tensor(module.up)), name
    assert all(float(torch.as_tensor(module.up).abs().max()) > 0 for module in whole[-1].modules.values())


def test_captions_of_other_lengths_share_a_batch_and_its_recording(
    base: BaseModel, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step with two captions trains what the same step without recordings trains."""
    shown = examples(tmp_path, CAPTION, OTHER, "a", "b, c")
    chosen = settings(
        train_batch_size=2, epochs=3, repeats=2, shuffle_caption=True, timestep_sampling="uniform"
    )
    with caplog.at_level(logging.WARNING):
        recorded = run(base, shown, chosen, tmp_path / "recorded.safetensors")
    assert not caplog.records
    monkeypatch.setattr(trainer, "recorded_on_cpu", lambda base, settings: False)
    plain = run(base, shown, chosen, tmp_path / "plain.safetensors")
    for name, module in plain[-1].modules.items():
        found, wanted = (torch.as_tensor(result.up) for result in (recorded[-1].modules[name], module))
        assert torch.allclose(found, wanted, atol=1e-2 * float(wanted.abs().max())), name


def test_gradient_checkpointing_trains_the_same_lora(base: BaseModel, tmp_path: Path) -> None:
    shown = examples(tmp_path, CAPTION)
    results = [
        run(
            base,
            shown,
            settings(repeats=2, gradient_checkpointing=wanted),
            tmp_path / f"{wanted}.safetensors",
        )[-1]
        for wanted in (False, True)
    ]
    for name, module in results[0].modules.items():
        assert torch.allclose(
            torch.as_tensor(results[1].modules[name].up), torch.as_tensor(module.up), atol=1e-5
        )
