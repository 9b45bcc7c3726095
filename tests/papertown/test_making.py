"""Making the models: resumed trainings end with the same weights, and captions become the right tokens."""

import numpy as np
import pytest
import torch
from torch import nn

from bootstrap.papertown import text
from bootstrap.papertown.ink import as_ink
from bootstrap.papertown.optimizer import orthogonal
from bootstrap.papertown.training import Hyperparameters, Training

CAPTIONS = [
    ["woman", "blue blazer", "smile"],
    ["robot", "teal robot"],
    ["no humans", "red apple", "teal wall"],
]


@pytest.fixture(scope="module")
def tokenizer():
    return text.new_tokenizer([", ".join(tags) for tags in CAPTIONS] * 10)


def test_tokens_assembled_from_tags_equal_the_tokenizers(tokenizer):
    tokens = text.CaptionTokens(tokenizer, CAPTIONS)
    for tags in [*CAPTIONS, []]:
        whole = tokenizer(", ".join(tags), padding="max_length", max_length=text.LENGTH).input_ids
        assert tokens(tags).tolist() == whole
    assert len(tokenizer.tokenize("blue blazer")) == 2


def test_unknown_words_have_tokens_too(tokenizer):
    ids = tokenizer("zebra crossing, (gold necklace:1.2) é").input_ids
    assert (
        tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "")
        == "zebracrossing,(goldnecklace:1.2)é"
    )


def test_augmented_tags_are_part_of_the_caption():
    tags = CAPTIONS[2]
    augmented = [text.augmented_tags(tags, np.random.default_rng(seed)) for seed in range(300)]
    assert all(set(remaining) <= set(tags) for remaining in augmented)
    assert {len(remaining) for remaining in augmented} == {0, 1, 2, 3}
    assert augmented == [text.augmented_tags(tags, np.random.default_rng(seed)) for seed in range(300)]


def test_orthogonal_updates_have_singular_values_near_one():
    matrices = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))
    for values in torch.linalg.svdvals(orthogonal(matrices)):
        assert values.min() > 0.5 and values.max() < 1.4
    assert torch.allclose(orthogonal(matrices.mT), orthogonal(matrices).mT, atol=1e-5)


def _train(folder, max_steps):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    hyperparameters = Hyperparameters(samples=64, batch=8, muon_lr=0.02, adam_lr=0.01)
    training = Training(folder, {"net": net}, hyperparameters)

    def loss(step, generator):
        if training.step - first_step >= max_steps:
            raise KeyboardInterrupt
        x = torch.randn(8, 4, generator=generator)
        error = (net(x) - x.sum(dim=1, keepdim=True)).pow(2).mean()
        return error, {"error": error.detach()}

    first_step = training.step
    try:
        training.run(loss, None, report=lambda: None)
    except KeyboardInterrupt:
        training.save()
    return training


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    uninterrupted = _train(tmp_path / "uninterrupted", max_steps=100)
    assert uninterrupted.finished and uninterrupted.step == 8
    assert not _train(tmp_path / "resumed", max_steps=3).finished
    resumed = _train(tmp_path / "resumed", max_steps=100)
    assert resumed.finished
    for expected, average in zip(uninterrupted.averages, resumed.averages, strict=True):
        assert torch.equal(expected, average)


def test_learning_rates_warm_up_stay_constant_and_decay():
    hyperparameters = Hyperparameters(samples=10_000, batch=10, muon_lr=1, adam_lr=1)
    factors = [hyperparameters.lr_factor(step) for step in (0, 300, 599, 800, 999)]
    assert factors[0] < 0.1 and factors[1] == factors[2] == 1 and factors[3] == 0.5 and factors[4] <= 0.01


def test_ink_keeps_shape_and_draws_dark_lines_on_pale_paper():
    picture = torch.full((1, 3, 16, 16), 240, dtype=torch.uint8)
    picture[:, :, :, 8:] = 20
    drawn = as_ink(picture)
    assert drawn.shape == picture.shape and drawn.dtype == torch.uint8
    assert drawn[0, :, :, 7:9].float().mean() < 80 < 140 < drawn[0, :, :, 12:].float().mean()
