"""Write the page of references: the papers of references.bib, and where each is cited.

python -m tools.site.references            # write book/references.md
python -m tools.site.references --check    # exit 1 if it is out of date
"""

import json
import re
from pathlib import Path

from pybtex.database import parse_file

from tools import console
from tools.checkout import Book

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[([^\]]+)\]\((https?://[^\s)]+)\)")
HEAD = "# References\n\nWhat pages and docstrings cite, and where.\n"


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.site.references", __doc__)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    options = parser.parse_args(argv)
    target = ROOT / "book" / "references.md"
    cited = [(describe(entry), cited_in(entry)) for entry in read_entries()]
    lines = [f"* {text} Cited in {', '.join(where)}." for text, where in cited if where]
    text = "\n".join([HEAD, *lines, ""])
    if not options.check:
        target.write_text(text, "utf-8")
    elif not target.exists() or target.read_text("utf-8") != text:
        print("book/references.md is out of date: run python -m tools.site.references")
        return 1
    return 0


def read_entries():
    """Read references.bib; entries by author and year, fields as one prints them."""
    entries = parse_file(ROOT / "book" / "references.bib").entries.values()
    for entry in entries:
        for name, text in entry.fields.items():
            entry.fields[name] = re.sub("[{}]", "", text).replace("--", "–")
    return sorted(entries, key=lambda e: (families(e), e.fields["year"]))


def cited_in(entry):
    """Where a paper is cited: links to pages, and modules whose docstrings name it."""
    found = []
    for path in Book(ROOT, ROOT).pages():
        cells = json.loads((ROOT / path).read_bytes())["cells"]
        prose = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
        if any(url in addresses(entry) for _, url in LINK.findall("\n".join(prose))):
            name = path.relative_to("book").as_posix()
            number = ".".join(re.findall(r"(?:^|/)(\w+)-", name)) or "front page"
            found.append(f"[{number}]({name})")
    title = r"\W+".join(re.findall(r"\w+", entry.fields["title"])[:3])
    named = rf'"{title}|\b{families(entry)[0]}\b[^"]{{0,30}}\b{entry.fields["year"]}\b'
    for path in Book(ROOT, ROOT).package_files():
        if path.suffix != ".py":  # data
            continue
        if re.search(named, " ".join(path.read_text("utf-8").split()), re.IGNORECASE):
            found.append(f"`{path.relative_to(ROOT).as_posix()}`")
    return found


def addresses(entry):
    """Addresses of a paper: by DOI, URL, arXiv id; the list links to the first."""
    forms = {"doi": "https://doi.org/", "url": "", "eprint": "https://arxiv.org/abs/"}
    return [form + entry.fields[f] for f, form in forms.items() if f in entry.fields]


def families(entry):
    """Family names of a paper's authors, such as ["Le", "Jaitly", "Hinton"]."""
    names = [p.prelast_names + p.last_names for p in entry.persons["author"]]
    return [" ".join(name).strip("{}") for name in names]


def describe(entry):
    """Authors, year, linked title, and where the paper appeared, as Markdown."""
    f = entry.fields
    names = "; ".join(map(str, entry.persons["author"])).strip("{}")
    names = f"{names.replace('others', 'et al.')} ({f['year']})"
    venue = next(f[k] for k in ("journal", "booktitle", "school", "note") if k in f)
    volume = f.get("volume", "") + (f"({f['number']})" if "number" in f else "")
    where = [f"*{venue}* {volume}".strip(), f.get("type"), f.get("pages")]
    title = f"[{f['title']}]({addresses(entry)[0]})" + "." * (f["title"][-1] != "?")
    return f"{names}. {title} {', '.join(filter(None, where))}."


if __name__ == "__main__":
    console.run(main)
