"""The claims ledger as HTML: one row per claim, which opens to its conditions.

Everything is in the HTML itself, so it can be read without scripts and on paper; the
script beside this file adds filters and an order, where scripts run.
"""

import html
import json
import re
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from unrolled.course.ledger import (
    OUTCOMES,
    SYMBOL,
    VERDICTS,
    counted,
    describe_margin,
    margin,
    minus,
    say_shared,
    size,
)

#: Besides its colour each verdict and each outcome has a sign of its own.
SIGNS = {
    "supported": "✓",
    "conditional": "◐",
    "not shown": "?",
    "refuted": "✗",
    "not measured": "–",
    "holds": "✓",
    "shown false": "✗",
}
CODE = re.compile(r"`([^`]+)`")
KEY = (
    '<p class="ledger-key" aria-hidden="true">'
    "<span>against it ◂</span><span>▸ for it</span></p>"
)
EDGE = 0.94  # where a theorem stands, of half the width of a strip
WIDE, HIGH = 320, 22  # of the strip of a condition
PAD = 12  # at its ends


class LedgerView:
    """All claims, each with its verdict, its intervals and the section to look at.

    As the result of a cell it can be filtered and sorted; it is whole without scripts.

    Args:
        rows: what `read_ledger` returns.
        confirmed: what `read_confirmation` returns.
    """

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        confirmed: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.rows = list(rows)
        self.confirmed = dict(confirmed or {})

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self._html(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        tally = Counter(row["verdict"] or "no record" for row in self.rows)
        return f"{len(self.rows)} claims: " + ", ".join(
            f"{count} {name}" for name, count in tally.items()
        )

    def _html(self):
        items = "\n".join(
            write_claim(row, self.confirmed.get(row["name"], {}), place)
            for place, row in enumerate(self.rows)
        )
        return (
            '<div class="ledger" data-lm-suppress-shortcuts="true">\n'
            f"<style>\n{read('ledger_view.css')}</style>\n{write_controls(self.rows)}\n"
            f'{KEY}\n<ul class="ledger-claims">\n{items}\n</ul>\n'
            f"<script>\n{read('ledger_view.js')}</script>\n</div>"
        )


def read_published(address: str, seconds: float = 15) -> list[dict[str, Any]]:
    """Read the ledger that the site publishes, for a notebook that stands alone.

    Args:
        address: of the JSON that `write_ledger` has written.
        seconds: how long to wait for it.

    Returns:
        what `read_ledger` returned where the site was built; an empty list if there is
        no way to it.

    Raises:
        ValueError: what is there is no ledger.
    """
    try:
        with urllib.request.urlopen(address, timeout=seconds) as answer:
            rows = json.load(answer)
    except (urllib.error.URLError, TimeoutError, json.JSONDecodeError):
        return []
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and "verdict" in row for row in rows
    ):
        raise ValueError(f"address is {address!r}; expected a ledger there")
    return rows


def write_controls(rows: Sequence[dict[str, Any]]) -> str:
    """Write the form that filters and sorts; the script shows it."""
    tally = Counter(row["verdict"] or "no record" for row in rows)
    buttons = "".join(
        f'<button type="button" aria-pressed="false" value="{slug(name)}" '
        f'class="{slug(name)}">{badge(name, tally[name])}</button>'
        for name in [*VERDICTS, "no record"]
        if tally[name]
    )
    chapters = sorted({chapter(row) for row in rows} - {""})
    sources = [s for s in ("the article", "folklore", "papers") if s in map(said, rows)]
    orders = [("place", "in the order of the book"), ("verdict", "by verdict")]
    orders += [("conditions", "by number of conditions"), ("claim", "by alphabet")]
    selects = "".join(
        f'<label>{label} <select name="{name}">{options}</select></label>'
        for label, name, options in (
            ("Chapter", "chapter", choices(["", *chapters])),
            ("Said by", "source", choices(["", *sources])),
            (
                "Sort",
                "sort",
                "".join(f'<option value="{k}">{text}</option>' for k, text in orders),
            ),
        )
    )
    return (
        '<form class="ledger-controls" hidden>'
        f'<div role="group" aria-label="Verdicts to show">{buttons}</div>'
        f"<div>{selects}</div>"
        '<div><output></output><button type="button" name="all">Open all</button>'
        "</div></form>"
    )


def choices(words: Iterable[str]) -> str:
    """Write the options of a menu; the empty word stands for all."""
    return "".join(f'<option value="{w}">{w or "all"}</option>' for w in words)


def write_claim(row: dict[str, Any], fresh: Mapping[str, Any], place: int = 0) -> str:
    """Write a claim as an item that opens.

    Args:
        row: an entry of `read_ledger`.
        fresh: the claim's entry in `read_confirmation`, or nothing.
        place: where it stands in the order of the book.
    """
    found = row["verdict"] or "no record"
    conditions = row.get("conditions", [])
    measured = [c for c in conditions if "outcome" in c]
    order = [*VERDICTS, "no record"].index(found)
    said_so = f"{row['source']}"
    if "page" in row:
        said_so += f" · {number(row['page'])}"
    about = []
    if "page" in row:
        about.append(
            f'Measured in <a href="../{row["page"]}.ipynb#{anchor(row["figure"])}">'
            f"{number(row['page'])}, {html.escape(row['figure'])}</a>."
        )
    if "untested" in row:
        about.append(typeset(row["untested"]))
    elif not measured:
        about.append("The page has left no record here.")
    if fresh:
        about.append(f"On fresh base seeds: {badge(fresh['verdict'])}.")
    if others := row.get("same_networks"):
        about.append(say_shared(f'<a href="#claim-{n}">{n}</a>' for n in others))
    outcomes = fresh.get("conditions", {})
    listed = "\n".join(
        write_condition(c, outcomes.get(c["name"], {}), scale, last)
        for c, scale, last in with_scales(measured)
    )
    return (
        f'<li data-verdict="{slug(found)}" data-order="{order}" '
        f'data-chapter="{chapter(row)}" data-source="{said(row)}" '
        f'data-place="{place}" data-conditions="{len(counted(measured))}">'
        f'<details id="claim-{row["name"]}"><summary>{badge(found)}'
        f'<span class="claim">{typeset(row["claim"])} '
        f"<small>{html.escape(said_so)}</small></span>"
        f"{overview(counted(measured))}</summary>"
        f"<p>{' '.join(about)} "
        f'<a class="here" href="#claim-{row["name"]}">Link to this row</a></p>'
        + (f'<ol class="conditions">\n{listed}\n</ol>' if listed else "")
        + "</details></li>"
    )


def write_condition(
    c: dict[str, Any], fresh: Mapping[str, Any], scale: "Scale | None", last: bool
) -> str:
    """Write a condition: what was measured, its interval as drawing and in figures."""
    over = f"; {c['n']} {c['unit']}" if c.get("n", 1) > 1 else ""
    marks = [name for name in ("exploratory", "recorded") if c.get(name)]
    marked = f" <small>({', '.join(marks)})</small>" if marks else ""
    colon = ":" if c["kind"] == "theorem" else ""
    told = f"<b>{size(c)}</b>{colon} {typeset(c['metric'])}{html.escape(over)}"
    expected = "" if c["kind"] == "theorem" else f"; claimed: {describe_margin(c)}"
    where = typeset(c["data"]) + (f"; {typeset(c['budget'])}" if "budget" in c else "")
    again = f" · fresh seeds: {fresh['outcome']}" if fresh else ""
    return (
        f'<li class="{slug(c["outcome"])}"><div class="what">{badge(c["outcome"])} '
        f"{typeset(c['name'])}{marked}</div>{scale.draw(c, last) if scale else ''}"
        f'<div class="how">{told}{expected}<br><small>{where}{again}</small></div>'
        "</li>"
    )


class Scale:
    """A common axis for conditions with one metric, from `low` to `high`.

    Args:
        conditions: with the same metric; at least one has an interval.
    """

    def __init__(self, conditions: Sequence[dict[str, Any]]) -> None:
        self.log = all(c.get("ratio") for c in conditions)
        ends = []
        for c in conditions:
            ends += [c["low"], c["high"], *bounds(c)]
        if self.log:
            ends = [np.log10(end) for end in ends if end > 0]
        self.low, self.high = min(ends), max(ends)
        if self.low == self.high:
            self.low, self.high = self.low - 1, self.high + 1

    def at(self, value: float) -> float:
        """Return where a value stands, in units of the drawing."""
        if self.log:
            value = np.log10(max(value, 1e-300))
        share = (value - self.low) / (self.high - self.low)
        return float(round(PAD + np.clip(share, 0, 1) * (WIDE - 2 * PAD), 1))

    def ticks(self) -> list[tuple[float, str]]:
        """Return a few round values of the axis, and how they are written."""
        if self.log:
            decades = np.arange(np.floor(self.low), np.ceil(self.high) + 1)
            few = self.high - self.low < 1.5
            steps = np.log10([1, 2, 5]) if few else np.zeros(1)
            step = max(1, int(np.ceil((self.high - self.low) / 5)))
            values = (decades[::step, None] + steps).ravel()
        else:
            span = self.high - self.low
            step = 10 ** np.floor(np.log10(span / 2))
            step *= max(k for k in (1, 2, 5) if k * step <= span / 2)
            values = step * np.arange(np.ceil(self.low / step), self.high / step + 1)
        inside = [float(v) for v in values if self.low <= v <= self.high]
        inside = [10**v if self.log else round(v, 12) for v in inside]
        return [(v, minus(f"{v:.3g}")) for v in inside]

    def draw(self, c: dict[str, Any], last: bool) -> str:
        """Draw an interval beside its margin, and below the last one the axis."""
        edges = [self.at(bound) for bound in bounds(c)]
        if "within" in c:
            left, right = edges
        else:
            left, right = (edges[0], WIDE) if "above" in c else (0.0, edges[0])
        parts = [
            f'<rect class="claimed" x="{left}" width="{right - left:.1f}" '
            f'height="{HIGH}"/>',
            *(f'<path class="bound" d="M{x} 0v{HIGH}"/>' for x in edges),
        ]
        if c.get("effect") is not None:
            x, y = self.at(c["effect"]), HIGH / 2
            parts.append(f'<path class="interval" d="M{self.at(c["low"])} {y}'
                         f'H{self.at(c["high"])}"/>')  # fmt: skip
            parts.append(f'<circle cx="{x}" cy="{y}" r="4"/>')
        high = HIGH
        if last:
            high += 15
            parts.append(f'<path class="tick" d="M0 {HIGH}H{WIDE}"/>')
            for value, text in self.ticks():
                x = self.at(value)
                parts.append(f'<path class="tick" d="M{x} {HIGH}v3"/><text x="{x}" '
                             f'y="{HIGH + 13}">{text}</text>')  # fmt: skip
        return (
            f'<svg class="strip{" last" if last else ""}" viewBox="0 0 {WIDE} {high}" '
            f'aria-hidden="true">{"".join(parts)}</svg>'
        )


def with_scales(
    conditions: Sequence[dict[str, Any]],
) -> list[tuple[dict[str, Any], Scale | None, bool]]:
    """Give each condition the axis of all with its metric; the last one shows it."""
    drawn: dict[str, list[dict[str, Any]]] = {}
    for c in conditions:
        if c["kind"] != "theorem" and c.get("low") is not None:
            drawn.setdefault(c["metric"], []).append(c)
    scales = {metric: Scale(group) for metric, group in drawn.items()}
    ordered = []
    for c in conditions:
        group = drawn.get(c["metric"], [])
        own = any(c is other for other in group)
        scale = scales[c["metric"]] if own else None
        ordered.append((c, scale, own and c is group[-1]))
    return ordered


def bounds(c: dict[str, Any]) -> list[float]:
    """Return the margin of a condition: one number, or the two ends of `within`."""
    ((_, bound),) = margin(c).items()
    return list(bound) if isinstance(bound, list | tuple) else [bound]


def beyond(c: dict[str, Any]) -> tuple[float, float, float]:
    """Say how far an effect and its interval lie beyond the margin.

    Returns:
        low end, effect and high end, each between −1 and 1: above 0 as claimed, below 0
        on the other side. The unit is half the width of the interval, squeezed by
        u / (1 + |u|) so that everything fits.
    """
    if c["kind"] == "theorem" or c["low"] == c["high"]:
        side = {"holds": EDGE, "shown false": -EDGE, "not shown": 0.0}[c["outcome"]]
        return side, side, side
    ends, edges = [c["low"], c["effect"], c["high"]], bounds(c)
    if c.get("ratio") and min(*ends, *edges) > 0:
        ends, edges = list(np.log(ends)), list(np.log(edges))
    half = (ends[2] - ends[0]) / 2
    if "within" in c:
        middle = np.clip(np.mean(edges), ends[0], ends[2])
        inside = [min(e - edges[0], edges[1] - e) for e in [*ends, middle]]
        far = [min(inside[0], inside[2]), inside[1], inside[3]]
    else:
        far = [e - edges[0] for e in ends]
        far = far if "above" in c else [-f for f in far[::-1]]
    low, effect, high = (float(f / half / (1 + abs(f / half))) for f in far)
    return low, effect, high


def overview(conditions: Sequence[dict[str, Any]]) -> str:
    """Draw all intervals of a claim around its margin, what is claimed on the right."""
    shown = [
        c for c in conditions if c["kind"] == "theorem" or c.get("low") is not None
    ]
    if not shown:
        return ""
    shown.sort(key=lambda c: OUTCOMES.index(c["outcome"]))
    high = 6 * len(shown) + 6
    paths = {outcome: "" for outcome in OUTCOMES}
    for row, c in enumerate(shown):
        low, effect, top = (round(60 + 58 * x, 1) for x in beyond(c))
        y = 6 * row + 6
        paths[c["outcome"]] += f"M{low} {y}H{top}M{effect} {y - 2.2}v4.4"
        if low == top:  # a diamond
            paths[c["outcome"]] += f"M{low - 2} {y}l2 -2 2 2 -2 2z"
    drawn = "".join(f'<path class="{slug(o)}" d="{d}"/>' for o, d in paths.items() if d)
    tally = Counter(c["outcome"] for c in conditions)
    told = ", ".join(f"{tally[o]} {o}" for o in OUTCOMES if tally[o])
    return (
        f'<svg class="overview" viewBox="0 0 120 {high}" width="120" height="{high}" '
        f'role="img" aria-label="{told}"><rect class="claimed" x="60" width="60" '
        f'height="{high}"/><path class="bound" d="M60 0v{high}"/>{drawn}</svg>'
    )


def typeset(text: str) -> str:
    """Write a claim or a metric as HTML: code, symbols with an index, log2."""
    parts = CODE.split(html.escape(text, quote=False))
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    for k in range(0, len(parts), 2):
        parts[k] = SYMBOL.sub(r"<i>\1</i><sub>\2</sub>", parts[k])
        parts[k] = re.sub(r"\blog2\b", "log<sub>2</sub>", parts[k])
    return "".join(parts)


def badge(word: str, count: int | None = None) -> str:
    """Write a verdict or an outcome with its sign and its colour."""
    many = "" if count is None else f" <b>{count}</b>"
    sign = SIGNS.get(word, "·")
    return f'<span class="badge {slug(word)}">{sign} {word}{many}</span>'


def number(page: str) -> str:
    """Return the number of a page, "4.7" of "4-code/7-memory"."""
    return ".".join(part.partition("-")[0] for part in page.split("/"))


def chapter(row: dict[str, Any]) -> str:
    """Return the chapter that measures a claim, "4 Code"; "" if none does."""
    if "page" not in row:
        return ""
    first, _, name = row["page"].partition("/")[0].partition("-")
    return f"{first} {'FAQ' if name == 'faq' else name.capitalize()}"


def said(row: dict[str, Any]) -> str:
    """Return who says it: the article, folklore, or papers."""
    source = row["source"]
    return next((s for s in ("the article", "folklore") if s in source), "papers")


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as the site and GitHub make it."""
    kept = re.sub(r"[^\w一-鿿\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def slug(word: str) -> str:
    """Return a word as a class of the style sheet."""
    return word.replace(" ", "-")


def read(name: str) -> str:
    """Return the text of a file of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
