"""The PyTorch side of gpu.py: DCGAN at 32 or 64 pixels, timed on demand.

Not a program to run by hand: gpu.py starts it, in an interpreter that has
PyTorch. channels_last, automatic mixed precision for bfloat16, TF32 for
float32 (as XLA has it), fused Adam; eager, or with both losses compiled.
"""

import contextlib
import copy
import functools
import json
import sys
import time

import torch
import turns
from torch import nn
from torch.nn import functional as F


def make_generator(latent_dim: int, width: int, size: int) -> nn.Module:
  """Latents `[B, Z]` to images `[B, 3, size, size]`."""
  channels = width * size // 8
  layers = [
    nn.Linear(latent_dim, 16 * channels, bias=False),
    nn.Unflatten(1, (channels, 4, 4)),
  ]
  while channels >= width:
    last = channels == width
    layers += [
      nn.BatchNorm2d(channels),
      nn.ReLU(inplace=True),
      nn.ConvTranspose2d(
        channels, 3 if last else channels // 2, 4, 2, 1, bias=last
      ),
    ]
    channels //= 2
  return nn.Sequential(*layers, nn.Tanh())


def make_discriminator(width: int, size: int) -> nn.Module:
  """Images to logits `[B, 1]`."""
  layers = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
  channels = width
  while channels < width * size // 8:
    layers += [
      nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False),
      nn.BatchNorm2d(2 * channels),
      nn.LeakyReLU(0.2, inplace=True),
    ]
    channels *= 2
  return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * channels, 1))


class Trainer:
  """One experiment: networks, optimizers, the average, resident images.

  Attributes:
    parameters: number of trained numbers in both networks.
  """

  def __init__(self, sizes: dict, dtype: str, compiled: bool, device: str):
    torch.manual_seed(0)
    self.batch, self.latent_dim = sizes['batch'], sizes['latent_dim']
    width, size = sizes['width'], sizes['size']
    place = dict(device=device, memory_format=torch.channels_last)
    self.device = device
    self.generator = make_generator(self.latent_dim, width, size).to(**place)
    self.discriminator = make_discriminator(width, size).to(**place)
    both = (self.generator, self.discriminator)
    for layer in [x for network in both for x in network.modules()]:
      if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, std=0.02)
    self.parameters = sum(x.numel() for n in both for x in n.parameters())
    optimizer = lambda network: torch.optim.Adam(
      network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True
    )
    self.g_optimizer, self.d_optimizer = map(optimizer, both)
    self.average = copy.deepcopy(self.generator).requires_grad_(False)
    floats = lambda network: [
      x for x in network.state_dict().values() if x.is_floating_point()
    ]
    self.pair = floats(self.average), floats(self.generator)
    shape = (sizes['examples'], 3, size, size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    self.images = images.contiguous(memory_format=torch.channels_last)
    self.precision = contextlib.nullcontext
    if dtype == 'bfloat16':
      self.precision = functools.partial(
        torch.autocast, device, dtype=torch.bfloat16
      )
    choose = torch.compile if compiled else lambda function: function
    self.d_loss, self.g_loss = choose(self._d_loss), choose(self._g_loss)

  def _generate(self) -> torch.Tensor:
    latents = torch.randn(self.batch, self.latent_dim, device=self.device)
    return self.generator(latents)

  def _d_loss(self, images: torch.Tensor) -> torch.Tensor:
    real = images.float() / 127.5 - 1
    with torch.no_grad():
      fake = self._generate()
    real, fake = self.discriminator(real), self.discriminator(fake)
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()

  def _g_loss(self) -> torch.Tensor:
    return F.softplus(-self.discriminator(self._generate()).float()).mean()

  def step(self) -> None:
    """One D step, one G step, one update of the average."""
    indices = torch.randint(len(self.images), (self.batch,), device=self.device)
    with self.precision():
      d_loss = self.d_loss(self.images[indices])
    self.d_optimizer.zero_grad(set_to_none=True)
    d_loss.backward()
    self.d_optimizer.step()

    # The G step needs no gradients of D's weights.
    self.discriminator.requires_grad_(False)
    with self.precision():
      g_loss = self.g_loss()
    self.g_optimizer.zero_grad(set_to_none=True)
    g_loss.backward()
    self.g_optimizer.step()
    self.discriminator.requires_grad_(True)
    with torch.no_grad():
      torch._foreach_lerp_(*self.pair, 1e-3)


def main() -> None:
  """Answers requests until standard input ends."""
  sizes, dtype = json.loads(sys.argv[1]), sys.argv[2]
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  torch.backends.cudnn.benchmark = True
  torch.set_float32_matmul_precision('high')
  wait = torch.cuda.synchronize if device == 'cuda' else lambda: None
  trainers, seconds = {}, {}
  for compiled in (False, True):
    trainers[compiled] = Trainer(sizes, dtype, compiled, device)
    start = time.perf_counter()
    trainers[compiled].step()
    wait()
    seconds[compiled] = time.perf_counter() - start

  def work(compiled: bool, steps: int) -> None:
    for _ in range(steps):
      trainers[compiled].step()
    wait()

  about = {
    'version': torch.__version__,
    'device': device,
    'parameters': trainers[False].parameters,
    'compilation': seconds[True],
  }
  turns.serve(about, work)


if __name__ == '__main__':
  main()
