"""Files that appear whole or not at all."""

import fcntl
import json
import os
import pathlib

import numpy as np
import pytest

from gtzan_jax import atomic


def test_what_is_written_takes_the_old_ones_place(tmp_path):
  path = tmp_path / "facts.json"
  for value in ({"genre": "schlager, süß"}, {"genre": None}):
    atomic.write_json(path, value)
    assert json.loads(path.read_text("utf-8")) == value
  atomic.write(path, b"\x00\xff")
  assert path.read_bytes() == b"\x00\xff"
  assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_never_written_to(tmp_path):
  """Who has it open reads it to its end, and other names of it keep it."""
  path, other = tmp_path / "facts.json", tmp_path / "kept.json"
  path.write_bytes(b"before")
  os.link(path, other)
  with path.open("rb") as reader:
    with atomic.opened(path) as file:
      file.write(b"af")
      file.flush()
      assert path.read_bytes() == b"before"
      file.write(b"ter")
    assert reader.read() == b"before"
  assert (path.read_bytes(), other.read_bytes()) == (b"after", b"before")


@pytest.mark.parametrize("before", [b"before", None])
def test_a_failed_write_names_the_file_and_leaves_the_old(tmp_path, before):
  path = tmp_path / "model.npz"
  if before:
    path.write_bytes(before)

  def fail():
    with atomic.opened(path) as file:
      np.savez(file, x=np.ones(3))
      pathlib.Path("/dev/full").write_bytes(b"x")

  with pytest.raises(OSError, match="No space") as caught:
    fail()
  assert caught.value.filename == str(path)
  left = [file.read_bytes() for file in tmp_path.iterdir()]
  assert left == ([before] if before else [])


def test_what_is_no_json_is_refused_before_anything_is_written(tmp_path):
  path = tmp_path / "facts.json"
  atomic.write_json(path, {"loss": 0.5})
  with pytest.raises(ValueError, match="JSON"):
    atomic.write_json(path, {"loss": float("nan")})
  assert json.loads(path.read_text()) == {"loss": 0.5}


def test_a_folder_that_takes_no_file_is_told_by_the_files_own_name(tmp_path):
  path = tmp_path / "gone" / "facts.json"
  with pytest.raises(FileNotFoundError) as caught:
    atomic.write(path, b"x")
  assert caught.value.filename == str(path)


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
  path, waited = tmp_path / "lock", []
  with atomic.locked(path) as first:
    assert first is not None
    with atomic.locked(path) as second:
      assert second is None

    def release():
      waited.append(True)
      fcntl.flock(first, fcntl.LOCK_UN)

    with atomic.locked(path, release) as second:
      assert second is not None
  assert waited == [True]
