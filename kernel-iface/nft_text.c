#include "kernel-iface/nft_text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool make_room(struct nft_text *text, size_t more)
{
        size_t size = text->size ? text->size : 1024;

        while (size - text->len <= more)
                size *= 2;
        if (size == text->size) return true;
        char *bytes = realloc(text->bytes, size);
        if (!bytes) return false;
        text->bytes = bytes;
        text->size = size;
        return true;
}

void nft_print(struct nft_text *text, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int len = vsnprintf(NULL, 0, format, args);
        va_end(args);
        if (text->failed || len < 0 || !make_room(text, (size_t)len)) {
                text->failed = true;
                return;
        }
        va_start(args, format);
        vsnprintf(text->bytes + text->len, text->size - text->len, format, args);
        va_end(args);
        text->len += (size_t)len;
}

static void print_prefix(struct nft_text *text, const struct prefix *prefix)
{
        char address[INET6_ADDRSTRLEN] = "";

        inet_ntop(prefix->family, prefix->bytes, address, sizeof address);
        nft_print(text, "%s/%u", address, prefix->length);
}

void nft_print_rule(struct nft_text *text, const char *match, uint8_t family, const struct prefix *list, size_t count,
                    const char *verdict)
{
        bool any = false;

        for (size_t i = 0; i < count; i++) {
                if (list[i].family != family) continue;
                if (any) nft_print(text, ", ");
                else nft_print(text, "\t\t%s { ", match);
                print_prefix(text, &list[i]);
                any = true;
        }
        if (any) nft_print(text, " } %s\n", verdict);
}

void nft_text_free(struct nft_text *text)
{
        free(text->bytes);
        *text = (struct nft_text){ 0 };
}
