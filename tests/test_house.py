"""The structure of the code: where files lie, who imports what, who may use SQL, and who may write files."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUND = {
    "__init__", "__main__", "captions", "commands", "errors", "files", "images", "progress", "reading", "shot_limits",
    "shot_shape", "shots", "tag_scores", "tensor_files",
}  # fmt: skip
SOURCES = [
    path for room in ("bootstrap", "flows", "review_app") for path in sorted((ROOT / room).rglob("*.py"))
]


def test_only_the_ground_lies_loose() -> None:
    assert {path.stem for path in (ROOT / "bootstrap").glob("*.py")} == GROUND


def test_every_import_points_down() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_walls(path: Path) -> None:
    """No SQL and no table outside the catalog; nothing outside the families asks which family a model belongs to."""
    text = path.read_text("utf-8")
    room = path.relative_to(ROOT).as_posix()
    if not room.startswith("bootstrap/catalog/"):
        assert not re.search(r"\b(sqlalchemy|alembic)\b", _imports(text)), "it imports the database library"
        assert not re.search(r"\b\w+Row\b", _imports(text)), "it imports a table"
    if not room.startswith("bootstrap/models/families/"):
        assert "is_sdxl" not in text


# What writes, renames or deletes, and why it may do so beside bootstrap/files.py.
WRITERS = {
    (
        "bootstrap/papertown/text.py",
        "tempfile.TemporaryDirectory",
    ): "the tokenizer's class reads its words from files",
    ("bootstrap/papertown/text.py", "words.write_text"): "in that temporary folder",
    ("bootstrap/papertown/text.py", "rules.write_text"): "in that temporary folder",
    ("flows/children.py", "log.open"): "a log, which is appended to while the process runs",
    ("review_app/starting.py", "log.open"): "a log, which is read while the process runs",
    (
        "flows/environment.py",
        "own.mkdir",
    ): "a temporary folder with a mode of its own, outside the workspace",
    ("bootstrap/loop/import_sources.py", "temporary.write_bytes"): "the temporary file of whole_file",
    ("review_app/uploads.py", "tempfile.TemporaryDirectory"): "an upload is never kept as it is",
    ("review_app/uploads.py", "path.write_bytes"): "in that temporary folder",
    ("bootstrap/tensor_files.py", "temporary.open"): "the temporary file of whole_file",
    ("bootstrap/serving/own_server.py", "path.chmod"): "takes permissions away, and writes nothing",
    ("bootstrap/reading.py", "os.open"): "for reading only, without waiting for a pipe",
    ("bootstrap/cli/projects.py", "renaming.rename"): "our own, which is held to these rules",
    ("review_app/pages/project_changes.py", "renaming.rename"): "our own, which is held to these rules",
}
_METHODS = {
    "chmod", "hardlink_to", "mkdir", "rename", "rmdir", "symlink_to", "touch", "unlink", "write_bytes", "write_text",
}  # fmt: skip
_FUNCTIONS = {
    "os": {"chmod", "link", "makedirs", "mkdir", "open", "remove", "removedirs", "rename", "renames", "replace",
           "rmdir", "symlink", "truncate", "unlink"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "make_archive", "move", "rmtree", "unpack_archive"},
    "tempfile": {"NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile", "mkdtemp", "mkstemp"},
}  # fmt: skip
_SAVERS = {
    "save",
    "savez",
    "savez_compressed",
    "savefig",
    "save_file",
    "save_model",
    "save_pretrained",
    "to_csv",
}
# Savers of our own, which are themselves held to these rules, and of plain bytes.
_OWN = {"sheet_file.save", "state.save", "tagger.save"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_one_module_writes_files(path: Path) -> None:
    """Files are written whole by bootstrap/files.py, so that a kill leaves nothing half-done."""
    room = path.relative_to(ROOT).as_posix()
    if room == "bootstrap/files.py":
        return
    tree = ast.parse(path.read_text("utf-8"))
    given = _temporary_names(tree)
    found = {
        (room, ast.unparse(node.func))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _writes(node, given)
    }
    assert found == {writer for writer in WRITERS if writer[0] == room}


def test_what_writes_is_recognized() -> None:
    """The rule above sees the usual ways to write a file, and no others."""
    for call in (
        "open(p, 'w')", "p.open('ab')", "p.open(mode='x')", "io.open(p, 'r+')", "os.replace(a, b)", "shutil.rmtree(p)",
        "p.write_text('')", "p.replace(q)", "p.unlink(missing_ok=True)", "picture.save(p)", "save_file(t, p)",
        "zipfile.ZipFile(p, 'w')", "np.save(p, rows)", "p.mkdir()", "model.save_pretrained(folder / 'model')",
        "os.open(p, os.O_CREAT)", "sheet.save(p, 'PNG')",
    ):  # fmt: skip
        assert _writes(ast.parse(call, mode="eval").body, set()), call
    for call in (
        "open(p)", "p.open('rb')", "text.replace('a', 'b')", "dataclasses.replace(shot, seed=1)", "edit.save()",
        "picture.save(temporary, 'PNG')", "np.save(temporary, rows)", "save_file(t, temporary, m)",
        "picture.save(temporary / 'a.png')", "write_text(p, '')", "zipfile.ZipFile(temporary, 'w')",
        "Image.open(p, formats=F)", "webbrowser.open(url)",
    ):  # fmt: skip
        assert not _writes(ast.parse(call, mode="eval").body, {"temporary"}), call


def _writes(call: ast.expr, given: set[str]) -> bool:
    """Return whether a call writes, renames or deletes a file.

    Args:
        given: the names of temporary files, folders and buffers, which may be written to.
    """
    assert isinstance(call, ast.Call)
    function, arguments = call.func, [*call.args, *(keyword.value for keyword in call.keywords)]
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
    if {
        node.id for argument in arguments for node in ast.walk(argument) if isinstance(node, ast.Name)
    } & given:
        return False
    if owner in _FUNCTIONS:
        return name in _FUNCTIONS[owner]
    if name in ("open", "ZipFile"):
        modes = [
            each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]
        return any(re.fullmatch(r"[rwaxbt+]{1,3}", mode) and re.search(r"[wax+]", mode) for mode in modes)
    if name == "replace":
        return bool(owner) and len(call.args) == 1 and not call.keywords
    if name in _SAVERS and (owner or name != "save"):  # safetensors' own `save` returns bytes
        return bool(arguments) and f"{owner}.{name}" not in _OWN
    return bool(owner) and name in _METHODS


def _temporary_names(tree: ast.AST) -> set[str]:
    """Return the names that `whole_file` and `whole_folder` give to their blocks, and those of buffers in memory."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            if re.match(r"(files\.)?whole_(file|folder)\(", ast.unparse(node.context_expr)):
                names.add(node.optional_vars.id)
        elif isinstance(node, ast.Assign) and ast.unparse(node.value) == "io.BytesIO()":
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _imports(text: str) -> str:
    """Return the names that a file imports, one per line."""
    lines = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            lines += [f"{node.module} {alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            lines += [alias.name for alias in node.names]
    return "\n".join(lines)
