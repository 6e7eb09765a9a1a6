#ifndef ADIT_TESTS_UNIT_CRYPTO_UPGRADE_VECTORS_H
#define ADIT_TESTS_UNIT_CRYPTO_UPGRADE_VECTORS_H

/* Printed by tests/upgrade_vectors.py: change that. Bodies count up from these, or from `first`. */

#include <stddef.h>
#include <stdint.h>

/* clang-format off */

enum { KEY_FIRST = 0x40, CIPHERTEXT_FIRST = 0x60 };

static const struct {
        uint64_t ns;
        uint8_t cost;
} cost_rows[] = {
        { UINT64_C(0), 0 },
        { UINT64_C(1), 24 },
        { UINT64_C(7), 24 },
        { UINT64_C(8), 24 },
        { UINT64_C(9), 25 },
        { UINT64_C(10), 26 },
        { UINT64_C(11), 27 },
        { UINT64_C(12), 28 },
        { UINT64_C(13), 29 },
        { UINT64_C(14), 30 },
        { UINT64_C(15), 31 },
        { UINT64_C(16), 32 },
        { UINT64_C(17), 32 },
        { UINT64_C(31), 39 },
        { UINT64_C(32), 40 },
        { UINT64_C(33), 40 },
        { UINT64_C(104), 53 },
        { UINT64_C(163), 58 },
        { UINT64_C(582), 73 },
        { UINT64_C(649), 74 },
        { UINT64_C(1023), 79 },
        { UINT64_C(1024), 80 },
        { UINT64_C(1025), 80 },
        { UINT64_C(1151), 80 },
        { UINT64_C(1152), 81 },
        { UINT64_C(1279), 81 },
        { UINT64_C(1280), 82 },
        { UINT64_C(1407), 82 },
        { UINT64_C(1408), 83 },
        { UINT64_C(1420), 83 },
        { UINT64_C(1535), 83 },
        { UINT64_C(1536), 84 },
        { UINT64_C(1663), 84 },
        { UINT64_C(1664), 85 },
        { UINT64_C(1791), 85 },
        { UINT64_C(1792), 86 },
        { UINT64_C(1919), 86 },
        { UINT64_C(1920), 87 },
        { UINT64_C(1048575), 159 },
        { UINT64_C(1048576), 160 },
        { UINT64_C(1048577), 160 },
        { UINT64_C(1073741823), 239 },
        { UINT64_C(1073741824), 240 },
        { UINT64_C(1073741825), 240 },
        { UINT64_C(2147483647), 247 },
        { UINT64_C(2147483648), 248 },
        { UINT64_C(2147483649), 248 },
        { UINT64_C(4294967295), 248 },
        { UINT64_C(4294967296), 248 },
        { UINT64_C(9223372036854775808), 248 },
};

static const struct {
        uint8_t ours[4], theirs[4];
        int choice;
} choice_rows[] = {
        { { 81, 53, 0, 0 }, { 81, 53, 0, 0 }, 1 },
        { { 81, 53, 59, 0 }, { 81, 0, 59, 0 }, 2 },
        { { 81, 53, 59, 0 }, { 81, 90, 95, 0 }, 0 },
        { { 81, 0, 0, 0 }, { 0, 53, 0, 0 }, -1 },
        { { 0, 0, 0, 0 }, { 81, 53, 59, 0 }, -1 },
        { { 80, 80, 70, 0 }, { 70, 60, 80, 0 }, 1 },
        { { 70, 80, 80, 0 }, { 80, 60, 60, 0 }, 1 },
        { { 80, 80, 80, 0 }, { 80, 80, 80, 0 }, 0 },
        { { 80, 70, 80, 0 }, { 70, 80, 70, 0 }, 0 },
        { { 255, 255, 255, 0 }, { 255, 255, 254, 0 }, 2 },
        { { 1, 0, 1, 0 }, { 255, 1, 254, 0 }, 2 },
        { { 81, 53, 0, 0 }, { 81, 53, 0, 0 }, 1 },
        { { 81, 0, 59, 0 }, { 81, 53, 59, 0 }, 2 },
        { { 81, 90, 95, 0 }, { 81, 53, 59, 0 }, 0 },
        { { 0, 53, 0, 0 }, { 81, 0, 0, 0 }, -1 },
        { { 81, 53, 59, 0 }, { 0, 0, 0, 0 }, -1 },
        { { 70, 60, 80, 0 }, { 80, 80, 70, 0 }, 1 },
        { { 80, 60, 60, 0 }, { 70, 80, 80, 0 }, 1 },
        { { 80, 80, 80, 0 }, { 80, 80, 80, 0 }, 0 },
        { { 70, 80, 70, 0 }, { 80, 70, 80, 0 }, 0 },
        { { 255, 255, 254, 0 }, { 255, 255, 255, 0 }, 2 },
        { { 255, 1, 254, 0 }, { 1, 0, 1, 0 }, 2 },
};

static const struct {
        const char *what;
        uint8_t type, kem, flags, first;
        uint32_t index;
        uint64_t ns[3];
        size_t padded;
        const char *header, *hash;
} frame_rows[] = {
        { "HELLO", 1, 0, 0, 0, 0u, { UINT64_C(1180), UINT64_C(0), UINT64_C(0) },
          32,
          "01011000000000000000000151000000",
          "bd1246dcc3508202ff852310068b843975a21aa10d7fb2b19272befb9f73eaf3" },
        { "HELLO with all", 1, 1, 1, 0, 0u, { UINT64_C(582), UINT64_C(104), UINT64_C(163) },
          32,
          "01011000000000000101000149353a00",
          "bff66c3c93405a3b442d4833df6d1d49b6340c3d613581b87668da24d4fd561b" },
        { "OFFER", 2, 0, 0, 0, 287454020u, { UINT64_C(1152), UINT64_C(110), UINT64_C(0) },
          32,
          "01021000443322110000000151350000",
          "12c9adff7f8dac40c599d81e0653aaaef76a901b9a8ff3be8ae1ecf585347533" },
        { "OFFER with a key", 2, 1, 0, 64, 4293844428u, { UINT64_C(582), UINT64_C(104), UINT64_C(163) },
          1200,
          "0102b004ccddeeff0100000149353a00",
          "7e30b6681d3502cc14f7bc71e2c0107050dbeb5d686715923954ac1cede640be" },
        { "OFFER with a key, required", 2, 1, 1, 193, 0u, { UINT64_C(1), UINT64_C(1099511627776), UINT64_C(0) },
          1200,
          "0102b004000000000101000118f80000",
          "11769e9c2a130128e09fb888bcff2257a3947bb0369ab63010e06667ccfe6399" },
};

/* The hash is of the whole ACCEPT, padded. ss: none, without ML-KEM. */
static const struct {
        const char *what, *ck, *h, *offer, *accept, *ss;
        const char *exporter, *i2r, *r2i, *tag, *hash;
} key_rows[] = {
        { "of the specification",
          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
          "01021000443322110000000151350000",
          "01032000887766550000010151350000",
          NULL,
          "4eaf02809ac4b930ef63479de62275f1c55656e61f78a3cc653c18a2223d6c5f",
          "b03c07883b3a1857cf6a94fa922ba974f4310f5ba87aac076136a8ca0d4660cd",
          "be95f97f9beed512a2433cefc57293d99974d7016d2ac8240eb66bb9e0dc7303",
          "c4afa0cfaef9ff0ef4369ef554eafbab",
          "4a4be493882670f989381d744918857542ddab63b659e3224e980320f84e8743",
        },
        { "another h",
          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40",
          "01021000443322110000000151350000",
          "01032000887766550000010151350000",
          NULL,
          "4eaf02809ac4b930ef63479de62275f1c55656e61f78a3cc653c18a2223d6c5f",
          "dd30d3d50af33fb0b3f963adfbfed685695294d6a19ed1ea59c1eaaea3d0ad2d",
          "55a2f5d82417c306816fee7dff1c1427f1016472d553d8b8aa8825db060cdf7b",
          "7c23fdd5b654cc777f1e4ab43e5bc051",
          "3dd4f5cda7297ca384d121535380145c29030516c47abaa7277f5a17bb5ac776",
        },
        { "an index of the other side",
          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
          "01021000443322110000000151350000",
          "01032000897766550000010151350000",
          NULL,
          "4eaf02809ac4b930ef63479de62275f1c55656e61f78a3cc653c18a2223d6c5f",
          "7f28b5e2dd2fc817e08340067f3f9d2f2b7a7cbf7bef388a8cb94e7b11b2c9c6",
          "0228f5343055123e325c9b84381f9d1dd31def1161e487f313b067a61067df9e",
          "f72320e8ca4a050ce0d04d9ff6c54141",
          "407338ac1bcb91fb9fd6bda6fe1c413ad546564e1a975027fa5953e39a8c73df",
        },
        { "flags and all costs",
          "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf",
          "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
          "01021000010000000001000149353a00",
          "01032000ffffffff00010201514a3a00",
          NULL,
          "09da08ec7096d04e14056408697f7c612f329b8790fe8cfb397f26248400c596",
          "f543c9aaa81d02d62002743258a530768f2040250cc095febe032911ff04e8ae",
          "ed16a389ab0dfa24c4d027599829f11a56f73ec3476c30a25c1fe670a4c084e8",
          "ea9dd4cc293f3289cdce207bb0cbceef",
          "2ae7dee6298af5948660fb0d8b3796eee6e0eb231c54ab79b2219622d5b00406",
        },
        { "with ML-KEM",
          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
          "0102b004443322110100000151350000",
          "01036004887766550100010151350000",
          "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
          "4eaf02809ac4b930ef63479de62275f1c55656e61f78a3cc653c18a2223d6c5f",
          "3302dd79bdf5f6ce14e8bfd1a4a3292931e9b8b042297e9013e0e656e25ce16b",
          "be79c962576643f6ef0f3b7d26529da1f0bac14fe0b48d68fcd8ffaa870f7325",
          "0e6667d20d6c6a6cd19311d88a8132d2",
          "ab4456ddc98830209adbc2c06d58bff32aaf3aa92024a6385628f513cacf334a",
        },
        { "with ML-KEM and a secret of zeros",
          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
          "0102b004443322110100000151350000",
          "01036004887766550100010151350000",
          "0000000000000000000000000000000000000000000000000000000000000000",
          "4eaf02809ac4b930ef63479de62275f1c55656e61f78a3cc653c18a2223d6c5f",
          "b2787adea390786ab313f228b0504b23e9d12c3dab273e0cd6d449634605545b",
          "f5bf80b767629e8de6de49f718294b8b7f2270ebd418e4ec8125efa0d84519a8",
          "4b3aec68f48be12f54d183a1731c88c1",
          "de41bdcc1b231cd1e3e7d28b3ab9967fb9dc1d69561838fc3c40a9f092ea85e5",
        },
};

/* clang-format on */

#endif
