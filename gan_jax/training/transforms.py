"""Optax transforms as the optimizers of the players.

An update passes `value`, the loss of the player, and `grad`, its gradient, to
transforms that take extra arguments. Transforms that need more, or other
parameters than the network's, are in `REFUSED`. docs/optimizers.md lists every
optimizer of optax.
"""

import contextlib
import inspect
from typing import Any, Iterator

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from gan_jax import precision

Array = jax.Array
PyTree = Any

_LINE_SEARCH = (
  'a line search evaluates the loss at other parameters again and again, and a '
  "step computes it once; use optax's learning rates, as in "
  'optax.lbfgs(learning_rate, linesearch=None)'
)
# Type in the optimizer's state -> (name of the transform, reason and advice).
REFUSED: dict[type, tuple[str, str]] = {
  optax.LookaheadState: (
    'optax.lookahead',
    'its parameters are a pair, fast and slow; use the lookahead of the train '
    'step: make_train_step(gan, lookahead_every=5), init_aux_state(state, '
    "lookahead_every=5) and hparams['lookahead_alpha'] (lookahead.every in a "
    'config)',
  ),
  contrib.SAMState: (
    'optax.contrib.sam',
    'it needs a second gradient, at the worst point near by, or leaves the '
    'parameters there between two steps, where the other player and the '
    "average would see them; rule='extragradient' looks ahead with both "
    'players',
  ),
  contrib.HutchinsonState: (
    'optax.contrib.sophia with hutchinson_estimator_diag_hessian',
    'it needs second derivatives of the loss as a function (obj_fn), which a '
    'step does not pass; give sophia another hessian_diagonal_fn, or use '
    'optax.adamw',
  ),
  contrib.DifferentiallyPrivateAggregateState: (
    'optax.contrib.dpsgd (differentially_private_aggregate)',
    'it needs one gradient for each example, and a step computes the gradient '
    'of their mean; use optax.noisy_sgd or optax.chain(optax.'
    'clip_by_global_norm(1.0), optax.sgd(rate)) for noise or clipping alone',
  ),
  optax.ScaleByBacktrackingLinesearchState: (
    'optax.scale_by_backtracking_linesearch',
    _LINE_SEARCH,
  ),
  optax.ScaleByZoomLinesearchState: (
    'optax.scale_by_zoom_linesearch, the default of optax.lbfgs,',
    _LINE_SEARCH,
  ),
}


def is_transform(optimizer: Any) -> bool:
  """Returns whether an object has the two functions of a transform."""
  return all(callable(getattr(optimizer, f, None)) for f in ('init', 'update'))


def check_optimizer(where: str, optimizer: Any) -> None:
  """Checks that an optimizer is a transform, or a function that may build one.

  Args:
    where: name of the field, for messages.
    optimizer: value of the field.

  Raises:
    ValueError: if it is neither; the message shows what to write.
  """
  if is_transform(optimizer):
    return
  if not callable(optimizer):
    raise ValueError(
      f'{where}={optimizer!r}: must be an optax transform, such as '
      'optax.adam(2e-4, b1=0.5), or a function of the hyper-parameters that '
      'returns one'
    )
  name = getattr(optimizer, '__name__', type(optimizer).__name__)
  of_optax = (getattr(optimizer, '__module__', '') or '').startswith('optax')
  if of_optax or _first_parameter(optimizer) == 'learning_rate':
    short = f'optax.{name}' if of_optax else name
    raise ValueError(
      f'{where}={short} is the function that makes an optimizer: call it, as in '
      f'{where}={short}(learning_rate), or in a function of the '
      f"hyper-parameters, lambda hparams: {short}(hparams['{where[0]}_"
      "learning_rate'])"
    )


def resolve(where: str, optimizer: Any, hparams: Any) -> Any:
  """Returns the transform of an optimizer for these hyper-parameters.

  Args:
    where: name of the field, for messages.
    optimizer: transform, or a function of the hyper-parameters.
    hparams: the hyper-parameters.

  Raises:
    ValueError: if the function returns no transform.
  """
  if is_transform(optimizer):
    return optimizer
  made = optimizer(hparams)
  if not is_transform(made):
    raise ValueError(
      f'{where} is a function of the hyper-parameters and returned '
      f'{type(made).__name__}; must return an optax transform'
    )
  return made


def as_transform(optimizer: Any) -> optax.GradientTransformationExtraArgs:
  """Returns a transform that takes extra arguments.

  Args:
    optimizer: optax transform, or an object with the same two functions, such
      as optax.MultiSteps.
  """
  if isinstance(optimizer, optax.MultiSteps):
    # optimizer.gradient_transformation() would drop the extra arguments.
    return optax.GradientTransformationExtraArgs(
      optimizer.init, optimizer.update
    )
  return optax.with_extra_args_support(optimizer)


def init_opt_state(where: str, optimizer: Any, params: PyTree) -> PyTree:
  """Initializes the state of an optimizer, after a trial of its update.

  Nothing of the trial is computed; it is only traced.

  Args:
    where: name of the field, for messages.
    optimizer: as for as_transform.
    params: parameters of the player.

  Returns:
    The optimizer's state.

  Raises:
    ValueError: if the transform is in REFUSED, its init or update fails, or an
      update changes the structure or the shapes of its state or of the
      parameters.
  """
  transform = as_transform(optimizer)
  with _explained(where, optimizer):
    opt_state = transform.init(precision.widen(params))
  for found in _states(opt_state, tuple(REFUSED)):
    name, reason = REFUSED[type(found)]
    raise ValueError(f'{where}: {name} cannot be used here: {reason}')

  def trial(params, opt_state):
    params, opt_state = update_params(
      transform, params, opt_state, params, jnp.float32(0)
    )
    return evaluation_params(opt_state, params), opt_state

  with _explained(where, optimizer):
    after = jax.eval_shape(trial, params, opt_state)
    opt_state = _fill_monitors(opt_state, after[1])
  for what, old, new in zip(
    ('parameters', 'state'), (params, opt_state), after
  ):
    if _layout(old) != _layout(new):
      raise ValueError(
        f'{where}: an update of {_name(optimizer)} changes the structure or the '
        f'shapes of its {what}, which a compiled loop of steps cannot follow'
      )
  return opt_state


def update_params(
  transform: optax.GradientTransformationExtraArgs,
  grads: PyTree,
  opt_state: PyTree,
  params: PyTree,
  value: Array | None,
) -> tuple[PyTree, PyTree]:
  """Updates parameters with a transform.

  Args:
    transform: the transform.
    grads: gradient of the player's loss, equal on all devices.
    opt_state: state of the transform.
    params: parameters of the player.
    value: the player's loss, equal on all devices; None if it is not known.

  Returns:
    New parameters and state.

  Raises:
    ValueError: if the transform needs the value and it is not known.
  """
  # Moments are averages: the transform computes in at least float32.
  grads, wide = precision.widen((grads, params))
  extra = {'grad': grads} if value is None else {'grad': grads, 'value': value}
  try:
    updates, opt_state = transform.update(grads, opt_state, wide, **extra)
  except TypeError as error:
    if value is not None or "'value'" not in str(error):
      raise
    raise ValueError(
      f'{str(error).split(".")[0]} needs the value of the loss, and '
      "rule='past_extragradient' looks ahead with the gradient of the step "
      "before, whose loss is not kept: use rule='extragradient'"
    ) from error
  return optax.apply_updates(params, updates), opt_state


def evaluation_params(opt_state: PyTree, params: PyTree) -> PyTree:
  """Returns the parameters that an optimizer means for evaluation.

  These are the parameters themselves, except for optax.contrib.schedule_free,
  whose gradients are taken at another point than its average:
  x = (y - (1 - b1) z) / b1.

  Args:
    opt_state: state of the optimizer.
    params: parameters that it updates.

  Returns:
    Tree of the structure and types of params.

  References:
    Defazio et al., The Road Less Scheduled, https://arxiv.org/abs/2405.15682,
    2024.
  """
  is_masked = lambda z: isinstance(z, optax.MaskedNode)
  for found in _states(opt_state, contrib.ScheduleFreeState):

    def leaf(z, y, b1=found.b1):
      if is_masked(z):  # parameters of another transform
        return y
      return ((y - (1 - b1) * z) / b1).astype(y.dtype)

    params = jax.tree.map(leaf, found.z, params, is_leaf=is_masked)
  return params


def _first_parameter(function) -> str:
  try:
    return next(iter(inspect.signature(function).parameters), '')
  except (TypeError, ValueError):  # of functions written in C
    return ''


def _states(opt_state, kinds) -> list[Any]:
  """Returns the parts of an optimizer's state of some types."""
  is_found = lambda x: isinstance(x, kinds)
  return [
    x for x in jax.tree.leaves(opt_state, is_leaf=is_found) if is_found(x)
  ]


def _fill_monitors(opt_state, after):
  """Sets measurements of optax.monitor, missing at first, to zeros.

  A compiled loop of steps needs a state of constant structure.
  """
  is_monitor = lambda x: isinstance(x, optax.MonitorState)
  if not _states(opt_state, optax.MonitorState):
    return opt_state

  def fill(old, new):
    if not is_monitor(old):
      return old
    zeros = lambda x: jnp.zeros(x.shape, x.dtype)
    return old._replace(measurements=jax.tree.map(zeros, new.measurements))

  return jax.tree.map(fill, opt_state, after, is_leaf=is_monitor)


def _layout(tree):
  return jax.tree.structure(tree), [jnp.shape(x) for x in jax.tree.leaves(tree)]


def _name(optimizer) -> str:
  """Returns the name of the function that made a transform."""
  if isinstance(optimizer, optax.MultiSteps):
    return 'optax.MultiSteps'
  made = getattr(optimizer.update, '__qualname__', repr(optimizer))
  return made.split('.')[0]


@contextlib.contextmanager
def _explained(where: str, optimizer: Any) -> Iterator[None]:
  """Names the optimizer in whatever its functions raise."""
  try:
    yield
  except Exception as error:  # functions of users and of optax raise any type
    text = f'{type(error).__name__}: {error}'
    raise ValueError(
      f'{where}: {_name(optimizer)} cannot be applied to these parameters '
      f'(an update passes the gradient, the parameters, value=loss and '
      f'grad=gradient). {text}'
    ) from error
