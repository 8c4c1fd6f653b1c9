"""The PyTorch side of dcgan_step.py: a DCGAN train step, timed on demand.

Not a program to run by hand: dcgan_step.py starts it, in an interpreter that
has PyTorch. It reads one request a line from its standard input and answers
each with a line of JSON on its standard output.

  {"layout": "channels_last", "steps": 5}  ->  {"wall": 1.9, "cpu": 3.2}
"""

import copy
import json
import sys

import torch
import turns
from torch import nn
from torch.nn import functional as F

LAYOUTS = {
  'contiguous': torch.contiguous_format,
  'channels_last': torch.channels_last,
}


def make_generator(latent_dim: int, width: int, channels: int) -> nn.Module:
  """Latents `[B, Z]` to images `[B, C, 32, 32]`."""
  layers = [
    nn.Linear(latent_dim, 64 * width, bias=False),
    nn.Unflatten(1, (4 * width, 4, 4)),
  ]
  for features in (4 * width, 2 * width):
    layers += [
      nn.BatchNorm2d(features),
      nn.ReLU(inplace=True),
      nn.ConvTranspose2d(features, features // 2, 4, 2, 1, bias=False),
    ]
  return nn.Sequential(
    *layers,
    nn.BatchNorm2d(width),
    nn.ReLU(inplace=True),
    nn.ConvTranspose2d(width, channels, 4, 2, 1),
    nn.Tanh(),
  )


def make_discriminator(width: int, channels: int) -> nn.Module:
  """Images `[B, C, 32, 32]` to logits `[B, 1]`."""
  layers = [
    nn.Conv2d(channels, width, 4, 2, 1),
    nn.LeakyReLU(0.2, inplace=True),
  ]
  for features in (2 * width, 4 * width):
    layers += [
      nn.Conv2d(features // 2, features, 4, 2, 1, bias=False),
      nn.BatchNorm2d(features),
      nn.LeakyReLU(0.2, inplace=True),
    ]
  return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * width, 1))


def draw_weights(module: nn.Module) -> None:
  """N(0, 0.02) for kernels, as DCGAN has them."""
  for layer in module.modules():
    if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
      nn.init.normal_(layer.weight, std=0.02)
      if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Trainer:
  """Both networks, their optimizers, the average, and one step of all.

  Attributes:
    parameters: number of trained numbers in both networks.
  """

  def __init__(self, layout: str, sizes: dict[str, int]):
    torch.manual_seed(0)
    self.format = LAYOUTS[layout]
    self.batch, self.latent_dim = sizes['batch'], sizes['latent_dim']
    width, channels = sizes['width'], sizes['channels']
    self.generator = make_generator(self.latent_dim, width, channels)
    self.discriminator = make_discriminator(width, channels)
    for network in (self.generator, self.discriminator):
      draw_weights(network)
      network.to(memory_format=self.format).train()
    optimizer = lambda network: torch.optim.Adam(
      network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True
    )
    self.g_optimizer = optimizer(self.generator)
    self.d_optimizer = optimizer(self.discriminator)
    tensors = lambda network: [
      x for x in network.state_dict().values() if x.is_floating_point()
    ]
    self.average = copy.deepcopy(self.generator).requires_grad_(False)
    self.pair = tensors(self.average), tensors(self.generator)
    both = (self.generator, self.discriminator)
    self.parameters = sum(x.numel() for n in both for x in n.parameters())
    real = torch.rand(self.batch, channels, 32, 32) * 2 - 1
    self.real = real.contiguous(memory_format=self.format)

  def generate(self) -> torch.Tensor:
    """A batch of images from fresh latents."""
    x = self.generator[:2](torch.randn(self.batch, self.latent_dim))
    return self.generator[2:](x.contiguous(memory_format=self.format))

  def step(self) -> None:
    """One D step, one G step, one update of the average."""
    with torch.no_grad():
      fake = self.generate()
    real_logits = self.discriminator(self.real)
    fake_logits = self.discriminator(fake)
    d_loss = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
    self.d_optimizer.zero_grad(set_to_none=True)
    d_loss.backward()
    self.d_optimizer.step()

    # The G step needs no gradients of D's weights.
    self.discriminator.requires_grad_(False)
    g_loss = F.softplus(-self.discriminator(self.generate())).mean()
    self.g_optimizer.zero_grad(set_to_none=True)
    g_loss.backward()
    self.g_optimizer.step()
    self.discriminator.requires_grad_(True)
    with torch.no_grad():
      torch._foreach_lerp_(*self.pair, 1e-3)


def main() -> None:
  """Answers requests until standard input ends."""
  sizes = json.loads(sys.argv[1])
  trainers = {layout: Trainer(layout, sizes) for layout in LAYOUTS}
  about = {
    'version': torch.__version__,
    'threads': torch.get_num_threads(),
    'parameters': trainers['contiguous'].parameters,
  }

  def work(layout, steps):
    for _ in range(steps):
      trainers[layout].step()

  turns.serve(about, work)


if __name__ == '__main__':
  main()
