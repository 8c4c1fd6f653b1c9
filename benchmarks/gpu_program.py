"""Reads the program that XLA compiles for a GPU, on a machine without one.

  pip install "jax[cuda13]"          in an environment of its own, 4.5 GB
  python benchmarks/gpu_program.py
  python benchmarks/gpu_program.py --only DCGAN-64 --largest=20
  python benchmarks/gpu_program.py --target=a100 --hlo=DIR

XLA's compiler runs on the host with a description of the GPU. For each network,
batch size and dtype the table has one train step (a D step, a G step, Adam and
the EMA), and the program of many steps that train.py runs on resident data:

* kernels of a step, and the bytes that they read and write;
* the share of those bytes in kernels that only move them (transposes, copies);
* the times that these bytes take at the memory's bandwidth, and the arithmetic
  at the published dense peak: a measured step cannot be faster than either, and
  what it takes beyond both is launches and waiting;
* loops whose number of rounds is not known when compiling: before every round
  the host reads the condition, and the GPU waits.

The compiler chooses algorithms by measuring them, if it has a GPU; here it
takes the defaults, so that a real program differs in details.
"""

import argparse
import collections
import contextlib
import importlib.util
import os
import pathlib
import re
import sys
from typing import Any, Callable, Iterator, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import turns  # puts the root of the repository on the path
from jax.experimental import topologies

from configs import (
  biggan_cifar10,
  common,
  d2l_gaussian,
  folder,
  sngan_cifar10,
)
from gan_jax import experiment, training
from gan_jax.data import ArraySource
from gan_jax.experiment import build_gan, cost
from gan_jax.experiment import program as program_lib
from gan_jax.training import fused

EXAMPLES = 50_000
STEPS = 100  # of one call of the program of many steps


class Target(NamedTuple):
  """A GPU, by its published figures.

  Attributes:
    bandwidth: of the memory, in bytes per second.
    cores: streaming multiprocessors.
    memory: bytes.
    capability: compute capability, (major, minor).
    cache: bytes of the second-level cache.
    clock: GHz.
    peaks: dense TFLOP/s in bfloat16, and in TF32, which float32 uses.
  """

  bandwidth: float
  cores: int
  memory: int
  capability: tuple[int, int]
  cache: int
  clock: float
  peaks: tuple[float, float]


TARGETS = {
  'h200': Target(4.8e12, 132, 141 << 30, (9, 0), 50 << 20, 1.98, (989, 494)),
  'h100': Target(3.35e12, 132, 79 << 30, (9, 0), 50 << 20, 1.98, (989, 494)),
  'a100': Target(1.555e12, 108, 39 << 30, (8, 0), 40 << 20, 1.41, (312, 156)),
}
_DESCRIPTION = """
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32
  shared_memory_per_block: 49152 shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  threads_per_core_limit: 2048 core_count: {t.cores} fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
  block_dim_limit_z: 65535 thread_dim_limit_x: 1024 thread_dim_limit_y: 1024
  thread_dim_limit_z: 64 registers_per_core_limit: 65536
  registers_per_block_limit: 65536 memory_bandwidth: {bandwidth}
  l2_cache_size: {t.cache} clock_rate_ghz: {t.clock}
  device_memory_size: {t.memory} device_address_bits: 64 ecc_enabled: true
  cuda_compute_capability {{ major: {t.capability[0]} minor: {t.capability[1]} }}
  platform_version: "Compute Capability {t.capability[0]}.{t.capability[1]}"
  device_vendor: "NVIDIA Corporation" name: "{name}" driver_version: "13.0.0"
  runtime_version: "13.0.0" compile_time_toolkit_version: "13.0.0"
  dnn_version: "9.10.0"
}}
platform_name: "CUDA" device_description_str: "{name}"
dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
"""


# ---- What is compiled.


def make_dcgan(size: int, batch: int, dtype: str) -> experiment.Experiment:
  """Builds DCGAN as benchmarks/gpu.py does: batch norm in both networks."""
  config = folder.get_config()
  common.dcgan(config, width=64, d_norm='batch', r1=0.0)
  return _build(config, (size, size, 3), batch, dtype, latent_dim=100)


def make_sngan(batch: int, dtype: str) -> experiment.Experiment:
  """Builds the SNGAN of configs/sngan_cifar10.py with one D step."""
  config = sngan_cifar10.get_config('conditional')
  return _build(config, (32, 32, 3), batch, dtype, d_steps=1)


def make_biggan(batch: int, dtype: str) -> experiment.Experiment:
  """Builds the BigGAN of configs/biggan_cifar10.py with one D step."""
  config = biggan_cifar10.get_config()
  return _build(config, (32, 32, 3), batch, dtype, d_steps=1)


def make_toy(batch: int, dtype: str) -> experiment.Experiment:
  """Builds the toy of Dive into Deep Learning."""
  config = d2l_gaussian.get_config()
  config.data.name = 'gaussian'
  return experiment.build(
    config.to_dict() | {'batch_size': batch, 'num_devices': 1}
  )


def _build(
  config: Any, shape: tuple[int, ...], batch: int, dtype: str, **changes: Any
) -> experiment.Experiment:
  """Builds an experiment on images that take no memory."""
  images = np.broadcast_to(np.zeros((), np.uint8), (EXAMPLES, *shape))
  labels = np.arange(EXAMPLES) % 10
  given = config.to_dict() | changes
  given |= dict(batch_size=batch, compute_dtype=dtype, num_devices=1)
  return experiment.build(given, train=ArraySource(images, labels))


NETWORKS: dict[str, Callable[[int, str], experiment.Experiment]] = {
  'DCGAN-32': lambda batch, dtype: make_dcgan(32, batch, dtype),
  'DCGAN-64': lambda batch, dtype: make_dcgan(64, batch, dtype),
  'SNGAN-32': make_sngan,
  'BigGAN-32': make_biggan,
  'D2L toy': make_toy,
}


def make_step(built: experiment.Experiment) -> tuple[Callable, tuple]:
  """Returns one train step, and the shapes of its arguments."""
  with tracing_for_gpu():
    step = build_gan.build_train_step(built.gan, built.config, None)
  key = jax.eval_shape(lambda: jax.random.key(0))
  return step, (built.abstract_state(), built.abstract_batch(), key)


def make_many(built: experiment.Experiment) -> tuple[Callable, tuple]:
  """Returns the program of many steps, and the shapes of its arguments."""
  step, (state, batch, key) = make_step(built)
  config, size = built.config, len(built.train)
  gather = fused.gather_batch(size, config.batch_size, d_steps=config.d_steps)
  with tracing_for_gpu():
    block = program_lib.choose_block(STEPS)
  run = training.fuse_steps(step, gather, max_steps=STEPS, block=block)
  examples = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((size, *x.shape[2:]), x.dtype), batch
  )
  streams = fused.RandomStreams(key, jax.ShapeDtypeStruct((), jnp.uint32))
  count = jax.ShapeDtypeStruct((), jnp.int32)
  return run, (state, examples, streams, count)


# ---- Compiling.


@contextlib.contextmanager
def tracing_for_gpu() -> Iterator[None]:
  """Traces as on a GPU: layers ask for the backend when they are traced."""
  real, jax.default_backend = jax.default_backend, lambda: 'gpu'
  try:
    yield
  finally:
    jax.default_backend = real


def describe_gpus(target: str, count: int) -> list[Any]:
  """Describes GPUs of one machine to the compiler.

  Args:
    target: name in TARGETS.
    count: number of GPUs.

  Returns:
    The devices.
  """
  gpu, topology = TARGETS[target], f'1x1x{count}'
  config = _DESCRIPTION.format(t=gpu, bandwidth=int(gpu.bandwidth), name=target)
  described = topologies.get_topology_desc(
    topology, 'cuda', target_config=config, topology=topology
  )
  return described.devices[:count]


def compile_for(target: str, function: Callable, arguments: tuple) -> str:
  """Compiles a function for one GPU.

  Args:
    target: name in TARGETS.
    function: function of arrays, whose first argument is donated.
    arguments: trees of jax.ShapeDtypeStruct.

  Returns:
    The optimized program, as text in HLO.
  """
  mesh = jax.sharding.Mesh(np.array(describe_gpus(target, 1)), ('device',))
  place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  with tracing_for_gpu():
    jitted = jax.jit(
      function, in_shardings=place, out_shardings=place, donate_argnums=0
    )
    return jitted.lower(*arguments).compile().as_text()


# ---- Reading HLO.


class Kernel(NamedTuple):
  """A kernel of a compiled program.

  Attributes:
    kind: its operation.
    nbytes: bytes of its operands and results.
    rounds: how often it runs: the product of the rounds of the loops around it.
    op_name: the JAX operation that it comes from.
  """

  kind: str
  nbytes: int
  rounds: int
  op_name: str


class Loop(NamedTuple):
  """A loop of unknown length.

  Attributes:
    kernels: kernels of a round.
    is_nested: whether it is inside another loop of unknown length.
  """

  kernels: list[Kernel]
  is_nested: bool


class Program(NamedTuple):
  """What a program consists of.

  Attributes:
    kernels: kernels outside of loops of unknown length.
    loops: the loops of unknown length.
  """

  kernels: list[Kernel]
  loops: list[Loop]


_WIDTHS = {'pred': 1, 's8': 1, 'u8': 1, 'bf16': 2, 'f16': 2, 's16': 2, 'u16': 2}
_WIDTHS |= {'s64': 8, 'u64': 8, 'f64': 8}
_NO_KERNEL = {'parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast'}
_NO_KERNEL |= {'after-all', 'partition-id', 'replica-id', 'opt-barrier'}
_INSTRUCTION = re.compile(
  r'\s*(?:ROOT )?%?([\w.\-]+) = (\([^=]*?\)|[a-z]+\d*\[\S*) ([\w\-]+)\((.*)'
)
_CALLED = re.compile(
  r'\b(body|condition|to_apply|calls|true_computation|false_computation)'
  r'=%?([\w.\-]+)'
)


def _nbytes(shape: str) -> int:
  """Returns the bytes of a shape, or a tuple of shapes, as HLO writes them."""
  total = 0
  for dtype, sizes in re.findall(r'\b([a-z]+\d*)\[([\d,]*)\]', shape):
    count = np.prod([int(n) for n in sizes.split(',') if n], dtype=np.int64)
    total += _WIDTHS.get(dtype, 4) * int(count)
  return total


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
  """Returns the lines of every computation by name, and the entry's name."""
  found: dict[str, list[str]] = {}
  entry = name = ''
  for line in text.splitlines():
    if line.rstrip().endswith('{') and line.startswith(('ENTRY', '%')):
      name = line.removeprefix('ENTRY').split()[0].lstrip('%')
      entry = name if line.startswith('ENTRY') else entry
      found[name] = []
    elif name:
      found[name].append(line)
  return found, entry


def read_program(text: str) -> Program:
  """Reads the kernels of a compiled program.

  Args:
    text: optimized HLO of a GPU.
  """
  parts, entry = _computations(text)
  program = Program([], [])
  _read(parts, entry, 1, program.kernels, program)
  return program


def _read(
  parts: dict[str, list[str]],
  name: str,
  rounds: int,
  found: list[Kernel],
  program: Program,
) -> None:
  """Adds the kernels of a computation, and of what it calls."""
  shapes: dict[str, str] = {}
  for line in parts.get(name, ()):
    matched = _INSTRUCTION.match(re.sub(r'/\*.*?\*/', '', line))
    if not matched:
      continue
    own, shape, opcode, rest = matched.groups()
    shapes[own] = shape
    if opcode == 'while':
      _read_loop(parts, line, rounds, found, program)
    elif opcode in ('call', 'conditional', 'async-start'):
      branches = re.search(r'branch_computations={([^}]*)}', line)
      called = [other for _, other in _CALLED.findall(line)]
      called += re.findall(r'%([\w.\-]+)', branches[1]) if branches else []
      for other in called:
        _read(parts, other, rounds, found, program)
    elif opcode not in _NO_KERNEL:
      operands = re.findall(r'%([\w.\-]+)', rest.split('), ')[0])
      called = parts.get(dict(_CALLED.findall(line)).get('calls', ''), [])
      moved = _nbytes(shape) + sum(
        _read_nbytes(called, index, shapes.get(operand, ''))
        for index, operand in enumerate(operands)
      )
      op_name = re.search(r'op_name="([^"]*)"', line)
      kind = _kind(own, opcode, line)
      found.append(Kernel(kind, moved, rounds, op_name[1] if op_name else ''))


def _read_nbytes(called: list[str], index: int, shape: str) -> int:
  """Returns the bytes that a fusion reads of one of its operands.

  Args:
    called: lines of the fused computation; none for a kernel of one operation.
    index: number of the operand.
    shape: shape of the operand.
  """
  number = re.compile(rf'%([\w.\-]+) = .* parameter\({index}\)')
  name = next((m[1] for m in map(number.search, called) if m), None)
  uses = [x for x in called if name and re.search(rf'\(.*%{name}[,)]', x)]
  parsed = [_INSTRUCTION.match(re.sub(r'/\*.*?\*/', '', x)) for x in uses]
  found = [(m[2], m[3], m[4]) for m in parsed if m]
  takes_part = lambda opcode, rest: (
    opcode in ('gather', 'dynamic-slice') and rest.startswith(f'%{name}')
  )
  if found and all(takes_part(opcode, rest) for _, opcode, rest in found):
    return sum(_nbytes(taken) for taken, _, _ in found)
  return _nbytes(shape)


def _read_loop(
  parts: dict[str, list[str]],
  line: str,
  rounds: int,
  found: list[Kernel],
  program: Program,
) -> None:
  """Adds the kernels of a loop: to `found`, or as one of unknown length."""
  known = re.search(r'known_trip_count":{"n":"(\d+)"', line)
  called = dict(_CALLED.findall(line))
  if known:
    _read(parts, called['body'], rounds * int(known[1]), found, program)
    return
  own: list[Kernel] = []
  program.loops.append(Loop(own, found is not program.kernels))
  for part in ('body', 'condition'):
    _read(parts, called[part], 1, own, program)


def _kind(name: str, opcode: str, line: str) -> str:
  """Returns what a kernel does, in a word or two."""
  if opcode == 'custom-call':
    return re.search(r'custom_call_target="([^"]+)"', line)[1]
  if opcode != 'fusion':
    return opcode
  words = [w for w in ('transpose', 'reduce', 'copy', 'gemm') if w in name]
  return ' '.join(['fusion', *words])


def _moves_only(kernel: Kernel) -> bool:
  return any(word in kernel.kind for word in ('transpose', 'copy'))


# ---- The table.


def describe(kernels: list[Kernel]) -> tuple[int, float, float]:
  """Returns the launches, GB moved, and the share that is only moved."""
  launches = sum(k.rounds for k in kernels)
  moved = sum(k.rounds * k.nbytes for k in kernels)
  only = sum(k.rounds * k.nbytes for k in kernels if _moves_only(k))
  return launches, moved / 1e9, only / max(moved, 1)


def make_row(
  name: str, batch: int, dtype: str, options: argparse.Namespace
) -> list[str]:
  """Compiles one network and returns its row of the table."""
  with tracing_for_gpu():
    built = NETWORKS[name](batch, dtype)
    flops = cost.count_flops(cost.lower_train_step(built))
  text = compile_for(options.target, *make_step(built))
  step = read_program(text)
  many_text = compile_for(options.target, *make_many(built))
  many = read_program(many_text)
  label = f'{name}, {batch}, {dtype}'
  if options.hlo:
    directory = pathlib.Path(options.hlo)
    directory.mkdir(parents=True, exist_ok=True)
    stem = label.replace(', ', '_').replace(' ', '_')
    (directory / f'{stem}_step.txt').write_text(text)
    (directory / f'{stem}_many.txt').write_text(many_text)
  # Blocks of steps, then the remaining steps one by one; the first is timed.
  body = max(
    (loop.kernels for loop in many.loops), key=lambda k: describe(k)[0]
  )
  with tracing_for_gpu():
    block = program_lib.choose_block(STEPS)
  waits = 1 / block + sum(loop.is_nested for loop in many.loops) / 2
  gpu = TARGETS[options.target]
  launches, gigabytes, only = describe(step.kernels)
  peak = gpu.peaks[dtype == 'float32']
  if options.largest:
    print_largest(label, step.kernels, options.largest)
  return [
    label,
    f'{launches:,}',
    f'{gigabytes:.3g}',
    f'{only:.0%}',
    f'{gigabytes * 1e12 / gpu.bandwidth:.3g}',
    f'{flops / peak / 1e9:.3g}',
    f'{describe(body)[0] / block:,.0f}',
    f'{describe(body)[1] / block:.3g}',
    f'{waits:.2g}',
  ]


def print_largest(label: str, kernels: list[Kernel], count: int) -> None:
  """Prints the kernels of a step by kind, and those that move most."""
  print(f'\n{label}:')
  kinds = collections.defaultdict(lambda: [0, 0])
  for kernel in kernels:
    kinds[kernel.kind][0] += kernel.rounds
    kinds[kernel.kind][1] += kernel.rounds * kernel.nbytes
  for kind, (launches, moved) in sorted(
    kinds.items(), key=lambda item: -item[1][1]
  ):
    print(f'{launches:6d} {moved / 1e6:10.1f} MB  {kind}')
  for kernel in sorted(kernels, key=lambda k: -k.nbytes)[:count]:
    where = kernel.op_name[-60:]
    print(f'       {kernel.nbytes / 1e6:10.1f} MB  {kernel.kind:24} {where}')


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
  """Parses the command line."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--target', default='h200', choices=TARGETS)
  parser.add_argument('--only', nargs='*', default=list(NETWORKS))
  parser.add_argument('--batch', nargs='*', type=int, default=[64, 512])
  parser.add_argument('--largest', type=int, default=0, help='kernels to list')
  parser.add_argument('--hlo', default='', help='directory for the programs')
  options = parser.parse_args(arguments)
  for name in options.only:
    if name not in NETWORKS:
      parser.error(f'--only={name}: must be one of {", ".join(NETWORKS)}')
  return options


def compile_without_gpu() -> None:
  """Sets what XLA reads when it starts.

  Raises:
    SystemExit: if JAX has no compiler for CUDA.
  """
  if importlib.util.find_spec('jax_plugins') is None:
    sys.exit('JAX has no compiler for CUDA here: pip install "jax[cuda13]"')
  os.environ.setdefault('JAX_SKIP_CUDA_CONSTRAINTS_CHECK', '1')
  os.environ['XLA_FLAGS'] = ' '.join(
    ['--xla_gpu_autotune_level=0', os.environ.get('XLA_FLAGS', '')]
  )


def main() -> None:
  """Prints the table."""
  options = parse_options()
  compile_without_gpu()
  rows = []
  for name in options.only:
    toy = name == 'D2L toy'
    for batch in [8] if toy else options.batch:
      for dtype in ['float32'] if toy else ['float32', 'bfloat16']:
        rows.append(make_row(name, batch, dtype, options))
  header = [
    f'{options.target}: network, batch, dtype',
    *('kernels of a step', 'GB', 'only moved', 'ms by bytes', 'ms by FLOPs'),
    *('kernels of a step in the program', 'GB', 'waits for the host'),
  ]
  print(turns.table(header, rows))


if __name__ == '__main__':
  main()
