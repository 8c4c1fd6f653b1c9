"""Files of a run's directory."""

import json

import pytest

from gan_jax.experiment import run_dir


def test_a_run_of_an_earlier_state_is_refused_with_a_sentence(tmp_path):
  old = {'settings': {'seed': 0}, 'shape': [2], 'examples': {'train': 8}}
  (tmp_path / run_dir.CONFIG_FILE).write_text(json.dumps(old))
  with pytest.raises(ValueError, match='earlier state of gan_jax') as caught:
    run_dir.read_config(tmp_path)
  assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize('shape', [[0], [2.5], ['2'], [2**40]])
def test_a_bad_shape_is_refused(tmp_path, shape):
  bad = {'config': {}, 'shape': shape, 'examples': {}}
  (tmp_path / run_dir.CONFIG_FILE).write_text(json.dumps(bad))
  with pytest.raises(ValueError, match="bad 'shape'"):
    run_dir.read_config(tmp_path)
