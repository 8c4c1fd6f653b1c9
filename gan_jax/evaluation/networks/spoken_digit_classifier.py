"""A classifier of spoken digits as pure functions, and its trained weights.

The log-mel spectrogram of a clip of about a second at 8 kHz, 64 times 40 bands,
goes through five 3 x 3 convolutions and three 2 x 2 poolings; the means and the
maxima over time go through a layer of 128 units. It is trained on the
recordings 5 to 49 of each speaker and digit of FSDD by
scripts/train_spoken_digit_classifier.py. The weights and the record of the
training, with the error on the recordings 0 to 4, are in the directory of this
file. They are features for distances between sets of short clips. Such a
distance is neither FID nor FAD, which use features of other networks.

Clips are `[B, T, 1]` in [-1, 1]. Their loudness does not matter.

References:
  Jackson et al., Free Spoken Digit Dataset,
  https://github.com/Jakobovski/free-spoken-digit-dataset, 2018.
"""

import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.evaluation.networks import conv_classifier, npz_weights

Array = jax.Array
Params = dict[str, Array]

WEIGHTS = pathlib.Path(__file__).with_name('spoken_digit_classifier.npz')
SAMPLE_RATE, LENGTH = 8000, 8192
WINDOW, HOP, BANDS = 256, 128, 40
FRAMES = LENGTH // HOP
# Output channels of each convolution; None for a pooling.
LAYERS = (16, None, 32, 32, None, 64, 64, None)
FEATURES = 128
_FFT = 2 * WINDOW  # zeros are appended, for bands narrower than a bin
_LOWEST, _HIGHEST = 60.0, 3800.0  # Hz
_POWER_FLOOR = 1e-6  # of a sine of amplitude 1
_QUIETEST = 1e-3  # loudest sample of clips that are not scaled up any more


def shapes() -> dict[str, tuple[int, ...]]:
  """Returns the shapes of the parameters, in the order of application."""
  found: dict[str, tuple[int, ...]] = {}
  bands, channels = BANDS, 1
  for i, width in enumerate(LAYERS):
    if width is None:
      bands //= 2
      continue
    found[f'conv_{i}/kernel'] = (3, 3, channels, width)
    found[f'conv_{i}/bias'] = (width,)
    channels = width
  found['hidden/kernel'] = (2 * bands * channels, FEATURES)
  found['hidden/bias'] = (FEATURES,)
  found['logits/kernel'] = (FEATURES, 10)
  found['logits/bias'] = (10,)
  return found


def _mel(hertz):
  return 2595 * np.log10(1 + hertz / 700)


def mel_filters() -> np.ndarray:
  """Returns the weights of frequencies in each band, `[257, 40]` float32.

  Bands are triangles, evenly spaced in mel from 60 to 3,800 Hz.

  References:
    O'Shaughnessy, Speech Communication: Human and Machine, 1987 (the scale).
  """
  edges = np.linspace(_mel(_LOWEST), _mel(_HIGHEST), BANDS + 2)
  bins = _mel(np.arange(_FFT // 2 + 1) * SAMPLE_RATE / _FFT)[:, None]
  low, middle, high = edges[None, :-2], edges[None, 1:-1], edges[None, 2:]
  rising, falling = (
    (bins - low) / (middle - low),
    (high - bins) / (high - middle),
  )
  return np.maximum(np.minimum(rising, falling), 0).astype(np.float32)


def log_mel(clips: Array) -> Array:
  """Computes log-mel spectrograms of clips at 8 kHz.

  Args:
    clips: `[B, 8192]` float in [-1, 1].

  Returns:
    `[B, 64, 40]`, times and bands: log10 of the power over 1e-6, from 0, of
    silence, to about 6.
  """
  chex.assert_shape(clips, (None, LENGTH))
  margin = (WINDOW - HOP) // 2
  padded = jnp.pad(clips, ((0, 0), (margin, margin)))
  halves = padded.reshape(len(clips), FRAMES + 1, HOP)
  pieces = jnp.concatenate([halves[:, :-1], halves[:, 1:]], axis=-1)
  window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
  scale = np.asarray(window / (window.sum() / 2), np.float32)[None, None]
  spectrum = jnp.fft.rfft(pieces * scale, _FFT)
  power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
  bands = jnp.dot(power, mel_filters(), precision='highest')
  return jnp.log10(jnp.maximum(bands, _POWER_FLOOR) / _POWER_FLOOR)


def fit_clips(clips: Array, sample_rate: int = SAMPLE_RATE) -> Array:
  """Brings clips to 8,192 samples at 8 kHz and a loudest sample of 1.

  Args:
    clips: `[B, T, 1]` float in [-1, 1].
    sample_rate: their sample rate in Hz. Others than 8,000 are resampled in
      the frequency domain.

  Returns:
    `[B, 8192]`; longer clips are cut, shorter ones padded with zeros at the
    end. Clips that are almost silent stay so.
  """
  x = clips[..., 0].astype(jnp.float32)
  length = x.shape[1]
  if sample_rate != SAMPLE_RATE:
    new = max(1, round(length * SAMPLE_RATE / sample_rate))
    spectrum = jnp.fft.rfft(x)[:, : new // 2 + 1]
    x = jnp.fft.irfft(spectrum, new) * (new / length)
  x = x[:, :LENGTH]
  x = jnp.pad(x, ((0, 0), (0, LENGTH - x.shape[1])))
  peak = jnp.abs(x).max(axis=1, keepdims=True)
  return x / jnp.maximum(peak, _QUIETEST)


def spectrogram_features(params: Params, spectrograms: Array) -> Array:
  """Computes the activations of the last hidden layer.

  Args:
    params: parameters from `load_spoken_digit_classifier`.
    spectrograms: `[B, 64, 40]` from `log_mel`.

  Returns:
    `[B, 128]`, at least 0.
  """
  x = spectrograms[..., None] / 3 - 1
  x = conv_classifier.convolve(params, LAYERS, x)
  over_time = jnp.concatenate([x.mean(axis=1), x.max(axis=1)], axis=-1)
  return jax.nn.relu(
    conv_classifier.affine(params, 'hidden', over_time.reshape(len(x), -1))
  )


def spoken_digit_features(
  params: Params, clips: Array, sample_rate: int = SAMPLE_RATE
) -> Array:
  """Computes the activations of the last hidden layer.

  Args:
    params: parameters from `load_spoken_digit_classifier`.
    clips: `[B, T, 1]` float in [-1, 1]; see `fit_clips`.
    sample_rate: their sample rate in Hz.

  Returns:
    `[B, 128]`, at least 0.

  Raises:
    AssertionError: if the clips have another rank or more than one channel, or
      are integers.
  """
  chex.assert_shape(clips, (None, None, 1))
  chex.assert_type(clips, float)
  fitted = fit_clips(clips, sample_rate)
  return spectrogram_features(params, log_mel(fitted))


def feature_logits(params: Params, features: Array) -> Array:
  """Computes the logits of the ten digits from the features.

  Args:
    params: parameters from `load_spoken_digit_classifier`.
    features: `[B, 128]`.

  Returns:
    `[B, 10]`; the softmax of a row gives the probabilities of 0 to 9.
  """
  return conv_classifier.affine(params, 'logits', features)


def load_spoken_digit_classifier(path: str = '') -> tuple[Params, str]:
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
