"""Networks, losses and data that a program passes: the whole way."""

import functools

import chex
import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import gan_jax
from gan_jax import experiment as experiment_lib
from gan_jax import losses
from gan_jax.distributed import xla_setup
from gan_jax.experiment import run_dir

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), np.uint8)
BASE = {
  'num_steps': 4,
  'batch_size': 8,
  'latent_dim': 6,
  'log_every': 2,
  'checkpoint_every': 2,
  'num_samples': 4,
  'eval': {'num_samples': 8},
}
LOSS = losses.AdversarialLoss(
  lambda real, fake: jax.nn.softplus(-real) + jax.nn.softplus(fake),
  lambda real, fake: jax.nn.softplus(-fake),
)


@pytest.fixture(autouse=True)
def flags_are_set(monkeypatch):
  """Other tests may have run JAX before: that warning is tested elsewhere."""
  monkeypatch.setattr(xla_setup, 'are_flags_set', lambda: True)


class Generator(nnx.Module):
  def __init__(self, rngs):
    self.first = nnx.Linear(6, 16, rngs=rngs)
    self.norm = nnx.BatchNorm(16, rngs=rngs)
    self.last = nnx.Linear(16, 256, rngs=rngs)

  def __call__(self, z):
    x = nnx.relu(self.norm(self.first(z)))
    return jnp.tanh(self.last(x)).reshape(-1, 16, 16, 1)


class Discriminator(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.leaky_relu(nn.Dense(16)(x.reshape(len(x), -1)))
    return nn.Dense(1)(x)[:, 0]


NETWORKS = dict(
  generator=lambda rngs: Generator(rngs), discriminator=Discriminator()
)
PARTS = dict(NETWORKS, loss=LOSS, train=IMAGES[:32], test=IMAGES[32:])
train = functools.partial(gan_jax.train, quiet=True)


class Stop:
  """Stops a run after some calls."""

  def __init__(self, count):
    self.left = count

  def __call__(self):
    self.left -= 1
    return self.left < 0


@pytest.mark.slow
def test_trained_stopped_resumed_and_loaded(tmp_path):
  whole = train(BASE, tmp_path / 'whole', **PARTS)
  cut = train(BASE, tmp_path / 'cut', **PARTS, should_stop=Stop(0))
  assert not cut.finished and 0 < cut.step < 4
  again = train(BASE, tmp_path / 'cut', **PARTS)
  chex.assert_trees_all_equal(again.state, whole.state)
  assert again.scores[0].value == whole.scores[0].value
  sampler = gan_jax.load(tmp_path / 'cut', **NETWORKS)
  chex.assert_shape(sampler(3), (3, 16, 16, 1))
  assert "generator='own'" in repr(sampler)
  with pytest.raises(ValueError) as caught:
    gan_jax.load(tmp_path / 'cut')
  for said in ('Generator', 'Discriminator', 'generator=..., discriminator'):
    assert said in str(caught.value)


@pytest.mark.slow
def test_other_data_are_refused_on_resuming(tmp_path):
  train({**BASE, 'num_steps': 2}, tmp_path, **PARTS)
  other = {**PARTS, 'train': IMAGES[8:]}
  with pytest.raises(ValueError, match='examples.files'):
    train(BASE, tmp_path, **other)


@pytest.mark.slow
def test_members_of_an_ensemble_begin_differently():
  config = {**BASE, 'ensemble': {'seeds': 4}}
  built = experiment_lib.build_ensemble(config, **PARTS)
  kernels = built.init_state().generator.params['first']['kernel']
  assert len({x.tobytes() for x in np.asarray(kernels)}) == 4
  result = train(config, **PARTS)
  assert result.finished and len(result.scores) == 4


def test_finished_modules_are_for_one_run_alone():
  finished = {**PARTS, 'generator': Generator(nnx.Rngs(0))}
  with pytest.warns(UserWarning, match='generator: .*Generator.*seed'):
    experiment_lib.build(BASE, **finished)
  with pytest.warns(UserWarning):
    with pytest.raises(ValueError, match='4 seeds'):
      experiment_lib.build_ensemble(
        {**BASE, 'ensemble': {'seeds': 4}}, **finished
      )


@pytest.mark.slow
def test_a_loss_that_depends_on_the_step():
  weigh = lambda hparams, step: losses.AdversarialLoss(
    lambda real, fake: LOSS.discriminator(real, fake) * (1 + step),
    LOSS.generator,
  )
  first = [
    train({**BASE, 'num_steps': 1}, **PARTS | {'loss': loss}).state
    for loss in (LOSS, weigh)
  ]
  chex.assert_trees_all_equal(*first)
  later = [
    train(BASE, **PARTS | {'loss': loss}).state for loss in (LOSS, weigh)
  ]
  with pytest.raises(AssertionError):
    chex.assert_trees_all_close(*later)


def test_a_loss_on_features_makes_the_librarys_discriminator_return_them():
  matching = losses.LOSSES['feature_matching']
  config = {
    **BASE,
    'generator': {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'none'}},
    'discriminator': {'name': 'mlp', 'mlp': {'features': (8,)}},
  }
  built = experiment_lib.build(config, loss=matching, train=IMAGES)
  named = experiment_lib.build(
    {**config, 'loss': 'feature_matching'}, train=IMAGES
  )
  for one, two in zip(
    jax.tree.leaves(built.abstract_state().discriminator),
    jax.tree.leaves(named.abstract_state().discriminator),
    strict=True,
  ):
    assert one.shape == two.shape


@pytest.mark.parametrize(
  'config, parts, message',
  [
    ({}, {'loss': 'hinge'}, "'hinge'.*in the config"),
    ({}, {'loss': 3}, 'loss=3'),
    ({'loss': 'own'}, {}, r"loss='own'.*loss=\.\.\.\).*get_parts"),
    ({'generator': {'name': 'own'}}, {}, "generator.name='own'.*get_parts"),
    ({'data': {'name': 'own'}}, {}, "data.name='own'.*train="),
    ({}, {'test': IMAGES}, 'test is given without train'),
    ({}, {'train': IMAGES, 'generator': nn.Dense}, r'pass an instance'),
  ],
)
def test_refused(config, parts, message):
  with pytest.raises((TypeError, ValueError), match=message):
    experiment_lib.build({**BASE, **config}, **parts)


def edges(x):
  """A condition of any shape: a picture of the left edges, and the mean."""
  return {
    'edges': np.roll(x, 1, axis=2) ^ x,
    'mean': x.mean(axis=(1, 2, 3), dtype=np.float32) / 255,
  }


class ImageToImage(nn.Module):
  @nn.compact
  def __call__(self, z, label, *, train):
    chex.assert_type(label['edges'], jnp.uint8)  # untouched
    x = label['edges'] / 127.5 - 1
    z = jnp.broadcast_to(
      jnp.concatenate([z, label['mean'][:, None]], axis=1)[:, None, None],
      (*x.shape[:3], z.shape[1] + 1),
    )
    x = nn.Conv(4, (3, 3))(jnp.concatenate([x, z], axis=-1))
    x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
    return jnp.tanh(nn.Conv(1, (3, 3))(x))


class PairDiscriminator(nn.Module):
  @nn.compact
  def __call__(self, x, label):
    x = jnp.concatenate([x, label['edges'] / 127.5 - 1], axis=-1)
    return nn.Dense(1)(nn.Conv(4, (3, 3))(x).mean(axis=(1, 2)))[:, 0]


IMAGE_TO_IMAGE = dict(
  generator=ImageToImage(),
  discriminator=PairDiscriminator(),
  train={'x': IMAGES[:32], 'label': edges(IMAGES[:32])},
  test={'x': IMAGES[32:], 'label': edges(IMAGES[32:])},
)


@pytest.mark.parametrize(
  'options',
  [
    {},
    {'resident_mb': 0, 'd_steps': 2},
    {'micro_batches': 2, 'joint_batch': True},
  ],
  ids=['resident', 'streamed', 'parts'],
)
@pytest.mark.slow
def test_labels_of_any_tree_reach_the_networks(options, tmp_path):
  config = {**BASE, 'num_devices': 1, **options}
  config['penalties'] = {'r1': {'weight': 1.0}}
  result = train(config, tmp_path, **IMAGE_TO_IMAGE)
  assert result.finished and np.isfinite(result.scores[0].value)
  sampler = gan_jax.load(
    tmp_path, generator=ImageToImage(), discriminator=PairDiscriminator()
  )
  with pytest.raises(ValueError, match='takes labels.*edges'):
    sampler(3)
  x = sampler(3, label=edges(IMAGES[:3]))
  assert np.abs(x - sampler(3, label=edges(IMAGES[3:6]))).max() > 1e-3
  np.testing.assert_allclose(
    x[:2], sampler(2, label=edges(IMAGES[:2])), atol=1e-6
  )


@pytest.mark.slow
def test_conditional_members_of_an_ensemble():
  config = {**BASE, 'ensemble': {'seeds': 2}}
  result = train(config, **IMAGE_TO_IMAGE)
  assert result.finished and len(result.scores) == 2


class EquinoxDiscriminator(eqx.Module):
  layer: eqx.nn.Linear

  def __init__(self, key):
    self.layer = eqx.nn.Linear(256, 'scalar', key=key)

  def __call__(self, x):
    return self.layer(x.reshape(-1))


class Rows:
  """A dataset as of PyTorch."""

  def __len__(self):
    return len(IMAGES)

  def __getitem__(self, index):
    return IMAGES[index].transpose(2, 0, 1), index % 3


def test_equinox_and_a_dataset(tmp_path):
  parts = dict(
    generator=lambda rngs: Generator(rngs),
    discriminator=lambda key: EquinoxDiscriminator(key),
    train=Rows(),
  )
  whole = train(BASE, tmp_path / 'a', **parts)
  train({**BASE, 'num_steps': 2}, tmp_path / 'b', **parts)
  cut = train(BASE, tmp_path / 'b', **parts)
  chex.assert_trees_all_equal(cut.state, whole.state)


def test_torch_dataset():
  torch = pytest.importorskip('torch', reason='pip install torch')
  dataset = torch.utils.data.TensorDataset(
    torch.as_tensor(IMAGES.transpose(0, 3, 1, 2)), torch.arange(len(IMAGES))
  )
  result = train(BASE, **NETWORKS, train=dataset)
  same = train(BASE, **NETWORKS, train={'x': IMAGES, 'label': range(40)})
  chex.assert_trees_all_equal(result.state, same.state)
  stream = torch.utils.data.ChainDataset([dataset])
  with pytest.raises(TypeError, match='ChainDataset.*the seed and the step'):
    experiment_lib.build(BASE, train=stream)


CONFIG_FILE = """
import flax.linen as nn
import ml_collections
import numpy as np
from gan_jax import config as config_lib


class Generator(nn.Module):
  width: int

  @nn.compact
  def __call__(self, z):
    return nn.Dense(2)(nn.relu(nn.Dense(self.width)(z)))


def get_config(variant=''):
  config = ml_collections.ConfigDict(config_lib.defaults())
  config.update(num_steps=4, batch_size=8, log_every=2, num_samples=4)
  config.discriminator.name = 'mlp'
  config.discriminator.mlp.features = (8,)
  config.eval.num_samples = 8
  return config


def get_parts(config):
  points = np.random.default_rng(0).normal(size=(40, 2))
  return {'generator': Generator(config.latent_dim), 'train': points}
"""


def test_parts_of_a_config_file(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(CONFIG_FILE)
  result = train(str(path), tmp_path / 'run')
  width = result.experiment.config.latent_dim
  kernel = result.state.generator.params['Dense_1']['kernel']
  assert kernel.shape == (width, width)
  assert result.experiment.config.generator.name == 'own'
  recorded = run_dir.read_config(tmp_path / 'run')
  assert recorded['config_file'] == str(path)
  assert recorded['own_parts']['generator'].endswith('Generator')


@pytest.mark.parametrize(
  'returned, message',
  [
    ("{'critic': 3}", r"\['critic'\].*generator, discriminator, loss, train"),
    ('3', 'get_parts returned 3'),
    ('1 / 0', 'line .*division by zero'),
  ],
)
def test_get_parts_that_returns_anything_else(returned, message, tmp_path):
  path = tmp_path / 'mine.py'
  cut = CONFIG_FILE.index('def get_parts')
  path.write_text(
    f'{CONFIG_FILE[:cut]}def get_parts(config):\n  return {returned}\n'
  )
  with pytest.raises(ValueError, match=message):
    gan_jax.train(str(path), quiet=True)
