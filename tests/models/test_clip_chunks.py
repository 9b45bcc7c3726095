"""Tokens, weights and chunks with Stable Diffusion's own tokenizer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from bootstrap import captions
from bootstrap.models.families import clip_chunks
from bootstrap.models.families.clip_chunks import LENGTH, Chunk
from bootstrap.models.families.stable_diffusion import CONFIGS
from bootstrap.prompting.parse import CHUNK_END, attention


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(CONFIGS / "sd15" / "tokenizer")


def chunks_of(tokenizer: CLIPTokenizer, text: str) -> list[Chunk]:
    return clip_chunks.chunks_of(tokenizer, attention(text))


def words(tokenizer: CLIPTokenizer, chunk: Chunk) -> list[str]:
    """Return the words of a chunk, without start token, end token and padding."""
    assert len(chunk.tokens) == len(chunk.weights) == LENGTH + 2
    assert chunk.tokens[0] == tokenizer.bos_token_id and chunk.tokens[-1] == tokenizer.eos_token_id
    inner = [token for token in chunk.tokens[1:-1] if token != tokenizer.eos_token_id]
    return [tokenizer.decode([token]).strip() for token in inner]


def test_each_token_has_its_weight(tokenizer: CLIPTokenizer) -> None:
    [chunk] = chunks_of(tokenizer, "red (apple:1.5), [hat]")
    assert words(tokenizer, chunk) == ["red", "apple", ",", "hat"]
    assert chunk.weights[:6] == [1.0, 1.0, 1.5, 1.0, pytest.approx(1 / 1.1), 1.0]
    assert set(chunk.weights[6:]) == {1.0}


def test_an_empty_prompt_is_one_empty_chunk(tokenizer: CLIPTokenizer) -> None:
    [chunk] = chunks_of(tokenizer, "")
    assert words(tokenizer, chunk) == []


def test_the_76th_token_begins_a_new_chunk(tokenizer: CLIPTokenizer) -> None:
    first, second = chunks_of(tokenizer, "cat " * 80)
    assert words(tokenizer, first) == ["cat"] * 75
    assert words(tokenizer, second) == ["cat"] * 5


def test_a_tag_at_the_end_of_a_chunk_moves_as_a_whole(tokenizer: CLIPTokenizer) -> None:
    first, second = chunks_of(tokenizer, "cat " * 69 + ", " + "(dog:1.2) " * 8)
    assert words(tokenizer, first) == ["cat"] * 69 + [","]
    assert words(tokenizer, second) == ["dog"] * 8
    assert second.weights[1:9] == [1.2] * 8


def test_a_comma_that_is_too_far_back_does_not_count(tokenizer: CLIPTokenizer) -> None:
    first, second = chunks_of(tokenizer, "cat " * 40 + ", " + "dog " * 40)
    assert words(tokenizer, first) == ["cat"] * 40 + [","] + ["dog"] * 34
    assert words(tokenizer, second) == ["dog"] * 6


def test_a_comma_as_the_76th_token_begins_a_new_chunk(tokenizer: CLIPTokenizer) -> None:
    first, second = chunks_of(tokenizer, "cat " * 75 + ", dog")
    assert words(tokenizer, first) == ["cat"] * 75
    assert words(tokenizer, second) == [",", "dog"]


def test_break_ends_a_chunk(tokenizer: CLIPTokenizer) -> None:
    chunks = chunks_of(tokenizer, "cat BREAK dog")
    assert [words(tokenizer, chunk) for chunk in chunks] == [["cat"], ["dog"]]


@given(text=st.text(alphabet="cat dog,():.1BREAK[]\\", max_size=400))
def test_no_token_is_lost(tokenizer: CLIPTokenizer, text: str) -> None:
    spans = [span for span in attention(text) if span != CHUNK_END]
    expected = [
        (token, span.weight)
        for span in spans
        for token in tokenizer(span.text, add_special_tokens=False, verbose=False).input_ids
    ]
    in_chunks = [
        (token, weight)
        for chunk in chunks_of(tokenizer, text)
        for token, weight in zip(chunk.tokens[1:-1], chunk.weights[1:-1], strict=True)
        if token != tokenizer.eos_token_id
    ]
    assert in_chunks == expected


TAGS = st.lists(
    st.sampled_from(["cat", "red dog", "hat (blue)", "a man [AND] 2 women", "long " * 30]), max_size=60
)


@given(tags=TAGS)
def test_a_caption_is_trained_in_the_chunks_in_which_its_prompt_draws_it(
    tokenizer: CLIPTokenizer, tags: list[str]
) -> None:
    caption = captions.join(captions.parse(captions.join(tags)))
    trained = clip_chunks.plain_chunks(tokenizer, caption)
    drawn = chunks_of(tokenizer, captions.as_prompt(captions.parse(caption)))
    assert [chunk.tokens for chunk in trained] == [chunk.tokens for chunk in drawn]
    assert {weight for chunk in trained for weight in chunk.weights} == {1.0}


@pytest.mark.parametrize("caption", ["", "woman", "saber (fate), red apple", "cat " * 75])
def test_a_caption_of_up_to_75_tokens_is_one_chunk(tokenizer: CLIPTokenizer, caption: str) -> None:
    [chunk] = clip_chunks.plain_chunks(tokenizer, caption)
    ids = tokenizer(caption, add_special_tokens=False).input_ids
    assert chunk.tokens == [49406, *ids, *[49407] * (76 - len(ids))]


def test_a_long_caption_is_not_divided_within_a_tag(tokenizer: CLIPTokenizer) -> None:
    caption = ", ".join(["red apple on a very old table"] * 15)  # 8 tokens each with the comma
    first, second = clip_chunks.plain_chunks(tokenizer, caption)
    assert [len(words(tokenizer, chunk)) for chunk in (first, second)] == [72, 47]
    assert words(tokenizer, second)[0] == "red"
