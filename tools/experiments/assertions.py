"""What becomes of the assertions of a page: this runs inside the page's kernel.

`record(get_ipython())` has each `assert`, `guard` and `say` of the cells that follow
leave a record in the cell's output. An assertion that fails does not stop the page, so
one run shows all that would; and a record holds the numbers that were compared, which
shows how far they are from failing. `read` finds the records in the executed notebook.
"""

import ast
import operator

import numpy as np

MIME = "application/vnd.unrolled.assertion+json"
KINDS = {"assert": "theorem", "guard": "guard", "say": "sentence"}
COMPARE = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
FUNCTIONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "is": operator.is_,
    "is not": operator.is_not,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}


def record(shell):
    """Watch the cells that `shell` runs from now on."""
    shell.ast_transformers.append(Watch())
    for function in (watch_assert, watch_guard, watch_say, closeness):
        shell.user_ns[f"__{function.__name__}__"] = function


class Watch(ast.NodeTransformer):
    """Puts a call of the functions below in the place of each assertion."""

    def __init__(self):
        self.cell = 0

    def visit_Module(self, node):
        """Take the next cell."""
        self.cell += 1
        self.number = 0
        return ast.fix_missing_locations(self.generic_visit(node))

    def visit_Assert(self, node):
        """`assert a < b and c` becomes `__watch_assert__(place, text, [a < b, c])`."""
        parts = ast.List([part_of(test) for test in conjuncts(node.test)], ast.Load())
        return ast.Expr(self.call("watch_assert", node.test, [parts]))

    def visit_Call(self, node):
        """`guard(…)` becomes `__watch_guard__(place, text, guard, …)`, `say` too."""
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id not in ("guard", "say"):
            return node
        arguments = [node.func, *node.args]
        return self.call(f"watch_{node.func.id}", node, arguments, node.keywords)

    def call(self, function, source, arguments, keywords=()):
        """A call that begins with the assertion's place in the page and its text."""
        self.number += 1
        first = [f"{self.cell}.{self.number}", ast.unparse(source)]
        first = [ast.Constant(word) for word in first]
        name = ast.Name(f"__{function}__", ast.Load())
        return ast.Call(name, [*first, *arguments], list(keywords))


def conjuncts(test):
    """`[a, b]` for the test `a and b`."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return [part for value in test.values for part in conjuncts(value)]
    return [test]


def part_of(test):
    """`(["<"], [lambda: left, lambda: right])` for a condition: nothing worked out yet.

    `(x < 3).all()` and `np.all(x < 3)` are comparisons of arrays; `np.allclose` and
    `np.isclose` compare `closeness` with 1. Of any other test, only its truth is known:
    no operator.
    """
    inner = test
    if method(test) == "all" and not test.keywords and len(test.args) <= 1:
        inner = test.args[0] if test.args else test.func.value
    if method(inner) in ("allclose", "isclose"):
        name = ast.Name("__closeness__", ast.Load())
        operators = ["<="]
        values = [ast.Call(name, inner.args, inner.keywords), ast.Constant(1)]
    elif isinstance(inner, ast.Compare):
        operators = [COMPARE[type(op)] for op in inner.ops]
        values = [inner.left, *inner.comparators]
    else:
        operators, values = [], [test]
    nothing = ast.arguments([], [], None, [], [], None, [])
    words = ast.List([ast.Constant(word) for word in operators], ast.Load())
    later = ast.List([ast.Lambda(nothing, value) for value in values], ast.Load())
    return ast.Tuple([words, later], ast.Load())


def method(test):
    """`"name"` for a call `something.name(…)`, else None."""
    called = isinstance(test, ast.Call) and isinstance(test.func, ast.Attribute)
    return test.func.attr if called else None


def watch_assert(place, text, parts):
    """Work out an assertion's conditions up to the first that fails; leave a record."""
    held, pairs = True, []
    for operators, values in parts:
        left = values[0]()
        held = held and (bool(operators) or bool(left))
        for name, value in zip(operators, values[1:], strict=True):
            if not held:
                break
            right = value()
            held = bool(np.all(FUNCTIONS[name](left, right)))
            if name[0] in "<>":
                low, high = (left, right) if name[0] == "<" else (right, left)
                pairs.append(nearest(low, high))
            left = right
        if not held:
            break
    leave(place, "assert", text, held, pairs)


def watch_guard(place, text, guard, what, value, *, spread, **bounds):
    """Call a guard; leave what it compared, and the spread that it states."""
    held = True
    try:
        guard(what, value, spread=spread, **bounds)
    except (AssertionError, ValueError):  # the latter: its bound is too near
        held = False
    value, pairs = float(value), []
    for side, bound in bounds.items():
        if bound is not None:
            pairs.append([float(bound), value][:: 1 if side == "above" else -1])
    leave(place, "guard", what, held, pairs, value=value, spread=[*map(float, spread)])


def watch_say(place, text, say, *paragraphs):
    """Show a sentence; leave that it was shown."""
    say(*paragraphs)
    leave(place, "say", text, True, [])


def closeness(a, b, rtol=1e-5, atol=1e-8, **_):
    """The largest difference of two arrays, in units of what `np.allclose` allows."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    apart, allowed = np.broadcast_arrays(np.abs(a - b), atol + rtol * np.abs(b))
    share = np.full(apart.shape, np.inf)
    np.divide(apart, allowed, out=share, where=allowed > 0)
    return float(np.max(np.where(apart == 0, 0, share), initial=0))


def nearest(low, high):
    """The entries of two arrays that are least far in order, or None for no numbers."""
    try:
        low, high = np.broadcast_arrays(
            np.asarray(low, dtype=float), np.asarray(high, dtype=float)
        )
    except (TypeError, ValueError):
        return None
    if not low.size:
        return None
    least = np.argmin(high - low)
    return [float(low.flat[least]), float(high.flat[least])]


def leave(place, kind, text, held, pairs, **more):
    """Put a record into the cell's output."""
    from IPython.display import display  # here: whoever reads records may lack it

    row = {"at": place, "kind": KINDS[kind], "text": text, "held": held, "pairs": pairs}
    display({"text/plain": "", MIME: row | more}, raw=True)


def read(notebook):
    """The records in the outputs of an executed notebook, in order."""
    outputs = (out for cell in notebook.cells for out in cell.get("outputs", []))
    return [out["data"][MIME] for out in outputs if MIME in out.get("data", {})]
