"""Makes the samples of a picture again, from the facts in its text chunk."""

import dataclasses
import re
from typing import Any

from gan_jax.io import files
from gan_jax.report import images
from gan_jax.runner import sample_indices
from gan_jax.runner.sample_session import Request

_COPIED = {'seed': int, 'weights': str, 'member': int, 'truncate_z': float}


def request_again(request: Request) -> Request:
  """Returns the request for the samples of a picture, or for one tile of it.

  Args:
    request: names the picture in `again`, and maybe a `tile`.

  Returns:
    The request with the picture's seed, indices, classes, checkpoint, weights
    and truncation.

  Raises:
    OSError: if the picture cannot be read.
    ValueError: if it does not say what it shows, or has no such tile.
  """
  path = files.resolve_path(request.again, 'again')
  about = images.read_about(path)
  shown = files.printable(path)
  if request.indices or request.num_samples is not None or request.classes:
    raise ValueError(
      f'again={shown}: the picture says which samples; give no others'
    )
  try:
    indices = sample_indices.parse_indices(
      str(about['indices'] if 'indices' in about else about['index'])
    )
    classes = about.get('classes', [about['class']] if 'class' in about else [])
    classes = tuple(str(int(c)) for c in classes)
    psi = about.get('psi', ())
    psi = tuple(map(float, psi if isinstance(psi, (list, tuple)) else [psi]))
    found = {k: as_(about[k]) for k, as_ in _COPIED.items() if k in about}
    step, digest = str(int(about['step'])), str(about['weights_sha256'])
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f'{shown} does not say which samples it shows: it is no grid and no '
      f'sample of gan_jax ({type(error).__name__})'
    ) from error
  changes: dict[str, Any] = {**found, 'psi': psi, 'checkpoint': step}
  if request.tile:
    place = _place(request.tile, about.get('columns'), indices.count)
    index = indices.at(place)
    classes = classes[place : place + 1] or classes
    indices = sample_indices.parse_indices(str(index))
  elif len({*classes}) > 1 and indices.ranges[0][0] != 0:
    raise ValueError(f'{shown} has several classes: name a tile=ROW,COLUMN')
  return dataclasses.replace(
    request,
    indices=indices.text,
    classes=classes if len({*classes}) > 1 else classes[:1],
    digest=digest,
    **changes,
  )


def _place(tile: str, columns: Any, count: int) -> int:
  """Returns the place of a tile, counted row by row."""
  match = re.fullmatch(r'(\d+),(\d+)', tile)
  columns = columns if type(columns) is int and columns > 0 else count
  row, column = map(int, match.groups()) if match else (0, columns)
  place = row * columns + column
  if column >= columns or place >= count:
    raise ValueError(
      f'tile={tile}: must be ROW,COLUMN from 0,0; the picture has {count} '
      f'samples in rows of {columns}'
    )
  return place
