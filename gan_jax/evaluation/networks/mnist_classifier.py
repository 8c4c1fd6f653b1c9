"""A digit classifier as pure functions, and its trained weights.

The network has six 3 x 3 convolutions, three 2 x 2 poolings and a layer of 128
units, trained on the 60,000 training digits of MNIST by
scripts/train_mnist_classifier.py. The weights and the record of the training,
with the error on the 10,000 test digits, are in the directory of this file.
They are used to count the modes of Stacked MNIST (metrics.stacked_mnist), and
as features for distances between sets of small gray images. Such a distance is
not FID, which uses features of Inception.

Images are NHWC in [-1, 1], white on black as in MNIST.
"""

import pathlib

import chex
import jax

from gan_jax.evaluation.networks import conv_classifier, npz_weights

Array = jax.Array
Params = dict[str, Array]

WEIGHTS = pathlib.Path(__file__).with_name('mnist_classifier.npz')
SIDE = 28
# Output channels of each convolution; None for a pooling.
LAYERS = (16, None, 32, 32, None, 64, 64, None)
FEATURES = 128


def shapes() -> dict[str, tuple[int, ...]]:
  """Returns the shapes of the parameters, in the order of application."""
  found: dict[str, tuple[int, ...]] = {}
  side, channels = SIDE, 1
  for i, width in enumerate(LAYERS):
    if width is None:
      side //= 2
      continue
    found[f'conv_{i}/kernel'] = (3, 3, channels, width)
    found[f'conv_{i}/bias'] = (width,)
    channels = width
  found['hidden/kernel'] = (side * side * channels, FEATURES)
  found['hidden/bias'] = (FEATURES,)
  found['logits/kernel'] = (FEATURES, 10)
  found['logits/bias'] = (10,)
  return found


def digit_features(params: Params, images: Array) -> Array:
  """Computes the activations of the last hidden layer.

  Args:
    params: parameters from `load_digit_classifier`.
    images: `[B, H, W, 1]`, float in [-1, 1]; resized to 28 x 28 (bilinear,
      antialiased) if they have another size.

  Returns:
    `[B, 128]`, at least 0.

  Raises:
    AssertionError: if the images have another rank, are integers, or have more
      than one channel.
  """
  chex.assert_shape(images, (None, None, None, 1))
  chex.assert_type(images, float)
  x = images
  if x.shape[1:3] != (SIDE, SIDE):
    shape = (len(x), SIDE, SIDE, 1)
    x = jax.image.resize(x, shape, 'bilinear', antialias=True)
  x = conv_classifier.convolve(params, LAYERS, x)
  return jax.nn.relu(
    conv_classifier.affine(params, 'hidden', x.reshape(len(x), -1))
  )


def digit_logits(params: Params, images: Array) -> Array:
  """Computes the logits of the ten digits.

  Args:
    params: parameters from `load_digit_classifier`.
    images: images as in `digit_features`.

  Returns:
    `[B, 10]`; the softmax of a row gives the probabilities of 0 to 9.
  """
  return conv_classifier.affine(
    params, 'logits', digit_features(params, images)
  )


def load_digit_classifier(path: str = '') -> tuple[Params, str]:
  """Loads the weights of the classifier.

  Args:
    path: path of an .npz file written by the training script; '' for the one in
      the package.

  Returns:
    The parameters in float32, and the SHA-256 of the file, 64 hexadecimal
    digits, which identifies the weights in evaluation records.

  Raises:
    FileNotFoundError: if the file does not exist.
    ValueError: if the file is damaged or too large, has parameters other than
      `shapes()`, or values that are not finite; the message names it.
  """
  return npz_weights.load_npz_weights(path, WEIGHTS, shapes())
