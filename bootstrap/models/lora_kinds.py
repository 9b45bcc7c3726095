"""What a LoRA file was made for, told by names, widths and metadata: kinds beside Stable Diffusion 1.x and XL.

Does not import torch. Some of the kinds have a family here, with the same name.

Names: sd-scripts (networks/lora_*.py), ComfyUI (comfy/lora.py), diffusers (loaders/lora_pipeline.py), OneTrainer,
musubi-tuner. Metadata: sd-scripts (library/sai_model_spec.py, `modelspec.architecture`; library/train_util.py,
`ss_base_model_version`). Widths are those of each model's transformer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LoraKind:
    """A kind of model that a LoRA file was made for."""

    key: str  # for scripts: flux, qwen-image
    title: str  # for messages: FLUX.1, Qwen-Image


SD2 = LoraKind("sd2", "Stable Diffusion 2.x")
UNKNOWN = LoraKind("unknown", "a model that sid does not know")
_KINDS = [
    SD2, UNKNOWN, LoraKind("flux", "FLUX.1"), LoraKind("flux2", "FLUX.2"), LoraKind("chroma", "Chroma"),
    LoraKind("sd3", "Stable Diffusion 3"), LoraKind("z-image", "Z-Image"), LoraKind("lumina2", "Lumina Image 2"),
    LoraKind("qwen-image", "Qwen-Image"), LoraKind("anima", "Anima"), LoraKind("wan", "Wan"),
    LoraKind("hunyuan-video", "HunyuanVideo"), LoraKind("hunyuan-image", "HunyuanImage"),
    LoraKind("hunyuan-dit", "HunyuanDiT"), LoraKind("hidream", "HiDream"), LoraKind("ltx-video", "LTX-Video"),
    LoraKind("pixart", "PixArt"), LoraKind("sana", "Sana"), LoraKind("stable-cascade", "Stable Cascade"),
    LoraKind("aura-flow", "AuraFlow"), LoraKind("cogvideox", "CogVideoX"), LoraKind("mochi", "Mochi"),
    LoraKind("kandinsky", "Kandinsky"), LoraKind("omnigen2", "OmniGen2"),
]  # fmt: skip
KINDS = {kind.key: kind for kind in _KINDS}

# Beginnings of `ss_base_model_version` and `modelspec.architecture`, without - _ . and in lower case; the longest wins.
_IN_METADATA = {
    "sdv2": "sd2", "stablediffusionv2": "sd2", "flux": "flux", "flux1": "flux", "flux2": "flux2",
    "fluxklein": "flux2", "chroma": "chroma", "sd3": "sd3", "stablediffusion3": "sd3", "sd35": "sd3",
    "zimage": "z-image", "lumina": "lumina2", "qwenimage": "qwen-image", "qwen": "qwen-image", "anima": "anima",
    "wan": "wan", "hunyuanvideo": "hunyuan-video", "hunyuanimage": "hunyuan-image", "hunyuandit": "hunyuan-dit",
    "hidream": "hidream", "ltx": "ltx-video", "pixart": "pixart", "sana": "sana", "stablecascade": "stable-cascade",
    "auraflow": "aura-flow", "kandinsky": "kandinsky",
}  # fmt: skip

_BY_WIDTH = "by width"  # the names are Stable Diffusion 3's and Qwen-Image's
# What stands before the path in a transformer, in any dialect; the path's words are then parted by `.` or `_`.
_BEFORE = (
    r"^(?:base_model\.model\.|model\.)?(?:(?:diffusion_model|transformer|model|net|unet|dit)\.|lora_unet_"
    r"|lora_transformer_|lycoris_)?(?:model\.)?"
)
# The first that a name matches decides, so special names come before general ones.
_BY_NAME: list[tuple[str, str]] = [
    (r"^lora_prior_|^prior\.|^lora_prior_unet", "stable-cascade"),
    (_BEFORE + r"(?:double_stream_blocks|single_stream_blocks)[._]", "hidream"),
    (r"distilled_guidance_layer", "chroma"),
    (r"double_stream_modulation|single_stream_modulation|to_qkv_mlp_proj|to_add_out_mlp|[._]ff_context[._]linear_in"
     r"|[._]ff[._]linear_in(?:[._]|$)|single_transformer_blocks[._]\d+[._]attn[._]to_out[._]", "flux2"),
    (_BEFORE + r"joint_blocks[._]", "sd3"),
    (r"txt_in[._]individual_token_refiner|[._](?:img|txt)_mlp[._]fc[12]|\.img_attn_(?:qkv|proj)\."
     r"|context_embedder[._]token_refiner", "hunyuan-video"),
    (_BEFORE + r"(?:double_blocks|single_blocks)[._]", "flux"),
    (_BEFORE + r"transformer_blocks[._]\d+[._](?:img_mlp|txt_mlp|img_mod|txt_mod)[._]", "qwen-image"),
    (_BEFORE + r"single_transformer_blocks[._]", "flux"),
    (_BEFORE + r"(?:llm_adapter[._]|blocks[._]\d+[._](?:adaln_modulation|(?:self|cross)_attn[._](?:[qkv]|output)_proj"
     r"|mlp[._]layer[12]))", "anima"),
    (_BEFORE + r"blocks[._]\d+[._](?:self_attn|cross_attn)[._](?:q|k|v|o|k_img|v_img)(?:[._]|$)", "wan"),
    (_BEFORE + r"blocks[._]\d+[._](?:ffn[._]\d|ffn[._]net|attn[12][._]to_)", "wan"),
    (_BEFORE + r"blocks[._]\d+[._]attn[12][._](?:Wqkv|q_proj|kv_proj|out_proj)", "hunyuan-dit"),
    (_BEFORE + r"(?:layers|noise_refiner|context_refiner)[._]\d+[._](?:attention|feed_forward|adaLN_modulation"
     r"|adaln_modulation)[._]", "z-image"),
    (_BEFORE + r"(?:layers|noise_refiner|context_refiner)[._]\d+[._](?:attn|mlp)[._]", "lumina2"),
    (_BEFORE + r"transformer_blocks[._]\d+[._]attn[12][._]to_", "ltx-video"),
    (_BEFORE + r"transformer_blocks[._]\d+[._]", _BY_WIDTH),
    (r"^lora_te3_|^text_encoder_3\.", "sd3"),
    (_BEFORE + r"layers[._]\d+[._](?:self_attn|mlp[._](?:gate|up|down)_proj)", "unknown"),  # a language model
    (_BEFORE + r"layers[._]\d+[._]", "z-image"),
    (_BEFORE + r"blocks[._]\d+[._]", "wan"),
    (r"^lora_transformer_|^(?:base_model\.model\.)?transformer\.", "unknown"),
]  # fmt: skip
_PATTERNS = [(re.compile(pattern), key) for pattern, key in _BY_NAME]
# Tensors whose columns, after the module's name, are the module's inputs.
_DOWN = (".lora_down.weight", ".lora_A.weight", ".lora_A.default.weight", ".lora.down.weight",
         ".lora_linear_layer.down.weight", ".hada_w1_b", "_lora.down.weight")  # fmt: skip
_PAIRS = {
    ".lora_down.weight": ".lora_up.weight", ".lora_A.weight": ".lora_B.weight",
    ".lora_A.default.weight": ".lora_B.default.weight", ".lora.down.weight": ".lora.up.weight",
}  # fmt: skip
_CROSS = re.compile(r"attn2[._](?:processor[._])?to_[kv]$")
_TEXT = re.compile(r"^(?:lora_te_|lora_te1_|text_encoder\.).*(?:[qkv]_proj|fc1)$")
_SD2_WIDTH = 1024  # of its text encoder; 768 in Stable Diffusion 1.x, 2048 in XL's two


def transformer_kind(shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> LoraKind | None:
    """Return the kind that a LoRA file was made for, if that is not Stable Diffusion 1.x or XL.

    Args:
        shapes: of its tensors, by name.
        metadata: of the file, which decides between models whose modules have the same names.

    Returns:
        None: it is of Stable Diffusion 1.x or XL, or of a kind that is not known here.
    """
    stated = _stated(metadata)
    found = {key for name in shapes if (key := _by_name(name)) is not None}
    if not found:
        return SD2 if stated == "sd2" or _sd2_width(shapes) else None
    by_order = [key for _, key in _BY_NAME if key in found]
    key = by_order[0]
    if key in ("flux", _BY_WIDTH, "ltx-video", "z-image"):
        key = _by_width(key, shapes)
    if stated is not None and stated != "sd2" and key in _ALIKE.get(stated, ()):
        key = stated
    return KINDS[key]


# Models with the same names of modules: the one that the metadata state, and those that names alone give.
_ALIKE = {
    "chroma": ("flux",), "flux2": ("flux", "qwen-image", "sd3"), "flux": ("flux2", "sd3", "qwen-image", "chroma"),
    "sd3": ("qwen-image", "flux"), "qwen-image": ("sd3", "flux"), "lumina2": ("z-image",), "z-image": ("lumina2",),
    "hunyuan-video": ("flux",), "hunyuan-image": ("flux", "hunyuan-video"), "pixart": ("ltx-video", "sd3"),
    "sana": ("ltx-video", "sd3"), "aura-flow": ("sd3", "flux"), "anima": ("wan",), "wan": ("anima",),
    "hunyuan-dit": ("wan",), "kandinsky": ("wan", "sd3"), "hidream": ("flux",),
}  # fmt: skip


def _stated(metadata: Mapping[str, str]) -> str | None:
    """Return the key of the kind that the metadata name."""
    if metadata.get("ss_v2", "").lower() == "true":
        return "sd2"
    for entry in ("modelspec.architecture", "ss_base_model_version"):
        text = re.sub(r"[-_. ]", "", metadata.get(entry, "").lower())
        fitting = [beginning for beginning in _IN_METADATA if text.startswith(beginning)]
        if fitting:
            return _IN_METADATA[max(fitting, key=len)]
    return None


def _by_name(name: str) -> str | None:
    return next((key for pattern, key in _PATTERNS if pattern.search(name)), None)


def _inputs(shapes: Mapping[str, tuple[int, ...]], pattern: str | re.Pattern[str]) -> set[int]:
    """Return the input widths of the modules whose name has a pattern."""
    widths = set()
    for name, shape in shapes.items():
        ending = next((ending for ending in _DOWN if name.endswith(ending)), None)
        if ending is not None and len(shape) > 1 and re.search(pattern, name.removesuffix(ending)):
            widths.add(shape[1])
    return widths


def _by_width(key: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Tell models apart whose modules have the same names, by the width of their transformers."""
    if key == "flux":
        return "flux2" if _is_flux2(shapes) else "flux"
    if key == _BY_WIDTH:
        widths = _inputs(shapes, r"attn[._](?:to_q|add_q_proj|to_k|to_v)$")
        if widths == {3072} and _blocks(shapes, r"(?<!single_)transformer_blocks") == _KLEIN_BLOCKS:
            return "flux2"
        return "qwen-image" if 3072 in widths or not widths else "sd3"
    if key == "z-image":  # 3840 channels, Lumina Image 2 has 2304
        return "lumina2" if 2304 in _inputs(shapes, r"[._](?:qkv|to_[qkv]|out|w[13])$") else "z-image"
    return "pixart" if 1152 in _inputs(shapes, r"attn1[._]to_q$") else key


def _sd2_width(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    return _inputs(shapes, _CROSS) == {_SD2_WIDTH} or _inputs(shapes, _TEXT) == {_SD2_WIDTH}


# Columns and rows of a block's layers, in channels of the transformer. Of FLUX.1 and Chroma, then of FLUX.2.
_FLUX_SIZES = {
    r"[._]linear1$": ((1, 7), (1, 9)),
    r"[._]linear2$": ((5, 1), (4, 1)),
    r"(?:img|txt)_mlp[._]0$": ((1, 4), (1, 6)),
    r"(?:img|txt)_mlp[._]2$": ((4, 1), (3, 1)),
}
_KLEIN_BLOCKS = set(range(5))  # of FLUX.2 klein 4B, which is as wide as FLUX.1 with its 19
_FLUX2_WIDTHS = {4096, 6144}  # of FLUX.2 klein 9B and FLUX.2 dev


def _is_flux2(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a file with the names of FLUX.1's modules was made for FLUX.2."""
    for pattern, (of_first, of_second) in _FLUX_SIZES.items():
        for columns, rows in _sizes(shapes, pattern):
            if columns * of_second[1] == rows * of_second[0]:
                return True
            if columns * of_first[1] == rows * of_first[0]:
                return False
    widths = _inputs(shapes, r"(?:img|txt)_attn[._](?:qkv|proj)$|attn[._]to_q$")
    if widths:
        return not widths.isdisjoint(_FLUX2_WIDTHS) or _blocks(shapes, "double_blocks") == _KLEIN_BLOCKS
    return False


def _sizes(shapes: Mapping[str, tuple[int, ...]], pattern: str) -> set[tuple[int, int]]:
    """Return (columns, rows) of the products whose module's name has a pattern."""
    found = set()
    for name, shape in shapes.items():
        for down, up in _PAIRS.items():
            module = name.removesuffix(down)
            rows = shapes.get(module + up, ())
            if module != name and len(shape) > 1 and rows and re.search(pattern, module):
                found.add((shape[1], rows[0]))
    return found


def _blocks(shapes: Mapping[str, tuple[int, ...]], block: str) -> set[int]:
    """Return the numbers of a kind of block."""
    found = (re.search(block + r"[._](\d{1,4})[._]", name) for name in shapes)
    return {int(match[1]) for match in found if match is not None}
