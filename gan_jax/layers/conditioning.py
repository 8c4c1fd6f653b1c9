"""Layers that take a class label: in the generator and in the discriminator.

The generator concatenates an embedding of the label to its latents, or scales
and shifts the activations of batch norm by it. The discriminator adds the
projection of its last hidden layer on an embedding of the label to the logit,
or returns class logits or embeddings, which class losses compare with it.

Labels are `[B]` int32 in 0 .. classes - 1; others give NaN. Where a generator
takes them, they may also be weights of the classes, `[B, C]` float, which mix
their vectors: between two rows of one-hot labels lies an interpolation.
"""

from typing import Any, Callable

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers import channels
from gan_jax.layers.batch_norm import BatchNorm
from gan_jax.layers.embedding import Embed
from gan_jax.layers.initializers import INITIALIZERS, Initializer
from gan_jax.layers.linear import Dense
from gan_jax.layers.normalization import Norm

Array = jax.Array
CLASS_HEADS = (
  'projection',
  'class_logits',
  'real_fake_class_logits',
  'twin_class_logits',
  'embedding',
)


def one_hot(label: Array, classes: int) -> Array:
  """Encodes labels as one-hot vectors.

  Args:
    label: labels, `[B]` int; or weights of the classes, `[B, C]` float, which
      are returned as they are.
    classes: number of classes C.

  Returns:
    `[B, C]` float32; NaN for labels outside 0 .. C - 1.

  Raises:
    AssertionError: if weights are not those of C classes.
  """
  if jnp.issubdtype(label.dtype, jnp.floating):
    chex.assert_shape(label, (None, classes))
    return label
  inside = (label >= 0) & (label < classes)
  return jnp.where(inside[:, None], jax.nn.one_hot(label, classes), jnp.nan)


def join_label(x: Array, label: Array | None, classes: int) -> Array:
  """Appends one-hot labels to latents.

  Args:
    x: latents, `[B, Z]` float.
    label: labels, `[B]` int; not used without classes.
    classes: number of classes C; 0 for none.

  Returns:
    `[B, Z + C]`.

  Raises:
    ValueError: if there are classes, and the label is None.
  """
  vector = label_vector(label, classes)
  if vector is None:
    return x
  return jnp.concatenate([x, vector.astype(x.dtype)], axis=-1)


def label_vector(label: Array | None, classes: int) -> Array | None:
  """Encodes labels as one-hot vectors, if there are classes.

  Args:
    label: labels, `[B]` int, or weights of the classes, `[B, C]` float; not
      used without classes.
    classes: number of classes C; 0 for none.

  Returns:
    `[B, C]` float32, NaN for labels outside 0 .. C - 1; None without classes.

  Raises:
    ValueError: if there are classes, and the label is None.
  """
  if not classes:
    return None
  check_label(label, classes)
  return one_hot(label, classes)


def check_label(label: Array | None, classes: int) -> None:
  """Checks that a network of several classes is called with labels.

  Args:
    label: labels, `[B]` int, or None.
    classes: number of classes.

  Raises:
    ValueError: if the label is None.
  """
  if label is None:
    raise ValueError(
      f'label=None: a network of {classes} classes takes labels [B] in '
      f'0 .. {classes - 1}'
    )


class ConditionalBatchNorm(nn.Module):
  """Batch norm whose scale and shift are linear in a vector.

  y = (1 + v W_scale) * normalize(x) + v W_shift, per channel. The statistics
  are those of all classes together. For a table of scales and shifts by class,
  v is one_hot(label). With kernels of zeros it is plain batch norm.

  Attributes:
    spectral: whether both kernels are spectrally normalized (BigGAN).
    kernel_init: initializer of both kernels.
    momentum: share of the old running statistics at each update.
    epsilon: added to the variance.
    axis_name: name of the mapped device axis, or None.
    dtype: dtype of the output.

  References:
    Dumoulin et al., A Learned Representation For Artistic Style,
    https://arxiv.org/abs/1610.07629, 2017. Brock et al., BigGAN,
    https://arxiv.org/abs/1809.11096, 2019, appendix B.
  """

  spectral: bool = False
  kernel_init: Initializer = INITIALIZERS['zeros']
  momentum: float = 0.9
  epsilon: float = 1e-5
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, vector: Array, *, train: bool) -> Array:
    """Maps `[B, ..., F]` and vectors `[B, V]` to `[B, ..., F]`."""
    normalize = BatchNorm(
      use_scale=False,
      use_bias=False,
      momentum=self.momentum,
      epsilon=self.epsilon,
      axis_name=self.axis_name,
      dtype=self.dtype,
    )
    x = normalize(x, train=train)
    dense = lambda name: Dense(
      x.shape[-1],
      use_bias=False,
      spectral=self.spectral,
      kernel_init=self.kernel_init,
      dtype=self.dtype,
      name=name,
    )
    per_pixel = lambda y: channels.spread(y, x.shape)
    scale = dense('scale')(vector, train=train)
    shift = dense('shift')(vector, train=train)
    return x * (1 + per_pixel(scale)) + per_pixel(shift)


def batch_norm(
  x: Array,
  vector: Array | None,
  *,
  train: bool,
  axis_name: str | None = None,
  dtype: Any = jnp.float32,
  **options: Any,
) -> Array:
  """Normalizes over the batch, by a vector if there is one.

  Args:
    x: activations, `[B, ..., F]`.
    vector: input of ConditionalBatchNorm, `[B, V]`; None for plain batch norm.
    train: whether statistics are those of the batch, and are updated.
    axis_name: name of the mapped device axis, or None.
    dtype: dtype of the output.
    **options: other fields of ConditionalBatchNorm.

  Returns:
    `[B, ..., F]`.
  """
  common = dict(axis_name=axis_name, dtype=dtype)
  if vector is None:
    return Norm('batch', **common)(x, train=train)
  return ConditionalBatchNorm(**common, **options)(x, vector, train=train)


class ClassHeads(nn.Module):
  """Outputs of a discriminator for its label, from the last hidden layer.

  Attributes:
    classes: number of classes C.
    heads: names in CLASS_HEADS. 'projection' gives e(label) . x `[B]`,
      'class_logits' and 'twin_class_logits' one logit per class `[B, C]`,
      'real_fake_class_logits' two per class, as 'class_logits' `[B, 2 C]`
      (ADC-GAN), 'embedding' unit vectors of x and, as 'proxy', of the label,
      `[B, E]`.
    embedding_dim: length E of the embedding.
    spectral: whether kernels and tables are spectrally normalized.
    kernel_init: initializer of kernels and tables.
    dtype: dtype of the arithmetic; outputs are float32.

  References:
    Miyato and Koyama, cGANs with Projection Discriminator,
    https://arxiv.org/abs/1802.05637, 2018, equation 3. Kang et al., Rebooting
    ACGAN, https://arxiv.org/abs/2111.01118, 2021, section 3.
  """

  classes: int
  heads: tuple[str, ...] = ('projection',)
  embedding_dim: int = 512
  spectral: bool = False
  kernel_init: Initializer = INITIALIZERS['normal']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Array, label: Array, *, train: bool
  ) -> dict[str, Array]:
    """Maps features `[B, F]` and labels `[B]` to outputs by name."""
    unknown = sorted(set(self.heads) - set(CLASS_HEADS))
    if unknown:
      raise ValueError(f'unknown heads {unknown}; there are {CLASS_HEADS}')
    common = dict(
      spectral=self.spectral, kernel_init=self.kernel_init, dtype=self.dtype
    )
    init = dict(common)
    init['embedding_init'] = init.pop('kernel_init')

    def table(features, name):
      embed = Embed(self.classes, features, name=name, **init)
      return embed(label, train=train).astype(jnp.float32)

    def dense(features, name):
      layer = Dense(features, name=name, **common)
      return layer(x, train=train).astype(jnp.float32)

    found = {}
    if 'projection' in self.heads:
      product = table(x.shape[-1], 'projection') * x.astype(jnp.float32)
      found['projection'] = product.sum(axis=-1)
    if 'class_logits' in self.heads:
      found['class_logits'] = dense(self.classes, 'classifier')
    if 'real_fake_class_logits' in self.heads:
      found['class_logits'] = dense(2 * self.classes, 'classifier')
    if 'twin_class_logits' in self.heads:
      found['twin_class_logits'] = dense(self.classes, 'twin_classifier')
    if 'embedding' in self.heads:
      found['embedding'] = _unit(dense(self.embedding_dim, 'embedding'))
      found['proxy'] = _unit(table(self.embedding_dim, 'proxy'))
    return found


def projects(classes: int, heads: tuple[str, ...], outputs: int) -> bool:
  """Returns whether a discriminator's logit is a product with a class vector.

  Args:
    classes: number of classes; 0 for none.
    heads: names in CLASS_HEADS.
    outputs: outputs per example.

  Raises:
    ValueError: if so, and there is more than one output.
  """
  found = classes > 0 and 'projection' in heads
  if found and outputs != 1:
    raise ValueError(
      f'outputs={outputs}: must be 1 with a projection of the label'
    )
  return found


def bind_heads(
  label: Array | None,
  classes: int,
  heads: tuple[str, ...],
  *,
  train: bool,
  product: Array | None = None,
  **options: Any,
) -> Callable[[Array], dict[str, Array]] | None:
  """Binds a ClassHeads to its labels, for linear.discriminator_head.

  Args:
    label: labels, `[B]` int; not used without classes.
    classes: number of classes; 0 for none.
    heads: names in CLASS_HEADS.
    train: whether spectral norm updates its power iteration.
    product: vectors of the labels `[B, M]` for the output 'product', in place
      of the head 'projection'; None for none.
    **options: other fields of ClassHeads.

  Returns:
    Function of the features `[B, F]`, or None without classes or heads.

  Raises:
    ValueError: if there are classes, and the label is None.
  """
  if not classes or not heads:
    return None
  check_label(label, classes)
  if product is None:
    module = ClassHeads(classes, heads, **options)
    return lambda x: module(x, label, train=train)
  others = tuple(head for head in heads if head != 'projection')
  module = ClassHeads(classes, others, **options)
  return lambda x: module(x, label, train=train) | {'product': product}


def _unit(x: Array) -> Array:
  """Scales vectors to length 1; those of length 0 stay."""
  squares = jnp.square(x).sum(axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(jnp.maximum(squares, 1e-12))
