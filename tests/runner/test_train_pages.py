"""Pages and trackers of runs in the course of training."""

import json
import statistics

import pytest

import gan_jax
from gan_jax import config as config_lib
from gan_jax.runner import config_file
from tests.io.test_trackers import calls, tracker_file  # noqa: F401
from tests.runner.test_train import TOY_FILE, _surroundings, toy  # noqa: F401


def kinds(made, kind):
  return [call[1:] for call in made if call[0] == kind]


def test_a_run_that_is_stopped_and_continued(tmp_path, tracker_file):  # noqa: F811
  config = toy(
    num_steps=8,
    log_every=2,
    sample_every=4,
    steps_per_call=1,
    writers=(f'{tracker_file}:Recorder',),
  )
  stop = iter([False] * 4 + [True] * 9)
  workdir = tmp_path / 'run'
  gan_jax.train(config, workdir, quiet=True, should_stop=lambda: next(stop))
  page = workdir / 'report.html'
  assert 'step 5 of 8' in page.read_text()
  before = calls(workdir)
  assert [step for step, _ in kinds(before, 'write')] == [2, 4, 5]
  assert [c[1:] for c in kinds(before, 'image')] == [
    ['real', 'real.png'],
    ['samples', '00000004.png'],
  ]
  assert before[-1] == ['close']

  gan_jax.train(config, workdir, quiet=True)
  text = page.read_text()
  assert 'step 8 of 8' in text and 'KL to the truth' in text
  made = calls(workdir)
  (name, options, first), (*_, second) = kinds(made, 'made')
  assert name == 'run' and first == second
  assert options['generator.name'] == 'linear'
  written = kinds(made[len(before) :], 'write')
  assert [step for step, _ in written] == [6, 8, 8]
  assert set(written[0][1]) > {'d_loss', 'steps_per_second'}
  assert any('KL to the truth' in score for score in written[-1][1])

  # A page is an option, and a run may be continued without it.
  page.unlink()
  without = config_lib.with_values(config, {'report': False})
  assert gan_jax.train(without, workdir, quiet=True).finished
  assert not page.exists()


def test_what_is_wrong_with_trackers_is_said_before_training(tmp_path):
  config = toy(writers=('none.py:X',))
  with pytest.raises(FileNotFoundError, match='there is no file none.py'):
    gan_jax.train(config, tmp_path / 'run', quiet=True)
  assert not (tmp_path / 'run' / 'metrics.jsonl').exists()


def test_an_ensemble(tmp_path, tracker_file, capsys):  # noqa: F811
  config = config_file.load_config(TOY_FILE)
  config.num_steps, config.num_devices = 4, 1
  config.ensemble.seeds = 3
  config.writers = (f'{tracker_file}:Recorder',)
  workdir = tmp_path / 'run'
  gan_jax.train(config, workdir)
  assert f'report   {workdir}/report.html' in capsys.readouterr().out
  assert '3 members' in (workdir / 'report.html').read_text()
  lines = (workdir / 'members.jsonl').read_text().splitlines()
  of_members = json.loads(lines[0])['metrics']['d_loss']
  written = kinds(calls(workdir), 'write')
  assert written[0][1]['d_loss'] == statistics.median(of_members)
  assert any('KL to the truth' in name for name in written[-1][1])
  assert calls(workdir)[-1] == ['close']


@pytest.mark.parametrize(
  'writers, message',
  [
    (('wanbd',), "tracker 'wanbd'. Did you mean 'wandb'"),
    (('a.py',), "unknown tracker 'a.py'"),
    (('a.py:b c',), 'FILE.py:CLASS'),
    ((3,), "unknown tracker '3'"),
    (('wandb', 'wandb'), 'must differ'),
  ],
)
def test_names_of_trackers(writers, message):
  with pytest.raises(ValueError, match=message):
    config_lib.resolve({'writers': writers})
