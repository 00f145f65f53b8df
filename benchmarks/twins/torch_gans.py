"""The networks of the GANs in PyTorch, named as ours (see torch_nets)."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class DenseGenerator(nn.Module):
  noise = 100

  def __init__(self, shape, classes, hidden=(512, 1024, 2048)):
    super().__init__()
    self.shape = shape
    self.genre = nn.Embedding(classes, 10)
    width = self.noise + 10
    for number, units in enumerate(hidden):
      setattr(self, f"dense{number}", nn.Linear(width, units))
      width = units
    self.depth = len(hidden)
    self.out = nn.Linear(width, math.prod(shape))

  def forward(self, noise, label):
    x = torch.cat([noise, self.genre(label)], 1)
    for number in range(self.depth):
      x = F.relu(getattr(self, f"dense{number}")(x))
    return self.out(x).view(-1, *self.shape)


class DenseDiscriminator(nn.Module):
  def __init__(self, shape, classes):
    super().__init__()
    self.genre = nn.Embedding(classes, 10)
    self.dense0 = nn.Linear(math.prod(shape) + 10, 1024)
    self.dense1 = nn.Linear(1024, 512)
    self.score = nn.Linear(512, 1)

  def forward(self, x, label):
    x = torch.cat([x.flatten(1), self.genre(label)], 1)
    x = F.leaky_relu(self.dense0(x), 0.2)
    return self.score(F.leaky_relu(self.dense1(x), 0.2))[:, 0]


def shrinking(sides, smallest=5):
  """Grids from the given one down, as ours (grids.shrinking)."""
  grids, step = [tuple(sides)], 4
  while max(grids[-1]) > smallest:
    grids.append(
      tuple(n if n <= smallest else math.ceil(n / step) for n in grids[-1])
    )
    step = 2
  return grids


def split(sides, small):
  """Cells of `sides` for each of `small`, along each side."""
  return [math.ceil(n / m) for n, m in zip(sides, small, strict=True)]


def fold(x, small):
  """`[batch, h, w, c]` to `[batch, *small, c * cells]`, padded by zeros."""
  batch, height, width, channels = x.shape
  rows, columns = split((height, width), small)
  ends = small[1] * columns - width, small[0] * rows - height
  x = F.pad(x, (0, 0, 0, ends[0], 0, ends[1]))
  x = x.view(batch, small[0], rows, small[1], columns, channels)
  return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, *small, -1)


def unfold(x, sides):
  """The inverse of `fold`."""
  batch, height, width, _ = x.shape
  rows, columns = split(sides, (height, width))
  x = x.view(batch, height, width, rows, columns, -1)
  x = x.permute(0, 1, 3, 2, 4, 5)
  x = x.reshape(batch, height * rows, width * columns, -1)
  return x[:, : sides[0], : sides[1]]


class Conv(nn.Conv2d):
  """3x3 on `[batch, h, w, c]`."""

  def __init__(self, channels):
    super().__init__(channels, channels, 3, padding=1)

  def forward(self, x):
    return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Conditioned(nn.Module):
  def __init__(self, inputs, channels):
    super().__init__()
    self.channels = channels
    self.change = nn.Linear(inputs, 2 * channels)

  def forward(self, x, z):
    x = F.layer_norm(x, (self.channels,), eps=1e-6)
    change = self.change(z).view(len(z), 1, 1, 2, self.channels)
    return x * (1 + change[..., 0, :]) + change[..., 1, :]


class Rising(nn.Module):
  def __init__(self, grids, widths, inputs, texture):
    super().__init__()
    self.grids, self.widths = grids, widths
    self.first = nn.Linear(inputs, math.prod(grids[-1]) * widths[-1])
    self.texture = nn.Linear(texture, widths[1], bias=False)
    for level in range(1, len(grids)):
      width = widths[level]
      cells = math.prod(split(grids[level - 1], grids[level]))
      setattr(self, f"norm{level}", Conditioned(inputs, width))
      setattr(self, f"conv{level}", Conv(width))
      setattr(self, f"out_norm{level}", Conditioned(inputs, width))
      setattr(self, f"up{level}", nn.Linear(width, widths[level - 1] * cells))

  def forward(self, z, texture):
    x = self.first(z).view(-1, *self.grids[-1], self.widths[-1])
    for level in reversed(range(1, len(self.grids))):
      if level == 1:
        x = x + self.texture(texture.view(*x.shape[:-1], -1))
      y = F.relu(getattr(self, f"norm{level}")(x, z))
      x = x + getattr(self, f"conv{level}")(y)
      y = F.relu(getattr(self, f"out_norm{level}")(x, z))
      x = unfold(getattr(self, f"up{level}")(y), self.grids[level - 1])
    return x


class ConvGenerator(nn.Module):
  def __init__(self, shape, classes, channels=(32, 64, 128, 128), texture=2):
    super().__init__()
    grids = shrinking(shape)
    below = len(channels) - 1
    widths = [channels[min(i, below)] for i in range(len(grids) - 1)]
    self.texture = texture * math.prod(grids[1])
    self.noise = 100 + self.texture
    self.genre = nn.Embedding(classes, 32)
    self.grid = Rising(grids, [1, *widths], 100 + 32, texture)

  def forward(self, noise, label):
    whole, texture = noise[:, : -self.texture], noise[:, -self.texture :]
    z = torch.cat([whole, self.genre(label)], 1)
    return self.grid(z, texture)[..., 0]


class Falling(nn.Module):
  def __init__(self, grids, widths):
    super().__init__()
    self.grids = grids
    for level in range(1, len(grids)):
      cells = math.prod(split(grids[level - 1], grids[level]))
      down = nn.Linear(widths[level - 1] * cells, widths[level])
      setattr(self, f"down{level}", down)
      setattr(self, f"conv{level}", Conv(widths[level]))

  def forward(self, x):
    for level in range(1, len(self.grids)):
      x = getattr(self, f"down{level}")(fold(x, self.grids[level]))
      x = x + getattr(self, f"conv{level}")(F.leaky_relu(x, 0.2))
    return F.leaky_relu(x, 0.2).mean(1).flatten(1)


class Projection(nn.Module):
  def __init__(self, inputs, classes):
    super().__init__()
    self.genre, self.score = nn.Embedding(classes, inputs), nn.Linear(inputs, 1)

  def forward(self, x, label):
    return self.score(x)[:, 0] + (self.genre(label) * x).sum(-1)


class ConvDiscriminator(nn.Module):
  def __init__(self, shape, classes, channels=(32, 64, 128, 128)):
    super().__init__()
    grids = shrinking(shape)
    levels = range(1, len(grids))
    widths = [channels[min(level, len(channels)) - 1] for level in levels]
    self.grid = Falling(grids, [1, *widths])
    self.project = Projection(grids[-1][1] * widths[-1], classes)

  def forward(self, x, label):
    return self.project(self.grid(x[..., None]), label)


NETWORKS = {
  "cgan_conv": (ConvGenerator, ConvDiscriminator),
  "cgan_dense": (DenseGenerator, DenseDiscriminator),
}
