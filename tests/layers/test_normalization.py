"""Normalization of activations, by name."""

import functools

import chex
import jax
import numpy as np

from gan_jax import networks
from gan_jax.distributed import devices
from gan_jax.layers import normalization
from gan_jax.models import dcgan, mlp


def test_batch_norm_in_d_couples_examples_and_others_do_not():
  x = jax.random.normal(jax.random.key(1), (6, 16, 16, 1))
  for norm in normalization.NORMS:
    d = networks.from_linen(dcgan.Discriminator(width=4, norm=norm))
    weights = d.init(jax.random.key(0), x)
    logit = lambda x: d.apply(*weights, x, train=True)[0][0]
    others = np.abs(jax.jit(jax.grad(logit))(x))[1:].max()
    assert (others > 0) == (norm == 'batch'), norm


def test_cross_replica_batch_norm_sees_the_whole_batch():
  g = networks.from_linen(mlp.Generator(shape=(2,), features=(8,)))
  z = jax.random.normal(jax.random.key(1), (8, 3))
  weights = g.init(jax.random.key(0), z)
  apply = functools.partial(g.apply, *weights, train=True)
  whole, new = jax.jit(apply)(z)
  spread = jax.vmap(
    functools.partial(apply, axis_name=devices.AXIS_NAME),
    axis_name=devices.AXIS_NAME,
  )
  parts, part_stats = jax.device_get(jax.jit(spread)(z.reshape(4, 2, 3)))
  np.testing.assert_allclose(parts.reshape(8, 2), whole, atol=1e-5)
  first = jax.tree.map(lambda x: x[0], part_stats)
  chex.assert_trees_all_close(first, new, atol=1e-6)
