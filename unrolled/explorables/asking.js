/* A prediction is asked before a control is used for the first time. */

/** A box for questions. `stop` ends what plays, where a reader goes on without a guess. */
export function predictions({ make, button }, words, stop, className) {
  const question = make("p", { "aria-live": "polite" }), options = make("div", { className: "ask-options" });
  const panel = make("div", { className: `explorable-ask ${className}`, tabIndex: -1 }, question, options);
  const asked = new Set();
  let pending = null, topic = null;

  function tell(text) {
    // The choice that was made goes away: whoever made it by keys goes on from here.
    if (options.contains(panel.ownerDocument.activeElement)) panel.focus({ preventScroll: true });
    question.textContent = text;
    options.replaceChildren();
  }
  const come = () => panel.scrollIntoView({ block: "nearest" }); // controls may be far below
  /** Do what a control does, `act`, told the guess; null if there was none. A `quiet` question
   *  does not take the focus, and none that `stays` brings back who was asked before. */
  function ask(about, text, choices, act, { quiet = false, stays = quiet } = {}) {
    settle();
    if (!stays) come();
    if (asked.has(about)) return act(null);
    asked.add(topic = about);
    stop(); // or what plays would put its verdict in the question's place
    tell(text);
    pending = (guess) => { pending = null; tell(""); act(guess); };
    options.append(...choices.map((text, k) => button(text, () => pending?.(k))),
      button(words.skip, () => pending?.(null)));
    if (!quiet) {
      options.firstChild.focus({ preventScroll: true });
      come();
    }
  }
  function settle() { // a reader who goes on without a guess is not held up
    if (!pending) return;
    pending(null);
    stop();
  }
  function withdraw() { // the question came too early
    if (!pending) return;
    pending = null;
    asked.delete(topic);
  }
  return {
    panel, ask, tell, settle, withdraw, come,
    knows: (about) => asked.has(about),
    awaits: (about) => pending !== null && topic === about,
    guessed: (choices, guess) => (guess === null ? "" : `${words.guessed.replace("{guess}", () => choices[guess])} `),
  };
}
