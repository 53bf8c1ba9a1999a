/* The seqlock slot of shm_layout.py in C11 atomics: the reference that bench/slot.py measures against.
 * Same words, same fences (Boehm 2012, fig. 6): line of guard words, then the body. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

enum { LINE = 8, TRIES = 64 };
typedef _Atomic int64_t word;

static inline void cpu_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline void slot_store(word *slot, const int64_t *body, int64_t cells) {
    int64_t sequence = atomic_load_explicit(slot, memory_order_relaxed) | 1;
    atomic_store_explicit(slot, sequence, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (int64_t i = 0; i < cells; i++)
        atomic_store_explicit(slot + LINE + i, body[i], memory_order_relaxed);
    atomic_store_explicit(slot, sequence + 1, memory_order_release);
}

static inline int64_t slot_load(word *slot, int64_t *out, int64_t cells) {
    for (int tried = 0; tried < TRIES; tried++) {
        int64_t sequence = atomic_load_explicit(slot, memory_order_acquire);
        if ((sequence & 1) == 0) {
            for (int64_t i = 0; i < cells; i++)
                out[i] = atomic_load_explicit(slot + LINE + i, memory_order_relaxed);
            atomic_thread_fence(memory_order_acquire);
            if (atomic_load_explicit(slot, memory_order_relaxed) == sequence)
                return sequence;
        }
        cpu_pause();
    }
    return -1;
}

/* Store `count` times, the first body word counting from `first`. */
void store_many(word *slot, int64_t *body, int64_t cells, int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        body[0] = first + i;
        slot_store(slot, body, cells);
    }
}

/* Load `count` times; the sum of what was read, so that nothing can be left out. */
int64_t load_many(word *slot, int64_t *out, int64_t cells, int64_t count) {
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        if (slot_load(slot, out, cells) < 0)
            return -1;
        sum += out[0] + out[cells - 1];
    }
    return sum;
}

/* Serve: store a number in `ours`, spin until `theirs` shows it; nanoseconds of each round.
 * Gives up at `until_ns`. Returns the rounds done. */
int64_t ping(word *ours, word *theirs, int64_t *body, int64_t *out, int64_t cells, int64_t *took,
             int64_t count, int64_t until_ns) {
    for (int64_t i = 1; i <= count; i++) {
        int64_t start = now_ns();
        body[0] = i;
        slot_store(ours, body, cells);
        while (slot_load(theirs, out, cells) < 0 || out[0] != i)
            if (now_ns() > until_ns)
                return i - 1;
        took[i - 1] = now_ns() - start;
    }
    return count;
}

/* Return every number seen in `theirs` through `ours`. */
int64_t pong(word *ours, word *theirs, int64_t *body, int64_t *out, int64_t cells, int64_t count,
             int64_t until_ns) {
    for (int64_t i = 1; i <= count; i++) {
        while (slot_load(theirs, out, cells) < 0 || out[0] != i)
            if (now_ns() > until_ns)
                return i - 1;
        body[0] = i;
        slot_store(ours, body, cells);
    }
    return count;
}
