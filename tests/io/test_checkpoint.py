"""Checkpoints that were cut short, changed or could not be written."""

import errno
import json
import os
import pathlib
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.experiment import initial_weights, resume, run_dir
from gan_jax.io import checkpoint
from tests.experiment.test_experiment import build, train_and_save
from tests.helpers import programs

TREE = {'w': jnp.arange(4096.0), 'half': jnp.ones(3, jnp.bfloat16), 'none': {}}

MERE = ('commit_success.txt', '_CHECKPOINT_METADATA')  # of orbax alone


def save(directory, *steps, **options):
  with checkpoint.RunCheckpointer(directory, keep=5, **options) as saved:
    for step in steps:
      saved.save(step, TREE | {'n': jnp.int32(step)})


def restore(directory, step=None):
  with checkpoint.RunCheckpointer(directory, read_only=True) as saved:
    return saved.restore(TREE | {'n': jnp.int32(0)}, step)


def files_of(directory: pathlib.Path, least=1):
  """Files with some bytes, in order."""
  found = [p for p in directory.rglob('*') if p.is_file()]
  return sorted(p for p in found if p.stat().st_size >= least)


def test_what_is_written_beside(tmp_path):
  save(tmp_path, 3, metadata={'versions': {'jax': 'x'}})
  with checkpoint.RunCheckpointer(tmp_path, read_only=True) as saved:
    assert saved.metadata(3) == {'versions': {'jax': 'x'}}
  chex.assert_trees_all_equal(restore(tmp_path), TREE | {'n': 3})


def test_any_file_cut_short_or_changed_is_found_out(tmp_path):
  save(tmp_path / 'good', 1)
  names = [
    p.relative_to(tmp_path / 'good') for p in files_of(tmp_path / 'good')
  ]
  for name in names:
    for way in ('cut', 'flip', 'remove'):
      bad = tmp_path / 'bad'
      shutil.copytree(tmp_path / 'good', bad)
      data = bytearray((bad / name).read_bytes())
      if way == 'cut':
        del data[len(data) // 2 :]
      else:
        data[len(data) // 2] ^= 1
      (bad / name).write_bytes(data)
      if way == 'remove':
        (bad / name).unlink()
      if len(name.parts) == 2 and name.name in MERE:
        chex.assert_trees_all_equal(restore(bad, 1), TREE | {'n': 1})
        shutil.rmtree(bad)
        continue
      with pytest.raises(
        checkpoint.CorruptCheckpointError, match='bad/1 '
      ) as error:
        restore(bad, 1)
      assert name.name == 'checksums.json' or name.name in str(error.value)
      shutil.rmtree(bad)


def test_the_one_before_a_damaged_one_is_continued(tmp_path):
  train_and_save(tmp_path, num_steps=3)
  train_and_save(tmp_path, num_steps=5)
  for path in files_of(tmp_path / 'checkpoints' / '5'):
    path.write_bytes(path.read_bytes()[:-3])
  config = json.dumps(run_dir.run_metadata(build(num_steps=7)))
  (tmp_path / run_dir.CONFIG_FILE).write_text(config)
  with pytest.raises(ValueError, match=r'checkpoints/5 .* \[3\]'):
    run_dir.restore(tmp_path)
  state, _, _, note = resume.restore_or_initialize(build(num_steps=7), tmp_path)
  assert int(state.step) == 3
  assert 'checkpoints/5 ' in note and 'damaged/' in note
  assert note.endswith('step 3 of 7')
  assert (tmp_path / 'damaged/checkpoints/5').is_dir()
  assert run_dir.latest_step(tmp_path) == 3
  whole, _ = train_and_save(tmp_path / 'b', num_steps=7)
  resumed, note = train_and_save(tmp_path, num_steps=7)
  assert 'damaged' not in note
  chex.assert_trees_all_equal(resumed, whole)


def test_no_good_checkpoint_is_an_error_not_a_new_run(tmp_path):
  train_and_save(tmp_path, num_steps=3)
  for path in files_of(tmp_path / 'checkpoints' / '3'):
    path.write_bytes(b'')
  with pytest.raises(ValueError, match='checkpoints.*3 .*damaged'):
    resume.restore_or_initialize(build(num_steps=3), tmp_path)
  assert (tmp_path / 'checkpoints' / '3').is_dir()


def test_what_another_config_left_is_not_written_over(tmp_path):
  """Also where there is no checkpoint of it, yet or any more."""
  built = build(num_steps=3)
  config = json.dumps(run_dir.run_metadata(built))
  (tmp_path / run_dir.CONFIG_FILE).write_text(config)
  other = build(num_steps=3, seed=1)
  assert (
    resume.restore_or_initialize(other, tmp_path).note == 'a new run'
  )  # nothing is lost
  (tmp_path / 'metrics.jsonl').write_text('{"step": 2}\n')
  with pytest.raises(ValueError, match='seed: .*0.* 1'):
    resume.restore_or_initialize(other, tmp_path)
  assert resume.restore_or_initialize(built, tmp_path).note == 'a new run'
  (tmp_path / 'metrics.jsonl').unlink()
  (tmp_path / run_dir.BEST).mkdir()
  with pytest.raises(ValueError, match='seed: .*0.* 1'):
    resume.restore_or_initialize(other, tmp_path)


@pytest.mark.parametrize('shape', [['a'], [2.5], [-2], [0], [10**12], 5])
def test_a_config_of_no_shape(tmp_path, shape):
  metadata = run_dir.run_metadata(build()) | {'shape': shape}
  (tmp_path / run_dir.CONFIG_FILE).write_text(json.dumps(metadata))
  with pytest.raises(ValueError, match="config.json .*'shape'"):
    run_dir.restore(tmp_path)


def test_a_run_of_its_own_weights_says_so(tmp_path):
  train_and_save(tmp_path, num_steps=3)
  note = resume.restore_or_initialize(
    build(num_steps=5), tmp_path, initial_weights.InitFrom('another')
  ).note
  assert 'step 3 of 5' in note and 'init_from' in note


def test_config_is_that_of_the_checkpoint(tmp_path):
  """Even where config.json is gone."""
  train_and_save(tmp_path, num_steps=3)
  (tmp_path / run_dir.CONFIG_FILE).unlink()
  with pytest.raises(ValueError, match='seed: .*0.* 1'):
    resume.restore_or_initialize(build(num_steps=5, seed=1), tmp_path)
  assert (
    'continues'
    in resume.restore_or_initialize(build(num_steps=5), tmp_path).note
  )


def test_restored_on_one_device_whatever_it_was_saved_on(tmp_path):
  mesh = jax.sharding.Mesh(np.asarray(jax.local_devices()), ('all',))
  whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  with checkpoint.RunCheckpointer(tmp_path) as saved:
    saved.save(1, jax.device_put(TREE, whole))
  with checkpoint.RunCheckpointer(tmp_path, read_only=True) as saved:
    found = saved.restore(TREE)
  chex.assert_trees_all_equal(found, TREE)
  assert len(found['w'].devices()) == 1


def test_a_full_disk_names_the_directory_and_keeps_the_old(
  tmp_path, monkeypatch
):
  save(tmp_path, 1)
  with pytest.raises(OSError, match=f'{tmp_path}.*{os.strerror(errno.ENOSPC)}'):
    with checkpoint.RunCheckpointer(tmp_path) as saved:

      def full(*unused, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

      monkeypatch.setattr(saved._manager, 'save', full)
      saved.save(2, TREE | {'n': jnp.int32(2)})
  chex.assert_trees_all_equal(restore(tmp_path), TREE | {'n': 1})


def test_described_settings_are_json(tmp_path):
  train_and_save(tmp_path, num_steps=3)
  with checkpoint.RunCheckpointer(
    tmp_path / 'checkpoints', read_only=True
  ) as saved:
    metadata = saved.metadata(3)
  assert metadata == {'rollbacks': 0} | json.loads(
    (tmp_path / run_dir.CONFIG_FILE).read_text()
  )


def test_a_list_of_sums_without_a_file_is_damage(tmp_path):
  save(tmp_path, 1)
  (tmp_path / '1' / 'checksums.json').write_text('{}')
  with pytest.raises(checkpoint.CorruptCheckpointError, match='1 .* list'):
    restore(tmp_path, 1)


@pytest.mark.parametrize('bad', ['{', '[]', '{"commit_timestamp_nsecs": 1e30}'])
def test_bad_times_of_one_hide_no_other(tmp_path, bad):
  save(tmp_path, 1, 2)
  path = tmp_path / '2' / '_CHECKPOINT_METADATA'
  assert path.is_file()
  path.write_text(bad)
  chex.assert_trees_all_equal(restore(tmp_path, 1), TREE | {'n': 1})
  chex.assert_trees_all_equal(restore(tmp_path, 2), TREE | {'n': 2})


def test_a_changed_commit_time_is_no_foreign_error(tmp_path):
  save(tmp_path, 1, 2)
  path = tmp_path / '2' / '_CHECKPOINT_METADATA'
  metadata = json.loads(path.read_text())
  metadata['commit_timestamp_nsecs'] = 10**40
  path.write_text(json.dumps(metadata))
  chex.assert_trees_all_equal(restore(tmp_path, 1), TREE | {'n': 1})
  chex.assert_trees_all_equal(restore(tmp_path), TREE | {'n': 2})


def test_checkpoints_keep_the_newest_and_come_back_exactly(tmp_path):
  tree = {'w': jnp.arange(3.0), 'n': jnp.int32(7), 'none': {}}
  with checkpoint.RunCheckpointer(tmp_path / 'c', keep=2) as saved:
    assert saved.latest() is None
    with pytest.raises(FileNotFoundError, match=str(tmp_path / 'c')):
      saved.restore(tree)
    for step in (1, 2, 3):
      saved.save(step, tree | {'n': jnp.int32(step)})
    saved.save(3, tree)  # already there: kept
  with checkpoint.RunCheckpointer(tmp_path / 'c', keep=2) as saved:
    assert saved.latest() == 3
    chex.assert_trees_all_equal(saved.restore(tree), tree | {'n': 3})
    assert saved.restore(tree, 2)['n'] == 2
  kept = sorted(p.name for p in (tmp_path / 'c').iterdir() if p.is_dir())
  assert kept == ['2', '3']


def test_checkpoint_is_not_disturbed_by_the_steps_after_it(tmp_path):
  """Saving goes on while donated buffers are written over."""
  step = jax.jit(
    lambda tree: {k: x + 1 for k, x in tree.items()}, donate_argnums=0
  )
  tree = {str(i): jnp.full((512, 512), float(i)) for i in range(8)}
  with checkpoint.RunCheckpointer(tmp_path / 'c', keep=5) as saved:
    for number in range(1, 6):
      tree = step(tree)
      saved.save(number, tree)
      for _ in range(20):
        tree = step(tree)
  with checkpoint.RunCheckpointer(tmp_path / 'c', keep=5) as saved:
    for number in range(1, 6):
      for i, x in saved.restore(tree, number).items():
        assert (x == int(i) + 21 * (number - 1) + 1).all()


def test_replicated_arrays_are_saved_without_a_program(tmp_path):
  mesh = jax.make_mesh((4,), ('x',))
  replicated = jax.NamedSharding(mesh, jax.P())
  split = jax.NamedSharding(mesh, jax.P('x'))
  values = np.arange(44, dtype=np.float32).reshape(4, 11)
  tree = {
    'replicated': jax.device_put(values, replicated),
    'split': jax.device_put(values, split),
    'scalar': jax.device_put(np.int32(3), replicated),
  }
  with programs.compiled_programs() as compiled:
    checkpoint.save_state(tmp_path / 'c', tree)
  assert not compiled
  like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)
  restored = checkpoint.restore_state(tmp_path / 'c', like)
  chex.assert_trees_all_equal(restored, jax.device_get(tree))
