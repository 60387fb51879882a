"""Attention of a few hundred tokens on a processor, without ever writing all of its weights to memory.

torch computes attention with a library's products, which are made for larger matrices: on a processor with
512-bit vectors they reach two thirds of what products with a network's weights do. Here six queries at a
time are multiplied with all keys, exponentiated and multiplied with all values while they are in the nearest
cache, by loops written for LLVM's vectors (docs/decisions/0038).

All of it is in one file on purpose: numba compiles anew when the file of a function changes, not when
something does that it calls from elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import llvmlite.binding as llvm
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from landslide_map.array_types import Floats32
from landslide_map.runtime.jit import compiled

QUERIES: Final = 6
"""Multiplied side by side: with four vectors of keys they keep 24 of 32 registers busy."""
LANES: Final = 16
"""Numbers in a vector."""
_WIDE: Final = 4
_FLOAT: Final = ir.FloatType()
_INT: Final = ir.IntType(64)
_VECTOR: Final = ir.VectorType(_FLOAT, LANES)
_WHOLE: Final = ir.VectorType(ir.IntType(32), LANES)
_LEAST: Final = -126.0
"""Smaller powers of two are no normal numbers; as weights they are nothing either way."""
_ROUNDING: Final = 1.5 * 2**23
_TERMS: Final = [math.log(2) ** k / math.factorial(k) for k in range(7)]
"""Of ``2**x``; from -1/2 to 1/2 the first one left out is below 2e-7."""


def available() -> bool:
    """Whether this processor has vectors as wide as the loops want; elsewhere torch's attention is faster."""
    return bool(llvm.get_host_cpu_features().get("avx512f"))


def can_attend(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether :func:`attention` is written for tensors like these."""
    parts = (query, key, value)
    return (
        query.dim() == 4
        and query.shape == key.shape == value.shape
        and query.shape[2] >= QUERIES
        and query.shape[3] in (LANES, 2 * LANES, _WIDE * LANES)
        and all(part.dtype is torch.float32 and part.stride(3) == 1 for part in parts)
    )


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return ``softmax(query key' / sqrt(feature)) value``, as torch does, to rounding.

    Parameters
    ----------
    query, key, value : Tensor, (n, head, token, feature), float32
        On the processor, without gradients; see :func:`can_attend`.

    Returns
    -------
    Tensor, of the same shape
        A view of ``(n, token, head, feature)``, the order in which the next product reads it.
    """
    count, heads, tokens, features = query.shape
    found = torch.empty(count, tokens, heads, features)
    _attend(query.numpy(), key.numpy(), value.numpy(), found.numpy())
    return found.transpose(1, 2)


def _tile(vectors: int) -> Callable[..., Any]:
    """Make a loop ``c = a b`` of six rows by so many vectors, which stays in registers until it is done.

    It takes the address of `a`, the distance of its rows in numbers, the same of `b` and `c`, and how many
    columns of `a` and rows of `b` there are.
    """

    @intrinsic
    def tile(_context: Any, a: Any, a_row: Any, b: Any, b_row: Any, c: Any, c_row: Any, depth: Any) -> Any:
        def generate(context: Any, build: ir.IRBuilder, _signature: Any, given: Any) -> Any:
            a, a_row, b, b_row, c, c_row, depth = given
            left, right, out = (build.inttoptr(address, _FLOAT.as_pointer()) for address in (a, b, c))
            rows = [build.gep(left, [build.mul(a_row, _INT(row))]) for row in range(QUERIES)]

            def step(k: Any, sums: list[Any]) -> list[Any]:
                at = build.gep(right, [build.mul(k, b_row)])
                column = [_load(build, at, vector) for vector in range(vectors)]
                added = []
                for row in range(QUERIES):
                    factor = _spread(build, build.load(build.gep(rows[row], [k])))
                    for vector in range(vectors):
                        index = row * vectors + vector
                        added.append(_call(build, "llvm.fma", factor, column[vector], sums[index]))
                return added

            sums = _loop(build, depth, [_constant(0.0)] * (QUERIES * vectors), step)
            for index, vector in enumerate(sums):
                row, column = divmod(index, vectors)
                _store(build, build.gep(out, [build.mul(c_row, _INT(row))]), column, vector)
            return context.get_dummy_value()

        return types.void(a, a_row, b, b_row, c, c_row, depth), generate

    return tile


def _exponentials() -> Callable[..., Any]:
    """Make a loop that turns six rows of scores into ``exp(score - greatest)`` and writes the sum of each.

    It takes the address of the scores, the distance of their rows in numbers, how many vectors a row has,
    and where the sums go.
    """

    @intrinsic
    def exponentials(_context: Any, scores: Any, row: Any, vectors: Any, totals: Any) -> Any:
        return types.void(scores, row, vectors, totals), _write_exponentials

    return exponentials


def _write_exponentials(context: Any, build: ir.IRBuilder, _signature: Any, given: Any) -> Any:
    scores, row, vectors, totals = given
    first = build.inttoptr(scores, _FLOAT.as_pointer())
    rows = [
        build.bitcast(build.gep(first, [build.mul(row, _INT(number))]), _VECTOR.as_pointer())
        for number in range(QUERIES)
    ]

    def compare(k: Any, best: list[Any]) -> list[Any]:
        return [
            _greater(build, _load(build, build.gep(at, [k])), one) for at, one in zip(rows, best, strict=True)
        ]

    best = _loop(build, vectors, [_constant(-math.inf)] * QUERIES, compare)
    # Powers of two instead of e, and the greatest score taken away in the same step.
    scale = _constant(1 / math.log(2))
    shifts = [
        build.fmul(_spread(build, _reduced(build, one, _greater)), _constant(-1 / math.log(2)))
        for one in best
    ]

    def weigh(k: Any, sums: list[Any]) -> list[Any]:
        found = []
        for at, shift, total in zip(rows, shifts, sums, strict=True):
            score = _load(build, build.gep(at, [k]))
            weight = _power_of_two(build, _call(build, "llvm.fma", score, scale, shift))
            _store(build, build.gep(at, [k]), 0, weight)
            found.append(build.fadd(total, weight))
        return found

    sums = _loop(build, vectors, [_constant(0.0)] * QUERIES, weigh)
    out = build.inttoptr(totals, _FLOAT.as_pointer())
    for number, total in enumerate(sums):
        build.store(_reduced(build, total, ir.IRBuilder.fadd), build.gep(out, [_INT(number)]))
    return context.get_dummy_value()


def _power_of_two(build: ir.IRBuilder, exponent: Any) -> Any:
    """Return ``2**exponent`` of a vector: a whole power, put into the exponent's bits, times a polynomial."""
    small = build.fcmp_ordered("<", exponent, _constant(_LEAST))  # not so for NaN, which must stay one
    exponent = build.select(small, _constant(_LEAST), exponent)
    # A number so large has no bits for fractions: adding it rounds, and its lowest bits are the whole number.
    rounded = build.fadd(exponent, _constant(_ROUNDING))
    rest = build.fsub(exponent, build.fsub(rounded, _constant(_ROUNDING)))
    value = _constant(_TERMS[-1])
    for term in reversed(_TERMS[:-1]):
        value = _call(build, "llvm.fma", value, rest, _constant(term))
    bits = build.add(
        build.shl(build.bitcast(rounded, _WHOLE), _WHOLE([23] * LANES)), _WHOLE([127 << 23] * LANES)
    )
    return build.fmul(value, build.bitcast(bits, _VECTOR))


def _loop(
    build: ir.IRBuilder, count: Any, begin: list[Any], step: Callable[[Any, list[Any]], list[Any]]
) -> Any:
    """Write a loop over ``0 .. count - 1``, at least once, that carries vectors; return what it ends with."""
    before, body, after = build.block, build.append_basic_block(), build.append_basic_block()
    build.branch(body)
    build.position_at_end(body)
    k = build.phi(_INT)
    k.add_incoming(_INT(0), before)
    carried = [build.phi(_VECTOR) for _ in begin]
    for phi, value in zip(carried, begin, strict=True):
        phi.add_incoming(value, before)
    found = step(k, carried)
    following = build.add(k, _INT(1))
    k.add_incoming(following, body)
    for phi, value in zip(carried, found, strict=True):
        phi.add_incoming(value, body)
    build.cbranch(build.icmp_signed("<", following, count), body, after)
    build.position_at_end(after)
    return found


def _constant(value: float) -> Any:
    return _VECTOR([float(np.float32(value))] * LANES)


def _spread(build: ir.IRBuilder, scalar: Any) -> Any:
    one = build.insert_element(_VECTOR(ir.Undefined), scalar, ir.IntType(32)(0))
    return build.shuffle_vector(one, _VECTOR(ir.Undefined), _WHOLE([0] * LANES))


def _reduced(build: ir.IRBuilder, vector: Any, join: Callable[[ir.IRBuilder, Any, Any], Any]) -> Any:
    """Join the numbers of a vector, neighbours first."""
    parts = [build.extract_element(vector, ir.IntType(32)(lane)) for lane in range(LANES)]
    while len(parts) > 1:
        parts = [join(build, a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _greater(build: ir.IRBuilder, a: Any, b: Any) -> Any:
    return build.select(build.fcmp_ordered(">", a, b), a, b)


def _load(build: ir.IRBuilder, at: Any, vector: int = 0) -> Any:
    return build.load(_place(build, at, vector), align=4)


def _store(build: ir.IRBuilder, at: Any, vector: int, value: Any) -> None:
    build.store(value, _place(build, at, vector), align=4)


def _place(build: ir.IRBuilder, at: Any, vector: int) -> Any:
    return build.gep(build.bitcast(at, _VECTOR.as_pointer()), [_INT(vector)])


def _call(build: ir.IRBuilder, name: str, *vectors: Any) -> Any:
    return build.call(_function(build, f"{name}.v16f32", _VECTOR, [_VECTOR] * len(vectors)), vectors)


def _function(build: ir.IRBuilder, name: str, result: Any, given: list[Any]) -> Any:
    return build.module.declare_intrinsic(name, (), ir.FunctionType(result, given))


_one_vector, _two_vectors, _four_vectors = _tile(1), _tile(2), _tile(_WIDE)
_weigh = _exponentials()


@compiled
def _attend(query: Floats32, key: Floats32, value: Floats32, out: Floats32) -> None:
    """Fill `out` ``(n, token, head, feature)`` from ``(n, head, token, feature)``."""
    count, heads, tokens, features = query.shape
    width = (tokens + LANES - 1) // LANES * LANES
    keys = np.zeros((features, width), np.float32)  # as columns, divided beforehand; zeros beyond the last
    scores = np.empty((QUERIES, width), np.float32)
    found = np.empty((QUERIES, features), np.float32)
    totals = np.empty(QUERIES, np.float32)
    divisor = np.float32(1 / math.sqrt(features))
    for n in range(count):
        for head in range(heads):
            for token in range(tokens):
                for feature in range(features):
                    keys[feature, token] = key[n, head, token, feature] * divisor
            queries = query.ctypes.data + n * query.strides[0] + head * query.strides[1]
            values = value.ctypes.data + n * value.strides[0] + head * value.strides[1]
            for start in range(0, tokens, QUERIES):
                first = min(start, tokens - QUERIES)  # the last ones once more rather than fewer
                _score(queries + first * query.strides[2], query.strides[2] // 4, keys, scores)
                scores[:, tokens:] = -np.inf
                _weigh(scores.ctypes.data, width, width // LANES, totals.ctypes.data)
                _sum(scores, values, value.strides[2] // 4, tokens, found)
                for row in range(QUERIES):
                    share = np.float32(1) / totals[row]
                    for feature in range(features):
                        out[n, first + row, head, feature] = found[row, feature] * share


@compiled
def _score(queries: int, query_row: int, keys: Floats32, scores: Floats32) -> None:
    """Fill `scores` with the products of six queries and all keys."""
    features, width = keys.shape
    column = 0
    while column < width:
        right, out = keys.ctypes.data + 4 * column, scores.ctypes.data + 4 * column
        if column + _WIDE * LANES <= width:
            _four_vectors(queries, query_row, right, width, out, width, features)
            column += _WIDE * LANES
        else:
            _one_vector(queries, query_row, right, width, out, width, features)
            column += LANES


@compiled
def _sum(weights: Floats32, values: int, value_row: int, tokens: int, found: Floats32) -> None:
    """Fill `found` with the sums of all values by the weights of six queries."""
    features = found.shape[1]
    left, width, out = weights.ctypes.data, weights.shape[1], found.ctypes.data
    if features == LANES:
        _one_vector(left, width, values, value_row, out, features, tokens)
    elif features == 2 * LANES:
        _two_vectors(left, width, values, value_row, out, features, tokens)
    else:
        _four_vectors(left, width, values, value_row, out, features, tokens)
