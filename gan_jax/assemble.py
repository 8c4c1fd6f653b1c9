"""A game from settings: names looked up, options checked and filled in."""

import dataclasses
import importlib
import pkgutil
import warnings
from typing import Any, Mapping

import jax
import jax.numpy as jnp

from gan_jax import (
  game,
  losses,
  models,
  networks,
  optimizers,
  penalties,
  settings,
  state,
)

_NOT_MODELS = ('blocks', 'conv')
_NOT_OPTIONS = ('parent', 'name', 'shape', 'axis_name')


def _choose(table: Mapping[str, Any], name: Any, what: str) -> Any:
  if name not in table:
    raise ValueError(settings.unknown(str(name), table, what))
  return table[name]


def model_names() -> list[str]:
  """Names of the architectures: the files in gan_jax/models."""
  found = (m.name for m in pkgutil.iter_modules(models.__path__))
  return sorted(name for name in found if name not in _NOT_MODELS)


def _module(spec: Mapping[str, Any], role: str, **fixed):
  """A Flax module of a spec, and the spec filled in."""
  name = spec.get('name')
  names = {n: n for n in model_names()}
  _choose(names, name, f'{role} model')
  cls = getattr(
    importlib.import_module(f'gan_jax.models.{name}'), role.capitalize()
  )
  allowed = {
    f.name: f.default
    for f in dataclasses.fields(cls)
    if f.name not in _NOT_OPTIONS
  }
  given = {k: v for k, v in spec.items() if k != 'name'}
  options = settings.check_options(f'{role} {name}', given, allowed)
  return cls(**fixed, **options), {'name': name, **options}


def _optimizer(spec: Mapping[str, Any], prefix: str, num_steps: int):
  """How to build an optimizer, its hyper-parameters, the spec filled in."""
  what = f'{prefix}_optimizer'
  name = spec.get('name')
  _choose(optimizers.OPTIMIZERS, name, what)
  allowed = {
    'learning_rate': 2e-4,
    'schedule': 'constant',
    'schedule_steps': 0,
    'warmup_steps': 0,
  }
  hyper = {'learning_rate': 0.0, **optimizers.hyper_defaults(name)}
  given = {k: v for k, v in spec.items() if k != 'name'}
  options = settings.check_options(f'{what} {name}', given, allowed | hyper)
  for option in hyper:
    if not options[option] >= 0:
      raise ValueError(f'{what}.{option}={options[option]}: must be at least 0')
  options.setdefault('learning_rate', 2e-4)
  factor = None
  if options['schedule'] != 'constant' or options['warmup_steps']:
    if options['schedule'] != 'constant':
      options['schedule_steps'] = options['schedule_steps'] or num_steps
    factor = optimizers.schedule(
      options['schedule'], options['schedule_steps'], options['warmup_steps']
    )
  values = {f'{prefix}_{option}': options[option] for option in hyper}
  build_fn = optimizers.from_hyper(name, prefix, factor)
  return build_fn, values, {'name': name, **options}


def _penalty_terms(specs: Mapping[str, Any]):
  """Terms, their weights, and the specs filled in."""
  terms, weights, filled = {}, {}, {}
  for name, spec in specs.items():
    penalty = _choose(penalties.PENALTIES, name, 'penalty')
    options = settings.check_options(f'penalty {name}', spec, {'weight': 0.0})
    if options['weight'] < 0:
      raise ValueError(
        f'penalties.{name}.weight={options["weight"]}: must be at least 0'
      )
    filled[name] = options
    if options['weight']:
      terms[name] = game.Term(_on_real(penalty))
      weights[f'{name}_weight'] = options['weight']
  return terms, weights, filled


def _on_real(penalty):
  return lambda context, keys, extra: (
    penalty(context.logits_fn, context.real),
    extra,
  )


def build_gan(
  chosen: settings.Settings, shape: tuple[int, ...]
) -> tuple[game.GAN, dict[str, float], settings.Settings]:
  """Makes the game of some settings, without any data.

  Args:
    chosen: the settings, from settings.parse.
    shape: of one example.

  Returns:
    The game, starting values of `state.hyper`, and the settings with every
    part's options filled in.

  Raises:
    ValueError: for an unknown name (with the nearest), an option that a part
      does not have, or a value out of range.
  """
  loss = _choose(losses.LOSSES, chosen.loss, 'loss')
  generator, g_spec = _module(chosen.generator, 'generator', shape=shape)
  discriminator, d_spec = _module(chosen.discriminator, 'discriminator')
  g_optimizer, g_hyper, g_opt_spec = _optimizer(
    chosen.g_optimizer, 'g', chosen.num_steps
  )
  d_optimizer, d_hyper, d_opt_spec = _optimizer(
    chosen.d_optimizer, 'd', chosen.num_steps * chosen.d_steps
  )
  d_terms, weights, penalty_specs = _penalty_terms(chosen.penalties)
  if d_terms and d_spec.get('norm') == 'batch':
    warnings.warn(
      f'the penalty {", ".join(d_terms)} is defined for each example, and '
      "with discriminator.norm='batch' a logit depends on its whole batch; "
      "use norm='none', 'layer' or 'spectral'",
      stacklevel=2,
    )
  summed = chosen.loss_reduction == 'sum'
  gan = game.GAN(
    generator=networks.from_linen(generator),
    discriminator=networks.from_linen(discriminator),
    loss=loss,
    latent_dim=chosen.latent_dim,
    g_optimizer=g_optimizer,
    d_optimizer=d_optimizer,
    d_terms=d_terms,
    joint_batch=chosen.joint_batch,
    d_scale=chosen.d_loss_scale,
    g_scale=chosen.g_loss_scale,
    batch_scale=float(chosen.batch_size) if summed else 1.0,
  )
  hyper = {**g_hyper, **d_hyper, **weights, 'ema_decay': chosen.ema_decay}
  filled = dataclasses.replace(
    chosen,
    generator=g_spec,
    discriminator=d_spec,
    g_optimizer=g_opt_spec,
    d_optimizer=d_opt_spec,
    penalties=penalty_specs,
  )
  return gan, hyper, filled


def _initialiser(gan, hyper, shape):
  batch = {'x': jnp.zeros((2, *shape)), 'label': jnp.zeros(2, jnp.int32)}
  return lambda key: state.init_state(gan, key, batch, hyper)


def init_state(
  gan: game.GAN, hyper: Mapping[str, float], shape: tuple[int, ...], seed: int
) -> state.GANState:
  """The state at step 0 of a game on examples of some shape, compiled.

  Args:
    gan: the game.
    hyper: values of the hyper-parameters.
    shape: of one example.
    seed: of the run.

  Returns:
    The state, on the default device.
  """
  # Folded apart from the keys of the steps, which fold in 0, 1, 2, ...
  key = jax.random.fold_in(jax.random.key(seed), 2**32 - 1)
  # On CPU, LLVM spends seconds on each random draw that is used just once.
  on_cpu = jax.default_backend() == 'cpu'
  options = {'xla_backend_optimization_level': 1} if on_cpu else None
  init = _initialiser(gan, hyper, shape)
  return jax.jit(init, compiler_options=options)(key)


def state_shapes(
  gan: game.GAN, hyper: Mapping[str, float], shape: tuple[int, ...]
) -> state.GANState:
  """Shapes and types of the state, computing nothing.

  Args:
    gan: the game.
    hyper: values of the hyper-parameters.
    shape: of one example.

  Returns:
    The state with jax.ShapeDtypeStruct for arrays.
  """
  return jax.eval_shape(_initialiser(gan, hyper, shape), jax.random.key(0))
