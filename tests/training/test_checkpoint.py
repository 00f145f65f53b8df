"""Checkpoints that cannot be read, told in one line and nothing else."""

import contextlib
import errno
import os
import pathlib
import resource
import shutil
import subprocess

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
import pytest

from gtzan_jax import atomic
from gtzan_jax.errors import InputError
from gtzan_jax.training import checkpoint

STATE = {"kernel": jnp.arange(6000.0), "bias": jnp.ones((3, 4))}


@contextlib.contextmanager
def opened(folder, **how):
  with contextlib.closing(checkpoint.Store(folder, **how)) as store:
    yield store


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  folder = tmp_path_factory.mktemp("saved")
  with opened(folder, writable=True) as store:
    store.save(STATE, {"epoch": 3})
  return folder


@pytest.fixture
def stored(saved, tmp_path):
  """A checkpoint in a folder, closed."""
  return shutil.copytree(saved, tmp_path / "stored")


def restored(folder, like=STATE):
  """The arrays and the facts of a folder."""
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), like
  )
  with opened(folder) as store:
    return store.restore(shapes)


def assert_whole(folder, facts, scale=1.0):
  state, stored_facts = restored(folder)
  assert stored_facts == facts
  assert jax.tree.all(
    jax.tree.map(lambda a, b: (a == scale * b).all(), state, STATE)
  )


def refusal(read, *given):
  with pytest.raises(InputError) as caught:
    read(*given)
  assert "\n" not in str(caught.value)
  return str(caught.value)


def facts_of(folder):
  with opened(folder) as store:
    return store.facts()


def damage(folder):
  with opened(folder) as store:
    return store.damage()


def largest(folder):
  files = (file for file in folder.rglob("*") if file.is_file())
  return max(files, key=lambda file: file.stat().st_size)


def cut(file):
  file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [cut, pathlib.Path.unlink])
@pytest.mark.parametrize(
  "name",
  ["data", "state/_METADATA", "state/manifest.ocdbt", "facts/metadata"],
)
def test_what_is_damaged_is_said_to_be(stored, spoil, name, capfd):
  spoil(largest(stored) if name == "data" else stored / "1" / name)
  message = refusal(restored, stored)
  assert message.startswith(
    f"the checkpoint in {stored} is damaged; train again: "
  )
  if name.startswith("facts"):
    assert "is damaged" in refusal(facts_of, stored)
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
    name = file.relative_to(stored / "1")
    wanted = f"train again: {name} is not what was written"
    assert wanted in refusal(restored, stored)
    assert wanted in damage(stored)
    if name.parts[0] == "state":  # which facts are read without
      assert facts_of(stored) == {"epoch": 3}
    else:
      assert wanted in refusal(facts_of, stored)
    file.write_bytes(whole)
  assert damage(stored) is None


def test_no_flipped_bit_of_the_checksums_goes_unnoticed(stored):
  sums = stored / "1" / atomic.SUMS
  whole = sums.read_bytes()
  with opened(stored) as store:
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
  assert_whole(stored, {"epoch": 3})
  assert "Traceback" not in capfd.readouterr().err


def test_a_store_closed_late_is_waited_for_where_its_folder_is_read(tmp_path):
  with checkpoint.closed_late():
    for name in ("last", "best"):
      with opened(tmp_path / name, writable=True) as store:
        store.save(STATE, {"of": name})
    assert_whole(tmp_path / "last", {"of": "last"})
  assert [file.name for file in (tmp_path / "best").iterdir()] == ["1"]


def test_a_store_closed_late_is_waited_for_after_an_error(tmp_path):
  store = checkpoint.Store(tmp_path, writable=True)

  def fail():
    with checkpoint.closed_late():
      store.save(STATE, {"of": "last"})
      store.close()
      raise KeyError

  with pytest.raises(KeyError):
    fail()
  assert store._manager is None
  assert_whole(tmp_path, {"of": "last"})


def test_a_folder_that_takes_no_save_is_one_line(stored, monkeypatch):
  make, begun = os.mkdir, []

  def refuse(path, *args, **kwargs):
    if pathlib.Path(os.fspath(path)).parent == stored:
      raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    make(path, *args, **kwargs)

  monkeypatch.setattr(os, "mkdir", refuse)
  monkeypatch.setattr(
    ocp.CheckpointManager, "save", lambda *_, **__: begun.append(1)
  )
  with (
    opened(stored, writable=True) as store,
    pytest.raises(InputError, match="probe: Permission denied; the prev"),
  ):
    store.save(STATE, {"epoch": 4})
  assert not begun  # its threads would go on and print


def test_a_damaged_last_names_what_is_left(stored):
  last = stored.rename(stored.with_name("last"))
  cut(largest(last))
  assert f"--config.train.init_from={last.parent}" in damage(last)


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
  message = refusal(restored, stored, other)
  assert message.startswith(
    f"the checkpoint in {stored} does not fit this model:"
  )
  assert len(message) < len(str(stored)) + 260
  assert "Traceback" not in capfd.readouterr().err


def test_who_reads_says_nothing_and_leaves_a_save_under_way_alone(
  stored, caplog
):
  """It is another process's, and the run would die of its loss."""
  under_way = stored / "9.orbax-checkpoint-tmp"
  under_way.mkdir()
  caplog.clear()
  assert_whole(stored, {"epoch": 3})
  assert {record.levelname for record in caplog.records} <= {"INFO"}
  assert under_way.is_dir()
  # taken up after a kill
  with opened(stored, writable=True) as owner:
    assert owner.latest() == 1
    owner.save(STATE, {"epoch": 4})  # which waits until the removal is through
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
  folder = tmp_path / name / "best"
  for number in (1.0, 2.0):  # the second takes the first one's place
    with opened(folder, writable=True) as store:
      state = jax.tree.map(lambda x, by=number: by * x, STATE)
      store.save(state, {"epoch": number})
  assert [file.name for file in tmp_path.iterdir()] == [name]
  assert_whole(folder, {"epoch": 2.0}, scale=2.0)
  assert damage(folder) is None


@pytest.mark.parametrize(
  ("text", "message"),
  [
    *(
      (f"{'0' * 64}  {name}\n", f"names {name}, which is no file of its folder")
      for name in ("/dev/zero", "../other", "state/../../x")
    ),
    *((left, "is cut short or garbled") for left in (0, 10, 63, 64, 66, 100)),
    (80, None),  # cut within the name of a file
  ],
)
def test_checksums_that_are_garbled_are_told_so(tmp_path, text, message):
  for name in ("a", "b"):
    (tmp_path / f"{name}_file_of_a_long_name").write_text(name)
  atomic.write_checksums(tmp_path)
  file = tmp_path / atomic.SUMS
  file.write_text(text if isinstance(text, str) else file.read_text()[:text])
  found = atomic.find_damage(tmp_path)
  if message:
    assert found == f"{atomic.SUMS} {message}"
  else:
    assert found.endswith("No such file or directory")
