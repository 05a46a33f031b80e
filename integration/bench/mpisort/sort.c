/*
 * Sorts random integers by MPI: a distributed quicksort. `sort N` sorts N integers over all processes, whose number is a
 * power of two, and the first prints how many seconds that took. It fails where the result is not sorted or lost a number.
 *
 * Each round halves the groups of processes: a pivot is told to a group, and each process exchanges with its partner
 * in the other half what belongs there. What is left is sorted by each process on its own.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void *room(size_t numbers) {
    void *p = malloc((numbers + 1) * sizeof(uint32_t));
    if (!p) {
        fprintf(stderr, "sort: no memory for %zu numbers\n", numbers);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return p;
}

/* split moves what is at most pivot to the front, and returns how many those are. */
static size_t split(uint32_t *list, size_t count, uint32_t pivot) {
    size_t low = 0;
    for (size_t i = 0; i < count; i++)
        if (list[i] <= pivot) {
            uint32_t t = list[i];
            list[i] = list[low];
            list[low++] = t;
        }
    return low;
}

/* middle is about the median of a list. */
static uint32_t middle(const uint32_t *list, size_t count) {
    uint32_t sample[101] = {UINT32_MAX / 2};
    size_t n = 0;
    for (; n < 101 && n < count; n++)
        sample[n] = list[n * (count / 101 ? count / 101 : 1)];
    qsort(sample, n, sizeof *sample, compare);
    return sample[n / 2];
}

/* exchange keeps one part of a list, gives the other to a partner and takes what that has. */
static uint32_t *exchange(uint32_t *keep, int kept, uint32_t *give, int given, int partner, MPI_Comm group, int *count) {
    int taken;
    MPI_Sendrecv(&given, 1, MPI_INT, partner, 0, &taken, 1, MPI_INT, partner, 0, group, MPI_STATUS_IGNORE);
    uint32_t *list = room((size_t)kept + taken);
    for (int i = 0; i < kept; i++)
        list[i] = keep[i];
    MPI_Sendrecv(give, given, MPI_UINT32_T, partner, 1, list + kept, taken, MPI_UINT32_T, partner, 1, group, MPI_STATUS_IGNORE);
    *count = kept + taken;
    return list;
}

/* sort sorts the lists of a group, frees the one that it gets, and returns what this process has then. */
static uint32_t *sort(uint32_t *list, int *count, MPI_Comm group) {
    int rank, size;
    MPI_Comm_rank(group, &rank);
    MPI_Comm_size(group, &size);
    if (size == 1) {
        qsort(list, *count, sizeof *list, compare);
        return list;
    }
    uint32_t pivot = middle(list, *count), *old = list;
    MPI_Bcast(&pivot, 1, MPI_UINT32_T, 0, group);
    int low = split(list, *count, pivot), high = rank >= size / 2;
    if (high)
        list = exchange(old + low, *count - low, old, low, rank - size / 2, group, count);
    else
        list = exchange(old, low, old + low, *count - low, rank + size / 2, group, count);
    free(old);
    MPI_Comm half;
    MPI_Comm_split(group, high, rank, &half);
    list = sort(list, count, half);
    MPI_Comm_free(&half);
    return list;
}

/* wrong says whether a process's numbers are out of order, or begin before the last of the process before. */
static int wrong(const uint32_t *list, int count, int rank, int size) {
    uint32_t before = 0;
    if (rank > 0)
        MPI_Recv(&before, 1, MPI_UINT32_T, rank - 1, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (int i = 0; i < count; i++) {
        if (list[i] < before)
            return 1;
        before = list[i];
    }
    if (rank + 1 < size)
        MPI_Send(&before, 1, MPI_UINT32_T, rank + 1, 2, MPI_COMM_WORLD);
    return 0;
}

static uint64_t sum(const uint32_t *list, int count) {
    uint64_t s = 0;
    for (int i = 0; i < count; i++)
        s += list[i];
    return s;
}

int main(int argc, char **argv) {
    int rank, size;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    int count = argc > 1 ? atol(argv[1]) / size : 0;
    if (count < 1 || (size & (size - 1))) {
        fprintf(stderr, "usage: sort NUMBERS, at least one a process, by a power of two of processes\n");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    uint32_t *list = room(count);
    uint64_t state = 88172645463325252ull + rank; /* xorshift: each process has numbers of its own */
    for (int i = 0; i < count; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        list[i] = state >> 32;
    }
    uint64_t had[2] = {sum(list, count), count}, has[2], all[2], left[2];
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = MPI_Wtime();
    list = sort(list, &count, MPI_COMM_WORLD);
    MPI_Barrier(MPI_COMM_WORLD);
    double took = MPI_Wtime() - begin;
    if (wrong(list, count, rank, size)) {
        fprintf(stderr, "sort: process %d is out of order\n", rank);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    has[0] = sum(list, count), has[1] = count;
    MPI_Reduce(had, all, 2, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Reduce(has, left, 2, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0 && (all[0] != left[0] || all[1] != left[1])) {
        fprintf(stderr, "sort: numbers were lost\n");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    if (rank == 0) {
        printf("%.6f\n", took);
        fflush(stdout); /* who reads it need not wait for the end: MPICH's takes long where UCX has TCP alone */
    }
    free(list);
    MPI_Finalize();
    return 0;
}
