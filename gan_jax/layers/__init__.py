"""Layers shared by the architectures, in Flax Linen."""

from gan_jax.layers.activations import ACTIVATIONS
from gan_jax.layers.attention import SelfAttention
from gan_jax.layers.conditioning import ClassHeads, ConditionalBatchNorm
from gan_jax.layers.convolution import plain_convolutions
from gan_jax.layers.embedding import Embed
from gan_jax.layers.equalized import (
  EqualizedConv,
  EqualizedDense,
  scaled_leaky_relu,
)
from gan_jax.layers.excitation import (
  ReconstructionDecoder,
  SkipLayerExcitation,
  gated_linear_unit,
)
from gan_jax.layers.grouped import (
  BasisInput,
  DepthwisePool,
  GroupedBottleneck,
  GroupedConv,
)
from gan_jax.layers.initializers import INITIALIZERS
from gan_jax.layers.linear import (
  Conv,
  Conv1D,
  ConvTranspose,
  ConvTranspose1D,
  Dense,
  DownsampleConv,
  UpsampleConv,
)
from gan_jax.layers.minibatch_std import MinibatchStd
from gan_jax.layers.modulation import (
  MappingNetwork,
  ModulatedConv,
  NoiseInput,
  StyledConv,
  ToImage,
  modulated_convolve,
)
from gan_jax.layers.normalization import NORMS, Norm
from gan_jax.layers.phase_shuffle import draw_shifts, shuffle_phase
from gan_jax.layers.resample import (
  blur,
  downsample_max,
  downsample_mean,
  filter_downsample,
  filter_upsample,
  pool_to,
  select_quadrant,
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
  'BasisInput',
  'ClassHeads',
  'ConditionalBatchNorm',
  'Conv',
  'Conv1D',
  'ConvTranspose',
  'ConvTranspose1D',
  'Dense',
  'DepthwisePool',
  'DiscriminatorBlock',
  'DiscriminatorBottleneck',
  'DownsampleConv',
  'Embed',
  'EqualizedConv',
  'EqualizedDense',
  'GeneratorBlock',
  'GeneratorBottleneck',
  'GroupedBottleneck',
  'GroupedConv',
  'INITIALIZERS',
  'MappingNetwork',
  'MinibatchStd',
  'ModulatedConv',
  'NORMS',
  'NoiseInput',
  'Norm',
  'ReconstructionDecoder',
  'SelfAttention',
  'SkipLayerExcitation',
  'SpectralNorm',
  'StyledConv',
  'ToImage',
  'UpsampleConv',
  'blur',
  'downsample_max',
  'downsample_mean',
  'draw_shifts',
  'filter_downsample',
  'filter_upsample',
  'gated_linear_unit',
  'modulated_convolve',
  'plain_convolutions',
  'pool_to',
  'scaled_leaky_relu',
  'select_quadrant',
  'shuffle_phase',
  'upsample_nearest',
]
