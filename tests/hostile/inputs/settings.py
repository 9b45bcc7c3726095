"""What people and programs write into project.toml, review.toml and `sid set`."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.case import BUSY, ODD_TEXTS, PROJECT, Case, Prepare, drawn, project_folder

_HEAD = '[project]\ncaption = "woman, red apple"\n'
_RECIPE = '\n[[recipe]]\nkind = "vary"\ncount = 2\nstrength = [0.5]\nsnapshot = "auto"\n'
_KEYS = {
    "project": ("caption", "base_model", "prediction_type"),
    "training": (
        "repeats",
        "epochs",
        "max_train_steps",
        "network_dim",
        "network_alpha",
        "unet_lr",
        "optimizer",
        "lr_warmup_steps",
        "resolution",
        "mixed_precision",
        "seed",
        "reg_data_dir",
        "class_tokens",
        "sample_prompts",
    ),
    "drawing": (
        "sampler",
        "steps",
        "cfg_scale",
        "clip_skip",
        "width",
        "height",
        "negative_prompt",
        "batch_size",
        "seed",
    ),
    "dedupe": ("hash", "distance", "pixel_difference"),
    "curation": ("embedder", "tagger", "required_tags", "adaptive"),
    "review": ("reasons",),
}
_VALUES = {
    "nan": "nan",
    "inf": "inf",
    "a large number": "9" * 300,
    "negative": "-1",
    "zero": "0",
    "false": "false",
    "a date": "2026-01-01",
    "a table": "{a = {b = 1}}",
    "a list of lists": "[[1], [2]]",
    "an empty list": "[]",
    "an empty text": '""',
    "a text of blanks": '"  "',
    "a raw text": '"\\u001b[31mred\\u0007"',
    "a text of two lines": '"one\\ntwo"',
    "a long text": '"' + "t" * 30_000 + '"',
    "a fraction": "0.3333",
    "a large fraction": "1e308",
    "a list of 20,000": "[" + "1," * 20_000 + "]",
    "a text turned": '"abc\\u202edef"',
    "a time": "07:32:00",
}
_DEEP = 3000

WHOLE: dict[str, str | bytes] = {
    "empty": "",
    "of zeros": b"\0" * 4096,
    "no UTF-8": b"\xff\xfe\xfa[project]",
    "UTF-16": _HEAD.encode("utf-16"),
    "with a byte order mark": b"\xef\xbb\xbf" + _HEAD.encode(),
    "cut off": _HEAD[:20],
    "a list nested deep": _HEAD + "x = " + "[" * _DEEP,
    "a list nested deep and closed": _HEAD + "x = " + "[" * _DEEP + "]" * _DEEP,
    "tables nested deep": _HEAD + "x = " + "{a=" * _DEEP + "1" + "}" * _DEEP,
    "dotted deep": _HEAD + ".".join("a" * _DEEP) + " = 1\n",
    "a key twice": _HEAD + 'caption = "two"\n',
    "a section twice": _HEAD + _HEAD,
    "project is a number": "project = 1\n",
    "project is a list": "[[project]]\ncaption = 'a'\n",
    "a raw key": _HEAD + '"\\u001b[31m" = 1\n',
    "a long key": _HEAD + "k" * 50_000 + " = 1\n",
    "a key of two lines": _HEAD + '"a\\nb" = 1\n',
    "an integer of 5,000 digits": _HEAD + "x = " + "1" * 5000,
    "recipe is a text": _HEAD + '\nrecipe = "vary"\n',
    "a recipe without a kind": _HEAD + "[[recipe]]\ncount = 1\n",
    "a recipe of a raw kind": _HEAD + '[[recipe]]\nkind = "\\u001b[31m"\n',
    "a recipe whose kind is a list": _HEAD + "[[recipe]]\nkind = [1]\n",
    "5,000 recipes": _HEAD + _RECIPE * 5000,
    "a million shots": _HEAD + _RECIPE.replace("count = 2", "count = 1000000"),
    "a count of 20 digits": _HEAD + _RECIPE.replace("count = 2", "count = 99999999999999999999"),
    "10,000 strengths": _HEAD + _RECIPE.replace("[0.5]", "[" + "0.5, " * 10_000 + "]"),
    "a strength of NaN": _HEAD + _RECIPE.replace("[0.5]", "nan"),
    "a huge strength": _HEAD + _RECIPE.replace("[0.5]", "1e300"),
    "a snapshot of text": _HEAD + _RECIPE.replace('"auto"', '"\\u001b"'),
    "20,000 tags": _HEAD.replace("woman", ", ".join(f"tag {number}" for number in range(20_000))) + _RECIPE,
    "no line ends": _HEAD.replace("\n", "\r"),
    "base model in nobody's home": _HEAD + 'base_model = "~nobody-of-that-name/x.safetensors"\n',
    "base model a device": _HEAD + 'base_model = "/dev/zero"\n',
    "base model raw": _HEAD + 'base_model = "\\u001b[31m\\n"\n',
    "base model a hub id": _HEAD + 'base_model = "nobody/nothing"\n',
    "base model of dots": _HEAD + 'base_model = "../.."\n',
    "base model long": _HEAD + f'base_model = "{"m" * 5000}"\n',
    "a compose recipe": _HEAD + '[[recipe]]\nkind = "compose"\ncount = 1\nlora = "\\u001b[31m"\n',
    "an inpaint box": _HEAD
    + '[[recipe]]\nkind = "inpaint"\nbox = [-1, 0, 99999, 1]\n[[recipe.rounds]]\nprompt = "a"\n',
    "a resize recipe": _HEAD + '[[recipe]]\nkind = "resize"\nwidth = 99999999\nheight = 8\n',
    "a reference recipe": _HEAD + '[[recipe]]\nkind = "reference"\npicture = "/dev/zero"\n',
    "a hires recipe": _HEAD + '[[recipe]]\nkind = "hires"\nupscale = 1e9\n',
}

_LOGIN = f'[login]\ncookie_secret = "{"s" * 40}"\n'
LOGINS: dict[str, str | bytes] = {
    "empty": "",
    "no UTF-8": b"\xff\xfe",
    "of zeros": b"\0" * 99,
    "login is a number": "login = 1",
    "login is a list": "[[login]]\n",
    "nested deep": "x = " + "[" * _DEEP,
    "a secret of a list": "[login]\ncookie_secret = [1]\n",
    "a short secret": '[login]\ncookie_secret = "a"\n',
    "a hash of another kind": _LOGIN + 'password_hash = "$2b$12$x"\n',
    "a hash that is none": _LOGIN + 'password_hash = "$argon2"\n',
    "emails a text": _LOGIN + 'emails = "a@b"\n',
    "a raw key": _LOGIN + '"\\u001b[31m" = 1\n',
    "a raw value": _LOGIN + 'password_hash = "\\u001b[31m\\n"\n',
    "a long key": _LOGIN + "k" * 50_000 + " = 1\n",
    "emails of lists": _LOGIN + "emails = [[1]]\n",
    "an unknown section": "[other]\nx = 1\n",
    "a huge hash": _LOGIN + f'password_hash = "$argon2{"h" * 100_000}"\n',
    "a byte order mark": b"\xef\xbb\xbf" + _LOGIN.encode(),
}


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("settings")
    verbs = (("plan", PROJECT), ("status", PROJECT), ("set", PROJECT, "training.repeats=3"), ("doctor",))
    for title, content in WHOLE.items():
        yield _case(f"a file {title}", verbs[rng.choice((0, 0, 1, 2))], _written(content))
    yield _case("a FIFO", ("status", PROJECT), _instead(lambda path: os.mkfifo(path)))
    yield _case("a folder", ("status", PROJECT), _instead(lambda path: path.mkdir()))
    yield _case("a loop of links", ("status", PROJECT), _instead(lambda path: path.symlink_to(path)))
    yield _case("a device", ("plan", PROJECT), _instead(lambda path: path.symlink_to("/dev/zero")))
    for section, keys in _KEYS.items():
        for key in keys:
            [title] = rng.sample(sorted(_VALUES), 1)
            head = "[project]\n" if (section, key) == ("project", "caption") else _HEAD
            line = f"{key} = {_VALUES[title]}\n"
            text = head + line if section == "project" else f"{head}[{section}]\n{line}"
            yield _case(f"{section}.{key} is {title}", rng.choice(verbs[:2]), _written(text))
    for title, given in {
        "no key": "=1",
        "no value": "training.repeats",
        "unknown": "\x1b[1m.x=1",
        "deep": ".".join("a" * 900) + "=1",
        "nan": "training.unet_lr=nan",
        "a list": "training.sample_prompts=" + "[" * 3000,
        "long": "project.caption=" + "c" * 30_000,
        "raw": "project.caption=\x1b[31mred\x07",
        "of two lines": 'project.caption=a"\n[x]\ny="',
        "no UTF-8": "project.caption=\udce9",
        "a number": "training.repeats=" + "9" * 5000,
        "a section": "training=1",
        "TOML within": "training.repeats=1\nepochs=2",
        "a float": "training.repeats=1.5",
        "a date": "training.repeats=2026-01-01",
        "negative": "drawing.steps=-5",
        "true": "drawing.steps=true",
    }.items():
        yield Case("sid set", title, ("set", PROJECT, given))
    for title, content in LOGINS.items():
        verb = rng.choice(
            (("password", "--password", "long enough"), ("review", "--port", BUSY, "--no-browser"))
        )
        yield Case("review.toml", f"a file {title}", verb, _login(content))
    for title in ("of two lines", "with a bell and an escape", "written from right to left"):
        text = ODD_TEXTS[title].encode("unicode_escape").decode().replace("\\x", "\\u00")
        for verb in (("status",), ("plan", PROJECT), ("doctor",)):
            yield _case(f"a caption {title}, {verb[0]}", verb, _written(f'[project]\ncaption = "{text}"\n'))


def _case(name: str, verb: tuple[str, ...], prepare: Prepare) -> Case:
    return Case(
        "project.toml",
        f"{name}, {verb[0]}",
        verb,
        prepare,
        exits=(0, 1, 2) if verb[0] == "doctor" else (0, 2),
    )


def _written(content: str | bytes) -> Prepare:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda here: (project_folder(here) / "project.toml").write_bytes(data)


def _instead(make: Prepare) -> Prepare:
    def prepare(here: Path) -> None:
        path = project_folder(here) / "project.toml"
        path.unlink()
        make(path)

    return prepare


def _login(content: str | bytes) -> Prepare:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda here: (here / "workspace" / "review.toml").write_bytes(data)
