"""Scores that need a model, here with small embedders."""

import numpy as np
import onnx
import pytest
import rows
import torch
from making import add_drawn, scene, shot
from onnx import TensorProto, helper
from PIL import Image
from transformers import BertConfig, BertModel, CLIPConfig, CLIPModel, ViTConfig, ViTModel

from bootstrap.catalog import candidates
from bootstrap.curation import duplicate_marking, publishing, scoring
from bootstrap.errors import UserError
from bootstrap.pictures.embedding import OnnxEmbedder, TransformersEmbedder, open_embedder
from bootstrap.project import editing
from bootstrap.project.generation import Generation
from bootstrap.tag_scores import TagScore


class Colors:
    """Embeds a picture as its cells' deviations from gray, which is enough to distinguish scenes."""

    name = "colors"

    def embed(self, pictures):
        rows = [
            np.asarray(picture.resize((4, 4), Image.Resampling.BOX), np.float32).ravel() - 127
            for picture in pictures
        ]
        return np.stack([row / np.linalg.norm(row) for row in rows])


class Reader:
    def read(self, pictures):
        return [[TagScore("Woman", 0.9), TagScore("window", 0.8)] for _ in pictures]


@pytest.fixture
def embedded(monkeypatch):
    monkeypatch.setattr(scoring, "open_embedder", lambda project: Colors())
    monkeypatch.setattr(scoring, "open_tagger_of", lambda project: None)


def scored(project, catalog):
    return [candidate.scores for candidate in candidates.candidates(catalog, project.name, state="curated")]


def test_closeness_and_novelty_are_those_of_the_vectors(project, catalog, embedded):
    pictures = [scene(1), Image.blend(scene(0), scene(2), 0.3), scene(3)]
    add_drawn(project, catalog, 1, pictures)
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    reports = []
    scoring.score(Generation(project, catalog, 1), reports.append)
    vectors = Colors().embed([scene(0), *pictures])
    scores = scored(project, catalog)
    for one, expected in zip(scores, vectors[1:] @ vectors[0], strict=True):
        assert one.closeness == pytest.approx(float(expected), abs=1e-5)
        assert one.novelty == pytest.approx(
            1 - float(expected), abs=1e-5
        )  # the dataset is the original alone
        assert 0 < one.quality <= 1 and one.agreement is None
    assert scores[1].closeness > max(scores[0].closeness, scores[2].closeness)
    assert [(one.stage, one.done) for one in reports] == [("score", 3)]
    scoring.score(Generation(project, catalog, 1), reports.append)
    assert len(reports) == 1  # no candidate is scored twice
    features = rows.read(catalog, "feature")
    assert [row.embedder for row in features] == ["colors"] * 3
    assert np.frombuffer(features[0].vector, np.float16) == pytest.approx(vectors[1], abs=1e-3)


def test_a_picture_that_is_gone_gets_no_scores_and_the_others_do(project, catalog, embedded, caplog):
    gone, _ = add_drawn(project, catalog, 1, [scene(1), scene(2)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    (project.folder / f"generation-01/candidates/{gone}.png").unlink()
    scoring.score(Generation(project, catalog, 1))
    assert [scores.closeness is None for scores in scored(project, catalog)] == [True, False]
    assert gone in caplog.text


def test_a_tagger_tells_how_much_of_the_prompt_is_there(project, catalog, monkeypatch):
    monkeypatch.setattr(scoring, "open_embedder", lambda project: None)
    monkeypatch.setattr(scoring, "open_tagger_of", lambda project: Reader())
    add_drawn(project, catalog, 1, [scene(1)], [shot(1, "woman, (red apple:1.2), [window]")])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    scoring.score(Generation(project, catalog, 1))
    (scores,) = scored(project, catalog)
    assert scores.agreement == pytest.approx(2 / 3) and scores.closeness is None
    assert scoring.agreement(shot(1, ""), ["woman"]) is None


def test_shortened_vectors_keep_their_cosines():
    rng = np.random.default_rng(0)
    one, noise = rng.standard_normal((2, 5000)).astype(np.float32)
    for share in (0.0, 0.3, 0.7, 1.0):
        other = share * one + (1 - share) * noise
        pair = [vector / np.linalg.norm(vector) for vector in (one, other)]
        short = [scoring.shortened(vector) for vector in pair]
        assert short[0].shape == (scoring.KEPT_DIMENSIONS,)
        assert float(short[0] @ short[1]) == pytest.approx(float(pair[0] @ pair[1]), abs=0.2)


def test_flawed_candidates_are_put_up_only_when_asked_for(project, catalog):
    ids = add_drawn(project, catalog, 1, [scene(1), Image.new("RGB", (128, 128)), scene(2)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    publishing.publish(Generation(project, catalog, 1))
    hidden = candidates.candidate(catalog, project.name, ids[1])
    assert (hidden.state, hidden.scores.flaw) == ("flawed", "blank")
    assert {candidate.id for candidate in candidates.candidates(catalog, project.name)} == {ids[0], ids[2]}
    text = project.toml.read_text("utf-8")
    project.toml.write_text(text.replace("hide_flawed = true", "hide_flawed = false"), "utf-8")
    publishing.publish(Generation(type(project)(project.workspace, project.name), catalog, 1))
    assert {candidate.id for candidate in candidates.candidates(catalog, project.name)} == set(ids)


def write_model(folder, shape=("n", 3, 8, 8)):
    """Write an encoder that returns the mean of each channel."""
    folder.mkdir(exist_ok=True)
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0)],
        "means",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, ("n", 3))],
        [helper.make_tensor("axes", TensorProto.INT64, (2,), [2, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "model.onnx")


def test_an_onnx_encoder_embeds(tmp_path):
    write_model(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}')
    vectors = OnnxEmbedder(tmp_path).embed(
        [Image.new("RGB", (20, 20), color) for color in ("red", "#666666")]
    )
    assert vectors == pytest.approx(np.array([[1, 0, 0], [3**-0.5] * 3]), abs=1e-6)


TINY = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SEEING = {**TINY, "image_size": 32, "patch_size": 8}


def small_clip():
    text = {**TINY, "vocab_size": 20}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=SEEING, projection_dim=8))


def small_vit():
    return ViTModel(ViTConfig(**SEEING))


@pytest.mark.parametrize(("make", "width"), [(small_clip, 8), (small_vit, 16)])
def test_a_folder_of_transformers_embeds(project, tmp_path, make, width):
    torch.manual_seed(0)
    make().save_pretrained(tmp_path / "encoder")
    editing.set_values(project, [f"curation.embedder={tmp_path / 'encoder'}"])
    embedder = open_embedder(type(project)(project.workspace, project.name))
    pictures = [scene(number) for number in range(20)]  # more than one batch
    vectors = embedder.embed([*pictures, pictures[0].copy()])
    assert vectors.shape == (21, width) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(21), abs=1e-5)
    assert vectors[20] == pytest.approx(vectors[0], abs=1e-5)
    assert np.abs(vectors[1] - vectors[0]).max() > 1e-3
    assert "encoder" in embedder.name


def test_what_reads_no_pictures_is_no_embedder(tmp_path):
    BertModel(BertConfig(**TINY, vocab_size=20)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="does not read pictures"):
        TransformersEmbedder(tmp_path)
    (tmp_path / "config.json").write_text(ViTConfig(**SEEING).to_json_string())
    with pytest.raises(UserError, match="lacks"):
        TransformersEmbedder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="no model that transformers can read"):
        TransformersEmbedder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="no model that transformers can read"):
        TransformersEmbedder(tmp_path)


def test_unusable_embedders_are_refused_in_one_line(project, tmp_path):
    with pytest.raises(UserError, match=r"0 \.onnx files"):
        OnnxEmbedder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a usable ONNX model"):
        OnnxEmbedder(tmp_path)
    write_model(tmp_path, ("n", 8, 8, 3))
    with pytest.raises(UserError, match="expected"):
        OnnxEmbedder(tmp_path)
    editing.set_values(project, ["curation.embedder=none"])
    assert open_embedder(type(project)(project.workspace, project.name)) is None


@pytest.mark.slow
def test_the_base_model_scores_by_default(project, catalog):
    add_drawn(project, catalog, 1, [scene(1), scene(0).resize((96, 96)).resize((128, 128))])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    # The second is a duplicate of the original, but must be scored too.
    rows.change(catalog, "candidate", state="curated")
    scoring.score(Generation(project, catalog, 1))
    other, same = scored(project, catalog)
    assert same.closeness > 0.9 > other.closeness
    assert same.novelty == pytest.approx(1 - same.closeness, abs=1e-5)
