"""Layers shared by the architectures, in Flax Linen."""

from gan_jax.layers.activations import ACTIVATIONS
from gan_jax.layers.attention import SelfAttention
from gan_jax.layers.conditioning import ClassHeads, ConditionalBatchNorm
from gan_jax.layers.embedding import Embed
from gan_jax.layers.initializers import INITIALIZERS
from gan_jax.layers.linear import (
  Conv,
  ConvTranspose,
  Dense,
  DownsampleConv,
  UpsampleConv,
)
from gan_jax.layers.minibatch_std import MinibatchStd
from gan_jax.layers.normalization import NORMS, Norm
from gan_jax.layers.resample import (
  downsample_max,
  downsample_mean,
  upsample_nearest,
)
from gan_jax.layers.residual import (
  DiscriminatorBlock,
  DiscriminatorBottleneck,
  GeneratorBlock,
  GeneratorBottleneck,
)
from gan_jax.layers.spectral_norm import SpectralNorm

__all__ = [
  'ACTIVATIONS',
  'ClassHeads',
  'ConditionalBatchNorm',
  'Conv',
  'ConvTranspose',
  'Dense',
  'DiscriminatorBlock',
  'DiscriminatorBottleneck',
  'DownsampleConv',
  'Embed',
  'GeneratorBlock',
  'GeneratorBottleneck',
  'INITIALIZERS',
  'MinibatchStd',
  'NORMS',
  'Norm',
  'SelfAttention',
  'SpectralNorm',
  'UpsampleConv',
  'downsample_max',
  'downsample_mean',
  'upsample_nearest',
]
