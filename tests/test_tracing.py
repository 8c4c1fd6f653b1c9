"""Public functions inside jit, vmap and grad, with known and traced arrays."""

import dataclasses
import functools
import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import (
  augment,
  diagnostics,
  losses,
  metrics,
  networks,
  penalties,
  prng,
  sampling,
  tracing,
  training,
)
from gan_jax.evaluation import failure_modes
from gan_jax.evaluation.networks import preprocess
from gan_jax.metrics import frechet, precision_recall, two_sample
from gan_jax.training import ema, fused, nonfinite, optimizers
from tests.helpers import tiny

N = 6
KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, N)


def normal(seed, *shape):
  return jax.random.normal(jax.random.key(seed), shape)


REAL, FAKE = normal(1, N), normal(2, N)
REAL_2D, FAKE_2D = normal(3, N, 2), 0.5 + normal(4, N, 2)
IMAGES = jnp.tanh(normal(5, N, 8, 8, 3))
LABELS = jnp.arange(N) % 2
HALF, TWO = jnp.float32(0.5), jnp.int32(2)
LOGITS = REAL, FAKE
FEATURES = REAL_2D, FAKE_2D
SCORES = tuple(networks.DiscriminatorOutput(*x) for x in zip(LOGITS, FEATURES))
PARAMS = {'kernel': REAL_2D}
GAUSSIANS = *metrics.fit_gaussian(REAL_2D), *metrics.fit_gaussian(FAKE_2D)
PLAIN = losses.LOSSES['minimax']
FEW = {'steps': 2, 'batch_size': 4, 'hidden': 2}


def logits_fn(x):
  return jnp.tanh(x).sum(axis=1)


def moments(x):
  return frechet.update_moments(frechet.init_moments(2), x)


def bind(function, *names, **options):
  """Makes the last arguments keyword arguments of these names."""

  def call(*args):
    first = len(args) - len(names)
    return function(*args[:first], **dict(zip(names, args[first:])), **options)

  return call


def of_logits(penalty):
  return functools.partial(penalty, logits_fn)


def losses_of(loss):
  """The losses of both players of a loss with arguments of its own."""
  return lambda real, fake, *args: [
    losses.player_loss(loss(*args), player, real, fake, None)
    for player in ('discriminator', 'generator')
  ]


class ImageGenerator(nn.Module):
  @nn.compact
  def __call__(self, x, label=None, *, train):
    return jnp.tanh(nn.Dense(8 * 8 * 3)(x)).reshape(-1, 8, 8, 3)


class ImageDiscriminator(nn.Module):
  @nn.compact
  def __call__(self, x, label=None, *, train):
    return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]


def terms(*names):
  return {name: training.make_term(name) for name in names}


def image_step(**options):
  """A step on images, and the state that it takes."""
  gan = training.GAN(
    generator=networks.from_linen(ImageGenerator()),
    discriminator=networks.from_linen(ImageDiscriminator()),
    loss=PLAIN,
    latent_dim=3,
    g_optimizer=optax.adam(0.1),
    d_optimizer=optax.chain(optax.sgd(0.1), optimizers.clip_weights(HALF)),
    **options,
  )
  hparams = {f'{x}_weight': 0.1 for x in (*gan.d_terms, *gan.g_terms)}
  hparams |= dict(ema_decay=0.9, augment_strength=0.5, lookahead_alpha=0.5)
  state = training.init_state(gan, KEY, {'x': IMAGES}, hparams)
  memory = dict(lookahead_every=2, diagnostics=True)
  step = training.make_train_step(gan, **memory)
  batch = {'x': IMAGES[None]}
  return step, (training.init_aux_state(state, **memory), batch, KEY)


ADAPT = functools.partial(augment.update_ada, interval_examples=4)
ADA = training.Augmentation(augment.ada, ADAPT, augment.init_ada(HALF))
GAN = tiny.gan()
STATE, BATCH = tiny.init(GAN), tiny.batch()
# Styles [B, 2, 3], from latents by one matrix.
STYLE_WEIGHTS = {'w': jnp.ones((tiny.LATENT, 3))}, {}
STYLE_GAN = dataclasses.replace(
  GAN,
  generator=networks.Network(
    init=lambda key, z, label: STYLE_WEIGHTS,
    apply=lambda p, s, z, label, **_: (z @ p['w'], s),
    mapping=lambda p, s, z, label, **_: (jnp.stack([z @ p['w']] * 2, 1), s),
    synthesis=lambda p, s, styles, **_: (styles.mean(axis=1) @ p['w'].T, s),
  ),
)
STEP_ARGS = STATE, {'x': BATCH['x'][None]}, KEY
D_WEIGHTS = STATE.discriminator.params, STATE.discriminator.batch_stats
FUSED = fused.fuse_steps(
  training.make_train_step(GAN), fused.gather_batch(16, 8), max_steps=3
)
FUSED_ARGS = STATE, BATCH, fused.make_streams(0), TWO
FIELD = diagnostics.vector_field(
  lambda g, d: (g * d).sum(), lambda g, d: -(g * d).sum()
)

# Take functions and options instead of arrays; what they build is called below.
BUILDERS = (
  *(
    'check_loss',
    'player_loss',
    'f_gan',
    'f_gan_non_saturating',
    'mmd',
    'required_hparams',
    'label_fn',
    'labels_in_rows',
  ),
)
CALLS = {
  'losses.smooth_labels': (
    losses_of(lambda s: losses.smooth_labels(PLAIN, s)),
    (*LOGITS, HALF),
  ),
  'losses.top_k': (losses_of(lambda k: losses.top_k(PLAIN, k)), (*LOGITS, TWO)),
  'losses.top_k, coupled': (
    losses_of(lambda k: losses.top_k(losses.LOSSES['ragan'], k)),
    (*LOGITS, TWO),
  ),
  'losses.top_k_mask': (losses.top_k_mask, (FAKE, TWO)),
  'losses.top_k_count': (
    bind(losses.top_k_count, 'fraction', 'gamma', 'every', batch_size=8),
    (TWO, HALF, HALF, TWO),
  ),
  'losses.least_squares': (
    losses_of(lambda b: losses.least_squares(real_target=b)),
    (*LOGITS, HALF),
  ),
  'losses.mmd_gaussian': (
    losses_of(lambda s: losses.mmd_gaussian(sigmas=(s,))),
    (*FEATURES, HALF),
  ),
  'losses.mmd_rational_quadratic': (
    losses_of(lambda a: losses.mmd_rational_quadratic(alphas=(a,))),
    (*FEATURES, HALF),
  ),
  'losses.gaussian_kernel': (losses.gaussian_kernel, (REAL,)),
  'losses.rational_quadratic_kernel': (
    losses.rational_quadratic_kernel,
    (jnp.abs(REAL),),
  ),
  'losses.class_cross_entropy': (
    losses.class_cross_entropy,
    (REAL_2D, LABELS),
  ),
  'losses.contrastive_2c': (
    bind(losses.contrastive_2c, 'temperature'),
    (*FEATURES, LABELS, HALF),
  ),
  'losses.data_to_data_cross_entropy': (
    bind(losses.data_to_data_cross_entropy, 'margin', 'temperature'),
    (*FEATURES, LABELS, HALF, HALF),
  ),
  'losses.real_fake_class_discriminator': (
    losses.real_fake_class_discriminator,
    (*FEATURES, 0 * LABELS, 0 * LABELS),
  ),
  'losses.real_fake_class_generator': (
    losses.real_fake_class_generator,
    (REAL_2D, 0 * LABELS),
  ),
  'losses.twin_classifier_discriminator': (
    losses.twin_classifier_discriminator,
    (*FEATURES, LABELS, LABELS),
  ),
  'losses.twin_classifier_generator': (
    losses.twin_classifier_generator,
    (*FEATURES, LABELS),
  ),
  'losses.mmd_witness': (losses.mmd_witness, (REAL_2D, *FEATURES)),
  'losses.minimax_value': (losses.minimax_value, LOGITS),
  'penalties.consistency': (penalties.consistency, LOGITS),
  'penalties.zcr_generator': (penalties.zcr_generator, FEATURES),
  'penalties.input_gradients': (
    of_logits(penalties.input_gradients),
    (REAL_2D,),
  ),
  'penalties.r1': (of_logits(penalties.r1), (REAL_2D,)),
  'penalties.r2': (of_logits(penalties.r2), (REAL_2D,)),
  'penalties.zero_centered': (
    of_logits(penalties.zero_centered),
    (*FEATURES, KEYS),
  ),
  'penalties.wgan_gp': (
    bind(of_logits(penalties.wgan_gp), 'target'),
    (*FEATURES, KEYS, HALF),
  ),
  'penalties.wgan_lp': (
    bind(of_logits(penalties.wgan_lp), 'target'),
    (*FEATURES, KEYS, HALF),
  ),
  'penalties.max_gp': (of_logits(penalties.max_gp), (*FEATURES, KEYS)),
  'penalties.dragan': (
    bind(of_logits(penalties.dragan), 'scale'),
    (REAL_2D, KEYS, HALF),
  ),
  'penalties.interpolate': (penalties.interpolate, (*FEATURES, KEYS)),
  'penalties.perturb': (bind(penalties.perturb, 'scale'), (REAL, KEYS, HALF)),
  'penalties.normal_like': (penalties.normal_like, (KEYS, REAL_2D)),
  'penalties.lecam': (
    penalties.lecam,
    (*LOGITS, penalties.LogitEMA(HALF, HALF)),
  ),
  'penalties.update_logit_ema': (
    bind(penalties.update_logit_ema, 'decay'),
    (penalties.LogitEMA(HALF, HALF), *LOGITS, HALF),
  ),
  'penalties.mode_seeking': (
    bind(penalties.mode_seeking, 'epsilon'),
    (*FEATURES, *FEATURES, HALF),
  ),
  'penalties.orthogonal': (penalties.orthogonal, (PARAMS,)),
  'penalties.reconstruction': (penalties.reconstruction, FEATURES),
  'penalties.path_lengths': (
    lambda z, keys: penalties.path_lengths(jnp.tanh, z, keys),
    (REAL_2D, KEYS),
  ),
  'penalties.path_length': (penalties.path_length, (REAL, HALF)),
  'penalties.update_path_length_mean': (
    bind(penalties.update_path_length_mean, 'decay'),
    (HALF, REAL, HALF),
  ),
  'augment.ada': (bind(augment.ada, 'strength'), (IMAGES, KEYS, HALF)),
  'augment.diff_augment': (
    bind(augment.diff_augment, 'strength'),
    (IMAGES, KEYS, HALF),
  ),
  'augment.init_ada': (augment.init_ada, (HALF,)),
  'augment.update_ada': (
    bind(augment.update_ada, 'target', 'speed', 'interval_examples'),
    (augment.init_ada(0.2), REAL, HALF, HALF, TWO),
  ),
  'augment.instance_noise': (
    bind(augment.instance_noise, 'sigma'),
    (REAL_2D, KEYS, HALF),
  ),
  'metrics.classification_accuracy': (
    bind(metrics.classification_accuracy, classes=2, **FEW),
    (FAKE_2D, LABELS, REAL_2D, LABELS, KEY),
  ),
  'metrics.class_accuracy': (
    bind(metrics.class_accuracy, classes=2, **FEW),
    (FAKE_2D, LABELS, REAL_2D, LABELS, KEY),
  ),
  'metrics.class_diversity': (
    metrics.class_diversity,
    (REAL_2D, LABELS, FAKE_2D, LABELS),
  ),
  'metrics.classifier_test': (
    bind(metrics.classifier_test, **FEW),
    (*FEATURES, KEY),
  ),
  'metrics.compute_prdc': (bind(metrics.compute_prdc, k=2), FEATURES),
  'metrics.prdc_jackknife': (
    bind(precision_recall.prdc_jackknife, k=2),
    FEATURES,
  ),
  'metrics.fit_gaussian': (metrics.fit_gaussian, (REAL_2D,)),
  'metrics.frechet_distance': (metrics.frechet_distance, GAUSSIANS),
  'metrics.frechet_jackknife': (
    lambda a, b: metrics.frechet_jackknife(
      [moments(a[:3]), moments(a[3:])], moments(b)
    ),
    FEATURES,
  ),
  'metrics.inception_score': (
    bind(metrics.inception_score, splits=2),
    (REAL_2D,),
  ),
  'metrics.intra_class_fid': (
    metrics.intra_class_fid,
    (REAL_2D, LABELS, FAKE_2D, LABELS),
  ),
  'metrics.jackknife': (
    lambda x: metrics.jackknife(jnp.mean, x, groups=2),
    (REAL_2D,),
  ),
  'metrics.kid': (
    bind(metrics.kid, subsets=2, subset_size=3),
    (*FEATURES, KEY),
  ),
  'metrics.kl_divergence': (metrics.kl_divergence, GAUSSIANS),
  'metrics.kl_to_uniform': (metrics.kl_to_uniform, (jax.nn.softmax(REAL),)),
  'metrics.mmd_test': (
    bind(metrics.mmd_test, permutations=3),
    (*FEATURES, KEY),
  ),
  'metrics.mode_scores': (metrics.mode_scores, (*FEATURES, HALF)),
  'metrics.nearest_neighbor_accuracy': (
    metrics.nearest_neighbor_accuracy,
    FEATURES,
  ),
  'metrics.nearest_neighbor_test': (
    bind(two_sample.nearest_neighbor_test, permutations=3),
    (*FEATURES, KEY),
  ),
  'metrics.polynomial_kernel': (metrics.polynomial_kernel, FEATURES),
  'metrics.sliced_wasserstein': (
    bind(metrics.sliced_wasserstein, directions=2),
    (*FEATURES, KEY),
  ),
  'metrics.stacked_modes': (
    metrics.stacked_modes,
    (jnp.stack([LABELS, LABELS, LABELS], axis=1),),
  ),
  'metrics.unbiased_mmd': (
    lambda a, b: metrics.unbiased_mmd(a, b, metrics.polynomial_kernel),
    FEATURES,
  ),
  'metrics.wasserstein_2': (metrics.wasserstein_2, GAUSSIANS),
  'diagnostics.cosine_similarity': (diagnostics.cosine_similarity, LOGITS),
  'diagnostics.density_ratio_error': (
    diagnostics.density_ratio_error,
    (*LOGITS, REAL),
  ),
  'diagnostics.discriminator_accuracy': (
    bind(diagnostics.discriminator_accuracy, 'decision_threshold'),
    (*LOGITS, REAL, HALF),
  ),
  'diagnostics.eigenvalues': (
    lambda g, d: diagnostics.eigenvalues(FIELD, g, d),
    (REAL_2D[0], FAKE_2D[0]),
  ),
  'diagnostics.game_jacobian': (
    lambda g, d: diagnostics.game_jacobian(FIELD, g, d),
    (REAL_2D[0], FAKE_2D[0]),
  ),
  'diagnostics.vector_field': (FIELD, (REAL_2D[0], FAKE_2D[0])),
  'prng.per_example_keys': (prng.per_example_keys, (KEY, LABELS)),
  'prng.typed_keys': (prng.typed_keys, (jax.random.PRNGKey(0),)),
  'prng.sample_normal': (lambda keys: prng.sample_normal(keys, 2), (KEYS,)),
  'prng.sample_truncated_normal': (
    lambda keys: prng.sample_truncated_normal(keys, 2),
    (KEYS,),
  ),
  'prng.sample_uniform': (lambda keys: prng.sample_uniform(keys, 2), (KEYS,)),
  'training.ema_update': (training.ema_update, (PARAMS, PARAMS, HALF)),
  'training.half_life_decay': (ema.half_life_decay, (HALF, TWO)),
  'training.init_state': (
    lambda key, x, decay: training.init_state(
      GAN, key, {'x': x}, {'ema_decay': decay}
    ),
    (KEY, BATCH['x'], HALF),
  ),
  'training.init_aux_state': (
    bind(training.init_aux_state, diagnostics=True),
    (STATE,),
  ),
  'training.player_weights': (training.player_weights, (STATE.generator,)),
  'training.replace_weights': (
    lambda *states: training.replace_weights(GAN, *states),
    (STATE, STATE),
  ),
  'training.make_d_step': (training.make_d_step(GAN), (STATE, BATCH, KEY)),
  'training.make_g_step': (training.make_g_step(GAN), (STATE, BATCH, KEY)),
  'training.make_gan_losses': (
    lambda state, *args: training.make_gan_losses(GAN)(
      state.generator.params, state.discriminator.params, state, *args
    ),
    (STATE, BATCH, KEY),
  ),
  'training.make_gradient_fn': (
    training.make_gradient_fn(GAN, micro_batches=2),
    (STATE, BATCH, KEY),
  ),
  'training.make_sample_fn': (
    training.make_sample_fn(GAN),
    (STATE.ema, normal(6, 4, tiny.LATENT)),
  ),
  'training.make_mapping_fn': (
    training.make_mapping_fn(STYLE_GAN),
    (STYLE_WEIGHTS, normal(6, 4, tiny.LATENT)),
  ),
  'training.make_synthesis_fn': (
    training.make_synthesis_fn(STYLE_GAN),
    (STYLE_WEIGHTS, normal(6, 4, 2, 3)),
  ),
  'training.make_logits_fn': (
    training.make_logits_fn(GAN),
    (D_WEIGHTS, BATCH['x']),
  ),
  'training.make_train_step': (training.make_train_step(GAN), STEP_ARGS),
  'training.make_train_step, guarded': (
    nonfinite.skip_nonfinite(training.make_train_step(GAN)),
    STEP_ARGS,
  ),
  'training.make_schedule': (
    lambda start, steps, step: training.make_schedule('x', ['cosine']).apply(
      {'x_start_0': start, 'x_end_0': 1.0, 'x_steps_0': steps}, step
    ),
    (HALF, TWO, TWO),
  ),
  'training.make_term': image_step(
    d_terms=terms('r1', 'lecam', 'dragan'),
    g_terms=terms('path_length', 'mode_seeking'),
  ),
  'training.make_train_step, diff_augment': image_step(
    augment=training.Augmentation(augment.diff_augment)
  ),
  'training.make_train_step, ada': image_step(augment=ADA),
  'training.fuse_steps': (FUSED, FUSED_ARGS),
  'training.vectorize_members': (
    lambda state, feed, streams, count: training.vectorize_members(FUSED)(
      *jax.tree.map(lambda x: x[None], (state,)),
      feed,
      jax.tree.map(lambda x: x[None], streams),
      count,
    ),
    FUSED_ARGS,
  ),
  'sampling.standing_statistics': (
    lambda weights, key: sampling.standing_statistics(
      GAN, weights, key, batches=2, batch_size=4
    ),
    (STATE.ema, KEY),
  ),
  'sampling.mean_style': (
    sampling.mean_style,
    ((STYLE_WEIGHTS[0], {'track_w': normal(1, 3)}),),
  ),
  'sampling.truncate_styles': (
    lambda styles, mean: sampling.truncate_styles(styles, mean, 0.7),
    (normal(6, 4, 2, 3), normal(1, 3)),
  ),
  'sampling.lerp': (sampling.lerp, (*FEATURES, REAL)),
  'sampling.slerp': (sampling.slerp, (*FEATURES, REAL)),
  'sampling.closed_walk': (lambda x: sampling.closed_walk(x, 3), (REAL_2D,)),
  'sampling.mix_styles': (
    lambda a, b: sampling.mix_styles(a, b, [1]),
    (normal(6, 4, 2, 3), normal(7, 4, 2, 3)),
  ),
  'sampling.mixing_grid': (
    lambda a, b: sampling.mixing_grid(a, b, [0]),
    (normal(6, 4, 2, 3), normal(7, 3, 2, 3)),
  ),
  'sampling.sefa_directions': (
    lambda kernel: sampling.sefa_directions([kernel]),
    (REAL_2D,),
  ),
  'sampling.nearest_neighbors': (
    lambda queries: sampling.nearest_neighbors(queries, [np.ones((4, 2))], 2),
    (REAL_2D,),
  ),
  'sampling.pyramid_distance': (sampling.pyramid_distance, (IMAGES, IMAGES)),
  'sampling.project': (
    lambda targets, starts: sampling.project(
      lambda z: z @ jnp.ones((3, 2)), targets, starts, restarts=2, steps=2
    ),
    (REAL_2D, normal(6, 4, 3)),
  ),
  'sampling.make_sampler': (
    lambda weights: sampling.make_sampler(GAN)(weights, 4),
    (STATE.ema,),
  ),
  'evaluation.nearest_neighbor_diversity': (
    failure_modes.nearest_neighbor_diversity,
    FEATURES,
  ),
  'evaluation.quantize': (preprocess.quantize, (IMAGES,)),
}
for _name in losses.__all__:
  if _name.startswith('f_gan_') and _name not in BUILDERS:
    _loss = bind(getattr(losses, _name), divergence=losses.DIVERGENCES['kl'])
    CALLS[f'losses.{_name}'] = _loss, LOGITS
  elif {_name, f'losses.{_name}'}.isdisjoint({*BUILDERS, *CALLS}) and (
    _name.endswith(('_discriminator', '_generator'))
  ):
    _inputs = FEATURES if _name.startswith(('mmd', 'feature')) else LOGITS
    CALLS[f'losses.{_name}'] = getattr(losses, _name), _inputs
for _name, _loss in losses.LOSSES.items():
  _inputs = {'logits': LOGITS, 'features': FEATURES, 'scores': SCORES}
  CALLS[f'LOSSES[{_name}]'] = (
    losses_of(lambda loss=_loss: loss),
    _inputs[_loss.output],
  )
for _name, _optimizer in training.OPTIMIZERS.items():
  CALLS[f'OPTIMIZERS[{_name}]'] = (
    lambda rate, p, tx=_optimizer: tx(rate).update(p, tx(rate).init(p), p),
    (HALF, PARAMS),
  )

ON_THE_HOST = (
  'metrics.class_diversity',
  'metrics.intra_class_fid',
  'diagnostics.eigenvalues',
  'sampling.make_sampler',
  'sampling.nearest_neighbors',
)


def test_every_public_function_is_called():
  packages = (losses, penalties, augment, metrics, diagnostics, prng)
  for package in (*packages, training, sampling):
    for name in package.__all__:
      if inspect.isfunction(getattr(package, name)) and name not in BUILDERS:
        short = package.__name__.removeprefix('gan_jax.')
        assert f'{short}.{name}' in CALLS, f'tests/test_tracing.py lacks {name}'


def to_numpy(tree):
  is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
  return jax.tree.map(lambda x: x if is_key(x) else np.asarray(x), tree)


@pytest.mark.parametrize('name', CALLS)
def test_arrays_that_a_traced_function_closes_over(name):
  function, args = CALLS[name]
  for known in (args, to_numpy(args)):
    jax.eval_shape(lambda: function(*known))
  jax.eval_shape(jax.vmap(lambda i: (function(*args), i)), jnp.arange(2))

  def loss(scale):
    leaves = jax.tree.leaves(function(*args))
    floats = [x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)]
    return scale * sum((x.astype(jnp.float32).sum() for x in floats), 0.0)

  jax.eval_shape(jax.grad(loss), 1.0)


@pytest.mark.parametrize('name', sorted(set(CALLS) - {*ON_THE_HOST}))
def test_traced_arrays(name):
  function, args = CALLS[name]
  known = jax.eval_shape(lambda: function(*args))
  traced = jax.eval_shape(function, *args)
  equal = lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype)
  assert jax.tree.all(jax.tree.map(equal, known, traced))


@pytest.mark.parametrize('name', ON_THE_HOST)
def test_functions_on_the_host(name):
  function, args = CALLS[name]
  with pytest.raises(TypeError, match=name.split('.')[1].split('_')[-1]):
    jax.jit(function)(*args)
  inside = []
  jax.eval_shape(lambda: inside.append(function(*args)))
  jax.tree.map(np.testing.assert_array_equal, inside[0], function(*args))


def test_values_are_those_outside():
  for name in ('augment.update_ada', 'metrics.kl_divergence'):
    function, args = CALLS[name]
    found = jax.jit(lambda: function(*args))()
    jax.tree.map(np.testing.assert_allclose, found, function(*args))


BAD = {
  'init_ada': (augment.init_ada, 5.0),
  'ada': (lambda x: augment.ada(IMAGES, KEYS, strength=x), 5.0),
  'smooth_labels': (lambda x: losses.smooth_labels(PLAIN, x), 1.0),
  'top_k': (lambda k: losses.top_k_mask(FAKE, k), N + 1),
  'least_squares': (lambda x: losses.least_squares(real_target=x), -1.0),
  'mmd_gaussian': (lambda x: losses.mmd_gaussian(sigmas=(x,)), -1.0),
  'fit_gaussian': (metrics.fit_gaussian, [[1.0], [jnp.nan]]),
  'mode_scores': (lambda x: metrics.mode_scores(*FEATURES, x), -1.0),
  'stacked_modes': (metrics.stacked_modes, [[1, 2, 10]]),
  'ema_update': (lambda x: training.ema_update(PARAMS, PARAMS, x), 5.0),
  'clip_weights': (optimizers.clip_weights, -1.0),
  'quantize': (preprocess.quantize, [1.0, jnp.nan]),
}


@pytest.mark.parametrize('name', BAD)
def test_known_values_are_checked_inside_as_outside(name):
  call, value = BAD[name]
  for known in (jnp.array(value), np.array(value, jnp.array(value).dtype)):
    with pytest.raises(ValueError):
      call(known)
    with pytest.raises(ValueError):
      jax.eval_shape(lambda: call(known))


def test_fails():
  positive, minus = lambda x: x > 0, -HALF
  inside = lambda x: [tracing.fails(positive, y) for y in (x, minus, HALF)]
  assert inside(-HALF) == [True, True, False]
  found = []
  jax.eval_shape(lambda x: found.extend(inside(x)), -HALF)
  assert found == [False, True, False]
