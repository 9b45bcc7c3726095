"""The tokenizer and text encoder of Paper Town's base models, and the captions that they are trained on."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

WIDTH = 128
LENGTH = 77
# Words of people's prompts that occur in no caption of the world; each becomes a single token too.
PROMPT_WORDS = (
    "best quality, worst quality, low quality, blurry, text, watermark, cartoon, photo, picture, "
    "drawing, ink, drawing on paper, flat colors, a person with a hat and glasses in the room, wearing, "
    "standing, sitting, running, looking at viewer, from side, from behind, close up, "
    "from afar, necklace, tree, house, cat, dog"
)
_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def new_tokenizer(captions: list[str]) -> CLIPTokenizer:
    """Return a CLIP tokenizer with byte pairs learnt from `captions`; each of their words becomes a single token."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    pairs = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    pairs.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pairs.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_SPLIT), behavior="removed", invert=True), byte_level]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        min_frequency=8,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    pairs.train_from_iterator(captions + [PROMPT_WORDS] * 20, trainer)
    model = json.loads(pairs.to_str())["model"]
    vocabulary = model["vocab"]
    for token in [f"{letter}</w>" for letter in alphabet] + ["<|startoftext|>", "<|endoftext|>"]:
        vocabulary.setdefault(token, len(vocabulary))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    with tempfile.TemporaryDirectory() as folder:
        words, rules = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        words.write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
        rules.write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
        return CLIPTokenizer(str(words), str(rules), model_max_length=LENGTH)


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return an untrained text encoder: three layers, WIDTH channels."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=2,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


class CaptionTokens:
    """Captions as token ids, assembled from the ids of their tags: tokenizing each caption is too slow for a GPU."""

    def __init__(self, tokenizer: CLIPTokenizer, tag_lists: list[list[str]]) -> None:
        known = sorted({tag for tags in tag_lists for tag in tags})
        self._ids = {tag: tokenizer(tag, add_special_tokens=False).input_ids for tag in known}
        self._comma = tokenizer(",", add_special_tokens=False).input_ids
        self._first, self._last = tokenizer.bos_token_id, tokenizer.eos_token_id
        self._padding = tokenizer.pad_token_id

    def __call__(self, tags: list[str]) -> np.ndarray:
        """Return the tokenizer's ids of `", ".join(tags)`: (LENGTH,), int64, padded, truncated if too long."""
        ids = [self._first]
        for number, tag in enumerate(tags):
            ids += (self._comma if number else []) + self._ids[tag]
        ids = [*ids[: LENGTH - 1], self._last]
        return np.array(ids + [self._padding] * (LENGTH - len(ids)))


def augmented_tags(tags: list[str], rng: np.random.Generator) -> list[str]:
    """Return `tags` as a training step uses them: some are dropped, the rest shuffled; the first usually stays first.

    The dropout rate differs from caption to caption. Most captions are nearly complete, so that the model learns
    that what a caption does not name is absent; some have two or three tags, so that short prompts work too; a
    tenth are empty, for classifier-free guidance.
    """
    if rng.random() < 0.1:
        return []
    dropout_rate = rng.random() ** 3
    remaining = [tag for tag in tags if rng.random() >= dropout_rate]
    if remaining and rng.random() < 0.7:
        rest = remaining[1:]
        rng.shuffle(rest)
        return [remaining[0], *rest]
    rng.shuffle(remaining)
    return remaining
