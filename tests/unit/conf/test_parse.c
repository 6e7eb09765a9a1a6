#include "tests/unit/conf/support.h"

static struct conf conf;
static struct conf_error error;

static bool parse(const char *text)
{
        pool_reset(&pool);
        return conf_parse(&conf, &pool, text, strlen(text), &error);
}

#define I "[Interface]\n"
#define P "[Interface]\n[Peer]\nPublicKey = " KEY_B "\n"

#define CONFLICT                                                                                              \
        "PostQuantum: 'require' excludes Upgrade = off: it is the upgrade that puts ML-KEM into a session's " \
        "keys; change one of the two"

#define DNS_WANTED                                                                                                 \
        "a DNS server is an address, a search domain is a name; ~ and a name is a domain that is looked up there " \
        "and not searched"

/* What is wrong stands in the given place and is said in just these words. */
#define NO_CREDENTIAL "after credential: a name is wanted: 1 to 255 letters, digits or any of _.-"

static void test_errors(void **state)
{
        static const struct {
                const char *text;
                unsigned line, column;
                const char *says;
        } rows[] = {
                { "", 1, 1, "[Interface]: there is none; a file has one" },
                { "# nothing\n\n", 1, 1, "[Interface]: there is none; a file has one" },
                { "[Peer]\nPublicKey=" KEY_B "\n", 1, 1, "[Interface]: there is none; a file has one" },
                { I "\n  [interface]", 3, 3, "[Interface]: there is one already in line 1; a file has one" },
                { "[Interfaces]", 1, 1, "a section is [Interface] or [Peer], on a line of its own" },
                { "[Interface", 1, 1, "a section is [Interface] or [Peer], on a line of its own" },
                { "[", 1, 1, "a section is [Interface] or [Peer], on a line of its own" },
                { "[]", 1, 1, "a section is [Interface] or [Peer], on a line of its own" },
                { "[Interface] MTU=1400", 1, 1, "a section is [Interface] or [Peer], on a line of its own" },
                { "MTU = 1400", 1, 1, "a key before any section; [Interface] or [Peer] comes first" },
                { I "MTU 1400", 2, 1, "this line is not 'Key = value', a [Section] or a # comment" },
                { I "=", 2, 1, "unknown key of [Interface]; a line is 'Key = value'" },
                { I "  Adress = 10.0.0.1", 2, 3, "Adress: unknown key of [Interface]; did you mean Address?" },
                { I "PrivateKye = x", 2, 1, "PrivateKye: unknown key of [Interface]; did you mean PrivateKey?" },
                { I "Jc = 4", 2, 1, "Jc: unknown key of [Interface]" },
                { P "ExcludedIPs = 10.0.0.0/8", 4, 1, "ExcludedIPs: a key of [Interface], not of [Peer]" },
                { I "ExcludedIPs = 10.0.0.0/33", 2, 15,
                  "ExcludedIPs: '10.0.0.0/33': a prefix of an IPv4 address is 0 to 32 bits" },
                { I "ExcludeIPs = 10.0.0.0/8", 2, 1,
                  "ExcludeIPs: unknown key of [Interface]; did you mean ExcludedIPs?" },
                { I "AllowedIPs =", 2, 1, "AllowedIPs: a key of [Peer], not of [Interface]" },
                { P "mtu = 1400", 4, 1, "MTU: a key of [Interface], not of [Peer]" },
                { P "AllowedIP = 10.0.0.0/8", 4, 1, "AllowedIP: unknown key of [Peer]; did you mean AllowedIPs?" },
                { P "end point = x", 4, 1, "unknown key of [Peer]; a line is 'Key = value'" },
                { I KEY_A, 2, 1, "unknown key of [Interface]; a line is 'Key = value'" },
                { I "stElse=", 2, 1, "unknown key of [Interface]; a line is 'Key = value'" },

                { I "PrivateKey = ", 2, 13,
                  "PrivateKey: this is not a key: a key is 44 characters of base64, "
                  "the last one =" },
                { I "PrivateKey = abc", 2, 14,
                  "PrivateKey: this is not a key: a key is 44 characters of base64, "
                  "the last one =" },
                { I "PrivateKey = " KEY_A KEY_B, 2, 14,
                  "PrivateKey: this is not a key: a key is 44 characters of "
                  "base64, the last one =" },
                { I "PrivateKeyFile = ", 2, 17, "PrivateKeyFile: '': the path of a file with a key is wanted" },
                { I "PrivateKeyFile = credential:", 2, 18, "PrivateKeyFile: 'credential:': " NO_CREDENTIAL },
                { I "PrivateKeyFile = credential:a/b", 2, 18, "PrivateKeyFile: 'credential:a/b': " NO_CREDENTIAL },
                { I "PrivateKeyFile = credential:..", 2, 18, "PrivateKeyFile: 'credential:..': " NO_CREDENTIAL },
                { I "PrivateKeyFile = credential: k", 2, 18, "PrivateKeyFile: 'credential: k': " NO_CREDENTIAL },
                { P "PresharedKeyFile = credential:k!", 4, 20, "PresharedKeyFile: 'credential:k!': " NO_CREDENTIAL },
                { I "PrivateKey=" KEY_A "\nPrivateKeyFile=k", 3, 16,
                  "PrivateKeyFile: give PrivateKey or PrivateKeyFile, not both" },
                { I "PrivateKeyFile=k\nPrivateKey=" KEY_A, 3, 12,
                  "PrivateKey: give PrivateKey or PrivateKeyFile, not both" },
                { I "ListenPort = 65536", 2, 14,
                  "ListenPort: '65536': a port is 0 to 65535; 0 lets the system choose" },
                { I "ListenPort = -1", 2, 14, "ListenPort: '-1': a port is 0 to 65535; 0 lets the system choose" },
                { I "ListenPort =", 2, 13, "ListenPort: '': a port is 0 to 65535; 0 lets the system choose" },
                { I "ListenPort = 9999999999999999999", 2, 14,
                  "ListenPort: '9999999999999999999': a port is 0 to 65535; 0 lets the system choose" },
                { I "Workers = 0", 2, 11, "Workers: '0': the number of threads is 1 to 16, or auto" },
                { I "Workers = 17", 2, 11, "Workers: '17': the number of threads is 1 to 16, or auto" },
                { I "Workers = all", 2, 11, "Workers: 'all': the number of threads is 1 to 16, or auto" },
                { I "FwMark = 4294967296", 2, 10,
                  "FwMark: '4294967296': a mark is 1 to 4294967295, or in hex 0x1 to 0xffffffff, or off" },
                { I "FwMark = 0x", 2, 10,
                  "FwMark: '0x': a mark is 1 to 4294967295, or in hex 0x1 to 0xffffffff, or off" },
                { I "FwMark = 010", 2, 10,
                  "FwMark: '010': a mark is 1 to 4294967295, or in hex 0x1 to 0xffffffff, or off" },
                { I "Address = 10.0.0.1/33", 2, 11,
                  "Address: '10.0.0.1/33': a prefix of an IPv4 address is 0 to 32 bits" },
                { I "Address = 10.0.0.1/24, 10.0.0.256", 2, 24,
                  "Address: '10.0.0.256': an address such as 10.0.0.1/24 or fd00::1/64 is wanted" },
                { I "Address = 10.0.0.1/24 fd00::/129", 2, 23,
                  "Address: 'fd00::/129': a prefix of an IPv6 address is 0 to 128 bits" },
                { I "Address = 10.0.0.1/", 2, 11, "Address: '10.0.0.1/': a prefix of an IPv4 address is 0 to 32 bits" },
                { I "MTU = 575", 2, 7, "MTU: '575': an MTU is 576 to 65455 bytes; without one it is automatic" },
                { I "MTU = 65456", 2, 7, "MTU: '65456': an MTU is 576 to 65455 bytes; without one it is automatic" },
                { I "MTU = 0", 2, 7, "MTU: '0': an MTU is 576 to 65455 bytes; without one it is automatic" },
                { I "Table = lokal", 2, 9, "Table: 'lokal': a table is auto, off, main, default or 1 to 4294967295" },
                { I "Table = 0", 2, 9, "Table: '0': a table is auto, off, main, default or 1 to 4294967295" },
                { I "DNS = 1.1.1.1,  a_b,10.0.0.", 2, 21, "DNS: '10.0.0.': " DNS_WANTED },
                { I "DNS = ~", 2, 7, "DNS: '~': " DNS_WANTED },
                { I "DNS = ~1.1.1.1", 2, 7, "DNS: '~1.1.1.1': " DNS_WANTED },
                { I "DNS = 1.1.1.1, ~a..b", 2, 16, "DNS: '~a..b': " DNS_WANTED },
                { I "DNS = .", 2, 7, "DNS: '.': " DNS_WANTED },
                { I "DNS = a;b", 2, 7, "DNS: 'a;b': " DNS_WANTED },
                { P "Post-Quantum = off", 4, 1, "Post-Quantum: unknown key of [Peer]; did you mean PostQuantum?" },
                { I "kill_switch = yes", 2, 1, "kill_switch: unknown key of [Interface]; did you mean KillSwitch?" },
                { I "KillSwitch = true", 2, 14, "KillSwitch: 'true': yes or no is wanted" },
                { I "KillSwitch =", 2, 13, "KillSwitch: '': yes or no is wanted" },
                { I "Masquerade = 1", 2, 14, "Masquerade: '1': yes or no is wanted" },
                { I "Forward =", 2, 10, "Forward: '': yes, no, or the networks on this side are wanted" },
                { I "Forward = 10.0.0.0/8, yes", 2, 23,
                  "Forward: 'yes': an address such as 10.0.0.1/24 or fd00::1/64 is wanted" },
                { I "Masquerade = yes\nAddress = 10.0.0.1/24\nForward = no\nMTU = 1400", 4, 1,
                  "Masquerade = yes needs what Forward = no forbids: leave one of them out" },
                { I "Forward = no\nMasquerade = yes", 3, 1,
                  "Masquerade = yes needs what Forward = no forbids: leave one of them out" },
                { P "Forward = yes", 4, 1, "Forward: a key of [Interface], not of [Peer]" },
                { I "SaveConfig = yes", 2, 14, "SaveConfig: 'yes': true or false is wanted" },

                { I "[Peer]\n# no key\n", 2, 1, "[Peer]: this peer has no PublicKey; every peer has one" },
                { P "[Peer]\n[Peer]\nPublicKey = " KEY_C, 4, 1,
                  "[Peer]: this peer has no PublicKey; every peer has one" },
                { P "[Peer]\n\n PublicKey=" KEY_B, 6, 1,
                  "PublicKey: another peer has this key already; a peer is listed once" },
                { P "Name=a\n[Peer]\nPublicKey=" KEY_C "\nName=a\n", 7, 1,
                  "Name: another peer has this name already; a name is given once" },
                { I "[Peer]\nPublicKey = " KEY_B "b", 3, 13,
                  "PublicKey: this is not a key: a key is 44 characters of base64, the last one =" },
                { P "PresharedKeyFile=k\nPresharedKey=" KEY_A, 5, 14,
                  "PresharedKey: give PresharedKey or PresharedKeyFile, not both" },
                { P "PresharedKey=" KEY_A "\nPresharedKeyFile=k", 5, 18,
                  "PresharedKeyFile: give PresharedKey or PresharedKeyFile, not both" },
                { P "AllowedIPs = 10.0.0.0/33", 4, 14,
                  "AllowedIPs: '10.0.0.0/33': a prefix of an IPv4 address is 0 to 32 bits" },
                { P "AllowedIPs = 10.0.0.0/8, ::/0 , 0.0.0.0/-1", 4, 33,
                  "AllowedIPs: '0.0.0.0/-1': a prefix of an IPv4 address is 0 to 32 bits" },
                { P "AllowedIPs = 10.0.0.0/8,,::/0", 4, 25,
                  "AllowedIPs: '': an address such as 10.0.0.1/24 or fd00::1/64 is wanted" },
                { P "AllowedIPs = ::/0 ::/1", 4, 14,
                  "AllowedIPs: '::/0 ::/1': a prefix of an IPv6 address is 0 to 128 bits" },
                { P "Endpoint = host", 4, 12,
                  "Endpoint: 'host': a host and a port are wanted: vpn.example.org:51820, 192.0.2.1:51820 or "
                  "[2001:db8::1]:51820" },
                { P "Endpoint = host:0", 4, 12, "Endpoint: 'host:0': a port is 1 to 65535, after the last colon" },
                { P "Endpoint = 10.0.0.300:80", 4, 12,
                  "Endpoint: '10.0.0.300:80': a name such as vpn.example.org, an IPv4 address or an [IPv6 address] "
                  "comes before the port" },
                { P "Endpoint = [fe80::1%a b]:80", 4, 12,
                  "Endpoint: '[fe80::1%a b]:80': the scope of an IPv6 address is an interface, as in "
                  "[fe80::1%eth0]:51820" },
                { P "PersistentKeepalive = 65536", 4, 23,
                  "PersistentKeepalive: '65536': an interval is 1 to 65535 seconds, or off" },
                { I "Upgrade = off", 2, 1, "Upgrade: a key of [Peer], not of [Interface]" },
                { P "Upgrade = on", 4, 11, "Upgrade: 'on': auto or off is wanted" },
                { P "Upgrade =", 4, 10, "Upgrade: '': auto or off is wanted" },
                { P "PostQuantum = yes", 4, 15, "PostQuantum: 'yes': auto, require or off is wanted" },
                { P "PostQuantum = requires", 4, 15, "PostQuantum: 'requires': auto, require or off is wanted" },
                { P "Upgrade = off\nPostQuantum = require\nName = a\n", 5, 1, CONFLICT },
                { P "PostQuantum = require\n\nUpgrade = off\n", 6, 1, CONFLICT },
                { P "PostQuantum = require\nUpgrade = off\n[Peer]\nPublicKey=" KEY_C "\nUpgrade = auto\n", 5, 1,
                  CONFLICT },
                { P "[Peer]\nPublicKey=" KEY_C "\nUpgrade = off\nPostQuantum = require\n", 7, 1, CONFLICT },
                { P "Name = a b", 4, 8,
                  "Name: 'a b': a name is 1 to 31 letters, digits or signs, without blanks or #" },
                { P "Name = ", 4, 7, "Name: '': a name is 1 to 31 letters, digits or signs, without blanks or #" },
                { P "Name = m\xc3\xbcnchen", 4, 8,
                  "Name: 'm??nchen': a name is 1 to 31 letters, digits or signs, without blanks or #" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                if (parse(rows[i].text)) fail_msg("row %zu was accepted: %s", i, rows[i].text);
                assert_string_equal(error.text, rows[i].says);
                assert_int_equal(error.line, rows[i].line);
                assert_int_equal(error.column, rows[i].column);
        }
}

static void test_zero_byte(void **state)
{
        static const char text[] = "[Interface]\nMTU = 14\0"
                                   "00\n";

        (void)state;
        pool_reset(&pool);
        assert_false(conf_parse(&conf, &pool, text, sizeof text - 1, &error));
        assert_string_equal(error.text, "a zero byte: this is not a text file");
        assert_int_equal(error.line, 2);
        assert_int_equal(error.column, 9);
}

/* Wherever a key is pasted, whole, or one of the two parts that a line break made of it, no eight characters of it come
 * back. */
static void assert_not_told(const char *place, const char *key)
{
        char text[256], piece[9];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, place, key);
#pragma GCC diagnostic pop
        if (parse(text)) return; /* a part of a key is a good host name */
        for (size_t at = 0; at + 8 <= strlen(KEY_A); at++) {
                snprintf(piece, sizeof piece, "%.8s", &KEY_A[at]);
                if (strstr(error.text, piece)) fail_msg("'%s' told a key: %s", text, error.text);
        }
}

static void test_secrets_are_not_quoted(void **state)
{
        static const char *const places[] = {
                I "PrivateKey = %sx",
                I "ListenPort = %s",
                I "FwMark = %s",
                I "Address = %s",
                I "MTU = %s",
                I "Table = %s",
                I "DNS = %s",
                I "SaveConfig = %s",
                I "Unknown = %s",
                I "%s",
                I "%s = 4",
                P "PresharedKey = x%s",
                P "PublicKey = %s0",
                P "AllowedIPs = %s",
                P "Endpoint = %s",
                P "Endpoint = %s:5x",
                P "Name = %s",
                P "PersistentKeepalive = %s",
                P "Upgrade = %s",
                P "PostQuantum = %s",
                "%s",
                "[%s",
                "[Interface %s]",
                I "PrivateKey=\n%s",
        };
        char part[64];

        (void)state;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
                for (int len = 20; len <= (int)strlen(KEY_A); len++) {
                        snprintf(part, sizeof part, "%.*s", len, KEY_A);
                        assert_not_told(places[i], part);
                }
                for (size_t at = 0; at < strlen(KEY_A); at++)
                        assert_not_told(places[i], &KEY_A[at]);
        }
}

/* ---- what is accepted ----------------------------------------------------------------------------------------------
 */

static void test_values(void **state)
{
        (void)state;
        assert_true(parse("\xef\xbb\xbf [ INTERFACE ] # here\r\nlistenport=0\r\nFWMARK = OFF\r\n\r\n"));
        assert_int_equal(conf.flags, CONF_REPLACE_PEERS | CONF_HAS_LISTEN_PORT | CONF_HAS_FWMARK);
        assert_int_equal(conf.fwmark, 0);
        assert_true(parse(I "ListenPort = 1\nListenPort = 65535\nFwMark=0xFFFFFFFF\nMTU=65455\nTable = main"));
        assert_int_equal(conf.listen_port, 65535);
        assert_int_equal(conf.fwmark, 0xffffffff);
        assert_false(conf.flags & CONF_HAS_WORKERS);
        assert_int_equal(conf.mtu, 65455);
        assert_int_equal(conf.table, 254);
        assert_true(parse(I "Workers = 16"));
        assert_true(conf.flags & CONF_HAS_WORKERS);
        assert_int_equal(conf.workers, 16);
        assert_true(parse(I "Workers = 3\nworkers = Auto"));
        assert_true(conf.flags & CONF_HAS_WORKERS);
        assert_int_equal(conf.workers, WORKERS_AUTO);
        assert_true(parse(I "Table = off\nMTU=576\nFwMark=51820\nSaveConfig=true"));
        assert_int_equal(conf.table, TABLE_OFF);
        assert_int_equal(conf.mtu, 576);
        assert_int_equal(conf.fwmark, 51820);
        assert_true(conf.flags & CONF_SAVE_CONFIG);
        assert_true(parse(I "Table = 4294967295\nMTU=\nSaveConfig=true\nSaveConfig=false"));
        assert_int_equal(conf.table, 4294967295);
        assert_false(conf.flags & CONF_SAVE_CONFIG);
        assert_true(parse(I "Table = 0x10\nTable =\nAddress =\nDNS=\nPreUp ="));
        assert_int_equal(conf.table, 16);
        assert_null(conf.addresses);
        assert_null(conf.dns);
        assert_null(conf.pre_up);
        assert_true(parse(I "PrivateKeyFile = a\nPrivateKeyFile = /b c/d # e"));
        assert_string_equal(conf.private_key_file, "/b c/d");
        assert_true(parse(I "PrivateKeyFile = credential:..a_Z-9.key"));
        assert_string_equal(conf.private_key_file, "credential:..a_Z-9.key");
        assert_true(parse(I "PrivateKeyFile = ./credential:a/b"));
}

static void test_policies(void **state)
{
        static const struct {
                const char *text;
                unsigned flags;
                bool off;
                uint8_t post_quantum;
        } rows[] = {
                { "", 0, false, CONF_POST_QUANTUM_AUTO },
                { "Upgrade = auto", PEER_HAS_UPGRADE, false, CONF_POST_QUANTUM_AUTO },
                { "upgrade=OFF", PEER_HAS_UPGRADE, true, CONF_POST_QUANTUM_AUTO },
                { "PostQuantum = auto", PEER_HAS_POST_QUANTUM, false, CONF_POST_QUANTUM_AUTO },
                { "PostQuantum = Require", PEER_HAS_POST_QUANTUM, false, CONF_POST_QUANTUM_REQUIRE },
                { "PostQuantum = off\nUpgrade = off", PEER_HAS_POST_QUANTUM | PEER_HAS_UPGRADE, true,
                  CONF_POST_QUANTUM_OFF },
                /* the last of each counts, so these do not contradict */
                { "Upgrade = off\nPostQuantum = require\nUpgrade = auto", PEER_HAS_POST_QUANTUM | PEER_HAS_UPGRADE,
                  false, CONF_POST_QUANTUM_REQUIRE },
                { "Upgrade = off\n[Peer]\nPublicKey = " KEY_C "\nPostQuantum = require", PEER_HAS_UPGRADE, true,
                  CONF_POST_QUANTUM_AUTO },
        };
        char text[512];

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                snprintf(text, sizeof text, "%s%s\n", P, rows[i].text);
                if (!parse(text)) fail_msg("row %zu: %s", i, error.text);
                assert_int_equal(conf.peers->flags, PEER_REPLACE_ALLOWED_IPS | rows[i].flags);
                assert_int_equal(conf.peers->upgrade_off, rows[i].off);
                assert_int_equal(conf.peers->post_quantum, rows[i].post_quantum);
        }
}

static void test_lists(void **state)
{
        char text[ADDRESS_TEXT];

        (void)state;
        assert_true(parse(I "Address = 10.0.0.1/24,, fd00::1/64\t10.1.1.1,\nDNS = 1.1.1.1, example.org ::1\n"
                            "Address=192.0.2.7/31\nPostUp = a = b; c\nPostUp=d # e\n"));
        assert_string_equal(prefix_format(&conf.addresses->prefix, text), "10.0.0.1/24");
        assert_string_equal(prefix_format(&conf.addresses->next->prefix, text), "fd00::1/64");
        assert_string_equal(prefix_format(&conf.addresses->next->next->prefix, text), "10.1.1.1/32");
        assert_string_equal(prefix_format(&conf.addresses->next->next->next->prefix, text), "192.0.2.7/31");
        assert_null(conf.addresses->next->next->next->next);
        assert_string_equal(conf.dns->text, "1.1.1.1");
        assert_string_equal(conf.dns->next->text, "example.org");
        assert_string_equal(conf.dns->next->next->text, "::1");
        assert_string_equal(conf.post_up->text, "a = b; c");
        assert_string_equal(conf.post_up->next->text, "d");

        assert_true(parse(I "Forward = yes\nForward = 10.9.8.7/8, fd01::/48\nforward=192.0.2.1\nKillSwitch = YES\n"
                            "Masquerade = no\nMasquerade=yes\nDNS = ~. ~a_b.example, x.\n"));
        assert_int_equal(conf.forward, FORWARD_NETWORKS);
        assert_string_equal(prefix_format(&conf.forwards->prefix, text), "10.0.0.0/8");
        assert_string_equal(prefix_format(&conf.forwards->next->prefix, text), "fd01::/48");
        assert_string_equal(prefix_format(&conf.forwards->next->next->prefix, text), "192.0.2.1/32");
        assert_null(conf.forwards->next->next->next);
        assert_true(conf.kill_switch && conf.masquerade);
        assert_string_equal(conf.dns->next->text, "~a_b.example");
        assert_true(parse(I "Forward = 10.9.8.7/8\nForward = no\nKillSwitch=yes\nKillSwitch=no\n"));
        assert_int_equal(conf.forward, FORWARD_NO);
        assert_null(conf.forwards);
        assert_false(conf.kill_switch || conf.masquerade);

        assert_true(parse(P "AllowedIPs=\nAllowedIPs = 10.9.8.7/8 , ::/0\nAllowedIPs=fd00::1\n"));
        assert_string_equal(prefix_format(&conf.peers->allowed_ips->prefix, text), "10.0.0.0/8");
        assert_string_equal(prefix_format(&conf.peers->allowed_ips->next->prefix, text), "::/0");
        assert_string_equal(prefix_format(&conf.peers->allowed_ips->next->next->prefix, text), "fd00::1/128");
        assert_null(conf.peers->allowed_ips->next->next->next);
}

/* The way a provider's file for a road warrior looks. */
static void test_road_warrior(void **state)
{
        struct key key;
        char text[ENDPOINT_TEXT];

        (void)state;
        assert_true(parse("[Interface]\n"
                          "# laptop\n"
                          "PrivateKey = " KEY_A "\n"
                          "Address = 10.66.66.2/32,fd42:42:42::2/128\n"
                          "DNS = 9.9.9.9,149.112.112.112\n"
                          "\n"
                          "[Peer]\n"
                          "PublicKey = " KEY_B "\n"
                          "PresharedKey = " KEY_C "\n"
                          "Endpoint = 203.0.113.9:51820\n"
                          "AllowedIPs = 0.0.0.0/0,::/0\n"
                          "PersistentKeepalive = 25"));
        assert_true(key_from_base64(&key, KEY_A, strlen(KEY_A)));
        assert_memory_equal(&conf.private_key, &key, sizeof key);
        assert_true(key_from_base64(&key, KEY_C, strlen(KEY_C)));
        assert_memory_equal(&conf.peers->preshared_key, &key, sizeof key);
        assert_int_equal(conf.peers->flags, PEER_REPLACE_ALLOWED_IPS | PEER_HAS_PRESHARED_KEY | PEER_HAS_KEEPALIVE);
        assert_string_equal(endpoint_format(&conf.peers->endpoint, text), "203.0.113.9:51820");
        assert_int_equal(conf.peers->keepalive, 25);
}

/* The way a gateway's file looks: hooks, SaveConfig, no PrivateKey but a hook that sets it, and many peers. */
static void test_gateway(void **state)
{
        (void)state;
        assert_true(parse("[Interface]\r\n"
                          "Address = 10.8.0.1/24\r\n"
                          "SaveConfig=false\r\n"
                          "ListenPort = 51820\r\n"
                          "PostUp = wg set %i private-key /etc/wireguard/%i.key\r\n"
                          "PostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o eth0 -j "
                          "MASQUERADE\r\n"
                          "PostDown = iptables -D FORWARD -i %i -j ACCEPT\r\n"
                          "\r\n"
                          "[Peer] # berlin\r\n"
                          "AllowedIPs = 10.8.0.2/32, 192.168.7.0/24\r\n"
                          "PublicKey = " KEY_B "\r\n"
                          "Name = berlin\r\n"
                          "Endpoint = berlin.example.net:4500\r\n"
                          "[Peer]\r\n"
                          "PublicKey=" KEY_C "\r\n"
                          "AllowedIPs=10.8.0.3/32\r\n"
                          "Endpoint = [2001:db8::7]:51820\r\n"));
        assert_false(conf.flags & CONF_HAS_PRIVATE_KEY);
        assert_string_equal(conf.post_up->text, "wg set %i private-key /etc/wireguard/%i.key");
        assert_string_equal(conf.peers->endpoint_host, "berlin.example.net");
        assert_int_equal(conf.peers->endpoint_port, 4500);
        assert_int_equal(conf.peers->endpoint.family, AF_UNSPEC);
        assert_string_equal(conf.peers->next->endpoint_host, "2001:db8::7");
        assert_int_equal(conf.peers->next->endpoint.family, AF_INET6);
        assert_ptr_equal(conf_peer_by_name(&conf, "berlin"), conf.peers);
        assert_null(conf_peer_by_name(&conf, "paris"));
        assert_ptr_equal(conf_peer_find(&conf, &conf.peers->next->public_key), conf.peers->next);
}

/* The pool never overruns, and what runs out is said; with the room that is promised, nothing runs out. */
static void test_full_pool(void **state)
{
        const char whole[] = I "PrivateKeyFile = y\nAddress = ::1\nDNS = a b\nPreUp = x\n[Peer]\nPublicKey = " KEY_B
                               "\nName=a\nAllowedIPs=::,::,::,::,::,::\nEndpoint=a:1\nPresharedKeyFile=x\n";
        struct pool exact = { pool_bytes, POOL_SIZE, 0 };
        size_t needed;

        (void)state;
        assert_true(conf_parse(&conf, &exact, whole, strlen(whole), &error));
        needed = exact.used;
        assert_true(needed <= conf_pool_size(strlen(whole)));
        for (size_t size = 0; size < needed; size++) {
                struct pool small = { malloc(size ? size : 1), size, 0 }; /* for the address sanitizer */
                bool ok = conf_parse(&conf, &small, whole, strlen(whole), &error);

                free(small.base);
                assert_false(ok);
                assert_non_null(strstr(error.text, "too large"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_errors),
                cmocka_unit_test(test_zero_byte),
                cmocka_unit_test(test_secrets_are_not_quoted),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_policies),
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_road_warrior),
                cmocka_unit_test(test_gateway),
                cmocka_unit_test(test_full_pool),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
