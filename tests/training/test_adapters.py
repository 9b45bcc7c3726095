"""The LoRA in training computes the same as its file merged into the base model."""

import pytest
import torch

from bootstrap.lora.kohya import LoraFile
from bootstrap.lora.merge import merged
from bootstrap.lora.targets import target_modules
from bootstrap.models import conditioning
from bootstrap.models.family import BaseModel
from bootstrap.prompting import encode
from bootstrap.training.adapters import Size, injected


def predicted(base: BaseModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, base.geometry.latent_channels, 8, 8, generator=generator)
    prompts = encode.encode(base, ["woman, smile", "robot"])
    return conditioning.predict(base, latents, torch.tensor([100, 700]), prompts)


# With a small rank most modules have their LoRA beside, with a large rank all are folded.
@pytest.mark.parametrize("rank", [2, 8, 64])
@pytest.mark.parametrize(
    ("with_text_encoder", "conv"), [(False, None), (True, None), (True, Size(2, 1)), (False, Size(64, 64))]
)
def test_training_computes_what_the_merged_file_draws(
    papertown: BaseModel, rank: int, with_text_encoder: bool, conv: Size | None
) -> None:
    size = Size(rank, rank / 2)
    with torch.no_grad(), injected(papertown, size, with_text_encoder, 3, of_convolutions=conv) as adapters:
        for parameter in adapters.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
        adapters.fold()
        in_training = predicted(papertown)
        modules = {
            name: type(module)(module.down.clone(), module.up.clone(), module.alpha)
            for name, module in adapters.modules().items()
        }
    targets = target_modules(papertown, conv is not None)
    names = [name for name in targets if with_text_encoder or name.startswith("lora_unet")]
    assert sorted(modules) == sorted(names)
    with torch.no_grad():
        without = predicted(papertown)
        with merged(papertown, [(LoraFile(modules, {}), 1.0)]):
            from_file = predicted(papertown)
    assert torch.allclose(in_training, from_file, atol=1e-4)
    assert (in_training - without).abs().max() > 0.01


@pytest.mark.parametrize("rank", [2, 64])
@pytest.mark.parametrize("is_locon", [False, True])
def test_both_ways_have_the_gradient_of_the_merged_weights(
    papertown: BaseModel, rank: int, is_locon: bool
) -> None:
    """The gradient is measured by finite differences along it."""
    size = Size(rank, rank)
    with injected(papertown, size, True, 3, of_convolutions=size if is_locon else None) as adapters:
        for parameter in adapters.parameters():
            parameter.data.copy_(
                0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5))
            )

        def loss() -> torch.Tensor:
            adapters.fold()
            return predicted(papertown).square().mean()

        loss().backward()
        gradients = [parameter.grad for parameter in adapters.parameters()]
        assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
        size = sum(float(gradient.square().sum()) for gradient in gradients if gradient is not None) ** 0.5
        step = 1e-3
        with torch.no_grad():
            ends = []
            for sign in (1, -1):
                for parameter, gradient in zip(adapters.parameters(), gradients, strict=True):
                    parameter.add_(gradient, alpha=sign * step / size)
                ends.append(float(loss()))
                for parameter, gradient in zip(adapters.parameters(), gradients, strict=True):
                    parameter.sub_(gradient, alpha=sign * step / size)
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(size, rel=0.03)


def test_the_base_model_has_its_own_modules_again(papertown: BaseModel) -> None:
    before = [type(module) for module in papertown.denoiser.modules()]
    with pytest.raises(RuntimeError, match="stopped"), injected(papertown, Size(4, 4), True, seed=0):
        raise RuntimeError("stopped")
    assert [type(module) for module in papertown.denoiser.modules()] == before
