"""Classes of the examples of a source: their number and frequencies."""

from typing import Any, Sequence

import numpy as np

from gan_jax import validation

MAX_CLASS = 65_535
_MAX_READ = 20_000  # examples of a source of one's own that are read for labels


def shares_of(label: Any, declared: int = 0) -> tuple[float, ...]:
  """Computes the share of each class among labels.

  Args:
    label: labels, `[N]` int; None, or anything else, for no classes.
    declared: number of classes, if the data say it; otherwise 0.

  Returns:
    Shares of the classes 0 to the largest label, or of all that are declared;
    () without classes.

  Raises:
    ValueError: if a label is negative, or not below the number of classes.
  """
  if not isinstance(label, np.ndarray) or label.ndim != 1 or not label.size:
    return ()
  if label.dtype.kind not in 'iu':
    return ()
  low, high = int(label.min()), int(label.max())
  most = declared - 1 if declared else MAX_CLASS
  if low < 0 or high > most:
    wrong = low if low < 0 else high
    raise ValueError(
      f'label {wrong}: classes must be integers from 0 to {most:,}'
    )
  counts = np.bincount(label, minlength=declared)
  return tuple((counts / len(label)).tolist())


def class_share(source: Any) -> tuple[float, ...]:
  """Returns the share of each class among the examples of a source.

  Args:
    source: a data.Source. One that does not say its shares is read if its
      labels are in memory, or it has few examples.

  Returns:
    Shares; () for a source without classes.

  Raises:
    ValueError: as shares_of.
  """
  if hasattr(source, 'class_share'):
    return tuple(source.class_share)
  label = getattr(source, 'label', None)
  if label is None and len(source) <= _MAX_READ:
    label = source[np.arange(len(source))].get('label')
  return shares_of(label, _declared(source))


def _declared(source: Any) -> int:
  """Returns the number of classes that the data say, 0 if they do not."""
  named = len(getattr(source, 'class_names', None) or ())
  return getattr(source, 'declared_classes', 0) or named


class MappedSource:
  """A source whose labels are mapped to 0 .. classes - 1.

  Attributes:
    class_share: share of each class.
    classes: number of classes.
    class_names: names of the classes, of their labels before.
    label: all mapped labels, if the source has them in memory; otherwise None.
  """

  def __init__(self, source: Any, values: Sequence[int]):
    """Wraps a source; everything but the labels is as before.

    Args:
      source: a data.Source.
      values: the labels of the classes, in their new order.
    """
    self._source = source
    self._number = np.full(max(values) + 1, -1, np.int32)
    self._number[list(values)] = np.arange(len(values))
    shares = np.zeros(max(values) + 1)
    found = class_share(source)
    shares[: len(found)] = found
    self.class_share = tuple(shares[list(values)].tolist())
    self.classes = len(values)
    self.class_names = tuple(map(str, values))
    label = getattr(source, 'label', None)
    self.label = None if label is None else self._number[label]

  def __getattr__(self, name: str) -> Any:
    if name.startswith('_'):  # of copies, which have no attributes yet
      raise AttributeError(name)
    return getattr(self._source, name)

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, indices: np.ndarray) -> dict[str, Any]:
    batch = self._source[indices]
    return {**batch, 'label': self._number[batch['label']]}


def match_classes(train: Any, test: Any) -> tuple[Any, Any]:
  """Returns the sources of a conditional run, with classes 0 .. classes - 1.

  Labels that leave numbers out are mapped, with a warning that says so.

  Args:
    train: source of the training examples.
    test: source of the held-out examples; may be `train`.

  Returns:
    The two sources.

  Raises:
    ValueError: if there are no classes, a class that has a name has no
      training examples, or the held-out examples have other classes.
  """
  shares = class_share(train)
  if not shares:
    raise ValueError(
      'conditional=True: the training examples have no classes; they must '
      "have labels [N] int (of arrays {'x': ..., 'label': ...}, of a folder one "
      'sub-directory per class)'
    )
  names = tuple(getattr(train, 'class_names', ()) or ())
  others = tuple(getattr(test, 'class_names', ()) or ())
  if names and others and names != others:
    raise ValueError(
      f'the held-out examples have the classes {_few(others)}, the training '
      f'examples {_few(names)}: must be the same'
    )
  found = [i for i, share in enumerate(shares) if share > 0]
  absent = sorted(set(range(len(shares))) - set(found))
  if absent and _declared(train):
    name = f' ({names[absent[0]]})' if names else ''
    raise ValueError(
      f'class {absent[0]}{name} has no training examples, as {len(absent)} of '
      f'the {len(shares)} classes: every class must have some'
    )
  held_out = shares if test is train else class_share(test)
  extra = [i for i, x in enumerate(held_out) if x > 0 and i not in found]
  if extra or not held_out:
    wrong = f'the labels {_few(extra)}' if extra else 'no labels'
    raise ValueError(
      f'the held-out examples have {wrong}; must be some of those of the '
      f'training examples, {_few(found)}'
    )
  if not absent:
    return train, test
  validation.warn(
    f'the labels {_few(found)} become the classes 0 to {len(found) - 1}, in '
    'this order'
  )
  mapped = MappedSource(train, found)
  return mapped, mapped if test is train else MappedSource(test, found)


def _few(values: Sequence[Any]) -> str:
  """Returns values as text, at most six of them."""
  shown = ', '.join(map(str, values[:6]))
  return shown + f', ... ({len(values)} in all)' * (len(values) > 6)
