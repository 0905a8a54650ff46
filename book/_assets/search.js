// What the search page shows: sections whose words a query has, best first. `setIndex` is
// called by searchindex.js, which tools/site/search.py writes.
"use strict";

const SHOWN = 40; // places at most
const PER_PAGE = 3; // of them in one page
const LONGEST = 260; // characters of an excerpt
// Left out of a query that has other words.
const COMMON = new Set(
  `a about an and are as at be but by can do does for from has have how i if in into is it its
  me my no not of on or should so such than that the their then there these they this to use
  using was we what when where which who why will with you your`.split(/\s+/),
);
const ENDINGS = "(?:e|s|es|ed|ing)?";

let places = []; // every section: its page, and its words

function setIndex(pages) {
  places = pages.flatMap((page) => page.sections.map((section) => ({ ...section, page })));
}

/** The words of a query, each with expressions that find it. */
function readQuery(query) {
  const all = query.toLowerCase().match(/[\p{L}\p{N}_]+(?:\.\p{N}+)*/gu) ?? [];
  const rare = all.filter((word) => !COMMON.has(word));
  const words = [...new Set(rare.length ? rare : all)];
  return words.map((word) => {
    if (/\p{Script=Han}/u.test(word)) { // written without spaces
      const anywhere = new RegExp(word, "giu");
      return { word, whole: anywhere, begins: anywhere };
    }
    const bends = word.length > 3 && /^\p{L}+$/u.test(word);
    const stem = (bends ? word.replace(/(?<!s)(?:s|es|ed|ing)$/u, "") : word)
      .replace(/[.]/g, "\\.");
    const form = (ending) =>
      new RegExp(`(?<![\\p{L}\\p{N}])${stem}${ending}(?![\\p{L}\\p{N}])`, "giu");
    const whole = form(bends ? ENDINGS : "");
    return { word, whole, begins: bends ? form("\\p{L}*") : whole };
  });
}

const count = (text, expression) => text.match(expression)?.length ?? 0;

/** How often a text has a word; a longer word that begins alike counts half. */
function weigh(text, { whole, begins }) {
  const exact = count(text, whole);
  return exact + (count(text, begins) - exact) / 2;
}

/** The name of the package that a query asks for and a place describes, if any. */
function nameOf(place, query) {
  const asked = query.trim().replace(/^unrolled\.|\(\)$/g, "");
  const isCode = /[._]|\p{Ll}\p{Lu}/u.test(asked); // any other word may mean many things
  return place.names?.find((name) =>
    name.toLowerCase() === asked.toLowerCase() || (isCode && name.endsWith(`.${asked}`)));
}

/** Places that have the most words of a query, the most relevant first. */
function find(words, query) {
  const found = places.map((place) => {
    const heading = place.heading || place.page.title;
    return {
      place,
      name: nameOf(place, query),
      terms: words.map((word) => ({
        heading: Math.min(1, weigh(heading, word)),
        title: Math.min(1, weigh(place.page.title, word)),
        // The more often the better, but less and less so, and in a long text less.
        prose: saturate(weigh(place.prose, word), place.prose.length),
        code: saturate(weigh(place.code, word), place.code.length),
      })),
      lengthOfHeading: heading.split(" ").length,
    };
  });
  const has = (term) => term.heading + term.title + term.prose + term.code > 0;
  const rarity = words.map((_, k) => {
    const many = found.filter(({ terms }) => has(terms[k])).length;
    return Math.log(1 + found.length / (many + 1));
  });
  for (const one of found) {
    one.words = one.terms.filter(has).length;
    one.score = one.terms.reduce(
      (sum, term, k) =>
        sum + rarity[k] * (term.prose + term.code / 2 + term.title / 2
          + term.heading * (1 + 4 / one.lengthOfHeading)), 0);
    // Headings first: one that has all the words leads, wherever else they stand.
    if (one.terms.every((term) => term.heading)) one.score *= 3;
    if (words.length > 1 && inARow(words, one.place)) one.score *= 1.5;
    if (!one.place.heading) one.score *= 1.2; // a whole page
    if (/^Exercise/.test(one.place.heading)) one.score *= 0.6;
    if (/^book\/(api|assignments)\//.test(one.place.page.path)) one.score *= 0.5;
    if (one.name) {
      one.words = words.length;
      if (/[._]/.test(one.name)) one.score = 10 + 10 * one.score;
    }
  }
  const most = Math.max(1, ...found.map((one) => one.words));
  const best = found.filter((one) => one.words === most);
  best.sort((a, b) => b.score - a.score);
  const inPage = new Map();
  const few = best.filter(({ place: { page } }) => {
    inPage.set(page, (inPage.get(page) ?? 0) + 1);
    return inPage.get(page) <= PER_PAGE;
  });
  return { few: few.slice(0, SHOWN), complete: most === words.length };
}

const saturate = (times, length) => times / (times + 0.5 + length / 1500);

/** Whether the words of a query stand side by side, as in it. */
function inARow(words, place) {
  const row = new RegExp(words.map(({ whole }) => whole.source).join("[\\s-]+"), "iu");
  return [place.heading, place.prose, place.code].some((text) => row.test(text));
}

/** The sentences of a section that have the most words of a query. */
function excerpt(place, words) {
  const sentences = place.prose.split(/(?<=[.!?:][”"’)]*)\s+/u);
  const has = (text) => words.filter(({ begins }) => count(text, begins)).length;
  // Between sentences that have as many words, prose is better than a row of a table.
  const scores = sentences.map((text) => Math.max(0, has(text) - text.includes(" · ") / 2));
  const best = Math.max(...scores);
  const code = place.code.split("\n");
  const line = has(place.heading) ? "" : code.find(has);
  if (best === 0 && line) return { text: line.slice(0, LONGEST), code: true };
  const first = scores.indexOf(best);
  let text = sentences.slice(first).join(" ");
  if (text.length > LONGEST) {
    // A sentence may be longer than an excerpt: begin near its first word of the query.
    const at = Math.min(...words.map(({ begins }) => {
      const where = text.search(begins);
      return where < 0 ? Infinity : where;
    }));
    const start = at < Infinity && at > LONGEST - 60 ? text.lastIndexOf(" ", at - 60) + 1 : 0;
    const end = text.lastIndexOf(" ", start + LONGEST);
    text = (start ? "… " : "") + text.slice(start, end > start ? end : start + LONGEST)
      + (end < text.length ? " …" : "");
  }
  return { text, code: false };
}

/** Append a text to an element, with the words of a query marked. */
function appendMarked(element, text, words) {
  const part = words.map(({ begins }) => begins.source).join("|");
  // The whole of a name such as `bias_for`, although a word of the query is only a part of it.
  const any = new RegExp(`(?:[\\p{L}\\p{N}]+_)*(?:${part})(?:_[\\p{L}\\p{N}]+)*`, "giu");
  let end = 0;
  for (const match of text.matchAll(any)) {
    element.append(text.slice(end, match.index));
    const mark = document.createElement("mark");
    mark.textContent = match[0];
    element.append(mark);
    end = match.index + match[0].length;
  }
  element.append(text.slice(end));
}

function show(query) {
  const results = document.getElementById("search-results");
  const words = readQuery(query);
  const status = document.createElement("p");
  status.className = "search-summary";
  status.setAttribute("role", "status");
  const list = document.createElement("ul");
  list.className = "search";
  results.replaceChildren(status, list);
  if (!words.length) return;
  const { few, complete } = find(words, query);
  status.textContent = !few.length
    ? "Nothing found: no page has these words."
    : `${few.length === SHOWN ? "The best " : ""}${few.length} `
      + `${few.length === 1 ? "place" : "places"}`
      + `${complete ? "" : "; none has all of these words, these have the most"}.`;
  for (const { place, name } of few) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = place.page.path + place.place;
    const parts = [place.page.title, place.heading].filter(Boolean);
    if (name && !place.heading.includes(name)) parts.push(name);
    appendMarked(link, parts.join(" › "), words);
    const context = document.createElement("p");
    context.className = "context";
    const { text, code } = excerpt(place, words);
    const holder = code ? document.createElement("code") : context;
    appendMarked(holder, text, words);
    if (code) context.append(holder);
    item.append(link, ...(text ? [context] : []));
    list.append(item);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const query = new URLSearchParams(location.search).get("q") ?? "";
  for (const field of document.querySelectorAll('.bd-search-container input[name="q"]')) {
    field.value = query;
    field.addEventListener("input", () => show(field.value));
  }
  show(query);
});
