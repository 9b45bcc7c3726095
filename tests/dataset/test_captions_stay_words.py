"""Captions are words at every door, and the same words on their way through the loop."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from making import add_published, make_project, open_catalog, shot
from sid_command import in_this_process

from bootstrap import captions
from bootstrap.catalog import candidates, picks, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.dataset import class_pictures, entries, exporting, growth
from bootstrap.errors import UserError
from bootstrap.models.family import Geometry
from bootstrap.planning.expand import DrawnWith, expand
from bootstrap.project.projects import Project, Workspace
from bootstrap.training.examples import examples_of

SIGNS = [*"ab ()[]{}<>|:;_-+*^\\/'\"$%#@!?.,1", "é", "帽", "，", "AND", "BREAK", ":1.2", "lora:"]
CAPTIONS = st.lists(st.sampled_from(SIGNS), min_size=1, max_size=14).map("".join)


def words_of(text: str) -> list[str]:
    try:
        return captions.read(f"x{text}")
    except ValueError:
        return captions.without_syntax(f"x{text}")


@given(st.lists(CAPTIONS, min_size=12, max_size=12, unique=True))
# Shrinking would take minutes, and each caption is small as it is.
@settings(
    max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow]
)
def test_a_caption_stays_the_same_words_until_the_next_training(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("words")
    named = list(map(words_of, texts))
    made = make_project(folder, caption=captions.join(named[0]))
    assert made.settings.project.tags == named[0]
    prompts = {drawn.prompt for drawn in expand(made.settings, WITH) if drawn.recipe == "vary"}
    assert [captions.of_prompt(prompt) for prompt in prompts] == [named[0]]

    catalog = open_catalog(made)
    shots = [shot(number, captions.as_prompt(words)) for number, words in enumerate(named)]
    ids = add_published(made, catalog, 1, len(shots), shots)
    verdicts.decide(catalog, made.name, ids, Verdict.ACCEPT, "tester")
    growth.grow(made, catalog)
    growth.recaption(
        made, catalog, {pick.candidate_id: pick.caption for pick in picks.picks(catalog, made.name)}
    )

    def grown() -> list[list[str]]:
        return [captions.parse(entry.caption) for entry in entries.of_project(made, catalog)]

    assert grown() == [named[0], *named]
    geometry = Geometry(resolution=128, size_step=8, latent_factor=8, latent_channels=4)
    assert [
        captions.parse(example.caption) for example in examples_of(made, catalog, geometry, [])
    ] == grown()
    exporting.export(made, catalog, "kohya", folder / "kohya")
    exporting.export(made, catalog, "imagefolder", folder / "imagefolder")
    lines = (folder / "imagefolder" / "train" / "metadata.jsonl").read_text("utf-8").splitlines()
    assert [captions.parse(json.loads(line)["text"]) for line in lines] == grown()
    # What another project reads as its class pictures.
    (exported,) = {path.parent for path in (folder / "kohya").rglob(f"{ids[0]}.png")}
    made.toml.write_text(
        re.sub(r"(?m)^# class_tokens = .*", f'reg_data_dir = "{exported}"', made.toml.read_text())
    )
    read = class_pictures.in_folder(made.workspace.project(made.name))
    read_words = {picture.path.stem: captions.parse(picture.caption) for picture in read}
    assert [read_words[candidate_id] for candidate_id in ids] == named


WITH = DrawnWith("papertown", "0" * 64, "t" * 16, "lora", 1, 128, 128)
REFUSED = {
    "woman, (red apple:1.2)": "woman, red apple",
    "woman, <lora:ink:0.5>, hat": "woman, hat",
    "woman, [hat:crown:0.5]": "woman, crown",
    "woman, [hat|crown]": "woman, hat crown",
    "woman BREAK hat": "woman, hat",
    "woman AND hat": "woman, hat",
    "woman, {a|b}": "woman, a b",
    "woman, __hats__": "woman, hats",
}


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Project, str]:
    made = make_project(tmp_path)
    catalog = open_catalog(made)
    pick, _ = add_published(made, catalog, 1, 2)
    verdicts.decide(catalog, made.name, [pick], Verdict.ACCEPT, "tester")
    growth.grow(made, catalog)
    return made, pick


def test_prompt_syntax_is_refused_where_a_caption_is_given(
    grown: tuple[Project, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, pick = grown
    catalog = open_catalog(made)
    candidate = next(one.id for one in candidates.candidates(catalog, made.name) if one.id != pick)
    sid = in_this_process(monkeypatch, capsys)
    monkeypatch.setenv("SID_WORKSPACE", str(made.workspace.folder))
    image = str(made.original)
    before = made.toml.read_text()
    for text, words in REFUSED.items():
        for arguments in (
            ("new", "other", "--image", image, "--caption", text),
            ("set", made.name, f"project.caption={text}"),
            ("caption", made.name, candidate, text),
            ("retag", made.name, "--add", text),
            ("retag", made.name, "--rename", f"woman={text}"),
        ):
            code, _, err = sid(*arguments)
            assert code == 2 and "has prompt syntax" in err and f"write '{words}'" in err, (arguments, err)
        with pytest.raises(UserError, match=f"pick '{pick}': .* has prompt syntax"):
            growth.recaption(made, catalog, {pick: text})
    assert made.workspace.project_names() == [made.name] and made.toml.read_text() == before


def test_escaped_brackets_and_full_width_commas_are_read_as_words(
    grown: tuple[Project, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, pick = grown
    sid = in_this_process(monkeypatch, capsys)
    monkeypatch.setenv("SID_WORKSPACE", str(made.workspace.folder))
    spelled, words = r"woman，zoro \(one piece\)、hat", ["woman", "zoro (one piece)", "hat"]
    assert sid("new", "other", "--image", str(made.original), "--caption", spelled)[0] == 0
    assert Workspace(made.workspace.folder).project("other").settings.project.tags == words
    catalog = open_catalog(made)

    def caption() -> str:
        return next(one.caption for one in picks.picks(catalog, made.name) if one.candidate_id == pick)

    growth.recaption(made, catalog, {pick: spelled})
    assert caption() == captions.join(words)
    assert sid("retag", made.name, "--rename", r"zoro \(one piece\)=saber \(fate\)")[0] == 0
    assert caption() == "woman, saber (fate), hat"
    assert sid("retag", made.name, "--remove", r"saber \(fate\)", "--having", "hat")[0] == 0
    assert caption() == "woman, hat"


def test_recipes_name_the_tags_of_a_caption_in_either_spelling(tmp_path: Path) -> None:
    made = make_project(tmp_path, caption=r"woman, zoro \(one piece\)")
    made.toml.write_text(
        "[project]\ncaption = 'woman, zoro \\(one piece\\)'\n"
        "[[recipe]]\nkind = \"eliminate\"\ntags = ['zoro \\(one piece\\)']\ncount = 1\n"
        '[[recipe]]\nkind = "vary"\ncount = 1\n'
    )
    without, whole = expand(made.workspace.project(made.name).settings, WITH)
    assert (without.prompt, whole.prompt) == ("woman", r"woman, zoro \(one piece\)")


def test_a_project_file_of_windows_is_read(tmp_path: Path) -> None:
    made = make_project(tmp_path)
    text = made.toml.read_text().replace("\n", "\r\n")
    for encoding in ("utf-8-sig", "utf-16"):
        made.toml.write_bytes(text.encode(encoding))
        assert made.workspace.project(made.name).settings == made.settings
    made.toml.write_bytes(text.replace("woman", "café").encode("cp1252"))
    with pytest.raises(UserError, match=r"project\.toml.*it is not UTF-8 text"):
        made.workspace.project(made.name).settings  # noqa: B018
