"""What a program does before its first JAX call: devices, compiled programs."""

import hashlib
import pathlib
import platform

import jax

from gan_jax import parallel
from gan_jax.evaluation import weights

_SHORTEST = 0.1  # seconds of a compilation that is worth keeping


def _machine() -> str:
  """Stands for a processor: what is compiled for one may not run on another."""
  cpuinfo = pathlib.Path('/proc/cpuinfo')
  text = cpuinfo.read_text() if cpuinfo.exists() else ''
  lines = text.splitlines()
  kinds = ('model name', 'flags', 'Features', 'CPU part')
  facts = sorted({line for line in lines if line.startswith(kinds)})
  facts += [platform.machine(), platform.processor()]
  return hashlib.sha256('\n'.join(facts).encode()).hexdigest()[:12]


def cache_compilations() -> pathlib.Path:
  """Keeps compiled programs, so that a second start is quick.

  In `xla/` of GAN_JAX_CACHE (~/.cache/gan_jax), by processor; where JAX has
  been given a directory (JAX_COMPILATION_CACHE_DIR), there.

  Returns:
    The directory.
  """
  chosen = jax.config.jax_compilation_cache_dir
  if chosen:
    return pathlib.Path(chosen)
  directory = weights.cache_directory() / 'xla' / _machine()
  jax.config.update('jax_compilation_cache_dir', str(directory))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', _SHORTEST)
  return directory


def prepare(*, members: bool = False) -> None:
  """Prepares JAX; before its first computation.

  Args:
    members: as in parallel.prepare_cpu.
  """
  parallel.prepare_cpu(members=members)
  cache_compilations()
