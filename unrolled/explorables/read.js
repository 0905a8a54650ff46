/* Watch it read: an RNN, an LSTM and a GRU read a digit, row by row, and answer after
   every row. Time runs downwards: the rows of the digit, the ten answers and the units
   of each network line up, and one line sweeps all of them. */
const SIDE = 28, ANSWERS = 10, NAMES = ["RNN", "LSTM", "GRU"];
const BLOCKS = { RNN: "h", LSTM: "ifgo", GRU: "zrg" }; // of the kernel, in Keras's order
const GATES = [["LSTM", "f"], ["LSTM", "i"], ["LSTM", "o"], ["GRU", "z"], ["GRU", "r"]];
const VIEWS = { // what the units can show
  state: { RNN: "h", LSTM: "c", GRU: "h" }, keep: { LSTM: "f", GRU: "z" },
  candidate: { LSTM: "g", GRU: "g" }, input: { LSTM: "i" }, output: { LSTM: "o" },
  reset: { GRU: "r" }, hidden: { RNN: "h", LSTM: "h", GRU: "h" },
};
const ROW_MS = 120; // how long a row is looked at

const CSS = `
.read { --row: 7px; --unit-row: 4px; --head: 1.5rem; max-width: 53rem; }
.read-board { display: flex; flex-wrap: wrap; column-gap: 4px; }
.read-panel { position: relative; flex: 1 1 0; min-width: 0; }
.read-head { height: var(--head); overflow: hidden; font-size: 0.9rem; font-weight: 600;
  line-height: var(--head); white-space: nowrap; text-overflow: ellipsis; }
.units > .read-head { color: var(--muted); font-size: 0.75rem; font-weight: normal; }
.read-panel canvas { display: block; width: 100%; height: calc(28 * var(--row));
  border: 1px solid var(--line); border-radius: 3px; cursor: row-resize; touch-action: pan-y; }
.read-panel::after { position: absolute; left: -8px; right: 0; height: 2px; content: "";
  top: calc(var(--head) + var(--read) * var(--row) - 1px); background: var(--ink); pointer-events: none; }
.read-panel.paper { flex: 0 0 calc(28 * var(--row)); margin-right: 4px; }
.read-panel.paper::after { left: 0; }
.read-panel.paper canvas { cursor: crosshair; } .read-panel.drawing canvas { touch-action: none; }
.read-break { order: 1; flex-basis: 100%; }
.read-panel.units { --row: var(--unit-row); order: 2; }
.read-panel.first::after { left: 0; }
.read-caption { height: 4.1rem; padding-top: 0.3rem; color: var(--muted); font-size: 0.75rem; line-height: 1.2; }
.read-axis { display: flex; height: 1rem; color: var(--muted); font-size: 0.65rem; line-height: 1rem; }
.read-axis span { flex: 1; text-align: center; } .read-axis .inner { display: none; }
.read-axis span:first-child { text-align: left; } .read-axis span:last-child { text-align: right; }
.read-said { display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 0.3rem; height: 3.1rem; }
.read-said b { font-size: 1.6rem; line-height: 1.9rem; } .read-said small { color: var(--muted); font-size: 0.72rem; line-height: 1rem; }
.read-ask { display: flex; flex-direction: column; gap: 0.5rem; min-height: 11.2rem; margin: 0.6rem 0;
  padding: 0.6rem 0.8rem; border-left: 3px solid var(--state); border-radius: 3px; background: var(--soft); }
.explorable .read-ask p { margin: 0; }
.read-line { display: flex; flex-wrap: wrap; align-items: center; gap: 0.35rem 0.5rem; margin: 0.5rem 0; }
.read-line .slider { flex: 1 1 9rem; white-space: nowrap; } .read-line label.row { display: contents; } .read-line .count { min-width: 3.9rem; font-size: 0.9rem; font-variant-numeric: tabular-nums; text-align: right; }
.read-line .play { min-width: 5.2rem; } .read-line .wide { min-width: 8.5rem; } .read-line .name { flex: 0 0 100%; font-size: 0.9rem; }
.read-thumbs { display: grid; grid-template-columns: repeat(6, 42px); gap: 4px; }
.explorable .read button.thumb { width: 100%; height: auto; min-height: 0; aspect-ratio: 1; padding: 2px; }
.thumb canvas { display: block; width: 100%; height: 100%; }
.explorable .read button.thumb[aria-pressed="true"] { background: var(--paper); box-shadow: 0 0 0 1px var(--state); }
.read-line label { display: inline-flex; align-items: center; gap: 0.35rem; }
.explorable .read select { max-width: 100%; padding-inline: 0.3rem; }
.read-legend { color: var(--muted); font-size: 0.8rem; }
.read-legend i { display: inline-block; width: 0.8em; height: 0.8em; margin: 0 0.2em; border-radius: 2px; vertical-align: -0.05em; }
.read-unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@container explorable (max-width: 335px) { .read { --row: 6px; } .read-head { font-size: 0.8rem; }
  .read-caption { font-size: 0.69rem; } }
@container explorable (max-width: 309px) { .read { --row: 5px; } .read-ask { min-height: 14.3rem; }
  .read-head { font-size: 0.72rem; } .read-caption { font-size: 0.62rem; } }
@container explorable (min-width: 640px) {
  .read { --row: 9px; --unit-row: 9px; } .read-break, .read-head .whose { display: none; } .read-panel.units { order: 0; flex-grow: 1.2; }
  .read-board { flex-wrap: nowrap; } .read-panel.answers { margin-left: 8px; }
  .read-panel.answers::after { left: -16px; } .read-panel.units::after { left: -4px; }
  .read-thumbs { grid-template-columns: repeat(12, 36px); }
  .read-axis .inner { display: block; } .read-axis span:nth-child(n) { text-align: center; }
  .read-ask { min-height: 8rem; } .read-line .name { flex: 0 0 8.2rem; }
}
@container explorable (min-width: 780px) { .read { --row: 10px; --unit-row: 10px; } .read-ask { min-height: 7rem; } }`;

/* -- the networks: the package's equations ------------------------------------------- */
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

function float16(text) { // little-endian; browsers have no Float16Array yet
  const view = new DataView(bytes(text).buffer);
  return Float64Array.from({ length: view.byteLength / 2 }, (_, k) => {
    const v = view.getUint16(2 * k, true), exponent = (v >> 10) & 31, rest = (v & 1023) / 1024;
    return (v & 32768 ? -1 : 1) * (exponent ? 2 ** (exponent - 15) * (1 + rest) : 2 ** -14 * rest);
  });
}

export function unpack(name, text, units) { // kernel, recurrent kernel, bias, then the head's
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

export const unpackDigits = (text) => { // four bits a pixel
  const all = bytes(text), size = SIDE * SIDE;
  const pixel = (k) => ((all[k >> 1] >> (k % 2 ? 0 : 4)) & 15) / 15;
  return Array.from({ length: (2 * all.length) / size }, (_, d) =>
    Float64Array.from({ length: size }, (_, k) => pixel(d * size + k)));
};

function affine(x, kernel, bias) { // x W + b
  const sum = Float64Array.from(bias);
  for (let k = 0; k < x.length; k++) {
    if (x[k]) for (let j = 0; j < sum.length; j++) sum[j] += x[k] * kernel[k * sum.length + j];
  }
  return sum;
}

function softmax(y) {
  const top = Math.max(...y), e = y.map((v) => Math.exp(v - top));
  const sum = e.reduce((a, b) => a + b);
  return e.map((v) => v / sum);
}

function step(net, row, before, held) { // held: gates at a fixed value, such as { f: 0 }
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

export function read(net, pixels, held = {}) { // what there is after each row
  const steps = [];
  let s = { h: new Float64Array(net.units), c: new Float64Array(net.units) };
  for (let t = 0; t < SIDE; t++) {
    steps.push((s = step(net, pixels.subarray(t * SIDE, (t + 1) * SIDE), s, held)));
  }
  return steps;
}

/* Strokes, in rows of the paper, as MNIST has its digits: 20 pixels high or wide, and
   their centre of mass in the middle. */
export function toPixels(strokes, document) {
  const points = strokes.flat(), fine = 4, size = fine * SIDE, middle = SIDE / 2;
  const span = (k) => [Math.min(...points.map((p) => p[k])), Math.max(...points.map((p) => p[k]))];
  const [[x0, x1], [y0, y1]] = [span(0), span(1)];
  const scale = Math.min(17.5 / Math.max(x1 - x0, y1 - y0, 1e-9), 2);
  const pen = Object.assign(document.createElement("canvas"), { width: size, height: size })
    .getContext("2d", { willReadFrequently: true });
  let dx = middle - (scale * (x0 + x1)) / 2, dy = middle - (scale * (y0 + y1)) / 2, pixels;
  for (let pass = 0; pass < 2; pass++) { // the second one knows the centre of mass
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, size, size);
    pen.setTransform(fine, 0, 0, fine, fine * dx, fine * dy);
    drawStrokes(pen, strokes.map((s) => s.map(([x, y]) => [scale * x, scale * y])), 2.3);
    const ink = pen.getImageData(0, 0, size, size).data;
    pixels = new Float64Array(SIDE * SIDE);
    for (let k = 0; k < size * size; k++) {
      const row = Math.floor(k / size / fine), column = Math.floor((k % size) / fine);
      pixels[SIDE * row + column] += ink[4 * k + 3] / 255 / fine ** 2;
    }
    const mass = pixels.reduce((a, b) => a + b);
    dx += middle - pixels.reduce((sum, v, k) => sum + v * ((k % SIDE) + 0.5), 0) / mass;
    dy += middle - pixels.reduce((sum, v, k) => sum + v * (Math.floor(k / SIDE) + 0.5), 0) / mass;
  }
  return pixels.map((v) => Math.min(1, 1.15 * v));
}

function drawStrokes(pen, strokes, width) {
  Object.assign(pen, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    pen.beginPath();
    for (const [x, y] of stroke) pen.lineTo(x, y);
    if (stroke.length === 1) pen.lineTo(stroke[0][0] + 0.01, stroke[0][1]); // a dot
    pen.stroke();
  }
}

/* -- the page -------------------------------------------------------------------------- */
const best = (p) => p.indexOf(Math.max(...p));
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function render({ model, el }) {
  const document = el.ownerDocument, window = document.defaultView;
  const words = model.get("words"), labels = model.get("labels"), half = model.get("half");
  const digits = unpackDigits(model.get("digits"));
  const nets = NAMES.map((name) => unpack(name, model.get("weights")[name], model.get("units")));
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const make = (tag, props, ...inside) => {
    const made = Object.assign(document.createElement(tag), props);
    made.append(...inside);
    return made;
  };
  const button = (text, onclick, props) => make("button", { type: "button", onclick, ...props }, text);
  const head = (text) => make("div", { className: "read-head" }, text);
  const line = (...inside) => make("div", { className: "read-line" }, ...inside);
  const percent = (v) => `${Math.round(100 * v)}%`;

  // What is read: pixels, and the label if it is known; which digit of the dozen it is.
  let pixels = digits[0], label = labels[0], which = 0, revealed = new Set();
  let rows = half, blank = new Set(), held = { RNN: {}, LSTM: {}, GRU: {} }, view = "state";
  let strokes = [], stroke = null, drawing = false, cursor = [14, 14], penDown = false, steered = false;
  let steps, order, timer = null, asked = new Set(), pending = null, colours;

  /* Elements */
  const board = make("div", { className: "read-board" });
  const panel = (kind, title, about) => {
    const canvas = make("canvas", {}), box = make("div", { className: `read-panel ${kind}` }, title, canvas);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", about);
    canvas.onpointerdown = canvas.onpointermove = (event) => { // to point at a row is to go there
      if (event.buttons !== 1 || drawing || kind === "paper") return;
      goToPoint(event);
    };
    board.append(box);
    return { box, canvas, title };
  };
  const paper = panel("paper", head(words.digit), words.paper);
  paper.box.append(make("div", { className: "read-caption" }, fill(words.caption, { units: model.get("units") })));
  paper.canvas.tabIndex = 0;
  paper.canvas.setAttribute("role", "application");
  const views = nets.map(({ name, units }, n) => {
    const answers = panel("answers", head(name), fill(words.answers, { name }));
    answers.box.style.color = answers.title.style.color = `var(--${name})`;
    answers.best = make("b", {});
    answers.sure = make("small", {});
    answers.box.append(
      make("div", { className: "read-axis", ariaHidden: "true" }, ...Array.from({ length: ANSWERS }, (_, k) =>
        make("span", { className: k % 9 ? "inner" : "" }, `${k}`))),
      make("div", { className: "read-said" }, answers.best, answers.sure));
    const cells = panel(n ? "units" : "units first", head(""), fill(words.units, { name, units }));
    cells.symbol = make("span", {});
    cells.title.append(make("span", { className: "whose" }, `${name}: `), cells.symbol);
    return { answers, cells };
  });
  paper.box.after(make("div", { className: "read-break" }));

  const question = make("p", { ariaLive: "polite" }), options = line();
  options.style.margin = 0;
  const panelAsk = make("div", { className: "read-ask", tabIndex: -1 }, question, options);
  const play = button(words.play, () => (timer ? stop() : watch()), { className: "play" });
  const slider = make("input", { type: "range", min: 0, max: SIDE });
  slider.oninput = () => go(+slider.value);
  const count = make("span", { className: "count" }), told = make("p", { className: "read-unseen" });
  told.setAttribute("role", "status");
  const thumbs = digits.map((_, k) => button(make("canvas", { width: 72, height: 72 }), () => choose(k),
    { className: "thumb", ariaLabel: fill(words.example, { number: k + 1 }) }));
  const erase = button("", toggleRow, { className: "wide" });
  const restore = button(words.restore, () => { blank.clear(); think(); });
  const holds = GATES.map(([name, gate]) => make("select", {
    onchange: (event) => hold(name, gate, event.target),
  }, ...["", "0", "1"].map((value) => make("option", { value }, value || words.free))));
  const labelled = GATES.map(([name, gate], k) => {
    const label = make("label", {}, words.gates[gate], holds[k]);
    label.style.color = `var(--${name})`;
    return label;
  });
  const choice = make("select", { onchange: () => { view = choice.value; draw(); } },
    ...Object.keys(VIEWS).map((value) => make("option", { value }, words.views[value])));
  const swatch = (name) => { const i = make("i", {}); i.style.background = `var(--${name})`; return i; };
  el.classList.add("read");
  el.append(make("style", {}, CSS), board, panelAsk, told,
    line(play, make("label", { className: "slider" }, words.rows, slider), count),
    line(make("span", { className: "name" }, words.take),
      make("div", { className: "read-thumbs" }, ...thumbs), button(words.draw, clear)),
    line(make("span", { className: "name" }, words.change), erase, restore),
    line(make("span", { className: "name" }, words.hold), ...labelled),
    line(make("label", { className: "row" }, make("span", { className: "name" }, words.show), choice)),
    make("p", { className: "read-legend" }, words.legend.units, " ", ...NAMES.map(swatch),
      words.legend.above, " ", swatch("muted"), words.legend.below, " ", words.legend.order));

  /* Reading */
  function seen() {
    const copy = pixels.slice();
    for (const t of blank) copy.fill(0, t * SIDE, (t + 1) * SIDE);
    return copy;
  }
  function think(another = false) { // read anew: another digit, a blank row, a gate held
    const input = seen();
    steps = nets.map((net) => read(net, input, held[net.name]));
    if (another) sort();
    draw();
  }
  function sort() { // units by their votes for the network's last answer
    order = nets.map(({ head, units }, n) => {
      const { h, p } = steps[n][SIDE - 1], k = best(p);
      const votes = Float64Array.from(h, (v, u) => v * head[u * ANSWERS + k]);
      return Array.from({ length: units }, (_, u) => u).sort((a, b) => votes[b] - votes[a]);
    });
  }
  function take(digit, name, number) {
    stop();
    [pixels, label, which] = [digit, name, number];
    blank.clear();
    drawing = drawing && number === null;
    think(true);
  }
  const says = (t) => NAMES.map((name, n) => [name, best(steps[n][t - 1].p)]);
  const said = (t) => fill(words.says, Object.fromEntries(says(t)));
  function settled(n) { // the row after which a network stays with the right answer
    let t = SIDE;
    while (t && best(steps[n][t - 1].p) === label) t--;
    return t < SIDE ? t + 1 : null;
  }
  const verdict = () => (label === null ? said(SIDE) : [
    fill(words.itIs, { label }),
    ...NAMES.map((name, n) => ({ name, row: settled(n) }))
      .sort((a, b) => (a.row ?? 99) - (b.row ?? 99))
      .map((one) => fill(one.row ? words.from : words.never, one)),
  ].join(" "));

  /* Moving through the rows */
  function show(t) {
    rows = t;
    if (rows === SIDE) revealed.add(which);
    draw();
  }
  function start(from, then) { // plays to the last row
    stop();
    if (still.matches) { show(SIDE); then(); return; }
    show(from);
    play.textContent = words.pause;
    timer = window.setInterval(() => {
      show(rows + 1);
      if (rows >= SIDE) { stop(); then(); }
    }, ROW_MS);
  }
  function stop() {
    window.clearInterval(timer);
    timer = null;
    play.textContent = words.play;
    if (steps) draw();
  }
  function go(t) { // by hand
    stop();
    settle();
    if (!steps) return;
    show(t);
    tell(t === SIDE ? verdict() : t ? said(t) : "");
  }
  const goToPoint = ({ offsetY, target }) =>
    go(Math.min(SIDE, Math.floor((SIDE * offsetY) / target.clientHeight) + 1));
  function watch() {
    settle();
    if (!timer) start(rows === SIDE ? 0 : rows, () => tell(verdict()));
  }

  /* Predictions: each control asks for one before it is used for the first time */
  function tell(text) {
    // The choice that was made goes away: whoever made it by keys goes on from here.
    if (options.contains(document.activeElement)) panelAsk.focus({ preventScroll: true });
    question.textContent = text;
    options.replaceChildren();
  }
  function ask(topic, text, choices, act) { // act: what the control does, told the guess
    settle();
    if (asked.has(topic)) return act(null);
    asked.add(topic);
    tell(text);
    pending = (guess) => { pending = null; tell(""); act(guess); };
    options.append(...choices.map((text, k) => button(text, () => pending?.(k))),
      button(words.skip, () => pending?.(null)));
    if (topic !== "story") {
      options.firstChild.focus({ preventScroll: true });
      panelAsk.scrollIntoView({ block: "nearest" });
    }
  }
  function settle() { // a reader who goes on without a guess is not held up
    if (!pending) return;
    pending(null);
    stop();
  }
  const guessed = (choices, guess) => (guess === null ? "" : `${fill(words.guessed, { guess: choices[guess] })} `);
  const tenDigits = Array.from({ length: ANSWERS }, (_, k) => `${k}`);

  function story() {
    ask("story", fill(words.story, Object.fromEntries(says(half))), tenDigits, (guess) =>
      start(rows, () => tell(`${guessed(tenDigits, guess)}${verdict()} ${words.next}`)));
  }
  function choose(k) {
    settle();
    take(digits[k], labels[k], k);
    show(0);
    ask("choose", words.first, NAMES, (guess) =>
      start(0, () => tell(guessed(NAMES, guess) + verdict())));
  }
  function change(topic, text, choices, from, act) { // of what is read: whose last answer moves?
    ask(topic, text, choices, (guess) => {
      const before = says(SIDE);
      act();
      const moved = says(SIDE).flatMap(([name, now], n) =>
        now === before[n][1] ? [] : [fill(words.moves, { name, before: before[n][1], now })]);
      start(from, () => tell(guessed(choices, guess) + (moved.join(" ") || words.stays)));
    });
  }
  function toggleRow() {
    const t = rows - 1;
    if (blank.has(t)) { blank.delete(t); think(); return; }
    change("blank", fill(words.blankAsk, { row: rows }), words.howMany, t, () => { blank.add(t); think(); });
  }
  function hold(name, gate, select) {
    const act = () => {
      delete held[name][gate];
      if (select.value) held[name][gate] = +select.value;
      think();
    };
    if (!select.value) { settle(); act(); return; }
    const about = { name, gate: words.symbols[gate], value: select.value, answer: best(steps[NAMES.indexOf(name)][SIDE - 1].p) };
    change("hold", fill(words.holdAsk, about), words.yesNo, 0, act);
  }

  /* The drawing */
  function fit(canvas) { // as many pixels as the screen has
    const ratio = window.devicePixelRatio || 1, { clientWidth, clientHeight } = canvas;
    const [w, h] = [clientWidth, clientHeight].map((v) => Math.max(1, Math.round(v * ratio)));
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, w, h);
    return pen;
  }
  function grid(pen, columns, value, from = 0, to = SIDE) { // value: colour and strength
    const { width, height } = pen.canvas, x = (k) => Math.round((k * width) / columns);
    const y = (t) => Math.round((t * height) / SIDE);
    for (let t = from; t < to; t++) for (let k = 0; k < columns; k++) {
      const [colour, strength] = value(t, k);
      if (strength < 0.01) continue;
      pen.fillStyle = colour;
      pen.globalAlpha = Math.min(1, strength);
      pen.fillRect(x(k), y(t), x(k + 1) - x(k), y(t + 1) - y(t));
    }
    pen.globalAlpha = 1;
  }
  function drawPaper() {
    const pen = fit(paper.canvas), scale = pen.canvas.width / SIDE;
    if (drawing && !steps) {
      pen.scale(scale, scale);
      pen.strokeStyle = colours.ink;
      drawStrokes(pen, strokes, 2);
    } else {
      const input = seen(), ink = (t, k) => [colours.ink, input[t * SIDE + k]];
      grid(pen, SIDE, ink, 0, rows);
      if (which === null || revealed.has(which)) {
        grid(pen, SIDE, (t, k) => [colours.ink, 0.25 * input[t * SIDE + k]], rows);
      }
      for (const t of blank) grid(pen, 1, () => [colours.LSTM, 0.25], t, t + 1);
      pen.scale(scale, scale);
    }
    if (steered && drawing) { // where the arrow keys have moved the pen
      Object.assign(pen, { strokeStyle: colours.LSTM, lineWidth: 0.3 });
      pen.beginPath();
      pen.arc(...cursor, penDown ? 0.6 : 1, 0, 7);
      pen.stroke();
    }
  }
  function drawThumb(thumb, k) {
    const pen = thumb.firstChild.getContext("2d");
    pen.clearRect(0, 0, 72, 72);
    // The digit of the story does not give itself away.
    const to = k || revealed.has(0) ? SIDE : half;
    grid(pen, SIDE, (t, j) => [colours.ink, digits[k][t * SIDE + j]], 0, to);
    thumb.ariaPressed = `${k === which}`;
  }
  function draw() {
    const style = window.getComputedStyle(el);
    colours = Object.fromEntries([...NAMES, "ink", "muted"].map((name) => [name, style.getPropertyValue(`--${name}`)]));
    board.style.setProperty("--read", steps ? rows : 0);
    paper.box.classList.toggle("drawing", drawing);
    drawPaper();
    nets.forEach(({ name, units }, n) => {
      const { answers, cells } = views[n], symbol = VIEWS[view][name];
      const pen = fit(answers.canvas), penCells = fit(cells.canvas);
      cells.symbol.textContent = symbol ? words.heads[symbol] : words.none;
      const p = steps && rows ? steps[n][rows - 1].p : null;
      answers.best.textContent = p ? best(p) : "–";
      answers.sure.textContent = p ? percent(Math.max(...p)) : "";
      if (!p) return;
      grid(pen, ANSWERS, (t, k) => [colours[name], steps[n][t].p[k]], 0, rows);
      if (!symbol) return;
      grid(penCells, units, (t, k) => {
        const value = steps[n][t][symbol][order[n][k]];
        const v = symbol === "c" ? Math.tanh(value) : value; // c has no bounds; this is what h sees
        return [v > 0 ? colours[name] : colours.muted, Math.abs(v)];
      }, 0, rows);
    });
    thumbs.forEach(drawThumb);
    slider.value = rows;
    slider.disabled = play.disabled = !steps;
    count.textContent = steps ? fill(words.count, { rows }) : "";
    const t = rows - 1, empty = !steps || rows === 0 || !pixels.subarray(t * SIDE, rows * SIDE).some(Boolean);
    erase.disabled = empty && !blank.has(t);
    erase.textContent = fill(blank.has(t) ? words.unblank : words.blank, { row: Math.max(1, rows) });
    restore.disabled = !blank.size;
    holds.forEach((select) => (select.disabled = !steps));
    if (!timer) told.textContent = steps && rows ? `${fill(words.count, { rows })}: ${said(rows)}` : "";
  }

  /* The reader's own digit: by mouse or pen at once, by touch after the button, by keys */
  function clear() {
    stop();
    settle();
    [strokes, steps, drawing, which, label, rows] = [[], null, true, null, null, 0];
    blank.clear();
    tell(words.drawNow);
    draw();
    paper.canvas.focus({ preventScroll: true });
  }
  function finish() { // the pen is up
    ask("draw", words.drawn, tenDigits, (guess) => {
      take(toPixels(strokes, document), guess ?? label, null);
      start(0, () => tell(guessed(tenDigits, guess) + verdict()));
    });
  }
  function begin(point) {
    if (!drawing) clear();
    if (timer) stop();
    if (pending) { // not all strokes were there yet
      pending = null;
      asked.delete("draw");
      tell(words.drawNow);
    }
    steps = null;
    strokes.push((stroke = [point]));
    draw();
  }
  const place = (event) => {
    const box = paper.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((v) => (v * SIDE) / box.width);
  };
  paper.canvas.onpointerdown = (event) => {
    if (event.button) return;
    if (event.pointerType === "touch" && !drawing) return goToPoint(event); // else no page scrolls
    event.preventDefault();
    paper.canvas.setPointerCapture(event.pointerId);
    begin(place(event));
  };
  paper.canvas.onpointermove = (event) => {
    if (!stroke) return;
    const all = event.getCoalescedEvents?.() ?? [];
    stroke.push(...(all.length ? all : [event]).map(place));
    draw();
  };
  paper.canvas.onpointerup = paper.canvas.onpointercancel = () => {
    if (!stroke) return;
    stroke = null;
    finish();
  };
  paper.canvas.onkeydown = (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Delete" || event.key === "Backspace") {
      penDown = false;
      clear();
    } else if (event.key === " ") {
      penDown = !penDown;
      if (penDown) begin([...cursor]);
      else { stroke = null; finish(); }
    } else if (move) {
      if (!drawing) clear();
      cursor = cursor.map((v, k) => Math.min(SIDE - 1, Math.max(1, v + move[k])));
      if (penDown) stroke.push([...cursor]);
    } else return;
    steered = true;
    event.preventDefault();
    draw();
  };

  take(digits[0], labels[0], 0);
  const sizes = new window.ResizeObserver(draw), themes = new window.MutationObserver(draw);
  sizes.observe(board);
  for (const node of [document.documentElement, document.body]) {
    themes.observe(node, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light", "class"] });
  }
  story();
  return () => { stop(); sizes.disconnect(); themes.disconnect(); };
}
export default { render };
