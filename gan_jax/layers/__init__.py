"""Layers that the architectures share: Flax Linen."""

from gan_jax.layers.linear import (
  Conv,
  ConvTranspose,
  Dense,
  Embed,
  MinibatchStd,
  Norm,
)
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
