"""The PyTorch side of mixture_speed.py: runs of PacGAN's mixture, on demand.

Started by mixture_speed.py in a Python that has PyTorch, not by hand. Its runs
train one after the other.
"""

import json
import sys

import players_torch
import torch
import turns
from torch import nn


class Maxout(nn.Module):
  """Takes the maximum of linear pieces: `[B, I]` to `[B, width]`."""

  def __init__(self, inputs: int, width: int, pieces: int):
    super().__init__()
    self.linear, self.pieces = nn.Linear(inputs, width * pieces), pieces

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Computes the activations."""
    x = self.linear(x)
    return x.view(len(x), -1, self.pieces).max(dim=-1).values


def make_generator(latent_dim: int, widths: list[int]) -> nn.Module:
  """Builds a generator of dense layers with batch norm and ReLU.

  As in gan_jax, the layers before batch norm have no bias.
  """
  layers = []
  for inputs, width in zip([latent_dim, *widths], widths):
    norm = [nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
    layers += [nn.Linear(inputs, width, bias=False), *norm]
  return nn.Sequential(*layers, nn.Linear(widths[-1], 2))


def make_discriminator(widths: list[int], pieces: int) -> nn.Module:
  """Builds a maxout discriminator of points."""
  layers = [Maxout(i, w, pieces) for i, w in zip([2, *widths], widths)]
  return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


def draw_data(size: int, side: int, spacing: float, sigma: float):
  """Draws points `[size, 2]` from a grid of Gaussians."""
  ticks = spacing * (torch.arange(side) - (side - 1) / 2)
  centers = torch.cartesian_prod(ticks, ticks)
  means = centers[torch.randint(len(centers), (size,))]
  return means + sigma * torch.randn(size, 2)


class Trainer:
  """A run: both players and the data.

  Attributes:
    players: the networks and their optimizers.
  """

  def __init__(self, seed: int, sizes: dict):
    torch.manual_seed(seed)
    self.batch, self.latent_dim = sizes['batch'], sizes['latent_dim']
    self.data = draw_data(**sizes['data'])
    networks = (
      make_generator(self.latent_dim, sizes['g_widths']),
      make_discriminator(sizes['d_widths'], sizes['pieces']),
    )
    for layer in [x for network in networks for x in network.modules()]:
      if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')
    self.players = players_torch.Players(*networks, lr=1e-4, betas=(0.8, 0.999))
    self.batches: list[torch.Tensor] = []

  def generate(self) -> torch.Tensor:
    """Generates a batch of points from fresh latents."""
    return self.players.g(torch.randn(self.batch, self.latent_dim))

  def d_loss(self) -> torch.Tensor:
    """Computes D's loss on the next batch and as many fake points."""
    if not self.batches:
      self.batches = list(torch.randperm(len(self.data)).split(self.batch))
    real = self.data[self.batches.pop()]
    with torch.no_grad():
      fake = self.generate()
    # No layer of D mixes the batch: one larger product instead of two.
    logits = self.players.d(torch.cat([real, fake]))
    return players_torch.d_loss(*logits.chunk(2))

  def g_loss(self) -> torch.Tensor:
    """Computes G's loss on fresh latents."""
    return players_torch.g_loss(self.players.d(self.generate()))

  def step(self) -> None:
    """Updates each player once."""
    self.players.step(self.d_loss, self.g_loss)


def main() -> None:
  """Serves requests until standard input ends."""
  sizes, (threads, members) = json.loads(sys.argv[1]), sys.argv[2:]
  torch.set_num_threads(int(threads))
  trainers = [Trainer(seed, sizes) for seed in range(int(members))]

  def work(steps: int) -> None:
    for trainer in trainers:
      for _ in range(steps):
        trainer.step()

  info = {
    'version': torch.__version__,
    'parameters': trainers[0].players.parameters,
  }
  turns.serve(info, work)


if __name__ == '__main__':
  main()
