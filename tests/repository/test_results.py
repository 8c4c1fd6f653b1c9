"""Tests of benchmarks/results.py, atlas.py, and the pages that they write."""

import json
import pathlib
import subprocess
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import data, losses
from gan_jax.config.losses import LOSSES as FACTS
from gan_jax.experiment import build_gan, build_hparams
from gan_jax.experiment import experiment as experiment_lib

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
  """Puts the directory of the benchmarks first, as Python does for a script."""
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))


@pytest.fixture
def results(importable):
  import results

  return results


@pytest.fixture
def atlas(importable):
  import atlas

  return atlas


def rows():
  """Returns the names of the rows, without importing the benchmark."""
  source = (ROOT / 'benchmarks' / 'result_rows.py').read_text()
  table = source[source.index('ROWS: dict') :]
  return [
    line.split("'")[1] for line in table.splitlines() if "': Row(" in line
  ]


def test_page_is_made_of_the_records(results):
  records = results.RECORDS.glob('tables/*.md')
  tables = {path.stem: path.read_text() for path in sorted(records)}
  text = results.result_page.make_page(
    results.ROWS, results.read_records(), tables
  )
  assert (ROOT / 'docs' / 'results.md').read_text() == text, (
    'python benchmarks/results.py --page'
  )


def test_atlas_is_made_of_the_records(atlas):
  record = json.loads(atlas.RECORDS.read_text())
  text = atlas.atlas_page.make_page(
    record, len(losses.LOSSES), len(atlas.REGULARIZERS)
  )
  assert (ROOT / 'docs' / 'atlas.md').read_text() == text, (
    'python benchmarks/atlas.py --out=DIR --page'
  )


@pytest.mark.parametrize('name', rows())
def test_configs_of_rows_build(results, name):
  row = results.ROWS[name]
  config = config_lib.resolve(row.make_config())
  assert config_lib.is_ensemble(config) == (row.seeds > 1)
  spec = data.source_options(experiment_lib.data_spec(config))
  shape = (2,)
  if 'length' in spec:
    shape = (spec['length'], 1)
  elif 'size' in spec and config.data.name in ('tfds', 'stacked_mnist'):
    shape = (spec['size'], spec['size'], spec.get('channels', 3))
  share = (0.1,) * 10 if config.conditional else ()
  gan = build_gan.build_gan(config, shape, class_share=share)
  hparams = build_hparams.build_hparams(config)
  init = build_gan.build_init(gan, config, shape, hparams)
  state = build_gan.abstract_state(init)
  assert jax.tree.leaves(state.generator.params)
  if row.scoring:
    config_lib.resolve_eval(dict(row.scoring))
  assert all(len(cells) == len(row.scores) for _, cells in row.published)


def test_command_of_a_row_has_all_changes(results):
  assert results.ROWS['mnist'].command() == (
    'python train.py --config=mnist --config.conditional=True'
  )
  assert results.ROWS['ring'].command() == (
    'python train.py --config=ring --config.ensemble.seeds=10'
  )
  assert results.ROWS['mnist'].make_config().conditional is True


@pytest.mark.parametrize(
  ('value', 'error', 'scale', 'text'),
  [
    (0.98897, 0.00134, 100, '98.90 ± 0.13'),
    (0.00451, 0.00163, 1, '0.0045 ± 0.0016'),
    (16.771, 0.32, 1, '16.77 ± 0.32'),
    (161.3, 12.4, 1, '161 ± 12'),
    (8.0, 0.0, 1, '8'),
    (8.0, None, 1, '8'),
    (None, None, 1, '-'),
  ],
)
def test_scores_are_rounded_by_their_errors(results, value, error, scale, text):
  assert results.result_page.format_score(value, error, scale) == text


def write_run(directory, step, num_steps):
  """Writes the files of a run of the row ring."""
  directory.mkdir(parents=True)
  run = {'config': {'num_steps': num_steps}, 'versions': {'jax': '1'}}
  spent = {'seconds': 61.0, 'cpu_seconds': 100.0, 'machine': 'EPYC'}
  spent |= {'date': '2026-01-02', 'commit': 'abc'}
  (directory / 'config.json').write_text(json.dumps(run))
  (directory / 'spent.json').write_text(json.dumps(spent))
  saved = directory / 'checkpoints' / str(step)
  saved.mkdir(parents=True)
  (saved / 'commit_success.txt').touch()


def test_record_of_an_ensemble(results, tmp_path, monkeypatch):
  write_run(tmp_path / 'ring', 30_000, 30_000)
  point = {'members': [0, 1, 2], 'diverged': [2]}
  point['scores'] = {
    'modes found': [8.0, 0.0],
    'share within 3 sigma': [0.97, 0.012],
    'reverse KL, nats': [0.02, 0.003],
  }
  floors = {
    'modes found': [8.0, 0.0],
    'share within 3 sigma': [0.988, 0.001],
    'reverse KL, nats': [0.001, None],
  }
  summary = {'points': [point], 'baselines': floors}
  (tmp_path / 'ring' / 'summary.json').write_text(json.dumps(summary))
  monkeypatch.setattr(results, 'RECORDS', tmp_path / 'records')
  assert results.is_ended(tmp_path / 'ring')
  results.collect(tmp_path, types.SimpleNamespace())
  record = results.read_records()['ring']
  assert record['scores']['share within 3 sigma'] == [0.97, 0.012, 0.988, 0.001]
  assert record['diverged'] == 1 and record['step'] == 30_000
  text = results.result_page.make_section(results.ROWS['ring'], record)
  assert '| **gan_jax** | 8 | 97.0 ± 1.2 | 0.0200 ± 0.0030 |' in text
  assert '| floor | 8 | 98.80 ± 0.10 | 0.001 |' in text
  assert '| PacGAN4 | 7.8 | 95.9 | 0.07 |' in text
  flat = ' '.join(text.split())
  assert 'over 3 seeds; 1 diverged; 61 seconds (100 CPU seconds)' in flat
  overview = results.result_page.make_overview(
    results.ROWS, results.read_records()
  )
  assert '| `ring` | Ring of 8 Gaussians | modes 8 (floor 8) |' in overview
  assert '| `grid` | Grid of 25 Gaussians | not run |' in overview


def test_rows_that_did_not_end_say_so(results, tmp_path):
  row, section = results.ROWS['ring'], results.result_page.make_section
  assert '**Not run.**' in section(row, None)
  assert results.make_record('ring', tmp_path / 'ring') is None
  write_run(tmp_path / 'ring', 20, 30)
  assert not results.is_ended(tmp_path / 'ring')
  record = results.make_record('ring', tmp_path / 'ring')
  text = section(row, record)
  assert '**Not run to its end: 20 of 30 steps.**' in text
  assert 'gan_jax**' not in text


def test_folder_without_rows_is_refused(results, tmp_path):
  with pytest.raises(ValueError, match='no directory of a row'):
    results.collect(tmp_path, types.SimpleNamespace())


def test_runs_of_another_length_are_refused(results, tmp_path):
  write_run(tmp_path / 'ring', 2, 2)
  with pytest.raises(ValueError, match='2 steps, and the row has 30,000'):
    results.collect(tmp_path, types.SimpleNamespace())


def test_samples_of_a_run_become_a_curve(results, tmp_path):
  for step, fid in ((5, 90.0), (10, None)):
    path = tmp_path / f'samples_{step:08d}.npz'
    path.write_bytes(b'')
    facts = {'images': 64 * step, 'minutes': step / 4, 'samples': 20}
    path.with_suffix('.json').write_text(json.dumps(facts))
    if fid:
      score = dict(name='FID', value=fid, error=1.5)
      score |= dict(baseline=5.2, baseline_error=0.03)
      scored = json.dumps({'scores': [score]})
      path.with_suffix('.scores.json').write_text(scored)
  curve = results.read_curve(tmp_path)
  assert [point['step'] for point in curve] == [5, 10]
  assert curve[0]['scores'] == {'FID': [90.0, 1.5, 5.2, 0.03]}
  record = {'step': 10, 'num_steps': 99, 'curve': curve, 'commit': ''}
  record |= dict(seconds=1.0, cpu_seconds=1.0, machine='H200', date='today')
  row = results.ROWS['sngan_minutes']
  text = results.result_page.make_section(row, record)
  assert '| 1.2 | 320 | 20 | 90.0 ± 1.5 | 5.200 ± 0.030 |' in text
  assert '| 2.5 | 640 | 20 | not scored | - |' in text


def test_time_is_added_over_starts(results, tmp_path, monkeypatch):
  monkeypatch.setattr(results, 'machine', lambda: 'here')
  for _ in range(2):
    with results.spending(tmp_path):
      pass
  first = json.loads((tmp_path / 'spent.json').read_text())
  first['seconds'] = 100.0
  (tmp_path / 'spent.json').write_text(json.dumps(first))
  with pytest.raises(OSError), results.spending(tmp_path):
    raise OSError
  spent = json.loads((tmp_path / 'spent.json').read_text())
  assert 100 < spent['seconds'] < 110 and spent['machine'] == 'here'


def test_accelerator_script_is_bash():
  script = ROOT / 'benchmarks' / 'accelerator.sh'
  subprocess.run(['bash', '-n', str(script)], check=True)
  for line in script.read_text().splitlines():
    if line.strip().startswith('table '):
      assert (ROOT / 'benchmarks' / f'{line.split()[2]}.py').exists()
    if 'default+=' in line:
      named = line.split('"')[-2].split()
      assert set(named) <= set(rows()), named


@pytest.mark.parametrize('output', ['logits', 'features'])
def test_losses_of_a_group_are_chosen_by_an_index(atlas, output):
  names = tuple(n for n in losses.LOSSES if FACTS[n].output == output)
  shape = (6, 3) if output == 'features' else (6,)
  real, fake = np.random.default_rng(0).normal(size=(2, *shape)) / 2
  choose = atlas.make_group_loss(names)

  @jax.jit
  def chosen(index):
    loss = choose({atlas.INDEX: index}, 0)
    assert loss.output == output
    return loss.discriminator(real, fake), loss.generator(real, fake)

  for index, name in enumerate(names):
    for player, found in zip(
      ('discriminator', 'generator'), chosen(jnp.float32(index))
    ):
      expected = losses.player_loss(
        losses.LOSSES[name], player, jnp.asarray(real), jnp.asarray(fake), None
      )
      np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=name)


def test_cells_of_the_atlas_cover_all_losses(atlas):
  settings = atlas.Settings()
  groups = list(atlas.make_groups(['ring'], settings))
  cells = [cell for group in groups for cell in group.cells]
  assert len(set(cells)) == len(cells)
  assert {cell.loss for cell in cells} == set(losses.LOSSES)
  assert len(cells) == len(losses.LOSSES) * len(atlas.REGULARIZERS)
  config = atlas.make_config(cells[0], settings)
  assert config['ensemble']['seeds'] == 10
  paths = {cell.path(pathlib.Path()) for cell in cells}
  assert len(paths) == len(cells)


def test_means_are_over_members_that_did_not_diverge(atlas):
  scores = {
    'modes': np.array([[8.0, 6.0, 1.0]]),
    'high_quality': np.array([[0.5, 0.7, 0.0]]),
    'reverse_kl': np.array([[0.1, 0.3, np.nan]]),
    'live': np.array([[1.0, 1.0, 0.0]]),
  }
  settings = atlas.Settings(rates=(0.1,), seeds=3)
  (row,) = atlas.summarize(scores, settings)
  assert row == {
    'rate': 0.1,
    'diverged': 1,
    'modes': [7.0, 1.0],
    'high_quality': [0.6, 0.1],
    'reverse_kl': [0.2, 0.1],
  }
  # 2/3 live members, 60 % within 3 sigma, 7 of 8 modes
  coverage = atlas.atlas_page.coverage(row, 'ring', 3)
  assert coverage == pytest.approx(2 / 3 * 0.6 * 7 / 8)
  cell = {'data': 'ring', 'rates': [row]}
  page = atlas.atlas_page
  assert page.best_coverage([cell], 3) == coverage
  assert page.works(cell, 3, 2 * coverage) == [True]
  assert page.works(cell, 3, 2.1 * coverage) == [False]
  row['modes'] = None
  assert atlas.atlas_page.coverage(row, 'ring', 3) == 0


def test_cells_with_other_settings_are_refused(atlas, tmp_path):
  path = tmp_path / 'cell.json'
  settings = atlas.Settings()
  kept = json.loads(json.dumps({'settings': vars(settings)}))
  path.write_text(json.dumps(kept))
  atlas.check_settings(path, settings)
  with pytest.raises(ValueError, match="'batch': 32.*'batch': 2"):
    atlas.check_settings(path, atlas.Settings(batch=2))
