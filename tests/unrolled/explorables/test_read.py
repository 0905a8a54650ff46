"""Three networks that read a digit in the reader's page, as the package reads it."""

import re

import numpy as np
import pytest

from tests.axe import violations
from tests.unrolled.explorables.conftest import in_another_script
from unrolled.course.recorded import load_recorded
from unrolled.explorables import read_digits
from unrolled.explorables.read import HALF, WORDS, load_digits, load_networks

# What `read` of `networks.js` gives for each digit, with rows blanked and gates held.
READ = """async ([url, data, blanks, held]) => {
  const { read, unpack, unpackDigits } = await import(url);
  const digits = unpackDigits(data.digits);
  digits.forEach((pixels, k) => {
    for (const t of blanks[k]) pixels.fill(0, 28 * t, 28 * t + 28);
  });
  const asLists = (step) => Object.fromEntries(
    Object.entries(step).map(([name, values]) => [name, [...values]]));
  return Object.entries(data.weights).map(([name, weights]) => {
    const net = unpack(name, weights, data.units);
    return digits.map((pixels) => read(net, pixels, held[name]).map(asLists));
  });
}"""
# What `matters` gives for the first digits, half of them with a gate held.
MATTERS = """async ([url, data, held]) => {
  const { matters, read, unpack, unpackDigits } = await import(url);
  return Object.entries(data.weights).map(([name, weights]) => {
    const net = unpack(name, weights, data.units);
    return unpackDigits(data.digits).slice(0, 3).map((pixels) =>
      matters(net, pixels, held[name], read(net, pixels, held[name])));
  });
}"""
HELD = [{}]
HELD += [{"LSTM": {gate: value}} for gate in "ifo" for value in (0, 1)]
HELD += [{"GRU": {gate: value}} for gate in "zr" for value in (0, 1)]
HELD += [{"LSTM": {"i": 1, "f": 0}, "GRU": {"z": 0, "r": 1}}]
SEVEN = [(7, 6), (21, 6), (12, 24)]  # corners of a 7, in rows of the paper


@pytest.fixture
def show(browser, put):
    """Function that opens a page with the explorable; returns the page."""
    pages = []

    def open_page(theme="light", width=1000, motion="reduce", **options):
        page = browser.new_page(
            viewport={"width": width, "height": 1300}, reduced_motion=motion, **options
        )
        pages.append(page)
        page.on("request", lambda request: page.asked.append(request.url))
        page.asked = []
        page.goto(put(read_digits(), theme=theme))
        page.locator(".read-board").wait_for()
        return page

    yield open_page
    for page in pages:  # itself, and its still
        assert not [url for url in page.asked[1:] if not url.startswith("data:")]
        page.close()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def asked(page):
    return page.locator(".read-ask p").inner_text()


def said(page):
    """What the networks answer, as screen readers hear it: a dict of digits."""
    text = page.get_by_role("status").text_content()
    found = re.search(r"RNN says (\d), the LSTM (\d), the GRU (\d)", text)
    return dict(zip(("RNN", "LSTM", "GRU"), map(int, found.groups()), strict=True))


def slide(page, rows):
    page.get_by_role("slider", name="Rows read").fill(str(rows))


def expected(images, held=None):
    """Activations and answers of the package; gates are held by their weights."""
    runs = {}
    for name, network in load_networks().items():
        cell = network.body
        for gate, value in (held or {}).get(name, {}).items():
            at = cell.block_names.index(gate)
            block = slice(at * cell.units, (at + 1) * cell.units)
            for weights in (cell.weights["kernel"], cell.weights["recurrent_kernel"]):
                weights[:, block] = 0
            cell.weights["bias"][..., block] = 0
            first = np.atleast_2d(cell.weights["bias"])[0]
            first[block] = 100 if value else -100  # where the sigmoid is 1 or 0
        answers = network.predict(images)
        runs[name] = {**cell.activations(), "p": answers}
    return runs


@pytest.mark.parametrize("held", HELD, ids=str)
def test_the_module_equals_the_package(browser, modules, held):
    """Every gate, state and answer, after every row, to five digits and better."""
    rng = np.random.default_rng(20)
    images, _ = load_digits()
    blanks = [
        np.flatnonzero(rng.random(28) < 0.2 * (k % 2)) for k in range(len(images))
    ]
    for image, rows in zip(images, blanks, strict=True):
        image[rows] = 0
    page = browser.new_page()
    page.goto(f"{modules}/explorable.css")
    blanks = [rows.tolist() for rows in blanks]
    arguments = [f"{modules}/networks.js", read_digits().data, blanks, held]
    found = page.evaluate(READ, arguments)
    page.close()
    for (model, run), read in zip(expected(images, held).items(), found, strict=True):
        assert set(run) == set(read[0][0])
        for name, values in run.items():
            those = [[step[name] for step in steps] for steps in read]
            np.testing.assert_allclose(
                those, values, rtol=1e-5, atol=1e-8, err_msg=f"{model} {name}"
            )


@pytest.mark.parametrize("held", [{}, {"LSTM": {"f": 1}, "GRU": {"r": 0}}], ids=str)
def test_which_rows_matter(browser, modules, held):
    """The probability that moves if one row is blank, as the package has it."""
    images, _ = load_digits()
    page = browser.new_page()
    page.goto(f"{modules}/explorable.css")
    arguments = [f"{modules}/networks.js", read_digits().data, held]
    found = np.array(page.evaluate(MATTERS, arguments))  # (networks, digits, rows)
    page.close()
    blanked = np.repeat(images[:3, None], 28, axis=1)
    blanked[:, range(28), range(28)] = 0
    whole = expected(images[:3], held)
    for n, run in enumerate(expected(blanked.reshape(-1, 28, 28), held).values()):
        last = run["p"][:, -1].reshape(3, 28, 10)
        before = list(whole.values())[n]["p"][:, -1]
        moved = np.abs(last - before[:, None]).sum(-1) / 2
        np.testing.assert_allclose(found[n], moved, rtol=1e-5, atol=1e-8)


def test_the_networks_are_those_of_the_recorded_run():
    """Rounded as shipped, on the digits that this copy has."""
    from unrolled.tasks import load_mnist

    digits = load_mnist()
    _, (x, y) = digits
    (row,) = [row for row in load_recorded("reading") if row["seed"] == 0]
    for name, network in load_networks().items():
        right = (network.predict(x / 255, 500).argmax(-1) == y[:, None]).mean(0)
        for rows in (7, 13, 28):
            recorded = row[f"{name}_{rows}"]
            if len(x) == 10_000:
                assert right[rows - 1] == pytest.approx(recorded, abs=0.0002)
            else:  # other digits, if fewer: six standard deviations of a share
                spread = np.sqrt(recorded * (1 - recorded) / len(x))
                assert abs(right[rows - 1] - recorded) < 6 * spread + 0.01


def test_the_story_begins_where_the_networks_disagree():
    images, labels = load_digits()
    half = [run["p"][0, HALF - 1].argmax() for run in expected(images).values()]
    assert len(set(half)) == 3
    ends = np.stack([run["p"][:, -1].argmax(-1) for run in expected(images).values()])
    assert (ends[:, :10] == labels[:10]).all() and set(labels[:10]) == set(range(10))
    right = (ends[:, 10:] == labels[10:]).sum(0)
    assert ((right > 0) & (right < 3)).all()


def test_is_light():
    html = read_digits()._repr_mimebundle_()["text/html"]
    assert len(html.encode()) <= 150_000


def test_bad_input():
    with pytest.raises(ValueError, match=r"words has \['speak'\]"):
        read_digits(words={"speak": "read"})


def test_the_story(show):
    page = show()
    assert "Which digit will it be?" in asked(page)
    assert len(set(said(page).values())) == 3
    assert page.get_by_role("slider", name="Rows read").input_value() == str(HALF)
    label = int(load_digits()[1][0])
    press(page, f"{(label + 1) % 10}")
    assert asked(page).startswith(
        f"You said: {(label + 1) % 10}. The digit is {label}."
    )
    assert said(page) == dict.fromkeys(("RNN", "LSTM", "GRU"), label)


def test_by_hand_without_a_guess(show):
    page = show()
    slide(page, 9)
    assert said(page) == {
        name: run["p"][0, 8].argmax()
        for name, run in expected(load_digits()[0]).items()
    }
    press(page, "Play")
    assert page.get_by_role("slider", name="Rows read").input_value() == "28"
    assert "is right from row" in asked(page)


def test_each_control_asks_once(show):
    page = show()
    press(page, "Example 4")
    assert "first to settle" in asked(page)
    press(page, "LSTM")
    assert asked(page).startswith("You said: LSTM.")
    press(page, "Example 5")
    assert "first to settle" not in asked(page)
    slide(page, 14)
    press(page, "Blank row 14")
    assert "How many of the three" in asked(page)
    press(page, "Two")
    assert asked(page).startswith("You said: Two.")
    gate = page.get_by_role("combobox", name="forget f")
    gate.select_option("0")
    assert "held at 0" in asked(page)
    press(page, "Just show me")
    gate.select_option("1")
    assert "held at" not in asked(page)


def test_a_held_gate_and_a_blank_row_are_computed(show):
    page, (images, _) = show(), load_digits()
    slide(page, 14)
    press(page, "Blank row 14")
    press(page, "None")
    page.get_by_role("combobox", name="forget f").select_option("0")
    press(page, "Yes")
    images[:, 13] = 0
    held = expected(images, {"LSTM": {"f": 0}})
    for rows in (16, 22, 28):
        slide(page, rows)
        answers = {name: run["p"][0, rows - 1].argmax() for name, run in held.items()}
        assert said(page) == answers
    press(page, "Undo all changes")
    whole = expected(load_digits()[0])
    answers = {name: run["p"][0, -1].argmax() for name, run in whole.items()}
    assert said(page) == answers


def test_a_7_by_mouse(show):
    page = show()
    box = page.locator(".paper canvas").bounding_box()
    unit = box["width"] / 28
    for k, (x, y) in enumerate(SEVEN):
        page.mouse.move(box["x"] + x * unit, box["y"] + y * unit, steps=8 if k else 1)
        if k == 0:
            page.mouse.down()
    page.mouse.up()
    assert "which digit did you draw" in asked(page)
    press(page, "7")
    assert "You drew 7" in asked(page)
    assert said(page) == dict.fromkeys(("RNN", "LSTM", "GRU"), 7)


def test_a_7_by_touch(show):
    page = show(width=390, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Draw one yourself").tap()
    page.locator(".paper canvas").scroll_into_view_if_needed()
    box = page.locator(".paper canvas").bounding_box()
    unit, wire = box["width"] / 28, page.context.new_cdp_session(page)

    def touch(kind, *points):
        at = [{"x": box["x"] + x * unit, "y": box["y"] + y * unit} for x, y in points]
        wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    (a, b, c) = np.array(SEVEN, float)
    path = [*np.linspace(a, b, 8), *np.linspace(b, c, 8)]
    touch("touchStart", path[0])
    for point in path[1:]:
        touch("touchMove", point)
    touch("touchEnd")
    press(page, "7")  # a tap within milliseconds of the stroke's end would be no tap
    assert said(page) == dict.fromkeys(("RNN", "LSTM", "GRU"), 7)


def test_a_finger_that_scrolls_changes_nothing(show):
    """The board fills a phone's screen; to scroll over it is not to play with it."""
    page = show(width=390, has_touch=True, is_mobile=True)
    wire = page.context.new_cdp_session(page)
    question = asked(page)
    for canvas in page.locator(".read-panel canvas").all()[:4]:
        box = canvas.bounding_box()
        x, y = box["x"] + 20, box["y"] + 50

        def touch(kind, *points):
            at = [{"x": x, "y": y - up} for up in points]  # noqa: B023
            wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

        touch("touchStart", 0)
        for up in range(5, 50, 5):
            touch("touchMove", up)
        touch("touchEnd")
        page.evaluate("scrollTo(0, 0)")
        assert asked(page) == question
        assert page.get_by_role("slider", name="Rows read").input_value() == str(HALF)
    page.locator(".answers canvas").first.tap(position={"x": 20, "y": 50})
    row = int(page.get_by_role("slider", name="Rows read").input_value())
    assert row == int(28 * 50 / (28 * 7)) + 1


def test_a_7_by_keys(show):
    page = show()
    page.locator(".paper canvas").focus()

    def move(dx, dy):
        for _ in range(abs(dx)):
            page.keyboard.press("ArrowRight" if dx > 0 else "ArrowLeft")
        for _ in range(abs(dy)):
            page.keyboard.press("ArrowDown" if dy > 0 else "ArrowUp")

    move(-7, -8)
    page.keyboard.press("Space")
    move(14, 0)
    for _ in range(9):  # a slanting leg
        move(-1, 2)
    page.keyboard.press("Space")
    page.keyboard.press("Tab")  # away from the answer that has the focus, and back
    page.keyboard.press("Shift+Tab")
    for _ in range(7):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert "You drew 7" in asked(page)
    assert page.locator(".read-ask:focus").count()  # not lost with the answer's button
    assert said(page) == dict.fromkeys(("RNN", "LSTM", "GRU"), 7)
    page.locator(".paper canvas").focus()
    page.keyboard.press("Delete")
    assert "Draw a digit" in asked(page)


def test_a_pen_of_keys_and_a_mouse_do_not_meet(show):
    """Whichever goes down last draws; a pen that was lifted draws no more."""
    page = show()
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    paper = page.locator(".paper canvas")
    paper.focus()
    page.keyboard.press("Space")
    paper.click(position={"x": 40, "y": 60})
    paper.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    press(page, "Draw one yourself")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")  # lifts the pen; the networks read, the question was put
    assert asked(page).startswith("The RNN says")
    assert not troubles


def test_one_unit_over_the_digit(show):
    page, (images, _) = show(), load_digits()
    run = expected(images)["LSTM"]
    network = load_networks()["LSTM"]
    caption = page.locator(".read-caption")
    page.get_by_text("More to look at").click()
    page.get_by_role("combobox", name="Curve over the digit").select_option("LSTM")
    page.get_by_role("slider", name="Which unit").fill("2")
    assert "votes" not in caption.inner_text()  # that would give the digit away
    press(page, "Just show me")
    answer = run["p"][0, -1].argmax()
    votes = run["h"][0, -1] * network.head.weights["kernel"][:, answer]
    second = np.argsort(-votes)[1]
    value = f"{run['c'][0, -1, second]:.2f}".replace("-", "−")
    said = caption.inner_text()
    assert f"unit 2 from the left: state c is {value} after row 28" in said
    assert f"votes for {answer}" in said
    cells = page.locator(".units canvas").nth(2)
    cells.hover(position={"x": 2, "y": 20})
    assert caption.inner_text().startswith("GRU, unit")
    page.mouse.move(0, 0)
    assert caption.inner_text() == said


def test_an_empty_row_gives_way_to_the_one_that_matters_most(show):
    page = show()
    press(page, "Just show me")
    button = page.get_by_role("button", name=re.compile(r"^Blank row"))
    page.wait_for_function(
        "[...document.querySelectorAll('button')]"
        ".some((b) => /^Blank row/.test(b.textContent) && !b.disabled)"
    )
    images, _ = load_digits()
    assert not images[0, 27].any()
    blanked = np.repeat(images[:1], 28, axis=0)
    blanked[range(28), range(28)] = 0
    whole = expected(images[:1])
    moved = sum(
        np.abs(run["p"][:, -1] - whole[name]["p"][:, -1]).sum(-1)
        for name, run in expected(blanked).items()
    )
    assert button.inner_text() == f"Blank row {moved.argmax() + 1}"


def test_controls_bring_the_question_into_view(show):
    """On a phone the question and the paper are far above the controls."""
    page = show(width=390)
    page.set_viewport_size({"width": 390, "height": 700})
    for name in ("Draw one yourself", "Example 5", "Draw one yourself"):
        button = page.get_by_role("button", name=name)
        button.scroll_into_view_if_needed()
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        button.click()
        assert page.locator(".read-ask").bounding_box()["y"] >= 0
        paper = page.locator(".paper canvas").bounding_box()
        assert paper["y"] + paper["height"] <= 700


def test_it_plays_when_motion_is_welcome(show):
    page = show(motion="no-preference")
    slider = page.get_by_role("slider", name="Rows read")
    assert slider.input_value() == str(HALF)  # not by itself
    press(page, "Just show me")
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play").wait_for()
    assert slider.input_value() == "28" and "digit is" in asked(page)


@pytest.mark.parametrize("width", [320, 360, 390, 640, 700, 800, 1600])
def test_nothing_jumps_and_nothing_is_cut(show, width):
    page = show(width=width)
    stage = page.locator(".explorable-stage")
    places = []

    def look():
        places.append(page.get_by_role("slider", name="Rows read").bounding_box()["y"])
        inside = page.locator(".explorable-stage > div").bounding_box()["height"]
        assert inside <= stage.bounding_box()["height"]

    look()
    press(page, "Just show me")
    look()
    page.get_by_role("combobox", name="update z").select_option("1")
    look()
    press(page, "No")
    look()
    press(page, "Draw one yourself")
    look()
    assert np.ptp(places) < 1
    room = stage.evaluate("e => parseFloat(getComputedStyle(e).minHeight)")
    assert stage.bounding_box()["height"] == room
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_question_stops_what_plays(show):
    """Its verdict would otherwise take the question's place, and the gate stay free."""
    page = show(motion="no-preference")
    press(page, "Just show me")
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("combobox", name="forget f").select_option("0")
    page.get_by_role("button", name="Play").wait_for()
    asked = page.locator(".read-ask p").inner_text()
    page.wait_for_timeout(4000)  # longer than all rows take
    assert page.locator(".read-ask p").inner_text() == asked
    assert page.locator(".read-ask button").count() > 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_agrees(show, theme, width):
    page = show(theme=theme, width=width)
    for state in ("story", "drawing"):
        assert violations(page) == [], state
        press(page, "Draw one yourself")


def test_every_text_can_be_replaced(browser, put):
    """No word of the page is the module's own."""

    page = browser.new_page(reduced_motion="reduce")
    page.goto(put(read_digits(words=in_another_script(dict(WORDS)))))
    page.locator(".read-board").wait_for()
    left = set(re.findall(r"[A-Za-z]+", page.locator(".read").inner_text()))
    assert left <= {"RNN", "LSTM", "GRU"}
    page.close()
