"""The training loop on Paper Town: it learns, resumes exactly and leaves the base model unchanged."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from recording import StandIn
from torch import nn

from bootstrap.errors import UserError
from bootstrap.lora import metadata
from bootstrap.models.family import BaseModel
from bootstrap.progress import Progress, silent
from bootstrap.project.settings import TrainingSection
from bootstrap.training import identity, passes, trainer
from bootstrap.training.examples import fitted_size, id_of
from bootstrap.training.identity import Example
from bootstrap.training.optimizer_options import PRODIGY
from bootstrap.training.trainer import EpochResult


def examples(originals: Path) -> list[Example]:
    return [
        Example(
            str(originals / f"{name}.png"), name, (originals / f"{name}.txt").read_text(), repeats, (128, 128)
        )
        for name, repeats in (("badge", 3), ("crown", 1))
    ]


def small(**changes: object) -> TrainingSection:
    values = {
        "repeats": 4,
        "epochs": 3,
        "network_dim": 4,
        "network_alpha": 2,
        "unet_lr": 2e-3,
        "shuffle_caption": True,
    }
    return TrainingSection.model_validate({**values, **changes})


class Stopped(Exception):  # noqa: N818  (no error)
    """Raised to end a training from outside, like a kill."""


def run(
    base: BaseModel, shown: list[Example], settings: TrainingSection, state: Path, stop_at: int = 10**9
) -> list[EpochResult]:
    """Train, silently stop at step `stop_at`, and return the results on the CPU."""
    results: list[EpochResult] = []

    def keep(result: EpochResult) -> None:
        modules = {
            name: type(module)(module.down.cpu().clone(), module.up.cpu().clone(), module.alpha)
            for name, module in result.modules.items()
        }
        results.append(EpochResult(result.epoch, result.steps, result.loss, result.seen, modules))

    def watch(progress: Progress) -> None:
        if progress.done == stop_at:
            raise Stopped

    with suppress(Stopped):
        trainer.train(base, shown, settings, state, state.parent / "latents", keep, watch)
    return results


def same(first: EpochResult, second: EpochResult) -> bool:
    pairs = [(first.modules[name], second.modules[name]) for name in first.modules]
    return (first.epoch, first.steps, first.loss, first.seen) == (
        second.epoch,
        second.steps,
        second.loss,
        second.seen,
    ) and all(torch.equal(a.down, b.down) and torch.equal(a.up, b.up) for a, b in pairs)


@pytest.mark.parametrize("stop_at", [2, 4, 7])
def test_a_killed_training_ends_bit_for_bit_as_an_undisturbed_one(
    papertown: BaseModel, originals: Path, tmp_path: Path, stop_at: int
) -> None:
    shown, settings = examples(originals), small(flip_aug=True)
    whole = run(papertown, shown, settings, tmp_path / "whole.safetensors")
    run(papertown, shown, settings, tmp_path / "state.safetensors", stop_at)
    resumed = run(papertown, shown, settings, tmp_path / "state.safetensors")
    assert [result.epoch for result in whole] == [1, 2, 3]
    assert whole[-1].steps == 12
    assert whole[-1].seen == [9, 3]
    assert all(same(result, whole[result.epoch - 1]) for result in resumed)
    assert resumed[-1].epoch == 3


def test_the_loss_goes_down(papertown: BaseModel, originals: Path, tmp_path: Path) -> None:
    results = run(
        papertown, examples(originals)[:1], small(repeats=20, epochs=2, train_batch_size=4), tmp_path / "s"
    )
    assert results[-1].loss < results[0].loss


def test_the_base_model_is_as_before(papertown: BaseModel, originals: Path, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in papertown.denoiser.state_dict().items()}
    run(papertown, examples(originals), small(epochs=1), tmp_path / "s")
    after = papertown.denoiser.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in papertown.text_encoders[0].parameters())


def test_a_text_encoder_rate_of_zero_leaves_it_out_of_the_lora(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    (result,) = run(papertown, examples(originals), small(epochs=1, text_encoder_lr=0), tmp_path / "s")
    assert all(name.startswith("lora_unet_") for name in result.modules)


def test_a_loss_that_is_no_number_stops_and_names_the_setting(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    settings = small(unet_lr=1.0, text_encoder_lr=1.0, epochs=40)
    weight = papertown.denoiser.conv_out.weight
    kept = weight.detach().clone()
    try:
        weight.data.fill_(float("inf"))
        with pytest.raises(UserError, match=r"training\.unet_lr"):
            trainer.train(
                papertown, examples(originals), settings, tmp_path / "s", tmp_path, lambda _: None, silent
            )
    finally:
        weight.data.copy_(kept)
    assert not (tmp_path / "s").exists()


def test_fp16_without_a_gpu_is_refused(papertown: BaseModel, originals: Path, tmp_path: Path) -> None:
    if papertown.device.type == "cuda":
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="mixed_precision"):
        run(papertown, examples(originals), small(mixed_precision="fp16"), tmp_path / "s")


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ((512, 512), (512, 512)),
        ((768, 512), (640, 448)),
        ((512, 768), (448, 640)),
        ((4000, 500), (1472, 192)),
    ],
)
def test_the_size_keeps_proportions_and_area(picture: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fitted_size(picture, 512, 64) == expected


def test_a_picture_that_cannot_be_read_is_named(papertown: BaseModel, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"cut\.png"):
        run(papertown, [Example(str(tmp_path / "cut.png"), "0", "a", 1, (64, 64))], small(), tmp_path / "s")


def test_gradient_checkpointing_trains_the_same_lora(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    (plain,) = run(papertown, examples(originals), small(epochs=1), tmp_path / "a")
    (saving,) = run(
        papertown, examples(originals), small(epochs=1, gradient_checkpointing=True), tmp_path / "b"
    )
    for name, module in plain.modules.items():
        assert torch.allclose(module.up, saving.modules[name].up, atol=1e-5), name


def test_min_snr_gamma_changes_what_is_learnt(papertown: BaseModel, originals: Path, tmp_path: Path) -> None:
    (plain,) = run(papertown, examples(originals), small(epochs=1), tmp_path / "a")
    (weighted,) = run(papertown, examples(originals), small(epochs=1, min_snr_gamma=5), tmp_path / "b")
    assert weighted.loss < plain.loss  # no weight is above 1


def test_prodigy_resumes_bit_for_bit_too(papertown: BaseModel, originals: Path, tmp_path: Path) -> None:
    pytest.importorskip("prodigyopt")
    settings = small(optimizer="Prodigy", unet_lr=1.0, text_encoder_lr=1.0)
    whole = run(papertown, examples(originals), settings, tmp_path / "whole")
    run(papertown, examples(originals), settings, tmp_path / "state", 6)
    resumed = run(papertown, examples(originals), settings, tmp_path / "state")
    assert [result.epoch for result in resumed] == [2, 3]
    assert all(same(result, whole[result.epoch - 1]) for result in resumed)
    assert whole[-1].modules.keys() == resumed[-1].modules.keys()


def with_regularization(originals: Path) -> list[Example]:
    path = str(originals / "scarf.png")
    return [*examples(originals), Example(path, "scarf", "woman", 1, (128, 128), True)]


def test_regularization_doubles_the_steps_and_its_weight_counts(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    shown = with_regularization(originals)
    (without,) = run(papertown, shown, small(epochs=1, prior_loss_weight=0), tmp_path / "a")
    (whole,) = run(papertown, shown, small(epochs=1), tmp_path / "b")
    assert (without.steps, without.seen) == (8, [3, 1])
    assert without.loss < whole.loss
    name = next(iter(whole.modules))
    assert not torch.equal(whole.modules[name].up, without.modules[name].up)


def test_max_train_steps_ends_a_training_within_the_repeats(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    results = run(papertown, examples(originals), small(epochs=2, max_train_steps=3), tmp_path / "s")
    assert [(result.epoch, result.steps, sum(result.seen)) for result in results] == [(1, 2, 2), (2, 3, 3)]


def test_clip_skip_trains_on_an_earlier_layer(papertown: BaseModel, originals: Path, tmp_path: Path) -> None:
    (usual,) = run(papertown, examples(originals), small(epochs=1), tmp_path / "a")
    (skipped,) = run(papertown, examples(originals), small(epochs=1, clip_skip=2), tmp_path / "b")
    last = max(name for name in usual.modules if name.startswith("lora_te") and name.endswith("fc2"))
    assert usual.modules[last].up.abs().sum() > 0
    assert skipped.modules[last].up.abs().sum() == 0


def test_a_caption_of_too_many_tokens_is_refused(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    long = ", ".join(["red apple"] * 40)
    shown = [Example(str(originals / "badge.png"), "badge", long, 1, (128, 128))]
    with pytest.raises(UserError, match=r"badge\.png.* tokens, training\.max_token_length is 75"):
        run(papertown, shown, small(max_token_length=75), tmp_path / "s")
    assert len(run(papertown, shown, small(epochs=1, max_token_length=150, repeats=1), tmp_path / "s")) == 1


def test_too_little_memory_names_the_settings_that_help(
    papertown: BaseModel, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(papertown.denoiser, "forward", full)
    with pytest.raises(UserError, match=r"lower train_batch_size \(it is 4\), or set gradient_checkpointing"):
        run(papertown, examples(originals), small(train_batch_size=4), tmp_path / "s")


def test_latents_are_encoded_once_and_kept_by_content(
    papertown: BaseModel, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = run(papertown, examples(originals), small(epochs=1), tmp_path / "a")

    def encoded_again(*_: object) -> None:
        raise AssertionError("a known picture was encoded again")

    with monkeypatch.context() as patch:
        patch.setattr("bootstrap.training.latents.encode", encoded_again)
        (again,) = run(papertown, examples(originals), small(epochs=1), tmp_path / "b")
        assert same(first, again)
        with pytest.raises(AssertionError, match="encoded again"):
            run(papertown, with_regularization(originals), small(epochs=1), tmp_path / "c")
    kept = sorted((tmp_path / "latents").iterdir())
    kept[0].write_bytes(b"damaged")
    (mended,) = run(papertown, examples(originals), small(epochs=1), tmp_path / "d")
    assert same(first, mended)


@pytest.mark.parametrize("text_encoder_lr", [0.0, 1e-4])
def test_training_with_recordings_gives_the_lora_of_training_without(
    papertown: BaseModel,
    originals: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text_encoder_lr: float,
) -> None:
    monkeypatch.setattr(trainer, "recorded_on_cpu", lambda *_: False)  # as on a GPU
    settings = small(
        epochs=1, repeats=5, text_encoder_lr=text_encoder_lr, train_batch_size=2, min_snr_gamma=5
    )
    (plain,) = run(papertown, examples(originals), settings, tmp_path / "a")
    recorders: list[StandIn] = []

    class Watched(passes.Passes):
        def __init__(self, plain: passes.Pass, parameters: list[nn.Parameter], _: object) -> None:
            recorders.append(StandIn(parameters))
            super().__init__(plain, parameters, recorders[0])

    monkeypatch.setattr(trainer, "Passes", Watched)
    (recorded,) = run(papertown, examples(originals), settings, tmp_path / "b")
    assert recorders[0].recorded >= 1
    assert_near(plain, recorded)


def assert_near(first: EpochResult, second: EpochResult) -> None:
    """Assert that two LoRAs are equal up to rounding, which AdamW magnifies where gradients are tiny."""
    first_up, second_up = (
        torch.cat([result.modules[name].up.flatten() for name in first.modules]) for result in (first, second)
    )
    assert (first_up - second_up).norm() < 0.003 * first_up.norm()


@pytest.mark.parametrize(
    "changes",
    [
        {"train_batch_size": 4, "min_snr_gamma": 5, "noise_offset": 0.1, "flip_aug": True},
        {"train_batch_size": 3, "shuffle_caption": False},  # rows that share a caption, and uneven parts
        {"train_batch_size": 2, "text_encoder_lr": 0, "caption_dropout_rate": 0.3},
        {"train_batch_size": 2, "conv_dim": 2, "conv_alpha": 1, "clip_skip": 2},
        {"train_batch_size": 1, "max_token_length": 225},
    ],
)
def test_steps_in_parts_on_a_cpu_train_the_lora_of_plain_ones(
    papertown: BaseModel,
    originals: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, object],
) -> None:
    shown, settings = examples(originals), small(epochs=1, **changes)
    if settings.max_token_length > 75:
        shown = [replace(example, caption=", ".join([example.caption] * 4)) for example in shown]
    threads = torch.get_num_threads()
    (recorded,) = run(papertown, shown, settings, tmp_path / "recorded")
    assert not caplog.records  # no recording was abandoned
    assert torch.get_num_threads() == threads
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == threads
    monkeypatch.setattr(trainer, "recorded_on_cpu", lambda *_: False)
    (plain,) = run(papertown, shown, settings, tmp_path / "plain")
    assert_near(plain, recorded)


def of_caption(originals: Path, caption: str) -> list[Example]:
    return [Example(str(originals / "badge.png"), "badge", caption, 2, (128, 128))]


def test_a_long_captions_tags_are_shuffled_whatever_chunks_they_need(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    """The order decides where a chunk ends, and so how many there are; all steps have room for the most."""
    tags = ["apple " * 18] * 7 + ["cat"] * 8  # 149 tokens
    caption = ", ".join(tags)
    lengths = {
        papertown.family.length(papertown, ", ".join(random.Random(seed).sample(tags, len(tags))))
        for seed in range(20)
    }
    assert lengths == {2, 3}
    shown = of_caption(originals, caption)
    results = run(papertown, shown, small(repeats=2, epochs=2, keep_tokens=0), tmp_path / "a")
    assert [result.steps for result in results] == [2, 4]
    # With encodings that are computed once, too.
    frozen = small(repeats=2, epochs=2, keep_tokens=0, text_encoder_lr=0)
    assert len(run(papertown, shown, frozen, tmp_path / "b")) == 2


def test_only_trainings_whose_meaning_has_changed_have_another_id(
    papertown: BaseModel, originals: Path
) -> None:
    """Captions of more than 75 tokens are divided elsewhere, and Prodigy has other options than at first."""

    def ids(caption: str, settings: TrainingSection) -> tuple[str, str]:
        shown = of_caption(originals, caption)
        now = id_of(shown, papertown.spec, papertown.hash, settings)
        return now, identity.training_id(shown, papertown.hash, settings)

    short = ", ".join(["red apple on wooden desk"] * 12)  # 71 tokens, 251 characters
    now, before = ids(short, small())
    assert now == before
    now, before = ids(short + ", teal wall, window", small())
    assert now != before
    prodigy = small(optimizer="Prodigy", unet_lr=1, text_encoder_lr=1)
    now, before = ids("woman", prodigy)
    assert now != before


def test_a_warmup_that_a_grown_dataset_does_not_outlast_is_refused_before_the_first_step(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    settings = small(repeats=4, epochs=2, lr_warmup_steps=7)
    shown = of_caption(originals, "woman")  # 2 repeats, where the settings alone say 4
    with pytest.raises(UserError, match="lr_warmup_steps 7 is not less than the training's 4 steps"):
        run(papertown, shown, settings, tmp_path / "a")


def test_prodigy_trains_within_the_methods_steps(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    """With its authors' options alone, all B@A of these 40 steps together had a size of 0.005."""
    prodigy = small(
        optimizer="Prodigy",
        unet_lr=1,
        text_encoder_lr=1,
        repeats=20,
        epochs=2,
        network_dim=8,
        network_alpha=8,
    )
    caption = (originals / "badge.txt").read_text()
    shown = [replace(of_caption(originals, caption)[0], repeats=20)]
    first, second = (
        sum(
            float((one.up.flatten(1) @ one.down.flatten(1)).square().sum()) for one in result.modules.values()
        )
        ** 0.5
        for result in run(papertown, shown, prodigy, tmp_path / "state")
    )
    assert 0.1 < first < second
    assert second > 1


def test_prodigys_options_stand_in_the_metadata() -> None:
    stated = ",".join(f"{name}={value}" for name, value in PRODIGY.items())
    assert metadata.OPTIMIZERS["Prodigy"] == f"prodigyopt.prodigy.Prodigy({stated})"
