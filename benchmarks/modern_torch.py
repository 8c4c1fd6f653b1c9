"""The PyTorch side of modern_step.py: one process per network and way.

Started by modern_step.py in a Python that has PyTorch and NumPy, not by hand;
see dcgan_torch.py for the protocol. Written as an experienced user of PyTorch
would: fused Adam, an EMA without a loop over tensors, PyTorch's own spectral
norm, one forward pass for a loss and its penalty, a choice of memory layout,
and, on a GPU, automatic mixed precision, TF32 and compiled losses. PyTorch
cannot compile a function that differentiates twice, as a loss with R1 does:
such a loss is computed eagerly.
"""

import copy
import json
import pathlib
import sys

import memory
import modern_networks_torch
import numpy as np
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


def squared_gradients(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
  """Computes R1 or R2: half the squared norms of the gradients, `[B]`."""
  (gradient,) = torch.autograd.grad(logits.float().sum(), x, create_graph=True)
  return gradient.square().flatten(1).sum(1) / 2


def load(network: nn.Module, weights: dict[str, np.ndarray]) -> None:
  """Loads all parameters by name; batch statistics stay."""
  names = {name for name, _ in network.named_parameters()}
  if names != set(weights):
    raise ValueError(f'names differ: {sorted(names ^ set(weights))}')
  tensors = {name: torch.from_numpy(x) for name, x in weights.items()}
  network.load_state_dict(tensors, strict=False)


def normalize_spectrally(network: nn.Module) -> None:
  """Normalizes the kernels of all convolutions."""
  kinds = (nn.Conv2d, nn.ConvTranspose2d)
  for layer in [m for m in network.modules() if isinstance(m, kinds)]:
    parametrizations.spectral_norm(layer)


class Losses:
  """Both networks, and the losses of both players.

  Attributes:
    g: generator.
    d: discriminator.
  """

  def __init__(self, name: str, sizes: dict, layout: torch.memory_format):
    generator, discriminator = modern_networks_torch.NETWORKS[name]
    self.g, self.d = generator(sizes, layout), discriminator(sizes)
    self.sizes, self.hinge = sizes, name == 'FastGAN'
    self.relativistic = name == 'R3GAN'

  def of_d(
    self, real: torch.Tensor, fake: torch.Tensor, random: bool = True
  ) -> torch.Tensor:
    """Computes D's loss with the penalties of the paper."""
    if self.hinge:
      features = self.d.features(real)
      rebuilt = self.d.reconstruction_loss(features, real)
      real_logits, fake_logits = self.d.logits(features), self.d(fake, random)
      hinge = F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()
      return hinge + rebuilt
    real = real.detach().requires_grad_()
    real_logits = self.d(real, random)
    penalty = squared_gradients(real_logits, real)
    if self.relativistic:
      fake = fake.detach().requires_grad_()
      fake_logits = self.d(fake, random)
      penalty = penalty + squared_gradients(fake_logits, fake)
      loss = F.softplus(fake_logits - real_logits).mean()
    else:
      loss = players_torch.d_loss(real_logits, self.d(fake, random))
    return loss + self.sizes['penalty'] * penalty.mean()

  def of_g(
    self, real: torch.Tensor, fake: torch.Tensor, random: bool = True
  ) -> torch.Tensor:
    """Computes G's loss."""
    logits = self.d(fake, random)
    if self.hinge:
      return -logits.mean()
    if self.relativistic:
      with torch.no_grad():
        real_logits = self.d(real, random)
      return F.softplus(real_logits - logits).mean()
    return players_torch.g_loss(logits)


def check(losses: Losses, arrays: dict[str, np.ndarray]) -> float:
  """Compares images and losses with those of gan_jax, without noise.

  Args:
    losses: networks with the weights of gan_jax.
    arrays: latents, real and fake examples, and both losses.

  Returns:
    The largest difference, relative to the largest value.
  """
  get = lambda name: torch.from_numpy(arrays[name])
  fake = losses.g(get('latents'), False)
  found = {
    'fake': fake,
    'd_loss': losses.of_d(get('real'), fake.detach(), False),
    'g_loss': losses.of_g(get('real'), fake, False),
  }
  differences = [
    (x.detach() - get(name)).abs().max() / get(name).abs().max()
    for name, x in found.items()
  ]
  return float(max(differences))


class Trainer:
  """Both players, the EMA of G, and a train step."""

  def __init__(self, losses: Losses, options: dict, device: str):
    """Moves the networks to the device and prepares the losses.

    Args:
      losses: networks and losses.
      options: layout, dtype and compiled.
      device: 'cpu' or 'cuda'.
    """
    torch.manual_seed(0)
    sizes, layout = losses.sizes, LAYOUTS[options['layout']]
    self._sizes, self._device = sizes, device
    for network in (losses.g, losses.d):
      if sizes['spectral']:
        normalize_spectrally(network)
      network.to(device=device)
      if len(sizes['shape']) == 3:
        network.to(memory_format=layout)
    g, d = losses.g, losses.d
    self.players = players_torch.Players(g, d, lr=2e-4, betas=(0.0, 0.99))
    self._ema = copy.deepcopy(g).requires_grad_(False)
    self._pair = tuple(map(players_torch.float_tensors, (self._ema, g)))
    # Noise instead of images: their content does not change the time.
    self._real = torch.rand(sizes['batch'], *sizes['shape'], device=device)
    if len(sizes['shape']) == 3:
      self._real = self._real.contiguous(memory_format=layout)
    prepare = lambda function, compiled: players_torch.prepare_loss(
      function, device, options['dtype'], compiled
    )
    compiled = options['compiled']
    self._generate = prepare(lambda z: g(z, True), compiled)
    self._d_loss = prepare(losses.of_d, compiled and losses.hinge)
    self._g_loss = prepare(losses.of_g, compiled)

  def _draw(self) -> torch.Tensor:
    shape = self._sizes['batch'], self._sizes['latent_dim']
    return self._generate(torch.randn(*shape, device=self._device))

  def step(self) -> None:
    """Takes a D step, a G step, and an update of the EMA."""
    if self._sizes['same_latents']:  # one forward pass of G, as its authors
      fake = self._draw()
      self.players.step(
        lambda: self._d_loss(self._real, fake.detach()),
        lambda: self._g_loss(self._real, fake),
      )
    else:
      with torch.no_grad():
        fake = self._draw()
      self.players.step(
        lambda: self._d_loss(self._real, fake),
        lambda: self._g_loss(self._real, self._draw()),
      )
    with torch.no_grad():
      torch._foreach_lerp_(*self._pair, 1e-3)


def peak_mib(device: str) -> float:
  """Returns the peak memory of the device in MiB."""
  if device == 'cuda':
    return torch.cuda.max_memory_allocated() / 2**20
  return memory.peak_mib()


def main() -> None:
  """Serves requests until standard input ends."""
  name, text, directory = sys.argv[1:]
  options = json.loads(text)
  sizes = options['sizes'] | {'scales_kernels': options['scales_kernels']}
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  torch.backends.cudnn.benchmark = True
  torch.set_float32_matmul_precision('high')
  wait = torch.cuda.synchronize if device == 'cuda' else lambda: None
  before = memory.resident_mib() if device == 'cpu' else 0
  losses = Losses(name, sizes, LAYOUTS[options['layout']])
  path = pathlib.Path(directory)
  for file, network in (('g.npz', losses.g), ('d.npz', losses.d)):
    load(network, dict(np.load(path / file)))
  info = {
    'version': torch.__version__,
    'device': device,
    'parameters': sum(
      x.numel() for n in (losses.g, losses.d) for x in n.parameters()
    ),
    'difference': check(losses, dict(np.load(path / 'check.npz'))),
  }
  memory.reset_peak()
  trainer = Trainer(losses, options, device)
  every_thread = torch.get_num_threads()

  def work(threads: int, steps: int) -> None:
    torch.set_num_threads(threads or every_thread)
    for _ in range(steps):
      trainer.step()
    wait()

  work(1, 3)  # in one thread: with more, other work on a core delays it
  info['peak_mib'] = peak_mib(device) - before
  turns.serve(info, work)


if __name__ == '__main__':
  main()
