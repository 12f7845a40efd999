"""Whole directories or none: failures, crashes, force, and what is never deleted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modellego.brick import FORMAT_VERSION, Brick, Cut, check_target, load, save
from modellego.brick.format import folder as folder_module
from modellego.brick.format.folder import remove_folder, write_folder
from modellego.errors import FormatError

MakeBrick = Callable[..., Brick]
FILES = {"a": b"1", "b": b"2"}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_all_files_are_written(tmp_path: Path) -> None:
    write_folder(tmp_path / "x", FILES, replace=False)
    assert contents(tmp_path / "x") == FILES
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_folder(tmp_path / "x", FILES, replace=False)
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "x" / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("place", ["/proc", "/sys"])
def test_a_place_where_not_even_root_can_write_is_said_to_be_one(make_brick: MakeBrick, place: str) -> None:
    if not Path(place, "self" if place == "/proc" else "kernel").exists():
        pytest.skip(f"no {place} here")
    with pytest.raises(FormatError, match=r"x\.brick cannot be written|nothing can be written"):
        save(make_brick(), f"{place}/x.brick")


class Boom(BaseException):
    """Something nobody catches, like an interrupt from the keyboard."""


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Boom(), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_at_any_step_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, step: int, replace: bool
) -> None:
    """Steps 0 and 1 fail while a file is written, step 2 just before the rename."""
    target = tmp_path / "x"
    if replace:
        write_folder(target, {"a": b"old", "b": b"old"}, replace=False)
    calls = 0

    def fail(*args: object) -> None:
        nonlocal calls
        calls += 1
        if calls > step:
            raise error

    monkeypatch.setattr(folder_module.os if step < 2 else folder_module, "fsync" if step < 2 else "_put", fail)
    monkeypatch.setattr(folder_module, "_swap", fail) if step == 2 else None
    calls = 0 if step < 2 else 9
    with pytest.raises((FormatError, Boom, KeyboardInterrupt)):
        write_folder(target, FILES, replace)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == (["x"] if replace else [])
    if replace:
        assert contents(target) == {"a": b"old", "b": b"old"}


@pytest.mark.parametrize("exchange", [True, False], ids=["in one step", "in two"])
def test_replacing_leaves_the_new_one_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(folder_module, "exchange", lambda a, b: False)
    write_folder(tmp_path / "x", {"a": b"old"}, replace=False)
    write_folder(tmp_path / "x", FILES, replace=True)
    assert contents(tmp_path / "x") == FILES
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_replacing_in_two_steps_puts_the_old_one_back_on_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "x", {"a": b"old"}, replace=False)
    rename, names = Path.rename, []

    def second_fails(self: Path, target: Path) -> Path:
        names.append(self.name)
        if len(names) == 2:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(folder_module, "exchange", lambda a, b: False)
    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(FormatError, match="Input/output"):
        write_folder(tmp_path / "x", FILES, replace=True)
    assert contents(tmp_path / "x") == {"a": b"old"}
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(FormatError, match="meanwhile"):
        write_folder(tmp_path / "x", FILES, replace=False)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


CRASH = """
import os, signal, sys
from pathlib import Path
from modellego.brick.format import folder
real, seen = os.fsync, []
def dies(handle):
    seen.append(handle)
    if len(seen) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    real(handle)
os.fsync = dies
folder.write_folder(Path(sys.argv[1]), {"a": b"new", "b": b"new"}, replace=True)
"""


def test_a_killed_writer_leaves_the_old_one_whole_and_its_rest_is_swept(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_folder(target, FILES, replace=False)
    done = subprocess.run([sys.executable, "-c", CRASH, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert contents(target) == FILES
    rest = [p for p in tmp_path.iterdir() if p.name != "x"]
    assert len(rest) == 1
    write_folder(target, FILES, replace=True)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("begun", [False, True])
def test_the_rest_of_a_writer_at_work_is_not_swept(tmp_path: Path, begun: bool) -> None:
    other = tmp_path / ".x.0123456789ab.part"
    other.mkdir()
    if begun:
        (other / "a").write_bytes(b"half")
    with folder_module._locked(other):
        write_folder(tmp_path / "x", FILES, replace=False)
        assert other.is_dir()


def test_an_old_rest_is_swept_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "fcntl", None)
    other = tmp_path / ".x.0123456789ab.part"
    other.mkdir()
    long_ago = time.time() - 7200
    os.utime(other, (long_ago, long_ago))
    write_folder(tmp_path / "x", FILES, replace=False)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


FULL = """
import resource, signal, sys
from pathlib import Path
from modellego.brick.format import folder
from modellego.errors import FormatError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    folder.write_folder(Path(sys.argv[1]), {"a": b"new", "b": bytes(5000)}, replace=True)
except FormatError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_one_whole_and_is_said(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_folder(target, FILES, replace=False)
    done = subprocess.run([sys.executable, "-c", FULL, str(target)], check=False, capture_output=True, text=True)
    assert done.stdout.startswith(f"{target} cannot be written: ")
    assert contents(target) == FILES
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


WRITER = """
import sys
from pathlib import Path
from modellego.brick.format import folder
for _ in range(15):
    folder.write_folder(Path(sys.argv[1]), {"a": sys.argv[2].encode(), "b": sys.argv[2].encode()}, replace=True)
"""


def test_two_writers_leave_the_work_of_one(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_folder(target, FILES, replace=False)
    commands = [[sys.executable, "-c", WRITER, str(target), name] for name in ("one", "two")]
    writers = [subprocess.Popen(command) for command in commands]
    assert [writer.wait() for writer in writers] == [0, 0]
    left = contents(target)
    assert left["a"] == left["b"]
    assert left["a"] in (b"one", b"two")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("make", ["file inside", "folder inside", "link"])
def test_only_folders_with_our_files_are_removed(tmp_path: Path, make: str) -> None:
    real = tmp_path / "real"
    write_folder(real, FILES, replace=False)
    if make == "file inside":
        (real / "thesis.tex").write_text("years of work")
    elif make == "folder inside":
        (real / "a").unlink()
        (real / "a").mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    remove_folder(link if make == "link" else real, FILES)
    assert real.is_dir()
    assert (real / "b").exists()


def test_a_brick_is_not_overwritten(make_brick: MakeBrick, tmp_path: Path) -> None:
    save(make_brick(), tmp_path / "a")
    before = contents(tmp_path / "a")
    with pytest.raises(FormatError, match=r"exists.*by force"):
        save(make_brick(seed=1), tmp_path / "a")
    assert contents(tmp_path / "a") == before


def test_force_replaces_a_brick(make_brick: MakeBrick, tmp_path: Path) -> None:
    save(make_brick(("a",)), tmp_path / "a")
    save(make_brick(("b",)), tmp_path / "a", force=True)
    assert load(tmp_path / "a").classes == ("b",)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_force_replaces_the_brick_it_was_loaded_from(make_brick: MakeBrick, tmp_path: Path) -> None:
    brick = load(save(make_brick(), tmp_path / "a"))
    brick.info = brick.info.changed(notes="again")
    assert load(brick.save(tmp_path / "a", force=True)).info.notes == "again"


def test_force_writes_where_nothing_is(make_brick: MakeBrick, tmp_path: Path) -> None:
    assert load(save(make_brick(), tmp_path / "a", force=True)).classes == ("cat", "dog", "fox")


def _empty(path: Path, brick: Brick) -> None:
    path.mkdir()


def _home(path: Path, brick: Brick) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")


def _file(path: Path, brick: Brick) -> None:
    path.write_text("x")


def _link(path: Path, brick: Brick) -> None:
    path.symlink_to(save(brick, path.with_name("real")))


def _dangling(path: Path, brick: Brick) -> None:
    path.symlink_to("/nowhere")


def _brick_with_notes(path: Path, brick: Brick) -> None:
    (save(brick, path) / "thesis.tex").write_text("years of work")


def _other_json(path: Path, brick: Brick) -> None:
    path.mkdir()
    (path / "brick.json").write_text('{"house": 1}')
    (path / "model.safetensors").write_bytes(b"")


@pytest.mark.parametrize("make", [_empty, _home, _file, _link, _dangling, _brick_with_notes, _other_json])
def test_force_replaces_nothing_but_a_brick(
    make_brick: MakeBrick, tmp_path: Path, make: Callable[[Path, Brick], None]
) -> None:
    make(tmp_path / "a", make_brick())
    before = sorted((str(p), p.stat().st_size if p.is_file() else 0) for p in tmp_path.rglob("*"))
    with pytest.raises(FormatError, match="not replaced"):
        save(make_brick(), tmp_path / "a", force=True)
    assert sorted((str(p), p.stat().st_size if p.is_file() else 0) for p in tmp_path.rglob("*")) == before


def test_force_replaces_a_brick_of_another_version(make_brick: MakeBrick, tmp_path: Path) -> None:
    text = (save(make_brick(), tmp_path / "a") / "brick.json").read_text()
    (tmp_path / "a" / "brick.json").write_text(
        text.replace(f'"format_version": {FORMAT_VERSION}', '"format_version": 99', 1)
    )
    assert load(save(make_brick(), tmp_path / "a", force=True)).info.format_version == FORMAT_VERSION


def test_a_brick_of_version_1_is_read_and_written_at_todays(make_brick: MakeBrick, tmp_path: Path) -> None:
    brick = make_brick()
    how = Cut(criterion="l1", kept=1, total=2, widths={"stem": 9})
    folder = save(Brick(brick.network, brick.info.changed(cut=how)), tmp_path / "a")
    document = json.loads((folder / "brick.json").read_text())
    document["format_version"] = 1
    del document["cut"]["widths"]
    (folder / "brick.json").write_text(json.dumps(document))
    old = load(folder)
    assert old.info.cut == how.model_copy(update={"widths": {}})
    written = json.loads((save(old, tmp_path / "b") / "brick.json").read_text())
    assert written["format_version"] == FORMAT_VERSION


@pytest.mark.parametrize("path", ["/", "missing/a"])
def test_places_where_nothing_can_be_written_are_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match=r"not a place|does not exist"):
        check_target(path)


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_target("a/../b") == tmp_path / "b"
