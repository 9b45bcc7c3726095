"""The catalog, in a real SQLite file and in a real PostgreSQL: migrated, shared by processes."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import rows
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from making import add_drawn, scene, shot
from sqlalchemy.exc import IntegrityError

import bootstrap.catalog
from bootstrap.catalog import Catalog, advices, candidates, generations, trainings, verdicts
from bootstrap.catalog.advices import Advice, Measurement
from bootstrap.catalog.states import CandidateState, GenerationState, Verdict
from bootstrap.catalog.tables import CandidateRow, GenerationRow, ProjectRow, Table
from bootstrap.errors import UserError, machine_problem
from bootstrap.progress import Progress


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'catalog.sqlite'}"


@pytest.fixture
def catalog(catalog_url):
    """The catalog of `project`, in each kind of database."""
    opened = Catalog(catalog_url)
    yield opened
    opened.close()


# --- schema -------------------------------------------------------------------------------------------


def test_migrations_from_nothing_make_exactly_the_tables_of_the_code(catalog_url):
    Catalog(catalog_url).close()
    engine = sa.create_engine(catalog_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []
        assert context.get_current_revision() is not None
    engine.dispose()


def test_a_catalog_of_the_first_schema_is_brought_up_to_date(catalog_url):
    engine = sa.create_engine(catalog_url)
    config = Config()
    config.set_main_option("script_location", str(Path(bootstrap.catalog.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in _FIRST_SCHEMA:
            connection.execute(sa.text(statement))
    engine.dispose()
    catalog = Catalog(catalog_url)
    training = trainings.of_generation(catalog, "apple", 1)
    assert training is not None
    assert [(snapshot.epoch, snapshot.loss) for snapshot in training.snapshots] == [(1, 0.2), (2, 0.1)]
    assert [snapshot.training_id for snapshot in training.snapshots] == ["t" * 64] * 2
    assert advices.of_training(catalog, "apple", "t" * 64) is None
    advice = Advice([Measurement(1, -0.1, 0.9, None), Measurement(2, 0.5, 0.6, 0.7)], 1, 2)
    advices.add(catalog, "apple", "t" * 64, advice)
    assert advices.of_training(catalog, "apple", "t" * 64) == advice
    assert advices.of_training(catalog, "pear", "t" * 64) is None
    catalog.close()


_FIRST_SCHEMA = (
    "insert into project values (1, 'apple', '2026-01-01 00:00:00')",
    "insert into generation values (1, 1, 1, 'published', '" + "t" * 64 + "', '', 0, 0, '', 0, '', "
    "'2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    "insert into training (id, project_id, generation_id, training_id, settings, dataset, steps, started_at, "
    "finished_at) values (1, 1, 1, '" + "t" * 64 + "', '{}', '[]', 40, '2026-01-01 00:00:00', "
    "'2026-01-01 00:01:00')",
    "insert into snapshot values (1, 1, 1, 'one.safetensors', '" + "a" * 64 + "', 0.2)",
    "insert into snapshot values (2, 1, 2, 'two.safetensors', '" + "b" * 64 + "', 0.1)",
)


def test_opening_again_keeps_what_is_there(catalog_url):
    first = Catalog(catalog_url)
    generations.begin(first, "apple")
    first.close()
    again = Catalog(catalog_url)
    assert generations.latest(again, "apple") == 1
    again.close()


def test_a_catalog_that_cannot_be_opened_is_told_in_one_line(tmp_path):
    (tmp_path / "catalog.sqlite").write_bytes(b"this is no database, " * 100)
    with pytest.raises(UserError, match=r"catalog sqlite:.*cannot be opened \(file is not a database"):
        Catalog(url_of(tmp_path))
    with pytest.raises(UserError, match="cannot be opened"):
        Catalog(url_of(tmp_path / "catalog.sqlite"))  # a file where a folder should be


def test_a_catalog_of_a_newer_version_is_left_alone(catalog_url):
    Catalog(catalog_url).close()
    database = sa.create_engine(catalog_url)
    with database.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(UserError, match="another version of sid made it"):
        Catalog(catalog_url)
    with database.connect() as connection:
        assert connection.execute(sa.text("select version_num from alembic_version")).scalars().all() == [
            "9999"
        ]
    database.dispose()


@pytest.mark.parametrize(
    "wrong",
    ["", "here", "mysql://me@host/sid", "postgresql+nothing://host/sid", "postgresql://me@host:port/sid"],
)
def test_a_wrong_url_is_told_in_one_line(wrong):
    with pytest.raises(UserError, match="SID_CATALOG_URL: not the URL of a catalog; write postgresql://"):
        Catalog(wrong)


def test_a_database_that_is_gone_in_the_middle_is_told_in_a_line():
    with pytest.raises(sa.exc.OperationalError) as gone:
        sa.create_engine("postgresql+psycopg://sid:secret@127.0.0.1:1/sid").connect()
    message = machine_problem(gone.value)
    assert message.startswith("SID_CATALOG_URL: the database does not answer (connection failed")
    assert "secret" not in message and "\n" not in message


def test_a_database_that_does_not_answer_is_told_without_its_password(postgres):
    url = sa.make_url(postgres.new_database()).set(database="nothing", password="secret")
    with pytest.raises(UserError, match=r'cannot be opened \(.*"nothing" does not exist') as refused:
        Catalog(url.render_as_string(hide_password=False))
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


def test_the_folder_of_a_new_catalog_is_made(tmp_path):
    Catalog(url_of(tmp_path / "new" / "folder")).close()
    assert (tmp_path / "new/folder/catalog.sqlite").is_file()


def test_sqlite_is_set_up_for_several_processes_and_for_power_cuts(tmp_path):
    catalog = Catalog(url_of(tmp_path))
    with catalog.read() as session:
        pragma = {
            name: session.execute(sa.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert pragma == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "busy_timeout": 60_000}
    catalog.close()


def test_foreign_keys_hold(catalog):
    with pytest.raises(IntegrityError), catalog.write() as session:
        session.add(GenerationRow(project_id=999, number=1, state="waiting"))


def test_deleting_a_project_deletes_what_belongs_to_it(catalog, project, published):
    verdicts.decide(catalog, project.name, published[:1], Verdict.ACCEPT, "tester")
    with catalog.write() as session:
        session.execute(sa.delete(ProjectRow).where(ProjectRow.name == project.name))
    with catalog.read() as session:
        for table in Table.metadata.sorted_tables:
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0


def test_a_write_that_raises_changes_nothing(catalog):
    with pytest.raises(RuntimeError), catalog.write() as session:
        generations.project_row(session, "apple")
        raise RuntimeError
    with catalog.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ProjectRow)) == 0


def test_times_come_back_in_utc_whatever_zone_they_went_in(catalog):
    tokyo = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=9)))
    with catalog.write() as session:
        session.add(ProjectRow(name="apple", created_at=tokyo))
    with catalog.read() as session:
        created_at = session.scalars(sa.select(ProjectRow)).one().created_at
    assert created_at == tokyo and created_at.tzinfo == UTC


# --- several processes --------------------------------------------------------------------------------


_COUNT_UP = """
for _ in range(40):
    with catalog.write() as session:
        row = session.scalars(sa.select(GenerationRow)).one()
        seen = row.done
        time.sleep(0.002)  # long enough for the other one to come in between, if it could
        row.done = seen + 1
"""
_PROCESS = """
import sys, time
import sqlalchemy as sa
from bootstrap.catalog import Catalog, generations
from bootstrap.catalog.tables import GenerationRow
print("ready", flush=True)
sys.stdin.readline()
catalog = Catalog(sys.argv[1])
"""


def run_at_once(url: str, code: str) -> None:
    """Run code with `catalog` open in two processes, which open it at the same moment."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS + code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]


def test_two_processes_that_write_at_once_lose_nothing(catalog_url):
    catalog = Catalog(catalog_url)
    generations.begin(catalog, "apple")
    run_at_once(catalog_url, _COUNT_UP)
    assert generations.statuses(catalog, "apple")[0].done == 80
    catalog.close()


def test_two_processes_that_open_a_new_catalog_at_once_migrate_it_once(catalog_url):
    run_at_once(catalog_url, "generations.begin(catalog, 'apple')")
    catalog = Catalog(catalog_url)
    assert [status.number for status in generations.statuses(catalog, "apple")] == [1]
    catalog.close()


def test_a_reader_is_not_held_up_by_a_writer(catalog):
    generations.begin(catalog, "apple")
    with catalog.write() as session:
        session.add(ProjectRow(name="pear"))
        session.flush()
        started = time.monotonic()
        assert generations.latest(catalog, "apple") == 1
        with catalog.read() as reader:
            assert reader.scalar(sa.select(sa.func.count()).select_from(ProjectRow)) == 1
        assert time.monotonic() - started < 5


def test_a_writer_waits_for_another_one_instead_of_failing(catalog):
    generations.begin(catalog, "apple")
    holding, done = threading.Event(), []

    def hold() -> None:
        with catalog.write() as session:
            generations.generation_row(session, "apple", 1).done = 1
            holding.set()
            time.sleep(0.3)
            done.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    with catalog.write() as session:  # read first, then write: what fails at once without BEGIN IMMEDIATE
        row = generations.generation_row(session, "apple", 1)
        row.done += 1
        done.append("second")
    thread.join()
    assert done == ["first", "second"]
    assert generations.statuses(catalog, "apple")[0].done == 2


def test_what_was_committed_survives_a_process_that_is_killed(catalog_url):
    """Opened by somebody else, while our connection is still open and nothing was closed."""
    catalog = Catalog(catalog_url)
    generations.begin(catalog, "apple")
    other = sa.create_engine(catalog_url)
    with other.connect() as connection:
        assert connection.execute(sa.text("select number from generation")).scalars().all() == [1]
    other.dispose()
    catalog.close()


# --- generations --------------------------------------------------------------------------------------


def test_a_generation_is_worked_on_until_it_has_grown(catalog):
    assert generations.latest(catalog, "apple") is None
    for state in ("training", "drawing", "curating", "failed", "training", "cancelled", "published"):
        assert generations.begin(catalog, "apple") == 1
        generations.set_state(catalog, "apple", 1, GenerationState(state))
    generations.set_state(catalog, "apple", 1, GenerationState.GROWN)
    assert generations.begin(catalog, "apple") == 2
    assert generations.begin(catalog, "pear") == 1  # each project counts for itself
    assert [status.number for status in generations.statuses(catalog, "apple")] == [1, 2]


def test_a_reporter_keeps_the_row_up_to_date_but_not_too_often(catalog):
    generations.begin(catalog, "apple")
    report = generations.reporter(catalog, "apple", 1, every_seconds=60)
    for step in range(1, 6):
        report(Progress("train", step, 10, "steps", 2.0, f"loss {step}"))
    status = generations.statuses(catalog, "apple")[0]
    assert (status.stage, status.done, status.total, status.message) == ("train", 1, 10, "loss 1")
    report(Progress("train", 10, 10, "steps", 2.0))
    status = generations.statuses(catalog, "apple")[0]
    assert (status.done, status.rate, status.unit) == (10, 2.0, "steps")
    assert 0 <= status.seconds_since_update < 30
    generations.set_state(catalog, "apple", 1, GenerationState.FAILED, "the cat unplugged it")
    status = generations.statuses(catalog, "apple")[0]
    assert (status.state, status.message, status.done, status.total) == (
        "failed",
        "the cat unplugged it",
        0,
        0,
    )


def test_statuses_count_candidates(catalog, project, published):
    add_drawn(project, catalog, 1, [scene(90)], [shot(90)])
    with catalog.write() as session:
        row = session.scalars(sa.select(CandidateRow).order_by(CandidateRow.id.desc()).limit(1)).one()
        row.state, row.duplicate_of = CandidateState.DUPLICATE, "original"
    verdicts.decide(catalog, project.name, published[:2], Verdict.ACCEPT, "t")
    verdicts.decide(catalog, project.name, published[2:3], Verdict.REJECT, "t")
    status = generations.statuses(catalog, project.name)[0]
    counts = (status.candidates, status.duplicates, status.published)
    assert counts == (5, 1, 4)
    assert (status.undecided, status.accepted, status.rejected) == (1, 2, 1)


# --- candidates ---------------------------------------------------------------------------------------


def test_candidates_come_back_as_they_were_drawn(catalog, project, published):
    drawn = candidates.candidates(catalog, project.name)
    assert [candidate.id for candidate in drawn] == published
    assert drawn[0].shot == shot(1000)
    assert drawn[0].thumbnail.as_posix() == f"generation-01/thumbnails/{published[0]}.webp"
    assert candidates.candidates(catalog, "nobody") == []


def test_a_candidate_is_found_by_the_beginning_of_its_id(catalog, project, published):
    assert candidates.candidate(catalog, project.name, published[2][:10]).id == published[2]
    for wrong in ("", "zz", published[0] + "0", "_", "%"):
        with pytest.raises(UserError, match="none with this id"):
            candidates.candidate(catalog, project.name, wrong)
    with pytest.raises(UserError, match="project 'nobody' has none"):
        candidates.candidate(catalog, "nobody", published[0])


def test_two_candidates_of_one_shot_cannot_be(catalog, project, published):
    row = rows.read(catalog, "candidate")[0]
    with pytest.raises(IntegrityError):
        rows.add(catalog, "candidate", **{**row._mapping, "id": 1000})
    add_drawn(project, catalog, 1, [scene(1)], [row_shot := shot(1000)])  # drawn again it stays one
    assert [candidate.id for candidate in candidates.candidates(catalog, project.name, state=None)].count(
        row_shot.id
    ) == 1
