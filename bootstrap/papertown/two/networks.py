"""The networks of Paper Town Two's base model: those of Z-Image, made small.

A transformer over the latents of the VAE, two by two to a token, reads them together with the tokens of a caption; the
caption's states come from a small Qwen3, from the layer before the last, as Z-Image takes them.
"""

from __future__ import annotations

from diffusers import FlowMatchEulerDiscreteScheduler, ZImageTransformer2DModel
from tokenizers import pre_tokenizers
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

from bootstrap.papertown.text import PROMPT_WORDS
from bootstrap.papertown.vae import LATENT_CHANNELS

WIDTH = 256  # channels of the transformer
TEXT_WIDTH = 192  # channels of the text encoder
SHIFT = 1.0  # of the schedule's timesteps: see `new_scheduler`
PADDING, TURN, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# Qwen3's template, for a single message, without thinking.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def new_transformer() -> ZImageTransformer2DModel:
    """Return an untrained denoiser with Z-Image's architecture and 7 million weights."""
    return ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=LATENT_CHANNELS,
        dim=WIDTH,
        n_layers=5,
        n_refiner_layers=1,
        n_heads=4,
        n_kv_heads=4,
        cap_feat_dim=TEXT_WIDTH,
        axes_dims=[16, 24, 24],
        axes_lens=[512, 64, 64],
    )


def new_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Return Z-Image's scheduler without a shift.

    Its shift of 3 or 6 is for pictures of 1024 pixels: the fewer the latents, the sooner noise hides a picture, and by
    the rule of Stable Diffusion 3 (the root of the ratio of the sizes) it would be below 1 here.
    """
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=SHIFT, use_dynamic_shifting=False)


def new_text_encoder(tokenizer: Qwen2Tokenizer) -> Qwen3Model:
    """Return an untrained text encoder of three layers; the last one's output is not used, as in Z-Image."""
    return Qwen3Model(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=3 * TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=3,
            num_key_value_heads=3,
            head_dim=64,
            max_position_embeddings=512,
            bos_token_id=None,
            eos_token_id=tokenizer.convert_tokens_to_ids(END),
            pad_token_id=tokenizer.convert_tokens_to_ids(PADDING),
            use_cache=False,
        )
    )


def new_tokenizer(captions: list[str]) -> Qwen2Tokenizer:
    """Return a tokenizer of Qwen's kind, byte pairs learnt from `captions`; each of their words is a single token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    untrained = Qwen2Tokenizer(
        vocab={letter: number for number, letter in enumerate(alphabet)},
        unk_token=None,
        eos_token=END,
        pad_token=PADDING,
        extra_special_tokens=[TURN],
        model_max_length=512,
    )
    tokenizer = untrained.train_new_from_iterator(
        [*captions, *[f"{PROMPT_WORDS}, user\nassistant\n"] * 20],
        vocab_size=1500,
        min_frequency=8,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
