"""Exact numbers of parameters, as counted from the references' own code."""

import math

import jax
import jax.numpy as jnp
import pytest

from gan_jax.models import biggan, sndcgan, sngan

ATTENTION = lambda channels: 5 * channels**2 // 4 + 1
CIFAR = dict(hierarchical=False, shared_dim=0, kernel_init='normal')
SAGAN = dict(hierarchical=False, shared_dim=0, kernel_init='glorot_uniform')
DEEP = dict(deep=True, width=128)


def count(module, x, classes):
  """Returns the number of parameters; nothing is computed."""
  label = jnp.zeros(1, jnp.int32) if classes else None
  init = lambda key: module.init(key, x, label, train=False)['params']
  shapes = jax.eval_shape(init, jax.random.key(0))
  return sum(math.prod(p.shape) for p in jax.tree.leaves(shapes))


def generator(model, size, latents, classes=0, channels=3, **options):
  shape = (size, size, channels)
  module = model.Generator(shape=shape, classes=classes, **options)
  return count(module, jnp.zeros((1, latents)), classes)


def discriminator(model, size, classes=0, channels=3, **options):
  module = model.Discriminator(classes=classes, **options)
  return count(module, jnp.zeros((1, size, size, channels)), classes)


@pytest.mark.parametrize(
  'size, classes, g, d',
  [
    (32, 0, 4_276_739, 1_053_825),
    (32, 10, 4_304_387, 1_055_105),
    (48, 0, 4_878_083, 10_141_441),
    (64, 0, 12_220_675, 10_141_441),
    (128, 0, 32_150_787, 29_017_857),
    (128, 1000, 41_996_931, 30_041_857),
  ],
)
def test_sngan(size, classes, g, d):
  assert generator(sngan, size, 128, classes) == g
  assert discriminator(sngan, size, classes) == d


def test_small_sngan():
  options = dict(width=16, channels=1)
  assert generator(sngan, 8, 32, 10, **options) == 115_073
  assert discriminator(sngan, 8, 10, **options) == 46_977
  assert generator(sngan, 16, 64, **options) == 223_809
  assert discriminator(sngan, 16, **options) == 47_713


def test_sndcgan():
  assert generator(sndcgan, 32, 128) == 3_813_379
  assert discriminator(sndcgan, 32) == 5_860_865
  options = dict(width=16, channels=1)
  assert generator(sndcgan, 16, 64, **options) == 206_049
  assert discriminator(sndcgan, 16, **options) == 366_689


def test_sagan():
  g, d = SAGAN | {'attention': 16}, {'width': 32, 'attention': 8}
  assert generator(biggan, 32, 128, 10, **g) == 4_386_308
  assert discriminator(biggan, 32, 10, **d) == 1_075_586
  g, d = SAGAN | {'attention': 64}, {'attention': 64}
  assert generator(biggan, 128, 128, 1000, **g) == 42_017_412
  assert discriminator(biggan, 128, 1000, **d) == 39_448_258


@pytest.mark.parametrize(
  'size, latents, classes, options, expected',
  [
    (32, 128, 10, CIFAR, 4_304_387),
    (32, 80, 10, dict(width=96, attention=16), 9_416_196),
    (32, 80, 10, dict(width=64, attention=16), 4_369_156),
    (64, 100, 1000, dict(attention=32), 31_866_116),
    (128, 120, 1000, dict(width=96, attention=64), 70_433_988),
    (32, 128, 10, DEEP | {'attention': 16}, 7_762_948),
    (64, 128, 1000, DEEP | {'attention': 32}, 49_829_636),
    (128, 128, 1000, DEEP | {'attention': 64}, 50_244_484),
  ],
)
def test_biggan_generator(size, latents, classes, options, expected):
  assert generator(biggan, size, latents, classes, **options) == expected


def test_small_biggan():
  options = dict(width=16, attention=8, shared_dim=16, channels=1)
  assert generator(biggan, 16, 48, 10, **options) == 195_810


@pytest.mark.parametrize(
  'size, classes, options, expected',
  [
    (32, 10, {}, 4_207_361),
    (32, 10, dict(width=96, attention=16), 9_641_090),
    (32, 10, dict(width=48, attention=16), 2_415_170),
    (64, 1000, dict(attention=32), 20_571_842),
    (128, 1000, dict(width=96, attention=64), 87_982_370),
    # The PyTorch code's table has attention after all three stages.
    (32, 10, DEEP | {'attention': 16}, 3_564_292 - 2 * ATTENTION(512)),
    (64, 1000, DEEP | {'attention': 32}, 20_951_554),
    (128, 1000, DEEP | {'attention': 64}, 34_590_210),
  ],
)
def test_biggan_discriminator(size, classes, options, expected):
  assert discriminator(biggan, size, classes, **options) == expected
