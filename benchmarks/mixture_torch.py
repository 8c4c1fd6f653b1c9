"""The PyTorch side of mixture_speed.py: runs of PacGAN's mixture, on demand.

Not a program to run by hand: mixture_speed.py starts it, in an interpreter
that has PyTorch. Its runs go one after the other.
"""

import json
import sys

import torch
import turns
from torch import nn
from torch.nn import functional as F


class Maxout(nn.Module):
  """The largest of some linear pieces: `[B, I]` to `[B, width]`."""

  def __init__(self, inputs: int, width: int, pieces: int):
    super().__init__()
    self.linear, self.pieces = nn.Linear(inputs, width * pieces), pieces

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """The activations."""
    x = self.linear(x)
    return x.view(len(x), -1, self.pieces).max(dim=-1).values


def make_generator(latent_dim: int, widths: list[int]) -> nn.Module:
  """Latents to points: dense layers with batch norm and ReLU."""
  layers = []
  for inputs, width in zip([latent_dim, *widths], widths):
    norm = [nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
    layers += [nn.Linear(inputs, width), *norm]
  return nn.Sequential(*layers, nn.Linear(widths[-1], 2))


def make_discriminator(widths: list[int], pieces: int) -> nn.Module:
  """Points to logits."""
  layers = [Maxout(i, w, pieces) for i, w in zip([2, *widths], widths)]
  return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


def draw_data(size: int, side: int, spacing: float, sigma: float):
  """The grid of Gaussians, `[size, 2]`."""
  ticks = spacing * (torch.arange(side) - (side - 1) / 2)
  centres = torch.cartesian_prod(ticks, ticks)
  picked = centres[torch.randint(len(centres), (size,))]
  return picked + sigma * torch.randn(size, 2)


class Trainer:
  """One run: both networks, their optimizers and the data.

  Attributes:
    parameters: number of trained numbers in both networks.
  """

  def __init__(self, seed: int, sizes: dict):
    torch.manual_seed(seed)
    self.batch, self.latent_dim = sizes['batch'], sizes['latent_dim']
    self.data = draw_data(**sizes['data'])
    self.g = make_generator(self.latent_dim, sizes['g_widths'])
    self.d = make_discriminator(sizes['d_widths'], sizes['pieces'])
    for network in (self.g, self.d):
      for layer in network.modules():
        if isinstance(layer, nn.Linear):
          nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')
    optimizer = lambda network: torch.optim.Adam(
      network.parameters(), lr=1e-4, betas=(0.8, 0.999), fused=True
    )
    self.g_optimizer, self.d_optimizer = optimizer(self.g), optimizer(self.d)
    self.batches: list[torch.Tensor] = []
    both = (self.g, self.d)
    self.parameters = sum(x.numel() for n in both for x in n.parameters())

  def generate(self) -> torch.Tensor:
    """A batch of points from fresh latents."""
    return self.g(torch.randn(self.batch, self.latent_dim))

  def step(self) -> None:
    """One update of each player."""
    if not self.batches:
      self.batches = list(torch.randperm(len(self.data)).split(self.batch))
    real = self.data[self.batches.pop()]
    with torch.no_grad():
      fake = self.generate()
    # No layer of D mixes the batch: one larger product instead of two.
    real_logits, fake_logits = self.d(torch.cat([real, fake])).chunk(2)
    d_loss = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
    self.d_optimizer.zero_grad(set_to_none=True)
    d_loss.backward()
    self.d_optimizer.step()

    # The G step needs no gradients of D's weights.
    self.d.requires_grad_(False)
    g_loss = F.softplus(-self.d(self.generate())).mean()
    self.g_optimizer.zero_grad(set_to_none=True)
    g_loss.backward()
    self.g_optimizer.step()
    self.d.requires_grad_(True)


def main() -> None:
  """Answers requests until standard input ends."""
  sizes, (threads, members) = json.loads(sys.argv[1]), sys.argv[2:]
  torch.set_num_threads(int(threads))
  trainers = [Trainer(seed, sizes) for seed in range(int(members))]

  def work(steps: int) -> None:
    for trainer in trainers:
      for _ in range(steps):
        trainer.step()

  about = {
    'version': torch.__version__,
    'parameters': trainers[0].parameters,
  }
  turns.serve(about, work)


if __name__ == '__main__':
  main()
