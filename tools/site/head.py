"""Describe each page to search engines and to those who share its link."""

import copy
import json
import re

AUTHOR = "The Gates & Gradients authors"
CARD = "_static/card.png"
CARD_ALT = "Gates & Gradients: RNN vs LSTM. Derived, built, measured."
LONGEST = 200


def describe(soup):
    """The page's question and what the reader will do, as plain text, or ""."""
    article = soup.select_one("article")
    if article is None:
        return ""
    question = article.select_one("h1 + p > strong, h1 ~ p > strong")
    parts = [words(question)] if question else []
    will = cell_beside(article, "You will")
    if will:
        parts.append(f"You will {words(will)}.")
    if not parts and article.select_one("p"):
        parts.append(words(article.select_one("p")))
    text = re.sub(r"\s+([,.;:)])", r"\1", " ".join(" ".join(parts).split()))
    if len(text) <= LONGEST:
        return text
    return text[:LONGEST].rpartition(" ")[0].rstrip(",;:") + " …"


def words(part):
    """The text of a part of a page, without its formulas."""
    part = copy.copy(part)
    for formula in part.select(".katex, .math, .headerlink"):
        formula.extract()
    return part.get_text(" ", strip=True)


def cell_beside(soup, label):
    """The cell beside `label` in the table that opens a page, or None."""
    found = soup.find("strong", string=label)
    return found and found.find_parent("td").find_next_sibling("td")


def minutes(soup):
    """Minutes to read, as the page says, or None."""
    takes = cell_beside(soup, "Takes")
    found = takes and re.search(r"(\d+) minutes to read", takes.get_text(" "))
    return int(found[1]) if found else None


def add_metadata(soup, address, base, front):
    """Put description, social card and structured data into a page's head.

    Args:
        soup: the page, parsed; changed in place.
        address: where it will be published.
        base: where the site will be.
        front: whether this is the front page, which stands for the whole course.
    """
    title = soup.title.get_text().partition(" — ")[0]
    about = describe(soup)
    image = base + CARD
    named = {"description": about, "twitter:card": "summary_large_image"}
    properties = {
        "og:type": "website" if front else "article",
        "og:site_name": "Gates & Gradients",
        "og:title": title,
        "og:description": about,
        "og:url": address,
        "og:image": image,
        "og:image:alt": CARD_ALT,
    }
    for key, pairs in (("name", named), ("property", properties)):
        for name, content in pairs.items():
            for old in soup.head.find_all("meta", attrs={key: name}):
                old.extract()
            if content:
                tag = soup.new_tag("meta", attrs={key: name, "content": content})
                soup.head.append(tag)
    script = soup.new_tag("script", attrs={"type": "application/ld+json"})
    data = structured_data(title, about, address, base, front, minutes(soup))
    script.string = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
    soup.head.append(script)


def structured_data(title, about, address, base, front, reading):
    """The page as schema.org describes a course, or one lesson of it."""
    course = {
        "@type": "Course",
        "name": "Gates & Gradients: RNN vs LSTM, derived, built, measured",
        "url": f"{base}book/index.html",
        "provider": {"@type": "Organization", "name": AUTHOR, "url": base},
    }
    lesson = {
        "@context": "https://schema.org",
        "@type": "LearningResource",
        "name": title,
        "description": about,
        "url": address,
        "inLanguage": "en",
        "learningResourceType": "tutorial",
        "educationalLevel": "university",
        "isAccessibleForFree": True,
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "author": {"@type": "Organization", "name": AUTHOR},
        "isPartOf": course,
    }
    if front:
        about = {key: lesson[key] for key in ("@context", "inLanguage", "license")}
        return about | course | {"description": lesson["description"]}
    if reading:
        lesson["timeRequired"] = f"PT{reading}M"
    return lesson
