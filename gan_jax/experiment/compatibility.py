"""In what a run and its continuation may differ, and in what they do."""

from typing import Any, Mapping

from gan_jax import config as config_lib

# May differ between a run and its continuation: they change no update.
RESUMABLE_FIELDS = (
  'num_steps',
  'parallel',
  'num_devices',
  'steps_per_call',
  'resident_mb',
  'ensemble.way',
  'nonfinite',
  'deterministic',
  'stall_seconds',
  'log_every',
  'sample_every',
  'checkpoint_every',
  'keep_checkpoints',
  'num_samples',
  'data.data_dir',
  'data.threads',
  'data.memory_mb',
  'data.follow_symlinks',
  *(f'eval.{name}' for name in config_lib.Config().eval),
)


def incompatible_fields(
  old: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
  """Leaves in which two configurations differ and a run may not.

  Args:
    old: settings of the run.
    new: settings of its continuation.

  Returns:
    leaf -> (old value, new value), with None for one that is missing;
    leaves in CONTINUABLE are left out.
  """
  a, b = config_lib.flatten(old), config_lib.flatten(new)
  return {
    leaf: (a.get(leaf), b.get(leaf))
    for leaf in sorted(a.keys() | b.keys())
    if a.get(leaf) != b.get(leaf) and leaf not in RESUMABLE_FIELDS
  }
