"""Catalogs of every version that there has been, each with a row in every table that it had."""

# ruff: noqa: E501  (SQL is easier to read on one line)

import json
import shutil
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from making import shot

import bootstrap.catalog

_WHEN = "'2026-01-01 00:00:00'"
SHOTS = [shot(1), shot(2)]


def _shot(number: int) -> str:
    return "'" + json.dumps(SHOTS[number].to_dict()).replace("'", "''") + "'"


# What was written by the version that made each schema, beside what earlier ones had written.
_ROWS: dict[str, tuple[str, ...]] = {
    "0001": (
        f"insert into project (id, name, created_at) values (1, 'apple', {_WHEN})",
        "insert into generation (id, project_id, number, state, training_id, stage, done, total, unit, rate, message, "
        f"created_at, updated_at) values (1, 1, 1, 'grown', '{'t' * 64}', '', 0, 0, '', 0, 'well done', {_WHEN}, {_WHEN})",
        f"insert into training (id, project_id, generation_id, training_id, settings, dataset, steps, started_at, "
        f"finished_at) values (1, 1, 1, '{'t' * 64}', '{{}}', '[]', 40, {_WHEN}, {_WHEN})",
        f"insert into snapshot (id, training_row_id, epoch, path, sha256, loss) values (1, 1, 1, 'one.safetensors', '{'a' * 64}', 0.2)",
        *(
            "insert into candidate (id, project_id, generation_id, shot_id, shot, path, phash, phash_mirrored, texture, state, "
            f"duplicate_of, verdict, reviewer, decided_at, created_at) values ({number + 1}, 1, 1, '{SHOTS[number].id}', :shot, "
            f"'{SHOTS[number].id}.png', '{number}0f0f0f0f0f0f0f0', '00ff00ff00ff00ff', 0.5, 'published', null, '{verdict}', 'ann', "
            f"{_WHEN}, {_WHEN})".replace(":shot", _shot(number))
            for number, verdict in ((0, "accept"), (1, "reject"))
        ),
        f"insert into pick (id, candidate_id, path, caption, added_at) values (1, 1, 'dataset/one.png', 'woman, hat', {_WHEN})",
        *(
            "insert into verdict (id, candidate_id, verdict, before, reviewer, decided_at, undone_at) values "
            f"({number}, {number}, '{verdict}', 'undecided', 'ann', {_WHEN}, null)"
            for number, verdict in ((1, "accept"), (2, "reject"))
        ),
    ),
    "0002": ("update snapshot set closeness = 0.1, freedom = 0.9", "update training set variation = 1, replication = 1"),
    "0003": ("insert into small_copy values (1, x'000102')",),
    "0004": (f"insert into kept_apart values (1, 1, '{SHOTS[0].id}', '{SHOTS[1].id}', 'ann', {_WHEN})",),
    "0005": ("update candidate set quality = 0.5, rank = 3", "insert into feature values (1, 'base', x'0102')"),
    "0006": ("update candidate set seconds = 1.5",),
    "0007": (f"insert into lease values (1, 'holder', 'machine', 7, 3, {_WHEN})", "update candidate set turn = id"),
    "0008": ("update candidate set caption = 'woman, cap', reason = 'style' where id = 2",),
    "0009": ("""update generation set tallies = '[{"kind": "vary"}]'""",),
    "0010": ("update candidate set hash_kind = 'dhash' where id = 2",),
    "0011": (f"""insert into sheet values (1, 1, 'sheets/one.png', '[["strength", [0.5]]]', '', {_WHEN})""",),
    "0012": (f"update project set identity = '{'d' * 32}'",),
}  # fmt: skip


def config() -> Config:
    """Alembic's settings for the catalog's migrations."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(bootstrap.catalog.__file__).parent / "migrations"))
    return settings


def versions() -> list[str]:
    """All versions, oldest first; each has rows here."""
    known = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()]
    assert sorted(known) == sorted(_ROWS), "write rows for the newest version into _ROWS"
    return sorted(known)


def make_all(folder: Path) -> dict[str, Path]:
    """Make a SQLite catalog of each version, with rows in all of its tables; return their files."""
    growing, settings, made = folder / "growing.sqlite", config(), {}
    engine = sa.create_engine(f"sqlite:///{growing}")
    for version in versions():
        with engine.connect() as connection:
            connection.exec_driver_sql("pragma synchronous=off")
            settings.attributes["connection"] = connection
            command.upgrade(settings, version)
            for statement in _ROWS[version]:
                connection.exec_driver_sql(statement)
            connection.commit()
        made[version] = Path(shutil.copy(growing, folder / f"{version}.sqlite"))
    engine.dispose()
    return made


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, the schema's version among them."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        tables = sorted(sa.inspect(connection).get_table_names())
        found = {
            name: [tuple(row) for row in connection.execute(sa.text(f"select * from {name} order by 1"))]
            for name in tables
        }
    engine.dispose()
    return found
