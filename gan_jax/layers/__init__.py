"""Layers that the architectures share: Flax Linen."""

from gan_jax.layers.embedding import Embed
from gan_jax.layers.linear import Conv, ConvTranspose, Dense
from gan_jax.layers.minibatch_std import MinibatchStd
from gan_jax.layers.normalization import Norm
from gan_jax.layers.spectral_norm import SpectralNorm

__all__ = [
  'Conv',
  'ConvTranspose',
  'Dense',
  'Embed',
  'MinibatchStd',
  'Norm',
  'SpectralNorm',
]
