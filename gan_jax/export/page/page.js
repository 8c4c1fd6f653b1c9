// The controls of the page. Samples are computed by a worker, one at a time.
'use strict';

const page = JSON.parse(document.getElementById('data').textContent);
const $ = (id) => document.getElementById(id);
const [isImage, isSound, isPoint] = [page.kind === 'image', page.kind === 'sound', page.kind === 'point'];
const decode = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const vectors = decode(page.directions.vectors), width = page.directions.width;
const state = {seed: 0, index: 0, label: 0, psi: 1, moved: Array(page.directions.count).fill(0), z: latents(page.latents, 0, 0)};

// ---- The generator, in a worker where the browser allows one.

function startWorker() {
  const work = `
    let graph;
    onmessage = ({data}) => {
      if (data.graph) { graph = load(data.graph); return; }
      const start = performance.now(), x = run(graph, data.inputs);
      postMessage({id: data.id, x, milliseconds: performance.now() - start});
    };`;
  const source = new Blob([$('interpreter').textContent, work], {type: 'text/javascript'});
  const worker = new Worker(URL.createObjectURL(source));
  worker.postMessage({graph: page.graph});
  return worker;
}

const waiting = new Map();
let worker = null, local = null, count = 0;
try {
  worker = startWorker();
  worker.onmessage = ({data}) => {
    waiting.get(data.id)(data);
    waiting.delete(data.id);
  };
} catch {
  local = load(page.graph);
}

function compute(inputs) {
  if (local) {
    const start = performance.now(), x = run(local, inputs);
    return new Promise((done) => setTimeout(() => done({x, milliseconds: performance.now() - start})));
  }
  return new Promise((done) => {
    waiting.set(++count, done);
    worker.postMessage({id: count, inputs});
  });
}

function shift(moved) {
  const sum = new Float32Array(width);
  moved.forEach((by, k) => {
    if (by) for (let i = 0; i < width; i++) sum[i] += by * page.directions.scales[k] * vectors[k * width + i];
  });
  return sum;
}

function inputs(z, {label, psi, moved}) {
  const by = shift(moved), given = {z};
  if (page.directions.space === 'w') given.shift = by;
  else given.z = z.map((v, i) => v + by[i]);
  if (page.classes) given.label = [label];
  if (page.truncation) given.psi = [psi];
  return given;
}

// For tests, and for whoever opens the console: a sample as Python draws it.
window.generate = (seed, index = 0, {label = 0, psi = 1} = {}) =>
  compute(inputs(latents(page.latents, seed, index), {label, psi, moved: []})).then(({x}) => Array.from(x));

// ---- Pictures, sounds and points.

function paint(canvas, x) {
  const [height, width, channels] = page.shape;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d'), image = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = Math.round((x[i * channels + (channels > 2 ? k : 0)] + 1) * 127.5);
    image.data[4 * i + 3] = channels === 4 ? Math.round((x[4 * i + 3] + 1) * 127.5) : 255;
  }
  context.putImageData(image, 0, 0);
}

function clear(canvas, width, height) {
  canvas.width = width;
  canvas.height = height;
  canvas.classList.add('plot');
  const context = canvas.getContext('2d');
  context.strokeStyle = context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--accent');
  return context;
}

function plotLine(canvas, x) {
  const [w, h] = [800, 300], context = clear(canvas, w, h), channels = isSound ? page.shape[1] : 1;
  const length = x.length / channels, most = isSound ? 1 : Math.max(1e-6, ...x.map(Math.abs));
  for (let i = 0; i < w; i++) { // the range of the numbers of each column
    const from = Math.floor(i * length / w), to = Math.max(from + 1, Math.floor((i + 1) * length / w));
    let low = Infinity, high = -Infinity;
    for (let j = from; j < to; j++) {
      low = Math.min(low, x[j * channels]);
      high = Math.max(high, x[j * channels]);
    }
    const top = h / 2 - high / most * h * 0.47, bottom = h / 2 - low / most * h * 0.47;
    context.fillRect(i, top, 1, Math.max(1.5, bottom - top));
  }
}

function plotPoints(canvas, points) {
  const side = 600, context = clear(canvas, side, side), span = page.span;
  context.globalAlpha = 0.6;
  for (const [a, b] of points) {
    context.beginPath();
    context.arc(side / 2 + a / span * side * 0.46, side / 2 - b / span * side * 0.46, 4, 0, 7);
    context.fill();
  }
}

function wav(x) {
  const channels = page.shape[1], bytes = new DataView(new ArrayBuffer(44 + 2 * x.length));
  const text = (at, word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF'); text(8, 'WAVEfmt '); text(36, 'data');
  bytes.setUint32(4, 36 + 2 * x.length, true);
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, channels, true);
  bytes.setUint32(24, page.rate, true);
  bytes.setUint32(28, page.rate * 2 * channels, true);
  bytes.setUint16(32, 2 * channels, true);
  bytes.setUint16(34, 16, true);
  bytes.setUint32(40, 2 * x.length, true);
  x.forEach((v, i) => bytes.setInt16(44 + 2 * i, Math.round(Math.max(-1, Math.min(1, v)) * 32767), true));
  return new Blob([bytes.buffer], {type: 'audio/wav'});
}

function show(canvas, x) {
  if (isImage) paint(canvas, x);
  else plotLine(canvas, x);
}

let sound = null;
function play(x, plays) {
  if (sound) URL.revokeObjectURL(sound);
  sound = URL.createObjectURL(wav(x));
  $('audio').src = sound;
  if (plays) $('audio').play().catch(() => {});
}

// ---- The sample: drawn again whenever a control moves, the last wish first.

let drawing = false, wanted = false, times = [], plays = false;
async function draw() {
  wanted = true;
  if (drawing) return;
  drawing = true;
  while (wanted) {
    wanted = false;
    let result;
    if (isPoint) {
      const points = [];
      for (let i = 0; i < page.points; i++) {
        result = await compute(inputs(latents(page.latents, state.seed, i), state));
        points.push(result.x);
        if (wanted) break;
      }
      if (!wanted || points.length === page.points) plotPoints($('sample'), points);
    } else {
      result = await compute(inputs(state.z, state));
      show($('sample'), result.x);
      if (isSound) play(result.x, plays);
      plays = false;
    }
    times = [...times.slice(-9), result.milliseconds];
    const middle = [...times].sort((a, b) => a - b)[times.length >> 1];
    $('status').textContent = `${middle < 10 ? middle.toFixed(1) : middle.toFixed(0)} ms a sample`;
  }
  drawing = false;
  document.body.dataset.drawn = 'yes';
  fillGallery();
}

// ---- Other samples of the seed, while the first has nothing to do.

const tiles = [];
let stale = 0;
function makeGallery() {
  for (let i = 0; i < (isPoint ? 0 : page.gallery); i++) {
    const button = document.createElement('button'), canvas = document.createElement('canvas');
    button.type = 'button';
    button.setAttribute('aria-label', `Sample ${i}`);
    if (isImage) canvas.className = page.shape[0] < 96 ? 'pixels' : '';
    button.append(canvas);
    button.onclick = () => { plays = true; choose(state.seed, i); };
    $('gallery').append(button);
    tiles.push({button, canvas});
  }
  $('more').hidden = !tiles.length;
  $('gallery').classList.toggle('wide', !isImage);
  if (!isImage) $('gallery').style.setProperty('--aspect', '2.6');
  else $('gallery').style.setProperty('--aspect', page.shape[1] / page.shape[0]);
}

let filling = false;
async function fillGallery() {
  if (filling) return;
  filling = true;
  while (stale < tiles.length && !drawing) {
    const i = stale++;
    const {x} = await compute(inputs(latents(page.latents, state.seed, i), state));
    show(tiles[i].canvas, x);
  }
  filling = false;
  if (stale >= tiles.length) document.body.dataset.filled = 'yes';
}

// ---- Controls.

function choose(seed, index) {
  if (seed !== state.seed) stale = 0;
  Object.assign(state, {seed, index, z: latents(page.latents, seed, index)});
  refresh();
  draw();
}

function refresh() {
  $('seed').value = state.seed;
  $('index').value = state.index;
  tiles.forEach(({button}, i) => button.setAttribute('aria-pressed', i === state.index));
  entries.forEach((set, i) => set(state.z[i]));
}

function makeSlider(parent, name, low, high, changed) {
  const row = document.createElement('div'), label = document.createElement('label');
  const input = document.createElement('input'), output = document.createElement('output');
  row.className = 'slider';
  input.id = `slider-${name}`;
  label.htmlFor = input.id;
  label.textContent = name;
  Object.assign(input, {type: 'range', min: low, max: high, step: 0.01});
  const set = (value) => { input.value = value; output.textContent = Number(value).toFixed(2); };
  input.oninput = () => { set(input.value); changed(Number(input.value)); };
  row.append(label, input, output);
  parent.append(row);
  set(0);
  return set;
}

const entries = [], steps = [];
state.moved.forEach((_, k) => steps.push(makeSlider($('directions'), `d${k + 1}`, -4, 4, (v) => {
  state.moved[k] = v;
  stale = 0;
  draw();
})));
if (!isPoint) {
  const most = page.latents.name === 'uniform' ? 1 : 4;
  $('entries').ontoggle = () => {
    if (entries.length) return;
    for (let i = 0; i < page.latents.dim; i++) {
      entries.push(makeSlider($('latents'), `z${i}`, -most, most, (v) => { state.z[i] = v; draw(); }));
    }
    refresh();
  };
} else {
  $('entries').hidden = true;
  for (const id of ['index', 'previous', 'next', 'walk']) $(id).hidden = true;
  document.querySelector('label[for=index]').hidden = true;
}

const whole = (text) => Math.max(0, Math.min(2 ** 32 - 1, Math.floor(Number(text) || 0)));
$('seed').onchange = () => choose(whole($('seed').value), state.index);
$('index').onchange = () => choose(state.seed, whole($('index').value));
const by = (step) => { plays = true; choose(state.seed, whole(state.index + step)); };
$('previous').onclick = () => by(-1);
$('next').onclick = () => by(1);
$('random').onclick = () => { plays = true; choose(crypto.getRandomValues(new Uint32Array(1))[0] % 1000000, 0); };
$('reset').onclick = () => {
  state.moved.fill(0);
  steps.forEach((set) => set(0));
  state.psi = 1;
  setPsi(1);
  stale = 0;
  choose(state.seed, state.index);
};
document.addEventListener('keydown', (event) => {
  if (['INPUT', 'SUMMARY', 'AUDIO'].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'ArrowLeft') by(-1);
  else if (event.key === 'ArrowRight') by(1);
});

const setPsi = (value) => { $('psi').value = value; document.querySelector('#truncation output').textContent = Number(value).toFixed(2); };
$('psi').oninput = () => { setPsi($('psi').value); state.psi = Number($('psi').value); stale = 0; draw(); };
$('truncation').hidden = !page.truncation;

$('classes').hidden = !page.classes;
(page.classes || []).forEach((name, i) => {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = name;
  button.setAttribute('aria-pressed', i === 0);
  button.onclick = () => {
    [...$('classes').querySelectorAll('button')].forEach((b, k) => b.setAttribute('aria-pressed', k === i));
    state.label = i;
    stale = 0;
    plays = true;
    draw();
  };
  $('classes').append(button);
});

// A walk through the next samples, on great circles with the radius between.
function between(a, b, t) {
  const norm = (v) => Math.hypot(...v) || 1, [p, q] = [norm(a), norm(b)];
  const angle = Math.acos(Math.max(-1, Math.min(1, a.reduce((sum, v, i) => sum + v * b[i], 0) / p / q)));
  const s = Math.sin(angle), radius = (1 - t) * p + t * q;
  if (page.latents.name !== 'normal' || s < 1e-4) return a.map((v, i) => (1 - t) * v + t * b[i]);
  return a.map((v, i) => radius * (Math.sin((1 - t) * angle) / s * v / p + Math.sin(t * angle) / s * b[i] / q));
}

let walking = false;
$('walk').onclick = async () => {
  walking = !walking;
  $('walk').setAttribute('aria-pressed', walking);
  while (walking) {
    const from = state.z, next = whole(state.index + 1), to = latents(page.latents, state.seed, next);
    for (let start = performance.now(), t = 0; walking && t < 1; ) {
      t = Math.min(1, (performance.now() - start) / 1500);
      state.z = between(from, to, t);
      entries.forEach((set, i) => set(state.z[i]));
      await draw();
      await new Promise(requestAnimationFrame);
    }
    if (walking) {
      state.index = next;
      refresh();
    }
  }
};

$('save').onclick = () => {
  const link = document.createElement('a'), name = `seed${state.seed}_index${String(state.index).padStart(6, '0')}`;
  link.download = name + (isSound ? '.wav' : '.png');
  link.href = isSound ? sound : $('sample').toDataURL('image/png');
  link.click();
};

$('about').textContent = page.about;
$('notes').textContent = page.notes;
$('audio').hidden = !isSound;
if (isImage && page.shape[0] < 96) $('sample').classList.add('pixels');
if (isImage) $('sample').style.aspectRatio = page.shape[1] / page.shape[0];
matchMedia('(prefers-color-scheme: dark)').onchange = () => { stale = 0; draw(); };
makeGallery();
refresh();
draw();
