"""Exact numbers of parameters, as counted from the references' own code."""

import math

import jax
import jax.numpy as jnp
import pytest

from gan_jax.models import (
  biggan,
  r3gan,
  sndcgan,
  sngan,
  stylegan2,
  wavegan,
)

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


CIFAR_G, CIFAR_D = dict(mapping_layers=2), dict(architecture='plain')
NARROW = dict(channel_max=64, channels=1)


@pytest.mark.parametrize(
  'size, classes, g_options, d_options, g, d',
  [
    (32, 10, CIFAR_G, CIFAR_D, 20_215_315, 23_089_664),
    (32, 0, CIFAR_G, CIFAR_D, 19_947_539, 20_720_641),
    (64, 0, CIFAR_G, {}, 22_243_608, 23_407_361),
    (256, 0, {}, {}, 24_767_458, 24_001_089),
    (1024, 0, {}, {}, 30_370_060, 29_012_513),
  ],
)
def test_stylegan2(size, classes, g_options, d_options, g, d):
  base = dict(channel_base=16384) if size in (64, 256) else {}
  found = generator(stylegan2, size, 512, classes, **base, **g_options)
  assert found == g
  assert discriminator(stylegan2, size, classes, **base, **d_options) == d


def test_small_stylegan2():
  options = NARROW | dict(style_dim=64, mapping_layers=2)
  assert generator(stylegan2, 16, 64, **options) == 227_464
  assert discriminator(stylegan2, 16, **NARROW, **CIFAR_D) == 251_009


IMAGENET = dict(width=1536, group_size=32)


@pytest.mark.parametrize(
  'size, classes, options, g, d',
  [
    (32, 10, {}, 20_781_952, 21_280_512),
    (32, 0, {}, 20_732_160, 20_683_776),
    (64, 0, {}, 22_429_824, 22_381_440),
    (256, 0, {}, 23_057_952, 23_009_568),
    (32, 1000, IMAGENET, 82_914_304, 86_548_992),
    (64, 1000, IMAGENET | dict(taper=False), 103_570_432, 107_205_120),
    (16, 0, dict(width=64, blocks=1, channels=1), 108_352, 106_368),
  ],
)
def test_r3gan(size, classes, options, g, d):
  latents = 32 if size == 16 else 64
  assert generator(r3gan, size, latents, classes, **options) == g
  assert discriminator(r3gan, size, classes, **options) == d


@pytest.mark.parametrize(
  'length, width, g, d',
  [
    (16384, 64, 19_065_345, 17_427_969),
    (8192, 64, 5_957_633, 4_319_745),
    (8192, 32, 1_903_617, 1_084_673),
    (4096, 16, 476_161, 271_489),
  ],
)
def test_wavegan(length, width, g, d):
  net = wavegan.Generator(shape=(length, 1), width=width)
  assert count(net, jnp.zeros((1, 100)), 0) == g
  net = wavegan.Discriminator(width=width)
  assert count(net, jnp.zeros((1, length, 1)), 0) == d


def test_a_post_filter_has_its_own_parameters():
  plain, filtered = (
    wavegan.Generator(shape=(256, 1), width=2, post_filter=n) for n in (0, 512)
  )
  z = jnp.zeros((1, 5))
  assert count(filtered, z, 0) == count(plain, z, 0) + 512
