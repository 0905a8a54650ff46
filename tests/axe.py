"""Ask axe, which knows the rules of accessible pages."""


def violations(page, **rules):
    """What axe finds on a page.

    Args:
        page: of a browser.
        **rules: options of axe, such as `rules` to leave out.

    Returns:
        list of pairs: the rule, and an element that breaks it, as HTML.
    """
    from axe_playwright_python.sync_playwright import Axe

    options = {"preload": False, "resultTypes": ["violations"], **rules}
    return [
        (found["id"], node["html"])
        for found in Axe().run(page, options=options).response["violations"]
        for node in found["nodes"]
        # A head that is a formula: axe does not read MathML, screen readers do.
        if found["id"] != "empty-table-header"
        or not page.locator(node["target"][0]).locator("math").count()
    ]
