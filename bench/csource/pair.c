/* The decision on a pair as engine/edge.py, sizes.py, fees.py and wide.py have it, in C: the reference
 * that bench/pair.py measures against. Same cells (their places come as -D), same arithmetic in
 * limbs of 10**18, same order of steps; numbers that are divided are never negative. */
#include <stdint.h>

typedef int64_t i64;
typedef struct { i64 hi, lo; } wide;
typedef struct { i64 size, limit_a, limit_b, fee_a, fee_b, edge, profit; } answer;
typedef struct { i64 rate, exponent, unit, mode; } terms;
typedef struct { i64 cost, fee, worst; } taken;

enum { BUY, SELL };
enum { ROUND_UP, ROUND_DOWN, ROUND_HALF_EVEN };
#define E6 1000000LL
#define E9 1000000000LL
#define E12 1000000000000LL
#define E18 1000000000000000000LL
#define SIZE_MAX_E6 E12
#define REFUSED_E6 1000000000000000LL
#define UNIT_REFUSED_E18 (2 * E18)
#define LEVELS 5

static inline i64 min(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 max(i64 a, i64 b) { return a > b ? a : b; }

/* ---- wide */

static wide product(i64 a, i64 b) {
    if (a < 0 || b < 0 || a > E18 || b > E18) return (wide){-1, -1};
    i64 a_hi = a / E9, a_lo = a % E9, b_hi = b / E9, b_lo = b % E9;
    i64 low = a_lo * b_lo, cross = a_hi * b_lo + a_lo * b_hi + low / E9;
    return (wide){a_hi * b_hi + cross / E9, cross % E9 * E9 + low % E9};
}

static inline wide add(wide a, wide b) {
    i64 low = a.lo + b.lo;
    return low >= E18 ? (wide){a.hi + b.hi + 1, low - E18} : (wide){a.hi + b.hi, low};
}

static wide divide(wide n, i64 divisor, i64 *rest) {
    i64 first = n.hi % divisor * E6 + n.lo / E12;
    i64 second = first % divisor * E6 + n.lo / E6 % E6;
    i64 third = second % divisor * E6 + n.lo % E6;
    *rest = third % divisor;
    return (wide){n.hi / divisor, (first / divisor * E6 + second / divisor) * E6 + third / divisor};
}

static wide scale(wide n, i64 factor) {
    wide a = product(n.hi, factor), b = product(n.lo, factor);
    wide mid = add(a, (wide){0, b.hi});
    wide up = {mid.hi * E6 + mid.lo / E12, mid.lo % E12 * E6};
    return add(up, (wide){0, (b.lo + E12 - 1) / E12});
}

/* ---- fees */

static inline int in_range(i64 size, i64 rate, i64 exponent) {
    return size >= 0 && size <= SIZE_MAX_E6 && rate >= 0 && rate <= E6 && exponent >= 0 && exponent <= 3;
}

static wide raw_fee(i64 price, i64 size, i64 rate, i64 exponent) {
    if (price < 0 || price > E6 || !in_range(size, rate, exponent)) return (wide){REFUSED_E6, 0};
    i64 charged = rate * size;
    if (exponent == 0) return (wide){charged / E6, charged % E6 * E12};
    i64 spread = price * (E6 - price);
    wide fee = product(charged, spread);
    for (i64 i = 1; i < exponent; i++) fee = scale(fee, spread);
    return fee;
}

static wide raw_of_match(i64 cost, i64 size, i64 rate, i64 exponent) {
    i64 whole = size * E6, rest, more;
    if (!in_range(size, rate, exponent) || cost < 0 || cost > whole) return (wide){REFUSED_E6, 0};
    if (exponent == 0 || size == 0) return raw_fee(0, size, rate, exponent);
    wide n = divide(product(cost, whole - cost), size, &rest);
    i64 spread = divide(n, size, &more).lo;
    wide fee = product(n.lo, rate);
    fee = add((wide){fee.hi + n.hi * rate, fee.lo}, (wide){0, (rate * rest + size - 1) / size});
    for (i64 i = 1; i < exponent; i++) fee = scale(fee, spread + (rest + more > 0));
    return fee;
}

static inline i64 unit_fee(i64 price, i64 rate, i64 exponent) {
    if (price < 0 || price > E6 || !in_range(0, rate, exponent)) return UNIT_REFUSED_E18;
    if (exponent == 1) return rate * (price * (E6 - price));
    wide fee = raw_fee(price, E6, rate, exponent);
    return fee.hi * E12 + (fee.lo + E6 - 1) / E6;
}

static i64 round_fee(wide fee, i64 unit, i64 mode) {
    if (unit < 1 || unit > E6 || fee.hi >= REFUSED_E6) return REFUSED_E6;
    i64 units = fee.hi / unit, rest = fee.hi % unit;
    int up;
    if (mode == ROUND_DOWN) up = 0;
    else if (mode == ROUND_HALF_EVEN) {
        i64 doubled = 2 * rest + (fee.lo >= E18 / 2);
        int exact = fee.lo == 0 || fee.lo == E18 / 2;
        up = doubled > unit || (doubled == unit && (!exact || units % 2 == 1));
    } else up = rest > 0 || fee.lo > 0;
    return (units + up) * unit;
}

static i64 charge(wide fee, i64 cost, i64 unit, i64 mode) {
    if (mode == ROUND_DOWN || mode == ROUND_HALF_EVEN || unit < 1 || unit > E6)
        return round_fee(fee, unit, mode);
    if (fee.hi >= REFUSED_E6) return REFUSED_E6;
    i64 over = cost % (unit * E6);
    return round_fee(add(fee, (wide){over / E6, over % E6 * E12}), unit, mode) - over / E6;
}

static inline terms terms_of(const i64 *q) {
    i64 kind = q[Q_FEE_KIND];
    if (kind >= 2 && kind <= 4)
        return (terms){q[Q_FEE_RATE], q[Q_FEE_EXPONENT], q[Q_FEE_UNIT], q[Q_FEE_MODE]};
    if (kind == 1) return (terms){0, 1, 1, ROUND_UP};
    return (terms){max(q[Q_FEE_RATE], 70000), 1, max(q[Q_FEE_UNIT], 10000), ROUND_UP};
}

/* ---- sizes */

static inline i64 token_price(i64 price, i64 side) { return side == BUY ? price : E6 - price; }

static inline i64 gcd(i64 a, i64 b) {
    while (b) { i64 rest = a % b; a = b; b = rest; }
    return a;
}

static i64 common_step(i64 a, i64 b) {
    if (a < 1 || b < 1 || a > SIZE_MAX_E6 || b > SIZE_MAX_E6) return 0;
    if (b % a == 0) return b;
    i64 part = a / gcd(a, b);
    return part <= SIZE_MAX_E6 / b ? part * b : 0;
}

static i64 step_at(i64 token, i64 size_step, i64 notional_step) {
    if (token < 1 || token >= E6 || size_step < 1 || notional_step < 0) return 0;
    if (notional_step == 0) return size_step <= SIZE_MAX_E6 ? size_step : 0;
    if (notional_step > SIZE_MAX_E6) return 0;
    i64 whole = notional_step * E6;
    return common_step(size_step, whole / gcd(whole, token));
}

static const i64 kept[100] = { /* the largest kept count at most each */
    0, 1, 2, 3, 4, 5, 6, 6, 8, 8, 10, 10, 12, 12, 12, 15, 15, 15, 15, 15, 20, 20, 20, 20, 20,
    25, 25, 25, 25, 25, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40,
    50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60,
    60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80,
    80, 80, 80, 80, 80, 80, 80, 80, 80, 80};

static i64 bucket(i64 count) {
    i64 factor = 1;
    while (count >= 100 * factor) factor *= 10;
    return count > 0 ? kept[count / factor] * factor : 0;
}

static inline int enough(i64 size, i64 token, i64 size_min, i64 notional_min) {
    return size > 0 && size >= size_min && size * token >= notional_min * E6;
}

static int on_grid(const i64 *grid, i64 price) {
    if (price < 1 || price >= E6) return 0;
    i64 start = 0, best = 0;
    for (int i = 0; i < 3; i++) {
        i64 end = grid[2 * i], step = grid[2 * i + 1];
        if (end <= start || step < 1) break;
        if (start <= price && price <= end && (price - start) % step == 0 && (best == 0 || step < best))
            best = step;
        start = end;
    }
    return best > 0;
}

static i64 legal_both(const i64 *a, i64 token_a, const i64 *b, i64 token_b, i64 wanted) {
    i64 step = common_step(step_at(token_a, a[Q_SIZE_STEP], a[Q_NOTIONAL_STEP]),
                           step_at(token_b, b[Q_SIZE_STEP], b[Q_NOTIONAL_STEP]));
    if (step == 0) return 0;
    i64 count = wanted / step;
    if (a[Q_NOTIONAL_STEP] > 0 || b[Q_NOTIONAL_STEP] > 0) count = bucket(count);
    i64 size = count * step;
    return enough(size, token_a, a[Q_SIZE_MIN], a[Q_NOTIONAL_MIN])
                   && enough(size, token_b, b[Q_SIZE_MIN], b[Q_NOTIONAL_MIN]) ? size : 0;
}

/* ---- edge */

static inline i64 depth_of(const i64 *q, i64 walk_budget) {
    return walk_budget || q[Q_NOTIONAL_STEP] == 0 ? LEVELS : 1;
}

static i64 reach(const i64 *a, i64 side_a, const i64 *b, i64 side_b, i64 floor, i64 above, i64 cap,
                 i64 walk_budget, i64 *limit_a, i64 *limit_b, i64 *least) {
    const i64 *at_a = a + (side_a == BUY ? Q_ASKS : Q_BIDS), *at_b = b + (side_b == BUY ? Q_ASKS : Q_BIDS);
    const i64 *end_a = at_a + 2 * depth_of(a, walk_budget), *end_b = at_b + 2 * depth_of(b, walk_budget);
    terms fa = terms_of(a), fb = terms_of(b);
    i64 floor_e18 = min(floor, 2 * E6) * E12, size = 0;
    cap = min(cap, SIZE_MAX_E6);
    *limit_a = *limit_b = *least = 0;
    i64 price_a = at_a[0], left_a = at_a[1], price_b = at_b[0], left_b = at_b[1];
    i64 unit_a = unit_fee(price_a, fa.rate, fa.exponent), unit_b = unit_fee(price_b, fb.rate, fb.exponent);
    while (size < cap && left_a > 0 && left_b > 0) {
        i64 gross = E6 - token_price(price_a, side_a) - token_price(price_b, side_b);
        if (gross <= 0 || unit_a + unit_b >= UNIT_REFUSED_E18) break;
        i64 margin = gross * E12 - unit_a - unit_b;
        if (margin < floor_e18 || margin <= above) break;
        i64 take = min(left_a, left_b);
        size += take;
        *limit_a = price_a, *limit_b = price_b, *least = margin;
        left_a -= take;
        left_b -= take;
        if (left_a == 0 && (at_a += 2) < end_a) {
            price_a = at_a[0], left_a = at_a[1];
            unit_a = unit_fee(price_a, fa.rate, fa.exponent);
        }
        if (left_b == 0 && (at_b += 2) < end_b) {
            price_b = at_b[0], left_b = at_b[1];
            unit_b = unit_fee(price_b, fb.rate, fb.exponent);
        }
    }
    return min(size, cap);
}

static taken take_leg(const i64 *q, i64 side, i64 size) {
    terms f = terms_of(q);
    const i64 *at = q + (side == BUY ? Q_ASKS : Q_BIDS);
    i64 price, cost = 0, left = size, several = 0;
    wide fee = {0, 0};
    for (;; at += 2) {
        i64 take = min(at[1], left);
        price = at[0];
        cost += token_price(price, side) * take;
        fee = add(fee, raw_fee(price, take, f.rate, f.exponent));
        left -= take;
        if (left <= 0) break;
        several = 1;
    }
    if (several && f.mode == ROUND_DOWN) fee = raw_of_match(cost, size, f.rate, f.exponent);
    return (taken){cost, charge(fee, cost, f.unit, f.mode), price};
}

static inline i64 left_after(i64 size, i64 cost, i64 fees) {
    return fees < REFUSED_E6 ? E6 * size - cost - fees * E6 : -E18;
}

static inline i64 fee_at(const i64 *q, i64 token, i64 size) {
    terms f = terms_of(q);
    return charge(raw_fee(token, size, f.rate, f.exponent), token * size, f.unit, f.mode);
}

static answer cross_at(const i64 *a, i64 side_a, const i64 *b, i64 side_b, i64 edge_min, i64 off,
                       i64 wanted, i64 limit_a, i64 limit_b) {
    answer none = {0};
    if (!on_grid(a + Q_GRID, limit_a) || !on_grid(b + Q_GRID, limit_b)) return none;
    i64 token_a = token_price(limit_a, side_a), token_b = token_price(limit_b, side_b);
    i64 size = legal_both(a, token_a, b, token_b, wanted);
    if (size == 0) return none;
    taken leg_a = take_leg(a, side_a, size), leg_b = take_leg(b, side_b, size);
    if (a[Q_NOTIONAL_STEP] == 0) limit_a = leg_a.worst, token_a = token_price(limit_a, side_a);
    if (b[Q_NOTIONAL_STEP] == 0) limit_b = leg_b.worst, token_b = token_price(limit_b, side_b);
    i64 left = left_after(size, leg_a.cost + leg_b.cost, leg_a.fee + leg_b.fee);
    if (left <= 0 || left / size - off < edge_min) return none;
    i64 cost = size * (token_a + token_b);
    if (cost != leg_a.cost + leg_b.cost
        && left_after(size, cost, fee_at(a, token_a, size) + fee_at(b, token_b, size)) < 0)
        return none;
    return (answer){size, limit_a, limit_b, leg_a.fee, leg_b.fee, left / size - off, left / E6};
}

static answer cross_venue(const i64 *a, const i64 *b, i64 same, i64 direction, i64 edge_min, i64 off,
                          i64 cap, i64 walk_budget) {
    i64 side_a = direction == 0 ? BUY : SELL, side_b = same ? 1 - side_a : side_a, above = 0;
    answer best = {0};
    for (int i = 0; i < 2 * LEVELS; i++) {
        i64 limit_a, limit_b, least;
        i64 wanted = reach(a, side_a, b, side_b, edge_min + off, above, cap, walk_budget, &limit_a,
                           &limit_b, &least);
        if (wanted == 0) break;
        answer found = cross_at(a, side_a, b, side_b, edge_min, off, wanted, limit_a, limit_b);
        if (found.size > 0 && (best.size == 0 || found.profit > best.profit)) best = found;
        if (best.size > 0 && !walk_budget) break;
        above = least;
    }
    return best;
}

/* ---- what one update of a quote leads to: the quote is kept, both directions are looked at */

static i64 look(const i64 *a, const i64 *b, i64 same, i64 direction, i64 edge_min, i64 off, i64 cap) {
    i64 side_a = direction == 0 ? BUY : SELL, side_b = same ? 1 - side_a : side_a;
    i64 gross = E6 - token_price(a[side_a == BUY ? Q_ASKS : Q_BIDS], side_a)
                - token_price(b[side_b == BUY ? Q_ASKS : Q_BIDS], side_b);
    if (gross <= 0 || gross < edge_min + off) return 0;
    answer found = cross_venue(a, b, same, direction, edge_min, off, cap, 0);
    return found.size + found.fee_a + found.fee_b + found.edge + found.profit;
}

/* `rows`: both quotes of each pair; `news`: two quotes that come in turn; `order`: the pair each is for. */
i64 decide_many(i64 *rows, const i64 *news, const i64 *order, i64 edge_min, i64 off, i64 cap, i64 count) {
    i64 sum = 0;
    for (i64 i = 0; i < count; i++) {
        i64 *a = rows + 2 * BODY * order[i], *b = a + BODY;
        const i64 *fresh = news + BODY * (i & 1);
        for (i64 k = 0; k < BODY; k++) a[k] = fresh[k];
        sum += look(a, b, 1, 0, edge_min, off, cap) + 3 * look(a, b, 1, 1, edge_min, off, cap);
    }
    return sum;
}
