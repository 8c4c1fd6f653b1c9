"""Process-wide settings before the first JAX call: XLA, cache, malloc."""

import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
from typing import Sequence

import jax

from gan_jax.io import cache_dir

# Whether this version of XLA has the flags that are set here and in tests: an
# unknown flag terminates the process.
XLA_FLAGS_KNOWN = (0, 10) <= jax.__version_info__ < (0, 13)
_FUSION_FLAG = (
  '--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=65536'
)
# Matrix products by Eigen: in fusions of YNNPACK, the default of JAX 0.10,
# those of a network of 400 units took 1.3 times as long.
_DOT_FLAG = '--xla_cpu_experimental_ynn_fusion_type='
# The same algorithms in the same order in every process, without autotuning.
DETERMINISTIC = (
  '--xla_gpu_deterministic_ops=true',
  '--xla_gpu_autotune_level=0',
)
_MIN_COMPILE_SECONDS = 0.1  # shortest compilation worth caching
_FEWEST_ARENAS = 4
_KEPT_BYTES = 1 << 30  # largest block that malloc keeps when it is freed
# Parameters of malloc.h and the environment variables that set them.
_MALLOC = {
  'arena_max': (-8, 'MALLOC_ARENA_MAX'),
  'mmap_threshold': (-3, 'MALLOC_MMAP_THRESHOLD_'),
  'trim_threshold': (-1, 'MALLOC_TRIM_THRESHOLD_'),
}


def _cores() -> int:
  """Returns the number of processor cores that this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def limit_malloc_arenas() -> None:
  """Limits the number of malloc arenas, with glibc, to bound memory use.

  glibc gives threads up to eight arenas per core, and JAX, its data and its
  checkpoints have dozens of threads, which come and go. Over hours, memory that
  is free in one arena is allocated again in another. More arenas than cores are
  not faster, but of fewer than four, two threads that compile may share one, and
  wait for each other. Environment variables (MALLOC_ARENA_MAX) take precedence.
  """
  _set_malloc('arena_max', max(_FEWEST_ARENAS, _cores()))


def keep_freed_memory() -> None:
  """Makes malloc reuse large blocks of memory, with glibc.

  Call it before the first computation of JAX. XLA allocates the intermediate
  results of a program in each call, as one block. By default glibc gives a large
  block back to the system when it is freed, and the next call waits until the
  system has cleared each page again. Blocks of up to 1 GiB are kept instead.

  Only the arena of the main thread holds blocks of 64 MiB or more, so a program
  runs on the thread that calls it, instead of on one of XLA's: asynchronous
  dispatch on CPU is turned off. (All threads could share that arena, but they
  would wait for one another while XLA compiles, which took half as long again.)
  Environment variables (MALLOC_ARENA_MAX, MALLOC_MMAP_THRESHOLD_,
  MALLOC_TRIM_THRESHOLD_) take precedence.
  """
  limit_malloc_arenas()
  _set_malloc('mmap_threshold', _KEPT_BYTES)
  _set_malloc('trim_threshold', _KEPT_BYTES)
  jax.config.update('jax_cpu_enable_async_dispatch', False)


def _set_malloc(name: str, value: int) -> None:
  """Sets a parameter of glibc's malloc that the environment does not set."""
  parameter, variable = _MALLOC[name]
  tuned = name in os.environ.get('GLIBC_TUNABLES', '')
  if tuned or variable in os.environ:
    return
  if platform.libc_ver()[0] == 'glibc':
    ctypes.CDLL(None).mallopt(parameter, value)


def _may_have_accelerator() -> bool:
  """Returns whether JAX may find a device that is not a CPU."""
  platforms = jax.config.jax_platforms
  if platforms:
    return platforms != 'cpu'
  names = ('jax_plugins', 'libtpu')
  found = any(importlib.util.find_spec(name) for name in names)
  return found or bool(importlib.metadata.entry_points(group='jax_plugins'))


def configure_cpu(*, members: bool = False) -> None:
  """Configures the CPU backend of XLA; call it before the first JAX call.

  Loops that touch little memory become one kernel, which runs toy problems
  several times as fast, and matrix products use Eigen. With several CPU
  devices, deadlocks are avoided: the collectives of XLA wait for threads that a
  machine with few cores may not have (it aborts after 40 seconds on JAX 0.10
  and 0.11). Environment variables take precedence.

  Args:
    members: whether the members of an ensemble will be distributed over
      devices; if so, the CPU has one device per core.
  """
  given = os.environ.get('XLA_FLAGS', '')
  forced = 'xla_force_host_platform_device_count' in given
  share = members and not forced and 'JAX_NUM_CPU_DEVICES' not in os.environ
  wanted = [_FUSION_FLAG, _DOT_FLAG] if XLA_FLAGS_KNOWN else []
  if share:  # one thread per member at a time, waiting for no other
    wanted.append('--xla_cpu_multi_thread_eigen=false')
    jax.config.update('jax_num_cpu_devices', _cores())
  _add_flags(wanted)
  count = jax.config.jax_num_cpu_devices
  if forced or count > 1 and not share:
    os.environ.setdefault('PJRT_NPROC', str(max(32, 2 * count)))


def _machine() -> str:
  """Returns a hash of the processor model, for code compiled on it.

  Compiled code may not run on another model.
  """
  cpuinfo = pathlib.Path('/proc/cpuinfo')
  text = cpuinfo.read_text() if cpuinfo.exists() else ''
  lines = text.splitlines()
  kinds = ('model name', 'flags', 'Features', 'CPU part')
  facts = sorted({line for line in lines if line.startswith(kinds)})
  facts += [platform.machine(), platform.processor()]
  return hashlib.sha256('\n'.join(facts).encode()).hexdigest()[:12]


def enable_compilation_cache() -> pathlib.Path:
  """Enables the persistent compilation cache, so that later starts are fast.

  The cache is in `xla/` of GAN_JAX_CACHE (~/.cache/gan_jax), in one directory
  per processor model; if JAX has been given a directory
  (JAX_COMPILATION_CACHE_DIR), it is there.

  Returns:
    The directory.
  """
  chosen = jax.config.jax_compilation_cache_dir
  if chosen:
    return pathlib.Path(chosen)
  directory = cache_dir.cache_directory() / 'xla' / _machine()
  jax.config.update('jax_compilation_cache_dir', str(directory))
  jax.config.update(
    'jax_persistent_cache_min_compile_time_secs', _MIN_COMPILE_SECONDS
  )
  return directory


def is_backend_initialized() -> bool:
  """Returns whether JAX has started, which makes XLA flags ineffective."""
  from jax._src import xla_bridge  # there is no public function for it

  return xla_bridge.backends_are_initialized()


def are_flags_set() -> bool:
  """Returns whether `configure_xla` ran, or the environment has its flags."""
  given = os.environ.get('XLA_FLAGS', '')
  wanted = [_FUSION_FLAG, _DOT_FLAG] if XLA_FLAGS_KNOWN else []
  return all(flag.partition('=')[0] in given for flag in wanted)


def configure_xla(
  *, members: bool = False, deterministic: bool = False
) -> None:
  """Sets flags of XLA; call it before the first computation of JAX.

  Args:
    members: whether the members of an ensemble will be distributed over
      devices, see configure_cpu.
    deterministic: whether a GPU must give the same bits each time
      (DETERMINISTIC); a CPU always does.
  """
  if deterministic:
    _add_flags(DETERMINISTIC)
  configure_cpu(members=members)


def configure_jax(
  *,
  members: bool = False,
  deterministic: bool = False,
  limit_malloc: bool = False,
) -> None:
  """Prepares JAX for fast starts and runs; call it before JAX computes.

  Sets flags of XLA and enables the persistent compilation cache.

  Args:
    members: whether the members of an ensemble will be distributed over
      devices, see configure_cpu.
    deterministic: whether a GPU must give the same bits each time
      (DETERMINISTIC); a CPU always does.
    limit_malloc: whether to configure the malloc of the whole process, for
      programs that run for hours (see limit_malloc_arenas); where only a CPU
      computes, large blocks are reused, too (see keep_freed_memory).
  """
  if limit_malloc and _may_have_accelerator():
    limit_malloc_arenas()
  elif limit_malloc:
    keep_freed_memory()
  configure_xla(members=members, deterministic=deterministic)
  enable_compilation_cache()


def _add_flags(flags: Sequence[str]) -> None:
  """Adds flags of XLA that the environment does not set."""
  given = os.environ.get('XLA_FLAGS', '')
  new = [flag for flag in flags if flag.partition('=')[0] not in given]
  os.environ['XLA_FLAGS'] = ' '.join([given, *new]).strip()
