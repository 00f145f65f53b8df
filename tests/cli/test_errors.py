"""What a user can get wrong: one line, a status, and nothing left behind."""

import errno
import json
import os
import pathlib
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from corpora import archive_arrays, write_archive, write_folder
from stored import run_json

from gtzan_jax.cli.main import LONGEST
from gtzan_jax.cli.main import main as run_main
from gtzan_jax.cli.parse_flags import Verb
from gtzan_jax.cli.verbs import VERBS
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.training import find_recipe, workdir
from gtzan_jax.training.run_json import SCHEMA
from tfds_gtzan import download

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUICKSTART = f"--config={ROOT / 'configs' / 'quickstart.py'}"
# Two genres of ten tracks: the twentieth part, one track, may be unreadable.
MUSIC = {"blues": [3.0] * 10, "rock": [3.0] * 10}


class Pickled:
  """What an archive would run if it were unpickled."""

  def __init__(self, path: pathlib.Path):
    self._path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self._path,)


@pytest.fixture
def call(capfd):
  """launch.main -> (status, stdout, lines of stderr)."""

  def main(*arguments: str) -> tuple[int, str, list[str]]:
    capfd.readouterr()
    status = run_main(["launch.py", *map(str, arguments)])
    out, err = capfd.readouterr()
    return status, out, err.splitlines()

  return main


@pytest.fixture
def train(call, tmp_path):
  """`call` with the arguments that every run here needs.

  Prepared data goes to tmp_path/prepared, the run to tmp_path/run.
  """

  def main(*arguments: str, config: str = QUICKSTART):
    return call(
      config,
      f"--workdir={tmp_path / 'run'}",
      f"--config.data.dir={tmp_path / 'prepared'}",
      "--config.data.tracks_per_genre=3",
      "--config.log.compilation_cache=",
      *arguments,
    )

  return main


def assert_one_line(answer: tuple[int, str, list[str]], *words: object) -> None:
  status, _, lines = answer
  assert status == 2
  assert len(lines) == 1, lines
  assert lines[0].startswith("error: ")
  for word in words:
    assert str(word) in lines[0]


def assert_nothing_left(tmp_path: pathlib.Path) -> None:
  """No workdir, and no data set that is not whole."""
  assert not (tmp_path / "run").exists()
  prepared = tmp_path / "prepared"
  assert not list(prepared.rglob("*incomplete*"))
  for folder in prepared.glob("*/tfds_gtzan"):
    assert list(folder.glob("*/*/dataset_info.json")), folder


@pytest.fixture(scope="module")
def music(tmp_path_factory):
  return write_folder(tmp_path_factory.mktemp("music"), MUSIC)


@pytest.fixture
def begun(tmp_path) -> pathlib.Path:
  """The folder of a run of another recipe that has just begun."""
  path = tmp_path / "begun"
  path.mkdir()
  (path / workdir.RUN_FILE).write_text(json.dumps(run_json(tmp_path / "data")))
  return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
  """Of enough tracks, so that nothing else is wrong with it."""
  path = tmp_path_factory.mktemp("archive") / "music.npz"
  tracks = [f"{genre}.{i:05d}" for genre in MUSIC for i in range(20)]
  return write_archive(path, **archive_arrays(tracks))


def contents(path: pathlib.Path) -> dict[str, bytes]:
  files = (file for file in path.rglob("*") if file.is_file())
  return {str(file.relative_to(path)): file.read_bytes() for file in files}


# A command line -> words of its error: the value received and those accepted.
# It stands for options with --config., MUSIC, ARCHIVE and BEGUN for folders.
MISTAKES = [
  ("train lstm .model.name=vgg", "'vgg' mel_cnn resnet"),
  ("train lstm .data.features=mfc", "'mfc' mfcc_slices"),
  ("train lstm .data.path=/no/such", "/no/such does not exist folder"),
  ("train majority .train.init_from=x.npz", "init_from=x.npz: remove it"),
  ("train mobilenet_v2 .train.epochs=1", "frozen=True init_from"),
  ("train mobilenet_v2 .train.init_from=X.SAFETENSORS", "='tf' padding=torch"),
  ("train lstm MUSIC .data.protocol=kfold", "'kfold' kfold10"),
  ("train lstm MUSIC .data.protocol=kfold10 .data.fold=10", "fold 10 0 to 9"),
  ("train lstm MUSIC .data.protocol=kfold10 .data.fold=-1", "fold -1 0 to 9"),
  ("train lstm MUSIC .data.fold=1", "fold 1 only 0"),
  (
    "train lstm MUSIC .data.splits=a.csv .data.fold=1",
    "fold 1 config.data.splits config.data.fold=0",
  ),
  ("train lstm MUSIC .data.train_fraction=0.0", "train_fraction (0, 1]"),
  ("train lstm MUSIC .optim.name=lion", "'lion' adamw"),
  ("train lstm MUSIC .optim.schedule=step", "'step' cosine"),
  (
    "train quickstart ARCHIVE .augment.noise_probability=0.5",
    "noise_probability waveform",
  ),
  (
    "prepare lstm --download .data.path=/music",
    "--download --config.data.path=/music one of the two",
  ),
  ("prepare lstm --download .data.protocol=kfold", "'kfold'"),
  (
    "prepare lstm --columns_per_second=12.9",
    "--columns_per_second=12.9 --archive",
  ),
  ("prepare lstm --archive=a.npz --columns_per_second=50", "50 43.07"),
  (
    "prepare lstm --archive=a.npz .data.genres=('a',)",
    "--config.data.genres the whole corpus --config.data.path",
  ),
  (
    "prepare lstm --archive=a.npz --beam_options=x",
    "--beam_options in this process",
  ),
  ("prepare lstm --archive=a.zip .data.path=/no", "a.zip .npz"),
  ("explore .data.path=/no/such", "/no/such not exist"),
  ("sweep --sweep=no.py", "no.py configs/sweeps/seeds.py"),
  ("sweep", "--sweep is needed configs/sweeps/seeds.py"),
  ("evaluate BEGUN .train.epochs=3", "train.epochs=3 --config.data.path"),
  ("evaluate BEGUN .data.pth=/music", "data.pth=/music 'pth' path"),
  ("evaluate BEGUN .data.tracks_per_genre=3", "tracks_per_genre data.path"),
  ("evaluate BEGUN .data.path=/no/such", "/no/such does not exist"),
  ("evaluate BEGUN --out=results", "--out=results --config.data.path=OTHER"),
  ("evaluate BEGUN .data.path=", "data.path=: the run's own corpus"),
  ("evaluate BEGUN --config=lstm", "--config is for train evaluate does not"),
  ("evaluate BEGUN --workdir=b .data.path=/music", "/music each run"),
  ("predict BEGUN", "files or folders"),
  ("predict BEGUN launch.py", "begun/best no checkpoint train first"),
  ("verify LONG", "xxx File name too long"),
  ("leaderboard LONG", "xxx File name too long"),
  ("check-splits LONG", "xxx File name too long"),
]


@pytest.mark.parametrize(("command", "words"), MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
  call, train, monkeypatch, tmp_path, music, archive, begun, command, words
):
  monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("downloads"))
  monkeypatch.chdir(ROOT)
  command = command.replace("BEGUN", f"--workdir={begun}")
  command = command.replace("LONG", "x" * 256)
  for name, path in (("MUSIC", music), ("ARCHIVE", archive)):
    command = command.replace(name, f".data.path={path}")
  verb, *rest = command.replace(" .", " --config.").split()
  before = contents(begun)
  if verb == "train":
    answer = train(*rest[1:], config=f"--config={rest[0]}")
  else:
    answer = call(verb, *rest)
  assert_one_line(answer, *words.split())
  assert_nothing_left(tmp_path)
  assert contents(begun) == before
  if not {str(music), str(archive)} & {
    word.rpartition("=")[2] for word in rest
  }:
    assert not list(tmp_path.glob("prepared/*/tfds_gtzan")), "prepared first"


def test_a_split_that_the_corpus_cannot_carry(train, tmp_path):
  root = write_folder(tmp_path / "music", {"dub": [3.0] * 3, "ska": [3.0] * 3})
  answer = train(
    f"--config.data.path={root}", "--config.data.protocol=stratified"
  )
  assert_one_line(answer, "'stratified'", "GTZAN", "tracks_70_10_20")
  assert_nothing_left(tmp_path)
  (root / "ska" / "ska.00001.wav").write_bytes(b"")
  answer = train(f"--config.data.path={root}")
  assert_one_line(answer, "the genre ska has 2 tracks and needs at least 3")
  assert "skipped: ska.00001: ska.00001.wav: empty file" in answer[1]


def spoilt(change):
  """Two tracks of twenty: more than the 5 % that may be skipped."""

  def write(root):
    write_folder(root, MUSIC)
    for number in range(2):
      file = root / "rock" / f"rock.{number:05d}.wav"
      file.write_bytes(change(file.read_bytes()))

  return write


def other_files(root):
  root.mkdir()
  (root / "notes.txt").write_text("no audio")


def a_genre_without_a_readable_track(root):
  write_folder(root, {"blues": [3.0] * 25, "rock": [3.0]})
  (root / "rock" / "rock.00000.wav").write_bytes(b"")


def wrong_shape(root):
  with root.open("wb") as file:
    np.savez(file, **archive_arrays() | {"mel": np.zeros((3, 387), np.uint8)})


def pickled(root):
  objects = np.array([Pickled(root.with_name("ran"))] * 3)
  with root.open("wb") as file:
    np.savez(file, **archive_arrays() | {"genre": objects})


@pytest.mark.parametrize(
  ("write", "message"),
  [
    (pathlib.Path.mkdir, "holds no track"),
    (other_files, "holds no track"),
    (
      lambda root: write_folder(root, {"blues": [3.0, 3.0]}),
      "one genre only (blues)",
    ),
    (spoilt(lambda _: b""), "rock.00000.wav: empty file (0 bytes)"),
    (spoilt(lambda content: content[:50_000]), "rock.00000.wav: truncated"),
    (
      spoilt(lambda _: b"%PDF-1.7 " * 999),
      "rock.00000.wav: not decodable as audio",
    ),
    (a_genre_without_a_readable_track, "genre rock"),
    (wrong_shape, "'mel' is uint8 (3, 387)"),
    (pickled, "pickled objects"),
    (lambda root: root.write_text("not a zip"), "is no .npz archive"),
  ],
)
def test_an_unusable_corpus(train, tmp_path, write, message):
  write(tmp_path / "music")
  answer = train(f"--config.data.path={tmp_path / 'music'}")
  assert_one_line(answer, message)
  assert_nothing_left(tmp_path)
  assert not list((tmp_path / "prepared").glob("*/tfds_gtzan"))
  assert not (tmp_path / "ran").exists(), "a pickled object was run"


def test_one_unreadable_track_in_twenty_is_skipped_by_name(call, tmp_path):
  root = write_folder(tmp_path / "music", MUSIC)
  (root / "rock" / "rock.00003.wav").write_bytes(b"")
  status, out, _ = call(
    *("prepare", QUICKSTART, f"--config.data.path={root}"),
    f"--config.data.dir={tmp_path / 'prepared'}",
  )
  assert status == 0
  assert "skipped: rock.00003: rock.00003.wav: empty file (0 bytes)" in out
  assert "19 tracks" in out


def test_prepare_can_write_an_archive(call, tmp_path):
  root = write_folder(tmp_path / "music", {"blues": [3.0] * 2, "rock": [3.0]})
  out = tmp_path / "out.npz"
  status, printed, _ = call(
    *("prepare", QUICKSTART, f"--config.data.path={root}"),
    *(f"--config.data.dir={tmp_path / 'prepared'}", f"--archive={out}"),
  )
  assert status == 0
  assert f"archive: {out}, 3 tracks of 39 columns, 12.90 a second" in printed
  with np.load(out) as arrays:
    assert arrays["mel"].shape == (3, 128, 39)


@pytest.fixture(scope="module")
def split_folders(tmp_path_factory):
  root = tmp_path_factory.mktemp("splits")
  for split in ("train", "test"):
    write_folder(root / split, {"blues": [1.0] * 3, "rock": [1.0] * 3})
  return root


@pytest.mark.parametrize("verb", ["prepare", "train", "crossval", "leak"])
def test_splits_are_no_genres(call, tmp_path, split_folders, verb):
  """Whatever opens such a corpus refuses it, before it prepares a thing."""
  keys = {"data.path": split_folders, "data.dir": tmp_path / "prepared"}
  if verb == "crossval":
    keys["data.protocol"] = "kfold10"
  given = [verb, QUICKSTART, *(f"--config.{k}={v}" for k, v in keys.items())]
  if verb != "prepare":
    given.append(f"--workdir={tmp_path / 'run'}")
  assert_one_line(
    call(*given),
    *("2 of 2 genres are named like splits: test; train", "(blues, rock)"),
    "--config.data.allow=split_names permits it",
  )
  assert not list((tmp_path / "prepared").glob("audio*"))
  assert_one_line(
    call(*given, "--config.data.allow=splits"), "allow=splits", "split_names"
  )


def test_splits_may_be_genres_on_request(call, tmp_path, split_folders):
  places = {"path": str(split_folders), "dir": str(tmp_path / "prepared")}
  status, out, _ = call(
    *("prepare", QUICKSTART, "--config.data.allow=split_names"),
    *(f"--config.data.{key}={place}" for key, place in places.items()),
  )
  assert status == 0
  assert "warning: 2 of 2 genres are named like splits: test; train" in out
  assert "corpus: audio, 12 tracks, 2 genres (test, train), 12 seg" in out
  groups = "warning: 6 groups of identical tracks across genres: "
  assert f"{groups}test/blues/blues.00000 = train/blues/blues.00000" in out
  config = find_recipe.load(QUICKSTART.partition("=")[2])
  config.data.update(**places, allow=("split_names",))
  found = [one["check"] for one in open_dataset(config).warnings]
  assert found[0] == "split_names"
  assert "identical_genres" in found


# Workdirs.


@pytest.mark.slow
def test_the_fingerprint_decides_whether_data_is_the_same(
  train, tmp_path, monkeypatch
):
  """And not its path, which may be written in many ways or have been moved."""
  monkeypatch.chdir(tmp_path)
  music = write_folder(tmp_path / "music", dict.fromkeys(MUSIC, [3.0] * 3))
  (tmp_path / "link").symlink_to(music)

  def again(path):
    return train(
      *("--config.data.features=mfcc_slices", f"--config.data.path={path}"),
      config=f"--config={ROOT / 'configs' / 'majority.py'}",
    )

  assert again("music")[0] == 0
  for path in (music, "music/", tmp_path / "prepared" / ".." / "music", "link"):
    status, out, _ = again(path)
    assert status == 0
    assert "already finished" in out
  music.rename(tmp_path / "moved")
  assert "already finished" in again("moved")[1]
  run = json.loads((tmp_path / "run" / workdir.RUN_FILE).read_text())
  assert run["data_path"] == str(tmp_path / "moved")
  # Other content, under another path and under the same one.
  before = {*(tmp_path / "prepared").iterdir()}
  write_folder(tmp_path / "other", dict.fromkeys(MUSIC, [3.0] * 4))
  assert_one_line(again("other"), "was trained on data", "is now 'other'")
  one, other = (tmp_path / f"moved/{g}/{g}.00000.wav" for g in MUSIC)
  one.write_bytes(other.read_bytes())
  assert_one_line(again("moved"), "was trained on data", "have changed")
  assert {*(tmp_path / "prepared").iterdir()} == before


@pytest.mark.parametrize(
  ("file", "words"),
  [("run/thesis.tex", "give an empty or new folder"), ("run", "is a file")],
)
def test_what_is_no_workdir_stays_as_it_is(train, tmp_path, file, words):
  (tmp_path / file).parent.mkdir(exist_ok=True)
  (tmp_path / file).write_text("precious")
  assert_one_line(train(), tmp_path / "run", words)
  assert (tmp_path / file).read_text() == "precious"
  assert [x for x in tmp_path.rglob("*") if x.is_file()] == [tmp_path / file]


OTHER_CODE = f"{workdir.RUN_FILE} does not match this version"


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
@pytest.mark.parametrize(
  ("content", "words"),
  [
    (None, "no such folder train first"),
    ("", workdir.RUN_FILE),  # an empty folder
    ("/", f"{workdir.RUN_FILE} cannot be read"),  # a folder of that name
    ("{}", OTHER_CODE),
    ("[]", OTHER_CODE),
    ('{"recipe": "resnet"}', OTHER_CODE),
    (json.dumps({key: {} for key in SCHEMA}), OTHER_CODE),
  ],
)
def test_verbs_that_need_a_run_folder(call, tmp_path, verb, content, words):
  files = [__file__] if verb == "predict" else []
  assert_one_line(call(verb, *files), "--workdir is needed")
  path = tmp_path / "run"
  if content is not None:
    path.mkdir()
  if content == "/":
    (path / workdir.RUN_FILE).mkdir()
  elif content:
    (path / workdir.RUN_FILE).write_text(content)
  answer = call(verb, f"--workdir={path}", *files)
  assert_one_line(answer, path, *words.split())
  assert path.exists() == (content is not None)
  assert len([*path.glob("*")]) == bool(content)


@pytest.mark.slow
def test_an_external_test_of_a_corpus(call, data_dir, tmp_path):
  """Trained on the synthetic corpus; tested on a folder of audio."""
  run = tmp_path / "run"
  here = (f"--workdir={run}", f"--config.data.dir={data_dir}")
  here += ("--config.log.compilation_cache=",)
  keys = ("data.tracks_per_genre=4", "data.features=mfcc_slices")
  trained = call("train", "majority", *here, *(f"--config.{x}" for x in keys))
  assert trained[0] == 0
  music = write_folder(tmp_path / "music", {"Blues": [3.0] * 2, "ska": [3.0]})
  status, out, _ = call("evaluate", *here, f"--config.data.path={music}")
  assert status == 0
  assert "external test: 2 of 3 tracks" in out
  (folder,) = run.glob("external-*")
  assert f"report: {folder / 'report.html'}" in out
  report = json.loads((folder / "report.json").read_text())
  assert report["external"]["path"] == str(music)
  page = (folder / "report.html").read_text()
  assert "External test" in page
  assert "Blues as blues" in page


def test_a_strangers_config_names_no_place_to_write_or_load_from(
  call, begun, music, tmp_path
):
  """They are those of the command line; only data is read, and named."""
  run = run_json(tmp_path / "evil")
  run["config"]["log"]["compilation_cache"] = str(tmp_path / "evil")
  run["data_path"] = str(music)
  (begun / workdir.RUN_FILE).write_text(json.dumps(run))
  cache = jax.config.jax_compilation_cache_dir
  for verb in ("robustness", "evaluate", "explain"):
    answer = call(
      verb,
      f"--workdir={begun}",
      f"--config.data.dir={tmp_path / 'own'}",
      "--config.log.compilation_cache=",
      *(["blues/0.wav"] if verb == "explain" else []),
    )
    assert answer[0] == 2, answer  # never trained, and of other data
    assert f"data: {music}, as {begun}" in answer[1]
  assert jax.config.jax_compilation_cache_dir == cache
  assert not (tmp_path / "evil").exists()
  assert (tmp_path / "own").is_dir()


# As a user meets it: another process, whatever libraries print included.


def shell(command: str, verb: str = "", *words: str, **environment: str):
  """launch.py by a shell; `verb` is the body of a verb of that name."""
  program = ROOT / "launch.py"
  if verb:
    body = verb.replace("\n", "\n  ")
    program = f"""
import gc, os, signal, sys, time
sys.argv[0] = "launch.py"
from gtzan_jax.cli.main import VERBS, main
from gtzan_jax.cli.parse_flags import Verb
def verb(given):
  {body}
  return 0
VERBS["models"] = Verb(verb)
sys.exit(main(["launch.py", "models"]))
"""
  given = [*(("-c",) if verb else ()), program, *words]
  return subprocess.run(
    ["bash", "-c", command, sys.executable, *given],
    cwd=ROOT,
    env={**os.environ, "XLA_FLAGS": "", **environment},
    capture_output=True,
    text=True,
    timeout=120,
  )


@pytest.mark.slow
def test_the_command_itself(tmp_path):
  began = time.monotonic()
  places = {"workdir": "run", "config.data.dir": "prepared"}
  flags = [f"--{key}={tmp_path / place}" for key, place in places.items()]
  done = shell(
    '"$0" "$@"', "", QUICKSTART, *flags, "--config.data.path=no/such"
  )
  answer = done.returncode, done.stdout, done.stderr.splitlines()
  assert_one_line(answer, "no/such", "does not exist")
  assert not done.stdout
  assert_nothing_left(tmp_path)
  assert time.monotonic() - began < 60


FULL = "error: standard output: No space left on device\n"
CLOSED = "error: standard output is closed: give >/dev/null for none\n"


@pytest.mark.slow
@pytest.mark.parametrize(
  ("words", "status", "err"),
  [
    ("--help >/dev/full", 2, FULL),
    ("--help >&-", 2, CLOSED),
    ("--help 2>&-", 0, ""),
    ("--hulp 2>/dev/full", 2, ""),
    ("--hulp >&- 2>&-", 2, ""),
  ],
)
def test_a_full_or_closed_console(words, status, err):
  done = shell(f'"$0" "$@" {words}')
  assert (done.returncode, done.stderr) == (status, err)


def test_a_terminal_that_knows_ascii_alone():
  done = shell('"$0" "$@"', "print('jazz', '재즈')", PYTHONIOENCODING="ascii")
  assert (done.returncode, done.stdout) == (0, "jazz \\uc7ac\\uc988\n")


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS"])
def test_what_the_system_refuses_is_one_line(call, monkeypatch, error):
  number = getattr(errno, error)

  def fail(given):
    raise OSError(number, os.strerror(number), "/a/place\n")

  def fail_in_a_library(given):
    raise ValueError(f"UNAVAILABLE: {os.strerror(number)}\n[x.cc:3]")

  for verb, words in ((fail, "/a/place\\n: "), (fail_in_a_library, "error: ")):
    monkeypatch.setitem(VERBS, "models", Verb(verb))
    assert_one_line(call("models"), words + os.strerror(number))


def test_a_value_of_a_million_letters_is_cut_short(call, tmp_path):
  (tmp_path / "train.txt").write_text("x" * 10**6)
  (tmp_path / "test.txt").write_text("y")
  files = [tmp_path / name for name in ("train.txt", "test.txt")]
  answer = call("check-splits", *files)
  assert_one_line(answer, files[0], "none of its 1 names", "xxx ... xxx")
  assert len(answer[2][0]) <= LONGEST + len("error: ")


@pytest.mark.parametrize("error", [FileNotFoundError(2, "no"), KeyError("x")])
def test_a_defect_is_no_refusal(call, monkeypatch, error):
  def fail(given):
    raise error

  monkeypatch.setitem(VERBS, "models", Verb(fail))
  with pytest.raises(type(error)):
    call("models")


def test_a_folder_that_may_not_be_searched(call, monkeypatch, tmp_path):
  def refuse(self):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

  monkeypatch.setattr(pathlib.Path, "is_dir", refuse)
  assert_one_line(
    call("predict", f"--workdir={tmp_path}", "x.wav"),
    f"{tmp_path}: Permission denied",
  )


@pytest.mark.parametrize("verb", ["leaderboard", "verify"])
def test_no_result_is_passed_over_unseen(call, monkeypatch, tmp_path, verb):
  (tmp_path / "seen").mkdir()
  (tmp_path / "locked").mkdir()
  (tmp_path / "seen" / "report.json").write_text("{}")
  scan = os.scandir

  def refuse(path="."):
    if str(path).endswith("locked"):
      raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return scan(path)

  monkeypatch.setattr(os, "scandir", refuse)
  answer = call(verb, tmp_path)
  assert_one_line(answer, f"{tmp_path / 'locked'} cannot be listed: Permission")


PRESS = """
left = [signal.SIGINT]
def press():
  if left:
    os.kill(os.getpid(), left.pop())
    time.sleep(9)
"""
MODULES = {
  "tokenize": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n",
  "dropping": "import os, signal\ntry:\n  os.kill(os.getpid(), signal.SIGINT)\n"
  "  for _ in range(99): pass\nexcept BaseException:\n  pass\n",
}


@pytest.mark.parametrize(
  ("body", "module"),
  [
    # What is raised in these two Python prints and drops.
    (PRESS + "gc.callbacks.append(lambda *_: press())\ngc.collect()", ""),
    (PRESS + "class Key:\n  def __del__(self):\n    press()\nKey()", ""),
    # As a compiler: half a minute within one call.
    pytest.param(
      "import hashlib, threading\n"
      "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
      'hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000_000)',
      "",
      marks=pytest.mark.slow,
    ),
    # While launch.py imports this module.
    ("", "tokenize"),
    # An import ends first: JAX's modules abort the process at it, others drop
    # it, as this one.
    ("import dropping", "dropping"),
  ],
  ids=["callback", "finalizer", "one call", "imports", "an import"],
)
def test_a_ctrl_c_is_not_lost(tmp_path, body, module):
  if module:
    (tmp_path / f"{module}.py").write_text(MODULES[module])
  began = time.monotonic()
  if body:
    body += "\ntime.sleep(30)\nprint('lost')"
  done = shell('exec "$0" "$@"', body, PYTHONPATH=f"{tmp_path}:{ROOT}")
  found = done.returncode, done.stdout, done.stderr
  assert found == (130, "", "interrupted\n")
  assert time.monotonic() - began < (12 if "pbkdf2" in body else 8)
