"""Records what the scenes come to: `python tests/golden/record.py` writes recorded.json.

It was recorded from build a76663c, and only that build says what is right: where the package differs from it, nothing
is recorded. Names of scenes record these alone. On another kind of processor, `own_mode` adds the hashes of its own
mode, and leaves the rest as it is. `workspace` makes workspace-a76663c.zip anew, and records what is told of it.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.golden import doors, old_workspace, scenes  # noqa: E402

RECORDED = Path(__file__).with_name("recorded.json")
BUILD = "a76663c"
OWN_MODE, WORKSPACE = "own_mode", "workspace"
PACKAGES = ("bootstrap", "flows", "review_app")


def is_that_build() -> bool:
    """Whether the packages are as in the build that is recorded."""
    command = ["git", "-C", str(ROOT), "diff", "--quiet", BUILD, "--", *PACKAGES]
    return subprocess.run(command).returncode == 0


def record(names: list[str]) -> None:
    """Run scenes, and write what they come to into recorded.json; what else stands there stays."""
    found = json.loads(RECORDED.read_text("utf-8")) if RECORDED.is_file() else {}
    found["comment"] = (
        f"Recorded from build {BUILD} by `python tests/golden/record.py`; not to be changed by hand."
    )
    found["build"] = BUILD
    if names != [OWN_MODE]:
        found["versions"] = doors.versions()
    for name in names:
        if name == OWN_MODE:
            facts = {"versions": doors.versions(), "facts": _run(name, scenes.own_mode)}
            found.setdefault(OWN_MODE, {})[doors.processor()] = facts
        elif name == WORKSPACE:
            found[WORKSPACE] = _run(name, _workspace)
        else:
            found.setdefault("scenes", {})[name] = _run(name, scenes.SCENES[name])
    RECORDED.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _workspace(folder: Path) -> scenes.Facts:
    old_workspace.make(folder)
    verbs = {"told": old_workspace.told, "undone": old_workspace.undone, "gone_on": old_workspace.gone_on}
    return {name: tell(old_workspace.unpacked(folder / name)) for name, tell in verbs.items()}


def _run(name: str, scene: scenes.Scene) -> scenes.Facts:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sid-golden-") as folder:
        facts = scene(Path(folder))
    print(f"{name}: {time.monotonic() - started:.0f} s")
    return facts


if __name__ == "__main__":
    if not is_that_build():
        sys.exit(
            f"{', '.join(PACKAGES)} differ from build {BUILD}, so there is nothing to record: git checkout {BUILD}"
        )
    record(sys.argv[1:] or [*scenes.SCENES, OWN_MODE, WORKSPACE])
