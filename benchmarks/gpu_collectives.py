"""Counts what a train step on several GPUs sends, on a machine without any.

  pip install "jax[cuda13]"              (in an environment of its own)
  python benchmarks/gpu_collectives.py
  python benchmarks/gpu_collectives.py --latency_hiding --only SNGAN-32

XLA compiles the step of parallel='shard_map' for 8 GPUs of one machine, in
bfloat16 with 64 images on each. Prints, of the scheduled program: all-reduces and
their bytes, how many are of gradients, and the kernels that XLA has placed
between the start of an all-reduce and its end, which it can overlap with. Then
estimates, without measuring, the efficiency of 8 to 1,024 GPUs by the formula in
docs/scaling.md. Takes a few minutes a network.
"""

import argparse
import math
import os
import re
import sys
from typing import Any, NamedTuple

import gpu_program
import jax
import numpy as np
import turns

from gan_jax.distributed import devices as devices_lib
from gan_jax.experiment import build_gan, cost

BATCH = 64  # images of a GPU
COUNT = 8  # GPUs of the program
LARGE = 2**16  # bytes from which an all-reduce is one of gradients
NETWORKS = ('DCGAN-32', 'DCGAN-64', 'SNGAN-32', 'BigGAN-32')
# Images per second of DCGAN-64, in batches of 64 on one H200, as
# benchmarks/gpu.py measured them. Others are assumed to take as long per FLOP.
MEASURED = 25_152
LATENCY = 20e-6  # assumed seconds of an all-reduce of 8 GPUs, beside its bytes
COUNTS = (8, 64, 256, 1024)
# Published bytes per second that a GPU sends: docs/scaling.md.
NVLINK, INFINIBAND = 450e9, 50e9


_INSTRUCTION = re.compile(
  r'\s*(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((?:%([\w.\-]+))?'
)


class Reduce(NamedTuple):
  """An all-reduce of a program.

  Attributes:
    nbytes: bytes of its operands.
    overlapped: kernels between its start and its end; 0 if it has no start of
      its own.
  """

  nbytes: int
  overlapped: int


def read_reduces(text: str) -> list[Reduce]:
  """Reads the all-reduces of a scheduled program.

  Args:
    text: optimized HLO, whose instructions are in the order of the schedule.
  """
  found: list[Reduce] = []
  started: dict[str, tuple[int, int]] = {}
  kernels = 0
  for line in text.splitlines():
    matched = _INSTRUCTION.match(line)
    if not matched:
      continue
    name, shape, opcode, operand = matched.groups()
    if opcode == 'all-reduce-start':
      started[name] = count_bytes(shape), kernels
    elif opcode == 'all-reduce-done':
      size, before = started.pop(operand)
      found.append(Reduce(size, kernels - before))
    elif opcode == 'all-reduce':
      found.append(Reduce(count_bytes(shape), 0))
    elif opcode in ('fusion', 'custom-call', 'copy'):
      kernels += 1
  return found


def count_bytes(shape: str) -> int:
  """Returns the bytes of a shape, or of a tuple of shapes, of HLO."""
  found = re.findall(r'\b(?:f|bf|s|u)(\d+)\[([\d,]*)\]', shape)
  sizes = lambda text: [int(n) for n in text.split(',') if n]
  return sum(int(bits) // 8 * math.prod(sizes(text)) for bits, text in found)


def compile_step(name: str, target: str) -> tuple[str, Any]:
  """Compiles a step on several GPUs; returns HLO, and the experiment."""
  mesh = jax.sharding.Mesh(
    np.array(gpu_program.describe_gpus(target, COUNT)),
    (devices_lib.AXIS_NAME,),
  )
  whole, split = (
    jax.sharding.PartitionSpec(*axes) for axes in ((), (None, mesh.axis_names))
  )
  with gpu_program.tracing_for_gpu():
    built = gpu_program.NETWORKS[name](BATCH * COUNT, 'bfloat16')
    step = build_gan.build_train_step(
      built.gan, built.config, devices_lib.AXIS_NAME
    )
    mapped = jax.shard_map(
      step,
      mesh=mesh,
      in_specs=(whole, split, whole),
      out_specs=(whole, whole),
      check_vma=False,
    )
    arguments = (
      built.abstract_state(),
      built.abstract_batch(),
      jax.eval_shape(lambda: jax.random.key(0)),
    )
    lowered = jax.jit(mapped, donate_argnums=0).lower(*arguments)
    return lowered.compile().as_text(), built


def count_flops(name: str) -> float:
  """Returns the FLOPs of a step on one GPU."""
  with gpu_program.tracing_for_gpu():
    built = gpu_program.NETWORKS[name](BATCH, 'bfloat16')
    return cost.count_flops(cost.lower_train_step(built))


def estimate(
  reduces: list[Reduce], seconds: float, count: int
) -> tuple[float, float, float]:
  """Estimates the seconds of a step on many GPUs.

  Args:
    reduces: its all-reduces.
    seconds: seconds of the step on one GPU alone.
    count: number of GPUs.

  Returns:
    Seconds of the step alone, of bytes, and of latency.
  """
  rate = NVLINK if count <= COUNT else INFINIBAND
  sent = 2 * (count - 1) / count * sum(r.nbytes for r in reduces)
  latency = LATENCY * max(1.0, math.log2(count) / math.log2(COUNT))
  return seconds, sent / rate, latency * len(reduces)


def count_row(name: str, reduces: list[Reduce], parameters: int) -> list:
  """Returns a row of the table of counts."""
  large = [r for r in reduces if r.nbytes >= LARGE]
  overlapping = sum(r.nbytes for r in large if r.overlapped)
  total = sum(r.nbytes for r in reduces)
  return [
    name,
    f'{parameters:,}',
    str(len(reduces)),
    f'{total:,}',
    total / (4 * parameters),
    f'{len(large)}',
    f'{100 * overlapping / max(1, sum(r.nbytes for r in large)):.0f}',
    ', '.join(str(r.overlapped) for r in large),
  ]


def main() -> None:
  """Prints the tables."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument(
    '--target', default='h200', choices=gpu_program.TARGETS, help='GPU'
  )
  parser.add_argument('--only', nargs='*', default=NETWORKS, choices=NETWORKS)
  parser.add_argument(
    '--latency_hiding',
    action='store_true',
    help="with XLA's scheduler that hides latency",
  )
  options = parser.parse_args()
  if options.latency_hiding:
    flag = '--xla_gpu_enable_latency_hiding_scheduler=true'
    os.environ['XLA_FLAGS'] = f'{flag} {os.environ.get("XLA_FLAGS", "")}'
  gpu_program.compile_without_gpu()
  counts, estimates = [], []
  per_flop = BATCH / MEASURED / count_flops('DCGAN-64')
  for name in options.only:
    print(f'compiling {name}', file=sys.stderr, flush=True)
    text, built = compile_step(name, options.target)
    reduces = read_reduces(text)
    seconds = per_flop * count_flops(name)
    state = built.abstract_state()
    players = [p.params for p in (state.generator, state.discriminator)]
    size = sum(x.size for x in jax.tree.leaves(players))
    counts.append(count_row(name, reduces, size))
    for count in COUNTS:
      cells = estimate(reduces, seconds, count)
      estimates.append(
        [f'{name}, {count:,} GPUs', *(1e3 * x for x in cells)]
        + [100 * cells[0] / sum(cells)]
      )
  header = (
    f'{COUNT} x {options.target}, {BATCH} images each',
    'parameters',
    'all-reduces',
    'bytes',
    'bytes / (4 x parameters)',
    'of gradients',
    'bytes of these that can overlap, %',
    'kernels in between',
  )
  print(f'\n{turns.table(header, counts)}')
  header = (
    'estimate',
    'step alone, ms',
    'bytes, ms',
    'latency, ms',
    'efficiency, %',
  )
  print(f'\n{turns.table(header, estimates)}')


if __name__ == '__main__':
  main()
