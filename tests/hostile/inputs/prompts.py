"""Prompts, choices, wildcards, and the caption files of others, through the verbs that only read them."""

# ruff: noqa: E501  (a file's content is easier to read on one line)

from collections.abc import Iterator
from pathlib import Path

from tests.hostile.case import (
    CANDIDATE,
    HERE,
    PICK,
    PROJECT,
    Case,
    Prepare,
    all_of,
    drawn,
    file,
    project_folder,
)

PROMPTS: dict[str, str] = {
    "braces nested deep": "{" * 3000 + "a" + "}" * 3000,
    "braces not closed": "{" * 5000,
    "braces not opened": "}" * 5000,
    "an empty choice": "{}",
    "choices of nothing": "{" + "|" * 5000 + "}",
    "a choice of 30,000": "{" + "|".join(f"tag {number}" for number in range(30_000)) + "}",
    "2$$ of one": "{2$$a}",
    "999999999$$": "{999999999$$a|b}",
    "a negative number": "{-5$$a|b}",
    "a weight of nan": "{nan::a|b}",
    "a weight of 1e999": "{1e999::a|b}",
    "a weight below 0": "{-1::a|0::b}",
    "weights of 0": "{0::a|0::b}",
    "no separator": "{2$$|$$a|b}",
    "a variable that names itself": "${a=${a}}${a}",
    "variables nested deep": "${a=" * 500 + "b" + "}" * 500,
    "a variable that is not": "${none}",
    "a raw choice": "{\x1b[31m|\x07}",
    "a wildcard that is not": "__none__",
    "a wildcard of dots": "__../../../etc/passwd__",
    "a wildcard of stars": "__**/**/**/*__",
    "a wildcard of a class": "__[a-__",
    "a raw wildcard": "__\x1b[31m__",
    "a wildcard of 5,000 letters": "__" + "w" * 5000 + "__",
    "3,000 wildcards": "__x__ " * 3000,
    "a wildcard with arguments": "__x(a=__x__)__",
    "brackets nested deep": "(" * 5000 + "hat" + ")" * 5000,
    "brackets closed only": ")" * 9000,
    "square brackets nested deep": "[" * 5000 + "hat" + "]" * 5000,
    "a weight of 400 digits": "(hat:" + "9" * 400 + ")",
    "schedules nested deep": "[a:" * 3000 + "b" + ":0.5]" * 3000,
    "10,000 bars": "[" + "a|" * 10_000 + "b]",
    "10,000 colons": "a:" * 10_000,
    "2,000 BREAKs": "hat BREAK " * 2000,
    "2,000 ANDs": "hat AND " * 2000 + "cat",
    "a backslash at the end": "hat \\",
    "20,000 backslashes": "\\" * 20_000,
    "300,000 letters": "x" * 300_000,
    "100,000 commas": "," * 100_000,
    "a LoRA that is not": "<lora:none:1>",
    "a LoRA without a name": "<lora::1>",
    "a LoRA of dots": "<lora:../../x:1>",
    "a LoRA of strength nan": "<lora:x:nan>",
    "a LoRA of strength 1e999": "<lora:x:1e999>",
    "a hypernetwork": "<hypernet:x\x1b:1>",
    "an unknown kind": "<\u202ex:y>",
    "20,000 LoRAs": "<lora:none:1>" * 20_000,
    "a LoRA not closed": "<lora:" * 5000,
    "comments only": "# nothing\n# at all",
    "surrogates": "\\ud800",
    "an emoji of many parts": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 900,
}

WILDCARDS: dict[str, bytes] = {
    "empty": b"",
    "of comments": b"# a\n# b\n",
    "no UTF-8": b"caf\xe9\n",
    "UTF-16": "red\nblue\n".encode("utf-16"),
    "of zeros": bytes(9000),
    "raw": b"\x1b[31mred\x07\n",
    "names itself": b"__colour__\n",
    "names itself in braces": b"{a|__colour__} __colour__\n",
    "one line of 300,000": b"x" * 300_000,
    "200,000 lines": b"red\n" * 200_000,
    "braces not closed": b"{a|b\n" * 50,
    "doubles itself": b"__colour__ __colour__\n",
    "a byte order mark": b"\xef\xbb\xbfred\n",
    "a LoRA": b"<lora:none:1>\n",
    "carriage returns": b"red\rblue\r",
    "nested deep": b"{" * 500 + b"a" + b"}" * 500,
}

CAPTIONS: dict[str, bytes] = {
    "empty": b"",
    "no UTF-8": b"caf\xe9",
    "UTF-16": "woman, hat".encode("utf-16"),
    "of zeros": bytes(900),
    "raw": b"\x1b[31mwoman\x07, hat",
    "of 3 lines": b"woman\nhat\ncat\n",
    "a byte order mark": b"\xef\xbb\xbfwoman, hat",
    "1 MB": b"tag, " * 200_000,
    "of a prompt": b"(woman:1.2), <lora:x:1>, [a:b:0.5]",
    "turned": "woman, \u202ehat".encode(),
    "line separators": "woman,\u2028hat".encode(),
}


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("prompts")
    for title, text in PROMPTS.items():
        key = rng.choice(("tags", "negative_prompt"))
        yield Case("prompts", f"{title}, as {key} of a plan", ("plan", PROJECT), _recipe(text, key))
    for title in rng.sample(sorted(PROMPTS), 12):
        yield Case(
            "prompts",
            f"{title}, of inpaint",
            (
                "inpaint",
                PROJECT,
                CANDIDATE,
                "--mask",
                f"{HERE}/none.png",
                "--prompt",
                PROMPTS[title][:100_000],
            ),
        )
    for title in (
        "brackets nested deep",
        "2,000 BREAKs",
        "2,000 ANDs",
        "300,000 letters",
        "schedules nested deep",
        "a LoRA that is not",
        "10,000 bars",
    ):
        yield Case(
            "prompts",
            f"{title}, of a sheet",
            (
                "sheet",
                PROJECT,
                "--x",
                "strength=1",
                "--y",
                "snapshot=1",
                "--prompt",
                PROMPTS[title][:100_000],
            ),
        )
    for title in (
        "300,000 letters",
        "100,000 commas",
        "brackets nested deep",
        "20,000 backslashes",
        "3,000 wildcards",
    ):
        yield Case(
            "prompts",
            f"{title}, of draw-tags",
            ("draw-tags", PROMPTS[title][:100_000], "--output", f"{HERE}/empty/x", "--base", "none"),
        )
    for title, content in WILDCARDS.items():
        place = rng.choice(
            (f"workspace/projects/{PROJECT}/wildcards/colour.txt", "workspace/wildcards/colour.txt")
        )
        yield Case(
            "wildcards",
            title,
            ("plan", PROJECT),
            all_of(file(place, content), _recipe("__colour__ hat", "tags")),
        )
    yield Case(
        "wildcards", "that double 40 times", ("plan", PROJECT), all_of(_doubling, _recipe("__w0__", "tags"))
    )
    yield Case(
        "wildcards",
        "a folder named like a file",
        ("plan", PROJECT),
        all_of(_folder("wildcards/colour.txt"), _recipe("__colour__", "tags")),
    )
    yield Case(
        "wildcards",
        "a file in place of the folder",
        ("plan", PROJECT),
        all_of(file(f"workspace/projects/{PROJECT}/wildcards", b"red"), _recipe("__colour__", "tags")),
    )
    yield Case(
        "wildcards",
        "a file with a raw name",
        ("plan", PROJECT),
        all_of(file("workspace/wildcards/\x1b[31mred.txt", b"red"), _recipe("__colour__", "tags")),
    )
    for title, content in CAPTIONS.items():
        verb, exits = rng.choice(
            (
                (("tags", PROJECT), (0, 2)),
                (("reindex", PROJECT), (0, 2)),
                (("doctor",), (0, 1, 2)),
                (("export", PROJECT, f"{HERE}/out", "--format", "kohya"), (0, 2)),
            )
        )
        lost = _lose_catalog if verb[0] == "reindex" else (lambda here: None)
        yield Case(
            "caption files",
            f"{title}, {verb[0]}",
            verb,
            all_of(lost, file(f"workspace/projects/{PROJECT}/dataset/{PICK}.txt", content)),
            exits=exits,
        )


def _lose_catalog(here: Path) -> None:
    (here / "workspace" / "catalog.sqlite").unlink()


def _recipe(text: str, key: str) -> Prepare:
    escaped = "".join(
        letter if letter.isascii() and letter.isalnum() else f"\\U{ord(letter):08x}" for letter in text
    )

    def write(here: Path) -> None:
        negative = f'[drawing]\nnegative_prompt = "{escaped}"\n' if key == "negative_prompt" else ""
        tags = escaped if key == "tags" else "hat"
        (project_folder(here) / "project.toml").write_text(
            f'[project]\ncaption = "woman, red apple"\n{negative}\n[[recipe]]\nkind = "add"\ntags = ["{tags}"]\ncount = 2\n'
        )

    return write


def _doubling(here: Path) -> None:
    folder = here / "workspace" / "wildcards"
    folder.mkdir()
    for number in range(40):
        (folder / f"w{number}.txt").write_text(f"__w{number + 1}__ __w{number + 1}__\n")
    (folder / "w40.txt").write_text("red\n")


def _folder(inside: str) -> Prepare:
    return lambda here: (here / "workspace" / inside).mkdir(parents=True)
