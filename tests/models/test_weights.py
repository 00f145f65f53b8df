"""Weights from other people's files: right numbers, clear refusals."""

from functools import partial

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import safetensors.numpy
from flax import traverse_util

from gtzan_jax import models
from gtzan_jax.errors import InputError
from gtzan_jax.models import weights
from gtzan_jax.models.mobilenet import MobileNetV2
from gtzan_jax.models.weights.mobilenet_v2 import UNITS


def flat(tree):
  return traverse_util.flatten_dict(dict(tree), sep="/")


def layers(net):
  """(kernel, scale, bias, mean, variance) of each layer, in order."""
  for unit in UNITS:
    params, stats = net["params"], net["batch_stats"]
    for part in unit.split("/"):
      params, stats = params[part], stats[part]
    norm, stats = params["norm"], stats["norm"]
    values = (params["conv"]["kernel"], norm["scale"], norm["bias"])
    yield [*map(np.asarray, (*values, stats["mean"], stats["var"]))]


def head(net):
  return (np.asarray(net["params"]["head"][n]) for n in ("kernel", "bias"))


def keras_entries(net, top="predictions", depthwise="depthwise_kernel"):
  """{(layer, weight): array}, named as keras.applications' source does."""
  names = [("Conv1", "bn_Conv1")]
  for block in range(17):
    prefix = f"block_{block}_" if block else "expanded_conv_"
    for part in ("expand", "depthwise", "project")[0 if block else 1 :]:
      names.append((prefix + part, prefix + part + "_BN"))
  names.append(("Conv_1", "Conv_1_bn"))
  entries = {}
  for (conv, norm), (kernel, *rest) in zip(names, layers(net), strict=True):
    if conv.endswith("depthwise"):
      entries[conv, depthwise] = kernel.transpose(0, 1, 3, 2)
    else:
      entries[conv, "kernel"] = kernel
    weights = ("gamma", "beta", "moving_mean", "moving_variance")
    entries |= {(norm, w): v for w, v in zip(weights, rest, strict=True)}
  if top:
    entries[top, "kernel"], entries[top, "bias"] = head(net)
  assert len(entries) == 260 + 2 * bool(top)  # as Keras counts model.weights
  return entries


def write_h5(path, entries, place="{layer}/{layer}/{weight}:0"):
  with h5py.File(path, "w") as file:
    file.attrs["backend"] = "tensorflow"
    for (layer, weight), value in entries.items():
      file[place.format(layer=layer, weight=weight)] = value


def torch_entries(net):
  """A state dict, numbered as torchvision nests its modules."""
  names = [("features.0.0", "features.0.1")]
  for block in range(1, 18):
    wrapped = 1 if block == 1 else 2  # sequences before the projection
    at = f"features.{block}.conv"
    names += [(f"{at}.{i}.0", f"{at}.{i}.1") for i in range(wrapped)]
    names.append((f"{at}.{wrapped}", f"{at}.{wrapped + 1}"))
  names.append(("features.18.0", "features.18.1"))
  entries = {}
  for (conv, norm), values in zip(names, layers(net), strict=True):
    kernel, scale, bias, mean, variance = values
    entries |= {
      f"{conv}.weight": kernel.transpose(3, 2, 0, 1).copy(),
      f"{norm}.weight": scale,
      f"{norm}.bias": bias,
      f"{norm}.running_mean": mean,
      # torch adds 1e-5 to it where Keras and this model add 1e-3
      f"{norm}.running_var": variance + np.float32(1e-3 - 1e-5),
      f"{norm}.num_batches_tracked": np.array(7),
    }
  kernel, entries["classifier.1.bias"] = head(net)
  entries["classifier.1.weight"] = kernel.T.copy()
  assert len(entries) == 314  # as torch counts it
  return entries


def folded_entries(net):
  entries = {}
  for number, values in enumerate(layers(net)):
    kernel, scale, bias, mean, variance = values
    gain = scale / np.sqrt(variance + np.float32(1e-3))
    kind, axes = "conv_2d", (3, 0, 1, 2)
    if kernel.shape[2] == 1:
      kind, axes = "depthwise_conv_2d", (2, 0, 1, 3)
    entries[f"{number:02d}_{kind}/w"] = (kernel * gain).transpose(axes)
    entries[f"{number:02d}_{kind}/b"] = bias - mean * gain
  kernel, entries["52_conv_2d/b"] = head(net)
  entries["52_conv_2d/w"] = kernel.T[:, None, None]
  return entries


WRITERS = {
  "keras.h5": lambda path, net: write_h5(path, keras_entries(net)),
  "vision.safetensors": lambda path, net: safetensors.numpy.save_file(
    torch_entries(net), path
  ),
  "folded.npz": lambda path, net: np.savez(path, **folded_entries(net)),
  "own.npz": lambda path, net: weights.save_npz(path, net),
}
EVERY_FILE = pytest.mark.parametrize("file", sorted(WRITERS))


@pytest.fixture(scope="module")
def written(mobilenet, tmp_path_factory):
  folder = tmp_path_factory.mktemp("weights")
  for file, write in WRITERS.items():
    write(folder / file, mobilenet)
  return folder


@pytest.fixture(scope="module")
def predict():
  return jax.jit(partial(MobileNetV2(3).apply, train=False))


def refusal(path, variables, **options) -> str:
  """The one line that refuses a file."""
  with pytest.raises(InputError) as caught:
    weights.load(str(path), variables, **options)
  assert "\n" not in str(caught.value)
  assert str(caught.value).startswith(str(path))
  return str(caught.value)


@pytest.mark.slow
@EVERY_FILE
def test_every_format_gives_the_same_logits(file, written, mobilenet, predict):
  x = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
  empty = jax.tree.map(jnp.zeros_like, mobilenet)
  empty["input_stats"] = mobilenet["input_stats"]
  loaded = weights.load(str(written / file), empty, head=True)
  assert jax.tree.structure(loaded) == jax.tree.structure(mobilenet)
  wanted = predict(mobilenet, x)
  assert np.std(wanted) > 0.1
  np.testing.assert_allclose(
    predict(loaded, x), wanted, atol=2e-4 * np.abs(wanted).max()
  )


@pytest.mark.slow
@pytest.mark.parametrize(
  ("place", "top", "depthwise"),
  [
    ("model_weights/{layer}/{layer}/{weight}:0", "predictions", None),
    ("model_weights/{layer}/{layer}/{weight}", "Logits", "kernel"),  # Keras 3
    ("model_weights/mobilenetv2_1.00_96/{layer}/{weight}:0", None, None),
    ("mobilenetv2_1.00_224/{layer}/{weight}", None, "kernel"),
    ("{layer}/{layer}_1/{weight}:0", "predictions", None),
  ],
)
def test_keras_layouts(place, top, depthwise, mobilenet, tmp_path):
  entries = keras_entries(mobilenet, top, depthwise or "depthwise_kernel")
  write_h5(tmp_path / "x.h5", entries, place)
  with h5py.File(tmp_path / "x.h5", "a") as file:  # as a compiled model has
    file["optimizer_weights/Adam/Conv1/kernel:0"] = np.ones(3, np.float32)
  empty = jax.tree.map(jnp.zeros_like, mobilenet)
  loaded = flat(weights.load(str(tmp_path / "x.h5"), empty))
  for key, value in flat(mobilenet).items():
    kept = key.startswith("input_stats") or ("head/" in key and not top)
    np.testing.assert_array_equal(
      loaded[key], np.zeros_like(value) if kept else value, key
    )
  if not top:
    message = refusal(tmp_path / "x.h5", mobilenet, head=True)
    assert "predictions/kernel is missing" in message


@pytest.mark.slow
@EVERY_FILE
def test_keeps_what_the_file_does_not_decide(file, written, mobilenet, drawn):
  """Dtypes, input statistics, and the head for another number of classes."""
  half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), mobilenet)
  half["input_stats"]["standardise"]["mean"] += 3
  before = jax.tree.map(np.array, half)
  loaded = weights.load(str(written / file), half)
  kinds = {leaf.dtype.name for leaf in jax.tree.leaves(loaded)}
  assert kinds == {"bfloat16"}
  np.testing.assert_array_equal(loaded["input_stats"]["standardise"]["mean"], 3)
  jax.tree.map(np.testing.assert_array_equal, half, before)
  others = drawn(models.shapes(MobileNetV2(10), (32, 32, 3)), seed=9)
  loaded = weights.load(str(written / file), others)
  ours, theirs = loaded["params"], others["params"]
  jax.tree.map(np.testing.assert_array_equal, ours["head"], theirs["head"])
  stem = (tree["stem"]["conv"]["kernel"] for tree in (ours, theirs))
  assert not np.allclose(*stem)
  with pytest.raises(InputError, match=r"has shape .* needs \(.*10"):
    weights.load(str(written / file), others, head=True)


def test_any_model_comes_back_from_its_own_npz(tmp_path, drawn):
  def shapes(*channels):
    model = models.create("mel_cnn", 4, channels=channels, dense=8)
    return models.shapes(model, (16, 8))

  first = drawn(shapes(4, 4), seed=1)
  path = tmp_path / "mine.npz"
  weights.save_npz(path, first)
  loaded = weights.load(str(path), drawn(shapes(4, 4), seed=2), head=True)
  for collection in ("params", "batch_stats"):
    jax.tree.map(
      np.testing.assert_array_equal, loaded[collection], first[collection]
    )
  for other, reason in (
    ((4, 6), "mean has shape (4,); this"),
    ((4, 4, 4), "batch_stats/norm2/mean is missing"),
    ((4,), "/norm1/mean, which this model lacks"),
  ):
    assert reason in refusal(path, shapes(*other))


@pytest.mark.parametrize(
  "file", ["keras.h5", "vision.safetensors", "folded.npz"]
)
def test_other_models_take_no_mobilenet_file(file, written):
  tree = models.shapes(models.create("resnet", 10), (130, 13))
  assert "only mobilenet_v2 takes such a file" in refusal(written / file, tree)


@pytest.mark.parametrize(
  ("change", "reason"),
  [
    (lambda v: None, "block_5_project/kernel is missing; params/block5/"),
    (
      lambda v: v[..., :8],
      "kernel:0 has shape (1, 1, 192, 8); params/block5/project/conv/kernel"
      " needs (1, 1, 192, 32)",
    ),
    (lambda v: v + np.inf, "block5/project/conv/kernel is not finite"),
    (lambda v: v.astype("i1"), "kernel:0 is int8; give floating"),
  ],
  ids=["missing", "shape", "infinite", "quantised"],
)
def test_names_the_layer_that_is_wrong(change, reason, mobilenet, tmp_path):
  entries = keras_entries(mobilenet)
  value = change(entries.pop(("block_5_project", "kernel")))
  if value is not None:
    entries["block_5_project", "kernel"] = value
  write_h5(tmp_path / "x.h5", entries)
  assert reason in refusal(tmp_path / "x.h5", mobilenet)


@EVERY_FILE
@pytest.mark.parametrize("damage", ["cut", "empty", "foreign"])
def test_damaged_files_give_one_line(
  file, damage, written, mobilenet, tmp_path
):
  whole = (written / file).read_bytes()
  (tmp_path / file).write_bytes(
    {"cut": whole[: len(whole) // 3], "empty": b"", "foreign": b"RIFF" * 99}[
      damage
    ]
  )
  assert "damaged" in refusal(tmp_path / file, mobilenet)


class Payload:
  """Unpickled by Python's own pickle, this makes a file."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return open, (str(self.path), "w")


def write_unnamed_layers(path, victim):
  with h5py.File(path, "w") as file:
    file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 32), np.float32)


def write_single_array(path, victim):
  with path.open("wb") as file:
    np.save(file, np.zeros(3))


@pytest.mark.parametrize(
  ("file", "write", "reason"),
  [
    ("x.ckpt", None, r"\.ckpt received; .* \.h5, .*\.npz"),
    ("x.pt", None, r"\.pt received; .*weights\.md conv"),
    ("gone.h5", None, "no such file"),
    ("x.npz", write_single_array, r"no \.npz but a single array"),
    ("x.weights.h5", write_unnamed_layers, r"Keras 3 .*model\.save"),
    (
      "x.npz",
      lambda path, victim: np.savez(path, np.array([Payload(victim)], object)),
      "allow_pickle=False",
    ),
  ],
)
def test_unusable_files(file, write, reason, mobilenet, tmp_path):
  if write:
    write(tmp_path / file, tmp_path / "ran")
  with pytest.raises(InputError, match=reason):
    weights.load(str(tmp_path / file), mobilenet)
  assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_imagenet_weights_name_the_two_pictures(gtzan_data):
  folder = gtzan_data / "weights"
  labels = (folder / "imagenet_labels.txt").read_text().splitlines()
  model = MobileNetV2(len(labels))
  variables = models.shapes(model, (224, 224, 3))
  variables["input_stats"]["standardise"] = {
    "mean": jnp.zeros(3),
    "std": jnp.ones(3),
  }
  variables = weights.load(
    str(folder / "mobilenet_v2_imagenet.npz"), variables, head=True
  )
  pictures = []
  for file in ("cat.png", "bird.png"):
    picture = PIL.Image.open(folder / file).convert("RGB")
    left, top = ((side - min(picture.size)) // 2 for side in picture.size)
    square = (left, top, picture.width - left, picture.height - top)
    picture = picture.resize((224, 224), PIL.Image.Resampling.BILINEAR, square)
    pictures.append(np.asarray(picture, np.float32) / 255)
  logits = jax.jit(partial(model.apply, train=False))(
    variables, np.stack(pictures)
  )
  names = [labels[place] for place in np.argmax(logits, -1)]
  assert names == ["Egyptian cat", "chickadee"]
  assert jax.nn.softmax(logits).max(-1).min() > 0.5
