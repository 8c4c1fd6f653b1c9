"""Compares the config of a run with that of its continuation."""

from typing import Any, Mapping

from gan_jax import config as config_lib

# Fields that may differ between a run and its continuation: they change no
# update.
RESUMABLE_FIELDS = frozenset(
  (
    'num_steps',
    'parallel',
    'num_devices',
    'steps_per_call',
    'resident_mb',
    'ensemble.backend',
    'nonfinite',
    'deterministic',
    'stall_seconds',
    'log_every',
    'sample_every',
    'eval_every',
    'checkpoint_every',
    'keep_checkpoints',
    'num_samples',
    'report',
    'writers',
    'data.tfds.data_dir',
    'data.tfds.memory_mb',
    'data.stacked_mnist.data_dir',
    'data.folder.threads',
    'data.folder.memory_mb',
    'data.folder.follow_symlinks',
    'data.hf.memory_mb',
    'data.hf.threads',
    'data.custom.threads',
    'data.audio.memory_mb',
    'data.audio.follow_symlinks',
    *(f'eval.{name}' for name in config_lib.defaults()['eval']),
  )
)
# Fields that runs of older versions do not record, and what they did.
NEW_FIELDS = {
  'data.flip': False,
  'ensemble.points': [],
  'd_optimizer.freeze_layers': 0,
  'g_optimizer.freeze_layers': 0,
}
# Fields that may differ between the processes of one run.
PATH_FIELDS = frozenset(
  (
    'data.tfds.data_dir',
    'data.stacked_mnist.data_dir',
    'data.folder.path',
    'data.npz.path',
    'data.audio.path',
    'eval.feature_weights',
  )
)


def incompatible_fields(
  old: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
  """Returns the fields in which two configs differ and a run may not.

  Args:
    old: config of the run, nested (config.to_dict).
    new: config of its continuation.

  Returns:
    Field -> (old value, new value), None for one that is missing.
  """
  a, b = config_lib.flatten(old), config_lib.flatten(new)
  return {
    field: (a.get(field), b.get(field))
    for field in sorted(a.keys() | b.keys())
    if a.get(field, NEW_FIELDS.get(field)) != b.get(field)
    and field not in RESUMABLE_FIELDS
  }


def raise_incompatible(
  different: Mapping[str, tuple[Any, Any]], reason: str, advice: str
) -> None:
  """Raises an error that lists fields, if there are any.

  Args:
    different: what incompatible_fields returned.
    reason: sentence before the list.
    advice: sentence after it.

  Raises:
    ValueError: if `different` is not empty.
  """
  if different:
    listed = ''.join(
      f'\n  {field}: checkpoint has {old!r}, config has {new!r}'
      for field, (old, new) in different.items()
    )
    raise ValueError(f'{reason}{listed}\n{advice}')
