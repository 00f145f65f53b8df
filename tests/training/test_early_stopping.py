"""Best, patience and plateau against numbers worked out by hand."""

import io
import json
import math
import struct

import pytest
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

from gtzan_jax.errors import InputError
from gtzan_jax.training import early_stopping
from gtzan_jax.training import metrics_log as logs


def follow(values, monitor="validation/accuracy", losses=None, **rule):
  """Progress after each of `values`, and which of them were best."""
  done, states, best = early_stopping.Progress(), [], []
  for i, value in enumerate(values):
    scalars = {monitor: value}
    if losses is not None:
      scalars["validation/loss"] = losses[i]
    done, is_best = early_stopping.update(
      done, scalars, monitor=monitor, **rule
    )
    states.append(done)
    best.append(is_best)
  return states, best


LOSS = {"monitor": "validation/loss"}
PLATEAU = {"plateau_factor": 0.5, "plateau_patience": 2}
FIRST = {"ties": "first"}


@pytest.mark.parametrize(
  ("values", "losses", "rule", "best", "scales"),
  [
    # an accuracy is to rise and a loss to fall
    ([0.2, 0.5, 0.4, 0.6], None, {}, (1, 1, 0, 1), 1.0),
    ([2.0, 1.0, 1.5, 0.5], None, LOSS, (1, 1, 0, 1), 1.0),
    # ties are broken by the loss of the same part; without one the first stays
    ([0.5, 0.5, 0.5], [1.0, 0.9, 0.95], {}, (1, 1, 0), 1.0),
    ([0.5, 0.5], None, {}, (1, 0), 1.0),
    # Keras's rule: no tie is a best, whatever its loss, also for a plateau
    ([0.5] * 3 + [0.6], [1.0, 0.9, 0.8, 0.7], FIRST, (1, 0, 0, 1), 1.0),
    ([0.5] * 3, [1.0, 0.9, 0.8], FIRST | PLATEAU, (1, 0, 0), (1, 1, 0.5)),
    ([0.5] * 3, [1.0, 0.9, 0.8], PLATEAU, (1, 1, 1), 1.0),
    # NaN is never best
    ([math.nan, 0.1, math.nan, 0.2], None, {}, (0, 1, 0, 1), 1.0),
    # a plateau starts again after a reduction, down to a floor; a best ends it
    (
      *([0.5] + [0.4] * 6, None, PLATEAU | {"min_lr_scale": 0.2}),
      *((1, *[0] * 6), (1, 1, 0.5, 0.5, 0.25, 0.25, 0.2)),
    ),
    ([0.5, 0.4, 0.6, 0.4], None, PLATEAU, (1, 0, 1, 0), 1.0),
  ],
)
def test_best_and_plateau_by_hand(values, losses, rule, best, scales):
  states, found = follow(values, losses=losses, **rule)
  assert found == [*map(bool, best)]
  wanted = scales if isinstance(scales, tuple) else [scales] * len(values)
  assert [state.lr_scale for state in states] == [*wanted]
  for number, state in enumerate(states, start=1):
    epoch = max((i for i in range(1, number + 1) if best[i - 1]), default=0)
    assert (state.evaluations, state.best_epoch) == (number, epoch)
    assert state.best_value == (values[epoch - 1] if epoch else None)
    assert state.evals_since_best == number - epoch


def test_patience_counts_as_keras_does():
  """patience=3 stops after the third evaluation in a row without a best."""
  states, _ = follow([0.5, 0.4, 0.4, 0.4, 0.9])

  def stops(patience):
    length = {"epochs": 9, "max_steps": 0, "patience": patience}
    facts = [{"progress": x.to_dict(), "epoch_steps": 4} for x in states]
    return [early_stopping.finished(length, x) for x in facts]

  assert stops(3) == [False, False, False, True, False]
  assert not any(stops(0))


def test_what_is_saved_comes_back():
  states, _ = follow([0.5, 0.4], losses=[1.0, 1.0])
  saved = json.loads(json.dumps(states[-1].to_dict()))
  assert early_stopping.Progress.from_dict(saved) == states[-1]


def test_an_unreported_monitor_is_named_with_those_there_are():
  with pytest.raises(InputError, match=r"'train/f1'.*validation/accuracy"):
    early_stopping.update(
      early_stopping.Progress(),
      {"validation/accuracy": 1.0},
      monitor="train/f1",
    )


def test_lines_written_after_the_checkpoint_are_cut_off(tmp_path):
  first = logs.Scalars(tmp_path, step=0, rows=0, tensorboard=False)
  for step in (1, 2, 3):
    first.write(step, {"x": step / 2, "epoch": 1, "y": math.inf})
  first.close()
  with (tmp_path / "metrics.jsonl").open("a") as file:
    file.write('{"step": 4, "x"')  # killed in mid-line
  again = logs.Scalars(tmp_path, step=2, rows=2, tensorboard=False)
  assert again.rows == 2
  again.write(3, {"x": 9.0})
  again.close()
  rows = logs.read(tmp_path / "metrics.jsonl")
  assert [row["step"] for row in rows] == [1, 2, 3]
  assert [row["x"] for row in rows] == [0.5, 1.0, 9.0]
  assert rows[0]["epoch"] == 1
  assert rows[0]["y"] is None
  seconds = [row["time/seconds"] for row in rows]
  assert seconds == sorted(seconds)


@pytest.mark.parametrize(
  ("text", "whole"),
  [
    ("", 0),
    ('{"step": 1, "time/seconds": 0.5}\n', 1),
    ('{"step": 1, "time/seconds": 0.5}\n{"step": 2, "time/sec', 1),
    ('{"step": 1, "time/seconds": 0.5}\n[1]\n', 1),
    ('{"step": 1, "time/seconds": 0.5}\n{"step": 1}\n', 1),
    ("\xff\n", 0),
    ("[" * 100_000, 0),
  ],
)
def test_fewer_lines_than_the_checkpoint_counts_are_named(
  tmp_path, text, whole
):
  path = tmp_path / "metrics.jsonl"
  path.write_text(text, "latin-1")
  assert len(logs.read(path, whole)) == whole
  with pytest.raises(InputError, match=f"damaged: it has {whole} .*expects 2"):
    logs.Scalars(tmp_path, step=2, rows=2, tensorboard=False)
  assert path.read_text("latin-1") == text


@pytest.mark.parametrize("file", ["metrics.jsonl", "tensorboard"])
def test_a_full_disk_is_one_line(tmp_path, file):
  scalars = logs.Scalars(tmp_path, step=0, rows=0, tensorboard=True)
  scalars.write(1, {"x": 0.5})
  full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
  if file == "tensorboard":
    scalars._events.close()
    scalars._events = full
  else:
    scalars._file.close()
    scalars._file = io.TextIOWrapper(full, write_through=True)
  message = f"{tmp_path} cannot be written: No space left on device"
  with pytest.raises(InputError, match=message):
    scalars.write(2, {"x": 0.25})
  rows = logs.read(tmp_path / "metrics.jsonl")
  assert [row["step"] for row in rows] == [1, 2][: 1 + (file == "tensorboard")]
  scalars.close()


def test_events_are_tensorboards(tmp_path):
  first = logs.Scalars(tmp_path, step=0, rows=0, tensorboard=True)
  first.write(1, {"train/loss": 0.5, "x": math.nan})
  first.close()
  again = logs.Scalars(tmp_path, step=1, rows=1, tensorboard=True)
  again.write(2, {"train/loss": 0.25})
  again.close()
  events = []
  for file in sorted((tmp_path / "tensorboard").iterdir()):
    data = file.read_bytes()
    while data:
      (size,) = struct.unpack("<Q", data[:8])
      assert struct.unpack("<I", data[8:12]) == (masked_crc32c(data[:8]),)
      events.append(event_pb2.Event.FromString(data[12 : 12 + size]))
      data = data[16 + size :]
  assert [(e.file_version, e.step, e.session_log.status) for e in events] == [
    ("brain.Event:2", 0, 0),
    ("", 1, 0),
    ("brain.Event:2", 0, 0),
    ("", 2, event_pb2.SessionLog.START),
    ("", 2, 0),
  ]
  values = [(v.tag, v.simple_value) for e in events for v in e.summary.value]
  assert values[::2] == [("train/loss", 0.5), ("train/loss", 0.25)]
  assert math.isnan(values[1][1])
