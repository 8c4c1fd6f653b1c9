"""Runs one step on several devices; the only module that names devices.

A step here is any function (state, batch, key) -> (state, metrics) written for
one device with an axis name. The state is replicated: it goes in and comes out
equal on all devices. The batch is split along one axis. The devices may belong
to several processes, each of which then provides its own part of the batch.
"""

import functools
from typing import Any, Callable, NamedTuple, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS_NAME = 'batch'
PyTree = Any
BACKENDS = ('pmap', 'shard_map')


def local_devices(count: int = 0) -> list[jax.Device]:
  """Returns the first `count` devices of this process; 0 for all.

  Raises:
    ValueError: if the process has fewer; the message has both numbers.
  """
  devices = jax.local_devices()
  if not 0 <= count <= len(devices):
    raise ValueError(
      f'num_devices={count}: this process has {len(devices)} '
      f'({devices[0].device_kind}); 0 takes all'
    )
  return devices[: count or None]


def global_devices(count: int = 0) -> list[jax.Device]:
  """Returns the first `count` devices of every process, in order of process.

  Args:
    count: number of devices per process; 0 for all.

  Raises:
    ValueError: if this process has fewer devices, or another process has more
      or fewer than this one.
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
        f'process {jax.process_index()} has {len(own)}; must be equal'
      )
  return sum(chosen, [])


def addressable_devices(devices: Sequence[jax.Device]) -> list[jax.Device]:
  """Returns the devices of this process."""
  return [d for d in devices if d.process_index == jax.process_index()]


def addressable_state(tree: PyTree) -> PyTree:
  """Returns a replicated tree with only the arrays of this process."""
  return jax.tree.map(
    lambda x: x if x.is_fully_addressable else x.addressable_data(0), tree
  )


def check_divisible(batch_size: int, num_devices: int) -> None:
  """Checks that a batch can be split evenly over devices.

  Raises:
    ValueError: if it cannot; the message has both numbers and the nearest batch
      sizes that can.
  """
  if batch_size < 1 or batch_size % num_devices:
    low = batch_size // num_devices * num_devices
    near = [n for n in (low, low + num_devices) if n > 0]
    raise ValueError(
      f'batch_size={batch_size} is not a positive multiple of the number of '
      f'devices, {num_devices}; the nearest are {" and ".join(map(str, near))}'
    )


def check_axis_name(step: Callable[..., Any], parts: int) -> None:
  """Checks that a step averages over all parts of the batch.

  Raises:
    ValueError: if the step has no axis name, and there is more than one part.
  """
  if parts > 1 and getattr(step, 'axis_name', AXIS_NAME) != AXIS_NAME:
    raise ValueError(
      f'the step was built with axis_name={step.axis_name!r}: on {parts} '
      'devices, its gradients and losses would be those of one part of the '
      "batch; build it with axis_name=devices.AXIS_NAME ('batch')"
    )


class ParallelStep(NamedTuple):
  """A step on several devices, and the functions that place its arguments.

  Attributes:
    step: (state, batch, key, ...) -> (state, metrics), compiled; the state is
      donated.
    put: function that replicates a tree (a state, a key) on all devices. The
      original must not be passed to the step afterwards, because it may share
      buffers with the copy. Leaves that share a buffer with one another are
      copied, since a buffer cannot be donated twice.
    put_batch: function that splits a host batch over the devices (or replicates
      it, for a step that selects its own part). Each of several processes
      passes its own part of the batch.
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
  """Runs a step on several devices, through pmap or shard_map.

  Args:
    step: function (state, batch, key, ...) -> (state, metrics), built with
      `axis_name=devices.AXIS_NAME`.
    devices: devices of this process; with several processes, those of
      global_devices().
    backend: 'pmap' or 'shard_map'. Both compile the same program.
    batch_axis: axis along which the leaves of the batch are split; 1 for the
      leaves of a train step, `[d_steps, B, ...]`. None replicates the batch.
    arguments: number of arguments of the step; all but the batch are
      replicated.

  Returns:
    The compiled step and the two functions that place its arguments.

  Raises:
    ValueError: if the backend is unknown, or the step was built without an axis
      name and there are several devices.
  """
  check_axis_name(step, len(devices))
  if backend not in BACKENDS:
    raise ValueError(f'parallel={backend!r}: choose one of {BACKENDS}')
  # pmap takes and returns the arrays of this process.
  own = addressable_devices(devices) if backend == 'pmap' else devices
  mesh = Mesh(np.asarray(own), (AXIS_NAME,))
  whole = batch_axis is None
  split = PartitionSpec(*[] if whole else [*[None] * batch_axis, AXIS_NAME])
  rest = arguments - 2
  put, place_split = _place_state(mesh, PartitionSpec()), _place(mesh, split)
  if backend == 'shard_map':
    # check_vma=True would itself sum the gradients of replicated parameters.
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
  # pmap needs a mapped argument, and a replicated batch is not one.
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
  """Distributes the members of an ensemble over devices.

  Args:
    run: function (states, feed, streams, count) -> (states, metrics), where
      states, streams and metrics have a first axis of members.
    devices: devices of this process; their number must divide that of the
      members.

  Returns:
    The compiled program; `put` splits members, `put_batch` replicates the feed.
    No device waits for another.
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
    jax.jit(mapped, donate_argnums=0),
    _place_state(mesh, split),
    _place(mesh, whole),
  )


def scan_members(
  function: Callable[..., PyTree], devices: Sequence[jax.Device], rows: int
) -> Callable[..., tuple[PyTree, np.ndarray]]:
  """Distributes a function of a few members at a time over devices.

  Args:
    function: function (stacked members, shared) -> results with a first axis of
      members.
    devices: devices of this process; their number must divide that of the
      members.
    rows: number of members on a device in one call, at most.

  Returns:
    Function (all members, shared) -> iterator of (results on the host, indices
    of their members), in which each member is once.
  """
  mesh = Mesh(np.asarray(devices), ('members',))
  split, whole = PartitionSpec('members'), PartitionSpec()

  @functools.partial(jax.jit, static_argnums=3)
  def compute(members, start, shared, size):
    def local(members, start, shared):
      take = lambda x: jax.lax.dynamic_slice_in_dim(x, start, size)
      return function(jax.tree.map(take, members), shared)

    specs = (split, whole, whole)
    return jax.shard_map(
      local, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False
    )(members, start, shared)

  def scan(members, shared):
    members, shared = _place(mesh, split)(members), _place(mesh, whole)(shared)
    count = len(jax.tree.leaves(members)[0])
    each = count // len(devices)
    size = min(rows, each)
    for begin in range(0, each, size):
      start = min(begin, each - size)  # the last call repeats members
      found = jax.device_get(compute(members, np.int32(start), shared, size))
      places = np.arange(count).reshape(-1, each)[:, start : start + size]
      new = np.tile(np.arange(size) >= begin - start, len(devices))
      keep = lambda x, new=new: x[new]
      yield jax.tree.map(keep, found), places.ravel()[new]

  return scan


def _place_state(mesh: Mesh, spec: PartitionSpec):
  """Returns the function that places a tree which is donated later."""
  place = _place(mesh, spec)
  return lambda tree: place(_copy_shared(tree))


def _copy_shared(tree: PyTree) -> PyTree:
  """Copies leaves that share a buffer with an earlier leaf."""
  seen = set()

  def own(leaf):
    if not isinstance(leaf, jax.Array) or isinstance(leaf, jax.core.Tracer):
      return leaf
    found = _buffers(leaf)
    if seen & found:
      return jnp.copy(leaf)
    seen.update(found)
    return leaf

  return jax.tree.map(own, tree)


def _buffers(leaf: jax.Array) -> set[Any]:
  is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
  if is_key or not leaf.size:
    return {id(leaf)}
  return {
    (shard.device, shard.data.unsafe_buffer_pointer())
    for shard in leaf.addressable_shards
  }


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
  """Functions that place the arguments of a function of independent examples.

  Attributes:
    put: function that replicates a tree on all devices.
    put_batch: function that splits host arrays over the devices along their
      first axis, padded with copies of the last row to a multiple of the number
      of devices.
  """

  put: Callable[[PyTree], PyTree]
  put_batch: Callable[[PyTree], PyTree]


def shard_examples(devices: Sequence[jax.Device]) -> ExampleSharding:
  """Distributes examples over devices, for functions under plain jit.

  Args:
    devices: devices of this process.

  Returns:
    The functions that place the arguments of a jitted function. If each row of
    its result depends on one row of the batch only, no device waits for
    another.
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
    ValueError: if `parts` does not divide B.
  """

  def split(x):
    check_divisible(x.shape[batch_axis], parts)
    before, after = x.shape[:batch_axis], x.shape[batch_axis + 1 :]
    return x.reshape(*before, parts, -1, *after)

  return jax.tree.map(split, batch)


def emulate_devices(
  step: Callable[..., Any], parts: int, *, batch_axis: int = 1
) -> Callable[..., Any]:
  """Runs a step as if on several devices, on a single device, with vmap.

  Errors that pmap would hide are raised here: an output that differs between
  devices (because of a forgotten mean) cannot be returned.

  Args:
    step: function built with `axis_name=devices.AXIS_NAME`.
    parts: number of devices to emulate.
    batch_axis: axis along which the leaves of the batch are split, as in
      parallelize_step.

  Returns:
    Function (state, whole batch, key) -> (state, metrics).

  Raises:
    ValueError: if the step was built without an axis name and parts is above 1.
  """
  check_axis_name(step, parts)
  # With one part no means are taken, so that the outputs count as mapped.
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
