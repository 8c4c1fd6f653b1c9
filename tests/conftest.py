"""Four CPU devices and JAX at its strictest, for every test."""

import gc
import os
import pathlib

# Threads of two test processes on few cores wait for one another.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
os.environ.setdefault('PJRT_NPROC', '32')
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Most of the time of these tests is compilation; =0 tests what users run.
os.environ.setdefault('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
_TESTS = pathlib.Path(__file__).parent
# Tests compile many programs twice, and the next run compiles them again;
# most are small, and 10 times faster to read than to compile.
_CACHE = _TESTS.parent / '.jax_cache'
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(_CACHE))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')

import jax  # noqa: E402
import pytest  # noqa: E402

from gan_jax.distributed import xla_setup  # noqa: E402

if (
  os.environ['JAX_DISABLE_MOST_OPTIMIZATIONS'] == '1'
  and xla_setup.XLA_FLAGS_KNOWN
):
  # A module is compiled in one piece, for a quarter less of CPU time.
  flags = ['--xla_cpu_parallel_codegen_split_count=1']
  if jax.__version_info__ < (0, 11):
    # Kernels that run slower, and compile in half the time.
    flags.append('--xla_cpu_use_fusion_emitters=false')
  os.environ.setdefault('XLA_FLAGS', ' '.join(flags))

xla_setup.limit_malloc_arenas()  # or programs that are dropped leave holes

if os.environ['JAX_PLATFORMS'] == 'cpu':
  jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_numpy_rank_promotion', 'raise')

# What the libraries made lives as long as the process: not looked at again.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)

# The check for reused keys slows all else by a tenth: on where keys are drawn.
_DRAW_KEYS = (
  *('augment', 'distributed', 'golden', 'layers', 'models', 'networks'),
  *('penalties', 'sampling', 'training'),
)

collect_ignore_glob = ['helpers/*']  # no tests; some need torch

_GROWTH = 2**30  # bytes
_kept = 0


def _resident() -> int:
  """Bytes of memory that this process has; 0 where nobody says."""
  statm = pathlib.Path('/proc/self/statm')
  pages = int(statm.read_text().split()[1]) if statm.exists() else 0
  return pages * 4096


@pytest.fixture(autouse=True)
def _debug_key_reuse(request):
  """Refuses keys that are used twice, where tests draw with keys."""
  package = request.path.relative_to(_TESTS).parts[0]
  with jax.debug_key_reuse(package in _DRAW_KEYS):
    yield


@pytest.fixture(autouse=True)
def _forget_programs():
  """Drops compiled programs before they fill the memory of a laptop."""
  global _kept
  yield
  if _resident() > _kept + _GROWTH:
    jax.clear_caches()
    gc.collect()
    _kept = _resident()
