"""Reads all examples of a data set and lists what is wrong with them."""

from typing import Any, Callable, Iterator, Mapping

import numpy as np

from gan_jax import data
from gan_jax.data import audio, folder, hf
from gan_jax.io import files

Track = Callable[[str, int], Callable[[int], None]]
_BATCH = 64  # examples


def find_problems(spec: Mapping[str, Any], track: Track) -> Iterator[str]:
  """Yields what is wrong with the examples of a data spec.

  Args:
    spec: {'name': a key of SOURCES, and options of that source}.
    track: function (description, total) -> advance, where advance(n) adds n to
      what is done.

  Yields:
    A sentence for each example or file.

  Raises:
    ValueError: as data.make_source does, but not for single images.
    FileNotFoundError: if the data do not exist.
  """
  options = data.source_options(spec)
  by_item = {
    'folder': folder.check_folder,
    'hf': hf.check_hf,
    'audio': audio.check_audio,
  }
  check = by_item.get(options.pop('name'))
  if check is not None:
    yield from check(track=track, **options)
    return
  for split in ('train', 'test'):
    yield from check_source(data.make_source(spec, split), split, track)


def check_source(
  source: 'data.Source', name: str, track: Track
) -> Iterator[str]:
  """Reads all examples of a source and yields what is wrong with them.

  Args:
    source: any source.
    name: name of the source, for the messages.
    track: as for find_problems.

  Yields:
    A sentence for each example that cannot be read or trained on.
  """
  advance = track(f'{len(source):,} of {name}', len(source))
  for start in range(0, len(source), _BATCH):
    indices = np.arange(start, min(start + _BATCH, len(source)))
    if _problem(source, indices) is not None:
      for i in indices:
        problem = _problem(source, i[None])
        if problem is not None:
          yield f'{name} example {i}: {problem}'
    advance(len(indices))


def _problem(source: 'data.Source', indices: np.ndarray) -> str | None:
  """Returns what is wrong with some examples, or None."""
  try:
    batch = source[indices]
    x = batch['x']
    expected = (len(indices), *source.shape)
    if x.shape != expected:
      return f'shape {x.shape[1:]}, and not {expected[1:]}'
    if not np.isfinite(x).all():
      return 'values that are not finite'
    is_bounded = x.ndim == 4 or data.sample_rate(source)
    if is_bounded and x.dtype != np.uint8 and np.abs(x).max() > 1 + 1e-3:
      kind = 'images' if x.ndim == 4 else 'clips'
      return (
        f'values from {x.min():.4g} to {x.max():.4g}; float {kind} must be '
        'from -1 to 1'
      )
    label = batch.get('label')
    if isinstance(label, np.ndarray) and label.dtype.kind in 'iu':
      if label.size and label.min() < 0:
        return f'the label {label.min()}'
  except Exception as error:  # sources raise any type
    return files.short_message(error)
  return None
