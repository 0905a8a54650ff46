/* A canvas to draw a digit on: by mouse or pen at once, by touch when asked for (else no
   page would scroll), and by keys. */

/* Strokes are lists of points [x, y]. */
function drawStrokes(pen, strokes, width) {
  Object.assign(pen, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    pen.beginPath();
    for (const [x, y] of stroke) pen.lineTo(x, y);
    if (stroke.length === 1) pen.lineTo(stroke[0][0] + 0.01, stroke[0][1]);  // a dot
    pen.stroke();
  }
}

/* Strokes, in rows of the paper, as MNIST has its digits: 20 pixels high or wide, and
   their centre of mass in the middle. */
function toPixels(strokes, SIDE, document) {
  const points = strokes.flat(), fine = 4, size = fine * SIDE, middle = SIDE / 2;
  const span = (k) => [Math.min(...points.map((p) => p[k])), Math.max(...points.map((p) => p[k]))];
  const [[x0, x1], [y0, y1]] = [span(0), span(1)];
  const scale = Math.min(17.5 / Math.max(x1 - x0, y1 - y0, 1e-9), 2);
  const pen = Object.assign(document.createElement("canvas"), { width: size, height: size })
    .getContext("2d", { willReadFrequently: true });
  let dx = middle - (scale * (x0 + x1)) / 2, dy = middle - (scale * (y0 + y1)) / 2, pixels;
  for (let pass = 0; pass < 2; pass++) {  // the second one knows the centre of mass
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, size, size);
    pen.setTransform(fine, 0, 0, fine, fine * dx, fine * dy);
    drawStrokes(pen, strokes.map((s) => s.map(([x, y]) => [scale * x, scale * y])), 2.3);
    const ink = pen.getImageData(0, 0, size, size).data;
    pixels = new Float64Array(SIDE * SIDE);
    for (let k = 0; k < size * size; k++) {
      const row = Math.floor(k / size / fine), column = Math.floor((k % size) / fine);
      pixels[SIDE * row + column] += ink[4 * k + 3] / 255 / fine ** 2;
    }
    const mass = pixels.reduce((a, b) => a + b);
    dx += middle - pixels.reduce((sum, v, k) => sum + v * ((k % SIDE) + 0.5), 0) / mass;
    dy += middle - pixels.reduce((sum, v, k) => sum + v * (Math.floor(k / SIDE) + 0.5), 0) / mass;
  }
  return pixels.map((v) => Math.min(1, 1.15 * v));
}

/** Make drawing paper of a canvas with SIDE rows and columns. `on` hears of what happens:
 *  `drawing()` says whether a stroke may go on; `clear()`, `begin()`, `finish()` that the
 *  reader wants clean paper, puts the pen down, lifts it; `tap(event)` of a finger while
 *  nobody draws; `draw()` that the paper has to be drawn again. */
export function drawingPaper(canvas, SIDE, on) {
  let strokes = [], stroke = null, cursor = [SIDE / 2, SIDE / 2], byKeys = false, penDown = false;
  const begin = (point) => {
    if (!on.drawing()) on.clear();
    on.begin();
    strokes.push((stroke = [point]));
    on.draw();
  };
  const lift = () => { [stroke, penDown] = [null, false]; };
  const finish = () => {
    if (!stroke) return;
    lift();
    on.finish();
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((v) => (v * SIDE) / box.width);
  };
  canvas.onpointerdown = (event) => {
    if (event.button || !event.isPrimary) return;
    if (event.pointerType === "touch" && !on.drawing()) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    penDown = byKeys = false;
    begin(place(event));
  };
  canvas.onpointermove = (event) => {
    if (!stroke || penDown || !event.isPrimary) return;
    const all = event.getCoalescedEvents?.() ?? [];
    stroke.push(...(all.length ? all : [event]).map(place));
    on.draw();
  };
  canvas.onclick = (event) => { if (!on.drawing()) on.tap(event); };
  canvas.onpointerup = canvas.onpointercancel = canvas.onblur = finish;
  canvas.onkeydown = ({ key }) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (move) {
      if (!on.drawing()) on.clear();
      cursor = cursor.map((v, k) => Math.min(SIDE - 1, Math.max(1, v + move[k])));
      if (penDown) stroke.push([...cursor]);
    } else if (key === " ") {
      if (penDown) finish();
      else { begin([...cursor]); penDown = true; }
    } else if (key === "Delete" || key === "Backspace") on.clear();
    else return true;
    byKeys = true;
    on.draw();
    return false;
  };
  return {
    clear() { strokes = []; lift(); },
    pixels: () => toPixels(strokes, SIDE, canvas.ownerDocument),
    /** Draw what there is, in units of the paper, and the pen where keys have moved it. */
    draw(pen, ink, colour, unread) {
      pen.strokeStyle = ink;
      if (unread) drawStrokes(pen, strokes, 2);
      if (!byKeys) return;
      Object.assign(pen, { strokeStyle: colour, lineWidth: 0.3 });
      pen.beginPath();
      pen.arc(...cursor, penDown ? 0.6 : 1, 0, 7);
      pen.stroke();
    },
  };
}
