"""The gan_jax side of modern_step.py: one process per network.

Started by modern_step.py, not by hand; see dcgan_torch.py for the protocol. It
first writes weights, latents, examples and losses to a directory, for the
PyTorch side to load and to compare with.
"""

import json
import pathlib
import sys
from typing import Any

import fused
import jax
import jax.numpy as jnp
import memory
import numpy as np
import turns
from flax import traverse_util

from gan_jax import losses, networks, training
from gan_jax.distributed import xla_setup
from gan_jax.models import fastgan, r3gan, stylegan2, wavegan
from gan_jax.training import gan_losses, optimizers, penalty_terms

HPARAMS = {
  'g_learning_rate': 2e-4,
  'd_learning_rate': 2e-4,
  'ema_decay': 0.999,
} | {
  f'{player}_{name}': value
  for player in 'gd'
  for name, value in (
    optimizers.hparam_defaults('adam') | {'b1': 0.0, 'b2': 0.99}
  ).items()
}
LOSSES = {'R3GAN': 'rpgan', 'FastGAN': 'hinge'}
PENALTIES = {'R3GAN': ('r1', 'r2'), 'FastGAN': ('reconstruction',)}


def make_networks(name: str, sizes: dict, options: dict) -> tuple:
  """Builds generator and discriminator.

  Args:
    name: name of the GAN.
    sizes: sizes of modern_step.make_sizes.
    options: further fields of both networks.
  """
  width, shape = sizes['width'], tuple(sizes['shape'][1:] + sizes['shape'][:1])
  if name == 'StyleGAN2':
    common = dict(channel_max=width, **options)
    g_options = dict(style_dim=width, mapping_layers=2, mixing=0.0)
    d_options = dict(architecture='plain', minibatch_std=sizes['batch'])
    return (
      stylegan2.Generator(shape, **g_options, **common),
      stylegan2.Discriminator(**d_options, **common),
    )
  if name == 'R3GAN':
    common = dict(width=width, group_size=16, blocks=1, **options)
    return r3gan.Generator(shape, **common), r3gan.Discriminator(**common)
  if name == 'FastGAN':
    common = dict(width=width, spectral=bool(sizes['spectral']), **options)
    return (
      fastgan.Generator(shape, **common),
      fastgan.Discriminator(return_reconstructions=True, **common),
    )
  common = dict(width=width, **options)
  shift = sizes['phase_shuffle']
  return (
    wavegan.Generator(shape, **common),
    wavegan.Discriminator(phase_shuffle=shift, **common),
  )


def make_gan(name: str, sizes: dict, dtype: str) -> training.GAN:
  """Builds a GAN with the loss and the penalties of its paper."""
  pair = make_networks(name, sizes, dict(dtype=jnp.dtype(dtype)))
  generator, discriminator = map(networks.from_linen, pair)
  return training.GAN(
    generator=generator,
    discriminator=discriminator,
    loss=losses.LOSSES[LOSSES.get(name, 'non_saturating')],
    latent_dim=sizes['latent_dim'],
    g_optimizer=optimizers.from_hparams('adam', 'g'),
    d_optimizer=optimizers.from_hparams('adam', 'd'),
    d_terms={
      term: penalty_terms.make_term(term)
      for term in PENALTIES.get(name, ('r1',))
    },
  )


def init(gan: training.GAN, name: str, sizes: dict):
  """Returns a state and a batch of noise: its content changes no time."""
  shape = sizes['batch'], *sizes['shape'][1:], sizes['shape'][0]
  batch = {'x': jax.random.uniform(jax.random.key(1), shape)}
  hparams = dict(HPARAMS)
  for term in PENALTIES.get(name, ('r1',)):
    hparams[f'{term}_weight'] = sizes['penalty']
  make = lambda key: training.init_state(gan, key, batch, hparams)
  return jax.jit(make)(jax.random.key(2)), batch


def perturb(params: Any) -> Any:
  """Adds noise to all parameters but scalars, since many of them start at 0.

  The scalars, scales of noise inputs, stay 0: the two sides draw other noise.
  """
  rng = np.random.default_rng(0)
  draw = lambda x: 0.05 * rng.standard_normal(x.shape, np.float32)
  return jax.tree.map(lambda x: np.asarray(x) + draw(x) * (x.ndim > 0), params)


def to_torch(path: str, x: np.ndarray) -> tuple[str, np.ndarray]:
  """Returns name and value of a parameter in PyTorch."""
  scope, _, leaf = path.lower().rpartition('/')
  is_norm = leaf == 'scale' and x.ndim == 1
  is_image = leaf not in ('kernel', 'dual_kernel')
  if is_norm or not is_image:
    leaf = 'weight'
  axes = (2, 0, 1) if x.ndim == 3 and is_image else range(x.ndim)[::-1]
  if x.ndim == 4:
    axes = (3, 2, 0, 1)
  name = '.'.join([*scope.split('/'), leaf]).lstrip('.')
  return name, np.array(x.transpose(axes), order='C')


def mirror(path: str, x: np.ndarray) -> np.ndarray:
  """Reverses the time of a parameter of WaveGAN.

  The odd one of the zeros around the sound is at its end here and at its start
  in PyTorch. Dense layers also get the channels before the time.
  """
  if x.ndim == 3:
    return x[::-1]
  for axis, size in enumerate(x.shape):
    if path.startswith('Dense') and size % 32 == 0:
      y = np.moveaxis(x, axis, 0)
      y = y.reshape(32, -1, *y.shape[1:])[::-1].swapaxes(0, 1)
      return np.moveaxis(y.reshape(size, *y.shape[2:]), 0, axis)
  return x


def channels_first(x: np.ndarray) -> np.ndarray:
  """Returns images NCHW, or sound NCT with its time reversed."""
  x = np.moveaxis(np.asarray(x), -1, 1)
  return np.ascontiguousarray(x[..., ::-1] if x.ndim == 3 else x)


def export(name: str, sizes: dict, directory: pathlib.Path) -> None:
  """Writes weights, inputs and outputs without noise and spectral norm."""
  sizes = sizes | dict(spectral=0, phase_shuffle=0)
  gan = make_gan(name, sizes, 'float32')
  state, batch = init(gan, name, sizes)
  params = perturb((state.generator.params, state.discriminator.params))
  for file, tree in zip('gd', params):
    flat = traverse_util.flatten_dict(tree, sep='/')
    if name == 'WaveGAN':
      flat = {path: mirror(path, x) for path, x in flat.items()}
    tensors = dict(to_torch(path, x) for path, x in flat.items())
    np.savez(directory / f'{file}.npz', **tensors)
  shape = sizes['batch'], sizes['latent_dim']
  latents = jax.random.normal(jax.random.key(3), shape)

  @jax.jit
  def outputs(g_params, d_params):
    statistics = state.generator.batch_stats
    fake, _ = gan.generator.apply(
      g_params, statistics, latents, None, train=True, key=jax.random.key(0)
    )
    d_loss, g_loss, _ = gan_losses.make_gan_losses(gan)(
      g_params, d_params, state, batch | {'latents': latents}, jax.random.key(0)
    )
    return fake, d_loss, g_loss

  with jax.default_matmul_precision('highest'):  # a GPU would round to 10 bits
    fake, d_loss, g_loss = outputs(*params)
  np.savez(
    directory / 'check.npz',
    latents=latents,
    real=channels_first(batch['x']),
    fake=channels_first(fake),
    d_loss=d_loss,
    g_loss=g_loss,
  )


class Program:
  """Compiled train steps of a GAN, and its state.

  Attributes:
    state: train state; each call of `run` continues from it.
  """

  def __init__(self, name: str, sizes: dict, dtype: str):
    gan, self._key = make_gan(name, sizes, dtype), jax.random.key(0)
    self.state, batch = init(gan, name, sizes)
    self._batch = jax.tree.map(lambda x: x[None], batch)
    self._step = training.make_train_step(
      gan, same_latents=bool(sizes['same_latents'])
    )

    self._programs = {}

  def _compiled(self, steps: int):
    """Compiles a step, or a scan of several."""
    if steps in self._programs:
      return self._programs[steps]

    def scan(state, batch, key):
      body = lambda state, _: self._step(state, batch, key)
      return jax.lax.scan(body, state, length=steps)

    program = jax.jit(scan if steps > 1 else self._step, donate_argnums=0)
    lowered = program.lower(self.state, self._batch, self._key)
    self._programs[steps] = lowered.compile()
    return self._programs[steps]

  def run(self, steps: int, calls: int) -> None:
    """Takes `calls` times `steps` steps, and waits for them."""
    program = self._compiled(steps)
    for _ in range(calls):
      self.state, _ = program(self.state, self._batch, self._key)
    jax.block_until_ready(self.state)

  def buffers_mib(self) -> float:
    """Returns the memory of a step's buffers and of the state in MiB."""
    sizes = self._compiled(1).memory_analysis()
    return (sizes.temp_size_in_bytes + sizes.argument_size_in_bytes) / 2**20


def measure_peak(program: Program) -> float:
  """Returns the peak memory of some steps in MiB."""
  program.run(1, 1)
  memory.reset_peak()
  program.run(1, 2)
  device = jax.devices()[0]
  if device.platform == 'cpu':
    return memory.peak_mib()
  return device.memory_stats()['peak_bytes_in_use'] / 2**20


def main() -> None:
  """Serves requests until standard input ends."""
  name, sizes, dtype, directory = sys.argv[1:]
  sizes = json.loads(sizes)
  xla_setup.keep_freed_memory()  # as train.py does
  xla_setup.configure_cpu()
  device = jax.devices()[0]
  before = memory.resident_mib() if device.platform == 'cpu' else 0
  program = Program(name, sizes, dtype)
  info = {
    'parameters': fused.num_parameters(program.state),
    'device': device.device_kind,
    'peak_mib': measure_peak(program) - before,
    'buffers_mib': program.buffers_mib(),
  }
  export(name, sizes, pathlib.Path(directory))
  turns.serve(info, program.run)


if __name__ == '__main__':
  main()
