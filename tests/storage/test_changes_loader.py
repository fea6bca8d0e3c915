"""The changes since a mark, applied to a snapshot, give exactly the state of a load of all rows."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, update

from governance.domain.times import DAY, HOUR, SECOND
from governance.storage import revisions
from governance.storage.sqlite.database import SqliteDatabase, engine_options
from governance.storage.tables import config_revision
from tests.conftest import FakeClock
from tests.storage.stored import NOON
from tests.storage.world import Follower, World

WRITES = ["limit", "edit", "reset", "user", "virtual_key", "api_key"]
MOVES = {"second": SECOND, "hour": HOUR, "day": DAY}
BACK = {"a second back": -SECOND, "an hour back": -HOUR, "two days back": -2 * DAY}
acts = st.tuples(st.sampled_from([*WRITES, "limit", "use", "use", "poll", *MOVES]), st.integers(0, 2))
acts_and_steps = acts | st.tuples(st.sampled_from([*BACK]), st.just(0))


@pytest.fixture(scope="module")
def play(template: Path):
    """Return a function that runs acts in a database of its own, and compares at the end."""

    def story(steps: list[tuple[str, int]]) -> None:
        with TemporaryDirectory() as folder:
            path = Path(shutil.copy(template, Path(folder) / "governance.db"))
            engine = create_engine(f"sqlite:///{path}", **engine_options(path, 1, 2))
            world = World(SqliteDatabase(engine, path), FakeClock(NOON))
            world.poll()
            for act, number in steps:
                happen(world, act, number)
            world.poll()
            world.check()
            engine.dispose()

    return story


def happen(world: World, act: str, number: int) -> None:
    if act in WRITES:
        world.write(act, number)
    elif act in MOVES or act in BACK:
        world.clock.now += {**MOVES, **BACK}[act]
    else:
        getattr(world, act)(number)
    if act in BACK or act == "poll":
        world.poll()
        world.check()


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(acts, max_size=25))
def test_what_a_memory_is_told_adds_up_to_a_whole_load(play, steps):
    play(steps)


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(acts_and_steps, max_size=25))
def test_a_clock_that_steps_back_hides_nothing(play, steps):
    play(steps)


@pytest.fixture
def world(database: SqliteDatabase, clock: FakeClock) -> World:
    made = World(database, clock)
    made.write("limit", 0)
    made.poll()
    return made


def used(world: World) -> int:
    _, held = world.follower.state["limits"]["0"]
    return held[0].used if held[0] else 0


def test_the_first_load_is_whole_and_the_next_brings_nothing_new(world):
    assert Follower(world.follower.load).follow().whole
    world.clock.advance(60)
    changes = world.follower.follow()
    assert not changes.whole
    assert (changes.limits, changes.gone, changes.names, changes.api_keys, changes.virtual_keys) == ({}, [], {}, {}, {})


def test_usage_alone_brings_the_limits_that_were_used_and_moves_no_revision(world):
    world.write("limit", 1)
    world.clock.advance(60)
    before = world.follower.follow().mark
    world.clock.advance(60)
    world.use(1)
    changes = world.follower.follow()
    assert list(changes.limits) == ["1"]
    assert changes.mark.revision == before.revision


@pytest.mark.parametrize("seconds", [1, 60, 3600, 40 * 86400])
def test_usage_after_a_step_back_is_found(world, seconds):
    world.clock.advance(2 * 3600)
    world.poll()
    world.clock.advance(-seconds)
    world.use(0)
    world.poll()
    assert used(world) == 1
    world.clock.advance(1)
    world.use(0)
    world.poll()
    assert used(world) == 2


def test_usage_while_the_clock_was_wrong_for_a_moment_is_found(world):
    world.clock.advance(-3600)
    world.use(0)
    world.clock.advance(3601)
    world.poll()
    assert used(world) == 1


def test_usage_is_found_after_the_limit_that_was_used_last_is_gone_and_the_clock_stepped_back(world):
    world.write("limit", 1)
    world.clock.advance(3600)
    world.use(1)
    world.poll()
    world.clock.advance(-1800)
    world.write("limit", 1)
    world.use(0)
    world.poll()
    assert used(world) == 1


def test_a_revision_that_went_backwards_makes_a_whole_load(world):
    with world.database.write() as connection:
        connection.execute(update(config_revision).values(revision=0))
    assert world.follower.follow().whole


def test_another_file_of_the_same_revision_makes_a_whole_load(world, tmp_path):
    world.follower.follow()
    world.database.engine.dispose()
    copy = shutil.copy(world.database.path, tmp_path / "copy.db")
    Path(copy).replace(world.database.path)
    assert world.follower.follow().whole
    assert not world.follower.follow().whole


def test_a_load_sees_nothing_of_a_write_that_is_not_committed(world, opened):
    before = world.follower.mark
    with opened(world.database.path).write() as connection:
        world.limit(connection, revisions.advance(connection), "1")
        assert world.follower.follow().limits == {}
        assert world.follower.mark.revision == before.revision
    assert list(world.follower.follow().limits) == ["1"]
