"""LoRA files and embeddings in prompts: they draw what they say, are part of the shot, and wrong ones are reported."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from making import make_project, open_catalog
from making import shot as made_shot
from safetensors.torch import save_file

from bootstrap.catalog import Catalog, generations
from bootstrap.catalog.candidates import candidates
from bootstrap.drawing import engine, infotext, networks
from bootstrap.errors import UserError
from bootstrap.loop import generation
from bootstrap.lora import kohya
from bootstrap.lora.kohya import LoraFile
from bootstrap.lora.merge import merged
from bootstrap.models import specs
from bootstrap.models.families import clip_chunks
from bootstrap.models.family import BaseModel
from bootstrap.planning.extra_networks import Shelf
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.prompting import embeddings, encode, parse
from bootstrap.shots import Shot
from tests.drawing.small import small_trained_project
from tests.lora.test_merge import random_lora


@pytest.fixture
def shelf(tmp_path: Path, papertown: BaseModel) -> Shelf:
    """A project's folder before a workspace's: a LoRA, an embedding of two vectors, and one of another model."""
    shelf = Shelf((tmp_path / "project", tmp_path / "workspace"))
    lora = random_lora(papertown, 5)
    kohya.write(tmp_path / "workspace" / "loras" / "styles" / "ink.safetensors", lora.modules, lora.metadata)
    embedding(tmp_path / "project" / "embeddings" / "easy-negative.safetensors", papertown, 2)
    save_file({"emb_params": torch.ones(1, 3)}, tmp_path / "project" / "embeddings" / "red.safetensors")
    return shelf


def embedding(path: Path, base: BaseModel, vectors: int, seed: int = 0, **changes: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    width = base.text_encoders[0].config.hidden_size
    drawn = torch.randn((vectors, width), generator=torch.Generator().manual_seed(seed)) * 0.05
    save_file({"emb_params": drawn, **changes}, path)


def small(prompt: str, **changes: object) -> Shot:
    return made_shot(7, prompt, **{"loras": (), "width": 64, "height": 64, "steps": 3, **changes})


def drawn(base: BaseModel, shelf: Shelf, *shots: Shot) -> list[np.ndarray]:
    completed = networks.with_networks(base, shelf, shots)
    files = networks.open_files(shelf, completed)
    pictures = {
        drawing.shot.id: drawing.picture
        for batch in engine.draw_batches(base, completed, files, 8)
        for drawing in batch
    }
    return [np.asarray(pictures[shot.id], dtype=np.int16) for shot in completed]


def test_an_embedding_stands_where_its_name_does(papertown: BaseModel, shelf: Shelf) -> None:
    [shot] = networks.with_networks(papertown, shelf, [small("woman, (Easy-Negative:1.2), red apple")])
    assert [use.name for use in shot.embeddings] == ["easy-negative"]  # "red" is of another kind of model
    held = embeddings.held(shot.embeddings[0])
    [chunk] = clip_chunks.chunks_of(papertown.tokenizers[0], parse.attention(shot.prompt), [held])
    place, placed = chunk.embeddings[0]
    assert placed is held
    assert chunk.tokens[place : place + 2] == [0, 0]
    assert chunk.weights[place : place + 3] == [pytest.approx(1.2)] * 2 + [1.0]


def test_vectors_of_the_encoders_own_words_draw_what_the_words_draw(
    papertown: BaseModel, shelf: Shelf
) -> None:
    """An embedding that holds the vectors of `red apple` is `red apple` by another name."""
    ids = papertown.tokenizers[0]("red apple", add_special_tokens=False).input_ids
    vectors = papertown.text_encoders[0].get_input_embeddings().weight[ids].detach().clone()
    path = shelf.folders[0] / "embeddings" / "zzfruit.safetensors"
    save_file({"<zzfruit>": vectors}, path)
    pair = [small("woman, (zzfruit:1.3), window"), small("woman, (red apple:1.3), window")]
    by_embedding, by_words = drawn(papertown, shelf, *pair)
    assert np.abs(by_embedding - by_words).max() <= 2
    negative = [small("woman", negative_prompt=name) for name in ("zzfruit", "red apple", "")]
    by_embedding, by_words, without = drawn(papertown, shelf, *negative)
    assert np.abs(by_embedding - by_words).max() <= 2
    assert np.abs(by_embedding - without).max() > 2


def test_an_embedding_is_never_torn_and_counts_its_vectors(papertown: BaseModel, tmp_path: Path) -> None:
    path = tmp_path / "zzlong.safetensors"
    embedding(path, papertown, 40)
    long = embeddings.hold(path)
    chunks = clip_chunks.chunks_of(papertown.tokenizers[0], parse.attention("zzlong zzlong zzlong"), [long])
    assert [[place for place, _ in chunk.embeddings] for chunk in chunks] == [[1], [1], [1]]
    with torch.no_grad():
        assert (
            encode.encode_prompts(papertown, ["zzlong zzlong"], embeddings=[long]).states.shape[1] == 2 * 77
        )


def test_an_embedding_that_moves_on_with_its_tag_is_still_one(papertown: BaseModel, tmp_path: Path) -> None:
    path = tmp_path / "zzfive.safetensors"
    embedding(path, papertown, 5)
    five = embeddings.hold(path)
    text = "woman " * 64 + ", red zzfive apple apple apple apple apple"
    first, second = clip_chunks.chunks_of(papertown.tokenizers[0], parse.attention(text), [five])
    assert (len(first.embeddings), len(second.embeddings)) == (0, 1)
    place = second.embeddings[0][0]
    assert second.tokens[place : place + 5] == [0] * 5
    assert second.tokens[place - 1] != 0


def test_a_lora_in_the_prompt_is_merged_with_its_strengths(papertown: BaseModel, shelf: Shelf) -> None:
    lora = networks.open_lora(shelf.lora("ink"))
    [shot] = networks.with_networks(papertown, shelf, [small("woman <lora:ink:te=0.5:unet=0.9>")])
    [use] = shot.loras
    assert use.strengths == (0.9, 0.5)
    weights = networks_weights(papertown)
    with merged(papertown, [(lora, use.strengths)]):
        for name, weight in networks_weights(papertown).items():
            strength = 0.9 if name.startswith("lora_unet") else 0.5
            expected = weights[name] + strength * lora.modules[name].delta()
            assert torch.allclose(weight, expected, atol=1e-6), name
    by_file_name, without, at_zero, by_trained_name = drawn(
        papertown, shelf, small("woman <lora:ink:0.9>"), small("woman", loras=()), small("woman <lora:ink:0>"),
        small("woman <lora:random-5:0.9>"),  # by the name that it was trained under
    )  # fmt: skip
    assert np.abs(by_file_name - without).max() > 3
    assert np.abs(without - at_zero).max() <= 2
    assert np.abs(by_file_name - by_trained_name).max() <= 2


def networks_weights(base: BaseModel) -> dict[str, torch.Tensor]:
    from tests.lora.test_merge import weights

    return weights(base)


@pytest.mark.parametrize(
    ("tag", "strengths"),
    [
        ("<lora:ink>", (1.0, 1.0)),
        ("<lora:ink:0.7>", (0.7, 0.7)),
        ("<lora:ink:0.7:0.4>", (0.4, 0.7)),
        ("<lora:ink:unet=0.4>", (0.4, 1.0)),
        ("<lora:ink:0.7:unet=0.4>", (0.4, 0.7)),
        ("<lora:ink:te=-0.2>", (-0.2, -0.2)),
        ("<lyco:ink:1>", (1.0, 1.0)),
    ],
)
def test_strengths_are_read_as_a1111_does(shelf: Shelf, tag: str, strengths: tuple[float, float]) -> None:
    [use] = shelf.lora_uses(f"woman {tag}, hat")
    assert use.strengths == strengths


def test_a_replaced_file_is_another_picture_and_old_shots_keep_their_ids(
    papertown: BaseModel, shelf: Shelf
) -> None:
    plain = small("woman, red apple")
    [same] = networks.with_networks(papertown, shelf, [plain])
    assert same == plain
    shots = [small("woman, easy-negative"), small("woman <lora:ink:0.5>")]
    before = [shot.id for shot in networks.with_networks(papertown, shelf, shots)]
    embedding(shelf.folders[0] / "embeddings" / "easy-negative.safetensors", papertown, 2, seed=1)
    replacement = random_lora(papertown, 6)
    kohya.write(
        shelf.folders[0] / "loras" / "ink.safetensors", replacement.modules, {}
    )  # the project's takes precedence
    after = networks.with_networks(papertown, Shelf(shelf.folders), shots)
    assert not {shot.id for shot in after} & {*before, *(shot.id for shot in shots)}
    for shot in after:
        assert Shot.from_dict(shot.to_dict()) == shot
    te = dataclasses.replace(after[1].loras[0], te_strength=0.0)
    assert dataclasses.replace(after[1], loras=(te,)).id != after[1].id


@given(
    st.text(st.sampled_from("<>:=lora teunxihyp.01-e,()\n"), max_size=40)
    | st.from_regex(r"<lora(:[^>]{0,6}){0,4}>")
)
@settings(deadline=None)
def test_any_prompt_is_looked_up_or_refused_in_one_line(text: str) -> None:
    try:
        uses = Shelf((Path("/nowhere"),)).lora_uses(text)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert uses == ()


@given(
    st.lists(
        st.sampled_from(["zztwo", "(zztwo:1.3)", "red apple", ",", "BREAK", "[", "zztwo zztwo", "zz"]),
        max_size=80,
    )
)
@settings(deadline=None, max_examples=40)
def test_chunks_hold_every_embedding_whole(papertown: BaseModel, pair: list, words: list[str]) -> None:
    text = " ".join(words)
    chunks = clip_chunks.chunks_of(papertown.tokenizers[0], parse.attention(text), pair)
    assert all(len(chunk.tokens) == len(chunk.weights) == 77 for chunk in chunks)
    places = [(chunk, place) for chunk in chunks for place, _ in chunk.embeddings]
    assert len(places) == text.count("zztwo")
    for chunk, place in places:
        assert 1 <= place <= 74
        assert chunk.tokens[place : place + 2] == [0, 0]
    assert sum(chunk.tokens.count(0) for chunk in chunks) == 2 * len(places)


@pytest.fixture(scope="module")
def pair(papertown: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> list:
    """An embedding of two vectors, as a list of one."""
    path = tmp_path_factory.mktemp("pair") / "zztwo.safetensors"
    embedding(path, papertown, 2)
    return [embeddings.hold(path)]


def test_ids_of_shots_without_loras_and_embeddings_stay() -> None:
    """Golden: a change here would make every candidate be drawn again."""
    assert made_shot(1).id == "6cc38baac350871d"
    data = made_shot(1).to_dict()
    del data["embeddings"]
    for lora in data["loras"]:
        del lora["te_strength"], lora["sha256"]
    assert Shot.from_dict(data).id == made_shot(1).id


def test_infotext_has_both_hashes(papertown: BaseModel, shelf: Shelf) -> None:
    shot = small("woman <lora:ink:0.5>", negative_prompt="easy-negative")
    [completed] = networks.with_networks(papertown, shelf, [shot])
    hashes = {"ink": kohya.model_hash(shelf.lora("ink"))}
    read = infotext.read(infotext.write(completed, "papertown", hashes))
    assert read.prompt == "woman <lora:ink:0.5>"
    assert read.fields["Lora hashes"] == f"ink: {hashes['ink'][:12]}"
    assert read.fields["TI hashes"] == f"easy-negative: {completed.embeddings[0].sha256[:12]}"


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ("woman <lora:inc:0.8>", r"<lora:inc>: there is no inc.safetensors .*did you mean ink\?"),
        ("woman <lora:xyzzy:0.8>", r"known: ink"),
        ("woman <lora:ink:strong>", r"write <lora:ink:0.8>, the strength as a number"),
        ("woman <lora:ink:nan>", "as a number"),
        ("woman <lora:ink:1:1:4>", "dyn"),
        ("woman <lora:ink:1:lbw=OUTD>", r"<lora:ink> with lbw=OUTD is not supported"),
        ("woman <lora:ink:1:step=5-15>", "step=5-15"),
        ("woman <lora:ink:1:in=0:mid=1:out=0>", "in=0"),
        ("woman <lora:ink:1e300>", "as a number"),
        ("woman <hypernet:ink:1>", "hypernetworks"),
        ("woman <lokr:ink:1>", r"sid does not know <lokr:\.\.\.>"),
        ("woman <lora:old:1>", r"old\.pt: only \.safetensors"),
        ("woman, old words", r"old\.pt: the prompt names it"),
        ("woman, broken", r"broken\.safetensors: damaged"),
        ("woman <lora:torn>", r"torn\.safetensors: damaged"),
        ("woman <lora:wide>", r"LoRA wide: module"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    papertown: BaseModel, shelf: Shelf, prompt: str, problem: str
) -> None:
    for kind in ("embeddings", "loras"):
        (shelf.folders[0] / kind).mkdir(exist_ok=True)
        (shelf.folders[0] / kind / "old.pt").write_bytes(b"pickle")
    (shelf.folders[0] / "embeddings" / "broken.safetensors").write_bytes(b"no")
    (shelf.folders[0] / "loras" / "torn.safetensors").write_bytes(b"no")
    wide = random_lora(papertown, 1)
    name = next(iter(wide.modules))
    bad = LoraFile({name: kohya.LoraModule(torch.zeros(4, 7), torch.zeros(9, 4), 4.0)}, {})
    kohya.write(shelf.folders[0] / "loras" / "wide.safetensors", bad.modules, {})
    networks.check(papertown.spec, shelf, [("woman, red apple", "")])  # what is not named does not matter
    with pytest.raises(UserError, match=problem) as raised:
        networks.check(papertown.spec, shelf, [(prompt, "")])
    assert "\n" not in str(raised.value)


def test_a_missing_name_is_refused_before_any_training(papertown: BaseModel, tmp_path: Path) -> None:
    project = make_project(tmp_path)
    catalog = open_catalog(project)
    text = project.toml.read_text()
    project.toml.write_text(text + '\n[[recipe]]\nkind = "add"\ntags = ["__places__"]\nsnapshot = 2\n')
    with pytest.raises(UserError, match="wildcard __places__: there is no"):
        generation.prepare(Project(project.workspace, project.name), catalog)
    recipe = '\n[[recipe]]\nkind = "add"\ntags = ["hat <lora:hats:0.5>"]\nsnapshot = 2\n'
    project.toml.write_text(text + recipe)
    changed = Project(project.workspace, project.name)
    with pytest.raises(UserError, match=r"<lora:hats>: there is no hats\.safetensors"):
        generation.prepare(changed, catalog)
    assert generations.latest(catalog, project.name) is None
    lora = random_lora(papertown, 1)
    kohya.write(project.workspace.folder / "loras" / "hats.safetensors", lora.modules, lora.metadata)
    assert generation.prepare(changed, catalog).number == 1


def test_both_of_sdxls_text_encoders_see_their_vectors(small_xl: BaseModel, tmp_path: Path) -> None:
    ids = small_xl.tokenizers[0]("apple tree", add_special_tokens=False).input_ids
    parts = {
        key: encoder.get_input_embeddings().weight[ids].detach().clone()
        for key, encoder in zip(("clip_l", "clip_g"), small_xl.text_encoders, strict=True)
    }
    save_file(parts, tmp_path / "zzxl.safetensors")
    held = embeddings.hold(tmp_path / "zzxl.safetensors")
    vocabulary = specs.vocabulary(small_xl.spec)
    assert vocabulary is not None and held.fits(vocabulary.widths)
    with torch.no_grad():
        named = encode.encode_prompts(small_xl, ["a zzxl, hat"], embeddings=[held])
        words = encode.encode_prompts(small_xl, ["a apple tree, hat"])
    assert torch.allclose(named.states, words.states, atol=1e-5)
    assert torch.allclose(named.pooled, words.pooled, atol=1e-5)


def test_a_generation_draws_with_all_of_it_and_again_only_when_a_file_changes(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    made = small_trained_project(tmp_path, originals)
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "places.txt").write_text("beach\nautumn park\n")
    ink = random_lora(papertown, 5)
    kohya.write(tmp_path / "loras" / "ink.safetensors", ink.modules, ink.metadata)
    embedding(tmp_path / "embeddings" / "zzbad.safetensors", papertown, 2)
    made.toml.write_text(
        made.toml.read_text()
        + '\n[[recipe]]\nkind = "add"\ncount = 3\nsnapshot = 2\nnegative_prompt = "(zzbad:1.2)"\n'
        + 'tags = ["__places__, <lora:ink:0.5>"]\n'
    )
    project = Project(made.workspace, made.name)
    catalog = Catalog(project.workspace.catalog_url)

    def draw() -> dict[str, Path]:
        generation.draw(Generation(project, catalog, 1))
        return {
            candidate.id: project.folder / candidate.path
            for candidate in candidates(catalog, project.name, state=None)
            if candidate.shot.recipe == "add"
        }

    first = draw()
    assert len(first) == 3
    for path in first.values():
        shot = infotext.shot_of(path)
        assert shot.added[0].split(", ")[0] in ("beach", "autumn park")
        assert [use.name for use in shot.loras] == ["badge-g01-000002", "ink"]
        parameters = infotext.read(infotext.text_of(path))
        assert parameters.prompt == f"{shot.prompt} <lora:badge-g01-000002:0.6>"
        assert (
            parameters.fields["Lora hashes"].split(", ")[1]
            == f"ink: {kohya.model_hash(tmp_path / 'loras' / 'ink.safetensors')[:12]}"
        )
        assert parameters.fields["TI hashes"].startswith("zzbad: ")
    assert draw() == first
    embedding(tmp_path / "embeddings" / "zzbad.safetensors", papertown, 2, seed=3)
    assert len(draw()) == 6  # the old ones stay
