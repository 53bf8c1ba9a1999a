/* The ring and the doorbell of shm_layout.py in C11 atomics: the reference of bench/ring.py. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 8, RING_ENTRIES = 16, ENTRY = 64, LAPPED = -1, EMPTY = 0, READ = 1 };
typedef _Atomic int64_t word;

static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline int64_t ring_append(word *ring, int64_t entries, int64_t kind, const int64_t *body,
                                  int64_t cells) {
    int64_t position = atomic_load_explicit(ring, memory_order_relaxed);
    word *at = ring + RING_ENTRIES + (position & (entries - 1)) * ENTRY;
    atomic_store_explicit(at, 2 * position + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(at + 1, kind, memory_order_relaxed);
    for (int64_t i = 0; i < cells; i++)
        atomic_store_explicit(at + LINE + i, body[i], memory_order_relaxed);
    atomic_store_explicit(at, 2 * position + 2, memory_order_release);
    atomic_store_explicit(ring, position + 1, memory_order_release);
    return position;
}

static inline int64_t ring_read(word *ring, int64_t entries, int64_t position, int64_t *out,
                                int64_t cells) {
    word *at = ring + RING_ENTRIES + (position & (entries - 1)) * ENTRY;
    int64_t wanted = 2 * position + 2;
    int64_t stamp = atomic_load_explicit(at, memory_order_acquire);
    if (stamp < wanted)
        return EMPTY;
    if (stamp > wanted)
        return LAPPED;
    out[0] = atomic_load_explicit(at + 1, memory_order_relaxed);
    for (int64_t i = 0; i < cells; i++)
        out[LINE + i] = atomic_load_explicit(at + LINE + i, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(at, memory_order_relaxed) == wanted ? READ : LAPPED;
}

void append_many(word *ring, int64_t entries, int64_t *body, int64_t cells, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        body[0] = i;
        ring_append(ring, entries, 1, body, cells);
    }
}

/* Read `count` entries from `first` on; the sum of their first and last body words, -1 if one lacked. */
int64_t read_many(word *ring, int64_t entries, int64_t first, int64_t *out, int64_t cells,
                  int64_t count) {
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        if (ring_read(ring, entries, first + i, out, cells) != READ)
            return -1;
        sum += out[LINE] + out[LINE + cells - 1];
    }
    return sum;
}

static inline int64_t pending(word *ring, int64_t entries, int64_t position) {
    word *at = ring + RING_ENTRIES + (position & (entries - 1)) * ENTRY;
    return atomic_load_explicit(at, memory_order_acquire) >= 2 * position + 2;
}

/* Consumer without a spin: arm, full fence, look, block; `took` = seen - the stamp in the entry.
 * Gives up at `until_ns`. Returns the entries seen. */
int64_t consume(word *ring, int64_t entries, word *bell, int64_t *out, int64_t cells, int64_t *took,
                int64_t count, int64_t until_ns) {
    struct timespec limit = {0, 100000000};
    for (int64_t position = 0; position < count; position++) {
        while (!pending(ring, entries, position)) {
            if (now_ns() > until_ns)
                return position;
            atomic_store_explicit(bell, 1, memory_order_relaxed);
            atomic_thread_fence(memory_order_seq_cst);
            if (!pending(ring, entries, position))
                syscall(SYS_futex, bell, FUTEX_WAIT, 1, &limit, 0, 0);
            atomic_store_explicit(bell, 0, memory_order_relaxed);
        }
        int64_t seen = now_ns();
        if (ring_read(ring, entries, position, out, cells) != READ)
            return -1;
        took[position] = seen - out[LINE];
    }
    return count;
}

/* Producer: publish one stamped entry, full fence, wake the consumer if it armed. */
void publish(word *ring, int64_t entries, word *bell, int64_t *body, int64_t cells) {
    body[0] = now_ns();
    ring_append(ring, entries, 1, body, cells);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(bell, memory_order_relaxed) == 1) {
        atomic_store_explicit(bell, 0, memory_order_relaxed);
        syscall(SYS_futex, bell, FUTEX_WAKE, 1, 0, 0, 0);
    }
}
