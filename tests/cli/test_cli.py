"""The headless verbs through the real command line, and their answers to bad input."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from making import CAPTION, add_drawn, add_published, bring, open_catalog, png, scene, shot
from safetensors.numpy import save_file

from bootstrap.catalog import generations, verdicts
from bootstrap.loop import generation
from bootstrap.progress import Progress
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Workspace
from tests.sid_command import in_this_process


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with only a good picture in it; the workspace will be ./sid-workspace."""
    monkeypatch.chdir(tmp_path)
    scene(0).save("good.png")
    return tmp_path


@pytest.fixture
def sid(folder, monkeypatch, capsys):
    """Run the command line in this process: sid("status") -> (exit code, output, errors)."""

    return in_this_process(monkeypatch, capsys)


def outside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in its own process."""
    command = [str(Path(sys.executable).with_name("sid")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def reviewed(sid):
    """A project with a published generation of six candidates, ready for verdicts; (project, ids)."""
    assert sid("new", "apple", "--image", "good.png", "--caption", CAPTION)[0] == 0
    made = Workspace.locate().project("apple")
    catalog = open_catalog(made)
    eliminate = [
        shot(seed, "woman, blue blazer, window", recipe="eliminate", eliminated=("red apple",))
        for seed in range(3)
    ]
    ids = add_published(made, catalog, 1, 6, [*eliminate, shot(7), shot(8), shot(9)])
    catalog.close()
    return made, ids


def everything_in(folder: Path) -> dict[str, str]:
    """Return a hash of the content of every path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


GOOD = {"name": "apple", "image": "good.png", "caption": "woman, red apple", "base": "papertown"}
WRONG = {
    "a missing picture": ({"image": "nope.png"}, "picture nope.png: there is no such file"),
    "a folder for a picture": ({"image": "."}, "picture .: it is no regular file, but a folder, pipe"),
    "a device for a picture": ({"image": "/dev/zero"}, "picture /dev/zero: it is no regular file"),
    "a device for a base model": ({"base": "/dev/zero"}, "/dev/zero"),
    "a picture of zero bytes": ({"image": "empty.png"}, "the file is empty (0 bytes)"),
    "a picture cut in half": ({"image": "half.png"}, "half.png: the file is damaged"),
    "a text named .png": ({"image": "text.png"}, "text.png: not a picture in a known format"),
    "a picture of no width": ({"image": "flat.png"}, "flat.png: "),
    "a tiny picture": ({"image": "tiny.png"}, "tiny.png: 16x16 is too small"),
    "a bomb": ({"image": "bomb.png"}, "bomb.png: it has far more than 64,000,000 pixels"),
    "a bomb below Pillow's limit": ({"image": "big.png"}, "12000x9000 is more than 64,000,000 pixels"),
    "an empty caption": ({"caption": ""}, "caption: it is empty"),
    "a caption of commas": ({"caption": " , ,"}, "caption: it is empty"),
    "an unknown base model": ({"base": "papertwon"}, "did you mean 'papertown'?"),
    "a .ckpt": ({"base": "model.ckpt"}, "only .safetensors is read"),
    "a missing .safetensors": ({"base": "nope.safetensors"}, "nope.safetensors: there is no such file"),
    "a pickle named .safetensors": ({"base": "pickle.safetensors"}, "not a safetensors file"),
    "a folder that is no model": ({"base": "."}, "no model_index.json"),
    "a name that leaves the workspace": ({"name": "../apple"}, "project name '../apple'"),
    "a name with a folder": ({"name": "a/b"}, "project name 'a/b'"),
    "an absolute name": ({"name": "/apple"}, "project name '/apple'"),
    "a name of dots": ({"name": ".."}, "project name '..'"),
    "no name": ({"name": ""}, "project name ''"),
    "a name too long": ({"name": "a" * 65}, "project name"),
}  # fmt: skip


@pytest.fixture
def traps(folder):
    """The files that WRONG names."""
    whole = Path("good.png").read_bytes()
    Path("empty.png").touch()
    Path("half.png").write_bytes(whole[: len(whole) // 2])
    Path("text.png").write_text("a picture of an apple")
    Path("flat.png").write_bytes(png(0, 64, 1))
    Path("tiny.png").write_bytes(png(16, 16, 16))
    Path("bomb.png").write_bytes(png(30_000, 30_000, 200))
    Path("big.png").write_bytes(png(12_000, 9_000, 200))
    Path("model.ckpt").write_bytes(b"\x80\x02}q\x00.")
    Path("pickle.safetensors").write_bytes(b"PK\x03\x04" + b"\xff" * 100)


def as_arguments(options: dict[str, str]) -> list[str]:
    return [
        options["name"], "--image", options["image"], "--caption", options["caption"], "--base", options["base"],
    ]  # fmt: skip


def assert_refused(result: tuple[int, str, str], message: str) -> None:
    code, out, err = result
    assert code == 2 and out == ""
    assert message in err
    assert err.startswith("sid: ") and err.count("\n") == 1 and err.endswith("\n")


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG.keys())
def test_bad_input_gets_one_line_and_changes_nothing(sid, folder, traps, change, message):
    before = everything_in(folder)
    result = sid("new", *as_arguments(GOOD | change))
    assert_refused(result, message)
    assert everything_in(folder) == before


def test_bad_input_to_a_process_of_its_own(folder, traps):
    before = everything_in(folder)
    for change, message in (WRONG["a bomb"], WRONG["a .ckpt"], WRONG["a name that leaves the workspace"]):
        done = outside("new", *as_arguments(GOOD | change))
        assert_refused((done.returncode, done.stdout, done.stderr), message)
    assert everything_in(folder) == before


def test_new_makes_a_project_and_prints_the_next_step(sid, folder):
    code, out, err = sid("new", "apple", "--image", "good.png", "--caption", "woman,red  apple ,")
    assert (code, err) == (0, "")
    made = Workspace.locate().project("apple")
    assert str(made.folder) in out and "next: sid run apple" in out
    assert made.settings.project.tags == ["woman", "red apple"]
    assert_refused(sid("new", "apple", "--image", "good.png", "--caption", "x"), "already exists")


def test_new_tells_what_it_does_not_use_of_the_picture(sid, folder):
    scene(0).resize((128, 96)).save("wide.webp", save_all=True, append_images=[scene(1).resize((128, 96))])
    code, out, err = sid("new", "apple", "--image", "wide.webp", "--caption", "woman")
    assert (code, err) == (0, "")
    assert "wide.webp: it has several frames or pages; the first one is the original" in out
    assert "training cuts over 15% off 1 picture, most off wide.webp: 20%" in out


TYPOS = {
    "a key": ("network_dim =", "network_dm =",
              "unknown key 'training.network_dm', did you mean 'network_dim'?"),
    "a section": ("[drawing]", "[drawign]", "unknown key 'drawign', did you mean 'drawing'?"),
    "a key of a recipe": ("count = 24\nstrength = 0.8", "cuont = 24\nstrength = 0.8",
                          "unknown key 'recipe[2].cuont', did you mean 'count'?"),
    "a value": ("epochs = 6", 'epochs = "six"', "'training.epochs'"),
    "a base model": ('base_model = "papertown"', 'base_model = "paper"', "base model 'paper': unknown"),
    "no TOML": ("[training]", "[training", "not valid TOML"),
}  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "message"), TYPOS.values(), ids=TYPOS.keys())
def test_a_typo_in_the_settings_stops_every_verb_that_needs_them(
    sid, folder, reviewed, right, wrong, message
):
    made, _ = reviewed
    text = made.toml.read_text("utf-8")
    assert text.count(right) == 1
    made.toml.write_text(text.replace(right, wrong), "utf-8")
    before = {path: digest for path, digest in everything_in(folder).items() if "sqlite" not in path}
    result = sid("export", "apple", "--format", "kohya", "out")
    assert_refused(result, message)
    assert str(made.toml) in result[2] or "base model" in result[2]
    after = {path: digest for path, digest in everything_in(folder).items() if "sqlite" not in path}
    assert after == before
    # `sid status` still works, and says what to fix.
    code, out, _ = sid("status")
    assert code == 0 and message in out


def test_wrong_usage_gets_one_line(sid):
    for arguments, message in (
        (["nonsense"], "No such command 'nonsense' (see `sid --help`)"),
        (["new"], "Missing argument 'NAME' (see `sid new --help`)"),
        (["status", "--jsno"], "--json"),
        (["accept", "apple"], "Missing argument 'ID...'"),
        (["candidates", "apple", "--generation", "0"], "--generation"),
    ):
        assert_refused(sid(*arguments), message)


def test_help_and_version(sid):
    code, out, _ = sid()
    assert code == 0 and "Usage" in out and "candidates" in out
    assert sid("--help")[0] == 0
    assert sid("--version")[:2] == (0, "sid 0.1.0\n")


@pytest.mark.parametrize("verb", ["status", "candidates", "grow"])
def test_an_unknown_project_is_refused_with_a_list_of_the_projects(sid, folder, verb):
    assert_refused(sid(verb, "apple"), "none yet; create one with `sid new`")
    assert not (folder / "sid-workspace").exists()
    sid("new", "pear", "--image", "good.png", "--caption", "pear")
    assert_refused(sid(verb, "apple"), "its projects: pear")
    assert_refused(sid(verb, "../../apple"), "project name '../../apple'")


def test_status_shows_the_next_step_throughout_the_loop(sid, folder):
    code, out, _ = sid("status")
    assert code == 0 and "no projects yet" in out
    assert not (folder / "sid-workspace").exists()
    sid("new", "apple", "--image", "good.png", "--caption", CAPTION)
    assert "next: sid run apple" in sid("status")[1]
    made = Workspace.locate().project("apple")
    catalog = open_catalog(made)
    assert generations.begin(catalog, "apple") == 1
    assert "does generation 1, which waits" in sid("status")[1] and "interrupted" not in sid("status")[1]
    add_drawn(made, catalog, 1, [scene(5)])
    out = sid("status", "apple")[1]
    assert "interrupted" in out and "resumes generation 1, which was interrupted" in out
    ids = add_published(made, catalog, 1, 3, [shot(1), shot(2), shot(3)])
    assert "sid up  (4 undecided)" in sid("status")[1]
    sid("accept", "apple", ids[0])
    assert "3 undecided), or sid grow apple  (1 new picks)" in sid("status")[1]
    sid("grow", "apple")
    out = sid("status")[1]
    assert "trains generation 2 on 2 pictures" in out and "dataset of 2 pictures" in out
    page = json.loads(sid("status", "--json")[1])
    (first,) = page[0]["generations"]
    assert (first["state"], first["published"], first["accepted"]) == ("grown", 4, 1)
    assert page[0]["running"] is False and first["interrupted"] is False
    catalog.close()


def test_status_shows_a_running_generation(sid, reviewed):
    made, _ = reviewed
    catalog = open_catalog(made)
    bring(made, catalog, 1, "training")
    generations.reporter(catalog, made.name, 1)(Progress("train", 40, 120, "steps", 2.5, "loss 0.0123"))
    catalog.close()
    with FileLock(made.lock_file):
        out = sid("status")[1]
    assert "train 40/120 steps, 2.50 steps/s loss 0.0123" in out and "interrupted" not in out
    assert "interrupted" in sid("status")[1]


def test_candidates_are_listed_and_filtered(sid, reviewed):
    made, ids = reviewed
    catalog = open_catalog(made)
    sid("accept", "apple", ids[0])
    sid("reject", "apple", ids[1], ids[2])
    lines = sid("candidates", "apple")[1].splitlines()
    assert [line.split()[0] for line in lines] == ids
    assert lines[0].split()[2] == "accept" and "strength 0.80" in lines[0] and "blue blazer" in lines[0]

    def listed(*options: str) -> list[str]:
        return [
            candidate["id"] for candidate in json.loads(sid("candidates", "apple", "--json", *options)[1])
        ]

    assert listed() == ids
    assert listed("--verdict", "reject") == ids[1:3]
    assert listed("--verdict", "undecided") == ids[3:]
    assert listed("--generation", "1") == ids and listed("--generation", "2") == []
    assert_refused(sid("candidates", "apple", "--verdict", "maybe"), "use undecided, accept or reject")

    again = add_drawn(made, catalog, 1, [scene(1001), b"broken"], [shot(50), shot(51)])
    generation.curate(Generation(made, catalog, 1))
    assert listed() == ids and listed("--all") == [*ids, *again]
    out = sid("candidates", "apple", "--all")[1].splitlines()
    assert out[-2].endswith(f"(of {ids[0]})") and out[-2].split()[2] == "duplicate"
    assert out[-1].split()[2] == "broken" and "None" not in out[-1]
    catalog.close()


def test_candidates_as_json_hold_the_whole_shot(sid, reviewed):
    _, ids = reviewed
    first = json.loads(sid("candidates", "apple", "--json")[1])[0]
    assert first["id"] == ids[0]
    assert Path(first["path"]).is_file() and Path(first["thumbnail"]).is_file()
    assert Path(first["path"]).is_absolute() and Path(first["thumbnail"]).is_absolute()
    assert (first["verdict"], first["state"], first["decided_at"]) == ("undecided", "published", None)
    expected = shot(0, "woman, blue blazer, window", recipe="eliminate", eliminated=("red apple",))
    assert first["shot"] == expected.to_dict()
    assert (first["strength"], first["snapshot"], first["recipe"]) == (0.8, 4, "eliminate")


def test_verdicts_are_given_and_undone(sid, reviewed):
    _, ids = reviewed

    def standing() -> list[str]:
        return [candidate["verdict"] for candidate in json.loads(sid("candidates", "apple", "--json")[1])]

    assert sid("accept", "apple", ids[0], ids[1][:12])[:2] == (0, f"accepted: {ids[0]}, {ids[1]}\n")
    assert sid("reject", "apple", ids[1])[:2] == (0, f"rejected: {ids[1]}\n")
    assert standing() == ["accept", "reject", *["undecided"] * 4]
    assert sid("undo", "apple", ids[1])[:2] == (0, f"{ids[1]} is accept again\n")
    assert sid("undo", "apple", ids[1], ids[0])[0] == 0
    assert standing() == ["undecided"] * 6
    assert_refused(sid("undo", "apple", ids[0]), "no verdict that could be undone")
    first = json.loads(sid("candidates", "apple", "--json")[1])[0]
    assert first["reviewer"] == "" and first["decided_at"] is None


def test_one_wrong_id_decides_nothing(sid, reviewed):
    _, ids = reviewed
    for wrong, message in (
        ("zzzz", "none with this id"),
        ("", "none with this id"),
        ("%", "none with this id"),
    ):
        assert_refused(sid("accept", "apple", ids[0], wrong), message)
    assert json.loads(sid("candidates", "apple", "--json", "--verdict", "accept")[1]) == []


def test_an_ambiguous_beginning_is_refused(sid, reviewed):
    made, ids = reviewed
    catalog = open_catalog(made)
    first_digits = [candidate_id[0] for candidate_id in ids]
    seed = 100
    while first_digits.count(first_digits[0]) < 2:  # until two ids have the same first digit
        (another,) = add_drawn(made, catalog, 1, [scene(seed)], [shot(seed)])
        first_digits.append(another[0])
        seed += 1
    catalog.close()
    assert_refused(sid("accept", "apple", first_digits[0]), "several ids begin with this")


def test_grow_and_export(sid, folder, reviewed):
    made, ids = reviewed
    assert_refused(sid("grow", "apple"), "no new picks; accept candidates first")
    sid("accept", "apple", ids[0])
    code, out, _ = sid("grow", "apple")
    assert code == 0 and "1 added, 0 removed, 2 pictures now" in out
    code, out, _ = sid("export", "apple", "--format", "imagefolder", "out")
    assert code == 0 and "2 pictures with captions in out" in out
    assert len((folder / "out/train/metadata.jsonl").read_text().splitlines()) == 2
    assert_refused(sid("export", "apple", "--format", "kohya", "out"), "not empty")
    assert_refused(sid("export", "apple", "--format", "zip", "out2"), "kohya or imagefolder")
    assert not (folder / "out2").exists()
    half = repr(made.settings.training.repeats // 2)
    assert sid("export", "apple", "--format", "kohya", "k")[0] == 0
    assert [path.name for path in (folder / "k").iterdir()] == [f"{half}_apple"]


def test_the_workspace_is_the_option_or_the_variable_or_here(sid, folder, monkeypatch):
    monkeypatch.setenv("SID_WORKSPACE", str(folder / "by variable"))
    sid("new", "one", "--image", "good.png", "--caption", "x, y")
    sid("--workspace", "by option", "new", "two", "--image", "good.png", "--caption", "x, y")
    assert (folder / "by variable/projects/one/project.toml").is_file()
    assert (folder / "by option/projects/two/project.toml").is_file()
    assert not (folder / "sid-workspace").exists()


def test_a_bug_exits_with_1_and_a_traceback(sid, reviewed, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("the moon is in the way")

    monkeypatch.setattr(verdicts, "decide", broken)
    code, _, err = sid("accept", "apple", reviewed[1][0])
    assert code == 1 and "the moon is in the way" in err and "a bug in sid" in err


def test_ctrl_c_exits_with_130(sid, reviewed, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(verdicts, "decide", stop)
    assert sid("accept", "apple", reviewed[1][0])[::2] == (130, "sid: stopped\n")


MODELS = {"torch", "diffusers", "transformers"}  # each takes seconds to import


def loaded_by(code: str) -> set[str]:
    """Run Python code in its own process, and return the packages loaded at its end."""
    printed = "import sys\nprint(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{printed}"], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def loaded_by_verb(*arguments: str) -> set[str]:
    return loaded_by(
        f"import sys\nsys.argv = {['sid', *arguments]}\nfrom bootstrap.cli import main\n"
        "try: main.main()\nexcept SystemExit as ended: assert not ended.code, ended.code"
    )


def test_status_imports_no_model_library_and_help_not_even_the_catalog(folder):
    assert not loaded_by_verb("status") & (MODELS | {"prefect"})
    assert not loaded_by_verb("--help") & (
        MODELS | {"prefect", "streamlit", "sqlalchemy", "pydantic", "numpy"}
    )


def test_a_run_says_what_it_does_before_anything_slow_is_imported(sid, folder):
    assert sid("new", *as_arguments(GOOD))[0] == 0
    code = (
        "import sys\nfrom flows import cli\n"
        "def say(line):\n  print(line)\n  print(*{name.partition('.')[0] for name in sys.modules})\n  sys.exit(3)\n"
        "cli.say = say\nsys.argv = ['sid', 'run', 'apple']\n"
        "from bootstrap.cli import main\nmain.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    line, loaded = done.stdout.splitlines()
    assert line == "project 'apple': checking its settings and files"
    assert not set(loaded.split()) & (MODELS | {"prefect", "sqlalchemy", "alembic"})


def test_status_of_an_upgraded_catalog_does_not_import_what_upgrades_it(sid, folder):
    assert sid("new", *as_arguments(GOOD))[0] == 0
    assert sid("status")[0] == 0
    assert not loaded_by_verb("status") & (MODELS | {"prefect", "alembic", "numpy"})


def test_a_plan_imports_no_model_library(sid, folder):
    assert sid("new", *as_arguments(GOOD))[0] == 0
    assert not loaded_by_verb("plan", "apple") & (MODELS | {"prefect"})


def test_a_plan_with_networks_of_every_kind_does_not_import_torch(sid, folder):
    """A LoRA by its alias, an embedding, a LoRA file to compose with: reading their headers suffices."""
    assert sid("new", *as_arguments(GOOD))[0] == 0
    project = folder / "sid-workspace" / "projects" / "apple"
    lora = {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": np.zeros((2, 8), np.float32)}
    for name in ("loras", "embeddings"):
        (project / name).mkdir()
    save_file(lora, project / "loras" / "file.safetensors", {"ss_output_name": "alias"})
    save_file(lora, project / "style.safetensors")
    save_file({"emb_params": np.zeros((2, 128), np.float32)}, project / "embeddings" / "zzgrey.safetensors")
    (project / "project.toml").write_text(
        (project / "project.toml").read_text().split("# What to draw.")[0]
        + """[[recipe]]
kind = "add"
tags = ["hat <lora:alias:0.5>"]
negative_prompt = "zzgrey"
[[recipe]]
kind = "compose"
loras = [{ lora = "style.safetensors" }]
"""
    )
    code, out, err = sid("plan", "apple")
    assert code == 0, err
    assert "in all: 32 shots" in out
    assert not loaded_by_verb("plan", "apple") & {"torch", "diffusers", "prefect"}


def test_the_review_app_imports_no_model_library():
    assert not loaded_by("import review_app.pages.app, review_app.pages.recipes, review_app.server") & MODELS


def test_settings_are_changed_and_get_their_defaults_back(sid, folder):
    assert sid("new", *as_arguments(GOOD))[0] == 0
    toml = folder / "sid-workspace" / "projects" / "apple" / "project.toml"
    before = toml.read_text()
    changes = ["training.repeats=30", "training.optimizer=Prodigy", "training.unet_lr=1"]
    changes += ["training.text_encoder_lr=1", "project.caption=woman, green apple", "training.resolution="]
    code, out, _ = sid("set", "apple", *changes)
    assert code == 0
    assert "training.repeats = 30" in out and 'training.optimizer = "Prodigy"' in out
    after = toml.read_text()
    assert "repeats = 30  # times an epoch shows the picture" in after
    assert 'caption = "woman, green apple"' in after
    assert after.count("#") >= before.count("#") - 1
    assert sid("status", "apple")[0] == 0


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.repeats=0", "training.repeats"),
        ("training.repaets=3", "did you mean 'repeats'"),
        ("repeats=3", "write section.name=value"),
        ("recipe.count=3", "give its number, counted from 1: recipe[1]"),
        ("recipe[9].count=3", "has 2 recipes"),
        ("training.resolution=100", "not a multiple of 8"),
        ("nothing.repeats=3", "unknown key 'nothing'"),
        ("project.base_model=model.ckpt", "only .safetensors is read"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_is_changed(sid, folder, assignment, message):
    assert sid("new", *as_arguments(GOOD))[0] == 0
    toml = folder / "sid-workspace" / "projects" / "apple" / "project.toml"
    before = toml.read_text()
    assert_refused(sid("set", "apple", "training.epochs=4", assignment), message)
    assert toml.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tag", "nope.png"], "picture nope.png: there is no such file"),
        (["tag", "good.png", "--tagger", "nope.onnx"], "nope.onnx is missing"),
        (["papertown", "make", "--stage", "nothing"], "--stage nothing: unknown; the stages are data, vae"),
        (
            ["papertown", "make", "--stage", "judge", "--dir", "making"],
            "tagger.safetensors is missing: run the stage `tagger`",
        ),
        (["papertown", "make", "--stage", "tagger", "--start", "model"], "only the stages vae, base, ink"),
        (["papertown", "make", "--stage", "vae", "--compile"], "--compile: only the stages base and ink"),
        (
            ["papertown", "make", "--stage", "data", "--world", "three"],
            "--world three: unknown; the worlds are one",
        ),
        (
            ["papertown", "make", "--stage", "ink", "--world", "two"],
            "--stage ink: unknown; the stages are data, vae",
        ),
        (
            ["papertown", "make", "--stage", "vae", "--world", "two", "--compile"],
            "--compile: only the stage base",
        ),
        (
            ["papertown", "make", "--stage", "vae", "--world", "two", "--start", "x"],
            "--start x: the stages of",
        ),
    ],
)
def test_tagging_and_making_refuse_in_one_line(sid, folder, arguments, message):
    if arguments[0] == "papertown":
        pytest.importorskip("resvg_py", reason="drawing Paper Town needs the extra `papertown`")
    assert_refused(sid(*arguments), message)
