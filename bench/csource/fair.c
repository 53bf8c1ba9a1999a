/* engine/fair.py's fair_yes for a rule of AT_LEAST, in C: the reference of bench/fair.py. The same
 * steps in the same order, so that both sums agree to the last bits. */
#include <math.h>
#include <stdint.h>

enum { POINT = 1, MEAN = 2, TWAP = 3, COLUMNS = 6 };

static inline double normal_cdf(double z) { return 0.5 * erfc(-z * 0.70710678118654757); }

static inline double widening(double s) {
    static const double at[2] = {60.0, 240.0}, factor[2] = {1.0, 1.1};
    if (s <= at[0]) return factor[0];
    if (s < at[1]) return factor[0] + (s - at[0]) / (at[1] - at[0]) * (factor[1] - factor[0]);
    return factor[1];
}

static inline double step(double d) { return d > 0 ? 1.0 : d < 0 ? 0.0 : 0.5; }

static double fair_yes(int kind, double half, int64_t n, double spot, double sigma, double seconds,
                       double strike, double known_sum, int64_t known, double error, double widen,
                       double cap) {
    double low = strike - half, above;
    if (!(spot > 0 && sigma > 0 && strike > 0 && widen > 0 && error >= 0 && known_sum >= 0))
        return NAN;
    if (kind == POINT) {
        double way = widen * sigma;
        double d = sqrt(way * way * (seconds > 0 ? seconds : 0) + error * error);
        above = d <= 0 ? step(spot - low) : normal_cdf(log(spot / low) / d - 0.5 * d);
    } else if ((kind == MEAN || kind == TWAP) && n > 0 && known >= 0 && known <= n) {
        double last = kind == MEAN ? seconds - 1.0 : seconds;
        int64_t coming = (int64_t)ceil(last), left = n - known;
        coming = coming < left ? coming : left;
        coming = coming > 0 ? coming : 0;
        double mean = (known_sum + (double)left * spot) / (double)n;
        double ramp = (double)(coming * (coming - 1) * (2 * coming - 1)) / 6;
        double v = ((double)(coming * coming) * (last - (double)coming + 1) + ramp) / (double)(n * n);
        int64_t holes = left - coming;
        if (holes > 0) v += (double)(holes * holes) * 1.0 / (double)(n * n);
        double way = spot * sigma * sqrt(v);
        double off = error * spot * (double)left / (double)n;
        double never = kind == TWAP ? 0.35e-4 * mean : 0.0;
        double d = sqrt(widen * widen * way * way + off * off + never * never);
        above = d <= 0 ? step(mean - low) : normal_cdf((mean - low) / d);
    } else {
        return NAN;
    }
    above = above > cap ? above : cap;
    return above < 1.0 - cap ? above : 1.0 - cap;
}

double fair_many(int kind, const double *rows, int64_t count, int64_t times) {
    double total = 0;
    for (int64_t i = 0; i < times; i++) {
        const double *row = rows + i % count * COLUMNS;
        total += fair_yes(kind, 0.005, 60, row[0], row[1], row[2], row[3], row[4], (int64_t)row[5],
                          1e-4, widening(row[2]), 0.01);
    }
    return total;
}
