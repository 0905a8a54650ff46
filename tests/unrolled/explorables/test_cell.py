"""One unit in the reader's hands: it computes what the package computes."""

import numpy as np
import pytest

from tests.axe import violations
from unrolled.explorables import cell
from unrolled.explorables.cell import CELLS, PRESETS, run_unit

# What `run` of the module gives, for settings of `random_settings`.
RUN = """async ([url, settings]) => {
  const { run } = await import(url);
  return settings.map(([model, weights, write, erase, T]) =>
    run(model, weights, new Set(write), new Set(erase), T));
}"""
ALL = [(model, preset) for model in PRESETS for preset in PRESETS[model]]


def random_settings(model, n, rng):
    """Weights from timid to saturated, and marks, for `run_unit` and `run`."""
    for _ in range(n):
        size = rng.choice([0.5, 3, 20])
        blocks = CELLS[model].block_names
        weights = {name: rng.normal(0, size, 4).tolist() for name in blocks}
        T = int(rng.integers(2, 40))
        marks = [(np.flatnonzero(rng.random(T) < 0.2) + 1).tolist() for _ in "we"]
        yield model, weights, *marks, T


@pytest.mark.parametrize("model", CELLS)
def test_the_module_equals_the_package(browser, modules, model):
    """Every gate, state and derivative, at every step, to five digits and better."""
    rng = np.random.default_rng(20)
    settings = list(random_settings(model, 200, rng))
    settings += [
        (model, weights, [4, 12], [18], 24) for weights in PRESETS[model].values()
    ]
    page = browser.new_page()
    page.goto(f"{modules}/explorable.css")
    found = page.evaluate(RUN, [f"{modules}/cell.js", settings])
    page.close()
    for setting, steps in zip(settings, found, strict=True):
        expected = run_unit(*setting)
        names = set(expected)
        assert names == set(steps[0])
        for name in names:
            values = [step[name] for step in steps]
            np.testing.assert_allclose(
                values, expected[name], rtol=1e-5, atol=1e-9, err_msg=name
            )


@pytest.mark.parametrize(("model", "seed"), [("LSTM", 2), ("GRU", 2), ("RNN", 0)])
def test_keras_at_the_start(model, seed):
    layer = CELLS[model](1, 2, seed=seed)
    kernel, recurrent, bias = layer.get_weights()
    bias = bias[0] if bias.ndim == 2 else bias
    for k, name in enumerate(layer.block_names):
        drawn = [bias[k], *kernel[:, k], recurrent[0, k]]
        assert np.allclose(PRESETS[model]["keras"][name], drawn, atol=0.00501)


def test_presets_do_what_their_names_say():
    def end(preset, write=(4, 12), erase=(18,), model="LSTM"):
        return run_unit(model, PRESETS[model][preset], write, erase, 24)

    assert np.isclose(end("latch")["c"][16], 1) and abs(end("latch")["c"][-1]) < 1e-6
    assert np.isclose(end("counter", write=range(1, 8))["c"][-1], 7)
    stored = np.tanh(0.6)
    assert np.isclose(end("eraser")["c"][-1], 0, atol=1e-6)
    for order in ((4, 12), (12, 4)):
        write, erase = [order[0]], [order[1]]
        assert np.isclose(end("first", write, erase)["c"][-1], stored)
    assert 0.5 < end("loop")["total"][0] < 2 and end("loop")["direct"][0] < 1e-9
    assert (
        end("latch", model="GRU")["h"][16] > 0.99 > end("latch", model="GRU")["h"][-1]
    )
    bit = end("latch", model="RNN")["h"]
    assert bit[16] > 0.9 and bit[-1] < -0.9
    assert end("above", model="RNN")["total"][0] < 0.5
    assert end("above", (), (), model="RNN")["total"][0] > 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "TCN"}, "model is 'TCN'"),
        ({"preset": "lock"}, "preset is 'lock'"),
        ({"model": "RNN", "preset": "counter"}, "preset is 'counter'"),
        ({"block": "z"}, "block is 'z'"),
        ({"steps": 1}, "steps is 1"),
        ({"write": [25]}, r"write is \[25\]"),
        ({"erase": [0]}, "erase is 0"),
        ({"words": {"sel": "cell"}}, r"words has \['sel'\]"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        cell(**arguments)


@pytest.mark.parametrize(("model", "preset"), ALL)
def test_is_light(model, preset):
    explorable = cell(model, preset)
    assert len(explorable._repr_mimebundle_()["text/html"].encode()) < 50_000


@pytest.fixture
def show(browser, put):
    """Function that opens a page with a cell; returns the page."""
    pages = []

    def open_page(*arguments, theme="light", width=800, **options):
        page = browser.new_page(viewport={"width": width, "height": 1200}, **options)
        pages.append(page)
        page.goto(put(cell(*arguments), theme=theme))
        page.get_by_role("status").wait_for()
        return page

    yield open_page
    for page in pages:
        page.close()


def said(page):
    return page.get_by_role("status").inner_text()


def test_says_what_holds(show):
    page = show("LSTM", "keras")
    assert "0.731: half of what is held is gone after 2.2 steps" in said(page)
    assert "it vanishes" in said(page)
    page.get_by_role("button", name="counter").click()
    assert "holds 2 and" in said(page) and "it is kept" in said(page)
    page.get_by_role("button", name="RNN").click()
    page.get_by_role("button", name="weight above one").click()
    assert "it vanishes" in said(page)
    for t in (4, 12):
        writes = page.get_by_role("group", name="write")
        writes.get_by_role("button", name=f"step {t}", exact=True).click()
    erases = page.get_by_role("group", name="erase")
    erases.get_by_role("button", name="step 18").click()
    assert "it explodes" in said(page)  # nothing is written: the state rests at 0


def test_by_touch(show):
    page = show("LSTM", "counter", width=390, has_touch=True, is_mobile=True)
    writes = page.get_by_role("group", name="write")
    writes.get_by_role("button", name="step 20").tap()
    assert "holds 3 and" in said(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_by_keys(show):
    page = show("LSTM", "counter")
    writes = page.get_by_role("group", name="write")
    writes.get_by_role("button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert "holds 3 and" in said(page)
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert "holds 4 and" in said(page)
    assert "step 24" in page.locator(".cell-read").inner_text()
    page.keyboard.press("Tab")  # one stop per row: the other row comes next
    where = "document.activeElement.parentElement.getAttribute('aria-label')"
    assert page.evaluate(where) == "erase"
    preset = page.get_by_role("button", name="leaky")
    preset.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "leaky"
    slider = page.get_by_role("slider", name="bias")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert float(slider.get_attribute("aria-valuetext")) > 2.2
    assert not page.locator("button[aria-pressed=true]", has_text="leaky").count()


def test_a_slider_moves_its_own_weight(show):
    """What the page draws equals the package after a change by hand."""
    page = show("LSTM", "keras")
    page.get_by_role("button", name="candidate g").click()
    page.get_by_role("slider", name="for write").fill("1.5")
    weights = dict(PRESETS["LSTM"]["keras"])
    weights["g"] = [0, 2.25, *weights["g"][2:]]
    c = run_unit("LSTM", weights, [4, 12], [18], 24)["c"][11]
    page.get_by_role("group", name="write").get_by_role("button").nth(11).focus()
    assert f" c = {c:.3g}" in page.locator(".cell-read").inner_text()


def test_start_again(show):
    """As the page had it, and the keyboard stays where it was."""
    page = show("LSTM", "counter")
    before = said(page)
    writes = page.get_by_role("group", name="write")
    writes.get_by_role("button", name="step 20").click()
    page.get_by_role("slider", name="bias").fill("-2")
    page.get_by_role("button", name="GRU").click()
    again = page.get_by_role("button", name="Start again")
    again.focus()
    page.keyboard.press("Enter")
    assert said(page) == before
    assert page.locator("button[aria-pressed=true]", has_text="counter").count()
    assert again.evaluate("e => e === document.activeElement")


@pytest.mark.parametrize("width", [320, 500, 1600])
def test_nothing_jumps_and_nothing_is_cut(show, width):
    page = show("LSTM", "keras", width=width)
    stage = page.locator(".explorable-stage")
    places = set()
    for model, presets in PRESETS.items():
        page.get_by_role("button", name=model, exact=True).click()
        for k in range(len(presets)):
            page.get_by_role("group", name="Preset").get_by_role("button").nth(
                k
            ).click()
            places.add(page.locator(".cell-chart").bounding_box()["y"])
            inside = page.locator(".explorable-stage > div").bounding_box()["height"]
            assert inside <= stage.bounding_box()["height"]
    assert len(places) == 1
    room = stage.evaluate("e => parseFloat(getComputedStyle(e).minHeight)")
    assert stage.bounding_box()["height"] == room
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_agrees(show, theme, width):
    page = show("LSTM", "keras", theme=theme, width=width)
    assert violations(page) == []
