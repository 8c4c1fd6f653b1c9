"""One step on several devices; the only module that names devices.

A step here is any function (state, batch, key) -> (state, metrics) written
for one device with an axis name. The state goes in and comes out whole, the
same on every device; the batch is split along one axis. The devices may belong
to several processes, each of which then gives its own part of the batch.
"""

import functools
from typing import Any, Callable, NamedTuple, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS_NAME = 'batch'
PyTree = Any
BACKENDS = ('pmap', 'shard_map')


def local_devices(count: int = 0) -> list[jax.Device]:
  """The first `count` devices of this process; 0 for all.

  Raises:
    ValueError: where there are fewer; it names both numbers.
  """
  devices = jax.local_devices()
  if not 0 <= count <= len(devices):
    raise ValueError(
      f'num_devices={count}: this process has {len(devices)} '
      f'({devices[0].device_kind}); 0 takes all'
    )
  return devices[: count or None]


def global_devices(count: int = 0) -> list[jax.Device]:
  """The first `count` devices of every process, those of one after another.

  Args:
    count: of each process; 0 for all.

  Raises:
    ValueError: where this process has fewer, or another has more or fewer.
  """
  own = local_devices(count)
  if jax.process_count() == 1:
    return own
  found: dict[int, list[jax.Device]] = {}
  for device in sorted(jax.devices(), key=lambda d: (d.process_index, d.id)):
    found.setdefault(device.process_index, []).append(device)
  chosen = [devices[: count or None] for devices in found.values()]
  for process, devices in zip(found, chosen):
    if len(devices) != len(own):
      raise ValueError(
        f'num_devices={count}: process {process} has {len(devices)} devices, '
        f'process {jax.process_index()} {len(own)}; must be as many on each'
      )
  return sum(chosen, [])


def addressable_devices(devices: Sequence[jax.Device]) -> list[jax.Device]:
  """Those of this process."""
  return [d for d in devices if d.process_index == jax.process_index()]


def addressable_state(tree: PyTree) -> PyTree:
  """A tree that is whole on every device, without those of other processes."""
  return jax.tree.map(
    lambda x: x if x.is_fully_addressable else x.addressable_data(0), tree
  )


def check_divisible(batch_size: int, num_devices: int) -> None:
  """Refuses a batch that cannot be shared out evenly.

  Raises:
    ValueError: naming both numbers and the nearest sizes that fit.
  """
  if batch_size < 1 or batch_size % num_devices:
    low = batch_size // num_devices * num_devices
    near = [n for n in (low, low + num_devices) if n > 0]
    raise ValueError(
      f'batch_size={batch_size} does not divide by the {num_devices} devices; '
      f'nearest that do: {" and ".join(map(str, near))}'
    )


def check_axis_name(step: Callable[..., Any], parts: int) -> None:
  """Refuses a step that would see one device's part of the batch alone.

  Raises:
    ValueError: where the step says that it has no axis name, and there is
      more than one part.
  """
  if parts > 1 and getattr(step, 'axis_name', AXIS_NAME) != AXIS_NAME:
    raise ValueError(
      f'the step was made with axis_name={step.axis_name!r}: on {parts} devices '
      'gradients, losses and terms that mix a batch would be those of one part '
      "of it; make it with axis_name=devices.AXIS_NAME ('batch')"
    )


class ParallelStep(NamedTuple):
  """A step on several devices, and how its arguments get there.

  Attributes:
    step: (state, batch, key, ...) -> (state, metrics), compiled; the state is
      donated.
    put: a tree to every device, whole (states, keys). The step must not be
      given the original afterwards: it may share memory with the copy.
    put_batch: a host batch to the devices, split (or whole, for a step that
      picks its own part); of several processes each gives its own part.
  """

  step: Callable[..., Any]
  put: Callable[[PyTree], PyTree]
  put_batch: Callable[[PyTree], PyTree]


def parallelize_step(
  step: Callable[..., Any],
  devices: Sequence[jax.Device],
  *,
  backend: str = 'pmap',
  batch_axis: int | None = 1,
  arguments: int = 3,
) -> ParallelStep:
  """Runs a step on devices, through pmap or shard_map.

  Args:
    step: (state, batch, key, ...) -> (state, metrics), made with
      `axis_name=devices.AXIS_NAME`.
    devices: of this process; of several, as many of each (job_devices).
    backend: 'pmap' or 'shard_map': the same program by either door.
    batch_axis: the axis of the batch's leaves to split (a train step's
      leaves are `[d_steps, B, ...]`: 1); None for a batch that every device
      gets whole.
    arguments: number of arguments of the step; all but the batch are the
      same on every device.

  Returns:
    The compiled step and the two functions that place its arguments.

  Raises:
    ValueError: for an unknown backend, or a step made without an axis name on
      several devices.
  """
  check_axis_name(step, len(devices))
  if backend not in BACKENDS:
    raise ValueError(f'parallel={backend!r}: choose one of {BACKENDS}')
  # pmap takes what is on this process, and gives it back.
  own = addressable_devices(devices) if backend == 'pmap' else devices
  mesh = Mesh(np.asarray(own), (AXIS_NAME,))
  whole = batch_axis is None
  split = PartitionSpec(*[] if whole else [*[None] * batch_axis, AXIS_NAME])
  rest = arguments - 2
  put, place_split = _place(mesh, PartitionSpec()), _place(mesh, split)
  if backend == 'shard_map':
    # check_vma=True would sum the gradients of replicated parameters itself.
    mapped = jax.shard_map(
      step,
      mesh=mesh,
      in_specs=(PartitionSpec(), split, *[PartitionSpec()] * rest),
      out_specs=(PartitionSpec(), PartitionSpec()),
      check_vma=False,
    )
    return ParallelStep(jax.jit(mapped, donate_argnums=0), put, place_split)

  def put_batch(batch):
    if whole:
      return put(batch)
    return place_split(split_batch(batch, len(own), batch_axis))

  if not whole:
    mapped = jax.pmap(
      step,
      AXIS_NAME,
      in_axes=(None, batch_axis, *[None] * rest),
      out_axes=(None, None),
      donate_argnums=0,
      devices=devices,
    )
    return ParallelStep(mapped, put, put_batch)
  # Something must be mapped, and a batch that is whole on every device is not.
  mapped = jax.pmap(
    lambda _, *arguments: step(*arguments),
    AXIS_NAME,
    in_axes=(0, *[None] * arguments),
    out_axes=(None, None),
    donate_argnums=1,
    devices=devices,
  )
  numbers = _place(mesh, PartitionSpec(AXIS_NAME))(np.arange(len(own)))
  return ParallelStep(functools.partial(mapped, numbers), put, put_batch)


def shard_members(
  run: Callable[..., Any], devices: Sequence[jax.Device]
) -> ParallelStep:
  """Shares the members of an ensemble out over devices.

  Args:
    run: (states, feed, draws, count) -> (states, metrics), of which states,
      draws and metrics have a first axis of members.
    devices: of this process; their number divides that of the members.

  Returns:
    The compiled program; `put` splits members, `put_batch` gives the feed to
    every device. No device waits for another.
  """
  mesh = Mesh(np.asarray(devices), ('members',))
  split, whole = PartitionSpec('members'), PartitionSpec()
  mapped = jax.shard_map(
    run,
    mesh=mesh,
    in_specs=(split, whole, split, whole),
    out_specs=(split, split),
    check_vma=False,
  )
  return ParallelStep(
    jax.jit(mapped, donate_argnums=0), _place(mesh, split), _place(mesh, whole)
  )


def _place(mesh: Mesh, spec: PartitionSpec) -> Callable[[PyTree], PyTree]:
  sharding = NamedSharding(mesh, spec)
  if sharding.is_fully_addressable:
    return lambda tree: jax.device_put(tree, sharding)

  def put(x):
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
      data = put(jax.random.key_data(x))
      return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    return jax.make_array_from_process_local_data(sharding, np.asarray(x))

  return lambda tree: jax.tree.map(put, tree)


class ExampleSharding(NamedTuple):
  """Where a function of independent examples runs, under plain jit.

  Attributes:
    put: a tree to every device, whole.
    put_batch: host arrays to the devices, split along their first axis; rows
      that repeat the last one make it divide.
  """

  put: Callable[[PyTree], PyTree]
  put_batch: Callable[[PyTree], PyTree]


def shard_examples(devices: Sequence[jax.Device]) -> ExampleSharding:
  """Shares examples out over devices.

  Args:
    devices: of this process.

  Returns:
    What places the arguments of a jitted function; where each row of its
    result depends on one row of the batch, no device waits for another.
  """
  mesh = Mesh(np.asarray(devices), (AXIS_NAME,))
  place = _place(mesh, PartitionSpec(AXIS_NAME))

  def fill(x):
    missing = -len(x) % len(devices)
    return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)])

  return ExampleSharding(
    _place(mesh, PartitionSpec()),
    lambda batch: place(jax.tree.map(fill, batch)),
  )


def split_batch(batch: PyTree, parts: int, batch_axis: int = 1) -> PyTree:
  """Reshapes the batch axis to [parts, B / parts].

  Raises:
    ValueError: where B does not divide.
  """

  def split(x):
    check_divisible(x.shape[batch_axis], parts)
    before, after = x.shape[:batch_axis], x.shape[batch_axis + 1 :]
    return x.reshape(*before, parts, -1, *after)

  return jax.tree.map(split, batch)


def emulate_devices(
  step: Callable[..., Any], parts: int, *, batch_axis: int = 1
) -> Callable[..., Any]:
  """Runs a step as if on several devices, on one, by vmap.

  What pmap would hide raises here: an output that differs between devices
  (a forgotten mean) cannot be returned.

  Args:
    step: made with `axis_name=devices.AXIS_NAME`.
    parts: number of devices to emulate.
    batch_axis: as in parallelise.

  Returns:
    (state, whole batch, key) -> (state, metrics).

  Raises:
    ValueError: for a step made without an axis name.
  """
  check_axis_name(step, parts)
  # One part takes no means, so that its outputs count as mapped.
  alone = parts == 1
  mapped = jax.vmap(
    step,
    axis_name=AXIS_NAME,
    in_axes=(None, batch_axis, None),
    out_axes=0 if alone else (None, None),
  )

  def run(state, batch, key):
    out = mapped(state, split_batch(batch, parts, batch_axis), key)
    return jax.tree.map(lambda x: x[0], out) if alone else out

  return run
