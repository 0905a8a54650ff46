"""The examples in docstrings give what they show; public functions say their types."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import unrolled

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(unrolled.__path__, "unrolled.")
)


@pytest.mark.parametrize("name", ["unrolled", *MODULES])
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_most_of_the_public_names_have_an_example():
    """So that a broken search for examples does not look like success."""
    finder = doctest.DocTestFinder()
    public = [getattr(unrolled, name) for name in unrolled.__all__]
    with_example = [one for one in public if any(t.examples for t in finder.find(one))]
    assert len(with_example) > len(public) / 2


def public_functions(module):
    """Functions and methods that a module defines and does not keep for itself."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(thing):
            yield thing
        elif inspect.isclass(thing):
            members = inspect.getmembers(thing, inspect.isfunction)
            yield from (
                inspect.unwrap(member)
                for name, member in members
                if member.__module__ == module.__name__
                and (name == "__init__" or not name.startswith("_"))
            )


@pytest.mark.parametrize("name", MODULES)
def test_public_functions_say_their_types(name):
    for function in public_functions(importlib.import_module(name)):
        signature = inspect.signature(function)
        untyped = [
            p.name
            for p in signature.parameters.values()
            if p.annotation is p.empty and p.name not in ("self", "cls")
        ]
        assert not untyped, f"{function.__qualname__}: {untyped}"
        assert signature.return_annotation is not signature.empty, function.__qualname__
