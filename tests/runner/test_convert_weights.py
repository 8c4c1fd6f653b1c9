"""The command that converts weights."""

import chex
import pytest

from gan_jax import conversion
from gan_jax.commands import convert_weights
from gan_jax.experiment import pretrained
from tests.evaluation.test_inception_weights import torch_file
from tests.helpers import published, torch_pickles


def states(network, classes=0):
  draw = lambda player: getattr(published, f'{network}_{player}')(
    classes=classes
  )
  return {'G_ema': draw('generator'), 'D': draw('discriminator')}


@pytest.mark.parametrize('network', ['stylegan2', 'r3gan'])
def test_snapshots_and_state_dicts(network, tmp_path, capsys):
  found = states(network, classes=3)
  flat = {f'{k}.{name}': x for k, v in found.items() for name, x in v.items()}
  snapshot = torch_pickles.snapshot(found, persistent=network == 'stylegan2')
  files = {'a.pkl': snapshot, 'a.pth': torch_file(flat)}
  target = tmp_path / 'b.safetensors'
  expected, _ = pretrained.from_torch(network, found)
  for name, content in files.items():
    (tmp_path / name).write_bytes(content)
    convert_weights.run([network, str(tmp_path / name), str(target)])
    printed = capsys.readouterr().out
    assert 'images of 16 x 16 x 3' in printed and '3 classes' in printed
    assert f' --config.discriminator.{network}.remat=False' in printed
    unused = {
      'stylegan2': 'resample_filter (18), noise_const (5)',
      'r3gan': 'Kernel (4)',
    }
    assert unused[network] in printed
    weights = pretrained.load_pretrained(target).weights
    chex.assert_trees_all_equal(weights, expected.weights)
    target.unlink()


def test_what_is_wrong_is_one_line(tmp_path, capsys):
  state = published.r3gan_generator()
  source, target = tmp_path / 'a.pth', tmp_path / 'b.safetensors'
  source.write_bytes(torch_file(state))
  for arguments, message in (
    (['stylegan2', source, target], 'a.pth: the discriminator of stylegan2: '),
    (['r3gan', source, tmp_path / 'b.npz'], 'b.npz: must end in .safetensors'),
    (['r3gan', tmp_path / 'a.txt', target], 'a.txt: must end in one of .pkl'),
    (['r3gan', tmp_path / 'none.pkl', target], 'none.pkl: No such file'),
    (['sngan', source, target], "invalid choice: 'sngan'"),
    (['inception', source, target], 'does not have the 94 layers'),
  ):
    with pytest.raises(SystemExit) as caught:
      convert_weights.run([str(x) for x in arguments])
    error = capsys.readouterr().err
    if isinstance(caught.value.code, str):  # a message is status 1
      error = caught.value.code
    else:
      assert caught.value.code == 1
    assert message in error and len(error.splitlines()) == 1
    assert not target.exists()


def test_every_converter_is_offered():
  assert convert_weights.NETWORKS == (
    'inception',
    'lpips',
    *sorted(conversion.CONVERTERS),
  )
