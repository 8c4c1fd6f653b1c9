"""Facts about the architectures, and the options of both their networks.

`gan_jax.models` holds the Flax modules. This module holds what the
rules of a config need to know, so that a config is checked without JAX.
"""

import dataclasses
from typing import NamedTuple

from gan_jax.config.fields import Part, option


class ModelFacts(NamedTuple):
  """Properties of an architecture.

  Attributes:
    has_dtype: Whether its modules take a `dtype`; others compute in float32.
    has_classes: Whether its modules take `classes` and labels.
    always_batch_norm: Whether its generator has batch norm, whatever its
      options.
    has_styles: Whether its generator maps latents to styles.
    always_batch_norm_in_d: Whether its discriminator has.
    has_decoders: Whether its discriminator has decoders, that rebuild its input
      from hidden layers.
  """

  has_dtype: bool = True
  has_classes: bool = True
  always_batch_norm: bool = False
  has_styles: bool = False
  always_batch_norm_in_d: bool = False
  has_decoders: bool = False


MODELS: dict[str, ModelFacts] = {
  'biggan': ModelFacts(always_batch_norm=True),
  'dcgan': ModelFacts(),
  'fastgan': ModelFacts(
    has_classes=False,
    always_batch_norm=True,
    always_batch_norm_in_d=True,
    has_decoders=True,
  ),
  'linear': ModelFacts(has_classes=False),
  'mlp': ModelFacts(),
  'r3gan': ModelFacts(),
  'sndcgan': ModelFacts(always_batch_norm=True),
  'sngan': ModelFacts(always_batch_norm=True),
  'stylegan2': ModelFacts(has_styles=True),
  'wavegan': ModelFacts(),
}
# A network that a program passes to experiment.build.
OWN_MODEL = ModelFacts(has_dtype=False, has_classes=False, has_decoders=True)
NORMS = ('none', 'batch', 'layer', 'spectral')
INITIALIZERS = (
  'normal',
  'glorot_uniform',
  'glorot_uniform_sqrt2',
  'he_normal',
  'lecun_normal',
  'orthogonal',
  'zeros',
)
POOLINGS = ('sum', 'mean')
ACTIVATIONS = ('relu', 'leaky_relu', 'silu', 'tanh')
STYLE_ARCHITECTURES = ('skip', 'residual', 'plain')


@dataclasses.dataclass(frozen=True)
class BigGANGenerator:
  """Options of the BigGAN generator.

  Attributes:
    width: Unit of the channels, the paper's ch.
    attention: Side of the feature maps that self-attention is applied to; 0 for
      none.
    hierarchical: Whether the latents are cut into chunks, for the first layer
      and each block. A deep network gives all of them to all blocks instead.
    deep: Whether the blocks are BigGAN-deep's.
    shared_dim: Length of the class embedding that all blocks share; 0 for a
      table by class in each block.
    spectral: Whether all kernels but tables of classes are spectrally
      normalized.
    kernel_init: Initial kernels, one of INITIALIZERS.
    remat: Whether to recompute the blocks' activations in the backward pass,
      for less memory.
  """

  width: int = option(64, at_least=1)
  attention: int = option(0, at_least=0)
  hierarchical: bool = option(True)
  deep: bool = option(False)
  shared_dim: int = option(128, at_least=0)
  spectral: bool = option(True)
  kernel_init: str = option('orthogonal', choices=INITIALIZERS)
  remat: bool = option(False)


@dataclasses.dataclass(frozen=True)
class BigGANDiscriminator:
  """Options of the BigGAN discriminator.

  Attributes:
    width: Unit of the channels, the paper's ch.
    attention: Side of the feature maps that self-attention is applied to; 0 for
      none.
    deep: Whether the blocks are BigGAN-deep's.
    spectral: Whether all kernels are spectrally normalized.
    kernel_init: Initial kernels, one of INITIALIZERS.
    pooling: What the last layer takes of each channel, one of POOLINGS.
    remat: Whether to recompute the blocks' activations in the backward pass,
      for less memory.
    outputs: Numbers per example: 1 is a logit; more are features, for losses
      that compare features.
  """

  width: int = option(64, at_least=1)
  attention: int = option(0, at_least=0)
  deep: bool = option(False)
  spectral: bool = option(True)
  kernel_init: str = option('orthogonal', choices=INITIALIZERS)
  pooling: str = option('sum', choices=POOLINGS)
  remat: bool = option(False)
  outputs: int = option(1, at_least=1)


@dataclasses.dataclass(frozen=True)
class DCGANGenerator:
  """Options of the DCGAN generator.

  Attributes:
    width: Channels of the layer at half the image's size, doubled at each
      halving.
    norm: Normalization of the hidden layers, one of NORMS.
  """

  width: int = option(64, at_least=1)
  norm: str = option('batch', choices=NORMS)


@dataclasses.dataclass(frozen=True)
class DCGANDiscriminator:
  """Options of the DCGAN discriminator.

  Attributes:
    width: Channels of the first layer, doubled at each halving.
    norm: Normalization of all layers but the first and the last, one of NORMS;
      'spectral' acts on every layer's kernel.
    outputs: Numbers per example: 1 is a logit; more are features, for losses
      that compare features.
    minibatch_std: Examples in a group whose standard deviation joins the last
      activations. -1 takes the whole batch, 0 leaves it out.
  """

  width: int = option(64, at_least=1)
  norm: str = option('batch', choices=NORMS)
  outputs: int = option(1, at_least=1)
  minibatch_std: int = option(0, at_least=-1)


@dataclasses.dataclass(frozen=True)
class FastGANGenerator:
  """Options of the FastGAN generator.

  Attributes:
    width: Factor on all channels, in 1 / 64 of the tables' (the paper's ngf).
    spectral: Whether all kernels are spectrally normalized.
  """

  width: int = option(64, at_least=1)
  spectral: bool = option(True)


@dataclasses.dataclass(frozen=True)
class FastGANDiscriminator:
  """Options of the FastGAN discriminator.

  Attributes:
    width: Factor on all channels, in 1 / 64 of the tables' (the paper's ndf).
    spectral: Whether all kernels are spectrally normalized.
  """

  width: int = option(64, at_least=1)
  spectral: bool = option(True)


@dataclasses.dataclass(frozen=True)
class LinearGenerator:
  """Options of the linear generator.

  Attributes:
    kernel_init: Initial weights, one of INITIALIZERS.
    bias_init: Initial biases, one of INITIALIZERS.
  """

  kernel_init: str = option('normal', choices=INITIALIZERS)
  bias_init: str = option('normal', choices=INITIALIZERS)


@dataclasses.dataclass(frozen=True)
class LinearDiscriminator:
  """Options of the linear discriminator.

  Attributes:
    kernel_init: Initial weights, one of INITIALIZERS.
    bias_init: Initial biases, one of INITIALIZERS.
    outputs: Numbers per example: 1 is a logit; more are features, for losses
      that compare features.
  """

  kernel_init: str = option('normal', choices=INITIALIZERS)
  bias_init: str = option('normal', choices=INITIALIZERS)
  outputs: int = option(1, at_least=1)


@dataclasses.dataclass(frozen=True)
class MLPGenerator:
  """Options of the fully connected generator.

  Attributes:
    features: Width of each hidden layer.
    norm: Normalization of the hidden layers, one of NORMS.
    activation: Activation of the hidden layers, one of ACTIVATIONS.
    kernel_init: Initial weights, one of INITIALIZERS.
  """

  features: tuple[int, ...] = option((400, 400, 400, 400), at_least=1)
  norm: str = option('batch', choices=NORMS)
  activation: str = option('relu', choices=ACTIVATIONS)
  kernel_init: str = option('he_normal', choices=INITIALIZERS)


@dataclasses.dataclass(frozen=True)
class MLPDiscriminator:
  """Options of the fully connected discriminator.

  Attributes:
    features: Width of each hidden layer.
    norm: Normalization of the hidden layers, one of NORMS.
    activation: Activation of the hidden layers, one of ACTIVATIONS or 'maxout'.
    pieces: Linear pieces per unit of maxout.
    kernel_init: Initial weights, one of INITIALIZERS.
    bias_init: Initial biases, one of INITIALIZERS.
    outputs: Numbers per example: 1 is a logit; more are features, for losses
      that compare features.
    minibatch_std: Examples in a group whose standard deviation joins the last
      hidden layer. -1 takes the whole batch, 0 leaves it out.
  """

  features: tuple[int, ...] = option((200, 200, 200), at_least=1)
  norm: str = option('none', choices=NORMS)
  activation: str = option('maxout', choices=(*ACTIVATIONS, 'maxout'))
  pieces: int = option(5, at_least=1)
  kernel_init: str = option('he_normal', choices=INITIALIZERS)
  bias_init: str = option('zeros', choices=INITIALIZERS)
  outputs: int = option(1, at_least=1)
  minibatch_std: int = option(0, at_least=-1)


@dataclasses.dataclass(frozen=True)
class R3GANGenerator:
  """Options of the R3GAN generator.

  Attributes:
    width: Channels of the stages up to 32 pixels.
    taper: Whether the stages of 64, 128 and 256 pixels have a half, a quarter
      and an eighth of the width.
    group_size: Channels in a group of the 3 x 3 convolutions.
    blocks: Residual blocks in a stage.
    embedding_dim: Length of the label's embedding, which joins the latents.
    remat: Whether to recompute the stages' activations in the backward pass,
      for less memory.
  """

  width: int = option(768, at_least=1)
  taper: bool = option(True)
  group_size: int = option(16, at_least=1)
  blocks: int = option(2, at_least=1)
  embedding_dim: int = option(64, at_least=1)
  remat: bool = option(False)


@dataclasses.dataclass(frozen=True)
class R3GANDiscriminator:
  """Options of the R3GAN discriminator.

  Attributes:
    width: Channels of the stages up to 32 pixels.
    taper: Whether the stages of 64, 128 and 256 pixels have a half, a quarter
      and an eighth of the width.
    group_size: Channels in a group of the 3 x 3 convolutions.
    blocks: Residual blocks in a stage.
    remat: Whether to recompute the stages' activations in the backward pass,
      for less memory.
    outputs: Numbers per example: 1 is a logit; more are features, for losses
      that compare features.
  """

  width: int = option(768, at_least=1)
  taper: bool = option(True)
  group_size: int = option(16, at_least=1)
  blocks: int = option(2, at_least=1)
  remat: bool = option(False)
  outputs: int = option(1, at_least=1)


@dataclasses.dataclass(frozen=True)
class SNDCGANGenerator:
  """Options of the SNDCGAN generator.

  Attributes:
    width: Channels of the last hidden layer, doubled at each halving.
  """

  width: int = option(64, at_least=1)


@dataclasses.dataclass(frozen=True)
class SNDCGANDiscriminator:
  """Options of the SNDCGAN discriminator.

  Attributes:
    width: Channels of the first layer, doubled at each halving.
    spectral: Whether all kernels are spectrally normalized.
    outputs: Numbers per example: 1 is a logit; more are features, for losses
      that compare features.
  """

  width: int = option(64, at_least=1)
  spectral: bool = option(True)
  outputs: int = option(1, at_least=1)


@dataclasses.dataclass(frozen=True)
class SNGANGenerator:
  """Options of the SNGAN generator.

  Attributes:
    width: Unit of the channels: 4 times as many up to 32 pixels, else as many
      in the last block.
    spectral: Whether convolutions and the dense layer are spectrally
      normalized.
    remat: Whether to recompute the blocks' activations in the backward pass,
      for less memory.
  """

  width: int = option(64, at_least=1)
  spectral: bool = option(False)
  remat: bool = option(False)


@dataclasses.dataclass(frozen=True)
class SNGANDiscriminator:
  """Options of the SNGAN discriminator.

  Attributes:
    width: Unit of the channels: twice as many up to 32 pixels, else as many in
      the first block.
    spectral: Whether all kernels are spectrally normalized.
    pooling: What the last layer takes of each channel, one of POOLINGS.
    remat: Whether to recompute the blocks' activations in the backward pass,
      for less memory.
    outputs: Numbers per example: 1 is a logit; more are features, for losses
      that compare features.
  """

  width: int = option(64, at_least=1)
  spectral: bool = option(True)
  pooling: str = option('sum', choices=POOLINGS)
  remat: bool = option(False)
  outputs: int = option(1, at_least=1)


@dataclasses.dataclass(frozen=True)
class StyleGAN2Generator:
  """Options of the StyleGAN2 generator.

  Attributes:
    channel_base: Channels times the side of the feature maps, at most.
    channel_max: Largest number of channels.
    style_dim: Length of a style w.
    mapping_layers: Layers of the mapping network.
    architecture: 'skip' sums images of all sizes, 'residual' has residual
      blocks, 'plain' neither.
    mixing: Probability that the layers after a random one take the style of
      other latents, in training.
    noise: Whether layers have noise.
    remat: Whether to recompute the blocks' activations in the backward pass,
      for less memory.
  """

  channel_base: int = option(32768, at_least=1)
  channel_max: int = option(512, at_least=1)
  style_dim: int = option(512, at_least=1)
  mapping_layers: int = option(8, at_least=1)
  architecture: str = option('skip', choices=STYLE_ARCHITECTURES)
  mixing: float = option(0.9, at_least=0, at_most=1)
  noise: bool = option(True)
  remat: bool = option(False)


@dataclasses.dataclass(frozen=True)
class StyleGAN2Discriminator:
  """Options of the StyleGAN2 discriminator.

  Attributes:
    channel_base: Channels times the side of the feature maps, at most.
    channel_max: Largest number of channels.
    architecture: 'residual' has residual stages, 'skip' reads the image at all
      sizes, 'plain' neither.
    minibatch_std: Examples in a group whose standard deviation joins the last
      feature maps. -1 takes the whole batch, 0 leaves it out.
    remat: Whether to recompute the stages' activations in the backward pass,
      for less memory.
    outputs: Numbers per example: 1 is a logit; more are features, for losses
      that compare features.
  """

  channel_base: int = option(32768, at_least=1)
  channel_max: int = option(512, at_least=1)
  architecture: str = option('residual', choices=STYLE_ARCHITECTURES)
  minibatch_std: int = option(4, at_least=-1)
  remat: bool = option(False)
  outputs: int = option(1, at_least=1)


@dataclasses.dataclass(frozen=True)
class WaveGANGenerator:
  """Options of the WaveGAN generator.

  Attributes:
    width: Channels of the last hidden layer, doubled at each layer before it.
    norm: Normalization of the hidden layers, one of NORMS.
    post_filter: Length of a learned filter of the output; 0 for none.
  """

  width: int = option(64, at_least=1)
  norm: str = option('none', choices=NORMS)
  post_filter: int = option(0, at_least=0)


@dataclasses.dataclass(frozen=True)
class WaveGANDiscriminator:
  """Options of the WaveGAN discriminator.

  Attributes:
    width: Channels of the first layer, doubled at each further one.
    phase_shuffle: Largest shift of the activations of all layers but the last,
      in samples, in training; 0 for none.
    spectral: Whether all kernels are spectrally normalized.
    outputs: Numbers per example: 1 is a logit; more are features, for losses
      that compare features.
  """

  width: int = option(64, at_least=1)
  phase_shuffle: int = option(2, at_least=0)
  spectral: bool = option(False)
  outputs: int = option(1, at_least=1)


@dataclasses.dataclass(frozen=True)
class Generator(Part):
  """The generator.

  Attributes:
    name: Architecture, one of MODELS; 'own' for a network that is passed to
      experiment.build.
    biggan: Options of the BigGAN generator.
    dcgan: Options of the DCGAN generator.
    fastgan: Options of the FastGAN generator.
    linear: Options of the linear generator.
    mlp: Options of the fully connected generator.
    r3gan: Options of the R3GAN generator.
    sndcgan: Options of the SNDCGAN generator.
    sngan: Options of the SNGAN generator.
    stylegan2: Options of the StyleGAN2 generator.
    wavegan: Options of the WaveGAN generator.
  """

  name: str = option('dcgan', names=(*MODELS, 'own'))
  biggan: BigGANGenerator = BigGANGenerator()
  dcgan: DCGANGenerator = DCGANGenerator()
  fastgan: FastGANGenerator = FastGANGenerator()
  linear: LinearGenerator = LinearGenerator()
  mlp: MLPGenerator = MLPGenerator()
  r3gan: R3GANGenerator = R3GANGenerator()
  sndcgan: SNDCGANGenerator = SNDCGANGenerator()
  sngan: SNGANGenerator = SNGANGenerator()
  stylegan2: StyleGAN2Generator = StyleGAN2Generator()
  wavegan: WaveGANGenerator = WaveGANGenerator()


@dataclasses.dataclass(frozen=True)
class Discriminator(Part):
  """The discriminator.

  Attributes:
    name: Architecture, one of MODELS; 'own' for a network that is passed to
      experiment.build.
    biggan: Options of the BigGAN discriminator.
    dcgan: Options of the DCGAN discriminator.
    fastgan: Options of the FastGAN discriminator.
    linear: Options of the linear discriminator.
    mlp: Options of the fully connected discriminator.
    r3gan: Options of the R3GAN discriminator.
    sndcgan: Options of the SNDCGAN discriminator.
    sngan: Options of the SNGAN discriminator.
    stylegan2: Options of the StyleGAN2 discriminator.
    wavegan: Options of the WaveGAN discriminator.
  """

  name: str = option('dcgan', names=(*MODELS, 'own'))
  biggan: BigGANDiscriminator = BigGANDiscriminator()
  dcgan: DCGANDiscriminator = DCGANDiscriminator()
  fastgan: FastGANDiscriminator = FastGANDiscriminator()
  linear: LinearDiscriminator = LinearDiscriminator()
  mlp: MLPDiscriminator = MLPDiscriminator()
  r3gan: R3GANDiscriminator = R3GANDiscriminator()
  sndcgan: SNDCGANDiscriminator = SNDCGANDiscriminator()
  sngan: SNGANDiscriminator = SNGANDiscriminator()
  stylegan2: StyleGAN2Discriminator = StyleGAN2Discriminator()
  wavegan: WaveGANDiscriminator = WaveGANDiscriminator()
