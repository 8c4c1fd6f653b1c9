"""DCGAN and its train step in PyTorch, at 32 or 64 pixels.

Written as an experienced user of PyTorch would: fused Adam, an EMA without a
loop over tensors, a choice of memory layout, automatic mixed precision, and
optionally compiled losses. dcgan_torch.py times it on a CPU, gpu_torch.py on an
accelerator.
"""

import copy
import functools
from typing import Callable

import players_torch
import torch
from torch import nn


class InLayout(nn.Module):
  """Converts activations to a memory layout."""

  def __init__(self, layout: torch.memory_format):
    super().__init__()
    self.layout = layout

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns the same numbers in the layout."""
    return x.contiguous(memory_format=self.layout)


def stage_widths(width: int, size: int) -> list[int]:
  """Returns the channels of each stage, from the pixels down to 4 x 4."""
  return [width * 2**stage for stage in range(size.bit_length() - 3)]


def make_generator(
  latent_dim: int, width: int, size: int, layout: torch.memory_format
) -> nn.Module:
  """Builds the generator: latents `[B, Z]` to `[B, 3, size, size]`."""
  widths = stage_widths(width, size)[::-1]
  layers = [
    nn.Linear(latent_dim, 16 * widths[0], bias=False),
    nn.Unflatten(1, (widths[0], 4, 4)),
    InLayout(layout),
  ]
  for inputs, outputs in zip(widths, [*widths[1:], 3]):
    layers += [
      nn.BatchNorm2d(inputs),
      nn.ReLU(inplace=True),
      nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=inputs == width),
    ]
  return nn.Sequential(*layers, nn.Tanh())


def make_discriminator(width: int, size: int) -> nn.Module:
  """Builds the discriminator: `[B, 3, size, size]` to logits `[B, 1]`."""
  widths = stage_widths(width, size)
  layers = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
  for inputs, outputs in zip(widths, widths[1:]):
    layers += [
      nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False),
      nn.BatchNorm2d(outputs),
      nn.LeakyReLU(0.2, inplace=True),
    ]
  return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * widths[-1], 1))


def draw_weights(module: nn.Module) -> None:
  """Draws kernels from N(0, 0.02^2), as DCGAN does."""
  for layer in module.modules():
    if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
      nn.init.normal_(layer.weight, std=0.02)
      if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Trainer:
  """Both players, the EMA of G, and a train step.

  Attributes:
    players: the networks and their optimizers.
  """

  def __init__(
    self,
    sizes: dict[str, int],
    layout: torch.memory_format,
    *,
    device: str = 'cpu',
    dtype: str = 'float32',
    compiled: bool = False,
    prepare: Callable[[torch.Tensor], torch.Tensor] = lambda images: images,
  ):
    """Draws the weights.

    Args:
      sizes: batch, latent_dim, width and size, the side of an image.
      layout: memory layout of kernels and activations.
      device: device of all tensors.
      dtype: 'float32', or 'bfloat16' for automatic mixed precision.
      compiled: whether to compile both losses.
      prepare: converts a batch to floats in [-1, 1], as a part of D's loss.
    """
    torch.manual_seed(0)
    self._latents = functools.partial(
      torch.randn, sizes['batch'], sizes['latent_dim'], device=device
    )
    networks = (
      make_generator(
        sizes['latent_dim'], sizes['width'], sizes['size'], layout
      ),
      make_discriminator(sizes['width'], sizes['size']),
    )
    for network in networks:
      draw_weights(network)
      network.to(device=device, memory_format=layout)
    self.players = players_torch.Players(*networks, lr=2e-4, betas=(0.5, 0.999))
    self._ema = copy.deepcopy(self.players.g).requires_grad_(False)
    self._pair = tuple(
      map(players_torch.float_tensors, (self._ema, self.players.g))
    )
    self._prepare = prepare
    self._d_loss, self._g_loss = (
      players_torch.prepare_loss(loss, device, dtype, compiled)
      for loss in (self._loss_of_d, self._loss_of_g)
    )

  def _loss_of_d(self, images: torch.Tensor) -> torch.Tensor:
    real = self._prepare(images)
    with torch.no_grad():
      fake = self.players.g(self._latents())
    return players_torch.d_loss(self.players.d(real), self.players.d(fake))

  def _loss_of_g(self) -> torch.Tensor:
    fake = self.players.g(self._latents())
    return players_torch.g_loss(self.players.d(fake))

  def step(self, images: torch.Tensor) -> None:
    """Takes a D step on a batch, a G step, and an update of the EMA."""
    self.players.step(lambda: self._d_loss(images), self._g_loss)
    with torch.no_grad():
      torch._foreach_lerp_(*self._pair, 1e-3)
