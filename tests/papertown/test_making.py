"""Making the models: trainings resume to the same end, and captions become the tokens they should."""

import numpy as np
import pytest
import torch
from torch import nn

from bootstrap.papertown import text
from bootstrap.papertown.ink import as_ink
from bootstrap.papertown.optimizer import orthogonal
from bootstrap.papertown.training import Plan, Training

CAPTIONS = [
    ["woman", "blue blazer", "smile"],
    ["robot", "teal robot"],
    ["no humans", "red apple", "teal wall"],
]


@pytest.fixture(scope="module")
def tokenizer():
    return text.new_tokenizer([", ".join(tags) for tags in CAPTIONS] * 10)


def test_tokens_put_together_from_tags_are_the_tokenizers_own(tokenizer):
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


def test_shown_tags_are_a_part_of_the_caption():
    tags = CAPTIONS[2]
    shown = [text.shown_tags(tags, np.random.default_rng(seed)) for seed in range(300)]
    assert all(set(part) <= set(tags) for part in shown)
    assert {len(part) for part in shown} == {0, 1, 2, 3}
    assert shown == [text.shown_tags(tags, np.random.default_rng(seed)) for seed in range(300)]


def test_orthogonal_updates_have_singular_values_near_one():
    matrices = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))
    for values in torch.linalg.svdvals(orthogonal(matrices)):
        assert values.min() > 0.5 and values.max() < 1.4
    assert torch.allclose(orthogonal(matrices.mT), orthogonal(matrices).mT, atol=1e-5)


def _train(folder, steps_at_once):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    training = Training(folder, {"net": net}, Plan(samples=64, batch=8, muon_lr=0.02, adam_lr=0.01))

    def loss(step, generator):
        if training.step - first >= steps_at_once:
            raise KeyboardInterrupt
        x = torch.randn(8, 4, generator=generator)
        error = (net(x) - x.sum(dim=1, keepdim=True)).pow(2).mean()
        return error, {"error": error.detach()}

    first = training.step
    try:
        training.run(loss, None, report=lambda: None)
    except KeyboardInterrupt:
        training.save()
    return training


def test_a_resumed_training_ends_as_an_undisturbed_one(tmp_path):
    undisturbed = _train(tmp_path / "whole", steps_at_once=100)
    assert undisturbed.finished and undisturbed.step == 8
    assert not _train(tmp_path / "parts", steps_at_once=3).finished
    resumed = _train(tmp_path / "parts", steps_at_once=100)
    assert resumed.finished
    for one, other in zip(undisturbed.averages, resumed.averages, strict=True):
        assert torch.equal(one, other)


def test_learning_rates_rise_stay_and_fall():
    plan = Plan(samples=10_000, batch=10, muon_lr=1, adam_lr=1)
    shares = [plan.lr_share(step) for step in (0, 300, 599, 800, 999)]
    assert shares[0] < 0.1 and shares[1] == shares[2] == 1 and shares[3] == 0.5 and shares[4] <= 0.01


def test_ink_keeps_shape_and_draws_dark_lines_on_pale_paper():
    picture = torch.full((1, 3, 16, 16), 240, dtype=torch.uint8)
    picture[:, :, :, 8:] = 20
    drawn = as_ink(picture)
    assert drawn.shape == picture.shape and drawn.dtype == torch.uint8
    assert drawn[0, :, :, 7:9].float().mean() < 80 < 140 < drawn[0, :, :, 12:].float().mean()
