/* What every explorable needs: elements in one line, and words with values in them. */

/** Put values into the braces of a text: fill("row {row}", { row: 3 }) is "row 3". */
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** Functions that make elements of a document. Properties that an element does not have,
 *  such as "aria-label", become its attributes. */
export function elements(document) {
  const make = (tag, props = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...inside);
    return made;
  };
  const button = (text, onclick, props) => make("button", { type: "button", onclick, ...props }, text);
  const select = (label, options, onchange) => make("select", { onchange, "aria-label": label },
    ...options.map(([value, text = value]) => make("option", { value }, text)));
  return { make, button, select };
}
