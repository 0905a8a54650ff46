// Filters and an order for the claims ledger, which is whole without them.
(() => {
  const root = document.currentScript?.closest(".ledger") ?? document.querySelector(".ledger");
  const form = root.querySelector("form");
  const list = root.querySelector(".ledger-claims");
  const items = [...list.children];
  const buttons = [...form.querySelectorAll("button[value]")];
  const openAll = form.elements.all;
  const KEYS = {
    place: (item) => Number(item.dataset.place),
    verdict: (item) => Number(item.dataset.order),
    conditions: (item) => -Number(item.dataset.conditions),
    claim: (item) => item.querySelector(".claim").textContent,
  };

  function update() {
    const pressed = buttons.filter((b) => b.ariaPressed === "true").map((b) => b.value);
    const { chapter, source } = form.elements;
    for (const item of items) {
      const { verdict, chapter: of, source: by } = item.dataset;
      item.hidden = Boolean(
        (pressed.length && !pressed.includes(verdict))
        || (chapter.value && chapter.value !== of)
        || (source.value && source.value !== by),
      );
    }
    const shown = items.filter((item) => !item.hidden);
    form.querySelector("output").textContent =
      shown.length === items.length ? `All ${items.length} claims.`
        : `${shown.length} of ${items.length} claims.`;
    const open = shown.length > 0 && shown.every((item) => item.firstElementChild.open);
    openAll.textContent = open ? "Close all" : "Open all";
  }

  function sort() {
    const key = KEYS[form.elements.sort.value];
    const compare = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1
      : KEYS.place(a) - KEYS.place(b));
    list.append(...[...items].sort(compare));
  }

  // A link to a row opens it, although a filter may hide it.
  function follow() {
    const row = location.hash.startsWith("#claim-")
      && root.querySelector(`[id="${CSS.escape(location.hash.slice(1))}"]`);
    if (!row) return;
    row.parentElement.hidden = false;
    row.open = true;
    row.scrollIntoView();
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.ariaPressed = String(button.ariaPressed !== "true");
      update();
    });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => {
    sort();
    update();
  });
  openAll.addEventListener("click", () => {
    const open = openAll.textContent === "Open all";
    for (const item of items) if (!item.hidden) item.firstElementChild.open = open;
    openAll.textContent = open ? "Close all" : "Open all";
  });
  addEventListener("hashchange", follow);
  form.hidden = false;
  update();
  follow();
})();
