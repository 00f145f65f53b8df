"""The recipes' networks, layer for layer, in PyTorch.

A module has the path of our layer (block1/first/conv is block1.first.conv), so
that weights find their place by name. `flattened` of a network has, for each
dense layer behind a flattened picture, the (height, width, channels) of what
is joined there: torch flattens channels first. Pictures come as
`[batch, channels, height, width]`, everything else as ours.
"""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F


def keras_norm(channels: int) -> nn.BatchNorm2d:
  return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InputStats(nn.Module):
  """Standardises bins, the last axis, or the channels of pictures."""

  def __init__(self, shape):
    super().__init__()
    picture = len(shape) == 3
    wide = (shape[-1], 1, 1) if picture else shape[-1:]
    self.register_buffer("mean", torch.zeros(wide))
    self.register_buffer("std", torch.ones(wide))

  def forward(self, x):
    return (x - self.mean) / self.std


class Network(nn.Module):
  def __init__(self, shape):
    super().__init__()
    self.standardise = InputStats(shape)
    self.flattened = {}

  def spectrogram(self, x):
    """`[batch, frames, bins]` to `[batch, 1, frames, bins]`."""
    return self.standardise(x).unsqueeze(1)

  def turned(self, x):
    """`[batch, frames, bins]` to `[batch, 1, bins, frames]`."""
    return self.standardise(x).transpose(1, 2).unsqueeze(1)

  def numbered(self, name, modules):
    """Registers `name0`, `name1`, ... and returns them."""
    modules = list(modules)
    for number, module in enumerate(modules):
      setattr(self, f"{name}{number}", module)
    return modules


class ConvReluNorm(nn.Module):
  def __init__(self, inputs, channels):
    super().__init__()
    self.conv = nn.Conv2d(inputs, channels, 3, padding=1)
    self.norm = keras_norm(channels)

  def forward(self, x):
    return self.norm(F.relu(self.conv(x)))


class ResidualBlock(nn.Module):
  def __init__(self, inputs, channels):
    super().__init__()
    self.first = ConvReluNorm(inputs, channels)
    self.second = ConvReluNorm(channels, channels)
    self.shortcut = None
    if inputs != channels:
      self.shortcut = nn.Conv2d(inputs, channels, 1)

  def forward(self, x):
    y = self.second(self.first(x))
    return F.relu(y + (self.shortcut(x) if self.shortcut else x))


class ResNet(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    self.stem = ConvReluNorm(1, 32)
    self.block1, self.block2 = ResidualBlock(32, 32), ResidualBlock(32, 64)
    height, width = (math.ceil(side / 8) for side in shape)
    self.flattened["dense"] = [(height, width, 64)]
    self.dense = nn.Linear(64 * height * width, 64)
    self.dropout = nn.Dropout(0.4)
    self.head = nn.Linear(64, classes)

  def forward(self, x):
    x = self.spectrogram(x)
    for layer in (self.stem, self.block1, self.block2):
      x = F.max_pool2d(layer(x), 2, ceil_mode=True)
    return self.head(self.dropout(F.relu(self.dense(x.flatten(1)))))


class SliceCNN(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    self.sides = (3, 3, 2)
    self.convs = self.numbered(
      "conv",
      (
        nn.Conv2d(n, 32, k)
        for n, k in zip((1, 32, 32), self.sides, strict=True)
      ),
    )
    self.norms = self.numbered("norm", (keras_norm(32) for _ in range(3)))
    with torch.no_grad():
      _, channels, height, width = self.blocks(torch.zeros(2, *shape)).shape
    for norm in self.norms:
      norm.reset_running_stats()
    self.flattened["dense"] = [(height, width, channels)]
    self.dense = nn.Linear(channels * height * width, 64)
    self.dropout = nn.Dropout(0.3)
    self.head = nn.Linear(64, classes)

  def blocks(self, x):
    x = self.spectrogram(x)
    for conv, norm, window in zip(
      self.convs, self.norms, self.sides, strict=True
    ):
      x = F.relu(conv(x))
      pads = []
      for side in (x.shape[3], x.shape[2]):
        total = max(0, (math.ceil(side / 2) - 1) * 2 + window - side)
        pads += [total // 2, total - total // 2]
      if any(pads):
        x = F.pad(x, pads, value=-math.inf)
      x = norm(F.max_pool2d(x, window, 2))
    return x

  def forward(self, x):
    x = F.relu(self.dense(self.blocks(x).flatten(1)))
    return self.head(self.dropout(x))


class ConvNormRelu(Network):
  """The blocks of the networks on log-mel spectrograms."""

  pools = ((2, 2), (2, 2), (2, 2), (2, 2))

  def __init__(self, shape):
    super().__init__(shape)
    pairs = list(itertools.pairwise((1, 16, 32, 64, 128)))
    self.convs = self.numbered(
      "conv", (nn.Conv2d(n, m, 3, padding=1, bias=False) for n, m in pairs)
    )
    self.norms = self.numbered("norm", (nn.BatchNorm2d(m) for _, m in pairs))

  def blocks(self, x):
    x = self.spectrogram(x)
    for conv, norm, pool in zip(
      self.convs, self.norms, self.pools, strict=True
    ):
      x = F.max_pool2d(F.relu(norm(conv(x))), pool, ceil_mode=True)
    return x


class MelCNN(ConvNormRelu):
  def __init__(self, shape, classes):
    super().__init__(shape)
    bands = shape[1] // 16
    self.flattened["dense"] = [(1, bands, 256)]
    self.dropout = nn.Dropout(0.4)
    self.dense = nn.Linear(256 * bands, 128)
    self.head = nn.Linear(128, classes)

  def forward(self, x):
    x = self.blocks(x)
    x = torch.cat([x.mean(2), x.amax(2)], 1).flatten(1)
    return self.head(self.dropout(F.relu(self.dense(self.dropout(x)))))


class CNNGRU(ConvNormRelu):
  pools = ((2, 2), (2, 2), (1, 4), (1, 2))
  layer = nn.GRU

  def __init__(self, shape, classes):
    super().__init__(shape)
    bands = shape[1] // 32
    self.flattened["recurrent"] = [(1, bands, 128)]
    self.dropout = nn.Dropout(0.3)
    self.recurrent = self.layer(bands * 128, 128, batch_first=True)
    self.recurrent.parts = {"l0": "recurrent"}
    self.dense = nn.Linear(128, 64)
    self.head = nn.Linear(64, classes)

  def forward(self, x):
    x = self.blocks(x).permute(0, 2, 1, 3).flatten(2)
    x = self.recurrent(self.dropout(x))[0][:, -1]
    return self.head(self.dropout(F.relu(self.dense(self.dropout(x)))))


class CNNLSTM(CNNGRU):
  layer = nn.LSTM


class Attention(nn.Module):
  def __init__(self, width, heads):
    super().__init__()
    self.heads = heads
    for name in ("query", "key", "value", "out"):
      setattr(self, name, nn.Linear(width, width, bias=False))

  def forward(self, x):
    batch, tokens, width = x.shape
    q, k, v = (
      layer(x).view(batch, tokens, self.heads, -1).transpose(1, 2)
      for layer in (self.query, self.key, self.value)
    )
    y = F.scaled_dot_product_attention(q, k, v)
    return self.out(y.transpose(1, 2).reshape(batch, tokens, width))


class DropPath(nn.Dropout):
  """Drops whole examples."""

  def forward(self, x):
    if not self.p:
      return x
    keep = 1 - self.p
    return x * ((torch.rand(len(x), 1, 1) < keep) / keep)


class Block(nn.Module):
  def __init__(self, width, heads, dropout, drop_path):
    super().__init__()
    self.attention_norm = nn.LayerNorm(width, eps=1e-6)
    self.attention = Attention(width, heads)
    self.feed_norm = nn.LayerNorm(width, eps=1e-6)
    self.feed_in = nn.Linear(width, 4 * width)
    self.feed_out = nn.Linear(4 * width, width)
    self.dropout = nn.Sequential(nn.Dropout(dropout), DropPath(drop_path))

  def forward(self, x):
    x = x + self.dropout(self.attention(self.attention_norm(x)))
    y = F.gelu(self.feed_in(self.feed_norm(x)), approximate="tanh")
    return x + self.dropout(self.feed_out(y))


class Transformer(Network):
  def __init__(self, shape, classes, width=128, depth=4):
    super().__init__(shape)
    frames, bins = shape
    self.stem0 = nn.Conv1d(bins, width, 3, padding=1)
    self.stem1 = nn.Conv1d(width, width, 3, stride=2)
    rates = 10_000.0 ** -torch.linspace(0, 1, width // 2)
    angles = torch.arange(math.ceil(frames / 2))[:, None] * rates[None]
    self.register_buffer("place", torch.cat([angles.sin(), angles.cos()], 1))
    self.blocks = self.numbered(
      "block",
      (Block(width, 4, 0.1, 0.1 * (n + 1) / depth) for n in range(depth)),
    )
    self.norm = nn.LayerNorm(width, eps=1e-6)
    self.dropout = nn.Dropout(0.1)
    self.head = nn.Linear(width, classes)

  def forward(self, x):
    x = self.standardise(x).transpose(1, 2)
    x = F.gelu(self.stem0(x), approximate="tanh")
    before = 1 if x.shape[2] % 2 else 0  # "same" padding
    x = F.gelu(self.stem1(F.pad(x, (before, 1))), approximate="tanh")
    x = self.dropout(x.transpose(1, 2) + self.place)
    for block in self.blocks:
      x = block(x)
    return self.head(self.dropout(self.norm(x).mean(1)))


class ParallelCNN(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    self.conv0, self.conv1 = nn.Conv2d(1, 3, 8), nn.Conv2d(1, 4, 4)
    frames, bins = shape
    self.flattened["head"] = parts = [
      ((bins - 7) // 4, (frames - 7) // 4, 3),
      ((bins - 3) // 2, (frames - 3) // 2, 4),
    ]
    self.head = nn.Linear(sum(map(math.prod, parts)), classes)

  def forward(self, x):
    x = self.turned(x)
    a = F.max_pool2d(F.leaky_relu(self.conv0(x), 0.3), 4)
    b = F.max_pool2d(F.leaky_relu(self.conv1(x), 0.3), 2)
    return self.head(torch.cat([a.flatten(1), b.flatten(1)], 1))


def sequence(x, width):
  """`[batch, c, h, w]` to `[batch, steps, width]`, place by place."""
  return x.permute(0, 2, 3, 1).reshape(len(x), -1, width)


class CNNRNN(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    self.conv0, self.conv1 = nn.Conv2d(1, 8, 4), nn.Conv2d(8, 6, 3)
    self.lstm0 = nn.LSTM(6, 128, batch_first=True)
    self.lstm1 = nn.LSTM(128, 32, batch_first=True)
    self.lstm0.parts, self.lstm1.parts = {"l0": "lstm0"}, {"l0": "lstm1"}
    self.dense = nn.Linear(32, 200)
    self.dropout = nn.Dropout(0.2)
    self.head = nn.Linear(200, classes)

  def forward(self, x):
    x = F.max_pool2d(self.conv0(self.turned(x)), 2)
    x = sequence(F.max_pool2d(self.conv1(x), 2), 6)
    x = self.lstm1(self.lstm0(x)[0])[0][:, -1]
    return self.head(self.dropout(F.relu(self.dense(x))))


class CNNBiLSTM(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    self.conv0 = nn.Conv2d(1, 8, 4, padding="same")
    self.conv1 = nn.Conv2d(8, 6, 3, padding="same")
    self.norm0, self.norm1 = keras_norm(8), keras_norm(6)
    both = {"batch_first": True, "bidirectional": True}
    self.lstm0, self.lstm1 = nn.LSTM(24, 128, **both), nn.LSTM(256, 32, **both)
    for name in ("lstm0", "lstm1"):
      getattr(self, name).parts = {
        "l0": f"{name}/ahead",
        "l0_reverse": f"{name}/back",
      }
    self.dense = nn.Linear(64, 200)
    self.dropout = nn.Dropout(0.3)
    self.head = nn.Linear(200, classes)

  def forward(self, x):
    x = F.leaky_relu(self.norm0(self.conv0(self.turned(x))), 0.3)
    x = F.max_pool2d(x, 2, ceil_mode=True)
    x = F.leaky_relu(self.norm1(self.conv1(x)), 0.3)
    x = sequence(F.max_pool2d(x, 2, ceil_mode=True), 24)
    ahead, back = self.lstm1(self.lstm0(x)[0])[1][0]
    x = F.relu(self.dense(torch.cat([ahead, back], 1)))
    return self.head(self.dropout(x))


class LSTM(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    self.lstm = nn.LSTM(shape[1], 128, 2, dropout=0.3, batch_first=True)
    self.lstm.parts = {"l0": "lstm0", "l1": "lstm1"}
    self.dropout = nn.Dropout(0.3)
    self.head = nn.Linear(128, classes)

  def forward(self, x):
    return self.head(self.dropout(self.lstm(self.standardise(x))[0][:, -1]))


class FCN(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    self.flattened["dense0"] = [shape]
    self.dense0 = nn.Linear(math.prod(shape), 512)
    self.dense1 = nn.Linear(512, 512)
    self.head = nn.Linear(512, classes)

  def forward(self, x):
    x = F.relu(self.dense0(self.standardise(x).flatten(1)))
    return self.head(F.relu(self.dense1(x)))


class MLP(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    self.dense0 = nn.Linear(shape[0], 256)
    self.dense1, self.dense2 = nn.Linear(256, 128), nn.Linear(128, 64)
    self.dropout = nn.Dropout(0.3)
    self.head = nn.Linear(64, classes)

  def forward(self, x):
    x = self.dropout(F.relu(self.dense0(self.standardise(x))))
    x = self.dropout(F.relu(self.dense1(x)))
    return self.head(F.relu(self.dense2(x)))


class PairedCNN(Network):
  batch_norm = False

  def __init__(self, shape, classes):
    super().__init__(shape)
    pairs = list(itertools.pairwise((3, 32, 32, 64, 128)))
    self.convs = self.numbered(
      "conv", (nn.Conv2d(n, m, 3, padding=1) for n, m in pairs)
    )
    self.norms = [nn.Identity()] * len(pairs)
    if self.batch_norm:
      self.norms = self.numbered("norm", (nn.BatchNorm2d(m) for _, m in pairs))
    self.flattened["dense"] = [(shape[0] // 4, shape[1] // 4, 128)]
    self.dense = nn.Linear(shape[0] // 4 * (shape[1] // 4) * 128, 256)
    self.head = nn.Linear(256, classes)

  def forward(self, x):
    x = self.standardise(x)
    for number, (conv, norm) in enumerate(
      zip(self.convs, self.norms, strict=True)
    ):
      x = F.relu(conv(x))
      if number % 2:
        x = F.max_pool2d(x, 2)
      x = norm(x)
    return self.head(F.relu(self.dense(x.flatten(1))))


class PairedNormCNN(PairedCNN):
  batch_norm = True


class ImageCNN(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    self.convs = self.numbered(
      "conv",
      (
        nn.Conv2d(n, m, 3, padding=1)
        for n, m in itertools.pairwise((3, 32, 64, 128))
      ),
    )
    self.flattened["dense"] = [(shape[0] // 8, shape[1] // 8, 128)]
    self.dense = nn.Linear(shape[0] // 8 * (shape[1] // 8) * 128, 128)
    self.dropout = nn.Dropout(0.5)
    self.head = nn.Linear(128, classes)

  def forward(self, x):
    x = self.standardise(x)
    for conv in self.convs:
      x = F.max_pool2d(F.relu(conv(x)), 2)
    return self.head(self.dropout(F.relu(self.dense(x.flatten(1)))))


class ConvNorm(nn.Module):
  def __init__(self, inputs, channels, side=1, stride=1, groups=1, act=True):
    super().__init__()
    pad = side // 2
    self.conv = nn.Conv2d(
      inputs, channels, side, stride, pad, groups=groups, bias=False
    )
    self.norm = nn.BatchNorm2d(channels, eps=1e-3)
    self.act = nn.ReLU6(inplace=True) if act else nn.Identity()

  def forward(self, x):
    return self.act(self.norm(self.conv(x)))


class InvertedResidual(nn.Module):
  def __init__(self, inputs, channels, stride, expansion):
    super().__init__()
    wide = expansion * inputs
    self.residual = stride == 1 and inputs == channels
    self.expand = ConvNorm(inputs, wide) if expansion > 1 else nn.Identity()
    self.depthwise = ConvNorm(wide, wide, 3, stride, groups=wide)
    self.project = ConvNorm(wide, channels, act=False)

  def forward(self, x):
    y = self.project(self.depthwise(self.expand(x)))
    return x + y if self.residual else y


class MobileNetV2(Network):
  """The frozen backbone in evaluation mode and a head.

  At stride 2 torch pads both ends, the recipe (as Keras) the far end only,
  which is the same on pictures and kernels turned by half a turn.
  """

  turned_by_half = True
  stages = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
  )

  def __init__(self, shape, classes):
    super().__init__(shape)
    self.stem = ConvNorm(3, 32, 3, 2)
    blocks, inputs = [], 32
    for expansion, channels, repeats, stride in self.stages:
      for repeat in range(repeats):
        block = (inputs, channels, 1 if repeat else stride, expansion)
        blocks.append(InvertedResidual(*block))
        inputs = channels
    self.blocks = self.numbered("block", blocks)
    self.last = ConvNorm(320, 1280)
    for parameter in self.parameters():
      parameter.requires_grad_(False)
    self.dropout = nn.Dropout(0.5)
    self.head = nn.Linear(1280, classes)

  def train(self, mode=True):
    super().train(mode)
    for layer in (self.stem, *self.blocks, self.last):
      layer.eval()
    return self

  def forward(self, x):
    with torch.no_grad():
      x = self.stem((self.standardise(x) - 0.5) / 0.5)
      for block in self.blocks:
        x = block(x)
      x = self.last(x).mean((2, 3))
    return self.head(self.dropout(x))


class FusionCNN(Network):
  def __init__(self, shape, classes):
    super().__init__(shape)
    pairs = list(itertools.pairwise((1, 64, 128, 256)))
    self.convs = self.numbered(
      "conv", (nn.Conv2d(n, m, 3, padding=1) for n, m in pairs)
    )
    self.norms = self.numbered("norm", (keras_norm(m) for _, m in pairs))
    self.block_dropout = nn.Dropout(0.3)
    self.dense = nn.Linear(256, 256)
    self.dense_norm = nn.BatchNorm1d(256, eps=1e-3, momentum=0.01)
    self.dropout = nn.Dropout(0.7)
    self.head = nn.Linear(256, classes)

  def forward(self, x):
    x = self.spectrogram(x)
    for number, (conv, norm) in enumerate(
      zip(self.convs, self.norms, strict=True)
    ):
      x = F.relu(conv(x))
      if number < 2:
        x = F.max_pool2d(x, 2)
      x = self.block_dropout(norm(x))
    x = self.dense_norm(F.relu(self.dense(x.mean((2, 3)))))
    return self.head(self.dropout(x))


NETWORKS = {
  "cnn_bilstm": CNNBiLSTM,
  "cnn_gru": CNNGRU,
  "cnn_lstm": CNNLSTM,
  "cnn_rnn": CNNRNN,
  "fcn": FCN,
  "fusion_cnn": FusionCNN,
  "image_cnn": ImageCNN,
  "image_cnn2": PairedCNN,
  "image_cnn_bn": PairedNormCNN,
  "lstm": LSTM,
  "mel_cnn": MelCNN,
  "mlp": MLP,
  "mobilenet_v2": MobileNetV2,
  "parallel_cnn": ParallelCNN,
  "resnet": ResNet,
  "slice_cnn": SliceCNN,
  "transformer": Transformer,
}
