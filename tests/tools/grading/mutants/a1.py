"""Plausible mistakes in A1, and other right answers, question by question."""

MUTANTS = {
    "q1": [
        ("return (1 - leak) * h_prev + leak", "return leak * h_prev + (1 - leak)"),
        ("return (1 - leak) * h_prev", "return h_prev"),
        ("return (1 - leak) * h_prev + leak * np", "return (1 - leak) * h_prev + np"),
        ("return (1 - leak) * h_prev + leak", "return 0 * h_prev + 1"),
        ("leak = sigmoid(p)", "leak = p"),
        ("leak = sigmoid(p)", "leak = sigmoid(-p)"),
        ("leak = sigmoid(p)", "leak = np.exp(p) / (1 + np.exp(p))"),
        ("leak = sigmoid(p)", "leak = sigmoid(p).mean()"),
        ("leak = sigmoid(p)", "leak = np.tanh(p)"),
        ("leak * np.tanh(a)", "leak * sigmoid(a)"),
        (
            "return (1 - leak) * h_prev + leak * np.tanh(a)",
            "return np.tanh((1 - leak) * h_prev + leak * a)",
        ),
        (
            "a = x_t @ W_xh + h_prev @ W_hh + b_h\n    leak",
            "a = x_t @ W_xh + h_prev @ W_hh.T + b_h\n    leak",
        ),
        (
            "a = x_t @ W_xh + h_prev @ W_hh + b_h\n    leak",
            "a = x_t @ W_xh + h_prev @ W_hh\n    leak",
        ),
        (
            "a = x_t @ W_xh + h_prev @ W_hh + b_h\n    leak",
            "a = x_t @ W_xh + h_prev * W_hh.sum(axis=0) + b_h\n    leak",
        ),
        (
            "return (1 - leak) * h_prev + leak * np.tanh(a)",
            "h_prev *= 1 - leak\n    return h_prev + leak * np.tanh(a)",
        ),
        (
            "return (1 - leak) * h_prev + leak * np.tanh(a)",
            "return np.squeeze((1 - leak) * h_prev + leak * np.tanh(a))",
        ),
    ],
    "q2": [
        ("dh_prev = (1 - alpha) * dh_t + da @ W_hh.T", "dh_prev = da @ W_hh.T"),
        ("dh_prev = (1 - alpha) * dh_t + da", "dh_prev = dh_t + da"),
        ("dh_prev = (1 - alpha) * dh_t + da", "dh_prev = alpha * dh_t + da"),
        ("+ da @ W_hh.T", "+ da @ W_hh"),
        ("dh_prev = (1 - alpha) * dh_t + da", "dh_prev = (1 - alpha) * (dh_t + da)"),
        ("(1 - alpha) * dh_t + da @ W_hh.T", "(1 - alpha) * dh_t"),
        ("(1 - alpha) * dh_t + da", "(1 - alpha) * dh_t * (1 - candidate**2) + da"),
        ("da = alpha * dh_t * (1", "da = dh_t * (1"),
        ("da = alpha * dh_t * (1", "da = (1 - alpha) * dh_t * (1"),
        ("dh_t * (1 - candidate**2)", "dh_t"),
        ("dh_t * (1 - candidate**2)", "dh_t * (1 - candidate)"),
        ("dh_t * (1 - candidate**2)", "dh_t * candidate * (1 - candidate)"),
        (
            "da = alpha * dh_t * (1 - candidate**2)",
            "h_t = (1 - alpha) * h_prev + alpha * candidate\n"
            "    da = alpha * dh_t * (1 - h_t**2)",
        ),
        (
            "da = alpha * dh_t * (1 - candidate**2)",
            "dh_t *= alpha\n    da = dh_t * (1 - candidate**2)",
        ),
        ("alpha = sigmoid(p)", "alpha = p"),
        ("alpha = sigmoid(p)", "alpha = np.exp(p) / (1 + np.exp(p))"),
        (
            "x_t.T @ da, h_prev.T @ da, da.sum",
            "x_t.T @ da / len(da), h_prev.T @ da, da.sum",
        ),
        ("h_prev.T @ da, da.sum", "da.T @ h_prev, da.sum"),
        ("h_prev.T @ da, da.sum", "candidate.T @ da, da.sum"),
        ("da.sum(axis=0)", "da.mean(axis=0)"),
        ("da.sum(axis=0)", "da.sum()"),
        ("da.sum(axis=0)", "da.sum(axis=0, keepdims=True)"),
        ("da.sum(axis=0)", "da[0]"),
        ("return dx_t, dh_prev, x_t.T", "return dh_prev, dx_t, x_t.T"),
    ],
    "q3": [
        ("moved = h_t - h_prev", "moved = h_prev - h_t"),
        ("moved = h_t - h_prev", "moved = h_t"),
        ("moved = h_t - h_prev", "moved = (h_t - h_prev) / sigmoid(p)"),
        ("moved = h_t - h_prev", "moved = (h_t - h_prev) * sigmoid(p)"),
        ("return (1 - sigmoid(p)) * np.sum", "return np.sum"),
        ("return (1 - sigmoid(p)) * np.sum", "return sigmoid(p) * np.sum"),
        ("(1 - sigmoid(p)) * np.sum", "(1 - p) * np.sum"),
        ("(1 - sigmoid(p)) * np.sum", "(1 - sigmoid(-p)) * np.sum"),
        ("(1 - sigmoid(p)) * np.sum", "np.exp(-p) / (1 + np.exp(-p)) * np.sum"),
        ("np.sum(dh_t * moved, axis=0)", "np.mean(dh_t * moved, axis=0)"),
        ("np.sum(dh_t * moved, axis=0)", "np.sum(dh_t * moved)"),
        ("np.sum(dh_t * moved, axis=0)", "np.sum(dh_t * moved, axis=0, keepdims=True)"),
        ("np.sum(dh_t * moved, axis=0)", "np.sum(dh_t, axis=0) * moved.sum(axis=0)"),
        ("np.sum(dh_t * moved, axis=0)", "dh_t * moved"),
        ("np.sum(dh_t * moved, axis=0)", "np.sum(moved, axis=0)"),
        ("moved = h_t - h_prev", "h_t -= h_prev\n    moved = h_t"),
    ],
    "q4": [
        ("step_backward(dhs[t] + dh,", "step_backward(dhs[t],"),
        ("step_backward(dhs[t] + dh,", "step_backward(dh,"),
        ("step_backward(dhs[t] + dh,", "step_backward(dhs[T - 1 - t] + dh,"),
        ("dhs[t] + dh, xs[t], before[t]", "dhs[t] + dh, xs[t], before[t - 1]"),
        (
            "dhs[t] + dh, xs[t], before[t]",
            "dhs[t] + dh, xs[t], step(xs[t], before[t], *parameters)",
        ),
        ("dhs[t] + dh, xs[t], before[t]", "dhs[t] + dh, xs[t - 1], before[t]"),
        ("dhs[t] + dh, xs[t], before[t]", "dhs[t] + dh, xs[t], h_0"),
        ("for t in reversed(range(T)):", "for t in range(T):"),
        ("for t in reversed(range(T)):", "for t in reversed(range(1, T)):"),
        (
            "before.append(step(xs[t], before[t]",
            "before.append(step(xs[t + 1], before[t]",
        ),
        ("before.append(step(xs[t], before[t]", "before.append(step(xs[t], h_0"),
        ("[g + part for g, part", "[part for _, part"),
        ("[g + part for g, part", "[g + part / T for g, part"),
        ("dxs[t], dh = back[:2]", "dxs[T - 1 - t], dh = back[:2]"),
        ("dxs[t], dh = back[:2]", "dxs[t], dh = back[0], dh + back[1]"),
        ("return dxs, dh, *gradients", "return dxs, dhs[0] + dh, *gradients"),
        ("return dxs, dh, *gradients", "return dxs, dh, *gradients[::-1]"),
        ("return dxs, dh, *gradients", "return dxs, dh, gradients"),
        (
            "back = step_backward(dhs[t] + dh,",
            "dhs[t] += dh\n        back = step_backward(dhs[t],",
        ),
        ("[np.zeros(w.shape) for w in parameters]", "list(parameters)"),
        ("before = [h_0]", "before = [np.zeros(h_0.shape)]"),
        # not the cell that is handed over: the hand-out's, or the one of question 1
        (
            "    T = len(xs)\n    before",
            "    step, step_backward = square_step, square_step_backward\n"
            "    T = len(xs)\n    before",
        ),
        ("before.append(step(", "before.append(square_step("),
        ("back = step_backward(", "back = square_step_backward("),
        ("back = step_backward(", "back = leaky_step_backward("),
        (
            "    T = len(xs)\n    before",
            "    step, step_backward = leaky_step, leaky_step_backward\n"
            "    T = len(xs)\n    before",
        ),
        # one input, two parameters, as many units as inputs: as in the hand-out's cell
        ("np.zeros(xs.shape), np.zeros(h_0.shape)", "np.zeros((*xs.shape[:2], 1)), 0"),
        ("return dxs, dh, *gradients", "return dxs, dh, gradients[0], gradients[-1]"),
        (
            "step(xs[t], before[t], *parameters)",
            "step(xs[t], before[t], *parameters[:2])",
        ),
    ],
    "q5": [
        ("(1 - c**2))[:, None] * W_hh.T)", "(1 - c**2))[:, None] * W_hh)"),
        ("(1 - c**2))[:, None] * W_hh.T)", "(1 - c**2))[None] * W_hh.T)"),
        ("(rate * (1 - c**2))[:, None]", "(1 - c**2)[:, None]"),
        ("(rate * (1 - c**2))[:, None]", "(rate * (1 - c))[:, None]"),
        ("(rate * (1 - c**2))[:, None]", "rate[:, None]"),
        (
            "J @ (np.diag(1 - rate) + (rate * (1 - c**2))[:, None]",
            "J @ ((1 - c**2)[:, None]",
        ),
        ("np.diag(1 - rate)", "np.diag(rate)"),
        ("np.diag(1 - rate)", "(1 - rate)[:, None]"),
        ("np.diag(1 - rate)", "np.eye(len(rate))"),
        (
            "J = J @ (np.diag(1 - rate) + (rate * (1 - c**2))[:, None] * W_hh.T)",
            "J = (np.diag(1 - rate) + (rate * (1 - c**2))[:, None] * W_hh.T) @ J",
        ),
        ("J = J @ (np.diag", "J = J * (np.diag"),
        ("J = J @ (np.diag", "J = (np.diag"),
        ("for c in candidates[::-1]:", "for c in candidates:"),
        ("for c in candidates[::-1]:", "for c in candidates[:0:-1]:"),
        ("np.linalg.norm(J, ord=2)", "np.linalg.norm(J)"),
        ("np.linalg.norm(J, ord=2)", "np.abs(np.linalg.eigvals(J)).max()"),
        ("np.linalg.norm(J, ord=2)", "np.linalg.norm(J, ord=2) * r[-1]"),
        ("return np.array(r[::-1])", "return np.array(r)"),
        ("return np.array(r[::-1])", "return np.array(r[:0:-1])"),
        ("rate = sigmoid(p)", "rate = p"),
    ],
}

ALTERNATIVES = {
    "q1": [
        """
def leaky_step(x_t, h_prev, W_xh, W_hh, b_h, p):
    z = np.einsum("bf,fh->bh", x_t, W_xh)
    z = z + np.einsum("bi,ih->bh", h_prev, W_hh) + b_h
    half = np.tanh(p / 2) / 2
    return (0.5 - half) * h_prev + (0.5 + half) * np.tanh(z)
""",
        """
def leaky_step(x_t, h_prev, W_xh, W_hh, b_h, p):
    both, W = np.hstack([x_t, h_prev]), np.vstack([W_xh, W_hh])
    return h_prev + sigmoid(p) * (np.tanh(both @ W + b_h) - h_prev)
""",
        """
def leaky_step(x_t, h_prev, W_xh, W_hh, b_h, p):
    h = np.zeros_like(h_prev)
    for b in range(len(h)):
        for k in range(h.shape[1]):
            with np.errstate(over="ignore"):
                alpha = 1 / (1 + np.exp(-p[k]))
            a = x_t[b] @ W_xh[:, k] + h_prev[b] @ W_hh[:, k] + b_h[k]
            h[b, k] = (1 - alpha) * h_prev[b, k] + alpha * np.tanh(a)
    return h
""",
        """
def leaky_step(x_t, h_prev, W_xh, W_hh, b_h, p):
    column = (W_xh.T @ x_t.T + W_hh.T @ h_prev.T + b_h[:, None]).T
    alpha = np.broadcast_to(sigmoid(p), h_prev.shape)
    return np.where(alpha > 0, h_prev * (1 - alpha) + alpha * np.tanh(column), h_prev)
""",
        """
def leaky_step(x_t, h_prev, W_xh, W_hh, b_h, p):
    # log-space, and complex numbers without an imaginary part
    log_alpha = np.minimum(p, 0) - np.log1p(np.exp(-np.abs(p)))
    candidate = np.tanh((x_t @ W_xh + h_prev @ W_hh + b_h).astype(complex))
    return h_prev + np.exp(log_alpha) * (candidate - h_prev)
""",
        """
def leaky_step(x_t, h_prev, W_xh, W_hh, b_h, p):
    from fractions import Fraction
    from scipy.special import expit
    a = (x_t[:, :, None] * W_xh).sum(1) + (h_prev[:, :, None] * W_hh).sum(1) + b_h
    made = h_prev + expit(p) * (np.tanh(a) - h_prev)
    return [[Fraction(float(number)) for number in row] for row in made]
""",
    ],
    "q2": [
        """
def leaky_step_backward(dh_t, x_t, h_prev, W_xh, W_hh, b_h, p):
    d, x, h, U, V, b = dh_t, x_t, h_prev, W_xh, W_hh, b_h
    leak = sigmoid(p)
    c = np.tanh(np.einsum("bf,fh->bh", x, U) + np.einsum("bi,ih->bh", h, V) + b)
    e = np.einsum("bh,h,bh->bh", d, leak, (1 - c) * (1 + c))
    dh = d - leak * d + np.einsum("bk,jk->bj", e, V)
    return [np.einsum("bk,jk->bj", e, U), dh, np.einsum("bf,bh->fh", x, e),
            np.einsum("bi,bh->ih", h, e), np.einsum("bh->h", e)]
""",
        """
def leaky_step_backward(dh_t, x_t, h_prev, W_xh, W_hh, b_h, p):
    dx, dh = np.zeros_like(x_t), np.zeros_like(h_prev)
    dW_xh, dW_hh, db = np.zeros_like(W_xh), np.zeros_like(W_hh), np.zeros_like(b_h)
    larger = 1 / (1 + np.exp(-np.abs(p)))
    alpha = np.where(p > 0, larger, 1 - larger)
    for b in range(len(x_t)):
        c = np.tanh(x_t[b] @ W_xh + h_prev[b] @ W_hh + b_h)
        da = dh_t[b] * alpha * (1 - c * c)
        dx[b] = W_xh @ da
        dh[b] = dh_t[b] * (1 - alpha) + W_hh @ da
        dW_xh += np.outer(x_t[b], da)
        dW_hh += np.outer(h_prev[b], da)
        db += da
    return dx, dh, dW_xh, dW_hh, db
""",
        """
def leaky_step_backward(dh_t, x_t, h_prev, W_xh, W_hh, b_h, p):
    W = np.vstack([W_xh, W_hh, b_h])
    v = np.hstack([x_t, h_prev, np.ones((len(x_t), 1))])
    slope = 1 - np.tanh(v @ W) ** 2
    da_T = (dh_t * slope * sigmoid(p)).T
    dW, dv = (da_T @ v).T, (W @ da_T).T
    F, H = W_xh.shape
    dh_prev = dv[:, F : F + H] + dh_t * sigmoid(-p)
    return dv[:, :F], dh_prev, dW[:F], dW[F:-1], dW[-1]
""",
        """
def leaky_step_backward(dh_t, x_t, h_prev, W_xh, W_hh, b_h, p):
    # complex steps: exact to the last digits, and no derivation
    def loss(*at):
        leak = 0.5 + np.tanh(p / 2) / 2
        x, h, U, V, b = at
        return (dh_t * ((1 - leak) * h + leak * np.tanh(x @ U + h @ V + b))).sum()

    at = [x_t, h_prev, W_xh, W_hh, b_h]
    gradients = []
    for k, part in enumerate(at):
        gradient = np.empty(part.shape)
        for index in np.ndindex(part.shape):
            moved = [a.astype(complex) for a in at]
            moved[k][index] += 1e-30j
            gradient[index] = loss(*moved).imag / 1e-30
        gradients.append(gradient)
    return gradients
""",
    ],
    "q3": [
        """
def leak_gradient(dh_t, h_prev, h_t, p):
    return np.einsum("bh,bh,h->h", dh_t, h_t - h_prev, sigmoid(-p))
""",
        """
def leak_gradient(dh_t, h_prev, h_t, p):
    dp = np.zeros(len(p))
    for b in range(len(dh_t)):
        dp += dh_t[b] * (h_t[b] - h_prev[b]) / (1 + np.exp(np.minimum(p, 700)))
    return dp
""",
        """
def leak_gradient(dh_t, h_prev, h_t, p):
    alpha = sigmoid(p)
    safe = np.where(alpha > 0, alpha, 1)
    candidate = h_prev + (h_t - h_prev) / safe
    return (dh_t * (candidate - h_prev)).sum(0) * alpha * (1 - alpha)
""",
        """
def leak_gradient(dh_t, h_prev, h_t, p):
    return np.diag(dh_t.T @ (h_t - h_prev)) * (0.5 - np.tanh(p / 2) / 2)
""",
        """
def leak_gradient(dh_t, h_prev, h_t, p):
    terms = [d * (after - before) for d, after, before in zip(dh_t, h_t, h_prev)]
    return sum(terms) * np.exp(-np.logaddexp(0, p)).astype(complex)
""",
        """
def leak_gradient(dh_t, h_prev, h_t, p):
    from math import fsum
    kept = [float(sigmoid(-number)) for number in p]
    return [
        k * fsum(d * h for d, h in zip(dh_t[:, j], h_t[:, j] - h_prev[:, j]))
        for j, k in enumerate(kept)
    ]
""",
    ],
    "q4": [
        """
def bptt(xs, h_0, dhs, parameters, step, step_backward):
    def back_from(t, h):
        if t == len(xs):
            nothing = [np.zeros_like(w) for w in parameters]
            return np.zeros_like(xs), np.zeros_like(h), nothing
        later, dh, total = back_from(t + 1, step(xs[t], h, *parameters))
        later[t], dh, *parts = step_backward(dhs[t] + dh, xs[t], h, *parameters)
        return later, dh, [a + b for a, b in zip(total, parts)]

    dxs, dh, gradients = back_from(0, h_0)
    return (dxs, dh) + tuple(gradients)
""",
        """
def bptt(xs, h_0, dhs, parameters, step, step_backward):
    inputs, start, own, weights = xs, h_0, dhs, parameters
    forward, backward = step, step_backward
    states = np.zeros((len(inputs) + 1,) + start.shape)
    states[0] = start
    for t, x in enumerate(inputs, start=1):
        states[t] = forward(x, states[t - 1], *weights)
    dh, dxs, sums = 0 * start, [], [0] * len(weights)
    for x, before, d in zip(inputs[::-1], states[-2::-1], own[::-1]):
        dx, dh, *parts = backward(d + dh, x, before, *weights)
        dxs = [dx] + dxs
        sums = [s + part for s, part in zip(sums, parts)]
    return [np.stack(dxs), dh] + sums
""",
        """
def bptt(xs, h_0, dhs, parameters, step, step_backward):
    T, hs = xs.shape[0], {0: h_0}
    for t in range(1, T + 1):
        hs[t] = step(*(xs[t - 1], hs[t - 1], *parameters))
    everything, dh = [], dhs[-1].copy()
    for t in range(T, 0, -1):
        got = step_backward(dh, xs[t - 1], hs[t - 1], *parameters)
        everything.append(got)
        dh = got[1] + (dhs[t - 2] if t > 1 else 0)
    sums = [sum(parts) for parts in zip(*everything)][2:]
    return np.array([got[0] for got in everything])[::-1], dh, *sums
""",
        """
def bptt(xs, h_0, dhs, parameters, step, step_backward):
    dxs = np.zeros(xs.shape)
    totals = [np.zeros(np.shape(w)) for w in parameters]
    dh = np.zeros(h_0.shape)
    for t in range(len(xs) - 1, -1, -1):
        h = h_0.view()
        for s in range(t):
            h = step(xs[s], h, *parameters)
        dxs[t], dh, *grads = step_backward(dhs[t] + dh, xs[t], h, *parameters)
        for total, grad in zip(totals, grads):
            total += grad
    return dxs, dh, *totals
""",
        """
def bptt(xs, h_0, dhs, parameters, step, step_backward):
    # two scans
    from itertools import accumulate

    states = list(accumulate(xs, lambda h, x: step(x, h, *parameters), initial=h_0))

    def back(later, t):
        return step_backward(dhs[t] + later[1], xs[t], states[t], *parameters)

    nothing = (0, np.zeros(h_0.shape))
    found = list(accumulate(range(len(xs) - 1, -1, -1), back, initial=nothing))[1:]
    dxs, dh, *parts = zip(*found)
    return np.array(dxs[::-1]), dh[-1], *(np.sum(part, axis=0) for part in parts)
""",
    ],
    "q5": [
        """
def gradient_reach(candidates, W_hh, p):
    alpha, (T, H) = sigmoid(p), candidates.shape
    J = np.einsum("h,sh,jh->shj", alpha, 1 - candidates**2, W_hh)
    J[:, np.arange(H), np.arange(H)] += 1 - alpha
    products = np.empty((T + 1, H, H))
    products[T] = np.eye(H)
    for t in range(T - 1, -1, -1):
        products[t] = products[t + 1] @ J[t]
    return np.linalg.norm(products, 2, axis=(1, 2))
""",
        """
def gradient_reach(candidates, W_hh, p):
    c, W = candidates, W_hh
    rows = np.identity(len(p))  # row k: gradient of unit k, as backpropagation does it
    sizes = [1.0]
    for t in range(len(c) - 1, -1, -1):
        rows = (1 - sigmoid(p)) * rows + (rows * sigmoid(p) * (1 - c[t] ** 2)) @ W.T
        sizes.insert(0, np.linalg.svd(rows)[1].max())
    return sizes
""",
        """
def gradient_reach(candidates, W_hh, p):
    out = []
    for t in range(len(candidates) + 1):
        M = np.eye(W_hh.shape[0])  # transposed throughout
        for c in candidates[t:]:
            slope = sigmoid(p) * (1 - c) * (1 + c)
            M = M @ (W_hh * slope + np.diag(sigmoid(-p)))
        out.append(np.sqrt(np.linalg.eigvalsh(M.T @ M)[-1]))
    return np.array(out)
""",
        """
def gradient_reach(candidates, W_hh, p):
    # the largest eigenvalue, from a routine for any matrix: complex numbers
    alpha = sigmoid(p)

    def reach(t):
        M = np.eye(len(p), dtype=complex)
        for c in candidates[t:]:
            M = (np.diag(1 - alpha) + np.diag(alpha * (1 - c * c)) @ W_hh.T) @ M
        return max(np.linalg.eigvals(M.T @ M), key=abs) ** 0.5

    return np.array([reach(t) for t in range(len(candidates) + 1)])
""",
        """
def gradient_reach(candidates, W_hh, p):
    # recursion, and a scale carried apart in log-space
    def back(t):
        if t == len(candidates):
            return [0.0], np.eye(len(p))
        logs, M = back(t + 1)
        slope = sigmoid(p) * (1 - candidates[t] ** 2)
        M = M @ (np.diag(1 - sigmoid(p)) + slope[:, None] * W_hh.T)
        size = np.linalg.svd(M, compute_uv=False).max()
        return [logs[0] + np.log(size), *logs], M / size

    return np.exp(back(0)[0])
""",
    ],
}
