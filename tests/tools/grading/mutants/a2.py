"""A2: plausible mistakes, and other right answers."""

MUTANTS = {
    "q1": [
        # the order of the blocks: Keras's habit, or o and f exchanged
        ("a_g, a_f, a_o = np.split(x", "a_f, a_g, a_o = np.split(x"),
        ("a_g, a_f, a_o = np.split(x", "a_g, a_o, a_f = np.split(x"),
        # coupled the wrong way round, or not at all
        ("c = f * c_prev + (1 - f) * g", "c = (1 - f) * c_prev + f * g"),
        ("c = f * c_prev + (1 - f) * g", "c = f * c_prev + g"),
        # the peephole: forgotten, at the old state, with a minus, outside the sigma
        ("o = sigmoid(a_o + c * w_o)", "o = sigmoid(a_o)"),
        ("o = sigmoid(a_o + c * w_o)", "o = sigmoid(a_o + c_prev * w_o)"),
        ("o = sigmoid(a_o + c * w_o)", "o = sigmoid(a_o - c * w_o)"),
        ("o = sigmoid(a_o + c * w_o)", "o = sigmoid(a_o) + c * w_o"),
        # the peephole sees what is shown, not what is kept
        ("o = sigmoid(a_o + c * w_o)", "o = sigmoid(a_o + np.tanh(c) * w_o)"),
        ("h = o * np.tanh(c)\n", "h = o * c\n"),
        ("g = np.tanh(a_g)", "g = sigmoid(a_g)"),
        # NaN for large entries; or flat too early
        ("return (1 + np.tanh(a / 2)) / 2", "return np.exp(a) / (1 + np.exp(a))"),
        ("return (1 + np.tanh(a / 2)) / 2", "return (1 + np.tanh(a)) / 2"),
        ("return (1 + np.tanh(a / 2)) / 2", "return np.clip(a / 4 + 0.5, 0, 1)"),
        # the bias forgotten; the weights of the state transposed
        ("h_prev @ W_h + b, 3, axis=1)", "h_prev @ W_h, 3, axis=1)"),
        ("g = np.tanh(a_g)", "g = np.tanh(a_g - b[: len(w_o)])"),
        # in place: changes the caller's state
        (
            "c = f * c_prev + (1 - f) * g",
            "c = c_prev\n    c *= f\n    c += (1 - f) * g",
        ),
        ("return h, c, g, f, o", "return c, h, g, f, o"),
        ("return h, c, g, f, o", "return h, c"),
    ],
    "q2": [
        # the output gate: slope forgotten, tanh forgotten, slope of tanh
        ("da_o = dh * tanh_c * o * (1 - o)", "da_o = dh * tanh_c"),
        ("da_o = dh * tanh_c * o * (1 - o)", "da_o = dh * c * o * (1 - o)"),
        ("da_o = dh * tanh_c * o * (1 - o)", "da_o = dh * tanh_c * (1 - o**2)"),
        # the readers of c: no peephole, no h, nothing later; tanh' at h
        ("dc = dc + dh * o * (1 - tanh_c**2) + da_o * w_o", "dc = dc + da_o * w_o"),
        (
            "dc = dc + dh * o * (1 - tanh_c**2) + da_o * w_o",
            "dc = dc + dh * o * (1 - tanh_c**2)",
        ),
        (
            "dc = dc + dh * o * (1 - tanh_c**2) + da_o * w_o",
            "dc = dh * o * (1 - tanh_c**2) + da_o * w_o",
        ),
        ("dc = dc + dh * o * (1 - tanh_c**2)", "dc = dc + dh * o * (1 - c**2)"),
        ("dc = dc + dh * o * (1 - tanh_c**2)", "dc = dc + dh * (1 - tanh_c**2)"),
        # right, but the caller's dc is changed
        (
            "dc = dc + dh * o * (1 - tanh_c**2) + da_o * w_o",
            "dc += dh * o * (1 - tanh_c**2) + da_o * w_o",
        ),
        # the coupling: as in an LSTM, or with the other sign
        ("da_f = dc * (c_prev - g) * f * (1 - f)", "da_f = dc * c_prev * f * (1 - f)"),
        (
            "da_f = dc * (c_prev - g) * f * (1 - f)",
            "da_f = dc * (c_prev + g) * f * (1 - f)",
        ),
        ("da_f = dc * (c_prev - g) * f * (1 - f)", "da_f = dc * (c_prev - g)"),
        ("da_g = dc * (1 - f) * (1 - g**2)", "da_g = dc * (1 - g**2)"),
        ("da_g = dc * (1 - f) * (1 - g**2)", "da_g = dc * f * (1 - g**2)"),
        ("da_g = dc * (1 - f) * (1 - g**2)", "da_g = dc * (1 - f) * g * (1 - g)"),
        ("da_g = dc * (1 - f) * (1 - g**2)", "da_g = dc * (1 - f)"),
        # Keras's order of the blocks
        ("da = np.hstack([da_g, da_f, da_o])", "da = np.hstack([da_f, da_g, da_o])"),
        # the old state also through the gates' sum, or past the gate
        ("da @ W_h.T, dc * f\n", "da @ W_h.T, dc\n"),
        ("da @ W_h.T, dc * f\n", "da @ W_h.T, dc * f + da_o * w_o\n"),
        ("da @ W_x.T, da @ W_h.T,", "da @ W_x.T, dh + da @ W_h.T,"),
        # means over the batch, or no sum
        ("da.sum(axis=0)\n", "da.mean(axis=0)\n"),
        ("dw_o = (da_o * c).sum(axis=0)", "dw_o = (da_o * c_prev).sum(axis=0)"),
        ("dw_o = (da_o * c).sum(axis=0)", "dw_o = (da_o * tanh_c).sum(axis=0)"),
        ("dw_o = (da_o * c).sum(axis=0)", "dw_o = da_o.sum(axis=0)"),
        ("dw_o = (da_o * c).sum(axis=0)", "dw_o = da_o * c"),
        ("return dx, dh_prev, dc_prev, dW_x", "return dh_prev, dx, dc_prev, dW_x"),
    ],
    "q3": [
        # the mask: unread, upside down, for one state only, that of another step
        ("h.append(np.where(real, h_new, h[t]))", "h.append(h_new)"),
        ("c.append(np.where(real, c_new, c[t]))", "c.append(c_new)"),
        (
            "h.append(np.where(real, h_new, h[t]))",
            "h.append(np.where(real, h[t], h_new))",
        ),
        ("real = mask[:, t, None]  # (B, 1)\n        h.", "real = True\n        h."),
        (
            "real = mask[:, t, None]  # (B, 1)\n        h.",
            "real = mask[:, t - 1, None]\n        h.",
        ),
        # zeros where the state should be carried on
        ("h.append(np.where(real, h_new, h[t]))", "h.append(real * h_new)"),
        ("c.append(np.where(real, c_new, c[t]))", "c.append(real * c_new)"),
        # one padded sequence stops the whole batch; or none does
        (
            "real = mask[:, t, None]  # (B, 1)\n        h.",
            "real = mask[:, t].all()\n        h.",
        ),
        (
            "real = mask[:, t, None]  # (B, 1)\n        h.",
            "real = mask[:, t].any()\n        h.",
        ),
        # padding told by its zeros, not by the mask
        (
            "real = mask[:, t, None]  # (B, 1)\n        h.",
            "real = x[:, t].any(axis=1)[:, None]\n        h.",
        ),
        # padding fed to the cell as zeros
        (
            "step(x[:, t], h[t], c[t], *weights)[:2]\n"
            "        real = mask[:, t, None]  # (B, 1)",
            "step(x[:, t] * mask[:, t, None], h[t], c[t], *weights)[:2]\n"
            "        real = True",
        ),
        # always from the start; from zero; as many steps as sequences
        (
            "step(x[:, t], h[t], c[t], *weights)[:2]",
            "step(x[:, t], h_0, c[t], *weights)[:2]",
        ),
        ("h, c = [h_0], [c_0]", "h, c = [0 * h_0], [0 * c_0]"),
        ("for t in range(x.shape[1]):", "for t in range(x.shape[0]):"),
        # without the start; time first
        (
            "return np.stack(h, axis=1), np.stack(c, axis=1)",
            "return np.stack(h[1:], axis=1), np.stack(c[1:], axis=1)",
        ),
        (
            "return np.stack(h, axis=1), np.stack(c, axis=1)",
            "return np.stack(h), np.stack(c)",
        ),
        (
            "return np.stack(h, axis=1), np.stack(c, axis=1)",
            "return np.stack(c, axis=1), np.stack(h, axis=1)",
        ),
        # the caller's start is changed
        (
            "h.append(np.where(real, h_new, h[t]))",
            "h_0[...] = np.where(real, h_new, h[t])\n        h.append(h_0.copy())",
        ),
        # not the cell that is handed over: the hand-out's, or the one of question 1
        (
            "step(x[:, t], h[t], c[t], *weights)[:2]",
            "leaky_step(x[:, t], h[t], c[t], *weights)[:2]",
        ),
        (
            "step(x[:, t], h[t], c[t], *weights)[:2]",
            "coupled_step(x[:, t], h[t], c[t], *weights)[:2]",
        ),
        # two values and no more; three weights and no more
        (
            "step(x[:, t], h[t], c[t], *weights)[:2]",
            "step(x[:, t], h[t], c[t], *weights)",
        ),
        (
            "step(x[:, t], h[t], c[t], *weights)[:2]",
            "step(x[:, t], h[t], c[t], *weights[:3])[:2]",
        ),
    ],
    "q4": [
        # the mask unread; or read too late, when the weights have their sums
        (
            "asked = np.where(real, dh, 0), np.where(real, dc, 0)",
            "real = True\n        asked = dh, dc",
        ),
        ("asked = np.where(real, dh, 0), np.where(real, dc, 0)", "asked = dh, dc"),
        ("np.where(real, dh, 0), np.where(real, dc, 0)", "np.where(real, dh, 0), dc"),
        ("np.where(real, dh, 0), np.where(real, dc, 0)", "dh, np.where(real, dc, 0)"),
        # what padding should hand on is dropped
        (
            "dh, dc = np.where(real, dh_step, dh), np.where(real, dc_step, dc)",
            "dh, dc = dh_step, dc_step",
        ),
        ("np.where(real, dh_step, dh), np", "dh_step, np"),
        ("np.where(real, dc_step, dc)\n", "dc_step\n"),
        # what the loss reads at padding is dropped
        ("dh = dh + dout[:, t]", "dh = dh + np.where(real, dout[:, t], 0)"),
        # the loss: of this step only; of the last only; at the wrong step
        ("dh = dh + dout[:, t]", "dh = dout[:, t]"),
        ("dh = dh + dout[:, t]", "dh = dh + dout[:, -1] * (t == x.shape[1] - 1)"),
        ("dh = dh + dout[:, t]", "dh = dh + dout[:, t - 1]"),
        ("dh = dh + dout[:, t]", "dout[:, t] += dh\n        dh = dout[:, t]"),
        # states after the step in place of those before
        ("before = h[:, t], c[:, t]", "before = h[:, t + 1], c[:, t + 1]"),
        ("before = h[:, t], c[:, t]", "before = h[:, t], c[:, t + 1]"),
        # the weights: of the first step only; a mean over the batch
        (
            "dweights = [sofar + d for sofar, d in zip(dweights, new, strict=True)]",
            "dweights = new",
        ),
        ("[sofar + d for sofar, d", "[sofar + d / len(x) for sofar, d"),
        # forwards in time; not to the end
        ("for t in reversed(range(x.shape[1])):", "for t in range(x.shape[1]):"),
        (
            "for t in reversed(range(x.shape[1])):",
            "for t in reversed(range(1, x.shape[1])):",
        ),
        # truncated after one step
        ("dh = dh + dout[:, t]", "dh, dc = dout[:, t], 0 * dc"),
        ("return dx, dh, dc, *dweights", "return dx, dc, dh, *dweights"),
        ("return dx, dh, dc, *dweights", "return dx, dh, dc, dweights"),
        ("return dx, dh, dc, *dweights", "return dx, *dweights"),
        # not the cell that is handed over, but the hand-out's
        ("= step_back(*asked, x[:, t]", "= leaky_step_back(*asked, x[:, t]"),
        # three weights, as that has
        ("return dx, dh, dc, *dweights", "return dx, dh, dc, *dweights[:3]"),
        ("*before, *weights)", "*before, *weights[:3])"),
    ],
    "q5": [
        # counted: the LSTM's four blocks, no peephole, no bias, no recurrence
        ("counts = 3 * candidates", "counts = 4 * candidates"),
        ("(features + candidates + 1) + candidates\n", "(features + candidates + 1)\n"),
        (
            "(features + candidates + 1) + candidates\n",
            "(features + candidates) + candidates\n",
        ),
        ("(features + candidates + 1) + candidates\n", "(features + 1) + candidates\n"),
        (
            "4 * lstm_units * (features + lstm_units + 1)",
            "4 * lstm_units * (features + 1)",
        ),
        # two biases, as in Keras's GRU; one peephole for all units
        ("(features + candidates + 1) + candidates\n", "(features + candidates + 2)\n"),
        (
            "(features + candidates + 1) + candidates\n",
            "(features + candidates + 2) + 1\n",
        ),
        # no more than the LSTM's; the larger of two
        (
            "units = int(candidates[np.abs(counts - lstm_count).argmin()])",
            "units = int(candidates[counts <= lstm_count].max(initial=1))",
        ),
        (
            "units = int(candidates[np.abs(counts - lstm_count).argmin()])",
            "units = int(candidates[::-1][np.abs(counts - lstm_count)[::-1].argmin()])",
        ),
        (
            "units = int(candidates[np.abs(counts - lstm_count).argmin()])",
            "units = round(lstm_units * 4 / 3)",
        ),
        # half-lives in equal steps; the other way round
        (
            "np.geomspace(shortest, longest, units)",
            "np.linspace(shortest, longest, units)",
        ),
        (
            "np.geomspace(shortest, longest, units)",
            "np.geomspace(longest, shortest, units)",
        ),
        # f rounds to 1: page 3.3's formula
        (
            "b_f = -np.log(np.expm1(np.log(2) / half_lives))",
            "f = 0.5 ** (1 / half_lives)\n"
            "    with np.errstate(divide='ignore'):\n"
            "        b_f = np.log(f / (1 - f))",
        ),
        # the mean life of page 2.4; the approximation for large b; the sign
        (
            "b_f = -np.log(np.expm1(np.log(2) / half_lives))",
            "b_f = -np.log(np.expm1(1 / half_lives))",
        ),
        (
            "b_f = -np.log(np.expm1(np.log(2) / half_lives))",
            "b_f = np.log(half_lives / np.log(2))",
        ),
        ("b_f = -np.log(np.expm1(", "b_f = np.log(np.expm1("),
        # the bias in Keras's place; one block alone; the output gate open as well
        (
            "[np.zeros(units), b_f, np.zeros(units)]",
            "[b_f, np.zeros(units), np.zeros(units)]",
        ),
        ("b = np.concatenate([np.zeros(units), b_f, np.zeros(units)])", "b = b_f"),
        (
            "[np.zeros(units), b_f, np.zeros(units)]",
            "[np.zeros(units), b_f, np.ones(units)]",
        ),
        ("return units, b\n", "return b, units\n"),
    ],
}

ALTERNATIVES = {
    "q1": [
        """
def coupled_step(x, h_prev, c_prev, W_x, W_h, b, w_o):
    def squash(a):
        e = np.exp(-np.abs(a))
        return np.where(a >= 0, 1 / (1 + e), e / (1 + e))

    H = len(w_o)
    both, W = np.hstack([x, h_prev]), np.vstack([W_x, W_h])
    g = np.tanh(both @ W[:, :H] + b[:H])
    keep = squash(both @ W[:, H : 2 * H] + b[H : 2 * H])
    cell = g + keep * (c_prev - g)
    show = squash(both @ W[:, 2 * H :] + b[2 * H :] + cell * w_o)
    return [show * np.tanh(cell), cell, g, keep, show]
""",
        """
def coupled_step(x, h_prev, c_prev, W_x, W_h, b, w_o):
    B, F = x.shape
    H = h_prev.shape[1]
    a = np.einsum("bf,fkh->kbh", x, W_x.reshape(F, 3, H))
    a += np.einsum("bj,jkh->kbh", h_prev, W_h.reshape(H, 3, H))
    a += b.reshape(3, 1, H)
    np.tanh(a[0], out=a[0])
    a[1] = np.exp(-np.logaddexp(0, -a[1]))
    c = a[1] * c_prev + (1 - a[1]) * a[0]
    a[2] += w_o * c
    a[2] = np.exp(-np.logaddexp(0, -a[2]))
    return a[2] * np.tanh(c), c, *a
""",
        '''
def coupled_step(x, h_prev, c_prev, W_x, W_h, b, w_o):
    """One sequence and one unit at a time; sigma with a limit."""
    import math

    def s(a):
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, a))))

    B, H = h_prev.shape
    h, c, g, f, o = (np.empty((B, H)) for _ in range(5))
    for n in range(B):
        for k in range(H):
            a = [
                x[n] @ W_x[:, j] + h_prev[n] @ W_h[:, j] + b[j]
                for j in (k, H + k, 2 * H + k)
            ]
            g[n, k], f[n, k] = math.tanh(a[0]), s(a[1])
            c[n, k] = f[n, k] * c_prev[n, k] + (1 - f[n, k]) * g[n, k]
            o[n, k] = s(a[2] + w_o[k] * c[n, k])
            h[n, k] = o[n, k] * math.tanh(c[n, k])
    return h, c, g, f, o
''',
        '''
def coupled_step(x, h_prev, c_prev, W_x, W_h, b, w_o):
    """Transposed inside: units are rows; Fortran-ordered results."""
    a = W_x.T @ x.T + W_h.T @ h_prev.T + b[:, None]
    a_g, a_f, a_o = a.reshape(3, len(w_o), -1)
    g, i = np.tanh(a_g), sigmoid(-a_f)
    c = c_prev.T - i * (c_prev.T - g)
    o = sigmoid(a_o + np.diag(w_o) @ c)
    return tuple(made.T for made in (o * np.tanh(c), c, g, 1 - i, o))
''',
        """
def coupled_step(x, h_prev, c_prev, W_x, W_h, b, w_o):
    # one array for all five
    from scipy.special import expit
    H = len(w_o)
    a = np.c_[x, h_prev, np.ones(len(x))] @ np.r_[W_x, W_h, b[None]]
    g, f = np.tanh(a[:, :H]), expit(a[:, H : 2 * H])
    c = f * c_prev + expit(-a[:, H : 2 * H]) * g
    o = expit(a[:, 2 * H :] + c * w_o)
    return np.stack([o * np.tanh(c), c, g, f, o])
""",
    ],
    "q2": [
        """
def coupled_step_backward(dh, dc, x, h_prev, c_prev, W_x, W_h, w_o, g, f, o, c):
    B, H = f.shape
    i, s = 1 - f, np.tanh(c)
    h_by_c = o * (1 - s) * (1 + s) + s * o * (1 - o) * w_o
    total = dc + dh * h_by_c
    da = np.empty((B, 3 * H))
    da[:, :H] = total * i - total * i * g * g
    da[:, H : 2 * H] = (total * c_prev - total * g) * f * i
    da[:, 2 * H :] = dh * s * (o - o**2)
    return [
        np.einsum("bj,fj->bf", da, W_x),
        np.einsum("bj,hj->bh", da, W_h),
        f * total,
        np.einsum("bf,bj->fj", x, da),
        np.einsum("bh,bj->hj", h_prev, da),
        np.einsum("bj->j", da),
        np.einsum("bh,bh->h", da[:, 2 * H :], c),
    ]
""",
        '''
def coupled_step_backward(dh, dc, x, h_prev, c_prev, W_x, W_h, w_o, g, f, o, c):
    """Block by block, without putting the blocks side by side before the end."""
    W_xg, W_xf, W_xo = np.split(W_x, 3, axis=1)
    W_hg, W_hf, W_ho = np.split(W_h, 3, axis=1)
    do = dh * np.tanh(c)
    zo = do * o * (1 - o)
    c_total = dc.copy()
    c_total += dh * o / np.cosh(c) ** 2
    c_total += zo * w_o[None]
    df = c_total * c_prev
    di = c_total * g
    zf = (df - di) * f * (1 - f)
    zg = c_total * (1 - f) * (1 - g**2)
    blocks = zg, zf, zo
    return (
        zg @ W_xg.T + zf @ W_xf.T + zo @ W_xo.T,
        zg @ W_hg.T + zf @ W_hf.T + zo @ W_ho.T,
        c_total * f,
        np.hstack([x.T @ z for z in blocks]),
        np.hstack([h_prev.T @ z for z in blocks]),
        np.hstack([z.sum(0) for z in blocks]),
        np.diag(zo.T @ c),
    )
''',
        '''
def coupled_step_backward(dh, dc, x, h_prev, c_prev, W_x, W_h, w_o, g, f, o, c):
    """Sequence by sequence, with outer products."""
    found = None
    for n in range(len(x)):
        t = np.tanh(c[n])
        ao = dh[n] * t * o[n] * (1 - o[n])
        s = dc[n] + dh[n] * o[n] * (1 - t * t) + ao * w_o
        ag = s * (1 - f[n]) * (1 - g[n] ** 2)
        af = s * (c_prev[n] - g[n]) * f[n] * (1 - f[n])
        a = np.concatenate([ag, af, ao])
        rows = [W_x @ a, W_h @ a, s * f[n]]
        sums = [np.outer(x[n], a), np.outer(h_prev[n], a), a, ao * c[n]]
        if found is None:
            found = [[r] for r in rows], sums
        else:
            for kept, r in zip(found[0], rows):
                kept.append(r)
            found = found[0], [p + q for p, q in zip(found[1], sums)]
    return *(np.array(kept) for kept in found[0]), *found[1]
''',
        """
def coupled_step_backward(dh, dc, x, h_prev, c_prev, W_x, W_h, w_o, g, f, o, c):
    # complex steps from the three sums on, whose values the gates tell
    a_g, a_f = np.arctanh(g), np.log(f / (1 - f))
    a_o = np.log(o / (1 - o)) - c * w_o

    def loss(a_g, a_f, a_o, c_prev, w_o):
        g, f = np.tanh(a_g), 1 / (1 + np.exp(-a_f))
        c = f * c_prev + (1 - f) * g
        return dh * np.tanh(c) / (1 + np.exp(-(a_o + c * w_o))) + dc * c

    at, parts = [a_g, a_f, a_o, c_prev, w_o + 0 * c], []
    for k in range(5):
        moved = [part + 1e-30j * (j == k) for j, part in enumerate(at)]
        parts.append(loss(*moved).imag / 1e-30)
    da, dc_prev, dw_o = np.hstack(parts[:3]), parts[3], parts[4].sum(axis=0)
    return da @ W_x.T, da @ W_h.T, dc_prev, x.T @ da, h_prev.T @ da, da.sum(0), dw_o
""",
    ],
    "q3": [
        '''
def run_sequence(step, x, mask, h_0, c_0, weights):
    """Arrays made before, rows chosen by the mask."""
    B, T, F = x.shape
    h = np.empty((B, T + 1, h_0.shape[1]))
    c = np.empty_like(h)
    h[:, 0], c[:, 0] = h_0, c_0
    for t in range(T):
        rows = mask[:, t]
        h[:, t + 1], c[:, t + 1] = h[:, t], c[:, t]
        made = step(x[rows, t], h[rows, t], c[rows, t], *weights)
        h[rows, t + 1], c[rows, t + 1] = made[0], made[1]
    return h, c
''',
        '''
def run_sequence(step, x, mask, h_0, c_0, weights):
    """A product with the mask, time first inside, views returned."""
    m = np.moveaxis(mask, 1, 0)[..., None].astype(float)
    states = [(h_0, c_0)]
    for x_t, m_t in zip(np.moveaxis(x, 1, 0), m):
        old = states[-1]
        new = step(x_t, *old, *weights)
        states.append(tuple(m_t * a + (1 - m_t) * b for a, b in zip(new, old)))
    h, c = (np.array(s) for s in zip(*states))
    return h.swapaxes(0, 1), c.swapaxes(0, 1)
''',
        '''
def run_sequence(step, x, mask, h_0, c_0, weights):
    """Each sequence by itself, by recursion over the rest of it."""

    def follow(h, c, inputs, real):
        if not len(inputs):
            return [h], [c]
        after = (h, c)
        if real[0]:
            after = step(inputs[:1], h[None], c[None], *weights)
            after = after[0][0], after[1][0]
        hs, cs = follow(*after, inputs[1:], real[1:])
        return [h, *hs], [c, *cs]

    runs = [follow(*one) for one in zip(h_0, c_0, x, mask)]
    return np.array([r[0] for r in runs]), np.array([r[1] for r in runs])
''',
        """
def run_sequence(step, x, mask, h_0, c_0, weights):
    # a scan, and one array for both
    from itertools import accumulate

    def one(states, at):
        x_t, real = at
        new = step(x_t, *states, *weights)[:2]
        return np.where(real[:, None], new, states)

    steps = zip(x.swapaxes(0, 1), mask.T)
    states = np.array(list(accumulate(steps, one, initial=np.stack([h_0, c_0]))))
    return states.transpose(1, 2, 0, 3)
""",
        """
def run_sequence(step, x, mask, h_0, c_0, weights):
    # recursion from the end
    if x.shape[1] == 0:
        return h_0[:, None], c_0[:, None]
    h, c = run_sequence(step, x[:, :-1], mask[:, :-1], h_0, c_0, weights)
    h_new, c_new, *_ = step(x[:, -1], h[:, -1], c[:, -1], *weights)
    real = mask[:, -1]
    h_new[~real], c_new[~real] = h[~real, -1], c[~real, -1]
    return np.append(h, h_new[:, None], axis=1), np.append(c, c_new[:, None], axis=1)
""",
    ],
    "q4": [
        '''
def run_sequence_backward(step_back, dout, x, mask, h, c, weights):
    """Split what comes back in two parts: for the step, and past it."""
    B, T, F = x.shape
    dx = np.zeros((B, T, F))
    sums = [0.0 for _ in weights]
    dh, dc = np.zeros((2, B, h.shape[2]))
    for t in range(T - 1, -1, -1):
        m = mask[:, t : t + 1].astype(float)
        dh = dh + dout[:, t]
        past_h, past_c = (1 - m) * dh, (1 - m) * dc
        got = step_back(m * dh, m * dc, x[:, t], h[:, t], c[:, t], *weights)
        dx[:, t] = got[0]
        dh, dc = past_h + got[1], past_c + got[2]
        for k in range(len(weights)):
            sums[k] = sums[k] + got[3 + k]
    return (dx, dh, dc) + tuple(sums)
''',
        '''
def run_sequence_backward(step_back, dout, x, mask, h, c, weights):
    """Only the real rows are handed to the step."""
    B, T, H = dout.shape
    dx = np.zeros_like(x)
    dw = [np.zeros_like(w) for w in weights]
    dh, dc = np.zeros((B, H)), np.zeros((B, H))
    for t in reversed(range(T)):
        dh += dout[:, t]
        r = np.flatnonzero(mask[:, t])
        dx[r, t], dh[r], dc[r], *new = step_back(
            dh[r], dc[r], x[r, t], h[r, t], c[r, t], *weights
        )
        for total, part in zip(dw, new):
            total += part
    return [dx, dh, dc, *dw]
''',
        '''
def run_sequence_backward(step_back, dout, x, mask, h, c, weights):
    """One sequence after the other, real steps only."""
    rows, totals = [], None
    for n in range(len(x)):
        dh, dc, dxs = 0 * h[n, :1], 0 * c[n, :1], []
        for t in range(x.shape[1])[::-1]:
            dh = dh + dout[n, t]
            if not mask[n, t]:
                dxs.insert(0, 0 * x[n, t])
                continue
            at = x[n : n + 1, t], h[n : n + 1, t], c[n : n + 1, t]
            d, dh, dc, *new = step_back(dh, dc, *at, *weights)
            dxs.insert(0, d[0])
            totals = new if totals is None else [a + b for a, b in zip(totals, new)]
        rows.append((dxs, dh[0], dc[0]))
    return *(np.array(part) for part in zip(*rows)), *totals
''',
        """
def run_sequence_backward(step_back, dout, x, mask, h, c, weights):
    # recursion, the last step first; padding's own inputs set to zero before
    clean = np.where(mask[..., None], x, 0)

    def back(t, dh, dc):
        if t < 0:
            return [], dh, dc, [np.zeros(np.shape(w)) for w in weights]
        dh = dh + dout[:, t]
        on = mask[:, t, None] * 1.0
        got = step_back(on * dh, on * dc, clean[:, t], h[:, t], c[:, t], *weights)
        dxs, dh_0, dc_0, sums = back(
            t - 1, on * got[1] + (1 - on) * dh, on * got[2] + (1 - on) * dc
        )
        sums = [total + part for total, part in zip(sums, got[3:])]
        return [*dxs, on * got[0]], dh_0, dc_0, sums

    dxs, dh_0, dc_0, sums = back(x.shape[1] - 1, 0 * h[:, 0], 0 * c[:, 0])
    return np.stack(dxs, axis=1), dh_0, dc_0, *sums
""",
    ],
    "q5": [
        '''
def fair_start(features, lstm_units, shortest, longest):
    """The quadratic equation, then its two neighbours."""
    n = 4 * lstm_units * (features + lstm_units + 1)
    p = 3 * features + 4
    root = int((-p + np.sqrt(p * p + 12 * n)) / 6)
    near = [H for H in (root, root + 1) if H > 0]
    units = min(near, key=lambda H: abs(3 * H * H + p * H - n))
    b = np.zeros((3, units))
    ratio = np.log(longest / shortest)
    for k in range(units):
        half_life = shortest * np.exp(ratio * k / max(units - 1, 1))
        b[1, k] = -np.log(np.expm1(np.log(2) / half_life))
    return units, b.ravel()
''',
        '''
def fair_start(features, lstm_units, shortest, longest):
    """Upwards until it gets no closer; f and 1 - f apart."""

    def off(H):
        goal = 4 * lstm_units * (features + lstm_units + 1)
        return abs(H * (3 * (features + H + 1) + 1) - goal)

    H = 1
    while off(H + 1) < off(H):
        H += 1
    n = np.logspace(np.log10(shortest), np.log10(longest), H)
    log_f = -np.log(2) / n
    shut = -np.expm1(log_f)
    b = np.zeros(3 * H)
    b[H:-H] = log_f - np.log(shut)
    return np.int64(H), b
''',
        '''
def fair_start(features, lstm_units, shortest, longest):
    """In order of distance, then of size; the list instead of the array."""
    import math

    goal = 4 * (features * lstm_units + lstm_units * lstm_units + lstm_units)
    size = min(
        range(1, 4 * lstm_units + 4),
        key=lambda k: (abs(3 * (features * k + k * k + k) + k - goal), k),
    )
    step = (longest / shortest) ** (1 / (size - 1)) if size > 1 else 1.0
    lives = [shortest * step**k for k in range(size)]
    middle = [-math.log(math.expm1(math.log(2) / life)) for life in lives]
    return float(size), [0] * size + middle + [0] * size
''',
        """
def fair_start(features, lstm_units, shortest, longest):
    # bisection for the size; decimals of forty digits for the bias
    from decimal import Decimal, getcontext

    getcontext().prec = 40
    goal = 4 * lstm_units * (features + lstm_units + 1)

    def count(H):
        return 3 * H * (features + H + 1) + H

    low, high = 1, 4 * lstm_units + 4
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= goal else (low, middle)
    units = high if count(high) - goal < abs(goal - count(low)) else low
    ratio, b = Decimal(longest) / Decimal(shortest), [Decimal(0)] * (3 * units)
    for k in range(units):
        n = Decimal(shortest) * ratio ** (Decimal(k) / max(units - 1, 1))
        b[units + k] = -((Decimal(2).ln() / n).exp() - 1).ln()
    return units, b
""",
    ],
}
