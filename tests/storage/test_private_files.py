"""Files that only their owner can read: with any umask, made by any user, and never through a link."""

import fcntl
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from governance.storage import private_files
from governance.storage.private_files import LockTimeoutError

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
WRITERS = {
    "write_new": lambda path: private_files.write_new(path, b"new"),
    "append": lambda path: private_files.append(path, b"new"),
    "replace": lambda path: private_files.replace(path, b"new"),
    "open_or_create": lambda path: os.close(private_files.open_or_create(path)),
}
every = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def _mask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


@every
@pytest.mark.usefixtures("_mask")
def test_a_file_is_its_owners_alone_whatever_the_umask(write, tmp_path):
    write(tmp_path / "file")
    assert mode(tmp_path / "file") == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.usefixtures("_mask")
def test_folders_are_their_owners_alone_whatever_the_umask(tmp_path):
    private_files.make_folder(tmp_path / "a/b")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a/b")) == (0o700, 0o700)


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    tmp_path.chmod(0o755)
    private_files.make_folder(tmp_path)
    assert mode(tmp_path) == 0o755


@every
@as_root
def test_what_root_makes_belongs_to_the_owner_of_the_folder(write, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    private_files.make_folder(folder / "inner")
    write(folder / "inner/file")
    for path in (folder / "inner", folder / "inner/file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY)


@pytest.mark.parametrize("name", ["write_new", "append", "open_or_create"])
def test_a_link_is_not_followed(name, tmp_path):
    precious, missing = tmp_path / "precious", tmp_path / "missing"
    precious.write_bytes(b"precious")
    for target in (precious, missing):
        (tmp_path / "link").symlink_to(target)
        with pytest.raises(OSError, match="link"):
            WRITERS[name](tmp_path / "link")
        (tmp_path / "link").unlink()
    assert precious.read_bytes() == b"precious"
    assert not missing.exists()


def test_a_replaced_link_leaves_what_it_led_to(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    private_files.replace(tmp_path / "link", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"new"
    assert not (tmp_path / "link").is_symlink()


def test_a_file_that_is_there_is_not_written_anew(tmp_path):
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        private_files.write_new(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"precious"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_file_system_without_hard_links_is_served_too(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    private_files.write_new(tmp_path / "file", b"new")
    with pytest.raises(FileExistsError):
        private_files.write_new(tmp_path / "file", b"newer")
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["append", "open_or_create"])
def test_a_pipe_or_a_folder_in_the_way_hangs_nobody(name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "pipe", tmp_path / "folder"):
        with pytest.raises(OSError, match=r"no file|directory|No such device"):
            WRITERS[name](path)


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """Yield a lock that another process holds."""
    path = tmp_path / "lock"
    path.touch()
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield path, process
        process.kill()


def test_a_lock_is_waited_for_so_long_and_its_holder_is_named(held):
    path, process = held
    with pytest.raises(LockTimeoutError) as told, private_files.locked(path, 0.05):
        pass
    assert f"process {process.pid} (" in str(told.value)
    assert str(path) in str(told.value)


def test_who_waits_long_says_for_whom(held, monkeypatch, caplog):
    path, process = held
    monkeypatch.setattr(private_files, "TELL_AFTER", 0.0)
    logger = logging.getLogger("governance")
    monkeypatch.setattr(logger, "propagate", True)
    with pytest.raises(LockTimeoutError), private_files.locked(path, 0.1):
        pass
    (message,) = set(caplog.messages)
    assert f"process {process.pid}" in message


def test_a_lock_is_free_when_its_holder_has_died(held):
    path, process = held
    process.kill()
    process.wait()
    with private_files.locked(path, 5), private_files.opened(path) as other:
        assert not private_files.try_lock(other, fcntl.LOCK_EX)


def test_a_lock_file_that_others_could_open_is_closed_to_them(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    path.chmod(0o644)
    with private_files.locked(path, 1):
        assert mode(path) == 0o600
