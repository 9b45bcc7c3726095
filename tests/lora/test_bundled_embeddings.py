"""Embeddings that a LoRA file brings along are drawn with while a prompt names the LoRA and the embedding."""

from pathlib import Path

import numpy as np
import pytest
import torch
from making import make_project
from safetensors.torch import save_file

from bootstrap.drawing import engine, networks
from bootstrap.errors import UserError
from bootstrap.lora import bundled_embeddings, formats, kohya
from bootstrap.models.family import BaseModel
from bootstrap.planning.extra_networks import Shelf, content_hash
from bootstrap.shots import Shot
from tests.lora.test_merge import random_lora

NAME = "my-style.v2"


def bundle(base: BaseModel, path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """Write a LoRA without effect that brings embeddings along."""
    lora = random_lora(base, 1)
    nothing = {name: torch.zeros_like(module.up) for name, module in lora.modules.items()}
    modules = {n: kohya.LoraModule(m.down, nothing[n], m.alpha) for n, m in lora.modules.items()}
    path.parent.mkdir(exist_ok=True)
    kohya.write(path, modules, {}, torch.float32, others=tensors)
    return path


def vectors(base: BaseModel) -> torch.Tensor:
    width = base.text_encoders[0].config.hidden_size  # type: ignore[union-attr]
    return torch.randn((2, int(width)), generator=torch.Generator().manual_seed(5))


def drawn(base: BaseModel, shelf: Shelf, prompt: str) -> tuple[Shot, np.ndarray]:
    plain = Shot(prompt, "", 7, 3, "DDIM", 3.0, 128, 128, "papertown", base.hash, ())
    [shot] = networks.with_networks(base, shelf, [plain])
    [[drawing]] = engine.draw_batches(base, [shot], networks.open_files(shelf, [shot]), 1)
    return shot, np.asarray(drawing.picture, dtype=np.int16)


@pytest.mark.parametrize("ending", ["clip_l", "string_to_param.*", "emb_params"])
def test_it_is_drawn_as_the_same_embedding_of_its_own(
    papertown: BaseModel, tmp_path: Path, ending: str
) -> None:
    project = make_project(tmp_path)
    path = bundle(
        papertown,
        project.folder / "loras" / "ink.safetensors",
        {f"bundle_emb.{NAME}.{ending}": vectors(papertown)},
    )
    shot, with_it = drawn(papertown, Shelf.of(project), f"woman, {NAME} <lora:ink:1>")
    assert [(use.name, use.sha256) for use in shot.embeddings] == [(NAME, content_hash(path))]
    _, without = drawn(papertown, Shelf.of(project), f"woman, {NAME}")
    assert np.abs(with_it - without).mean() > 1
    (project.folder / "embeddings").mkdir()
    save_file({"emb_params": vectors(papertown)}, project.folder / "embeddings" / f"{NAME}.safetensors")
    _, of_its_own = drawn(papertown, Shelf.of(project), f"woman, {NAME}")
    assert np.abs(with_it - of_its_own).max() == 0


def test_conversion_keeps_it(papertown: BaseModel, tmp_path: Path) -> None:
    from bootstrap.lora import converting

    path = bundle(
        papertown, tmp_path / "a" / "a.safetensors", {f"bundle_emb.{NAME}.clip_l": vectors(papertown)}
    )
    converting.convert(path, tmp_path / "b.safetensors", "kohya")
    [kept] = bundled_embeddings.in_file(tmp_path / "b.safetensors")[NAME]
    assert np.array_equal(kept, vectors(papertown).numpy())
    with pytest.raises(
        UserError, match=f"'bundle_emb.{NAME}.clip_l' is .* for which diffusers' format has no names"
    ):
        converting.convert(path, tmp_path / "c.safetensors", "diffusers")


def test_an_embedding_of_both_encoders_is_xls(small_xl: BaseModel, tmp_path: Path) -> None:
    tensors = {"bundle_emb.a.clip_l": torch.ones(2, 32), "bundle_emb.a.clip_g": torch.ones(2, 64)}
    path = bundle(small_xl, tmp_path / "a.safetensors", tensors)
    assert [part.shape for part in bundled_embeddings.in_file(path)["a"]] == [(2, 32), (2, 64)]
    assert formats.kind_of(path) == "LoRA"


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("bundle_emb.a.clip_l_out", torch.ones(2, 8), "'bundle_emb.a.clip_l_out' is an embedding .* output"),
        ("bundle_emb.a", torch.ones(2, 8), "'bundle_emb.a' is not a tensor of an embedding"),
        ("bundle_emb.a.clip_l", torch.ones(2, 2, 8), "'bundle_emb.a.clip_l' is not a tensor of an embedding"),
        ("bundle_emb.a.clip_l", torch.ones(99, 8), "embedding 'a': it has 99 vectors"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    papertown: BaseModel, tmp_path: Path, name: str, tensor: torch.Tensor, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        formats.read(bundle(papertown, tmp_path / "a.safetensors", {name: tensor}))
