/* What the networks of "watch it read" and "watch it write" compute, as the package has them;
   the tests compare every gate, state and answer. */

export const SIDE = 28, ANSWERS = 10;
const BLOCKS = { RNN: "h", LSTM: "ifgo", GRU: "zrg" };  // of the kernel, in Keras's order
export const best = (p) => p.indexOf(Math.max(...p));

export const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

function float16(text) {  // little-endian; not every browser has a Float16Array yet
  const view = new DataView(bytes(text).buffer);
  return Float64Array.from({ length: view.byteLength / 2 }, (_, k) => {
    const v = view.getUint16(2 * k, true), exponent = (v >> 10) & 31, rest = (v & 1023) / 1024;
    return (v & 32768 ? -1 : 1) * (exponent ? 2 ** (exponent - 15) * (1 + rest) : 2 ** -14 * rest);
  });
}

/** A network from its weights: kernel, recurrent kernel, bias, then those of the head. */
export function unpack(name, text, units) {
  const all = float16(text), width = BLOCKS[name].length * units;
  let at = 0;
  const take = (n) => all.subarray(at, (at += n));
  return {
    name, units, kernel: take(SIDE * width), recurrent: take(units * width), bias: take(width),
    // The GRU's candidate needs a bias within its reset gate.
    recurrentBias: name === "GRU" ? take(width) : new Float64Array(width),
    head: take(units * ANSWERS), headBias: take(ANSWERS),
  };
}

/** Digits from four bits a pixel. */
export function unpackDigits(text) {
  const all = bytes(text), size = SIDE * SIDE;
  const pixel = (k) => ((all[k >> 1] >> (k % 2 ? 0 : 4)) & 15) / 15;
  return Array.from({ length: (2 * all.length) / size }, (_, d) =>
    Float64Array.from({ length: size }, (_, k) => pixel(d * size + k)));
}

export function affine(x, kernel, bias) {  // x W + b
  const sum = Float64Array.from(bias);
  for (let k = 0; k < x.length; k++) {
    if (x[k]) for (let j = 0; j < sum.length; j++) sum[j] += x[k] * kernel[k * sum.length + j];
  }
  return sum;
}

export function softmax(y) {
  const top = Math.max(...y), e = y.map((v) => Math.exp(v - top));
  const sum = e.reduce((a, b) => a + b);
  return e.map((v) => v / sum);
}

/** A step of a network, from the states `before`: gates, states, and the answer `p`. */
export function step(net, row, before, held) {  // held: gates at a fixed value, such as { f: 0 }
  const { units, name } = net, each = (f) => Float64Array.from({ length: units }, (_, j) => f(j));
  const x = affine(row, net.kernel, net.bias), u = affine(before.h, net.recurrent, net.recurrentBias);
  const at = (block, j) => BLOCKS[name].indexOf(block) * units + j;
  const sum = (block, j) => x[at(block, j)] + u[at(block, j)];
  const gate = (block) => each((j) => held[block] ?? 1 / (1 + Math.exp(-sum(block, j))));
  let s;
  if (name === "LSTM") {
    s = { i: gate("i"), f: gate("f"), g: each((j) => Math.tanh(sum("g", j))), o: gate("o") };
    s.c = each((j) => s.f[j] * before.c[j] + s.i[j] * s.g[j]);
    s.h = each((j) => s.o[j] * Math.tanh(s.c[j]));
  } else if (name === "GRU") {
    s = { z: gate("z"), r: gate("r") };
    s.g = each((j) => Math.tanh(x[at("g", j)] + s.r[j] * u[at("g", j)]));
    s.h = each((j) => s.z[j] * before.h[j] + (1 - s.z[j]) * s.g[j]);
  } else s = { h: each((j) => Math.tanh(sum("h", j))) };
  s.p = softmax(affine(s.h, net.head, net.headBias));
  return s;
}

/** Read a digit: gates, states and answers `p` after each row. The rows in `known`, from an
 *  earlier reading, are not read again. */
export function read(net, pixels, held = {}, known = []) {
  const steps = [...known];
  let s = known.at(-1) ?? { h: new Float64Array(net.units), c: new Float64Array(net.units) };
  for (let t = known.length; t < SIDE; t++) {
    steps.push((s = step(net, pixels.subarray(t * SIDE, (t + 1) * SIDE), s, held)));
  }
  return steps;
}

/** How much each row matters: the probability that moves to other answers, of the last
 *  ones, if that row alone is blank (half the sum of absolute differences). */
export function matters(net, pixels, held, steps) {
  return Array.from({ length: SIDE }, (_, t) => {
    const copy = pixels.slice().fill(0, t * SIDE, (t + 1) * SIDE);
    const { p } = read(net, copy, held, steps.slice(0, t)).at(-1);
    return p.reduce((sum, v, k) => sum + Math.abs(v - steps.at(-1).p[k]) / 2, 0);
  });
}
