#include "kernel-iface/checksum.h"

#include <string.h>

#ifdef __x86_64__
#        include <immintrin.h>
#elif defined(__aarch64__)
#        include <arm_neon.h>
#endif

/* Less than this is not worth the vector registers' folding. */
enum { VECTOR_MIN = 64 };

static uint64_t load64(const uint8_t *bytes)
{
        uint64_t word;

        memcpy(&word, bytes, sizeof word);
        return word;
}

/* The last 0..7 bytes, padded with zeros behind them. Each part begins at an even place, as the words that are summed. */
static uint64_t sum_tail(const uint8_t *bytes, size_t len)
{
        uint8_t last[sizeof(uint16_t)] = { 0 };
        uint64_t sum = 0;
        uint32_t word;
        uint16_t half;

        if (len & 4) {
                memcpy(&word, bytes, sizeof word);
                sum += word;
                bytes += sizeof word;
        }
        if (len & 2) {
                memcpy(&half, bytes, sizeof half);
                sum += half;
                bytes += sizeof half;
        }
        if (len & 1) {
                last[0] = bytes[0];
                memcpy(&half, last, sizeof half);
                sum += half;
        }
        return sum;
}

/* Halves of 32 bits are summed apart: no carry is lost, and the chains do not wait for one another. */
static uint64_t sum_portable(const uint8_t *bytes, size_t len)
{
        uint64_t low = 0, high = 0, low2 = 0, high2 = 0;

        for (; len >= 32; bytes += 32, len -= 32) {
                uint64_t a = load64(bytes), b = load64(bytes + 8), c = load64(bytes + 16), d = load64(bytes + 24);
                low += (a & 0xffffffff) + (b & 0xffffffff);
                high += (a >> 32) + (b >> 32);
                low2 += (c & 0xffffffff) + (d & 0xffffffff);
                high2 += (c >> 32) + (d >> 32);
        }
        for (; len >= 8; bytes += 8, len -= 8) {
                uint64_t a = load64(bytes);
                low += a & 0xffffffff;
                high += a >> 32;
        }
        return low + high + low2 + high2 + sum_tail(bytes, len);
}

#ifdef __x86_64__
/* clang-format off */
#        define LOAD128(at) _mm_loadu_si128((const __m128i *)(const void *)(at))
#        define LOAD256(at) _mm256_loadu_si256((const __m256i *)(const void *)(at))
/* clang-format on */

static uint64_t sum_sse2(const uint8_t *bytes, size_t len)
{
        const __m128i mask = _mm_set1_epi64x(0xffffffff);
        __m128i low = _mm_setzero_si128(), high = low;
        uint64_t lanes[2];

        for (; len >= 32; bytes += 32, len -= 32) {
                __m128i a = LOAD128(bytes), b = LOAD128(bytes + 16);
                low = _mm_add_epi64(low, _mm_add_epi64(_mm_and_si128(a, mask), _mm_and_si128(b, mask)));
                high = _mm_add_epi64(high, _mm_add_epi64(_mm_srli_epi64(a, 32), _mm_srli_epi64(b, 32)));
        }
        _mm_storeu_si128((__m128i *)(void *)lanes, _mm_add_epi64(low, high));
        return lanes[0] + lanes[1] + sum_portable(bytes, len);
}

__attribute__((target("avx2"))) static uint64_t sum_avx2(const uint8_t *bytes, size_t len)
{
        const __m256i mask = _mm256_set1_epi64x(0xffffffff);
        __m256i low = _mm256_setzero_si256(), high = low, low2 = low, high2 = low;
        uint64_t lanes[4];

        for (; len >= 128; bytes += 128, len -= 128) {
                __m256i a = LOAD256(bytes), b = LOAD256(bytes + 32), c = LOAD256(bytes + 64), d = LOAD256(bytes + 96);
                low = _mm256_add_epi64(low, _mm256_add_epi64(_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)));
                high = _mm256_add_epi64(high, _mm256_add_epi64(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)));
                low2 = _mm256_add_epi64(low2, _mm256_add_epi64(_mm256_and_si256(c, mask), _mm256_and_si256(d, mask)));
                high2 = _mm256_add_epi64(high2, _mm256_add_epi64(_mm256_srli_epi64(c, 32), _mm256_srli_epi64(d, 32)));
        }
        for (; len >= 32; bytes += 32, len -= 32) {
                __m256i a = LOAD256(bytes);
                low = _mm256_add_epi64(low, _mm256_and_si256(a, mask));
                high = _mm256_add_epi64(high, _mm256_srli_epi64(a, 32));
        }
        low = _mm256_add_epi64(_mm256_add_epi64(low, high), _mm256_add_epi64(low2, high2));
        _mm256_storeu_si256((__m256i *)(void *)lanes, low);
        return lanes[0] + lanes[1] + lanes[2] + lanes[3] + sum_portable(bytes, len);
}
#endif

#ifdef __aarch64__
static uint64_t sum_neon(const uint8_t *bytes, size_t len)
{
        uint64x2_t sum = vdupq_n_u64(0), sum2 = sum;

        for (; len >= 32; bytes += 32, len -= 32) {
                sum = vpadalq_u32(sum, vreinterpretq_u32_u8(vld1q_u8(bytes)));
                sum2 = vpadalq_u32(sum2, vreinterpretq_u32_u8(vld1q_u8(bytes + 16)));
        }
        return vaddvq_u64(vaddq_u64(sum, sum2)) + sum_portable(bytes, len);
}
#endif

static const struct checksum_method methods[] = {
        { "portable", sum_portable },
#ifdef __x86_64__
        { "SSE2", sum_sse2 },
        { "AVX2", sum_avx2 },
#elif defined(__aarch64__)
        { "NEON", sum_neon },
#endif
};

const struct checksum_method *checksum_methods(size_t *count)
{
        *count = sizeof methods / sizeof *methods;
#ifdef __x86_64__
        if (!__builtin_cpu_supports("avx2")) --*count;
#endif
        return methods;
}

uint64_t checksum_sum(const uint8_t *bytes, size_t len)
{
        if (len < VECTOR_MIN) return sum_portable(bytes, len);
#ifdef __x86_64__
        /* a load and a test: what the processor has was found out before main */
        return __builtin_cpu_supports("avx2") ? sum_avx2(bytes, len) : sum_sse2(bytes, len);
#elif defined(__aarch64__)
        return sum_neon(bytes, len);
#else
        return sum_portable(bytes, len);
#endif
}
