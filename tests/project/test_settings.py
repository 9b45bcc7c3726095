"""Settings are checked key by key, and a mistake is reported in one helpful line."""

import copy
import tomllib
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootstrap.errors import UserError
from bootstrap.models.family import FLOW_SETTINGS
from bootstrap.models.specs import find
from bootstrap.project import template
from bootstrap.project.settings import DrawingSection, ProjectSection, TrainingSection, parse

GOOD = {
    "project": {"caption": "woman, red apple", "base_model": "papertown"},
    "training": {"repeats": 20},
    "drawing": {"steps": 10},
    "dedupe": {"distance": 5},
    "recipe": [
        {"kind": "vary", "strength": [0.5], "snapshot": 2, "count": 3},
        {"kind": "eliminate", "tags": ["red apple"]},
        {"kind": "add", "tags": ["hat"]},
        {"kind": "replace", "tag": "red apple", "by": ["ball"]},
    ],
}


def changed(path, value):
    raw = copy.deepcopy(GOOD)
    section = raw
    for step in path[:-1]:
        section = section.setdefault(step, {}) if isinstance(section, dict) else section[step]
    section[path[-1]] = value
    return raw


def refusal(path, value) -> str:
    with pytest.raises(UserError) as refused:
        parse(changed(path, value), "project.toml")
    return str(refused.value)


def test_the_defaults_are_the_method():
    parsed = parse({"project": {"caption": "woman, red apple"}}, "project.toml")
    training = parsed.training
    assert (training.repeats, training.epochs, training.network_dim, training.network_alpha) == (
        20,
        6,
        64,
        32,
    )
    assert (training.unet_lr, training.text_encoder_lr) == (1e-4, 5e-5)
    assert training.snapshots == [1, 2, 3, 4, 5, 6]
    assert [recipe.kind for recipe in parsed.recipe] == ["vary", "eliminate"]


@given(st.integers(1, 40), st.integers(1, 40))
def test_snapshots_are_every_nth_epoch_and_the_last(epochs, every):
    if every > epochs:
        with pytest.raises(ValueError, match="is more than epochs"):
            TrainingSection(epochs=epochs, save_every_n_epochs=every)
        return
    snapshots = TrainingSection(epochs=epochs, save_every_n_epochs=every).snapshots
    assert snapshots[-1] == epochs
    assert set(snapshots) - {epochs} == {n for n in range(1, epochs) if n % every == 0}


@given(low=st.integers(0, 15), length=st.integers(0, 5), step=st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_a_range_of_strengths_holds_both_ends_and_even_steps(low, length, step):
    start, stop = low / 10, low / 10 + length * step
    if stop > 2:
        return
    raw = changed(("recipe", 0, "strength"), {"from": start, "to": stop, "step": step})
    strengths = parse(raw, "project.toml").recipe[0].strength
    assert strengths[0] == pytest.approx(start) and strengths[-1] == pytest.approx(stop)
    assert len(strengths) == length + 1
    assert all(b - a == pytest.approx(step) for a, b in pairwise(strengths))


@pytest.mark.parametrize(
    ("key", "written", "parsed"),
    [
        ("strength", 0.5, [0.5]),
        ("strength", [0.5, 1], [0.5, 1.0]),
        ("strength", {"from": 0.5, "to": 0.7}, [0.5, 0.6, 0.7]),
        ("strength", {"from": 0, "to": 1, "step": 0.5}, [0.0, 0.5, 1.0]),
        ("strength", {"from": 0.5, "to": 0.65}, [0.5, 0.6]),
        ("snapshot", 3, [3]),
        ("snapshot", {"from": 1, "to": 2}, [1, 2]),
        ("snapshot", {"from": 2, "to": 6, "step": 2}, [2, 4, 6]),
        ("snapshot", "auto", "auto"),
    ],
)
def test_a_value_a_list_or_a_range(key, written, parsed):
    assert getattr(parse(changed(("recipe", 0, key), written), "x").recipe[0], key) == parsed


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"from": 0.7, "to": 0.5}, "from <= to"),
        ({"from": 0.5, "to": 0.7, "step": 0}, "step > 0"),
        ({"from": 0.5, "to": 0.7, "step": -0.1}, "step > 0"),
        ({"from": 0.5}, "a range is written"),
        ({"from": "a", "to": "b"}, "a range is written"),
        ({"from": 0.5, "to": 0.7, "setp": 0.1}, "a range is written"),
        ({"from": 0.5, "to": float("inf")}, "a range is written"),
        ({"from": 0.0, "to": 2.0, "step": 1e-12}, "1000 values at most"),
        ([], "at least 1 item"),
        (2.5, "less than or equal to 2"),
        (-0.1, "greater than or equal to 0"),
        (float("nan"), "finite"),
        ("strong", "number"),
    ],
)
def test_wrong_strengths_are_told(value, message):
    error = refusal(("recipe", 0, "strength"), value)
    assert error.startswith("project.toml: ") and "recipe[1].strength" in error and message in error


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("training", "network_dm"), 64, "unknown key 'training.network_dm', did you mean 'network_dim'?"),
        (("trainig",), {}, "unknown key 'trainig', did you mean 'training'?"),
        (("recipe", 1, "tag"), "x", "unknown key 'recipe[2].tag', did you mean 'tags'?"),
        (("project", "captoin"), "x", "unknown key 'project.captoin', did you mean 'caption'?"),
        (("dedupe", "zzz"), 1, "unknown key 'dedupe.zzz', valid here: hash, distance, pixel_difference"),
        (("recipe", 0, "kind"), "varry", "'recipe[1]': unknown kind 'varry' (did you mean 'vary'?)"),
        (("recipe", 0), {"count": 3}, "'recipe[1]': it has no kind; use vary, eliminate, add, replace"),
        (("recipe",), [], "'recipe'"),
        (("training",), 5, "'training' must be a table"),
        (("training", "epochs"), 0, "'training.epochs'"),
        (("training", "epochs"), 0, "(it is 0)"),
        (("training", "resolution"), 100, "resolution 100 is not a multiple of 8"),
        (("training", "unet_lr"), -1.0, "'training.unet_lr'"),
        (("training", "network_alpha"), float("inf"), "'training.network_alpha'"),
        (("drawing", "width"), 130, "width 130 is not a multiple of 8"),
        (("drawing", "sampler"), "Eulr a", "'Euler a'"),
        (("project", "caption"), " , ", "caption is empty"),
        (("recipe", 1, "tags"), ["red aple"], "which the caption does not have (did you mean 'red apple'?)"),
        (("recipe", 3, "tag"), "hat", "names the tag 'hat', which the caption does not have"),
        (("recipe", 2, "tags"), [], "'recipe[3].tags'"),
        (("recipe", 2, "tags"), ["  "], "'recipe[3].tags[1]'"),
        (("recipe", 0, "snapshot"), "atuo", "'recipe[1].snapshot': input should be 'auto' (it is 'atuo')"),
        (("recipe", 0, "snapshot"), ["auto"], "'recipe[1].snapshot[1]'"),
        (("recipe", 0, "snapshot"), 0, "'recipe[1].snapshot[1]': input should be greater than or equal to 1"),
        (("recipe", 0, "strength"), "auto", "'recipe[1].strength[1]'"),
        (("recipe", 0, "snapshot"), 7, "asks for snapshot 7, but training saves [1, 2, 3, 4, 5, 6]"),
    ],
)
def test_a_mistake_is_named_with_its_key(path, value, message):
    assert message in refusal(path, value)


_COMPOSE = {"kind": "compose", "loras": [{"lora": "medal"}]}
_INPAINT = {"kind": "inpaint", "box": [0, 0, 8, 8], "rounds": [{"prompt": "woman"}]}
_BOOTSTRAP = {"kind": "bootstrap", "aspects": [{"name": "pose", "tags": ["sitting"]}]}


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"kind": "reference", "tags": ["aple"]}, "which the caption does not have"),
        ({"kind": "element", "tags": ["red aple"], "prompts": ["x"]}, "(did you mean 'red apple'?)"),
        ({"kind": "element", "tags": ["red apple"]}, "'recipe[1].prompts' is missing"),
        ({"kind": "resize"}, 'it needs aspect_ratios = ["2:3"] or sizes'),
        ({"kind": "resize", "aspect_ratios": ["2/3"]}, "'2/3' is no aspect ratio"),
        ({"kind": "resize", "aspect_ratios": ["1:0"]}, "'1:0' is no aspect ratio"),
        ({"kind": "resize", "sizes": [[100, 128]]}, "100 is no multiple of 8"),
        ({"kind": "resize", "sizes": [[128]]}, "'recipe[1].sizes[1][2]' is missing"),
        ({"kind": "restyle"}, "'recipe[1].base_model' is missing"),
        ({"kind": "compose"}, "'recipe[1].loras' is missing"),
        (
            {**_COMPOSE, "loras": [{"lora": "medal", "strenth": 1}]},
            "'recipe[1].loras[1].strenth', did you mean 'strength'?",
        ),
        ({**_COMPOSE, "tags": ["hat"]}, "names the tag 'hat'"),
        ({"kind": "hires", "hires_upscale": 1}, "'recipe[1].hires_upscale'"),
        ({"kind": "hires", "denoising_strength": 0}, "'recipe[1].denoising_strength'"),
        ({"kind": "hires", "denoising_strength": 0.05, "hires_steps": 60}, "take at most 50"),
        ({**_INPAINT, "box": None}, "round 1 has no mask"),
        ({**_INPAINT, "mask": "m.png"}, "both mask and box"),
        ({**_INPAINT, "box": [0, 0, 0, 8]}, "'recipe[1].box[3]'"),
        ({**_INPAINT, "rounds": []}, "'recipe[1].rounds'"),
        ({**_INPAINT, "rounds": [{"prompt": "x", "mask_blurr": 1}]}, "did you mean 'mask_blur'?"),
        ({**_BOOTSTRAP, "mixed": 0, "aspects": [{"name": "a", "tags": ["b"], "quota": 0}]}, "quotas are 0"),
        (
            {**_BOOTSTRAP, "aspects": [{"name": "a", "tags": ["b"], "instead_of": ["hat"]}]},
            "names the tag 'hat'",
        ),
    ],
)
def test_a_mistake_in_a_recipe_is_told_in_one_line(recipe, message):
    error = refusal(("recipe", 0), recipe)
    assert message in error and "\n" not in error


def test_a_missing_caption_is_named():
    with pytest.raises(UserError, match=r"'project\.caption' is missing"):
        parse({"project": {}}, "x")
    with pytest.raises(UserError, match="'project' is missing"):
        parse({}, "x")


def test_both_learning_rates_at_zero_train_nothing():
    raw = changed(("training",), {"unet_lr": 0, "text_encoder_lr": 0})
    with pytest.raises(UserError, match="nothing would be trained"):
        parse(raw, "x")


def test_elimination_of_the_only_tag_is_refused():
    with pytest.raises(UserError, match="nothing to leave out"):
        parse({"project": {"caption": "woman"}, "recipe": [{"kind": "eliminate"}]}, "x")


def test_tags_are_compared_without_case():
    parse(changed(("recipe", 1, "tags"), ["Red Apple"]), "x")


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["from", "to", "step", "kind", "tags", "a\nb"]), inner, max_size=3)
    ),
    max_leaves=5,
)
_PLACES = [
    *[(section,) for section in (*GOOD, "recipes")],
    *[("project", key) for key in ProjectSection.model_fields],
    *[("training", key) for key in (*TrainingSection.model_fields, "typo")],
    *[("drawing", key) for key in (*DrawingSection.model_fields, "typo\nof two lines")],
    *[("recipe", index) for index in range(4)],
    *[
        ("recipe", index, key)
        for index in range(4)
        for key in ("kind", "count", "strength", "snapshot", "tags")
    ],
]


@given(st.sampled_from(_PLACES), _JUNK)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_there_is_taken_or_told_in_one_line(path, value):
    try:
        parsed = parse(changed(path, value), "project.toml")
    except UserError as error:
        assert str(error).startswith("project.toml: ") and "\n" not in str(error)
    else:
        assert parsed.training.snapshots and parsed.recipe


@pytest.mark.parametrize("defaults", [{}, find("papertown").defaults], ids=["Stable Diffusion", "papertown"])
@pytest.mark.parametrize(
    "tags", [["woman", "red apple"], ["woman"], ['a "quoted" tag', "back\\slash", "{x}"]]
)
def test_a_new_projects_file_says_what_the_settings_are_without_it(tags, defaults):
    text = template.render(tags, "papertown", defaults, None)
    written = parse(tomllib.loads(text), "project.toml")
    unwritten = parse(
        {"project": {"caption": ", ".join(tags)}, "recipe": [{"kind": "vary"}], **defaults}, "x"
    )
    assert written.project.tags == tags
    assert written.training == unwritten.training
    assert written.drawing == unwritten.drawing
    assert written.dedupe == unwritten.dedupe
    assert [recipe.kind for recipe in written.recipe] == (
        ["vary", "eliminate"] if len(tags) > 1 else ["vary"]
    )


def test_the_recipes_that_are_commented_out_are_valid_too():
    lines = template.usual_recipes(["woman", "red apple"]).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("# [[recipe]]"))
    text = "\n".join([*lines[:start], *(line.removeprefix("# ") for line in lines[start:])])
    raw = {"project": {"caption": "woman, red apple"}, **tomllib.loads(text)}
    assert [recipe.kind for recipe in parse(raw, "x").recipe] == ["vary", "eliminate", "add", "replace"]


def test_settings_of_flow_models_stand_only_in_files_of_such_models():
    text = template.render(["woman"], "papertown", {}, None)
    assert not any(name in text for name in FLOW_SETTINGS)
    text = template.render(["woman"], "papertown", {"training": {"timestep_sampling": "shift"}}, None)
    assert 'timestep_sampling = "shift"' in text
    assert "# discrete_flow_shift = 1.0 " in text


def test_every_setting_stands_in_a_new_projects_file():
    flow = {"training": {"timestep_sampling": "shift"}}
    text = template.render(["woman", "red apple"], "papertown", flow, None)
    for optional in (
        "prediction_type",
        *FLOW_SETTINGS,
        "resolution",
        "min_snr_gamma",
        "max_train_steps",
        "conv_dim",
        "class_tokens",
        "reg_data_dir",
        "clip_skip",
        "width",
        "height",
        "tagger",
        "seed",
    ):
        text = text.replace(f"# {optional} = ", f"{optional} = ")
    written = tomllib.loads(text)
    for section in ("project", "training", "drawing", "dedupe", "curation"):
        model = type(getattr(parse(GOOD, "x"), section))
        assert set(model.model_fields) == set(written[section])
        comments = template.comments()
        assert all(comments.get(f"{section}.{name}") for name in model.model_fields), section


def test_settings_cannot_be_changed_in_passing():
    parsed = parse(GOOD, "x")
    with pytest.raises(ValueError, match="frozen"):
        parsed.training.epochs = 3


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("recipe", 0, "count"), 100_001, "less than or equal to 100000"),
        (("recipe",), [{"kind": "vary", "count": 60_000, "strength": 0.5 + n / 100} for n in range(2)],
         "ask for 120,000 shots in all, 100,000 at most"),
        (("recipe",), [GOOD["recipe"][0]] * 1001, "recipe has 1,000 entries at most, and here it has 1,001"),
        (("recipe", 2, "tags"), ["hat"] * 1001, "'recipe[3]': tags has 1,000 entries at most"),
        (("recipe", 0, "strength"), [0.5] * 1001, "strength has 1,000 entries"),
        (("recipe", 0), {"kind": "vary", "strength": [0.5] * 600, "snapshot": [2, 3]},
         "1,200 pairs of strength and snapshot, 1,000 at most"),
        (("recipe", 2, "tags"), ["(" * 65 + "a"], "64 levels deep"),
        (("recipe", 0, "negative_prompt"), "a AND " * 101, "100 AND"),
        (("drawing", "negative_prompt"), "[" * 65, "64 levels deep"),
        (("project", "caption"), "tag, " * 4001, "caption has 20,000 characters at most, and here it has 20,005"),
        (("recipe", 0), {"kind": "vary", "count": 100_000, "strength": 0.5, "negative_prompt": "a" * 20_001},
         "negative_prompt has 20,000 characters"),
        (("recipe", 0), {"kind": "vary", "snapshot": {"from": 1, "to": 10**400}}, "a range is written"),
        (("training", "sample_prompts"), ["a BREAK " * 101], "100 BREAK"),
        (("training", "class_tokens"), "(" * 65, "64 levels deep"),
        (("training",), {"epochs": 1000, "repeats": 10_000}, "shows the original 10,000,000 times, 1,000,000 at most"),
        (("training",), {"epochs": 500, "sample_prompts": ["a", "b", "c"]}, "1,500 pictures, 1,000 at most"),
        (("training", "network_alpha"), 1e30, "less than or equal to 10000"),
        (("training", "lr_warmup_steps"), 10**30, "less than or equal to 1000000"),
        (("training", "keep_tokens"), 10**9, "less than or equal to 1000"),
        (("recipe", 0), {"kind": "inpaint", "box": [0, 0, 9, 9], "rounds": [{"prompt": "a"}] * 33}, "at most 32 items"),
    ],
)  # fmt: skip
def test_what_is_too_much_is_refused_before_anything_is_planned(path, value, message):
    said = refusal(path, value)
    assert message in said and "\n" not in said


def test_many_shots_of_a_long_caption_are_refused():
    raw = changed(("project", "caption"), "red apple, " + "tag, " * 1000)
    raw["recipe"] = [{"kind": "vary", "count": 50_000}]
    with pytest.raises(
        UserError, match="50,000 shots with a caption of 5,011 characters are 250,550,000 characters"
    ):
        parse(raw, "project.toml")
