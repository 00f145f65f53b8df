"""The recipes' networks, layer for layer, in Keras.

A layer is named by the path of ours (block1/first/conv: "block1.first.conv"),
so that weights find their place by name.
"""

import keras
import numpy as np
from keras import layers as L
from keras import ops


class InputStats(L.Layer):
  def build(self, shape):
    self.mean = self.add_weight((shape[-1],), "zeros", trainable=False)
    self.std = self.add_weight((shape[-1],), "ones", trainable=False)

  def call(self, x):
    return (x - self.mean) / self.std


def keras_norm(name):
  return L.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)


def torch_norm(name):
  return L.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def conv(x, channels, side, name, **options):
  options = {"padding": "same", "activation": "relu"} | options
  return L.Conv2D(channels, side, name=name, **options)(x)


def linear(x, channels, side, name, **options):
  return conv(x, channels, side, name, activation=None, **options)


def relu(x, units, name, **options):
  return L.Dense(units, activation="relu", name=name, **options)(x)


def pool(x, window=2, strides=None, padding="same"):
  return L.MaxPooling2D(window, strides, padding)(x)


def picture(x):
  """`[batch, a, b]` to `[batch, a, b, 1]`."""
  return L.Reshape((*x.shape[1:], 1))(x)


def turned(x):
  return picture(L.Permute((2, 1))(x))


def leaky(x):
  return L.LeakyReLU(negative_slope=0.3)(x)


# Networks: (standardised input, spec, dropout layer of a rate) -> the input of
# the last layer.


def resnet(x, spec, drop):
  def conv_relu_norm(x, channels, name):
    return keras_norm(f"{name}.norm")(conv(x, channels, 3, f"{name}.conv"))

  x = pool(conv_relu_norm(picture(x), 32, "stem"))
  for name, channels in (("block1", 32), ("block2", 64)):
    y = conv_relu_norm(x, channels, f"{name}.first")
    y = conv_relu_norm(y, channels, f"{name}.second")
    if channels != x.shape[-1]:
      x = linear(x, channels, 1, f"{name}.shortcut")
    x = pool(L.ReLU()(L.Add()([x, y])))
  l2 = keras.regularizers.l2(spec["l2"])
  x = relu(L.Flatten()(x), 64, "dense", kernel_regularizer=l2)
  return drop(0.4)(x)


def slice_cnn(x, spec, drop):
  x = picture(x)
  for number, side in enumerate((3, 3, 2)):
    x = conv(x, 32, side, f"conv{number}", padding="valid")
    x = keras_norm(f"norm{number}")(pool(x, side, 2))
  return drop(0.3)(relu(L.Flatten()(x), 64, "dense"))


def conv_norm_relu(x, pools):
  x = picture(x)
  for number, window in enumerate(pools):
    x = linear(x, 16 * 2**number, 3, f"conv{number}", use_bias=False)
    x = pool(L.ReLU()(torch_norm(f"norm{number}")(x)), window)
  return x


def mel_cnn(x, spec, drop):
  x = conv_norm_relu(x, (2, 2, 2, 2))
  x = ops.concatenate([ops.mean(x, 1), ops.max(x, 1)], -1)
  return drop(0.4)(relu(drop(0.4)(L.Flatten()(x)), 128, "dense"))


def cnn_gru(x, spec, drop, layer=L.GRU):
  x = conv_norm_relu(x, ((2, 2), (2, 2), (1, 4), (1, 2)))
  x = drop(0.3)(L.Reshape((x.shape[1], -1))(x))
  x = drop(0.3)(layer(128, name="recurrent")(x))
  return drop(0.3)(relu(x, 64, "dense"))


def cnn_lstm(x, spec, drop):
  return cnn_gru(x, spec, drop, L.LSTM)


def gelu(x):
  return keras.activations.gelu(x, approximate=True)


def transformer(x, spec, drop, width=128, heads=4, depth=4):
  def norm(x, name):
    return L.LayerNormalization(epsilon=1e-6, name=name)(x)

  def attention(x, name):
    def projected(name):
      y = L.Dense(width, use_bias=False, name=name)(x)
      y = L.Reshape((-1, heads, width // heads))(y)
      return ops.transpose(y, (0, 2, 1, 3))

    q, k, v = (
      projected(f"{name}.{part}") for part in ("query", "key", "value")
    )
    scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
    y = ops.matmul(ops.softmax(scores / (width // heads) ** 0.5), v)
    y = L.Reshape((-1, width))(ops.transpose(y, (0, 2, 1, 3)))
    return L.Dense(width, use_bias=False, name=f"{name}.out")(y)

  x = L.Conv1D(width, 3, padding="same", activation=gelu, name="stem0")(x)
  x = L.Conv1D(width, 3, 2, padding="same", activation=gelu, name="stem1")(x)
  rates = 10_000.0 ** -np.linspace(0, 1, width // 2)
  angles = np.arange(x.shape[1])[:, None] * rates[None]
  place = np.concatenate([np.sin(angles), np.cos(angles)], 1)
  x = drop(0.1)(x + place[None].astype(x.dtype))
  for number in range(depth):
    name, share = f"block{number}", 0.1 * (number + 1) / depth

    def dropped(y, share=share):
      return drop(share, (spec["batch_size"], 1, 1))(drop(0.1)(y))

    y = attention(norm(x, f"{name}.attention_norm"), f"{name}.attention")
    x = x + dropped(y)
    y = norm(x, f"{name}.feed_norm")
    y = L.Dense(4 * width, activation=gelu, name=f"{name}.feed_in")(y)
    x = x + dropped(L.Dense(width, name=f"{name}.feed_out")(y))
  return drop(0.1)(L.GlobalAveragePooling1D()(norm(x, "norm")))


def parallel_cnn(x, spec, drop):
  x, flat = turned(x), []
  for number, (channels, side, window) in enumerate(((3, 8, 4), (4, 4, 2))):
    y = leaky(linear(x, channels, side, f"conv{number}", padding="valid"))
    flat.append(L.Flatten()(pool(y, window, padding="valid")))
  return L.Concatenate()(flat)


def cnn_rnn(x, spec, drop):
  x = turned(x)
  for number, (channels, side) in enumerate(((8, 4), (6, 3))):
    x = linear(x, channels, side, f"conv{number}", padding="valid")
    x = pool(x, padding="valid")
  x = L.Reshape((-1, 6))(x)
  x = L.LSTM(128, return_sequences=True, name="lstm0")(x)
  return drop(0.2)(relu(L.LSTM(32, name="lstm1")(x), 200, "dense"))


def cnn_bilstm(x, spec, drop):
  x = turned(x)
  for number, (channels, side) in enumerate(((8, 4), (6, 3))):
    x = linear(x, channels, side, f"conv{number}")
    x = pool(leaky(keras_norm(f"norm{number}")(x)))
  x = L.Reshape((-1, 24))(x)
  x = L.Bidirectional(L.LSTM(128, return_sequences=True), name="lstm0")(x)
  x = L.Bidirectional(L.LSTM(32), name="lstm1")(x)
  return drop(0.3)(relu(x, 200, "dense"))


def lstm(x, spec, drop):
  x = drop(0.3)(L.LSTM(128, return_sequences=True, name="lstm0")(x))
  return drop(0.3)(L.LSTM(128, name="lstm1")(x))


def fcn(x, spec, drop):
  return relu(relu(L.Flatten()(x), 512, "dense0"), 512, "dense1")


def mlp(x, spec, drop):
  x = drop(0.3)(relu(x, 256, "dense0"))
  return relu(drop(0.3)(relu(x, 128, "dense1")), 64, "dense2")


def image_cnn2(x, spec, drop, batch_norm=False):
  for number, channels in enumerate((32, 32, 64, 128)):
    x = conv(x, channels, 3, f"conv{number}")
    if number % 2:
      x = pool(x)
    if batch_norm:
      x = torch_norm(f"norm{number}")(x)
  return relu(L.Flatten()(x), 256, "dense")


def image_cnn_bn(x, spec, drop):
  return image_cnn2(x, spec, drop, batch_norm=True)


def image_cnn(x, spec, drop):
  for number, channels in enumerate((32, 64, 128)):
    x = pool(conv(x, channels, 3, f"conv{number}"))
  return drop(0.5)(relu(L.Flatten()(x), 128, "dense"))


def mobilenet_v2(x, spec, drop):
  backbone = keras.applications.MobileNetV2(
    spec["shape"], include_top=False, weights=None, name="backbone"
  )
  backbone.trainable = False
  x = backbone((x - 0.5) / 0.5, training=False)
  return drop(0.5)(L.GlobalAveragePooling2D()(x))


def fusion_cnn(x, spec, drop):
  x = picture(x)
  for number, channels in enumerate((64, 128, 256)):
    x = conv(x, channels, 3, f"conv{number}")
    if number < 2:
      x = pool(x, padding="valid")
    x = drop(0.3)(keras_norm(f"norm{number}")(x))
  l2 = keras.regularizers.l2(spec["l2"])
  x = L.GlobalAveragePooling2D()(x)
  x = relu(x, 256, "dense", kernel_regularizer=l2)
  return drop(0.7)(keras_norm("dense_norm")(x))


NETWORKS = {
  function.__name__: function
  for function in (
    *(cnn_bilstm, cnn_gru, cnn_lstm, cnn_rnn, fcn, fusion_cnn, image_cnn),
    *(image_cnn2, image_cnn_bn, lstm, mel_cnn, mlp, mobilenet_v2),
    *(parallel_cnn, resnet, slice_cnn, transformer),
  )
}


def create(spec) -> keras.Model:
  """The network of a spec; without dropout where its weights are given."""

  def drop(rate, noise_shape=None):
    return L.Dropout(0.0 if spec.get("check") else rate, noise_shape)

  entry = keras.Input(tuple(spec["shape"]))
  x = NETWORKS[spec["model"]](InputStats()(entry), spec, drop)
  return keras.Model(entry, L.Dense(spec["classes"], name="head")(x))


def create_gan(spec) -> tuple[keras.Model, keras.Model]:
  """The generator and the discriminator of `cgan_dense`, on flat examples."""
  size = int(np.prod(spec["shape"]))
  models = []
  for inputs, name, units, out in (
    (100, "generator", (512, 1024, 2048), ("out", size)),
    (size, "discriminator", (1024, 512), ("score", 1)),
  ):
    entry = [keras.Input((inputs,)), keras.Input((), dtype="int32")]
    genre = L.Embedding(spec["classes"], 10, name="genre")(entry[1])
    x = L.Concatenate()([entry[0], genre])
    for number, width in enumerate(units):
      x = L.Dense(width, name=f"dense{number}")(x)
      x = L.LeakyReLU(negative_slope=0.2)(x) if out[1] == 1 else L.ReLU()(x)
    x = L.Dense(out[1], name=out[0])(x)
    models.append(keras.Model(entry, x, name=name))
  return tuple(models)
