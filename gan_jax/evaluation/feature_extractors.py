"""Feature extractors by name: functions from examples to feature vectors.

A `FeatureExtractor` is a function of a batch, with the facts that an evaluation
record needs: the hash of its weights and the protocol by which images are
preprocessed.
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
  spoken_digit_classifier,
)
from gan_jax.metrics import stacked_mnist
from gan_jax.validation import unknown_name_message

PyTree = Any


class FeatureExtractor(NamedTuple):
  """Function of examples whose output metrics compare.

  Attributes:
    name: 'inception', 'pixels', 'mnist', 'spoken_digits', or a name of your
      own.
    apply: (params, batch) -> `[B, d]`, where the batch is uint8 images
      `[B, H, W, C]`, float points `[B, k]` or clips of sound `[B, T, 1]`.
    params: weights of the network.
    batch_size: examples per device and call.
    protocol: preprocessing protocol of images, for Inception; otherwise ''.
    sha256: hash of the weights; '' without weights.
    logits: (params, features) -> class logits `[B, classes]`, or None.
    is_reference_inception: whether distances of these features may be called
      FID and KID.
    channels: allowed numbers of image channels; () for examples of any shape.
    fits_shapes: whether it brings examples of any size to that of its network,
      so that those of different sizes can be compared.
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
  fits_shapes: bool = False


def _to_float(x):
  return pixels.to_float(x) if x.dtype == jnp.uint8 else x


def from_function(
  feature_fn: Callable[[jax.Array], jax.Array],
  name: str = 'own',
  batch_size: int = 64,
) -> FeatureExtractor:
  """Builds an extractor from any function of examples.

  Args:
    feature_fn: function traceable by JAX, from images `[B, H, W, C]` in [-1, 1]
      of 256 levels, or points `[B, k]`, to `[B, d]`.
    name: name for tables and records.
    batch_size: examples per device and call.

  Returns:
    The extractor.
  """
  return FeatureExtractor(
    name, lambda _, x: feature_fn(_to_float(x)), None, batch_size
  )


@functools.cache
def pixel_features() -> FeatureExtractor:
  """Returns an extractor of flattened examples; images are in [-1, 1]."""
  return from_function(lambda x: x.reshape(len(x), -1), 'pixels', 256)


def inception_v3_features(path: str = '', protocol: str = 'legacy_tensorflow'):
  """Returns the extractor of the 2,048 features of FID.

  Args:
    path: path of the weights; '' for the default of
      inception_weights.load_weights.
    protocol: a key of preprocess.PREPROCESSORS.

  Returns:
    The extractor; `is_reference_inception` is True if the weights are the
    published ones.

  Raises:
    ValueError: if the protocol is unknown, or the file contains other weights.
    OSError: if the weights are missing and cannot be downloaded.
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
    # Larger batches exceed the cache of a CPU, smaller ones leave a GPU idle.
    batch_size=16 if jax.default_backend() == 'cpu' else 128,
    protocol=protocol,
    sha256=inception_weights.content_hash(
      inception_weights.without_head(loaded.params)
    ),
    logits=inception.class_logits,
    is_reference_inception=loaded.is_reference_inception,
    channels=(1, 3),
    fits_shapes=True,
  )


def mnist_classifier_features(path: str = '') -> FeatureExtractor:
  """Returns 128 features of a digit classifier, for small gray images; not FID.

  Args:
    path: path of its weights; '' for those included in the package.

  Returns:
    The extractor.
  """
  params, sha256 = mnist_classifier.load_digit_classifier(path)

  def apply(params, x):
    return mnist_classifier.digit_features(params, _to_float(x))

  return FeatureExtractor(
    'mnist', apply, params, sha256=sha256, channels=(1,), fits_shapes=True
  )


def spoken_digit_features(
  path: str = '', sample_rate: int = 0
) -> FeatureExtractor:
  """Returns 128 features of a classifier of spoken digits, for short clips.

  Distances of them are neither FID nor FAD.

  Args:
    path: path of its weights; '' for those included in the package.
    sample_rate: sample rate of the clips in Hz; 0 for that of the classifier,
      8,000.

  Returns:
    The extractor.
  """
  params, sha256 = spoken_digit_classifier.load_spoken_digit_classifier(path)
  sample_rate = sample_rate or spoken_digit_classifier.SAMPLE_RATE

  def apply(params, x):
    if x.ndim != 3 or x.shape[-1] != 1 or x.dtype == jnp.uint8:
      raise ValueError('must be clips of sound, float [T, 1]')
    return spoken_digit_classifier.spoken_digit_features(params, x, sample_rate)

  return FeatureExtractor(
    'spoken_digits',
    apply,
    params,
    batch_size=64,
    sha256=sha256,
    logits=spoken_digit_classifier.feature_logits,
    fits_shapes=True,
  )


@functools.cache
def stacked_digit_features(path: str = '') -> FeatureExtractor:
  """Returns an extractor of the digits classified in three channels, `[B, 3]`.

  Args:
    path: path of the weights of the classifier; '' for those included in the
      package.

  Returns:
    The extractor.
  """
  params, sha256 = mnist_classifier.load_digit_classifier(path)

  def apply(params, x):
    logits_fn = functools.partial(mnist_classifier.digit_logits, params)
    return stacked_mnist.stacked_digits(logits_fn, _to_float(x))

  return FeatureExtractor('stacked digits', apply, params, 200, sha256=sha256)


def feature_dim(
  extractor: FeatureExtractor, shape: tuple[int, ...], dtype: Any
) -> int:
  """Returns the number of features of an example, without computing them.

  Args:
    extractor: extractor of the features.
    shape: shape of an example.
    dtype: dtype of examples; uint8 for images.

  Returns:
    The number of features.

  Raises:
    ValueError: if the extractor does not take such examples, or its result is
      not `[B, d]`.
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
      f'{what}: the output for 3 examples has shape {given}; must be (3, d)'
    )
  return given[1]


FEATURE_EXTRACTORS = ('pixels', 'inception', 'mnist', 'spoken_digits')


def make_feature_extractor(
  name: str,
  *,
  path: str = '',
  protocol: str = 'legacy_tensorflow',
  sample_rate: int = 0,
) -> FeatureExtractor:
  """Returns an extractor by name.

  Args:
    name: one of FEATURE_EXTRACTORS.
    path: path of its weights; '' for the default ones.
    protocol: preprocessing protocol, for 'inception'.
    sample_rate: sample rate of the examples in Hz, for 'spoken_digits'; 0 if it
      is unknown.

  Returns:
    The extractor.

  Raises:
    ValueError: if the name is unknown; see also inception_v3_features.
    OSError: see inception_v3_features.
  """
  if name == 'inception':
    return inception_v3_features(path, protocol)
  makers = {
    'pixels': pixel_features,
    'mnist': functools.partial(mnist_classifier_features, path),
    'spoken_digits': functools.partial(
      spoken_digit_features, path, sample_rate
    ),
  }
  if name not in makers:
    raise ValueError(unknown_name_message(name, FEATURE_EXTRACTORS, 'features'))
  return makers[name]()
