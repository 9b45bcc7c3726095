"""The tagger: right answers become exactly the tags of a caption; other taggers plug in."""

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("resvg_py", reason="drawing Paper Town needs the extra `papertown`")

from bootstrap.errors import UserError
from bootstrap.papertown import data, tagger_making, world
from bootstrap.papertown.tagger import PapertownTagger, TaggerNet
from bootstrap.papertown.tags import ATTRIBUTES
from bootstrap.pictures.tagging import open_tagger


class KnownAnswers(TaggerNet):
    """A network that returns the answers it was built with, whatever the pictures."""

    def __init__(self, answers):
        super().__init__(tagger_making.heads())
        self.answers = answers

    def forward(self, pictures):
        columns = zip(self.heads.values(), self.answers.unbind(dim=1), strict=True)
        rows = [torch.nn.functional.one_hot(column.clamp(min=0), len(options)) for options, column in columns]
        return 20.0 * torch.cat(rows, dim=1)


def test_heads_cover_the_attributes_in_their_order():
    assert tuple(tagger_making.heads()) == ATTRIBUTES


@pytest.mark.parametrize("split", ["train", "accents"])
def test_right_answers_become_exactly_the_tags_of_the_caption(split):
    tagger = PapertownTagger(KnownAnswers(tagger_making.labels(split, 40)))
    read = tagger.read([Image.new("RGB", (32, 32))] * 40)
    for number, scores in enumerate(read):
        assert [score.tag for score in scores] == world.tags(data.scene(split, number))
        assert all(score.score > 0.99 for score in scores)


def test_accuracy_is_1_for_right_answers_and_less_for_wrong_ones():
    truth = [world.attributes(data.scene("train", number)) for number in range(30)]
    tagger = PapertownTagger(KnownAnswers(tagger_making.labels("train", 30)))
    pictures = torch.zeros(30, 3, 128, 128, dtype=torch.uint8)
    assert set(tagger_making.accuracy(tagger, pictures, truth).values()) == {1.0}
    rotated = tagger_making.accuracy(tagger, pictures, truth[1:] + truth[:1])
    assert rotated["figure"] < 1 and rotated["clothes_color"] < 0.5


def test_a_saved_tagger_reads_the_same(tmp_path):
    torch.manual_seed(0)
    tagger = PapertownTagger(TaggerNet(tagger_making.heads()))
    tagger.save(tmp_path / "tagger.safetensors")
    loaded = PapertownTagger.load(tmp_path / "tagger.safetensors")
    pictures = [Image.fromarray(data.picture("train", number)) for number in range(2)]
    assert [s.tag for s in loaded.read(pictures)[0]] == [s.tag for s in tagger.read(pictures)[0]]
    assert tagger.read([]) == []
    assert (tmp_path / "tagger.safetensors").stat().st_size < 4_000_000


def test_a_tagger_file_that_is_not_whole_is_named(tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(UserError, match=r"selected_tags\.csv"):
        open_tagger(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    (tmp_path / "selected_tags.csv").write_text("tag_id,name,category,count\n1,red_apple,0,9\n")
    with pytest.raises(UserError, match="not a usable ONNX model"):
        open_tagger(tmp_path / "model.onnx")


def test_a_wd14_style_tagger_reads_tags(tmp_path):
    """The model scores each tag by the mean of a colour channel."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[1, 2], keepdims=0),
            helper.make_node("Mul", ["means", "scale"], ["scores"]),
        ],
        "means",
        [helper.make_tensor_value_info("pixels", floats, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("scores", floats, ["n", 3])],
        [onnx.numpy_helper.from_array(np.float32([1 / 255]), "scale")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "model.onnx")
    # Blue, green, red: the channels are in BGR order.
    rows = "1,blue_sky,0,9\n2,green_saber,4,9\n3,general,9,9\n"
    (tmp_path / "selected_tags.csv").write_text("tag_id,name,category,count\n" + rows)
    tagger = open_tagger(tmp_path / "model.onnx")
    [scores, nothing] = tagger.read([Image.new("RGB", (16, 16), (255, 200, 250)), Image.new("RGB", (8, 8))])
    assert [score.tag for score in scores] == ["green saber", "blue sky"]
    assert scores[1].score == pytest.approx(250 / 255, abs=0.01)
    assert nothing == []


@pytest.mark.parametrize("name", ["badge", "crown", "medal", "scarf"])
def test_the_bundled_tagger_reads_the_shipped_originals(originals, name):
    with Image.open(originals / f"{name}.png") as picture:
        [seen] = open_tagger(None).read([picture.convert("RGB")])
    caption = (originals / f"{name}.txt").read_text().strip()
    wrong = {score.tag for score in seen} ^ set(caption.split(", "))
    assert len(wrong) <= 2  # one thing mistaken for another, such as the clothes under a scarf
