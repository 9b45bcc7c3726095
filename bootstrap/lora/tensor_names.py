"""The names of a LoRA file's tensors: a module's name or path, and which of its tensors this is. Does not import torch.

Every dialect has its own endings; here each becomes LyCORIS' name of the same tensor. Sources: sd-scripts
(networks/lora.py), LyCORIS (lycoris/modules), diffusers (loaders/lora_conversion_utils.py), PEFT
(utils/save_and_load.py), ComfyUI (comfy/weight_adapter), OneTrainer (modules/modelSaver).
"""

import re

BUNDLED = "bundle_emb."  # the beginning of embeddings that a file brings along

_LYCORIS = (
    "lora_down.weight", "lora_up.weight", "lora_mid.weight", "alpha", "scalar", "dora_scale", "diff", "diff_b",
    "w_norm", "b_norm", "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "lokr_w1",
    "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "a1.weight", "a2.weight", "b1.weight",
    "b2.weight", "bm.weight", "oft_blocks", "rescale", "weight", "on_input", "oft_R.weight", "oft_R.scaled_oft",
)  # fmt: skip

# PEFT's, which say less about themselves than kohya's: without `alpha`, its value is elsewhere.
_PEFT = {
    ".lora_A.weight": "lora_down.weight",
    ".lora_B.weight": "lora_up.weight",
    ".lora_B.bias": "lora_up.bias",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    ".ia3_l": "ia3_l",
}
_ENDINGS = {f".{part}": part for part in _LYCORIS} | _PEFT | {
    ".lora.down.weight": "lora_down.weight",
    ".lora.up.weight": "lora_up.weight",
    ".lora_linear_layer.down.weight": "lora_down.weight",
    ".lora_linear_layer.up.weight": "lora_up.weight",
    "_lora.down.weight": "lora_down.weight",  # attn1.processor.to_q_lora...
    "_lora.up.weight": "lora_up.weight",
}  # fmt: skip
_LONGEST_FIRST = sorted(_ENDINGS.items(), key=lambda ending: -len(ending[0]))


_OF_ADAPTER = re.compile(r"(\.lora_(?:A|B|magnitude_vector))\.[^.]+\.(weight|bias)$")


def split(name: str) -> tuple[str, str] | None:
    """Return a tensor's module and the tensor's name within it; None: no trainer writes such a name."""
    name = _without_adapter(name)
    for ending, part in _LONGEST_FIRST:
        if name.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)], part
    return None


def needs_config(name: str) -> bool:
    """Whether only PEFT's own files have this name, whose alpha is in a file beside them.

    DiffSynth-Studio names PEFT's adapter within the paths of its model (`...lora_A.default.weight`), and its alpha is
    the rank (DiffusionTrainingModule.add_lora_to_model).
    """
    is_diffsynths = ".default." in name and not name.startswith("base_model.")
    return _without_adapter(name).endswith(tuple(_PEFT)) and not is_diffsynths


def _without_adapter(name: str) -> str:
    """Return a tensor's name without the name that PEFT's user gave the adapter, which only a saved file leaves out."""
    return _OF_ADAPTER.sub(r"\1.\2", name)


def bundled_name(name: str) -> tuple[str, str] | None:
    """Return the embedding that a tensor of a file brings along: its name in prompts, and the tensor within it.

    None: the tensor belongs to no embedding.

    Sources: OneTrainer (modelSaver/*LoRASaver.py), stable-diffusion-webui (extensions-builtin/Lora/networks.py).
    """
    if not name.startswith(BUNDLED):
        return None
    rest = name.removeprefix(BUNDLED)
    before, found, last = rest.rpartition(".string_to_param.")
    if not found:
        before, _, last = rest.rpartition(".")
    return (before, last) if before and last else None
