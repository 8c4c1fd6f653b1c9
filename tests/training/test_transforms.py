"""Every transform of optax, as the optimizer of a player."""

import dataclasses
import inspect
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from gan_jax import distributed, io, losses, networks, training
from gan_jax.distributed import devices

ROOT = pathlib.Path(__file__).parents[2]
SHAPE = (2, 3)
KEY = jax.random.key(0)
HPARAMS = {'ema_decay': 0.5}
# Eighths, so that means are exact and signs do not depend on rounding.
DATA = jnp.arange(8.0)[:, None, None] / 8 + jnp.ones((8, *SHAPE))


def network(start, apply):
  """A matrix plus a vector, which always start from the same arrays."""
  params = {'w': jnp.full(SHAPE, start), 'b': jnp.full(SHAPE[1:], start / 2)}
  return networks.Network(
    init=lambda key, x, label: (params, {}),
    apply=lambda p, stats, x, label, **_: (apply(point(p), x), stats),
  )


def point(params):
  return params['w'] + jnp.broadcast_to(params['b'], SHAPE)


def make_gan(g_optimizer, d_optimizer=None):
  """D learns the mean of the data, and G learns D's: two quadratics."""
  return training.GAN(
    generator=network(-0.5, lambda p, z: jnp.broadcast_to(p, (len(z), *SHAPE))),
    discriminator=network(
      0.25, lambda p, x: jnp.square(x - p[None]).mean(axis=(1, 2))
    ),
    loss=losses.AdversarialLoss(
      discriminator=lambda real, fake: real,
      generator=lambda real, fake: fake,
    ),
    latent_dim=1,
    g_optimizer=g_optimizer,
    d_optimizer=d_optimizer or optax.sgd(0.5),
  )


def init(gan, hparams=HPARAMS):
  return training.init_state(gan, KEY, {'x': DATA}, hparams)


def distance(weights):
  return float(jnp.square(point(weights[0]) - DATA.mean()).mean())


SGD = optax.sgd(0.1)
HALVES = {'w': 'w', 'b': 'b'}
always = lambda step: step >= 0
# Arguments of what makes an optimizer; the others take a learning rate of 0.1.
OPTIMIZERS = {
  **{'adabelief': {}, 'adam': {}, 'adamax': {}, 'adamaxw': {}, 'adamw': {}},
  **{'adan': {}, 'amsgrad': {}, 'lion': {}, 'nadam': {}, 'nadamw': {}},
  **{'novograd': {}, 'optimistic_adam': {}, 'optimistic_adam_v2': {}},
  **{'optimistic_gradient_descent': {}, 'rmsprop': {}, 'sgd': {}, 'yogi': {}},
  **{'sign_sgd': {}, 'signum': {}, 'sm3': {}, 'acprop': {}, 'ademamix': {}},
  **{'adopt': {}, 'galore': {}, 'madgrad': {}, 'momo': {}, 'momo_adam': {}},
  **{'muon': {}, 'schedule_free_adamw': {}, 'schedule_free_sgd': {}},
  **{'adafactor': {}, 'sophia': {}, 'radam': {'learning_rate': 0.5}},
  'adadelta': {'learning_rate': 10.0},
  'adagrad': {'learning_rate': 0.5},
  'apply_if_finite': {'inner': SGD, 'max_consecutive_errors': 3},
  'cocob': {},
  'conditionally_mask': {'inner': SGD, 'should_transform_fn': always},
  'conditionally_transform': {'inner': SGD, 'should_transform_fn': always},
  'dadapt_adamw': {'estim_lr0': 0.05},
  'dog': {'init_step': ('heuristic', 0.5)},
  'dowg': {'init_estim_sq_dist': 0.5},
  'dpsgd': {'l2_norm_clip': 1.0, 'noise_multiplier': 0.1, 'seed': 0},
  'flatten': {'inner': SGD},
  'fromage': {'learning_rate': 0.2},
  'lamb': {},
  'lars': {'learning_rate': 1.0, 'trust_coefficient': 0.1},
  'lbfgs': {'linesearch': None},
  'lookahead': {'fast_optimizer': SGD, 'sync_period': 3, 'slow_step_size': 0.5},
  'masked': {'inner': SGD, 'mask': {'w': True, 'b': True}},
  'mechanize': {'base_optimizer': optax.sgd(1.0), 's_init': 0.05},
  'multi_transform': {
    'transforms': {'w': SGD, 'b': contrib.schedule_free_sgd(0.1)},
    'param_labels': HALVES,
  },
  'noisy_sgd': {'key': 1},
  'partition': {
    'transforms': {'w': SGD, 'b': optax.adam(0.1)},
    'param_labels': HALVES,
  },
  'polyak_sgd': {'max_learning_rate': 0.2},
  'prodigy': {'estim_lr0': 0.05},
  'rprop': {'learning_rate': 0.05},
  'sam': {'optimizer': SGD, 'adv_optimizer': SGD},
  'schedule_free': {'base_optimizer': SGD},
  'selective_transform': {'optimizer': SGD, 'freeze_mask': dict(w=False, b=False)},
  'simplified_ademamix': {'learning_rate': 0.001},
  'split_real_and_imaginary': {'inner': SGD},
  'with_extra_args_support': {'tx': SGD},
}  # fmt: skip
# Arguments of what changes the gradient; SGD follows it.
MODIFIERS = {
  **{f'scale_by_{name}': {} for name in (
    'adadelta adam adamax adan amsgrad belief distance_over_gradients '
    'factored_rms lbfgs lion novograd optimistic_gradient param_block_norm '
    'param_block_rms polyak radam rms rss sign sm3 stddev trust_ratio yogi '
    'acprop ademamix adopt cocob galore simplified_ademamix'
  ).split()},
  **{'add_decayed_weights': {}, 'apply_every': {}, 'centralize': {}},
  **{'identity': {}, 'keep_params_nonnegative': {}, 'set_to_zero': {}},
  **{'normalize_by_update_norm': {}, 'zero_nans': {}, 'normalize': {}},
  **{'reduce_on_plateau': {}, 'scale_by_learning_rate': {'learning_rate': 0.1}},
  'adaptive_grad_clip': {'clipping': 0.5},
  'add_noise': {'eta': 0.1, 'gamma': 0.5, 'key': 0},
  'clip': {'max_delta': 1.0},
  'clip_by_block_rms': {'threshold': 1.0},
  'clip_by_global_norm': {'max_norm': 1.0},
  'differentially_private_aggregate': {
    'l2_norm_clip': 1.0, 'noise_multiplier': 0.1, 'key': 0,
  },
  'ema': {'decay': 0.5},
  'freeze': {'mask': {'w': False, 'b': True}},
  'hutchinson_estimator_diag_hessian': {},
  'monitor': {'measures': {'norm': optax.tree.norm}},
  'scale': {'step_size': 0.5},
  'scale_by_backtracking_linesearch': {'max_backtracking_steps': 3},
  'scale_by_madgrad': {'learning_rate': 0.1},
  'scale_by_rprop': {'learning_rate': 0.1},
  'scale_by_schedule': {'step_size_fn': lambda count: 0.5},
  'scale_by_zoom_linesearch': {'max_linesearch_steps': 3},
  'snapshot': {'measure_name': 'norm', 'measure': optax.tree.norm},
  'stateless': {'f': lambda updates, params: updates},
  'stateless_with_tree_map': {'f': lambda g, p: g},
  'trace': {'decay': 0.5},
}  # fmt: skip
# They do not optimize: of matrices alone; of measurements.
NOT_ALONE = {'scale_by_muon', 'measure_with_ema'}
# Tried by tests of their own.
COMBINE = {'chain', 'named_chain'}
COMBINE |= {'inject_hyperparams', 'inject_stateful_hyperparams'}
REFUSED = {
  **{'lookahead': 'optax.lookahead', 'sam': 'optax.contrib.sam'},
  **{'sophia': 'sophia', 'hutchinson_estimator_diag_hessian': 'hutchinson'},
  **{'dpsgd': 'dpsgd', 'differentially_private_aggregate': 'differentially'},
  'scale_by_backtracking_linesearch': 'scale_by_backtracking_linesearch',
  'scale_by_zoom_linesearch': 'scale_by_zoom_linesearch',
}
WORKING = sorted(set(OPTIMIZERS) - set(REFUSED))


def factory(name):
  return getattr(contrib, name, None) or getattr(optax, name)


def make(name, **more):
  arguments = {**OPTIMIZERS, **MODIFIERS}[name] | more
  function = factory(name)
  required = inspect.signature(function).parameters
  if name in OPTIMIZERS and 'learning_rate' in required:
    arguments = {'learning_rate': 0.1} | arguments
  made = function(**arguments)
  return made if name in OPTIMIZERS else optax.chain(made, SGD)


def test_the_tables_have_all_of_optax():
  def makes_a_transform(function):
    found = str(inspect.signature(function).return_annotation)
    return 'GradientTransformation' in found

  # These lack the annotation.
  public = {'dog', 'dowg', 'monitor', 'scale_by_factored_rms'}
  public.add('hutchinson_estimator_diag_hessian')
  for package in (optax, contrib):
    for name, function in inspect.getmembers(package, inspect.isfunction):
      if not name.startswith('_') and makes_a_transform(function):
        public.add(name)
  tried = set(OPTIMIZERS) | set(MODIFIERS) | NOT_ALONE | COMBINE
  assert public - tried == set(), 'add a row to this test and to the document'
  rows = (ROOT / 'docs' / 'optimizers.md').read_text()
  assert [n for n in public if f'`{n}`' not in rows] == []


def two_ways(gan):
  """A step of one device and of two, as one program."""
  one = training.make_train_step(gan)
  two = distributed.emulate_devices(
    training.make_train_step(gan, axis_name=devices.AXIS_NAME), 2
  )

  def step(states):
    batch = {'x': DATA[None]}
    return one(states[0], batch, KEY)[0], two(states[1], batch, KEY)[0]

  return jax.jit(step, donate_argnums=0)


def is_key(x):
  return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def to_numpy(state):
  plain = lambda x: np.array(jax.random.key_data(x) if is_key(x) else x)
  return jax.tree.map(plain, state)


def from_numpy(arrays, like):
  wrap = lambda x, old: jax.random.wrap_key_data(x) if is_key(old) else x
  return jax.tree.map(wrap, arrays, like)


@pytest.mark.filterwarnings('ignore:`optimistic_adam` is deprecated')
@pytest.mark.parametrize('name', WORKING)
def test_works(name):
  """Progress, resuming to the bit, and two devices like one."""
  gan = make_gan(make(name))
  step = two_ways(gan)
  states = init(gan), init(gan)
  before = distance(training.player_weights(states[0].generator))
  for _ in range(3):
    states = step(states)
  np.testing.assert_allclose(
    point(states[0].generator.params),
    point(states[1].generator.params),
    rtol=1e-5,
  )
  for _ in range(17):
    states = step(states)
  resumed = from_numpy(to_numpy(states), states)
  for _ in range(20):
    states, resumed = step(states), step(resumed)
  jax.tree.map(
    np.testing.assert_array_equal, to_numpy(states), to_numpy(resumed)
  )
  assert distance(training.player_weights(states[0].generator)) < 0.7 * before
  assert distance(states[0].ema) < 0.7 * before


@pytest.mark.parametrize('name', ['multi_transform', 'noisy_sgd'])
def test_a_checkpoint_keeps_the_state_of_an_optimizer(name, tmp_path):
  gan = make_gan(make(name))
  state, _ = run(gan, 3)
  io.save_state(tmp_path, state)
  found = io.restore_state(tmp_path, jax.eval_shape(lambda: init(gan)))
  assert jax.tree.structure(found) == jax.tree.structure(state)
  jax.tree.map(np.testing.assert_array_equal, to_numpy(found), to_numpy(state))


@pytest.mark.parametrize('name', sorted(MODIFIERS.keys() - REFUSED.keys()))
def test_changes_of_the_gradient_are_accepted(name):
  with jax.numpy_rank_promotion('allow'):  # adaptive_grad_clip promotes
    init(make_gan(make(name)))


@pytest.mark.filterwarnings('ignore:.seed. is deprecated')
@pytest.mark.parametrize('name', sorted(REFUSED))
def test_what_cannot_work_is_refused_by_name(name):
  gan = make_gan(optax.chain(optax.clip(1.0), make(name)))
  with pytest.raises(ValueError, match=f'g_optimizer: .*{REFUSED[name]}'):
    init(gan)
  with pytest.raises(ValueError, match=f'd_optimizer: .*{REFUSED[name]}'):
    init(make_gan(SGD, optax.MultiSteps(make(name), 2)))


def test_monitor_measures_in_a_loop_of_steps():
  monitor = optax.monitor(
    {
      'norm': optax.tree.norm,
      'mean_norm': optax.measure_with_ema(optax.tree.norm, 0.5),
    }
  )
  gan = make_gan(optax.chain(monitor, SGD))
  step = training.make_train_step(gan)
  body = lambda state, x: (step(state, {'x': x[None]}, KEY)[0], None)
  state, _ = jax.lax.scan(body, init(gan), jnp.stack([DATA] * 2))
  measurements = state.generator.opt_state[0].measurements
  assert measurements['norm'] > 0 < measurements['mean_norm']


def test_lbfgs_names_its_line_search():
  with pytest.raises(ValueError, match='optax.lbfgs.*linesearch=None'):
    init(make_gan(optax.lbfgs()))


def run(gan, count, **options):
  """State and metrics after some steps."""
  state = training.init_aux_state(init(gan), **options)
  step = jax.jit(training.make_train_step(gan, **options))
  for _ in range(count):
    state, metrics = step(state, {'x': DATA[None]}, KEY)
  return state, metrics


@pytest.mark.parametrize(
  'optimizer',
  [
    optax.MultiSteps(optax.polyak_sgd(0.2), 2),
    optax.chain(optax.MultiSteps(SGD, 2), optax.scale(1.0)),
    optax.named_chain(('clip', optax.clip(9.0)), ('sgd', SGD)),
    optax.inject_hyperparams(optax.adam)(learning_rate=0.1),
    optax.inject_hyperparams(optax.sgd)(optax.linear_schedule(0.3, 0.1, 9)),
    lambda hparams: optax.MultiSteps(optax.sgd(0.1), 2),
    lambda hparams: optax.inject_hyperparams(optax.sgd)(
      hparams['ema_decay'] / 5
    ),
  ],
)
def test_combinations_work(optimizer):
  gan = make_gan(optimizer)
  before = distance(init(gan).ema)
  state, _ = run(gan, 40)
  assert distance(state.ema) < 0.7 * before


def test_multi_steps_updates_every_second_step():
  gan = make_gan(optax.MultiSteps(SGD, 2))
  start, one, two = (
    np.asarray(state.generator.params['w'])
    for state in (init(gan), run(gan, 1)[0], run(gan, 2)[0])
  )
  np.testing.assert_array_equal(start, one)
  assert (one != two).all()


def record():
  """A transform that keeps the value and the gradient that it gets."""

  def update(updates, state, params, *, value, grad, **unused):
    return updates, (value, grad)

  return optax.GradientTransformationExtraArgs(
    lambda params: (jnp.float32(0), jax.tree.map(jnp.zeros_like, params)),
    update,
  )


@pytest.mark.parametrize('consensus', [False, True])
@pytest.mark.parametrize('rule', training.UPDATE_RULES)
def test_the_value_is_the_loss_under_every_rule(rule, consensus):
  gan = make_gan(optax.chain(record(), optax.sgd(0.1)))
  gan = dataclasses.replace(gan, consensus=consensus, gradient_scale=2.0)
  hparams = {'ema_decay': 0.5, 'consensus_weight': 0.25}
  state = training.init_aux_state(init(gan, hparams), rule=rule)
  step = jax.jit(training.make_train_step(gan, rule=rule))
  call = lambda: step(state, {'x': DATA[None]}, KEY)
  if rule == 'past_extragradient':
    with pytest.raises(ValueError, match="record needs.*rule='extragradient'"):
      call()
    return
  after, metrics = call()
  value, grad = after.generator.opt_state[0]
  if not consensus:
    np.testing.assert_allclose(value, 2 * metrics['g_loss'], rtol=1e-5)
  else:
    assert value > 2 * metrics['g_loss']
  moved = state.generator.params['w'] - after.generator.params['w']
  np.testing.assert_allclose(0.1 * grad['w'], moved, rtol=1e-4)


def test_schedule_free_is_evaluated_at_its_average():
  gan = make_gan(contrib.schedule_free_sgd(0.2, b1=0.5))
  state, _ = run(gan, 10)
  player = state.generator
  wanted = contrib.schedule_free_eval_params(player.opt_state, player.params)
  params, _ = training.player_weights(player)
  np.testing.assert_allclose(params['w'], wanted['w'], rtol=1e-6)
  assert (np.asarray(player.params['w']) != np.asarray(wanted['w'])).all()
  # The EMA is of these, too: without decay it is equal to them.
  step = training.make_train_step(gan)
  copied = state.replace(hparams={'ema_decay': jnp.float32(0)})
  after, _ = step(copied, {'x': DATA[None]}, KEY)
  np.testing.assert_allclose(
    after.ema[0]['w'], training.player_weights(after.generator)[0]['w']
  )


@pytest.mark.parametrize(
  'optimizer, wanted',
  [
    (optax.adam, r'optax\.adam\(learning_rate\).*lambda hparams: optax\.adam'),
    (optax.inject_hyperparams(optax.adam), r'call it'),
    (training.OPTIMIZERS['adam'], r'call it'),
    (optax.lookahead, r'optax\.lookahead is the function'),
    ('adam', r"g_optimizer='adam'.*optax\.adam"),
    (0.1, r'g_optimizer=0\.1'),
  ],
)
def test_what_is_no_transform_is_refused_with_the_gan(optimizer, wanted):
  with pytest.raises(ValueError, match=wanted):
    make_gan(optimizer)


def test_what_does_not_fit_is_refused_with_the_state():
  with pytest.raises(ValueError, match='g_optimizer .* returned float'):
    init(make_gan(lambda hparams: 0.1))
  asks = optax.GradientTransformationExtraArgs(
    lambda params: (), lambda g, state, params, *, distance, **_: (g, state)
  )
  with pytest.raises(ValueError, match="d_optimizer: .*'distance'"):
    init(make_gan(SGD, asks))
  grows = optax.GradientTransformation(
    lambda params: jnp.zeros(1),
    lambda updates, state, params: (updates, state[:, None]),
  )
  with pytest.raises(
    ValueError, match='g_optimizer: .*changes .* of its state'
  ):
    init(make_gan(grows))
  flat = optax.flatten(contrib.schedule_free_sgd(0.1))
  with pytest.raises(ValueError, match='g_optimizer: flatten'):
    init(make_gan(flat))
