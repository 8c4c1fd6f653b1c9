"""What a run leaves: each once, however often it is stopped."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from gan_jax import evaluation
from gan_jax.evaluation import failure_modes, reference_data
from gan_jax.experiment import resume, schedule
from gan_jax.io import files
from gan_jax.runner import console, run_logger
from tests.experiment.test_experiment import build
from tests.io.test_metric_writer import events

CHECKPOINT = schedule.Actions(
  line=False, checkpoint=True, picture=False, scores=False
)
PICTURE = schedule.Actions(
  line=False, checkpoint=False, picture=True, scores=False
)


class Report(console.ConsoleReporter):
  """Keeps warnings."""

  def __init__(self):
    super().__init__(quiet=True)
    self.said = []

  def warning(self, step, text):
    self.said.append((step, text))


def test_a_run_goes_on_where_nothing_can_be_printed(tmp_path):
  """Its output goes to a file on a disk that is full."""
  code = (
    'from gan_jax import progress\n'
    'report = console.ConsoleReporter()\n'
    'for step in range(3):\n'
    '  report.line(step, {"steps_per_second": 1, "examples_per_second": 1})\n'
    'open("end", "w").close()\n'
  )
  with open('/dev/full', 'w') as full:
    ended = subprocess.run(
      [sys.executable, '-c', code],
      cwd=tmp_path,
      env=os.environ | {'PYTHONPATH': str(pathlib.Path.cwd())},
      stdout=full,
      stderr=subprocess.PIPE,
      text=True,
    )
  assert ended.returncode == 0 and (tmp_path / 'end').exists(), ended.stderr
  assert ended.stderr.count('nothing more is printed: [Errno 28]') == 1


def test_a_summary_that_is_damaged_is_written_anew(tmp_path):
  path = tmp_path / 'summary.json'
  for content, kept in (('{"a": 1, "b": 2}', {'b': 2}), ('{', {}), (None, {})):
    path.unlink() if content is None else path.write_text(content)
    files.update_json(path, {'a': 3})
    assert json.loads(path.read_text()) == {'a': 3, **kept}


@pytest.fixture
def start():
  """Makes the records of a run from a step on, and its report."""
  built = build(sample_every=10, num_steps=100, num_samples=4)
  state = built.init_state()

  def begin(workdir, step):
    report = Report()
    real = reference_data.split_half_reference(built.train, {})
    kept = run_logger.RunLogger(
      built, workdir, evaluation.Evaluator(real), report
    )
    return kept.begin(resume.ResumePoint(state, step, 0, '')), report, state

  return begin


def test_a_warning_is_said_once_until_it_has_come_right(
  tmp_path, monkeypatch, start
):
  now = {}
  monkeypatch.setattr(failure_modes, 'diagnose', lambda facts: dict(now))
  kept, report, state = start(tmp_path, 0)
  with kept:
    for step, found in ((10, 'a'), (20, 'a'), (30, ''), (40, 'a'), (50, 'ab')):
      now.clear()
      now.update({kind: f'{kind}!' for kind in found})
      kept.keep(PICTURE, step, state)
  assert report.said == [(10, 'a!'), (40, 'a!'), (50, 'b!')]
  lines = (tmp_path / 'warnings.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in lines] == [10, 20, 40, 50]

  kept, report, state = start(tmp_path, 45)  # a is known, b is not yet
  with kept:
    kept.keep(PICTURE, 50, state)
  assert report.said == [(50, 'b!')]
  again = (tmp_path / 'warnings.jsonl').read_text().splitlines()
  assert again == lines


def test_tensorboard_has_what_came_before_a_checkpoint(tmp_path, start):
  kept, _, state = start(tmp_path, 0)
  speeds = {'steps_per_second': 1.0, 'examples_per_second': 8.0}
  with kept:
    kept.line(10, {'loss': 0.5, **speeds}, state)
    kept.keep(CHECKPOINT, 10, state)
    shown, _ = events(tmp_path)  # as of a run that is killed now
  assert shown[0] == (10, 'loss', 0.5)


def test_another_process_keeps_nothing(tmp_path):
  with run_logger.Nothing().begin(resume.ResumePoint(None, 0, 0, '')) as kept:
    kept.line(1, {}, None)
    kept.keep(PICTURE, 1, np.zeros(1))
    kept.finish(1, None, None)
    assert not kept.missed(1)
  assert not list(tmp_path.iterdir())
