#!/usr/bin/env bash
# transformers 5 with diffusers: a CLIPTextModel LoRA is exported under kohya names without `text_model`.
#
# Versions: transformers 5.23.0, diffusers 0.42.1, peft 0.21.2, torch 2.13.0. Seen on 2026-11-28.
#
# In transformers 5.23.0 the parameter names of CLIPTextModel, the text encoder of Stable Diffusion 1.5, have no
# `text_model` level; those of CLIPTextModelWithProjection have it. kohya files name the layers of both
# `lora_te..._text_model_encoder_layers_...`. diffusers' `convert_state_dict_to_kohya` copies the module path, so
# the same LoRA gets the expected kohya names from one class and names without `text_model_` from the other.
# When diffusers reads the names with `text_model_`, it takes them for both classes.
#
# Expected by a reader: the two classes share their layer names, and the exported names carry `text_model`.
# Output seen:
#   CLIPTextModel exports lora_te1_encoder_layers_0_self_attn_q_proj
#   CLIPTextModel reads lora_te1_text_model_encoder_layers_0_self_attn_q_proj into encoder.layers.0.self_attn.q_proj
#   CLIPTextModelWithProjection exports lora_te1_text_model_encoder_layers_0_self_attn_q_proj
#   CLIPTextModelWithProjection reads lora_te1_text_model_encoder_layers_0_self_attn_q_proj into text_model.encoder.layers.0.self_attn.q_proj

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 \
  accelerate==1.15.0 peft==0.21.2
"$work/venv/bin/python" - <<'PY'
import transformers
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils import convert_state_dict_to_kohya
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
config = CLIPTextConfig(
    vocab_size=50,
    hidden_size=8,
    intermediate_size=8,
    num_hidden_layers=1,
    num_attention_heads=1,
    projection_dim=8,
    bos_token_id=1,
    eos_token_id=2,
)
LORA = LoraConfig(r=2, lora_alpha=2, target_modules=["q_proj", "out_proj"], init_lora_weights=False)
PREFIX = "lora_te1_text_model_"
LAYERS = ("out_proj", "q_proj")

still_there = True
for text_class, prefix, level in (
    (CLIPTextModel, "lora_te1_", ""),
    (CLIPTextModelWithProjection, PREFIX, "text_model."),
):
    text_encoder = inject_adapter_in_model(LORA, text_class(config), adapter_name="default")
    tensors = {f"text_encoder.{key}": value for key, value in get_peft_model_state_dict(text_encoder).items()}
    kohya_file = convert_state_dict_to_kohya(tensors)
    exported = sorted({key.split(".")[0] for key in kohya_file})
    print(f"{text_class.__name__} exports", exported[-1])
    still_there &= exported == [f"{prefix}encoder_layers_0_self_attn_{layer}" for layer in LAYERS]

    kohya_file = {PREFIX + key.removeprefix(prefix): value for key, value in kohya_file.items()}
    kohya_names = sorted({key.split(".")[0] for key in kohya_file})
    read, network_alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(kohya_file)
    fresh = text_class(config)
    StableDiffusionLoraLoaderMixin.load_lora_into_text_encoder(read, network_alphas, fresh, adapter_name="file")
    loaded = sorted(name for name, module in fresh.named_modules() if hasattr(module, "lora_A"))
    print(f"{text_class.__name__} reads", kohya_names[-1], "into", loaded[-1])
    still_there &= loaded == [f"{level}encoder.layers.0.self_attn.{layer}" for layer in LAYERS]
raise SystemExit(0 if still_there else 1)
PY
