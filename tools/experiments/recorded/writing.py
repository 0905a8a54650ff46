"""What the larger LSTM of the recorded run `text` writes.

Page 4.11 shows it. The first of the three LSTM(256) is trained once more, and writes
two texts from the prompt of the page, the first two that it draws. They stand in the
table percent-encoded, as a CSV file has no room for commas and ends of lines.
"""

from urllib.parse import quote

import numpy as np

from tools.experiments.recorded import text
from unrolled import generate

EARLY = text.EARLY
PROMPT, LENGTH, TEMPERATURE = "\n\ndef ", 600, 0.7
CASES = [text.case_of("LSTM", text.NETWORKS["LSTM"][1], 0.003, 0.2, "final", 0)]


def run(case, updates=None):
    """Train the network, and let it write."""
    reading = text.Reading()
    model = text.build(case, reading)
    early, best, epochs = text.train(model, reading, text.EPOCHS, updates)
    if updates is not None:
        return {"early_loss": early}
    start = np.repeat(reading.alphabet.encode(PROMPT)[None], 2, axis=0)
    rng = np.random.default_rng([case["seed"], 411])
    written = generate(model, start, LENGTH, rng, temperature=TEMPERATURE)
    texts = [reading.alphabet.decode(letters) for letters in written.reshape(2, LENGTH)]
    measured = {"early_loss": early, "validation": best}
    return (
        {"epochs": epochs}
        | {name: round(float(value), 6) for name, value in measured.items()}
        | {f"text_{k}": quote(words) for k, words in enumerate(texts)}
    )
