"""Write book/references.md, or `--check` it: references.bib and who cites what."""

import json
import re
import sys
from pathlib import Path

from pybtex.database import parse_file

from tools.checkout import Book

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[([^\]]+)\]\((https?://[^\s)]+)\)")
HEAD = "# References\n\nWhat pages and docstrings cite, and where.\n"


def main(arguments):
    """Write the list, or with `--check` compare; returns the exit status."""
    target = ROOT / "book" / "references.md"
    cited = [(describe(entry), cited_in(entry)) for entry in read_entries()]
    lines = [f"* {text} Cited in {', '.join(where)}." for text, where in cited if where]
    text = "\n".join([HEAD, *lines, ""])
    if "--check" not in arguments:
        target.write_text(text, "utf-8")
    return int(not target.exists() or target.read_text("utf-8") != text)


def read_entries():
    """Entries of references.bib by author and year, fields as one would print them."""
    entries = parse_file(ROOT / "book" / "references.bib").entries.values()
    for entry in entries:
        for name, text in entry.fields.items():
            entry.fields[name] = re.sub("[{}]", "", text).replace("--", "–")
    return sorted(entries, key=lambda e: (families(e), e.fields["year"]))


def cited_in(entry):
    """Links to the pages that link to the paper, and files whose docstrings name it."""
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
        if re.search(named, " ".join(path.read_text("utf-8").split()), re.IGNORECASE):
            found.append(f"`{path.relative_to(ROOT).as_posix()}`")
    return found


def addresses(entry):
    """Where the paper is: by DOI, address, arXiv id; the list links to the first."""
    forms = {"doi": "https://doi.org/", "url": "", "eprint": "https://arxiv.org/abs/"}
    return [form + entry.fields[f] for f, form in forms.items() if f in entry.fields]


def families(entry):
    """Family names of the authors, ["Le", "Jaitly", "Hinton"]."""
    names = [p.prelast_names + p.last_names for p in entry.persons["author"]]
    return [" ".join(name).strip("{}") for name in names]


def describe(entry):
    """Authors, year, title with a link, and where the paper appeared."""
    f = entry.fields
    names = "; ".join(map(str, entry.persons["author"])).strip("{}")
    names = f"{names.replace('others', 'et al.')} ({f['year']})"
    venue = next(f[k] for k in ("journal", "booktitle", "school", "note") if k in f)
    volume = f.get("volume", "") + (f"({f['number']})" if "number" in f else "")
    where = [f"*{venue}* {volume}".strip(), f.get("type"), f.get("pages")]
    title = f"[{f['title']}]({addresses(entry)[0]})" + "." * (f["title"][-1] != "?")
    return f"{names}. {title} {', '.join(filter(None, where))}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
