"""Loading base models: a user's SD1.5 checkpoint as a single file or a folder, without any network."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from bootstrap.catalog import Catalog
from bootstrap.errors import UserError
from bootstrap.lora import formats
from bootstrap.models import loading, specs
from bootstrap.models.families import stable_diffusion
from bootstrap.project.projects import Workspace, create
from tests.sd_checkpoint import small_sd15, unet_name, vae_name

RECIPES = """
[[recipe]]
kind = "vary"
count = 2
snapshot = 1
"""


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small checkpoint; configurations of its size replace the shipped ones."""
    path, configs = small_sd15(tmp_path, stable_diffusion.CONFIGS / "sd15")
    (tmp_path / "shipped").mkdir()
    configs.rename(tmp_path / "shipped" / "sd15")
    monkeypatch.setattr(stable_diffusion, "CONFIGS", tmp_path / "shipped")
    yield path
    loading.release()


def test_a_single_file_checkpoint_is_trained_and_draws_candidates(
    checkpoint: Path, originals: Path, tmp_path: Path
) -> None:
    from bootstrap.loop import generation

    project = create(
        Workspace(tmp_path / "w"),
        "own",
        originals / "badge.png",
        "woman, red apple",
        str(checkpoint),
        RECIPES,
    )
    text = project.toml.read_text()
    for key, value in (("repeats", 2), ("epochs", 1), ("steps", 2), ("network_dim", 4)):
        old = next(line for line in text.splitlines() if line.startswith(f"{key} = "))
        text = text.replace(old, f"{key} = {value}")
    project.toml.write_text(text)
    catalog = Catalog(project.workspace.catalog_url)
    begun = generation.prepare(project, catalog)
    generation.train(begun)
    generation.draw(begun)
    generation.curate(begun)
    summary = generation.publish(begun)
    assert summary.drawn == 2
    assert loading.hold(project.base_model).prediction_type == "epsilon"
    (snapshot,) = begun.folder.glob("training-*/*.safetensors")
    metadata = formats.read(snapshot).metadata
    assert metadata["ss_sd_model_name"] == checkpoint.name
    content = checkpoint.read_bytes()
    assert metadata["ss_new_sd_model_hash"] == sha256(content).hexdigest()
    # AUTOMATIC1111's first hash.
    assert metadata["ss_sd_model_hash"] == sha256(content[0x100000:0x110000]).hexdigest()[:8]


def test_every_loaded_weight_equals_the_checkpoints(checkpoint: Path) -> None:
    from safetensors.torch import load_file

    base = loading.hold(specs.find(str(checkpoint)))
    in_file = load_file(checkpoint)
    for name, tensor in base.denoiser.state_dict().items():
        assert torch.equal(tensor, in_file[unet_name(name)].float()), name
    for name, tensor in base.vae.state_dict().items():
        assert torch.equal(tensor.flatten(), in_file[vae_name(name, 4)].float().flatten()), name
    for name, tensor in base.text_encoders[0].state_dict().items():
        stored = in_file[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"]
        assert torch.equal(tensor, stored.float()), name


def test_the_shipped_configuration_is_that_of_sd15() -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(
            json.loads((stable_diffusion.CONFIGS / "sd15" / "unet" / "config.json").read_text())
        )
    assert round(sum(parameter.numel() for parameter in unet.parameters()) / 1e6, 1) == 859.5


def test_the_shipped_tokenizer_is_clips() -> None:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(
        stable_diffusion.CONFIGS / "sd15" / "tokenizer", local_files_only=True
    )
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_an_incomplete_file_is_refused_in_one_line(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"cond_stage_model.transformer.x": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"other\.safetensors") as refused:
        loading.hold(specs.find(str(tmp_path / "other.safetensors")))
    assert "\n" not in str(refused.value)


def test_the_embedded_model_is_held_once(papertown: loading.BaseModel) -> None:
    assert loading.hold(specs.find("papertown")) is loading.hold(papertown.spec)


def test_a_users_offline_mode_is_respected_and_a_missing_hub_model_is_refused(tmp_path: Path) -> None:
    code = """
import sys
from bootstrap.errors import UserError
from bootstrap.models import loading, specs
loading.hold(specs.find("papertown"))
try:
    loading.hold(specs.find("someone/some-model"))
except UserError as error:
    print(error)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    [line] = process.stdout.splitlines()
    assert line.startswith("base model someone/some-model: it is missing from the cache, or incomplete there")
    assert "HF_HUB_OFFLINE" in line
