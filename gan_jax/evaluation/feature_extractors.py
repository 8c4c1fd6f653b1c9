"""What turns examples into the rows that scores compare, by name.

An `Extractor` is a function of a batch, with the facts that a record needs:
its weights' hash and the protocol that images are prepared by.
"""

import functools
from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import pixels
from gan_jax.evaluation.networks import (
  inception,
  inception_weights,
  mnist_classifier,
  preprocess,
)
from gan_jax.metrics import stacked_mnist
from gan_jax.validation import unknown_name_message

PyTree = Any


class FeatureExtractor(NamedTuple):
  """A function of examples that scores are computed on.

  Attributes:
    name: 'inception', 'pixels', 'mnist', or your own.
    apply: (params, batch) -> `[B, d]`, where the batch is uint8 images
      `[B, H, W, C]` or float points `[B, k]`.
    params: its weights.
    batch_size: examples per device and call.
    protocol: how images are prepared, for Inception; else ''.
    sha256: of its weights; '' where it has none.
    logits: (params, features) -> class logits `[B, classes]`, or None.
    is_fid: whether distances of these features may be called FID and KID.
    channels: that images may have; none for examples of any shape.
  """

  name: str
  apply: Callable[[PyTree, jax.Array], jax.Array]
  params: PyTree = None
  batch_size: int = 256
  protocol: str = ''
  sha256: str = ''
  logits: Callable[[PyTree, jax.Array], jax.Array] | None = None
  is_reference_inception: bool = False
  channels: tuple[int, ...] = ()


def _to_float(x):
  return pixels.to_float(x) if x.dtype == jnp.uint8 else x


def from_function(
  feature_fn: Callable[[jax.Array], jax.Array],
  name: str = 'own',
  batch_size: int = 64,
) -> FeatureExtractor:
  """An extractor from any function of examples.

  Args:
    feature_fn: traceable by JAX: images `[B, H, W, C]` in [-1, 1], of 256
      levels, or points `[B, k]`, to `[B, d]`.
    name: for tables and records.
    batch_size: examples per device and call.

  Returns:
    The extractor.
  """
  return FeatureExtractor(
    name, lambda _, x: feature_fn(_to_float(x)), None, batch_size
  )


@functools.cache
def pixel_features() -> FeatureExtractor:
  """The examples themselves, flattened; images in [-1, 1]."""
  return from_function(lambda x: x.reshape(len(x), -1), 'pixels', 256)


def inception_v3_features(path: str = '', protocol: str = 'legacy_tensorflow'):
  """The 2,048 features of FID.

  Args:
    path: of the weights; '' as inception_weights.load_weights has it.
    protocol: a name in preprocess.PREPROCESSORS.

  Returns:
    The extractor; `is_fid` where the weights are those published.

  Raises:
    ValueError: for an unknown protocol, or a file of other weights.
    OSError: where the weights are not there and cannot be downloaded.
  """
  if protocol not in preprocess.PREPROCESSORS:
    raise ValueError(
      unknown_name_message(protocol, preprocess.PREPROCESSORS, 'protocol')
    )
  loaded = inception_weights.load_weights(path)

  def apply(params, x):
    return inception.inception_features(
      params, preprocess.preprocess(x, protocol)
    )

  return FeatureExtractor(
    'inception',
    apply,
    loaded.params,
    # Larger batches leave a CPU's cache, smaller ones a GPU idle.
    batch_size=16 if jax.default_backend() == 'cpu' else 128,
    protocol=protocol,
    sha256=inception_weights.content_hash(
      inception_weights.without_head(loaded.params)
    ),
    logits=inception.class_logits,
    is_reference_inception=loaded.is_reference_inception,
    channels=(1, 3),
  )


def mnist_classifier_features(path: str = '') -> FeatureExtractor:
  """128 features of a digit classifier, for small grey pictures; not FID."""
  params, sha256 = mnist_classifier.load_digit_classifier(path)

  def apply(params, x):
    return mnist_classifier.digit_features(params, _to_float(x))

  return FeatureExtractor('mnist', apply, params, sha256=sha256, channels=(1,))


@functools.cache
def stacked_digit_features(path: str = '') -> FeatureExtractor:
  """The digits that a classifier sees in three channels, `[B, 3]`."""
  params, sha256 = mnist_classifier.load_digit_classifier(path)

  def apply(params, x):
    logits_fn = functools.partial(mnist_classifier.digit_logits, params)
    return stacked_mnist.stacked_digits(logits_fn, _to_float(x))

  return FeatureExtractor('stacked digits', apply, params, 200, sha256=sha256)


def feature_dim(
  extractor: FeatureExtractor, shape: tuple[int, ...], dtype: Any
) -> int:
  """How many features an example has, computing nothing.

  Args:
    extractor: of the features.
    shape: of an example.
    dtype: of examples: uint8 for images.

  Returns:
    The number.

  Raises:
    ValueError: where the extractor does not take such examples, or its result
      is not `[B, d]`.
  """
  batch = jax.ShapeDtypeStruct((3, *shape), dtype)
  what = f'{extractor.name!r} features of examples of shape {tuple(shape)}'
  channels = extractor.channels
  if channels and (len(shape) != 3 or shape[-1] not in channels):
    allowed = ' or '.join(map(str, channels))
    raise ValueError(f'{what}: must be images [H, W, C] with C of {allowed}')
  try:
    found = jax.eval_shape(extractor.apply, extractor.params, batch)
  except (TypeError, ValueError, AssertionError, IndexError) as error:
    raise ValueError(f'{what}: {str(error).splitlines()[0]}') from error
  given = getattr(found, 'shape', None)
  if given is None or len(given) != 2 or given[0] != 3:
    raise ValueError(
      f'{what}: of 3 examples the result is {given}; must be [3, features]'
    )
  return given[1]


FEATURE_EXTRACTORS = ('pixels', 'inception', 'mnist')


def make_feature_extractor(
  name: str, *, path: str = '', protocol: str = 'legacy_tensorflow'
) -> FeatureExtractor:
  """An extractor by name.

  Args:
    name: in EXTRACTORS.
    path: of its weights; '' for the usual ones.
    protocol: for 'inception'.

  Returns:
    The extractor.

  Raises:
    ValueError: for an unknown name, and as inception_v3.
    OSError: as inception_v3.
  """
  if name == 'inception':
    return inception_v3_features(path, protocol)
  makers = {
    'pixels': pixel_features,
    'mnist': functools.partial(mnist_classifier_features, path),
  }
  if name not in makers:
    raise ValueError(unknown_name_message(name, FEATURE_EXTRACTORS, 'features'))
  return makers[name]()
