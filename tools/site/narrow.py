"""Lines and tables that stay readable where a page is as narrow as a phone."""

import re

from bs4 import NavigableString

# Dates, and parts of them: digits, and brackets around wrong ones, joined by hyphens.
DATE = re.compile(r"((?<![\w.])[\d\[\]-]*\d[\d\[\]]*-[\d\[\]-]*)")
NUMBER_AFTER = r"[=≈<>≤≥×] [+−-]?(?:\d[\d.,]*)?\d%?"  # a sign, and what stands after it
# What stands after a formula.
CLOSES = re.compile(rf"(?:[^\s\w]\S{{0,14}}|[ ]{NUMBER_AFTER}[^\s\w]{{0,3}})(?=\s|$)")
OPENS = re.compile(r"(?<!\S)[(\[“‘]+$")
SHORT = 24  # characters of a formula, or of code, that fit into any line
# Of the longest cells of a table's columns, in characters: what makes it one of words.
WORDS, LONG, ROW = 25, 60, 85
CELLS = ["th", "td"]
# A value with what belongs to it: 0.75 ± 0.05, (0.86 to 1.05), [1, 2], 7 of 8, T = 28.
VALUE = re.compile(
    r"([\d.,]+%? ± [\d.,]+|\([+−]?[\d.,]+%? to [+−]?[\d.,]+%?\)|\b\d+ of \d+\b"
    r"|\b\d\.\d+–\d\.\d+\b|\[[+−]?[\d.,]+%?, [+−]?[\d.,]+%?\]"
    rf"|(?:\b[\w.]{{1,12}} )?{NUMBER_AFTER})"
)
NUMBER = re.compile(r"[+−-]?[\d,.]*\d%?(⋅10[+−-]?\d+)?( ± [\d.,]+%?)?|[–—]?")  # or ""
# In a name, what it may break after where it has to.
JOINT = re.compile(r"(?<=[(,=./])(?=[^\W\d])")
LONG_NAME = re.compile(r"[^\W\d]{3}\w*[(,=./][^\W\d]{3}")
# A line that a cell prints, if it is a sentence: that may wrap, while columns stay.
SENTENCE = re.compile(
    r"The solution was .*|(?!.*\S {2,}\S)[A-Z](?:(?:.*?\b[a-z’']{2,}\b){6}.*|.*\w[.!?])"
)
LEAVE = ["code", "pre", "script", "style", "svg", "math"]  # as they are


def keep_together(soup, formulas):
    """Let no line begin with the comma after a formula, or end inside what is short.

    That is a date, a value, or a piece of code.

    A browser may break a line on either side of a formula, whatever stands there.

    Args:
        soup: the page, parsed; changed in place.
        formulas: the `Formulas` of the site.
    """
    article = soup.find("article")
    if article is None:
        return
    for formula in article.find_all("span", class_="math"):
        if len(formulas.letters(formula.get_text())) > SHORT:
            continue  # has to break
        around = [text_of(formula.previous_sibling), text_of(formula.next_sibling)]
        opens, closes = OPENS.search(around[0]), CLOSES.match(around[1])
        if not (opens or closes):
            continue
        line = soup.new_tag("span", attrs={"class": "together"})
        formula.wrap(line)
        if opens:
            line.previous_sibling.replace_with(around[0][: opens.start()])
            line.insert(0, opens[0])
        if closes:
            line.next_sibling.replace_with(around[1][closes.end() :])
            line.append(closes[0])
    for code in article.find_all("code", class_="literal"):
        if len(code.get_text()) <= SHORT:
            code["class"].append("together")
    for pattern in (VALUE, DATE):
        for text in article.find_all(string=pattern):
            if not (text.find_parent(LEAVE) or text.find_parent(class_="together")):
                parts = pattern.split(text)  # words, value, words, ...
                for k in range(1, len(parts), 2):
                    kind = "together interval" if parts[k][0] in "([" else "together"
                    line = soup.new_tag("span", attrs={"class": kind})
                    line.string = parts[k]
                    parts[k] = line
                text.replace_with(*parts)


def let_cells_break(soup):
    """Let the cells of a table take more lines where it would be wider than a phone.

    Spaces that keep an interval beside its value, and a verdict on its line, do so on
    wide screens only: the style sheet knows the cells by a class. The interval itself
    stays whole. Long names may break between their parts.

    Args:
        soup: the page, parsed; changed in place, before `keep_together`.
    """
    for cell in soup.find_all(CELLS):
        if cell.find_parent("thead"):
            continue
        for text in cell.find_all(string=re.compile(r"[^=]\xa0[^=]")):
            text.replace_with(re.sub(r"(?<!=)\xa0(?!=)", " ", text))
            cell["class"] = [*cell.get("class", []), "whole"]
        for text in cell.find_all(string=LONG_NAME):
            first, *others = JOINT.split(text)
            text.replace_with(
                first, *(x for part in others for x in (soup.new_tag("wbr"), part))
            )


def let_sentences_wrap(soup):
    """Mark the sentences among what cells print: other lines scroll, as columns do.

    Args:
        soup: the page, parsed; changed in place.
    """
    for box in soup.find_all("div", class_="stream"):
        pre = box.find("pre")
        text = pre.get_text() if pre else ""
        if not text or pre.find(lambda part: part.get_text()):  # coloured
            continue
        pre.clear()
        for line in text.splitlines(keepends=True):
            if SENTENCE.fullmatch(line.rstrip("\n")):
                said = soup.new_tag("span", attrs={"class": "said"})
                said.string = line
                pre.append(said)
            else:
                pre.append(line)


def text_of(element):
    """Text beside an element; "" if another element stands there, or nothing."""
    return str(element) if type(element) is NavigableString else ""


def stack_on_phones(table):
    """Let a table of words have its cells below one another on a phone.

    Its columns would be a word wide there. Each cell is told what its column is called,
    which the style sheet writes before it. Tables of numbers scroll: they are read by
    column.

    Args:
        table: with a head; changed in place.
    """
    if table.thead is None or "dataframe" in (table.get("class") or []):
        return
    heads = [cell.get_text(" ", strip=True) for cell in table.thead.find_all(CELLS)]
    rows = [row.find_all(CELLS, recursive=False) for row in table.find_all("tr")]
    if len(heads) < 3 or {len(row) for row in rows} != {len(heads)}:
        return
    if table.thead.find(class_="katex"):  # no attribute can show a formula
        return
    longest = [
        max(len(cell.get_text(" ", strip=True)) for cell in column)
        for column in zip(*rows, strict=True)
    ]
    words = sum(length >= WORDS for length in longest)
    if words < 2 or sum(min(length, LONG) for length in longest) <= ROW:
        return
    table["class"] = [*table.get("class", []), "stacks"]
    for row in rows[1:]:
        for cell, head in zip(row[1:], heads[1:], strict=True):
            if cell.get_text(strip=True) or cell.find(["img", "svg"]):
                cell["data-head"] = head


def align_numbers(table, formulas):
    """Let columns of numbers, and their heads, end at the right: one compares digits.

    Args:
        table: changed in place.
        formulas: the `Formulas` of the site, as a power of ten is one.
    """
    rows = [row.find_all(CELLS, recursive=False) for row in table.find_all("tr")]
    if table.thead is None or len({len(row) for row in rows}) != 1:
        return
    for column in list(zip(*rows, strict=True))[1:]:
        said = [drawn_text(cell, formulas) for cell in column[1:]]
        filled = [text for text in said if re.search(r"\d", text)]
        if (
            filled
            and all(NUMBER.fullmatch(text) for text in said)
            and len({"±" in text for text in filled}) == 1
            and not any(cell.find("a") for cell in column[1:])  # numbers of pages
        ):
            for cell in column:
                cell["class"] = [*cell.get("class", []), "number"]


def drawn_text(cell, formulas):
    """Text of a cell, with what its formulas show."""
    parts = re.split(r"((?:⟦\d+⟧)+)", cell.get_text(" ", strip=True))
    parts[1::2] = [formulas.letters(marks) for marks in parts[1::2]]
    return "".join(parts)
