"""Ports of StyleGAN2, R3GAN, FastGAN and WaveGAN to PyTorch, for 32 pixels.

The layers are those of gan_jax.models, written as the papers' authors do, and
parts of a network have the names of the Flax modules in lower case, so that
weights load by name. Images are NCHW and sound is NCT here. `random` switches
the noise and the shuffled phases on.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

SQRT2 = math.sqrt(2)


def empty(*shape: int) -> nn.Parameter:
  """Returns a parameter whose values are loaded later."""
  return nn.Parameter(torch.zeros(shape))


def scaled_leaky_relu(x: torch.Tensor) -> torch.Tensor:
  """Computes sqrt(2) leaky_relu(x), slope 0.2."""
  return F.leaky_relu(x, 0.2) * SQRT2


class Filter(nn.Module):
  """StyleGAN2's filter [1, 3, 3, 1] / 8, as a depthwise convolution.

  Attributes:
    channels: channels of the images.
  """

  def __init__(self, channels: int):
    super().__init__()
    self.channels = channels
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = (taps[:, None] * taps[None])[None, None]
    kernel = kernel.repeat(channels, 1, 1, 1)
    self.register_buffer('kernel', kernel, persistent=False)

  def blur(self, x: torch.Tensor, padding: int) -> torch.Tensor:
    """Filters an image that is padded by zeros on all sides."""
    return F.conv2d(x, self.kernel, padding=padding, groups=self.channels)

  def halve(self, x: torch.Tensor) -> torch.Tensor:
    """Filters an image and keeps every second pixel."""
    options = dict(stride=2, padding=1, groups=self.channels)
    return F.conv2d(x, self.kernel, **options)

  def double(self, x: torch.Tensor) -> torch.Tensor:
    """Doubles the sides: zeros between pixels, then the filter of gain 4."""
    options = dict(stride=2, padding=1, groups=self.channels)
    return F.conv_transpose2d(x, 4 * self.kernel, **options)


# ---- StyleGAN2.


class EqualizedDense(nn.Module):
  """Affine map with an equalized learning rate."""

  def __init__(self, inputs: int, outputs: int, lr_multiplier: float = 1.0):
    super().__init__()
    self.weight, self.bias = empty(outputs, inputs), empty(outputs)
    self.scale = lr_multiplier / math.sqrt(inputs)
    self.lr_multiplier = lr_multiplier

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Maps the last axis."""
    bias = self.bias * self.lr_multiplier
    return F.linear(x, self.weight * self.scale, bias)


class EqualizedConv(nn.Module):
  """Convolution with an equalized learning rate, which may halve the sides."""

  def __init__(self, inputs: int, outputs: int, size: int, halves: bool):
    super().__init__()
    self.weight, self.bias = empty(outputs, inputs, size, size), empty(outputs)
    self.scale = 1 / math.sqrt(inputs * size**2)
    self.filter = Filter(inputs) if halves else None

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Convolves."""
    weight = self.weight * self.scale
    if self.filter is not None:
      return F.conv2d(self.filter.blur(x, 2), weight, self.bias, stride=2)
    return F.conv2d(x, weight, self.bias, padding=weight.shape[2] // 2)


class ModulatedConv(nn.Module):
  """Modulated convolution.

  `scales_kernels` computes it as the authors do, with one kernel per example in
  a convolution of as many groups; otherwise activations are scaled.
  """

  def __init__(self, inputs: int, outputs: int, size: int, **options: bool):
    super().__init__()
    self.weight = empty(outputs, inputs, size, size)
    self.style = EqualizedDense(options.pop('style_dim'), inputs)
    self.demodulates = options['demodulates']
    self.scales_kernels = options['scales_kernels']
    self.filter = Filter(outputs) if options['doubles'] else None

  def _convolve(self, x: torch.Tensor, weight: torch.Tensor, groups: int):
    """Convolves in groups, without the filter."""
    if self.filter is None:
      return F.conv2d(x, weight, padding=weight.shape[2] // 2, groups=groups)
    count, outputs, inputs = groups, weight.shape[0] // groups, weight.shape[1]
    dual = weight.reshape(count, outputs, inputs, *weight.shape[2:])
    dual = dual.transpose(1, 2).reshape(-1, outputs, *weight.shape[2:])
    return F.conv_transpose2d(x, dual, stride=2, groups=groups)

  def _with_kernels(self, x: torch.Tensor, style: torch.Tensor):
    batch = len(x)
    weight = self.weight[None] * style[:, None, :, None, None]
    if self.demodulates:
      squares = weight.square().sum(dim=(2, 3, 4), keepdim=True)
      weight = weight * (squares + 1e-8).rsqrt()
    x = x.reshape(1, -1, *x.shape[2:])
    y = self._convolve(x, weight.flatten(0, 1).to(x.dtype), batch)
    return y.reshape(batch, -1, *y.shape[2:])

  def _with_activations(self, x: torch.Tensor, style: torch.Tensor):
    y = self._convolve(x * style[:, :, None, None], self.weight, 1)
    if self.demodulates:
      squares = style.square() @ self.weight.square().sum(dim=(2, 3)).T
      y = y * (squares + 1e-8).rsqrt()[:, :, None, None]
    return y

  def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Convolves each example with its own kernel."""
    style = self.style(w)
    if not self.demodulates:
      style = style / math.sqrt(self.weight[0].numel())
    scale = (
      self._with_kernels if self.scales_kernels else self._with_activations
    )
    y = scale(x, style)
    return y if self.filter is None else 4 * self.filter.blur(y, 1)


class Noise(nn.Module):
  """Adds noise times a learned scale."""

  def __init__(self):
    super().__init__()
    self.scale = empty()

  def forward(self, x: torch.Tensor, random: bool) -> torch.Tensor:
    """Adds the same noise to all channels."""
    if not random:
      return x
    shape = (len(x), 1, *x.shape[2:])
    return x + self.scale * torch.randn(shape, device=x.device, dtype=x.dtype)


class StyledConv(nn.Module):
  """Modulated convolution, noise, bias and leaky ReLU."""

  def __init__(self, width: int, doubles: bool, **options):
    super().__init__()
    options = dict(demodulates=True, doubles=doubles, **options)
    self.conv = ModulatedConv(width, width, 3, **options)
    self.noise, self.bias = Noise(), empty(width)

  def forward(self, x: torch.Tensor, w: torch.Tensor, random: bool):
    """Returns the activations."""
    x = self.noise(self.conv(x, w), random)
    return scaled_leaky_relu(x + self.bias[:, None, None])


class ToImage(nn.Module):
  """Modulated 1 x 1 convolution to three channels."""

  def __init__(self, width: int, **options):
    super().__init__()
    options = dict(demodulates=False, doubles=False, **options)
    self.conv, self.bias = ModulatedConv(width, 3, 1, **options), empty(3)

  def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Returns an image."""
    return self.conv(x, w) + self.bias[:, None, None]


class SynthesisBlock(nn.Module):
  """One or two styled convolutions."""

  def __init__(self, width: int, doubles: bool, **options):
    super().__init__()
    if doubles:
      self.conv_0 = StyledConv(width, True, **options)
    self.conv_1 = StyledConv(width, False, **options)

  def forward(self, x: torch.Tensor, w: torch.Tensor, random: bool):
    """Returns the activations."""
    for name in ('conv_0', 'conv_1'):
      layer = getattr(self, name, None)
      x = x if layer is None else layer(x, w, random)
    return x


class Synthesis(nn.Module):
  """Maps w to images of 32 pixels; without style mixing, w is one vector."""

  def __init__(self, width: int, layout: torch.memory_format, **options):
    super().__init__()
    self.layout, self.constant = layout, empty(width, 4, 4)
    self.filter = Filter(3)
    for side in (4, 8, 16, 32):
      block = SynthesisBlock(width, side > 4, **options)
      self.add_module(f'block_{side}', block)
      self.add_module(f'to_image_{side}', ToImage(width, **options))

  def forward(self, w: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns images."""
    x, image = self.constant.expand(len(w), -1, -1, -1), None
    x = x.contiguous(memory_format=self.layout)
    for side in (4, 8, 16, 32):
      x = self.get_submodule(f'block_{side}')(x, w, random)
      y = self.get_submodule(f'to_image_{side}')(x, w)
      image = y if image is None else self.filter.double(image) + y
    return image


class Mapping(nn.Module):
  """Maps latents to w, of which it keeps a running mean."""

  def __init__(self, latent_dim: int, width: int):
    super().__init__()
    self.layer_0 = EqualizedDense(latent_dim, width, 0.01)
    self.layer_1 = EqualizedDense(width, width, 0.01)
    self.register_buffer('mean', torch.zeros(width), persistent=False)

  def forward(self, z: torch.Tensor) -> torch.Tensor:
    """Returns w."""
    z = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
    w = scaled_leaky_relu(self.layer_1(scaled_leaky_relu(self.layer_0(z))))
    self.mean.copy_(w.detach().mean(dim=0).lerp(self.mean, 0.995))
    return w


class StyleGAN2Generator(nn.Module):
  """StyleGAN2's generator for CIFAR-10."""

  def __init__(self, sizes: dict[str, int], layout: torch.memory_format):
    super().__init__()
    width = sizes['width']
    options = dict(style_dim=width)
    options['scales_kernels'] = bool(sizes.get('scales_kernels', 0))
    self.mapping_network = Mapping(sizes['latent_dim'], width)
    self.synthesis_network = Synthesis(width, layout, **options)

  def forward(self, z: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns images."""
    return self.synthesis_network(self.mapping_network(z), random)


class StyleGAN2Stage(nn.Module):
  """Two convolutions, of which the second halves the sides."""

  def __init__(self, width: int):
    super().__init__()
    self.conv_0 = EqualizedConv(width, width, 3, halves=False)
    self.conv_1 = EqualizedConv(width, width, 3, halves=True)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns the activations."""
    return scaled_leaky_relu(self.conv_1(scaled_leaky_relu(self.conv_0(x))))


class StyleGAN2Discriminator(nn.Module):
  """StyleGAN2's plain discriminator; minibatch deviation of the whole batch."""

  def __init__(self, sizes: dict[str, int]):
    super().__init__()
    width = sizes['width']
    self.from_image_32 = EqualizedConv(3, width, 1, halves=False)
    for side in (32, 16, 8):
      self.add_module(f'stage_{side}', StyleGAN2Stage(width))
    self.last_conv = EqualizedConv(width + 1, width, 3, halves=False)
    self.last_dense = EqualizedDense(16 * width, width)
    self.output = EqualizedDense(width, 1)

  def forward(self, x: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns logits."""
    x = scaled_leaky_relu(self.from_image_32(x))
    for side in (32, 16, 8):
      x = self.get_submodule(f'stage_{side}')(x)
    x = x.float()
    deviation = (x.var(dim=0, correction=0) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], dim=1)
    x = scaled_leaky_relu(self.last_conv(x))
    x = x.permute(0, 2, 3, 1).flatten(1)
    return self.output(scaled_leaky_relu(self.last_dense(x)))[:, 0]


# ---- R3GAN.


class Bottleneck(nn.Module):
  """Residual block with a convolution in groups of 16 channels."""

  def __init__(self, width: int):
    super().__init__()
    wide = 2 * width
    conv = lambda *args, **options: nn.Conv2d(*args, bias=False, **options)
    self.conv_0 = conv(width, wide, 1)
    self.conv_1 = conv(wide, wide, 3, padding=1, groups=wide // 16)
    self.conv_2 = conv(wide, width, 1)
    self.bias_0, self.bias_1 = empty(wide), empty(wide)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns the activations."""
    y = F.leaky_relu(self.conv_0(x) + self.bias_0[:, None, None], 0.2)
    y = F.leaky_relu(self.conv_1(y) + self.bias_1[:, None, None], 0.2)
    return x + self.conv_2(y)


class Basis(nn.Module):
  """Learned image whose channels are scaled by the latents."""

  def __init__(self, latent_dim: int, width: int):
    super().__init__()
    self.basis, self.weight = empty(width, 4, 4), empty(width, latent_dim)

  def forward(self, z: torch.Tensor) -> torch.Tensor:
    """Returns images."""
    return self.basis * F.linear(z, self.weight)[:, :, None, None]


class R3GANGenerator(nn.Module):
  """R3GAN's generator with one block in a stage."""

  def __init__(self, sizes: dict[str, int], layout: torch.memory_format):
    super().__init__()
    width, self.layout = sizes['width'], layout
    self.basis = Basis(sizes['latent_dim'], width)
    for side in (4, 8, 16, 32):
      stage = nn.ModuleDict({'block_0': Bottleneck(width)})
      self.add_module(f'stage_{side}', stage)
    self.filter = Filter(width)
    self.to_image = nn.Conv2d(width, 3, 1, bias=False)

  def forward(self, z: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns images."""
    x = self.basis(z).contiguous(memory_format=self.layout)
    for side in (4, 8, 16, 32):
      x = x if side == 4 else self.filter.double(x)
      x = self.get_submodule(f'stage_{side}.block_0')(x)
    return self.to_image(x)


class Pool(nn.Module):
  """Learned weighted sum over all pixels."""

  def __init__(self, width: int):
    super().__init__()
    self.weights = empty(width, 4, 4)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns one number per channel."""
    return (x * self.weights).sum(dim=(2, 3))


class R3GANDiscriminator(nn.Module):
  """R3GAN's discriminator with one block in a stage."""

  def __init__(self, sizes: dict[str, int]):
    super().__init__()
    width = sizes['width']
    self.from_image = nn.Conv2d(3, width, 1, bias=False)
    for side in (32, 16, 8, 4):
      stage = nn.ModuleDict({'block_0': Bottleneck(width)})
      self.add_module(f'stage_{side}', stage)
    self.filter, self.pool = Filter(width), Pool(width)
    self.output = nn.Linear(width, 1, bias=False)

  def forward(self, x: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns logits."""
    x = self.from_image(x)
    for side in (32, 16, 8, 4):
      x = x if side == 32 else self.filter.halve(x)
      x = self.get_submodule(f'stage_{side}.block_0')(x)
    return self.output(self.pool(x.float()))[:, 0]


# ---- FastGAN.


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
  """Returns a convolution without a bias, which keeps or halves the sides."""
  padding = (size - 1) // 2
  return nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)


def double_nearest(x: torch.Tensor) -> torch.Tensor:
  """Repeats every pixel twice along both axes."""
  return F.interpolate(x, scale_factor=2, mode='nearest')


class Start(nn.Module):
  """Maps latents to 4 x 4 pixels."""

  def __init__(self, latent_dim: int, width: int):
    super().__init__()
    options = dict(kernel_size=4, bias=False)
    self.convtranspose_0 = nn.ConvTranspose2d(latent_dim, 2 * width, **options)
    self.batchnorm_0 = nn.BatchNorm2d(2 * width)

  def forward(self, z: torch.Tensor) -> torch.Tensor:
    """Returns a map."""
    x = self.convtranspose_0(z[:, :, None, None])
    return F.glu(self.batchnorm_0(x), dim=1)


class Up(nn.Module):
  """Doubles the sides; a deep block has two convolutions, and noise."""

  def __init__(self, inputs: int, width: int, deep: bool):
    super().__init__()
    self.deep = deep
    self.upsampleconv_0 = conv(inputs, 2 * width, 3)
    self.batchnorm_0 = nn.BatchNorm2d(2 * width)
    if deep:
      self.noiseinput_0, self.noiseinput_1 = Noise(), Noise()
      self.conv_0 = conv(width, 2 * width, 3)
      self.batchnorm_1 = nn.BatchNorm2d(2 * width)

  def forward(self, x: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns a map."""
    x = self.upsampleconv_0(double_nearest(x))
    if not self.deep:
      return F.glu(self.batchnorm_0(x), dim=1)
    x = F.glu(self.batchnorm_0(self.noiseinput_0(x, random)), dim=1)
    x = self.noiseinput_1(self.conv_0(x), random)
    return F.glu(self.batchnorm_1(x), dim=1)


class Excitation(nn.Module):
  """Scales the channels of a map by a function of a small one."""

  def __init__(self, inputs: int, width: int):
    super().__init__()
    self.conv_0 = nn.Conv2d(inputs, width, 4, bias=False)
    self.conv_1 = nn.Conv2d(width, width, 1, bias=False)

  def forward(self, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Returns the scaled map."""
    x = F.silu(self.conv_0(F.adaptive_avg_pool2d(low, 4)))
    return high * torch.sigmoid(self.conv_1(x))


class FastGANGenerator(nn.Module):
  """FastGAN's generator."""

  def __init__(self, sizes: dict[str, int], layout: torch.memory_format):
    super().__init__()
    widths = [c * sizes['width'] // 64 for c in (128, 64, 32, 16)]
    self.layout = layout
    self.startblock_0 = Start(sizes['latent_dim'], widths[0])
    for i, (inputs, width) in enumerate(zip(widths, widths[1:])):
      self.add_module(f'upblock_{i}', Up(inputs, width, i % 2 == 0))
    self.skiplayerexcitation_0 = Excitation(widths[0], widths[2])
    self.skiplayerexcitation_1 = Excitation(widths[1], widths[3])
    self.conv_0 = conv(widths[3], 3, 3)

  def forward(self, z: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns images in [-1, 1]."""
    x4 = self.startblock_0(z).contiguous(memory_format=self.layout)
    x8 = self.upblock_0(x4, random)
    x16 = self.skiplayerexcitation_0(x4, self.upblock_1(x8, random))
    x32 = self.skiplayerexcitation_1(x8, self.upblock_2(x16, random))
    return torch.tanh(self.conv_0(x32))


class Block(nn.Module):
  """Convolution, batch norm (or none), and leaky ReLU."""

  def __init__(self, *sizes: int, norm: bool = True):
    super().__init__()
    self.conv_0 = conv(*sizes)
    self.batchnorm_0 = nn.BatchNorm2d(sizes[1]) if norm else nn.Identity()

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns a map."""
    return F.leaky_relu(self.batchnorm_0(self.conv_0(x)), 0.2)


class Down(nn.Module):
  """Halves the sides: the mean of a strided and of a pooled path."""

  def __init__(self, inputs: int, width: int):
    super().__init__()
    self.convblock_0 = Block(inputs, width, 4, 2)
    self.convblock_1 = Block(width, width, 3)
    self.convblock_2 = Block(inputs, width, 1)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns a map."""
    y = self.convblock_1(self.convblock_0(x))
    return (y + self.convblock_2(F.avg_pool2d(x, 2))) / 2


class Decoder(nn.Module):
  """Decodes a map of 8 pixels to an image."""

  def __init__(self, inputs: int, widths: list[int]):
    super().__init__()
    for i, width in enumerate(widths):
      self.add_module(f'upsampleconv_{i}', conv(inputs, 2 * width, 3))
      self.add_module(f'norm_{i}', nn.BatchNorm2d(2 * width))
      inputs = width
    self.conv_0 = conv(inputs, 3, 3)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns an image in [-1, 1]."""
    for i in range(2):
      x = self.get_submodule(f'upsampleconv_{i}')(double_nearest(x))
      x = F.glu(self.get_submodule(f'norm_{i}')(x), dim=1)
    return torch.tanh(self.conv_0(x))


class FastGANDiscriminator(nn.Module):
  """FastGAN's discriminator of patches with one decoder."""

  def __init__(self, sizes: dict[str, int]):
    super().__init__()
    widths = [c * sizes['width'] // 64 for c in (16, 32, 64, 128)]
    self.convblock_0 = Block(3, widths[0], 3, norm=False)
    self.downblock_0 = Down(widths[0], widths[1])
    self.downblock_1 = Down(widths[1], widths[2])
    self.convblock_1 = Block(widths[2], widths[3], 1)
    self.conv_0 = nn.Conv2d(widths[3], 1, 4, bias=False)
    self.reconstructiondecoder_0 = Decoder(widths[2], [widths[1], widths[0]])

  def forward(self, x: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns logits `[B, 5, 5]`."""
    return self.logits(self.features(x))

  def features(self, x: torch.Tensor) -> torch.Tensor:
    """Returns the map of 8 pixels."""
    return self.downblock_1(self.downblock_0(self.convblock_0(x)))

  def logits(self, features: torch.Tensor) -> torch.Tensor:
    """Returns logits of the map."""
    return self.conv_0(self.convblock_1(features))[:, 0]

  def reconstruction_loss(
    self, features: torch.Tensor, image: torch.Tensor
  ) -> torch.Tensor:
    """Returns the mean squared error of the decoded map."""
    return F.mse_loss(self.reconstructiondecoder_0(features), image)


# ---- WaveGAN.


class WaveGANGenerator(nn.Module):
  """WaveGAN's generator for 8,192 samples."""

  def __init__(self, sizes: dict[str, int], layout: torch.memory_format):
    super().__init__()
    widths = [sizes['width'] * c for c in (8, 4, 2, 1)] + [1]
    self.channels = widths[0]
    self.dense_0 = nn.Linear(sizes['latent_dim'], 32 * widths[0])
    for i, pair in enumerate(zip(widths, widths[1:])):
      options = dict(stride=4, padding=11, output_padding=1)
      layer = nn.ConvTranspose1d(*pair, 25, **options)
      self.add_module(f'convtranspose1d_{i}', layer)

  def forward(self, z: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns sound in [-1, 1]."""
    x = self.dense_0(z).reshape(len(z), self.channels, 32)
    for i in range(4):
      x = self.get_submodule(f'convtranspose1d_{i}')(F.relu(x))
    return torch.tanh(x)


def shuffle_phase(x: torch.Tensor, limit: int) -> torch.Tensor:
  """Shifts each example by a random number of samples, by reflection."""
  length = x.shape[2]
  shifts = torch.randint(-limit, limit + 1, (len(x), 1, 1), device=x.device)
  index = torch.arange(length, device=x.device) - shifts
  index = index.abs()
  index = torch.where(index >= length, 2 * (length - 1) - index, index)
  return x.gather(2, index.expand_as(x))


class WaveGANDiscriminator(nn.Module):
  """WaveGAN's discriminator."""

  def __init__(self, sizes: dict[str, int]):
    super().__init__()
    widths = [1] + [sizes['width'] * c for c in (1, 2, 4, 8)]
    for i, pair in enumerate(zip(widths, widths[1:])):
      layer = nn.Conv1d(*pair, 25, stride=4, padding=11)
      self.add_module(f'conv1d_{i}', layer)
    self.dense_0 = nn.Linear(32 * widths[-1], 1)

  def forward(self, x: torch.Tensor, random: bool) -> torch.Tensor:
    """Returns logits."""
    for i in range(4):
      x = F.leaky_relu(self.get_submodule(f'conv1d_{i}')(x), 0.2)
      if random and i < 3:
        x = shuffle_phase(x, 1)
    return self.dense_0(x.flatten(1))[:, 0]


NETWORKS = {
  'StyleGAN2': (StyleGAN2Generator, StyleGAN2Discriminator),
  'R3GAN': (R3GANGenerator, R3GANDiscriminator),
  'FastGAN': (FastGANGenerator, FastGANDiscriminator),
  'WaveGAN': (WaveGANGenerator, WaveGANDiscriminator),
}
