"""Synthetic sound: tones of ten pitches, with harmonics."""

import numpy as np

from gan_jax.data.array_source import ArraySource

CLASSES = 10
LOWEST = 200.0  # Hz
STEPS_PER_OCTAVE = 4
HARMONICS = 6
_DETUNING = 0.02  # octaves, a tenth of the distance of two pitches
_HIGHEST = 0.45  # of the sample rate; higher harmonics are left out
_AT_A_TIME = 256  # tones


def pitches() -> np.ndarray:
  """Returns the pitch of each class in Hz, `[10]`: 200 Hz and minor thirds."""
  return LOWEST * 2 ** (np.arange(CLASSES) / STEPS_PER_OCTAVE)


def tones(
  split: str,
  *,
  size: int = 2000,
  length: int = 4096,
  sample_rate: int = 8000,
  seed: int = 0,
) -> ArraySource:
  """Makes tones of ten pitches: ten classes that can be heard and counted.

  A tone is the sum of six harmonics, whose amplitudes fall about as one over
  their number, under an envelope that rises fast and decays. Pitch (by 0.02
  octaves), phases, amplitudes, envelope and loudness vary from tone to tone.

  Args:
    split: 'train' or 'test', two independent samples.
    size: number of tones; classes are equally frequent.
    length: samples of a tone.
    sample_rate: samples per second, in Hz.
    seed: seed of the samples.

  Returns:
    `[size, length, 1]` float32 in [-1, 1] with labels, and the attribute
    sample_rate.

  Raises:
    ValueError: if an argument is out of range, or the sample rate is too low
      for the highest pitch.
  """
  limits = {'size': 1, 'length': 1, 'seed': 0}
  for name, value in dict(size=size, length=length, seed=seed).items():
    if value < limits[name]:
      raise ValueError(f'{name}={value}: must be at least {limits[name]}')
  highest = pitches()[-1] * 2**_DETUNING
  if sample_rate * _HIGHEST < highest:
    raise ValueError(
      f'sample_rate={sample_rate}: must be at least '
      f'{int(highest / _HIGHEST) + 1} Hz, for tones of {highest:.0f} Hz'
    )
  rng = np.random.default_rng([seed, ('train', 'test').index(split)])
  label = np.arange(size) % CLASSES
  parts = [
    _draw(rng, pitches()[part], length, sample_rate)
    for part in np.split(label, range(_AT_A_TIME, size, _AT_A_TIME))
  ]
  source = ArraySource(np.concatenate(parts)[..., None], label)
  source.declared_classes = CLASSES
  source.class_names = tuple(f'{pitch:.0f} Hz' for pitch in pitches())
  source.sample_rate = sample_rate
  return source


def _draw(
  rng: np.random.Generator, pitch: np.ndarray, length: int, sample_rate: int
) -> np.ndarray:
  """Draws a tone of each pitch `[n]`, `[n, length]` float32."""
  n = len(pitch)
  uniform = lambda low, high: rng.uniform(low, high, (n, 1)).astype(np.float32)
  place = np.linspace(0, 1, length, dtype=np.float32)[None]  # in the clip
  seconds = np.arange(length, dtype=np.float32)[None] / sample_rate
  detuned = pitch[:, None] * 2 ** uniform(-_DETUNING, _DETUNING)
  tone = np.zeros((n, length), np.float32)
  for number in range(1, HARMONICS + 1):
    frequency = (number * detuned).astype(np.float32)
    amplitude = uniform(0.5, 1) / number * (frequency < _HIGHEST * sample_rate)
    phase = uniform(0, 2 * np.pi)
    tone += amplitude * np.sin(2 * np.pi * frequency * seconds + phase)
  rise, decay = uniform(0.01, 0.05), uniform(0.2, 0.8)
  tone *= np.minimum(place / rise, 1) * np.exp(-place / decay)
  loudest = np.maximum(np.abs(tone).max(axis=1, keepdims=True), 1e-6)
  return tone / loudest * uniform(0.5, 0.95)
