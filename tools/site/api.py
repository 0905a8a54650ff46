"""Sphinx extension: the reference of the package, made from its docstrings.

Docstrings are written to be read in an editor. On the pages in `book/api`:

* A name in backticks links to its entry; anything else in backticks is code, and an
  asterisk or a bar is itself. An arXiv number links to the paper.
* A class lists what it inherits. Search finds `LSTM.backward`, which is described only
  once, at `Recurrent`; and arguments, such as `forget_bias`.
* Each entry links to its source on GitHub.
"""

import importlib
import inspect
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.domains import ObjType
from sphinx.domains.python import ObjectEntry, PythonDomain
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.docutils import SphinxRole
from sphinx.util.nodes import make_refnode

import unrolled

PACKAGE = unrolled.__name__
MEMBERS = ("method", "property", "attribute")
BEFORE_OTHERS = 400  # sphinx-copybutton reads its options at 500
SECTIONS = Config(napoleon_custom_sections=[("Attributes", "params_style")])
TOKEN = re.compile(
    r"""
    `[^`]+`                                         # code
    | ^\ *>>>.*(?:\n\ *\S.*)*                       # an example, to an empty line
    | ::\n\n(\ +)\S.*(?:\n\1.*|\n\ *(?=\n|\Z))*     # an indented block
    | ^\ *\*\                                       # a bullet
    | arXiv:(?P<arxiv>\d{4}\.\d{4,5})
    | (?P<special>[\\*|]|_+(?!\w))
    """,
    re.MULTILINE | re.VERBOSE,
)
ARGUMENTS = re.compile(r'<dl>\s*(<dd><em class="sig-param.*?)</dl>', re.DOTALL)


def convert_docstring(app, what, name, obj, options, lines):
    """Event `autodoc-process-docstring`: turn a docstring into reStructuredText."""
    if what == "data" and obj.__doc__ == type(obj).__doc__:
        lines.clear()  # Python's description of any dict
    text = to_rst("\n".join(lines))
    # As of a method, even of a property, in whose text napoleon would look for a type.
    lines[:] = Docstring(text, SECTIONS, app, "method", name, obj).lines()
    if what == "class" and (inherited := inherited_members(obj)):
        lines += ["", ".. rubric:: Inherited", ""]
        for base, members in inherited.items():
            names = ", ".join(f"`{member}`" for member in members)
            lines.append(f"* from `{base.__name__}`: {names}")
        lines.append("")


def to_rst(text):
    """Escape what reStructuredText would take for markup, outside of code."""
    return TOKEN.sub(translate, text)


def translate(match):
    """One `TOKEN` as reStructuredText."""
    if match["special"]:
        return "".join(f"\\{character}" for character in match[0])
    if match["arxiv"]:
        return f"`{match[0]} <https://arxiv.org/abs/{match['arxiv']}>`__"
    return match[0]


class Docstring(GoogleDocstring):
    """Google's sections, except that Returns is prose: a colon there ends no type."""

    def _consume_returns_section(self, preprocess_types=False):
        return [("", "", self._dedent(self._consume_to_next_section()))]


def inherited_members(cls):
    """Public methods and properties that `cls` inherits: base class → names."""
    seen, inherited = set(vars(cls)), {}
    for base in cls.__mro__[1:]:
        if base.__module__.startswith(PACKAGE):
            names = [
                name
                for name, member in vars(base).items()
                if not name.startswith("_") and name not in seen
                if inspect.isfunction(member) or isinstance(member, property)
            ]
            inherited |= {base: names} if names else {}
        seen |= set(vars(base))
    return inherited


def skip_fields(app, what, name, obj, skip, options):
    """Event `autodoc-skip-member`: a named tuple's fields are among its attributes."""
    return True if (obj.__doc__ or "").startswith("Alias for field number") else None


class Backticks(SphinxRole):
    """The role of text in backticks: a link if it names an entry, otherwise code."""

    def run(self):
        """Leave a reference, which `find_entry` resolves once all entries are known."""
        text = " ".join(self.rawtext.strip("`").split())
        code = nodes.literal(self.rawtext, text, classes=["xref"])
        reference = addnodes.pending_xref(
            self.rawtext,
            code,
            refdomain="",
            reftype=PACKAGE,
            reftarget=text,
            cls=self.env.ref_context.get("py:class"),
            entry=(self.env.temp_data.get("object") or [None])[0],
        )
        return [reference], []


def find_entry(app, env, node, code):
    """Event `missing-reference`: link a name to its entry; leave other text as code.

    Within a class, the name of a member is enough. No entry links to itself: in the
    docstring of `LSTM`, "Keras's `LSTM`" means another one.
    """
    if node["reftype"] != PACKAGE:
        return None
    name = node["reftarget"].removesuffix("()")
    names = {name, f"{node['cls']}.{name}"} - {node["entry"]}
    found = {
        (entry.docname, entry.node_id)
        for full, entry in env.get_domain("py").objects.items()
        if entry.objtype != "argument" and {full, short_name(full, entry)} & names
    }
    if len(found) != 1:
        code["classes"].remove("xref")
        return code
    ((docname, anchor),) = found
    return make_refnode(app.builder, node["refdoc"], docname, anchor, code, name)


def short_name(full, entry):
    """`LSTM.forward` for a method, `latch` for the function `unrolled.tasks.latch`."""
    inside = entry.objtype in (*MEMBERS, "argument")
    return ".".join(full.split(".")[-2 if inside else -1 :])


def add_search_entries(app, env):
    """Event `env-updated`: let search find inherited members, and arguments."""
    objects = env.get_domain("py").objects
    described = {}
    for full, entry in objects.items():
        if entry.objtype in ("class", "function") and not entry.aliased:
            module, _, name = full.rpartition(".")
            described[getattr(importlib.import_module(module), name)] = full
    for obj, full in described.items():
        where = objects[full]
        for name in inspect.signature(obj).parameters:
            argument = ObjectEntry(where.docname, where.node_id, "argument", False)
            objects.setdefault(f"{full}.{name}", argument)
        inherited = inherited_members(obj) if inspect.isclass(obj) else {}
        for base, names in inherited.items():
            for name in names:
                if entry := objects.get(f"{described.get(base)}.{name}"):
                    objects.setdefault(f"{full}.{name}", entry)


def names_by_place(env):
    """What is described where: place in the site → names, as one would search them."""
    places = {}
    for full, entry in env.get_domain("py").objects.items():
        place = f"{entry.docname}.html#{entry.node_id}"
        places.setdefault(place, set()).add(short_name(full, entry))
    return {place: sorted(names) for place, names in places.items()}


def source_address(repository, info):
    """Where the source of an entry is on GitHub; None for data.

    Args:
        repository: its address and branch, as in `_config.yml`.
        info: the entry's `module` and `fullname`.
    """
    obj = importlib.import_module(info["module"])
    for name in info["fullname"].split("."):
        obj = getattr(obj, name, None)
    obj = inspect.unwrap(obj.fget if isinstance(obj, property) else obj)
    if not (inspect.isclass(obj) or inspect.isfunction(obj)):
        return None
    lines, first = inspect.getsourcelines(obj)
    root = Path(unrolled.__file__).parents[1]
    path = Path(inspect.getsourcefile(obj)).relative_to(root).as_posix()
    place = f"{path}#L{first}-L{first + len(lines) - 1}"
    return f"{repository['url']}/blob/{repository['branch']}/{place}"


def arrange_signatures(app, pagename, templatename, context, doctree):
    """Event `html-page-context`: lines of arguments are no list of definitions.

    Sphinx writes a `dl` without a `dt`, which screen readers stumble over.
    """
    context["body"] = ARGUMENTS.sub(as_lines, context.get("body", ""))


def as_lines(match):
    """`ARGUMENTS` in elements that mean nothing by themselves."""
    lines = match[1].replace("<dd>", "<span>").replace("</dd>", "</span>")
    return f'<span class="sig-arguments">{lines}</span>'


def configure(app, config):
    """Event `config-inited`: set the options of what makes these pages."""
    config.default_role = PACKAGE
    config.autodoc_default_options = {"members": True}
    config.autodoc_member_order = "bysource"
    config.autodoc_typehints = "none"  # docstrings say types in words, and shapes
    config.maximum_signature_line_length = 84
    config.toc_object_entries = False  # the pages have a heading for each
    config.copybutton_prompt_text = r">>> |\.\.\. "
    config.copybutton_prompt_is_regexp = True
    options = config.html_theme_options
    repository = {
        "url": options["repository_url"],
        "branch": options["repository_branch"],
    }
    config.linkcode_resolve = lambda domain, info: source_address(repository, info)


def setup(app):
    """Register all of the above with Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.linkcode")
    PythonDomain.object_types["argument"] = ObjType("argument")
    app.add_role(PACKAGE, Backticks())
    app.connect("config-inited", configure, BEFORE_OTHERS)
    app.connect("autodoc-process-docstring", convert_docstring)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("env-updated", add_search_entries)
    app.connect("missing-reference", find_entry)
    app.connect("html-page-context", arrange_signatures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
