"""Arguments that a user's module takes when it is called."""

import inspect
from typing import Any, Callable, Collection

_LABEL_WORDS = (
  'y c cls labels classes class_label class_labels class_id cond condition '
  'context'
).split()
_TRAIN_WORDS = (
  'training is_training is_train deterministic use_running_average eval'
).split()


def accepted_arguments(
  call: Callable[..., Any],
  name: str,
  known: Collection[str],
  by_name_only: Collection[str] = (),
) -> frozenset[str]:
  """Returns which of the known arguments a call takes by name.

  Args:
    call: bound method or function whose first argument is the input.
    name: name of the module, for messages.
    known: names of the arguments that can be passed.
    by_name_only: those of `known` that `**kwargs` does not stand for.

  Returns:
    Those of `known` that the call has; `**kwargs` stands for the others.

  Raises:
    ValueError: if the call requires an argument that is not known, or has the
      label or the training flag under another name; the message has the
      signature to write.
  """
  parameters = list(inspect.signature(call).parameters.values())
  named = frozenset(p.name for p in parameters[1:]) & frozenset(known)
  if any(p.kind == p.VAR_KEYWORD for p in parameters):
    return named | (frozenset(known) - frozenset(by_name_only))
  positional = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
  )
  if not parameters or parameters[0].kind == inspect.Parameter.KEYWORD_ONLY:
    raise ValueError(_message(name, 'takes no input', known))
  for parameter in parameters[1:]:
    if parameter.kind == inspect.Parameter.VAR_POSITIONAL:
      continue
    by_name = parameter.kind not in positional
    if by_name and parameter.name in known:
      continue
    reason = _refusal(parameter, known)
    if reason:
      raise ValueError(_message(name, reason, known))
  return named


def _refusal(parameter: inspect.Parameter, known: Collection[str]) -> str:
  """Returns why an argument cannot stay as it is, or ''."""
  required = parameter.default is parameter.empty
  for words, meaning in ((_LABEL_WORDS, 'label'), (_TRAIN_WORDS, 'train')):
    unset = required or parameter.default in (None, True, False)
    if parameter.name in words and unset and meaning in known:
      return f'has the argument {parameter.name!r}; rename it to {meaning!r}'
  if not required:
    return ''
  return f'requires the argument {parameter.name!r}, which is not known'


def _message(name: str, reason: str, known: Collection[str]) -> str:
  arguments = ', '.join(f'{argument}=...' for argument in sorted(known))
  return (
    f'the call of {name} {reason}. A network is called with its input and, by '
    f'name, those of {arguments} that it takes: write def __call__(self, x, '
    'label=None, *, train) or leave out what is not needed'
  )
