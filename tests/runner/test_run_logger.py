"""Tests of a run's files: each line once, however often the run is stopped."""

import json
import os
import pathlib
import subprocess
import sys

import jax.numpy as jnp
import pytest

from gan_jax.evaluation import failure_modes
from gan_jax.experiment import resume, schedule
from gan_jax.io import files
from gan_jax.runner import console, run_logger
from tests.experiment.test_experiment import build
from tests.io.test_metric_writer import events

NOTHING = schedule.Actions(
  log=False, checkpoint=False, sample=False, evaluate=False
)
SAMPLE = NOTHING._replace(sample=True)


class Reporter(console.ConsoleReporter):
  """Keeps warnings instead of printing them."""

  def __init__(self):
    super().__init__(quiet=True)
    self.warnings = []

  def warning(self, step, text):
    self.warnings.append((step, text))


def test_a_run_continues_if_nothing_can_be_printed(tmp_path):
  """Its output goes to a file on a full disk."""
  code = (
    'from gan_jax.runner import console\n'
    'reporter = console.ConsoleReporter()\n'
    'for step in range(3):\n'
    '  reporter.line(step, {"steps_per_second": 1, "examples_per_second": 1})\n'
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
  assert ended.stderr.count('nothing more is printed: No space left') == 1


def test_a_damaged_summary_is_written_anew(tmp_path):
  path = tmp_path / 'summary.json'
  for content, kept in (('{"a": 1, "b": 2}', {'b': 2}), ('{', {}), (None, {})):
    path.unlink() if content is None else path.write_text(content)
    files.update_json(path, {'a': 3})
    assert json.loads(path.read_text()) == {'a': 3, **kept}


@pytest.fixture
def start():
  """Returns a function (workdir, step) that makes the logger of a run."""
  built = build(sample_every=10, num_steps=100, num_samples=4)
  state = built.init_state()

  def make(workdir, step):
    reporter = Reporter()
    probe = run_logger.RunProbe(built, reporter)
    logger = run_logger.RunLogger(probe, workdir, reporter)
    opened = logger.open(resume.ResumePoint(state, step, 0, ''))
    return logger, opened, reporter, state

  return make


def test_a_warning_is_printed_once_until_its_cause_is_gone(
  tmp_path, monkeypatch, start
):
  found = {}
  monkeypatch.setattr(failure_modes, 'diagnose', lambda facts: dict(found))
  logger, opened, reporter, state = start(tmp_path, 0)
  with opened:
    for step, kinds in ((10, 'a'), (20, 'a'), (30, ''), (40, 'a'), (50, 'ab')):
      found.clear()
      found.update({kind: f'{kind}!' for kind in kinds})
      logger.on_step(SAMPLE, step, state)
  assert reporter.warnings == [(10, 'a!'), (40, 'a!'), (50, 'b!')]
  lines = (tmp_path / 'warnings.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in lines] == [10, 20, 40, 50]

  # A run that continues knows of a, not yet of b.
  logger, opened, reporter, state = start(tmp_path, 45)
  with opened:
    logger.on_step(SAMPLE, 50, state)
  assert reporter.warnings == [(50, 'b!')]
  again = (tmp_path / 'warnings.jsonl').read_text().splitlines()
  assert again == lines


def test_tensorboard_has_the_metrics_before_a_checkpoint(tmp_path, start):
  logger, opened, _, state = start(tmp_path, 0)
  with opened:
    logger.meter.add(10, {'loss': jnp.full(1, 0.5)})
    logger.on_step(NOTHING._replace(log=True, checkpoint=True), 10, state)
    shown, _ = events(tmp_path)  # as of a run that is killed now
    assert ('loss', 0.5) in [event[1:] for event in shown]


def test_a_snapshot_is_computed_once(tmp_path, monkeypatch, start):
  """The log, the pictures and the warnings of a step share its health."""
  measured = []
  make_health_probe = failure_modes.make_health_probe

  def counted(*arguments, **options):
    measure = make_health_probe(*arguments, **options)
    return lambda state: measured.append(int(state.step)) or measure(state)

  monkeypatch.setattr(failure_modes, 'make_health_probe', counted)
  logger, opened, _, state = start(tmp_path, 0)
  everything = schedule.Actions(
    log=True, checkpoint=True, sample=True, evaluate=False
  )
  with opened:
    logger.meter.add(10, {'loss': jnp.full(1, 0.5)})
    logger.on_step(everything, 10, state)
    logger.on_step(SAMPLE, 10, state)
    assert len(measured) == 1
    logger.on_step(SAMPLE, 20, state)
    assert len(measured) == 2
  # After a rollback the same step has another state.
  with logger.open(resume.ResumePoint(state, 10, 1, '')):
    logger.on_step(SAMPLE, 20, state)
  assert len(measured) == 3
