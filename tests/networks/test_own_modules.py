"""Networks made of Linen, NNX and Equinox modules of users."""

import functools

import chex
import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gan_jax import networks


class LinenNet(nn.Module):
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x, *, train):
    x = nn.Dense(8)(x)
    x = nn.BatchNorm(use_running_average=not train, axis_name=self.axis_name)(x)
    return nn.Dense(1)(nn.relu(x))[:, 0]


class NNXNet(nnx.Module):
  def __init__(self, rngs, rate=0.0):
    self.first = nnx.Linear(2, 8, rngs=rngs)
    self.norm = nnx.BatchNorm(8, rngs=rngs)
    self.drop = nnx.Dropout(rate, rngs=rngs)
    self.blocks = nnx.List([nnx.Linear(8, 8, rngs=rngs) for _ in range(11)])
    self.last = nnx.Linear(8, 1, rngs=rngs)

  def __call__(self, x):
    x = self.drop(nnx.relu(self.norm(self.first(x))))
    for block in self.blocks:
      x = x + block(nnx.relu(x))
    return self.last(x)[:, 0]


class EquinoxNet(eqx.Module):
  first: eqx.nn.Linear
  norm: eqx.nn.BatchNorm
  drop: eqx.nn.Dropout
  last: eqx.nn.Linear
  table: jax.Array

  def __init__(self, key, rate=0.0):
    first, last = jax.random.split(key)
    self.first = eqx.nn.Linear(2, 8, key=first)
    self.norm = eqx.nn.BatchNorm(8, axis_name='batch', mode='batch')
    self.drop = eqx.nn.Dropout(rate)
    self.last = eqx.nn.Linear(8, 'scalar', key=last)
    self.table = jnp.arange(8)[::-1]

  def __call__(self, x, state, *, key=None):
    x, state = self.norm(self.first(x), state)
    return self.last(self.drop(jax.nn.relu(x[self.table]), key=key)), state


def make(kind, rate=0.0):
  if kind == 'linen':
    return networks.as_network(LinenNet())
  if kind == 'nnx':
    return networks.as_network(lambda rngs: NNXNet(rngs, rate))
  stateful = eqx.nn.make_with_state(EquinoxNet)
  return networks.as_network(lambda key: stateful(key, rate))


KINDS = ('linen', 'nnx', 'equinox')


def r1_step(network, axis_name=None):
  """One step of R1, SGD and new statistics, as a discriminator's."""

  def loss(params, batch_stats, x, key):
    call = functools.partial(network.apply, params, batch_stats)
    options = dict(train=True, key=key, axis_name=axis_name)
    logits, new = call(x, **options)
    slope = jax.grad(lambda x: call(x, **options)[0].sum())(x)
    penalty = (slope**2).sum(axis=1)
    return (jax.nn.softplus(-logits) + penalty).mean(), new

  def step(params, batch_stats, x, key):
    grads, new = jax.grad(loss, has_aux=True)(params, batch_stats, x, key)
    if axis_name:
      mean = lambda x: (
        jax.lax.pmean(x, axis_name)
        if jnp.issubdtype(x.dtype, jnp.floating)
        else x
      )
      grads, new = jax.tree.map(mean, (grads, new))
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), new

  return step


@pytest.mark.parametrize('kind', KINDS)
def test_seeds_shapes_and_statistics(kind):
  network, x = make(kind), jnp.ones((6, 2))
  params, batch_stats = network.init(jax.random.key(0), x, None)
  other, _ = network.init(jax.random.key(1), x, None)
  again = jax.jit(network.init)(jax.random.key(0), x, None)
  chex.assert_trees_all_close((params, batch_stats), again, rtol=1e-6)
  kernels = lambda tree: [x for x in jax.tree.leaves(tree) if x.ndim == 2]
  for one, two in zip(kernels(params), kernels(other), strict=True):
    assert not np.allclose(one, two)
  assert all(not leaf.weak_type for leaf in jax.tree.leaves(params))
  x = jax.random.normal(jax.random.key(2), (6, 2))
  y, new = network.apply(params, batch_stats, x, None, train=True)
  chex.assert_shape(y, (6,))
  chex.assert_trees_all_equal_shapes_and_dtypes(new, batch_stats)
  moved = jax.tree.map(lambda a, b: bool((a != b).any()), new, batch_stats)
  assert any(jax.tree.leaves(moved))
  _, same = network.apply(params, new, x, None, train=False)
  chex.assert_trees_all_equal(same, new)


def test_the_init_of_linen_is_one_program_wherever_it_is_called():
  seen = []

  class Sees(nn.Module):
    @nn.compact
    def __call__(self, x):
      seen.append(isinstance(x, jax.core.Tracer))
      return nn.Dense(3)(x)

  network = networks.from_linen(LinenNet())
  key, x = jax.random.key(0), np.ones((6, 2), np.float32)
  networks.from_linen(Sees()).init(key, x)
  assert seen == [True]
  expected = network.init(key, x)
  inside = jax.jit(lambda: network.init(key, x))()  # all is known
  several = jax.vmap(lambda key: network.init(key, x))(key[None])
  several = jax.tree.map(lambda leaf: leaf[0], several)
  mapped = jax.vmap(lambda _: network.init(key, x), out_axes=None)(x)
  for found in (inside, several, mapped):
    chex.assert_trees_all_close(expected, found, rtol=1e-6)
  shapes = jax.eval_shape(lambda: network.init(key, x))
  chex.assert_trees_all_equal_shapes_and_dtypes(shapes, expected)
  wide = networks.from_linen(nn.Dense(3, param_dtype=float))
  for is_wide in (False, True):
    with jax.enable_x64(is_wide):
      params, _ = wide.init(key, x)
    assert params['kernel'].dtype == (np.float64 if is_wide else np.float32)


@pytest.mark.parametrize('kind', KINDS)
def test_gradient_penalty_on_one_and_four_devices(kind):
  network = make(kind)
  x = jax.random.normal(jax.random.key(0), (8, 2)) * 3
  weights = network.init(jax.random.key(1), x, None)
  key = jax.random.key(2)
  alone = jax.jit(r1_step(network))(*weights, x, key)
  step = jax.vmap(
    r1_step(network, 'batch'),
    axis_name='batch',
    in_axes=(None, None, 0, None),
    out_axes=None,
  )
  spread = jax.jit(step)(*weights, x.reshape(4, 2, 2), key)
  chex.assert_trees_all_close(alone, spread, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('kind', ['nnx', 'equinox'])
def test_dropout_draws_from_the_key_in_training_alone(kind):
  network = make(kind, rate=0.5)
  x = jax.random.normal(jax.random.key(0), (8, 2)) * 3
  params, stats = network.init(jax.random.key(1), x, None)
  jax.jit(r1_step(network))(params, stats, x, jax.random.key(0))
  call = lambda seed, train: network.apply(
    params, stats, x, train=train, key=jax.random.key(seed)
  )[0]
  np.testing.assert_array_equal(call(0, True), call(0, True))
  assert not np.allclose(call(0, True), call(1, True))
  np.testing.assert_array_equal(call(0, False), call(1, False))
  quiet, _ = network.apply(params, stats, x, train=False)
  np.testing.assert_array_equal(call(0, False), quiet)


@pytest.mark.parametrize('kind', ['nnx', 'equinox'])
def test_finished_modules_are_accepted_with_a_warning(kind):
  finished = (
    NNXNet(nnx.Rngs(0))
    if kind == 'nnx'
    else eqx.nn.make_with_state(EquinoxNet)(jax.random.key(0))
  )
  with pytest.warns(UserWarning, match='discriminator: .*Net .*seed'):
    network = networks.as_network(finished, 'discriminator')
  assert not network.seeded and make(kind).seeded
  one, two = (network.init(jax.random.key(i), None, None) for i in (0, 1))
  chex.assert_trees_all_equal(one, two)
  y, _ = network.apply(*one, jnp.ones((3, 2)), train=True, key=None)
  chex.assert_shape(y, (3,))


class LabelUnderAnotherName(nn.Module):
  @nn.compact
  def __call__(self, x, y, train):
    return x


class Deterministic(nn.Module):
  @nn.compact
  def __call__(self, x, deterministic: bool = True):
    return x


class Unknown(nnx.Module):
  def __init__(self, rngs):
    del rngs

  def __call__(self, x, temperature):
    return x


class Stateless(eqx.Module):
  def __call__(self, x, state):
    return x, state


@pytest.mark.parametrize(
  'part, message',
  [
    (LabelUnderAnotherName(), "'y'; rename it to 'label'"),
    (Deterministic(), "'deterministic'; rename it to 'train'"),
    (LinenNet, r'LinenNet is a class: .*LinenNet\(\.\.\.\)'),
    (lambda seed: None, r"\['seed'\].*lambda rngs.*lambda key"),
    ('dcgan', 'str is no Flax Linen module'),
  ],
)
def test_what_is_no_network_is_refused(part, message):
  with pytest.raises((TypeError, ValueError), match=message):
    networks.as_network(part)


@pytest.mark.parametrize(
  'part, message',
  [
    (lambda rngs: Unknown(rngs), "requires the argument 'temperature'"),
    (lambda rngs: 3, 'must make an nnx.Module'),
    (lambda key: Stateless(), r'eqx\.nn\.make_with_state\(Stateless\)'),
    (lambda key: 3, 'must make an eqx.Module'),
  ],
)
def test_what_a_function_makes_is_refused(part, message):
  network = networks.as_network(part)
  with pytest.raises((TypeError, ValueError), match=message):
    network.init(jax.random.key(0), jnp.ones((1, 2)), None)


@pytest.mark.parametrize(
  'module, advice',
  [
    (NNXNet(nnx.Rngs(0)), r'from_nnx\(lambda rngs: NNXNet'),
    (Stateless(), r'from_equinox\(lambda key: Stateless'),
  ],
)
def test_modules_of_other_libraries_are_pointed_to_their_converter(
  module, advice
):
  with pytest.raises(TypeError, match=advice):
    networks.from_linen(module)


class NormByDevice(nn.Module):
  @nn.compact
  def __call__(self, x, *, train):
    return nn.BatchNorm(use_running_average=not train)(x)[:, 0]


def test_batch_norm_without_an_axis_name_warns_on_several_devices():
  network = networks.as_network(NormByDevice())
  weights = network.init(jax.random.key(0), jnp.ones((2, 2)), None)
  apply = lambda x: network.apply(*weights, x, train=True, axis_name='batch')[0]
  run = jax.vmap(apply, axis_name='batch')
  run(jnp.ones((1, 2, 2)))  # one device: nothing to say
  with pytest.warns(UserWarning, match='NormByDevice .*axis_name'):
    run(jnp.ones((2, 2, 2)))
