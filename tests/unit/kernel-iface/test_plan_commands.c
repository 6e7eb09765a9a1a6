/* Steps as commands, row by row. That the commands do what the steps do is shown by tests/e2e/44-plan.sh. */
#include "kernel-iface/plan_commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The item as the journal has it. */
static const struct {
        const char *item;
        bool add;
        const char *commands;
} rows[] = {
        { "lock mark 7 text 00000000000000ff", true,
          "nft -f - <<'END'\ntable inet adit-lock-wg0\ndelete table inet adit-lock-wg0\n" }, /* and its text */
        { "lock mark 7 text 00000000000000ff", false, "nft delete table inet adit-lock-wg0\n" },
        { "gateway mark 0 text 00000000000000ff", false, "nft delete table inet adit-gate-wg0\n" },
        { "address 10.9.0.1/24", true, "ip address add 10.9.0.1/24 dev wg0\n" },
        { "address fd09::1/64", false, "ip address del fd09::1/64 dev wg0\n" },
        { "mtu 1420", true, "ip link set dev wg0 mtu 1420\n" },
        { "up 1", true, "ip link set dev wg0 up\n" },
        { "up 0", true, "ip link set dev wg0 down\n" },
        { "route 10.1.0.0/16 table 254", true, "ip -4 route add 10.1.0.0/16 dev wg0 proto 109\n" },
        { "route 0.0.0.0/0 table 51820", true, "ip -4 route add 0.0.0.0/0 dev wg0 table 51820 proto 109\n" },
        { "route ::/0 table 7", false, "ip -6 route del ::/0 dev wg0 table 7 proto 109\n" },
        { "throw 198.51.100.0/24 table 77", true, "ip -4 route add throw 198.51.100.0/24 table 77 proto 109\n" },
        { "throw fd66::/64 table 254", false, "ip -6 route del throw fd66::/64 proto 109\n" },
        { "src_valid_mark 1", true, "sysctl -q -w net.ipv4.conf.all.src_valid_mark=1\n" },
        { "src_valid_mark 0", true, "sysctl -q -w net.ipv4.conf.all.src_valid_mark=0\n" },
        { "accept_ra 2 interface 1", true, "sysctl -q -w net.ipv6.conf.lo.accept_ra=2\n" },
        { "forwarding_v4 1", true, "sysctl -q -w net.ipv4.conf.all.forwarding=1\n" },
        { "forwarding_v6 0", true, "sysctl -q -w net.ipv6.conf.all.forwarding=0\n" },
        { "accept_redirects 1", true, "sysctl -q -w net.ipv4.conf.all.accept_redirects=1\n" },
        { "each_forwarding_v4 1 interface 1", true, "sysctl -q -w net.ipv4.conf.lo.forwarding=1\n" },
        { "each_forwarding_v6 1 interface 0", true, "sysctl -q -w net.ipv6.conf.default.forwarding=1\n" },
        { "rules ipv4 mark 51820 table 51820", true,
          "ip -4 rule add not fwmark 51820 table 51820 protocol 109\n"
          "ip -4 rule add not fwmark 51820 table main suppress_prefixlength 0 protocol 109\n" },
        { "rules ipv6 mark 1 table 2", false,
          "ip -6 rule del not fwmark 1 table 2 protocol 109\n"
          "ip -6 rule del not fwmark 1 table main suppress_prefixlength 0 protocol 109\n" },
        { "dns means 1 text 00000000000000ff", true, "" }, /* and dns_commands() */
        { "dns means 1 text 00000000000000ff", false, "# /etc/resolv.conf is what it was before wg0\n" },
        { "dns means 2 text 00000000000000ff", false, "resolvectl revert wg0\n" },
};

static void test_rows(void **state)
{
        bool seen[PLAN_KINDS] = { false };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct plan_step step = { .add = rows[i].add };
                char text[PLAN_COMMANDS_TEXT];
                assert_true(plan_parse(&step.item, rows[i].item));
                assert_int_equal(plan_commands(&step, "wg0", text, sizeof text), strlen(rows[i].commands));
                assert_string_equal(text, rows[i].commands);
                seen[step.item.kind] = true;
        }
        for (size_t kind = 0; kind < PLAN_KINDS; kind++)
                assert_true(seen[kind]);
}

static void test_measures_what_does_not_fit(void **state)
{
        struct plan_step step = { .add = true };
        char text[8] = "";

        (void)state;
        assert_true(plan_parse(&step.item, "mtu 1420"));
        assert_int_equal(plan_commands(&step, "wg0", NULL, 0), strlen("ip link set dev wg0 mtu 1420\n"));
        assert_int_equal(plan_commands(&step, "wg0", text, sizeof text), strlen("ip link set dev wg0 mtu 1420\n"));
        assert_string_equal(text, "ip link");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_measures_what_does_not_fit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
