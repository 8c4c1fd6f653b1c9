"""Tracks the best checkpoint of a run, and the history of its scores.

The second best is kept as well, since a run may go back to before the best.
"""

import json
import pathlib
from typing import Any, Mapping

from gan_jax.evaluation import results
from gan_jax.experiment import run_dir
from gan_jax.io import checkpoint, jsonl

SCORES_FILE = 'scores.jsonl'


def _quarantine_damaged(directory: pathlib.Path) -> list[str]:
  """Moves damaged checkpoints out of the way; returns what is wrong."""
  found = []
  paths = list(directory.iterdir()) if directory.is_dir() else []
  for path in sorted(path for path in paths if path.name.isdigit()):
    damage = checkpoint.verify_checksums(path)
    if damage:
      why = f'{path} is damaged: {damage}'
      found.append(checkpoint.quarantine(path, why))
  return found


class BestCheckpointTracker:
  """The checkpoint with the best scores so far, and the history of scores.

  Attributes:
    step: step of the best checkpoint; None before there is one.
    damaged: descriptions of checkpoints that were moved out of the way.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    options: Mapping[str, Any],
    *,
    start: int = 0,
  ):
    """Reads the history; lines later than `start` are dropped.

    Args:
      workdir: directory of the run.
      options: options of the scores. Scores under other options are not
        comparable: a run that continues with others looks for a new best, and
        keeps the old one until it is found.
      start: number of train steps done.
    """
    self._options = dict(options)
    self._lines = jsonl.JsonlWriter(
      workdir / SCORES_FILE, start=start, kinds={'rank': list, 'options': dict}
    )
    self.damaged = _quarantine_damaged(workdir / run_dir.BEST)
    self._saved = checkpoint.RunCheckpointer(workdir / run_dir.BEST, keep=2)
    same = [line for line in self._lines.existing if self._comparable(line)]
    self._done = {line['step'] for line in same}
    ranks = [
      (line['rank'], line['step'])
      for line in same
      if line['step'] in self._saved.steps()
    ]
    self._rank, self.step = min(ranks, default=(None, None))
    noted = {line['step'] for line in self._lines.existing}
    for step in self._saved.steps():
      if step not in noted:  # of steps to come
        self._saved.delete(step)

  def _comparable(self, line: Mapping[str, Any]) -> bool:
    return line['options'] == json.loads(json.dumps(self._options))

  def is_evaluated(self, step: int) -> bool:
    """Returns whether the scores of a step are in the history."""
    return step in self._done

  def update(
    self, step: int, state: Any, rows: list[results.MetricResult]
  ) -> bool:
    """Adds scores to the history, and saves the state if they are the best.

    Args:
      step: number of train steps done.
      state: train state.
      rows: its scores, compared by results.ranking_key.

    Returns:
      Whether they are the best so far.
    """
    rank, scores = results.ranking_key(rows), results.as_json(rows)
    better = self._rank is None or rank < self._rank
    if better:
      self._saved.save(step, state)
      self._saved.wait()  # before the line below is written
      self._rank, self.step = rank, step
    line = {'step': step, 'rank': rank, 'options': self._options}
    self._lines.write({**line, 'scores': scores})
    self._done.add(step)
    return better

  def __enter__(self):
    return self

  def __exit__(self, *error):
    self._lines.close()
    self._saved.__exit__(*error)
