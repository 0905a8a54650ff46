/* What "watch it write" computes, as the package does: an LSTM that writes, a table of counts,
   and draws. The tests compare all of it. */
import { affine, best, bytes, softmax, step } from "./networks.js";

/** The LSTM from its weights: integers of 8 bits, and for each array what one stands for. */
export function unpackLSTM(text, scales, units, size) {
  const all = new Int8Array(bytes(text).buffer), width = 4 * units;
  let at = 0, array = 0;
  const take = (n) => {
    const scale = scales[array++];
    return Float64Array.from(all.subarray(at, (at += n)), (v) => scale * v);
  };
  return {
    name: "LSTM", units, kernel: take(size * width), recurrent: take(units * width), bias: take(width),
    recurrentBias: new Float64Array(width), head: take(units * size), headBias: take(size),
  };
}

/** States, and in `p` what may come next, before anything was read. */
export function blank(net) {
  const h = new Float64Array(net.units);
  return { h, c: h, p: softmax(affine(h, net.head, net.headBias)) };
}

/** The same after one more symbol. */
export function readOn(net, before, symbol) {
  const x = new Float64Array(net.headBias.length);
  x[symbol] = 1;
  return step(net, x, before, {});
}

/** The table of counts: for each context the symbols after it, and what is kept of each. */
export function unpackTable(text, discounts) {
  const all = bytes(text), contexts = new Map();
  let at = 0;
  const count = () => { // seven bits in a byte, the lowest ones first
    let n = 0, place = 1;
    for (; all[at] > 127; place *= 128) n += place * (all[at++] & 127);
    return n + place * all[at++];
  };
  const grow = (context, came) => {
    const symbols = [], counts = [];
    for (let more = all[at++]; more; more--) {
      const byte = all[at++], symbol = byte & 127, n = count();
      symbols.push(symbol);
      counts.push(n);
      if (byte > 127) grow(context + String.fromCharCode(symbol), n);
    }
    const sum = (values) => values.reduce((a, b) => a + b, 0), N = came ?? sum(counts);
    const kept = counts.map((n) => Math.max(n - discounts[context.length], 0));
    contexts.set(context, { N, symbols, kept, left: N - sum(kept) });
  };
  grow("", null);
  return { contexts, longest: discounts.length };
}

/** What the table expects after symbols, and how many of them it went by. */
export function lookUp({ contexts, longest }, size, symbols) {
  let p = new Float64Array(size).fill(1 / size), by = 0;
  for (let k = 0; k < longest && k <= symbols.length; k++) {
    const found = contexts.get(String.fromCharCode(...symbols.slice(symbols.length - k)));
    if (!found) continue;
    p = p.map((v) => (v * found.left) / found.N);
    found.symbols.forEach((symbol, j) => { p[symbol] += found.kept[j] / found.N; });
    by = k;
  }
  return { p, by };
}

/** Probabilities at a temperature. */
export const temper = (p, temperature) => softmax(p.map((v) => Math.log(v || 1e-300) / temperature));

/** A random number from 0 to 1, always the same for the k-th letter of a seed: whoever goes
 *  back and on again sees the same text. */
export function chance(seed, k) {
  let t = (Math.imul(seed + 1, 0x9e3779b9) + Math.imul(k + 1, 0x6d2b79f5)) | 0;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

/** The symbol that a random number stands for. */
export function pick(p, random) {
  let sum = 0;
  const symbol = p.findIndex((v) => (sum += v) > random);
  return symbol < 0 ? best(p) : symbol; // where the sum stays just below 1
}
