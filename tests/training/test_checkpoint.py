"""Checkpoints that cannot be read, told in one line and nothing else."""

import contextlib
import errno
import os
import pathlib
import resource
import subprocess

import jax
import jax.numpy as jnp
import pytest

from gtzan_jax import atomic
from gtzan_jax.errors import InputError
from gtzan_jax.training import checkpoint

STATE = {"kernel": jnp.arange(6000.0), "bias": jnp.ones((3, 4))}


@pytest.fixture
def stored(tmp_path):
  """A checkpoint in a folder, closed."""
  store = checkpoint.Store(tmp_path, writable=True)
  store.save(STATE, {"epoch": 3})
  store.wait()
  store.close()
  return tmp_path


def like(state):
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), state
  )


def refusal(folder, read):
  store = checkpoint.Store(folder)
  with pytest.raises(InputError) as caught:
    read(store)
  store.close()
  assert "\n" not in str(caught.value)
  return str(caught.value)


def largest(folder):
  files = (file for file in folder.rglob("*") if file.is_file())
  return max(files, key=lambda file: file.stat().st_size)


def cut(file):
  file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
  ("damage", "also_facts"),
  [
    (lambda at: cut(largest(at)), False),
    (lambda at: largest(at).unlink(), False),
    (lambda at: cut(at / "1" / "state" / "_METADATA"), False),
    (lambda at: (at / "1" / "state" / "manifest.ocdbt").unlink(), False),
    (lambda at: cut(at / "1" / "facts" / "metadata"), True),
    (lambda at: (at / "1" / "facts" / "metadata").unlink(), True),
  ],
  ids=["data cut", "data gone", "tree", "manifest", "facts cut", "facts gone"],
)
def test_what_is_damaged_is_said_to_be(stored, damage, also_facts, capfd):
  damage(stored)
  said = refusal(stored, lambda store: store.restore(like(STATE)))
  assert said.startswith(
    f"the checkpoint in {stored} is damaged; train again: "
  )
  if also_facts:
    assert "is damaged" in refusal(stored, lambda store: store.facts())
  assert "Traceback" not in capfd.readouterr().err


def test_a_flipped_bit_of_any_file_is_named(stored):
  files = [file for file in stored.rglob("*") if file.is_file()]
  files.remove(stored / "1" / atomic.SUMS)
  assert len(files) > 8
  subprocess.run(
    ["sha256sum", "--check", "--strict", "--quiet", atomic.SUMS],
    cwd=stored / "1",
    check=True,
  )
  for file in files:
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 16
    file.write_bytes(damaged)
    name = file.relative_to(stored)
    wanted = f"train again: {name.relative_to('1')} is not what was written"
    said = refusal(stored, lambda store: store.restore(like(STATE)))
    assert wanted in said
    store = checkpoint.Store(stored)
    assert wanted in store.damage()
    store.close()
    if name.parts[1] == "state":  # which facts are read without
      assert store.facts() == {"epoch": 3}
    else:
      assert wanted in refusal(stored, lambda store: store.facts())
    file.write_bytes(whole)
  store = checkpoint.Store(stored)
  assert store.damage() is None
  store.close()


def test_no_flipped_bit_of_the_checksums_goes_unnoticed(stored):
  sums = stored / "1" / atomic.SUMS
  whole = sums.read_bytes()
  store = checkpoint.Store(stored)
  for place in range(0, len(whole), 3):
    damaged = bytearray(whole)
    damaged[place] ^= 1 << place % 8
    sums.write_bytes(damaged)
    assert store.damage(), place
  *kept, last = whole.splitlines(keepends=True)  # cut at the end of a line
  sums.write_bytes(b"".join(kept))
  name = last.decode().split("  ")[1].strip()
  assert f"SHA256SUMS does not name {name}" in store.damage()
  sums.unlink()
  assert "SHA256SUMS: No such file" in store.damage()
  store.close()


@contextlib.contextmanager
def files_up_to(size):
  """What a larger file meets is what a full disk says, but for its name."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_save_that_does_not_fit_leaves_the_one_before(stored, capfd):
  store = checkpoint.Store(stored, writable=True)
  noise = jax.random.normal(jax.random.key(0), (100_000,))

  def save():
    store.save({"kernel": noise}, {"epoch": 4})
    store.wait()

  message = f"to {stored}: File too large; the previous"
  with checkpoint.without_pages():
    with files_up_to(100_000), pytest.raises(InputError, match=message):
      save()
    with contextlib.suppress(InputError):  # it may be said once more
      store.close()
  again = checkpoint.Store(stored, writable=True)
  state, facts = again.restore(like(STATE))
  again.close()
  assert facts == {"epoch": 3}
  assert state["kernel"].tolist() == STATE["kernel"].tolist()
  assert "Traceback" not in capfd.readouterr().err


def test_a_folder_that_takes_no_save_is_one_line(stored, monkeypatch):
  make, begun = os.mkdir, []

  def refuse(path, *args, **kwargs):
    if pathlib.Path(os.fspath(path)).parent == stored:
      raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    make(path, *args, **kwargs)

  monkeypatch.setattr(os, "mkdir", refuse)
  monkeypatch.setattr(
    checkpoint.ocp.CheckpointManager, "save", lambda *_, **__: begun.append(1)
  )
  store = checkpoint.Store(stored, writable=True)
  with pytest.raises(InputError, match="probe: Permission denied; the prev"):
    store.save(STATE, {"epoch": 4})
  store.close()
  assert not begun  # its threads would go on and print


def test_a_damaged_last_names_what_is_left(tmp_path):
  store = checkpoint.Store(tmp_path / "last", writable=True)
  store.save(STATE, {"epoch": 3})
  store.close()
  cut(largest(tmp_path))
  store = checkpoint.Store(tmp_path / "last")
  assert f"--config.train.init_from={tmp_path}" in store.damage()
  store.close()


@pytest.mark.parametrize(
  "other",
  [
    {**STATE, "bias": jnp.ones((4, 4))},
    {"kernel": STATE["kernel"]},
    {**STATE, "scale": jnp.ones(2)},
    {"kernel": STATE["kernel"], "scale": STATE["bias"]},
  ],
  ids=["shape", "fewer", "more", "names"],
)
def test_what_is_another_models_is_not_called_damaged(stored, other, capfd):
  said = refusal(stored, lambda store: store.restore(like(other)))
  assert said.startswith(f"the checkpoint in {stored} does not fit this model:")
  assert len(said) < len(str(stored)) + 260
  assert "Traceback" not in capfd.readouterr().err


def test_a_checkpoint_comes_back_and_nothing_is_said(stored, caplog):
  caplog.clear()
  store = checkpoint.Store(stored)
  state, facts = store.restore(like(STATE))
  store.close()
  assert not [one for one in caplog.records if one.levelname != "INFO"]
  assert facts == {"epoch": 3}
  assert state["kernel"].tolist() == STATE["kernel"].tolist()


def test_who_reads_leaves_a_save_under_way_alone(stored):
  """It is another process's, and the run would die of its loss."""
  under_way = stored / "9.orbax-checkpoint-tmp"
  under_way.mkdir()
  store = checkpoint.Store(stored)
  assert (store.latest(), store.facts()) == (1, {"epoch": 3})
  store.close()
  assert under_way.is_dir()
  owner = checkpoint.Store(stored, writable=True)  # taken up after a kill
  assert owner.latest() == 1
  owner.save(STATE, {"epoch": 4})  # which waits until the removal is through
  owner.close()
  assert not under_way.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
  "name",
  [
    "a [b]",
    "a\\b",
    "x[0:5]",
    "a*?",
    "a%20b#c",
    "a:b",
    "ünï 케이팝",
    "a\nb",
    "caf\udce9",
  ],
)
def test_a_folder_of_any_name_gives_back_what_it_was_given(tmp_path, name):
  """Orbax takes a path for a pattern, TensorStore for a part of a URL."""
  for number in (1.0, 2.0):  # the second takes the first one's place
    store = checkpoint.Store(tmp_path / name / "best", writable=True)
    state = jax.tree.map(lambda x, by=number: by * x, STATE)
    store.save(state, {"epoch": number})
    store.wait()
    store.close()
  assert [one.name for one in tmp_path.iterdir()] == [name]
  store = checkpoint.Store(tmp_path / name / "best")
  found, facts = store.restore(like(STATE))
  assert store.damage() is None
  store.close()
  assert facts == {"epoch": 2.0}
  assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), found, state))


@pytest.mark.parametrize("name", ["/dev/zero", "../other", "state/../../x"])
def test_checksums_name_files_of_their_folder(stored, name):
  file = stored / "1" / atomic.SUMS
  file.write_text(f"{'0' * 64}  {name}\n")
  said = atomic.find_damage(stored / "1")
  assert said == f"{atomic.SUMS} names {name}, which is no file of its folder"


@pytest.mark.parametrize(
  "left", [0, 10, 63, 64, 66, 80, 100], ids="{} bytes left".format
)
def test_checksums_that_are_cut_short_are_told_so(stored, left):
  file = stored / "1" / atomic.SUMS
  file.write_bytes(file.read_bytes()[:left])
  said = atomic.find_damage(stored / "1")
  if left == 80:  # within the name of a file
    assert said.endswith("No such file or directory")
  else:
    assert said == f"{atomic.SUMS} is cut short or garbled"
