"""Run all hostile inputs, and print those that `sid` does not meet as it should, by kind.

python -m tests.hostile.report [PART OF A CASE'S ID]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.hostile import inputs, verdict

_TOGETHER = 1500  # seconds


def results(ids: list[str]) -> list[dict[str, Any]]:
    """Run the cases of these ids; return what became of each."""
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory(prefix="sid-hostile-") as folder:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("SID_", "PREFECT_"))},
            "PYTHONPATH": os.pathsep.join((str(root), str(root / "tests"))),
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "1",  # a thread's own arena would count as 64 MiB
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "PREFECT_HOME": f"{folder}/prefect",
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.hostile.zygote", folder],
            input=json.dumps(ids),
            capture_output=True, text=True, cwd=root, env=environment, timeout=_TOGETHER,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    """Print the failures."""
    wanted = " ".join(sys.argv[1:])
    found = results([case.id for case in inputs.all_cases() if wanted in case.id])
    kinds: dict[str, list[str]] = {}
    for result in found:
        for fault in verdict.faults(result):
            kind, _, what = fault.partition(": ")
            kinds.setdefault(kind, []).append(f"- {result['id']}: {what}")
    bad = {result["id"] for result in found if verdict.faults(result)}
    print(f"{len(found)} inputs, {len(bad)} not met as they should be")
    for kind, lines in sorted(kinds.items()):
        print(f"\n## {kind} ({len(lines)})\n" + "\n".join(sorted(lines)))
    print(f"\n{sum(result['cpu'] for result in found):.0f} s of processor time")
    slow = sorted(found, key=lambda result: -result["cpu"])[:40]
    print("\n## slowest\n" + "\n".join(f"- {one['cpu']:.1f} s {one['id']}" for one in slow))


if __name__ == "__main__":
    main()
