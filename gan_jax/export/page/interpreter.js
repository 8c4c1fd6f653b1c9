// Runs a graph of gan_jax.export. A tensor is {s: shape, d: flat array}.
'use strict';

const size = (s) => s.reduce((a, b) => a * b, 1);
const strides = (s) => {
  const result = Array(s.length);
  let n = 1;
  for (let i = s.length - 1; i >= 0; i--) {
    result[i] = n;
    n *= s[i];
  }
  return result;
};

function fromHalf(u) {
  const exponent = (u >> 10) & 31, fraction = u & 1023;
  const sign = u >> 15 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// Reads the constants, which are base64 of float16, float32, int32 or bool.
function load(graph) {
  const tensors = graph.constants.map(({shape, type, data}) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    let d = bytes;
    if (type === 'float16') d = Float32Array.from(new Uint16Array(bytes.buffer), fromHalf);
    if (type === 'float32') d = new Float32Array(bytes.buffer);
    if (type === 'int32') d = new Int32Array(bytes.buffer);
    return {s: shape, d};
  });
  return {inputs: graph.inputs, operations: graph.operations, output: graph.output, constants: tensors};
}

const array = {float32: Float32Array, int32: Int32Array, bool: Uint8Array};

// result[i] = x[base + step . coordinates of i]
function view(x, s, base, step) {
  const d = new x.d.constructor(size(s)), at = s.map(() => 0), last = s.length - 1;
  if (last < 0) {
    d[0] = x.d[base];
    return {s, d};
  }
  const inner = s[last], by = step[last];
  let from = base;
  for (let i = 0; i < d.length; ) {
    for (let j = 0, w = from; j < inner; j++, w += by) d[i++] = x.d[w];
    for (let k = last - 1; k >= 0; k--) {
      from += step[k];
      if (++at[k] < s[k]) break;
      from -= step[k] * s[k];
      at[k] = 0;
    }
  }
  return {s, d};
}

function permute(x, order) {
  const step = strides(x.s);
  return view(x, order.map((i) => x.s[i]), 0, order.map((i) => step[i]));
}

// The error function, by its Taylor series and its continued fraction.
function erf(x) {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x, sum = x;
    for (let n = 1; n < 60; n++) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return sum * 2 / Math.sqrt(Math.PI);
  }
  let f = 0;
  for (let n = 60; n > 0; n--) f = n / 2 / (a + f);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (a + f) / Math.sqrt(Math.PI));
}

function roundEven(x) {
  const low = Math.floor(x), rest = x - low;
  return rest < 0.5 ? low : rest > 0.5 ? low + 1 : low % 2 ? low + 1 : low;
}

const UNARY = {
  abs: Math.abs, ceil: Math.ceil, cos: Math.cos, erf, exp: Math.exp, expm1: Math.expm1,
  floor: Math.floor, is_finite: (x) => +Number.isFinite(x), log: Math.log, log1p: Math.log1p,
  logistic: (x) => 1 / (1 + Math.exp(-x)), neg: (x) => -x, not: (x) => +!x, round: roundEven,
  rsqrt: (x) => 1 / Math.sqrt(x), sign: Math.sign, sin: Math.sin, sqrt: Math.sqrt,
  square: (x) => x * x, tanh: Math.tanh,
};
const BINARY = {
  add: (a, b) => a + b, and: (a, b) => a & b, div: (a, b) => a / b, eq: (a, b) => +(a === b),
  ge: (a, b) => +(a >= b), gt: (a, b) => +(a > b), le: (a, b) => +(a <= b), lt: (a, b) => +(a < b),
  max: Math.max, min: Math.min, mul: (a, b) => a * b, ne: (a, b) => +(a !== b), or: (a, b) => a | b,
  pow: Math.pow, rem: (a, b) => a % b, sub: (a, b) => a - b,
};

// row[to + m] += sum over c of x[from + c] * k[at + c * width + m], four c at a time.
function addProducts(row, to, count, x, from, channels, k, at, width) {
  let c = 0;
  for (; c + 3 < channels; c += 4) {
    const p = x[from + c], q = x[from + c + 1], r = x[from + c + 2], t = x[from + c + 3];
    const k0 = at + c * width, k1 = k0 + width, k2 = k1 + width, k3 = k2 + width;
    for (let m = 0; m < count; m++) {
      row[to + m] += p * k[k0 + m] + q * k[k1 + m] + r * k[k2 + m] + t * k[k3 + m];
    }
  }
  for (; c < channels; c++) {
    const p = x[from + c], k0 = at + c * width;
    for (let m = 0; m < count; m++) row[to + m] += p * k[k0 + m];
  }
}

// Images [N, H, W, I], kernel [h, w, I / groups, O].
function convolve(shape, p, x, kernel) {
  if (shape.length === 3) { // sound is an image of one row
    const wide = {stride: [1, ...p.stride], padding: [[0, 0], ...p.padding], lhs_dilation: [1, ...p.lhs_dilation],
      rhs_dilation: [1, ...p.rhs_dilation], groups: p.groups};
    const image = {s: [x.s[0], 1, ...x.s.slice(1)], d: x.d}, k = {s: [1, ...kernel.s], d: kernel.d};
    return {s: shape, d: convolve([shape[0], 1, ...shape.slice(1)], wide, image, k).d};
  }
  const [, height, width, inputs] = x.s, [kh, kw, channels, outputs] = kernel.s, [n, rows, columns] = shape;
  const d = new Float32Array(size(shape)), row = new Float64Array(outputs), own = outputs / p.groups;
  const [[top], [left]] = p.padding;
  for (let b = 0, o = 0; b < n; b++) for (let y = 0; y < rows; y++) for (let z = 0; z < columns; z++, o += outputs) {
    row.fill(0);
    for (let i = 0; i < kh; i++) {
      let r = y * p.stride[0] + i * p.rhs_dilation[0] - top;
      if (r < 0 || r % p.lhs_dilation[0]) continue;
      r /= p.lhs_dilation[0];
      if (r >= height) continue;
      for (let j = 0; j < kw; j++) {
        let c = z * p.stride[1] + j * p.rhs_dilation[1] - left;
        if (c < 0 || c % p.lhs_dilation[1]) continue;
        c /= p.lhs_dilation[1];
        if (c >= width) continue;
        const from = ((b * height + r) * width + c) * inputs, at = (i * kw + j) * channels * outputs;
        for (let g = 0; g < p.groups; g++) {
          addProducts(row, g * own, own, x.d, from + g * channels, channels, kernel.d, at + g * own, outputs);
        }
      }
    }
    d.set(row, o);
  }
  return {s: shape, d};
}

function dot(shape, p, x, y) {
  const [[xSum, ySum], [xBatch, yBatch]] = p.dimension_numbers;
  const free = (t, ...taken) => t.s.map((_, i) => i).filter((i) => !taken.flat().includes(i));
  const xFree = free(x, xSum, xBatch), yFree = free(y, ySum, yBatch);
  const a = permute(x, [...xBatch, ...xFree, ...xSum]), b = permute(y, [...yBatch, ...ySum, ...yFree]);
  const count = (t, axes) => size(axes.map((i) => t.s[i]));
  const batch = count(x, xBatch), m = count(x, xFree), k = count(x, xSum), n = count(y, yFree);
  const d = new Float32Array(batch * m * n), row = new Float64Array(n);
  for (let q = 0; q < batch; q++) for (let i = 0; i < m; i++) {
    row.fill(0);
    addProducts(row, 0, n, a.d, (q * m + i) * k, k, b.d, q * k * n, n);
    d.set(row, (q * m + i) * n);
  }
  return {s: shape, d};
}

function reduce(shape, p, x, first, combine) {
  const keep = x.s.map((_, i) => i).filter((i) => !p.axes.includes(i));
  const all = permute(x, [...keep, ...p.axes]), n = size(p.axes.map((i) => x.s[i]));
  const d = new x.d.constructor(size(shape));
  for (let i = 0; i < d.length; i++) {
    let value = first;
    for (let j = 0; j < n; j++) value = combine(value, all.d[i * n + j]);
    d[i] = value;
  }
  return {s: shape, d};
}

function concatenate(shape, p, parts) {
  const d = new parts[0].d.constructor(size(shape)), inner = size(shape.slice(p.dimension + 1));
  const outer = size(shape.slice(0, p.dimension)), whole = shape[p.dimension] * inner;
  let start = 0;
  for (const t of parts) {
    const width = t.s[p.dimension] * inner;
    for (let i = 0; i < outer; i++) d.set(t.d.subarray(i * width, (i + 1) * width), i * whole + start);
    start += width;
  }
  return {s: shape, d};
}

function pad(shape, p, x, value) {
  const d = new x.d.constructor(size(shape)).fill(value.d[0]), step = strides(shape);
  const at = x.s.map(() => 0);
  for (let i = 0; i < x.d.length; i++) {
    let to = 0, inside = true;
    for (let k = 0; k < at.length; k++) {
      const [low, , inner] = p.padding_config[k], place = low + at[k] * (inner + 1);
      inside = inside && place >= 0 && place < shape[k];
      to += place * step[k];
    }
    if (inside) d[to] = x.d[i];
    for (let k = at.length - 1; k >= 0; k--) {
      if (++at[k] < x.s[k]) break;
      at[k] = 0;
    }
  }
  return {s: shape, d};
}

// XLA's gather, whose index vectors are the last axis of the indices.
function gather(shape, p, x, indices) {
  const d = new x.d.constructor(size(shape)), step = strides(x.s), istep = strides(indices.s);
  const outer = shape.map((_, i) => i).filter((i) => !p.offset_dims.includes(i));
  const hidden = [...p.collapsed_slice_dims, ...p.operand_batching_dims];
  const inner = x.s.map((_, i) => i).filter((i) => !hidden.includes(i));
  const at = shape.map(() => 0);
  for (let i = 0; i < d.length; i++) {
    const row = outer.reduce((sum, axis, k) => sum + at[axis] * istep[k], 0), start = x.s.map(() => 0);
    let inside = true;
    p.start_index_map.forEach((axis, k) => {
      const most = x.s[axis] - p.slice_sizes[axis], wanted = indices.d[row + k];
      inside = inside && wanted >= 0 && wanted <= most;
      start[axis] = Math.max(0, Math.min(most, wanted));
    });
    p.operand_batching_dims.forEach((axis, k) => {
      start[axis] = at[outer[p.start_indices_batching_dims[k]]];
    });
    inner.forEach((axis, k) => { start[axis] += at[p.offset_dims[k]]; });
    d[i] = p.fill && !inside ? NaN : x.d[start.reduce((sum, v, k) => sum + v * step[k], 0)];
    for (let k = at.length - 1; k >= 0; k--) {
      if (++at[k] < shape[k]) break;
      at[k] = 0;
    }
  }
  return {s: shape, d};
}

function map(type, x, f) {
  const d = new array[type](x.d.length);
  for (let i = 0; i < d.length; i++) d[i] = f(x.d[i]);
  return d;
}

function select(shape, which, no, yes) {
  const d = new no.d.constructor(size(shape)), scalar = which.d.length === 1;
  for (let i = 0; i < d.length; i++) d[i] = which.d[scalar ? 0 : i] ? yes.d[i] : no.d[i];
  return {s: shape, d};
}

function apply(name, shape, type, p, x) {
  const [a, b, c] = x, step = a ? strides(a.s) : [];
  if (UNARY[name]) return {s: shape, d: map(type, a, UNARY[name])};
  if (BINARY[name]) {
    const f = BINARY[name], d = new array[type](size(shape));
    const wide = (t) => (t.d.length === d.length ? t : view(t, shape, 0, shape.map((_, i) => (t.s[i] > 1 ? strides(t.s)[i] : 0))));
    const u = wide(a).d, v = wide(b).d;
    for (let i = 0; i < d.length; i++) d[i] = f(u[i], v[i]);
    return {s: shape, d};
  }
  switch (name) {
    case 'reshape': return {s: shape, d: a.d};
    case 'convert_element_type': return {s: shape, d: map(type, a, type === 'bool' ? (v) => +(v !== 0) : (v) => v)};
    case 'transpose': return permute(a, p.permutation);
    case 'broadcast_in_dim': {
      const by = shape.map(() => 0);
      p.broadcast_dimensions.forEach((axis, i) => { by[axis] = a.s[i] > 1 ? step[i] : 0; });
      return view(a, shape, 0, by);
    }
    case 'slice': return view(a, shape, p.start.reduce((sum, v, i) => sum + v * step[i], 0), step.map((v, i) => v * p.stride[i]));
    case 'rev': {
      const flips = (i) => p.dimensions.includes(i);
      return view(a, shape, step.reduce((sum, v, i) => sum + (flips(i) ? v * (a.s[i] - 1) : 0), 0), step.map((v, i) => (flips(i) ? -v : v)));
    }
    case 'concatenate': return concatenate(shape, p, x);
    case 'pad': return pad(shape, p, a, b);
    case 'gather': return gather(shape, p, a, b);
    case 'integer_pow': return {s: shape, d: map(type, a, (v) => v ** p.y)};
    case 'select_n': return select(shape, a, b, c);
    case 'reduce_sum': return reduce(shape, p, a, 0, (u, v) => u + v);
    case 'reduce_max': return reduce(shape, p, a, -Infinity, Math.max);
    case 'reduce_min': return reduce(shape, p, a, Infinity, Math.min);
    case 'conv_general_dilated': return convolve(shape, p, a, b);
    case 'dot_general': return dot(shape, p, a, b);
    default: throw Error(`unknown operation ${name}`);
  }
}

// Computes the output for inputs by name, each a flat array of numbers.
function run(graph, given) {
  const values = graph.inputs.map(([name, shape, type]) => ({s: shape, d: array[type].from(given[name])}));
  const read = (v) => (typeof v === 'number' ? values[v] : graph.constants[v.constant]);
  for (const [name, taken, output, shape, type, parameters] of graph.operations) {
    values[output] = apply(name, shape, type, parameters, taken.map(read));
  }
  return read(graph.output).d;
}

if (typeof module !== 'undefined') module.exports = {load, run};
