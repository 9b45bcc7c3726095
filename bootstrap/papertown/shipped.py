"""The originals that ship with the package; new users, tests and the demo start from them.

    python -m bootstrap.papertown.shipped bootstrap/papertown/originals

draws them again. Their accents are things that the base models have never seen.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bootstrap.files import whole_file, write_text
from bootstrap.papertown import data, world
from bootstrap.papertown.figures import Person
from bootstrap.papertown.world import Prop, Scene

ORIGINALS = {
    "badge": Scene(
        Person("woman", "pale", "blonde", "blazer", "blue", "smile", hair="bob cut"),
        Prop("apple", "red"),
        wall="teal",
        wall_item="window",
        desk=True,
        desk_item="papers",
        accent="id badge",
    ),
    "crown": Scene(
        Person("woman", "tan", "brown", "t-shirt", "pink", "smile", hair="long straight", eyes="closed eyes"),
        Prop("flower", "yellow"),
        outdoors="forest",
        accent="flower crown",
    ),
    "medal": Scene(
        Person("woman", "dark", "black", "hoodie", "white", "open mouth", hair="tied up", eyes="happy eyes"),
        Prop("ball", "orange"),
        outdoors="city street",
        accent="medal",
    ),
    "scarf": Scene(
        Person("man", "pale", "red", "sweater", "green", "smile", hair="short", eyewear="round glasses"),
        Prop("book", "purple"),
        outdoors="mountains",
        accent="striped scarf",
    ),
}


def write_originals(folder: Path) -> None:
    """Write each original's picture and caption into `folder`."""
    for name, scene in ORIGINALS.items():
        with whole_file(folder / f"{name}.png") as temporary:
            world.render(scene, data.SIZE).save(temporary)
        write_text(folder / f"{name}.txt", ", ".join(world.tags(scene)) + "\n")


if __name__ == "__main__":
    write_originals(Path(sys.argv[1]))
