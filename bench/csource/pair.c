/* One direction of a two-venue pair as engine/edge.py decides it, in C: ladders walked, fees exact in
 * 128 bits, sizes legal at both venues. Cells of a QUOTE stand here as numbers; `places` tells them,
 * so that the bench can refuse to compare two layouts. */
#include <stdint.h>

enum { SIZE_MIN = 15, SIZE_STEP = 16, NOTIONAL_MIN = 17, NOTIONAL_STEP = 18, FEE_KIND = 19,
       FEE_RATE = 20, FEE_EXPONENT = 21, FEE_UNIT = 22, FEE_MODE = 23, GRID = 24, BIDS = 30,
       ASKS = 40, LEVELS = 5 };
#define E6 1000000LL
#define SIZE_MAX_E6 1000000000000LL
#define WHOLE ((wide)1000000000000000000LL)

typedef __int128 wide;
typedef const int64_t *quote;

void places(int64_t *out) {
    int64_t found[] = {SIZE_MIN, SIZE_STEP, NOTIONAL_MIN, NOTIONAL_STEP, FEE_KIND, FEE_RATE,
                       FEE_EXPONENT, FEE_UNIT, FEE_MODE, GRID, BIDS, ASKS};
    for (int i = 0; i < 12; i++)
        out[i] = found[i];
}

static int64_t token(int64_t price, int64_t side) { return side == 0 ? price : E6 - price; }

struct fee { int64_t rate, exponent, unit, mode; };

static struct fee charged_as(quote q) {
    if (q[FEE_KIND] == 2)
        return (struct fee){q[FEE_RATE], q[FEE_EXPONENT], q[FEE_UNIT], q[FEE_MODE]};
    if (q[FEE_KIND] == 1)
        return (struct fee){0, 1, 1, 0};
    return (struct fee){q[FEE_RATE] > 70000 ? q[FEE_RATE] : 70000, 1,
                        q[FEE_UNIT] > 10000 ? q[FEE_UNIT] : 10000, 0};
}

/* 1e-24 dollars; -1: outside the limits. */
static wide raw_fee(int64_t price, int64_t size, struct fee f) {
    if (price < 0 || price > E6 || size < 0 || size > SIZE_MAX_E6 || f.rate < 0 || f.rate > E6 ||
        f.exponent < 0 || f.exponent > 3)
        return -1;
    wide charged = (wide)f.rate * size, spread = (wide)price * (E6 - price), power = spread;
    if (f.exponent == 0)
        return charged * SIZE_MAX_E6;
    for (int64_t i = 1; i < f.exponent; i++)
        power = (power * spread + SIZE_MAX_E6 - 1) / SIZE_MAX_E6;
    return charged * power;
}

static int64_t round_fee(wide raw, struct fee f) {
    if (f.unit < 1 || f.unit > E6)
        return -1;
    wide unit = f.unit * WHOLE, units = raw / unit, rest = raw % unit;
    int up = f.mode == 1 ? 0
           : f.mode == 2 ? 2 * rest > unit || (2 * rest == unit && units % 2 == 1) : rest > 0;
    return (int64_t)(units + up) * f.unit;
}

static int64_t gcd(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int64_t common_step(int64_t a, int64_t b) {
    if (a < 1 || b < 1 || a > SIZE_MAX_E6 || b > SIZE_MAX_E6)
        return 0;
    int64_t part = a / gcd(a, b);
    return part <= SIZE_MAX_E6 / b ? part * b : 0;
}

static int64_t step_at(int64_t price, quote q) {
    int64_t step = q[SIZE_STEP], notional = q[NOTIONAL_STEP];
    if (price < 1 || price >= E6 || step < 1 || notional < 0)
        return 0;
    if (notional == 0)
        return step <= SIZE_MAX_E6 ? step : 0;
    if (notional > SIZE_MAX_E6)
        return 0;
    return common_step(step, notional * E6 / gcd(notional * E6, price));
}

static int64_t bucket(int64_t count) {
    static const int64_t kept[] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80};
    int64_t scale = 1, best = 0;
    while (count >= 100 * scale)
        scale *= 10;
    for (int i = 0; i < 17; i++)
        if (kept[i] * scale <= count)
            best = kept[i] * scale;
    return best;
}

static int is_on_grid(quote q, int64_t price) {
    int64_t start = 0;
    if (price < 1 || price >= E6)
        return 0;
    for (int i = 0; i < 3; i++) {
        int64_t end = q[GRID + 2 * i], step = q[GRID + 2 * i + 1];
        if (end <= start || step < 1)
            return 0;
        if (start <= price && price <= end && (price - start) % step == 0)
            return 1;
        start = end;
    }
    return 0;
}

static int is_enough(int64_t size, int64_t price, quote q) {
    return size > 0 && size >= q[SIZE_MIN] && size * price >= q[NOTIONAL_MIN] * E6;
}

struct walked { int64_t size, cost, limit_a, limit_b; wide fee_a, fee_b; };

static struct walked walk(quote a, int64_t side_a, quote b, int64_t side_b, int64_t floor,
                          int64_t cap, int64_t walk_budget) {
    struct walked w = {0};
    quote at_a = a + (side_a == 0 ? ASKS : BIDS), at_b = b + (side_b == 0 ? ASKS : BIDS);
    quote end_a = at_a + 2 * (walk_budget || a[NOTIONAL_STEP] == 0 ? LEVELS : 1);
    quote end_b = at_b + 2 * (walk_budget || b[NOTIONAL_STEP] == 0 ? LEVELS : 1);
    struct fee of_a = charged_as(a), of_b = charged_as(b);
    int64_t left_a = at_a[1], left_b = at_b[1];
    if (cap > SIZE_MAX_E6)
        cap = SIZE_MAX_E6;
    while (w.size < cap && left_a > 0 && left_b > 0) {
        int64_t gross = E6 - token(*at_a, side_a) - token(*at_b, side_b);
        if (gross <= 0 || gross < floor)
            break;
        wide one_a = raw_fee(*at_a, E6, of_a), one_b = raw_fee(*at_b, E6, of_b);
        if (one_a < 0 || one_b < 0 || one_a + one_b >= gross * WHOLE ||
            one_a + one_b > (gross - floor) * WHOLE)
            break;
        int64_t take = left_a < left_b ? left_a : left_b;
        if (take > cap - w.size)
            take = cap - w.size;
        w.size += take;
        w.cost += take * (E6 - gross);
        w.fee_a += raw_fee(*at_a, take, of_a);
        w.fee_b += raw_fee(*at_b, take, of_b);
        w.limit_a = *at_a;
        w.limit_b = *at_b;
        left_a -= take;
        left_b -= take;
        if (left_a == 0) {
            at_a += 2;
            left_a = at_a < end_a ? at_a[1] : 0;
        }
        if (left_b == 0) {
            at_b += 2;
            left_b = at_b < end_b ? at_b[1] : 0;
        }
    }
    return w;
}

static int64_t legal_both(quote a, int64_t token_a, quote b, int64_t token_b, int64_t wanted) {
    int64_t step = common_step(step_at(token_a, a), step_at(token_b, b));
    if (step == 0)
        return 0;
    int64_t count = wanted / step;
    if (a[NOTIONAL_STEP] > 0 || b[NOTIONAL_STEP] > 0)
        count = bucket(count);
    int64_t size = count * step;
    return is_enough(size, token_a, a) && is_enough(size, token_b, b) ? size : 0;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* size, limit of a, limit of b, fee of a, fee of b, edge, profit into `out`; all 0: no trade. */
int64_t cross_venue(quote rows, int64_t a_at, int64_t b_at, int64_t same, int64_t direction,
                    int64_t edge_min, int64_t take_off, int64_t cap, int64_t walk_budget,
                    int64_t *out) {
    quote a = rows + a_at, b = rows + b_at;
    int64_t side_a = direction, side_b = same ? 1 - side_a : side_a, floor = edge_min + take_off;
    for (int i = 0; i < 7; i++)
        out[i] = 0;
    struct walked w = walk(a, side_a, b, side_b, floor, cap, walk_budget);
    if (w.size == 0 || !is_on_grid(a, w.limit_a) || !is_on_grid(b, w.limit_b))
        return 0;
    int64_t limit_a = w.limit_a, limit_b = w.limit_b;
    int64_t size = legal_both(a, token(limit_a, side_a), b, token(limit_b, side_b), w.size);
    if (size == 0)
        return 0;
    w = walk(a, side_a, b, side_b, floor, size, walk_budget);
    if (a[NOTIONAL_STEP] == 0)
        limit_a = w.limit_a;
    if (b[NOTIONAL_STEP] == 0)
        limit_b = w.limit_b;
    int64_t fee_a = round_fee(w.fee_a, charged_as(a)), fee_b = round_fee(w.fee_b, charged_as(b));
    if (fee_a < 0 || fee_b < 0)
        return 0;
    int64_t left = E6 * size - w.cost - (fee_a + fee_b) * E6;
    int64_t edge = floor_div(left, size) - take_off;
    if (left <= 0 || edge < edge_min)
        return 0;
    int64_t found[] = {size, limit_a, limit_b, fee_a, fee_b, edge, floor_div(left, E6)};
    for (int i = 0; i < 7; i++)
        out[i] = found[i];
    return size;
}

/* Every pair of neighbouring quotes, both directions, `times` over; the sum of all answers. */
int64_t all_pairs(quote rows, int64_t pairs, int64_t cells, int64_t edge_min, int64_t cap,
                  int64_t times) {
    int64_t total = 0, out[7];
    for (int64_t i = 0; i < times; i++)
        for (int64_t pair = 0; pair < pairs; pair++)
            for (int64_t direction = 0; direction < 2; direction++) {
                cross_venue(rows, 2 * pair * cells, (2 * pair + 1) * cells, 1, direction, edge_min,
                            0, cap, 0, out);
                for (int k = 0; k < 7; k++)
                    total += out[k];
            }
    return total;
}
