"""The PyTorch side of residual_step.py: SNGAN and BigGAN for 32 pixels.

Started by residual_step.py in a Python that has PyTorch, not by hand; see
dcgan_torch.py for the protocol. Written as an experienced user of PyTorch
would: fused Adam, an EMA without a loop over tensors, PyTorch's own spectral
norm, a choice of memory layout, and, on a GPU, automatic mixed precision, TF32
and compiled losses.
"""

import copy
import functools
import json
import sys

import players_torch
import torch
import turns
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

LAYOUTS = {
  'contiguous': torch.contiguous_format,
  'channels_last': torch.channels_last,
}


def maybe_spectral(layer: nn.Module, spectral: bool) -> nn.Module:
  """Returns the layer, spectrally normalized or not."""
  return parametrizations.spectral_norm(layer) if spectral else layer


class Norm(nn.Module):
  """Batch norm, with scales and shifts by class if there are classes."""

  def __init__(self, channels: int, classes: int):
    super().__init__()
    self.norm = nn.BatchNorm2d(channels, affine=not classes)
    self.classes = classes
    if classes:
      self.scale = nn.Embedding(classes, channels)
      self.shift = nn.Embedding(classes, channels)
      nn.init.zeros_(self.scale.weight)
      nn.init.zeros_(self.shift.weight)

  def forward(self, x: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Returns normalized activations."""
    x = self.norm(x)
    if not self.classes:
      return x
    per_pixel = lambda table: table(label)[:, :, None, None]
    return x * (1 + per_pixel(self.scale)) + per_pixel(self.shift)


class GeneratorBlock(nn.Module):
  """Residual block that doubles the sides."""

  def __init__(self, channels: int, spectral: bool, classes: int):
    super().__init__()
    conv = lambda *args, **options: maybe_spectral(
      nn.Conv2d(channels, channels, *args, **options), spectral
    )
    self.norms = nn.ModuleList(Norm(channels, classes) for _ in range(2))
    self.convs = nn.ModuleList(conv(3, padding=1) for _ in range(2))
    self.shortcut = conv(1)

  def forward(self, x: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Returns maps of twice the sides."""
    up = lambda y: F.interpolate(y, scale_factor=2, mode='nearest')
    y = self.convs[0](up(F.relu(self.norms[0](x, label))))
    y = self.convs[1](F.relu(self.norms[1](y, label)))
    return y + up(self.shortcut(x))


class Generator(nn.Module):
  """Residual generator: latents to `[B, 3, 32, 32]`."""

  def __init__(self, sizes: dict[str, int], layout: torch.memory_format):
    super().__init__()
    channels, spectral = sizes['g_channels'], bool(sizes['g_spectral'])
    self.layout, self.channels = layout, channels
    self.dense = maybe_spectral(
      nn.Linear(sizes['latent_dim'], 16 * channels), spectral
    )
    self.blocks = nn.ModuleList(
      GeneratorBlock(channels, spectral, sizes['classes']) for _ in range(3)
    )
    self.norm = nn.BatchNorm2d(channels)
    self.last = maybe_spectral(nn.Conv2d(channels, 3, 3, padding=1), spectral)

  def forward(self, z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Returns images in [-1, 1]."""
    x = self.dense(z).reshape(-1, self.channels, 4, 4)
    x = x.contiguous(memory_format=self.layout)
    for block in self.blocks:
      x = block(x, label)
    return torch.tanh(self.last(F.relu(self.norm(x))))


class DiscriminatorBlock(nn.Module):
  """Residual block; the first has no ReLU at its input."""

  def __init__(self, inputs: int, channels: int, index: int):
    super().__init__()
    conv = lambda i, *args, **options: maybe_spectral(
      nn.Conv2d(i, channels, *args, **options), True
    )
    self.first, self.halves = index == 0, index < 2
    self.convs = nn.ModuleList(
      [conv(inputs, 3, padding=1), conv(channels, 3, padding=1)]
    )
    self.shortcut = conv(inputs, 1) if self.halves else nn.Identity()

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns maps of half the sides, in the first two blocks."""
    y = self.convs[0](x if self.first else F.relu(x))
    y = self.convs[1](F.relu(y))
    if self.halves:
      y, x = F.avg_pool2d(y, 2), F.avg_pool2d(x, 2)
    return y + self.shortcut(x)


class Discriminator(nn.Module):
  """Residual discriminator: images to logits `[B]`."""

  def __init__(self, sizes: dict[str, int]):
    super().__init__()
    channels = sizes['d_channels']
    self.blocks = nn.Sequential(
      *(DiscriminatorBlock(channels if i else 3, channels, i) for i in range(4))
    )
    self.last = maybe_spectral(nn.Linear(channels, 1), True)
    self.table = None
    if sizes['classes']:
      table = nn.Embedding(sizes['classes'], channels)
      self.table = maybe_spectral(table, True)

  def forward(self, x: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Returns logits."""
    x = F.relu(self.blocks(x)).sum((2, 3))
    logits = self.last(x)[:, 0]
    if self.table is not None:
      logits = logits + (self.table(label) * x).sum(1)
    return logits


class Trainer:
  """Both players, the EMA of G, and a train step with hinge losses."""

  def __init__(
    self,
    sizes: dict[str, int],
    layout: torch.memory_format,
    *,
    device: str = 'cpu',
    dtype: str = 'float32',
    compiled: bool = False,
  ):
    """Draws the weights, of the sizes that residual_step.py sends."""
    torch.manual_seed(0)
    g, d = Generator(sizes, layout), Discriminator(sizes)
    for network in (g, d):
      network.to(device=device, memory_format=layout)
    self.players = players_torch.Players(g, d, lr=2e-4, betas=(0.0, 0.9))
    self._ema = copy.deepcopy(g).requires_grad_(False)
    self._pair = tuple(map(players_torch.float_tensors, (self._ema, g)))
    self._latents = functools.partial(
      torch.randn, sizes['batch'], sizes['latent_dim'], device=device
    )
    # Noise instead of images: their content does not change the time.
    real = torch.rand(sizes['batch'], 3, 32, 32, device=device) * 2 - 1
    self._real = real.contiguous(memory_format=layout)
    indices = torch.arange(sizes['batch'], device=device)
    self._label = indices % max(1, sizes['classes'])
    self._d_loss, self._g_loss = (
      players_torch.prepare_loss(loss, device, dtype, compiled)
      for loss in (self._loss_of_d, self._loss_of_g)
    )

  def _loss_of_d(self) -> torch.Tensor:
    with torch.no_grad():
      fake = self.players.g(self._latents(), self._label)
    real_logits = self.players.d(self._real, self._label)
    fake_logits = self.players.d(fake, self._label)
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

  def _loss_of_g(self) -> torch.Tensor:
    fake = self.players.g(self._latents(), self._label)
    return -self.players.d(fake, self._label).mean()

  def step(self) -> None:
    """Takes a D step, a G step, and an update of the EMA."""
    self.players.step(self._d_loss, self._g_loss)
    with torch.no_grad():
      torch._foreach_lerp_(*self._pair, 1e-3)


def main() -> None:
  """Serves requests until standard input ends."""
  every_size, dtype = json.loads(sys.argv[1]), sys.argv[2]
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  torch.backends.cudnn.benchmark = True
  torch.set_float32_matmul_precision('high')
  wait = torch.cuda.synchronize if device == 'cuda' else lambda: None
  # A GPU is fastest with channels last; a CPU gains nothing by compiling.
  kinds = [('channels_last', False), ('channels_last', True)]
  if device == 'cpu':
    kinds = [(layout, False) for layout in LAYOUTS]
  trainers = {
    (name, layout, compiled): Trainer(
      sizes, LAYOUTS[layout], device=device, dtype=dtype, compiled=compiled
    )
    for name, sizes in every_size.items()
    for layout, compiled in kinds
  }
  info = {
    'version': torch.__version__,
    'device': device,
    'parameters': {
      name: trainers[name, *kinds[0]].players.parameters for name in every_size
    },
  }
  every_thread = torch.get_num_threads()

  def work(
    name: str, layout: str, threads: int, compiled: bool, steps: int
  ) -> None:
    torch.set_num_threads(threads or every_thread)
    for _ in range(steps):
      trainers[name, layout, compiled].step()
    wait()

  turns.serve(info, work)


if __name__ == '__main__':
  main()
