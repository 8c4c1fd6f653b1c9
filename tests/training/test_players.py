"""Noise by keys of the examples, styles, and the path length by styles."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import networks, penalties, prng, sampling, training
from gan_jax.models import stylegan2
from gan_jax.training import gan_losses
from tests.helpers import tiny


class Noisy(nn.Module):
  """Adds its noise, one number per example, to the mean of its input."""

  outputs: int = 0

  @nn.compact
  def __call__(self, x, *, train, keys=None):
    scale = self.param('scale', nn.initializers.ones, ())
    y = x.mean(axis=1)
    if keys is not None:
      y = y + jax.vmap(lambda k: jax.random.normal(jax.random.fold_in(k, 1)))(
        keys
      )
    y = scale * y
    return y if not self.outputs else jnp.repeat(y[:, None], self.outputs, 1)


class Seen:
  """A term that keeps the outputs that it is called with."""

  def __call__(self, outputs, keys, aux_state):
    self.outputs = outputs
    self.real_again = outputs.real_logits_fn(outputs.real_inputs)
    self.fake_again = outputs.generate_fn(outputs.latents)
    return outputs.fake_logits, aux_state


def outputs_of(indices=None, **changes):
  """Returns the outputs of a game whose networks both draw noise."""
  seen = Seen()
  gan = dataclasses.replace(
    tiny.gan(loss='wasserstein'),
    generator=networks.from_linen(Noisy(outputs=2)),
    discriminator=networks.from_linen(Noisy()),
    g_terms={'seen': training.LossTerm(seen)},
    **changes,
  )
  now = tiny.init(gan, {**tiny.HYPER, 'seen_weight': 1.0})
  batch = tiny.batch()
  if indices is not None:
    batch = {'x': batch['x'][indices]}
  key = jax.random.key(3)
  gan_losses.make_gan_losses(gan)(
    now.generator.params, now.discriminator.params, now, batch, key, indices
  )
  return seen


def noise(outputs):
  return (
    outputs.real_logits - outputs.real.mean(axis=1),
    outputs.fake_logits - outputs.fake.mean(axis=1),
    outputs.fake[:, 0] - outputs.latents.mean(axis=1),
  )


@pytest.mark.parametrize('joint', [False, True])
def test_every_network_and_side_has_its_own_noise(joint):
  seen = outputs_of(joint_batch=joint)
  found = [*noise(seen.outputs)]
  found.append(seen.real_again - seen.outputs.real.mean(axis=1))
  for i, a in enumerate(found):
    assert np.unique(np.round(a, 4)).size == tiny.BATCH
    for b in found[i + 1 :]:
      assert abs(a - b).min() > 1e-5
  # A second pass of the generator meets the same noise.
  np.testing.assert_allclose(seen.fake_again, seen.outputs.fake, rtol=1e-6)


@pytest.mark.parametrize('joint', [False, True])
def test_noise_is_of_the_example_in_the_global_batch(joint):
  whole = noise(outputs_of(joint_batch=joint).outputs)
  part = jnp.arange(8, 16)
  own = noise(outputs_of(part, joint_batch=joint).outputs)
  for a, b in zip(whole, own):
    np.testing.assert_allclose(a[8:], b, atol=1e-5)


def test_packs_have_one_key_each():
  seen = outputs_of(packing=2)
  real_logits = seen.outputs.real_logits
  assert real_logits.shape == (tiny.BATCH // 2,)


def test_networks_without_keys_are_not_given_any():
  network = networks.from_linen(nn.Dense(1))
  assert not network.takes_keys
  assert network.key_options(jnp.zeros(2)) == {}


# ------------------------------------------------------------------ styles


def style_gan(**options):
  network = networks.from_linen(
    stylegan2.Generator(
      shape=(8, 8, 1),
      channel_max=4,
      style_dim=3,
      mapping_layers=1,
      **options,
    )
  )
  return dataclasses.replace(tiny.gan(), generator=network)


@pytest.fixture(scope='module')
def trained():
  """A generator with styles, and weights with a mean style far off."""
  gan = style_gan()
  params, batch_stats = gan.generator.init(
    jax.random.key(0), jnp.zeros((2, tiny.LATENT)), None
  )
  return gan, (params, jax.tree.map(lambda x: x + 50, batch_stats))


def test_standing_statistics_recompute_the_mean_style(trained):
  gan, weights = trained
  key = jax.random.key(4)
  new = sampling.standing_statistics(
    gan, weights, key, batches=2, batch_size=64
  )
  keys = jax.vmap(jax.random.fold_in, (None, 0))(
    jax.random.fold_in(jax.random.key(4), 0), jnp.arange(128)
  )
  latents = gan.latent_fn(keys, tiny.LATENT)
  styles = jax.jit(training.make_mapping_fn(gan))(weights, latents)
  expected = styles[:, 0].mean(axis=0)
  np.testing.assert_allclose(sampling.mean_style(new), expected, rtol=1e-4)


def test_truncation(trained):
  gan, weights = trained
  draw = sampling.make_sampler(gan)
  whole = draw(weights, 4)
  np.testing.assert_allclose(draw(weights, 4, psi=1.0), whole, atol=1e-5)
  same = draw(weights, 4, psi=0.0)
  # All have the mean style, and without scales of the noise are one image.
  np.testing.assert_allclose(same, np.repeat(same[:1], 4, axis=0), atol=1e-5)
  styles = np.ones((2, 4, 3), np.float32)
  mean, psi = np.full(3, 5.0), jnp.array([1.0, 0.5, 0.25, 0.0])
  found = jax.jit(sampling.truncate_styles)(styles, mean, psi)
  np.testing.assert_allclose(found[1, :, 2], [1, 3, 4, 5])


def test_the_halves_of_a_sampler_are_its_samples(trained):
  gan, (params, batch_stats) = trained
  ones = lambda path, x: x + 1 if 'noise' in jax.tree_util.keystr(path) else x
  weights = jax.tree_util.tree_map_with_path(ones, params), batch_stats
  sampler = sampling.Sampler(None, (8, 8, 1), 0, weights, gan)
  styles = sampler.styles(3, seed=5)
  assert styles.shape == (3, 4, 3)
  whole = sampler(3, seed=5)
  np.testing.assert_allclose(
    sampler.synthesize(styles, seed=5), whole, atol=1e-5
  )
  still = sampler.synthesize(styles)
  np.testing.assert_array_equal(sampler.synthesize(styles), still)
  assert abs(still - whole).max() > 0.01
  with pytest.raises(ValueError, match=r'must be \(count, 4, 3\)'):
    sampler.synthesize(styles[:, :2])


@pytest.mark.parametrize(
  'psi, wanted',
  [
    (1.5, 'psi=1.5: must be from 0'),
    ([1.0, 0.5], 'must be one number, or one for each of 4 styles'),
  ],
)
def test_a_psi_that_does_not_fit(trained, psi, wanted):
  gan, weights = trained
  with pytest.raises(ValueError, match=wanted):
    sampling.make_sampler(gan)(weights, 2, psi=psi)


def test_psi_without_styles():
  gan = tiny.gan()
  weights = training.player_weights(tiny.init(gan).generator)
  with pytest.raises(ValueError, match='psi=0.7: the generator has no styles'):
    sampling.make_sampler(gan)(weights, 2, psi=0.7)
  with pytest.raises(ValueError, match='the generator has no styles'):
    training.make_mapping_fn(gan)


def test_path_length_of_linear_maps_of_styles():
  """The root of the mean over layers of |A_l^T y|^2, in closed form."""
  random = np.random.default_rng(0)
  maps = random.normal(size=(3, 5, 8)).astype(np.float32)  # layers, W, pixels
  synthesis = lambda w: jnp.einsum('blw,lwp->bp', w, maps)
  styles = random.normal(size=(4, 3, 5)).astype(np.float32)
  keys = prng.per_example_keys(jax.random.key(0), jnp.arange(4))
  lengths = jax.jit(lambda w, k: penalties.path_lengths(synthesis, w, k))
  lengths = lengths(styles, jax.random.clone(keys))
  y = penalties.normal_like(keys, jax.ShapeDtypeStruct((4, 8), jnp.float32))
  gradients = np.einsum('bp,lwp->blw', y, maps)
  expected = np.sqrt(np.square(gradients).sum(axis=2).mean(axis=1))
  np.testing.assert_allclose(lengths, expected, rtol=1e-5)


@pytest.mark.parametrize('stride', [2])
def test_the_term_takes_styles_of_a_part_of_the_batch(stride):
  """The lengths are those by styles, with the noise and mixing of the batch."""
  term = training.make_term('path_length', batch_stride=stride)
  found = {}

  def apply(outputs, keys, aux_state):
    values, mean = term.apply(outputs, keys, aux_state)
    lengths = penalties.path_lengths(
      outputs.generate_fn, outputs.latents, jax.random.clone(keys)
    )
    found.update(outputs=outputs, values=values, mean=mean, lengths=lengths)
    return values, mean

  own = term._replace(apply=apply)
  gan = dataclasses.replace(style_gan(mixing=1.0), g_terms={'p': own})
  image = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(1)])
  d = networks.from_linen(Flat(image))
  gan = dataclasses.replace(gan, discriminator=d)
  x = jax.random.normal(jax.random.key(5), (8, 8, 8, 1))

  @jax.jit
  def run(x):
    hparams = {**tiny.HYPER, 'p_weight': 1.0}
    now = training.init_state(gan, jax.random.key(1), {'x': x[:2]}, hparams)
    gan_losses.make_gan_losses(gan)(
      now.generator.params,
      now.discriminator.params,
      now,
      {'x': x},
      jax.random.key(3),
    )
    out = found['outputs']
    again = out.synthesis_fn(out.styles[::stride], every=stride)
    return found['values'], found['mean'], again, out.fake, found['lengths']

  values, mean, again, fake, by_latents = run(x)
  assert values.shape == (8,) and mean > 0
  np.testing.assert_allclose(again, fake[::stride], atol=1e-5)
  if stride == 2:
    assert np.unique(np.round(values, 6)).size == 1
  # By latents it is another quantity.
  assert abs(by_latents.mean() * 0.01 / mean - 1) > 0.01


class Flat(nn.Module):
  """The first output of a module, as logits."""

  inner: nn.Module

  @nn.compact
  def __call__(self, x):
    return self.inner(x)[:, 0]


def test_a_stride_without_styles():
  term = training.make_term('path_length', batch_stride=2)
  gan = dataclasses.replace(tiny.gan(), g_terms={'p': term})
  now = tiny.init(gan, {**tiny.HYPER, 'p_weight': 1.0})
  with pytest.raises(ValueError, match='batch_stride=2 of the penalty path_l'):
    gan_losses.make_gan_losses(gan)(
      now.generator.params,
      now.discriminator.params,
      now,
      tiny.batch(),
      jax.random.key(3),
    )
