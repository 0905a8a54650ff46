"""A network and a table that write in the reader's page, as the package writes."""

import base64
import inspect
import re

import numpy as np
import pytest

from tests.axe import violations
from tests.unrolled.explorables.conftest import in_another_script
from unrolled import GRU, LSTM, Adam, Dropout, SequenceClassifier
from unrolled.course.ngram import NGram
from unrolled.explorables import write, write_text
from unrolled.explorables.write import LONGEST, ROOM, WORDS, CutTable, round_network
from unrolled.losses import log_softmax
from unrolled.tasks import Alphabet, one_hot

TEXT = inspect.getsource(write)
TEXT = "".join(s for s in TEXT if s.isascii())
BEGINNINGS = ("def ret", "for ")
MARKS = {"in the margin": 5, "inside quotes": 2}
TEMPERATURE = 0.7  # where the slider stands at first
# What `texts.js` gives after each symbol of a text.
WRITE = """async ([url, data, ids, temperature]) => {
  const { blank, lookUp, readOn, temper, unpackLSTM, unpackTable } = await import(url);
  const size = [...data.symbols].length;
  const net = unpackLSTM(data.weights, data.scales, data.units, size);
  const table = unpackTable(data.table, data.discounts);
  let state = blank(net);
  const found = ids.map((symbol, t) => {
    state = readOn(net, state, symbol);
    const { p } = lookUp(table, size, ids.slice(0, t + 1));
    return { ...state, table: p, warm: temper(state.p, temperature) };
  });
  return found.map((step) => Object.fromEntries(
    Object.entries(step).map(([name, values]) => [name, [...values]])));
}"""
CHANCES = """async ([url, seeds, n]) => {
  const { chance } = await import(url);
  return seeds.map((seed) => Array.from({ length: n }, (_, k) => chance(seed, k)));
}"""


@pytest.fixture(scope="module")
def made():
    """What a page has: a network trained for a second, alphabet, table and a sample."""
    alphabet = Alphabet(TEXT)
    ids, cut = alphabet.encode(TEXT), len(TEXT) * 9 // 10
    model = SequenceClassifier(
        LSTM(20),
        len(alphabet),
        return_sequences=True,
        optimizer=Adam(0.03, global_clipnorm=1.0),
        seed=[1, 2],
    )
    length = (cut - 1) // 16
    x, y = (ids[k : k + 16 * length].reshape(16, length) for k in (0, 1))
    model.fit_stream(one_hot(x, len(alphabet)), y, epochs=4, steps=24, verbose=0)
    return model, alphabet, NGram(ids[:cut], len(alphabet), 7), TEXT[cut:][:600]


@pytest.fixture(scope="module")
def writer(made):
    return write_text(*made, units=MARKS, beginnings=BEGINNINGS, network=1)


@pytest.fixture(scope="module")
def network(made):
    return round_network(made[0], 1)


@pytest.fixture(scope="module")
def table(made, writer):
    """The table that is shown, as the package has it."""
    rest = ROOM - len(writer.data["weights"]) - len(writer.picture) * 4 // 3
    return CutTable(made[2], rest * 3 // 4)


@pytest.fixture
def show(browser, put, writer):
    """Function that opens a page with the explorable; returns the page."""
    pages = []

    def open_page(theme="light", width=1000, motion="reduce", **options):
        page = browser.new_page(
            viewport={"width": width, "height": 1400}, reduced_motion=motion, **options
        )
        pages.append(page)
        page.on("request", lambda request: page.asked.append(request.url))
        page.asked = []
        page.goto(put(writer, theme=theme))
        page.locator(".write-board").wait_for()
        return page

    yield open_page
    for page in pages:  # itself, and its still
        assert not [url for url in page.asked[1:] if not url.startswith("data:")]
        page.close()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def asked(page):
    return page.locator(".write-ask p").inner_text()


def shown(page):
    """The text on the paper."""
    return page.locator(".write-paper").evaluate("e => e.textContent")


def bars(page, k):
    """Symbols and chances of the LSTM's bars (k = 0) or the table's."""
    labels = [
        bar.get_attribute("aria-label").rsplit(", ", 1)
        for bar in page.locator(".write-panel").nth(k).get_by_role("button").all()
    ]
    return [(symbol, chance) for symbol, chance in labels]


def percent(p):
    return "<1%" if p < 0.005 else f"{int(100 * p + 0.5)}%"


def called(alphabet, k):
    return WORDS["symbols"].get(alphabet.symbols[k], alphabet.symbols[k])


def predict(network, ids):
    logits = network.forward(one_hot(np.array(ids)[None], network.outputs))
    return np.exp(log_softmax(logits[0]))


def warm(p, temperature):
    return np.exp(log_softmax(np.log(p) / temperature))


def chance(seed, k):
    """The random number of the k-th letter, as `chance` of `texts.js` has it."""
    low = 2**32 - 1
    t = ((seed + 1) * 0x9E3779B9 + (k + 1) * 0x6D2B79F5) & low
    t = ((t ^ (t >> 15)) * (t | 1)) & low
    t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & low)) & low
    return (t ^ (t >> 14)) / 2**32


def go_on(expect, ids, n, seed=0, temperature=TEMPERATURE):
    """What a writer that expects `expect(ids)` writes: n symbols."""
    ids, begun = list(ids), len(ids)
    for k in range(n):
        cumulative = warm(expect(ids), temperature).cumsum()
        ids.append(int((cumulative <= chance(seed, k) * cumulative[-1]).sum()))
    return ids[begun:]


def test_the_module_equals_the_package(browser, modules, made, writer, network, table):
    """Gates, states and both predictions after each symbol, to five digits and more."""
    ids = made[1].encode(made[3][:300])
    page = browser.new_page()
    page.goto(f"{modules}/explorable.css")
    arguments = [f"{modules}/texts.js", writer.data, ids.tolist(), 0.4]
    found = page.evaluate(WRITE, arguments)
    page.close()
    p = predict(network, ids)
    expected = {name: v[0] for name, v in network.body.activations().items()}
    expected |= {"p": p, "warm": warm(p, 0.4)}
    expected["table"] = table.next([ids[: t + 1] for t in range(len(ids))])
    assert set(expected) == set(found[0])
    for name, values in expected.items():
        those = [step[name] for step in found]
        np.testing.assert_allclose(those, values, rtol=1e-5, atol=1e-9, err_msg=name)


def test_draws_are_even_and_the_same_everywhere(browser, modules):
    page = browser.new_page()
    page.goto(f"{modules}/explorable.css")
    found = page.evaluate(CHANCES, [f"{modules}/texts.js", [0, 1, 7], 2000])
    page.close()
    assert found == [[chance(seed, k) for k in range(2000)] for seed in (0, 1, 7)]
    for row in found:  # 2,000 numbers in ten boxes: chi-square with 9 degrees
        boxes = np.histogram(row, 10, (0, 1))[0]
        assert ((boxes - 200) ** 2 / 200).sum() < 30
    assert abs(np.corrcoef(found)[0, 1]) < 0.1


def test_what_rounding_costs(made, writer, network):
    """Weights are off by half a step at most; the explorable says what that does."""
    model, alphabet, ngram, sample = made
    packed = np.frombuffer(base64.b64decode(writer.data["weights"]), np.int8)
    assert packed.size == model.count_params() and abs(packed.astype(int)).max() == 127
    ids = alphabet.encode(sample)
    whole = [w[1] for w in model.get_weights()]
    for w, rounded, scale in zip(
        whole, network.get_weights(), writer.data["scales"], strict=True
    ):
        assert np.abs(w - rounded).max() <= scale / 2 * (1 + 1e-6)
    x, came = one_hot(ids[None, :-1], len(alphabet)), (np.arange(len(ids) - 1), ids[1:])
    bits = {
        "LSTM": -np.log2(predict(network, ids[:-1])[came]).mean(),
        "LSTM_whole": -log_softmax(model.forward(x)[1, 0])[came].mean() / np.log(2),
        "table_whole": -np.log2(ngram.probabilities(ids)[1:]).mean(),
    }
    for name, value in bits.items():
        assert float(writer.data["facts"][name]) == pytest.approx(value, abs=0.00501)
    assert abs(bits["LSTM"] - bits["LSTM_whole"]) < 0.02


def slow(text, size, discounts, context, w):
    """Formula (4.11.2) with the counts of the text at every order."""
    p = 1 / size
    for k, discount in enumerate(discounts[: len(context) + 1]):
        before = tuple(context[len(context) - k :])
        after = [
            text[t + k]
            for t in range(len(text) - len(discounts) + 1)
            if tuple(text[t : t + k]) == before
        ]
        if after:
            freed = sum(min(after.count(v), discount) for v in set(after))
            p = (max(after.count(w) - discount, 0) + freed * p) / len(after)
    return p


def test_a_table_with_room_for_all_is_the_formula():
    text = np.random.default_rng(3).choice(4, size=60, p=[0.5, 0.3, 0.2, 0])
    ngram = NGram(text, 5, 3, [0.3, 0.7, 0.9])
    table = CutTable(ngram, 10_000)
    assert table.kept == table.of
    contexts = [[], [0], [1, 2], [0, 0, 1], [4, 1], [1, 4], [2, 2]]
    expected = [
        [slow(text.tolist(), 5, [0.3, 0.7, 0.9], context, w) for w in range(5)]
        for context in contexts
    ]
    np.testing.assert_allclose(table.next(contexts), expected)


def test_a_table_fits_and_more_room_predicts_better(made):
    _, alphabet, ngram, sample = made
    ids, bits = alphabet.encode(sample), []
    for room in (150, 600, 2400, 9600):
        table = CutTable(ngram, room)
        p = table.next([ids[:t] for t in range(len(ids))])
        np.testing.assert_allclose(p.sum(axis=1), 1)
        bits.append(-np.log2(p[np.arange(len(ids)), ids]).mean())
        assert room - 4 <= len(table.pack()) - 1 <= room
        assert all(gram[:-1] in table.counts for gram in table.counts if gram[1:])
        assert max(map(len, table.counts)) <= LONGEST
    assert bits == sorted(bits, reverse=True)


def test_is_light():
    """With as many symbols as there may be, and as many units as the page has."""
    rng = np.random.default_rng(0)
    symbols = "\n" + "".join(map(chr, [*range(32, 127), *range(1040, 1072)]))
    alphabet = Alphabet(symbols)
    text = rng.choice(128, size=30_000, p=rng.dirichlet(np.full(128, 0.2)))
    model = SequenceClassifier(LSTM(64), 128, return_sequences=True)
    model.build(128)
    sample = alphabet.decode(text[:300])
    made = write_text(model, alphabet, NGram(text, 128, 7), sample, beginnings=["def"])
    assert len(made._repr_mimebundle_()["text/html"].encode()) <= 150_000


def test_what_two_modules_import_is_there_once(writer):
    assert writer.source.count("export function step(") == 1
    assert not re.search(r"^import ", writer.source, re.MULTILINE)


def test_one_network_is_as_good_as_one_of_several(made, writer):
    model, alphabet, ngram, sample = made
    one = SequenceClassifier(LSTM(20), len(alphabet), return_sequences=True)
    one.build(len(alphabet))
    one.set_weights([w[1] for w in model.get_weights()])
    again = write_text(one, alphabet, ngram, sample, units=MARKS, beginnings=BEGINNINGS)
    assert again.data == writer.data and again.picture == writer.picture


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": {"speak": "write"}}, r"words has \['speak'\]"),
        ({"alphabet": Alphabet("abc")}, "alphabet has 3 symbols, ngram"),
        ({"sample": "too short"}, "sample has 9 symbols; expected 200 or more"),
        ({"sample": "ß" * 300}, "text holds 'ß'"),
        ({"beginnings": []}, "beginnings is"),
        ({"beginnings": ["a\nb"]}, "beginnings is"),
        ({"beginnings": ["ß"]}, "text holds 'ß'"),
        ({"units": {"far": 20}}, "units is {'far': 20}; expected numbers below 20"),
        ({"units": {"far": -1}}, "units is -1"),
        ({"network": 2}, "network is 2; the model has 2"),
        ({"model": "LSTM"}, "model is str; expected a SequenceClassifier"),
        ({"model": SequenceClassifier(LSTM(3), 4)}, "return_sequences=True"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_bad_input(made, change, message):
    names = ("model", "alphabet", "ngram", "sample")
    arguments = dict(zip(names, made, strict=True)) | {"beginnings": BEGINNINGS}
    with pytest.raises(ValueError, match=message):
        write_text(**(arguments | change))


@pytest.mark.parametrize(
    "layers", [GRU(5), [LSTM(5), Dropout(0.1)]], ids=["GRU", "two"]
)
def test_another_network_is_refused(made, layers):
    size = len(made[1])
    model = SequenceClassifier(layers, size, return_sequences=True)
    model.build(size)
    with pytest.raises(ValueError, match="expected one LSTM"):
        round_network(model)


def test_the_story(show, made, network, table):
    page, alphabet = show(), made[1]
    assert "have read “def ret”" in asked(page)
    assert not page.locator(".write-bar:enabled").count()  # nothing is given away
    options = page.locator(".write-ask button")
    first = options.first.inner_text()
    options.first.click()
    ids = alphabet.encode("\n\n" + BEGINNINGS[0])
    p, q = predict(network, ids)[-1], table.next([ids])[0]
    most = [called(alphabet, values.argmax()) for values in (p, q)]
    assert asked(page).startswith(f"You said: {first}. The LSTM expects “{most[0]}”")
    assert f"the table “{most[1]}”" in asked(page)
    for k, values in enumerate((p, q)):
        values = warm(values, TEMPERATURE)
        top = np.argsort(-values, kind="stable")[:8]
        assert bars(page, k) == [(called(alphabet, s), percent(values[s])) for s in top]


def test_it_writes_what_numpy_writes(show, made, network, table):
    page, alphabet = show(), made[1]
    start = alphabet.encode("\n\n" + BEGINNINGS[0])
    press(page, "Play")
    written = go_on(lambda ids: predict(network, ids)[-1], start, 40)
    assert shown(page) == BEGINNINGS[0] + alphabet.decode(written)
    for _ in range(3):
        press(page, "Back")
    assert shown(page) == BEGINNINGS[0] + alphabet.decode(written[:-3])
    press(page, "One letter")  # the same again
    assert shown(page) == BEGINNINGS[0] + alphabet.decode(written[:-2])
    press(page, "Write anew")
    other = go_on(lambda ids: predict(network, ids)[-1], start, 40, seed=1)
    assert shown(page) == BEGINNINGS[0] + alphabet.decode(other) and other != written

    press(page, "for")
    press(page, "Table of counts")
    assert "How many" in asked(page)
    press(page, "10 to 19")
    start = alphabet.encode("\n\nfor ")
    written = go_on(lambda ids: table.next([ids])[0], start, 40, seed=1)
    assert shown(page) == "for " + alphabet.decode(written)
    best = predict(network, [*start, *written])[len(start) - 1 : -1].argmax(axis=1)
    assert f"{(best == written).sum()} of the 40 letters" in asked(page)
    press(page, "LSTM")
    press(page, "Table of counts")  # asks once
    assert "How many" not in asked(page)


def test_a_beginning_by_keys(show, made, network):
    page, alphabet = show(), made[1]
    own = page.get_by_role("textbox", name="Type a beginning")
    own.fill("")
    own.press_sequentially("impor")
    assert shown(page) == "impor"
    p = warm(predict(network, alphabet.encode("\n\nimpor"))[-1], TEMPERATURE)
    assert bars(page, 0)[0] == (called(alphabet, p.argmax()), percent(p.max()))
    page.keyboard.press("Enter")
    assert len(shown(page)) == 45
    own.fill("ißt")
    assert shown(page) == "it" and "left out: ß" in asked(page)
    page.keyboard.press("Tab")  # over the two beginnings, and the paper, to a bar
    for _ in range(3):
        page.keyboard.press("Tab")
    symbol = bars(page, 0)[0][0]
    page.keyboard.press("Enter")
    assert shown(page) == "it" + {"space": " ", "end of line": "\n"}.get(symbol, symbol)
    assert page.locator(".write-paper .you").count() == 1


def test_a_letter_by_mouse_and_by_touch(show):
    page = show()
    press(page, "Just show me")
    symbol = bars(page, 1)[2][0]
    page.locator(".write-panel").nth(1).get_by_role("button").nth(2).click()
    plain = {"space": " ", "end of line": "\n"}
    assert shown(page) == BEGINNINGS[0] + plain.get(symbol, symbol)
    page = show(width=390, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Just show me").tap()
    symbol = bars(page, 0)[1][0]
    page.locator(".write-panel").first.get_by_role("button").nth(1).tap()
    assert shown(page) == BEGINNINGS[0] + plain.get(symbol, symbol)


def test_the_temperature(show, made, network):
    page, alphabet = show(), made[1]
    p = predict(network, alphabet.encode("\n\n" + BEGINNINGS[0]))[-1]
    slider = page.get_by_role("slider", name="Temperature")
    slider.fill("0.3")
    assert "from 0.7 to 0.3" in asked(page)
    assert bars(page, 0)[0][1] == percent(warm(p, 0.7).max())
    press(page, "It grows")
    change = [percent(warm(p, t).max()) for t in (0.7, 0.3)]
    assert f"goes from {change[0]} to {change[1]}" in asked(page)
    assert bars(page, 0)[0][1] == change[1]
    slider.fill("1.5")  # at once
    assert bars(page, 0)[0][1] == percent(warm(p, 1.5).max())
    mark = page.locator(".write-bar b").first
    place = mark.evaluate("e => parseFloat(e.style.left)")
    assert place == pytest.approx(100 * p.max(), rel=1e-4)


def test_a_unit_colours_the_letters(show, made, writer, network):
    page, alphabet = show(), made[1]
    press(page, "Play")
    ids = alphabet.encode("\n\n" + shown(page))
    predict(network, ids)
    cells = network.body.activations()["c"][0, 2:]
    units = page.get_by_role("combobox", name="Colour of the letters")
    for unit, choose in (
        (5, lambda: None),
        (2, lambda: units.select_option("inside quotes")),
        (11, lambda: page.get_by_role("slider", name="any unit").fill("11")),
    ):
        choose()
        assert units.input_value() == {5: "in the margin", 2: "inside quotes"}.get(
            unit, ""
        )
        mean, spread = (writer.data[name][unit] for name in ("means", "spreads"))
        z = (cells[:, unit] - mean) / spread
        found = page.locator(".write-paper span").evaluate_all(
            "all => all.map((e) => e.style.background)"
        )
        for value, background in zip(z, found, strict=True):
            red, _, _, *alpha = map(float, re.findall(r"[\d.]+", background))
            assert red == (0 if value > 0 else 0x5C)
            strength = min(0.42, abs(value) / 6)
            assert (alpha or [1])[0] == pytest.approx(strength, abs=0.006)
        said = page.locator(".write-caption").inner_text()
        assert f"Unit {unit} after" in said and f"{abs(z[-1]):.1f} standard" in said
    page.locator(".write-paper span").nth(3).hover()
    said = page.locator(".write-caption").inner_text()
    assert f"after “{BEGINNINGS[0][3]}”" in said or "after “space”" in said


def test_a_full_page_stops(show):
    page = show()
    for _ in range(20):
        play = page.get_by_role("button", name="Play", exact=True)
        if play.is_disabled():
            break
        play.click()
    assert page.locator(".count").inner_text() == "letters: 600"
    assert asked(page).startswith("The page is full")
    press(page, "Back")
    assert page.get_by_role("button", name="Play", exact=True).is_enabled()


def test_it_plays_when_motion_is_welcome(show):
    page = show(motion="no-preference")
    assert shown(page) == BEGINNINGS[0]  # not by itself
    press(page, "Play")
    page.get_by_role("button", name="Pause").wait_for()
    page.wait_for_function("document.querySelectorAll('.write-paper span').length > 12")
    press(page, "Pause")
    text = shown(page)
    page.get_by_role("button", name="Play").wait_for()
    assert shown(page) == text


@pytest.mark.parametrize("width", [320, 360, 390, 640, 700, 800, 1600])
def test_nothing_jumps_and_nothing_is_cut(show, width):
    page = show(width=width)
    stage = page.locator(".explorable-stage")
    places = []

    def look():
        places.append(page.locator(".write-legend").last.bounding_box()["y"])
        inside = page.locator(".explorable-stage > div").bounding_box()["height"]
        assert inside <= stage.bounding_box()["height"]

    look()
    page.locator(".write-ask button").first.click()
    look()
    press(page, "Table of counts")
    look()
    press(page, "10 to 19")
    look()
    page.get_by_role("slider", name="Temperature").fill("1.5")
    look()
    press(page, "It shrinks")
    look()
    for _ in range(8):
        press(page, "Play")
        look()
    assert np.ptp(places) < 1
    room = stage.evaluate("e => parseFloat(getComputedStyle(e).minHeight)")
    assert stage.bounding_box()["height"] == room
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_agrees(show, theme, width):
    page = show(theme=theme, width=width)
    for state in ("story", "written"):
        assert violations(page) == [], state
        press(page, "Play")
        press(page, "Play")


def test_every_text_can_be_replaced(browser, put, made):
    """No word of the page is the module's own."""

    words = in_another_script(dict(WORDS))
    page = browser.new_page(reduced_motion="reduce")
    page.goto(put(write_text(*made, units={"字": 1}, beginnings=["="], words=words)))
    page.locator(".write-board").wait_for()
    left = page.locator(".write").inner_text()
    assert not re.findall(r"[A-Za-z]{2,}", left)
    page.close()
