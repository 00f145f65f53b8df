"""The PyTorch side: eager, compiled, or with channels last."""

from benchmarks.twins import protocol

SPEC, answer = protocol.begin()

# ruff: noqa: E402 (standard output is for answers before torch is imported)
import math

import torch
from torch import optim
from torch.nn import functional as F

from benchmarks.twins import torch_gans, torch_nets, torch_weights

SIDE, OPTIM, GAN = SPEC["side"], SPEC["optim"], SPEC["gan"]


class Optimizer:
  """The recipe's optimizer, in torch's fastest implementation of it."""

  def __init__(self, parameters, factor=1.0):
    self.parameters = [p for p in parameters if p.requires_grad]
    rate = OPTIM["learning_rate"] * factor
    betas = (OPTIM["b1"], OPTIM["b2"])
    kernels = [p for p in self.parameters if p.ndim >= 2]
    others = [p for p in self.parameters if p.ndim < 2]
    groups = [
      {"params": kernels, "weight_decay": OPTIM["weight_decay"]},
      {"params": others, "weight_decay": 0.0},
    ]
    self.inner = {
      "adam": lambda: optim.Adam(
        self.parameters, rate, betas, OPTIM["eps"], fused=True
      ),
      "adamw": lambda: optim.AdamW(
        groups, rate, betas, OPTIM["eps"], fused=True
      ),
      "rmsprop": lambda: optim.RMSprop(
        self.parameters, rate, alpha=0.99, eps=OPTIM["eps"], foreach=True
      ),
      "sgd": lambda: optim.SGD(
        self.parameters, rate, OPTIM["momentum"], fused=True
      ),
    }[OPTIM["name"]]()
    self.steps = 0
    # The rule is of Adam alone; see gtzan_jax.training.optim.
    self.keras_eps = OPTIM["eps_rule"] == "keras" and "adam" in OPTIM["name"]

  def zero(self):
    self.inner.zero_grad(set_to_none=True)

  def step(self):
    self.steps += 1
    if self.keras_eps:
      eps = OPTIM["eps"] / math.sqrt(1 - OPTIM["b2"] ** self.steps)
      for group in self.inner.param_groups:
        group["eps"] = eps
    if OPTIM["clip_norm"]:
      torch.nn.utils.clip_grad_norm_(self.parameters, OPTIM["clip_norm"])
    self.inner.step()


def placed(network):
  """In the memory format of the side."""
  if SIDE == "torch-channels-last":
    return network.to(memory_format=torch.channels_last)
  return network


def compiled(module):
  return torch.compile(module) if SIDE == "torch-compile" else module


class Classifier:
  """A step of a classifier."""

  def __init__(self, x, label):
    if x.ndim == 4:  # pictures are stored channels first
      x = placed(x.permute(0, 3, 1, 2).contiguous())
    self.x, self.label = x, label
    shape = tuple(SPEC["shape"])
    network = torch_nets.NETWORKS[SPEC["model"]](shape, SPEC["classes"])
    self.network = placed(network.train())
    self.networks = {"": self.network}
    self.forward = compiled(self.network)
    self.optimizer = Optimizer(self.network.parameters())
    self.weights = None
    if SPEC["class_weights"]:
      self.weights = torch.tensor(SPEC["class_weights"])

  def step(self):
    """Updates the network; returns the loss."""
    self.optimizer.zero()
    loss = F.cross_entropy(
      self.forward(self.x), self.label, self.weights, reduction="none"
    ).mean()
    if SPEC["l2"]:
      loss = loss + SPEC["l2"] * self.network.dense.weight.square().sum()
    loss.backward()
    self.optimizer.step()
    return [loss]


class Gan:
  """A step of both networks of a GAN."""

  def __init__(self, x, label):
    self.x, self.label = x, label
    generator, discriminator = torch_gans.NETWORKS[SPEC["model"]]
    shape, classes = tuple(SPEC["shape"]), SPEC["classes"]
    self.generator = placed(generator(shape, classes))
    self.discriminator = placed(discriminator(shape, classes))
    self.networks = {
      "generator/": self.generator,
      "discriminator/": self.discriminator,
    }
    self.generate = compiled(self.generator)
    self.score = self.discriminator
    if not GAN["r1"]:  # torch.compile has no gradient of a gradient
      self.score = compiled(self.discriminator)
    self.optimizer = Optimizer(self.generator.parameters())
    self.against = Optimizer(
      self.discriminator.parameters(), GAN["discriminator_rate"]
    )
    self.average = []
    if GAN["average"]:
      self.average = [p.detach().clone() for p in self.generator.parameters()]
    self.mean, self.std = torch.zeros(shape[-1]), torch.ones(shape[-1])

  def draw(self):
    """Noise and genres of a batch."""
    size = len(self.label)
    noise = torch.randn(size, self.generator.noise)
    return noise, torch.randint(SPEC["classes"], (size,))

  def step(self):
    """Updates both networks; returns their losses."""
    real = (self.x - self.mean) / self.std
    noise, label = self.draw()
    with torch.no_grad():
      fake = self.generate(noise, label)
    self.against.zero()
    scores = self.score(real, self.label), self.score(fake, label)
    loss = (F.softplus(-scores[0]) + F.softplus(scores[1])).mean()
    total = loss
    if GAN["r1"]:
      point = real.detach().requires_grad_(True)
      score = self.score(point, self.label).sum()
      (slope,) = torch.autograd.grad(score, point, create_graph=True)
      total = loss + GAN["r1"] / 2 * slope.square().sum() / len(real)
    total.backward()
    self.against.step()
    self.discriminator.requires_grad_(False)
    noise, label = self.draw()
    self.optimizer.zero()
    generator_loss = F.softplus(
      -self.score(self.generate(noise, label), label)
    ).mean()
    generator_loss.backward()
    self.optimizer.step()
    self.discriminator.requires_grad_(True)
    if self.average:
      new = [p.detach() for p in self.generator.parameters()]
      torch._foreach_lerp_(self.average, new, 1 - GAN["average"])
    return [loss, generator_loss]


def check(side):
  """Answers with the losses from our weights."""
  for prefix, network in side.networks.items():
    weights = protocol.stored(SPEC["check"], f"weights/{prefix}")
    torch_weights.load(network, weights)
    torch_weights.without_dropout(network)
    if getattr(network, "turned_by_half", False):
      side.x = side.x.flip(2, 3)
  holders = [
    torch_weights.holder(network) for network in side.networks.values()
  ]

  def step(number):
    drawn = protocol.stored(SPEC["check"], f"draws/{number}/")
    if drawn:
      each = [
        (
          torch.tensor(drawn[f"{i}/noise"]).to(side.x),
          torch.tensor(drawn[f"{i}/label"]).long(),
        )
        for i in range(2)
      ]
      side.draw = lambda: each.pop(0)
    return side.step()

  protocol.check(answer, step, lambda: [hold() for hold in holders])


def main():
  # Before the threads start, which inherit it. XLA and TensorFlow do so; a
  # network that has learnt the one batch has gradients that small.
  torch.set_flush_denormal(True)
  torch.set_num_threads(SPEC["threads"])
  torch.manual_seed(0)
  if SPEC.get("check"):
    torch.set_default_dtype(torch.float64)
  x, label = map(torch.from_numpy, protocol.batch(SPEC))
  x, label = x.to(torch.get_default_dtype()), label.long()
  side = (Gan if SPEC["task"] == "gan" else Classifier)(x, label)
  if SPEC.get("check"):
    check(side)
    return
  facts = {"versions": {"torch": torch.__version__}}
  protocol.serve(answer, side.step, facts)


if __name__ == "__main__":
  main()
