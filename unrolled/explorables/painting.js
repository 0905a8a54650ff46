/* Grids of values on a canvas. */

/** The pen of a canvas, wiped, with as many pixels as the screen has. */
export function wipe(canvas) {
  const ratio = canvas.ownerDocument.defaultView.devicePixelRatio || 1;
  const [w, h] = [canvas.clientWidth, canvas.clientHeight].map((v) => Math.max(1, Math.round(v * ratio)));
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const pen = canvas.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, w, h);
  return pen;
}

/** Paint a grid of `[rows, columns]`, or its rows from one to before another: `value(t, k)`
 *  gives colour and strength. */
export function paint(pen, [rows, columns], value, from = 0, to = rows) {
  const { width, height } = pen.canvas, x = (k) => Math.round((k * width) / columns);
  const y = (t) => Math.round((t * height) / rows);
  for (let t = from; t < to; t++) for (let k = 0; k < columns; k++) {
    const [colour, strength] = value(t, k);
    if (strength < 0.01) continue;
    pen.fillStyle = colour;
    pen.globalAlpha = Math.min(1, strength);
    pen.fillRect(x(k), y(t), x(k + 1) - x(k), y(t + 1) - y(t));
  }
  pen.globalAlpha = 1;
}

/** Frame a column of such a grid, between two rows. */
export function frame(pen, [rows, columns], colour, k, from, to) {
  const { width, height } = pen.canvas, thick = Math.max(1, Math.round(height / 280));
  const [x, right] = [k, k + 1].map((v) => Math.round((v * width) / columns));
  const [y, below] = [from, to].map((v) => Math.round((v * height) / rows));
  Object.assign(pen, { strokeStyle: colour, lineWidth: thick });
  pen.strokeRect(x - thick / 2, y + thick / 2, right - x + thick, below - y - thick);
}
