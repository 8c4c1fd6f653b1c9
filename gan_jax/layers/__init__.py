"""Layers shared by the architectures, in Flax Linen."""

from gan_jax.layers.activations import ACTIVATIONS
from gan_jax.layers.conditioning import ClassHeads, ConditionalBatchNorm
from gan_jax.layers.embedding import Embed
from gan_jax.layers.initializers import INITIALIZERS
from gan_jax.layers.linear import Conv, ConvTranspose, Dense
from gan_jax.layers.minibatch_std import MinibatchStd
from gan_jax.layers.normalization import NORMS, Norm
from gan_jax.layers.spectral_norm import SpectralNorm

__all__ = [
  'ACTIVATIONS',
  'ClassHeads',
  'ConditionalBatchNorm',
  'Conv',
  'ConvTranspose',
  'Dense',
  'Embed',
  'INITIALIZERS',
  'MinibatchStd',
  'NORMS',
  'Norm',
  'SpectralNorm',
]
