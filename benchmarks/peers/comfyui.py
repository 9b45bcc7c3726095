"""Does ComfyUI load our LoRA files of the flow-matching families? Its own key map and its own patching of weights.

    python benchmarks/peers/comfyui.py [--checkout COMFYUI]

A LoRA of every module that a training changes is written in each format, for small models with random weights of
Z-Image and FLUX.2 klein. ComfyUI's code reads the files; each of its messages "lora key not loaded" is counted, and
the patched weights are compared with those of our merge, placed by ComfyUI's own map from diffusers' names. Without
--checkout, ComfyUI's release is cloned from GitHub, into a temporary folder that is removed at the end, as is the
environment for its one package that is not here. Prints a table, and writes it to benchmarks/results/comfyui.md.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import logging
import subprocess
import sys
import sysconfig
import tempfile
import types
import venv
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
RELEASE, REPOSITORY = "v0.19.3", "https://github.com/Comfy-Org/ComfyUI"
PINNED = ("comfy-aimdo==0.6.0",)
FORMATS = ("kohya", "comfyui", "diffusers")
ALLOWED = 1e-5
# The sizes of the small models of the tests.
CONFIGS: dict[str, dict[str, Any]] = {
    "z-image": {
        "image_model": "lumina2", "patch_size": 2, "in_channels": 4, "dim": 24, "n_layers": 4, "n_refiner_layers": 1,
        "n_heads": 2, "n_kv_heads": 2, "cap_feat_dim": 32, "axes_dims": [4, 4, 4], "axes_lens": [640, 64, 64],
        "qk_norm": True, "z_image_modulation": True, "ffn_dim_multiplier": 8 / 3, "multiple_of": 1,
    },
    "flux2": {
        "image_model": "flux2", "in_channels": 16, "out_channels": 16, "hidden_size": 32, "context_in_dim": 96,
        "num_heads": 2, "depth": 2, "depth_single_blocks": 2, "mlp_ratio": 3.0, "axes_dim": [4, 4, 4, 4],
        "theta": 2000, "patch_size": 1, "qkv_bias": False, "guidance_embed": False, "txt_ids_dims": [3],
        "global_modulation": True, "mlp_silu_act": True, "ops_bias": False, "vec_in_dim": None,
    },
}  # fmt: skip


def inside_own_environment(checkout: Path | None) -> None:
    """Run this script again in an environment that has what ComfyUI needs."""
    with tempfile.TemporaryDirectory(prefix="sid-peers-") as folder:
        venv.create(Path(folder) / "venv", with_pip=True)
        python = str(Path(folder) / "venv" / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *PINNED], check=True)
        bases = {"base": f"{folder}/venv", "platbase": f"{folder}/venv"}
        borrowed = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        inside = Path(sysconfig.get_path("purelib", vars=bases))
        (inside / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
        if checkout is None:
            checkout = Path(folder) / "ComfyUI"
            cloning = [
                "git",
                "clone",
                "--quiet",
                "--depth",
                "1",
                "--branch",
                RELEASE,
                REPOSITORY,
                str(checkout),
            ]
            subprocess.run(cloning, check=True)
        script = str(Path(__file__).resolve())
        subprocess.run(
            [python, script, "--inside", "--checkout", str(checkout.resolve())], check=True, cwd=folder
        )


class _Unused(types.ModuleType):
    """A module for pictures and sound, which ComfyUI imports and this script does not use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unused(name)


def import_comfyui(checkout: Path) -> None:
    """Make ComfyUI's packages importable, on the CPU."""
    for name in ("torchvision", "torchaudio", "torchvision.transforms", "torchvision.ops"):
        sys.modules[name] = _Unused(name)
        sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.path.insert(0, str(checkout))
    sys.argv = [sys.argv[0], "--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()


def model_of(family: str) -> Any:
    """Return ComfyUI's model of the small one's sizes."""
    import comfy.model_base
    import comfy.supported_models

    if family == "z-image":
        config = comfy.supported_models.ZImage(CONFIGS[family])
        return comfy.model_base.Lumina2(config, device="cpu")
    config = comfy.supported_models.Flux2(CONFIGS[family])
    return comfy.model_base.Flux2(config, device="cpu")


def places_of(family: str) -> dict[str, Any]:
    """Return ComfyUI's own map: where the weight of each of diffusers' modules is in its model."""
    import comfy.utils

    to = comfy.utils.z_image_to_diffusers if family == "z-image" else comfy.utils.flux_to_diffusers
    found: dict[str, Any] = to(CONFIGS[family], output_prefix="diffusion_model.")
    return found


class _Messages(logging.Handler):
    """Keeps what ComfyUI says it did not load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "not loaded" in record.getMessage() or "MISMATCH" in record.getMessage():
            self.found.append(record.getMessage())


def patched(model: Any, path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return the weights that ComfyUI patches with a file, and what it did not load."""
    import comfy.lora
    import comfy.lora_convert
    import comfy.utils

    messages = _Messages()
    logging.getLogger().addHandler(messages)
    tensors = comfy.lora_convert.convert_lora(comfy.utils.load_torch_file(str(path), safe_load=True))
    patches = comfy.lora.load_lora(tensors, comfy.lora.model_lora_keys_unet(model, {}))
    weights: dict[str, torch.Tensor] = {}
    for target, patch in patches.items():
        key, offset = (target, None) if isinstance(target, str) else (target[0], target[1])
        weight = weights.get(key, model.state_dict()[key].float().clone())
        patch_of_one = [(1.0, patch, 1.0, offset, None)]
        weights[key] = comfy.lora.calculate_weight(patch_of_one, weight, key)
    logging.getLogger().removeHandler(messages)
    return weights, messages.found


def write_files(family: str, folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Write a LoRA in each format into a folder; return what ours adds with it, by diffusers' path, by format."""
    from bootstrap.lora import converting, formats, kohya
    from bootstrap.lora.modules import LoraModule
    from bootstrap.lora.targets import target_modules
    from bootstrap.models import loading, specs
    from tests.families import tiny_transformers

    write = {"z-image": tiny_transformers.z_image, "flux2": tiny_transformers.flux2_klein}[family]
    base = loading.hold(specs.find(str(write(folder / "base"))))
    torch.manual_seed(1)
    modules = {
        name: LoraModule(torch.randn(3, layer.weight.shape[1]), torch.randn(layer.weight.shape[0], 3), 2.0)
        for name, layer in target_modules(base).items()
    }
    kohya.write(folder / "kohya.safetensors", modules, {}, torch.float32)
    added = {}
    for to_format in FORMATS:
        path = folder / f"{to_format}.safetensors"
        if to_format != "kohya":
            converting.convert(folder / "kohya.safetensors", path, to_format)
        read = formats.read(path).modules
        added[to_format] = {base.family.module_path(name)[0]: module.delta() for name, module in read.items()}
    return added


def compare(family: str, folder: Path, added: dict[str, dict[str, torch.Tensor]]) -> list[dict[str, Any]]:
    """Return a row for each format of one family."""
    model, places, rows = model_of(family), places_of(family), []
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    before = {key: tensor.float().clone() for key, tensor in model.state_dict().items()}
    for to_format, deltas in added.items():
        wanted: dict[str, torch.Tensor] = {}
        for path, delta in deltas.items():
            place = places[f"{path}.weight"]
            key, offset = (place, None) if isinstance(place, str) else (place[0], place[1])
            weight = wanted.setdefault(key, before[key].clone())
            rows_of = weight if offset is None else weight.narrow(*offset)
            rows_of += delta
        weights, messages = patched(model, folder / f"{to_format}.safetensors")
        largest = max(
            float((weights.get(key, before[key]) - weight).abs().max() / weight.abs().max())
            for key, weight in wanted.items()
        )
        rows.append(
            {
                "family": family, "format": to_format, "modules": len(deltas), "weights": len(weights),
                "wanted": len(wanted), "not loaded": len(messages), "difference": largest,
            }
        )  # fmt: skip
    return rows


def page(rows: list[dict[str, Any]], version: str) -> str:
    """Return the table."""
    lines = [
        "# LoRA files of the flow-matching families in ComfyUI",
        "",
        f"`python benchmarks/peers/comfyui.py`: ComfyUI {version}, its own key map and its own patching of weights.",
        "Difference: the largest of a patched weight to our merge's, relative to the weight's largest value.",
        "",
        "| family | format | modules | weights patched | keys not loaded | difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['family']} | {row['format']} | {row['modules']} | {row['weights']} of {row['wanted']} "
            f"| {row['not loaded']} | {row['difference']:.1e} |"
        )
    beyond = [
        row
        for row in rows
        if row["difference"] > ALLOWED or row["not loaded"] or row["weights"] < row["wanted"]
    ]
    return "\n".join([*lines, "", f"Beyond {ALLOWED:g}, or not loaded: {len(beyond)}."]) + "\n"


def main() -> None:
    """See the module's docstring."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--checkout", type=Path, help="ComfyUI's folder, instead of cloning it")
    arguments.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if not chosen.inside:
        inside_own_environment(chosen.checkout)
        return
    from bootstrap.files import write_text

    with tempfile.TemporaryDirectory() as name:
        folders = {family: Path(name) / family for family in CONFIGS}
        added = {family: write_files(family, folder) for family, folder in folders.items()}
        import_comfyui(chosen.checkout)
        import comfyui_version

        rows = [row for family, folder in folders.items() for row in compare(family, folder, added[family])]
    text = page(rows, comfyui_version.__version__)
    print(text)
    write_text(RESULTS / "comfyui.md", text)


if __name__ == "__main__":
    main()
