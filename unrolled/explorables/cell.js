/* One unit of an LSTM, a GRU or an RNN, with its weights in the reader's hands.

   A weight vector is [bias, of write, of erase, of h]. Steps count from 1. */

import { elements, fill } from "./elements.js";

const WEIGHTS = ["bias", "write", "erase", "h"];
const sigmoid = (a) => 1 / (1 + Math.exp(-a));
const slope = (gate) => gate * (1 - gate);  // of σ
const bend = (value) => 1 - value ** 2;     // slope of tanh

/* Each cell: a step (`a` gives what stands inside σ or tanh of a block), and a step back,
   in which `W` gives the block's weight of h: `_step` and `_step_back` of the package. */
const CELLS = {
  LSTM: {
    blocks: ["i", "f", "g", "o"], keeps: "f", state: "c",
    step(a, h, c) {
      const i = sigmoid(a("i", h)), f = sigmoid(a("f", h)), g = Math.tanh(a("g", h)), o = sigmoid(a("o", h));
      const held = f * c + i * g;
      return { i, f, g, o, c: held, h: o * Math.tanh(held) };
    },
    back({ i, f, g, o, c, h }, before, W, dh, dc) {
      dc += dh * o * bend(Math.tanh(c));
      const throughGates = dc * g * slope(i) * W("i") + dc * before.c * slope(f) * W("f");
      return [throughGates + dc * i * bend(g) * W("g") + dh * h * (1 - o) * W("o"), dc * f];
    },
  },
  GRU: {
    blocks: ["z", "r", "g"], keeps: "z", state: "h",
    step(a, h) {
      const z = sigmoid(a("z", h)), r = sigmoid(a("r", h)), g = Math.tanh(a("g", r * h));
      return { z, r, g, h: z * h + (1 - z) * g };
    },
    back({ z, r, g }, before, W, dh) {
      const dg = dh * (1 - z) * bend(g);
      const byReset = dg * before.h * W("g") * slope(r) * W("r");
      return [dh * z + dh * (before.h - g) * slope(z) * W("z") + byReset + dg * r * W("g"), 0];
    },
  },
  RNN: {
    blocks: ["h"], keeps: null, state: "h",
    step: (a, h) => ({ h: Math.tanh(a("h", h)) }),
    back: ({ h }, before, W, dh) => [dh * bend(h) * W("h"), 0],
  },
};

/** Run a unit, and go back through it. Returns an object per step: gates, states, `direct`
 *  (the product of the later forget or update gates) and `total`, the derivative of the last
 *  state with respect to this step's, by every path. */
export function run(kind, weights, write, erase, T) {
  const { step, back, keeps, state } = CELLS[kind];
  const steps = [{ h: 0, c: 0 }];
  for (let t = 1; t <= T; t++) {
    const a = (block, h) => {
      const [bias, ofWrite, ofErase, ofH] = weights[block];
      return bias + ofWrite * write.has(t) + ofErase * erase.has(t) + ofH * h;
    };
    steps.push(step(a, steps[t - 1].h, steps[t - 1].c));
  }
  let [dh, dc] = state === "c" ? [0, 1] : [1, 0], direct = 1;
  for (let t = T; t >= 1; t--) {
    const now = steps[t];
    now.total = state === "c" ? dc + dh * now.o * bend(Math.tanh(now.c)) : dh;
    if (keeps) now.direct = direct;
    direct *= now[keeps];
    [dh, dc] = back(now, steps[t - 1], (block) => weights[block][3], dh, dc);
  }
  return steps.slice(1);
}

/** A number as a reader writes it: 0.731, −12, 4.9·10⁻⁶, 1 − 2.1·10⁻⁹. */
export function number(value, digits = 3) {
  if (value < 1 && value > 0.999) return `1 − ${number(1 - value, 2)}`;
  const size = Math.abs(value), sign = value < 0 ? "−" : "";
  if (!size || (size >= 0.001 && size < 1e4)) return sign + Number(size.toPrecision(digits));
  if (!Number.isFinite(size)) return `${sign}∞`;
  const [digit, power] = size.toExponential(1).split("e");
  return `${sign}${digit}·10${power.replace("+", "").replace(/./g, (p) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(p)])}`;
}

/* A slider is finest around 0, where most happens: its place is a signed square root. */
const place = (value) => Math.sign(value) * Math.sqrt(Math.abs(value));
const valueAt = (at) => Number((Math.sign(at) * at * at).toFixed(Math.abs(at) < 2 ? 2 : 1));
const SUBSCRIPT = /_(\w)/;  // as in dc_T

function render({ model, el }) {
  const doc = el.ownerDocument, win = doc.defaultView;
  const words = model.get("words"), presets = model.get("presets"), T = model.get("steps");
  const marks = { write: new Set(), erase: new Set() };
  let kind, preset, block, weights, steps = [], at = null;

  const { make, button } = elements(doc);
  const draw = (tag, props = {}, ...inside) => {
    const made = doc.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in props) made.setAttribute(name, props[name]);
    made.append(...inside);
    return made;
  };

  /* Controls */
  const choice = (label, options, chosen, pick) => make("div", { role: "group", className: "cell-choice", "aria-label": label },
    make("span", {}, label), make("div", {}, ...Object.entries(options).map(([name, text]) =>
      button(text, () => pick(name), { "aria-pressed": String(name === chosen) }))));
  const pick = (options, names) => Object.fromEntries(names.map((name) => [name, options[name]]));
  const kinds = make("div"), starts = make("div"), blocks = make("div");
  const sliders = make("div", { className: "cell-sliders" });

  /* A choice is drawn anew when it changes: the keyboard stays where it was, and so does
     what stands below. */
  const renew = (box, control) => {
    box.style.minHeight = `${box.getBoundingClientRect().height}px`;
    const had = [...box.querySelectorAll("button")].indexOf(doc.activeElement);
    box.replaceChildren(control);
    if (had >= 0) box.querySelectorAll("button")[had].focus();
  };
  const controls = () => {
    renew(kinds, choice(words.cell, pick(words.models, Object.keys(presets)), kind, (name) => {
      kind = name;
      block = CELLS[kind].keeps ?? "h";
      load(presets[kind][preset] ? preset : Object.keys(presets[kind])[0]);
    }));
    renew(starts, choice(words.start, pick(words.presets, Object.keys(presets[kind])), preset, load));
    renew(blocks, choice(words.weights, pick(words.blocks[kind], CELLS[kind].blocks), block, (name) => { block = name; controls(); }));
    sliders.replaceChildren(...WEIGHTS.map((of, k) => {
      const shown = make("b", {}, number(weights[block][k]));
      const input = make("input", { type: "range", min: -6.5, max: 6.5, step: "any", value: place(weights[block][k]) });
      const tell = () => input.setAttribute("aria-valuetext", shown.textContent = number(weights[block][k]));
      input.oninput = () => {
        weights[block][k] = valueAt(input.valueAsNumber);
        preset = null;
        for (const button of starts.querySelectorAll("button")) button.setAttribute("aria-pressed", "false");
        tell();
        update();
      };
      tell();
      const name = make("i", {}, of === "bias" ? "b" : "W"), below = { bias: "", h: "h" }[of] ?? "x";
      shown.setAttribute("aria-hidden", "true");  // the slider says it already
      const wide = make("span", { className: "cell-of" }, name, make("sub", {}, below + (kind === "RNN" && of !== "bias" ? "h" : block)), ` ${words.of[of]}`);
      return make("label", {}, make("span", {}, wide, shown), input);
    }));
  };
  const load = (name) => {
    preset = name;
    weights = structuredClone(presets[kind][preset]);
    controls();
    update();
  };

  /** As the page has it. */
  function begin() {
    kind = model.get("model");
    block = model.get("block");
    at = null;
    for (const name in marks) marks[name] = new Set(model.get(name));
    load(model.get("preset"));
  }

  /* Where to write and to erase: one stop for the tabulator each, arrows lead along. */
  const SIGNS = { write: "▼", erase: "✕" }, strips = {};
  const strip = (name) => {
    const buttons = strips[name] = Array.from({ length: T }, (_, k) => button("", () => {
      marks[name].delete(k + 1) || marks[name].add(k + 1);
      update();
    }, {
      tabIndex: k ? -1 : 0, "aria-label": fill(words.step, { t: k + 1 }),
      onfocus: () => { at = k + 1; buttons.forEach((b, j) => { b.tabIndex = j === k ? 0 : -1; }); point(); },
    }));
    const row = make("div", { role: "group", "aria-label": words[name] }, ...buttons);
    row.onkeydown = (event) => {
      const k = buttons.indexOf(doc.activeElement);
      const to = { ArrowLeft: k - 1, ArrowRight: k + 1, Home: 0, End: T - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      buttons[Math.min(T - 1, Math.max(0, to))].focus();
    };
    return make("div", { className: `cell-marks cell-${name}` }, make("span", {}, words[name]), row);
  };

  /* The chart: state, gates and derivatives, one below the other over the same steps. */
  const LEFT = 54;
  const svg = draw("svg", { role: "img", "aria-label": fill(words.chart, { T }) });
  const chart = make("div", { className: "cell-chart" }, svg);
  const read = make("p", { className: "cell-read" }), said = make("p", { className: "cell-said", role: "status" });
  const cursor = draw("rect", { class: "at", y: 18 });
  const width = () => Math.max(160, chart.clientWidth - LEFT);
  chart.onpointerdown = chart.onpointermove = (event) => {
    at = Math.min(T, Math.max(1, Math.ceil((T * (event.clientX - chart.getBoundingClientRect().left - LEFT)) / width())));
    point();
  };

  function update() {
    steps = run(kind, weights, marks.write, marks.erase, T);
    const { blocks: rows, keeps, state } = CELLS[kind], dx = width() / T, parts = [];
    const spare = width() < 460 ? 15 : 0;  // for a second line of keys
    svg.style.height = `${418 + spare}px`;
    cursor.setAttribute("height", 382 + spare);
    const x = (t) => LEFT + dx * (t - 1), text = (x, y, content, props = {}) => parts.push(draw("text", { x, y, ...props }, content));
    const stairs = (y) => steps.map((now, k) => `${k ? "L" : "M"}${x(k + 1)} ${y(now)}H${x(k + 2)}`).join("");
    /* A key: its sign, a line or an area 22 wide, and its text. */
    const lowered = (content) => content.split(SUBSCRIPT).flatMap((part, k) => k % 2
      ? [draw("tspan", { dy: 3, "font-size": 9 }, part), draw("tspan", { dy: -3 }, "\u200b")] : [part]);
    const key = (x, y, looks, colour, content) => {
      parts.push(looks === "kept" ? draw("rect", { class: looks, x, y: y - 9, width: 22, height: 10 })
        : draw("path", { d: `M${x} ${y - 4}h22`, class: `${looks} ${colour}` }));
      parts.push(draw("text", { x: x + 27, y, class: colour }, ...lowered(content)));
    };
    const long = (content) => {
      const text = draw("text", {}, ...lowered(content));
      svg.append(text);
      return text.getComputedTextLength();
    };
    /* What the unit is told at a step is seen all the way down. */
    for (const name in marks) {
      for (const t of marks[name]) parts.push(draw("rect", { class: `told ${name}`, x: x(t), y: 18, width: dx, height: 382 + spare }));
      strips[name].forEach((button, k) => {
        const on = marks[name].has(k + 1);
        button.setAttribute("aria-pressed", String(on));
        button.textContent = on ? SIGNS[name] : k + 1;
      });
    }
    /* A curve leaves the panel where it leaves the axis. */
    const inside = (top, high, d, looks) => parts.push(draw("svg", { x: LEFT, y: top, width: width(), height: high,
      viewBox: `${LEFT} ${top} ${width()} ${high}`, overflow: "hidden" }, draw("path", { d, class: looks })));
    const line = (d, looks) => parts.push(draw("path", { d, class: looks }));

    /* the state, and for an LSTM what it shows of it */
    const gates = rows.filter((row) => row !== "h"), tall = 84 + 28 * (4 - gates.length) + (gates.length ? 0 : 22);
    const most = Math.max(...steps.map((now) => Math.abs(now[state]))), top = [0.5, 1].find((v) => most <= v) ?? Math.ceil(most / 2) * 2;
    const low = steps.some((now) => Math.min(now[state], now.h) < -0.01) ? -top : 0;
    const y = (value) => 20 + (tall * (top - value)) / (top - low);
    line(`M${LEFT} ${y(0)}H${x(T + 1)}`, "frame");
    for (const [value, label] of [[top, `${top}`], [0, "0"], [low, low ? `−${top}` : ""]]) text(LEFT - 6, y(value) + 4, label, { "text-anchor": "end", class: "muted" });
    key(LEFT, 12, "", "state", words.states[state]);
    if (state === "c") {
      key(LEFT + width() / 2, 12, "thin", "muted", words.states.h);
      line(stairs((now) => y(now.h)), "thin muted");
    }
    line(stairs((now) => y(now[state])), "state");

    /* the gates: full is open */
    let down = 20 + tall + 30;
    if (gates.length) text(LEFT, down - 6, words.gates, { class: "muted" });
    for (const row of gates) {
      const high = 22, signed = row === "g", zero = signed ? down + high / 2 : down + high;
      parts.push(draw("rect", { class: "ground", x: LEFT, y: down, width: width(), height: high }));
      steps.forEach((now, k) => {
        const size = (signed ? high / 2 : high) * Math.abs(now[row]);
        parts.push(draw("rect", { class: "bar", x: x(k + 1) + 0.5, y: now[row] > 0 ? zero - size : zero, width: Math.max(1, dx - 1), height: size }));
      });
      if (signed) line(`M${LEFT} ${zero}H${x(T + 1)}`, "frame");
      text(LEFT - 8, down + 16, row, { class: "name", "text-anchor": "end" });
      down += 28;
    }

    /* what is left of a gradient, on a logarithmic axis that grows only when it must */
    const from = 290 + spare, deep = 104, lowest = -8;
    const highest = [1, 4, 8].find((power) => steps.every((now) => Math.abs(now.total) <= 10 ** power)) ?? 12;
    const z = (value) => from + (deep * (highest - Math.log10(Math.abs(value) || 1e-99))) / (highest - lowest);
    parts.push(draw("rect", { class: "kept", x: LEFT, y: z(2), width: width(), height: z(0.5) - z(2) }));
    for (const power of [highest > 1 && highest, 0, -4, -8]) if (power !== false) {
      line(`M${LEFT} ${z(10 ** power)}H${x(T + 1)}`, "frame");
      text(LEFT - 6, z(10 ** power) + 4, power ? number(10 ** power).replace("1.0·", "") : "1", { "text-anchor": "end", class: "muted" });
    }
    const middle = (k) => x(k + 1.5), curve = (name) => `M${steps.map((now, k) => `${middle(k)} ${z(now[name])}`).join("L")}`;
    inside(from - 2, deep + 4, curve("total"), "gradient");
    if (keeps) inside(from - 2, deep + 4, curve("direct"), "direct");
    /* its keys, on a second line where one has no room for all of them */
    const keys = [["", "gradient", words.total[state]], ...(keeps ? [["direct", "", words.direct[keeps]]] : []), ["kept", "muted", words.kept]];
    const lines = [[]];
    let end = 0;
    for (const [looks, colour, content] of keys) {
      const wide = 27 + long(content);
      if (end && end + wide > width()) { lines.push([]); end = 0; }
      lines.at(-1).push([end, looks, colour, content]);
      end += wide + 14;
    }
    lines.reverse().forEach((line, k) => line.forEach(([x, ...rest]) => key(LEFT + x, from - 8 - 15 * k, ...rest)));
    const title = fill(words.gradient, { T });
    text(Math.max(0, Math.min(LEFT, LEFT + width() - long(title))), from - 9 - 15 * lines.length, title, { class: "muted" });
    for (let t = 1; t <= T; t++) if (t === 1 || t === T || (t % 6 === 0 && T - t > 2)) text(x(t + 0.5), 412 + spare, String(t), { "text-anchor": "middle", class: "muted" });
    text(LEFT - 8, 412 + spare, words.axis, { "text-anchor": "end", class: "muted" });

    svg.replaceChildren(cursor, ...parts);
    point();
    say();
  }

  function point() {
    if (at === null) { read.textContent = words.hint; cursor.setAttribute("width", 0); return; }
    const now = steps[at - 1], dx = width() / T;
    cursor.setAttribute("x", LEFT + dx * (at - 1));
    cursor.setAttribute("width", dx);
    const shown = [...new Set([...CELLS[kind].blocks, CELLS[kind].state, "h"])].map((name) => `${name} = ${number(now[name])}`);
    if (CELLS[kind].keeps) shown.push(`${words.direct[CELLS[kind].keeps]} = ${number(now.direct)}`);
    shown.push(`${words.total[CELLS[kind].state]} = ${number(now.total)}`);
    const said = `${fill(words.step, { t: at })}: ${shown.join(" · ")}`;
    read.replaceChildren(...said.split(SUBSCRIPT).map((part, k) => (k % 2 ? make("sub", {}, part) : part)));
  }

  function say() {
    const { keeps, state } = CELLS[kind], first = steps[0], last = steps[T - 1], left = Math.abs(first.total);
    const holds = (value) => number(Math.abs(value) < 1e-6 ? 0 : value, 2);
    const shut = steps.flatMap((now, k) => (k && now[keeps] < 0.05 ? [k + 1] : []));  // no gradient comes through there
    let fate = words.fates[left < 0.5 ? 0 : left > 2 ? 2 : 1];
    if (left < 0.5 && shut.length && shut.length < 4) fate = fill(words.shut[keeps], { steps: shut.join(", ") });
    const bias = keeps ? weights[keeps][0] : 0, half = Math.log(2) / Math.log1p(Math.exp(-bias));
    said.textContent = fill(words.sentence[kind], {
      T, gate: number(sigmoid(bias)), half: half < 1000 ? half.toFixed(1) : number(half, 2), held: holds(last[state]), shown: holds(last.h),
      rest: kind === "RNN" ? number(weights.h[3]) : "", end: kind === "RNN" ? number(bend(last.h) * weights.h[3], 2) : "",
      direct: number(first.direct ?? 0, 2), total: number(left, 2), fate,
    });
  }

  el.append(make("div", { className: "cell-top" }, kinds, button(words.again, begin, { className: "cell-again" })), starts, blocks, sliders, make("p", { className: "cell-hint" }, words.marks), strip("write"), strip("erase"), chart, read, said);
  begin();
  const sizes = new win.ResizeObserver(() => {
    for (const box of [kinds, starts, blocks]) box.style.minHeight = "";
    update();
  });
  sizes.observe(chart);
  return () => sizes.disconnect();
}

export default { render };
