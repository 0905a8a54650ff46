/* Watch it read: an RNN, an LSTM and a GRU read a digit, row by row, and answer after
   every row. Time runs downwards: the rows of the digit, the ten answers and the units
   of each network line up, and one line sweeps all of them. */
import { predictions } from "./asking.js";
import { elements, fill } from "./elements.js";
import { ANSWERS, SIDE, best, matters, read, unpack, unpackDigits } from "./networks.js";
import { frame, paint, wipe } from "./painting.js";
import { drawingPaper } from "./paper.js";

const NAMES = ["RNN", "LSTM", "GRU"];
const GATES = [["LSTM", "f"], ["LSTM", "i"], ["LSTM", "o"], ["GRU", "z"], ["GRU", "r"]];
const VIEWS = { // what the units can show
  state: { RNN: "h", LSTM: "c", GRU: "h" }, keep: { LSTM: "f", GRU: "z" },
  candidate: { LSTM: "g", GRU: "g" }, input: { LSTM: "i" }, output: { LSTM: "o" },
  reset: { GRU: "r" }, hidden: { RNN: "h", LSTM: "h", GRU: "h" },
};
const ROW_MS = 120; // how long a row is looked at
const MARGIN = SIDE - NAMES.length; // columns of the paper from there on say which rows mattered

function render({ model, el }) {
  const document = el.ownerDocument, window = document.defaultView;
  const words = model.get("words"), labels = model.get("labels"), half = model.get("half");
  const digits = unpackDigits(model.get("digits"));
  const nets = NAMES.map((name) => unpack(name, model.get("weights")[name], model.get("units")));
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const { make, button, select } = elements(document);
  const head = (text) => make("div", { className: "read-head" }, text);
  const line = (...inside) => make("div", { className: "read-line" }, ...inside);
  const control = (name, ...inside) => make("div", { className: "read-line", role: "group", "aria-label": name },
    make("span", { className: "name", "aria-hidden": "true" }, name), ...inside);
  const percent = (v) => `${Math.round(100 * v)}%`;

  // What is read: pixels, and the label if it is known; which digit of the dozen it is.
  let pixels = digits[0], label = labels[0], which = 0, revealed = new Set();
  let rows = half, blank = new Set(), held = { RNN: {}, LSTM: {}, GRU: {} }, view = "state";
  let drawing = false, steps, order, mattered = null, timer = null, colours;
  let chosen = null, pointed = null; // one unit: { n, k }, of network n the k-th from the left

  /* Elements */
  const board = make("div", { className: "read-board" });
  const panel = (kind, title, about) => {
    const canvas = make("canvas", { role: "img", "aria-label": about });
    const box = make("div", { className: `read-panel ${kind}` }, title, canvas);
    canvas.onclick = goToPoint; // of a finger, which may only be scrolling the page, the tap counts
    canvas.onpointerdown = canvas.onpointermove = (event) => {
      if (event.buttons === 1 && event.pointerType !== "touch") goToPoint(event);
    };
    board.append(box);
    return { box, canvas, title };
  };
  const paper = panel("paper", head(words.digit), words.paper);
  const units = model.get("units"), caption = make("div", { className: "read-caption" });
  paper.box.append(caption);
  paper.canvas.tabIndex = 0;
  paper.canvas.setAttribute("role", "application");
  const own = drawingPaper(paper.canvas, SIDE, { drawing: () => drawing, clear, begin, finish, draw, tap: goToPoint });
  const views = nets.map(({ name }, n) => {
    const answers = panel("answers", head(name), fill(words.answers, { name }));
    answers.box.style.color = answers.title.style.color = `var(--${name})`;
    answers.best = make("b");
    answers.sure = make("small");
    answers.box.append(
      make("div", { className: "read-axis", "aria-hidden": "true" }, ...Array.from({ length: ANSWERS }, (_, k) =>
        make("span", { className: k % 9 ? "inner" : "" }, `${k}`))),
      make("div", { className: "read-said" }, answers.best, answers.sure));
    const cells = panel(n ? "units" : "units first", head(""), fill(words.units, { name, units }));
    cells.symbol = make("span");
    cells.title.append(make("span", { className: "whose" }, `${name}: `), cells.symbol);
    const { canvas } = cells, goThere = canvas.onpointermove;
    const unitAt = ({ offsetX }) => ({ n, k: Math.max(0, Math.min(units - 1, Math.floor((units * offsetX) / canvas.clientWidth))) });
    canvas.onclick = (event) => { // keeps the unit
      [whose.value, unit.value] = [name, unitAt(event).k + 1];
      pick();
      goToPoint(event);
    };
    canvas.onpointermove = (event) => {
      const at = unitAt(event), moved = pointed?.k !== at.k && event.pointerType === "mouse";
      if (moved) pointed = at;
      if (event.buttons) goThere(event);
      else if (moved) draw();
    };
    canvas.onpointerleave = () => { pointed = null; draw(); };
    return { answers, cells };
  });
  paper.box.after(make("div", { className: "read-break" }));

  const asking = predictions({ make, button }, words, stop, "read-ask");
  const { ask, tell, settle, come, guessed } = asking;
  const play = button(words.play, () => (timer ? stop() : watch()), { className: "play" });
  const slider = make("input", { type: "range", min: 0, max: SIDE });
  slider.oninput = () => go(+slider.value);
  const count = make("span", { className: "count" }), told = make("p", { className: "read-unseen", role: "status" });
  const thumbs = digits.map((_, k) => button(make("canvas"), () => choose(k),
    { className: "thumb", "aria-label": fill(words.example, { number: k + 1 }) }));
  const erase = button("", toggleRow, { className: "wide" });
  const restore = button(words.restore, () => {
    settle();
    blank.clear();
    for (const name of NAMES) held[name] = {};
    for (const select of holds) select.value = "";
    think();
    asking.panel.focus({ preventScroll: true }); // the button has nothing left to do
  });
  const holds = GATES.map(([name, gate]) => select(words.gates[gate],
    [["", words.free], ["0"], ["1"]], (event) => hold(name, gate, event.target)));
  const labelled = NAMES.slice(1).map((name) => make("div", { className: "read-gates" }, `${name}:`,
    ...GATES.flatMap(([owner, gate], k) => (owner !== name ? [] : [
      make("label", { style: `color: var(--${name})` }, words.gates[gate], holds[k])]))));
  const choice = select(words.show, Object.entries(words.views), () => { view = choice.value; draw(); });
  const pick = () => {
    chosen = whose.value ? { n: NAMES.indexOf(whose.value), k: unit.value - 1 } : null;
    draw();
  };
  const whose = select(words.unit, [["", words.none], ...NAMES.map((name) => [name])], pick);
  const unit = make("input", { type: "range", min: 1, max: units, value: 1, oninput: pick,
    className: "unit", "aria-label": words.which });
  el.classList.add("read");
  el.append(told, asking.panel, board,
    line(play, make("label", { className: "slider" }, words.rows, slider), count),
    make("p", { className: "read-legend" }, words.legend),
    control(words.take, make("div", { className: "read-thumbs" }, ...thumbs),
      button(words.draw, () => { clear(); come(); })),
    control(words.change, erase, restore),
    control(words.hold, ...labelled),
    make("details", {}, make("summary", {}, words.more),
      control(words.show, choice, make("label", {}, words.unit, whose), unit)));

  /* Reading */
  function seen() {
    const copy = pixels.slice();
    for (const t of blank) copy.fill(0, t * SIDE, (t + 1) * SIDE);
    return copy;
  }
  function think(another = false) { // read anew: another digit, a blank row, a gate held
    const input = seen();
    steps = nets.map((net) => read(net, input, held[net.name]));
    mattered = null;
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
    revealed.delete(null); // a digit of the reader's own is read anew
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
    fill(which === null ? words.youDrew : words.itIs, { label }),
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
  function weigh() {
    if (!steps || mattered || timer) return;
    mattered = nets.map((net, n) => matters(net, seen(), held[net.name], steps[n]));
    draw();
  }
  function start(from, then) { // plays to the last row
    stop();
    tell(""); // what was said last is about something else
    // On a phone the question may fill the screen: what it was about is read further down.
    board.scrollIntoView({ block: "nearest", behavior: still.matches ? "instant" : "smooth" });
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
  function goToPoint({ offsetY, target }) { // to point at a row is to go there
    go(Math.min(SIDE, Math.floor((SIDE * offsetY) / target.clientHeight) + 1));
  }
  function watch() {
    settle();
    if (!timer) start(rows === SIDE ? 0 : rows, () => tell(verdict()));
  }

  /* Predictions */
  const tenDigits = Array.from({ length: ANSWERS }, (_, k) => `${k}`);

  function story() {
    ask("story", fill(words.story, Object.fromEntries(says(half))), tenDigits, (guess) =>
      start(rows, () => tell(`${guessed(tenDigits, guess)}${verdict()} ${words.next}`)), { quiet: true });
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
    const t = target();
    if (blank.has(t)) { blank.delete(t); think(); return; }
    change("blank", fill(words.blankAsk, { row: t + 1 }), words.howMany, t, () => { blank.add(t); think(); });
  }
  function target() { // the row to blank: this one, or if it is empty, the one that matters most
    const t = rows - 1, inked = steps && rows && pixels.subarray(t * SIDE, rows * SIDE).some(Boolean);
    if (inked || !steps || !mattered || !known()) return inked ? t : null;
    const all = mattered[0].map((_, row) => mattered.reduce((sum, one) => sum + one[row], 0));
    return best(all);
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
  function drawPaper() {
    const pen = wipe(paper.canvas), scale = pen.canvas.width / SIDE;
    if (steps) {
      const input = seen(), ink = (strength) => (t, k) => [colours.ink, strength * input[t * SIDE + k]];
      paint(pen, [SIDE, SIDE], ink(1), 0, rows);
      if (which === null || known()) paint(pen, [SIDE, SIDE], ink(0.25), rows);
      for (const t of blank) paint(pen, [SIDE, 1], () => [colours.LSTM, 0.25], t, t + 1);
      if (mattered && known()) paint(pen, [SIDE, SIDE], (t, k) => {
        const n = k - MARGIN;
        return [colours[NAMES[n]], n < 0 ? 0 : Math.sqrt(mattered[n][t])];
      }, 0, rows);
    }
    pen.scale(scale, scale);
    if (drawing) own.draw(pen, colours.ink, colours.LSTM, !steps);
    drawUnit(pen);
  }
  const known = () => revealed.has(which); // read to the end at least once
  const valueOf = ({ n, k }, symbol, t) => {
    const value = steps[n][t][symbol][order[n][k]];
    return symbol === "c" ? Math.tanh(value) : value; // c has no bounds; this is what h sees
  };
  function drawUnit(pen) { // one unit as a curve over the digit, from -1 on the left to 1
    const one = pointed ?? chosen, name = one && NAMES[one.n], symbol = one && VIEWS[view][name];
    caption.textContent = fill(words.caption, { units });
    if (!steps || !symbol || !rows) return;
    const x = (v) => SIDE / 2 + 11 * v;
    pen.fillStyle = colours.line;
    for (const v of [-1, 0, 1]) pen.fillRect(x(v), 0, 0.1, rows);
    Object.assign(pen, { strokeStyle: colours[name], lineWidth: 0.45, lineJoin: "round" });
    pen.beginPath();
    for (let t = 0; t < rows; t++) pen.lineTo(x(valueOf(one, symbol, t)), t + 0.5);
    pen.stroke();
    const p = steps[one.n][SIDE - 1].p, answer = best(p), net = nets[one.n], u = order[one.n][one.k];
    const vote = steps[one.n][SIDE - 1].h[u] * net.head[u * ANSWERS + answer];
    caption.textContent = fill(words.oneUnit, { name, unit: one.k + 1, symbol: words.heads[symbol],
      value: steps[one.n][rows - 1][symbol][u].toFixed(2).replace("-", "−"), row: rows,
    }) + (known() ? ` ${fill(words.votes[+(vote > 0)], { answer })}` : "");
  }
  function drawThumb(thumb, k) {
    const pen = wipe(thumb.firstChild);
    // The digit of the story does not give itself away.
    const to = k || revealed.has(0) ? SIDE : half;
    paint(pen, [SIDE, SIDE], (t, j) => [colours.ink, digits[k][t * SIDE + j]], 0, to);
    thumb.setAttribute("aria-pressed", k === which);
  }
  function draw() {
    const style = window.getComputedStyle(el);
    colours = Object.fromEntries([...NAMES, "ink", "muted", "line"].map((name) => [name, style.getPropertyValue(`--${name}`)]));
    board.style.setProperty("--read", steps ? rows : 0);
    paper.box.classList.toggle("drawing", drawing);
    drawPaper();
    nets.forEach(({ name }, n) => {
      const { answers, cells } = views[n], symbol = VIEWS[view][name], one = pointed ?? chosen;
      const pen = wipe(answers.canvas), penCells = wipe(cells.canvas);
      cells.symbol.textContent = symbol ? words.heads[symbol] : words.none;
      const p = steps && rows ? steps[n][rows - 1].p : null;
      answers.best.textContent = p ? best(p) : "–";
      const judged = p && label !== null && known();
      answers.sure.textContent = p ? `${percent(Math.max(...p))}${judged ? (best(p) === label ? " ✓" : " ✗") : ""}` : "";
      if (!p) return;
      paint(pen, [SIDE, ANSWERS], (t, k) => [colours[name], steps[n][t].p[k]], 0, rows);
      const since = judged && settled(n);
      if (since && since <= rows) frame(pen, [SIDE, ANSWERS], colours.ink, label, since - 1, rows);
      if (!symbol) return;
      paint(penCells, [SIDE, units], (t, k) => {
        const v = valueOf({ n, k }, symbol, t);
        return [v > 0 ? colours[name] : colours.muted, Math.abs(v)];
      }, 0, rows);
      if (one?.n === n) frame(penCells, [SIDE, units], colours.ink, one.k, 0, rows);
    });
    thumbs.forEach(drawThumb);
    slider.value = rows;
    slider.disabled = play.disabled = !steps;
    count.textContent = steps ? fill(words.count, { rows }) : "";
    const t = target();
    erase.disabled = t === null;
    erase.textContent = fill(blank.has(t) ? words.unblank : words.blank, { row: (t ?? Math.max(0, rows - 1)) + 1 });
    restore.disabled = !steps || !(blank.size || holds.some((select) => select.value));
    for (const select of holds) select.disabled = !steps;
    unit.disabled = !whose.value;
    unit.style.visibility = whose.value ? "" : "hidden"; // it has nothing to say yet
    if (steps && known() && !mattered) window.setTimeout(weigh); // once the last row is painted
    if (!timer) told.textContent = steps && rows ? `${fill(words.count, { rows })}: ${said(rows)}` : "";
  }

  /* The reader's own digit */
  function clear() {
    stop();
    settle();
    own.clear();
    [steps, drawing, which, label, rows] = [null, true, null, null, 0];
    blank.clear();
    tell(words.drawNow);
    draw();
    paper.canvas.focus({ preventScroll: true });
  }
  function begin() { // another stroke
    stop();
    asking.withdraw(); // not all strokes were there yet
    tell(words.drawNow);
    steps = null;
  }
  function finish() { // the pen is up
    ask("draw", words.drawn, tenDigits, (guess) => {
      take(own.pixels(), guess ?? label, null);
      start(0, () => tell(guessed(tenDigits, guess) + verdict()));
    }, { stays: true });
  }

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
