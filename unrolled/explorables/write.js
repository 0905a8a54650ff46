/* Watch it write: an LSTM and a table of counts, both of which have read the same letters,
   say what they expect next; one of them goes on, or the reader does. */
import { predictions } from "./asking.js";
import { elements, fill } from "./elements.js";
import { best } from "./networks.js";
import { blank, chance, lookUp, pick, readOn, temper, unpackLSTM, unpackTable } from "./texts.js";

const WRITERS = ["LSTM", "table"];
const TOP = 8; // bars of each
const MOST = 600; // letters that are written
const ROUND = 40; // letters in one go, where nothing plays
const LETTER_MS = 150, BLANK_MS = 30; // how long it is looked at; and one more blank
const DARKEST = 0.42; // of a letter's background: the letter stays legible

function render({ model, el }) {
  const document = el.ownerDocument, window = document.defaultView;
  const words = model.get("words"), symbols = [...model.get("symbols")], marks = model.get("marks");
  const units = model.get("units"), means = model.get("means"), spreads = model.get("spreads");
  const net = unpackLSTM(model.get("weights"), model.get("scales"), units, symbols.length);
  const table = unpackTable(model.get("table"), model.get("discounts"));
  const before = [...model.get("before")], beginnings = model.get("beginnings");
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const { make, button, select } = elements(document);
  const line = (...inside) => make("div", { className: "write-line" }, ...inside);
  const control = (name, ...inside) => make("div", { className: "write-line", role: "group", "aria-label": name },
    make("span", { className: "name", "aria-hidden": "true" }, name), ...inside);
  const percent = (v) => (v < 0.005 ? "<1%" : `${Math.round(100 * v)}%`);
  const sign = (symbol) => ({ " ": "␣", "\n": "↵" })[symbol] ?? symbol; // what cannot be seen
  const called = (symbol) => words.symbols[symbol] ?? symbol;

  // The letters: `symbol`, `by` (a writer, "you", or nobody: the beginning), `span`, and the
  // LSTM's `state` after it.
  let letters = [], fixed = 0, writer = "LSTM", temperature = 0.7, seed = 0;
  let unit = Object.values(marks)[0] ?? 0, revealed = false, timer = null;

  /* Elements */
  const asking = predictions({ make, button }, words, stop, "write-ask");
  const { ask, tell, settle, guessed } = asking;
  const own = make("input", { type: "text", maxLength: 80, autocomplete: "off", spellcheck: false,
    autocapitalize: "off", "aria-label": words.begin, value: beginnings[0] });
  own.oninput = () => { settle(); start(own.value); };
  own.onkeydown = ({ key, isComposing }) => { if (key === "Enter" && !isComposing && !timer) play(); };
  const caret = make("i", { className: "write-caret" });
  const paper = make("div", { className: "write-paper", tabIndex: 0, role: "group", "aria-label": words.text }, caret);
  const caption = make("p", { className: "write-caption" });
  paper.onpointermove = ({ target }) => point(letters.findIndex(({ span }) => span === target));
  paper.onpointerleave = () => point(-1);
  const panels = Object.fromEntries(WRITERS.map((name) => {
    const bars = Array.from({ length: TOP }, (_, k) => {
      const symbol = make("span"), full = make("i"), mark = make("b"), value = make("span");
      const all = button("", () => choose(name, k), { className: "write-bar" });
      all.append(symbol, make("span", { className: "track" }, full, mark), value);
      return { all, symbol, full, mark, value };
    });
    const badge = make("span", { className: "turn" }), others = make("span"), note = make("p");
    const box = make("div", { className: "write-panel", role: "group", style: `--bar: var(--${name})`,
      "aria-label": fill(words.bars, { name: words.names[name] }) },
    make("div", { className: "write-head" }, words.names[name], badge), ...bars.map(({ all }) => all),
    make("div", { className: "write-others" }, make("span", {}, words.others), others), note);
    return [name, { box, bars, badge, others, note }];
  }));
  const playing = button(words.play, play, { className: "play" });
  const one = button(words.step, () => { settle(); stop(); write(); draw(); });
  const back = button(words.back, () => { settle(); stop(); cut(letters.length - 1); draw(); if (back.disabled) one.focus(); });
  const again = button(words.again, () => {
    settle();
    seed += 1;
    cut(fixed);
    run();
  });
  const count = make("span", { className: "count" }), told = make("p", { className: "write-unseen", role: "status" });
  const hands = WRITERS.map((name) => button(words.names[name], () => hand(name)));
  const slider = make("input", { type: "range", min: 0.1, max: 1.5, step: 0.1, value: temperature, "aria-label": words.temperature });
  const degree = make("span", { className: "degree" }), end = (text) => make("span", { className: "end" }, text);
  slider.oninput = () => {
    degree.textContent = (+slider.value).toFixed(1);
    if (asking.awaits("warm")) settle();
    else if (asking.knows("warm")) heat();
  };
  slider.onchange = () => { if (!asking.knows("warm")) askHeat(); };
  const which = make("input", { type: "range", min: 0, max: units - 1 });
  const choice = select(words.colour, [...Object.entries(marks).map(([name, k]) => [name, fill(words.named, { name, unit: k })]),
    ["", words.another]], () => colour(marks[choice.value] ?? unit));
  which.oninput = () => colour(+which.value);
  const swatch = (name) => make("i", { style: `background: var(--${name})` });
  const { legend } = words;
  el.classList.add("write");
  el.append(told, asking.panel,
    control(words.begin, own, ...beginnings.map((text) => button(text.trim(), () => { settle(); own.value = text; start(text); }))),
    make("div", { className: "write-board" }, make("div", { className: "write-text" }, paper, caption),
      ...WRITERS.map((name) => panels[name].box)),
    line(playing, one, back, again),
    control(words.writer, ...hands, count),
    control(words.temperature, degree, end(words.cold), slider, end(words.hot)),
    control(words.colour, ...(choice.length > 1 ? [choice] : []), make("label", { className: "any" }, words.unit, which)),
    make("p", { className: "write-legend" }, swatch("LSTM"), legend.above, " ", swatch("muted"), legend.below, " ",
      legend.fonts, " ", legend.bars),
    make("p", { className: "write-legend" }, fill(legend.packed, model.get("facts"))));

  /* Letters */
  const numbers = () => letters.map(({ symbol }) => symbol);
  const state = () => letters.at(-1)?.state ?? blank(net);
  const expected = (name) => (name === "LSTM" ? state().p : lookUp(table, symbols.length, numbers()).p);
  const isFull = () => letters.length - fixed >= MOST;
  function add(symbol, by) {
    const text = symbols[symbol], span = make("span", { className: `${by} ${text === "\n" ? "end" : ""}` }, text);
    letters.push({ symbol, by, span, state: readOn(net, state(), symbol) });
    if (letters.length > before.length) caret.before(span);
    tint(letters.at(-1));
  }
  function cut(n) { // to n letters, but never the beginning
    for (const { span } of letters.splice(Math.max(n, fixed))) span.remove();
  }
  function start(text) { // from another beginning
    stop();
    fixed = 0;
    cut(0);
    const all = [...before, ...text], known = all.filter((symbol) => symbols.includes(symbol) || symbols.includes("\ufffd"));
    for (const symbol of known) add(symbols.indexOf(symbols.includes(symbol) ? symbol : "\ufffd"), "beginning");
    fixed = letters.length;
    draw();
    const left = [...new Set(all.filter((symbol) => !known.includes(symbol)))];
    tell(left.length ? fill(words.unknown, { symbols: left.map(called).join(" ") }) : words.next);
  }
  function write() {
    if (!isFull()) add(pick(temper(expected(writer), temperature), chance(seed, letters.length - fixed)), writer);
    if (isFull()) { stop(); tell(words.full); }
  }
  function choose(name, k) {
    stop();
    if (isFull()) return;
    add(order(expected(name))[k], "you");
    draw();
  }
  const order = (p) => Array.from(p.keys()).sort((a, b) => p[b] - p[a]).slice(0, TOP);

  /* Writing by itself */
  function play() {
    if (timer) { stop(); return; }
    settle();
    run();
  }
  function run(n = Infinity, then = () => {}) { // n letters; then
    stop();
    tell(words.next);
    const once = () => { write(); n -= 1; return n > 0 && !isFull(); };
    if (still.matches) {
      n = Math.min(n, ROUND);
      while (once());
      draw();
      then();
      return;
    }
    playing.textContent = words.pause;
    const next = () => { // a long margin goes by fast
      const margin = letters.slice(-2).every(({ symbol }) => symbols[symbol] === " ");
      timer = window.setTimeout(() => {
        const more = once();
        draw();
        if (more) next();
        else { stop(); then(); }
      }, margin ? BLANK_MS : LETTER_MS);
    };
    next();
  }
  function stop() {
    window.clearTimeout(timer);
    timer = null;
    playing.textContent = words.play;
    announce();
  }

  /* Predictions */
  const quoted = (symbol) => called(symbols[symbol]);
  function story() {
    const [a, b] = WRITERS.map((name) => order(expected(name)));
    const choices = [...new Set([...a.slice(0, 4), ...b.slice(0, 2)])].slice(0, 5).sort((x, y) => x - y);
    ask("story", fill(words.story, { text: beginnings[0].trim() }), choices.map(quoted), (guess) => {
      revealed = true;
      draw();
      const most = { LSTM: quoted(a[0]), table: quoted(b[0]) };
      tell(`${guessed(choices.map(quoted), guess)}${fill(words.expects, most)} ${words.next}`);
    }, { quiet: true });
  }
  function hand(name) { // whoever writes from now on
    const first = name === "table" && !asking.knows("table");
    if (!first) { settle(); writer = name; draw(); return; }
    ask("table", fill(words.agreeAsk, { n: ROUND }), words.agreeChoices, (guess) => {
      writer = name;
      if (letters.length - fixed > MOST - ROUND) cut(fixed);
      const from = letters.length;
      run(ROUND, () => {
        const same = letters.slice(from).filter(({ symbol }, k) => best(letters[from + k - 1].state.p) === symbol).length;
        tell(guessed(words.agreeChoices, guess) + fill(words.agree, { same, n: letters.length - from }));
      });
    });
  }
  function heat() {
    temperature = +slider.value;
    draw();
  }
  function askHeat() {
    const now = (+slider.value).toFixed(1), p = expected(writer), top = best(p);
    const probability = (value) => temper(p, value)[top];
    if (Math.abs(probability(temperature) - probability(+now)) < 0.02) { heat(); return; } // no bar would answer
    stop();
    ask("warm", fill(words.warmAsk, { before: temperature.toFixed(1), now }), words.warmChoices, (guess) => {
      const before = temperature;
      heat();
      tell(guessed(words.warmChoices, guess) + fill(words.warm, { symbol: quoted(top), before: percent(probability(before)), now: percent(probability(temperature)) })
        + ` ${temperature < before ? words.colder : words.hotter}`);
    });
  }

  /* The drawing */
  const z = ({ state: { c } }) => (c[unit] - means[unit]) / spreads[unit];
  let colours = {};
  function tint(letter) {
    const strength = Math.min(DARKEST, Math.abs(z(letter)) / 6);
    const alpha = Math.round(255 * strength).toString(16).padStart(2, "0");
    letter.span.style.background = (z(letter) > 0 ? colours.LSTM : colours.muted) + alpha;
  }
  function colour(k) {
    unit = k;
    const style = window.getComputedStyle(el);
    colours = Object.fromEntries(["LSTM", "muted"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    letters.forEach(tint);
    which.value = unit;
    if (marks[choice.value] !== unit) choice.value = Object.keys(marks).find((name) => marks[name] === unit) ?? "";
    point(-1);
  }
  function point(k) { // what the unit says after a letter, or after the last one
    const letter = letters[k < 0 ? letters.length - 1 : k];
    const signed = (v) => (v > 0 ? "+" : "") + v.toFixed(1).replace("-", "−");
    caption.textContent = letter ? fill(words.value, { unit, symbol: quoted(letter.symbol), value: signed(z(letter)) }) : "";
  }
  function draw() {
    const all = numbers(), { p: byTable, by } = lookUp(table, symbols.length, all);
    for (const [name, p] of [["LSTM", state().p], ["table", byTable]]) {
      const { box, bars, badge, others, note } = panels[name], q = temper(p, temperature), top = order(p);
      box.classList.toggle("writes", name === writer);
      badge.textContent = name === writer ? words.writes : "";
      bars.forEach((bar, k) => {
        const symbol = top[k], there = revealed && symbol !== undefined; // a small alphabet has few
        const now = there ? q[symbol] : 0, learned = there ? p[symbol] : 0;
        bar.all.disabled = !there;
        bar.symbol.textContent = there ? sign(symbols[symbol]) : "?";
        bar.value.textContent = there ? percent(now) : "";
        bar.full.style.width = `${100 * now}%`;
        bar.mark.style.left = `${100 * learned}%`;
        bar.mark.hidden = learned < 0.005;
        if (there) bar.all.setAttribute("aria-label", fill(words.bar, { symbol: quoted(symbol), p: percent(now) }));
      });
      others.textContent = revealed ? percent(Math.max(0, 1 - top.reduce((sum, k) => sum + q[k], 0))) : "";
      note.textContent = name === "LSTM" ? fill(words.sees.LSTM, { n: all.length - before.length, units })
        : by ? fill(words.sees.table, { n: by, context: all.slice(-by).map((k) => sign(symbols[k])).join("") }) : words.sees.nothing;
    }
    hands.forEach((one, k) => one.setAttribute("aria-pressed", WRITERS[k] === writer));
    count.textContent = fill(words.count, { n: letters.length - fixed });
    back.disabled = letters.length === fixed;
    one.disabled = playing.disabled = isFull();
    paper.scrollTop = paper.scrollHeight;
    point(-1);
    announce();
  }
  function announce() { // for those who hear it
    if (timer || !letters.length || !revealed) return;
    const p = temper(state().p, temperature), end = letters.slice(-40).map(({ symbol }) => symbols[symbol]).join("");
    told.textContent = fill(words.now, { n: letters.length - fixed, text: end, symbol: quoted(best(p)), p: percent(Math.max(...p)) });
  }

  degree.textContent = temperature.toFixed(1);
  colour(unit);
  start(beginnings[0]);
  story();
  const themes = new window.MutationObserver(() => colour(unit));
  for (const node of [document.documentElement, document.body]) {
    themes.observe(node, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light", "class"] });
  }
  return () => { stop(); themes.disconnect(); };
}
export default { render };
