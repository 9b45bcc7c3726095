"""Kohya's module names and diffusers' module paths of Stable Diffusion 1.x, one from the other.

A kohya name is a path with `.` written as `_`, behind a prefix; the words of a path have `_` in them too, so the
way back needs to know the words.
"""

import re

UNET_PREFIX = "lora_unet"
TEXT_ENCODER_PREFIX = "lora_te"
_WORDS = (
    "down_blocks", "up_blocks", "mid_block", "attentions", "resnets", "downsamplers", "upsamplers",
    "transformer_blocks", "attn1", "attn2", "to_q", "to_k", "to_v", "to_out", "ff", "net", "proj_in", "proj_out",
    "proj", "conv_shortcut", "time_emb_proj", "conv_in", "conv_out", "conv1", "conv2", "conv", "time_embedding",
    "linear_1", "linear_2", "text_model", "encoder", "layers", "self_attn", "q_proj", "k_proj", "v_proj", "out_proj",
    "mlp", "fc1", "fc2",
)  # fmt: skip
_WORD = re.compile("|".join([*sorted(_WORDS, key=len, reverse=True), r"\d+"]))


def kohya_name(path: str, text_encoder: bool) -> str:
    """Return kohya's name of a module path such as `mid_block.attentions.0.proj_in`."""
    if not text_encoder:
        return f"{UNET_PREFIX}_{path.replace('.', '_')}"
    # transformers 5.6 and later have no `text_model` in their paths, but every tool expects it in the file.
    full = path if path.startswith("text_model.") else f"text_model.{path}"
    return f"{TEXT_ENCODER_PREFIX}_{full.replace('.', '_')}"


def module_path(name: str) -> tuple[str, bool]:
    """Return the module path of kohya's name, and whether it is of the text encoder.

    Raises:
        ValueError: it is no name of a Stable Diffusion 1.x module.
    """
    text_encoder = name.startswith(f"{TEXT_ENCODER_PREFIX}_")
    prefix = TEXT_ENCODER_PREFIX if text_encoder else UNET_PREFIX
    if not name.startswith(f"{prefix}_"):
        raise ValueError(f"'{name}' begins neither with {UNET_PREFIX}_ nor with {TEXT_ENCODER_PREFIX}_")
    rest, words = name.removeprefix(f"{prefix}_"), []
    while rest:
        word = _WORD.match(rest)
        if word is None or not (len(rest) == word.end() or rest[word.end()] == "_"):
            raise ValueError(
                f"'{name}' has '{rest}' in it, which is no part of a Stable Diffusion 1.x module"
            )
        words.append(word[0])
        rest = rest[word.end() + 1 :]
    return ".".join(words), text_encoder
