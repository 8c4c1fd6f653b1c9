"""Samplers of every architecture, tiny and with random weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import config as config_lib
from gan_jax import models, sampling
from gan_jax.experiment import build_gan

LATENTS, CLASSES = 6, 3
SHAPES = {  # others: (8, 8, 3)
  'fastgan': (16, 16, 3),
  'linear': (2,),
  'mlp': (2,),
  'wavegan': (256, 1),
}
OPTIONS = {
  'biggan': {'width': 1, 'hierarchical': False},
  'dcgan': {'width': 4},
  'fastgan': {'width': 4},
  'linear': {},
  'mlp': {'features': (8,)},
  'r3gan': {'width': 8, 'group_size': 4, 'blocks': 1},
  'sndcgan': {'width': 2},
  'sngan': {'width': 1},
  'stylegan2': {'channel_max': 8, 'style_dim': 8, 'mapping_layers': 2},
  'wavegan': {'width': 2},
}
CONDITIONAL = ('biggan', 'mlp', 'r3gan', 'sndcgan', 'stylegan2', 'wavegan')
NOISY = ('fastgan', 'stylegan2')
assert set(OPTIONS) == set(models.MODELS)


@functools.cache
def make(name, **fields):
  """The sampler of an architecture; its statistics are no standing ones."""
  is_conditional = name in CONDITIONAL
  player = {'name': name, name: OPTIONS[name]}
  config = config_lib.resolve(
    {
      'generator': player,
      'latent_dim': LATENTS,
      'conditional': is_conditional,
      **fields,
    }
  )
  shape = SHAPES.get(name, (8, 8, 3))
  share = (0.5, 0.25, 0.25) if is_conditional else ()
  gan = build_gan.build_gan(config, shape, class_share=share)
  label = jnp.zeros(2, jnp.int32) if is_conditional else None
  init = lambda key: gan.generator.init(key, jnp.zeros((2, LATENTS)), label)
  random = np.random.default_rng(0)

  def change(path, x):
    """Moves what starts at 0 or 1: biases, norms, scales of noise."""
    name = path[-1].key
    if x.ndim > 1 or name.startswith('power_'):
      return x
    factor = np.exp(0.3 * random.normal(size=x.shape))
    shift = 0 if name in ('var', 'scale') and x.ndim else 0.2
    return jnp.asarray(
      x * factor + shift * random.normal(size=x.shape), jnp.float32
    )

  weights = jax.jit(init)(jax.random.key(0))
  weights = jax.tree_util.tree_map_with_path(change, weights)
  return sampling.Sampler(config, shape, 7, weights, gan)
