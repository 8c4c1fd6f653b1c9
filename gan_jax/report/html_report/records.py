"""What pages show: plain data, read from the files of runs.

Numbers that are not finite are None.
"""

from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np


class Picture(NamedTuple):
  """A picture at a step, encoded for a page.

  Attributes:
    step: number of train steps done.
    uri: the picture as a `data:` URI.
    width: width in pixels.
    pixelated: whether enlarging must keep the edges of its pixels.
  """

  step: int
  uri: str
  width: int
  pixelated: bool


class Evaluation(NamedTuple):
  """Scores of one state of a run.

  Attributes:
    name: name of the record.
    facts: what was scored, in words.
    scores: rows of evaluation.results.as_json.
  """

  name: str
  facts: str
  scores: Sequence[Mapping[str, Any]]


class RunRecord(NamedTuple):
  """One run.

  Attributes:
    name: name of its directory.
    config: options by dotted name.
    defaults: their defaults by dotted name.
    penalties: names of the penalties, which are names of metrics.
    facts: data, shape and versions, in words.
    lines: lines of metrics in the order of steps, each with 'step'.
    history: lines of scores in the course of training, 'step' and 'scores'.
    scores: the last scores, rows of evaluation.results.as_json; () before.
    notes: notes on the scores.
    warnings: lines of warnings, 'step' and 'warnings' (kind -> sentences).
    evaluations: scores that were computed afterwards.
    pictures: samples, in the order of steps.
    real: real examples, or None.
    sounds: name -> `data:` URI of the last samples and of real examples.
    class_names: names of the classes; () without.
    problems: what could not be shown, in words.
  """

  name: str
  config: Mapping[str, Any]
  defaults: Mapping[str, Any]
  penalties: Sequence[str] = ()
  facts: Sequence[str] = ()
  lines: Sequence[Mapping[str, Any]] = ()
  history: Sequence[Mapping[str, Any]] = ()
  scores: Sequence[Mapping[str, Any]] = ()
  notes: Sequence[str] = ()
  warnings: Sequence[Mapping[str, Any]] = ()
  evaluations: Sequence[Evaluation] = ()
  pictures: Sequence[Picture] = ()
  real: Picture | None = None
  sounds: Mapping[str, str] = {}
  class_names: Sequence[str] = ()
  problems: Sequence[str] = ()

  @property
  def step(self) -> int:
    """Number of train steps that the record knows of."""
    steps = [line['step'] for line in (*self.lines, *self.pictures_as_lines)]
    return max(steps, default=0)

  @property
  def pictures_as_lines(self) -> list[dict[str, int]]:
    """The steps of the pictures."""
    return [{'step': picture.step} for picture in self.pictures]


class EnsembleRecord(NamedTuple):
  """An ensemble, whose members were trained as one program.

  Attributes:
    name: name of its directory.
    config: options by dotted name, of all members but for the swept ones.
    defaults: their defaults by dotted name.
    penalties: names of the penalties, which are names of metrics.
    facts: data, shape and versions, in words.
    members: 'member', 'seed', and the swept options of each.
    lines: lines of metrics, 'step', 'diverged' and 'metrics' (a list each).
    history: lines of scores, 'step' and 'scores' (a mapping or None each).
    rows: the last scores of each member, rows of results.as_json or None.
    baselines: name of a score -> (its value for real data, standard error).
    notes: notes on the scores.
    picture: samples of the first members, or None.
    sounds: name -> `data:` URI.
    problems: what could not be shown, in words.
  """

  name: str
  config: Mapping[str, Any]
  defaults: Mapping[str, Any]
  penalties: Sequence[str] = ()
  facts: Sequence[str] = ()
  members: Sequence[Mapping[str, Any]] = ()
  lines: Sequence[Mapping[str, Any]] = ()
  history: Sequence[Mapping[str, Any]] = ()
  rows: Sequence[Sequence[Mapping[str, Any]] | None] = ()
  baselines: Mapping[str, tuple[float | None, float | None]] = {}
  notes: Sequence[str] = ()
  picture: Picture | None = None
  sounds: Mapping[str, str] = {}
  problems: Sequence[str] = ()

  @property
  def step(self) -> int:
    """Number of train steps that the record knows of."""
    steps = [line['step'] for line in (*self.lines, *self.history)]
    return max(steps, default=0)


class Curve(NamedTuple):
  """A metric of several runs over steps.

  Attributes:
    steps: `[T]`, increasing.
    values: `[T, M]`, NaN where a run has none.
  """

  steps: np.ndarray
  values: np.ndarray


class Group(NamedTuple):
  """Runs that differ in their seeds alone: a row of a comparison.

  Attributes:
    name: name of the only run; otherwise ''.
    settings: what tells the group from the others, by dotted name.
    members: name or seed of each run.
    diverged: number of runs that diverged.
    step: number of train steps done.
    scores: name -> (value or mean, standard error or None); None without.
    curves: metrics, and scores in the course of training, by name.
    pictures: samples of the first run.
  """

  name: str
  settings: Mapping[str, Any]
  members: Sequence[str]
  diverged: int
  step: int
  scores: Mapping[str, tuple[float, float | None] | None]
  curves: Mapping[str, Curve]
  pictures: Sequence[Picture] = ()

  @property
  def label(self) -> str:
    """The group in a legend."""
    short = {k.split('.')[-1] for k in self.settings}
    last = len(short) == len(self.settings)
    listed = ', '.join(
      f'{name.split(".")[-1] if last else name} {format_setting(value)}'
      for name, value in self.settings.items()
    )
    if self.name and listed and len(listed) < 40:
      return f'{self.name} ({listed})'
    return self.name or listed or 'all'


class Comparison(NamedTuple):
  """Several runs, or the members of an ensemble.

  Attributes:
    name: title.
    facts: facts in words.
    groups: the rows.
    num_steps: number of train steps of the whole, None if they differ.
    baselines: name of a score -> (its value for real data, standard error).
    better: name of a score -> 'lower', 'higher' or 'near 0.5'.
    config: options that all have in common, by dotted name.
    defaults: their defaults.
    penalties: names of the penalties.
    members: table of the single members: header and rows; () for none.
    notes: notes on the scores.
    real: real examples, or None.
    picture: one picture of all; None where groups have their own.
    sounds: name -> `data:` URI.
    problems: what could not be shown, in words.
  """

  name: str
  facts: Sequence[str]
  groups: Sequence[Group]
  num_steps: int | None
  baselines: Mapping[str, tuple[float | None, float | None]]
  better: Mapping[str, str]
  config: Mapping[str, Any]
  defaults: Mapping[str, Any]
  penalties: Sequence[str] = ()
  members: Sequence[Sequence[Any]] = ()
  notes: Sequence[str] = ()
  real: Picture | None = None
  picture: Picture | None = None
  sounds: Mapping[str, str] = {}
  problems: Sequence[str] = ()


def format_setting(value: Any) -> str:
  """Returns the value of an option, as short as it can be read.

  Args:
    value: a value of a config.
  """
  return f'{value:.6g}' if isinstance(value, float) else str(value)
