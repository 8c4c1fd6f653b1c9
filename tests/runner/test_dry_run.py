"""Tests of runner.dry_run: all that a run refuses, and nothing compiled."""

import json

import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax import config as config_lib
from gan_jax import experiment
from gan_jax.distributed import xla_setup
from gan_jax.experiment import cost, initial_weights
from gan_jax.io import lock
from gan_jax.runner import dry_run
from tests.helpers import programs

TOY = {
  'data': {'name': 'gaussian'},
  'generator': {'name': 'linear'},
  'discriminator': {'name': 'mlp', 'mlp': {'features': (8,)}},
  'num_steps': 2,
  'batch_size': 8,
  'eval': {'num_samples': 16},
}


PLAYERS = initial_weights.PLAYERS


def dry(workdir=None, init_from='', init_parts=PLAYERS, **fields):
  return dry_run.dry_run(
    config_lib.resolve(TOY | fields),
    workdir,
    init_from=init_from,
    init_parts=init_parts,
  )


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run') / 'x'
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(xla_setup, 'are_flags_set', lambda: True)
    gan_jax.train(TOY, workdir, quiet=True)
  return workdir


def files_of(directory):
  return {
    path: path.read_bytes() for path in directory.rglob('*') if path.is_file()
  }


@pytest.mark.slow
def test_nothing_is_compiled_or_written(tmp_path):
  with programs.compiled_programs() as compiled:
    lines = dry(tmp_path / 'new', batch_size=12)
    dry(ensemble={'seeds': 2})
  # What makes a key, or a scalar, is no step.
  assert not [n for n in compiled if 'train_step' in n or 'init' in n]
  assert not list(tmp_path.iterdir())
  text = '\n'.join(lines)
  assert 'parameters  G 202, D 129' in text and 'a new run' in text
  assert 'batch       24 B, 3 examples on each' in text and 'kFLOP' in text


def test_units():
  built = experiment.build(config_lib.resolve(TOY))
  estimated = cost.estimate_cost(built)._replace(
    state_bytes=3 * 2**20, flops=2e6
  )
  text = '\n'.join(cost.format_cost(estimated, built))
  assert 'state       3 MiB' in text and 'a step      2 MFLOP' in text


@pytest.mark.slow
def test_a_run_that_can_go_on(trained):
  before = files_of(trained)
  assert 'checkpoint of step 2' in dry(trained, num_steps=4)[-1]
  assert f'weights of {trained}' in dry(init_from=trained)[-1]
  # FreezeD: the discriminator of another run, with its first layer as it is.
  *_, frozen, last = dry(
    init_from=trained,
    init_parts='discriminator',
    latent_dim=3,
    d_optimizer={'freeze_layers': 1},
  )
  assert frozen == 'frozen      D Dense_0: 120 of 129 parameters'
  assert f'from the discriminator of {trained}, step 2' in last
  after = files_of(trained)
  assert before == {k: v for k, v in after.items() if k in before}
  assert before.keys() == after.keys()


@pytest.mark.parametrize(
  ('fields', 'names'),
  [
    ({'batch_size': 4}, ['another config', 'batch_size: checkpoint has 8']),
    ({'num_steps': 1}, ['num_steps=1', '2 steps']),
  ],
)
def test_a_workdir_of_another_run(trained, fields, names):
  with pytest.raises(ValueError) as error:
    dry(trained, **fields)
  for name in names:
    assert name in str(error.value)


def test_a_workdir_that_no_run_can_have(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(NotADirectoryError, match='file is a file'):
    dry(tmp_path / 'file')
  with pytest.raises(ValueError, match='UTF-8'):
    dry(str(tmp_path / '\udcff'))
  with lock.DirectoryLock(tmp_path / 'used'):
    with pytest.raises(lock.DirectoryLockedError, match='in use by process'):
      dry(tmp_path / 'used')
  (tmp_path / 'corrupt').mkdir()
  (tmp_path / 'corrupt' / 'metrics.jsonl').write_text(
    '{\n' + json.dumps({'step': 1}) + '\n'
  )
  with pytest.raises(ValueError, match='line 1 of .*corrupt/metrics.jsonl'):
    dry(tmp_path / 'corrupt')


def test_weights_and_scores_that_a_run_lacks(tmp_path):
  with pytest.raises(FileNotFoundError, match='holds no run'):
    dry(init_from=tmp_path)
  with pytest.raises(ValueError, match='init_from is for one run'):
    dry(init_from=tmp_path, ensemble={'seeds': 2})
  pictures = tmp_path / 'pictures'
  pictures.mkdir()
  for i in range(20):
    pixels = np.full((16, 16, 3), i, np.uint8)
    Image.fromarray(pixels).save(pictures / f'{i}.png')
  data = {'name': 'folder', 'folder': {'path': str(pictures), 'size': 16}}
  network = {'name': 'dcgan', 'dcgan': {'width': 4}}
  missing = str(tmp_path / 'none.pth')
  with pytest.raises(FileNotFoundError, match='none.pth'):
    dry(
      data=data,
      generator=network,
      discriminator=network,
      eval={'metrics': 'fid', 'feature_weights': missing},
    )
