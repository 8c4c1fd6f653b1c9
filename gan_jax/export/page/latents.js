// Draws the latents that gan_jax draws: jax.random with Threefry-2x32 keys.
'use strict';

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];

// Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011.
function threefry(key, high, low) {
  const words = [key[0], key[1], (key[0] ^ key[1] ^ 0x1bd11bda) >>> 0];
  let a = (high + words[0]) >>> 0, b = (low + words[1]) >>> 0;
  for (let group = 0; group < 5; group++) {
    for (const r of ROTATIONS[group % 2]) {
      a = (a + b) >>> 0;
      b = ((b << r) | (b >>> (32 - r))) >>> 0;
      b = (b ^ a) >>> 0;
    }
    a = (a + words[(group + 1) % 3]) >>> 0;
    b = (b + words[(group + 2) % 3] + group + 1) >>> 0;
  }
  return [a, b];
}

// jax.random.uniform of a key, in [low, high).
function uniform(key, count, low, high) {
  const f = Math.fround, range = f(high - low);
  return Array.from({length: count}, (_, i) => {
    const [a, b] = threefry(key, 0, i), mantissa = ((a ^ b) >>> 9) / 2 ** 23;
    return Math.max(low, f(f(mantissa * range) + low));
  });
}

// Giles, Approximating the erfinv function, 2012; as XLA in float32.
const NEAR = [2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
  -0.00125372503, -0.00417768164, 0.246640727, 1.50140941];
const FAR = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
  -0.0076224613, 0.00943887047, 1.00167406, 2.83297682];
function inverseErf(x) {
  const w = -Math.log1p(-x * x), near = w < 5, t = near ? w - 2.5 : Math.sqrt(w) - 3;
  return x * (near ? NEAR : FAR).reduce((sum, c) => sum * t + c, 0);
}

// The latents of a sample, of gan_jax.load(...)(count, seed=seed)[index].
function latents(law, seed, index) {
  const key = threefry([0, seed >>> 0], 0, index), f = Math.fround;
  const below = 1 - 2 ** -24; // the float32 below 1
  if (law.name === 'uniform') return uniform(key, law.dim, -1, 1);
  if (law.name === 'normal') {
    return uniform(key, law.dim, -below, 1).map((u) => Math.SQRT2 * inverseErf(u));
  }
  const edge = f(law.edge); // of the uniform numbers
  return uniform(key, law.dim, -edge, edge).map((u) => Math.SQRT2 * inverseErf(u));
}

if (typeof module !== 'undefined') module.exports = {latents};
