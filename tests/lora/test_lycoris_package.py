"""Files that LyCORIS itself writes are merged to what its own modules compute, for every algorithm it has."""

import json
import logging
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from bootstrap.cli import main
from bootstrap.errors import UserError
from bootstrap.lora import formats
from bootstrap.lora.resize import resize
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.family import BaseModel
from tests.lora import layer_outputs
from tests.lora.layer_outputs import Outputs

# LyCORIS 4.1.3 makes the time embedding's layers twice with its own default, by class and by name, and then fails.
TWICE = "TimestepEmbedding"
IA3 = {
    "unet_target_module": [],
    "text_encoder_target_module": [],
    "unet_target_name": [r".*to_k$", r".*to_v$", r".*ff\.net\.2$"],
    "text_encoder_target_name": [r".*k_proj$", r".*v_proj$", r".*mlp\.fc2$"],
    "name_algo_map": {
        name: {"algo": "ia3", "train_on_input": True} for name in (r".*ff\.net\.2$", r".*mlp\.fc2$")
    },
}
# A few layers of each shape, so that most tests need not train all.
SOME = {
    "unet_target_module": [],
    "unet_target_name": [
        r"down_blocks\.0\.attentions\.0\.(norm|proj_in)$", r"conv_in$", r"time_embedding\.linear_1$",
        r"down_blocks\.0\.attentions\.0\.transformer_blocks\.0\.(norm2|attn1\.to_q|attn2\.to_k|ff\.net\.2)$",
        r"down_blocks\.1\.resnets\.0\.(norm1|conv1|conv_shortcut|time_emb_proj)$",
    ],
    "text_encoder_target_module": [],
    "text_encoder_target_name": [r".*layers\.0\.(mlp\.fc1|self_attn\.k_proj)$"],
}  # fmt: skip
NOT_LINEAR = {"dora", "rescaled"}  # strength follows other tools' rule there, not LyCORIS'
CASES: dict[str, dict[str, Any]] = {
    "locon": {"algo": "locon"},
    "locon-tucker": {"algo": "locon", "use_tucker": True},
    "locon-rs": {"algo": "locon", "rs_lora": True},
    "locon-scalar": {"algo": "locon", "use_scalar": True},
    "locon-dora": {"algo": "locon", "dora_wd": True},
    "locon-dora-columns": {"algo": "locon", "dora_wd": True, "wd_on_out": False},
    "loha": {"algo": "loha"},
    "loha-tucker": {"algo": "loha", "use_tucker": True},
    "loha-dora": {"algo": "loha", "dora_wd": True},
    "lokr": {"algo": "lokr", "factor": 4},
    "lokr-both-tucker": {"algo": "lokr", "factor": 4, "use_tucker": True, "decompose_both": True},
    "lokr-full": {"algo": "lokr", "factor": 4, "full_matrix": True},
    "lokr-dora-columns": {"algo": "lokr", "factor": 2, "dora_wd": True, "wd_on_out": False},
    "full": {"algo": "full"},
    "glora": {"algo": "glora"},
    "glora-rs": {"algo": "glora", "rs_lora": True},
    "ia3": {"algo": "ia3"},
    "oft": {"algo": "diag-oft"},
    "oft-rescaled": {"algo": "diag-oft", "rescaled": True},
    "oft-constraint": {"algo": "diag-oft", "constraint": 0.01},
    "boft": {"algo": "boft"},
    "boft-rescaled": {"algo": "boft", "rescaled": True},
}


def kohya_name(name: str) -> str:
    """Return the name that sid has for a module of LyCORIS, which knows no `text_model` with transformers 5.6."""
    return SD1.kohya_name(*SD1.module_path(name))


def written(base: BaseModel, path: Path, case: str, strength: float = 1.0, whole: bool = False) -> Outputs:
    """Let LyCORIS write a file of random numbers; return what its own modules compute at a strength.

    Args:
        whole: train all layers of LyCORIS' default preset; otherwise some.
    """
    logging.getLogger("LyCORIS").setLevel(logging.ERROR)
    from lycoris import kohya as lycoris_kohya
    from lycoris.config import PRESET

    arguments = dict(CASES[case])
    with pytest.MonkeyPatch.context() as patch:
        classes = [name for name in PRESET["full"]["unet_target_module"] if name != TWICE]
        chosen = {"unet_target_module": classes} if whole else IA3 if case == "ia3" else SOME
        patch.setitem(PRESET, "full", {**PRESET["full"], "name_algo_map": {}, **chosen})
        torch.manual_seed(0)
        denoiser, encoders = deepcopy(base.denoiser), deepcopy(base.text_encoders)
        network = lycoris_kohya.create_network(
            strength,
            4,
            2.0,
            None,
            encoders,
            denoiser,
            conv_dim=4,
            conv_alpha=2,
            train_norm="True",
            **arguments,
        )
    network.apply_to(encoders, denoiser, True, True)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn_like(parameter)
            if name.endswith("dora_scale"):
                parameter.mul_(1 + 0.2 * noise.abs())
            elif name.endswith(("rescale", ".weight", ".bias")) and case in (
                "full",
                "oft-rescaled",
                "boft-rescaled",
            ):
                parameter.add_(0.1 * noise)
            else:
                size = 0.4 if "hada" in name else 0.1  # a LoHa multiplies up to six of them
                parameter.copy_(0.7 + 0.01 * noise if name.endswith("scalar") else size * noise)
    network.eval()
    noted = {
        "ss_network_module": "lycoris.kohya",
        "ss_network_args": json.dumps({k: str(v) for k, v in arguments.items()}),
    }
    network.save_weights(str(path), None, noted)
    return layer_outputs.outputs(base, {kohya_name(module.lora_name): module for module in network.loras})


@pytest.mark.parametrize("case", CASES)
def test_merging_computes_what_lycoris_computes(papertown: BaseModel, tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.safetensors"
    expected = written(papertown, path, case)
    layer_outputs.assert_same(papertown, formats.read(path), 1.0, expected)
    converted = tmp_path / "b.safetensors"
    result = CliRunner().invoke(main.app, ["lora", "convert", str(path), str(converted), "--to", "kohya"])
    assert result.exit_code == 0, result.output
    layer_outputs.assert_same(papertown, formats.read(converted), 1.0, expected)


@pytest.mark.parametrize("case", [case for case in CASES if not NOT_LINEAR & set(case.split("-"))])
def test_a_strength_is_lycoris_own(papertown: BaseModel, tmp_path: Path, case: str) -> None:
    expected = written(papertown, tmp_path / "a.safetensors", case, strength=0.6)
    layer_outputs.assert_same(papertown, formats.read(tmp_path / "a.safetensors"), 0.6, expected)


@pytest.mark.parametrize("case", ["locon-dora", "locon-dora-columns", "oft-rescaled", "boft-rescaled"])
def test_otherwise_a_strength_is_a_part_of_the_way(papertown: BaseModel, tmp_path: Path, case: str) -> None:
    """ComfyUI's rule: at half the strength, a weight is half-way between the base model's and the trained one."""
    expected = written(papertown, tmp_path / "a.safetensors", case)
    every = layer_outputs.layers(papertown)
    half = 0.0 if case == "boft-rescaled" else 0.5  # BOFT turns stage by stage, so only its ends are compared
    with torch.no_grad():
        between = {
            name: (given, (1 - half) * every[name](given) + half * wanted)
            for name, (given, wanted) in expected.items()
        }
    lora = formats.read(tmp_path / "a.safetensors")
    if half:
        layer_outputs.assert_same(papertown, lora, half, between)
    else:
        for name, change in lora.changes.items():
            weight = every[name].weight.detach()
            assert torch.allclose(change.changed(weight, 0.0), weight, atol=1e-6)


def test_the_default_preset_changes_the_layers_outside_of_blocks_too(
    papertown: BaseModel, tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    expected = written(papertown, path, "locon", whole=True)
    names = set(expected)
    layer_outputs.assert_same(papertown, formats.read(path), 1.0, expected)
    assert {"lora_unet_conv_in", "lora_unet_conv_out", "lora_unet_time_embedding_linear_1"} <= names
    assert any(name.endswith("_norm1") for name in names)
    result = CliRunner().invoke(main.app, ["lora", "inspect", str(path), "--base", "papertown"])
    assert f"{len(names)} of {len(names)} modules fit" in result.output
    assert "kind: LoRA, norm\n" in result.output


def test_resize_keeps_norms_and_refuses_what_has_no_rank(papertown: BaseModel, tmp_path: Path) -> None:
    written(papertown, tmp_path / "a.safetensors", "locon")
    whole = formats.read(tmp_path / "a.safetensors")
    resized = resize(whole, 2).lora
    assert resized.changes == whole.changes and resized.changes
    written(papertown, tmp_path / "b.safetensors", "glora")
    with pytest.raises(UserError, match=r"'lora_.*is a GLoRA, which cannot be resized"):
        resize(formats.read(tmp_path / "b.safetensors"), 2)


def test_a_change_is_refused_by_diffusers_format_by_name(papertown: BaseModel, tmp_path: Path) -> None:
    written(papertown, tmp_path / "a.safetensors", "glora")
    with pytest.raises(UserError, match=r"'lora_.*is a (GLoRA|norm), for which"):
        formats.write_diffusers(tmp_path / "b.safetensors", formats.read(tmp_path / "a.safetensors"))
